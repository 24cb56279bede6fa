"""What the detectors say to CLIP: words for the two states of an object, times templates for the photograph.

WinCLIP (Jeong et al., CVPR 2023), section 4.1, "compositional prompt ensemble": every state word is set into every
template, and the text embeddings of a state are averaged into one prototype. The lists are in the paper's supplement,
figure 6; here they are as the published programs have them, which differ, so each list has a name of its own.

A `{}` in a state stands for the object's name, a `{}` in a template for the state. Braces are replaced as text and
never formatted, so words from a file can do nothing but be words.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple


class States(NamedTuple):
    """Words for a normal and for an abnormal object, each with one `{}` for its name."""

    normal: tuple[str, ...]
    abnormal: tuple[str, ...]


class Prompts(NamedTuple):
    """Composed prompts. Their embeddings are averaged, so a prompt that stands twice counts twice."""

    normal: tuple[str, ...]
    abnormal: tuple[str, ...]


def _listed(block: str) -> tuple[str, ...]:
    return tuple(" ".join(block.split()).split(" | "))


# WinCLIP's, as in zqhang/Accurate-WinCLIP-pytorch, anomalib and caoyunkang/WinClip
WINCLIP_STATES = States(
    normal=_listed(
        "{} | flawless {} | perfect {} | unblemished {} | {} without flaw | {} without defect | {} without damage"
    ),
    abnormal=_listed("damaged {} | {} with flaw | {} with defect | {} with damage"),
)

# hq-deng/AnoVL; the same words, in another order, in the supplement of Dual-Image Enhanced CLIP, section 2
ANOVL_STATES = States(
    normal=("normal {}", *WINCLIP_STATES.normal[1:]),
    abnormal=("damaged {}", "abnormal {}", "imperfect {}", "blemished {}", *WINCLIP_STATES.abnormal[1:]),
)

# ByChelsea/VAND-APRIL-GAN
VAND_STATES = States(WINCLIP_STATES.normal, ("damaged {}", "broken {}", *WINCLIP_STATES.abnormal[1:]))

# The two words of WinCLIP's baseline "CLIP-AC" (its section 4.1, table 3 "Two-class")
CLIP_AC_STATES = States(("normal {}",), ("anomalous {}",))

# The baseline that AnomalyCLIP's appendix A.2 calls "CLIP": other words than WinCLIP's, and whole sentences, so BARE
ANOMALYCLIP_CLIP_STATES = States(("A photo of a normal {}",), ("A photo of an anomalous {}",))

# No template: the state alone
BARE = ("{}",)

# caoyunkang/WinClip: 22 templates, no full stop
WINCLIP_TEMPLATES_B = _listed("""
    a cropped photo of the {} | a cropped photo of a {} | a close-up photo of a {} |
    a close-up photo of the {} | a bright photo of a {} | a bright photo of the {} |
    a dark photo of the {} | a dark photo of a {} | a jpeg corrupted photo of a {} |
    a jpeg corrupted photo of the {} | a blurry photo of the {} | a blurry photo of a {} | a photo of a {} |
    a photo of the {} | a photo of a small {} | a photo of the small {} | a photo of a large {} |
    a photo of the large {} | a photo of the {} for visual inspection |
    a photo of a {} for visual inspection | a photo of the {} for anomaly detection |
    a photo of a {} for anomaly detection
""")

# zqhang/Accurate-WinCLIP-pytorch and anomalib: 21. Against list B: full stops, no "a cropped photo of a {}", and
# "a jpeg corrupted photo of the {}." twice, where B has "a" and "the". The slip is kept: it weights the mean.
WINCLIP_TEMPLATES_A = tuple(
    template.replace("jpeg corrupted photo of a", "jpeg corrupted photo of the") + "."
    for template in WINCLIP_TEMPLATES_B
    if template != "a cropped photo of a {}"
)


# OpenAI's 80 for ImageNet (openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb), in the order of
# open_clip's zero_shot_metadata.py; with CLIP_AC_STATES, the row "+ Prompt ens." of WinCLIP's table 1
IMAGENET_TEMPLATES = _listed("""
    a bad photo of a {}. | a photo of many {}. | a sculpture of a {}. | a photo of the hard to see {}. |
    a low resolution photo of the {}. | a rendering of a {}. | graffiti of a {}. | a bad photo of the {}. |
    a cropped photo of the {}. | a tattoo of a {}. | the embroidered {}. | a photo of a hard to see {}. |
    a bright photo of a {}. | a photo of a clean {}. | a photo of a dirty {}. | a dark photo of the {}. |
    a drawing of a {}. | a photo of my {}. | the plastic {}. | a photo of the cool {}. |
    a close-up photo of a {}. | a black and white photo of the {}. | a painting of the {}. |
    a painting of a {}. | a pixelated photo of the {}. | a sculpture of the {}. |
    a bright photo of the {}. | a cropped photo of a {}. | a plastic {}. | a photo of the dirty {}. |
    a jpeg corrupted photo of a {}. | a blurry photo of the {}. | a photo of the {}. |
    a good photo of the {}. | a rendering of the {}. | a {} in a video game. | a photo of one {}. |
    a doodle of a {}. | a close-up photo of the {}. | a photo of a {}. | the origami {}. |
    the {} in a video game. | a sketch of a {}. | a doodle of the {}. | a origami {}. |
    a low resolution photo of a {}. | the toy {}. | a rendition of the {}. | a photo of the clean {}. |
    a photo of a large {}. | a rendition of a {}. | a photo of a nice {}. | a photo of a weird {}. |
    a blurry photo of a {}. | a cartoon {}. | art of a {}. | a sketch of the {}. | a embroidered {}. |
    a pixelated photo of a {}. | itap of the {}. | a jpeg corrupted photo of the {}. |
    a good photo of a {}. | a plushie {}. | a photo of the nice {}. | a photo of the small {}. |
    a photo of the weird {}. | the cartoon {}. | art of the {}. | a drawing of the {}. |
    a photo of the large {}. | a black and white photo of a {}. | the plushie {}. | a dark photo of a {}. |
    itap of a {}. | graffiti of the {}. | a toy {}. | itap of my {}. | a photo of a cool {}. |
    a photo of a small {}. | a tattoo of the {}.
""")

# ByChelsea/VAND-APRIL-GAN: 30 of ImageNet's and 5 sentences
VAND_TEMPLATES = _listed("""
    a bad photo of a {}. | a low resolution photo of the {}. | a bad photo of the {}. |
    a cropped photo of the {}. | a bright photo of a {}. | a dark photo of the {}. | a photo of my {}. |
    a photo of the cool {}. | a close-up photo of a {}. | a black and white photo of the {}. |
    a bright photo of the {}. | a cropped photo of a {}. | a jpeg corrupted photo of a {}. |
    a blurry photo of the {}. | a photo of the {}. | a good photo of the {}. | a photo of one {}. |
    a close-up photo of the {}. | a photo of a {}. | a low resolution photo of a {}. |
    a photo of a large {}. | a blurry photo of a {}. | a jpeg corrupted photo of the {}. |
    a good photo of a {}. | a photo of the small {}. | a photo of the large {}. |
    a black and white photo of a {}. | a dark photo of a {}. | a photo of a cool {}. |
    a photo of a small {}. | there is a {} in the scene. | there is the {} in the scene. |
    this is a {} in the scene. | this is the {} in the scene. | this is one {} in the scene.
""")

# By published name, for the command line
STATES = {
    "winclip": WINCLIP_STATES,
    "anovl": ANOVL_STATES,
    "vand": VAND_STATES,
    "clip-ac": CLIP_AC_STATES,
    "anomalyclip-clip": ANOMALYCLIP_CLIP_STATES,
}
TEMPLATES = {
    "winclip-a": WINCLIP_TEMPLATES_A,
    "winclip-b": WINCLIP_TEMPLATES_B,
    "imagenet": IMAGENET_TEMPLATES,
    "vand": VAND_TEMPLATES,
    "bare": BARE,
}


def compose(name: str | None, states: States, templates: Iterable[str], *, underscores: bool = True) -> Prompts:
    """Every state of an object in every template (WinCLIP, section 4.1).

    Parameters
    ----------
    name : str or None
        The object's name, ``"bottle"``. None says ``"object"``, as the paper does where no name is known.
    states : States
        Words with one `{}` each, for the name.
    templates : iterable of str
        Sentences with one `{}` each, for the state.
    underscores : bool
        True keeps the underscores of folder names such as ``"metal_nut"`` (the published programs set class names as
        they are; the paper does not say). False makes them spaces.

    Returns
    -------
    Prompts
        State by state: prompt ``s * len(templates) + t`` is state `s` in template `t`. Duplicates stay. WinCLIP's
        states give 147 normal and 84 abnormal prompts with templates A, 154 and 88 with B.

    Raises
    ------
    ValueError
        A name, state or template that cannot be composed; the text says which and why.

    Examples
    --------
    >>> compose("bottle", CLIP_AC_STATES, ["a photo of the {}."])
    Prompts(normal=('a photo of the normal bottle.',), abnormal=('a photo of the anomalous bottle.',))
    """
    name = "object" if name is None else name
    if not isinstance(name, str) or not name.strip() or "{" in name or "}" in name or _half_characters(name):
        raise ValueError(f"object name is {name!r}; expected a word without braces, or None for 'object'")
    if not underscores:
        name = name.replace("_", " ")
    normal, abnormal = _checked(states.normal, "states.normal"), _checked(states.abnormal, "states.abnormal")
    sentences = _checked(templates, "templates")

    def fill(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(t.replace("{}", w.replace("{}", name)) for w in words for t in sentences)

    return Prompts(fill(normal), fill(abnormal))


def extend(states: States, normal: Iterable[str] = (), abnormal: Iterable[str] = ()) -> States:
    """States with more words at the end: what is known of an object's defects.

    WinCLIP's "task-specific state words" (section 4.1, table 7), such as "bad soldering" on a circuit board.

    Raises
    ------
    ValueError
        A word without exactly one `{}`.

    Examples
    --------
    >>> extend(CLIP_AC_STATES, abnormal=["{} with bad soldering"]).abnormal
    ('anomalous {}', '{} with bad soldering')
    """
    more = [_checked(words, key, empty=True) for key, words in (("normal", normal), ("abnormal", abnormal))]
    return States(tuple(states.normal) + more[0], tuple(states.abnormal) + more[1])


def read_states(path: str | os.PathLike[str]) -> tuple[States, tuple[str, ...] | None]:
    """State words, and templates if there are any, from a JSON or TOML file of one's own.

    The file has the keys "normal" and "abnormal", and "templates" if the method's own are not wanted, each a list of
    strings with one `{}`: ``{"normal": ["flawless {}"], "abnormal": ["{} with a dent"]}``.

    Returns
    -------
    states : States
    templates : tuple of str, or None where the file has no such key

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        Its content cannot be used; the text names the file, the key, what was found and what was expected.
    """
    path = Path(path)
    table = _parsed(path)
    if not isinstance(table, dict):
        raise ValueError(f'{path}: found {_kind(table)} at the top, expected an object: {{"normal": [...], ...}}')
    if unknown := sorted(set(table).difference(("normal", "abnormal", "templates"))):
        raise ValueError(
            f"{path}: unknown key {unknown[0]!r}; expected 'normal', 'abnormal' and, if wanted, 'templates'"
        )
    for key in ("normal", "abnormal"):
        if key not in table:
            raise ValueError(f"{path}: no key {key!r}; add it with a list of strings such as 'flawless {{}}'")
    lists = {key: _checked(words, f"{path}: {key}") for key, words in table.items()}
    return States(lists["normal"], lists["abnormal"]), lists.get("templates")


def _parsed(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix not in (".json", ".toml"):
        raise ValueError(f"{path}: found suffix {suffix!r}, expected .json or .toml; rename the file to say what it is")
    try:
        # -sig: some editors begin a file with a byte-order mark, which neither parser takes
        text = path.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text) if suffix == ".toml" else json.loads(text, object_pairs_hook=_once)
    except OSError as error:
        what = f"{error.strerror}; expected a JSON or TOML file with state words"
        raise type(error)(error.errno, what, str(path)) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8; save the file with that encoding") from error
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deep; expected lists of strings") from error
    except ValueError as error:  # of either parser; both name line and column
        raise ValueError(f"{path}: not valid {suffix[1:].upper()}: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON's reader would keep the last of two equal keys and say nothing."""
    keys = [key for key, _ in pairs]
    if double := next((key for key in keys if keys.count(key) > 1), None):
        raise ValueError(f"key {double!r} stands twice; join the two")
    return dict(pairs)


def _checked(words: Any, where: str, *, empty: bool = False) -> tuple[str, ...]:
    """Return the words as a tuple, each a string with exactly one `{}` and no other brace."""
    if isinstance(words, str | dict) or not isinstance(words, Iterable):
        raise ValueError(f"{where}: found {_kind(words)}, expected a list of strings; put it in brackets: [...]")
    words = tuple(words)
    if not words and not empty:
        raise ValueError(f"{where}: found an empty list, expected at least one string such as 'flawless {{}}'")
    for i, word in enumerate(words):
        if fault := _fault(word):
            raise ValueError(f"{where}[{i}]: found {fault}")
    return words


def _fault(word: Any) -> str | None:
    if not isinstance(word, str):
        return f"{_kind(word)}, expected a string such as 'flawless {{}}'"
    rest = word.replace("{}", "")
    if "{" in rest or "}" in rest:
        return f"{word!r} with braces other than {{}}; expected {{}} alone, with nothing between the braces"
    if (count := word.count("{}")) != 1:
        return f"{word!r} with {count} of {{}}, expected exactly one; write {{}} where the name belongs, and only there"
    if _half_characters(word):
        return f"{word!r} with half of a surrogate pair, which is no character; remove it"
    return None


def _half_characters(word: str) -> bool:
    """Whether surrogates stand alone, as an escape in JSON or a folder name that is not UTF-8 can leave them."""
    return any("\ud800" <= c <= "\udfff" for c in word)


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(type(value), repr(value))
