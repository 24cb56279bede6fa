"""MuSc: zero-shot anomaly detection by mutual scoring of the unlabeled images (Li et al., ICLR 2024, arXiv 2401.16753).

No text and no normal references: an image is judged by the other images of its set, unlabeled, most of them normal. A
normal patch has a near relative in many of them, a defect in few.

    LNAMD   patch tokens of several layers, averaged over r x r neighbours for several r; length 1
    MSM     a(i, m, j) = min_n |z(i, m) - z(j, n)|            what image j says of patch m of image i
            mean of the lowest 30% over all images j != i; then over layers and r                    -> the map
    RsCIN   image score = maximum of its map; then replaced by the average over the images whose class tokens are
            nearest, weighted by cosine, for several numbers of neighbours                           -> the score

The paper, with OpenAI's ViT-L-14-336 at 518 x 518 pixels (as its authors list it: image AUROC, F1-max, AP / pixel
AUROC, F1-max, AP, AUPRO): MVTec AD 97.8, 97.5, 99.1 / 97.3, 62.6, 62.7, 93.8; VisA 92.8, 89.5, 93.5 / 98.8, 48.8, 45.1,
92.7. Their program gives 97.77 / 97.11, AUPRO 93.45 on MVTec AD. Not verified here: this repository has neither those
weights nor that data. Details follow that program (xrli-U/MuSc, b76b93d).

MuSc-V2 (Li et al., 2025, arXiv 2511.10047) is not here: its formulas (similarity-weighted pooling of neighbourhoods,
the constrained re-scoring) could not be had from the paper or from its authors' code, and none are made up.

Cost: for N images of g patches of width d, each pair is compared once, 2 g^2 d operations a pair, layer and degree:
2.3e14 for N = 100 at 518 pixels (g = 1369, d = 1024), 4 layers and 3 degrees. Memory: the features (N g d a layer), a
copy of them for the layer and degree at work, N^2 g distances, and g^2 products a thread.

Shapes: `b` batch, `N` images of the set, `q` of them asked about, `g` = gh gw patches, `d` width, `e` embedding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP, encode_tokens
from refclip.methods.images import pixels_of
from refclip.methods.options import sides_of
from refclip.methods.patches import in_single, layers_of, lengths, neighbourhood_mean, odd
from refclip.nn import normalize
from refclip.parallel import map_jobs
from refclip.prediction import Difference, Prediction
from refclip.preprocess import Geometry
from refclip.resample import resize as resize_grid

FRACTIONS = (1 / 4, 1 / 2, 3 / 4, 1)  # blocks 6, 12, 18, 24 of ViT-L's 24


class Options(NamedTuple):
    """What can be chosen. Each default is the published program's, for MVTec AD.

    Attributes
    ----------
    layers : tuple of int, optional
        Blocks, counted from 1. By default those at 1/4, 1/2, 3/4 and all of the depth (6, 12, 18, 24 of ViT-L's 24).
    degrees : tuple of int
        r of LNAMD, each odd: sides of neighbourhoods in patches. (1,) is without aggregation.
    joint_norm : bool
        Before LNAMD, scale all tokens of an image and layer together to mean 0 and variance 1, as the program does.
    interval : (float, float)
        Which part of the other images' scores, from the lowest, a patch's score is the mean of: MSM's interval average.
        (0, 1) is the plain mean. At least one image always speaks.
    neighbours : tuple of int
        RsCIN's numbers of nearest images, the image itself counted: 1 is its own score. The program's: (1, 2, 3) for
        MVTec AD, (1, 8, 9) for VisA. () leaves it out: scores are then distances, and do not depend on the set's range.
    size : int, optional
        Side of the input in pixels. By default 518 for ViT-L-14-336, as in the paper, and the model's own for others.
    resize : {"squash", "shortest", "longest"}
        How an image becomes square. Program: squashed.
    antialias : bool
        Of the bicubic resize of position embeddings, where an image is not of the trained size. The program's has none.
        torch's two bicubic kernels differ, so this matters where the grid grows, too: 24 to 37 patches at 518 pixels.
    """

    layers: tuple[int, ...] | None = None
    degrees: tuple[int, ...] = (1, 3, 5)
    joint_norm: bool = True
    interval: tuple[float, float] = (0.0, 0.3)
    neighbours: tuple[int, ...] = (1, 2, 3)
    size: int | None = None
    resize: str = "squash"
    antialias: bool = False


DIFFERENCES = tuple(
    Difference("musc", *row)
    for row in (
        ("LNAMD", "patch tokens are averaged over neighbourhoods",
         "xrli-U/MuSc: a layer norm over channels, height and width together, without gain, comes first",
         "joint_norm=True", "True, of the code that gave the paper's numbers"),
        ("LNAMD", "neighbourhoods of r x r patches; what happens at the border is not said",
         "zeros outside the image count in the mean", "none", "the code's"),
        ("MSM", "the mean of the lowest 30% of the other images",
         "int(0.3 (N - 1)) of them: none for N <= 4, and every score is NaN (issue 41; its author advises rounding up)",
         "interval=(0, 0.3)", "the code's, but at least one image; an error for N = 1"),
        ("RsCIN", "several numbers of neighbours",
         "1, 2, 3 for MVTec AD and 1, 8, 9 for VisA, chosen per data set", "neighbours=(1, 8, 9) for VisA's",
         "(1, 2, 3); () for none"),
        ("RsCIN", "MuSc-2 of Dual-Image's table 1: how two images are scored is not said",
         "scores are brought to 0..1 over the set: of two images one is 0, the other 1, whatever they show",
         "neighbours=() for pairs", "(1, 2, 3): do not compare scores of one pair with those of another"),
        ("RsCIN", "all scores alike is not considered", "0 / 0: NaN", "none", "all scores 0"),
        ("4", "features of ViT-L-14-336", "in half precision (autocast)", "none", "single, or the model's if wider"),
        ("4", "OpenAI's weights, trained with QuickGELU",
         "built anew for 518 pixels, and then with exact GELU: the paper's numbers are of that [I]",
         "weights loaded with exact GELU (`refclip.load`)", "the activation of the weights"),
        ("4", "at 518 pixels; how the positions of 336 get there is not said",
         "bicubic without antialiasing; open_clip's own, and VAND's, with it", "antialias=True for open_clip's",
         "False, of the code that gave the paper's numbers"),
    )
)  # fmt: skip


class State(NamedTuple):
    """The model and the options, `layers` chosen. There is no text."""

    clip: CLIP
    options: Options


class Features(NamedTuple):
    """One batch of images, or a whole set."""

    image: Array  # [b, e], class token, length 1
    patches: dict[int, Array]  # layer -> [b, g, d], before LNAMD
    keys: tuple[str, ...]  # a digest of each image's pixels, by which it is known again in a set
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Check the options and choose the layers.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        Not used: MuSc has no prompts.
    **options
        See `Options`.

    Raises
    ------
    ValueError
        An option has no such value.
    """
    o = Options(**options)
    low, high = o.interval
    if not 0 <= low < high <= 1:
        raise ValueError(f"interval={o.interval}: expected two fractions, 0 <= low < high <= 1")
    if not o.degrees:
        raise ValueError("degrees=(): expected at least one; (1,) is without aggregation")
    for r in o.degrees:
        odd(r, "degrees")
    if any(k < 1 for k in o.neighbours):
        raise ValueError(f"neighbours={o.neighbours}: expected numbers of images from 1 on, or () for none")
    if o.resize not in ("squash", "shortest", "longest"):
        raise ValueError(f"resize={o.resize!r}: expected 'squash', 'shortest' or 'longest'")
    sides_of(clip, o.size, enlarged=True)
    return State(clip, o._replace(layers=layers_of(clip, o.layers, FRACTIONS)))


def extract(state: State, images: Sequence[Any]) -> Features:
    """Patch tokens and class token of uint8 RGB arrays or PIL images."""
    clip, o = state.clip, state.options
    pixels, geometry = pixels_of(clip, images, o.resize, sides_of(clip, o.size, enlarged=True))
    out = encode_tokens(clip, pixels, layers=o.layers or (), antialias=o.antialias)
    patches = {layer: in_single(x[:, 1:]) for layer, x in out.taps.items()}  # [b, g, d] each
    if o.joint_norm:
        patches = {layer: joint_norm(x) for layer, x in patches.items()}
    p = clip.vision.patch_size
    grid = pixels.shape[2] // p, pixels.shape[3] // p
    keys = tuple(hashlib.blake2b(x.tobytes(), digest_size=16).hexdigest() for x in to_numpy(pixels))
    return Features(normalize(in_single(out.embedding)), patches, keys, grid, geometry)


def score(state: State, features: Features, context: Features | None = None) -> Prediction:
    """Score and map of a batch by its set.

    Parameters
    ----------
    state : State
    features : Features
    context : Features, optional
        The whole set; the batch itself by default. An image of the batch that is in it is not compared with itself;
        one that is not joins it. With `neighbours`, the images of the set are scored too, so ask for the whole set at
        once.

    Raises
    ------
    ValueError
        Fewer than two images; features of other layers or of another grid than the options and the set need.
    """
    o = state.options
    everyone, wanted = join_set(features, context)
    n, layers = len(everyone.keys), o.layers or ()
    if n < 2:
        raise ValueError("MuSc judges an image by the others of its set: expected at least 2 images, found 1")
    if missing := [layer for layer in layers if layer not in everyone.patches]:
        raise ValueError(f"layers {layers}: these features have {tuple(everyone.patches)}, not {missing}")
    asked = list(range(n)) if o.neighbours else sorted(set(wanted))
    every = [
        mutual_scores(normalize(neighbourhood_mean(everyone.patches[layer], everyone.grid, r)), asked, o.interval)
        for r in o.degrees
        for layer in layers
    ]  # [q, g] each
    xp = xp_of(everyone.image)
    grid_map = xp.stack(every).mean(axis=0).reshape(len(asked), *everyone.grid)  # [q, gh, gw]
    maps = resize_grid(grid_map, features.geometry[0].size, "bilinear", align_corners=True)  # [q, H, W]
    answer = maps.max(axis=(1, 2))  # [q]
    if o.neighbours:
        answer = rescore(answer, everyone.image @ everyone.image.T, o.neighbours)
    rows = xp.asarray([asked.index(i) for i in wanted])  # [b]
    return Prediction(to_numpy(answer[rows]), to_numpy(maps[rows]), features.geometry)


def join_set(features: Features, context: Features | None) -> tuple[Features, list[int]]:
    """The set with the batch in it, and each image's place there. Alone, a batch is the set, doubles and all."""
    if context is None or context is features:
        return features, list(range(len(features.keys)))
    if context.grid != features.grid or set(context.patches) != set(features.patches):
        raise ValueError(
            f"features of layers {tuple(features.patches)} on {features.grid} patches, but the set's are of layers "
            f"{tuple(context.patches)} on {context.grid}; extract both with the same options"
        )
    new = [i for i, key in enumerate(features.keys) if key not in context.keys]
    keys = (*context.keys, *(features.keys[i] for i in new))
    wanted = [keys.index(key) for key in features.keys]
    if not new:
        return context, wanted
    xp = xp_of(features.image)
    rows = xp.asarray(new)
    both = [(context.image, features.image), *((x, features.patches[layer]) for layer, x in context.patches.items())]
    image, *patches = (xp.concatenate([x, y[rows]]) for x, y in both)  # [N, e]; [N, g, d] each
    geometry = (*context.geometry, *(features.geometry[i] for i in new))
    return Features(image, dict(zip(context.patches, patches, strict=True)), keys, features.grid, geometry), wanted


def joint_norm(x: Array, eps: float = 1e-5) -> Array:
    """Tokens [b, g, d], each image's at mean 0 and variance 1 over tokens and channels together."""
    y = x - x.mean(axis=(1, 2), keepdims=True)
    variance = (y * y).mean(axis=(1, 2), keepdims=True)  # [b, 1, 1]
    return y / xp_of(x).sqrt(variance + eps)


def mutual_scores(z: Array, asked: Sequence[int], interval: tuple[float, float]) -> Array:
    """MSM: what the other images say of each patch, averaged over an interval of the lowest.

    Parameters
    ----------
    z : array [N, g, d]
        Tokens of length 1.
    asked : sequence of q int
        Images to score; each pair is compared once.
    interval : (float, float)

    Returns
    -------
    array [q, g]
    """
    xp, n = xp_of(z), len(z)
    place = {i: row for row, i in enumerate(asked)}
    table = xp.full((len(asked), n, z.shape[1]), xp.inf, dtype=z.dtype)  # [q, N, g]; inf: itself, sorted last
    pairs = [(i, j) for i in asked for j in range(n) if j != i and (j > i or j not in place)]

    def compare(pair: tuple[int, int]) -> None:
        (i, j), (x, y) = pair, (z[pair[0]], z[pair[1]])
        cosine = x @ y.T  # [g, g]; at length 1 the nearest has the largest
        table[place[i], j] = lengths(x - y[cosine.argmax(axis=1)])
        if j in place:
            table[place[j], i] = lengths(y - x[cosine.argmax(axis=0)])

    map_jobs(compare, pairs, z)  # no two pairs write to the same place
    last = max(1, int((n - 1) * interval[1]))
    first = min(int((n - 1) * interval[0]), last - 1)
    return xp.sort(table, axis=1)[:, first:last].mean(axis=1)  # [q, g]


def rescore(score: Array, similarity: Array, neighbours: Sequence[int]) -> Array:
    """RsCIN: each image's score averaged over its nearest images, weighted by similarity.

    Parameters
    ----------
    score : array [N]
    similarity : array [N, N]
        Cosines of class tokens; an image is its own nearest.
    neighbours : sequence of int
        Numbers of nearest images; the answer is the mean over them. A set with fewer has all of them.

    Returns
    -------
    array [N], between 0 and 1 where cosines are positive, as CLIP's are
    """
    xp = xp_of(score)
    relative = (score - score.min()) / xp.maximum(score.max() - score.min(), 1e-30)  # [N]; 0 if all are alike
    order = xp.argsort(-similarity, axis=1, kind="stable")  # [N, N]
    total = xp.zeros_like(relative)
    for k in neighbours:
        near = order[:, :k]  # [N, k]
        weights = xp.take_along_axis(similarity, near, axis=1)  # [N, k]
        total += (weights * relative[near]).sum(axis=1) / weights.sum(axis=1)
    return total / len(neighbours)
