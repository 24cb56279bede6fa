"""Objects seen from the side: turned bodies, tools, things with a handle."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import bar, bevel, box, cover, grid, matter, metal, place, plain, profile, rgba, shaded, text, turned


def pose(rng: Rng) -> float:
    """How far a long object is turned from upright: a little, or anyhow."""
    return 0.15 if N.chance(rng, 0.6) else np.pi


def bottle(rng: Rng, size: int) -> Field:
    """A bottle or flask with neck, cap, label and fill."""
    at = place(rng, size, pose(rng), (0.45, 0.98))
    w, neck = N.between(rng, 0.25, 0.48), N.between(rng, 0.08, 0.17)
    shoulder = N.between(rng, -0.5, -0.1)
    half = profile(
        at, [(-0.99, neck), (-0.65, neck), (shoulder, w), (0.9, w), (0.99, w * 0.9)], N.between(rng, 0.01, 0.06)
    )
    body = plain(rng, at, L.tone(rng, (0, 1), (0, 0.8), (0.1, 0.9)), 0.01)
    if N.chance(rng, 0.5):
        body = L.mix(body, L.any_colour(rng), cover(at, N.between(rng, -0.5, 0.2) - at.y) * np.float32(0.7))
    if N.chance(rng, 0.7):
        top, low = N.between(rng, -0.05, 0.2), N.between(rng, 0.5, 0.8)
        label = cover(at, np.maximum(top - at.y, at.y - low))
        body = L.mix(body, L.any_colour(rng), label)
        body = L.mix(body, L.any_colour(rng), text(rng, at.x, at.y, (-w * 0.7, top + 0.05, w * 0.7, low - 0.1), 2))
    body = L.mix(body, L.any_colour(rng), cover(at, at.y + N.between(rng, 0.7, 0.85)))
    return rgba(turned(rng, at, body, half, 0.9), cover(at, np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.99)))


def can(rng: Rng, size: int) -> Field:
    """A drink can or tin from the side: printed wall, metal ends."""
    at = place(rng, size, pose(rng), (0.72, 0.98))
    w = N.between(rng, 0.42, 0.75)
    half = profile(at, [(-0.98, w * 0.85), (-0.88, w), (0.9, w), (0.98, w * 0.85)], 0.01)
    body = matter(rng, at)
    body = L.mix(
        body, L.any_colour(rng), cover(at, np.abs(at.y - N.between(rng, -0.5, 0.5)) - N.between(rng, 0.05, 0.4))
    )
    body = L.mix(
        body, L.any_colour(rng), text(rng, at.x, at.y, (-w * 0.7, -0.3, w * 0.7, 0.3), int(rng.integers(1, 4)))
    )
    body = L.mix(body, L.grey(rng, 0.6, 0.85), cover(at, 0.9 - np.abs(at.y)))
    if N.chance(rng, 0.4):
        body = body * (1 + 0.08 * np.cos(at.y * N.between(rng, 20, 50)))[..., None]
    return rgba(turned(rng, at, body, half, 0.8), cover(at, np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.98)))


def tube(rng: Rng, size: int) -> Field:
    """A squeeze tube: crimped flat end, printed body, ribbed cap."""
    at = place(rng, size, pose(rng), (0.46, 0.98))
    w = N.between(rng, 0.26, 0.4)
    half = profile(at, [(-0.98, w * 1.15), (0.5, w * 0.85), (0.62, 0.12), (0.66, 0.17), (0.98, 0.15)], 0.01)
    body = plain(rng, at, None, 0.01)
    ink = L.any_colour(rng)
    body = L.mix(body, ink, cover(at, np.abs(at.y - N.between(rng, -0.6, 0.3)) - N.between(rng, 0.03, 0.25)))
    body = L.mix(body, L.any_colour(rng), text(rng, -at.y, at.x, (-0.4, -0.1, 0.75, 0.1)))
    crimp = cover(at, at.y + 0.86) * (0.85 + 0.1 * np.cos(at.x * 60))
    body = np.where((at.y < -0.86)[..., None], body * crimp[..., None], body)
    cap = L.any_colour(rng) * (0.9 + 0.1 * np.cos(at.x * 70))[..., None]
    body = L.mix(body, cap.astype(np.float32), cover(at, 0.64 - at.y))
    return rgba(turned(rng, at, body, half, 0.7), cover(at, np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.98)))


def screw(rng: Rng, size: int) -> Field:
    """A screw or bolt from the side: head, shank, thread, point."""
    at = place(rng, size, pose(rng), (0.36, 0.98))
    head, shank = N.between(rng, 0.2, 0.36), N.between(rng, 0.09, 0.17)
    pitch = N.around(rng, 0.05, 0.12)
    taper = N.pick(rng, [0.02, 0.3])
    start = N.between(rng, -0.7, -0.2)
    flat = N.chance(rng, 0.5)
    top = [(-0.98, head), (-0.75, head if flat else shank), (-0.73, shank)]
    half = profile(at, [*top, (0.98 - taper, shank), (0.98, 0.02 if taper > 0.1 else shank)], 0.005)
    wave = np.abs(np.mod((at.y + at.x * np.float32(pitch * 1.2)) / np.float32(pitch), 1) * 2 - 1)
    thread = N.ramp(at.y, start, start + 0.05)
    half = half * (1 - 0.22 * thread * wave)
    body = metal(rng, at) * (1 - 0.5 * thread * wave)[..., None]
    if flat and N.chance(rng, 0.6):  # a hexagon head's faces
        body = np.where((at.y < -0.75)[..., None], body * (0.8 + 0.3 * (np.abs(at.x) < head / 2))[..., None], body)
    return rgba(turned(rng, at, body, half, 0.8), cover(at, np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.98)))


def spring(rng: Rng, size: int) -> Field:
    """A coil spring from the side."""
    at = place(rng, size, pose(rng), (0.48, 0.96))
    coils, w, thick = int(rng.integers(5, 13)), N.between(rng, 0.25, 0.45), N.between(rng, 0.03, 0.06)
    pitch = np.float32(1.8 / coils)
    slope = pitch * 0.5 / np.float32(w)
    steel = L.grey(rng, 0.45, 0.8) if N.chance(rng, 0.8) else L.any_colour(rng)
    picture, alpha = L.solid(size, steel), np.zeros_like(at.x)
    ends = np.maximum(np.abs(at.x) - w, np.abs(at.y) - 0.9)
    for sign, light in ((-1, 0.4), (1, 1.0)):  # the far half of each turn, then the near
        phase = at.y + sign * at.x * slope * np.float32(0.5)
        d = np.maximum(N.fold(phase - pitch * np.float32(0.25 * sign), float(pitch)) - thick, ends)
        roundness = np.sqrt(np.clip(1 - ((d + thick) / thick) ** 2, 0, 1))
        wire = steel * (light * (0.35 + 0.75 * roundness))[..., None]
        picture, alpha = L.mix(picture, wire.astype(np.float32), cover(at, d)), np.maximum(alpha, cover(at, d))
    return rgba(picture, alpha)


def battery(rng: Rng, size: int) -> Field:
    """A round cell: wrapped body, metal ends, the small pole."""
    at = place(rng, size, pose(rng), (0.45, 0.97))
    w = N.between(rng, 0.26, 0.45)
    half = profile(at, [(-0.98, w * 0.35), (-0.9, w * 0.35), (-0.89, w), (0.97, w)], 0.005)
    split = N.between(rng, -0.6, 0.6)
    body = L.mix(plain(rng, at), plain(rng, at), cover(at, at.y - split))
    body = L.mix(
        body, L.any_colour(rng), text(rng, at.y, -at.x, (-0.6, -w * 0.4, 0.6, w * 0.4), int(rng.integers(1, 3)))
    )
    body = L.mix(body, L.grey(rng, 0.6, 0.85), cover(at, np.minimum(at.y + 0.82, 0.92 - at.y)))
    return rgba(turned(rng, at, body, half, 0.9), cover(at, np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.97)))


def bulb(rng: Rng, size: int) -> Field:
    """A lamp bulb: glass, filament or frosting, screw base."""
    at = place(rng, size, pose(rng), (0.45, 0.9))
    w, y = N.between(rng, 0.4, 0.58), at.y + np.float32(0.4)
    glass = np.minimum(
        np.hypot(at.x, y) - w,
        np.maximum(np.abs(at.x) - (0.24 + 0.3 * np.maximum(0.2 - at.y, 0)), np.abs(at.y - 0.15) - 0.3),
    )
    base = profile(at, [(0.4, 0.23), (0.85, 0.23), (0.97, 0.08)], 0.01)
    screw_d = np.maximum(np.abs(at.x) - base, np.maximum(0.4 - at.y, at.y - 0.97))
    r = np.clip(np.hypot(at.x, y) / np.float32(w), 0, 1.2)
    tint = L.tone(rng, (0, 1), (0, 0.4), (0.7, 0.98))
    body = tint * (0.95 - 0.4 * np.minimum(r, np.abs(at.x) / np.float32(w) + 0.45) ** 3)[..., None]
    if N.chance(rng, 0.6):
        wire = np.minimum(
            bar(np.abs(at.x), at.y, (0.06, 0.4, 0.15, -0.3), 0.012),
            np.abs(at.y + 0.32 + 0.03 * np.cos(at.x * 60)) - 0.015,
        )
        body = L.mix(body, L.grey(rng, 0.1, 0.3), cover(at, np.maximum(wire, np.abs(at.x) - 0.16)))
    spot = np.hypot(at.x + w * 0.4, y + w * 0.4) - 0.1
    body = L.mix(body, np.ones(3, np.float32), N.ramp(spot, 0.05, -0.1) * np.float32(0.8))
    brass = metal(rng, at) * (0.8 + 0.25 * np.cos((at.y + 0.1 * at.x) * 80))[..., None]
    body = L.mix(body, turned(rng, at, brass, base, 0.5), cover(at, 0.4 - at.y))
    return rgba(body.astype(np.float32), cover(at, np.minimum(glass, screw_d)))


def fuse(rng: Rng, size: int) -> Field:
    """A glass or ceramic fuse, resistor or ferrule: caps at both ends, bands between."""
    at = place(rng, size, pose(rng), (0.3, 0.98))
    w = N.between(rng, 0.16, 0.3)
    lead = N.chance(rng, 0.5)
    long = 0.6 if lead else 0.98
    half = profile(at, [(-long, w), (long, w)], 0.02)
    body = plain(rng, at)
    for _ in range(int(rng.integers(0, 5))):
        body = L.mix(body, L.any_colour(rng), cover(at, np.abs(at.y - N.between(rng, -0.4, 0.4)) - 0.045))
    body = L.mix(body, L.grey(rng, 0.6, 0.85), cover(at, long * 0.7 - np.abs(at.y)))
    d = np.maximum(np.abs(at.x) - half, np.abs(at.y) - long)
    body = turned(rng, at, body, half, 0.9)
    if lead:
        wire = np.maximum(np.abs(at.x) - 0.03, np.abs(at.y) - 0.98)
        steel = turned(rng, at, L.solid(size, L.grey(rng, 0.6, 0.85)), np.full_like(half, 0.03))
        body, d = L.mix(steel, body, cover(at, d)), np.minimum(d, wire)
    return rgba(body, cover(at, d))


def toothbrush(rng: Rng, size: int) -> Field:
    """A brush with a narrow handle and a head of tufts, from above or the side."""
    at = place(rng, size, pose(rng), (0.54, 0.95))
    neck = N.between(rng, 0.04, 0.08)
    half = profile(at, [(-0.97, 0.13), (-0.45, 0.14), (-0.3, neck), (0.2, neck + 0.06), (0.97, 0.09)], 0.05)
    d = np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.97)
    body = shaded(rng, at, plain(rng, at, None, 0.01), bevel(d, 0.08), 0.9, 0.6)
    alpha = cover(at, d)
    pitch = N.between(rng, 0.055, 0.085)
    if N.chance(rng, 0.5):  # from above: tufts as dots
        tuft = np.hypot(*grid(at.x, at.y + np.float32(0.72), (int(0.22 / pitch), int(0.45 / pitch)), (pitch, pitch)))
        tuft = tuft - np.float32(pitch * 0.4)
        bristle = L.mix(L.any_colour(rng), L.any_colour(rng), cover(at, np.abs(at.y + 0.72) - 0.1))
        return rgba(L.mix(body, bristle, cover(at, tuft)), alpha)
    tall = 0.5 + 0.03 * np.cos(at.y * 40)  # from the side: bristles stand out
    bristles = np.maximum(np.maximum(-at.x, at.x - tall), np.abs(at.y + 0.72) - 0.23)
    hair = L.any_colour(rng) * (0.8 + 0.25 * np.cos(at.y * np.float32(2 * np.pi / pitch)))[..., None]
    return rgba(L.mix(hair.astype(np.float32), body, alpha), np.maximum(alpha, cover(at, bristles)))


def comb(rng: Rng, size: int) -> Field:
    """A comb: back and teeth."""
    at = place(rng, size, pose(rng), (0.5, 0.97))
    pitch, back = N.around(rng, 0.05, 0.14), N.between(rng, 0.1, 0.2)
    long = N.between(rng, 0.2, 0.35)
    spine = box(at.x + long, at.y, back, 0.97, 0.06)
    tooth = N.fold(at.y, pitch) - pitch * 0.28 * (1 - 0.5 * np.clip((at.x + long) / (2 * long), 0, 1))
    teeth = np.maximum(np.maximum(tooth, np.abs(at.x) - long), np.abs(at.y) - 0.93)
    d = np.minimum(spine, teeth)
    return rgba(shaded(rng, at, matter(rng, at), bevel(d, 0.04), 0.9, 0.5), cover(at, d))


def ruler(rng: Rng, size: int) -> Field:
    """A ruler: ticks of three lengths and figures."""
    at = place(rng, size, pose(rng), (0.28, 0.98))
    w = N.between(rng, 0.14, 0.28)
    d = box(at.x, at.y, w, 0.98, 0.02)
    body = plain(rng, at) if N.chance(rng, 0.5) else matter(rng, at)
    ink = L.apart(rng, body.mean((0, 1)))
    pitch = N.around(rng, 0.035, 0.06)
    for every, long in ((1, 0.25), (5, 0.4), (10, 0.6)):
        tick = np.maximum(N.fold(at.y, pitch * every) - 0.008, -at.x - w + 0 * at.y)
        body = L.mix(body, ink, cover(at, np.maximum(tick, at.x + w - long * w)))
    body = L.mix(
        body, ink, text(rng, at.y, -at.x, (-0.95, -w * 0.8, 0.95, -w * 0.15)) * np.float32(N.pick(rng, [0, 1]))
    )
    return rgba(shaded(rng, at, body, bevel(d, 0.03), 0.6, 0.3), cover(at, d))


def key(rng: Rng, size: int) -> Field:
    """A flat key: bow with a hole, blade with cuts and a groove."""
    at = place(rng, size, pose(rng), (0.38, 0.9))
    bow_r = N.between(rng, 0.28, 0.4)
    y = at.y + np.float32(0.97 - bow_r)
    bow = np.hypot(at.x, y) - bow_r if N.chance(rng, 0.5) else box(at.x, y, bow_r, bow_r * 0.85, 0.12)
    hole = np.hypot(at.x, y + bow_r * 0.5) - N.between(rng, 0.06, 0.11)
    w = N.between(rng, 0.1, 0.15)
    cuts = N.streak(rng, np.round(at.y * 9) / 9 * 50, 2) * np.float32(0.035)
    blade = np.maximum(np.maximum(-w - at.x, at.x - w + np.abs(cuts) * (at.y > 0)), np.abs(at.y - 0.3) - 0.67)
    blade = np.maximum(blade, (at.y - 0.97 + np.abs(at.x)) * 0.7)
    d = np.maximum(np.minimum(bow, blade), -hole)
    groove = cover(at, np.maximum(np.abs(at.x + w * 0.3) - 0.02, np.abs(at.y - 0.4) - 0.5))
    body = L.mix(metal(rng, at), metal(rng, at) * np.float32(0.6), groove)
    return rgba(shaded(rng, at, body, bevel(d, 0.04), 0.9, 0.6), cover(at, d))


def zipper(rng: Rng, size: int) -> Field:
    """A closed zip on its tape."""
    at = place(rng, size, pose(rng), (0.6, 0.97))
    w, pitch = N.between(rng, 0.35, 0.6), N.around(rng, 0.07, 0.16)
    tape = plain(rng, at, None, 0.06) * (1 + 0.06 * np.cos(at.y * 90) * np.cos(at.x * 90))[..., None]
    side = np.float32(pitch / 2) * (at.x > 0)
    tooth = np.maximum(N.fold(at.y + side, pitch) - pitch * 0.32, np.abs(np.abs(at.x) - 0.06) - 0.09)
    teeth = shaded(rng, at, metal(rng, at), bevel(tooth, 0.03), 1, 0.6)
    picture = L.mix(tape, teeth, cover(at, tooth))
    seam = N.fold(at.y, 0.07) - 0.022
    stitch = cover(at, np.maximum(np.abs(np.abs(at.x) - w * 0.8) - 0.012, seam))
    picture = L.mix(picture, L.any_colour(rng), stitch)
    if N.chance(rng, 0.4):  # the slider
        pull = box(at.x, at.y - N.between(rng, -0.5, 0.5), 0.16, 0.14, 0.05)
        picture = L.mix(picture, shaded(rng, at, metal(rng, at), bevel(pull, 0.06), 1, 0.6), cover(at, pull))
    return rgba(picture, cover(at, box(at.x, at.y, w, 0.97)))


def brush(rng: Rng, size: int) -> Field:
    """A paint brush: handle, ferrule, bristles."""
    at = place(rng, size, pose(rng), (0.43, 0.97))
    w = N.between(rng, 0.16, 0.42)
    half = profile(at, [(-0.97, w * 0.95), (-0.35, w), (0.0, w), (0.25, 0.09), (0.97, 0.06)], 0.02)
    half = half * (1 + 0.03 * N.streak(rng, at.x * 60, 2) * (at.y < -0.8))
    hair = L.any_colour(rng) * (0.8 + 0.12 * N.streak(rng, at.x * at.px, 1.5))[..., None]
    steel = L.grey(rng, 0.5, 0.8) * (1 + 0.1 * np.cos(at.y * 70))[..., None]
    body = L.mix(plain(rng, at), steel.astype(np.float32), cover(at, at.y - 0.02))
    body = L.mix(body, hair.astype(np.float32), cover(at, at.y + 0.35))
    return rgba(turned(rng, at, body, half, 0.5), cover(at, np.maximum(np.abs(at.x) - half, np.abs(at.y) - 0.97)))


def spanner(rng: Rng, size: int) -> Field:
    """A wrench: jaws, shaft, a ring at the other end."""
    at = place(rng, size, pose(rng), (0.25, 0.9))
    head, tail = N.between(rng, 0.24, 0.34), N.between(rng, 0.16, 0.26)
    y = at.y + np.float32(0.97 - head)
    jaw = np.maximum(np.hypot(at.x, y) - head, -box(at.x, y + head * 0.7, head * 0.45, head * 0.8))
    eye = np.maximum(np.hypot(at.x, at.y - 0.97 + tail) - tail, tail * 0.55 - np.hypot(at.x, at.y - 0.97 + tail))
    shaft = box(at.x, at.y, N.between(rng, 0.07, 0.12), 0.97 - tail * 1.6)
    shaft = np.maximum(shaft, -(np.hypot(at.x, y + head * 0.1) - head * 0.45))
    d = np.minimum(np.minimum(jaw, eye), shaft)
    height = bevel(d, 0.05) + 0.02 * text(rng, at.y, -at.x, (-0.3, -0.05, 0.3, 0.05))
    return rgba(shaded(rng, at, metal(rng, at), height, 0.9, 0.6), cover(at, d))


LONG = {
    "bottle": bottle,
    "can": can,
    "squeeze tube": tube,
    "screw": screw,
    "spring": spring,
    "battery": battery,
    "light bulb": bulb,
    "fuse": fuse,
    "toothbrush": toothbrush,
    "comb": comb,
    "ruler": ruler,
    "key": key,
    "zipper": zipper,
    "paint brush": brush,
    "spanner": spanner,
}
