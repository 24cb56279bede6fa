"""G, the linear adapter of Dual-Image Enhanced CLIP: its loss (equations 7 to 11), and its optimiser.

Shapes: `n` patch tokens of one image, `e` embedding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.losses import cosine, pseudo_anomaly
from refclip.optim import Moments, adam_state
from refclip.optim import adamw as decoupled
from refclip.tree import value_and_gradient
from refclip.zeroshot import p_abnormal


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
    """L of one image (equations 10 and 11), and dL/dG, by the tape.

    Parameters
    ----------
    adapter : Adapter
    task : Task
    text : array [2, e]
    tau, beta : float
    """

    def loss(adapter: Adapter) -> Array:
        clean, altered = (p_abnormal(apply(adapter, q), text, tau) for q in (task.tokens, task.altered))  # [n] each
        return pseudo_anomaly(clean, altered, task.mask) + beta * cosine(task.target, clean)

    return value_and_gradient(loss, adapter)


def adamw(
    x: Array, gradient: Array, moments: tuple[Any, Any], step: int, *, rate: float, decay: float
) -> tuple[Array, tuple[Any, Any]]:
    """One step, the first being 1, of `optim.adamw` with torch's defaults: the new x, and the new moments."""
    state = adam_state(x) if step == 1 else Moments(step - 1, *moments)
    x, after = decoupled(x, gradient, state, rate=rate, decay=decay)
    return x, (after.first, after.second)


def at_least_single(x: Array) -> Array:
    """float16 as float32: a loss's gradient would underflow in it."""
    return x.astype(xp_of(x).float32) if x.dtype == xp_of(x).float16 else x
