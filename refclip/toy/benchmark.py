"""The benchmark: which things, which defects, and how one seed becomes every picture and every mask.

A damaged picture is taken twice with the same lamp, camera and noise, flawless and with the defect. What differs
visibly between the two is the mask; a defect that is too small, too large or too faint is drawn again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from refclip.toy import camera, damage, grounds, objects, surfaces, unseen
from refclip.toy.camera import Camera, Layer
from refclip.toy.fields import blur, box_sum, places

EDITION = 2  # of the drawings: another edition draws other pictures from the same seed (the first was the busy one)
KNOWN_DEFECTS = ("scratch", "crack", "hole", "stain", "dent", "missing_part", "contamination")
UNSEEN_DEFECTS = ("thread", "burn", "melt", "misaligned")

AREA = 0.01, 0.08  # of the image: how small and how large a mask may be
LEAST_CHANGE = {False: 20.0, True: 14.0}  # greys of 255: mean change inside a mask, calm and busy,
LEAST_SHARE = 0.6  # and as a share of the contrast (standard deviation) that the flawless picture has there
SEEN = 10.0  # greys of 255: a pixel that changed more, in any of its colours, belongs to the mask
SCENES, DRAWINGS = 12, 8  # how many scenes are tried for a damaged picture, and how many drawings on each
SIZES = 96, 1024  # sides in pixels: below, thin defects vanish; above, the noise that things are made of looks soft

Draw = Callable[[np.random.Generator, damage.Canvas], Layer]
DRAW: dict[str, Draw] = {name: getattr(damage, name) for name in KNOWN_DEFECTS}
DRAW |= {name: getattr(unseen, name) for name in UNSEEN_DEFECTS}


class Kind(NamedTuple):
    """What a category is made from."""

    words: str
    make: Callable[[np.random.Generator, float, bool], objects.Paint]
    calm: tuple[str, ...]  # its defects,
    busy: dict[str, str]  # and what stands in place of some in the busy benchmark
    under: damage.Colour  # what shows where it is broken
    grounds: tuple[Callable[[np.random.Generator, int], Layer], ...] = ()  # none: a surface, which fills the picture

    def defects(self, busy: bool) -> tuple[str, ...]:
        return tuple(self.busy.get(name, name) for name in self.calm) if busy else self.calm


KINDS = {
    "biscuit": Kind("biscuit", objects.biscuit,
                    calm=("crack", "hole", "missing_part", "contamination", "burn", "thread"),
                    busy={},
                    under=(0.80, 0.62, 0.38), grounds=(grounds.linen, grounds.plank)),
    "button": Kind("button", objects.button,
                   calm=("scratch", "crack", "missing_part", "contamination", "burn", "thread"),
                   busy={"burn": "melt"},
                   under=(0.78, 0.68, 0.52), grounds=(grounds.linen, grounds.paper)),
    "washer": Kind("washer", objects.washer,
                   calm=("scratch", "dent", "stain", "missing_part", "misaligned", "thread"),
                   busy={},
                   under=(0.35, 0.33, 0.32), grounds=(grounds.mat, grounds.plank)),
    "capsule": Kind("capsule", objects.capsule,
                    calm=("crack", "dent", "contamination", "stain", "thread", "misaligned"),
                    busy={"thread": "melt"},
                    under=(0.70, 0.68, 0.62), grounds=(grounds.mat, grounds.linen)),
    "terrazzo": Kind("terrazzo", surfaces.terrazzo,
                     calm=("crack", "hole", "scratch", "stain", "burn", "thread"),
                     busy={"burn": "melt"}, under=(0.50, 0.47, 0.43)),
    "cork": Kind("cork", surfaces.cork,
                 calm=("hole", "missing_part", "contamination", "burn", "stain", "thread"),
                 busy={"stain": "melt"}, under=(0.30, 0.22, 0.16)),
    "herringbone": Kind("herringbone", surfaces.herringbone,
                        calm=("scratch", "dent", "stain", "missing_part", "burn", "thread"),
                        busy={"thread": "misaligned"},
                        under=(0.52, 0.49, 0.45)),
    "knitted_wool": Kind("knitted wool", surfaces.knitted_wool,
                         calm=("hole", "stain", "contamination", "burn", "missing_part", "thread"),
                         busy={"missing_part": "misaligned"},
                         under=(0.20, 0.19, 0.19)),
}  # fmt: skip
CATEGORIES = tuple(KINDS)


class Shot(NamedTuple):
    """One picture of a test split."""

    image: np.ndarray  # uint8 [H, W, 3]
    label: int  # 0 good, 1 damaged
    defect: str  # "good", or one of KNOWN_DEFECTS and UNSEEN_DEFECTS
    mask: np.ndarray  # bool [H, W]: the pixels that the defect changed visibly


class Category(NamedTuple):
    """One thing, as a data set has it."""

    name: str  # as a folder: "knitted_wool"
    words: str  # in a prompt: "knitted wool"
    train: np.ndarray  # uint8 [n, H, W, 3], all good
    test: tuple[Shot, ...]  # the good ones, then defect by defect


class Toy(NamedTuple):
    """The whole benchmark."""

    seed: int
    size: int
    categories: tuple[Category, ...]
    busy: bool = False


def toy(
    seed: int = 0,
    *,
    busy: bool = False,
    size: int = 240,
    categories: Sequence[str] = CATEGORIES,
    train: int = 10,
    good: int = 10,
    each: int = 4,
) -> Toy:
    """Draw a small synthetic benchmark of anomaly detection: eight things, each flawless and with six kinds of defect.

    It takes some ten seconds, and needs no network and no licence. It is there to see a method run, to compare two
    settings, to test a program, to give a class something to score. It is no stand-in for photographs: its things are
    drawn by formulas, its defects are few, clear and of its own taste, and a method's rank on it need not be its rank
    on MVTec AD. Report no result on it without saying so.

    Parameters
    ----------
    seed : int
        0 or more. Each picture has a random state of its own, from the seed and its place in the benchmark, so that
        other categories or counts do not change it.
    busy : bool
        Draw things whose own structure is as striking as a defect (stones of black and white, striped wool, a button
        of light and dark veins), and defects that may be as faint as 14 greys (else 20) or be made of the structure
        alone ("melt"). There a method has to know what belongs to the thing.
    size : int
        Side of the square pictures in pixels, 96 to 1024. Lengths scale with it.
    categories : sequence of str
        Names in `CATEGORIES`.
    train, good, each : int
        For each category: good pictures to train on, good ones to test on, and damaged ones of each of its defects.

    Returns
    -------
    Toy

    Raises
    ------
    ValueError
        A seed, size or count out of range, or no such category; the text says which and what there is.

    Examples
    --------
    >>> from refclip.toy import toy
    >>> button = toy(seed=3, categories=["button"], each=1).categories[0]
    >>> [shot.defect for shot in button.test if shot.label]
    ['scratch', 'crack', 'missing_part', 'contamination', 'burn', 'thread']
    """
    names = list(dict.fromkeys(categories))
    for name in names:
        check(name, seed, size=size, train=train, good=good, each=each)
    made = (category(name, seed, busy=busy, size=size, train=train, good=good, each=each) for name in names)
    return Toy(seed, size, tuple(made), busy)


def category(
    name: str,
    seed: int = 0,
    *,
    busy: bool = False,
    size: int = 240,
    train: int = 10,
    good: int = 10,
    each: int = 4,
) -> Category:
    """One category of `toy`, with the same arguments and errors."""
    check(name, seed, size=size, train=train, good=good, each=each)
    # glibc gives the memory of a picture back to the system, only to ask for it again for the next, until it has seen
    # a large piece freed once: without this line, half of the time goes there. Elsewhere it does nothing.
    np.empty(1 << 24, dtype=np.uint8)
    nothing = np.zeros((size, size), dtype=bool)
    shots = [Shot(_flawless(name, seed, f"test/{i}", size, busy), 0, "good", nothing) for i in range(good)]
    for defect in KINDS[name].defects(busy):
        shots += [_damaged(name, defect, seed, i, size, busy=busy) for i in range(each)]
    images = np.stack([_flawless(name, seed, f"train/{i}", size, busy) for i in range(train)])  # [n, H, W, 3]
    return Category(name, KINDS[name].words, images, tuple(shots))


def check(name: str, seed: int, *, size: int, train: int, good: int, each: int) -> None:
    """Refuse what `toy` cannot draw, before it draws anything."""
    if name not in KINDS:
        raise ValueError(f"category {name!r}: expected one of {', '.join(KINDS)}")
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more")
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f"size is {size}; expected a side of {SIZES[0]} to {SIZES[1]} pixels")
    for key, count in (("train", train), ("good", good), ("each", each)):
        if count < 1:
            raise ValueError(f"{key} is {count}; expected at least 1 picture")


class _Scene(NamedTuple):
    thing: Layer
    ground: np.ndarray | None  # lit
    camera: Camera
    paint: objects.Paint
    picture: np.ndarray  # [3, H, W], flawless, before the sensor
    sensor: np.random.Generator
    defect: np.random.Generator


def _scene(name: str, seed: int, which: str, size: int, busy: bool) -> _Scene:
    """Set up one picture of a category. What it is made from has a random state each, so that none moves another."""
    kind = KINDS[name]
    states = np.random.SeedSequence([seed, zlib.crc32(f"{name}/{which}".encode())]).spawn(5)
    of_thing, of_ground, of_camera, sensor, defect = map(np.random.default_rng, states)
    paint, how, ground = kind.make(of_thing, 1 / size, busy), camera.set_up(of_camera), None
    if kind.grounds:
        ground = camera.lit(kind.grounds[of_ground.integers(len(kind.grounds))](of_ground, size), how)
    thing = paint(*places(size))
    return _Scene(thing, ground, how, paint, camera.photograph(thing, ground, how), sensor, defect)


def _flawless(name: str, seed: int, which: str, size: int, busy: bool) -> np.ndarray:
    scene = _scene(name, seed, which, size, busy)
    return camera.develop(scene.picture, scene.camera, scene.sensor)


def _damaged(name: str, defect: str, seed: int, number: int, size: int, *, busy: bool) -> Shot:
    """Draw a defect until it can be seen well and is neither too small nor too large."""
    for attempt in range(SCENES):
        scene = _scene(name, seed, f"{defect}/{number}/{attempt}", size, busy)
        lx, ly, lz = scene.camera.light
        cast = -np.array([lx, ly]) / lz
        canvas = damage.Canvas(*places(size), scene.thing, scene.paint, KINDS[name].under, cast)
        for _ in range(DRAWINGS):
            picture = camera.photograph(DRAW[defect](scene.defect, canvas), scene.ground, scene.camera)
            change = np.abs(picture - scene.picture)
            mask = seen(change)
            if AREA[0] <= mask.mean() <= AREA[1]:
                contrast = scene.picture.mean(axis=0)[mask].std()
                if change[:, mask].mean() >= max(LEAST_CHANGE[busy], LEAST_SHARE * contrast):
                    return Shot(camera.develop(picture, scene.camera, scene.sensor), 1, defect, mask)
    raise RuntimeError(
        f"{name} with {defect}, picture {number} of seed {seed}: no drawing could be seen well; take another seed"
    )


def seen(change: np.ndarray) -> np.ndarray:
    """The mask [H, W] of a change [3, H, W] in greys: what changed visibly, its gaps closed, without specks."""
    size = change.shape[1]
    reach = max(1, round(size / 120))
    strong = (blur(change.max(axis=0), size / 240) > SEEN).astype(float)
    grown = (box_sum(strong, reach) > 0.5).astype(float)
    closed = box_sum(grown, reach, "edge") > (2 * reach + 1) ** 2 - 0.5
    return closed & (box_sum(closed.astype(float), 2 * reach) > 3 * reach * reach)
