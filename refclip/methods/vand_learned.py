"""What VAND learns, a linear layer for each of some blocks, and its file."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from refclip import saved
from refclip.backend import xp_of
from refclip.checkpoint import WeightsError
from refclip.clip import CLIP
from refclip.methods.options import first_of
from refclip.nn import Linear


class Learned(NamedTuple):
    """What `vand_fit.fit` learns."""

    projections: dict[int, Linear]  # layer -> d to e


class Fitted(NamedTuple):
    """What learning answers."""

    learned: Learned
    about: dict[str, Any]  # all choices, as the file keeps them: method, model, options, training, data
    curve: list[float]  # mean loss of each epoch


def save(path: str | os.PathLike[str], fitted: Fitted) -> None:
    """Write what was learned, with the choices and the loss curve in the metadata; the same makes the same bytes."""
    saved.save(path, fitted.learned, fitted.about | {"curve": fitted.curve})


def check(clip: CLIP, learned: Learned) -> None:
    """Refuse projections of another shape than a model needs.

    Raises
    ------
    WeightsError
    """
    d, e = clip.vision.proj.shape
    for layer, p in learned.projections.items():
        if (tuple(p.weight.shape), tuple(p.bias.shape)) != ((e, d), (e,)):
            raise WeightsError(
                f"projection of layer {layer}: weight {tuple(p.weight.shape)}, bias {tuple(p.bias.shape)}; expected "
                f"{(e, d)} and {(e,)} for {clip.name!r}"
            )


def load(clip: CLIP, path: str | os.PathLike[str]) -> Fitted:
    """Read what `save` wrote, in the model's type and place.

    Raises
    ------
    WeightsError
        No such file, not of VAND, or learned behind another model.
    """
    from refclip.methods.vand_options import DEFAULTS, restored, settled  # which take `Fitted` from here

    tensors, about = saved.read(path)
    saved.check_model(clip, about, "vand", str(path))
    like = clip.vision.proj
    (d, e), xp = like.shape, xp_of(like)
    try:
        layers = settled(clip, first_of(restored(about["options"]), DEFAULTS)).layers or ()
        curve = [float(x) for x in about.pop("curve", ())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its metadata make no sense ({error}); train again") from error
    shapes = Linear(xp.zeros((e, d), dtype=like.dtype), xp.zeros(e, dtype=like.dtype))
    learned = saved.filled(Learned(dict.fromkeys(layers, shapes)), tensors, str(path))
    if extra := sorted(set(tensors) - {name for name, _ in saved.named(learned)}):
        raise WeightsError(f"{path}: tensor {extra[0]!r} has no place in layers {layers}; train again")
    return Fitted(learned, about, curve)
