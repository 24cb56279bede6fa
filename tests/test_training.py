"""The loop of steps: what it answers, and that a run stopped anywhere ends in the same bytes."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from refclip.checkpoint import WeightsError
from refclip.cli_train import learners
from refclip.optim import adam, adam_state, sgd, sgd_state
from refclip.saved import read
from refclip.training import batch_of, check, learn, means_of_epochs, shuffled, steps_per_epoch

DATA = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def start():
    return {"w": np.ones(3, np.float32), "fixed": None}


def loss(parameters, step):
    """A line through points, three at a time."""
    _, index = batch_of(step, len(DATA), 3, 5)
    rest = DATA[list(index)] @ parameters["w"] - 1.0
    return (rest * rest).mean()


def run(optimiser="adam", **options):
    first = start()
    update, state = (
        (functools.partial(adam, betas=(0.5, 0.9)), adam_state) if optimiser == "adam"
        else (functools.partial(sgd, momentum=0.9), sgd_state)
    )  # fmt: skip
    rate = {"rate": lambda step: 0.05 / (1 + step), "steps": 9}
    return learn(loss, first, state(first), update=update, **(rate | options))


def test_it_is_a_loop_of_steps():
    told = []
    now, losses = run(tell=lambda step, value: told.append((step, value)))
    w, m, v = start()["w"], 0.0, 0.0
    for step in range(9):
        points = DATA[list(batch_of(step, 7, 3, 5)[1])]
        rest = points @ w - 1
        assert losses[step] == pytest.approx((rest**2).mean(), rel=1e-5)  # float32
        g = 2 * points.T @ rest / len(points)
        m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g
        w = w - 0.05 / (1 + step) * (m / (1 - 0.5 ** (step + 1))) / (np.sqrt(v / (1 - 0.9 ** (step + 1))) + 1e-8)
    np.testing.assert_allclose(now.parameters["w"], w, rtol=1e-5)  # float32
    assert told == list(zip(range(1, 10), losses, strict=True))
    assert now.steps == now.state.step == 9


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("last", range(1, 10))
def test_a_run_stopped_anywhere_ends_in_the_same_bytes(tmp_path, optimiser, last):
    run(optimiser, checkpoint=tmp_path / "whole", every=2)

    def stop(step, value):
        if step == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(optimiser, checkpoint=tmp_path / "half", tell=stop, every=4)
    assert len(read(tmp_path / "half")[0]["losses"]) == last
    run(optimiser, checkpoint=tmp_path / "half", every=3)
    assert (tmp_path / "half").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_kill_costs_the_steps_since_the_last_checkpoint(tmp_path):
    """Without the write on the way out."""
    run(checkpoint=tmp_path / "whole")
    kept = {}

    def copy(step, value):
        if (tmp_path / "half").exists():
            kept[step] = (tmp_path / "half").read_bytes()

    run(checkpoint=tmp_path / "half", every=4, tell=copy)
    assert min(kept) == 5
    for content in kept.values():
        (tmp_path / "half").write_bytes(content)
        run(checkpoint=tmp_path / "half")
        assert (tmp_path / "half").read_bytes() == (tmp_path / "whole").read_bytes()


def test_other_runs_are_refused(tmp_path):
    path = tmp_path / "c"
    run(checkpoint=path, about={"rate": 1, "seed": 2})
    with pytest.raises(WeightsError, match="begun with rate 1 and not 3; go on with the same, or remove the file"):
        run(checkpoint=path, about={"rate": 3, "seed": 2})
    with pytest.raises(WeightsError, match="seed 2 and not None"):
        run(checkpoint=path, about={"rate": 1})
    with pytest.raises(WeightsError, match="9 steps of 5"):
        run(checkpoint=path, about={"rate": 1, "seed": 2}, steps=5)


def test_a_damaged_checkpoint_may_be_removed(tmp_path):
    (tmp_path / "c").write_bytes(b"junk")
    with pytest.raises(WeightsError, match=r"c: 4 bytes, too short .*; or remove it, and the run begins anew"):
        run(checkpoint=tmp_path / "c")


@pytest.mark.parametrize(("steps", "rate"), [(-1, 0.1), (3, -0.1), (3, np.nan)])
def test_steps_and_rates_below_nothing_are_refused(steps, rate):
    first = start()
    with pytest.raises(ValueError, match=f"{steps} steps at a rate of {rate}: expected neither below 0"):
        learn(loss, first, adam_state(first), update=adam, rate=lambda step: rate, steps=steps)


def test_every_default_passes_the_check():
    for learner in learners().values():
        check(dict(learner.parts)["training"])


def test_a_loss_that_is_no_number_is_named(tmp_path):
    def breaks(parameters, step):
        return loss(parameters, step) * (1.0 if step < 2 else np.float32(np.nan))

    first = start()
    with pytest.raises(FloatingPointError, match="step 2: the loss is nan"):
        learn(breaks, first, adam_state(first), update=adam, rate=lambda step: 0.1, steps=9, checkpoint=tmp_path / "c")
    assert len(read(tmp_path / "c")[0]["losses"]) == 2  # what was good is kept


@pytest.mark.parametrize(("count", "size"), [(7, 3), (6, 3), (5, 8), (1, 1)])
def test_every_item_once_an_epoch(count, size):
    each = steps_per_epoch(count, size)
    orders = []
    for epoch in range(3):
        found = [batch_of(epoch * each + i, count, size, 11) for i in range(each)]
        assert {e for e, _ in found} == {epoch}
        order = [i for _, index in found for i in index]
        assert sorted(order) == list(range(count))
        orders.append(order)
    if count > 4:
        assert orders[0] != orders[1] != orders[2]
        assert orders[0] != [i for s in range(each) for i in batch_of(s, count, size, 12)[1]]


def test_orders_are_the_same_everywhere():
    """Python's shuffle of a text seed: the same in every version, so that a seed means one run."""
    assert shuffled(6, 111, 0) == (0, 3, 4, 2, 5, 1)


def test_empty_runs_are_refused():
    with pytest.raises(ValueError, match="0 images in batches of 8"):
        steps_per_epoch(0, 8)


def test_means_of_epochs():
    assert means_of_epochs([1.0, 3.0, 2.0, 4.0, 7.0], 2) == [2.0, 3.0, 7.0]
