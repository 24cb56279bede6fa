"""CoOp as AnomalyCLIP's appendix A.2 adapts it, against its definition; its learning, one step at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refclip import WeightsError
from refclip.autograd import Tape
from refclip.features_cache import keep_features, rows
from refclip.methods import anomalyclip, coop, coop_fit
from refclip.methods.anomalyclip_learned import Fitted, load
from refclip.methods.anomalyclip_options import recipe_of, settled
from refclip.methods.anomalyclip_prompts import begin, embed_prompts, layout_of
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.methods.coop_fit import Training, fit, save
from refclip.prompt_learning import VECTOR, prompt_ids
from refclip.tokenizer import EOT, SOT
from refclip.training import batch_of
from refclip.tree import leaves
from tests.test_anomalyclip import EXACT, dot, samples, slow_score, two
from tests.test_prompt_learning import random_learned, words

DESIGN = coop.DESIGN._replace(length=4)
SMALL = Training(epochs=3, batch=4, seed=2)


@pytest.fixture(scope="module")
def learned(small):
    design = settled_design(small, DESIGN)
    return Fitted(random_learned(small, design), design, {}, [])


def test_the_prompts_are_those_of_appendix_a2():
    normal, anomalous = prompt_ids(layout_of(coop.DESIGN), ["metal nut"])
    vectors = [VECTOR] * 16
    assert normal == [SOT, *vectors, *words("normal metal nut"), *words("."), EOT]
    assert anomalous == [SOT, *vectors, *words("anomalous metal nut"), *words("."), EOT]


def test_both_prompts_share_their_vectors_and_nothing_else_is_learned(small):
    start = begin(small, settled_design(small, DESIGN), 0)
    assert start.abnormal is None
    assert start.deep == ()
    assert start.normal.shape == (4, 96)


OPTIONS = [
    {},
    {"object": "object"},
    {"underscores": True},
    {"attention": "v-v", "layers": (2, 4), "dpam_from": 2},
    {"temperature": 0.07},
    {"sigma": 0.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_against_the_definition(small, learned, options):
    state = coop.prepare(small, "metal_nut", learned=learned, **options)
    o, image = state.options, samples(2)[1].image
    if "layers" not in options:
        assert (o.attention, o.layers) == ("own", (4,))
    said = "object" if o.object == "object" else "metal_nut" if o.underscores else "metal nut"
    text = embed_prompts(small, learned.design, learned.learned, [said])[0]
    tau = 1 / small.logit_scale if o.temperature == "clip" else o.temperature
    found = coop.score(state, coop.extract(state, [image]))
    score, map = slow_score(small, image, text, o, tau)
    np.testing.assert_allclose(found.score[0], score, **EXACT)
    np.testing.assert_allclose(found.map[0], map, **EXACT)


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("begun", ["", "a photo of a"])
def test_every_layout_learns_and_is_read_back(small, tmp_path, position, begun):
    found = fit(small, samples(), SMALL, DESIGN._replace(position=position, words=begun))
    assert found.curve[-1] != found.curve[0]
    save(tmp_path / "a.safetensors", found)
    read = load(small, tmp_path / "a.safetensors", "coop")
    assert read.design == found.design
    np.testing.assert_array_equal(read.learned.normal, found.learned.normal)
    state = coop.prepare(small, "bolt", learned=tmp_path / "a.safetensors")
    np.testing.assert_array_equal(state.text, embed_prompts(small, found.design, found.learned, ["bolt"])[0])
    with pytest.raises(WeightsError, match="learned by 'coop', expected 'anomalyclip'"):
        anomalyclip.prepare(small, learned=tmp_path / "a.safetensors")


def test_learning_is_sgd_on_the_class_tokens_cross_entropy(small):
    """Three epochs of two steps by hand: the loss in plain numbers, momentum, decay, warm-up and cosine written out."""
    some = samples()
    found = fit(small, some, SMALL, DESIGN)
    design, o = settled_design(small, DESIGN), settled(small, coop.defaults(small))
    features = rows(keep_features(small, some, recipe_of(o)._replace(layers=())), range(6), small.vision.proj)
    names = ["bolt"] * 3 + ["metal nut"] * 3
    x, velocity, curve = begin(small, design, 2), 0.0, []
    for step in range(6):
        epoch, index = batch_of(step, 6, 4, 2)
        assert epoch == step // 2
        tape = Tape()
        vectors = tape.var(x.normal)
        text = embed_prompts(small, design, x._replace(normal=vectors), ["bolt", "metal nut"])
        loss, g_text = 0.0, np.zeros(text.shape)
        for i in index:
            c = names[i] != "bolt"
            logits = [small.logit_scale * dot(features.image[i], text.value[int(c), s]) for s in range(2)]
            p, label = two(logits), some[i].sample.label
            loss -= math.log(p[label]) / len(index)
            for s in range(2):  # d(-log p_label) / d logit_s = p_s - [s is the label]
                g_text[int(c), s] += (p[s] - (s == label)) * small.logit_scale * features.image[i] / len(index)
        curve.append(loss)
        (g,) = tape.backward(text, [vectors], g_text)
        velocity = 0.9 * velocity + g + 5e-4 * x.normal
        rate = 1e-5 if epoch < 1 else 2e-3 * (1 + math.cos(math.pi * (epoch - 1) / 3)) / 2
        x = x._replace(normal=x.normal - rate * velocity)
    np.testing.assert_allclose(found.learned.normal, x.normal, rtol=0, atol=1e-12)  # float64, six steps
    np.testing.assert_allclose(found.curve, np.reshape(curve, (3, 2)).mean(axis=1), rtol=1e-12)


def test_a_run_that_was_killed_ends_in_the_same_bytes(small, tmp_path):
    save(tmp_path / "whole.safetensors", fit(small, samples(), SMALL, DESIGN))

    def kill(step, value):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small, samples(), SMALL, DESIGN, checkpoint=tmp_path / "checkpoint", tell=kill)
    save(tmp_path / "resumed.safetensors", fit(small, samples(), SMALL, DESIGN, checkpoint=tmp_path / "checkpoint"))
    assert (tmp_path / "resumed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_masks_are_not_looked_at(small):
    blind = [one._replace(mask=None) for one in samples()]
    a, b = fit(small, blind, SMALL, DESIGN), fit(small, samples(), SMALL, DESIGN)
    for x, y in zip(leaves(a.learned), leaves(b.learned), strict=True):
        np.testing.assert_array_equal(x, y)


def test_what_cannot_be_learned_from(small):
    with pytest.raises(ValueError, match="normal and anomalous ones"):
        fit(small, samples()[::2], SMALL, DESIGN)
    unknown = [one._replace(sample=one.sample._replace(label=None)) for one in samples(2)]
    lines = []
    found = fit(small, [*samples(), *unknown], SMALL, DESIGN, note=lines.append)
    assert found.about["images"] == 6
    assert "2 images without a label are left out" in lines
    with pytest.raises(ValueError, match="none but 'global'"):
        fit(small, samples(), SMALL._replace(terms=("global", "dice")), DESIGN)
    with pytest.raises(ValueError, match="refclip train coop"):
        coop.prepare(small)


def test_defaults_are_coops(mini):
    assert Training()[:7] == (50, 32, 2e-3, 0.9, 5e-4, 1, 1e-5)
    assert coop.defaults(mini).layers == (6,)
    assert coop_fit.Training().terms == ("global",)
