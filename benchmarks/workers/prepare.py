"""Random weights of a model, and what all peers are asked: pictures, the same as pixels, prompts, the same as ids."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workers.timing import Job, serve
from refclip.prompts import WINCLIP_STATES, WINCLIP_TEMPLATES_B, compose
from refclip.tokenizer import tokenize
from tests import randomclip

SEED = 7
BATCH = 8
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def weights_of(job: Job) -> Path:
    """The folder of the model's random weights, written if it is not there yet."""
    folder = Path(job["folder"])
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")  # renamed when whole, so that a cache never holds a half
        shutil.rmtree(partial, ignore_errors=True)
        randomclip.write(partial, job["model"], SEED)
        partial.replace(folder)
    return folder


def work(job: Job) -> dict[str, Any]:
    weights_of(job)
    side = randomclip.model_config(job["model"])["vision_cfg"]["image_size"]
    inputs = Path(job["inputs"])
    inputs.mkdir(parents=True, exist_ok=True)

    # noise over a smooth ramp, as bytes: clippie takes pictures only, and all are to see the same
    rng = np.random.default_rng(SEED)
    ramp = np.linspace(40, 215, side)[:, None] + np.linspace(-40, 40, side)  # [H, W]
    noise = rng.normal(0, 40, (BATCH, side, side, 3))
    pictures = np.clip(ramp[..., None] + noise, 0, 255).astype(np.uint8)  # [b, H, W, 3]
    pixels = ((pictures / 255 - MEAN) / STD).astype(np.float32).transpose(0, 3, 1, 2)  # [b, 3, H, W]
    np.save(inputs / "pictures.npy", pictures)
    np.save(inputs / "pixels.npy", np.ascontiguousarray(pixels))

    prompts = compose("bottle", WINCLIP_STATES, WINCLIP_TEMPLATES_B).normal
    (inputs / "prompts.json").write_text(json.dumps(prompts))
    np.save(inputs / "ids.npy", np.asarray(tokenize(prompts)))
    return {"prompts": len(prompts)}


if __name__ == "__main__":
    serve(work)
