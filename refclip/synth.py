"""Pseudo-anomalies: a texture laid over an image wherever rotated Perlin noise is high. DRAEM, section 3.3.

    mask     rotate(perlin(2^U{0..5} cells a side), U(-90, 90) degrees) > 0.5
    texture  any picture, through 3 of 10 changes of colour, tone or angle
    image'   outside the mask: image;   inside: (1 - beta) texture + beta image,   beta = U(0, 0.8)

DRAEM takes its textures from DTD, which gives no clear right to hand it on. Here a texture is any array, or function of
a random generator; the one that needs no data is `procedural`. DRAEM's code works at 256 x 256, here any size will
do; its changes are imgaug's, with imgaug's ranges, done with Pillow here. It also turns the whole image by +-90 degrees
with probability 0.3, for training; that is left to the caller.

References
----------
Zavrtanik, Kristan, Skočaj: DRAEM, ICCV 2021. Perlin: An Image Synthesizer, 1985; Improving Noise, 2002 (the fade).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Texture = Callable[[np.random.Generator], np.ndarray]  # rng -> uint8 [h, w, 3]

BILINEAR = Image.Resampling.BILINEAR


def perlin(rng: np.random.Generator, shape: tuple[int, int], res: tuple[int, int]) -> np.ndarray:
    """Perlin noise.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        H and W, any; DRAEM's code needs multiples of `res`, and for these the two are the same function.
    res : (int, int)
        Cells down and across.

    Returns
    -------
    array [H, W], float64
        Times sqrt 2, so that it can come near -1 and 1; 0 at the corners of cells.

    Raises
    ------
    ValueError
        A number below 1.
    """
    (height, width), (down, across) = shape, res
    if min(height, width, down, across) < 1:
        raise ValueError(f"noise of {height} x {width} in {down} x {across} cells: expected at least 1 of each")
    angle = rng.uniform(0, 2 * np.pi, (down + 1, across + 1))
    slope = np.stack([np.cos(angle), np.sin(angle)])  # [2, down + 1, across + 1], the gradients at the corners
    y, x = np.arange(height) * down / height, np.arange(width) * across / width  # in cells
    i, j = y.astype(int), x.astype(int)
    dy, dx = y - i, x - j

    def from_corner(a: int, b: int) -> np.ndarray:
        sy, sx = slope[:, i[:, None] + a, j + b]  # [H, W] each
        return sy * (dy[:, None] - a) + sx * (dx - b)

    fy, fx = fade(dy)[:, None], fade(dx)
    above = from_corner(0, 0) * (1 - fx) + from_corner(0, 1) * fx
    below = from_corner(1, 0) * (1 - fx) + from_corner(1, 1) * fx
    return 2**0.5 * (above * (1 - fy) + below * fy)


def fade(t: np.ndarray) -> np.ndarray:
    """6 t^5 - 15 t^4 + 10 t^3: from 0 to 1 with no slope and no curvature at the ends."""
    return t * t * t * (t * (t * 6 - 15) + 10)


def shape_mask(rng: np.random.Generator, shape: tuple[int, int], threshold: float = 0.5) -> np.ndarray:
    """Where an anomaly is to be: bool [H, W]. It may be empty."""
    down, across = (2 ** int(k) for k in rng.integers(0, 6, 2))
    noise = perlin(rng, shape, (down, across)).astype(np.float32)
    turned = Image.fromarray(noise).rotate(rng.uniform(-90, 90), BILINEAR)  # 0 comes in at the corners
    return np.asarray(turned) > threshold


def anomaly(
    rng: np.random.Generator,
    image: Any,
    texture: Any = None,
    *,
    probability: float = 0.5,
    threshold: float = 0.5,
    opacity: float = 0.8,
    changes: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """An image with a pseudo-anomaly, and where it is.

    Parameters
    ----------
    rng : numpy.random.Generator
        The same generator gives the same anomaly.
    image : uint8 array [H, W, 3] or [H, W], or PIL image
        Not changed.
    texture : the same, of any size, or a function of `rng` that returns one, optional
        `procedural` by default.
    probability : float
        Of an anomaly at all; DRAEM: 0.5.
    threshold : float
        Of the noise.
    opacity : float
        Largest share beta of the image that may shine through.
    changes : int
        How many of `CHANGES` the texture goes through, no two alike.

    Returns
    -------
    image : uint8 array [H, W, 3]
    mask : bool array [H, W]
        The label is ``mask.any()``: without an anomaly, or with an empty mask, the image is as it was.

    Raises
    ------
    TypeError
        An image or a texture is neither a PIL image nor a uint8 array of such a shape.
    """
    before = rgb_of(image, "image")
    if rng.uniform() >= probability:
        return before, np.zeros(before.shape[:2], bool)
    source = procedural if texture is None else texture
    changed = Image.fromarray(rgb_of(source(rng) if callable(source) else source, "texture"))
    changed = changed.resize((before.shape[1], before.shape[0]), BILINEAR)
    for name in rng.choice(list(CHANGES), changes, replace=False):
        changed = CHANGES[name](rng, changed)
    mask = shape_mask(rng, before.shape[:2], threshold)  # [H, W]
    beta = rng.uniform(0, opacity)
    blend = np.rint((1 - beta) * np.asarray(changed) + beta * before).astype(np.uint8)
    return np.where(mask[..., None], blend, before), mask


def rgb_of(image: Any, what: str) -> np.ndarray:
    """A PIL image or a uint8 array as uint8 [H, W, 3]."""
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size:
        if image.ndim == 2:
            return np.repeat(image[..., None], 3, axis=2)  # [H, W, 3]
        if image.ndim == 3 and image.shape[2] == 3:
            return image
    found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
    raise TypeError(f"{what}: found {found}, expected a PIL image or a uint8 array [H, W, 3]")


# --- changes to a texture: DRAEM's ten, each a function of (rng, picture) ---------------------------------------------


def gamma(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Every channel to a power of its own, 0.5 to 2."""
    power = rng.uniform(0.5, 2, 3)
    return Image.fromarray(np.rint(255 * (np.asarray(picture) / 255) ** power).astype(np.uint8))


def brightness(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Lightness times 0.8 to 1.2, plus -30 to 30. (imgaug draws a colour space for it; here it is always YCbCr.)"""
    factor, offset = rng.uniform(0.8, 1.2), rng.uniform(-30, 30)
    light, *colour = picture.convert("YCbCr").split()
    return Image.merge("YCbCr", [light.point(lambda v: v * factor + offset), *colour]).convert("RGB")


def sharpness(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Pillow's, by a factor of 0 (blurred) to 2."""
    return ImageEnhance.Sharpness(picture).enhance(rng.uniform(0, 2))


def hue_and_saturation(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Each moved by -50 to 50 of 255; hue goes round."""
    turn, more = (int(v) for v in rng.integers(-50, 51, 2))
    hue, saturation, value = picture.convert("HSV").split()
    moved = [hue.point([(v + turn) % 256 for v in range(256)]), saturation.point(lambda v: v + more), value]
    return Image.merge("HSV", moved).convert("RGB")


def solarize(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """With probability 0.5: what is brighter than 32 to 128 is inverted."""
    limit = int(rng.integers(32, 129))
    return ImageOps.solarize(picture, limit) if rng.uniform() < 0.5 else picture


def posterize(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """1 to 8 bits a channel."""
    return ImageOps.posterize(picture, int(rng.integers(1, 9)))


def invert(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """The negative."""
    return ImageOps.invert(picture)


def autocontrast(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """The range of each channel stretched, 0 to 20 percent of the pixels cut off at either end."""
    return ImageOps.autocontrast(picture, cutoff=int(rng.integers(0, 21)))


def equalize(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Every level as frequent as any other."""
    return ImageOps.equalize(picture)


def rotate(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """By -45 to 45 degrees; black comes in at the corners."""
    return picture.rotate(rng.uniform(-45, 45), BILINEAR)


CHANGES: dict[str, Callable[[np.random.Generator, Image.Image], Image.Image]] = {
    change.__name__: change
    for change in (
        gamma, brightness, sharpness, hue_and_saturation, solarize, posterize, invert, autocontrast, equalize, rotate,
    )
}  # fmt: skip


# --- textures out of nothing -----------------------------------------------------------------------------------------


def procedural(rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """A texture of one of four kinds (clouds, stripes, cells, grains) in three random colours: uint8 [size, size, 3].

    A stand-in for DTD's photographs, which may not be shipped: plainer than they are.
    """
    pattern = (_clouds, _stripes, _cells, _grains)[int(rng.integers(4))](rng, size)  # [size, size]
    pattern -= pattern.min()
    pattern /= max(pattern.max(), 1e-12)
    colours = rng.uniform(0, 255, (3, 3))  # of the low, the middle and the high places
    rgb = np.stack([np.interp(pattern, (0, 0.5, 1), channel) for channel in colours.T], axis=-1)  # [size, size, 3]
    rgb += rng.normal(0, rng.uniform(0, 12), (size, size, 1))  # no photograph is without it
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator, size: int) -> np.ndarray:
    """Perlin noise in octaves, each half as strong as the one before."""
    first = int(rng.integers(1, 4))
    return sum(
        (perlin(rng, (size, size), (2**k, 2**k)) / 2 ** (k - first) for k in range(first, first + 4)), np.zeros(())
    )


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bands of any direction, bent by clouds: from cloth to wood."""
    line = np.arange(size) / size
    angle, count, bend = rng.uniform(0, np.pi), rng.uniform(4, 30), rng.uniform(0, 0.15)
    along = line * np.cos(angle) + line[:, None] * np.sin(angle) + bend * _clouds(rng, size)
    return np.sin(2 * np.pi * count * along) ** int(rng.integers(1, 4))


def _cells(rng: np.random.Generator, size: int) -> np.ndarray:
    """Distance to the nearest of some points: from pebbles to scales."""
    line = np.arange(size) / size
    nearest = np.full((size, size), np.inf)
    for y, x in rng.uniform(0, 1, (int(rng.integers(15, 90)), 2)):
        nearest = np.minimum(nearest, (line - x) ** 2 + (line[:, None] - y) ** 2)
    return np.sqrt(nearest)


def _grains(rng: np.random.Generator, size: int) -> np.ndarray:
    """Specks of one size, sharp or soft: from sand to rust."""
    cells = int(2 ** rng.uniform(4, 7))
    return np.tanh(rng.uniform(1, 8) * (perlin(rng, (size, size), (cells, cells)) - rng.uniform(-0.3, 0.3)))
