"""The library on a GPU, through CuPy, against itself on the host: which open_clip's answers hold in the other tests."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refclip
from refclip import backend, nn
from refclip.prediction import Prediction
from refclip.resample import resize
from refclip.transformer import Dual
from refclip.vit import sliding_windows
from tests import randomclip
from tests.test_detector import needed
from tests.test_device import DETECTORS, TEXTS, leaves
from tests.test_winclip import EXACT, NAME, SINGLE, named, pictures


@pytest.fixture(scope="module")
def cupy():
    import cupy  # where it is missing, the tests are skipped in conftest

    return cupy


@pytest.fixture(scope="module")
def device(cupy, small_folder):
    return refclip.load(small_folder, dtype="float64", device="cuda")


@pytest.fixture(scope="module")
def mini_there(cupy):
    return refclip.load("refclip-mini", device="cuda")


@pytest.fixture(scope="module")
def mini_exact():
    return refclip.load("refclip-mini", dtype="float64")


@pytest.fixture(scope="module")
def pixels():
    return randomclip.pixels((3, 3, 40, 40), seed=31).astype(np.float64)


def arrays(tree):
    return [x for x in leaves(tree) if hasattr(x, "shape")]


def assert_same(device, host, **tolerance):
    a, b = arrays(device), arrays(host)
    assert len(a) == len(b) > 0
    for x, y in zip(a, b, strict=True):
        assert type(x).__module__.partition(".")[0] == "cupy"
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        np.testing.assert_allclose(x.get(), y, **(tolerance or EXACT))


def rms(x):
    return float(np.sqrt(np.mean(np.square(np.asarray(x, np.float64)))))


def assert_as_near(there, host, exact):
    """float32 on the GPU is off by at most twice what float32 on the host is off."""
    assert there.dtype == host.dtype == np.float32
    assert rms(host - exact) > 0
    assert rms(refclip.to_numpy(there) - exact) <= 2 * rms(host - exact)


# --- float64: the same numbers ---------------------------------------------------------------------------------------


def test_every_weight_is_on_the_gpu(small, device, cupy):
    assert len(arrays(device)) == len(arrays(small))
    assert all(isinstance(x, cupy.ndarray) for x in arrays(device))
    assert backend.xp_of(device.vision.proj) is cupy
    assert not backend.on_host(device.vision.proj)
    for x, y in zip(arrays(device), arrays(small), strict=True):
        np.testing.assert_array_equal(refclip.to_numpy(x), y)
        np.testing.assert_array_equal(refclip.to_device(y, "cuda").get(), y)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": [1, 4], "normalize": True},
        {"layers": [4], "dual": Dual("v-v", 1), "trace": True},
        {"variant": "q-q"},
    ],
)
@pytest.mark.parametrize("size", [(40, 40), (24, 56)])
def test_image_tower(small, device, cupy, options, size):
    x = randomclip.pixels((2, 3, *size), seed=32).astype(np.float64)
    assert_same(refclip.encode_tokens(device, cupy.asarray(x), **options), refclip.encode_tokens(small, x, **options))


@pytest.mark.parametrize("how", ["drop", "mask"])
def test_windows(small, device, cupy, pixels, how):
    for k in (1, 2, 5):
        windows = sliding_windows((5, 5), k)
        out = refclip.encode_windows(device, cupy.asarray(pixels), windows, how=how)
        assert_same([out], [refclip.encode_windows(small, pixels, windows, how=how)])


def test_texts(small, device, cupy):
    for normalize in (False, True):
        assert_same([refclip.encode_text(device, TEXTS, normalize)], [refclip.encode_text(small, TEXTS, normalize)])
    ids = refclip.tokenize(TEXTS)
    assert_same([refclip.encode_text(device, cupy.asarray(ids))], [refclip.encode_text(small, ids)])


def test_similarity(small, device, cupy, pixels):
    host = refclip.encode_image(small, pixels), refclip.encode_text(small, TEXTS)
    there = [cupy.asarray(x) for x in host]
    assert_same([refclip.similarity(device, *there)], [refclip.similarity(small, *host)])


@pytest.mark.parametrize(("method", "options"), DETECTORS, ids=lambda v: v if isinstance(v, str) else named(v))
def test_detectors(small, device, method, options):
    images = pictures()[:2]
    out, want = (refclip.detector(method, clip, NAME, **options)(images) for clip in (device, small))
    assert isinstance(out, Prediction)
    assert type(out.score) is type(out.map) is np.ndarray
    np.testing.assert_allclose(out.score, want.score, **EXACT)
    np.testing.assert_allclose(out.map, want.map, **EXACT)
    assert out.geometry == want.geometry


# --- float32: as near to float64 as the host is ----------------------------------------------------------------------


@pytest.mark.parametrize("f", [nn.gelu, nn.quick_gelu])
def test_activations_in_float32(cupy, f):
    x = np.linspace(-12, 12, 3 * nn.CHUNK + 5).astype(np.float32)
    out = f(cupy.asarray(x))
    assert out.dtype == np.float32
    # float32 rounds by 6e-8 relative, a few times over, in the exponent too
    np.testing.assert_allclose(out.get(), f(x.astype(np.float64)), rtol=2e-6, atol=1e-6)
    ends = np.array([-3e38, -1e4, -300, 300, 1e10, 3e38], np.float32)
    np.testing.assert_array_equal(f(cupy.asarray(ends)).get(), np.where(ends > 0, ends, 0))


def test_resize_in_float32(cupy):
    x = np.random.default_rng(33).normal(size=(2, 15, 15)).astype(np.float32)
    for mode in ("bilinear", "bicubic"):
        out = resize(cupy.asarray(x), (37, 24), mode)
        # 6e-8 each of a dozen products of order 1; far from the 1e-3 that TF32 would leave
        assert_same([out], [resize(x, (37, 24), mode)], rtol=0, atol=2e-6)


def test_towers_in_float32(mini, mini_there, mini_exact, cupy):
    x = randomclip.pixels((4, 3, 120, 120), seed=34)
    windows = sliding_windows((15, 15), 3)[::9]
    options = {"layers": [3, 6], "dual": Dual("v-v", 2)}

    def run(clip, x):
        tokens = refclip.encode_tokens(clip, x, **options)
        return [tokens.embedding, *tokens.patches.values(), refclip.encode_windows(clip, x, windows),
                refclip.encode_text(clip, TEXTS)]  # fmt: skip

    for out in zip(run(mini_there, cupy.asarray(x)), run(mini, x), run(mini_exact, x.astype(np.float64)), strict=True):
        assert_as_near(*out)


@pytest.mark.parametrize("method", refclip.METHODS)
def test_detectors_in_float32(mini, mini_there, mini_exact, learned, method):
    options = needed(method, pictures()) | learned(method, mini)
    out, host, exact = (
        refclip.detector(method, clip, "bottle", **options)(pictures()) for clip in (mini_there, mini, mini_exact)
    )
    assert_as_near(out.map, host.map, exact.map)
    np.testing.assert_allclose(out.score, exact.score, **SINGLE)  # three numbers are too few for such a ratio


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_float16_points_the_same_way(small_folder, cupy, pixels, activation):
    half = refclip.load(small_folder, dtype="float16", device="cuda", activation=activation)
    exact = refclip.load(small_folder, dtype="float64", activation=activation)
    for out, want in (
        (refclip.encode_image(half, cupy.asarray(pixels)), refclip.encode_image(exact, pixels)),
        (refclip.encode_text(half, TEXTS), refclip.encode_text(exact, TEXTS)),
    ):
        assert out.dtype == np.float16
        a = out.get().astype(float)
        cosine = (a * want).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(want, axis=1)
        # four blocks of float16 rounding, 5e-4 each operation, random and so mostly across the embedding, not along it
        np.testing.assert_allclose(cosine, 1, rtol=0, atol=1e-3)


# --- mixing, memory, devices -----------------------------------------------------------------------------------------


def test_host_and_gpu_do_not_mix(small, device, cupy, pixels):
    with pytest.raises(TypeError, match=r"a numpy array, but the model lives in cupy; use refclip\.to_device"):
        refclip.encode_image(device, pixels)
    with pytest.raises(TypeError, match=r"a cupy array, but the model lives in numpy; use refclip\.to_device"):
        refclip.encode_image(small, cupy.asarray(pixels))
    ids = refclip.tokenize(TEXTS)
    for clip, wrong in ((device, ids), (small, cupy.asarray(ids))):
        with pytest.raises(TypeError, match="on the model's device"):
            refclip.encode_text(clip, wrong)


def test_inputs_are_never_changed(device, cupy, pixels):
    x = cupy.asarray(pixels)
    refclip.encode_tokens(device, x, layers=[2], dual=Dual(), trace=True)
    refclip.encode_windows(device, x, sliding_windows((5, 5), 2))
    np.testing.assert_array_equal(x.get(), pixels)


def test_memory_is_given_back(small_folder, cupy, learned):
    """Nothing of a model, its features or its results stays behind: no cache holds on to a GPU's memory."""
    pool = cupy.get_default_memory_pool()

    def use():
        clip = refclip.load(small_folder, device="cuda")
        held = pool.used_bytes()
        for method in refclip.METHODS:
            options = needed(method, pictures()) | learned(method, clip)
            for _ in range(3):
                refclip.detector(method, clip, NAME, **options)(pictures())
        gc.collect()
        return held, pool.used_bytes()

    use()  # what CuPy and cuBLAS set up once
    gc.collect()
    before = pool.used_bytes()
    held, after = use()
    gc.collect()
    weights = sum(x.nbytes for x in arrays(refclip.load(small_folder)))
    assert held - before >= weights  # the count counts
    assert after == held
    assert pool.used_bytes() == before


def test_command_line(tmp_path):
    from PIL import Image

    picture = tmp_path / "picture.png"
    Image.fromarray(pictures()[1]).save(picture)
    root = Path(refclip.__file__).parents[1]  # whether installed or not
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from refclip.cli import main; main()"
    scores = []
    for device in ("cpu", "cuda"):
        command = [sys.executable, "-c", code, "score", str(picture), "--device", device]
        out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert out.returncode == 0, out.stderr
        scores.append(float(out.stdout.splitlines()[1].split("\t")[1]))
    np.testing.assert_allclose(scores[1], scores[0], **SINGLE)
