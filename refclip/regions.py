"""Masks: what may be one, its connected regions, and a map's pixels told apart by it.

PRO weighs every region of a mask alike, however many pixels it has. So all that a metric has to know of an anomalous
pixel, beside its score, is the area of its region: one number a pixel, and regions need no names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from refclip.backend import to_numpy


class Pixels(NamedTuple):
    """The pixels of one map."""

    normal: np.ndarray  # [.] scores outside the mask
    anomalous: np.ndarray  # [p] scores inside
    areas: np.ndarray  # [p] uint32, pixels in the region of each
    regions: int


def split(scores: ArrayLike, mask: ArrayLike | None, i: int) -> Pixels:
    """Tell the pixels of map number `i` apart by its mask.

    Parameters
    ----------
    scores : array [H, W]
    mask : array [H, W], or None for an image without a defect

    Raises
    ------
    ValueError
        Not [H, W], shapes that differ, a score that is not finite, a mask that is not one.
    """
    scores = as_scores(scores, f"maps[{i}]")
    if scores.ndim != 2 or not scores.size:
        raise ValueError(
            f"maps[{i}]: found shape {list(scores.shape)}, expected [H, W] with pixels; a single map goes into a list"
        )
    if mask is None:
        return Pixels(scores.ravel(), scores[:0].ravel(), np.zeros(0, np.uint32), 0)
    mask = as_mask(mask, f"masks[{i}]")
    if mask.shape != scores.shape:
        raise ValueError(
            f"maps[{i}] is {list(scores.shape)} and masks[{i}] is {list(mask.shape)}; expected one size: bring the map "
            "to the mask's (Prediction.on_original does), or both to the one of the paper you compare with"
        )
    areas, count = region_areas(mask)
    return Pixels(scores[~mask], scores[mask], areas, count)


def region_areas(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Of each true pixel, row by row, how many pixels its region has; and how many regions there are.

    Pixels that touch at a side or a corner are one region (8 neighbours), as in MVTec's evaluation code and in
    skimage's `label` by default, which the published loops call.

    Parameters
    ----------
    mask : bool array [H, W]

    Returns
    -------
    uint32 array [p], int
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros(0, np.uint32), 0
    from scipy.ndimage import label  # here: most of refclip has no use for it

    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # a defect is small: look no further
    found: Any = label(box, structure=np.ones((3, 3)))
    labels, count = found[0][box], found[1]  # [p], 1 to count
    return np.bincount(labels).astype(np.uint32)[labels], count


def as_scores(scores: ArrayLike, name: str) -> np.ndarray:
    """Scores as a host array of whatever real type they have.

    Raises
    ------
    ValueError
        Not real numbers, or not finite ones.
    """
    scores = np.asarray(to_numpy(scores))
    if scores.dtype.kind not in "fiub":
        raise ValueError(f"{name}: found {scores.dtype}, expected real numbers")
    if scores.dtype.kind == "f" and not np.isfinite(scores).all():
        bad = int(np.count_nonzero(~np.isfinite(scores)))
        raise ValueError(
            f"{name}: {bad} of {scores.size} scores are NaN or infinite, expected finite numbers; where a crop hid "
            "pixels from the model, cut map and mask to what it saw or fill in a score of your choice"
        )
    return scores


def as_mask(mask: ArrayLike, name: str) -> np.ndarray:
    """Booleans, or whole numbers of which 0 is normal and 1 or 255 anomalous, as booleans.

    Raises
    ------
    ValueError
        Another type, or other values: a resized mask has greys in between, and where to cut is the caller's choice.
    """
    mask = np.asarray(to_numpy(mask))
    if mask.dtype == bool:
        return mask
    if mask.dtype.kind not in "iu":
        raise ValueError(f"{name}: found {mask.dtype}, expected booleans or whole numbers; cut it, e.g. mask > 0.5")
    top = int(mask.max(initial=0))
    truth = mask == top
    if top not in (0, 1, 255) or not (truth | (mask == 0)).all():
        values = np.unique(mask)
        shown = ", ".join(map(str, values[:6].tolist())) + (", ..." if values.size > 6 else "")
        raise ValueError(f"{name}: found the values {shown}; expected 0 and 1, or 0 and 255; cut it, e.g. mask > 0")
    return truth if top else np.zeros(mask.shape, bool)
