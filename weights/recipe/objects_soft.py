"""Balls, fruit, bread, sweets, leaves: objects rounded all over, and grown ones."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import Place, bar, cover, matter, place, plain, rgba, shaded


def ball(rng: Rng, size: int) -> Field:
    """A ball, bead or marble: plain, banded, panelled or patterned."""
    at = place(rng, size)
    r = np.hypot(at.x, at.y)
    body = matter(rng, at)
    for _ in range(int(rng.integers(0, 3))):  # bands bend with the sphere
        depth = np.sqrt(np.maximum(1 - r * r, 0))
        lie = at.x * np.float32(rng.normal()) + at.y * np.float32(rng.normal()) + depth * np.float32(rng.normal())
        body = L.mix(body, L.any_colour(rng), cover(at, np.abs(lie) - N.around(rng, 0.02, 0.2)))
    d = r - 1
    if N.chance(rng, 0.2):  # a bead's hole
        body = L.mix(body, L.grey(rng, 0, 0.1), cover(at, r - N.between(rng, 0.12, 0.25)))
    return rgba(globe(rng, at, body, r), cover(at, d))


def globe(rng: Rng, at: Place, body: Field, r: Field) -> Field:
    """The body shaded as a sphere over r in 0..1."""
    angle, tilt = N.between(rng, 0, 2 * np.pi), N.between(rng, 0.3, 0.7)
    z = np.sqrt(np.maximum(1 - r * r, 0))
    side = at.x * np.float32(np.cos(angle)) + at.y * np.float32(np.sin(angle))
    facing = np.clip(z * np.float32(np.sqrt(1 - tilt * tilt)) + side * np.float32(tilt), 0, 1)
    picture = body * (0.25 + 0.85 * facing)[..., None]
    shine = np.clip(facing, 0, 1) ** np.float32(N.around(rng, 12, 80)) * np.float32(rng.random())
    return picture + shine[..., None] * (1 - picture)


def blob(rng: Rng, at: Place, rough: float) -> tuple[Field, Field]:
    """(Signed distance, scaled radius) of a nearly round natural outline."""
    r, angle = N.polar(at.x, at.y)
    edge = np.full_like(r, 0.93)
    for k in (2, 3, 5):
        edge = edge + np.cos(k * angle + np.float32(N.between(rng, 0, 6.3))) * np.float32(rng.normal(0, rough / k))
    edge = np.minimum(edge, 0.99)
    return r - edge, r / edge


def egg(rng: Rng, size: int) -> Field:
    """An egg, plain or speckled."""
    at = place(rng, size)
    x = at.x * (1.32 + 0.25 * at.y)
    r = np.hypot(x, at.y)
    body = plain(rng, at, L.tone(rng, (0.04, 0.13), (0.0, 0.45), (0.6, 0.97)), 0.02)
    if N.chance(rng, 0.4):
        specks = N.ramp(N.smooth(rng, size, N.around(rng, 2, 5)), 1.2, 1.8)
        body = L.mix(body, L.tone(rng, (0.03, 0.1), (0.3, 0.6), (0.2, 0.5)), specks)
    return rgba(globe(rng, Place(x, at.y, at.px), body, np.minimum(r, 1)), cover(at, (r - 0.98) * 0.8))


def fruit(rng: Rng, size: int) -> Field:
    """Tomato, apple, orange, berry: skin with spots and a stalk end."""
    at = place(rng, size)
    d, r = blob(rng, at, 0.03)
    colour = L.tone(rng, (-0.03, 0.3), (0.5, 0.95), (0.4, 0.95))
    body = L.mix(colour, L.near(rng, colour, 0.15), N.ramp(N.smooth(rng, size, size * 0.4), -1, 1))
    _, angle = N.polar(at.x, at.y)
    body = body * (1 + np.cos(angle * int(rng.integers(4, 12))) * np.float32(N.between(rng, 0, 0.06)))[..., None]
    body = body * (1 - N.between(rng, 0, 0.15) * N.ramp(N.smooth(rng, size, 2.2), 1.2, 2))[..., None]
    body = globe(rng, at, body, np.minimum(r, 1))
    if N.chance(rng, 0.7):
        lobes = np.hypot(at.x - 0.05, at.y) - (0.14 + 0.08 * np.cos(angle * N.pick(rng, [5, 5, 6])))
        body = L.mix(body, L.tone(rng, (0.1, 0.33), (0.3, 0.8), (0.2, 0.5)), cover(at, lobes))
    return rgba(body, cover(at, d))


def bun(rng: Rng, size: int) -> Field:
    """A bread roll or cake: browned dome, seeds or cuts."""
    at = place(rng, size)
    d, r = blob(rng, at, 0.04)
    crust, pale = L.hsv(N.between(rng, 0.05, 0.09), 0.7, N.between(rng, 0.35, 0.75)), L.hsv(0.1, 0.4, 0.88)
    brown = N.ramp(r + 0.15 * N.fbm(rng, size, size * 0.3), 1.05, 0.6)
    body = L.mix(pale, crust, brown) * (1 + 0.05 * N.fbm(rng, size, 4, 3))[..., None]
    body = globe(rng, at, body, np.minimum(r, 1) * np.float32(0.9))
    if N.chance(rng, 0.5):
        first, _, _ = N.cells(rng, at.x * 7, at.y * 7)
        seed = np.where(r < 0.75, first - 0.17, 9).astype(np.float32) / 7
        body = L.mix(body, L.tone(rng, (0.08, 0.13), (0.1, 0.5), (0.2, 0.95)), cover(at, seed))
    elif N.chance(rng, 0.6):
        cut = np.maximum(N.fold(at.x, 0.5) - 0.05, np.abs(at.y) - 0.55)
        body = L.mix(body, pale * np.float32(0.95), cover(at, cut))
    return rgba(body, cover(at, d))


def candy(rng: Rng, size: int) -> Field:
    """A sweet: striped disc, swirl or drop, or wrapped with twisted ends."""
    at = place(rng, size, corner=(0.96, 0.45))
    wrapped = N.chance(rng, 0.5)
    scale = np.float32(0.6 if wrapped else 0.97)
    r, angle = N.polar(at.x / scale, at.y / scale)
    arms = int(rng.integers(2, 9))
    stripes = np.sin(arms * angle + r * np.float32(N.between(rng, 0, 7)))
    body = L.mix(L.any_colour(rng), L.any_colour(rng), N.ramp(stripes, -0.15, 0.15))
    body = globe(rng, Place(at.x / scale, at.y / scale, at.px), body, np.minimum(r, 1))
    d = (r - 1) * scale
    if wrapped:
        ends = np.maximum(np.abs(at.y) - (np.abs(at.x) - 0.45) * 0.9, np.abs(at.x) - 0.95 + 0.03 * np.cos(at.y * 40))
        folds = 0.75 + 0.25 * np.cos(np.arctan2(at.y, np.abs(at.x) - 0.45) * 14)
        wing = L.any_colour(rng) * folds[..., None]
        body, d = L.mix(wing.astype(np.float32), body, cover(at, d)), np.minimum(d, ends)
    return rgba(body, cover(at, d))


def leaf(rng: Rng, size: int) -> Field:
    """A whole leaf: pointed outline, midrib and side veins, stalk, teeth in some."""
    at = place(rng, size)
    y = at.y + np.float32(0.1)
    t = np.clip((y + 0.85) / 1.7, 0, 1)
    w = N.between(rng, 0.3, 0.6) * np.abs(np.sin(np.pi * t ** np.float32(N.between(rng, 0.6, 1.3)))) ** 0.9
    w = w * (1 + N.between(rng, 0, 0.05) * np.cos(y * N.between(rng, 30, 70)))
    blade = np.maximum(np.abs(at.x) - w, np.abs(y) - 0.85) * np.float32(0.85)
    stalk = bar(at.x, at.y, (0, 0.7, 0.05, 0.98), 0.02)
    colour = L.tone(rng, (0.05, 0.38), (0.4, 0.9), (0.25, 0.75))
    side, slant = N.between(rng, 0.1, 0.24), N.between(rng, 0.3, 1)
    vein = np.minimum(np.abs(at.x) - 0.015, N.fold(y + np.abs(at.x) * np.float32(slant), side) - 0.006)
    body = plain(rng, at, colour, 0.04)
    body = L.mix(
        body, colour * np.float32(0.5) + np.float32(0.35), cover(at, vein) * np.float32(N.between(rng, 0.4, 1))
    )
    height = N.ramp(np.abs(at.x), 0, 0.3) * 0.05 - 0.02 * N.ramp(vein, 0.04, 0)
    d = np.minimum(blade, stalk)
    return rgba(shaded(rng, at, body, height, 1, 0.2), cover(at, d))


SOFT = {
    "ball": ball,
    "egg": egg,
    "fruit": fruit,
    "bread bun": bun,
    "candy": candy,
    "leaf": leaf,
}
