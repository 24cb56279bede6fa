"""refclip's side of `training.py`, through the functions that `anomalyclip_fit.fit` is made of, and `fit` itself."""

from __future__ import annotations

import contextlib
import functools
import time
from pathlib import Path
from typing import Any

import numpy as np

import refclip
from benchmarks.workers.timing import Job, memory, serve
from benchmarks.workers.training_case import (
    after_loading,
    answer,
    array,
    compared_curve,
    compared_step,
    facts_of,
    order,
    timed_steps,
)
from benchmarks.workers.training_prepare import samples
from refclip.features_cache import keep_features, rows
from refclip.methods.anomalyclip_fit import Batch, Training, fit, loss_of
from refclip.methods.anomalyclip_options import DEFAULTS, recipe_of, settled
from refclip.methods.anomalyclip_prompts import Design, Learned
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.optim import adam, adam_state
from refclip.tree import leaves, value_and_gradient


class Enough(Exception):
    """One batch is encoded: what follows is the same again."""


def encode(job: Job, clip: Any) -> dict[str, Any]:
    """The first images of a new cache: decoded pictures in, files of half precision out."""
    marks: list[float] = []

    def done(count: int) -> None:
        marks.append(time.perf_counter())
        raise Enough

    recipe = recipe_of(settled(clip, DEFAULTS))
    folder = Path(job["features"])
    with contextlib.suppress(Enough):
        keep_features(
            clip, samples(job), recipe, folder, batch=job["encoded"],
            tell=lambda text: marks.append(time.perf_counter()), done=done,
        )  # fmt: skip
    used = memory()
    part, n = next(folder.glob("*.part")), job["encoded"]
    found = [np.load(part / "image.npy", mmap_mode="r")[:n, None]]
    found += [np.load(part / f"{recipe.paths[0]}.{layer:02}.npy", mmap_mode="r")[:n] for layer in recipe.layers]
    apart = 0.0
    with np.load(job["reference"]) as stored:
        for i, ours in enumerate(found):
            theirs = stored[f"arr_{i}"]
            error = np.abs(ours - theirs).max(axis=-1) / np.abs(theirs).max(axis=-1)
            apart = max(apart, float(error.max()))
    return answer([marks[-1] - marks[-2]], {"features": apart}, used)


def one_step(job: Job, clip: Any) -> dict[str, Any]:
    facts, t = facts_of(job), Training()
    o, design = settled(clip, DEFAULTS), settled_design(clip, Design())
    some = samples(job)
    kept = keep_features(clip, some, recipe_of(o), job["features"])
    index = order(job)[0]
    masks = array(job, "masks", mmap_mode="r")[index]
    batch = Batch(
        rows(kept, index, clip.vision.proj), masks.any(axis=(1, 2)).astype(int), masks.astype(np.float32), ("object",),
        np.zeros(len(index), int),
    )  # fmt: skip
    del some, kept
    learned = Learned(array(job, "normal"), array(job, "abnormal"), tuple(array(job, "deep")))
    loss = functools.partial(loss_of, clip, batch=batch, design=design, t=t, o=o, temperature=facts.tau)
    now = [learned, adam_state(learned)]

    def step() -> tuple[Any, Any]:
        value, gradient = value_and_gradient(loss, now[0])
        now[:] = adam(now[0], gradient, now[1], rate=t.rate, betas=t.betas)
        return value, gradient

    value, gradient = step()
    apart = compared_step(job, float(value), list(leaves(gradient)))
    return answer(timed_steps(job, step), apart, memory())


def one_epoch(job: Job, clip: Any) -> dict[str, Any]:
    """The second of two, between what `fit` tells; the first warms up, and its losses are compared."""
    steps, marks, losses = facts_of(job).steps, [], []

    def tell(step: int, value: float) -> None:
        marks.append(time.perf_counter())
        losses.append(value)

    start = time.perf_counter()
    fit(clip, samples(job), Training(epochs=2, batch=job["batch"]), features=job["features"], tell=tell)
    before = marks[0] - start  # digests of weights and images, masks, the first step
    used = memory()
    return answer([marks[-1] - marks[steps - 1]], compared_curve(job, losses[:steps]), used, before=before)


def work(job: Job) -> dict[str, Any]:
    clip = refclip.load(job["folder"])
    case = {"encode": encode, "step": one_step, "epoch": one_epoch}[job["case"]]
    return after_loading(lambda: case(job, clip))


if __name__ == "__main__":
    serve(work)
