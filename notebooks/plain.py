"""A notebook run as a plain program, without Jupyter, and what its cells gave.

    python -m notebooks.plain 01 --solved
    python -m notebooks.plain 09 --figures slides/      # its figures as PNG files, for slides

Cells run one after another in one namespace, in the folder of the notebooks. A warning is an error; a cell tagged
`figure` has to draw. What is printed, shown and drawn is recorded in order: `build` makes the kept .ipynb of it.
"""

from __future__ import annotations

import ast
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import click

from notebooks import cells as notebook

DPI = 88  # a figure of 12 inches is then as wide as a page of JupyterLab on a laptop


class Output(NamedTuple):
    """One thing that a cell gave."""

    kind: str  # "printed", "value" (of its last line) or "figure"
    content: str | bytes  # a figure is a PNG file
    alt: str = ""  # the words of a figure, for who cannot see it


class _Recorder(io.TextIOBase):
    """What a cell prints, on the screen and on record."""

    def __init__(self, screen: Any) -> None:
        self.screen = screen
        self.outputs: list[Output] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.outputs and self.outputs[-1].kind == "printed":
            self.outputs[-1] = Output("printed", f"{self.outputs[-1].content}{text}")
        else:
            self.outputs.append(Output("printed", text))
        return self.screen.write(text)

    def function(self) -> Callable[..., None]:
        """What stands in for plt.show: matplotlib wants a plain function there, no method."""
        return lambda *_, **__: self.keep_figures()

    def keep_figures(self) -> None:
        import matplotlib.pyplot as plt

        for number in plt.get_fignums():
            picture = io.BytesIO()
            figure = plt.figure(number)
            figure.savefig(picture, dpi=DPI, bbox_inches="tight", facecolor="white")
            self.outputs.append(Output("figure", _small(picture), words(figure)))
        plt.close("all")


def words(figure: Any) -> str:
    """What is written in a figure, panel by panel: titles, axes, scales, names of curves and bars; no numbers."""
    panels = [", ".join(text.get_text() for text in legend.get_texts()) for legend in figure.legends]
    for ax in figure.axes:
        if not ax.axison and not ax.get_title():
            continue
        ticks = [label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]
        legend = [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []
        found = [ax.get_title(), ax.get_xlabel(), ax.get_ylabel(), *legend, *ticks]
        plain = (" ".join(text.replace("$", "").split()) for text in found)
        kept = [t for t in dict.fromkeys(plain) if any(c.isalpha() for c in t) and "mathdefault" not in t]
        panels += [", ".join(kept)] if kept else []
    titles = [figure.get_suptitle()] if figure.get_suptitle() else []
    return "; ".join(dict.fromkeys([*titles, *panels]))


def _small(picture: io.BytesIO) -> bytes:
    """The same picture in 256 colours of its own, a third of the bytes, and without the name of the program.

    Colours that cover the most of all that occur, so that a scale keeps its ends; then moved to where they are needed.
    """
    from PIL import Image

    out = io.BytesIO()
    few = (
        Image.open(picture).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    )
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def run(path: Path, arrange: Callable[[list[notebook.Cell]], list[notebook.Cell]]) -> list[list[Output]]:
    """Run one source file as `arrange` (`cells.as_given` or `cells.solved`) has it: a list for each cell.

    Raises
    ------
    RuntimeError
        A cell tagged `figure` drew nothing.
    Exception
        Whatever a cell raises; warnings are raised, too.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    space: dict[str, Any] = {"__name__": "__main__"}
    out: list[list[Output]] = []
    with _here(notebook.HERE), mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in arrange(notebook.read(path)):
            recorder = _Recorder(sys.stdout)
            if not cell.text:
                before, plt.show = plt.show, recorder.function()
                try:
                    with redirect_stdout(recorder):
                        _run_cell(cell, path, space, recorder)
                finally:
                    plt.show = before
            if "figure" in cell.tags and not any(o.kind == "figure" for o in recorder.outputs):
                raise RuntimeError(
                    f"{path}:{cell.line}: this cell is tagged figure and drew none; end it in plt.show()"
                )
            out.append(recorder.outputs)
    return out


def _run_cell(cell: notebook.Cell, path: Path, space: dict[str, Any], recorder: _Recorder) -> None:
    # empty lines first, so that a traceback names the line of the source file
    tree = ast.parse("\n" * (cell.line - 1) + cell.source, str(path))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(path), "exec"), space)
    if isinstance(last, ast.Expr):  # its value is shown, as Jupyter does
        value = eval(compile(ast.Expression(last.value), str(path), "eval"), space)
        if value is not None:
            recorder.outputs.append(Output("value", repr(value)))


@contextmanager
def _here(folder: Path) -> Iterator[None]:
    """Work in the folder of the notebooks, as Jupyter does."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--solved", is_flag=True, help="With the solutions filled in.")
@click.option("--figures", type=click.Path(path_type=Path), help="A folder for the figures, as PNG files.")
def main(names: tuple[str, ...], solved: bool, figures: Path | None) -> None:
    """Run notebooks as plain programs: all, or those whose name begins with NAMES."""
    for path in notebook.sources(names):
        start = time.perf_counter()
        outputs = run(path, notebook.solved if solved else notebook.as_given)
        seconds = time.perf_counter() - start
        pictures = [o.content for of_cell in outputs for o in of_cell if isinstance(o.content, bytes)]
        for i, picture in enumerate(pictures if figures else (), start=1):
            figures.mkdir(parents=True, exist_ok=True)
            (figures / f"{path.stem}-{i}.png").write_bytes(picture)
        click.echo(f"{path.stem}: {len(pictures)} figures, {seconds:.1f} s")


if __name__ == "__main__":
    main()
