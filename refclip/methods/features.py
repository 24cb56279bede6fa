"""What methods keep of images, joined and cut: `Features` of batches -> those of a set -> those of some of it.

Each method's `Features` is a NamedTuple of arrays with images along their first axis, perhaps nested, and of a few
things beside them, which are known by their names:

    geometry, keys    one for each image
    spans             one for each image: its tiles, where images are cut into tiles
    tiles             one for each tile; where there are spans, arrays too have tiles along their first axis
    all else          the same for all images: the grid, the options they were extracted with
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from refclip.backend import xp_of

IMAGES, TILES, SPANS = ("geometry", "keys"), ("tiles",), "spans"


def count(features: Any) -> int:
    """How many images features are of."""
    found = _find(features, SPANS) or _find(features, "geometry")
    if found is None:
        raise TypeError(f"{type(features).__name__}: no geometry, so nobody knows how many images these are of")
    return len(found)


def join(parts: Sequence[Any]) -> Any:
    """The features of several batches as those of one.

    Raises
    ------
    ValueError
        There are none; or they were extracted with different options, by different models or at different sizes.
    """
    parts = list(parts)
    if not parts:
        raise ValueError("no features: expected those of at least one batch")
    return parts[0] if len(parts) == 1 else _join("features", parts)


def _join(name: str, parts: list[Any]) -> Any:
    first = parts[0]
    if any(type(part) is not type(first) for part in parts):
        raise ValueError(f"{name}: {', '.join(sorted({type(p).__name__ for p in parts}))} do not belong together")
    if name in (*IMAGES, *TILES):
        return tuple(item for part in parts for item in part)
    if name == SPANS:
        before = (0, *accumulate(part[-1][1] for part in parts))
        return tuple((a + n, z + n) for part, n in zip(parts, before, strict=False) for a, z in part)
    if hasattr(first, "_fields"):
        return type(first)(*(_join(key, [getattr(part, key) for part in parts]) for key in first._fields))
    if isinstance(first, dict):
        if any(part.keys() != first.keys() for part in parts):
            raise ValueError(f"{name}: {', '.join(str(list(part)) for part in parts)}: expected the same keys")
        return {key: _join(name, [part[key] for part in parts]) for key in first}
    if hasattr(first, "ndim"):
        return xp_of(first).concatenate(parts)
    if any(part != first for part in parts):
        raise ValueError(f"{name}: found {', '.join(sorted({repr(p) for p in parts}))}; expected the same for all")
    return first


def piece(features: Any, start: int, stop: int) -> Any:
    """The features of images `start` to `stop`, `stop` not included. Arrays are views."""
    if not 0 <= start < stop <= count(features):
        raise ValueError(f"images {start} to {stop} of {count(features)}: expected at least one that there is")
    spans = _find(features, SPANS)
    rows = (spans[start][0], spans[stop - 1][1]) if spans else (start, stop)
    return _piece("features", features, (start, stop), rows)


def _piece(name: str, x: Any, images: tuple[int, int], rows: tuple[int, int]) -> Any:
    if name in IMAGES:
        return x[slice(*images)]
    if name == SPANS:
        return tuple((a - rows[0], z - rows[0]) for a, z in x[slice(*images)])
    if hasattr(x, "_fields"):
        return type(x)(*(_piece(key, value, images, rows) for key, value in x._asdict().items()))
    if isinstance(x, dict):
        return {key: _piece(name, value, images, rows) for key, value in x.items()}
    return x[slice(*rows)] if hasattr(x, "ndim") or name in TILES else x


def _find(x: Any, name: str) -> Any:
    """The first field of that name, at any depth; None if there is none."""
    for key in getattr(x, "_fields", ()):
        value = getattr(x, key)
        found = value if key == name else _find(value, name)
        if found is not None:
            return found
    return None
