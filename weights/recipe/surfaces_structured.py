"""Surfaces with large, strong structure: bonds, boards, seams, keys, ornaments, domes, cells; all flawless.

Each comes out in one of several renderers' manners (`relief`), its units darker or lighter at random (`shades`).
Heights and distances are in pixels; distances are negative inside.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from . import light as L
from . import noise as N
from . import outlines as O
from .noise import Field, Rng
from .surfaces_laid import hexagon_distance

Plan = tuple[float, Field, Field, Field, Field, Field, Field]
LETTERS = np.pad(O.GLYPHS, ((0, 0), (1, 1), (1, 1))).transpose(1, 0, 2).reshape(7, -1)  # five columns a letter


def relief(rng: Rng, picture: Field, height: Field, gloss: float = 0.4) -> Field:
    """The picture over its height as a lamp, a cel or a matt renderer shows it; hard shadows in some; finished."""
    height = height * N.around(rng, 0.6, 1.7)
    angle, gloss = N.between(rng, 0, 2 * np.pi), gloss * N.between(rng, 0, 1.4)
    kind = N.pick(rng, ["lamp", "lamp", "cel", "matt"])
    gx, gy = L.slopes(N.blur(height, 1 if kind == "cel" else 0.55))  # or edges on the slant glitter in dots
    facing = -(gx * float(np.cos(angle)) + gy * float(np.sin(angle)))
    shade = 1 - N.between(rng, 0.1, 0.35) * np.clip(N.blur(height, 2.5) - height, 0, 1.6)  # dark in the hollows
    shine = np.zeros_like(height)
    if kind == "lamp":
        upright = 1 / np.sqrt(1 + gx * gx + gy * gy)
        low, ambient = N.between(rng, 0.45, 0.85), N.between(rng, 0.25, 0.6)
        up = float(np.sqrt(1 - low * low))
        shade = shade * (ambient + (1 - ambient) * np.clip((facing * low + up) * upright / up, 0, 1.6))
        half = (facing * low + 1 + up) * upright / float(np.hypot(low, 1 + up))
        shine = np.clip(half, 0, 1) ** N.around(rng, 12, 90) * gloss
    elif kind == "cel":  # lit and dark flanks of one value each
        shade = shade * (1 - N.between(rng, 0.2, 0.55) * N.ramp(facing, -0.12, -0.35))
        shine = N.ramp(facing, 0.15, 0.4) * (0.2 + gloss) * 0.6
    else:
        shade = shade * (1 + N.between(rng, 0.05, 0.25) * np.tanh(facing * 1.5))
    if N.chance(rng, 0.45):
        shade = shade * (1 - N.between(rng, 0.25, 0.65) * cast(height, angle, N.between(rng, 0.3, 0.9)))
    picture = picture * np.clip(shade, 0.06, 2)[..., None]
    return L.finish(rng, picture + shine[..., None] * np.maximum(1 - picture, 0))


def cast(height: Field, angle: float, drop: float) -> Field:
    """1 where something toward `angle` stands in the light, which falls by `drop` a pixel."""
    reach, size = 8, height.shape[0]
    wide, over = np.pad(height, reach, mode="edge"), height.copy()
    for k in range(1, reach + 1):
        x, y = reach + round(np.cos(angle) * k), reach + round(np.sin(angle) * k)
        np.maximum(over, wide[y : y + size, x : x + size] - k * drop, out=over)
    return N.ramp(over - height, 0, 1.2)


def plan(rng: Rng, size: int, lo: float, hi: float, *, tall: float = 1, drop: float = 0, bend: float = 0.5) -> Plan:
    """Cells p = lo..hi pixels wide where the picture has 120, `tall` times as high, each column `drop` lower.

    Gives p, the pattern's own (u, v), pixels from the middle of each cell (a, b), its column and row (i, j).
    """
    p = max(N.around(rng, lo, hi) * size / 120, 3.0)
    u, v = N.view(rng, size, bend=bend)
    i, a = cell(u, p)
    j, b = cell(v + i * (drop * p * tall), p * tall)
    return p, u, v, a, b, i, j


def cell(t: Field, pitch: Field | float) -> tuple[Field, Field]:
    """(Number of the cell, pixels from its middle)."""
    i = np.floor(t / pitch)
    return i, t - (i + 0.5) * pitch


def ink(d: Field) -> Field:
    """How much of each pixel lies inside."""
    return np.clip(0.5 - d, 0, 1)


def dome(d: Field, width: float) -> Field:
    """0 at an outline, rounding up to 1 at `width` inside it."""
    return np.sqrt(1 - np.clip(1 + d / width, 0, 1) ** 2)


def stitches(across: Field, along: Field, length: float, thick: float, slant: float = 0) -> Field:
    """Distance to a row of stitches."""
    b = along - np.round(along / (length * 1.5)) * (length * 1.5)
    return np.hypot(across + slant * b, np.maximum(np.abs(b) - length / 2, 0)) - thick


def shades(rng: Rng, number: NDArray[np.int32]) -> Field:
    """A brightness for each unit: a little spread, and in some a share of much darker or lighter ones."""
    shade = 1 + N.between(rng, 0.02, 0.22) * (2 * N.per_cell(rng, number) - 1)
    odd = N.per_cell(rng, number) < N.between(rng, -0.2, 0.3)
    return np.where(odd, shade * N.around(rng, 0.4, 1.5), shade)


def stuff(rng: Rng, size: int, colour: Field, shade: Field | float = 1, grain: float = 0.06) -> Field:
    """A picture of plain material, with fine grain, clouds or the streaks of a brush."""
    kind, angle = int(rng.integers(3)), N.pick(rng, [0, np.pi / 2, N.between(rng, 0, 3)])
    if kind == 0:
        marks = N.fibres(rng, size, angle, N.around(rng, 10, 60), 0.6)
    else:
        marks = N.fbm(rng, size, N.around(rng, 1.2, 3) if kind == 1 else N.around(rng, 4, 40), 3)
    return colour * (shade * (1 + marks * N.between(rng, 0.1, 1) * grain))[..., None]


def often(rng: Rng, *limits: tuple[float, float]) -> Field:
    """A colour within these limits of hue, saturation and value; any colour at times."""
    return L.tone(rng, *limits) if N.chance(rng, 0.7) else L.any_colour(rng)


def brick_bond(rng: Rng, size: int) -> Field:
    """Bricks in English, header, stack or Flemish bond, some over-burnt; mortar raked, flush or proud."""
    (p, u, _, _, b, _, row), kind = plan(rng, size, 8, 30), int(rng.integers(4))
    odd, long = row % 2, 2 * p * N.between(rng, 1, 1.3)
    wide = [np.where(odd > 0, long, long / 2), long / 2, long, 1.5 * long][kind]
    column, a = cell(u + odd * [long / 4, long / 4, 0, long * 0.75][kind], wide)
    if kind == 3:  # stretcher and header in turn
        head = a > long / 4
        a, wide, column = a + np.where(head, -long / 2, long / 4), np.where(head, long / 2, long), 2 * column + head
    rough, number = N.fbm(rng, size, N.around(rng, 2, 8), 3, 0.6), N.tile_number(column, row)
    edge = np.minimum(wide / 2 - np.abs(a), p / 2 - np.abs(b)) + rough * N.between(rng, 0, 0.35)
    face = stuff(rng, size, often(rng, (0, 0.1), (0.2, 0.75), (0.35, 0.8)), shades(rng, number), 0.12)
    burnt = (N.per_cell(rng, number) < N.between(rng, -0.15, 0.35)) * N.between(rng, 0.5, 0.9)
    face = L.mix(face, L.tone(rng, (0.6, 1.05), (0.1, 0.4), (0.1, 0.3)), burnt)
    gap, mortar = p * N.between(rng, 0.04, 0.11), stuff(rng, size, L.grey(rng, 0.15, 0.92), 1, 0.12)
    height = N.ramp(edge, gap - 0.7, gap + N.around(rng, 0.8, 3)) * N.pick(rng, [3.5, 1.5, 0.4, -0.8]) + 0.2 * rough
    return relief(rng, L.mix(mortar, face, ink(gap - edge)), height, 0.15)


def floorboards(rng: Rng, size: int) -> Field:
    """Boards with grain that flows round knots, grooves between, nails at the ends of some."""
    p, _, v, a, _, i, _ = plan(rng, size, 14, 55, bend=0.3)
    v, long = v + N.white(rng, 512)[i.astype(np.int32) & 511] * 400, p * N.between(rng, 2.5, 7)
    (j, b), (k, c) = cell(v, long), cell(v, p * N.between(rng, 1, 3))
    own, knot = N.tile_number(i, j), N.tile_number(i, k)
    x, y = a - (N.per_cell(rng, knot) - 0.5) * p * 0.6, c - (N.per_cell(rng, knot) - 0.5) * p * 0.5
    r = np.hypot(x, y * N.between(rng, 0.4, 0.8)) / (p * (0.05 + 0.06 * N.per_cell(rng, knot)))
    r = np.where(N.per_cell(rng, knot) < N.between(rng, 0.05, 0.7), r, 99)
    depth = a + N.per_cell(rng, own) * 900 + N.smooth(rng, size, size * 0.4) * N.around(rng, 0.5, 4)
    depth = depth + p * 0.35 * np.exp(-((r / 2.2) ** 2))
    grain = N.streak(rng, depth, p * N.between(rng, 0.05, 0.15)) + 0.6 * N.streak(rng, depth, 1.3)
    light, groove = often(rng, (0.04, 0.12), (0.1, 0.65), (0.35, 0.95)), N.between(rng, 0.3, 1.5)
    picture = light * (shades(rng, own) * (1 - N.between(rng, 0.05, 0.2) * (1 + grain)))[..., None]
    picture = L.mix(picture, light * 0.4, N.ramp(r, 1.1, 0.7) * (0.75 + 0.25 * np.cos(r * 9)))
    edge = np.minimum(p / 2 - np.abs(a), long / 2 - np.abs(b))
    nail = O.disc(np.abs(a) - p * 0.3, long / 2 - np.abs(b) - p * 0.2, p * N.pick(rng, [0.05, -1]))
    picture = L.mix(L.mix(picture, L.grey(rng), ink(nail)), light * 0.15, ink(edge - groove) * N.between(rng, 0.5, 1))
    return relief(rng, picture, N.ramp(edge, 0, groove + N.around(rng, 0.7, 3)) * 1.6 + 0.06 * grain, 0.3)


def mossy_cobbles(rng: Rng, size: int) -> Field:
    """Setts in rows or arches, round-shouldered and of uneven widths; moss, sand or earth in the joints."""
    p, u, v, *_ = plan(rng, size, 9, 36, bend=1)
    wide = p * N.between(rng, 5, 10)
    arch = np.sin(u * (2 * np.pi / wide)) * wide * N.pick(rng, [0, N.between(rng, 0.03, 0.09)])
    row, b = cell(v + arch, p)
    x = u / (p * N.between(rng, 0.9, 1.6)) + N.white(rng, 512)[row.astype(np.int32) & 511] * 9
    shift, column = N.between(rng, 0, 0.4) * rng.random(N.WRAP**2, np.float32), np.floor(x)  # where each joint lies
    column = column - (x < column + shift[N.tile_number(column, row)])
    number, after = N.tile_number(column, row), N.tile_number(column + 1, row)
    side = np.minimum(x - column - shift[number], column + 1 + shift[after] - x) * p
    r, gap, tuft = p * N.between(rng, 0.2, 0.4), p * N.between(rng, 0.04, 0.1), N.fbm(rng, size, 3, 2)
    d = np.hypot(np.maximum(r - side, 0), np.maximum(r - p / 2 + np.abs(b), 0)) - r + gap
    top, colour = dome(d, r - gap), often(rng, (0, 0.15), (0, 0.4), (0.25, 0.8))
    joint = often(rng, (0.18, 0.33), (0.35, 0.8), (0.2, 0.55)) * (0.7 + 0.2 * tuft)[..., None]
    over = ink(-(d + p * N.between(rng, 0, 0.05) * (1 + 0.8 * N.smooth(rng, size, p)) + 0.3 * tuft))
    picture = L.mix(stuff(rng, size, colour, shades(rng, number) * (0.7 + 0.3 * top), 0.15), joint, over)
    return relief(rng, picture, top * p * 0.16 + over * tuft * 0.4, 0.25)


def tread_plate(rng: Rng, size: int) -> Field:
    """Groups of two to five raised bars, each group across its neighbours, bare ground about it."""
    p, _, _, a, b, i, j = plan(rng, size, 16, 50)
    swap, count = (i + j) % 2 > 0, int(rng.integers(2, max(3, min(6, p / 5))))
    a, b, step = np.where(swap, b, a), np.where(swap, a, b), p * N.between(rng, 0.6, 0.8) / count
    half, last = step * N.between(rng, 0.2, 0.34), (count - 1) / 2
    a = a - (np.clip(np.round(a / step + last), 0, count - 1) - last) * step
    d = O.box(a, b, half, p * N.between(rng, 0.3, 0.38), half)
    shade = 0.85 + N.between(rng, -0.15, 0.3) * ink(d)
    picture = stuff(rng, size, often(rng, (0, 1), (0, 0.1), (0.2, 0.85)), shade, 0.1)
    return relief(rng, picture, dome(d, half * N.between(rng, 0.4, 1)) * half * N.between(rng, 0.5, 1.3), 0.9)


def cloth(rng: Rng, u: Field, v: Field, kind: str) -> tuple[Field, Field]:
    """(Picture, height) of denim, leather or smooth cloth."""
    if kind == "denim":
        colour = often(rng, (0.56, 0.66), (0.2, 0.8), (0.15, 0.6))
        twill = np.sin((u + v * N.between(rng, 0.5, 1.2)) * (2 * np.pi / N.between(rng, 2.6, 4.5)))
        slub = N.ramp(twill + N.streak(rng, u, 1.2) + 0.6 * N.fbm(rng, len(u), 2, 2), 0, 2.5)
        return L.mix(colour, colour * 0.4 + 0.5, slub * N.between(rng, 0.3, 1)), 0.15 * twill
    if kind == "leather":
        pitch, colour = N.around(rng, 2.5, 6), often(rng, (0, 0.1), (0.1, 0.8), (0.1, 0.75))
        first, second, _ = N.cells(rng, u / pitch, v / pitch)
        grain = N.ramp(second - first, 0, 0.5)
        return colour * (0.85 + 0.15 * grain)[..., None], grain * N.between(rng, 0.1, 0.7)
    return stuff(rng, len(u), L.any_colour(rng), grain=0.1), np.zeros_like(u)


def sewn_seams(rng: Rng, size: int, kind: str) -> Field:
    """Cloth or leather lapped at double seams, the stitches in a thread of another colour, puckered along them."""
    _, u, v, a, *_ = plan(rng, size, 45, 150, bend=1.5)
    picture, height = cloth(rng, u, v, kind)
    lap, thick = N.between(rng, 2.5, 7) * size / 120, N.between(rng, 0.6, 1.2)
    d = np.abs(a) - lap
    pucker = np.cos(v * (2 * np.pi / N.between(rng, 5, 12)) + N.smooth(rng, size, 9)) * np.exp(-np.abs(d) / 4)
    height = height + N.ramp(d, 1, -1.5) * N.between(rng, 0.8, 2.5) + pucker * N.between(rng, 0, 0.7)
    row = np.abs(a) - lap * N.between(rng, 0.5, 0.7)
    s = stitches(row, v, N.between(rng, 3, 7), thick, N.pick(rng, [0, 0, 0.35]))
    picture = picture * (1 + N.between(rng, 0, 0.15) * pucker - 0.4 * N.ramp(np.abs(d), 1.2, 0.2))[..., None]
    return relief(rng, L.mix(picture, L.any_colour(rng), ink(s)), height + dome(s, thick) * 0.8, 0.3)


def quilted(rng: Rng, size: int) -> Field:
    """Padded cloth sewn in squares, lozenges, channels or waves; stitches and small folds along the lines."""
    (p, u, v, *_), kind = plan(rng, size, 14, 55, bend=1), int(rng.integers(4))
    picture, height = cloth(rng, u, v, N.pick(rng, ["smooth", "smooth", "leather", "denim"]))
    u, v = (u, v) if kind != 1 else (u + v * 0.7, u - v * 0.7)
    u = u + p * 0.2 * np.sin(v * (2 * np.pi / p)) * (kind == 3)
    a, b = N.fold(u, p), N.fold(v, p) if kind < 2 else np.full_like(v, p)
    length, thick, d = N.between(rng, 2.5, 5), N.between(rng, 0.5, 1), np.minimum(a, b)
    s = np.minimum(stitches(a, v, length, thick), stitches(b, u, length, thick))
    height = height + N.smooth(rng, size, 4) * np.exp(-d / (p * 0.12)) * N.between(rng, 0, 0.25)
    puff = (1 - np.exp(-d / (p * N.between(rng, 0.08, 0.25)))) * p * N.between(rng, 0.08, 0.2)
    picture = picture * (1 - N.between(rng, 0.15, 0.5) * N.ramp(d, 1.3, 0.2))[..., None]  # the line drawn in
    picture = L.mix(picture, L.any_colour(rng), ink(s) * N.chance(rng, 0.8))
    return relief(rng, picture, height + puff + dome(s, thick) * 0.5, 0.7)


def lace(rng: Rng, size: int) -> Field:
    """Flowers and scalloped cords on a net, over a ground of another lightness."""
    (p, u, v, a, b, *_), mesh = plan(rng, size, 22, 60, drop=0.5, bend=1), N.between(rng, 3.6, 7)
    net, (r, angle) = hexagon_distance(u / mesh, v / mesh)[0] * mesh - N.between(rng, 0.2, 0.5), N.polar(a / p, b / p)
    petals, inner = int(rng.integers(4, 10)), N.between(rng, 0.05, 0.1)
    d = (r - N.between(rng, 0.2, 0.28) - N.between(rng, 0.05, 0.15) * np.abs(np.cos(angle * petals / 2))) * p
    eyelet = O.disc(*O.around_centre(a, b, petals, p * N.between(rng, 0.17, 0.24)), p * 0.04)
    eyes = np.minimum(eyelet, (np.abs(r - inner) - inner / 3) * p)
    filled = np.minimum(ink(d), 1 - ink(eyes)) * (0.75 + 0.25 * np.sin(u * 2) * np.sin(v * 2))
    wave = N.fold(u + p * 0.15 * np.sin(v * (4 * np.pi / p)), p) - N.between(rng, 0.7, 1.6)
    cords = ink(np.minimum(np.minimum(np.abs(d), np.abs(eyes)) - N.between(rng, 0.5, 1), wave))
    thread, ground = np.maximum(np.maximum(ink(net) * (d > 0), filled), cords), L.any_colour(rng)
    picture = L.mix(stuff(rng, size, ground), L.apart(rng, ground, 0.3), thread)
    return relief(rng, picture, thread + cords * N.between(rng, 0, 1), 0.1)


def keyboard(rng: Rng, size: int) -> Field:
    """Rows of keys, each row shifted, some keys double: sculpted tops, legends, a few in another colour."""
    (p, u, _, _, b, _, row), shift = plan(rng, size, 15, 48, bend=0.05), N.pick(rng, [0.25, 0.5, 0])
    column, a = cell(u + row * shift * p, p)
    double = N.per_cell(rng, N.tile_number(np.floor(column / 2), row)) < N.between(rng, 0, 0.25)
    a, number = a + double * (column % 2 - 0.5) * p, N.tile_number(column - double * (column % 2), row)
    half, lift, rim = p * N.between(rng, 0.43, 0.48), p * N.between(rng, 0, 0.07), p * N.between(rng, 0.06, 0.14)
    d, wide = O.box(a, b, half + double * (p / 2), half, p * 0.1), half - rim + double * (p / 2)
    top = O.box(a, b + lift, wide, half - rim, p * N.between(rng, 0.03, 0.18))
    caps = stuff(rng, size, L.any_colour(rng), shades(rng, number) ** 0.3, 0.04)
    caps = L.mix(caps, L.any_colour(rng), (N.per_cell(rng, number) < N.between(rng, -0.1, 0.25)) * 1.0)
    scale = 5 / (p * N.between(rng, 0.2, 0.5))
    x, y = np.clip((a + p * 0.06) * scale + 2, 0, 4), np.clip((b + lift) * scale + 3, 0, 6)  # 0 is blank, as is the end
    legend = N.sample(LETTERS, np.floor(N.per_cell(rng, number) * len(O.GLYPHS)) * 5 + x, y)
    picture = L.mix(caps, L.apart(rng, caps[::9, ::9].mean((0, 1)), 0.35), N.ramp(legend, 0.25, 0.7))
    picture = picture * (1 - N.between(rng, 0, 0.35) * (1 - ink(top)))[..., None]
    height = dome(d, rim) * p * N.between(rng, 0.05, 0.14) + N.ramp(top, 1, -2) * N.pick(rng, [-0.7, 0.7])
    return relief(rng, L.mix(L.any_colour(rng) * N.pick(rng, [0.15, 0.4]), picture, ink(d)), height, 0.6)


def ornament_tiles(rng: Rng, size: int) -> Field:
    """Tiles with one fourfold ornament of rings, roses, lozenges and corners; painted, or laid in small stones."""
    p, u, v, a, b, *_ = plan(rng, size, 20, 60)
    parts = int(rng.integers(6, 12)) if N.chance(rng, 0.35) and p > 30 else 1
    small = p / parts
    (i, e), (j, f) = cell(u, small), cell(v, small)
    a, b = (a - e, b - f) if parts > 1 else (a, b)  # a stone has the colour of its middle
    x, y = np.abs(a) * (2 / p), np.abs(b) * (2 / p)
    (r, angle), corner, ground = N.polar(x, y), np.hypot(1 - x, 1 - y), L.any_colour(rng)
    colours, picture = [L.apart(rng, ground), L.any_colour(rng), ground], L.solid(size, ground)
    for _ in range(int(rng.integers(4, 8))):
        k, w = N.between(rng, 0.15, 0.95), N.between(rng, 0.04, 0.12)
        rose = r - k * (0.7 + 0.3 * np.cos(angle * N.pick(rng, [4, 8, 12])))
        figure = N.pick(rng, [r - k, rose, x + y - k, corner - k, np.maximum(x, y) - k])
        figure = np.abs(figure) - w if N.chance(rng, 0.5) else figure
        picture = L.mix(picture, N.pick(rng, colours), ink(figure * p / 2))
    edge, gap = small / 2 - np.maximum(np.abs(e), np.abs(f)), N.between(rng, 0, 1.1)
    picture = stuff(rng, size, picture, shades(rng, N.tile_number(i, j)) ** 0.5)
    picture = L.mix(picture, L.grey(rng, 0.1, 0.9), ink(edge - gap))
    return relief(rng, picture, N.ramp(edge, 0, gap + N.around(rng, 0.7, 3)) * 1.5, 0.7)


def wallpaper(rng: Rng, size: int) -> Field:
    """Half-drop rows of a mirrored sprig of veined leaves, on a plain or striped ground, flat or embossed."""
    p, _, _, a, b, *_ = plan(rng, size, 18, 60, tall=N.between(rng, 1, 1.6), drop=0.5)
    x, y, ground, height = np.abs(a) / p, b / p, L.any_colour(rng), np.zeros_like(a)
    colours = [L.apart(rng, ground, N.between(rng, 0.08, 0.4)), L.any_colour(rng)]
    stripes = (x < 0.25) * N.pick(rng, [0, N.between(rng, 0, 0.4)])
    picture = stuff(rng, size, L.mix(ground, L.any_colour(rng), stripes))
    for k in range(int(rng.integers(5, 10))):
        turn, long = N.between(rng, -1.5, 1.2), N.between(rng, 0.09, 0.22)
        c, s, wide = float(np.cos(turn)), float(np.sin(turn)), long * N.between(rng, 0.2, 0.6)
        q, r = x - long * c, y - N.between(rng, -0.4, 0.4) - long * s
        along, across = q * c + r * s, np.abs(r * c - q * s)
        leaf = ink((across - wide * (1 - (along / long) ** 2)) * p)
        picture = L.mix(picture, colours[k % 3 // 2], leaf * (1 - 0.5 * ink((across - 0.006) * p)))
        height = np.maximum(height, leaf)
    return relief(rng, picture, height * N.pick(rng, [0, 0.3, 1.2]), 0.4)


def ropes(rng: Rng, size: int) -> Field:
    """Twisted or braided ropes side by side, in some a tracer strand of another colour."""
    p, _, v, a, _, i, _ = plan(rng, size, 8, 36, bend=1.5)
    x, step = np.clip(a * (2 / p), -1, 1), p * N.between(rng, 0.3, 0.8)
    lean = np.arcsin(x * 0.97) * N.between(rng, 0.3, 0.8) * N.pick(rng, [1, -1])
    phase, back = v / step + lean, v / step - lean + 0.5
    if N.chance(rng, 0.35):  # braided
        phase = np.where((np.floor(phase) + np.floor(back)) % 2 > 0, phase, back)
    strand, w = cell(phase, 1)
    bump, body = np.sqrt(np.maximum(1 - 4 * w * w, 0)), np.sqrt(np.maximum(1 - x * x, 0))
    hair = N.streak(rng, phase * 9 + i * 50 + 0.02 * v, 1.5) * N.between(rng, 0, 0.12)
    shade = shades(rng, N.tile_number(i, i * 0)) * (0.35 + 0.65 * body) * (0.6 + 0.4 * bump) + hair * body
    tracer = (strand % int(rng.integers(2, 5)) == 0) * N.pick(rng, [0, 1, 1])
    colour = L.mix(often(rng, (0.06, 0.13), (0.15, 0.6), (0.4, 0.95)), L.any_colour(rng), tracer)
    return relief(rng, colour * shade[..., None], (body * 0.3 + bump * N.between(rng, 0.05, 0.15)) * p, 0.6)


def bubble_wrap(rng: Rng, size: int) -> Field:
    """Clear domes in close rows over a plain or striped ground, a window mirrored in each."""
    p, u, _, a, b, *_ = plan(rng, size, 8, 40, tall=1.155, drop=0.5)
    r, ground, turn = p * N.between(rng, 0.36, 0.47), L.any_colour(rng), N.between(rng, 0, 2 * np.pi)
    d, c, s = O.disc(a, b, r), float(np.cos(turn)), float(np.sin(turn))
    seen, toward = u + ink(d) * a * N.between(rng, -0.6, 0.6), (a * c + b * s) / r  # bent by the dome
    under = L.mix(ground, L.near(rng, ground, 0.3), ink(N.fold(seen, 60) - N.pick(rng, [-1, 8, 15])))
    shade = 1 - ink(d) * N.between(rng, 0, 0.4) * toward - N.between(rng, 0.1, 0.5) * ink(np.abs(d) - 0.8)
    window = O.box(a - r * 0.45 * c, b - r * 0.45 * s, r * N.between(rng, 0.1, 0.25), r * 0.2, r * 0.06)
    glint = np.maximum(ink(window), N.ramp(np.abs(d / r + 0.2), 0.12, 0) * np.clip(-toward, 0, 1) * 0.7)
    picture = L.mix(under * shade[..., None], np.ones(3, np.float32), glint * N.between(rng, 0.4, 1))
    return relief(rng, picture, dome(d, r) * r * N.between(rng, 0.1, 0.4), 0.9)


def honeycomb(rng: Rng, size: int) -> Field:
    """Deep six-sided cells between waxen or metal walls, some cells filled or capped."""
    p, u, v, *_ = plan(rng, size, 9, 36, bend=0.8)
    (edge, i, j), wall = hexagon_distance(u / p, v / p), p * N.between(rng, 0.04, 0.1)
    number, d, colour = N.tile_number(i, j), edge * p, often(rng, (0.07, 0.14), (0.4, 0.9), (0.5, 0.95))
    filled = (N.per_cell(rng, number) < N.between(rng, -0.2, 0.8)) * ink(wall - d)
    deep = stuff(rng, size, colour * N.between(rng, 0.1, 0.45), shades(rng, number) * N.ramp(d, p * 0.6, 0))
    picture = L.mix(deep, stuff(rng, size, L.near(rng, colour, 0.15), shades(rng, number)), filled * 0.9)
    picture = L.mix(picture, np.clip(colour * 1.2, 0, 1), ink(d - wall))
    height = np.maximum(N.ramp(d, wall + 1, wall - 1), filled * (0.3 + 0.5 * N.ramp(d, wall, p * 0.4))) * p * 0.12
    return relief(rng, picture, height, 0.8)


STRUCTURED: dict[str, Callable[[Rng, int], Field]] = {
    "brick bond": brick_bond,
    "floorboards": floorboards,
    "mossy cobbles": mossy_cobbles,
    "tread plate": tread_plate,
    "denim seam": partial(sewn_seams, kind="denim"),
    "leather seam": partial(sewn_seams, kind="leather"),
    "quilted cloth": quilted,
    "lace": lace,
    "keyboard": keyboard,
    "ornament tiles": ornament_tiles,
    "wallpaper": wallpaper,
    "ropes": ropes,
    "bubble wrap": bubble_wrap,
    "honeycomb": honeycomb,
}
