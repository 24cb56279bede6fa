"""Dual-Image Enhanced CLIP: language, and another image of the same kind (Zhang et al., 2024).

    A_cls^L  p(abnormal) of the class token                                    equation 1
    A_loc^L  p(abnormal) of every patch token of the v-v path                  equations 2 to 4
    A^V      1 - the cosine with the most similar patch of the other image     equation 5
    A_loc  = lambda1 A^V + lambda2 A_loc^L                                     equation 12 (6, where both lambdas are 1)
    A_cls  = lambda3 A_cls^L + lambda4 max A^V + lambda5 max A_loc^L           equation 13

The other image is any image of the test set, drawn at random: nobody knows that it is normal. Where it has a defect,
it excuses the same defect in the image beside it, and section 5.2 shows such "pollution"; language counters it. The
paper's "Ours+" puts adapted patch tokens in the place of A_loc^L: `dual_image_adapt`.

The paper's numbers, with ViT-B-16-plus-240 (laion400m) at 240 pixels, one reference, mean over 6 seeds (tables 1, 3):

==========================  ============================  =======================  ============================
MVTec AD                    pixel AUROC / F1-max / PRO    image AUROC / F1 / AP    VisA, the same six
==========================  ============================  =======================  ============================
language alone              85.3 / 29.1 / 71.8            91.6 / 92.9 / 96.4
with a reference            92.6 / 41.8 / 82.6            93.1 / 94.0 / 96.6       94.8 23.5 78.6  82.6 81.0 84.2
with both ("Ours+")         92.8 / 42.5 / 84.0            93.2 / 94.1 / 96.7       94.2 24.1 79.7  82.9 80.9 84.7
==========================  ============================  =======================  ============================

They are not verified here: neither the weights nor the data are in this repository. The authors' code is not public;
"code" below is hq-deng/AnoVL's, which the paper says it builds on. Its settings are in `dual_image_settings`.

Shapes: `b` images, `t` tiles (t = b where images are not cut), `g` = gh gw patches, `e` embedding, `r` references.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP, encode_tokens
from refclip.methods.clip_ac import named_states, named_templates
from refclip.methods.dual_image_settings import CHOICES, DIFFERENCES, Options, domain_templates
from refclip.methods.images import pixels_of
from refclip.methods.options import check
from refclip.methods.tiles import cut_tiles, join_tiles
from refclip.nn import normalize
from refclip.prediction import Prediction
from refclip.preprocess import Geometry
from refclip.prompts import compose
from refclip.resample import resize
from refclip.transformer import Dual
from refclip.zeroshot import p_abnormal, prototypes, temperature_of

__all__ = ["DIFFERENCES", "Evidence", "Features", "Options", "Partners", "State", "combine", "evidence", "extract",
           "pair", "prepare", "score", "visual_map"]  # fmt: skip


class State(NamedTuple):
    """The text side, done once."""

    clip: CLIP
    text: Array  # [2, e]
    temperature: float  # of class tokens
    patch_temperature: float
    options: Options


class Features(NamedTuple):
    """One batch of images: queries, or references, or both."""

    image: Array  # [t, e], class tokens, of the original path
    patches: Array  # [t, g, e], patch tokens of the v-v path, at length 1
    grid: tuple[int, int]
    tiles: tuple[Geometry, ...]  # t of them: where each lies in its image
    spans: tuple[tuple[int, int], ...]  # b of them: an image's tiles are those from, and up to, these numbers
    geometry: tuple[Geometry, ...]  # b of them, of the maps
    encoded: tuple[Any, ...]  # the options they were extracted with


class Partners(NamedTuple):
    """References that differ from image to image."""

    features: Features
    chosen: tuple[tuple[int, ...], ...]  # b of r: for every query, its references' places in `features`


class Evidence(NamedTuple):
    """What speaks for an anomaly, before it is weighed."""

    image: Array  # [t], A_cls^L
    language: Array  # [t, g], A_loc^L; or A^T, once adapted
    visual: Array | None  # [t, g], A^V; None without a reference


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed the prompts: 22 templates x 7 states x 2 or 3 domains for each of normal and abnormal.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        The object; None says "object".
    **options
        See `Options`.

    Raises
    ------
    ValueError
        An option has no such value; the message lists those it has.
    """
    o = Options(**options)
    check(o, CHOICES)
    if o.references is not None and o.references < 0:
        raise ValueError(f"references={o.references}: expected 0, for language alone, or more")
    if o.pool < 1 or o.pool % 2 == 0:
        raise ValueError(f"pool={o.pool}: expected an odd number of patches, 1 for no mean")
    depth = len(clip.vision.transformer.blocks)
    if not 0 <= o.first_block < depth:
        raise ValueError(f"first_block={o.first_block}: this tower has blocks 0 to {depth - 1}")
    own = domain_templates(name, o.domains, an=o.an) if o.templates == "dual-image" else named_templates(o.templates)
    prompts = compose(name, named_states(o.states), own, underscores=o.underscores)
    text = prototypes(clip, prompts, normalize_prompts=o.normalize_prompts)
    tau = temperature_of(clip, o.temperature)
    return State(clip, text, tau, tau if o.patch_temperature is None else temperature_of(clip, o.patch_temperature), o)


def extract(state: State, images: Sequence[Any]) -> Features:
    """Class tokens, and patch tokens of the v-v path, for uint8 RGB arrays or PIL images."""
    o, clip = state.options, state.clip
    clip = clip._replace(preprocess=clip.preprocess._replace(interpolation=o.interpolation))
    if o.resize == "tiles":
        pixels, tiles, spans = cut_tiles(clip, images)
        size = clip.preprocess.size
        geometry = tuple(Geometry(tiles[first].original, size, (0, 0), size) for first, _ in spans)
    else:
        pixels, tiles = pixels_of(clip, images, o.resize)
        spans, geometry = tuple((i, i + 1) for i in range(len(tiles))), tiles
    last = len(clip.vision.transformer.blocks)
    out = encode_tokens(clip, pixels, layers=[last], dual=Dual(o.variant, o.first_block))
    p = clip.vision.patch_size
    grid = pixels.shape[2] // p, pixels.shape[3] // p
    return Features(out.embedding, normalize(out.patches[last]), grid, tiles, spans, geometry, _encoded(o))


def pair(rng: Any, images: int, references: int = 1) -> tuple[tuple[int, ...], ...]:
    """For each of some images the numbers of others, drawn at random and no two alike (section 3.2).

    Raises
    ------
    ValueError
        There are not so many others.
    """
    if not 0 <= references < images:
        raise ValueError(f"{references} references for each of {images} images: there are {images - 1} others")
    drawn = (rng.choice(images - 1, references, replace=False).tolist() for _ in range(images))
    return tuple(tuple(j + (j >= i) for j in others) for i, others in enumerate(drawn))


def score(state: State, features: Features, context: Features | Partners | None = None) -> Prediction:
    """Score and map of a batch (equations 12 and 13).

    Parameters
    ----------
    state : State
    features : Features
    context : Features, Partners or None
        References: `Features` serve every image alike, all of them; `Partners` name each image's own. None is language
        alone. The option `references` takes the first so many, and nothing is encoded again.

    Raises
    ------
    ValueError
        Features from other options; fewer references than asked for; an image that is its own reference.

    Examples
    --------
    >>> state = prepare(clip, "bottle")  # doctest: +SKIP
    >>> features = extract(state, images)  # doctest: +SKIP
    >>> score(state, features, Partners(features, pair(rng, len(images))))  # doctest: +SKIP
    """
    return combine(state, features, evidence(state, features, context))


def evidence(state: State, features: Features, context: Features | Partners | None = None) -> Evidence:
    """The three terms, unweighted; arguments and errors as in `score`."""
    o = state.options
    index = _references(o, features, context)
    image = p_abnormal(features.image, state.text, state.temperature)  # [t]
    language = p_abnormal(features.patches, state.text, state.patch_temperature)  # [t, g]
    if context is None or not index[0]:
        return Evidence(image, language, None)
    of = context.features if isinstance(context, Partners) else context
    memory = [of.patches[a:z].reshape(-1, of.patches.shape[-1]) for a, z in of.spans]  # of each image: [its tokens, e]
    visual = [
        visual_map(features.patches[k], [memory[j] for j in chosen], o.join)
        for chosen, (a, z) in zip(index, features.spans, strict=True)
        for k in range(a, z)
    ]  # [g] each
    return Evidence(image, language, xp_of(language).stack(visual))


def visual_map(tokens: Array, references: Sequence[Array], join: str = "union") -> Array:
    """A^V of one image or tile.

    Parameters
    ----------
    tokens : array [g, e]
        At length 1.
    references : sequence of r arrays [n, e]
        At length 1.
    join : {"union", "mean"}
        Search in all references at once, or in each and take the mean.

    Returns
    -------
    array [g]

    References
    ----------
    Dual-Image equation 5.
    """
    each = xp_of(tokens).stack([1 - (tokens @ r.T).max(axis=1) for r in references])  # [r, g]
    return each.min(axis=0) if join == "union" else each.mean(axis=0)  # the nearest of all is that of the nearest each


def combine(state: State, features: Features, found: Evidence) -> Prediction:
    """Weigh (equations 12 and 13), and lay tiles side by side, the mean where they overlap."""
    o, xp = state.options, xp_of(found.language)
    patches = o.lambda2 * found.language  # [t, g]
    if found.visual is not None:
        patches = patches + o.lambda1 * found.visual
    answers = []
    for a, z in features.spans:
        whole = found.image[a:z].mean() if o.tile_score == "mean" else found.image[a:z].max()
        answer = o.lambda3 * whole + o.lambda5 * found.language[a:z].max()
        if found.visual is not None:
            answer = answer + o.lambda4 * found.visual[a:z].max()
        answers.append(answer)  # [] each
    size = features.geometry[0].size
    maps = pool(patches.reshape(-1, *features.grid), o.pool)  # [t, gh, gw]
    maps = resize(maps, size, "bilinear", align_corners=o.align_corners)  # [t, H, W]
    if o.resize == "tiles":
        maps = xp.stack([join_tiles(maps[a:z], features.tiles[a:z]) for a, z in features.spans])  # [b, H, W]
    return Prediction(to_numpy(xp.stack(answers)), to_numpy(maps), features.geometry)


def pool(maps: Array, side: int) -> Array:
    """The mean over `side` x `side` patches around each of [.., gh, gw], the edge repeated beyond itself."""
    xp = xp_of(maps)
    for axis in (-2, -1) if side > 1 else ():
        n = maps.shape[axis]
        near = [xp.clip(xp.arange(n) + d, 0, n - 1) for d in range(-(side // 2), side // 2 + 1)]
        maps = sum(xp.take(maps, i, axis=axis) for i in near) / side
    return maps


def _encoded(o: Options) -> tuple[Any, ...]:
    return o.variant, o.first_block, o.resize, o.interpolation


def _references(o: Options, features: Features, context: Features | Partners | None) -> list[tuple[int, ...]]:
    """The places in the context of every image's references, once all is checked."""
    b, wanted = len(features.geometry), o.references
    of = context.features if isinstance(context, Partners) else context
    for found in (features, of):
        if found is not None and found.encoded != _encoded(o):
            raise ValueError(
                f"variant, first_block, resize, interpolation {_encoded(o)}: these features have {found.encoded}"
            )
    if of is None:
        index = [()] * b
    elif isinstance(context, Partners):
        index = [tuple(chosen) for chosen in context.chosen]
    else:
        index = [tuple(range(len(of.geometry)))] * b
    if len(index) != b or len({len(chosen) for chosen in index}) > 1:
        raise ValueError(
            f"partners of {len(index)} images, {[len(c) for c in index]}: expected as many for each of {b}"
        )
    if wanted is not None:
        if wanted > len(index[0]):
            raise ValueError(f"references={wanted}: this context has {len(index[0])} for an image")
        index = [chosen[:wanted] for chosen in index]
    if of is features and any(i in chosen for i, chosen in enumerate(index)):
        raise ValueError("an image is its own reference, and so flawless: give Partners(features, pair(rng, b))")
    if of is not None and any(not 0 <= j < len(of.geometry) for chosen in index for j in chosen):
        raise ValueError(f"partners {index}: expected numbers from 0 to {len(of.geometry) - 1}")
    return index
