"""Numbers and alternative texts for the figures of a notebook, as the book shows them.

The numbers are those of the course's guide and of `python -m notebooks.plain NN --figures`. The text names the section
and the words that the code writes into the figure: titles, axes, curves, scales.
"""

from __future__ import annotations

import ast
import re
from typing import Any

SAID = {"title", "xlabel", "ylabel", "label", "scale", "suptitle"}  # arguments that become words of a figure
DRAWS = {"heat_map", "picture", "matrix", "set_title", "suptitle", "text", "annotate", "table", "axes"}


def words(code: str) -> list[str]:
    """The words that a cell's code writes into its figure, as they stand there; nothing for computed ones."""
    found: dict[str, None] = {}
    for call in ast.walk(ast.parse(code)):
        if not isinstance(call, ast.Call):
            continue
        given = [k.value for k in call.keywords if k.arg in SAID]
        if isinstance(call.func, ast.Attribute) and call.func.attr in DRAWS:
            given = [*call.args, *given]
        for value in given:
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.strip():
                found[" ".join(value.value.split())] = None
    return list(found)


def caption(notebook: dict[str, Any]) -> None:
    """Write into a notebook, for myst-nb, each figure's number and alternative text."""
    section, number = "", 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#{1,2} (.+)$", source, flags=re.MULTILINE)
            section = headings[-1] if headings else section
        elif any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            number += 1
            said = "; ".join(words(source))
            alt = f"Figure {number}, section “{section.replace('`', '')}”" + (f": {said}" if said else "")
            cell["metadata"]["mystnb"] = {"image": {"alt": alt}, "figure": {"caption": f"Figure {number}"}}
