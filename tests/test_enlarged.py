"""The losses of an enlarged map against those of the map enlarged in full, and in every way of cutting the work."""

from __future__ import annotations

import numpy as np
import pytest

from refclip import enlarged, losses, parallel
from refclip.autograd import Tape
from refclip.enlarged import enlarged_dice, enlarged_focal, target_of
from refclip.nn import softmax
from refclip.resample import resize
from tests.devicearray import devicexp

FORMS = ("plain", "squared")
SIZE = (23, 31)


def case(dtype=np.float64, seed=0):
    """Logits [3, 2, 5, 7] and a mask [3, 23, 31]: one image normal, one half covered, one covered."""
    rng = np.random.default_rng(seed)
    mask = rng.uniform(size=(3, *SIZE)) < 0.5
    mask[0], mask[2] = False, True
    return (3 * rng.normal(size=(3, 2, 5, 7))).astype(dtype), mask.astype(dtype)


def in_full(logits, mask, gamma, form):
    p = resize(softmax(logits, 1), mask.shape[1:], "bilinear")
    dices = losses.dice(p[:, 0], 1 - mask, form) + losses.dice(p[:, 1], mask, form)
    return losses.focal(p, mask, gamma, 0.7) + dices


def in_pieces(logits, mask, gamma, form):
    s, target = softmax(logits, 1), target_of(mask, logits.shape[2:])
    dices = enlarged_dice(s[:, 0], target, 0, form) + enlarged_dice(s[:, 1], target, 1, form)
    return enlarged_focal(s, target.mask, gamma, 0.7) + dices


def value_and_gradient(f, logits, *args):
    tape = Tape()
    x = tape.var(logits)
    out = f(x, *args)
    return out.value, tape.backward(out, [x])[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gamma", [2.0, 1.0, 1.5, 0.0])
def test_they_are_those_of_the_whole_map(gamma, form):
    logits, mask = case()
    value, slope = value_and_gradient(in_full, logits, mask, gamma, form)
    found, ours = value_and_gradient(in_pieces, logits, mask, gamma, form)
    near = 1e-13  # relative: float64 on both sides, sums over some thousand pixels in another order
    np.testing.assert_allclose(found, value, rtol=near)
    np.testing.assert_allclose(ours, slope, rtol=0, atol=near * np.abs(slope).max())
    np.testing.assert_allclose(in_pieces(logits, mask, gamma, form), value, rtol=near)


@pytest.mark.parametrize("form", FORMS)
def test_single_precision_is_as_near_as_that_of_the_whole_map(form):
    logits, mask = case()
    value, slope = value_and_gradient(in_full, logits, mask, 2.0, form)
    single = (logits.astype(np.float32), mask.astype(np.float32), 2.0, form)
    found, ours = value_and_gradient(in_pieces, *single)
    assert found.dtype == ours.dtype == np.float32
    # some ten roundings of 6e-8; the losses on the whole map are off by as much
    np.testing.assert_allclose(found, value, rtol=1e-6)
    np.testing.assert_allclose(ours, slope, rtol=0, atol=1e-6 * np.abs(slope).max())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chunk", [1, 100, 10**6])
def test_in_every_way_of_cutting_the_work(chunk, threads, monkeypatch):
    logits, mask = case()
    value, slope = value_and_gradient(in_pieces, logits, mask, 2.0, "plain")
    monkeypatch.setattr(enlarged, "CHUNK", chunk)
    monkeypatch.setattr(parallel, "default_threads", lambda: threads)
    found, ours = value_and_gradient(in_pieces, logits, mask, 2.0, "plain")
    near = 1e-14  # relative: float64, the same terms, each piece summed by itself
    np.testing.assert_allclose(found, value, rtol=near)
    np.testing.assert_allclose(ours, slope, rtol=0, atol=near * np.abs(slope).max())


@pytest.mark.parametrize("form", FORMS)
def test_on_the_device(form):
    logits, mask = case()
    value, slope = value_and_gradient(in_pieces, logits, mask, 2.0, form)
    found, ours = value_and_gradient(in_pieces, devicexp.asarray(logits), devicexp.asarray(mask), 2.0, form)
    near = 1e-13  # relative: float64, all images and rows at once there, in pieces here
    np.testing.assert_allclose(found.get(), value, rtol=near)
    np.testing.assert_allclose(ours.get(), slope, rtol=0, atol=near * np.abs(slope).max())


def test_what_patches_see_of_a_mask():
    """The adjoint of enlarging loses no pixel: its sums are the mask's areas."""
    _, mask = case()
    target = target_of(mask, (5, 7))
    np.testing.assert_allclose(target.under.sum(axis=(2, 3)), target.area, rtol=0, atol=1e-11)  # of 713 pixels
    np.testing.assert_array_equal(target.area.sum(axis=1), np.prod(SIZE))
    np.testing.assert_array_equal(target.area[:, 1], mask.sum(axis=(1, 2)))


def test_the_map_is_kept_nowhere():
    """What a tape keeps of the focal loss is the map as it came, and the mask."""
    logits, mask = case()
    tape = Tape()
    s = softmax(tape.var(logits), 1)
    before = tape.nbytes
    enlarged_focal(s, mask)
    assert tape.nbytes - before < mask.nbytes / 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s, t: enlarged_focal(s[:2], t.mask), r"maps \(2, 2, 5, 7\), mask \(3, 23, 31\)"),
        (lambda s, t: enlarged_focal(s, t.mask[0]), r"expected \[b, 2, gh, gw\] and \[b, H, W\]"),
        (lambda s, t: enlarged_dice(s[:, 0], t, 0, "li"), "form='li': expected 'plain' or 'squared'"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    logits, mask = case()
    with pytest.raises(ValueError, match=says):
        call(softmax(logits, 1), target_of(mask, (5, 7)))
