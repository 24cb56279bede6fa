"""Data sets of a few small pictures on disk, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def put(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def shot(seed: int, *, size: tuple[int, int] = (44, 52), damaged: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A picture uint8 [H, W, 3] of stripes and noise, and its mask bool [H, W]; two squares of it may be damaged."""
    rng = np.random.default_rng(seed)
    h, w = size
    y, x = np.mgrid[:h, :w]
    grey = 120 + 50 * np.sin(x / 3 + rng.uniform(0, 6)) + 20 * np.cos(y / 5)
    picture = grey[..., None] + rng.normal(0, 12, (h, w, 3))
    mask = np.zeros((h, w), bool)
    if damaged:
        for _ in range(2):
            a, b, side = rng.integers(0, h - 12), rng.integers(0, w - 12), rng.integers(6, 12)
            mask[a : a + side, b : b + side] = True
        picture[mask] = rng.uniform(0, 255, 3)
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def mvtec(root: Path, names: tuple[str, ...] = ("nut",), *, train: int = 3, good: int = 3, bad: int = 4) -> Path:
    """MVTec AD's layout; sizes differ from picture to picture."""
    for c, name in enumerate(names):
        for i in range(train):
            put(root / name / "train" / "good" / f"{i:03}.png", shot(1000 * c + i)[0])
        for i in range(good):
            size = (40 + 3 * i, 50)
            put(root / name / "test" / "good" / f"{i:03}.png", shot(1000 * c + 100 + i, size=size)[0])
        for i in range(bad):
            picture, mask = shot(1000 * c + 200 + i, size=(48, 41 + 4 * i), damaged=True)
            put(root / name / "test" / "spot" / f"{i:03}.png", picture)
            put(root / name / "ground_truth" / "spot" / f"{i:03}_mask.png", np.where(mask, 255, 0).astype(np.uint8))
    return root
