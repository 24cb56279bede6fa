"""What the documents say is what the code says."""

import re
from pathlib import Path

import refclip
from refclip import differences
from refclip.methods import METHODS

ROOT = Path(__file__).parent.parent


def test_the_table_of_differences_is_the_codes():
    stored = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    assert stored == differences.table(), "run: python -m refclip.differences > docs/differences.md"


def test_options_named_in_the_differences_exist():
    for module, _ in METHODS.values():
        for row in module.DIFFERENCES:
            for option in re.findall(r"(\w+)=", row.option):
                assert option in module.Options._fields, row


def test_every_option_is_documented():
    for module, _ in METHODS.values():
        for option in module.Options._fields:
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
