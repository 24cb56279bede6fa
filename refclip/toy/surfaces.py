"""Four surfaces: terrazzo, cork, herringbone parquet, knitted wool. Each function draws a piece, as in `objects`.

Calm, a surface has faint structure under uneven light and a fine grain; busy, its own structure is as striking as a
defect.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refclip.toy.camera import Layer
from refclip.toy.fields import TURN, cells, inside, look, mix, noise, posed, ramp, rgb, seeds
from refclip.toy.objects import Paint

STONES = np.array([(0.24, 0.24, 0.26), (0.93, 0.92, 0.89), (0.58, 0.30, 0.22), (0.71, 0.56, 0.36),
                   (0.36, 0.42, 0.40), (0.55, 0.55, 0.56)])  # fmt: skip

CLOUDS, GRAIN = (0.15, 0.22), (0.12, 0.17)  # of a calm surface: standard deviations, shares of the light


def worn(rng: np.random.Generator, busy: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray | float]:
    """Slow shades and a fine grain [H, W] on a calm surface; none on a busy one.

    They keep the calm surfaces from being too easy: a detector of whatever differs in colour from the rim, or of local
    contrast, meets shades and grain as well.
    """
    if busy:
        return lambda x, y: 1.0
    clouds, cloud = noise(rng, 1, 4, 0.8), rng.uniform(*CLOUDS)
    sand, grain = noise(rng, 30, 120, 0.3), rng.uniform(*GRAIN)
    return lambda x, y: 1 + cloud * look(clouds, x, y) + grain * look(sand, x, y)


def terrazzo(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """Chips of stone in polished cement, large ones and between them small ones."""
    angle, (ox, oy) = rng.uniform(0, TURN), rng.random(2)
    cement = rgb((0.78, 0.76, 0.72)) * rng.uniform(0.93, 1.05)
    sand, vein, wobble = noise(rng, 20, 120, 0.2), noise(rng, 3, 60, 1.0), noise(rng, 6, 40, 1.0)
    chips = [
        (n, share, thin, seeds(rng, n), rng.integers(0, len(STONES), n * n), *rng.random((3, n * n)))
        for n, share, thin in ((22, 0.45, 0.34), (9, 0.50, 0.26))
    ]
    stones = STONES if busy else STONES + 0.8 * (cement.ravel() - STONES)
    wear = worn(rng, busy)

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, ox, oy, angle)
        px, py = px + 0.003 * look(wobble, px, py), py + 0.003 * look(wobble, py, px)
        veined, fine = look(vein, px, py), look(sand, px, py)
        colour = cement * (1 + 0.03 * veined + 0.03 * fine)
        free, parts = np.ones_like(px), np.zeros(px.shape, dtype=np.intp)
        for n, share, thin, points, stone, lot, small, tone in chips:
            cell = cells(points, px, py)
            here = inside(thin * (0.6 + 0.9 * small[cell.number]) - cell.edge, 2 * n * pixel)
            here = here * (lot[cell.number] < share)
            shade = 0.9 + 0.2 * tone[cell.number] + 0.06 * veined + 0.03 * fine
            colour = mix(colour, stones.T[:, stone[cell.number]] * shade, here)
            parts = np.where(here > 0.5, 1 + cell.number + 1000 * (n == 9), parts)
            free = free * (1 - here)
        return Layer(colour * wear(x, y), 0.00025 * fine * free, np.ones_like(px), 0.25, parts, angle)

    return paint


def cork(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """Pressed granules, each of its own brown, with dark gaps and pores."""
    angle, (ox, oy), n = rng.uniform(0, TURN), rng.random(2), 17
    wobble, fine, pores = noise(rng, 6, 60, 1.2), noise(rng, 20, 120, 0.4), noise(rng, 12, 60, 0.5)
    points, tone, hue = seeds(rng, n), rng.beta(1.6, 1.6, n * n), rng.random(n * n)
    warm = rng.uniform(0.94, 1.05)
    deep, wear = 1.0 if busy else 0.3, worn(rng, busy)  # how much its granules differ, and its gaps show

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, ox, oy, angle)
        px, py = px + 0.0055 * look(wobble, px, py), py + 0.0055 * look(wobble, py, px)
        cell = cells(points, px, py)
        grain, pit = look(fine, px, py), ramp(1.7, 2.4, look(pores, px, py))
        gap = ramp(0.13, 0.0, cell.edge)
        light = warm * (0.64 + deep * (0.44 * tone[cell.number] - 0.22) + 0.045 * grain)
        colour = rgb((1.06, 0.86, 0.62)) * light
        colour = mix(colour, colour * rgb((0.84, 0.72, 0.62)), deep * hue[cell.number])
        colour = mix(colour, (0.18, 0.11, 0.07), deep * np.clip(0.5 * gap + 0.7 * pit, 0, 0.9))
        height = deep * (-0.004 * gap - 0.003 * pit) + 0.0004 * grain
        return Layer(colour * wear(x, y), height, np.ones_like(px), 0.0, cell.number, angle)

    return paint


def herringbone(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """Parquet: blocks four times as long as wide, laid in a zigzag."""
    angle = TURN / 8 * rng.integers(0, 4) + rng.uniform(-0.06, 0.06)
    (ox, oy), width, long = 64 + 8 * rng.random(2), rng.uniform(0.098, 0.112), 4
    grain, pores, swing = noise(rng, 2, 100, 0.7), noise(rng, 20, 120, 0.3), noise(rng, 2, 8, 1.0)
    tone, warm = rng.normal(size=1024), rng.uniform(0.94, 1.06)
    deep, wear = 1.0 if busy else 0.25, worn(rng, busy)  # how much its blocks differ, and its joints show

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, 0.5, 0.5, angle)
        u, v = px / width + ox, py / width + oy
        column, row = np.floor(u), np.floor(v)
        # along a row of squares, four belong to one lying block, and the next four to four standing ones
        place = (column - row) % (2 * long)
        lying = place < long
        left = np.where(lying, column - place, column)  # the block's first square
        top = np.where(lying, row, row - (2 * long - 1 - place))
        along = np.where(lying, u - left, v - top)  # 0 to 4
        across = np.where(lying, v - row, u - column)  # 0 to 1
        block = ((left * 37 + top * 101 + lying * 53) % 1024).astype(np.intp)
        edge = width * np.minimum(np.minimum(along, long - along), np.minimum(across, 1 - across))
        fx, fy = 0.10 * along * width + 0.137 * block, across * width * (0.9 + 0.2 * (block % 3)) + 0.311 * block
        rings = look(grain, fx + 0.01 * look(swing, 5 * fx, fy), fy)
        dots = ramp(1.0, 2.2, look(pores, 0.3 * along * width + 0.07 * block, across * width + 0.21 * block))
        light = 0.16 * np.clip(tone[block], -2, 2) + 0.09 * rings - 0.10 * dots
        colour = warm * rgb((0.66, 0.45, 0.27)) * (1 + deep * rgb((0.85, 1.0, 1.15)) * light)
        colour = mix(colour, (0.13, 0.08, 0.05), deep * 0.85 * ramp(0.0045, 0.0015, edge))
        height = deep * 0.003 * ramp(0.0, 0.008, edge) + 0.0002 * rings
        return Layer(colour * wear(x, y), height, np.ones_like(px), 0.18, block, angle)

    return paint


def knitted_wool(rng: np.random.Generator, pixel: float, busy: bool = False) -> Paint:
    """Stocking stitch: columns of V, each leg a thick yarn of twisted plies, three light rows in twelve."""
    angle, (ox, oy) = rng.uniform(-0.25, 0.25), 32 + rng.random(2)
    columns, rows, first = rng.uniform(10.5, 12.5), rng.uniform(14, 16), rng.integers(0, 12)
    stretch, fluff, blend = noise(rng, 1, 5, 1.2), noise(rng, 15, 120, 0.4), noise(rng, 3, 40, 0.6)
    wool = rgb(rng.uniform(0.9, 1.1) * np.array([0.62, 0.20, 0.20]) + rng.uniform(-0.03, 0.03, 3))
    light_wool = rgb((0.82, 0.76, 0.66)) * rng.uniform(0.94, 1.05) if busy else wool  # calm wool has no stripes
    deep, wear = 1.0 if busy else 0.5, worn(rng, busy)  # how much its legs stand out

    def paint(x: np.ndarray, y: np.ndarray) -> Layer:
        px, py = posed(x, y, 0.5, 0.5, angle)
        px, py = px + 0.008 * look(stretch, x, y), py + 0.008 * look(stretch, y, x)
        mottle, fuzz = look(blend, px, py), look(fluff, px, py)
        u = px * columns + ox
        column = np.floor(u)
        side = u - column - 0.5  # -0.5 to 0.5 across a V
        leg = np.abs(side)
        v = py * rows + oy - 1.5 * leg + 0.04 * mottle
        row = np.floor(v)
        across, along = 4 * leg - 1, 2 * (v - row) - 1  # -1 to 1 over a leg
        bulge = np.sqrt(np.clip(1 - across**2, 0, 1) * np.clip(1 - 0.9 * along**2, 0, 1))
        ply = np.sin(TURN * (along + 4.4 * leg + 0.15 * fuzz))
        light = (0.85 + deep * (0.62 * bulge - 0.43 + 0.07 * ply + 0.07 * fuzz)) * (1 + 0.05 * mottle)
        striped = ((row.astype(np.intp) + first) % 12 < 3).astype(float)
        height = deep * (0.016 * bulge + 0.0011 * ply * bulge + 0.0006 * fuzz)
        number = (64 * column + row).astype(np.intp)
        return Layer(mix(wool, light_wool, striped) * light * wear(x, y), height, np.ones_like(px), 0.0, number, angle)

    return paint
