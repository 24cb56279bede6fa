"""The command line: `refclip score`, `refclip inspect` and `refclip toy`.

What a program reads goes to stdout, a line for each image as soon as all that the line names is written; what only a
person reads (the progress, an image that could not be used, the scale of the colours) goes to stderr.

Exit status: 0, all done; 1, some images could not be used; 2, nothing could be done, and one line says why; 130,
stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np

from refclip import METHODS, __version__, weights
from refclip.arguments import find_images, output_names, parse_options, parse_scale, put, shown
from refclip.batch import Result, one_line, score_files
from refclip.checkpoint import read_tensors
from refclip.prediction import describe
from refclip.prompts import TEMPLATES, read_states


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit.

    Parameters
    ----------
    args : sequence of str, optional
        Those of the process by default.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:  # a name that the encoding lacks is written as escapes (by print: click.echo writes "?")
        reconfigure(errors="backslashreplace")
    try:
        status = cli.main(args, prog_name="refclip", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("refclip: interrupted", err=True)
        status = 130
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        click.echo(f"refclip: {one_line(error)}", err=True)
        status = 2
    sys.exit(status)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="refclip", message="%(prog)s %(version)s")
def cli() -> None:
    """CLIP and the CLIP-based anomaly detectors, in plain array code."""


@cli.command()
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
@click.option("--out", metavar="DIR", help="Write heat maps there. Without it no file is written.")
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

    Exit status: 0 all done, 1 some images could not be used, 2 nothing could be done, 130 stopped by Ctrl-C.
    """
    module, preset = METHODS[method]
    options = parse_options(method, pairs)
    if templates is not None:
        put(options, "templates", templates, "--templates")
    if states_file is not None:
        states, own = read_states(states_file)
        put(options, "states", states, "--states")
        if own is not None:
            put(options, "templates", own, f"key 'templates' of {shown(states_file)}")
    limits = parse_scale(scale, signed=method != "winclip" and bool(options.get("one_class")))  # winclip's map is not
    images = find_images(paths)
    stems: dict[Path, Path | None] = dict.fromkeys(images)
    if out is not None:
        _require_writable(Path(out))
        stems |= {image: Path(out, stem) for image, stem in zip(images, output_names(images), strict=True)}
    clip = weights.load(source, pretrained=pretrained, device=device)
    state = module.prepare(clip, name, **preset, **options)

    used = {"method": method, "object": name, "weights": source, "options": describe(state.options)}
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
    failed = score_files(module, state, stems, limits, show, bar=sys.stderr.isatty() and not quiet)
    if rows:
        _print_table(rows, f"{method}, {source}, {name}: the higher, the more anomalous")
    if failed:
        click.echo(f"refclip: {failed} of {len(images)} images could not be used", err=True)
    return 1 if failed else 0


@cli.command()
@click.argument("path")
@click.option("--pretrained", metavar="TAG", help="As of refclip score.")
def inspect(path: str, pretrained: str | None) -> None:
    """Say what weights are: a safetensors file, a folder with one, or refclip-mini.

    They have to pass every check that refclip score puts them to.
    """
    clip = weights.load(path, pretrained=pretrained)
    file = weights.find(path)
    tensors = read_tensors(file)
    s = weights.read_sizes(file, weights.to_open_clip(file, tensors))
    config = weights.find_config(file, pretrained)
    kinds = {"bfloat16" if x.dtype == np.uint16 else str(x.dtype) for x in tensors.values()}  # NumPy has no bfloat16
    image, text = (sum(x.size for x in _leaves(tower)) for tower in (clip.vision, clip.text))
    pre = clip.preprocess
    for key, value in {
        "file": f"{file}, {file.stat().st_size / 1e6:.1f} MB",
        "layout": "transformers" if any(key.startswith("vision_model.") for key in tensors) else "open_clip",
        "configuration": config.source,
        "type": ", ".join(sorted(kinds)),
        "parameters": f"{image + text + 1:,}: image tower {image:,}, text tower {text:,}, logit scale 1",
        "activation": config.activation,
        "image tower": f"{s.image} px, patches of {s.patch}, width {s.vision_width}, {s.vision_layers} layers, "
        f"{config.vision_heads} heads, hidden {s.vision_mlp}",
        "text tower": f"{s.context} tokens of {s.vocabulary:,}, width {s.text_width}, {s.text_layers} layers, "
        f"{config.text_heads} heads, hidden {s.text_mlp}",
        "embedding": str(s.embed),
        "logit scale": f"{clip.logit_scale:.2f}",
        "preprocessing": f"{pre.resize} to {pre.size[0]} x {pre.size[1]}, {pre.interpolation}",
    }.items():
        print(f"{key:<14} {shown(value)}")


@cli.command()
@click.argument("folder", metavar="DIR")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other specimens.")
@click.option("--size", type=int, default=240, show_default=True, help="Side of the pictures in pixels.")
@click.option("--category", "names", metavar="NAME", multiple=True, help="Only this one; repeat for more.")
@click.option("--train", type=int, default=10, show_default=True, help="Good pictures to train on, of a category.")
@click.option("--good", type=int, default=10, show_default=True, help="Good pictures to test on, of a category.")
@click.option("--each", type=int, default=4, show_default=True, help="Pictures of each of a category's defects.")
@click.option("--force", is_flag=True, help="Replace DIR if it holds what refclip toy wrote, unchanged, and no more.")
def toy(*, folder: str, seed: int, size: int, names: Sequence[str], force: bool, **counts: int) -> None:
    """Draw a small synthetic benchmark into DIR: eight things, each flawless and with six kinds of defect.

    The folders are MVTec AD's, so programs for it can read them. The same seed gives the same pictures. They are drawn
    by formulas: good to see a method run and to teach, no stand-in for photographs.
    """
    from rich.console import Console
    from rich.progress import track

    from refclip import toy as drawn

    chosen = list(dict.fromkeys(names)) or drawn.CATEGORIES
    for name in chosen:  # all is checked before the first picture is drawn
        drawn.check(name, seed, size=size, **counts)
    drawn.require_free(folder, force=force)
    console, silent = Console(stderr=True), not sys.stderr.isatty()
    bar = track(chosen, "drawing", console=console, transient=True, disable=silent)
    categories = tuple(drawn.category(name, seed, size=size, **counts) for name in bar)
    path = drawn.write(drawn.Toy(seed, size, categories), folder, force=force)
    print("folder", "train", "good", "damaged", sep="\t")
    for category in categories:
        damaged = sum(shot.label for shot in category.test)
        print(shown(str(path / category.name)), len(category.train), len(category.test) - damaged, damaged, sep="\t")


def _leaves(tree: Any) -> Iterator[np.ndarray]:
    if isinstance(tree, tuple):
        for branch in tree:
            yield from _leaves(branch)
    elif isinstance(tree, np.ndarray):
        yield tree


def _require_writable(folder: Path) -> None:
    """Make the folder, or refuse it before any work is done for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        taken = isinstance(error, FileExistsError | NotADirectoryError)
        reason = "a file of that name is in the way" if taken else error.strerror
        raise OSError(f"--out {shown(str(folder))}: cannot write there ({reason}); give another folder") from error


def _print_table(rows: Sequence[Result], caption: str) -> None:
    from rich.console import Console
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
    Console().print(table)
