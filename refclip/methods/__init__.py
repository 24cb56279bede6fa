"""Detectors, one system a file, each in the same three steps; `detector` strings them together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from refclip.clip import CLIP
from refclip.decode import ImageError, read_image
from refclip.methods import (
    anoclip,
    anomalyclip,
    clip_ac,
    clip_ada,
    contexts,
    coop,
    dual_image,
    dual_image_plus,
    learned,
    maskclip,
    musc,
    patchcore,
    vand,
    winclip,
    winclip_plus,
)
from refclip.methods.features import join
from refclip.prediction import Prediction

# name -> its file, and the options that the name decides
METHODS: dict[str, tuple[ModuleType, dict[str, Any]]] = {
    "clip": (clip_ac, {"baseline": "clip"}),
    "clip-ac": (clip_ac, {"baseline": "clip-ac"}),
    "maskclip": (maskclip, {}),
    "winclip": (winclip, {}),
    "winclip+": (winclip_plus, {}),
    "anoclip": (anoclip, {"adapt": False}),
    "anovl": (anoclip, {"adapt": True}),
    "dual-image": (dual_image, {}),
    "dual-image+": (dual_image_plus, {}),
    "musc": (musc, {}),
    "patchcore": (patchcore, {}),
    "anomalyclip": (anomalyclip, {}),
    "coop": (coop, {}),
    "vand": (vand, {}),
    "clip-ada": (clip_ada, {}),
}
BATCH = 8  # images encoded at a time


def method_of(method: str) -> tuple[ModuleType, dict[str, Any]]:
    """A row of `METHODS`.

    Raises
    ------
    ValueError
        No such method.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    return METHODS[method]


def learns(method: str) -> bool:
    """Whether a method has parameters that are learned, and so the option `learned`."""
    return "learned" in method_of(method)[0].Options._fields


def shipped_learned(method: str, clip: CLIP) -> Path | None:
    """The file of learned parameters that a method takes for refclip-mini when it is given none.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    clip : CLIP

    Returns
    -------
    path, or None
        None for another model, for a method that does not learn, and where this installation has no such file.

    Raises
    ------
    ValueError
        No such method.
    """
    return learned.shipped_learned(method, clip) if learns(method) else None


def detector(
    method: str,
    clip: CLIP,
    name: str | None = None,
    *,
    references: Sequence[Any] | int | None = None,
    rng: Any = 0,
    batch: int = BATCH,
    **options: Any,
) -> Callable[[Sequence[Any]], Prediction]:
    """A method ready to score images.

    ==========================================================  =======================================================
    method                                                      what it needs beside an image
    ==========================================================  =======================================================
    clip, clip-ac, maskclip, winclip, anoclip, anovl            nothing
    winclip+, patchcore                                         `references`: normal images of the same object
    dual-image, dual-image+                                     `references`; or else other images of the set it scores
    musc                                                        the set it scores, of two images at least
    anomalyclip, coop, clip-ada                                 `learned`: a file of `refclip train`'s, or what a `fit`
                                                                answered; for refclip-mini, what is shipped if none
    vand                                                        `learned`; `references` if there are any
    ==========================================================  =======================================================

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    clip : CLIP
        From `refclip.load`.
    name : str, optional
        The object, in words: "bottle". None says "object". musc and patchcore read no text.
    references : sequence of images, or int, optional
        Normal images, encoded here, once; their number is the papers' K. For dual-image and dual-image+ a whole number
        is their option of that name: with how many others of its set each image is compared.
    rng : numpy.random.Generator or int
        Draws these others; an int is a seed, and draws the same for each call.
    batch : int
        How many images are encoded at a time. It decides the memory that the towers take; musc and dual-image without
        references keep the features of all images of a call besides.
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
        No such method, or an option it does not have; references missing, or of no use to it; nothing learned.
    WeightsError
        What was learned does not fit the model.

    Examples
    --------
    >>> import refclip, numpy as np
    >>> winclip = refclip.detector("winclip", refclip.load("refclip-mini"), "bottle")
    >>> winclip([np.full((90, 120, 3), 200, np.uint8)]).map.shape
    (1, 120, 120)
    """
    module, preset = method_of(method)
    known = module.Options._fields
    if isinstance(references, int) and "references" in known:
        options["references"], references = references, None
    unknown = [key for key in options if key not in known or key in preset]
    if unknown:
        raise ValueError(
            f"{method} has no option {unknown[0]!r}; it has {', '.join(k for k in known if k not in preset)}"
        )
    if batch < 1:
        raise ValueError(f"batch={batch}: expected at least 1 image at a time")
    if references is not None:
        _check_sequence(references, "references")
    options = preset | options
    chosen = module.Options(**options)
    given = references is not None and len(references) > 0  # type: ignore[arg-type]
    contexts.check(method, module, chosen, references=given, how="references=[...]")
    state = module.prepare(clip, name, **options)
    kept = join(list(_extracted(module, state, references, batch, "references"))) if given else None  # type: ignore[arg-type]
    return partial(_run, module, state, references=kept, rng=rng, batch=batch)


def _run(module: ModuleType, state: Any, images: Sequence[Any], *, references: Any, rng: Any, batch: int) -> Prediction:
    _check_sequence(images, "images")
    if not len(images):
        raise ValueError("no images: expected at least one")
    parts = contexts.score_batches(
        module, state, _extracted(module, state, images, batch), references=references, rng=rng
    )
    return join([prediction for _, prediction in parts])


def _check_sequence(images: Any, name: str) -> None:
    if isinstance(images, str | os.PathLike) or not hasattr(images, "__len__"):
        raise TypeError(f"{name}: expected a sequence of images; put a single one in a list")
    if 0 < getattr(images, "ndim", 4) < 4:  # an array's rows would pass for grey images
        raise TypeError(f"{name}: an array of shape {list(images.shape)} is one image; put it in a list")


def _extracted(module: ModuleType, state: Any, images: Sequence[Any], batch: int, name: str = "images") -> Any:
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        read = [read_image(x) if isinstance(x, str | os.PathLike) else x for x in some]
        try:
            yield module.extract(state, read)
        except (ImageError, TypeError) as error:  # which counts within the batch
            raise type(error)(_counted(str(error), start, some, name)) from error


def _counted(message: str, start: int, some: Sequence[Any], name: str) -> str:
    """A message about images[i] of a batch, with its path, or its number among all."""

    def of(found: re.Match[str]) -> str:
        i = int(found[1])
        one = some[i] if i < len(some) else None
        return str(one) if isinstance(one, str | os.PathLike) else f"{name}[{start + i}]"

    return re.sub(r"images\[(\d+)\]", of, message)
