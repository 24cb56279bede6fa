"""What a claim is, and how records of evaluations become its verdict.

A claim holds setting A against setting B: that A's figure is the higher one. Each seed gives one difference A - B, both
sides being means over the same categories; Student's paired interval of these differences decides.

    supported     the interval lies above 0
    refuted       it lies below 0
    unresolved    it holds 0, or there is no interval: a single difference has no spread
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from refclip.prompts import extend
from refclip.records import Record
from refclip.statistics import Interval, paired_interval

SUPPORTED, REFUTED, UNRESOLVED = VERDICTS = "supported", "refuted", "unresolved"
LEVEL = 0.95


class Setting(NamedTuple):
    """A method as it is evaluated. Settings that differ in nothing but `shots` share their encoding."""

    method: str
    options: tuple[tuple[str, Any], ...] = ()  # beside the method's defaults
    shots: int = 0
    few: int | None = None  # of each kind of test image only the first so many; None: all
    words: bool = False  # add state words for the kinds of defect that a category has
    # learned anew for each seed, with these of the method's training, design and options; None: as options say
    learning: tuple[tuple[str, Any], ...] | None = None

    def __str__(self) -> str:
        parts = [self.method]
        if self.learning is not None:
            told = ", ".join(f"{key}={value!r}" for key, value in self.learning)
            parts += [f"learned with {told}" if told else "learned"]
        parts += [f"{self.shots} reference{'s' * (self.shots != 1)}"] if self.shots else []
        parts += [f"{key}={value!r}" for key, value in self.options]
        parts += ["words for the category's defects"] if self.words else []
        parts += [f"{self.few} test image{'s' * (self.few != 1)} of each kind"] if self.few else []
        return ", ".join(parts)


def of(
    method: str,
    shots: int = 0,
    *,
    few: int | None = None,
    words: bool = False,
    learning: Mapping[str, Any] | None = None,
    **options: Any,
) -> Setting:
    """A setting, its options as keywords."""
    learned = None if learning is None else tuple(sorted(learning.items()))
    return Setting(method, tuple(sorted(options.items())), shots, few, words, learned)


class Claim(NamedTuple):
    """What a paper claims, as two settings of which the first has the higher figures."""

    id: str
    says: str  # the claim, in a sentence
    paper: str
    where: str  # "table 8"
    a: Setting
    b: tuple[Setting, ...]  # one; or two: then A is held against their mean
    printed: dict[str, tuple[float, ...]]  # figure -> what the paper prints for A, then for each of B, in percent
    expect: dict[str, str]  # figure -> the verdict expected here; the figures that are compared
    why: str  # of what is expected, in a sentence
    dataset: str = "mvtec"  # of what is printed


class Outcome(NamedTuple):
    """One figure of a claim."""

    figure: str
    a: float  # mean over seeds
    b: float
    differences: tuple[tuple[int, float], ...]  # seed, A - B
    categories: int  # over how many each is a mean: the least of all seeds
    interval: Interval | None  # of A - B
    verdict: str


def verdict(interval: Interval | None) -> str:
    """What an interval of A - B says of "A is higher"."""
    if interval is None:
        return UNRESOLVED
    return SUPPORTED if interval.low > 0 else REFUTED if interval.high < 0 else UNRESOLVED


def outcome(
    claim: Claim, figure: str, records: Mapping[Setting, Sequence[Record]], *, one_set: bool = False
) -> Outcome | None:
    """Compare one figure of a claim's settings; None if there is no seed of which all of them have it.

    With `one_set` all seeds are of the same images and draw references, or partners, alone. A side that draws nothing
    then has one value, which serves all seeds of the other; where no side draws, there is a single difference.
    """
    sides = [by_seed(records.get(setting, ()), figure) for setting in (claim.a, *claim.b)]
    seeds = {seed for side in sides for seed in side}
    if one_set and any(len(side) > 1 for side in sides):
        sides = [dict.fromkeys(seeds, *side.values()) if len(side) == 1 else side for side in sides]
    found: list[tuple[int, float, float, int]] = []  # seed, A, B, categories
    for seed in sorted(seed for seed in seeds if all(seed in side for side in sides)):
        names = sorted(set.intersection(*(set(side[seed]) for side in sides)))
        if names:
            a, *b = (math.fsum(side[seed][name] for name in names) / len(names) for side in sides)
            found.append((seed, a, math.fsum(b) / len(b), len(names)))
    if not found:
        return None
    differences = tuple((seed, a - b) for seed, a, b, _ in found)
    interval = paired_interval([d for _, d in differences], LEVEL) if len(found) > 1 else None
    a, b = (math.fsum(row[i] for row in found) / len(found) for i in (1, 2))
    return Outcome(figure, a, b, differences, min(row[3] for row in found), interval, verdict(interval))


def by_seed(records: Sequence[Record], figure: str) -> dict[int, dict[str, float]]:
    """Seed -> category -> figure."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        if figure in record.figures:
            found.setdefault(record.seed, {})[record.category] = record.figures[figure]
    return found


def options_of(setting: Setting, words: Sequence[str] = ()) -> dict[str, Any]:
    """The options as a `Request` has them, with state words for defects that are known."""
    options = dict(setting.options)
    if setting.words:
        from refclip.methods.clip_ac import named_states

        options["states"] = extend(named_states(options.get("states", "winclip")), abnormal=words)
    return options


def encoded(setting: Setting) -> Setting:
    """What is encoded for a setting, whatever its number of references."""
    return setting._replace(shots=0)
