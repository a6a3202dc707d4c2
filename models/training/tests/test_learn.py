"""The plan's rate and the order of examples; what may be taken up again."""

import pytest

from fitting.learn import ROUND, Plan, schedule


def test_every_pass_shows_each_example_once():
    count = 300
    seen = [pair for number in range(3) for pair in schedule(count, number, seed=4)]
    whole = (3 * ROUND) // count
    for turn in range(whole):
        assert sorted(place for t, place in seen if t == turn) == list(range(count))
    assert [p for t, p in seen if t == 0] != [p for t, p in seen if t == 1]


def test_the_rate_rises_stays_and_falls_to_nothing():
    plan = Plan(rounds=10, falling=4)
    assert plan.rate_at(0.0) == pytest.approx(0.05 * plan.rate)
    assert plan.rate_at(1.0) == plan.rate_at(6.0) == plan.rate
    assert plan.rate_at(8.0) == pytest.approx(0.5 * plan.rate)
    assert plan.rate_at(10.0) == pytest.approx(0.0)


def test_a_plan_may_change_its_length_until_the_rate_falls():
    plan = Plan(rounds=20, falling=5)
    assert plan.agrees(vars(Plan(rounds=15, falling=5)), done=10)
    assert not plan.agrees(vars(Plan(rounds=15, falling=5)), done=11)
    assert plan.agrees(vars(Plan(rounds=20, falling=5)), done=18)
    assert not plan.agrees(vars(Plan(rounds=20, falling=5, seed=9)), done=1)
    assert plan.agrees(vars(Plan(rounds=20, falling=5, halved=4)), done=0)
    assert not plan.agrees(vars(Plan(rounds=20, falling=5, halved=4)), done=1)
