"""What a model by features says of images that it was not made of: figures by subject, and nothing learned."""

import csv
from pathlib import Path

import numpy as np

from fitting.calibrate import expected_calibration_error, sigmoid
from fitting.measure import auc

from . import convert, features
from .calls import Calls
from .figures import margin_of
from .problem import Problem


def looked(folder: Path, model: bytes, groups: tuple[str, ...], size: tuple[int, int], calls: Calls, seen: list[list[float]]) -> dict:
    """Of a folder with `frames/` and `labels.csv` (columns frame, subject, disease)."""
    try:
        entries = list(csv.DictReader((folder / "labels.csv").open()))
        matrix = np.stack([features.of_picture(features.prepared(folder / "frames" / e["frame"], size), groups) for e in entries])
        subject, ill = np.array([e["subject"] for e in entries]), np.array([e["disease"] == "yes" for e in entries])
    except (OSError, KeyError, ValueError) as error:
        raise Problem(f"{folder}: wanted is a folder with frames/ and labels.csv (frame, subject, disease): {error!r}") from error
    return summarised(margin_of(convert.answers(model, matrix)), subject, ill, calls, outside(matrix, seen))


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


def told(facts: dict) -> str:
    """The card's section."""
    rows = "\n".join(
        f"| {name} | {'yes' if s['disease'] else 'no'} | {s['frames']} | {s['mean']} ({s['lowest']} to {s['highest']}) | {s['above_upper']} | {s['below_lower']} | {s['out_of_cohort']} |"
        for name, s in facts["subjects"].items()
    )
    healthy, with_ = facts["without_disease"], facts["with_disease"]
    return f"""## On real frames
For curiosity only: frames of a university course's public data set (petrick001/nailfold-capillary-deep-learning, commit 60cd7f56), without the daemon's
quality gate. One subject has a disease that the source does not name; exposure, colour and blur differ from subject to subject, so these figures validate
nothing, in either direction. None of these frames was trained, calibrated or tested on; the simulator's colours and contrast were set by people who had them in view.

| subject | disease | frames | mean probability of the positive label (lowest to highest) | above upper | below lower | out of cohort |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

Of {healthy['frames']} frames of subjects without disease {healthy['above_upper']} are above the upper threshold and {healthy['below_lower']} below the lower; of {with_['frames']} frames of the one with disease
{with_['above_upper']} above and {with_['below_lower']} below. AUC over frames {facts['auc_frames']}, with one subject on one side; calibration error {facts['ece_frames']}. Out of cohort are
{healthy['out_of_cohort'] + with_['out_of_cohort']} of {healthy['frames'] + with_['frames']} frames.
"""
