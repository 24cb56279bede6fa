"""What each method needs beside the image, and a set scored with it, batch by batch.

    nothing        clip, clip-ac, winclip, maskclip, anoclip, anovl,    each image by itself
                   anomalyclip, coop, clip-ada
    either         vand                                                 the same, or K normal images of the same kind
    references     winclip+, patchcore                                  K normal images of the same kind
    partners       dual-image, dual-image+                              references, or else other images of the set
    set            musc                                                 all images at once, unlabeled

The last two hold the features of a whole set, as does vand where the option image_fusion brings scores of a set to one
range; the others those of one batch, however large the set is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from refclip.backend import to_numpy, xp_of
from refclip.methods import dual_image, dual_image_plus, musc, patchcore, vand, winclip_plus
from refclip.methods.features import count, join, piece
from refclip.prediction import Prediction

REFERENCES = (winclip_plus, patchcore)
EITHER = (vand,)
PARTNERS = (dual_image, dual_image_plus)
SET = (musc,)


def needs(module: ModuleType) -> str:
    """What a method's module needs: "nothing", "either" (references, or nothing), "references", "partners" or "set"."""
    kinds = {"references": REFERENCES, "either": EITHER, "partners": PARTNERS, "set": SET}
    return next((kind for kind, modules in kinds.items() if module in modules), "nothing")


def check(method: str, module: ModuleType, options: Any, *, references: bool, how: str) -> None:
    """Refuse a request that a method cannot answer, before anything is encoded.

    Parameters
    ----------
    method : str
        Its name, for the message.
    module : module
    options : NamedTuple
        The method's.
    references : bool
        Whether there are any.
    how : str
        How the caller would give them: "references=[...]".

    Raises
    ------
    ValueError
    """
    need = needs(module)
    if need == "references" and not references:
        raise ValueError(f"{method} needs references, at least one normal image: give {how}")
    if need in ("nothing", "set") and references:
        what = "judges each image by itself" if need == "nothing" else "judges the images of a set by each other"
        raise ValueError(f"{method} {what} and takes no references; leave {how} out, or use winclip+ or dual-image")
    if need == "partners" and references and options.references == 0:
        raise ValueError(f"{method} with references=0 is language alone, but {how} is given: drop one of the two")


def draws(module: ModuleType, options: Any, *, references: bool) -> bool:
    """Whether a seed changes the answer: references are drawn from more of them, partners from the set."""
    return references or (needs(module) == "partners" and options.references != 0)


def judged_together(module: ModuleType, options: Any, *, references: bool) -> bool:
    """Whether all images of a set must be encoded before the first can be scored."""
    need = needs(module)
    if need == "either":
        return references and options.image_fusion == "set"
    return need == "set" or (need == "partners" and not references and options.references != 0)


def remembered(module: ModuleType, state: Any, references: Any) -> Any:
    """The context that features of normal references make."""
    if module is patchcore:
        return patchcore.remember(state, references)
    return winclip_plus.remember(references) if module is winclip_plus else references


def score_batches(
    module: ModuleType,
    state: Any,
    batches: Iterable[Any],
    *,
    references: Any = None,
    rng: Any = 0,
    wanted: Callable[[int], bool] = lambda i: True,
) -> Iterator[tuple[int, Prediction]]:
    """Score a set of images, given as the features of its batches.

    Parameters
    ----------
    module : module
        The method's.
    state : its State
    batches : iterable of its Features
        Taken one at a time where each image is judged by itself or by references, else all before the first answer.
    references : its Features, optional
        Of normal images.
    rng : numpy.random.Generator or int
        Draws the partners where a method needs them and there are no references; an int is the seed of one.
    wanted : callable
        Which batches are to be answered, by their numbers. The others still are of the set.

    Yields
    ------
    number of the batch, Prediction

    Raises
    ------
    ValueError
        No references where a method needs them; a set of one image where it needs more; features that do not belong
        together, or lack what the options need.
    """
    context = None if references is None else remembered(module, state, references)
    if not judged_together(module, state.options, references=references is not None):
        for i, features in enumerate(batches):
            if wanted(i):
                yield i, (module.score(state, features) if context is None else module.score(state, features, context))
        return
    parts = list(batches)
    sizes = [count(features) for features in parts]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    if not parts:
        return
    whole = join(parts)
    del parts  # they would hold everything a second time
    if needs(module) != "partners":
        answer: Prediction = module.score(state, whole) if context is None else module.score(state, whole, context)
        for i, (n, z) in enumerate(zip(sizes, ends, strict=True)):
            if wanted(i):
                yield i, Prediction(answer.score[z - n : z], answer.map[z - n : z], answer.geometry[z - n : z])
        return
    others = 1 if state.options.references is None else state.options.references
    if others >= ends[-1]:
        raise ValueError(
            f"each image is compared with {others} other{'s' * (others != 1)} of its set, which has {ends[-1]}: "
            "give more images, or references, normal ones"
        )
    host = xp_of(to_numpy(state.text))  # random numbers are the host's, wherever the model is
    chosen = dual_image.pair(host.random.default_rng(rng), ends[-1], others)
    for i, (n, z) in enumerate(zip(sizes, ends, strict=True)):
        if wanted(i):
            yield i, module.score(state, piece(whole, z - n, z), dual_image.Partners(whole, chosen[z - n : z]))
