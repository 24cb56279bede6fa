"""One category's answers -> its figures: which exist, which pixels they are of, and which images they leave out.

Pixels are judged at the resolution of the model, as published code does (a pixel is anomalous if half of it or more
lies in the mask), or at each image's own. Pixels that the model never saw, as a crop left them out, and those that
only pad its frame, belong to neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from refclip.metrics import LIMIT, image_metrics
from refclip.preprocess import Geometry, to_model, to_original
from refclip.spool import Spool

RESOLUTIONS = ("model", "original")
FIGURES = ("image_auroc", "image_ap", "image_f1", "pixel_auroc", "pixel_ap", "pixel_f1", "pixel_aupro")


class Judged(NamedTuple):
    """An image with its answer."""

    label: int | None
    mask: np.ndarray | None  # bool [H0, W0]; None for a normal image, and where nobody says
    score: float
    map: np.ndarray  # [H, W]
    geometry: Geometry


class Verdict(NamedTuple):
    """The figures of a category."""

    figures: dict[str, float]  # names of `FIGURES`; those that do not exist are not in it
    thresholds: dict[str, float]  # where F1 is at its maximum: image_f1, pixel_f1
    left_out: dict[str, str]  # "image", "pixel" -> why there are no such figures
    images: dict[str, int]  # how many are normal, anomalous, unlabelled; and anomalous without a mask


def judge(
    images: Iterable[Judged],
    resolution: str = "model",
    folder: str | PathLike[str] | None = None,
    dtype: Any = "float32",
    limit: float = LIMIT,
) -> Verdict:
    """Measure a category.

    Parameters
    ----------
    images : iterable of Judged
        Taken one at a time: of pixels only what `Spool` holds is in memory.
    resolution : {"model", "original"}
    folder : path, optional
        Where pixels wait; see `Spool`.
    dtype : {"float32", "float64"}
        In which they wait.
    limit : float
        Of AUPRO.

    Raises
    ------
    ValueError
        No such resolution; a score or a map that is not finite.
    """
    if resolution not in RESOLUTIONS:
        raise ValueError(f"resolution={resolution!r}: expected one of {', '.join(RESOLUTIONS)}")
    scores: list[float] = []
    labels: list[int] = []
    counts = {"normal": 0, "anomalous": 0, "unlabelled": 0, "without_mask": 0}
    figures: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    left_out: dict[str, str] = {}
    with Spool(folder, dtype) as spool:
        for one in images:
            counts[{0: "normal", 1: "anomalous"}.get(one.label, "unlabelled")] += 1  # type: ignore[call-overload]
            if one.label is None:
                continue
            scores.append(one.score)
            labels.append(one.label)
            if one.label and one.mask is None:
                counts["without_mask"] += 1
                continue
            spool.add(*frame(one.map, one.mask, one.geometry, resolution))
        if set(labels) == {0, 1}:
            image = image_metrics(scores, labels)
            figures |= {"image_auroc": image.auroc, "image_ap": image.ap, "image_f1": image.f1.value}
            thresholds["image_f1"] = image.f1.threshold
        else:
            left_out["image"] = f"{_none(counts)}: nothing to tell apart"
        if spool.regions and spool.normal.written + spool.normal.filled:
            pixel = spool.metrics(limit)
            values = (pixel.auroc, pixel.ap, pixel.f1.value, pixel.aupro)
            figures |= dict(zip(FIGURES[3:], values, strict=True))
            thresholds["pixel_f1"] = pixel.f1.threshold
        else:
            left_out["pixel"] = "no mask marks a pixel" if not spool.regions else "no pixel is normal"
    return Verdict(figures, thresholds, left_out, counts)


def _none(counts: dict[str, int]) -> str:
    missing = [name for name in ("normal", "anomalous") if not counts[name]]
    return f"no {' and no '.join(missing)} images"


def frame(
    map: np.ndarray, mask: np.ndarray | None, geometry: Geometry, resolution: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Map and mask at the resolution asked for, cut to what the model saw.

    Parameters
    ----------
    map : array [H, W]
    mask : bool array [H0, W0], or None
    geometry : Geometry
    resolution : {"model", "original"}

    Returns
    -------
    array [h, w], bool array [h, w] or None
    """
    if resolution == "original":
        heat = to_original(map, geometry)  # [H0, W0]
        seen = ~np.isnan(to_original(np.zeros_like(map), geometry))
        rows, columns = (_span(np.asarray(seen.any(axis=axis))) for axis in (1, 0))
        return heat[rows, columns], None if mask is None else mask[rows, columns]
    if map.shape != geometry.size:
        raise ValueError(f"the map is {list(map.shape)}; expected the model's resolution, {list(geometry.size)}")
    rows, columns = (
        slice(max(0, -corner), min(size, resized - corner))  # the frame without its padding
        for corner, size, resized in zip(geometry.corner, geometry.size, geometry.resized, strict=True)
    )
    if mask is None:
        return map[rows, columns], None
    share = np.round(to_model(mask, geometry, "box"), 6)  # [H, W]; rounding errors must not decide about one half
    return map[rows, columns], (share >= 0.5)[rows, columns]


def _span(seen: np.ndarray) -> slice:
    there = np.flatnonzero(seen)
    return slice(int(there[0]), int(there[-1]) + 1) if there.size else slice(0, 0)
