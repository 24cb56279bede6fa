"""The index of the papers, docs/index.md, from docs/index.toml: `python docs/index.py > docs/index.md`.

It is not in the library because it names tests, which the library does not carry.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

INTRODUCTION = """# Where each equation of the papers is

For every numbered equation, and the sections and tables that a reader may want to try: the function or option, and the
test that holds it. Where published code does otherwise than the paper: [the differences](differences.md). What the
papers' tables print: `refclip.papers`. Made from docs/index.toml by `python docs/index.py > docs/index.md`.
"""

HEAD = """
| where | what it says | code | test |
|---|---|---|---|
"""


class Entry(NamedTuple):
    """One place of a paper."""

    paper: str  # "WinCLIP"
    where: str  # "equation 3"
    says: str
    code: tuple[tuple[str, str], ...]  # (module below refclip, name in it)
    tests: tuple[tuple[str, str], ...]  # (file below tests, without its ending, name in it)
    awaits: str  # the module that will have it; "" if it is here


def entries(text: str | None = None) -> tuple[Entry, ...]:
    """The rows of docs/index.toml, or of a text like it.

    Raises
    ------
    ValueError
        An entry has neither code and test nor what it awaits, or both, or a key that means nothing.
    """
    read = tomllib.loads((ROOT / "docs" / "index.toml").read_text(encoding="utf-8") if text is None else text)
    found = []
    for paper, places in read.items():
        for where, e in places.items():
            if set(e) not in ({"says", "code", "test"}, {"says", "awaits"}):
                raise ValueError(f"{paper}, {where}: found {', '.join(e)}; expected says, code, test; or says, awaits")
            code, tests = (_pairs(e.get(key, "")) for key in ("code", "test"))
            found.append(Entry(paper, where, e["says"], code, tests, e.get("awaits", "")))
    return tuple(found)


def _pairs(names: str) -> tuple[tuple[str, str], ...]:
    parts = (name.partition(":") for name in names.split())
    return tuple((module, name) for module, _, name in parts)


def page(found: tuple[Entry, ...]) -> str:
    """The page as Markdown, a table for each paper."""
    papers = dict.fromkeys(e.paper for e in found)
    lists = [f"\n## {paper}\n{HEAD}" + "".join(_row(e) for e in found if e.paper == paper) for paper in papers]
    return INTRODUCTION + "".join(lists)


def _row(e: Entry) -> str:
    code = [f"[`{module}.{name}`](../{_file(module)})" for module, name in e.code]
    tests = [f"[`{file}::{name}`](../tests/{file}.py)" for file, name in e.tests]
    here = f"{'<br>'.join(code)} | {'<br>'.join(tests)}" if not e.awaits else f"not yet: `{e.awaits}` | "
    return f"| {e.where} | {e.says.replace('|', chr(92) + '|')} | {here} |\n"


def _file(module: str) -> str:
    path = Path("refclip", *module.split("."))
    return f"{path}.py" if not (ROOT / path).is_dir() else f"{path}/__init__.py"


if __name__ == "__main__":
    print(page(entries()), end="")
