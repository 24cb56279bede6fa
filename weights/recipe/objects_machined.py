"""Machined and moulded parts, as product renders: parts laid on one another, sunk, drilled and stamped."""

from collections.abc import Callable

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng
from .outlines import Place, box, cover, disc, grid, place, polygon, rgba, text


class Bench:
    """A picture in the making, rendered in one of five manners: matt, glossy, mirrored, as a cel, as an icon."""

    def __init__(self, rng: Rng, at: Place) -> None:
        self.rng, self.at, self.manner = rng, at, int(rng.integers(5))
        self.r, self.angle = N.polar(at.x, at.y)
        lamp = N.between(rng, -np.pi, 0 if N.chance(rng, 0.85) else np.pi)  # mostly above
        self.lamp = np.float32(np.cos(lamp)), np.float32(np.sin(lamp))
        self.edge, self.chamfer = N.around(rng, 0.7, 1.5), self.manner == 3 or N.chance(rng, 0.4)
        self.shadow, self.foot, self.reach = N.between(rng, 0.2, 0.7), N.between(rng, 0.1, 0.5), N.around(rng, 0.5, 1.6)
        self.line = N.between(rng, 0.35, 0.8) if N.chance(rng, 0.8 if self.manner > 2 else 0.15) else -1.0
        self.strength, self.through = np.float32(N.between(rng, 0.6, 1.1)), N.chance(rng, 0.6)  # holes show the ground
        self.raw = self.picture = np.zeros((at.size, at.size, 3), np.float32)  # raw: the colours without light
        self.alpha = np.zeros((at.size, at.size), np.float32)

    def render(self, base: Field, facing: Field, slant: Field) -> Field:
        """The colour of stuff that faces the lamp by -1..1 and leans by 0..1."""
        x, y = N.centred(self.at.size)
        fall = (x * self.lamp[0] + y * self.lamp[1]) * np.float32(2 / self.at.size)
        if self.manner < 2:  # soft light from everywhere, or a lamp with a round highlight, burnt out in its middle
            light = 0.57 * facing - 0.22 * slant * slant + 0.06 * fall
            shine = np.exp(-(((facing - 0.55) * 6) ** 2)) * np.float32(self.manner)
        elif self.manner == 2:  # polished: a bright sky, a sharp dark horizon, a floor
            sky = N.ramp(facing, 0.08, 0.3) * 0.6 - N.ramp(facing, 0.72, 0.86) * 0.45
            light = sky - N.ramp(facing, -0.1, -0.3) * 0.62 + N.ramp(facing, -0.6, -0.9) * 0.4
            shine = np.maximum(sky, 0) * np.float32(0.35)
        elif self.manner == 3:  # a cel: flat tones with hard limits
            light = 0.4 * N.ramp(facing, 0.2, 0.28) - 0.45 * N.ramp(facing, -0.2, -0.28)
            shine = N.ramp(facing, 0.62, 0.68) * np.float32(0.5)
        else:  # an icon: a gradient over all of it, half of it under a pale gloss
            light = 0.38 * fall + 0.45 * facing
            shine = N.ramp(facing, 0.3, 0.9) * np.float32(0.6) + N.ramp(fall, 0.08, 0.14) * np.float32(0.08)
        picture = base * (0.97 + light * self.strength)[..., None]
        return picture + (shine * self.strength)[..., None] * (1 - np.minimum(picture, 1))

    def slope(self, base: Field, d: Field, edge: float, sign: float = 1) -> Field:
        """Stuff with a bevel inside an outline, at least a pixel and a half wide; edge 0: d is the slant itself."""
        gx, gy = L.slopes(d if edge else d * d)
        tilt = np.clip(1 + d * np.float32(1 / max(edge * self.edge, 1.5 / self.at.px)), 0, 1) if edge else np.abs(d)
        tilt = np.minimum(tilt * 4, 0.7) if edge and self.chamfer else tilt
        toward = (gx * self.lamp[0] + gy * self.lamp[1]) / (np.sqrt(gx * gx + gy * gy) + np.float32(1e-6))
        return self.render(base, toward * tilt * np.float32(sign), tilt)

    def dark(self, d: Field, height: float, sign: int) -> Field:
        """The light left round the foot of a part this high (sign 1) or on the floor of a recess this deep (-1)."""
        far, soft = max(height * self.reach * self.at.px, 1.0), max(height * 0.45, 1 / self.at.px)
        moved = np.roll(d, (round(-self.lamp[1] * far), round(-self.lamp[0] * far)), (0, 1)) * sign
        corner = np.exp(np.maximum(d * sign, 0) * np.float32(-1.2 / height)) * np.float32(self.foot)
        return (1 - N.ramp(moved, soft, -soft) * np.float32(self.shadow)) * (1 - corner)

    def blend(self, part: Field, raw: Field, inside: Field) -> None:
        """Paint over what is there."""
        self.alpha = inside + self.alpha * (1 - inside)
        t = inside / np.maximum(self.alpha, 1e-6)
        self.picture, self.raw = L.mix(self.picture, part, t), L.mix(self.raw, raw, t)

    def lay(self, d: Field, base: Field, edge: float = 0.04, height: float = 0.06, across: Field | None = None) -> None:
        """A raised part; with `across`, -1..1, a round bar instead of a plate with bevels."""
        self.picture = self.picture * self.dark(d, height, 1)[..., None]
        part = self.slope(base, d, edge) if across is None else self.slope(base, across, 0)
        ink = np.clip(np.float32(self.line + 0.5) - np.abs(d * np.float32(self.at.px) + 0.5), 0, 1)
        self.blend(part * (1 - 0.7 * ink)[..., None], base, cover(self.at, d))

    def sink(self, d: Field, base: Field | None = None, edge: float = 0.03, depth: float = 0.05) -> None:
        """A recess with its wall, its inner shadow and its floor, of the same stuff if none is given."""
        base = self.raw if base is None else base
        part, inside = self.slope(base, d, edge, -1), cover(self.at, d) * self.alpha
        self.blend(part * self.dark(d, depth, -1)[..., None], base, inside)

    def drill(self, d: Field, sunk: float = 0.03) -> None:
        """A hole with a chamfer `sunk` wide round it: through, or so deep that it is dark but for a wall."""
        self.sink(d - np.float32(sunk), None, sunk, sunk)
        inside = cover(self.at, d)
        deep = self.raw * (0.4 * self.dark(d, 0.06, -1) ** 2)[..., None]
        self.picture, self.alpha = L.mix(self.picture, deep, inside), self.alpha * (1 - inside * self.through)

    def stamp(self, ink: Field, depth: float = 0.4) -> None:
        """Letters and patterns 0..1 in relief: raised, or sunk and darker when depth < 0."""
        gx, gy = L.slopes(ink * self.alpha * np.float32(-2 * depth))
        self.picture = self.picture * (1 + gx * self.lamp[0] + gy * self.lamp[1] + min(depth, 0.2) * ink)[..., None]

    def ribs(self, wave: Field, where: Field) -> None:
        """Ribs, knurls, fine grooves: the crests of cos(wave) inside the outline `where`."""
        self.stamp((0.5 + 0.5 * np.cos(wave)) * cover(self.at, where))

    def letters(self, area: tuple[float, float, float, float], arc: bool = False) -> None:
        """Stamped, raised or printed writing in a box, or on an arc: area = (angle, -radius, angle, -radius)."""
        count = max(1, round((area[2] - area[0]) * (-area[1] if arc else 1) / (area[3] - area[1]) / 0.75))
        ink = text(self.rng, *((self.angle, -self.r) if arc else self.at[:2]), area, letters=count)
        self.stamp(ink, N.pick(self.rng, [-0.6, -0.4, 0.3, 0.5]))
        ground = (self.raw * ink[..., None]).sum((0, 1)) / (ink.sum() + 1e-6)
        self.picture = L.mix(self.picture, L.apart(self.rng, ground, 0.3), ink * N.chance(self.rng, 0.5))

    def circle(self, count: int, r: float, phase: float = 0.0, twist: float = 0.0) -> tuple[Field, Field]:
        """Coordinates about the nearest of `count` points on a circle round the middle; spokes may be swept."""
        part, turn = np.float32(2 * np.pi / count), self.angle + self.r * np.float32(twist) - np.float32(phase)
        turn = turn - np.round(turn / part) * part
        return self.r * np.cos(turn) - np.float32(r), self.r * np.sin(turn)

    def screws(self, spots: tuple[Field, Field], r: float) -> None:
        """Screw heads: hexagonal, or round with a hexagon, a slot or a cross in them."""
        (u, v), kind, d = spots, int(self.rng.integers(4)), disc(*spots, r)
        self.lay(polygon(u, v, 6, r * 0.87) if kind == 0 else d, metal(self.rng, self.at, True), r * 0.35, 0.05)
        slot, other = box(u, v, r * 0.7, r * 0.16), box(u, v, r * 0.16, r * 0.7)
        recess = [np.abs(d + r * 0.3) - r * 0.06, polygon(u, v, 6, r * 0.5), slot, np.minimum(slot, other)][kind]
        self.sink(recess, self.raw * np.float32(0.5 if kind else 1), r * 0.1, 0.03)

    def bore(self, r: float, sunk: float = 0.03) -> None:
        """A central hole: round, with a keyway, a flat, splines, or square."""
        (x, y, _), (u, v), d = self.at, self.circle(int(self.rng.integers(6, 13)), r), self.r - r
        key, splines = np.minimum(d, box(x, y - r, r * 0.28, r * 0.35)), np.minimum(d, box(u, v, r * 0.18, r * 0.14))
        self.drill(N.pick(self.rng, [d, key, np.maximum(d, y - r * 0.65), splines, box(x, y, r * 0.8, r * 0.8)]), sunk)

    def openings(self, inner: float, outer: float) -> None:
        """Between two radii: round or square holes, gaps between spokes, or writing."""
        rng, kind = self.rng, int(self.rng.integers(4))
        middle, half, count = (inner + outer) / 2, (outer - inner) / 2, int(rng.integers(3, 9))
        if kind < 2:
            fit = min(half * 0.68, middle * float(np.sin(np.pi / count)) * 0.7) * (0.85 if kind else 1)
            self.drill(box(*self.circle(count, middle), fit, fit, fit * (0.3 if kind else 1)), 0.02)
        elif kind == 2:  # spokes are what is left, all of one width
            gap = N.between(rng, 0.05, 0.1) - np.abs(self.circle(count, 0, np.pi / count)[1])
            self.drill(np.maximum(np.abs(self.r - middle) - half * 0.75, gap), 0.02)
        else:
            self.letters((-2.9, -middle - half * 0.4, N.between(rng, -0.5, 2.9), half * 0.4 - middle), True)


def metal(rng: Rng, at: Place, polished: bool = False) -> Field:
    """Steel, brass, copper or blued steel: polished, brushed, or turned with its fans of light."""
    steel, blued = L.grey(rng, 0.4, 0.85, 0.025), L.tone(rng, (0.55, 0.68), (0.1, 0.5), (0.2, 0.6))
    colour = N.pick(rng, [steel, steel, steel, blued, L.tone(rng, (0.03, 0.14), (0.25, 0.6), (0.55, 0.9))])
    if polished or N.chance(rng, 0.25):
        return L.solid(at.size, colour)
    turned, wave = N.chance(rng, 0.6), N.around(rng, 1, 2.5)
    r, angle = N.polar(at.x, at.y) if turned else (at.y, at.x)
    fans = np.cos(int(rng.integers(1, 3)) * 2 * (angle - np.float32(N.between(rng, 0, 2 * np.pi))))
    fans = (np.exp(4 * fans - 4) - 0.2) * np.float32(N.between(rng, 0.1, 0.4) * turned)
    return colour * (1 + fans + N.streak(rng, r * np.float32(at.px), wave) * np.float32(0.03))[..., None]


def stuff(rng: Rng, at: Place, most: float = 0.65) -> Field:
    """Metal, in `most` of all cases, else paint or moulded plastic, smooth or finely grained."""
    if N.chance(rng, most):
        return metal(rng, at)
    colour = L.grey(rng, 0.08, 0.9) if N.chance(rng, 0.3) else L.tone(rng, (0, 1), (0.4, 0.95), (0.3, 0.9))
    return colour * (1 + N.white(rng, at.size, at.size) * np.float32(N.pick(rng, [0, 0.01, 0.03])))[..., None]


def sprocket(rng: Rng, size: int) -> Field:
    """A chain sprocket: gullets between pointed teeth, lightening holes, a hub with screws, a bore."""
    bench, count, hub = Bench(rng, place(rng, size)), int(rng.integers(11, 27)), N.between(rng, 0.25, 0.4)
    r, roll = bench.r, np.pi / count * N.between(rng, 0.55, 0.66)
    bench.lay(np.maximum(r - 1, -disc(*bench.circle(count, 1 - roll * 0.8), roll)), stuff(rng, bench.at))
    bench.sink(np.abs(r - 0.96 + roll * 2.2) - 0.012, None, 0.012, 0.02)
    bench.openings(hub, 0.95 - roll * 2.2)
    bench.lay(r - hub, metal(rng, bench.at), 0.04, 0.1)
    bench.screws(bench.circle(int(rng.integers(3, 7)), hub * 0.76), 0.055)
    bench.bore(hub * N.between(rng, 0.4, 0.52))
    return rgba(bench.picture, bench.alpha)


def toothed_wheel(rng: Rng, size: int) -> Field:
    """A cog: square, trapezoid or rounded teeth, a recessed web with holes, spokes or letters, hub and bore."""
    bench, count = Bench(rng, place(rng, size)), int(rng.integers(10, 31))
    r, deep, body = bench.r, min(N.between(rng, 1.6, 2.4) / count, 0.17), stuff(rng, bench.at)
    (u, v), half = bench.circle(count, 1 - deep), np.pi * (1 - deep) / count * N.between(rng, 0.48, 0.58)
    wedge = np.maximum(np.abs(u) - deep, (np.abs(v) - half * 1.3 + u * (half * 0.65 / deep)) * np.float32(0.87))
    tooth = N.pick(rng, [box(u, v, deep, half), wedge, box(u, v, deep, half, min(half, deep) * 0.95)])
    bench.lay(np.minimum(r - 1 + deep, tooth), body)
    rim, hub, web = 1 - deep - N.between(rng, 0.06, 0.13), N.between(rng, 0.26, 0.4), stuff(rng, bench.at)
    bench.sink(r - rim, N.pick(rng, [body, web]) * np.float32(N.between(rng, 0.75, 1)), 0.05, 0.09)
    bench.openings(hub + 0.02, rim - 0.02)
    bench.lay(r - hub, N.pick(rng, [body, web]), 0.05, 0.09)
    bench.bore(hub * N.between(rng, 0.4, 0.6))
    return rgba(bench.picture, bench.alpha)


def ball_bearing(rng: Rng, size: int) -> Field:
    """A ball bearing: balls in a riveted cage, or the grooved seal over them, between two rings, one with letters."""
    bench, hole, wall = Bench(rng, place(rng, size)), N.between(rng, 0.22, 0.42), N.between(rng, 0.16, 0.2)
    r, at, middle, gap = bench.r, bench.at, (1 + hole) / 2, (1 - hole) / 2 - wall
    bench.lay(np.abs(r - middle) - gap - 0.03, L.solid(size, L.grey(rng, 0.05, 0.2)))
    ball, count = gap * N.between(rng, 0.9, 1.08), int(np.pi * middle / gap / N.between(rng, 1.15, 1.7))
    balls = disc(*bench.circle(count, middle), ball)
    bench.lay(balls, L.solid(size, L.grey(rng, 0.6, 0.85)), 0, 0.03, np.clip(1 + balls / np.float32(ball), 0, 1))
    bench.lay(np.maximum(np.abs(r - middle) - gap * 0.5, -0.15 * ball - balls), metal(rng, at, True), 0.03, 0.02)
    bench.lay(disc(*bench.circle(count, middle, np.pi / count), 0.03), bench.raw, 0.03, 0.02)
    if N.chance(rng, 0.25):
        bench.lay(np.abs(r - middle) - gap * 0.93, stuff(rng, at, 0.4), 0.03, 0.02)
        bench.sink(np.abs(r - middle) - gap * N.between(rng, 0.3, 0.6))
    bench.lay(np.minimum(np.abs(r - 1 + wall / 2), np.abs(r - hole - wall / 2)) - wall / 2, metal(rng, at))
    bench.letters((-2.8, wall * 0.12 - 1, N.between(rng, -1.5, 2), -1 + wall * 0.88), True)
    return rgba(bench.picture, bench.alpha)


def flange(rng: Rng, size: int) -> Field:
    """A flange: round, square or lobed plate, a circle of holes or screws, a raised face with rings, a bore."""
    kind, face, count = int(rng.integers(3)), N.between(rng, 0.5, 0.62), int(rng.integers(4, 11))
    bench = Bench(rng, place(rng, size, np.pi, (0.96, 0.96) if kind == 1 else (0, 0)))
    spots, r = bench.circle(4, 1.06, np.pi / 4) if kind == 1 else bench.circle(count, 0.81), bench.r
    plates = r - 1, box(*bench.at[:2], 0.96, 0.96, 0.15), np.minimum(r - 0.8, disc(*spots, 0.17))
    bench.lay(plates[kind], stuff(rng, bench.at), 0.05)
    bench.lay(r - face, metal(rng, bench.at), 0.04, 0.08)
    wave, area = r * (2 * np.pi / N.around(rng, 0.045, 0.08)), (-2.9, 0.03 - face, N.between(rng, 0, 2.9), 0.19 - face)
    bench.ribs(wave, np.abs(r - face * 0.75) - face * 0.16) if N.chance(rng, 0.5) else bench.letters(area, True)
    bench.bore(face * N.between(rng, 0.35, 0.5), 0.05)
    bench.drill(disc(*spots, 0.06), N.around(rng, 0.02, 0.05)) if N.chance(rng, 0.6) else bench.screws(spots, 0.1)
    return rgba(bench.picture, bench.alpha)


def hinge(rng: Rng, size: int) -> Field:
    """A hinge laid open: two leaves with countersunk holes or screws, knuckles on a pin, stamped letters."""
    wide, tall, roll = N.between(rng, 0.5, 0.95), N.between(rng, 0.55, 0.92), N.between(rng, 0.07, 0.12)
    bench = Bench(rng, place(rng, size, N.pick(rng, [0.1, np.pi]), (wide, tall + 0.05)))
    (x, y, _), body, count = bench.at, stuff(rng, bench.at, 0.8), int(rng.integers(2, 5))
    bench.lay(box(x, y, wide, tall, N.between(rng, 0.02, 0.25)), body)
    bench.sink(np.abs(x) - roll * 1.25, bench.raw * np.float32(0.3), 0.01, 0.02)
    middle, across = roll + (wide - roll) * 0.55, np.clip(x / np.float32(roll), -1, 1)
    knuckles, spots = N.pick(rng, [3, 5, 7]), grid(np.abs(x) - middle, y, (1, count), (1, 1.4 * tall / count))
    bench.drill(disc(*spots, 0.05), 0.045) if N.chance(rng, 0.6) else bench.screws(spots, 0.09)
    if count == 2:
        bench.letters((-middle - 0.17, -0.09, 0.17 - middle, 0.09))
    bench.lay(box(x, y, roll * 0.75, tall + 0.05, 0.03), metal(rng, bench.at, True), 0, 0.05, across)
    roller = box(*grid(x, y, (1, knuckles), (1, 2 * tall / knuckles)), roll, tall / knuckles - 0.012, 0.012)
    bench.lay(roller, body, 0, 0.05, across)
    return rgba(bench.picture, bench.alpha)


def valve_handwheel(rng: Rng, size: int) -> Field:
    """A valve handwheel: round, ribbed or scalloped rim, straight or swept spokes, a grooved hub with its screw."""
    bench, count, tube = Bench(rng, place(rng, size)), int(rng.integers(3, 8)), N.between(rng, 0.07, 0.13)
    r, colour, hub = bench.r, stuff(rng, bench.at, 0.3), N.between(rng, 0.24, 0.36)
    u, v = bench.circle(count, 0.45, 0, N.pick(rng, [0, 0, rng.normal(0, 0.8)]))
    v = np.abs(v) - N.between(rng, 0.05, 0.1) * (1.2 - 0.5 * u)
    bench.lay(np.maximum(v, np.abs(u) - 0.45), colour, 0.06)
    bench.sink(np.maximum(v + 0.04, np.abs(u - 0.02) - 0.25), None, 0.02, 0.02)
    rim = np.abs(r - 0.95 + tube - N.pick(rng, [0, 0, 0.03]) * np.cos(int(rng.integers(8, 25)) * bench.angle)) - tube
    bench.lay(rim, colour, 0, 0.1, np.clip(1 + rim / np.float32(tube), 0, 1))
    bench.ribs(int(rng.integers(36, 60)) * bench.angle, rim + tube * N.pick(rng, [0.4, 1]))
    bench.lay(r - hub, stuff(rng, bench.at), 0.06, 0.1)
    bench.ribs(r * 90, np.abs(r - hub * 0.75) - 0.05)
    bench.screws(bench.at[:2], hub * N.between(rng, 0.35, 0.5))
    return rgba(bench.picture, bench.alpha)


def heat_sink(rng: Rng, size: int) -> Field:
    """A heat sink: straight fins, square or round pins, or rays round a hub; screws in the corners, a name plate."""
    kind, tall, count = int(rng.integers(4)), N.between(rng, 0.55, 0.9), int(rng.integers(6, 13))
    bench = Bench(rng, place(rng, size, N.pick(rng, [0.1, np.pi]), (0, 0) if kind == 3 else (0.95, tall + 0.02)))
    (x, y, _), step, body = bench.at, 1.6 / count, stuff(rng, bench.at)
    bench.lay(bench.r - 1 if kind == 3 else box(x, y, 0.92, tall, 0.04), body * np.float32(N.between(rng, 0.45, 0.9)))
    u, v = grid(x, y, (count, max(2, int((2 * tall - 0.15) / step))), (step, step))
    pins, rays = box(u, v, step * 0.34, step * 0.34, step * N.pick(rng, [0.05, 0.34])), bench.circle(2 * count, 0.65)
    bench.lay([box(u, y, step * 0.25, tall - 0.06), pins, pins, box(*rays, 0.3, 0.05, 0.02)][kind], body, 0.03, 0.1)
    if kind < 3:
        bench.screws((np.abs(x) - 0.85, np.abs(y) - tall + 0.08), 0.065)
    bench.lay(bench.r - 0.36 if kind == 3 else box(x, y, 0.42, 0.17, 0.03), stuff(rng, bench.at), 0.03, 0.05)
    bench.letters((-0.3, -0.11, 0.3, 0.11))
    return rgba(bench.picture, bench.alpha)


def brake_disc(rng: Rng, size: int) -> Field:
    """A brake disc: turned ring with spirals of holes or swept slots, round or waved; a hat with its wheel holes."""
    bench, hat, count = Bench(rng, place(rng, size)), N.between(rng, 0.4, 0.55), int(rng.integers(8, 17))
    r, lean, wave = bench.r, N.between(rng, -0.25, 0.25), np.cos(count * bench.angle) * N.pick(rng, [0, 0, 0.025])
    bench.lay(r - 0.96 - wave, metal(rng, bench.at), 0.03)
    rows = enumerate(np.linspace(hat + 0.11, 0.87, int(rng.integers(2, 5))))
    holes = np.minimum.reduce([disc(*bench.circle(count, float(at_r), lean * k), 0.03) for k, at_r in rows])
    slots = box(*bench.circle(count, hat / 2 + 0.49, 0, 4 * lean), 0.36 - hat / 2, 0.03, 0.03)
    bench.drill(N.pick(rng, [holes, slots]), 0.012)
    bench.lay(r - hat, stuff(rng, bench.at), 0.09, 0.1)
    spots = bench.circle(int(rng.integers(4, 7)), hat * 0.62)
    bench.drill(disc(*spots, 0.04), 0.02) if N.chance(rng, 0.7) else bench.screws(spots, 0.065)
    bench.drill(r - hat * N.between(rng, 0.3, 0.4))
    return rgba(bench.picture, bench.alpha)


def roller_chain(rng: Rng, size: int) -> Field:
    """A piece of roller chain, straight or curved: waisted plates lapping one another, riveted pins."""
    links, thick = int(rng.integers(2, 5)), N.between(rng, 0.38, 0.46)  # in lengths of a link, as all below
    wide, bow = links / 2 + thick, N.around(rng, 1.5, 30)  # the radius of the curve
    sag = bow * (1 - float(np.cos(wide / bow))) / 2
    bench = Bench(rng, place(rng, size, np.pi, (1, (thick + sag) / wide)))
    r, angle = N.polar(bench.at.y * np.float32(wide) + np.float32(bow - sag), bench.at.x * np.float32(wide))
    x, y = angle * np.float32(bow), r - np.float32(bow)
    for first in (0, 1):  # every second link lies on its neighbours
        count = (links + 1 - first) // 2
        u, v = grid(x - (first + count - (links + 1) / 2), y, (count, 1), (2, 1))
        plate = np.minimum(disc(np.abs(u) - 0.5, v, thick), box(u, v, 0.5, thick * 0.62))
        bench.lay(plate / wide, stuff(rng, bench.at, 0.85))
    heads = disc(*grid(x, y, (links + 1, 1), (1, 1)), thick / 2) / wide
    bench.lay(heads, metal(rng, bench.at, True))
    bench.sink(heads + thick / wide / 4)
    return rgba(bench.picture, bench.alpha)


def castor(rng: Rng, size: int) -> Field:
    """A castor from the side: plate with its screws, tapering fork, ribbed tyre, hub, axle screw."""
    wheel, plate, lean = N.between(rng, 0.48, 0.6), N.between(rng, 0.45, 0.62), N.between(rng, 0, 0.15)
    bench, low = Bench(rng, place(rng, size, N.pick(rng, [0.1, np.pi]), (0.75, 0.98))), 0.97 - wheel
    at, x, y, steel = bench.at, bench.at.x, bench.at.y, stuff(rng, bench.at, 0.8)
    r, angle = N.polar(x - np.float32(lean), y - np.float32(low))
    bench.lay(r - wheel, stuff(rng, at, 0) * np.float32(N.between(rng, 0.3, 0.9)), 0.08)
    bench.ribs(int(rng.integers(30, 50)) * angle, wheel * 0.86 - r)
    bench.lay(r - wheel * N.between(rng, 0.62, 0.8), stuff(rng, at), 0.12, 0.04)
    t = np.clip((y + 0.8) / np.float32(low + 0.8), 0, 1)  # down the fork
    leg = np.abs(x - lean * t) - plate * 0.6 * (1 - t) - wheel * 0.2 * t
    bench.lay(np.minimum(np.maximum(leg, np.abs(y - low / 2 + 0.4) - low / 2 - 0.4), r - wheel * 0.24), steel, 0.05)
    bench.sink(np.maximum(leg + 0.07, np.abs(y - low / 2 + 0.5) - 0.3))
    bench.screws((x - lean, y - low), wheel * 0.17)
    bench.lay(box(x, y + 0.9, plate, 0.06, 0.02), steel, 0.03, 0.04)
    bench.screws(grid(x, y + 0.9, (2, 1), (plate * 1.5, 1)), 0.05)
    return rgba(bench.picture, bench.alpha)


MADE = (sprocket, toothed_wheel, ball_bearing, flange, hinge, valve_handwheel, heat_sink, brake_disc, roller_chain)
MACHINED: dict[str, Callable[[Rng, int], Field]] = {f.__name__.replace("_", " "): f for f in (*MADE, castor)}
