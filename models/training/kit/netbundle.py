"""`fit` for networks: the bundle of a trained one in fp32 and, when asked, a second one in int8 with what it lost."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from tqdm import tqdm

from fitting.bundle import TOLERANCE
from fitting.envelope import envelope_of, figures_of

from . import bundle, manifest, whole
from .calls import Calls, settle
from .card import card
from .convert import PARITY
from .elsewhere import shown, summarised, told
from .figures import margin_of
from .fit import coarsest, description, identity_of, parts_of, plan_of, source_digest
from .int8 import named, quantise
from .networks import NETWORKS, course_of, input_of, said, trained
from .pictures import Input, opened, picture_of
from .problem import USAGE, Problem
from .protocol import asked as asked_figures
from .protocol import rows_at, tried
from .splits import subject_split
from .table import Cohort

OPSET = 17
# Pictures that set the ranges of int8, and that parity and the envelope are looked at with.
CALIBRATING, COMPARED, ENVELOPED = 128, 64, 1000
# An int8 network that loses more AUC over test images than this is refused; ours.
MOST_LOST = 0.02
GOLDEN_WIDTH = 448
# Of a golden logit; 8 bits round otherwise on other processors.
TOLERANCE_INT8 = 0.25
# The nodes of the layer that takes the light off.
FRONT = ("/front/",)
LIT = "a fixed local-contrast layer (logarithm of each channel less its mean over 28 pixels), then "


def fit_network(cohort: Cohort, asked) -> None:
    plan = plan_of(asked)
    if asked.elsewhere and asked.input == "tiles" and asked.elsewhere_um_per_px is None:
        raise Problem("--elsewhere: tiles need the scale of those images (--elsewhere-um-per-px)", USAGE)
    input_ = input_of(asked.model, asked.input, asked.side, asked.um_per_px)
    truth = np.array([row.positive for row in cohort.rows])
    parts = subject_split(cohort, plan.seed)
    made = trained(asked.model, cohort, truth, parts["train"], input_, course_of(asked, plan.seed), asked)
    model = made.net
    exported = asked.work / f"{asked.model}.onnx"
    export(model, input_, exported)
    worst = parity(model, exported, cohort, parts["test"][:COMPARED], input_)

    def trial(train_on, held, seed):
        same = seed == plan.seed and np.array_equal(train_on, parts["train"])
        other = model if same else trained(asked.model, cohort, truth, train_on, input_, course_of(asked, seed), asked).net
        return [said(other, cohort, places, input_) for places in held]

    repeated = tried(cohort, trial, plan, images_too=asked.by_image)
    envelope = _envelope(cohort, parts["train"], input_)
    full = _written(cohort, asked, plan, parts, input_, exported, repeated, envelope, made.on, "fp32", f"Probabilities in ONNX Runtime differ from PyTorch's by at most {worst:.1e}.", asked.out)
    if asked.int8:
        small = asked.work / f"{asked.model}-int8.onnx"
        calibrating = [input_.served(opened(row), row.um_per_px) for row in rows_at(cohort, parts["calibration"][:CALIBRATING])]
        # Loops are a few percent of a picture's light, and 256 steps of all of it would lose them.
        quantise(exported, small, [tile[None] for tiles in calibrating for tile in tiles], named(exported, FRONT))
        _written(cohort, asked, plan, parts, input_, small, repeated, envelope, made.on, "int8", "", asked.out.with_name(asked.out.name + "-int8"), full)


def export(model: torch.nn.Module, input_: Input, path: Path) -> None:
    picture = torch.zeros(2, 3, input_.side, input_.side)
    torch.onnx.export(
        model.cpu().to(memory_format=torch.contiguous_format), (picture,), str(path), opset_version=OPSET, dynamo=False, input_names=["input"],
        output_names=["logits"], dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def logits(runtime: onnxruntime.InferenceSession, tensor: np.ndarray) -> np.ndarray:
    return runtime.run(["logits"], {"input": tensor})[0].mean(axis=0)


def parity(model: torch.nn.Module, path: Path, cohort: Cohort, places: np.ndarray, input_: Input) -> float:
    """Largest difference of a probability between PyTorch and ONNX Runtime; more than 1e-4 is refused."""
    ours, theirs = said(model, cohort, places, input_, torch.device("cpu")), answers(path, cohort, places, input_)
    worst = float(np.abs(ours - theirs).max())
    if worst > PARITY:
        raise Problem(f"in ONNX Runtime the worst of {len(places)} images differs from PyTorch's probability by {worst:.2e}; more than {PARITY:.0e} is refused")
    return worst


def answers(path: Path, cohort: Cohort, places: np.ndarray, input_: Input) -> np.ndarray:
    runtime, out = session(path), []
    for place in tqdm(places, desc="asking", unit="image", mininterval=2.0):
        row = cohort.rows[place]
        out.append(logits(runtime, input_.served(opened(row), row.um_per_px)).astype(np.float64))
    raised = np.exp(np.array(out) - np.max(out, axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _envelope(cohort: Cohort, places: np.ndarray, input_: Input):
    some = places[:: max(1, len(places) // ENVELOPED)]
    return envelope_of(np.array([figures_of(input_.served(opened(row), row.um_per_px)) for row in rows_at(cohort, some)]))


def _written(cohort, asked, plan, parts, input_, model: Path, repeated: dict, envelope, on: str, precision: str, note: str, out: Path, full: dict | None = None) -> dict:
    """Measures the exported network on the held-out subjects and writes its bundle."""
    probabilities = {part: answers(model, cohort, parts[part], input_) for part in ("calibration", "test")}
    margins = {part: margin_of(p) for part, p in probabilities.items()}
    calls = settle(rows_at(cohort, parts["calibration"]), margins["calibration"], plan.exam_false_alarm)
    facts = repeated | {"first": asked_figures(rows_at(cohort, parts["test"]), margins["test"], calls, plan.seed)}
    if full:
        note = _lost(facts, full, probabilities["test"])
    elsewhere = _elsewhere(model, input_, calls, envelope, asked) if asked.elsewhere else {}
    if elsewhere:
        facts["elsewhere"] = elsewhere
    identity = identity_of(cohort, asked.model + ("" if precision == "fp32" else "-int8"), asked)
    if precision == "int8" and asked.name:
        identity = manifest.Identity(f"{asked.name}-int8", asked.version, asked.licence, identity.cohort, description(cohort))
    what = {
        "network": f"{LIT if asked.light else ''}{NETWORKS[asked.model].timm_name} (timm {version('timm')}), {precision}, {model.stat().st_size / 2**20:.1f} MiB; weights {'from a file of the maker (' + course_of(asked, 0).weights[:16] + ')' if asked.weights else 'random at first'}",
        "input": f"the whole field at {input_.side} x {input_.side}" if input_.mode == "field" else f"{input_.um_per_px} um per pixel, tiles of {input_.side}, logits meaned",
    }
    made = (
        f"{asked.drawn_by + '. ' if asked.drawn_by else ''}Made by the training kit (`models/training`): {asked.epochs} epochs, batches of {asked.batch}, AdamW, seed {plan.seed}, averaged weights, on {on}.\n"
        f"sha256 over the rows and images: {source_digest(cohort)[:16]}. {note}\nExported and measured with torch {version('torch')}, onnxruntime {version('onnxruntime')}."
    )
    with whole.folder(out, asked.replace) as folder:
        (folder / "model.onnx").write_bytes(model.read_bytes())
        (folder / "CARD.md").write_text(card(identity, cohort, what, made, facts, parts_of(cohort, parts), told(elsewhere, asked.elsewhere_is) if elsewhere else ""))
        _golden(folder, cohort, parts["test"], input_, asked, precision)
        manifest.written(folder, identity, cohort, "classify", sections(input_, envelope, coarsest(cohort)), calls, manifest.thresholds_how(calls))
    whole.as_json(asked.work / f"{identity.name}-metrics.json", facts)
    print(f"{out}: written; figures in its CARD.md")
    return {"facts": facts, "probabilities": probabilities["test"]}


def _elsewhere(model: Path, input_: Input, calls: Calls, envelope, asked) -> dict:
    """What it says of images that nobody labelled for this."""
    others = shown(asked.elsewhere)
    runtime = session(model)

    def read(path: Path) -> np.ndarray:
        tensor = input_.served(picture_of(path), asked.elsewhere_um_per_px)
        return np.concatenate([logits(runtime, tensor).astype(np.float64), figures_of(tensor)])

    rows = np.stack(others.each(read))
    return summarised(rows[:, 1] - rows[:, 0], others.subject, others.ill, calls, envelope.outside(rows[:, 2:]))


def _lost(facts: dict, full: dict, probabilities: np.ndarray) -> str:
    before, after = (f["first"]["image"] for f in (full["facts"], facts))
    lost = {key: before[key]["value"] - after[key]["value"] for key in ("auc", "accuracy")}
    if lost["auc"] > MOST_LOST:
        raise Problem(f"int8 loses {lost['auc']:.3f} of AUC over the test images; more than {MOST_LOST} is refused, and the fp32 bundle stands alone")
    moved = np.abs(probabilities - full["probabilities"]).max()
    return f"Against fp32 on the test images: AUC lost {lost['auc']:.4f}, accuracy lost {lost['accuracy']:.4f}, largest move of a probability {moved:.3f} (static int8, per channel)."


def _golden(folder: Path, cohort: Cohort, places: np.ndarray, input_: Input, asked, precision: str) -> None:
    um_per_px = None
    if asked.golden or cohort.drawn:
        row = next(row for row in rows_at(cohort, places) if row.positive)
        chosen = next((r for r in cohort.rows if asked.golden and r.path.resolve() == asked.golden.resolve()), row)
        picture = opened(chosen)
        height = round(picture.height * GOLDEN_WIDTH / picture.width)
        um_per_px = chosen.um_per_px and round(chosen.um_per_px * picture.width / GOLDEN_WIDTH, 6)
        picture = picture.resize((GOLDEN_WIDTH, height), Image.Resampling.BILINEAR)
    else:
        picture = Image.fromarray(next(bundle.made_up((GOLDEN_WIDTH, 358), 1)))
        um_per_px = input_.um_per_px / 2
    write_golden(folder, picture, um_per_px, input_, TOLERANCE if precision == "fp32" else TOLERANCE_INT8)


def write_golden(folder: Path, picture: Image.Image, um_per_px: float | None, input_: Input, tolerance: float) -> None:
    """The picture and what the model in the folder gives for it."""
    golden = folder / "golden"
    golden.mkdir()
    picture.save(golden / "input.png", optimize=True)
    values = logits(session(folder / "model.onnx"), input_.served(picture, um_per_px))
    expected = {
        "um_per_px": um_per_px if input_.mode == "tiles" else None, "logits": [round(float(v), 6) for v in values], "tolerance": tolerance,
    }
    (golden / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def sections(input_: Input, envelope, max_um_per_px: float | None) -> str:
    """The manifest's [input] and [output]; `envelope` is what the cohort looked like, where that is known."""
    pairs = lambda bounds: [[round(float(low), 4), round(float(high), 4)] for low, high in bounds]
    coarse = f"\nmax_um_per_px = {max_um_per_px}" if max_um_per_px else ""
    seen = f"\n[input.seen]\nmean = {pairs(envelope.mean)}\nstd = {pairs(envelope.std)}\n" if envelope else ""
    return f"""
[input]
name = "input"
width = {input_.side}
height = {input_.side}
fit = {input_.fit}
filter = "{input_.filter}"
mean = {list(input_.mean)}
std = {list(input_.std)}
channels = "rgb"{coarse}
{seen}
[output]
name = "logits"
"""
