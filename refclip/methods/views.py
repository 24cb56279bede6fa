"""Other views of an image than the whole: crops for its score, tiles for its map. WinCLIP tables 3 (d) and 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refclip.backend import Array, xp_of
from refclip.clip import CLIP, encode_image
from refclip.methods.images import pixels_of
from refclip.resample import resize


def encode_tiles(clip: CLIP, pixels: Array, grid: tuple[int, int], k: int) -> Array:
    """Every k x k window cut out of the pixels and enlarged to the model's size: [b, w, e]. Table 8, "image tiling"."""
    xp = xp_of(pixels)
    p = clip.vision.patch_size
    corners = [(i * p, j * p) for i in range(grid[0] - k + 1) for j in range(grid[1] - k + 1)]

    def embed_some(some: list[tuple[int, int]]) -> Array:
        tiles = [resize(pixels[:, :, y : y + k * p, x : x + k * p], pixels.shape[2:], "bicubic") for y, x in some]
        tiles = xp.stack(tiles, axis=1).reshape(-1, *pixels.shape[1:])  # [b some, 3, H, W]
        return encode_image(clip, tiles).reshape(len(pixels), len(some), -1)  # [b, some, e]

    step = max(1, 32 // len(pixels))  # tiles held at a time: they are as large as images
    return xp.concatenate([embed_some(corners[i : i + step]) for i in range(0, len(corners), step)], axis=1)


def encode_crops(clip: CLIP, images: Sequence[Any], how: str, *, mirrored: bool) -> Array:
    """Embeddings of the centre and the four corners of each image, [b, 5 or 10, e]. Table 3 (d), "multi-crop"."""
    height, width = clip.preprocess.size
    larger = (height * 8 // 7, width * 8 // 7)  # 256 for 224, as AlexNet's recipe has it
    pixels, _ = pixels_of(clip, images, how, larger)
    bottom, right = larger[0] - height, larger[1] - width
    corners = [(bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)]
    crops = [pixels[:, :, y : y + height, x : x + width] for y, x in corners]
    if mirrored:
        crops += [crop[:, :, :, ::-1] for crop in crops]
    return xp_of(pixels).stack([encode_image(clip, crop) for crop in crops], axis=1)  # [b, c, e]
