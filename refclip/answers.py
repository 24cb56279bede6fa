"""The scores and maps of a category's images: computed batch by batch, kept in files, and read one image at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from refclip.encode import Batch, feature_file
from refclip.judge import Judged
from refclip.kept import keep, kept
from refclip.methods import contexts
from refclip.peak import peak_mib
from refclip.prediction import Prediction
from refclip.sources import Category


class Answer(NamedTuple):
    """What a batch was answered."""

    prediction: Prediction
    seconds: float
    peak: float | None  # MiB that the process had taken by then


def score_category(
    module: ModuleType, state: Any, batches: Sequence[Batch], work: Path, answers: Path, *, references: Any, seed: int
) -> Iterator[int]:
    """Score the batches that have no answer yet.

    Parameters
    ----------
    module, state
        The method's.
    batches : sequence of Batch
        Whose features are in `work`.
    work, answers : path
    references : the method's Features, or None
    seed : int
        Of partners, where a method draws them.

    Yields
    ------
    int
        Of how many images there is an answer more.

    Raises
    ------
    ValueError
        See `contexts.score_batches`.
    OSError
        A file cannot be written, or has been damaged.
    """
    usable = [i for i, batch in enumerate(batches) if batch.numbers]
    missing = [i for i in usable if kept(_file(answers, i)) is None]
    yield sum(len(batches[i].numbers) for i in usable if i not in missing)
    if not missing:
        return
    together = contexts.judged_together(module, state.options, references=references is not None)
    taken = usable if together else missing
    features = (_existing(feature_file(work, i), state.clip.vision.proj) for i in taken)
    scored = contexts.score_batches(
        module, state, features, references=references, rng=seed, wanted=lambda k: taken[k] in missing
    )
    start = time.perf_counter()
    for k, prediction in scored:
        keep(_file(answers, taken[k]), Answer(prediction, time.perf_counter() - start, peak_mib()))
        yield len(batches[taken[k]].numbers)
        start = time.perf_counter()


def judged(
    category: Category, batches: Sequence[Batch], answers: Path, problems: list[str]
) -> Iterator[tuple[int, Judged]]:
    """Each image with its answer, by its number; what is no number goes to `problems`."""
    for i, batch in enumerate(batches):
        if not batch.numbers:
            continue
        p = _existing(_file(answers, i)).prediction
        for j, (number, mask) in enumerate(zip(batch.numbers, batch.masks, strict=True)):
            sample, score = category.samples[number], float(p.score[j])
            if math.isfinite(score) and np.isfinite(p.map[j]).all():
                yield number, Judged(sample.label, mask, score, p.map[j], p.geometry[j])
            else:
                problems.append(f"{sample.path}: the score is {score}, or its map no number; are the weights damaged?")


def costs(
    batches: Sequence[Batch], answers: Path
) -> tuple[list[tuple[float, float | None]], Literal["float32", "float64"]]:
    """Seconds and peak of each answer, and the type of their maps."""
    took: list[tuple[float, float | None]] = []
    double = False
    for i, batch in enumerate(batches):
        if batch.numbers:
            answer = _existing(_file(answers, i))
            took.append((answer.seconds, answer.peak))
            double = double or answer.prediction.map.dtype == np.float64
    return took, "float64" if double else "float32"


def _file(answers: Path, i: int) -> Path:
    return answers / f"{i:06}.answer.npz"


def _existing(file: Path, like: Any = None) -> Any:
    found = kept(file, like)
    if found is None:
        raise OSError(f"{file}: damaged since it was written; delete the folder it is in, and start again")
    return found
