"""AnomalyCLIP against its equations, written out one pixel at a time; learning, keeping and resuming.

What the slow version takes from the library is held elsewhere: the towers by open_clip's answers, the embeddings of
prompts by `test_prompt_learning`. All else (logits, maps, smoothing, losses) it does in float64, with loops.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import refclip
from refclip import WeightsError
from refclip.autograd import Tape
from refclip.clip import encode_tokens
from refclip.features_cache import geometries, keep_features, rows
from refclip.frozen import Encoded
from refclip.methods import anomalyclip, anomalyclip_fit, coop, coop_fit
from refclip.methods.anomalyclip_fit import Batch, Training, fit, loss_of, save
from refclip.methods.anomalyclip_learned import Fitted, load
from refclip.methods.anomalyclip_options import DEFAULTS, Options, recipe_of, settled
from refclip.methods.anomalyclip_prompts import Design, Learned, begin, embed_prompts
from refclip.methods.anomalyclip_pth import convert
from refclip.methods.features import join, piece
from refclip.methods.masks import packed_masks
from refclip.methods.options import first_of
from refclip.nn import layer_norm
from refclip.preprocess import preprocess
from refclip.samples import Loaded, Sample
from refclip.transformer import Dual
from refclip.tree import leaves, tree_map
from tests import torchfiles
from tests.anomalyclip_cases import LAM, TAU, TUNINGS, step
from tests.devicearray import devicexp
from tests.test_device import assert_same, upload
from tests.test_prompt_learning import random_learned

EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
DESIGN = Design(length=3, tokens=2)
SMALL = Training(epochs=2, batch=4, seed=5)
NAME = "metal_nut"


def samples(count=6, seed=0):
    """Noise, every second one with a bright rectangle and its mask; two categories."""
    rng, found = np.random.default_rng(seed), []
    for i in range(count):
        image, mask = rng.integers(0, 200, (44, 36 + 4 * (i % 2), 3), dtype=np.uint8), None
        if i % 2:
            mask = np.zeros(image.shape[:2], dtype=bool)
            mask[10 + i : 22 + i, 5:25] = True
            image[mask] = 250
        sample = Sample(Path(f"{i}.png"), i % 2, None, ["bolt", NAME][i // 3 % 2], "x" if i % 2 else "good", "test")
        found.append(Loaded(sample, image, mask))
    return found


@pytest.fixture(scope="module")
def learned(small):
    return Fitted(random_learned(small, DESIGN._replace(depth=2)), DESIGN._replace(depth=2), {}, [])


# --- the slow version ------------------------------------------------------------------------------------------------


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def unit(x):
    return np.asarray(x) / math.sqrt(dot(x, x))


def two(logits):
    """Equation 1."""
    most = max(logits)
    weights = [math.exp(z - most) for z in logits]
    return [w / math.fsum(weights) for w in weights]


def up(grid, size):
    """Bilinear, corners not aligned: each pixel between the centres of four patches."""
    out = np.zeros(size)
    (gh, gw), (h, w) = grid.shape, size
    for i in range(h):
        y = min(max((i + 0.5) * gh / h - 0.5, 0), gh - 1)
        for j in range(w):
            x = min(max((j + 0.5) * gw / w - 0.5, 0), gw - 1)
            a, b = int(y), int(x)
            c, d = min(a + 1, gh - 1), min(b + 1, gw - 1)
            s, t = y - a, x - b
            out[i, j] = (1 - s) * ((1 - t) * grid[a, b] + t * grid[a, d]) + s * ((1 - t) * grid[c, b] + t * grid[c, d])
    return out


def blur(map, sigma):
    reach = int(4 * sigma + 0.5)
    kernel = np.array([math.exp(-((k / sigma) ** 2) / 2) for k in range(-reach, reach + 1)])
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(map, ((reach, reach), (0, 0)), mode="symmetric")
        map = sum(kernel[k] * padded[k : k + len(map)] for k in range(2 * reach + 1)).T
    return map


def slow_features(clip, image, o):
    """The class token, and path -> layer -> unit patch tokens of one image."""
    size = (o.size, o.size)
    pixels = preprocess([image], clip.preprocess._replace(size=size, resize=o.resize))[0].astype(np.float64)
    how = {"interpolation": o.positions, "antialias": o.positions == "bicubic"}
    depth, patches = len(clip.vision.transformer.blocks), {}
    for path in o.attention.split(","):
        dual = None if path == "own" else Dual(path, o.dpam_from - 1)
        found = encode_tokens(clip, pixels, layers=o.layers, dual=dual, **how)
        patches[path] = {n: [unit(x) for x in found.patches[n][0]] for n in o.layers}
    tokens = encode_tokens(clip, pixels, layers=[depth], **how).taps[depth][0, 0]
    tokens = layer_norm(tokens[None], clip.vision.ln_post)[0] if o.class_norm else tokens
    return unit(tokens @ clip.vision.proj), patches


def slow_states(patches, text, o, tau, layer):
    """[S_n, S_a] of a layer on the grid; several paths: the mean of their logits (table 10)."""
    side, paths = o.size // 8, o.attention.split(",")
    out = np.zeros((2, side, side))
    for g in range(side * side):
        logits = [math.fsum(dot(patches[p][layer][g], text[c]) / tau for p in paths) / len(paths) for c in range(2)]
        out[:, g // side, g % side] = two(logits)
    return out


def slow_score(clip, image, text, o, tau):
    x, patches = slow_features(clip, image, o)
    map = np.zeros((o.size, o.size))
    for layer in o.layers:
        normal, abnormal = slow_states(patches, text, o, tau, layer)
        map += (1 - up(normal, map.shape)) / 2 + up(abnormal, map.shape) / 2
    map = blur(map, o.sigma * o.size) if o.sigma else map
    return two([dot(x, text[c]) / tau for c in range(2)])[1], map


OPTIONS = [
    {},
    {"attention": "q-q"},
    {"attention": "k-k"},
    {"attention": "q-k"},
    {"attention": "own"},  # tables 4 and 7 without T1
    {"attention": "q-q,k-k,v-v"},  # table 10
    {"attention": "own,q-q,k-k,v-v"},
    {"layers": (4,)},  # without T4
    {"layers": (3, 4), "dpam_from": 3},
    {"size": 56},
    {"size": 56, "positions": "bicubic"},
    {"class_norm": False},
    {"class_norm": False, "attention": "own"},
    {"temperature": 0.5},
    {"temperature": "clip"},
    {"sigma": 0.0},
    {"sigma": 0.1},
    {"object": "name"},  # figures 5 and 9
    {"object": "name", "underscores": False},
    {"resize": "shortest"},
    {"resize": "longest"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_against_the_equations(small, learned, options):
    state = anomalyclip.prepare(small, NAME, learned=learned, **options)
    o = state.options
    assert all(getattr(o, key) == value for key, value in options.items())
    images = [one.image for one in samples(2)]
    found = anomalyclip.score(state, anomalyclip.extract(state, images))
    said = "object" if o.object == "object" else NAME if o.underscores else NAME.replace("_", " ")
    text = embed_prompts(small, learned.design, learned.learned, [said])[0]
    tau = 1 / small.logit_scale if o.temperature == "clip" else o.temperature
    for i, image in enumerate(images):
        score, map = slow_score(small, image, text, o, tau)
        np.testing.assert_allclose(found.score[i], score, **EXACT)
        np.testing.assert_allclose(found.map[i], map, **EXACT)
    assert found.geometry[1].original == images[1].shape[:2]


def test_no_two_options_give_the_same(small, learned):
    images, found = [one.image for one in samples(2)], []
    for options in OPTIONS:
        state = anomalyclip.prepare(small, NAME, learned=learned, **options)
        answer = anomalyclip.score(state, anomalyclip.extract(state, images))
        found.append((answer.score.tolist(), answer.map[:, :40, :40].round(9).tolist()))
    assert all(a != b for i, a in enumerate(found) for b in found[:i])


def test_defaults_are_the_papers_for_its_backbone(small, mini, learned):
    paper = small._replace(vision=small.vision._replace(
        conv1=np.zeros((1024, 3, 14, 14)), positional_embedding=np.zeros((577, 1024)),
        transformer=small.vision.transformer._replace(blocks=tuple(range(24)))))  # fmt: skip
    o = settled(paper, DEFAULTS)
    assert (o.layers, o.dpam_from, o.size) == ((6, 12, 18, 24), 6, 518)
    assert (o.attention, o.temperature, o.object) == ("v-v", 0.07, "object")
    assert o.sigma * o.size == pytest.approx(4)
    o = settled(mini, DEFAULTS)
    assert (o.layers, o.dpam_from, o.size) == ((2, 3, 5, 6), 2, 120)
    assert settled(small, DEFAULTS).layers == (1, 2, 3, 4)
    assert Training()[:4] == (15, 8, 1e-3, (0.5, 0.999))
    assert Training().lam == 1
    assert Design()[1] == 12
    assert anomalyclip.prepare(small, learned=learned).options.learned == "given"


def test_features_serve_what_needs_no_more(small, learned):
    images = [one.image for one in samples(3)]
    whole = anomalyclip.prepare(small, learned=learned, attention="q-q,v-v", sigma=0.0)
    features = anomalyclip.extract(whole, images)
    less = anomalyclip.prepare(small, learned=learned, layers=(2, 4), sigma=0.0)
    want = anomalyclip.score(less, anomalyclip.extract(less, images))
    np.testing.assert_allclose(anomalyclip.score(less, features).map, want.map, **EXACT)
    parts = join([piece(features, 0, 1), piece(features, 1, 3)])
    np.testing.assert_array_equal(anomalyclip.score(less, parts).map, anomalyclip.score(less, features).map)
    for change in ({"attention": "k-k"}, {"size": 56}, {"class_norm": False}, {"dpam_from": 2, "layers": (2, 4)}):
        other = anomalyclip.prepare(small, learned=learned, **change)
        with pytest.raises(ValueError, match="were extracted with"):
            anomalyclip.score(other, features)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"object": "cat"}, "object='cat'"),
        ({"attention": "v-q"}, "attention='v-q'"),
        ({"attention": "v-v,v-v"}, "different ones"),
        ({"dpam_from": 5}, "a block of 1 to 4"),
        ({"dpam_from": 3}, r"layers \[1, 2\] lie before"),
        ({"layers": (5,)}, "from 1 to 4"),
        ({"size": 41}, "multiple of the patch, 8"),
        ({"positions": "nearest"}, "positions='nearest'"),
        ({"resize": "crop"}, "resize='crop'"),
        ({"sigma": -1.0}, "sigma=-1"),
        ({"temperature": -0.1}, "temperature -0.1"),
    ],
)
def test_options_that_make_no_sense(small, learned, options, message):
    with pytest.raises(ValueError, match=message):
        anomalyclip.prepare(small, learned=learned, **options)


def test_without_learned_prompts(small):
    with pytest.raises(ValueError, match=r"refclip train anomalyclip DATA --out FILE"):
        anomalyclip.prepare(small)


# --- the loss --------------------------------------------------------------------------------------------------------


def slow_loss(clip, learned, design, some, *, t, o, tau):
    """Equation 2, with features in float64; the mask counts a pixel from half its area on."""
    called = ["object" if o.object == "object" else one.sample.category for one in some]
    texts = {name: embed_prompts(clip, design, learned, [name])[0] for name in called}
    made = [slow_features(clip, one.image, o) for one in some]
    size, total = (o.size, o.size), 0.0
    masks = []
    for one in some:
        mask = np.zeros(one.image.shape[:2]) if one.mask is None else one.mask
        height, width = mask.shape
        fine = np.kron(mask, np.ones((o.size, o.size)))  # exact areas: each input pixel is a block of these
        masks.append(fine.reshape(o.size, height, o.size, width).mean(axis=(1, 3)) >= 0.5 - 1e-12)
    if "global" in t.terms:
        for (x, _), one, name in zip(made, some, called, strict=True):
            total -= math.log(two([dot(x, texts[name][c]) / tau for c in range(2)])[one.sample.label]) / len(some)
    for layer in o.layers:
        focal, dices = [], [[], []]
        for (_, patches), mask, name in zip(made, masks, called, strict=True):
            s = slow_states(patches, texts[name], o, tau, layer)
            p = [up(s[0], size), up(s[1], size)]
            for i in range(o.size):
                for j in range(o.size):
                    own, other = (p[1], p[0]) if mask[i, j] else (p[0], p[1])
                    q = (1 - 1e-5) * own[i, j] + 1e-5 * other[i, j] + 1e-5
                    focal.append(-t.alpha * max(1 - q, 0) ** t.gamma * math.log(q))
            for c, target in enumerate((1.0 - mask, 1.0 * mask)):
                square = t.dice == "squared"
                below = (p[c] ** 2 if square else p[c]).sum() + target.sum() + 1
                dices[c].append((2 * (p[c] * target).sum() + 1) / below)
        if "focal" in t.terms:
            total += t.lam * math.fsum(focal) / len(focal)
        if "dice" in t.terms:
            total += t.lam * sum(1 - math.fsum(d) / len(d) for d in dices)
    return total


LOSSES = [
    ({}, {}),
    ({"terms": ("global",)}, {}),  # table 5
    ({"terms": ("focal", "dice")}, {}),
    ({"terms": ("global", "focal")}, {}),  # table 11
    ({"terms": ("global", "dice")}, {}),
    ({"lam": 4.0}, {"layers": (4,)}),
    ({"gamma": 1.0, "alpha": 0.3}, {}),
    ({"dice": "squared"}, {"attention": "q-q,v-v", "layers": (2, 4)}),
    ({}, {"object": "name", "layers": (4,)}),
    ({}, {"temperature": 0.5, "attention": "own", "class_norm": False, "layers": (3,)}),
]


def exact_batch(clip, some, o):
    """What a step is given, with features in float64."""
    recipe = recipe_of(o)._replace(dtype="float64")
    kept = keep_features(clip, some, recipe)
    called = ["object" if o.object == "object" else one.sample.category for one in some]
    names = tuple(dict.fromkeys(called))
    masks = packed_masks(some, geometries(kept), 0.5)
    return Batch(
        rows(kept, range(len(some)), clip.vision.proj), np.array([one.sample.label for one in some]),
        masks(range(len(some))).astype(np.float64), names, np.array([names.index(x) for x in called]),
    )  # fmt: skip


@pytest.mark.parametrize(("training", "options"), LOSSES, ids=str)
def test_the_loss_against_equation_2(small, learned, training, options):
    t, o = Training(**training), settled(small, first_of(Options(**options), DEFAULTS))
    some = samples(4)[1:] if options.get("object") else samples(2)
    tau, design = o.temperature, learned.design
    batch = exact_batch(small, some, o)
    if not {"focal", "dice"} & set(t.terms):
        batch = batch._replace(masks=None)
    found = loss_of(small, learned.learned, batch, design=design, t=t, o=o, temperature=tau)
    # float64 on both sides: what is left is the order of summation, over logits of up to 14
    np.testing.assert_allclose(found, slow_loss(small, learned.learned, design, some, t=t, o=o, tau=tau), rtol=1e-10)


@pytest.mark.parametrize("tuning", ["overwrite", "concatenate"])
def test_a_whole_step_against_central_differences(small, tuning):
    """d loss / d every learned array, through the text tower, four layers of maps, and all terms of the loss."""
    design = DESIGN._replace(depth=3, tuning=tuning)
    o, t = settled(small, first_of(Options(object="name"), DEFAULTS)), Training()
    batch, start = exact_batch(small, samples(4)[1:], o), random_learned(small, design)

    def loss(learned):
        return loss_of(small, learned, batch, design=design, t=t, o=o, temperature=0.07)

    tape = Tape()
    variables = tree_map(tape.var, start)
    gradients = tape.backward(loss(variables), list(leaves(variables)))
    rng, h, arrays = np.random.default_rng(1), 1e-5, list(leaves(start))
    for i, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
        assert np.linalg.norm(g) > 1e-4  # something to be wrong about
        for _ in range(2):
            u = rng.normal(size=x.shape)
            u /= np.linalg.norm(u)

            def moved(by, x=x, u=u):
                return float(loss(tree_map(lambda y: y + by * u if y is x else y, start)))

            numeric = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
            # fourth order: h^4 times a fifth derivative that 1 / 0.07 makes large, and rounding, 1e-16 * 10 / h
            assert abs((g * u).sum() - numeric) < 1e-7 * max(1, np.linalg.norm(g)), i


def step_gradients(clip, case, tuning):
    """The loss of a step of `anomalyclip_cases`, and its gradient by [normal, abnormal, *deep]."""
    dtype = clip.vision.proj.dtype
    learned = Learned(case.normal.astype(dtype), case.abnormal.astype(dtype), tuple(x.astype(dtype) for x in case.deep))
    grid = (math.isqrt(next(iter(case.patches.values())).shape[1]),) * 2
    patches = {n: x.astype(dtype) for n, x in case.patches.items()}
    features = Encoded(case.image.astype(dtype), {"v-v": patches}, grid, ())
    batch = Batch(features, case.labels, case.masks.astype(dtype), ("object",), np.zeros(len(case.labels), int))
    o = DEFAULTS._replace(layers=tuple(case.patches), dpam_from=1, size=case.masks.shape[1])
    tape = Tape()
    variables = tree_map(tape.var, learned)
    design = Design(length=len(case.normal), depth=len(case.deep) + 1, tokens=len(case.deep[0]), tuning=tuning)
    loss = loss_of(clip, variables, batch, design=design, t=Training(lam=LAM), o=o, temperature=TAU)
    return float(loss.value), tape.backward(loss, list(leaves(variables)))


@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_whole_step_against_torch(small, golden, tuning):
    """Through open_clip's text tower, with torch's autograd: stored answers."""
    stored = golden("anomalyclip")
    value, found = step_gradients(small, step(41, width=96, embed=48), tuning)
    np.testing.assert_allclose(value, stored[f"{tuning}.loss"], rtol=1e-10)  # float64, other order of summation
    assert len(found) == 4
    for i, g in enumerate(found):
        want = stored[f"{tuning}.{i}"]
        # float64 on both sides: 1e-16 a rounding, some thousand of them, and 1 / tau
        assert np.linalg.norm(g - want) < 1e-10 * np.linalg.norm(want)


# --- learning --------------------------------------------------------------------------------------------------------


def test_the_first_step_is_adams(small):
    """All images in one batch: from the gradient, by hand. The first step of Adam is rate g / (|g| + eps)."""
    some, t = samples(4), Training(epochs=1, batch=4, seed=5, rate=1e-3)
    found = fit(small, some, t, DESIGN)
    o, design = settled(small, DEFAULTS), found.design
    kept = keep_features(small, some, recipe_of(o))  # half precision, as in `fit`
    exact = exact_batch(small, some, o)
    order = anomalyclip_fit.batch_of(0, 4, 4, 5)[1]
    batch = exact._replace(
        features=rows(kept, order, small.vision.proj), labels=exact.labels[list(order)], masks=exact.masks[list(order)]
    )
    start, tape = begin(small, design, 5), Tape()
    variables = tree_map(tape.var, start)
    loss = loss_of(small, variables, batch, design=design, t=t, o=o, temperature=0.07)
    gradients = tape.backward(loss, list(leaves(variables)))
    assert found.curve == [float(loss.value)]
    for before, after, g in zip(leaves(start), leaves(found.learned), gradients, strict=True):
        # float64; a millionth of a millionth of values about 0.02, moved by 0.001
        np.testing.assert_allclose(after, before - 1e-3 * g / (abs(g) + 1e-8), rtol=0, atol=1e-12)


def test_learning_lowers_the_loss(small):
    found = fit(small, samples(), SMALL._replace(epochs=12, rate=1e-2), DESIGN)
    assert len(found.curve) == 12
    assert found.curve[-1] < 0.9 * found.curve[0]


def test_a_seed_decides_the_prompts(small, tmp_path):
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for path, seed in zip(paths, (5, 5, 6), strict=True):
        save(path, fit(small, samples(), SMALL._replace(seed=seed), DESIGN))
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second
    assert first != other


@pytest.mark.parametrize("every", [1, 100])
def test_a_run_that_was_killed_ends_in_the_same_bytes(small, tmp_path, every):
    t = SMALL._replace(epochs=3)  # 6 images in batches of 4: 2 steps an epoch
    save(tmp_path / "whole.safetensors", fit(small, samples(), t, DESIGN))

    def kill(step, value):
        if step == 3:
            raise KeyboardInterrupt

    steps = []
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        fit(small, samples(), t, DESIGN, checkpoint=checkpoint, every=every, tell=kill)
    found = fit(
        small, samples(), t, DESIGN, checkpoint=checkpoint, every=every, tell=lambda step, _: steps.append(step)
    )
    save(tmp_path / "resumed.safetensors", found)
    assert steps == [4, 5, 6]
    assert (tmp_path / "resumed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    with pytest.raises(WeightsError, match="begun with"):
        fit(small, samples(), t._replace(lam=2.0), DESIGN, checkpoint=checkpoint)
    with pytest.raises(WeightsError, match="begun with"):
        fit(small, samples(seed=1), t, DESIGN, checkpoint=checkpoint)


def test_features_on_disk_teach_the_same(small, tmp_path):
    there = fit(small, samples(), SMALL, DESIGN, features=tmp_path)
    again = fit(small, samples(), SMALL, DESIGN, features=tmp_path)
    here = fit(small, samples(), SMALL, DESIGN)
    for a, b, c in zip(leaves(there.learned), leaves(again.learned), leaves(here.learned), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_epoch_leaves_the_prompts_as_they_begin(small):
    """Table 5 without either loss."""
    found = fit(small, samples(), SMALL._replace(epochs=0, terms=()), DESIGN)
    for a, b in zip(leaves(found.learned), leaves(begin(small, found.design, 5)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.curve == []
    with pytest.raises(ValueError, match="terms"):
        fit(small, samples(), SMALL._replace(terms=()), DESIGN)
    with pytest.raises(ValueError, match="terms"):
        fit(small, samples(), SMALL._replace(terms=("bce",)), DESIGN)


@pytest.mark.parametrize(
    ("design", "options"),
    [
        ({"shared": True}, {}),
        ({"depth": 1}, {}),
        ({"prompts": "fixed", "depth": 3}, {"object": "name"}),
        ({"prompts": "fixed", "depth": 1}, {}),  # nothing to learn: table 4, base and T1
        ({"words": "a photo of"}, {}),
        ({"tuning": "concatenate"}, {"object": "name"}),
        ({"position": "middle"}, {"attention": "q-q,k-k,v-v"}),
    ],
    ids=str,
)
def test_every_ablation_learns_and_is_read_back(small, tmp_path, design, options):
    found = fit(small, samples(), SMALL, DESIGN._replace(**design), **options)
    assert all(math.isfinite(x) for x in found.curve)
    if design != {"prompts": "fixed", "depth": 1}:
        assert found.curve[0] != found.curve[1]
    save(tmp_path / "a.safetensors", found)
    state = anomalyclip.prepare(small, "bolt", learned=tmp_path / "a.safetensors")
    for key, value in options.items():
        assert getattr(state.options, key) == value  # as learned, unasked
    name = "bolt" if options.get("object") == "name" else "object"
    want = embed_prompts(small, found.design, found.learned, [name])[0]
    np.testing.assert_array_equal(state.text, want)


def test_what_was_chosen_is_told_and_stored(small, tmp_path):
    lines = []
    found = fit(small, samples(), SMALL, DESIGN, note=lines.append)
    assert "layers (1, 2, 3, 4)" in lines[0]
    assert "depth=2" in lines[0]
    assert any("bytes in memory" in line for line in lines)
    save(tmp_path / "a.safetensors", found)
    read = load(small, tmp_path / "a.safetensors")
    assert read.design == found.design
    assert read.curve == found.curve
    assert read.about["training"]["seed"] == 5
    assert read.about["options"]["layers"] == [1, 2, 3, 4]
    assert read.about["categories"] == ["bolt", NAME]
    for a, b in zip(leaves(read.learned), leaves(found.learned), strict=True):
        np.testing.assert_array_equal(a, b)


def test_images_without_a_mask_are_left_out_and_all_normal_is_refused(small):
    some, lines = samples(), []
    some[1] = some[1]._replace(mask=None)
    found = fit(small, some, SMALL, DESIGN, note=lines.append)
    assert "1 images without a mask are left out" in lines
    assert found.about["images"] == 5
    with pytest.raises(ValueError, match="no mask of a defect"):
        fit(small, samples()[::2], SMALL, DESIGN)


def test_two_sets_make_one(small):
    """Table 3: the anomalous images of one data set, which has no normal ones, and the normal ones of another."""
    bad, good = samples(6)[1::2], samples(6, seed=1)[::2]
    found = fit(small, [*bad, *good], SMALL, DESIGN)
    assert found.about["images"] == 6
    with pytest.raises(ValueError, match="no mask of a defect"):
        fit(small, good, SMALL, DESIGN)
    # anomalous ones alone have no normal image for the global loss, but can be learned from
    assert fit(small, bad, SMALL, DESIGN).about["images"] == 3


def test_files_are_learned_from_as_pixels_are(small, tmp_path):
    loaded, found = samples(), []
    for i, one in enumerate(loaded):
        path, mask = tmp_path / f"{i}.png", None
        Image.fromarray(one.image).save(path)
        if one.mask is not None:
            mask = tmp_path / f"{i}_mask.png"
            Image.fromarray(one.mask).save(mask)
        found.append(one.sample._replace(path=path, mask=mask))
    a, b = fit(small, found, SMALL, DESIGN), fit(small, loaded, SMALL, DESIGN)
    for x, y in zip(leaves(a.learned), leaves(b.learned), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_model_in_half_precision_is_refused(small):
    half = tree_map(lambda x: x.astype(np.float16), small)
    with pytest.raises(ValueError, match="load it with dtype='float32'"):
        fit(half, samples(), SMALL, DESIGN)


@pytest.mark.parametrize(
    ("design", "message"),
    [({"depth": 99}, "blocks"), ({"length": 200}, "at most 77"), ({"length": 1, "tokens": 40}, "overwrite the end")],
)
def test_prompts_that_cannot_be_are_refused_before_an_image_is_encoded(small, monkeypatch, design, message):
    monkeypatch.setattr(anomalyclip_fit, "keep_features", lambda *_, **__: pytest.fail("encoded"))
    with pytest.raises(ValueError, match=message):
        fit(small, samples(), SMALL, DESIGN._replace(tuning="overwrite", **design))


def test_half_precision_of_features_hardly_moves_the_loss(small):
    """What keeping features in float16 costs: the loss of a batch, to four digits."""
    o, design = settled(small, DEFAULTS), DESIGN._replace(depth=2)
    exact = exact_batch(small, samples(), o)
    half = exact._replace(features=rows(keep_features(small, samples(), recipe_of(o)), range(6), small.vision.proj))
    learned = random_learned(small, design)
    a, b = (
        float(loss_of(small, learned, x, design=design, t=Training(), o=o, temperature=0.07)) for x in (exact, half)
    )
    # a logit moves by at most 2^-11 / 0.07 = 0.007, and by 0.001 as a rule; the errors of 25 patches cancel in part
    assert 0 < abs(a - b) < 1e-3 * a


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(small, tmp_path):
    found = fit(small, samples(), SMALL._replace(epochs=1), DESIGN)
    save(tmp_path / "a.safetensors", found)
    return tmp_path / "a.safetensors"


def rewritten(path, change_tensors=lambda t: t, change_about=lambda a: a):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["refclip"])
    save_file(change_tensors(load_file(path)), path, metadata={"refclip": json.dumps(change_about(about))})


BAD = {
    "another method": (lambda p: rewritten(p, change_about=lambda a: a | {"method": "vand"}), "learned by 'vand'"),
    "another model": (lambda p: rewritten(p, change_about=lambda a: a | {"model": "x"}), "behind other weights"),
    "no design": (lambda p: rewritten(p, change_about=lambda a: {k: a[k] for k in a if k != "design"}), "no sense"),
    "an option that is not known": (
        lambda p: rewritten(p, change_about=lambda a: a | {"options": a["options"] | {"speed": 3}}),
        "no sense .an option 'speed', expected some of",
    ),
    "an option of another type": (
        lambda p: rewritten(p, change_about=lambda a: a | {"options": a["options"] | {"layers": "abc"}}),
        "no sense .option layers is 'abc'",
    ),
    "an option that is true for 1": (
        lambda p: rewritten(p, change_about=lambda a: a | {"options": a["options"] | {"sigma": True}}),
        "no sense .option sigma is True",
    ),
    "a layer that is not there": (
        lambda p: rewritten(p, change_about=lambda a: a | {"options": a["options"] | {"layers": [99]}}),
        "no sense .layers",
    ),
    "a design of another time": (
        lambda p: rewritten(p, change_about=lambda a: a | {"design": a["design"] | {"size": 3}}),
        "no sense",
    ),
    "a depth that is not there": (
        lambda p: rewritten(p, change_about=lambda a: a | {"design": a["design"] | {"depth": 9}}),
        "no sense",
    ),
    "a missing tensor": (lambda p: rewritten(p, lambda t: {k: t[k] for k in t if k != "normal"}), "no such tensor"),
    "another shape": (lambda p: rewritten(p, lambda t: t | {"normal": t["normal"][:2]}), r"shape \(2, 96\)"),
    "one too many": (lambda p: rewritten(p, lambda t: t | {"more": np.zeros(2)}), "'more' has no place"),
    "not finite": (lambda p: rewritten(p, lambda t: t | {"normal": t["normal"] * np.nan}), "NaN"),
    "cut off": (lambda p: p.write_bytes(p.read_bytes()[:-10]), "unfinished"),
    "not ours": (lambda p: save_file({"x": np.zeros(2)}, p), "no 'refclip'"),
    "not there": (lambda p: p.unlink(), "cannot be read"),
}


@pytest.mark.parametrize(("damage", "message"), BAD.values(), ids=BAD)
def test_files_that_cannot_be_used(small, stored, damage, message):
    load(small, stored)
    damage(stored)
    with pytest.raises(WeightsError, match=message) as caught:
        anomalyclip.prepare(small, learned=stored)
    assert str(stored) in str(caught.value)


def test_a_pth_file_is_pointed_to_the_converter(small, tmp_path):
    with pytest.raises(WeightsError, match="convert it first"):
        anomalyclip.prepare(small, learned=tmp_path / "epoch_15.pth")


def test_single_precision_reads_what_double_wrote(small, small_folder, stored):
    state = anomalyclip.prepare(refclip.load(small_folder), learned=stored)
    assert state.text.dtype == np.float32
    # float32 towers of three blocks on unit vectors
    np.testing.assert_allclose(state.text, anomalyclip.prepare(small, learned=stored).text, rtol=0, atol=1e-5)


# --- official checkpoints --------------------------------------------------------------------------------------------


def official(design_tokens=(12, 2, 4), width=96, seed=0):
    """Arrays under the names of the program's checkpoints, at the sizes of the small model."""
    (length, blocks, tokens), rng = design_tokens, np.random.default_rng(seed)
    arrays = {f"ctx_{side}": rng.normal(size=(1, 1, length, width)).astype(np.float32) for side in ("pos", "neg")}
    for i in range(blocks):
        arrays[f"compound_prompts_text.{i}"] = rng.normal(size=(tokens, width)).astype(np.float32)
        arrays[f"compound_prompt_projections.{i}.weight"] = np.zeros((128, width), np.float32)
    for side, text in (("pos", "object."), ("neg", "damaged object.")):
        ids = refclip.tokenize(" ".join(["X"] * length) + f" {text}").astype(np.int32)
        arrays[f"tokenized_prompts_{side}"] = ids[None]
        arrays[f"token_prefix_{side}"] = np.zeros((1, 1, 1, width), np.float32)
    return arrays


def test_official_prompts_are_converted(small, tmp_path):
    arrays = official()
    found = convert(small, torchfiles.write(tmp_path / "epoch_15.pth", arrays, "prompt_learner"))
    assert found.design == Design(depth=3, tokens=4)
    want = Learned(
        arrays["ctx_pos"][0, 0].astype(np.float64), arrays["ctx_neg"][0, 0].astype(np.float64),
        tuple(arrays[f"compound_prompts_text.{i}"].astype(np.float64) for i in range(2)),
    )  # fmt: skip
    for a, b in zip(leaves(found.learned), leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)
    save(tmp_path / "a.safetensors", found)
    state = anomalyclip.prepare(small, learned=tmp_path / "a.safetensors")
    assert (state.options.layers, state.options.class_norm, state.options.object) == ((4,), False, "object")
    np.testing.assert_array_equal(state.text, embed_prompts(small, found.design, want, ["object"])[0])


def changed(**changes):
    return {key: x for key, x in (official() | changes).items() if x is not None}


CHECKPOINTS = {
    "no vectors": (changed(ctx_pos=None), r"no prompt_learner\.ctx_pos"),
    "another width": (official(width=64), "of shape .*for ViT-L-14-336"),
    "many classes": (changed(ctx_neg=np.zeros((2, 1, 12, 96), np.float32)), "of shape"),
    "no floats": (changed(ctx_neg=np.zeros((1, 1, 12, 96), np.int64)), "int64"),
    "unlike lengths": (changed(ctx_neg=np.zeros((1, 1, 5, 96), np.float32)), "12 and 5 vectors"),
    "a gap": (changed(**{"compound_prompts_text.0": None}), "expected 0, 1, 2"),
    "unlike tokens": (changed(**{"compound_prompts_text.0": np.zeros((3, 96), np.float32)}), "tokens"),
    "too deep": (official((12, 3, 4)), "fewer than the 3 blocks"),
    "other words": (changed(tokenized_prompts_neg=official()["tokenized_prompts_pos"]), "other words around"),
    "words without an end": (changed(tokenized_prompts_pos=np.zeros((1, 1, 3), np.int32)), "other words around"),
}


@pytest.mark.parametrize(("arrays", "message"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints_that_do_not_fit(small, tmp_path, arrays, message):
    with pytest.raises(WeightsError, match=message):
        convert(small, torchfiles.write(tmp_path / "epoch_15.pth", arrays, "prompt_learner"))


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_on_the_device(small):
    device, images = upload(small), [one.image for one in samples(2)]
    there, here = (fit(clip, samples(), SMALL, DESIGN, attention="own,v-v") for clip in (device, small))
    # float64; the double's sums go in another order, and Adam's division enlarges what differs in small gradients
    assert_same(list(leaves(there.learned)), list(leaves(here.learned)), rtol=1e-9, atol=1e-12)
    assert type(there.learned.normal) is type(devicexp.asarray(np.zeros(1)))
    state, other = (anomalyclip.prepare(c, learned=f) for c, f in ((device, there), (small, here)))
    a = anomalyclip.score(state, anomalyclip.extract(state, images))
    b = anomalyclip.score(other, anomalyclip.extract(other, images))
    np.testing.assert_allclose(a.map, b.map, rtol=0, atol=1e-9)  # after four steps, each of which rounds
    np.testing.assert_allclose(a.score, b.score, rtol=0, atol=1e-9)


@pytest.mark.parametrize("module", [anomalyclip, coop])
def test_differences_name_options_that_exist(module):
    kinds = {"Training": coop_fit.Training if module is coop else Training, "Design": Design}
    for row in module.DIFFERENCES:
        for kind, name in re.findall(r"(Training|Design)\.(\w+)", row.option):
            assert name in kinds[kind]._fields, row
