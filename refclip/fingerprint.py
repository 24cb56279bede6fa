"""Digests: of a model's weights and settings, and of images, so that nothing made with others passes for its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refclip.backend import to_numpy
from refclip.clip import CLIP
from refclip.samples import Loaded, Sample


def fingerprint(clip: CLIP) -> str:
    """A digest of all weights and settings of a model. Its name has no part in it."""
    told = hashlib.blake2b(digest_size=16)

    def add(tree: Any) -> None:
        if isinstance(tree, tuple):
            for branch in tree:
                add(branch)
        elif hasattr(tree, "ndim"):
            array = to_numpy(tree)
            told.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        else:
            told.update(repr(tree).encode())

    add(tuple(clip._replace(name="")))
    return told.hexdigest()


def of_images(images: Sequence[Any]) -> str:
    """A digest of images: of files their path, size and time; of pixels the pixels.

    Parameters
    ----------
    images : sequence of Sample, Loaded, path, PIL image or array
        Masks have no part in it.
    """
    told = hashlib.blake2b(digest_size=16)
    for image in images:
        part = image.part if isinstance(image, Sample) else None
        one = image.image if isinstance(image, Loaded) else image
        one = one.path if isinstance(one, Sample) else one
        if isinstance(one, str | os.PathLike):
            found = Path(one).stat()
            told.update(repr((str(Path(one).resolve()), found.st_size, found.st_mtime_ns, part)).encode())
        elif hasattr(one, "tobytes"):  # an array, or a PIL image
            told.update(repr((getattr(one, "shape", None) or one.size, getattr(one, "mode", ""))).encode())
            told.update(one.tobytes())
        else:
            raise TypeError(f"an image is {type(one).__name__}; expected a Sample, a path, a PIL image or an array")
    return told.hexdigest()
