"""A notebook's source: a Python file in the percent format, read into cells and made what a student or a test sees.

    # %% [markdown] tags=["goals"]      begins a cell of text, its lines commented out
    # %% tags=["exercise"]              begins a cell of code

VS Code, Spyder and JupyterLab with jupytext open such files too. The tags:

    goals, shapes           learning goals and running time; the one-line map of the shapes
    predict                 a question, asked before the cell that answers it
    exercise                its text, and the code that the student fills in; runs unsolved
    hint, solution, check   of the exercise before; hints and solutions are folded away
    figure                  a cell that draws
    real-weights            the last cell of text: the same with real weights

A solution stands once in the source. As given it is folded text after the exercise; solved, it takes its place.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TAGS = {"goals", "shapes", "predict", "exercise", "hint", "solution", "check", "figure", "real-weights"}
_HEAD = re.compile(r"# %%(?P<text> \[markdown\])?(?: tags=(?P<tags>\[.*\]))?")


class Cell(NamedTuple):
    """One cell."""

    text: bool  # text, in Markdown; otherwise code
    tags: tuple[str, ...]
    source: str
    line: int  # of its first line in the source file, counted from 1


def sources(names: tuple[str, ...] = ()) -> list[Path]:
    """The source files, all or those whose name begins so ("01", "09_metrics").

    Raises
    ------
    ValueError
        No such notebook.
    """
    every = sorted((HERE / "src").glob("[0-9][0-9]_*.py"))
    for name in names:
        if not any(path.stem.startswith(name) for path in every):
            raise ValueError(f"notebook {name!r}: expected the beginning of one of {', '.join(p.stem for p in every)}")
    return [path for path in every if not names or any(path.stem.startswith(name) for name in names)]


def read(path: Path) -> list[Cell]:
    """The cells of a source file.

    Raises
    ------
    ValueError
        A line before the first cell, a heading that cannot be read, an unknown tag, text that is not commented out.
    """
    cells: list[tuple[bool, tuple[str, ...], list[str], int]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("# %%"):
            head = _HEAD.fullmatch(line)
            if head is None:
                raise ValueError(f'{path}:{number}: found {line!r}; expected # %%, [markdown] and tags=["..."]')
            tags = tuple(json.loads(head["tags"] or "[]"))
            if unknown := set(tags) - TAGS:
                raise ValueError(f"{path}:{number}: unknown tags {sorted(unknown)}; expected some of {sorted(TAGS)}")
            cells.append((head["text"] is not None, tags, [], number + 1))
        elif cells:
            cells[-1][2].append(line)
        elif line.strip():
            raise ValueError(f"{path}:{number}: found {line!r} before the first cell; begin with # %% [markdown]")
    return [_cell(path, *cell) for cell in cells]


def _cell(path: Path, text: bool, tags: tuple[str, ...], lines: list[str], line: int) -> Cell:
    if text:
        for i, content in enumerate(lines):
            if content and content != "#" and not content.startswith("# "):
                raise ValueError(f"{path}:{line + i}: found {content!r} in a cell of text; expected it to begin with #")
        lines = [content[2:] for content in lines]
    return Cell(text, tags, "\n".join(lines).strip("\n"), line)


def as_given(cells: list[Cell]) -> list[Cell]:
    """What the student gets: hints and solutions folded, exercises open."""
    return [_folded(cell) if {"hint", "solution"} & set(cell.tags) else cell for cell in cells]


def solved(cells: list[Cell]) -> list[Cell]:
    """The notebook of a student who got everything right: each solution in the place of its exercise.

    Raises
    ------
    ValueError
        A solution without an exercise, or an exercise without one.
    """
    out: list[Cell] = []
    waiting: int | None = None  # place of the exercise that has no solution so far
    for cell in cells:
        if "exercise" in cell.tags and not cell.text:
            if waiting is not None:
                raise ValueError(f"line {out[waiting].line}: an exercise without a solution")
            waiting = len(out)
        if "solution" not in cell.tags:
            out.append(cell)
        elif waiting is None:
            raise ValueError(f"line {cell.line}: a solution without an exercise before it")
        else:
            out[waiting] = out[waiting]._replace(source=cell.source, line=cell.line)
            waiting = None
    if waiting is not None:
        raise ValueError(f"line {out[waiting].line}: an exercise without a solution")
    return [_folded(cell) if "hint" in cell.tags else cell for cell in out]


def _folded(cell: Cell) -> Cell:
    content = cell.source if cell.text else f"```python\n{cell.source}\n```"
    summary = "Hint" if "hint" in cell.tags else "Solution"
    # the empty lines make Markdown of what is between the tags
    return Cell(True, cell.tags, f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>", cell.line)
