"""Learning AnomalyCLIP's prompts from images with masks, of other objects than those to be judged.

    L_total = L_global + lambda sum over layers of L_local                                     equation 2
    L_global  cross-entropy of the class token's cosines / tau with normal or anomalous
    L_local   focal(Up [S_n, S_a], S) + Dice(Up S_n, 1 - S) + Dice(Up S_a, S)                  section 3.3

with Adam. The towers are frozen: an image's features are computed once (`features_cache`), and a step is the text tower
on two prompts, forward and back.

Shapes: `N` images, `b` batch, `g` = gh gw patches, `c` objects, `e` embedding.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refclip import losses, saved
from refclip.backend import Array, xp_of
from refclip.clip import CLIP
from refclip.enlarged import Target, enlarged_dice, enlarged_focal, target_of
from refclip.features_cache import geometries, keep_features, rows
from refclip.frozen import Encoded
from refclip.methods.anomalyclip import mean_logits
from refclip.methods.anomalyclip_learned import Fitted, load, save
from refclip.methods.anomalyclip_options import DEFAULTS, Options, paths_of, recipe_of, settled, spoken
from refclip.methods.anomalyclip_prompts import Design, Learned, begin, embed_prompts
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.methods.masks import identity, packed_masks, sample_of, usable
from refclip.methods.options import first_of
from refclip.nn import softmax
from refclip.optim import adam, adam_state
from refclip.samples import Loaded, Sample
from refclip.training import batch_of, learn, means_of_epochs, steps_per_epoch
from refclip.zeroshot import temperature_of

__all__ = ["Fitted", "Training", "fit", "load", "save"]
TERMS = ("global", "focal", "dice")


class Training(NamedTuple):
    """How to learn. Each default is the paper's (appendix A.1), or, where it is silent, the program's.

    Attributes
    ----------
    epochs : int
        0 leaves the prompts as they begin (table 5, without either loss).
    batch : int
    rate : float
        Of Adam.
    betas : (float, float)
    seed : int
        Of the beginning and of the order of the images.
    terms : tuple of str
        Of the loss: "global", "focal", "dice" (table 5: without "global", or it alone; table 11: without one of the
        other two).
    lam : float
        lambda of equation 2.
    gamma, alpha : float
        Of the focal loss.
    dice : {"plain", "squared"}
        See `losses.dice`.
    mask_share : float
        A pixel of the input counts as anomalous from this share of its area on.
    """

    epochs: int = 15
    batch: int = 8
    rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    seed: int = 111
    terms: tuple[str, ...] = TERMS
    lam: float = 1.0
    gamma: float = 2.0
    alpha: float = 1.0
    dice: str = "plain"
    mask_share: float = 0.5


class Batch(NamedTuple):
    """What a step is given."""

    features: Encoded
    labels: Array  # [b], 0 normal, 1 anomalous
    masks: Array | None  # [b, H, W]; None where no term of the loss needs it
    names: tuple[str, ...]  # what the prompts call the things: c different ones
    which: Array  # [b], the name of each image


def fit(
    clip: CLIP,
    samples: Sequence[Sample | Loaded],
    training: Training | None = None,
    design: Design | None = None,
    *,
    features: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 100,
    note: Callable[[str], None] = lambda text: None,
    encoded: Callable[[int], None] = lambda count: None,
    tell: Callable[[int, float], None] = lambda step, value: None,
    **options: Any,
) -> Fitted:
    """Learn the prompts.

    Parameters
    ----------
    clip : CLIP
    samples : sequence of Sample or Loaded
        Normal ones and anomalous ones with masks, of one data set or of several: table 3's medical set is ColonDB's
        anomalous images and Endo's normal ones. Anomalous ones without a mask are left out.
    training : Training, optional
    design : Design, optional
        Of the prompts.
    features : path, optional
        A folder for the features; in memory by default. See `features_cache.keep_features`.
    checkpoint : path, optional
        Written on the way and taken up if it is there: a run that was killed ends in the same bytes.
    every : int
        Steps between checkpoints.
    note, encoded, tell : callable
        Told what there is to say: what was chosen, how much room features take; the number of images encoded; and
        (steps taken, loss).
    **options
        Of `anomalyclip.Options`: those of the image side and `object`.

    Returns
    -------
    Fitted
        `save` writes it, `anomalyclip.prepare` takes it.

    Raises
    ------
    ValueError
        No sample can be used, or an option has no such value.
    WeightsError
        The checkpoint is of another run.
    OSError
        The disk is too small for the features.
    """
    t = Training() if training is None else training
    if (not t.terms and t.epochs) or not set(t.terms) <= set(TERMS):
        raise ValueError(f"terms={t.terms!r}: expected some of {', '.join(TERMS)}; none only with epochs=0")
    d, o = settled_design(clip, design or Design()), settled(clip, first_of(Options(**options), DEFAULTS))
    used = usable(samples, note)
    return fit_prompts(
        "anomalyclip", clip, used, t=t, design=d, o=o, features=features, checkpoint=checkpoint, every=every,
        note=note, encoded=encoded, tell=tell, update=functools.partial(adam, betas=t.betas), state=adam_state,
        rate=lambda step: t.rate,
    )  # fmt: skip


def fit_prompts(
    method: str,
    clip: CLIP,
    used: Sequence[Sample | Loaded],
    *,
    t: Any,
    design: Design,
    o: Options,
    features: Any,
    checkpoint: Any,
    every: int,
    note: Callable[[str], None],
    encoded: Callable[[int], None],
    tell: Callable[[int, float], None],
    update: Callable[..., Any],
    state: Callable[[Any], Any],
    rate: Callable[[int], float],
) -> Fitted:
    """Learn prompts of any method that has AnomalyCLIP's: the choices are made, what remains is the work.

    Parameters
    ----------
    method : str
    clip, used, design, o, features, checkpoint, every, note, encoded, tell
        As in `fit`, checked and settled.
    t : Training
        Of the method: with epochs, batch, seed and `terms`.
    update, state, rate
        The optimiser; see `training.learn`.

    Raises
    ------
    ValueError
        The model is in half precision, or its text tower does not take such prompts. Before any image is encoded.
    """
    like = clip.vision.proj
    if like.dtype == xp_of(like).float16:
        raise ValueError(
            "the model is in half precision, in which nothing can be learned: load it with dtype='float32'"
        )
    note(f"{method}: {', '.join(f'{k} {v}' for k, v in o._asdict().items() if k != 'learned')}; {design}")
    local = bool({"focal", "dice"} & set(t.terms))
    called = [spoken(sample_of(one).category, o) for one in used]
    start = begin(clip, design, t.seed)
    embed_prompts(clip, design, start, tuple(dict.fromkeys(called)))  # refuse, before an hour of images, what cannot be
    recipe = recipe_of(o) if local else recipe_of(o)._replace(layers=(), paths=("own",))
    kept = keep_features(clip, used, recipe, features, tell=note, done=encoded)
    masks = packed_masks(used, geometries(kept), t.mask_share) if local else None
    labels = [int(bool(sample_of(one).label)) for one in used]
    tau, xp = temperature_of(clip, o.temperature or 0.0), xp_of(like)

    def batch(step: int) -> Batch:
        _, index = batch_of(step, len(used), t.batch, t.seed)
        names = tuple(dict.fromkeys(called[i] for i in index))
        mask = None if masks is None else xp.asarray(masks(index)).astype(like.dtype, copy=False)  # [b, H, W]
        label, which = ([labels[i] for i in index], [names.index(called[i]) for i in index])
        return Batch(rows(kept, index, like), xp.asarray(label), mask, names, xp.asarray(which))

    def loss(learned: Learned, step: int) -> Any:
        return loss_of(clip, learned, batch(step), design=design, t=t, o=o, temperature=tau)

    about = saved.about_model(clip, method) | {
        "design": design,
        "options": o._replace(learned=None),
        "training": t,
        "images": len(used),
        "categories": sorted({sample_of(one).category for one in used}),
    }
    each = steps_per_epoch(len(used), t.batch)
    now, curve = learn(
        loss, start, state(start), update=update, rate=rate, steps=t.epochs * each, checkpoint=checkpoint,
        about=about | {"data": identity(used, masks)}, every=every, tell=tell,
    )  # fmt: skip
    return Fitted(now.parameters, design, saved.plain(about), means_of_epochs(curve, each))


def loss_of(
    clip: CLIP, learned: Learned, batch: Batch, *, design: Design, t: Any, o: Options, temperature: float
) -> Any:
    """The loss of a batch: equation 2 of AnomalyCLIP.

    Parameters
    ----------
    clip : CLIP
    learned : Learned
        Arrays or variables.
    batch : Batch
    design, t, o, temperature
        The choices.

    Returns
    -------
    array of no dimensions, or Var
    """
    text = embed_prompts(clip, design, learned, batch.names)  # [c, 2, e]
    text = text[0] if len(batch.names) == 1 else text[batch.which]  # [2, e] or [b, 2, e]
    total: Any = 0.0
    if "global" in t.terms:
        image = batch.features.image[:, None]  # [b, 1, e]
        logits = (image @ text.swapaxes(-1, -2))[:, 0] * (1 / temperature)  # [b, 2]
        total = total + losses.cross_entropy(logits, batch.labels)
    if batch.masks is not None:
        target = target_of(batch.masks, batch.features.grid)
        for layer in o.layers or ():
            logits = mean_logits(batch.features, paths_of(o), layer, text, temperature)  # [b, g, 2]
            total = total + t.lam * local_loss(logits, target, t)
    return total


def local_loss(logits: Any, target: Target, t: Any) -> Any:
    """L_local of one layer: AnomalyCLIP, section 3.3.

    Parameters
    ----------
    logits : array [b, g, 2] or Var
        Of normal and abnormal.
    target : Target
        Of S, 1 where anomalous. The maps are compared with it as if they were enlarged to its pixels; see `enlarged`.
    t : Training
    """
    s = softmax(logits).swapaxes(1, 2).reshape(*target.under.shape)  # [b, 2, gh, gw]
    total: Any = 0.0
    if "focal" in t.terms:
        total = total + enlarged_focal(s, target.mask, t.gamma, t.alpha)
    if "dice" in t.terms:
        total = total + enlarged_dice(s[:, 0], target, 0, t.dice) + enlarged_dice(s[:, 1], target, 1, t.dice)
    return total
