"""What can be chosen of AnomalyCLIP, and where its paper and its program part ways.

Appendix A.1 and section 4.1; the tables and figures that each option reaches stand beside it.
"""

from __future__ import annotations

from typing import NamedTuple

from refclip.clip import CLIP
from refclip.frozen import OWN, PATHS, Recipe
from refclip.methods.anomalyclip_learned import Fitted
from refclip.methods.options import check, side_of
from refclip.methods.patches import layers_of
from refclip.prediction import Difference

FRACTIONS = (1 / 4, 1 / 2, 3 / 4, 1)  # blocks 6, 12, 18, 24 of ViT-L's 24
OBJECT = "object"


class Options(NamedTuple):
    """What can be chosen. None: as the prompts were learned, and in learning the paper's value, in brackets.

    Attributes
    ----------
    learned : path or Fitted, optional
        From `refclip train anomalyclip`, `anomalyclip_fit.fit`, or `anomalyclip_pth.convert`. [what is shipped, for
        refclip-mini]
    object : {"object", "name"}, optional
        What the prompts call the thing: "object", whatever it is; or its name, figure 5 (in learning too) and figure 9
        (in scoring alone). ["object"]
    attention : str, optional
        Of the path that patch tokens are taken from: "v-v", "q-q", "k-k" or "q-k" beside the tower's own, or "own", the
        tower's own (tables 4 and 7 without T1; table 10's Q-K, whose figures are the same). Several with commas
        between: the mean of their logits (table 10). ["v-v"]
    dpam_from : int, optional
        First block with that path, counted from 1. [6 of 24, as much of another tower]
    layers : tuple of int, optional
        Blocks whose patch tokens make the map, counted from 1 (figure 8 d; the last alone: tables 4 and 7, without T4).
        [6, 12, 18, 24 of 24]
    size : int, optional
        Side of the input in pixels. [518 for ViT-L-14-336, the model's own for others]
    class_norm : bool, optional
        ln_post before the class token is projected; the program leaves it out. [True]
    positions : {"bilinear", "bicubic"}, optional
        How position embeddings are resized: bilinear without antialias, as the program does, or bicubic with, as
        open_clip does. ["bilinear"]
    temperature : float or "clip", optional
        tau. [0.07]
    sigma : float, optional
        Of the Gaussian, as a fraction of the map's side. [4 / 518]
    underscores : bool, optional
        Keep the underscores of a name, where the prompts say it. [True]
    resize : {"squash", "shortest", "longest"}, optional
        How an image becomes square. ["squash"]
    """

    learned: str | Fitted | None = None
    object: str | None = None
    attention: str | None = None
    dpam_from: int | None = None
    layers: tuple[int, ...] | None = None
    size: int | None = None
    class_norm: bool | None = None
    positions: str | None = None
    temperature: float | str | None = None
    sigma: float | None = None
    underscores: bool | None = None
    resize: str | None = None


DEFAULTS = Options(
    object=OBJECT, attention="v-v", class_norm=True, positions="bilinear", temperature=0.07, sigma=4 / 518,
    underscores=True, resize="squash",
)  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "object": (OBJECT, "name"),
    "positions": ("bilinear", "bicubic"),
    "resize": ("squash", "shortest", "longest"),
}

DIFFERENCES = tuple(
    Difference("anomalyclip", *row)
    for row in (
        ("3.3, eq. 3", "learned tokens are concatenated with the text's in each layer",
         "they overwrite the tokens after the start; 8 insertions for depth 9, as equation 3 has it",
         "Design.tuning: 'concatenate' for the paper's",
         "'overwrite': the paper's numbers are of it (issue 75), and the paper leaves positions and mask open"),
        ("3.3, eq. 2", "lambda = 1 (appendix A.1)",
         "4 since April 2025, with layer 24 alone: as much weight as four layers", "Training.lam: 4", "1, the paper's"),
        ("A.1", "layers 6, 12, 18, 24",
         "until April 2025 four copies of layer 24, an error (issues 18, 64), with which the published prompts were "
         "learned; since then layer 24 alone", "layers=(24,) for the published prompts", "6, 12, 18, 24, the paper's"),
        ("3.3", "Dice loss of Li et al. 2019, with squares below", "plain sums below",
         "Training.dice: 'squared' for Li et al.'s",
         "'plain': the paper's numbers are of it"),
        ("3.3", "focal loss of Lin et al. 2017, no constants",
         "gamma 2, alpha 1; the target clamped and the probability lifted by 1e-5", "Training.gamma, Training.alpha",
         "2 and 1, the program's"),
        ("2, eq. 1", "the class token is CLIP's visual embedding",
         "projected without ln_post (issue 14: no effect, its author says)", "class_norm=False", "True, CLIP's"),
        ("3.2", "[V_1] ... [V_E] [object]", "a full stop after it", "Design.stop: False for none",
         "True: the paper's numbers are of it"),
        ("2, eq. 1", "tau, no value", "0.07; CLIP's own is 0.01", "temperature='clip'", "0.07"),
        ("A.1", "input of 518 pixels; how positions get there is not said",
         "bilinear, without antialias; open_clip: bicubic, with", "positions='bicubic'", "'bilinear'"),
        ("A.1", "Adam, learning rate 0.001", "betas 0.5 and 0.999", "Training.betas", "(0.5, 0.999)"),
        ("4.1", "learned on the test data of another set", "the same: the test split, with its masks",
         "the folder that is given", "its test split"),
        ("A.1", "-", "masks are resized bilinear by Pillow and cut at 0.5", "Training.mask_share",
         "0.5 of a pixel's area: the same to half a pixel, of any size of mask"),
        ("A.1", "-", "the tokens of the layers are cast to half precision and back", "none",
         "the model's precision; features are kept in half (`features_cache`)"),
        ("D, table 10", "the logits of several kinds of attention are averaged", "not in the program",
         "attention='q-q,k-k,v-v'", "'v-v'"),
    )
)  # fmt: skip


def settled(clip: CLIP, o: Options) -> Options:
    """The options with what depends on the model chosen for it.

    Raises
    ------
    ValueError
        One has no such value.
    """
    check(o, CHOICES)
    size, depth = side_of(clip, o.size, enlarged=True), len(clip.vision.transformer.blocks)
    start = max(1, int(depth / 4 + 0.5)) if o.dpam_from is None else o.dpam_from
    paths = paths_of(o)
    layers = layers_of(clip, o.layers, FRACTIONS)
    if not 1 <= start <= depth or any(path not in PATHS for path in paths) or len(set(paths)) < len(paths):
        raise ValueError(
            f"attention={o.attention!r} from block {start}: expected different ones of {', '.join(PATHS)}, with commas "
            f"between, from a block of 1 to {depth}"
        )
    if (early := [n for n in layers if n < start]) and paths != (OWN,):
        raise ValueError(f"layers {early} lie before the path beside the tower's own, which begins in block {start}")
    if o.sigma is None or o.sigma < 0:
        raise ValueError(f"sigma={o.sigma!r}: expected a fraction of the side, 0 for no smoothing")
    return o._replace(size=size, dpam_from=start, layers=layers)


def paths_of(o: Options) -> tuple[str, ...]:
    """The paths whose logits are averaged."""
    return tuple(part.strip() for part in (o.attention or "").split(","))


def spoken(name: str | None, o: Options) -> str:
    """What the prompts call an object."""
    if o.object == OBJECT or name is None:
        return OBJECT
    return name if o.underscores else name.replace("_", " ")


def recipe_of(o: Options) -> Recipe:
    """What is read of an image."""
    side, bilinear = o.size or 0, o.positions == "bilinear"
    return Recipe(
        layers=o.layers or (), size=(side, side), paths=paths_of(o), start=(o.dpam_from or 1) - 1,
        class_norm=bool(o.class_norm), resize=o.resize or "", interpolation=o.positions or "", antialias=not bilinear,
    )  # fmt: skip
