"""Learning VAND's projections from images with masks, of other objects than those to be judged.

    L = sum over layers l of  focal(p^l, mask) + Dice(p^l[abnormal], mask)          p^l as in `vand`, [b, 2, H, W]

with Adam. The image tower is frozen: its tokens are computed once (`features_cache`), and an epoch is linear layers.

Shapes: `N` images, `b` batch, `g` = gh gw patches, `d` width, `e` embedding.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refclip import losses, saved
from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP
from refclip.features_cache import keep_features, rows
from refclip.frozen import OWN
from refclip.methods.masks import identity, packed_masks, sample_of, usable
from refclip.methods.options import first_of
from refclip.methods.patches import in_single
from refclip.methods.vand import pixel_probabilities, text_of
from refclip.methods.vand_learned import Fitted, Learned, save
from refclip.methods.vand_options import DEFAULTS, Options, recipe_of, settled
from refclip.nn import Linear
from refclip.optim import adam, adam_state
from refclip.samples import Loaded, Sample
from refclip.training import batch_of, learn, means_of_epochs, steps_per_epoch
from refclip.zeroshot import temperature_of

__all__ = ["Batch", "Fitted", "Training", "fit", "save"]
TERMS = ("focal", "dice")


class Training(NamedTuple):
    """How to learn. Each default is the program's, for VisA.

    Attributes
    ----------
    epochs : int
        15; for MVTec AD 3.
    batch : int
    rate : float
        Of Adam.
    betas : (float, float)
    seed : int
        Of the beginning and of the order of the images.
    terms : tuple of str
        "focal", "dice", or both.
    dice : {"plain", "squared"}
        See `losses.dice`.
    mask_share : float
        A pixel of the input counts as damaged from this share of its area on.
    """

    epochs: int = 15
    batch: int = 8
    rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    seed: int = 111
    terms: tuple[str, ...] = TERMS
    dice: str = "plain"
    mask_share: float = 0.5


class Batch(NamedTuple):
    """What a step sees."""

    tokens: dict[int, Array]  # layer -> [b, g, d]
    text: Array  # [b, 2, e], of each image's own object
    mask: Array  # [b, H, W], 0 or 1
    grid: tuple[int, int]


def fit(
    clip: CLIP,
    samples: Sequence[Sample | Loaded],
    training: Training | None = None,
    *,
    features: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 100,
    note: Callable[[str], None] = lambda text: None,
    encoded: Callable[[int], None] = lambda count: None,
    tell: Callable[[int, float], None] = lambda step, value: None,
    **options: Any,
) -> Fitted:
    """Learn the projections.

    Parameters
    ----------
    clip : CLIP
    samples : sequence of Sample or Loaded
        Normal ones and anomalous ones with masks; the prompts name their `category`. Anomalous ones without a mask are
        left out.
    training : Training, optional
    features : path, optional
        A folder for the tokens, N g d numbers of half precision for each layer; in memory by default.
    checkpoint : path, optional
        See `training.learn`.
    every : int
        Steps between checkpoints.
    note, encoded, tell : callable
        Told what there is to say; the number of images encoded; and (steps taken, loss).
    **options
        Of `vand_options.Options`: those that learning depends on.

    Raises
    ------
    ValueError
        No sample can be used, or an option has no such value.
    WeightsError
        The checkpoint is of another run.
    """
    t = Training() if training is None else training
    if not t.terms or not set(t.terms) <= set(TERMS):
        raise ValueError(f"terms={t.terms!r}: expected some of {', '.join(TERMS)}")
    o = settled(clip, first_of(Options(**options), DEFAULTS))
    layers, used = o.layers or (), usable(samples, note)
    kept = keep_features(clip, used, recipe_of(o, layers), features, tell=note, done=encoded)
    geometry = rows(kept._replace(patches={}), range(len(used)), clip.vision.proj).geometry
    masks = packed_masks(used, geometry, t.mask_share)
    names = [sample_of(one).category for one in used]
    texts = {name: text_of(clip, name, o) for name in dict.fromkeys(names)}  # [2, e] each
    like, tau = clip.vision.proj, temperature_of(clip, o.temperature or 0.0)

    def loss(learned: Learned, step: int) -> Any:
        _, index = batch_of(step, len(used), t.batch, t.seed)
        found = rows(kept, index, like)
        batch = Batch(
            {n: in_single(x) for n, x in found.patches[OWN].items()},
            xp_of(like).stack([texts[names[i]] for i in index]),
            xp_of(like).asarray(masks(index)),
            found.grid,
        )
        return loss_of(learned, batch, o, t, tau)

    about = saved.about_model(clip, "vand") | {
        "options": o._replace(learned=None, memory_layers=None),
        "training": t,
        "images": len(used),
        "categories": list(texts),
    }
    start = begin(clip, layers, t.seed)
    each = steps_per_epoch(len(used), t.batch)
    now, curve = learn(
        loss,
        start,
        adam_state(start),
        update=functools.partial(adam, betas=t.betas),
        rate=lambda step: t.rate,
        steps=t.epochs * each,
        checkpoint=checkpoint,
        about=about | {"data": identity(used, masks)},
        every=every,
        tell=tell,
    )
    return Fitted(now.parameters, saved.plain(about), means_of_epochs(curve, each))


def begin(clip: CLIP, layers: Sequence[int], seed: int) -> Learned:
    """Every number uniform within 1 / sqrt(d), as torch's linear layers begin."""
    like = clip.vision.proj
    (d, e), host = like.shape, xp_of(to_numpy(like))  # random numbers are the host's, wherever the model is
    rng, bound = host.random.default_rng(seed), like.shape[0] ** -0.5

    def uniform(*shape: int) -> Array:
        return xp_of(like).asarray(rng.uniform(-bound, bound, shape).astype(in_single(like).dtype))

    return Learned({layer: Linear(uniform(e, d), uniform(e)) for layer in layers})


def loss_of(learned: Learned, batch: Batch, o: Options, t: Training, tau: float) -> Any:
    """The loss of a batch: an array of no dimensions, or a variable if `learned` is of variables."""
    total: Any = 0
    for n, projection in learned.projections.items():
        size = batch.mask.shape[1:]
        p = pixel_probabilities(projection, batch.tokens[n], batch.text, batch.grid, o, size=size, tau=tau)
        if "focal" in t.terms:
            total = total + losses.focal(p, batch.mask)
        if "dice" in t.terms:
            total = total + losses.dice(p[:, 1], batch.mask, form=t.dice)
    return total
