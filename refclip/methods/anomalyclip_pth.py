"""AnomalyCLIP's published prompts, `epoch_15.pth` of zqhang/AnomalyCLIP -> learned prompts as ours.

Such a file holds, under "prompt_learner":

    ctx_pos, ctx_neg                      [1, 1, 12, 768]   the vectors of the normal and the abnormal prompt
    compound_prompts_text.0 ... .7        [4, 768] each     the tokens of text blocks 2 to 9
    token_prefix_*, token_suffix_*, tokenized_prompts_*     the words around; held against ours
    compound_prompt_projections.*                           not used by the program either

They were learned with OpenAI's ViT-L-14-336 at 518 pixels, with four copies of layer 24 (see DIFFERENCES) and a class
token without ln_post; so these are the options they get. Keys and shapes are known from the program, not from a file:
none was at hand.
"""

from __future__ import annotations

import os
from typing import Any

from refclip import saved
from refclip.backend import xp_of
from refclip.checkpoint import WeightsError
from refclip.clip import CLIP
from refclip.methods.anomalyclip_learned import Fitted
from refclip.methods.anomalyclip_options import DEFAULTS, OBJECT, settled
from refclip.methods.anomalyclip_prompts import Design, Learned, layout_of
from refclip.prompt_learning import VECTOR, prompt_ids
from refclip.pth import read_pth

TOP = "prompt_learner"
DEEP = f"{TOP}.compound_prompts_text."


def convert(clip: CLIP, path: str | os.PathLike[str]) -> Fitted:
    """Read an official checkpoint. Nothing in it is executed; see `pth`.

    Parameters
    ----------
    clip : CLIP
        The model they were learned with: ViT-L-14-336, OpenAI's weights.
    path : path
        `epoch_15.pth`.

    Returns
    -------
    Fitted
        `anomalyclip_learned.save` writes it, `anomalyclip.prepare` takes it.

    Raises
    ------
    WeightsError
        The file cannot be read, is no such checkpoint, or does not fit the model.
    """
    found = read_pth(path)
    for side in ("pos", "neg"):
        if f"{TOP}.ctx_{side}" not in found:
            raise WeightsError(
                f"{path}: no {TOP}.ctx_{side}; expected a checkpoint of AnomalyCLIP, found {_some(found)}"
            )
    numbers = [name.removeprefix(DEEP) for name in found if name.startswith(DEEP)]
    if sorted(numbers) != sorted(map(str, range(len(numbers)))):
        raise WeightsError(f"{path}: {DEEP}* are numbered {', '.join(sorted(numbers))}; expected 0, 1, 2, ...")
    like, width = clip.text.token_embedding, clip.text.token_embedding.shape[1]
    xp = xp_of(like)

    def brought(name: str, axes: int) -> Any:
        x = found[name]
        sides = x.shape[x.ndim - 2 :]
        if x.ndim != axes or x.dtype.kind != "f" or x.size != sides[0] * sides[-1] or sides[-1] != width:
            raise WeightsError(
                f"{path}: {name} is {x.dtype} of shape {x.shape}; expected floats, {(1,) * (axes - 2)} + (n, {width}), "
                f"{width} being the width of {clip.name!r}; these prompts are for ViT-L-14-336 of OpenAI"
            )
        return xp.asarray(x.reshape(sides)).astype(like.dtype)

    normal, abnormal = brought(f"{TOP}.ctx_pos", 4), brought(f"{TOP}.ctx_neg", 4)
    deep = tuple(brought(f"{DEEP}{i}", 2) for i in range(len(numbers)))
    if (
        len(normal) != len(abnormal)
        or len({len(x) for x in deep}) > 1
        or len(deep) >= len(clip.text.transformer.blocks)
    ):
        raise WeightsError(
            f"{path}: {len(normal)} and {len(abnormal)} vectors, and tokens {[len(x) for x in deep]} a block; expected "
            f"as many in each, for fewer than the {len(clip.text.transformer.blocks)} blocks of {clip.name!r}"
        )
    design = Design(length=len(normal), depth=len(deep) + 1, tokens=len(deep[0]) if deep else 0)
    _check_words(path, found, design)
    options = settled(clip, DEFAULTS._replace(class_norm=False, layers=(len(clip.vision.transformer.blocks),)))
    about = saved.about_model(clip, "anomalyclip") | {
        "design": design,
        "options": options._replace(learned=None),
        "source": "converted from a checkpoint of zqhang/AnomalyCLIP",
    }
    return Fitted(Learned(normal, abnormal, deep), design, saved.plain(about), [])


def _check_words(path: Any, found: dict[str, Any], design: Design) -> None:
    """The words around the vectors, where the file says them, must be ours."""
    for side, ids in zip(("pos", "neg"), prompt_ids(layout_of(design), [OBJECT]), strict=True):
        theirs = found.get(f"{TOP}.tokenized_prompts_{side}")
        if theirs is None:
            continue
        row = [int(x) for x in theirs.reshape(-1)]
        if (
            len(row) < len(ids)
            or any(a not in (VECTOR, b) for a, b in zip(ids, row, strict=False))
            or any(row[len(ids) :])
        ):
            raise WeightsError(
                f"{path}: its prompt {side} has the tokens {row[: len(ids) + 2]}; expected {ids}, where {VECTOR} is a "
                "vector: these prompts have other words around them"
            )


def _some(found: dict[str, Any]) -> str:
    names = sorted(found)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
