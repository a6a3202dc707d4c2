"""Turns scores into probabilities (temperature) and probabilities into calls (two thresholds), on subjects kept for nothing else."""

from dataclasses import dataclass

import numpy as np

# A healthy person should meet at most this chance of one false finger over a whole exam of eight.
EXAM_FALSE_ALARM = 0.05
FINGERS = 8
# Share of fingers with a scleroderma pattern that may be read as "no pattern seen" instead of positive or not classifiable.
FINGER_MISS = 0.02
# However well the drawn subjects separate, a call needs at least this much; below it the reader is told "not classifiable".
LEAST_UPPER, MOST_LOWER = 0.80, 0.20
# Fields of a finger that must agree before it is called.
RECUR = 2


def sigmoid(margin: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.asarray(margin, np.float64)))


def log_loss(margin: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    z = np.asarray(margin, np.float64) / temperature
    return float(np.mean(np.logaddexp(0.0, np.where(truth, -z, z))))


def fit_temperature(margin: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of least log loss; `margin` is positive logit less negative logit.

    Golden section over the logarithm: the loss has one minimum in it.
    """
    low, high = np.log(0.05), np.log(20.0)
    ratio = (np.sqrt(5.0) - 1.0) / 2.0
    while high - low > 1e-6:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if log_loss(margin, truth, float(np.exp(a))) < log_loss(margin, truth, float(np.exp(b))):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2.0))


def expected_calibration_error(prob: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Mean gap between the said and the seen share of positives over equal-width bins, weighted by their size."""
    place = np.minimum((np.asarray(prob) * bins).astype(int), bins - 1)
    gaps = [
        (place == b).mean() * abs(prob[place == b].mean() - truth[place == b].mean())
        for b in range(bins)
        if (place == b).any()
    ]
    return float(np.sum(gaps))


def finger_false_alarm_budget(exam: float = EXAM_FALSE_ALARM, fingers: int = FINGERS) -> float:
    """Per-finger rate that keeps the chance of any false finger in an exam of independent fingers at `exam`."""
    return 1.0 - (1.0 - exam) ** (1.0 / fingers)


@dataclass(frozen=True)
class Thresholds:
    lower: float
    upper: float


def called_positive(fields: np.ndarray, upper: float, recur: int = RECUR) -> bool:
    """A finger is positive when two of its fields are above the upper threshold: once is not enough."""
    return int((fields > upper).sum()) >= recur


def called_negative(fields: np.ndarray, lower: float, recur: int = RECUR) -> bool:
    """A finger shows no pattern when it has at least two fields and all of them are below the lower threshold."""
    return len(fields) >= recur and bool((fields < lower).all())


def choose_thresholds(fingers: list[np.ndarray], truth: np.ndarray, exam: float = EXAM_FALSE_ALARM, recur: int = RECUR) -> Thresholds:
    """The least strict thresholds that hold both budgets on the calibration fingers.

    `fingers` holds each finger's field probabilities, `truth` whether any of its fields shows the pattern. `recur` is less than two
    only for images with one field a finger, of which the daemon itself would call none.
    """
    negatives = [f for f, t in zip(fingers, truth) if not t and len(f) >= recur]
    positives = [f for f, t in zip(fingers, truth) if t and len(f) >= recur]
    if not negatives or not positives:
        raise ValueError("thresholds need calibration fingers of both categories with two fields or more")
    grid = np.round(np.arange(0.01, 1.0, 0.01), 2)
    budget = finger_false_alarm_budget(exam)
    strict = [u for u in grid if np.mean([called_positive(f, u, recur) for f in negatives]) <= budget]
    loose = [v for v in grid if np.mean([called_negative(f, v, recur) for f in positives]) <= FINGER_MISS]
    upper = float(max(LEAST_UPPER, min(strict, default=0.99)))
    lower = float(min(MOST_LOWER, max(loose, default=0.01)))
    return Thresholds(lower=lower, upper=upper)


def exact_upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson bound: the largest rate that would still give so few events with 1 - confidence."""
    if trials == 0 or events >= trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2.0
        at_most = _binomial_at_most(events, trials, rate)
        low, high = (rate, high) if at_most > 1.0 - confidence else (low, rate)
    return high


def _binomial_at_most(events: int, trials: int, rate: float) -> float:
    if rate <= 0.0:
        return 1.0
    if rate >= 1.0:
        return 0.0
    term = (1.0 - rate) ** trials
    total = term
    for k in range(1, events + 1):
        term *= (trials - k + 1) / k * rate / (1.0 - rate)
        total += term
    return total
