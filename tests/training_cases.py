"""Inputs of the comparisons with torch's autograd and optimisers, from seeds: the same on both sides, never stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

STEPS = 50
LOSSES = ("cross_entropy", "focal", "dice", "dice_squared", "bce", "bce_with_logits", "cosine", "pseudo_anomaly")
OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("adam", {"rate": 1e-3, "betas": (0.5, 0.999)}),
    "adam with decay": ("adam", {"rate": 1e-2, "decay": 0.1}),
    "adamw": ("adamw", {"rate": 1e-3}),
    "adamw with decay": ("adamw", {"rate": 1e-2, "decay": 0.3, "betas": (0.8, 0.95), "eps": 1e-4}),
    "sgd": ("sgd", {"rate": 2e-3}),
    "sgd with momentum": ("sgd", {"rate": 2e-3, "momentum": 0.9, "decay": 5e-4}),
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine": {"rate": 2e-3, "steps": STEPS},
    "warm": {"rate": 2e-3, "steps": STEPS, "warmup": 3, "warmup_rate": 1e-5},
    "steps": {"rate": 1e-3, "milestones": (20, 35), "factor": 0.2},
}


class Prompts(NamedTuple):
    """Two prompts, positions added, and deep tokens for the blocks after the first."""

    x: np.ndarray  # [b, n, d]
    ends: np.ndarray  # [b]
    deep: list[np.ndarray]  # [4, d] each


def prompts(seed: int, width: int, n: int, blocks: int) -> Prompts:
    """In float32 numbers, as the weights are, so that both types compute from the same ones."""
    rng = np.random.RandomState(seed)
    x = np.float32(rng.standard_normal((2, n, width)))
    deep = [np.float32(rng.standard_normal((4, width))) for _ in range(blocks - 1)]
    return Prompts(x.astype(np.float64), np.array([n - 2, n - 1]), [t.astype(np.float64) for t in deep])


def weight_of(shape: tuple[int, ...]) -> np.ndarray:
    """The w of <w, out>, whose gradient is compared."""
    return np.random.RandomState(sum(shape)).standard_normal(shape)


def loss_inputs(name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Variables and constants of a loss, in float64."""
    rng = np.random.RandomState(LOSSES.index(name))
    logits = rng.standard_normal((3, 2, 5, 7)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    mask = (rng.uniform(size=(3, 5, 7)) < 0.3).astype(np.float64)
    share = rng.uniform(size=35) * (rng.uniform(size=35) < 0.6)
    return {
        "cross_entropy": ([logits[:, :, 0, 0]], [np.array([0, 1, 1])]),
        "focal": ([p], [mask]),
        "dice": ([p[:, 1]], [mask]),
        "dice_squared": ([p[:, 1]], [mask]),
        "bce": ([p[:, 1]], [mask]),
        "bce_with_logits": ([logits[:, 1] * 10], [mask]),
        "cosine": ([logits[:, 0], logits[:, 1]], []),
        "pseudo_anomaly": ([p[0, 0].ravel(), p[1, 0].ravel()], [share]),
    }[name]


def optimiser_inputs() -> tuple[np.ndarray, list[np.ndarray]]:
    """A start, and 50 gradients of several sizes, as float32 numbers."""
    rng = np.random.RandomState(77)
    sizes = np.array([1e-4, 1e-2, 1.0, 10.0])
    start = np.float32(rng.standard_normal((5, 4)))
    return start, [np.float32(sizes * rng.standard_normal((5, 4))) for _ in range(STEPS)]
