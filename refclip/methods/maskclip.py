"""MaskCLIP as a baseline for maps (Zhou, Loy, Dai: Extract Free Dense Labels from CLIP, ECCV 2022).

    class token    as in CLIP: attention in every block
    patch token    in the last block, what the token itself says: out_proj(value), queries and keys left out

The paper drops queries and keys of the last attention and makes its value and last linear layer 1 x 1 convolutions, so
that a patch speaks for its own place; its features then meet the text as the class token does. Its equations are those
of a ResNet's attention pooling. For a vision transformer the published program (as copied in vobecant/POP3D,
MaskCLIP/mmseg/models/backbones/vit.py) keeps the residual path and the MLP around out_proj(value): `features="block"`.

The paper segments objects; WinCLIP (table 4) made it a zero-shot anomaly baseline: on MVTec AD pixel AUROC 63.7, AUPRO
40.5, F1-max 18.5; on VisA 60.9, 27.3, 7.3. With which weights and prompts it does not say (WinCLIP's own are
ViT-B-16-plus-240, laion400m). Not verified here: this repository has neither those weights nor that data.

Not here: the paper's key smoothing and prompt denoising (for segmentation into many classes; two-class papers do not
mention them) and MaskCLIP+, which trains a second network.

Shapes: `b` batch, `n` = 1 + g tokens, `g` = gh gw patches, `d` width, `e` embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array
from refclip.clip import CLIP, encode_tokens
from refclip.methods.clip_ac import named_states, named_templates
from refclip.methods.images import pixels_of
from refclip.methods.options import check
from refclip.nn import Linear, layer_norm, linear
from refclip.prediction import Difference, Prediction, predict
from refclip.preprocess import Geometry
from refclip.prompts import States, compose
from refclip.transformer import mlp
from refclip.vit import Vision, embed, project
from refclip.zeroshot import p_abnormal, prototypes, temperature_of


class Options(NamedTuple):
    """What can be chosen.

    Attributes
    ----------
    features : {"value", "block"}
        Patch tokens: the value projected, as the paper's words and equations have it; or with the last block's residual
        path and MLP around it, as the published program has it for vision transformers.
    image_score : {"class-token", "map-max"}
        The paper has no score of an image: CLIP's own, or the maximum of the map's patches.
    states : str or States
        State words: a published list's name (`prompts.STATES`) or one's own.
    templates : str or tuple of str
        A published list's name (`prompts.TEMPLATES`) or one's own.
    normalize_prompts : bool
        Scale each prompt's embedding to length 1 before the mean, as CLIP's own ensembles are made.
    temperature : float or "clip"
        tau. It moves no ranking of images or patches, only the values. MaskCLIP's program: CLIP's own, 0.01.
    underscores : bool
        Keep the underscores of an object's name, as published code does.
    resize : {"squash", "shortest", "longest"}
        How an image becomes square.
    """

    features: str = "value"
    image_score: str = "class-token"
    states: str | States = "winclip"
    templates: str | tuple[str, ...] = "winclip-a"
    normalize_prompts: bool = False
    temperature: float | str = 0.07
    underscores: bool = True
    resize: str = "squash"


CHOICES: dict[str, tuple[str, ...]] = {
    "features": ("value", "block"),
    "image_score": ("class-token", "map-max"),
    "resize": ("squash", "shortest", "longest"),
}

DIFFERENCES = tuple(
    Difference("maskclip", *row)
    for row in (
        ("3.2", "value and last linear layer as 1 x 1 convolutions, queries and keys dropped; equations for ResNets",
         "the authors' program, for vision transformers: x + out_proj(value), then the MLP as ever",
         "features='block'", "'value', the paper's"),
        ("WinCLIP 5.2", "MaskCLIP for anomalies, prompts and temperature not given",
         "no code of this baseline is published", "states, templates, temperature", "WinCLIP's own"),
    )
)  # fmt: skip


class State(NamedTuple):
    """The text side, done once."""

    clip: CLIP
    text: Array  # [2, e]
    temperature: float
    options: Options


class Features(NamedTuple):
    """One batch of images."""

    image: Array  # [b, e]
    patches: Array  # [b, g, e]
    made_of: str  # the option `features` they were extracted with
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed the prompts of an object; None says "object".

    Raises
    ------
    ValueError
        An option has no such value; the message lists those it has.
    """
    o = Options(**options)
    check(o, CHOICES)
    prompts = compose(name, named_states(o.states), named_templates(o.templates), underscores=o.underscores)
    text = prototypes(clip, prompts, normalize_prompts=o.normalize_prompts)
    return State(clip, text, temperature_of(clip, o.temperature), o)


def extract(state: State, images: Sequence[Any]) -> Features:
    """Class token and MaskCLIP's patch tokens of uint8 RGB arrays or PIL images."""
    clip, o = state.clip, state.options
    pixels, geometry = pixels_of(clip, images, o.resize)
    before = len(clip.vision.transformer.blocks) - 1
    out = encode_tokens(clip, pixels, layers=[before] if before else [])
    tokens = out.taps[before] if before else embed(clip.vision, pixels)  # [b, n, d], as they enter the last block
    patches = project(clip.vision, own_words(clip.vision, tokens[:, 1:], around=o.features == "block"))  # [b, g, e]
    p = clip.vision.patch_size
    return Features(out.embedding, patches, o.features, (pixels.shape[2] // p, pixels.shape[3] // p), geometry)


def score(state: State, features: Features, context: None = None) -> Prediction:
    """Score and map of a batch. Zero-shot takes no context.

    Raises
    ------
    ValueError
        Features extracted with the other value of `features`.
    """
    o = state.options
    if o.features != features.made_of:
        raise ValueError(f"features={o.features!r}: these were extracted with features={features.made_of!r}")
    patches = p_abnormal(features.patches, state.text, state.temperature)  # [b, g]
    if o.image_score == "map-max":
        image = patches.max(axis=1)  # [b]
    else:
        image = p_abnormal(features.image, state.text, state.temperature)  # [b]
    return predict(image, patches.reshape(len(patches), *features.grid), features.geometry)


def own_words(v: Vision, x: Array, *, around: bool) -> Array:
    """The last block with each token attending to itself alone: out_proj(value).

    Parameters
    ----------
    v : Vision
    x : array [b, g, d]
        Tokens as they enter the last block.
    around : bool
        Keep what is around the attention: the residual path and the MLP.

    Returns
    -------
    array [b, g, d]
    """
    p, d = v.transformer.blocks[-1], x.shape[-1]
    value = Linear(p.attn.in_proj.weight[2 * d :], p.attn.in_proj.bias[2 * d :])  # [d, d]
    said = linear(linear(layer_norm(x, p.ln_1), value), p.attn.out_proj)  # [b, g, d]
    if not around:
        return said
    middle = x + said
    return middle + mlp(layer_norm(middle, p.ln_2), p, v.transformer.activation)
