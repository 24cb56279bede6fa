"""The vjps of the losses. g is a single number here, dL/dloss; what is kept is what the loss was given."""

from __future__ import annotations

from refclip import losses
from refclip.autograd import defvjp
from refclip.backend import Array, xp_of
from refclip.losses import FOCAL_SMOOTH
from refclip.nn import softmax
from refclip.vjps import Vjps


@defvjp(losses.cross_entropy)
def cross_entropy(out: Array, logits: Array, labels: Array) -> Vjps:
    """For log sum e^z - z_label, d = <softmax(z), dz> - dz_label; divided by the number of rows."""
    xp, k = xp_of(logits), logits.shape[-1]

    def towards_logits(g: Array) -> Array:
        chosen = (labels[..., None] == xp.arange(k)).astype(logits.dtype)  # [..., k]
        return (softmax(logits) - chosen) * (g / max(labels.size, 1))

    return (towards_logits,)


@defvjp(losses.focal)
def focal(out: Array, p: Array, mask: Array, gamma: float = 2.0, alpha: float = 1.0) -> Vjps:
    """For -a r^c log q, r = 1 - q: a (c r^(c - 1) log q - r^c / q) dq; q = (1 - e) p_own + e p_other + e, e = 1e-5."""
    xp = xp_of(p)

    def towards_p(g: Array) -> Array:
        q, left = losses.own_probability(p, mask)
        slope = -(left**gamma) / q
        if gamma:
            slope += gamma * left ** (gamma - 1) * xp.log(q)
        slope *= g * alpha / q.size
        own, other = (1 - FOCAL_SMOOTH) * slope, FOCAL_SMOOTH * slope
        return xp.stack([xp.where(mask > 0, other, own), xp.where(mask > 0, own, other)], axis=1)  # [b, 2, ...]

    return (towards_p,)


@defvjp(losses.dice)
def dice(out: Array, p: Array, target: Array, form: str = "plain", smooth: float = 1.0) -> Vjps:
    """For N / D, dN / D - N dD / D^2, with dN = 2 t dp, and dD = dp, or 2 p dp where p is squared; times -1 / b."""

    def towards_p(g: Array) -> Array:
        above, below = losses.dice_parts(p, target, form, smooth)
        scale = (-g / len(p) / below).reshape(-1, *[1] * (p.ndim - 1))  # [b, 1, ...]
        ratio = (above / below).reshape(scale.shape)
        return scale * (2 * target.astype(p.dtype) - ratio * (1 if form == "plain" else 2 * p))

    return (towards_p,)


@defvjp(losses.bce)
def bce(out: Array, p: Array, target: Array) -> Vjps:
    """For -t log p - (1 - t) log(1 - p), (p - t) / (p (1 - p)) dp; p (1 - p) at least 1e-12, as in torch."""
    xp = xp_of(p)
    return (lambda g: (p - target.astype(p.dtype)) / xp.maximum(p * (1 - p), 1e-12) * (g / p.size),)


@defvjp(losses.bce_with_logits)
def bce_with_logits(out: Array, z: Array, target: Array) -> Vjps:
    """For log(1 + e^z) - z t, (sigmoid(z) - t) dz, with sigmoid(z) = (1 + tanh(z / 2)) / 2."""
    xp = xp_of(z)
    return (lambda g: (0.5 + 0.5 * xp.tanh(0.5 * z) - target.astype(z.dtype)) * (g / z.size),)


@defvjp(losses.cosine)
def cosine(out: Array, x: Array, y: Array) -> Vjps:
    """For c = <x, y> / (|x| |y|) = <u, w>, dc = <w - c u, dx> / |x|, and the same with x and y exchanged."""

    def towards(x: Array, y: Array, g: Array) -> Array:
        (u, length), (w, _) = losses.unit(x), losses.unit(y)
        c = (u * w).sum(axis=-1, keepdims=True)
        return (w - c * u) / length * (-g / max(c.size, 1))

    return lambda g: towards(x, y, g), lambda g: towards(y, x, g)


@defvjp(losses.pseudo_anomaly)
def pseudo_anomaly(out: Array, clean: Array, altered: Array, mask: Array) -> Vjps:
    """For M log(1 + e^d) / area, d = A - A': M sigmoid(d) / area (dA - dA')."""

    def towards_clean(g: Array) -> Array:
        xp, m = xp_of(clean), mask.astype(clean.dtype)
        area = xp.maximum((m > 0).astype(m.dtype).sum(), 1)
        return m / (1 + xp.exp(altered - clean)) * (g / area)

    return towards_clean, lambda g: -towards_clean(g)
