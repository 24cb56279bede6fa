"""Sphinx's settings for the book, which `docs/book.py` builds. Nothing in it asks the network for anything."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import refclip

sys.path.insert(0, str(Path(__file__).resolve().parent))
import formulas  # beside this file

project = "refclip"
author = "the refclip authors"
copyright = author
release = version = refclip.__version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
viewcode_follow_imported_members = False  # with it, links back from a source lead to names that no page has
nb_execution_mode = "off"  # the kept outputs are shown; `make notebook-outputs` makes them
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # `tell=print`, where an address in memory would stand
add_module_names = False
suppress_warnings = ["ref.python"]  # names such as Features, which each method has of its own
default_role = "code"  # docstrings write `x` for code
highlight_language = "text"  # of a block that names none: diagrams and command lines; doctests stay Python
smartquotes = False  # the tables name options as code does: resize='squash'

html_theme = "alabaster"  # comes with Sphinx; no fonts or scripts from elsewhere
html_theme_options = {
    "description": "CLIP and the CLIP-based anomaly detectors, checked against open_clip",
    "fixed_sidebar": True,
    "page_width": "1000px",  # below it the menu comes after the text; above it book.css says how wide
    "show_relbars": True,
    "show_powered_by": False,
}
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"


def _skip(app: Any, what: str, name: str, obj: Any, *_: Any) -> bool | None:
    """Leave out the fields of NamedTuples, of which Python knows only "Alias for field number 0"."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def _as_prose(*told: Any) -> None:
    """Let docstrings be read as they are written: indented lines as they stand; | and * mean themselves.

    Indented lines after an empty one, in a docstring's text before its first section, are diagrams and formulas.
    """
    lines: list[str] = told[-1]
    out: list[str] = []
    diagram, sections = False, False
    for i, line in enumerate(lines):
        sections = sections or (i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1].strip()) is not None)
        indented = line.startswith("    ") and not sections
        if indented and not diagram and out and not out[-1].strip():
            out += [] if out[-2:-1] == ["::"] else ["::", ""]
            diagram = True
        elif line.strip() and not line.startswith("    "):
            diagram = False
        out.append(line if diagram or ">>>" in line else _escaped(line))
    lines[:] = out


def _escaped(line: str) -> str:
    """Backslashes before what reStructuredText would take for markup, except within backticks."""
    parts = re.split(r"(`+[^`]*`+)", line)
    return "".join(p if p.startswith("`") else re.sub(r"([|*]|(?<=\w)_(?=\W|$))", r"\\\1", p) for p in parts)


def setup(app: Any) -> None:
    """Docstrings as they are written, formulas as MathML."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _as_prose, priority=400)  # before numpydoc, at 500
    app.add_html_math_renderer("mathml", (formulas.inline, None), (formulas.block, None))
