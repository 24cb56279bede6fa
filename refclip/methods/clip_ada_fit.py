"""Learning CLIP-ADA from normal images of all categories together, and pseudo-anomalies on them.

At each step each image of the batch is drawn anew: turned or not, with a pseudo-anomaly or not (`synth`, DRAEM's), from
a seed that its number and the epoch complete. So nothing can be kept from one epoch to the next but the pictures; and
a run that was killed goes on with the same draws. Section 5.1.3; the loss is in `clip_ada_refine`.

Shapes: `N` images, `b` batch, gh x gw patches of p x p pixels.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from PIL import Image

from refclip import saved
from refclip.backend import Array, xp_of
from refclip.clip import CLIP
from refclip.fingerprint import of_images
from refclip.frozen import open_image
from refclip.methods.clip_ada_learned import Fitted, Learned, begin, save
from refclip.methods.clip_ada_options import DEFAULTS, Options, settled
from refclip.methods.clip_ada_refine import loss_of
from refclip.methods.images import pixels_of
from refclip.methods.masks import sample_of
from refclip.methods.options import first_of
from refclip.optim import adam_state, adamw, step_rate
from refclip.samples import Loaded, Sample
from refclip.synth import anomaly, rgb_of
from refclip.training import batch_of, learn, means_of_epochs, shuffled, steps_per_epoch

__all__ = ["Fitted", "Training", "fit", "save"]
TUNE = ("none", "image", "text", "both")
MASKS = ("share", "any")


class Training(NamedTuple):
    """How to learn. Each default is the paper's for MVTec AD, or, where it is silent, what `DIFFERENCES` says.

    Attributes
    ----------
    epochs : int
        800 for MVTec AD, 500 for VisA.
    batch : int
        16 for MVTec AD, 64 for VisA.
    rate : float
        Of AdamW; the paper's is lost. DRAEM's.
    decay : float
        Of AdamW.
    drops : (float, float)
        When the rate is multiplied by `factor`, as fractions of the epochs: 400 and 700 of 800; for VisA 250 of 500,
        (0.5, 1).
    factor : float
    lam : float
        lambda of equation 6.
    mask : {"share", "any"}
        What a patch's label is: the share of it that the anomaly covers, or 1 where it covers any.
    probability : float
        Of a pseudo-anomaly.
    turned : float
        Probability that an image is turned first, by -90 to 90 degrees; DRAEM's code does.
    fraction : float
        Of the training images of each category: figure 6.
    tune : {"none", "image", "text", "both"}
        Towers that are learned too: table 5.
    recomputed : bool
        Keep less of each block for the way back, and compute it again: less memory, the same numbers.
    seed : int
    """

    epochs: int = 800
    batch: int = 16
    rate: float = 1e-4
    decay: float = 0.01
    drops: tuple[float, float] = (1 / 2, 7 / 8)
    factor: float = 0.2
    lam: float = 1.0
    mask: str = "share"
    probability: float = 0.5
    turned: float = 0.3
    fraction: float = 1.0
    tune: str = "none"
    recomputed: bool = False
    seed: int = 0


def fit(
    clip: CLIP,
    samples: Sequence[Sample | Loaded],
    training: Training | None = None,
    *,
    features: None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 100,
    limit: int | None = None,
    note: Callable[[str], None] = lambda text: None,
    encoded: Callable[[int], None] = lambda count: None,
    tell: Callable[[int, float], None] = lambda step, value: None,
    **options: Any,
) -> Fitted:
    """Learn the prompt and the projections.

    Parameters
    ----------
    clip : CLIP
    samples : sequence of Sample or Loaded
        Of the training split of all categories. Those that are not normal are left out.
    training : Training, optional
    features : None
        There are none to keep: each step's images are new.
    checkpoint : path, optional
        See `training.learn`.
    every : int
        Steps between checkpoints.
    limit : int, optional
        Bytes that a step may keep for the way back; see `autograd.Tape`.
    note, encoded, tell : callable
        Told what there is to say; the number of pictures read; and (steps taken, loss).
    **options
        Of `clip_ada_options.Options`.

    Returns
    -------
    Fitted
        `save` writes it, `clip_ada.prepare` takes it.

    Raises
    ------
    ValueError
        No normal image, or an option has no such value.
    ImageError
        An image cannot be read.
    WeightsError
        The checkpoint is of another run.
    """
    if features is not None:
        raise ValueError(f"features={features!r}: clip-ada draws each step's images anew and keeps none; leave it out")
    t = check(Training() if training is None else training)
    o = settled(clip, first_of(Options(**options), DEFAULTS))
    used = chosen(samples, t.fraction, t.seed, note)
    side = o.size or 0
    note(f"{len(used)} pictures of {side} x {side}: {len(used) * side * side * 3:,} bytes in memory")
    pictures = []
    for one in used:
        pictures.append(_square(open_image(one), side))
        encoded(len(pictures))

    def loss(learned: Learned, step: int) -> Any:
        epoch, index = batch_of(step, len(used), t.batch, t.seed)
        pixels, mask = drawn(clip, pictures, index, epoch, t)
        return loss_of(clip, learned, o, pixels, mask, lam=t.lam, recomputed=t.recomputed)

    about = saved.about_model(clip, "clip-ada") | {
        "options": o._replace(learned=None),
        "training": t,
        "images": len(used),
        "categories": list(dict.fromkeys(sample_of(one).category for one in used)),
    }
    start = begin(clip, o, t.seed, t.tune)
    each = steps_per_epoch(len(used), t.batch)
    drops = [round(part * t.epochs) for part in t.drops]
    now, curve = learn(
        loss,
        start,
        adam_state(start),
        update=functools.partial(adamw, decay=t.decay),
        rate=lambda step: step_rate(step // each, t.rate, drops, t.factor),
        steps=t.epochs * each,
        checkpoint=checkpoint,
        about=about | {"data": of_images(used)},
        every=every,
        limit=limit,
        tell=tell,
    )
    return Fitted(now.parameters, saved.plain(about), means_of_epochs(curve, each))


def check(t: Training) -> Training:
    """The choices, if they can be followed.

    Raises
    ------
    ValueError
    """
    for key, allowed in (("tune", TUNE), ("mask", MASKS)):
        if getattr(t, key) not in allowed:
            raise ValueError(f"{key}={getattr(t, key)!r}: expected one of {', '.join(map(repr, allowed))}")
    for key in ("probability", "turned"):
        if not 0 <= getattr(t, key) <= 1:
            raise ValueError(f"{key}={getattr(t, key)!r}: expected a probability, 0 to 1")
    if not 0 < t.fraction <= 1:
        raise ValueError(f"fraction={t.fraction!r}: expected a share of the images, above 0, 1 for all")
    return t


def chosen(
    samples: Sequence[Sample | Loaded], fraction: float, seed: int, note: Callable[[str], None]
) -> list[Sample | Loaded]:
    """The normal images, or of each category a fraction of them that the seed draws, one at least: figure 6.

    Raises
    ------
    ValueError
        There is none.
    """
    normal = [one for one in samples if sample_of(one).label == 0]
    if len(normal) < len(samples):
        note(f"{len(samples) - len(normal)} images that are not normal are left out")
    if not normal:
        raise ValueError(f"{len(samples)} images and none of them normal: expected some to learn from")
    if fraction == 1:
        return normal
    kept: set[int] = set()
    for category in dict.fromkeys(sample_of(one).category for one in normal):
        those = [i for i, one in enumerate(normal) if sample_of(one).category == category]
        order = shuffled(len(those), seed, category)
        kept |= {those[i] for i in order[: max(1, round(fraction * len(those)))]}
    return [normal[i] for i in sorted(kept)]


def drawn(clip: CLIP, pictures: Sequence[Array], index: Sequence[int], epoch: int, t: Training) -> tuple[Array, Array]:
    """A batch as an epoch draws it.

    Parameters
    ----------
    clip : CLIP
    pictures : sequence of N uint8 arrays [H, W, 3]
    index : sequence of b int
    epoch : int
    t : Training

    Returns
    -------
    pixels : array [b, 3, H, W]
        Normalised.
    mask : array [b, gh, gw]
        The label of each patch, 0 to 1.
    """
    host, p = xp_of(pictures[0]), clip.vision.patch_size
    images, labels = [], []
    for i in index:
        rng = host.random.default_rng([t.seed, epoch, i])
        picture = pictures[i]
        if rng.uniform() < t.turned:
            turned = Image.fromarray(picture).rotate(rng.uniform(-90, 90), Image.Resampling.BILINEAR)
            picture = host.asarray(turned)
        image, mask = anomaly(rng, picture, probability=t.probability)
        images.append(image)
        labels.append(label(mask, p, t.mask))
    pixels, _ = pixels_of(clip, images, "squash", pictures[0].shape[:2])
    return pixels, xp_of(pixels).asarray(host.stack(labels).astype(pixels.dtype))


def label(mask: Array, p: int, how: str) -> Array:
    """A mask [H, W] at the patches' resolution, [gh, gw]: the share of each it covers, or whether it covers any."""
    height, width = mask.shape
    patches = mask.reshape(height // p, p, width // p, p)  # [gh, p, gw, p]
    return patches.mean(axis=(1, 3)) if how == "share" else patches.any(axis=(1, 3))


def _square(image: Any, side: int) -> Array:
    """A picture squashed to side x side as `preprocess` squashes it, uint8 [side, side, 3]."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return rgb_of(picture.resize((side, side), Image.Resampling.BICUBIC), "image")
