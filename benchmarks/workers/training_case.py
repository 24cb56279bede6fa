"""What the workers of `training.py` share: the step that all take, and how near its results have to be."""

from __future__ import annotations

import contextlib
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.workers.timing import Job, memory

# Relative. A loss is a mean of millions of float32 numbers; a gradient has come through 12 blocks of the text tower.
LOSS, GRADIENT = 1e-5, 1e-4
# Features are compared as they are kept: half precision rounds by 2^-11 of a number, here of the row's largest.
FEATURES = 1e-3
# Losses of an epoch. Adam's first steps are as long for a gradient that is all rounding as for any other, but there the
# loss does not change with them.
CURVE = 1e-4


class Facts(NamedTuple):
    """What is learned and from what, as `training_prepare` settled it."""

    side: int  # of the input in pixels
    layers: tuple[int, ...]  # counted from 1
    start: int  # first block with the v-v path, counted from 0
    tau: float
    length: int  # learned vectors of each prompt
    images: int
    batch: int
    steps: int  # of an epoch
    tokens: int  # of the longer prompt, its end included
    context: int  # of the tower


def after_loading(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of `work`, its memory being MiB: the most of the whole process, and the most since loading.

    A process that copies its weights out of a file has them twice for a moment, which would hide all that follows.
    Linux forgets the most so far when it is told to; elsewhere both are the same.
    """
    loading = memory()["peak"]
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    out = work()
    if "memory" in out:
        after = out["memory"]["peak"]
        out["memory"] |= {"peak": max(loading, after), "after": after}
    return out


def facts_of(job: Job) -> Facts:
    told = json.loads((Path(job["inputs"]) / "facts.json").read_text())
    return Facts(**told)._replace(layers=tuple(told["layers"]))


def array(job: Job, name: str, **how: Any) -> np.ndarray:
    return np.load(Path(job["inputs"]) / f"{name}.npy", **how)


def order(job: Job) -> list[list[int]]:
    """The images of each step of two epochs."""
    return json.loads((Path(job["inputs"]) / "order.json").read_text())


def compared_step(job: Job, loss: float, gradient: Sequence[np.ndarray]) -> dict[str, float]:
    """How far a step's loss and gradient are from torch's, which its first process leaves behind."""
    path = Path(job["reference"])
    if job["leads"] and not path.exists():
        np.savez(path, loss, *gradient)
    with np.load(path) as stored:
        theirs, *slopes = (stored[f"arr_{i}"] for i in range(len(gradient) + 1))
    worst = max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(gradient, slopes, strict=True))
    return {"loss": abs(loss - float(theirs)) / abs(float(theirs)), "gradient": worst}


def compared_curve(job: Job, losses: Sequence[float]) -> dict[str, float]:
    """How far the losses of an epoch's steps are from torch's: the worst step."""
    path = Path(job["reference"])
    if job["leads"] and not path.exists():
        np.save(path, losses)
    theirs = np.load(path)
    return {"curve": float((np.abs(np.asarray(losses) - theirs) / np.abs(theirs)).max())}


def too_far(apart: dict[str, float]) -> bool:
    allowed = {"loss": LOSS, "gradient": GRADIENT, "features": FEATURES, "curve": CURVE}
    return any(not value <= allowed[name] for name, value in apart.items())  # NaN is too far


def timed_steps(job: Job, step: Callable[[], Any]) -> list[float]:
    """Seconds of some calls, after two that were not timed: one that was compared, and one here."""
    start = time.perf_counter()
    step()
    once = time.perf_counter() - start
    seconds = []
    gc.collect()
    gc.disable()
    for _ in range(min(max(int(job["seconds"] / once), 2), max(job["repeats"], 1))):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    gc.enable()
    return seconds


def answer(seconds: Sequence[float], apart: dict[str, float], memory: dict[str, float], **more: Any) -> dict[str, Any]:
    if too_far(apart):
        return {"disagrees": apart}
    return {"median": statistics.median(seconds), "seconds": list(seconds), "apart": apart, "memory": memory} | more
