"""What every defect is drawn with: chance, noise, blur, colour. Everything is float32 and follows from `rng`."""

import colorsys
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator
Place = tuple[float, float]  # row, column
Damaged = tuple[np.ndarray, np.ndarray]  # picture [s, s, 3], where the damage is meant to be [s, s], both 0..1


class Scene(NamedTuple):
    """A flawless picture, and what a defect may need to know of it."""

    image: np.ndarray  # [s, s, 3], 0..1
    inside: np.ndarray  # [s, s], 0..1: how much of each pixel is the thing; all ones for a surface
    ground: np.ndarray  # [s, s, 3]: what lies behind the thing; for a surface, below it
    other: np.ndarray  # [s, s, 3]: an unrelated texture to borrow from


# -- random numbers ---------------------------------------------------------------------------------------------------


def between(rng: Rng, low: float, high: float) -> float:
    """A number whose logarithm is uniform: as many small ones as large ones."""
    return low * (high / low) ** rng.random()


def chance(rng: Rng, p: float) -> bool:
    """True with probability p."""
    return rng.random() < p


def pick(rng: Rng, weights: dict[str, float]) -> str:
    """A key, as often as its weight says."""
    at = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        at -= weight
        if at < 0:
            return name
    return next(iter(weights))


# -- noise and blur ---------------------------------------------------------------------------------------------------


@lru_cache(512)
def _spline(size: int, cells: int) -> np.ndarray:
    """Cubic B-spline from `cells` knots to `size` pixels: [size, cells + 3], its rows of unit energy."""
    at = (np.arange(size) + 0.5) * cells / size
    first = np.minimum(at.astype(int), cells - 1)
    t = at - first
    w = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    w /= np.sqrt((w * w).sum(1, keepdims=True))
    matrix = np.zeros((size, cells + 3), np.float32)
    for k in range(4):
        matrix[np.arange(size), first + k] = w[:, k]
    return matrix


def noise(rng: Rng, s: int, cell: float, cell_x: float | None = None) -> np.ndarray:
    """Smooth noise [s, s] of mean 0 and deviation 1 whose lumps are about `cell` pixels high (and `cell_x` wide)."""
    ny = min(max(1, round(s / cell)), s)
    nx = ny if cell_x is None else min(max(1, round(s / cell_x)), s)
    knots = rng.standard_normal((ny + 3, nx + 3), dtype=np.float32)
    return _spline(s, ny) @ knots @ _spline(s, nx).T


def fractal(rng: Rng, s: int, cell: float, octaves: int = 4, gain: float = 0.55) -> np.ndarray:
    """Noise at `cell`, half of it, a quarter ...: [s, s], mean 0, deviation about 1."""
    total, energy = noise(rng, s, cell), 1.0
    for k in range(1, octaves):
        if cell / 2**k < 1:
            break
        total += gain**k * noise(rng, s, cell / 2**k)
        energy += gain ** (2 * k)
    return total / math.sqrt(energy)


@lru_cache(1024)
def _gauss(s: int, quarter: int) -> np.ndarray:
    """A Gaussian blur of deviation quarter / 4 as a matrix [s, s]; rows sum to 1, so borders are not darkened."""
    at = np.arange(s)
    matrix = np.exp(-0.5 * ((at[:, None] - at) * 4 / quarter) ** 2)
    matrix[matrix < 1e-9] = 0  # in float32 many would be subnormal, which make a product ten times as slow and more
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)


def blur(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of [h, w] or [h, w, c]. At 120 pixels two matrix products beat a filter."""
    quarter = max(1, round(4 * sigma))
    down, across = _gauss(x.shape[0], quarter), _gauss(x.shape[1], quarter).T
    if x.ndim == 2:
        return down @ x @ across
    out = np.empty(x.shape, np.float32)
    for c in range(x.shape[2]):
        out[..., c] = down @ x[..., c] @ across
    return out


def slopes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradient down and to the right: two arrays [h, w]."""
    down, right = np.zeros_like(x), np.zeros_like(x)
    np.subtract(x[2:], x[:-2], out=down[1:-1])
    np.subtract(x[:, 2:], x[:, :-2], out=right[:, 1:-1])
    return down * np.float32(0.5), right * np.float32(0.5)


@lru_cache(64)
def _band(s: int, radius: int) -> np.ndarray:
    at = np.arange(s)
    return (np.abs(at[:, None] - at) <= radius).astype(np.float32)


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """A boolean mask [s, s] grown by a square of side 2 radius + 1."""
    band = _band(mask.shape[0], radius)
    return (band @ mask.astype(np.float32) @ band) > 0.5


# -- colour -----------------------------------------------------------------------------------------------------------


def three(x: np.ndarray) -> np.ndarray:
    """A field [s, s] as a picture of three equal channels: [s, s, 3]."""
    # Broadcasting over a last axis of three costs NumPy ten times what this copy does.
    out = np.empty((*x.shape, 3), np.float32)
    for c in range(3):
        out[..., c] = x
    return out


def plain(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A picture of one colour [3], as large as the image: [s, s, 3]."""
    out = np.empty(image.shape, np.float32)
    for c in range(3):
        out[..., c] = colour[c]
    return out


def grey(image: np.ndarray) -> np.ndarray:
    """The mean of the channels: [s, s]."""
    return image @ np.full(3, 1 / 3, np.float32)


def mix(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`colour` ([3] or [s, s, 3]) over the image with opacity alpha [s, s]."""
    out = plain(image, colour) if colour.ndim == 1 else np.array(colour, np.float32)
    out -= image
    out *= three(alpha)
    out += image
    return out


def under(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The mean colour [3] beneath alpha."""
    flat = alpha.ravel()
    return (flat @ image.reshape(-1, 3)) / (flat.sum() + np.float32(1e-6))


def vivid(rng: Rng) -> np.ndarray:
    """A saturated colour [3], as of paint or ink; now and then black or white."""
    if chance(rng, 0.2):
        return np.full(3, rng.choice([0.04, 0.96]), np.float32)
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.6, 1), rng.uniform(0.45, 1)), np.float32)


def dirt(rng: Rng) -> np.ndarray:
    """The colour [3] of what does not belong: grease, coffee, rust, mould, dust, glue, soot, metal, or anything."""
    hue, full, bright = [
        (0.07, 0.6, 0.3), (0.08, 0.55, 0.5), (0.05, 0.8, 0.55), (0.3, 0.35, 0.35), (0.12, 0.2, 0.75),
        (0.14, 0.45, 0.85), (0.6, 0.05, 0.6), (0.1, 0.15, 0.1), (0.6, 0.08, 0.93),
        (rng.random(), rng.random(), rng.random()),
    ][int(rng.integers(10))]  # fmt: skip
    hue = (hue + rng.normal(0, 0.02)) % 1
    full, bright = (min(1.0, max(0.0, v + rng.normal(0, 0.08))) for v in (full, bright))
    return np.array(colorsys.hsv_to_rgb(hue, full, bright), np.float32)


def tone(rng: Rng, base: np.ndarray, low: float, high: float, tint: float = 0.1) -> np.ndarray:
    """A colour [3] lighter or darker than base by low..high, to the side where there is room more often."""
    level = float(base.mean())
    up = chance(rng, min(0.9, max(0.1, 1.15 - 1.3 * level)))
    by = min(between(rng, low, high), max(0.08, (1 - level) if up else level))
    return base + (by if up else -by) * (1 + tint * rng.standard_normal(3)).astype(np.float32)


def kept(scene: Scene, damaged: np.ndarray, strength: np.ndarray, spill: bool = False) -> Damaged:
    """The damage where the thing is (or wherever it went, if it may spill), in range."""
    if not spill:
        damaged = mix(scene.image, damaged, scene.inside)
        strength = strength * scene.inside
    return np.clip(damaged, 0, 1).astype(np.float32, copy=False), np.clip(strength, 0, 1)
