"""Surfaces that grew or were poured: wood, leather, stone, plaster, sand, leaves."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng


def wood(rng: Rng, size: int) -> Field:
    """Sawn wood: rings cut lengthwise, pores, now and then the arch of a flat cut."""
    u, v = N.view(rng, size, bend=N.around(rng, 0.5, 4))
    light = L.tone(rng, (0.04, 0.11), (0.25, 0.65), (0.45, 0.92)) if N.chance(rng, 0.85) else L.grey(rng, 0.3, 0.8)
    dark = light * np.float32(N.between(rng, 0.45, 0.85))
    length = N.around(rng, 60, 400)
    depth = u + N.smooth(rng, size, size * 0.5) * np.float32(N.around(rng, 1, 10))
    if N.chance(rng, 0.4):  # flat cut: rings close into arches
        start = float(v.mean()) + N.between(rng, -1, 1) * size
        depth = np.hypot(u - float(u.mean()), (v - start) * np.float32(N.between(rng, 0.05, 0.3)))
    ring = N.streak(rng, depth, N.around(rng, 2, 14)) + 0.5 * N.streak(rng, depth, N.around(rng, 1, 3))
    pores = N.streak(rng, u * 3 + N.streak(rng, v, length * 0.2) * 0.7, 1.5)
    pores = pores * N.ramp(N.streak(rng, v + 300 * np.floor(u * 1.5), N.around(rng, 6, 20)), 0.2, 0.9)
    t = N.ramp(ring, -1.4, 1.6) + np.float32(N.between(rng, 0.05, 0.3)) * np.abs(pores)
    picture = L.mix(light, dark, np.clip(t, 0, 1.3))
    return L.finish(rng, picture * (1 + 0.05 * N.fbm(rng, size, 60))[..., None])


def leather(rng: Rng, size: int) -> Field:
    """Pebbled grain with creases between."""
    pitch = N.around(rng, 3.5, 15)
    u, v = N.view(rng, size, "free", bend=pitch * 0.3)
    colour = L.tone(rng, (0.0, 0.1), (0.2, 0.8), (0.12, 0.7)) if N.chance(rng, 0.65) else L.any_colour(rng)
    if N.chance(rng, 0.5):  # large grain: pebbles
        stretch = np.float32(N.between(rng, 0.7, 1))
        u = u + N.smooth(rng, size, pitch * 0.7) * np.float32(pitch * 0.12)
        first, second, _ = N.cells(rng, u / np.float32(pitch), v * stretch / np.float32(pitch), 0.95)
        height = N.ramp(second - first, -0.05, N.between(rng, 0.3, 0.8)) - 0.3 * first
    else:  # fine grain: a net of creases where band-passed noise crosses nought
        fy, fx = N.frequencies(size)
        f = np.sqrt(fx * fx + (fy * np.float32(N.between(rng, 0.7, 1))) ** 2) * np.float32(pitch * 1.3)
        net = N.from_spectrum(rng, size, np.exp(-(((f - 1) / np.float32(0.4)) ** 2)))
        height = N.ramp(np.abs(net), 0, N.between(rng, 0.4, 1.2))
    height = height + 0.1 * N.fbm(rng, size, 10)
    shade = 0.75 + 0.22 * height
    picture = colour * shade[..., None]
    return L.finish(rng, L.lit(rng, picture, height, pitch * N.between(rng, 0.05, 0.22), N.between(rng, 0, 0.6)))


def marble(rng: Rng, size: int) -> Field:
    """Veins of several widths along one direction."""
    ground = L.grey(rng, 0.6, 0.95, 0.03) if N.chance(rng, 0.6) else L.any_colour(rng)
    vein = L.apart(rng, ground, 0.2)
    u, _ = N.view(rng, size, "free")
    t = np.zeros((size, size), np.float32)
    for k in range(int(rng.integers(2, 5))):
        wide = size / 2 ** (k * 0.8)
        line = np.sin(u * np.float32(2 * np.pi / wide) + N.fbm(rng, size, wide * 0.7, 5) * np.float32(1.6))
        t = np.maximum(t, (1 - np.abs(line)) ** np.float32(N.between(rng, 2, 8)) * np.float32(0.8**k))
    t = t * N.ramp(N.smooth(rng, size, size * 0.3), -3, 1) + 0.12 * N.fbm(rng, size, size * 0.5, 5)
    return L.finish(rng, L.mix(ground, vein, np.clip(t * np.float32(N.between(rng, 0.4, 1)), -0.3, 1)))


def granite(rng: Rng, size: int) -> Field:
    """Interlocked grains of three or four minerals."""
    wide = N.around(rng, 1.0, 2)
    ground = L.any_colour(rng) * np.float32(0.2) + L.grey(rng) * np.float32(0.8)
    picture = L.solid(size, ground)
    for _ in range(int(rng.integers(2, 5))):
        grains = N.fbm(rng, size, wide * N.between(rng, 0.8, 1.7), 2)
        level = N.between(rng, 0.3, 1.4)
        picture = L.mix(picture, L.near(rng, ground, 0.18), N.ramp(grains, level - 0.4, level + 0.4))
    return L.finish(rng, picture)


def concrete(rng: Rng, size: int) -> Field:
    """Grey cement: clouds, grit, small air holes."""
    colour = L.grey(rng, 0.35, 0.8)
    shade = 1 + N.fbm(rng, size, 60, 5, 0.6) * np.float32(N.between(rng, 0.03, 0.1))
    shade = shade + N.smooth(rng, size, N.around(rng, 1, 2.5)) * np.float32(N.between(rng, 0.01, 0.06))
    u, v = N.view(rng, size, "free")
    first, _, number = N.cells(rng, u / 9, v / 9)
    holes = N.ramp(first, 0.2, 0.08) * (N.per_cell(rng, number) < N.between(rng, 0, 0.5))
    height = N.smooth(rng, size, 2.5) * np.float32(0.3) - holes
    return L.finish(rng, L.lit(rng, colour * (shade - 0.25 * holes)[..., None], height, N.around(rng, 0.2, 0.8)))


def plaster(rng: Rng, size: int) -> Field:
    """Trowelled or rolled render, painted."""
    colour = L.grey(rng, 0.6, 0.95) if N.chance(rng, 0.5) else L.any_colour(rng)
    height = N.fbm(rng, size, N.around(rng, 4, 30), 5, N.between(rng, 0.4, 0.75))
    if N.chance(rng, 0.4):
        height = np.abs(height)
    if N.chance(rng, 0.3):  # flattened peaks
        height = np.clip(height, -1, N.between(rng, 0, 0.6))
    return L.finish(rng, L.lit(rng, L.solid(size, colour), height, N.around(rng, 0.4, 2)))


def asphalt(rng: Rng, size: int) -> Field:
    """Stones in bitumen."""
    pitch = N.around(rng, 3, 8)
    u, v = N.view(rng, size, "free", bend=1)
    first, _, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch))
    own = N.per_cell(rng, number)
    stone = N.ramp(first, 0.55, 0.3)
    shade = 0.5 + stone * (0.3 + 0.9 * own) + 0.2 * N.smooth(rng, size, 1.2)
    return L.finish(rng, L.lit(rng, L.grey(rng, 0.15, 0.45) * shade[..., None], stone, 1.0))


def sandpaper(rng: Rng, size: int) -> Field:
    """Grit glued evenly on paper."""
    colour = L.tone(rng, (0.0, 0.1), (0.1, 0.75), (0.2, 0.75)) if N.chance(rng, 0.7) else L.any_colour(rng)
    wide = N.around(rng, 1.0, 3.2)
    grit = N.smooth(rng, size, wide)
    sparks = N.ramp(N.white(rng, size, size), 1.8, 2.8) * np.float32(N.between(rng, 0, 0.5))
    picture = colour * (1 + grit * np.float32(N.between(rng, 0.06, 0.2)) + sparks)[..., None]
    return L.finish(rng, L.lit(rng, picture, grit, N.around(rng, 0.2, 0.7)))


def sand(rng: Rng, size: int) -> Field:
    """Fine grains, often blown into ripples."""
    colour = L.tone(rng, (0.06, 0.13), (0.1, 0.5), (0.5, 0.95))
    u, _ = N.view(rng, size, "free", bend=N.around(rng, 1, 8))
    k = np.float32(2 * np.pi / N.around(rng, 9, 40))
    ripple = np.sin(u * k + 0.5 * np.sin(u * k)) * np.float32(N.pick(rng, [0.0, 1.0, 1.0]))
    grain = N.smooth(rng, size, N.around(rng, 1, 2))
    picture = colour * (1 + grain * np.float32(N.between(rng, 0.04, 0.14)))[..., None]
    return L.finish(rng, L.lit(rng, picture, ripple * 3 + N.fbm(rng, size, 30) + 0.2 * grain, N.around(rng, 0.2, 0.8)))


def pebbles(rng: Rng, size: int) -> Field:
    """Rounded stones, closely packed."""
    pitch = N.around(rng, 6, 28)
    u, v = N.view(rng, size, "free", bend=pitch * 0.12)
    first, second, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch), 0.85)
    height = np.sqrt(np.clip(1.1 - (first * np.float32(1.5)) ** 2, 0, 1)) * N.ramp(second - first, 0, 0.25)
    ground = L.tone(rng, (0.03, 0.16), (0, 0.4), (0.35, 0.85)) if N.chance(rng, 0.7) else L.any_colour(rng)
    picture = L.mix(L.near(rng, ground, 0.15), L.near(rng, ground, 0.25), N.per_cell(rng, number))
    shade = (0.55 + 0.5 * N.per_cell(rng, number)) * N.ramp(height, -0.1, 0.7)
    picture = picture * (shade + 0.08 * N.fbm(rng, size, 4, 2) + 0.08)[..., None]
    return L.finish(rng, L.lit(rng, picture, height, pitch * 0.22, N.between(rng, 0, 0.4)))


def grass(rng: Rng, size: int) -> Field:
    """Blades from above or combed one way."""
    colour = L.tone(rng, (0.17, 0.36), (0.3, 0.8), (0.3, 0.75))
    picture = L.solid(size, colour * np.float32(0.3))
    middle = N.between(rng, 0, np.pi)
    for k in range(5):
        blade = N.fibres(rng, size, middle + rng.normal(0, 0.6), N.around(rng, 7, 18), N.between(rng, 0.9, 1.6))
        own = L.near(rng, colour * np.float32(0.5 + 0.14 * k), 0.06)
        picture = L.mix(picture, own, N.ramp(blade, 0.3, 1.2))
    return L.finish(rng, picture)


def leaf(rng: Rng, size: int) -> Field:
    """A leaf's blade close up: midrib, side veins, a net between them."""
    colour = L.tone(rng, (0.2, 0.38), (0.35, 0.85), (0.25, 0.7)) if N.chance(rng, 0.8) else L.any_colour(rng)
    pale = L.near(rng, colour, 0.05) * np.float32(0.7) + np.float32(N.between(rng, 0.1, 0.3))
    u, v = N.view(rng, size, "free", bend=2)
    u = u - float(u.mean()) + np.float32(rng.normal(0, 0.25) * size)
    side, slant = N.around(rng, 12, 38), N.between(rng, 0.4, 1.2)
    veins = N.fold(v - np.abs(u) * np.float32(slant) + 3 * np.sin(u * 0.05), side)
    rib = N.ramp(np.abs(u), N.between(rng, 2, 4), 1)
    vein = np.maximum(rib, N.ramp(veins, 2.2, 0.4))
    pitch = N.around(rng, 3.5, 9)
    first, second, _ = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch))
    net = N.ramp(second - first, 0.22, 0)
    t = np.maximum(vein, net * np.float32(N.between(rng, 0.1, 0.5)))
    picture = L.mix(colour * (1 + 0.07 * N.fbm(rng, size, 20))[..., None], pale, t)
    return L.finish(rng, L.lit(rng, picture, np.minimum(veins, 8) * 0.2 - t, N.around(rng, 0.2, 0.8), 0.15))


def bark(rng: Rng, size: int) -> Field:
    """Furrowed plates, longer than wide."""
    u, v = N.view(rng, size, bend=3)
    pitch = N.around(rng, 6, 20)
    first, second, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch * N.around(rng, 1.5, 4)))
    height = N.ramp(second - first, 0, 0.4) + 0.25 * N.fbm(rng, size, 8, 4, 0.7)
    colour = L.tone(rng, (0.03, 0.12), (0.1, 0.5), (0.25, 0.7))
    picture = colour * (0.45 + 0.5 * height + 0.2 * N.per_cell(rng, number))[..., None]
    return L.finish(rng, L.lit(rng, picture, height, pitch * 0.12))


def slate(rng: Rng, size: int) -> Field:
    """Split stone: layers that end in low steps."""
    colour = L.grey(rng, 0.2, 0.6) if N.chance(rng, 0.6) else L.tone(rng, (0, 1), (0.05, 0.35), (0.25, 0.7))
    rough = N.fbm(rng, size, N.around(rng, 25, 80), 5, 0.55)
    layers = rough * np.float32(N.between(rng, 2, 6))
    step = np.floor(layers)
    height = step + N.ramp(layers - step, 0.75, 1)
    shade = 1 + 0.05 * N.fbm(rng, size, 3, 2)
    return L.finish(rng, L.lit(rng, colour * shade[..., None], height + 0.3 * rough, N.around(rng, 0.2, 0.7)))


def peel(rng: Rng, size: int) -> Field:
    """Fruit skin and bread crust: soft colour, small pits or speckles."""
    colour = L.tone(rng, (0.0, 0.25), (0.4, 0.95), (0.45, 0.95))
    pitch = N.around(rng, 4, 11)
    u, v = N.view(rng, size, "free", bend=1)
    first, _, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch))
    pit = N.ramp(first, N.between(rng, 0.2, 0.5), 0.05) * (0.4 + 0.6 * N.per_cell(rng, number))
    picture = L.mix(colour, L.near(rng, colour, 0.12), N.ramp(N.fbm(rng, size, 50), -1.5, 1.5))
    picture = L.mix(picture, L.near(rng, colour, 0.2), pit * np.float32(N.between(rng, 0, 0.5)))
    return L.finish(rng, L.lit(rng, picture, -pit + 0.1 * N.fbm(rng, size, 6, 2), pitch * 0.2, N.between(rng, 0, 0.6)))


NATURAL = {
    "wood": wood,
    "leather": leather,
    "marble": marble,
    "granite": granite,
    "concrete": concrete,
    "plaster": plaster,
    "asphalt": asphalt,
    "sandpaper": sandpaper,
    "sand": sand,
    "pebbles": pebbles,
    "grass": grass,
    "leaf": leaf,
    "bark": bark,
    "slate": slate,
    "fruit peel": peel,
}
