"""The command line: `refclip score`, `eval`, `train`, `convert`, `inspect` and `toy`.

What a program reads goes to stdout, a line for each image as soon as all that the line names is written; what only a
person reads (the progress, an image that could not be used, the scale of the colours) goes to stderr.

Exit status: 0, all done; 1, some images could not be used; 2, nothing could be done, and one line says why; 130,
stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np

from refclip import __version__, weights
from refclip.arguments import not_empty, shown
from refclip.batch import one_line
from refclip.checkpoint import read_tensors
from refclip.cli_eval import evaluate
from refclip.cli_score import score
from refclip.cli_train import convert, train


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit.

    Parameters
    ----------
    args : sequence of str, optional
        Those of the process by default.
    """
    for name in ("stdout", "stderr"):  # Python leaves None for one that was closed before it began
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (until the process ends)
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
    except (ValueError, OSError, RuntimeError, MemoryError, ArithmeticError) as error:  # the last: a loss that diverges
        click.echo(f"refclip: {one_line(error)}", err=True)
        status = 2
    sys.exit(status)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="refclip", message="%(prog)s %(version)s")
def cli() -> None:
    """CLIP and the CLIP-based anomaly detectors, in plain array code."""


cli.add_command(score)
cli.add_command(evaluate)
cli.add_command(train)
cli.add_command(convert)


@cli.command()
@click.argument("path", callback=not_empty)
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
@click.argument("folder", metavar="DIR", callback=not_empty)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other specimens.")
@click.option("--size", type=int, default=240, show_default=True, help="Side of the pictures in pixels.")
@click.option("--category", "names", metavar="NAME", multiple=True, help="Only this one; repeat for more.")
@click.option("--busy", is_flag=True, help="Surfaces as striking as their defects, and fainter defects: far harder.")
@click.option("--train", type=int, default=10, show_default=True, help="Good pictures to train on, of a category.")
@click.option("--good", type=int, default=10, show_default=True, help="Good pictures to test on, of a category.")
@click.option("--each", type=int, default=4, show_default=True, help="Pictures of each of a category's defects.")
@click.option("--force", is_flag=True, help="Replace DIR if it holds what refclip toy wrote, unchanged, and no more.")
def toy(*, folder: str, seed: int, size: int, names: Sequence[str], busy: bool, force: bool, **counts: int) -> None:
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
    categories = tuple(drawn.category(name, seed, busy=busy, size=size, **counts) for name in bar)
    path = drawn.write(drawn.Toy(seed, size, categories, busy), folder, force=force)
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
