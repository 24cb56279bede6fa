"""The table of differences between papers and published code, from the methods: `python -m refclip.differences`.

It is docs/differences.md; a test keeps the two equal.
"""

from __future__ import annotations

from refclip.methods import METHODS

INTRODUCTION = """# Where papers and published code part ways

Each row is a named option; the default is what the paper says, or, where it is silent, what the code nearest to the
paper's numbers does. Made from the methods' `DIFFERENCES` by `python -m refclip.differences > docs/differences.md`.

| method | section | the paper | published code | our option | default |
|---|---|---|---|---|---|
"""


def table() -> str:
    """The page as Markdown."""
    modules = dict.fromkeys(module for module, _ in METHODS.values())
    rows = [row for module in modules for row in module.DIFFERENCES]
    return INTRODUCTION + "".join("| " + " | ".join(f.replace("|", "\\|") for f in row) + " |\n" for row in rows)


if __name__ == "__main__":
    print(table(), end="")
