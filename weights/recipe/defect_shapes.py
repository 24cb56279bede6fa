"""Where a defect is and what outline it has: places, signed fields, strokes."""

import math
from functools import lru_cache

import numpy as np

from recipe.defect_tools import Place, Rng, Scene, between, fractal, pick

# -- where ------------------------------------------------------------------------------------------------------------


@lru_cache(8)
def grid(s: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows [s, 1] and columns [1, s] as float32; shared, so not writeable."""
    rows = np.arange(s, dtype=np.float32)
    rows.flags.writeable = False
    return rows[:, None], rows[None, :]


def room(scene: Scene) -> float:
    """The area of the thing in pixels, and never so little that a stroke would vanish."""
    s = scene.inside.shape[0]
    return max(float(scene.inside.sum()), 0.02 * s * s)


def spot(rng: Rng, scene: Scene, weight: np.ndarray | None = None) -> Place:
    """A pixel of the thing, or one drawn by `weight` [s, s]."""
    s = scene.inside.shape[0]
    if weight is None:
        for _ in range(16):  # rejection: a thing that fills the picture costs one try
            y, x = rng.random() * (s - 1), rng.random() * (s - 1)
            if scene.inside[int(y + 0.5), int(x + 0.5)] > 0.5:
                return y, x
        weight = scene.inside > 0.5
    total = np.cumsum(weight, dtype=np.float64)
    at = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    at = min(at, s * s - 1)
    return float(at // s), float(at % s)


def turned(s: int, centre: Place, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction, from a centre: two arrays [s, s]."""
    rows, cols = grid(s)
    y, x = rows - centre[0], cols - centre[1]
    c, d = math.cos(angle), math.sin(angle)
    return x * c + y * d, y * c - x * d


# -- outlines: signed fields [s, s] in pixels, positive inside --------------------------------------------------------


OUTLINES = {"lump": 5.0, "round": 2.0, "angular": 1.5, "islands": 2.0, "box": 0.7}


def ellipse(rng: Rng, s: int, centre: Place, radius: float, *, rough: float = 0.0, long: float = 2.0) -> np.ndarray:
    """An ellipse of the area of a disc of this radius, its outline disturbed by `rough` (0: none, 0.6: ragged)."""
    stretch = math.sqrt(between(rng, 1.0, long))
    u, v = turned(s, centre, rng.random() * math.pi)
    field = radius - np.sqrt((u / stretch) ** 2 + (v * stretch) ** 2)
    if rough > 0:
        field += rough * radius * fractal(rng, s, max(2.0, radius * rng.uniform(0.5, 1.3)))
    return field


def polygon(rng: Rng, s: int, centre: Place, radius: float, sides: int) -> np.ndarray:
    """A convex polygon, its sides about `radius` from the centre."""
    start = rng.random() * 2 * math.pi
    rows, cols = grid(s)
    field = np.full((s, s), radius, np.float32)
    for k in range(sides):
        angle = start + (k + rng.uniform(-0.3, 0.3)) * 2 * math.pi / sides
        far = radius * rng.uniform(0.6, 1.1)
        np.minimum(field, far - (cols - centre[1]) * math.cos(angle) - (rows - centre[0]) * math.sin(angle), out=field)
    return field


def box(s: int, centre: Place, angle: float, length: float, width: float) -> np.ndarray:
    """A turned rectangle."""
    u, v = turned(s, centre, angle)
    return np.minimum(length / 2 - np.abs(u), width / 2 - np.abs(v))


def islands(rng: Rng, scene: Scene, share: float, cell: float) -> np.ndarray:
    """The highest `share` of noise over the thing, as DRAEM's masks, but kept to a neighbourhood."""
    s = scene.inside.shape[0]
    field = fractal(rng, s, cell, 3)
    far = math.sqrt(room(scene) * share) * rng.uniform(0.7, 2.5)
    u, v = turned(s, spot(rng, scene), 0.0)
    field -= np.minimum((u * u + v * v) / (far * far), 6)
    lots = np.sort(field[::3, ::3][scene.inside[::3, ::3] > 0.5], axis=None)
    if lots.size == 0:
        return field - 1e3
    field -= lots[max(0, min(lots.size - 1, round(lots.size * (1 - share))))]
    return field * (cell * 0.5)  # the slope of the noise is about 2 / cell: now about 1 a pixel


def region(rng: Rng, scene: Scene, share: float, outline: str | None = None) -> np.ndarray:
    """Some outline that takes about `share` of the thing: a field [s, s]."""
    s = scene.inside.shape[0]
    radius = math.sqrt(share * room(scene) / math.pi)
    outline = outline or pick(rng, OUTLINES)
    if outline == "islands":
        return islands(rng, scene, share, max(3.0, radius * rng.uniform(0.4, 1.5)))
    centre = spot(rng, scene)
    if outline == "round":
        return ellipse(rng, s, centre, radius, rough=rng.uniform(0, 0.08), long=1.6)
    if outline == "angular":
        field = polygon(rng, s, centre, radius, int(rng.integers(3, 8)))
        return field + rng.uniform(0, 0.15) * radius * fractal(rng, s, max(2.0, radius / 2))
    if outline == "box":
        long = between(rng, 1, 3) ** 0.5
        return box(s, centre, rng.random() * math.pi, 1.8 * radius * long, 1.8 * radius / long)
    return ellipse(rng, s, centre, radius, rough=rng.uniform(0.1, 0.55), long=3.0)


def soft(field: np.ndarray, width: float = 1.0) -> np.ndarray:
    """From a field to 0..1, the edge `width` pixels wide."""
    t = np.clip(field / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


# -- strokes ----------------------------------------------------------------------------------------------------------


def path(rng: Rng, start: Place, angle: float, length: float, *, bend: float = 0.0, jitter: float = 0.0) -> np.ndarray:
    """Points [n, 2] half a pixel apart, turning by `bend` radians in all, and at random by `jitter` a step."""
    n = max(4, round(2 * length))
    heading = angle + bend * np.linspace(-0.5, 0.5, n) + jitter * np.cumsum(rng.standard_normal(n))
    steps = np.stack([np.sin(heading), np.cos(heading)], 1) * (length / n)
    points = np.cumsum(steps, 0)
    return (points - points[n // 2] + start).astype(np.float32)


def stroke(s: int, points: np.ndarray, width: np.ndarray | float, value: np.ndarray | float = 1.0) -> np.ndarray:
    """How much of each pixel a line through points [n, 2] covers: [s, s]. Width and value may differ by point."""
    n = len(points)
    width = np.broadcast_to(np.asarray(width, np.float32), (n,))
    value = np.broadcast_to(np.asarray(value, np.float32), (n,))
    reach = math.ceil(float(width.max()) / 2 + 0.5)
    if reach > 3:  # a thick line needs no disc every half pixel
        keep = slice(None, None, max(1, reach // 3))
        points, width, value = points[keep], width[keep], value[keep]
    around = np.arange(-reach, reach + 1, dtype=np.float32)
    base = np.round(points)
    away = base - points
    dy = away[:, 0, None] + around  # [n, k]
    dx = away[:, 1, None] + around
    far = np.sqrt(dy[:, :, None] ** 2 + dx[:, None, :] ** 2)  # [n, k, k]
    # Thinner than a pixel: fainter, not narrower.
    cover = np.clip(width[:, None, None] / 2 + 0.5 - far, 0, 1) * (np.minimum(width, 1) ** 0.5 * value)[:, None, None]
    y = (base[:, 0, None, None] + around[:, None]).astype(np.int32)
    x = (base[:, 1, None, None] + around).astype(np.int32)
    y, x = np.broadcast_arrays(y, x)
    on = (cover > 0) & (y >= 0) & (y < s) & (x >= 0) & (x < s)
    out = np.zeros(s * s, np.float32)
    np.maximum.at(out, y[on] * s + x[on], cover[on])
    return out.reshape(s, s)
