"""What all workers share: a job in, a checked and timed call, one line of JSON out.

A worker is one process that measures one peer on one case of one model, and ends. Its job is the JSON text of its first
argument; its answer is the last line of its standard output.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = 1e-4  # relative, against open_clip

Job = dict[str, Any]


def serve(work: Callable[[Job], dict[str, Any]]) -> None:
    print(json.dumps(work(json.loads(sys.argv[1]))), flush=True)


def load_input(job: Job, name: str) -> np.ndarray:
    return np.load(Path(job["inputs"]) / f"{name}.npy")


def batch_of(case: str) -> int:
    """image-8 -> 8"""
    return int(case.removeprefix("image-"))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference in a row over the largest number of that row; the worst row counts."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise ValueError(f"result of shape {found.shape}: open_clip's has {expected.shape}")
    if not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - expected).max(axis=-1) / np.abs(expected).max(axis=-1)).max())


def measure(job: Job, call: Callable[[], np.ndarray]) -> dict[str, Any]:
    """Check what `call` returns, then time it.

    The first call is checked and never timed. open_clip's first process of a case leaves its result as the reference;
    every later process is held to it, and does not time what disagrees.
    """
    start = time.perf_counter()
    found = call()
    first = time.perf_counter() - start
    reference = Path(job["reference"])
    if job["leads"] and not reference.exists():
        np.save(reference, found)
    error = relative_error(found, np.load(reference))
    if not error <= TOLERANCE:
        return {"disagrees": error}

    slow = job["slow"]  # seconds: a call this long is timed once a process, after one untimed call
    if first < slow:  # one more untimed: the first also paged the weights in
        start = time.perf_counter()
        call()
        first = time.perf_counter() - start
    fewest = 1 if first >= slow else 2
    repetitions = min(max(int(job["seconds"] / first), fewest), max(job["repeats"], 1))
    seconds = []
    gc.collect()
    gc.disable()
    for _ in range(repetitions):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    gc.enable()
    return {"median": statistics.median(seconds), "seconds": seconds, "error": error}


def memory() -> dict[str, float]:
    """MiB of this process: the most it had in memory, and what of it now is its own (not mapped from a file).

    Linux carries ru_maxrss over from the process that started this one, so its own high-water mark is preferred.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        kib = {key: int(lines[key].split()[0]) for key in ("VmHWM", "RssAnon") if key in lines}
        if "VmHWM" in kib:
            return {"peak": kib["VmHWM"] / 1024, "own": kib.get("RssAnon", 0) / 1024}
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, "own": float("nan")}
