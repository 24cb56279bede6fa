"""Prototypes and ascore_0 against WinCLIP's equation 1, one prompt and one vector at a time, in Python's floats."""

from __future__ import annotations

import math

import numpy as np
import pytest

import refclip
from refclip.prompts import CLIP_AC_STATES, IMAGENET_TEMPLATES, WINCLIP_STATES, WINCLIP_TEMPLATES_A, Prompts, compose
from refclip.zeroshot import one_class, p_abnormal, prototypes, temperature_of

EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
STATES_ALONE = Prompts(("a bolt", "a flawless bolt"), ("a damaged bolt", "a bolt with flaw", "a bolt with a dent"))


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def unit(x):
    length = math.sqrt(dot(x, x))
    return [a / length for a in x]


def slow_prototypes(clip, prompts, normalize_prompts):
    """One text at a time: its embedding, the running sum, the division, the length."""
    out = []
    for texts in (prompts.normal, prompts.abnormal):
        total = [0.0] * clip.text.text_projection.shape[1]
        for text in texts:
            embedding = refclip.encode_text(clip, text)[0].tolist()
            if normalize_prompts:
                embedding = unit(embedding)
            total = [a + b for a, b in zip(total, embedding, strict=True)]
        out.append(unit([a / len(texts) for a in total]))
    return np.array(out)


def slow_p_abnormal(x, text, tau):
    """Equation 1 for S = {normal, abnormal}."""
    normal, abnormal = (math.exp(dot(unit(x), g) / tau) for g in text)
    return abnormal / (normal + abnormal)


@pytest.fixture
def text():
    rng = np.random.default_rng(0)
    return np.array([unit(row) for row in rng.normal(size=(2, 12)).tolist()])


@pytest.mark.parametrize("normalize_prompts", [False, True])
@pytest.mark.parametrize("prompts", [STATES_ALONE, compose("bolt", CLIP_AC_STATES, IMAGENET_TEMPLATES[:7])])
def test_prototypes_against_one_prompt_at_a_time(small, prompts, normalize_prompts):
    out = prototypes(small, prompts, normalize_prompts=normalize_prompts)
    assert out.shape == (2, 48)
    np.testing.assert_allclose(out, slow_prototypes(small, prompts, normalize_prompts), **EXACT)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, **EXACT)


def test_prototypes_of_winclips_whole_ensemble(small):
    """231 prompts, one of them twice in each state: the published list A."""
    prompts = compose("metal_nut", WINCLIP_STATES, WINCLIP_TEMPLATES_A)
    assert [len(side) for side in prompts] == [147, 84]
    assert [len(set(side)) for side in prompts] == [140, 80]
    np.testing.assert_allclose(prototypes(small, prompts), slow_prototypes(small, prompts, False), **EXACT)


def test_the_two_means_differ(small):
    raw, scaled = (prototypes(small, STATES_ALONE, normalize_prompts=n) for n in (False, True))
    assert np.abs(raw - scaled).max() > 1e-4
    single = Prompts(("a bolt",), ("a damaged bolt",))  # of a single prompt there is nothing to weight
    raw, scaled = (prototypes(small, single, normalize_prompts=n) for n in (False, True))
    np.testing.assert_allclose(raw, scaled, **EXACT)


@pytest.mark.parametrize("normalize_prompts", [False, True])
def test_a_prompt_that_stands_twice_counts_twice(small, normalize_prompts):
    once = Prompts(("a bolt", "a nut"), ("a damaged bolt", "a bolt"))
    twice = Prompts(("a bolt", "a nut", "a bolt"), ("a damaged bolt", "a bolt"))  # each state counts its own
    a, b = (prototypes(small, p, normalize_prompts=normalize_prompts) for p in (once, twice))
    assert np.abs(a[0] - b[0]).max() > 1e-3
    np.testing.assert_allclose(a[1], b[1], **EXACT)
    np.testing.assert_allclose(b, slow_prototypes(small, twice, normalize_prompts), **EXACT)


def test_prototypes_do_not_depend_on_order_or_threads(small):
    whole = prototypes(small, STATES_ALONE)
    back = Prompts(STATES_ALONE.normal[::-1], STATES_ALONE.abnormal[::-1])
    np.testing.assert_allclose(prototypes(small, back), whole, **EXACT)
    np.testing.assert_allclose(prototypes(small, STATES_ALONE, threads=1), whole, **EXACT)
    swapped = Prompts(STATES_ALONE.abnormal, STATES_ALONE.normal)
    np.testing.assert_allclose(prototypes(small, swapped), whole[::-1], **EXACT)


def test_prototypes_keep_the_models_type(mini):
    out = prototypes(mini, STATES_ALONE)
    assert out.dtype == np.float32
    # float32: the mean of 3 embeddings, each rounded by 6e-8 relative to its length
    np.testing.assert_allclose(out, slow_prototypes(mini, STATES_ALONE, False), rtol=0, atol=1e-6)


@pytest.mark.parametrize("tau", [0.01, 0.07, 1.0, 30.0])
def test_p_abnormal_is_equation_1(text, tau):
    x = np.random.default_rng(1).normal(size=(2, 3, 5, 12))
    out = p_abnormal(x, text, tau)
    assert out.shape == (2, 3, 5)
    want = [slow_p_abnormal(row, text.tolist(), tau) for row in x.reshape(-1, 12).tolist()]
    np.testing.assert_allclose(out.ravel(), want, **EXACT)


@pytest.mark.parametrize("shape", [(12,), (1, 12), (0, 12), (2, 1, 4, 12)])
def test_any_leading_axes(text, shape):
    x = np.random.default_rng(2).normal(size=shape)
    assert p_abnormal(x, text, 0.07).shape == shape[:-1]
    assert one_class(x, text).shape == shape[:-1]


def test_p_abnormal_needs_no_unit_vectors(text):
    x = np.random.default_rng(3).normal(size=(20, 12))
    length = np.logspace(-6, 6, 20)[:, None]
    np.testing.assert_allclose(p_abnormal(x * length, text, 0.07), p_abnormal(x, text, 0.07), **EXACT)
    np.testing.assert_allclose(one_class(x * length, text), one_class(x, text), **EXACT)


def test_p_abnormal_at_the_ends_of_its_range(text):
    normal, abnormal = text
    between = p_abnormal(normal + abnormal, text, 0.07)
    np.testing.assert_allclose(between, 0.5, **EXACT)
    cosine = float(normal @ abnormal)
    want = 1 / (1 + math.exp((cosine - 1) / 0.07))
    np.testing.assert_allclose(p_abnormal(abnormal, text, 0.07), want, **EXACT)
    np.testing.assert_allclose(p_abnormal(normal, text, 0.07), 1 - want, **EXACT)
    for dtype in (np.float32, np.float64):  # logits of 1e6 neither overflow nor warn
        cold = p_abnormal(np.asarray(text, dtype), np.asarray(text, dtype), 1e-6)
        np.testing.assert_array_equal(cold, [0, 1])
        assert cold.dtype == dtype
        none = p_abnormal(np.zeros(12, dtype), np.asarray(text, dtype), 0.07)
        assert none == 0.5  # of no direction: undecided, not NaN


def test_the_two_states_are_each_others_rest(text):
    x = np.random.default_rng(4).normal(size=(50, 12))
    np.testing.assert_allclose(p_abnormal(x, text, 0.07) + p_abnormal(x, text[::-1], 0.07), 1, **EXACT)


def test_temperature_moves_no_ranking(text):
    x = np.random.default_rng(5).normal(size=(200, 12))
    rank = np.argsort([dot(unit(row), (text[1] - text[0]).tolist()) for row in x.tolist()])
    scores = [p_abnormal(x, text, tau) for tau in (0.05, 0.07, 0.5, 5)]
    for p in scores:
        np.testing.assert_array_equal(np.argsort(p), rank)
    spread = [np.ptp(p) for p in scores]
    assert spread == sorted(spread, reverse=True)  # the warmer, the nearer to one half
    assert spread[0] > 2 * spread[-1]


def test_one_class_is_the_negative_cosine_to_normal(text):
    x = np.random.default_rng(6).normal(size=(4, 5, 12))
    want = [-dot(unit(row), text[0].tolist()) for row in x.reshape(-1, 12).tolist()]
    np.testing.assert_allclose(one_class(x, text).ravel(), want, **EXACT)
    np.testing.assert_allclose(one_class(text[0], text), -1, **EXACT)
    np.testing.assert_allclose(one_class(-3 * text[0], text), 1, **EXACT)
    other = np.stack([text[0], -text[1]])
    np.testing.assert_array_equal(one_class(x, other), one_class(x, text))  # "abnormal" takes no part


def test_nothing_is_changed_in_place(text):
    x = np.random.default_rng(7).normal(size=(4, 12))
    kept = x.copy(), text.copy()
    p_abnormal(x, text, 0.07)
    one_class(x, text)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(text, kept[1])


def test_temperature_of(small):
    assert temperature_of(small, 0.07) == 0.07
    assert temperature_of(small, 2) == 2.0
    assert temperature_of(small, "clip") == 1 / small.logit_scale
    assert 0.02 < temperature_of(small, "clip") < 0.03  # the logit scale of these weights is near 40
    for wrong in (0, -1, float("nan"), "0.07", "CLIP"):
        with pytest.raises(ValueError, match="expected a number above 0, or 'clip'"):
            temperature_of(small, wrong)


def test_the_models_own_temperature_gives_clips_similarity(small):
    """p_abnormal with temperature "clip" is the softmax of CLIP's logits (Radford et al., figure 3)."""
    image = np.random.default_rng(8).normal(size=(6, 48))
    two = prototypes(small, STATES_ALONE)
    logits = np.exp(refclip.similarity(small, image, two))
    want = logits[:, 1] / logits.sum(axis=1)
    np.testing.assert_allclose(p_abnormal(image, two, temperature_of(small, "clip")), want, **EXACT)
