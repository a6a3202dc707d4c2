"""One protocol for every model: learn on subjects, calibrate on others, ask on others again; repeated with other splits."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .calls import Calls, conformal_figures, finger_calls, settle
from .figures import UNITS, by_device, confusion, figures, margin_of, measured, reliability, risk_coverage, roc, units
from .splits import image_split, subject_split
from .table import Cohort, Row

# Learns on the rows of the first places and answers [n, 2] probabilities for those of the others, in their order.
Trial = Callable[[np.ndarray, list[np.ndarray], int], list[np.ndarray]]


@dataclass(frozen=True)
class Plan:
    seed: int = 1
    repeats: int = 5
    exam_false_alarm: float = 0.05


def rows_at(cohort: Cohort, places: np.ndarray) -> list[Row]:
    return [cohort.rows[i] for i in places]


def tried(cohort: Cohort, trial: Trial, plan: Plan, images_too: bool = True) -> dict:
    """Every figure of one model. The first split's figures have intervals and curves; the others say how much a split matters."""
    repeats, first = [], None
    for number in range(plan.repeats):
        parts = subject_split(cohort, plan.seed + number)
        held = [parts["calibration"], parts["test"]]
        calibration, test = (margin_of(p) for p in trial(parts["train"], held, plan.seed + number))
        calls = settle(rows_at(cohort, held[0]), calibration, plan.exam_false_alarm)
        scored = units(rows_at(cohort, held[1]), test)
        repeats.append({unit: figures(scored[unit], calls.temperature) for unit in UNITS})
        if first is None:
            first = asked(rows_at(cohort, held[1]), test, calls, plan.seed)
    out = {"first": first, "repeated": {unit: _spread([r[unit] for r in repeats]) for unit in UNITS}, "repeats": plan.repeats}
    if images_too:
        out["by_image"] = _by_image(cohort, trial, plan)
    return out


def asked(rows: list[Row], margin: np.ndarray, calls: Calls, seed: int) -> dict:
    """The figures and curves of one set of held-out subjects."""
    scored = units(rows, margin)
    return {
        "calls": said(calls),
        **{unit: measured(scored[unit], calls.temperature, seed) for unit in UNITS},
        "device": by_device(rows, scored["image"], calls.temperature, seed),
        "finger_calls": finger_calls(rows, margin, calls),
        "conformal": conformal_figures(scored["finger"], calls),
        "curves": {
            "roc": _thinned(roc(scored["image"])),
            "reliability": reliability(scored["image"], calls.temperature),
            "risk_coverage": _thinned(risk_coverage(scored["finger"], calls.temperature)),
            "confusion": confusion(scored["image"]),
        },
    }


def said(calls: Calls) -> dict:
    return {
        "temperature": round(calls.temperature, 4), "lower": calls.thresholds.lower, "upper": calls.thresholds.upper, "recur": calls.recur,
        "false_alarms": int(calls.false_alarms), "clean_fingers": calls.clean_fingers, "bound": round(calls.bound, 4),
        "exam_budget": calls.exam_budget, "subjects": calls.subjects,
        "conformal": {"negative": _finite(calls.conformal[False]), "positive": _finite(calls.conformal[True])},
    }


def _by_image(cohort: Cohort, trial: Trial, plan: Plan) -> dict:
    """The study's way, for comparison alone: no calibration, images of one person on both sides, over the same repeats."""
    repeats = []
    for number in range(plan.repeats):
        parts = image_split(cohort, plan.seed + number)
        (test,) = (margin_of(p) for p in trial(parts["train"], [parts["test"]], plan.seed + number))
        repeats.append(figures(units(rows_at(cohort, parts["test"]), test)["image"], 1.0))
    return _spread(repeats)


def _spread(repeats: list[dict[str, float]]) -> dict[str, dict]:
    """Mean and standard deviation of each figure over the repeats in which it is defined."""
    out = {}
    for key in repeats[0]:
        values = np.array([r[key] for r in repeats])
        values = values[~np.isnan(values)]
        out[key] = {"mean": round(float(values.mean()), 4), "sd": round(float(values.std(ddof=1)), 4) if len(values) > 1 else None} if len(values) else None
    return out


def _thinned(points: list[tuple[float, float]], most: int = 120) -> list[list[float]]:
    keep = np.unique(np.linspace(0, len(points) - 1, min(most, len(points))).round().astype(int))
    return [[round(points[i][0], 4), round(points[i][1], 4)] for i in keep]


def _finite(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
