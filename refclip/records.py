"""What is kept of one category with one number of references and one seed, as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from refclip.encode import Batch
from refclip.files import whole_file


class Record(NamedTuple):
    """The figures of a category, and what they are of."""

    category: str
    shots: int
    seed: int
    figures: dict[str, float]  # see `judge.Verdict`, as for the next three
    thresholds: dict[str, float]
    left_out: dict[str, str]
    images: dict[str, int]
    references: tuple[str, ...]  # their paths, in the order in which they were drawn
    scores: tuple[tuple[str, int | None, float], ...]  # path, label and score of each image
    problems: tuple[str, ...]  # what could not be used, and why
    options: dict[str, Any]  # of the method, as they were used
    cost: dict[str, float | None]  # see `cost`


def cost(batches: Sequence[Batch], answers: Sequence[tuple[float, float | None]]) -> dict[str, float | None]:
    """What a category took: of each image the seconds to read and encode it, to score it, and the MiB of its features
    on disk; and the peak of the process's memory in MiB, with the model in it, None where no system tells.

    Parameters
    ----------
    batches : sequence of Batch
    answers : sequence of (float, float or None)
        Seconds and peak of each batch that was scored.
    """
    images = max(1, sum(len(batch.numbers) for batch in batches))
    peaks = [peak for peak in (*(batch.peak for batch in batches), *(peak for _, peak in answers)) if peak is not None]
    return {
        "encode_seconds": sum(batch.seconds for batch in batches) / images,
        "score_seconds": sum(seconds for seconds, _ in answers) / images,
        "feature_mib": sum(batch.size for batch in batches) / images / 2**20,
        "peak_mib": max(peaks, default=None),
    }


def write_record(path: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    with whole_file(path) as file:
        file.write(json.dumps(record._asdict(), allow_nan=False).encode())


def read_record(path: Path) -> Record | None:
    """Read what `write_record` wrote; None if it is not there, or not as it was written."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["scores"] = tuple(tuple(one) for one in values["scores"])
        values["references"], values["problems"] = tuple(values["references"]), tuple(values["problems"])
        return Record(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
