"""CoOp for anomalies, as AnomalyCLIP's appendix A.2 adapts it (Zhou, Yang, Loy, Liu: Learning to Prompt, IJCV 2022).

    normal      [V_1] [V_2] ... [V_N] [normal] [cls]
    anomalous   [V_1] [V_2] ... [V_N] [anomalous] [cls]

The vectors are the same in both and for all objects (CoOp's "unified context"); [cls] is the object's name. They are
learned with the cross-entropy of the class token alone (`coop_fit`). Score and map are AnomalyCLIP's (`anomalyclip`),
of CLIP as it is: the tower's own path and its last layer. The paper says "in the same way as for AnomalyCLIP" and
prints, for maps, the figures of CLIP and not of v-v attention (table 1: pixel AUROC 33.3 on MVTec AD, where CLIP has
38.4); other choices are options.

Table 1: on MVTec AD, learned on VisA: image AUROC 88.8, AP 94.8; pixel AUROC 33.3, PRO 6.7. Not verified here.
"""

from __future__ import annotations

from typing import Any

from refclip.clip import CLIP
from refclip.methods.anomalyclip import Features, State, extract, prepared, score
from refclip.methods.anomalyclip_options import CHOICES, Options
from refclip.methods.anomalyclip_prompts import Design
from refclip.prediction import Difference

__all__ = ["CHOICES", "DEFAULTS", "DESIGN", "DIFFERENCES", "Features", "Options", "State", "defaults", "extract",
           "prepare", "score"]  # fmt: skip

# N = 16 vectors, the words at the end: CoOp, section 4.1
DESIGN = Design(length=16, shared=True, normal="normal", abnormal="anomalous", depth=0)
DEFAULTS = Options(
    object="name", attention="own", class_norm=True, positions="bilinear", temperature="clip", sigma=4 / 518,
    underscores=False, resize="squash",
)  # fmt: skip

DIFFERENCES = tuple(
    Difference("coop", *row)
    for row in (
        ("AnomalyCLIP A.2", "[V_1] ... [V_N] [normal] [cls]", "a full stop after it (CoOp's program)",
         "Design.stop: False for none", "True, the program's"),
        ("AnomalyCLIP A.2", "all parameters as in CoOp's paper, which has several: N = 16 or 4, 50 to 200 epochs",
         "CoOp's: N, position, epochs by data set",
         "Design.length, Design.position, Design.words, Training.epochs", "16 at the end, 50 epochs"),
        ("AnomalyCLIP A.2", "maps in the same way as for AnomalyCLIP", "not published",
         "attention='v-v', layers=(6, 12, 18, 24) for AnomalyCLIP's",
         "'own' and the last layer, as the printed figures are those of CLIP's own path [I]"),
        ("CoOp 4.1", "random resized crops and flips", "the same", "none", "no augmentation: an image is encoded once"),
        ("CoOp 3.2", "one context for all classes, or one for each class", "both",
         "Design.shared: False for one a state",
         "True, AnomalyCLIP's A.2"),
        ("CoOp 3.2", "names of classes", "underscores become spaces", "underscores=True", "False, CoOp's program"),
    )
)  # fmt: skip


def prepare(clip: CLIP, name: str | None = None, *, learned: Any = None, **options: Any) -> State:
    """Embed the learned prompts of an object.

    Parameters
    ----------
    clip : CLIP
    name : str, optional
        The object; None says "object".
    learned : path or Fitted, optional
        From `refclip train coop` or `coop_fit.fit`; what is shipped, for refclip-mini.
    **options
        See `anomalyclip.Options`; its defaults in brackets are AnomalyCLIP's, ours are `DEFAULTS` and the last layer.

    Raises
    ------
    ValueError
        An option has no such value, or there are no learned prompts.
    WeightsError
        They were learned by another method or behind another model.
    """
    return prepared("coop", clip, name, learned=learned, options=Options(**options), defaults=defaults(clip))


def defaults(clip: CLIP) -> Options:
    """`DEFAULTS`, with the last layer of a model."""
    return DEFAULTS._replace(layers=(len(clip.vision.transformer.blocks),))
