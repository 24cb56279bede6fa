"""The training recipe: its towers are open_clip's, its losses mean what they say, and a stopped run goes on."""

import json
import math

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from recipe import model, muon, pairs, scenes, training

import refclip
from refclip.vit import sliding_windows


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder as `fetch.prepare` leaves it, with three discs in it and one photograph, of noise."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    things = np.zeros((3, 128, 128, 4), np.uint8)
    things[..., :3] = rng.integers(40, 220, (3, 1, 1, 3))
    things[..., 3] = 255 * (np.hypot(y - 64, x - 64) < 60)
    np.savez(folder / "things.npz", pixels=things, name=np.array(["red disc", "disc", "plate"]),
             tags=np.array(["", "", "dish"]), split=np.array(["train", "train", "held-out name"]),
             style=np.array(["drawn"] * 3))  # fmt: skip
    np.savez(folder / "photos.npz", pixels=rng.integers(0, 255, (1, 256, 256, 3), dtype=np.uint8),
             name=np.array(["gravel"]), split=np.array(["train"]))  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """The same on every processor."""
    monkeypatch.setattr(model, "HALF", False)


@pytest.fixture(scope="module")
def batch(data):
    return pairs.batch(np.random.default_rng(1), scenes.load(data), 4, extra=3)


@pytest.fixture(scope="module")
def clip():
    return model.build(0).eval()


def test_only_the_training_split_is_loaded(data):
    assert list(scenes.load(data).names) == ["red disc", "disc"]


def test_whole_view_and_texts_are_open_clips(clip, batch):
    pixels = model.normalise(batch.images)
    with torch.no_grad():
        whole = model.view(clip, model.patches(clip, pixels), model.window_ids(batch.corners[15], 15))[0][:, 0]
        expected = clip.encode_image(pixels, normalize=True)
        said = model.texts(clip, batch.captions)
        expected_said = clip.encode_text(torch.from_numpy(batch.captions), normalize=True)
    # float32 through 6 and 4 blocks, in another order of operations
    torch.testing.assert_close(whole, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(said, expected_said, atol=2e-6, rtol=0)


def test_windows_are_refclips(clip, batch, tmp_path):
    """What is trained is what the library runs: the same windows, from the exported float16 weights."""
    run = training.begin(0)
    training.save(run, tmp_path, step=0, spent=0.0, seed=0, finished=True)
    library = refclip.load(training.export(tmp_path))
    half = model.build(0)
    with torch.no_grad():
        for p in half.parameters():
            p.copy_(p.half().float())
        pixels = model.normalise(batch.images[:2])
        x = model.patches(half, pixels)
        for side in (2, 3):
            windows = sliding_windows((15, 15), side)
            expected, _ = model.view(half, x, torch.tensor(windows)[None].expand(2, -1, -1))
            found = refclip.encode_windows(library, pixels.numpy(), windows, normalize=True)
            np.testing.assert_allclose(found, expected.numpy(), atol=3e-6)  # float32, other order of operations


def test_products_in_bfloat16_are_the_same_but_for_its_rounding(clip, batch, monkeypatch):
    """Emulated where the processor has no instructions for it: slow, and the same numbers."""
    monkeypatch.setattr(model, "HALF", True)
    with torch.no_grad():
        said = model.texts(clip, batch.captions)
        monkeypatch.setattr(model, "HALF", False)
        exact = model.texts(clip, batch.captions)
    assert said.dtype == torch.float32
    assert float((said - exact).abs().max()) > 0  # or nothing was tested
    # 8 bits of mantissa through 4 blocks, on unit vectors: cosines of 0.9995 and more
    assert float((said * exact).sum(-1).min()) > 0.9995


def test_positions_begin_as_waves():
    """Of any two patches, the positions say how far apart they are, and nothing else."""
    x = model.waves(15, 192).reshape(15, 15, 192)
    near, far = (x[3, 4] * x[3, 5]).sum(), (x[3, 4] * x[3, 12]).sum()
    assert near > far
    torch.testing.assert_close((x[3, 4] * x[5, 9]).sum(), (x[10, 2] * x[12, 7]).sum())  # the same step elsewhere
    torch.testing.assert_close((x * x).sum(-1), torch.full((15, 15), 96.0))  # sin^2 + cos^2, 48 of each axis


def test_whitened_patches(data):
    """Every component of a patch that stands out of the noise varies as much as any other."""
    images = pairs.batch(np.random.default_rng(2), scenes.load(data), 16).images
    clip = model.build(0)
    model.whiten(clip, images, floor=0.01)
    with torch.no_grad():
        x = clip.visual.conv1(model.normalise(images)).flatten(2).transpose(1, 2).flatten(0, 1)  # [b 225, 192]
        second = (x.T @ x / len(x)).numpy()
        plain = torch.nn.functional.unfold(model.normalise(images), 8, stride=8).transpose(1, 2).flatten(0, 1)
    variance = np.linalg.eigvalsh((plain.T @ plain / len(plain)).double().numpy())[::-1]
    # filters of up to 10 in float32, times values of up to 2, summed over 192
    np.testing.assert_allclose(second, np.diag(variance / (variance + 0.01)), atol=1e-3)


def test_the_probe_is_asked_only_what_can_be_told(batch):
    """Against loops; a patch that is hardly damaged, a cell on the edge, a picture with two kinds: not asked."""
    rng = np.random.default_rng(3)
    ids = np.stack([rng.permutation(225)[:40] for _ in batch.images])
    logits = rng.normal(size=(*ids.shape, model.PROBED))
    found = model._probed(torch.from_numpy(logits), batch, torch.from_numpy(ids))
    odds = lambda x: math.log1p(math.exp(-x))  # noqa: E731  # -log of the logistic function
    where, thing, kind = [], [], []
    for i, row in enumerate(ids):
        for j, patch in enumerate(row):
            for c in range(16):
                asked, inside = batch.fine[i, patch, c], float(batch.thing[i, patch, c])
                x, y = logits[i, j, c], logits[i, j, 16 + c]
                if asked >= 0:
                    where.append(model.RARE * odds(x) if asked else odds(-x))
                thing.append(inside * odds(y) + (1 - inside) * odds(-y))
            if batch.kind[i] >= 0 and batch.cover[i].ravel()[patch] >= model.FEW:
                z = logits[i, j, 32:]
                kind.append(math.log(np.exp(z).sum()) - z[batch.kind[i]])
    assert len(kind) >= 3
    # the logits are rounded to float32
    assert float(found["where"]) == pytest.approx(np.mean(where), rel=1e-5)
    assert float(found["thing"]) == pytest.approx(model.THING * np.mean(thing), rel=1e-5)
    assert float(found["kind"]) == pytest.approx(model.KIND * np.mean(kind), rel=1e-5)


def test_contrast_against_a_loop():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 6))
    same = np.eye(4, 6, dtype=bool)
    same[0, 2] = same[2, 0] = same[1, 5] = True

    def loss(values, own, excluded):
        rivals = [v for v, out in zip(values, excluded, strict=True) if not out]
        return -math.log(math.exp(values[own]) / sum(map(math.exp, rivals)))

    excluded = same & ~np.eye(4, 6, dtype=bool)
    rows = [loss(logits[i], i, excluded[i]) for i in range(4)]
    columns = [loss(logits[:, i], i, excluded[:, i]) for i in range(4)]
    found = model._contrast(torch.from_numpy(logits), torch.from_numpy(same))
    assert float(found) == pytest.approx((np.mean(rows) + np.mean(columns)) / 2, rel=1e-12)


@pytest.mark.parametrize("whole", [True, False])
def test_losses_know_the_truth(clip, batch, whole):
    """A state loss is a cross-entropy: with the truth turned around, the two add up to log 4 or more."""

    def of(batch):
        torch.manual_seed(0)
        with torch.no_grad():
            return model.losses(clip, torch.nn.Linear(192, model.PROBED), batch, whole)

    terms = of(batch)
    views = [f"{loss}_{side}" for loss in ("state", "order") for side in (2, 3, 6, "whole")]
    assert set(terms) == {"contrast", "where", "thing", "kind", *views}
    turned = of(batch._replace(truth={k: np.where(v < 0, v, 1 - v) for k, v in batch.truth.items()}))
    assert float(terms["contrast"]) == float(turned["contrast"])
    for side in (2, 3, 6, "whole"):
        # -log sigmoid(x) - log sigmoid(-x) >= 2 log 2, equal where the logit is 0
        assert float(terms[f"state_{side}"] + turned[f"state_{side}"]) >= 2 * math.log(2) - 1e-6
    assert float(terms.total) == pytest.approx(sum(float(v) for v in terms.values()), rel=1e-6)


def test_order_against_a_loop():
    """Every damaged view of a thing against every flawless one of either copy; what is not asked is in no couple."""
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(size=(6, 5)), rng.integers(-1, 2, (6, 5))
    truth[:3] = np.minimum(truth[:3], 0)  # the flawless copies come first
    truth[5] = -1  # a thing whose damage is in no view
    things = []
    for i in range(3):
        views = [(logits[j, k], truth[j, k]) for j in (i, i + 3) for k in range(5)]
        couples = [math.log1p(math.exp(good - bad)) for bad, t in views if t == 1 for good, u in views if u == 0]
        things += [np.mean(couples)] if couples else []
    assert len(things) == 2
    found = model._order(torch.from_numpy(logits), torch.from_numpy(truth))
    assert float(found) == pytest.approx(np.mean(things), rel=1e-7)  # the couples are counted in float32
    nothing = model._order(torch.from_numpy(logits), torch.zeros(6, 5))
    assert float(nothing) == 0


@pytest.mark.parametrize("shape", [(64, 64), (96, 32), (32, 128)])
def test_orthogonal(shape):
    torch.manual_seed(1)
    g = torch.randn(shape)
    values = torch.linalg.svdvals(muon.orthogonal(g))
    assert float(values.min()) > 0.5  # the quintic leaves them near 1, not at it: 0.7 to 1.2, less for the smallest
    assert float(values.max()) < 1.3
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    assert float(((u @ v) * muon.orthogonal(g)).sum() / values.sum()) > 0.95  # and the directions are kept


def test_loss_falls_and_a_stopped_run_goes_on(data, tmp_path, monkeypatch):
    """Twelve steps at once, or seven and then five from the checkpoint: the same weights; and the loss falls."""
    monkeypatch.setattr(training, "WARM_UP", 4)
    kw = {"steps": 12, "count": 4}
    assert training.train(data, tmp_path / "whole", **kw)

    monkeypatch.setattr(training, "CHECKPOINT", 0)  # after every step

    class Stop(Exception):
        pass

    real = training._step

    def until_seven(run, batch, step, part, rate):
        if step == 7:
            raise Stop
        return real(run, batch, step, part, rate)

    monkeypatch.setattr(training, "_step", until_seven)
    with pytest.raises(Stop):
        training.train(data, tmp_path / "parts", **kw)
    monkeypatch.setattr(training, "_step", real)
    assert training.metadata(tmp_path / "parts" / "checkpoint.safetensors")["step"] == "7"
    assert training.train(data, tmp_path / "parts", **kw)
    one, two = (training.load_file(tmp_path / which / "checkpoint.safetensors") for which in ("whole", "parts"))
    assert one.keys() == two.keys()
    for key in one:
        # sums over two threads may round otherwise from run to run
        torch.testing.assert_close(one[key], two[key], atol=1e-5, rtol=1e-4)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 1
    with pytest.raises(ValueError, match="trained with seed 0, asked for 1"):
        training.train(data, tmp_path / "whole", seed=1, **kw)


def test_every_batch_is_new_and_the_same_in_another_run(data):
    """The batch of a step does not depend on where a run began, and none is seen twice."""
    kw = {"workers": 1, "count": 2, "steps": 20}
    whole = [b.images for b, _ in zip(training._batches(data, 3, 0, **kw), range(6), strict=False)]
    parts = [b.images for b, _ in zip(training._batches(data, 3, 4, **kw), range(2), strict=False)]
    for one, two in zip(whole[4:], parts, strict=True):
        np.testing.assert_array_equal(one, two)
    assert len({images.tobytes() for images in whole}) == 6


def test_a_training_begins_with_another_ones_weights(data, tmp_path):
    run = training.begin(5)
    training.save(run, tmp_path, step=9, spent=70.0, seed=5, finished=True, file="earlier")
    training.train(data, tmp_path / "new", steps=2, count=2, stop_after=0, start=tmp_path / "earlier.safetensors")
    saved = tmp_path / "new" / "checkpoint.safetensors"
    assert training.metadata(saved)["step"] == "0"  # stopped before its first step
    one, two = training.load_file(tmp_path / "earlier.safetensors"), training.load_file(saved)
    for key in one:
        np.testing.assert_array_equal(one[key].numpy(), two[key].numpy())
    other = dict(training.begin(0).model.named_parameters())
    assert any(bool((one[f"model/{key}"] != value).any()) for key, value in other.items())


def test_a_training_begins_with_exported_weights(data, tmp_path):
    run = training.begin(5)
    training.save(run, tmp_path, step=9, spent=70.0, seed=5, finished=True)
    exported = training.export(tmp_path)
    training.train(data, tmp_path / "new", steps=2, count=2, stop_after=0, start=exported)
    saved, half = (training.load_file(p) for p in (tmp_path / "new" / "checkpoint.safetensors", exported))
    for key, value in half.items():  # the average is what is exported, and both begin with it
        for part in ("model", "average"):
            np.testing.assert_array_equal(saved[f"{part}/{key}"].numpy(), value.float().numpy())


def test_a_start_that_is_neither_is_refused(data, tmp_path):
    other = tmp_path / "other.safetensors"
    training.save_file({"ln_final.bias": torch.zeros(128), "strange": torch.zeros(1)}, other)
    with pytest.raises(ValueError, match=r"other.safetensors: neither a checkpoint .* names differ .*give checkpoint"):
        training.train(data, tmp_path / "new", steps=2, count=2, start=other)


def test_a_smaller_rate_is_a_smaller_step(batch):
    """From the same weights a quarter of the rates goes a quarter of the way, in every parameter."""
    ways = []
    for rate in (1.0, 0.25):
        run = training.begin(0)
        before = [p.detach().clone() for p in run.model.parameters()]
        training._step(run, batch, 0, 0.0, rate)
        ways.append([p.detach() - b for p, b in zip(run.model.parameters(), before, strict=True)])
    assert any(float(way.abs().max()) > 1e-6 for way in ways[0])
    for whole, part in zip(*ways, strict=True):
        # a weight below 4 is rounded twice, by decay and step, by 1.2e-7 at most each, which counts four times and
        # once: 1.2e-6; a step at full rates is 5e-5 or more here, so that a rate off by a twentieth would be seen
        torch.testing.assert_close(4 * part, whole, atol=1.2e-6, rtol=1e-5)


def test_learns_one_batch(batch, monkeypatch):
    """Forty steps on one batch bring its windows and its captions well below chance, log 2 and log 11."""
    monkeypatch.setattr(training, "WARM_UP", 4)
    run = training.begin(0)
    for step in range(40):
        terms = training._step(run, batch, step, 0.5, 1.0)
    assert all(terms[f"state_{side}"] < 0.6 for side in (2, 3))
    assert terms["contrast"] < model.CONTRAST * math.log(11)


def test_export_is_what_open_clip_loads(tmp_path):
    run = training.begin(3)
    training.save(run, tmp_path, step=0, spent=0.0, seed=3, finished=True)
    training.export(tmp_path)
    config = json.loads((tmp_path / "refclip-mini.json").read_text())
    other = CLIP(**config["model_cfg"])
    tensors = training.load_file(tmp_path / "refclip-mini.safetensors")
    missing, unexpected = other.load_state_dict(tensors, strict=False)
    assert not missing
    assert not unexpected
    assert (tmp_path / "refclip-mini.safetensors").stat().st_size < 30e6
    assert not list(tmp_path.glob("*.tmp"))
