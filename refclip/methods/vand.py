"""VAND, also April-GAN: a linear layer behind each of four blocks, learned on other objects (Chen, Han, Zhang, 2023).

    v^l     F^l W_l^T + b_l at length 1, F^l the patch tokens as block l leaves them, l = 6, 12, 18, 24 of ViT-L
    map     sum over l of softmax(100 <v^l, g>)[abnormal], upsampled before the softmax
    score   softmax(100 <f, g>)[abnormal], f the class token's embedding, which nothing learned touches

and with normal references (k-shot), whose tokens F^l_r are remembered as they are:

    map     + sum over l of the upsampled min over r of 1 - <F^l, F^l_r> / (|F^l| |F^l_r|)
    score   the mean of p(abnormal) and of the map's maximum, brought to 0..1

g: the mean over VAND's prompts of their embeddings at length 1, itself brought to length 1.

"A Zero-/Few-Shot Anomaly Classification and Segmentation Method for CVPR 2023 VAND Workshop Challenge Tracks 1&2",
arXiv 2305.17382. Each default is what its program does, ByChelsea/VAND-APRIL-GAN; of the report, the abstract alone was
at hand. Learning is in `vand_fit`. A baseline of AnomalyCLIP (appendix A.2), whose table 1 prints for it on MVTec AD,
learned on VisA: image AUROC 86.1, pixel AUROC 87.6, PRO 44.0. Not verified here.

Shapes: `b` batch, `r` references, `g` = gh gw patches, `d` width, `e` embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP
from refclip.frozen import OWN, encode
from refclip.methods.clip_ac import named_states, named_templates
from refclip.methods.learned import given_or_shipped, source_of
from refclip.methods.options import first_of
from refclip.methods.patches import in_single
from refclip.methods.vand_learned import Fitted, Learned, check, load
from refclip.methods.vand_options import CHOICES, DEFAULTS, DIFFERENCES, Options, recipe_of, restored, settled
from refclip.nn import Linear, linear, normalize, softmax
from refclip.prediction import Prediction
from refclip.preprocess import Geometry
from refclip.prompts import compose
from refclip.resample import resize as resize_grid
from refclip.zeroshot import p_abnormal, prototypes, temperature_of

__all__ = ["CHOICES", "DIFFERENCES", "Features", "Options", "State", "extract", "prepare", "score"]


class State(NamedTuple):
    """The text side and the projections."""

    clip: CLIP
    text: Array  # [2, e]
    temperature: float
    learned: Learned
    options: Options


class Features(NamedTuple):
    """One batch of images, or of references."""

    image: Array  # [b, e], at length 1
    patches: dict[int, Array]  # layer -> [b, g, d], as they leave the block
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, *, learned: Any = None, **options: Any) -> State:
    """Embed the prompts and take up what was learned.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        The object; None says "object".
    learned : path or Fitted, optional
        What is shipped, for refclip-mini.
    **options
        See `Options`.

    Raises
    ------
    ValueError
        An option has no such value, or nothing learned is given.
    WeightsError
        What was learned does not fit the model.
    """
    given = given_or_shipped("vand", clip, learned)
    fitted = given if isinstance(given, Fitted) else load(clip, given)
    check(clip, fitted.learned)
    stored = restored(fitted.about.get("options", {}))
    o = settled(clip, first_of(Options(**options), stored, Options(layers=tuple(fitted.learned.projections)), DEFAULTS))
    if missing := [n for n in o.layers or () if n not in fitted.learned.projections]:
        raise ValueError(
            f"layers {o.layers}: projections were learned for {tuple(fitted.learned.projections)}, not {missing}"
        )
    tau = temperature_of(clip, o.temperature or 0.0)
    return State(clip, text_of(clip, name, o), tau, fitted.learned, o._replace(learned=source_of(learned)))


def text_of(clip: CLIP, name: str | None, o: Options) -> Array:
    """The two prototypes of an object, [2, e]."""
    states, templates = named_states(o.states or ""), named_templates(o.templates or "")
    prompts = compose(name, states, templates, underscores=bool(o.underscores))
    return prototypes(clip, prompts, normalize_prompts=bool(o.normalize_prompts))


def extract(state: State, images: Sequence[Any]) -> Features:
    """Class token and raw patch tokens of uint8 RGB arrays or PIL images, of what is scored and of references alike."""
    o = state.options
    found = encode(state.clip, images, recipe_of(o, {*(o.layers or ()), *(o.memory_layers or ())}))
    patches = {layer: in_single(x) for layer, x in found.patches[OWN].items()}
    return Features(found.image, patches, found.grid, found.geometry)


def score(state: State, features: Features, context: Features | None = None) -> Prediction:
    """Score and map of a batch.

    Parameters
    ----------
    state : State
    features : Features
    context : Features, optional
        Of normal references of the same object: then few-shot, else zero-shot.

    Raises
    ------
    ValueError
        Features, of the images or of the references, lack a layer.
    """
    o, layers, remembered = state.options, state.options.layers or (), state.options.memory_layers or ()
    compared = remembered if context is not None else ()
    needed = {"features": (features, (*layers, *compared)), "references": (context, compared)}
    for what, (one, wanted) in needed.items():
        if one is not None and (missing := [n for n in wanted if n not in one.patches]):
            raise ValueError(f"{what}: extracted for layers {tuple(one.patches)}, not for {missing}")
    size = features.geometry[0].size
    p = p_abnormal(features.image, state.text, state.temperature)  # [b]
    map: Array = 0
    for n in layers:
        of_pixel = pixel_probabilities(
            state.learned.projections[n],
            features.patches[n],
            state.text,
            features.grid,
            o,
            size=size,
            tau=state.temperature,
        )
        map = map + of_pixel[:, 1]  # [b, H, W]
    if context is not None:
        for n in remembered:
            far = distance(features.patches[n], context.patches[n]).reshape(-1, *features.grid)  # [b, gh, gw]
            map = map + resize_grid(far, size, "bilinear", align_corners=bool(o.aligned))  # [b, H, W]
        if o.image_fusion != "text":
            most = map.max(axis=(1, 2))  # [b]
            p = (p + _brought(most, o.image_fusion or "", len(layers) + 2 * len(remembered))) / 2
    return Prediction(to_numpy(p), to_numpy(map), features.geometry)


def pixel_probabilities(
    projection: Linear, tokens: Array, text: Array, grid: tuple[int, int], o: Options, *, size: Any, tau: float
) -> Array:
    """What one layer says of each pixel: p(normal) and p(abnormal).

    Parameters
    ----------
    projection : Linear
        d to e.
    tokens : array [b, g, d]
    text : array [2, e] or [b, 2, e]
        Of one object, or of each image's own.
    grid : (int, int)
        (gh, gw).
    o : Options
    size : (int, int)
        (H, W).
    tau : float

    Returns
    -------
    array [b, 2, H, W]
    """
    v = normalize(linear(tokens, projection))  # [b, g, e]
    logits = (v @ text.swapaxes(-1, -2)) * (1 / tau)  # [b, g, 2]
    logits = logits.swapaxes(1, 2).reshape(len(tokens), 2, *grid)  # [b, 2, gh, gw]
    if o.softmax == "before":
        return resize_grid(softmax(logits, axis=1), size, "bilinear", align_corners=bool(o.aligned))
    return softmax(resize_grid(logits, size, "bilinear", align_corners=bool(o.aligned)), axis=1)  # [b, 2, H, W]


def distance(tokens: Array, references: Array) -> Array:
    """1 - cosine to the nearest of all references' tokens: [b, g, d] beside [r, g, d] -> [b, g].

    Of unit vectors that is |x - y|^2 / 2, which is 0, and no rounding error about 0, where the two are equal.
    """
    xp, x = xp_of(tokens), normalize(tokens)
    y = normalize(references.astype(x.dtype)).reshape(-1, x.shape[-1])  # [r g, d]
    return xp.stack([((one - y[(one @ y.T).argmax(axis=1)]) ** 2).sum(axis=1) for one in x]) / 2  # [b, g]


def _brought(most: Array, how: str, bound: int) -> Array:
    """Maxima of maps [b] as numbers from 0 to 1; see `image_fusion`. All alike: 0."""
    if how == "bound":
        return most / bound
    low, range = most.min(), most.max() - most.min()
    return (most - low) / xp_of(most).maximum(range, xp_of(most).finfo(most.dtype).tiny)
