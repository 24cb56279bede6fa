"""The stand-in for CuPy's array keeps CuPy's rules, and the library stays inside them."""

import copy
import operator
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import refclip
from refclip.backend import xp_of
from tests.cupy_names import NAMES, Use, cupy_names, fault, shared, used_names
from tests.devicearray import DeviceArray, devicexp, upload

xp = devicexp
HOST = np.arange(6, dtype=np.float32).reshape(2, 3)
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne"]


def device(values: Any = HOST, dtype: Any = None) -> DeviceArray:
    return xp.asarray(values, dtype=dtype)


def test_xp_of_finds_the_namespace():
    assert xp_of(device()) is xp
    assert type(device()).__module__.partition(".")[0] != "cupy"


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.array,
        np.sum,
        np.exp,
        np.add.reduce,
        lambda x: np.add(x, x),
        lambda x: np.add(1.0, x),
        lambda x: np.array([x, x]),
        lambda x: np.array([1.0, x[0, 0]]),
        lambda x: np.concatenate([HOST, x]),
        lambda x: np.empty((2, 3)).__setitem__(..., x),
        lambda x: np.arange(9)[xp.asarray([1, 2])],
        lambda x: np.add(HOST, HOST, out=x),
        lambda x: HOST + x,
        lambda x: operator.eq(HOST, x),
        lambda x: HOST @ x.T,
        lambda x: HOST.copy().__iadd__(x),
        lambda x: operator.index(xp.asarray(1)),
        lambda x: range(xp.asarray(3)),
        lambda x: [1, 2, 3][xp.asarray(1)],
        lambda x: np.zeros(xp.asarray(3)),
        hash,
    ],
)
def test_never_becomes_a_host_array_unasked(convert):
    with pytest.raises(TypeError):
        convert(device())


def test_get_is_a_copy_both_ways():
    host = HOST.copy()
    x = device(host)
    host[0, 0] = 99
    assert x.get()[0, 0] == 0
    x.get()[0, 0] = 99
    assert x.get()[0, 0] == 0
    np.testing.assert_array_equal(x.get(), HOST)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("other", [2, 2.5, True, np.float32(2), np.int64(2)])
def test_operators_with_numbers_are_numpys(name, other):
    op = getattr(operator, name)
    for left, right in [(device(HOST + 1), other), (other, device(HOST + 1))]:
        want = op(*(v.get() if isinstance(v, DeviceArray) else v for v in (left, right)))
        got = op(left, right)
        assert isinstance(got, DeviceArray)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got.get(), want)


@pytest.mark.parametrize("name", [*BINARY, "matmul"])
def test_operators_refuse_host_arrays_and_lists(name):
    op = getattr(operator, name)
    for other in (HOST.T, np.ones(1), HOST.tolist(), None):
        with pytest.raises(TypeError, match="expected an array on the device or a number"):
            op(device(), other)
        if isinstance(other, np.ndarray):
            with pytest.raises(TypeError, match="expected an array on the device or a number"):
                op(other, device())


@pytest.mark.parametrize("name", BINARY[:7])
def test_operators_refuse_host_arrays_without_dimensions(name):
    with pytest.raises(TypeError, match=r"upload it first with xp\.asarray"):
        getattr(operator, name)(device(), np.array(2.0))


def test_bitwise_and_unary_operators():
    a, b = np.array([True, False, True]), np.array([True, True, False])
    for op in (operator.and_, operator.or_, operator.xor):
        np.testing.assert_array_equal(op(device(a), device(b)).get(), op(a, b))
    np.testing.assert_array_equal((~device(a)).get(), ~a)
    np.testing.assert_array_equal((-device()).get(), -HOST)
    np.testing.assert_array_equal(abs(-device()).get(), HOST)
    np.testing.assert_array_equal((device([1, 2]) << 2).get(), [4, 8])


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ipow"])
def test_in_place_operators_reach_the_views(name):
    want, x = HOST.copy(), device()
    view = x[1]
    got = getattr(operator, name)(view, 2.0)
    getattr(operator, name)(want[1], 2.0)
    assert got is view
    np.testing.assert_array_equal(x.get(), want)


def test_in_place_refuses_host_arrays_and_lossy_types():
    x = device([1, 2, 3])
    with pytest.raises(TypeError, match="found a NumPy array"):
        x += np.ones(3, dtype=np.int64)
    with pytest.raises(TypeError, match="same_kind"):
        x += 0.5


def test_in_place_matmul_makes_a_new_array_as_in_cupy():
    x = kept = device(np.eye(2))
    x @= device(2 * np.eye(2))
    assert x is not kept
    np.testing.assert_array_equal(kept.get(), np.eye(2))


def test_a_class_that_declines_ufuncs_computes_itself():
    class Recorded:
        __array_ufunc__ = None

        def __rmul__(self, other):
            return "recorded"

    assert device() * Recorded() == "recorded"


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        (0, 1),
        slice(1),
        (slice(None), None),
        ...,
        (..., 0),
        [0, 1],
        np.int64(1),
        np.array([1, 0]),
        ([0, 1], [2, 0]),
    ],
)
def test_indexing_with_what_cupy_accepts(key):
    got = device()[key]
    assert isinstance(got, DeviceArray)
    np.testing.assert_array_equal(got.get(), HOST[key])


def test_indexing_with_device_arrays():
    x, rows, mask = device(), device([1, 0]), device(HOST > 2)
    np.testing.assert_array_equal(x[rows].get(), HOST[[1, 0]])
    np.testing.assert_array_equal(x[mask].get(), HOST[HOST > 2])
    np.testing.assert_array_equal(x[:, device([2, 0])].get(), HOST[:, [2, 0]])
    x[mask] = 0
    np.testing.assert_array_equal(x.get(), np.where(HOST > 2, 0, HOST))
    x[rows] = device(HOST)
    np.testing.assert_array_equal(x.get(), HOST[[1, 0]])


@pytest.mark.parametrize("key", [slice(None, device(1)), (slice(device(0), None), 0)])
def test_slices_take_no_device_numbers(key):
    with pytest.raises(TypeError, match="slice indices"):
        device()[key]


def test_index_errors():
    with pytest.raises(IndexError):
        device()[device([5])]  # CuPy wraps round in silence: the stand-in is the stricter
    with pytest.raises(IndexError):
        device()[device([0.5])]
    with pytest.raises(IndexError, match="several boolean"):
        device()[device([True, False]), device([True, False, True])]


@pytest.mark.parametrize("key", [slice(None), 0, [0], (0, slice(None))])
def test_assigning_refuses_host_arrays_and_lists(key):
    x = device()
    for value in (np.ones(3), [1.0, 2.0, 3.0]):
        with pytest.raises(TypeError, match="expected an array on the device or a number"):
            x[key] = value
    np.testing.assert_array_equal(x.get(), HOST)
    x[key] = np.array(7.0)  # CuPy fills with a host array of no dimensions
    assert (x.get()[key] == 7).all()


def test_views_share_memory_down_to_one_element():
    x = device()
    for view in (x[0, 1], x.T[1, 0], x.reshape(-1)[1], x.ravel()[1], xp.swapaxes(x, 0, 1)[1, 0]):
        assert view.shape == ()
        operator.iadd(view, 10)
    assert x.get()[0, 1] == 1 + 5 * 10
    x.copy()[...] = 0
    xp.array(x)[...] = 0
    assert x.get()[0, 1] == 51
    xp.asarray(x)[0, 1] = 5
    assert x.get()[0, 1] == 5


def test_iteration_and_length():
    rows = list(device())
    assert len(device()) == 2
    assert all(isinstance(row, DeviceArray) for row in rows)
    np.testing.assert_array_equal(rows[1].get(), HOST[1])
    with pytest.raises(TypeError):
        iter(device(1.0))
    with pytest.raises(TypeError):
        len(device(1.0))


def test_numbers_come_out_of_arrays_of_one_element_only():
    assert float(device(2.5)) == 2.5
    assert int(device(2)) == 2
    assert bool(device(0)) is False
    assert device(2.5).item() == 2.5
    assert f"{device(2.5):.2f}" == "2.50"
    for convert in (bool, lambda x: x.item()):
        with pytest.raises(ValueError, match=r"size|element"):
            convert(device())


@pytest.mark.parametrize("method", ["sum", "max", "min", "mean", "argmax", "argmin", "prod", "std", "all", "any"])
def test_reductions_stay_on_the_device(method):
    for axis in (None, 0, -1):
        for got in (getattr(device(), method)(axis=axis), getattr(xp, method)(device(), axis=axis)):
            want = getattr(np, method)(HOST, axis=axis)
            assert isinstance(got, DeviceArray)
            assert (got.shape, got.dtype) == (np.shape(want), want.dtype)
            np.testing.assert_array_equal(got.get(), want)


def test_methods_and_properties():
    x = device()
    assert (x.shape, x.ndim, x.size, x.nbytes, x.itemsize, x.strides) == ((2, 3), 2, 6, 24, 4, (12, 4))
    assert x.dtype == np.float32
    assert x.astype(xp.float16).dtype == np.float16
    assert x.reshape(3, -1).shape == x.reshape((3, 2)).shape == x.transpose(1, 0).shape == (3, 2)
    assert x[None].squeeze(0).shape == x.swapaxes(0, 1).T.shape == (2, 3)
    assert x.tolist() == HOST.tolist()
    assert copy.deepcopy(x).shape == (2, 3)


@pytest.mark.parametrize("name", ["ctypes", "choose_not", "__array_interface__", "tostring", "resize", "mT"])
def test_no_method_that_cupy_lacks(name):
    assert not hasattr(device(), name)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: xp.sum(x, initial=0.0),
        lambda x: xp.max(x, where=x > 0),
        lambda x: x.max(initial=0.0),
        lambda x: x.mean(where=True),
        lambda x: xp.exp(x, where=x > 0),
        lambda x: xp.clip(x, min=0, max=1),
        lambda x: xp.argsort(x, stable=True),
        lambda x: xp.linalg.svd(x, hermitian=True),
    ],
)
def test_keywords_that_only_numpy_has_are_refused(call):
    with pytest.raises(TypeError, match="CuPy"):
        call(device())


@pytest.mark.parametrize(
    "call",
    [
        lambda x: xp.exp(HOST),
        lambda x: xp.exp([1.0, 2.0]),
        lambda x: xp.add(x, HOST),
        lambda x: xp.maximum(x, [0.0, 1.0, 2.0]),
        lambda x: xp.where(x > 0, x, HOST),
        lambda x: xp.sum(HOST),
        lambda x: xp.mean([1.0, 2.0]),
        lambda x: xp.reshape(HOST, (3, 2)),
        lambda x: xp.matmul(x, HOST.T),
        lambda x: xp.einsum("ij,ij->i", x, HOST),
        lambda x: xp.concatenate([x, HOST]),
        lambda x: xp.stack([1.0, 2.0]),
        lambda x: xp.stack([x, 1.0]),
        lambda x: xp.add(x, x, out=HOST),
        lambda x: xp.array([1.0, x[0, 0]]),
        lambda x: xp.array([x, HOST]),
        lambda x: x.dot(HOST.T),
        lambda x: xp.zeros(device(3)),
        lambda x: xp.reshape(x, (device(3), 2)),
        lambda x: x.reshape(device(6)),
        lambda x: xp.sum(x, axis=device(0)),
        lambda x: xp.repeat(x, device([1, 2]), axis=0),
        lambda x: xp.asarray(["a"]),
        lambda x: xp.asarray([1], dtype=object),
        lambda x: xp.zeros(2, dtype=np.longdouble),
    ],
)
def test_functions_refuse_what_cupy_refuses(call):
    with pytest.raises(TypeError):
        call(device())


def test_functions_give_numpys_results_on_the_device():
    x = device()
    weights = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    cases = {
        "matmul": (xp.matmul(x, device(weights).T), HOST @ weights.T),
        "einsum": (xp.einsum("ij,kj->ik", x, device(weights)), np.einsum("ij,kj->ik", HOST, weights)),
        "concatenate": (xp.concatenate([x, x], axis=1), np.concatenate([HOST, HOST], axis=1)),
        "stack": (xp.stack((x, x)), np.stack((HOST, HOST))),
        "where": (xp.where(x > 2, x, -1), np.where(HOST > 2, HOST, -1)),
        "pad": (xp.pad(x, ((1, 1), (0, 2))), np.pad(HOST, ((1, 1), (0, 2)))),
        "norm": (xp.linalg.norm(x, axis=-1, keepdims=True), np.linalg.norm(HOST, axis=-1, keepdims=True)),
        "sqrt of a number": (xp.sqrt(2.0), np.sqrt(2.0)),
        "zeros": (xp.zeros((2, 0), dtype=x.dtype), np.zeros((2, 0), dtype=np.float32)),
        "nested": (xp.array([[x[0, 0], x[0, 1]]]), HOST[:1, :2]),
        "list": (xp.asarray([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]])),
        "count_nonzero": (xp.count_nonzero(x), np.array(5)),
        "allclose": (xp.allclose(x, x), np.array(True)),
        "windows": (
            xp.lib.stride_tricks.sliding_window_view(x, (2, 2)),
            np.lib.stride_tricks.sliding_window_view(HOST, (2, 2)),
        ),
    }
    for name, (got, want) in cases.items():
        assert isinstance(got, DeviceArray), name
        assert got.dtype == want.dtype, name
        np.testing.assert_array_equal(got.get(), want, err_msg=name)
    parts = xp.split(x, 3, axis=1)
    assert [type(part) for part in parts] == [DeviceArray] * 3
    assert all(isinstance(part, DeviceArray) for part in xp.linalg.svd(x, full_matrices=False))


def test_out_is_filled_and_returned():
    x, out = device(), xp.empty((2, 3), dtype=np.float32)
    assert xp.multiply(x, 2, out=out) is out
    assert xp.sum(x, axis=0, out=out[0]).shape == (3,)
    np.testing.assert_array_equal(out.get(), [HOST.sum(0), 2 * HOST[1]])


def test_types_and_constants_pass_through():
    assert xp.float32 is np.float32
    assert xp.ndarray is DeviceArray
    assert xp.newaxis is None
    assert xp.pi == np.pi
    assert xp.finfo(xp.float32).max == np.finfo(np.float32).max
    assert xp.result_type(device(), np.float64) == np.float64
    assert xp.shape(device()) == (2, 3)


@pytest.mark.parametrize(
    "name", ["asnumpy", "float_", "errstate", "vecdot", "concat", "linalg.vector_norm", "random", "mgrid"]
)
def test_names_that_are_not_in_both_are_missing(name):
    with pytest.raises(AttributeError, match=name.rpartition(".")[2]):
        operator.attrgetter(name)(xp)


def test_ufunc_methods_are_missing():
    # CuPy's ufuncs have `reduce` for add and multiply alone
    with pytest.raises(AttributeError):
        _ = xp.maximum.reduce


def test_upload_keeps_the_nest():
    class Weights(NamedTuple):
        gain: Any
        layers: list
        width: int

    got = upload(Weights(HOST, [{"bias": HOST}, (HOST, None)], 3))
    assert isinstance(got, Weights)
    assert got.width == 3
    assert isinstance(got.gain, DeviceArray)
    assert isinstance(got.layers[0]["bias"], DeviceArray)
    assert isinstance(got.layers[1], tuple)
    assert got.layers[1][1] is None


def test_the_list_of_names_is_cupys():
    names = cupy_names()
    # a few of each kind, so that a broken extraction shows
    assert names["sum"] == ("a", "axis", "dtype", "out", "keepdims")
    assert names["concatenate"] == ("tup", "axis", "out", "dtype", "casting")
    assert names["ndarray.reshape"] == ("*shape", "order")
    assert "add" in names and names["add"] is None
    assert "get" not in names and "_core" not in names
    assert shared("linalg.norm") and shared("newaxis") and shared("nan")
    assert not shared("asnumpy") and not shared("errstate") and not shared("linalg.nonesuch")
    assert len(names) > 500


def test_the_list_of_names_is_of_the_oldest_cupy_we_allow():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    (needed,) = project["project"]["optional-dependencies"]["cuda"]
    head = NAMES.read_text(encoding="utf-8").splitlines()[0]
    assert needed.partition(">=")[2] + "." in head, f"remake {NAMES.name} for {needed}; it begins {head!r}"


def test_used_names_finds_names_lines_and_keywords(tmp_path):
    source = (
        "def f(x, xp):\n    y = xp.sum(x, axis=0, initial=1)\n    return xp.linalg.norm(y).shape, xp.errstate, np.exp\n"
    )
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    path = str(tmp_path / "a.py")
    uses = used_names([tmp_path / "a.py"])
    assert sorted(uses) == [
        Use(path, 2, "sum", ("axis", "initial")),
        Use(path, 3, "errstate", ()),
        Use(path, 3, "linalg.norm", ()),
    ]
    faults = [fault(use) for use in sorted(uses)]
    assert faults == [
        f"{path}:2: xp.sum: CuPy's takes no initial",
        f"{path}:3: xp.errstate is not in both NumPy and CuPy",
        None,
    ]


def test_the_library_uses_only_what_numpy_and_cupy_share():
    root = Path(refclip.__path__[0])
    uses = used_names(root.rglob("*.py"))
    assert uses, f"no use of xp found under {root}: has the convention changed?"
    assert [found for use in uses if (found := fault(use))] == []
