"""How many scores lie above a threshold: the counts that every metric is made of, exact, without merging sorted runs.

A metric of ranks asks of each anomalous score s how many normal and how many anomalous scores are > s or >= s, and
adds something up over the anomalous scores. Counts add up over runs that are sorted each for itself, so runs never have
to be merged; and sums are taken exactly, so their order leaves no trace. Runs on disk (`spool`) and one run in memory
(`metrics`) therefore give the same result to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np

PIECE = 1 << 20  # anomalous scores looked up at a time: bounds the memory of all that is computed for them

Run = tuple[np.ndarray, ...]  # scores [r], sorted upwards, and what belongs to them


class Ranked(NamedTuple):
    """Normal and anomalous scores, ready to be counted."""

    normal: Iterable[Run]  # (scores,)
    anomalous: Iterable[Run]  # (scores, areas)
    normals: int  # N
    anomalies: int  # P
    regions: int
    low: Any  # the lowest of all scores, in their type
    high: Any


class Counts(NamedTuple):
    """What surrounds each of some anomalous scores, sorted upwards."""

    scores: np.ndarray  # [p]
    areas: np.ndarray  # [p], pixels in the region of each
    above: np.ndarray  # [p] int64, normal scores above it
    reach: np.ndarray  # [p] int64, and those equal to it too
    found: np.ndarray  # [p] int64, anomalous scores not below it


def rank(normal: Sequence[np.ndarray], anomalous: Sequence[np.ndarray], areas: np.ndarray, regions: int) -> Ranked:
    """Sort scores in memory, one run of each kind.

    Parameters
    ----------
    normal, anomalous : arrays [.]
        At least one score in all.
    areas : array [p]
        Of the anomalous scores in their order.
    regions : int
    """
    dtype = np.result_type(*normal, *anomalous)
    quiet, loud = (np.concatenate(parts, dtype=dtype) for parts in (normal, anomalous))
    quiet.sort()
    order = np.argsort(loud)
    loud = loud[order]
    ends = np.concatenate([part[[0, -1]] for part in (quiet, loud) if part.size])
    runs = [(quiet,)], [(loud, areas[order])]
    return Ranked(*runs, quiet.size, loud.size, regions, ends.min(), ends.max())


def require(ranked: Ranked, *, normal: bool = True) -> None:
    """Refuse what has no anomalous score or, unless `normal` is False, no normal one.

    Raises
    ------
    ValueError
    """
    if not ranked.anomalies:
        raise ValueError(
            f"all {ranked.normals} labels or pixels are normal (0), so there is nothing to find: give anomalous ones "
            "too, or leave the metric out for this category"
        )
    if normal and not ranked.normals:
        raise ValueError(
            f"all {ranked.anomalies} labels or pixels are anomalous, and AUROC and AUPRO compare with normal ones "
            "(0): give some, or leave the metric out for this category"
        )


def counts(ranked: Ranked) -> Iterator[Counts]:
    """The counts at all anomalous scores, some at a time; sorted within each answer, not over all."""
    for run in ranked.anomalous:
        for start in range(0, run[0].size, PIECE):
            scores, areas = (column[start : start + PIECE] for column in run)
            above, reach = at_or_above(ranked.normal, scores, "right", "left")
            yield Counts(scores, areas, above, reach, *at_or_above(ranked.anomalous, scores, "left"))


def at_or_above(runs: Iterable[Run], thresholds: np.ndarray, *sides: Literal["left", "right"]) -> list[np.ndarray]:
    """How many scores of all runs are >= each threshold ("left") or > it ("right"): int64 [t] for each side."""
    out = [np.zeros(thresholds.size, np.int64) for _ in sides]
    for scores, *_ in runs:
        for i, side in enumerate(sides):
            out[i] += scores.size - np.searchsorted(scores, thresholds, side)
    return out


def exact_sum(values: np.ndarray) -> Fraction:
    """Sum of numbers, none negative, without rounding: as whole numbers, added up for each power of two."""
    total = Fraction(0)
    for start in range(0, values.size, PIECE):
        mantissa, exponent = np.frexp(values[start : start + PIECE])  # values = mantissa 2^exponent
        whole = (mantissa * 2.0**53).astype(np.int64)
        least = int(exponent.min())
        # bincount adds in float64: exact, as 2^20 numbers of 27 bits stay below 2^53
        high, low = (np.bincount(exponent - least, part) for part in (whole >> 26, whole & (2**26 - 1)))
        units = sum(((int(h) << 26) + int(l)) << k for k, (h, l) in enumerate(zip(high, low, strict=True)))
        total += Fraction(units) * Fraction(2) ** (least - 53)
    return total
