"""NamedTuples of arrays in files: what has been computed once and must survive a kill.

A file is a NumPy archive of bare arrays and a JSON text that says how they were nested. Nothing in it is executed; it
names the NamedTuples it is made of, and only refclip's own are built again. It is whole or not there.
"""

from __future__ import annotations

import json
import sys
import zipfile
from os import PathLike
from typing import Any

import numpy as np

from refclip.backend import to_numpy, xp_of
from refclip.files import whole_file


def keep(path: str | PathLike[str], tree: Any) -> None:
    """Write a nest of NamedTuples, tuples, dicts, arrays, strings, numbers and None.

    Raises
    ------
    TypeError
        There is something else in it.
    OSError
        The file cannot be written; what was there before still is.
    """
    arrays: list[np.ndarray] = []
    nest = json.dumps(_describe(tree, arrays)).encode()
    with whole_file(path) as file:
        np.savez(file, nest=np.frombuffer(nest, np.uint8), **{f"a{i}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]


def kept(path: str | PathLike[str], like: Any = None) -> Any:
    """Read what `keep` wrote; None if it is not there or was damaged since: it has to be computed anew.

    Parameters
    ----------
    path : path
    like : array, optional
        Arrays go where this one is; to the host by default.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:  # NumPy leaves a bad one open
            xp = np if like is None else xp_of(like)
            return _build(json.loads(file["nest"].tobytes()), file, xp)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _describe(x: Any, arrays: list[np.ndarray]) -> list[Any]:
    if hasattr(x, "ndim"):
        arrays.append(to_numpy(x))
        return ["array", len(arrays) - 1]
    if hasattr(x, "_fields"):
        return ["named", type(x).__module__, type(x).__qualname__, [_describe(item, arrays) for item in x]]
    if isinstance(x, dict):
        return ["dict", [[_describe(key, arrays), _describe(value, arrays)] for key, value in x.items()]]
    if isinstance(x, tuple | list):
        return ["tuple", [_describe(item, arrays) for item in x]]
    if x is None or isinstance(x, str | bool | int | float):
        return ["plain", x]
    raise TypeError(f"found a {type(x).__name__}; expected arrays, NamedTuples, tuples, dicts, strings or numbers")


def _build(node: list[Any], file: Any, xp: Any) -> Any:
    kind, *rest = node
    if kind == "array":
        return xp.asarray(file[f"a{rest[0]}"])
    if kind == "named":
        module, name, items = rest
        cls = getattr(sys.modules.get(module), name, None)
        if not module.startswith("refclip.") or not (isinstance(cls, type) and hasattr(cls, "_fields")):
            raise ValueError(f"{module}.{name}: expected a NamedTuple of refclip's")
        return cls(*(_build(item, file, xp) for item in items))
    if kind == "dict":
        return {_build(key, file, xp): _build(value, file, xp) for key, value in rest[0]}
    if kind == "tuple":
        return tuple(_build(item, file, xp) for item in rest[0])
    return rest[0]
