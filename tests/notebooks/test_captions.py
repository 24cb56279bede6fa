"""Numbers and alternative texts of the figures in the book."""

import json
import re
import runpy

import matplotlib.pyplot as plt
import numpy as np
import pytest

from notebooks import cells, plain
from refclip import figures

CAPTIONS = runpy.run_path(str(cells.HERE.parent / "docs" / "captions.py"))


def _captioned(stem):
    notebook = json.loads((cells.HERE / f"{stem}.ipynb").read_text(encoding="utf-8"))
    CAPTIONS["caption"](notebook)
    return [cell["metadata"]["mystnb"] for cell in notebook["cells"] if "mystnb" in cell["metadata"]]


@pytest.mark.parametrize("path", cells.sources(), ids=lambda path: path.stem[:2])
def test_every_figure_has_its_number_and_its_section(path):
    found = _captioned(path.stem)
    drawn = sum("figure" in cell.tags for cell in cells.read(path))
    assert [figure["figure"]["caption"] for figure in found] == [f"Figure {i}" for i in range(1, drawn + 1)]
    sections = set(re.findall(r"^# #{1,2} (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    for figure in found:
        named = re.match(r"Figure \d+, section “(.+?)”", figure["image"]["alt"])
        assert named, figure
        assert named[1] in {section.replace("`", "") for section in sections}


def test_the_guide_names_figures_that_are_there():
    guide = (cells.HERE / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d\d \| \[.*?\]\((\w+)\.ipynb\) \|.*?\| (.*) \|$", guide, flags=re.MULTILINE)
    assert [stem for stem, _ in rows] == [path.stem for path in cells.sources()]
    for stem, shown in rows:
        numbers = [int(n) for n in re.findall(r"\((\d+)\)", shown)]
        assert numbers
        assert max(numbers) <= len(_captioned(stem)), stem


def test_words_are_those_of_the_figure():
    figure, (left, right) = figures.axes(1, 2)
    figures.heat_map(left, np.zeros((3, 3)), "a map", scale="p", bar=True)
    right.plot([1, 2], label="curve")
    right.set(xlabel="step\nh", title="$L_0$, named")
    right.legend()
    assert plain.words(figure) == "a map; L_0, named, step h, curve; p"
    plt.close(figure)


@pytest.mark.parametrize("path", cells.sources(), ids=lambda path: path.stem[:2])
def test_every_figure_says_what_is_written_in_it(path):
    kept = json.loads((cells.HERE / f"{path.stem}.ipynb").read_text(encoding="utf-8"))
    drawn = [
        o for cell in kept["cells"] for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})
    ]  # fmt: skip
    assert drawn
    assert all(len(output["metadata"]["image/png"]["alt"]) > 3 for output in drawn)
