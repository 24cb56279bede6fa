"""The hand-derived vjp of each primitive, under its name: here those of `nn`, `resample`, `vit`; the others beside.

For y = f(x), g = dL/dy in the shape of y; each returns dL/dx in the shape of x. `<a, b>` is a sum of products. The
derivations are by differentials: dL = <g, dy>, with dy written out until dL = <..., dx>. A lambda names only the arrays
it needs, since these are what the tape keeps.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from refclip import nn, resample, vit
from refclip.autograd import Slot, defvjp
from refclip.backend import Array, xp_of

Vjps = tuple[Callable[[Array], Any] | None, ...]


def summed_to(g: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of broadcasting: y_i = x for every i, so dL/dx is the sum of g over i."""
    if tuple(g.shape) == tuple(shape):
        return g
    new = g.ndim - len(shape)
    single = [new + i for i, n in enumerate(shape) if n == 1 and g.shape[new + i] != 1]
    return g.sum(axis=(*range(new), *single)).reshape(shape)


# --- nn --------------------------------------------------------------------------------------------------------------


@defvjp(nn._linear)
def linear(out: Array, x: Array, weight: Array, bias: Array) -> Vjps:
    """For x W^T + b, a row a token: <g, dx W^T + x dW^T + db> = <g W, dx> + <g^T x, dW> + <sum of g's rows, db>."""
    shape, width = x.shape, out.shape[-1]
    return (
        lambda g: (g.reshape(-1, width) @ weight).reshape(shape),
        lambda g: g.reshape(-1, width).T @ x.reshape(-1, shape[-1]),
        lambda g: g.reshape(-1, width).sum(axis=0),
    )


@defvjp(nn._layer_norm)
def layer_norm(out: Array, x: Array, gain: Array, bias: Array, eps: float = 1e-5) -> Vjps:
    """For gain z + bias, z = (x - mean) / s, s = sqrt(variance + eps), with means over the last axis.

    With h = gain g: dL = <h, dz>; s dz = (dx - mean dx) - z mean(z dx), as ds = mean(z dx). The means are symmetric:
    dL/dx = (h - mean h - z mean(z h)) / s. dL/dgain = sum of z g, dL/dbias = sum of g.
    """
    xp = xp_of(x)

    def standard() -> tuple[Array, Array]:
        z = x - x.mean(axis=-1, keepdims=True)
        inverse = (1 / xp.sqrt(xp.einsum("...d,...d->...", z, z) / x.shape[-1] + eps))[..., None]  # [..., 1], 1 / s
        z *= inverse
        return z, inverse

    def towards_x(g: Array) -> Array:
        z, inverse = standard()
        h = g * gain
        slope = xp.einsum("...d,...d->...", z, h)[..., None] / x.shape[-1]  # [..., 1], mean(z h)
        h -= h.mean(axis=-1, keepdims=True)
        z *= slope
        h -= z
        h *= inverse
        return h

    width = x.shape[-1]
    return (
        towards_x,
        lambda g: (standard()[0] * g).reshape(-1, width).sum(axis=0),
        lambda g: g.reshape(-1, width).sum(axis=0),
    )


@defvjp(nn.softmax)
def softmax(out: Array, x: Array, axis: int = -1) -> Vjps:
    """For y_i = e^x_i / sum, dy = y (dx - <y, dx>), so dL/dx = y (g - <g, y>)."""
    return (lambda g: out * (g - (g * out).sum(axis=axis, keepdims=True)),)


@defvjp(nn.gather)
def gather(out: Array, x: Array, rows: Array) -> Vjps:
    """For y[i] = E x[i], E [r, n] with one 1 in each row, dL/dx[i] = E^T g[i]: a token picked twice gets both."""
    xp, n = xp_of(x), x.shape[1]
    return (lambda g: (rows[:, None, :] == xp.arange(n)[:, None]).astype(g.dtype) @ g,)  # [b, n, r] [b, r, d]


@defvjp(nn.overwrite)
def overwrite(out: Array, x: Array, tokens: Array, start: int = 1) -> Vjps:
    """What was overwritten gets nothing; what took its place, the gradient there."""
    shape = tokens.shape
    place = slice(start, start + shape[-2])

    def towards_x(g: Array) -> Array:
        g = g.copy()
        g[:, place] = 0
        return g

    return towards_x, lambda g: summed_to(g[:, place], shape)


@defvjp(nn.normalize)
def normalize(out: Array, x: Array) -> Vjps:
    """For y = x / r, r = max(|x|, 1e-12): dr = <y, dx>, so dL/dx = (g - y <y, g>) / r; at the floor dr = 0: g / r."""
    xp = xp_of(x)
    length = xp.sqrt(xp.einsum("...d,...d->...", x, x))[..., None]  # [..., 1]
    kept = xp.where(length > 1e-12, length, xp.asarray(xp.inf, dtype=length.dtype))
    floor = xp.maximum(length, 1e-12)
    return (lambda g: g / floor - out * xp.einsum("...d,...d->...", out, g)[..., None] / kept,)


# --- resample, vit ----------------------------------------------------------------------------------------


@defvjp(resample.resize)
def resize(  # noqa: PLR0917 - the primitive's arguments
    out: Array, x: Array, size: Any, mode: str = "bilinear", antialias: bool = False, align_corners: bool = False
) -> Vjps:
    """For A x B^T, linear: <g, A dx B^T> = <A^T g B, dx>. The adjoint, not the inverse and not a resizing."""
    before = x.shape[-2:]
    return (lambda g: resample.resize_adjoint(g, before, mode, antialias, align_corners),)


@defvjp(vit.patchify)
def patchify(out: Array, pixels: Array, p: int) -> Vjps:
    """A permutation of the pixels that are used: back to their places, and 0 for the remainder at right and bottom."""
    b, _, height, width = pixels.shape
    gh, gw = height // p, width // p
    whole = (b, 3, height, width)

    def towards_pixels(g: Array) -> Any:
        square = g.reshape(b, gh, gw, 3, p, p).transpose(0, 3, 1, 4, 2, 5).reshape(b, 3, gh * p, gw * p)
        return Slot(whole, (slice(None), slice(None), slice(gh * p), slice(gw * p)), square)

    return (towards_pixels,)


MODULES = ("vjps_elementary", "vjps_activations", "vjps_attention", "vjps_losses", "vjps_enlarged")
for module in MODULES:  # they take `Vjps` from here
    importlib.import_module(f"refclip.{module}")
