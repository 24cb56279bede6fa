"""Images with masks, to learn from: which can be used, and their masks at the input's resolution, a bit a pixel.

What AnomalyCLIP and VAND share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refclip.backend import Array, xp_of
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


def packed_masks(
    samples: Sequence[Sample | Loaded], geometry: Sequence[Geometry], share: float
) -> Callable[[Sequence[int]], Array]:
    """Masks at the input's resolution: index -> float32 [b, H, W], 1 where a `share` of the pixel's area is covered."""
    found = []
    for one, place in zip(samples, geometry, strict=True):
        mask = one.mask if isinstance(one, Loaded) else load(one)[1]
        found.append(None if mask is None or not mask.any() else to_model(mask, place, "box") >= share)
    host = xp_of(next(x for x in found if x is not None))
    bits = [None if x is None else host.packbits(x, axis=1) for x in found]
    height, width = geometry[0].size

    def of(index: Sequence[int]) -> Array:
        out = host.zeros((len(index), height, width), dtype=host.float32)
        for row, i in zip(out, index, strict=True):
            if bits[i] is not None:
                row[:] = host.unpackbits(bits[i], axis=1, count=width)
        return out

    return of


def _has_mask(one: Sample | Loaded) -> bool:
    return sample_of(one).label != 0 and one.mask is not None
