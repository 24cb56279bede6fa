"""Every object of the recipe by its plain name: `OBJECTS[name](rng, size)` is float32 RGBA [size, size, 4] in 0..1.

`NAMELESS` ones are nothing in particular: they keep a model from learning the list instead of what whole and damaged
look like. `DETAILED` ones are full of teeth, holes, pins and print, in as many manners of drawing as could be had: a
model that knew the `PLAIN` ones alone took all structure of a thing that somebody else had drawn for damage.
"""

from collections.abc import Callable

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .objects_assembled import ASSEMBLED
from .objects_electric import ELECTRIC
from .objects_faces import FACES
from .objects_flat import FLAT
from .objects_household import HOUSEHOLD
from .objects_long import LONG
from .objects_machined import MACHINED
from .objects_round import ROUND
from .objects_soft import SOFT
from .objects_tools import TOOLS
from .outlines import (
    Place,
    around_centre,
    bevel,
    box,
    cover,
    disc,
    grid,
    matter,
    place,
    polygon,
    rgba,
    shaded,
    text,
)
from .surfaces import any_surface


def outline(rng: Rng, at: Place) -> Field:
    """A random closed outline: superellipse, polygon, wavy disc, rounded box, or a union of two of them."""
    kind = int(rng.integers(6))
    if kind == 0:
        p = np.float32(N.around(rng, 1.2, 8))
        a, b = N.between(rng, 0.5, 0.97), N.between(rng, 0.5, 0.97)
        t = (np.abs(at.x / np.float32(a)) ** p + np.abs(at.y / np.float32(b)) ** p + 1e-6) ** (1 / p)
        return (t - 1) * np.float32(min(a, b))
    if kind == 1:
        sides = int(rng.integers(3, 11))
        return polygon(at.x, at.y, sides, 0.96 * np.cos(np.pi / sides), N.between(rng, 0, 0.7))
    if kind == 2:  # a free curve
        r, angle = N.polar(at.x, at.y)
        edge = np.full_like(r, 0.75)
        for k in range(2, 7):
            edge = edge + np.cos(k * angle + np.float32(N.between(rng, 0, 6.3))) * np.float32(rng.normal(0, 0.16 / k))
        return (r - np.minimum(edge, 0.98)) * np.float32(0.9)
    if kind == 3:  # symmetric about the middle
        r, angle = N.polar(at.x, at.y)
        k, deep = int(rng.integers(3, 25)), N.between(rng, 0.02, 0.16)
        wave = np.clip(np.cos(k * angle) * np.float32(N.around(rng, 0.8, 4)), -1, 1)
        return (r - (0.97 - deep + deep * wave)) * np.float32(0.9)
    if kind == 4:
        w, h = N.between(rng, 0.3, 0.95), N.between(rng, 0.3, 0.9)
        return box(at.x, at.y, w, h, N.around(rng, 0.02, min(w, h)))
    a = box(at.x, at.y - np.float32(N.between(rng, -0.2, 0.2)), 0.93, N.between(rng, 0.15, 0.35), 0.1)
    shift = np.float32(N.between(rng, -0.5, 0.5))
    b = (
        disc(at.x - shift, at.y, N.between(rng, 0.3, 0.48))
        if N.chance(rng, 0.5)
        else box(at.x - shift, at.y, 0.3, 0.85, 0.1)
    )
    return np.minimum(a, b)


def random_object(rng: Rng, size: int) -> Field:
    """A random outline of a random matter with random features: the manufactured thing without a name."""
    at = place(rng, size, corner=(0.85, 0.75))
    d = outline(rng, at)
    body = any_surface(rng, size) if N.chance(rng, 0.35) else matter(rng, at)
    height = bevel(d, N.around(rng, 0.02, 0.4))
    r = np.hypot(at.x, at.y)
    for _ in range(int(rng.integers(0, 5))):
        kind = int(rng.integers(8))
        ink = L.any_colour(rng)
        where, thin = N.between(rng, 0.1, 0.8), N.around(rng, 0.01, 0.06)
        if kind == 0:  # a line that follows the outline: rim, seam
            line = np.abs(d + where * 0.4) - thin
        elif kind == 1:
            line = np.abs(r - where) - thin
        elif kind == 2:  # marks round the middle
            x, y = around_centre(at.x, at.y, int(rng.integers(3, 16)), where)
            line = disc(x, y, thin * 2) if N.chance(rng, 0.5) else np.maximum(np.abs(x) - thin * 3, np.abs(y) - thin)
        elif kind == 3:  # stripes
            line = N.fold(at.x + at.y * np.float32(rng.normal(0, 0.5)), N.around(rng, 0.1, 0.6)) - thin
        elif kind == 4:  # dots
            pitch = N.around(rng, 0.12, 0.4)
            counts = int(where / pitch) + 1, int(rng.integers(1, 2 + int(where / pitch)))
            line = np.hypot(*grid(at.x, at.y, counts, (pitch, pitch))) - np.float32(pitch * N.between(rng, 0.15, 0.4))
        elif kind == 5:  # print
            body = L.mix(
                body, ink, text(rng, at.x, at.y, (-0.5, -0.2, 0.5, 0.2), int(rng.integers(1, 4))) * cover(at, d + 0.05)
            )
            continue
        elif kind == 6:  # an inlay or a second part
            line = outline(rng, Place(at.x / np.float32(where), at.y / np.float32(where), at.px)) * np.float32(where)
        else:  # holes
            count = int(rng.integers(1, 7))
            x, y = around_centre(at.x, at.y, count, 0.0 if count == 1 else 0.45)
            hole = disc(x, y, N.around(rng, 0.05, 0.25 if count < 4 else 0.15))
            hole = np.where(d < -0.05, hole, 9).astype(np.float32)
            d = np.maximum(d, -hole)
            height = np.minimum(height, bevel(d, 0.05) + 0.0 * height)
            continue
        mark = cover(at, np.maximum(line, d + 0.03))
        if N.chance(rng, 0.5):  # painted
            body = L.mix(body, ink, mark)
        if N.chance(rng, 0.5):  # raised or sunk
            height = height + N.ramp(line, 0.02, -0.02) * np.float32(N.pick(rng, [-0.03, 0.03]))
    return rgba(shaded(rng, at, body, height, N.between(rng, 0.4, 1.1), N.between(rng, 0, 0.8)), cover(at, d))


PLAIN = {**ROUND, **FACES, **LONG, **FLAT, **SOFT}  # one manner of shading, little detail
DETAILED = {**MACHINED, **ELECTRIC, **HOUSEHOLD, **TOOLS}  # each module with manners of its own
NAMELESS = {**ASSEMBLED, "random object": random_object}
OBJECTS: dict[str, Callable[[Rng, int], Field]] = {**PLAIN, **DETAILED, **NAMELESS}
