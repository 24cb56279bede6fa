"""Reading a notebook's source, folding its hints, filling in its solutions."""

from __future__ import annotations

import pytest

from notebooks import cells

SOURCE = """\
# %% [markdown] tags=["goals"]
# # Title
#
# Text.

# %% tags=["exercise"]
def f():
    raise NotImplementedError


# %% [markdown] tags=["hint"]
# Return it.

# %% tags=["solution"]
def f():
    return 1

# %% tags=["check"]
print(f)
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "01_x.py"
    file.write_text(SOURCE, encoding="utf-8")
    return file


def test_cells_are_read(path):
    first, exercise, hint, solution, check = cells.read(path)
    assert first == (True, ("goals",), "# Title\n\nText.", 2)
    assert (exercise.text, exercise.line, exercise.source.splitlines()[0]) == (False, 7, "def f():")
    assert hint.source == "Return it."
    assert solution.source.endswith("return 1")
    assert check.tags == ("check",)


def test_as_given_hints_and_solutions_are_folded(path):
    given = cells.as_given(cells.read(path))
    assert [cell.text for cell in given] == [True, False, True, True, False]
    assert given[2].source == "<details>\n<summary>Hint</summary>\n\nReturn it.\n\n</details>"
    assert "<summary>Solution</summary>\n\n```python\ndef f():\n    return 1\n```\n\n</details>" in given[3].source
    assert "raise NotImplementedError" in given[1].source


def test_solved_a_solution_takes_the_place_of_its_exercise(path):
    done = cells.solved(cells.read(path))
    assert [cell.text for cell in done] == [True, False, True, False]
    assert done[1].source.endswith("return 1")
    assert done[1].line == 15  # errors are told where the solution stands
    assert "NotImplementedError" not in "".join(cell.source for cell in done)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('# %% tags=["check"]', "# %% what", "found '# %% what'; expected"),
        ('"goals"', '"goal"', "unknown tags .'goal'."),
        ("# Text.", "Text.", "found 'Text.' in a cell of text"),
        ('# %% [markdown] tags=["goals"]', "import numpy", "before the first cell"),
    ],
)
def test_what_cannot_be_read_is_told(path, old, new, says):
    path.write_text(SOURCE.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        cells.read(path)


def test_exercise_and_solution_come_in_pairs(path):
    every = cells.read(path)
    with pytest.raises(ValueError, match="line 7: an exercise without a solution"):
        cells.solved([cell for cell in every if "solution" not in cell.tags])
    with pytest.raises(ValueError, match="a solution without an exercise"):
        cells.solved([cell for cell in every if "exercise" not in cell.tags])


def test_notebooks_are_found_by_the_beginning_of_their_names():
    assert [path.stem for path in cells.sources(("01",))] == ["01_clip_from_scratch"]
    assert len(cells.sources()) > 1
    with pytest.raises(ValueError, match="notebook '99'"):
        cells.sources(("99",))
