"""Pictures to pixels against stored answers of open_clip, files of every kind, and the way back."""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from refclip.decode import ImageError, read_image
from refclip.preprocess import (
    MAX_RESIZED_PIXELS,
    Geometry,
    Preprocess,
    preprocess,
    to_model,
    to_original,
)

RNG = np.random.default_rng(7)
COLOUR = Image.fromarray(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8))
ONE_LEVEL = 1.001 / 255 / 0.26  # one of 256 grey levels, divided by the smallest std


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def written(folder: Path, data: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(data)
    return path


# Pixels


def sources(stored: dict[str, np.ndarray]) -> dict[str, Image.Image]:
    images = {}
    for name, mode, (h, w), transparency in json.loads(stored["sources"].tobytes()):
        images[name] = image = Image.frombytes(mode, (w, h), stored[f"{name}/source"].tobytes())
        if mode == "P":
            image.putpalette(stored[f"{name}/palette"].tobytes())
        if transparency is not None:
            image.info["transparency"] = bytes(transparency) if isinstance(transparency, list) else transparency
    return images


def test_pixels_equal_open_clip(golden):
    stored = golden("preprocess")
    configs = [Preprocess(tuple(size), *rest) for size, *rest in json.loads(stored["configs"].tobytes())]
    compared = 0
    for name, image in sources(stored).items():
        # Pillow resizes these modes in floating point, which another compiler may round to the next level.
        tolerance = ONE_LEVEL if image.mode in ("I;16", "I", "F") else 0
        for i, config in enumerate(configs):
            pixels, _ = preprocess(image, config)
            np.testing.assert_allclose(pixels[0], stored[f"{name}/{i}"], rtol=0, atol=tolerance, err_msg=name)
            compared += 1
    assert compared == len(stored) - 2 - 19 - 3  # configs and sources, 19 pictures, 3 palettes


def test_longest_side_of_a_strip_is_refused_like_open_clip():
    with pytest.raises(ImageError, match=r"images\[0\] has 2 x 70 pixels and after the resize 0 x 12"):
        preprocess(Image.new("RGB", (70, 2)), Preprocess((12, 12), "longest"))


def test_arrays_and_sequences():
    config = Preprocess((16, 24))
    colour, grey = np.asarray(COLOUR), np.asarray(COLOUR.convert("L"))
    pixels, geometries = preprocess([COLOUR, colour, COLOUR.convert("L"), grey, colour[:9, 3:]], config)
    assert pixels.dtype == np.float32 and pixels.shape == (5, 3, 16, 24) and pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels[0], pixels[1])
    np.testing.assert_array_equal(pixels[2], pixels[3])
    np.testing.assert_array_equal(pixels[4], preprocess(np.ascontiguousarray(colour[:9, 3:]), config)[0][0])
    assert [g.original for g in geometries] == [(20, 30)] * 4 + [(9, 27)]
    np.testing.assert_array_equal(preprocess(np.stack([colour, colour]), config)[0], pixels[:2])
    np.testing.assert_array_equal(preprocess((COLOUR, colour), config)[0], pixels[:2])
    np.testing.assert_array_equal(preprocess(grey, config)[0], pixels[2:3])
    none, nothing = preprocess([], config)
    assert none.shape == (0, 3, 16, 24) and nothing == ()


def test_mean_and_std_are_the_config_s():
    white = Image.new("RGB", (5, 5), (255, 0, 51))
    pixels, _ = preprocess(white, Preprocess((2, 2), mean=(0.5, 0.25, 0.2), std=(0.5, 0.5, 2.0)))
    # Equal up to one rounding of float32 in each of the divisions and the subtraction.
    np.testing.assert_allclose(pixels[0, :, 0, 0], [1.0, -0.5, 0.0], atol=2e-7)


def test_pictures_are_left_as_they_were():
    image = Image.new("P", (8, 8))
    image.putpalette(bytes(range(48)))
    image.info["transparency"] = b"\x00\x80"
    array = np.zeros((8, 8, 3), np.uint8)
    array.flags.writeable = False
    preprocess([image, array], Preprocess((8, 8)))
    assert image.mode == "P" and image.info["transparency"] == b"\x00\x80"


def test_a_picture_that_is_decoded_late_is_named(tmp_path):
    data = encoded(COLOUR, "PNG")
    message = r"images\[1\] cannot be decoded: .*truncated.*; expected a whole picture: see read_image"
    with Image.open(io.BytesIO(data[: len(data) // 2])) as lazy, pytest.raises(ImageError, match=message):
        preprocess([COLOUR, lazy], Preprocess((8, 8)))


def test_too_elongated_is_refused_before_memory_is_taken():
    strip = np.zeros((1, 100_000, 3), np.uint8)
    message = rf"images\[1\] has 1 x 100000 .*224 x 22400000; expected 1 to {MAX_RESIZED_PIXELS}"
    with pytest.raises(ImageError, match=message):
        preprocess([COLOUR, strip], Preprocess((224, 224)))
    assert preprocess(strip, Preprocess((8, 8), "squash"))[0].shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((4, 4, 3)), TypeError, r"images\[0\] is a float64 array; expected a PIL image or a uint8"),
        (np.zeros((4, 4, 4), np.uint8), TypeError, r"images\[0\] has shape \[4, 4, 4\]; expected \[H, W, 3\]"),
        (np.zeros((3, 4, 4), np.uint8), TypeError, r"has shape \[3, 4, 4\]"),
        (np.zeros(4, np.uint8), TypeError, r"has shape \[4\]"),
        (np.zeros((0, 4, 3), np.uint8), ImageError, r"has shape \[0, 4, 3\]; expected at least one pixel"),
        (Image.new("RGB", (0, 5)), ImageError, r"images\[0\] has 5 x 0 pixels; expected at least one"),
        (Image.new("La", (5, 5)), ImageError, r"images\[0\] has mode La; expected one that Pillow brings to RGB"),
        ("picture.png", TypeError, "images is str; expected PIL images or arrays: files need read_image"),
        (["picture.png"], TypeError, r"images\[0\] is str"),
        (Path("picture.png"), TypeError, r"images is \w+Path"),
        (None, TypeError, "images is NoneType"),
    ],
)
def test_wrong_pictures(given, error, message):
    with pytest.raises(error, match=message):
        preprocess(given, Preprocess((8, 8)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Preprocess((0, 8)), r"size is \(0, 8\); expected \(H, W\)"),
        (Preprocess((8,)), r"size is \(8,\)"),  # pyright: ignore[reportArgumentType]
        (Preprocess((8, 8), "crop"), "resize is 'crop'; expected one of shortest, longest, squash"),
        (Preprocess((8, 8), interpolation="nearest"), "interpolation is 'nearest'; expected one of bicubic, bilinear"),
        (Preprocess((8, 8), mean=(0.5,)), "expected three numbers each"),  # pyright: ignore[reportArgumentType]
        (Preprocess((8, 8), std=(1, 0, 1)), "std above 0"),
        (Preprocess((8, 8), std=(1, float("nan"), 1)), "std above 0"),
    ],
)
def test_wrong_configs(config, message):
    with pytest.raises(ValueError, match=message):
        preprocess(COLOUR, config)


# Files


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    ("format", "mode"),
    [("JPEG", "RGB"), ("PNG", "RGB"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("TIFF", "L"), ("TIFF", "CMYK")],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path, format, mode, orientation):
    # What orientation n asks of a viewer, written out with NumPy: rows and columns as the EXIF standard names them.
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    options = {"lossless": True} if format == "WEBP" else {}
    picture = COLOUR.convert(mode)
    path = written(tmp_path, encoded(picture, format, exif=exif_of(orientation), **options))
    as_opened = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
    stored = np.asarray(Image.open(io.BytesIO(encoded(picture, format, **options))))
    image = read_image(path)
    np.testing.assert_array_equal(np.asarray(image), upright(stored))
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(image)), upright(stored))  # not turned twice
    np.testing.assert_array_equal(np.asarray(read_image(path, exif=False)), as_opened)


def test_unreadable_exif_is_none(tmp_path):
    for exif in (
        b"MM\x00*\xff\xff\xff\xff",
        b"",
        b"II*\x00\x08\x00\x00\x00\xff\xff\x01",
        b"II*\x00\x08\x00\x00\x00\x01\x00",
    ):
        path = written(tmp_path, encoded(COLOUR, "JPEG", exif=b"Exif\x00\x00" + exif))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            image = read_image(path)
        assert image.size == COLOUR.size and not caught


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_eight_bit_modes_are_kept(tmp_path, mode):
    path = written(tmp_path, encoded(COLOUR.convert(mode), "PNG"))
    image = read_image(path)
    with Image.open(path) as opened:
        assert image.mode == opened.mode == mode
        np.testing.assert_array_equal(np.asarray(image), np.asarray(opened))
        np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), np.asarray(opened.convert("RGBA")))


LEVELS = np.array([[0, 1, 128, 129, 256], [257, 600, 32768, 65407, 65535]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "big-endian", "I", "PGM"])
def test_sixteen_bits_are_scaled(tmp_path, kind):
    if kind == "I":
        data = encoded(Image.fromarray(LEVELS.astype(np.int32)), "TIFF")
    elif kind == "PGM":
        data = b"P5 5 2 65535\n" + LEVELS.astype(">u2").tobytes()
    elif kind == "big-endian":
        data = encoded(Image.frombytes("I;16B", (5, 2), LEVELS.astype(">u2").tobytes()), "TIFF")
    else:
        data = encoded(Image.fromarray(LEVELS.astype(np.uint16)), kind)
    path = written(tmp_path, data)
    image = read_image(path)
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 0, 0, 1, 1], [1, 2, 128, 255, 255]]  # value / 257, rounded
    clipped = read_image(path, sixteen_bit="clip")
    with Image.open(path) as opened:
        assert clipped.mode == opened.mode in ("I;16", "I;16B", "I")
        np.testing.assert_array_equal(np.asarray(clipped), np.asarray(opened))


def test_clipping_is_why_scaling_is_the_default(tmp_path):
    grey = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    path = written(tmp_path, encoded(Image.fromarray(grey), "PNG"))
    config = Preprocess((64, 64), mean=(0, 0, 0), std=(1, 1, 1))
    scaled, clipped = (preprocess(read_image(path, sixteen_bit=how), config)[0] for how in ("scale", "clip"))
    # Half a level of rounding and another half for white being 255 of 255.
    np.testing.assert_allclose(scaled[0, 0], grey / 65535, atol=1 / 255)
    assert (clipped == 1).mean() > 0.99


def test_floats_are_scaled_from_zero_to_one(tmp_path):
    values = np.array([[0.0, 0.1, 0.5], [0.999, 1.0, 0.25]], np.float32)
    path = written(tmp_path, encoded(Image.fromarray(values), "TIFF"))
    assert np.asarray(read_image(path)).tolist() == [[0, 26, 128], [255, 255, 64]]
    np.testing.assert_array_equal(np.asarray(read_image(path, sixteen_bit="clip")), values)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 65536]], np.int32),
        np.array([[-1, 5]], np.int32),
        np.array([[0, 1.01]], np.float32),
        np.array([[-0.01, 1]], np.float32),
        np.array([[np.nan, 1]], np.float32),
    ],
)
def test_unknown_ranges_are_refused(tmp_path, values):
    path = written(tmp_path, encoded(Image.fromarray(values), "TIFF"))
    with pytest.raises(ImageError, match=r"picture: holds values from .* expected 0 to (1|65535), which"):
        read_image(path)
    np.testing.assert_array_equal(np.asarray(read_image(path, sixteen_bit="clip")), values)


def test_sixteen_bits_and_orientation_and_transparency(tmp_path):
    image = Image.fromarray(LEVELS.astype(np.uint16))
    path = written(tmp_path, encoded(image, "PNG", exif=exif_of(6), transparency=600))
    turned = read_image(path)
    assert np.asarray(turned).tolist() == np.rot90(np.rint(LEVELS / 257), -1).tolist()
    assert "transparency" not in turned.info


def test_first_frame(tmp_path):
    frames = [COLOUR.convert("P", palette=Image.Palette.ADAPTIVE), Image.new("P", COLOUR.size, 3)]
    for format in ("GIF", "TIFF"):
        path = written(tmp_path, encoded(frames[0], format, save_all=True, append_images=frames[1:]))
        with Image.open(path) as opened:
            assert getattr(opened, "n_frames") == 2  # noqa: B009 - Pillow's stubs do not know it
        np.testing.assert_array_equal(np.asarray(read_image(path).convert("RGB")), np.asarray(frames[0].convert("RGB")))


def test_a_read_picture_needs_its_file_no_more(tmp_path):
    for format in ("BMP", "TIFF", "PNG"):
        path = written(tmp_path, encoded(COLOUR, format))
        image = read_image(path)
        path.write_bytes(b"")
        np.testing.assert_array_equal(np.asarray(image), np.asarray(COLOUR))
        assert type(image) is Image.Image


FORMATS = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "packbits"}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("PPM", {}),
    ("TGA", {}),
    ("JPEG2000", {}),
]


@pytest.mark.parametrize(("format", "options"), FORMATS)
@pytest.mark.parametrize("tolerate", [False, True])
def test_a_truncated_file_is_never_half_a_picture(tmp_path, monkeypatch, format, options, tolerate):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerate)  # other libraries switch this on for good
    data = encoded(COLOUR, format, **options)
    whole = np.asarray(read_image(written(tmp_path, data)).convert("RGB"))
    refused = 0
    for length in range(1, len(data), max(1, len(data) // 200)):
        try:
            image = read_image(written(tmp_path, data[:length]))
        except ImageError as error:
            refused += 1
            assert str(tmp_path / "picture") in str(error)
        else:  # only what follows the pixels was cut off
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), whole)
    assert refused >= 150
    assert ImageFile.LOAD_TRUNCATED_IMAGES is tolerate


def test_jpeg_2000_cut_after_its_header(tmp_path):
    data = encoded(COLOUR, "JPEG2000")
    cut = data[: data.index(b"\xff\x90") + 2]  # with the marker of its first tile, and nothing of the tile
    with Image.open(io.BytesIO(cut)) as opened:
        assert np.asarray(opened).max() == 0  # black, without an error
    with pytest.raises(ImageError, match="no end marker"):
        read_image(written(tmp_path, cut))


def test_files_that_are_no_pictures(tmp_path):
    def refused(path, message):
        with pytest.raises(ImageError, match=message) as caught:
            read_image(path)
        assert str(path) in str(caught.value)

    refused(tmp_path / "missing.png", r"missing.png: cannot be opened \(No such file or directory\)")
    refused(tmp_path, r"is a directory; expected a picture file: pass the path of one")
    refused(written(tmp_path, b""), r"is empty \(0 bytes\)")
    refused(written(tmp_path, b"Dear reader,\n"), r"is not a picture that Pillow knows")
    refused(written(tmp_path, b"\x00" * 1000), r"is not a picture that Pillow knows")
    refused(tmp_path / "picture" / "below", r"cannot be opened \(Not a directory\)")
    refused(written(tmp_path, encoded(COLOUR, "EPS")), r"is PostScript, a program; expected a picture: convert it")
    if hasattr(os, "mkfifo"):  # not on Windows
        os.mkfifo(tmp_path / "pipe")
        refused(tmp_path / "pipe", r"is not a regular file")
    written(tmp_path, encoded(COLOUR, "PNG"))
    assert read_image(str(tmp_path / "picture")).size == COLOUR.size


@pytest.mark.parametrize("limit", [599, 200])  # above half the picture's 600 pixels Pillow warns, below it raises
def test_too_large(tmp_path, monkeypatch, limit):
    path = written(tmp_path, encoded(COLOUR, "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match=rf"picture: is too large: .*Expected at most {limit} pixels"):
        read_image(path)


def test_a_bomb_s_header_is_enough(tmp_path):
    data = bytearray(encoded(COLOUR, "BMP"))
    data[18:26] = struct.pack("<ii", 30_000, 30_000)
    with pytest.raises(ImageError, match="is too large"):
        read_image(written(tmp_path, bytes(data)))


def test_unknown_option(tmp_path):
    with pytest.raises(ValueError, match="sixteen_bit is 'wrap'; expected 'scale' or 'clip'"):
        read_image(tmp_path, sixteen_bit="wrap")


def test_process_wide_settings_survive_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(encoded(COLOUR, "PNG"))
    bad.write_bytes(good.read_bytes()[:500])
    before = list(warnings.filters)

    def read(i: int) -> bool:
        try:
            return read_image(bad if i % 3 == 0 else good).size == COLOUR.size
        except ImageError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(300))) == [i % 3 != 0 for i in range(300)]
    assert list(warnings.filters) == before
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_pillow_s_warnings_do_not_leak(tmp_path):
    # A TIFF tag that claims more data than the file holds: Pillow warns, and the picture is fine.
    data = encoded(COLOUR, "TIFF", tiffinfo={305: "x" * 40})
    at = data.index(struct.pack("<HH", 305, 2))
    path = written(tmp_path, data[: at + 4] + struct.pack("<I", 1 << 20) + data[at + 8 :])
    with pytest.warns(UserWarning), Image.open(path) as opened:
        opened.load()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = read_image(path)
    assert not caught
    np.testing.assert_array_equal(np.asarray(image), np.asarray(COLOUR))


# The way back


@st.composite
def geometries(draw, resizes=("shortest", "longest", "squash")) -> Geometry:
    h, w, th, tw = (draw(st.integers(1, 60)) for _ in range(4))
    config = Preprocess((th, tw), draw(st.sampled_from(resizes)))
    try:
        return preprocess(np.zeros((h, w), np.uint8), config)[1][0]
    except ImageError:
        assume(False)
        raise


def test_known_geometries():
    picture = np.zeros((100, 200, 3), np.uint8)
    assert preprocess(picture, Preprocess((50, 50)))[1][0] == ((100, 200), (50, 100), (0, 25), (50, 50))
    assert preprocess(picture, Preprocess((50, 50), "squash"))[1][0] == ((100, 200), (50, 50), (0, 0), (50, 50))
    assert preprocess(picture, Preprocess((50, 50), "longest"))[1][0] == ((100, 200), (25, 50), (-12, 0), (50, 50))


@given(geometries(), st.integers(1, 20), st.integers(1, 20))
def test_a_linear_map_comes_back_linear(geometry, h, w):
    # Bilinear interpolation reproduces a linear function of the place, so each pixel must show its own place in the
    # frame, up to the half cell at the borders where the map's outermost value is held.
    for axis, cells in ((0, h), (1, w)):
        size = geometry.size[axis]
        centres = (np.arange(cells) + 0.5) * size / cells
        map = np.broadcast_to(centres[:, None] if axis == 0 else centres, (h, w))
        back = to_original(map, geometry)
        assert back.shape == geometry.original and back.dtype == np.float64
        place = (np.arange(geometry.original[axis]) + 0.5) * geometry.resized[axis] / geometry.original[axis]
        place -= geometry.corner[axis]
        expected = np.clip(place, centres[0], centres[-1])
        expected = np.broadcast_to(expected[:, None] if axis == 0 else expected, geometry.original)
        seen = ~np.isnan(back)
        np.testing.assert_allclose(back[seen], expected[seen], rtol=0, atol=1e-11)  # float64, numbers below 100
        unseen_here = (place < 0) | (place >= size)
        assert not seen[unseen_here].any() if axis == 0 else not seen[:, unseen_here].any()


@given(geometries(("longest", "squash")))
def test_without_a_crop_every_pixel_is_seen(geometry):
    assert np.isfinite(to_original(np.ones((3, 4)), geometry)).all()


def test_crop_is_filled():
    geometry = Geometry((10, 40), (10, 40), (0, 15), (10, 10))
    back = to_original(np.ones((5, 5), np.float32), geometry)
    assert back.dtype == np.float32
    assert np.isnan(back[:, :15]).all() and np.isnan(back[:, 25:]).all() and (back[:, 15:25] == 1).all()
    assert (to_original(np.ones((5, 5)), geometry, fill=-1)[:, :15] == -1).all()


def test_map_at_the_picture_s_resolution_is_itself():
    map = RNG.normal(size=(16, 24)).astype(np.float32)
    geometry = preprocess(np.zeros((16, 24), np.uint8), Preprocess((16, 24)))[1][0]
    np.testing.assert_array_equal(to_original(map, geometry), map)
    np.testing.assert_array_equal(to_original(map > 0, geometry), map > 0)


def test_shrinking_keeps_a_peak():
    map = np.zeros((90, 90))
    map[46, 46] = 1  # three cells a pixel: the centre of cell 46 is the centre of pixel 15
    back = to_original(map, Geometry((30, 30), (90, 90), (0, 0), (90, 90)))
    assert back[15, 15] == 1 and back.sum() == 1  # an average would leave 1 / 9


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("original", [(120, 200), (200, 120), (37, 41), (300, 300)])
def test_a_bright_square_comes_back_to_its_place(resize, original):
    h0, w0 = original
    square = slice(h0 // 2 - h0 // 6, h0 // 2 + h0 // 8), slice(w0 // 2 - w0 // 8, w0 // 2 + w0 // 6)
    picture = np.zeros((h0, w0, 3), np.uint8)
    picture[square] = 255
    config = Preprocess((64, 48), resize, "bilinear", mean=(0, 0, 0), std=(1, 1, 1))
    pixels, (geometry,) = preprocess(picture, config)
    back = to_original(pixels[0, 0], geometry, fill=0) > 0.5
    for axis in (0, 1):
        found = np.flatnonzero(back.any(1 - axis))
        # A resampled edge crosses one half within half a pixel of the coarser grid, on the way there and back.
        tolerance = max(1, original[axis] / geometry.resized[axis])
        assert abs(found[0] - square[axis].start) <= tolerance and abs(found[-1] + 1 - square[axis].stop) <= tolerance
    truth = np.zeros(original, bool)
    truth[square] = True
    assert (to_model(truth, geometry) == (pixels[0, 0] > 0.5)).mean() > 0.97  # all but the square's outline


# Masks


def test_nearest_mask_equals_pillow_s():
    mask = RNG.random((41, 59)) > 0.5
    for size in ((16, 16), (100, 80), (41, 59)):
        geometry = preprocess(mask.astype(np.uint8), Preprocess(size, "squash"))[1][0]
        expected = Image.fromarray(mask.astype(np.uint8)).resize((size[1], size[0]), Image.Resampling.NEAREST)
        ours = to_model(mask, geometry)
        assert ours.dtype == bool
        np.testing.assert_array_equal(ours, np.asarray(expected))
    labels = RNG.integers(0, 9, (41, 59)).astype(np.int16)
    assert to_model(labels, geometry).dtype == np.int16


def test_box_mask_equals_pillow_s():
    mask = RNG.random((60, 90)).astype(np.float32)
    for size in ((20, 30), (16, 16), (13, 31), (80, 120)):
        geometry = preprocess(np.zeros((60, 90), np.uint8), Preprocess(size, "squash"))[1][0]
        if size[0] < 60 and 60 % size[0] == 0 and 90 % size[1] == 0:  # elsewhere Pillow's box takes whole pixels
            expected = np.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.BOX))
            np.testing.assert_allclose(to_model(mask, geometry, "box"), expected, atol=1e-6)  # float32, values below 1
        # Squashing covers the picture evenly, so the mean stays; float32, values below 1.
        np.testing.assert_allclose(to_model(mask, geometry, "box").mean(), mask.mean(), atol=1e-6)


@given(geometries(), st.sampled_from(["nearest", "box"]))
def test_a_full_mask_covers_the_picture_and_not_the_padding(geometry, how):
    full = to_model(np.ones(geometry.original, bool), geometry, how)
    assert full.shape == geometry.size
    for axis in (0, 1):
        place = np.arange(geometry.size[axis]) + geometry.corner[axis]
        inside = (place >= 0) & (place < geometry.resized[axis])
        covered = full.max(1 - axis)
        # float32 after a sum of shares that is 1 up to rounding
        np.testing.assert_allclose(covered.astype(np.float32), inside.astype(np.float32), atol=1e-6)


def test_box_keeps_a_hair():
    mask = np.zeros((400, 400), bool)
    mask[:, 201] = True
    geometry = preprocess(mask.astype(np.uint8), Preprocess((40, 40)))[1][0]
    assert not to_model(mask, geometry).any()  # it passes between the centres
    box = to_model(mask, geometry, "box")
    assert (box > 0).sum() == 40
    np.testing.assert_allclose(box[:, 20], 0.1, atol=1e-6)  # one of ten columns; float32


def test_wrong_maps_and_masks():
    geometry = Geometry((10, 20), (10, 20), (0, 5), (10, 10))
    with pytest.raises(ValueError, match=r"map has shape \[1, 5, 5\]; expected \[h, w\], one map at a time"):
        to_original(np.ones((1, 5, 5)), geometry)
    with pytest.raises(ValueError, match=r"map has shape \[0, 5\]"):
        to_original(np.ones((0, 5)), geometry)
    with pytest.raises(ValueError, match=r"mask has shape \[20, 10\]; expected \[10, 20\].*EXIF"):
        to_model(np.ones((20, 10)), geometry)
    with pytest.raises(ValueError, match="how is 'area'; expected 'nearest' or 'box'"):
        to_model(np.ones((10, 20)), geometry, "area")
