"""The layouts of data sets, each in miniature; what may be wrong with one; reading images with their masks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refclip import data
from refclip.datasets import DATASETS
from refclip.decode import ImageError
from refclip.folders import LAYOUTS
from refclip.samples import load_usable, read_mask


def put(path: Path, *, mask: bool = False, size: tuple[int, int] = (8, 8), value: int = 255) -> Path:
    """An image, or a mask whose upper left pixel is marked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8) if mask else np.full((*size, 3), 90, np.uint8)
    if mask:
        pixels[0, 0] = value
    Image.fromarray(pixels).save(path)
    return path


def mvtec(
    root: Path, good: str = "good", suffix: str = "_mask.png", categories: tuple[str, ...] = ("nut", "tile")
) -> Path:
    for name in categories:
        for i in range(3):
            put(root / name / "train" / good / f"{i:03}.png")
            put(root / name / "test" / "crack" / f"{i:03}.png")
            put(root / name / "ground_truth" / "crack" / f"{i:03}{suffix}", mask=True)
        put(root / name / "test" / good / "000.png")
    return root


def names(found: data.Found, root: Path) -> list[str]:
    return [sample.path.relative_to(root).as_posix() for sample in found.samples]


def whats(found: data.Found) -> str:
    return "\n".join(problem.what for problem in found.problems)


# Layouts


def test_mvtec(tmp_path):
    root = mvtec(tmp_path)
    found = data.find(root)
    assert (found.layout, found.problems) == ("mvtec", ())
    assert data.categories(root) == ["nut", "tile"]
    assert names(found, root) == [
        f"{c}/test/{x}.png" for c in ("nut", "tile") for x in ("crack/000", "crack/001", "crack/002", "good/000")
    ]
    assert found.samples[1] == data.Sample(
        root / "nut/test/crack/001.png", 1, root / "nut/ground_truth/crack/001_mask.png", "nut", "crack", "test"
    )
    assert found.samples[3][1:] == (0, None, "nut", "good", "test", None)
    assert {c: len(s) for c, s in found.by_category.items()} == {"nut": 4, "tile": 4}
    assert {s.split for s in data.find(root, split="train").samples} == {"train"}
    both = data.find(root, categories=["tile"], split="all").samples
    assert [s.split for s in both] == ["train"] * 3 + ["test"] * 4


def test_one_category_of_mvtec(tmp_path, monkeypatch):
    root = mvtec(tmp_path) / "nut"
    found = data.find(root)
    assert {s.category for s in found.samples} == {"nut"}
    monkeypatch.chdir(root)
    assert data.categories(".") == ["nut"]
    assert len(data.find(".").samples) == len(found.samples)


@pytest.mark.parametrize("suffix", [".bmp", "_mask.BMP", ".PNG"])
def test_btad(tmp_path, suffix):
    root = mvtec(tmp_path, good="ok", suffix=suffix, categories=("01", "02"))
    found = data.find(root, "btad")
    assert not found.problems
    assert [s.label for s in found.samples] == [1, 1, 1, 0] * 2
    assert all(s.mask for s in found.samples if s.label)
    assert data.detect(root) == "mvtec"


def visa(root: Path, rows: str) -> Path:
    for path in ("Normal/000.JPG", "Normal/001.JPG", "Anomaly/000.JPG"):
        put(root / "candle/Data/Images" / path)
    put(root / "candle/Data/Masks/Anomaly/000.png", mask=True, value=3)
    table = root / "split_csv" / "1cls.csv"
    table.parent.mkdir()
    table.write_text("object,split,label,image,mask\n" + rows, encoding="utf-8-sig")
    return root


def test_visa(tmp_path):
    here = "candle/Data"
    root = visa(
        tmp_path,
        f"candle,train,normal,{here}/Images/Normal/001.JPG,\n"
        f"candle,test,normal,{here}\\Images\\Normal\\000.JPG,\n"
        f"candle,test,anomaly,{here}/Images/Anomaly/000.JPG,{here}/Masks/Anomaly/000.png\n",
    )
    found = data.find(root)
    assert (found.layout, found.problems) == ("visa", ())
    assert names(found, root) == [f"{here}/Images/Anomaly/000.JPG", f"{here}/Images/Normal/000.JPG"]
    _, mask = data.load(found.samples[0])
    assert mask is not None and mask.sum() == 1  # a 3 in the file
    assert [s.path.name for s in data.references(root, "visa", "candle", 1, 0)] == ["001.JPG"]


def test_visa_with_problems(tmp_path):
    root = visa(
        tmp_path / "set",
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/none.png\n"
        "candle,test,normal,candle/Data/Images/Normal/777.JPG,\n"
        "candle,test,normal,../outside.png,\n"
        f"candle,test,normal,{put(tmp_path / 'outside.png').as_posix()},\n"
        "candle,test,normal,C:\\outside.png,\n"
        "candle,test,odd,candle/Data/Images/Normal/000.JPG,\n"
        "candle,valid,normal,candle/Data/Images/Normal/000.JPG,\n"
        "candle,test\n",
    )
    found = data.find(root)
    assert [(s.path.name, s.mask) for s in found.samples] == [("000.JPG", None)]
    assert [int(p.what.split("line ")[1].split(":")[0]) for p in found.problems] == list(range(2, 10))
    table = root / "split_csv/1cls.csv"
    table.write_text("object,split\n", encoding="utf-8")
    with pytest.raises(data.DataError, match=r"columns object, split, expected .*; no label, image, mask"):
        data.find(root)
    table.write_bytes(b"object,\xff\n")
    with pytest.raises(data.DataError, match="cannot be read as a table"):
        data.find(root)


def test_sdd_is_cut_in_two(tmp_path):
    for i, marked in enumerate((0, 255)):
        put(tmp_path / f"kos0{i}" / "Part0.jpg", size=(9, 4))
        put(tmp_path / f"kos0{i}" / "Part0_label.bmp", mask=True, size=(9, 4), value=marked)
    found = data.find(tmp_path, "sdd")
    assert not found.problems
    assert [(s.path.parent.name, s.part, s.label) for s in found.samples] == [
        ("kos00", (0, 2), 0), ("kos00", (1, 2), 0), ("kos01", (0, 2), 1), ("kos01", (1, 2), 0),
    ]  # fmt: skip
    assert {s.category for s in found.samples} == {"electrical commutators"}
    shapes = []
    for sample in found.samples:
        image, mask = data.load(sample)
        assert mask is not None and mask.shape == image.shape[:2] and mask.any() == sample.label
        shapes.append(image.shape)
    assert shapes == [(4, 4, 3), (5, 4, 3)] * 2
    (tmp_path / "kos00/Part0_label.bmp").unlink()
    (tmp_path / "kos01/Part0_label.bmp").write_bytes(b"BM")
    with pytest.raises(data.DataError, match="no image found"):
        data.find(tmp_path, "sdd")
    put(tmp_path / "kos02/Part0.jpg")
    put(tmp_path / "kos02/Part0_label.bmp", mask=True)
    found = data.find(tmp_path)
    assert len(found.samples) == 2
    assert "no mask, expected one named Part0_label; left out" in found.problems[0].what
    assert "left out" in found.problems[1].what
    with pytest.raises(data.DataError, match="no image in its train set"):
        data.find(tmp_path, split="train")


def test_dagm(tmp_path):
    for i in range(3):
        put(tmp_path / "Class1/Train" / f"000{i}.PNG")
        put(tmp_path / "Class1/Test" / f"000{i}.PNG")
    put(tmp_path / "Class1/Test/Label/0001_label.PNG", mask=True)
    put(tmp_path / "Class1/Train/Label/0009_label.PNG", mask=True)
    found = data.find(tmp_path)
    assert (found.layout, found.problems) == ("dagm", ())
    assert [(s.path.stem, s.label) for s in found.samples] == [("0000", 0), ("0002", 0), ("0001", 1)]
    train = data.find(tmp_path, split="train")
    assert "a mask without its image" in whats(train)
    assert len(train.samples) == 3


@pytest.mark.parametrize(
    ("images", "masks", "name"),
    [
        ("images", "masks", "1.png"),
        ("test-image", "test-mask", "1.jpg"),
        ("ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth", "1_Segmentation.png"),
    ],
)
def test_pairs(tmp_path, images, masks, name):
    put(tmp_path / images / "1.jpg")
    put(tmp_path / masks / name, mask=True)
    assert data.detect(tmp_path) == "pairs"
    found = data.find(tmp_path, "tn3k")
    assert [(s.label, s.category, s.mask) for s in found.samples] == [(1, "thyroid", tmp_path / masks / name)]
    assert data.metrics(found.samples) == ("pixel",)
    put(tmp_path / "good" / "2.jpg")  # as for the medical set of AnomalyCLIP's table 3
    assert data.metrics(data.find(tmp_path).samples) == ("image", "pixel")


def test_any_folder(tmp_path):
    put(tmp_path / "b.PNG")
    put(tmp_path / "a.jpeg")
    flat = data.find(tmp_path)
    assert [(s.path.name, s.label, s.category) for s in flat.samples] == [
        ("a.jpeg", None, tmp_path.name), ("b.PNG", None, tmp_path.name),
    ]  # fmt: skip
    assert data.load(flat.samples[0])[1] is None
    assert data.metrics(flat.samples) == ()
    root = tmp_path / "sorted"
    put(root / "Normal/images/1.png")  # as COVID-19 has it
    put(root / "scratched/1.png")
    put(root / "bent/1.png")
    put(root / "ground_truth/bent/1.png", mask=True)
    found = data.find(root)
    assert [(s.defect, s.label, bool(s.mask)) for s in found.samples] == [
        ("good", 0, False), ("bent", 1, True), ("scratched", 1, False),
    ]  # fmt: skip
    shutil.rmtree(root / "Normal")
    assert {s.label for s in data.find(root).samples} == {None}


def test_yes_and_no(tmp_path):
    put(tmp_path / "no/1.png")
    put(tmp_path / "yes/1.png")
    found = data.find(tmp_path, "brainmri")
    assert [(s.label, s.category) for s in found.samples] == [(0, "brain"), (1, "brain")]
    assert data.metrics(found.samples) == DATASETS["brainmri"].metrics == ("image",)


# What may be wrong


def test_junk_is_passed_over(tmp_path):
    root = mvtec(tmp_path)
    before = data.find(root)
    for junk in ("nut/test/crack/._000.png", "nut/.DS_Store", "nut/test/crack/Thumbs.db", "nut/test/readme.txt"):
        (root / junk).write_bytes(b"junk")
    put(root / "__MACOSX/nut/test/good/000.png")
    put(root / "nut/test/.hidden/000.png")
    assert data.find(root) == before


def test_masks_are_matched_by_name(tmp_path):
    root = mvtec(tmp_path, categories=("nut",))
    masks = root / "nut/ground_truth/crack"
    (masks / "000_mask.png").unlink()
    put(masks / "001.bmp", mask=True)
    put(masks / "099_mask.png", mask=True)
    found = data.find(root)
    assert [s.mask and s.mask.name for s in found.samples] == [None, None, "002_mask.png", None]
    assert [p.path.name for p in found.problems] == ["000.png", "001.png", "099_mask.png"]
    assert "000.png: no mask, expected one named 000_mask" in whats(found)
    assert "001.png: 2 masks (001.bmp, 001_mask.png)" in whats(found)
    assert "099_mask.png: a mask without its image" in whats(found)
    assert data.load(found.samples[0])[1] is None
    assert data.metrics(found.samples) == ("image", "pixel")
    shutil.rmtree(masks)
    found = data.find(root)
    assert "so the 3 images of" in whats(found) and len(found.problems) == 1
    assert data.metrics(found.samples) == ("image",)


def test_an_empty_category_is_a_problem_an_empty_set_an_error(tmp_path):
    root = mvtec(tmp_path)
    for kind in ("good", "crack"):
        shutil.rmtree(root / "nut/test" / kind)
        (root / "nut/test" / kind).mkdir()
    found = data.find(root)
    assert set(found.by_category) == {"tile"}
    assert [p.path for p in found.problems] == [root / "nut/test/crack", root / "nut/test/good", root / "nut"]
    with pytest.raises(data.DataError, match=r"no image found .*no images"):
        data.find(root, categories=["nut"])


def test_wrong_requests(tmp_path):
    root = mvtec(tmp_path / "up" / "set")
    with pytest.raises(data.DataError, match="no category screw; expected some of nut, tile"):
        data.find(root, categories=["nut", "screw"])
    with pytest.raises(data.DataError, match=r"expected a sequence of names: \['nut'\]"):
        data.find(root, categories="nut")
    with pytest.raises(data.DataError, match=r"split is 'val'; expected one of train, test, all"):
        data.find(root, split="val")
    with pytest.raises(data.DataError, match=r"layout is 'mvtek'; expected a data set \(mvtec, visa"):
        data.find(root, "mvtek")
    with pytest.raises(data.DataError, match=r"not laid out as visa, expected split_csv/1cls.csv; it looks like mvtec"):
        data.find(root, "visa")
    with pytest.raises(data.DataError, match=r"no such folder; .*nothing is downloaded"):
        data.find(tmp_path / "none")
    with pytest.raises(data.DataError, match="a file; expected the folder"):
        data.detect(root / "nut/test/good/000.png")
    with pytest.raises(data.DataError) as raised:
        data.detect(tmp_path / "up")
    assert all(f"{name}: {layout.looks}" in str(raised.value) for name, layout in LAYOUTS.items())
    assert f"found set; {root} looks like mvtec: pass that" in str(raised.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(data.DataError, match="found nothing; pass the folder"):
        data.detect(tmp_path / "empty")


def test_a_broken_link_is_an_image_that_cannot_be_read(tmp_path):
    """As a copy without what its links lead to: fewer images must not pass for all."""
    root = mvtec(tmp_path, categories=("nut",))
    good, mask = root / "nut/test/good/000.png", root / "nut/ground_truth/crack/001_mask.png"
    for path in (good, mask):
        path.unlink()
        path.symlink_to("gone.png")
    problems: list[data.Problem] = []
    found = data.find(root)
    assert (len(found.samples), found.problems) == (4, ())
    loaded = list(data.load_all(found.samples, problems.append))
    assert [one.sample.path.stem for one in loaded] == ["000", "002"]
    assert [problem.what.split(":")[0] for problem in problems] == [str(mask), str(good)]
    assert all("No such file" in problem.what for problem in problems)


def test_one_bad_file_does_not_cost_the_rest(tmp_path):
    root = mvtec(tmp_path, categories=("nut",))
    (root / "nut/test/crack/000.png").write_bytes(b"no picture")
    put(root / "nut/ground_truth/crack/001_mask.png", mask=True, size=(8, 9))
    problems: list[data.Problem] = []
    loaded = list(data.load_all(data.find(root).samples, problems.append))
    assert [(one.sample.path.stem, one.sample.label) for one in loaded] == [("002", 1), ("000", 0)]
    assert [p.path.stem for p in problems] == ["000", "001"]
    assert "000.png: is not a picture" in problems[0].what
    assert "001_mask.png: 9 x 8 pixels, expected 8 x 8, the size of" in problems[1].what


# Reading


def test_load(tmp_path):
    damaged, *_, good = data.find(mvtec(tmp_path), categories=["nut"]).samples
    image, mask = data.load(damaged)
    assert (image.shape, image.dtype, mask.shape, mask.dtype) == ((8, 8, 3), np.uint8, (8, 8), bool)
    assert np.argwhere(mask).tolist() == [[0, 0]]
    _, mask = data.load(good)
    assert mask.dtype == bool and not mask.any()


def test_a_mask_that_cannot_be_used_does_not_cost_the_image(tmp_path):
    root = mvtec(tmp_path, categories=("nut",))
    masks = root / "nut/ground_truth/crack"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(masks / "000_mask.png")
    (masks / "001_mask.png").write_bytes(b"no picture")
    (root / "nut/test/good/000.png").write_bytes(b"no picture")
    empty, broken, whole, good = data.find(root).samples
    image, mask, problem = load_usable(empty)
    assert (image.shape, mask) == ((8, 8, 3), None)
    assert problem == f"{empty.mask}: marks no pixel, expected some, as {empty.path} counts as anomalous"
    image, mask, problem = load_usable(broken)
    assert (image.shape, mask) == ((8, 8, 3), None)
    assert problem.startswith(f"{broken.mask}: is not a picture")
    _, mask, problem = load_usable(whole)
    assert mask is not None and (mask.sum(), problem) == (1, "")
    with pytest.raises(ImageError, match=r"good/000\.png: is not a picture"):
        load_usable(good)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_a_mask_of_any_mode(tmp_path, mode):
    """A palette's first colour is not always black, and opaque black is not marked."""
    marked = np.zeros((4, 6), np.uint8)
    marked[1, 2:] = 1
    path = tmp_path / "mask.tif"
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(marked.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    elif mode == "P":
        image = Image.fromarray(1 - marked)
        image.putpalette([0, 0, 9, 0, 0, 0])
        assert image.mode == "P"
    elif mode == "1":
        image = Image.fromarray(marked * 255).convert("1")
    else:
        image = Image.fromarray(np.stack([marked * 255] * 3, axis=2)).convert(mode)
    assert image.mode == mode
    image.save(path)
    np.testing.assert_array_equal(read_mask(path), marked > 0)


def test_threshold(tmp_path):
    path = put(tmp_path / "m.png", mask=True, value=7)
    assert read_mask(path).sum() == 1
    assert read_mask(path, threshold=7).sum() == 0


def test_a_mask_that_is_a_jpeg_is_no_larger_than_it_was(tmp_path):
    y, x = np.mgrid[:200, :200]
    disc = (y - 100) ** 2 + (x - 90) ** 2 <= 30**2
    Image.fromarray(np.uint8(disc * 255)).save(tmp_path / "m.jpg", quality=90)
    assert (read_mask(tmp_path / "m.jpg") != disc).sum() <= 4  # pixels of an edge of 190 may fall on either side
    assert read_mask(tmp_path / "m.jpg", threshold=0).sum() > 1.1 * disc.sum()


def test_a_folder_that_may_not_be_opened_is_a_problem(tmp_path, monkeypatch):
    root = mvtec(tmp_path / "set")
    shut = {root / "lost+found", root / "nut" / "test" / "crack"}
    (root / "lost+found").mkdir()

    def refusing(function):
        def call(path="."):
            if not isinstance(path, int) and Path(path) in shut:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path)

        return call

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    found = data.find(root)
    told = [problem.what for problem in found.problems if "cannot be opened" in problem.what]
    assert told == [f"{path}: cannot be opened (Permission denied); left out" for path in sorted(shut)]
    assert {(sample.category, sample.defect) for sample in found.samples} == {
        ("nut", "good"), ("tile", "good"), ("tile", "crack"),
    }  # fmt: skip
    assert not data.find(root, categories=["tile"]).problems
    shut.add(root)
    with pytest.raises(PermissionError):
        data.find(root)


def test_exif_turns_image_and_mask_alike(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((4, 6), np.uint8)
    pixels[0, 0] = 255
    for name in ("image.png", "turned.png"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    sample = data.Sample(tmp_path / "image.png", 1, tmp_path / "turned.png", "c", "d", "test")
    for turn, shape in ((True, (6, 4)), (False, (4, 6))):
        image, mask = data.load(sample, exif=turn)
        assert image.shape == (*shape, 3)
        np.testing.assert_array_equal(mask, image[:, :, 0] > 0)
    with pytest.raises(ImageError, match=r"6 x 4 pixels, expected 4 x 6, .*exif=False"):
        data.load(sample._replace(mask=tmp_path / "plain.png"))


def test_a_palette_with_transparency(tmp_path):
    """Pillow warns when it turns this into RGB, and warnings are errors here; the colours stay as they are."""
    image = Image.fromarray(np.eye(4, dtype=np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "p.png", transparency=b"\x00\x80")
    pixels, _ = data.load(data.find(tmp_path).samples[0])
    assert pixels[0, :2].tolist() == [[40, 50, 60], [10, 20, 30]]


# References


def test_references(tmp_path):
    root = mvtec(tmp_path)
    three = data.references(root, None, "nut", 3, 5)
    assert sorted(s.path.stem for s in three) == ["000", "001", "002"]
    assert {(s.split, s.label, s.category) for s in three} == {("train", 0, "nut")}
    assert data.references(root, "mvtec", "nut", 2, np.random.default_rng(5)) == three[:2]
    drawn = data.references(root, None, "nut", 9, 5, replace=True)
    assert len(drawn) == 9 and set(drawn) <= set(three)
    assert data.references(root, None, "nut", 4, 5, replace=True) == drawn[:4]
    assert len({tuple(data.references(root, None, "nut", 3, seed)) for seed in range(20)}) > 1
    with pytest.raises(data.DataError, match=r"3 normal training images, expected at least 4 .*replace=True"):
        data.references(root, None, "nut", 4, 0)
    with pytest.raises(data.DataError, match="at least one"):
        data.references(root, None, "nut", 0, 0)
    with pytest.raises(data.DataError, match="no category screw"):
        data.references(root, None, "screw", 1, 0)


# Facts


def test_the_table_is_that_of_the_paper():
    """AnomalyCLIP's table 6: 17 data sets, |C|; none has neither metric; each can be read."""
    assert len(DATASETS) == 17
    counts = [len(row.categories) for row in DATASETS.values()]
    assert counts == [15, 12, 6, 3, 1, 10, 12] + [1] * 10
    assert [(row.normal, row.anomalous) for row in DATASETS.values()] == [
        (467, 1258), (962, 1200), (176, 282), (451, 290), (181, 74), (6996, 1054), (357, 947),
        (0, 379), (0, 612), (0, 380), (0, 1000), (0, 200), (0, 614), (100, 100), (98, 155), (1500, 1500), (1341, 219),
    ]  # fmt: skip
    for row in DATASETS.values():
        assert row.layout in LAYOUTS
        assert row.metrics
        assert row.where.startswith("http") and row.licence
        assert len(set(row.categories)) == len(row.categories)
    medical = [row for row in DATASETS.values() if len(row.metrics) == 1]
    assert len(medical) == 10
