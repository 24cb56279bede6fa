"""The table of differences between papers and published code, from the methods: `python -m refclip.differences`.

It is docs/differences.md; a test keeps the two equal. Every module of `methods` that has `DIFFERENCES` is in it, so a
new method joins by having them; so do the few modules outside that a paper defines.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from refclip import methods
from refclip.prediction import Difference

INTRODUCTION = """# Where papers and published code part ways

Each row is a named option, or says why there is none; the default is what the paper says, or, where it is silent, what
the code nearest to the paper's numbers does. Made from the `DIFFERENCES` of the library's modules by
`python -m refclip.differences > docs/differences.md`. Where in the library each equation is: [the index](index.md).

[I] marks what is inferred, from a paper's tables or from the code that it builds on. "DI" is the paper of Dual-Image
Enhanced CLIP, and the number of an issue is of the repository that its row names, or else of the method's own.
"""

HEAD = """
| method | section | the paper | published code | our option | default |
|---|---|---|---|---|---|
"""

# The first name in `Difference.method` -> under which heading; what none of them names comes last.
SECTIONS = {
    "WinCLIP, and the baselines of its tables": ("clip", "clip-ac", "winclip", "winclip+", "maskclip", "patchcore"),
    "AnomalyCLIP, and the baselines of its tables": ("anomalyclip", "coop", "vand"),
    "CLIP-ADA": ("clip-ada",),
    "AnoCLIP and AnoVL": ("anoclip", "anovl"),
    "Dual-Image Enhanced CLIP": ("dual-image", "dual-image+"),
    "MuSc": ("musc", "musc-2"),
}
REST = "Metrics and pseudo-anomalies"
BESIDE = ("refclip.metrics", "refclip.pro", "refclip.synth")  # what a paper defines outside `methods`


def modules() -> tuple[ModuleType, ...]:
    """The modules that have DIFFERENCES; of two that share one table, the first."""
    names = [name for _, name, _ in pkgutil.walk_packages(methods.__path__, "refclip.methods.")]
    found: dict[int, ModuleType] = {}
    for module in map(importlib.import_module, (*names, *BESIDE)):
        if hasattr(module, "DIFFERENCES"):
            found.setdefault(id(module.DIFFERENCES), module)
    return tuple(found.values())


def rows() -> dict[str, tuple[Difference, ...]]:
    """Heading -> its rows, in the order of `SECTIONS`, and within a heading in that of its methods."""
    every = [row for module in modules() for row in module.DIFFERENCES]
    places = {name: (heading, i) for heading, names in SECTIONS.items() for i, name in enumerate(names)}
    sections: dict[str, list[tuple[int, Difference]]] = {heading: [] for heading in (*SECTIONS, REST)}
    for row in every:
        heading, place = places.get(row.method.split(",")[0], (REST, 0))
        sections[heading].append((place, row))
    return {h: tuple(row for _, row in sorted(some, key=lambda x: x[0])) for h, some in sections.items() if some}


def table() -> str:
    """The page as Markdown."""
    return INTRODUCTION + "".join(
        f"\n## {heading}\n{HEAD}"
        + "".join("| " + " | ".join(f.replace("|", "\\|") for f in row) + " |\n" for row in some)
        for heading, some in rows().items()
    )


if __name__ == "__main__":
    print(table(), end="")
