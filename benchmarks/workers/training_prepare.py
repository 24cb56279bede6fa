"""What `training.py` learns from, the same for all peers: weights, pictures, masks, where learning begins, features.

Case "inputs" writes all but the features. Case "features" completes the cache that refclip's process of the case
"encode" has begun: it holds one batch of encoded pictures, and the same are entered for all others. What an image shows
makes no step slower or faster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import refclip
from benchmarks.workers.prepare import SEED, weights_of
from benchmarks.workers.timing import Job, serve
from benchmarks.workers.training_case import Facts
from refclip.methods.anomalyclip_fit import Training
from refclip.methods.anomalyclip_options import DEFAULTS, recipe_of, settled
from refclip.methods.anomalyclip_prompts import Design, begin, layout_of
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.prompt_learning import prompt_ids
from refclip.samples import Loaded, Sample
from refclip.training import batch_of, steps_per_epoch


def write_inputs(job: Job) -> dict[str, Any]:
    clip = refclip.load(weights_of(job))
    options, design, t = settled(clip, DEFAULTS), settled_design(clip, Design()), Training()
    side, count, size = options.size or 0, job["images"], min(job["batch"], job["images"])
    inputs = Path(job["inputs"])
    inputs.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(SEED)
    ramp = np.linspace(40, 215, side)[:, None] + np.linspace(-40, 40, side)  # [H, W]
    pictures = np.clip(ramp[..., None] + rng.normal(0, 40, (size, side, side, 3)), 0, 255).astype(np.uint8)
    np.save(inputs / "pictures.npy", pictures)  # [b, H, W, 3]
    mean, std = np.float32(clip.preprocess.mean), np.float32(clip.preprocess.std)
    pixels = (np.float32(pictures) / 255 - mean) / std  # [b, H, W, 3]
    np.save(inputs / "pixels.npy", np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    np.save(inputs / "masks.npy", ellipses(rng, count, side))

    learned, each = begin(clip, design, t.seed), steps_per_epoch(count, job["batch"])
    for name, x in (("normal", learned.normal), ("abnormal", learned.abnormal), ("deep", np.stack(learned.deep))):
        np.save(inputs / f"{name}.npy", x)
    order = [batch_of(step, count, job["batch"], t.seed)[1] for step in range(2 * each)]
    (inputs / "order.json").write_text(json.dumps(order))
    tokens = max(map(len, prompt_ids(layout_of(design), ["object"])))
    facts = Facts(
        side=side, layers=options.layers or (), start=(options.dpam_from or 1) - 1, tau=float(options.temperature or 0),
        length=design.length, images=count, batch=job["batch"], steps=each, tokens=tokens,
        context=clip.text.context_length,
    )  # fmt: skip
    (inputs / "facts.json").write_text(json.dumps(facts._asdict()))
    return facts._asdict()


def ellipses(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Masks bool [N, H, W]: none on every other image, on the others an ellipse, 1 to 13% of it."""
    rows, columns = np.mgrid[:side, :side] / side
    masks = np.zeros((count, side, side), bool)
    for mask in masks[1::2]:
        (y, x), (a, b) = rng.uniform(0.25, 0.75, 2), rng.uniform(0.06, 0.2, 2)
        mask[:] = ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1
    return masks


def samples(job: Job) -> list[Loaded]:
    """The images as `fit` takes them: the pictures over and over, each image with its own mask."""
    pictures, masks = (np.load(Path(job["inputs"]) / f"{name}.npy") for name in ("pictures", "masks"))
    return [
        Loaded(Sample(Path(f"{i}"), int(mask.any()), None, "thing", "", "test"), pictures[i % len(pictures)], mask)
        for i, mask in enumerate(masks)
    ]


def fill_features(job: Job) -> dict[str, Any]:
    from refclip.features_cache import keep_features

    part = next(Path(job["features"]).glob("*.part"))
    count = int((part / "done").read_text())
    for file in part.glob("*.npy"):
        x = np.lib.format.open_memmap(file, mode="r+")
        for i in range(count, len(x)):
            x[i] = x[i % count]
        x.flush()
    (part / "done").write_text(str(job["images"]))
    clip = refclip.load(job["folder"])
    kept = keep_features(clip, samples(job), recipe_of(settled(clip, DEFAULTS)), job["features"])
    assert kept.folder is not None
    return {"folder": str(kept.folder), "bytes": sum(file.stat().st_size for file in kept.folder.glob("*.npy"))}


def work(job: Job) -> dict[str, Any]:
    return {"inputs": write_inputs, "features": fill_features}[job["case"]](job)


if __name__ == "__main__":
    serve(work)
