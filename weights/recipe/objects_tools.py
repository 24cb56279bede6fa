"""Tools and other long things: parts of different matter that meet at sharp bands, all lit in one manner a picture.

Lengths are in halves of the object; y runs along it, from -1 at the top to 1, and x across.
"""

from collections.abc import Callable

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng, around, between, chance, pick
from .outlines import Place, bar, bevel, box, cover, disc, grid, polygon, profile, rgba, text


class Bench:
    """A picture in the making: parts are laid one over another, all of them lit in one manner."""

    def __init__(self, rng: Rng, size: int, wide: float) -> None:
        x, y = N.centred(size)
        angle = between(rng, -np.pi, np.pi) if chance(rng, 0.7) else between(rng, -0.12, 0.12)
        c, s = float(np.cos(angle)), float(np.sin(angle))
        px = size / 2 * between(rng, 0.87, 0.95) / max(abs(c) * wide + abs(s), abs(s) * wide + abs(c))
        self.rng, self.at = rng, Place((c * x + s * y) / px, (c * y - s * x) / px, px)
        lamp = between(rng, -np.pi, 0) if chance(rng, 0.75) else between(rng, 0, np.pi)
        self.lamp = float(np.cos(lamp)), float(np.sin(lamp))
        self.across = (x * self.lamp[0] + y * self.lamp[1]) * (1.6 / size)
        self.manner = pick(rng, ["lamp", "lamp", "drawn", "icon", "overcast"])
        self.hard, self.ink = around(rng, 14, 70), pick(rng, [0.0, 0.75])
        self.edge, self.hollow, self.drop = around(rng, 0.025, 0.05), between(rng, 0.1, 0.5), between(rng, 0.1, 0.55)
        self.waves, self.phase, self.sheen = between(rng, 2, 5), between(rng, 0.2, 1.2), between(rng, -0.5, 0.5)
        self.picture, self.alpha = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)

    def shifted(self, field: Field, pixels: float) -> Field:
        """The field moved away from the lamp."""
        return np.roll(field, (round(-self.lamp[1] * pixels), round(-self.lamp[0] * pixels)), (0, 1))

    def lit(self, facing: Field, upright: Field, d: Field) -> tuple[Field, Field]:
        """(Light, shine) on slopes that face the lamp and the camera this much, d from the outline."""
        direct, half = facing * 0.8 + upright * 0.6, np.maximum(facing * 0.45 + upright * 0.893, 0)
        if self.manner == "lamp":  # contrasty, with a crisp highlight
            return 0.3 + 0.95 * np.maximum(direct, 0), half**self.hard
        if self.manner == "drawn":  # flat steps of light, some with an inked outline
            line = self.ink * cover(self.at, np.abs(d + 0.008) - 0.012)
            steps = 0.5 + 0.36 * N.ramp(direct, 0.3, 0.36) + 0.3 * N.ramp(direct, 0.8, 0.86)
            return steps * (1 - line), 0.9 * N.ramp(half, 0.985, 0.99) * N.ramp(facing, 0.1, 0.2)
        if self.manner == "icon":  # dark rims, a bright line inside the outline, a window's reflection
            line = np.exp(-(((d + 0.035) / 0.012) ** 2)) * np.clip(0.3 + facing, 0, 0.7)
            window = 0.45 * N.ramp(facing, 0.2, 0.26) * N.ramp(facing, 0.75, 0.7)
            return (0.95 + 0.4 * facing) * (1 - 0.4 * N.ramp(d, -0.06, 0)), np.maximum(line, window)
        return 0.62 + 0.3 * facing + 0.36 * upright - 0.22 * np.exp(np.minimum(d, 0) / 0.06), 0.2 * half**6

    def lay(self, d: Field, body: Field, height: Field | None = None, gloss: float = 0.5, metal: float = 0) -> None:
        """One part: its outline, colour, height (a bevel if not given), gloss; metal mirrors the room."""
        rows, columns = (np.flatnonzero(d.min(k) < 0.12) for k in (1, 0))
        here = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # the rest of the picture stays
        height = (bevel(d, self.edge) if height is None else height)[here] * self.at.px
        d, across, r = d[here], self.across[here], max(1, self.at.size // 45)
        gx, gy = L.slopes(height)
        upright = 1 / np.sqrt(1 + gx * gx + gy * gy)
        facing = -(gx * self.lamp[0] + gy * self.lamp[1]) * upright
        light, shine = self.lit(facing, upright, d)
        if metal:
            room = 0.5 * np.sin(self.waves * facing + self.phase) - 0.25 * N.ramp(facing, -0.25, -0.4)
            sheen = 0.2 * np.exp(-(((across - self.sheen) / 0.16) ** 2)) * upright
            light = np.clip(light * (0.72 + room), 0.12, 1.5) + sheen
        beside = np.roll(height, r, 0) + np.roll(height, -r, 0) + np.roll(height, r, 1) + np.roll(height, -r, 1)
        light = light * (1 - np.clip((beside * 0.25 - height) * self.hollow, 0, 0.6))
        part = body[here] * light[..., None]
        part = part + (np.clip(shine, 0, 1) * gloss)[..., None] * (1 - part)
        inside, k = cover(self.at, d), self.at.size / 60
        shade = self.shifted(inside, k) + self.shifted(inside, 2 * k) + N.ramp(d, 0.06, 0)
        below = self.picture[here] * (1 - shade * (self.drop / 3))[..., None]
        whole = inside + self.alpha[here] * (1 - inside)
        self.picture[here], self.alpha[here] = L.mix(below, part, inside / np.maximum(whole, 1e-3)), whole

    def turn(self, points: list[tuple[float, float]], body: Field, relief: Field | float = 0.0, *look: float) -> None:
        """A turned body through (y, half width) points, with this relief, gloss and metal."""
        half = profile(self.at, points).astype(np.float32)
        d = np.maximum(np.abs(self.at.x) - half, within(self.at.y, points[0][0], points[-1][0]))
        self.lay(d, body, rod(self.at.x, half) + relief, *look)

    def sink(self, d: Field, depth: float = 0.75) -> None:
        """A groove or blind hole: dark, darkest below the edge that hides the lamp."""
        inside = cover(self.at, d)
        self.picture *= (1 - inside * (depth - 0.3 * self.shifted(inside, self.at.size / 45)))[..., None]

    def studs(self, d: Field, r: float) -> None:
        """Domed rivets of radius r, given the distance to their rims, each in a fine dark seam."""
        self.sink(d - 0.012, 0.55)
        self.lay(d, self.steel(), rod(d + r, r), 0.7, True)

    def steel(self, tints: int = 5) -> Field:
        """Steel, or brass and gold with 5 tints; polished, brushed along or across, or blasted."""
        rng, at = self.rng, self.at
        grey, brass = L.grey(rng, 0.6, 0.9, 0.02), L.tone(rng, (0.06, 0.14), (0.3, 0.65), (0.7, 0.95))
        t = pick(rng, [at.x, at.y, None])
        marks = N.white(rng, at.size, at.size) if t is None else N.streak(rng, t * at.px, between(rng, 1, 3))
        return (brass if rng.integers(tints) > 2 else grey) * (1 + marks * between(rng, 0, 0.05))[..., None]

    def wood(self) -> Field:
        """Wood with its grain along the object."""
        rng, at = self.rng, self.at
        bent = at.x + 0.03 * np.sin(at.y * between(rng, 1, 4) + between(rng, 0, 6))
        grain = N.streak(rng, bent * 60, between(rng, 2, 5)) * 0.07 + N.streak(rng, bent * at.px, 1.5) * 0.04
        return L.tone(rng, (0.05, 0.11), (0.3, 0.7), (0.4, 0.9)) * (1 + grain)[..., None]

    def paint(self) -> Field:
        """Plastic, rubber or paint: vivid, dark or pale, smooth or with a fine grain."""
        rng, size = self.rng, self.at.size
        colour = L.tone(rng, (0, 1), (0.55, 0.95), (0.45, 0.95)) if chance(rng, 0.5) else L.any_colour(rng)
        return colour * (1 + N.white(rng, size, size) * pick(rng, [0.005, 0.01, 0.03]))[..., None]

    def printed(self, body: Field, area: tuple[float, float, float, float], rows: int = 1) -> Field:
        """The body with letters that run along the object in the area (y0, x0, y1, x1)."""
        return L.mix(body, L.apart(self.rng, body.mean((0, 1))), text(self.rng, self.at.y, -self.at.x, area, rows))

    def banded(self, body: Field, lo: float, hi: float) -> Field:
        """The body with up to three evenly laid rings of one colour between lo and hi."""
        step = (hi - lo) / int(self.rng.integers(2, 5))
        ring = np.maximum(N.fold(self.at.y - lo, step) - step * 0.22, within(self.at.y, lo + step / 2, hi - step / 2))
        return L.mix(body, L.any_colour(self.rng), cover(self.at, ring))


def rod(x: Field, half: Field | float) -> Field:
    """The height of a round body about x = 0."""
    return half * np.sqrt(np.maximum(1 - (x / np.maximum(half, 1e-3)) ** 2, 0.03))


def within(t: Field, lo: float, hi: float) -> Field:
    """The distance to the stretch lo..hi of t."""
    return np.abs(t - (lo + hi) / 2) - (hi - lo) / 2


def ribs(t: Field, pitch: float, deep: float) -> Field:
    """The height of rounded ribs across t."""
    return np.abs(np.cos(t * (np.pi / pitch))) * deep


def pencil(rng: Rng, size: int) -> Field:
    """A pencil: lead, scalloped cone, faceted or round painted shaft with a print, ferrule and eraser."""
    w, neck, end = around(rng, 0.17, 0.36), between(rng, -0.6, -0.35), between(rng, 0.5, 0.7)
    b, faceted, lead = Bench(rng, size, w), chance(rng, 0.7), pick(rng, [L.grey(rng, 0.1, 0.25), L.any_colour(rng)])
    x, y, a = b.at.x, b.at.y, np.abs(b.at.x) / w
    b.turn([(-1, 0.012), (neck, w), (neck + 0.2, w)], L.mix(lead, b.wood(), cover(b.at, -0.85 - y)), 0, 0.2)
    arc = 1 - np.where(a < 0.5, a * 2, a * 4 - 3) ** 2 if faceted else 0  # the cone cuts each facet in an arc
    stripe = cover(b.at, np.abs(np.abs(x) - w * pick(rng, [0.0, 0.75, 2.0])) - w * 0.25)
    coat = b.banded(L.mix(b.paint(), L.any_colour(rng), stripe), end - 0.2, end)
    coat = b.printed(coat, (neck + 0.3, -w * 0.45, end - 0.2, w * 0.45))
    shaft = np.maximum(np.maximum(np.abs(x) - w, neck + 0.13 - 0.12 * arc - y), y - end)
    b.lay(shaft, coat, np.minimum(w * 0.8, (w - np.abs(x)) * 1.6) if faceted else rod(x, w), 0.6)
    b.turn([(end, w * 0.95), (0.93, w * 0.95), (0.99, w * 0.75)], b.paint(), 0, 0.1)
    rings = ribs(y - end, between(rng, 0.04, 0.06), 0.025) * (np.abs(y - end - 0.1) > 0.04)
    b.turn([(end, w * 1.02), (end + 0.2, w * 1.02)], b.steel(), rings, 0.7, True)
    return rgba(b.picture, b.alpha)


def screwdriver(rng: Rng, size: int) -> Field:
    """A screwdriver: ground tip, shaft, collar, fluted, ribbed or knurled handle with inlay, bands and print."""
    w, top, s = between(rng, 0.26, 0.48), between(rng, -0.4, -0.1), between(rng, 0.08, 0.15)
    b, waist, pitch = Bench(rng, size, w), w * between(rng, 0.55, 0.9), between(rng, 0.07, 0.11)
    y, turn = b.at.y, np.arcsin(np.clip(b.at.x / w, -1, 1))
    tip = pick(rng, [[(-0.99, s * 1.1), (-0.85, s * 1.6)], [(-0.99, s * 0.8)], [(-0.99, 0.01)]])
    b.turn([*tip, (-0.72, s), (top, s)], b.steel(3), 0, 0.8, True)
    b.turn([(-0.56, s * 1.02), (-0.44, s * 1.02)], b.paint())
    knurl = ribs(turn * w + y, pitch, pitch * 0.2) + ribs(turn * w - y, pitch, pitch * 0.2)
    relief = pick(rng, [np.cos(turn * int(rng.integers(5, 12))) * 0.03, knurl, ribs(y, pitch, pitch * 0.3)])
    inlay = cover(b.at, pick(rng, [within(y, top, top + 0.2), -within(y, top + 0.2, 0.8), np.abs(turn) - 0.5]))
    body = b.banded(L.mix(pick(rng, [b.wood, b.paint])(), L.any_colour(rng), inlay), 0.75, 0.99)
    body = b.printed(body, (top + 0.35, -w * 0.28, 0.75, w * 0.28))
    points = [(top, w * 0.5), (top + 0.12, waist), (top + 0.25, waist), (0.6, w), (0.92, w * 0.95), (0.99, w * 0.7)]
    b.turn(points, body, relief * N.ramp(y, top + 0.2, top + 0.3) * N.ramp(y, 0.85, 0.78), 0.6)
    b.turn([(top - 0.05, w * 0.56), (top + 0.05, w * 0.56)], b.steel(), 0, 0.8, True)
    return rgba(b.picture, b.alpha)


def hammer(rng: Rng, size: int) -> Field:
    """A hammer: face, neck and peen or claw of the head, stamped cheek, shaft, ribbed grip."""
    w, tall, s, low = between(rng, 0.52, 0.75), between(rng, 0.19, 0.26), between(rng, 0.12, 0.2), between(rng, 0, 0.4)
    b = Bench(rng, size, w)
    x, y, head, slim = b.at.x, b.at.y + 0.98 - tall, b.steel(3), between(rng, 0.4, 0.8) / w
    b.turn([(-0.95, s), (-0.2, s * 0.85), (low + 0.1, s * 1.2)], pick(rng, [b.wood, b.paint])(), 0, 0.4)
    sleeve = b.printed(b.banded(b.paint(), low, low + 0.25), (low + 0.3, -s * 0.5, 0.9, s * 0.5))
    b.turn([(low, s * 1.3), (0.9, s * 1.35), (0.99, s)], sleeve, ribs(y, between(rng, 0.06, 0.12), 0.025), 0.3)
    bent = y - pick(rng, [0, between(rng, 0.3, 0.7)]) * x * x / w  # a straight wedge or a claw
    b.lay(np.maximum(np.abs(bent) - tall * (0.9 + np.minimum(x, 0) * slim), within(x, -w, 0)), head, None, 0.7, True)
    b.lay(np.maximum(np.abs(y) - tall * 0.6, within(x, 0, w * 0.7)), head, rod(y, tall * 0.6), 0.7, True)
    b.lay(box(x - w * 0.8, y, w * 0.2, tall, 0.03), b.steel(3), rod(y, tall), 0.8, True)
    cheek = box(x, y, s * 1.8, tall, 0.04)
    stamp = text(rng, x, y, (-s * 1.4, -tall * 0.5, s * 1.4, tall * 0.5), 1, letters=int(rng.integers(2, 5)))
    b.lay(cheek, head * (1 - 0.4 * stamp)[..., None], bevel(cheek, 0.05) - 0.02 * stamp, 0.6, True)
    return rgba(b.picture, b.alpha)


def hand_saw(rng: Rng, size: int) -> Field:
    """A hand saw: tapered blade with a toothed edge and a print, handle with its hole and rivets."""
    w, front, pitch = between(rng, 0.32, 0.44), between(rng, 0.45, 0.7), around(rng, 0.055, 0.11)
    b, lean = Bench(rng, size, w), pick(rng, [0.25, 0.5, 0.75])
    x, y, t = b.at.x, b.at.y, np.mod(b.at.y / pitch, 1)
    tooth = np.minimum(t / lean, (1 - t) / (1 - lean)) * pitch * between(rng, 0.6, 0.9) * (y < 0.3)
    blade = np.maximum.reduce([x - w * 0.95 + tooth, w * (front * (0.26 - y * 0.74) - 0.9) - x, within(y, -0.98, 0.5)])
    b.lay(blade, b.printed(b.steel(3), (-0.55, -w * 0.1, 0.15, w * 0.4), int(rng.integers(1, 3))), None, 0.5, True)
    b.sink(np.abs(x - w * 0.95 + pitch * 1.5) - 0.006 + np.maximum(y - 0.3, 0), 0.4)
    y, r = y - 0.62, between(rng, 0.035, 0.05)
    hole = box(x, y - 0.08, w * 0.5, 0.13, 0.12)
    horn = np.minimum(box(x, y, w * 0.92, 0.34, between(rng, 0.08, 0.2)), disc(x + w * 0.6, y + 0.25, 0.2))
    b.lay(np.maximum(horn, -hole), pick(rng, [b.wood, b.paint])(), bevel(np.maximum(horn, -hole), 0.08), 0.5)
    b.studs(np.hypot(*grid(x, y + 0.19, (int(rng.integers(2, 5)), 1), (w * 0.4, 1.0))) - r, r)
    return rgba(b.picture, b.alpha)


def door_key(rng: Rng, size: int) -> Field:
    """An old door key: pierced bow, ringed collar, round shank, bit with cuts and a ward."""
    w, s, thick = between(rng, 0.4, 0.52), between(rng, 0.09, 0.14), between(rng, 0.09, 0.14)
    b, mid, wide, tall = Bench(rng, size, w), 0.7, w * between(rng, 0.8, 1), between(rng, 0.18, 0.23)
    x, y, metal, low = b.at.x, b.at.y + 0.98 - w, b.steel(), 2 * w - 0.98
    eyes = np.minimum(disc(np.abs(x) - w * 0.5, y, w * 0.36), disc(x, y + w * 0.5, w * 0.34))
    angled = polygon(x, y, pick(rng, [4, 6, 8]), w * 0.85 - thick, 0.5)
    bow = pick(rng, [np.abs(disc(x, y, w - thick)) - thick, np.abs(angled) - thick, np.maximum(disc(x, y, w), -eyes)])
    step, y = tall * 2 / int(rng.integers(2, 5)), b.at.y - mid
    slots = np.maximum(N.fold(y, step) - step * 0.2, wide * between(rng, 0.5, 0.7) - x)
    b.lay(np.maximum(box(x - wide / 2, y, wide / 2, tall, 0.01), -slots), metal, None, 0.6, True)
    b.sink(np.maximum(np.abs(x - wide * 0.38) - 0.016, np.abs(y) - tall), pick(rng, [0.1, 0.6]))
    b.turn([(low - 0.05, s), (0.96, s), (0.98, s * 0.8)], metal, 0, 0.7, True)
    b.lay(bow, metal, rod(np.maximum(bow + thick, 0), thick), 0.7, True)
    for k in range(int(rng.integers(2, 5))):
        b.lay(box(x, b.at.y - low - 0.09 * k, s * (1.7 - k % 2 * 0.4), 0.04, 0.03), metal, rod(x, s * 1.6), 0.7, True)
    return rgba(b.picture, b.alpha)


def fork(rng: Rng, size: int) -> Field:
    """A fork: three to five tines, neck, handle with an engraved border, ribs or riveted cheeks."""
    w, tines, end, neck = between(rng, 0.3, 0.46), int(rng.integers(3, 6)), between(rng, -0.45, -0.2), 0.08
    b, tail, pitch = Bench(rng, size, w), w * between(rng, 0.45, 0.7), 2 * w / (tines - 0.4)
    x, y = b.at.x, b.at.y
    points = [(-0.99, w * 0.95), (end + 0.15, w), (end + 0.4, neck), (0.15, neck), (0.75, tail), (0.99, tail * 0.6)]
    near = np.abs(N.fold(x + pitch * (tines % 2) / 2, pitch))  # from the middle of a gap
    gap = pitch * (0.18 + 0.15 * np.clip((-0.8 - y) / 0.2, 0, 1) ** 2) - near
    d = np.maximum(np.abs(x) - profile(b.at, points, 0.1).astype(np.float32), np.abs(y) - 0.98)
    d = np.maximum(d, np.minimum(gap, end - y - 2 * near * near / pitch))
    border = cover(b.at, np.maximum(np.abs(d + 0.035) - 0.009, 0.2 - y)) * pick(rng, [0.1, 1.0])
    pattern = ribs(y, 0.07, pick(rng, [0, 0.025])) * cover(b.at, np.maximum(d + 0.06, 0.6 - y)) - 0.02 * border
    b.lay(d, b.steel() * (1 - 0.3 * border)[..., None], bevel(d, 0.05) + 0.1 * (y + 0.2) ** 2 + pattern, 0.8, True)
    if chance(rng, 0.45):
        b.lay(box(x, y - 0.55, tail * 1.15, 0.43, 0.06), pick(rng, [b.wood, b.paint])())
        b.studs(np.hypot(*grid(x, y - 0.55, (1, 3), (1.0, 0.27))) - 0.04, 0.04)
    return rgba(b.picture, b.alpha)


def wrist_strap(rng: Rng, size: int) -> Field:
    """A leather or rubber strap: stitched edges, eyelets, keeper, buckle with its tongue."""
    w, r, top, pitch = between(rng, 0.2, 0.34), between(rng, 0.03, 0.045), between(rng, -0.75, -0.6), 0.09
    b = Bench(rng, size, w * 1.3)
    x, y, metal = b.at.x, b.at.y, b.steel()
    d = np.maximum(box(x, y - 0.05, w, 0.93, 0.02), np.hypot(x, np.maximum(y - 0.98 + w, 0)) - w)
    hide = b.paint() if chance(rng, 0.4) else L.solid(size, L.tone(rng, (0.02, 0.1), (0.3, 0.8), (0.15, 0.7)))
    stitch = cover(b.at, np.maximum(np.abs(d + between(rng, 0.05, 0.07)) - 0.012, N.fold(y, pitch) - pitch * 0.33))
    ridge = ribs(x, w * 0.4, pick(rng, [0, 0.05])) * N.ramp(d, -0.1, -0.14)
    relief = ridge + 0.02 * stitch + N.smooth(rng, size, 2) * pick(rng, [0.0, 0.003, 0.005])  # the grain of leather
    b.lay(d, L.mix(hide, L.apart(rng, hide.mean((0, 1))), stitch), bevel(d, 0.05) + relief, 0.3)
    hole = np.hypot(*grid(x, y - 0.35, (1, int(rng.integers(4, 8))), (1.0, between(rng, 0.12, 0.16))))
    b.lay(np.abs(hole - r * 1.2) - r * 0.4, pick(rng, [hide, metal]), None, 0.7, True)
    b.sink(hole - r, 0.9)
    b.lay(box(x, y - top - 0.32, w * 1.08, 0.06, 0.02), b.banded(hide, top + 0.26, top + 0.38), None, 0.3)
    frame = np.abs(box(x, y - top, w * 1.16, 0.17, pick(rng, [0.03, 0.1, 0.16]))) - 0.05
    b.lay(frame, metal, rod(frame + 0.05, 0.05), 0.8, True)
    b.lay(bar(x, y, (0, top - 0.2, 0, top + 0.14), 0.03), metal, None, 0.8, True)
    return rgba(b.picture, b.alpha)


def padlock(rng: Rng, size: int) -> Field:
    """A padlock: round shackle, solid or laminated body with letters and rivets, keyhole in its plate."""
    w, mid, thick = between(rng, 0.55, 0.75), between(rng, -0.25, 0.1), between(rng, 0.07, 0.12)
    b, span, deep, metal = Bench(rng, size, w), w * between(rng, 0.5, 0.72), (0.98 - mid) / 2, chance(rng, 0.7)
    x, y, body = b.at.x, b.at.y, box(b.at.x, b.at.y - mid - deep, w, deep, between(rng, 0.04, 0.2))
    bow = np.where(y < span - 0.98 + thick, np.hypot(x, y + 0.98 - thick - span) - span, np.abs(x) - span)
    b.lay(np.maximum(np.abs(bow) - thick, y - mid - 0.1), b.steel(3), rod(bow, thick), 0.8, True)
    b.lay(box(np.abs(x) - span, y - mid, thick * 1.4, 0.05, 0.02), b.steel(), None, 0.7, True)
    letters = text(rng, x, y, (-w * 0.7, mid + 0.12, w * 0.7, mid + 0.4), 1, letters=int(rng.integers(3, 7)))
    stuff = (b.steel() if metal else b.paint()) * (1 - pick(rng, [0, 0.6]) * letters)[..., None]
    plates = ribs(y - mid, deep * 2 / int(rng.integers(4, 9)), pick(rng, [0, 0.06])) * N.ramp(body, -0.02, -0.05)
    b.lay(body, stuff, bevel(body, 0.09) + plates + pick(rng, [-0.03, 0.03]) * letters, 0.7, metal)
    b.studs(np.hypot(np.abs(x) - w * 0.82, np.abs(y - mid - deep) - deep * 0.8) - 0.05, 0.05)
    y = y - mid - 1.35 * deep
    plate = pick(rng, [disc(x, y, 0.24), box(x, y, 0.16, 0.25, 0.08), polygon(x, y, 6, 0.22)])
    b.lay(plate, b.steel(), bevel(plate, 0.03) + np.cos(np.hypot(x, y) * 90) * pick(rng, [0, 0.006]), 0.7, True)
    b.sink(np.minimum(disc(x, y + 0.05, 0.07), np.maximum(np.abs(x) - 0.03 - 0.1 * y, within(y, -0.05, 0.15))), 1.0)
    return rgba(b.picture, b.alpha)


def spirit_level(rng: Rng, size: int) -> Field:
    """A spirit level: railed and printed beam with a scale, ribbed end caps, vials with bubble and marks."""
    w = between(rng, 0.2, 0.36)
    b, r, liquid = Bench(rng, size, w), w * between(rng, 0.25, 0.34), L.tone(rng, (0.15, 0.35), (0.5, 0.9), (0.75, 1))
    x, y, beam = b.at.x, b.at.y, box(b.at.x, b.at.y, w, 0.98, 0.03)
    body = b.printed(pick(rng, [b.steel, b.paint])(), (0.21, -w * 0.35, 0.49, w * 0.35))
    ticks = np.minimum(np.maximum(N.fold(y, 0.225), w * 0.7 - x), np.maximum(N.fold(y, 0.045), w * 0.85 - x)) - 0.007
    body = L.mix(body, L.apart(rng, body.mean((0, 1))), cover(b.at, np.maximum(ticks, np.abs(y) - 0.8)))
    b.lay(beam, body, bevel(beam, 0.03) + N.ramp(np.abs(x), w * 0.6, w * 0.66) * pick(rng, [0, 0.06]), 0.5)
    b.lay(np.maximum(beam - 0.01, 0.87 - np.abs(y)), b.paint(), ribs(y, 0.05, 0.02) + bevel(beam, 0.04), 0.3)
    for middle in (0, -0.62, 0.68)[: int(rng.integers(1, 4))]:  # the first lies along the beam, the others across it
        u, v, long = (y - middle, x, w * 0.62) if middle else (x, y, 0.17)
        b.sink(box(u, v, r + 0.03, long + 0.03, 0.04), 0.8)
        bubble = np.hypot(u, v * 0.7) - min(long * 0.25, r * 0.6)
        lines = np.minimum(np.abs(np.abs(v) - long * 0.4), np.abs(bubble)) - 0.01
        glass = L.mix(L.solid(size, liquid), liquid * 0.4 + 0.6, cover(b.at, bubble))
        b.lay(box(u, v, r, long, 0.03), glass * (1 - 0.7 * cover(b.at, lines))[..., None], rod(u, r), 0.9)
    return rgba(b.picture, b.alpha)


def pipe_tee(rng: Rng, size: int) -> Field:
    """A pipe tee: run and branch with cast letters, threaded or six-sided sockets."""
    w, r, lip = between(rng, 0.7, 0.9), between(rng, 0.26, 0.36), between(rng, 0.08, 0.13)
    b, wide, far, metal = Bench(rng, size, w), r * 1.22, 2 * w - r * 1.25 - 0.02, chance(rng, 0.6)
    x, y, thread, pitch = b.at.x + w - r * 1.25, b.at.y, chance(rng, 0.5), between(rng, 0.05, 0.08)
    body, cap = (b.steel() if metal else b.paint() for _ in range(2))
    run, branch = np.maximum(np.abs(x) - r, np.abs(y) - 0.9), np.maximum(np.abs(y) - r, within(x, 0, far - 0.1))
    stamp = text(rng, y, -x, (-0.3, -r * 0.4, 0.3, r * 0.4), 1, letters=int(rng.integers(2, 4)))
    height = np.maximum(rod(x, r) * (run < 0.01), rod(y, r) * (branch < 0.01)) + 0.03 * stamp
    b.lay(np.minimum(run, branch), body, height, 0.6, metal)
    for u, v in ((x, y - 0.98), (x, -y - 0.98), (y, x - far)):
        relief = rod(u, wide) + ribs(v, pitch, 0.03) if thread else np.minimum(wide * 0.8, (wide - np.abs(u)) * 1.6)
        b.lay(box(u, v + lip, wide, lip, 0.02), cap, relief, 0.6, metal)
        b.lay(box(u, v + lip * 2, wide * 1.01, 0.03, 0.01), body, rod(u, wide), 0.6, metal)
    return rgba(b.picture, b.alpha)


ALL = pencil, screwdriver, hammer, hand_saw, door_key, fork, wrist_strap, padlock, spirit_level, pipe_tee
TOOLS: dict[str, Callable[[Rng, int], Field]] = {draw.__name__.replace("_", " "): draw for draw in ALL}
