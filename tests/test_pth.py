"""Reading `.pth` files: the numbers come out, and nothing in the file is executed."""

from __future__ import annotations

import contextlib
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refclip import WeightsError
from refclip.pickled import Refused, run
from refclip.pth import read_pth
from tests import torchfiles
from tests.torchfiles import integer, mapping, named, program, shape, tensor, text, write, write_zip

RNG = np.random.default_rng(0)
ARRAYS = {
    "w": RNG.normal(size=(3, 4)).astype(np.float32),
    "h": RNG.normal(size=(5,)).astype(np.float16),
    "d": RNG.normal(size=(2, 1, 2)),
    "ids": np.arange(7, dtype=np.int64).reshape(1, 7),
    "seen": np.array([True, False, True]),
    "scalar": np.float32(2.5).reshape(()),
    "none": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("under", ["", "prompt_learner"])
def test_tensors_come_out_by_name(tmp_path, under):
    found = read_pth(write(tmp_path / "a.pth", ARRAYS, under))
    assert list(found) == [f"{under}.{name}" if under else name for name in ARRAYS]
    for name, x in ARRAYS.items():
        got = found[f"{under}.{name}" if under else name]
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got, x)


def test_views_share_a_storage(tmp_path):
    row = np.arange(12, dtype=np.float32)
    body = mapping({
        "all": tensor("Float", "0", 12, (3, 4)),
        "turned": tensor("Float", "0", 12, (4, 3), (1, 4)),
        "part": tensor("Float", "0", 12, (2, 2), (4, 1), offset=5),
    })  # fmt: skip
    found = read_pth(write_zip(tmp_path / "a.pth", program(body), {"0": row.tobytes()}))
    square = row.reshape(3, 4)
    np.testing.assert_array_equal(found["all"], square)
    np.testing.assert_array_equal(found["turned"], square.T)
    np.testing.assert_array_equal(found["part"], square[1:, 1:3])


def test_bfloat16_becomes_float32(tmp_path):
    values = np.array([1.0, -2.5, 0.15625], np.float32)  # exact in 8 bits of significand
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    found = read_pth(write_zip(tmp_path / "a.pth", program(mapping({"x": tensor("BFloat16", "0", 3, (3,))})),
                               {"0": bits.tobytes()}))["x"]  # fmt: skip
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)


def test_what_is_no_tensor_is_passed_over(tmp_path):
    one = tensor("Float", "0", 1, (1,))
    items = {
        "epoch": integer(3),
        "best": b"\x88",
        "notes": b"]q\x01(" + text("a") + b"N\x88e",
        "x": one,
        "list": b"]" + one + b"a",
        "lr": b"G" + struct.pack(">d", 0.1),
    }
    found = read_pth(write_zip(tmp_path / "a.pth", program(mapping(items)), {"0": b"\0\0\x80\x3f"}))
    assert {name: x.tolist() for name, x in found.items()} == {"x": [1.0], "list.0": [1.0]}


# --- hostile files: each would do something if its pickle were run ---------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("container", ["zip", "bare"])
def test_a_pickle_that_calls_something_is_refused_and_does_nothing(tmp_path, protocol, container):
    trace = tmp_path / "trace"
    raw = torchfiles.armed(trace, protocol)
    path = tmp_path / "a.pth"
    if container == "zip":
        write_zip(path, raw, {})
    else:
        path.write_bytes(raw)
    with pytest.raises(WeightsError, match="nothing in the file was executed"):
        read_pth(path)
    assert not trace.exists()
    pickle.loads(raw)  # the same bytes, run: they are armed
    assert trace.exists()


CALLS = {
    "os.system": named("os", "system") + b"(" + text("true") + b"tR",
    "builtins.eval": named("builtins", "eval") + b"(" + text("1") + b"tR",
    "a name that begins like one of ours": named("torch._utils", "_rebuild_tensor_v2.__globals__"),
    "a storage that is called": named("torch", "FloatStorage") + b"(" + integer(1) + b"tR",
    "OrderedDict with arguments": named("collections", "OrderedDict") + b"(]tR",
    "a module of torch": named("torch", "load"),
    "a class with INST": b"(ios\nsystem\n",
    "OBJ": b"(" + named("os", "system") + text("true") + b"o",
    "NEWOBJ": named("collections", "OrderedDict") + b")\x81",
    "STACK_GLOBAL": text("os") + text("system") + b"\x93",
    "an extension": b"\x82\x01",
    "a persistent id as text": b"Pstorage\n",
    "BUILD of a name": named("collections", "OrderedDict") + b"}b",
    "a long text key": b"}" + text("k" * 2000) + b"Ns",
    "a key that cannot be one": b"}]Ns",
}


@pytest.mark.parametrize("body", CALLS.values(), ids=CALLS)
def test_nothing_but_tensors(body):
    with pytest.raises(Refused):
        run(program(body))


def test_the_message_names_what_was_asked_for(tmp_path):
    path = write_zip(tmp_path / "a.pth", program(mapping({"x": CALLS["os.system"]})), {})
    with pytest.raises(WeightsError, match=r"a\.pth: its pickle asks for 'os\.system', which is not a tensor"):
        read_pth(path)


FLOAT = tensor("Float", "0", 4, (4,))


def two_folders(path):
    write_zip(path, program(mapping({"x": FLOAT})), {"0": bytes(16)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", b"")


ZIPS = {
    "not a zip": (lambda p: p.write_bytes(b"hello, world"), "starts with"),
    "empty": (lambda p: p.write_bytes(b""), "starts with"),
    "legacy": (lambda p: p.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "before 1.6"),
    "cut off": (lambda p: p.write_bytes(write(p, ARRAYS).read_bytes()[:200]), "damaged or foreign zip"),
    "no pickle": (lambda p: write_zip(p, b"", {}, more={"version": b"3"}), "no end|damaged"),
    "two folders": (lambda p: two_folders(p), "no NAME/data.pkl, or several"),
    "compressed": (
        lambda p: write_zip(p, program(mapping({"x": FLOAT})), {"0": bytes(16)}, compression=zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "a program": (
        lambda p: write_zip(p, program(mapping({"x": FLOAT})), {"0": bytes(16)}, more={"constants.pkl": b""}),
        "TorchScript",
    ),
    "big-endian": (
        lambda p: write_zip(p, program(mapping({"x": FLOAT})), {"0": bytes(16)}, more={"byteorder": b"big"}),
        "little-endian",
    ),
    "no storage": (lambda p: write_zip(p, program(mapping({"x": FLOAT})), {}), "no such entry"),
    "a short storage": (
        lambda p: write_zip(p, program(mapping({"x": FLOAT})), {"0": bytes(12)}),
        "found 12 bytes, expected 16",
    ),
    "no tensor": (lambda p: write_zip(p, program(b"}"), {}), "no tensor"),
    "no end": (lambda p: write_zip(p, b"\x80\x02}", {}), "no end|damaged"),
    "two things": (lambda p: write_zip(p, program(b"}}"), {}), "ends with 2 things"),
    "an underflow": (lambda p: write_zip(p, program(b"\x85"), {}), "damaged"),
    "below a mark": (lambda p: write_zip(p, program(b"}(\x85\x85u"), {}), "mark|damaged|dict"),
    "a memo that is not there": (lambda p: write_zip(p, program(b"h\x05"), {}), "damaged"),
    "a large pickle": (lambda p: write_zip(p, program(b"N" * (5 << 20)), {}), "expected at most"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), ZIPS.values(), ids=ZIPS)
def test_files_that_are_no_state_dict(tmp_path, make, message):
    make(tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        read_pth(tmp_path / "a.pth")


def test_two_entries_of_one_name(tmp_path):
    write_zip(tmp_path / "a.pth", program(mapping({"x": FLOAT})), {"0": bytes(16)})
    with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", b"other")
    with pytest.raises(WeightsError, match="two entries of one name"):
        read_pth(tmp_path / "a.pth")


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_pth(tmp_path / "b.pth")


TENSORS = {
    "past the end": tensor("Float", "0", 4, (5,)),
    "an offset": tensor("Float", "0", 4, (2,), offset=3),
    "strides": tensor("Float", "0", 4, (2, 2), (3, 1)),
    "many from one": tensor("Float", "0", 4, (1 << 20, 1 << 10), (0, 0)),
    "negative": tensor("Float", "0", 4, (-1,)),
    "a negative stride": tensor("Float", "0", 4, (2,), (-1,), offset=3),
    "other axes": tensor("Float", "0", 4, (2, 2), (1,)),
    "nine axes": tensor("Float", "0", 4, (1,) * 9),
    "a key that is a path": tensor("Float", "../data.pkl", 4, (4,)),
    "no such type": tensor("ComplexFloat", "0", 4, (4,)),
    "a count that is no number": FLOAT.replace(integer(4) + b"tQ", text("4") + b"tQ"),
    "a place that is no number": FLOAT.replace(b"tQ" + integer(0), b"tQN"),
    "not a storage": named("torch._utils", "_rebuild_tensor_v2") + b"(N" + integer(0) + shape((1,)) * 2 + b"\x89}tR",
}


@pytest.mark.parametrize("body", TENSORS.values(), ids=TENSORS)
def test_tensors_that_are_not_there(tmp_path, body):
    with pytest.raises(WeightsError):
        read_pth(write_zip(tmp_path / "a.pth", program(mapping({"x": body})), {"0": bytes(16)}))


def test_a_few_bytes_that_ask_for_much_are_refused_at_once(tmp_path):
    """Dicts that hold each other by reference, twice each: 2^40 ways through them, in 300 bytes."""
    body = b"}"
    for _ in range(40):
        body = b"}q\x01" + body[:0] + b"(" + text("a") + body + b"q\x02" + text("b") + b"h\x02u"
    with pytest.raises(WeightsError, match="nested deeper"):
        read_pth(write_zip(tmp_path / "a.pth", program(body), {}))
    itself = b"}q\x01" + text("a") + b"h\x01s"  # a dict in itself
    with pytest.raises(WeightsError, match="nested deeper"):
        read_pth(write_zip(tmp_path / "b.pth", program(itself), {}))
    often = mapping({f"x{i}": tensor("Float", "0", 100_000, (100_000,)) for i in range(50)})  # 20 MB of 0.4
    with pytest.raises(WeightsError, match="its tensors take"):
        read_pth(write_zip(tmp_path / "c.pth", program(often), {"0": bytes(400_000)}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_an_error_or_does_no_harm(tmp_path, data):
    """Bytes of the pickle changed at random: an array comes out, or one clear error."""
    raw = bytearray(program(mapping({"x": FLOAT, "y": tensor("Half", "1", 2, (1, 2))})))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    buffer = tmp_path / "a.pth"
    write_zip(buffer, bytes(raw), {"0": bytes(16), "1": bytes(4)})
    try:
        found = read_pth(buffer)
    except WeightsError as error:
        assert str(buffer) in str(error)
    else:
        assert all(isinstance(x, np.ndarray) and x.size <= 8 for x in found.values())


def test_an_escape_that_is_none_raises_no_warning():
    """S is a text in quotes, as Python has them; which escapes these know, Python warns about on its own."""
    with pytest.raises(Refused, match="opcode STRING"):
        run(b"S'\\q'\n.")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_at_all(raw):
    with contextlib.suppress(Refused):  # and nothing else
        run(raw)
