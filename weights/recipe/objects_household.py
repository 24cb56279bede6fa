"""Things of kitchen, table and home, and food with a regular structure, in the manners of several renderers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import Place, around_centre, bevel, box, cover, disc, grid, place, polygon, rgba, text


class Look(NamedTuple):
    """The renderer of an object at `at`: its manner 0..3, the way to the lamp in the picture, contrast and gloss."""

    at: Place
    manner: int
    lx: float
    ly: float
    power: float
    gloss: float


def begin(rng: Rng, size: int, turn: float, corner: tuple[float, float] = (0, 0)) -> tuple[Look, Place, Field, Field]:
    """(Renderer, place, radius, angle) of an object; the lamp is at the upper left more often than not."""
    at = place(rng, size, turn, corner)
    lamp = N.between(rng, -2.8, -1.2) if N.chance(rng, 0.6) else N.between(rng, -np.pi, np.pi)
    strength = N.between(rng, 0.5, 1.2), N.between(rng, 0.1, 0.9)
    return Look(at, int(rng.integers(4)), float(np.cos(lamp)), float(np.sin(lamp)), *strength), at, *N.polar(at.x, at.y)


def lit(how: Look, body: Field, height: Field) -> Field:
    """The body, a picture or a colour [3], over a height in units of the object, drawn in the manner of `how`."""
    at, h = how.at, height * np.float32(how.at.px)
    gx, gy = L.slopes(h)
    up = 1 / np.sqrt(1 + gx * gx + gy * gy)
    facing = -(gx * how.lx + gy * how.ly) * up
    spot = np.zeros_like(h)
    if how.manner == 0:  # a lamp at half height and its highlight
        light = 0.35 + 0.65 * np.maximum(up + facing * (how.power * 1.1), 0)
        spot = np.maximum(up * 0.88 + facing * 0.47, 0) ** 24 * N.ramp(facing, 0.05, 0.35)
    elif how.manner == 1:  # matt: hollows dark, a lamp as wide as the sky
        hollow = N.blur(h, max(1.0, 0.05 * at.px)) - h
        light = 1 + 0.4 * how.power * facing - np.clip(hollow * (0.22 * how.power), -0.12, 0.5)
    elif how.manner == 2:  # cel-like: three flat tones with hard edges
        light = 1 + how.power * (0.38 * N.ramp(facing, 0.16, 0.3) - 0.42 * N.ramp(facing, -0.16, -0.3))
        spot = N.ramp(facing, 0.62, 0.7) * 0.7
    else:  # an icon: one gradient over all, contours in ink, bright edges
        sky = N.centred(at.size)[1] * (-0.5 / at.size)
        light = 1.04 + how.power * (sky + 0.55 * facing) - 0.45 * np.minimum(1 - up, 0.6)
        spot = N.ramp(facing, 0.3, 0.75) * 0.55
    picture = body * np.clip(light, 0.12, 1.6)[..., None]
    return picture + (spot * how.gloss)[..., None] * np.clip(1 - picture, 0, 1)


def away(how: Look, field: Field, by: float) -> Field:
    """The field moved `by` units away from the lamp."""
    step = max(1.0, by * how.at.px)
    return np.roll(field, (-round(how.ly * step), -round(how.lx * step)), (0, 1))


def sunk(how: Look, picture: Field, d: Field, floor: Field) -> Field:
    """Holes where d < 0: their floor in the shadow of the wall next to the lamp, a bright lip across."""
    mask = cover(how.at, d)
    moved = away(how, mask, 0.04)
    lip = (moved * (1 - mask) * (0.3 * how.power))[..., None]
    return L.mix(picture + lip * (1 - picture), floor * (0.4 + 0.6 * moved * mask)[..., None], mask)


def laid(how: Look, ground: Field, body: Field, d: Field, height: Field, *, lift: float = 0.03) -> Field:
    """A part laid on the ground, with the shadow that it casts."""
    mask = cover(how.at, d)
    shade = N.blur(away(how, mask, lift), max(0.5, lift * how.at.px * 0.5)) * (0.5 * how.power)
    return L.mix(ground * (1 - np.minimum(shade, 0.6))[..., None], lit(how, body, height), mask)


def raised(d: Field, soft: float = 0.02) -> Field:
    """1 where d < 0 and 0 outside, with a slope `soft` wide to each side."""
    return N.ramp(d, soft, -soft)


def baked(rng: Rng, at: Place, crust: Field) -> Field:
    """Dough, browner where `crust` is near 1, with a fine crumb."""
    pale = L.tone(rng, (0.08, 0.12), (0.35, 0.6), (0.8, 0.95))
    brown = L.tone(rng, (0.05, 0.09), (0.6, 0.8), (0.35, 0.62))
    t = crust * N.between(rng, 0.2, 0.7) + 0.3 + 0.06 * N.fbm(rng, at.size, at.size * 0.2, 3)
    return L.mix(pale, brown, np.clip(t, 0, 1)) * (1 + 0.025 * N.white(rng, at.size, at.size))[..., None]


def steel(rng: Rng, at: Place) -> Field:
    """Steel, brass or copper, turned with fans of light or brushed; or enamel."""
    if N.chance(rng, 0.2):
        return L.solid(at.size, L.any_colour(rng))
    yellow = L.tone(rng, N.pick(rng, [(0.1, 0.14), (0.03, 0.06)]), (0.35, 0.65), (0.65, 0.9))
    marks = N.fibres(rng, at.size, N.between(rng, 0, np.pi), N.around(rng, 15, 50), 0.6) * 0.05
    r, angle = N.polar(at.x, at.y)
    if N.chance(rng, 0.6):
        fan = np.abs(np.cos(angle * int(rng.integers(1, 3)) + N.between(rng, 0, 6))) ** N.around(rng, 2, 12)
        marks = N.streak(rng, r * np.float32(at.px), 1.2) * 0.03 + fan * N.between(rng, 0.1, 0.4) - 0.1
    return (yellow if N.chance(rng, 0.4) else L.grey(rng, 0.5, 0.85, 0.02)) * (1 + marks)[..., None]


def motif(rng: Rng, x: Field, y: Field, r: float) -> Field:
    """The distance of a small ornament of radius r: dot, lozenge, flower, square, ring or star."""
    kind, a, b = int(rng.integers(6)), np.abs(x), np.abs(y)
    radius, angle = N.polar(x, y)
    if kind < 2:
        return radius - r * (0.68 + 0.32 * np.cos(int(rng.integers(4, 9)) * angle))
    square, ring, star = polygon(x, y, 4, r * 0.6), np.abs(radius - r * 0.7) - r * 0.25, np.minimum(a, b) + radius - r
    return [(a + b * 1.5 - r) * 0.6, square, ring, star][kind - 2]


def letters(rng: Rng, x: Field, y: Field, w: float, h: float) -> Field:
    """Letters about the middle, as many as the box of half sides w, h holds, two rows of them in some."""
    rows = 2 if h > 0.2 and w > h and N.chance(rng, 0.4) else 1
    return text(rng, x, y, (-w, -h, w, h), rows, letters=max(1, round(w / h * rows / 0.75)))


def waffle(rng: Rng, size: int) -> Field:
    """A waffle: round, of five hearts or square; pockets and rim; butter or a ring of berries on some."""
    kind, w, h = int(rng.integers(3)), N.between(rng, 0.72, 0.92), N.between(rng, 0.6, 0.92)
    how, at, r, angle = begin(rng, size, 0.15 if kind == 2 else np.pi, (w, h) if kind == 2 else (0, 0))
    hearts = np.abs(np.cos(angle * 2.5))
    d = [r - 0.96, r - 0.8 - 0.16 * hearts**0.6, box(at.x, at.y, w, h, 0.1)][kind]
    pitch = N.around(rng, 0.19, 0.36)
    x, y = (at.x, at.y) if N.chance(rng, 0.6) else ((at.x + at.y) * 0.7071, (at.x - at.y) * 0.7071)
    pocket = np.maximum(N.fold(x, pitch), N.fold(y, pitch)) - pitch * N.between(rng, 0.3, 0.38)
    seam = 0.05 - hearts * r * 0.4 if kind == 1 else d  # the ridges between the hearts
    pocket = np.maximum(np.maximum(pocket, d + N.between(rng, 0.05, 0.12)), seam)
    body = baked(rng, at, raised(-pocket, 0.04))
    height = 0.07 * raised(-pocket, 0.035) + bevel(d, 0.07)
    picture = sunk(how, lit(how, body, height), pocket + 0.03, body * 0.85)
    butter, berries = N.chance(rng, 0.4), around_centre(at.x, at.y, int(rng.integers(4, 9)), 0.5)
    top = box(at.x, at.y, 0.2, 0.18, 0.05) if butter else np.hypot(*berries) - N.between(rng, 0.08, 0.13)
    colour = L.hsv(0.14, 0.5, 0.98) if butter else L.tone(rng, (0.6, 1), (0.6, 0.9), (0.3, 0.8))
    picture = laid(how, picture, colour, top, bevel(top, 0.08), lift=0.05) if N.chance(rng, 0.6) else picture
    return rgba(picture, cover(at, d))


def chocolate_bar(rng: Rng, size: int) -> Field:
    """A bar of chocolate: bevelled pieces, each with the same embossed or sunk letters or ornament."""
    columns, rows, aspect = int(rng.integers(2, 7)), int(rng.integers(2, 6)), N.between(rng, 0.75, 1.5)
    wide, tall = 1.7 / max(columns, rows * aspect), 1.7 / max(columns / aspect, rows)
    w, h = columns * wide / 2 + 0.04, rows * tall / 2 + 0.04
    how, at, *_ = begin(rng, size, 0.12 if N.chance(rng, 0.6) else np.pi, (w, h))
    x, y = grid(at.x, at.y, (columns, rows), (wide, tall))
    d = box(at.x, at.y, w, h, 0.03)
    piece, slope = box(x, y, wide / 2 - 0.015, tall / 2 - 0.015, N.between(rng, 0, 0.06)), N.between(rng, 0.04, 0.09)
    height = np.clip(-piece, 0, slope) * N.between(rng, 0.6, 1.1) + bevel(d, 0.03)
    a, b = wide / 2 - slope - 0.035, tall / 2 - slope - 0.035
    word, figure = letters(rng, x, y, a, min(b, a * 0.75)), raised(motif(rng, x, y, min(a, b) * 0.85), 0.012)
    height = height + N.pick(rng, [0.04, 0.03, -0.03]) * (word if N.chance(rng, 0.6) else figure)
    height = height + N.pick(rng, [0, 0.012]) * raised(np.abs(box(x, y, a, b, 0.02)) - 0.012, 0.01)
    kinds = [(0.05, 0.65, 0.3), (0.06, 0.6, 0.42), (0.11, 0.25, 0.93), (0.97, 0.35, 0.75), (0.05, 0.6, 0.36)]
    body = L.near(rng, L.hsv(*N.pick(rng, kinds)), 0.04) * (1 + 0.03 * N.smooth(rng, size, size * 0.3))[..., None]
    return rgba(lit(how, body, height), cover(at, d))


def citrus_slice(rng: Rng, size: int) -> Field:
    """A slice of orange, lemon, lime or grapefruit: rind, pith, segments of juicy fibres, pips in some."""
    how, at, r, angle = begin(rng, size, np.pi)
    count, hue = int(rng.integers(8, 13)), N.pick(rng, [0.08, 0.14, 0.24, 0.01, 0.1])
    x, y = around_centre(at.x, at.y, count, 0.0)
    flesh = np.maximum(np.abs(y) + N.between(rng, 0.015, 0.03) - x * np.tan(np.pi / count), 0.1 - x)
    flesh = np.maximum(flesh, np.hypot(x, y) - N.between(rng, 0.76, 0.86) + 0.25 * np.abs(y) ** 1.5)
    fibre = N.streak(rng, angle * 24, 1) * N.streak(rng, r * 14 + 3 * N.streak(rng, angle * 24, 1), 1)
    body = L.mix(L.hsv(hue, 0.12, 0.97), L.hsv(hue, 0.85, 0.92) * (1 + 0.1 * fibre)[..., None], cover(at, flesh))
    body = L.mix(body, L.hsv(hue, 0.9, 0.85), N.ramp(r, 0.88, 0.92))
    height = bevel(r - 0.97, 0.06) + 0.5 * np.minimum(bevel(flesh, 0.1), 0.06) + 0.0015 * fibre * raised(flesh)
    picture, pip = lit(how, body, height), np.hypot((x - 0.3) * 0.6, y) - 0.035
    pips = laid(how, picture, L.hsv(0.12, 0.3, 0.9), pip, bevel(pip, 0.04), lift=0.02)
    return rgba(pips if N.chance(rng, 0.4) else picture, cover(at, r - 0.97))


def lattice_pie(rng: Rng, size: int) -> Field:
    """A pie: a fluted rim of dough, woven strips, between them a glossy filling of berries."""
    how, at, r, angle = begin(rng, size, np.pi)
    flutes = np.cos(angle * int(rng.integers(18, 44)) + r * N.pick(rng, [0, 0, 12]))
    inner, pitch = N.between(rng, 0.74, 0.82), N.around(rng, 0.22, 0.4)
    wide, small = pitch * N.between(rng, 0.2, 0.34), pitch * 0.2
    a, b = N.fold(at.x, pitch) - wide, N.fold(at.y, pitch) - wide
    over = np.where(np.round(at.x / pitch) % 2 == np.round(at.y / pitch) % 2, 0.05, -0.05).astype(np.float32)
    strips = np.maximum(bevel(a, wide) + over * (a < 0), bevel(b, wide) - over * (b < 0)) + 0.08
    berry = disc(N.fold(at.x + pitch / 2, pitch / 2), N.fold(at.y + pitch / 2, pitch / 2), small)
    picture = lit(how, L.tone(rng, (0.92, 1.12), (0.7, 0.95), (0.3, 0.8)), bevel(berry, small))
    dough = baked(rng, at, strips * 5 - 0.6 + flutes * 0.2)
    picture = laid(how, picture, dough, np.minimum(a, b), strips, lift=0.05)
    rim = bevel(np.abs(r - (inner + 0.96) / 2) - (0.96 - inner) / 2, 0.1) + 0.025 * flutes
    return rgba(laid(how, picture, dough, inner - r, rim, lift=0.05), cover(at, r - 0.95 - 0.02 * flutes))


def painted_plate(rng: Rng, size: int) -> Field:
    """A decorated plate: well and rim, painted bands, ornaments round the rim, an ornament or letters in the middle."""
    how, at, r, angle = begin(rng, size, np.pi)
    well, lobes = N.between(rng, 0.52, 0.68), np.cos(angle * int(rng.integers(6, 24)))
    d = r - 0.96 + N.pick(rng, [0, 0, 0.02, 0.03]) * (1 - lobes)
    glaze = L.grey(rng, 0.82, 0.97, 0.02) if N.chance(rng, 0.7) else L.any_colour(rng)
    inks = [L.apart(rng, glaze), L.any_colour(rng), L.hsv(0.12, 0.6, 0.8)]
    body = L.mix(L.solid(size, glaze), inks[1], cover(at, np.maximum(well + 0.06 - r, d + 0.05)) * N.pick(rng, [0, 1]))
    for far in (well + 0.05, 0.92, N.between(rng, 0.3, 0.45)):
        body = L.mix(body, N.pick(rng, inks), cover(at, np.abs(r - far) - N.around(rng, 0.008, 0.025)))
    count, wide = int(rng.integers(6, 25)), (0.94 - well) / 3.2
    for turn, small in ((0, 1.0), (np.pi / count, N.between(rng, 0.3, 0.7))):
        u, v = around_centre(at.x, at.y, count, (well + 1.02) / 2, turn)
        body = L.mix(body, inks[turn > 0], cover(at, motif(rng, u, v, small * min(wide, 2.2 / count))))
    middle = letters(rng, at.x, at.y, N.between(rng, 0.1, 0.24), 0.14)
    middle = middle if N.chance(rng, 0.5) else cover(at, motif(rng, at.x, at.y, N.between(rng, 0.15, 0.27)))
    gadroons = N.pick(rng, [0, 0.012]) * lobes * N.ramp(r, well + 0.05, 0.9)
    height = N.ramp(r, well, well + 0.1) * 0.1 + bevel(d, 0.04) + gadroons
    return rgba(lit(how, L.mix(body, inks[0], middle), height), cover(at, d))


def colander(rng: Rng, size: int) -> Field:
    """A colander, sieve plate or sink strainer: a bowl with rings, rays or rows of holes, rim, lugs on some."""
    how, at, r, _ = begin(rng, size, np.pi)
    wide, pitch, kind = N.pick(rng, [0.8, 0.8, 0.96]), N.around(rng, 0.11, 0.18), int(rng.integers(3))
    turn, holes = N.pick(rng, [0, 0, 0.4]), np.full_like(r, 9)
    for k in range(1, int((wide - 0.14) / pitch) + 1):  # rings, or rays of holes that grow outward
        near = np.hypot(*around_centre(at.x, at.y, 18 if kind == 1 else 6 * k, k * pitch, turn * k))
        holes = np.minimum(holes, near / (0.3 + 0.1 * k) if kind == 1 else near)
    if kind == 2:
        row = np.round(at.y / np.float32(pitch * 0.87))
        holes = np.hypot(N.fold(at.x + row % 2 * np.float32(pitch / 2), pitch), at.y - row * np.float32(pitch * 0.87))
    bowl = np.maximum(r - wide + 0.12, N.pick(rng, [-1, 0.09]) - r)
    holes = np.where(bowl + pitch * 0.3 < 0, holes, 9).astype(np.float32) - pitch * N.between(rng, 0.22, 0.32)
    height = 0.35 * r * r * raised(bowl, 0.03) + bevel(np.abs(r - wide + 0.05) - 0.05, 0.05) * 1.4
    ears = np.abs(np.hypot(np.abs(at.x) - wide, at.y) - 0.135) - 0.035 if wide < 0.9 else r
    body = steel(rng, at)
    picture = lit(how, body, np.where(r < wide, height, bevel(ears, 0.04)))
    return rgba(sunk(how, picture, holes, body * N.pick(rng, [0.1, 0.3])), cover(at, np.minimum(r - wide, ears)))


def soap_bar(rng: Rng, size: int) -> Field:
    """A bar of soap: an embossed name in a sunk panel, a frame line, scallops, ornaments beside the name."""
    w, h = N.between(rng, 0.75, 0.97), N.between(rng, 0.48, 0.72)
    how, at, *_ = begin(rng, size, 0.2 if N.chance(rng, 0.6) else np.pi, (w, h))
    oval = (np.hypot(at.x / w, at.y / h) - 1) * h
    d = oval if N.chance(rng, 0.4) else box(at.x, at.y, w, h, N.between(rng, 0.08, h))
    panel = d + N.between(rng, 0.16, 0.24)
    height = bevel(d, N.between(rng, 0.12, 0.3)) * 0.9 - 0.03 * raised(panel, 0.03)
    height = height + 0.02 * raised(np.abs(panel + 0.06) - 0.012, 0.012)
    height = height + N.pick(rng, [0.04, -0.04]) * letters(rng, at.x, at.y, w * 0.56, h * N.between(rng, 0.22, 0.36))
    scallops = np.cos(np.arctan2(at.y * w, at.x * h) * int(rng.integers(16, 40))) * raised(-panel - 0.03)
    u, v = grid(at.x, at.y, (2, 1), (w * 1.48, 1))
    height = height + N.pick(rng, [0, 0.02]) * scallops + N.pick(rng, [0, 0.03]) * raised(motif(rng, u, v, 0.07), 0.012)
    return rgba(lit(how, L.tone(rng, (0, 1), (0.05, 0.5), (0.7, 0.98)), height), cover(at, d))


def tea_tin_lid(rng: Rng, size: int) -> Field:
    """The lid of a tea tin: round, eight-sided or square; printed bands and letters, embossed beads and ornament."""
    kind, w = int(rng.integers(3)), N.between(rng, 0.7, 0.92)
    how, at, r, _ = begin(rng, size, np.pi if kind < 2 else 0.3, (0, 0) if kind < 2 else (w, w))
    d = [r - 0.96, polygon(at.x, at.y, 8, 0.9), box(at.x, at.y, w, w, 0.12)][kind]
    inks, band = [L.any_colour(rng), L.any_colour(rng), L.hsv(0.12, 0.55, 0.85)], N.between(rng, 0.36, 0.42)
    body = L.mix(steel(rng, at), inks[0], cover(at, d + N.between(rng, 0.06, 0.12)))
    body = L.mix(body, inks[1], cover(at, r - band))
    low, tall, reach = band + 0.06, N.between(rng, 0.12, 0.17), N.between(rng, 0.5, 1.2)  # letters round the middle
    name = text(rng, np.arctan2(at.x, -at.y) * low, -r, (-reach, -low - tall, reach, -low))
    body = L.mix(body, L.apart(rng, inks[0]), name)
    lines = np.minimum(np.abs(r - band), np.abs(d + 0.13)) - N.around(rng, 0.008, 0.02)
    beads = np.hypot(*around_centre(at.x, at.y, int(rng.integers(24, 48)), band - 0.05)) - 0.018
    mark = letters(rng, at.x, at.y, N.between(rng, 0.1, 0.26), 0.14)
    mark = mark if N.chance(rng, 0.5) else raised(motif(rng, at.x, at.y, band * 0.66))
    body = L.mix(body, inks[2], np.maximum(mark, cover(at, np.minimum(beads, lines))))
    height = bevel(d, 0.06) * 0.8 - 0.03 * raised(d + 0.13, 0.03) + 0.02 * raised(lines, 0.015)
    return rgba(lit(how, body, height + 0.03 * mark + 0.8 * bevel(beads, 0.02)), cover(at, d))


def brooch(rng: Rng, size: int) -> Field:
    """A brooch: a faceted stone or a cameo letter in a corded setting, pearls, a border of pierced or set petals."""
    how, at, *_ = begin(rng, size, np.pi)
    y = at.y * N.pick(rng, [1, 1, 1.25, 1.45])
    r, angle = N.polar(at.x, y)
    count, stone, gold = int(rng.integers(6, 17)), N.between(rng, 0.32, 0.46), steel(rng, at)
    border = r - 0.84 - N.between(rng, 0.05, 0.12) * np.abs(np.cos(angle * count / 2)) ** 0.7
    u, v = around_centre(at.x, y, count, stone + 0.34)
    petals, rope = motif(rng, u, v, min(0.09, 1.2 / count)), np.abs(r - stone - 0.05) - 0.05
    cord = np.cos(angle * int(rng.integers(30, 60)) + r * 40) * raised(rope)
    height = bevel(border, 0.06) + bevel(rope, 0.05) + 0.02 * cord + 0.02 * raised(np.abs(border + 0.06) - 0.01)
    picture = sunk(how, lit(how, gold, height), petals, gold * 0.3 if N.chance(rng, 0.5) else L.any_colour(rng))
    pearls = np.hypot(*around_centre(at.x, y, int(rng.integers(18, 30)), stone + 0.16)) - 0.055
    picture = laid(how, picture, L.tone(rng, (0, 1), (0, 0.2), (0.85, 1)), pearls, bevel(pearls, 0.055), lift=0.02)
    sides, step = int(rng.integers(3, 6)) * 2, 0.5 * (r > stone * 0.72)  # facets of the girdle lie between the others
    facet = (np.round(angle * (sides / (2 * np.pi)) + step) - step).astype(np.float32) * (2 * np.pi / sides)
    light = 0.75 + 0.4 * np.cos(facet - N.between(rng, 0, 6)) + 0.2 * np.cos(3 * facet)
    light = np.where(polygon(at.x, y, sides, stone * 0.45) < 0, N.between(rng, 0.9, 1.3), light)
    gem = L.tone(rng, (0, 1), (0.3, 0.95), (0.5, 0.95)) * light[..., None]
    if N.chance(rng, 0.3):
        gem = L.mix(L.any_colour(rng) * 0.7, L.hsv(0.12, 0.04, 0.97), letters(rng, at.x, y, stone * 0.4, stone * 0.55))
    return rgba(laid(how, picture, gem, r - stone, bevel(r - stone, 0.05), lift=0.02), cover(at, border * 0.8))


HOUSEHOLD: dict[str, Callable[[Rng, int], Field]] = {
    "waffle": waffle,
    "chocolate bar": chocolate_bar,
    "citrus slice": citrus_slice,
    "pie with lattice": lattice_pie,
    "painted plate": painted_plate,
    "colander": colander,
    "soap bar": soap_bar,
    "tea tin lid": tea_tin_lid,
    "brooch": brooch,
}
