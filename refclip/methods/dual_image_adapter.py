"""G, the linear adapter of Dual-Image Enhanced CLIP: its loss (equations 7 to 11), gradient by hand, and optimiser.

Shapes: `n` patch tokens of one image, `e` embedding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.zeroshot import p_abnormal

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's, torch's defaults


class Adapter(NamedTuple):
    """G of one image; or its gradient."""

    weight: Array  # [e, e]
    bias: Array  # [e]


def apply(adapter: Adapter, tokens: Array) -> Array:
    """q^T = (G(q) + q) / 2: [..., e]. Equation 7."""
    return (tokens @ adapter.weight.T + adapter.bias + tokens) / 2


def begin(tokens: Array, init: str, rng: Any = None) -> Adapter:
    """G before the first step, for tokens [n, e]."""
    xp, e = xp_of(tokens), tokens.shape[-1]
    if init == "identity":
        return Adapter(xp.eye(e, dtype=tokens.dtype), xp.zeros(e, dtype=tokens.dtype))
    bound = e**-0.5
    drawn = rng.uniform(-bound, bound, (e, e)), rng.uniform(-bound, bound, e)
    return Adapter(*(xp.asarray(x).astype(tokens.dtype) for x in drawn))


class Task(NamedTuple):
    """What one image gives to learn from."""

    tokens: Array  # [n, e], q
    altered: Array  # [n, e], q'
    mask: Array  # [n], M_a
    target: Array  # [n], A^VL, a constant


def loss_and_gradient(adapter: Adapter, task: Task, text: Array, tau: float, beta: float) -> tuple[Array, Adapter]:
    """L of one image, and dL/dG.

    Parameters
    ----------
    adapter : Adapter
    task : Task
    text : array [2, e]
    tau, beta : float

    Notes
    -----
    With A = A^T, A' = A'^T, s = |S_a|, and c = A^VL:

        L_pseudo = 1/s sum M softplus(A - A')        as -log(exp(A') / (exp(A) + exp(A'))) = log(1 + exp(A - A'))
        dL_pseudo/dA = M sigmoid(A - A') / s = -dL_pseudo/dA'
        L_sim = 1 - <c, A> / (|c| |A|)
        dL_sim/dA = (<c, A> A / |A|^2 - c) / (|c| |A|)
    """
    tokens, altered, mask, target = task
    xp, delta = xp_of(tokens), (text[1] - text[0]) / tau
    u, u2 = apply(adapter, tokens), apply(adapter, altered)  # [n, e]
    a, a2 = p_abnormal(u, text, tau), p_abnormal(u2, text, tau)  # [n]
    area = xp.maximum((mask > 0).astype(mask.dtype).sum(), 1)  # an empty S_a: 0 / 1. An int would make float64
    gap = xp.exp(a - a2)  # between 1 / e and e
    length, other = xp.sqrt(a @ a), xp.sqrt(target @ target)
    cosine = target @ a / (length * other)
    loss = (mask * xp.log(1 + gap)).sum() / area + beta * (1 - cosine)
    from_pseudo = mask * gap / (1 + gap) / area  # [n]
    from_sim = cosine * a / length**2 - target / (length * other)  # [n]
    first = _pull_back(tokens, u, a, from_pseudo + beta * from_sim, delta)
    second = _pull_back(altered, u2, a2, -from_pseudo, delta)
    return loss, Adapter(first.weight + second.weight, first.bias + second.bias)


def _pull_back(q: Array, u: Array, p: Array, dp: Array, delta: Array) -> Adapter:
    """From dL/dp [n], p = A^T, to dL/dG.

    Token by token, with u = (W q + b + q) / 2, y = u / |u|, delta = (t_a - t_n) / tau:

        p = sigmoid(z), z = <y, delta>              the two-class softmax is a sigmoid of the difference
        dL/dz = p (1 - p) dL/dp
        dL/du = dL/dz (delta - z y) / |u|           the Jacobian of u / |u| is (1 - y y^T) / |u|
        dL/dW = 1/2 sum over tokens of dL/du q^T,   dL/db = 1/2 sum of dL/du
    """
    xp = xp_of(q)
    length = xp.maximum(xp.sqrt((u * u).sum(axis=1)), 1e-12)[:, None]  # [n, 1]
    y = u / length  # [n, e]
    dz = (dp * p * (1 - p))[:, None]  # [n, 1]
    du = dz * (delta - (y @ delta)[:, None] * y) / length  # [n, e]
    return Adapter(du.T @ q / 2, du.sum(axis=0) / 2)


def adamw(
    x: Array, gradient: Array, moments: tuple[Any, Any], step: int, *, rate: float, decay: float
) -> tuple[Array, tuple[Any, Any]]:
    """One step, the first being 1: the new x, and the new moments. Loshchilov, Hutter 2019, algorithm 2."""
    xp = xp_of(x)
    m = BETAS[0] * moments[0] + (1 - BETAS[0]) * gradient
    v = BETAS[1] * moments[1] + (1 - BETAS[1]) * gradient * gradient
    root = xp.sqrt(v / (1 - BETAS[1] ** step)) + EPSILON
    decayed = x * (1 - rate * decay)
    return decayed - rate * (m / (1 - BETAS[0] ** step)) / root, (m, v)


def at_least_single(x: Array) -> Array:
    """float16 as float32: a loss's gradient would underflow in it."""
    return x.astype(xp_of(x).float32) if x.dtype == xp_of(x).float16 else x
