"""What can be chosen of VAND, and where its program does otherwise than others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from refclip.clip import CLIP
from refclip.frozen import Recipe
from refclip.methods import options
from refclip.methods.patches import layers_of
from refclip.methods.vand_learned import Fitted
from refclip.prediction import Difference
from refclip.prompts import States

FRACTIONS = (1 / 4, 1 / 2, 3 / 4, 1)  # blocks 6, 12, 18, 24 of ViT-L's 24


class Options(NamedTuple):
    """What can be chosen. None: as the projections were learned, and in learning the program's value, in brackets.

    Attributes
    ----------
    learned : path or Fitted, optional
        From `refclip train vand` or `vand_fit.fit`. [what is shipped, for refclip-mini]
    layers : tuple of int, optional
        Blocks, counted from 1, with a projection each. [6, 12, 18, 24 of 24]
    memory_layers : tuple of int, optional
        Blocks whose tokens are compared with references. [6, 12, 18, 24 of 24]
    size : int, optional
        Side of the input in pixels. [518 for ViT-L-14-336, the model's own for others]
    states : str or States, optional
        State words: a published list's name (`prompts.STATES`) or one's own. ["vand"]
    templates : str or tuple of str, optional
        A published list's name (`prompts.TEMPLATES`) or one's own. ["vand"]
    normalize_prompts : bool, optional
        Scale each prompt's embedding to length 1 before the mean. [True]
    temperature : float or "clip", optional
        The program's 100 is 1 / 0.01. [0.01]
    softmax : {"after", "before"}, optional
        Upsample logits and take the softmax of each pixel; or take that of each patch and upsample it, as AnomalyCLIP's
        program does. ["after"]
    aligned : bool, optional
        Upsample with the corners of both grids in one place (align_corners). [True]
    image_fusion : {"bound", "set", "text"}, optional
        With references, p(abnormal) is averaged with the map's maximum, brought to 0..1: divided by what its terms can
        add up to, 1 for each projection and 2 for each memory ("bound"); or, as the program does, by the least and the
        greatest maximum of the images that are scored in one call ("set"). "text": p(abnormal) alone. ["bound"]
    underscores : bool, optional
        Keep the underscores of an object's name. [True]
    resize : {"squash", "shortest", "longest"}, optional
        How an image becomes square. ["squash"]
    """

    learned: str | Fitted | None = None
    layers: tuple[int, ...] | None = None
    memory_layers: tuple[int, ...] | None = None
    size: int | None = None
    states: str | States | None = None
    templates: str | tuple[str, ...] | None = None
    normalize_prompts: bool | None = None
    temperature: float | str | None = None
    softmax: str | None = None
    aligned: bool | None = None
    image_fusion: str | None = None
    underscores: bool | None = None
    resize: str | None = None


DEFAULTS = Options(
    states="vand", templates="vand", normalize_prompts=True, temperature=0.01, softmax="after", aligned=True,
    image_fusion="bound", underscores=True, resize="squash",
)  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "softmax": ("after", "before"),
    "image_fusion": ("bound", "set", "text"),
    "resize": ("squash", "shortest", "longest"),
}

DIFFERENCES = tuple(
    Difference("vand", *row)
    for row in (
        ("few-shot", "(the report's text was not at hand)",
         "the map's maximum is scaled to 0..1 by the least and the greatest of all test images of its class: an "
         "image's score depends on which others are tested", "image_fusion='set'",
         "'bound': divided by what its terms can add up to, so that an image can be scored alone"),
        ("model", "OpenAI's weights, trained with QuickGELU",
         "a size other than the configuration's rebuilds the model without quick_gelu: exact GELU",
         "weights loaded with exact GELU (`refclip.load`)", "the activation of the weights"),
        ("model", "-", "features in half precision (autocast)", "none", "the model's; kept in half for learning"),
        ("maps", "-", "softmax after upsampling, corners aligned; AnomalyCLIP's program: softmax first, not aligned",
         "softmax='before', aligned=False for AnomalyCLIP's way", "the program's"),
        ("maps", "-", "100 in place of the model's logit scale; the same for OpenAI's weights, which were held at 100",
         "temperature='clip'", "0.01"),
        ("training", "-", "the test split of MVTec AD (3 epochs) or VisA (15); some of MVTec AD's images, 1 in 5, are "
         "four of a class side by side (aug_rate 0.2)", "epochs; nothing is put side by side",
         "15 epochs of single images: each is encoded once"),
        ("training", "-", "the mask is resized bilinear by Pillow and cut at 0.5", "mask_share",
         "0.5 of a pixel's area: the same to half a pixel, of any size of mask"),
    )
)  # fmt: skip


def settled(clip: CLIP, o: Options) -> Options:
    """The options with what depends on the model chosen for it.

    Raises
    ------
    ValueError
        One has no such value.
    """
    options.check(o, CHOICES)
    size = options.side_of(clip, o.size, enlarged=True)
    layers, memory = (layers_of(clip, some, FRACTIONS) for some in (o.layers, o.memory_layers))
    return o._replace(size=size, layers=layers, memory_layers=memory)


def recipe_of(o: Options, layers: Iterable[int]) -> Recipe:
    """What is read of an image."""
    side = o.size or 0
    return Recipe(tuple(sorted(layers)), (side, side), space="raw", resize=o.resize or "")


def restored(stored: dict[str, Any]) -> Options:
    """Options as a file keeps them, with the tuples and the states that JSON made lists and objects of."""
    o = options.restored(Options(), stored)
    words: Any = o.states
    return o._replace(states=States(*(tuple(words[k]) for k in States._fields))) if isinstance(words, dict) else o
