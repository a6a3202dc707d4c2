"""Figures of a scored set: a frame, a field (mean of its frames' margins) and a finger each count as one; intervals over subjects."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .calibrate import Thresholds, called_negative, called_positive, expected_calibration_error, sigmoid
from .frames import Frame

RESAMPLES = 1000


@dataclass(frozen=True)
class Units:
    """Scored units with what is true of them and whose they are."""

    margin: np.ndarray
    truth: np.ndarray
    subject: np.ndarray

    def some(self, keep: np.ndarray) -> "Units":
        return Units(self.margin[keep], self.truth[keep], self.subject[keep])


def frames_as_units(frames: list[Frame], margin: np.ndarray) -> Units:
    return Units(margin, np.array([f.positive for f in frames]), np.array([f.subject for f in frames]))


def fields_as_units(frames: list[Frame], margin: np.ndarray) -> Units:
    """Frames of one field are near copies: their mean is one piece of evidence."""
    groups = _grouped(frames, lambda f: f.field_key)
    return Units(
        np.array([margin[places].mean() for places in groups.values()]),
        np.array([frames[places[0]].positive for places in groups.values()]),
        np.array([key[0] for key in groups]),
    )


@dataclass(frozen=True)
class Fingers:
    """Each finger's field probabilities; true when any field shows the pattern."""

    probs: list[np.ndarray]
    truth: np.ndarray
    subject: np.ndarray


def fingers(frames: list[Frame], margin: np.ndarray, temperature: float) -> Fingers:
    fields = _grouped(frames, lambda f: f.field_key)
    probs, truth = defaultdict(list), defaultdict(bool)
    for key, places in fields.items():
        probs[key[:2]].append(float(sigmoid(margin[places].mean() / temperature)))
        truth[key[:2]] |= frames[places[0]].positive
    keys = list(probs)
    return Fingers([np.array(probs[k]) for k in keys], np.array([truth[k] for k in keys]), np.array([k[0] for k in keys]))


def auc(margin: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN when one kind is missing."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(margin, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return float((rank[truth].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


def binary_figures(units: Units, temperature: float) -> dict[str, float]:
    """AUC, and accuracy, sensitivity and specificity at probability one half, and the calibration error."""
    said = units.margin > 0.0
    prob = sigmoid(units.margin / temperature)
    return {
        "auc": auc(units.margin, units.truth),
        "accuracy": _share(said == units.truth),
        "sensitivity": _share(said[units.truth]),
        "specificity": _share(~said[~units.truth]),
        "ece": expected_calibration_error(prob, units.truth),
    }


def finger_figures(set_: Fingers, thresholds: Thresholds) -> dict[str, float]:
    """What the calls come to. Shares are of all fingers of the kind, so abstaining costs sensitivity and specificity alike."""
    positive = np.array([called_positive(f, thresholds.upper) for f in set_.probs])
    negative = np.array([called_negative(f, thresholds.lower) for f in set_.probs])
    # The second highest field carries the finger: a pattern must recur to count.
    second = np.array([np.sort(f)[-2] if len(f) >= 2 else f[0] for f in set_.probs])
    return {
        "auc": auc(second, set_.truth),
        "called": _share(positive | negative),
        "sensitivity": _share(positive[set_.truth]),
        "missed": _share(negative[set_.truth]),
        "specificity": _share(negative[~set_.truth]),
        "false_alarm": _share(positive[~set_.truth]),
    }


def with_interval(subject: np.ndarray, figures: Callable[[np.ndarray], dict[str, float]], seed: int) -> dict[str, dict]:
    """Each figure with its 95 % interval by drawing subjects with replacement; `figures` takes the places of the units drawn."""
    names = np.unique(subject)
    places = {name: np.flatnonzero(subject == name) for name in names}
    point = figures(np.arange(len(subject)))
    rng = np.random.default_rng(seed)
    drawn = [
        figures(np.concatenate([places[name] for name in rng.choice(names, len(names))])) for _ in range(RESAMPLES)
    ]
    out = {}
    for key, value in point.items():
        sample = np.array([d[key] for d in drawn])
        sample = sample[~np.isnan(sample)]
        low, high = np.percentile(sample, [2.5, 97.5]) if len(sample) else (float("nan"), float("nan"))
        out[key] = {"value": _tidy(value), "low": _tidy(low), "high": _tidy(high)}
    return out


def of_units(units: Units, temperature: float, seed: int) -> dict:
    return {
        "units": len(units.truth),
        "positive": int(units.truth.sum()),
        "subjects": len(np.unique(units.subject)),
        **with_interval(units.subject, lambda places: binary_figures(units.some(places), temperature), seed),
    }


def of_fingers(set_: Fingers, thresholds: Thresholds, seed: int) -> dict:
    def drawn(places: np.ndarray) -> dict[str, float]:
        some = Fingers([set_.probs[i] for i in places], set_.truth[places], set_.subject[places])
        return finger_figures(some, thresholds)

    return {
        "units": len(set_.truth),
        "positive": int(set_.truth.sum()),
        "subjects": len(np.unique(set_.subject)),
        **with_interval(set_.subject, drawn, seed),
    }


def _grouped(frames: list[Frame], key: Callable[[Frame], tuple]) -> dict[tuple, list[int]]:
    groups = defaultdict(list)
    for place, frame in enumerate(frames):
        groups[key(frame)].append(place)
    return groups


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _tidy(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
