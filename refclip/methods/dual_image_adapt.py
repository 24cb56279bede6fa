"""Dual-Image Enhanced CLIP at test time: a linear adapter learned on the image that is being scored, and thrown away.

    q^T = (G(q) + q) / 2, and the same for q', the tokens of the image with a pseudo-anomaly     equations 7 and 8
    A^T = p(abnormal) of q^T,   A'^T = p(abnormal) of q'^T                                      equation 9
    L_pseudo = mean over S_a of  -M_a log( exp(A'^T) / (exp(A^T) + exp(A'^T)) )                 equation 10
    L_sim    = 1 - sim(A^VL, A^T)                                                               equation 11, see below
    L        = L_pseudo + beta L_sim

and then A^T takes the place of A_loc^L in equations 12 and 13. G: e -> e with bias, one for each image.

What the paper leaves open, and what is done here:

- Equation 11 prints L_sim = sim(A^VL, A^T), which minimised would drive the two apart, while the text wants them
  "consistent". So it is 1 - sim. sim is the cosine of the maps, flattened; A^VL = A^V + A_loc^L (equation 6) is a
  constant, as nothing but A^T depends on G. Without a reference (table 3, row 2) A^VL is A_loc^L.
- q is at length 1. G begins as the identity, so that no step at all is the method unadapted; AnoVL's code begins with
  torch's random linear layer (`init="uniform"`).
- The optimiser: "AdamW [25]", where [25] is Adam's paper. AdamW with torch's defaults (0.9, 0.999, 1e-8, decay 0.01),
  begun anew for each image (AnoVL's code begins G anew and lets the moments live on).
- M_a for patches: the share of a patch that the mask covers (`mask="any"`: 1 where it covers any). S_a is where it is
  not 0. Masks that leave S_a empty are drawn again, `TRIES` times; after that L_pseudo = 0.
- DRAEM leaves half of its images as they are; here all get a pseudo-anomaly (`probability`).
- The tiles of an image share one G and one sum.

Shapes: `t` tiles of an image, `g` patches, here n = t g tokens; `e` embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.methods.dual_image import Evidence, Features, Partners, State, combine, evidence, extract
from refclip.methods.dual_image_adapter import Adapter, Task, adamw, apply, at_least_single, begin, loss_and_gradient
from refclip.prediction import Difference, Prediction
from refclip.preprocess import Geometry, to_model
from refclip.synth import anomaly, rgb_of
from refclip.zeroshot import p_abnormal

TRIES = 10  # of 600 masks 5 percent were empty
TRACE = 1e-6  # a share of a patch below this is rounding


class Options(NamedTuple):
    """What can be chosen; see this file's head for the reasons.

    Attributes
    ----------
    steps : int
        Of the optimiser (section 5.3: 1 to 6, best at 2). 0 leaves G at its beginning.
    learning_rate : float
    beta : float
        Weight of L_sim.
    weight_decay : float
        0 makes AdamW Adam.
    init : {"identity", "uniform"}
        How G begins: W = 1, b = 0; or every number uniform within 1 / sqrt(e), as torch's linear layer.
    mask : {"share", "any"}
        M_a of a patch that the mask covers in part.
    probability : float
        Of a pseudo-anomaly. DRAEM: 0.5.
    """

    steps: int = 2
    learning_rate: float = 1e-3
    beta: float = 0.5
    weight_decay: float = 0.01
    init: str = "identity"
    mask: str = "share"
    probability: float = 1.0


DIFFERENCES = tuple(
    Difference("dual-image, adapted", *row)
    for row in (
        ("3.3, eq. 11", "L_sim = sim(A^VL, A^T), added to the loss", "none published; AnoVL has another loss",
         "none: minimised, it would drive the two apart", "1 - sim, what the text asks for"),
        ("3.3, eq. 7", "G(.) denotes the linear computation; its beginning is not said",
         "AnoVL: torch's linear layer, begun anew for each image", "init='uniform'",
         "'identity': 0 steps change nothing"),
        ("4.1", "\"AdamW [25]\", where [25] is Adam; no betas, no decay",
         "AnoVL: torch's AdamW; its moments live on from image to image", "weight_decay=0 for Adam",
         "AdamW with torch's defaults, begun anew for each image"),
        ("3.3, eq. 10", "M_a of a patch that is covered in part, and an empty S_a, are not said", "none published",
         "mask='any'", "'share'; empty masks are drawn again"),
        ("3.3", "DRAEM's pseudo-anomalies, with DTD's textures",
         "DRAEM: half of the images have none; imgaug, 256 x 256",
         "probability=0.5; any textures through the argument `texture`", "1; textures made from noise"),
    )
)  # fmt: skip


class Pseudo(NamedTuple):
    """The images of a batch with pseudo-anomalies."""

    features: Features
    mask: Array  # [t, g], M_a, 0 to 1


def pseudo(
    state: State, features: Features, images: Sequence[Any], rng: Any, *, texture: Any = None, **options: Any
) -> Pseudo:
    """Lay a pseudo-anomaly over each image, and encode it.

    Parameters
    ----------
    state : State
        From `dual_image.prepare`.
    features : Features
        Of the same images, from `dual_image.extract`.
    images : sequence of uint8 RGB arrays or PIL images
    rng : numpy.random.Generator
    texture : see `synth.anomaly`
    **options
        See `Options`.

    Raises
    ------
    ValueError
        Features of another number of images; an unknown option.
    """
    o = checked(options)
    if len(images) != len(features.spans):
        raise ValueError(f"{len(images)} images, features of {len(features.spans)}: expected the same")
    p, made, masks = state.clip.vision.patch_size, [], []
    for image, (a, z) in zip(images, features.spans, strict=True):
        before, tiles = rgb_of(image, "image"), features.tiles[a:z]
        picture, shares = before, []
        for _ in range(TRIES):
            picture, where = anomaly(rng, before, texture, probability=o.probability)
            shares = [patch_shares(where, tile, features.grid, p, o.mask) for tile in tiles]  # [g] each
            if o.probability < 1 or any(share.any() for share in shares):
                break
        made.append(picture)
        masks += shares
    xp = xp_of(features.patches)
    mask = xp.stack([xp.asarray(share) for share in masks]).astype(features.patches.dtype)  # [t, g]
    return Pseudo(extract(state, made), mask)


def patch_shares(mask: Any, tile: Geometry, grid: tuple[int, int], p: int, how: str = "share") -> Any:
    """M_a [g] of one tile, on the host: what part of each patch, p pixels wide, a mask [H0, W0] on the image covers."""
    gh, gw = grid
    frame = to_model(mask, tile, "box")[: gh * p, : gw * p]
    share = frame.reshape(gh, p, gw, p).mean(axis=(1, 3)).reshape(-1)  # [g]
    share = share * (share > TRACE)
    return (share > 0).astype(share.dtype) if how == "any" else share


def adapt(
    state: State,
    features: Features,
    pseudo: Pseudo,
    context: Features | Partners | None = None,
    rng: Any = None,
    **options: Any,
) -> tuple[Adapter, ...]:
    """Learn G for each image.

    Parameters
    ----------
    state : State
    features : Features
    pseudo : Pseudo
        Of the same images.
    context : Features, Partners or None
        As in `dual_image.score`; without one, language alone is what A^T must keep to.
    rng : numpy.random.Generator, optional
        Needed for init="uniform" alone.
    **options
        See `Options`.

    Returns
    -------
    tuple of b Adapter

    Raises
    ------
    ValueError
        As in `dual_image.score`; an unknown option; no `rng` for a random beginning.
    """
    o = checked(options)
    if o.init == "uniform" and rng is None:
        raise ValueError("init='uniform' draws numbers: give rng")
    if pseudo.features.spans != features.spans or pseudo.features.grid != features.grid:
        raise ValueError("pseudo-anomalies of other images: give those of `pseudo(state, features, images, rng)`")
    found = evidence(state, features, context)
    target = found.language if found.visual is None else found.language + found.visual  # A^VL, equation 6: [t, g]
    e, text = features.patches.shape[-1], at_least_single(state.text)
    adapters = []
    for a, z in features.spans:
        tokens, altered = (
            at_least_single(f.patches[a:z].reshape(-1, e)) for f in (features, pseudo.features)
        )  # [n, e]
        mask, constant = (at_least_single(x[a:z].reshape(-1)) for x in (pseudo.mask, target))  # [n]
        task = Task(tokens, altered, mask, constant)
        adapter = begin(tokens, o.init, rng)
        moments = [(0.0, 0.0)] * 2
        for step in range(1, o.steps + 1):
            _, gradient = loss_and_gradient(adapter, task, text, state.patch_temperature, o.beta)
            updated = [
                adamw(x, g, m, step, rate=o.learning_rate, decay=o.weight_decay)
                for x, g, m in zip(adapter, gradient, moments, strict=True)
            ]
            adapter, moments = Adapter(*(x for x, _ in updated)), [m for _, m in updated]
        adapters.append(adapter)
    return tuple(adapters)


def score(
    state: State,
    features: Features,
    context: Features | Partners | None = None,
    *,
    adapters: Sequence[Adapter],
) -> Prediction:
    """Equations 12 and 13 with A^T, under the adapters of the same images."""
    found = evidence(state, features, context)
    return combine(state, features, adapted(state, features, found, adapters))


def adapted(state: State, features: Features, found: Evidence, adapters: Sequence[Adapter]) -> Evidence:
    """The evidence with A^T (equation 9) in the place of A_loc^L."""
    if len(adapters) != len(features.spans):
        raise ValueError(f"{len(adapters)} adapters for {len(features.spans)} images: expected one for each")
    parts = [
        p_abnormal(
            apply(adapter, at_least_single(features.patches[a:z])), at_least_single(state.text), state.patch_temperature
        )
        for adapter, (a, z) in zip(adapters, features.spans, strict=True)
    ]  # [tiles, g] each
    return found._replace(language=xp_of(found.language).concatenate(parts).astype(found.language.dtype))


def checked(options: dict[str, Any]) -> Options:
    """`Options` of these, or a ValueError that says what is wrong."""
    if unknown := [key for key in options if key not in Options._fields]:
        raise ValueError(f"the adaptation has no option {unknown[0]!r}; it has {', '.join(Options._fields)}")
    o = Options(**options)
    for key, allowed in (("init", ("identity", "uniform")), ("mask", ("share", "any"))):
        if getattr(o, key) not in allowed:
            raise ValueError(f"{key}={getattr(o, key)!r}: expected one of {', '.join(map(repr, allowed))}")
    if o.steps < 0 or o.learning_rate < 0 or not 0 <= o.probability <= 1:
        raise ValueError(f"{o}: expected steps and learning_rate of at least 0, and a probability")
    return o
