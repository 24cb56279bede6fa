"""What the pictures are made of: places, distances, noise, blur. Every field is a float64 array [H, W].

Lengths are in sides of the image, so that another size is the same scene with other pixels. Float64 is for sameness,
not for precision: a sine differs between two machines in its last digit, which rounding to 256 greys hides in float64
and would show here and there in float32.
"""

from __future__ import annotations

import functools
import itertools
from typing import Literal, NamedTuple

import numpy as np

TURN = 2 * np.pi


def places(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Places x and y of the pixels' centres, [H, W] each, 0 to 1 from the left and from the top."""
    line = (np.arange(size) + 0.5) / size
    return np.broadcast_to(line, (size, size)), np.broadcast_to(line[:, None], (size, size))


def posed(x: np.ndarray, y: np.ndarray, cx: float, cy: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The same places, seen from a thing that lies at (cx, cy) and is turned by an angle."""
    dx, dy, cos, sin = x - cx, y - cy, np.cos(angle), np.sin(angle)
    return cos * dx + sin * dy, cos * dy - sin * dx


def norm(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Length of vectors. (NumPy's hypot minds overflow, and takes five times as long.)"""
    return np.sqrt(dx * dx + dy * dy)


def inside(distance: np.ndarray, width: float) -> np.ndarray:
    """How much of a pixel is on the negative side of a distance, 0 to 1, over an edge of a width."""
    return np.clip(0.5 - distance / width, 0, 1)


def ramp(low: float, high: float, t: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, without a corner between. `low` above `high` falls instead."""
    t = np.clip((t - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def rgb(colour: tuple[float, ...] | np.ndarray) -> np.ndarray:
    """One colour as [3, 1, 1], or colours [3, H, W] as they are. (Channels first: NumPy is slow along an axis of 3.)"""
    colour = np.asarray(colour, dtype=float)
    return colour if colour.ndim == 3 else colour[:, None, None]


def mix(a: tuple[float, ...] | np.ndarray, b: tuple[float, ...] | np.ndarray, share: np.ndarray) -> np.ndarray:
    """Colours `a` with a share [H, W] of `b` laid over: [3, H, W]."""
    a = rgb(a)
    return a + (rgb(b) - a) * share


def box(px: np.ndarray, py: np.ndarray, half: tuple[float, float], corner: float) -> np.ndarray:
    """Distance to a rectangle with rounded corners around the origin, negative inside."""
    qx, qy = np.abs(px) - half[0] + corner, np.abs(py) - half[1] + corner
    return norm(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - corner


def noise(rng: np.random.Generator, low: float, high: float, slope: float = 1.0) -> np.ndarray:
    """A tile [n + 1, n + 1] of noise, mean 0 and deviation 1, which repeats without a seam after n, a power of two.

    It has the waves from `low` to `high` a side; an amplitude falls with the wave's number to the power of `slope`.
    """
    n = 64 if high <= 16 else 128 if high <= 32 else 256  # four samples a wave, as `look` draws straight lines between
    waves = np.fft.rfft2(rng.random((n, n))) * _weights(n, low, high, slope)  # a sum of many is Gaussian
    field = np.fft.irfft2(waves, s=(n, n))
    tile = np.empty((n + 1, n + 1))
    np.divide(field, field.std(), out=tile[:n, :n])
    tile[:, n], tile[n] = tile[:, 0], tile[0]  # so that `look` need not wrap the neighbours
    return tile


@functools.lru_cache(maxsize=128)
def _weights(n: int, low: float, high: float, slope: float) -> np.ndarray:
    down, right = np.fft.fftfreq(n, 1 / n)[:, None], np.fft.rfftfreq(n, 1 / n)
    waves = np.sqrt(down * down + right * right)
    weights = np.where((waves >= max(low, 1)) & (waves <= high), np.maximum(waves, 1) ** -slope, 0)
    weights.flags.writeable = False
    return weights


def look(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of a noise tile at any places, bilinear, the tile repeated for ever."""
    n = len(tile) - 1
    u, v = x * n, y * n
    left, top = np.floor(u), np.floor(v)
    u, v = u - left, v - top
    corner = (top.astype(np.intp) & (n - 1)) * (n + 1) + (left.astype(np.intp) & (n - 1))
    flat = tile.ravel()
    upper, lower = flat[corner], flat[corner + (n + 1)]
    upper += u * (flat[corner + 1] - upper)
    lower += u * (flat[corner + (n + 2)] - lower)
    return upper + v * (lower - upper)


class Cells(NamedTuple):
    """The plane cut into cells, each around a random point."""

    edge: np.ndarray  # [H, W] how much nearer the own point is than the next, in squares of the grid: 0 on a border
    number: np.ndarray  # int [H, W]: of the cell


def seeds(rng: np.random.Generator, n: int) -> np.ndarray:
    """One random point [2, n, n] in each square of a grid, for `cells`."""
    return rng.uniform(0.05, 0.95, (2, n, n))


def cells(points: np.ndarray, x: np.ndarray, y: np.ndarray) -> Cells:
    """Cut the plane into the cells around the points of `seeds`, which repeat every side."""
    n = points.shape[1]
    wide = np.pad(points, [(0, 0), (1, 1), (1, 1)], mode="wrap").reshape(2, -1)  # neighbours without a modulo
    names = np.pad(np.arange(n * n).reshape(n, n), 1, mode="wrap").ravel()
    u, v = x * n, y * n
    column, row = np.floor(u), np.floor(v)
    u, v = u - column, v - row
    square = (row.astype(np.intp) % n + 1) * (n + 2) + column.astype(np.intp) % n + 1
    own, after, owner = np.full(x.shape, np.inf), np.full(x.shape, np.inf), square
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near = square + (dy * (n + 2) + dx)
            d = (wide[0][near] + (dx - u)) ** 2 + (wide[1][near] + (dy - v)) ** 2
            closer = d < own
            after = np.minimum(after, np.where(closer, own, d))
            own, owner = np.where(closer, d, own), np.where(closer, near, owner)
    return Cells(np.sqrt(after) - np.sqrt(own), names[owner])


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of [H, W], sigma in pixels, the border repeated."""
    if sigma >= 2:
        reach = round(1.22 * sigma)  # two boxes of width 2r + 1 have a deviation of sqrt(2 r (r + 1) / 3)
        for _ in range(2):
            field = box_sum(field, reach, "edge") / (2 * reach + 1) ** 2
        return field
    reach = max(1, round(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(reach + 1) / max(sigma, 1e-6)) ** 2)
    taps /= 2 * taps.sum() - taps[0]
    rows, columns = field.shape
    wide = np.pad(field, reach, mode="edge")
    down = taps[0] * wide[reach : reach + rows]
    for i in range(1, reach + 1):
        down += taps[i] * (wide[reach - i : reach - i + rows] + wide[reach + i : reach + i + rows])
    out = taps[0] * down[:, reach : reach + columns]
    for i in range(1, reach + 1):
        out += taps[i] * (down[:, reach - i : reach - i + columns] + down[:, reach + i : reach + i + columns])
    return out


def box_sum(field: np.ndarray, reach: int, border: Literal["constant", "edge"] = "constant") -> np.ndarray:
    """Sum [H, W] over the square of 2 * reach + 1 pixels around each pixel; beyond the border 0, or the border."""
    for _ in range(2):  # down the columns, then along the rows
        n = len(field)
        total = np.zeros((n + 1, field.shape[1]))
        np.cumsum(field, axis=0, out=total[1:])
        i = np.arange(n)
        sums = total[np.minimum(i + reach + 1, n)] - total[np.maximum(i - reach, 0)]
        if border == "edge":
            sums[:reach] += (reach - i[:reach, None]) * field[0]
            sums[n - reach :] += (reach - i[:reach, None])[::-1] * field[-1]
        field = sums.T
    return field


class Line(NamedTuple):
    """A curve as pixels see it."""

    distance: np.ndarray  # [H, W] in sides, cut off at the reach
    along: np.ndarray  # [H, W] place of the nearest point, 0 at the curve's start to 1 at its end


def line(points: np.ndarray, size: int, reach: float) -> Line:
    """Distance of each pixel to a curve through points [m, 2], as far as the reach."""
    distance, along = np.full((size, size), reach), np.zeros((size, size))
    centres = (np.arange(size) + 0.5) / size
    count = len(points) - 1
    for i, (a, b) in enumerate(itertools.pairwise(points)):
        low, high = np.minimum(a, b) - reach, np.maximum(a, b) + reach
        (x0, y0), (x1, y1) = np.searchsorted(centres, low), np.searchsorted(centres, high)
        if x0 == x1 or y0 == y1:
            continue
        x, y = centres[x0:x1] - a[0], centres[y0:y1, None] - a[1]
        step = b - a
        t = np.clip((x * step[0] + y * step[1]) / max(step @ step, 1e-12), 0, 1)
        d = norm(x - t * step[0], y - t * step[1])
        window = np.s_[y0:y1, x0:x1]
        closer = d < distance[window]
        distance[window] = np.where(closer, d, distance[window])
        along[window] = np.where(closer, (i + t) / count, along[window])
    return Line(distance, along)


def walk(
    rng: np.random.Generator, middle: tuple[float, float], length: float, *, bend: float, kink: float, steps: int = 24
) -> np.ndarray:
    """A curve [steps + 1, 2] about a place. Its heading turns slowly by `bend` radians a side, and by `kink` a step."""
    turning = bend * np.interp(np.arange(steps), np.linspace(0, steps, 6), rng.normal(size=6)) * length / steps
    heading = rng.uniform(0, TURN) + np.cumsum(turning) + kink * rng.normal(size=steps)
    step = length / steps * np.stack([np.cos(heading), np.sin(heading)], axis=1)  # [steps, 2]
    curve = np.concatenate([np.zeros((1, 2)), np.cumsum(step, axis=0)])  # [steps + 1, 2]
    return curve - curve[steps // 2] + middle
