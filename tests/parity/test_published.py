"""WinCLIP, WinCLIP+, PatchCore and AUPRO beside anomalib's code, in float64, on small random weights.

anomalib is not among the parity extra's packages: it wants an older open_clip. Without it these tests skip. How to get
it, and the same comparison at real size and with other published code: docs/published.md.
"""

from __future__ import annotations

import random
import warnings
from importlib.metadata import version

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refclip
from refclip.methods import patchcore, winclip_plus
from refclip.methods.images import pixels_of
from refclip.metrics import aupro
from tests import randomclip

with warnings.catch_warnings():  # anomalib's and its packages' own
    warnings.simplefilter("ignore")
    pytest.importorskip("anomalib", reason="anomalib is not installed: see docs/published.md", exc_type=ImportError)
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.models.components.sampling.k_center_greedy import KCenterGreedy
    from anomalib.models.image.patchcore import torch_model as patchcore_model
    from anomalib.models.image.winclip import torch_model as winclip_model

    from tests.parity import oracle_towers as oracle
    from tests.parity.test_methods import photographs

pytestmark = pytest.mark.filterwarnings("ignore")  # what another's code warns of is not ours to mend

NAME, WEIGHTS, SEED = "metal_nut", "small-windows", 17
EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides, numbers below 1: the order of summation is left
SQUARES = {"rtol": 0, "atol": 1e-6}  # anomalib's distances are |x|^2 + |y|^2 - 2 x y, which loses half of the digits
BATCH_FIRST = tuple(int(part) for part in version("open_clip_torch").split(".")[:2]) >= (2, 26)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """open_clip's model and ours, and two images and two references as pixels and as pictures."""
    clip = refclip.load(randomclip.write(tmp_path_factory.mktemp("weights"), WEIGHTS, SEED), dtype="float64")
    images = photographs(4)
    pixels = torch.from_numpy(np.asarray(pixels_of(clip, images, "squash")[0]))  # [4, 3, 56, 56]
    return oracle.model(WEIGHTS, SEED, torch.float64), clip, images, pixels


@pytest.fixture
def winclip(sides, monkeypatch):
    """anomalib's WinCLIP with these weights."""
    if BATCH_FIRST:  # no answer of anomalib's would be WinCLIP's there; how to get an environment: docs/published.md
        pytest.skip("anomalib's windows need open_clip before 2.26: later, attention would run across windows")
    monkeypatch.setattr(winclip_model.open_clip, "create_model_and_transforms", lambda *_, **__: (sides[0], None, None))
    yield winclip_model.WinClipModel(NAME).eval()
    sides[0].visual.output_tokens = False


def test_winclip(sides, winclip):
    _, clip, images, pixels = sides
    theirs, ours = winclip(pixels[:2]), refclip.detector("winclip", clip, NAME)(images[:2])
    np.testing.assert_allclose(ours.score, theirs.pred_score, **EXACT)
    np.testing.assert_allclose(ours.map, theirs.anomaly_map, **EXACT)
    assert ours.map.std() > 1e-3  # there is something to get wrong


def test_winclip_plus(sides, winclip):
    _, clip, images, pixels = sides
    with torch.no_grad():
        winclip.setup(reference_images=pixels[2:])
    theirs = winclip(pixels[:2])
    state = winclip_plus.prepare(clip, NAME, patch_tokens="ln_post")
    features, references = (winclip_plus.extract(state, part) for part in (images[:2], images[2:]))
    ours = winclip_plus.score(state, features, references)
    np.testing.assert_allclose(ours.score, theirs.pred_score, **EXACT)
    np.testing.assert_allclose(ours.map, theirs.anomaly_map, **EXACT)
    raw = winclip_plus.State(*state[:-1], state.options._replace(patch_tokens="raw"))
    assert (
        np.abs(winclip_plus.score(raw, features, references).map - ours.map).max() > 1e-5
    )  # the option is what counts


def outputs(net, pixels, k):
    """What block k, counted from 1, hands on: [b, n, d], whichever of the two open_clip has first."""
    seen = []
    hook = net.visual.transformer.resblocks[k - 1].register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.no_grad():
        net.encode_image(pixels)
    hook.remove()
    return seen[0] if BATCH_FIRST else seen[0].transpose(0, 1)


@pytest.mark.parametrize("crowd", [9, 1])
def test_patchcore(sides, monkeypatch, crowd):
    """Scores, and the map, but for its enlargement: anomalib repeats pixels; the paper, and ours, is bilinear."""
    net, clip, images, pixels = sides

    class Tokens(torch.nn.Module):
        def forward(self, x):
            return {k: outputs(net, x, int(k))[:, 1:].transpose(1, 2).reshape(len(x), -1, 7, 7) for k in "23"}

    monkeypatch.setattr(patchcore_model, "TimmFeatureExtractor", lambda **_: Tokens())
    model = patchcore_model.PatchcoreModel(layers=["2", "3"], pre_trained=False, num_neighbors=crowd).double()
    model.train()(pixels[2:])
    model.memory_bank = torch.vstack(model.embedding_store)
    grids = []
    model.anomaly_map_generator.register_forward_pre_hook(lambda _, given: grids.append(given[0]))
    theirs = model.eval()(pixels[:2])

    state = patchcore.prepare(clip, layers=(2, 3), fraction=1.0, crowd=crowd, sigma=4 / 56)
    memory = patchcore.remember(state, patchcore.extract(state, images[2:]))
    features = patchcore.extract(state, images[:2])
    ours = patchcore.score(state, features, memory)
    np.testing.assert_allclose(memory.patches, model.memory_bank, **EXACT)
    np.testing.assert_allclose(ours.score, theirs.pred_score, **SQUARES)
    enlarged = F.interpolate(grids[0], size=(56, 56), mode="bilinear", align_corners=False)
    theirs_blurred = model.anomaly_map_generator.blur(enlarged)[:, 0].numpy()
    inside = (slice(None), slice(17, -17), slice(17, -17))  # theirs mirrors the border without, ours with, its last row
    np.testing.assert_allclose(ours.map[inside], theirs_blurred[inside], **SQUARES)
    assert ours.map[inside].std() > 1e-2


def test_coreset(sides, monkeypatch):
    """The same patches in the same order, from the same first, without a random projection."""
    _, clip, images, _ = sides
    state = patchcore.prepare(clip, layers=(2, 3), fraction=1.0)
    patches = np.asarray(patchcore.remember(state, patchcore.extract(state, images)).patches)  # [196, 256]
    sampler = KCenterGreedy(torch.from_numpy(patches), 0.2)
    monkeypatch.setattr(sampler.model, "fit", lambda _: None)
    monkeypatch.setattr(sampler.model, "transform", lambda x: x)
    first = random.Random(5).randrange(len(patches))
    monkeypatch.setattr(torch, "randint", lambda **_: torch.tensor([first]).squeeze())
    theirs = sampler.select_coreset_idxs()
    ours = patchcore.coreset(patches, len(theirs), seed=5, projection=0)
    assert len(theirs) == int(0.2 * len(patches))
    assert ours.tolist() == theirs


def test_aupro():
    rng = np.random.default_rng(0)
    maps = rng.random((6, 48, 48)).astype(np.float32)
    masks = np.zeros(maps.shape, bool)
    masks[1, 4:9, 5:20] = masks[2, 30:40, 30:33] = masks[2, 2:4, 2:4] = masks[4, 20:30, 20:30] = True
    maps[masks] += 0.3 * rng.random(masks.sum())
    theirs = float(_AUPRO(fpr_limit=0.3)(torch.from_numpy(maps), torch.from_numpy(masks).int()))
    assert aupro(maps, masks) == pytest.approx(theirs, abs=1e-5)  # theirs adds up 14,000 points in float32
