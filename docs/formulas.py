r"""Formulas as MathML, which every browser draws by itself: MathJax would be fetched from a server.

docutils has the converter. It does not know \tag and \big, reads \tfrac12 as 12 over whatever comes next, sets
the s of \bar t_s below the t, and lets every brace grow. `plain` writes these in a way that it reads rightly.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

_TAG = re.compile(r"\\tag\{([^{}]*)\}")
_SHORT = re.compile(r"\\([cdt]?frac)\s*(\d)\s*(\d)")  # TeX takes one digit for each of two arguments
_BARRED = re.compile(r"(\\bar\s*(?:[A-Za-z]|\{[^{}]*\}))(?=_)")
_BIG = re.compile(r"\\([bB]igg?)(?=\s*(\\\{|\\\}|[()\[\]]))")
_GROWS = re.compile(r"\\(left|right|[bB]igg?[lr])\s*(\\|\|)")  # fences other than ( and [ that are meant to grow
_FENCE = re.compile(r'<mo(?: class="mathopen")?>([{}⟨⟩|‖])</mo>')


def plain(formula: str) -> tuple[str, str]:
    r"""A formula without what docutils misreads, and the number that its \tag gives it, "" if it has none."""
    tag = _TAG.search(formula)
    formula = _TAG.sub("", formula).strip()
    formula = _BARRED.sub(r"\1{}", formula)
    formula = _SHORT.sub(r"\\\1{\2}{\3}", formula)
    formula = _BIG.sub(lambda m: f"\\{m[1]}{'l' if m[2] in {'(', '[', chr(92) + '{'} else 'r'}", formula)
    return formula, tag[1] if tag else ""


def mathml(formula: str, block: bool) -> str:
    """The HTML of one formula, its number beside it.

    Raises
    ------
    docutils.utils.math.MathError
        docutils does not know what is in it.
    """
    formula, number = plain(formula)
    drawn = tex2mathml(formula, as_block=block)
    if not _GROWS.search(formula):
        drawn = _FENCE.sub(r'<mo stretchy="false">\1</mo>', drawn)
    if not block:
        return drawn
    beside = f'<span class="eqno">({escape(number)})</span>' if number else ""
    return f'<div class="math"><div class="drawn">{drawn}</div>{beside}</div>'


def _html(node: Any, block: bool) -> str:
    try:
        return mathml(node.astext(), block)
    except MathError as error:
        getLogger(__name__).warning("formula %r: %s", node.astext(), error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def inline(visitor: Any, node: Any) -> None:
    """Write a formula in a line."""
    visitor.body.append(_html(node, block=False))
    raise SkipNode


def block(visitor: Any, node: Any) -> None:
    """Write a displayed formula."""
    visitor.body.append(_html(node, block=True))
    raise SkipNode
