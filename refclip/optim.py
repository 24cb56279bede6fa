"""Adam, AdamW and SGD, and schedules of their rate: pure functions. Parameters and gradients are nests (`tree`).

    state = adam_state(parameters)
    for step in range(steps):
        value, gradient = value_and_gradient(loss, parameters)
        parameters, state = adam(parameters, gradient, state, rate=cosine_rate(step, steps, 1e-3))

A state is a NamedTuple of arrays and a count, so that it saves and resumes as parameters do. The arithmetic is torch's,
defaults included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.tree import tree_map


class Moments(NamedTuple):
    """State of Adam and AdamW."""

    step: int  # taken so far
    first: Any  # running mean of the gradient, a nest like the parameters
    second: Any  # running mean of its square


class Momentum(NamedTuple):
    """State of SGD."""

    step: int
    velocity: Any  # a nest like the parameters


def adam_state(parameters: Any) -> Moments:
    """Before the first step, of `adam` and `adamw`."""
    return Moments(0, _zeros(parameters), _zeros(parameters))


def sgd_state(parameters: Any) -> Momentum:
    """Before the first step of `sgd`."""
    return Momentum(0, _zeros(parameters))


def adam(
    parameters: Any,
    gradient: Any,
    state: Moments,
    *,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.0,
) -> tuple[Any, Moments]:
    """One step of Adam.

    Parameters
    ----------
    parameters, gradient : nest of arrays
    state : Moments
    rate : float
    betas : (float, float)
        AnomalyCLIP's and VAND's code: (0.5, 0.999).
    eps : float
    decay : float
        Added to the gradient, times the parameter: L2 regularisation, as torch's Adam has it.

    Returns
    -------
    parameters, state

    References
    ----------
    Kingma, Ba: Adam, 2015, algorithm 1.
    """
    if decay:
        gradient = tree_map(lambda x, g: g + decay * x, parameters, gradient)
    step = state.step + 1
    first = tree_map(lambda m, g: betas[0] * m + (1 - betas[0]) * g, state.first, gradient)
    second = tree_map(lambda v, g: betas[1] * v + (1 - betas[1]) * g * g, state.second, gradient)
    size, root = rate / (1 - betas[0] ** step), (1 - betas[1] ** step) ** 0.5  # both means began at 0

    def moved(x: Array, m: Array, v: Array) -> Array:
        return x - size * m / (xp_of(v).sqrt(v) / root + eps)

    return tree_map(moved, parameters, first, second), Moments(step, first, second)


def adamw(
    parameters: Any,
    gradient: Any,
    state: Moments,
    *,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.01,
) -> tuple[Any, Moments]:
    """One step of AdamW: the parameters shrink by rate * decay apart from the gradient. Otherwise as `adam`.

    References
    ----------
    Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019, algorithm 2.
    """
    shrunk = tree_map(lambda x: x * (1 - rate * decay), parameters)
    return adam(shrunk, gradient, state, rate=rate, betas=betas, eps=eps)


def sgd(
    parameters: Any, gradient: Any, state: Momentum, *, rate: float, momentum: float = 0.0, decay: float = 0.0
) -> tuple[Any, Momentum]:
    """One step of stochastic gradient descent: velocity = momentum * velocity + gradient; x = x - rate * velocity.

    Without Nesterov's look-ahead and without dampening. `decay` is L2 regularisation, as in `adam`. CoOp's code:
    momentum 0.9, decay 5e-4.

    Returns
    -------
    parameters, state
    """
    if decay:
        gradient = tree_map(lambda x, g: g + decay * x, parameters, gradient)
    velocity = tree_map(lambda v, g: momentum * v + g, state.velocity, gradient) if momentum else gradient
    return tree_map(lambda x, v: x - rate * v, parameters, velocity), Momentum(state.step + 1, velocity)


def cosine_rate(
    step: int, steps: int, rate: float, *, warmup: int = 0, warmup_rate: float = 1e-5, linear: bool = False
) -> float:
    """The rate at `step`, counted from 0: rate (1 + cos(pi (step - warmup) / steps)) / 2 after the warm-up.

    Parameters
    ----------
    step, steps : int
        Steps or epochs: CoOp's code counts epochs.
    rate : float
        At the top.
    warmup : int
        How many steps to begin with at another rate. They count beyond `steps`, as in CoOp's code, whose last epoch is
        therefore not at the foot of the cosine.
    warmup_rate : float
        CoOp: one epoch at 1e-5.
    linear : bool
        Climb from `warmup_rate` at step 0 to `rate` at the end of the warm-up; else stay there.

    References
    ----------
    Loshchilov, Hutter: SGDR, 2017, equation 5, without restarts.
    """
    if steps < 1 or not step >= 0:
        raise ValueError(f"step {step} of {steps}: expected one from 0 on, of at least 1")
    if step < warmup:
        return warmup_rate + (rate - warmup_rate) * step / warmup if linear else warmup_rate
    return rate * (1 + math.cos(math.pi * (step - warmup) / steps)) / 2


def step_rate(step: int, rate: float, milestones: Sequence[int], factor: float) -> float:
    """The rate at `step`, counted from 0: multiplied by `factor` at each milestone. CLIP-ADA: 0.2 at two epochs."""
    return rate * factor ** sum(step >= m for m in milestones)


def _zeros(parameters: Any) -> Any:
    return tree_map(lambda x: xp_of(x).zeros_like(x), parameters)
