"""An auxiliary data set for the methods that learn from other objects' damage: drawn by formulas, no network.

The things and defects are those of refclip-mini's own training without its fetched pictures. None of `toy()`'s
categories and none of its four unseen defects is among them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recipe import camera, defects, pairs, scenes
from refclip.samples import Loaded, Sample

_NONE = scenes.Pictures(
    np.zeros((0, 128, 128, 4), np.uint8),
    np.zeros(0, "U1"),
    np.zeros(0, "U1"),
    np.zeros((0, 256, 256, 3), np.uint8),
    np.zeros(0, "U1"),
)


def auxiliary(count: int, seed: int = 0) -> list[Loaded]:
    """`count` flawless and `count` damaged pictures of 120 x 120 pixels, with masks.

    Each thing is there twice, flawless and damaged, photographed anew each time: what differs is the damage, and not
    which things are damaged.
    """
    out: list[Loaded] = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        shot, damage = None, None
        while shot is None or damage is None:
            shot = scenes.draw(rng, _NONE, pairs.IMAGE)
            damage = defects.draw(rng, defects.Scene(shot.image, shot.inside, shot.ground, shot.other))
            if damage is not None and damage.mask.sum() < pairs.SMALL * damage.mask.size:
                damage = None
        grey = bool(rng.random() < 0.15)
        nothing = np.zeros_like(damage.mask)
        for label, kind, pixels, mask in (
            (0, "good", shot.image, nothing),
            (1, damage.kind, damage.image, damage.mask),
        ):
            path = Path(shot.name, kind, f"{i:04d}.png")  # there is no such file; messages name a sample by it
            sample = Sample(path, label, None, shot.name, kind, "test")
            out.append(Loaded(sample, camera.shoot(rng, pixels, grey=grey), mask))
    return out
