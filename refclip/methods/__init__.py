"""Detectors, one system a file, each in the same three steps; `detector` strings them together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from refclip.clip import CLIP
from refclip.decode import read_image
from refclip.methods import clip_ac, winclip
from refclip.prediction import Prediction

METHODS: dict[str, tuple[ModuleType, dict[str, Any]]] = {
    "clip": (clip_ac, {"baseline": "clip"}),
    "clip-ac": (clip_ac, {"baseline": "clip-ac"}),
    "winclip": (winclip, {}),
}


def detector(method: str, clip: CLIP, name: str | None = None, **options: Any) -> Callable[[Sequence[Any]], Prediction]:
    """A method ready to score images.

    Parameters
    ----------
    method : {"clip", "clip-ac", "winclip"}
    clip : CLIP
        From `refclip.load`.
    name : str, optional
        The object, in words: "bottle". None says "object".
    **options
        The method's own; see its `Options`.

    Returns
    -------
    callable
        Takes a sequence of images (paths, PIL images, or uint8 RGB arrays [H, W, 3]; sizes may differ) and returns a
        `Prediction`.

    Raises
    ------
    ValueError
        No such method, or an option it does not have.

    Examples
    --------
    >>> import refclip, numpy as np
    >>> winclip = refclip.detector("winclip", refclip.load("refclip-mini"), "bottle")
    >>> winclip([np.full((90, 120, 3), 200, np.uint8)]).map.shape
    (1, 120, 120)
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    module, preset = METHODS[method]
    known = module.Options._fields
    unknown = [key for key in options if key not in known or key in preset]
    if unknown:
        raise ValueError(
            f"{method} has no option {unknown[0]!r}; it has {', '.join(k for k in known if k not in preset)}"
        )
    return partial(_run, module, module.prepare(clip, name, **preset, **options))


def _run(module: ModuleType, state: Any, images: Sequence[Any]) -> Prediction:
    if isinstance(images, str | os.PathLike) or not hasattr(images, "__len__"):
        raise TypeError("expected a sequence of images; put a single one in a list")
    if 0 < getattr(images, "ndim", 4) < 4:  # an array's rows would pass for grey images
        raise TypeError(f"an array of shape {list(images.shape)} is one image; put it in a list")  # type: ignore
    opened = [read_image(image) if isinstance(image, str | os.PathLike) else image for image in images]
    return module.score(state, module.extract(state, opened))
