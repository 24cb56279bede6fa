"""Surfaces out of a factory: metals, plastics, rubber, paper, glass, paint."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng


def metal_colour(rng: Rng) -> Field:
    """Steel mostly; brass, copper and gold at times."""
    if N.chance(rng, 0.75):
        return L.grey(rng, 0.3, 0.85)
    return L.tone(rng, (0.04, 0.14), (0.25, 0.6), (0.5, 0.9))


def sheen(rng: Rng, size: int) -> Field:
    """Broad soft reflections, 1 on average."""
    return 1 + N.smooth(rng, size, N.around(rng, 0.3, 1.5) * size) * np.float32(N.between(rng, 0, 0.14))


def brushed_metal(rng: Rng, size: int) -> Field:
    """Fine parallel scratches."""
    angle = N.pick(rng, [0.0, np.pi / 2, N.between(rng, 0, np.pi)])
    lines = N.fibres(rng, size, angle, N.around(rng, 10, 120), N.between(rng, 0.3, 0.8))
    lines = lines + 0.5 * N.fibres(rng, size, angle, N.around(rng, 30, 150), N.around(rng, 1, 5))
    shade = sheen(rng, size) * (1 + lines * np.float32(N.around(rng, 0.015, 0.12)))
    return L.finish(rng, metal_colour(rng) * shade[..., None])


def turned_metal(rng: Rng, size: int) -> Field:
    """Concentric tool marks about a centre in or out of view, with the fan of light they throw."""
    x, y = N.centred(size)
    r, angle = N.polar(x - np.float32(rng.normal(0, 0.5) * size), y - np.float32(rng.normal(0, 0.5) * size))
    marks = N.streak(rng, r, N.around(rng, 1, 4)) + N.streak(rng, r, N.around(rng, 3, 12)) * np.float32(0.5)
    fan = np.cos(2 * (angle - np.float32(N.between(rng, 0, 3.2))))
    fan = fan + np.float32(0.4) * np.cos(6 * angle)
    shade = 1 + marks * np.float32(N.around(rng, 0.02, 0.1)) + fan * np.float32(N.between(rng, 0, 0.2))
    return L.finish(rng, metal_colour(rng) * shade[..., None])


def milled_metal(rng: Rng, size: int) -> Field:
    """Face-milled: rows of overlapping arcs."""
    u, v = N.view(rng, size)
    radius, feed = N.around(rng, 15, 120), N.around(rng, 2, 7)
    row = N.around(rng, 20, 160)
    p = v - np.round(v / np.float32(row)) * np.float32(row)
    arc = u + np.sqrt(np.maximum(np.float32(radius + row) ** 2 - p * p, 0))
    tooth = np.sin(arc * np.float32(2 * np.pi / feed)) + N.streak(rng, arc, feed * 0.5)
    shade = sheen(rng, size) * (1 + tooth * np.float32(N.around(rng, 0.02, 0.09)))
    return L.finish(rng, metal_colour(rng) * (shade + 0.02 * N.white(rng, size, size))[..., None])


def rolled_metal(rng: Rng, size: int) -> Field:
    """Cold-rolled, ground or pickled strip: grey, low contrast, fine grain, faint streaks."""
    angle = N.pick(rng, [0.0, np.pi / 2])
    shade = sheen(rng, size) + N.smooth(rng, size, N.around(rng, 1, 2.5)) * np.float32(N.around(rng, 0.01, 0.07))
    shade += N.fibres(rng, size, angle, N.around(rng, 20, 200), N.around(rng, 0.6, 6)) * np.float32(
        N.around(rng, 0.005, 0.05)
    )
    shade += N.fbm(rng, size, N.around(rng, 10, 60)) * np.float32(N.between(rng, 0, 0.05))
    return L.finish(rng, L.grey(rng, 0.2, 0.8) * shade[..., None])


def hammered_metal(rng: Rng, size: int) -> Field:
    """Overlapping round dents."""
    pitch = N.around(rng, 7, 26)
    u, v = N.view(rng, size, "free")
    first, second, _ = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch), N.between(rng, 0.3, 0.95))
    height = np.minimum(first * first, second * second) + 0.01 * N.fbm(rng, size, 5)
    picture = metal_colour(rng) * sheen(rng, size)[..., None]
    return L.finish(rng, L.lit(rng, picture, height, pitch * N.between(rng, 0.4, 1), N.between(rng, 0.2, 0.9)))


def cast_iron(rng: Rng, size: int) -> Field:
    """Sand-cast skin: dark, rough at two scales."""
    height = N.fbm(rng, size, N.around(rng, 3, 9), 3, 0.6) + 0.6 * N.fbm(rng, size, 25, 3)
    colour = L.grey(rng, 0.1, 0.45) if N.chance(rng, 0.8) else L.tone(rng, (0.0, 0.1), (0.1, 0.4), (0.15, 0.5))
    shade = 1 + 0.07 * N.white(rng, size, size) + 0.06 * height
    return L.finish(rng, L.lit(rng, colour * shade[..., None], height, N.around(rng, 0.3, 1), N.between(rng, 0, 0.3)))


def galvanised(rng: Rng, size: int) -> Field:
    """Zinc spangle: crystals, each reflecting its own amount."""
    pitch = N.around(rng, 8, 40)
    u, v = N.view(rng, size, "free", bend=pitch * 0.15)
    first, second, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch), 0.95)
    own = N.per_cell(rng, number) - np.float32(0.5)
    grainy = N.streak(rng, u * (1 + own) + v * own * 2, 2) * np.float32(0.04)
    shade = 1 + own * np.float32(N.between(rng, 0.1, 0.4)) + grainy - 0.1 * N.ramp(second - first, 0.06, 0)
    return L.finish(rng, L.grey(rng, 0.4, 0.8) * shade[..., None])


def painted_metal(rng: Rng, size: int) -> Field:
    """Paint with orange peel, or with metallic flakes."""
    colour = L.any_colour(rng)
    height = N.fbm(rng, size, N.around(rng, 4, 14), 2, 0.4)
    picture = colour * sheen(rng, size)[..., None]
    if N.chance(rng, 0.4):
        picture = picture * (1 + N.white(rng, size, size) * np.float32(N.between(rng, 0.02, 0.1)))[..., None]
    return L.finish(rng, L.lit(rng, picture, height, N.around(rng, 0.1, 0.8), N.between(rng, 0.2, 0.9)))


def smooth_plastic(rng: Rng, size: int) -> Field:
    """Moulded plastic: almost even, one soft highlight."""
    colour = L.any_colour(rng)
    x, y = N.centred(size)
    at = rng.normal(0, 0.4, 2) * size
    d = np.hypot(x - np.float32(at[0]), (y - np.float32(at[1])) * np.float32(N.around(rng, 0.4, 2.5)))
    shine = np.exp(-((d / np.float32(size * N.between(rng, 0.2, 0.9))) ** 2)) * np.float32(N.between(rng, 0, 0.5))
    picture = L.mix(colour, np.ones(3, np.float32), shine) * sheen(rng, size)[..., None]
    return L.finish(rng, picture * (1 + 0.01 * N.fbm(rng, size, 4))[..., None])


def textured_plastic(rng: Rng, size: int) -> Field:
    """Spark-eroded, pebbled or pyramid grain."""
    colour = L.any_colour(rng)
    kind = int(rng.integers(3))
    if kind == 0:
        height = N.fbm(rng, size, N.around(rng, 1.5, 5), 2)
    elif kind == 1:
        pitch = np.float32(N.around(rng, 4, 11))
        u, v = N.view(rng, size, "free")
        first, _, _ = N.cells(rng, u / pitch, v / pitch, N.between(rng, 0, 0.9))
        height = N.ramp(first, 0.6, 0.1) * 2
    else:
        pitch = np.float32(np.pi / N.around(rng, 4, 14))
        u, v = N.view(rng, size, "free")
        height = np.abs(np.sin(u * pitch)) + np.abs(np.sin(v * pitch))
    picture = colour * sheen(rng, size)[..., None]
    return L.finish(rng, L.lit(rng, picture, height, N.around(rng, 0.25, 1.2), N.between(rng, 0, 0.5)))


def rubber(rng: Rng, size: int) -> Field:
    """Dull and dark: fine grain, ribs or studs in some."""
    colour = L.grey(rng, 0.05, 0.35) if N.chance(rng, 0.7) else L.any_colour(rng)
    u, v = N.view(rng, size)
    period = N.around(rng, 6, 24)
    relief = [
        np.zeros_like(u),
        N.ramp(N.fold(u, period), period * 0.15, period * 0.3),
        N.ramp(np.hypot(N.fold(u, period), N.fold(v, period)), period * 0.35, period * 0.2),
    ][int(rng.integers(3))]
    grain = N.smooth(rng, size, 1.3) * np.float32(N.between(rng, 0.02, 0.1))
    return L.finish(rng, L.lit(rng, colour * (1 + grain)[..., None], relief + grain, N.around(rng, 0.5, 2), 0.15))


def foam(rng: Rng, size: int) -> Field:
    """Open or closed cells: sponge, polystyrene."""
    pitch = N.around(rng, 3.5, 14)
    u, v = N.view(rng, size, "free", bend=1)
    first, second, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch))
    colour = L.any_colour(rng) * np.float32(0.5) + np.float32(0.4)
    if N.chance(rng, 0.5):  # pores of many sizes
        radius = 0.15 + 0.4 * N.per_cell(rng, number)
        height = N.ramp(first - radius, -0.15, 0.1)
        shade = 0.45 + 0.55 * height
    else:  # beads pressed together
        height = N.ramp(second - first, 0, 0.4)
        shade = 0.85 + 0.15 * height + 0.03 * N.per_cell(rng, number)
    shade = shade + 0.04 * N.smooth(rng, size, 1.6)
    return L.finish(rng, L.lit(rng, colour * shade[..., None], height, pitch * N.between(rng, 0.05, 0.15)))


def frosted_glass(rng: Rng, size: int) -> Field:
    """A blurred room behind etched, hammered or reeded glass."""
    a, b = L.any_colour(rng), L.grey(rng, 0.5, 0.95)
    u, _ = N.view(rng, size)
    height = [
        N.smooth(rng, size, 1.2),
        N.fbm(rng, size, N.around(rng, 5, 15), 2) * 4,
        np.sin(u * np.float32(2 * np.pi / N.around(rng, 5, 18))) * 3,
    ][int(rng.integers(3))]
    behind = N.ramp(N.smooth(rng, size, size * 0.5) + 0.12 * height, -1.5, 1.5)
    picture = L.mix(b, (a + b) * np.float32(0.5), behind)
    return L.finish(rng, L.lit(rng, picture, height, N.around(rng, 0.03, 0.2), 0.3))


def paper(rng: Rng, size: int) -> Field:
    """Sheet paper: fibres, laid lines, a cloudy formation."""
    colour = L.grey(rng, 0.7, 0.97) if N.chance(rng, 0.6) else L.any_colour(rng)
    shade = 1 + N.fbm(rng, size, N.around(rng, 4, 20), 4, 0.7) * np.float32(N.between(rng, 0.01, 0.05))
    u, _ = N.view(rng, size)
    if N.chance(rng, 0.4):
        shade = shade + np.sin(u * np.float32(2 * np.pi / N.around(rng, 3, 9))) * np.float32(N.between(rng, 0, 0.04))
    hair = N.fibres(rng, size, N.between(rng, 0, 3.1), 9, 0.7)
    shade = shade - N.ramp(hair, 1.8, 3) * np.float32(N.between(rng, 0, 0.2))
    return L.finish(rng, L.lit(rng, colour * shade[..., None], N.fbm(rng, size, 3, 2), N.between(rng, 0, 0.2)))


def cardboard(rng: Rng, size: int) -> Field:
    """Brown board, flutes showing through."""
    colour = L.tone(rng, (0.06, 0.11), (0.2, 0.5), (0.5, 0.85))
    u, _ = N.view(rng, size)
    flute = np.sin(u * np.float32(2 * np.pi / N.around(rng, 6, 16))) * np.float32(N.between(rng, 0, 0.06))
    specks = N.ramp(N.smooth(rng, size, 1.5), 2.2, 3) * np.float32(0.25)
    hair = N.fibres(rng, size, N.between(rng, 0, 3.1), 7, 0.8) * np.float32(N.between(rng, 0.01, 0.05))
    shade = 1 + flute + hair - specks + N.fbm(rng, size, 40) * np.float32(0.03)
    return L.finish(rng, colour * shade[..., None])


def printed(rng: Rng, size: int) -> Field:
    """Halftone or wallpaper print: a soft picture in dots or lines."""
    u, v = N.view(rng, size, "free")
    k = np.float32(np.pi / N.around(rng, 2.5, 8))
    screen = np.sin(u * k) * (np.sin(v * k) if N.chance(rng, 0.6) else np.float32(1))
    paper_colour = L.any_colour(rng)
    tonal = N.smooth(rng, size, size * N.between(rng, 0.3, 1)) * np.float32(0.3)
    return L.finish(rng, L.mix(paper_colour, L.apart(rng, paper_colour), N.ramp(screen + tonal, -0.25, 0.25)))


MADE = {
    "brushed metal": brushed_metal,
    "turned metal": turned_metal,
    "milled metal": milled_metal,
    "rolled metal": rolled_metal,
    "hammered metal": hammered_metal,
    "cast iron": cast_iron,
    "galvanised metal": galvanised,
    "painted metal": painted_metal,
    "smooth plastic": smooth_plastic,
    "textured plastic": textured_plastic,
    "rubber": rubber,
    "foam": foam,
    "frosted glass": frosted_glass,
    "paper": paper,
    "cardboard": cardboard,
    "printed paper": printed,
}
