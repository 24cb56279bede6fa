"""The command line: `refclip score` and `refclip inspect`.

What a program reads goes to stdout, a line for each image as soon as all that the line names is written; what only a
person reads (the progress, an image that could not be used, the scale of the colours) goes to stderr.

Exit status: 0, all done; 1, some images could not be used; 2, nothing could be done, and one line says why; 130,
stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import math
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
import numpy as np
from PIL import Image

from refclip import METHODS, ImageError, __version__, read_image, weights
from refclip.arguments import OVERLAY, find_images, output_names, parse_options, parse_scale, put, shown
from refclip.checkpoint import read_tensors
from refclip.prediction import describe
from refclip.prompts import TEMPLATES, read_states

MAP = ".map.npy"
BATCH = 8  # images read and scored at a time,
BATCH_PIXELS = 50_000_000  # or fewer, once they hold this many pixels


class Result(NamedTuple):
    """What is answered for one image; the names are the keys in JSON and the columns in a pipe."""

    path: str
    score: float
    map: str | None = None
    overlay: str | None = None


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
        click.echo(f"refclip: {_one_line(error)}", err=True)
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
@click.option("--device", metavar="cpu|cuda", default="cpu", show_default=True, help="cuda, or cuda:1, needs CuPy.")
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
    failed = _score_files(module, state, stems, limits, show, bar=sys.stderr.isatty() and not quiet)
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


def _score_files(
    module: Any,
    state: Any,
    stems: dict[Path, Path | None],
    limits: tuple[float, float] | None,
    show: Callable[[Result], None],
    *,
    bar: bool,
) -> int:
    """Score every image, write what its stem names, show its result. Returns how many images could not be used.

    Without `limits` the overlays wait for the last score: the maps are written, and read again to be drawn, so that
    what is held in memory does not grow with the number of images.
    """
    from rich.console import Console  # here: it would take a third of the time of --help
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from refclip.viz import overlay, save_png

    failed = 0
    low, high = limits or (math.inf, -math.inf)
    waiting: list[tuple[Path, Path]] = []
    scores: dict[Path, float] = {}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # redirect_stdout would send to the bar's stderr what is printed to stdout meanwhile
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, disable=not bar
    ) as progress:
        task = progress.add_task("scoring", total=len(stems))

        def fail(message: str) -> None:
            nonlocal failed
            failed += 1
            progress.console.print(f"refclip: {message}", markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)

        def draw(path: Path, image: Image.Image, heat: np.ndarray, stem: Path) -> None:
            drawn = save_png(overlay(image, heat, vmin=low, vmax=high), f"{stem}{OVERLAY}")
            show(Result(str(path), scores[path], f"{stem}{MAP}", str(drawn)))

        for path, image, value, heat in _scored(module, state, list(stems), fail):
            stem, scores[path] = stems[path], value
            if stem is None:
                show(Result(str(path), value))
            else:
                _save_npy(heat, f"{stem}{MAP}")
                if limits is not None:
                    draw(path, image, heat, stem)
                else:
                    low, high = min(low, float(np.nanmin(heat))), max(high, float(np.nanmax(heat)))
                    waiting.append((path, stem))
            progress.advance(task)
        if waiting:
            progress.remove_task(task)
            task = progress.add_task("drawing", total=len(waiting))
        for path, stem in waiting:
            try:
                image = read_image(path)
            except ImageError as error:
                fail(_one_line(error))
                continue
            draw(path, image, np.load(f"{stem}{MAP}", allow_pickle=False), stem)
            progress.advance(task)
    if low <= high and any(stems.values()):
        click.echo(f"refclip: the colours of the heat maps go from {low:.3g} to {high:.3g}", err=True)
    return failed


def _scored(
    module: Any, state: Any, paths: Sequence[Path], fail: Callable[[str], None]
) -> Iterator[tuple[Path, Image.Image, float, np.ndarray]]:
    """Path, image, score, and map over the image's own pixels, of all images that can be used, batch by batch."""

    def of(batch: list[tuple[Path, Image.Image]]) -> Iterator[tuple[Path, Image.Image, float, np.ndarray]]:
        try:
            p = module.score(state, module.extract(state, [image for _, image in batch]))
        except ImageError as error:  # a file that can be read and an image that the model cannot take: which one?
            if len(batch) == 1:
                fail(_one_line(error).replace("images[0]", shown(str(batch[0][0]))))
            else:
                for one in batch:
                    yield from of([one])
            return
        for i, (path, image) in enumerate(batch):
            if math.isfinite(p.score[i]):
                yield path, image, float(p.score[i]), p.on_original(i)
            else:
                fail(f"{shown(str(path))}: the score is {p.score[i]}, expected a number; are the weights damaged?")

    batch: list[tuple[Path, Image.Image]] = []
    for path in paths:
        try:
            batch.append((path, read_image(path)))
        except ImageError as error:
            fail(_one_line(error))
        if len(batch) == BATCH or sum(image.width * image.height for _, image in batch) >= BATCH_PIXELS:
            yield from of(batch)
            batch = []
    if batch:
        yield from of(batch)


def _save_npy(array: np.ndarray, name: str) -> None:
    """Whole or not at all, as `viz.save_png` does it."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            np.save(file, array.astype(np.float32, copy=False))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # gone already after the rename


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


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return shown(f"{error.filename}: {error.strerror}")
    if isinstance(error, MemoryError):
        return f"out of memory; smaller images need less ({error})"
    return shown(" ".join(str(error).splitlines())) or type(error).__name__
