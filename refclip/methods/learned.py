"""What a method has learned: given as a file or in memory, or shipped beside refclip-mini; known again by its content.

`refclip train` writes such a file; `saved` has its format, and each method its own `load`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from refclip import saved, weights
from refclip.backend import to_numpy
from refclip.checkpoint import WeightsError
from refclip.clip import CLIP

SHIPPED = "refclip-mini"  # the model whose learned parameters are shipped


def folder() -> Path:
    """Where the shipped files are: beside the weights of their model, in a wheel as in a checkout."""
    return weights.find(SHIPPED).parent / "learned"


def shipped_learned(method: str, clip: CLIP) -> Path | None:
    """The file that is shipped for a method and a model; None if there is none. It is not opened."""
    if clip.name != SHIPPED:
        return None
    path = folder() / f"{method}.safetensors"
    return path if path.exists() else None


def given_or_shipped(method: str, clip: CLIP, given: Any = None) -> Any:
    """What a method that learns is to use: what is given, or else what is shipped.

    Parameters
    ----------
    method : str
    clip : CLIP
    given : path or Fitted, optional

    Returns
    -------
    path or Fitted

    Raises
    ------
    ValueError
        Nothing is given, and nothing is shipped for this model.
    """
    if given is not None:
        return given
    path = shipped_learned(method, clip)
    if path is None:
        raise ValueError(
            f"{method} needs what it has learned: learned=FILE (--learned FILE), which `refclip train {method} DATA "
            f"--out FILE` writes; nothing is shipped for {clip.name!r}"
        )
    return path


def source_of(given: Any) -> str:
    """What is said of it beside results: the file's name as it was given, "shipped", or "given" for what has none."""
    if given is None:
        return "shipped"
    return "given" if hasattr(given, "_fields") else str(given)


def digest(given: Any) -> str:
    """A digest of the content, of a file or of what would be written in one. A file's name has no part in it.

    Raises
    ------
    WeightsError
        The file cannot be read.
    """
    content = hashlib.blake2b(digest_size=16)
    if hasattr(given, "_fields"):
        for name, x in saved.named(given.learned):
            array = to_numpy(x)
            content.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        content.update(json.dumps(saved.plain(given._replace(learned=None)), sort_keys=True).encode())
        return content.hexdigest()
    try:
        content.update(Path(given).read_bytes())
    except OSError as error:
        raise WeightsError(f"{given}: cannot be read ({error.strerror}); expected a file of refclip train's") from error
    return content.hexdigest()
