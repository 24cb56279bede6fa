"""Light and colour: relief under a lamp, colours as things have them, what a camera adds."""

import numpy as np

from .noise import Field, Rng, around, between, centred, chance, ramp, white


def slopes(height: Field) -> tuple[Field, Field]:
    """(dh/dx, dh/dy) by central differences."""
    gx, gy = np.zeros_like(height), np.zeros_like(height)
    gx[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * np.float32(0.5)
    gy[1:-1] = (height[2:] - height[:-2]) * np.float32(0.5)
    gx[:, 0], gx[:, -1], gy[0], gy[-1] = gx[:, 1], gx[:, -2], gy[1], gy[-2]
    return gx, gy


def lit(rng: Rng, picture: Field, height: Field, depth: float, gloss: float = 0.0) -> Field:
    """The picture under one lamp: `depth` is the strength of the relief (height in pixels), `gloss` of highlights."""
    angle = between(rng, 0, 2 * np.pi)
    gx, gy = slopes(height)
    gx, gy = gx * np.float32(depth), gy * np.float32(depth)
    facing = -(gx * np.float32(np.cos(angle)) + gy * np.float32(np.sin(angle)))
    upright = 1 / np.sqrt(1 + gx * gx + gy * gy)
    lamp = between(rng, 0.4, 0.9)
    light = np.maximum((1 - lamp * 0.5 + (facing * np.float32(lamp))) * upright + np.float32(0.5 * lamp), 0.12)
    picture = picture * light[..., None]
    if gloss > 0:
        shine = ramp(facing * upright, around(rng, 0.1, 0.5), 0.95) * np.float32(gloss)
        picture = picture + shine[..., None] * (1 - picture)
    return picture


def hsv(hue: float, saturation: float, value: float) -> Field:
    """A colour [3]; the hue is in turns."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    return (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


def tone(
    rng: Rng, hue: tuple[float, float] = (0, 1), sat: tuple[float, float] = (0, 1), val: tuple[float, float] = (0, 1)
) -> Field:
    """A colour [3] out of a box of hues, saturations and values."""
    return hsv(between(rng, *hue), between(rng, *sat), between(rng, *val))


def grey(rng: Rng, lo: float = 0.15, hi: float = 0.85, tint: float = 0.04) -> Field:
    """A grey, with the slight cast that a camera leaves."""
    return np.clip(between(rng, lo, hi) * (1 + white(rng, 3) * np.float32(tint)), 0, 1)


def any_colour(rng: Rng) -> Field:
    """A colour as things have: a quarter greys, else dull more often than bright."""
    if chance(rng, 0.25):
        return grey(rng, 0.05, 0.95)
    return hsv(float(rng.random()), float(rng.random() ** 1.4) * 0.95, between(rng, 0.12, 0.97))


def near(rng: Rng, colour: Field, spread: float = 0.1) -> Field:
    """A colour close to this one."""
    shift = rng.normal(0, spread) + white(rng, 3) * np.float32(spread * 0.4)
    return np.clip(colour + shift.astype(np.float32), 0.02, 0.98)


def apart(rng: Rng, colour: Field, least: float = 0.25) -> Field:
    """A colour that differs from this one by at least `least` in lightness."""
    for _ in range(8):
        other = any_colour(rng)
        if abs(float(other.mean() - colour.mean())) > least:
            return other
    return np.full(3, 0.1 if colour.mean() > 0.5 else 0.9, np.float32)


def mix(a: Field, b: Field, t: Field) -> Field:
    """a where t is 0, b where t is 1; a and b are colours [3] or pictures, t is a field. [..., 3]"""
    return a + t[..., None] * (b - a)


def solid(size: int, colour: Field) -> Field:
    """A picture of one colour."""
    return np.full((size, size, 3), colour, np.float32)


def finish(rng: Rng, picture: Field) -> Field:
    """What a camera adds: uneven light, exposure, a little grain; then 0..1."""
    size = picture.shape[0]
    x, y = centred(size)
    uneven = 1 + (x * np.float32(rng.normal(0, 0.12)) + y * np.float32(rng.normal(0, 0.12))) * np.float32(1 / size)
    if chance(rng, 0.3):
        uneven = uneven - (x * x + y * y) * np.float32(between(rng, -0.2, 0.6) / size**2)
    grain = around(rng, 0.002, 0.02)
    few = np.sort(picture[::5, ::5].ravel())  # exposure: neither burnt out nor black
    bright, middle = float(few[int(0.97 * few.size)]), float(few[few.size // 2])
    gain = min(between(rng, 0.85, 1.12), between(rng, 0.85, 1.02) / bright) if bright > 0 else 1.0
    gain *= max(1.0, min(0.06 / max(middle, 0.01), 3.0))
    picture = picture * (uneven * np.float32(gain))[..., None]
    picture = picture + (white(rng, size, size) * np.float32(grain))[..., None]
    return np.clip(picture, 0, 1).astype(np.float32, copy=False)
