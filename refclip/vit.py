"""The image tower: a vision transformer.

    pixels -> patches -> linear -> [class token, patches] + positions -> layer norm -> blocks -> layer norm -> project

Also windows of patches (WinCLIP section 4.2, equation 2): the tower run on the class token and the patches of one
window, either by dropping the masked patches or by masking attention. The two agree; dropping is the fast one.

Shapes: `b` batch, `g` patches (grid of gh x gw), `n` = 1 + g tokens, `d` width, `e` embedding, `p` patch side,
`w` windows.

References
----------
Dosovitskiy et al.: An Image is Worth 16x16 Words, 2021, equations 1-4. Radford et al.: CLIP, 2021 (layer norm before
the blocks; projection of the class token).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from refclip import attention
from refclip.autograd import primitive
from refclip.backend import Array, xp_of
from refclip.elementary import broadcast_to, concat
from refclip.nn import LayerNorm, layer_norm
from refclip.parallel import whole
from refclip.resample import resize
from refclip.transformer import Dual, Result, Split, Stack, Trace, stack


class Vision(NamedTuple):
    """Weights of an image tower."""

    conv1: Array  # [d, 3, p, p], no bias
    class_embedding: Array  # [d]
    positional_embedding: Array  # [n, d], the class token first, then the square grid row by row
    ln_pre: LayerNorm
    transformer: Stack
    ln_post: LayerNorm
    proj: Array  # [d, e]

    @property
    def patch_size(self) -> int:
        return self.conv1.shape[-1]

    @property
    def grid(self) -> int:
        """Side of the square grid of patches the tower was trained on."""
        return math.isqrt(len(self.positional_embedding) - 1)

    @property
    def image_size(self) -> int:
        return self.grid * self.patch_size

    def __repr__(self) -> str:
        d, e = self.proj.shape
        return (
            f"Vision({self.image_size} px, patch {self.patch_size}, width {d}, {len(self.transformer.blocks)} blocks, "
            f"{self.transformer.heads} heads, {self.transformer.activation}, embedding {e})"
        )


class ImageTokens(NamedTuple):
    """Everything an image tower can tell about a batch."""

    embedding: Array  # [b, e], of the class token
    patches: dict[int, Array]  # layer -> [b, g, e], projected patch tokens
    taps: dict[int, Array]  # layer -> [b, n, d], as they leave the block
    trace: tuple[Trace, ...]


@primitive
def patchify(pixels: Array, p: int) -> Array:
    """Cut pixels [b, 3, H, W] into patches, row by row: [b, g, 3 p p]. A remainder at the right and bottom is dropped.

    Raises
    ------
    ValueError
        Not four axes with three channels, or smaller than one patch.
    """
    if pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(f"pixels of shape {tuple(pixels.shape)}: expected [batch, 3, height, width]")
    b, _, height, width = pixels.shape
    gh, gw = height // p, width // p
    if not gh or not gw:
        raise ValueError(f"pixels of {height} x {width}: smaller than one patch of {p} x {p}")
    x = pixels[:, :, : gh * p, : gw * p].reshape(b, 3, gh, p, gw, p)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(b, gh * gw, 3 * p * p)  # [b, g, 3 p p]


def positions(v: Vision, grid: tuple[int, int], interpolation: str = "bicubic", antialias: bool = True) -> Array:
    """Position embeddings [n, d] for a grid of any size, resized from the trained one where it differs.

    open_clip resizes bicubic with antialias (our default); AnomalyCLIP's code bilinear without.
    """
    trained = v.positional_embedding
    if grid == (v.grid, v.grid):
        return trained
    d = trained.shape[1]
    square = trained[1:].T.reshape(d, v.grid, v.grid)  # [d, g, g]
    resized = resize(square, grid, interpolation, antialias)  # [d, gh, gw]
    return concat(trained[:1], resized.reshape(d, -1).T, axis=0)  # [n, d]


def embed(v: Vision, pixels: Array, interpolation: str = "bicubic", antialias: bool = True) -> Array:
    """Pixels [b, 3, H, W] -> the tokens [b, n, d] that enter the first block (positions added, `ln_pre` applied)."""
    xp = xp_of(pixels)
    p = v.patch_size
    # the convolution of stride p is one product over flattened patches
    patches = patchify(pixels, p) @ v.conv1.reshape(len(v.conv1), -1).T  # [b, g, d]
    b, _, d = patches.shape
    tokens = concat(xp.broadcast_to(v.class_embedding, (b, 1, d)), patches)  # [b, n, d]
    grid = pixels.shape[2] // p, pixels.shape[3] // p
    return layer_norm(tokens + positions(v, grid, interpolation, antialias), v.ln_pre)


def project(v: Vision, tokens: Array) -> Array:
    """Tokens [..., d] -> the joint embedding space [..., e]: `ln_post`, then `proj`."""
    return layer_norm(tokens, v.ln_post) @ v.proj  # [..., e]


def image_tower(
    v: Vision,
    pixels: Array,
    *,
    layers: Sequence[int] = (),
    dual: Dual | None = None,
    variant: str = "q-k",
    interpolation: str = "bicubic",
    antialias: bool = True,
    trace: bool = False,
    split: Split = whole,
    recomputed: bool = False,
) -> ImageTokens:
    """Run the image tower.

    Parameters
    ----------
    v : Vision
    pixels : array [b, 3, H, W]
        Normalised, of any size from one patch on.
    layers : sequence of int
        Blocks, counted from 1, whose patch tokens are wanted. Without any, the last block computes the class token
        only.
    dual : Dual, optional
        Take the patch tokens from a dual path (the class token stays the original path's).
    variant : str
        Attention of the original path.
    interpolation, antialias
        How positions are resized when the image is not of the trained size; see `positions`.
    trace : bool
        Record every block.
    split : callable
        How one image's tokens are shared out over threads; see `parallel.token_threads`.
    recomputed : bool
        On a tape, keep each block's input only; see `recompute`.

    Returns
    -------
    ImageTokens
    """
    x = embed(v, pixels, interpolation, antialias)  # [b, n, d]
    whole = trace or len(v.transformer.blocks) in layers or dual is not None
    out = stack(
        x,
        v.transformer,
        variant=variant,
        rows=None if whole else _class_rows(x),
        dual=dual,
        taps=layers,
        trace=trace,
        split=split,
        recomputed=recomputed,
    )
    patches = {layer: project(v, tokens[:, 1:]) for layer, tokens in out.taps.items()}  # [b, g, e]
    return ImageTokens(project(v, out.x[:, 0]), patches, out.taps, out.trace)


def sliding_windows(grid: tuple[int, int], k: int) -> list[list[int]]:
    """Every k x k window of a gh x gw grid, stride 1, row by row: [w][k k] patch numbers counted from 0.

    Raises
    ------
    ValueError
        The window does not fit the grid.
    """
    gh, gw = grid
    if not 1 <= k <= min(grid):
        raise ValueError(f"windows of {k} x {k} patches do not fit a grid of {gh} x {gw}")
    return [
        [(top + i) * gw + left + j for i in range(k) for j in range(k)]
        for top in range(gh - k + 1)
        for left in range(gw - k + 1)
    ]


def window_tower(v: Vision, tokens: Array, windows: Sequence[Sequence[int]], *, how: str = "drop") -> Array:
    """Embeddings of windows of patches: the class token after a tower that sees one window only.

    Each patch keeps the position embedding of its place in the whole image.

    Parameters
    ----------
    v : Vision
    tokens : array [b, n, d]
        From `embed`: shared by all windows, as position and `ln_pre` are a token's own matter.
    windows : sequence of w windows, each k patch numbers
        From `sliding_windows`, or any other choice of patches.
    how : {"drop", "mask"}
        Drop the masked patches before the tower, or keep them and let no token attend to them.

    Returns
    -------
    array [b, w, e]

    References
    ----------
    WinCLIP, section 4.2, equation 2, and the remark that dropping makes it cheap.
    """
    xp = xp_of(tokens)
    b, n, d = tokens.shape
    index = xp.asarray([[0, *(1 + i for i in window)] for window in windows])  # [w, 1 + k]; the class token is 0
    w = len(index)
    if how == "drop":
        x = tokens[:, index].reshape(b * w, -1, d)  # [b w, 1 + k, d]
        mask = None
    elif how == "mask":
        x = broadcast_to(tokens[:, None], (b, w, n, d)).reshape(b * w, n, d)  # [b w, n, d]
        seen = (index[:, :, None] == xp.arange(n)).any(axis=1)  # [w, n]
        mask = attention.visible(seen, tokens)
        mask = xp.broadcast_to(mask[None], (b, w, n)).reshape(b * w, 1, 1, n)
        mask = xp.broadcast_to(mask, (b * w, 1, n, n))  # every token that asks sees the same
    else:
        raise ValueError(f"how={how!r}: expected 'drop' or 'mask'")
    out: Result = stack(x, v.transformer, mask=mask, rows=_class_rows(x))
    return project(v, out.x[:, 0]).reshape(b, w, -1)  # [b, w, e]


def _class_rows(x: Array) -> Array:
    return xp_of(x).zeros((x.shape[0], 1), dtype=int)  # [b, 1]
