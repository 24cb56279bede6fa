"""The losses against torch's stored answers, against plain loops, and at their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refclip import losses
from refclip.autograd import Tape
from tests.devicearray import devicexp
from tests.training_cases import LOSSES, loss_inputs

EXACT = {"rtol": 1e-11, "atol": 1e-13}  # float64 on both sides, sums in another order

OURS = {name: getattr(losses, name) for name in LOSSES if hasattr(losses, name)} | {
    "dice_squared": lambda p, t: losses.dice(p, t, form="squared")
}


def value_and_gradients(f, variables, constants):
    tape = Tape()
    leaves = [tape.var(x) for x in variables]
    out = f(*leaves, *constants)
    return out.value, tape.backward(out, leaves)


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_torchs(golden, name):
    answers = golden("training")
    variables, constants = loss_inputs(name)
    value, found = value_and_gradients(OURS[name], variables, constants)
    np.testing.assert_allclose(value, answers[f"loss.{name}"], **EXACT)
    np.testing.assert_array_equal(OURS[name](*variables, *constants), value)
    for i, g in enumerate(found):
        np.testing.assert_allclose(g, answers[f"loss.{name}.{i}"], **EXACT)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_and_the_device(name):
    variables, constants = loss_inputs(name)
    exact, slopes = value_and_gradients(OURS[name], variables, constants)
    single, found = value_and_gradients(
        OURS[name],
        [x.astype(np.float32) for x in variables],
        [c.astype(np.float32) if c.dtype.kind == "f" else c for c in constants],
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, rtol=1e-5)  # a hundred terms of float32, 6e-8 each
    for g, slope in zip(found, slopes, strict=True):
        assert g.dtype == np.float32
        np.testing.assert_allclose(g, slope, rtol=1e-4, atol=1e-5 * np.abs(slope).max())  # 1 - p loses three digits
    there, found = value_and_gradients(
        OURS[name], [devicexp.asarray(x) for x in variables], [devicexp.asarray(c) for c in constants]
    )
    np.testing.assert_allclose(there.get(), exact, **EXACT)
    for g, slope in zip(found, slopes, strict=True):
        np.testing.assert_allclose(g.get(), slope, **EXACT)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_masks_of_any_type(dtype):
    for name in ("focal", "dice", "dice_squared", "bce", "bce_with_logits"):
        variables, constants = loss_inputs(name)
        out = OURS[name](*variables, constants[0].astype(dtype))
        np.testing.assert_array_equal(out, OURS[name](*variables, *constants))


def test_focal_one_pixel_at_a_time():
    (p,), (mask,) = loss_inputs("focal")
    terms = []
    for i, j, k in np.ndindex(mask.shape):
        hot = [1e-5, 1e-5]
        hot[int(mask[i, j, k])] = 1 - 1e-5
        q = hot[0] * p[i, 0, j, k] + hot[1] * p[i, 1, j, k] + 1e-5
        terms.append(-0.25 * (1 - q) ** 3 * math.log(q))
    np.testing.assert_allclose(losses.focal(p, mask, gamma=3, alpha=0.25), np.mean(terms), **EXACT)


def test_certainty_costs_nothing_and_overflows_nowhere():
    sure = np.stack([np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])], axis=1).astype(np.float32)  # [1, 2, 2]
    for mask in (np.array([[0, 1]]), np.array([[1, 0]])):
        for f in (losses.focal, lambda p, m: losses.bce(p[:, 1], m), lambda p, m: losses.dice(p[:, 1], m)):
            value, (g,) = value_and_gradients(f, [sure], [mask])
            assert np.isfinite(value)
            assert np.isfinite(g).all()
    assert abs(losses.focal(sure, np.array([[0, 1]]))) < 1e-9
    assert losses.bce(sure[:, 1], np.array([[0, 1]])) == 0
    assert losses.bce(sure[:, 1], np.array([[1, 0]])) == 100  # as in torch, whose logarithm ends at -100
    logits = np.array([[1e4, -1e4]], np.float32)
    value, (g,) = value_and_gradients(losses.cross_entropy, [logits], [np.array([1])])
    assert value == 2e4
    np.testing.assert_array_equal(g, [[1, -1]])
    value, (g,) = value_and_gradients(losses.bce_with_logits, [logits], [np.array([[0, 1]])])
    assert value == 1e4
    np.testing.assert_array_equal(g, [[0.5, -0.5]])


def test_dice_of_an_empty_mask_and_of_itself():
    t = np.array([[0.0, 0, 0], [1, 1, 0]])
    np.testing.assert_allclose(losses.dice(t, t), 0, atol=1e-15)
    np.testing.assert_allclose(losses.dice(t, t, form="squared"), 0, atol=1e-15)
    np.testing.assert_allclose(losses.dice(np.full((1, 3), 0.5), np.zeros((1, 3))), 1 - 1 / 2.5)
    np.testing.assert_allclose(losses.dice(np.full((1, 3), 0.5), np.zeros((1, 3)), form="squared"), 1 - 1 / 1.75)


def test_pseudo_anomaly_without_a_mask_is_nothing():
    a = np.linspace(0, 1, 5)
    value, (to_clean, to_altered) = value_and_gradients(losses.pseudo_anomaly, [a, a[::-1].copy()], [np.zeros(5)])
    assert value == 0
    assert not to_clean.any()
    assert not to_altered.any()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: losses.cross_entropy(np.ones((2, 3)), np.zeros(3, int)), r"labels of shape \(3,\): expected \(2,\)"),
        (lambda: losses.focal(np.ones((2, 3, 4)), np.ones((2, 4))), r"expected \[b, 2, \.\.\.\]"),
        (lambda: losses.focal(np.ones((2, 2, 4)), np.ones((2, 1))), r"expected \[b, 2, \.\.\.\]"),
        (lambda: losses.dice(np.ones((2, 4)), np.ones((1, 4))), "dice: shapes .* expected the same"),
        (lambda: losses.dice(np.ones((2, 4)), np.ones((2, 4)), form="li"), "expected 'plain' or 'squared'"),
        (lambda: losses.bce(np.ones(4), np.ones(1)), "bce: shapes"),
        (lambda: losses.bce_with_logits(np.ones(4), np.ones(1)), "bce_with_logits: shapes"),
        (lambda: losses.cosine(np.ones((2, 4)), np.ones(4)), "cosine: shapes"),
        (lambda: losses.pseudo_anomaly(np.ones(4), np.ones(4), np.ones(1)), "pseudo_anomaly: shapes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
