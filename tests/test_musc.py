"""MuSc against its steps written out one patch, one neighbour and one image at a time, in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import refclip
from refclip.methods import musc, patches
from refclip.methods.options import sides_of
from tests.devicearray import DeviceArray, devicexp, upload
from tests.test_winclip import EXACT, dot, named, slow_pixels, unit

# float32: distances of order 1 between tokens off by some 1e-6; RsCIN then divides by a range of about 0.1
SINGLE = {"rtol": 0, "atol": 1e-4}
LIGHT = {"layers": (2, 4), "degrees": (1, 3)}  # the slow version takes its time
OPTIONS = [
    {},
    {"layers": (2, 3)},
    {"degrees": (1,)},
    {"degrees": (5, 3)},
    {"degrees": (7,)},  # wider than the grid
    {"joint_norm": False},
    {"interval": (0.2, 0.9)},
    {"interval": (0, 1)},
    {"neighbours": (1, 8, 9)},  # more than there are images
    {"neighbours": (2,)},
    {"neighbours": ()},
    {"resize": "shortest"},
    {"resize": "longest", "neighbours": (), "interval": (0, 0.5)},
    {"size": 56},
]


def pictures(count):
    """Alike but for noise; the first has a spot."""
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 200, (5, 6, 3)), np.ones((9, 8, 1)))
    out = [np.clip(base + rng.normal(0, 12, base.shape), 0, 255).astype(np.uint8) for _ in range(count)]
    out[0][10:26, 12:30] = (255, 0, 255)
    return out


# --- the slow version ------------------------------------------------------------------------------------------------


def size_of(clip, o):
    return (o.size, o.size) if o.size else clip.preprocess.size


def slow_tokens(clip, image, o, layer):
    """Raw tokens of a block without the class token, grid first: [gh, gw, d]."""
    x = slow_pixels(clip, image, o.resize, size_of(clip, o))
    p = clip.vision.patch_size
    tokens = refclip.encode_tokens(clip, x[None], layers=[layer], antialias=o.antialias).taps[layer][0, 1:]
    if o.joint_norm:
        values = tokens.ravel().tolist()
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        tokens = (tokens - mean) / math.sqrt(variance + 1e-5)
    return tokens.reshape(x.shape[1] // p, x.shape[2] // p, -1)


def slow_aggregate(tokens, r):
    """LNAMD: the mean over r x r patches, nothing but zeros outside; length 1; row by row."""
    gh, gw, d = tokens.shape
    out = []
    for i, j in itertools.product(range(gh), range(gw)):
        total = np.zeros(d)
        for y, x in itertools.product(range(i - r // 2, i + r // 2 + 1), range(j - r // 2, j + r // 2 + 1)):
            if 0 <= y < gh and 0 <= x < gw:
                total += tokens[y, x]
        out.append(unit((total / r**2).tolist()))
    return out


def slow_mutual(z, interval):
    """MSM: distances from every patch to every patch of every other image."""
    out = np.zeros((len(z), len(z[0])))
    for i, m in itertools.product(range(len(z)), range(len(z[0]))):
        said = sorted(min(math.dist(z[i][m], other) for other in z[j]) for j in range(len(z)) if j != i)
        last = max(1, int(len(said) * interval[1]))
        kept = said[min(int(len(said) * interval[0]), last - 1) : last]
        out[i, m] = sum(kept) / len(kept)
    return out


def slow_upsample(grid, size):
    """Bilinear, the outermost cells' centres at the outermost pixels' centres."""
    out = np.zeros(size)
    for y, x in itertools.product(range(size[0]), range(size[1])):
        at = [place * (n - 1) / (m - 1) for place, n, m in zip((y, x), grid.shape, size, strict=True)]
        (y0, x0), (dy, dx) = (int(a) for a in at), (a % 1 for a in at)
        y1, x1 = min(y0 + 1, grid.shape[0] - 1), min(x0 + 1, grid.shape[1] - 1)
        above = grid[y0, x0] * (1 - dx) + grid[y0, x1] * dx
        below = grid[y1, x0] * (1 - dx) + grid[y1, x1] * dx
        out[y, x] = above * (1 - dy) + below * dy
    return out


def slow_rescore(scores, tokens, numbers):
    """RsCIN with the program's matrices: W masked to each row's k largest, D^-1 W s, the mean over k."""
    low, high = min(scores), max(scores)
    s = np.array([(x - low) / (high - low) for x in scores])
    w = np.array([[dot(unit(a), unit(b)) for b in tokens] for a in tokens])
    answers = []
    for k in numbers:
        masked = np.zeros_like(w)
        for i, row in enumerate(w):
            for j in sorted(range(len(w)), key=lambda j, row=row: -row[j])[:k]:
                masked[i, j] = row[j]
        answers.append(np.diag(1 / masked.sum(axis=1)) @ masked @ s)
    return np.mean(answers, axis=0)


def slow_musc(clip, images, options):
    o = musc.Options(**options)
    depth = len(clip.vision.transformer.blocks)
    layers = o.layers or [math.floor(depth * f / 4 + 0.5) for f in (1, 2, 3, 4)]
    total = 0
    for layer in layers:
        tokens = [slow_tokens(clip, image, o, layer) for image in images]
        for r in o.degrees:
            total = total + slow_mutual([slow_aggregate(t, r) for t in tokens], o.interval)
    grid = tokens[0].shape[:2]
    maps = [slow_upsample(m.reshape(grid), size_of(clip, o)) for m in total / (len(layers) * len(o.degrees))]
    scores = [float(m.max()) for m in maps]
    if o.neighbours:
        whole = [slow_pixels(clip, image, o.resize, size_of(clip, o)) for image in images]
        classes = [refclip.encode_tokens(clip, x[None], antialias=o.antialias).embedding[0].tolist() for x in whole]
        scores = slow_rescore(scores, classes, o.neighbours)
    return np.array(scores), np.array(maps)


def run(clip, images, context=None, **options):
    state = musc.prepare(clip, **options)
    features = musc.extract(state, images)
    return musc.score(state, features, None if context is None else musc.extract(state, context))


def assert_same(out, score, map, **tolerance):
    np.testing.assert_allclose(out.score, score, **(tolerance or EXACT))
    np.testing.assert_allclose(out.map, map, **(tolerance or EXACT))


# --- the method as a whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_definitions(small, options):
    options = LIGHT | options if options else {}
    images = pictures(4)
    assert_same(run(small, images, **options), *slow_musc(small, images, options))


@pytest.mark.parametrize("antialias", [False, True])
def test_a_grid_that_is_not_square(small, antialias):
    """Positions are resized for it, in one of two ways that give different scores."""
    clip = small._replace(preprocess=small.preprocess._replace(size=(24, 43)))
    images = pictures(8)  # int(0.3 * 7) = 2 images speak
    out = run(clip, images, **LIGHT, antialias=antialias)
    assert out.map.shape == (8, 24, 43)
    assert_same(out, *slow_musc(clip, images, LIGHT | {"antialias": antialias}))
    assert np.abs(run(clip, images, **LIGHT, antialias=not antialias).map - out.map).max() > 1e-3


def test_positions_are_resized_as_the_program_does():
    """Without antialiasing: torch's bicubic kernel is another with it, even where the grid grows."""
    assert musc.Options().antialias is False


def test_the_papers_backbone_is_fed_the_papers_size(small):
    """518 pixels for ViT-L-14-336, so that `antialias` has positions to resize; another model has its own."""
    wide = small._replace(
        vision=small.vision._replace(conv1=np.zeros((8, 3, 14, 14)), positional_embedding=np.zeros((577, 8))),
        preprocess=small.preprocess._replace(size=(336, 336)),
    )
    assert sides_of(wide, None, enlarged=True) == (518, 518)
    assert sides_of(wide, 336, enlarged=True) == (336, 336)
    assert sides_of(wide, None) == (336, 336)
    asked = wide._replace(preprocess=wide.preprocess._replace(size=(280, 420)))
    assert sides_of(asked, None, enlarged=True) == (280, 420)
    assert run(small, pictures(2), **LIGHT).map.shape == (2, 40, 40)


def test_float32(small_folder):
    clip = refclip.load(small_folder)
    out = run(clip, pictures(4), **LIGHT)
    assert out.score.dtype == out.map.dtype == np.float32
    assert_same(out, *slow_musc(clip, pictures(4), LIGHT), **SINGLE)


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS if len(o) == 1 and o not in ({"interval": (0, 1)}, {"resize": "shortest"})], ids=named
)
def test_every_option_moves_the_answer(small, option):
    images = pictures(5)
    a, b = run(small, images), run(small, images, **option)
    assert np.abs(a.score - b.score).max() > 1e-4
    if "neighbours" in option:
        np.testing.assert_array_equal(a.map, b.map)
    else:
        assert a.map.shape != b.map.shape or np.abs(a.map - b.map).max() > 1e-4


def test_the_spot_is_found(small):
    """Even with random weights: nothing like it is in the other images."""
    out = run(small, pictures(6), neighbours=())
    assert out.score.argmax() == 0
    y, x = np.unravel_index(out.map[0].argmax(), out.map.shape[1:])
    assert 6 <= y <= 26 and 8 <= x <= 28  # rows 10 to 26 of 45, columns 12 to 30 of 48, at 40 x 40


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_images_get_a_number(small, count):
    """Where the published program says NaN."""
    options = {"layers": (3,), "degrees": (1,)}
    out = run(small, pictures(count), **options)
    assert np.isfinite(out.score).all() and np.isfinite(out.map).all()
    assert_same(out, *slow_musc(small, pictures(count), options))


def test_images_all_alike(small):
    out = run(small, [pictures(1)[0]] * 3)
    # the nearest is the same patch, and its distance is computed from the difference, not estimated from products
    np.testing.assert_allclose(out.map, 0, **EXACT)
    assert np.isfinite(out.score).all()


def test_the_order_of_the_set_does_not_matter(small):
    images, order = pictures(5), [3, 1, 4, 0, 2]
    together, other = run(small, images), run(small, [images[i] for i in order])
    assert_same(other, together.score[order], together.map[order])


# --- the set ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [(1, 2, 3), ()])
def test_a_batch_is_scored_within_its_set(small, neighbours):
    images = pictures(6)
    whole = run(small, images, neighbours=neighbours)
    for part in ([2, 0], [5]):
        out = run(small, [images[i] for i in part], images, neighbours=neighbours)
        assert_same(out, whole.score[part], whole.map[part])
        assert len(out.geometry) == len(part)


def test_an_image_that_is_not_in_the_set_joins_it(small):
    images = pictures(6)
    whole = run(small, images)
    out = run(small, [images[5], images[1]], images[:5])
    assert_same(out, whole.score[[5, 1]], whole.map[[5, 1]])


def test_doubles_stand_by_each_other(small):
    """The published program compares every j != i, the same picture or not; so do we, in the batch and in a set."""
    images = pictures(4)
    doubled = [*images, images[0]]
    options = {"neighbours": (), "layers": (3,), "degrees": (1,)}
    whole = run(small, doubled, **options)
    assert_same(whole, *slow_musc(small, doubled, options))
    np.testing.assert_allclose(whole.map[0], 0, **EXACT)  # the double speaks alone, 1 of int(0.3 * 4)
    assert_same(run(small, images[:1], doubled, **options), whole.score[:1], whole.map[:1])


def test_features_are_scored_again_and_not_changed(small):
    state = musc.prepare(small)
    features = musc.extract(state, pictures(4))
    kept = {layer: x.copy() for layer, x in features.patches.items()}
    first, again = musc.score(state, features), musc.score(state, features, features)
    np.testing.assert_array_equal(first.map, again.map)
    other = musc.prepare(small, layers=(4, 2), degrees=(3,), neighbours=())
    assert_same(musc.score(other, features), *slow_musc(small, pictures(4), other.options._asdict()))
    for layer, x in kept.items():
        np.testing.assert_array_equal(features.patches[layer], x)


# --- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(1, 1), (2, 5), (4, 3)])
@pytest.mark.parametrize("r", [1, 3, 5])
def test_neighbourhood_mean(grid, r):
    x = np.random.default_rng(1).normal(size=(2, *grid, 3))
    out = patches.neighbourhood_mean(x.reshape(2, -1, 3), grid, r)
    for b, (i, j) in itertools.product(range(2), enumerate(itertools.product(*map(range, grid)))):
        rows, columns = (range(c - r // 2, c + r // 2 + 1) for c in j)
        inside = [x[b, y, z] for y in rows for z in columns if 0 <= y < grid[0] and 0 <= z < grid[1]]
        np.testing.assert_allclose(out[b, i], np.sum(inside, axis=0) / r**2, **EXACT)


def test_nearest_in_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(11, 4)), rng.normal(size=(7, 4))
    distance, index = patches.nearest(x, y)
    monkeypatch.setattr(patches, "DISTANCES", 15)  # two rows at a time
    np.testing.assert_array_equal(patches.nearest(x, y)[1], index)
    for i, row in enumerate(x):
        every = [math.dist(row, other) for other in y]
        assert index[i] == every.index(min(every))
        np.testing.assert_allclose(distance[i], min(every), **EXACT)


@pytest.mark.parametrize(
    ("depth", "expected"), [(24, (6, 12, 18, 24)), (12, (3, 6, 9, 12)), (6, (2, 3, 5, 6)), (1, (1,))]
)
def test_layers_are_at_the_same_fractions_of_any_depth(small, depth, expected):
    stack = small.vision.transformer
    blocks = (stack.blocks * 6)[:depth]
    clip = small._replace(vision=small.vision._replace(transformer=stack._replace(blocks=blocks)))
    assert musc.prepare(clip).options.layers == expected


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": (5,)}, r"layers \(5,\): expected different block numbers from 1 to 4"),
        ({"layers": ()}, "layers"),
        ({"layers": (2, 2)}, "different"),
        ({"degrees": (2,)}, "degrees=2: expected an odd number"),
        ({"degrees": ()}, "degrees"),
        ({"interval": (0.3, 0.3)}, "0 <= low < high <= 1"),
        ({"interval": (0, 1.5)}, "interval"),
        ({"neighbours": (0, 1)}, "neighbours"),
        ({"resize": "stretch"}, "resize='stretch'"),
        ({"size": 50}, "size=50: expected a multiple of the patch, 8"),
        ({"size": 0}, "size=0: expected a multiple of the patch, 8"),
    ],
)
def test_options_that_are_no_options(small, options, says):
    with pytest.raises(ValueError, match=says):
        musc.prepare(small, **options)


def test_one_image_is_no_set(small):
    with pytest.raises(ValueError, match="at least 2 images, found 1"):
        run(small, pictures(1))
    with pytest.raises(ValueError, match="at least 2"):
        run(small, pictures(1), pictures(1))


def test_features_of_something_else_are_refused(small):
    state, other = musc.prepare(small, layers=(1, 2)), musc.prepare(small, layers=(3,))
    few, features = musc.extract(other, pictures(2)), musc.extract(state, pictures(2))
    with pytest.raises(ValueError, match=r"these features have \(3,\), not \[1, 2\]"):
        musc.score(state, few)
    with pytest.raises(ValueError, match="extract both with the same options"):
        musc.score(state, features, few)


# --- on a device -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"neighbours": (), "interval": (0.2, 0.9)}], ids=named)
def test_on_a_device(small, options):
    clip, images = upload(small), pictures(5)
    state = musc.prepare(clip, **options)
    features = musc.extract(state, images)
    assert all(isinstance(x, DeviceArray) for x in (features.image, *features.patches.values()))
    want = run(small, images, **options)
    out = musc.score(state, features)
    assert type(out.score) is type(out.map) is np.ndarray
    assert_same(out, want.score, want.map)
    part = musc.score(state, musc.extract(state, [images[4], images[1]]), musc.extract(state, images[:4]))
    assert_same(part, want.score[[4, 1]], want.map[[4, 1]])


def test_float16_is_compared_in_float32(small):
    def half(tree):
        if isinstance(tree, np.ndarray):
            return devicexp.asarray(tree.astype(np.float16))
        if isinstance(tree, tuple):
            items = [half(item) for item in tree]
            return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
        return tree

    state = musc.prepare(half(small), neighbours=())
    features = musc.extract(state, pictures(2))
    assert {x.dtype for x in (features.image, *features.patches.values())} == {np.dtype(np.float32)}
    out = musc.score(state, features)
    want = run(small, pictures(2), neighbours=())
    # float16 towers round by 5e-4 an operation; distances are of order 1
    assert_same(out, want.score, want.map, rtol=0, atol=2e-2)
