"""`refclip score`: images on the command line -> scores and heat maps."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refclip import METHODS, weights
from refclip.arguments import find_images, not_empty, output_names, parse_options, parse_scale, put, shown
from refclip.batch import Result, reference_features, score_files
from refclip.methods import contexts, learns
from refclip.methods.features import count
from refclip.prediction import describe
from refclip.prompts import TEMPLATES, read_states

if TYPE_CHECKING:
    from rich.table import Table

# maps of distances, or sums of several layers' maps: they do not end at 1
UNBOUNDED = ("anomalyclip", "coop", "dual-image", "dual-image+", "musc", "patchcore", "vand")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@click.option(
    "--object",
    "name",
    metavar="NAME",
    default="object",
    show_default=True,
    help="What the images show, in words: bottle.",
)
@click.option("--method", type=click.Choice(sorted(METHODS)), default="winclip", show_default=True)
@click.option(
    "--weights",
    "source",
    metavar="W",
    callback=not_empty,
    default="refclip-mini",
    show_default=True,
    help="A safetensors file, a folder with one, or the name of the model that ships.",
)
@click.option(
    "--pretrained", metavar="TAG", help="What the weights are, ViT-B-32/openai, if no configuration lies beside them."
)
@click.option(
    "--states",
    "states_file",
    metavar="FILE",
    callback=not_empty,
    help="Words for normal and abnormal, and templates if wanted: a JSON or TOML file.",
)
@click.option("--templates", type=click.Choice(list(TEMPLATES)), help="A published list.  [default: the method's own]")
@click.option(
    "--option",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    help="An option of the method: --option scales=2,3. Repeat for more; a wrong one lists those there are.",
)
@click.option(
    "--learned",
    metavar="FILE",
    callback=not_empty,
    help="What refclip train has written, for anomalyclip, coop, vand and clip-ada.  [default: what is shipped, for "
    "refclip-mini]",
)
@click.option(
    "--references",
    metavar="FOLDER",
    callback=not_empty,
    help="Normal images, for methods that compare: winclip+, patchcore, dual-image, vand.",
)
@click.option("--shots", type=click.IntRange(1), metavar="K", help="Only the first K of them by name.  [default: all]")
@click.option("--out", metavar="DIR", callback=not_empty, help="Write heat maps there. Without it no file is written.")
@click.option(
    "--scale",
    metavar="run|fixed|LOW,HIGH",
    default="run",
    show_default=True,
    help="The scores at the two ends of the colours, the same for all heat maps: the least and the greatest "
    "of this run, which shows faint ones too; all that is possible, 0 to 1, to compare runs; or your own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--device", metavar="cpu|cuda", default="cpu", show_default=True, help="cuda needs CuPy.")
def score(
    *,
    paths: Sequence[str],
    name: str,
    method: str,
    source: str,
    pretrained: str | None,
    states_file: str | None,
    templates: str | None,
    pairs: Sequence[str],
    learned: str | None,
    references: str | None,
    shots: int | None,
    out: str | None,
    scale: str,
    as_json: bool,
    device: str,
) -> int:
    """Score images: the higher, the more anomalous.

    PATHS are images, folders (the images directly in them, not those in subfolders) and patterns, which may be quoted:
    "photos/**/*.png". An image named twice is scored once.

    On a terminal the scores are a table; in a pipe they are lines of path, score, map and overlay with tabs between.

    With --out, each image gets NAME.overlay.png, the heat map over the image, and NAME.map.npy, the scores of its
    pixels (float32, of the image's own size after its EXIF rotation; NaN where a crop left pixels out). Images from
    several folders keep these folders below DIR.

    winclip+ and patchcore need --references; vand takes them. dual-image and dual-image+ take them, or else compare
    each image with another of PATHS, drawn at random, the same in each run. musc judges the images of PATHS by each
    other.

    Exit status: 0 all done, 1 some images could not be used, 2 nothing could be done, 130 stopped by Ctrl-C.
    """
    module, preset = METHODS[method]
    options = read_options(method, pairs, states_file, templates, learned)
    chosen = module.Options(**preset, **options)
    contexts.check(method, module, chosen, references=references is not None, how="--references FOLDER")
    if shots is not None and references is None:
        raise ValueError(f"--shots {shots}: of which images? Give --references FOLDER too")
    signed = method in ("clip", "clip-ac") and chosen.one_class  # the maps of others are not
    limits = parse_scale(scale, signed=signed, bounded=method not in UNBOUNDED)
    images = find_images(paths)
    normal = [] if references is None else find_images([references])
    stems: dict[Path, Path | None] = dict.fromkeys(images)
    if out is not None:
        require_writable(Path(out))
        stems |= {image: Path(out, stem) for image, stem in zip(images, output_names(images), strict=True)}
    clip = weights.load(source, pretrained=pretrained, device=device)
    state = module.prepare(clip, name, **preset, **options)
    unused: list[str] = []  # of the references
    beside = None
    if normal:

        def refuse(message: str) -> None:
            unused.append(message)
            click.echo(f"refclip: reference {message}", err=True)

        beside = reference_features(module, state, normal, shots, refuse)

    used = {"method": method, "object": name, "weights": source, "options": describe(state.options)}
    if beside is not None:
        used["references"] = count(beside)
    terminal = sys.stdout.isatty()
    rows: list[Result] = []  # of the table, which is drawn when all its widths are known
    names = ["\t".join(Result._fields)]  # of the columns, once

    def show(result: Result) -> None:
        if as_json:
            print(json.dumps(result._asdict() | used, allow_nan=False), flush=True)
        elif terminal:
            rows.append(result)
        else:
            while names:
                print(names.pop())
            where = [shown(path or "") for path in (result.map, result.overlay)]
            print(shown(result.path), f"{result.score:.6g}", *where, sep="\t", flush=True)

    quiet = as_json and terminal  # the lines show how far it is, and a bar would write over them
    bar = sys.stderr.isatty() and not quiet
    failed = score_files(module, state, stems, limits, show, references=beside, bar=bar)
    if rows:
        _print_table(rows, f"{method}, {source}, {name}: the higher, the more anomalous")
    if failed:
        click.echo(f"refclip: {failed} of {len(images)} images could not be used", err=True)
    if unused:
        click.echo(f"refclip: {len(unused)} references could not be used", err=True)
    return 1 if failed or unused else 0


def read_options(
    method: str, pairs: Sequence[str], states_file: str | None, templates: str | None, learned: str | None
) -> dict[str, Any]:
    """Options of a method from --option, --states, --templates and --learned.

    Raises
    ------
    ValueError
        One that it does not have, or that is given twice.
    """
    options = parse_options(method, pairs)
    known = METHODS[method][0].Options._fields
    for key, value in (("templates", templates), ("states", states_file)):
        if value is not None and key not in known:
            raise ValueError(f"--{key}: {method} reads no text, expected none; leave it out")
    if learned is not None:
        if not learns(method):
            raise ValueError(f"--learned: {method} learns nothing, expected none; leave it out")
        put(options, "learned", learned, "--learned")
    if templates is not None:
        put(options, "templates", templates, "--templates")
    if states_file is not None:
        states, own = read_states(states_file)
        put(options, "states", states, "--states")
        if own is not None:
            put(options, "templates", own, f"key 'templates' of {shown(states_file)}")
    return options


def require_writable(folder: Path, option: str = "--out") -> None:
    """Make the folder, or refuse it before any work is done for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        taken = isinstance(error, FileExistsError | NotADirectoryError)
        reason = "a file of that name is in the way" if taken else error.strerror
        raise OSError(f"{option} {shown(str(folder))}: cannot write there ({reason}); give another folder") from error


def _print_table(rows: Sequence[Result], caption: str) -> None:
    from rich.table import Table
    from rich.text import Text

    drawn = any(row.overlay for row in rows)
    table = Table(caption=Text(caption), caption_justify="left")
    table.add_column("image", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    if drawn:
        table.add_column("heat map", overflow="fold")
    for row in rows:  # as Text: brackets in a name are no markup
        table.add_row(Text(shown(row.path)), f"{row.score:.4f}", *[Text(shown(row.overlay or ""))] * drawn)
    print_table(table)


def print_table(table: Table) -> None:
    """Print a table at the terminal's width, or wider where that would cut its numbers short."""
    from rich.console import Console

    console = Console()
    least = console.measure(table, options=console.options.update(width=1000)).minimum
    (console if least <= console.width else Console(width=least)).print(table)
