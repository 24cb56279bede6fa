"""Things without a name: outline, zones, repeated features and unique ones, composed by a small grammar.

No two look alike, but each is orderly: its features come in rings, grids, rows and pairs, none is cut, none missing.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from . import light as L
from . import noise as N
from .assembly_parts import TAU, Layout, Work, grid, palette, render, ring, shape
from .noise import Field, Rng
from .outlines import Place, around_centre, bevel, box, cover, disc, place, polygon, profile, text

FEELS = ["enamel", "brushed", "turned", "cast", "wood", "leather", "stone", "cloth", "rubber", "glass", "print"]


def edged(rng: Rng, base: Field, x: Field, y: Field, c: float) -> Field:
    """The base with a figure cut from its edge wherever (x, y) is 0, or set on it if c < 0: teeth, notches, ears."""
    add, c, ratio = c < 0, abs(c), N.between(rng, 0.5, 1)
    wedge = np.maximum(np.abs(y) - c * (0.75 + 0.2 * ratio) + np.abs(x) * 0.3, np.abs(x) - c)
    figure = N.pick(rng, [disc(x, y, c), box(x, y, c, c * ratio, c * 0.1), wedge])
    return np.minimum(base, figure) if add else np.maximum(base, -figure)


def disc_outline(rng: Rng, at: Place) -> tuple[Field, int]:
    """Round the middle, and its order: circle, polygon, lobes, star, scallops, or a circle with an edge."""
    (r, angle), k = N.polar(at.x, at.y), int(rng.integers(*((3, 11) if N.chance(rng, 0.65) else (11, 41))))
    deep, kind, few, wave = N.between(rng, 0.3, 1.2) / max(k, 5), int(rng.integers(9)), max(k % 9, 3), np.cos(k * angle)
    if kind == 0:
        return polygon(at.x, at.y, few, float(np.cos(np.pi / few)), N.between(rng, 0, 0.5)), few
    if kind < 5:
        arch, cusp = 2 * np.abs(np.cos(k / 2 * angle)) - 1, 1 - 2 * np.abs(np.sin(k / 2 * angle))
        return (r - (1 - deep + deep * N.pick(rng, [wave, np.arcsin(wave * 0.99) / 1.5, arch, cusp]))) * 0.8, k
    c = N.pick(rng, [-1, 1]) * min(N.between(rng, 0.35, 0.65) * np.pi / k, 0.2)
    rim, (x, y) = r - min(1 + c, 1), around_centre(at.x, at.y, k, min(1 + c, 1))
    return (edged(rng, rim, x, y, c), k) if kind > 5 else (r - 1, k)


def plate_outline(rng: Rng, at: Place, w: float, h: float) -> Field:
    """Box, cut corners, ellipse, shield or leaf, plain or edged: at the corners, the sides or all along them."""
    x, y, add, where = np.abs(at.x), np.abs(at.y), N.chance(rng, 0.4), int(rng.integers(7))
    c, p, leaf = min(w, h) * N.between(rng, 0.1, 0.35), 2 * h / int(rng.integers(4, 14)), (h * h - w * w) / w / 2
    if where == 0:
        shield, ellipse = np.hypot(x, np.maximum(at.y + min(w, h) - h, 0)) - w, np.sqrt((x / w) ** 2 + (y / h) ** 2) - 1
        kinds = [ellipse * (min(w, h) * 0.9), np.maximum(shield, y - h), np.hypot(x + leaf, y) - w - leaf]
        return N.pick(rng, kinds[: 3 if h > w else 1])
    c = p * 0.35 if where == 1 else c
    w -= c * (add and where < 6)
    b, cut = box(x, y, w, h, N.pick(rng, [0.02, 0.3, 1.0]) * c), (x + y - w - h + c * N.pick(rng, [0, 0, 1])) * 0.7
    comb = np.where(y < h, N.fold(at.y + h - p / 2, p), np.float32(9))
    sides = [comb, comb, at.y - N.between(rng, -0.5, 0.5) * h, y, y - h + c * add, y - h + c * add, y]
    return edged(rng, np.maximum(b, cut), x - w, sides[where], -c if add else c) if where < 6 else np.maximum(b, cut)


def bar_outline(rng: Rng, at: Place, w: float) -> Field:
    """Along y: straps, links, racks; stepped, tapered or waisted shafts, mirrored end to end in some."""
    x, y, kind, p = np.abs(at.x), np.abs(at.y), int(rng.integers(9)), 2 / int(rng.integers(8, 24))
    if kind == 0:
        return box(x, y, w, 1, w * N.pick(rng, [0.1, 0.5, 1.0]))
    if kind == 1:
        return np.minimum(disc(x, y - (1 - w), w), box(x, y, w * N.between(rng, 0.5, 0.8), 1 - w))
    if kind == 2:
        comb = np.where(y < 1, N.fold(at.y + 1 - p / 2, p), np.float32(9))
        return edged(rng, box(x, y, w - p / 3, 1), x - w + p / 3, comb, N.pick(rng, [-p / 3, p / 3]))
    count, reach = int(rng.integers(2, 6)), N.pick(rng, [1, 2])  # 1: mirrored end to end
    wide, edges = rng.uniform(0.5, 1, count), np.linspace(0, 1, count + 1) ** N.around(rng, 0.6, 1.6)
    edges = np.repeat(edges, 2)[1:-1] + np.tile([0, -N.pick(rng, [0.02, 0.4 / count])], count)
    edges, wide = np.pad(edges * reach + 1 - reach, 1, constant_values=(-2, 2)), np.repeat(wide / wide.max() * w, 2)
    knots = list(zip(edges, np.pad(wide, 1, "edge"), strict=True))
    half = profile(Place(at.x, y if reach == 1 else at.y, at.px), knots, N.around(rng, 0.005, 0.06)).astype(np.float32)
    return np.maximum(np.maximum(x - half, y - 0.98), (x - half + y - 0.98 + w * N.between(rng, 0.05, 0.2)) * 0.7)


def zones(rng: Rng, work: Work) -> None:
    """Rims, recessed fields, bands, sectors and panels, each of its material; none crosses another."""
    (x, y, _), d, dot, (_, _, w, h), (r, angle) = work.at, work.d, work.dot, work.spots[0], work.polar
    part = TAU / (work.order * (1 if work.order > 5 else int(rng.integers(1, 4))))
    for attempt in range(int(rng.integers(3, 8))):
        t, where, spot = N.around(rng, 2.5, 14) * dot, N.between(rng, 0.15, 0.88), None
        f = d + N.around(rng, 2, 9) * dot  # a field or rim that follows the outline
        if N.chance(rng, 0.25):
            f = N.pick(rng, [f, -f])
        elif work.kind == "disc":
            sectors = np.maximum((N.fold(angle, part) - part / 4) * r, np.abs(r - where) - t)
            flower = (r - where * (0.8 + 0.15 * np.cos(work.order * angle))) * 0.8
            f = N.pick(rng, [r - where, r - where, where - r, np.abs(r - where) - t / 2, sectors, flower])
        elif work.kind == "bar":
            along, where = N.pick(rng, [y, np.abs(y)]), where * 2 - 1
            f = N.pick(rng, [np.abs(along - where) - t, along - where, where - along, np.abs(x) - w * 0.4])
        elif attempt == 0 and N.chance(rng, 0.4):
            f = N.pick(rng, [np.abs(N.pick(rng, [x, y])) - t, y - h * (where - 0.5), np.abs(x) - w * where])
        else:  # a panel
            away, most = N.pick(rng, [0, 0, 0.5, -0.5]), N.pick(rng, [9.0, 9.0, 9.0, 0.3])
            cx, cy = (0.0, away * h) if h > w else (away * w, 0.0)
            pw, ph = (w - abs(cx)) * N.between(rng, 0.4, 0.9), (h - abs(cy)) * N.between(rng, 0.3, 0.9)
            pw, ph = min(pw, ph + most), min(ph, pw + most)
            f, spot = box(x - cx, y - cy, pw, ph, min(pw, ph) * N.pick(rng, [0.05, 0.3, 1.0])), (cx, cy, pw, ph)
        border = work.room[np.abs(f) < dot]
        if attempt and work.kind != "bar" and border.size and float(border.min()) < 1.5 * dot:
            continue
        work.spots += [spot] if spot else []
        f, trim = np.maximum(f, d), np.abs(np.maximum(f, d)) - N.around(rng, 0.6, 2.2) * dot
        work.cover_with(rng, f)
        work.lift(f, N.pick(rng, [0, 0, 1]) * float(rng.normal(0, 2.5)), N.between(rng, 0.6, 2))
        if N.chance(rng, 0.5):
            work.paint(N.pick(rng, work.palette), trim, N.pick(rng, [0, 1, 1]))
            work.lift(trim, N.pick(rng, [-1.5, 1.5]), 0.7)
        work.room = np.minimum(work.room, trim)


def layout(rng: Rng, work: Work, s: float, spot: tuple[float, float]) -> tuple[Layout, bool]:
    """Places for figures of reach s in a spot of these half sides, and whether they stand or fall together."""
    (w, h), pitch, many = spot, s * N.between(rng, 2.3, 4), N.pick(rng, [4, 6, 8]) if work.order < 3 else work.order
    choice, r, span = rng.random(), min(w, h) * N.between(rng, 0.25, 1.1), N.between(rng, 1.1, 2)
    if choice < {"disc": 0.75, "plate": 0.25, "bar": 0.05}[work.kind]:
        fit = int(TAU * r / pitch)
        count = max(min(N.pick(rng, [many, many, 2 * many, fit - fit % many]), fit - fit % 2, 60), 3)
        return ring(int(rng.integers(1, 4)), count, r, pitch), True
    if N.chance(rng, 0.5):  # one, mirrored pairs, corners
        c, n = N.pick(rng, [(1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (2, 3), (3, 2)])
        return grid((c, n), (w * span / max(c - 1, 1), h * span / max(n - 1, 1))), True
    columns, rows = (min(max(int(2 * side / pitch), 2), 24) for side in (w, h))
    if N.chance(rng, 0.4):
        columns, rows = (1, rows) if h > w else (columns, 1)
    shift, frame = N.pick(rng, [(0.0, False), (0.0, False), (0.5, False), (0.0, True)])
    return grid((max(columns - (shift > 0), 1), rows), (pitch, pitch), shift, frame), shift > 0 or frame


def feature(rng: Rng, work: Work) -> bool:
    """One kind of figure at every place of a layout, if there is room for it: hole, pocket, boss, stud, key, print."""
    s, (cx, cy, *spot) = N.around(rng, 1.3, 12.5) * work.dot, N.pick(rng, [*work.spots, work.spots[-1]])
    (c, reach, fold), together = layout(rng, work, s, spot)
    used = c[:, 0] < 9
    room = work.free(c * np.array([[(1, 1)], [(-1, 1)], [(1, -1)], [(-1, -1)]]) + (cx, cy))
    # The least of the four mirrored places: none lacks its twin for a rounding, only for something in its way
    least = room.min(0)
    room = np.where(room[0] - least < 3 * work.dot, least, room[0])
    s = min(s, reach * 0.85, float(room[used].min()) * 0.85 if together else 9.0)
    keep = room > s * 1.1
    if s < 1.1 * work.dot or keep.sum() < max(0.35 * used.sum(), min(len(c), 2)):
        return False
    x, y, number = fold(work.at.x - np.float32(cx), work.at.y - np.float32(cy))
    f = np.where(keep[number], shape(rng, x, y, s), np.float32(9))
    work.room = np.minimum(work.room, np.where(f < 9, np.abs(np.hypot(x, y) - s * 1.05), np.float32(9)))
    high, dot, t = N.between(rng, 0.8, 3), work.dot, np.clip(-f * (1 / s), 0, 1)
    if N.chance(rng, 0.18):  # through, with a chamfer
        work.lift(f - dot, -high / 2)
        work.d = np.maximum(work.d, -f)
        return True
    ink, other, some = N.pick(rng, work.palette[1:]), N.pick(rng, work.palette), N.pick(rng, [0, 1])
    relief, dark = int(rng.integers(8)), ink * np.float32(0.25)
    if relief < 3:  # up, or down and dark, flat or countersunk
        work.lift(f - 1.5 * dot * some, -1.0 if relief == 2 else 0.0)
        work.lift(f, -high if relief == 2 else high, N.between(rng, 0.6, 2))
    else:  # a dome, dish, pyramid, bead, or flat as an inlay
        dome = np.sqrt(t * (2 - t)) * N.between(rng, 0.3, 0.9)
        forms = [dome, dome, -dome, np.minimum(t, 0.5) * N.between(rng, 0.6, 1.2), np.sqrt(t * (1 - t)), 0 * t]
        work.height = work.height + N.pick(rng, forms) * np.float32(s)
        work.gloss = np.where(f < 0, np.float32(0.9), work.gloss)
    if relief == 1:
        work.cover_with(rng, f)
    elif relief:
        work.paint(N.pick(rng, [dark, dark, other] if relief == 2 else [ink, ink, L.grey(rng, 0.45, 0.85)]), f)
    mark, fine = int(rng.integers(9)), N.between(rng, 0.25, 0.6) * s
    if mark == 0 and s > 3 * dot:  # a letter each
        along = np.clip(x * (0.9 / s), -0.5, 0.5) + (number + 0.5).astype(np.float32)
        sign = text(rng, along, y, (0, -s * 0.8, len(c), s * 0.8), 1, letters=len(c)) * (f < 9)
        work.write(L.apart(rng, other), sign, 1, N.pick(rng, [-1, 0, 1]))
    elif mark == 1:  # a slot, cross or socket
        slots = [box(x, y, s, s * 0.14), polygon(x, y, 6, s * 0.4), np.minimum(np.abs(x), np.abs(y)) - s * 0.13]
        work.paint(dark * np.float32(0.5), np.maximum(N.pick(rng, slots), f + s * 0.25))
    elif mark < 5:  # a hole or spot in it, a border round it, or every second one of another colour
        marks = [f + fine, np.abs(f) - 0.7 * dot, np.where(number % 2 == 0, f, np.float32(9))]
        work.paint(N.pick(rng, [dark, other]), marks[mark - 2])
    return True


def unique(rng: Rng, work: Work) -> None:
    """What there is one of: bore with keyway, pointer, letters round the middle, words, display, plaque, barcode."""
    (cx, cy, *_), dot, choice, by = N.pick(rng, work.spots), work.dot, int(rng.integers(7)), N.pick(rng, [-1, 0, 1])
    most, ink = 0.9 * float(work.free(np.array([cx, cy]))), N.pick(rng, work.palette[1:])
    if most < 6 * dot:
        return
    x, y, sign = work.at.x - np.float32(cx), work.at.y - np.float32(cy), np.zeros_like(work.d)
    tall, hole, half = most * N.between(rng, 0.15, 0.35), most * N.between(rng, 0.3, 0.7), N.between(rng, 0.6, 2.9)
    f, r, turn = box(x, y, most * 0.9, tall, dot), np.hypot(x, y), np.arctan2(x, -y)
    if choice == 0:
        f = np.minimum(disc(x, y, hole), box(x - hole, y, hole * 0.35, hole * 0.25))
        work.lift(f - 2 * dot, by * 1.5)
        work.d = np.maximum(work.d, -f)
    elif choice == 1:
        needle = np.maximum(np.abs(y) - (most * 1.1 - x) * 0.13, np.abs(x - most / 2) - most / 2)
        f = np.minimum(needle, disc(x, y, hole * 0.5))
        work.paint(ink, f)
        work.lift(f, 2)
    elif choice == 2:
        count = max(int(half * 2 * most / tall / 0.7), 3)
        sign = text(rng, turn, -r, (-half, -most, half, tall - most), 1, letters=count)
        f = np.maximum(np.abs(r - most + tall / 2) - tall / 2, np.abs(turn) - half)
    else:
        sign = text(rng, x, y, (-most * 0.8, -tall * 0.75, most * 0.8, tall * 0.75), 1 + (tall > 7 * dot))
        if choice == 4:  # a display
            work.paint(ink * np.float32(0.12), f)
            ink = L.tone(rng, (0, 1), (0.2, 0.9), (0.8, 1))
        elif choice == 5:  # a plaque
            work.cover_with(rng, f)
        elif choice == 6:  # a barcode
            work.paint(L.grey(rng, 0.85, 1), f)
            ink, sign = L.grey(rng, 0, 0.2), (N.streak(rng, x, 1.3 * dot) > 0) * cover(work.at, f + 2 * dot)
        work.lift(f, [0.0, -2.0, 1.5, 0.0][choice - 3], 0.7)
    work.write(ink, sign, N.pick(rng, [0.4, 1]), by)
    work.room = np.minimum(work.room, np.abs(f) - dot)


def shell(rng: Rng, at: Place, kind: str, sides: tuple[float, float], like: Work | None = None) -> Work:
    """A part with its zones; as part of a larger work it shares that one's colours and materials."""
    d, order = disc_outline(rng, at) if kind == "disc" else (at.x, 2)
    if kind != "disc":
        d = plate_outline(rng, at, *sides) if kind == "plate" else bar_outline(rng, at, sides[0])
    shades, feels = palette(rng), [N.pick(rng, FEELS) for _ in range(3)]
    if like:
        shades, feels = like.palette[1:] + like.palette[:1], like.feels
    work = Work(at, kind, d, order, shades, feels, [(0.0, 0.0, sides[0] * 0.88, sides[1] * 0.88)])
    work.cover_with(rng, np.full_like(d, -9))
    work.height = work.height + bevel(d, N.around(rng, 1, 9) * work.dot)
    crown = N.pick(rng, [0, 0, 0.3, 0.7])
    work.lean = -crown * at.x, -crown * at.y
    if kind == "bar" and N.chance(rng, 0.65):  # a round body
        across = np.clip(at.x / np.maximum(np.abs(at.x) - d, 1e-3), -0.97, 0.97)
        work.lean = across / np.sqrt(1 - across * across) * -N.between(rng, 0.5, 1), d * 0
    zones(rng, work)
    return work


def furnish(rng: Rng, work: Work, most: int) -> Work:
    """The part with features, as many as find room."""
    if N.chance(rng, 0.5):
        unique(rng, work)
    aim = int(rng.integers(2, most))
    for _ in range(2 * most + 3):
        aim -= aim > 0 and feature(rng, work)
    return work


def start(rng: Rng, size: int, kind: str) -> Work:
    """A part of this kind that fills the picture, not yet furnished."""
    side, turn, w = N.around(rng, 0.4, 1), N.pick(rng, [0.08, 0.08, np.pi]), N.between(rng, 0.18, 0.45)
    sides = {"disc": (1.0, 1.0), "bar": (w, 1.0), "plate": N.pick(rng, [(side, 1.0), (1.0, side)])}[kind]
    return shell(rng, place(rng, size, turn, (0.0, 0.0) if kind == "disc" else sides), kind, sides)


def random_part(rng: Rng, size: int, kind: str) -> Field:
    """One part, round, long or flat, by itself."""
    return render(rng, furnish(rng, start(rng, size, kind), 9))


def random_assembly(rng: Rng, size: int) -> Field:
    """A base with smaller parts mounted on it: one in the middle, a ring, a pair, a row, or one at each end."""
    work = start(rng, size, N.pick(rng, ["disc", "disc", "plate", "plate", "bar"]))
    small, (_, _, w, h) = N.pick(rng, ["disc", "disc", "plate", "bar"]), work.spots[0]
    across, along = N.pick(rng, [(1, 1), (1, 1), (1, 2), (1, 3)] if h > w else [(1, 1), (2, 1), (2, 1), (3, 1)])
    lay, scale = grid((across, along), (2 * w / across, 2 * h / along)), min(w / across, h / along) * 0.75
    if work.kind == "disc":
        count, r = work.order if 2 < work.order < 9 else int(rng.integers(2, 8)), N.between(rng, 0.48, 0.6)
        lay, scale = ring(1, count, r, 9.0), min(0.85 * r * float(np.sin(np.pi / count)), 0.85 - r)
        if N.chance(rng, 0.5) or work.free(lay[0]).min() < 0:
            lay, scale = grid((1, 1), (9, 9)), N.between(rng, 0.3, 0.6)
    x, y, _ = lay[2](work.at.x, work.at.y)
    inner = Place(x * np.float32(1 / scale), y * np.float32(1 / scale), work.at.px * scale)
    sides = {"disc": (1.0, 1.0), "plate": (N.between(rng, 0.5, 0.9), 0.8), "bar": (0.35, 1.0)}[small]
    sub = furnish(rng, shell(rng, inner, small, sides, work), 5)
    f = sub.d * np.float32(scale)  # what of it stands out widens the outline
    inside = cover(work.at, f)
    work.lift(f, N.between(rng, 0.5, 3), 0.7)
    work.colour = L.mix(work.colour, sub.colour, inside)
    work.height = work.height + inside * sub.height * np.float32(scale)
    work.gloss = work.gloss + inside * (sub.gloss - work.gloss)
    work.lean = tuple(own + inside * (new - own) for own, new in zip(work.lean, sub.lean, strict=True))
    work.d, work.room = np.minimum(work.d, f), np.minimum(work.room, f - work.dot)
    return render(rng, furnish(rng, work, 5))


ASSEMBLED: dict[str, Callable[[Rng, int], Field]] = {
    "random assembly": random_assembly,
    "random disc part": partial(random_part, kind="disc"),
    "random bar part": partial(random_part, kind="bar"),
    "random plate part": partial(random_part, kind="plate"),
}
