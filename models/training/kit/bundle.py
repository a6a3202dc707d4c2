"""Writes a bundle that classifies by features: ONNX, golden pair, card, manifest; all of it or nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.pipeline import Pipeline

from . import convert, features, manifest, whole
from .calls import Calls
from .loops import MeasuredBy
from .table import Cohort

# Of a feature, relative to the larger of 1e-3 and its size, and of a probability.
TOLERANCE = {"features": 1e-4, "probabilities": 1e-4}
# Below this a golden probability would be the same for a picture that nobody read.
TOLD = 0.2


@dataclass(frozen=True)
class Fitted:
    """A model and what is needed to use it."""

    pipeline: Pipeline
    groups: tuple[str, ...]
    size: tuple[int, int]
    filter: str
    matrix: np.ndarray  # the training rows' features
    loops: MeasuredBy | None = None  # of the group shape


# A picture of the fitted size, and what was measured of its loops: nothing but of the group shape.
Candidate = tuple[np.ndarray, np.ndarray]


def write(
    out: Path, fitted: Fitted, identity: manifest.Identity, cohort: Cohort, calls: Calls, card: str, model: bytes, golden: list[Candidate], replace: bool
) -> None:
    """`model` has passed its parity; `golden` may be given away, and the golden picture is chosen from it."""
    with whole.folder(out, replace) as folder:
        (folder / "model.onnx").write_bytes(model)
        (folder / "CARD.md").write_text(card)
        _golden(folder, fitted, model, golden)
        sections = manifest.features_sections(fitted.size, fitted.filter, fitted.groups, features.versions(), seen(fitted.matrix), fitted.loops)
        manifest.written(folder, identity, cohort, "features", sections, calls, manifest.thresholds_how(calls))


def seen(matrix: np.ndarray, margin: float = 0.05) -> list[list[float]]:
    """Smallest and largest of each column, widened by a share of their span on each side, as the networks' envelope is."""
    low, high = matrix.min(axis=0).astype(np.float64), matrix.max(axis=0).astype(np.float64)
    span = high - low
    return [[float(f"{a:.6g}"), float(f"{b:.6g}")] for a, b in zip(low - margin * span, high + margin * span)]


def _golden(folder: Path, fitted: Fitted, model: bytes, candidates: list[Candidate]) -> None:
    picture, vector, answer = steadiest(fitted, model, candidates)
    golden = folder / "golden"
    golden.mkdir()
    Image.fromarray(picture).save(golden / "input.png", optimize=True)
    content = {
        "picture": "golden/input.png",
        "columns": features.columns(fitted.groups),
        # The shortest decimal that is this float32 again.
        "features": [float(str(np.float32(v))) for v in vector],
        "probabilities": [round(float(v), 7) for v in answer],
        "tolerance": TOLERANCE,
    }
    (golden / "features.json").write_text(json.dumps(content, indent=1) + "\n")


def made_up(size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """Pictures of nobody, soft spots on a skin's colour: a golden pair checks arithmetic, and no person's image need travel for that."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        picture = np.zeros((size[1], size[0], 3))
        for cells, strength in ((6, 40.0), (24, 25.0), (96, 12.0)):
            noise = rng.normal(0.0, strength, (cells, cells)).astype(np.float32)
            spots = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
            picture += spots[:, :, None] * (0.6, 1.0, 0.9)
        yield np.clip(picture + (170.0, 120.0, 100.0), 0, 255).astype(np.uint8)


def steadiest(fitted: Fitted, model: bytes, candidates: list[Candidate]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of some pictures the one whose answer moves least when its features move by their tolerance: a tree must not turn on a last digit."""
    rng = np.random.default_rng(0)
    best = None
    for picture, loops in candidates:
        vector = np.concatenate([features.of_picture(picture, fitted.groups), loops]).astype(np.float32)
        scale = TOLERANCE["features"] * np.maximum(1e-3, np.abs(vector))
        moved = vector + rng.uniform(-1.0, 1.0, (64, len(vector))).astype(np.float32) * scale
        answer = convert.answers(model, np.vstack([vector, moved]))
        moves = float(np.abs(answer - answer[0]).max()) + (1.0 if answer[0].max() < 0.5 + TOLD else 0.0)
        if best is None or moves < best[0]:
            best = (moves, picture, vector, answer[0])
    return best[1:]
