"""Preprocessing against open_clip, Pillow and PyTorch themselves, on far more pictures than the stored answers hold."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from refclip.decode import ImageError, read_image
from refclip.preprocess import (
    OPENAI_MEAN,
    OPENAI_STD,
    Geometry,
    Preprocess,
    preprocess,
    to_model,
    to_original,
)
from tests.parity.oracle_preprocess import noise, reference

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB", "HSV", "RGBX", "RGBa", "PA"]
SIZES = [(1, 1), (1, 7), (9, 1), (33, 47), (47, 33), (16, 16), (16, 40), (15, 16), (90, 4), (150, 200)]
FRAMES = [(16, 16), (12, 20), (21, 16)]


def compare(image: Image.Image, size: tuple[int, int], resize: str, interpolation: str) -> None:
    try:
        expected = reference(image, size, resize, interpolation)
    except ValueError:  # Pillow's, for a side of zero pixels
        with pytest.raises(ImageError, match="too elongated"):
            preprocess(image, Preprocess(size, resize, interpolation))
        return
    if resize == "shortest" and size[0] != size[1]:
        interpolation = "bicubic"  # open_clip ignores what it is asked
    pixels, _ = preprocess(image, Preprocess(size, resize, interpolation))
    np.testing.assert_array_equal(pixels[0], expected)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_bit_for_bit(mode):
    rng = np.random.default_rng(1)
    for h, w in SIZES:
        image = noise(rng, mode, h, w) if mode != "PA" else noise(rng, "P", h, w).convert("PA")
        for size in FRAMES:
            for resize in ("shortest", "longest", "squash"):
                for interpolation in ("bicubic", "bilinear"):
                    compare(image, size, resize, interpolation)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
@pytest.mark.parametrize("transparency", [3, bytes(range(0, 255, 16))])
def test_transparency_kept_beside_the_pixels(mode, transparency):
    image = noise(np.random.default_rng(2), mode, 20, 30)
    image.info["transparency"] = (1, 2, 3) if mode == "RGB" else transparency
    compare(image, (16, 16), "shortest", "bicubic")
    compare(image, (20, 30), "squash", "bicubic")


@settings(max_examples=300)
@given(
    st.sampled_from(MODES[:-1]),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["shortest", "longest", "squash"]),
    st.sampled_from(["bicubic", "bilinear"]),
)
def test_any_size_bit_for_bit(mode, original, size, resize, interpolation):
    compare(noise(np.random.default_rng(3), mode, *original), size, resize, interpolation)


def test_elongated_bit_for_bit():
    rng = np.random.default_rng(4)
    for h, w in ((1, 20_000), (20_000, 1), (7, 3_001)):
        for resize in ("shortest", "squash"):
            compare(noise(rng, "RGB", h, w), (24, 24), resize, "bicubic")


def test_real_size_and_other_statistics():
    image = noise(np.random.default_rng(5), "RGB", 480, 641)
    mean, std = (0.5, 0.4, 0.3), (0.5, 0.25, 0.125)
    cfg: Any = PreprocessCfg(size=224, mean=mean, std=std, interpolation="bilinear", resize_mode="squash")
    transform: Any = image_transform_v2(cfg, is_train=False)
    expected = transform(image).numpy()
    pixels, _ = preprocess(image, Preprocess((224, 224), "squash", "bilinear", mean, std))
    np.testing.assert_array_equal(pixels[0], expected)
    assert PreprocessCfg().mean == OPENAI_MEAN and PreprocessCfg().std == OPENAI_STD


def test_every_level_bit_for_bit():
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3))
    compare(ramp, (16, 16), "squash", "bicubic")


def test_bilinear_that_open_clip_ignores():
    image = noise(np.random.default_rng(6), "RGB", 40, 60)
    asked = reference(image, (16, 20), "shortest", "bilinear")
    np.testing.assert_array_equal(asked, reference(image, (16, 20), "shortest", "bicubic"))  # the quirk is still there
    ours, _ = preprocess(image, Preprocess((16, 20), "shortest", "bilinear"))
    left = np.asarray(image.resize((24, 16), Image.Resampling.BILINEAR).crop((2, 0, 22, 16)), np.float32)
    expected = (left / np.float32(255) - np.array(OPENAI_MEAN, np.float32)) / np.array(OPENAI_STD, np.float32)
    np.testing.assert_array_equal(ours[0], expected.transpose(2, 0, 1))


FILES = [
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    ("PNG", "P", {"transparency": bytes(range(0, 255, 16))}),
    *(("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")),
    *(("TIFF", mode, {}) for mode in ("1", "L", "RGB", "CMYK", "I;16", "I", "F")),
    *(("WEBP", mode, {}) for mode in ("RGB", "RGBA")),
    *(("GIF", mode, {}) for mode in ("L", "P")),
    *(("BMP", mode, {}) for mode in ("1", "L", "P", "RGB")),
]


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("format", "mode", "options"), FILES)
def test_files_as_open_clip_s_users_see_them(tmp_path, format, mode, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    if format in ("JPEG", "PNG", "TIFF", "WEBP"):
        options = {**options, "exif": exif}
    buffer = io.BytesIO()
    noise(np.random.default_rng(7), mode, 20, 28).save(buffer, format, **options)
    path = tmp_path / "picture"
    path.write_bytes(buffer.getvalue())
    # By name, Pillow 13 scrambles a turned TIFF of plain grey or CMYK pixels; as an open file it does not.
    with path.open("rb") as file, Image.open(file) as opened:
        expected = reference(opened, (16, 16), "shortest", "bicubic")
    pixels, _ = preprocess(read_image(path, exif=False, sixteen_bit="clip"), Preprocess((16, 16)))
    np.testing.assert_array_equal(pixels[0], expected)


@settings(max_examples=200)
@given(
    *(st.tuples(st.integers(1, 40), st.integers(1, 40)) for _ in range(3)), st.sampled_from([np.float32, np.float64])
)
def test_to_original_is_torch_s_bilinear(cells, size, original, dtype):
    map = np.random.default_rng(8).normal(size=cells).astype(dtype)
    expected = torch.nn.functional.interpolate(torch.from_numpy(map)[None, None], original, mode="bilinear")[
        0, 0
    ].numpy()
    ours = to_original(map, Geometry(original, size, (0, 0), size))
    assert ours.dtype == dtype
    # Values of about 1, and places up to 40 that torch rounds to the map's own type.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=5e-5 if dtype == np.float32 else 1e-12)


@settings(max_examples=200)
@given(*(st.tuples(st.integers(1, 40), st.integers(1, 40)) for _ in range(2)))
def test_to_model_is_torch_s_nearest_exact(size, original):
    mask = np.random.default_rng(9).normal(size=original)
    # torch computes places in float32: leave out sizes where a centre falls on a border, which it rounds either way.
    for old, new in zip(original, size, strict=True):
        at = (np.arange(new) + 0.5) * old / new
        if (np.abs(at - np.rint(at)) < 1e-4).any():
            return
    expected = torch.nn.functional.interpolate(torch.from_numpy(mask)[None, None], size, mode="nearest-exact")[0, 0]
    np.testing.assert_array_equal(to_model(mask, Geometry(original, size, (0, 0), size)), expected.numpy())


@settings(max_examples=100)
@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(1, 5), st.integers(1, 5))
def test_box_is_torch_s_area(size, down, across):
    original = (size[0] * down, size[1] * across)
    mask = np.random.default_rng(10).random(original)
    expected = torch.nn.functional.interpolate(torch.from_numpy(mask)[None, None], size, mode="area")[0, 0].numpy()
    ours = to_model(mask, Geometry(original, size, (0, 0), size), "box")
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7)  # ours ends in float32, values below 1
