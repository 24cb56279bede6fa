"""Which names a picture may have, which pictures are left out, and which names are held out.

Everything here is text in, text out: no file is read, so the rules can be tested without the data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable


def word_set(*texts: str) -> frozenset[str]:
    """The words of some texts."""
    return frozenset(" ".join(texts).split())


# Kept for the benchmark: a model that saw them in training would prove nothing there. With synonyms, and with what
# would give them away (a cracker is a biscuit to most eyes).
RESERVED = word_set(
    "biscuit cookie cracker button washer capsule pill terrazzo cork corkboard herringbone parquet knit knitted",
    "knitting wool woolen woollen yarn hazelnut chestnut walnut acorn nut peanut bolt pushbutton",
)

# A defect drawn on any of these would be unpleasant, or the picture itself may be. One line for each reason.
# Clip art has more words for people than a list of trades would.
EXCLUDED = word_set(
    # people and bodies: a torn face is no exercise; nor is a class of people a thing to be told apart
    "person people man men woman women boy girl child children baby kid lady guy human family couple bride groom face",
    "head hand finger arm leg foot feet ear eye nose mouth lip tongue tooth hair brain heart body skeleton skull bone",
    "portrait nude naked sexy sex worker doctor nurse player dancer singer king queen prince princess angel santa",
    "claus elf fairy mermaid zombie vampire clown pirate ninja witch wizard stickman silhouette smiley smile emoticon",
    "avatar dancing skater surfer skier diver runner farmer fisherman chef waiter teacher student cowboy indian doll",
    "snowman scarecrow statue mannequin caveman monk monkhood alien devil ghost goblin ogre monster dummy genie",
    "viking samurai geisha astronaut butcher butler carpenter driver golfer hockeyplayer jogger mechanic musician",
    "officer painter police policeman soldier swimmer hiker cyclist biker climber guitarist drummer pianist user",
    "users icon boxer personal female male feminine masculine uomo donna ragazzo ragazza bambino homme femme mano",
    "mani testa piede occhio",
    # weapons
    "weapon gun pistol rifle revolver cannon knife knives dagger sword bomb grenade missile axe ax hatchet tomahawk",
    "tank bullet ammunition dynamite firecracker bow arrow spear mace halberd warship bomber fighter military army",
    "war slingshot catapult shotgun machete katana guillotine handcuff noose rocketlauncher crossbow spada arma tnt",
    "explosive",
    # alcohol, tobacco and other drugs
    "beer wine sake whisky whiskey vodka rum liquor alcohol cocktail champagne martini tumbler clinking margarita",
    "birra vino cigarette cigar smoking smoke tobacco pipe ashtray drug syringe marijuana cannabis hookah lighter bar",
    "pub stein absinthe brandy cognac tequila",
    # religion
    "religion religious church mosque temple synagogue kaaba shrine cross crucifix bible jesus christ christian",
    "christianity buddha menorah rosary prayer pray torii islam islamic muslim jewish judaism hindu hinduism buddhist",
    "nun pope priest god saint chiesa croce koran quran dreidel nativity hamsa amulet nazar ankh pentagram om chapel",
    "cathedral minaret",
    # politics, states, money-games and brands
    "flag politics political politician president election vote swastika nazi hitler communist communism anarchy bush",
    "soviet ussr propaganda protest peace slot roulette poker casino logo brand trademark tux linux windows debian",
    "ubuntu gnome kde mozilla firefox gnu bsd inkscape openclipart",
    # illness, death, bodily things, underwear
    "blood coffin urn headstone tombstone grave graveyard corpse dead death kill killed poo poop toilet urinal bikini",
    "briefs bra underwear lingerie pantyhose panties stocking condom vomit virus microbe",
    # text, signs and symbols: nothing to break on them
    "text letter alphabet number sign signage signs symbol label caution warning stamp certificate banner callout map",
    "keycap clock oclock emblem badge border frame pattern template flowchart diagram chart",
)

# A word that is left out by the list above, yet fine within these names.
ALLOWED = frozenset(
    {"alarm clock", "mantelpiece clock", "ear of corn", "chocolate bar", "bullet train", "framed picture"}
)

_CONNECTIVE = re.compile(
    r" (?:with|without|of|in|on|and|for|from|at|behind|over|tilted|pointed|showing|fluttering|departure|arrival)\b"
)
_WORD = re.compile(r"[a-z]+")


_IRREGULAR = {
    "leaves": "leaf",
    "mice": "mouse",
    "dice": "die",
    "loaves": "loaf",
    "knives": "knife",
    "wolves": "wolf",
    "cookies": "cookie",
}


def singular(word: str) -> str:
    """The singular of a plain English plural: good enough to compare names, never shown."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "toes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word


def words_of(text: str) -> list[str]:
    """The lower-case words of a text, digits and punctuation dropped."""
    return _WORD.findall(text.lower().replace("'", "").replace("’", ""))


def forbidden(text: str, words: frozenset[str] = EXCLUDED | RESERVED) -> str | None:
    """Return the first word of `text` that is in `words`, in singular or plural; None where there is none."""
    return next((w for w in words_of(text) if {w, singular(w), w.removesuffix("s")} & words), None)


def usable(name: str) -> bool:
    """Whether a picture of that name may be used: neither excluded nor reserved."""
    return forbidden(name, RESERVED) is None and (name in ALLOWED or forbidden(name, EXCLUDED) is None)


def clean_tags(tags: Iterable[str], name: str, most: int = 6) -> str:
    """Up to `most` single English words that add to the name, in their order, without those a name may not have."""
    seen = set(words_of(name))
    kept = []
    for tag in tags:
        found = words_of(tag)
        if len(found) == 1 and len(found[0]) > 2 and found[0] not in seen and usable(found[0]):
            seen.add(found[0])
            kept.append(found[0])
    return " ".join(kept[:most])


def head_noun(name: str) -> str:
    """What the name is a kind of: "red apple" and "apples" are an apple, "slice of cake" a slice.

    Names are held out by it, else "green apple" in training would show what a held-out "red apple" is.
    """
    found = words_of(_CONNECTIVE.split(name.lower())[0])
    return singular(found[-1]) if found else ""


def fraction(text: str) -> float:
    """A number in [0, 1) that depends on the text alone: the same on every machine, in every release of Python."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def name_split(name: str, held_out: float = 0.10) -> str:
    """Return "held-out name" for about `held_out` of all head nouns, else "train"."""
    return "held-out name" if name != "object" and fraction("name:" + head_noun(name)) < held_out else "train"


def picture_split(name: str, held_out: float = 0.15) -> bool:
    """Whether a name that stays in training gives up one of its pictures for the test."""
    return fraction("picture:" + name) < held_out
