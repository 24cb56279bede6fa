"""Round objects, most of them seen from above."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import (
    Place,
    around_centre,
    bevel,
    cover,
    disc,
    metal,
    place,
    plain,
    polygon,
    rgba,
    shaded,
    text,
)

DARK = np.array([0.04, 0.04, 0.05], np.float32)


def radius_of(at: Place) -> Field:
    """The distance from the middle."""
    return np.hypot(at.x, at.y)


def plate(rng: Rng, size: int) -> Field:
    """A dinner plate: flat well, sloped rim, painted rings."""
    at = place(rng, size)
    r = radius_of(at)
    body = plain(rng, at, L.grey(rng, 0.75, 0.97, 0.02) if N.chance(rng, 0.6) else None, 0.01)
    for _ in range(int(rng.integers(0, 4))):
        body = L.mix(
            body, L.any_colour(rng), cover(at, np.abs(r - N.between(rng, 0.5, 0.97)) - N.around(rng, 0.006, 0.05))
        )
    if N.chance(rng, 0.3):  # a printed wreath
        x, y = around_centre(at.x, at.y, int(rng.integers(6, 20)), 0.83)
        body = L.mix(body, L.any_colour(rng), cover(at, disc(x, y * N.between(rng, 0.6, 1.5), 0.06)))
    well = N.between(rng, 0.5, 0.72)
    height = N.ramp(r, well, well + 0.16) * 0.12 + bevel(r - 1, 0.04)
    return rgba(shaded(rng, at, body, height, 1, 0.5), cover(at, r - 1))


def cup(rng: Rng, size: int) -> Field:
    """A cup or mug from above, full or empty, with its handle."""
    at = place(rng, size)
    x = at.x + np.float32(0.14)
    r = np.hypot(x, at.y) / np.float32(0.84)
    body = plain(rng, at, None, 0.01)
    handle = np.maximum(np.abs(np.hypot(x - 0.86, at.y) - 0.17) - 0.055, 0.8 - r)
    wall = N.between(rng, 0.05, 0.12)
    drink = N.pick(rng, [L.hsv(0.07, 0.8, 0.2), L.hsv(0.09, 0.6, 0.55), L.hsv(0.05, 0.85, 0.4)])
    inside = drink if N.chance(rng, 0.6) else body * 0.75
    height = -np.abs(r - (1 - wall / 2)) * 0.3 + bevel(handle, 0.05)
    body = shaded(rng, at, body, np.where(r < 1, height, bevel(handle, 0.05)), 1, 0.5)
    depth = N.ramp(r, 1, 0.3) * 0.3 + 0.7 + 0.15 * at.x
    body = L.mix(body, (inside * depth[..., None]).astype(np.float32), cover(at, (r - 1 + wall) * 0.84))
    return rgba(body, np.maximum(cover(at, (r - 1) * 0.84), cover(at, handle)))


def gear(rng: Rng, size: int) -> Field:
    """A gear wheel with bore, hub and lightening holes."""
    at = place(rng, size)
    r, angle = N.polar(at.x, at.y)
    teeth, deep = int(rng.integers(8, 36)), N.between(rng, 0.05, 0.11)
    tooth = np.clip(np.cos(angle * teeth) * N.between(rng, 1, 2.5), -1, 1)
    d = r - (1 - deep + deep * tooth)
    bore = N.between(rng, 0.1, 0.25)
    d = np.maximum(d, bore - r)
    if N.chance(rng, 0.6):
        x, y = around_centre(at.x, at.y, int(rng.integers(3, 8)), 0.55)
        d = np.maximum(d, -disc(x, y, N.between(rng, 0.08, 0.15)))
    hub = N.ramp(r, bore + 0.16, bore + 0.12) * 0.06 + N.ramp(r, 0.7, 0.75) * 0.05
    body = metal(rng, at) if N.chance(rng, 0.8) else plain(rng, at)
    return rgba(shaded(rng, at, body, hub + bevel(d, 0.04), 1, 0.4), cover(at, d))


def bolt_head(rng: Rng, size: int) -> Field:
    """A bolt or screw head from above: hexagon, socket, cross or slot."""
    at = place(rng, size)
    r = radius_of(at)
    hexagon = N.chance(rng, 0.5)
    d = polygon(at.x, at.y, 6, 0.84, 0.3) if hexagon else r - 1
    height = bevel(d, 0.12) + (0.1 * N.ramp(r, 0.86, 0.78) if hexagon else 0.15 * (1 - r * r))
    kind = int(rng.integers(4))
    a, b = np.abs(at.x), np.abs(at.y)
    slot = N.between(rng, 0.07, 0.12)
    hole = [
        polygon(at.x, at.y, 6, 0.38),
        np.maximum(np.minimum(a, b) - slot, np.maximum(a, b) - 0.55),
        np.maximum(a - slot, r - 0.95),
        r - (0.36 + 0.07 * np.cos(6 * np.arctan2(at.y, at.x))),
    ][kind]
    if hexagon and N.chance(rng, 0.5):
        hole = np.full_like(r, 9)
        height = height + 0.02 * text(rng, at.x, at.y, (-0.35, -0.2, 0.35, 0.2))
    body = shaded(rng, at, metal(rng, at), height - 0.1 * N.ramp(hole, 0.04, -0.04), 1, 0.6)
    return rgba(L.mix(body, body * np.float32(0.25), cover(at, hole)), cover(at, d))


def bottle_ring(rng: Rng, size: int) -> Field:
    """The mouth or the foot of a bottle looked into: rings of glass about a dark or bright middle."""
    at = place(rng, size)
    r, angle = N.polar(at.x, at.y)
    glass = L.hsv(N.pick(rng, [0.08, 0.3, 0.35, 0.55]), N.between(rng, 0.1, 0.8), N.between(rng, 0.15, 0.7))
    body = L.solid(size, glass)
    for _ in range(int(rng.integers(3, 7))):
        at_r, wide, gain = N.between(rng, 0.35, 0.98), N.around(rng, 0.015, 0.08), N.between(rng, 0.2, 1.9)
        uneven = 1 + 0.4 * np.cos(angle * int(rng.integers(1, 4)) + np.float32(N.between(rng, 0, 6)))
        t = np.exp(-(((r - at_r) / wide) ** 2)) * uneven * 0.6
        body = L.mix(body, np.clip(glass * np.float32(gain), 0, 1) + np.float32(0.25 * (gain > 1)), np.clip(t, 0, 1))
    middle = L.grey(rng, 0, 0.1) if N.chance(rng, 0.5) else L.grey(rng, 0.6, 1)
    hole = N.between(rng, 0.3, 0.75)
    body = L.mix(body, middle, N.ramp(r, hole, hole - 0.08))
    return rgba(body * (1 + 0.02 * N.white(rng, size, size))[..., None], cover(at, r - 1))


def tin_lid(rng: Rng, size: int) -> Field:
    """A can end: rim, ridges, a pull tab in some."""
    at = place(rng, size)
    r = radius_of(at)
    waves = np.zeros_like(r)
    for _ in range(int(rng.integers(1, 5))):
        waves += np.exp(-(((r - N.between(rng, 0.2, 0.85)) / 0.03) ** 2)) * 0.03
    height = waves + np.exp(-(((r - 0.94) / 0.05) ** 2)) * 0.1
    body = metal(rng, at)
    if N.chance(rng, 0.5):
        tab = np.hypot(at.x * N.between(rng, 1.3, 1.8), at.y - 0.2) - 0.35
        tab = np.maximum(tab, 0.16 - np.hypot(at.x, at.y - 0.32))
        height = height + bevel(tab, 0.06) * 0.8
        body = L.mix(body, body * np.float32(0.8), cover(at, np.abs(tab) - 0.015))
    elif N.chance(rng, 0.5):
        body = L.mix(body, DARK, 0.8 * text(rng, at.x, at.y, (-0.45, -0.25, 0.45, 0.25), 2))
    return rgba(shaded(rng, at, body, height, 1, 0.6), cover(at, r - 1))


def wheel(rng: Rng, size: int) -> Field:
    """Tyre, rim, spokes and hub with its nuts."""
    at = place(rng, size)
    r = radius_of(at)
    rim = N.between(rng, 0.6, 0.78)
    tyre = plain(rng, at, L.grey(rng, 0.06, 0.22))
    tyre = shaded(rng, at, tyre, -np.abs(r - (1 + rim) / 2) + 0.01 * np.cos(r * 90), 0.8, 0.15)
    count, wide = int(rng.integers(3, 14)), N.between(rng, 0.03, 0.1)
    x, y = around_centre(at.x, at.y, count, 0)
    spokes = np.abs(y) - (wide + 0.06 * np.maximum(0.4 - r, 0))
    steel = np.minimum(np.minimum(np.maximum(spokes, -x), np.abs(r - rim + 0.04) - 0.05), r - 0.2)
    body = L.mix(plain(rng, at, L.grey(rng, 0.02, 0.15)), metal(rng, at), cover(at, steel))
    body = shaded(rng, at, body, bevel(steel, 0.05), 0.8, 0.5)
    nx, ny = around_centre(at.x, at.y, int(rng.integers(3, 7)), 0.13)
    body = L.mix(body, DARK, cover(at, disc(nx, ny, 0.03)))
    return rgba(L.mix(body, tyre, cover(at, rim - r)), cover(at, r - 1))


def crown_cap(rng: Rng, size: int) -> Field:
    """A bottle cap with its crimped edge and printed top."""
    at = place(rng, size)
    r, angle = N.polar(at.x, at.y)
    count = N.pick(rng, [21, 21, 24, 40, 60])
    d = r - (0.95 + 0.04 * np.cos(count * angle))
    folds = np.cos(count * angle) * N.ramp(r, 0.72, 0.95) * 0.03
    body = plain(rng, at) if N.chance(rng, 0.7) else metal(rng, at)
    ink = L.any_colour(rng)
    body = L.mix(body, ink, cover(at, np.abs(r - N.between(rng, 0.55, 0.7)) - 0.02))
    body = L.mix(body, ink, text(rng, at.x, at.y, (-0.42, -0.22, 0.42, 0.22), 1, letters=int(rng.integers(1, 5))))
    return rgba(shaded(rng, at, body, folds + N.ramp(r, 1, 0.7) * 0.12, 1, 0.5), cover(at, d))


def ring(rng: Rng, size: int) -> Field:
    """A finger ring, seal or hoop: wide hole, rounded section, a gem in some."""
    at = place(rng, size)
    y = at.y - np.float32(0.1)
    r = np.hypot(at.x, y)
    thick = N.between(rng, 0.07, 0.16)
    d = np.abs(r - (0.86 - thick)) - thick
    body = metal(rng, at) if N.chance(rng, 0.6) else plain(rng, at)
    height = np.sqrt(np.maximum(thick * thick - np.minimum(d + thick, thick) ** 2, 0))
    body = shaded(rng, at, body, height, 1, 0.7)
    alpha = cover(at, d)
    if N.chance(rng, 0.5):
        gem = polygon(at.x, y + 0.82, N.pick(rng, [4, 6, 8]), 0.17)
        facets = polygon(at.x, y + 0.82, 8, 0.08)
        stone = shaded(rng, at, L.solid(size, L.tone(rng, (0, 1), (0, 0.9), (0.5, 1))), bevel(gem, 0.1), 1, 0.9)
        stone = L.mix(stone, stone * np.float32(1.25), cover(at, facets))
        body, alpha = L.mix(body, stone, cover(at, gem)), np.maximum(alpha, cover(at, gem))
    return rgba(body, alpha)


def cable_section(rng: Rng, size: int) -> Field:
    """A cut cable: sheath, insulated cores, strands of copper."""
    at = place(rng, size)
    r = radius_of(at)
    body = L.mix(plain(rng, at), plain(rng, at, L.grey(rng, 0.5, 0.9)), cover(at, r - N.between(rng, 0.8, 0.9)))
    count = int(rng.integers(2, 8))
    core = min(0.8 * np.sin(np.pi / count) / (1 + np.sin(np.pi / count)), 0.4) * 0.93
    copper = L.tone(rng, (0.03, 0.1), (0.3, 0.7), (0.6, 0.95)) if N.chance(rng, 0.8) else L.grey(rng, 0.6, 0.9)
    for k in range(count):
        a = 2 * np.pi * k / count
        x, y = at.x - np.float32((0.8 - core) * np.cos(a)), at.y - np.float32((0.8 - core) * np.sin(a))
        d = np.hypot(x, y)
        body = L.mix(body, L.any_colour(rng), cover(at, d - core))
        pitch = core * N.between(rng, 0.2, 0.3)
        strand = np.hypot(N.fold(x, pitch), N.fold(y, pitch)) / np.float32(pitch)
        wires = copper * (1.15 - 1.1 * strand * strand)[..., None]
        body = L.mix(body, wires.astype(np.float32), cover(at, d - core * 0.66))
    return rgba(body * (1 + 0.02 * N.white(rng, size, size))[..., None], cover(at, r - 1))


def pipe_section(rng: Rng, size: int) -> Field:
    """A pipe looked into: the cut wall bright, the bore darkening."""
    at = place(rng, size)
    r = radius_of(at)
    bore = N.between(rng, 0.6, 0.88)
    shift = rng.normal(0, 0.06, 2)
    deep = np.hypot(at.x - np.float32(shift[0]), at.y - np.float32(shift[1]))
    wall = shaded(rng, at, metal(rng, at) if N.chance(rng, 0.5) else plain(rng, at), bevel(r - 1, 0.03), 1, 0.3)
    inner = wall.mean((0, 1)) * (N.ramp(deep, 0.2, bore) * 0.6 + 0.05 + 0.1 * np.maximum(at.y, 0))[..., None]
    return rgba(L.mix(wall, inner.astype(np.float32), cover(at, r - bore)), cover(at, r - 1))


ROUND = {
    "plate": plate,
    "cup": cup,
    "gear wheel": gear,
    "bolt head": bolt_head,
    "bottle mouth": bottle_ring,
    "tin lid": tin_lid,
    "wheel": wheel,
    "bottle cap": crown_cap,
    "ring": ring,
    "cable cross-section": cable_section,
    "pipe section": pipe_section,
}
