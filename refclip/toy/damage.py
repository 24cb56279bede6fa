"""Defects that are known everywhere: scratch, crack, hole, stain, dent, missing part, contamination.

Each function draws one defect onto a flawless thing and returns the thing anew; nothing is changed in place. It draws
blindly: whether the defect can be seen is for `benchmark` to say, which has it drawn again otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refclip.toy.camera import Layer
from refclip.toy.fields import TURN, inside, line, look, mix, noise, norm, posed, ramp, rgb, walk
from refclip.toy.objects import Paint

Colour = tuple[float, float, float]


class Canvas(NamedTuple):
    """A flawless thing, and what a defect may need to know of it."""

    x: np.ndarray  # [H, W], as `places`
    y: np.ndarray
    thing: Layer
    paint: Paint  # the thing, from any places
    under: Colour  # what shows where it is broken
    cast: np.ndarray  # [2]: from a point to its shadow, in heights


def spot(rng: np.random.Generator, canvas: Canvas, low: float = 0.95, high: float = 2.0) -> tuple[float, float]:
    """A place on the thing, any with equal chance; with `low` and `high` around a half, on its rim."""
    x, y, cover = canvas.x, canvas.y, canvas.thing.cover
    margin = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) > 0.05
    free = np.flatnonzero(margin & (cover > low) & (cover < high))
    pick = free[int(rng.random() * len(free))]
    return float(x.flat[pick]), float(y.flat[pick])


def blob(
    rng: np.random.Generator, canvas: Canvas, middle: tuple[float, float], radius: float, rough: float
) -> np.ndarray:
    """About the distance [H, W] to an uneven, longish spot around a place, negative inside."""
    long = rng.uniform(0.75, 1.0)
    px, py = posed(canvas.x, canvas.y, *middle, rng.uniform(0, TURN))
    uneven = look(noise(rng, 2, 24, 1.5), canvas.x, canvas.y)
    return norm(px * long, py / long) - radius * (1 + rough * uneven)


def pick_dye(
    rng: np.random.Generator, canvas: Canvas, dyes: tuple[Colour, ...], middle: tuple[float, float]
) -> np.ndarray:
    """A colour [3, 1, 1], any but the two that come nearest to a part of the thing about a place."""
    near = (norm(canvas.x - middle[0], canvas.y - middle[1]) < 0.12) & (canvas.thing.cover > 0.5)
    own = canvas.thing.colour[:, near]  # [3, pixels]
    apart = [np.percentile(np.abs(own - np.array(dye)[:, None]).mean(axis=0), 20) for dye in dyes]
    return rgb(dyes[rng.choice(np.argsort(apart)[2:])])


def scratch(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """One to three strokes side by side, pale or dark, whichever the thing is not."""
    thing, size = canvas.thing, len(canvas.x)
    path = walk(rng, spot(rng, canvas), rng.uniform(0.4, 0.7), bend=1.0, kink=0.03)
    worn = look(noise(rng, 3, 40, 0.6), canvas.x, canvas.y)
    mark = np.zeros_like(canvas.x)
    for i in range(rng.integers(1, 4)):
        beside = rng.normal(0, 0.018, 2) * (i > 0)
        first = rng.integers(0, len(path) // 2) * (i > 0)
        width = rng.uniform(0.007, 0.0105)
        stroke = line(path[first : first + rng.integers(13, 26)] + beside, size, 3 * width)
        taper = ramp(0.0, 0.15, stroke.along) * ramp(1.0, 0.8, stroke.along)
        depth = inside(stroke.distance - 0.5 * width * (0.6 + 0.4 * taper), max(0.9 * width, 1 / size))
        mark = np.maximum(mark, depth * np.clip(0.85 + 0.25 * worn, 0.3, 1))
    tone = np.multiply(canvas.under, 0.4) if _lightness(canvas, mark) > 0.55 else np.array([0.92, 0.91, 0.88])
    colour = mix(thing.colour, tone, rng.uniform(0.6, 0.95) * mark)
    return thing._replace(colour=colour, height=thing.height - 0.004 * mark)


def crack(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A jagged line that thins out towards its ends, with up to two branches; the two sides stand unevenly."""
    thing, size = canvas.thing, len(canvas.x)
    path, width = walk(rng, spot(rng, canvas), rng.uniform(0.4, 0.75), bend=2.0, kink=0.45), rng.uniform(0.007, 0.011)
    lines = [(path, width)]
    for _ in range(rng.integers(0, 3)):
        branch = walk(rng, (0.0, 0.0), rng.uniform(0.12, 0.25), bend=1.0, kink=0.45, steps=12)
        lines.append((branch - branch[0] + path[rng.integers(6, len(path) - 6)], 0.75 * width))
    gap, lip = np.zeros_like(canvas.x), np.zeros_like(canvas.x)
    for points, wide in lines:
        seen = line(points, size, 0.03)
        taper = 0.35 + 0.65 * ramp(0.0, 0.2, seen.along) * ramp(1.0, 0.7, seen.along)
        gap = np.maximum(gap, inside(seen.distance - 0.5 * wide * taper, max(0.7 * wide, 1 / size)))
        lip = np.maximum(lip, np.exp(-((seen.distance / 0.012) ** 2)))
    colour = mix(thing.colour, np.multiply(canvas.under, 0.25), rng.uniform(0.7, 1.0) * gap)
    return thing._replace(colour=colour, height=thing.height + 0.0025 * lip - 0.009 * gap)


def hole(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A pit with a broken edge and a dark bottom."""
    thing, radius = canvas.thing, rng.uniform(0.055, 0.115)
    d = blob(rng, canvas, spot(rng, canvas), radius, 0.10)
    crumble = look(noise(rng, 16, 70, 0.6), canvas.x, canvas.y)
    pit = inside(d + 0.005 * crumble, 0.010)
    bottom = ramp(0.0, -0.45 * radius, d)
    ground = rgb(canvas.under) * (0.72 - 0.45 * bottom) * (1 + 0.10 * crumble)
    colour = mix(thing.colour, ground, rng.uniform(0.8, 1.0) * pit)
    height = thing.height * (1 - pit) - 0.02 * bottom + 0.0008 * crumble * pit
    return thing._replace(colour=colour, height=height, gloss=thing.gloss * (1 - pit))


def stain(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """Something spilled: it tints what is below, and has dried darker along its edge."""
    thing, middle, radius = canvas.thing, spot(rng, canvas), rng.uniform(0.07, 0.14)
    d = blob(rng, canvas, middle, radius, 0.14)
    for _ in range(rng.integers(0, 4)):  # splashes
        far, angle = rng.uniform(1.15, 1.6) * radius, rng.uniform(0, TURN)
        drop = norm(canvas.x - middle[0] - far * np.cos(angle), canvas.y - middle[1] - far * np.sin(angle))
        d = np.minimum(d, drop - rng.uniform(0.010, 0.022))
    wet, edge = inside(d, 0.012), np.exp(-(((d + 0.008) / 0.009) ** 2))
    cloud = 1 + 0.2 * look(noise(rng, 2, 30, 1.0), canvas.x, canvas.y)
    depth = np.clip(rng.uniform(0.4, 0.9) * wet * (0.75 + 0.45 * edge) * cloud, 0, 1)
    tints = (0.50, 0.32, 0.17), (0.22, 0.30, 0.62), (0.62, 0.22, 0.26), (0.68, 0.34, 0.12), (0.34, 0.50, 0.24)
    tint = rgb(tints[rng.integers(len(tints))])
    if _lightness(canvas, wet) > 0.36:
        colour = mix(thing.colour, thing.colour * tint, depth)
    else:  # on dark things only what dries pale can be seen
        colour = mix(thing.colour, 0.3 * tint + 0.52, 0.75 * depth)
    return thing._replace(colour=colour, gloss=thing.gloss * (1 - 0.5 * wet))


def dent(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A hollow with a raised rim, seen by light and shade alone."""
    thing, radius = canvas.thing, rng.uniform(0.06, 0.10)
    d = 1 + blob(rng, canvas, spot(rng, canvas), radius, 0.05) / radius  # 0 in the middle, 1 on the rim
    hollow = 0.35 * np.exp(-(((d - 1) / 0.28) ** 2)) - np.exp(-((d / 0.55) ** 2))
    return thing._replace(height=thing.height + rng.uniform(0.30, 0.55) * radius * hollow)


def missing_part(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A bite out of the rim of an object; of a surface, some of the pieces that it is made of."""
    thing, crumble = canvas.thing, look(noise(rng, 8, 60, 0.9), canvas.x, canvas.y)
    if thing.parts is None:
        d = blob(rng, canvas, spot(rng, canvas, 0.2, 0.8), rng.uniform(0.08, 0.15), 0.12) + 0.003 * crumble
        broken = ramp(0.020, 0.004, d)  # the face of the break
        colour = mix(thing.colour, rgb(canvas.under) * (1 + 0.15 * crumble), 0.8 * broken)
        cover = thing.cover * inside(-d, 1 / len(d))
        return thing._replace(colour=colour, height=thing.height - 0.012 * broken, cover=cover)
    x, y = spot(rng, canvas)
    far = norm(canvas.x - x, canvas.y - y)
    hit, counts = np.unique(thing.parts[far < rng.uniform(0.03, 0.10)], return_counts=True)
    whole = np.array([np.count_nonzero((thing.parts == part) & (far < 0.45)) for part in hit])
    lost = hit[counts >= min(0.5, (counts / whole).max()) * whole]
    gone = (np.isin(thing.parts, lost) & (far < 0.45)).astype(float)
    colour = mix(thing.colour, rgb(canvas.under) * (0.9 + 0.13 * crumble), gone)
    height = thing.height * (1 - gone) + gone * (0.0008 * crumble - 0.012)
    return thing._replace(colour=colour, height=height, gloss=thing.gloss * (1 - gone))


def contamination(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """Foreign bits, three to eight of one kind, each with its shadow. They may lie beside an object as well."""
    dyes = (0.12, 0.12, 0.13), (0.92, 0.91, 0.88), (0.72, 0.16, 0.14), (0.20, 0.48, 0.25), (0.20, 0.32, 0.62)
    thing, middle, spread = canvas.thing, spot(rng, canvas), rng.uniform(0.04, 0.10)
    dye = pick_dye(rng, canvas, dyes, middle) * rng.uniform(0.9, 1.1)
    grain = look(noise(rng, 10, 100, 0.5), canvas.x, canvas.y)
    colour, height, cover, gloss = thing.colour, thing.height, thing.cover, thing.gloss
    for i in range(rng.integers(3, 9)):
        x, y = middle + rng.normal(0, spread, 2) * (i > 0)
        radius, turn, corners = rng.uniform(0.014, 0.036), rng.uniform(0, TURN), int(rng.integers(3, 6))
        near = np.s_[_span(canvas.y[:, 0], y, 3 * radius), _span(canvas.x[0], x, 3 * radius)]  # all it can change
        here, shade = np.zeros_like(canvas.x), np.zeros_like(canvas.x)
        dx, dy = canvas.x[near] - x, canvas.y[near] - y
        d = _polygon(dx, dy, radius, turn, corners)
        shadow = _polygon(dx - 0.5 * radius * canvas.cast[0], dy - 0.5 * radius * canvas.cast[1], radius, turn, corners)
        here[near], shade[near] = inside(d, 1 / len(here)), 0.45 * ramp(0.012, -0.008, shadow)
        dome = np.zeros_like(here)
        dome[near] = 0.7 * np.sqrt(np.maximum(-d, 0) * radius)
        colour = mix(colour * (1 - shade), dye * (1 + 0.08 * grain), here)
        height = height * (1 - here) + here * (dome + 0.001 * grain)
        cover, gloss = np.maximum(cover, here), gloss * (1 - here) + 0.3 * here
    return thing._replace(colour=colour, height=height, cover=cover, gloss=gloss)


def _span(centres: np.ndarray, middle: float, reach: float) -> slice:
    return slice(*np.searchsorted(centres, [middle - reach, middle + reach]))


def _polygon(dx: np.ndarray, dy: np.ndarray, radius: float, turn: float, corners: int) -> np.ndarray:
    """About the distance to a polygon with blunt corners, negative inside."""
    return norm(dx, dy) * (1 + 0.10 * np.cos(corners * (np.arctan2(dy, dx) - turn))) - radius


def _lightness(canvas: Canvas, where: np.ndarray) -> float:
    """Mean lightness of the thing below a mark."""
    weight = where * canvas.thing.cover
    return float((canvas.thing.colour.mean(axis=0) * weight).sum() / max(float(weight.sum()), 1e-9))
