"""The training recipe's defects: each is where its mask says, shows, stays on the thing, and is fixed by its seed."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

pytest.importorskip("scipy")

from recipe import defects
from recipe.defect_tools import blur, dilate

SEEDS = range(4)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Products this small are many times slower when BLAS shares them out on a busy machine."""
    with threadpool_limits(1):
        yield


def tiles(rng, s):
    """Coloured squares with some grain: structure, so that a piece in the wrong place shows."""
    colours = rng.uniform(0.15, 0.85, (8, 8, 3)).astype(np.float32)
    at = np.arange(s) * 8 // s
    return np.clip(colours[at][:, at] + 0.02 * rng.standard_normal((s, s, 1), dtype=np.float32), 0, 1)


def surface(s=120):
    rng = np.random.default_rng(1)
    return defects.Scene(tiles(rng, s), np.ones((s, s), np.float32), tiles(rng, s) * 0.4, tiles(rng, s))


def disc(s=120):
    rng = np.random.default_rng(2)
    rows, cols = np.mgrid[:s, :s].astype(np.float32)
    inside = np.clip(0.35 * s - np.hypot(rows - 0.52 * s, cols - 0.47 * s) + 0.5, 0, 1)
    ground = np.full((s, s, 3), 0.9, np.float32)
    image = ground + inside[..., None] * (tiles(rng, s) - ground)
    return defects.Scene(image, inside, ground, tiles(rng, s))


SCENES = {"surface": surface, "disc": disc}


def draws(kind, scene):
    return [defects.draw(np.random.default_rng(seed), scene, kind) for seed in SEEDS]


@pytest.mark.parametrize("size", [64, 120, 151])
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("kind", defects.DEFECTS)
def test_defect(kind, name, size):
    scene = SCENES[name](size)
    found = [damage for damage in draws(kind, scene) if damage is not None]
    assert len(found) >= 3  # of 4: some may find no place where they show
    solid = scene.inside > 0.5
    for image, mask, drawn in found:
        assert drawn == kind
        assert (image.dtype, image.shape, mask.dtype, mask.shape) == (np.float32, scene.image.shape, bool, solid.shape)
        assert image.min() >= 0
        assert image.max() <= 1
        change = np.abs(image - scene.image).max(2)
        assert change[mask].mean() >= 10 / 255
        assert max(0.003 * solid.sum(), 0.0008 * size**2) <= mask.sum() <= 0.2 * solid.sum()
        assert (mask & solid).sum() >= 0.6 * mask.sum()
        # A lone pixel keeps 0.28 of its change in the blur of the mask at 120 pixels, less of it at more.
        assert change[~dilate(mask, 1)].max(initial=0) <= 6 / 255 / (0.25 * min(1, (120 / size) ** 2))
        assert blur(change, 0.75 * size / 120)[~dilate(mask, 1)].max(initial=0) <= 6.5 / 255  # what is cut off is less
    assert not np.array_equal(found[0].mask, found[1].mask)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("kind", defects.DEFECTS)
def test_the_seed_decides_and_the_scene_stays(kind, name):
    scene = SCENES[name]()
    for array in scene:
        array.flags.writeable = False
    for first, again in zip(draws(kind, scene), draws(kind, scene), strict=True):
        assert (first is None) == (again is None)
        if first is not None and again is not None:
            np.testing.assert_array_equal(first.image, again.image)
            np.testing.assert_array_equal(first.mask, again.mask)
            assert not np.shares_memory(first.image, scene.image)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("kind", defects.DEFECTS)
def test_a_kind_changes_only_where_it_means_to(kind, name):
    scene = SCENES[name]()
    for seed in SEEDS:
        image, strength = defects.DEFECTS[kind](np.random.default_rng(seed), scene)
        assert np.isfinite(image).all()
        assert 0 <= strength.min() <= strength.max() <= 1
        beyond = ~dilate(strength > 0.02, 2)
        assert np.abs(image - scene.image).max(2)[beyond].max(initial=0) < 0.12  # soft ends, which `draw` cuts off


def test_any_kind_is_drawn():
    rng, scene = np.random.default_rng(0), surface()
    kinds = [damage.kind for _ in range(400) if (damage := defects.draw(rng, scene)) is not None]
    assert len(kinds) >= 396
    assert set(kinds) == set(defects.DEFECTS)  # the rarest is expected 4 times; other seeds may miss one


def test_what_nobody_could_see_is_refused():
    rng = np.random.default_rng(3)
    ones = np.ones((120, 120), np.float32)
    noise = np.clip(0.5 + 0.25 * rng.standard_normal((120, 120, 1), dtype=np.float32), 0, 1).repeat(3, 2)
    flat = np.full((120, 120, 3), 0.5, np.float32)
    for kind in ("shifted", "mirrored"):  # noise for noise; once in a while a heap of chance stands out
        assert draws(kind, defects.Scene(noise, ones, flat, flat)).count(None) >= 3
    for kind in ("shifted", "mirrored", "gap"):
        assert draws(kind, defects.Scene(flat, ones, flat, flat)) == [None] * len(SEEDS)
    assert None not in draws("scratch", defects.Scene(flat, ones, flat, flat))
    nothing = np.zeros((120, 120), np.float32)
    assert defects.draw(rng, defects.Scene(flat, nothing, flat, noise)) is None


def test_words():
    assert set(defects.WORDS) == set(defects.DEFECTS) == set(defects.WEIGHTS)
    for kind, pairs in defects.WORDS.items():
        assert len(pairs) >= 2, kind
        for adjective, noun in pairs:
            assert adjective.strip() == adjective != ""
            assert noun.strip() == noun != ""
            assert not adjective.startswith(("a ", "an "))
            # kinds that a benchmark asks about unseen
            said = f"{adjective} {noun}"
            assert not any(
                word in said for word in ("thread", "hair", "fib", "burn", "scorch", "melt", "warp", "swirl")
            )
