"""The notebooks: built as the course promises, kept as their sources say, and running as given and solved.

In every run of the tests, CI's too: structure, the kept .ipynb, and the cells of each run as a plain program, as given
and with the solutions filled in, warnings as errors (seconds each on a free core). On demand, `make notebook-tests`, as
Jupyter lives in an environment of its own: the same through a kernel, within the limit of time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks import build, cells, plain
from tests.notebooks import mistakes

ROOT = Path(__file__).resolve().parents[2]
SOURCES = cells.sources()
every_notebook = pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
both_ways = pytest.mark.parametrize("solved", [False, True], ids=["given", "solved"])


def tagged(path: Path, tag: str, *, code: bool = False) -> list[int]:
    """Places of the cells with a tag."""
    return [i for i, cell in enumerate(cells.read(path)) if tag in cell.tags and not (code and cell.text)]


@every_notebook
def test_begins_with_goals_and_shapes_and_ends_with_real_weights(path):
    every = cells.read(path)
    assert "goals" in every[0].tags
    assert every[0].source.startswith(f"# {path.stem[:2]} ")
    assert re.search(r"\*\*Time:\*\*.*two\s+(free )?cores", every[0].source, re.S), "the running time is missing"
    assert "shapes" in every[1].tags
    assert "→" in every[1].source
    assert "[" in every[1].source
    assert tagged(path, "real-weights") == [len(every) - 1]
    assert "refclip.load(" in every[-1].source


@every_notebook
def test_asks_before_it_shows(path):
    every = cells.read(path)
    asked = tagged(path, "predict")
    assert len(asked) >= 3
    for i in asked:
        assert every[i].text
        assert "**Predict" in every[i].source
        assert "?" in every[i].source
        assert any(not cell.text and not {"exercise", "solution"} & set(cell.tags) for cell in every[i + 1 :])


@every_notebook
def test_has_three_to_six_whole_exercises(path):
    every = cells.read(path)
    exercises = tagged(path, "exercise", code=True)
    assert 3 <= len(exercises) <= 6
    for i, end in zip(exercises, [*exercises[1:], len(every)], strict=True):
        after = [tag for cell in every[i + 1 : end] for tag in cell.tags if tag in ("check", "hint", "solution")]
        assert after == ["check", "hint", "solution"], f"line {every[i].line}"
        assert re.search(r"raise NotImplementedError|return None|= None", every[i].source)
        assert "check(" in every[next(j for j in tagged(path, "check") if j > i)].source


@every_notebook
def test_exercises_say_how_hard_they_are_and_the_end_asks_and_leads_on(path):
    every = cells.read(path)
    for i in tagged(path, "exercise"):
        if every[i].text:
            assert re.search(r"^\*Difficulty [123] of 3, about \d+ minutes\.\*$", every[i].source, re.M), every[i].line
    end = every[-2].source
    assert end.index("### Can you now?") < end.index("### Further reading")
    asked, answered = end.split("<summary>Answers</summary>")
    questions, answers = (len(re.findall(r"^\d\. ", text, re.M)) for text in (asked, answered.split("</details>")[0]))
    assert questions == answers
    assert questions >= 4


@every_notebook
def test_explains_with_equations_figures_and_a_failure(path):
    every = cells.read(path)
    text = "\n".join(cell.source for cell in every if cell.text)
    assert "$$" in text
    assert re.search(r"\bfail|peek|fooled", text, re.I), "a failure case is part of each notebook"
    for cell in every:
        if not cell.text:
            assert ("plt.show()" in cell.source) == ("figure" in cell.tags), f"{path.name}:{cell.line}"
    assert len(tagged(path, "figure")) >= 3
    assert not any("imshow(" in cell.source for cell in every), "figures.heat_map and figures.picture have the scale"


@every_notebook
def test_links_lead_somewhere(path):
    for cell in cells.read(path):
        for target in re.findall(r"\]\((\d\d_\w+)\.ipynb\)", cell.source):
            assert (cells.HERE / "src" / f"{target}.py").exists(), target


def test_no_notebook_knows_the_shipped_weights_numbers():
    """Weights get better; what a notebook says of them has to be computed there."""
    for path in SOURCES:
        for cell in cells.read(path):
            if not cell.text and "refclip-mini" in cell.source:
                assert not re.search(r"assert .*[<>]=? *0\.\d", cell.source), f"{path.name}:{cell.line}"


@every_notebook
def test_the_kept_notebook_is_its_sources_and_whole(path):
    assert build.stale(path) == ""
    made = cells.HERE / f"{path.stem}.ipynb"
    assert made.stat().st_size <= build.LIMIT
    for cell in json.loads(made.read_text(encoding="utf-8"))["cells"]:
        outputs = cell.get("outputs", [])
        assert not any(o["output_type"] == "error" or o.get("name") == "stderr" for o in outputs)
        if "figure" in cell["metadata"].get("tags", []):
            assert any("image/png" in o.get("data", {}) for o in outputs)
        assert cell.get("execution_count") is None


def verdicts(text: str) -> list[str]:
    return re.findall(r"^exercise '.*': (correct|not solved yet|not yet right)", text, re.M)


@every_notebook
@both_ways
def test_runs_as_a_plain_program(path, solved):
    command = [sys.executable, "-m", "notebooks.plain", path.stem, *(["--solved"] if solved else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    expected = "correct" if solved else "not solved yet"
    assert verdicts(done.stdout) == [expected] * len(tagged(path, "exercise", code=True)), done.stdout
    print(done.stdout.splitlines()[-1])  # figures and seconds; shown with -s


@every_notebook
def test_plausible_mistakes_are_not_taken_for_solutions(path, capsys):
    """All mistakes of a notebook in one run: a check that accepts one of them checks nothing."""
    wrong = mistakes.MISTAKES[path.stem]
    exercises = tagged(path, "exercise", code=True)
    assert len(wrong) == len(exercises), "tests/notebooks/mistakes.py has one for each exercise"

    def mistaken(every):
        out = cells.solved(every)
        places = [i for i, cell in enumerate(out) if "exercise" in cell.tags and not cell.text]
        for i, (old, new) in zip(places, wrong, strict=True):
            assert out[i].source.count(old) == 1, f"{old!r} is not in the solution at line {out[i].line}"
            out[i] = out[i]._replace(source=out[i].source.replace(old, new))
        return out

    plain.run(path, mistaken)
    assert verdicts(capsys.readouterr().out) == ["not yet right"] * len(exercises)


@every_notebook
@both_ways
@pytest.mark.notebooks
def test_runs_in_jupyter(path, solved):
    pytest.importorskip("nbclient", reason="needs Jupyter: make notebook-tests")
    import time

    start = time.perf_counter()
    arrange = cells.solved if solved else cells.as_given
    content = build.execute(build.document(arrange(cells.read(path))))
    seconds = time.perf_counter() - start
    said = "".join(o.get("text", "") for cell in content.cells for o in cell.get("outputs", []))
    assert verdicts(said) == ["correct" if solved else "not solved yet"] * len(tagged(path, "exercise", code=True))
    assert seconds < build.SECONDS
    print(f"{path.stem}: {seconds:.0f} s")


def test_a_notebook_that_is_too_large_is_refused(tmp_path):
    content = build.document([cells.Cell(True, (), "x" * build.LIMIT, 1)])
    with pytest.raises(ValueError, match="at most 1,000,000"):
        build.write(content, tmp_path / "large.ipynb")
    assert not list(tmp_path.iterdir())


def test_what_a_cell_gives_is_recorded_in_order(tmp_path):
    source = tmp_path / "00_x.py"
    source.write_text(
        "# %% [markdown]\n# Text.\n"
        "# %%\nimport matplotlib.pyplot as plt\nprint('one')\nprint('two')\n"
        "# %% tags=[\"figure\"]\nprint('before')\nplt.plot([1])\nplt.title('a rise')\nplt.show()\nprint('after')\n"
        "# %%\n6 * 7\n",
        encoding="utf-8",
    )
    text, first, second, third = plain.run(source, cells.as_given)
    assert text == []
    assert first == [plain.Output("printed", "one\ntwo\n")]
    assert [o.kind for o in second] == ["printed", "figure", "printed"]
    assert second[1].content.startswith(b"\x89PNG")
    assert second[1].alt == "a rise"
    assert third == [plain.Output("value", "42")]
    again = plain.run(source, cells.as_given)
    assert again[2][1] == second[1], "drawing again gives the same bytes"


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("import warnings\nwarnings.warn('loud')", UserWarning, "loud"),
        ("x = 1", RuntimeError, "tagged figure and drew none"),
    ],
)
def test_a_warning_and_a_missing_figure_are_errors(tmp_path, code, error, says):
    source = tmp_path / "00_x.py"
    source.write_text(f'# %% tags=["figure"]\n{code}\n', encoding="utf-8")
    with pytest.raises(error, match=says):
        plain.run(source, cells.as_given)
