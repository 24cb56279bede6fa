"""Which names and keywords NumPy and CuPy share, and a search of the library for any that they do not.

`cupy_names.txt` lists CuPy's public names with their parameters, for the oldest CuPy that `pyproject.toml` allows
(version 14 adds names, `concat` and `.mT` among them, and takes none away). It is read out of a wheel, importing
nothing of CuPy: ``python -m tests.cupy_names cupy_cuda12x-*.whl > tests/cupy_names.txt``. Parameters are known where
the wheel holds the Python source, or, for the array's methods, where the compiled module kept their signatures.
"""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAMES = Path(__file__).with_name("cupy_names.txt")
SUBMODULES = ("linalg", "fft", "lib.stride_tricks")
UFUNC_PARAMETERS = ("out", "dtype", "casting")  # CuPy's ufuncs have no `where=`


@cache
def cupy_names() -> dict[str, tuple[str, ...] | None]:
    """CuPy's public names, dotted below the top level, with their parameters, or None where those are unknown.

    Methods of CuPy's array stand under ``"ndarray."``. A star before a parameter, as in Python: it takes many.
    """
    lines = [line for line in NAMES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {n: tuple(p.split()) if colon else None for n, colon, p in (line.partition(":") for line in lines)}


def shared(name: str) -> bool:
    """Whether both NumPy and CuPy have a name, dotted below the top level: ``"linalg.norm"``."""
    value: Any = np
    for part in name.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return name in cupy_names()


class Use(NamedTuple):
    """One use of ``xp.name``, with the keywords it is called with."""

    path: str
    line: int
    name: str
    keywords: tuple[str, ...]


def used_names(paths: Iterable[Path]) -> list[Use]:
    """Every ``xp.name`` in Python files, found by syntax; ``xp.linalg.norm`` is one use, of ``linalg.norm``."""
    uses = []
    for path in sorted(paths):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))
        keywords = {id(n.func): tuple(k.arg for k in n.keywords if k.arg) for n in nodes if isinstance(n, ast.Call)}
        inner = {id(n.value) for n in nodes if isinstance(n, ast.Attribute)}
        for node in nodes:
            chain: list[str] = []
            root: ast.AST = node
            while isinstance(root, ast.Attribute):
                chain.insert(0, root.attr)
                root = root.value
            named = chain and not chain[0].startswith("__")  # every module has a __name__
            if named and id(node) not in inner and isinstance(root, ast.Name) and root.id == "xp":
                uses.append(Use(str(path), root.lineno, ".".join(chain), keywords.get(id(node), ())))
    return uses


def fault(use: Use) -> str | None:
    """What is wrong with a use: a name that NumPy or CuPy lacks, a keyword that CuPy lacks; None where nothing is."""
    place = f"{use.path}:{use.line}: xp.{use.name}"
    if not shared(use.name):
        return f"{place} is not in both NumPy and CuPy"
    extra = unknown_keywords(use.name, use.keywords)
    return f"{place}: CuPy's takes no {', '.join(extra)}" if extra else None


def unknown_keywords(name: str, keywords: Iterable[str]) -> list[str]:
    """Those of the keywords that CuPy's function does not take; none where its parameters are not known."""
    ufunc = isinstance(getattr(np, name, None), np.ufunc)
    parameters = UFUNC_PARAMETERS if ufunc else cupy_names()[name]
    return [] if parameters is None or "**" in parameters else sorted(set(keywords).difference(parameters))


def list_names(wheel: Path) -> str:
    """The text of `cupy_names.txt`, from a CuPy wheel."""
    with zipfile.ZipFile(wheel) as archive:
        compiled = next(archive.read(n) for n in archive.namelist() if re.fullmatch(r"cupy/_core/core\..*so", n))
        sources = {n: archive.read(n) for n in archive.namelist() if n.startswith("cupy/") and n.endswith(".py")}
    trees = {n[:-3].removesuffix("/__init__").replace("/", "."): ast.parse(text) for n, text in sources.items()}
    lines = set()
    for submodule in ("", *SUBMODULES):
        module = f"cupy.{submodule}".rstrip(".")
        for name, home, original in _public(trees[module], module):
            lines.add(f"{submodule}.{name}".lstrip(".") + _parameters(trees.get(home), original))
    for method, inside in re.findall(rb"_ndarray_base\.([a-z]\w*)\(self(?:, ([^)]*))?\)", compiled):
        # "int axis=-1" or "_ndarray_base out=None" in the compiled signature: the name is the last word
        names = [part.partition("=")[0].split()[-1] for part in inside.decode().split(", ") if part]
        lines.add(" ".join([f"ndarray.{method.decode()}:", *names]))
    version = wheel.name.split("-")[1]
    head = f"# CuPy {version}: public names of cupy, {', '.join(SUBMODULES)}, ndarray; 'name: parameters' where known"
    return "\n".join([head, *sorted(lines), ""])


def _public(tree: ast.Module, module: str) -> Iterator[tuple[str, str, str]]:
    """Each public name that a module defines or imports, with the module it comes from and its name there."""
    found: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = (module, node.name)
        elif isinstance(node, ast.Assign):
            origin = found.get(node.value.id) if isinstance(node.value, ast.Name) else None  # concat = concatenate
            found |= {t.id: origin or (module, t.id) for t in node.targets if isinstance(t, ast.Name)}
    yield from ((name, *origin) for name, origin in found.items() if name[0] != "_" and origin[0] != "__future__")


def _parameters(tree: ast.Module | None, name: str) -> str:
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == name:
            a = node.args
            names = [x.arg for x in [*a.posonlyargs, *a.args]] + ([f"*{a.vararg.arg}"] if a.vararg else [])
            return " ".join([":", *names, *(x.arg for x in a.kwonlyargs), *["**"] * bool(a.kwarg)])
    return ""


if __name__ == "__main__":
    sys.stdout.write(list_names(Path(sys.argv[1])))
