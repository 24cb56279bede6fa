"""The layers against definitions written out plainly, in extended cases the golden files do not hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from refclip import attention, nn, parallel
from refclip.attention import QKV
from refclip.resample import resize, resize_matrix


def reference_gelu(x):
    return np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.ravel().tolist()]).reshape(x.shape)


def test_gelu_float32_over_the_whole_line():
    x = np.concatenate([np.linspace(-12, 12, 200_001), np.logspace(-30, 4, 500), -np.logspace(-30, 4, 500)])
    x = x.astype(np.float32)
    y = nn.gelu(x)
    assert y.dtype == np.float32
    error = np.abs(y - reference_gelu(x.astype(np.float64)))
    # 7e-8 of the fit, and float32's rounding of the polynomial and of the product, each relative to |x|
    assert (error <= 1e-7 + 2.5e-7 * np.abs(x)).all()
    assert error[np.abs(x) < 0.1].max() < 2e-8


def test_gelu_float64_is_exact():
    x = np.linspace(-12, 12, 4001)
    np.testing.assert_allclose(nn.gelu(x), reference_gelu(x), rtol=0, atol=1e-14)  # a few float64 roundings


@pytest.mark.parametrize("f", [nn.gelu, nn.quick_gelu])
def test_activations_saturate_without_warning(f):
    x = np.array([-3e38, -1e10, -1e4, -300, 50, 1e4, 1e10, 3e38, np.inf], np.float32)
    np.testing.assert_array_equal(f(x), np.where(x > 0, x, -0.0))
    assert np.isnan(f(np.array([np.nan], np.float32))).all()


def test_quick_gelu():
    x = np.linspace(-30, 30, 4001)
    np.testing.assert_allclose(nn.quick_gelu(x), x / (1 + np.exp(-1.702 * x)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        nn.quick_gelu(np.float32(x)), x / (1 + np.exp(-1.702 * x)), rtol=0, atol=4e-6
    )  # |x| to 30


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 70_000), (0, 4)])
def test_activations_of_any_shape_and_of_views(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for f in (nn.gelu, nn.quick_gelu):
        whole = f(x)
        assert whole.shape == shape
        np.testing.assert_array_equal(f(np.concatenate([x, x], axis=-1)[..., : shape[-1]]), whole)


def test_layer_norm():
    x = np.random.default_rng(1).normal(3, 2, size=(2, 5, 64))
    p = nn.LayerNorm(np.linspace(0.5, 2, 64), np.linspace(-1, 1, 64))
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p.gain + p.bias
    np.testing.assert_allclose(nn.layer_norm(x, p), expected, rtol=0, atol=1e-13)  # float64 summation order
    constant = nn.layer_norm(np.full((1, 64), 7.0), p)
    np.testing.assert_array_equal(constant[0], p.bias)


def test_softmax():
    x = np.random.default_rng(2).normal(size=(3, 7)) * 500
    y = nn.softmax(x, axis=0)
    np.testing.assert_allclose(y.sum(0), 1, rtol=1e-14)  # float64
    expected = np.exp(x - np.logaddexp.reduce(x, axis=0))
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-300)  # exponents of size 500 lose 3 digits


def slow_attention(left, right, values, heads, mask=None):
    """One query at a time, straight from the formula."""
    b, r, d = left.shape
    n, c = right.shape[1], d // heads
    out, maps = np.zeros((b, r, d)), np.zeros((b, heads, r, n))
    for i in range(b):
        for h in range(heads):
            s = slice(h * c, (h + 1) * c)
            for j in range(r):
                score = np.array([left[i, j, s] @ right[i, m, s] / math.sqrt(c) for m in range(n)])
                if mask is not None:
                    score = score + np.broadcast_to(mask, (b, heads, r, n))[i, h, j]
                weight = np.exp(score - score.max())
                maps[i, h, j] = weight / weight.sum()
                out[i, j, s] = maps[i, h, j] @ values[i, :, s]
    return out, maps


@pytest.mark.parametrize("limit", [1, 40, 10**9])  # every way of cutting the work: a head, some heads, several images
def test_attend_against_a_loop(limit, monkeypatch):
    monkeypatch.setattr(attention, "SCORES", limit)
    rng = np.random.default_rng(3)
    q, k, v = rng.normal(size=(3, 3, 5, 12))
    for heads in (1, 2, 4):
        for mask in (
            None,
            attention.causal_mask(5, q),
            rng.normal(size=(3, heads, 5, 5)),
            rng.normal(size=(3, 1, 5, 5)),
        ):
            out, maps = slow_attention(q, k, v, heads, mask)
            np.testing.assert_allclose(attention.attend(q, k, v, heads, mask), out, rtol=0, atol=1e-13)
            np.testing.assert_allclose(attention.attention_map(q, k, heads, mask), maps, rtol=0, atol=1e-13)


def test_rows_are_rows_of_the_whole():
    rng = np.random.default_rng(4)
    d = 12
    p = attention.Attention(
        nn.Linear(rng.normal(size=(3 * d, d)), rng.normal(size=3 * d)),
        nn.Linear(rng.normal(size=(d, d)), rng.normal(size=d)),
    )
    qkv = attention.project(rng.normal(size=(2, 6, d)), p)
    assert isinstance(qkv, QKV)
    rows = np.array([[4, 0], [2, 2]])
    for variant in attention.VARIANTS:
        for mask in (None, attention.causal_mask(6, qkv.q), rng.normal(size=(2, 3, 6, 6))):
            whole = attention.attention(qkv, p, 3, variant=variant, mask=mask)
            some = attention.attention(qkv, p, 3, variant=variant, mask=mask, rows=rows)
            np.testing.assert_allclose(some, np.take_along_axis(whole, rows[:, :, None], 1), rtol=0, atol=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["bilinear", "bicubic"]), st.booleans())
def test_resizing_keeps_a_constant(old, new, mode, antialias):
    matrix = resize_matrix(old, new, mode, antialias)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)  # float64
    if old == new:
        np.testing.assert_allclose(matrix, np.eye(old), atol=1e-12)


def test_resizing_aligned_corners_keeps_corners():
    x = np.random.default_rng(5).normal(size=(2, 5, 7))
    y = resize(x, (11, 4), "bilinear", align_corners=True)
    assert y.shape == (2, 11, 4)
    np.testing.assert_allclose(y[:, [0, 0, -1, -1], [0, -1, 0, -1]], x[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-12)


@pytest.mark.parametrize(("args", "says"), [(("cubic",), "bilinear"), (("bilinear", True, True), "exclude")])
def test_resizing_refuses(args, says):
    with pytest.raises(ValueError, match=says):
        resize(np.zeros((4, 4)), (2, 2), *args)
    with pytest.raises(ValueError, match="at least 1"):
        resize(np.zeros((4, 4)), (0, 2))


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 5))
def test_even_pieces(items, most, pieces):
    size = parallel.even(items, most, pieces)
    assert 1 <= size <= max(most, 1)
    assert size <= -(-items // pieces)  # so that every one of `pieces` threads has work, where there is enough


def test_map_batch_joins_tuples_and_dicts_in_order():
    x = np.arange(10).reshape(10, 1)
    out = parallel.map_batch(lambda a: (a * 2, {"k": a + 1}, None), x, size=3, threads=4)
    np.testing.assert_array_equal(out[0], x * 2)
    np.testing.assert_array_equal(out[1]["k"], x + 1)
    assert out[2] is None


def test_an_error_in_a_thread_is_not_lost():
    def fail(a):
        raise RuntimeError(f"item {a[0, 0]}")

    with pytest.raises(RuntimeError, match="item"):
        parallel.map_batch(fail, np.ones((4, 1)), threads=2)


def test_overlapping_callers_leave_blas_as_it_was():
    def threads():
        # the libraries that were there when refclip looked, NumPy's among them; a test may have brought others since
        found = {library["filepath"] for library in parallel.one_blas_thread.libraries.info()}
        info = [library for library in threadpool_info() if library["filepath"] in found]
        return [library["num_threads"] for library in info if library["user_api"] == "blas"]

    before = threads()
    assert before
    parallel.one_blas_thread.__enter__()
    parallel.one_blas_thread.__enter__()
    assert set(threads()) == {1}
    parallel.one_blas_thread.__exit__()
    assert set(threads()) == {1}
    parallel.one_blas_thread.__exit__()
    assert threads() == before


def test_the_variables_that_blas_obeys_limit_our_threads_too(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    free = parallel.default_threads()
    assert free >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert parallel.default_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert parallel.default_threads() == free
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "100000")
    assert parallel.default_threads() == free
