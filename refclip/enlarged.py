"""Focal and Dice losses of a small map, enlarged to a mask of many pixels, without keeping the enlarged map.

    p = A s B^T        `resample.resize` of s [gh, gw] to the mask's [H, W], bilinear

AnomalyCLIP, section 3.3, compares Up S_n and Up S_a with the mask S: at 518 pixels that is 200 times the numbers of the
patches, in each of four layers. But Dice needs sums over pixels only, and these are sums over patches:

    sum p = <s, A^T 1 B>      sum p t = <s, A^T t B>      sum p^2 = <s, A^T A s B^T B>

where A^T t B, the mask as the patches see it, is the same for all layers. The focal loss is a sum of what each pixel
has to say, so the enlarged map is needed a piece at a time, and a piece stays in cache. Values and gradients are those
of `losses.focal` and `losses.dice` on the enlarged map, to rounding.

Shapes: `b` batch, `gh` by `gw` patches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from refclip.autograd import primitive
from refclip.backend import Array, on_host, xp_of
from refclip.losses import FOCAL_SMOOTH
from refclip.nn import CHUNK
from refclip.parallel import map_jobs
from refclip.resample import resize_adjoint, resize_matrix

MODE = "bilinear"


class Target(NamedTuple):
    """A mask, and what patches see of it: made once for all layers."""

    mask: Array  # [b, H, W], 0 or 1
    under: Array  # [b, 2, gh, gw], A^T (1 - t) B and A^T t B
    area: Array  # [b, 2], pixels of either kind


def target_of(mask: Array, grid: tuple[int, int]) -> Target:
    """What maps of `grid` are compared with.

    Parameters
    ----------
    mask : array [b, H, W]
        In the type of the maps, 0 normal and 1 abnormal.
    grid : (int, int)
        (gh, gw).
    """
    xp = xp_of(mask)
    under, every = resize_adjoint(mask, grid, MODE), resize_adjoint(xp.ones_like(mask[:1]), grid, MODE)
    area = mask.sum(axis=(1, 2))  # [b]
    sizes = xp.stack([mask.shape[1] * mask.shape[2] - area, area], axis=1)  # [b, 2]
    return Target(mask, xp.stack([every - under, under], axis=1), sizes)


@primitive
def enlarged_focal(s: Array, mask: Array, gamma: float = 2.0, alpha: float = 1.0) -> Array:
    """`losses.focal` of the enlarged maps.

    Parameters
    ----------
    s : array [b, 2, gh, gw]
        Probabilities of normal and abnormal.
    mask : array [b, H, W]
        0 or 1, in the type of `s`.
    gamma, alpha : float

    Returns
    -------
    array of no dimensions
    """
    xp = xp_of(s)
    rows, columns = _matrices(s, mask)

    def summed(items: slice) -> Any:
        total: Any = 0.0
        for q, _, _ in _own(s[items], mask[items], rows, columns):
            power = xp.maximum(1 - q, 0) ** gamma
            total = total + power.reshape(-1) @ xp.log(q).reshape(-1)
        return total

    return sum(map_jobs(summed, _items(s), s)) * (-alpha / mask.size)


def enlarged_dice(s: Any, target: Target, kind: int, form: str = "plain", smooth: float = 1.0) -> Any:
    """`losses.dice` of the enlarged map.

    Parameters
    ----------
    s : array [b, gh, gw] or Var
        Probability of normal (`kind` 0) or of abnormal (1).
    target : Target
    kind : {0, 1}
    form : {"plain", "squared"}
    smooth : float

    Returns
    -------
    array of no dimensions, or Var

    Raises
    ------
    ValueError
        Unknown form.
    """
    if form not in ("plain", "squared"):
        raise ValueError(f"form={form!r}: expected 'plain' or 'squared'")
    if form == "plain":
        own = (s * target.under.sum(axis=1)).sum(axis=(1, 2))  # [b], sum p
    else:
        rows, columns = _matrices(target.under, target.mask)
        own = (s * ((rows.T @ rows) @ s @ (columns.T @ columns))).sum(axis=(1, 2))  # [b], sum p^2
    above = 2 * (s * target.under[:, kind]).sum(axis=(1, 2)) + smooth  # [b]
    return 1 - (above / (own + target.area[:, kind] + smooth)).mean()


def focal_slope(s: Array, mask: Array, gamma: float, alpha: float) -> Array:
    """The derivative of `enlarged_focal` by s, [b, 2, gh, gw].

    That by q is as of `losses.focal`: -alpha (r^c / q - c r^(c - 1) log q) with r = 1 - q, times -1; each pixel's goes
    to the map of its own kind. Back to patches leads the adjoint of enlarging, A^T (.) B, and then that of smoothing.
    """
    xp = xp_of(s)
    rows, columns = _matrices(s, mask)

    def summed(items: slice) -> Array:
        total = xp.zeros((*s[items].shape[:3], mask.shape[2]), dtype=s.dtype)  # [.., 2, gh, W]
        for q, part, kinds in _own(s[items], mask[items], rows, columns):
            left = xp.maximum(1 - q, 0)
            slope = left**gamma
            slope /= q
            if gamma:
                slope -= gamma * left ** (gamma - 1) * xp.log(q)
            for kind, those in kinds.items():
                total[:, kind] += rows[part].T @ (slope * those)
        return total @ columns  # [.., 2, gh, gw]

    return _smoothed(xp.concatenate(map_jobs(summed, _items(s), s))) * (-alpha / mask.size)


def _own(s: Array, t: Array, rows: Array, columns: Array) -> Iterator[tuple[Array, slice, dict[int, Any]]]:
    """The q of `losses.focal`, of the enlarged maps, some rows of pixels at a time.

    Yields
    ------
    q : array [.., r, W]
    part : slice
        Which rows.
    kinds : dict of int -> array [.., r, W] or 1
        For normal (0) and abnormal (1), 1 where a pixel is of that kind. Without 1 if none is abnormal.
    """
    wide = (_smoothed(s) + FOCAL_SMOOTH) @ columns.T  # [.., 2, gh, W]; enlarging leaves a constant as it is
    height, width = t.shape[1:]
    step = max(1, CHUNK // width) if on_host(s) else height
    for i in range(0, height, step):
        part = slice(i, i + step)
        abnormal, q = t[:, part], rows[part] @ wide[:, 0]  # [.., r, W]
        if not abnormal.any():  # most of most images
            yield q, part, {0: 1}
            continue
        normal, other = 1 - abnormal, rows[part] @ wide[:, 1]
        q *= normal
        other *= abnormal
        q += other
        yield q, part, {0: normal, 1: abnormal}


def _smoothed(s: Array) -> Array:
    """(1 - e) s_own + e s_other, e = 1e-5, of both kinds: [b, 2, gh, gw]. Its own adjoint."""
    return (1 - FOCAL_SMOOTH) * s + FOCAL_SMOOTH * s[:, ::-1]


def _items(s: Array) -> list[slice]:
    """Image by image on the host, for threads to share; all at once on a GPU."""
    return [slice(i, i + 1) for i in range(len(s))] if on_host(s) else [slice(0, len(s))]


def _matrices(s: Array, mask: Array) -> tuple[Array, Array]:
    """A [H, gh] and B [W, gw]."""
    if s.ndim != 4 or mask.ndim != 3 or tuple(s.shape[:2]) != (len(mask), 2):
        raise ValueError(f"maps {tuple(s.shape)}, mask {tuple(mask.shape)}: expected [b, 2, gh, gw] and [b, H, W]")
    xp, (gh, gw), (height, width) = xp_of(s), s.shape[-2:], mask.shape[1:]
    rows, columns = (xp.asarray(resize_matrix(*sides, MODE), dtype=s.dtype) for sides in ((gh, height), (gw, width)))
    return rows, columns
