"""The features of a category's images and references, each encoded once and kept in files.

A batch is a fixed range of the category's samples, so that an evaluation that was killed goes on with the same batches
and, to the last bit, the same numbers. What cannot be read is named and left out of its batch.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from refclip.decode import ImageError
from refclip.kept import keep, kept
from refclip.methods.features import join
from refclip.peak import peak_mib
from refclip.samples import DataError, Sample, load, load_usable
from refclip.sources import Category


class Batch(NamedTuple):
    """What is known of a batch of samples once it is encoded; its features are a file beside."""

    numbers: tuple[int, ...]  # of the samples that could be used
    masks: tuple[np.ndarray | None, ...]  # of these: bool [H0, W0]; None for a normal one, and where nobody says
    problems: tuple[str, ...]
    seconds: float
    size: int  # of the features, in bytes
    peak: float | None  # MiB that the process had taken by then


def feature_file(work: Path, i: int) -> Path:
    """Where the features of batch `i` are."""
    return work / f"{i:06}.features.npz"


def encode_category(
    module: ModuleType, state: Any, category: Category, work: Path, *, size: int, tell: Callable[[int], None]
) -> list[Batch]:
    """Encode the batches of a category that are not there yet.

    Parameters
    ----------
    module, state
        The method's.
    category : Category
    work : path
        Where features are kept.
    size : int
        Samples in a batch.
    tell : callable
        Called with the number of samples of each batch that is done.

    Raises
    ------
    DataError
        No image of the category can be used.
    """
    batches = []
    for i, start in enumerate(range(0, len(category.samples), size)):
        some = category.samples[start : start + size]
        facts = work / f"{i:06}.batch.npz"
        batch = kept(facts)
        if batch is None or (batch.numbers and not feature_file(work, i).exists()):
            batch = _encode(module, state, some, start, feature_file(work, i))
            keep(facts, batch)  # last: where it is, the features are
        batches.append(batch)
        tell(len(some))
    if not any(batch.numbers for batch in batches):
        reason = next((text for batch in batches for text in batch.problems), "it has no images")
        raise DataError(f"none of its {len(category.samples)} images can be used: {reason}")
    return batches


def _encode(module: ModuleType, state: Any, samples: Sequence[Sample], start: int, file: Path) -> Batch:
    began = time.perf_counter()
    images, numbers, masks, problems = [], [], [], []
    for number, sample in enumerate(samples, start):
        try:
            image, mask, problem = load_usable(sample)
        except ImageError as error:
            problems.append(str(error))
            continue
        problems += [f"{problem}; the image is scored, its pixels are left out"] if problem else []
        images.append(image)
        numbers.append(number)
        masks.append(mask if sample.label else None)
    features, usable, refused = _extract(module, state, images, [samples[n - start].path for n in numbers])
    if features is not None:
        keep(file, features)
    numbers, masks = (tuple(x for x, ok in zip(xs, usable, strict=True) if ok) for xs in (numbers, masks))
    size = file.stat().st_size if numbers else 0
    return Batch(numbers, masks, (*problems, *refused), time.perf_counter() - began, size, peak_mib())


def _extract(
    module: ModuleType, state: Any, images: Sequence[np.ndarray], paths: Sequence[Path]
) -> tuple[Any, list[bool], list[str]]:
    """Features of the images that the model can take, which these are, and what is wrong with the others."""
    if not images:
        return None, [], []
    try:
        return module.extract(state, images), [True] * len(images), []
    except ImageError as error:
        if len(images) == 1:
            return None, [False], [str(error).replace("images[0]", str(paths[0]))]
    each = [_extract(module, state, [image], [path]) for image, path in zip(images, paths, strict=True)]
    parts = [features for features, _, _ in each if features is not None]
    usable, refused = [ok for one in each for ok in one[1]], [text for one in each for text in one[2]]
    return (join(parts) if parts else None), usable, refused


def encode_references(
    module: ModuleType, state: Any, category: Category, work: Path, *, shots: int, seed: int
) -> tuple[Any, list[Sample], list[str]]:
    """The first normal training images that a seed draws and that can be used, each encoded once for all seeds.

    Returns
    -------
    their features, the samples, and what is wrong with those that were passed over

    Raises
    ------
    DataError
        There are fewer than `shots`.
    """
    parts, used, problems = [], [], []
    for sample in category.normal(seed):
        if len(parts) == shots:
            break
        told = repr((category.relative(sample.path), sample.part)).encode()
        file = work / "references" / f"{hashlib.blake2b(told, digest_size=16).hexdigest()}.npz"
        features = kept(file, state.clip.vision.proj)
        if features is None:
            try:
                image, _ = load(sample._replace(mask=None))
            except ImageError as error:
                problems.append(f"reference {error}")
                continue
            features, _, refused = _extract(module, state, [image], [sample.path])
            if refused:
                problems.append(f"reference {refused[0]}")
                continue
            keep(file, features)
        parts.append(features)
        used.append(sample)
    if len(parts) < shots:
        reason = f" ({problems[0]})" if problems else ""
        raise DataError(f"{len(parts)} normal training images can be used, expected {shots} for references{reason}")
    return join(parts), used, problems
