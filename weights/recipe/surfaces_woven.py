"""Surfaces made of threads: cloth, carpet, mesh, wicker, felt."""

import numpy as np

from . import light as L
from . import noise as N
from .noise import Field, Rng

WEAVES = {  # 1 where the lengthwise thread lies on top
    "plain": [[1, 0], [0, 1]],
    "twill": [[1, 1, 0], [0, 1, 1], [1, 0, 1]],
    "twill2": [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]],
    "basket": [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]],
    "satin": [[1, 1, 1, 1, 0], [1, 1, 0, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 0, 1], [1, 0, 1, 1, 1]],
    "rib": [[1, 1], [0, 0]],
}


def woven(rng: Rng, u: Field, v: Field, kind: str, gap: float) -> tuple[Field, Field, Field, Field]:
    """(Height, 1 where lengthwise is on top, 1 where there is thread, number along) at thread coordinates u, v."""
    pattern = np.array(WEAVES[kind], np.float32)
    i, j = np.floor(u), np.floor(v)
    du, dv = u - i - np.float32(0.5), v - j - np.float32(0.5)
    over = pattern[j.astype(np.int32) % pattern.shape[0], i.astype(np.int32) % pattern.shape[1]]
    half = np.float32(0.5 * (1 - gap))
    up, across = 1 - (du / half) ** 2, 1 - (dv / half) ** 2
    dip_u, dip_v = dv * dv * np.float32(1.2), du * du * np.float32(1.2)  # a thread is highest where it crosses
    lengthwise, crosswise = up - dip_u, across - dip_v
    on_top = np.where(up < 0, 0, np.where(across < 0, 1, over)).astype(np.float32)
    height = np.where(on_top > 0.5, lengthwise, crosswise)
    there = N.ramp(np.maximum(up, across), -0.15, 0.15)
    return height, on_top, there, np.where(on_top > 0.5, i, j + 31)


def cloth(
    rng: Rng, size: int, kind: str, pitch: float, *, colours: tuple[Field, Field], gap: float = 0.0, fuzz: float = 0.08
) -> Field:
    """Cloth of `pitch` pixels a thread; `colours` are warp and weft; dark behind its gaps."""
    warp, weft = colours
    u, v = N.view(rng, size, bend=N.around(rng, 0.2, 2.5))
    u, v = u / np.float32(pitch), v / np.float32(pitch * N.between(rng, 0.8, 1.25))
    wobble = N.between(rng, 0, 0.12)
    u = u + N.smooth(rng, size, pitch * 6, pitch * 2) * np.float32(wobble)
    height, on_top, there, thread = woven(rng, u, v, kind, gap)
    picture = L.mix(weft, warp, on_top)
    uneven = 1 + N.white(rng, 512)[thread.astype(np.int32) & 511] * np.float32(N.between(rng, 0, 0.1))
    uneven = uneven + N.smooth(rng, size, max(1.0, pitch * 0.3)) * np.float32(fuzz)
    uneven = uneven * (0.72 + 0.28 * height) * (there * np.float32(1) + (1 - there) * np.float32(0.25))
    return L.lit(rng, picture * uneven[..., None], height, pitch * N.between(rng, 0.05, 0.2))


def woven_fabric(rng: Rng, size: int) -> Field:
    """Cloth in any weave, one colour or two."""
    warp = L.any_colour(rng)
    weft = L.near(rng, warp, 0.05) if N.chance(rng, 0.7) else L.apart(rng, warp)
    kind = N.pick(rng, list(WEAVES))
    return L.finish(rng, cloth(rng, size, kind, N.around(rng, 3, 14), colours=(warp, weft), gap=N.between(rng, 0, 0.2)))


def denim(rng: Rng, size: int) -> Field:
    """Twill with a coloured warp and a pale weft."""
    warp = L.tone(rng, (0.56, 0.68), (0.3, 0.75), (0.2, 0.6)) if N.chance(rng, 0.7) else L.any_colour(rng)
    weft = L.near(rng, warp, 0.04) * 0.5 + np.float32(0.4)
    picture = cloth(rng, size, "twill", N.around(rng, 2.5, 7), colours=(warp, weft), gap=0.05, fuzz=0.14)
    return L.finish(rng, picture * (1 + 0.06 * N.fbm(rng, size, 30))[..., None])


def burlap(rng: Rng, size: int) -> Field:
    """Coarse open sacking, uneven threads."""
    colour = L.tone(rng, (0.07, 0.13), (0.2, 0.55), (0.45, 0.85))
    colours, gap = (colour, L.near(rng, colour, 0.04)), N.between(rng, 0.15, 0.45)
    return L.finish(rng, cloth(rng, size, "plain", N.around(rng, 5, 14), colours=colours, gap=gap, fuzz=0.16))


def carbon_fibre(rng: Rng, size: int) -> Field:
    """Dark glossy twill of flat tows."""
    colour = L.grey(rng, 0.04, 0.2)
    pitch = N.around(rng, 7, 20)
    u, v = N.view(rng, size, "free")
    height, on_top, _, _ = woven(rng, u / np.float32(pitch), v / np.float32(pitch), N.pick(rng, ["twill2", "plain"]), 0)
    strands = np.where(on_top > 0.5, N.streak(rng, u, 1.2), N.streak(rng, v, 1.2))
    shine = np.where(on_top > 0.5, N.between(rng, 0.5, 2.2), N.between(rng, 0.5, 2.2)) * (0.6 + 0.4 * height)
    shine = shine * (1 + 0.12 * strands)
    return L.finish(rng, colour * shine.astype(np.float32)[..., None])


def carpet(rng: Rng, size: int) -> Field:
    """Cut or looped pile: tufts in rows or in disorder, with fibre grain."""
    pitch = N.around(rng, 3, 10)
    u, v = N.view(rng, size, bend=1.0)
    first, second, number = N.cells(rng, u / np.float32(pitch), v / np.float32(pitch), N.between(rng, 0.2, 0.95))
    colour = L.any_colour(rng)
    spread = N.between(rng, 0.02, 0.3)
    tuft = N.per_cell(rng, number)
    other = L.near(rng, colour, spread)
    picture = L.mix(colour, other, tuft if N.chance(rng, 0.6) else N.ramp(tuft, 0.6, 0.7))
    height = N.ramp(second - first, 0, 0.7) - first
    grain = N.smooth(rng, size, 1.6) * np.float32(N.between(rng, 0.05, 0.2))
    picture = picture * (0.8 + 0.35 * height + grain)[..., None]
    return L.finish(rng, L.lit(rng, picture, height, pitch * 0.25))


def patterned_carpet(rng: Rng, size: int) -> Field:
    """A flat-woven rug: bands and diamonds in two or three colours, ribbed."""
    u, v = N.view(rng, size, bend=0.6)
    period, rib = N.around(rng, 18, 60), N.around(rng, 2.5, 6)
    step = np.float32(rib)
    qu, qv = np.round(u / step) * step, np.round(v / step) * step
    a, b = N.fold(qu, period), N.fold(qv, period * N.between(rng, 0.6, 1.4))
    shape = a + b if N.chance(rng, 0.6) else np.maximum(a, b)
    picture = L.mix(L.any_colour(rng), L.any_colour(rng), N.ramp(shape, period * 0.3, period * 0.31))
    picture = L.mix(picture, L.any_colour(rng), N.ramp(shape, period * 0.62, period * 0.63))
    height = np.cos(u * np.float32(2 * np.pi / rib)) * np.cos(v * np.float32(np.pi / rib))
    picture = picture * (1 + 0.1 * height + 0.1 * N.smooth(rng, size, 1.5))[..., None]
    return L.finish(rng, L.lit(rng, picture, height, 0.3))


def striped_cloth(rng: Rng, size: int) -> Field:
    """Stripes of a few widths and colours on a faint weave."""
    u, v = N.view(rng, size, bend=N.around(rng, 0.2, 3))
    count = int(rng.integers(2, 6))
    widths = rng.uniform(2, 22, count)
    edges = np.cumsum(widths)
    where = np.mod(u, np.float32(edges[-1]))
    colours = [L.any_colour(rng) for _ in range(count)]
    picture = L.solid(size, colours[0])
    for k in range(1, count):
        inside = N.ramp(where, edges[k - 1] - 0.7, edges[k - 1] + 0.7)
        picture = L.mix(picture, colours[k], inside)
    picture = L.mix(picture, colours[0], N.ramp(where, edges[-1] - 0.7, edges[-1] + 0.7))
    return L.finish(rng, _threads(rng, size, picture, u, v))


def _threads(rng: Rng, size: int, picture: Field, u: Field, v: Field) -> Field:
    """The picture printed on fine cloth with soft folds."""
    pitch = np.float32(2 * np.pi / N.around(rng, 2.2, 5))
    weave = np.sin(u * pitch) * np.sin(v * pitch) * np.float32(N.between(rng, 0.02, 0.14))
    picture = picture * (1 + weave + N.smooth(rng, size, 1.4) * np.float32(0.03))[..., None]
    return L.lit(rng, picture, N.smooth(rng, size, 50), N.between(rng, 0, 6))


def checked_cloth(rng: Rng, size: int) -> Field:
    """Gingham and tartan: the same bands both ways, mixed where they cross."""
    u, v = N.view(rng, size, bend=N.around(rng, 0.2, 2))
    period = N.around(rng, 10, 60)
    ground = L.any_colour(rng)
    picture = L.solid(size, ground)
    for _ in range(int(rng.integers(1, 4))):
        colour, width, at = L.any_colour(rng), period * N.between(rng, 0.04, 0.25), N.between(rng, 0, period)
        for t in (u, v):
            band = N.ramp(N.fold(t + np.float32(at), period), width + 0.7, width - 0.7)
            picture = L.mix(picture, colour, band * np.float32(0.5))
    return L.finish(rng, _threads(rng, size, picture, u, v))


def dotted_cloth(rng: Rng, size: int) -> Field:
    """Dots in a square or staggered lattice."""
    u, v = N.view(rng, size, bend=N.around(rng, 0.2, 3))
    period = N.around(rng, 7, 45)
    ground = L.any_colour(rng)
    radius = period * N.between(rng, 0.12, 0.4)
    if N.chance(rng, 0.6):  # staggered
        s = np.float32(np.sqrt(0.5))
        a, b = (u + v) * s, (u - v) * s
    else:
        a, b = u, v
    d = np.hypot(N.fold(a, period), N.fold(b, period))
    picture = L.mix(ground, L.apart(rng, ground), N.ramp(d, radius + 0.8, radius - 0.8))
    return L.finish(rng, _threads(rng, size, picture, u, v))


def wicker(rng: Rng, size: int) -> Field:
    """Basket weave of round canes or flat straws."""
    colour = L.tone(rng, (0.06, 0.13), (0.25, 0.65), (0.4, 0.9)) if N.chance(rng, 0.8) else L.any_colour(rng)
    pitch = N.around(rng, 7, 22)
    u, v = N.view(rng, size, bend=1.5)
    a, b = u / np.float32(pitch), v / np.float32(pitch * N.between(rng, 0.4, 1.1))
    height, on_top, there, thread = woven(
        rng, a, b, N.pick(rng, ["plain", "basket", "rib"]), N.between(rng, 0.02, 0.25)
    )
    grain = np.where(on_top > 0.5, N.streak(rng, u, 1.5), N.streak(rng, v, 1.5)) * np.float32(0.05)
    shade = 0.75 + 0.3 * height + grain + N.white(rng, 512)[thread.astype(np.int32) & 511] * np.float32(0.08)
    picture = L.lit(rng, colour * shade[..., None], height, pitch * N.between(rng, 0.08, 0.2), 0.2)
    return L.finish(rng, picture * (0.15 + 0.85 * there)[..., None])


def straw(rng: Rng, size: int) -> Field:
    """A mat of parallel stalks, tied across at intervals."""
    colour = L.tone(rng, (0.09, 0.15), (0.25, 0.6), (0.55, 0.95))
    u, v = N.view(rng, size, bend=1.2)
    pitch, tie = N.around(rng, 3, 9), N.around(rng, 18, 70)
    stalk = np.floor(u / np.float32(pitch))
    height = np.sqrt(np.maximum(1 - (2 * (u / np.float32(pitch) - stalk) - 1) ** 2, 0.02))
    own = N.white(rng, 512)[stalk.astype(np.int32) & 511]
    shade = 0.75 + 0.25 * height + 0.09 * own + 0.06 * N.streak(rng, v + stalk * 37, 20)
    binding = N.ramp(N.fold(v, tie), 2.5, 1.2)
    picture = L.mix(colour * shade[..., None], L.near(rng, colour, 0.2), binding * np.float32(0.8))
    return L.finish(rng, L.lit(rng, picture, height, pitch * 0.15))


def wire_mesh(rng: Rng, size: int) -> Field:
    """Wire grid over a plain ground: square, or crossing on the slant; woven or welded."""
    pitch = N.around(rng, 6, 34)
    u, v = N.view(rng, size, bend=N.around(rng, 0.1, 1))
    if N.chance(rng, 0.3):  # lozenges
        u, v = u + v * np.float32(N.between(rng, 0.2, 0.6)), v - u * np.float32(N.between(rng, 0.2, 0.6))
    gap = N.between(rng, 0.5, 0.88)
    a, b = u / np.float32(pitch), v / np.float32(pitch)
    height, _, there, _ = woven(rng, a, b, N.pick(rng, ["plain", "plain", "rib"]), gap)
    ground = L.solid(size, L.grey(rng, 0.02, 0.95) if N.chance(rng, 0.6) else L.any_colour(rng))
    ground = ground * (1 + 0.06 * N.fbm(rng, size, 40))[..., None]
    wire = L.grey(rng, 0.2, 0.9) if N.chance(rng, 0.7) else L.any_colour(rng)
    if abs(float(wire.mean() - ground.mean())) < 0.2:
        ground = ground * np.float32(0.25)
    metal = wire * (0.65 + 0.45 * np.clip(height, -0.5, 1))[..., None]
    metal = L.lit(rng, metal, N.blur(np.clip(height, -0.3, 1), 0.7), pitch * 0.12, 0.4)
    return L.finish(rng, L.mix(ground, metal, there))


def felt(rng: Rng, size: int) -> Field:
    """Matted fibres in every direction."""
    colour = L.any_colour(rng)
    hair = np.zeros((size, size), np.float32)
    start, length = N.between(rng, 0, np.pi), N.around(rng, 4, 9)
    for k in range(5):  # every direction alike
        hair += N.fibres(rng, size, start + k * np.pi / 5, length, 0.7)
    shade = 1 + hair * np.float32(N.between(rng, 0.02, 0.07)) + N.fbm(rng, size, 25) * np.float32(0.05)
    return L.finish(rng, L.lit(rng, colour * shade[..., None], hair, 0.12))


def fur(rng: Rng, size: int) -> Field:
    """Hair combed one way, in locks."""
    colour = L.any_colour(rng)
    u, v = N.view(rng, size, "free", bend=N.around(rng, 3, 12))
    wide, long = np.float32(N.around(rng, 1, 2.2)), np.float32(N.around(rng, 10, 25))
    u = u + 2 * N.smooth(rng, size, 12)
    hair = N.sample(N.white(rng, 128, 128), u / wide, v / long)
    shade = 0.7 + 0.25 * hair + 0.15 * N.sample(N.white(rng, 64, 64), u / 7, v / (2 * long))
    return L.finish(rng, L.mix(colour * np.float32(0.3), L.near(rng, colour), np.clip(shade, 0, 1.3)))


def towel(rng: Rng, size: int) -> Field:
    """Terry, corduroy and waffle: soft relief repeated."""
    colour = L.any_colour(rng)
    u, v = N.view(rng, size, bend=1.5)
    k = np.float32(2 * np.pi / N.around(rng, 5, 24))
    kind = int(rng.integers(3))
    height = [np.cos(u * k), np.maximum(np.cos(u * k), np.cos(v * k)), np.cos(u * k) * np.cos(v * k)][kind]
    loops = N.smooth(rng, size, N.around(rng, 1.3, 3))
    shade = 0.8 + 0.16 * height + 0.1 * loops
    return L.finish(rng, L.lit(rng, colour * shade[..., None], height + 0.3 * loops, N.around(rng, 0.3, 1.5)))


WOVEN = {
    "woven fabric": woven_fabric,
    "denim": denim,
    "burlap": burlap,
    "carbon fibre": carbon_fibre,
    "carpet": carpet,
    "patterned carpet": patterned_carpet,
    "striped cloth": striped_cloth,
    "checked cloth": checked_cloth,
    "polka dot cloth": dotted_cloth,
    "wicker": wicker,
    "straw mat": straw,
    "wire mesh": wire_mesh,
    "felt": felt,
    "fur": fur,
    "ribbed towel": towel,
}
