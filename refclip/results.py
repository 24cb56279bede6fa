"""Records of categories -> the papers' table: means over categories, mean and spread over seeds; as JSON, as Markdown.

Papers average a figure over categories; a mean here is over those categories that have it, and says how many these are.
The mean over seeds is of these means; the spread is the standard deviation over seeds (n - 1).
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from refclip import __version__
from refclip.datasets import DATASETS
from refclip.evaluate import Done, Request
from refclip.judge import FIGURES
from refclip.metrics import LIMIT
from refclip.papers import Reported, reported
from refclip.records import Record
from refclip.sources import Source

TITLES = {
    "image_auroc": "image AUROC", "image_ap": "AP", "image_f1": "F1-max",
    "pixel_auroc": "pixel AUROC", "pixel_ap": "AP", "pixel_f1": "F1-max", "pixel_aupro": "AUPRO",
}  # fmt: skip
MEAN = "mean"  # the row of a table that is over categories


class Figure(NamedTuple):
    """A figure over seeds."""

    value: float
    spread: float | None  # None for one seed
    seeds: int
    categories: int


class Line(NamedTuple):
    """A row of the table."""

    category: str  # or `MEAN`
    shots: int
    figures: dict[str, Figure]


def table(records: Sequence[Record]) -> list[Line]:
    """The table: for each number of references its categories, then their mean."""
    lines = []
    for shots in dict.fromkeys(record.shots for record in records):
        some = [record for record in records if record.shots == shots]
        names = list(dict.fromkeys(record.category for record in some))
        lines += [Line(name, shots, _over_seeds([r for r in some if r.category == name])) for name in names]
        lines.append(Line(MEAN, shots, _over_seeds(some)))
    return lines


def _over_seeds(records: Sequence[Record]) -> dict[str, Figure]:
    found = {}
    for figure in FIGURES:
        seeds: dict[int, list[float]] = {}
        for record in records:
            if figure in record.figures:
                seeds.setdefault(record.seed, []).append(record.figures[figure])
        if seeds:
            means = [math.fsum(values) / len(values) for values in seeds.values()]
            spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
            categories = min(len(values) for values in seeds.values())
            found[figure] = Figure(math.fsum(means) / len(means), spread, len(means), categories)
    return found


def problems(source: Source, done: Done) -> list[str]:
    """All that could not be used, each once."""
    told = [*(problem.what for problem in source.problems), *done.failed]
    return list(dict.fromkeys([*told, *(text for record in done.records for text in record.problems)]))


def missing(records: Sequence[Record], dataset: str) -> list[str]:
    """Categories of a published data set of which there is no record."""
    known = DATASETS[dataset].categories if dataset in DATASETS else ()
    return [name for name in known if name not in {record.category for record in records}]


def notes(records: Sequence[Record], dataset: str = "") -> list[str]:
    """What figures are left out, and why; which images have no pixels to judge; and why no paper's row is there."""
    found = [f"{r.category}: no {kind} figures: {why}" for r in records for kind, why in r.left_out.items()]
    found += [
        f"{r.category}: {n} anomalous images without a mask count for the image figures only"
        for r in records
        if (n := r.images["without_mask"]) and "pixel" not in r.left_out
    ]
    if some := missing(records, dataset):
        found.append(f"papers' numbers are means over all categories; left out, as {', '.join(some)} had no part here")
    return list(dict.fromkeys(found))


def papers(
    method: str,
    dataset: str,
    shots: int,
    options: Mapping[str, Any] | None = None,
    records: Sequence[Record] | None = None,
) -> tuple[Reported, ...]:
    """What papers print for the mean of this data set, each number of a table once.

    Nothing, if the records are not of all its categories: the papers' mean is over all.

    With the options that were used, the rows of ablations whose setting they are come too. A method without references
    that learned from all normal images (CLIP-ADA) has what papers print for these.
    """
    if records is not None and missing(records, dataset):
        return ()
    rows = reported(method, dataset, shots) or (reported(method, dataset, None) if shots == 0 else ())
    ablations = reported(method, dataset, shots, ablations=True)
    used = [row for row in ablations if options is not None and _set(row.setting, options)]
    return tuple(dict.fromkeys(row for row in (*rows, *used) if row.metric in FIGURES))


def _set(setting: str, options: Mapping[str, Any]) -> bool:
    """Whether a setting is one of options, "crops=1", and these have its values; of one in other words, no."""
    try:
        call = ast.parse(f"options({setting})", mode="eval").body
        wanted = {one.arg: ast.literal_eval(one.value) for one in call.keywords}  # type: ignore[attr-defined]
    except (SyntaxError, ValueError):
        return False
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in wanted.items() if key}
    return bool(values) and all(key in options and options[key] == value for key, value in values.items())


def as_json(source: Source, request: Request, done: Done, weights: str, digest: str) -> dict[str, Any]:
    """All there is, as plain values.

    Parameters
    ----------
    source, request, done
        Of the evaluation.
    weights : str
        As they were named.
    digest : str
        From `fingerprint`.
    """
    records = done.records
    lines = table(records)
    return {
        "refclip": __version__,
        "method": request.method,
        "options": records[0].options,
        "object": request.name,
        "weights": {"name": weights, "digest": digest},
        "data": {"title": source.title, "dataset": source.dataset, "layout": source.layout},
        "resolution": request.resolution,
        "aupro_limit": LIMIT,
        "table": [
            {"category": line.category, "shots": line.shots}
            | {name: figure._asdict() for name, figure in line.figures.items()}
            for line in lines
        ],
        "papers": [
            row._asdict()
            for shots in dict.fromkeys(record.shots for record in records)
            for row in papers(request.method, source.dataset, shots, records[0].options, records)
        ],
        "notes": notes(records, source.dataset),
        "problems": problems(source, done),
        "runs": [record._asdict() for record in records],
    }


def as_markdown(source: Source, request: Request, done: Done, weights: str) -> str:
    """The table and what belongs to it, for people."""
    records = done.records
    told = [f"# {request.method} on {source.title}", ""]
    seeds = len({record.seed for record in records})
    told += [
        f"{weights}, pixels at the resolution of the {'model' if request.resolution == 'model' else 'images'}, AUPRO "
        f"up to a false positive rate of {LIMIT}" + (f", {seeds} seeds: mean ± standard deviation" if seeds > 1 else "")
        + ". In percent.", "",
    ]  # fmt: skip
    names = ["", *(TITLES[figure] for figure in FIGURES)]
    for shots in dict.fromkeys(record.shots for record in records):
        told += [f"## {shots_of(shots)}", ""] if shots or len({r.shots for r in records}) > 1 else []
        told += [_row(names), _row(["---", *["---:"] * len(FIGURES)])]
        for line in table([record for record in records if record.shots == shots]):
            told.append(_row([line.category, *(percent(line.figures.get(figure)) for figure in FIGURES)]))
        printed = papers(request.method, source.dataset, shots, records[0].options, records)
        for name, values in paper_rows(printed):
            told.append(_row([name, *(values.get(figure, "") for figure in FIGURES)]))
        told += ["", *(f"- {_escaped(text)}" for text in paper_notes(printed)), ""]
    cost = costs(records)
    told += [cost, ""] if cost else []
    for title, texts in (("Left out", notes(records, source.dataset)), ("Could not be used", problems(source, done))):
        told += [f"## {title}", "", *(f"- {_escaped(text)}" for text in texts), ""] if texts else []
    return "\n".join(told)


def paper_rows(rows: Sequence[Reported]) -> list[tuple[str, dict[str, str]]]:
    """A line for each paper and table: its name, and its numbers as they are printed, in percent."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        spread = "" if row.spread is None else f" ± {row.spread:.1f}"
        line = found.setdefault(f"{row.paper}, table {row.table}: {row.method}", {})
        line.setdefault(row.metric, f"{row.value:.1f}{spread}")
    return list(found.items())


def paper_notes(rows: Sequence[Reported]) -> list[str]:
    """What has to be known to compare with these rows: of which tables, how they were had, what contradicts them."""
    found: dict[str, dict[str, dict[str, None]]] = {}  # note -> paper -> its tables
    for row in rows:
        for note in re.split("; (?=contradicted: )", row.note) if row.note else ():
            found.setdefault(note, {}).setdefault(row.paper, {})[row.table] = None
    return [
        "; ".join(f"{paper}, table{'s' * (len(tables) > 1)} {', '.join(tables)}" for paper, tables in places.items())
        + f": {note}"
        for note, places in found.items()
    ]


def costs(records: Sequence[Record]) -> str:
    """What it took, in a sentence: the mean over the categories, the greatest peak."""
    of = {key: [r.cost[key] for r in records if r.cost.get(key) is not None] for key in records[0].cost}
    encode, score, size = (float(np.mean(of[key])) for key in ("encode_seconds", "score_seconds", "feature_mib"))  # type: ignore[arg-type]
    peak = f"; at most {max(of['peak_mib']):.0f} MiB of memory" if of["peak_mib"] else ""  # type: ignore[type-var]
    return f"Of each image {encode:.3f} s to encode, {score:.3f} s to score, {size:.2f} MiB of features{peak}."


def percent(figure: Figure | None) -> str:
    """A figure as papers print it; "" if there is none."""
    if figure is None:
        return ""
    return f"{100 * figure.value:.1f}" + ("" if figure.spread is None else f" ± {100 * figure.spread:.1f}")


def shots_of(shots: int) -> str:
    """A number of references, in words."""
    return f"{shots} reference{'s' * (shots != 1)}" if shots else "no references"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return " ".join(text.splitlines()).replace("|", "\\|")
