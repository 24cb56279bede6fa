"""Small fast tools for procedural pictures: chance, coordinates, noise, cells. Light and colour are in light.py.

Fields are float32 [size, size]; pictures are float32 [size, size, 3]; a wavelength is in pixels. Every function takes
its randomness from `rng`, so a picture is a function of its seed. All of it is matrix products and small FFTs, because
a training step asks for hundreds of pictures.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.floating]
Rng = np.random.Generator
T = TypeVar("T")

WRAP = 64  # cells of `cells` repeat after this many: further than any picture is wide


# -- chance -----------------------------------------------------------------------------------------------------------


def between(rng: Rng, lo: float, hi: float) -> float:
    """A number in lo..hi."""
    return float(lo + (hi - lo) * rng.random())


def around(rng: Rng, lo: float, hi: float) -> float:
    """A number in lo..hi, evenly spread in its logarithm: for sizes and strengths."""
    return float(lo * (hi / lo) ** rng.random())


def chance(rng: Rng, p: float) -> bool:
    """True with probability p."""
    return bool(rng.random() < p)


def pick(rng: Rng, options: Sequence[T]) -> T:
    """One of `options`."""
    return options[int(rng.integers(len(options)))]


# -- coordinates ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def centred(size: int) -> tuple[Field, Field]:
    """(x, y) in pixels from the middle, y down, each [size, size]; shared, so read only."""
    x = np.arange(size, dtype=np.float32) - (size - 1) / 2
    grid_x = np.repeat(x[None], size, 0)
    grid_y = np.ascontiguousarray(grid_x.T)
    grid_x.flags.writeable = grid_y.flags.writeable = False
    return grid_x, grid_y


def view(rng: Rng, size: int, turn: str = "square", bend: float = 0.0) -> tuple[Field, Field]:
    """Pattern coordinates (u, v) in pixels: shifted, turned ("square", "free" or "none"), tilted, bent by noise."""
    x, y = centred(size)
    angle = between(rng, 0, 2 * np.pi)
    if turn == "square":  # people lay patterns out nearly straight
        angle = rng.normal(0, 0.05) + (np.pi / 2) * int(rng.integers(4)) * chance(rng, 0.5)
    if turn == "none":
        angle = rng.normal(0, 0.03)
    if turn == "square" and chance(rng, 0.25):
        angle = between(rng, 0, 2 * np.pi)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u, v = c * x + s * y, c * y - s * x
    if chance(rng, 0.3):  # the camera a little askew
        depth = 1 + x * np.float32(rng.normal(0, 0.12) / size) + y * np.float32(rng.normal(0, 0.12) / size)
        u, v = u * depth, v * depth
    if bend > 0:
        wide = around(rng, 0.3, 1.2) * size
        u = u + smooth(rng, size, wide) * np.float32(bend)
        v = v + smooth(rng, size, wide) * np.float32(bend)
    start = rng.uniform(500, 1500, 2).astype(np.float32)
    return u + start[0], v + start[1]


def polar(u: Field, v: Field) -> tuple[Field, Field]:
    """(Radius, angle) of coordinates already centred."""
    return np.hypot(u, v), np.arctan2(v, u)


# -- noise ------------------------------------------------------------------------------------------------------------


def spline(rng: Rng, size: int, wide: float) -> Field:
    """Cubic B-spline weights [size, knots] for knots `wide` pixels apart, at a random shift."""
    x = np.arange(size) / wide + rng.random()
    i = x.astype(int)
    f = x - i
    weights = np.zeros((size, i[-1] + 4), np.float32)
    rows = np.arange(size)
    for k, w in enumerate(((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)):
        weights[rows, i + k] = w / (6 * 0.692)  # 0.692: what the spline leaves of the deviation along one axis
    return weights


def white(rng: Rng, *shape: int) -> Field:
    """Standard normal noise."""
    return rng.standard_normal(shape, np.float32)


def smooth(rng: Rng, size: int, wide: float, tall: float | None = None) -> Field:
    """Noise of deviation about one and wavelengths `wide` (along x), `tall` (along y; `wide` if not given)."""
    tall = wide if tall is None else tall
    across = spline(rng, size, wide) if wide > 1.2 else None
    down = spline(rng, size, tall) if tall > 1.2 else None
    field = white(rng, size if down is None else down.shape[1], size if across is None else across.shape[1])
    field = field if down is None else down @ field
    return field if across is None else field @ across.T


def fbm(rng: Rng, size: int, wide: float, octaves: int = 4, gain: float = 0.5) -> Field:
    """Octaves of `smooth`, each half as wide and `gain` as strong; deviation about one."""
    total, power = np.zeros((size, size), np.float32), 0.0
    for k in range(octaves):
        total += smooth(rng, size, max(wide / 2**k, 1.0)) * np.float32(gain**k)
        power += gain ** (2 * k)
    return total / np.float32(np.sqrt(power))


@lru_cache(maxsize=16)
def frequencies(size: int) -> tuple[Field, Field]:
    """(fy, fx) in cycles a pixel of the half spectrum, [size, 1] and [1, size // 2 + 1]."""
    return (
        np.fft.fftfreq(size).astype(np.float32)[:, None],
        np.fft.rfftfreq(size).astype(np.float32)[None],
    )


def from_spectrum(rng: Rng, size: int, amplitude: Field) -> Field:
    """Noise with this amplitude [size, size // 2 + 1] over `frequencies`, mean zero and deviation one."""
    noise = white(rng, size, size // 2 + 1) + 1j * white(rng, size, size // 2 + 1)
    noise *= amplitude
    noise[0, 0] = 0
    field = np.fft.irfft2(noise, s=(size, size))
    return field / np.float32(np.sqrt(np.vdot(field, field) / field.size) + 1e-12)


def fibres(rng: Rng, size: int, angle: float, length: float, width: float) -> Field:
    """Streaks along `angle`, about `length` by `width` pixels; deviation one."""
    fy, fx = frequencies(size)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = c * fx + s * fy, c * fy - s * fx
    return from_spectrum(rng, size, np.exp(-2 * ((along * length) ** 2 + (across * width) ** 2)))


def blur(field: Field, sigma: float) -> Field:
    """A Gaussian blur of [h, w]."""
    return ndimage.gaussian_filter(field, sigma, truncate=2.5)


def streak(rng: Rng, t: Field, wide: float) -> Field:
    """One-dimensional noise of wavelength `wide` looked up at t (any shape): lines that run the other way."""
    table = white(rng, 1024)
    x = t / np.float32(wide)
    i = np.floor(x)
    f = x - i
    i = i.astype(np.int32) & 1023
    f = f * f * (3 - 2 * f)
    low = table[i]
    return low + (table[(i + 1) & 1023] - low) * f


def sample(table: Field, u: Field, v: Field) -> Field:
    """`table` at column u, row v, bilinear, wrapping round; with a table of noise, noise on bent coordinates."""
    rows, columns = table.shape
    fu, fv = np.floor(u), np.floor(v)
    pu, pv = u - fu, v - fv
    j, i = fu.astype(np.int32) % columns, fv.astype(np.int32) % rows
    j2, i2 = (j + 1) % columns, (i + 1) % rows
    flat = table.ravel()
    i, i2 = i * columns, i2 * columns
    top, below = flat[i + j], flat[i2 + j]
    top = top + (flat[i + j2] - top) * pu
    below = below + (flat[i2 + j2] - below) * pu
    return top + (below - top) * pv


def cells(rng: Rng, u: Field, v: Field, jitter: float = 0.9) -> tuple[Field, Field, NDArray[np.int32]]:
    """(Distance to the nearest seed, to the second nearest, number of the cell); one seed a unit square of (u, v)."""
    seeds_x = (0.5 + jitter * (rng.random((WRAP, WRAP), np.float32) - 0.5)).ravel()
    seeds_y = (0.5 + jitter * (rng.random((WRAP, WRAP), np.float32) - 0.5)).ravel()
    fu, fv = np.floor(u), np.floor(v)
    iu, iv = fu.astype(np.int32), fv.astype(np.int32)
    pu, pv = u - fu, v - fv
    first = np.full(u.shape, 9, np.float32)
    second = first.copy()
    number = np.zeros(u.shape, np.int32)
    for dy in (-1, 0, 1):
        row = ((iv + dy) & (WRAP - 1)) * WRAP
        for dx in (-1, 0, 1):
            cell = row + ((iu + dx) & (WRAP - 1))
            ex, ey = seeds_x[cell] + (dx - pu), seeds_y[cell] + (dy - pv)
            d = ex * ex + ey * ey
            np.minimum(second, np.maximum(first, d), out=second)
            np.copyto(number, cell, where=d < first)
            np.minimum(first, d, out=first)
    return np.sqrt(first), np.sqrt(second), number


def per_cell(rng: Rng, number: NDArray[np.int32]) -> Field:
    """A uniform random number for each cell that `cells` or `tile_number` gave."""
    return rng.random(WRAP * WRAP, np.float32)[number]


def tile_number(i: Field, j: Field) -> NDArray[np.int32]:
    """The number of cell (i, j), both whole, for `per_cell`."""
    return (j.astype(np.int32) & (WRAP - 1)) * WRAP + (i.astype(np.int32) & (WRAP - 1))


def ramp(x: Field, lo: float, hi: float) -> Field:
    """0 at lo, 1 at hi, smooth between; lo > hi falls instead."""
    t = np.clip((x - np.float32(lo)) * np.float32(1 / (hi - lo)), 0, 1)
    return t * t * (3 - 2 * t)


def fold(x: Field, period: float) -> Field:
    """Distance of x to the nearest multiple of `period`."""
    t = x * np.float32(1 / period)
    return np.abs(t - np.round(t)) * np.float32(period)
