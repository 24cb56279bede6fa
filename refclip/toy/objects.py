"""Four products: a biscuit, a horn button, a toothed washer, a capsule.

Each function draws one specimen and returns how it is painted: places [H, W] -> `Layer`. What a defect moves is painted
from other places, so nothing is ever resampled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refclip.toy.camera import Layer
from refclip.toy.fields import TURN, box, inside, look, mix, noise, norm, posed, ramp, rgb

Paint = Callable[[np.ndarray, np.ndarray], Layer]


def biscuit(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """A baked rectangle with a scalloped rim, a frame and rows of docking holes."""
    cx, cy = 0.5 + rng.uniform(-0.03, 0.03, 2)
    angle, scale = rng.uniform(-0.35, 0.35), rng.uniform(0.95, 1.07)
    half = 0.385 * scale * rng.uniform(0.98, 1.02), 0.305 * scale * rng.uniform(0.98, 1.02)
    crumb, pores, browning = noise(rng, 6, 100, 0.5), noise(rng, 30, 110, 0.3), noise(rng, 1, 5, 1.2)
    uneven, baked = noise(rng, 2, 12, 1.0), rng.uniform(-0.12, 0.12)
    step = 2 * half[0] / 7.2, 2 * half[1] / 5.2  # from hole to hole: 6 a row, 4 rows
    scallop = 2 * half[0] / 17
    deep = 1.0 if busy else 0.35  # how dark its holes are, and how uneven its colour

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, cx, cy, angle)
        px, py = px + 0.003 * look(uneven, x, y), py + 0.003 * look(uneven, y, x)
        upright = ramp(-0.03, 0.03, (np.abs(px) - half[0]) - (np.abs(py) - half[1]))  # 1 at the two upright edges
        d = box(px, py, half, 0.045)
        d = d - 0.007 * (np.cos(TURN * px / scallop) * (1 - upright) + np.cos(TURN * py / scallop) * upright)
        nearest_x = np.clip(np.floor(px / step[0]), -3, 2) + 0.5
        nearest_y = np.clip(np.floor(py / step[1]), -2, 1) + 0.5
        pit = inside(norm(px - nearest_x * step[0], py - nearest_y * step[1]) - 0.0125 * scale, 0.010)
        frame = np.exp(-(((d + 0.042) / 0.007) ** 2))
        rough, fine = look(crumb, px, py), look(pores, px, py)
        brown = 0.3 + baked + deep * 0.16 * look(browning, px, py) + 0.55 * ramp(-0.05, 0.0, d) + 0.10 * fine
        colour = mix((0.89, 0.71, 0.44), (0.66, 0.40, 0.18), np.clip(brown, 0, 1.2))
        colour = colour * (1 + 0.035 * rough - 0.10 * ramp(1.5, 2.5, fine))
        colour = mix(colour, (0.30, 0.17, 0.08), deep * 0.75 * pit)
        height = 0.016 * ramp(0.0, -0.035, d) + 0.007 * frame - 0.010 * pit + 0.0009 * rough + 0.0002 * fine
        return Layer(colour, height, inside(d, pixel), 0.03, axis=angle)

    return paint


def button(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """A horn button: four holes in a bowl, a raised rim, veins from cream to dark brown."""
    cx, cy = 0.5 + rng.uniform(-0.05, 0.05, 2)
    angle, radius, spread = rng.uniform(0, TURN), rng.uniform(0.37, 0.41), rng.uniform(0.081, 0.089)
    marble, fibre = noise(rng, 1, 9, 1.4), noise(rng, 2, 80, 1.0)
    bands, light = rng.uniform(1.3, 2.0), rng.uniform(0.85, 1.05)
    deep = 1.0 if busy else 0.4  # how much its veins differ
    tones = [0.0, 0.4, 0.75, 1.0], ([0.22, 0.46, 0.72, 0.90], [0.13, 0.29, 0.53, 0.79], [0.08, 0.16, 0.33, 0.60])

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, cx, cy, angle)
        r = norm(px, py)
        hole = norm(np.abs(px) - spread, np.abs(py) - spread) - 0.036
        warp = look(marble, px, py)
        streak = look(fibre, 0.4 * px + 0.04 * warp, 2.0 * py + 0.04 * warp)
        vein = 0.5 + 0.5 * np.sin(TURN * (bands * (px + 0.4 * py) + 0.36 * warp) + 0.35 * streak)
        tone = np.clip(0.48 + deep * (0.72 * vein - 0.36 + 0.07 * streak), 0, 1)
        bowl = ramp(0.175, 0.150, r)
        colour = light * np.stack([np.interp(tone, tones[0], channel) for channel in tones[1]])  # [3, H, W]
        colour = colour * (1 - 0.35 * ramp(0.010, -0.004, hole) - 0.12 * bowl)
        rim = ramp(radius - 0.095, radius - 0.055, r) * ramp(radius + 0.005, radius - 0.03, r)
        height = 0.020 * rim - 0.009 * bowl - 0.012 * ramp(0.014, 0.0, hole) + 0.0002 * streak
        return Layer(colour, height, inside(r - radius, pixel) * inside(-hole, pixel), 0.5, axis=angle)

    return paint


def washer(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """A steel washer with a ring of slanted teeth and a turned inner land."""
    cx, cy = 0.5 + rng.uniform(-0.04, 0.04, 2)
    outer, phase, fan = rng.uniform(0.39, 0.43), rng.uniform(0, TURN), rng.uniform(0, TURN)
    bore, root, teeth = 0.38 * outer, 0.62 * outer, 24
    deep = 1.0 if busy else 0.25  # how steep its teeth are
    turned, mottle, warm = noise(rng, 3, 120, 0.3), noise(rng, 2, 60, 0.9), rng.uniform(-0.015, 0.03)

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, cx, cy, 0.0)
        r, a = norm(px, py), np.arctan2(py, px)
        toothed = ramp(root - 0.004, root + 0.006, r) * ramp(outer - 0.002, outer - 0.014, r)
        saw = (a + phase) / TURN * teeth + 2.2 * (r - root) / (outer - root)
        saw = saw - np.floor(saw)
        tooth = np.where(saw < 0.8, saw / 0.8, (1 - saw) / 0.2)  # a long slope, and steep down
        marks = look(turned, 2.2 * r, a / TURN + phase) * (1 - toothed)  # of the lathe: fine across, long around
        groove = np.exp(-(((r - root + 0.012) / 0.006) ** 2))
        sheen = 1 + 0.13 * np.cos(2 * a + fan) + 0.07 * marks + 0.035 * look(mottle, px, py)
        sheen = sheen * (1 - deep * 0.30 * toothed * (1 - tooth) ** 2) * (1 - 0.25 * groove)
        colour = rgb((0.60 + warm, 0.61, 0.62 - warm)) * sheen
        edge = np.minimum(r - bore, outer - r)
        height = (
            0.010 * ramp(0.0, 0.014, edge) + deep * 0.011 * toothed * (tooth - 0.5) + 0.0006 * marks - 0.006 * groove
        )
        return Layer(colour, height, inside(-edge, pixel), 0.55, axis=phase)

    return paint


# The print on a capsule. No font, as fonts differ between machines.
PRINT = (
    "####...    #.#####",
    "#...#.    ##.#    ",
    "#...#.   #.#.#### ",
    "####..  #..#.    #",
    "#.#...  #####.   #",
    "#..#..     #.#   #",
    "#...#.     #. ### ",
)


def capsule(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """A capsule: the cap, with its locking ring, is pushed over the body, and both carry the print."""
    cx, cy = 0.5 + rng.uniform(-0.03, 0.03, 2)
    angle, joint = rng.uniform(0, TURN), rng.uniform(-0.01, 0.01)
    radius, straight = rng.uniform(0.170, 0.188), rng.uniform(0.25, 0.28)
    cap = rgb((0.10, 0.42, 0.45)) * rng.uniform(0.9, 1.12)
    body = rgb((0.88, 0.83, 0.70)) * rng.uniform(0.95, 1.03)
    grain = noise(rng, 2, 40, 1.0)
    bits = np.pad(np.array([[c == "#" for c in row] for row in PRINT], dtype=float), 1)  # an empty border

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, cx, cy, angle)
        from_axis = norm(px - np.clip(px, -straight, straight), py)
        is_body = inside(joint - px, 1.5 * pixel)
        own = radius * (1 - 0.045 * is_body)
        uneven = look(grain, px, py)
        ring = np.exp(-(((px + 0.05) / 0.008) ** 2))
        seam = np.exp(-(((px - joint - 0.006) / 0.006) ** 2))
        height = 0.62 * np.sqrt(np.maximum(own**2 - from_axis**2, 0) + 0.0008) - 0.004 * ring + 0.0002 * uneven
        colour = mix(cap, body, is_body) * (1 - 0.35 * seam + 0.015 * uneven)
        ink = _stamp(bits, (px + 0.215) / 0.21 + 0.5, py / 0.115 + 0.5)
        ink = ink + _stamp(bits, (px - 0.19) / 0.21 + 0.5, py / 0.115 + 0.5)
        colour = mix(colour, mix((0.92, 0.93, 0.90), (0.16, 0.20, 0.30), is_body), 0.9 * ink)
        return Layer(colour, height, inside(from_axis - own, pixel), 0.8, axis=angle)

    return paint


def _stamp(bits: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Ink of a bitmap with an empty border, spread over 0 to 1 both ways, its steps smoothed."""
    rows, columns = bits.shape
    u, v = np.clip(u, 0, 1) * (columns - 1), np.clip(v, 0, 1) * (rows - 1)
    left, top = np.minimum(u.astype(np.intp), columns - 2), np.minimum(v.astype(np.intp), rows - 2)
    u, v, flat, corner = u - left, v - top, bits.ravel(), top * columns + left
    upper = flat[corner] * (1 - u) + flat[corner + 1] * u
    lower = flat[corner + columns] * (1 - u) + flat[corner + columns + 1] * u
    return ramp(0.3, 0.7, upper * (1 - v) + lower * v)
