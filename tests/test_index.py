"""The index of the papers' equations: complete, true, and as printed in docs/index.md."""

import ast
import importlib
import importlib.util
import re
import runpy
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INDEX = runpy.run_path(str(ROOT / "docs" / "index.py"))
ENTRIES = INDEX["entries"]()
BUILT = [e for e in ENTRIES if not e.awaits]
AWAITED = [e for e in ENTRIES if e.awaits]
EQUATIONS = {"WinCLIP": 6, "AnomalyCLIP": 3, "CLIP-ADA": 6, "Dual-Image": 13}  # numbered ones, counted in the papers

# Whole numbers, with what may stand between them: "equations 2 to 4", "equation 12 (6, where", "tables 1, 3 and 4"
LIST = re.compile(r"(equation|table)s?\s+(\d+(?:\s*\([a-d]\))?(?:(?:,\s*|\s+and\s+|\s+to\s+|\s*-\s*|\s*\()\d+)*)", re.I)


def name(entry):
    return f"{entry.paper}, {entry.where}"


def numbers(kind, text):
    """The equations, or tables, that a text names."""
    found = set()
    for what, several in LIST.findall(text):
        if what.lower() == kind:
            for first, last in re.findall(r"(\d+)(?:(?:\s+to\s+|\s*-\s*)(\d+))?", several):
                found |= set(range(int(first), int(last or first) + 1))
    return found


@cache
def functions_in(file):
    """The tests in a file, by name; the file is read and not imported, as parity needs torch."""
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def documented(module_name, path):
    """The docstrings in which an entry's place may be named: of the thing itself, its class, its module."""
    module = importlib.import_module(f"refclip.{module_name}")
    texts, thing = [module.__doc__], module
    for part in path.split("."):
        if part in getattr(thing, "_fields", ()):  # an option: its paragraph in the docstring of Options
            paragraphs = re.split(r"\n    (?=\w+ : )", thing.__doc__)
            texts.append(next(p for p in paragraphs if p.startswith(f"{part} : ")))
        else:
            thing = getattr(thing, part)
            texts.append(thing.__doc__ if callable(thing) else "")
    return "\n".join(text or "" for text in texts)


def test_the_page_is_the_tables():
    stored = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert stored == INDEX["page"](ENTRIES), "run: python docs/index.py > docs/index.md"


def test_every_numbered_equation_is_there():
    for paper, count in EQUATIONS.items():
        found = [e.where for e in ENTRIES if e.paper == paper and e.where.startswith("equation")]
        assert found == [f"equation {i}" for i in range(1, count + 1)]
    assert {e.paper for e in ENTRIES} == set(EQUATIONS)


def test_what_is_built_is_not_awaited():
    """When a module appears, its rows must name functions and tests."""
    late = [name(e) for e in AWAITED if importlib.util.find_spec(f"refclip.{e.awaits}")]
    assert not late, f"built: give these rows of docs/index.toml their code and test: {late}"


@pytest.mark.parametrize("entry", BUILT, ids=name)
def test_functions_and_options_exist(entry):
    assert entry.code and entry.tests
    for module_name, path in entry.code:
        thing = importlib.import_module(f"refclip.{module_name}")
        for part in path.split("."):
            assert hasattr(thing, part), f"refclip.{module_name} has no {path}"
            thing = getattr(thing, part)


@pytest.mark.parametrize("entry", BUILT, ids=name)
def test_tests_exist(entry):
    for file, test in entry.tests:
        assert test in functions_in(file), f"tests/{file}.py has no {test}"


@pytest.mark.parametrize("entry", [e for e in BUILT if re.match("equation|table", e.where)], ids=name)
def test_docstrings_name_the_place(entry):
    """Of each function or its module: the number of the equation; for the first, the paper too."""
    (kind,) = re.match("(equation|table)", entry.where).groups()
    (number,) = numbers(kind, entry.where)
    for module_name, path in entry.code:
        text = documented(module_name, path)
        assert number in numbers(kind, text), f"refclip.{module_name}:{path} does not name {kind} {number}"
    assert entry.paper in documented(*entry.code[0]), entry.code[0]


def test_links_lead_to_files():
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 100
    for link in links:
        assert (ROOT / "docs" / link).is_file(), link


@pytest.mark.parametrize(
    "text",
    [
        '[A."equation 1"]\nsays = ""\ncode = "clip:CLIP"',
        '[A."equation 1"]\nsays = ""\nawaits = "x"\ncode = "clip:CLIP"\ntest = "a:b"',
        '[A."equation 1"]\nsays = ""\nawait = "x"',
    ],
)
def test_half_an_entry_is_refused(text):
    with pytest.raises(ValueError, match="A, equation 1"):
        INDEX["entries"](text)


def test_numbers_of_a_text():
    assert numbers("equation", "equations 2 to 4, equation 12 (6, where both) and Equations 5, 3") == {
        2,
        3,
        4,
        5,
        6,
        12,
    }
    assert numbers("table", "WinCLIP tables 3 (d) and 8; tables 1, 3 and 4") == {1, 3, 4, 8}
    assert numbers("equation", "table 4, section 3.1") == set()
