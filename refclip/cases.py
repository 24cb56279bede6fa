"""The extreme cases of an evaluation as one figure: where a method did best, and where it failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from refclip.decode import ImageError
from refclip.judge import Judged
from refclip.preprocess import to_original
from refclip.samples import load
from refclip.sources import Category
from refclip.viz import Row, panel

CELL = 160  # pixels of each picture
HIGHEST, LOWEST, NORMAL = "highest damaged", "lowest damaged", "highest good"


class Case(NamedTuple):
    """One image with its answer."""

    kind: str
    number: int  # of the sample
    judged: Judged


def choose(judged: Iterable[tuple[int, Judged]]) -> tuple[Case, ...]:
    """Of a category's anomalous images those with the highest and the lowest score, of its normal ones the highest."""
    most: dict[str, tuple[float, Case]] = {}
    for number, one in judged:
        kinds = {HIGHEST: one.score, LOWEST: -one.score} if one.label else {NORMAL: one.score}
        for kind, value in kinds.items() if one.label is not None else ():
            if kind not in most or value > most[kind][0]:
                most[kind] = value, Case(kind, number, one)
    cases = [most[kind][1] for kind in (HIGHEST, LOWEST, NORMAL) if kind in most]
    # a single anomalous image is the highest and the lowest: once is enough
    return tuple(case for i, case in enumerate(cases) if case.number not in {other.number for other in cases[:i]})


def figure(found: Sequence[tuple[Category, Sequence[Case]]]) -> Image.Image | None:
    """Draw the cases, a line for each category, all maps on one scale; None if there is nothing to draw.

    Images are read again; one that has gone meanwhile is left out.
    """
    rows = [row for category, cases in found for case in cases if (row := _row(category, case))]
    across = max((len(cases) for _, cases in found), default=0)
    return panel(rows, cell=CELL, across=across) if rows else None


def _row(category: Category, case: Case) -> Row | None:
    sample, one = category.samples[case.number], case.judged
    try:
        image, _ = load(sample._replace(mask=None))
    except ImageError:
        return None
    heat = to_original(one.map, one.geometry)  # [H0, W0]
    if heat.shape != image.shape[:2]:
        return None
    mask: Any = np.zeros(heat.shape, bool) if sample.label == 0 else one.mask
    kind = f"{sample.defect}, {sample.path.name}" if sample.label else sample.path.name
    return Row(image, heat, f"{category.name}, {case.kind} ({one.score:.3g}): {kind}", mask)
