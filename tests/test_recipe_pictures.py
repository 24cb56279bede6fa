"""The procedural pictures of the training recipe: each is valid, fixed by its seed, and varies with it."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from recipe.objects import OBJECTS
from recipe.surfaces import SURFACES

SIZES = (96, 150)


def check(picture, size, channels):
    assert picture.shape == (size, size, channels)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SURFACES)
def test_surface(name, size):
    first, again, other = (SURFACES[name](np.random.default_rng(seed), size) for seed in (3, 3, 4))
    for picture in (first, other):
        check(picture, size, 3)
        assert picture.std() > 0.002  # even the smoothest keeps its light and grain
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.005


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", OBJECTS)
def test_object(name, size):
    first, again, other = (OBJECTS[name](np.random.default_rng(seed), size) for seed in (3, 3, 4))
    for picture in (first, other):
        check(picture, size, 4)
        alpha = picture[..., 3]
        assert 0.02 < alpha.mean() < 0.99  # there is an object, and something around it
        assert ((alpha > 0.05) & (alpha < 0.95)).any()  # its edge is smooth
        assert picture[alpha > 0.5].std() > 0.005
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.005


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_lies_within_its_picture(name):
    for seed in range(8):
        alpha = OBJECTS[name](np.random.default_rng(seed), 96)[..., 3]
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert border.max() < 0.3  # at most the soft edge of a corner


def test_what_the_benchmark_keeps_for_itself_is_absent():
    reserved = ("terrazzo", "cork", "herringbone", "parquet", "knit", "wool", "biscuit", "cookie", "button", "washer")
    reserved += ("capsule", "pill", "hazelnut")
    words = {word for name in (*SURFACES, *OBJECTS) for word in name.replace("-", " ").split()}
    assert not words & set(reserved)
