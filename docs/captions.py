"""Numbers and alternative texts for the figures of a notebook, as the book shows them.

The numbers are those of the course's guide and of `python -m notebooks.plain NN --figures`. The text names the section
and what is written in the figure, which `notebooks.plain.words` has left in the notebook.
"""

from __future__ import annotations

import re
from typing import Any


def caption(notebook: dict[str, Any]) -> None:
    """Write into a notebook, for myst-nb, each figure's number and alternative text."""
    section, number = "", 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#{1,2} (.+)$", source, flags=re.MULTILINE)
            section = headings[-1] if headings else section
            continue
        drawn = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
        if drawn:
            number += 1
            said = "; ".join(output["metadata"].get("image/png", {}).get("alt", "") for output in drawn)
            alt = f"Figure {number}, section “{section.replace('`', '')}”" + (f": {said}" if said else "")
            cell["metadata"]["mystnb"] = {"image": {"alt": alt}, "figure": {"caption": f"Figure {number}"}}
