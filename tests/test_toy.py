"""The toy benchmark: what it draws, what its masks say, what it writes and what it refuses to overwrite."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from refclip import toy as package
from refclip.cli import cli, main
from refclip.toy import (
    CATEGORIES,
    KNOWN_DEFECTS,
    UNSEEN_DEFECTS,
    Category,
    Shot,
    Toy,
    benchmark,
    camera,
    category,
    damage,
    fields,
    folder,
    toy,
    write,
)

SMALL = 96  # the smallest size, and the fastest
PAIRS = [
    (name, defect, busy)
    for busy in (False, True)
    for name, kind in benchmark.KINDS.items()
    for defect in kind.defects(busy)
]


@pytest.fixture(scope="module")
def cork() -> Toy:
    return toy(5, size=SMALL, categories=["cork"], train=2, good=2, each=1)


def pictures(one: Category) -> list[np.ndarray]:
    return [*one.train, *(shot.image for shot in one.test)]


# ---------------------------------------------------------------------------------------------------------------------
# What is drawn
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True])
def test_every_category_has_what_it_promises(busy):
    made = toy(1, busy=busy, size=SMALL, train=1, good=1, each=1)
    assert (made.seed, made.size, made.busy) == (1, SMALL, busy)
    assert [one.name for one in made.categories] == list(CATEGORIES)
    assert [one.words for one in made.categories] == [name.replace("_", " ") for name in CATEGORIES]
    for one in made.categories:
        assert one.train.shape == (1, SMALL, SMALL, 3)
        assert one.train.dtype == np.uint8
        assert [shot.defect for shot in one.test] == ["good", *benchmark.KINDS[one.name].defects(busy)]
        assert [shot.label for shot in one.test] == [0] + [1] * 6
        assert len({picture.tobytes() for picture in pictures(one)}) == 8
        for shot in one.test:
            assert (shot.image.shape, shot.image.dtype) == ((SMALL, SMALL, 3), np.uint8)
            assert (shot.mask.shape, shot.mask.dtype) == ((SMALL, SMALL), bool)
            assert shot.mask.any() == bool(shot.label)


def test_the_two_families_of_defects_are_told_apart():
    assert not set(KNOWN_DEFECTS) & set(UNSEEN_DEFECTS)
    used = {busy: {defect for _, defect, of in PAIRS if of == busy} for busy in (False, True)}
    assert used[True] == set(KNOWN_DEFECTS) | set(UNSEEN_DEFECTS)
    assert used[False] == used[True] - {"melt"}  # of an even surface, what has flowed looks like the rest
    for kind in benchmark.KINDS.values():
        for defects in (kind.defects(False), kind.defects(True)):
            assert len(set(defects) & set(UNSEEN_DEFECTS)) >= 2, kind.words
            assert len(defects) == len(set(defects)) == 6


def flawless_twin(name: str, defect: str, shot: Shot, busy: bool) -> tuple[np.ndarray, np.ndarray]:
    """The flawless picture that the damaged one was made from: before the sensor [H, W, 3], and after."""
    for attempt in range(benchmark.SCENES):
        scene = benchmark._scene(name, 2, f"{defect}/0/{attempt}", SMALL, busy)
        twin = camera.develop(scene.picture, scene.camera, scene.sensor)
        if np.abs(twin.astype(int) - shot.image)[~shot.mask].mean() < 1:
            return scene.picture.transpose(1, 2, 0), twin
    raise AssertionError("no scene is that of the picture")


@pytest.mark.parametrize(("name", "defect", "busy"), PAIRS)
def test_the_mask_is_what_changed_visibly(name, defect, busy):
    shot = benchmark._damaged(name, defect, 2, 0, SMALL, busy=busy)
    smooth, twin = flawless_twin(name, defect, shot, busy)
    change = np.abs(shot.image.astype(int) - twin).mean(axis=2)
    assert 0.01 <= shot.mask.mean() <= 0.08
    assert change[shot.mask].mean() >= (13.5 if busy else 19.5)  # 14 and 20 before it was rounded to whole greys
    assert change[shot.mask].mean() >= 0.55 * smooth.mean(axis=2)[shot.mask].std()
    assert change[~shot.mask].max() < 60  # a speck or a sharp corner at most, and of these
    assert (change[~shot.mask] > 15).mean() < 0.01  # few


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("name", CATEGORIES)
def test_a_drawing_changes_nothing_in_place(name, busy):
    scene = benchmark._scene(name, 0, "here", SMALL, busy)
    before = [np.copy(part) for part in scene.thing if isinstance(part, np.ndarray)]
    canvas = damage.Canvas(*fields.places(SMALL), scene.thing, scene.paint, (0.5, 0.5, 0.5), np.array([0.5, 0.5]))
    for defect in benchmark.KINDS[name].defects(busy):
        after = benchmark.DRAW[defect](np.random.default_rng(0), canvas)
        camera.photograph(after, scene.ground, scene.camera)
        for old, now in zip(before, (part for part in scene.thing if isinstance(part, np.ndarray)), strict=True):
            np.testing.assert_array_equal(old, now)
        assert after.cover.min() >= 0
        assert after.cover.max() <= 1
        assert all(np.isfinite(part).all() for part in (after.colour, after.height, after.cover))


def test_a_defect_that_cannot_be_seen_is_an_error_and_not_a_picture(monkeypatch):
    monkeypatch.setattr(benchmark, "LEAST_CHANGE", {False: 300.0})
    monkeypatch.setattr(benchmark, "SCENES", 1)
    with pytest.raises(RuntimeError, match=r"cork with thread, picture 0 of seed 9: no drawing .*another seed"):
        benchmark._damaged("cork", "thread", 9, 0, SMALL, busy=False)


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Probability that a pixel of a defect scores above one that is good, ties counting half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    bad = np.bincount(place, truth)
    good = counts - bad
    below = np.cumsum(good) - good / 2
    return float((bad * below).sum() / (bad.sum() * good.sum()))


@pytest.mark.parametrize("busy", [False, True])
def test_no_trivial_detector_solves_it(busy):
    size = 120
    made = toy(0, busy=busy, size=size, train=1, good=2, each=2)
    x, y = fields.places(size)
    centre = -fields.norm(x - 0.5, y - 0.5)
    found = {"centre": [], "contrast": []}
    for one in made.categories:
        truth = np.stack([shot.mask for shot in one.test]).ravel()
        contrast = []
        for shot in one.test:
            grey = shot.image.mean(axis=2)
            count = fields.box_sum(np.ones_like(grey), 3)
            mean, square = (fields.box_sum(field, 3) / count for field in (grey, grey * grey))
            contrast.append(np.sqrt(np.maximum(square - mean * mean, 0)).round(3))
        found["contrast"].append(auroc(np.stack(contrast).ravel(), truth))
        found["centre"].append(auroc(np.tile(centre.ravel(), len(one.test)), truth))
    assert all(np.mean(values) < 0.8 for values in found.values()), found


def test_a_calm_thing_has_less_structure_than_a_busy_one():
    """At the scale of what it is made of: its light is as uneven, and its grain finer."""
    for name in set(CATEGORIES) - {"capsule"}:  # which is the same in both
        kept = []
        for busy in (False, True):
            scenes = [benchmark._scene(name, 0, f"train/{i}", SMALL, busy) for i in range(4)]
            greys = [scene.thing.colour.mean(axis=0) for scene in scenes]
            bands = [fields.blur(grey, 1.5) - fields.blur(grey, 6) for grey in greys]
            whole = [scene.thing.cover > 0.99 for scene in scenes]
            kept.append(np.mean([band[here].std() for band, here in zip(bands, whole, strict=True)]))
        assert kept[0] < 0.9 * kept[1], (name, kept)


# ---------------------------------------------------------------------------------------------------------------------
# The seed
# ---------------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(cork):
    again = toy(5, size=SMALL, categories=["cork"], train=2, good=2, each=1).categories[0]
    for a, b in zip(pictures(cork.categories[0]), pictures(again), strict=True):
        np.testing.assert_array_equal(a, b)
    other = category("cork", 6, size=SMALL, train=2, good=2, each=1)
    assert all(a.tobytes() != b.tobytes() for a, b in zip(pictures(again), pictures(other), strict=True))


def test_other_categories_and_counts_do_not_change_a_picture(cork):
    more = toy(5, size=SMALL, categories=["terrazzo", "cork"], train=3, good=1, each=2).categories[1]
    np.testing.assert_array_equal(more.train[:2], cork.categories[0].train)
    mine = {shot.defect: shot for shot in reversed(cork.categories[0].test)}
    for shot in {shot.defect: shot for shot in reversed(more.test)}.values():  # the first of each defect
        np.testing.assert_array_equal(shot.image, mine[shot.defect].image)
        np.testing.assert_array_equal(shot.mask, mine[shot.defect].mask)


def test_it_leaves_the_global_random_state_alone():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    category("cork", size=SMALL, train=1, good=1, each=1)
    assert np.random.random() == expected


# Mean grey of the first training picture at seed 0. A change here changes every picture that anybody has drawn, or
# NumPy's generators have changed. Another processor's sines may move a few pixels by one grey: 0.001 in the mean.
BUSY_MEANS = {
    "biscuit": 126.4891,
    "button": 109.0305,
    "washer": 96.2627,
    "capsule": 112.2923,
    "terrazzo": 156.3556,
    "cork": 109.5629,
    "herringbone": 111.5314,
    "knitted_wool": 75.7835,
}


CALM_MEANS = {
    "biscuit": 126.6574,
    "button": 105.6454,
    "washer": 99.0188,
    "capsule": 112.2923,
    "terrazzo": 168.7917,
    "cork": 126.9429,
    "herringbone": 112.3797,
    "knitted_wool": 65.1159,
}


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("name", CATEGORIES)
def test_a_seed_means_the_same_pictures_everywhere(name, busy):
    image = benchmark._flawless(name, 0, "train/0", SMALL, busy)
    # 0.001: a few pixels by one grey, as other processors' sines move them
    assert image.mean() == pytest.approx((BUSY_MEANS if busy else CALM_MEANS)[name], abs=0.001)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("name", CATEGORIES)
def test_another_size_is_the_same_scene(name, busy):
    small, large = (benchmark._scene(name, 0, "train/0", size, busy).picture for size in (120, 240))
    halved = large.reshape(3, 120, 2, 120, 2).mean(axis=(2, 4))
    coarse = [picture.reshape(3, 12, 10, 12, 10).mean(axis=(2, 4)) for picture in (small, halved)]
    assert np.abs(coarse[0] - coarse[1]).mean() < 3.5  # greys; two scenes of one category differ by 13 and more


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ["nut"]}, "category 'nut': expected one of biscuit, button"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"size": 64}, "size is 64; expected a side of 96 to 1024"),
        ({"size": 2000}, "size is 2000; expected"),
        ({"train": 0}, "train is 0; expected at least 1"),
        ({"each": -3}, "each is -3; expected at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        toy(**options)


# ---------------------------------------------------------------------------------------------------------------------
# The folder
# ---------------------------------------------------------------------------------------------------------------------


def names(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def test_the_layout_is_mvtecs(cork, tmp_path):
    path = write(cork, tmp_path / "new" / "toy")
    assert path == tmp_path / "new" / "toy"
    assert [child.name for child in path.parent.iterdir()] == ["toy"]  # nothing is left beside it
    defects = benchmark.KINDS["cork"].defects(False)
    assert names(path) == sorted(
        ["README.txt", "SHA256SUMS"]
        + [f"cork/{split}/good/{i:03}.png" for split in ("train", "test") for i in (0, 1)]
        + [f"cork/test/{defect}/000.png" for defect in defects]
        + [f"cork/ground_truth/{defect}/000_mask.png" for defect in defects]
    )
    (one,) = cork.categories
    for i, image in enumerate(one.train):
        np.testing.assert_array_equal(np.asarray(Image.open(path / f"cork/train/good/{i:03}.png")), image)
    for shot in one.test[2:]:
        np.testing.assert_array_equal(np.asarray(Image.open(path / f"cork/test/{shot.defect}/000.png")), shot.image)
        mask = Image.open(path / f"cork/ground_truth/{shot.defect}/000_mask.png")
        assert mask.mode == "L"
        np.testing.assert_array_equal(np.asarray(mask), np.where(shot.mask, 255, 0))
    readme = (path / "README.txt").read_text(encoding="utf-8")
    assert "edition 2, seed 5" in readme
    assert "synthetic" in readme
    assert all(defect in readme for defect in UNSEEN_DEFECTS)
    for line in (path / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest


def test_an_empty_folder_is_filled_and_any_other_is_refused(cork, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    write(cork, empty)
    assert "README.txt" in names(empty)
    before = names(empty)
    with pytest.raises(FileExistsError, match=r"empty: not empty \('README.txt' is there\).*force"):
        write(cork, empty)
    assert names(empty) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="file: a file, expected"):
        write(cork, tmp_path / "file", force=True)


def test_force_replaces_its_own_and_only_that(cork, tmp_path):
    path = write(cork, tmp_path / "toy")
    smaller = cork._replace(categories=(cork.categories[0]._replace(test=cork.categories[0].test[:3]),))
    (path / "cork/train/good/001.png").unlink()  # one that is gone is no loss
    write(smaller, path, force=True)
    assert len(names(path)) == 2 + 2 + 2 + 2
    assert [child.name for child in tmp_path.iterdir()] == ["toy"]


def mine(path: Path) -> None:
    (path / "cork" / "notes.txt").write_text("mine")


def edited(path: Path) -> None:
    (path / "cork/train/good/000.png").write_bytes(b"mine")


def empty_folder(path: Path) -> None:
    (path / "cork" / "mine").mkdir()


def link(path: Path) -> None:
    (path / "cork" / "link").symlink_to(path.parent)


def no_readme(path: Path) -> None:
    (path / "README.txt").unlink()


def other_readme(path: Path) -> None:
    (path / "README.txt").write_text("Release 3.1 of something else, with sums of its own\n")


def empty_readme(path: Path) -> None:
    (path / "README.txt").write_text("")


def no_sums(path: Path) -> None:
    (path / "SHA256SUMS").unlink()


@pytest.mark.parametrize("change", [mine, edited, empty_folder, link, no_readme, other_readme, empty_readme, no_sums])
def test_force_deletes_nothing_that_it_did_not_write(cork, tmp_path, change):
    path = write(cork, tmp_path / "toy")
    change(path)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(FileExistsError, match="replaced"):
        write(cork, path, force=True)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert [child.name for child in tmp_path.iterdir()] == ["toy"]


def test_the_list_of_sums_cannot_reach_outside(cork, tmp_path):
    path = write(cork, tmp_path / "toy")
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    with (path / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(b'mine').hexdigest()}  ../outside.txt\n")
    write(cork, path, force=True)
    assert outside.read_text() == "mine"


def test_a_file_that_comes_at_the_last_moment_is_kept(cork, tmp_path, monkeypatch):
    path = write(cork, tmp_path / "toy")
    remove = folder._remove

    def late(old: Path) -> None:
        (old / "cork" / "late.txt").write_text("mine")
        remove(old)

    monkeypatch.setattr(folder, "_remove", late)
    with pytest.raises(OSError, match="written, but"):
        write(cork, path, force=True)
    (kept,) = tmp_path.glob(".*.old/cork/late.txt")
    assert kept.read_text() == "mine"
    assert "README.txt" in names(path)


def test_the_current_folder_is_refused(cork, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for name in (".", "..", tmp_path):
        with pytest.raises(FileExistsError, match="current folder"):
            write(cork, name, force=True)


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interruption_leaves_what_was_there(cork, tmp_path, monkeypatch, taken, error):
    path = tmp_path / "toy"
    if taken:
        write(cork, path)
    before = names(tmp_path)

    def fail(*_: object) -> str:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_readme", fail)  # after all pictures are written
        with pytest.raises(type(error)):
            write(cork, path, force=taken)
    assert names(tmp_path) == before

    rename = Path.rename

    def fail_for_the_new(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(type(error)):
        write(cork, path, force=taken)
    assert names(tmp_path) == before


# ---------------------------------------------------------------------------------------------------------------------
# The command
# ---------------------------------------------------------------------------------------------------------------------

QUICK = ("--size", str(SMALL), "--category", "cork", "--train", "1", "--good", "1", "--each", "1")


def command(*words: object, capfd: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """Status, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(["toy", *map(str, words)])
    return stop.value.code, *capfd.readouterr()


def test_the_command_writes_what_the_library_draws(tmp_path, capfd):
    path = tmp_path / "toy"
    status, out, err = command(path, "--seed", 5, *QUICK, capfd=capfd)
    assert (status, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["folder", "train", "good", "damaged"],
        [str(path / "cork"), "1", "1", "6"],
    ]
    expected = category("cork", 5, size=SMALL, train=1, good=1, each=1)
    np.testing.assert_array_equal(np.asarray(Image.open(path / "cork/train/good/000.png")), expected.train[0])
    assert "seed 5" in (path / "README.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--category", "nut"), "category 'nut': expected one of biscuit"),
        (("--seed", "-1"), "seed is -1"),
        (("--size", "20"), "size is 20"),
        (("--each", "0"), "each is 0"),
    ],
)
def test_the_command_refuses_before_it_draws(tmp_path, capfd, monkeypatch, words, message):
    monkeypatch.setattr(package, "category", lambda *_, **__: pytest.fail("drawn"))
    status, out, err = command(tmp_path / "toy", *words, capfd=capfd)
    assert (status, out) == (2, "")
    assert err.startswith("refclip: ")
    assert message in err
    assert not (tmp_path / "toy").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    status, _, err = command(tmp_path / "taken", *QUICK, "--force", capfd=capfd)
    assert status == 2
    assert "is not replaced" in err
    assert err.count("\n") == 1


def test_the_command_draws_the_busy_one_when_asked(tmp_path, capfd):
    path = tmp_path / "toy"
    assert command(path, "--busy", *QUICK, capfd=capfd)[0] == 0
    assert "edition 2, busy, seed 0" in (path / "README.txt").read_text(encoding="utf-8")
    assert sorted(child.name for child in (path / "cork" / "test").iterdir()) == sorted(
        ["good", *benchmark.KINDS["cork"].defects(True)]
    )


def test_the_command_replaces_its_own_with_force(tmp_path, capfd):
    assert command(tmp_path / "toy", *QUICK, capfd=capfd)[0] == 0
    assert command(tmp_path / "toy", *QUICK, capfd=capfd)[0] == 2
    assert command(tmp_path / "toy", *QUICK, "--seed", 1, "--force", capfd=capfd)[0] == 0
    assert "seed 1" in (tmp_path / "toy" / "README.txt").read_text(encoding="utf-8")


def test_the_command_is_listed_and_costs_the_others_nothing():
    assert "toy" in CliRunner().invoke(cli, ["--help"]).output
    code = "import sys, refclip.cli; print([name for name in sys.modules if name.startswith('refclip.toy')])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


# ---------------------------------------------------------------------------------------------------------------------
# Fields, against slow versions
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [1, 4])
@pytest.mark.parametrize("border", ["constant", "edge"])
def test_box_sums_are_sums(reach, border):
    field = np.random.default_rng(0).random((20, 17))
    wide = np.pad(field, reach, mode=border)
    slow = sum(wide[i : i + 20, j : j + 17] for i in range(2 * reach + 1) for j in range(2 * reach + 1))
    np.testing.assert_allclose(fields.box_sum(field, reach, border), slow, atol=1e-12)  # float64, sums of 400


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
def test_a_blur_has_its_width_and_keeps_the_light(sigma):
    point = np.zeros((61, 61))
    point[30, 30] = 1
    spread = fields.blur(point, sigma)
    assert spread.sum() == pytest.approx(1, abs=1e-12)  # float64, a handful of sums
    offset = np.arange(61) - 30
    width = np.sqrt((spread.sum(axis=0) * offset**2).sum())
    assert width == pytest.approx(sigma, rel=0.15)  # cut off at three sigma; boxes have whole widths
    np.testing.assert_allclose(fields.blur(np.full((9, 30), 0.7), sigma), 0.7)


def test_cells_are_those_of_the_nearest_points():
    points = fields.seeds(np.random.default_rng(0), 5)
    x, y = np.random.default_rng(1).uniform(-1, 2, (2, 300))
    cell = fields.cells(points, x, y)
    own = (points + np.stack(np.meshgrid(np.arange(5), np.arange(5)))).reshape(2, -1)  # in squares
    shifts = np.stack(np.meshgrid(np.arange(-10, 15, 5), np.arange(-10, 15, 5))).reshape(2, 1, -1)
    every = own[:, :, None] + shifts  # [2, 25 points, 25 repetitions]
    far = np.hypot(every[0] - 5 * x[:, None, None], every[1] - 5 * y[:, None, None]).reshape(300, -1)
    order = np.sort(far, axis=1)
    close = order[:, 1] < 1  # the 3 x 3 squares around a place hold every point nearer than one square
    assert close.mean() > 0.9
    np.testing.assert_array_equal(cell.number[close], (far.argmin(axis=1) // 25)[close])
    np.testing.assert_allclose(cell.edge[close], (order[:, 1] - order[:, 0])[close], atol=1e-12)  # float64


def test_a_line_knows_its_distance():
    path = fields.walk(np.random.default_rng(3), (0.5, 0.5), 0.6, bend=4.0, kink=0.1)
    assert np.hypot(*np.diff(path, axis=0).T).sum() == pytest.approx(0.6)
    np.testing.assert_allclose(path[12], [0.5, 0.5])
    seen = fields.line(path, 40, 0.08)
    x, y = fields.places(40)
    fine = np.stack([np.interp(np.linspace(0, 24, 2401), np.arange(25), path[:, axis]) for axis in (0, 1)])
    slow = np.hypot(x[..., None] - fine[0], y[..., None] - fine[1])
    np.testing.assert_allclose(seen.distance, np.minimum(slow.min(axis=2), 0.08), atol=2e-4)  # `fine` has steps
    near = slow.min(axis=2) < 0.02
    assert np.abs(seen.along - slow.argmin(axis=2) / 2400)[near].max() < 0.05  # less where the curve nears itself


@pytest.mark.parametrize("high", [12, 30, 100])
def test_noise_has_its_waves_and_no_seam(high):
    tile = fields.noise(np.random.default_rng(0), 3, high, 0.5)
    n = len(tile) - 1
    power = np.abs(np.fft.fft2(tile[:n, :n])) ** 2
    waves = np.hypot(np.fft.fftfreq(n, 1 / n)[:, None], np.fft.fftfreq(n, 1 / n))
    assert power[(waves < 3) | (waves > high)].sum() < 1e-20 * power.sum()  # float64, squared
    assert tile[:n, :n].std() == pytest.approx(1)
    x, y = np.meshgrid(np.arange(-n, 2 * n) / n, np.arange(-n, 2 * n) / n)
    np.testing.assert_array_equal(fields.look(tile, x, y), np.tile(tile[:n, :n], (3, 3)))
    between = fields.look(tile, np.array([[1 - 0.5 / n]]), np.array([[0.0]]))
    assert between[0, 0] == pytest.approx((tile[0, n - 1] + tile[0, 0]) / 2)
