"""Real photographs to judge refclip-mini on: `python weights/recipe/real_sets.py --data build/mini`.

Two packages of PyPI hold photographs of flawless and damaged things. They are fetched as the training's pictures are
(see `fetch.py`), onto the reader's machine, to evaluate on. Nothing is trained on them; nothing of them is shipped.

- `elpv-dataset`: 2,624 solar cells, seen by a camera in the near infrared while a current makes them glow. Experts
  gave each a probability of being defective: 0, 1/3, 2/3 or 1. Only those at 0 and at 1 are taken; no masks. The two
  kinds of cell look so unlike each other that each is a set. Many a fault is faint, and the dark patches of a
  polycrystalline cell are its grain.
- `crackpot`: one photograph of a cracked concrete surface, cut into tiles. The labels, in `real_concrete.json`, are
  ours. An interval over tiles of one photograph says nothing about other concrete.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
from PIL import Image, ImageDraw

if __name__ == "__main__":  # as a script, its own folder is on the path, not the one that holds the package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipe.data_sources import Source, key
from recipe.fetch import DEFAULT, FetchError, fetch

MOST = 150  # pictures of each label: the standard error of an AUROC near 0.5 is then about 0.03
LABELS = Path(__file__).with_name("real_concrete.json")
_MANUAL = "crackpot/resources/docs/images_en/upload.png"

SOLAR = Source(
    "elpv-dataset", "PyPI", "1.0.0.post1",
    "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c", 90801454,
    ("elpv_dataset/data/*", "*/licenses/LICENSE.md"),
    "photographs of solar cells", "CC BY-NC-SA 4.0",
    "C. Buerhop-Lutz, S. Deitsch, A. Maier, F. Gallwitz, S. Berger, B. Doll, J. Hauch, C. Camus, C. J. Brabec: A "
    "Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence Imagery, EU PVSEC 2018",
)  # fmt: skip
CONCRETE = Source(
    "crackpot", "PyPI", "2.0",
    "69b75db970cc32744574a72f7be40d93e8a7fb1e75235fb59bc628eed416dc09", 80612115,
    (_MANUAL, "crackpot-2.0.dist-info/licenses/LICENSE"),
    "a photograph of cracked concrete", "GPL-3.0-only, the package's: the picture, of its manual, names no other",
    "Bertram Richter, Carl Stock, Xiaoli Song: Crackpot (TU Dresden)",
)  # fmt: skip


class RealSet(NamedTuple):
    """One set: where it comes from, and how its folder is filled."""

    name: str  # as prompts call the thing
    source: Source
    fill: Callable[[Path, Path], None]  # (unpacked package, empty folder) -> None


def solar_cells(kind: str) -> Callable[[Path, Path], None]:
    """What fills a folder with the cells of one kind, "mono" or "poly": at most MOST of each label, the same always."""

    def fill(package: Path, folder: Path) -> None:
        data = package / "elpv_dataset" / "data"
        with (data / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = [line for line in csv.reader(file, delimiter=" ", skipinitialspace=True) if line]
        for probability, label in ((0.0, "good"), (1.0, "defective")):
            names = [name for name, p, of in rows if of == kind and float(p) == probability]
            if not names:
                raise FetchError(f"{data / 'labels.csv'}: no cell of kind {kind!r} at probability {probability:g}")
            (folder / "test" / label).mkdir(parents=True)
            for name in sorted(names, key=_drawn)[:MOST]:
                shutil.copyfile(data / name, folder / "test" / label / Path(name).name)

    return fill


def _drawn(name: str) -> str:
    """A key that orders file names at random, and the same everywhere: neighbours come from one solar module."""
    return hashlib.sha256(Path(name).name.encode()).hexdigest()


def concrete_tiles(package: Path, folder: Path, labels: Path = LABELS) -> None:
    """Cut the photograph into tiles by the hand-made labels, with the masks of the crack."""
    by_hand = json.loads(labels.read_text("utf-8"))
    photo, mask, side = _photograph(package / _MANUAL, by_hand)
    cracked, left_out = ({(r, c) for r, c in by_hand[name]} for name in ("cracked", "left out"))
    for name in ("test/good", "test/crack", "ground_truth/crack"):
        (folder / name).mkdir(parents=True)
    for row in range(photo.height // side):
        for column in range(photo.width // side):
            if (row, column) in left_out:
                continue
            box = (column * side, row * side, (column + 1) * side, (row + 1) * side)
            label, stem = "crack" if (row, column) in cracked else "good", f"{row}{column}"
            photo.crop(box).save(folder / "test" / label / f"{stem}.png")
            if label == "crack":
                mask.crop(box).save(folder / "ground_truth" / label / f"{stem}_mask.png")


def _photograph(path: Path, by_hand: dict[str, Any]) -> tuple[Image.Image, Image.Image, int]:
    """The photograph inside the manual's picture, the mask of its crack (0 or 255), and the side of a tile."""
    with Image.open(path) as whole:
        left, upper, right, lower = by_hand["photograph"]
        if whole.width < right or whole.height < lower:
            raise FetchError(f"{path}: {whole.width} x {whole.height} pixels; the labels need {right} x {lower}")
        photo = whole.convert("RGB").crop((left, upper, right, lower))
    mask = Image.new("L", photo.size)
    draw = ImageDraw.Draw(mask)
    draw.line([tuple(p) for p in by_hand["crack"]], fill=255, width=by_hand["width"], joint="curve")
    draw.polygon([tuple(p) for p in by_hand["broken out"]], fill=255)
    return photo, mask, by_hand["side"]


SETS = (
    RealSet("monocrystalline solar cell", SOLAR, solar_cells("mono")),
    RealSet("polycrystalline solar cell", SOLAR, solar_cells("poly")),
    RealSet("concrete", CONCRETE, concrete_tiles),
)


def fetch_real(folder: str | Path = DEFAULT, sets: tuple[RealSet, ...] = SETS) -> dict[str, Path]:
    """Fetch each set into `folder`/real/NAME, in MVTec AD's layout with a LICENCE.txt; go on where it stopped.

    There is no train/good; a set without masks has no ground_truth.

    Returns
    -------
    dict of str to Path
        Name of the thing, as prompts call it, to its folder.

    Raises
    ------
    FetchError
        Where pip fails, brings another archive than the pinned one, or that archive does not hold what it should.
    """
    root = Path(folder) / "real"
    packages = root / "packages"  # `archives` and `unpacked`, as `fetch` has them
    out = {one.name: root / one.name.replace(" ", "_") for one in sets}
    missing = [one for one in sets if not _complete(out[one.name], one)]
    if missing:
        fetch(packages, tuple(dict.fromkeys(one.source for one in missing)))
    for one in missing:
        with tempfile.TemporaryDirectory(prefix=".part-", dir=root) as part:
            whole = Path(part) / "whole"
            whole.mkdir()
            one.fill(packages / "unpacked" / key(one.source), whole)
            (whole / "LICENCE.txt").write_text(licence(one), "utf-8")
            shutil.rmtree(out[one.name], ignore_errors=True)
            whole.replace(out[one.name])
    return out


def _complete(path: Path, one: RealSet) -> bool:
    """Whether the folder, which appears only when it is complete, is there and of this version and these labels."""
    stated = path / "LICENCE.txt"
    return stated.exists() and stated.read_text("utf-8") == licence(one)


def licence(one: RealSet) -> str:
    """What LICENCE.txt says. It names the version and the labels' hash, so that a changed set is made anew."""
    source = one.source
    lines = [
        f"{source.what}, from {source.name} {source.version} ({source.registry}, sha256 {source.sha256})",
        f"Licence: {source.licence}",
        f"By: {source.attribution}",
        "For evaluation on this machine. Not trained on, not shipped.",
    ]
    if one.fill is concrete_tiles:
        lines.append(f"Labels: real_concrete.json, sha256 {hashlib.sha256(LABELS.read_bytes()).hexdigest()}")
    return "\n".join(lines) + "\n"


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="They go to DATA/real."
)
def main(data: Path) -> None:
    """Fetch the real photographs that refclip-mini is judged on."""
    try:
        found = fetch_real(data)
    except FetchError as error:
        raise click.ClickException(str(error)) from error
    for name, folder in found.items():
        counts = {p.name: len(list(p.iterdir())) for p in sorted((folder / "test").iterdir())}
        print(f"{name}: {folder} (" + ", ".join(f"{label} {n}" for label, n in counts.items()) + ")")


if __name__ == "__main__":
    main()
