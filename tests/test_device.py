"""The library on `DeviceArray`, which keeps CuPy's rules: nothing meets host arrays, and the numbers are NumPy's.

What a GPU itself must show (that its kernels round as expected, that memory is given back) is in tests/gpu.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import refclip
from refclip import attention, backend, nn
from refclip.prediction import Prediction
from refclip.prompts import CLIP_AC_STATES, IMAGENET_TEMPLATES, compose
from refclip.resample import resize
from refclip.tokenizer import tokenize
from refclip.transformer import Dual
from refclip.vit import sliding_windows
from refclip.zeroshot import one_class, p_abnormal, prototypes
from tests import randomclip, test_clip_ac, test_winclip
from tests.devicearray import DeviceArray, devicexp, upload
from tests.test_winclip import EXACT, NAME, SINGLE, named

TEXTS = ["a photo of a flawless nut", "damaged", "", " ".join(["word"] * 90)]


def leaves(tree):
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in leaves(item)]
    return [tree]


def assert_same(device, host, **tolerance):
    """The same nest, arrays on the device in one and on the host in the other, of the same types and numbers."""
    a, b = leaves(device), leaves(host)
    assert len(a) == len(b)
    assert any(isinstance(x, DeviceArray) for x in a)
    for x, y in zip(a, b, strict=True):
        if isinstance(y, np.ndarray):
            assert isinstance(x, DeviceArray)
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x.get(), y, **(tolerance or EXACT))
        else:
            assert x == y


def upload_as(tree, dtype):
    """On the device, every weight in a type."""
    if isinstance(tree, np.ndarray):
        return devicexp.asarray(tree.astype(dtype))
    if isinstance(tree, tuple):
        items = [upload_as(item, dtype) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    return tree


@pytest.fixture(scope="module")
def device(small):
    return upload(small)


@pytest.fixture(scope="module", params=["gelu", "quick_gelu"])
def single(request, small_folder):
    """float32, on both sides."""
    clip = refclip.load(small_folder, activation=request.param)
    return clip, upload(clip)


@pytest.fixture(scope="module")
def pixels():
    return randomclip.pixels((3, 3, 40, 40), seed=21).astype(np.float64)


def test_every_weight_is_on_the_device(small, device):
    arrays = [x for x in leaves(small) if isinstance(x, np.ndarray)]
    # 8 beside the image blocks, 5 beside the text blocks, 12 in each of 4 and 3 blocks
    assert len(arrays) == 8 + 5 + 12 * (4 + 3)
    assert sum(isinstance(x, DeviceArray) for x in leaves(device)) == len(arrays)
    assert not any(isinstance(x, np.ndarray) for x in leaves(device))
    assert repr(device) == repr(small)
    assert backend.xp_of(device.vision.proj) is devicexp
    assert not backend.on_host(device.vision.proj)


# --- towers ----------------------------------------------------------------------------------------------------------

TOWERS = {
    "class token": {},
    "unit length": {"normalize": True, "layers": [4]},
    "layers": {"layers": [1, 3, 4]},
    "dual path": {"layers": [2, 4], "dual": Dual("v-v", 1)},
    "dual path q-q from the first block": {"layers": [4], "dual": Dual("q-q", 0)},
    "k-k": {"variant": "k-k"},
    "trace": {"trace": True, "layers": [4], "dual": Dual("k-k", 2)},
    "positions": {"interpolation": "bilinear", "antialias": False},
    "threads": {"threads": 3},
}


@pytest.mark.parametrize("size", [(40, 40), (24, 56)])
@pytest.mark.parametrize("options", TOWERS.values(), ids=TOWERS)
def test_image_tower(small, device, options, size):
    host = randomclip.pixels((2, 3, *size), seed=22).astype(np.float64)
    out = refclip.encode_tokens(device, devicexp.asarray(host), **options)
    assert_same(out, refclip.encode_tokens(small, host, **options))


def test_class_tokens(small, device, pixels):
    for normalize in (False, True):
        out = refclip.encode_image(device, devicexp.asarray(pixels), normalize)
        assert_same([out], [refclip.encode_image(small, pixels, normalize)])


@pytest.mark.parametrize("how", ["drop", "mask"])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_windows(small, device, pixels, how, k):
    windows = sliding_windows((5, 5), k)
    for normalize in (False, True):
        out = refclip.encode_windows(device, devicexp.asarray(pixels), windows, how=how, normalize=normalize)
        assert_same([out], [refclip.encode_windows(small, pixels, windows, how=how, normalize=normalize)])


def test_texts(small, device):
    ids = tokenize(TEXTS)
    for host, there in ((TEXTS, TEXTS), (TEXTS[0], TEXTS[0]), (ids, devicexp.asarray(ids))):
        for normalize in (False, True):
            assert_same([refclip.encode_text(device, there, normalize)], [refclip.encode_text(small, host, normalize)])
    assert refclip.encode_text(device, []).shape == (0, 48)


def test_similarity_and_scores(small, device, pixels):
    prompts = compose("nut", CLIP_AC_STATES, (*IMAGENET_TEMPLATES[:3], IMAGENET_TEMPLATES[0]))
    image, text = refclip.encode_image(small, pixels), prototypes(small, prompts)
    there = refclip.encode_image(device, devicexp.asarray(pixels)), prototypes(device, prompts)
    assert_same(there, (image, text))
    assert_same([refclip.similarity(device, *there)], [refclip.similarity(small, image, text)])
    assert_same([p_abnormal(*there, 0.07), one_class(*there)], [p_abnormal(image, text, 0.07), one_class(image, text)])
    for normalize_prompts in (False, True):
        both = [prototypes(clip, prompts, normalize_prompts=normalize_prompts) for clip in (device, small)]
        assert_same(both[:1], both[1:])


# --- float32: other paths through the activations --------------------------------------------------------------------


@pytest.mark.parametrize("f", [nn.gelu, nn.quick_gelu])
@pytest.mark.parametrize("shape", [(0, 4), (1,), (3, 7), (3, nn.CHUNK + 5)])  # the host cuts the last in chunks
def test_activations_in_float32(f, shape):
    x = np.random.default_rng(23).normal(0, 4, shape).astype(np.float32)
    # one float32 rounding: a vectorised exp and the one for a chunk's last elements may differ in the last bit
    assert_same([f(devicexp.asarray(x))], [f(x)], rtol=3e-7, atol=1e-30)


def test_activations_saturate_on_the_device():
    x = np.array([-3e38, -1e4, -300, 300, 1e10, 3e38], np.float32)
    for f in (nn.gelu, nn.quick_gelu):
        assert_same([f(devicexp.asarray(x))], [np.where(x > 0, x, np.float32(0))], rtol=0, atol=0)


def test_towers_in_float32(single, pixels):
    host, there = single
    x = pixels.astype(np.float32)
    options = {"layers": [4], "dual": Dual("v-v", 1), "trace": True}
    windows = sliding_windows((5, 5), 2)
    pairs = [
        (refclip.encode_tokens(there, devicexp.asarray(x), **options), refclip.encode_tokens(host, x, **options)),
        ([refclip.encode_windows(there, devicexp.asarray(x), windows)], [refclip.encode_windows(host, x, windows)]),
        ([refclip.encode_text(there, TEXTS)], [refclip.encode_text(host, TEXTS)]),
    ]
    for out, want in pairs:
        # four blocks of float32 rounding (6e-8 each operation), summed in another order, on values of order 1
        assert_same(out, want, rtol=0, atol=2e-5)


# --- float16, which `load` offers on a GPU ---------------------------------------------------------------------------


def assert_half(f, x, **tolerance):
    """float16 in and out, near the same in float64."""
    out = f(devicexp.asarray(x.astype(np.float16)))
    assert out.dtype == np.float16
    np.testing.assert_allclose(out.get().astype(float), f(x.astype(np.float16).astype(float)), **tolerance)


@pytest.mark.parametrize("f", [nn.gelu, nn.quick_gelu])
def test_activations_in_float16(f):
    """Also beyond 5, where a polynomial in float16 would overflow or lose its small coefficients."""
    # float16 rounds by 5e-4 relative; near zero its steps are 6e-8. 300 is as large as activations get
    assert_half(f, np.concatenate([np.linspace(-12, 12, 481), [-300, 300]]), rtol=4e-3, atol=4e-3)


@pytest.mark.parametrize("scale", [1, 30, 300])
def test_norms_in_float16(scale):
    """The residual stream of trained models reaches hundreds: squares and their sums pass float16's 65504."""
    x = np.random.default_rng(26).normal(0, scale, (2, 896))
    gain, bias = np.ones(896), np.zeros(896)

    def layer_norm(x):
        xp = backend.xp_of(x)
        return nn.layer_norm(x, nn.LayerNorm(xp.asarray(gain, dtype=x.dtype), xp.asarray(bias, dtype=x.dtype)))

    # values to 4, rounded to 5e-4 relative a few times
    assert_half(layer_norm, x, rtol=0, atol=1e-2)
    assert_half(nn.normalize, x, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(nn.normalize(devicexp.zeros((1, 8), dtype=np.float16)).get(), 0)  # as in float32


def test_towers_in_float16(small, pixels):
    half = upload_as(small, np.float16)
    out = refclip.encode_image(half, devicexp.asarray(pixels))
    assert out.dtype == np.float16
    a, b = out.get().astype(float), refclip.encode_image(small, pixels)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    # four blocks of float16 rounding, 5e-4 each operation, random and so mostly across the embedding, not along it
    np.testing.assert_allclose(cosine, 1, rtol=0, atol=1e-3)


# --- detectors -------------------------------------------------------------------------------------------------------

# The other methods meet the device in their own tests, and those that need a set or references in test_detector.py.
ZERO_SHOT = ("clip", "clip-ac", "winclip")
DETECTORS = [("winclip", o) for o in test_winclip.OPTIONS] + [(m, o) for m, o, _ in test_clip_ac.OPTIONS]


@pytest.fixture(scope="module")
def images():
    return test_winclip.pictures()


def run(method, clip, images, options):
    out = refclip.detector(method, clip, NAME, **options)(images)
    assert isinstance(out, Prediction)
    assert type(out.score) is type(out.map) is np.ndarray  # the answer is on the host, wherever the model is
    return out


@pytest.mark.parametrize(("method", "options"), DETECTORS, ids=lambda v: v if isinstance(v, str) else named(v))
def test_detectors(small, device, images, method, options):
    out, want = run(method, device, images[:2], options), run(method, small, images[:2], options)
    np.testing.assert_allclose(out.score, want.score, **EXACT)
    np.testing.assert_allclose(out.map, want.map, **EXACT)
    assert out.geometry == want.geometry
    assert out.on_original(0).shape == (50, 70)


@pytest.mark.parametrize("method", ZERO_SHOT)
def test_detectors_in_float32(single, images, method):
    out, want = run(method, single[1], images, {}), run(method, single[0], images, {})
    assert out.score.dtype == out.map.dtype == np.float32
    np.testing.assert_allclose(out.score, want.score, **SINGLE)
    np.testing.assert_allclose(out.map, want.map, **SINGLE)


@pytest.mark.parametrize("method", ZERO_SHOT)
def test_what_a_method_keeps_stays_on_the_device(device, images, method):
    module, preset = refclip.METHODS[method]
    state = module.prepare(device, NAME, **preset)
    features = module.extract(state, images)
    assert isinstance(state.text, DeviceArray)
    assert not any(isinstance(x, np.ndarray) for x in leaves(features))
    assert sum(isinstance(x, DeviceArray) for x in leaves(features)) >= 2


# --- mixing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda clip, x: refclip.encode_image(clip, x),
        lambda clip, x: refclip.encode_tokens(clip, x, layers=[4]),
        lambda clip, x: refclip.encode_windows(clip, x, [[0, 1]]),
    ],
)
def test_pixels_elsewhere_than_the_model_are_refused(small, device, pixels, call):
    with pytest.raises(TypeError, match=r"a numpy array, but the model lives in devicexp; use refclip\.to_device"):
        call(device, pixels)
    with pytest.raises(TypeError, match=r"a devicexp array, but the model lives in numpy; use refclip\.to_device"):
        call(small, devicexp.asarray(pixels))


def test_ids_elsewhere_than_the_model_are_refused(small, device):
    ids = tokenize(TEXTS)
    for clip, wrong in ((device, ids), (small, devicexp.asarray(ids))):
        with pytest.raises(TypeError, match=r"expected strings or an integer array \[b, n\] on the model's device"):
            refclip.encode_text(clip, wrong)


def test_features_elsewhere_than_the_model_are_refused(small, device, images):
    for method in ZERO_SHOT:
        module, preset = refclip.METHODS[method]
        states = [module.prepare(clip, NAME, **preset) for clip in (small, device)]
        host, there = (module.extract(state, images) for state in states)
        for state, wrong in ((states[0], there), (states[1], host)):
            with pytest.raises(TypeError):
                module.score(state, wrong)
        assert module.score(states[1], there).score.shape == (3,), method


def test_pixels_of_the_wrong_kind_are_named_on_the_device(device, pixels):
    x = devicexp.asarray(pixels)
    for wrong, error, says in (
        (x[0], ValueError, r"expected \[batch, 3"),
        (x[:0], ValueError, r"expected \[batch, 3"),
        (x.astype(np.uint8), TypeError, "not raw bytes"),
        (pixels.tolist(), TypeError, "expected a NumPy or CuPy array"),
    ):
        with pytest.raises(error, match=says):
            refclip.encode_image(device, wrong)


# --- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("flags", [{}, {"antialias": True}, {"align_corners": True}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resize(mode, flags, dtype):
    x = np.random.default_rng(24).normal(size=(2, 5, 9)).astype(dtype)
    for size in ((12, 4), (5, 9), (1, 1)):
        # float32: 6e-8 each of a dozen products of order 1
        tolerance = EXACT if dtype is np.float64 else {"rtol": 0, "atol": 1e-6}
        assert_same([resize(devicexp.asarray(x), size, mode, **flags)], [resize(x, size, mode, **flags)], **tolerance)


@pytest.mark.parametrize("variant", attention.VARIANTS)
def test_attention_maps(variant):
    q, k, v = np.random.default_rng(25).normal(size=(3, 2, 6, 12))
    host = attention.operands(attention.QKV(q, k, v), variant)
    there = attention.operands(attention.QKV(*(devicexp.asarray(x) for x in (q, k, v))), variant)
    for mask in (None, attention.causal_mask(6, q)):
        hidden = None if mask is None else attention.causal_mask(6, there[0])
        assert_same([attention.attention_map(*there, 3, hidden)], [attention.attention_map(*host, 3, mask)])


def test_the_way_to_the_host_and_back():
    x = np.arange(6.0).reshape(2, 3)
    there = devicexp.asarray(x)
    np.testing.assert_array_equal(refclip.to_numpy(there), x)
    np.testing.assert_array_equal(refclip.to_device(there, "cpu"), x)
    assert refclip.to_numpy(x) is x
    assert refclip.to_device(x, "cpu") is x
    for wrong in ("gpu", "cuda0", "cuda:1", ""):
        with pytest.raises(ValueError, match="expected 'cpu' or 'cuda'; CUDA_VISIBLE_DEVICES"):
            refclip.to_device(x, wrong)


# --- without a GPU ---------------------------------------------------------------------------------------------------


def gpu_answers() -> bool:
    try:
        backend.check_device("cuda")
    except RuntimeError:
        return False
    return True


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CuPy's own, about its installation
    without_gpu = pytest.mark.skipif(gpu_answers(), reason="a GPU answers: nothing to refuse")


@without_gpu
def test_asking_for_a_missing_gpu_says_what_to_do(small_folder):
    name = "cuda"
    for call in (
        lambda: refclip.load("refclip-mini", device=name),
        lambda: refclip.load(small_folder, dtype="float16", device=name),
        lambda: refclip.to_device(np.zeros(3), name),
        lambda: backend.check_device(name),
    ):
        with pytest.raises(RuntimeError, match=rf"device '{name}'.*CuPy.*use device 'cpu'"):
            call()


@without_gpu
def test_a_missing_gpu_is_found_before_the_weights_are_read(tmp_path):
    with pytest.raises(RuntimeError, match="use device 'cpu'"):
        refclip.load(tmp_path / "not-there", device="cuda")


@without_gpu
def test_the_command_line_says_so_too(tmp_path):
    picture = tmp_path / "picture.png"
    Image.new("RGB", (40, 40)).save(picture)
    command = [sys.executable, "-c", "from refclip.cli import main; main()", "score", str(picture), "--device", "cuda"]
    found = os.environ | {"PYTHONPATH": str(Path(refclip.__file__).parents[1])}  # whether installed or not
    out = subprocess.run(command, cwd=tmp_path, env=found, capture_output=True, text=True, timeout=120, check=False)
    assert out.returncode == 2, out.stderr  # "nothing could be done"
    assert out.stdout == ""
    (line,) = out.stderr.splitlines()
    assert line.startswith("refclip: device 'cuda'")
    assert line.endswith("use device 'cpu'")
    assert list(tmp_path.iterdir()) == [picture]
