"""Scores from language: an image embedding against the prototypes of "normal" and "abnormal".

    p(abnormal | x) = exp(<f(x), g_a> / tau) / (exp(<f(x), g_n> / tau) + exp(<f(x), g_a> / tau))

g_n and g_a are means of text embeddings over all prompts of a state. WinCLIP calls this ascore_0 (section 4.1, after
its equation 1); AnomalyCLIP and Dual-Image Enhanced CLIP use the same two classes.

Shapes: `...` any leading axes (images, windows, patches), `e` embedding.
"""

from __future__ import annotations

from refclip.backend import Array, xp_of
from refclip.clip import CLIP, encode_text
from refclip.nn import normalize, softmax
from refclip.prompts import Prompts


def prototypes(clip: CLIP, prompts: Prompts, *, normalize_prompts: bool = False, threads: int | None = None) -> Array:
    """One unit vector for each state: [2, e], normal first.

    Parameters
    ----------
    clip : CLIP
    prompts : Prompts
        Duplicates weight the mean.
    normalize_prompts : bool
        Scale every prompt's embedding to length 1 before the mean (CLIP's own ensembles and VAND do), or average as
        they come (Accurate-WinCLIP, anomalib and AnoVL do).

    Returns
    -------
    array [2, e]

    References
    ----------
    WinCLIP, section 4.1: "we compute the average of text embeddings per label".
    """
    texts = [*prompts.normal, *prompts.abnormal]
    unique = list(dict.fromkeys(texts))  # a template may stand twice in a published list
    place = {text: i for i, text in enumerate(unique)}
    embedded = encode_text(clip, unique, normalize=normalize_prompts, threads=threads)  # [unique, e]
    xp = xp_of(embedded)
    every = embedded[xp.asarray([place[text] for text in texts])]  # [prompts, e]
    split = len(prompts.normal)
    # in float64: a float32 sum over a hundred rows, one by one, would lose a digit that the towers kept
    means = [part.mean(axis=0, dtype=xp.float64) for part in (every[:split], every[split:])]  # [e] each
    return normalize(xp.stack(means)).astype(every.dtype)  # [2, e]


def temperature_of(clip: CLIP, temperature: float | str) -> float:
    """A number as it is; "clip" means the one the model was trained with, 1 / exp(logit scale).

    Raises
    ------
    ValueError
        Neither a positive number nor "clip".
    """
    if temperature == "clip":
        return 1.0 / clip.logit_scale
    if isinstance(temperature, str) or not temperature > 0:
        raise ValueError(f"temperature {temperature!r}: expected a number above 0, or 'clip' for the model's own")
    return float(temperature)


def p_abnormal(features: Array, text: Array, temperature: float) -> Array:
    """Probability of "abnormal" between the two states.

    Parameters
    ----------
    features : array [..., e]
        Image, window or patch embeddings, normalised or not.
    text : array [2, e]
        From `prototypes`.
    temperature : float

    Returns
    -------
    array [...], between 0 and 1

    References
    ----------
    WinCLIP equation 1 with S = {normal, abnormal}; AnomalyCLIP equation 1.
    """
    logits = normalize(features) @ text.T / temperature  # [..., 2]
    return softmax(logits)[..., 1]


def one_class(features: Array, text: Array) -> Array:
    """-<f(x), g_n>: how unlike "normal", with no word for "abnormal". WinCLIP section 4.1, table 3 (a).

    Returns
    -------
    array [...], between -1 and 1
    """
    return -(normalize(features) @ text[0])
