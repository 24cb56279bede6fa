"""Defects of a region: stains, wear, and colours and textures gone wrong."""

import math

import numpy as np

from recipe.defect_shapes import islands, region, room, soft, spot, turned
from recipe.defect_tools import (
    Damaged,
    Rng,
    Scene,
    between,
    blur,
    chance,
    dirt,
    fractal,
    kept,
    mix,
    noise,
    pick,
    slopes,
    three,
    tone,
    under,
)

SHARE = 0.004, 0.15  # of the thing: the area of a defect


def stain(rng: Rng, scene: Scene) -> Damaged:
    """Something soaked in: multiplied or tinted, edge hard or soft, patchy, darker along the edge, or only a ring."""
    s = scene.inside.shape[0]
    field = region(rng, scene, between(rng, *SHARE), pick(rng, {"lump": 5, "round": 2, "islands": 1.5}))
    size = s / 120
    cover = soft(field, between(rng, 1, 14) * size)
    style = pick(rng, {"even": 2, "patchy": 2, "edged": 1.5, "ring": 1})
    if style == "patchy":
        cover = cover * np.clip(0.65 + 0.3 * fractal(rng, s, between(rng, 4, 20) * size), 0.1, 1)
    elif style == "edged":
        cover = soft(field, 2 * size) * (0.35 + 0.65 * np.exp(-np.abs(field) / (between(rng, 1.2, 4) * size)))
    elif style == "ring":
        thick = between(rng, 1, 3) * size
        cover = np.exp(-((field / thick) ** 2)) * np.clip(0.8 + 0.3 * noise(rng, s, 20 * size), 0.2, 1)
        cover = np.maximum(cover, 0.2 * soft(field, 2))
    colour, opacity = dirt(rng), between(rng, 0.25, 1)
    if chance(rng, 0.6):
        damaged = scene.image * (1 - three(opacity * cover) * (1 - colour))
    else:
        damaged = mix(scene.image, colour, cover * opacity * 0.85)
    return kept(scene, damaged, cover)


def _turn_hue(image: np.ndarray, angle: float) -> np.ndarray:
    """Colours turned about the grey axis: [s, s, 3]."""
    c, d = math.cos(angle), math.sin(angle) / math.sqrt(3)
    a = (1 - c) / 3
    turn = np.array([[c + a, a - d, a + d], [a + d, c + a, a - d], [a - d, a + d, c + a]], np.float32)
    return image @ turn.T


def discoloration(rng: Rng, scene: Scene) -> Damaged:
    """The colour is wrong in a region though the texture is whole: other hue, paler, bleached, darker, yellowed."""
    field = region(rng, scene, between(rng, 0.01, 0.16))
    cover = soft(field, between(rng, 1, 25) * scene.inside.shape[0] / 120)
    style = pick(rng, {"hue": 1.5, "fade": 1.5, "bleach": 1, "dark": 1, "cast": 2})
    image = scene.image
    if style == "hue":
        new = _turn_hue(image, rng.choice([-1, 1]) * rng.uniform(0.5, 3.1)) + rng.normal(0, 0.06, 3).astype(np.float32)
    elif style == "fade":
        grey = image.mean(2, keepdims=True)
        new = grey + (image - grey) * rng.uniform(0, 0.4) + (0.75 - grey) * rng.uniform(0.15, 0.6)
    elif style == "bleach":
        new = 1 - (1 - image) * rng.uniform(0.2, 0.75)
    elif style == "dark":
        new = image * rng.uniform(0.25, 0.8)
    else:
        new = image * (1 + rng.normal(0, 0.3, 3)).astype(np.float32) + rng.normal(0, 0.08, 3).astype(np.float32)
    return kept(scene, mix(image, np.clip(new, 0, 1), cover * between(rng, 0.5, 1)), cover)


def rust(rng: Rng, scene: Scene) -> Damaged:
    """Corrosion or mould: grainy, patchy, brown to orange, or green, white or black."""
    s = scene.inside.shape[0]
    field = region(rng, scene, between(rng, 0.01, 0.16), pick(rng, {"lump": 2, "islands": 3}))
    grain = fractal(rng, s, between(rng, 2, 8) * s / 120, 3)
    cover = soft(field + grain * between(rng, 1, 6) * s / 120, between(rng, 1.5, 8) * s / 120)
    kind = pick(rng, {"rust": 3, "green": 1, "black": 1, "white": 1})
    dark, light = {
        "rust": ((0.25, 0.1, 0.04), (0.75, 0.4, 0.12)),
        "green": ((0.12, 0.2, 0.12), (0.45, 0.65, 0.5)),
        "black": ((0.04, 0.05, 0.04), (0.25, 0.27, 0.22)),
        "white": ((0.6, 0.6, 0.55), (0.97, 0.97, 0.95)),
    }[kind]
    t = three(np.clip(0.5 + 0.3 * fractal(rng, s, between(rng, 2, 6) * s / 120, 2), 0, 1))
    colour = np.array(dark, np.float32) * (1 - t) + np.array(light, np.float32) * t
    return kept(scene, mix(scene.image, colour.astype(np.float32), cover * between(rng, 0.35, 1)), cover)


def smudge(rng: Rng, scene: Scene) -> Damaged:
    """A film over it, that takes the contrast away: a pale or dark streaky haze, as of fingers, or a strip of tape."""
    s = scene.inside.shape[0]
    if chance(rng, 0.2):
        return _tape(rng, scene)
    size = math.sqrt(room(scene))
    angle, centre = rng.random() * math.pi, spot(rng, scene)
    u, v = turned(s, centre, angle)
    long, wide = between(rng, 0.15, 0.5) * size, between(rng, 0.08, 0.25) * size
    v = v + rng.normal(0, 0.5) * u * u / size
    field = (1 - np.sqrt((u / long) ** 2 + (v / wide) ** 2) + 0.25 * fractal(rng, s, wide)) * wide
    streaks = np.interp(v, np.arange(-2 * s, 2 * s, 2), rng.standard_normal(2 * s)).astype(np.float32)
    cover = soft(field, between(rng, 2, 12)) * np.clip(0.7 + rng.uniform(0.05, 0.5) * streaks, 0.1, 1)
    film = tone(rng, under(scene.image, cover), 0.15, 0.6, 0.2)
    new = 0.35 * blur(scene.image, 2.0 * s / 120) + 0.65 * film
    return kept(scene, mix(scene.image, new, cover * between(rng, 0.3, 1)), cover)


def _tape(rng: Rng, scene: Scene) -> Damaged:
    """Something flat and half transparent with a clean outline: tape, dried glue, what is left of a sticker."""
    s = scene.inside.shape[0]
    field = region(rng, scene, between(rng, *SHARE), pick(rng, {"box": 2, "angular": 1, "lump": 1}))
    cover = soft(field, 1.2)
    film = tone(rng, under(scene.image, cover), 0.15, 0.6, 0.3)
    sheen = three(1 + 0.1 * noise(rng, s, 0.2 * s))
    return kept(scene, mix(scene.image, film * sheen, cover * rng.uniform(0.15, 0.7)), cover)


def wear(rng: Rng, scene: Scene) -> Damaged:
    """The texture is rubbed off: blurred, flattened, or roughened."""
    s = scene.inside.shape[0]
    cover = soft(region(rng, scene, between(rng, 0.01, 0.16)), between(rng, 1.5, 12) * s / 120)
    style = pick(rng, {"blur": 2, "flat": 1.5, "rough": 2})
    smooth = blur(scene.image, between(rng, 2, 8) * s / 120)
    if style == "blur":
        new = smooth
    elif style == "flat":
        new = 0.15 * scene.image + 0.85 * tone(rng, under(scene.image, cover), 0.04, 0.25)
    else:
        angle_cell = (1.0, between(rng, 1, 12)) if chance(rng, 0.5) else (between(rng, 1, 12), 1.0)
        lines = three(noise(rng, s, *angle_cell)) * between(rng, 0.04, 0.2)
        pale = tone(rng, under(scene.image, cover), 0.05, 0.3)
        new = 0.5 * smooth + 0.5 * pale + lines
    return kept(scene, mix(scene.image, new.astype(np.float32), cover * rng.uniform(0.6, 1)), cover)


def peel(rng: Rng, scene: Scene) -> Damaged:
    """A coat has come off: what is below has another colour, and the edge of the coat a shadow and a light lip."""
    s = scene.inside.shape[0]
    field = region(rng, scene, between(rng, 0.005, 0.14), pick(rng, {"lump": 2, "angular": 2, "islands": 2}))
    field = field + rng.uniform(0, 1.5) * fractal(rng, s, 5 * s / 120, 2)
    cover = soft(field, 1.2)
    below = tone(rng, under(scene.image, cover), 0.12, 0.6, 0.3) if chance(rng, 0.7) else dirt(rng)
    new = below * three(1 + between(rng, 0.02, 0.15) * fractal(rng, s, between(rng, 2, 12)))
    slope = slopes(soft(field, 3.0 * s / 120))
    step = (slope[0] * rng.choice([-1, 1]) + slope[1]) * rng.uniform(0.3, 1.5)
    damaged = mix(scene.image, new.astype(np.float32), cover) + three(np.clip(step, -0.5, 0.5))
    return kept(scene, damaged, np.maximum(cover, soft(field, 4.0 * s / 120)))


def blotch(rng: Rng, scene: Scene) -> Damaged:
    """A patch of grain: noise, grey or coloured, fine or coarse."""
    s = scene.inside.shape[0]
    cover = soft(region(rng, scene, between(rng, 0.006, 0.14)), between(rng, 1, 8) * s / 120)
    cell, gain = between(rng, 1, 4), between(rng, 0.07, 0.35)
    if chance(rng, 0.5):
        grain = np.stack([noise(rng, s, cell) for _ in range(3)], -1)
    else:
        grain = three(noise(rng, s, cell))
    return kept(scene, scene.image + three(cover) * grain * gain, cover)


def scale(rng: Rng, scene: Scene) -> Damaged:
    """What a rolling mill presses in: streaky flecks of low contrast along one direction, grey on grey."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    share = between(rng, 0.01, 0.12)
    thin, long = between(rng, 1.5, 5) * s / 120, between(rng, 5, 40) * s / 120
    flow = noise(rng, s, long, thin) if chance(rng, 0.6) else noise(rng, s, thin, long)
    field = islands(rng, scene, min(0.3, share * 2.5), 0.2 * size)
    cover = soft(flow - rng.uniform(0, 0.8), 0.8) * soft(field, 0.1 * size)
    by = between(rng, 0.1, 0.4) * (-1 if chance(rng, 0.75) else 1)
    damaged = scene.image * three(1 + by * cover) + 0.3 * by * three(cover)
    return kept(scene, damaged, cover)


def texture(rng: Rng, scene: Scene) -> Damaged:
    """DRAEM's anomaly: another texture, blended in at some opacity where noise is high."""
    s = scene.inside.shape[0]
    share = between(rng, 0.006, 0.16)
    if chance(rng, 0.7):
        field = islands(rng, scene, share, between(rng, 5, 40) * s / 120)
    else:
        field = region(rng, scene, share)
    cover = soft(field, between(rng, 0.8, 4))
    new = np.roll(scene.other, rng.integers(0, s, 2), (0, 1))
    if chance(rng, 0.4):
        new = new[:, ::-1] if chance(rng, 0.5) else new[::-1]
    if chance(rng, 0.4):
        new = np.clip(_turn_hue(new, rng.uniform(-3, 3)) * rng.uniform(0.6, 1.3), 0, 1)
    return kept(scene, mix(scene.image, new.astype(np.float32), cover * rng.uniform(0.2, 1)), cover)
