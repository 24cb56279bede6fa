"""AnomalyCLIP: prompts for "normal" and "abnormal" that name no object, learned on other objects (Zhou et al., 2024).

    g_n, g_a   embeddings of [V_1] ... [V_E] [object] and [W_1] ... [W_E] [damaged] [object]    `anomalyclip_prompts`
    S_c        of a patch token of layer c: softmax of <g_n, f> / tau and <g_a, f> / tau        equation 1
    map        G_sigma( sum over layers of (1 - Up S_n) / 2 + Up S_a / 2 )                      section 3.3, inference
    score      softmax of the same of the class token [abnormal]                                section 3.3, inference

The patch tokens are those of a path beside the tower's own with v-v attention, from block 6 of 24 on, in blocks 6, 12,
18 and 24 (section 3.3, DPAM; appendix A.1); the class token is the tower's own. Learning is in `anomalyclip_fit`.

"AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection", ICLR 2024; program: zqhang/AnomalyCLIP.
Table 1: on MVTec AD, learned on VisA: image AUROC 91.5, AP 96.2; pixel AUROC 91.1, PRO 81.4. Not verified here.

The ablations: table 4 and 7, T1: attention="own"; T2: `Design.prompts`; T3: `Design.depth`; T4: layers=(24,). Table 5
and 11: `Training.terms`. Table 9: `Design.shared`. Table 10: attention="q-q,k-k,v-v", and with "own," before it. Tables
13 and 14: `Design.abnormal`. Figure 5: object="name" in learning and scoring; figure 9: in scoring alone. Figure 8:
`Design.length`, `depth`, `tokens`, and layers. Table 3: what is learned from.

Shapes: `b` batch, `g` = gh gw patches, `e` embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array
from refclip.clip import CLIP
from refclip.frozen import Encoded, Recipe, encode
from refclip.methods.anomalyclip_learned import Fitted, load
from refclip.methods.anomalyclip_options import CHOICES, DEFAULTS, DIFFERENCES, Options, recipe_of, settled, spoken
from refclip.methods.anomalyclip_prompts import embed_prompts
from refclip.methods.learned import given_or_shipped, source_of
from refclip.methods.options import first_of, restored
from refclip.nn import softmax
from refclip.prediction import Prediction, predict
from refclip.preprocess import Geometry
from refclip.zeroshot import temperature_of

__all__ = ["CHOICES", "DIFFERENCES", "Features", "Options", "State", "extract", "prepare", "score"]


class State(NamedTuple):
    """The text side, done once."""

    clip: CLIP
    text: Array  # [2, e]
    temperature: float
    options: Options  # none of them None


class Features(NamedTuple):
    """One batch of images."""

    image: Array  # [b, e], at length 1
    patches: dict[str, dict[int, Array]]  # path -> layer -> [b, g, e], at length 1
    made: Recipe
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, *, learned: Any = None, **options: Any) -> State:
    """Embed the learned prompts.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        The object; read where `object` is "name".
    learned : path or Fitted, optional
        What is shipped, for refclip-mini.
    **options
        See `Options`.

    Raises
    ------
    ValueError
        An option has no such value, or there are no learned prompts.
    WeightsError
        They were learned by another method or behind another model.
    """
    return prepared("anomalyclip", clip, name, learned=learned, options=Options(**options), defaults=DEFAULTS)


def prepared(method: str, clip: CLIP, name: str | None, *, learned: Any, options: Options, defaults: Options) -> State:
    """`prepare` of any method whose prompts are learned like these: AnomalyCLIP, CoOp."""
    given = given_or_shipped(method, clip, learned)
    fitted = given if isinstance(given, Fitted) else load(clip, given, method)
    chosen = settled(clip, first_of(options, restored(Options(), fitted.about.get("options", {})), defaults))
    text = embed_prompts(clip, fitted.design, fitted.learned, [spoken(name, chosen)])[0]  # [2, e]
    return State(
        clip, text, temperature_of(clip, chosen.temperature or 0.0), chosen._replace(learned=source_of(learned))
    )


def extract(state: State, images: Sequence[Any]) -> Features:
    """Class token and patch tokens of uint8 RGB arrays or PIL images."""
    recipe = recipe_of(state.options)
    found = encode(state.clip, images, recipe)
    return Features(found.image, found.patches, recipe, found.grid, found.geometry)


def score(state: State, features: Features, context: None = None) -> Prediction:
    """Score and map of a batch. Each image is judged by itself.

    Features serve any options that need no more than they hold: fewer layers, fewer kinds of attention.

    Raises
    ------
    ValueError
        They lack what the options need.
    """
    o, wanted = state.options, recipe_of(state.options)
    missing = [(path, n) for path in wanted.paths for n in wanted.layers if n not in features.patches.get(path, {})]
    same = ("size", "start", "class_norm", "resize", "interpolation", "antialias")
    if missing or any(getattr(features.made, key) != getattr(wanted, key) for key in same):
        raise ValueError(f"these features were extracted with {features.made}; the options need {wanted}")
    image = probabilities(features.image, state.text, state.temperature)[:, 1]  # [b]
    map: Any = 0
    for layer in wanted.layers:
        logits = mean_logits(features, wanted.paths, layer, state.text, state.temperature)  # [b, g, 2]
        s = softmax(logits)
        map = map + (s[..., 1] + 1 - s[..., 0]) / 2  # [b, g]
    answer = predict(image, map.reshape(len(map), *features.grid), features.geometry)
    if not o.sigma:
        return answer
    from scipy.ndimage import gaussian_filter  # here, not above: importing it takes time

    sigma = o.sigma * min(answer.map.shape[1:])
    return answer._replace(map=gaussian_filter(answer.map, (0, sigma, sigma)))


def probabilities(x: Array, text: Array, temperature: float) -> Array:
    """P(g_n, x) and P(g_a, x), equation 1 of AnomalyCLIP: unit vectors [..., e] and [2, e] -> [..., 2]."""
    return softmax(x @ text.T * (1 / temperature))


def mean_logits(features: Features | Encoded, paths: Sequence[str], layer: int, text: Any, temperature: float) -> Any:
    """Cosine / tau of a layer's patches and the two prompts, the mean over paths: table 10 of AnomalyCLIP.

    Parameters
    ----------
    features : Features or Encoded
    paths : sequence of str
    layer : int
    text : array [2, e] or [b, 2, e], or Var
        Of one object, or of each image's own.
    temperature : float

    Returns
    -------
    array [b, g, 2] or Var
    """
    # the mean of products is the product with the mean: one product, however many paths
    patches = features.patches[paths[0]][layer]  # [b, g, e]; as it is, where it is the only one: 34 MB at 518 pixels
    for path in paths[1:]:
        patches = patches + features.patches[path][layer]
    return (patches @ text.swapaxes(-1, -2)) * (1 / (temperature * len(paths)))
