"""From a folder to samples: which images a data set holds, what is known of each, and what is wrong with it.

::

    found = data.find("mvtec_anomaly_detection")           # the test images of all categories
    for category, samples in found.by_category.items():
        for sample, image, mask in data.load_all(samples, problems.append):
            ...

A fault of one file never costs another: it becomes a `Problem`, and the rest is done. What makes the whole request
senseless (no such folder, layout or category, nothing found) is a `DataError`. What a sample is and how it is read
stands in `refclip.samples`, how data sets lie on disk in `refclip.folders`, facts about them in `refclip.datasets`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from refclip.datasets import DATASETS
from refclip.folders import LAYOUTS, Layout, entries, subfolders
from refclip.samples import DataError, Loaded, Problem, Sample, load, load_all, metrics

__all__ = [
    "DataError", "Found", "Loaded", "Problem", "Sample",
    "categories", "detect", "find", "load", "load_all", "metrics", "references",
]  # fmt: skip

SPLITS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}


class Found(NamedTuple):
    """What `find` has found."""

    samples: tuple[Sample, ...]  # by category, then split, then kind and name
    problems: tuple[Problem, ...]
    layout: str

    @property
    def by_category(self) -> dict[str, tuple[Sample, ...]]:
        names = dict.fromkeys(sample.category for sample in self.samples)
        return {name: tuple(sample for sample in self.samples if sample.category == name) for name in names}


def find(
    root: str | PathLike[str],
    layout: str | None = None,
    *,
    categories: Sequence[str] | None = None,
    split: str = "test",
) -> Found:
    """List the samples of a data set.

    Images are not opened here, but for KolektorSDD's masks, which alone say what is damaged.

    Parameters
    ----------
    root : path
        The folder of the data set; in MVTec AD's layout that of a single category will do.
    layout : str, optional
        A key of `refclip.datasets.DATASETS` or of `refclip.folders.LAYOUTS`; by default what `detect` finds.
    categories : sequence of str, optional
        Those wanted, in this order; by default all, by name.
    split : str
        "test", "train" or "all". Layouts that know no splits have only "test".

    Returns
    -------
    Found
        Its problems: masks missing, left over or ambiguous, images that a table names and that are not there, folders
        and categories without images, folders that may not be opened. An anomalous image without its mask stays a
        sample, with None for a mask.

    Raises
    ------
    DataError
        The folder is not there or is laid out otherwise, a category is unknown, or there is no image at all.
    OSError
        The folder cannot be listed.
    """
    if split not in SPLITS:
        raise DataError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
    if isinstance(categories, str):
        raise DataError(f"categories is {categories!r}; expected a sequence of names: [{categories!r}]")
    root = _existing(root)
    layout = layout or detect(root)
    shape, known = _known(root, layout)
    if unknown := [name for name in categories or () if name not in known]:
        raise DataError(f"{root}: no category {', '.join(unknown)}; expected some of {', '.join(known)}")
    samples: list[Sample] = []
    problems: list[Problem] = []
    for folder in [root] if categories is None else [root / name for name in dict.fromkeys(categories)]:
        problems += _closed(folder if folder.exists() else root)
    for category in dict.fromkeys(known if categories is None else categories):
        before = len(samples)
        for one in shape.read(root, category, SPLITS[split]):
            if isinstance(one, Sample):
                samples.append(one)
            else:
                problems.append(one)
        if len(samples) == before:
            where = "in it" if split == "all" else f"in its {split} set"
            problems.append(Problem(root / category, f"{root}: category {category}: no image {where}"))
    if not samples:
        told = "; ".join(problem.what for problem in problems[:3]) or "no category was asked for"
        raise DataError(f"{root}: no image found ({told}); expected {layout}: {shape.looks}, split {split}")
    return Found(tuple(samples), tuple(problems), layout)


def categories(root: str | PathLike[str], layout: str | None = None) -> list[str]:
    """Names of the categories of a data set, sorted.

    A data set that is one category has the name that its row in `DATASETS` gives it, else that of its folder.

    Raises
    ------
    DataError
        The folder is not there or is laid out otherwise.
    """
    root = _existing(root)
    return _known(root, layout or detect(root))[1]


def detect(root: str | PathLike[str]) -> str:
    """Name of the first of `refclip.folders.LAYOUTS` that a folder fits; MPDD, BTAD and DTD-Synthetic are "mvtec".

    Raises
    ------
    DataError
        The folder is not there or fits none; the message lists what was looked for, and what is there instead.
    """
    root = _existing(root)
    found = _fitting(root)
    if found is None:
        looked = "; ".join(f"{name}: {layout.looks}" for name, layout in LAYOUTS.items())
        names = [path.name for path in entries(root)]
        there = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
        inner = next(((path, fits) for path in subfolders(root)[:50] if (fits := _fitting(path))), None)
        advice = f"{inner[0]} looks like {inner[1]}: pass that" if inner else "pass the folder that holds one of these"
        raise DataError(f"{root}: no known layout; looked for {looked}; found {there}; {advice}")
    return found


def references(
    root: str | PathLike[str],
    layout: str | None,
    category: str,
    k: int,
    rng: np.random.Generator | int,
    *,
    replace: bool = False,
) -> list[Sample]:
    """Draw normal images of the training set, for few-shot methods.

    For the same seed the first images of a larger draw are those of a smaller: one shot is among the two shots.

    Parameters
    ----------
    root, layout
        As for `find`.
    category : str
    k : int
        How many, the shots.
    rng : numpy.random.Generator or int
        Or the seed of one.
    replace : bool
        Draw with replacement, so that an image may come twice, as the published code of WinCLIP does.

    Returns
    -------
    list of Sample
        k, in the order in which they were drawn.

    Raises
    ------
    DataError
        There are fewer, or the category or the training set is not there.
    """
    if k < 1:
        raise DataError(f"k is {k}; expected at least one reference")
    normal = [
        sample for sample in find(root, layout, categories=[category], split="train").samples if sample.label == 0
    ]
    if not normal or (len(normal) < k and not replace):
        raise DataError(
            f"{root}: {category}: {len(normal)} normal training images, expected at least {k} to draw {k} references; "
            "ask for fewer" + (", or draw with replacement (replace=True)" if normal else "")
        )
    rng = np.random.default_rng(rng)
    drawn = rng.integers(len(normal), size=k) if replace else rng.permutation(len(normal))[:k]
    return [normal[i] for i in drawn]


def _closed(folder: Path) -> list[Problem]:
    """Folders below one, and itself, that may not be opened; without those that `folders.entries` passes over."""
    found: list[Problem] = []

    def tell(error: OSError) -> None:
        found.append(Problem(Path(error.filename), f"{error.filename}: cannot be opened ({error.strerror}); left out"))

    for _, inner, _ in os.walk(folder, onerror=tell):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__MACOSX")))
    return found


def _existing(root: str | PathLike[str]) -> Path:
    path = Path(root)
    if not path.is_dir():
        found = "a file" if path.exists() else "no such folder"
        raise DataError(f"{root}: {found}; expected the folder of a data set (nothing is downloaded: see DATASETS)")
    next(path.iterdir(), None)  # one that may not be opened: an OSError, and not a folder with nothing in it
    return path


def _fitting(root: Path) -> str | None:
    return next((name for name, layout in LAYOUTS.items() if layout.categories(root)), None)


def _known(root: Path, layout: str) -> tuple[Layout, list[str]]:
    """Layout of a data set and the names of its categories; an error if it is laid out otherwise."""
    row = DATASETS.get(layout)
    name = row.layout if row else layout
    if name not in LAYOUTS:
        raise DataError(
            f"layout is {layout!r}; expected a data set ({', '.join(DATASETS)}) or a layout ({', '.join(LAYOUTS)})"
        )
    shape = LAYOUTS[name]
    known = shape.categories(root)
    if not known:
        other = _fitting(root)
        advice = f"it looks like {other}" if other else f"see what is in {root}"
        raise DataError(f"{root}: not laid out as {layout}, expected {shape.looks}; {advice}")
    if row and len(row.categories) == 1:
        known = list(row.categories)
    return shape, known
