"""Electrical, electronic and dial-bearing objects, laid part on part: each part has its own edge, shadow and print."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import around_centre, bar, box, cover, disc, grid, place, rgba

DARK, WHITE = np.full(3, 0.04, np.float32), np.full(3, 0.97, np.float32)
LETTERS = "0123456789ABCDEFGHIKLMNOPRSTUVWXYZ-+=*./abcdefghij"  # a to j: liquid crystal figures
STROKES = (  # a letter's lines through a lattice: a b c, d e f, g h i, j k l, m n o from the top
    "bflnjdb dbn dbfmo achlnj cjl,co caghlnm cbdjnlhg acn hdbfhlnjh ihdbflnm mdbfo,gi abfhlnma,gh fbdjnl abflnma "
    "camo,gh cam,gh fbdjnlih am,co,gi bn am,cgo amo mahco maoc bflnjdb mabfhg mabfhg,ho fbdhlnj ac,bn ajnlc anc amhoc "
    "ao,cm ahc,hn acmo gi gi,ek df,jl dl,fj nn cm acoma co acigmo acom,gi agi,co cagiom camoig aco acoma,gi igacom"
)


@lru_cache(maxsize=64)
def strokes(letter: str) -> Field:
    """The distances, in fourths of a letter's height, to the lines of a letter, with a margin about it."""
    y, x = (np.mgrid[:56, :40].astype(np.float32) + 0.5) / 8 - 1.5
    out = np.full_like(x, 2)
    for line in dict(zip(LETTERS, STROKES.split(), strict=True)).get(letter, "").split(","):
        for a, b in pairwise((ord(spot) - 97) for spot in line):
            np.minimum(out, bar(x, y, (a % 3, a // 3, b % 3, b // 3), 0), out=out)
    return out


def prints(labels: Sequence[str], x: Field, y: Field, tall: float, *, which: Field | int = 0) -> Field:
    """The outline of a label centred on 0, its letters `tall`; `which` says for each pixel which of the labels."""
    longest = max(len(label) for label in labels)
    table = np.full((len(labels), 56, 24 * longest + 16), 2, np.float32)
    for one, label in zip(table, labels, strict=True):
        for k, letter in enumerate(label):
            spot = one[:, (left := 24 * k + 12 * (longest - len(label))) : left + 40]
            np.minimum(spot, strokes(letter), out=spot)
    flat, wide = table.ravel(), table.shape[2]
    u, v = (np.clip(t * (32 / tall) + (n - 1) / 2, 0, n - 1.01).astype(np.float32) for t, n in ((x, wide), (y, 56)))
    i, j = u.astype(np.int32), v.astype(np.int32)
    at, u, v = j * wide + i + np.int32(which) * (56 * wide), u - i, v - j
    top, low = (flat[a] * (1 - u) + flat[a + 1] * u for a in (at, at + wide))
    return (top * (1 - v) + low * v) * np.float32(tall / 4) - np.float32(0.11 * tall)


class Bench:
    """Where an object is put together: the picture so far, a lamp, and the manner in which edges are shaded."""

    def __init__(self, rng: Rng, size: int, corner: tuple[float, float] = (0, 0)) -> None:
        self.at = place(rng, size, 0.08 if N.chance(rng, 0.7) else np.pi, corner)
        self.x, self.y, self.r, self.rng = self.at.x, self.at.y, np.hypot(self.at.x, self.at.y), rng
        self.chamfer, self.hard = N.chance(rng, 0.4), N.between(rng, 0.25, 0.6)  # flat-cut edges or rounded ones
        self.line, self.gloss, self.soft, self.grade = (rng.uniform(-1, 2, 4).clip(0) * (0.2, 0.4, 0.7, 0.1)).tolist()
        angle = N.between(rng, -2.7, -0.4) if N.chance(rng, 0.8) else N.between(rng, 0, 6.28)
        self.lamp = np.float32([np.cos(angle), np.sin(angle)])
        self.slope = np.tensordot(self.lamp, N.centred(size), 1) * np.float32(2 / size)
        planes = np.zeros((4, size, size), np.float32)  # colour by colour in memory: to mix such pictures is faster
        self.picture, self.alpha = planes[:3].transpose(1, 2, 0), planes[3]

    def facing(self, d: Field) -> Field:
        """How far the outline's outward normal points to the lamp, -1..1."""
        return np.clip(np.tensordot(self.lamp, L.slopes(d), 1) * np.float32(self.at.px), -1, 1)

    def part(self, d: Field, body: Field, edge: float = 0.04, lift: float = 0.03) -> None:
        """Lay a raised part: its shadow on what is under it, then itself, its edge `edge` wide."""
        face, soft, c = self.facing(d), lift * (0.2 + self.soft) + 0.006, cover(self.at, d)
        dark = N.ramp(d + np.float32(lift) * face, soft, -soft * 0.4) * np.float32(0.55 * (lift > 0))
        t = np.clip(1 + d * np.float32(1 / edge), 0, 1)  # 1 at the outline, 0 inside
        slant = 1 - cover(self.at, d + np.float32(edge)) if self.chamfer else t * t
        light = 1 + self.hard * face * slant + self.grade * self.slope - self.line * N.ramp(d, -0.03, 0)
        shine = np.exp(-(((t - 0.5) * 4) ** 2)) * np.maximum(face, 0) ** 2  # a bright line in the edge
        shine = shine + 0.12 * cover(self.at, 0.1 - self.slope) * (t == 0)  # and a reflection over half of the flat
        body = L.mix(np.multiply(body, light[..., None], out=np.empty_like(self.picture)), WHITE, self.gloss * shine)
        self.alpha = c + self.alpha * (1 - c)
        self.picture *= (1 - dark)[..., None]
        self.picture += (c / np.maximum(self.alpha, np.float32(1e-6)))[..., None] * (body - self.picture)

    def well(self, d: Field, body: Field, depth: float = 0.05) -> None:
        """Sink a recess: the shadow of its wall inside, the light on its lip."""
        face, soft = self.facing(d), depth * (0.1 + 0.5 * self.soft) + 0.004
        self.ink(d, body * (1 - 0.65 * N.ramp(d + np.float32(depth) * face, -soft, soft))[..., None])
        self.picture *= (1 - self.hard * face * N.ramp(np.abs(d - np.float32(0.01)), 0.02, 0))[..., None]

    def ink(self, d: Field, colour: Field) -> None:
        """Print."""
        self.picture += cover(self.at, d)[..., None] * (colour - self.picture)

    def write(self, label: str, x: float, y: float, tall: float, colour: Field) -> None:
        """Print a label, or some type number if it is empty, about (x, y)."""
        self.ink(prints([label or "".join(self.rng.choice([*LETTERS[:35]], 7))], self.x - x, self.y - y, tall), colour)

    def screw(self, x: Field, y: Field, r: float) -> None:
        """Screw heads at the origin of x and y."""
        self.part(disc(x, y, r), metal(self.rng), r * 0.4, 0.015)
        self.ink(np.minimum(box(x, y, r * 0.7, r * 0.16), box(x, y, r * 0.16, r * 0.7 * (self.hard > 0.4))), DARK)


def metal(rng: Rng) -> Field:
    """Steel, tin or chrome; brass or gold."""
    return L.grey(rng, 0.55, 0.88, 0.02) if N.chance(rng, 0.7) else L.tone(rng, (0.1, 0.14), (0.35, 0.6), (0.7, 0.92))


def casing(rng: Rng) -> Field:
    """The colour of a housing: white or cream, dark, or any."""
    return N.pick(rng, [L.grey(rng, 0.75, 0.97), L.grey(rng, 0.09, 0.3), L.tone(rng, (0, 1), (0.2, 0.8), (0.2, 0.85))])


def worked(p: Bench, colour: Field, kinds: str = "sgbt") -> Field:
    """A surface of this colour: smooth, grained, brushed or turned about the middle, as `kinds` allows."""
    kind, fine = N.pick(p.rng, kinds), np.float32(p.at.px / 1.3)
    marks = N.white(p.rng, p.at.size, p.at.size) * np.float32(0.006 if kind == "s" else 0.035)
    if kind in "bt":
        wave = 0.1 * np.sin(2 * p.y + 1) if kind == "b" else 0.16 * np.cos(2 * np.arctan2(p.y, p.x) + p.lamp[0] * 3)
        marks = N.streak(p.rng, (p.y if kind == "b" else p.r) * fine, 1) * np.float32(0.035) + wave
    return np.clip(colour * (1 + marks)[..., None], 0, 1).astype(np.float32)


def dial(p: Bench, r: float, counts: Sequence[int], names: Sequence[str], ink: Field, *, sweep: float = 6.283) -> None:
    """Fine and coarse ticks inward of radius r over `sweep` about the top, and names, upright or leaning, inside."""
    rng, turn, lean = p.rng, np.arctan2(p.x, -p.y) + np.float32(sweep / 2), N.chance(p.rng, 0.3)
    for count, long, wide in zip(counts, (0.05, N.between(rng, 0.08, 0.13)), (0.006, 0.016), strict=True):
        off = turn - np.clip(np.round(turn * (count / sweep)), 0, count) * (sweep / count)
        p.ink(np.maximum(np.abs(off) * p.r - wide, np.abs(p.r - r * (1 - long / 2)) - r * long / 2), ink)
    spans, room = len(names) - (sweep < 6.2), max(len(names) ** 0.6, 1 + 1.6 * len(names[-1]))
    tall = r * N.between(rng, 0.6, 0.9) / room
    k, far = np.clip(np.round(turn * (spans / sweep)), 0, spans), r * 0.83 - tall * 0.6
    s, c = np.sin((k / spans - 0.5) * sweep), np.cos((k / spans - 0.5) * sweep)
    u, v = p.x - far * s, p.y + far * c
    p.ink(prints(names, *((u * c + v * s, v * c - u * s) if lean else (u, v)), tall, which=np.mod(k, len(names))), ink)


def hand(p: Bench, angle: float, reach: tuple[float, float], wide: float, colour: Field) -> None:
    """A tapering hand or needle about the middle, and its hub; `reach` is its tail and its length."""
    along, across = np.sin(angle) * p.x - np.cos(angle) * p.y, np.abs(np.cos(angle) * p.x + np.sin(angle) * p.y)
    taper = wide * (1 - N.between(p.rng, 0.2, 0.8) * np.clip(along / reach[1], 0, 1))
    d = np.maximum(across - taper, np.maximum(-reach[0] - along, along - reach[1]))
    p.part(np.minimum(d, p.r - max(wide, 0.02) * 1.4).astype(np.float32), colour, wide)


def hours(p: Bench, r: float) -> None:
    """The face of a clock of radius r: ticks, numerals, a name, hands."""
    rng, ground, names = p.rng, casing(p.rng), N.pick(p.rng, ["6 7 8 9 10 11 12 1 2 3 4 5", "6 9 12 3"]).split()
    p.well(p.r - r, worked(p, ground, "sst"))
    dial(p, r * N.between(rng, 0.9, 0.97), (60, 12), names, ink := L.apart(rng, ground, 0.4))
    p.write("", 0, -r * 0.3, r * 0.09, ink)
    for reach, wide, colour in ((0.48, 0.055, ink), (0.78, 0.04, ink), (0.85, 0.013, L.hsv(0, 0.85, 0.8))):
        hand(p, N.between(rng, 0, 6.3), (0.15 * r, reach * r * N.between(rng, 0.9, 1.1)), wide * r, colour)


def integrated_circuit(rng: Rng, size: int) -> Field:
    """An integrated circuit: legs on two or four sides, a moulded body or a metal lid, its print."""
    four, h, reach = N.chance(rng, 0.45), N.between(rng, 0.6, 0.78), N.between(rng, 0.12, 0.2)
    w, body, colour = h if four else N.between(rng, 0.35, 0.6), L.grey(rng, 0.07, 0.25), metal(rng)
    p, count, rows = Bench(rng, size, (w + reach, h + reach * four)), int(rng.integers(5, 15)), int(rng.integers(2, 4))
    for x, y in ((p.x, p.y), (p.y, p.x))[: 1 + four]:
        u, v, b = np.abs(x) - w, grid(x, y, (1, count), (1, 1.8 * h / count))[1], 0.45 * h / count
        legs = np.minimum(box(u, v, reach * 0.5, b * 1.3), box(u - reach * 0.5, v, reach * 0.5, b))
        p.part(legs, colour * (1.1 - 0.5 * N.ramp(np.abs(u - reach * 0.45), 0.05, 0))[..., None], 0.02, 0)
    p.part(box(p.x, p.y, w, h, 0.02), worked(p, body, "sg"), N.between(rng, 0.03, 0.1), 0.02)
    mark = disc(p.x + w * 0.8, p.y + h - w * 0.2, 0.06) if four or N.chance(rng, 0.5) else disc(p.x, p.y + h, w * 0.25)
    p.well(np.maximum(mark, -p.y - h), body * np.float32(0.8))
    if four and N.chance(rng, 0.4):
        p.part(box(p.x, p.y, h * 0.72, h * 0.72, 0.06), worked(p, body := metal(rng), "bs"), 0.04, 0.02)
    p.x, p.y, ink = *((p.x, p.y) if four else (-p.y, p.x)), L.apart(rng, body, 0.4)
    for k in range(rows):
        p.write("", 0, (k - rows / 2 + 0.5) * w * 1.1 / rows, min(w * 0.6 / rows, h * 0.25), ink)
    return rgba(p.picture, p.alpha)


def circuit_board(rng: Rng, size: int) -> Field:
    """A small circuit board: tracks, mounting holes, chips with legs, fields of small parts, a row of pins."""
    w, h, pitch, hue = rng.uniform((0.68, 0.68, 0.08, 0.3), (0.95, 0.95, 0.12, 1.02)).tolist()
    p, gold, colour = Bench(rng, size, (w, h)), L.hsv(0.12, 0.5, 0.9), L.hsv(hue, 0.8, N.between(rng, 0.15, 0.45))
    edge, bent = box(p.x, p.y, w, h, 0.1 * rng.random()), p.y + np.clip(p.x, -rng.random(), rng.random())
    p.part(edge, colour, 0.02, 0)
    p.ink(np.maximum(N.fold(bent, pitch) - pitch * 0.2, edge + 0.05), np.clip(colour * 1.4 + 0.03, 0, 1))
    hole = np.hypot(np.abs(p.x) - w + 0.12, np.abs(p.y) - h + 0.12)
    p.part(hole - 0.09, gold, 0.02, 0)
    p.alpha = p.alpha * (1 - cover(p.at, hole - 0.05))
    u, v = grid(p.x, p.y - h + 0.12, (int((2 * w - 0.5) / 0.12), 1), (0.12, 1))
    pins, legs, chips, cans = box(u, v, 0.025, 0.025), edge + 9, box(u, v, 0.058, 0.06, 0.015), edge + 9
    columns, rows = rng.integers(2, 4, 2).tolist()
    wide, tall = (2 * w - 0.3) / columns, (2 * h - 0.5) / rows
    for k in range(columns * rows):
        x, y = p.x - (k % columns - (columns - 1) / 2) * wide, p.y + 0.08 - (k // columns - (rows - 1) / 2) * tall
        m, n, can = N.pick(rng, [(1, 1, 9), (1, 1, 0), (1, 2, 0), (2, 2, 0), (2, 3, 0)])  # 9: out of sight
        a, b, (u, v) = wide * 0.28 / m, tall * 0.4 / n, grid(x, y, (m, n), (wide * 0.47, tall * 0.95 / n))
        foot = grid(u, v, (1, max(1, int(2 * b / pitch))), (1, pitch))[1]
        legs = np.minimum(legs, box(u, foot, a + 0.05, min(b * 0.8, pitch * 0.27)) + can)
        chips = np.minimum(chips, box(u, v, a, b, 0.02) + can)
        cans = np.minimum(cans, disc(x, y, min(wide, tall) * 0.4) + 9 - can)
    p.part(legs, metal(rng), 0.02, 0.01)
    p.part(chips, DARK * np.float32(N.between(rng, 2, 5)), 0.025, 0.02)
    p.part(np.minimum(pins, cans), gold if N.chance(rng, 0.5) else metal(rng), 0.02, 0.05)
    p.write("", 0, 0.1 - h, 0.1, WHITE)
    return rgba(p.picture, p.alpha)


def wall_socket(rng: Rng, size: int) -> Field:
    """A wall socket: one or two outlets of a round, slotted or three-pin kind in a frame, and its screws."""
    two, kind, body = N.chance(rng, 0.5), int(rng.integers(3)), casing(rng)
    w, h, r, flat = *((0.56, 0.97, 0.4) if two else (0.9, 0.9, 0.6)), 0.15 * (kind == 2)
    p = Bench(rng, size, (w, h))
    p.part(edge := box(p.x, p.y, w, h, N.between(rng, 0.03, 0.15)), worked(p, body, "sg"), N.between(rng, 0.04, 0.08))
    p.well(np.abs(edge + 0.1) - 0.01, body * np.float32(0.6), 0.02)
    x, y = (t / np.float32(r) for t in grid(p.x, p.y, (1, 1 + two), (1, 0.93)))
    (p.part if kind else p.well)(box(x, y, 0.96, 0.96, N.between(rng, 0.1, 0.9) if kind else 0.96) * r, body, 0.06)
    if kind == 0:
        p.part(box(x, np.abs(y) - 0.78, 0.12, 0.16, 0.05) * r, metal(rng), 0.03)
    slots = np.minimum(box(np.abs(x) - 0.34, y - 1.6 * flat, 0.07 + 0.7 * flat, 0.24 - flat), box(x, y + 0.4, 0.1, 0.2))
    p.well((slots if kind else disc(np.abs(x) - 0.34, y, 0.13)) * r, L.grey(rng, 0.03, 0.1), 0.02)
    p.screw(p.x, p.y if two else np.abs(p.y) - 0.69, 0.05)
    p.ink(prints([N.pick(rng, ["16A 250V", "15A 125V", "13A"])], x * r, (y - 0.48) * r, 0.08), L.apart(rng, body, 0.4))
    return rgba(p.picture, p.alpha)


def pocket_calculator(rng: Rng, size: int) -> Field:
    """A pocket calculator: display with figures, solar cells, a field of keys."""
    w, body, lcd = N.between(rng, 0.56, 0.7), casing(rng), L.tone(rng, (0.15, 0.4), (0.05, 0.25), (0.6, 0.8))
    p, rows = Bench(rng, size, (w, 0.97)), int(rng.integers(4, 6))
    p.part(box(p.x, p.y, w, 0.97, N.between(rng, 0.04, 0.18)), worked(p, body, "sgb"), N.between(rng, 0.03, 0.08))
    p.well(box(p.x, p.y + 0.58, w - 0.1, 0.16, 0.02), lcd, 0.04)
    p.write("".join(N.pick(rng, "abcdefghij") for _ in range(7)), 0, -0.58, (w - 0.16) * 0.36, lcd * np.float32(0.15))
    p.well(np.maximum(0.006 - N.fold(p.x, w * 0.2), box(p.x - w * 0.4, p.y + 0.84, w * 0.4, 0.06)), DARK * 3, 0.02)
    p.write("", -w * 0.5, -0.84, 0.09, L.apart(rng, body, 0.4))
    pitch, names = ((2 * w - 0.14) / 4, 1.24 / rows), ["C", "M+", "M-", "/", *"789*456-123+0.-="][-4 * rows :]
    u, v = grid(p.x, p.y - 0.25, (4, rows), pitch)
    column, row = np.rint((p.x - u) / pitch[0] + 1.5), np.rint((p.y - 0.25 - v) / pitch[1] + rows / 2 - 0.5)
    odd, plain, accent = N.pick(rng, [column == 3, row == 0, row > 8])[..., None], casing(rng), casing(rng)
    a, b = pitch[0] * N.between(rng, 0.36, 0.46), pitch[1] * N.between(rng, 0.36, 0.46)
    p.part(box(u, v, a, b, b * N.between(rng, 0.1, 0.9)), np.where(odd, accent, plain), b * 0.4, 0.02)
    ink = np.where(odd, L.apart(rng, accent, 0.4), L.apart(rng, plain, 0.4))
    p.ink(prints(names, u, v, b if rows == 4 else b * 0.9, which=column + 4 * row), ink)
    return rgba(p.picture, p.alpha)


def pressure_gauge(rng: Rng, size: int) -> Field:
    """A pressure gauge: screwed flange, case, arc of ticks and figures, coloured zone, needle."""
    p, ground, n, sweep = Bench(rng, size), casing(rng), int(rng.integers(4, 9)), N.between(rng, 4, 5.2)
    ink, r, step = L.apart(rng, ground, 0.4), N.between(rng, 0.62, 0.7), N.pick(rng, [1, 2, 5, 10, 20])
    p.part(p.r - 0.97, worked(p, metal(rng)))
    p.screw(*around_centre(p.x, p.y, int(rng.integers(3, 7)), 0.87), 0.05)
    p.part(p.r - 0.77, worked(p, N.pick(rng, [metal(rng), casing(rng)]), "st"), 0.06)
    p.well(p.r - r, worked(p, ground, "st"))
    zone = (np.abs(np.arctan2(p.x, -p.y) - sweep * 0.35) - sweep * 0.15) * p.r
    p.ink(np.maximum(np.abs(p.r - r * 0.92) - 0.025, zone), L.hsv(N.pick(rng, [0, 0.33, 0.12]), 0.85, 0.8))
    dial(p, r * 0.95, (n * N.pick(rng, [2, 5]), n), [str(k * step) for k in range(n + 1)], ink, sweep=sweep)
    p.write(N.pick(rng, ["BAR", "PSI", "MPA", "KPA"]), 0, r * 0.38, 0.13 * r, ink)
    hand(p, N.between(rng, -0.5, 0.5) * sweep, (0.2 * r, 0.8 * r), 0.045 * r, L.apart(rng, ground, 0.4))
    return rgba(p.picture, p.alpha)


def wrist_watch(rng: Rng, size: int) -> Field:
    """A wrist watch: stitched strap with holes or metal links, lugs, crown, bezel, face."""
    p, w, steel, body = Bench(rng, size, (0.62, 0.98)), N.between(rng, 0.26, 0.36), metal(rng), casing(rng)
    links, hide = N.fold(p.y + np.float32(0.05) * (np.abs(p.x) > w * 0.4), 0.1), N.chance(rng, 0.5)
    p.part(np.maximum(box(p.x, p.y, w, 0.98, 0.06), 0.008 - links - hide), worked(p, body if hide else steel, "g"))
    if hide:
        p.ink(np.maximum(np.abs(np.abs(p.x) - w + 0.06) - 0.01, N.fold(p.y, 0.08) - 0.025), L.apart(rng, body, 0.3))
        p.well(np.maximum(disc(p.x, N.fold(p.y, 0.13), 0.03), 0.6 - p.y), body * np.float32(0.2), 0.02)
    lugs, crown = box(np.abs(p.x) - w * 0.9, p.y, 0.07, 0.62, 0.05), box(p.x - 0.58, p.y, 0.05, 0.07, 0.02)
    p.part(np.minimum(lugs, crown), steel * (0.85 + 0.15 * np.cos(p.y * 150) * (p.x > 0.5))[..., None])
    p.part(p.r - 0.57, worked(p, steel, "st"), 0.05)
    p.part(p.r - 0.52, N.pick(rng, [casing(rng), metal(rng)]), 0.03, 0.01)
    hours(p, 0.46)
    return rgba(p.picture, p.alpha)


def wall_clock(rng: Rng, size: int) -> Field:
    """A wall clock: a frame in steps, studded in some, a face with hands."""
    p, body, studs = Bench(rng, size), casing(rng), int(rng.integers(-3, 5)) * 12
    p.part(p.r - 0.97, worked(p, body), N.between(rng, 0.03, 0.12))
    p.ink(disc(*around_centre(p.x, p.y, max(studs, 12), 0.87), 0.025 * (studs > 0)), L.apart(rng, body, 0.4))
    p.part(p.r - 0.8, worked(p, metal(rng), "st"), 0.03, 0.02)
    hours(p, 0.76)
    return rgba(p.picture, p.alpha)


def compass(rng: Rng, size: int) -> Field:
    """A compass: milled case, ring of degrees, a rose, letters, a needle of two colours."""
    p, n, ground, wide = Bench(rng, size), int(rng.integers(40, 80)), casing(rng), N.between(rng, 0.07, 0.14)
    p.part(p.r - (0.95 + 0.015 * np.cos(n * np.arctan2(p.y, p.x))), worked(p, metal(rng), "st"), 0.06)
    p.well(p.r - 0.82, worked(p, ground, "st"))
    ink, accent, angle = L.apart(rng, ground, 0.4), L.apart(rng, ground, 0.3), N.between(rng, 0, 6.3)
    u, v = around_centre(p.x, p.y, N.pick(rng, [4, 8]), 0)  # the rose's points, light on one side, dark on the other
    p.ink(np.abs(v) - wide * (1 - u / 0.44), np.where((v > 0)[..., None], ink, accent))
    dial(p, 0.8, (N.pick(rng, [60, 72, 90]), N.pick(rng, [12, 24, 36])), "SWNE", ink)
    hand(p, angle, (0, 0.5), 0.07, L.hsv(0.99, 0.85, 0.8))
    hand(p, angle + np.pi, (0, 0.5), 0.07, L.apart(rng, ground, 0.3))
    return rgba(p.picture, p.alpha)


def bank_card(rng: Rng, size: int) -> Field:
    """A bank card: graded ground with fine waves, a contact chip, raised figures, a name, a sign of two discs."""
    p, body, shift = Bench(rng, size, (0.97, 0.62)), casing(rng), rng.normal(0, 1, 2).astype(np.float32)
    edge, chip = box(p.x, p.y, 0.97, 0.61, 0.08), box(p.x + 0.6, p.y + 0.08, 0.17, 0.14, 0.04)
    p.part(edge, L.mix(body, L.near(rng, body, 0.3), N.ramp(p.x * shift[0] + p.y * shift[1], -1, 1)), 0.02)
    waves = N.fold(p.y + 0.1 * np.sin(p.x * N.between(rng, 2, 6)), N.between(rng, 0.08, 0.2)) - 0.006
    p.ink(np.maximum(waves, edge + 0.03), L.near(rng, body, 0.1))
    p.part(chip, L.hsv(0.12, N.between(rng, 0, 0.5), 0.85), 0.02, 0.01)
    u, ink, pads = np.abs(p.x + 0.6), L.apart(rng, body, 0.4), N.fold(p.y + 0.03, 0.1)
    p.ink(np.maximum(np.minimum(np.abs(u - 0.07), np.maximum(pads, 0.07 - u)) - 0.007, chip), DARK * 8)
    p.part(prints([" ".join(str(n) for n in rng.integers(1000, 9999, 4))], p.x, p.y - 0.22, 0.115), ink, 0.02, 0.02)
    p.write("", -0.5, 0.45, 0.1, ink)
    p.write("", 0.45, -0.42, 0.14, ink)
    p.ink(disc(np.abs(p.x - 0.67) - 0.07, p.y - 0.44, 0.11), L.any_colour(rng))
    return rgba(p.picture, p.alpha)


def loudspeaker(rng: Rng, size: int) -> Field:
    """A loudspeaker: frame with screws, rolled rubber rim, ribbed cone, domed cap."""
    square, cone, cap = N.chance(rng, 0.5), L.grey(rng, 0.12, 0.6), N.between(rng, 0.16, 0.28)
    p, count = Bench(rng, size, (0.9, 0.9) if square else (0, 0)), int(rng.integers(4, 9))
    p.part(box(p.x, p.y, 0.9, 0.9, 0.12) if square else p.r - 0.97, worked(p, casing(rng)))
    p.screw(*(grid(p.x, p.y, (2, 2), (1.5, 1.5)) if square else around_centre(p.x, p.y, count, 0.88)), 0.06)
    p.part(p.r - 0.8, worked(p, N.pick(rng, [metal(rng), casing(rng)]), "st"), 0.03)
    p.part(p.r - 0.75, L.grey(rng, 0.06, 0.2), N.between(rng, 0.1, 0.16))
    p.well(p.r - 0.58, cone * (0.55 + 0.7 * p.r + 0.12 * np.cos(p.r * N.between(rng, 0, 70)))[..., None], 0.1)
    p.part(p.r - cap, N.pick(rng, [metal(rng), L.near(rng, cone, 0.1)]), cap)
    return rgba(p.picture, p.alpha)


PARTS = (integrated_circuit, circuit_board, wall_socket, pocket_calculator, pressure_gauge)
FACES = (wrist_watch, wall_clock, compass, bank_card, loudspeaker)
ELECTRIC: dict[str, Callable[[Rng, int], Field]] = {one.__name__.replace("_", " "): one for one in (*PARTS, *FACES)}
