"""The tables of `benchmarks/training.py`: what is extrapolated, what is compared, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import training_summary
from benchmarks.workers import training_case, training_prepare


def took(seconds, **apart):
    return {"median": seconds, "apart": apart, "memory": {"peak": 100.0, "own": 50.0}, "before": 3.0}


RESULTS = {
    "encode": [{"torch": took(10.0), "refclip": took(8.0, features=4e-4)}],
    "step": [
        {"torch-77": took(0.6), "refclip": took(0.2, loss=1e-7, gradient=2e-6), "torch-cut": took(0.35)},
        {"torch-77": took(0.5), "refclip": took(0.2, loss=2e-7, gradient=1e-6)},  # the third failed in this round
    ],
    "epoch": [{"torch-77": took(16.0), "refclip": took(5.0, curve=1e-6), "torch-cut": took(9.0)}],
}


def lines(results):
    found = training_summary.lines(results, images=200, batch=8, encoded=2)
    return {(line.case, line.peer): line for line in found}


def test_the_epoch_with_the_image_tower_at_every_step():
    """200 images from 2, and 25 steps of 77 tokens; the later epochs of refclip need no image tower."""
    found = lines(RESULTS)
    a = "(a) torch, image tower at every step, 77 tokens"
    line = found["epoch of 200, features kept", a]
    assert line.theirs == [10.0 * 100 + 25 * 0.6]
    assert line.ours == [5.0]
    assert line.asked == 20
    assert found["features of 200, once", "torch's image tower"].theirs == [1000.0]
    assert found["the first epoch, features made in it", "(a)"].ours == [8.0 * 100 + 5.0]
    assert found["15 epochs, features made in the first", "(a)"].ours == [8.0 * 100 + 15 * 5.0]
    assert found["15 epochs, features made in the first", "(a)"].theirs == [15 * 1015.0]


def test_rounds_are_paired_with_refclips_of_the_same_round():
    found = lines(RESULTS)
    assert found["one step", "torch, 77 tokens"].theirs == [0.6, 0.5]
    assert found["one step", "torch, cut at the same length"].ours == [0.2]
    assert found["one step", "torch, 77 tokens"].apart == "loss 2e-07, gradient 2e-06"  # the worst of each


def test_tables_of_a_run_that_broke_off():
    assert not lines({})
    found = lines({"step": RESULTS["step"]})
    assert {case for case, _ in found} == {"one step"}
    some = {"step": RESULTS["step"]}
    time, memory = training_summary.tables(some, {}, 200, 8, 2)
    assert [row[4] for row in time.rows] == ["1.75", "2.75"]
    assert not memory.rows
    assert not training_summary.notes(some, 200, 8, 2)


def test_memory_is_beside_refclips_of_the_same_case():
    memory = {
        "torch-77, step": {"peak": 300.0, "after": 200.0, "own": 1.0},
        "refclip, step": {"peak": 100.0, "after": 100.0, "own": 1.0},
        "refclip, epoch": {"peak": 200.0, "after": 50.0, "own": 1.0},
        "torch (a), one step": {"peak": 600.0, "after": 400.0, "own": 1.0},
    }
    table = training_summary.tables({}, memory, 200, 8, 2)[1]
    assert [row[2] for row in table.rows] == ["3.00", "", "", "3.00"]
    assert [row[4] for row in table.rows] == ["2.00", "", "", "8.00"]


def test_what_disagrees_is_not_counted(tmp_path):
    job = {"reference": str(tmp_path / "step.npz"), "leads": True}
    gradient = [np.ones((2, 3)), np.full(4, 2.0)]
    assert training_case.compared_step(job, 2.0, gradient) == {"loss": 0.0, "gradient": 0.0}
    job["leads"] = False
    apart = training_case.compared_step(job, 2.0, [gradient[0], gradient[1] * 1.001])
    assert apart == {"loss": 0.0, "gradient": pytest.approx(1e-3)}
    assert training_case.answer([1.0], apart, {}) == {"disagrees": apart}
    assert training_case.answer([1.0], {"loss": float("nan")}, {}).keys() == {"disagrees"}
    assert training_case.answer([1.0, 3.0, 2.0], {"loss": 0.0, "gradient": 0.0}, {})["median"] == 2.0


def test_what_all_are_given(tmp_path):
    job = {
        "folder": str(tmp_path / "small"), "inputs": str(tmp_path / "inputs"), "model": "small", "images": 5,
        "batch": 2, "case": "inputs",
    }  # fmt: skip
    facts = training_prepare.work(job)
    assert training_case.facts_of(job) == training_case.Facts(**facts)
    assert (facts["side"], facts["layers"], facts["steps"], facts["tokens"]) == (40, (1, 2, 3, 4), 3, 17)
    order = training_case.order(job)
    for epoch in (order[:3], order[3:]):
        assert sorted(i for step in epoch for i in step) == list(range(5))
    masks = training_case.array(job, "masks")
    assert [bool(mask.any()) for mask in masks] == [False, True, False, True, False]
    assert len(training_prepare.samples(job)) == 5
    json.dumps(facts)
