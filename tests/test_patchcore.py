"""PatchCore against its algorithm and equations written out one patch at a time, in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import refclip
from refclip.methods import patchcore
from tests.devicearray import DeviceArray, upload
from tests.test_musc import pictures
from tests.test_winclip import EXACT, named, slow_pixels, slow_upsample

# float32: distances of order 10 between tokens off by some 1e-6 of that
SINGLE = {"rtol": 1e-4, "atol": 1e-4}
OPTIONS = [
    {},
    {"layers": (4, 1, 2)},
    {"neighbourhood": 1},
    {"neighbourhood": 5},
    {"fraction": 1},
    {"fraction": 0.3, "projection": 0},
    {"fraction": 0.001},  # one patch
    {"crowd": 0},
    {"crowd": 3},
    {"squared": True},
    {"sigma": 0},
    {"sigma": 0.1},
    {"resize": "shortest"},
]


def slow_described(clip, images, o):
    """Section 3.1: the mean over a neighbourhood in every layer, side by side; every image's patches row by row."""
    layers = o.layers or (len(clip.vision.transformer.blocks) // 2, len(clip.vision.transformer.blocks) * 3 // 4)
    out, r = [], o.neighbourhood
    for image in images:
        x = slow_pixels(clip, image, o.resize, clip.preprocess.size)
        gh, gw = x.shape[1] // clip.vision.patch_size, x.shape[2] // clip.vision.patch_size
        taps = refclip.encode_tokens(clip, x[None], layers=layers).taps
        for i, j in itertools.product(range(gh), range(gw)):
            parts = []
            for layer in layers:
                total = np.zeros(taps[layer].shape[2])
                for y, z in itertools.product(range(i - r // 2, i + r // 2 + 1), range(j - r // 2, j + r // 2 + 1)):
                    if 0 <= y < gh and 0 <= z < gw:
                        total += taps[layer][0, 1 + y * gw + z]
                parts.append(total / r**2)
            out.append(np.concatenate(parts).tolist())
    return out, (gh, gw)


def slow_coreset(x, count, start):
    """Algorithm 1."""
    taken = [start]
    while len(taken) < count:
        rest = [i for i in range(len(x)) if i not in taken]
        taken.append(max(rest, key=lambda i: min(math.dist(x[i], x[j]) for j in taken)))
    return taken


def slow_blur(map, sigma):
    """A Gaussian cut at 4 sigma, one axis after the other, the image mirrored beyond its edge."""
    reach = int(4 * sigma + 0.5)
    kernel = np.array([math.exp(-0.5 * (t / sigma) ** 2) for t in range(-reach, reach + 1)])
    kernel /= kernel.sum()
    for axis in (0, 1):
        margins = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(map, margins, mode="symmetric")
        map = sum(w * padded.take(range(t, t + map.shape[axis]), axis) for t, w in enumerate(kernel))
    return map


def slow_patchcore(clip, images, memory, options):
    """Equations 6 and 7, given what is in memory."""
    o = patchcore.Options(**options)
    tokens, grid = slow_described(clip, images, o)
    each = grid[0] * grid[1]
    scores, maps, power = [], [], 2 if o.squared else 1
    for k in range(len(images)):
        mine = tokens[k * each : (k + 1) * each]
        found = [min((math.dist(x, m), i) for i, m in enumerate(memory)) for x in mine]
        best, at = max((d, -p) for p, (d, _) in enumerate(found))
        test, star = mine[-at], memory[found[-at][1]]
        weight = 1.0
        if min(o.crowd, len(memory)) > 1:
            crowd = sorted(memory, key=lambda m: math.dist(m, star))[: o.crowd]
            weight = 1 - 1 / sum(math.exp(math.dist(test, m) - best) for m in crowd)
        scores.append(weight * best**power)
        map = slow_upsample(np.array([d**power for d, _ in found]).reshape(grid), clip.preprocess.size)
        maps.append(slow_blur(map, o.sigma * min(map.shape)) if o.sigma else map)
    return np.array(scores), np.array(maps)


def run(clip, images, references, **options):
    state = patchcore.prepare(clip, **options)
    memory = patchcore.remember(state, patchcore.extract(state, references))
    return memory, patchcore.score(state, patchcore.extract(state, images), memory)


# --- the method as a whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_definitions(small, options):
    images = pictures(4)
    memory, out = run(small, images[:2], images[2:], **options)
    o = patchcore.Options(**options)
    every, _ = slow_described(small, images[2:], o)
    count = max(1, int(len(every) * o.fraction))
    # what is remembered are patches of the references, each once; which, the tests of `coreset` say
    gaps = np.abs(memory.patches[:, None] - np.array(every)[None]).max(axis=2)  # [m, M]
    assert len(memory.patches) == count == len(set(gaps.argmin(axis=1).tolist()))
    assert gaps.min(axis=1).max() < 1e-10
    score, map = slow_patchcore(small, images[:2], memory.patches.tolist(), options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_a_grid_that_is_not_square(small):
    clip = small._replace(preprocess=small.preprocess._replace(size=(24, 43)))
    memory, out = run(clip, pictures(1), pictures(2)[1:])
    score, map = slow_patchcore(clip, pictures(1), memory.patches.tolist(), {})
    assert out.map.shape == (1, 24, 43)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_float32(small_folder):
    clip = refclip.load(small_folder)
    memory, out = run(clip, pictures(2), pictures(4)[2:])
    score, map = slow_patchcore(clip, pictures(2), memory.patches.tolist(), {})
    assert out.score.dtype == out.map.dtype == memory.patches.dtype == np.float32
    np.testing.assert_allclose(out.score, score, **SINGLE)
    np.testing.assert_allclose(out.map, map, **SINGLE)


def test_the_spot_is_found_and_references_are_normal(small):
    images = pictures(5)
    _, out = run(small, images[:2], images[2:], fraction=1, sigma=0)
    assert out.score[0] > out.score[1]
    y, x = np.unravel_index(out.map[0].argmax(), out.map.shape[1:])
    assert 6 <= y <= 26 and 8 <= x <= 28  # rows 10 to 26 of 45, columns 12 to 30 of 48, at 40 x 40
    _, itself = run(small, images[2:], images[2:], fraction=1)
    np.testing.assert_allclose(itself.map, 0, **EXACT)
    np.testing.assert_allclose(itself.score, 0, **EXACT)


def test_references_may_be_given_as_they_are(small):
    images = pictures(3)
    _, want = run(small, images[:1], images[1:])
    state = patchcore.prepare(small)
    out = patchcore.score(state, patchcore.extract(state, images[:1]), patchcore.extract(state, images[1:]))
    np.testing.assert_array_equal(out.score, want.score)
    np.testing.assert_array_equal(out.map, want.map)


def test_the_seed_decides_and_nothing_else(small):
    kept = [run(small, pictures(1), pictures(3)[1:], seed=s)[0].patches for s in (0, 0, 1)]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert np.abs(kept[0] - kept[2]).max() > 1e-3


# --- the coreset -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_coreset_is_the_algorithms(seed):
    x = np.random.default_rng(seed).normal(size=(30, 5))
    taken = patchcore.coreset(x, 12, seed)
    assert taken.tolist() == slow_coreset(x.tolist(), 12, int(taken[0]))
    assert sorted(patchcore.coreset(x, 30, seed).tolist()) == list(range(30))
    np.testing.assert_array_equal(patchcore.coreset(x, 12, seed, projection=5), taken)  # no fewer than there are


def test_coreset_of_doubles_takes_none_twice():
    x = np.repeat(np.eye(3), 4, axis=0)
    taken = patchcore.coreset(x, 7).tolist()
    assert len(set(taken)) == 7
    assert {i // 4 for i in taken[:3]} == {0, 1, 2}


def test_projection_keeps_what_is_far_apart():
    """Clusters far from each other are all found, although 200 dimensions became 20."""
    rng = np.random.default_rng(4)
    centres = 50 * rng.normal(size=(6, 200))
    x = np.repeat(centres, 10, axis=0) + rng.normal(size=(60, 200))
    taken = patchcore.coreset(x, 6, projection=20).tolist()
    assert {i // 10 for i in taken} == set(range(6))
    assert taken != patchcore.coreset(x, 6).tolist()


# --- errors, and a device --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": (0,)}, "layers"),
        ({"neighbourhood": 4}, "neighbourhood=4: expected an odd number"),
        ({"fraction": 0}, "fraction"),
        ({"fraction": 1.5}, "fraction"),
        ({"projection": -1}, "projection"),
        ({"crowd": -1}, "crowd"),
        ({"sigma": -0.1}, "sigma"),
        ({"resize": "stretch"}, "resize"),
    ],
)
def test_options_that_are_no_options(small, options, says):
    with pytest.raises(ValueError, match=says):
        patchcore.prepare(small, **options)


def test_what_does_not_fit_is_refused(small):
    state, other = patchcore.prepare(small), patchcore.prepare(small, layers=(1,))
    features, few = (patchcore.extract(s, pictures(1)) for s in (state, other))
    with pytest.raises(ValueError, match="needs normal references"):
        patchcore.score(state, features)
    with pytest.raises(ValueError, match=r"this memory was made with layers=\(1,\)"):
        patchcore.score(state, features, patchcore.remember(other, few))
    with pytest.raises(ValueError, match=r"these features have \(1,\), not \[2, 3\]"):
        patchcore.score(state, features, few)


@pytest.mark.parametrize("options", [{}, {"crowd": 0, "fraction": 1, "squared": True}], ids=named)
def test_on_a_device(small, options):
    images = pictures(4)
    memory, out = run(upload(small), images[:2], images[2:], **options)
    there, want = run(small, images[:2], images[2:], **options)
    assert isinstance(memory.patches, DeviceArray)
    np.testing.assert_allclose(memory.patches.get(), there.patches, **EXACT)
    assert type(out.score) is type(out.map) is np.ndarray
    np.testing.assert_allclose(out.score, want.score, **EXACT)
    np.testing.assert_allclose(out.map, want.map, **EXACT)
