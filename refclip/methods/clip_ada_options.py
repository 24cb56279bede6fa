"""What can be chosen of CLIP-ADA, and how its paper is read where our text of it lost numbers and formulas.

No program of it is public. Every row of `DIFFERENCES` is a place where the paper leaves open, or its text has lost,
what must be known; "[I]" there marks what was inferred, from its tables or from the code it builds on.

A model learned with other choices of the first kind, `Options`, is another model: they travel with its file.
"""

from __future__ import annotations

from typing import NamedTuple

from refclip.clip import CLIP
from refclip.methods.clip_ada_learned import Fitted
from refclip.methods.options import check, first_of, side_of
from refclip.methods.patches import layers_of
from refclip.prediction import Difference

MIDDLE = (1 / 2,)  # of the depth: block 6 of ViT-B's 12


class Options(NamedTuple):
    """What can be chosen. None: as it was learned, and in learning the value in brackets.

    Attributes
    ----------
    learned : path or Fitted, optional
        From `refclip train clip-ada` or `clip_ada_fit.fit`. [what is shipped, for refclip-mini]
    template : str, optional
        Equation 1; {} is the place of [CLS] and of the learned vectors.
        ["a photo of a {} with defects for anomaly detection"]
    context : int, optional
        m of equation 2, the number of learned vectors. [4]
    words : str, optional
        Words in their place instead, and nothing learned there: table 4's fixed prompt, whose words are not printed
        ("object", for one). "" for the vectors. [""]
    layer : int, optional
        l, the block whose patch tokens are projected, counted from 1, or from the end: -1 is the last. [the middle
        one, 6 of 12]
    ln_post : bool, optional
        The tower's last layer norm before the projection. [False]
    normalize : bool, optional
        v and t at length 1 in equations 3 and 5, so that v t^T is a cosine. [False]
    scale : {"one", "fixed", "learned"}, optional
        What v t^T is multiplied by before the sigmoid: nothing, `scale_start` throughout, or a number that is learned
        and starts there. ["one"]
    scale_start : float, optional
        A cosine needs one far above 1: times 1, its sigmoid never leaves 0.27..0.73. [1]
    refinements : int, optional
        K, how often the image is refined; in scoring, up to as many as were learned (table 4; table 6 for what they
        cost). [1]
    attend : {"image", "map"}, optional
        Where x meets S: S is enlarged to the image's size; or, after the words "by down-sampling [x] to the size of
        [S]", the image is shrunk to S's, multiplied there, and enlarged again. ["image"]
    attended : {"normalised", "raw"}, optional
        What S multiplies: the pixels as the tower takes them, so that what is not attended to turns into the mean
        colour; or the picture, so that it turns black. ["normalised"]
    strength : {"absolute", "relative"}, optional
        S multiplies as it is; or divided by its largest value in each picture, so that the most suspicious place stays
        as it was. Where all of S is small, as it is where damage is rare in learning, S as it is takes the picture away
        and the second look sees little. ["absolute"]
    end_to_end : bool, optional
        The gradient reaches S_(k-1) through the image tower. False: S_(k-1) is a constant to the next loss. [True]
    size : int, optional
        Side of the input in pixels. [the model's own, 224 for ViT-B/16]
    sigma : float, optional
        Of the Gaussian, as a fraction of the map's side. [4 / 224]
    top : float, optional
        The image's score is the mean of this fraction of the map's pixels, the highest. [500 / 224^2]
    """

    learned: str | Fitted | None = None
    template: str | None = None
    context: int | None = None
    words: str | None = None
    layer: int | None = None
    ln_post: bool | None = None
    normalize: bool | None = None
    scale: str | None = None
    scale_start: float | None = None
    refinements: int | None = None
    attend: str | None = None
    attended: str | None = None
    strength: str | None = None
    end_to_end: bool | None = None
    size: int | None = None
    sigma: float | None = None
    top: float | None = None


DEFAULTS = Options(
    template="a photo of a {} with defects for anomaly detection", context=4, words="", ln_post=False, normalize=False,
    scale="one", scale_start=1.0, refinements=1, attend="image", attended="normalised", strength="absolute",
    end_to_end=True, sigma=4 / 224, top=500 / 224**2,
)  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "scale": ("one", "fixed", "learned"),
    "attend": ("image", "map"),
    "attended": ("normalised", "raw"),
    "strength": ("absolute", "relative"),
}
AT_SCORING = ("learned", "refinements", "sigma", "top")  # the others decide what is learned, and stay

DIFFERENCES = tuple(
    Difference("clip-ada", section, paper, "none published", option, default)
    for section, paper, option, default in (
        ("4.1", "a specific layer l, of low-level and high-level features; its number is lost", "layer",
         "the middle block, 6 of 12 [I]"),
        ("4.1", "a linear projection of F_l; whether a layer norm comes first is not said", "ln_post=True",
         "False: F_l as the block leaves it [I]"),
        ("4.1, 4.2", "D, \"set to 1024 in CLIP\"",
         "none: the joint space of the model", "512 for ViT-B/16: 768 x 512 + 512 are the 0.4 M that table 6 prints "
         "for each projection, and CLIP's text embedding has as many [I]"),
        ("4.2, eq. 1", "the length of the template \"is set to 512\", the width of ViT-B/16's text tower", "none",
         "77 tokens as CLIP has them, of which those after the end change nothing [I]"),
        ("4.2, eq. 2", "m = 4 vectors in the place of [CLS]; how they begin is not said", "context",
         "N(0, 0.02), as CoOp's, which the paper names [I]"),
        ("4.2, eq. 3", "sigmoid of the similarity of v and t; whether they are normalised, and what scales it, is lost "
         "with the formula", "normalize=True, scale='learned' or 'fixed', scale_start",
         "v t^T of any length, times 1: cosines alone would confine the sigmoid to 0.27..0.73 [I]. Where t is long "
         "(some 60 behind refclip-mini) the sigmoid is flat; what is shipped takes cosines"),
        ("4.2, eq. 4", "binary cross-entropy of S and the label, which must come down to S's grid", "mask",
         "'share': how much of a patch the mask covers; 'any' for 1 where it covers any [I]"),
        ("4.3", "element-wise product of S with the input image \"by down-sampling [x] to the size of [S]\", "
         "whose letters our text of it has lost",
         "attend='map'", "'image': S enlarged, bilinear; an image of S's size has no patch [I]"),
        ("4.3", "whether the image is multiplied before or after it is normalised", "attended='raw'",
         "'normalised' [I]"),
        ("4.3", "the initial output \"as an attention map\"; whether it is brought to a range first is not said",
         "strength='relative'", "'absolute': S as it is [I]. Where S is small everywhere, x_1 is all but blank"),
        ("4.4.1", "trained end-to-end", "end_to_end=False", "True, the paper's"),
        ("4.4.2", "a Gaussian filter; no sigma", "sigma", "4 of 224 pixels, PatchCore's [I]"),
        ("4.4.2", "the mean of the top K = 500 scores, of an input of unknown size", "top",
         "500 of 224 x 224 pixels: 1 percent [I]"),
        ("5.1.3", "\"we resize all the images to\", lost", "size", "the model's, 224 for ViT-B/16 [I]"),
        ("5.1.3", "AdamW; the learning rate is lost", "rate",
         "1e-4, DRAEM's, whose code also multiplies by 0.2 twice [I]; decay 0.01, torch's"),
        ("5.1.3", "800 epochs in batches of 16, x 0.2 at 400 and 700 (MVTec AD); 500 in 64, x 0.2 at 250 (VisA)",
         "epochs, batch, drops", "MVTec AD's"),
        ("5.1.3", "pseudo-anomalies as DRAEM's", "probability, turned",
         "DRAEM's: half of the images get one; 3 in 10 are turned by up to 90 degrees first; textures are ours"),
        ("5.3.2, table 4", "a fixed prompt; its words are not printed", "words='object'", "\"\", learned vectors"),
        ("5.3.3, table 5", "the encoders tuned or frozen", "tune, in learning: 'image', 'text', 'both'",
         "'none', the paper's"),
        ("5.3.4, figure 6", "10 to 50 percent of the training images, of each category or of all", "fraction",
         "1; smaller ones are drawn of each category [I]"),
    )
)  # fmt: skip


def settled(clip: CLIP, o: Options) -> Options:
    """The options with what depends on the model chosen for it.

    Raises
    ------
    ValueError
        One has no such value.
    """
    o = first_of(o, Options(scale_start=1.0, strength="absolute"))  # of files from before there was a choice
    check(o, CHOICES)
    size = side_of(clip, o.size)
    if (o.template or "").count("{}") != 1:
        raise ValueError(f"template={o.template!r}: expected a text with one {{}}, the place of what is learned")
    if not o.words and (o.context or 0) < 1:
        raise ValueError(f"context={o.context!r}: expected at least 1 vector, or words in their place")
    if o.refinements is None or o.refinements < 0:
        raise ValueError(f"refinements={o.refinements!r}: expected 0 or more")
    if o.sigma is None or o.sigma < 0:
        raise ValueError(f"sigma={o.sigma!r}: expected a fraction of the side, 0 for no smoothing")
    if o.top is None or not 0 < o.top <= 1:
        raise ValueError(f"top={o.top!r}: expected a fraction of the pixels, above 0")
    if o.scale_start is None or not 0 < o.scale_start < float("inf"):
        raise ValueError(f"scale_start={o.scale_start!r}: expected a finite number above 0")
    depth, layer = len(clip.vision.transformer.blocks), o.layer
    layer = depth + 1 + layer if layer is not None and -depth <= layer < 0 else layer
    layer = layers_of(clip, None if layer is None else (layer,), MIDDLE)[0]
    return o._replace(size=size, layer=layer)
