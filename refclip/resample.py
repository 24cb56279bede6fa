"""Resizing grids as torch's `interpolate` does: bilinear or bicubic, antialias on or off, corners aligned or not.

Resizing is linear and separable, so it is two small matrices: out = A x B^T. The matrix of one axis is built here once,
in float64, and its rows sum to 1. Position embeddings (`vit`) and anomaly maps (methods) go through it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refclip.autograd import primitive
from refclip.backend import Array, xp_of

# Keys' cubic kernel: torch uses a = -0.75 without antialias (as OpenCV) and a = -0.5 with it (as Pillow)
CUBIC_A = {False: -0.75, True: -0.5}
REACH = {"bilinear": 1, "bicubic": 2}  # half-width of each kernel in input pixels


@primitive
def resize(
    x: Array, size: tuple[int, int], mode: str = "bilinear", antialias: bool = False, align_corners: bool = False
) -> Array:
    """Resize the last two axes.

    Parameters
    ----------
    x : array [..., H, W]
    size : (int, int)
        New (H, W).
    mode : {"bilinear", "bicubic"}
    antialias : bool
        Widen the kernel when shrinking, as Pillow does.
    align_corners : bool
        Put the outermost pixel centres, not the outermost pixel edges, at the same place.

    Returns
    -------
    array [..., H', W'], in the type of `x`

    Raises
    ------
    ValueError
        Unknown mode, an empty size, or `antialias` with `align_corners`, which torch has no kernel for.
    """
    rows, columns = _matrices(x, x.shape[-2:], size, mode, antialias, align_corners)
    return rows @ x @ columns.T  # [..., H', W']


def resize_adjoint(
    g: Array, size: tuple[int, int], mode: str = "bilinear", antialias: bool = False, align_corners: bool = False
) -> Array:
    """The adjoint of `resize` from `size`: <g, resize(x)> = <resize_adjoint(g), x> for every x. Not its inverse.

    Parameters
    ----------
    g : array [..., H', W']
    size : (int, int)
        (H, W) of what was resized.
    mode, antialias, align_corners
        As it was resized.

    Returns
    -------
    array [..., H, W]
    """
    rows, columns = _matrices(g, size, g.shape[-2:], mode, antialias, align_corners)
    return rows.T @ g @ columns  # [..., H, W]


def _matrices(like: Array, old: tuple[int, int], new: tuple[int, int], *how: Any) -> tuple[Array, Array]:
    xp = xp_of(like)
    rows, columns = (
        xp.asarray(resize_matrix(a, b, *how), dtype=like.dtype) for a, b in zip(old, new, strict=True)
    )  # [H', H], [W', W]
    return rows, columns


@functools.lru_cache(maxsize=64)
def resize_matrix(old: int, new: int, mode: str, antialias: bool = False, align_corners: bool = False) -> np.ndarray:
    """Matrix [new, old] in float64 that resizes one axis. Cached, and read-only for that reason."""
    if mode not in REACH:
        raise ValueError(f"interpolation {mode!r}: expected 'bilinear' or 'bicubic'")
    if old < 1 or new < 1:
        raise ValueError(f"cannot resize an axis of {old} to {new}: both must be at least 1")
    if align_corners and antialias:
        raise ValueError("align_corners and antialias exclude each other")
    scale = (old - 1) / max(new - 1, 1) if align_corners else old / new  # input pixels per output pixel
    matrix = np.zeros((new, old))
    for i in range(new):
        centre = i * scale if align_corners else (i + 0.5) * scale - 0.5  # in input pixels, counted from their centres
        if antialias:
            stretch = max(scale, 1.0)
            reach = REACH[mode] * stretch
            # torch takes the pixels whose centres lie within reach, the ends rounded half up
            first = max(0, math.floor(centre + 0.5 - reach + 0.5))
            last = min(old, math.floor(centre + 0.5 + reach + 0.5))
            pixels = np.arange(first, last)
            weights = _kernel((pixels - centre) / stretch, mode, CUBIC_A[True])
            matrix[i, pixels] = weights / weights.sum()
        else:
            if mode == "bilinear":
                centre = max(centre, 0.0)
            pixels = math.floor(centre) + np.arange(1 - REACH[mode], 1 + REACH[mode])
            weights = _kernel(pixels - centre, mode, CUBIC_A[False])
            np.add.at(matrix[i], pixels.clip(0, old - 1), weights)  # beyond the edge, the edge pixel stands in
    matrix.flags.writeable = False
    return matrix


def _kernel(t: np.ndarray, mode: str, a: float) -> np.ndarray:
    t = np.abs(t)
    if mode == "bilinear":
        return np.maximum(1 - t, 0)
    near = ((a + 2) * t - (a + 3)) * t * t + 1  # |t| <= 1
    far = ((t - 5) * t + 8) * t * a - 4 * a  # 1 < |t| < 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))
