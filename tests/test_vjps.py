"""Every primitive's vjp against central differences in float64, in random directions and of random shapes."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest

import refclip
from refclip import attention, elementary, enlarged, losses, nn, resample, vit
from refclip.autograd import Tape
from refclip.tree import leaves
from tests.devicearray import DeviceArray, devicexp

STEP = 1e-5
# A central difference is off by STEP^2 / 6 times a third derivative, 1e-11 times a few; rounding adds 1e-16 / STEP.
# Both grow with |g| |u|, hence the scale in `check`.
TOLERANCE = 1e-8


def check(f, arrays, rng, wanted=None, tolerance=TOLERANCE):
    """<dL/dx, u> against (L(x + h u) - L(x - h u)) / 2 h, L = <w, f(x)>, for each array of `wanted`."""
    wanted = range(len(arrays)) if wanted is None else wanted
    tape = Tape()
    variables = [tape.var(a) if i in wanted else a for i, a in enumerate(arrays)]
    out = f(*variables)
    w = rng.normal(size=out.shape)
    before = w.copy()
    found = tape.backward(out, [variables[i] for i in wanted], w)
    np.testing.assert_array_equal(w, before)  # a vjp never changes g
    for i, g in zip(wanted, found, strict=True):
        assert g.shape == arrays[i].shape
        assert g.dtype == arrays[i].dtype
        for _ in range(2):
            u = rng.normal(size=g.shape)
            moved = [f(*(a + s * STEP * u if i == j else a for j, a in enumerate(arrays))) for s in (1, -1)]
            numeric = ((moved[0] - moved[1]) * w).sum() / (2 * STEP)
            scale = 1 + np.linalg.norm(g) * np.linalg.norm(u)
            assert abs((g * u).sum() - numeric) <= tolerance * scale, (i, (g * u).sum(), numeric)


def sides(rng):
    return rng.integers(1, 5, 3)


def cases_of_elementary(rng):
    a, b, c = (int(n) for n in sides(rng))
    x, y, row = rng.normal(size=(a, b, c)), rng.normal(size=(a, b, c)), rng.normal(size=(b, 1))
    away = y + 2 * np.sign(y)  # a divisor that is not near 0
    seen = rng.uniform(size=(b, c)) < 0.5
    index = rng.integers(0, a, (2, 3))
    return [
        (elementary.add, lambda x, y: x + y, [x, y]),
        (elementary.add, lambda x, y: x + y + 1.5, [x, row]),
        (elementary.subtract, lambda x, y: x - y, [row, x]),
        (elementary.subtract, lambda x: 2.0 - x, [x]),
        (elementary.multiply, lambda x, y: x * y * 3, [x, row]),
        (elementary.divide, lambda x, y: x / y, [row, away]),
        (elementary.divide, lambda y: 1 / y, [away]),
        (elementary.negative, lambda x: -x, [x]),
        (elementary.matmul, lambda x, y: x @ y, [x, rng.normal(size=(c, 4))]),
        (elementary.matmul, lambda x, y: x @ y, [x, rng.normal(size=(a, c, 2))]),
        (elementary.matmul, lambda x, y: x @ y, [rng.normal(size=(3, b)), x]),
        (elementary.matmul, lambda x, y: x @ y, [x, rng.normal(size=c)]),
        (elementary.matmul, lambda x, y: x @ y, [rng.normal(size=b), x]),
        (elementary.matmul, lambda x, y: x @ y, [rng.normal(size=c), rng.normal(size=(c, 2))]),
        (elementary.matmul, lambda x, y: x @ y, [rng.normal(size=c), rng.normal(size=c)]),
        (elementary.exp, elementary.exp, [x]),
        (elementary.log, elementary.log, [np.exp(x)]),
        (elementary.sigmoid, elementary.sigmoid, [3 * x]),
        (elementary.where, lambda x, y: elementary.where(seen, x, y), [x, row]),
        (elementary.where, lambda y: elementary.where(seen, 0.0, y), [x]),
        (elementary.sum, lambda x: x.sum(), [x]),
        (elementary.sum, lambda x: x.sum(axis=1), [x]),
        (elementary.sum, lambda x: x.sum(axis=(0, -1), keepdims=True), [x]),
        (elementary.mean, lambda x: x.mean(axis=(0, 2)), [x]),
        (elementary.mean, lambda x: x.mean(), [x]),
        (elementary.getitem, lambda x: x[..., None, :1], [x]),
        (elementary.getitem, lambda x: x[0], [x]),
        (elementary.getitem, lambda x: x[:, ::-1], [x]),
        (elementary.getitem, lambda x: x[index], [x]),  # with repeats
        (elementary.getitem, lambda x: x[:, index % b], [x]),
        (elementary.getitem, lambda x: x[:, seen], [x]),
        (elementary.getitem, lambda x: x[np.arange(a), np.arange(a) % b], [x]),
        (elementary.reshape, lambda x: x.reshape(-1, c), [x]),
        (elementary.reshape, lambda x: x.reshape((c, a * b)), [x]),
        (elementary.transpose, lambda x: x.transpose(1, 2, 0), [x]),
        (elementary.transpose, lambda x: x.transpose((2, 0, -2)), [x]),
        (elementary.transpose, lambda x: x.T, [x]),
        (elementary.swapaxes, lambda x: x.swapaxes(-1, 0), [x]),
        (elementary.broadcast_to, lambda x: elementary.broadcast_to(x, (2, a, b, 3)), [x[..., :1]]),
        (elementary.astype, lambda x: x.astype(np.float64), [x]),
        (elementary.concat, lambda x, y: elementary.concat(x, y, x, axis=1), [x, y[:, :1]]),
        (elementary.concat, lambda y: elementary.concat(x, y, axis=-1), [y]),
        (elementary.stack, lambda x, y: elementary.stack(x, y, axis=1), [x, y]),
    ]  # fmt: skip


def cases_of_layers(rng):
    b, n, d = (int(k) for k in sides(rng) + 1)
    x = rng.normal(size=(b, n, d))
    rows = rng.integers(0, n, (b, 3))  # with repeats
    weight, bias, gain = rng.normal(size=(5, d)), rng.normal(size=5), rng.normal(size=d)
    target = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
    images = rng.normal(size=(b, 3, 7, 9))
    return [
        (nn._linear, lambda *a: nn.linear(a[0], nn.Linear(*a[1:])), [x, weight, bias]),
        (nn._layer_norm, lambda *a: nn.layer_norm(a[0], nn.LayerNorm(*a[1:])), [x, gain, bias[:1] + gain]),
        (nn._layer_norm, lambda x: nn.layer_norm(x, nn.LayerNorm(gain, gain), 0.3), [x]),
        (nn.softmax, nn.softmax, [3 * x]),
        (nn.softmax, lambda x: nn.softmax(x, axis=1), [3 * x]),
        (nn.gelu, nn.gelu, [3 * x]),
        (nn.quick_gelu, nn.quick_gelu, [3 * x]),
        (nn.gather, lambda x: nn.gather(x, rows), [x]),
        (nn.overwrite, lambda x, t: nn.overwrite(x, t), [x, rng.normal(size=(n - 1, d))]),
        (nn.overwrite, lambda x, t: nn.overwrite(x, t, start=0), [x, rng.normal(size=(b, 1, d))]),
        (nn.normalize, nn.normalize, [x]),
        (nn.normalize, lambda x: nn.normalize(x * 1e-15), [x]),  # below the floor of 1e-12
        (resample.resize, lambda x: resample.resize(x, target), [images]),
        (resample.resize, lambda x: resample.resize(x, target, align_corners=True), [images]),
        (resample.resize, lambda x: resample.resize(x, target, "bicubic", antialias=True), [images]),
        (vit.patchify, lambda x: vit.patchify(x, 3), [images]),
        (vit.patchify, lambda x: vit.patchify(x, 2), [images]),
    ]


def cases_of_attention(rng):
    b, r, n = (int(k) for k in sides(rng))
    heads, d = int(rng.integers(1, 4)), 12
    l, k, v = rng.normal(size=(b, r, d)), rng.normal(size=(b, n, d)), rng.normal(size=(b, n, d))
    causal = attention.causal_mask(n, v)
    window = attention.visible(rng.uniform(size=(b, 1, 1, n)) < 0.5, v)
    window[..., 0] = 0  # someone is to be seen
    weights = attention.Attention(
        nn.Linear(rng.normal(size=(3 * d, d)) / 3, rng.normal(size=3 * d)),
        nn.Linear(rng.normal(size=(d, d)) / 3, rng.normal(size=d)),
    )
    rows = rng.integers(0, n, (b, 2))

    def layer(variant, **options):
        return lambda x: attention.attention(attention.project(x, weights), weights, heads, variant=variant, **options)

    f = attention.attend
    return [
        (f, lambda l, k, v: attention.attend(l, k, v, heads), [l, k, v]),
        (f, lambda l, k, v: attention.attend(l, k, v, heads, window), [l, k, v]),
        (f, lambda l, k, v: attention.attend(l, k, v, heads, mask=causal), [k, k + 0.1, v]),
        (f, lambda v: attention.attend(v, v, v, heads, causal), [v]),
        *((f, layer(variant, mask=mask), [v]) for variant in attention.VARIANTS for mask in (None, causal, window)),
        *((f, layer(variant, mask=causal, rows=rows), [v]) for variant in attention.VARIANTS),
    ]


def cases_of_losses(rng):
    b, h, w = (int(k) for k in sides(rng) + 1)
    logits = rng.normal(size=(b, 2, h, w))
    p, mask = nn.softmax(logits / 3, axis=1), (rng.uniform(size=(b, h, w)) < 0.4) * 1.0
    labels = rng.integers(0, w, (b, 2, h))
    a, c, share = rng.uniform(size=(3, 9))
    share *= share > 0.4
    fine = mask.repeat(3, axis=2)
    return [
        (losses.cross_entropy, lambda x: losses.cross_entropy(x, labels), [logits]),
        (losses.focal, lambda p: losses.focal(p, mask), [p]),
        (losses.focal, lambda p: losses.focal(p, mask, gamma=1.5, alpha=0.3), [p]),
        (losses.focal, lambda p: losses.focal(p, mask, gamma=0), [p]),
        (enlarged.enlarged_focal, lambda s: enlarged.enlarged_focal(s, fine), [p]),
        (enlarged.enlarged_focal, lambda s: enlarged.enlarged_focal(s, fine, gamma=1.5, alpha=0.3), [p]),
        (losses.dice, lambda p: losses.dice(p[:, 1], mask), [p]),
        (losses.dice, lambda p: losses.dice(p, mask, form="squared", smooth=0.5), [p[:, 1]]),
        (losses.bce, lambda p: losses.bce(p, mask), [p[:, 0]]),
        (losses.bce_with_logits, lambda x: losses.bce_with_logits(x, mask), [5 * logits[:, 0]]),
        (losses.cosine, losses.cosine, [logits[:, 0], logits[:, 1]]),
        (losses.pseudo_anomaly, lambda a, c: losses.pseudo_anomaly(a, c, share), [a, c]),
        (losses.pseudo_anomaly, lambda a, c: losses.pseudo_anomaly(a, c, 0 * share), [a, c]),
    ]


FAMILIES = [cases_of_elementary, cases_of_layers, cases_of_attention, cases_of_losses]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_against_central_differences(family, seed):
    rng = np.random.default_rng(seed)
    for f, call, arrays in family(rng):
        try:
            check(call, arrays, rng)
            if len(arrays) > 1:  # what is no variable gets nothing, and the others the same
                check(call, arrays, rng, wanted=[int(rng.integers(len(arrays)))])
        except Exception as error:
            error.add_note(f"{f.__name__}, shapes {[a.shape for a in arrays]}")
            raise


def primitives():
    """Every function of the package that `primitive` made."""
    found = {}
    for module in pkgutil.walk_packages(refclip.__path__, "refclip."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                if hasattr(value, "vjp") and hasattr(value, "__wrapped__"):
                    found[value] = f"{value.__module__}.{value.__name__}"
    return found


def test_every_primitive_has_a_vjp_and_a_check_here():
    Tape()  # loads them
    found = primitives()
    assert len(found) >= 35
    assert not [name for f, name in found.items() if f.vjp is None]
    checked = {f for family in FAMILIES for f, _, _ in family(np.random.default_rng(0))}
    ours = {f: name for f, name in found.items() if ".methods." not in name}  # a method's own are its test's to check
    assert not [name for f, name in ours.items() if f not in checked]


def test_every_vjp_has_its_derivation():
    Tape()
    for f, name in primitives().items():
        assert len((f.vjp.__doc__ or "").split()) >= 3, name


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_in_float32_and_on_the_device(family, seed):
    """float32 stays float32 and near; on an array type as strict as CuPy's, the numbers are NumPy's."""
    for f, call, arrays in family(np.random.default_rng(seed)):
        if any(True for cell in call.__closure__ or () for _ in leaves(cell.cell_contents)):
            continue  # it closes over arrays of the host; towers and losses have tests on the device of their own
        w = np.random.default_rng(seed + 1).normal(size=call(*arrays).shape)
        answers = []
        for place, dtype in ((np, np.float64), (np, np.float32), (devicexp, np.float64)):
            tape = Tape()
            variables = [tape.var(place.asarray(a.astype(dtype))) for a in arrays]
            answers.append(tape.backward(call(*variables), variables, place.asarray(w.astype(dtype))))
        for exact, single, device in zip(*answers, strict=True):
            assert isinstance(device, DeviceArray), f.__name__
            np.testing.assert_allclose(device.get(), exact, rtol=1e-12, atol=1e-12, err_msg=f.__name__)
            if f is not elementary.astype:
                assert single.dtype == np.float32, f.__name__
            # a dozen float32 roundings, 6e-8 each, on values of order 1 to 100
            size = 1 + np.abs(exact).max(initial=0)
            np.testing.assert_allclose(single, exact, rtol=0, atol=3e-6 * size, err_msg=f.__name__)


@pytest.mark.parametrize("f", [nn.gelu, nn.quick_gelu])
def test_slopes_of_activations_in_float32_over_the_whole_line(f):
    x = np.concatenate([np.linspace(-12, 12, 200_001), np.logspace(-30, 4, 500), -np.logspace(-30, 4, 500)])
    x = np.concatenate([x, [-3e38, 3e38]]).astype(np.float32)
    answers = []
    for place, dtype in ((np, np.float32), (np, np.float64), (devicexp, np.float32)):
        tape = Tape()
        v = tape.var(place.asarray(x.astype(dtype)))
        answers.append(tape.backward(f(v), [v], place.ones(x.shape, dtype=dtype))[0])
    single, exact, device = answers
    # exp in a chunk and over the whole array may differ in the last bit
    np.testing.assert_allclose(device.get(), single, rtol=0, atol=4e-7)
    assert single.dtype == np.float32
    # 1.1e-7 of the fit of Phi, and a handful of float32 roundings of numbers up to 1.13
    np.testing.assert_allclose(single, exact, rtol=0, atol=4e-7)
    np.testing.assert_allclose(single[np.abs(x) > 1000], x[np.abs(x) > 1000] > 0, rtol=0, atol=1e-30)  # saturated


@pytest.mark.parametrize("limit", [1, 40, 10**9])
def test_attention_in_every_way_of_cutting_the_work(limit, monkeypatch):
    rng = np.random.default_rng(5)
    l, k, v, w = rng.normal(size=(4, 3, 5, 12))
    answers = []
    for scores in (10**9, limit):
        monkeypatch.setattr(attention, "SCORES", scores)
        tape = Tape()
        variables = [tape.var(x) for x in (l, k, v)]
        answers.append(tape.backward(attention.attend(*variables, 4, attention.causal_mask(5, l)), variables, w))
    for a, b in zip(*answers, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)  # float64, the same sums


def test_the_adjoint_of_resizing():
    rng = np.random.default_rng(6)
    x, g = rng.normal(size=(2, 5, 9)), rng.normal(size=(2, 11, 4))
    for how in (("bilinear",), ("bilinear", False, True), ("bicubic", True)):
        forth, back = resample.resize(x, (11, 4), *how), resample.resize_adjoint(g, (5, 9), *how)
        np.testing.assert_allclose((forth * g).sum(), (x * back).sum(), rtol=1e-12)  # float64
