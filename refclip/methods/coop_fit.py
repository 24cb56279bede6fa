"""Learning CoOp's vectors: cross-entropy of the class token's logits with normal or anomalous (CoOp section 3.2).

SGD with momentum on a cosine, after a first epoch at a small rate. Masks are not looked at.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refclip.clip import CLIP
from refclip.methods.anomalyclip_fit import fit_prompts
from refclip.methods.anomalyclip_learned import Fitted, save
from refclip.methods.anomalyclip_options import Options, settled
from refclip.methods.anomalyclip_prompts import Design
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.methods.coop import DESIGN, defaults
from refclip.methods.masks import sample_of
from refclip.methods.options import first_of
from refclip.optim import cosine_rate, sgd, sgd_state
from refclip.samples import Loaded, Sample
from refclip.training import steps_per_epoch

__all__ = ["Fitted", "Training", "fit", "save"]


class Training(NamedTuple):
    """How to learn. Each default is CoOp's program's.

    Attributes
    ----------
    epochs : int
        50, as it has for ImageNet; 50 to 200 for others.
    batch : int
    rate : float
        Of SGD, at the top of the cosine.
    momentum, decay : float
    warmup : int
        Epochs at `warmup_rate` to begin with.
    warmup_rate : float
    seed : int
        Of the beginning and of the order of the images.
    terms : tuple of str
        "global" is all there is.
    """

    epochs: int = 50
    batch: int = 32
    rate: float = 2e-3
    momentum: float = 0.9
    decay: float = 5e-4
    warmup: int = 1
    warmup_rate: float = 1e-5
    seed: int = 1
    terms: tuple[str, ...] = ("global",)


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
    """Learn the vectors. Parameters as of `anomalyclip_fit.fit`; samples need a label, and no mask.

    Raises
    ------
    ValueError
        No sample of each label; an option has no such value.
    WeightsError
        The checkpoint is of another run.
    """
    t = Training() if training is None else training
    if t.terms != ("global",):
        raise ValueError(f"terms={t.terms!r}: CoOp has none but 'global'")
    d = settled_design(clip, DESIGN if design is None else design)
    o = settled(clip, first_of(Options(**options), defaults(clip)))
    used = [one for one in samples if sample_of(one).label is not None]
    if len(used) < len(samples):
        note(f"{len(samples) - len(used)} images without a label are left out")
    if {0, 1} - {sample_of(one).label for one in used}:
        raise ValueError(f"{len(used)} images with a label: expected normal and anomalous ones, to tell them apart")
    each = steps_per_epoch(len(used), t.batch)
    return fit_prompts(
        "coop", clip, used, t=t, design=d, o=o, features=features, checkpoint=checkpoint, every=every, note=note,
        encoded=encoded, tell=tell, state=sgd_state,
        update=functools.partial(sgd, momentum=t.momentum, decay=t.decay),
        rate=lambda step: cosine_rate(
            step // each, max(t.epochs, 1), t.rate, warmup=t.warmup, warmup_rate=t.warmup_rate
        ),
    )  # fmt: skip
