"""Outlines as signed distances (negative inside), and the painter's tools for single objects.

An object is drawn in its own units: 1 is about half the picture, `Place.px` pixels. A distance in these units becomes
an antialiased cover by `cover`; a height in them is lit by `shaded`.
"""

from typing import NamedTuple

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng

FONT = (  # 3 x 5 letters; five octal digits a letter, a row each
    "75557262277174771717557117471774757711117575775717257556565674447655567464774644"
    "74557557557222711157564654444757755655556564464216722225555755552557755525555222"
    "71247"
)
BITS = np.array([[int(row) >> k & 1 for k in (2, 1, 0)] for row in FONT], np.float32)
GLYPHS = BITS.reshape(-1, 5, 3)


class Place(NamedTuple):
    """Where an object lies: its own coordinates [size, size] and the pixels of one unit."""

    x: Field
    y: Field
    px: float

    @property
    def size(self) -> int:
        """The side of the picture in pixels."""
        return self.x.shape[0]


def place(rng: Rng, size: int, turn: float = np.pi, corner: tuple[float, float] = (0.0, 0.0)) -> Place:
    """A place turned by up to `turn`, filling the picture; `corner` is the outermost corner it may have."""
    x, y = N.centred(size)
    angle = N.between(rng, -turn, turn)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    reach = max(abs(c) * corner[0] + abs(s) * corner[1], abs(s) * corner[0] + abs(c) * corner[1], 1.0)
    px = size / 2 * N.between(rng, 0.84, 0.97) / float(reach)
    u, v = (c * x + s * y) / np.float32(px), (c * y - s * x) / np.float32(px)
    return Place(u, v, px)


def cover(at: Place, d: Field) -> Field:
    """How much of each pixel lies inside: 0..1."""
    return np.clip(0.5 - d * np.float32(at.px), 0, 1)


def disc(x: Field, y: Field, r: float) -> Field:
    """A disc."""
    return np.hypot(x, y) - np.float32(r)


def box(x: Field, y: Field, w: float, h: float, r: float = 0.0) -> Field:
    """A box of half sides w and h with corners of radius r."""
    qx, qy = np.abs(x) - np.float32(w - r), np.abs(y) - np.float32(h - r)
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - np.float32(r)


def bar(x: Field, y: Field, ends: tuple[float, float, float, float], r: float) -> Field:
    """A line between ends = (x0, y0, x1, y1), 2 r thick, round where it stops."""
    a, (dx, dy) = ends, (ends[2] - ends[0], ends[3] - ends[1])
    px, py = x - np.float32(a[0]), y - np.float32(a[1])
    t = np.clip((px * np.float32(dx) + py * np.float32(dy)) * np.float32(1 / (dx * dx + dy * dy + 1e-9)), 0, 1)
    return np.hypot(px - t * np.float32(dx), py - t * np.float32(dy)) - np.float32(r)


def polygon(x: Field, y: Field, sides: int, r: float, rounding: float = 0.0) -> Field:
    """A regular polygon of inner radius r."""
    part = np.float32(2 * np.pi / sides)
    radius, angle = N.polar(x, y)
    turn = angle - np.round(angle / part) * part
    flat = radius * np.cos(turn) - np.float32(r)
    return np.maximum(flat, radius - np.float32(r / np.cos(np.pi / sides) * (1 - rounding) + r * rounding))


def around_centre(x: Field, y: Field, count: int, r: float, phase: float = 0.0) -> tuple[Field, Field]:
    """Coordinates about the nearest of `count` points on a circle of radius r: one figure drawn `count` times."""
    part = np.float32(2 * np.pi / count)
    radius, angle = N.polar(x, y)
    turn = angle - np.float32(phase)
    turn = turn - np.round(turn / part) * part
    return radius * np.cos(turn) - np.float32(r), radius * np.sin(turn)


def grid(x: Field, y: Field, counts: tuple[int, int], pitch: tuple[float, float]) -> tuple[Field, Field]:
    """Coordinates about the nearest point of a centred grid of counts = (columns, rows)."""
    out = []
    for t, count, step in zip((x, y), counts, pitch, strict=True):
        last = np.float32((count - 1) / 2)
        near = np.clip(np.round(t * np.float32(1 / step) + last), 0, count - 1) - last
        out.append(t - near * np.float32(step))
    return out[0], out[1]


def bevel(d: Field, width: float) -> Field:
    """The height, in units, of an edge rounded over `width` inward of the outline."""
    t = np.clip(1 + d * np.float32(1 / width), 0, 1)
    return np.sqrt(np.maximum(1 - t * t, 1e-4)) * np.float32(width)


def shaded(rng: Rng, at: Place, picture: Field, height: Field, *look: float) -> Field:
    """The picture lit over a height in units; `look` is the depth of the relief and the gloss."""
    return L.lit(rng, picture, height * np.float32(at.px), *look)


def profile(at: Place, points: list[tuple[float, float]], softness: float = 0.02) -> Field:
    """The half width at each y of a body turned about the y axis, through (y, half width) points; 0 beyond them."""
    y = np.linspace(-1.2, 1.2, 481)
    table = np.interp(y, [p[0] for p in points], [p[1] for p in points], left=0, right=0)
    reach = max(1, int(softness * 200))
    table = np.convolve(table, np.ones(2 * reach + 1) / (2 * reach + 1), "same").astype(np.float32)
    row = np.clip((at.y + np.float32(1.2)) * np.float32(200), 0, 479)
    i = row.astype(np.int32)
    return table[i] + (table[i + 1] - table[i]) * (row - i)


def turned(rng: Rng, at: Place, picture: Field, half: Field, gloss: float = 0.5) -> Field:
    """The picture as the side of a body of revolution of half width `half`: dark to the sides, a streak of light."""
    across = np.clip(at.x / np.maximum(half, 1e-3), -1, 1)
    light = np.float32(0.35) + np.float32(0.65) * np.sqrt(1 - across * across * np.float32(0.95))
    light = light + across * np.float32(rng.normal(0, 0.15))
    side, narrow = N.between(rng, -0.6, 0.6), N.around(rng, 0.06, 0.25)
    streak = np.exp(-(((across - np.float32(side)) / np.float32(narrow)) ** 2)) * np.float32(gloss * rng.random())
    picture = picture * light[..., None]
    return picture + streak[..., None] * (1 - picture)


def text(
    rng: Rng, x: Field, y: Field, area: tuple[float, float, float, float], rows: int = 1, *, letters: int = 0
) -> Field:
    """Ink 0..1 of random letters in the box area = (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = area
    row_tall = (y1 - y0) / rows
    letters = letters or max(1, round((x1 - x0) / (row_tall * 0.62)))
    page = np.zeros((rows * 6 + 1, letters * 4 + 1), np.float32)
    for r in range(rows):
        last = letters if rows == 1 else int(rng.integers(letters // 2 + 1, letters + 1))
        for c in range(last):
            if rows == 1 or not N.chance(rng, 0.15):
                page[6 * r + 1 : 6 * r + 6, 4 * c + 1 : 4 * c + 4] = GLYPHS[rng.integers(len(GLYPHS))]
    u, v = (x - np.float32(x0)) / np.float32(x1 - x0), (y - np.float32(y0)) / np.float32(y1 - y0)
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    u, v = np.clip(u, 0, 1) * np.float32(page.shape[1] - 1), np.clip(v, 0, 1) * np.float32(page.shape[0] - 1)
    return N.ramp(N.sample(page, u, v), 0.25, 0.75) * inside


def rgba(picture: Field, alpha: Field) -> Field:
    """Colour and cover as one float32 picture [size, size, 4] in 0..1."""
    return np.clip(np.concatenate([picture, alpha[..., None]], -1), 0, 1).astype(np.float32, copy=False)


# -- bodies: what an object is made of ---------------------------------------------------------------------------------


def plain(rng: Rng, at: Place, colour: Field | None = None, grain: float = 0.03) -> Field:
    """One colour with the slight unevenness of real matter."""
    colour = L.any_colour(rng) if colour is None else colour
    shade = (
        1
        + N.smooth(rng, at.size, at.size * 0.6) * np.float32(0.05)
        + N.white(rng, at.size, at.size) * np.float32(N.between(rng, 0.1, 1) * grain)
    )
    return colour * shade[..., None]


def metal(rng: Rng, at: Place, colour: Field | None = None) -> Field:
    """Turned, brushed or cast metal."""
    if colour is None:
        colour = (
            L.grey(rng, 0.35, 0.8, 0.02) if N.chance(rng, 0.7) else L.tone(rng, (0.05, 0.14), (0.2, 0.6), (0.5, 0.9))
        )
    kind = int(rng.integers(3))
    if kind == 0:
        radius, angle = N.polar(at.x, at.y)
        marks = N.streak(rng, radius * np.float32(at.px), N.around(rng, 1, 3)) * np.float32(0.04)
        marks = marks + np.cos(2 * angle + np.float32(N.between(rng, 0, 6))) * np.float32(N.between(rng, 0.03, 0.15))
    elif kind == 1:
        marks = N.fibres(rng, at.size, N.between(rng, 0, np.pi), N.around(rng, 10, 60), 0.6) * np.float32(0.05)
    else:
        marks = N.smooth(rng, at.size, N.around(rng, 1, 2)) * np.float32(0.04)
    return colour * (1 + marks)[..., None]


def matter(rng: Rng, at: Place) -> Field:
    """A plain, metallic, graded or patterned body."""
    kind = rng.random()
    if kind < 0.45:
        return plain(rng, at)
    if kind < 0.65:
        return metal(rng, at)
    if kind < 0.8:
        t = np.clip(at.x * np.float32(rng.normal(0, 0.5)) + at.y * np.float32(rng.normal(0, 0.5)) + 0.5, 0, 1)
        return L.mix(L.any_colour(rng), L.any_colour(rng), t)
    from .surfaces import any_surface

    return any_surface(rng, at.size)
