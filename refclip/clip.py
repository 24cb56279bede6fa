"""CLIP: two towers and one space. The file to read first.

    image --preprocess--> pixels [b, 3, H, W] --image tower--> [b, e]  \
                                                                         similarity = exp(logit scale) * cosine
    text  --tokenize----> ids [b, 77]         --text tower---> [b, e]  /

The towers are in `vit` and `text`; here they meet, a batch is split over threads, and texts are sorted by length.

Shapes: `b` batch, `g` patches, `n` = 1 + g tokens, `e` embedding, `w` windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip import parallel
from refclip.backend import Array, xp_of
from refclip.elementary import concat
from refclip.nn import normalize as to_unit_length
from refclip.preprocess import Preprocess
from refclip.text import Text, embed_tokens, end_of_text, text_tower
from refclip.tokenizer import tokenize
from refclip.transformer import Dual
from refclip.vit import ImageTokens, Vision, embed, image_tower, window_tower


class CLIP(NamedTuple):
    """A CLIP, from `refclip.load`."""

    vision: Vision
    text: Text
    logit_scale: float  # exp of the stored logarithm: 1 / temperature, about 100 in pretrained models
    preprocess: Preprocess
    name: str  # as it was asked for

    def __repr__(self) -> str:
        return f"CLIP({self.name!r}, {self.vision}, {self.text}, logit scale {self.logit_scale:.2f})"


def encode_image(clip: CLIP, pixels: Array, normalize: bool = False, *, threads: int | None = None) -> Array:
    """Embed images.

    Parameters
    ----------
    clip : CLIP
    pixels : array [b, 3, H, W]
        From `preprocess`: normalised, float, on the device of `clip`.
    normalize : bool
        Scale to length 1. As in open_clip, not the default.
    threads : int, optional
        Of the host; all available by default.

    Returns
    -------
    array [b, e]

    Raises
    ------
    TypeError, ValueError
        Pixels on another device, or of a wrong shape.
    """
    return encode_tokens(clip, pixels, normalize=normalize, threads=threads).embedding


def encode_tokens(
    clip: CLIP,
    pixels: Array,
    *,
    layers: Sequence[int] = (),
    dual: Dual | None = None,
    variant: str = "q-k",
    interpolation: str = "bicubic",
    antialias: bool = True,
    trace: bool = False,
    normalize: bool = False,
    threads: int | None = None,
    recomputed: bool = False,
) -> ImageTokens:
    """Embed images, patches, or everything in between.

    Parameters
    ----------
    clip : CLIP
    pixels : array [b, 3, H, W]
    layers, dual, variant, interpolation, antialias, trace, recomputed
        As in `vit.image_tower`.
    normalize : bool
        Scale the embedding and the projected patches to length 1.
    threads : int, optional

    Returns
    -------
    ImageTokens
        `embedding` [b, e]; `patches` layer -> [b, g, e]; `taps` layer -> [b, n, d]; `trace` a `Trace` a block.
    """
    pixels = _check_pixels(clip, pixels)
    p = clip.vision.patch_size
    tokens = 1 + (pixels.shape[2] // p) * (pixels.shape[3] // p)
    workers = parallel.default_threads() if threads is None else threads

    def run(part: Array) -> ImageTokens:
        return image_tower(
            clip.vision,
            part,
            layers=layers,
            dual=dual,
            variant=variant,
            interpolation=interpolation,
            antialias=antialias,
            trace=trace,
            split=split,
            recomputed=recomputed,
        )

    size = parallel.piece(len(pixels), tokens, pixels, workers)
    with parallel.token_threads(tokens, pixels, workers if len(pixels) == 1 else 1) as split:
        out: ImageTokens = parallel.map_batch(run, pixels, size=size, threads=workers)
    if not normalize:
        return out
    patches = {layer: to_unit_length(x) for layer, x in out.patches.items()}
    return out._replace(embedding=to_unit_length(out.embedding), patches=patches)


def encode_windows(
    clip: CLIP,
    pixels: Array,
    windows: Sequence[Sequence[int]],
    *,
    how: str = "drop",
    normalize: bool = False,
    threads: int | None = None,
) -> Array:
    """Embed windows of patches: the class token of a tower that sees one window of the image at a time.

    Parameters
    ----------
    clip : CLIP
    pixels : array [b, 3, H, W]
    windows : sequence of w windows, each the numbers of its k patches
        From `vit.sliding_windows`.
    how : {"drop", "mask"}
        See `vit.window_tower`.
    normalize : bool
    threads : int, optional

    Returns
    -------
    array [b, w, e]

    References
    ----------
    WinCLIP, section 4.2, equation 2.
    """
    pixels = _check_pixels(clip, pixels)
    tokens = parallel.map_batch(lambda part: embed(clip.vision, part), pixels, threads=threads)  # [b, n, d]
    workers = parallel.default_threads() if threads is None else threads
    rows = 1 + len(windows[0]) if how == "drop" else tokens.shape[1]
    step = parallel.piece(len(windows), rows, pixels, workers)
    jobs = [(i, windows[j : j + step]) for i in range(len(tokens)) for j in range(0, len(windows), step)]
    parts = parallel.map_jobs(
        lambda job: window_tower(clip.vision, tokens[job[0] : job[0] + 1], job[1], how=how)[0], jobs, tokens, workers
    )
    out = concat(*parts, axis=0).reshape(len(tokens), len(windows), -1)  # [b, w, e]
    return to_unit_length(out) if normalize else out


def encode_text(
    clip: CLIP, texts: str | Sequence[str] | Array, normalize: bool = False, *, threads: int | None = None
) -> Array:
    """Embed texts.

    Parameters
    ----------
    clip : CLIP
    texts : str, sequence of str, or integer array [b, n]
        Texts are tokenized, and cut at the context length as open_clip cuts them; ids are taken as they are.
    normalize : bool
        Scale to length 1. As in open_clip, not the default.
    threads : int, optional

    Returns
    -------
    array [b, e]
    """
    xp = xp_of(clip.text.token_embedding)
    ids: Any = texts  # [b, n]
    if isinstance(texts, str) or (isinstance(texts, Sequence) and all(isinstance(t, str) for t in texts)):
        ids = xp.asarray(tokenize(texts, clip.text.context_length))  # [b, n]
    if getattr(ids, "ndim", 0) != 2 or xp_of(ids) is not xp or ids.dtype.kind not in "iu":
        raise TypeError(
            f"texts: expected strings or an integer array [b, n] on the model's device, found {type(texts)}"
        )
    if not len(ids):
        return xp.zeros((0, clip.text.text_projection.shape[1]), dtype=clip.text.text_projection.dtype)
    ends = end_of_text(ids)  # [b]
    order = xp.argsort(ends)  # texts of like length together, so that each piece is cut at its own longest
    longest = int(ends.max()) + 1
    workers = parallel.default_threads() if threads is None else threads
    size = parallel.piece(len(ids), longest, ids, workers)

    def run(part: Array) -> Array:
        return text_tower(clip.text, embed_tokens(clip.text, part), end_of_text(part))[0]

    out = parallel.map_batch(run, ids[order], size=size, threads=workers)  # [b, e]
    out = out[xp.argsort(order)]
    return to_unit_length(out) if normalize else out


def similarity(clip: CLIP, image: Array, text: Array) -> Array:
    """Logits of every image against every text: exp(logit scale) * cosine.

    Parameters
    ----------
    image : array [b, e]
    text : array [k, e]
        Normalised or not.

    Returns
    -------
    array [b, k]

    References
    ----------
    Radford et al., 2021, figure 3.
    """
    return clip.logit_scale * to_unit_length(image) @ to_unit_length(text).T  # [b, k]


def _check_pixels(clip: CLIP, pixels: Array) -> Array:
    xp, here = xp_of(clip.vision.proj), xp_of(pixels)
    if xp is not here:
        raise TypeError(
            f"pixels are a {here.__name__} array, but the model lives in {xp.__name__}; use refclip.to_device"
        )
    if pixels.ndim != 4 or pixels.shape[1] != 3 or not len(pixels):
        raise ValueError(f"pixels of shape {tuple(pixels.shape)}: expected [batch, 3, height, width]")
    if pixels.dtype.kind != "f":
        raise TypeError(f"pixels of type {pixels.dtype}: expected floats from `preprocess`, not raw bytes")
    kind = clip.vision.proj.dtype
    return pixels if pixels.dtype == kind else pixels.astype(kind)
