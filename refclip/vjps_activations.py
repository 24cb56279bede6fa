"""The vjps of GELU and QuickGELU, in chunks that stay in cache, as the functions themselves are computed."""

from __future__ import annotations

import math

from refclip import nn
from refclip.autograd import defvjp
from refclip.backend import Array, erf, quiet, xp_of
from refclip.vjps import Vjps

LOWEST = -45.0  # QuickGELU is flat below, to 1e-31; a little further, x exp(-1.702 x) overflows in float32


@defvjp(nn.gelu)
def gelu(out: Array, x: Array) -> Vjps:
    """For x Phi(x), (Phi(x) + x phi(x)) dx, phi(x) = exp(-x^2 / 2) / sqrt(2 pi), since dPhi = phi dx.

    In float32, Phi is the logistic function that `nn.gelu` multiplies by x, and phi is phi: off by at most 1.1e-7,
    where the slope of the fit itself, whose error of 7e-8 ripples, would be off by 4e-7.
    """
    return (lambda g: gelu_slope(x, g),)


@defvjp(nn.quick_gelu)
def quick_gelu(out: Array, x: Array) -> Vjps:
    """For x s, (s + c x s (1 - s)) dx with s = sigmoid(c x), c = 1.702, since ds = c s (1 - s) dx."""
    return (lambda g: quick_gelu_slope(x, g),)


def gelu_slope(x: Array, g: Array) -> Array:
    """G (Phi(x) + x phi(x))."""
    xp = xp_of(x)
    root = (2 * math.pi) ** -0.5
    if x.dtype == xp.float64:
        return g * (0.5 + 0.5 * erf(x * 0.5**0.5) + x * xp.exp(-0.5 * x * x) * root)
    if x.dtype == xp.float16:
        return gelu_slope(x.astype(xp.float32), g.astype(xp.float32)).astype(xp.float16)
    y = xp.empty(x.shape, dtype=x.dtype)
    flat_x, flat_y, flat_g = x.reshape(-1), y.reshape(-1), g.reshape(-1)
    step = nn._chunk(x)
    square = xp.empty(min(step, flat_x.size), dtype=x.dtype)
    *middle, last = (-c for c in nn.GELU_COEFFICIENTS)
    with quiet(xp):  # as in gelu
        for start in range(0, flat_x.size, step):
            part = slice(start, start + step)
            a, z = flat_x[part], flat_y[part]
            u = square[: a.size]
            xp.multiply(a, a, out=u)
            xp.multiply(u, last, out=z)
            for c in middle[:0:-1]:
                z += c
                z *= u
            z += middle[0]
            z *= a
            xp.exp(z, out=z)
            z += 1
            xp.divide(1, z, out=z)  # Phi(x)
            u *= -0.5
            xp.exp(u, out=u)
            u *= root
            u *= a  # x phi(x)
            z += u
            z *= flat_g[part]
    return y


def quick_gelu_slope(x: Array, g: Array) -> Array:
    """G (s + 1.702 x s (1 - s)), s = 1 / (1 + e), e = exp(-1.702 x), with 1 - s as e s: a difference would cancel."""
    xp = xp_of(x)
    if x.dtype == xp.float16:
        return quick_gelu_slope(x.astype(xp.float32), g.astype(xp.float32)).astype(xp.float16)
    y = xp.empty(x.shape, dtype=x.dtype)
    flat_x, flat_y, flat_g = x.reshape(-1), y.reshape(-1), g.reshape(-1)
    step = nn._chunk(x)
    other = xp.empty(min(step, flat_x.size), dtype=x.dtype)
    with quiet(xp):  # 1.702 x itself overflows at the end of float32, where exp gives the right 0
        for start in range(0, flat_x.size, step):
            part = slice(start, start + step)
            a, z = flat_x[part], flat_y[part]
            u = other[: a.size]
            xp.maximum(a, LOWEST, out=u)
            xp.multiply(u, -1.702, out=z)
            xp.exp(z, out=z)  # e
            u *= z
            u *= 1.702
            z += 1
            xp.divide(1, z, out=z)  # s
            u *= z
            u += 1  # 1 + 1.702 x (1 - s)
            z *= u
            z *= flat_g[part]
    return y
