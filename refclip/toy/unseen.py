"""Defects that nobody trains on: thread, burn, melt, misaligned. A detector meets them here for the first time."""

from __future__ import annotations

import numpy as np

from refclip.toy.camera import Layer
from refclip.toy.damage import Canvas, blob, pick_dye, spot
from refclip.toy.fields import TURN, box, inside, line, look, mix, noise, posed, ramp, rgb, walk


def thread(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A thin curled fibre that lies on the thing, over its rim too, with a thin shadow."""
    thing, size = canvas.thing, len(canvas.x)
    dyes = (0.90, 0.89, 0.85), (0.10, 0.10, 0.12), (0.70, 0.12, 0.15), (0.15, 0.30, 0.62), (0.85, 0.68, 0.16)
    middle = spot(rng, canvas)
    dye = pick_dye(rng, canvas, dyes, middle)
    path = walk(rng, middle, rng.uniform(0.6, 1.1), bend=rng.uniform(9, 17), kink=0.03, steps=44)
    radius = rng.uniform(0.0045, 0.0075)
    lie = line(path, size, 3 * radius)
    shadow = line(path + 1.3 * radius * canvas.cast, size, 3 * radius)
    here = inside(lie.distance - radius, 1 / size)
    plies = np.sin(TURN * 36 * lie.along + 14 * lie.distance / radius)
    colour = thing.colour * (1 - 0.5 * inside(shadow.distance - radius, 1.2 * radius))
    colour = mix(colour, dye * (0.95 + 0.12 * plies), rng.uniform(0.8, 1.0) * here)
    height = thing.height * (1 - 0.6 * here) + 0.9 * np.sqrt(np.maximum(radius**2 - lie.distance**2, 0))
    cover, gloss = np.maximum(thing.cover, here), thing.gloss * (1 - here)
    return thing._replace(colour=colour, height=height, cover=cover, gloss=gloss)


def burn(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A scorch: yellowed, then brown, and charred where it was hottest."""
    thing, flame = canvas.thing, look(noise(rng, 3, 40, 1.1), canvas.x, canvas.y)
    d = blob(rng, canvas, spot(rng, canvas), rng.uniform(0.055, 0.12), 0.15) + 0.010 * flame
    heat, soot = rng.uniform(0.5, 1.0), look(noise(rng, 10, 100, 0.6), canvas.x, canvas.y)
    yellow, brown, char = ramp(0.05, 0.0, d), ramp(0.016, -0.02, d), ramp(-0.012, -0.055, d + 0.008 * soot)
    colour = mix(thing.colour, thing.colour * rgb((0.97, 0.80, 0.50)), heat * yellow)
    colour = mix(colour, 0.35 * colour * rgb((1.0, 0.75, 0.5)) + rgb((0.10, 0.045, 0.01)), 0.9 * heat * brown)
    colour = mix(colour, rgb((0.07, 0.06, 0.055)) * (1 + 0.3 * soot), ramp(0.4, 0.8, np.array(heat)) * char)
    height = thing.height + 0.0012 * soot * brown - 0.004 * char
    return thing._replace(colour=colour, height=height, gloss=thing.gloss * (1 - 0.85 * brown))


def melt(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """The thing itself has flowed: its structure is wrung and drawn about a place. No colour is added."""
    (cx, cy), radius = spot(rng, canvas), rng.uniform(0.09, 0.165)
    dx, dy = canvas.x - cx, canvas.y - cy
    fade = np.clip(1 - (dx * dx + dy * dy) / radius**2, 0, 1) ** 1.5  # 0 from the radius on
    angle = rng.uniform(1.6, 4.0) * rng.choice([-1, 1]) * fade
    angle = angle * (1 + 0.25 * look(noise(rng, 1, 12, 1.0), canvas.x, canvas.y))
    sag = rng.uniform(0.3, 0.6) * radius * fade
    cos, sin = np.cos(angle), np.sin(angle)
    return canvas.paint(cx + cos * dx - sin * dy, cy + sin * dx + cos * dy - sag)


def misaligned(rng: np.random.Generator, canvas: Canvas) -> Layer:
    """A patch of the thing sits beside its place, shifted or turned, as if printed or laid a second time."""
    (cx, cy), axis = spot(rng, canvas), canvas.thing.axis
    half, slip = rng.uniform(0.06, 0.14, 2), rng.uniform(0.025, 0.06)
    if canvas.thing.parts is None:  # an object: a slice of it, slid along its cuts
        half, way, turn = half * (0.6, 9.0), rng.choice([-0.25, 0.25]) * TURN, 0.0
    else:
        way = rng.uniform(0, TURN)  # never shifted alone: by one period, nothing would show
        turn = rng.choice([-1, 1]) * rng.choice([TURN / 4, rng.uniform(0.5, 1.0)])
    px, py = posed(canvas.x, canvas.y, cx, cy, axis)
    patch = box(px, py, tuple(half), 0.008) < 0
    px, py = posed(px, py, slip * np.cos(way), slip * np.sin(way), turn)
    px, py = posed(px, py, 0.0, 0.0, -axis)
    return canvas.paint(np.where(patch, cx + px, canvas.x), np.where(patch, cy + py, canvas.y))
