"""Arithmetic that can be differentiated: the operators and methods of `Var`, under NumPy's names.

Each works on arrays and on variables alike, so a formula written once serves both. On arrays `x + y` is NumPy's own;
on a `Var` it is `add` below.
"""

from __future__ import annotations

from typing import Any

from refclip.autograd import Var, primitive
from refclip.backend import Array, xp_of


@primitive
def add(x: Array, y: Array) -> Array:
    """X + y, with broadcasting."""
    return x + y


@primitive
def subtract(x: Array, y: Array) -> Array:
    """X - y, with broadcasting."""
    return x - y


@primitive
def multiply(x: Array, y: Array) -> Array:
    """X y, element by element, with broadcasting."""
    return x * y


@primitive
def divide(x: Array, y: Array) -> Array:
    """X / y, element by element, with broadcasting."""
    return x / y


@primitive
def negative(x: Array) -> Array:
    """-x."""
    return -x


@primitive
def matmul(x: Array, y: Array) -> Array:
    """X @ y."""
    return x @ y


@primitive
def exp(x: Array) -> Array:
    """e^x."""
    return xp_of(x).exp(x)


@primitive
def log(x: Array) -> Array:
    """Natural logarithm; x > 0."""
    return xp_of(x).log(x)


@primitive
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which overflows nowhere: (1 + tanh(x / 2)) / 2."""
    return 0.5 + 0.5 * xp_of(x).tanh(0.5 * x)


@primitive
def where(condition: Array, x: Array, y: Array) -> Array:
    """X where `condition`, y elsewhere, with broadcasting."""
    return xp_of(condition).where(condition, x, y)


@primitive
def sum(x: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Sum over `axis`, or over everything."""
    return x.sum(axis=axis, keepdims=keepdims)


@primitive
def mean(x: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Mean over `axis`, or over everything."""
    return x.mean(axis=axis, keepdims=keepdims)


@primitive
def getitem(x: Array, index: Any) -> Array:
    """x[index]: slices, integers, None, or integer or boolean arrays on the same device."""
    return x[index]


@primitive
def reshape(x: Array, *shape: Any) -> Array:
    """The same elements in another shape."""
    return x.reshape(*shape)


@primitive
def transpose(x: Array, *axes: int) -> Array:
    """Axes in another order; reversed by default."""
    return x.transpose(*axes)


@primitive
def swapaxes(x: Array, first: int, second: int) -> Array:
    """Two axes exchanged."""
    return x.swapaxes(first, second)


@primitive
def broadcast_to(x: Array, shape: tuple[int, ...]) -> Array:
    """`x` repeated along new or single axes, as a view."""
    return xp_of(x).broadcast_to(x, shape)


@primitive
def astype(x: Array, dtype: Any, copy: bool = True) -> Array:
    """In another floating type."""
    return x.astype(dtype, copy=copy)


@primitive
def concat(*parts: Array, axis: int = 1) -> Array:
    """The parts one after another along `axis`."""
    return xp_of(parts[0]).concatenate(parts, axis=axis)


@primitive
def stack(*parts: Array, axis: int = 0) -> Array:
    """Parts of one shape along a new axis."""
    return xp_of(parts[0]).stack(parts, axis=axis)


OPERATORS = {
    "__add__": add,
    "__radd__": lambda self, other: add(other, self),
    "__sub__": subtract,
    "__rsub__": lambda self, other: subtract(other, self),
    "__mul__": multiply,
    "__rmul__": lambda self, other: multiply(other, self),
    "__truediv__": divide,
    "__rtruediv__": lambda self, other: divide(other, self),
    "__matmul__": matmul,
    "__rmatmul__": lambda self, other: matmul(other, self),
    "__neg__": negative,
    "__getitem__": getitem,
    "T": property(transpose),
    "reshape": reshape,
    "transpose": transpose,
    "swapaxes": swapaxes,
    "astype": astype,
    "sum": sum,
    "mean": mean,
}
for name, operation in OPERATORS.items():
    setattr(Var, name, operation)
