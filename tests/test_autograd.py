"""The tape: what is recorded, kept, refused, and added up on the way back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import refclip
from refclip import elementary, nn, vit
from refclip.autograd import Tape, Var, constant, defvjp, primitive
from refclip.recompute import recompute
from refclip.text import text_tower
from refclip.transformer import Dual
from refclip.tree import leaves, tree_map, value_and_gradient
from tests import randomclip
from tests.devicearray import DeviceArray, devicexp, upload
from tests.training_cases import prompts, weight_of

SAME = {"rtol": 1e-12, "atol": 1e-12}  # float64, the same sums in another order
EXACT = {"rtol": 1e-8, "atol": 1e-9}  # torch's float64 gradients through a whole tower: the order of summation


def names(tape):
    return [record.name for record in tape]


def gradient(f, x, w):
    tape = Tape()
    v = tape.var(x)
    return tape.backward(f(v), [v], w)[0]


# --- adding up -------------------------------------------------------------------------------------------------------


def test_a_variable_used_often():
    """x enters four times, through shared gradients, slots and views; each must count once, and none be overwritten."""
    tape = Tape()
    x = tape.var(np.array([1.0, 2.0, 3.0]))
    y = x + x  # both get the same array
    z = y[1:] * x[:-1] + y[:2]
    (dx,) = tape.backward((z * z).sum(), [x])
    # z0 = 2 x1 x0 + 2 x0, z1 = 2 x2 x1 + 2 x1
    a, b, c = 1.0, 2.0, 3.0
    z0, z1 = 2 * a * b + 2 * a, 2 * b * c + 2 * b
    np.testing.assert_allclose(
        dx, [2 * z0 * (2 * b + 2), 2 * z0 * 2 * a + 2 * z1 * (2 * c + 2), 2 * z1 * 2 * b], **SAME
    )


def test_gradients_of_what_lies_between():
    tape = Tape()
    x = tape.var(np.array([0.5, -1.0]))
    y = x * 3
    z = elementary.exp(y)
    dz, dy, dx = tape.backward(z.sum(), [z, y, x])
    np.testing.assert_allclose(dz, 1)
    np.testing.assert_allclose(dy, z.value, **SAME)
    np.testing.assert_allclose(dx, 3 * z.value, **SAME)


def test_backward_may_be_walked_again_and_from_elsewhere():
    tape = Tape()
    x = tape.var(np.array([1.0, 2.0]))
    y = x * x
    first, second = y[0], y[1] * 3
    for _ in range(2):
        np.testing.assert_array_equal(tape.backward(first, [x])[0], [2, 0])
        np.testing.assert_array_equal(tape.backward(second, [x])[0], [0, 12])
        np.testing.assert_array_equal(tape.backward(y, [x], np.array([1.0, -1.0]))[0], [2, -4])


def test_what_the_loss_does_not_depend_on_gets_zeros():
    tape = Tape()
    x, other = tape.var(np.ones(2)), tape.var(np.ones((2, 3), np.float32))
    (g,) = tape.backward(x.sum(), [other])
    np.testing.assert_array_equal(g, np.zeros((2, 3)))
    assert g.dtype == np.float32


def test_backward_refuses():
    tape = Tape()
    x = tape.var(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"backward from shape \(2, 3\): give g"):
        tape.backward(x, [x])
    with pytest.raises(ValueError, match=r"g of shape \(3,\): expected that of the variable, \(2, 3\)"):
        tape.backward(x, [x], np.ones(3))
    with pytest.raises(ValueError, match="another tape"):
        tape.backward(x.sum(), [Tape().var(np.ones(1))])


@pytest.mark.parametrize("wrong", [lambda g: g.sum(axis=0), lambda g: g[None], lambda g: g.T])
def test_a_vjp_that_gives_another_shape_is_refused(wrong):
    """The first would broadcast when it is added to another part, and be a wrong gradient without a word."""

    @primitive
    def twice(x):
        return 2 * x

    defvjp(twice)(lambda out, x: (wrong,))
    tape = Tape()
    x = tape.var(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"twice: its vjp gave shape .*; its input has \(3, 2\)"):
        tape.backward((x + twice(x)).sum(), [x])


# --- recording -------------------------------------------------------------------------------------------------------


def test_operators_record_and_arrays_do_not():
    x = np.arange(6.0).reshape(2, 3)
    tape = Tape()
    v = tape.var(x)
    for f in (
        lambda x: 1 + x, lambda x: 1 - x, lambda x: 2 * x, lambda x: 2 / (1 + x), lambda x: -x, lambda x: x @ np.eye(3),
        lambda x: np.eye(2) @ x, lambda x: x.T, lambda x: x[0], lambda x: x.mean(axis=0), lambda x: np.ones(3) * x,
        lambda x: np.float64(2) - x, lambda x: x.astype(np.float32), lambda x: x.swapaxes(0, 1).reshape(-1),
    ):  # fmt: skip
        before = len(tape)
        recorded, plain = f(v), f(x)
        assert type(recorded) is Var
        assert len(tape) > before
        assert type(plain) is np.ndarray
        np.testing.assert_array_equal(recorded.value, plain)
        assert recorded.shape == plain.shape
        assert recorded.dtype == plain.dtype
    assert len(v) == 2
    assert v.ndim == 2
    assert v.size == 6
    assert [row.shape for row in v] == [(3,), (3,)]
    assert repr(v) == "Var(shape=(2, 3), dtype=float64)"


def test_numpy_does_not_swallow_a_variable():
    v = Tape().var(np.ones(3))
    for f in (np.asarray, np.exp, lambda v: np.concatenate([v, v]), lambda v: np.add(np.ones(3), v)):
        with pytest.raises(TypeError):
            f(v)
    np.testing.assert_array_equal(constant(v), np.ones(3))
    assert constant(3) == 3


def test_frozen_weights_cost_no_gradient():
    """Only variables have a vjp, and the arrays that others would need are not kept."""
    x, weight, bias = np.ones((4, 8)), np.ones((3, 8)), np.zeros(3)
    tape = Tape()
    nn.linear(tape.var(x), nn.Linear(weight, bias))
    (record,) = tape
    assert len(record.parents) == 1
    assert len(record.vjp(np.ones((4, 3)))) == 1
    assert record.nbytes == 0  # W was there before; x is needed for dW alone
    learned = Tape()
    nn.linear(x, nn.Linear(learned.var(weight), bias))
    (record,) = learned
    assert [g.shape for g in record.vjp(np.ones((4, 3)))] == [(3, 8)]


def test_what_a_tape_keeps():
    x, bytes_each = np.random.default_rng(0).normal(size=(4, 8)), 4 * 8 * 8
    tape = Tape()
    v = tape.var(x)
    y = nn.gelu(v)  # keeps x
    y = y + 1  # nothing
    y = nn.gelu(y)  # keeps y
    y = nn.softmax(y[:2])  # keeps its output
    y = y * y  # keeps y, which it has
    assert [r.nbytes for r in tape] == [bytes_each, 0, bytes_each, 0, bytes_each // 2, 0]
    assert tape.nbytes == 2.5 * bytes_each
    lines = str(tape).splitlines()
    assert lines[0].split() == ["operation", "inputs", "output", "bytes"]
    assert lines[1].split() == ["gelu", "(4,", "8)", "(4,", "8)", "256"]
    assert lines[-1].split() == ["total", "640"]
    assert len(lines) == 2 + len(tape)


def test_values_that_nobody_needs_are_freed():
    """The output of an addition is gone once its user is."""
    import weakref

    tape = Tape()
    v = tape.var(np.ones(1000))
    y = v + 1
    freed = weakref.ref(y.value)
    z = y + 1
    del y
    assert freed() is None
    np.testing.assert_array_equal(tape.backward(z.sum(), [v])[0], np.ones(1000))


def test_more_than_the_limit_is_refused_with_the_figure():
    tape = Tape(limit=1000)
    x = tape.var(np.ones((10, 10)))
    y = nn.gelu(x) + 1
    with pytest.raises(MemoryError, match=r"gelu after 2 operations: .* keep 1,600 bytes by now, allowed are 1,000"):
        nn.gelu(y)
    value_and_gradient(lambda p: nn.gelu(p).sum(), np.ones((10, 10)), limit=800)
    with pytest.raises(MemoryError, match="recompute"):
        value_and_gradient(lambda p: nn.gelu(p).sum(), np.ones((10, 10)), limit=799)


def test_variables_where_no_derivative_is_known():
    tape = Tape()
    x = tape.var(np.ones((1, 2, 4)))
    with pytest.raises(TypeError, match="gather: no derivative with respect to argument 1"):
        nn.gather(np.ones((1, 2, 4)), tape.var(np.zeros((1, 1), int)))

    @primitive
    def unknown(x):
        return x

    with pytest.raises(TypeError, match="unknown: no derivative is defined"):
        unknown(x)
    assert unknown(3) == 3
    defvjp(unknown)(lambda out, x: (lambda g: 2 * g,))
    np.testing.assert_array_equal(tape.backward(unknown(x).sum(), [x])[0], np.full((1, 2, 4), 2.0))


def test_inference_loads_no_derivatives(small_folder):
    program = (
        "import sys, refclip; clip = refclip.load(sys.argv[1]); refclip.encode_text(clip, 'a'); "
        "sys.exit('refclip.vjps' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(small_folder)], check=True, timeout=600)


# --- towers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pixels():
    return randomclip.pixels((2, 3, 40, 40), seed=32).astype(np.float64)


@pytest.fixture(scope="module")
def answers(golden):
    return golden("training")


@pytest.mark.parametrize("name", ["small", "small-quickgelu"])
def test_prompt_gradients_are_torchs(small_folder, answers, name):
    """Through the causal tower, with frozen weights, deep tokens overwriting slots at the input of two blocks."""
    clip = refclip.load(small_folder, dtype="float64", activation="quick_gelu" if "quick" in name else "gelu")
    case = prompts(seed=31, width=96, n=11, blocks=3)

    def embedding(p):
        return text_tower(clip.text, p["x"], case.ends, deep=p["deep"])[0]

    parameters = {"x": case.x, "deep": case.deep}
    np.testing.assert_allclose(embedding(parameters), answers[f"{name}.embedding"], **EXACT)
    w = weight_of((2, 48))
    value, g = value_and_gradient(lambda p: (embedding(p) * w).sum(), parameters)
    np.testing.assert_allclose(value, (answers[f"{name}.embedding"] * w).sum(), **EXACT)
    np.testing.assert_allclose(g["x"], answers[f"{name}.x"], **EXACT)
    for i in range(2):
        np.testing.assert_allclose(g["deep"][i], answers[f"{name}.deep{i}"], **EXACT)
    _, some = value_and_gradient(lambda deep: (embedding({"x": case.x, "deep": deep}) * w).sum(), case.deep)
    np.testing.assert_allclose(some[1], g["deep"][1], **SAME)  # the first block is not recorded at all


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("variant", ["plain", "q-k", "q-q", "k-k", "v-v"])
def test_pixel_gradients_are_torchs(small, pixels, answers, variant, recomputed):
    dual = None if variant == "plain" else Dual(variant, 1)

    def patches(x):
        return refclip.encode_tokens(small, x, layers=[4], dual=dual, recomputed=recomputed).patches[4]

    g = gradient(patches, pixels, weight_of((2, 25, 48)))
    np.testing.assert_allclose(g, answers[f"small.pixels.{variant}"], **EXACT)


def test_pixel_gradients_with_quick_gelu(small_folder, pixels, answers):
    clip = refclip.load(small_folder, dtype="float64", activation="quick_gelu")
    g = gradient(lambda x: refclip.encode_tokens(clip, x, layers=[4]).patches[4], pixels, weight_of((2, 25, 48)))
    np.testing.assert_allclose(g, answers["small-quickgelu.pixels.plain"], **EXACT)


def test_towers_in_float32(small_folder, pixels, answers):
    clip = refclip.load(small_folder)
    x, w = pixels.astype(np.float32), weight_of((2, 25, 48)).astype(np.float32)
    g = gradient(lambda x: refclip.encode_tokens(clip, x, layers=[4]).patches[4], x, w)
    assert g.dtype == np.float32
    exact = answers["small.pixels.plain"]
    # four blocks of float32 rounding there and back, 6e-8 an operation
    assert np.linalg.norm(g - exact) < 3e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    "f",
    [
        lambda clip, x: refclip.encode_image(clip, x, normalize=True),
        lambda clip, x: refclip.encode_tokens(clip, x, layers=[2, 4], normalize=True, threads=4).patches[2],
        lambda clip, x: refclip.encode_tokens(clip, x, trace=True, layers=[4]).trace[2].mlp,
        lambda clip, x: refclip.encode_windows(clip, x, vit.sliding_windows((3, 5), 2)[:3], threads=3),
        lambda clip, x: refclip.encode_windows(clip, x, vit.sliding_windows((3, 5), 2)[:3], how="mask"),
        lambda clip, x: refclip.similarity(clip, refclip.encode_image(clip, x), np.ones((2, 48))),
    ],
)
def test_every_way_through_the_image_tower(small, f):
    """Unsplit, whatever the threads; positions resized; class token only, taps, traces, windows."""
    x = randomclip.pixels((2, 3, 24, 40), seed=4).astype(np.float64)
    rng = np.random.default_rng(7)
    plain = f(small, x)
    tape = Tape()
    v = tape.var(x)
    out = f(small, v)
    np.testing.assert_allclose(out.value, plain, rtol=1e-10, atol=1e-10)  # float64; batches are cut otherwise
    w, u, step = rng.normal(size=plain.shape), rng.normal(size=x.shape), 1e-5
    (g,) = tape.backward(out, [v], w)
    numeric = ((f(small, x + step * u) - f(small, x - step * u)) * w).sum() / (2 * step)
    # step^2 times a third derivative through four blocks, and rounding / step
    assert abs((g * u).sum() - numeric) < 1e-7 * np.linalg.norm(g) * np.linalg.norm(u)


@pytest.mark.parametrize("options", [{"dual": Dual("v-v", 2)}, {"recomputed": True}])
def test_pixels_on_the_device(small, pixels, options):
    def patches(clip):
        return lambda x: refclip.encode_tokens(clip, x, layers=[4], **options).patches[4]

    w = weight_of((2, 25, 48))
    host = gradient(patches(small), pixels, w)
    there = gradient(patches(upload(small)), devicexp.asarray(pixels), devicexp.asarray(w))
    assert isinstance(there, DeviceArray)
    np.testing.assert_allclose(there.get(), host, **EXACT)


def test_prompts_on_the_device(small):
    device = upload(small)
    case = prompts(seed=31, width=96, n=11, blocks=3)
    w = weight_of((2, 48))

    def loss(text, ends, weight):
        return lambda p: (text_tower(text, p[0], ends, deep=p[1])[0] * weight).sum()

    _, host = value_and_gradient(loss(small.text, case.ends, w), (case.x, case.deep))
    _, there = value_and_gradient(
        loss(device.text, devicexp.asarray(case.ends), devicexp.asarray(w)), upload((case.x, case.deep))
    )
    for a, b in zip(leaves(there), leaves(host), strict=True):
        np.testing.assert_allclose(a.get(), b, **EXACT)


def test_deep_tokens_that_do_not_fit_are_refused(small):
    case = prompts(seed=31, width=96, n=11, blocks=4)
    with pytest.raises(ValueError, match="deep tokens for 3 blocks: this tower has 3, and the first takes none"):
        text_tower(small.text, case.x, case.ends, deep=case.deep)
    with pytest.raises(ValueError, match="tokens at positions 8 to 11: there are 0 to 10"):
        text_tower(small.text, case.x, case.ends, deep=case.deep[:1], start=8)


# --- recomputing -----------------------------------------------------------------------------------------------------


def test_recomputing_keeps_less_and_changes_nothing(small, pixels):
    w = weight_of((2, 25, 48))
    answers, kept = [], []
    for recomputed in (False, True):
        tape = Tape()
        v = tape.var(pixels)
        out = refclip.encode_tokens(small, v, layers=[4], recomputed=recomputed).patches[4]
        kept.append(tape.nbytes)
        answers.append(tape.backward(out, [v], w)[0])
    np.testing.assert_array_equal(*answers)
    assert names(tape).count("recompute") == 4
    # a block keeps 10 [b, n, d] or 1; beside the blocks, 2: what enters the layer norms before and after them
    unit = 2 * 26 * 128 * 8
    assert kept == [4 * 10 * unit + 2 * unit, 4 * unit + 2 * unit]


def test_recomputing_obeys_the_limit_too():
    def block(x):
        for _ in range(5):
            x = nn.gelu(x)
        return x

    tape = Tape(limit=3000)
    v = tape.var(np.ones(100))
    out = recompute(block, v)
    with pytest.raises(MemoryError, match="allowed are 2,200"):  # 800 of the input are spent
        tape.backward(out.sum(), [v])


def test_recomputing_refuses_what_would_lose_a_gradient(small, pixels):
    tape = Tape()
    a, b = tape.var(np.ones(2)), tape.var(np.ones(2))
    with pytest.raises(ValueError, match="not among its arguments"):
        recompute(lambda x: x * b, a)
    with pytest.raises(ValueError, match="two tapes"):
        recompute(lambda x, y: x * y, a, Tape().var(np.ones(2)))
    with pytest.raises(ValueError, match="a trace records what `recomputed` forgets"):
        refclip.encode_tokens(small, pixels, trace=True, recomputed=True)
    np.testing.assert_array_equal(recompute(lambda x: 2 * x, np.ones(2)), [2, 2])
    out = recompute(lambda x, y, z: x * y * z, a, np.full(2, 3.0), b)
    for g in tape.backward(out.sum(), [a, b]):
        np.testing.assert_array_equal(g, [3, 3])


# --- nests -----------------------------------------------------------------------------------------------------------


def test_nests():
    p = {"linear": nn.Linear(np.ones((2, 3)), np.zeros(2)), "list": [np.ones(1), (np.ones(2), "name", None, 3)]}
    doubled = tree_map(lambda x: 2 * x, p)
    assert isinstance(doubled["linear"], nn.Linear)
    assert doubled["list"][1][1:] == ("name", None, 3)
    assert [x.shape for x in leaves(doubled)] == [(2, 3), (2,), (1,), (2,)]
    total = tree_map(lambda x, y: x + y, p, doubled)
    np.testing.assert_array_equal(total["linear"].weight, np.full((2, 3), 3.0))
    for wrong in ({"linear": p["linear"]}, {**p, "list": [np.ones(1)]}, [p]):
        with pytest.raises(ValueError, match="nests differ"):
            tree_map(lambda x, y: x, p, wrong)


def test_value_and_gradient():
    p = nn.Linear(np.array([[1.0, 2.0]]), np.array([3.0]))
    x = np.array([[1.0, -1.0], [0.0, 2.0]])
    value, g = value_and_gradient(lambda p: (nn.linear(x, p) * nn.linear(x, p)).sum(), p)
    assert isinstance(g, nn.Linear)
    y = x @ p.weight.T + p.bias
    np.testing.assert_allclose(value, (y * y).sum(), **SAME)
    np.testing.assert_allclose(g.weight, 2 * y.T @ x, **SAME)
    np.testing.assert_allclose(g.bias, 2 * y.sum(axis=0), **SAME)
    value, g = value_and_gradient(lambda p: np.float64(2), p)
    assert value == 2
    assert not any(x.any() for x in leaves(g))
