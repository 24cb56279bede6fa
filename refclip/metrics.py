"""The figures of merit of the papers' tables: AUROC, average precision, F1-max and AUPRO.

Scores [n] of images with their labels, or maps [H, W] of any sizes with their masks; the higher a score, the more
anomalous. Papers rank all pixels of a category together and average over categories: one call is one category. For a
category that does not fit in memory there is `spool`. Everything is exact: each distinct score is a threshold, and
scores that are equal count as equal. Published code differs in AUPRO alone: see `aupro`.

With N normal and P anomalous scores, and for each anomalous score s the number of normal ones > s (above) and >= s
(reach) and of anomalous ones >= s (found):

    AUROC = sum (2 N - above - reach) / (2 N P)     normal scores below s; equal ones count half (Mann and Whitney)
    AP    = sum found / (found + reach) / P         the precision at s, for the recall 1 / P that s adds
    F1    = max 2 found / (found + reach + P)       a threshold between two such s finds no more than the upper one

References
----------
PRO: `refclip.pro`. F1-max: Zou et al., "SPot-the-Difference" (ECCV 2022); WinCLIP, section 5, names all four.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from refclip import pro
from refclip.pro import Curve
from refclip.ranking import Counts, Ranked, counts, exact_sum, rank, require
from refclip.regions import as_mask, as_scores, split

LIMIT = 0.3  # of the false positive rate, wherever a paper gives PRO


class F1(NamedTuple):
    """The best F1 score, and where it is reached."""

    value: float
    threshold: float  # scores >= threshold are called anomalous; the highest of several that do as well
    precision: float
    recall: float


class ImageMetrics(NamedTuple):
    """Of a category's images."""

    auroc: float
    ap: float
    f1: F1


class PixelMetrics(NamedTuple):
    """Of a category's pixels."""

    auroc: float
    ap: float
    f1: F1
    aupro: float


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: how often an anomalous score is above a normal one, an equal one counting half.

    Parameters
    ----------
    scores : array [...]
    labels : array [...]
        Booleans, 0 and 1, or 0 and 255; 0 is normal.

    Returns
    -------
    float, 0 to 1
        0.5 where all scores are equal. It is scikit-learn's `roc_auc_score`.

    Raises
    ------
    ValueError
        Shapes that differ, nothing to score, a score that is not finite, other labels, labels of one class only.
    """
    ranked = _labelled(scores, labels)
    require(ranked)
    return _auroc(sum(_wins(c, ranked) for c in counts(ranked)), ranked)


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the precision-recall curve, as a sum of steps: AP, or AUPR in some papers.

    Parameters
    ----------
    scores, labels : arrays [...]
        As in `auroc`.

    Returns
    -------
    float, 0 to 1
        The share of anomalous labels where all scores are equal; 1 without normal labels. It is scikit-learn's
        `average_precision_score`. The trapezoid under `precision_recall_curve` is another number, and too high.

    Raises
    ------
    ValueError
        As in `auroc`, but all labels may be anomalous.
    """
    ranked = _labelled(scores, labels)
    require(ranked, normal=False)
    return float(sum(_precision(c) for c in counts(ranked)) / ranked.anomalies)


def f1_max(scores: ArrayLike, labels: ArrayLike) -> F1:
    """The best F1 score over all thresholds. Found with the labels in sight, it is no threshold for other images.

    Parameters
    ----------
    scores, labels : arrays [...]
        As in `auroc`.

    Raises
    ------
    ValueError
        As in `auroc`, but all labels may be anomalous.
    """
    ranked = _labelled(scores, labels)
    require(ranked, normal=False)
    return max(_best_f1(c, ranked) for c in counts(ranked))


def image_metrics(scores: ArrayLike, labels: ArrayLike) -> ImageMetrics:
    """AUROC, AP and F1-max of a category's images. Parameters and errors as in `auroc`."""
    return ImageMetrics(*measure(_labelled(scores, labels), limit=1)[:3])


def pixel_metrics(
    maps: Iterable[ArrayLike], masks: Iterable[ArrayLike | None], limit: float = LIMIT, thresholds: int | None = None
) -> PixelMetrics:
    """AUROC, AP, F1-max and AUPRO of a category's pixels, from one sort. Parameters and errors as in `aupro`."""
    return measure(_ranked(maps, masks), limit, thresholds)


def aupro(
    maps: Iterable[ArrayLike], masks: Iterable[ArrayLike | None], limit: float = LIMIT, thresholds: int | None = None
) -> float:
    """Area under the curve of the per-region overlap up to a false positive rate, divided by that rate.

    Parameters
    ----------
    maps : arrays [H, W]
    masks : arrays [H, W]
        Booleans, 0 and 1, or 0 and 255, in the size of their maps; None for an image without a defect. Pixels that
        touch at a side or a corner are one region.
    limit : float
        Above 0, at most 1.
    thresholds : int, optional
        None: each distinct score is one, and the curve is interpolated at the limit, as in MVTec's evaluation code.
        A number, 200 in the code of AnomalyCLIP and others: as many, evenly spaced from the lowest score to short of
        the highest, to be exceeded; of the points only those with a rate strictly below the limit, and their rates
        stretched to 0 to 1 before the area is taken. That area does not end at the limit, and a few high scores can
        leave it two points of the whole curve: not to be compared with exact results.

    Returns
    -------
    float, 0 to 1
        limit / 2 where all scores are equal.

    Raises
    ------
    ValueError
        No maps, or not as many masks; sizes that differ, a score that is not finite, a mask with other values; no
        anomalous pixel in any mask, or no normal one; a limit outside 0 to 1; too few `thresholds` that tell scores
        apart.
    """
    ranked = _ranked(maps, masks)
    require(ranked)
    if thresholds is not None:
        return pro.stepped_area(pro.stepped(ranked, thresholds), _checked(limit))
    return float(sum(pro.overlap(c, ranked, _checked(limit)) for c in counts(ranked)) / ranked.regions)


def pro_curve(maps: Iterable[ArrayLike], masks: Iterable[ArrayLike | None], thresholds: int | None = None) -> Curve:
    """The whole curve, for drawing. Parameters and errors as in `aupro`.

    Returns
    -------
    Curve
        Without `thresholds` its corners, from (0, 0) to (1, 1), no more than two for each anomalous pixel: straight
        lines between them are the exact curve.
    """
    ranked = _ranked(maps, masks)
    require(ranked)
    return pro.corners(ranked) if thresholds is None else pro.stepped(ranked, thresholds)


def measure(ranked: Ranked, limit: float = LIMIT, thresholds: int | None = None) -> PixelMetrics:
    """All metrics, in one pass over the anomalous scores.

    Raises
    ------
    ValueError
        Scores of one class only, a limit outside 0 to 1, scores that leave too few of `thresholds`.
    """
    require(ranked)
    _checked(limit)
    wins, precision, overlap, best = 0, Fraction(0), Fraction(0), []
    for c in counts(ranked):
        wins += _wins(c, ranked)
        precision += _precision(c)
        best.append(_best_f1(c, ranked))
        if thresholds is None:
            overlap += pro.overlap(c, ranked, limit)
    area = float(overlap / ranked.regions)
    if thresholds is not None:
        area = pro.stepped_area(pro.stepped(ranked, thresholds), limit)
    return PixelMetrics(_auroc(wins, ranked), float(precision / ranked.anomalies), max(best), area)


def _wins(c: Counts, ranked: Ranked) -> int:
    """Twice the number of normal scores below these anomalous ones, equal ones counting half."""
    return 2 * ranked.normals * c.scores.size - int((c.above + c.reach).sum())


def _auroc(wins: int, ranked: Ranked) -> float:
    return wins / (2 * ranked.normals * ranked.anomalies)  # of Python's integers: rounded once, never too large


def _precision(c: Counts) -> Fraction:
    return exact_sum(c.found / (c.found + c.reach))


def _best_f1(c: Counts, ranked: Ranked) -> F1:
    value = 2 * c.found / (c.found + c.reach + ranked.anomalies)
    best = value.size - 1 - int(np.argmax(value[::-1]))  # scores go up: the highest threshold of the best
    found, reach = int(c.found[best]), int(c.reach[best])
    return F1(float(value[best]), float(c.scores[best]), found / (found + reach), found / ranked.anomalies)


def _checked(limit: float) -> float:
    if not 0 < limit <= 1:
        raise ValueError(
            f"limit is {limit}; expected a false positive rate above 0 and at most 1, {LIMIT} in the papers"
        )
    return limit


def _labelled(scores: ArrayLike, labels: ArrayLike) -> Ranked:
    """Scores with labels; each anomalous one is a region by itself."""
    values, truth = as_scores(scores, "scores"), as_mask(labels, "labels")
    if values.shape != truth.shape or not values.size:
        raise ValueError(
            f"scores are {list(values.shape)} and labels {list(truth.shape)}; expected one shape with something in it"
        )
    loud = values[truth]
    return rank([values[~truth]], [loud], np.ones(loud.size, np.uint32), loud.size)


def _ranked(maps: Iterable[ArrayLike], masks: Iterable[ArrayLike | None]) -> Ranked:
    """Maps with masks, all pixels together."""
    maps, masks = list(maps), list(masks)
    if not maps or len(maps) != len(masks):
        raise ValueError(f"found {len(maps)} maps and {len(masks)} masks; expected one mask, or None, for each map")
    normal, anomalous, areas, regions = zip(*map(split, maps, masks, range(len(maps))), strict=True)
    return rank(normal, anomalous, np.concatenate(areas), sum(regions))
