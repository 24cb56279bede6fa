"""Features of the frozen image tower: what an image is, to whatever is learned behind it.

Prompts and projections are learned with the image tower as it is (AnomalyCLIP section 3.1, figure 2: "frozen"). What
they read of an image is its class embedding, and the patch tokens of some blocks, of the tower's own path or of a dual
path (section 3.3, DPAM), in the joint space or as they leave the block. `features_cache` keeps it on disk.

Shapes: `b` batch, `g` = gh gw patches, `d` width, `e` embedding, `w` d or e, `k` texts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.attention import VARIANTS
from refclip.backend import Array, xp_of
from refclip.clip import CLIP, encode_tokens
from refclip.decode import read_image
from refclip.nn import normalize
from refclip.preprocess import Geometry, preprocess
from refclip.samples import Loaded, Sample, load
from refclip.transformer import Dual

OWN = "own"  # the tower's own path
PATHS = (OWN, *VARIANTS)  # and the dual paths, by their attention
SPACES = ("joint", "raw")
TYPES = ("float16", "float32", "float64")


class Recipe(NamedTuple):
    """What is kept of an image.

    Attributes
    ----------
    layers : tuple of int
        Blocks whose patch tokens are kept, counted from 1.
    size : (int, int)
        (H, W) the image is brought to.
    paths : tuple of str
        "own": the tower's own tokens; "v-v", "q-q", "k-k", "q-k": those of a dual path with that attention.
    start : int
        First block of the dual paths, counted from 0.
    space : {"joint", "raw"}
        After `ln_post` and projection, at length 1: [g, e]; or as they leave the block: [g, d].
    class_norm : bool
        Apply `ln_post` to the class token before it is projected, as CLIP does.
    resize, interpolation, antialias
        How the image, and how position embeddings, come to that size; see `Preprocess`, `vit.positions`.
    dtype : {"float16", "float32", "float64"}
        Of what is kept.
    """

    layers: tuple[int, ...]
    size: tuple[int, int]
    paths: tuple[str, ...] = (OWN,)
    start: int = 0
    space: str = "joint"
    class_norm: bool = True
    resize: str = "squash"
    interpolation: str = "bicubic"
    antialias: bool = True
    dtype: str = "float16"


class Encoded(NamedTuple):
    """Features of a batch, in the model's type and place."""

    image: Array  # [b, e], at length 1
    patches: dict[str, dict[int, Array]]  # path -> layer -> [b, g, w]
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def encode(clip: CLIP, images: Sequence[Any], recipe: Recipe) -> Encoded:
    """Encode PIL images or uint8 RGB arrays.

    The tower runs once for each path, and once more for a class token without `ln_post` if no path is "own".

    Raises
    ------
    ValueError
        No image, or a recipe that this tower cannot follow.
    """
    check(clip, recipe)
    if not len(images):
        raise ValueError("no images: expected at least one")
    xp, like = xp_of(clip.vision.proj), clip.vision.proj
    host, geometry = preprocess(images, clip.preprocess._replace(size=recipe.size, resize=recipe.resize))
    pixels = xp.asarray(host).astype(like.dtype, copy=False)  # [b, 3, H, W]
    how: dict[str, Any] = {"interpolation": recipe.interpolation, "antialias": recipe.antialias}
    depth = len(clip.vision.transformer.blocks)
    image, patches = None, {}
    for path in recipe.paths:
        dual = None if path == OWN else Dual(path, recipe.start)
        plain = dual is None and not recipe.class_norm
        out = encode_tokens(clip, pixels, layers=(*recipe.layers, *[depth] * plain), dual=dual, **how)
        found = out.patches if recipe.space == "joint" else out.taps
        patches[path] = {n: normalize(found[n]) if recipe.space == "joint" else found[n][:, 1:] for n in recipe.layers}
        if recipe.class_norm:
            image = out.embedding  # the same on every path: the dual path leaves the class token alone
        elif plain:
            image = out.taps[depth][:, 0] @ like  # [b, e]
    if image is None:
        out = encode_tokens(clip, pixels, layers=() if recipe.class_norm else [depth], **how)
        image = out.embedding if recipe.class_norm else out.taps[depth][:, 0] @ like  # [b, e]
    p = clip.vision.patch_size
    return Encoded(normalize(image), patches, (recipe.size[0] // p, recipe.size[1] // p), geometry)


def check(clip: CLIP, recipe: Recipe) -> None:
    """Refuse a recipe that a model cannot follow.

    Raises
    ------
    ValueError
    """
    depth, p = len(clip.vision.transformer.blocks), clip.vision.patch_size
    if not all(1 <= n <= depth for n in recipe.layers) or len(set(recipe.layers)) < len(recipe.layers):
        raise ValueError(f"layers {recipe.layers}: expected different block numbers from 1 to {depth}")
    if any(path not in PATHS for path in recipe.paths) or len(set(recipe.paths)) < len(recipe.paths):
        raise ValueError(f"paths {recipe.paths}: expected different ones of {', '.join(PATHS)}")
    early = [n for n in recipe.layers if n <= recipe.start]
    if early and any(path != OWN for path in recipe.paths):
        raise ValueError(f"layers {early} lie before the dual path, which starts at block {recipe.start} (from 0)")
    if recipe.space not in SPACES or recipe.dtype not in TYPES:
        raise ValueError(f"space {recipe.space!r}, dtype {recipe.dtype!r}: expected {SPACES}, {TYPES}")
    if any(side < p or side % p for side in recipe.size):
        raise ValueError(f"size {recipe.size}: expected multiples of the patch, {p}")


def rounding(encoded: Encoded, text: Array, temperature: float, dtype: str = "float16") -> tuple[float, float]:
    """What keeping features in half precision does to logits, cosine / tau, of class tokens and patches.

    Parameters
    ----------
    encoded : Encoded
        In the joint space.
    text : array [k, e]
        Unit vectors.
    temperature : float
        tau.

    Returns
    -------
    largest, mean : float
        Of |logit of the rounded - logit|.
    """
    xp = xp_of(text)
    every = [encoded.image, *(x for found in encoded.patches.values() for x in found.values())]
    worst, total, count = 0.0, 0.0, 0
    for x in every:
        error = abs(x.astype(dtype).astype(text.dtype) @ text.T - x @ text.T) / temperature  # [..., k]
        worst, total, count = max(worst, float(error.max())), total + float(xp.sum(error)), count + error.size
    return worst, total / count


def open_image(image: Any) -> Any:
    """A Sample, Loaded, path, PIL image or array -> a PIL image or an array, decoded."""
    if isinstance(image, Loaded):
        return image.image
    if isinstance(image, Sample):
        return load(image._replace(mask=None))[0]
    return read_image(image) if isinstance(image, str | os.PathLike) else image
