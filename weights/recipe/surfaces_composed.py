"""Surfaces put together at random: strewn figures, reliefs, patches of several materials, prints.

Windows of a few patches see pieces of these and nothing else. A detector that has met little flawless clutter takes
every edge for damage; here clutter is flawless, as long as all of it is of one kind.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .surfaces_abstract import colour_map, motif

Surface = Callable[[Rng, int], Field]


def strewn(rng: Rng, size: int, pitch: float, share: float) -> tuple[Field, Field]:
    """(Signed distance in pixels to figures of one kind, a random number of each): one in `share` of the cells.

    Each lies at a random place of its cell, turned and sized anew, so that no lattice is seen.
    """
    u, v = N.view(rng, size, "free", bend=pitch * 0.2)
    x, y = u / np.float32(pitch), v / np.float32(pitch)
    i, j = np.floor(x), np.floor(y)
    number = N.tile_number(i, j)
    radius = 0.12 + 0.26 * N.per_cell(rng, number)  # of the pitch
    slack = 0.48 - radius
    dx = x - i - 0.5 - (2 * N.per_cell(rng, number) - 1) * slack
    dy = y - j - 0.5 - (2 * N.per_cell(rng, number) - 1) * slack
    angle = N.per_cell(rng, number) * np.float32(2 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    d = motif(rng, (c * dx + s * dy) / radius, (c * dy - s * dx) / radius) * radius * np.float32(pitch)
    own = N.per_cell(rng, number)
    return np.where(N.per_cell(rng, number) < share, d, np.float32(pitch)).astype(np.float32), own


def random_figures(rng: Rng, size: int) -> Field:
    """Figures of one to three kinds strewn over a ground: flakes, confetti, berries, rivets out of line."""
    ground = L.any_colour(rng)
    picture = L.solid(size, ground) * (1 + N.fbm(rng, size, N.around(rng, 2, 40), 3)[..., None] * np.float32(0.04))
    height = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        d, own = strewn(rng, size, N.around(rng, 6, 34), N.between(rng, 0.4, 1))
        a = L.apart(rng, ground, 0.12)
        b = L.near(rng, a, 0.15) if N.chance(rng, 0.7) else L.any_colour(rng)
        soft = N.around(rng, 0.4, 1.5)
        ink = N.ramp(d, soft, -soft)
        picture = L.mix(picture, L.mix(a, b, own), ink)
        height = height + N.ramp(d, 1.5, -1.5) * np.float32(N.pick(rng, [-1, 0, 1]))
    return L.finish(rng, L.lit(rng, picture, height, N.around(rng, 0.2, 1.5), N.between(rng, 0, 0.5)))


def random_relief(rng: Rng, size: int) -> Field:
    """One material, all its structure in the height: knurled, quilted, embossed, turned, cast."""
    height = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        kind, pitch = int(rng.integers(6)), N.around(rng, 5, 36)
        u, v = N.view(rng, size, bend=N.pick(rng, [0.0, 0.5, 2.0]))
        if kind == 0:  # ribs, round or sharp
            wave = np.sin(u * np.float32(2 * np.pi / pitch))
            part = np.abs(wave) if N.chance(rng, 0.5) else np.tanh(wave * np.float32(N.around(rng, 0.5, 5)))
        elif kind == 1:  # quilts
            k = np.float32(np.pi / pitch)
            part = np.abs(np.sin(u * k) * np.sin(v * k)) ** np.float32(N.around(rng, 0.3, 1.5))
        elif kind == 2:
            d, _ = strewn(rng, size, pitch, N.between(rng, 0.5, 1))
            part = N.ramp(d, 1.5, -2)
        elif kind == 3:  # pebbled
            first, second, _ = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch), N.between(rng, 0.2, 0.9))
            part = N.ramp(second - first, 0, 0.3) if N.chance(rng, 0.5) else 1 - first
        elif kind == 4:  # rings about a point, often outside
            x, y = N.centred(size)
            r = np.hypot(x - np.float32(rng.normal(0, size / 2)), y - np.float32(rng.normal(0, size / 2)))
            part = N.streak(rng, r, pitch / 4) if N.chance(rng, 0.4) else np.sin(r * np.float32(2 * np.pi / pitch))
        else:  # noise of one width, thresholded or not: hammered, orange peel
            part = N.smooth(rng, size, pitch / 2)
            part = np.tanh(part * 3) if N.chance(rng, 0.5) else part
        height = height + part * np.float32(N.around(rng, 0.3, 1))
    base = L.any_colour(rng) * (1 + N.fbm(rng, size, N.around(rng, 1.5, 40), 3)[..., None] * np.float32(0.05))
    if N.chance(rng, 0.3):  # darker in the depths
        base = base * (0.75 + 0.25 * N.ramp(height, float(height.min()), float(height.max()) + 1e-3))[..., None]
    return L.finish(rng, L.lit(rng, base, height, N.around(rng, 0.6, 4), N.between(rng, 0, 0.8)))


def random_patchwork(rng: Rng, size: int, surfaces: list[Surface]) -> Field:
    """Two or three materials side by side, joined by a seam, a step or nothing: panels, inlays, borders."""
    picture = N.pick(rng, surfaces)(rng, size)
    for _ in range(int(rng.integers(1, 3))):
        kind, pitch = int(rng.integers(5)), N.around(rng, 24, 110)
        u, v = N.view(rng, size)
        if kind == 0:  # one straight edge
            x, y = N.centred(size)
            angle = N.between(rng, 0, 2 * np.pi)
            d = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + np.float32(rng.normal(0, size / 5))
        elif kind == 1:  # stripes
            d = N.fold(u, pitch) - np.float32(pitch * N.between(rng, 0.08, 0.3))
        elif kind == 2:  # chequers
            d = np.where((np.floor(u / np.float32(pitch)) + np.floor(v / np.float32(pitch))) % 2 > 0.5, -1.0, 1.0)
            d = d * np.minimum(N.fold(u, pitch), N.fold(v, pitch))
        elif kind == 3:  # frames
            d = np.minimum(N.fold(u, pitch), N.fold(v, pitch)) - np.float32(pitch * N.between(rng, 0.05, 0.2))
        else:
            d, _ = strewn(rng, size, pitch, 1.0)
        inlay = N.pick(rng, surfaces)(rng, size)
        picture = L.mix(picture, inlay, N.ramp(d, 0.7, -0.7))
        if N.chance(rng, 0.5):  # a seam
            seam = N.ramp(np.abs(d), N.around(rng, 0.8, 2.5), 0.3)
            picture = L.mix(picture, L.any_colour(rng), seam * np.float32(N.between(rng, 0.3, 1)))
        if N.chance(rng, 0.5):  # a step
            picture = L.lit(rng, picture, N.ramp(d, 1.5, -1.5), N.around(rng, 0.4, 2), 0.2)
    return L.finish(rng, picture)


def random_print(rng: Rng, size: int, things: np.ndarray) -> Field:
    """Small pictures printed in rows: wrapping paper, wallpaper. `things` [n, 128, 128, 4] uint8, straight alpha."""
    side = int(N.around(rng, 14, 44))
    count = int(rng.integers(1, 4))
    ground, ink = L.any_colour(rng), L.any_colour(rng)
    stamps = []
    for i in rng.integers(len(things), size=count):
        stamp = (
            Image.fromarray(things[i]).convert("RGBa").resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2)
        )
        stamps.append(np.asarray(stamp.rotate(N.between(rng, 0, 360) if N.chance(rng, 0.5) else 0), np.float32) / 255)
    one_colour = N.chance(rng, 0.35)
    step = side * N.between(rng, 1.0, 1.5)
    across = int(size / step) + 3
    layer = np.zeros((size + 4 * side, size + 4 * side, 4), np.float32)
    start = rng.uniform(0, side, 2)
    shift = N.pick(rng, [0.0, 0.5, 0.33])
    for row in range(across):
        for column in range(across):
            y, x = int(start[0] + row * step), int(start[1] + (column + shift * (row % 2)) * step)
            if max(x, y) < size + 2 * side:
                layer[y : y + side, x : x + side] = stamps[(row + column) % count]
    layer = layer[side : side + size, side : side + size]
    alpha = layer[..., 3:]
    colours = ink * alpha if one_colour else layer[..., :3]
    picture = colours * np.float32(N.between(rng, 0.6, 1)) + ground * (1 - alpha)
    return L.finish(rng, picture * (1 + N.fbm(rng, size, N.around(rng, 1.5, 30), 3)[..., None] * np.float32(0.05)))


def random_gradient(rng: Rng, size: int) -> Field:
    """Noise of two scales in a few colours, with the light of neither: clouds, patina, dyed cloth."""
    t = N.fbm(rng, size, N.around(rng, 20, 200), int(rng.integers(2, 6)), N.between(rng, 0.3, 0.8))
    t = t + N.fbm(rng, size, N.around(rng, 2, 12), 2) * np.float32(N.between(rng, 0, 0.5))
    return L.finish(rng, colour_map(rng, t * np.float32(N.between(rng, 0.2, 0.8))))


COMPOSED: dict[str, Surface] = {
    "random figures": random_figures,
    "random relief": random_relief,
    "random gradient": random_gradient,
}
