"""Surfaces that are nothing in particular: so that what is learned is regularity, not a list of materials."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .surfaces_laid import hexagon_distance


def colour_map(rng: Rng, t: Field) -> Field:
    """A field about N(0, 1) through two to four random colours."""
    count = int(rng.integers(2, 5))
    if N.chance(rng, 0.35):  # one hue, light to dark
        base = L.any_colour(rng)
        colours = np.stack([base * np.float32(w) for w in np.linspace(0.5, 1.3, count)])
    else:
        colours = np.stack([L.any_colour(rng) for _ in range(count)])
    x = np.clip((t + 2) / 4, 0, 1) * np.float32(255.99)
    stops = np.linspace(0, 1, count)
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, colours[:, c]) for c in range(3)], -1)
    return table.astype(np.float32)[x.astype(np.uint8)]


def fourier(rng: Rng, size: int) -> Field:
    """Noise of a random spectrum: a slope, bands, a direction."""
    fy, fx = N.frequencies(size)
    f = np.sqrt(fx * fx + fy * fy) + np.float32(1 / size)
    amplitude = f ** np.float32(-N.between(rng, 0, 2.2))
    if N.chance(rng, 0.6):  # one band
        middle = N.around(rng, 0.02, 0.35)
        amplitude = amplitude * np.exp(-((np.log(f / middle) / np.float32(N.between(rng, 0.15, 0.9))) ** 2))
    if N.chance(rng, 0.5):  # one or two directions
        angle, sharp = N.between(rng, 0, np.pi), N.around(rng, 0.5, 12)
        turns = N.pick(rng, [2, 4, 6])
        amplitude = amplitude * np.exp(np.float32(sharp) * (np.cos(turns * (np.arctan2(fy, fx) - angle)) - 1))
    t = N.from_spectrum(rng, size, amplitude.astype(np.float32))
    if N.chance(rng, 0.3):
        t = np.abs(t) * 2 - 1.5
    if N.chance(rng, 0.3):
        t = np.tanh(t * np.float32(N.around(rng, 1.5, 6))) * 1.5
    picture = colour_map(rng, t * np.float32(N.between(rng, 0.3, 1)))
    return L.finish(rng, L.lit(rng, picture, t, N.around(rng, 0.1, 2)) if N.chance(rng, 0.4) else picture)


def voronoi(rng: Rng, size: int) -> Field:
    """Flat cells in a few colours, outlined or not."""
    pitch = N.around(rng, 6, 34)
    u, v = N.view(rng, size, "free", bend=N.between(rng, 0, pitch * 0.3))
    squash = np.float32(N.around(rng, 0.4, 2.5))
    first, second, number = N.cells(rng, u / np.float32(pitch), v * squash / np.float32(pitch), N.between(rng, 0.3, 1))
    own = N.per_cell(rng, number) * 4 - 2
    if N.chance(rng, 0.4):
        own = np.round(own)
    if N.chance(rng, 0.3):
        own = own + first * np.float32(2)
    picture = colour_map(rng, own)
    outline = N.ramp(second - first, N.between(rng, 0.02, 0.2), 0) * np.float32(N.pick(rng, [0, 1, 1]))
    return L.finish(rng, L.mix(picture, L.any_colour(rng), outline))


def motif(rng: Rng, x: Field, y: Field) -> Field:
    """The signed distance (negative inside, unit size) of a random small figure at centred coordinates."""
    r, angle = N.polar(x, y)
    kind = int(rng.integers(8))
    if kind == 0:
        return r - 1
    if kind == 1:
        return np.maximum(np.abs(x), np.abs(y) * np.float32(N.between(rng, 1, 2.5))) - 1
    if kind == 2:  # cross
        arm = np.float32(N.between(rng, 0.2, 0.45))
        a, b = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(a - 1, b - arm), np.maximum(b - 1, a - arm))
    if kind == 3:  # star, flower
        points = int(rng.integers(3, 9))
        return r - (np.float32(0.7) + np.float32(0.3) * np.cos(points * angle))
    if kind == 4:  # ring
        return np.abs(r - np.float32(0.7)) - np.float32(N.between(rng, 0.12, 0.28))
    if kind == 5:  # regular polygon
        points = int(rng.integers(3, 7))
        part = np.float32(2 * np.pi / points)
        turn = angle - np.round(angle / part) * part
        return r * np.cos(turn) - np.float32(0.8)
    if kind == 6:  # lozenge
        return np.abs(x) + np.abs(y) * np.float32(N.between(rng, 1, 2.2)) - 1
    return np.abs(np.abs(x) - np.abs(y)) * np.float32(0.7) - np.float32(0.2) + np.maximum(r - 1, 0)  # x


def lattice(rng: Rng, size: int) -> Field:
    """One or two motifs in a square, staggered or hexagonal lattice, with jitter in place, size and colour."""
    pitch = N.around(rng, 8, 40)
    u, v = N.view(rng, size, bend=N.pick(rng, [0.0, 0.5, 2.0]))
    tall = pitch * N.between(rng, 0.7, 1.4)
    j = np.round(v / np.float32(tall))
    x = u / np.float32(pitch) + j * np.float32(N.pick(rng, [0.0, 0.5, 0.25]))
    i = np.round(x)
    number = N.tile_number(i, j)
    jitter = N.pick(rng, [0.0, 0.0, 0.04, 0.12])
    dx = (x - i) * np.float32(pitch) + (N.per_cell(rng, number) - 0.5) * np.float32(jitter * pitch)
    dy = v - j * np.float32(tall) + (N.per_cell(rng, number) - 0.5) * np.float32(jitter * pitch)
    radius = min(pitch, tall) * N.between(rng, 0.2, 0.46)
    if N.chance(rng, 0.3):  # every other one turned
        swap = (i + j) % 2 > 0.5
        dx, dy = np.where(swap, dy, dx), np.where(swap, -dx, dy)
    d = motif(rng, dx / np.float32(radius), dy / np.float32(radius)) * np.float32(radius)
    ground, figure = L.any_colour(rng), L.any_colour(rng)
    if abs(float(ground.mean() - figure.mean())) < 0.18:
        figure = L.apart(rng, ground, 0.2)
    ink = N.ramp(d, 0.8, -0.8)
    own = 1 + (N.per_cell(rng, number) - 0.5) * np.float32(N.pick(rng, [0.0, 0.1, 0.25]))
    picture = L.mix(L.solid(size, ground), figure * own[..., None], ink)
    picture = (
        picture * (1 + N.fbm(rng, size, N.around(rng, 1.5, 30), 3) * np.float32(N.between(rng, 0, 0.06)))[..., None]
    )
    if N.chance(rng, 0.4):
        picture = L.lit(rng, picture, N.ramp(d, 2, -2) * np.float32(N.pick(rng, [-1, 1])), N.around(rng, 0.4, 2), 0.3)
    return L.finish(rng, picture)


def fine_grey(rng: Rng, size: int) -> Field:
    """Low-contrast grey, all fine grain: cloth, ground steel, film, as inspection cameras see them."""
    shade = N.smooth(rng, size, N.around(rng, 1, 4)) * np.float32(N.around(rng, 0.01, 0.08))
    if N.chance(rng, 0.6):
        u, v = N.view(rng, size)
        k = np.float32(2 * np.pi / N.around(rng, 2.2, 7))
        wave = np.sin(u * k) + np.sin(v * k * np.float32(N.pick(rng, [0.5, 1.0, 1.0]))) * np.float32(rng.random())
        shade += wave * np.float32(N.around(rng, 0.01, 0.1))
    if N.chance(rng, 0.5):
        angle = N.between(rng, 0, np.pi)
        shade += N.fibres(rng, size, angle, N.around(rng, 5, 80), 0.6) * np.float32(N.around(rng, 0.01, 0.08))
    shade += N.smooth(rng, size, N.around(rng, 30, 120)) * np.float32(N.between(rng, 0, 0.06))
    return L.finish(rng, L.grey(rng, 0.15, 0.85, 0.01) * (1 + shade)[..., None])


def gratings(rng: Rng, size: int) -> Field:
    """A few plane waves, square or smooth: woven wire, moiré, ribbing without a name."""
    t = np.zeros((size, size), np.float32)
    start = N.between(rng, 0, np.pi)
    folds = int(rng.integers(1, 5))
    period = N.around(rng, 4, 30)
    for k in range(folds):
        u, _ = N.view(rng, size, "none", bend=N.pick(rng, [0.0, 0.0, 1.0]))
        _, v = N.view(rng, size, "none")
        c, s = np.float32(np.cos(start + np.pi * k / folds)), np.float32(np.sin(start + np.pi * k / folds))
        t += np.sin((c * u + s * v) * np.float32(2 * np.pi / period))
    if N.chance(rng, 0.5):
        t = np.tanh(t * np.float32(N.around(rng, 1, 6)))
    picture = colour_map(rng, t * np.float32(N.between(rng, 0.3, 1.2)))
    return L.finish(rng, L.lit(rng, picture, t, N.around(rng, 0.1, 1)) if N.chance(rng, 0.5) else picture)


def marblings(rng: Rng, size: int) -> Field:
    """Stripes and clouds bent by noise: agate, oil, camouflage."""
    wide = N.around(rng, 15, 120)
    t = N.fbm(rng, size, wide, 4)
    u, _ = N.view(rng, size, "free", bend=wide * 0.2)
    kind = int(rng.integers(3))
    if kind == 0:
        t = np.sin(t * np.float32(N.around(rng, 2, 9))) * 1.5
    elif kind == 1:
        t = np.sin(u * np.float32(2 * np.pi / N.around(rng, 8, 50)) + t) * 1.5
    else:
        t = np.round(t * np.float32(1.3))
    return L.finish(rng, colour_map(rng, t))


def labyrinth(rng: Rng, size: int) -> Field:
    """Spots or mazes of one width: band-passed noise cut at a level."""
    fy, fx = N.frequencies(size)
    f = np.sqrt(fx * fx + fy * fy)
    middle = 1 / N.around(rng, 5, 22)
    t = N.from_spectrum(rng, size, np.exp(-(((f - middle) / np.float32(middle * N.between(rng, 0.1, 0.35))) ** 2)))
    soft, level = N.between(rng, 0.1, 0.6), N.between(rng, -0.9, 0.9)
    a = L.any_colour(rng)
    ink = N.ramp(t, level - soft, level + soft)
    picture = L.mix(a, L.apart(rng, a, 0.1), ink) * (1 + 0.05 * N.fbm(rng, size, 3, 2))[..., None]
    return L.finish(rng, L.lit(rng, picture, ink, N.around(rng, 0.2, 2), 0.2))


def arcs(rng: Rng, size: int) -> Field:
    """Truchet tiles: quarter circles joined at random, like tracks and pipes."""
    pitch = N.around(rng, 9, 36)
    u, v = N.view(rng, size)
    x, y = u / np.float32(pitch), v / np.float32(pitch)
    i, j = np.floor(x), np.floor(y)
    x, y = x - i, y - j
    x = np.where(N.per_cell(rng, N.tile_number(i, j)) < 0.5, x, 1 - x)
    d = np.minimum(np.hypot(x, y), np.hypot(1 - x, 1 - y))
    d = np.abs(d - np.float32(0.5)) * np.float32(pitch)
    width = pitch * N.between(rng, 0.06, 0.25)
    a = L.any_colour(rng)
    picture = L.mix(a, L.apart(rng, a, 0.1), N.ramp(d, width + 0.7, width - 0.7))
    return L.finish(rng, L.lit(rng, picture, np.maximum(width - d, -1), N.between(rng, 0, 0.4), 0.2))


def scales(rng: Rng, size: int) -> Field:
    """Hexagons, domes or cups, close packed, with a gradient in each."""
    pitch = N.around(rng, 6, 30)
    u, v = N.view(rng, size, bend=N.pick(rng, [0.0, 1.0]))
    edge, i, j = hexagon_distance(u / np.float32(pitch), v / np.float32(pitch))
    dome = np.sqrt(np.clip(edge * 2, 0, 1)) * np.float32(N.pick(rng, [-1, 1]))
    own = N.per_cell(rng, N.tile_number(i, j)) - np.float32(0.5)
    colour = L.any_colour(rng)
    shade = 0.8 + 0.2 * dome + own * np.float32(N.between(rng, 0, 0.3))
    return L.finish(rng, L.lit(rng, colour * shade[..., None], dome, pitch * N.between(rng, 0.05, 0.3), 0.4))


ABSTRACT = {
    "random waves": fourier,
    "random mosaic": voronoi,
    "lattice of figures": lattice,
    "fine grey texture": fine_grey,
    "ribbed pattern": gratings,
    "swirled pattern": marblings,
    "spotted pattern": labyrinth,
    "curved tracks": arcs,
    "scaly pattern": scales,
}
