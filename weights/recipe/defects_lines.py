"""Defects that are lines: scratches, scuffs, cracks, cuts, scars, creases, pen marks, stripes."""

import math

import numpy as np

from recipe.defect_shapes import box, path, room, soft, spot, stroke, turned
from recipe.defect_tools import (
    Damaged,
    Place,
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
    three,
    tone,
    under,
    vivid,
)


def _taper(rng: Rng, n: int) -> np.ndarray:
    """How wide a stroke is along its way: [n], pointed at both ends, at one, or at none."""
    t = np.linspace(0, 1, n, dtype=np.float32)
    shape = pick(rng, {"both": 2, "one": 1, "none": 1})
    if shape == "none":
        return np.ones(n, np.float32)
    return np.sqrt(1 - t) if shape == "one" else (4 * t * (1 - t)) ** rng.uniform(0.3, 1)


def _along(rng: Rng, n: int, cell: int) -> np.ndarray:
    """Smooth noise [n] along a stroke, mean 0."""
    knots = rng.standard_normal(n // max(2, cell) + 3)
    return np.interp(np.linspace(0, len(knots) - 1, n), np.arange(len(knots)), knots).astype(np.float32)


def scratch(rng: Rng, scene: Scene) -> Damaged:
    """One to six thin strokes, straight or gently bent, whole or broken, often with a lip raised beside the groove."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    angle, near = rng.random() * math.pi, spot(rng, scene)
    groove, lip = np.zeros((2, s, s), np.float32)
    raised = chance(rng, 0.45)
    for k in range(int(rng.choice([1, 1, 1, 2, 3, 4, 6]))):
        start = near if k == 0 else spot(rng, scene)
        if chance(rng, 0.6):  # together, as from one slip
            start = (near[0] + rng.normal(0, 0.08) * size, near[1] + rng.normal(0, 0.08) * size)
        turn = angle + (rng.normal(0, 0.12) if chance(rng, 0.7) else rng.random() * math.pi)
        bend = 0.0 if chance(rng, 0.4) else rng.normal(0, 0.45)
        points = path(rng, start, turn, between(rng, 0.15, 1.0) * size, bend=bend, jitter=between(rng, 0.001, 0.008))
        width = between(rng, 0.6, 3.0) * s / 120 * _taper(rng, len(points))
        value = np.ones(len(points), np.float32)
        if chance(rng, 0.4):
            value = np.clip(0.7 + 0.6 * _along(rng, len(points), int(rng.integers(4, 24))), 0, 1)
        np.maximum(groove, stroke(s, points, width, value), out=groove)
        if raised:
            beside = points + np.array([math.cos(turn), -math.sin(turn)], np.float32) * (width.max() * 0.5 + 0.5)
            np.maximum(lip, stroke(s, beside, width * 0.7, value), out=lip)
    base = under(scene.image, groove)
    colour = tone(rng, base, 0.12, 0.8)
    damaged = scene.image
    if raised:
        damaged = mix(damaged, base + (base - colour) * rng.uniform(0.4, 1), lip * 0.8)
    if chance(rng, 0.4):  # the texture still shows in the groove
        damaged = damaged + three(groove) * (colour - base)
    else:
        damaged = mix(damaged, colour, groove * between(rng, 0.5, 1))
    return kept(scene, damaged, np.maximum(groove, lip))


def scuff(rng: Rng, scene: Scene) -> Damaged:
    """Many short faint scratches side by side, where something was dragged."""
    s = scene.inside.shape[0]
    near, angle = spot(rng, scene), rng.random() * math.pi
    size = math.sqrt(room(scene)) * between(rng, 0.15, 0.5)
    bend, spread = rng.normal(0, 0.4), between(rng, 0.02, 0.3)
    thin = between(rng, 0.7, 1.9) * s / 120
    lots, widths, values = [], [], []
    for _ in range(int(rng.integers(6, 28))):
        across, ahead = rng.normal(0, 0.45) * size, rng.normal(0, 0.25) * size
        start = (
            near[0] + across * math.cos(angle) + ahead * math.sin(angle),
            near[1] - across * math.sin(angle) + ahead * math.cos(angle),
        )
        points = path(rng, start, angle + rng.normal(0, spread), between(rng, 0.3, 1.3) * size, bend=bend)
        lots.append(points)
        widths.append(thin * rng.uniform(0.6, 1.3) * _taper(rng, len(points)))
        values.append(np.full(len(points), rng.uniform(0.45, 1), np.float32))
    cover = stroke(s, np.concatenate(lots), np.concatenate(widths), np.concatenate(values))
    if chance(rng, 0.4):  # a haze between them
        cover = np.maximum(cover, np.clip(blur(cover, 2.5 * s / 120), 0, 1) * rng.uniform(0.4, 0.9))
    colour = tone(rng, under(scene.image, cover), 0.12, 0.6)
    return kept(scene, mix(scene.image, colour, cover * between(rng, 0.55, 1)), cover)


def _walk(rng: Rng, at: Place, angle: float, length: float, wild: float) -> np.ndarray:
    """A crack's way: straight bits with sudden turns. Points [n, 2] half a pixel apart."""
    n = max(6, round(2 * length))
    bit = int(rng.integers(3, 12))
    turns = np.repeat(rng.standard_normal(n // bit + 1) * wild, bit)[:n]
    heading = angle + turns + np.cumsum(rng.standard_normal(n)) * 0.04
    return (np.cumsum(np.stack([np.sin(heading), np.cos(heading)], 1) * (length / n), 0) + at).astype(np.float32)


def crack(rng: Rng, scene: Scene) -> Damaged:
    """A jagged dark line that branches and tapers; a star or a net of them; or a break all the way through."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    wide, wild = between(rng, 0.8, 3.2) * s / 120, rng.uniform(0.25, 0.75)
    start = spot(rng, scene)
    style = pick(rng, {"line": 5, "star": 1.5, "net": 1, "break": 1})
    stems = {"line": 1, "break": 2, "star": int(rng.integers(3, 7)), "net": int(rng.integers(4, 9))}[style]
    todo = []
    first = rng.random() * 2 * math.pi
    for k in range(stems):
        at = start
        if style == "net":
            at = (start[0] + rng.normal(0, 0.12) * size, start[1] + rng.normal(0, 0.12) * size)
        long = {"line": between(rng, 0.25, 0.9), "break": 1.5}.get(style, between(rng, 0.12, 0.4))
        todo.append((at, first + k * 2 * math.pi / stems + rng.normal(0, 0.3), long * size, wide, 0))
    points, widths = [], []
    while todo and len(points) < 20:
        at, angle, length, width, depth = todo.pop()
        way = _walk(rng, at, angle, length, wild)
        thin = np.linspace(1, rng.uniform(0.1, 0.6), len(way), dtype=np.float32)
        points.append(way)
        widths.append(width * thin * np.clip(1 + 0.3 * _along(rng, len(way), 8), 0.3, 1.6))
        for _ in range(int(rng.integers(0, 4 if depth == 0 else 2)) if depth < 2 else 0):
            j = int(rng.integers(len(way) // 4, len(way)))
            side = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
            fork = float(way[j, 0]), float(way[j, 1])
            todo.append((fork, side, length * rng.uniform(0.2, 0.6), width * float(thin[j]) * 0.75, depth + 1))
    way, width = np.concatenate(points), np.concatenate(widths)
    cover = stroke(s, way, width)
    base = under(scene.image, cover)
    level = float(base.mean())
    damaged, where = scene.image, cover
    if chance(rng, 0.4):  # one flank catches the light
        rim = stroke(s, way + np.float32(0.8 * s / 120), width * 0.8)
        damaged = mix(damaged, base + (1 - base) * rng.uniform(0.2, 0.6), rim * rng.uniform(0.3, 0.8))
        where = np.maximum(cover, rim)
    if level > 0.2 and chance(rng, 0.85):
        colour = base * rng.uniform(0.02, 0.55)
    else:
        colour = base + (1 - base) * rng.uniform(0.35, 0.9)
    if style == "break" and chance(rng, 0.6):
        colour = scene.ground
    return kept(scene, mix(damaged, colour, cover * between(rng, 0.6, 1)), where)


def scar(rng: Rng, scene: Scene) -> Damaged:
    """Thin turned rectangles, as CutPaste's: of one colour, another texture, or this picture from elsewhere."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    cover = np.zeros((s, s), np.float32)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        width = between(rng, 0.02, 0.09) * size
        long = width * between(rng, 2.5, 9)
        field = box(s, spot(rng, scene), rng.random() * math.pi, long, max(1.5, width))
        np.maximum(cover, soft(field, between(rng, 0.8, 3)), out=cover)
    fill = pick(rng, {"colour": 2, "other": 1, "same": 1.5})
    if fill == "colour":
        new = dirt(rng) if chance(rng, 0.6) else tone(rng, under(scene.image, cover), 0.15, 0.8)
    elif fill == "other":
        new = scene.other
    else:
        new = np.roll(scene.image, rng.integers(s // 5, s - s // 5, 2), (0, 1))
        new = new + rng.normal(0, 0.12, 3).astype(np.float32)
    return kept(scene, mix(scene.image, new, cover * between(rng, 0.4, 1)), cover)


def cut(rng: Rng, scene: Scene) -> Damaged:
    """A slit that gapes in the middle: the dark or the ground within, one lip in light and one in shade."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    angle = rng.random() * math.pi
    bend = 0.0 if chance(rng, 0.4) else rng.normal(0, 0.7)
    length, jitter = between(rng, 0.15, 0.6) * size, between(rng, 0.001, 0.03)
    points = path(rng, spot(rng, scene), angle, length, bend=bend, jitter=jitter)
    t = np.linspace(0, 1, len(points), dtype=np.float32)
    width = between(rng, 1.5, 8) * s / 120 * (4 * t * (1 - t)) ** rng.uniform(0.4, 1.2)
    cover = stroke(s, points, width)
    side = (np.array([math.cos(angle), -math.sin(angle)]) * rng.choice([-1, 1])).astype(np.float32)
    beside = (width / 2 + 0.5 * s / 120)[:, None] * side
    lit, dim = stroke(s, points + beside, width * 0.4 + 0.5), stroke(s, points - beside, width * 0.4 + 0.5)
    base = under(scene.image, cover)
    damaged = mix(scene.image, base + (1 - base) * rng.uniform(0.1, 0.7), lit * rng.uniform(0, 0.8))
    damaged = mix(damaged, base * np.float32(0.5), dim * rng.uniform(0, 0.7))
    within = base * np.float32(rng.uniform(0.03, 0.5)) if chance(rng, 0.7) else scene.ground * np.float32(0.7)
    return kept(scene, mix(damaged, within, cover * rng.uniform(0.7, 1)), np.maximum(cover, np.maximum(lit, dim)))


def crease(rng: Rng, scene: Scene) -> Damaged:
    """A fold: light on one side, shade on the other, fading away from the line."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    angle, wide = rng.random() * math.pi, between(rng, 1.5, 6) * s / 120
    u, v = turned(s, spot(rng, scene), angle)
    v = v + rng.normal(0, 0.5) * u * u / size + rng.uniform(0, 0.02) * size * noise(rng, s, size / 4)
    ends = soft(between(rng, 0.25, 1) * size / 2 - np.abs(u), 0.15 * size)
    shape = v / wide * np.exp(-np.abs(v) / wide) * 2.2 * ends  # -0.8 .. 0.8
    if chance(rng, 0.3):
        shape = np.where(v > 0, shape, shape * 0.2)
    gain = between(rng, 0.12, 0.7) * rng.choice([-1, 1])
    damaged = scene.image * three(1 + gain * shape) + three(gain * 0.25 * shape)
    return kept(scene, damaged, np.abs(shape))


def pen(rng: Rng, scene: Scene) -> Damaged:
    """Marks of a felt pen or crayon: a line, a tick, a cross, a ring, a zigzag, letters, a scribble."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene)) * between(rng, 0.15, 0.6)
    width = between(rng, 2.0, 6.5) * s / 120
    at, angle = np.array(spot(rng, scene), np.float32), rng.random() * 2 * math.pi
    style = pick(rng, {"line": 2, "tick": 1, "cross": 1, "ring": 1, "zigzag": 1, "letters": 1.5, "scribble": 1.5})
    if style == "line":
        width = max(width, 3.0 * s / 120)  # a thin one could be a thread
        ways = [path(rng, (at[0], at[1]), angle, size, bend=rng.normal(0, 0.8), jitter=0.01)]
    elif style == "scribble":  # to and fro, as one fills in
        t = np.linspace(0, rng.uniform(3, 8) * math.pi, round(8 * size))
        swing = 0.35 * size * (np.sin(t) + 0.2 * np.sin(0.37 * t + angle))
        ahead = (t / t[-1] - 0.5) * size * rng.uniform(0.5, 1)
        c, d = math.cos(angle), math.sin(angle)
        ways = [at + np.stack([swing * c + ahead * d, ahead * c - swing * d], 1)]
    elif style == "ring":
        t = np.linspace(0, rng.uniform(5.2, 6.8), round(4 * size))
        ways = [at + np.stack([np.sin(t) * size * 0.35 * rng.uniform(0.6, 1), np.cos(t) * size * 0.4], 1)]
    elif style == "letters":
        width *= 0.7
        size *= 0.35
        ways = []
        for k in range(int(rng.integers(1, 5))):
            for _ in range(int(rng.integers(2, 5))):  # strokes between six points, as most letters
                a, b = rng.permutation(6)[:2]
                t = np.linspace(0, 1, round(2 * size) + 4)[:, None]
                ends = np.array([[a // 2, a % 2 + 1.6 * k], [b // 2, b % 2 + 1.6 * k]]) * [0.5, 0.55] * size
                ways.append(at + ends[0] + t * (ends[1] - ends[0]))
    else:
        corners = {
            "tick": [[-0.3, 0], [0, 0.3], [0.6, -0.5]],
            "cross": [[-0.4, -0.4], [0.4, 0.4], [-0.4, 0.4], [0.4, -0.4]],
            "zigzag": [[-0.5 + 0.17 * k, 0.3 * (-1) ** k] for k in range(int(rng.integers(4, 8)))],
        }[style]
        c, d = math.cos(angle / 6), math.sin(angle / 6)
        ends = (np.array(corners) + rng.normal(0, 0.05, (len(corners), 2))) @ np.array([[c, d], [-d, c]]) * size
        ways = []
        for k in range(len(ends) - 1):
            if style == "cross" and k == 1:
                continue
            t = np.linspace(0, 1, round(2 * size))[:, None]
            ways.append(at + ends[k, ::-1] + t * (ends[k + 1, ::-1] - ends[k, ::-1]))
    points = np.concatenate(ways).astype(np.float32)
    cover = stroke(s, points, width * np.clip(1 + 0.1 * _along(rng, len(points), 20), 0.6, 1.4))
    colour, opacity = vivid(rng), rng.uniform(0.65, 1)
    if chance(rng, 0.2):  # a crayon skips over the grain
        cover = cover * soft(fractal(rng, s, 2.5, 1) + rng.uniform(0.2, 1), 0.5)
    if chance(rng, 0.25):  # a marker lets the picture through
        return kept(scene, scene.image * (1 - three(cover * opacity) * (1 - colour)), cover)
    return kept(scene, mix(scene.image, colour, cover * opacity), cover, spill=chance(rng, 0.1))


def stripe(rng: Rng, scene: Scene) -> Damaged:
    """A band across the thing that a printer, roller or weaving machine got wrong: too dark, tinted, pale or empty."""
    s = scene.inside.shape[0]
    size = math.sqrt(room(scene))
    angle = float(rng.choice([0, math.pi / 2])) + (rng.normal(0, 0.03) if chance(rng, 0.7) else rng.random() * 3)
    width = max(1.5, between(rng, 0.012, 0.12) * size)
    centre = spot(rng, scene)
    cover = soft(box(s, centre, angle, between(rng, 0.4, 3) * size, width), between(rng, 0.8, 0.8 + width))
    if width < 0.04 * size and chance(rng, 0.4):  # more than one, at equal distances
        step = width * rng.uniform(2.5, 5)
        for k in range(1, int(rng.integers(2, 4))):
            at = (centre[0] + k * step * math.cos(angle), centre[1] - k * step * math.sin(angle))
            np.maximum(cover, soft(box(s, at, angle, 2 * size, width), 1), out=cover)
    style = pick(rng, {"tone": 2, "tint": 2, "pale": 1, "empty": 1.5})
    if style == "tone":
        base = under(scene.image, cover)
        new = scene.image + (tone(rng, base, 0.1, 0.45, 0.05) - base)
    elif style == "tint":
        new = scene.image * (0.35 + 0.65 * vivid(rng)) + rng.uniform(0, 0.1)
    elif style == "pale":
        new = scene.image + rng.uniform(0.3, 0.9) * (under(scene.image, scene.inside) + 0.15 - scene.image)
    else:
        new = blur(scene.image, 0.05 * s)
    return kept(scene, mix(scene.image, new.astype(np.float32), cover * rng.uniform(0.6, 1)), cover)
