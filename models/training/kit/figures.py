"""Figures of scored images, fields, fingers and exams, each with an interval over subjects."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fitting.calibrate import expected_calibration_error, sigmoid
from fitting.measure import RESAMPLES, auc

from .table import Row

UNITS = ("image", "field", "finger", "exam")
# A probability of exactly 0 or 1 (trees, neighbours) has no logit; the daemon uses the same floor.
FLOOR = 1e-6
# Resamples that are computed together: bounds the memory, not the result.
CHUNK = 100


def margin_of(probabilities: np.ndarray) -> np.ndarray:
    """Logit of the positive less that of the other, from [n, 2] probabilities; `docs/bundles.md` has the definition."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR))
    return logits[:, 1] - logits[:, 0]


@dataclass(frozen=True)
class Scored:
    """Units of one kind with their margin, what is true of them and whose they are."""

    margin: np.ndarray
    truth: np.ndarray
    subject: np.ndarray

    def some(self, keep: np.ndarray) -> "Scored":
        return Scored(self.margin[keep], self.truth[keep], self.subject[keep])


def units(rows: list[Row], margin: np.ndarray) -> dict[str, Scored]:
    """A field is the mean of its images, a finger its second highest field (a pattern must recur; its only one where there is one),
    an exam its highest finger (the policy "any finger"). A finger or exam is positive when any field of it is."""
    truth = np.array([row.positive for row in rows], bool)
    subject = np.array([row.subject for row in rows])
    images = Scored(np.asarray(margin, np.float64), truth, subject)
    fields = _pooled([row.field_key for row in rows], images, np.mean)
    fingers = _pooled([key[:2] for key in _keys(row.field_key for row in rows)], fields, _second)
    exams = _pooled([key[:1] for key in _keys(row.finger_key for row in rows)], fingers, np.max)
    return {"image": images, "field": fields, "finger": fingers, "exam": exams}


def _keys(keys) -> list[tuple]:
    return list(dict.fromkeys(keys))


def _second(values: np.ndarray) -> float:
    return float(np.sort(values)[-2]) if len(values) >= 2 else float(values[0])


def _pooled(keys: list[tuple], below: Scored, pool: Callable[[np.ndarray], float]) -> Scored:
    places: dict[tuple, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    groups = list(places.values())
    return Scored(
        np.array([float(pool(below.margin[some])) for some in groups]),
        np.array([bool(below.truth[some].any()) for some in groups]),
        np.array([below.subject[some[0]] for some in groups]),
    )


def figures(scored: Scored, temperature: float) -> dict[str, float]:
    """At calibrated probability one half; a share of nothing is NaN."""
    said, truth = scored.margin > 0.0, scored.truth
    prob = sigmoid(scored.margin / temperature)
    hit, false, missed = (said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum()
    return {
        "f1": float(2 * hit / (2 * hit + false + missed)) if hit + false + missed else float("nan"),
        "accuracy": _share(said == truth),
        "auc": auc(scored.margin, truth),
        "sensitivity": _share(said[truth]),
        "specificity": _share(~said[~truth]),
        "ece": expected_calibration_error(prob, truth),
        "brier": float(np.mean((prob - truth) ** 2)),
    }


def measured(scored: Scored, temperature: float, seed: int) -> dict:
    """The figures with 95 % intervals by drawing subjects with replacement."""
    names, whose = np.unique(scored.subject, return_inverse=True)
    point = figures(scored, temperature)
    rng, samples = np.random.default_rng(seed), []
    for _ in range(0, RESAMPLES, CHUNK):
        drawn = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), CHUNK)
        samples.append(weighted(scored, temperature, drawn[:, whose].astype(np.float64)))
    out = {"units": len(scored.truth), "positive": int(scored.truth.sum()), "subjects": len(names)}
    for key, value in point.items():
        sample = np.concatenate([s[key] for s in samples])
        sample = sample[~np.isnan(sample)]
        low, high = np.percentile(sample, [2.5, 97.5]) if len(sample) else (np.nan, np.nan)
        out[key] = {"value": _tidy(value), "low": _tidy(low), "high": _tidy(high)}
    return out


def weighted(scored: Scored, temperature: float, weight: np.ndarray) -> dict[str, np.ndarray]:
    """`figures` for many resamples at once: a row of `weight` ([resamples, units]) says how often each unit was drawn."""
    truth = scored.truth.astype(np.float64)
    said = (scored.margin > 0.0).astype(np.float64)
    prob = sigmoid(scored.margin / temperature)
    total, positives = weight.sum(axis=1), weight @ truth
    hit, false = weight @ (said * truth), weight @ (said * (1.0 - truth))
    negatives = total - positives
    gap = weight * (prob - truth)
    place = np.minimum((prob * 10).astype(int), 9)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "f1": 2.0 * hit / (hit + false + positives),
            "accuracy": (hit + negatives - false) / total,
            "auc": _areas(scored.margin, truth, weight),
            "sensitivity": hit / positives,
            "specificity": 1.0 - false / negatives,
            "ece": sum(np.abs(gap[:, place == b].sum(axis=1)) for b in range(10)) / total,
            "brier": weight @ (prob - truth) ** 2 / total,
        }


def _areas(margin: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> np.ndarray:
    order = np.argsort(margin, kind="stable")
    ties = np.flatnonzero(np.append(True, np.diff(margin[order]) != 0.0))
    up = np.add.reduceat(weight[:, order] * truth[order], ties, axis=1)
    down = np.add.reduceat(weight[:, order] * (1.0 - truth[order]), ties, axis=1)
    below = np.cumsum(down, axis=1) - down / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return (up * below).sum(axis=1) / (up.sum(axis=1) * down.sum(axis=1))


def by_device(rows: list[Row], scored: Scored, temperature: float, seed: int) -> dict[str, dict]:
    device = np.array([row.device for row in rows])
    return {str(name): measured(scored.some(device == name), temperature, seed) for name in np.unique(device)}


def risk_coverage(scored: Scored, temperature: float) -> list[tuple[float, float]]:
    """Share of units answered, surest first, and the share of wrong answers among them."""
    prob = sigmoid(scored.margin / temperature)
    order = np.argsort(-np.abs(prob - 0.5), kind="stable")
    wrong = ((prob > 0.5) != scored.truth)[order]
    count = np.arange(1, len(wrong) + 1)
    return list(zip((count / len(wrong)).tolist(), (np.cumsum(wrong) / count).tolist()))


def roc(scored: Scored) -> list[tuple[float, float]]:
    """False and true positive shares over all thresholds, from (0, 0) to (1, 1)."""
    order = np.argsort(-scored.margin, kind="stable")
    truth, margin = scored.truth[order], scored.margin[order]
    last = np.append(np.flatnonzero(np.diff(margin)), len(margin) - 1)
    hits, false = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    points = zip((false / max((~truth).sum(), 1)).tolist(), (hits / max(truth.sum(), 1)).tolist())
    return [(0.0, 0.0), *points]


def reliability(scored: Scored, temperature: float, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean said probability, seen share and count of each bin that is not empty."""
    prob = sigmoid(scored.margin / temperature)
    place = np.minimum((prob * bins).astype(int), bins - 1)
    return [
        (float(prob[place == b].mean()), float(scored.truth[place == b].mean()), int((place == b).sum()))
        for b in range(bins) if (place == b).any()
    ]


def confusion(scored: Scored) -> list[list[int]]:
    """Rows: truly negative, truly positive; columns: said negative, said positive."""
    said = scored.margin > 0.0
    return [[int((~said & ~scored.truth).sum()), int((said & ~scored.truth).sum())], [int((~said & scored.truth).sum()), int((said & scored.truth).sum())]]


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _tidy(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
