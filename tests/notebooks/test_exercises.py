"""The checker of the exercises: what it accepts, and that it tells one kind of mistake from another."""

from __future__ import annotations

import numpy as np
import pytest

from refclip.exercises import OPEN, SOLVED, WRONG, check, judge, on

A = np.arange(6.0).reshape(2, 3)
SQUARE = np.arange(9.0).reshape(3, 3)


def double(x):
    return 2 * x


def test_right_is_right():
    assert judge(double, on(A, gives=2 * A)) == (SOLVED, "correct")
    assert judge(double, on(A, gives=2 * A), on(3, gives=6)).message == "correct, in all 2 cases"
    assert judge(2 * A, on(gives=2 * A)).kind == SOLVED
    assert judge(lambda x: 2 * x + 9e-7, on(A, gives=2 * A), atol=1e-6).kind == SOLVED


def raises(x):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [raises, lambda x: None, None])
def test_unsolved_is_told_so_and_is_no_error(answer):
    verdict = judge(answer, on(A, gives=2 * A))
    assert verdict.kind == OPEN
    assert verdict.message.startswith("not solved yet")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: (2 * x).T, r"wrong shape: found \[3, 2\], expected \[2, 3\]; the axes are there, in another order"),
        (lambda x: (2 * x).ravel(), r"wrong shape: found \[6\].*the number of values is right"),
        (lambda x: (2 * x)[0], r"wrong shape: found \[3\].*1 axes instead of 2"),
        (lambda x: (2 * x)[:, :2], r"wrong shape: found \[2, 2\], expected \[2, 3\]$"),
        (lambda x: 2.0, r"wrong shape: found \[\], expected"),
        (lambda x: (2 * x).astype(int), "wrong dtype: found int64, expected float64"),
        (lambda x: (2 * x).astype(np.float32), "wrong dtype: found float32, expected float64"),
        (lambda x: 2 * x > 3, "wrong dtype: found bool, expected float64"),
        (lambda x: (2 * x).tolist(), "wrong type: found a list"),
        (lambda x: "six", "wrong type: found a str"),
        (lambda x: np.where(x > 2, np.nan, 2 * x), "NaN in 3 of 6 values"),
        (lambda x: 2 * x + (x == 4), r"the shape is right, the values are wrong: 1 of 6.*worst at \[1, 1\] is 9, exp"),
        (lambda x: x, "they are the expected ones times 0.5"),
        (lambda x: -2 * x, "they are the expected ones times -1"),
        (lambda x: 2 * x + 2e-6, "6 of 6 differ by more than 1e-06"),
        (lambda x: np.full_like(x, np.inf), "6 of 6 differ"),
        (lambda x: x @ x, "it stopped in line .* of its cell with ValueError: matmul"),
    ],
)
def test_what_is_wrong_is_told(answer, says):
    verdict = judge(answer, on(A, gives=2 * A))
    assert verdict.kind == WRONG
    with pytest.raises(AssertionError, match=says):  # for match's pattern
        raise AssertionError(verdict.message)


def test_exchanged_axes_are_noticed_in_the_values_of_a_square():
    assert "last two axes exchanged" in judge(lambda x: 2 * x.T, on(SQUARE, gives=2 * SQUARE)).message
    assert "exchanged" not in judge(lambda x: 2 * x + np.eye(3), on(SQUARE, gives=2 * SQUARE)).message


def test_the_failing_case_is_named():
    verdict = judge(lambda x: 2 * abs(x), on(A, gives=2 * A), on(-A, gives=-2 * A))
    assert "case 2 of 2" in verdict.message


def test_a_student_may_change_the_arguments():
    def greedy(x):
        x *= 2
        return x

    before = A.copy()
    assert judge(greedy, on(A, gives=2 * A)).kind == SOLVED
    np.testing.assert_array_equal(A, before)


def test_infinity_and_nan_may_be_expected():
    want = np.array([0.0, -np.inf, np.nan])
    assert judge(lambda: want.copy(), on(gives=want)).kind == SOLVED
    assert judge(lambda: np.array([0.0, np.inf, np.nan]), on(gives=want)).kind == WRONG
    assert judge(lambda: np.array([0.0, 1.0, np.nan]), on(gives=want)).kind == WRONG
    assert "NaN in 1" in judge(lambda: np.array([0.0, np.nan, np.nan]), on(gives=want)).message


def test_words_and_whole_numbers():
    assert judge(lambda: ["a", "b"], on(gives=["a", "b"])).kind == SOLVED
    assert "wrong values" in judge(lambda: ["b", "a"], on(gives=["a", "b"])).message
    assert judge(("a",), on(gives=("a",))).kind == SOLVED
    assert judge("a", on(gives="a")).kind == SOLVED
    assert judge("b", on(gives="a")).message == "not yet right; wrong value: 'b'"
    assert "found int, expected bool" in judge(1, on(gives=True)).message
    assert judge(np.bool_(True), on(gives=True)).kind == SOLVED
    assert judge(7, on(gives=7)).kind == SOLVED
    assert judge(8, on(gives=7)).kind == WRONG


def test_check_prints_one_line(capsys):
    check("double", double, on(A, gives=2 * A))
    check("halve", lambda x: x, on(A, gives=A / 2))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "exercise 'double': correct"
    assert second.startswith("exercise 'halve': not yet right; the shape is right, the values are wrong")


def test_a_check_without_cases_is_refused():
    with pytest.raises(ValueError, match="no cases"):
        judge(double)
