"""Round things with a face: struck, printed, marked round the middle."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import (
    around_centre,
    bevel,
    cover,
    matter,
    metal,
    place,
    plain,
    rgba,
    shaded,
    text,
)


def coin(rng: Rng, size: int) -> Field:
    """A struck coin: rim, letters round the edge, a relief in the middle."""
    at = place(rng, size)
    r, angle = N.polar(at.x, at.y)
    relief = N.ramp(r, 0.9, 0.93) * 0.03
    ink = text(rng, angle, -r, (-3.1, -0.87, N.between(rng, 0, 3.1), -0.7), 1, letters=int(rng.integers(10, 22)))
    head = N.ramp(N.smooth(rng, size, size * 0.16) - 2.5 * (r / 0.6) ** 2, -0.9, -0.3)
    figure = text(rng, at.x, at.y, (-0.35, -0.32, 0.35, 0.32), 1, letters=int(rng.integers(1, 3)))
    middle = figure if N.chance(rng, 0.5) else head
    height = relief + 0.025 * np.maximum(ink, middle) + bevel(r - 1, 0.03)
    body = metal(rng, at, L.tone(rng, (0.04, 0.14), (0.0, 0.6), (0.5, 0.9)))
    if N.chance(rng, 0.25):
        body = L.mix(body, L.grey(rng, 0.5, 0.8), cover(at, r - 0.68))
    return rgba(shaded(rng, at, body, height, 1.2, 0.6), cover(at, r - 1))


def compact_disc(rng: Rng, size: int) -> Field:
    """A disc with a rainbow sheen or a printed face, a hub and a small hole."""
    at = place(rng, size)
    r, angle = N.polar(at.x, at.y)
    hue = angle * int(rng.integers(1, 3)) + r * np.float32(N.between(rng, -4, 4))
    rainbow = 0.62 + 0.22 * np.stack([np.cos(hue + k) for k in (0, 2.1, 4.2)], -1)
    body = rainbow * (0.8 + 0.25 * np.cos(2 * angle))[..., None] if N.chance(rng, 0.5) else matter(rng, at)
    body = L.mix(body, L.grey(rng, 0.6, 0.9), cover(at, r - 0.38))
    body = L.mix(body, body * np.float32(0.8), cover(at, np.abs(r - 0.3) - 0.015))
    return rgba(body.astype(np.float32), cover(at, np.maximum(r - 1, N.between(rng, 0.12, 0.2) - r)))


def coaster(rng: Rng, size: int) -> Field:
    """A round or square mat with a printed design."""
    at = place(rng, size)
    r = np.hypot(at.x, at.y)
    d = r - 1 if N.chance(rng, 0.6) else np.maximum(np.abs(at.x), np.abs(at.y)) - 0.72
    body = matter(rng, at)
    ink = L.any_colour(rng)
    body = L.mix(body, ink, cover(at, np.abs(d + N.between(rng, 0.08, 0.2)) - N.around(rng, 0.008, 0.04)))
    if N.chance(rng, 0.6):
        body = L.mix(body, ink, text(rng, at.x, at.y, (-0.5, -0.25, 0.5, 0.25), int(rng.integers(1, 3))))
    return rgba(shaded(rng, at, body, bevel(d, 0.05), 0.8, 0.1), cover(at, d))


def clock(rng: Rng, size: int) -> Field:
    """A clock or gauge face: ticks, numerals, hands."""
    at = place(rng, size, 0.2)
    r = np.hypot(at.x, at.y)
    face = plain(rng, at, L.grey(rng, 0.8, 0.98) if N.chance(rng, 0.7) else L.grey(rng, 0.03, 0.2), 0.01)
    ink = L.grey(rng, 0, 0.15) if face.mean() > 0.5 else L.grey(rng, 0.8, 1)
    for count, long, wide in ((12, 0.08, 0.018), (60, 0.035, 0.008)):
        x, y = around_centre(at.x, at.y, count, 0.8)
        face = L.mix(face, ink, cover(at, np.maximum(np.abs(x) - long, np.abs(y) - wide)))
    r_text, angle = N.polar(at.x, at.y)
    numerals = int(rng.integers(3))
    if numerals == 1:  # all of them, feet to the middle
        face = L.mix(face, ink, text(rng, angle, -r_text, (-3.1, -0.7, 3.1, -0.55), 1, letters=12))
    if numerals == 2:  # upright, four of them
        for dx, dy in ((0, -0.6), (0.6, 0), (0, 0.6), (-0.6, 0)):
            x, y = at.x - np.float32(dx), at.y - np.float32(dy)
            face = L.mix(face, ink, text(rng, x, y, (-0.09, -0.11, 0.09, 0.11), 1, letters=int(rng.integers(1, 3))))
    for long, wide in ((0.45, 0.035), (0.7, 0.022), (0.75, 0.008))[: int(rng.integers(1, 4))]:
        a = np.float32(N.between(rng, 0, 6.3))
        x, y = at.x * np.cos(a) + at.y * np.sin(a), at.y * np.cos(a) - at.x * np.sin(a)
        hand = np.maximum(np.abs(x - long / 2 + 0.05) - (long / 2 + 0.05), np.abs(y) - wide)
        face = L.mix(face, ink if wide > 0.01 else L.any_colour(rng), cover(at, hand))
    face = L.mix(face, ink, cover(at, r - 0.05))
    rim = N.between(rng, 0.9, 0.95)
    ring = shaded(rng, at, matter(rng, at), -np.abs(r - (1 + rim) / 2), 1.2, 0.5)
    return rgba(L.mix(face, ring, cover(at, rim - r)), cover(at, r - 1))


def medal(rng: Rng, size: int) -> Field:
    """A medal or badge: scalloped or starred edge, a relief star, its loop."""
    at = place(rng, size)
    y = at.y - np.float32(0.1)
    r, angle = N.polar(at.x, y)
    points = int(rng.integers(5, 30))
    d = r - 0.85 * (1 + N.between(rng, 0, 0.05) * np.cos(points * angle))
    loop = np.abs(np.hypot(at.x, y + 0.92) - 0.1) - 0.03
    arms = int(rng.integers(4, 9))
    star = r - (0.4 + 0.16 * np.cos(arms * angle))
    height = bevel(d, 0.05) + bevel(star, 0.12) * 0.6 + 0.03 * cover(at, np.abs(r - 0.7) - 0.02)
    body = metal(rng, at, L.tone(rng, (0.05, 0.14), (0.1, 0.65), (0.5, 0.9)))
    if N.chance(rng, 0.4):
        body = L.mix(body, L.any_colour(rng), cover(at, np.maximum(r - 0.68, -star)))
    return rgba(
        shaded(rng, at, body, np.where(d < loop, height, bevel(loop, 0.04)), 1, 0.5), cover(at, np.minimum(d, loop))
    )


def knob(rng: Rng, size: int) -> Field:
    """A control knob: ribbed skirt, domed top, a pointer."""
    at = place(rng, size)
    r, angle = N.polar(at.x, at.y)
    count = int(rng.integers(10, 60))
    top = N.between(rng, 0.5, 0.8)
    d = r - (0.97 + 0.03 * np.cos(count * angle))
    height = N.ramp(r, 1, top) * 0.2 + 0.02 * np.cos(count * angle) * N.ramp(r, top, top + 0.1)
    body = L.mix(plain(rng, at), metal(rng, at), cover(at, r - top) * np.float32(N.pick(rng, [0, 1])))
    body = shaded(rng, at, body, height, 1, 0.5)
    pointer = np.maximum(np.abs(at.y) - 0.03, np.abs(at.x - top * 0.6) - top * 0.3)
    return rgba(L.mix(body, L.apart(rng, body.mean((0, 1))), cover(at, pointer)), cover(at, d))


FACES = {
    "coin": coin,
    "compact disc": compact_disc,
    "coaster": coaster,
    "clock face": clock,
    "medal": medal,
    "control knob": knob,
}
