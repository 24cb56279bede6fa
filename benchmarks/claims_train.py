"""What a setting of a method that learns is learned with: anew for each seed, so that a verdict is about the method.

AnomalyCLIP, CoOp and VAND learn from the auxiliary set of that seed, CLIP-ADA from the normal training images of what
it is evaluated on, and the seed is the training's too; all else is as `weights/train_learned.py` has it, but for what
the setting names. Files are kept, and known again by a digest of all that decides their content; a training that was
killed goes on from its checkpoint.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import train_learned
from recipe.auxiliary import auxiliary

from benchmarks.claims_verdict import Setting
from refclip import __version__, data, saved
from refclip.clip import CLIP
from refclip.fingerprint import fingerprint
from refclip.samples import Sample
from refclip.sources import Source

OWN_IMAGES = ("clip-ada",)  # learn from normal images of the things that they judge


def learned_for(clip: CLIP, setting: Setting, seed: int, source: Source, folder: Path) -> Path:
    """The file of what a setting needs for a seed, learned if it is not there.

    Parameters
    ----------
    clip : CLIP
    setting : Setting
        Whose `learning` is not None.
    seed : int
    source : Source
        What it is evaluated on.
    folder : path
        Where such files are kept.

    Raises
    ------
    ValueError
        The method learns nothing, it has no such choice, or there is nothing to learn from.
    FloatingPointError
        The loss is no longer a finite number.
    """
    own = setting.method in OWN_IMAGES
    chosen = {"seed": seed} | dict(setting.learning or ())
    told = [setting.method, train_learned.parts(setting.method, chosen), __version__, fingerprint(clip)]
    told += [category.digest() for category in source.categories] if own else [train_learned.COUNT, seed]
    digest = hashlib.blake2b(json.dumps(saved.plain(told)).encode(), digest_size=4).hexdigest()
    path = folder / f"{setting.method}-{seed}-{digest}.safetensors"
    if not path.exists():
        samples: Sequence[Any] = normal(source) if own else drawn(train_learned.COUNT, seed)
        folder.mkdir(parents=True, exist_ok=True)
        train_learned.learn(setting.method, clip, samples, path, chosen)
    return path


def normal(source: Source) -> list[Sample]:
    """The normal training images of all categories."""
    found: list[Sample] = []
    for one in source.categories:
        some = data.find(one.root, one.layout, categories=[one.name], split="train").samples
        found += [sample for sample in some if sample.label == 0]
    return found


@functools.lru_cache(maxsize=5)  # five seeds: 0.3 GB, and some 5 seconds to draw each
def drawn(count: int, seed: int) -> tuple[Any, ...]:
    """The auxiliary set of a seed."""
    return tuple(auxiliary(count, seed))
