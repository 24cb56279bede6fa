"""What is evaluated on: a data set's folder, or the toy benchmark drawn from its seed; its test images, its references.

Every category has a digest of what is known about its files, so that nothing computed for others passes for its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from refclip import data, toy
from refclip.datasets import DATASETS
from refclip.folders import LAYOUTS
from refclip.samples import DataError, Problem, Sample
from refclip.toy.folder import MARK, README

TOY = "toy"  # as a root, the benchmark of `refclip.toy`; ./toy is a folder


class Category(NamedTuple):
    """A category, and where `data` finds it."""

    name: str
    root: Path
    layout: str
    samples: tuple[Sample, ...]  # of its test set

    def normal(self, seed: int) -> list[Sample]:
        """All normal training images, in the order in which a seed draws them; a DataError if there are none."""
        found = data.find(self.root, self.layout, categories=[self.name], split="train").samples
        count = sum(sample.label == 0 for sample in found)
        return data.references(self.root, self.layout, self.name, max(count, 1), seed)

    def relative(self, path: Path) -> str:
        """A path below the root, with slashes on every system."""
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()

    def label(self, sample: Sample) -> str:
        """What a sample is called in a result: its path, and which part of the image it is if it is one."""
        part = "" if sample.part is None else f" ({sample.part[0] + 1} of {sample.part[1]})"
        return self.relative(sample.path) + part

    def digest(self) -> str:
        """Of its name and its samples, tested and training: paths, labels, and the sizes and times of the files."""
        told = hashlib.blake2b(repr(self.name).encode(), digest_size=8)  # prompts say the name
        try:
            train = data.find(self.root, self.layout, categories=[self.name], split="train").samples
        except DataError:  # it has none
            train = ()
        for sample in (*self.samples, *train):
            files = [path for path in (sample.path, sample.mask) if path is not None]
            facts = [(self.relative(path), _stamp(path)) for path in files]
            told.update(repr((facts, sample.label, sample.defect, sample.split, sample.part)).encode())
        return told.hexdigest()


class Source(NamedTuple):
    """What is evaluated on."""

    dataset: str  # a key of `refclip.datasets.DATASETS`, or "toy"; "" if it is neither
    title: str  # what a person calls it
    layout: str
    categories: tuple[Category, ...]
    problems: tuple[Problem, ...]


def open_source(
    root: str | PathLike[str],
    layout: str | None = None,
    categories: Sequence[str] | None = None,
    *,
    folder: Path,
    seed: int = 0,
) -> Source:
    """Find the test images of a data set.

    Parameters
    ----------
    root : path
        Of the data set, or "toy" for the benchmark that `refclip.toy` draws.
    layout : str, optional
        As for `refclip.data.find`, or "toy".
    categories : sequence of str, optional
        Those wanted; by default all.
    folder : path
        Where the toy benchmark is drawn, if it is not there yet.
    seed : int
        The toy benchmark's.

    Raises
    ------
    DataError
        As `refclip.data.find`; or nothing can be measured: no labels.
    ValueError
        No such category or seed of the toy benchmark.
    """
    if str(root) == TOY or layout == TOY:
        names = list(dict.fromkeys(categories or toy.CATEGORIES))
        for name in names:
            toy.check(name, seed, size=240, train=1, good=1, each=1)
        found = [_drawn(name, seed, folder) for name in names]
        return Source(TOY, f"refclip's toy benchmark, seed {seed}", TOY, tuple(found), ())
    found = data.find(root, layout, categories=categories)
    if not any(data.metrics(samples) for samples in found.by_category.values()):
        raise DataError(
            f"{root}: nothing can be measured: no category has both normal and anomalous images, or a mask; "
            "expected a folder such as good/ beside others (refclip score needs no labels)"
        )
    parts = tuple(Category(name, Path(root), found.layout, some) for name, some in found.by_category.items())
    dataset = _dataset(Path(root), found.layout)
    title = DATASETS[dataset].title if dataset in DATASETS else Path(root).resolve().name
    return Source(dataset, title, found.layout, parts, found.problems)


def _drawn(name: str, seed: int, folder: Path) -> Category:
    # one for each category, so that others can be added; with the edition, for another one draws other pictures
    root = folder / f"toy-edition-{toy.EDITION}-seed-{seed}" / name
    if not root.exists():
        toy.write(toy.Toy(seed, 240, (toy.category(name, seed),)), root)
    return Category(name, root, "mvtec", data.find(root, "mvtec", categories=[name]).samples)


def _dataset(root: Path, layout: str) -> str:
    """Which published data set it is: one that was named, or one all of whose categories lie there."""
    if layout == "sdd" or (layout in DATASETS and layout not in LAYOUTS):
        return layout
    try:
        if (root / README).read_text(encoding="utf-8").startswith(MARK):
            return TOY
    except (OSError, ValueError):
        pass
    names = set(data.categories(root, layout))
    rows = ((key, set(row.categories)) for key, row in DATASETS.items() if row.layout == layout)
    return next((key for key, wanted in rows if len(wanted) > 1 and wanted <= names), "")


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
