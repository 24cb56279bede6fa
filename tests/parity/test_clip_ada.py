"""A step of CLIP-ADA's learning against torch's autograd through open_clip, live: small, and through ViT-B-16.

Written with torch from the equations, not from the library's code: the towers are open_clip's modules, whole, and the
gradient of the second loss reaches the first map through them. torch's side is float64.
"""

import numpy as np
import torch
import torch.nn.functional as F

import refclip
from refclip import saved
from refclip.methods.clip_ada_learned import begin
from refclip.methods.clip_ada_options import DEFAULTS, Options, settled
from refclip.methods.clip_ada_refine import loss_of
from refclip.methods.options import first_of
from refclip.tokenizer import tokenize
from refclip.tree import value_and_gradient
from tests import randomclip
from tests.parity import oracle_training as oracle
from tests.parity.test_autograd import ASKED, relative

TEMPLATE = "a photo of a {} with defects for anomaly detection"


def embedded(net, prompt):
    """The template's text embedding, with vectors where so many words "x" stand."""
    ids = torch.from_numpy(tokenize(TEMPLATE.replace("{}", " ".join("x" * len(prompt)))))  # [1, 77]
    first = int((ids[0] == int(tokenize("x")[0, 1])).nonzero()[0])
    w = net.token_embedding(ids)
    x = torch.cat([w[:, :first], prompt[None], w[:, first + len(prompt) :]], dim=1) + net.positional_embedding
    return oracle.text_embedding(net, x, ids.argmax(dim=-1), [])


def theirs(net, pixels, masks, parameters, *, layer, refinements, lam):
    """The loss and its gradients: equations 1 to 6."""
    leaves = {name: oracle.leaf(x.astype(np.float64), torch.float64) for name, x in parameters.items()}
    x, mask = torch.from_numpy(pixels), torch.from_numpy(masks)
    t = embedded(net, leaves["prompt"])
    total, s = 0.0, None
    for k in range(refinements + 1):
        enlarged = 1 if s is None else F.interpolate(s[:, None], size=x.shape[2:], mode="bilinear", align_corners=False)
        tokens = oracle.tokens(net, x * enlarged)
        for block in net.visual.transformer.resblocks[:layer]:
            tokens = block(tokens)
        v = F.linear(tokens[:, 1:], leaves[f"projections.{k}.weight"], leaves[f"projections.{k}.bias"])
        s = torch.sigmoid((v @ t.T)[..., 0] * leaves["scale"]).reshape(mask.shape)
        total = total + (1 if k == 0 else lam) * F.binary_cross_entropy(s, mask)
    total.backward()
    return total.item(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}


def compare(tmp_path, config, *, size, dtypes, **options):
    weights = randomclip.state(config, seed=31)
    folder, net = oracle.write(tmp_path, config, weights), oracle.built(config, weights, torch.float64)
    pixels = np.asarray(randomclip.pixels((2, 3, size, size), seed=32), np.float64)
    grid = size // config["vision_cfg"]["patch_size"]
    masks = np.clip(np.random.default_rng(33).normal(size=(2, grid, grid)), 0, 1)
    answers = None
    for dtype in dtypes:
        clip = refclip.load(folder, dtype=dtype)
        o = settled(clip, first_of(Options(scale="learned", **options), DEFAULTS))
        learned = begin(clip, o, seed=34)
        learned = learned._replace(prompt=learned.prompt * 20, scale=learned.scale * 0.05)
        if answers is None:  # of the first type's numbers, rounded to float32 in either
            numbers = {name: x.astype(np.float32) for name, x in saved.named(learned)}
            answers = theirs(net, pixels, masks, numbers, layer=o.layer, refinements=o.refinements, lam=0.5)
        learned = saved.filled(learned, numbers, "here")
        value, found = value_and_gradient(
            lambda p, clip=clip, o=o, dtype=dtype: loss_of(
                clip, p, o, pixels.astype(dtype), masks.astype(dtype), lam=0.5
            ),
            learned,
        )
        assert abs(float(value) / answers[0] - 1) < ASKED[dtype]
        assert len(answers[1]) == 2 + 2 * (1 + o.refinements)
        for name, g in saved.named(found):
            assert g.dtype == dtype
            assert relative(g, answers[1][name]) < ASKED[dtype], name


def test_a_step(tmp_path):
    compare(
        tmp_path,
        randomclip.model_config("small-quickgelu"),
        size=40,
        dtypes=("float64", "float32"),
        layer=3,
        refinements=2,
    )


def test_a_refinement_through_vit_b_16(tmp_path):
    """The paper's backbone and size, K = 1, block 6 of 12: the blocks after it are not read, and left out here."""
    config = randomclip.model_config("ViT-B-16-quickgelu")
    config["vision_cfg"]["layers"] = 6
    compare(tmp_path, config, size=224, dtypes=("float64", "float32"), layer=6, refinements=1)
