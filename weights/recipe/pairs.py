"""A batch to learn from: the same thing flawless and damaged, what can be said of each, and where the damage is.

For every picture there are several views: the whole grid of patches, and small square windows of it as WinCLIP uses
them (Jeong et al., CVPR 2023, section 4.2). The truth of a view follows what is visible in it: a window beside the
scratch shows a flawless part of a damaged thing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recipe import camera, captions, defects, scenes, state_words
from refclip.tokenizer import tokenize

IMAGE, PATCH = 120, 8
GRID = IMAGE // PATCH
WINDOWS = {2: 8, 3: 10, 6: 1}  # side in patches: how many of one picture
PART = 10  # side of the part of the grid that stands for the whole most of the time
CELL = 2  # side in pixels of what the probe is asked about, 16 to a patch
KINDS = tuple(defects.DEFECTS)
PROMPTS = 2  # prompts that are averaged into one prototype, a small stand-in for the ensemble

# Visible pixels that make a view damaged, as a part of its area; below MOST_FLAWLESS pixels it is flawless; between the
# two nothing is asked of it, because nobody could tell
LEAST_DAMAGED = {2: 0.06, 3: 0.04, 6: 0.015, PART: 0.006, GRID: 0.003}
MOST_FLAWLESS = 2
PLAIN_AREA, PLAIN_CHANGE = 0.012, 0.16  # of a picture, and of the range of a channel: what training begins with
SMALL = 0.01  # of a picture: smaller defects teach slowly, and most are left out
MOVED = 0.5  # part of the pairs whose flawless copy lies otherwise, so that how a thing lies is learned to be no damage
TRIES = 6  # defects drawn on one scene before another is drawn, which takes longer


class Batch(NamedTuple):
    """`p` pairs are `b = 2 p` pictures, the flawless ones first."""

    images: np.ndarray  # [b, 120, 120, 3] uint8
    captions: np.ndarray  # [b + extra, 77] ids: a caption for every picture, then captions of nothing in the batch
    same: np.ndarray  # [b, b + extra] bool: the caption is true of the picture as well
    prompts: np.ndarray  # [(2 p + 2) * PROMPTS, 77]: flawless and damaged, of every name and of "object"
    truth: dict[int, np.ndarray]  # side of the view: [b, m] int8, 1 damaged, 0 flawless, -1 not asked
    corners: dict[int, np.ndarray]  # side of the view: [b, m, 2], row and column of its first patch
    cover: np.ndarray  # [b, 15, 15] float32: damaged pixels in each patch
    fine: np.ndarray  # [b, 225, 16] int8: cells of 2 x 2 pixels of each patch, 1 damaged, 0 flawless, -1 not asked
    thing: np.ndarray  # [b, 225, 16] float32: how much of each cell is the thing, not the ground
    kind: np.ndarray  # [b] int64: place in defects.DEFECTS of a picture with one kind of defect, else -1


def batch(
    rng: np.random.Generator, pictures: scenes.Pictures, pairs: int, extra: int = 160, *, plain: float = 0.0
) -> Batch:
    """Draw a batch of `pairs` pairs and `extra` captions more; `plain` is the part of the defects that are plain."""
    drawn = [pair(rng, pictures, plain=bool(rng.random() < plain)) for _ in range(pairs)]
    shots = [one[0] for one in drawn] + [one[1] for one in drawn]
    names = [flawless.name for flawless, _ in drawn]
    said = [_said(rng, shot) for shot in shots]
    others = [_any_name(rng, pictures) for _ in range(extra)]
    states = [shot.truth for shot in shots] + [bool(rng.random() < 0.5) for _ in others]
    texts = said + [
        captions.caption(rng, name, state) for name, state in zip(others, states[len(shots) :], strict=True)
    ]
    what = np.array([*names, *names, *others])
    same = (what[: len(shots), None] == what[None]) & (
        np.array(states[: len(shots)])[:, None] == np.array(states)[None]
    )
    prompts = [
        captions.question(rng, name, damaged)
        for name in [*(_asked(rng, name, pictures) for name in names), "object"]
        for damaged in (False, True)
        for _ in range(PROMPTS)
    ]
    cover = np.stack([shot.cover for shot in shots])
    corners = _windows(rng, cover)
    truth = {side: _truth(cover, side, at) for side, at in corners.items()}
    fine, thing = (_cells(np.stack([getattr(s, key) for s in shots])) for key in ("fine", "thing"))
    asked = np.select([fine == 0, fine >= 0.5], [0, 1], -1).astype(np.int8)
    kind = np.array([KINDS.index(s.kinds[0]) if len(s.kinds) == 1 else -1 for s in shots])
    images = np.stack([s.image for s in shots])
    return Batch(images, tokenize(texts), same, tokenize(prompts), truth, corners, cover, asked, thing, kind)


def _cells(x: np.ndarray) -> np.ndarray:
    """[b, 60, 60] cells -> [b, 225, 16], patch by patch."""
    side = x.shape[1] // GRID
    x = x.reshape(len(x), GRID, side, GRID, side).transpose(0, 1, 3, 2, 4)  # [b, 15, 15, 4, 4]
    return np.ascontiguousarray(x.reshape(len(x), GRID * GRID, side * side))


class Picture(NamedTuple):
    """One photographed copy."""

    image: np.ndarray  # [120, 120, 3] uint8
    cover: np.ndarray  # [15, 15] float32: damaged pixels in each patch
    fine: np.ndarray  # [60, 60] float32: part of each cell of 2 x 2 pixels that is damaged
    thing: np.ndarray  # [60, 60] float32: part of each cell that is the thing
    name: str
    kinds: tuple[str, ...]  # of the defects

    @property
    def truth(self) -> bool:
        return bool(self.cover.sum() >= LEAST_DAMAGED[GRID] * IMAGE**2)


def pair(
    rng: np.random.Generator, pictures: scenes.Pictures, *, plain: bool = False, moved: float = MOVED
) -> tuple[Picture, Picture]:
    """Draw one thing twice, flawless and damaged, each photographed anew.

    `plain`: damaged so that nobody overlooks it; `moved`: how often the flawless copy lies otherwise.
    """
    damage = None
    while damage is None:
        # A third are drawn larger than the picture: close-ups, of which a defect may lie outside
        size = IMAGE if rng.random() < 0.65 else int(rng.integers(IMAGE + 8, 181))
        shot = scenes.draw(rng, pictures, size)
        scene = defects.Scene(shot.image, shot.inside, shot.ground, shot.other)
        damage = _damage(rng, scene, plain)
    image, mask, kinds = damage.image, damage.mask, (damage.kind,)
    if rng.random() < 0.2 and (more := defects.draw(rng, scene._replace(image=image))) is not None:
        image, mask, kinds = more.image, mask | more.mask, (*kinds, more.kind)
    top, left = _close_up(rng, mask, size)
    frame = (slice(top, top + IMAGE), slice(left, left + IMAGE))
    grey = bool(rng.random() < 0.18)
    name = _name(rng, shot)
    first = scenes.again(rng, pictures, shot, frame) if rng.random() < moved else shot
    copies = []
    for pixels, inside, where, what in (
        (first.image, first.inside, np.zeros_like(mask), ()),
        (image, shot.inside, mask, kinds),
    ):
        thing = _means(inside[frame], IMAGE // CELL)
        cover = where[frame].reshape(GRID, PATCH, GRID, PATCH).sum((1, 3), dtype=np.float32)
        fine = _means(where[frame], IMAGE // CELL)
        copies.append(Picture(camera.shoot(rng, pixels[frame], grey=grey), cover, fine, thing, name, what))
    return copies[0], copies[1]


def _damage(rng: np.random.Generator, scene: defects.Scene, plain: bool) -> defects.Damage | None:
    for _ in range(TRIES):
        found = defects.draw(rng, scene)
        if found is None:
            return None  # `draw` has tried for long enough
        area = found.mask.sum()
        if plain:
            change = np.abs(found.image[found.mask] - scene.image[found.mask]).max(-1).mean()
            if area >= PLAIN_AREA * IMAGE**2 and change >= PLAIN_CHANGE:
                return found
        elif area >= SMALL * IMAGE**2 or rng.random() < 0.4:
            return found
    return None


def _means(x: np.ndarray, n: int) -> np.ndarray:
    """The mean of each of n x n equal cells of a square field."""
    side = len(x) // n
    return x.reshape(n, side, n, side).mean((1, 3), dtype=np.float32)


def _close_up(rng: np.random.Generator, mask: np.ndarray, size: int) -> tuple[int, int]:
    """Return the corner of the part that is photographed; nine in ten show some of the defect."""
    for _ in range(8):
        top, left = (int(v) for v in rng.integers(0, size - IMAGE + 1, 2))
        if mask[top : top + IMAGE, left : left + IMAGE].any():
            return top, left
        if rng.random() < 0.2:
            break
    return top, left


def _name(rng: np.random.Generator, shot: scenes.Shot) -> str:
    general = ("object", "product", "part") if not shot.surface else ("surface", "texture", "material")
    if rng.random() < 0.1 or shot.name.startswith(("random", "abstract")):
        return general[rng.integers(3)]
    return shot.name


def _any_name(rng: np.random.Generator, pictures: scenes.Pictures) -> str:
    """Draw a name from outside the batch: what a caption of nothing here speaks of."""
    if rng.random() < 0.6 and len(pictures.names):
        return str(pictures.names[rng.integers(len(pictures.names))])
    known = scenes.NAMES
    return known[rng.integers(len(known))]


def _asked(rng: np.random.Generator, name: str, pictures: scenes.Pictures) -> str:
    """Draw the name that the prompts for the state speak of.

    Damage is damage whatever a thing is called: sometimes it is called by another thing's name or by any word of the
    vocabulary, so that names which training never met do not confuse the states.
    """
    draw = rng.random()
    if draw < 0.7:
        return name
    if draw < 0.85:
        return _any_name(rng, pictures)
    return state_words.any_word(rng)


def _said(rng: np.random.Generator, picture: Picture) -> str:
    if picture.truth and len(picture.kinds) == 1 and rng.random() < 1 / 3:
        return captions.kind_caption(rng, picture.name, defects.WORDS[picture.kinds[0]])
    return captions.caption(rng, picture.name, picture.truth)


def _windows(rng: np.random.Generator, cover: np.ndarray) -> dict[int, np.ndarray]:
    """The corners of every view of every picture."""
    corners = {side: _corners(rng, cover, side, m) for side, m in (*WINDOWS.items(), (PART, 1))}
    return {**corners, GRID: np.zeros((len(cover), 1, 2), np.int64)}


def _corners(rng: np.random.Generator, cover: np.ndarray, side: int, m: int) -> np.ndarray:
    """Draw `m` windows of each picture: half of them at the damage, and in the flawless copy at the same places."""
    b, last = len(cover), GRID - side
    corners = rng.integers(0, last + 1, (b // 2, m, 2))
    for i in range(b // 2):
        rows, columns = np.nonzero(cover[b // 2 + i] >= 4)  # patches that show at least 4 damaged pixels
        if len(rows):
            at = rng.integers(len(rows), size=(m + 1) // 2)
            shift = rng.integers(0, side, (len(at), 2))
            corners[i, : len(at)] = np.clip(np.stack([rows[at], columns[at]], -1) - shift, 0, last)
    return np.concatenate([corners, corners])


def _truth(cover: np.ndarray, side: int, corners: np.ndarray) -> np.ndarray:
    sums = np.pad(cover, ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
    i, y, x = np.arange(len(cover))[:, None], corners[..., 0], corners[..., 1]
    visible = sums[i, y + side, x + side] - sums[i, y, x + side] - sums[i, y + side, x] + sums[i, y, x]  # [b, m]
    truth = np.full(visible.shape, -1, np.int8)
    truth[visible < MOST_FLAWLESS] = 0
    truth[visible >= LEAST_DAMAGED[side] * (side * PATCH) ** 2] = 1
    return truth
