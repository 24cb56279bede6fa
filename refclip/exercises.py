"""Checking an exercise of the course: a message that tells a wrong shape from wrong values.

    check("patches", my_patches, on(pixels, 8, gives=expected), atol=1e-6)

An unsolved exercise, one that returns None or raises NotImplementedError, is told so and is no error: a notebook runs
from top to bottom before anything is filled in. What is wrong is looked for in the order in which one would: does it
run, is it the right kind of thing, has it the shape, the type, only numbers, the values. Of wrong values the message
says how many, where the worst is, and whether they are the expected ones in another guise (turned round, times a
constant).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

SOLVED, OPEN, WRONG = "correct", "not solved yet", "not yet right"


class Case(NamedTuple):
    """One call of the student's function, and what it should return."""

    arguments: tuple[Any, ...]
    expected: Any


class Verdict(NamedTuple):
    """What the checker thinks, and what it says."""

    kind: str  # SOLVED, OPEN or WRONG
    message: str


def on(*arguments: Any, gives: Any) -> Case:
    """A case: called on these arguments, the function should give this."""
    return Case(arguments, gives)


def check(name: str, answer: Any, *cases: Case, atol: float = 1e-6) -> None:
    """Print the verdict on an exercise.

    Parameters
    ----------
    name : str
        Of the exercise.
    answer : callable, or anything else
        The student's function, called on each case's arguments (of arrays it gets copies); or a value, held against
        the one case's expected value.
    *cases : Case
        From `on`. The first that fails is told.
    atol : float
        Largest allowed difference of a number.
    """
    print(f"exercise {name!r}: {judge(answer, *cases, atol=atol).message}")


def judge(answer: Any, *cases: Case, atol: float = 1e-6) -> Verdict:
    """The verdict that `check` prints.

    Raises
    ------
    ValueError
        No cases: nothing would be checked.
    """
    if not cases:
        raise ValueError("no cases; give at least one on(arguments, gives=expected)")
    for i, case in enumerate(cases):
        found = answer
        if callable(answer):
            copies = [x.copy() if isinstance(x, np.ndarray) else x for x in case.arguments]
            try:
                found = answer(*copies)
            except NotImplementedError:
                found = None
            except Exception as error:  # whatever a student's code may raise is to be told, not to stop the notebook
                return Verdict(WRONG, f"{WRONG}; {_raised(error, answer)}")
        if found is None:
            return Verdict(OPEN, f"{OPEN}; replace the line that raises NotImplementedError, or None, and run again")
        if fault := _fault(found, case.expected, atol):
            which = f" (case {i + 1} of {len(cases)})" if len(cases) > 1 else ""
            return Verdict(WRONG, f"{WRONG}{which}; {fault}")
    return Verdict(SOLVED, SOLVED if len(cases) == 1 else f"{SOLVED}, in all {len(cases)} cases")


def _raised(error: Exception, answer: Callable[..., Any]) -> str:
    """Where the student's code stopped: its own line, not one inside NumPy."""
    name = getattr(getattr(answer, "__code__", None), "co_filename", "")
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    where = f" in line {lines[-1]} of its cell" if lines else ""
    return f"it stopped{where} with {type(error).__name__}: {error}"


def _fault(found: Any, expected: Any, atol: float) -> str:
    """What is wrong, or nothing."""
    if isinstance(expected, tuple | list | dict) and isinstance(found, type(expected)) and _plain(expected):
        return "" if found == expected else f"wrong values: found {_short(found)}, expected {_short(expected)}"
    if isinstance(expected, str | bool):
        kind = type(expected).__name__
        if not isinstance(found, type(expected) | np.bool_):
            return f"wrong type: found {type(found).__name__}, expected {kind}"
        return "" if found == expected else f"wrong value: {_short(found)}"
    want = np.asarray(expected)
    if isinstance(found, tuple | list | dict | str) and isinstance(expected, np.ndarray):
        return f"wrong type: found a {type(found).__name__}, expected an array of shape {list(want.shape)}"
    have = np.asarray(found)
    if have.dtype.kind not in "fiub":
        return f"wrong type: found {type(found).__name__} of {have.dtype}, expected numbers"
    if have.shape != want.shape:
        return f"wrong shape: found {list(have.shape)}, expected {list(want.shape)}{_other_order(have, want)}"
    if (have.dtype.kind == "f") != (want.dtype.kind == "f") or (have.dtype.kind == "b") != (want.dtype.kind == "b"):
        return f"wrong dtype: found {have.dtype}, expected {want.dtype}"
    if isinstance(expected, np.ndarray) and have.dtype != want.dtype and want.dtype.kind == "f":
        return (
            f"wrong dtype: found {have.dtype}, expected {want.dtype}; "
            "an array made with np.zeros is float64 unless told otherwise"
        )
    have, want = have.astype(np.float64), want.astype(np.float64)
    if bad := int(np.isnan(have).sum() - np.isnan(want).sum()):
        return f"NaN in {bad} of {have.size} values: look for 0 / 0, inf - inf, or the logarithm of a negative number"
    same = (have == want) | (np.isnan(have) & np.isnan(want))  # infinities too, whose difference is no number
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(have - want))
    wrong = ~(distance <= atol)
    if not wrong.any():
        return ""
    worst = np.unravel_index(int(np.argmax(np.nan_to_num(distance, nan=np.inf))), have.shape)
    at = f" at {list(map(int, worst))}" if have.ndim else ""
    return (
        f"the shape is right, the values are wrong: {int(wrong.sum())} of {have.size} differ by more than {atol:g}; "
        f"the worst{at} is {have[worst]:.6g}, expected {want[worst]:.6g}{_guise(have, want, atol)}"
    )


def _other_order(have: np.ndarray, want: np.ndarray) -> str:
    if sorted(have.shape) == sorted(want.shape):
        return "; the axes are there, in another order"
    if have.size == want.size:
        return "; the number of values is right, so a reshape is missing or another"
    if have.ndim != want.ndim:
        return f"; {have.ndim} axes instead of {want.ndim}"
    return ""


def _guise(have: np.ndarray, want: np.ndarray, atol: float) -> str:
    """Whether wrong values are the expected ones turned round, or times a constant."""
    if have.ndim >= 2 and have.shape[-1] == have.shape[-2] and np.allclose(have.swapaxes(-1, -2), want, 0, atol):
        return "; they are the expected ones with the last two axes exchanged"
    size = float((want * want).sum())
    # of a single number it would be true of any value, and tell nothing
    if have.size > 1 and np.isfinite(have).all() and np.isfinite(size) and size > 0:
        factor = float((have * want).sum()) / size
        # a wrong constant leaves no more than rounding when it is taken out
        if factor and np.abs(have - factor * want).max() <= max(atol, 1e-6 * np.abs(want).max()) * max(1, abs(factor)):
            return f"; they are the expected ones times {factor:.4g}"
    return ""


def _plain(x: Any) -> bool:
    """Whether a container has nothing but words, whole numbers and such containers, which are equal or not."""
    if isinstance(x, tuple | list):
        return all(map(_plain, x))
    if isinstance(x, dict):
        return all(map(_plain, x.values()))
    return isinstance(x, str | int | bool)


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."
