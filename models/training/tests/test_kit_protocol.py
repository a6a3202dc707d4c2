"""Splits, figures and calls against what can be counted by hand."""

import numpy as np
import pytest
from kit_cohort import entries, written

from fitting.calibrate import choose_thresholds
from kit import calls, figures, protocol, splits, table
from kit.problem import Problem


@pytest.fixture()
def cohort(tmp_path):
    rows = entries(40)
    source = written(tmp_path, rows, pictures=False)
    for row in rows:
        (tmp_path / row["file"]).touch()
    return table.read(source)


def test_no_subject_is_in_two_parts_and_the_split_is_the_seeds(cohort):
    parts = splits.subject_split(cohort, 3)
    subjects = [{cohort.rows[i].subject for i in places} for places in parts.values()]
    assert sum(len(s) for s in subjects) == 40 == len(set.union(*subjects))
    assert all((splits.subject_split(cohort, 3)[part] == parts[part]).all() for part in parts)
    assert any(len(splits.subject_split(cohort, 4)[part]) != len(parts[part]) or (splits.subject_split(cohort, 4)[part] != parts[part]).any() for part in parts)


def test_the_split_by_image_puts_persons_on_both_sides(cohort):
    parts = splits.image_split(cohort, 1)
    assert (len(parts["train"]), len(parts["test"])) == (112, 48)
    assert {cohort.rows[i].subject for i in parts["train"]} & {cohort.rows[i].subject for i in parts["test"]}


def test_too_few_subjects_are_refused(tmp_path):
    rows = entries(3)
    source = written(tmp_path, rows)
    with pytest.raises(Problem, match="3 subjects are too few"):
        splits.subject_split(table.read(source), 1)


def test_figures_are_those_of_the_confusion_table():
    scored = figures.Scored(np.array([2.0, 1.0, -1.0, -2.0, 3.0]), np.array([True, True, True, False, False]), np.array(list("aabbc")))
    got = figures.figures(scored, 1.0)
    assert got["accuracy"] == pytest.approx(3 / 5) and got["sensitivity"] == pytest.approx(2 / 3) and got["specificity"] == pytest.approx(1 / 2)
    assert got["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    prob = 1 / (1 + np.exp(-scored.margin))
    assert got["brier"] == pytest.approx(np.mean((prob - scored.truth) ** 2))
    assert figures.confusion(scored) == [[1, 1], [1, 2]]


def test_resamples_by_weight_are_the_figures_of_the_units_drawn():
    rng = np.random.default_rng(2)
    scored = figures.Scored(rng.normal(size=60).round(1), rng.random(60) < 0.4, np.repeat(np.arange(15), 4))
    drawn = rng.integers(0, 15, 15)
    places = np.concatenate([np.flatnonzero(scored.subject == s) for s in drawn])
    weight = np.bincount(drawn, minlength=15)[scored.subject][None].astype(float)
    wanted = figures.figures(scored.some(places), 0.7)
    got = figures.weighted(scored, 0.7, weight)
    assert {key: float(value[0]) for key, value in got.items()} == pytest.approx(wanted)


def test_intervals_hold_their_value_and_widen_with_fewer_subjects():
    rng = np.random.default_rng(4)

    def width(subjects):
        truth = np.repeat(rng.random(subjects) < 0.5, 8)
        figure = figures.measured(figures.Scored(truth * 1.5 + rng.normal(size=8 * subjects), truth, np.repeat(np.arange(subjects), 8)), 1.0, 0)["auc"]
        assert figure["low"] < figure["value"] < figure["high"]
        return figure["high"] - figure["low"]

    assert width(20) > 1.5 * width(200)


def test_a_finger_is_its_second_field_and_an_exam_its_highest_finger(cohort):
    rows = list(cohort.rows[:8])  # two subjects, two fingers each, two fields each
    units = figures.units(rows, np.array([9.0, 1.0, 5.0, 4.0, -1.0, -3.0, -2.0, 7.0]))
    assert units["finger"].margin.tolist() == [1.0, 4.0, -3.0, -2.0]
    assert units["exam"].margin.tolist() == [4.0, -2.0] and units["exam"].truth.tolist() == [False, True]


def test_a_probability_of_one_has_a_finite_margin():
    assert figures.margin_of(np.array([[0.0, 1.0], [0.5, 0.5]])) == pytest.approx([np.log(1e6), 0.0])


def test_curves_begin_and_end_where_they_must():
    rng = np.random.default_rng(0)
    scored = figures.Scored(rng.normal(size=50), rng.random(50) < 0.5, np.arange(50))
    points = np.array(figures.roc(scored))
    assert points[0].tolist() == [0.0, 0.0] and points[-1].tolist() == [1.0, 1.0] and (np.diff(points, axis=0) >= 0).all()
    area = np.trapezoid(points[:, 1], points[:, 0])
    assert area == pytest.approx(figures.figures(scored, 1.0)["auc"])
    coverage = figures.risk_coverage(scored, 1.0)
    assert coverage[-1][0] == 1.0 and coverage[-1][1] == pytest.approx(1.0 - figures.figures(scored, 1.0)["accuracy"])


def test_conformal_sets_cover_as_many_subjects_as_they_aim_at():
    rng = np.random.default_rng(5)

    def fingers(subjects):
        truth = np.repeat(np.arange(subjects) % 2 == 1, 4)
        own = np.repeat(rng.normal(size=subjects), 4)
        return figures.Scored(np.where(truth, 1.0, -1.0) + own + rng.normal(size=4 * subjects), truth, np.repeat(np.arange(subjects), 4))

    covered = []
    for _ in range(60):
        limits = calls.conformal_limits(fingers(80), 1.0)
        settled = calls.Calls(1.0, choose_thresholds([np.array([0.1, 0.1]), np.array([0.9, 0.9])], np.array([False, True])), 2, 0, 1, 0.05, 80, limits)
        covered.append(calls.conformal_figures(fingers(80), settled)["covered_subjects"])
    assert 0.88 <= np.mean(covered) <= 0.96


def test_too_few_subjects_for_a_limit_leave_every_label_in_the_set():
    fingers = figures.Scored(np.array([1.0, -1.0]), np.array([True, False]), np.array([0, 1]))
    assert calls.conformal_limits(fingers, 1.0) == {False: float("inf"), True: float("inf")}


def test_single_fields_settle_thresholds_that_say_so(cohort):
    rows = [row for row in cohort.rows if row.field == "1"]
    settled = calls.settle(rows, np.where([row.positive for row in rows], 3.0, -3.0), 0.05)
    assert settled.recur == 1 and settled.thresholds.lower < settled.thresholds.upper


def test_the_protocol_gives_every_unit_and_both_splits(cohort):
    truth = np.array([row.positive for row in cohort.rows])
    rng = np.random.default_rng(1)
    said = np.clip(truth * 0.4 + 0.3 + rng.normal(0, 0.15, len(truth)), 0.01, 0.99)

    def trial(train, held, seed):
        assert not {cohort.rows[i].subject for i in train} & {cohort.rows[i].subject for p in held for i in p} or len(held) == 1
        return [np.stack([1 - said[p], said[p]], axis=1) for p in held]

    out = protocol.tried(cohort, trial, protocol.Plan(repeats=2))
    assert set(figures.UNITS) <= set(out["first"]) and out["repeated"]["image"]["auc"]["mean"] > 0.8
    assert out["by_image"]["auc"]["mean"] > 0.8 and set(out["first"]["device"]) == {"d0", "d1", "d2"}
