"""Make refclip-mini from nothing: fetch the pictures, render, train, evaluate.

    python -m venv .venv-train && .venv-train/bin/pip install -e '.[train]'
    .venv-train/bin/python weights/train_mini.py                  # everything; takes up its last checkpoint
    .venv-train/bin/python weights/train_mini.py --minutes 5      # the same road, walked for five minutes

Needs `npm` and `apt-get` (Debian, Ubuntu) for the pictures; see `recipe/fetch.py`. A checkpoint lands every few
minutes; the same command goes on from it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from recipe import evaluate, fetch, training

HERE = Path(__file__).resolve().parent


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=HERE.parent / "build" / "mini", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=HERE.parent / "build" / "mini" / "run", show_default=True
)
@click.option("--steps", default=training.STEPS, show_default=True, help="Optimisation steps of the whole training.")
@click.option("--minutes", type=float, help="Train for so long instead; the schedule is stretched to fit.")
@click.option("--stop-after", type=float, help="Stop after so many minutes, with a checkpoint; go on another day.")
@click.option(
    "--start",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Begin with an earlier training, its checkpoint or the weights it exported, instead of with nothing.",
)
@click.option(
    "--rate",
    default=1.0,
    show_default=True,
    help="Part of the usual learning rates; less for a training that goes on from another, which at full rates first "
    "loses what the other's end had won.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that render beside the training.")
def main(
    *,
    data: Path,
    out: Path,
    steps: int,
    minutes: float | None,
    stop_after: float | None,
    start: Path | None,
    rate: float,
    seed: int,
    workers: int,
) -> None:
    """Fetch, render, train, evaluate."""
    fetch.fetch(data)
    fetch.prepare(data)
    began = time.monotonic()
    done = training.train(
        data,
        out,
        steps=steps,
        minutes=minutes,
        stop_after=stop_after,
        seed=seed,
        workers=workers,
        start=start,
        rate=rate,
    )
    print(f"training: {(time.monotonic() - began) / 60:.1f} minutes in this run")
    if not done:
        print(f"stopped before the end; the same command goes on from {out}")
        return
    weights = training.export(out)
    report = evaluate.report(weights, data)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(evaluate.table(report))


if __name__ == "__main__":
    main()
