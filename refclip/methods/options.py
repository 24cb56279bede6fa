"""What the options of several methods share: the first one given, one of those allowed, a size that patches divide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from refclip.clip import CLIP

Chosen = TypeVar("Chosen", bound=NamedTuple)

PAPER = (24, 14, 518)  # a grid of 24 x 24 patches of 14 pixels, ViT-L-14-336's, is fed 518: AnomalyCLIP, VAND


def first_of(*options: Chosen) -> Chosen:
    """Of each option the first value that is not None."""
    return options[0]._make(next((x for x in some if x is not None), None) for some in zip(*options, strict=True))


def check(options: NamedTuple, choices: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a value that is none of those an option has.

    Raises
    ------
    ValueError
        The message lists those it has.
    """
    for key, allowed in choices.items():
        if getattr(options, key) not in allowed:
            raise ValueError(f"{key}={getattr(options, key)!r}: expected one of {', '.join(map(repr, allowed))}")


def side_of(clip: CLIP, size: int | None, *, enlarged: bool = False) -> int:
    """Side of the input in pixels: the one asked for, or the model's own.

    Parameters
    ----------
    clip : CLIP
    size : int, optional
    enlarged : bool
        518 for ViT-L-14-336, in place of its own 336: `PAPER`.

    Raises
    ------
    ValueError
        The patch does not divide it.
    """
    v, (grid, patch, side) = clip.vision, PAPER
    chosen = size or (side if enlarged and (v.grid, v.patch_size) == (grid, patch) else v.image_size)
    if chosen < v.patch_size or chosen % v.patch_size:
        raise ValueError(f"size={chosen}: expected a multiple of the patch, {v.patch_size}")
    return chosen


def restored(options: Chosen, stored: Mapping[str, Any]) -> Chosen:
    """Options with those that a file keeps in their place; the tuples that JSON made lists of are tuples again."""
    known = {key: value for key, value in stored.items() if key in options._fields}
    return options._replace(**{key: tuple(x) if isinstance(x, list) else x for key, x in known.items()})
