"""Features kept on disk: the numbers of the towers, in half precision, whole or not there."""

from __future__ import annotations

import errno
import shutil
import sys
import threading

import numpy as np
import pytest
from PIL import Image

import refclip
from refclip import features_cache, frozen
from refclip.clip import encode_tokens
from refclip.decode import ImageError
from refclip.features_cache import keep_features, needed_bytes, rows
from refclip.files import claimed
from refclip.fingerprint import fingerprint
from refclip.frozen import Recipe, encode, rounding
from refclip.nn import layer_norm, normalize
from refclip.preprocess import preprocess
from refclip.samples import Loaded, Sample
from refclip.transformer import Dual
from tests.devicearray import devicexp
from tests.test_device import assert_same, upload

RECIPE = Recipe(layers=(2, 4), size=(40, 40), paths=("own", "v-v"), start=1)
HALF = {"rtol": 2**-11, "atol": 2**-25}  # one rounding to float16: 11 bits, and its smallest steps near 0


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (30 + 5 * i, 44, 3), dtype=np.uint8) for i in range(5)]


def pixels(clip, images, size=(40, 40), resize="squash"):
    return preprocess(images, clip.preprocess._replace(size=size, resize=resize))[0].astype(clip.vision.proj.dtype)


def test_encode_is_the_towers(small, images):
    found = encode(small, images, RECIPE)
    own = encode_tokens(small, pixels(small, images), layers=[2, 4], normalize=True)
    dual = encode_tokens(small, pixels(small, images), layers=[2, 4], dual=Dual("v-v", 1), normalize=True)
    np.testing.assert_allclose(
        found.image, own.embedding, rtol=1e-12, atol=1e-14
    )  # float64: the order of a sum is all that may differ
    for layer in (2, 4):
        np.testing.assert_allclose(found.patches["own"][layer], own.patches[layer], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.patches["v-v"][layer], dual.patches[layer], rtol=1e-12, atol=1e-14)
    assert found.grid == (5, 5)
    assert found.geometry[1].original == (35, 44)


def test_raw_tokens_are_those_that_leave_the_block(small, images):
    found = encode(small, images, RECIPE._replace(space="raw", paths=("own", "q-q")))
    own = encode_tokens(small, pixels(small, images), layers=[2, 4])
    dual = encode_tokens(small, pixels(small, images), layers=[2, 4], dual=Dual("q-q", 1))
    for layer in (2, 4):
        np.testing.assert_allclose(found.patches["own"][layer], own.taps[layer][:, 1:], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.patches["q-q"][layer], dual.taps[layer][:, 1:], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("paths", [("own",), ("v-v",), ()])
def test_a_class_token_without_its_layer_norm(small, images, paths):
    found = encode(small, images, RECIPE._replace(class_norm=False, paths=paths))
    tokens = encode_tokens(small, pixels(small, images), layers=[4]).taps[4][:, 0]
    np.testing.assert_allclose(found.image, normalize(tokens @ small.vision.proj), rtol=1e-12, atol=1e-14)
    normed = normalize(layer_norm(tokens, small.vision.ln_post) @ small.vision.proj)
    assert abs(found.image - normed).max() > 0.01
    np.testing.assert_allclose(
        encode(small, images, RECIPE._replace(paths=paths)).image, normed, rtol=1e-12, atol=1e-14
    )


def test_size_resize_and_positions_have_their_effect(small, images):
    plain = encode(small, images, RECIPE._replace(size=(56, 56), paths=("own",)))
    assert plain.grid == (7, 7)
    want = encode_tokens(small, pixels(small, images, (56, 56)), layers=[2, 4], normalize=True)
    np.testing.assert_allclose(plain.patches["own"][4], want.patches[4], rtol=1e-12, atol=1e-14)
    for change in ({"resize": "longest"}, {"interpolation": "bilinear"}, {"antialias": False, "size": (32, 32)}):
        other = encode(small, images, RECIPE._replace(**({"size": (56, 56), "paths": ("own",)} | change)))
        assert other.patches["own"][4].shape != plain.patches["own"][4].shape or (
            abs(other.patches["own"][4] - plain.patches["own"][4]).max() > 1e-6
        )


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_what_is_kept_is_what_was_encoded(small, images, tmp_path, where):
    lines, counts = [], []
    kept = keep_features(
        small, images, RECIPE, tmp_path if where == "disk" else None, batch=2, tell=lines.append, done=counts.append
    )
    assert counts == [2, 4, 5]
    need = needed_bytes(small, RECIPE, 5)
    assert f"{need:,} bytes" in lines[0]
    assert kept.image.dtype == np.float16
    want, found = encode(small, images, RECIPE), rows(kept, [4, 0], small.vision.proj)
    assert found.image.dtype == np.float64
    np.testing.assert_allclose(found.image, want.image[[4, 0]], **HALF)
    for path in ("own", "v-v"):
        for layer in (2, 4):
            np.testing.assert_allclose(found.patches[path][layer], want.patches[path][layer][[4, 0]], **HALF)
    assert found.geometry == (want.geometry[4], want.geometry[0])
    if where == "disk":
        stored = sum(file.stat().st_size for file in kept.folder.glob("*.npy"))
        assert need < stored < need + 200 * 6  # six files, each with a header of 128 bytes
        assert isinstance(kept.image, np.memmap)


def test_the_second_time_nothing_is_encoded(small, images, tmp_path, monkeypatch):
    first = keep_features(small, images, RECIPE, tmp_path)
    monkeypatch.setattr(features_cache, "encode", lambda *_: pytest.fail("encoded again"))
    lines = []
    again = keep_features(small, images, RECIPE, tmp_path, tell=lines.append)
    assert "found in" in lines[0]
    np.testing.assert_array_equal(first.patches["v-v"][4], again.patches["v-v"][4])


def test_a_killed_attempt_goes_on(small, images, tmp_path, monkeypatch):
    whole = keep_features(small, images, RECIPE, tmp_path / "a", batch=2)
    calls = []

    def killed(clip, some, recipe):
        calls.append(len(some))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(clip, some, recipe)

    monkeypatch.setattr(features_cache, "encode", killed)
    with pytest.raises(KeyboardInterrupt):
        keep_features(small, images, RECIPE, tmp_path / "b", batch=2)
    assert [path.suffix for path in (tmp_path / "b").iterdir()] == [".part"]  # never under its name before it is whole
    resumed = keep_features(small, images, RECIPE, tmp_path / "b", batch=2)
    assert calls == [2, 2, 2, 1]  # the first two were kept
    for name in ("image", "geometry"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    np.testing.assert_array_equal(resumed.patches["v-v"][4], whole.patches["v-v"][4])
    assert [path.name for path in (tmp_path / "b").iterdir()] == [whole.key]


def test_a_damaged_part_is_begun_anew(small, images, tmp_path):
    kept = keep_features(small, images, RECIPE, tmp_path)
    part = tmp_path / f"{kept.key}.part"
    shutil.copytree(kept.folder, part)
    (part / "done").write_text("3")
    (part / "image.npy").write_bytes(b"short")
    expected = np.array(kept.image)
    shutil.rmtree(kept.folder)
    np.testing.assert_array_equal(keep_features(small, images, RECIPE, tmp_path).image, expected)


def test_damage_after_it_was_written_is_named(small, images, tmp_path):
    whole = keep_features(small, images, RECIPE, tmp_path).folder
    file = whole / "own.04.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(OSError, match=f"{whole}: damaged since it was written .*; delete it, and it is made anew"):
        keep_features(small, images, RECIPE, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders")
def test_two_do_not_fill_the_same_files(small, images, tmp_path):
    found = []
    other = threading.Thread(target=lambda: found.append(keep_features(small, images, RECIPE, tmp_path)))
    with claimed(tmp_path):
        other.start()
        other.join(0.3)  # long enough to begin, if it would
        assert other.is_alive()
        assert list(tmp_path.iterdir()) == []
    other.join()
    assert found[0].folder.exists()


def test_what_decides_the_content_decides_the_name(small, small_folder, images, tmp_path):
    def key(clip=small, some=images, recipe=RECIPE):
        return keep_features(clip, some, recipe, batch=5).key

    keys = [
        key(),
        key(clip=refclip.load(small_folder)),  # float32
        key(clip=small._replace(preprocess=small.preprocess._replace(mean=(0.5, 0.5, 0.5)))),
        key(some=images[:4]),
        key(some=images[::-1]),
        key(recipe=RECIPE._replace(layers=(4,))),
        key(recipe=RECIPE._replace(paths=("v-v",))),
        key(recipe=RECIPE._replace(start=0)),
        key(recipe=RECIPE._replace(class_norm=False)),
        key(recipe=RECIPE._replace(dtype="float32")),
        key(recipe=RECIPE._replace(space="raw")),
        key(recipe=RECIPE._replace(resize="longest")),
        key(recipe=RECIPE._replace(size=(32, 32))),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    assert key(clip=small._replace(name="other")) == keys[0]


def test_files_count_by_path_size_and_time(small, images, tmp_path):
    paths = []
    for i, image in enumerate(images[:3]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    samples = [Sample(path, 0, None, "nut", "good", "test") for path in paths]
    recipe = RECIPE._replace(paths=("own",))
    found = keep_features(small, paths, recipe)
    np.testing.assert_array_equal(found.image, keep_features(small, images[:3], recipe).image)
    np.testing.assert_array_equal(found.image, keep_features(small, samples, recipe).image)
    np.testing.assert_array_equal(
        found.image,
        keep_features(small, [Loaded(s, i, None) for s, i in zip(samples, images, strict=False)], recipe).image,
    )
    half = [samples[0]._replace(part=(0, 2))]
    top = keep_features(small, half, recipe)
    np.testing.assert_array_equal(top.image, keep_features(small, [images[0][:15]], recipe).image)
    assert top.key != keep_features(small, samples[:1], recipe).key
    Image.fromarray(images[3][:30]).save(paths[0])  # other pixels, other size of file
    assert keep_features(small, paths, recipe).key != found.key


def test_a_disk_that_is_too_small_is_refused(small, images, tmp_path, monkeypatch):
    need = needed_bytes(small, RECIPE, len(images))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=need - 1))
    monkeypatch.setattr(features_cache, "encode", lambda *_: pytest.fail("encoded before the disk was looked at"))
    with pytest.raises(OSError, match=f"need {need:,} bytes, {need - 1:,} are free") as caught:
        keep_features(small, images, RECIPE, tmp_path / "cache")
    assert caught.value.errno == errno.ENOSPC
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_broken_image_is_named(small, images, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"1\.png"):
        keep_features(small, [images[0], tmp_path / "1.png"], RECIPE)


def test_a_number_too_large_for_half_precision_is_refused(small, images):
    blocks = small.vision.transformer.blocks
    loud = blocks[-1]._replace(c_proj=blocks[-1].c_proj._replace(bias=blocks[-1].c_proj.bias + 1e5))
    vision = small.vision._replace(transformer=small.vision.transformer._replace(blocks=(*blocks[:-1], loud)))
    recipe = RECIPE._replace(space="raw", paths=("own",))
    with pytest.raises(ValueError, match=r"own\.04.*too large for float16"):
        keep_features(small._replace(vision=vision), images, recipe)
    keep_features(small._replace(vision=vision), images, recipe._replace(dtype="float32"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": (5,)}, "from 1 to 4"),
        ({"layers": (2, 2)}, "different block"),
        ({"paths": ("v-q",)}, "expected different ones of own, q-k"),
        ({"start": 2}, r"layers \[2\] lie before"),
        ({"space": "text"}, "space 'text'"),
        ({"dtype": "int8"}, "dtype 'int8'"),
        ({"size": (41, 40)}, "multiples of the patch, 8"),
    ],
)
def test_a_recipe_that_cannot_be_followed(small, images, change, message):
    with pytest.raises(ValueError, match=message):
        keep_features(small, images, RECIPE._replace(**change))
    with pytest.raises(ValueError, match="at least one"):
        encode(small, [], RECIPE)


def test_what_half_precision_does_to_logits(mini):
    """The figure that the documentation cites, on the model that ships: logits at tau 0.07 move by less than 0.003."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)
    images = [np.asarray(Image.fromarray(x).resize((120, 120), Image.Resampling.BICUBIC)) for x in coarse]
    encoded = encode(mini, images, Recipe(layers=(2, 3, 5, 6), size=(120, 120), paths=("v-v",), start=1))
    text = refclip.encode_text(mini, ["object.", "damaged object."], normalize=True)
    worst, mean = rounding(encoded, text, 0.07)
    # each of e numbers is off by at most 2^-11 of itself, so a cosine by at most 2^-11 and a logit by that over tau
    assert 0 < mean < worst < 2**-11 / 0.07
    assert worst < 0.003
    assert rounding(encoded, text, 0.07, "float64") == (0, 0)


def test_on_the_device(small, images):
    device = upload(small)
    assert_same(encode(device, images, RECIPE)[:2], encode(small, images, RECIPE)[:2])
    there, here = keep_features(device, images, RECIPE), keep_features(small, images, RECIPE)
    np.testing.assert_array_equal(there.image, here.image)
    found = rows(there, [1, 2], device.vision.proj)
    assert type(found.image) is type(devicexp.asarray(np.zeros(1)))
    assert fingerprint(device) == fingerprint(small)
    assert frozen.PATHS[0] == "own"
