"""Temperature, calibration error, thresholds and the exact bound."""

import numpy as np
import pytest

from fitting import calibrate


def overconfident(n: int = 20000, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    margin = rng.normal(0.0, 2.0, n)
    return margin * factor, rng.random(n) < calibrate.sigmoid(margin)


def test_temperature_finds_by_how_much_a_model_boasts():
    margin, truth = overconfident(factor=3.0)
    assert calibrate.fit_temperature(margin, truth) == pytest.approx(3.0, rel=0.05)


def test_temperature_lowers_the_calibration_error():
    margin, truth = overconfident()
    before = calibrate.expected_calibration_error(calibrate.sigmoid(margin), truth)
    after = calibrate.expected_calibration_error(calibrate.sigmoid(margin / calibrate.fit_temperature(margin, truth)), truth)
    assert after < 0.02 < 0.1 < before


def test_calibration_error_of_a_constant():
    prob, truth = np.full(10, 0.75), np.array([True] * 5 + [False] * 5)
    assert calibrate.expected_calibration_error(prob, truth) == pytest.approx(0.25)


def test_budget_over_eight_fingers():
    assert calibrate.finger_false_alarm_budget(0.05, 8) == pytest.approx(0.00639, abs=1e-5)


def test_a_positive_must_recur_and_a_negative_must_be_whole():
    assert not calibrate.called_positive(np.array([0.99, 0.3]), 0.8)
    assert calibrate.called_positive(np.array([0.99, 0.81, 0.1]), 0.8)
    assert not calibrate.called_negative(np.array([0.01]), 0.2)
    assert not calibrate.called_negative(np.array([0.01, 0.3]), 0.2)
    assert calibrate.called_negative(np.array([0.01, 0.1]), 0.2)


def test_thresholds_hold_both_budgets():
    rng = np.random.default_rng(1)
    clean = [np.clip(rng.normal(0.5, 0.25, 3), 0, 1) for _ in range(1000)]
    ill = [np.clip(rng.normal(0.7, 0.3, 3), 0, 1) for _ in range(1000)]
    chosen = calibrate.choose_thresholds(clean + ill, np.array([False] * 1000 + [True] * 1000))
    assert np.mean([calibrate.called_positive(f, chosen.upper) for f in clean]) <= calibrate.finger_false_alarm_budget()
    assert np.mean([calibrate.called_negative(f, chosen.lower) for f in ill]) <= calibrate.FINGER_MISS
    assert chosen.upper > calibrate.LEAST_UPPER


def test_even_perfect_scores_keep_a_band_of_doubt():
    fingers = [np.array([0.0, 0.0])] * 50 + [np.array([1.0, 1.0])] * 50
    chosen = calibrate.choose_thresholds(fingers, np.array([False] * 50 + [True] * 50))
    assert (chosen.lower, chosen.upper) == (calibrate.MOST_LOWER, calibrate.LEAST_UPPER)


def test_thresholds_need_both_kinds():
    with pytest.raises(ValueError, match="both categories"):
        calibrate.choose_thresholds([np.array([0.1, 0.1])], np.array([False]))


@pytest.mark.parametrize(("events", "trials", "bound"), [(0, 59, 0.0495), (0, 300, 0.00994), (2, 100, 0.0616)])
def test_exact_bound_against_the_tables(events, trials, bound):
    assert calibrate.exact_upper_bound(events, trials) == pytest.approx(bound, abs=2e-4)
