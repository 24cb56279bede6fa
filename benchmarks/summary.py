"""The tables of a run: medians, ratios, their spread, and what was asked for."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

NAMES = {
    "image-1": "image, batch 1",
    "image-8": "images, batch 8",
    "prompts": "154 prompts",
    "windows": "WinCLIP: image, 2x2, 3x3 windows",
}
# the ratios we set out to reach against open_clip as it is; ViT-B-32, the smallest, has its own
ASKED = {"image-1": 0.80, "image-8": 1.0, "prompts": 4.0, "windows": 0.9}
ASKED_B32 = {"image-1": 0.75, "image-8": 0.85}
ASKED_IMPORT = 10.0

Rounds = list[dict[str, Any]]
Results = dict[str, dict[str, dict[str, Rounds]]]  # model -> case -> peer -> rounds


class Table(NamedTuple):
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    left: int  # so many columns are words; the others are numbers


def tables(results: Results, imports: dict[str, list[float]], memory_model: str, memory: dict[str, Any]) -> list[Table]:
    """Everything measured so far."""
    return [
        Table(
            "Time of one call (ratio: peer / refclip; above 1 refclip is faster)",
            ("model", "case", "peer", "peer ms", "refclip ms", "ratio", "over the rounds", "asked", "peer's error"),
            [
                row
                for model, cases in results.items()
                for case, peers in cases.items()
                for row in rows(model, case, peers)
            ],
            left=3,
        ),
        import_table(imports),
        Table(
            f"Memory of a fresh process that embeds one image, {memory_model}, weights included",
            ("process", "peak MiB", "ratio", "its own at the end, MiB"),
            [
                (name, f"{x['peak']:.0f}", number(x["peak"], memory.get("refclip", {}).get("peak")), f"{x['own']:.0f}")
                for name, x in memory.items()
            ],
            left=1,
        ),
    ]


def middle(rounds: Rounds) -> float:
    """Seconds: the median over processes of the median of each."""
    return statistics.median(r["median"] for r in rounds)


def number(a: float, b: float | None) -> str:
    return f"{a / b:.2f}" if b else "-"


def rows(model: str, case: str, peers: dict[str, Rounds]) -> list[tuple[str, ...]]:
    """One row for each peer that was timed."""
    ours = peers.get("refclip") or []
    out = []
    for name, rounds in peers.items():
        if not rounds or name == "refclip":
            continue
        pairs = [a["median"] / b["median"] for a, b in zip(rounds, ours, strict=False)]
        out.append(
            (
                model,
                NAMES[case],
                name,
                f"{1000 * middle(rounds):.1f}",
                f"{1000 * middle(ours):.1f}" if ours else "-",
                number(middle(rounds), middle(ours) if ours else None),
                f"{min(pairs):.2f} to {max(pairs):.2f}" if pairs else "-",
                asked(model, case) if name == "open_clip" else "",
                f"{max(r['error'] for r in rounds):.0e}" if name != "open_clip" else "",
            )
        )
    if ours:
        error = f"{max(r['error'] for r in ours):.0e}"
        out.append((model, NAMES[case], "(refclip itself)", "", f"{1000 * middle(ours):.1f}", "", "", "", error))
    return out


def asked(model: str, case: str) -> str:
    if model.endswith("-quickgelu"):
        return ""
    value = ASKED_B32.get(case, ASKED[case]) if model == "ViT-B-32" else ASKED[case]
    return f">= {value:.2f}"


def import_table(imports: dict[str, list[float]]) -> Table:
    ours = imports.get("refclip") or []
    body = []
    for name, times in imports.items():
        if times:
            pairs = [a / b for a, b in zip(times, ours, strict=False)]
            other = name != "refclip" and bool(ours)
            body.append(
                (
                    f"import {name}",
                    f"{1000 * statistics.median(times):.0f}",
                    number(statistics.median(times), statistics.median(ours)) if other else "",
                    f"{min(pairs):.1f} to {max(pairs):.1f}" if other else "",
                    f">= {ASKED_IMPORT:.0f}" if name == "open_clip" else "",
                )
            )
    return Table("Import, in a fresh process", ("", "ms", "ratio", "over the rounds", "asked"), body, left=1)


def text(tables: list[Table], notes: list[str]) -> str:
    """For a terminal: columns aligned."""
    out = []
    for table in tables:
        if table.rows:
            widths = [max(len(row[i]) for row in (table.head, *table.rows)) for i in range(len(table.head))]
            out += ["", table.title]
            for row in (table.head, *table.rows):
                cells = [
                    x.ljust(w) if i < table.left else x.rjust(w)
                    for i, (x, w) in enumerate(zip(row, widths, strict=True))
                ]
                out.append("  ".join(cells).rstrip())
    return "\n".join([*out, "", *(f"- {note}" for note in notes)])


def markdown(facts: dict[str, str], tables: list[Table], notes: list[str]) -> str:
    """For a file: the same tables, and what machine and which versions they come from."""
    out = ["# refclip beside its peers", "", "| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in facts.items())]
    for table in tables:
        if table.rows:
            rule = ["---" if i < table.left else "---:" for i in range(len(table.head))]
            out += ["", f"## {table.title}", ""]
            out += ["| " + " | ".join(row) + " |" for row in (table.head, tuple(rule), *table.rows)]
    if notes:
        out += ["", "## Notes", "", *(f"- {note}" for note in notes)]
    return "\n".join(out) + "\n"
