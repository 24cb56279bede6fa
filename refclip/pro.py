"""Per-region overlap (PRO), and the area under its curve (AUPRO).

    PRO(t) = mean over regions of (pixels of the region with a score >= t) / (pixels of the region)

over the false positive rate, the normal pixels with a score >= t over all normal pixels. The area is taken up to a
rate of 0.3 and divided by it: Bergmann et al., "Uninformed Students" (CVPR 2020) and "The MVTec Anomaly Detection
Dataset" (IJCV 2021).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from refclip.ranking import Counts, Ranked, at_or_above, exact_sum


class Curve(NamedTuple):
    """Points of the PRO curve, from the highest threshold down."""

    fpr: np.ndarray  # [t], normal pixels called anomalous, of all normal pixels
    pro: np.ndarray  # [t], the part of a region that is found, averaged over regions
    threshold: np.ndarray  # [t]


def overlap(c: Counts, ranked: Ranked, limit: float) -> Fraction:
    """What some anomalous pixels add to (number of regions) x (area under the curve up to the limit) / limit.

    The mean over regions is a sum over pixels, each weighted by one over its region's area, so the curve is a sum of
    one curve for each pixel: over the count x of false alarms it is 0 up to x = above and 1 from x = reach. In between
    lie normal scores equal to the pixel's. No threshold tells these apart, and the trapezoid rule draws a straight line
    from 0 to 1. Up to x = width = limit N the area is then

        width - (above + reach) / 2                    if reach <= width
        (width - above)^2 / (2 (reach - above))        if the limit cuts the straight line
        0                                              if above >= width
    """
    width = limit * ranked.normals
    rest = np.maximum(width - c.above, 0)
    cut = rest * rest / (2 * np.maximum(c.reach - c.above, 1))  # where reach = above, one of the other cases holds
    area = np.where(c.reach <= width, width - (c.above + c.reach) / 2, cut)
    return exact_sum(area / width / c.areas)


def corners(ranked: Ranked) -> Curve:
    """The corners of the exact curve, of runs in memory: straight lines between them are the curve."""
    (normal,), (found, areas) = next(iter(ranked.normal)), next(iter(ranked.anomalous))
    # a corner lies at each anomalous score, and at the normal score next above it, where a level stretch ends
    after = np.searchsorted(normal, found, "right")
    threshold = np.unique(np.concatenate([found, normal[after[after < normal.size]], [ranked.low]]))[::-1]
    (false,), (true,) = (at_or_above(runs, threshold, "left") for runs in (ranked.normal, ranked.anomalous))
    share = np.minimum(np.cumsum(1 / areas[::-1]) / ranked.regions, 1)  # [p], from the highest score down
    share[-1] = 1  # the sum may end a digit beside it
    pro = np.concatenate([[0.0], share])[true]
    return Curve(
        *(np.concatenate([[first], x]) for first, x in ((0, false / ranked.normals), (0, pro), (np.inf, threshold)))
    )


def stepped(ranked: Ranked, steps: int) -> Curve:
    """The curve as published loops draw it: at evenly spaced thresholds, which a score has to exceed.

    Thresholds are `np.arange(low, high, (high - low) / steps)`, in the scores' own float type: from the lowest score,
    which leaves nearly all above it, to short of the highest. Rounding may make them one more than asked for.

    Raises
    ------
    ValueError
        Not a positive number of steps; or scores too near to each other to fit steps in between.
    """
    if steps < 1:
        raise ValueError(f"thresholds is {steps}; expected a number above 0, 200 in published code, or None for all")
    low, high = ranked.low, ranked.high
    if low.dtype.kind != "f":  # a difference of two whole numbers may not fit into their type
        low, high = float(low), float(high)
    step = (high - low) / steps
    if not step > 0 or low + step == low:
        raise ValueError(
            f"scores from {low} to {high} leave no room for {steps} thresholds; use thresholds=None, "
            "the exact curve, which any scores have"
        )
    threshold = np.arange(low, high, step)
    (false,) = at_or_above(ranked.normal, threshold, "right")
    gain = [Fraction(0)] * threshold.size  # what PRO gains at each threshold over the next
    for scores, areas in ranked.anomalous:
        place = [*np.searchsorted(scores, threshold, "right"), scores.size]
        for t in range(threshold.size):
            gain[t] += exact_sum(1 / areas[place[t] : place[t + 1]])
    pro = np.zeros(threshold.size)
    total = Fraction(0)
    for t in reversed(range(threshold.size)):
        total += gain[t]
        pro[t] = total / ranked.regions
    return Curve((false / ranked.normals)[::-1], pro[::-1], threshold[::-1])


def stepped_area(curve: Curve, limit: float) -> float:
    """Area of the points strictly below the limit, their rates stretched to 0 to 1: published code's AUPRO.

    Raises
    ------
    ValueError
        Fewer than two different rates are left.
    """
    below = curve.fpr < limit
    fpr, pro = curve.fpr[below], curve.pro[below]
    if not fpr.size or fpr[-1] == fpr[0]:
        raise ValueError(
            f"{curve.fpr.size} evenly spaced thresholds give {np.unique(fpr).size} false positive rates below {limit}, "
            "expected 2; published code fails here too: use thresholds=None, the exact curve, or more of them"
        )
    return float(np.trapezoid(pro, (fpr - fpr[0]) / (fpr[-1] - fpr[0])))
