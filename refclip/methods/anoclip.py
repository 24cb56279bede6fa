"""AnoCLIP, and with test-time adaptation AnoVL: zero-shot localisation by v-v attention (Deng et al., 2023).

    patches   a v-v path beside all blocks, ln_post, projection     transformer.Dual("v-v", 0)
    map       softmax of the raw cosines to the two prototypes, 3 x 3 mean on the patch grid, bilinear
    score     softmax of the class token's raw cosines, mean over 22 views of the image (`augment`)
    prompts   22 templates x 3 phrases of the domain x 7 states a side (`prompts_anovl`)
    adapt     "AnoVL": a linear layer trained on the image's own patches before its map (`anoclip_adapt`)

The first text is "AnoVL: Adapting Vision-Language Models for Unified Zero-shot Anomaly Localization" (arXiv 2308.15939;
its second version calls the system AnoCLIP, and AnoCLIP+ with adaptation). Of the paper we had the abstract, and what
"Dual-Image Enhanced CLIP" (below: DI) says of it in sections 2, 3.1 and its supplement; the rest is read from the
published program (hq-deng/AnoVL), as facts. What these leave open, and our choice [I]:

- AdamW's memory starts anew with each image, as the layer does; the program re-draws the layer and keeps the memory.
- Every image draws the same numbers, from `seed`: its map depends neither on its batch nor on the order of images.
- Wide images (VisA): the program brings the short side to 240 and averages two overlapping tiles; here they are
  squashed. Without the tiles VisA's numbers are out of reach.
- A name that is none of MVTec AD's five textures is an object's.

Numbers to come near, with ViT-B-16-plus-240, laion400m, at 240 pixels, not verified here (we have neither these weights
nor the data):

    image AUROC, F1-max, AP     pixel AUROC, F1-max, PRO
       92.5   93.2   96.7          90.6   36.5   77.8    MVTec AD, "anovl" [I]         DI, table 1, AnoCLIP
       79.2   79.7   81.7          91.4   17.4   75.0    VisA, "anovl", with tiles     the same
       91.6   92.9   96.4          85.3   29.1   71.8    MVTec AD, "anoclip", views=1  DI, table 3, base; its templates

(The first is with adaptation [I]: the program's command adapts, and the same towers without reach 85.3.)

Shapes: `b` batch, `v` views, `g` = gh gw patches, `e` embedding, `k` prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.attention import VARIANTS
from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP, encode_text, encode_tokens
from refclip.methods.anoclip_adapt import adapt
from refclip.methods.augment import VIEWS, encode_views
from refclip.methods.clip_ac import named_states
from refclip.methods.images import pixels_of
from refclip.methods.options import check
from refclip.nn import normalize
from refclip.prediction import Difference, Prediction
from refclip.preprocess import Geometry
from refclip.prompts import Prompts, States, compose
from refclip.prompts_anovl import RENAMED, domain_templates
from refclip.resample import resize
from refclip.transformer import Dual
from refclip.zeroshot import p_abnormal, temperature_of


class Options(NamedTuple):
    """What can be chosen. Each default is the published program's for MVTec AD.

    Attributes
    ----------
    states : str or States
        State words: a published list's name (`prompts.STATES`) or one's own.
    templates : str or tuple of str
        "anovl": the texture's or the object's list, by the name; "anovl-textures" or "anovl-objects"; another
        published list (`prompts.TEMPLATES`); or one's own.
    normalize_prompts : bool
        Scale each prompt's embedding to length 1 before the mean. (The adapter's T is always so scaled.)
    temperature : float or "clip"
        tau, of score, map and adaptation. 1: the raw cosines.
    views : {1, 22}
        Image score from the image alone, or the mean over its 22 views: 22 times the work of the original path.
    attention : str or None
        Of the path beside; a key of `attention.VARIANTS`. None: no such path, patches of the original one.
    first_block : int
        First block, counted from 0, that has the path beside it.
    smooth : int
        Side of the mean on the patch grid, its edge repeated outwards. Odd; 1 is none.
    align_corners : bool
        How the map is enlarged: grid's outermost patches at the outermost pixels' centres (True), or each patch at its
        own centre (False).
    adapt : bool
        Adapt to each image before its map. It leaves the image's score as it is.
    adapter : {"prompts", "linear"}
        Through all prompts' embeddings, or a plain linear layer, as the program has it for VisA.
    steps : int
        Of adaptation.
    learning_rate : float
        AdamW's.
    noise : float
        Standard deviation of the noise on the patch tokens, which are not of length 1 there.
    seed : int
        Of the layer's beginning and the noise.
    underscores : bool
        Keep the underscores of an object's name ("metal_nut").
    resize : {"squash", "shortest", "longest"}
        How an image becomes square.
    interpolation : {"bilinear", "bicubic"}
        Of that resize, Pillow's.
    """

    states: str | States = "anovl"
    templates: str | tuple[str, ...] = "anovl"
    normalize_prompts: bool = False
    temperature: float | str = 1.0
    views: int = 22
    attention: str | None = "v-v"
    first_block: int = 0
    smooth: int = 3
    align_corners: bool = True
    adapt: bool = False
    adapter: str = "prompts"
    steps: int = 5
    learning_rate: float = 1e-3
    noise: float = 0.055
    seed: int = 111
    underscores: bool = True
    resize: str = "squash"
    interpolation: str = "bilinear"


CHOICES: dict[str, tuple[Any, ...]] = {
    "views": (1, 1 + len(VIEWS)),
    "attention": (*VARIANTS, None),
    "adapter": ("prompts", "linear"),
    "resize": ("squash", "shortest", "longest"),
    "interpolation": ("bilinear", "bicubic"),
}

DIFFERENCES = tuple(
    Difference("anoclip, anovl", *row)
    for row in (
        ("DI, eq. 1 to 3", "tau, no value", "hq-deng/AnoVL: none, a softmax of raw cosines", "temperature=1",
         "1: it decides what adaptation sees"),
        ("DI, 3.1", "the class token, of the image", "hq-deng/AnoVL: mean over 22 views on MVTec AD, two tiles on VisA",
         "views=22", "22; 1 is DI's base"),
        ("DI, 3.1", "v-v attention; in which blocks is not said", "hq-deng/AnoVL: all; its comment says the last 6",
         "first_block=6 for the comment's", "0, all"),
        ("DI, eq. 2", "a map of patches", "hq-deng/AnoVL: 3 x 3 mean, then bilinear with aligned corners",
         "smooth=3, align_corners=True", "the program's"),
        ("DI, supplement 2", "[d] before 'photo', sometimes before the adjective; industrial, textural, surface, "
         "manufacturing", "hq-deng/AnoVL: also 'industrial image', 'manufacturing image', 'surface picture'",
         "templates='anovl'", "the program's"),
        ("DI, supplement 1", "bilinear, short side 240; two tiles for VisA, averaged where they overlap",
         "hq-deng/AnoVL: squashed to 240 x 240 for MVTec AD; tiles for VisA, the loss there on enlarged maps",
         "adapter='linear' is VisA's adapter; its tiles are left out", "MVTec AD's form"),
        ("abstract, adaptation", "a layer of trainable parameters, pseudo-labels, noise-corrupted tokens",
         "hq-deng/AnoVL: the layer begins anew with each image, AdamW's moments go on from the image before",
         "left out: an answer would depend on the images before it", "moments begin anew too"),
    )
)  # fmt: skip


class State(NamedTuple):
    """The text side, done once."""

    clip: CLIP
    text: Array  # [2, e]
    prompts: Array  # [k, e], each of length 1
    temperature: float
    options: Options


class Features(NamedTuple):
    """One batch of images."""

    image: Array  # [b, v, e], class tokens of the views, the image itself first
    patches: Array  # [b, g, e], not of length 1
    made_with: tuple[str | None, int]  # the options `attention` and `first_block` they were extracted with
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed the domain-aware prompts of an object.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        The object; None says "object". VisA's macaroni1 and macaroni2 are said as "macaroni".
    **options
        See `Options`.

    Raises
    ------
    ValueError
        An option has no such value; the message says which it has.
    """
    o = Options(**options)
    check(o, CHOICES)
    depth = len(clip.vision.transformer.blocks)
    if not 0 <= o.first_block < depth:
        raise ValueError(f"first_block={o.first_block}: this tower has blocks 0 to {depth - 1}")
    if o.smooth < 1 or o.smooth % 2 == 0:
        raise ValueError(f"smooth={o.smooth}: expected an odd number of patches, 1 for none")
    for key, least in (("steps", 1), ("learning_rate", 0), ("noise", 0), ("seed", 0)):
        if not getattr(o, key) >= least:
            raise ValueError(f"{key}={getattr(o, key)!r}: expected no less than {least}")
    tau = temperature_of(clip, o.temperature)
    clip = clip._replace(preprocess=clip.preprocess._replace(interpolation=o.interpolation))
    said = RENAMED.get(name, name) if isinstance(name, str) else name
    prompts = compose(said, named_states(o.states), domain_templates(o.templates, name), underscores=o.underscores)
    text, each = _embed(clip, prompts, o.normalize_prompts)
    return State(clip, text, each, tau, o)


def _embed(clip: CLIP, prompts: Prompts, normalize_prompts: bool) -> tuple[Array, Array]:
    """Prototypes [2, e] as `zeroshot.prototypes` makes them, and every prompt [k, e] at length 1, in one run."""
    embedded = encode_text(clip, [*prompts.normal, *prompts.abnormal])  # [k, e]
    xp, each, split = xp_of(embedded), normalize(embedded), len(prompts.normal)
    chosen = each if normalize_prompts else embedded
    means = [part.mean(axis=0, dtype=xp.float64) for part in (chosen[:split], chosen[split:])]  # [e] each
    return normalize(xp.stack(means)).astype(embedded.dtype), each


def extract(state: State, images: Sequence[Any]) -> Features:
    """Class tokens of the views, and patch tokens of the path beside, of uint8 RGB arrays or PIL images."""
    clip, o = state.clip, state.options
    pixels, geometry = pixels_of(clip, images, o.resize)
    last = len(clip.vision.transformer.blocks)
    dual = None if o.attention is None else Dual(o.attention, o.first_block)
    out = encode_tokens(clip, pixels, layers=[last], dual=dual)
    image = out.embedding[:, None]  # [b, 1, e]
    if o.views > 1:
        image = xp_of(pixels).concatenate([image, encode_views(clip, pixels)], axis=1)  # [b, v, e]
    p = clip.vision.patch_size
    grid = pixels.shape[2] // p, pixels.shape[3] // p
    return Features(image, out.patches[last], (o.attention, o.first_block), grid, geometry)


def score(state: State, features: Features, context: None = None) -> Prediction:
    """Score and map of a batch. Zero-shot takes no context.

    Raises
    ------
    ValueError
        The features lack what the options need; the message names the option.
    """
    o, text, tau = state.options, state.text, state.temperature
    if features.made_with != (o.attention, o.first_block):
        a, f = features.made_with
        raise ValueError(
            f"attention={o.attention!r}, first_block={o.first_block}: these features were extracted with {a!r}, {f}"
        )
    if features.image.shape[1] < o.views:
        raise ValueError(f"views={o.views}: these features were extracted with views={features.image.shape[1]}")
    xp = xp_of(text)
    image = p_abnormal(features.image[:, : o.views], text, tau).mean(axis=1)  # [b]
    patches = features.patches
    if o.adapt:
        patches = xp.stack([_adapt(state, x) for x in patches])  # [b, g, e]
    grid_map = smoothed(p_abnormal(patches, text, tau).reshape(-1, *features.grid), o.smooth)  # [b, gh, gw]
    map = resize(grid_map, features.geometry[0].size, "bilinear", align_corners=o.align_corners)  # [b, H, W]
    return Prediction(to_numpy(image), to_numpy(map), features.geometry)


def _adapt(state: State, patches: Array) -> Array:
    o = state.options
    rng = xp_of(to_numpy(state.text)).random.default_rng(o.seed)  # the host's, wherever the model is
    prompts = state.prompts if o.adapter == "prompts" else None
    how = {"temperature": state.temperature, "steps": o.steps, "rate": o.learning_rate, "noise": o.noise}
    return adapt(patches, prompts, state.text, rng, **how)


def smoothed(grid_map: Array, side: int) -> Array:
    """The mean over `side` x `side` patches about each, the map's edge repeated outwards: [b, gh, gw]."""
    gh, gw = grid_map.shape[1:]
    r = side // 2
    wide = xp_of(grid_map).pad(grid_map, ((0, 0), (r, r), (r, r)), mode="edge")  # [b, gh + 2 r, gw + 2 r]
    return sum(wide[:, i : i + gh, j : j + gw] for i in range(side) for j in range(side)) / side**2  # [b, gh, gw]
