"""What a model says of images that it was not made of: figures by subject, and nothing learned."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from fitting.calibrate import expected_calibration_error, sigmoid
from fitting.measure import auc

from .calls import Calls
from .figures import margin_of
from .problem import USAGE, Problem, several

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    paths: list[Path]
    subject: np.ndarray
    ill: np.ndarray

    def each(self, read: Callable[[Path], T]) -> list[T]:
        out, broken = [], []
        for path in self.paths:
            try:
                out.append(read(path))
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                broken.append(f"{path}: {error}")
        if broken:
            raise several("images that cannot be read", broken)
        return out


def shown(folder: Path) -> Shown:
    """Of a folder with `frames/` and `labels.csv` (columns frame, subject, disease)."""
    try:
        with (folder / "labels.csv").open(newline="", encoding="utf-8-sig") as lines:
            entries = list(csv.DictReader(lines))
        paths = [folder / "frames" / entry["frame"] for entry in entries]
        subject, ill = np.array([entry["subject"] for entry in entries]), np.array([entry["disease"] == "yes" for entry in entries])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise Problem(f"{folder}: wanted is a folder with frames/ and labels.csv (frame, subject, disease): {error!r}") from error
    gone = [str(path) for path in paths if not path.is_file()]
    if gone or not paths:
        raise several(f"{folder}/labels.csv: frames that are not there", gone or ["it names none"])
    return Shown(paths, subject, ill)


def looked(folder: Path, model: bytes, groups: tuple[str, ...], size: tuple[int, int], calls: Calls, seen: list[list[float]], loops: Path | None) -> dict:
    """What a model by features says of them; of those whose loops were measured, where it reads them."""
    from . import convert, features
    from .loops import shape_of

    others = shown(folder)
    measured = np.zeros((len(others.paths), 0), np.float32)
    if "shape" in groups:
        if loops is None:
            raise Problem(f"{folder}: a model of the group shape needs what was measured there, too: name it as --elsewhere-loops", USAGE)
        measured = shape_of(loops, others.paths)
    keep = np.isfinite(measured).all(axis=1)
    if not keep.any():
        raise Problem(f"{loops}: of no frame of {folder} all that the group shape needs was measured")
    matrix = np.hstack([np.stack(others.each(lambda path: features.of_picture(features.prepared(path, size), groups))), measured])[keep]
    facts = summarised(margin_of(convert.answers(model, matrix)), others.subject[keep], others.ill[keep], calls, outside(matrix, seen))
    return facts | {"left_out": int((~keep).sum())}


def outside(matrix: np.ndarray, seen: list[list[float]]) -> np.ndarray:
    bounds = np.array(seen)
    return ((matrix < bounds[:, 0]) | (matrix > bounds[:, 1])).any(axis=1)


def summarised(margin: np.ndarray, subject: np.ndarray, ill: np.ndarray, calls: Calls, out_of_cohort: np.ndarray) -> dict:
    prob = sigmoid(margin / calls.temperature)

    def of(keep: np.ndarray) -> dict:
        return {
            "frames": int(keep.sum()), "mean": round(float(prob[keep].mean()), 3), "lowest": round(float(prob[keep].min()), 3),
            "highest": round(float(prob[keep].max()), 3), "above_upper": int((prob[keep] > calls.thresholds.upper).sum()),
            "below_lower": int((prob[keep] < calls.thresholds.lower).sum()), "out_of_cohort": int(out_of_cohort[keep].sum()),
        }

    return {
        "auc_frames": round(auc(margin, ill), 3),
        "ece_frames": round(expected_calibration_error(prob, ill), 3),
        "with_disease": of(ill),
        "without_disease": of(~ill),
        "subjects": {str(name): {"disease": bool(ill[subject == name][0]), **of(subject == name)} for name in np.unique(subject)},
    }


def told(facts: dict, origin: str) -> str:
    """The card's section; `origin` is what the maker says of those images."""
    rows = "\n".join(
        f"| {name} | {'yes' if s['disease'] else 'no'} | {s['frames']} | {s['mean']} ({s['lowest']} to {s['highest']}) | {s['above_upper']} | {s['below_lower']} | {s['out_of_cohort']} |"
        for name, s in facts["subjects"].items()
    )
    healthy, with_ = facts["without_disease"], facts["with_disease"]
    left_out = f" Left out are {facts['left_out']} more frames, whose loops' figures were not all measured." if facts.get("left_out") else ""
    sides = [sum(s["disease"] is kind for s in facts["subjects"].values()) for kind in (True, False)]
    return f"""## On real frames
For curiosity only: {origin or 'images that the maker named without saying what they are'}, without the daemon's
quality gate. Subjects with a disease: {sides[0]}, without: {sides[1]}. So few, whose exposure, colour and blur may differ from subject to subject, validate
nothing, in either direction. None of these frames was trained, calibrated or tested on.

| subject | disease | frames | mean probability of the positive label (lowest to highest) | above upper | below lower | out of cohort |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

Of {healthy['frames']} frames of subjects without disease {healthy['above_upper']} are above the upper threshold and {healthy['below_lower']} below the lower; of {with_['frames']} frames of those with disease
{with_['above_upper']} above and {with_['below_lower']} below. AUC over frames {facts['auc_frames']}; calibration error {facts['ece_frames']}. Out of cohort are
{healthy['out_of_cohort'] + with_['out_of_cohort']} of {healthy['frames'] + with_['frames']} frames.{left_out}
"""
