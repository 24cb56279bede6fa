"""The book: the notebooks with their figures, the papers' equations, the differences, and the library page by page.

    python docs/book.py          to build/book/html; open index.html there

Sphinx with myst-nb and numpydoc (`make book` installs them). The pages are copied together first, since Sphinx wants
all of them in one folder. A warning about a page is an error; about a docstring, it is counted.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import captions  # beside this file

ROOT = Path(__file__).resolve().parent.parent
SOURCE, HTML = ROOT / "build" / "book" / "source", ROOT / "build" / "book" / "html"
RENAMED = {"index.md": "equations.md"}  # Sphinx's own first page is called index

FIRST = """# refclip

CLIP and the CLIP-based anomaly detectors, in plain array code: a reference to step through, and to trust because it is
checked.

## The course

Notebooks that run on a laptop, with exercises. [How to use it](notebooks/guide.md): what each needs, two plans for
teaching, what students get wrong.

{listed}

```{{toctree}}
:caption: The course
:maxdepth: 2
:hidden:

How to use it <notebooks/guide>
{notebooks}
```

## The papers

```{{toctree}}
:caption: The papers
:maxdepth: 1

{papers}
```

## The library

[Every module](api/modules.md), with a line on what it is for; {{ref}}`every name <genindex>`.

```{{toctree}}
:caption: The library
:maxdepth: 1
:hidden:

Every module <api/modules>
```
"""

MODULES = """# Every module

What to read first: [refclip.clip](refclip.clip.rst), then a method, such as
[refclip.methods.winclip](refclip.methods.winclip.rst).

{listed}

```{{toctree}}
:hidden:
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


def about(module: str) -> str:
    """The first line of a module's docstring, as Markdown."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
    text = " ".join(text.split()).removeprefix(f"{module}: ").replace("->", "→")
    return "`".join(part if i % 2 else re.sub(r"([*_<\[\]$])", r"\\\1", part) for i, part in enumerate(text.split("`")))


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
    """Copy every page into SOURCE; what an earlier book left is removed, since Sphinx would keep links to it."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.rmtree(HTML, ignore_errors=True)
    (SOURCE / "notebooks").mkdir(parents=True)
    (SOURCE / "api").mkdir()
    shutil.copytree(ROOT / "docs" / "_static", SOURCE / "_static")
    names, listed = [], []
    for source in sorted((ROOT / "notebooks" / "src").glob("[0-9][0-9]_*.py")):  # no notebook that a student saved
        path = ROOT / "notebooks" / f"{source.stem}.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        captions.caption(notebook)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":  # a line that begins with % is a comment to myst alone
                cell["source"] = re.sub(r"(?m)^%", r"\\%", "".join(cell["source"]))
        (SOURCE / "notebooks" / path.name).write_text(json.dumps(notebook), encoding="utf-8")
        names.append(f"notebooks/{path.stem}")
        title = "".join(notebook["cells"][0]["source"]).partition("\n")[0].removeprefix("# ")
        listed.append(f"- [{title}](notebooks/{path.name})")
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
    described = "\n".join(f"- [{name}]({name}.rst): {about(name)}" for name in modules())
    every = MODULES.format(listed=described, modules="\n".join(modules()))
    (SOURCE / "api" / "modules.md").write_text(every, encoding="utf-8")
    first = FIRST.format(listed="\n".join(listed), notebooks="\n".join(names), papers="\n".join(papers))
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
