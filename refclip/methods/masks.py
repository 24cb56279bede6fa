"""Images with masks, to learn from: which can be used, and their masks at the input's resolution, a bit a pixel.

What AnomalyCLIP and VAND share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.fingerprint import of_images
from refclip.preprocess import Geometry, to_model
from refclip.samples import Loaded, Sample, load


def sample_of(one: Sample | Loaded) -> Sample:
    """What is known of an image, whether its pixels are in memory or in a file."""
    return one.sample if isinstance(one, Loaded) else one


def usable(samples: Sequence[Sample | Loaded], note: Callable[[str], None]) -> list[Sample | Loaded]:
    """Those whose every pixel is known to be normal or not.

    Raises
    ------
    ValueError
        There are none, or all are normal.
    """
    known = [one for one in samples if sample_of(one).label == 0 or _has_mask(one)]
    if len(known) < len(samples):
        note(f"{len(samples) - len(known)} images without a mask are left out")
    if not any(_has_mask(one) for one in known):
        raise ValueError(f"{len(known)} images and no mask of a defect among them: expected some to learn from")
    return known


class Masks(NamedTuple):
    """Masks at the input's resolution, a bit a pixel."""

    bits: tuple[Array | None, ...]  # uint8 [H, W / 8] of each image; None marks nothing
    size: tuple[int, int]  # H, W
    host: Any  # numpy

    def __call__(self, index: Sequence[int]) -> Array:
        """Masks of some images, float32 [b, H, W]."""
        out = self.host.zeros((len(index), *self.size), dtype=self.host.float32)
        for row, i in zip(out, index, strict=True):
            if self.bits[i] is not None:
                row[:] = self.host.unpackbits(self.bits[i], axis=1, count=self.size[1])
        return out


def packed_masks(samples: Sequence[Sample | Loaded], geometry: Sequence[Geometry], share: float) -> Masks:
    """Masks at the input's resolution: 1 where a `share` of the pixel's area is covered."""
    found = []
    for one, place in zip(samples, geometry, strict=True):
        mask = one.mask if isinstance(one, Loaded) else load(one)[1]
        found.append(None if mask is None or not mask.any() else to_model(mask, place, "box") >= share)
    host = xp_of(next(x for x in found if x is not None))
    return Masks(tuple(None if x is None else host.packbits(x, axis=1) for x in found), geometry[0].size, host)


def identity(samples: Sequence[Sample | Loaded], masks: Masks | None) -> str:
    """A digest of all that is learned from: images, their labels and categories, and the masks if they have a part."""
    told = hashlib.blake2b(of_images(samples).encode(), digest_size=16)
    for i, one in enumerate(samples):
        sample, bits = sample_of(one), None if masks is None else masks.bits[i]
        told.update(repr((sample.label, sample.category)).encode() + (b"" if bits is None else bits.tobytes()))
    return told.hexdigest()


def _has_mask(one: Sample | Loaded) -> bool:
    return sample_of(one).label != 0 and one.mask is not None
