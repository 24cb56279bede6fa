"""WinCLIP against the paper's definitions, written out one pixel, one window and one prompt at a time.

The slow version below takes from the library what open_clip's answers hold elsewhere: the towers, the prompt lists and
`preprocess`. All else (masks, means, scales, crops, tiles, upsampling) it does with plain loops, in float64.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import refclip
from refclip.methods import winclip
from refclip.preprocess import Preprocess, preprocess
from refclip.prompts import STATES, TEMPLATES, WINCLIP_STATES, States, extend
from refclip.vit import sliding_windows
from refclip.zeroshot import p_abnormal

EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
# float32 towers: a cosine is off by some 1e-6, and p by that over 4 tau, 3.6 times as much
SINGLE = {"rtol": 0, "atol": 1e-5}
NAME = "metal_nut"  # with an underscore, so that `underscores` has something to do
DENTED = extend(WINCLIP_STATES, abnormal=["{} with a dent"])
OWN_TEMPLATES = ("a photo of a {}.", "{}")

# Every option with every kind of value, and the rows of tables 3 and 8 that are combinations. Used on the device too.
OPTIONS = [
    {},
    {"states": "vand"},
    {"states": "anovl"},
    {"states": "clip-ac"},
    {"states": DENTED},
    {"templates": "winclip-b"},
    {"templates": "bare"},
    {"templates": OWN_TEMPLATES},
    {"normalize_prompts": True},
    {"temperature": 0.5},
    {"temperature": "clip"},
    {"one_class": True},
    {"crops": 5},
    {"crops": 10},
    {"features": "patches"},
    {"features": "tiles"},
    {"scales": (2,)},
    {"scales": (3,)},
    {"scales": (1, 4, 5)},
    {"scales": ()},
    {"image_scale": False},
    {"aggregation": "arithmetic"},
    {"mean_of": "normal"},
    {"image_score": "map-max"},
    {"underscores": False},
    {"resize": "shortest"},
    {"resize": "longest"},
    # table 3: (a) one-class and two-class; (b) + states; (c) + prompts is the default; (d) + crops
    {"states": "clip-ac", "templates": "bare", "one_class": True},
    {"states": "clip-ac", "templates": "bare"},
    {"templates": "bare", "crops": 10, "one_class": True},
    # table 8: tiles at one scale, without the image
    {"features": "tiles", "scales": (3,), "image_scale": False, "aggregation": "arithmetic"},
    {"features": "patches", "mean_of": "normal", "image_score": "map-max"},
    {"features": "patches", "resize": "shortest", "crops": 10},
    # caoyunkang's program
    {
        "templates": "winclip-b",
        "temperature": "clip",
        "mean_of": "normal",
        "image_scale": False,
        "image_score": "map-max",
    },
    {"aggregation": "arithmetic", "mean_of": "normal", "image_scale": False},
    {"aggregation": "arithmetic", "scales": (2, 5), "resize": "shortest"},
    {"mean_of": "normal", "scales": (3, 1), "crops": 5, "resize": "longest"},
]


def named(options):
    return " ".join(f"{k}={'own' if isinstance(v, States) else v}" for k, v in options.items()) or "default"


def pictures():
    """Three of different sizes: noise, blocks of colour, and a ramp."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 256, (4, 5, 3)), np.ones((16, 9, 1)))
    ramp = np.linspace(0, 255, 52 * 30 * 3).reshape(52, 30, 3)
    return [rng.integers(0, 256, (50, 70, 3), dtype=np.uint8), blocks.astype(np.uint8), ramp.astype(np.uint8)]


# --- the slow version ------------------------------------------------------------------------------------------------


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def unit(x):
    length = math.sqrt(dot(x, x))
    return [a / length for a in x]


def slow_text(clip, name, o, embedded):
    """Section 4.1: every state in every template, one text at a time; the mean of each side, at length 1."""
    states = STATES[o.states] if isinstance(o.states, str) else o.states
    templates = TEMPLATES[o.templates] if isinstance(o.templates, str) else o.templates
    name = name if o.underscores else name.replace("_", " ")
    prototypes = []
    for words in states:
        total, count = [0.0] * clip.text.text_projection.shape[1], 0
        for word in words:
            for template in templates:
                prompt = template.replace("{}", word.replace("{}", name))
                if prompt not in embedded:
                    embedded[prompt] = refclip.encode_text(clip, prompt)[0].tolist()
                one = unit(embedded[prompt]) if o.normalize_prompts else embedded[prompt]
                total, count = [a + b for a, b in zip(total, one, strict=True)], count + 1
        prototypes.append(unit([a / count for a in total]))
    return prototypes


def slow_ascore(x, text, tau):
    """Equation 1 for S = {normal, abnormal}."""
    normal, abnormal = (math.exp(dot(unit(x), g) / tau) for g in text)
    return abnormal / (normal + abnormal)


def slow_masks(grid, k):
    """Section 4.2, step 1: the binary mask of every window that lies in the image."""
    for top, left in itertools.product(range(grid[0] - k + 1), range(grid[1] - k + 1)):
        mask = np.zeros(grid, int)
        for i, j in itertools.product(range(k), range(k)):
            mask[top + i, left + j] = 1
        yield mask


def slow_mean(values, aggregation, of):
    """Harmonic or arithmetic, of p(abnormal); or of p(normal), and then what is left of 1."""
    values = [1 - v for v in values] if of == "normal" else values
    mean = len(values) / sum(1 / v for v in values) if aggregation == "harmonic" else sum(values) / len(values)
    return 1 - mean if of == "normal" else mean


def slow_upsample(grid, size):
    """Bilinear between the centres of cells, held beyond the outermost."""
    out = np.zeros(size)
    for y, x in itertools.product(range(size[0]), range(size[1])):
        at = [(place + 0.5) * n / m - 0.5 for place, n, m in zip((y, x), grid.shape, size, strict=True)]
        at = [min(max(a, 0.0), n - 1.0) for a, n in zip(at, grid.shape, strict=True)]
        (y0, x0), (dy, dx) = (int(a) for a in at), (a % 1 for a in at)
        y1, x1 = min(y0 + 1, grid.shape[0] - 1), min(x0 + 1, grid.shape[1] - 1)
        above = grid[y0, x0] * (1 - dx) + grid[y0, x1] * dx
        below = grid[y1, x0] * (1 - dx) + grid[y1, x1] * dx
        out[y, x] = above * (1 - dy) + below * dy
    return out


def cubic(t):
    """Keys' kernel with a = -0.75, as torch enlarges."""
    a, t = -0.75, abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def slow_enlarge(tile, size):
    """Bicubic, one output row or column at a time; the edge pixel stands in for what lies beyond it."""
    for axis, m in ((1, size[0]), (2, size[1])):
        n = tile.shape[axis]
        out = []
        for i in range(m):
            at = (i + 0.5) * n / m - 0.5
            near = range(math.floor(at) - 1, math.floor(at) + 3)
            out.append(sum(cubic(at - j) * tile.take(min(max(j, 0), n - 1), axis) for j in near))
        tile = np.stack(out, axis)
    return tile


def slow_pixels(clip, image, how, size):
    """One image [3, H, W] at a size."""
    config = Preprocess(size, how, "bicubic", clip.preprocess.mean, clip.preprocess.std)
    return preprocess(image, config)[0][0].astype(np.float64)


def slow_crops(clip, image, o):
    """The image itself; or centre and corners of it at 8/7 of the size; or these and their mirror images."""
    height, width = clip.preprocess.size
    if o.crops == 1:
        return [slow_pixels(clip, image, o.resize, (height, width))]
    big_height, big_width = math.floor(height * 8 / 7), math.floor(width * 8 / 7)
    big = slow_pixels(clip, image, o.resize, (big_height, big_width))
    crops = []
    for top in (0, (big_height - height) // 2, big_height - height):
        for left in (0, (big_width - width) // 2, big_width - width):
            if (top == (big_height - height) // 2) == (left == (big_width - width) // 2):  # corners and centre
                crops.append(big[:, top : top + height, left : left + width])
    assert len(crops) == 5
    return crops if o.crops == 5 else crops + [np.flip(crop, axis=2) for crop in crops]


def slow_winclip(clip, images, name, options, embedded, *, how="mask"):
    """Score [b] and map [b, H, W], image by image."""
    o = winclip.Options(**options)
    text = slow_text(clip, name, o, embedded)
    tau = 1 / clip.logit_scale if o.temperature == "clip" else o.temperature
    scores, maps = [], []

    def ascore(x):
        return slow_ascore(x, text, tau)

    for image in images:
        x = slow_pixels(clip, image, o.resize, clip.preprocess.size)
        p = clip.vision.patch_size
        grid = x.shape[1] // p, x.shape[2] // p
        embedding = refclip.encode_image(clip, x[None])[0].tolist()
        whole = ascore(embedding)
        scales = []
        if o.features == "patches":
            depth = len(clip.vision.transformer.blocks)
            tokens = refclip.encode_tokens(clip, x[None], layers=[depth]).patches[depth][0]
            scales.append(np.array([ascore(t.tolist()) for t in tokens]).reshape(grid))
        else:
            for k in o.scales:
                scales.append(slow_windows(clip, x, k, ascore, o=o, how=how))
            if o.image_scale:
                scales.append(np.full(grid, whole))
        answer = np.zeros(grid)
        for i, j in itertools.product(*map(range, grid)):
            answer[i, j] = slow_mean([s[i, j] for s in scales], o.aggregation, o.mean_of)
        crops = [refclip.encode_image(clip, crop[None])[0].tolist() for crop in slow_crops(clip, image, o)]
        if o.image_score == "map-max":
            scores.append(max(answer.ravel().tolist()))
        elif o.one_class:
            scores.append(sum(-dot(unit(c), text[0]) for c in crops) / len(crops))
        else:
            scores.append(sum(map(ascore, crops)) / len(crops))
        maps.append(slow_upsample(answer, clip.preprocess.size))
    return np.array(scores), np.array(maps)


def slow_windows(clip, x, k, ascore, *, o, how):
    """Equations 2 and 3: the score of every window's mask, then every patch's mean over the masks that hold it."""
    p = clip.vision.patch_size
    grid = x.shape[1] // p, x.shape[2] // p
    masks, scores = [], []
    for mask in slow_masks(grid, k):
        active = np.argwhere(mask)
        if o.features == "tiles":
            (top, left), (bottom, right) = active.min(axis=0) * p, (active.max(axis=0) + 1) * p
            tile = slow_enlarge(x[:, top:bottom, left:right], x.shape[1:])
            feature = refclip.encode_image(clip, tile[None])[0]
        else:
            window = [int(i * grid[1] + j) for i, j in active]
            feature = refclip.encode_windows(clip, x[None], [window], how=how)[0, 0]
        masks.append(mask)
        scores.append(ascore(feature.tolist()))
    out = np.zeros(grid)
    for i, j in itertools.product(*map(range, grid)):
        held = [score for mask, score in zip(masks, scores, strict=True) if mask[i, j]]
        out[i, j] = slow_mean(held, o.aggregation, o.mean_of)
    return out


# --- the method as a whole -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded():
    """Text embeddings that the slow version has met, by prompt."""
    return {}


@pytest.fixture(scope="module")
def images():
    return pictures()


@pytest.fixture(scope="module")
def default(small, images):
    state = winclip.prepare(small, NAME)
    features = winclip.extract(state, images)
    return state, features, winclip.score(state, features)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_definitions(small, images, embedded, options):
    out = refclip.detector("winclip", small, NAME, **options)(images[:2])
    score, map = slow_winclip(small, images[:2], NAME, options, embedded)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


@pytest.mark.parametrize("size", [(24, 56), (48, 16), (16, 16), (43, 37)])
@pytest.mark.parametrize("options", [{}, {"features": "patches"}, {"features": "tiles", "crops": 10}], ids=named)
def test_grids_of_other_sizes(small, images, embedded, size, options):
    """Also not square, as small as a window, and with a remainder that is less than a patch."""
    clip = small._replace(preprocess=small.preprocess._replace(size=size))
    options = options | {"scales": (2,) if 16 in size else (2, 3)}
    out = refclip.detector("winclip", clip, NAME, **options)(images[:1])
    score, map = slow_winclip(clip, images[:1], NAME, options, embedded)
    assert out.map.shape == (1, *size)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_an_object_without_a_name(small, images, embedded):
    out = refclip.detector("winclip", small)(images[:1])
    score, map = slow_winclip(small, images[:1], "object", {}, embedded)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_the_shipped_model(mini, images):
    """float32, at its own size of 15 x 15 patches."""
    out = refclip.detector("winclip", mini, "bottle")(images[1:2])
    score, map = slow_winclip(mini, images[1:2], "bottle", {}, {}, how="drop")  # masks would take half a minute
    assert out.score.dtype == out.map.dtype == np.float32
    np.testing.assert_allclose(out.score, score, **SINGLE)
    np.testing.assert_allclose(out.map, map, **SINGLE)


# option -> what it is there to move, "score" or "map"; all else stays as it is
EFFECTS = {
    "states": ({"states": DENTED}, {"score", "map"}),
    "templates": ({"templates": "winclip-b"}, {"score", "map"}),
    "normalize_prompts": ({"normalize_prompts": True}, {"score", "map"}),
    "temperature": ({"temperature": "clip"}, {"score", "map"}),
    "one_class": ({"one_class": True}, {"score"}),
    "crops": ({"crops": 5}, {"score"}),
    "features": ({"features": "tiles"}, {"map"}),
    "scales": ({"scales": (2,)}, {"map"}),
    "image_scale": ({"image_scale": False}, {"map"}),
    "aggregation": ({"aggregation": "arithmetic"}, {"map"}),
    "mean_of": ({"mean_of": "normal"}, {"map"}),
    "image_score": ({"image_score": "map-max"}, {"score"}),
    "underscores": ({"underscores": False}, {"score", "map"}),
    "resize": ({"resize": "shortest"}, {"score", "map"}),
}


def moved(a, b):
    return {key for key in ("score", "map") if np.abs(getattr(a, key) - getattr(b, key)).max() > 1e-4}


@pytest.mark.parametrize("option", winclip.Options._fields)
def test_every_option_moves_what_it_should_and_nothing_else(small, images, default, option):
    options, what = EFFECTS[option]
    out = refclip.detector("winclip", small, NAME, **options)(images)
    assert moved(out, default[2]) == what
    for key in {"score", "map"} - what:
        np.testing.assert_array_equal(getattr(out, key), getattr(default[2], key))


@pytest.mark.parametrize("option", ["crops", "features", "resize", "aggregation", "mean_of", "image_score"])
def test_no_two_values_of_an_option_give_the_same(small, images, option):
    found = [refclip.detector("winclip", small, NAME, **{option: v})(images) for v in winclip.CHOICES[option]]
    for a, b in itertools.combinations(found, 2):
        assert moved(a, b)


def test_harmonic_of_normal_is_not_one_minus_harmonic_of_abnormal_but_the_arithmetic_means_agree(small, images):
    def run(aggregation, mean_of):
        return refclip.detector("winclip", small, NAME, aggregation=aggregation, mean_of=mean_of)(images).map

    low, high = run("harmonic", "abnormal"), run("harmonic", "normal")
    middle = run("arithmetic", "abnormal")
    np.testing.assert_allclose(middle, run("arithmetic", "normal"), **EXACT)
    # a harmonic mean leans to the smaller values: of p(abnormal) it lies below the arithmetic mean, of p(normal) above
    assert (low < middle - 1e-5).all()
    assert (high > middle + 1e-5).all()


# --- invariants ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_map_lies_within_the_scores_it_is_made_of(small, images, options):
    state = winclip.prepare(small, NAME, **options)
    features = winclip.extract(state, images)
    out = winclip.score(state, features)
    assert out.map.shape == (3, 40, 40)
    assert out.score.shape == (3,)
    parts = [p_abnormal(x, state.text, state.temperature) for x in features.windows.values()]
    if state.options.image_scale and state.options.features != "patches":
        parts.append(p_abnormal(features.image, state.text, state.temperature)[:, None])
    parts = np.concatenate(parts, axis=1)
    slack = 1e-12  # float64 rounding of the means
    assert (out.map >= parts.min(axis=1)[:, None, None] - slack).all()
    assert (out.map <= parts.max(axis=1)[:, None, None] + slack).all()
    assert (parts.min() > 0) and (parts.max() < 1)


def test_batch_order_and_company_do_not_matter(small, images):
    run = refclip.detector("winclip", small, NAME, crops=5)
    together = run(images)
    order = [2, 0, 1]
    permuted = run([images[i] for i in order])
    np.testing.assert_allclose(permuted.score, together.score[order], **EXACT)
    np.testing.assert_allclose(permuted.map, together.map[order], **EXACT)
    assert permuted.geometry == tuple(together.geometry[i] for i in order)
    for i, image in enumerate(images):
        alone = run([image])
        np.testing.assert_allclose(alone.score, together.score[i : i + 1], **EXACT)
        np.testing.assert_allclose(alone.map, together.map[i : i + 1], **EXACT)


def test_temperature_keeps_the_ranking_of_images(small):
    rng = np.random.default_rng(1)
    many = [rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) // np.uint8(i + 1) for i in range(12)]
    base = winclip.prepare(small, NAME, scales=(5,))
    features = winclip.extract(base, many)
    states = [winclip.prepare(small, NAME, scales=(5,), temperature=tau) for tau in (0.01, 0.07, "clip", 1, 100)]
    ranks = [np.argsort(winclip.score(state, features).score) for state in states]
    for rank in ranks[1:]:
        np.testing.assert_array_equal(rank, ranks[0])
    cosines = features.image @ (base.text[1] - base.text[0]) / np.linalg.norm(features.image, axis=1)
    np.testing.assert_array_equal(ranks[0], np.argsort(cosines))
    assert len(set(ranks[0].tolist())) == 12


def test_a_window_as_large_as_the_image_is_the_image(small, images):
    """No patch is masked, and the tile is the image: all three kinds of scale meet."""
    for kind in ("windows", "tiles"):
        state = winclip.prepare(small, NAME, scales=(5,), features=kind)
        features = winclip.extract(state, images)
        np.testing.assert_allclose(features.windows[5][:, 0], features.image, **EXACT)
        out = winclip.score(state, features)
        np.testing.assert_allclose(out.map, np.broadcast_to(out.score[:, None, None], out.map.shape), **EXACT)


def test_mirrored_crops_see_a_mirrored_image_alike(small, images):
    image = images[0]
    clip = small._replace(preprocess=small.preprocess._replace(size=(56, 56)))  # from 64: the centre lies in the middle
    for crops, same in ((10, True), (5, False), (1, False)):
        run = refclip.detector("winclip", clip, NAME, crops=crops, scales=())
        difference = np.abs(run([image]).score - run([image[:, ::-1].copy()]).score)[0]
        # Pillow resamples a mirrored picture to the mirrored pixels; what is left is the order of summation in float64
        assert (difference < 1e-10) == same


# --- eq. 3 alone -----------------------------------------------------------------------------------------------------


def slow_aggregate(p, grid, k, aggregation, of):
    masks = list(slow_masks(grid, k))
    out = np.zeros((len(p), *grid))
    for b, i, j in itertools.product(range(len(p)), *map(range, grid)):
        held = [p[b, w] for w, mask in enumerate(masks) if mask[i, j]]
        out[b, i, j] = slow_mean(held, aggregation, of)
    return out


@given(data=st.data())
def test_windows_to_patches_for_any_grid(data):
    grid = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    k = data.draw(st.integers(1, min(grid)))
    windows = (grid[0] - k + 1) * (grid[1] - k + 1)
    seed = data.draw(st.integers(0, 2**31))
    p = np.random.default_rng(seed).uniform(1e-6, 1 - 1e-6, (2, windows))
    kept = p.copy()
    maps = {}
    for aggregation, of in itertools.product(("harmonic", "arithmetic"), ("abnormal", "normal")):
        out = winclip.aggregate_windows(p, grid, k, aggregation, of)
        np.testing.assert_allclose(out, slow_aggregate(p, grid, k, aggregation, of), rtol=1e-10, atol=1e-12)
        maps[aggregation, of] = out
    np.testing.assert_array_equal(p, kept)
    assert (maps["harmonic", "abnormal"] <= maps["arithmetic", "abnormal"] + 1e-12).all()  # rounding
    assert (maps["harmonic", "normal"] >= maps["arithmetic", "normal"] - 1e-12).all()
    if k == 1:
        np.testing.assert_allclose(maps["harmonic", "abnormal"], p.reshape(2, *grid), **EXACT)


def test_every_patch_is_covered_by_as_many_windows_as_the_paper_says():
    """196 windows of 2 x 2 and 169 of 3 x 3 on the 15 x 15 patches of ViT-B/16+, in the order of the masks."""
    for k, count in ((2, 196), (3, 169)):
        masks = list(slow_masks((15, 15), k))
        assert len(masks) == count
        assert [np.flatnonzero(mask).tolist() for mask in masks] == sliding_windows((15, 15), k)
        covered = sum(masks)
        assert (covered[0, 0], covered[0, 7], covered[7, 7]) == (1, k, k * k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_windows_neither_warn_nor_divide_by_zero(dtype):
    """p is 0 or 1 where the softmax rounds to it: a harmonic mean with a zero in it is zero."""
    p = np.array([[0, 1, 0.5, 1]], dtype)  # a 2 x 2 grid of windows over 3 x 3 patches
    held = {(0, 0): 0.0, (0, 2): 1.0, (2, 0): 0.5, (2, 2): 1.0, (1, 1): 0.0, (1, 2): 1.0, (2, 1): 2 / 3}
    abnormal = winclip.aggregate_windows(p, (3, 3), 2)
    normal = winclip.aggregate_windows(1 - p, (3, 3), 2, mean_of="normal")
    for place, want in held.items():
        # float32 rounds by 6e-8
        np.testing.assert_allclose(abnormal[0][place], want, rtol=0, atol=2e-7)
        np.testing.assert_allclose(normal[0][place], 1 - want, rtol=0, atol=2e-7)
    zeros = winclip.aggregate_scales([np.zeros((1, 3, 3), dtype), np.ones((1, 3, 3), dtype)])
    assert zeros.dtype == dtype
    np.testing.assert_allclose(zeros, 0, atol=1e-29)  # 2e-30: the floor under a probability


@pytest.mark.parametrize("of", ["abnormal", "normal"])
@pytest.mark.parametrize("aggregation", ["harmonic", "arithmetic"])
def test_scales_are_averaged_pixel_by_pixel(aggregation, of):
    s, m, i = np.random.default_rng(2).uniform(0.01, 0.99, (3, 2, 3, 4))
    out = winclip.aggregate_scales([s, m, i], aggregation, of)
    for place in np.ndindex(2, 3, 4):
        np.testing.assert_allclose(out[place], slow_mean([x[place] for x in (s, m, i)], aggregation, of), **EXACT)
    if (aggregation, of) == ("harmonic", "abnormal"):
        np.testing.assert_allclose(out, 3 / (1 / s + 1 / m + 1 / i), **EXACT)
    np.testing.assert_allclose(winclip.aggregate_scales([s], aggregation, of), s, **EXACT)


# --- features are kept and scored again ------------------------------------------------------------------------------

RESCORED = [
    {"states": DENTED},
    {"templates": "winclip-b"},
    {"normalize_prompts": True},
    {"temperature": 0.5},
    {"one_class": True},
    {"image_scale": False},
    {"aggregation": "arithmetic"},
    {"mean_of": "normal", "image_scale": False},
    {"image_score": "map-max"},
    {"underscores": False},
]


def refuse(*_, **__):
    raise AssertionError("an image was encoded again")


def rescore(monkeypatch, clip, features, options):
    """Score kept features, the image tower out of reach."""
    state = winclip.prepare(clip, NAME, **options)
    with monkeypatch.context() as patch:
        for name in ("encode_image", "encode_tokens", "encode_windows", "pixels_of"):
            patch.setattr(winclip, name, refuse)
        return winclip.score(state, features)


@pytest.mark.parametrize("options", RESCORED, ids=named)
def test_kept_features_are_scored_again_without_the_tower(small, images, default, monkeypatch, options):
    out = rescore(monkeypatch, small, default[1], options)
    fresh = refclip.detector("winclip", small, NAME, **options)(images)
    np.testing.assert_array_equal(out.score, fresh.score)
    np.testing.assert_array_equal(out.map, fresh.map)


@pytest.mark.parametrize("scales", [(2,), (3,), (3, 2)])
def test_kept_features_are_scored_again_with_fewer_scales(small, images, default, monkeypatch, scales):
    """Table 8's rows "w/o mid-scale" and "w/o small-scale" need no second encoding."""
    out = rescore(monkeypatch, small, default[1], {"scales": scales})
    fresh = refclip.detector("winclip", small, NAME, scales=scales)(images)
    np.testing.assert_allclose(out.map, fresh.map, **EXACT)


@pytest.mark.parametrize("crops", [1, 5])
def test_kept_features_are_scored_again_with_fewer_crops(small, images, monkeypatch, crops):
    """Table 3 (c) from the features of (d)."""
    features = winclip.extract(winclip.prepare(small, NAME, crops=10), images)
    out = rescore(monkeypatch, small, features, {"crops": crops})
    fresh = refclip.detector("winclip", small, NAME, crops=crops)(images)
    np.testing.assert_allclose(out.score, fresh.score, **EXACT)


@pytest.mark.parametrize("options", [{"scales": (2, 4)}, {"crops": 5}, {"features": "patches"}], ids=named)
def test_features_without_what_the_options_need_are_refused(small, default, options):
    """Rather than scored as something else than was asked for."""
    with pytest.raises(ValueError, match=next(iter(options))):
        winclip.score(winclip.prepare(small, NAME, **options), default[1])


def test_scoring_changes_nothing(default):
    state, features, first = default
    kept = {k: x.copy() for k, x in features.windows.items()}, features.image.copy(), features.crops.copy()
    again = winclip.score(state, features)
    np.testing.assert_array_equal(again.map, first.map)
    for k, x in kept[0].items():
        np.testing.assert_array_equal(features.windows[k], x)
    np.testing.assert_array_equal(features.image, kept[1])
    np.testing.assert_array_equal(features.crops, kept[2])


def test_nothing_is_encoded_that_is_not_used(small, images, monkeypatch):
    """What an option leaves out is not computed."""
    monkeypatch.setattr(winclip, "encode_windows", refuse)
    for options in ({"scales": ()}, {"features": "patches"}, {"features": "tiles", "scales": (5,)}):
        winclip.extract(winclip.prepare(small, NAME, **options), images[:1])
    with pytest.raises(AssertionError, match="encoded"):
        winclip.extract(winclip.prepare(small, NAME), images[:1])


# --- the way in and out ----------------------------------------------------------------------------------------------


def test_paths_pictures_and_arrays_are_scored_alike(small, images, tmp_path):
    run = refclip.detector("winclip", small, NAME)
    path = tmp_path / "picture.png"
    Image.fromarray(images[0]).save(path)
    want = run([images[0]])
    for same in (path, str(path), Image.fromarray(images[0])):
        out = run([same])
        np.testing.assert_array_equal(out.score, want.score)
        np.testing.assert_array_equal(out.map, want.map)
    stacked = run(np.stack([images[0], images[0][::-1]]))
    np.testing.assert_allclose(stacked.score[:1], want.score, **EXACT)
    assert len(stacked.score) == 2


def test_prediction_leads_back_to_the_pictures(small, images):
    for resize in ("squash", "shortest"):
        out = refclip.detector("winclip", small, NAME, resize=resize)(images)
        for i, image in enumerate(images):
            over = out.on_original(i)
            assert over.shape == image.shape[:2]
            assert np.isnan(over).any() == (resize == "shortest")  # what the crop never showed
            # laid over the picture, the map gains no new values
            assert np.nanmin(over) >= out.map[i].min() - 1e-6
            assert np.nanmax(over) <= out.map[i].max() + 1e-6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"crops": 4}, "crops=4: expected one of 1, 5, 10"),
        ({"features": "pixels"}, "features='pixels': expected one of 'windows', 'patches', 'tiles'"),
        ({"aggregation": "geometric"}, "aggregation='geometric': expected one of"),
        ({"mean_of": "both"}, "mean_of='both': expected one of"),
        ({"image_score": "mean"}, "image_score='mean': expected one of"),
        ({"resize": "crop"}, "resize='crop': expected one of"),
        ({"states": "unknown"}, "states 'unknown': expected one of winclip, anovl"),
        ({"templates": "unknown"}, "templates 'unknown': expected one of winclip-a"),
        ({"templates": ()}, "templates: found an empty list"),
        ({"temperature": 0}, "temperature 0: expected a number above 0"),
        ({"scales": (0,)}, "from 1 to 5 patches"),
        ({"scales": (2, 6)}, "from 1 to 5 patches"),
        ({"scales": (), "image_scale": False}, "no scale is left"),
        ({"window": 2}, "winclip has no option 'window'; it has states, templates"),
    ],
)
def test_wrong_options_are_named(small, options, says):
    with pytest.raises(ValueError, match=says):
        refclip.detector("winclip", small, NAME, **options)


@pytest.mark.parametrize(
    ("images", "error", "says"),
    [
        ([], ValueError, "no images"),
        ("picture.png", TypeError, "put a single one in a list"),
        (Image.new("RGB", (9, 9)), TypeError, "put a single one in a list"),
        (iter([]), TypeError, "expected a sequence of images"),
        ([None], TypeError, "expected a PIL image or a uint8 array"),
        ([np.zeros((9, 9, 3))], TypeError, "float64 array"),
    ],
)
def test_wrong_images_are_named(small, images, error, says):
    with pytest.raises(error, match=says):
        refclip.detector("winclip", small, NAME)(images)


@pytest.mark.parametrize("shape", [(50, 70, 3), (50, 70)])
def test_a_single_array_is_not_taken_for_a_batch_of_its_rows(small, shape):
    """50 rows of [70, 3] would pass for 50 grey pictures."""
    with pytest.raises((TypeError, ValueError)):
        refclip.detector("winclip", small, NAME)(np.zeros(shape, np.uint8))


def test_unknown_methods_are_named(small):
    with pytest.raises(ValueError, match=r"method 'padim': expected one of clip, clip-ac, maskclip, winclip, "):
        refclip.detector("padim", small)
