"""One thing in front of the camera, flawless: a drawn, modelled or photographed object on a ground, or a surface.

`Pictures` holds what `fetch.py` prepared. The other half of the scenes is procedural (`surfaces.py`, `objects.py`),
because a few thousand pictures alone would teach the model those pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from recipe.objects import DETAILED, OBJECTS, PLAIN
from recipe.objects import NAMELESS as NAMELESS_OBJECTS
from recipe.surfaces import NAMELESS, SURFACES
from recipe.surfaces_composed import random_print

MADE = 0.6  # part of the objects that formulas draw; the others are pictures


class Pictures(NamedTuple):
    """Fetched pictures of the training split."""

    things: np.ndarray  # [N, 128, 128, 4] uint8, straight alpha
    names: np.ndarray  # [N] str
    tags: np.ndarray  # [N] str, separated by spaces
    photos: np.ndarray  # [M, 256, 256, 3] uint8
    photo_names: np.ndarray  # [M] str


class Shot(NamedTuple):
    """A flawless picture and what a defect needs to know of it. All float32, 0..1."""

    image: np.ndarray  # [s, s, 3]
    inside: np.ndarray  # [s, s], 1 where the thing is
    ground: np.ndarray  # [s, s, 3], what lies behind the thing
    other: np.ndarray  # [s, s, 3], an unrelated texture
    name: str
    surface: bool
    cut: np.ndarray | None = None  # [128, 128, 4] uint8, the thing as it was cut out; None of a surface


def load(folder: Path) -> Pictures:
    """Read the training split of `fetch.prepare`'s two files."""
    with np.load(folder / "things.npz", allow_pickle=False) as file:
        train = file["split"] == "train"
        things, names, tags = file["pixels"][train], file["name"][train], file["tags"][train]
    with np.load(folder / "photos.npz", allow_pickle=False) as file:
        train = file["split"] == "train"
        photos, photo_names = file["pixels"][train], file["name"][train]
    return Pictures(things, names, tags, photos, photo_names)


def draw(rng: np.random.Generator, pictures: Pictures, size: int) -> Shot:
    """Draw one flawless scene of `size` x `size` pixels."""
    if rng.random() < 0.4:
        image, name = _surface(rng, pictures, size)
        ground = texture(rng, pictures, size) * np.float32(rng.uniform(0.2, 1.0))
        return Shot(image, np.ones((size, size), np.float32), ground, texture(rng, pictures, size), name, True)
    ground = _ground(rng, pictures, size)
    cut, name = _object(rng, pictures)
    image, inside = _place(rng, cut, ground, size)
    return Shot(image, inside, ground, texture(rng, pictures, size), name, False, cut)


def again(rng: np.random.Generator, pictures: Pictures, shot: Shot, frame: tuple[slice, slice]) -> Shot:
    """The same thing lying otherwise, half the time on another ground; a surface turned or mirrored.

    Of four ways to lie it is the one that shows in `frame` most nearly as much of the thing as the first did: a damaged
    thing is drawn where its damage can be seen, and how much of a thing is seen must not tell the two apart.
    """
    size = len(shot.image)
    if shot.cut is None:
        turned = np.rot90(shot.image, int(rng.integers(4)))[:, :: (1 if rng.random() < 0.5 else -1)]
        return shot._replace(image=np.ascontiguousarray(turned))
    ground = shot.ground if rng.random() < 0.5 else _ground(rng, pictures, size)
    share = shot.inside[frame].mean()
    ways = [_place(rng, shot.cut, ground, size) for _ in range(4)]
    image, inside = min(ways, key=lambda way: abs(way[1][frame].mean() - share))
    return shot._replace(image=image, inside=inside, ground=ground)


def texture(rng: np.random.Generator, pictures: Pictures, size: int) -> np.ndarray:
    """Draw a surface without asking for its name."""
    return _surface(rng, pictures, size)[0]


def _surface(rng: np.random.Generator, pictures: Pictures, size: int) -> tuple[np.ndarray, str]:
    draw = rng.random()
    if draw < 0.35 and len(pictures.photos):
        i = int(rng.integers(len(pictures.photos)))
        return _photo(rng, pictures.photos[i], size), str(pictures.photo_names[i])
    if draw < 0.39 and len(pictures.things):
        return random_print(rng, size, pictures.things), "random print"
    kinds = NAMELESS if rng.random() < 0.35 else _KINDS  # structure that no name excuses
    name = kinds[rng.integers(len(kinds))]
    return SURFACES[name](rng, size), name


def _photo(rng: np.random.Generator, photo: np.ndarray, size: int) -> np.ndarray:
    side = int(rng.integers(min(110, photo.shape[0]), photo.shape[0] + 1))
    top, left = rng.integers(0, photo.shape[0] - side + 1, 2)
    crop = photo[top : top + side, left : left + side]
    crop = np.rot90(crop, int(rng.integers(4)))[:, :: (1 if rng.random() < 0.5 else -1)]
    crop = Image.fromarray(np.ascontiguousarray(crop)).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2)
    picture = np.asarray(crop, np.float32) / 255
    bright = float(np.percentile(picture[::4, ::4], 97))
    if bright < 0.5:  # textures of games are dark, a game lights them
        picture = np.clip(picture * np.float32(rng.uniform(0.5, 0.95) / max(bright, 0.05)), 0, 1)
    return picture


def _ground(rng: np.random.Generator, pictures: Pictures, size: int) -> np.ndarray:
    draw = rng.random()
    if draw < 0.6:  # the plain bench of an inspection camera, seldom coloured, with a soft gradient or fine grain
        colour = np.full(3, rng.random() ** rng.choice([0.5, 1, 2])) if rng.random() < 0.6 else rng.random(3)
        colour = colour + rng.normal(0, 0.02, 3)
        ground = np.broadcast_to(colour.astype(np.float32), (size, size, 3))
        if rng.random() < 0.3:
            grain = rng.standard_normal((size // 2, size // 2), np.float32).repeat(2, 0).repeat(2, 1)
            grain = np.pad(grain, ((0, size - grain.shape[0]), (0, size - grain.shape[1])), mode="edge")
            ground = ground + np.float32(rng.uniform(0.005, 0.04)) * grain[..., None]
        return np.clip(ground, 0, 1)
    ground = texture(rng, pictures, size)
    if rng.random() < 0.6:  # out of focus or washed out, as a ground often is
        picture = Image.fromarray((ground * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4)))
        keep = np.float32(rng.uniform(0.2, 1))
        ground = keep * np.asarray(picture, np.float32) / 255 + (1 - keep) * np.float32(rng.random())
    return ground


def _object(rng: np.random.Generator, pictures: Pictures) -> tuple[np.ndarray, str]:
    """Return a cut-out [128, 128, 4] uint8 and its name."""
    if rng.random() < MADE or not len(pictures.things):
        kinds = _KINDS_OF_OBJECTS[rng.choice(3, p=[0.25, 0.45, 0.3])]
        name = kinds[rng.integers(len(kinds))]
        return (OBJECTS[name](rng, 112) * 255 + 0.5).astype(np.uint8), name
    i = int(rng.integers(len(pictures.things)))
    cut, name = pictures.things[i], str(pictures.names[i])
    if rng.random() < 0.08 and pictures.tags[i]:
        name = str(rng.choice(str(pictures.tags[i]).split()))
    if rng.random() < 0.35:  # flat drawings get the grain of a material
        cut = cut.copy()
        grain = texture(rng, pictures, cut.shape[0])
        grain = grain.mean(-1, keepdims=True) if rng.random() < 0.6 else grain
        part = rng.uniform(0.1, 0.5) if rng.random() < 0.8 else 1.0
        pixels = cut[..., :3] / np.float32(255)
        cut[..., :3] = np.clip((pixels * (1 - part) + part * pixels**0.5 * grain * 1.3) * 255, 0, 255).astype(np.uint8)
    return cut, name


def _place(rng: np.random.Generator, cut: np.ndarray, ground: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    extent = max(24, int(size * rng.uniform(0.55, 1.05)))
    picture = Image.fromarray(np.ascontiguousarray(cut)).convert("RGBa")  # premultiplied: no dark or bright fringe
    picture = picture.resize((extent, extent), Image.Resampling.BICUBIC, reducing_gap=2)
    angle = rng.uniform(0, 360) if rng.random() < 0.35 else rng.normal(0, 8)
    picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    slack = max(0, size - extent) // 2 + size // 12
    x, y = (size - picture.width) // 2, (size - picture.height) // 2
    x, y = int(x + rng.integers(-slack, slack + 1)), int(y + rng.integers(-slack, slack + 1))
    layer = Image.new("RGBa", (size, size))
    layer.paste(picture, (x, y))
    pixels = np.asarray(layer, np.float32) / 255
    alpha = pixels[..., 3:]
    if rng.random() < 0.5:
        ground = ground * (1 - _shadow(rng, layer.getchannel("a"), size))[..., None]
    return pixels[..., :3] + ground * (1 - alpha), alpha[..., 0]


def _shadow(rng: np.random.Generator, alpha: Image.Image, size: int) -> np.ndarray:
    away = rng.integers(-size // 14, size // 14 + 1, 2)
    shade = Image.new("L", alpha.size)
    shade.paste(alpha, (int(away[0]), int(away[1])))
    shade = shade.filter(ImageFilter.GaussianBlur(rng.uniform(1, size / 20)))
    return np.asarray(shade, np.float32) / 255 * np.float32(rng.uniform(0.15, 0.6))


_KINDS = tuple(SURFACES)
_KINDS_OF_OBJECTS = tuple(PLAIN), tuple(DETAILED), tuple(NAMELESS_OBJECTS)
NAMES = _KINDS + tuple(OBJECTS)  # what procedural pictures are called
