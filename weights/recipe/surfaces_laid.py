"""Surfaces laid out in a repeated plan: tiles, bricks, shingles, plates, boards."""

import numpy as np
from numpy.typing import NDArray

from . import light as L
from . import noise as N
from .noise import Field, Rng


def bond(u: Field, v: Field, block: tuple[float, float], shift: float) -> tuple[Field, NDArray[np.int32]]:
    """(Distance in pixels to the nearest edge of its block, number of the block): rows of blocks, each row shifted."""
    wide, tall = block
    row = np.floor(v / np.float32(tall))
    x = u / np.float32(wide) + row * np.float32(shift)
    column = np.floor(x)
    px, py = (x - column) * np.float32(wide), v - row * np.float32(tall)
    edge = np.minimum(np.minimum(px, np.float32(wide) - px), np.minimum(py, np.float32(tall) - py))
    return edge, N.tile_number(column, row)


def ceramic_tile(rng: Rng, size: int) -> Field:
    """Glazed or stone tiles with grout between, plain or two-coloured."""
    u, v = N.view(rng, size)
    wide = N.around(rng, 18, 110)
    tall = wide * N.pick(rng, [1.0, 1.0, 0.5, 0.35])
    edge, number = bond(u, v, (wide, tall), N.pick(rng, [0.0, 0.0, 0.5]))
    colour, grout = L.any_colour(rng), L.grey(rng, 0.2, 0.9)
    own = N.per_cell(rng, number)
    other = L.near(rng, colour, N.between(rng, 0.01, 0.12)) if N.chance(rng, 0.75) else L.any_colour(rng)
    picture = L.mix(colour, other, own if N.chance(rng, 0.6) else np.round(own))
    picture = picture * (1 + N.fbm(rng, size, N.around(rng, 4, 50), 4) * np.float32(N.between(rng, 0, 0.12)))[..., None]
    gap, bevel = N.around(rng, 0.6, 3), N.around(rng, 1, 4)
    inside = N.ramp(edge, gap - 0.6, gap + 0.6)
    joint = grout * (1 + 0.1 * N.smooth(rng, size, 1.3))[..., None]
    picture = L.mix(joint, picture, inside)
    return L.finish(rng, L.lit(rng, picture, N.ramp(edge, 0, gap + bevel), 1.5, N.between(rng, 0, 0.7)))


def mosaic(rng: Rng, size: int) -> Field:
    """Small stones or tesserae, each its own shade of a few colours."""
    pitch = N.around(rng, 5, 16)
    u, v = N.view(rng, size, bend=1)
    first, second, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch), N.between(rng, 0, 0.5))
    own = N.per_cell(rng, number)
    a, b = L.any_colour(rng), L.any_colour(rng)
    picture = L.mix(a, b, np.round(own * 3) / 3) * (0.85 + 0.3 * N.per_cell(rng, number))[..., None]
    inside = N.ramp(second - first, 0.04, 0.22)
    return L.finish(rng, L.lit(rng, L.mix(L.grey(rng), picture, inside), inside, pitch * 0.1, 0.3))


def brick_wall(rng: Rng, size: int) -> Field:
    """Bricks in running bond, mortar sunk between."""
    colour = L.tone(rng, (0.0, 0.08), (0.3, 0.75), (0.3, 0.75)) if N.chance(rng, 0.75) else L.any_colour(rng)
    tall = N.around(rng, 9, 36)
    u, v = N.view(rng, size, "none" if N.chance(rng, 0.7) else "square", bend=0.6)
    edge, number = bond(u, v, (tall * N.between(rng, 2, 3.4), tall), N.pick(rng, [0.5, 0.5, 0.33]))
    own = N.per_cell(rng, number)
    rough = N.fbm(rng, size, N.around(rng, 3, 9), 3, 0.6)
    edge = edge + rough * np.float32(N.between(rng, 0, 0.3))
    gap = tall * N.between(rng, 0.05, 0.12)
    inside = N.ramp(edge, gap - 0.7, gap + 0.7)
    face = L.mix(colour, L.near(rng, colour, 0.2), own) * (1 + 0.09 * rough)[..., None]
    mortar = L.grey(rng, 0.35, 0.9) * (1 + 0.08 * N.smooth(rng, size, 1.3))[..., None]
    height = inside + 0.12 * rough
    return L.finish(rng, L.lit(rng, L.mix(mortar, face, inside), height, N.around(rng, 0.5, 1.5)))


def stone_wall(rng: Rng, size: int) -> Field:
    """Rubble or cut stones of many sizes."""
    pitch = N.around(rng, 16, 50)
    u, v = N.view(rng, size, "none", bend=pitch * 0.06)
    flat = np.float32(N.between(rng, 1, 2))
    first, second, number = N.cells(rng, u / np.float32(pitch) / flat, v / np.float32(pitch), N.between(rng, 0.5, 0.9))
    rough = N.fbm(rng, size, pitch * 0.5, 5, 0.6)
    edge = second - first + 0.02 * rough
    inside = N.ramp(edge, 0.03, 0.14)
    colour = L.tone(rng, (0.03, 0.15), (0, 0.35), (0.35, 0.8))
    face = L.mix(L.near(rng, colour, 0.1), L.near(rng, colour, 0.2), N.per_cell(rng, number))
    face = face * (1 + 0.1 * rough)[..., None]
    height = N.ramp(edge, 0, 0.35) * 2 + 0.3 * rough
    return L.finish(rng, L.lit(rng, L.mix(L.grey(rng, 0.1, 0.6), face, inside), height, pitch * 0.04))


def shingles(rng: Rng, size: int) -> Field:
    """Roof tiles or slates overlapping downward: square, round or pointed ends."""
    tall = N.around(rng, 10, 34)
    wide = tall * N.between(rng, 0.6, 1.6)
    u, v = N.view(rng, size, "none", bend=0.5)
    end = pick_end(rng)
    height = np.full((size, size), -9, np.float32)
    own = np.zeros((size, size), np.float32)
    for k in (0, 1):  # the row's own shingle, then the one above that hangs over it
        row = np.floor(v / np.float32(tall)) - k
        x = u / np.float32(wide) + 0.5 * (row % 2)
        column = np.floor(x)
        px = 2 * np.abs(x - column - np.float32(0.5))
        py = v / np.float32(tall) - row  # 0 at the row's top, beyond 1 where it hangs over
        reach = 1 + np.float32(0.45) * (1 - px**end)
        there = (py < reach) & (px < 0.95)
        h = py * np.float32(1.0) + k * np.float32(0.3)
        here = there & (h > height) if k else px < 0.95
        height = np.where(here, h, height)
        own = np.where(here, N.per_cell(rng, N.tile_number(column, row)), own)
    height = np.maximum(height, -0.5)
    colour = L.tone(rng, (0, 0.1), (0.1, 0.7), (0.2, 0.7)) if N.chance(rng, 0.6) else L.any_colour(rng)
    shade = 0.55 + 0.25 * own + 0.25 * height + 0.07 * N.fbm(rng, size, 5, 3)
    return L.finish(rng, L.lit(rng, colour * shade[..., None], N.blur(height, 0.6), tall * 0.08))


def pick_end(rng: Rng) -> float:
    """How a shingle ends: 1 pointed, 2 round, 12 nearly square."""
    return N.pick(rng, [1.0, 2.0, 4.0, 12.0])


def hexagon_distance(u: Field, v: Field) -> tuple[Field, Field, Field]:
    """(Distance to the edge in units of the pitch, column, row) in a lattice of unit hexagons."""
    tall = np.float32(np.sqrt(3))
    best = None
    for shift in (0.0, 0.5):
        i, j = np.round(u - shift), np.round((v / tall) - shift)
        du, dv = np.abs(u - shift - i), np.abs(v - (j + shift) * tall)
        reach = np.maximum(du, du * np.float32(0.5) + dv * (tall / 2))
        number = (i, 2 * j + (shift > 0))
        if best is None:
            best = (reach, *number)
        else:
            closer = reach < best[0]
            best = tuple(np.where(closer, a, b) for a, b in zip((reach, *number), best, strict=True))
    assert best is not None
    return np.float32(0.5) - best[0], best[1], best[2]


def hexagon_tiles(rng: Rng, size: int) -> Field:
    """Hexagonal paving, tiles or honeycomb."""
    pitch = N.around(rng, 8, 45)
    u, v = N.view(rng, size, bend=0.5)
    edge, i, j = hexagon_distance(u / np.float32(pitch), v / np.float32(pitch))
    edge = edge * np.float32(pitch)
    gap = pitch * N.between(rng, 0.03, 0.2)
    colour = L.any_colour(rng)
    own = N.per_cell(rng, N.tile_number(i, j))
    face = L.mix(colour, L.near(rng, colour, N.between(rng, 0, 0.25)), own)
    face = face * (1 + 0.06 * N.fbm(rng, size, 8))[..., None]
    inside = N.ramp(edge, gap - 0.7, gap + 0.7)
    height = inside * np.float32(N.pick(rng, [-1.0, 1.0]))
    return L.finish(rng, L.lit(rng, L.mix(L.apart(rng, colour, 0.15), face, inside), height, N.around(rng, 0.3, 1.5)))


def chequered(rng: Rng, size: int) -> Field:
    """Squares of two colours."""
    pitch = N.around(rng, 5, 45)
    u, v = N.view(rng, size, bend=N.around(rng, 0.1, 2))
    a = L.any_colour(rng)
    k = np.float32(np.pi / pitch)
    t = np.sin(u * k) * np.sin(v * k) * np.float32(pitch / np.pi)
    picture = L.mix(a, L.apart(rng, a), N.ramp(t, -0.6, 0.6))
    grain = N.smooth(rng, size, N.around(rng, 1, 20)) * np.float32(N.between(rng, 0, 0.06))
    return L.finish(rng, picture * (1 + grain)[..., None])


def perforated(rng: Rng, size: int) -> Field:
    """Sheet with round, square or slotted holes."""
    pitch = N.around(rng, 7, 34)
    u, v = N.view(rng, size)
    metal = L.grey(rng, 0.35, 0.9) if N.chance(rng, 0.7) else L.any_colour(rng)
    if N.chance(rng, 0.5):
        row = np.round(v / np.float32(pitch))
        u = u + row * np.float32(pitch * 0.5)
    a, b = N.fold(u, pitch), N.fold(v, pitch)
    radius = pitch * N.between(rng, 0.15, 0.38)
    kind = int(rng.integers(3))
    slot = np.float32(radius * 0.6)
    d = [np.hypot(a, b), np.maximum(a, b), np.hypot(np.maximum(a - slot, 0), b * np.float32(1.5))][kind]
    hole = N.ramp(d, radius + 0.7, radius - 0.7)
    behind = L.apart(rng, metal, 0.2) if N.chance(rng, 0.3) else L.grey(rng, 0.0, 0.15)
    sheen = 1 + 0.05 * N.fibres(rng, size, N.between(rng, 0, 3.1), N.around(rng, 1, 30), 0.6)
    picture = L.lit(rng, metal * sheen[..., None], N.ramp(d, radius - 1, radius + 2), N.around(rng, 0.2, 1.2), 0.3)
    return L.finish(rng, L.mix(picture, behind, hole))


def diamond_plate(rng: Rng, size: int) -> Field:
    """Tread plate: raised lozenges in alternating directions."""
    pitch = N.around(rng, 11, 34)
    u, v = N.view(rng, size)
    i, j = np.round(u / np.float32(pitch)), np.round(v / np.float32(pitch))
    a, b = u / np.float32(pitch) - i, v / np.float32(pitch) - j
    s = np.float32(np.sqrt(0.5))
    p, q = (a + b) * s, (a - b) * s
    swap = (i + j) % 2 > 0.5
    p, q = np.where(swap, q, p), np.where(swap, p, q)
    thin = N.between(rng, 0.1, 0.2)
    d = 1 - (p / np.float32(N.between(rng, 0.42, 0.55))) ** 2 - np.abs(q) / np.float32(thin)
    height = N.ramp(d, 0, 0.5)
    metal = L.grey(rng, 0.3, 0.8) if N.chance(rng, 0.8) else L.any_colour(rng)
    shade = 0.85 + 0.15 * height + 0.05 * N.fbm(rng, size, 10)
    return L.finish(rng, L.lit(rng, metal * shade[..., None], height, pitch * 0.1, N.between(rng, 0.2, 0.9)))


def corrugated(rng: Rng, size: int) -> Field:
    """Wavy or folded sheet."""
    u, v = N.view(rng, size)
    period = N.around(rng, 7, 40)
    wave = np.sin(u * np.float32(2 * np.pi / period))
    if N.chance(rng, 0.4):
        wave = np.clip(wave * np.float32(2.5), -1, 1)
    metal = L.grey(rng, 0.3, 0.85) if N.chance(rng, 0.6) else L.any_colour(rng)
    shade = 1 + 0.04 * N.fbm(rng, size, 30) + 0.03 * N.streak(rng, v, 3)
    return L.finish(rng, L.lit(rng, metal * shade[..., None], wave, period * N.between(rng, 0.04, 0.14), 0.4))


def circuit_board(rng: Rng, size: int) -> Field:
    """Tracks, pads and vias on solder mask."""
    mask = L.tone(rng, (0.3, 0.48), (0.5, 0.95), (0.2, 0.5)) if N.chance(rng, 0.6) else L.any_colour(rng)
    track = L.near(rng, mask, 0.03) + np.float32(N.between(rng, 0.08, 0.2))
    pitch = N.around(rng, 5, 12)
    u, v = N.view(rng, size)
    i, j = np.round(u / np.float32(pitch)), np.round(v / np.float32(pitch))
    a, b = u - i * np.float32(pitch), v - j * np.float32(pitch)
    kind = N.per_cell(rng, N.tile_number(np.floor(i / 4), j))  # runs of four cells share a direction
    other = N.per_cell(rng, N.tile_number(i, np.floor(j / 4)))
    width = pitch * 0.22
    line = np.minimum(np.where(kind < 0.55, np.abs(b), 99), np.where(other < 0.35, np.abs(a), 99))
    picture = L.mix(mask, track, N.ramp(line, width + 0.6, width - 0.6))
    r = np.hypot(a, b)
    pad = (N.per_cell(rng, N.tile_number(i, j)) < N.between(rng, 0.05, 0.3)).astype(np.float32)
    metal = N.pick(rng, [L.hsv(0.12, 0.55, 0.85), L.grey(rng, 0.6, 0.9)])
    picture = L.mix(picture, metal, pad * N.ramp(r, pitch * 0.42 + 0.6, pitch * 0.42 - 0.6))
    picture = L.mix(picture, L.grey(rng, 0, 0.15), pad * N.ramp(r, pitch * 0.18 + 0.6, pitch * 0.18 - 0.6))
    return L.finish(rng, picture)


def solar_cell(rng: Rng, size: int) -> Field:
    """Dark cells with thin fingers and wide bus bars; crystals in some."""
    colour = L.tone(rng, (0.58, 0.7), (0.2, 0.85), (0.1, 0.45)) if N.chance(rng, 0.6) else L.grey(rng, 0.1, 0.6)
    u, v = N.view(rng, size)
    cell, finger = N.around(rng, 40, 160), N.around(rng, 3, 8)
    picture = L.solid(size, colour)
    if N.chance(rng, 0.6):  # polycrystalline
        _, _, number = N.cells(rng, u / 14, v / 14)
        picture = picture * (0.85 + 0.3 * N.per_cell(rng, number))[..., None]
    silver = L.grey(rng, 0.55, 0.95)
    picture = L.mix(picture, silver, N.ramp(N.fold(u, finger), 1.0, 0.2) * np.float32(N.between(rng, 0.15, 0.6)))
    picture = L.mix(picture, silver, N.ramp(N.fold(v, cell / 3), 2.2, 1.2))
    gap = np.minimum(N.fold(u, cell), N.fold(v + np.float32(cell / 6), cell))
    return L.finish(rng, L.mix(picture, L.grey(rng, 0.05, 0.95), N.ramp(gap, 1.6, 0.8)))


LAID = {
    "ceramic tile": ceramic_tile,
    "mosaic": mosaic,
    "brick wall": brick_wall,
    "stone wall": stone_wall,
    "roof shingles": shingles,
    "hexagon tiles": hexagon_tiles,
    "chequered pattern": chequered,
    "perforated sheet": perforated,
    "diamond plate": diamond_plate,
    "corrugated metal": corrugated,
    "circuit board": circuit_board,
    "solar cell": solar_cell,
}
