"""From things to a photograph: one lamp, a soft shadow, a lens that darkens and blurs a little, a sensor with noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refclip.toy.fields import TURN, blur, box_sum, places


class Layer(NamedTuple):
    """What lies there, pixel by pixel."""

    colour: np.ndarray  # [3, H, W], 0 to 1: without light and shadow
    height: np.ndarray  # [H, W] in sides; its slopes take light and shade
    cover: np.ndarray  # [H, W], 1 where the thing is, 0 where the ground shows
    gloss: np.ndarray | float  # [H, W] or one number, 0 matt to 1 polished
    parts: np.ndarray | None = None  # int [H, W]: pieces that it is made of and that can come loose
    axis: float = 0.0  # radians: the direction along which it is built


class Camera(NamedTuple):
    """How one photograph is taken."""

    light: tuple[float, float, float]  # direction to the lamp, of length 1
    exposure: float
    tint: tuple[float, float, float]
    fall: tuple[float, float]  # how much lighter the right and the lower end are
    vignette: float
    blur: float  # sigma in sides
    noise: float  # deviation in greys of 255
    shadow: tuple[float, float]  # length and softness in sides


def set_up(rng: np.random.Generator) -> Camera:
    """A lamp and a camera as one image of a series has them: nearly the same, never quite."""
    angle, rise = rng.uniform(-0.62, -0.13) * TURN, rng.uniform(0.65, 1.0)  # from the upper half, 37 to 57 degrees up
    return Camera(
        light=(np.cos(rise) * np.cos(angle), np.cos(rise) * np.sin(angle), np.sin(rise)),
        exposure=rng.uniform(0.9, 1.06),
        tint=(1 + rng.uniform(-0.025, 0.025), 1.0, 1 + rng.uniform(-0.03, 0.03)),
        fall=(rng.uniform(-0.16, 0.16), rng.uniform(-0.16, 0.16)),
        vignette=rng.uniform(0.05, 0.3),
        blur=rng.uniform(0.4, 0.75) / 240,
        noise=rng.uniform(1.2, 2.8),
        shadow=(rng.uniform(0.012, 0.028), rng.uniform(0.008, 0.018)),
    )


def lit(layer: Layer, camera: Camera) -> np.ndarray:
    """Colours [3, H, W] under the lamp."""
    light, shine = _light(layer, camera)
    return layer.colour * light + shine


def _light(layer: Layer, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Light that the colours scatter, a third of it from all sides and the rest from one; and light mirrored."""
    dy, dx = np.gradient(layer.height, 1 / len(layer.height))
    lx, ly, lz = camera.light
    length = np.sqrt(dx * dx + dy * dy + 1)
    towards = (lz - lx * dx - ly * dy) / length
    half = np.sqrt(2 * (1 + lz))  # of the direction midway between the lamp and the eye, before it had length 1
    mirror = np.maximum((towards + 1 / length) / half, 0)
    mirror = mirror * mirror * mirror
    for _ in range(4):
        mirror = mirror * mirror  # to the power of 48 in all
    return 0.35 + 0.65 * np.clip(towards / lz, 0, 1.7), 0.75 * layer.gloss * mirror


def photograph(thing: Layer, ground: np.ndarray | None, camera: Camera) -> np.ndarray:
    """The picture [3, H, W], 0 to 255, before the sensor: the same scene gives the same numbers.

    `ground` is what `lit` makes of the ground: it stays, whatever happens to the thing.
    """
    size = len(thing.height)
    scattered, mirrored = _light(thing, camera)
    shade = None if ground is None else 1 - _shadow(thing.cover, camera)
    x, y = places(size)
    light = 1 + camera.fall[0] * (x - 0.5) + camera.fall[1] * (y - 0.5)
    light = camera.exposure * light * (1 - camera.vignette * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    planes = []
    for channel in range(3):  # one plane at a time stays in cache: twice as fast
        plane = thing.colour[channel] * scattered + mirrored
        if ground is not None:
            below = ground[channel] * shade
            plane = below + (plane - below) * thing.cover
        plane = plane * (light * camera.tint[channel])
        over = np.maximum(plane - 0.8, 0)
        plane = np.minimum(plane, 0.8) + 0.2 * over / (0.2 + over)  # white is reached slowly
        planes.append(blur(plane, camera.blur * size))
    return 255 * np.stack(planes)  # [3, H, W]


def _shadow(cover: np.ndarray, camera: Camera) -> np.ndarray:
    """How much light of the ground a thing takes: the shadow it casts, and the dark where it touches."""
    size, (length, softness) = len(cover), camera.shadow
    lx, ly, lz = camera.light
    dx, dy = round(-size * length * lx / lz), round(-size * length * ly / lz)
    reach = max(abs(dx), abs(dy))
    wide = np.pad(cover, reach, mode="edge")
    cast = wide[reach - dy : reach - dy + size, reach - dx : reach - dx + size]
    touch = max(1, round(size / 100))
    return 0.5 * blur(cast, size * softness) + 0.25 * box_sum(cover, touch, "edge") / (2 * touch + 1) ** 2


def develop(picture: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """What the sensor makes of it: uint8 [H, W, 3], with noise that grows with the light."""
    pixels = np.empty((*picture.shape[1:], 3), dtype=np.uint8)
    for channel, plane in enumerate(picture):
        deviation = camera.noise * np.sqrt(0.4 + 0.6 * np.maximum(plane, 0) / 128)
        noisy = plane + deviation * rng.standard_normal(plane.shape)
        pixels[..., channel] = np.clip(np.rint(noisy), 0, 255)
    return pixels
