"""Defects of the structure: holes, missing parts, pieces in the wrong place, and patterns that are wrong or absent."""

import math
from typing import Any

import numpy as np
from scipy import ndimage

from recipe.defect_shapes import box, ellipse, polygon, region, room, soft, spot, stroke, turned
from recipe.defect_tools import (
    Damaged,
    Place,
    Rng,
    Scene,
    between,
    blur,
    chance,
    fractal,
    grey,
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


def hole(rng: Rng, scene: Scene) -> Damaged:
    """A hole that shows the dark or the ground behind, its wall lit on one side and in shadow on the other."""
    s = scene.inside.shape[0]
    share = between(rng, 0.004, 0.08)
    field = region(rng, scene, share, pick(rng, {"round": 3, "lump": 3, "angular": 1.5}))
    cover = soft(field, 1.2)
    base = under(scene.image, cover)
    if chance(rng, 0.6):
        behind = base * rng.uniform(0.03, 0.45) + np.float32(0.02) * three(noise(rng, s, 3))
    else:
        behind = scene.ground * rng.uniform(0.5, 1)
    deep = max(1, round(between(rng, 1, 4) * s / 120))
    angle = rng.random() * 2 * math.pi
    by = (round(deep * math.sin(angle)), round(deep * math.cos(angle)))
    wall = cover * (1 - np.roll(cover, by, (0, 1)))  # the side of the hole that the light reaches
    shade = cover * (1 - np.roll(cover, (-by[0], -by[1]), (0, 1)))
    behind = behind * three(1 - rng.uniform(0.2, 0.7) * blur(shade, 1))
    if chance(rng, 0.6):
        behind = mix(behind, base + (1 - base) * rng.uniform(0, 0.4), wall * rng.uniform(0.3, 0.9))
    return kept(scene, mix(scene.image, behind.astype(np.float32), cover * rng.uniform(0.8, 1)), cover)


def pinholes(rng: Rng, scene: Scene) -> Damaged:
    """A handful or a swarm of small dark pits, each with a lit edge below."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    n = int(between(rng, 2, 40))
    spread = between(rng, 0.05, 0.3) * size
    points = (rng.standard_normal((n, 2)) * spread + spot(rng, scene)).astype(np.float32)
    width = (between(rng, 1.6, 5) * s / 120 * np.exp(0.3 * rng.standard_normal(n))).astype(np.float32)
    width = np.minimum(width, 0.08 * size + 1)
    cover = stroke(s, points, width)
    rim = stroke(s, points + np.float32(0.5 * s / 120), width + np.float32(1.2)) * (1 - cover)
    base = under(scene.image, cover)
    damaged = mix(scene.image, base + (1 - base) * 0.5, rim * rng.choice([0.0, 0.3, 0.7]))
    colour = base * rng.uniform(0.05, 0.6) if base.mean() > 0.15 else base + 0.4
    return kept(scene, mix(damaged, colour.astype(np.float32), cover * rng.uniform(0.6, 1)), np.maximum(cover, rim))


def missing(rng: Rng, scene: Scene) -> Damaged:
    """A part is gone and the ground shows: a bite or chip from the rim, a broken-off end, an eaten rim, a chunk."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    solid = scene.inside > 0.5
    rim = solid & (scene.inside - blur(scene.inside, 2.0 * s / 120) > 0.12)
    edged = bool(rim.any())
    at = spot(rng, scene, rim) if edged else spot(rng, scene)
    radius = math.sqrt(between(rng, 0.006, 0.12) * room(scene) / math.pi)
    style = pick(rng, {"bite": 2, "chip": 2, "off": 1.5, "eaten": 0.7}) if edged else "chunk"
    rough = rng.uniform(0, 0.4)
    if style == "off":  # beyond a line that cuts the thing, everything
        rows, cols = np.nonzero(solid)
        angle = math.atan2(at[0] - rows.mean(), at[1] - cols.mean()) + rng.normal(0, 0.5)
        u, _ = turned(s, at, angle)
        reach = np.sort(u[solid])
        field = u - reach[int((1 - between(rng, 0.01, 0.15)) * (len(reach) - 1))]
        field = field + rough * 0.2 * size * fractal(rng, s, 0.15 * size)
    elif style == "eaten":  # small bites side by side
        near = ellipse(rng, s, at, 2 * radius, rough=0.3)
        deep = between(rng, 0.02, 0.08) * size
        depth = (0.5 - blur(scene.inside, deep)) * 2.5 * deep  # about minus the distance from the rim
        field = np.minimum(depth + deep * (0.6 + 0.8 * fractal(rng, s, max(2.0, deep))), near)
    elif style == "chip" or (style == "chunk" and chance(rng, 0.5)):
        field = polygon(rng, s, at, 1.3 * radius, int(rng.integers(3, 7))) + 0.15 * radius * fractal(rng, s, radius)
    else:
        field = ellipse(rng, s, at, 1.2 * radius, rough=rough, long=2.0)
    # Also where the rim is a mixture of thing and ground, or a thin outline would stay.
    thing = np.clip(3 * blur(scene.inside, 0.8), 0, 1) if edged else scene.inside
    cover = soft(field, 1.2) * thing
    base = under(scene.image, cover * scene.inside)
    new = scene.ground
    if style == "chunk" or chance(rng, 0.5):  # the broken face: another colour, rough; all of it, or a wall on one side
        face = tone(rng, base, 0.08, 0.5) * three(1 + 0.12 * fractal(rng, s, 5))
        deep, angle = between(rng, 1, 6) * s / 120, rng.random() * 2 * math.pi
        wall = cover * (1 - np.roll(cover, (round(deep * math.sin(angle)), round(deep * math.cos(angle))), (0, 1)))
        new = mix(new, face, cover if style == "chunk" and chance(rng, 0.6) else wall * scene.inside)
    slope = slopes(soft(field, 2.5 * s / 120))
    step = (slope[0] * rng.choice([-1, 1]) + slope[1]) * rng.choice([0, 0.5, 1.0]) * scene.inside * (1 - cover)
    damaged = mix(scene.image + three(np.clip(step, -0.4, 0.4)), new, cover)
    return kept(scene, damaged, np.maximum(cover, soft(field, 3.5 * s / 120) * thing), spill=True)


def _cut(rng: Rng, s: int, size: float, at: Place) -> np.ndarray:
    """The outline of a piece to be cut: a box, upright or turned, or a lump."""
    radius = between(rng, 0.05, 0.2) * size
    if chance(rng, 0.7):
        long = math.sqrt(between(rng, 0.3, 3))
        angle = 0.0 if chance(rng, 0.6) else rng.random() * math.pi
        return box(s, at, angle, 1.8 * radius * long, 1.8 * radius / long)
    return ellipse(rng, s, at, radius, rough=0.3, long=2.0)


def _paste(
    rng: Rng, scene: Scene, source: Place, target: Place, field: np.ndarray, *, turn: float, zoom: float, edge: float
) -> tuple[np.ndarray, np.ndarray]:
    """The picture around `source` seen at `target` through the outline `field`, turned and zoomed: image, cover."""
    s = scene.inside.shape[0]
    c, d = math.cos(turn) / zoom, math.sin(turn) / zoom
    matrix = np.array([[c, d], [-d, c]])
    if chance(rng, 0.3):
        matrix[:, 1] *= -1  # mirrored
    shift = np.array(source) - matrix @ np.array(target)
    rows, cols = np.nonzero(field > -edge)
    if len(rows) == 0:
        return scene.image, np.zeros((s, s), np.float32)
    top, left, low, right = rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
    offset: Any = shift + matrix @ np.array([top, left])  # Any: SciPy's annotation forgets the array
    piece = np.zeros_like(scene.image)
    for k in range(3):
        piece[top:low, left:right, k] = ndimage.affine_transform(
            scene.image[..., k], matrix, offset, (int(low - top), int(right - left)), order=1, mode="mirror"
        )
    return piece, soft(field, edge)


def patch(rng: Rng, scene: Scene) -> Damaged:
    """CutPaste: a piece of the picture pasted elsewhere, turned, zoomed, its colours jittered; hard or blended edge."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    target, source = spot(rng, scene), spot(rng, scene)
    for _ in range(4):  # from well away: a small shift would be a double print
        if math.dist(source, target) > 0.3 * size:
            break
        source = spot(rng, scene)
    field = _cut(rng, s, size, target)
    blend = chance(rng, 0.3)
    edge = between(rng, 1, 2) if not blend else 0.15 * size
    turn = 0.0 if chance(rng, 0.4) else rng.normal(0, 0.8)
    piece, cover = _paste(rng, scene, source, target, field, turn=turn, zoom=between(rng, 0.7, 1.4), edge=edge)
    if blend:  # as Poisson's: its own detail on the tone of the place
        wide = 0.12 * size
        keep = rng.uniform(0.4, 1)
        piece = piece + keep * (under(scene.image, cover) - under(piece, cover))
        cover = blur(cover, min(wide, 3.0 * s / 120))
    elif chance(rng, 0.6):
        piece = piece * rng.uniform(0.65, 1.4) + rng.normal(0, 0.08, 3).astype(np.float32)
    return kept(scene, mix(scene.image, piece.astype(np.float32), cover), cover, spill=chance(rng, 0.2))


def misplaced(rng: Rng, scene: Scene) -> Damaged:
    """A part cut out of its place (which is left empty) and set down elsewhere."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    level = grey(scene.image)
    detail = np.abs(level - blur(level, 4.0 * s / 120)) * (scene.inside > 0.5)
    source = spot(rng, scene, blur(detail, 3.0 * s / 120) * (scene.inside > 0.5) + 1e-6)
    far, angle = between(rng, 0.2, 0.6) * size, rng.random() * 2 * math.pi
    target = (
        min(max(source[0] + far * math.sin(angle), 0), s - 1.0),
        min(max(source[1] + far * math.cos(angle), 0), s - 1.0),
    )
    radius = between(rng, 0.06, 0.13) * size
    rough, long = rng.uniform(0, 0.2), rng.bit_generator.random_raw()
    again = [np.random.default_rng(long) for _ in range(2)]  # the same outline at both places
    fields = [ellipse(r, s, at, radius, rough=rough, long=2.0) for r, at in zip(again, (source, target), strict=True)]
    left = soft(fields[0], 2.0)
    empty = scene.ground if chance(rng, 0.25) else blur(scene.image, 0.06 * s) if chance(rng, 0.5) else None
    piece, cover = _paste(rng, scene, source, target, fields[1], turn=rng.normal(0, 0.7), zoom=1.0, edge=1.3)
    damaged, where = scene.image, cover
    if empty is not None:
        damaged = mix(damaged, empty, left)
        where = np.maximum(left, cover)
    if chance(rng, 0.3):  # it lies on top and throws a shadow
        shadow = blur(np.roll(cover, (2, 1), (0, 1)), 1.5 * s / 120) * (1 - cover) * 0.4
        damaged = damaged * three(1 - shadow)
        where = np.maximum(where, shadow)
    return kept(scene, mix(damaged, piece, cover).astype(np.float32), where, spill=True)


def mirrored(rng: Rng, scene: Scene) -> Damaged:
    """A part the wrong way round: left and right exchanged within a box or a lump."""
    s = scene.inside.shape[0]
    at = spot(rng, scene)
    field = _cut(rng, s, math.sqrt(room(scene)) * 1.3, at)
    index = np.clip(round(2 * at[1]) - np.arange(s), 0, s - 1)
    cover = soft(field, between(rng, 1, 2))
    return kept(scene, mix(scene.image, scene.image[:, index], cover), cover)


def shifted(rng: Rng, scene: Scene) -> Damaged:
    """A slab of the picture is out of line: moved along its length, as a slipped layer or a misplaced row."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    high, long = between(rng, 0.05, 0.2) * size, between(rng, 0.3, 1.2) * size
    upright = chance(rng, 0.5)
    field = box(s, spot(rng, scene), math.pi / 2 if upright else 0.0, long, high)
    by = int(rng.choice([-1, 1]) * max(4 * s / 120, between(rng, 0.06, 0.3) * size))
    moved = np.roll(scene.image, by, 0 if upright else 1)
    cover = soft(field, 1.0)
    return kept(scene, mix(scene.image, moved, cover), cover)


def wrong_colour(rng: Rng, scene: Scene) -> Damaged:
    """What has one colour in a neighbourhood has another: a segment of similar pixels recoloured, its shading kept."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    y, x = spot(rng, scene)
    smooth = blur(scene.image, 1.0 * s / 120)
    far = np.sqrt(((smooth - smooth[int(y), int(x)]) ** 2).sum(2))
    alike = far < between(rng, 0.06, 0.25)
    near = ellipse(rng, s, (y, x), between(rng, 0.08, 0.3) * size, rough=rng.uniform(0.1, 0.5), long=2.5) > 0
    parts = np.empty((s, s), np.int32)
    ndimage.label(alike & near & (scene.inside > 0.5), output=parts)
    part = parts == parts[int(y), int(x)] if parts[int(y), int(x)] else parts < 0
    cover = soft(blur(part.astype(np.float32), 0.7 * s / 120) - 0.45, 0.6)
    base = under(scene.image, cover)
    new = vivid(rng) if chance(rng, 0.5) else tone(rng, base, 0.15, 0.7, 0.4)
    if chance(rng, 0.7):
        new = np.clip(scene.image + (new - base), 0, 1)
    return kept(scene, mix(scene.image, new, cover * between(rng, 0.5, 1)), cover)


def missing_pattern(rng: Rng, scene: Scene) -> Damaged:
    """The pattern stops: a region filled in from around it, smooth, or with its mean colour."""
    s = scene.inside.shape[0]
    level = grey(scene.image)
    detail = np.abs(level - blur(level, 3.0 * s / 120))
    busy = blur(detail, 4.0 * s / 120) * (scene.inside > 0.5)
    at = spot(rng, scene, busy * busy + 1e-9)  # where there is something to miss
    radius = math.sqrt(between(rng, 0.008, 0.12) * room(scene) / math.pi)
    if chance(rng, 0.6):
        field = ellipse(rng, s, at, radius, rough=rng.uniform(0, 0.4), long=3.0)
    else:
        field = box(s, at, rng.random() * math.pi, 2 * radius, 1.5 * radius)
    cover = soft(field, between(rng, 1, 6) * s / 120)
    outside = three(soft(1.5 - field, 1.0) * scene.inside + np.float32(1e-5))
    wide = between(rng, 4, 12) * s / 120
    fill = blur(scene.image * outside, wide) / (three(blur(outside[..., 0], wide)) + np.float32(1e-7))
    if chance(rng, 0.3):
        fill = np.broadcast_to(under(scene.image, soft(field + radius, radius)), scene.image.shape)
    fill = fill + rng.uniform(0, 0.02) * three(noise(rng, s, 1))
    return kept(scene, mix(scene.image, fill.astype(np.float32), cover), cover)


def gap(rng: Rng, scene: Scene) -> Damaged:
    """A thin structure of the picture is broken: across it, a short piece takes the colour of what lies beside it."""
    s = scene.inside.shape[0]
    level = grey(scene.image)
    fine = between(rng, 1.5, 5) * s / 120
    detail = level - blur(level, fine)
    weight = detail * detail * (scene.inside > 0.9)
    y, x = spot(rng, scene, weight + 1e-9)
    sign = 1.0 if detail[int(y), int(x)] > 0 else -1.0
    beside = np.clip(-sign * detail, 0, None) + np.float32(1e-4)
    wide = 2 * fine
    ground = blur(scene.image * three(beside), wide) / (three(blur(beside, wide)) + np.float32(1e-6))
    gy, gx = slopes(blur(level, 1.0))
    near = slice(max(0, int(y) - 4), int(y) + 5), slice(max(0, int(x) - 4), int(x) + 5)
    yy, xx, xy = (gy[near] ** 2).sum(), (gx[near] ** 2).sum(), (gy[near] * gx[near]).sum()
    across = 0.5 * math.atan2(2 * float(xy), float(xx - yy))  # the way the gradient points
    field = box(s, (y, x), across, fine * rng.uniform(3, 6), between(rng, 2.5, 12) * s / 120)
    cover = soft(field + rng.uniform(0, 1) * noise(rng, s, 3), between(rng, 1, 2.5))
    return kept(scene, mix(scene.image, ground, cover * rng.uniform(0.75, 1)), cover)
