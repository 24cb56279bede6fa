"""Words for the two states beyond the papers' lists, so that a reader's own `--states` mean something to the model.

Without them it knew the words of the papers alone and took every other for none, "ruined" for flawless. A text tower of
this size cannot know English; it can learn which words of a list speak of damage, that "without" and "not" turn them
round, and that most words say nothing of the state.

The lists are plain English, written for this recipe. `HELD` are words that training never reads, for evaluation.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from recipe import defects
from refclip.prompts import STATES
from refclip.tokenizer import decode


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split("|"))


FLAWLESS = _listed("""
    intact | undamaged | unbroken | immaculate | faultless | sound | whole | new | brand new | fine | good | healthy |
    regular | proper | ideal | acceptable | spotless | unharmed | unscratched | uncracked | unmarked | unspoiled |
    unbent | untouched | unstained | uncut | clean | unused | complete | standard | excellent | impeccable
""")
DAMAGED = _listed("""
    defective | faulty | ruined | spoiled | flawed | marred | impaired | bad | poor | battered | disfigured | unsound |
    unusable | rejected | substandard | inferior | anomalous | abnormal | shabby | botched | irregular | improper |
    wrecked | worn out | harmed | weakened | unacceptable | incorrect | wrong
""")
# Damage of which the recipe draws no picture, or not every kind. Of a picture they would be untrue; but of a damaged
# thing "which is it, flawless or bent?" has an answer, and users will ask it
ONLY_ASKED = _listed("""
    bent | burnt | scorched | melted | rotten | mouldy | mushy | crushed | squashed | ripped | frayed | leaking |
    loose | twisted | warped | burst | swollen | decayed | rusted | corroded | dull | unglued | detached |
    disconnected | misaligned | squeezed | bruised | wilted | collapsed | eroded | fractured | pierced
""")
# "{} with ...", and "{} without ..."
ANY_DAMAGE = _listed("""
    a defect | defects | some damage | visible damage | an anomaly | anomalies | imperfections | a fault | faults |
    an error | errors | a problem | deterioration | bad spots
""")
KINDS_OF_DAMAGE = _listed("""
    a crack | cracks | a scratch | scratches | a dent | dents | a hole | holes | a stain | stains | a chip | chips |
    a mark | marks | a break | breaks | a tear | tears | a cut | cuts | rust | dirt | wear | breakage | contamination |
    a missing part | missing parts | a burn | burn marks | a bent part | bad soldering | a loose part | a leak |
    a bruise | mould | rot | a knot | a short circuit | a wrong part | a misplaced part | a bad edge | a fold |
    a bulge | a bite | a lump | decay
""")
IN_FLAWLESS_STATE = _listed("""
    {} in good condition | {} in perfect condition | {} in mint condition | {} as good as new | {} of good quality |
    {} as it should be | {} that passed inspection | {} with nothing wrong | {} without any problem
""")
IN_DAMAGED_STATE = _listed("""
    {} in bad condition | {} in poor condition | {} of poor quality | {} beyond repair | {} with something wrong |
    {} that failed inspection | {} not as it should be | {} that needs repair | {} to be thrown away
""")
# Behind "that is not": the opposite state. Not of every word above: what is not new, or not bent, may be either
NEGATED_FLAWLESS = _listed("intact | sound | whole | good | perfect | complete | acceptable | right | fine")
NEGATED_DAMAGED = _listed("damaged | defective | broken | faulty | flawed | bad | spoiled | anomalous | abnormal")
HELD = {"flawless": ("pristine", "unbruised"), "damaged": ("smashed", "crooked", "tarnished", "fissured")}

_LACKING = ("without", "with no", "free of", "free from")
_HAVING = ("with", "with", "having", "that has")


def state(rng: np.random.Generator, damaged: bool, asked: bool) -> str:
    """Draw words for a state, with a `{}` for the name; `asked`: as one of two answers, not as said of a picture."""
    form = rng.random()
    if form < 0.5:
        return f"{_word(rng, damaged, asked)} {{}}"
    if form < 0.6:
        return f"{{}} that is {_word(rng, damaged, asked)}"
    if form < 0.68:
        return f"{{}} that is not {_pick(rng, NEGATED_FLAWLESS if damaged else NEGATED_DAMAGED)}"
    if form < 0.88:
        return f"{{}} {_pick(rng, _HAVING if damaged else _LACKING)} {_damage(rng, damaged, asked)}"
    return _pick(rng, IN_DAMAGED_STATE if damaged else IN_FLAWLESS_STATE)


def says_nothing(rng: np.random.Generator) -> str:
    """Draw a word that says nothing of the state: "violet {}" may be flawless or damaged."""
    return f"{any_word(rng)} {{}}"


def any_word(rng: np.random.Generator) -> str:
    """Draw a word of the vocabulary that speaks of neither state."""
    while True:
        word = decode([int(rng.integers(512, 49_406))]).strip()  # the first 512 ids are single bytes
        if len(word) > 2 and word.isalpha() and word not in speaking():
            return word


@cache
def speaking() -> frozenset[str]:
    """Every word of the lists here, of the papers' and of the kinds of defect: none may be drawn as saying nothing."""
    lists = (FLAWLESS, DAMAGED, ONLY_ASKED, NEGATED_FLAWLESS, NEGATED_DAMAGED, ANY_DAMAGE, KINDS_OF_DAMAGE)
    phrases = (IN_FLAWLESS_STATE, IN_DAMAGED_STATE, *HELD.values())
    papers = (words for states in STATES.values() for words in states)
    kinds = (words for pairs in defects.WORDS.values() for words in pairs)
    return frozenset(word for part in (*lists, *phrases, *papers, *kinds) for text in part for word in text.split())


def _word(rng: np.random.Generator, damaged: bool, asked: bool) -> str:
    return _pick(rng, (DAMAGED + ONLY_ASKED if asked else DAMAGED) if damaged else FLAWLESS)


def _damage(rng: np.random.Generator, damaged: bool, asked: bool) -> str:
    """A noun. Of a damaged picture none is said that may be untrue of it; a flawless one is without all of them."""
    if asked or not damaged:
        return _pick(rng, ANY_DAMAGE + KINDS_OF_DAMAGE)
    return _pick(rng, ANY_DAMAGE)


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[rng.integers(len(words))]
