"""Images that are not square: as few square tiles as cover one, and a map again from the maps of its tiles.

Dual-Image Enhanced CLIP, supplement, section 1 (after AnoVL): VisA's images, about 3 : 2, are brought to a height of
240 and cut into two tiles that overlap; where they do, their maps are averaged.

Shapes: `t` tiles of all images together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refclip.backend import Array, xp_of
from refclip.clip import CLIP
from refclip.methods.images import pixels_of
from refclip.preprocess import Geometry
from refclip.resample import resize


def cut_tiles(clip: CLIP, images: Sequence[Any]) -> tuple[Array, tuple[Geometry, ...], tuple[tuple[int, int], ...]]:
    """As few tiles as cover each image with its short side at H: pixels [t, 3, H, W]; t places; the b spans of images.

    Evenly spread. Two for up to 2 : 1, as in VisA (supplement, section 1); one for a square image.
    """
    _, whole = pixels_of(clip, images, "shortest")  # for the size of each
    parts, tiles, spans = [], [], []
    for image, resized in zip(images, (g.resized for g in whole), strict=True):
        pixels, (geometry,) = pixels_of(clip, [image], "squash", resized)  # [1, 3, H1, W1]
        rows, columns = (_starts(n, m) for n, m in zip(resized, clip.preprocess.size, strict=True))
        height, width = clip.preprocess.size
        parts += [pixels[:, :, y : y + height, x : x + width] for y in rows for x in columns]
        places = [Geometry(geometry.original, resized, (y, x), (height, width)) for y in rows for x in columns]
        spans.append((len(tiles), len(tiles) + len(places)))
        tiles += places
    return xp_of(parts[0]).concatenate(parts), tuple(tiles), tuple(spans)  # [t, 3, H, W]


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin along a side, from its beginning to its end."""
    count = -(-length // tile)
    return [round(i * (length - tile) / max(count - 1, 1)) for i in range(count)]


def join_tiles(maps: Array, tiles: Sequence[Geometry]) -> Array:
    """Maps [tiles, H, W] of one image's tiles, averaged where they overlap, and squashed to [H, W]."""
    xp = xp_of(maps)
    total, count = xp.zeros(tiles[0].resized, dtype=maps.dtype), xp.zeros(tiles[0].resized, dtype=maps.dtype)
    for one, tile in zip(maps, tiles, strict=True):
        (y, x), (height, width) = tile.corner, tile.size
        total[y : y + height, x : x + width] += one
        count[y : y + height, x : x + width] += 1
    return resize(total / count, tiles[0].size, "bilinear")  # [H, W]
