"""The benchmark on disk, in MVTec AD's layout: written whole or not at all, and nobody else's file is ever deleted."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from refclip import __version__
from refclip.files import whole_file
from refclip.toy.benchmark import EDITION, KNOWN_DEFECTS, UNSEEN_DEFECTS, Toy

MARK = "A toy benchmark for anomaly detection, drawn by refclip toy"  # the first line of README.txt
README, SUMS = "README.txt", "SHA256SUMS"


def write(toy: Toy, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a benchmark as PNG files in MVTec AD's layout.

    ::

        README.txt                                    what it is, from which seed
        SHA256SUMS                                    of all files
        knitted_wool/train/good/000.png
        knitted_wool/test/good/000.png
        knitted_wool/test/burn/000.png
        knitted_wool/ground_truth/burn/000_mask.png   0 and 255

    It is written under another name beside the folder and renamed when all is there.

    Parameters
    ----------
    toy : Toy
    folder : path
        One that does not exist, or is empty.
    force : bool
        Replace a folder that holds nothing but what `write` has put there: every file is known by its SHA-256. Others
        are refused, never deleted.

    Returns
    -------
    pathlib.Path
        The folder, absolute.

    Raises
    ------
    OSError
        The folder is taken or cannot be written; what was there stays.
    """
    target = require_free(folder, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (target.with_name(f".{secrets.token_hex(8)}.{end}") for end in ("part", "old"))
    try:
        _fill(partial, toy)
        taken = require_free(target, force=force).exists()  # once more: it may have changed meanwhile
        if taken:
            target.rename(old)
        try:
            partial.rename(target)
        except BaseException:
            if taken:
                old.rename(target)
            raise
    finally:
        if partial.exists():
            shutil.rmtree(partial)
    if taken:
        try:
            _remove(old)
        except OSError as error:
            raise OSError(
                f"{folder}: written, but of what it replaces something was changed meanwhile and is kept in {old}; "
                "look there, and delete it yourself"
            ) from error
    return target


def require_free(folder: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Refuse a folder that `write` would refuse. Returns its absolute path.

    Raises
    ------
    OSError
        The text says what is in the way and what to do.
    """
    path = Path(folder).resolve()
    if Path.cwd().is_relative_to(path):
        raise FileExistsError(
            f"{folder}: the current folder, or one around it, which cannot be replaced; name a new one: ./toy"
        )
    if not path.exists():
        return path
    if not path.is_dir():
        raise FileExistsError(f"{folder}: a file, expected a new or an empty folder; give another name")
    names = sorted(child.name for child in path.iterdir())
    if not names:
        return path
    if not force:
        raise FileExistsError(
            f"{folder}: not empty ({names[0]!r} is there), expected a new or an empty folder; give another name, or "
            "--force (force=True) if refclip toy made it"
        )
    known = _known(path)
    if not known:
        raise FileExistsError(
            f"{folder}: no {README} and {SUMS} as refclip toy writes them, so what is there is not replaced; "
            "give another name"
        )
    folders = {parent for name in known for parent in Path(name).parents}
    for child in sorted(path.rglob("*")):
        name = child.relative_to(path)
        if child.is_symlink():
            ours = False
        elif child.is_dir():
            ours = name in folders
        else:
            ours = child.is_file() and known.get(name.as_posix()) == _sum(child)
        if not ours:
            raise FileExistsError(
                f"{folder}: {str(name)!r} is not as refclip toy wrote it, so nothing is replaced; move it elsewhere, "
                "or give another name"
            )
    return path


def _known(path: Path) -> dict[str, str]:
    """Each file's sum by its name, as they were written; none if the folder is not one of ours."""
    try:
        first, *_ = (path / README).read_text(encoding="utf-8").splitlines()
        text = (path / SUMS).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    if first != MARK:
        return {}
    pairs = (line.partition("  ") for line in text.splitlines())
    return {name: digest for digest, _, name in pairs} | {SUMS: _sum(path / SUMS)}


def _remove(path: Path) -> None:
    """Delete the files that are still as they were written, then the folders, none of which may hold another."""
    known = _known(path)
    found = sorted(path.rglob("*"), reverse=True)  # what is in a folder comes before the folder
    for child in found:
        if child.is_file() and not child.is_symlink() and known.get(child.relative_to(path).as_posix()) == _sum(child):
            child.unlink()
    for child in found:
        if child.is_dir() and not child.is_symlink():
            child.rmdir()  # an error, where one is not empty
    path.rmdir()


def _fill(path: Path, toy: Toy) -> None:
    sums: list[str] = []
    for name, image in _images(toy):
        file = path / name
        with whole_file(file) as opened:  # which says which file it was that could not be written
            Image.fromarray(image).save(opened, "PNG", compress_level=3)  # half the time of 6, hardly larger: noise
        sums.append(f"{_sum(file)}  {name}")
    (path / README).write_text(_readme(toy), encoding="utf-8", newline="\n")
    sums.append(f"{_sum(path / README)}  {README}")
    (path / SUMS).write_text("\n".join(sums) + "\n", encoding="utf-8", newline="\n")


def _images(toy: Toy) -> Iterator[tuple[str, np.ndarray]]:
    for category in toy.categories:
        for i, image in enumerate(category.train):
            yield f"{category.name}/train/good/{i:03}.png", image
        counts: dict[str, int] = {}
        for shot in category.test:
            i = counts.setdefault(shot.defect, 0)
            counts[shot.defect] += 1
            yield f"{category.name}/test/{shot.defect}/{i:03}.png", shot.image
            if shot.label:
                mask = np.where(shot.mask, 255, 0).astype(np.uint8)
                yield f"{category.name}/ground_truth/{shot.defect}/{i:03}_mask.png", mask


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _readme(toy: Toy) -> str:
    rows = []
    for category in toy.categories:
        defects = list(dict.fromkeys(shot.defect for shot in category.test if shot.label))
        good = sum(not shot.label for shot in category.test)
        rows.append(
            f"  {category.name:<13} {len(category.train)} train, {good} good, {len(category.test) - good} damaged: "
            + ", ".join(defects)
        )
    return "\n".join(
        [
            MARK,
            "",
            f"refclip {__version__}, edition {EDITION}{', busy' if toy.busy else ''}, seed {toy.seed}, "
            f"{toy.size} x {toy.size} pixels, NumPy {np.__version__}.",
            "The folders are MVTec AD's; masks are 0 and 255. SHA256SUMS knows every file: sha256sum -c SHA256SUMS",
            "",
            *rows,
            "",
            f"Kinds of defect that training may know:  {', '.join(KNOWN_DEFECTS)}",
            f"Kinds kept out of training, as a test:   {', '.join(UNSEEN_DEFECTS)}",
            "",
            "All of it is synthetic: drawn by formulas from the seed, no photograph among it. It is there to see a",
            "method run, to test a program and to teach; its scores say little about photographs of real products.",
            "",
        ]
    )
