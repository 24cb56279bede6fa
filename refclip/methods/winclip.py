"""WinCLIP: zero-shot anomaly classification and segmentation (Jeong et al., CVPR 2023).

    score   ascore_0 of the class token                                       section 4.1
    map     ascore_0 of every k x k window of patches                         section 4.2, equation 2
            -> every patch: harmonic mean over the windows that cover it      equation 3
            -> harmonic mean over scales: small (2), mid (3), whole image     section 4.2, "multi-scale aggregation"

with the prompts of the compositional prompt ensemble (section 4.1). The options reach every row of tables 3 and 8 that
needs no reference images, and every point at which published code does otherwise.

Shapes: `b` batch, `w` windows, `g` = gh gw patches, `e` embedding, `c` crops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.clip import CLIP, encode_image, encode_tokens, encode_windows
from refclip.methods.clip_ac import named_states, named_templates
from refclip.methods.images import pixels_of
from refclip.methods.options import check
from refclip.methods.views import encode_crops, encode_tiles
from refclip.prediction import Difference, Prediction, predict
from refclip.preprocess import Geometry
from refclip.prompts import States, compose
from refclip.vit import sliding_windows
from refclip.zeroshot import one_class, p_abnormal, prototypes, temperature_of

SMALLEST = 1e-30  # a probability below this counts as this, so that a harmonic mean of an underflow is 0, not a warning


class Options(NamedTuple):
    """What can be chosen. Each default is the paper's; where it is silent, Accurate-WinCLIP's code's.

    Attributes
    ----------
    states : str or States
        State words: a published list's name (`prompts.STATES`) or one's own (section 4.1; table 7: task-specific).
    templates : str or tuple of str
        "winclip-a" (Accurate-WinCLIP, anomalib), "winclip-b" (caoyunkang), another of `prompts.TEMPLATES`, or one's
        own.
        ("{}",) is table 3 (b), states alone.
    normalize_prompts : bool
        Scale each prompt's embedding to length 1 before the mean. Paper: "the average"; none of the three codes does.
    temperature : float or "clip"
        tau of equation 1, which the paper does not state. Codes: 0.07, 0.07, and CLIP's own 0.01.
    one_class : bool
        Score the image by -<f(x), g(normal)> (table 3 a). The map stays two-class.
    crops : {1, 5, 10}
        Multi-crop image score (table 3 d): mean over the centre and the corners of the image at 8/7 of the size, or
        over these and their mirror images. The paper cites AlexNet's recipe and says no more; published code has none.
        It does nothing to an `image_score` of "map-max".
    features : {"windows", "patches", "tiles"}
        What the map is made of (table 8): windows; the last block's patch tokens; or the windows cut out of the image
        and each enlarged to the model's size ("image tiling": the paper does not give its tiles, so these are its
        windows). "patches" have no windows, so that `scales`, `image_scale` and `aggregation` do nothing to them.
    scales : tuple of int
        Window sides in patches (table 8: w/o mid is (2,), w/o small is (3,)).
    image_scale : bool
        Let the class token's score take part in every pixel (table 8: w/o image-scale is False).
    aggregation : {"harmonic", "arithmetic"}
        Mean over windows and over scales (table 8: w/o harmonic avg. is "arithmetic").
    mean_of : {"abnormal", "normal"}
        Of which probability: the paper, equation 3, of the abnormal one; caoyunkang's code of the normal one, and
        1 minus that.
    image_score : {"class-token", "map-max"}
        Paper: the class token. caoyunkang's code: the maximum of the map.
    underscores : bool
        Keep the underscores of an object's name ("metal_nut"), as all three codes do.
    resize : {"squash", "shortest", "longest"}
        How an image becomes square. Codes: squashed.
    """

    states: str | States = "winclip"
    templates: str | tuple[str, ...] = "winclip-a"
    normalize_prompts: bool = False
    temperature: float | str = 0.07
    one_class: bool = False
    crops: int = 1
    features: str = "windows"
    scales: tuple[int, ...] = (2, 3)
    image_scale: bool = True
    aggregation: str = "harmonic"
    mean_of: str = "abnormal"
    image_score: str = "class-token"
    underscores: bool = True
    resize: str = "squash"


CHOICES: dict[str, tuple[Any, ...]] = {
    "crops": (1, 5, 10),
    "features": ("windows", "patches", "tiles"),
    "aggregation": ("harmonic", "arithmetic"),
    "mean_of": ("abnormal", "normal"),
    "image_score": ("class-token", "map-max"),
    "resize": ("squash", "shortest", "longest"),
}

DIFFERENCES = tuple(
    Difference("winclip", *row)
    for row in (
        ("4.1", "the average of the text embeddings",
         "all three codes average embeddings of any length; CLIP's own ensembles scale each to 1 first",
         "normalize_prompts=True for CLIP's", "False"),
        ("4.1, fig. 6", "a list of templates in the supplement",
         "Accurate-WinCLIP, anomalib: 21 with a full stop, one twice; caoyunkang: 22 without",
         "templates='winclip-a' | 'winclip-b'", "'winclip-a', of the code nearest to the paper's numbers"),
        ("3, eq. 1", "tau > 0, no value",
         "Accurate-WinCLIP, anomalib: 0.07; caoyunkang: the model's own, 0.01", "temperature='clip' for the model's",
         "0.07"),
        ("4.2, eq. 3", "harmonic mean of the abnormal score",
         "caoyunkang: 1 minus the harmonic mean of the normal one", "mean_of='normal'", "'abnormal', the paper's"),
        ("4.2", "three scales, the image's among them", "caoyunkang: the two window scales only", "image_scale=False",
         "True, the paper's"),
        ("4.1", "the image's score is that of its class token", "caoyunkang: the maximum of the map",
         "image_score='map-max'", "'class-token', the paper's"),
        ("5.4, table 3 d", "multi-crop gives 91.8 instead of 90.8 image AUROC; which crops is not said. WinCLIP+'s "
         "scores hold the 91.8 (table 5)", "none of the codes has it",
         "crops=10 for the headline numbers, WinCLIP+'s too", "1, as in the codes"),
        ("4.1", "[o] is an object-level label", "all codes: the folder's name as it is, metal_nut", "underscores=False",
         "True"),
        ("5", "input size of the model; how images get there is in the supplement",
         "Accurate-WinCLIP: squashed with Pillow, bicubic; anomalib: bicubic on float tensors", "resize='shortest'",
         "'squash'"),
    )
)  # fmt: skip


class State(NamedTuple):
    """The text side, done once."""

    clip: CLIP
    text: Array  # [2, e]
    temperature: float
    options: Options


class Features(NamedTuple):
    """One batch of images. What an option leaves out is not computed."""

    image: Array  # [b, e], class token of the whole image
    crops: Array  # [b, c, e], what the image score is the mean over
    windows: dict[int, Array]  # k -> [b, w, e]; k = 1 for patch tokens
    made_of: str  # the option `features` they were extracted with
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed the compositional prompt ensemble of an object.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        The object; None says "object" (section 4.1).
    **options
        See `Options`.

    Raises
    ------
    ValueError
        An option has no such value; the message lists those it has.
    """
    o = Options(**options)
    check(o, CHOICES)
    if o.one_class and o.image_score == "map-max":
        raise ValueError(
            "image_score='map-max' reads the two-class map; one_class=True needs image_score='class-token'"
        )
    if not o.scales and not o.image_scale and o.features != "patches":
        raise ValueError("no scale is left: give scales, or image_scale=True")
    side = min(clip.preprocess.size) // clip.vision.patch_size
    if any(not 1 <= k <= side for k in o.scales):
        raise ValueError(f"scales {o.scales}: expected window sides from 1 to {side} patches")
    prompts = compose(name, named_states(o.states), named_templates(o.templates), underscores=o.underscores)
    text = prototypes(clip, prompts, normalize_prompts=o.normalize_prompts)
    return State(clip, text, temperature_of(clip, o.temperature), o)


def extract(state: State, images: Sequence[Any]) -> Features:
    """Embeddings of each image, its crops, and its windows, for uint8 RGB arrays or PIL images."""
    clip, o = state.clip, state.options
    pixels, geometry = pixels_of(clip, images, o.resize)
    p = clip.vision.patch_size
    grid = pixels.shape[2] // p, pixels.shape[3] // p
    if o.features == "patches":
        last = len(clip.vision.transformer.blocks)
        out = encode_tokens(clip, pixels, layers=[last])
        image, windows = out.embedding, {1: out.patches[last]}
    else:
        image = encode_image(clip, pixels)  # [b, e]
        if o.features == "windows":
            windows = {k: encode_windows(clip, pixels, sliding_windows(grid, k)) for k in o.scales}
        else:
            windows = {k: encode_tiles(clip, pixels, grid, k) for k in o.scales}
    crops = (
        image[:, None]
        if o.crops == 1 or o.image_score == "map-max"
        else encode_crops(clip, images, o.resize, mirrored=o.crops == 10)
    )
    return Features(image, crops, windows, o.features, grid, geometry)


def score(state: State, features: Features, context: None = None) -> Prediction:
    """Score and map of a batch (sections 4.1 and 4.2). Zero-shot takes no context.

    Features serve any options that need no more than they hold: fewer scales, fewer crops, other means.

    Raises
    ------
    ValueError
        They lack what the options need; the message names the option.
    """
    o, text, tau = state.options, state.text, state.temperature
    needed = (1,) if o.features == "patches" else o.scales
    if o.features != features.made_of:
        raise ValueError(f"features={o.features!r}: these were extracted with features={features.made_of!r}")
    if missing := [k for k in needed if k not in features.windows]:
        raise ValueError(f"scales {o.scales}: these features have {tuple(features.windows)}, not {missing}")
    if o.image_score == "class-token" and o.crops > max(1, features.crops.shape[1]):
        raise ValueError(f"crops={o.crops}: these features were extracted with {features.crops.shape[1]}")
    crops = features.image[:, None] if o.crops == 1 else features.crops[:, : o.crops]  # [b, c, e]
    image = p_abnormal(features.image, text, tau)  # [b]
    scales = [
        aggregate_windows(p_abnormal(x, text, tau), features.grid, k, o.aggregation, o.mean_of)
        for k, x in ((k, features.windows[k]) for k in needed)
    ]  # [b, gh, gw] each
    if o.image_scale and o.features != "patches":
        xp = xp_of(image)
        scales.append(xp.broadcast_to(image[:, None, None], (len(image), *features.grid)))
    grid_map = aggregate_scales(scales, o.aggregation, o.mean_of)  # [b, gh, gw]
    if o.image_score == "map-max":
        answer = grid_map.max(axis=(1, 2))
    elif o.one_class:
        answer = one_class(crops, text).mean(axis=1)
    else:
        answer = p_abnormal(crops, text, tau).mean(axis=1)
    return predict(answer, grid_map, features.geometry)


def aggregate_windows(
    p: Array, grid: tuple[int, int], k: int, aggregation: str = "harmonic", mean_of: str = "abnormal"
) -> Array:
    """Scores of windows -> scores of patches: the mean over the windows that cover a patch.

    Parameters
    ----------
    p : array [b, w]
        p(abnormal) of every k x k window, row by row.
    grid : (int, int)
        (gh, gw) patches.
    k : int
    aggregation, mean_of
        See `Options`.

    Returns
    -------
    array [b, gh, gw]

    References
    ----------
    WinCLIP equation 3.
    """
    xp = xp_of(p)
    gh, gw = grid
    rows, columns = gh - k + 1, gw - k + 1
    each = _before_mean(p, aggregation, mean_of).reshape(-1, rows, columns)  # [b, rows, columns]
    total = xp.zeros((len(each), gh, gw), dtype=p.dtype)
    count = xp.zeros((gh, gw), dtype=p.dtype)
    for i in range(k):
        for j in range(k):  # each window gives its score to the patch at (i, j) in it
            total[:, i : i + rows, j : j + columns] += each
            count[i : i + rows, j : j + columns] += 1
    return _after_mean(total / count, aggregation, mean_of)


def aggregate_scales(scales: Sequence[Array], aggregation: str = "harmonic", mean_of: str = "abnormal") -> Array:
    """The mean over maps [b, gh, gw] of several scales. WinCLIP section 4.2, "multi-scale aggregation"."""
    total = sum(_before_mean(s, aggregation, mean_of) for s in scales)
    return _after_mean(total / len(scales), aggregation, mean_of)


def _before_mean(p: Array, aggregation: str, mean_of: str) -> Array:
    p = 1 - p if mean_of == "normal" else p
    return 1 / xp_of(p).maximum(p, SMALLEST) if aggregation == "harmonic" else p


def _after_mean(mean: Array, aggregation: str, mean_of: str) -> Array:
    p = 1 / mean if aggregation == "harmonic" else mean
    return 1 - p if mean_of == "normal" else p
