"""From probabilities to calls: temperature and thresholds on subjects kept for it, and conformal sets by finger with subjects as the unit."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from fitting.calibrate import (
    Thresholds, called_negative, called_positive, choose_thresholds, exact_upper_bound, fit_temperature, finger_false_alarm_budget, sigmoid
)

from .figures import Scored, units
from .problem import Problem
from .table import Row

# Share of new subjects for whom any of their fingers may lie outside its set; ours.
ALPHA = 0.1


@dataclass(frozen=True)
class Calls:
    """What is fixed on the calibration subjects."""

    temperature: float
    thresholds: Thresholds
    recur: int  # fields of a finger that must agree
    false_alarms: int
    clean_fingers: int
    exam_budget: float
    subjects: int
    conformal: dict[bool, float]  # by true label: the largest strangeness that is still in the set

    @property
    def bound(self) -> float:
        """The largest true rate of false fingers that would still give so few (one-sided 95 %)."""
        return exact_upper_bound(self.false_alarms, self.clean_fingers)


def settle(rows: list[Row], margin: np.ndarray, exam_budget: float) -> Calls:
    truth = np.array([row.positive for row in rows])
    temperature = fit_temperature(margin, truth)
    probs, fingers = finger_fields(rows, margin, temperature)
    recur = 2 if all(any(len(f) >= 2 and t == kind for f, t in zip(probs, fingers.truth)) for kind in (True, False)) else 1
    try:
        thresholds = choose_thresholds(probs, fingers.truth, exam_budget, recur)
    except ValueError as error:
        raise Problem(f"calibration: {error}") from error
    clean = [f for f, t in zip(probs, fingers.truth) if not t and len(f) >= recur]
    return Calls(
        temperature, thresholds, recur, sum(called_positive(f, thresholds.upper, recur) for f in clean), len(clean), exam_budget,
        len({row.subject for row in rows}), conformal_limits(fingers, temperature),
    )


def finger_fields(rows: list[Row], margin: np.ndarray, temperature: float) -> tuple[list[np.ndarray], Scored]:
    """Each finger's field probabilities, and the fingers as scored units in the same order."""
    scored = units(rows, margin)
    keys = list(dict.fromkeys(row.field_key for row in rows))
    probs: dict[tuple, list[float]] = defaultdict(list)
    for key, value in zip(keys, sigmoid(scored["field"].margin / temperature)):
        probs[key[:2]].append(float(value))
    return [np.array(f) for f in probs.values()], scored["finger"]


def finger_calls(rows: list[Row], margin: np.ndarray, calls: Calls) -> dict[str, float]:
    """What the thresholds come to on other subjects; abstaining counts against sensitivity and specificity alike."""
    probs, fingers = finger_fields(rows, margin, calls.temperature)
    positive = np.array([called_positive(f, calls.thresholds.upper, calls.recur) for f in probs])
    negative = np.array([called_negative(f, calls.thresholds.lower, calls.recur) for f in probs])
    subjects = np.unique(fingers.subject)
    healthy = [s for s in subjects if not fingers.truth[fingers.subject == s].any()]
    alarmed = sum(positive[fingers.subject == s].any() for s in healthy)
    return {
        "fingers": len(probs),
        "called": float((positive | negative).mean()),
        "sensitivity": float(positive[fingers.truth].mean()),
        "missed": float(negative[fingers.truth].mean()),
        "specificity": float(negative[~fingers.truth].mean()),
        "false_alarm": float(positive[~fingers.truth].mean()),
        "healthy_exams": len(healthy),
        "healthy_exams_alarmed": int(alarmed),
    }


def conformal_limits(fingers: Scored, temperature: float, alpha: float = ALPHA) -> dict[bool, float]:
    """Split conformal for each label: a subject's strangeness is the largest of its fingers of that label, 1 less the said probability
    of the truth; the limit is the ceil((n + 1)(1 - alpha))-th smallest over n subjects. Infinite where too few subjects are there."""
    prob = sigmoid(fingers.margin / temperature)
    strange = np.where(fingers.truth, 1.0 - prob, prob)
    limits = {}
    for kind in (False, True):
        of_kind = fingers.truth == kind
        worst = np.sort([strange[of_kind & (fingers.subject == s)].max() for s in np.unique(fingers.subject[of_kind])])
        rank = int(np.ceil((len(worst) + 1) * (1.0 - alpha)))
        limits[kind] = float(worst[rank - 1]) if rank <= len(worst) else float("inf")
    return limits


def conformal_figures(fingers: Scored, calls: Calls) -> dict[str, float]:
    """How often sets hold the truth, by finger and for whole subjects, and how many say one thing, both, or neither."""
    prob = sigmoid(fingers.margin / calls.temperature)
    holds = {True: 1.0 - prob <= calls.conformal[True], False: prob <= calls.conformal[False]}
    right = np.where(fingers.truth, holds[True], holds[False])
    size = holds[True].astype(int) + holds[False]
    subjects = np.unique(fingers.subject)
    return {
        "aimed_at": 1.0 - ALPHA,
        "covered_fingers": float(right.mean()),
        "covered_subjects": float(np.mean([right[fingers.subject == s].all() for s in subjects])),
        "one_label": float((size == 1).mean()),
        "both": float((size == 2).mean()),
        "neither": float((size == 0).mean()),
    }


def budget(calls: Calls) -> float:
    return finger_false_alarm_budget(calls.exam_budget)
