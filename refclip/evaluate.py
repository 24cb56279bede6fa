"""A method on a data set: every category encoded once, scored for each number of references and each seed, measured.

    images, 8 at a time -> features                       files (`encode`): whatever is asked of them afterwards
    features, references, a seed -> scores and maps       files, one for each batch
    scores and maps of a category -> its figures          a `Record`, a file

Each file is written whole or not at all, and what is there is not computed again: an evaluation that was killed goes on
where it was, with the loss of the one batch it was busy with. (A method that judges a set as a whole has no answer
before the last image, so there it is the scoring of one category that is lost, never its features.) Which files belong
to an evaluation is told by digests of the weights, the options, what was learned and the category's files: nothing
stale is taken up.

When a category is done, its features and maps go; its records and its extreme cases stay.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from refclip import __version__
from refclip.answers import costs, judged, score_category
from refclip.cases import Case, choose
from refclip.clip import CLIP
from refclip.encode import Batch, encode_category, encode_references
from refclip.fingerprint import fingerprint
from refclip.judge import RESOLUTIONS, Judged, judge
from refclip.kept import keep, kept
from refclip.methods import BATCH, contexts, learns, method_of
from refclip.methods.learned import digest, given_or_shipped
from refclip.prediction import describe
from refclip.records import Record, cost, read_record, write_record
from refclip.samples import DataError
from refclip.sources import Category, Source


class Request(NamedTuple):
    """What is evaluated."""

    method: str
    options: dict[str, Any]
    name: str | None = None  # of the object; None: each category's own
    shots: tuple[int, ...] = (0,)  # numbers of normal references, 0 for none
    seeds: tuple[int, ...] = (0,)  # they draw references, or partners
    resolution: str = "model"
    batch: int = BATCH


class Done(NamedTuple):
    """An evaluation."""

    records: tuple[Record, ...]  # by category, then shots, then seed
    cases: tuple[tuple[Category, tuple[Case, ...]], ...]  # of the first run of each category
    failed: tuple[str, ...]  # categories, or runs of one, that could not be done, and why


Tell = Callable[[str, int], None]


def evaluate(
    clip: CLIP,
    source: Source,
    request: Request,
    folder: Path,
    *,
    keep_features: bool = False,
    tell: Tell = lambda category, images: None,
) -> Done:
    """Evaluate a method on every category of a data set.

    Parameters
    ----------
    clip : CLIP
    source : Source
        From `open_source`.
    request : Request
    folder : Path
        For what is kept. The same folder, and an evaluation goes on where it was.
    keep_features : bool
        Leave features when a category is done: other seeds and shots then need no encoding.
    tell : callable
        Called with a category's name and a number of its images as they get done: each image once when it is encoded,
        and once for each of `runs`.

    Raises
    ------
    ValueError
        The request cannot be answered; or no category could be done, and then the reason of the first.
    OSError
        A file cannot be written.
    """
    _, options = check(request)
    told = [request.method, describe(options._replace(learned=None) if learns(request.method) else options)]
    told += [request.name, request.batch, __version__, fingerprint(clip), *learned_digest(clip, request)]
    identity = hashlib.blake2b(json.dumps(told).encode(), digest_size=8).hexdigest()
    records: list[Record] = []
    cases: list[tuple[Category, tuple[Case, ...]]] = []
    failed: list[str] = []
    for category in source.categories:
        name = re.sub(r"\W+", "-", category.name)[:40]  # for people; the digests tell them apart
        place = folder / f"{name}-{category.digest()}-{identity}"
        try:
            found, wrong = _category(clip, options, category, request, place, tell=tell)
        except ValueError as error:
            failed.append(f"{category.name}: {error}")
            continue
        records += found
        failed += wrong
        cases.append((category, kept(_case_file(place, runs(request)[0])) or ()))
        if not keep_features:
            shutil.rmtree(place / "work", ignore_errors=True)
    if not records:
        raise DataError(failed[0] if failed else "no category was asked for")
    return Done(tuple(records), tuple(cases), tuple(failed))


def learned_digest(clip: CLIP, request: Request) -> tuple[str, ...]:
    """A digest of the content of what the method has learned, whatever its file is called; () if it learns nothing.

    Raises
    ------
    ValueError
        There is nothing learned, where the method needs it.
    WeightsError
        The file cannot be read.
    """
    if not learns(request.method):
        return ()
    return (digest(given_or_shipped(request.method, clip, request.options.get("learned"))),)


def check(request: Request) -> tuple[ModuleType, Any]:
    """A method's file and its options, once the request makes sense.

    Raises
    ------
    ValueError
        It does not; the text says why.
    """
    module, preset = method_of(request.method)
    options = module.Options(**preset, **request.options)
    if request.resolution not in RESOLUTIONS:
        raise ValueError(f"resolution={request.resolution!r}: expected one of {', '.join(RESOLUTIONS)}")
    if not request.shots or not request.seeds or min(*request.shots, *request.seeds, request.batch - 1) < 0:
        raise ValueError(
            f"shots {request.shots}, seeds {request.seeds}, batch {request.batch}: expected some of each, shots and "
            "seeds from 0 on, a batch of 1 or more"
        )
    for shots in request.shots:
        contexts.check(request.method, module, options, references=shots > 0, how="--shots K")
    return module, options


def runs(request: Request) -> list[tuple[int, int]]:
    """Which (shots, seed) an evaluation consists of: the first seed alone where nothing is drawn."""
    module, options = check(request)
    return [
        (shots, seed)
        for shots in dict.fromkeys(request.shots)
        for seed in dict.fromkeys(request.seeds)
        if seed == request.seeds[0] or contexts.draws(module, options, references=shots > 0)
    ]


def _category(
    clip: CLIP, options: Any, category: Category, request: Request, place: Path, *, tell: Tell
) -> tuple[list[Record], list[str]]:
    """Records of all runs, and what is wrong with those that could not be done."""
    wanted, total, module = runs(request), len(category.samples), method_of(request.method)[0]
    paths = {run: place / f"{_named(run)}-{request.resolution}.json" for run in wanted}
    done = {run: record for run, path in paths.items() if (record := read_record(path))}
    tell(category.name, len(done) * total)
    if len(done) == len(wanted):
        tell(category.name, total)
        return [done[run] for run in wanted], []
    work, failed = place / "work", []
    state = module.prepare(clip, category.name if request.name is None else request.name, **options._asdict())
    batches = encode_category(module, state, category, work, size=request.batch, tell=lambda n: tell(category.name, n))
    for run in (run for run in wanted if run not in done):
        shots, seed = run
        answers = work / _named(run)
        try:
            features, used, refused = None, [], []
            if shots:
                features, used, refused = encode_references(module, state, category, work, shots=shots, seed=seed)
            for n in score_category(module, state, batches, work, answers, references=features, seed=seed):
                tell(category.name, n)
        except ValueError as error:  # too few references, or a set of one image: other runs may do better
            failed.append(f"{category.name}, shots {shots}, seed {seed}: {error}")
            continue
        tell(category.name, total - sum(len(batch.numbers) for batch in batches))
        record = _measure(category, batches, answers, request.resolution, run)
        keep(_case_file(place, run), choose(judged(category, batches, answers, [])))
        done[run] = record._replace(
            references=tuple(category.label(sample) for sample in used),
            problems=(*record.problems, *refused),
            options=describe(state.options),
        )
        write_record(paths[run], done[run])
        shutil.rmtree(answers, ignore_errors=True)
    return [done[run] for run in wanted if run in done], failed


def _named(run: tuple[int, int]) -> str:
    return f"shots{run[0]}-seed{run[1]}"


def _case_file(place: Path, run: tuple[int, int]) -> Path:
    return place / f"{_named(run)}-cases.npz"


def _measure(
    category: Category, batches: Sequence[Batch], answers: Path, resolution: str, run: tuple[int, int]
) -> Record:
    problems = [text for batch in batches for text in batch.problems]
    scores: list[tuple[str, int | None, float]] = []

    def images() -> Iterator[Judged]:
        for number, one in judged(category, batches, answers, problems):
            scores.append((category.label(category.samples[number]), one.label, one.score))
            yield one

    took, dtype = costs(batches, answers)
    verdict = judge(images(), resolution, answers, dtype)
    return Record(
        category.name,
        *run,
        **verdict._asdict(),
        references=(),
        scores=tuple(scores),
        problems=tuple(problems),
        options={},
        cost=cost(batches, took),
    )
