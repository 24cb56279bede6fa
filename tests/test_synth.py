"""Pseudo-anomalies against DRAEM's definitions, one pixel at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from refclip import synth

EXACT = {"rtol": 0, "atol": 1e-12}  # float64 on both sides


def picture(shape=(40, 56)):
    rng = np.random.default_rng(3)
    blocks = np.kron(rng.integers(0, 256, (5, 7, 3)), np.ones((8, 8, 1)))[: shape[0], : shape[1]]
    return (blocks * 0.8 + rng.uniform(0, 40, blocks.shape)).astype(np.uint8)


def slow_perlin(angles, shape, res):
    """At every pixel: the four corners' gradients times the way from them, mixed by the fade."""
    out = np.zeros(shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            y, x = row * res[0] / shape[0], column * res[1] / shape[1]
            i, j = math.floor(y), math.floor(x)
            total = 0.0
            for a in (0, 1):
                for b in (0, 1):
                    ty, tx = (abs(1 - a - (y - i)), abs(1 - b - (x - j)))
                    ty, tx = (6 * t**5 - 15 * t**4 + 10 * t**3 for t in (ty, tx))
                    angle = angles[i + a, j + b]
                    # the fade of 1 - t is 1 minus the fade of t, so each corner's weight is the fade of its nearness
                    total += ty * tx * (math.cos(angle) * (y - i - a) + math.sin(angle) * (x - j - b))
            out[row, column] = math.sqrt(2) * total
    return out


@pytest.mark.parametrize("shape", [(16, 16), (12, 20), (7, 5), (1, 1)])
@pytest.mark.parametrize("res", [(1, 1), (4, 2), (8, 32)])
def test_perlin_noise_is_its_definition(shape, res):
    angles = np.random.default_rng(1).uniform(0, 2 * np.pi, (res[0] + 1, res[1] + 1))
    out = synth.perlin(np.random.default_rng(1), shape, res)
    np.testing.assert_allclose(out, slow_perlin(angles, shape, res), **EXACT)
    assert np.abs(out).max() <= 1 + 1e-12  # |slope| = 1 and at most half a diagonal away: sqrt(1/2) sqrt 2


def test_perlin_noise_is_zero_at_the_corners_and_has_no_seams():
    out = synth.perlin(np.random.default_rng(2), (256, 256), (4, 4))
    np.testing.assert_allclose(out[::64, ::64], 0, **EXACT)
    step = 0.2  # 1/64 of a cell: slopes stay below some 5 a cell
    assert np.abs(np.diff(out, axis=0)).max() < step
    assert np.abs(np.diff(out, axis=1)).max() < step


@pytest.mark.parametrize(("shape", "res"), [((0, 4), (1, 1)), ((4, 4), (0, 1))])
def test_noise_of_nothing_is_refused(shape, res):
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        synth.perlin(np.random.default_rng(0), shape, res)


def test_masks_are_turned_noise_above_the_threshold():
    sizes = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        down, across = (2 ** rng.integers(0, 6, 2)).tolist()
        noise = synth.perlin(rng, (30, 44), (down, across))
        turned = Image.fromarray(noise.astype(np.float32)).rotate(rng.uniform(-90, 90), Image.Resampling.BILINEAR)
        mask = synth.shape_mask(np.random.default_rng(seed), (30, 44))
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, np.asarray(turned) > 0.5)
        assert synth.shape_mask(np.random.default_rng(seed), (30, 44), 0.2).sum() >= mask.sum()
        sizes |= {down, across}
    assert sizes == {1, 2, 4, 8, 16, 32}


@pytest.mark.parametrize("seed", range(12))
def test_an_anomaly_is_a_blend_inside_and_nothing_outside(seed):
    """With a texture of one colour, unchanged: inside, (1 - beta) texture + beta image with one beta below 0.8."""
    image, colour = picture(), np.full((9, 9, 3), 250, np.uint8)
    kept = image.copy()
    out, mask = synth.anomaly(np.random.default_rng(seed), image, colour, probability=1, threshold=0.2, changes=0)
    np.testing.assert_array_equal(image, kept)
    assert out.dtype == np.uint8
    assert out.shape == image.shape
    assert mask.shape == image.shape[:2]
    np.testing.assert_array_equal(out[~mask], image[~mask])
    if mask.any():
        inside, was = out[mask].astype(float), image[mask].astype(float)
        beta = ((250 - inside).sum()) / ((250 - was).sum())
        assert -0.01 <= beta <= 0.81
        np.testing.assert_allclose(inside, (1 - beta) * 250 + beta * was, rtol=0, atol=1)  # rounded to whole numbers


def test_the_same_seed_gives_the_same_anomaly_and_another_another():
    image = picture()
    first, again, other = (synth.anomaly(np.random.default_rng(s), image, probability=1) for s in (5, 5, 6))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any()


def test_half_of_the_images_stay_as_they_are():
    image = picture((16, 16))
    labels = []
    for seed in range(200):
        out, mask = synth.anomaly(np.random.default_rng(seed), image, image[::-1].copy(), threshold=-2, changes=0)
        labels.append(mask.any())
        assert mask.any() or (out == image).all()
    # threshold -2: a mask is never empty, so labels are a fair coin: 200 tosses, 4 standard deviations of 7
    assert 72 <= sum(labels) <= 128
    for probability, share in ((0, 0), (1, 1)):
        _, mask = synth.anomaly(np.random.default_rng(0), image, probability=probability, threshold=-2)
        assert mask.mean() == share


def test_an_empty_mask_leaves_the_image(monkeypatch):
    monkeypatch.setattr(synth, "shape_mask", lambda rng, shape, threshold: np.zeros(shape, bool))
    out, mask = synth.anomaly(np.random.default_rng(0), picture(), probability=1)
    assert not mask.any()
    np.testing.assert_array_equal(out, picture())


def test_three_changes_of_ten_no_two_alike(monkeypatch):
    seen = []
    assert len(synth.CHANGES) == 10
    fakes = {n: (lambda rng, p, n=n: seen.append(n) or p) for n in synth.CHANGES}
    monkeypatch.setattr(synth, "CHANGES", fakes)
    for seed in range(60):
        seen.clear()
        synth.anomaly(np.random.default_rng(seed), picture((8, 8)), picture((8, 8)), probability=1)
        assert len(set(seen)) == len(seen) == 3


@pytest.mark.parametrize("name", synth.CHANGES)
def test_changes_keep_the_size_and_the_original(name):
    before = Image.fromarray(picture())
    results = []
    for seed in range(8):
        after = synth.CHANGES[name](np.random.default_rng(seed), before)
        assert after.size == before.size
        assert after.mode == "RGB"
        results.append(np.asarray(after))
    np.testing.assert_array_equal(np.asarray(before), picture())
    assert any((r != picture()).any() for r in results)
    same = synth.CHANGES[name](np.random.default_rng(0), before)
    np.testing.assert_array_equal(np.asarray(same), results[0])


def test_changes_are_what_they_are_called():
    before = picture()
    pil = Image.fromarray(before)
    rng = np.random.default_rng

    def run(name, seed=0):
        return np.asarray(synth.CHANGES[name](rng(seed), pil)).astype(int)

    np.testing.assert_array_equal(run("invert"), 255 - before)
    power = rng(0).uniform(0.5, 2, 3)
    assert (power >= 0.5).all()
    for c in range(3):
        want = [round(255 * (v / 255) ** power[c]) for v in before[..., c].ravel().tolist()]
        np.testing.assert_array_equal(run("gamma")[..., c].ravel(), want)
    for seed in range(6):
        draw = rng(seed)
        limit, active = int(draw.integers(32, 129)), draw.uniform() < 0.5
        want = np.where((before >= limit) & active, 255 - before.astype(int), before)
        np.testing.assert_array_equal(run("solarize", seed), want)
        bits = int(rng(seed).integers(1, 9))
        np.testing.assert_array_equal(run("posterize", seed), before >> (8 - bits) << (8 - bits))
    # a mean of some 100, moved by a factor of 0.8 to 1.2 and by 30 at most
    shifts = [run("brightness", seed).mean() - before.mean() for seed in range(12)]
    assert min(shifts) < -5 < 5 < max(shifts)
    assert max(map(abs, shifts)) < 0.2 * before.mean() + 30 + 2  # and YCbCr's rounding


@pytest.mark.parametrize("seed", range(12))
def test_textures_from_nothing(seed):
    texture = synth.procedural(np.random.default_rng(seed), 48)
    assert texture.shape == (48, 48, 3)
    assert texture.dtype == np.uint8
    np.testing.assert_array_equal(texture, synth.procedural(np.random.default_rng(seed), 48))
    assert texture.astype(float).std(axis=(0, 1)).max() > 3  # it is not one colour


def test_textures_come_from_arrays_pictures_and_functions():
    image, texture = picture(), picture()[::-1].copy()
    outs = [
        synth.anomaly(np.random.default_rng(4), given, source, probability=1)
        for given in (image, Image.fromarray(image))
        for source in (texture, Image.fromarray(texture), lambda rng: texture)
    ]
    for out, mask in outs[1:]:
        np.testing.assert_array_equal(out, outs[0][0])
        np.testing.assert_array_equal(mask, outs[0][1])
    grey, _ = synth.anomaly(np.random.default_rng(4), image[..., 0], probability=1)
    assert grey.shape == image.shape


@pytest.mark.parametrize("shape", [(1, 1), (5, 64), (300, 17)])
def test_any_size_will_do(shape):
    image = np.full((*shape, 3), 90, np.uint8)
    out, mask = synth.anomaly(np.random.default_rng(8), image, probability=1, threshold=-2)
    assert out.shape == (*shape, 3)
    assert mask.all()


@pytest.mark.parametrize(
    ("image", "texture", "says"),
    [
        (np.zeros((4, 4, 3)), None, r"image: found float64 \[4, 4, 3\]"),
        (np.zeros((4, 4, 4), np.uint8), None, r"image: found uint8 \[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), None, "image: found uint8"),
        ("picture.png", None, "image: found str"),
        (np.zeros((4, 4, 3), np.uint8), [1], "texture: found list"),
    ],
)
def test_what_is_no_picture_is_named(image, texture, says):
    with pytest.raises(TypeError, match=says):
        synth.anomaly(np.random.default_rng(0), image, texture, probability=1)
