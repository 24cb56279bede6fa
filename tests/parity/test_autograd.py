"""Gradients against torch's autograd through open_clip, live, at full size with random weights.

Asked for: a relative error |ours - torch's| / |torch's| below 1e-4 in float32 and 1e-8 in float64; torch's is float64.
"""

import numpy as np
import pytest
import torch

import refclip
from refclip import optim
from refclip.text import text_tower
from refclip.tree import value_and_gradient
from tests import randomclip
from tests.parity import oracle_training as oracle
from tests.test_optim import STATE, STEP
from tests.training_cases import OPTIMISERS, optimiser_inputs, prompts, weight_of

ASKED = {"float32": 1e-4, "float64": 1e-8}


def one_tower(name, other):
    """The configuration of a model, with one block left of the tower that is not looked at, and 64 words."""
    config = randomclip.model_config(name)
    config[other] |= {"layers": 1}
    config["text_cfg"] |= {"vocab_size": 64}  # the prompts are embeddings already
    return config


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.fixture(scope="module")
def text_side(tmp_path_factory):
    """ViT-L-14-336's text tower: 12 blocks of width 768; 2 prompts of 18 tokens; 8 blocks get 4 deep tokens each."""
    config = one_tower("ViT-L-14-336-quickgelu", "vision_cfg")
    weights = randomclip.state(config, seed=41)
    case = prompts(seed=42, width=768, n=18, blocks=9)
    answers = oracle.text_gradients(oracle.built(config, weights, torch.float64), case, torch.float64)
    return oracle.write(tmp_path_factory.mktemp("text"), config, weights), case, answers


@pytest.mark.parametrize("dtype", ASKED)
def test_prompts_through_the_text_tower(text_side, dtype):
    folder, case, answers = text_side
    clip = refclip.load(folder, dtype=dtype)
    w = weight_of((2, 768)).astype(dtype)
    parameters = {"x": case.x.astype(dtype), "deep": [t.astype(dtype) for t in case.deep]}

    def loss(p):
        return (text_tower(clip.text, p["x"], case.ends, deep=p["deep"])[0] * w).sum()

    _, g = value_and_gradient(loss, parameters)
    assert len(g["deep"]) == 8
    found = {"x": g["x"]} | {f"deep{i}": x for i, x in enumerate(g["deep"])}
    for name, x in found.items():
        assert x.dtype == dtype
        assert relative(x, answers[name]) < ASKED[dtype], name


@pytest.fixture(scope="module")
def image_side(tmp_path_factory):
    """ViT-B-16's image tower, all 12 blocks, one image of 224 x 224."""
    config = one_tower("ViT-B-16", "text_cfg")
    weights = randomclip.state(config, seed=43)
    pixels = randomclip.pixels((1, 3, 224, 224), seed=44).astype(np.float64)
    answer = oracle.pixel_gradient(oracle.built(config, weights, torch.float64), pixels, 12, None, torch.float64)
    return oracle.write(tmp_path_factory.mktemp("image"), config, weights), pixels, answer


@pytest.mark.parametrize(("dtype", "recomputed"), [("float32", False), ("float32", True), ("float64", False)])
def test_pixels_through_the_image_tower(image_side, dtype, recomputed):
    folder, pixels, answer = image_side
    clip = refclip.load(folder, dtype=dtype)
    w = weight_of((1, 196, 512)).astype(dtype)

    def loss(x):
        return (refclip.encode_tokens(clip, x, layers=[12], recomputed=recomputed).patches[12] * w).sum()

    _, g = value_and_gradient(loss, pixels.astype(dtype))
    assert g.dtype == dtype
    assert relative(g, answer) < ASKED[dtype]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_fifty_steps_in_float32(name):
    kind, options = OPTIMISERS[name]
    start, steps = optimiser_inputs()
    theirs = oracle.optimiser_answers(torch.float32)[f"optimiser.{name}"]
    x, state = start, STATE[kind](start)
    for g in steps:
        x, state = STEP[kind](x, g, state, **options)
    assert isinstance(state, optim.Moments | optim.Momentum)
    # 50 float32 roundings on each side of parameters up to 3
    np.testing.assert_allclose(x, theirs, rtol=0, atol=3e-6)
