"""CLIP-ADA: one prompt for "defect", learned on pseudo-anomalies, and a second look (Cai et al., 2024).

    S_K     sigmoid of projected patch tokens times the prompt's embedding, K times refined    equations 1 to 3, 5
    map     G_sigma(S_K, enlarged to the input)                                                section 4.4.2
    score   the mean of the map's highest pixels, 1 percent of them                            section 4.4.2

It is not zero-shot: one model is learned on the normal images of all categories that it is to judge, together (section
3.2). The pass is in `clip_ada_refine`, learning in `clip_ada_fit`. No program of it is public, and our text of the
paper has lost its formulas and some numbers: how it is read here stands in `clip_ada_options.DIFFERENCES`.

"Anomaly Detection by Adapting a pre-trained Vision Language Model", arXiv 2403.09493, tables 1 and 2: on MVTec AD with
ViT-B/16, K = 1: image AUROC 97.5, pixel AUROC 96.7, pixel AP 55.6. Not verified here.

Ablations: table 4: `refinements`, `words`; table 5: `Training.tune`; table 6: `refinements`; figure 6:
`Training.fraction`.

Shapes: `b` batch, `g` = gh gw patches, `e` embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP
from refclip.elementary import sigmoid
from refclip.methods.clip_ada_learned import Fitted, Learned, load
from refclip.methods.clip_ada_options import AT_SCORING, CHOICES, DIFFERENCES, Options, settled
from refclip.methods.clip_ada_refine import logits, text_embedding, towers
from refclip.methods.images import pixels_of
from refclip.methods.learned import given_or_shipped, source_of
from refclip.methods.options import first_of, restored
from refclip.prediction import Prediction
from refclip.preprocess import Geometry
from refclip.resample import resize

__all__ = ["CHOICES", "DIFFERENCES", "Features", "Options", "State", "extract", "prepare", "score"]


class State(NamedTuple):
    """The text side, done once, and what was learned."""

    clip: CLIP
    text: Array  # t, [1, e]
    learned: Learned
    options: Options  # none of them None


class Features(NamedTuple):
    """One batch of images. Refinement needs what was learned, so these are answers already."""

    maps: dict[int, Array]  # k -> S_k, [b, gh, gw]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, *, learned: Any = None, **options: Any) -> State:
    """Embed the learned prompt.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        Not used: the prompt names no object.
    learned : path or Fitted, optional
        What is shipped, for refclip-mini.
    **options
        See `Options`. Those that decide what is learned must be as they were.

    Raises
    ------
    ValueError
        An option has no such value, or not the one that was learned with; or nothing learned is given.
    WeightsError
        What was learned does not fit the model.
    """
    at_hand = given_or_shipped("clip-ada", clip, learned)
    fitted = at_hand if isinstance(at_hand, Fitted) else load(clip, at_hand)
    stored = settled(clip, restored(Options(), fitted.about["options"]))
    o = settled(clip, first_of(Options(**options), stored))
    for key, value in stored._asdict().items():
        if key not in AT_SCORING and value != getattr(o, key):
            raise ValueError(
                f"{key}={getattr(o, key)!r}: this was learned with {value!r}; leave it out, or train again"
            )
    most = len(fitted.learned.projections) - 1
    if (o.refinements or 0) > most:
        raise ValueError(f"refinements={o.refinements}: {most} were learned; expected at most as many")
    text = text_embedding(towers(clip, fitted.learned)[1], o, fitted.learned.prompt)  # [1, e]
    return State(clip, text, fitted.learned, o._replace(learned=source_of(learned)))


def extract(state: State, images: Sequence[Any]) -> Features:
    """S_0 to S_K of uint8 RGB arrays or PIL images."""
    clip, o = state.clip, state.options
    pixels, geometry = pixels_of(clip, images, "squash", (o.size or 0, o.size or 0))
    found = logits(clip, state.learned, o, pixels, t=state.text)
    return Features({k: sigmoid(z) for k, z in enumerate(found)}, geometry)


def score(state: State, features: Features, context: None = None) -> Prediction:
    """Score and map of a batch: section 4.4.2. Each image is judged by itself.

    Raises
    ------
    ValueError
        The features were refined less often than the options ask.
    """
    o = state.options
    k, size = o.refinements or 0, features.geometry[0].size
    if k not in features.maps:
        raise ValueError(f"refinements={k}: these features have been refined {max(features.maps)} times")
    map = to_numpy(resize(features.maps[k], size, "bilinear"))  # [b, H, W], from here on the host
    if o.sigma:
        from scipy.ndimage import gaussian_filter  # here, not above: importing it takes time

        sigma = o.sigma * min(size)
        map = gaussian_filter(map, (0, sigma, sigma))
    return Prediction(highest(map, o.top or 0.0), map, features.geometry)


def highest(map: Array, fraction: float) -> Array:
    """The mean of the highest pixels of each map [b, H, W], a fraction of all and at least one: [b]. Section 4.4.2."""
    flat = map.reshape(len(map), -1)  # [b, H W]
    count = max(1, round(fraction * flat.shape[1]))
    return xp_of(map).partition(flat, flat.shape[1] - count, axis=1)[:, -count:].mean(axis=1)
