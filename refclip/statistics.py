"""How sure a figure is: an interval for one category from its own images, and one for a difference over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Interval(NamedTuple):
    """A value and what it may as well be."""

    low: float
    value: float
    high: float


def bootstrap(
    fn: Callable[[np.ndarray], float],
    groups: ArrayLike,
    rng: np.random.Generator,
    rounds: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap over images, drawn anew within each group, so that no draw is without one of the classes.

    Parameters
    ----------
    fn : callable
        From the numbers of the images drawn, int [n], some of them more than once, to a figure:
        `lambda i: auroc(scores[i], labels[i])`, `lambda i: aupro([maps[k] for k in i], [masks[k] for k in i])`.
    groups : array [n]
        The group of each image: its label, or its kind of defect.
    rng : numpy.random.Generator
    rounds : int
        Draws, each of which calls `fn` once.
    level : float
        Between 0 and 1.

    Returns
    -------
    Interval
        `value` is that of the images as they are. It covers less than `level` for few images, and where the figure is
        near 1: a group of which no draw can differ, such as one image, adds no width.

    Raises
    ------
    ValueError
        No images, no rounds, a level outside 0 to 1, a figure that is not finite.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    groups = np.asarray(groups)
    _check_level(level)
    if groups.ndim != 1 or not groups.size:
        raise ValueError(f"groups: found shape {list(groups.shape)}, expected [n], one label for each image")
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, expected at least 1; 2000 steady the second digit of an interval's ends")
    names = np.unique(groups)
    members = [np.flatnonzero(groups == name) for name in names]
    value = float(fn(np.arange(groups.size)))
    drawn = np.array([fn(np.concatenate([rng.choice(m, m.size) for m in members])) for _ in range(rounds)], float)
    if not math.isfinite(value) or not np.isfinite(drawn).all():
        raise ValueError(f"the figure is {value}, and not finite in {(~np.isfinite(drawn)).sum()} of {rounds} draws")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), value, float(high))


def paired_interval(differences: ArrayLike, level: float = 0.95) -> Interval:
    """Student's interval of a mean difference: two methods on the same seeds, or one with and without an option.

    Parameters
    ----------
    differences : array [n]
        One number for each seed, the figure of one method minus that of the other.
    level : float
        Between 0 and 1.

    Returns
    -------
    Interval
        mean -+ t s / sqrt(n), s the standard deviation with n - 1 degrees of freedom. It takes the differences for
        normally distributed and independent: those of seeds, not those of categories.

    Raises
    ------
    ValueError
        Fewer than two differences, one that is not finite, a level outside 0 to 1.
    """
    d = np.asarray(differences, np.float64)
    if d.ndim != 1 or d.size < 2 or not np.isfinite(d).all():
        raise ValueError(f"differences: found {d.tolist()}, expected at least two finite numbers, one for each seed")
    mean = float(d.mean())
    half = student(d.size - 1, level) * float(d.std(ddof=1)) / math.sqrt(d.size)
    return Interval(mean - half, mean, mean + half)


def student(freedom: int, level: float = 0.95) -> float:
    """The t that holds |T| <= t with probability `level`, for a whole number of degrees of freedom.

    References
    ----------
    Abramowitz and Stegun, 26.7.3 and 26.7.4: that probability as a finite sum, with theta = arctan(t / sqrt(freedom)).

    Raises
    ------
    ValueError
        Fewer than one degree of freedom, a level outside 0 to 1.
    """
    _check_level(level)
    if freedom < 1:
        raise ValueError(f"freedom is {freedom}, expected at least 1: a spread needs two values")
    odd = freedom % 2

    def probability(theta: float) -> float:
        term = total = math.cos(theta) if odd else 1.0
        for k in range(2 + odd, freedom - 1, 2):  # 1 + c^2 1/2 + c^4 (1 3)/(2 4) ..., or c + c^3 2/3 + ...
            term *= math.cos(theta) ** 2 * (k - 1) / k
            total += term
        if freedom == 1:
            total = 0.0
        return (theta + math.sin(theta) * total) * 2 / math.pi if odd else math.sin(theta) * total

    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:  # until no number lies between
        low, high = (middle, high) if probability(middle) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a probability between 0 and 1, such as 0.95")
