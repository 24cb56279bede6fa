"""`primitive`: the seam through which the same towers serve inference and differentiation. `Tape`: the way back.

A primitive is a plain function over arrays. Called on arrays, it simply runs: nothing is recorded, nothing is slower
(one scan of the arguments, about a microsecond). Called with a `Var` among its arguments, it runs on the arrays inside
and appends one `Record` to the tape those variables belong to. The tape is linear: the order of the records is the
order of the computation, so walking it backwards is a valid order for the chain rule.

For y = f(x) and a loss L, the vjp (vector-Jacobian product) of f takes g = dL/dy to dL/dx = J^T g, J = dy/dx, without
ever forming J. Those of this package are in `vjps` and its neighbours, under the names of the primitives. They are made
when the primitive is called and hold what they will need, so this is all that the tape keeps: what an addition took and
gave is free again as soon as nobody else holds it, and arguments that are no variables (frozen weights) get no vjp.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from refclip.backend import Array, xp_of
from refclip.held import held, owner

F = TypeVar("F", bound=Callable[..., Any])


class Var:
    """An array whose use is recorded. It passes through every function of the towers in place of an array.

    Its operators and methods (`+ - * / @`, indexing, `reshape`, `sum`, ...) are the primitives of `elementary`.
    """

    __slots__ = ("number", "tape", "value")
    __array_ufunc__ = None  # so that `array + var` asks Var instead of looping over elements

    def __init__(self, value: Array, tape: Tape, number: int) -> None:
        self.value = value
        self.tape = tape
        self.number = number  # its place among the variables of the tape

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: self.value.dtype)
    size = property(lambda self: self.value.size)

    def __len__(self) -> int:
        return len(self.value)

    def __array_namespace__(self) -> Any:
        return xp_of(self.value)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "a Var is no array: use the functions of refclip.elementary, or its .value, which is a constant"
        )

    def __repr__(self) -> str:
        return f"Var(shape={tuple(self.shape)}, dtype={self.dtype})"


class Record(NamedTuple):
    """One call of a primitive: what went in and came out, and the way back."""

    name: str
    inputs: tuple[tuple[int, ...], ...]  # shapes of its array arguments
    shape: tuple[int, ...]  # of what came out
    nbytes: int  # that the tape keeps in memory for it
    out: int  # number of the variable that came out
    parents: tuple[int, ...]  # numbers of the variables that went in
    vjp: Callable[[Array], Sequence[Any]]  # dL/dout -> dL/dparent for each of them


class Slot(NamedTuple):
    """A gradient that is zero outside x[index]: added in place, where an array full of zeros would be made."""

    shape: tuple[int, ...]
    index: Any
    g: Array


class Tape:
    """The records of one computation, in order.

    Parameters
    ----------
    limit : int, optional
        Bytes that the records may keep in memory; what would need more is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from refclip import nn
    >>> tape = Tape()
    >>> x = tape.var(np.array([0.0, 1.0]))
    >>> y = nn.softmax(x)
    >>> [record.name for record in tape]
    ['softmax']
    >>> tape.backward(y[1], [x])[0].round(3)
    array([-0.197,  0.197])
    """

    def __init__(self, limit: int | None = None) -> None:
        importlib.import_module("refclip.vjps")  # the derivatives: nobody needs them before there is a tape
        self.limit = limit
        self.records: list[Record] = []
        self.nbytes = 0
        self._shapes: list[tuple[int, ...]] = []  # of its variables, by number
        self._counted: set[int] = set()  # ids of the buffers in `nbytes`; the records hold them, so ids stay theirs

    def var(self, value: Array) -> Var:
        """Wrap `value` so that what is computed from it is recorded on this tape."""
        xp_of(value)  # refuses what is not an array
        self._shapes.append(tuple(value.shape))
        return Var(value, self, len(self._shapes) - 1)

    def record(
        self, name: str, args: Sequence[Any], value: Array, parents: Sequence[Var], *, vjp: Any, kept: Any
    ) -> Var:
        """Append one operation: `primitive` and `recompute` do.

        Parameters
        ----------
        name, vjp
            As in `Record`.
        args : sequence
            As they were passed.
        value : array
            What came out.
        parents : sequence of Var
        kept : iterable of arrays
            What `vjp` keeps alive.

        Raises
        ------
        MemoryError
            The tape would keep more than `limit`.
        """
        plain = {id(owner(a)) for a in args if type(a) is not Var}  # weights were there before, and stay
        more = {id(x): x.nbytes for x in map(owner, kept) if id(x) not in plain and id(x) not in self._counted}
        nbytes = sum(more.values())
        if self.limit is not None and self.nbytes + nbytes > self.limit:
            raise MemoryError(
                f"{name} after {len(self)} operations: the way back would keep {self.nbytes + nbytes:,} bytes by now, "
                f"allowed are {self.limit:,}; use a smaller batch, or recomputed=True, which keeps less of each block"
            )
        self._counted |= more.keys()
        self.nbytes += nbytes
        out = self.var(value)
        shapes = tuple(a.shape for a in args if isinstance(getattr(a, "shape", None), tuple))  # a type has one, too
        went_in = tuple(p.number for p in parents)
        self.records.append(Record(name, shapes, tuple(value.shape), nbytes, out.number, went_in, vjp))
        return out

    def backward(self, out: Var, wanted: Sequence[Var], g: Array | None = None) -> list[Array]:
        """The gradient of `out` with respect to each of `wanted`, by the chain rule from the last record to the first.

        Parameters
        ----------
        out : Var
            A single number, the loss; or anything, with `g`.
        wanted : sequence of Var
            Of this tape: its own variables, or any in between.
        g : array, optional
            dL/dout, in the shape of `out`. 1 by default.

        Returns
        -------
        list of arrays
            In the shapes of `wanted`; zeros where `out` does not depend on it.

        Raises
        ------
        ValueError
            `out` is not a single number and there is no `g`; shapes differ, a vjp's too; a variable is of another tape.
        """
        if any(v.tape is not self for v in (out, *wanted)):
            raise ValueError("backward: a variable belongs to another tape")
        if g is None and out.size != 1:
            raise ValueError(
                f"backward from shape {tuple(out.shape)}: give g, its gradient, or reduce it to one number"
            )
        start = xp_of(out.value).ones(out.shape, dtype=out.dtype) if g is None else g
        if tuple(start.shape) != tuple(out.shape):
            raise ValueError(f"g of shape {tuple(start.shape)}: expected that of the variable, {tuple(out.shape)}")
        keep = {v.number for v in wanted}
        found: dict[int, Array] = {out.number: start}
        ours: set[int] = set()  # whose gradient is an array made here, so that adding in place is safe
        for record in reversed(self.records):
            if record.out not in found:
                continue  # the loss does not depend on it
            towards = found[record.out] if record.out in keep else found.pop(record.out)
            ours.discard(record.out)  # it may live on inside what the vjp returns
            for parent, part in zip(record.parents, record.vjp(towards), strict=True):
                if tuple(part.shape) != (shape := self._shapes[parent]):  # or it might broadcast where it is added
                    raise ValueError(f"{record.name}: its vjp gave shape {tuple(part.shape)}; its input has {shape}")
                _add(found, ours, parent, part)
        return [found[v.number] if v.number in found else xp_of(v.value).zeros_like(v.value) for v in wanted]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __str__(self) -> str:
        """Table of operation, input shapes, output shape, and bytes that the tape keeps for the way back."""
        rows = [("operation", "inputs", "output", "bytes"), ("total", "", "", f"{self.nbytes:,}")]
        rows[1:1] = [(r.name, " ".join(map(str, r.inputs)), str(r.shape), f"{r.nbytes:,}") for r in self.records]
        w = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(f"{a:<{w[0]}}  {b:<{w[1]}}  {c:<{w[2]}}  {d:>{w[3]}}" for a, b, c, d in rows)


def primitive(f: F) -> F:
    """Make `f`, a function over arrays, record itself when a `Var` is among its positional arguments.

    Raises
    ------
    TypeError
        (when called) A variable stands where no derivative is known.
    ValueError
        (when called) The variables belong to different tapes.
    """

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Var:
                return _record(call, args, kwargs)
        return f(*args, **kwargs)

    call.vjp = None  # type: ignore[attr-defined]  # `defvjp` sets it
    return call  # type: ignore[return-value]


def defvjp(f: Callable[..., Any]) -> Callable[[F], F]:
    """Decorator: the function below is the vjp of primitive `f`.

    It is called as vjp(out, *args, **kwargs), with arrays, and returns one function g -> dL/darg for each positional
    argument (None for what has no derivative), of which those of variables are used; or, where gradients share work, a
    single function g -> all of them. What these hold is what the tape keeps. They never change g.
    """

    def attach(vjp: F) -> F:
        f.vjp = vjp  # type: ignore[attr-defined]
        return vjp

    return attach


def constant(x: Array) -> Array:
    """The array in a variable: no gradient passes. An array is returned as it is."""
    return x.value if type(x) is Var else x


def _record(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Var:
    name = f.__name__.strip("_")
    places = [i for i, a in enumerate(args) if type(a) is Var]
    tape: Tape = args[places[0]].tape
    if any(args[i].tape is not tape for i in places):
        raise ValueError(f"{name}: its variables belong to two tapes; use one Tape for one computation")
    if f.vjp is None:
        raise TypeError(f"{name}: no derivative is defined; `defvjp` does that")
    values = [constant(a) for a in args]
    value = f.__wrapped__(*values, **kwargs)
    vjps: Any = f.vjp(value, *values, **kwargs)
    vjp: Any = functools.partial(_together, vjps, places)
    if isinstance(vjps, tuple):
        each: list[Any] = [vjps[i] if i < len(vjps) else None for i in places]
        if None in each:
            raise TypeError(f"{name}: no derivative with respect to argument {places[each.index(None)]}")
        vjp = functools.partial(_one_by_one, each)
    return tape.record(name, args, value, [args[i] for i in places], vjp=vjp, kept=held(vjp))


def _one_by_one(each: list[Callable[[Array], Array]], g: Array) -> list[Any]:
    return [vjp(g) for vjp in each]


def _together(vjp: Callable[[Array], Sequence[Any]], places: list[int], g: Array) -> list[Any]:
    parts = vjp(g)
    if any(parts[i] is None for i in places):
        raise TypeError(f"argument {next(i for i in places if parts[i] is None)} has no derivative")
    return [parts[i] for i in places]


def _add(found: dict[int, Array], ours: set[int], to: int, part: Any) -> None:
    """found[to] += part, in place only where the array was made here."""
    if type(part) is Slot:
        if to not in ours:
            xp = xp_of(part.g)
            found[to] = found[to].copy() if to in found else xp.zeros(part.shape, dtype=part.g.dtype)
            ours.add(to)
        found[to][part.index] += part.g
    elif to not in found:
        found[to] = part
    elif to in ours:
        found[to] += part
    else:
        found[to] = found[to] + part
        ours.add(to)
