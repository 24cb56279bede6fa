"""Loading weights: both layouts in every type, memory-mapped; and one clear, quick, cheap error for everything else."""

from __future__ import annotations

import gc
import io
import json
import math
import mmap
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import refclip
from refclip import checkpoint, layout, weights
from refclip.weights import load
from tests import randomclip
from tests import weightfiles as files

ROOT = Path(__file__).parent.parent
LAYOUTS = (files.OPEN_CLIP, files.TRANSFORMERS)
KINDS = files.TYPES


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A sound folder, to be damaged."""
    return files.folder(tmp_path / "whole")


def weight_file(folder: Path) -> Path:
    return next(iter(folder.glob("*.safetensors")))


def embeddings(clip: refclip.CLIP) -> np.ndarray:
    pixels = randomclip.pixels((2, 3, 12, 12), seed=3)
    return np.concatenate([refclip.encode_image(clip, pixels), refclip.encode_text(clip, files.IDS)])


def refused(path: Path | str, *words: str, **options) -> str:
    """Loading fails within a second, allocating next to nothing, and the message has all of these words."""
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(refclip.WeightsError) as caught:
        load(path, **options)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = str(caught.value)
    assert seconds < 1, f"{seconds:.2f} s"
    assert peak < 8e6, f"{peak:,} bytes"  # the largest of these headers, 2 MB, as bytes, text and JSON
    for word in words:
        assert word in message, message
    assert "\n" not in message
    assert len(message) < 900, message
    return message


# ---- what loads


@pytest.mark.parametrize("kind", KINDS)
def test_both_layouts_in_every_type(tmp_path, kind):
    expected = files.rounded(files.state(), kind)
    plain = load(files.folder(tmp_path / "float32", tensors=expected))
    for name in LAYOUTS:
        clip = load(files.folder(tmp_path / name, name, kind))
        assert all(x.dtype == np.float32 for x in files.leaves(clip))
        for seen, wanted in zip(files.leaves(clip), files.leaves(plain), strict=True):
            np.testing.assert_array_equal(seen, wanted)
        assert clip.logit_scale == math.exp(expected["logit_scale"])
        # the same numbers in the same order but for a transposed operand; float32 rounds at 6e-8 of values near 1
        np.testing.assert_allclose(embeddings(clip), embeddings(plain), rtol=0, atol=2e-6)
        assert clip.preprocess.mean == (0.4, 0.5, 0.6)
        assert clip.preprocess.size == (12, 12)
    assert weights.find(tmp_path / name).name == "model.safetensors"


def test_types_do_differ(tmp_path):
    """What the test above compares is not the same whatever the type."""
    answers = [embeddings(load(files.folder(tmp_path / kind, kind=kind))) for kind in KINDS]
    assert np.abs(answers[0] - answers[1]).max() > 1e-5
    assert np.abs(answers[0] - answers[2]).max() > 1e-3


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", [*KINDS, "F64"])
def test_float64_computes_with_the_stored_numbers(tmp_path, name, kind):
    clip = load(files.folder(tmp_path, name, kind), dtype="float64")
    expected = files.rounded(files.state(), kind)
    assert all(x.dtype == np.float64 for x in files.leaves(clip))
    np.testing.assert_array_equal(clip.vision.proj, expected["visual.proj"])
    np.testing.assert_array_equal(clip.text.transformer.blocks[2].attn.in_proj.weight, expected[
        "transformer.resblocks.2.attn.in_proj_weight"])  # fmt: skip


def test_float64_weights_in_float32(tmp_path):
    tensors = {name: x.astype(np.float64) for name, x in files.state().items()}
    clip = load(files.folder(tmp_path, kind="F64", tensors=tensors))
    np.testing.assert_array_equal(clip.vision.proj, np.float32(tensors["visual.proj"]))


def test_refclip_mini_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = load("refclip-mini", check_finite=False)
    assert clip.vision.image_size == 120
    assert clip.name == "refclip-mini"
    assert load("refclip-mini").preprocess.resize == "squash"


def test_ways_to_say_where(whole, monkeypatch):
    monkeypatch.chdir(whole.parent)
    monkeypatch.setenv("HOME", str(whole.parent))
    places = [whole, str(whole), "whole", Path("whole"), "./whole", "~/whole", Path("~/whole"), "whole/../whole"]
    places += [whole / "open_clip_model.safetensors", "whole/open_clip_model.safetensors"]
    for place in places:
        clip = load(place)
        assert clip.name == str(place)
        assert clip.vision.transformer.heads == 2
    monkeypatch.chdir(whole)
    assert load(".").preprocess.resize == "longest"
    assert load("open_clip_model.safetensors").preprocess.resize == "longest"


def test_a_folder_with_one_file_of_another_name(tmp_path):
    file = files.folder(tmp_path) / "open_clip_model.safetensors"
    file.rename(tmp_path / "my clip.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert load(tmp_path).vision.patch_size == 4


def test_a_path_that_is_named_like_the_shipped_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.folder(tmp_path / "refclip-mini")
    assert load(Path("refclip-mini")).vision.patch_size == 4
    assert load("./refclip-mini").vision.patch_size == 4


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_hub_cache(tmp_path, name):
    """blobs under their hashes, snapshots of links: both ways to point there, and the file itself."""
    source = files.folder(tmp_path / "source", name)
    model = tmp_path / "models--someone--tiny"
    snapshot = model / "snapshots" / ("5" * 40)
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    for i, file in enumerate(sorted(source.iterdir())):
        file.rename(model / "blobs" / f"{i:064x}")
        (snapshot / file.name).symlink_to(f"../../blobs/{i:064x}")
    for place in (model, snapshot, weight_file(snapshot)):
        assert load(place).preprocess.mean == (0.4, 0.5, 0.6)
    (model / "snapshots" / ("6" * 40)).mkdir()
    refused(model, "found snapshots/555", "snapshots/666", "say which")


def test_repr_is_short():
    text = repr(load("refclip-mini", check_finite=False))
    assert len(text) < 300
    assert "array" not in text
    assert "refclip-mini" in text


def test_older_exports_carry_constants(tmp_path):
    """Position ids, a mask of minus infinity, sizes as tensors: left out, not refused."""
    for name, extra in (
        (files.OPEN_CLIP, {"attn_mask": np.full((9, 9), -np.inf, np.float32), "context_length": np.int64(9)}),
        (files.TRANSFORMERS, {"text_model.embeddings.position_ids": np.arange(9)[None]}),
    ):
        folder = files.folder(tmp_path / name, name)
        tensors = files.state() if name == files.OPEN_CLIP else files.to_transformers(files.state())
        arrays = {k: np.array(x, order="C") for k, x in (tensors | extra).items()}
        save_file(arrays, weight_file(folder))
        assert load(folder).vision.patch_size == 4


def test_logit_scale_with_an_axis(tmp_path):
    tensors = files.state()
    folder = files.folder(tmp_path, tensors=tensors | {"logit_scale": tensors["logit_scale"].reshape(1)})
    assert load(folder).logit_scale == math.exp(tensors["logit_scale"])


@pytest.mark.parametrize("low", [0x0280, 0x0380, 0x0480, 0x0580])
def test_a_header_whose_length_looks_like_a_pickle(whole, low):
    """The first two bytes are those of a pickle's protocol when the header is 640 (or 66,176) bytes long, and so on."""
    file = weight_file(whole)
    header, data = files.split(file.read_bytes())
    text = json.dumps(header).encode()
    length = next(n for n in range(low, 1 << 20, 1 << 16) if n >= len(text))
    file.write_bytes(files.join(text, data, pad=length - len(text)))
    assert file.read_bytes()[:2] == low.to_bytes(2, "little")
    assert load(whole).vision.patch_size == 4


@pytest.mark.parametrize("pad", range(4))
def test_tensors_off_their_natural_alignment(whole, pad):
    file = weight_file(whole)
    before = load(whole)
    header, data = files.split(file.read_bytes())
    padded = files.join(header, data, pad=(pad - len(json.dumps(header))) % 4)
    after = load(files.folder(whole.parent / "other"), check_finite=False)
    weight_file(whole.parent / "other").write_bytes(padded)
    after = load(whole.parent / "other")
    for x, y in zip(files.leaves(after), files.leaves(before), strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.flags.aligned


# ---- memory


def base_of(x: np.ndarray):
    while isinstance(x, np.ndarray) and x.base is not None:
        x = x.base
    return x


def test_float32_is_the_mapped_file(tmp_path):
    clip = load(files.folder(tmp_path / "a"))
    for x in files.leaves(clip):
        assert isinstance(base_of(x), mmap.mmap)
        assert type(x) is np.ndarray
        assert not x.flags.writeable
    theirs = load(files.folder(tmp_path / "b", files.TRANSFORMERS))
    joined = [x for x in files.leaves(theirs) if not isinstance(base_of(x), mmap.mmap)]
    assert len(joined) == 2 * 5  # q, k, v of five blocks, weight and bias
    with pytest.raises(ValueError, match="read-only"):
        clip.vision.proj[0, 0] = 1


def test_other_types_are_copies_that_let_go_of_the_file(tmp_path):
    for kind in ("F16", "BF16"):
        clip = load(files.folder(tmp_path / kind, kind=kind))
        assert not any(isinstance(base_of(x), mmap.mmap) for x in files.leaves(clip))


GROWTH = """
import sys
import numpy as np
from refclip.weights import load

def rss():
    with open("/proc/self/status") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

load("refclip-mini", check_finite=False)  # what is imported on first use
before = rss()
clip = load(sys.argv[1], check_finite=False)
loaded = rss()
total = float(clip.text.token_embedding.sum())
print(loaded - before, rss() - before, total)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the resident set size from Linux's /proc")
def test_a_large_file_takes_no_memory_until_used(tmp_path):
    rows = 3_000_000  # of 12 float32: 144 MB
    folder = files.folder(tmp_path)
    file = weight_file(folder)
    header, data = files.split(file.read_bytes())
    begin, end = header["token_embedding.weight"]["data_offsets"]
    grow = rows * 12 * 4 - (end - begin)
    for entry in header.values():
        if "data_offsets" in entry:
            entry["data_offsets"] = [place + grow * (place > begin) for place in entry["data_offsets"]]
    header["token_embedding.weight"]["shape"][0] = rows
    start = files.join(header, b"", pad=-len(json.dumps(header)) % 8)
    with file.open("wb") as out:  # sparse: the disk is spared too
        out.write(start + data[:begin])
        out.seek(len(start) + begin + rows * 12 * 4)
        out.write(data[end:])
    model = json.loads(json.dumps(files.MODEL))
    model["text_cfg"]["vocab_size"] = rows
    (folder / "open_clip_config.json").write_text(json.dumps(model))
    run = subprocess.run(
        [sys.executable, "-c", GROWTH, str(folder)], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    loaded, used, total = map(float, run.stdout.split())
    assert total == 0
    assert loaded < 10, f"{loaded:.0f} MB"
    assert used > 130, f"{used:.0f} MB"  # the measurement sees the file once it is read


# ---- what does not


def test_missing_extra_and_misshapen_tensors_are_named(tmp_path):
    """In the names of the file, whichever layout it has."""
    for name in LAYOUTS:
        folder = files.folder(tmp_path / name, name)
        whole = files.state() if name == files.OPEN_CLIP else files.to_transformers(files.state())
        for i, key in enumerate(whole):  # each key is damaged in one of three ways
            without = {k: np.array(x, order="C") for k, x in whole.items() if k != key}
            if i % 3 == 1:
                without[key] = np.zeros((*whole[key].shape, 2), np.float32)
            elif i % 3 == 2:
                without[f"{key}_"] = np.array(whole[key], order="C")
            files.save(weight_file(folder), without)
            told = re.sub("[qkv]_proj", "{q,k,v}_proj", key)  # of the three that are joined, all are named
            refused(folder, str(weight_file(folder)), told, "expected")
        files.save(weight_file(folder), {k: np.array(x, order="C") for k, x in whole.items()} | {"more": np.ones(2)})
        refused(folder, "not known: more", "patch 4")


def test_many_faults_are_counted_not_listed(whole):
    tensors = {k: x for k, x in files.state().items() if "resblocks.1" not in k}
    files.save(weight_file(whole), tensors | {f"x{i}": np.ones(1) for i in range(50)})
    refused(whole, "and 45 more", "and 7 more")


def test_an_image_tower_alone(whole):
    files.save(weight_file(whole), {k: x for k, x in files.state().items() if k.startswith("visual.")})
    refused(whole, "no tensor 'token_embedding.weight'", "open_clip's or transformers' layout")


def test_no_class_token_or_no_square_grid(whole):
    for rows in (9, 11, 1):
        files.save(
            weight_file(whole), files.state() | {"visual.positional_embedding": np.zeros((rows, 16), np.float32)}
        )
        refused(whole, f"positional_embedding has {rows} rows", "a class token")


def test_layouts_are_not_mixed(whole):
    tensors = files.state()
    extra = {"vision_model.post_layernorm.bias": tensors["visual.ln_post.bias"]}
    files.save(weight_file(whole), tensors | extra)
    refused(whole, "visual.ln_post.bias", "two layouts")
    joint = {key: tensors[key] for key in ["transformer.resblocks.0.attn.in_proj_weight"]}
    files.save(weight_file(whole), files.to_transformers(tensors) | joint)
    refused(whole, "transformer.resblocks.0.attn.in_proj_weight", "two layouts")
    # a tower under another name is not taken for text
    theirs = {k.replace("text_model.enc", "other_model.enc"): x for k, x in files.to_transformers(tensors).items()}
    files.save(weight_file(whole), theirs)
    refused(whole, "text_model.encoder.layers.0.mlp.fc1.weight")


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", [*KINDS, "F64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(tmp_path, name, kind, value):
    tensors = files.state()
    tensors["visual.class_embedding"][3] = value
    tensors["transformer.resblocks.1.attn.in_proj_bias"][-1] = value
    folder = files.folder(tmp_path, name, kind, tensors)
    keys = ("visual.class_embedding", "transformer.resblocks.1.attn.in_proj_bias")
    if name == files.TRANSFORMERS:
        keys = ("vision_model.embeddings.class_embedding", "text_model.encoder.layers.1.self_attn.v_proj.bias")
    for dtype in ("float32", "float64"):
        refused(folder, "NaN or infinity", *keys, dtype=dtype)
    assert not np.isfinite(load(folder, check_finite=False).vision.class_embedding[3])


def test_large_sums_are_finite(whole):
    """A sum that overflows is not an infinity in the file."""
    tensors = files.state()
    tensors["visual.class_embedding"][:] = 3e38
    files.save(weight_file(whole), tensors)
    assert load(whole).vision.class_embedding[0] > 2e38


def test_numbers_too_large_for_the_type_asked_for(tmp_path):
    tensors = {name: x.astype(np.float64) for name, x in files.state().items()}
    tensors["visual.class_embedding"][0] = 1e300
    folder = files.folder(tmp_path, kind="F64", tensors=tensors)
    refused(folder, "visual.class_embedding", "too large for float32", "wider dtype")
    assert load(folder, dtype="float64").vision.class_embedding[0] == 1e300


@pytest.mark.parametrize("value", [100.0, -50.0])
def test_a_logit_scale_that_is_no_logarithm(whole, value):
    files.save(weight_file(whole), files.state() | {"logit_scale": np.float32(value)})
    refused(whole, f"logit_scale is {value:g}", "logarithm")


@pytest.mark.parametrize("kind", ["I8", "I64", "U8", "F8_E4M3", "C64", "F4", "X32"])
def test_types_that_are_no_weights(whole, kind):
    file = weight_file(whole)
    header, data = files.split(file.read_bytes())
    begin, end = header["visual.proj"]["data_offsets"]
    width = {"I64": 8, "C64": 8, "X32": 4}.get(kind, 1)
    header["visual.proj"] |= {"dtype": kind, "shape": [(end - begin) // width]}
    if kind == "I8":
        header["visual.proj"]["shape"] = [16, 10, 4]
    file.write_bytes(files.join(header, data))
    refused(whole, "visual.proj", "expected")


def test_integers_where_floats_were_expected(whole):
    tensors = files.state()
    arrays = {k: np.array(x, order="C") for k, x in tensors.items()} | {"visual.proj": np.ones((16, 10), np.int8)}
    save_file(arrays, weight_file(whole))
    refused(whole, "visual.proj has type int8", "unquantized")


def test_float16_and_bfloat16_in_one_file(tmp_path):
    file = weight_file(files.folder(tmp_path, kind="F16"))
    header, data = files.split(file.read_bytes())
    header["visual.proj"]["dtype"] = "BF16"
    file.write_bytes(files.join(header, data))
    refused(file, "float16 and bfloat16", "mislabelled")


def test_q_k_and_v_of_one_shape_and_type(tmp_path):
    folder = files.folder(tmp_path, files.TRANSFORMERS)
    tensors = {k: np.array(x, order="C") for k, x in files.to_transformers(files.state()).items()}
    key = "text_model.encoder.layers.0.self_attn.k_proj.weight"
    for wrong in (np.ones((6, 24), np.float32), tensors[key].astype(np.float64)):
        save_file(tensors | {key: wrong}, weight_file(folder))
        refused(folder, "layers.0.self_attn.{q,k,v}_proj.weight", f"k {wrong.dtype} {wrong.shape}")


# ---- headers that lie


BIG = 10_000_000_000_000


def claim(whole: Path, **changes) -> Path:
    """A file whose header says something else about `visual.proj`, and nothing else changes."""
    file = weight_file(whole)
    header, data = files.split(file.read_bytes())
    header["visual.proj"] |= changes
    file.write_bytes(files.join(header, data))
    return file


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": [BIG // 4], "data_offsets": [0, BIG]}, ["starts at byte"]),
        ({"shape": [BIG // 4]}, ["takes 10000000000000 bytes", "its place has 640"]),
        ({"data_offsets": [0, BIG]}, ["takes 640 bytes", "its place has 10,000,000,000,000"]),
        ({"shape": [2**62, 2**62]}, ["bytes", "its place has"]),
        ({"shape": [2**63]}, ["shape"]),
        ({"shape": [10**4000] * 500}, ["shape"]),
        ({"shape": [-16, -10]}, ["shape"]),
        ({"shape": [16.0, 10]}, ["shape"]),
        ({"shape": [True, 160]}, ["shape"]),
        ({"shape": ["16", 10]}, ["shape"]),
        ({"shape": None}, ["shape None"]),
        ({"shape": [1] * 7 + [16, 10]}, ["at most 8 whole numbers"]),
        ({"shape": [1] * 100 + [16, 10]}, ["at most 8 whole numbers"]),
        ({"data_offsets": [640, 0]}, ["takes 640 bytes", "its place has -640"]),
        ({"data_offsets": [0, 640, 640]}, ["bytes [0, 640, 640]"]),
        ({"data_offsets": "0"}, ["bytes '0'"]),
        ({"data_offsets": [0, 640]}, ["starts at byte"]),
        ({"dtype": 4}, ["type 4"]),
        ({"dtype": ["F32"]}, ["type ['F32']"]),
        ({"dtype": "F16"}, ["takes 320 bytes", "its place has 640"]),
        ({"more": 1}, ["expected dtype, shape and data_offsets"]),
        ({"shape": [10, 16]}, ["visual.proj"]),
        ({"shape": [160]}, ["visual.proj has shape (160,)", "expected 2 axes"]),
        ({"shape": [16, 10, 1]}, ["visual.proj has shape (16, 10, 1)"]),
    ],
)
def test_a_tensor_that_lies(whole, changes, words):
    refused(claim(whole, **changes), "visual.proj" if words[0] != "starts at byte" else "tensor", *words)


def test_all_claims_at_once(whole):
    """A header that is consistent with itself and not with the file."""
    file = weight_file(whole)
    header, data = files.split(file.read_bytes())
    for entry in header.values():
        if "shape" in entry:
            entry["shape"] = [n * 1000 for n in entry["shape"]]
            entry["data_offsets"] = [0, 4 * math.prod(entry["shape"])]
    reached = 0
    for entry in header.values():
        if "shape" in entry:
            entry["data_offsets"] = [reached, reached + entry["data_offsets"][1]]
            reached = entry["data_offsets"][1]
    file.write_bytes(files.join(header, data))
    refused(whole, f"take {reached:,} bytes", f"{len(data):,} are there", "unfinished")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**63 - 1, BIG, 1 << 30])
def test_a_header_length_that_lies(whole, length):
    file = weight_file(whole)
    header, data = files.split(file.read_bytes())
    file.write_bytes(files.join(header, data, length=length))
    refused(whole, f"announce a header of {length:,} bytes")


@pytest.mark.parametrize("off", [-2000, -1, 1, 5, 2000])
def test_a_header_length_that_is_off(whole, off):
    file = weight_file(whole)
    header, data = files.split(file.read_bytes())
    file.write_bytes(files.join(header, data, length=len(json.dumps(header)) + off))
    refused(whole, "header is not valid JSON")


@pytest.mark.parametrize("size", [BIG, 1 << 40])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_really_is_that_long(tmp_path, size, kind):
    """Ten terabytes, all of it a hole: the header tells the truth, but this is no CLIP."""
    width = {"F32": 4}.get(kind, 2)
    file = tmp_path / "long.safetensors"
    header = {"visual.conv1.weight": {"dtype": kind, "shape": [size // width], "data_offsets": [0, size]}}
    start = files.join(header, b"")
    file.write_bytes(start)
    try:
        os.truncate(file, len(start) + size)
    except OSError:
        pytest.skip("this file system has no files that long")
    refused(file, "visual.conv1.weight has shape", "expected 4 axes")


def test_a_header_as_long_as_the_file(tmp_path):
    file = tmp_path / "long.safetensors"
    file.write_bytes((1 << 34).to_bytes(8, "little") + b"{")
    os.truncate(file, 8 + (1 << 34))
    refused(file, "announce a header of 17,179,869,184 bytes", "at most 4,194,304")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"{" + b" " * 100, ["not valid JSON"]),
        (b'{"a":' * 100_000, ["not valid JSON"]),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", ["not valid JSON"]),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}', ["not valid JSON", "twice"]),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"shape":[1]}}', ["twice"]),
        (b'{"a":NaN}', ["NaN is not a JSON number"]),
        (b'{"a":' + b"9" * 5000 + b"}", ["not valid JSON"]),
        (b'{"a":["F32",[1],[0,4]]}', ["tensor 'a' is ['F32', [1], [0, 4]]"]),
        (b'{"a":1}', ["tensor 'a' is 1"]),
        (b'{"a":{"b":{"c":{}}}}', ["tensor 'a' is {'b'"]),
        (b'{"__metadata__":{"a":1}}', ["__metadata__"]),
        (b'{"__metadata__":[]}', ["__metadata__"]),
        (b"{}", ["take 0 bytes", "something was appended"]),
        (b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}', ["'a' starts at byte 2, expected 0"]),  # a gap
        (
            b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}',
            ["'b' starts at byte 2, expected 4"],  # an overlap
        ),
        ('{"\ud800":1}'.encode("utf-8", "surrogatepass"), ["not valid JSON"]),
        (b'{"\\ud800\\n\\u001b[31m":1}', ["tensor '\\ud800\\n\\x1b[31m'"]),
        ('{"a":1}'.encode("utf-16-le"), ["not valid JSON"]),
    ],
)
def test_headers_that_are_no_headers(tmp_path, header, words):
    file = tmp_path / "x.safetensors"
    file.write_bytes(files.join(header, b"\0\0\0\0"))
    message = refused(file, *words)
    assert message.isprintable()  # names from a file cannot steer a terminal


def test_a_header_without_tensors(tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(files.join(b"{}", b""))
    refused(file, "no tensor", "found 0 tensors")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 0.3, 0.5, 0.99, -1])
def test_downloads_that_stopped(whole, keep):
    file = weight_file(whole)
    raw = file.read_bytes()
    file.write_bytes(raw[: int(keep * len(raw))] if isinstance(keep, float) else raw[:keep])
    refused(whole, str(file), "fetch the file again")


# ---- files that are something else


class Bomb:
    """Executed on unpickling: makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def pickles(marker: Path) -> dict[str, bytes]:
    bomb = Bomb(marker)
    out = {f"protocol {n}": pickle.dumps({"state_dict": bomb}, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # what torch.save writes
        archive.writestr("archive/data.pkl", pickle.dumps({"visual.proj": bomb}, protocol=2))
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", bytes(64))
        archive.writestr("archive/version", "3\n")
    return out | {"zip": file.getvalue()}


@pytest.mark.parametrize("name", ["model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "clip.pt"])
def test_no_pickle_is_ever_executed(tmp_path, name):
    marker = tmp_path / "executed"
    for kind, raw in pickles(marker).items():
        file = tmp_path / name
        file.write_bytes(raw)
        words = ["expected"] if kind in ("protocol 0", "protocol 1") else ["a PyTorch pickle", "never executes"]
        refused(file, str(file), *words)
        message = refused(tmp_path, str(tmp_path))
        if not name.endswith(".safetensors"):
            assert f"{name} are pickles, which refclip never executes" in message
        assert not marker.exists(), kind
        if kind != "zip":  # the bomb is live: it is not the test that fails to set it off
            pickle.loads(raw)
            assert marker.exists()
            marker.unlink()


def test_a_pickle_in_place_of_the_configuration(whole, tmp_path):
    marker = tmp_path / "executed"
    for raw in pickles(marker).values():
        (whole / "open_clip_config.json").write_bytes(raw)
        refused(whole, "open_clip_config.json", "not valid JSON")
        assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello, this is no weight file at all\n" * 9, ["a text file", "hello, this is n"]),
        (b"short txt", ["a text file"]),
        (b'{"model_cfg": {"embed_dim": 512}}', ["a text file"]),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", ["a web page"]),
        (b"\n  <html>", ["a web page"]),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 605143316\n",
            ["a Git LFS pointer", "git lfs pull"],
        ),
        (b"", ["0 bytes, too short"]),
        (b"1234567", ["7 bytes, too short"]),
        (b"\0" * 100, ["not a safetensors file", "expected 8 bytes of length"]),
        (bytes(range(256)), ["not a safetensors file"]),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), ["an HDF5, NumPy or GGUF file"]),
        (b"GGUF\x03\0\0\0" + bytes(90), ["an HDF5, NumPy or GGUF file"]),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f4'" + bytes(90), ["an HDF5, NumPy or GGUF file"]),
    ],
)
def test_other_files(tmp_path, content, words):
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    refused(file, str(file), *words)
    refused(tmp_path, str(file), *words)


def test_places_without_weights(tmp_path):
    refused(tmp_path / "none", str(tmp_path / "none"), "no such file or folder", "refclip-mini", "does not download")
    refused("refclip-max", "no such file or folder", "refclip-mini")
    refused("openai/clip-vit-base-patch32", "no such file or folder")
    refused(tmp_path, "expected open_clip_model.safetensors", "found none")
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"")
    refused(tmp_path, "found a.safetensors, b.safetensors", "say which")
    (tmp_path / "model.safetensors").mkdir()
    refused(tmp_path, "model.safetensors", "a folder")


def test_places_that_cannot_be(tmp_path, monkeypatch):
    refused("x" * 5000, "cannot be read")
    refused("/".join(["x" * 200] * 40), "cannot be read")
    refused("a\0b", "a\0b")
    refused("~no-such-user-here/clip", "no-such-user-here")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(loop, "loop")
    refused(tmp_path / "loop" / "deeper", "loop")
    monkeypatch.chdir(tmp_path)
    refused("", "found none")


def test_links_to_nothing(whole):
    """A cache whose download stopped between the link and the file."""
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        (whole / name).unlink()
        (whole / name).symlink_to("../blobs/gone")
        refused(whole, name, "a link to ../blobs/gone, which is not there", "fetch the file again")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of Unix")
def test_pipes_do_not_hang(whole):
    def late(*_):
        raise TimeoutError("it waits for somebody to write into the pipe")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(5)
    try:
        for name in ("open_clip_config.json", "open_clip_model.safetensors"):
            (whole / name).unlink()
            os.mkfifo(whole / name)
            refused(whole, name, "a pipe or a device")
        refused("/dev/zero", "a pipe or a device")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


LOCKED = """
import os, sys
from refclip.weights import load
from refclip.checkpoint import WeightsError
load("refclip-mini", check_finite=False)  # imports what is imported on first use
if os.getuid() == 0:
    os.setuid(65534)  # root may read everything
for path in sys.argv[1:]:
    try:
        load(path)
    except WeightsError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of Unix")
def test_files_that_may_not_be_read():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        first, second, closed = (files.folder(Path(name, n)) for n in ("first", "second", "closed"))
        weight_file(first).chmod(0)
        (second / "open_clip_config.json").chmod(0)
        places = (first, weight_file(first), second, closed, weight_file(closed))
        closed.chmod(0)
        try:
            run = subprocess.run(
                [sys.executable, "-c", LOCKED, *places],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=True,
                timeout=60,
            )
        finally:
            closed.chmod(0o755)
    lines = run.stdout.splitlines()
    assert len(lines) == len(places), run.stdout
    for line, place in zip(lines, places, strict=True):
        assert "Permission denied" in line
        assert str(place) in line


def test_a_failed_load_leaves_no_open_file(whole):
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts open files in Linux's /proc")
    file = weight_file(whole)
    raw = file.read_bytes()
    gc.collect()  # what earlier tests left to collect must not close in between
    before = len(list(Path("/proc/self/fd").iterdir()))
    for n in (3, 100, len(raw) - 1):
        file.write_bytes(raw[:n])
        with pytest.raises(refclip.WeightsError):
            load(whole)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ---- arguments


def test_arguments_that_make_no_sense(whole):
    for options, words in (
        ({"dtype": "bfloat16"}, "dtype 'bfloat16': expected one of float32, float64, float16"),
        ({"dtype": np.float32}, "expected one of float32"),
        ({"dtype": "float16"}, "use 'float32'"),
        ({"activation": "relu"}, "expected one of"),
        ({"vision_heads": 0}, "vision_heads 0: expected a whole number above 0"),
        ({"text_heads": -1}, "text_heads -1"),
        ({"text_heads": 2.0}, "text_heads 2.0"),
        ({"vision_heads": True}, "vision_heads True"),
        ({"device": "gpu"}, "device 'gpu': expected 'cpu'"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            load(whole, **options)
        assert not isinstance(caught.value, refclip.WeightsError)


def test_a_device_that_is_not_there(whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    with pytest.raises(RuntimeError, match=r"device 'cuda' needs CuPy.*pip install"):
        load(whole, device="cuda")


def test_heads_that_do_not_divide(whole):
    refused(whole, "vision width 16 does not divide into 5 heads", "vision_heads=5", vision_heads=5)
    refused(whole, "text width 12 does not divide into 8 heads", "text_heads=8", text_heads=8)
    assert load(whole, vision_heads=4).vision.transformer.heads == 4
    assert load(whole, text_heads=6).text.transformer.heads == 6


# ---- the steps, for those who take them one by one


def test_names_of_transformers_there_and_back():
    """Each of open_clip's names, from a file in transformers' layout, is told in transformers' words."""
    tensors = files.to_transformers(files.state())
    renamed = layout.to_open_clip(Path("x"), tensors)
    assert set(renamed) == set(files.state())
    told = {layout.in_transformers(name).replace(" (transposed)", "") for name in renamed}
    parts = {name.replace("{q,k,v}", letter) for name in told for letter in "qkv"}
    assert parts == set(tensors)


def test_read_tensors_reads_what_safetensors_reads(tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.float64).reshape(2, 3),
        "b": np.array(4, np.float32),
        "c": np.zeros((0, 4), np.float16),
        "d": np.arange(5, dtype=np.int64),
        "e": np.array([True, False]),
        "f.ü": np.ones((1, 1, 2), np.float16),
    }
    save_file(arrays, tmp_path / "x.safetensors")
    seen = checkpoint.read_tensors(tmp_path / "x.safetensors")
    assert set(seen) == set(arrays)
    for name, x in arrays.items():
        np.testing.assert_array_equal(seen[name], x)
        assert seen[name].dtype == x.dtype
        assert seen[name].shape == x.shape


def test_sizes_are_read_off_the_tensors(whole):
    tensors = layout.to_open_clip(whole, checkpoint.read_tensors(weights.find(whole)))
    assert layout.read_sizes(whole, tensors) == files.sizes()
