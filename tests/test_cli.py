"""`refclip score`, `refclip eval` and `refclip inspect`, through `main` and as processes of their own."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import refclip
from refclip import arguments, batch, cli, viz
from refclip.files import claimed
from refclip.methods import METHODS, contexts, learns, vand_fit
from tests.toysets import mvtec

FAST = ("--method", "clip")  # no windows: where any score will do


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """The command line in this process."""

    def call(*words: object) -> Answer:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return Answer(stop.value.code, out, err)

    return call


def process(*words: object, **options: Any) -> Answer:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "refclip", *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, **options)
    return Answer(run.returncode, run.stdout, run.stderr)


def picture(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0, **options: Any) -> Path:
    """A file with a picture of noise; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_scores_and_maps_are_those_of_the_library(run, tmp_path, small_folder, learned, method):
    paths = [picture(tmp_path / f"{i}.png", (40 + 9 * i, 30), i) for i in range(3)]
    words, options = ["--method", method, "--object", "bottle", "--weights", small_folder, "--json"], {}
    if "templates" in METHODS[method][0].Options._fields:  # those of AnoVL would take longer
        words, options = [*words, "--templates", "vand"], {"templates": "vand"}
    if contexts.needs(METHODS[method][0]) in ("references", "either"):
        normal = [picture(tmp_path / "normal" / f"{i}.png", seed=10 + i) for i in range(3)]
        words, options["references"] = [*words, "--references", tmp_path / "normal", "--shots", 2], normal[:2]
    clip = refclip.load(small_folder)
    for key, value in learned(method, clip).items():
        words, options = [*words, f"--{key}", value], options | {key: value}
    answer = run("score", *paths, *words, "--out", tmp_path / "out")
    assert answer.status == 0
    expected = refclip.detector(method, clip, "bottle", **options)(paths)
    for i, line in enumerate(map(json.loads, answer.out.splitlines())):
        assert line["score"] == pytest.approx(float(expected.score[i]), rel=1e-5)
        assert (line["path"], line["method"], line["object"], line["weights"]) == (
            str(paths[i]), method, "bottle", str(small_folder),
        )  # fmt: skip
        assert line.get("references") == (2 if "references" in options else None)
        scores = np.load(line["map"])
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected.on_original(i), rtol=1e-5)
        assert line["overlay"] and Path(line["overlay"]).exists()
    assert i == 2


def test_references_that_cannot_be_used_are_named_and_passed_over(run, tmp_path, small_folder):
    a = picture(tmp_path / "a.png")
    words = ("score", a, "--weights", small_folder, "--method", "patchcore", "--references", tmp_path / "normal")
    picture(tmp_path / "normal" / "1.png", seed=1)
    (tmp_path / "normal" / "0.png").write_text("no picture")
    answer = run(*words, "--shots", 1, "--json")
    assert answer.status == 1
    assert json.loads(answer.out)["references"] == 1
    first, last = answer.err.splitlines()
    assert first.startswith(f"refclip: reference {tmp_path / 'normal' / '0.png'}: ")
    assert last == "refclip: 1 references could not be used"
    answer = run(*words, "--shots", 2)
    assert answer.status == 2
    assert answer.err.splitlines()[-1] == (
        "refclip: --references: 1 of 2 images can be used, expected 2, as --shots says"
    )


@pytest.mark.parametrize(
    "case",
    [
        (["--method", "winclip+"], "winclip+ needs references, at least one normal image: give --references FOLDER"),
        (["--method", "clip", "--references", "."], "clip judges each image by itself and takes no references; leave"),
        (["--method", "musc"], "MuSc judges an image by the others of its set: expected at least 2 images, found 1"),
        (["--method", "dual-image", "--shots", "1"], "--shots 1: of which images? Give --references FOLDER too"),
        (["--method", "musc", "--templates", "vand"], "--templates: musc reads no text, expected none; leave it out"),
        (["--method", "musc", "--option", "interval=0,x"], "--option interval='0,x': expected two numbers with"),
        (["--method", "patchcore", "--references", ".", "--scale", "fixed"], "--scale fixed: the scores of this"),
        (["--method", "vand", "--scale", "fixed"], "--scale fixed: the scores of this method have no fixed ends"),
        (["--method", "vand"], "vand needs what it has learned: learned=FILE (--learned FILE), which `refclip train"),
        (["--method", "coop", "--learned", "nowhere"], "nowhere: cannot be read (No such file or directory)"),
        (["--learned", "a.safetensors"], "--learned: winclip learns nothing, expected none; leave it out"),
        (["--method", "coop", "--learned", "a", "--option", "learned=b"], "--learned: learned is given twice"),
    ],
)  # fmt: skip
def test_what_a_method_needs_is_said(run, tmp_path, monkeypatch, small_folder, case):
    words, message = case
    monkeypatch.chdir(tmp_path)
    answer = run("score", picture(tmp_path / "a.png"), "--weights", small_folder, *words)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith(f"refclip: {message}")
    assert answer.err.count("\n") == 1


def test_a_pipe_gets_plain_lines_with_whole_paths_and_no_bar(tmp_path):
    long = picture(tmp_path / ("very " * 40 + "long [bold] Größe 名.png"))
    answer = process("score", long, picture(tmp_path / "b.png"), env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": "40"})
    assert answer.status == 0
    assert answer.err == ""
    assert "\x1b" not in answer.out
    head, first, second = rows(answer.out)
    assert head == ["path", "score", "map", "overlay"]
    assert first[0] == str(long)
    assert 0 < float(second[1]) < 1
    assert second[2:] == ["", ""]


def test_json_lines_are_strict_and_name_the_options_used(run, tmp_path):
    answer = run("score", picture(tmp_path / "a.png"), "--json", "--option", "scales=2", "--option", "image-scale=no")
    (line,) = answer.out.splitlines()
    values = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert values["map"] is None
    assert values["overlay"] is None
    assert values["options"]["scales"] == [2]
    assert values["options"]["image_scale"] is False
    assert values["options"]["templates"] == "winclip-a"


def test_a_line_comes_as_soon_as_its_batch_is_scored(tmp_path):
    paths = [picture(tmp_path / f"{i:02}.png") for i in range(24)]
    command = [sys.executable, "-m", "refclip", "score", *map(str, paths), "--json", *FAST]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["path"] == str(paths[0])
        assert child.poll() is None  # two batches are still to come
        child.kill()


def test_a_closed_pipe_ends_it_quietly(tmp_path):
    paths = [picture(tmp_path / f"{i:02}.png") for i in range(12)]
    command = [sys.executable, "-m", "refclip", "score", *map(str, paths), *FAST]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="only a POSIX shell starts a program with a stream closed")
@pytest.mark.parametrize(("closed", "name", "status"), [(">&-", "a", 0), ("2>&-", "a", 0), (">&- 2>&-", "b", 1)])
def test_a_stream_that_was_never_open_is_no_error(tmp_path, closed, name, status):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    command = f'"$1" -m refclip score "$2" {" ".join(FAST)} {closed}'
    words = ["sh", "-c", command, "sh", sys.executable, str(tmp_path / f"{name}.png")]
    child = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stderr) == (status, "")


def on_a_terminal(*words: object, columns: int = 60) -> tuple[int, str]:
    """Status and screen of a run whose stdout and stderr are one terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "refclip", *map(str, words)]
    env = os.environ | {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "20"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as child:
        os.close(theirs)
        screen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's way to say that nobody holds the other end
                break
            if not part:
                break
            screen += part
    os.close(ours)
    return child.returncode, screen.decode()


def test_a_terminal_gets_a_bar_and_a_table(tmp_path):
    name = "brackets [red] and a rather long name so that the table must fold it.png"
    picture(tmp_path / name)
    (tmp_path / "broken.png").write_text("no picture")
    status, screen = on_a_terminal("score", tmp_path, "--out", tmp_path / "out")
    assert status == 1
    assert "scoring" in screen
    assert "drawing" in screen
    assert "━" in screen
    assert "heat map" in screen
    shown = "".join(c for c in screen[screen.index("heat map") :] if c not in "\r\n │┃")
    assert "1of2imagescouldnotbeused" in shown
    assert "[red]" in shown
    assert "\nrefclip: " in screen.replace("\x1b[2K", "\n")  # the bar is wiped before the message


def test_json_on_a_terminal_has_no_bar_in_between(tmp_path):
    _, screen = on_a_terminal("score", picture(tmp_path / "a.png"), "--json")
    assert json.loads(screen)["path"] == str(tmp_path / "a.png")


# ---------------------------------------------------------------------------------------------------------------------
# Which files
# ---------------------------------------------------------------------------------------------------------------------


def test_folders_patterns_and_duplicates(run, tmp_path, monkeypatch):
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden.png", "a.overlay.png"):
        picture(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    found = lambda *words: [str(path) for path in arguments.find_images(words)]  # noqa: E731
    assert found("photos") == ["photos/a.JPG", "photos/b.png"]
    assert found("photos/*.png") == ["photos/b.png"]
    assert found("photos/**/*.png") == ["photos/b.png", "photos/sub/c.png"]
    assert found("photos/b.png", "./photos", str(tmp_path / "photos" / "sub" / "..")) == [
        "photos/b.png",
        "photos/a.JPG",
    ]
    assert found("photos/a.overlay.png") == ["photos/a.overlay.png"]
    assert [row[0] for row in rows(run("score", "photos/*.png", "photos/sub", *FAST).out)[1:]] == [
        "photos/b.png",
        "photos/sub/c.png",
    ]


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path):
    odd, plain = picture(tmp_path / "a[1].png"), picture(tmp_path / "a1.png")
    assert arguments.find_images([str(odd)]) == [odd]
    assert arguments.find_images([str(tmp_path / "a[0-9].png")]) == [plain]


@pytest.mark.parametrize("word", ["nothing.png", "nothing*.png", "empty", "with\nnewline"])
def test_what_matches_nothing_is_named(run, tmp_path, monkeypatch, word):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    answer = run("score", picture(tmp_path / "a.png"), word)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith(f"refclip: {word}: ".replace("\n", "\\n"))
    assert answer.err.count("\n") == 1


def test_an_empty_word_is_not_the_current_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(picture(tmp_path / "a.png").parent)
    answer = run("score", "", *FAST)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "refclip: an empty word among the paths; expected an image, a folder or a pattern\n"


def test_a_broken_link_in_a_folder_is_named(run, tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("gone.png")
    (tmp_path / "c.png").mkdir()
    answer = run("score", tmp_path, *FAST)
    assert answer.status == 1
    assert [Path(row[0]).name for row in rows(answer.out)[1:]] == ["a.png"]
    first, last = answer.err.splitlines()
    assert first.startswith(f"refclip: {tmp_path / 'b.png'}: cannot be opened (No such file")
    assert last == "refclip: 1 of 2 images could not be used"


def test_an_unusable_image_is_named_and_the_rest_is_done(tmp_path):
    picture(tmp_path / "c.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "a.png").write_bytes((tmp_path / "c.png").read_bytes()[:200])
    answer = process("score", tmp_path)
    assert answer.status == 1
    assert [row[0] for row in rows(answer.out)[1:]] == [str(tmp_path / "c.png")]
    first, second, last = answer.err.splitlines()
    assert first.startswith(f"refclip: {tmp_path / 'a.png'}: ")
    assert second.startswith(f"refclip: {tmp_path / 'b.png'}: ")
    assert last == "refclip: 2 of 3 images could not be used"


def test_an_image_that_the_model_cannot_take_is_found_in_its_batch(run, tmp_path):
    strip = picture(tmp_path / "b.png", (9000, 1))
    picture(tmp_path / "a.png")
    picture(tmp_path / "c.png")
    answer = run("score", tmp_path, "--option", "resize=shortest")
    assert answer.status == 1
    assert [Path(row[0]).name for row in rows(answer.out)[1:]] == ["a.png", "c.png"]
    assert answer.err.startswith(f"refclip: {strip} has 1 x 9000 pixels")


def test_names_with_control_characters_neither_break_lines_nor_reach_the_terminal(run, tmp_path):
    picture(tmp_path / "a\tb\n\x1b[31m.png")
    answer = run("score", tmp_path)
    assert rows(answer.out)[1][0].endswith(r"a\tb\n\x1b[31m.png")
    assert json.loads(run("score", tmp_path, "--json").out)["path"].endswith("a\tb\n\x1b[31m.png")


def test_a_name_that_is_not_utf8_is_scored(tmp_path):
    picture(tmp_path / "x.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    for words in ([], ["--json"]):
        answer = process("score", tmp_path, *words, *FAST, env=os.environ | {"PYTHONIOENCODING": "ascii"})
        assert answer.status == 0, answer.err
        assert r"\udcff.png" in answer.out


def test_pictures_are_read_a_batch_at_a_time(run, tmp_path, monkeypatch):
    for i in range(20):
        picture(tmp_path / f"{i:02}.png")
    sizes = []
    extract = METHODS["clip"][0].extract
    monkeypatch.setattr(
        METHODS["clip"][0], "extract", lambda s, images: sizes.append(len(images)) or extract(s, images)
    )
    assert run("score", tmp_path, *FAST).status == 0
    assert sizes == [8, 8, 4]
    sizes.clear()
    monkeypatch.setattr(batch, "BATCH_PIXELS", 3 * 40 * 30)
    assert run("score", tmp_path, *FAST).status == 0
    assert sizes == [3, 3, 3, 3, 3, 3, 2]


# ---------------------------------------------------------------------------------------------------------------------
# What is written
# ---------------------------------------------------------------------------------------------------------------------


def test_without_out_nothing_is_written(tmp_path):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "here").mkdir()
    assert (
        process(
            "score",
            tmp_path / "in",
            cwd=tmp_path / "here",
            env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])},
        ).status
        == 0
    )
    assert written(tmp_path) == ["in/a.png"]


def test_overlays_have_the_pictures_geometry_upright(run, tmp_path, mini):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: a viewer turns it by 90 degrees
    stored = np.zeros((60, 90, 3), np.uint8)
    stored[:, :30] = 255  # on the left as stored, at the top as seen
    turned = tmp_path / "turned.png"
    Image.fromarray(stored).save(turned, exif=exif)
    answer = run("score", turned, "--out", tmp_path / "out", "--scale", "0,1", "--json")
    line = json.loads(answer.out)
    assert np.load(line["map"]).shape == (90, 60)
    drawn = np.asarray(Image.open(line["overlay"]), dtype=int)[:90, :60].sum(axis=2)
    assert drawn[:25].mean() > drawn[35:].mean() + 50
    expected = refclip.detector("winclip", mini)([turned]).on_original(0)
    np.testing.assert_allclose(np.load(line["map"]), expected, rtol=1e-5)


def test_pixels_that_a_crop_left_out_are_nan(run, tmp_path):
    wide = picture(tmp_path / "wide.png", (80, 40))
    line = json.loads(run("score", wide, "--out", tmp_path / "out", "--option", "resize=shortest", "--json").out)
    scores = np.load(line["map"])
    assert scores.shape == (40, 80)
    assert np.isnan(scores[:, :19]).all()
    assert np.isfinite(scores[:, 21:59]).all()


def test_same_names_in_two_folders_do_not_collide(run, tmp_path):
    picture(tmp_path / "in" / "good" / "000.png", seed=1)
    picture(tmp_path / "in" / "bad" / "000.png", (20, 20), seed=2)
    out = tmp_path / "out"
    assert run("score", tmp_path / "in" / "good", tmp_path / "in" / "bad", "--out", out).status == 0
    assert written(out) == ["bad/000.map.npy", "bad/000.overlay.png", "good/000.map.npy", "good/000.overlay.png"]
    assert np.load(out / "bad" / "000.map.npy").shape == (20, 20)


def test_output_names_are_all_different():
    paths = [Path(word) for word in ("/x/a.png", "/x/a.jpg", "/x/A.PNG", "/x/a.png.png", "/x/y/a.png", "/x/b.c.png")]
    names = arguments.output_names(paths)
    assert len({name.casefold() for name in names}) == len(paths)
    assert names[4:] == ["y/a", "b.c"]
    assert names[:2] == ["a.png", "a.jpg"]
    assert arguments.output_names([Path("/x/y/a.png")]) == ["a"]


def test_the_folder_of_the_images_may_be_the_output_folder(run, tmp_path):
    before = picture(tmp_path / "a.png").read_bytes()
    for _ in range(2):  # the second run does not score the first one's overlays
        assert len(rows(run("score", tmp_path, "--out", tmp_path, *FAST).out)) == 2
    assert (tmp_path / "a.png").read_bytes() == before
    assert written(tmp_path) == ["a.map.npy", "a.overlay.png", "a.png"]


def test_all_overlays_of_a_run_share_the_scale_that_is_printed(run, tmp_path, monkeypatch):
    for i in range(3):
        picture(tmp_path / f"{i}.png", seed=i)
    scales = []
    overlay = viz.overlay
    monkeypatch.setattr(viz, "overlay", lambda *a, **k: scales.append((k["vmin"], k["vmax"])) or overlay(*a, **k))
    answer = run("score", tmp_path, "--out", tmp_path / "out", *FAST)
    maps = [np.load(path) for path in (tmp_path / "out").glob("*.npy")]
    low, high = min(m.min() for m in maps), max(m.max() for m in maps)
    assert scales == [(low, high)] * 3
    assert f"go from {low:.3g} to {high:.3g}" in answer.err
    for word, ends in (("fixed", (0.0, 1.0)), ("0.2,0.4", (0.2, 0.4))):
        scales.clear()
        assert (
            f"go from {ends[0]:.3g} to {ends[1]:.3g}"
            in run("score", tmp_path, "--out", tmp_path / "out", "--scale", word, *FAST).err
        )
        assert scales == [ends] * 3
    assert arguments.parse_scale("fixed", signed=True) == (-1.0, 1.0)


@pytest.mark.parametrize("word", ["auto", "1", "1,0", "0,0", "0,nan", "0,inf", "0,1,2", ""])
def test_a_scale_that_is_none_is_refused(run, tmp_path, word):
    answer = run("score", picture(tmp_path / "a.png"), "--scale", word)
    assert answer.status == 2
    assert answer.err.startswith("refclip: --scale ")


def test_an_output_folder_that_cannot_be_written_is_refused_first(run, tmp_path, monkeypatch):
    a = picture(tmp_path / "a.png")
    for out in (a, a / "below"):
        answer = run("score", a, "--out", out)
        assert answer.status == 2
        assert answer.out == ""
        assert (
            answer.err
            == f"refclip: --out {out}: cannot write there (a file of that name is in the way); give another folder\n"
        )
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
    else:  # nothing is read-only to root

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise PermissionError(13, "Permission denied", "x")

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    answer = run("score", a, "--out", tmp_path / "locked")
    assert answer.status == 2
    assert "locked: cannot write there (Permission denied); give another folder" in answer.err


def test_a_write_that_fails_leaves_no_part_of_a_file(run, tmp_path, monkeypatch):
    def fail(file: io.BufferedWriter, array: np.ndarray) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    answer = run("score", picture(tmp_path / "a.png"), "--out", tmp_path / "out")
    assert answer.status == 2
    assert answer.err == f"refclip: {tmp_path / 'out' / 'a.map.npy'}: No space left on device\n"
    assert written(tmp_path / "out") == []


@pytest.mark.parametrize("scale", ["run", "fixed"])
def test_ctrl_c_stops_with_130_and_leaves_whole_files_only(tmp_path, scale):
    for i in range(60):
        picture(tmp_path / "in" / f"{i:02}.png", (200, 150), seed=i)
    out = tmp_path / "out"
    # a test runner in the background may have had SIGINT ignored, and children inherit that
    code = "import signal; signal.signal(2, signal.default_int_handler); from refclip.cli import main; main()"
    command = [sys.executable, "-c", code, "score", str(tmp_path / "in"), "--out", str(out), "--scale", scale]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 60
        while not list(out.glob("*.npy")):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err == "\nrefclip: interrupted\n"  # on a terminal ^C stands in the first line
    assert 0 < len(list(out.glob("*.npy"))) < 60
    for name in written(out):
        assert name.endswith((".map.npy", ".overlay.png"))
        if name.endswith(".npy"):
            assert np.load(out / name).shape == (150, 200)
        else:
            with Image.open(out / name) as image:
                image.load()


# ---------------------------------------------------------------------------------------------------------------------
# Options
# ---------------------------------------------------------------------------------------------------------------------


def test_options_are_read_by_their_types():
    read = arguments.parse_options
    words = ["scales=2,3,4", "image-scale=no", "crops=10", "temperature=0.01", "templates=vand", "one_class=TRUE"]
    assert read("winclip", words) == {
        "scales": (2, 3, 4),
        "image_scale": False,
        "crops": 10,
        "temperature": 0.01,
        "templates": "vand",
        "one_class": True,
    }
    assert read("winclip", ["temperature=clip", "scales="]) == {"temperature": "clip", "scales": ()}
    assert read("musc", ["interval=0.1,1", "neighbours="]) == {"interval": (0.1, 1.0), "neighbours": ()}
    assert read("clip", ["paper=none", "templates=imagenet"]) == {"paper": None, "templates": "imagenet"}


@pytest.mark.parametrize("method", METHODS)
def test_every_option_can_be_given_its_default(method):
    module, preset = METHODS[method]
    for key, value in module.Options._field_defaults.items():
        if key not in preset:
            text = f"{key}={arguments._typed(value)}"
            assert arguments.parse_options(method, [text]) == {key: value}


@pytest.mark.parametrize(
    ("method", "words", "message"),
    [
        (
            "winclip",
            ["--option", "scale=2"],
            "winclip has no option 'scale'; expected KEY=VALUE with one of these, here",
        ),
        ("winclip", ["--option", "scales"], "--option 'scales' has no '='; expected KEY=VALUE"),
        ("winclip", ["--option", "crops=two"], "--option crops='two': expected a whole number"),
        ("winclip", ["--option", "crops=2"], "crops=2: expected one of 1, 5, 10"),
        ("winclip", ["--option", "one_class=maybe"], "--option one_class='maybe': expected true or false"),
        ("winclip", ["--option", "scales=2;3"], "--option scales='2;3': expected whole numbers with commas between"),
        ("winclip", ["--option", "temperature=nan"], "temperature 'nan': expected a number above 0, or 'clip'"),
        ("winclip", ["--option", "crops=1", "--option", "crops=5"], "--option crops: crops is given twice"),
        ("winclip", ["--option", "templates=vand", "--templates", "vand"], "--templates: templates is given twice"),
        ("clip", ["--option", "baseline=clip-ac"], "clip has no option 'baseline'"),
        (
            "clip",
            ["--option", "states=vandal"],
            "states 'vandal': expected one of winclip, anovl, vand",
        ),
    ],
)
def test_a_wrong_option_says_what_there_is(run, tmp_path, method, words, message):
    answer = run("score", picture(tmp_path / "a.png"), "--method", method, *words)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith(f"refclip: {message}")
    assert answer.err.count("\n") == 1


def test_states_of_ones_own(run, tmp_path, mini):
    a = picture(tmp_path / "a.png")
    file = tmp_path / "words.json"
    file.write_text(
        json.dumps({"normal": ["whole {}"], "abnormal": ["{} with a dent"], "templates": ["a picture of a {}"]})
    )
    line = json.loads(run("score", a, "--states", file, "--object", "can", "--json").out)
    states = refclip.prompts.States(("whole {}",), ("{} with a dent",))
    expected = refclip.detector("winclip", mini, "can", states=states, templates=("a picture of a {}",))([a])
    assert line["score"] == pytest.approx(float(expected.score[0]), rel=1e-5)
    assert line["options"]["states"] == [["whole {}"], ["{} with a dent"]]
    assert line["options"]["templates"] == ["a picture of a {}"]
    twice = run("score", a, "--states", file, "--templates", "vand")
    assert twice.status == 2
    assert "words.json: templates is given twice" in twice.err
    file.write_text('{"normal": []}')
    broken = run("score", a, "--states", file)
    assert broken.status == 2
    assert broken.err.startswith(f"refclip: {file}: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors: no such file"),
        (["--device", "gpu"], "device 'gpu': expected"),
        (["--object", "{}"], "object name is '{}'"),
        (["--states", "nowhere.json"], "nowhere.json: "),
    ],
)
def test_errors_are_one_line_without_a_traceback(tmp_path, words, message):
    answer = process("score", picture(tmp_path / "a.png"), *words)
    assert answer.status == 2
    assert answer.out == ""
    assert message in answer.err
    assert answer.err.startswith("refclip: ")
    assert answer.err.count("\n") == 1


def test_a_loss_that_diverges_is_an_error_of_one_line(run, tmp_path, monkeypatch, small_folder):
    def diverges(*_: Any, **__: Any) -> None:
        raise FloatingPointError("step 2: the loss is nan; use a smaller learning rate")

    monkeypatch.setattr(vand_fit, "fit", diverges)
    answer = run(
        "train", "vand", mvtec(tmp_path / "set"), "--weights", small_folder, "--out", tmp_path / "a.safetensors"
    )
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "refclip: step 2: the loss is nan; use a smaller learning rate\n"


@pytest.mark.parametrize("words", [["score"], ["score", "a.png", "--method", "none"], ["nothing"], ["score", "--nope"]])
def test_usage_errors_exit_2(run, words):
    answer = run(*words)
    assert answer.status == 2
    assert "Usage: refclip" in answer.err


def test_other_weights(run, tmp_path, small_folder):
    answer = run("score", picture(tmp_path / "a.png"), "--weights", small_folder, "--json")
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)["weights"] == str(small_folder)


# ---------------------------------------------------------------------------------------------------------------------
# Evaluation
# ---------------------------------------------------------------------------------------------------------------------


def test_eval_prints_a_table_and_writes_all_there_is(run, tmp_path, small_folder):
    root, out = mvtec(tmp_path / "set", ("nut", "tile")), tmp_path / "results" / "nuts.json"
    words = ("eval", root, "--weights", small_folder, "--method", "clip-ac", "--seeds", 3)
    answer = run(*words, "--out", out)
    assert answer.status == 0, answer.err
    head, *lines = rows(answer.out)
    assert head == ["category", "shots", "image_auroc", "image_ap", "image_f1", "pixel_auroc", "pixel_ap", "pixel_f1",
                    "pixel_aupro"]  # fmt: skip
    assert [line[:2] for line in lines] == [["nut", "0"], ["tile", "0"], ["mean", "0"]]
    stored = json.loads(out.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    for line, row in zip(lines, stored["table"], strict=True):
        for name, value in zip(head[2:], line[2:], strict=True):
            assert float(value) == pytest.approx(row[name]["value"], abs=1e-6)
            assert row[name]["seeds"] == 1  # nothing is drawn
    assert stored["weights"]["name"] == str(small_folder)
    assert stored["options"]["baseline"] == "clip-ac"
    assert (stored["problems"], stored["notes"], stored["papers"]) == ([], [], [])
    assert "| nut | " in out.with_suffix(".md").read_text()
    with Image.open(out.with_suffix(".png")) as drawn:
        assert drawn.width > 400
    assert not list(out.with_suffix(".parts").rglob("*.features.npz"))
    assert answer.err.startswith("refclip: Of each image ")
    before = written(tmp_path)
    one = run(*words, "--categories", "tile", "--resolution", "original")  # without --out nothing is left anywhere
    assert rows(one.out)[1][:2] == ["tile", "0"]
    assert rows(one.out)[1][5] != lines[1][5]
    assert written(tmp_path) == before


@pytest.mark.parametrize("method", [method for method in METHODS if learns(method)])
def test_eval_of_what_was_learned(run, tmp_path, small_folder, learned, method):
    root, out = mvtec(tmp_path / "set", good=2, bad=2), tmp_path / "out.json"
    clip, shots = refclip.load(small_folder), "0,1" if method == "vand" else "0"
    (path,) = learned(method, clip).values()
    words = ["--templates", "vand"] if method == "vand" else []
    answer = run(
        "eval", root, "--weights", small_folder, "--method", method, "--learned", path, "--shots", shots, *words,
        "--out", out,
    )  # fmt: skip
    assert answer.status == 0, answer.err
    stored = json.loads(out.read_text())
    assert stored["options"]["learned"] == path
    assert [run["shots"] for run in stored["runs"]] == [int(n) for n in shots.split(",")]
    for one in stored["runs"]:
        images = [root / name for name, *_ in one["scores"]]
        references = {"references": [root / name for name in one["references"]]} if one["shots"] else {}
        expected = refclip.detector(method, clip, "nut", learned=path, **references)(images)
        # float32, batches of 4 on both sides
        assert [score for *_, score in one["scores"]] == pytest.approx(expected.score.tolist(), rel=1e-5)


def test_eval_on_a_terminal_is_in_percent(tmp_path, small_folder):
    root = mvtec(tmp_path / "set")
    status, screen = on_a_terminal("eval", root, "--weights", small_folder, "--method", "clip-ac")
    assert status == 0
    assert "mean" in screen
    assert "no references" in screen


def test_numbers_are_whole_on_a_narrow_terminal(tmp_path, small_folder):
    """The table is wider than 40 columns then; a terminal that breaks its lines loses none of them."""
    root = mvtec(tmp_path / "set")
    status, screen = on_a_terminal("eval", root, "--weights", small_folder, "--method", "clip", columns=40)
    assert status == 0
    (row,) = (line for line in screen.splitlines() if line.startswith("│ nut"))
    assert len([float(cell) for cell in row.strip("│ ").split("│")[1:]]) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders")
def test_two_evaluations_do_not_share_their_parts(run, tmp_path, small_folder):
    words = (
        "eval",
        mvtec(tmp_path / "set"),
        "--weights",
        small_folder,
        "--method",
        "clip",
        "--out",
        tmp_path / "r.json",
    )
    with claimed(tmp_path / "r.parts"):
        answer = run(*words)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == f"refclip: {tmp_path / 'r.parts'}: another run is writing there; wait until it is done, or " \
        "write elsewhere\n"  # fmt: skip
    assert run(*words).status == 0


def test_eval_says_what_could_not_be_used(run, tmp_path, small_folder):
    root = mvtec(tmp_path / "set", good=2, bad=2)
    (root / "nut" / "test" / "good" / "000.png").write_text("no picture")
    (root / "nut" / "ground_truth" / "spot" / "001_mask.png").unlink()
    answer = run("eval", root, "--weights", small_folder, "--method", "clip")
    assert answer.status == 1
    assert len(rows(answer.out)) == 3
    told = answer.err.splitlines()
    assert told[0] == "refclip: nut: 1 anomalous images without a mask count for the image figures only"
    assert "001.png: no mask, expected one named 001_mask" in told[1]
    assert told[2].startswith(f"refclip: {root / 'nut' / 'test' / 'good' / '000.png'}: ")
    assert told[-1] == "refclip: 2 problems; the figures are of what could be used"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows refuse to make a file whose name is no UTF-8")
def test_eval_tells_of_a_name_that_is_no_text(run, tmp_path, small_folder):
    root = tmp_path / "set"
    for kind in ("good", "bad"):
        for i in range(2):
            picture(root / kind / f"{i}.png", seed=i)
    (root / "bad" / os.fsdecode(b"caf\xe9.png")).write_text("no picture")
    answer = run("eval", root, "--weights", small_folder, "--method", "clip", "--out", tmp_path / "r.json")
    assert answer.status == 1
    assert json.loads((tmp_path / "r.json").read_text())["problems"]
    assert "caf\\udce9.png" in (tmp_path / "r.md").read_text(encoding="utf-8")


def test_eval_does_not_draw_among_the_images(run, tmp_path, small_folder):
    root = mvtec(tmp_path / "set")
    words = ("--weights", small_folder, "--method", "clip", "--out")
    answer = run("eval", root, *words, root / "nut" / "test" / "good" / "r.json")
    assert (answer.status, answer.out) == (2, "")
    assert "its figure, r.png, would lie among the images of the data set" in answer.err
    for i in range(2):
        picture(tmp_path / "plain" / "good" / f"{i}.png", seed=i)
        picture(tmp_path / "plain" / "bad" / f"{i}.png", seed=2 + i)
    assert run("eval", tmp_path / "plain", *words, tmp_path / "plain" / "r.json").status == 2
    assert not (tmp_path / "plain" / "r.png").exists()
    assert run("eval", root, *words, root / "r.json").status == 0  # no picture is looked for there


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("score", "a.png", "--out", ""), "--out"),
        (("score", "a.png", "--weights", ""), "--weights"),
        (("eval", ""), "ROOT"),
        (("eval", "set", "--out="), "--out"),
        (("train", "vand", "", "--out", "v.safetensors"), "DATA..."),
        (("train", "vand", "set", "--out", "v.safetensors", "--features", ""), "--features"),
        (("inspect", ""), "PATH"),
        (("toy", ""), "DIR"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(run, tmp_path, monkeypatch, words, option):
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    answer = run(*words)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == f"refclip: {option}: an empty word; expected a path (is a variable not set?)\n"
    assert written(tmp_path) == ["a.png"]


@pytest.mark.parametrize("scale", ["run", "fixed"])
def test_an_output_that_cannot_be_written_costs_no_other(run, tmp_path, scale):
    a, b, c = (picture(tmp_path / "in" / f"{name}.png", seed=i) for i, name in enumerate("abc"))
    (tmp_path / "out" / "b.overlay.png").mkdir(parents=True)
    (tmp_path / "out" / "a.map.npy").mkdir()
    answer = run("score", a, b, c, *FAST, "--out", tmp_path / "out", "--scale", scale)
    assert answer.status == 1
    assert [row[0] for row in rows(answer.out)[1:]] == [str(c)]
    told = answer.err.splitlines()
    assert [line.split(": scored ")[0] for line in told[:2]] == [f"refclip: {a}", f"refclip: {b}"]
    assert written(tmp_path / "out") == ["c.map.npy", "c.overlay.png"]


def test_a_full_disk_ends_the_run(run, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    a, b = (picture(tmp_path / "in" / f"{name}.png", seed=i) for i, name in enumerate("ab"))
    monkeypatch.setattr(viz, "save_png", full)
    answer = run("score", a, b, *FAST, "--out", tmp_path / "out")
    assert answer.status == 2
    assert answer.err.count("No space left") == 1


def test_a_link_back_makes_no_image_two(run, tmp_path):
    picture(tmp_path / "in" / "0.png")
    (tmp_path / "in" / "loop").symlink_to(".")
    (tmp_path / "in" / "1.png").symlink_to("0.png")  # another name is another image
    answer = run("score", tmp_path / "in" / "**" / "*.png", *FAST)
    assert [row[0] for row in rows(answer.out)[1:]] == [str(tmp_path / "in" / name) for name in ("0.png", "1.png")]


def test_a_pattern_passes_over_what_was_written(run, tmp_path):
    picture(tmp_path / "0.png")
    for _ in range(2):
        assert run("score", tmp_path / "*", *FAST, "--out", tmp_path).status == 0


@pytest.mark.parametrize(
    "case",
    [
        (["nowhere"], "nowhere: no such folder; expected the folder of a data set"),
        (["set", "--categories", "nut,bolt"], "set: no category bolt; expected some of nut"),
        (["set", "--layout", "visa"], "set: not laid out as visa"),
        (["set", "--method", "winclip+"], "winclip+ needs references, at least one normal image: give --shots K"),
        (["set", "--shots", "1"], "winclip judges each image by itself and takes no references; leave --shots K out"),
        (["set", "--categories", ""], "--categories: no name in it; expected NAME or NAME,NAME, or leave it out"),
        (["set", "--categories", "nut", "--categories", ","], "--categories: no name in it"),
        (["set", "--method", "clip", "--object", ""], "nut: object name is ''; expected a word"),
        (["set", "--shots", "one"], "--shots 'one': expected a whole number, or several with commas between: 1,2,4"),
        (["set", "--option", "crops=2"], "nut: crops=2: expected one of 1, 5, 10"),
        (["set", "--out", "results.txt"], "--out results.txt: expected a name that ends in .json"),
        (["toy", "--categories", "bolt"], "category 'bolt': expected one of biscuit"),
        (["set", "--method", "clip-ada"], "clip-ada needs what it has learned: learned=FILE (--learned FILE), which"),
        (["set", "--method", "coop", "--learned", "nowhere"], "nowhere: cannot be read (No such file or directory)"),
        (["toy", "--method", "coop", "--learned", "nowhere"], "nowhere: cannot be read (No such file or directory)"),
        (["set", "--learned", "a"], "--learned: winclip learns nothing, expected none; leave it out"),
        (["set", "--method", "patchcore", "--shots", "9"], "nut, shots 9, seed 0: 3 normal training images can be"),
    ],
)  # fmt: skip
def test_eval_that_cannot_be_done_says_why(run, tmp_path, monkeypatch, small_folder, case):
    words, message = case
    mvtec(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    answer = run("eval", *words, "--weights", small_folder)
    assert answer.status == 2
    assert answer.out == ""
    last = answer.err.splitlines()[-1]
    assert last.startswith(f"refclip: {message}")


# ---------------------------------------------------------------------------------------------------------------------
# The rest
# ---------------------------------------------------------------------------------------------------------------------


def test_inspect_says_what_the_weights_are(run, small_folder):
    answer = run("inspect", "refclip-mini")
    assert answer.status == 0
    told = {line[:15].strip(): line[15:] for line in answer.out.splitlines()}
    assert told["image tower"] == "120 px, patches of 8, width 192, 6 layers, 3 heads, hidden 768"
    assert told["text tower"] == "77 tokens of 49,408, width 128, 4 layers, 2 heads, hidden 512"
    assert told["layout"] == "open_clip"
    assert told["activation"] == "gelu"
    assert told["configuration"].endswith("refclip-mini.json")
    assert "float16" in told["type"]
    assert told["preprocessing"] == "squash to 120 x 120, bicubic"
    clip = refclip.load("refclip-mini")
    count = sum(x.size for x in cli._leaves(clip.vision)) + sum(x.size for x in cli._leaves(clip.text)) + 1
    assert told["parameters"].startswith(f"{count:,}: ")
    assert "width 128, 4 layers, 2 heads" in run("inspect", small_folder).out


def test_inspect_refuses_what_it_cannot_use(run, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x80\x04pickle")
    answer = run("inspect", tmp_path / "a.safetensors")
    assert answer.status == 2
    assert answer.err.startswith(f"refclip: {tmp_path / 'a.safetensors'}")
    assert answer.err.count("\n") == 1


def test_help_and_version():
    runner = CliRunner()
    for words in (["--help"], ["-h"], ["score", "--help"], ["eval", "--help"], ["inspect", "--help"]):
        result = runner.invoke(cli.cli, words)
        assert result.exit_code == 0
        assert result.output.startswith("Usage:")
    assert runner.invoke(cli.cli, ["--version"]).output == f"refclip {refclip.__version__}\n"
    assert process("--version").out == f"refclip {refclip.__version__}\n"


def test_help_imports_nothing_that_it_does_not_need():
    code = (
        "import sys, refclip.cli; print([m for m in ('rich', 'scipy', 'matplotlib', 'tokenizers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
