"""What composed things are made of: the work in the making, materials, prints, layouts, shapes, light.

A `Work` is painted and raised; light comes last. Its `room` is the distance to the next border or feature, so that what
is added finds a place where it collides with nothing. `dot` is one pixel of 112, in units; heights are in units, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import Place, around_centre, box, cover, disc, polygon, rgba

Fold = Callable[[Field, Field], tuple[Field, Field, NDArray[np.int32]]]
Layout = tuple[Field, float, Fold]  # all places [n, 2], how far a figure may reach, (x, y, number) about the nearest
TAU = 2 * np.pi


@dataclass
class Work:
    """A thing in the making; negative `d` is inside."""

    at: Place
    kind: str
    d: Field
    order: int  # its symmetry about the middle: features come in such numbers
    palette: list[Field]
    feels: list[str]
    spots: list[tuple[float, float, float, float]]  # where features may gather: (x, y, half width, half height)

    def __post_init__(self) -> None:
        zero, (x, y, px), size = np.zeros_like(self.d), self.at, self.at.size
        self.height, self.gloss, self.room, self.polar = zero, zero, -self.d, N.polar(x, y)
        self.lean = zero, zero  # the slopes of the whole body, apart from its details
        self.colour, self.dot = L.solid(size, self.palette[0]), size / 112 / px
        k = int(np.argmin(self.polar[0]))  # from here, units to pixels in the first copy of a place that repeats
        self.pixel = min(k % size, size - 2), min(k // size, size - 2)
        j, i = self.pixel
        corner = np.array([[g[i, j], g[i, j + 1], g[i + 1, j]] for g in (x, y)], np.float64)
        self.corner, self.turn = corner[:, 0], np.linalg.inv(corner[:, 1:] - corner[:, :1]).T

    def free(self, points: Field) -> Field:
        """The room at points [..., 2]; -9 outside the picture."""
        away = (points - self.corner) @ self.turn + self.pixel
        at = np.clip(np.rint(away), 0, self.at.size - 1).astype(int)
        return np.where(np.abs(at - away).max(-1) < 0.51, self.room[at[..., 1], at[..., 0]], -9)

    def paint(self, colour: Field, f: Field, strength: float = 1.0) -> None:
        """Colour where f is negative."""
        if strength:
            self.write(colour, cover(self.at, f), strength, 0)

    def write(self, ink: Field, sign: Field, strength: float, by: float) -> None:
        """Print letters (0..1) and emboss them by `by` pixels."""
        self.colour += (sign * np.float32(strength))[..., None] * (ink - self.colour)
        self.height = self.height + sign * np.float32(by * self.dot)

    def lift(self, f: Field, by: float, edge: float = 1.0) -> None:
        """Raise by `by` pixels what lies inside f, or sink it; its flank is two `edge` pixels wide."""
        if by:
            self.height = self.height + N.ramp(f, edge * self.dot, -edge * self.dot) * np.float32(by * self.dot)

    def cover_with(self, rng: Rng, f: Field) -> None:
        """Another material where f is negative."""
        (colour, bump, gloss), inside = material(rng, self), cover(self.at, f)
        self.write(colour, inside, 1, 0)
        self.height = self.height + inside * bump * np.float32(self.dot)
        self.gloss = self.gloss + inside * np.float32(gloss - self.gloss)


def palette(rng: Rng) -> list[Field]:
    """Five colours that go together, from all but equal to black on white."""
    hue = N.pick(rng, [0.0, 0.03, 0.07, 0.1, 0.14, 0.3, 0.42, 0.55, 0.6, 0.66, 0.8]) + float(rng.normal(0, 0.02))
    contrast, turn = min(N.around(rng, 0.12, 2.2), 1.0), hue + N.pick(rng, [0.0, 0.07, 0.33, 0.5])
    base = L.grey(rng, 0.08, 0.93) if N.chance(rng, 0.4) else L.tone(rng, (hue, hue), (0.1, 0.85), (0.15, 0.92))
    metal = L.tone(rng, (0.07, 0.14), (0.2, 0.65), (0.5, 0.95)) if N.chance(rng, 0.4) else L.grey(rng, 0.4, 0.9)
    others = [L.apart(rng, base, 0.3), L.tone(rng, (turn, turn), (0.2, 0.9), (0.2, 0.95)), L.grey(rng, 0, 1), metal]
    return [base, *(base + np.float32(contrast) * (other - base) for other in others)]


def material(rng: Rng, work: Work) -> tuple[Field, Field, float]:
    """One of the materials of this thing in one of its colours: (colour, bump in pixels, gloss)."""
    kind, tint, n, strong = N.pick(rng, work.feels), N.pick(rng, work.palette), work.at.size, N.around(rng, 0.25, 1)
    x, y, r, fine = work.at.x / work.dot, work.at.y / work.dot, work.polar[0] / work.dot, N.around(rng, 0.8, 2)
    zero, (along, across), p = np.zeros_like(x), (x, y) if N.chance(rng, 0.5) else (y, x), N.around(rng, 2.6, 6)
    t, bump = {  # how dark, and how high
        "enamel": lambda: (zero, zero),
        "moulded": lambda: (zero, N.white(rng, n, n) * 0.12),
        "brushed": lambda: (N.streak(rng, across, fine) * 0.2, zero),
        "turned": lambda: (N.streak(rng, r, fine) * 0.12 - 0.3 * np.cos(2 * work.polar[1]), zero),
        "cast": lambda: ((bump := N.smooth(rng, n, fine + 0.4) * 0.25), bump),
        "leather": lambda: ((bump := np.minimum(N.smooth(rng, n, fine + 0.6) ** 2, 1) * 0.3), bump),
        "wood": lambda: (0.5 + 0.4 * N.streak(rng, across + 2 * N.streak(rng, along, 14), 3.5), zero),
        "stone": lambda: (N.fbm(rng, n, p * p) * 0.25 + N.white(rng, n, n) * 0.06, zero),
        "cloth": lambda: (0.5 - (bump := np.cos(x * (TAU / p)) * np.cos(y * (TAU / p)) * 0.35), bump),
        "rubber": lambda: (0.4 - (bump := np.minimum(N.fold(x + y, p), N.fold(x - y, p)) * 0.35), bump),
        "glass": lambda: (0.4 + x * (0.01 * fine) - y * (0.003 * p), zero),
        "print": lambda: (pattern(rng, work), zero),
    }[kind]()
    other = N.pick(rng, work.palette) if kind == "print" else tint * np.float32(N.between(rng, 0.45, 0.8))
    t = np.clip(t * (1.0 if kind == "print" else strong), -0.5, 1)
    return L.mix(tint, other, t), bump * strong, 0.9 if kind in {"enamel", "glass"} else N.between(rng, 0, 0.6)


def pattern(rng: Rng, work: Work) -> Field:
    """A printed pattern, 0..1."""
    p, q, turn = N.around(rng, 4, 16) * work.dot, N.between(rng, 0.12, 0.3), N.pick(rng, [0.0, 0.0, TAU / 8, TAU / 4])
    (x, y, _), c, s = work.at, float(np.cos(turn)), float(np.sin(turn))
    u, v, (r, angle) = c * x + s * y, c * y - s * x, work.polar
    fu, fv, rays = N.fold(u, p), N.fold(v, p), work.order * int(rng.integers(1, 4)) + 2 * (work.order < 5)
    kinds = [
        lambda: fu - p * q,  # stripes, checks, dots
        lambda: (N.fold(u, 2 * p) - p / 2) * (N.fold(v, 2 * p) - p / 2) * (2 / p),
        lambda: np.hypot(fu, fv) - p * (q + 0.1),
        lambda: N.fold(u + N.fold(v, 2 * p), p) * 0.7 - p * q * 0.7,  # chevrons, rays, rings
        lambda: (N.fold(angle, TAU / rays) - TAU / rays / 4) * r,
        lambda: N.fold(r, p) - p * q,
        lambda: N.fold(u + p * 0.4 * np.cos(v * (TAU / p / 2)), p) - p * q,  # waves, diamonds
        lambda: 0.5 * (fu + fv) - p * q,
    ]
    return cover(work.at, N.pick(rng, kinds)())


def ring(rings: int, count: int, r: float, pitch: float) -> Layout:
    """`count` places on each of `rings` circles, the outermost of radius r; y points to the middle."""
    radii = np.repeat(r - pitch * np.arange(rings), count).astype(np.float32)
    a = np.tile(np.arange(count) * (TAU / count), rings)

    def fold(x: Field, y: Field) -> tuple[Field, Field, NDArray[np.int32]]:
        radius, angle = N.polar(x, y)
        k, turn = np.clip(np.round((r - radius) * (1 / pitch)), 0, rings - 1), np.round(angle * (count / TAU))
        off, number = angle - turn * (TAU / count), (k * count + turn % count).astype(np.int32)
        return radius * np.sin(off), radii[number] - radius * np.cos(off), number

    reach = min(float(radii.min() * np.sin(np.pi / count)), pitch / 2 if rings > 1 else 9.0)
    return np.stack([radii * np.cos(a), radii * np.sin(a)], 1), reach, fold


def grid(counts: tuple[int, int], pitch: tuple[float, float], shift: float = 0.0, frame: int = 0) -> Layout:
    """Columns and rows about the middle; `shift` moves every second row, `frame` leaves the outer places only."""
    (columns, rows), (px, py) = counts, pitch
    row, column = np.divmod(np.arange(columns * rows), columns)
    cx = ((column - (columns - 1) / 2 + (row % 2 - 0.5) * shift) * px).astype(np.float32)
    cy = ((row - (rows - 1) / 2) * py).astype(np.float32)
    inner = (row > 0) & (row < rows - 1) & (column > 0) & (column < columns - 1) & frame

    def fold(x: Field, y: Field) -> tuple[Field, Field, NDArray[np.int32]]:
        j = np.clip(np.round(y * (1 / py) + (rows - 1) / 2), 0, rows - 1)
        i = np.clip(np.round(x * (1 / px) + (columns - 1) / 2 - (j % 2 - 0.5) * shift), 0, columns - 1)
        number = (j * columns + i).astype(np.int32)
        return x - cx[number], y - cy[number], number

    return np.stack([np.where(inner, 99, cx), cy], 1), min(px, py) / 2, fold


def shape(rng: Rng, x: Field, y: Field, s: float) -> Field:
    """A small figure that reaches s from its middle, as a signed distance."""
    thin, sides = s * N.between(rng, 0.25, 0.55), N.pick(rng, [3, 4, 5, 6, 8])
    (along, across), wide = (x, y) if N.chance(rng, 0.5) else (y, x), N.pick(rng, [0.2, 1.0])
    kinds = [
        *[lambda: disc(x, y, s)] * 4,
        *[lambda: box(along, across, s, thin, thin * wide)] * 3,
        lambda: polygon(x, y, sides, s * float(np.cos(np.pi / sides)), N.between(rng, 0, 0.5)),
        lambda: np.minimum(box(x, y, s, thin * 0.8), box(y, x, s, thin * 0.8)),
        lambda: np.hypot(x, np.abs(y) + s * 0.8) - s * 1.28,  # a petal; a flower; a ring of dots
        lambda: np.hypot(x, y) - s * (0.78 + 0.2 * np.cos((sides + 1) * np.arctan2(y, x))),
        lambda: disc(*around_centre(x, y, sides, s * 0.7), min(0.28, 0.5 * float(np.sin(np.pi / sides))) * s),
    ]
    return N.pick(rng, kinds)()


def render(rng: Rng, work: Work) -> Field:
    """The finished work as RGBA, in one of seven styles of light (the first comes twice)."""
    at, angle, low = work.at, -N.between(rng, 0, np.pi if N.chance(rng, 0.8) else TAU), N.between(rng, 0.4, 1.2)
    height = work.height * np.float32(at.px * N.around(rng, 0.25, 1.2))
    gx, gy = (slope + lean for slope, lean in zip(L.slopes(height), work.lean, strict=True))
    upright, dx, dy = 1 / np.sqrt(1 + gx * gx + gy * gy), float(np.cos(angle)), float(np.sin(angle))
    facing, shadow = -(gx * dx + gy * dy) * upright, np.zeros_like(height)
    for k in (1, 2, 3, 5):  # what stands higher on the way to the lamp
        before = np.roll(height, (-round(k * dy), -round(k * dx)), (0, 1))
        shadow = np.maximum(shadow, np.clip(before - height - k * low, 0, 1))
    style, some, strong, sharp = int(rng.integers(8)), N.chance(rng, 0.4), N.between(rng, 0.3, 1), N.around(rng, 4, 30)
    (x, y), (r, turn), (a, b, c, e) = N.centred(at.size), work.polar, (float(v) for v in rng.normal(0, 1, 4))
    if style < 2:  # a lamp from the side, high or raking, and highlights as sharp as the matter is glossy
        light = np.clip((facing * (1 / N.around(rng, 0.4, 1.6)) + upright) * 0.75 + 0.25, 0.1, 1.7) * (1 - 0.6 * shadow)
        shine = np.clip(facing * 0.8 + upright * 0.45, 0, 1) ** np.float32(sharp) * work.gloss * (1.3 * strong)
    elif style == 2:  # flat tones with hard borders, as drawn; a contour round it in some
        ink, t, deep = cover(at, -work.d - 1.6 * work.dot) * np.float32(0.8 * some), 0.15 + 0.2 * strong, 0.5 * strong
        light = (1 - deep * N.ramp(facing, -t, -t - 0.1)) * (1 - deep * N.ramp(shadow, 0.2, 0.4)) * (1 - ink)
        shine = 0.6 * deep * N.ramp(facing, t, t + 0.1)
    elif style == 3:  # light from all sides, matt: the deeper among its neighbours, the darker
        sunk = sum(np.clip(N.blur(height, wide) - height, -2, 3) for wide in (1.2, 3.5))
        light = 0.6 + 0.4 * upright + 0.2 * facing - np.clip(sunk * (0.3 * strong), -0.15, 0.6)
        shine = shadow * 0
    elif style == 4:  # an icon: graded from top to foot, bright upper edges, a sheen over the upper half in some
        fall, half = y / np.float32(at.size), N.ramp(y + x * x * (0.3 * a / at.size), 1, -1)
        light = (1 - fall * (0.8 * strong)) * (1 + 0.4 * facing) * (1 - 0.5 * shadow)
        sheen = half * cover(at, work.d + 3 * work.dot) * np.clip(0.1 - fall * 0.6, 0, 1)
        shine = np.clip(facing - 0.2, 0, 1) * strong + sheen * (0.8 * some)
    elif style == 5:  # polished: a room of bright and dark bands mirrored by the slopes
        bend, where = (gx * (1.5 * a) + gy * (1.5 * b)) * upright, (at.x * c + at.y * e) * 0.8 + angle
        room = np.clip((np.sin(2 * bend + where) + 0.4 * np.sin(4 * bend + where * 2)) * (2 * strong), -1, 1)
        light = (0.75 + 0.32 * room + 0.2 * facing) * (1 - 0.4 * shadow)
        shine = np.clip(room - 0.4, 0, 1) * (0.1 + 0.4 * work.gloss)
    elif style == 6:  # brushed round the middle or along: a fan or a band of light lies across the strokes
        fan = np.abs(np.cos((turn - angle) * (1 + some)))
        if work.order < 3:
            r, fan = at.y, 1 - np.minimum(np.abs(at.x * (2 * strong) - at.y * a), 1)
        light = 0.68 + 0.4 * fan ** np.float32(sharp / 4) + 0.03 * N.streak(rng, r * (1 / work.dot), 1) + 0.35 * facing
        light, shine = light * (1 - 0.5 * shadow), np.clip(facing * 2 - 0.6, 0, 0.8) * work.gloss
    else:  # dark field: the faces dim, every flank that looks to the lamp glowing
        flank = np.clip(np.abs(facing) * 0.5 + np.maximum(facing, 0), 0, 1)
        light, shine = 0.8 - 0.45 * strong + flank * (0.5 + 0.7 * strong), flank * flank * (0.6 * strong)
    picture = work.colour * np.clip(light, 0.1, 2)[..., None]
    return rgba(L.mix(picture, np.ones(3, np.float32), np.clip(shine, 0, 0.9)), cover(at, work.d))
