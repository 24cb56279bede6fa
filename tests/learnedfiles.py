"""Files of what nobody has learned: the parameters of the methods that learn, as they are before the first step."""

from __future__ import annotations

from pathlib import Path

import refclip
from refclip import saved
from refclip.methods import (
    anomalyclip_learned,
    clip_ada_learned,
    clip_ada_options,
    coop,
    vand_fit,
    vand_learned,
    vand_options,
)
from refclip.methods.anomalyclip_prompts import Design, begin, settled


def write(folder: Path, method: str, clip: refclip.CLIP, seed: int = 0) -> Path:
    """A file for a method and the weights of a model, in whichever type and place."""
    folder.mkdir(parents=True, exist_ok=True)
    path, about = folder / f"{method}.safetensors", saved.about_model(clip, method)
    if method in ("anomalyclip", "coop"):
        design = settled(clip, Design() if method == "anomalyclip" else coop.DESIGN)
        about |= {"design": design, "options": {}}
        fitted = anomalyclip_learned.Fitted(begin(clip, design, seed), design, saved.plain(about), [])
        anomalyclip_learned.save(path, fitted)
    elif method == "vand":
        layers = vand_options.settled(clip, vand_options.DEFAULTS).layers or ()
        about |= {"options": {}}
        vand_learned.save(path, vand_learned.Fitted(vand_fit.begin(clip, layers, seed), saved.plain(about), []))
    else:
        o = clip_ada_options.settled(clip, clip_ada_options.DEFAULTS)
        about |= {"options": o, "training": {"tune": "none"}}
        learned = clip_ada_learned.begin(clip, o, seed)
        clip_ada_learned.save(path, clip_ada_learned.Fitted(learned, saved.plain(about), []))
    return path
