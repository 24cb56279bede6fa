"""What can be chosen in Dual-Image Enhanced CLIP, why, and what it says to CLIP (the paper's supplement, section 2)."""

from __future__ import annotations

from typing import Any, NamedTuple

from refclip.prediction import Difference
from refclip.prompts import WINCLIP_TEMPLATES_B, States


class Options(NamedTuple):
    """What can be chosen. Each default is the paper's; where it is silent, ours, and the reason is given.

    Attributes
    ----------
    states : str or States
        State words: a published list's name (`prompts.STATES`) or one's own. The paper's are AnoVL's.
    templates : str or tuple of str
        "dual-image": the supplement's 22 with a domain in each (`domain_templates`); else another of
        `prompts.TEMPLATES`, or one's own, and `domains` and `an` have no say.
    domains : str or tuple of str
        Words for "[d]": "surface" (industrial, textural, surface), "object" (industrial, manufacturing), or one's own;
        "auto" tells them by the object's name: carpet, leather, grid, tile and wood are surfaces.
    an : bool
        "an industrial photo", as AnoVL's code has it. False fills the supplement's "a [d] photo" as it stands.
    normalize_prompts : bool
        Scale each prompt's embedding to length 1 before the mean. Paper: "averaged"; AnoVL's code does not.
    temperature : float or "clip"
        tau of equation 1, which the paper does not state; "clip" is the model's own, about 0.01.
    patch_temperature : float or "clip", optional
        tau of equation 3; by default that of equation 1, as both are written with one letter. It decides how far A^L
        ranges, and with it the balance between A^V, which has no tau, and A^L. AnoVL's code: 1, for class and patch
        tokens; as cosines with the two states differ by hundredths, A^L is then near 0.5 throughout, and A^V decides.
    variant : {"v-v", "q-q", "k-k"}
        Attention of the path that patch tokens come from (section 3.1).
    first_block : int
        Where that path begins, counted from 0. AnoVL's code: all blocks.
    references : int, optional
        Use the first so many of a context's references (figure 5 a: 0 to 7); by default all. 0 is language alone.
    join : {"union", "mean"}
        Several references: search equation 5's minimum in all at once, or average the map of each.
    lambda1 : float
        Weight of A^V in the map (equation 12; supplement, table 1).
    lambda2 : float
        Weight of A^L, or A^T, in the map. 0 leaves A^V alone; 1, as lambda1, is equation 6.
    lambda3 : float
        Weight of the class token in the image's score (equation 13; supplement, table 2).
    lambda4 : float
        Weight of max A^V in the image's score.
    lambda5 : float
        Weight of max A^L, or max A^T, in the image's score.
    pool : int
        Average the map over so many patches a side. AnoVL's code: 3; the paper does not say, so 1. Equation 13's
        maxima are taken before.
    align_corners : bool
        How the map is brought from patches to pixels. AnoVL's code: True.
    resize : {"squash", "shortest", "longest", "tiles"}
        How an image becomes square. "tiles", for VisA: its short side brought to size, as few tiles as cover it, and
        the map, averaged where they overlap, squashed to the model's size (`on_original` undoes it). A reference is
        the union of its tiles' tokens.
    interpolation : {"bilinear", "bicubic"}
        Of that resize. Supplement, section 1, and AnoVL's code: bilinear, where CLIP was trained with bicubic.
    tile_score : {"mean", "max"}
        How the class tokens of an image's tiles make one A_cls^L; the paper does not say. Equation 13's other maxima
        are over the patches of all tiles.
    underscores : bool
        Keep the underscores of an object's name, as published code does.
    """

    states: str | States = "anovl"
    templates: str | tuple[str, ...] = "dual-image"
    domains: str | tuple[str, ...] = "auto"
    an: bool = True
    normalize_prompts: bool = False
    temperature: float | str = 0.07
    patch_temperature: float | str | None = None
    variant: str = "v-v"
    first_block: int = 0
    references: int | None = None
    join: str = "union"
    lambda1: float = 1.0
    lambda2: float = 1.5
    lambda3: float = 1.0
    lambda4: float = 1.0
    lambda5: float = 1.0
    pool: int = 1
    align_corners: bool = False
    resize: str = "squash"
    interpolation: str = "bilinear"
    tile_score: str = "mean"
    underscores: bool = True


CHOICES: dict[str, tuple[Any, ...]] = {
    "variant": ("v-v", "q-q", "k-k"),
    "join": ("union", "mean"),
    "resize": ("squash", "shortest", "longest", "tiles"),
    "interpolation": ("bilinear", "bicubic"),
    "tile_score": ("mean", "max"),
}

SURFACES = ("carpet", "leather", "grid", "tile", "wood")  # MVTec AD's textures
DOMAINS = {"surface": ("industrial", "textural", "surface"), "object": ("industrial", "manufacturing")}


def domain_templates(name: str | None, domains: str | tuple[str, ...] = "auto", *, an: bool = True) -> tuple[str, ...]:
    """The supplement's templates: list B of `prompts` with each domain before "photo" (or "cropped", or "close-up").

    Raises
    ------
    ValueError
        No such domains.

    Examples
    --------
    >>> domain_templates("bottle")[1:5:3]
    ('an industrial cropped photo of a {}', 'a bright industrial photo of a {}')
    """
    kind: Any = domains
    if domains == "auto":
        kind = "surface" if (name or "").lower() in SURFACES else "object"
    if isinstance(kind, str) and kind not in DOMAINS:
        raise ValueError(f"domains={domains!r}: expected 'auto', 'surface', 'object', or a tuple of words")
    return tuple(_with_domain(t, d, an) for d in DOMAINS.get(kind, kind) for t in WINCLIP_TEMPLATES_B)


def _with_domain(template: str, domain: str, an: bool) -> str:
    noun = next(n for n in ("cropped photo", "close-up photo", "photo") if n in template)
    filled = template.replace(noun, f"{domain} {noun}", 1)
    vowel = an and domain[:1].lower() in tuple("aeiou")
    return filled.replace(f"a {domain}", f"an {domain}", 1) if vowel and filled.startswith(f"a {domain}") else filled


DIFFERENCES = tuple(
    Difference("dual-image", *row)
    for row in (
        ("3.1, eq. 1-3", "softmax of <v, t> / tau, no value of tau",
         "AnoVL: raw cosines, tau = 1, for class and patch tokens: p is near 0.5, and weighs little beside A^V",
         "temperature=1 patch_temperature=1",
         "0.07 for both, as WinCLIP's codes have: our choice, untried on real weights"),
        ("3.1, eq. 4", "V^l from V^(l-1): the v-v path listens to itself",
         "AnoVL, as CLIP Surgery and AnomalyCLIP: each block's values come from the original path, no MLP",
         "none: the towers have the code's path", "the code's"),
        ("3.1", "\"same with AnoCLIP\"; where the v-v path begins is not said", "AnoVL: at the first block",
         "first_block=0", "0, the code's"),
        ("3.2, fig. 5 a", "0 to 7 references, how several are joined is not said", "none published", "join='mean'",
         "'union': S_r of equation 5 is a set of tokens"),
        ("3.2", "a randomly paired reference for each query; whether pairs are mutual is not said", "none published",
         "`pair` draws for every image its own; any others through `Partners`", "independent draws"),
        ("3.3, eq. 12, 13", "written with A^T; what \"Ours\", without adaptation, puts in its place is not said",
         "none published", "lambda2=1 for equation 6", "A^L with the weights of A^T"),
        ("3.1, eq. 2, 5", "A in R^(H x W), how it is enlarged is not said",
         "AnoVL: 3 x 3 mean of the patches, then bilinear with corners aligned", "pool=3 align_corners=True",
         "no mean, corners not aligned, as in the other methods"),
        ("5.3, table 3", "language alone: whether max A_loc^L of equation 13 joins the class token's score is not said",
         "none published", "references=0 lambda5=0 for the class token alone", "references=0: it joins"),
        ("4", "one view of each image (table 3, language alone: image AUROC 91.6)",
         "AnoVL: the class token's mean over 22 views (its paper: 92.5)", "none here", "one view"),
        ("supplement 1", "bilinear resize to a height of 240; OpenCLIP's preprocessing (main text), which is bicubic",
         "AnoVL: squashed to 240 x 240, bilinear", "interpolation='bicubic'", "'bilinear'"),
        ("supplement 1", "VisA: two tiles of 240 x 240, overlap averaged; the class token of two tiles is not said",
         "AnoVL: the same for VisA", "resize='tiles', tile_score='max'",
         "'squash', as for MVTec AD; with tiles the mean of the class tokens' scores"),
        ("supplement 2", "a [d] photo of a [s]; d: industrial, textural, surface, manufacturing",
         "AnoVL: other phrases (industrial photo, industrial image, manufacturing image; surface picture), and \"an\"",
         "an=False; other phrases: templates=(...)", "the paper's words, with \"an\""),
        ("supplement 2", "averaged text tokens", "AnoVL: mean of embeddings of any length", "normalize_prompts=True",
         "False"),
    )
)  # fmt: skip
