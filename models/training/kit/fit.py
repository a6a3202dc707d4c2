"""`fit`: one model from one's own images, as a bundle."""

import argparse
import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from . import whole
from .calls import settle
from .card import card
from .figures import margin_of
from .loops import MeasuredBy, measured_by, shape_of
from .manifest import Identity
from .problem import USAGE, Problem
from .protocol import Plan, asked, rows_at, tried
from .splits import subject_split
from .table import Cohort

# Of the test part, pictures among which the golden one is chosen.
GOLDEN = 24


def parts_of(cohort: Cohort, parts: dict[str, np.ndarray]) -> dict[str, dict]:
    out = {}
    for part, places in parts.items():
        rows = rows_at(cohort, places)
        out[part] = {
            "subjects": len({r.subject for r in rows}), "fingers": len({r.finger_key for r in rows}), "images": len(rows),
            "positive": sum(r.positive for r in rows),
        }
    return out


def description(cohort: Cohort) -> str:
    who = "drawn subjects" if cohort.drawn else "subjects"
    devices = len({row.device for row in cohort.rows})
    return f"{len(cohort.subjects)} {who}, {len(cohort.rows)} {'drawn frames' if cohort.drawn else 'images'}, {devices} devices; not validated on patients"


def identity_of(cohort: Cohort, name: str, asked: argparse.Namespace) -> Identity:
    return Identity(asked.name or name, asked.version, asked.licence, asked.cohort or ("drawn nailfolds (hairpin synth)" if cohort.drawn else Path(cohort.source).stem), description(cohort))


def source_digest(cohort: Cohort) -> str:
    """Of every image's place, label and bytes, in order: which data this was."""
    digest = hashlib.sha256()
    for row in cohort.rows:
        digest.update(f"{row.subject}\t{row.finger}\t{row.field}\t{row.label}\t".encode())
        digest.update(hashlib.sha256(row.path.read_bytes()).digest())
    return digest.hexdigest()


def coarsest(cohort: Cohort) -> float | None:
    """The coarsest scale seen, to a tenth of a um per pixel upwards; None where a scale is missing."""
    scales = [row.um_per_px for row in cohort.rows]
    return None if None in scales else float(np.ceil(10 * max(scales)) / 10)


def fit_classical(cohort: Cohort, asked_for: argparse.Namespace) -> None:
    from . import bundle, classical, convert, features
    from .store import features_of

    groups, name, plan = asked_for.features, asked_for.model, plan_of(asked_for)
    measured = None
    if ("shape" in groups) != (asked_for.loops is not None):
        raise Problem("the group shape and --loops go together: one is of no use without the other", USAGE)
    if asked_for.loops:
        measured = measured_by(asked_for.loops)
        cohort, shape = with_loops(cohort, asked_for.loops)
    everything, known = features_of(cohort.rows, asked_for.size, asked_for.work, asked_for.threads), features.GROUPS
    if measured:
        everything, known = np.hstack([everything, shape]), (*known, "shape")
    matrix = classical.chosen(everything, groups, known)
    truth = np.array([row.positive for row in cohort.rows])

    def trial(train: np.ndarray, held: list[np.ndarray], seed: int) -> list[np.ndarray]:
        pipeline = classical.fit(name, matrix[train], truth[train], seed)
        return [classical.probabilities(pipeline, matrix[places]) for places in held]

    parts = subject_split(cohort, plan.seed)
    pipeline = classical.fit(name, matrix[parts["train"]], truth[parts["train"]], plan.seed)
    model = convert.converted(pipeline, matrix.shape[1])
    parity = convert.parity(pipeline, model, matrix)
    # What ships is asked as it ships: through ONNX Runtime.
    calibration, test = (margin_of(convert.answers(model, matrix[parts[part]])) for part in ("calibration", "test"))
    calls = settle(rows_at(cohort, parts["calibration"]), calibration, plan.exam_false_alarm)
    facts = tried(cohort, trial, plan) | {"first": asked(rows_at(cohort, parts["test"]), test, calls, plan.seed)}

    identity = identity_of(cohort, f"{name}-{classical.combination_name(groups)}", asked_for)
    elsewhere = ""
    if asked_for.elsewhere:
        from .elsewhere import looked, told

        facts["elsewhere"] = looked(asked_for.elsewhere, model, groups, asked_for.size, calls, bundle.seen(matrix[parts["train"]]), asked_for.elsewhere_loops)
        elsewhere = told(facts["elsewhere"], asked_for.elsewhere_is)
    what = {
        "features": described(groups, asked_for.size, measured),
        "classifier": f"{classical.CLASSIFIERS[name].title}, standardised features; {len(model) / 1024:.0f} KiB of ONNX",
    }
    made = (
        f"{asked_for.drawn_by + '. ' if asked_for.drawn_by else ''}Made by the training kit (`models/training`), seed {plan.seed}; the classifier's settings are fixed and were not tuned.\n"
        f"sha256 over the rows and images: {source_digest(cohort)[:16]}. Probabilities in ONNX Runtime differ from Python's by at most {parity:.1e} over all {len(matrix)} rows.\n"
        f"{', '.join(f'{k} {v}' for k, v in features.versions().items())}, scikit-learn {version('scikit-learn')}, skl2onnx {version('skl2onnx')}, onnxruntime {version('onnxruntime')}."
        + ("".join(f"\n{note[0].upper() + note[1:]}." for note in cohort.notes))
    )
    text = card(identity, cohort, what, made, facts, parts_of(cohort, parts), elsewhere, measured is not None)
    fitted = bundle.Fitted(pipeline, groups, asked_for.size, "bilinear", matrix[parts["train"]], measured)
    candidates = golden_candidates(cohort, parts, asked_for, shape if measured else np.zeros((len(cohort.rows), 0), np.float32))
    bundle.write(asked_for.out, fitted, identity, cohort, calls, text, model, candidates, asked_for.replace)
    whole.as_json(asked_for.work / f"{identity.name}-metrics.json", facts)
    print(f"{asked_for.out}: written; figures in its CARD.md and in {asked_for.work}/{identity.name}-metrics.json")


def described(groups: tuple[str, ...], size: tuple[int, int], measured: MeasuredBy | None) -> str:
    """The columns in words."""
    from . import features

    of_picture = features.of_pixels(groups)
    parts = [f"{', '.join(of_picture)}: {len(features.columns(of_picture))} columns of the whole picture at {size[0]} x {size[1]}"] if of_picture else []
    if measured:
        parts.append(f"shape: {len(features.columns(('shape',)))} columns of its loops as {measured.locator} {measured.version} measures them")
    return f"{'; '.join(parts)} (`docs/bundles.md`)"


def with_loops(cohort: Cohort, loops: Path) -> tuple[Cohort, np.ndarray]:
    """The images of which all that the group `shape` needs was measured, and that: the service reads no others with such a model."""
    shape = shape_of(loops, [row.path for row in cohort.rows])
    keep = np.isfinite(shape).all(axis=1)
    if not keep.any():
        raise Problem(f"{loops}: of no image of {cohort.source} all that the group shape needs was measured")
    rows = tuple(row for row, kept in zip(cohort.rows, keep) if kept)
    left_out = () if keep.all() else (f"of {len(keep)} images {int((~keep).sum())} were left out, because not all figures of their loops were measured",)
    return replace(cohort, rows=rows, notes=(*cohort.notes, *left_out)), shape[keep]


def golden_candidates(cohort: Cohort, parts: dict[str, np.ndarray], asked_for: argparse.Namespace, shape: np.ndarray) -> list:
    """What may travel with the bundle: drawn test images; of a cohort of persons the image that the user named, or made-up pictures, each with the
    middle of what was measured of the training images' loops."""
    from . import bundle, features

    middle = np.median(shape[parts["train"]], axis=0).astype(np.float32)
    if asked_for.golden:
        return [(features.prepared(asked_for.golden, asked_for.size), middle)]
    if not cohort.drawn:
        return [(picture, middle) for picture in bundle.made_up(asked_for.size, GOLDEN)]
    places = parts["test"][:: max(1, len(parts["test"]) // GOLDEN)][:GOLDEN]
    return [(features.prepared(cohort.rows[i].path, asked_for.size), shape[i]) for i in places]


def plan_of(asked_for: argparse.Namespace) -> Plan:
    return Plan(asked_for.seed, asked_for.repeats, asked_for.exam_false_alarm)
