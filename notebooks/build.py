"""Makes the notebooks from their sources.

    python -m notebooks.build make          notebooks/*.ipynb, executed as given: what is kept in the repository
    python -m notebooks.build make 01 09    these alone
    python -m notebooks.build text 01       after a change of text alone: outputs stay as they are
    python -m notebooks.build solve         with the solutions filled in, to build/solved/
    python -m notebooks.build check         whether the .ipynb are what the sources say, without executing

Cells are executed by `plain`, so this needs no Jupyter; `execute` runs a notebook through a Jupyter kernel, as a
student does, for the tests. Executing again changes little: cells are numbered, not given random names; times, counters
and versions are left out. Printed numbers that are measured, seconds above all, do change.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from notebooks import cells as notebook
from notebooks import plain

LIMIT = 1_000_000  # bytes of one executed notebook: web pages stop showing larger ones, and every clone carries them
SECONDS = 120  # that a notebook may take on two cores
SOLVED = notebook.HERE.parent / "build" / "solved"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def document(cells: Sequence[notebook.Cell], outputs: Sequence[Sequence[plain.Output]] | None = None) -> dict[str, Any]:
    """A notebook in Jupyter's format 4.5, with what its cells gave if it has been executed."""
    made = []
    for i, cell in enumerate(cells):
        content: dict[str, Any] = {"cell_type": "markdown" if cell.text else "code", "id": f"cell-{i:02d}"}
        content["metadata"] = {"tags": list(cell.tags)} if cell.tags else {}
        if not cell.text:
            content |= {"execution_count": None, "outputs": [_output(o) for o in outputs[i]] if outputs else []}
        made.append(content | {"source": cell.source.splitlines(keepends=True)})
    return {"cells": made, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def _output(output: plain.Output) -> dict[str, Any]:
    if output.kind == "printed":
        return {"output_type": "stream", "name": "stdout", "text": str(output.content).splitlines(keepends=True)}
    if isinstance(output.content, bytes):
        data = {"image/png": base64.b64encode(output.content).decode(), "text/plain": ["<Figure>"]}
        told = {"image/png": {"alt": output.alt}} if output.alt else {}  # where nbconvert looks for it
        return {"output_type": "display_data", "metadata": told, "data": data}
    data = {"text/plain": output.content.splitlines(keepends=True)}
    return {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}


def write(content: dict[str, Any], path: Path) -> int:
    """Write a notebook; returns its bytes.

    Raises
    ------
    ValueError
        It is larger than LIMIT.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    size = len(text.encode())
    if size > LIMIT:
        raise ValueError(f"{path}: {size:,} bytes; at most {LIMIT:,}: smaller figures, or fewer pictures in them")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return size


def stale(path: Path) -> str:
    """What tells a source from the executed notebook beside it, or nothing."""
    made = notebook.HERE / f"{path.stem}.ipynb"
    if not made.exists():
        return f"{made} is missing"
    kept = json.loads(made.read_text(encoding="utf-8"))["cells"]
    now = notebook.as_given(notebook.read(path))
    if len(kept) != len(now):
        return f"{made} has {len(kept)} cells, its source {len(now)}"
    for i, (there, here) in enumerate(zip(kept, now, strict=True)):
        found = there["cell_type"], "".join(there["source"]), tuple(there["metadata"].get("tags", ()))
        if found != ("markdown" if here.text else "code", here.source, here.tags):
            return f"{made}: cell {i} is not that of {path.name}, line {here.line}"
    return ""


def execute(content: dict[str, Any]) -> Any:
    """Run a notebook in a Jupyter kernel, in the folder of the notebooks.

    Raises
    ------
    RuntimeError
        A cell printed to stderr, as a warning does; or one tagged `figure` drew none.
    nbclient.exceptions.CellExecutionError
        A cell raised.
    """
    import nbformat
    from nbclient import NotebookClient

    run = nbformat.reads(json.dumps(content), as_version=4)
    client = NotebookClient(
        run, timeout=5 * SECONDS, startup_timeout=SECONDS, resources={"metadata": {"path": str(notebook.HERE)}}
    )
    client.execute(env=os.environ | {"PYTHONWARNINGS": "default"})
    for i, cell in enumerate(run.cells):
        outputs = cell.get("outputs", [])
        if loud := [o["text"] for o in outputs if o.get("name") == "stderr"]:
            raise RuntimeError(f"cell {i} printed to stderr: {loud[0][:2000]}")
        if "figure" in cell.metadata.get("tags", []) and not any("image/png" in o.get("data", {}) for o in outputs):
            raise RuntimeError(f"cell {i} is tagged figure and drew none")
    return run


@click.group(help=__doc__)
def main() -> None:
    pass


def _all(names: tuple[str, ...], arrange: Callable[[list[notebook.Cell]], list[notebook.Cell]], folder: Path) -> None:
    for path in notebook.sources(names):
        start = time.perf_counter()
        outputs = plain.run(path, arrange)
        seconds = time.perf_counter() - start
        size = write(document(arrange(notebook.read(path)), outputs), folder / f"{path.stem}.ipynb")
        late = f"; more than the {SECONDS} s that it may take on two free cores" if seconds > SECONDS else ""
        click.echo(f"{path.stem}: {seconds:.0f} s{late}, {size:,} bytes of at most {LIMIT:,}")


@main.command()
@click.argument("names", nargs=-1)
def make(names: tuple[str, ...]) -> None:
    """Execute as given and write the .ipynb beside the sources' folder."""
    _all(names, notebook.as_given, notebook.HERE)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=SOLVED, show_default=True)
def solve(names: tuple[str, ...], out: Path) -> None:
    """Execute with the solutions filled in."""
    _all(names, notebook.solved, out)


@main.command()
@click.argument("names", nargs=-1)
def text(names: tuple[str, ...]) -> None:
    """Bring the text of kept .ipynb up to their sources, outputs as they are; refused where code has changed."""
    for path in notebook.sources(names):
        made = notebook.HERE / f"{path.stem}.ipynb"
        kept = [cell for cell in json.loads(made.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        content = document(notebook.as_given(notebook.read(path)))
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        if [cell["source"] for cell in kept] != [cell["source"] for cell in code]:
            raise click.ClickException(f"{path.name}: its code is not that of {made.name}; run: make {path.stem}")
        for old, new in zip(kept, code, strict=True):
            new["outputs"] = old["outputs"]
        click.echo(f"{path.stem}: {write(content, made):,} bytes")


@main.command()
def check() -> None:
    """Fail if an executed notebook is not the one of its source."""
    faults = [fault for fault in map(stale, notebook.sources()) if fault]
    if faults:
        raise click.ClickException("\n".join([*faults, "run: make notebook-outputs"]))
    click.echo("all notebooks are those of their sources")


if __name__ == "__main__":
    main()
