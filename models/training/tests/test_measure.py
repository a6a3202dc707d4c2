"""AUC against counting pairs, and units that are what they say."""

from pathlib import Path

import numpy as np
import pytest

from fitting import measure
from fitting.calibrate import Thresholds
from fitting.frames import Frame


def test_auc_counts_pairs_and_halves_ties():
    rng = np.random.default_rng(3)
    margin, truth = rng.integers(0, 6, 80).astype(float), rng.random(80) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in margin[truth] for b in margin[~truth]]
    assert measure.auc(margin, truth) == pytest.approx(np.mean(pairs))


def test_auc_of_one_kind_is_not_a_number():
    assert np.isnan(measure.auc(np.array([1.0, 2.0]), np.array([True, True])))


def frame(subject: str, finger: str, number: int, positive: bool) -> Frame:
    return Frame(Path("x"), subject, finger, number, "device", 1.2, positive, 5.0, 20.0, stratum="")


def test_frames_of_a_field_are_one_piece_of_evidence():
    frames = [frame("a", "R4", 1, False)] * 3 + [frame("a", "R4", 2, True)]
    units = measure.fields_as_units(frames, np.array([1.0, 2.0, 3.0, 9.0]))
    assert units.margin.tolist() == [2.0, 9.0] and units.truth.tolist() == [False, True]


def test_fingers_gather_their_fields_and_abstaining_costs_both_ways():
    frames = [frame("a", "R4", 1, True), frame("a", "R4", 2, False), frame("b", "R4", 1, False), frame("b", "R4", 2, False)]
    set_ = measure.fingers(frames, np.array([9.0, 9.0, 0.0, -9.0]), 1.0)
    assert set_.truth.tolist() == [True, False]
    figures = measure.finger_figures(set_, Thresholds(0.2, 0.8))
    assert figures["sensitivity"] == 1.0 and figures["specificity"] == 0.0 and figures["false_alarm"] == 0.0 and figures["called"] == 0.5


def test_intervals_draw_subjects_not_frames():
    subject = np.array(["a"] * 500 + ["b"] * 500)
    value = np.array([0.0] * 500 + [1.0] * 500)
    figure = measure.with_interval(subject, lambda places: {"mean": float(value[places].mean())}, seed=0)["mean"]
    assert (figure["value"], figure["low"], figure["high"]) == (0.5, 0.0, 1.0)
