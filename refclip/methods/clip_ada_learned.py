"""What CLIP-ADA learns, and its file: vectors of the prompt, and a projection for each pass through the image tower."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from refclip import saved
from refclip.backend import Array, to_numpy, xp_of
from refclip.checkpoint import WeightsError
from refclip.clip import CLIP
from refclip.methods.options import restored
from refclip.nn import Linear
from refclip.text import Text
from refclip.vit import Vision

SPREAD = 0.02  # standard deviation of a vector's numbers before learning, as CoOp's


class Learned(NamedTuple):
    """Parameters. A projection and four vectors of ViT-B/16 are 0.4 million numbers, as CLIP-ADA's table 6 prints."""

    prompt: Array | None  # [m, width of the text tower]; None for a fixed prompt
    projections: tuple[Linear, ...]  # Proj_0, ..., Proj_K, d to e each: 1 + K of them (section 4.1, equation 5)
    scale: Array | None  # [1]; None where it is not learned
    vision: Vision | None  # the image tower, where it is tuned (table 5); None for what of it is not
    text: Text | None  # the same of the text tower


class Fitted(NamedTuple):
    """What learning answers."""

    learned: Learned
    about: dict[str, Any]  # all choices, as the file keeps them: method, model, options, training, data
    curve: list[float]  # mean loss of each epoch


def begin(clip: CLIP, o: Any, seed: int, tune: str = "none") -> Learned:
    """Before learning: vectors N(0, 0.02); projections uniform within 1 / sqrt(d), as torch's; a learned scale.

    Parameters
    ----------
    clip : CLIP
    o : Options
        Settled.
    seed : int
    tune : {"none", "image", "text", "both"}
        Towers that are learned too, from where they are.
    """
    like = clip.vision.proj
    (d, e), host = like.shape, xp_of(to_numpy(like))  # random numbers are the host's, wherever the model is
    rng, width = host.random.default_rng(seed), clip.text.token_embedding.shape[1]

    def brought(x: Array) -> Array:
        return xp_of(like).asarray(x.astype(like.dtype))

    prompt = None if o.words else brought(SPREAD * rng.standard_normal((o.context, width)))  # [m, width]
    projections = tuple(
        Linear(brought(rng.uniform(-(d**-0.5), d**-0.5, (e, d))), brought(rng.uniform(-(d**-0.5), d**-0.5, e)))
        for _ in range(1 + o.refinements)
    )
    scale = brought(host.full(1, o.scale_start)) if o.scale == "learned" else None
    vision = text = None
    if tune in ("image", "both"):  # what the pass uses, without the class token, which is never read (section 4.1)
        v = clip.vision
        blocks = v.transformer._replace(blocks=v.transformer.blocks[: o.layer])
        vision = v._replace(
            class_embedding=None, transformer=blocks, proj=None, ln_post=v.ln_post if o.ln_post else None
        )
    if tune in ("text", "both"):  # T of section 4.2, without Embed
        text = clip.text._replace(token_embedding=None)
    return Learned(prompt, projections, scale, vision, text)


def save(path: str | os.PathLike[str], fitted: Fitted) -> None:
    """Write what was learned, with the choices and the loss curve in the metadata; the same makes the same bytes."""
    saved.save(path, fitted.learned, fitted.about | {"curve": fitted.curve})


def load(clip: CLIP, path: str | os.PathLike[str]) -> Fitted:
    """Read what `save` wrote, in the type and place of a model's weights.

    Raises
    ------
    WeightsError
        No such file, not of CLIP-ADA, learned behind another model, or it does not fit its own options.
    """
    from refclip.methods.clip_ada_options import Options, settled  # which take `Fitted` from here

    tensors, about = saved.read(path)
    saved.check_model(clip, about, "clip-ada", str(path))
    try:
        o = settled(clip, restored(Options(), about["options"]))
        like = begin(clip, o, 0, about["training"]["tune"])  # whose shapes it must have
        curve = [float(x) for x in about.pop("curve", ())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its metadata make no sense ({error}); train again") from error
    learned = saved.filled(like, tensors, str(path))
    if extra := sorted(set(tensors) - {name for name, _ in saved.named(like)}):
        raise WeightsError(f"{path}: tensor {extra[0]!r} has no place in its options; train again")
    return Fitted(learned, about, curve)
