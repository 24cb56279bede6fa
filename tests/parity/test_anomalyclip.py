"""AnomalyCLIP's optimisation steps against torch's autograd and Adam, through open_clip's towers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refclip
from refclip.features_cache import geometries, keep_features, rows
from refclip.methods.anomalyclip_fit import Training, fit
from refclip.methods.anomalyclip_options import DEFAULTS, Options, recipe_of, settled
from refclip.methods.anomalyclip_prompts import Design, begin
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.methods.masks import packed_masks
from refclip.methods.options import first_of
from refclip.preprocess import preprocess
from refclip.training import batch_of
from refclip.tree import leaves
from tests import randomclip
from tests.anomalyclip_cases import TUNINGS, Step, step
from tests.parity.oracle_anomalyclip import gradients, loss
from tests.parity.oracle_training import built, leaf, tokens, write
from tests.test_anomalyclip import samples, step_gradients

SMALL = randomclip.model_config("small")
# the text tower and the joint space of ViT-L-14-336, behind a small image tower, which a step does not touch
LARGE = randomclip.model_config("ViT-L-14-336")
LARGE["vision_cfg"] = {"image_size": 336, "layers": 1, "width": 64, "patch_size": 14}
NEAR = {torch.float64: 1e-8, torch.float32: 1e-4}  # what the gradients are asked to be within, relative


def compare(config, case, tuning, dtype, folder):
    weights = randomclip.state(config, 4)
    value, theirs = gradients(built(config, weights, dtype), case, tuning, dtype)
    clip = refclip.load(write(folder, config, weights), dtype=str(dtype).removeprefix("torch."))
    found, ours = step_gradients(clip, case, tuning)
    assert abs(found - value) < NEAR[dtype] * abs(value)
    for a, b in zip(ours, theirs, strict=True):
        assert np.linalg.norm(b) > 0
        assert np.linalg.norm(a - b) < NEAR[dtype] * np.linalg.norm(b)


@pytest.mark.parametrize("dtype", NEAR, ids=str)
@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_step_of_the_small_model(tmp_path, dtype, tuning):
    compare(SMALL, step(42, width=96, embed=48), tuning, dtype, tmp_path)


@pytest.mark.parametrize("dtype", NEAR, ids=str)
def test_a_step_at_full_size(tmp_path, dtype):
    """ViT-L-14-336's text tower, two prompts, depth 9, four layers of 37 x 37 patches at 518 pixels."""
    case = step(43, width=768, embed=768, length=12, deep=(8, 4), batch=2, grid=37, size=518, layers=(6, 12, 18, 24))
    compare(LARGE, case, "overwrite", dtype, tmp_path)


def test_learning_is_torchs_from_image_to_prompts(tmp_path):
    """Three epochs of `fit` against torch.optim.Adam, on features that open_clip's image tower makes too."""
    weights = randomclip.state(SMALL, 4)
    net, clip = built(SMALL, weights, torch.float64), refclip.load(write(tmp_path, SMALL, weights), dtype="float64")
    design = settled_design(clip, Design(length=4, tokens=2, depth=3))
    some, t = samples(6), Training(epochs=3, batch=4, seed=1, lam=2.0)
    options = {"attention": "own", "layers": (2, 4), "positions": "bicubic"}
    found = fit(clip, some, t, design, **options)
    kept = keep_features(clip, some, recipe_of(settled(clip, first_of(Options(**options), DEFAULTS))))
    held = rows(kept, range(6), clip.vision.proj)
    pixels = preprocess([one.image for one in some], clip.preprocess._replace(size=(40, 40), resize="squash"))[0]
    with torch.no_grad():
        x, theirs = tokens(net, torch.from_numpy(pixels).double()), {}
        for i, block in enumerate(net.visual.transformer.resblocks, 1):
            x = block(x)
            theirs[i] = F.normalize(net.visual.ln_post(x)[:, 1:] @ net.visual.proj, dim=-1).numpy()
        image = F.normalize(net.visual.ln_post(x[:, 0]) @ net.visual.proj, dim=-1).numpy()
    for a, b in [(held.image, image), *((held.patches["own"][n], theirs[n]) for n in (2, 4))]:
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=2**-24)  # one rounding to half precision
    # from here on the same rounded numbers on both sides, so that what is compared is the learning
    labels = np.array([one.sample.label for one in some])
    masks = np.asarray(packed_masks(some, geometries(kept), 0.5)(range(6)), np.float64)
    learned = [leaf(x, torch.float64) for x in leaves(begin(clip, design, 1))]
    adam = torch.optim.Adam(learned, lr=1e-3, betas=(0.5, 0.999))
    for number in range(6):
        index = list(batch_of(number, 6, 4, 1)[1])
        here = Step(
            *[None] * 3, torch.from_numpy(held.image[index]),
            {n: torch.from_numpy(held.patches["own"][n][index]) for n in (2, 4)},
            torch.from_numpy(labels[index]), torch.from_numpy(masks[index]),
        )  # fmt: skip
        adam.zero_grad()
        loss(net, learned, here, design.tuning, t.lam).backward()
        adam.step()
    for a, b in zip(leaves(found.learned), learned, strict=True):
        # six steps in float64; Adam divides by the root of a square, so a gradient's error counts relative to itself
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=0, atol=1e-9)
