"""AnoVL's prompts: the sentences of `prompts`, in the words of the domain that the image comes from.

AnoVL calls them "domain-aware": the word "photo" of the 22 base templates becomes, three times over, a phrase for
pictures of surfaces or of manufactured things. With the 7 states of each kind that is 66 x 7 = 462 prompts a side.
The phrases and the 22 are those of the published program (hq-deng/AnoVL, prompt_ensemble.py), as facts.
"""

from __future__ import annotations

from refclip.prompts import TEMPLATES, WINCLIP_TEMPLATES_B

TEXTURES = ("carpet", "leather", "grid", "tile", "wood")  # MVTec AD's; any other name is an object's
TEXTURE_PHRASES = ("industrial photo", "textural photo", "surface picture")
OBJECT_PHRASES = ("industrial photo", "industrial image", "manufacturing image")
RENAMED = {"macaroni1": "macaroni", "macaroni2": "macaroni"}  # folders of VisA whose number is no word


def in_domain(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """The 22 templates with "photo" replaced by each phrase in turn, "a" made "an" where it must be.

    Examples
    --------
    >>> in_domain(("industrial photo",))[12]
    'an industrial photo of a {}'
    """
    return tuple(
        template.replace("photo", phrase).replace("a industrial", "an industrial")
        for phrase in phrases
        for template in WINCLIP_TEMPLATES_B
    )


DOMAINS = {"anovl-textures": in_domain(TEXTURE_PHRASES), "anovl-objects": in_domain(OBJECT_PHRASES)}  # 66 each


def domain_templates(templates: str | tuple[str, ...], name: str | None) -> tuple[str, ...]:
    """Templates for an object: "anovl" (which of the two lists, its name decides), a published list, or one's own.

    Raises
    ------
    ValueError
        No list of that name.
    """
    if not isinstance(templates, str):
        return tuple(templates)
    if templates == "anovl":
        templates = "anovl-textures" if name in TEXTURES else "anovl-objects"
    known = DOMAINS | TEMPLATES
    if templates not in known:
        raise ValueError(f"templates {templates!r}: expected one of anovl, {', '.join(known)}, or a list of templates")
    return known[templates]
