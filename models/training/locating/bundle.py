"""Writes the bundle: the network as ONNX, the golden pair, the manifest with every file's digest."""

import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

from .network import MAPS, MULTIPLE, NO_LOGITS, STRIDE, Locator

NAME = "locator-synth"
WIDTHS_FILE = "widths.onnx"
NO_FIGURES = "none yet: `hairpin eval`"
# Largest difference of an answer's sample between PyTorch and ONNX Runtime that may pass.
PARITY = 1e-3
# Of the golden pair's means. The golden picture has the network's own scale, so that only arithmetic can differ: a tenth of
# the samples off by 1 of 255, as resampling leaves them, moves some means by 0.07.
TOLERANCE = 0.005


def write(folder: Path, net: Locator, um_per_px: float, golden: Path, facts: dict, version: str) -> None:
    folder.mkdir(parents=True)
    export(net, folder / "model.onnx")
    facts["parity"] = parity(net, folder / "model.onnx")
    _write_golden(folder, golden, um_per_px)
    (folder / "CARD.md").write_text(_card(um_per_px, facts, version))
    write_manifest(folder, um_per_px, version)


def export(net: Locator, path: Path) -> None:
    picture = torch.rand(1, 3, 8 * MULTIPLE, 9 * MULTIPLE)
    sides = {2: "height", 3: "width"}
    torch.onnx.export(
        net.eval().to(memory_format=torch.contiguous_format), (picture,), str(path), opset_version=17, dynamo=False,
        input_names=["input"], output_names=["maps"], dynamic_axes={"input": sides, "maps": {2: "rows", 3: "columns"}},
    )


def parity(net: Locator, path: Path) -> float:
    """Largest difference between PyTorch and the exported model on pictures of several sizes; refuses more than `PARITY`."""
    session = runtime(path)
    worst, chance = 0.0, np.random.default_rng(0)
    for height, width in ((128, 144), (416, 336), (656, 832)):
        coarse = torch.from_numpy(chance.random((1, 3, height // 16, width // 16), np.float32))
        picture = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1).contiguous()
        with torch.no_grad():
            ours = net(picture).numpy()
        theirs = session.run(["maps"], {"input": picture.numpy()})[0]
        if ours.shape != (1, len(MAPS), height // STRIDE, width // STRIDE):
            raise RuntimeError(f"the network answers {ours.shape} to a picture of {height} by {width}")
        worst = max(worst, float(np.abs(ours - theirs).max()))
    if worst > PARITY:
        raise RuntimeError(f"exported answers differ from PyTorch's by {worst:.2e}, more than {PARITY:.0e}")
    return worst


def tensor(picture: Image.Image, um_per_px: float, wanted: float) -> np.ndarray:
    """What the service makes of a picture: resampled, its last column and row repeated to whole multiples, 0 to 1."""
    factor = um_per_px / wanted
    # Half away from zero, as the service rounds.
    size = [max(1, int(side * factor + 0.5)) for side in picture.size]
    small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.float32) / 255.0
    pad = [(0, -side % MULTIPLE) for side in small.shape[:2]]
    return np.pad(small, [*pad, (0, 0)], mode="edge").transpose(2, 0, 1)[None]


def _write_golden(folder: Path, source: Path, wanted: float) -> None:
    """A drawn picture of the network's own scale, and the answer of the reference in means that see every plane and place."""
    truth = {row["file"]: row for row in map(json.loads, (source.parent.parent / "truth.jsonl").read_text().splitlines())}
    um_per_px = truth[f"{source.parent.name}/{source.name}"]["truth"]["um_per_px"]
    if um_per_px != wanted:
        raise ValueError(f"{source} has {um_per_px} um a pixel: draw the golden picture with --um-per-px {wanted}")
    with Image.open(source) as picture:
        picture = picture.convert("RGB")
    (folder / "golden").mkdir()
    picture.save(folder / "golden/input.png", optimize=True)
    maps = runtime(folder / "model.onnx").run(["maps"], {"input": tensor(picture, um_per_px, wanted)})[0][0]
    expected = {"um_per_px": um_per_px, "cells": cells(maps), "tolerance": TOLERANCE}
    (folder / "golden/expected.json").write_text(json.dumps(expected) + "\n")


def cells(maps: np.ndarray) -> list[list[float]]:
    """For each plane the means over four by four equal parts of the answer, row by row; of logits, as probabilities."""
    planes = [plane if name in NO_LOGITS else 1 / (1 + np.exp(-plane)) for name, plane in zip(MAPS, maps)]
    return [
        [round(float(part.mean()), 6) for rows in np.array_split(plane, 4, axis=0) for part in np.array_split(rows, 4, axis=1)] for plane in planes
    ]


def runtime(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def um_per_px_of(folder: Path) -> float:
    return float(tomllib.loads((folder / "manifest.toml").read_text())["input"]["um_per_px"])


def with_widths(folder: Path, before: Path, net, facts: dict, version: str, figures: list[str]) -> None:
    """The bundle `before` with a second network, which says how wide loops are: nothing else of what it answers is changed."""
    from . import widths

    um_per_px, model = um_per_px_of(before), folder / WIDTHS_FILE
    (folder / "golden").mkdir(parents=True)
    for name in ("model.onnx", "golden/input.png"):
        shutil.copy(before / name, folder / name)
    facts = facts | {"parity": widths.export(net, model)}
    if facts["parity"] > PARITY:
        raise RuntimeError(f"exported widths differ from PyTorch's by {facts['parity']:.2e}, more than {PARITY:.0e}")
    expected = json.loads((before / "golden/expected.json").read_text())
    with Image.open(folder / "golden/input.png") as picture:
        field = tensor(picture.convert("RGB"), expected["um_per_px"], um_per_px)
    maps = runtime(folder / "model.onnx").run(["maps"], {"input": field})[0][0]
    expected["widths"] = widths.golden(maps, field[0], model, STRIDE, MAPS)
    (folder / "golden/expected.json").write_text(json.dumps(expected) + "\n")
    (folder / "CARD.md").write_text(_card_with_widths((before / "CARD.md").read_text(), facts, version, figures))
    write_manifest(folder, um_per_px, version)


def _card_with_widths(card: str, facts: dict, version: str, figures: list[str]) -> str:
    head, rest = card.split("\n", 1)
    section = f"""## The network for widths

How wide a found loop is, is said by a second, small network ({facts["weights"]} weights), which sees the picture around the tip alone, turned so that the loop points up. It learned from {facts["loops"]} loops of {facts["subjects"]} drawn
subjects (`models/training/make-widths`), cut out where the first network finds them, {facts["epochs"]} passes, PyTorch {facts["torch"]}, one seed ({facts["seed"]}). Mean errors on the loops of {facts["held_subjects"]} other drawn subjects, in focus:
{facts["held"]}. The exported file answers as PyTorch does to {facts["parity"]:.0e}.

"""
    before, after = rest.split("## Figures\n", 1)
    before = before.split("## The network for widths\n")[0]
    lead, after = after.split("\n* ", 1)
    # With one network widths lean to the middle; what those of the second do on people was not measured.
    rest_of_card = after[after.index("\n## "):].replace("drawn towards the middle", "unproved on people")
    # The figures of the bundle before are another network's.
    bullets = "\n".join(f"* {line}" for line in figures or [NO_FIGURES]) + "\n"
    return f"{head.rsplit(' ', 1)[0]} {version}\n{before}{section}## Figures\n{lead}\n{bullets}{rest_of_card}"


def write_manifest(folder: Path, um_per_px: float, version: str, name: str = NAME) -> None:
    files = ["CARD.md", "golden/expected.json", "golden/input.png", "model.onnx"]
    second = ""
    if (folder / WIDTHS_FILE).exists():
        from .widths import AHEAD, SIDE

        files.append(WIDTHS_FILE)
        second = f"""
[widths]
model = "{WIDTHS_FILE}"
input = "patches"
output = "log_width"
side = {SIDE}
ahead = {AHEAD}
"""
    digests = "\n".join(f'"{file}" = "{sha256(folder / file)}"' for file in files)
    (folder / "manifest.toml").write_text(f'''schema = 1
name = "{name}"
version = "{version}"
task = "locate"
licence = "Apache-2.0"
model = "model.onnx"

[cohort]
name = "drawn nailfolds (hairpin synth)"
synthetic = true
validated_on_patients = false
description = "Learned from drawn nailfolds alone."

[input]
name = "input"
um_per_px = {um_per_px}
multiple = {MULTIPLE}
filter = "bilinear"

[output]
name = "maps"
stride = {STRIDE}
maps = {json.dumps(MAPS)}
{second}
[files]
{digests}
''')


def _card(um_per_px: float, facts: dict, version: str) -> str:
    figures = "\n".join(f"* {line}" for line in facts.get("figures", [NO_FIGURES]))
    plan = facts["plan"]
    return f"""# {NAME} {version}

Says where the tips of capillary loops are on a nailfold, which belong to the distal row, how wide and of what shape they are, where the nail's side
begins, and where blood has left the vessels. **Not validated on patients.** Research use only; not a diagnosis.

## What it learned from

{facts["pictures"]} drawn pictures of as many drawn fingers (`hairpin synth --labels`), 512 pixels squared at {um_per_px} um a pixel, and nothing else: no picture
of a person. Which drawn loops count as distal, as proximal or as too faint to say is the rule of `models/training/locating/distal.py`; its cones were chosen
on real frames. {facts["parameters"]} weights; {plan.get("steps_done", plan.get("steps"))} steps of {plan["batch"]} crops of {plan["side"]} pixels on {facts["device"]}, PyTorch
{facts["torch"]}, one seed ({plan["seed"]}). The exported file answers as PyTorch does to {facts["parity"]:.0e}.

## Figures

Measured with `hairpin eval`; what each means is in `docs/measure.md`. The real frames are 51 of a public course data set, of nine subjects, eight without
disease and one with. Settings were chosen on the same frames, weights were not.

{figures}

## What it must not be used for

* Any decision about a person.
* Pictures coarser than about 4 um a pixel, of other skin than a nailfold's, of children, or of skin darker than the drawn cohort's: never looked at.
* Widths as measurements of single loops: they are estimates on pixels of {um_per_px} um, drawn towards the middle. A giant near 50 um is marked as borderline.

## Known failures

**Sparse rows.** Where few distal loops are left, a loop of a row behind that has no other before it is counted as distal, as the network was taught and as people traced real
frames. Whoever counts only the foremost row finds fewer: by that count the density comes out too high, and loss may be missed.
Loops of a second tier that a reader counts; faint ones that a reader passes over; diffuse heads without limbs, which it finds late or not at all; brown
pigment and the edges of glare, which it may take for wide loops; rows that lie more than half a millimetre from where a reader looks.
"""
