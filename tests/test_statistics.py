"""Intervals against scipy's Student and against the bootstrap written as a loop over images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from refclip.metrics import auroc
from refclip.statistics import bootstrap, paired_interval, student


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.9999])
@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 29, 30, 99, 100, 1000, 1001])
def test_student_is_scipys(freedom, level):
    # theta is known to 2e-16, and tan magnifies that by up to 1e4 near pi / 2 (one degree of freedom, 0.9999);
    # 500 terms of the sum add roundings of their own
    assert student(freedom, level) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-11)


def test_student_as_printed_in_tables():
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 120: 1.980}
    assert {n: round(student(n), 3) for n in table} == table


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.99]))
def test_paired_interval_is_scipys(differences, level):
    ours = paired_interval(differences, level)
    mean, error = np.mean(differences), stats.sem(differences)
    half = stats.t.ppf((1 + level) / 2, len(differences) - 1) * error
    # values to 1e3, magnified by t up to 64: float64 rounding
    assert ours == pytest.approx((mean - half, mean, mean + half), rel=1e-10, abs=1e-10)


def test_paired_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = [low <= 0.3 <= high for low, _, high in (paired_interval(rng.normal(0.3, 2, 5)) for _ in range(2000))]
    assert abs(np.mean(held) - 0.95) < 0.02  # 4 standard errors of 2000 draws


def test_equal_differences_leave_no_doubt():
    assert paired_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_bootstrap_is_the_loop():
    rng = np.random.default_rng(1)
    labels = np.array([0] * 12 + [1] * 8)
    scores = rng.normal(labels, 1)
    ours = bootstrap(lambda i: auroc(scores[i], labels[i]), labels, np.random.default_rng(2), rounds=200, level=0.9)
    rng, drawn = np.random.default_rng(2), []
    for _ in range(200):
        normal = rng.choice(np.arange(12), 12)
        anomalous = rng.choice(np.arange(12, 20), 8)
        wins = [(a > b) + (a == b) / 2 for a in scores[anomalous] for b in scores[normal]]
        drawn.append(sum(wins) / 96)
    assert ours.value == auroc(scores, labels)
    # linear interpolation between the 200 draws in order, at 5% and 95% of the way from first to last
    order = sorted(drawn)
    for end, place in ((ours.low, 0.05 * 199), (ours.high, 0.95 * 199)):
        below = math.floor(place)
        assert end == pytest.approx(order[below] + (place - below) * (order[below + 1] - order[below]), abs=1e-12)


def test_bootstrap_draws_within_groups_and_as_many():
    groups = np.array(["good", "cut", "good", "cut", "cut", "hole"])
    seen = []

    def figure(i):
        seen.append(i)
        return float(i.sum())

    interval = bootstrap(figure, groups, np.random.default_rng(3), rounds=50)
    np.testing.assert_array_equal(seen[0], np.arange(6))
    assert interval.value == 15
    assert interval.low < interval.high
    for i in seen:
        assert sorted(groups[i]) == sorted(groups)
    assert {int(k) for i in seen for k in i} == set(range(6))
    assert any(len(set(i.tolist())) < 6 for i in seen)


def test_bootstrap_is_the_seeds():
    values = np.random.default_rng(4).random(30)
    once, again, other = (
        bootstrap(lambda i: values[i].mean(), np.zeros(30), np.random.default_rng(s), 100) for s in (5, 5, 6)
    )
    assert once == again != other


def test_bootstrap_of_a_mean_has_its_known_width():
    values = np.random.default_rng(7).normal(size=400)
    low, value, high = bootstrap(lambda i: values[i].mean(), np.zeros(400), np.random.default_rng(8))
    width = 2 * 1.96 * values.std() / 20  # of the normal distribution that a mean of 400 draws has
    assert high - low == pytest.approx(width, rel=0.1)  # 2000 draws: the ends' standard error is 2.5% of the width
    assert (low + high) / 2 == pytest.approx(value, abs=0.1 * width)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_levels_that_are_none(level):
    for call in (
        lambda: student(3, level),
        lambda: paired_interval([1, 2], level),
        lambda: bootstrap(np.mean, [0, 1], np.random.default_rng(0), level=level),
    ):
        with pytest.raises(ValueError, match=r"level is .*, expected a probability between 0 and 1"):
            call()


def test_what_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="freedom is 0, expected at least 1"):
        student(0)
    for wrong in ([], [1.0], [1.0, math.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="expected at least two finite numbers, one for each seed"):
            paired_interval(wrong)
    for wrong in ([], [[0, 1]], 3):
        with pytest.raises(ValueError, match=r"groups: found shape \[.*\], expected \[n\]"):
            bootstrap(np.mean, wrong, rng)
    with pytest.raises(ValueError, match="rounds is 0, expected at least 1"):
        bootstrap(np.mean, [0, 1], rng, rounds=0)
    with pytest.raises(ValueError, match="the figure is nan, and not finite in 9 of 9 draws"):
        bootstrap(lambda i: math.nan, [0, 1], rng, rounds=9)
