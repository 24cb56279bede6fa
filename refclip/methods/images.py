"""Images -> pixels on the model's device, the step every method begins with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refclip.backend import Array, xp_of
from refclip.clip import CLIP
from refclip.preprocess import Geometry, preprocess


def pixels_of(
    clip: CLIP, images: Sequence[Any], resize: str, size: tuple[int, int] | None = None
) -> tuple[Array, tuple[Geometry, ...]]:
    """Pixels [b, 3, H, W] in the model's type and place, and each image's geometry.

    Parameters
    ----------
    clip : CLIP
    images : sequence of PIL images or uint8 RGB arrays [H0, W0, 3]
    resize : {"squash", "shortest", "longest"}
        How an image becomes the model's size.
    size : (int, int), optional
        Another size than the model's.

    Raises
    ------
    ValueError
        No images.
    """
    if not len(images):
        raise ValueError("no images: expected at least one")
    config = clip.preprocess._replace(resize=resize, size=size or clip.preprocess.size)
    host, geometry = preprocess(images, config)
    like = clip.vision.proj
    return xp_of(like).asarray(host).astype(like.dtype, copy=False), geometry
