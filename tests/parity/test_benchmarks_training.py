"""Both sides of `benchmarks/training.py` on a small model, in this process: they do the same, and it shows if not."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import training, training_summary
from benchmarks.workers import training_prepare, training_refclip, training_torch

WORKERS = {"prepare": training_prepare, "torch": training_torch, "refclip": training_refclip}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    threads = str(torch.get_num_threads())
    words = "--quick --model small --images 10 --batch 4 --encoded 2 --rounds 2 --seconds 0.01 --threads"
    bench = training.Bench(training.arguments([*words.split(), threads]), tmp_path)
    monkeypatch.setattr(bench, "worker", lambda name, job: WORKERS[name].work(json.loads(json.dumps(job))))
    return bench


def test_both_sides_do_the_same(bench):
    bench.run()
    assert not bench.disagreed
    assert not bench.notes
    assert {case: len(rounds) for case, rounds in bench.results.items()} == {"encode": 1, "step": 2, "epoch": 1}
    for name in ("refclip", "torch-cut"):
        for found in bench.results["step"]:
            apart = found[name]["apart"]
            # float32 on both sides, three blocks of width 96: some hundred roundings of 6e-8
            assert apart["loss"] < 1e-6
            assert apart["gradient"] < 2e-5
    assert bench.results["encode"][0]["refclip"]["apart"]["features"] < 2**-10  # half precision
    assert bench.results["epoch"][0]["refclip"]["apart"]["curve"] < 1e-5  # three steps
    time, memory = training_summary.tables(bench.results, bench.memory, 10, 4, 2)
    assert len(time.rows) == 8
    assert len(memory.rows) == 8
    assert not list(bench.scratch.glob("features-*"))


def test_another_loss_is_noticed(bench, monkeypatch):
    dice = training_torch.dice
    monkeypatch.setattr(training_torch, "dice", lambda p, t: 1.001 * dice(p, t))
    bench.run()
    assert bench.disagreed
    assert bench.results.keys() == {"encode"}
    assert any("refclip: not counted on step" in note for note in bench.notes)
