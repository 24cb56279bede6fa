"""CLIP and CLIP-AC: the zero-shot baselines, which the papers name alike and mean differently.

===========  ================  ==============================================  ===========================
method       paper             prompts                                         where
===========  ================  ==============================================  ===========================
"clip-ac"    "winclip"         normal [o] / anomalous [o]                      WinCLIP table 1, CLIP-AC
"clip-ac"    "anomalyclip"     the same in ImageNet's 80 templates, averaged   AnomalyCLIP A.2, CLIP-AC
"clip"       "anomalyclip"     A photo of a normal / an anomalous [o]          AnomalyCLIP A.2, CLIP
"clip"       "dual-image"      normal [o] / anomalous [o]                      Dual-Image table 1, "CLIP"
===========  ================  ==============================================  ===========================

("Dual-Image Enhanced CLIP" prints WinCLIP's CLIP-AC numbers as "CLIP". WinCLIP's row "+ Prompt ens." is "clip-ac" with
templates="imagenet", the same prompts as AnomalyCLIP's CLIP-AC.)

The image's score is ascore_0 of its class token; the map is ascore_0 of the last block's patch tokens, one by one
(WinCLIP section 4.2, "penultimate feature map"; AnomalyCLIP A.2). The tokens were never trained for that: on real CLIP
the map is worse than chance, and the papers say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array
from refclip.clip import CLIP, encode_tokens
from refclip.methods.images import pixels_of
from refclip.methods.options import sides_of
from refclip.prediction import Difference, Prediction, predict
from refclip.preprocess import Geometry
from refclip.prompts import (
    ANOMALYCLIP_CLIP_STATES,
    BARE,
    CLIP_AC_STATES,
    IMAGENET_TEMPLATES,
    STATES,
    TEMPLATES,
    States,
    compose,
)
from refclip.zeroshot import one_class, p_abnormal, prototypes, temperature_of

# (baseline, paper) -> states, templates
BASELINES: dict[tuple[str, str], tuple[States, tuple[str, ...]]] = {
    ("clip-ac", "winclip"): (CLIP_AC_STATES, BARE),
    ("clip-ac", "anomalyclip"): (CLIP_AC_STATES, IMAGENET_TEMPLATES),
    ("clip", "anomalyclip"): (ANOMALYCLIP_CLIP_STATES, BARE),
    ("clip", "dual-image"): (CLIP_AC_STATES, BARE),
}
PAPER = {"clip": "anomalyclip", "clip-ac": "winclip"}  # whose, if nobody says


class Options(NamedTuple):
    """What can be chosen.

    Attributes
    ----------
    baseline : {"clip", "clip-ac"}
        Which of the two; `detector` sets it.
    paper : {"winclip", "anomalyclip", "dual-image"}, optional
        Whose meaning of the name. By default AnomalyCLIP's CLIP and WinCLIP's CLIP-AC.
    states : str or States, optional
        Other state words: a published list's name (`prompts.STATES`) or one's own.
    templates : str or tuple of str, optional
        Other templates: a published list's name (`prompts.TEMPLATES`) or the templates themselves.
    normalize_prompts : bool
        Scale each prompt's embedding to length 1 before the mean, as CLIP's own ensembles are made.
    one_class : bool
        Score by -<f(x), g(normal)> (WinCLIP table 3 a). The map is then one-class too.
    temperature : float or "clip"
        tau. It moves no ranking of images or patches, only the values.
    underscores : bool
        Keep the underscores of an object's name, as published code does.
    size : int, optional
        Side of the input in pixels. By default 518 for ViT-L-14-336 where the paper is AnomalyCLIP, which brings all
        images to it (appendix B), and the model's own elsewhere.
    resize : {"squash", "shortest", "longest"}
        How an image becomes square.
    """

    baseline: str = "clip-ac"
    paper: str | None = None
    states: str | States | None = None
    templates: str | tuple[str, ...] | None = None
    normalize_prompts: bool = True
    one_class: bool = False
    temperature: float | str = 0.07
    underscores: bool = True
    size: int | None = None
    resize: str = "squash"


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
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


DIFFERENCES = (
    Difference(
        "clip, clip-ac",
        "WinCLIP 4.1, AnomalyCLIP A.2",
        "two papers, two meanings of each name",
        "no code of these baselines is published",
        "paper='winclip' | 'anomalyclip' | 'dual-image'",
        "AnomalyCLIP's CLIP, WinCLIP's CLIP-AC: whose paper introduces the name",
    ),
    Difference(
        "clip, clip-ac",
        "AnomalyCLIP B",
        "all images at 518 pixels; how the positions of 336 get there is not said",
        "no code of these baselines is published",
        "size",
        "518 for ViT-L-14-336 with paper='anomalyclip'; positions bicubic with antialias, as open_clip's are",
    ),
)


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed the prompts.

    Raises
    ------
    ValueError
        The paper has no such baseline, or an option has no such value.
    """
    o = Options(**options)
    paper = o.paper or PAPER.get(o.baseline, "")
    if (o.baseline, paper) not in BASELINES:
        known = ", ".join(f"{b} ({p})" for b, p in BASELINES)
        raise ValueError(f"baseline {o.baseline!r} of paper {paper!r}: expected one of {known}")
    if o.resize not in ("squash", "shortest", "longest"):
        raise ValueError(f"resize={o.resize!r}: expected 'squash', 'shortest' or 'longest'")
    o = o._replace(paper=paper)
    _sides(clip, o)
    states, templates = BASELINES[o.baseline, paper]
    if o.templates is not None:
        templates = named_templates(o.templates)
    prompts = compose(
        name, states if o.states is None else named_states(o.states), templates, underscores=o.underscores
    )
    text = prototypes(clip, prompts, normalize_prompts=o.normalize_prompts)
    return State(clip, text, temperature_of(clip, o.temperature), o)


def _sides(clip: CLIP, o: Options) -> tuple[int, int]:
    return sides_of(clip, o.size, enlarged=o.paper == "anomalyclip")


def named_states(states: str | States) -> States:
    """A published list by its name, or the states given.

    Raises
    ------
    ValueError
        No list of that name.
    """
    if isinstance(states, States):
        return states
    if not isinstance(states, str) or states not in STATES:
        raise ValueError(f"states {states!r}: expected one of {', '.join(STATES)}, or States(normal, abnormal)")
    return STATES[states]


def named_templates(templates: str | Sequence[str]) -> tuple[str, ...]:
    """A published list by its name, or the templates given.

    Raises
    ------
    ValueError
        No list of that name.
    """
    if not isinstance(templates, str):
        return tuple(templates)
    if templates not in TEMPLATES:
        raise ValueError(f"templates {templates!r}: expected one of {', '.join(TEMPLATES)}, or a list of templates")
    return TEMPLATES[templates]


def extract(state: State, images: Sequence[Any]) -> Features:
    """Class token and last block's patch tokens of uint8 RGB arrays or PIL images."""
    clip = state.clip
    pixels, geometry = pixels_of(clip, images, state.options.resize, _sides(clip, state.options))
    last = len(clip.vision.transformer.blocks)
    out = encode_tokens(clip, pixels, layers=[last])
    p = clip.vision.patch_size
    return Features(out.embedding, out.patches[last], (pixels.shape[2] // p, pixels.shape[3] // p), geometry)


def score(state: State, features: Features, context: None = None) -> Prediction:
    """Score and map of a batch. These methods take no context."""
    if state.options.one_class:
        image, patches = one_class(features.image, state.text), one_class(features.patches, state.text)
    else:
        image = p_abnormal(features.image, state.text, state.temperature)  # [b]
        patches = p_abnormal(features.patches, state.text, state.temperature)  # [b, g]
    return predict(image, patches.reshape(len(patches), *features.grid), features.geometry)
