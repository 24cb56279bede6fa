"""Learned prompts as a file, and back: AnomalyCLIP's, and CoOp's, which are a part of them.

The vectors and tokens are in safetensors; in its metadata the method, the model, the design, the options of the image
side, and the loss curve. What an official `.pth` holds is converted by `anomalyclip_pth`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from refclip import saved
from refclip.checkpoint import WeightsError
from refclip.clip import CLIP
from refclip.methods.anomalyclip_prompts import Design, Learned, begin, settled
from refclip.methods.options import first_of, restored


class Fitted(NamedTuple):
    """What learning answers."""

    learned: Learned
    design: Design  # settled
    about: dict[str, Any]  # all choices, as the file keeps them: method, model, design, options, training, data
    curve: list[float]  # mean loss of each epoch


def save(path: str | os.PathLike[str], fitted: Fitted) -> None:
    """Write learned prompts; the same ones make the same bytes.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    saved.save(path, fitted.learned, fitted.about | {"curve": fitted.curve})


def load(clip: CLIP, path: str | os.PathLike[str], method: str = "anomalyclip") -> Fitted:
    """Read learned prompts, in the type and place of a model's weights.

    Raises
    ------
    WeightsError
        No such file, or not of this method; learned behind another model; or they do not fit their own design.
    """
    if str(path).endswith((".pth", ".pt")):
        raise WeightsError(
            f"{path}: a PyTorch file, expected safetensors; convert it first, without executing anything in it: "
            f"refclip convert {Path(path).name} --out FILE.safetensors --weights W"
        )
    from refclip.methods.anomalyclip_options import DEFAULTS, Options  # which take `Fitted` from here
    from refclip.methods.anomalyclip_options import settled as settled_options

    tensors, about = saved.read(path)
    saved.check_model(clip, about, method, str(path))
    try:
        design = settled(clip, Design(**about["design"]))
        like = begin(clip, design, 0)  # whose shapes it must have
        curve = [float(x) for x in about.get("curve", ())]
        settled_options(clip, first_of(restored(Options(), about["options"]), DEFAULTS))  # they must make sense
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its metadata make no sense ({error}); train again") from error
    learned = saved.filled(like, tensors, str(path))
    known = {name for name, _ in saved.named(like)}
    if extra := sorted(set(tensors) - known):
        raise WeightsError(f"{path}: tensor {extra[0]!r} has no place in its design, {design}; train again")
    about = {key: value for key, value in about.items() if key != "curve"}
    return Fitted(learned, design, about, curve)
