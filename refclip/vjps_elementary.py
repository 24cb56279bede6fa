"""The vjps of arithmetic and of moving elements about: `elementary`."""

from __future__ import annotations

import math
from typing import Any

from refclip import elementary
from refclip.autograd import Slot, defvjp
from refclip.backend import Array, xp_of
from refclip.vjps import Vjps, summed_to

# --- arithmetic ------------------------------------------------------------------------------------------------------


@defvjp(elementary.add)
def add(out: Array, x: Array, y: Array) -> Vjps:
    """For x + y, dx + dy; what was broadcast gets the sum, here and below."""
    a, b = _shape(x), _shape(y)
    return lambda g: summed_to(g, a), lambda g: summed_to(g, b)


@defvjp(elementary.subtract)
def subtract(out: Array, x: Array, y: Array) -> Vjps:
    """For x - y, dx - dy."""
    a, b = _shape(x), _shape(y)
    return lambda g: summed_to(g, a), lambda g: -summed_to(g, b)


@defvjp(elementary.multiply)
def multiply(out: Array, x: Array, y: Array) -> Vjps:
    """For x y, y dx + x dy."""
    a, b = _shape(x), _shape(y)
    return lambda g: summed_to(g * y, a), lambda g: summed_to(g * x, b)


@defvjp(elementary.divide)
def divide(out: Array, x: Array, y: Array) -> Vjps:
    """For x / y, dx / y - (x / y) dy / y."""
    a, b = _shape(x), _shape(y)
    return lambda g: summed_to(g / y, a), lambda g: -summed_to(g * out / y, b)


@defvjp(elementary.negative)
def negative(out: Array, x: Array) -> Vjps:
    """For -x, -dx."""
    return (lambda g: -g,)


@defvjp(elementary.matmul)
def matmul(out: Array, x: Array, y: Array) -> Vjps:
    """<g, dx y + x dy> = <g y^T, dx> + <x^T g, dy>. A vector is a matrix of one row (left) or one column (right)."""
    a, b = x.shape, y.shape

    def matrix(g: Array) -> Array:
        g = g[..., None, :] if len(a) == 1 and len(b) > 1 else g
        g = g[..., None] if len(b) == 1 else g
        return g[..., None, :] if len(a) == len(b) == 1 else g  # [..., rows, columns]

    def left(g: Array) -> Array:
        to = y[None, :] if len(b) == 1 else y.swapaxes(-1, -2)  # y^T
        return summed_to(matrix(g) @ to, a if len(a) > 1 else (1, *a)).reshape(a)

    def right(g: Array) -> Array:
        g = matrix(g)
        if len(b) == 2:  # one product, however many leading axes
            return x.reshape(-1, a[-1]).T @ g.reshape(-1, b[-1])
        of = x[:, None] if len(a) == 1 else x.swapaxes(-1, -2)  # x^T
        return summed_to(of @ g, b if len(b) > 1 else (*b, 1)).reshape(b)

    return left, right


@defvjp(elementary.exp)
def exp(out: Array, x: Array) -> Vjps:
    """For e^x, e^x dx."""
    return (lambda g: g * out,)


@defvjp(elementary.log)
def log(out: Array, x: Array) -> Vjps:
    """For log x, dx / x."""
    return (lambda g: g / x,)


@defvjp(elementary.sigmoid)
def sigmoid(out: Array, x: Array) -> Vjps:
    """For s = 1 / (1 + e^-x), ds = s (1 - s) dx."""
    return (lambda g: g * out * (1 - out),)


@defvjp(elementary.where)
def where(out: Array, condition: Array, x: Array, y: Array) -> Vjps:
    """The gradient goes where the value came from."""
    a, b = _shape(x), _shape(y)
    xp = xp_of(condition)
    return (
        None,
        lambda g: summed_to(xp.where(condition, g, xp.zeros_like(g)), a),
        lambda g: summed_to(xp.where(condition, xp.zeros_like(g), g), b),
    )


@defvjp(elementary.sum)
def sum_(out: Array, x: Array, axis: Any = None, keepdims: bool = False) -> Vjps:
    """<g, sum dx> = sum of g dx: every summand gets g."""
    shape = x.shape
    return (lambda g: _spread(g, shape, axis, keepdims),)


@defvjp(elementary.mean)
def mean(out: Array, x: Array, axis: Any = None, keepdims: bool = False) -> Vjps:
    """The sum's, divided by the count."""
    shape, count = x.shape, x.size // max(out.size, 1)
    return (lambda g: _spread(g / count, shape, axis, keepdims),)


# --- places ----------------------------------------------------------------------------------------------------------


@defvjp(elementary.getitem)
def getitem(out: Array, x: Array, index: Any) -> Vjps:
    """0, with g added at `index`. An index array may name a place twice, which `+=` would take once: then by count."""
    shape, dtype = x.shape, x.dtype
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(i, int | slice) or i is None or i is Ellipsis for i in parts):
        return (lambda g: Slot(shape, index, g),)
    xp, count = xp_of(x), math.prod(shape)

    def scattered(g: Array) -> Array:
        places = xp.arange(count).reshape(shape)[index]
        total = xp.bincount(places.reshape(-1), weights=g.reshape(-1), minlength=count)
        return total.reshape(shape).astype(dtype, copy=False)

    return (scattered,)


@defvjp(elementary.reshape)
def reshape(out: Array, x: Array, *shape: Any) -> Vjps:
    """The same elements, back in their shape."""
    before = x.shape
    return (lambda g: g.reshape(before),)


@defvjp(elementary.transpose)
def transpose(out: Array, x: Array, *axes: Any) -> Vjps:
    """The inverse permutation: axis axes[i] of x became axis i."""
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or range(x.ndim)[::-1]
    order = [a % x.ndim for a in order]
    inverse = sorted(range(x.ndim), key=order.__getitem__)
    return (lambda g: g.transpose(*inverse),)


@defvjp(elementary.swapaxes)
def swapaxes(out: Array, x: Array, first: int, second: int) -> Vjps:
    """Its own inverse."""
    return (lambda g: g.swapaxes(first, second),)


@defvjp(elementary.broadcast_to)
def broadcast_to(out: Array, x: Array, shape: tuple[int, ...]) -> Vjps:
    """Sums over what was repeated."""
    before = x.shape
    return (lambda g: summed_to(g, before),)


@defvjp(elementary.astype)
def astype(out: Array, x: Array, dtype: Any, copy: bool = True) -> Vjps:
    """The gradient in the type of x."""
    before = x.dtype
    return (lambda g: g.astype(before, copy=False),)


@defvjp(elementary.concat)
def concat(out: Array, *parts: Array, axis: int = 1) -> Vjps:
    """Each part gets its stretch of g."""
    at = axis % out.ndim
    vjps, start = [], 0
    for part in parts:
        index = (*[slice(None)] * at, slice(start, start + part.shape[at]))
        vjps.append(lambda g, index=index: g[index])
        start += part.shape[at]
    return tuple(vjps)


@defvjp(elementary.stack)
def stack(out: Array, *parts: Array, axis: int = 0) -> Vjps:
    """Each part gets its layer of g."""
    at = (slice(None),) * (axis % out.ndim)
    return tuple(lambda g, i=i: g[(*at, i)] for i in range(len(parts)))


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))


def _spread(g: Array, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    xp = xp_of(g)
    if not keepdims and axis is not None:
        g = xp.expand_dims(g, axis)
    return xp.broadcast_to(g, shape)
