"""The demo as a user runs it: in a process of its own, into a folder of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"
OBJECTS = {"brick": (512, 512), "grass": (512, 512), "gravel": (512, 512), "coffee": (600, 400), "coins": (384, 303),
           "page": (384, 191)}  # fmt: skip  # width, height


class Demo:
    """What one run printed and wrote."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "a b"
        command = [sys.executable, str(DEMO), "--out", str(self.out)]
        self.run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=folder, check=False)
        # object (only on its first line), variant, score, AUROC and clean AUROC where there is a mask, verdict, seconds
        line = r"^ *(.*?)  +(0\.\d{3})(?: +(\d\.\d\d) +(\d\.\d\d)   ([a-z, ]+?))? +\d+\.\d\d *$"
        self.lines = re.findall(line, self.run.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


def test_it_runs_quietly_and_prints_plain_text_into_a_pipe(demo: Demo):
    assert demo.run.returncode == 0, demo.run.stderr
    assert demo.run.stderr == ""
    assert "\x1b" not in demo.run.stdout
    assert len(demo.lines) == 3 * len(OBJECTS)
    assert "Missed here: " in demo.run.stdout


def test_every_picture_is_there_at_its_photographs_size(demo: Demo):
    for kind in ("photos", "maps"):
        names = sorted(path.name for path in (demo.out / kind).iterdir())
        assert len(names) == 3 * len(OBJECTS)
        for name in names:
            width, height = OBJECTS[name.partition("-")[0]]
            with Image.open(demo.out / kind / name) as image:
                if kind == "photos":
                    assert image.size == (width, height)
                else:  # the scale stands to the right, and needs some height
                    assert image.width > width
                    assert image.height >= height
    with Image.open(demo.out / "demo.png") as sheet:
        assert sheet.width > 1500
        assert sheet.height > 1200
    assert sorted(path.name for path in demo.out.iterdir()) == ["demo.png", "maps", "photos"]


def test_damaged_copies_score_higher_than_clean_ones_on_average(demo: Demo):
    scores = np.array([float(line[1]) for line in demo.lines]).reshape(-1, 3)  # [object, (clean, plain, faint)]
    clean, plain, faint = scores.mean(axis=0)
    assert plain > clean + 0.05
    assert faint > clean - 0.05  # the small model sees little of these: no claim but that they do not upset it


def test_maps_find_the_plain_defects_better_than_the_clean_maps_do_by_luck(demo: Demo):
    plain = [(float(line[2]), float(line[3])) for line in demo.lines[1::3]]
    found, luck = np.median(plain, axis=0)
    assert found > luck


def test_copies_differ_from_the_clean_photograph_only_near_the_defect(demo: Demo):
    clean = np.asarray(Image.open(demo.out / "photos" / "gravel-clean.png"), dtype=int)
    for name in ("gravel-oil-stain.png", "gravel-damp-patch.png"):
        changed = np.abs(np.asarray(Image.open(demo.out / "photos" / name), dtype=int) - clean).max(axis=2) > 0
        assert 0.02 < changed.mean() < 0.3


def test_help_names_the_folder():
    run = subprocess.run([sys.executable, str(DEMO), "--help"], capture_output=True, text=True, check=True)
    assert "--out" in run.stdout
