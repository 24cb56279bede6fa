"""Optimisers and schedules against torch's stored answers over 50 steps, and against the papers' equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refclip import nn, optim
from refclip.tree import leaves, value_and_gradient
from tests.devicearray import devicexp, upload
from tests.training_cases import OPTIMISERS, SCHEDULES, STEPS, optimiser_inputs

STEP = {"adam": optim.adam, "adamw": optim.adamw, "sgd": optim.sgd}
STATE = {"adam": optim.adam_state, "adamw": optim.adam_state, "sgd": optim.sgd_state}


def run(name, dtype, place=np):
    kind, options = OPTIMISERS[name]
    start, steps = optimiser_inputs()
    x = place.asarray(start.astype(dtype))
    state = STATE[kind](x)
    for g in steps:
        x, state = STEP[kind](x, place.asarray(g.astype(dtype)), state, **options)
    assert state.step == STEPS
    return x


@pytest.mark.parametrize("name", OPTIMISERS)
def test_fifty_steps_are_torchs(golden, name):
    answer = golden("training")[f"optimiser.{name}"]
    start = optimiser_inputs()[0]
    assert np.abs(answer - start).max() > 0.01  # they went somewhere
    x = run(name, np.float64)
    # float64: some rounding at each of 50 steps, through a division by the root of a small mean
    np.testing.assert_allclose(x, answer, rtol=1e-12, atol=1e-13)
    single = run(name, np.float32)
    assert single.dtype == np.float32
    # float32: 50 roundings of parameters up to 3, 6e-8 each and random, and of steps
    np.testing.assert_allclose(single, answer, rtol=0, atol=3e-6)
    np.testing.assert_allclose(run(name, np.float64, devicexp).get(), x, rtol=1e-14)


def test_nothing_given_is_changed():
    start, steps = optimiser_inputs()
    for kind, step in STEP.items():
        x, g = start.copy(), steps[0].copy()
        state = STATE[kind](x)
        step(x, g, state, rate=0.1)
        np.testing.assert_array_equal(x, start)
        np.testing.assert_array_equal(g, steps[0])
        assert not any(m.any() for m in leaves(state[1:]))


def test_adam_from_its_algorithm():
    """Kingma and Ba, algorithm 1, number by number."""
    start, steps = optimiser_inputs()
    x, m, v = float(start[0, 0]), 0.0, 0.0
    theirs, state = start.astype(float), optim.adam_state(start.astype(float))
    for t, g in enumerate(steps, 1):
        theirs, state = optim.adam(theirs, g.astype(float), state, rate=0.01, betas=(0.7, 0.9), eps=1e-3)
        m = 0.7 * m + 0.3 * float(g[0, 0])
        v = 0.9 * v + 0.1 * float(g[0, 0]) ** 2
        x -= 0.01 * (m / (1 - 0.7**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-3)
    np.testing.assert_allclose(theirs[0, 0], x, rtol=1e-12)  # float64


@pytest.mark.parametrize(
    ("name", "f"), [("cosine", optim.cosine_rate), ("warm", optim.cosine_rate), ("steps", optim.step_rate)]
)
def test_schedules_are_torchs(golden, name, f):
    rates = [f(step, **SCHEDULES[name]) for step in range(STEPS)]
    # torch's cosine goes from rate to rate, and gathers 50 roundings on the way
    np.testing.assert_allclose(rates, golden("training")[f"schedule.{name}"], rtol=1e-12, atol=1e-16)


def test_warm_up():
    options = {"steps": 10, "rate": 1.0, "warmup": 4, "warmup_rate": 0.2}
    assert [optim.cosine_rate(s, **options) for s in range(5)] == [0.2] * 4 + [1.0]
    climbing = [optim.cosine_rate(s, **options, linear=True) for s in range(5)]
    np.testing.assert_allclose(climbing, [0.2, 0.4, 0.6, 0.8, 1.0])
    assert optim.cosine_rate(10, 10, 1.0) == 0
    assert [optim.step_rate(s, 1.0, (2, 4), 0.5) for s in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    for step, steps in ((-1, 10), (0, 0)):
        with pytest.raises(ValueError, match="expected one from 0 on"):
            optim.cosine_rate(step, steps, 1.0)


@pytest.mark.parametrize("kind", STEP)
def test_a_line_is_learned_and_a_stop_changes_nothing(kind):
    """A nest of parameters learns; the state taken up after 20 steps ends in the same bytes."""
    rng = np.random.default_rng(0)
    x, true = rng.normal(size=(50, 3)), nn.Linear(np.array([[1.0, -2.0, 0.5]]), np.array([0.3]))
    target = nn.linear(x, true)

    def loss(p):
        error = nn.linear(x, p) - target
        return (error * error).mean()

    def steps(p, state, first, last):
        for step in range(first, last):
            _, g = value_and_gradient(loss, p)
            p, state = STEP[kind](p, g, state, rate=optim.cosine_rate(step, 200, 0.1))
        return p, state

    begin = nn.Linear(np.zeros((1, 3)), np.zeros(1))
    p, _ = steps(begin, STATE[kind](begin), 0, 200)
    assert isinstance(p, nn.Linear)
    assert loss(p) < 1e-3 < loss(begin)
    again, _ = steps(*steps(begin, STATE[kind](begin), 0, 20), 20, 200)
    for a, b in zip(p, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nests_on_the_device():
    p = {"x": np.ones(3), "y": (np.zeros((2, 2)),)}
    g = {"x": np.arange(3.0), "y": (np.ones((2, 2)),)}
    host, state = optim.adamw(p, g, optim.adam_state(p), rate=0.1)
    there, on_device = optim.adamw(upload(p), upload(g), optim.adam_state(upload(p)), rate=0.1)
    for a, b in zip(leaves((there, on_device)), leaves((host, state)), strict=True):
        np.testing.assert_allclose(a.get(), b, rtol=1e-15)
