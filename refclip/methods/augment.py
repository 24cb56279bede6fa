"""The 22 views of an image whose class tokens AnoVL averages: turned, moved, mirrored, grey.

    original | 8 turns, +-pi/16 to +-pi/4 | 8 moves along the diagonals, by 5 and 10% of the side | mirrored | grey |
    3 quarter turns

Numbers from the published program (hq-deng/AnoVL, utils.py), as facts. Each view but the grey one is an affine map: the
pixel at (x, y) of the view shows the image at M (x, y, 1), where x and y run from -1 at the centre of the first pixel
to 1 at the centre of the last; between pixels bilinear, beyond the edge the image is reflected at the outermost pixel
centres. (torch: `affine_grid` and `grid_sample` with align_corners=True and padding_mode="reflection".)

Left open, and chosen here [I]: on a frame that is not square, turns are of these coordinates too, so that a quarter
turn fills the frame (kornia's, in the program, would turn pixels and reflect at the sides; on a square frame the two
agree). Grey is a mean of the normalised channels, as in the program, which normalises first.

Shapes: `b` batch, `e` embedding.
"""

from __future__ import annotations

import math

from refclip.backend import Array, xp_of
from refclip.clip import CLIP, encode_image

Matrix = tuple[float, float, float, float, float, float]  # two rows of three

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in grey (ITU-R BT.601)
AT_ONCE = 32  # views held at a time: each is as large as an image


def turn(angle: float) -> Matrix:
    """The view turned about its centre, in radians."""
    return math.cos(angle), -math.sin(angle), 0.0, math.sin(angle), math.cos(angle), 0.0


def move(x: float, y: float) -> Matrix:
    """The view moved; 2 is the whole side."""
    return 1.0, 0.0, x, 0.0, 1.0, y


MIRROR: Matrix = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
QUARTERS: tuple[Matrix, ...] = (  # written out: the cosine of pi / 2 is not quite 0 in floating point
    (0.0, -1.0, 0.0, 1.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    (0.0, 1.0, 0.0, -1.0, 0.0, 0.0),
)
# None is the grey view. With the original: 22
VIEWS: tuple[Matrix | None, ...] = (
    *(turn(sixteenths * math.pi / 16) for sixteenths in (-4, -3, -2, -1, 1, 2, 3, 4)),
    *(move(x * far, y * far) for far in (0.2, 0.1) for x, y in ((1, 1), (-1, 1), (-1, -1), (1, -1))),
    MIRROR,
    None,
    *QUARTERS,
)


def warp(pixels: Array, matrix: Matrix) -> Array:
    """Look at pixels [b, c, H, W] through an affine map: [b, c, H, W]."""
    xp = xp_of(pixels)
    height, width = pixels.shape[2:]
    half_y, half_x = (height - 1) / 2, (width - 1) / 2
    # in pixels from the centre, so that mirrored and quarter-turned pixels fall on pixels exactly
    y = (xp.arange(height, dtype=xp.float64) - half_y)[:, None]  # [H, 1]
    x = (xp.arange(width, dtype=xp.float64) - half_x)[None]  # [1, W]
    a, b, right, c, d, down = matrix
    at_x = a * x + b * y * (half_x / max(half_y, 0.5)) + (1 + right) * half_x  # [H, W]
    at_y = c * x * (half_y / max(half_x, 0.5)) + d * y + (1 + down) * half_y  # [H, W]
    x0, x1, part_x = _neighbours(at_x, width)
    y0, y1, part_y = _neighbours(at_y, height)
    part_x, part_y = part_x.astype(pixels.dtype), part_y.astype(pixels.dtype)
    above = pixels[:, :, y0, x0] * (1 - part_x) + pixels[:, :, y0, x1] * part_x  # [b, c, H, W]
    below = pixels[:, :, y1, x0] * (1 - part_x) + pixels[:, :, y1, x1] * part_x  # [b, c, H, W]
    return above * (1 - part_y) + below * part_y


def _neighbours(at: Array, n: int) -> tuple[Array, Array, Array]:
    """The two pixels of `n` between which a place lies, reflected into the image, and how far it is from the first."""
    xp = xp_of(at)
    last = max(n - 1, 1)
    at = last - abs(at % (2 * last) - last)  # a zigzag: 0 .. last .. 0 .. last
    first = xp.floor(at).astype(int)
    return first, xp.minimum(first + 1, n - 1), at - first


def grey(pixels: Array) -> Array:
    """Grey pixels [b, 3, H, W], three equal channels."""
    xp = xp_of(pixels)
    luma = sum(share * pixels[:, i : i + 1] for i, share in enumerate(LUMA))  # [b, 1, H, W]
    return xp.concatenate([luma] * 3, axis=1)  # [b, 3, H, W]


def encode_views(clip: CLIP, pixels: Array) -> Array:
    """Class tokens of all views but the original: [b, 21, e]."""
    xp = xp_of(pixels)
    step = max(1, AT_ONCE // len(pixels))

    def embed(some: tuple[Matrix | None, ...]) -> Array:
        seen = xp.stack([grey(pixels) if view is None else warp(pixels, view) for view in some], axis=1)
        seen = seen.reshape(-1, *pixels.shape[1:])  # [b some, 3, H, W]
        return encode_image(clip, seen).reshape(len(pixels), len(some), -1)  # [b, some, e]

    return xp.concatenate([embed(VIEWS[i : i + step]) for i in range(0, len(VIEWS), step)], axis=1)
