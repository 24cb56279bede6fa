"""CLIP-ADA against its equations, written out; its gradients against differences; runs that are killed.

The slow version takes from the library what open_clip's answers hold elsewhere: towers, tokenizer, `preprocess`. All
else it does with plain loops in float64, and by other ways: the towers whole and not cut at a layer, the prompt by
putting vectors in the place of words.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import refclip
from refclip import saved
from refclip.autograd import Tape
from refclip.checkpoint import WeightsError
from refclip.methods import clip_ada, clip_ada_fit
from refclip.methods.clip_ada_fit import Training, chosen, drawn, label
from refclip.methods.clip_ada_learned import Fitted, begin, load, save
from refclip.methods.clip_ada_options import DEFAULTS, Options, settled
from refclip.methods.clip_ada_refine import attended, logits, loss_of, prompt_ids
from refclip.methods.options import first_of
from refclip.preprocess import Preprocess, preprocess
from refclip.samples import Loaded, Sample
from refclip.text import end_of_text, text_tower
from refclip.tokenizer import tokenize
from refclip.tree import value_and_gradient
from tests import randomclip
from tests.devicearray import DeviceArray, upload
from tests.test_vand import dot, named, slow_upsample, unit

EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
STEP = 1e-6  # of central differences: off by its square, and rounding gives 1e-16 / 1e-6
SLOPE = 1e-7  # hence, relative to lengths of gradient and direction
OPTIONS = [
    {},
    {"refinements": 0},
    {"refinements": 2},
    {"template": "{} that is broken", "context": 2},
    {"words": "object"},
    {"layer": 4},
    {"layer": -1},
    {"layer": 1, "ln_post": True},
    {"normalize": True},
    {"normalize": True, "scale": "learned"},
    {"normalize": True, "scale": "learned", "scale_start": 20.0},
    {"normalize": True, "scale": "fixed", "scale_start": 7.0},
    {"attend": "map"},
    {"attended": "raw"},
    {"attend": "map", "attended": "raw"},
    {"strength": "relative"},
    {"strength": "relative", "attend": "map", "attended": "raw", "refinements": 2},
    {"size": 56},
    {"sigma": 0.0},
    {"sigma": 0.08, "top": 0.25},
    {"top": 1e-9},
]


def pictures():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 52 * 40 * 3).reshape(52, 40, 3).astype(np.uint8)
    return [rng.integers(0, 256, (45, 60, 3), dtype=np.uint8), ramp]


def chosen_options(clip, **options):
    return settled(clip, first_of(Options(**options), DEFAULTS))


def parameters(clip, o, tune="none"):
    """Nobody learned them; large enough that no answer is near one half."""
    start = begin(clip, o, seed=3, tune=tune)
    scale = None if start.scale is None else start.scale * 0.37
    prompt = None if start.prompt is None else start.prompt * 30
    return start._replace(prompt=prompt, scale=scale)


def fitted(clip, **options):
    o = chosen_options(clip, **options)
    about = saved.about_model(clip, "clip-ada") | {"options": o, "training": Training()}
    return Fitted(parameters(clip, o), saved.plain(about), [])


# --- the slow version ------------------------------------------------------------------------------------------------


def slow_text(clip, o, prompt):
    """Equations 1 and 2: as many words as there are vectors in the place of [CLS], and then the vectors for them."""
    if prompt is None:
        return refclip.encode_text(clip, o.template.replace("{}", o.words))
    ids = tokenize(o.template.replace("{}", " ".join("x" * len(prompt))))  # [1, 77]; "x" is one token
    places = np.flatnonzero(ids[0] == tokenize("x")[0, 1])
    assert len(places) == len(prompt)
    w = clip.text.token_embedding[ids].copy()  # [1, 77, width]
    w[0, places] = prompt
    return text_tower(clip.text, w + clip.text.positional_embedding, end_of_text(ids))[0]


def slow_map(clip, pixels, o, *, projection, t, scale):
    """Equation 3, or 5, of one image [3, H, W], patch by patch."""
    out = refclip.encode_tokens(clip, pixels[None], layers=[o.layer]).taps[o.layer]
    if o.ln_post:
        x = out - out.mean(axis=-1, keepdims=True)
        out = (
            x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * clip.vision.ln_post.gain
            + clip.vision.ln_post.bias
        )
    factor, found = o.scale_start if o.scale == "fixed" else 1 if scale is None else float(scale[0]), []
    for x in out[0, 1:]:
        v = [dot(row, x) + c for row, c in zip(projection.weight, projection.bias, strict=True)]
        z = dot(unit(v), unit(list(t))) if o.normalize else dot(v, t)
        found.append(1 / (1 + math.exp(-z * factor)))
    side = math.isqrt(len(found))
    return np.array(found).reshape(side, side)


def slow_attended(pixels, s, o, config):
    """Equation 5's product, of one image."""
    mean, std = (np.array(x)[:, None, None] for x in (config.mean, config.std))
    x = pixels * std + mean if o.attended == "raw" else pixels  # [3, H, W]
    size = pixels.shape[1:]
    if o.strength == "relative":
        s = s / (max(s.ravel()) + 1e-7)
    if o.attend == "image":
        y = x * slow_upsample(s, size, aligned=False)
    else:  # shrunk with the tent that covers what it steps over, multiplied, enlarged
        down = [slow_shrink(channel, s.shape) * s for channel in x]
        y = np.stack([slow_upsample(channel, size, aligned=False) for channel in down])
    return (y - mean) / std if o.attended == "raw" else y


def slow_shrink(x, size):
    """Antialiased bilinear: each new pixel the mean of the old ones under a tent two new pixels wide."""

    def weights(old, new):
        step, rows = old / new, []
        for i in range(new):
            tent = [max(0.0, 1 - abs((j + 0.5) - (i + 0.5) * step) / step) for j in range(old)]
            rows.append([w / sum(tent) for w in tent])
        return np.array(rows)

    return weights(x.shape[0], size[0]) @ x @ weights(x.shape[1], size[1]).T


def slow_smoothed(map, sigma):
    """A Gaussian, cut at 4 sigma, the map mirrored at its edges; rows, then columns."""
    if not sigma:
        return map
    radius = int(4 * sigma + 0.5)
    kernel = np.array([math.exp(-(i**2) / (2 * sigma**2)) for i in range(-radius, radius + 1)])
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(map, ((0, 0), (radius, radius)), mode="symmetric")
        map = np.array([[dot(row[j : j + 2 * radius + 1], kernel) for j in range(map.shape[1])] for row in padded]).T
    return map


def slow_clip_ada(clip, images, o, learned):
    config = Preprocess((o.size, o.size), "squash", mean=clip.preprocess.mean, std=clip.preprocess.std)
    pixels = preprocess(images, config)[0].astype(np.float64)
    t = slow_text(clip, o, learned.prompt)[0]
    scores, maps = [], []
    for x in pixels:
        s = slow_map(clip, x, o, projection=learned.projections[0], t=t, scale=learned.scale)
        for k in range(1, o.refinements + 1):
            s = slow_map(
                clip, slow_attended(x, s, o, config), o, projection=learned.projections[k], t=t, scale=learned.scale
            )
        map = slow_smoothed(slow_upsample(s, (o.size, o.size), aligned=False), o.sigma * o.size)
        highest = sorted(map.ravel(), reverse=True)[: max(1, round(o.top * map.size))]
        scores.append(math.fsum(highest) / len(highest))
        maps.append(map)
    return np.array(scores), np.array(maps)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_equations(small, options):
    one, images = fitted(small, **options), pictures()
    state = clip_ada.prepare(small, learned=one)
    out = clip_ada.score(state, clip_ada.extract(state, images))
    score, map = slow_clip_ada(small, images, chosen_options(small, **options), one.learned)
    assert map.max() - map.min() > 0.01  # something to compare
    np.testing.assert_allclose(out.map, map, **EXACT)
    np.testing.assert_allclose(out.score, score, **EXACT)


def test_fewer_refinements_from_the_same_features(small):
    """Table 4's rows need learning anew; what a refinement changes is seen without."""
    one, images = fitted(small, refinements=2), pictures()
    state = clip_ada.prepare(small, learned=one)
    features, maps = clip_ada.extract(state, images), []
    for k in range(3):
        again = clip_ada.prepare(small, learned=one, refinements=k)
        maps.append(clip_ada.score(again, features).map)
        np.testing.assert_array_equal(maps[-1], clip_ada.score(again, clip_ada.extract(again, images)).map)
    assert np.abs(maps[0] - maps[1]).max() > 1e-3 < np.abs(maps[1] - maps[2]).max()
    with pytest.raises(ValueError, match="2 were learned"):
        clip_ada.prepare(small, learned=one, refinements=3)
    first = clip_ada.extract(clip_ada.prepare(small, learned=one, refinements=0), images)
    with pytest.raises(ValueError, match="refined 0 times"):
        clip_ada.score(state, first)


def test_the_default_template_is_the_papers(small):
    before, after = prompt_ids(chosen_options(small))
    whole = tokenize("a photo of a with defects for anomaly detection")[0]
    assert [*before, *after] == whole[: len(before) + len(after)].tolist()
    assert len(before) == 5  # start, a, photo, of, a


# --- the loss and its gradient ---------------------------------------------------------------------------------------


def slow_loss(clip, o, learned, pixels, mask, *, lam):
    """Equations 4 and 6."""
    config, t = clip.preprocess, slow_text(clip, o, learned.prompt)[0]
    losses = [[] for _ in range(o.refinements + 1)]
    for x, label_ in zip(pixels, mask, strict=True):
        s, y = None, x
        for k in range(o.refinements + 1):
            y = x if s is None else slow_attended(x, s, o, config)
            s = slow_map(clip, y, o, projection=learned.projections[k], t=t, scale=learned.scale)
            losses[k] += (-label_ * np.log(s) - (1 - label_) * np.log(1 - s)).ravel().tolist()
    first, *rest = (math.fsum(some) / len(some) for some in losses)
    return first + lam * sum(rest)


def a_batch(rng):
    """Pixels of two images, and labels that are not only 0 and 1."""
    mask = np.clip(rng.normal(size=(2, 5, 5)), 0, 1)
    return np.asarray(randomclip.pixels((2, 3, 40, 40), seed=5), np.float64), mask


def numeric(loss, tree, directions):
    """Central difference of loss(tree) in a direction: a nest of paths -> arrays."""
    arrays = dict(saved.named(tree))
    kept, found = {name: arrays[name].copy() for name in directions}, []
    for sign in (1, -1):
        moved = {name: kept[name] + sign * STEP * u for name, u in directions.items()}
        found.append(float(loss(saved.filled(tree, arrays | moved, "here"))))
    return (found[0] - found[1]) / (2 * STEP)


@pytest.mark.parametrize(
    "options",
    [
        {"refinements": 2, "scale": "learned"},
        {"attend": "map", "attended": "raw", "ln_post": True},
        {"normalize": True, "scale": "learned", "layer": 4},
        {"normalize": True, "scale": "fixed", "scale_start": 7.0, "strength": "relative", "refinements": 2},
        {"words": "object"},
    ],
    ids=named,
)
def test_the_loss_and_its_gradient(small, options):
    """Of all K + 1 passes, through the image tower: against the equations, and against central differences."""
    rng, o = np.random.default_rng(8), chosen_options(small, **options)
    learned, (pixels, mask) = parameters(small, o), a_batch(rng)

    def loss(p):
        return loss_of(small, p, o, pixels, mask, lam=0.7)

    value, gradient = value_and_gradient(loss, learned)
    np.testing.assert_allclose(value, slow_loss(small, o, learned, pixels, mask, lam=0.7), rtol=1e-11)  # float64
    names = [name for name, _ in saved.named(learned)]
    assert len(names) == 2 * (1 + o.refinements) + (o.scale == "learned") + (not o.words)
    for name, g in saved.named(gradient):
        u = rng.normal(size=g.shape)
        slope = numeric(loss, learned, {name: u})
        assert abs((g * u).sum() - slope) < SLOPE * (1 + np.linalg.norm(g) * np.linalg.norm(u)), name
    again, same = value_and_gradient(lambda p: loss_of(small, p, o, pixels, mask, lam=0.7, recomputed=True), learned)
    np.testing.assert_array_equal(again, value)  # the same operations, twice
    for (_, a), (name, b) in zip(saved.named(same), saved.named(gradient), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14, err_msg=name)  # float64


@pytest.mark.parametrize("strength", ["absolute", "relative"])
def test_the_gradient_reaches_the_first_map_through_the_tower(small, strength):
    """dL_1 / dS_0 against differences; cut, Proj_0 learns from L_0 alone."""
    rng, o = np.random.default_rng(9), chosen_options(small, strength=strength)
    learned, (pixels, mask) = parameters(small, o), a_batch(rng)
    s = rng.uniform(size=(2, 5, 5))

    def second(s):
        x = attended(pixels, s, o, small.preprocess)
        return loss_of(small, learned._replace(projections=learned.projections[1:]), o._replace(refinements=0), x, mask)

    tape = Tape()
    v = tape.var(s)
    (g,) = tape.backward(second(v), [v])
    u = rng.normal(size=s.shape)
    slope = (float(second(s + STEP * u)) - float(second(s - STEP * u))) / (2 * STEP)
    assert abs((g * u).sum() - slope) < SLOPE * (1 + np.linalg.norm(g) * np.linalg.norm(u))
    assert np.linalg.norm(g) > 1e-3

    def slope_of(o):
        return value_and_gradient(lambda p: loss_of(small, p, o, pixels, mask), learned)[1].projections[0].weight

    whole, cut, alone = slope_of(o), slope_of(o._replace(end_to_end=False)), slope_of(o._replace(refinements=0))
    np.testing.assert_allclose(cut, alone, rtol=1e-10, atol=1e-14)  # float64
    assert np.linalg.norm(whole - cut) > 1e-3 * np.linalg.norm(cut)


def test_relative_strength_keeps_the_most_suspicious_place(small):
    """However small all of S is; and where it is 0 throughout, nothing is divided by 0."""
    pixels, s = a_batch(np.random.default_rng(2))[0], np.full((2, 5, 5), 0.001)
    s[:, 2, 3] = 0.01
    at = np.s_[:, :, 20, 28]  # the middle of that patch, of 8 x 8 pixels
    kept = {
        x: attended(pixels, s, chosen_options(small, strength=x), small.preprocess) for x in ("absolute", "relative")
    }
    share = {x: float((y[at] / pixels[at]).mean()) for x, y in kept.items()}
    assert share["absolute"] < 0.01
    assert (
        0.85 < share["relative"] < 0.9
    )  # 1 at the centre, between pixels; half a pixel, 1/16 of a step, off both ways
    for dtype in ("float16", "float32"):
        zero = np.zeros((2, 5, 5), dtype)
        x = attended(pixels.astype(dtype), zero, chosen_options(small, strength="relative"), small.preprocess)
        assert not x.any()


def test_the_scale_starts_where_it_is_told(small, tmp_path):
    """Learned, it moves from there; fixed, it is not among what is learned; a file from before had 1."""
    for kind, start in (("learned", 20.0), ("learned", None), ("fixed", 20.0), ("one", None)):
        o = chosen_options(small, normalize=True, scale=kind, scale_start=start)
        learned = begin(small, o, 0)
        assert (learned.scale is not None) == (kind == "learned")
        if kind == "learned":
            assert learned.scale.tolist() == [start or 1.0]
    one = clip_ada_fit.fit(small, samples(), QUICK, normalize=True, scale="learned", scale_start=20.0)
    assert 0 < abs(float(one.learned.scale[0]) - 20) < 1
    fixed = clip_ada_fit.fit(small, samples(), QUICK, normalize=True, scale="fixed", scale_start=20.0)
    assert fixed.learned.scale is None
    old = fitted(small)
    options = {k: v for k, v in old.about["options"].items() if k not in ("scale_start", "strength")}
    save(tmp_path / "old", old._replace(about=old.about | {"options": options}))
    state = clip_ada.prepare(small, learned=tmp_path / "old")
    assert (state.options.scale, state.options.scale_start, state.options.strength) == ("one", 1.0, "absolute")


def test_frozen_towers_cost_no_record_for_the_first_map(small):
    o, pixels = chosen_options(small), a_batch(np.random.default_rng(1))[0]
    counts = []
    for k in (0, 1):
        tape = Tape()
        prompt = tape.var(parameters(small, o).prompt)
        logits(small, parameters(small, o)._replace(prompt=prompt), o._replace(refinements=k), pixels)
        counts.append([sum(r.name == name for r in tape) for name in ("patchify", "attend")])
    assert counts == [[0, 3], [1, 5]]  # 3 blocks of text; 2 of the refined image


@pytest.mark.parametrize("tune", ["image", "text", "both"])
def test_tuned_towers(small, tune):
    """Table 5: begin as they are, and have gradients."""
    rng, o = np.random.default_rng(10), chosen_options(small, ln_post=True, size=56)
    learned, frozen = parameters(small, o, tune), parameters(small, o)
    pixels, mask = np.asarray(randomclip.pixels((1, 3, 56, 56), seed=5), np.float64), rng.uniform(size=(1, 7, 7))

    def loss(p):
        return loss_of(small, p, o, pixels, mask)

    np.testing.assert_allclose(float(loss(learned)), float(loss(frozen)), rtol=1e-12)
    _, gradient = value_and_gradient(loss, learned)
    towers = [(name, g) for name, g in saved.named(gradient) if name.split(".")[0] in ("vision", "text")]
    assert {name.split(".")[0] for name, _ in towers} == (
        {"vision", "text"} if tune == "both" else {f"{tune}".replace("image", "vision")}
    )
    assert not any("class_embedding" in name or "token_embedding" in name for name, _ in towers)
    assert all(np.linalg.norm(g) > 0 for name, g in towers if not name.endswith("in_proj.bias"))
    directions = {name: rng.normal(size=g.shape) for name, g in towers}
    slope = numeric(loss, learned, directions)
    length = math.sqrt(sum(np.linalg.norm(g) ** 2 for _, g in towers) * sum((u**2).sum() for u in directions.values()))
    assert abs(sum((g * directions[name]).sum() for name, g in towers) - slope) < SLOPE * (1 + length)


@pytest.mark.parametrize(("refinements", "millions"), [(0, 0.4), (1, 0.8), (2, 1.2)])
def test_as_many_parameters_as_table_6_prints(small, refinements, millions):
    """With ViT-B/16's widths: 768 to 512, and 4 vectors of 512."""
    v = small.vision._replace(proj=np.zeros((768, 512)))
    t = small.text._replace(token_embedding=np.zeros((1, 512)))
    o = chosen_options(small, refinements=refinements)
    count = sum(x.size for _, x in saved.named(begin(small._replace(vision=v, text=t), o, 0)))
    assert round(count / 1e6, 1) == millions


# --- learning --------------------------------------------------------------------------------------------------------


def samples(count=5):
    rng = np.random.default_rng(4)
    return [
        Loaded(
            Sample(Path(f"{i}.png"), int(i == 4), None, "nut" if i < 3 else "wood", "good", "train"),
            rng.integers(0, 256, (44, 52, 3), dtype=np.uint8),
            np.zeros((44, 52), bool),
        )
        for i in range(count)
    ]


QUICK = Training(epochs=2, batch=3, rate=1e-3, probability=1.0)


def test_learning_lowers_the_loss_and_is_a_function_of_its_seed(small, tmp_path):
    told, counted = [], []
    fits = [
        clip_ada_fit.fit(small, samples(), t, note=told.append, encoded=counted.append)
        for t in (QUICK, QUICK, QUICK._replace(seed=1))
    ]
    assert told[:2] == ["1 images that are not normal are left out", "4 pictures of 40 x 40: 19,200 bytes in memory"]
    assert counted[:4] == [1, 2, 3, 4]
    for i, one in enumerate(fits):
        save(tmp_path / f"{i}", one)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()
    assert fits[0].about["categories"] == ["nut", "wood"]
    longer = clip_ada_fit.fit(small, samples(), QUICK._replace(epochs=20, drops=(1.0, 1.0), rate=1e-2))
    o, losses = chosen_options(small), []
    pixels, mask = drawn(small, [one.image[:40, :40] for one in samples()], range(5), 99, QUICK)  # not drawn before
    for learned in (begin(small, o, QUICK.seed), longer.learned):
        losses.append(float(loss_of(small, learned, o, pixels, mask)))
    assert losses[1] < 0.9 * losses[0]


@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_run_that_was_stopped_ends_in_the_same_bytes(small, tmp_path, last):
    save(tmp_path / "whole", clip_ada_fit.fit(small, samples(), QUICK))

    def stop(step, value):
        if step == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clip_ada_fit.fit(small, samples(), QUICK, checkpoint=tmp_path / "half", tell=stop)
    save(tmp_path / "rest", clip_ada_fit.fit(small, samples(), QUICK, checkpoint=tmp_path / "half"))
    assert (tmp_path / "rest").read_bytes() == (tmp_path / "whole").read_bytes()
    with pytest.raises(WeightsError, match="options"):
        clip_ada_fit.fit(small, samples(), QUICK, checkpoint=tmp_path / "half", refinements=2)


def test_the_rate_drops(small, monkeypatch):
    """At half and at seven eighths of the epochs, by 0.2: section 5.1.3."""
    rates = []

    def adamw(parameters, gradient, state, *, rate, decay):
        rates.append(rate)
        assert decay == 0.01
        return parameters, state

    monkeypatch.setattr(clip_ada_fit, "adamw", adamw)
    clip_ada_fit.fit(small, samples(), Training(epochs=8, batch=4), refinements=0)
    np.testing.assert_allclose(rates, [1e-4] * 4 + [2e-5] * 3 + [4e-6], rtol=1e-12)


def test_draws_depend_on_the_epoch_and_on_nothing_else(small):
    some = [one.image[:40, :40] for one in samples()]
    t = Training(probability=0.5)
    pixels, mask = drawn(small, some, [0, 1, 2, 3], 7, t)
    assert pixels.shape == (4, 3, 40, 40)
    assert mask.shape == (4, 5, 5)
    again, of_one = drawn(small, some, [0, 1, 2, 3], 7, t), drawn(small, some, [2], 7, t)
    np.testing.assert_array_equal(again[0], pixels)
    np.testing.assert_array_equal(of_one[0][0], pixels[2])  # whatever else is in the batch
    assert not np.array_equal(drawn(small, some, [0, 1, 2, 3], 8, t)[0], pixels)
    plain = drawn(small, some, [0, 1, 2, 3], 0, Training(probability=0.0, turned=0.0))
    np.testing.assert_array_equal(plain[0], preprocess(some[:4], Preprocess((40, 40), "squash"))[0])
    assert not plain[1].any()
    changed = drawn(small, some, [0, 1, 2, 3] * 4, 0, Training(probability=1.0, turned=0.0))
    differs = np.abs(changed[0] - np.tile(plain[0], (4, 1, 1, 1))).max(axis=1)  # [16, 40, 40]
    touched = differs.reshape(16, 5, 8, 5, 8).max(axis=(2, 4)) > 0
    assert touched.any()
    assert not (touched & (changed[1] == 0)).any()  # nothing is changed outside of what is labelled


def test_labels_of_patches():
    mask = np.zeros((8, 16), bool)
    mask[:2, :4] = True
    np.testing.assert_array_equal(label(mask, 4, "share"), [[0.5, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(label(mask, 4, "any"), [[1, 0, 0, 0], [0, 0, 0, 0]])


def test_fractions_of_the_training_images():
    """Figure 6: of each category, the same for the same seed, a smaller one within a larger."""
    some = [Loaded(Sample(Path(f"{i}"), 0, None, "ab"[i % 3 > 0], "good", "train"), None, None) for i in range(30)]
    half, fifth, other = (chosen(some, f, s, print) for f, s in ((0.5, 0), (0.2, 0), (0.5, 1)))
    count = [sum(one.sample.category == c for one in half) for c in "ab"]
    assert count == [5, 10]
    assert len(fifth) == 6
    assert {one.sample.path for one in fifth} <= {one.sample.path for one in half}
    assert half == chosen(some, 0.5, 0, print) != other
    assert len(chosen(some, 0.001, 0, print)) == 2
    assert chosen(some, 1.0, 0, print) == some
    with pytest.raises(ValueError, match="none of them normal"):
        chosen([one._replace(sample=one.sample._replace(label=1)) for one in some], 1.0, 0, print)


def test_a_file_brings_its_choices_and_knows_its_model(small, tmp_path):
    path = tmp_path / "a.safetensors"
    for tune in ("none", "both"):
        t = QUICK._replace(epochs=1, tune=tune, batch=2)
        one = clip_ada_fit.fit(small, samples(), t, layer=1, scale="learned", size=56)
        save(path, one)
        read = load(small, path)
        assert (read.about, read.curve) == (one.about, one.curve)
        for (name, a), (_, b) in zip(saved.named(read.learned), saved.named(one.learned), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
        state = clip_ada.prepare(small, learned=str(path), top=0.5)
        assert (state.options.layer, state.options.size, state.options.top) == (1, 56, 0.5)
        given = clip_ada.prepare(small, learned=one)
        images = pictures()
        maps = [clip_ada.score(s, clip_ada.extract(s, images)).map for s in (state, given)]
        np.testing.assert_array_equal(*maps)
    assert clip_ada.prepare(small, learned=str(path), layer=-len(small.vision.transformer.blocks)).options.layer == 1
    with pytest.raises(ValueError, match="layer=2: this was learned with 1"):
        clip_ada.prepare(small, learned=str(path), layer=2)
    other = refclip.load(randomclip.write(tmp_path / "other", "small", seed=2))
    with pytest.raises(WeightsError, match="learned behind other weights"):
        clip_ada.prepare(other, learned=path)
    with pytest.raises(ValueError, match="refclip train clip-ada"):
        clip_ada.prepare(small)


@pytest.mark.parametrize(
    "options",
    [
        {"template": "no place"},
        {"context": 0},
        {"scale": "two"},
        {"attend": "never"},
        {"strength": "full"},
        {"scale_start": 0.0},
        {"scale_start": float("nan")},
        {"refinements": -1},
        {"size": 41},
        {"layer": 9},
        {"layer": 0},
        {"layer": -9},
        {"sigma": -1.0},
        {"top": 0.0},
        {"top": 1.5},
    ],
    ids=named,
)
def test_what_cannot_be_is_refused(small, options):
    (key,) = options
    with pytest.raises(ValueError, match=key):
        clip_ada_fit.fit(small, samples(), QUICK, **options)


@pytest.mark.parametrize(
    "wrong", [{"tune": "all"}, {"mask": "none"}, {"probability": 2.0}, {"turned": -0.1}, {"fraction": 0.0}], ids=named
)
def test_training_that_cannot_be_is_refused(small, wrong):
    (key,) = wrong
    with pytest.raises(ValueError, match="leave it out"):
        clip_ada_fit.fit(small, samples(), QUICK, features="folder")
    with pytest.raises(ValueError, match=key):
        clip_ada_fit.fit(small, samples(), Training(**wrong))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"options": None}, "make no sense"),
        ({"options": {"template": 3}}, "make no sense"),
        ({"options": {}}, "make no sense"),
        ({"training": {}}, "make no sense"),
        ({"curve": "rising"}, "make no sense"),
    ],
    ids=str,
)
def test_a_file_whose_metadata_lie_is_refused(small, tmp_path, wrong, match):
    one = fitted(small)
    saved.save(tmp_path / "a", one.learned, one.about | wrong)
    with pytest.raises(WeightsError, match=match):
        load(small, tmp_path / "a")


def test_on_the_device(small):
    """Learning, tuned towers too, and scoring: the same numbers as on the host."""
    answers = []
    for clip in (small, upload(small)):
        t = QUICK._replace(tune="both", epochs=1)
        one = clip_ada_fit.fit(clip, samples(), t, scale="learned", attended="raw")
        state = clip_ada.prepare(clip, learned=one)
        answers.append((one, clip_ada.score(state, clip_ada.extract(state, pictures()))))
    (host, a), (device, b) = answers
    for (name, x), (_, y) in zip(saved.named(host.learned), saved.named(device.learned), strict=True):
        assert isinstance(y, DeviceArray)
        # a first step of Adam is the rate times the gradient's sign, whose rounding is 1 where a gradient is nearly 0
        np.testing.assert_allclose(y.get(), x, rtol=0, atol=2.1 * t.rate, err_msg=name)
    np.testing.assert_allclose(device.curve[:1], host.curve[:1], rtol=1e-3)  # the second step has moved by the above
    np.testing.assert_allclose(b.map, a.map, rtol=0, atol=0.05)
