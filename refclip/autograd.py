"""`primitive`: the seam through which the same towers serve inference and differentiation.

A primitive is a plain function over arrays. Called on arrays, it simply runs: nothing is recorded, nothing is slower
(one scan of the arguments, about a microsecond). Called with a `Var` among its arguments, it runs on the arrays inside
and appends one `Record` to the tape those variables belong to. The tape is linear: the order of the records is the
order of the computation, so walking it backwards is a valid order for the chain rule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from refclip.backend import Array, xp_of

F = TypeVar("F", bound=Callable[..., Any])


class Record(NamedTuple):
    """One call of a primitive: its name, what went in, what came out."""

    name: str
    args: tuple[Any, ...]  # as passed: Var, array, or plain Python value
    kwargs: dict[str, Any]
    out: Var


class Tape:
    """The records of one computation, in order.

    Examples
    --------
    >>> import numpy as np
    >>> from refclip import nn
    >>> tape = Tape()
    >>> y = nn.quick_gelu(tape.var(np.zeros((2, 3), np.float32)))
    >>> [record.name for record in tape]
    ['quick_gelu']
    """

    def __init__(self) -> None:
        self.records: list[Record] = []

    def var(self, value: Array) -> Var:
        """Wrap `value` so that what is computed from it is recorded on this tape."""
        xp_of(value)  # refuses what is not an array
        return Var(value, self)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __str__(self) -> str:
        """Table of operation, input shapes, output shape and bytes of the output."""
        rows = [("operation", "inputs", "output", "bytes")]
        for record in self.records:
            inputs = " ".join(str(tuple(a.shape)) for a in record.args if hasattr(a, "shape"))
            value = record.out.value
            rows.append((record.name, inputs, str(tuple(value.shape)), f"{value.nbytes:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(
            f"{name:<{widths[0]}}  {inputs:<{widths[1]}}  {out:<{widths[2]}}  {size:>{widths[3]}}"
            for name, inputs, out, size in rows
        )


class Var:
    """An array whose use is recorded. It passes through every function of the towers in place of an array."""

    __slots__ = ("tape", "value")
    __array_ufunc__ = None  # so that `array + var` asks Var instead of looping over elements

    def __init__(self, value: Array, tape: Tape) -> None:
        self.value = value
        self.tape = tape

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    def __array_namespace__(self) -> Any:
        return xp_of(self.value)

    def __add__(self, other: Any) -> Var:
        return add(self, other)

    def __radd__(self, other: Any) -> Var:
        return add(other, self)

    def __getitem__(self, index: Any) -> Var:
        return getitem(self, index)

    def __matmul__(self, other: Any) -> Var:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Var:
        return matmul(other, self)

    def __repr__(self) -> str:
        return f"Var(shape={tuple(self.shape)}, dtype={self.dtype})"


def primitive(f: F) -> F:
    """Make `f`, a function over arrays, record itself when a `Var` is among its positional arguments.

    Raises
    ------
    ValueError
        (when called) The variables belong to different tapes.
    """

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Var:
                return _record(f, a.tape, args, kwargs)
        return f(*args, **kwargs)

    return call  # type: ignore[return-value]


def _record(f: Callable[..., Any], tape: Tape, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Var:
    if any(type(a) is Var and a.tape is not tape for a in args):
        raise ValueError(f"{f.__name__}: its variables belong to two tapes; use one Tape for one computation")
    values = [a.value if type(a) is Var else a for a in args]
    out = Var(f(*values, **kwargs), tape)
    tape.records.append(Record(f.__name__, args, kwargs, out))
    return out


@primitive
def add(x: Array, y: Array) -> Array:
    """X + y, with broadcasting."""
    return x + y


@primitive
def matmul(x: Array, y: Array) -> Array:
    """X @ y."""
    return x @ y


@primitive
def getitem(x: Array, index: Any) -> Array:
    """x[index]: slices, integers, or an integer array on the same device."""
    return x[index]
