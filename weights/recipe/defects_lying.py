"""Defects that stand out or lie on the thing: dents and bumps, dirt, paint, drops, foreign objects."""

import math

import numpy as np

from recipe.defect_shapes import box, ellipse, grid, path, polygon, region, room, soft, spot, stroke, turned
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
    vivid,
)


def dent(rng: Rng, scene: Scene) -> Damaged:
    """The surface goes in: light from one side brightens the far wall and shades the near one."""
    return _relief(rng, scene, -1)


def bump(rng: Rng, scene: Scene) -> Damaged:
    """The surface comes out: one bulge, or a group of blisters."""
    return _relief(rng, scene, 1)


def _relief(rng: Rng, scene: Scene, up: int) -> Damaged:
    s = scene.inside.shape[0]
    count = int(rng.choice([1, 1, 1, 1, 2, 3, 7]))
    height = np.zeros((s, s), np.float32)
    near, size = spot(rng, scene), math.sqrt(room(scene))
    for k in range(count):
        radius = math.sqrt(between(rng, 0.008, 0.1) * room(scene) / math.pi / count)
        at = near
        if k:
            at = (near[0] + rng.normal(0, 0.12) * size, near[1] + rng.normal(0, 0.12) * size)
        field = ellipse(rng, s, at, radius, rough=rng.uniform(0, 0.25), long=2.5)
        sharp = rng.uniform(0.3, 1)
        np.maximum(height, blur(soft(field, radius), max(0.8, sharp * radius * 0.5)) * radius, out=height)
    slope_y, slope_x = slopes(height)
    light = rng.normal(-math.pi / 2, 0.9)  # mostly from above
    shade = up * (slope_y * math.sin(light) + slope_x * math.cos(light)) * -1
    shade = np.clip(shade / (np.abs(shade).max() + np.float32(1e-6)), -1, 1)
    gain = between(rng, 0.15, 0.9)
    damaged = scene.image * three(1 + gain * shade) + three(0.3 * gain * shade)
    where = np.abs(shade)
    if chance(rng, 0.4):  # the floor of a dent lies in shade, the top of a bump in light
        top = height / (height.max() + np.float32(1e-6))
        damaged = damaged * three(1 + up * rng.uniform(0.05, 0.3) * top)
        where = np.maximum(where, top)
    if chance(rng, 0.3):  # a highlight, on something that shines
        damaged = damaged + three(np.clip(shade, 0, 1) ** 4 * rng.uniform(0.2, 0.6))
    return kept(scene, damaged, where)


def contamination(rng: Rng, scene: Scene) -> Damaged:
    """A lump of something else lies on it: its own texture and colour, often a shadow."""
    s = scene.inside.shape[0]
    field = region(rng, scene, between(rng, 0.004, 0.12), pick(rng, {"lump": 4, "angular": 2, "round": 1.5}))
    cover = soft(field, between(rng, 0.9, 3))
    if chance(rng, 0.4):
        new = np.roll(scene.other, rng.integers(0, s, 2), (0, 1))
        if chance(rng, 0.5):
            new = 0.5 * new + 0.5 * dirt(rng)
    else:  # of a strange colour, or nearly the thing's own
        colour = dirt(rng) if chance(rng, 0.7) else tone(rng, under(scene.image, cover), 0.06, 0.3, 0.2)
        new = colour * three(1 + rng.uniform(0.05, 0.3) * fractal(rng, s, between(rng, 1.5, 8)))
    where, damaged = cover, scene.image
    if chance(rng, 0.5):  # it stands out: a shadow beside it, light on its flank
        by = max(1, round(between(rng, 1, 4) * s / 120))
        height = blur(soft(field, 6 * s / 120), 1.5 * s / 120)
        slope = slopes(height)
        new = new * three(1 + np.clip(-3 * (slope[0] + slope[1]) * rng.uniform(0.3, 1.2), -0.5, 0.6))
        shadow = blur(np.roll(cover, (by, by), (0, 1)), 1.2 * s / 120) * (1 - cover) * rng.uniform(0.2, 0.6)
        damaged = damaged * three(1 - shadow)
        where = np.maximum(cover, shadow)
    damaged = mix(damaged, new.astype(np.float32), cover * between(rng, 0.5, 1))
    return kept(scene, damaged, where, spill=chance(rng, 0.3))


def specks(rng: Rng, scene: Scene) -> Damaged:
    """Grains, dust or crumbs: a few or many, light or dark, thick in one place or strewn over the thing."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    near, spread = spot(rng, scene), between(rng, 0.04, 0.35) * size
    n = int(between(rng, 3, 60))
    at = (rng.standard_normal((n, 2)) * spread + near).astype(np.float32)
    width = (between(rng, 1.2, 4.5) * s / 120 * np.exp(0.4 * rng.standard_normal(n))).astype(np.float32)
    twin = at + (rng.standard_normal((n, 2)) * width[:, None] * 0.5).astype(np.float32)  # not all round
    points, widths = np.concatenate([at, twin]), np.minimum(np.concatenate([width, width * 0.7]), 0.08 * size + 1)
    value = rng.uniform(0.5, 1, 2 * n).astype(np.float32)
    cover = np.zeros((s, s), np.float32)
    for k in range(0, 2 * n, 16):  # in lots, for the widest sets the window of all
        order = np.argsort(widths)[k : k + 16]
        np.maximum(cover, stroke(s, points[order], widths[order], value[order]), out=cover)
    colour = dirt(rng) if chance(rng, 0.5) else tone(rng, under(scene.image, cover), 0.2, 0.8)
    new = colour * three(1 + 0.2 * noise(rng, s, 4))
    return kept(scene, mix(scene.image, new, cover * between(rng, 0.5, 1)), cover)


def splash(rng: Rng, scene: Scene) -> Damaged:
    """Paint: a blob with satellites, with runs down from it, or a brush stroke; opaque and hard-edged."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    centre = spot(rng, scene)
    style = pick(rng, {"splash": 2, "runs": 1, "brush": 1.5})
    if style == "brush":
        width, angle = between(rng, 5, 18) * s / 120, rng.random() * 2 * math.pi
        points = path(rng, centre, angle, between(rng, 0.15, 0.6) * size, bend=rng.normal(0, 0.8), jitter=0.01)
        cover = stroke(s, points, width)
        u, v = turned(s, centre, angle)
        bristle = np.interp(v, np.arange(-s, s), rng.standard_normal(2 * s)).astype(np.float32)
        dry = np.clip(u / (0.3 * size), -1, 1) * rng.uniform(0, 1.5)
        cover = cover * soft(bristle + 1.6 - dry, 1.0)
    else:
        radius = math.sqrt(between(rng, 0.004, 0.07) * room(scene) / math.pi)
        cover = soft(ellipse(rng, s, centre, radius, rough=rng.uniform(0.05, 0.4), long=1.8), 1.2)
        for _ in range(int(rng.integers(2, 9))):
            angle = rng.random() * 2 * math.pi
            if style == "runs":
                start = (centre[0], centre[1] + rng.uniform(-0.8, 0.8) * radius)
                length = between(rng, 0.5, 3) * radius
                points = path(rng, (start[0] + length / 2, start[1]), math.pi / 2, length, bend=0.0)
                spot_cover = stroke(s, points, np.linspace(1, 0.7, len(points)) * between(rng, 2, 5) * s / 120)
            else:
                far = radius * between(rng, 1.0, 3)
                out = np.array([math.sin(angle), math.cos(angle)], np.float32)
                far = far + np.linspace(0, rng.uniform(0, 0.4) * radius, 5, dtype=np.float32)
                at = np.array(centre, np.float32) + far[:, None] * out  # a drop, or a short dash outwards
                spot_cover = stroke(s, at, between(rng, 1.2, 1.2 + radius * 0.5))
            np.maximum(cover, spot_cover, out=cover)
    new = np.broadcast_to(vivid(rng), scene.image.shape)
    if chance(rng, 0.5):  # thick paint catches light
        slope = slopes(blur(cover, 1.2 * s / 120))
        new = new * three(1 - 0.8 * (slope[0] + slope[1]) * rng.uniform(0.3, 1))
    damaged = mix(scene.image, new.astype(np.float32), cover * rng.uniform(0.7, 1))
    return kept(scene, damaged, cover, spill=chance(rng, 0.15))


def drop(rng: Rng, scene: Scene) -> Damaged:
    """Drops of water, oil or glue: darker, rimmed on one side, with a small highlight."""
    s = scene.inside.shape[0]
    count = int(rng.choice([1, 1, 2, 3, 5]))
    near, size = spot(rng, scene), math.sqrt(room(scene))
    damaged, where = scene.image, np.zeros((s, s), np.float32)
    tint = 1 - between(rng, 0.03, 0.6) * (1 - (dirt(rng) if chance(rng, 0.6) else np.ones(3, np.float32) * 0.5))
    deep, shine, light = between(rng, 0.1, 0.55), between(rng, 0.2, 1), rng.normal(-2.2, 0.5)
    for k in range(count):
        at = near
        if k:
            at = (near[0] + rng.normal(0, 0.15) * size, near[1] + rng.normal(0, 0.15) * size)
        radius = math.sqrt(between(rng, 0.004, 0.08) * room(scene) / math.pi / count)
        field = ellipse(rng, s, at, radius, rough=rng.uniform(0, 0.2), long=1.7)
        cover = soft(field, 1.3)
        rows, cols = grid(s)
        side = ((rows - at[0]) * math.sin(light) + (cols - at[1]) * math.cos(light)) / radius  # 1 towards the light
        edge = np.exp(-np.clip(field, 0, None) / (0.3 * radius))
        shade = deep * (0.4 + edge * np.clip(side, -0.2, 1)) - 0.6 * deep * edge * np.clip(-side, 0, 1)
        damaged = mix(damaged, damaged * three(np.clip(1 - shade, 0, 2)) * tint, cover)
        glint = (at[0] + 0.45 * radius * math.sin(light), at[1] + 0.45 * radius * math.cos(light))
        far = (rows - glint[0]) ** 2 + (cols - glint[1]) ** 2
        spark = shine * np.exp(-far / (2 * (0.14 * radius + 0.5) ** 2)) * cover
        damaged = damaged + three(spark) * (1 - damaged)
        where = np.maximum(where, cover)
    return kept(scene, damaged.astype(np.float32), where, spill=chance(rng, 0.15))


def foreign(rng: Rng, scene: Scene) -> Damaged:
    """A small object that does not belong: a pill, disc or block with its own shading and shadow."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    radius = math.sqrt(between(rng, 0.004, 0.05) * size * size / math.pi)
    at, angle = spot(rng, scene), rng.random() * math.pi
    if chance(rng, 0.5):
        field = ellipse(rng, s, at, radius, rough=0.0, long=3.0)
    elif chance(rng, 0.5):
        field = polygon(rng, s, at, 1.1 * radius, int(rng.integers(3, 9)))
    else:
        long = between(rng, 1, 1.7)
        field = box(s, at, angle, 1.8 * radius * long, 1.8 * radius / long)
    cover = soft(field, 1.2)
    light = rng.normal(-2.2, 0.6)
    u, _ = turned(s, at, light)
    colour = vivid(rng) if chance(rng, 0.5) else tone(rng, under(scene.image, cover), 0.15, 0.7, 0.2)
    body = colour * three(1 + np.clip(u / radius, -1, 1) * rng.uniform(0.05, 0.45))
    body = body - three(0.35 * (1 - soft(field - 1.5 * s / 120, 3.0 * s / 120)) * rng.random())
    if chance(rng, 0.4):
        body = body + three(rng.uniform(0.1, 0.5) * soft(field - 0.6 * radius, 0.3 * radius))
    by = between(rng, 1, 4) * s / 120
    moved = np.roll(cover, (-round(by * math.sin(light)), -round(by * math.cos(light))), (0, 1))
    shadow = blur(moved, 1.3 * s / 120) * (1 - cover) * rng.uniform(0, 0.6)
    damaged = mix(scene.image * three(1 - shadow), body.astype(np.float32), cover)
    return kept(scene, damaged, np.maximum(cover, shadow), spill=chance(rng, 0.3))
