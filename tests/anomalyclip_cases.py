"""Inputs of the comparison of AnomalyCLIP's steps with torch's, from seeds: the same on both sides, never stored."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TAU = 0.07
LAM = 1.7
TUNINGS = ("overwrite", "concatenate")


class Step(NamedTuple):
    """One batch, and prompts far from where learning begins. In float32 numbers, so that both types have the same."""

    normal: np.ndarray  # [E, d]
    abnormal: np.ndarray  # [E, d]
    deep: tuple[np.ndarray, ...]  # [m, d] each
    image: np.ndarray  # [b, e]
    patches: dict[int, np.ndarray]  # layer -> [b, g, e]
    labels: np.ndarray  # [b]
    masks: np.ndarray  # [b, H, W]


def step(
    seed: int,
    *,
    width: int,
    embed: int,
    length: int = 5,
    deep: tuple[int, int] = (2, 3),
    batch: int = 3,
    grid: int = 5,
    size: int = 40,
    layers: tuple[int, ...] = (1, 2, 4),
) -> Step:
    """`deep`: how many layers have learned tokens, and how many each."""
    rng = np.random.RandomState(seed)

    def near_words(*shape: int) -> np.ndarray:
        return np.float32(0.5 * rng.standard_normal(shape)).astype(np.float64)

    def units(*shape: int) -> np.ndarray:
        x = rng.standard_normal(shape)
        return np.float32(x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float64)

    normal, abnormal = near_words(length, width), near_words(length, width)
    tokens = tuple(near_words(deep[1], width) for _ in range(deep[0]))
    image, patches = units(batch, embed), {n: units(batch, grid * grid, embed) for n in layers}
    labels = np.arange(batch) % 2
    masks = (rng.uniform(size=(batch, size, size)) < 0.1) * 1.0 * labels[:, None, None]
    return Step(normal, abnormal, tokens, image, patches, labels, masks)
