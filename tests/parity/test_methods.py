"""WinCLIP and CLIP-AC end to end, photographs in, scores and maps out, against torch and open_clip.

Criterion, as for the towers: against float64 there, float64 here agrees to 1e-10, and float32 here is off by at most
twice what float32 is off there, or by four roundings of a number below 1: torch's own error can be as small as that,
and below it a ratio would compare luck.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file
from skimage import data

import refclip
from refclip.prompts import WINCLIP_STATES, WINCLIP_TEMPLATES_A, compose
from refclip.zeroshot import prototypes
from tests import randomclip
from tests.parity import oracle_methods as oracle
from tests.parity.oracle_towers import model
from tests.test_winclip import SINGLE

NAME = "metal_nut"
WEIGHTS = Path(__file__).parents[2] / "weights"


def photographs(count):
    """Colour, not square, of several sizes."""
    return [data.astronaut()[:400], data.chelsea(), data.coffee()[::2, ::2], data.rocket()[:, 100:400]][:count]


def shipped(dtype):
    """open_clip with the shipped weights."""
    config = json.loads((WEIGHTS / "refclip-mini.json").read_text())
    net = open_clip.model.CLIP(**config["model_cfg"])
    found = net.load_state_dict(load_file(WEIGHTS / "refclip-mini.safetensors"), strict=False)
    assert set(found.missing_keys) <= {"attn_mask"}
    assert not found.unexpected_keys
    return net.eval().to(dtype)


@pytest.fixture(scope="module", params=["small-windows", "refclip-mini", "ViT-B-16-plus-240"])
def sides(request, tmp_path_factory):
    """Photographs, and both libraries' model in both types: (images, size, {dtype: (theirs, ours)})."""
    name, seed = request.param, 17
    if name == "refclip-mini":
        pairs = {d: (shipped(getattr(torch, d)), refclip.load(name, dtype=d)) for d in ("float64", "float32")}
        yield photographs(2), 120, pairs
        return
    folder = randomclip.write(tmp_path_factory.mktemp("weights"), name, seed)
    pairs = {}
    for dtype in ("float64", "float32"):
        pairs[dtype] = model(name, seed, getattr(torch, dtype)), refclip.load(folder, dtype=dtype)
    size = pairs["float32"][1].vision.image_size
    yield photographs(1 if size == 240 else 4), size, pairs
    (folder / "open_clip_model.safetensors").unlink()  # 0.8 GB


def rms(x):
    return float(np.sqrt(np.mean(np.square(np.asarray(x, np.float64)))))


def compare(sides, method, theirs):
    """Hold a method's scores and maps to the criterion; returns open_clip's in float64."""
    images, size, pairs = sides
    answers = {}
    for dtype, (net, clip) in pairs.items():
        score, map = theirs(net, images, NAME, size, getattr(torch, dtype))
        out = refclip.detector(method, clip, NAME)(images)
        assert out.map.shape == map.shape == (len(images), size, size)
        answers[dtype] = score, map, out
    score, map, out = answers["float64"]
    # float64 on both sides, values between -1 and 1: what is left is the order of summation
    np.testing.assert_allclose(out.score, score, rtol=0, atol=1e-10)
    np.testing.assert_allclose(out.map, map, rtol=0, atol=1e-10)
    score32, map32, out32 = answers["float32"]
    assert out32.score.dtype == out32.map.dtype == np.float32
    our_error, their_error = rms(out32.map - map), rms(map32 - map)
    assert our_error <= max(2 * their_error, 4 * 2**-24), f"ours {our_error:.3g}, torch's own {their_error:.3g}"
    for x in (out32.score, score32):  # a few numbers are too few for such a ratio
        np.testing.assert_allclose(x, score, **SINGLE)
    return score, map


def test_winclip(sides):
    score, map = compare(sides, "winclip", oracle.winclip)
    # a fair test: neither certain nor undecided, and the map has a shape
    assert 0.001 < map.min() < map.max() < 0.999
    assert (map.std(axis=(1, 2)) > 1e-3).all()
    assert (np.abs(score - 0.5) > 1e-3).all()


def test_clip_ac(sides):
    _, map = compare(sides, "clip-ac", oracle.clip_ac)
    assert (map.std(axis=(1, 2)) > 1e-3).all()


def test_prompts_are_accurate_winclips():
    ours = compose(NAME, WINCLIP_STATES, WINCLIP_TEMPLATES_A)
    for mine, words in zip(ours, (oracle.NORMAL, oracle.ABNORMAL), strict=True):
        assert sorted(mine) == sorted(t.format(w.format(NAME)) for w in words for t in oracle.TEMPLATES)


def test_prototypes(sides):
    """The mean of embeddings as they come is not the mean of embeddings at length 1, and the default is the first."""
    net, clip = sides[2]["float32"]
    theirs = oracle.text(net, "bolt", torch.float32).numpy()
    prompts = compose("bolt", WINCLIP_STATES, WINCLIP_TEMPLATES_A)
    near, far = (np.abs(prototypes(clip, prompts, normalize_prompts=n) - theirs).max() for n in (False, True))
    assert near < 1e-6  # float32: components below 1, each rounded by 6e-8 and then summed
    assert far > 10 * near
