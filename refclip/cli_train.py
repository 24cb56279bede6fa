"""`refclip train`: images with masks -> learned prompts or projections. `refclip convert`: official prompts -> ours."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import click

from refclip import weights
from refclip.arguments import names_of, not_empty, parse, put, shown
from refclip.cli_score import require_writable
from refclip.decode import ImageError
from refclip.samples import Sample, load_usable
from refclip.training import check, steps_per_epoch

SPLITS = ("test", "train", "all")


class Learner(NamedTuple):
    """A method that learns: its module, and the NamedTuples whose fields are its options."""

    fit: Any  # the module with `fit` and `save`
    parts: tuple[tuple[str, Any], ...]  # name of an argument of `fit` ("" for its keywords) -> options with defaults


def learners() -> dict[str, Learner]:
    """Method -> how it learns. Here and not above: `refclip --help` need not import them."""
    from refclip.methods import anomalyclip_fit, clip_ada_fit, coop, coop_fit, vand_fit
    from refclip.methods.anomalyclip_options import Options
    from refclip.methods.anomalyclip_prompts import Design

    return {
        "anomalyclip": Learner(
            anomalyclip_fit, (("training", anomalyclip_fit.Training()), ("design", Design()), ("", Options()))
        ),
        "clip-ada": Learner(clip_ada_fit, (("training", clip_ada_fit.Training()), ("", clip_ada_fit.Options()))),
        "coop": Learner(coop_fit, (("training", coop_fit.Training()), ("design", coop.DESIGN), ("", Options()))),
        "vand": Learner(vand_fit, (("training", vand_fit.Training()), ("", vand_fit.Options()))),
    }


@click.command("train")
@click.argument("method", type=click.Choice(["anomalyclip", "clip-ada", "coop", "vand"]))
@click.argument("data", nargs=-1, required=True, metavar="DATA...", callback=not_empty)
@click.option(
    "--out", required=True, callback=not_empty, metavar="FILE", help="Where to write what is learned: FILE.safetensors."
)
@click.option("--layout", metavar="LAYOUT", help="As of refclip eval.  [default: found out]")
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Of DATA.  [default: test, as the papers learn from another set's images with defects; clip-ada: train]",
)
@click.option("--categories", metavar="NAME[,NAME...]", help="Only these.  [default: all]")
@click.option(
    "--weights",
    "source",
    metavar="W",
    callback=not_empty,
    default="refclip-mini",
    show_default=True,
    help="As of refclip score, as is the next.",
)
@click.option("--pretrained", metavar="TAG")
@click.option(
    "--option",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    help="Repeat for more: --option epochs=5 --option length=16; a wrong one lists those there are.",
)
@click.option(
    "--features",
    metavar="DIR",
    callback=not_empty,
    help="Keep the images' features there, for other runs on the same images.  [default: in memory]",
)
@click.option(
    "--every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="STEPS",
    help="How often FILE.checkpoint is written, from which the same command goes on after a kill.",
)
@click.option("--device", metavar="cpu|cuda", default="cpu", show_default=True, help="cuda needs CuPy.")
def train(
    *,
    method: str,
    data: Sequence[str],
    out: str,
    layout: str | None,
    split: str | None,
    categories: str | None,
    source: str,
    pretrained: str | None,
    pairs: Sequence[str],
    features: str | None,
    every: int,
    device: str,
) -> int:
    """Learn METHOD's prompts or projections from DATA, folders of images with masks; several are taken as one.

    The objects of DATA should be others than those to be judged afterwards; for clip-ada the same. Writes FILE, with
    all choices and the loss curve in it, and FILE.curve.tsv, the loss of each epoch. Then: refclip score --method
    METHOD --learned FILE.

    Exit status: 0 all done, 1 something could not be used, 2 nothing could be done, 130 stopped by Ctrl-C, with
    FILE.checkpoint kept.
    """
    from refclip import data as datasets
    from refclip.files import whole_file

    learner = learners()[method]
    options = read(method, learner, pairs)
    t = options["training"]
    check(t)
    target = Path(out)
    if target.suffix != ".safetensors":
        raise ValueError(f"--out {shown(out)}: expected a name that ends in .safetensors")
    require_writable(target.parent)
    if features is not None:
        require_writable(Path(features), "--features")
    names = names_of([] if categories is None else [categories])
    split = split or ("train" if method == "clip-ada" else "test")
    found = [datasets.find(folder, layout, categories=names, split=split) for folder in data]
    clip = weights.load(source, pretrained=pretrained, device=device)
    problems = [one.what for part in found for one in part.problems]
    samples = list(readable([one for part in found for one in part.samples], problems.append))
    for problem in problems:
        click.echo(f"refclip: {shown(problem)}", err=True)
    if not samples:
        raise ValueError(f"{shown(', '.join(data))}: none of the images can be read; copy or download them again")
    checkpoint = target.with_suffix(".checkpoint")
    steps = t.epochs * steps_per_epoch(len(samples), t.batch)
    with _progress(len(samples), steps) as (note, encoded, tell):
        fitted = learner.fit.fit(
            clip, samples, features=features, checkpoint=checkpoint, every=every, note=note, encoded=encoded,
            tell=tell, **options,
        )  # fmt: skip
    learner.fit.save(target, fitted)
    with whole_file(target.with_suffix(".curve.tsv")) as file:
        lines = ["epoch\tloss", *(f"{i}\t{loss:.6g}" for i, loss in enumerate(fitted.curve, 1))]
        file.write(("\n".join(lines) + "\n").encode())
    checkpoint.unlink(missing_ok=True)  # last: until here a kill costs nothing
    print("file", "epochs", "first", "last", sep="\t")
    ends = [f"{loss:.6g}" for loss in (fitted.curve[:1] + fitted.curve[-1:])] or ["", ""]
    print(shown(str(target)), len(fitted.curve), *ends, sep="\t")
    if problems:
        click.echo(f"refclip: {len(problems)} problems; learned from what could be used", err=True)
    return 1 if problems else 0


@click.command("convert")
@click.argument("path", metavar="FILE.pth", callback=not_empty)
@click.option("--out", required=True, callback=not_empty, metavar="FILE", help="Where to write them: FILE.safetensors.")
@click.option(
    "--weights", "source", metavar="W", callback=not_empty, required=True, help="The model they were learned with."
)
@click.option("--pretrained", metavar="TAG", help="As of refclip score.")
def convert(*, path: str, out: str, source: str, pretrained: str | None) -> int:
    """Read AnomalyCLIP's published prompts, a .pth file, and write them as refclip's.

    Nothing in the file is executed.
    """
    from refclip.methods import anomalyclip_learned, anomalyclip_pth

    target = Path(out)
    if target.suffix != ".safetensors":
        raise ValueError(f"--out {shown(out)}: expected a name that ends in .safetensors")
    require_writable(target.parent)
    anomalyclip_learned.save(target, anomalyclip_pth.convert(weights.load(source, pretrained=pretrained), path))
    print(shown(str(target)))
    return 0


def read(method: str, learner: Learner, pairs: Sequence[str]) -> dict[str, Any]:
    """What `fit` is to be called with, from "key=value" texts.

    Raises
    ------
    ValueError
        No such option, one given twice, or no value of its type; the text lists what there is.
    """
    kinds = {
        key: (part, hint)
        for part, defaults in learner.parts
        for key, hint in get_type_hints(type(defaults)).items()
        if key != "learned"
    }
    values: dict[str, dict[str, Any]] = {part: {} for part, _ in learner.parts}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in kinds:
            found = f"{method} has no option {key!r} to learn with" if equals else f"--option {pair!r} has no '='"
            known = ", ".join(f"{k}={getattr(defaults, k)}" for part, defaults in learner.parts
                              for k in defaults._fields if kinds.get(k, ("?",))[0] == part)  # fmt: skip
            raise ValueError(f"{found}; expected KEY=VALUE with one of these, here with their defaults: {known}")
        part, hint = kinds[key]
        several = hint == tuple[str, ...]
        value = tuple(x.strip() for x in text.split(",") if x.strip()) if several else parse(key, text.strip(), hint)
        put(values[part], key, value, f"--option {key}")
    chosen = {part: defaults._replace(**values[part]) for part, defaults in learner.parts if part}
    return chosen | values.get("", {})


def readable(samples: Sequence[Sample], fail: Callable[[str], object]) -> Iterator[Sample]:
    """Samples whose image can be read, without their mask if it cannot be used; what is wrong goes to `fail`.

    All are read before the first is encoded: a damaged one must not end hours of work.
    """
    from rich.console import Console
    from rich.progress import track

    console, silent = Console(stderr=True), not sys.stderr.isatty()
    for sample in track(samples, "reading", console=console, transient=True, disable=silent):
        try:
            *_, problem = load_usable(sample)
        except ImageError as error:
            fail(f"{error}; left out")
            continue
        if problem:
            fail(f"{problem}; taken as an image without a mask")
        yield sample._replace(mask=None) if problem else sample


@contextmanager
def _progress(images: int, steps: int) -> Iterator[Any]:
    """A bar on a terminal, for encoding and then for learning; what is noted goes to stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("encoding", total=images)

        def note(text: str) -> None:
            click.echo(f"refclip: {shown(text)}", err=True)

        def encoded(count: int) -> None:
            bar.update(task, completed=count)

        def tell(step: int, loss: float) -> None:
            bar.update(task, description=f"learning, loss {loss:.4f}", completed=step, total=steps)

        yield note, encoded, tell
