"""WinCLIP+ against the paper's definitions, written out one window, one patch and one reference at a time.

As in test_winclip, the slow version takes the towers and `preprocess` from the library; here its windows also go
through the towers by masks, not by dropping patches. Its vectors are kept, so that each picture is encoded once.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import NamedTuple, get_type_hints

import numpy as np
import pytest

import refclip
from refclip import arguments
from refclip.methods import METHODS, winclip, winclip_plus
from refclip.prediction import describe
from tests import test_winclip
from tests.devicearray import DeviceArray, upload
from tests.test_winclip import (
    EXACT,
    NAME,
    OWN_TEMPLATES,
    SINGLE,
    dot,
    named,
    slow_ascore,
    slow_crops,
    slow_masks,
    slow_mean,
    slow_pixels,
    slow_text,
    slow_upsample,
    unit,
)

SIDES = {"small": 2, "mid": 3}  # section 4.2: 2 x 2 and 3 x 3 in patches
CAOYUNKANG = {
    "templates": "winclip-b",
    "temperature": "clip",
    "mean_of": "normal",
    "image_scale": False,
    "memories": "mid+small",
    "reference_mean": "arithmetic",
    "map_fusion": "harmonic",
    "image_fusion": "map-max",
}

# Every option added with every value, the rows of tables 5 and 6, three programs, and WinCLIP's options beside them.
OPTIONS = [
    {},
    # table 6
    {"memories": "patch"},
    {"memories": "patch+mid"},
    {"memories": "mid+patch+small"},
    {"memories": ("small",)},
    # table 5
    {"image_fusion": "references"},
    {"image_fusion": "text"},
    {"image_fusion": "map-max"},
    {"patch_tokens": "ln_post"},
    {"patch_tokens": "projected", "memories": "patch"},
    {"reference_mean": "arithmetic"},
    {"map_fusion": "sum"},
    {"map_fusion": "harmonic"},
    {"map_fusion": "harmonic", "image_fusion": "map-max", "memories": "patch+small"},
    {"map_fusion": "references"},
    {"map_fusion": "references", "image_fusion": "map-max"},
    # programs: Accurate-WinCLIP, anomalib, caoyunkang
    {"map_fusion": "sum", "image_fusion": "mean"},
    {"map_fusion": "mean", "patch_tokens": "ln_post"},
    CAOYUNKANG,
    # WinCLIP's own
    {"one_class": True},
    {"crops": 5},
    {"scales": (3,)},
    {"scales": (), "memories": "patch+mid"},
    {"features": "patches"},
    {"features": "tiles", "scales": (3,), "memories": "mid"},
    {"aggregation": "arithmetic", "image_scale": False},
    {"mean_of": "normal", "reference_mean": "arithmetic"},
    {"image_score": "map-max"},
    {"temperature": "clip", "templates": OWN_TEMPLATES, "normalize_prompts": True, "underscores": False},
    {"resize": "shortest", "crops": 10},
    {"resize": "longest"},
]


# --- the slow version ------------------------------------------------------------------------------------------------


class Slow(NamedTuple):
    """Vectors met before, by picture, way to resize, and kind."""

    clip: refclip.CLIP
    texts: dict
    kept: dict

    def pixels(self, image, how):
        return self.keep(("pixels", image.tobytes(), how), lambda: slow_pixels(self.clip, image, how, self.size))

    @property
    def size(self):
        return self.clip.preprocess.size

    def keep(self, key, make):
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def whole(self, image, how):
        """Class token, and the last block's patch tokens as they are."""

        def make():
            depth = len(self.clip.vision.transformer.blocks)
            out = refclip.encode_tokens(self.clip, self.pixels(image, how)[None], layers=[depth])
            return out.embedding[0].tolist(), out.taps[depth][0, 1:].tolist()

        return self.keep(("whole", image.tobytes(), how), make)

    def windows(self, image, how, k, grid):
        """Equation 2: F^W, a vector for each mask."""

        def make():
            numbers = [np.flatnonzero(mask).tolist() for mask in slow_masks(grid, k)]
            x = self.pixels(image, how)[None]
            return [refclip.encode_windows(self.clip, x, [w], how="mask")[0, 0].tolist() for w in numbers]

        return self.keep(("windows", image.tobytes(), how, k), make)


def slow_layer_norm(x, gain, bias):
    mean = math.fsum(x) / len(x)
    variance = math.fsum((a - mean) ** 2 for a in x) / len(x)
    return [(a - mean) / math.sqrt(variance + 1e-5) * g + b for a, g, b in zip(x, gain, bias, strict=True)]


def slow_tokens(clip, x, how):
    """What stands in the patch memory for one token."""
    if how == "raw":
        return x
    x = slow_layer_norm(x, *(p.tolist() for p in clip.vision.ln_post))
    return [dot(x, column) for column in clip.vision.proj.T.tolist()] if how == "projected" else x


def slow_nearest(features, references):
    """Equation 4 at each place."""
    references = [unit(r) for r in references]
    return [min((1 - dot(x, r)) / 2 for r in references) for x in map(unit, features)]


def slow_spread(scores, grid, k, aggregation, of="abnormal"):
    """Equation 3: each patch's mean over the masks that hold it."""
    out, masks = np.zeros(grid), list(slow_masks(grid, k))
    for i, j in itertools.product(*map(range, grid)):
        out[i, j] = slow_mean([s for s, mask in zip(scores, masks, strict=True) if mask[i, j]], aggregation, of)
    return out


def slow_few(slow, image, references, o, grid):
    """M^W, equation 5."""
    names = o.memories.split("+") if isinstance(o.memories, str) else o.memories
    total = np.zeros(grid)
    for name in names:
        if name == "patch":
            own, *others = (
                [slow_tokens(slow.clip, x, o.patch_tokens) for x in slow.whole(one, o.resize)[1]]
                for one in (image, *references)
            )
            total += np.array(slow_nearest(own, itertools.chain(*others))).reshape(grid)
        else:
            k = SIDES[name]
            own, *others = (slow.windows(one, o.resize, k, grid) for one in (image, *references))
            total += slow_spread(slow_nearest(own, itertools.chain(*others)), grid, k, o.reference_mean)
    return total / len(names)


def slow_zero(slow, image, grid, *, o, text, tau):
    """WinCLIP's score and its map on the patches."""
    x = slow.pixels(image, o.resize)

    def ascore(v):
        return slow_ascore(v, text, tau)

    token, patches = slow.whole(image, o.resize)
    scales = []
    if o.features == "patches":
        projected = [slow_tokens(slow.clip, v, "projected") for v in patches]
        scales.append(np.array([ascore(v) for v in projected]).reshape(grid))
    elif o.features == "tiles":
        scales += [test_winclip.slow_windows(slow.clip, x, k, ascore, o=o, how="mask") for k in o.scales]
    else:
        for k in o.scales:
            scores = [ascore(v) for v in slow.windows(image, o.resize, k, grid)]
            scales.append(slow_spread(scores, grid, k, o.aggregation, o.mean_of))
    if o.image_scale and o.features != "patches":
        scales.append(np.full(grid, ascore(token)))
    out = np.zeros(grid)
    for i, j in itertools.product(*map(range, grid)):
        out[i, j] = slow_mean([s[i, j] for s in scales], o.aggregation, o.mean_of)
    if o.image_score == "map-max":
        return out.max(), out
    crops = [refclip.encode_image(slow.clip, c[None])[0].tolist() for c in slow_crops(slow.clip, image, o)]
    values = [-dot(unit(c), text[0]) if o.one_class else ascore(c) for c in crops]
    return sum(values) / len(values), out


def slow_winclip_plus(slow, images, references, name, options):
    o = winclip_plus.Options(**options)
    text = slow_text(slow.clip, name, o, slow.texts)
    tau = 1 / slow.clip.logit_scale if o.temperature == "clip" else o.temperature
    p = slow.clip.vision.patch_size
    grid = slow.size[0] // p, slow.size[1] // p
    scores, maps = [], []
    for image in images:
        ascore, told = slow_zero(slow, image, grid, o=o, text=text, tau=tau)
        few = slow_few(slow, image, references, o, grid)
        fused = {
            "mean": lambda t, v: (t + v) / 2,
            "sum": lambda t, v: t + v,
            "harmonic": lambda t, v: 1 / (1 / t + 1 / v),
            "references": lambda t, v: v,
        }[o.map_fusion](told, few)
        most = max(few.ravel().tolist())
        scores.append(
            {"mean": (ascore + most) / 2, "references": most, "text": ascore, "map-max": fused.max()}[o.image_fusion]
        )
        maps.append(slow_upsample(fused, slow.size))
    return np.array(scores), np.array(maps)


# --- the method as a whole -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(small):
    return Slow(small, {}, {})


@pytest.fixture(scope="module")
def images():
    return test_winclip.pictures()[:2]


@pytest.fixture(scope="module")
def references():
    """Three, of other sizes; the second is near the first query."""
    rng = np.random.default_rng(5)
    near = test_winclip.pictures()[0].astype(int) + rng.integers(-40, 41, (50, 70, 3))
    ramp = test_winclip.pictures()[2]
    return [ramp, near.clip(0, 255).astype(np.uint8), rng.integers(0, 99, (33, 41, 3), dtype=np.uint8)]


@pytest.fixture(scope="module")
def default(small, images, references):
    state = winclip_plus.prepare(small, NAME)
    features, context = winclip_plus.extract(state, images), winclip_plus.extract(state, references)
    return state, features, context, winclip_plus.score(state, features, context)


def run(clip, images, references, **options):
    state = winclip_plus.prepare(clip, NAME, **options)
    features, context = (winclip_plus.extract(state, some) for some in (images, references))
    return winclip_plus.score(state, features, context)


def assert_same(out, want, **tolerance):
    np.testing.assert_allclose(out.score, want[0], **(tolerance or EXACT))
    np.testing.assert_allclose(out.map, want[1], **(tolerance or EXACT))


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_definitions(small, slow, images, references, options):
    out = run(small, images, references[:2], **options)
    assert_same(out, slow_winclip_plus(slow, images, references[:2], NAME, options))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_any_number_of_references(slow, images, references, default, k):
    state, features, context, _ = default
    out = winclip_plus.score(state, features, winclip_plus.remember(context, k))
    assert_same(out, slow_winclip_plus(slow, images, references[:k], NAME, {}))


@pytest.mark.parametrize("size", [(24, 56), (43, 37)])
def test_grids_of_other_sizes(small, images, references, size):
    """Not square, and with a remainder that is less than a patch."""
    clip = small._replace(preprocess=small.preprocess._replace(size=size))
    options = {"templates": OWN_TEMPLATES}
    out = run(clip, images[:1], references[:1], **options)
    assert out.map.shape == (1, *size)
    assert_same(out, slow_winclip_plus(Slow(clip, {}, {}), images[:1], references[:1], NAME, options))


def test_equation_6_by_hand(default):
    """The score is made of WinCLIP's and of the map of references, which are both to be had alone."""
    state, features, context, out = default

    def other(**options):
        return winclip_plus.score(state._replace(options=state.options._replace(**options)), features, context)

    text, most = other(image_fusion="text").score, other(image_fusion="references").score
    np.testing.assert_allclose(out.score, (text + most) / 2, **EXACT)
    total, alone = other(map_fusion="sum").map, other(map_fusion="references").map
    np.testing.assert_allclose(out.map * 2, total, **EXACT)
    parts = [other(map_fusion="references", memories=name).map for name in ("patch", "mid", "small")]
    np.testing.assert_allclose(alone, sum(parts) / 3, **EXACT)  # equation 5


@pytest.mark.parametrize("option", winclip.Options._fields)
def test_winclips_options_are_all_here_and_reach_it(small, images, references, option):
    """By the two ends of the fusion: its score alone, and its map as what is left of the sum."""
    assert winclip_plus.Options._field_defaults[option] == winclip.Options._field_defaults[option]
    options, _ = test_winclip.EFFECTS[option]
    state = winclip_plus.prepare(small, NAME, **options, image_fusion="text", map_fusion="sum")
    features, context = (winclip_plus.extract(state, some) for some in (images, references[:1]))
    out = winclip_plus.score(state, features, context)
    few = winclip_plus.score(state._replace(options=state.options._replace(map_fusion="references")), features, context)
    want = refclip.detector("winclip", small, NAME, **options)(images)
    np.testing.assert_allclose(out.score, want.score, **EXACT)
    np.testing.assert_allclose(out.map - few.map, want.map, **EXACT)
    assert out.geometry == want.geometry


# option added -> what it is there to move
EFFECTS = {
    "memories": ({"memories": "patch"}, {"score", "map"}),
    "patch_tokens": ({"patch_tokens": "projected"}, {"score", "map"}),
    "reference_mean": ({"reference_mean": "arithmetic"}, {"map", "score"}),
    "map_fusion": ({"map_fusion": "harmonic"}, {"map"}),
    "image_fusion": ({"image_fusion": "references"}, {"score"}),
}


@pytest.mark.parametrize("option", winclip_plus.FewShot._fields)
def test_every_option_moves_what_it_should_and_nothing_else(default, option):
    state, features, context, before = default
    options, what = EFFECTS[option]
    out = winclip_plus.score(state._replace(options=state.options._replace(**options)), features, context)
    for key in ("score", "map"):
        assert (np.abs(getattr(out, key) - getattr(before, key)).max() > 1e-5) == (key in what)


@pytest.mark.parametrize("option", winclip_plus.CHOICES)
def test_no_two_values_of_an_option_give_the_same(default, option):
    state, features, context, _ = default
    found = [
        winclip_plus.score(state._replace(options=state.options._replace(**{option: value})), features, context)
        for value in winclip_plus.CHOICES[option]
    ]
    for a, b in itertools.combinations(found, 2):
        assert test_winclip.moved(a, b)


def test_the_shipped_model_in_float32(mini, images, references):
    """Against itself in float64, at its own size of 15 x 15 patches."""
    exact = refclip.load("refclip-mini", dtype="float64")
    options = {"templates": OWN_TEMPLATES}
    out, want = run(mini, images[:1], references[:1], **options), run(exact, images[:1], references[:1], **options)
    assert out.score.dtype == out.map.dtype == np.float32
    assert_same(out, want, **SINGLE)


# --- invariants ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"patch_tokens": "ln_post"}, {"reference_mean": "arithmetic"}], ids=named)
def test_an_image_among_its_references_is_not_anomalous_to_them(small, images, references, options):
    out = run(small, images, [*references, *images], **options, map_fusion="references", image_fusion="references")
    np.testing.assert_allclose(out.map, 0, atol=1e-12)
    np.testing.assert_allclose(out.score, 0, atol=1e-12)
    assert (out.map >= 0).all()


def test_more_references_never_raise_the_map_and_their_order_does_not_matter(default):
    state, features, context, full = default
    maps = [winclip_plus.score(state, features, winclip_plus.remember(context, k)).map for k in (1, 2, 3)]
    for fewer, more in itertools.pairwise(maps):
        assert (more <= fewer + 1e-12).all()  # rounding
    assert (maps[1] < maps[0] - 1e-5).any()  # the second reference is near the first image
    memory = context.memory
    turned = memory._replace(windows={k: x[::-1] for k, x in memory.windows.items()}, patches=memory.patches[::-1])
    assert_same(winclip_plus.score(state, features, turned), full)
    assert_same(winclip_plus.score(state, features, (context, context)), full)  # drawn twice: no more than once


def test_a_map_of_references_lies_between_0_and_1(default):
    state, features, context, _ = default
    for fusion in ("references", "mean", "harmonic"):
        out = winclip_plus.score(state._replace(options=state.options._replace(map_fusion=fusion)), features, context)
        assert (out.map > 0).all() and (out.map < 1).all()
        assert out.map.shape == (2, 40, 40) and out.score.shape == (2,)


def test_batch_order_and_company_do_not_matter(small, images, references, default):
    together = default[3]
    assert_same(run(small, images[::-1], references), (together.score[::-1], together.map[::-1]))
    for i, image in enumerate(images):
        assert_same(run(small, [image], references), (together.score[i : i + 1], together.map[i : i + 1]))
    state, features, *_ = default
    batches = [winclip_plus.extract(state, references[:1]), winclip_plus.extract(state, references[1:])]
    for context in (batches, tuple(batches), [batches[0], batches[1].memory], winclip_plus.remember(batches)):
        assert_same(winclip_plus.score(state, features, context), together)


# --- equation 4 alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_association(dtype):
    rng = np.random.default_rng(6)
    x, r = rng.normal(size=(2, 4, 7)), rng.normal(size=(3, 5, 7))
    r[1, 2] = 3 * x[0, 1]  # the same direction
    want = [slow_nearest(one, r.reshape(-1, 7)) for one in x]
    kept = x.copy(), r.copy()
    out = winclip_plus.associate(x.astype(dtype), r.astype(dtype))
    assert out.dtype == dtype
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(r, kept[1])
    np.testing.assert_allclose(out, want, rtol=0, atol=1e-6)  # float32 rounds a cosine by 1e-7
    np.testing.assert_allclose(out[0, 1], 0, atol=1e-14 if dtype is np.float32 else 1e-30)
    assert (winclip_plus.associate(x, -x) <= 1).all()
    np.testing.assert_allclose(winclip_plus.associate(x[:1, :1], -x[:1, :1]), 1, **EXACT)  # the farthest there is


def test_association_in_float16_is_done_in_float32():
    rng = np.random.default_rng(7)
    r = rng.normal(0, 300, (1, 3, 64))  # as large as the residual stream gets
    x = r + rng.normal(0, 9, r.shape)
    half = winclip_plus.associate(x.astype(np.float16), r.astype(np.float16))
    assert half.dtype == np.float32
    # distances of some 2e-4, and directions rounded by 5e-4 of their length, at right angles to the difference mostly
    np.testing.assert_allclose(half, winclip_plus.associate(x, r), rtol=0.1)


def test_fusions_of_zeros_neither_warn_nor_divide_by_zero():
    t, v = np.array([[[0.0, 1.0, 0.5, 0.0]]]), np.array([[[0.0, 0.0, 0.5, 1.0]]])
    np.testing.assert_allclose(winclip_plus.fuse(t, v, "harmonic"), [[[0, 0, 0.25, 0]]], atol=1e-29)
    np.testing.assert_array_equal(winclip_plus.fuse(t, v, "mean"), [[[0, 0.5, 0.5, 0.5]]])
    np.testing.assert_array_equal(winclip_plus.fuse(t, v, "sum"), [[[0, 1, 1, 1]]])


# --- features are kept and scored again ------------------------------------------------------------------------------


def refuse(*_, **__):
    raise AssertionError("an image was encoded again")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"memories": "patch"},
        {"memories": ("small", "mid")},
        {"patch_tokens": "ln_post"},
        {"patch_tokens": "projected"},
        {"image_fusion": "references", "map_fusion": "references"},
        {"scales": (3,), "temperature": "clip"},
        CAOYUNKANG,
    ],
    ids=named,
)
def test_kept_features_are_scored_again_without_the_tower(default, images, references, monkeypatch, options):
    """Rows of tables 5 and 6 and the number of references need no second encoding."""
    small, (features, context) = default[0].clip, default[1:3]
    state = winclip_plus.prepare(small, NAME, **options)
    with monkeypatch.context() as patch:
        for module in (winclip, winclip_plus):
            for name in ("encode_tokens", "encode_windows", "pixels_of"):
                patch.setattr(module, name, refuse)
        patch.setattr(winclip, "encode_image", refuse)
        out = winclip_plus.score(state, features, winclip_plus.remember(context, 2))
    assert_same(out, run(small, images, references[:2], **options))


def test_scoring_changes_nothing(default):
    state, features, context, first = default
    held = [features.memory.patches, context.memory.patches, *features.zero.windows.values()]
    kept = [x.copy() for x in held]
    again = winclip_plus.score(state, features, context)
    np.testing.assert_array_equal(again.map, first.map)
    for x, y in zip(held, kept, strict=True):
        np.testing.assert_array_equal(x, y)


def test_nothing_is_encoded_that_is_not_used(small, images, monkeypatch):
    monkeypatch.setattr(winclip_plus, "encode_windows", refuse)  # the windows of the zero-shot map serve again
    state = winclip_plus.prepare(small, NAME, templates=OWN_TEMPLATES)
    features = winclip_plus.extract(state, images[:1])
    assert features.memory.windows[2] is features.zero.windows[2]
    with monkeypatch.context() as patch:
        patch.setattr(winclip_plus, "encode_tokens", refuse)
        winclip_plus.extract(winclip_plus.prepare(small, NAME, memories="mid", templates=OWN_TEMPLATES), images[:1])
    with pytest.raises(AssertionError, match="encoded"):
        winclip_plus.extract(winclip_plus.prepare(small, NAME, scales=(2,), templates=OWN_TEMPLATES), images[:1])


# --- what is refused -------------------------------------------------------------------------------------------------


def test_no_references(default):
    state, features, context, _ = default
    with pytest.raises(ValueError, match=r"winclip\+ needs references"):
        winclip_plus.score(state, features)
    for none in ((), []):
        with pytest.raises(ValueError, match="no references: expected the features of at least one"):
            winclip_plus.score(state, features, none)
    for k in (0, 4, -1):
        with pytest.raises(ValueError, match=f"k={k} of 3 references"):
            winclip_plus.remember(context, k)
    memory = context.memory
    empty = memory._replace(windows={k: x[:0] for k, x in memory.windows.items()}, patches=memory.patches[:0])
    with pytest.raises(ValueError, match="of 0 references: expected at least one"):
        winclip_plus.score(state, features, empty)
    with pytest.raises(ValueError, match="no images"):
        winclip_plus.extract(state, [])


def test_references_from_elsewhere(small, mini, images, default):
    state, features, context, _ = default

    def extract(clip, **options):
        state = winclip_plus.prepare(clip, NAME, templates=OWN_TEMPLATES, **options)
        return state, winclip_plus.extract(state, images[:1])

    _, other = extract(mini)
    with pytest.raises(ValueError, match=r"the references were extracted with CLIP\('refclip-mini'.*; expected CLIP"):
        winclip_plus.score(state, features, other)
    with pytest.raises(ValueError, match=r"the images were extracted with CLIP\('refclip-mini'"):
        winclip_plus.score(state, other, context)
    _, other = extract(small, resize="shortest")
    with pytest.raises(ValueError, match=r"the references were .* resize='shortest'; expected .* resize='squash'"):
        winclip_plus.score(state, features, other)
    with pytest.raises(ValueError, match=r"of several kinds, expected one: .*resize='shortest'; .*resize='squash'"):
        winclip_plus.score(state, features, [context, other])
    _, other = extract(small._replace(preprocess=small.preprocess._replace(size=(32, 40))))
    with pytest.raises(ValueError, match=re.escape("references have (4, 5) patches, the images (5, 5)")):
        winclip_plus.score(state, features, other)
    lean, other = extract(small, memories="mid")
    with pytest.raises(ValueError, match="the references were extracted without 'patch'"):
        winclip_plus.score(state, features, other)
    with pytest.raises(ValueError, match="memories='patch\\+mid\\+small': the images were extracted without 'patch'"):
        winclip_plus.score(state, other, context)
    with pytest.raises(ValueError, match="the references were extracted without 'patch'"):  # one batch lacks it
        winclip_plus.score(state, features, [context, other])
    winclip_plus.score(lean, features, [context, other])  # and what both hold is enough for it


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"memories": ""}, "memories='': expected one or more of patch, small, mid"),
        ({"memories": ()}, "expected one or more of patch, small, mid"),
        ({"memories": "patch+large"}, "memories='patch\\+large': expected"),
        ({"memories": "mid+mid"}, "memories='mid\\+mid': expected"),
        ({"patch_tokens": "last"}, "patch_tokens='last': expected one of 'raw'"),
        ({"reference_mean": "min"}, "reference_mean='min': expected one of 'harmonic'"),
        ({"map_fusion": "max"}, "map_fusion='max': expected one of 'mean'"),
        ({"image_fusion": "sum"}, "image_fusion='sum': expected one of 'mean'"),
        ({"crops": 4}, "crops=4: expected one of 1, 5, 10"),
        ({"scales": (6,)}, "from 1 to 5 patches"),
    ],
)
def test_wrong_options_are_named(small, options, says):
    with pytest.raises(ValueError, match=says):
        winclip_plus.prepare(small, NAME, **options)


def test_a_grid_too_small_for_a_memory(small):
    tiny = small._replace(preprocess=small.preprocess._replace(size=(16, 40)))
    with pytest.raises(ValueError, match="'mid' needs 3 patches a side, found 2"):
        winclip_plus.prepare(tiny, NAME, scales=(2,))
    winclip_plus.prepare(tiny, NAME, scales=(2,), memories="patch+small", templates=OWN_TEMPLATES)


# --- documents and the command line ----------------------------------------------------------------------------------


def test_every_option_is_documented_once():
    for option in winclip_plus.Options._fields:
        assert len(re.findall(rf"^ *{option} : ", winclip_plus.Options.__doc__, re.M)) == 1, option
    for row in winclip_plus.DIFFERENCES:
        for option in re.findall(r"(\w+)=", row.option):
            assert option in winclip_plus.Options._fields


def test_options_are_typed_on_the_command_line(monkeypatch):
    monkeypatch.setitem(METHODS, "winclip+", (winclip_plus, {}))
    assert get_type_hints(winclip_plus.Options).keys() == set(winclip_plus.Options._fields)
    for key, value in winclip_plus.Options._field_defaults.items():
        assert arguments.parse_options("winclip+", [f"{key}={arguments._typed(value)}"]) == {key: value}
    assert describe(winclip_plus.Options(memories=("patch", "mid")))["memories"] == ["patch", "mid"]


# --- on the device ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def device(small):
    return upload(small)


@pytest.mark.parametrize("options", [o for o in OPTIONS if o.keys() - set(winclip.Options._fields)], ids=named)
def test_on_the_device(small, device, images, references, options):
    out, want = (run(clip, images, references[:2], **options) for clip in (device, small))
    assert type(out.score) is type(out.map) is np.ndarray
    assert_same(out, want)


def test_what_is_kept_stays_on_the_device_and_does_not_mix(device, images, default):
    state, features, context, _ = default
    there = winclip_plus.prepare(device, NAME, templates=OWN_TEMPLATES)
    uploaded = winclip_plus.extract(there, images)
    memory = winclip_plus.remember([uploaded, uploaded], 3)
    for x in (there.text, uploaded.memory.patches, memory.patches, *memory.windows.values()):
        assert isinstance(x, DeviceArray)
    assert [len(x) for x in memory.windows.values()] == [3, 3]
    with pytest.raises(TypeError, match="references are numpy arrays, but the images' are devicexp"):
        winclip_plus.score(there, uploaded, context)
    with pytest.raises(TypeError, match="references are devicexp arrays, but the images' are numpy"):
        winclip_plus.score(state, features, memory)
    with pytest.raises(TypeError):
        winclip_plus.score(state, uploaded, memory)
