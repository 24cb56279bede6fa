"""How data sets lie on disk: for each layout its categories, and their images with the masks that bear their names.

Published loaders sort the images, sort the masks, and pair them by position: one mask missing, and all after it belong
to the wrong image. Here a mask belongs to the image that it is named after, and what is left over is a `Problem`.

All names of folders and endings are read without regard to case; hidden files (.DS_Store, the ._000.png of macOS) and
files that are no pictures are passed over. Links are followed like what they lead to. The order is that of the names,
by code points, the same on every system.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from refclip.decode import SUFFIXES, ImageError
from refclip.samples import DataError, Problem, Sample, cut, read_mask

NORMAL = ("good", "ok", "normal", "no")  # names of folders with normal images: MVTec's, BTAD's, COVID-19's, BrainMRI's
_MASK_ENDINGS = ("", "_mask", "_label", "_segmentation")  # of 000: 000.bmp, 000_mask.png ...
_PAIRS = (
    ("images", "masks"),
    ("test-image", "test-mask"),
    ("isbi2016_isic_part1_test_data", "isbi2016_isic_part1_test_groundtruth"),
)
_MASKS = ("ground_truth", *(masks for _, masks in _PAIRS))


class Layout(NamedTuple):
    """A way in which data sets lie on disk."""

    looks: str  # what it is known by
    categories: Callable[[Path], list[str]]  # root -> names, none if it is laid out otherwise
    read: Callable[[Path, str, Sequence[str]], Iterator[Sample | Problem]]  # root, category, splits


def entries(folder: Path | None) -> list[Path]:
    """What lies in a folder, by name, without what systems leave there; nothing if it is not there, or closed to us."""
    try:
        found = [] if folder is None or not folder.is_dir() else list(folder.iterdir())
    except PermissionError:
        return []
    known = (path for path in found if not path.name.startswith((".", "__MACOSX")))
    return sorted(known, key=lambda path: path.name)  # paths compare by the system's rules


def subfolders(folder: Path | None) -> list[Path]:
    """Folders in a folder, by name."""
    return [path for path in entries(folder) if path.is_dir()]


def _pictures(folder: Path | None) -> list[Path]:
    found = (path for path in entries(folder) if path.name.lower().endswith(SUFFIXES))
    return [path for path in found if not path.is_dir()]  # a broken link too: whoever reads it says so


def _child(folder: Path | None, name: str) -> Path | None:
    found = (path for path in entries(folder) if path.name.casefold() == name.casefold())
    return next((path for path in found if path.is_dir()), None)


def _is_normal(folder: Path) -> bool:
    return folder.name.casefold() in NORMAL


def _own_name(root: Path) -> list[str]:
    return [root.resolve().name or str(root)]


def _match(images: Sequence[Path], masks: Sequence[Path]) -> tuple[dict[Path, list[Path]], list[Problem]]:
    """Masks of each image by their names, and a problem for each mask that belongs to none."""
    named: dict[str, list[Path]] = {}
    for mask in masks:
        named.setdefault(mask.stem.casefold(), []).append(mask)
    of = {image: [m for end in _MASK_ENDINGS for m in named.get(image.stem.casefold() + end, ())] for image in images}
    used = {mask for found in of.values() for mask in found}
    return of, [Problem(m, f"{m}: a mask without its image; is the image missing?") for m in masks if m not in used]


def _one_mask(image: Path, masks: Sequence[Path], ending: str = "_mask") -> Problem | None:
    if len(masks) == 1:
        return None
    found = "no mask" if not masks else f"{len(masks)} masks ({', '.join(mask.name for mask in masks)})"
    return Problem(image, f"{image}: {found}, expected one named {image.stem}{ending}")


def _anomalous(
    images: Sequence[Path], masks: Sequence[Path], category: str, defect: str, split: str
) -> Iterator[Sample | Problem]:
    of, left = _match(images, masks)
    for image in images:
        problem = _one_mask(image, of[image])
        if problem:
            yield problem
        yield Sample(image, 1, None if problem else of[image][0], category, defect, split)
    yield from left


# MVTec AD, MPDD, BTAD, DTD-Synthetic: category/test/defect/000.png, category/ground_truth/defect/000_mask.png


def _is_mvtec(folder: Path) -> bool:
    return any(subfolders(_child(folder, split)) for split in ("train", "test"))


def _mvtec_categories(root: Path) -> list[str]:
    return _own_name(root) if _is_mvtec(root) else [path.name for path in subfolders(root) if _is_mvtec(path)]


def _mvtec(root: Path, category: str, splits: Sequence[str]) -> Iterator[Sample | Problem]:
    folder = root if _is_mvtec(root) else root / category
    for split in splits:
        for kind in subfolders(_child(folder, split)):
            images = _pictures(kind)
            if not images:
                yield Problem(kind, f"{kind}: no images (none of {', '.join(SUFFIXES)})")
            elif _is_normal(kind):
                yield from (Sample(image, 0, None, category, "good", split) for image in images)
            elif masks := _child(_child(folder, "ground_truth"), kind.name):
                yield from _anomalous(images, _pictures(masks), category, kind.name, split)
            else:
                where = folder / "ground_truth" / kind.name
                yield Problem(where, f"{where}: no such folder, so the {len(images)} images of {kind} have no masks")
                yield from (Sample(image, 1, None, category, kind.name, split) for image in images)


# VisA: split_csv/1cls.csv says it all


def _visa_rows(root: Path) -> list[tuple[int, dict[str, str]]]:
    file = next((path for path in entries(_child(root, "split_csv")) if path.name.casefold() == "1cls.csv"), None)
    if file is None:
        return []
    wanted = ("object", "split", "label", "image", "mask")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            found = reader.fieldnames or []
            rows = [(reader.line_num, {key: (row.get(key) or "").strip() for key in wanted}) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as a table ({error}); expected VisA's own: copy it again") from error
    if missing := [key for key in wanted if key not in found]:
        raise DataError(f"{file}: columns {', '.join(found)}, expected {', '.join(wanted)}; no {', '.join(missing)}")
    return rows


def _visa_categories(root: Path) -> list[str]:
    return sorted({row["object"] for _, row in _visa_rows(root)} - {""})


def _visa(root: Path, category: str, splits: Sequence[str]) -> Iterator[Sample | Problem]:
    samples: list[Sample] = []
    for line, row in _visa_rows(root):
        where = f"{root / 'split_csv' / '1cls.csv'}: line {line}"
        if row["object"] != category or (row["split"] in ("train", "test") and row["split"] not in splits):
            continue
        image, mask = _inside(root, row["image"]), _inside(root, row["mask"])
        if row["split"] not in ("train", "test") or row["label"] not in ("normal", "anomaly"):
            found = f"split {row['split']!r} and label {row['label']!r}"
            yield Problem(root, f"{where}: {found}, expected train or test, and normal or anomaly; left out")
        elif image is None or not image.is_file():
            yield Problem(image or root, f"{where}: image {row['image']!r} is not there; left out")
        elif row["label"] == "normal":
            samples.append(Sample(image, 0, None, category, "good", row["split"]))
        else:
            if mask is None or not mask.is_file():
                yield Problem(image, f"{where}: mask {row['mask']!r} of {image} is not there")
                mask = None
            samples.append(Sample(image, 1, mask, category, "anomaly", row["split"]))
    yield from sorted(samples, key=lambda sample: (splits.index(sample.split), sample.path.as_posix()))


def _inside(root: Path, text: str) -> Path | None:
    """Path below the root that a table means, on any system; None if it means none, or one elsewhere."""
    path = PureWindowsPath(text)  # knows both slashes
    return None if not text or path.anchor or ".." in path.parts else root.joinpath(*path.parts)


# KolektorSDD: kos01/Part0.jpg, kos01/Part0_label.bmp; each image two samples (AnomalyCLIP, appendix B)


def _is_label(path: Path) -> bool:
    return path.stem.casefold().endswith("_label")


def _sdd_folders(root: Path) -> list[Path]:
    return [path for path in subfolders(root) if path.name.casefold().startswith("kos")]


def _sdd_categories(root: Path) -> list[str]:
    found = any(_is_label(path) for folder in _sdd_folders(root) for path in _pictures(folder))
    return _own_name(root) if found else []


def _sdd(root: Path, category: str, splits: Sequence[str]) -> Iterator[Sample | Problem]:
    """Only a mask says which half is damaged, so they are all read here; a half is labelled by what is marked in it."""
    for folder in _sdd_folders(root) if "test" in splits else ():
        files = _pictures(folder)
        images = [path for path in files if not _is_label(path)]
        of, left = _match(images, [path for path in files if _is_label(path)])
        for image in images:
            problem = _one_mask(image, of[image], "_label")
            if problem:
                yield problem._replace(what=f"{problem.what}; left out, as its label is unknown")
                continue
            try:
                mask = read_mask(of[image][0])
            except ImageError as error:
                yield Problem(image, f"{error}; {image} is left out, as its label is unknown")
                continue
            for part in ((0, 2), (1, 2)):
                label = int(cut(mask, part).any())
                yield Sample(image, label, of[image][0], category, "defect" if label else "good", "test", part)
        yield from left


# DAGM 2007: Class1/Train/0001.PNG, Class1/Train/Label/0001_label.PNG; what has no mask is normal


def _is_dagm(folder: Path) -> bool:
    parts = [_child(folder, split) for split in ("train", "test")]
    return any(_child(part, "label") and _pictures(part) for part in parts)


def _dagm_categories(root: Path) -> list[str]:
    return [path.name for path in subfolders(root) if _is_dagm(path)]


def _dagm(root: Path, category: str, splits: Sequence[str]) -> Iterator[Sample | Problem]:
    for split in splits:
        folder = _child(root / category, split)
        images, masks = _pictures(folder), _pictures(_child(folder, "label"))
        of, _ = _match(images, masks)
        damaged = [image for image in images if of[image]]
        yield from (Sample(image, 0, None, category, "good", split) for image in images if not of[image])
        yield from _anomalous(damaged, masks, category, "defect", split)


# The medical sets with masks: images/ and masks/, all of them anomalous, good/ beside them if somebody added it


def _pair_folders(root: Path) -> tuple[Path, Path] | None:
    pairs = ((_child(root, images), _child(root, masks)) for images, masks in _PAIRS)
    return next(((images, masks) for images, masks in pairs if images and masks), None)


def _pairs_categories(root: Path) -> list[str]:
    return _own_name(root) if _pair_folders(root) else []


def _pairs(root: Path, category: str, splits: Sequence[str]) -> Iterator[Sample | Problem]:
    folders = _pair_folders(root)
    if folders and "test" in splits:
        normal = [image for kind in subfolders(root) if _is_normal(kind) for image in _pictures(kind)]
        yield from (Sample(image, 0, None, category, "good", "test") for image in normal)
        yield from _anomalous(_pictures(folders[0]), _pictures(folders[1]), category, "anomaly", "test")


# Any folder: good/ and others, with masks in ground_truth/ if there are any; or images without labels


def _kinds(root: Path) -> list[tuple[Path, list[Path]]]:
    kinds = [kind for kind in subfolders(root) if kind.name.casefold() not in _MASKS]
    return [(k, found) for k in kinds if (found := _pictures(k) or _pictures(_child(k, "images")))]


def _folder_categories(root: Path) -> list[str]:
    return _own_name(root) if _pictures(root) or _kinds(root) else []


def _folder(root: Path, category: str, splits: Sequence[str]) -> Iterator[Sample | Problem]:
    if "test" not in splits:
        return
    yield from (Sample(image, None, None, category, "", "test") for image in _pictures(root))
    kinds = _kinds(root)
    labelled = any(_is_normal(kind) for kind, _ in kinds)
    for kind, images in kinds:
        masks = _child(_child(root, "ground_truth"), kind.name)
        if labelled and masks and not _is_normal(kind):
            yield from _anomalous(images, _pictures(masks), category, kind.name, "test")
        else:
            label = int(not _is_normal(kind)) if labelled else None
            defect = "good" if label == 0 else kind.name
            yield from (Sample(image, label, None, category, defect, "test") for image in images)


LAYOUTS: dict[str, Layout] = {  # the first that fits is what a folder is taken for
    "visa": Layout("split_csv/1cls.csv", _visa_categories, _visa),
    "sdd": Layout("kos01/Part0.jpg beside kos01/Part0_label.bmp", _sdd_categories, _sdd),
    "dagm": Layout("Class1/Test/0001.PNG and Class1/Test/Label/0001_label.PNG", _dagm_categories, _dagm),
    "mvtec": Layout(
        "category/train/good and category/test/defect, or train/ and test/ themselves", _mvtec_categories, _mvtec
    ),
    "pairs": Layout(" or ".join(f"{images}/ beside {masks}/" for images, masks in _PAIRS), _pairs_categories, _pairs),
    "folder": Layout("images, or folders of images such as good/ and scratched/", _folder_categories, _folder),
}
