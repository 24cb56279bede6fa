"""Known pretrained models: what open_clip's tables say of them, for weights without a configuration beside them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from refclip.checkpoint import WeightsError, shown
from refclip.config import Config
from refclip.preprocess import OPENAI_MEAN, OPENAI_STD, Preprocess


class Known(NamedTuple):
    """A model configuration of open_clip. Every head of these is 64 wide, every MLP 4 times its tower."""

    embed: int
    vision: tuple[int, int, int, int]  # width, layers, patch, image
    text: tuple[int, int]  # width, layers
    quick: tuple[str, ...]  # pretrained tags that need QuickGELU
    exact: tuple[str, ...]  # pretrained tags that need exact GELU
    repository: str  # timm's on Hugging Face, before the tag


# From open_clip 3.3.0's model configurations and its table of pretrained weights (`open_clip/pretrained.py`).
LAION = ("laion400m_e31", "laion400m_e32")
METACLIP = ("metaclip_400m", "metaclip_fullcc")
KNOWN = {
    "ViT-B-32": Known(
        512,
        (768, 12, 32, 224),
        (512, 12),
        ("openai", *LAION, *METACLIP),
        ("laion2b_e16", "laion2b_s34b_b79k", "datacomp_xl_s13b_b90k"),
        "vit_base_patch32_clip_224",
    ),
    "ViT-B-16": Known(
        512,
        (768, 12, 16, 224),
        (512, 12),
        ("openai", "dfn2b", *METACLIP),
        (*LAION, "laion2b_s34b_b88k", "datacomp_xl_s13b_b90k"),
        "vit_base_patch16_clip_224",
    ),
    "ViT-B-16-plus-240": Known(640, (896, 12, 16, 240), (640, 12), (), LAION, "vit_base_patch16_plus_clip_240"),
    "ViT-L-14": Known(
        768,
        (1024, 24, 14, 224),
        (768, 12),
        ("openai", "dfn2b", *METACLIP),
        (*LAION, "laion2b_s32b_b82k", "datacomp_xl_s13b_b90k"),
        "vit_large_patch14_clip_224",
    ),
    "ViT-L-14-336": Known(768, (1024, 24, 14, 336), (768, 12), ("openai",), (), "vit_large_patch14_clip_336"),
}
MEAN_STD = {"ViT-L-14/laion2b_s32b_b82k": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}  # trained on pixels in [-1, 1]
IN_REPOSITORY = {"metaclip_2pt5b": "metaclip_fullcc"}  # timm's repositories call one tag otherwise


def from_tag(tag: str) -> Config:
    """Configuration of a known pretrained tag, "MODEL/TAG" as in open_clip: "ViT-B-16-plus-240/laion400m_e31".

    Raises
    ------
    WeightsError
        No such model or tag; the message lists those known.
    """
    asked, _, name = tag.rpartition("/")
    model = asked.removesuffix("-quickgelu")
    if model not in KNOWN:
        raise WeightsError(f"pretrained tag {shown(tag)}: expected MODEL/TAG with MODEL one of {', '.join(KNOWN)}")
    known = KNOWN[model]
    tags = known.quick if asked != model else known.quick + known.exact
    if name not in tags:
        raise WeightsError(f"pretrained tag {shown(tag)}: expected one of {', '.join(tags) or 'none'} for {asked}")
    width, layers, patch, image = known.vision
    text_width, text_layers = known.text
    claims = {
        "embed": known.embed,
        "vision_width": width,
        "vision_layers": layers,
        "vision_mlp": 4 * width,
        "patch": patch,
        "image": image,
        "text_width": text_width,
        "text_layers": text_layers,
        "text_mlp": 4 * text_width,
        "context": 77,
        "vocabulary": 49408,
    }
    mean, std = MEAN_STD.get(f"{model}/{name}", (OPENAI_MEAN, OPENAI_STD))
    preprocess = Preprocess((image, image), mean=mean, std=std)
    activation = "quick_gelu" if name in known.quick else "gelu"
    return Config(width // 64, text_width // 64, activation, preprocess, claims, f"the tag {model}/{name}")


def tag_in_name(path: Path) -> str | None:
    """The pretrained tag that the weights' folder is named after, if any.

    timm's repositories on Hugging Face are named MODEL.TAG. The folder is one of that name, or a snapshot in the hub's
    own cache: `models--timm--MODEL.TAG/snapshots/REVISION`.
    """
    folder = path.absolute().parent
    name = folder.name
    if folder.parent.name == "snapshots":
        name = folder.parent.parent.name.removeprefix("models--timm--")
    repository, _, end = name.partition(".")
    end = IN_REPOSITORY.get(end, end)
    for model, known in KNOWN.items():
        if repository == known.repository and end in known.quick + known.exact:
            return f"{model}/{end}"
    return None
