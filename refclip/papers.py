"""What the papers print: the numbers of four of them, as they stand, for the methods that are here.

    reported("winclip", "mvtec")                    each mean, of every table that has it
    reported("winclip+", "visa", shots=4)
    reported("clip-ada", "mvtec", shots=None)       None: all normal images of the target
    reported("anomalyclip", "visa", category="pcb1")
    reported("winclip", "mvtec", ablations=True)    the rows of ablations instead: each names its setting

The papers: WinCLIP, AnomalyCLIP, CLIP-ADA, Dual-Image Enhanced CLIP. Their tables are in `assets/papers.json`, row by
row as printed; what the text of a paper does not show with certainty is left out, and listed in `left_out()`. Where
papers, or two tables of one paper, differ, all values stand and their notes say so: `contradictions()`. Nothing here
was measured by refclip.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple


class Reported(NamedTuple):
    """One number of a paper."""

    paper: str  # "WinCLIP", "AnomalyCLIP", "CLIP-ADA" or "Dual-Image"
    table: str  # "4", "supplement 1"
    method: str  # as printed: "WinCLIP (ours)"
    dataset: str  # a key of `datasets.DATASETS`
    category: str | None  # by the name of its folder; None is the mean over all
    shots: int | None  # normal images of the target: 0 is zero-shot, None is all there are
    metric: str  # "image_" or "pixel_", then a field of `metrics.ImageMetrics` or `metrics.PixelMetrics`
    value: float  # in percent
    spread: float | None  # over seeds, in percent; None where none is printed
    note: str
    setting: str  # "" for the method as its paper proposes it; else what an ablation changes


class Contradiction(NamedTuple):
    """A number for which the papers have several."""

    method: str  # refclip's name
    values: tuple[Reported, ...]
    note: str


class UnequalMean(NamedTuple):
    """A printed mean that is not, to the digits printed, the mean of the categories printed beside it."""

    method: str  # refclip's name
    printed: Reported
    categories: tuple[Reported, ...]
    note: str


def reported(
    method: str, dataset: str, shots: int | None = 0, category: str | None = None, *, ablations: bool = False
) -> tuple[Reported, ...]:
    """What the papers print for a method.

    Parameters
    ----------
    method : str
        refclip's name, as `methods()` lists them. "dual-image+" is with adaptation, "musc-2" MuSc on pairs.
    dataset : str
        A key of `datasets.DATASETS`.
    shots : int or None
        Normal reference images of the target; None is all of them.
    category : str, optional
        By the name of its folder; None is the mean over all.
    ablations : bool
        The rows in which something of the method was changed, instead of the method itself.

    Returns
    -------
    tuple of Reported
        In the order of the papers' tables; a number that stands in several tables comes several times. Empty where no
        paper prints any.

    Examples
    --------
    >>> [(r.table, r.metric, r.value) for r in reported("winclip+", "visa", shots=1)][:2]
    [('1', 'image_auroc', 83.8), ('1', 'image_ap', 85.1)]
    """
    wanted = dataset, category, shots, ablations
    return tuple(r for m, r in _all() if m == method and (r.dataset, r.category, r.shots, bool(r.setting)) == wanted)


def methods() -> tuple[str, ...]:
    """The methods of which there are numbers, by refclip's names."""
    return tuple(dict.fromkeys(method for method, _ in _all()))


def contradictions() -> tuple[Contradiction, ...]:
    """Where papers, or tables, print different numbers for what they call by one name."""
    found = []
    for c in _data()["contradictions"]:
        values = reported(c["method"], c["dataset"], c["shots"])
        found.append(Contradiction(c["method"], tuple(v for v in values if v.metric == c["metric"]), c["note"]))
    return tuple(found)


def unequal_means() -> tuple[UnequalMean, ...]:
    """Where a printed mean is not that of the categories printed with it."""
    found = []
    for u in _data()["unequal_means"]:
        place = _paper(u["paper"]), u["table"], u["dataset"], u["metric"]
        rows = [r for m, r in _all() if m == u["method"] and (r.paper, r.table, r.dataset, r.metric) == place]
        (mean,) = (r for r in rows if r.category is None)
        found.append(UnequalMean(u["method"], mean, tuple(r for r in rows if r.category is not None), u["note"]))
    return tuple(found)


def left_out() -> tuple[str, ...]:
    """What of the papers' tables is not here, and why."""
    return tuple(_data()["left_out"])


def references() -> dict[str, str]:
    """The papers, in full, by the names that `Reported.paper` has."""
    return dict(_data()["papers"].values())


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    return json.loads((files("refclip") / "assets" / "papers.json").read_text(encoding="utf-8"))


def _paper(key: str) -> str:
    return _data()["papers"][key][0]


@lru_cache(maxsize=1)
def _all() -> tuple[tuple[str, Reported], ...]:
    """Every number, with refclip's name of its method."""
    doubts = {(c["method"], c["dataset"], c["shots"], c["metric"]): c["note"] for c in _data()["contradictions"]}
    numbers = []
    for table in _data()["tables"]:
        for row in table["rows"]:
            setting = row.get("setting", "")
            for column, printed in zip(table["columns"].split(), row["values"].split(), strict=True):
                if printed == "-":  # the paper's own: no result
                    continue
                dataset, metric, *category = column.split("/")
                value, _, spread = printed.partition("±")
                notes = [table.get("note"), row.get("note"), row.get("notes", {}).get(column)]
                if not setting and not category:
                    doubt = doubts.get((row["method"], dataset, row["shots"], metric))
                    notes.append(doubt and f"contradicted: {doubt}")
                number = Reported(
                    _paper(table["paper"]), table["table"], row["printed"], dataset,
                    category[0] if category else None, row["shots"], metric, float(value),
                    float(spread) if spread else None, "; ".join(note for note in notes if note), setting,
                )  # fmt: skip
                numbers.append((row["method"], number))
    return tuple(numbers)
