"""Patch tokens as features: which layers, the mean over a neighbourhood, the nearest among others.

What MuSc and PatchCore share. Both compare patches of images with patches of images, and read no text.

Shapes: `b` images, `g` = gh gw patches, `d` width, `m` and `n` any patches.
"""

from __future__ import annotations

from collections.abc import Sequence

from refclip.backend import Array, xp_of
from refclip.clip import CLIP

DISTANCES = 4 * 1024 * 1024  # distances held at a time: 16 MiB in float32


def layers_of(clip: CLIP, layers: Sequence[int] | None, fractions: Sequence[float]) -> tuple[int, ...]:
    """Blocks, counted from 1: those asked for, or those at the given fractions of the tower's depth.

    Raises
    ------
    ValueError
        None, one twice, or one that the tower does not have.
    """
    depth = len(clip.vision.transformer.blocks)
    if layers is None:
        return tuple(dict.fromkeys(max(1, int(fraction * depth + 0.5)) for fraction in fractions))
    chosen = tuple(layers)
    if not chosen or len(set(chosen)) < len(chosen) or any(not 1 <= layer <= depth for layer in chosen):
        raise ValueError(f"layers {chosen}: expected different block numbers from 1 to {depth}")
    return chosen


def odd(value: int, name: str) -> int:
    """`value` if it is the side of a neighbourhood that has a patch in its middle.

    Raises
    ------
    ValueError
        It is not odd, or not positive.
    """
    if value < 1 or value % 2 == 0:
        raise ValueError(f"{name}={value!r}: expected an odd number of patches, 1 for none but the patch itself")
    return value


def in_single(x: Array) -> Array:
    """float16 in float32: distances between neighbours are small differences. Other types as they are."""
    xp = xp_of(x)
    return x.astype(xp.float32) if x.dtype == xp.float16 else x


def neighbourhood_mean(x: Array, grid: tuple[int, int], r: int) -> Array:
    """Mean over the r x r patches around each, what lies outside the image counted as zeros.

    Parameters
    ----------
    x : array [b, g, d]
    grid : (int, int)
    r : int
        Odd.

    Returns
    -------
    array [b, g, d]
    """
    if r == 1:
        return x
    (gh, gw), (b, g, d), margin = grid, x.shape, r // 2
    margins = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    padded = xp_of(x).pad(x.reshape(b, gh, gw, d), margins)  # [b, gh + r - 1, gw + r - 1, d]
    rows = padded[:, :gh]  # [b, gh, gw + r - 1, d]
    for i in range(1, r):
        rows = rows + padded[:, i : i + gh]
    total = rows[:, :, :gw]  # [b, gh, gw, d]
    for j in range(1, r):
        total = total + rows[:, :, j : j + gw]
    return total.reshape(b, g, d) / (r * r)  # [b, g, d]


def nearest(x: Array, y: Array) -> tuple[Array, Array]:
    """Each patch's nearest among others.

    The nearest is found through products, |y|^2 - 2 x y, and its distance then computed from the difference itself:
    the products would lose half the digits of a small distance.

    Parameters
    ----------
    x : array [m, d]
    y : array [n, d]

    Returns
    -------
    distance : array [m], Euclidean
    index : integer array [m], which of `y`; the first of equals

    Notes
    -----
    Time 2 m n d operations; memory for `DISTANCES` of the m n products at a time.
    """
    xp = xp_of(x)
    half = xp.einsum("nd,nd->n", y, y) / 2  # [n]
    step = max(1, DISTANCES // len(y))
    index = xp.concatenate([(x[i : i + step] @ y.T - half).argmax(axis=1) for i in range(0, len(x), step)])  # [m]
    return lengths(x - y[index]), index


def lengths(x: Array) -> Array:
    """Euclidean lengths of vectors [..., d]: [...]."""
    xp = xp_of(x)
    return xp.sqrt(xp.einsum("...d,...d->...", x, x))  # [...]
