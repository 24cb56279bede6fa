"""`refclip eval`: a method on a data set -> the papers' table."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refclip import METHODS, weights
from refclip.arguments import names_of, not_empty, shown
from refclip.cli_score import print_table, read_options, require_writable
from refclip.datasets import DATASETS
from refclip.files import claimed
from refclip.folders import LAYOUTS
from refclip.prompts import TEMPLATES

if TYPE_CHECKING:
    from refclip.evaluate import Done, Request
    from refclip.sources import Source

LAYOUT_NAMES = sorted({*LAYOUTS, *DATASETS, "toy"})


@click.command("eval")
@click.argument("root", callback=not_empty)
@click.option(
    "--layout",
    type=click.Choice(LAYOUT_NAMES),
    help="How the images lie (mvtec, visa, sdd, dagm, pairs, folder), or which data set it is (mpdd, btad, isic, "
    "...).  [default: found out]",
    metavar="LAYOUT",
)
@click.option("--method", type=click.Choice(sorted(METHODS)), default="winclip", show_default=True)
@click.option(
    "--weights",
    "source_name",
    metavar="W",
    callback=not_empty,
    default="refclip-mini",
    show_default=True,
    help="As of refclip score, as are the next six.",
)
@click.option("--pretrained", metavar="TAG")
@click.option("--object", "name", metavar="NAME", help="What all images show.  [default: their category]")
@click.option("--states", "states_file", metavar="FILE", callback=not_empty)
@click.option("--templates", type=click.Choice(list(TEMPLATES)))
@click.option("--option", "pairs", metavar="KEY=VALUE", multiple=True)
@click.option("--learned", metavar="FILE", callback=not_empty)
@click.option(
    "--shots",
    metavar="K[,K...]",
    default="0",
    show_default=True,
    help="How many normal training images a method is given; several numbers make several tables, of one encoding.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="How often references, or partners, are drawn: seeds 0 to N - 1. Where nothing is drawn, one is done.",
)
@click.option(
    "--categories", metavar="NAME[,NAME...]", multiple=True, help="Only these; may be repeated.  [default: all]"
)
@click.option(
    "--resolution",
    type=click.Choice(["model", "original"]),
    default="model",
    show_default=True,
    help="At which pixels are judged: the model's, as in published code, or each image's own.",
)
@click.option("--toy-seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of the toy benchmark.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Images encoded at a time.")
@click.option(
    "--out",
    metavar="FILE.json",
    callback=not_empty,
    help="Write all there is to FILE.json, the table to FILE.md, the extreme cases to FILE.png; what is done is kept "
    "in FILE.parts, so that the same command goes on after a kill.",
)
@click.option("--keep-features", is_flag=True, help="Leave features in FILE.parts: for more seeds or shots later.")
@click.option("--device", metavar="cpu|cuda", default="cpu", show_default=True, help="cuda needs CuPy.")
def evaluate(
    *,
    root: str,
    layout: str | None,
    method: str,
    source_name: str,
    pretrained: str | None,
    name: str | None,
    states_file: str | None,
    templates: str | None,
    pairs: Sequence[str],
    learned: str | None,
    shots: str,
    seeds: int,
    categories: Sequence[str],
    resolution: str,
    toy_seed: int,
    batch: int,
    out: str | None,
    keep_features: bool,
    device: str,
) -> int:
    """Evaluate a method on a data set: the papers' table, for each category and their mean.

    ROOT is the folder of a data set (nothing is downloaded), or "toy": the synthetic benchmark of refclip toy.

    On a terminal the table is in percent; in a pipe it is lines with tabs between, and figures are 0 to 1. A figure
    that does not exist (no masks, no normal images) is left out, and the reason is said. Numbers that papers print for
    the method on this data set stand below ours.

    winclip+ and patchcore need --shots; vand takes them. dual-image and dual-image+ take them, or else compare each
    image with others of its category, as many as the method's option references says, 1 by default. musc judges a
    category's images by each other. anomalyclip, coop, vand and clip-ada need --learned, or what is shipped for
    refclip-mini.

    Exit status: 0 all done, 1 something could not be used, 2 nothing could be done, 130 stopped by Ctrl-C.
    """
    from refclip import evaluate as evaluation  # here: it takes a while, and --help does not need it
    from refclip import results, sources
    from refclip.fingerprint import fingerprint

    options = read_options(method, pairs, states_file, templates, learned)
    request = evaluation.Request(method, options, name, _numbers(shots), tuple(range(seeds)), resolution, batch)
    evaluation.check(request)
    wanted = names_of(categories)
    target = None
    if out is not None:
        target = Path(out)
        if target.suffix != ".json":
            raise ValueError(f"--out {shown(out)}: expected a name that ends in .json; .md and .png stand beside it")
        require_writable(target.parent)
    with _folder(target) as folder:
        clip = weights.load(source_name, pretrained=pretrained, device=device)
        evaluation.learned_digest(clip, request)  # what lacks is said before anything is drawn
        if sources.TOY in (root, layout):
            click.echo("refclip: drawing the toy benchmark, if it is not there yet", err=True)
        source = sources.open_source(root, layout, wanted, folder=folder, seed=toy_seed)
        if target is not None:
            _require_apart(target, source)
        with _progress(source, request) as tell:
            done = evaluation.evaluate(clip, source, request, folder, keep_features=keep_features, tell=tell)
        if target is not None:
            _write(target, source, request, done, weights=source_name, digest=fingerprint(clip))
    _print(source, request, done)
    for note in results.notes(done.records, source.dataset):
        click.echo(f"refclip: {shown(note)}", err=True)
    bad = results.problems(source, done)
    for problem in bad:
        click.echo(f"refclip: {shown(problem)}", err=True)
    click.echo(f"refclip: {results.costs(done.records)}", err=True)
    if bad:
        click.echo(f"refclip: {len(bad)} problems; the figures are of what could be used", err=True)
    return 1 if bad else 0


def _require_apart(target: Path, source: Source) -> None:
    """Refuse to draw a figure among the images that are judged: the next run would take it for one of them."""
    images = {sample.path.parent.resolve() for category in source.categories for sample in category.samples}
    if source.layout == "folder":
        images |= {category.root.resolve() for category in source.categories}
    if target.parent.resolve() in images:
        raise ValueError(
            f"--out {shown(str(target))}: its figure, {shown(target.with_suffix('.png').name)}, would lie among the "
            "images of the data set, and be one of them in the next run; name a file in another folder"
        )


def _numbers(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ValueError(f"--shots {text!r}: expected a whole number, or several with commas between: 1,2,4")
    return tuple(int(part) for part in text.split(","))


@contextmanager
def _folder(target: Path | None) -> Iterator[Path]:
    """For what is kept: beside the results, or, without any, until the end."""
    if target is not None:
        folder = target.with_suffix(".parts")
        with claimed(folder):
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="refclip-") as folder:
        yield Path(folder)


@contextmanager
def _progress(source: Source, request: Request) -> Iterator[Any]:
    """A bar for all categories, on a terminal; what it yields is `evaluate`'s `tell`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from refclip.evaluate import runs

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    total = sum(len(category.samples) for category in source.categories) * (1 + len(runs(request)))
    silent = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=silent) as progress:
        task = progress.add_task("", total=total)

        def tell(category: str, images: int) -> None:
            progress.update(task, description=shown(category).replace("[", r"\["), advance=images)

        yield tell


def _write(target: Path, source: Source, request: Request, done: Done, *, weights: str, digest: str) -> None:
    from refclip import results
    from refclip.cases import figure
    from refclip.files import whole_file
    from refclip.viz import save_png

    page = results.as_markdown(source, request, done, weights)
    text = json.dumps(results.as_json(source, request, done, weights, digest), indent=1, allow_nan=False)
    drawn = figure(done.cases)
    if drawn is not None:
        save_png(drawn, target.with_suffix(".png"))
    for path, content in ((target.with_suffix(".md"), page), (target, text + "\n")):  # last: where it is, all is
        with whole_file(path) as file:
            file.write(content.encode("utf-8", "backslashreplace"))  # a name that is no UTF-8 has a place too


def _print(source: Source, request: Request, done: Done) -> None:
    from refclip import results
    from refclip.judge import FIGURES

    lines = results.table(done.records)
    if not sys.stdout.isatty():
        print("category", "shots", *FIGURES, sep="\t")
        for line in lines:
            values = (line.figures.get(figure) for figure in FIGURES)
            print(shown(line.category), line.shots, *("" if v is None else f"{v.value:.6f}" for v in values), sep="\t")
        return
    from rich.table import Table
    from rich.text import Text

    for shots in dict.fromkeys(line.shots for line in lines):
        caption = f"{request.method}, {source.title}, {results.shots_of(shots)}; in percent"
        drawn = Table(caption=Text(caption), caption_justify="left")
        drawn.add_column("category", overflow="fold")
        for figure in FIGURES:
            drawn.add_column(results.TITLES[figure], justify="right")
        for line in (line for line in lines if line.shots == shots):
            if line.category == results.MEAN:
                drawn.add_section()
            cells = (results.percent(line.figures.get(figure)) for figure in FIGURES)
            drawn.add_row(Text(shown(line.category)), *cells)
        printed = results.papers(request.method, source.dataset, shots, done.records[0].options, done.records)
        for name, values in results.paper_rows(printed):
            drawn.add_row(Text(name), *(values.get(figure, "") for figure in FIGURES))
        print_table(drawn)
        print(*results.paper_notes(printed), sep="\n", end="\n" if printed else "")
