"""Evaluating the settings of claims, each once, on every seed.

What is evaluated is kept by `refclip.evaluate`, so that a run that was killed goes on where it was. Settings that
differ in their number of references alone are one evaluation, of one encoding. What a setting is learned with is
learned before its first evaluation, and kept too (`claims_train`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.claims_list import WORDS
from benchmarks.claims_verdict import Claim, Setting, encoded, options_of
from refclip.clip import CLIP
from refclip.evaluate import Request, evaluate
from refclip.files import claimed
from refclip.records import Record
from refclip.samples import Sample
from refclip.sources import Source


class Part(NamedTuple):
    """A data set, and the seeds that are evaluated on it."""

    source: Source
    seeds: tuple[int, ...]


class Measured(NamedTuple):
    """What all evaluations came to."""

    records: dict[Setting, list[Record]]
    seconds: dict[Setting, float]  # to encode and to score, had it been evaluated alone; learning not counted
    total: float  # seconds to encode and to score, each encoding counted once
    images: int  # of all parts
    failed: tuple[str, ...]


class Job(NamedTuple):
    """One evaluation: settings with one encoding, on one data set."""

    part: Part
    settings: tuple[Setting, ...]  # which differ in `shots` alone

    def __str__(self) -> str:
        shots = ", ".join(str(setting.shots) for setting in self.settings)
        told = str(encoded(self.settings[0])) + (f", references {shots}" if any(s.shots for s in self.settings) else "")
        return f"{self.part.source.title}: {told}"

    def place(self, folder: Path) -> Path:
        """What a run claims while it is at this job, so that another in the same folder waits and finds it done."""
        return folder / "jobs" / hashlib.blake2b(str(self).encode(), digest_size=8).hexdigest()


def jobs(claims: Iterable[Claim], parts: Sequence[Part]) -> list[Job]:
    """What has to be evaluated, nothing twice; setting by setting, in the order of the claims."""
    settings = dict.fromkeys(setting for claim in claims for setting in (claim.a, *claim.b))
    groups: dict[Setting, list[Setting]] = {}
    for setting in settings:
        groups.setdefault(encoded(setting), []).append(setting)
    return [
        Job(part, tuple(sorted(some, key=lambda setting: setting.shots))) for some in groups.values() for part in parts
    ]


def requests(
    job: Job, name: str | None = None, batch: int = 8, learned: Mapping[int, Path] | None = None
) -> list[tuple[Source, Request]]:
    """The evaluations of a job: one, or, where state words depend on the category, one for each.

    What is `learned` for each seed makes one for each seed.

    Raises
    ------
    ValueError
        A category whose kinds of defect have no words.
    """
    first = job.settings[0]
    shots = tuple(setting.shots for setting in job.settings)
    source = job.part.source if first.few is None else thinned(job.part.source, first.few)
    sources = [source]
    if first.words:
        sources = [source._replace(categories=(category,)) for category in source.categories]
    given: list[tuple[dict[str, str], tuple[int, ...]]] = [({}, job.part.seeds)]
    if learned is not None:
        given = [({"learned": str(learned[seed])}, (seed,)) for seed in job.part.seeds]
    found = []
    for one in sources:
        words: list[str] = []
        if first.words:
            words = words_for(one.categories[0].name, one.categories[0].samples)
        for more, seeds in given:
            options = options_of(first, words) | more
            found.append((one, Request(first.method, options, name, shots, seeds, batch=batch)))
    return found


def words_for(category: str, samples: Sequence[Sample]) -> list[str]:
    """State words for the kinds of defect that the folders of a category name: what its inspector would know."""
    kinds = dict.fromkeys(sample.defect for sample in samples if sample.label)
    unknown = [kind for kind in kinds if kind not in WORDS]
    if unknown or not kinds:
        raise ValueError(
            f"{category}: no state word for {', '.join(unknown) or 'any defect'}; WORDS has the toy's alone"
        )
    return [WORDS[kind] for kind in kinds]


def thinned(source: Source, few: int) -> Source:
    """The same categories with the first so many test images of each kind: good ones, and each defect."""

    def first(samples: Sequence[Sample]) -> tuple[Sample, ...]:
        counts: dict[str, int] = {}
        chosen = []
        for sample in samples:
            counts[sample.defect] = counts.get(sample.defect, 0) + 1
            chosen += [sample] if counts[sample.defect] <= few else []
        return tuple(chosen)

    return source._replace(categories=tuple(c._replace(samples=first(c.samples)) for c in source.categories))


def measure(
    clip: CLIP,
    claims: Sequence[Claim],
    parts: Sequence[Part],
    folder: Path,
    *,
    name: str | None = None,
    batch: int = 8,
    started: Callable[[int, int, Job], None] = lambda done, of, job: None,
    ended: Callable[[float], None] = lambda seconds: None,
) -> Measured:
    """Evaluate all settings of some claims.

    Parameters
    ----------
    clip : CLIP
    claims : sequence of Claim
    parts : sequence of Part
    folder : path
        For what is kept. The same folder, and a run goes on where it was. Two runs may share it, each with groups of
        its own: where both come to the same job, one waits.
    name : str, optional
        Of the object, instead of each category's own.
    batch : int
        Images encoded at a time.
    started, ended : callable
        Told before and after each job: how many are done, of how many, which is next; and the seconds it took.

    Returns
    -------
    Measured
        An evaluation that failed is told in `failed`, and costs no other.
    """
    records: dict[Setting, list[Record]] = {}
    seconds: dict[Setting, float] = {}
    failed: list[str] = []
    total = 0.0
    todo = jobs(claims, parts)
    for i, job in enumerate(todo):
        started(i, len(todo), job)
        began = time.perf_counter()
        found: list[Record] = []
        try:
            with claimed(job.place(folder), wait=True):
                learned = learn(clip, job, folder)
                for source, request in requests(job, name, batch, learned):
                    done = evaluate(clip, source, request, folder)
                    found += done.records
                    failed += [f"{job}: {text}" for text in done.failed]
        except (ValueError, FloatingPointError) as error:
            failed.append(f"{job}: {error}")
        for setting in job.settings:
            own = [record for record in found if record.shots == setting.shots]
            records.setdefault(setting, []).extend(own)
            seconds[setting] = seconds.get(setting, 0.0) + _encoding(own) + _scoring(own)
        total += _encoding(found) + _scoring(found)
        ended(time.perf_counter() - began)
    images = sum(len(category.samples) for part in parts for category in part.source.categories)
    return Measured(records, seconds, total, images, tuple(dict.fromkeys(failed)))


def learn(clip: CLIP, job: Job, folder: Path) -> dict[int, Path] | None:
    """Seed -> file in `folder`/learned, of what a job's settings are learned with; None if nothing is."""
    setting = encoded(job.settings[0])
    if setting.learning is None:
        return None
    from benchmarks.claims_train import learned_for  # here, not above: it draws on weights/

    with claimed(folder / "jobs" / f"learning-{setting.method}", wait=True):  # jobs may be learned with the same file
        return {seed: learned_for(clip, setting, seed, job.part.source, folder / "learned") for seed in job.part.seeds}


def _images(record: Record) -> int:
    return sum(record.images[kind] for kind in ("normal", "anomalous", "unlabelled"))


def _encoding(records: Sequence[Record]) -> float:
    """Seconds; a category is encoded once for all its seeds and shots."""
    each = {record.category: (record.cost["encode_seconds"] or 0.0) * _images(record) for record in records}
    return sum(each.values())


def _scoring(records: Sequence[Record]) -> float:
    return sum((record.cost["score_seconds"] or 0.0) * _images(record) for record in records)
