"""A step of VAND's learning against torch's autograd through open_clip, live.

Written with torch from the description in `vand`, not from its code. torch's side is float64.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refclip
from refclip import saved
from refclip.methods.vand_fit import Batch, Training, begin, loss_of
from refclip.methods.vand_options import DEFAULTS, settled
from refclip.tree import value_and_gradient
from tests import randomclip
from tests.parity import oracle_training as oracle
from tests.parity.test_autograd import ASKED, relative


def theirs(net, pixels, text, masks, parameters, *, layers, size):
    """The loss and its gradient for each weight and bias: open_clip's blocks, a linear layer behind some."""
    leaves = {name: oracle.leaf(x.astype(np.float64), torch.float64) for name, x in parameters.items()}
    total, mask, g = 0.0, torch.from_numpy(masks), torch.from_numpy(text)
    with torch.no_grad():
        x, taps = oracle.tokens(net, torch.from_numpy(pixels)), {}
        for i, block in enumerate(net.visual.transformer.resblocks):
            x = block(x)
            taps[i + 1] = x[:, 1:]
    for n in layers:
        weight, bias = (leaves[f"projections.{n}.{part}"] for part in ("weight", "bias"))
        v = F.normalize(F.linear(taps[n], weight, bias), dim=-1)
        logits = 100 * torch.einsum("bgd,bkd->bkg", v, g)
        side = round(logits.shape[-1] ** 0.5)
        logits = logits.reshape(len(x), 2, side, side)
        p = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=True).softmax(dim=1)
        total = total + oracle.focal(p, mask) + oracle.dice(p[:, 1], mask, squared=False)
    total.backward()
    return total.item(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}


def a_batch(count, size, embed, seed):
    rng = np.random.default_rng(seed)
    pixels = np.asarray(randomclip.pixels((count, 3, size, size), seed), np.float64)
    text = rng.normal(size=(count, 2, embed))
    text /= np.linalg.norm(text, axis=-1, keepdims=True)
    masks = np.zeros((count, size, size))
    masks[0, size // 8 : size // 2, size // 4 : size // 2] = 1
    return pixels, text, masks


@pytest.mark.parametrize("dtype", ASKED)
def test_a_step(tmp_path, dtype):
    config = randomclip.model_config("small-quickgelu")
    weights = randomclip.state(config, seed=21)
    clip = refclip.load(oracle.write(tmp_path, config, weights), dtype=dtype)
    layers, (pixels, text, masks) = (1, 2, 3, 4), a_batch(3, 40, 48, seed=22)
    learned = begin(clip, layers, seed=23)
    net = oracle.built(config, weights, torch.float64)
    value, gradients = theirs(net, pixels, text, masks, dict(saved.named(learned)), layers=layers, size=40)
    taps = refclip.encode_tokens(clip, pixels.astype(dtype), layers=layers).taps
    batch = Batch({n: x[:, 1:] for n, x in taps.items()}, text.astype(dtype), masks.astype(dtype), (5, 5))
    ours, found = value_and_gradient(lambda p: loss_of(p, batch, settled(clip, DEFAULTS), Training(), 0.01), learned)
    assert abs(float(ours) / value - 1) < ASKED[dtype]
    for name, g in saved.named(found):
        assert g.dtype == dtype
        assert relative(g, gradients[name]) < ASKED[dtype], name
