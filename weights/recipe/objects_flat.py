"""Flat and boxy objects, electronic parts, printed things."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import bevel, box, cover, disc, grid, matter, metal, place, plain, rgba, shaded, text


def slight(rng: Rng) -> float:
    """How far a flat object is turned: nearly straight, or anyhow."""
    return 0.1 if N.chance(rng, 0.6) else np.pi


def chip(rng: Rng, size: int) -> Field:
    """An IC package: dark body, pin-one dot, legs on two or four sides, a printed name."""
    at = place(rng, size, slight(rng), (0.92, 0.99))
    w, h = N.between(rng, 0.4, 0.75), N.between(rng, 0.6, 0.82)
    four = N.chance(rng, 0.4)
    w = h if four else w
    pitch = N.around(rng, 0.09, 0.24)
    leg_y = np.maximum(N.fold(at.y + np.float32(pitch / 2), pitch) - pitch * 0.25, np.abs(at.y) - h * 0.93)
    legs = np.maximum(leg_y, np.abs(at.x) - w - 0.17)
    if four:
        leg_x = np.maximum(N.fold(at.x + np.float32(pitch / 2), pitch) - pitch * 0.25, np.abs(at.x) - w * 0.93)
        legs = np.minimum(legs, np.maximum(leg_x, np.abs(at.y) - h - 0.17))
    d = box(at.x, at.y, w, h, 0.03)
    body = plain(rng, at, L.grey(rng, 0.06, 0.22), 0.08)
    body = L.mix(body, body * np.float32(0.5), cover(at, disc(at.x + w * 0.7, at.y + h * 0.8, 0.06)))
    ink = text(rng, at.x, at.y, (-w * 0.8, -h * 0.4, w * 0.8, h * 0.4), int(rng.integers(1, 4)))
    body = L.mix(body, L.grey(rng, 0.45, 0.9), ink)
    body = shaded(rng, at, body, bevel(d, 0.05), 0.8, 0.2)
    steel = shaded(rng, at, metal(rng, at, L.grey(rng, 0.6, 0.85)), bevel(legs, 0.03), 0.8, 0.5)
    return rgba(L.mix(steel, body, cover(at, d)), cover(at, np.minimum(d, legs)))


def transistor(rng: Rng, size: int) -> Field:
    """A three-legged part: plastic body, a metal tab in some."""
    at = place(rng, size, slight(rng), (0.6, 0.99))
    w, top, low = N.between(rng, 0.35, 0.6), N.between(rng, -0.7, -0.4), N.between(rng, -0.05, 0.2)
    body_d = box(at.x, at.y - (top + low) / 2, w, (low - top) / 2, 0.04)
    tab = np.maximum(box(at.x, at.y + 0.6, w * 0.95, 0.37, 0.03), 0.1 - np.hypot(at.x, at.y + 0.8))
    apart = w * N.between(rng, 0.5, 0.75)
    leg = np.minimum(np.abs(at.x), np.abs(np.abs(at.x) - apart)) - N.between(rng, 0.03, 0.06)
    legs = np.maximum(leg, np.abs(at.y - (low + 0.97) / 2) - (0.97 - low) / 2 - 0.05)
    steel_d = np.minimum(legs, tab) if N.chance(rng, 0.6) else legs
    steel = shaded(rng, at, metal(rng, at, L.grey(rng, 0.55, 0.85)), bevel(steel_d, 0.03), 0.8, 0.5)
    body = plain(rng, at, L.grey(rng, 0.05, 0.25), 0.06)
    body = L.mix(body, L.grey(rng, 0.5, 0.9), text(rng, at.x, at.y, (-w * 0.7, top + 0.1, w * 0.7, low - 0.1), 2))
    body = shaded(rng, at, body, bevel(body_d, 0.06), 0.9, 0.3)
    return rgba(L.mix(steel, body, cover(at, body_d)), cover(at, np.minimum(steel_d, body_d)))


def connector(rng: Rng, size: int) -> Field:
    """A plug or socket from the front: a shell with rows of pins or holes."""
    at = place(rng, size, slight(rng), (0.92, 0.75))
    h = N.between(rng, 0.3, 0.8)
    w = N.between(rng, 0.6, 0.95)
    d = box(at.x, at.y, w, h, N.around(rng, 0.03, min(h, w) * 0.9))
    inner = d + N.between(rng, 0.07, 0.14)
    body = shaded(rng, at, plain(rng, at), bevel(d, 0.05), 1, 0.4)
    well = plain(rng, at, L.grey(rng, 0.03, 0.3) if N.chance(rng, 0.6) else None)
    body = L.mix(body, well, cover(at, inner))
    columns, rows = max(1, int((w - 0.14) * N.around(rng, 2.5, 9))), max(1, int((h - 0.14) * N.around(rng, 2, 7)))
    px, py = 2 * (w - 0.16) / columns, 2 * (h - 0.16) / rows
    px, py = min(px, py * 1.6), min(py, px * 1.6)
    fx, fy = grid(at.x, at.y, (columns, rows), (px, py))
    r = min(px, py) * N.between(rng, 0.2, 0.36)
    pin = np.hypot(fx, fy) - r if N.chance(rng, 0.6) else np.maximum(np.abs(fx), np.abs(fy)) - r
    if N.chance(rng, 0.6):
        pins = shaded(rng, at, metal(rng, at), bevel(pin, r), 1, 0.7)
    else:
        pins = np.zeros_like(body) + np.float32(0.03)
    return rgba(L.mix(body, pins, cover(at, np.maximum(pin, inner))), cover(at, d))


def bracket(rng: Rng, size: int) -> Field:
    """A metal bracket, hinge or plate with holes: L, T or a rectangle."""
    at = place(rng, size, slight(rng), (0.95, 0.95))
    w = N.between(rng, 0.22, 0.36)
    kind, count = int(rng.integers(3)), int(rng.integers(2, 4))
    far = np.float32(0.95 - w)
    pitch, r = float(far) * 2 / (2 * (count - 1)), w * N.between(rng, 0.25, 0.45)
    if kind < 2:  # two legs, and a row of holes down each
        stem_x = at.x + far * (1 - kind)
        d = np.minimum(box(stem_x, at.y, w, 0.95, 0.08), box(at.x, at.y - far, 0.95, w, 0.08))
        stem = np.hypot(*grid(stem_x, at.y, (1, 2 * count - 1), (1.0, pitch)))
        foot = np.hypot(*grid(at.x, at.y - far, (2 * count - 1, 1), (pitch, 1.0)))
        hole = np.minimum(stem, foot) - min(r, pitch * 0.4)
    else:
        h = N.between(rng, 0.4, 0.8)
        d = box(at.x, at.y, 0.92, h, N.around(rng, 0.03, 0.3))
        columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        step = (1.5 / columns, 1.7 * h / rows)
        hole = np.hypot(*grid(at.x, at.y, (columns, rows), step)) - min(min(step) * 0.35, r)
    inside = np.maximum(d, -hole)
    height = bevel(inside, 0.04) + 0.05 * N.ramp(hole, 0.0, 0.07)
    body = metal(rng, at) if N.chance(rng, 0.7) else matter(rng, at)
    return rgba(shaded(rng, at, body, height, 0.9, 0.5), cover(at, inside))


def box_top(rng: Rng, size: int) -> Field:
    """A carton from above: flaps, tape, a label."""
    at = place(rng, size, slight(rng), (0.9, 0.9))
    w, h = N.between(rng, 0.6, 0.92), N.between(rng, 0.6, 0.92)
    d = box(at.x, at.y, w, h, 0.02)
    body = plain(rng, at, L.tone(rng, (0.06, 0.1), (0.2, 0.5), (0.5, 0.85)) if N.chance(rng, 0.6) else None, 0.05)
    body = L.mix(body, body * np.float32(0.4), cover(at, np.abs(at.x) - 0.008))
    tape = L.any_colour(rng)
    body = L.mix(
        body, tape, cover(at, np.abs(at.x) - N.between(rng, 0.06, 0.15)) * np.float32(N.between(rng, 0.2, 0.9))
    )
    x, y = at.x - N.between(rng, 0.3, 0.4), at.y - N.between(rng, -0.3, 0.3)
    slip = box(x, y, 0.24, 0.18)
    body = L.mix(body, L.grey(rng, 0.85, 0.98), cover(at, slip))
    body = L.mix(body, L.grey(rng, 0, 0.2), text(rng, x, y, (-0.2, -0.15, 0.2, 0.15), 3))
    return rgba(shaded(rng, at, body, bevel(d, 0.03), 0.8, 0.1), cover(at, d))


def tile_piece(rng: Rng, size: int) -> Field:
    """A single tile, slab or block of some material."""
    at = place(rng, size, slight(rng), (0.88, 0.88))
    w = N.between(rng, 0.5, 0.9)
    d = box(at.x, at.y, w, N.between(rng, 0.6, 0.9), N.around(rng, 0.01, 0.25))
    body = matter(rng, at)
    if N.chance(rng, 0.4):
        body = L.mix(
            body, L.any_colour(rng), cover(at, np.abs(d + N.between(rng, 0.1, 0.3)) - N.around(rng, 0.01, 0.06))
        )
    return rgba(shaded(rng, at, body, bevel(d, N.around(rng, 0.03, 0.2)), 0.9, 0.5), cover(at, d))


def pips(x: Field, y: Field, number: int, step: float, r: float) -> Field:
    """The dots of a die's face as one distance."""
    spots = {1: "e", 2: "ai", 3: "aei", 4: "acgi", 5: "acegi", 6: "acdfgi"}[number]
    d = np.full_like(x, 9)
    for s in spots:
        k = "abcdefghi".index(s)
        d = np.minimum(d, disc(x - np.float32((k % 3 - 1) * step), y - np.float32((k // 3 - 1) * step), r))
    return d


def dice(rng: Rng, size: int) -> Field:
    """A die, its top face."""
    at = place(rng, size, np.pi, (0.89, 0.89))
    d = box(at.x, at.y, 0.9, 0.9, N.between(rng, 0.1, 0.35))
    body = plain(rng, at, None, 0.01)
    body = shaded(rng, at, body, bevel(d, 0.2), 0.8, 0.6)
    dots = pips(at.x, at.y, int(rng.integers(1, 7)), 0.48, N.between(rng, 0.11, 0.17))
    return rgba(L.mix(body, L.apart(rng, body.mean((0, 1)), 0.4), cover(at, dots)), cover(at, d))


def domino(rng: Rng, size: int) -> Field:
    """A domino: two halves of dots and a bar."""
    at = place(rng, size, slight(rng), (0.48, 0.96))
    d = box(at.x, at.y, 0.48, 0.96, 0.08)
    body = plain(rng, at, L.grey(rng, 0.75, 0.97) if N.chance(rng, 0.5) else L.grey(rng, 0.03, 0.2), 0.01)
    dots = np.minimum(
        pips(at.x, at.y + 0.48, int(rng.integers(1, 7)), 0.26, 0.075),
        pips(at.x, at.y - 0.48, int(rng.integers(1, 7)), 0.26, 0.075),
    )
    dots = np.minimum(dots, np.maximum(np.abs(at.y) - 0.015, np.abs(at.x) - 0.4))
    ink = L.apart(rng, body.mean((0, 1)), 0.4)
    return rgba(L.mix(shaded(rng, at, body, bevel(d, 0.08), 0.8, 0.5), ink, cover(at, dots)), cover(at, d))


def envelope(rng: Rng, size: int) -> Field:
    """An envelope: the flap side or the address side."""
    at = place(rng, size, slight(rng), (0.96, 0.7))
    h = N.between(rng, 0.5, 0.7)
    d = box(at.x, at.y, 0.96, h, 0.01)
    body = plain(rng, at, L.grey(rng, 0.75, 0.97) if N.chance(rng, 0.5) else None)
    if N.chance(rng, 0.5):
        top = at.y + h - (1 - np.abs(at.x) / 0.96) * h * N.between(rng, 1, 1.3)
        low = h - at.y - (1 - np.abs(at.x) / 0.96) * h * 0.9
        height = 0.03 * N.ramp(top, 0.02, -0.02) + 0.02 * N.ramp(low, 0.02, -0.02)
    else:
        height = np.zeros_like(d)
        body = L.mix(body, L.grey(rng, 0, 0.3), text(rng, at.x, at.y, (-0.3, -0.1, 0.7, h - 0.15), 3))
        stamp = box(at.x - 0.75, at.y + h - 0.22, 0.12, 0.14)
        body = L.mix(body, L.any_colour(rng), cover(at, stamp))
    return rgba(shaded(rng, at, body, height + bevel(d, 0.02), 1, 0), cover(at, d))


def label(rng: Rng, size: int) -> Field:
    """A printed label or card: lines of text, bars, a frame, a bar code."""
    at = place(rng, size, slight(rng), (0.93, 0.88))
    h = N.between(rng, 0.5, 0.9)
    d = box(at.x, at.y, 0.93, h, N.around(rng, 0.01, 0.2))
    body = plain(rng, at, L.grey(rng, 0.75, 0.98) if N.chance(rng, 0.6) else None, 0.01)
    ink = L.apart(rng, body.mean((0, 1)), 0.35)
    split = N.between(rng, -0.3, 0.1) * h
    if N.chance(rng, 0.6):
        body = L.mix(body, L.any_colour(rng), cover(at, at.y - split))
    body = L.mix(body, ink, text(rng, at.x, at.y, (-0.75, -h * 0.85, 0.75, split - 0.05)))
    if N.chance(rng, 0.5):
        bars = N.streak(rng, np.floor(at.x * 30) * 3, 1) > 0.1
        body = L.mix(body, ink, bars * cover(at, box(at.x, at.y - h * 0.5, 0.7, h * 0.3)))
    else:
        body = L.mix(body, ink, text(rng, at.x, at.y, (-0.75, split + 0.08, 0.75, h * 0.85), int(rng.integers(2, 5))))
    if N.chance(rng, 0.5):
        body = L.mix(body, ink, cover(at, np.abs(d + 0.06) - 0.012))
    return rgba(body, cover(at, d))


FLAT = {
    "chip": chip,
    "transistor": transistor,
    "connector": connector,
    "metal bracket": bracket,
    "carton": box_top,
    "tile piece": tile_piece,
    "dice": dice,
    "domino": domino,
    "envelope": envelope,
    "label": label,
}
