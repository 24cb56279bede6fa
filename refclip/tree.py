"""Parameters as a nest of tuples, NamedTuples, lists and dicts with arrays as leaves; gradients in the same nest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from refclip.autograd import Tape, Var
from refclip.backend import Array, xp_of


def leaves(tree: Any) -> Iterator[Array]:
    """The arrays (or variables) of a nest, in order; None, numbers and text are passed over."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from leaves(item)
    elif hasattr(tree, "dtype"):
        yield tree


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The same nest with f(leaf, leaf of each of `others` at the same place) in place of each leaf.

    Raises
    ------
    ValueError
        The nests are not built alike.
    """
    if isinstance(tree, dict):
        if any(not isinstance(o, dict) or tree.keys() != o.keys() for o in others):
            kinds = [list(o) if isinstance(o, dict) else type(o).__name__ for o in others]
            raise ValueError(f"nests differ: {list(tree)} against {kinds}")
        return {key: tree_map(f, tree[key], *(o[key] for o in others)) for key in tree}
    if isinstance(tree, list | tuple):
        if any(type(o) is not type(tree) or len(o) != len(tree) for o in others):
            kinds = [type(o).__name__ for o in others]
            raise ValueError(f"nests differ: {type(tree).__name__} of {len(tree)} against {kinds}")
        items = [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return f(tree, *others) if hasattr(tree, "dtype") else tree


def value_and_gradient(loss: Callable[[Any], Any], parameters: Any, *, limit: int | None = None) -> tuple[Array, Any]:
    """loss(parameters), and its gradient as a nest like `parameters`.

    Parameters
    ----------
    loss : callable
        Of the nest with a `Var` for each array, to a single number. It may close over anything frozen.
    parameters : nest of arrays
    limit : int, optional
        Bytes that the tape may keep; see `autograd.Tape`.

    Returns
    -------
    value : array of no dimensions
    gradient : nest of arrays

    Examples
    --------
    >>> import numpy as np
    >>> from refclip.tree import value_and_gradient
    >>> value, gradient = value_and_gradient(lambda p: (p["x"] * p["x"]).sum(), {"x": np.array([1.0, 3.0])})
    >>> float(value), gradient
    (10.0, {'x': array([2., 6.])})
    """
    tape = Tape(limit)
    variables = tree_map(tape.var, parameters)
    wanted = list(leaves(variables))
    out = loss(variables)
    if type(out) is not Var:  # it depends on no parameter
        return out, tree_map(lambda x: xp_of(x).zeros_like(x), parameters)
    found = iter(tape.backward(out, wanted))
    return out.value, tree_map(lambda _: next(found), parameters)
