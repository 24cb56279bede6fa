"""Learn what is shipped beside refclip-mini for the methods that learn: one command makes all of it again.

    python weights/train_learned.py                  # anomalyclip, coop, vand, clip-ada; needs refclip alone
    python weights/train_learned.py vand --out /tmp  # one of them, elsewhere

AnomalyCLIP, CoOp and VAND learn from an auxiliary set that shares no category with `toy()` (`recipe/auxiliary.py`), as
their papers learn from another data set. CLIP-ADA learns from `toy()`'s normal training images, as its paper's setting
asks. A run that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
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
    # The paper's 800 epochs would take an hour and more. Without ln_post the logits of this small tower lie beyond
    # +-100, where the sigmoid is flat and nothing is learned.
    "clip-ada": (clip_ada_fit, {"epochs": 60, "rate": 1e-3}, {"ln_post": True}),
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


def learn(method: str, samples: Sequence[Loaded], out: Path, weights: str | Path, **chosen: Any) -> float:
    """Learn, and write `out`/METHOD.safetensors. Returns the last epoch's loss."""
    module, training, options = METHODS[method]
    clip = refclip.load(weights)
    checkpoint = out / f"{method}.checkpoint"
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(method, total=None)

        def tell(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"{method}, loss {loss:.4f}")

        fitted = module.fit(
            clip, samples, module.Training(**(training | chosen)), checkpoint=checkpoint, note=bar.print, tell=tell,
            **options,
        )  # fmt: skip
    module.save(out / f"{method}.safetensors", fitted)
    checkpoint.unlink(missing_ok=True)
    return float(fitted.curve[-1])


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
    for method in methods or tuple(METHODS):
        start = time.monotonic()
        samples = normal() if method == "clip-ada" else auxiliary(count)
        loss = learn(method, samples, out, weights, **chosen)
        print(f"{method}: {len(samples)} images, last loss {loss:.4f}, {time.monotonic() - start:.0f} seconds")


if __name__ == "__main__":
    main()
