"""What the documents say is what the code says."""

import importlib
import re
from pathlib import Path

import pytest

import refclip
from refclip import differences
from refclip.methods import METHODS

ROOT = Path(__file__).parent.parent


def test_the_table_of_differences_is_the_codes():
    stored = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    assert stored == differences.table(), "run: python -m refclip.differences > docs/differences.md"


def test_the_table_of_differences_has_every_file_that_has_some():
    """Found here by reading the files, not by importing them: `DIFFERENCES = ` at the beginning of a line."""
    files = {p for p in (ROOT / "refclip").rglob("*.py") if re.search(r"^DIFFERENCES\b.*=", p.read_text("utf-8"), re.M)}
    assert len(files) >= 9
    tables = {id(module.DIFFERENCES) for module in differences.modules()}
    assert len(tables) == len(differences.modules()) == len(files)
    for file in files:
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        assert id(importlib.import_module(name).DIFFERENCES) in tables, name


def test_every_difference_stands_once_under_its_heading():
    rows = [row for some in differences.rows().values() for row in some]
    assert len(rows) == len(set(rows)) == sum(len(module.DIFFERENCES) for module in differences.modules())
    for heading, names in differences.SECTIONS.items():
        for row in differences.rows().get(heading, ()):
            assert row.method.split(",")[0] in names, row


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_heading(method):
    """One that is not in SECTIONS would end up among the metrics."""
    assert any(method in names for names in differences.SECTIONS.values())


def test_options_named_in_the_differences_exist():
    for module in differences.modules():
        for row in module.DIFFERENCES if hasattr(module, "Options") else ():
            for option in re.findall(r"(\w+)=", row.option):
                assert option in module.Options._fields, row


def test_every_option_is_documented():
    for module in differences.modules():
        for option in module.Options._fields if hasattr(module, "Options") else ():
            assert re.search(rf"^    {option} : ", module.Options.__doc__, re.M), (module.__name__, option)


def test_the_map_of_the_code_is_the_code():
    """Every file of the library has a line in the README's map, and every line a file."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("## The map of the code", 1)[1].split("```", 2)[1]
    named = set(re.findall(r"^  (?:  )?(\w+\.py)", block, re.M))
    files = {p.name for p in (ROOT / "refclip").rglob("*.py") if p.name != "__init__.py"}
    assert named == files


def test_public_names_are_there_and_documented():
    for name in refclip.__all__:
        thing = getattr(refclip, name)
        if callable(thing):
            assert thing.__doc__ and len(thing.__doc__) > 20, name
