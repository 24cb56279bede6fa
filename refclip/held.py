"""What a function keeps in memory: the arrays in its closure, and whose memory they share. A tape counts with it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from refclip.backend import Array


def held(x: Any) -> Iterator[Array]:
    """Every array that a function keeps alive: in the cells of its closure, or bound by `partial`."""
    if isinstance(x, functools.partial):
        x = (x.func, *x.args)
    if isinstance(x, list | tuple):
        for item in x:
            yield from held(item)
    elif hasattr(x, "__closure__"):
        for cell in x.__closure__ or ():
            yield from held(cell.cell_contents)
    elif hasattr(x, "nbytes"):
        yield x


def owner(x: Any) -> Any:
    """The array whose memory `x` is a view of."""
    while hasattr(getattr(x, "base", None), "nbytes"):
        x = x.base
    return x
