"""The papers' claims as data and as a page: what is expected, and, once it has been run, what came out."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.claims_run import Measured
from benchmarks.claims_verdict import LEVEL, VERDICTS, Claim, Outcome, outcome
from refclip.results import TITLES

SCRIPT = "python benchmarks/claims.py"
TITLE = "# The papers' claims, put to the test"
VERDICT = f"""\
{LEVEL:.0%} interval of these differences: **supported** if it lies above 0, **refuted** if it lies below,
**unresolved** if it holds 0. The interval is of each figure by itself: of twenty differences that are none, one is
resolved by chance.
"""
ON_TOYS = f"""\
A claim says that setting A of a method has higher figures than setting B. Both are evaluated on the same images for
each of several seeds, which draw the pictures of the toy benchmark as well as references and partners; each seed gives
one difference A - B of means over the categories. The verdict is that of Student's paired
{VERDICT}
What a method learns is learned anew for each seed, so that the intervals have its luck in them too: from an auxiliary
set that is drawn from the seed, of other things than the toy benchmark's, or, for CLIP-ADA, from the normal training
images of what it is tried on. "Learned with" names what was chosen otherwise than in `weights/train_learned.py`, whose
recipe for CLIP-ADA was chosen on the test images of `toy(1, busy=True)` (`weights/learned/README.md`), which is not
tried here. The time that learning takes is not in the seconds and hours below.

What is expected was written down before anything was run (`benchmarks/claims_list.py` says what it rests on, and
`benchmarks/claims_learned.py` what was known of one seed of the methods that learn), and is not changed afterwards: not
after the first run either, which was with earlier weights, on what is `toy(busy=True)` now. A verdict is about
refclip-mini, a model of some ten million parameters, on drawn pictures: it does not say whether the paper is right
about CLIP on photographs. What the papers print beside it is of their models on their data, in percent: MVTec AD, where
nothing else is said.
"""
ON_ONE_SET = f"""\
A claim says that setting A of a method has higher figures than setting B. Both are evaluated on the same images for
each of several seeds, which draw references and partners alone; each seed gives one difference A - B of means over the
categories. The verdict is that of Student's paired
{VERDICT}
It is of these images alone, as no others were drawn. Where neither side draws anything there is one value and no
interval, and the verdict is *unresolved*, however large the difference.

What is expected, and why, was written down for the toy benchmark, before anything was run
(`benchmarks/claims_list.py`), and speaks of its pictures; it stands here as it does there. A verdict is about the model
and the images that are named below. The papers' numbers beside it are in percent, of their models, and of MVTec AD
where nothing else is said.
"""
NOT_RUN = "**Not run yet.** What follows are the expectations alone."
DATASETS = {"mvtec": "", "visa": " on VisA"}


def as_json(
    groups: Mapping[str, Sequence[Claim]], measured: Measured | None = None, *, one_set: bool = False, **facts: Any
) -> dict[str, Any]:
    """All there is, as plain values.

    Parameters
    ----------
    groups : dict of str to sequence of Claim
    measured : Measured, optional
        None: nothing has been run.
    one_set : bool
        All seeds are of the same images.
    **facts
        Of the run: weights, data, seeds, command.
    """
    claims = []
    for group, some in groups.items():
        for claim in some:
            entry = {
                "id": claim.id, "group": group, "says": claim.says, "source": f"{claim.paper}, {claim.where}",
                "a": str(claim.a), "b": [str(setting) for setting in claim.b], "dataset": claim.dataset,
                "printed": {figure: list(values) for figure, values in claim.printed.items()},
                "expect": claim.expect, "why": claim.why,
            }  # fmt: skip
            if measured is not None:
                found = (outcome(claim, figure, measured.records, one_set=one_set) for figure in claim.expect)
                entry["outcomes"] = [_plain(one) for one in found if one is not None]
                entry["seconds"] = sum(measured.seconds[setting] for setting in {claim.a, *claim.b})
            claims.append(entry)
    result: dict[str, Any] = {"run": measured is not None, "one_set": one_set, **facts, "claims": claims}
    if measured is not None:
        result |= {"seconds": measured.total, "images": measured.images, "problems": list(measured.failed)}
    return result


def _plain(one: Outcome) -> dict[str, Any]:
    interval = None if one.interval is None else list(one.interval)
    return one._asdict() | {"differences": [list(pair) for pair in one.differences], "interval": interval}


def page(result: Mapping[str, Any]) -> str:
    """The page of what `as_json` returned, or of the same read from a file."""
    lines = [TITLE, "", ON_ONE_SET if result.get("one_set") else ON_TOYS]
    if result["run"]:
        lines += [_account(result), "", _command(result), "", _count(result), ""]
    else:
        lines += [NOT_RUN, "", _command(result), ""]
    again = _on_the_same(result)
    for group in dict.fromkeys(entry["group"] for entry in result["claims"]):
        some = [entry for entry in result["claims"] if entry["group"] == group]
        lines += [f"## {group}", "", *_table(some, run=result["run"]), "", *(_told(entry, again) for entry in some), ""]
    if result.get("problems"):
        lines += ["## Could not be done", "", *(f"- {_escaped(text)}" for text in result["problems"]), ""]
    return "\n".join(lines)


def summary(result: Mapping[str, Any]) -> str:
    """One line for each claim, for the README: A - B in points with its interval, and the verdict of each figure."""
    figures = list(dict.fromkeys(figure for entry in result["claims"] for figure in entry["expect"]))
    lines = [_row(["claim", "paper", *(TITLES.get(figure, figure) for figure in figures)])]
    lines.append(_row(["---"] * (2 + len(figures))))
    for entry in result["claims"]:
        found = {one["figure"]: one for one in entry.get("outcomes", ())}
        cells = [
            f"{_difference(found[figure])}: {found[figure]['verdict']}" if figure in found else "" for figure in figures
        ]
        lines.append(_row([entry["says"], entry["source"], *cells]))
    return "\n".join([*lines, ""])


def _account(result: Mapping[str, Any]) -> str:
    seeds = result["seeds"]
    return (
        f"Run with {result['weights']} (`{result['digest'][:12]}`) on {result['data']}, {result['images']} test images "
        f"in all, seeds {seeds[0]} to {seeds[-1]}, refclip {result['refclip']}, {result['date']}: "
        f"{_time(result['seconds'])} to encode and score them, on {result['processors']} processors."
    )


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def _on_the_same(result: Mapping[str, Any]) -> str:
    """The script with the data set of this run, which its command names where it is not the toy benchmark."""
    words = shlex.split(result.get("command", ""))
    options = [shlex.join(pair) for pair in itertools.pairwise(words) if pair[0] in ("--root", "--object")]
    return " ".join([SCRIPT, *options])


def _command(result: Mapping[str, Any]) -> str:
    command = result.get("command", "make claims")
    return (
        f"`{command}` does it all, and goes on where it was after a kill; `{_on_the_same(result)} --only ID` tries "
        f"one claim, `{SCRIPT} --root FOLDER` all of them on a data set of yours in MVTec AD's layout, where seeds "
        "draw references and partners alone. The seconds beside a claim are those of the test images of all its "
        "settings, by the clock on the wall: more where the machine had other work."
    )


def _count(result: Mapping[str, Any]) -> str:
    outcomes = [
        (entry["expect"][one["figure"]], one["verdict"]) for entry in result["claims"] for one in entry["outcomes"]
    ]
    counts = Counter(verdict for _, verdict in outcomes)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    right = sum(expected == verdict for expected, verdict in outcomes)
    return f"Of {len(outcomes)} comparisons: {told}. {right} came out as expected."


def _table(entries: Sequence[Mapping[str, Any]], *, run: bool) -> list[str]:
    """A line for each figure of each claim."""
    measured = ["A", "B", "A - B", "verdict"] if run else []
    head = ["claim", "figure", "the paper: A, B", *measured, "expected"]
    lines = [_row(head), _row(["---", "---", "---", *["---:"] * (3 * run), *["---"] * (1 + run)])]
    for entry in entries:
        found = {one["figure"]: one for one in entry.get("outcomes", ())}
        for i, (figure, expected) in enumerate(entry["expect"].items()):
            printed = ", ".join(f"{value:.1f}" for value in entry["printed"].get(figure, ()))
            printed += DATASETS.get(entry["dataset"], f" on {entry['dataset']}") if printed else ""
            cells = [f"`{entry['id']}`: {entry['says']}" if i == 0 else "", TITLES.get(figure, figure), printed]
            one = found.get(figure)
            if run and one is not None:
                cells += [f"{100 * one['a']:.1f}", f"{100 * one['b']:.1f}", _difference(one), f"**{one['verdict']}**"]
            elif run:
                cells += ["", "", "", "not tried"]
            lines.append(_row([*cells, expected]))
    return lines


def _difference(one: Mapping[str, Any]) -> str:
    """A - B in points, with its interval."""
    if one["interval"] is None:
        return f"{100 * (one['a'] - one['b']):+.1f} (one value)"
    low, value, high = (100 * x for x in one["interval"])
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _told(entry: Mapping[str, Any], again: str) -> str:
    """What a claim's line in the table has no room for; `again` is the command on the same data, but for the claim."""
    against = "` and `".join(entry["b"])
    mean = "the mean of " if len(entry["b"]) > 1 else ""
    took = f" {entry['seconds']:.0f} s." if "seconds" in entry else ""
    return (
        f"- `{entry['id']}` ({entry['source']}): A is `{entry['a']}`, B is {mean}`{against}`. Expected because: "
        f"{entry['why']} `{again} --only {entry['id']}`.{took}"
    )


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return " ".join(text.splitlines()).replace("|", "\\|")
