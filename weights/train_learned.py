"""Learn what is shipped beside refclip-mini for the methods that learn: one command makes all of it again.

    python weights/train_learned.py                  # anomalyclip, coop, vand, clip-ada; needs refclip alone
    python weights/train_learned.py vand --out /tmp  # one of them, elsewhere

AnomalyCLIP, CoOp and VAND learn from an auxiliary set that shares no category with `toy()` (`recipe/auxiliary.py`), as
their papers learn from another data set. CLIP-ADA learns from `toy()`'s normal training images, as its paper's setting
asks. A run that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from recipe.auxiliary import auxiliary
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import refclip
from refclip import toy
from refclip.methods import anomalyclip_fit, clip_ada_fit, coop_fit, vand_fit
from refclip.samples import Loaded, Sample

HERE = Path(__file__).resolve().parent
# method -> its module, and of the fields of its Training and Options those that are not the defaults
METHODS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "anomalyclip": (anomalyclip_fit, {}, {}),
    "coop": (coop_fit, {}, {}),
    "vand": (vand_fit, {}, {}),
    # The paper's 800 epochs would take an hour and more. Behind this small tower v t^T reaches hundreds, where the
    # sigmoid is flat: cosines, times a scale. The last block, and no second look: see learned/README.md.
    "clip-ada": (
        clip_ada_fit,
        {"epochs": 20, "rate": 5e-3},
        {"layer": -1, "normalize": True, "scale": "learned", "scale_start": 10.0, "refinements": 0},
    ),
}
COUNT = 400  # pairs of the auxiliary set


def normal(seed: int = 0) -> list[Loaded]:
    """The normal training images of `toy()`."""
    out = []
    for c in toy.toy(seed).categories:
        for i, image in enumerate(c.train):
            sample = Sample(Path(c.name, "good", f"{i:03d}.png"), 0, None, c.name, "good", "train")
            out.append(Loaded(sample, image, None))
    return out


def parts(method: str, chosen: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """A method's Training, its Design (None where it has none) and its options in learning.

    They are those of `METHODS`, with what is chosen of their fields in place.
    """
    module, training, options = METHODS[method]
    design = getattr(module, "DESIGN", None) or (module.Design() if hasattr(module, "Design") else None)
    training, options = dict(training), dict(options)
    for key, value in chosen.items():
        if key in module.Training._fields:
            training[key] = value
        elif design is not None and key in design._fields:
            design = design._replace(**{key: value})
        else:
            options[key] = value
    return module.Training(**training), design, options


def learn(
    method: str,
    clip: refclip.CLIP,
    samples: Sequence[Any],
    path: Path,
    chosen: Mapping[str, Any],
    *,
    note: Callable[[str], None] = lambda text: None,
    tell: Callable[[int, float], None] = lambda step, loss: None,
) -> float:
    """Learn, and write a file; see `parts` for what can be chosen. Returns the last epoch's loss, 0 without any."""
    module, (training, design, options) = METHODS[method][0], parts(method, chosen)
    if design is not None:
        options["design"] = design
    checkpoint = path.with_suffix(".checkpoint")
    fitted = module.fit(clip, samples, training, checkpoint=checkpoint, note=note, tell=tell, **options)
    module.save(path, fitted)
    checkpoint.unlink(missing_ok=True)
    return float(fitted.curve[-1]) if fitted.curve else 0.0


def watched(method: str, clip: refclip.CLIP, samples: Sequence[Loaded], path: Path, chosen: Mapping[str, Any]) -> float:
    """`learn`, with a bar on the terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(method, total=None)

        def tell(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"{method}, loss {loss:.4f}")

        return learn(method, clip, samples, path, chosen, note=bar.print, tell=tell)


@click.command()
@click.argument("methods", nargs=-1, type=click.Choice(list(METHODS)))
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "learned", show_default=True)
@click.option("--weights", default="refclip-mini", show_default=True)
@click.option("--count", default=COUNT, show_default=True, help="Pairs of the auxiliary set.")
@click.option("--epochs", type=int, help="Instead of each method's own.")
def main(*, methods: Sequence[str], out: Path, weights: str, count: int, epochs: int | None) -> None:
    """Learn METHODS, all of them by default."""
    out.mkdir(parents=True, exist_ok=True)
    chosen = {} if epochs is None else {"epochs": epochs}
    clip = refclip.load(weights)
    for method in methods or tuple(METHODS):
        start = time.monotonic()
        samples = normal() if method == "clip-ada" else auxiliary(count)
        loss = watched(method, clip, samples, out / f"{method}.safetensors", chosen)
        print(f"{method}: {len(samples)} images, last loss {loss:.4f}, {time.monotonic() - start:.0f} seconds")


if __name__ == "__main__":
    main()
