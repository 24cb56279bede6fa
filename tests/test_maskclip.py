"""MaskCLIP against the last block written out token by token, and against attention that sees nothing but itself."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import refclip
from refclip.attention import visible
from refclip.methods import maskclip, winclip
from refclip.prompts import States
from refclip.transformer import block
from tests.devicearray import DeviceArray, upload
from tests.test_winclip import EXACT, NAME, SINGLE, named, pictures, slow_ascore, slow_pixels, slow_text, slow_upsample

OWN = States(("{}", "new {}"), ("scratched {}",))
LIGHT = {"states": OWN, "templates": ("a photo of a {}.", "{}")}  # the lists are winclip's matter
OPTIONS = [
    {},
    {"features": "block"},
    {"image_score": "map-max"},
    {"features": "block", "image_score": "map-max"},
    {"states": "clip-ac"},
    {"templates": "bare"},
    {"normalize_prompts": True},
    {"temperature": "clip"},
    {"underscores": False},
    {"resize": "shortest"},
]


def slow_norm(x, gain, bias):
    mean = math.fsum(x) / len(x)
    variance = math.fsum((a - mean) ** 2 for a in x) / len(x)
    return (np.array(x) - mean) / math.sqrt(variance + 1e-5) * gain + bias


def slow_token(v, x, features):
    """One token [d] through the last block, by the names of its weights: [e]."""
    p, d = v.transformer.blocks[-1], len(x)
    weight, bias = p.attn.in_proj
    value = weight[2 * d : 3 * d] @ slow_norm(x, *p.ln_1) + bias[2 * d : 3 * d]
    y = p.attn.out_proj.weight @ value + p.attn.out_proj.bias
    if features == "block":
        y = x + y
        hidden = p.c_fc.weight @ slow_norm(y, *p.ln_2) + p.c_fc.bias
        if v.transformer.activation == "gelu":
            hidden = np.array([h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in hidden])
        else:
            hidden = np.array([h / (1 + math.exp(-1.702 * h)) for h in hidden])
        y = y + p.c_proj.weight @ hidden + p.c_proj.bias
    return slow_norm(y, *v.ln_post) @ v.proj


def slow_maskclip(clip, images, options):
    o = maskclip.Options(**options)
    text = slow_text(clip, NAME, o, {})
    tau = 1 / clip.logit_scale if o.temperature == "clip" else o.temperature
    scores, maps = [], []
    for image in images:
        x = slow_pixels(clip, image, o.resize, clip.preprocess.size)
        p, depth = clip.vision.patch_size, len(clip.vision.transformer.blocks)
        grid = np.zeros((x.shape[1] // p, x.shape[2] // p))
        tokens = refclip.encode_tokens(clip, x[None], layers=[depth - 1]).taps[depth - 1][0]
        for i, j in itertools.product(*map(range, grid.shape)):
            feature = slow_token(clip.vision, tokens[1 + i * grid.shape[1] + j], o.features)
            grid[i, j] = slow_ascore(feature.tolist(), text, tau)
        whole = slow_ascore(refclip.encode_image(clip, x[None])[0].tolist(), text, tau)
        scores.append(grid.max() if o.image_score == "map-max" else whole)
        maps.append(slow_upsample(grid, clip.preprocess.size))
    return np.array(scores), np.array(maps)


def run(clip, images, **options):
    state = maskclip.prepare(clip, NAME, **options)
    return maskclip.score(state, maskclip.extract(state, images))


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_definitions(small, options):
    options = LIGHT | options
    out = run(small, pictures()[:2], **options)
    score, map = slow_maskclip(small, pictures()[:2], options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_the_prompts_are_winclips_unless_said_otherwise():
    for key in ("states", "templates", "normalize_prompts", "temperature", "underscores"):
        assert getattr(maskclip.Options(), key) == getattr(winclip.Options(), key)


@pytest.mark.parametrize("size", [(24, 43), (8, 8)])
def test_grids_of_other_sizes(small, size):
    clip = small._replace(preprocess=small.preprocess._replace(size=size))
    out = run(clip, pictures()[:1], **LIGHT)
    score, map = slow_maskclip(clip, pictures()[:1], LIGHT)
    assert out.map.shape == (1, *size)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_quick_gelu_and_float32(small_folder):
    clip = refclip.load(small_folder, activation="quick_gelu")
    out = run(clip, pictures()[:2], features="block", **LIGHT)
    score, map = slow_maskclip(clip, pictures()[:2], {"features": "block", **LIGHT})
    assert out.score.dtype == out.map.dtype == np.float32
    np.testing.assert_allclose(out.score, score, **SINGLE)
    np.testing.assert_allclose(out.map, map, **SINGLE)


def test_it_is_attention_to_oneself_alone(small):
    """The tower's own block, under a mask that leaves each token only itself, does the same."""
    x = np.random.default_rng(3).normal(size=(2, 6, 128))
    stack = small.vision.transformer
    mask = visible(np.eye(6, dtype=bool), x)
    want, _, _ = block(x, stack.blocks[-1], stack.heads, stack.activation, mask=mask)
    np.testing.assert_allclose(maskclip.own_words(small.vision, x, around=True), want, **EXACT)


def test_a_tower_of_one_block(small):
    stack = small.vision.transformer
    clip = small._replace(vision=small.vision._replace(transformer=stack._replace(blocks=stack.blocks[:1])))
    state = maskclip.prepare(clip, NAME, **LIGHT)
    out = maskclip.extract(state, pictures()[:1])
    x = slow_pixels(clip, pictures()[0], "squash", clip.preprocess.size)
    tokens = refclip.vit.embed(clip.vision, x[None])[0]
    np.testing.assert_allclose(out.patches[0, 7], slow_token(clip.vision, tokens[8], "value"), **EXACT)
    np.testing.assert_allclose(out.image, refclip.encode_image(clip, x[None]), **EXACT)


@pytest.mark.parametrize("option", maskclip.Options._fields)
def test_every_option_moves_something(small, option):
    a = run(small, pictures()[:2], **LIGHT)
    changed = {
        "features": "block", "image_score": "map-max", "states": "clip-ac", "templates": "bare",
        "normalize_prompts": True, "temperature": "clip", "underscores": False, "resize": "shortest",
    }[option]  # fmt: skip
    b = run(small, pictures()[:2], **LIGHT | {option: changed})
    moved = {key for key in ("score", "map") if np.abs(getattr(a, key) - getattr(b, key)).max() > 1e-5}
    assert moved == {"features": {"map"}, "image_score": {"score"}}.get(option, {"score", "map"})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"features": "values"}, "features='values': expected one of 'value', 'block'"),
        ({"image_score": "mean"}, "image_score"),
        ({"resize": "stretch"}, "resize"),
        ({"states": "none"}, "states 'none'"),
        ({"temperature": 0}, "temperature 0"),
    ],
)
def test_options_that_are_no_options(small, options, says):
    with pytest.raises(ValueError, match=says):
        maskclip.prepare(small, NAME, **options)


def test_features_of_the_other_kind_are_refused(small):
    features = maskclip.extract(maskclip.prepare(small, NAME, **LIGHT), pictures()[:1])
    with pytest.raises(ValueError, match="these were extracted with features='value'"):
        maskclip.score(maskclip.prepare(small, NAME, features="block", **LIGHT), features)


@pytest.mark.parametrize("features", ["value", "block"])
def test_on_a_device(small, features):
    state = maskclip.prepare(upload(small), NAME, features=features, **LIGHT)
    there = maskclip.extract(state, pictures()[:2])
    assert isinstance(there.image, DeviceArray) and isinstance(there.patches, DeviceArray)
    out, want = maskclip.score(state, there), run(small, pictures()[:2], features=features, **LIGHT)
    assert type(out.score) is type(out.map) is np.ndarray
    np.testing.assert_allclose(out.score, want.score, **EXACT)
    np.testing.assert_allclose(out.map, want.map, **EXACT)
