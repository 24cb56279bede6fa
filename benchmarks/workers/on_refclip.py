"""refclip, through its public functions."""

from __future__ import annotations

from typing import Any

import numpy as np

import refclip
from benchmarks.workers.timing import Job, batch_of, load_input, measure, memory, serve
from refclip.vit import sliding_windows


def work(job: Job) -> dict[str, Any]:
    clip = refclip.load(job["folder"])
    threads = job["threads"]
    case = job["case"]
    if case == "memory":
        refclip.encode_image(clip, load_input(job, "pixels")[:1], threads=threads)
        return memory()
    if case == "prompts":
        ids = load_input(job, "ids")
        return measure(job, lambda: refclip.encode_text(clip, ids, threads=threads))
    if case == "windows":
        pixels = load_input(job, "pixels")[:1]
        grid = (clip.vision.grid, clip.vision.grid)

        def windows() -> np.ndarray:
            image = refclip.encode_image(clip, pixels, threads=threads)[:, None]  # [1, 1, e]
            parts = [refclip.encode_windows(clip, pixels, sliding_windows(grid, k), threads=threads) for k in (2, 3)]
            return np.concatenate([image, *parts], axis=1)[0]  # [1 + w, e]

        return measure(job, windows)
    pixels = load_input(job, "pixels")[: batch_of(case)]
    return measure(job, lambda: refclip.encode_image(clip, pixels, threads=threads))


if __name__ == "__main__":
    serve(work)
