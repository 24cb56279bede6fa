"""What the options of several methods share: the first one given, one of those allowed, a size that patches divide."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

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
    own = side if enlarged and (v.grid, v.patch_size) == (grid, patch) else v.image_size
    chosen = own if size is None else size
    if chosen < v.patch_size or chosen % v.patch_size:
        raise ValueError(f"size={chosen}: expected a multiple of the patch, {v.patch_size}")
    return chosen


def sides_of(clip: CLIP, size: int | None, *, enlarged: bool = False) -> tuple[int, int]:
    """Height and width of the input: `side_of` twice, but for a model that was given a size of its own to preprocess.

    Raises
    ------
    ValueError
        The patch does not divide it.
    """
    if size is None and clip.preprocess.size != (clip.vision.image_size,) * 2:
        return clip.preprocess.size
    side = side_of(clip, size, enlarged=enlarged)
    return side, side


def restored(options: Chosen, stored: Mapping[str, Any]) -> Chosen:
    """Options with those that a file keeps in their place; the tuples that JSON made lists of are tuples again.

    Raises
    ------
    ValueError
        One that there is not, which another version may have learned with, or no value of its type.
    """
    hints = get_type_hints(type(options))
    found = {key: tuple(x) if isinstance(x, list) else x for key, x in stored.items()}
    for key, value in found.items():
        if key not in hints:
            raise ValueError(f"an option {key!r}, expected some of {', '.join(hints)}; another version has learned it")
        if not _fits(value, hints[key]):
            raise ValueError(f"option {key} is {value!r}, which is of another type than it can be")
    return options._replace(**found)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value out of JSON is of a type that an option's annotation names."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        each = parts[:1] * len(value) if isinstance(value, tuple) and parts[1:] == (...,) else parts
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_fits, value, each))
    if hint in (int, float):  # 1 stands for 1.0, true for neither
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    if hasattr(hint, "_fields"):
        return isinstance(value, Mapping)
    return isinstance(hint, type) and isinstance(value, hint)
