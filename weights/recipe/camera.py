"""Light, lens and sensor: what changes a picture without changing the thing in it.

The flawless and the damaged copy of a thing get different draws, so that neither light nor noise tells them apart.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's "L"


def shoot(rng: np.random.Generator, image: np.ndarray, *, grey: bool) -> np.ndarray:
    """Photograph a picture.

    Parameters
    ----------
    image : array [s, s, 3], float32, 0..1
    grey : bool
        A grey camera, as much of industry has.

    Returns
    -------
    array [s, s, 3], uint8
    """
    if grey:
        image = np.broadcast_to((image @ _GREY)[..., None], image.shape)
    image = _light(rng, image, grey=grey)
    if rng.random() < 0.45:
        image = _blurred(image, rng.uniform(0.3, 1.0) if rng.random() < 0.8 else rng.uniform(1.0, 1.6))
    image = image + _noise(rng, image.shape, grey=grey)
    out = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return _jpeg(rng, out) if rng.random() < 0.15 else out


def _light(rng: np.random.Generator, image: np.ndarray, *, grey: bool) -> np.ndarray:
    side = image.shape[0]
    u = np.linspace(-1, 1, side, dtype=np.float32)
    gain = np.full((side, side), rng.uniform(0.8, 1.15), np.float32)
    if rng.random() < 0.6:  # light from one side
        angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.25)
        gain = gain * (1 + strength * (np.cos(angle) * u[None] + np.sin(angle) * u[:, None]))
    if rng.random() < 0.25:  # vignette
        gain = gain * (1 - rng.uniform(0.05, 0.25) * (u[None] ** 2 + u[:, None] ** 2) / 2)
    image = image * gain[..., None]
    if not grey and rng.random() < 0.5:  # white balance
        image = image * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    if rng.random() < 0.4:
        image = np.clip(image, 0, None) ** np.float32(rng.uniform(0.75, 1.35))
    if rng.random() < 0.3:  # contrast around the mean
        mean = image.mean()
        image = mean + (image - mean) * np.float32(rng.uniform(0.6, 1.2))
    return np.clip(image, 0, 1)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    picture = Image.fromarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma)), np.float32) / 255


def _noise(rng: np.random.Generator, shape: tuple[int, ...], *, grey: bool) -> np.ndarray:
    shape = shape[:2] + ((1,) if grey or rng.random() < 0.3 else (3,))
    strength = 0.003 + 0.022 * rng.random() ** 2
    return rng.standard_normal(shape, np.float32) * np.float32(strength)


def _jpeg(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(35, 93)))
    return np.asarray(Image.open(buffer).convert("RGB"))
