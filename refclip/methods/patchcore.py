"""PatchCore on CLIP's patch tokens (Roth et al.: Towards Total Recall in Industrial Anomaly Detection, CVPR 2022).

    memory   patch tokens of middle layers of normal images, averaged over 3 x 3 neighbours    section 3.1, equation 3
             -> a coreset: greedily the patch farthest from those already taken                section 3.2, algorithm 1
    map      each patch's distance to the nearest in memory -> bilinear -> Gaussian            section 3.3
    score    the largest distance, weighted by how crowded the memory is where it landed       equations 6 and 7

Normal references are all it learns from; it reads no text. The paper, with ImageNet's WideResNet-50, all of MVTec AD's
normal training images and a quarter of their patches: image AUROC 99.1, pixel AUROC 98.1. WinCLIP (table 4) reports it
with one reference: pixel AUROC 92.0, AUPRO 79.7. Not verified here: this repository has neither those weights nor that
data; and for CLIP's tokens there are no published numbers to compare with.

Shapes: `b` batch, `g` = gh gw patches, `d` width, `D` = d for each layer, `M` patches of all references, `m` in memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP, encode_tokens
from refclip.methods.images import pixels_of
from refclip.methods.patches import in_single, layers_of, lengths, nearest, neighbourhood_mean, odd
from refclip.prediction import Difference, Prediction
from refclip.preprocess import Geometry
from refclip.resample import resize as resize_grid

FRACTIONS = (1 / 2, 3 / 4)  # the ends of stages 2 and 3 of a ResNet's 4


class Options(NamedTuple):
    """What can be chosen.

    Attributes
    ----------
    layers : tuple of int, optional
        Blocks, counted from 1, set side by side. By default those at 1/2 and 3/4 of the depth, as the paper takes
        stages 2 and 3 of 4.
    neighbourhood : int
        Side of the square of patches averaged around each, odd.
    fraction : float
        Share of the references' patches kept in memory; 1 keeps all. Paper: 0.25, 0.1 and 0.01.
    projection : int
        Distances of the coreset's choice are taken after a random projection to so many dimensions (section 3.2, after
        Johnson and Lindenstrauss); 0 for none. The program's number.
    seed : int
        Of the projection and of the first patch taken.
    crowd : int
        b of equation 7: how many patches of the memory around the nearest one weigh the score; 0 for equation 6 alone.
        The paper gives no number; 9 is anomalib's.
    squared : bool
        Squared distances, as the authors' program has them.
    sigma : float
        Of the Gaussian, as a share of the map's shorter side. The paper's 4 pixels of 224. 0 for none.
    resize : {"squash", "shortest", "longest"}
        How an image becomes square. The authors crop: 224 of 256.
    """

    layers: tuple[int, ...] | None = None
    neighbourhood: int = 3
    fraction: float = 0.1
    projection: int = 128
    seed: int = 0
    crowd: int = 9
    squared: bool = False
    sigma: float = 4 / 224
    resize: str = "squash"


DIFFERENCES = tuple(
    Difference("patchcore", *row)
    for row in (
        ("3.3, eq. 7", "the score is weighted by the b patches around the nearest; no b given",
         "amazon-science/patchcore-inspection: not there; anomalib: b = 9", "crowd=0 for the authors' program",
         "9, the paper's equation with anomalib's number"),
        ("3.3", "Euclidean distances", "amazon-science: squared ones, as faiss's IndexFlatL2 returns them",
         "squared=True", "False, the paper's"),
        ("3.2", "where the greedy choice begins is not said",
         "amazon-science: at the patch farthest from 10 random ones, or from all", "seed", "at a random patch"),
        ("3.1", "features of a ResNet's stages 2 and 3, resized to one grid",
         "amazon-science: and then averaged down to 1024 numbers a patch", "layers",
         "a transformer's layers share a grid; set side by side, nothing averaged"),
        ("3.1", "the border of a neighbourhood is not said", "amazon-science: zeros outside count", "none",
         "the code's"),
        ("4.1", "256 pixels, the middle 224", "the same", "resize='shortest' is the nearest", "'squash'"),
    )
)  # fmt: skip


class State(NamedTuple):
    """The model and the options, `layers` chosen. There is no text."""

    clip: CLIP
    options: Options


class Features(NamedTuple):
    """One batch of images, or the references."""

    patches: dict[int, Array]  # layer -> [b, g, d], as they leave the block
    grid: tuple[int, int]
    geometry: tuple[Geometry, ...]


class Memory(NamedTuple):
    """What is remembered of the references."""

    patches: Array  # [m, D]
    made_of: tuple[tuple[int, ...], int]  # layers and neighbourhood


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Check the options and choose the layers. `name` is not used: there are no prompts.

    Raises
    ------
    ValueError
        An option has no such value.
    """
    o = Options(**options)
    odd(o.neighbourhood, "neighbourhood")
    if not 0 < o.fraction <= 1:
        raise ValueError(f"fraction={o.fraction!r}: expected a share above 0, 1 for all patches")
    for key in ("projection", "crowd", "sigma"):
        if getattr(o, key) < 0:
            raise ValueError(f"{key}={getattr(o, key)!r}: expected a number from 0 on, 0 for none")
    if o.resize not in ("squash", "shortest", "longest"):
        raise ValueError(f"resize={o.resize!r}: expected 'squash', 'shortest' or 'longest'")
    return State(clip, o._replace(layers=layers_of(clip, o.layers, FRACTIONS)))


def extract(state: State, images: Sequence[Any]) -> Features:
    """Patch tokens of uint8 RGB arrays or PIL images."""
    clip, o = state.clip, state.options
    pixels, geometry = pixels_of(clip, images, o.resize)
    taps = encode_tokens(clip, pixels, layers=o.layers or ()).taps
    p = clip.vision.patch_size
    grid = pixels.shape[2] // p, pixels.shape[3] // p
    return Features({layer: in_single(x[:, 1:]) for layer, x in taps.items()}, grid, geometry)


def remember(state: State, references: Features) -> Memory:
    """The coreset of normal references: do it once, and give it to `score` for every batch."""
    o = state.options
    every = described(state, references)  # [b, g, D]
    every = every.reshape(-1, every.shape[-1])  # [M, D]
    count = max(1, int(o.fraction * len(every)))
    if count < len(every):
        every = every[coreset(every, count, o.seed, o.projection)]  # [m, D]
    return Memory(every, (o.layers or (), o.neighbourhood))


def score(state: State, features: Features, context: Features | Memory | None = None) -> Prediction:
    """Score and map of a batch.

    Parameters
    ----------
    state : State
    features : Features
    context : Memory or Features
        From `remember`, or the features of normal references, which are then remembered for this batch alone.

    Raises
    ------
    ValueError
        No references, or a memory made with other layers or another neighbourhood.
    """
    o = state.options
    if context is None:
        raise ValueError("PatchCore needs normal references: give their features, or the memory made of them")
    memory = context if isinstance(context, Memory) else remember(state, context)
    if memory.made_of != (o.layers, o.neighbourhood):
        raise ValueError(
            f"layers={o.layers}, neighbourhood={o.neighbourhood}: this memory was made with "
            f"layers={memory.made_of[0]}, neighbourhood={memory.made_of[1]}"
        )
    x = described(state, features)  # [b, g, D]
    b, g, width = x.shape
    distance, index = (part.reshape(b, g) for part in nearest(x.reshape(b * g, width), memory.patches))
    rows, worst = xp_of(x).arange(b), distance.argmax(axis=1)  # [b]
    answer = distance[rows, worst]  # [b]
    weight = crowding(x[rows, worst], index[rows, worst], memory.patches, o.crowd)  # [b], or 1
    power = 2 if o.squared else 1
    grid_map = (distance**power).reshape(b, *features.grid)  # [b, gh, gw]
    size = features.geometry[0].size
    map = to_numpy(resize_grid(grid_map, size, "bilinear"))  # [b, H, W], from here on the host
    if o.sigma:
        from scipy.ndimage import gaussian_filter  # here, not above: importing it takes time

        sigma = o.sigma * min(size)
        map = gaussian_filter(map, (0, sigma, sigma))
    return Prediction(to_numpy(weight * answer**power), map, features.geometry)


def described(state: State, features: Features) -> Array:
    """Each patch by its neighbourhood's mean in every layer, side by side: [b, g, D]. Section 3.1."""
    o = state.options
    if missing := [layer for layer in o.layers or () if layer not in features.patches]:
        raise ValueError(f"layers {o.layers}: these features have {tuple(features.patches)}, not {missing}")
    means = [neighbourhood_mean(features.patches[layer], features.grid, o.neighbourhood) for layer in o.layers or ()]
    return xp_of(means[0]).concatenate(means, axis=2)  # [b, g, D]


def coreset(x: Array, count: int, seed: int = 0, projection: int = 0) -> Array:
    """Which patches cover all others best: greedily the farthest from those already taken.

    Parameters
    ----------
    x : array [M, D]
    count : int
        How many to take, at most M.
    seed : int
    projection : int
        Dimensions of the random projection; 0, or as many as there are, for none.

    Returns
    -------
    integer array [count], in the order taken

    References
    ----------
    Algorithm 1. Time 2 M count min(D, projection) operations.
    """
    xp, rng = xp_of(x), random.Random(seed)
    taken = [rng.randrange(len(x))]
    if 0 < projection < x.shape[1]:
        matrix = [[rng.gauss() for _ in range(projection)] for _ in range(x.shape[1])]
        x = x @ xp.asarray(matrix, dtype=x.dtype) * projection**-0.5  # [M, projection]
    squares = xp.einsum("md,md->m", x, x)  # [M]
    far = xp.full(len(x), xp.inf, dtype=x.dtype)  # [M], squared distances to the nearest taken; -1 for those taken
    while True:
        last = taken[-1]
        far = xp.minimum(far, xp.maximum(squares + squares[last] - 2 * (x @ x[last]), 0))
        far[xp.asarray(taken)] = -1
        if len(taken) == count:
            return xp.asarray(taken)
        taken.append(int(far.argmax()))


def crowding(x: Array, index: Array, memory: Array, crowd: int) -> Array | float:
    """Equation 7's weight of each worst patch: 1 - exp |x - m*| / sum over N_b(m*) of exp |x - m|.

    Parameters
    ----------
    x : array [b, D]
        Worst patches.
    index : integer array [b]
        m*, the nearest of each in memory.
    memory : array [m, D]
    crowd : int
        b of the equation; m* itself is one of them, as in anomalib.

    Returns
    -------
    array [b], or 1 where there is no crowd: b or m below 2
    """
    if min(crowd, len(memory)) < 2:
        return 1.0
    xp = xp_of(x)
    half = xp.einsum("md,md->m", memory, memory) / 2  # [m]
    order = xp.argsort(half - memory[index] @ memory.T, axis=1)[:, :crowd]  # [b, crowd], nearest to m* first
    distances = lengths(x[:, None] - memory[order])  # [b, crowd]
    nearest_one = lengths(x - memory[index])  # [b]
    top = distances.max(axis=1)  # [b], so that nothing overflows
    return 1 - xp.exp(nearest_one - top) / xp.exp(distances - top[:, None]).sum(axis=1)
