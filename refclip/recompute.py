"""A part of a computation whose insides the tape forgets and computes again on the way back: memory for time.

A block of a tower keeps about ten arrays [b, n, d] for its way back; recomputed, it keeps its input alone, at the price
of a second forward pass. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refclip.autograd import Tape, Var
from refclip.backend import Array


def recompute(f: Callable[..., Array], *args: Any) -> Array:
    """f(*args), of which the tape keeps the arguments only.

    Parameters
    ----------
    f : callable
        Of arrays or variables, to one array. It may close over weights, but over no variable: those are arguments.
    *args : array or Var

    Returns
    -------
    array, or Var if there is one among `args`

    Raises
    ------
    ValueError
        `f` closes over a variable, whose gradient would be lost; or variables of several tapes.
    """
    variables = [a for a in args if type(a) is Var]
    if not variables:
        return f(*args)
    tape = variables[0].tape
    if any(v.tape is not tape for v in variables):
        raise ValueError("recompute: its variables belong to two tapes; use one Tape for one computation")
    arrays = [a.value if type(a) is Var else a for a in args]
    places = [i for i, a in enumerate(args) if type(a) is Var]
    value = f(*arrays)
    if type(value) is Var:
        raise ValueError("recompute: f uses a variable that is not among its arguments; pass it")

    def vjp(g: Array) -> Sequence[Any]:
        left = None if tape.limit is None else tape.limit - tape.nbytes
        inner = Tape(left)
        again: list[Any] = list(arrays)
        for i in places:
            again[i] = inner.var(arrays[i])
        return inner.backward(f(*again), [again[i] for i in places], g)

    return tape.record("recompute", args, value, variables, vjp=vjp, kept=arrays)
