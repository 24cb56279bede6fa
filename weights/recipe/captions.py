"""What is said of a picture in training, and asked of it: the papers' state words and templates, and more of them.

A wording that training never sees tells whether the text tower has learnt words or sentences by heart: HELD_STATES and
HELD_TEMPLATES are that test (see `evaluate.py`). The papers' lists are in `refclip/prompts.py`, the others in
`state_words.py`.
"""

from __future__ import annotations

import numpy as np

from recipe import state_words
from refclip.prompts import (
    ANOMALYCLIP_CLIP_STATES,
    ANOVL_STATES,
    CLIP_AC_STATES,
    IMAGENET_TEMPLATES,
    VAND_STATES,
    VAND_TEMPLATES,
    WINCLIP_STATES,
    WINCLIP_TEMPLATES_A,
    WINCLIP_TEMPLATES_B,
    States,
)

# "blemished" with "unblemished": a tower that had met one would have met the other's tokens
HELD_STATES = States(("unblemished {}", "{} without flaw"), ("blemished {}", "{} with flaw", "imperfect {}"))
HELD_TEMPLATES = ("there is a {} in the scene.", "this is the {} in the scene.", "a good photo of the {}.")

# Templates that say what our pictures cannot be ("a tattoo of a", "the plushie") or that speak of dirt
_STRANGE = (
    "tattoo",
    "plushie",
    "origami",
    "embroidered",
    "sculpture",
    "graffiti",
    "dirty",
    "clean",
    "weird",
    "video game",
)


def _all(kind: str) -> tuple[str, ...]:
    lists = (WINCLIP_STATES, ANOVL_STATES, VAND_STATES, CLIP_AC_STATES)
    words = dict.fromkeys(word for states in lists for word in getattr(states, kind))
    return tuple(word for word in words if word not in getattr(HELD_STATES, kind))


STATES = States(_all("normal"), _all("abnormal"))
WINCLIP_TEMPLATES = tuple(dict.fromkeys((*WINCLIP_TEMPLATES_A, *WINCLIP_TEMPLATES_B)))
OTHER_TEMPLATES = tuple(
    template
    for template in dict.fromkeys((*IMAGENET_TEMPLATES, *VAND_TEMPLATES, "{}", "the {}", "a {}"))
    if template not in HELD_TEMPLATES and not any(word in template for word in _STRANGE)
)
SENTENCES = ANOMALYCLIP_CLIP_STATES  # whole sentences: no template around them
MORE_WORDS = 0.3  # part of the captions whose words are not the papers'; most methods speak with the papers'
NOTHING_SAID = 0.06  # part of the questions whose words say nothing of the state


def template(rng: np.random.Generator) -> str:
    """Draw a template: two in three are WinCLIP's, because most methods speak with those."""
    return _pick(rng, WINCLIP_TEMPLATES if rng.random() < 2 / 3 else OTHER_TEMPLATES)


def state(rng: np.random.Generator, damaged: bool) -> str:
    """Draw the papers' words for one of the two states, with a `{}` for the name."""
    return _pick(rng, STATES.abnormal if damaged else STATES.normal)


def caption(rng: np.random.Generator, name: str, damaged: bool) -> str:
    """Say of a thing that it is damaged, or not, in general words."""
    if rng.random() < 0.03:
        return (SENTENCES.abnormal if damaged else SENTENCES.normal)[0].replace("{}", name)
    words = state_words.state(rng, damaged, asked=False) if rng.random() < MORE_WORDS else state(rng, damaged)
    return _said(rng, words, name)


def question(rng: np.random.Generator, name: str, damaged: bool) -> str:
    """Ask for a thing in one of the two states: of the prompts for both, a picture is to choose the true one.

    Some words say nothing of the state and are drawn for both, so that a word never met means neither.
    """
    draw = rng.random()
    if draw < NOTHING_SAID:
        return _said(rng, state_words.says_nothing(rng), name)
    if draw < NOTHING_SAID + MORE_WORDS:
        return _said(rng, state_words.state(rng, damaged, asked=True), name)
    if draw > 0.97:
        return (SENTENCES.abnormal if damaged else SENTENCES.normal)[0].replace("{}", name)
    return _said(rng, state(rng, damaged), name)


def kind_caption(rng: np.random.Generator, name: str, words: tuple[tuple[str, str], ...]) -> str:
    """Say which defect it is: "a photo of a cracked cup" or "a photo of a cup with a crack"."""
    adjective, noun = words[rng.integers(len(words))]
    return _said(rng, f"{adjective} {{}}" if rng.random() < 0.5 else f"{{}} with {noun}", name)


def _said(rng: np.random.Generator, words: str, name: str) -> str:
    return template(rng).replace("{}", words.replace("{}", name))


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[rng.integers(len(words))]
