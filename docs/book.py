"""The book: the notebooks with their figures, the papers' equations, the differences, and the library page by page.

    python docs/book.py          to build/book/html; open index.html there

Sphinx with myst-nb and numpydoc (`make book` installs them). The pages are copied together first, since Sphinx wants
all of them in one folder. A warning about a page is an error; about a docstring, it is counted.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE, HTML = ROOT / "build" / "book" / "source", ROOT / "build" / "book" / "html"
RENAMED = {"index.md": "equations.md"}  # Sphinx's own first page is called index

FIRST = """# refclip

CLIP and the CLIP-based anomaly detectors, in plain array code: a reference to step through, and to trust because it is
checked.

```{{toctree}}
:caption: The course
:maxdepth: 1

notebooks/guide
{notebooks}
```

```{{toctree}}
:caption: The papers
:maxdepth: 1

{papers}
```

```{{toctree}}
:caption: The library
:maxdepth: 1

{modules}
```
"""


def modules() -> list[str]:
    """The library's modules, in the order of their names, those of a package after it."""
    out = []
    for path in sorted((ROOT / "refclip").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        out.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted(out)


def page_of(module: str) -> str:
    """A page with a module's docstring and all public names of its own."""
    options = "   :members:\n" + ("" if module != "refclip" else "   :imported-members:\n   :no-members:\n")
    return f"{module}\n{'=' * len(module)}\n\n.. automodule:: {module}\n{options}"


def linked(text: str) -> str:
    """Let links to files of the library lead to its pages; those to tests, which are not in the book, become text."""

    def to_page(match: re.Match[str]) -> str:
        parts = match["path"].removesuffix(".py").removesuffix("/__init__").split("/")
        return f"](api/{'.'.join(parts)}.rst)"

    text = re.sub(r"\]\(\.\./(?P<path>refclip/[\w/]+\.py)\)", to_page, text)
    text = re.sub(r"\[([^\]]*)\]\(\.\./(?!refclip)[^)]*\)", r"\1", text)
    for old, new in RENAMED.items():
        text = text.replace(f"]({old})", f"]({new})")
    return text


def assemble() -> None:
    """Copy every page into SOURCE."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "notebooks").mkdir(parents=True)
    (SOURCE / "api").mkdir()
    shutil.copytree(ROOT / "docs" / "_static", SOURCE / "_static")
    names = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(path, SOURCE / "notebooks" / path.name)
        names.append(f"notebooks/{path.stem}")
    guide = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    guide = re.sub(
        r"\[([^\]]*)\]\((?!\d\d_\w+\.ipynb)(?!https?:)[^)]*\)", r"\1", guide
    )  # of files: none is in the book
    (SOURCE / "notebooks" / "guide.md").write_text(guide, encoding="utf-8")
    papers = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        name = RENAMED.get(path.name, path.name)
        (SOURCE / name).write_text(linked(path.read_text(encoding="utf-8")), encoding="utf-8")
        papers.append(Path(name).stem)
    for module in modules():
        (SOURCE / "api" / f"{module}.rst").write_text(page_of(module), encoding="utf-8")
    first = FIRST.format(
        notebooks="\n".join(names), papers="\n".join(papers), modules="\n".join(f"api/{name}" for name in modules())
    )
    (SOURCE / "index.md").write_text(first, encoding="utf-8")


def main() -> None:
    """Build."""
    assemble()
    told = SOURCE.parent / "warnings.txt"
    options = ["-b", "html", "-q", "-c", str(ROOT / "docs"), "-w", str(told)]
    subprocess.run([sys.executable, "-m", "sphinx", *options, str(SOURCE), str(HTML)], check=True)
    warnings = told.read_text(encoding="utf-8").splitlines()
    ours = [line for line in warnings if str(SOURCE) in line and f"{SOURCE}/api/" not in line]
    if ours:
        sys.exit("\n".join(["these pages have errors:", *ours]))
    print(f"{len(warnings)} warnings about docstrings; open {HTML / 'index.html'}")


if __name__ == "__main__":
    main()
