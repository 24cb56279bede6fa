"""Formulas in the book: every one of the course can be drawn, and says what its TeX says."""

import re
import runpy

import pytest

from notebooks import cells

pytest.importorskip("sphinx")  # the book's, which `make notebook-tests` installs and `make test` does not
FORMULAS = runpy.run_path(str(cells.HERE.parent / "docs" / "formulas.py"))


def _mathml(formula, block=False):
    return re.sub(r"\s*\n\s*", "", FORMULAS["mathml"](formula, block))


def _of(path):
    """The formulas in a notebook's text, and whether each stands alone."""
    for cell in cells.read(path):
        if cell.text:
            prose = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
            for alone, in_line in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", prose, flags=re.DOTALL):
                yield alone or in_line, bool(alone)


@pytest.mark.parametrize("path", cells.sources(), ids=lambda path: path.stem[:2])
def test_every_formula_can_be_drawn(path):
    drawn = [FORMULAS["mathml"](formula, block) for formula, block in _of(path)]
    assert all("<math" in html and "merror" not in html for html in drawn)


def test_the_formulas_are_found():
    found = [formula for path in cells.sources() for formula, _ in _of(path)]
    assert any(r"\tag{1}" in formula for formula in found)
    assert len(found) > 100


def test_short_fractions_take_one_digit_each():
    half = "<mn>1</mn><mn>2</mn></mfrac>"
    for formula in (r"\tfrac12(I - S)", r"\frac12 q", r"\tfrac 1 2", r"a = \tfrac12"):
        assert half in _mathml(formula), formula
    assert "<mn>12</mn>" in _mathml("x = 12")


def test_numbers_stand_beside_displayed_formulas():
    assert '<span class="eqno">(11, as printed)</span>' in _mathml(r"L = 1 \tag{11, as printed}", block=True)
    assert "eqno" not in _mathml("L = 1", block=True)


def test_what_stands_below_a_bar_is_an_index():
    assert "munder" not in _mathml(r"\bar t_s")
    assert "<mi>s</mi></msub>" in _mathml(r"\bar t_s")


def test_only_brackets_that_are_told_to_grow_do():
    assert '<mo stretchy="false">{</mo>' in _mathml(r"S = \{a, b\}")
    assert "<mo>{</mo>" in _mathml(r"\left\{\frac{a}{b}\right\}")
    assert 'minsize="1.2em"' in _mathml(r"M \big((1 - \beta) A\big)")
