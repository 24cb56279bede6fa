"""VAND against its equations written out pixel by pixel; its learning against differences; runs that are killed.

The slow version takes from the library what open_clip's answers hold elsewhere: the towers, the prompt lists,
`preprocess`. All else it does with plain loops in float64.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import refclip
from refclip import saved
from refclip.checkpoint import WeightsError
from refclip.methods import vand, vand_fit
from refclip.methods.masks import packed_masks, usable
from refclip.methods.options import first_of
from refclip.methods.vand_fit import Batch, Training, begin, loss_of
from refclip.methods.vand_learned import Fitted, load, save
from refclip.methods.vand_options import DEFAULTS, Options, settled
from refclip.preprocess import Preprocess, preprocess
from refclip.prompts import STATES, TEMPLATES
from refclip.samples import Loaded, Sample
from refclip.tree import value_and_gradient
from tests import randomclip
from tests.devicearray import DeviceArray, upload

EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
STEP = 1e-6  # of central differences: off by its square, and rounding gives 1e-16 / 1e-6
SLOPE = 1e-7  # hence, relative to lengths of gradient and direction
ONE = {"templates": ("a photo of a {}.",)}  # 12 prompts in place of 420
OPTIONS = [
    {},
    {"templates": "vand", "states": "winclip"},
    {"normalize_prompts": False},
    {"temperature": 0.3},
    {"temperature": "clip"},
    {"softmax": "before"},
    {"aligned": False},
    {"softmax": "before", "aligned": False, "layers": (4,)},
    {"layers": (2, 3), "memory_layers": (1,)},
    {"underscores": False},
    {"resize": "shortest"},
    {"size": 56},
    {"image_fusion": "set"},
    {"image_fusion": "text"},
]


def named(options):
    return " ".join(f"{k}={v}" for k, v in options.items()) or "default"


def pictures():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 52 * 40 * 3).reshape(52, 40, 3).astype(np.uint8)
    return [rng.integers(0, 256, (45, 60, 3), dtype=np.uint8), ramp, rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)]


def fitted(clip, **options):
    """Projections that nobody learned."""
    o = settled(clip, first_of(Options(**options), DEFAULTS))
    about = saved.plain(saved.about_model(clip, "vand") | {"options": {}})
    return Fitted(begin(clip, o.layers, seed=3), about, [])


def samples(count=5):
    rng = np.random.default_rng(4)
    out = []
    for i in range(count):
        mask = np.zeros((44, 52), bool)
        label = i % 2
        mask[10:30, 8 : 20 + 4 * i] = label
        image = rng.integers(0, 120, (44, 52, 3), dtype=np.uint8)
        image[mask] += 100
        name = "metal_nut" if i < 3 else "wood"
        out.append(
            Loaded(Sample(Path(f"{i}.png"), label, None, name, "hole" if label else "good", "test"), image, mask)
        )
    return out


# --- the slow version ------------------------------------------------------------------------------------------------


def unit(x):
    length = math.sqrt(math.fsum(a * a for a in x))
    return [a / length for a in x]


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def slow_text(clip, name, o):
    name = name if o.underscores else name.replace("_", " ")
    templates = TEMPLATES[o.templates] if isinstance(o.templates, str) else o.templates
    prototypes = []
    for words in STATES[o.states]:
        prompts = [t.replace("{}", w.replace("{}", name)) for w in words for t in templates]
        each = [list(x) for x in refclip.encode_text(clip, prompts)]
        each = [unit(x) for x in each] if o.normalize_prompts else each
        prototypes.append(unit([math.fsum(column) / len(each) for column in zip(*each, strict=True)]))
    return prototypes


def slow_upsample(grid, size, aligned):
    """Bilinear, one pixel at a time."""
    (gh, gw), (height, width) = grid.shape, size
    out = np.empty(size)
    for i in range(height):
        for j in range(width):
            if aligned:
                y, x = i * (gh - 1) / (height - 1), j * (gw - 1) / (width - 1)
            else:
                y, x = max((i + 0.5) * gh / height - 0.5, 0), max((j + 0.5) * gw / width - 0.5, 0)
            top, left = min(int(y), gh - 1), min(int(x), gw - 1)
            below, right = min(top + 1, gh - 1), min(left + 1, gw - 1)
            dy, dx = y - top, x - left
            upper = grid[top, left] * (1 - dx) + grid[top, right] * dx
            lower = grid[below, left] * (1 - dx) + grid[below, right] * dx
            out[i, j] = upper * (1 - dy) + lower * dy
    return out


def slow_probability(logits):
    """Of the second of two."""
    top = max(logits)
    normal, abnormal = (math.exp(z - top) for z in logits)
    return abnormal / (normal + abnormal)


def slow_layer(tokens, projection, text, *, tau, grid, size, o):
    """One layer's map of one image."""
    w, b = projection
    logits = [
        [dot(unit([dot(row, x) + c for row, c in zip(w, b, strict=True)]), g) / tau for g in text] for x in tokens
    ]
    logits = np.array(logits).reshape(*grid, 2)
    if o.softmax == "before":
        p = np.array([[slow_probability(z) for z in row] for row in logits])
        return slow_upsample(p, size, o.aligned)
    normal, abnormal = (slow_upsample(logits[..., c], size, o.aligned) for c in range(2))
    return np.array(
        [[slow_probability(z) for z in zip(*rows, strict=True)] for rows in zip(normal, abnormal, strict=True)]
    )


def slow_vand(clip, images, *, name, given, learned, references=()):
    o = settled(clip, first_of(Options(**given), DEFAULTS))
    tau = 1 / clip.logit_scale if o.temperature == "clip" else o.temperature
    config = Preprocess((o.size, o.size), o.resize, mean=clip.preprocess.mean, std=clip.preprocess.std)
    text, layers = slow_text(clip, name, o), sorted({*o.layers, *o.memory_layers})

    def tokens(images):
        pixels, _ = preprocess(images, config)
        out = refclip.encode_tokens(clip, pixels.astype(np.float64), layers=layers)
        return out.embedding, {n: x[:, 1:] for n, x in out.taps.items()}

    grid, size = (o.size // 8, o.size // 8), (o.size, o.size)
    image, patches = tokens(images)
    scores, maps = [], []
    for i in range(len(images)):
        scores.append(slow_probability([dot(unit(list(image[i])), g) / tau for g in text]))
        maps.append(
            sum(
                slow_layer(patches[n][i], learned.projections[n], text, tau=tau, grid=grid, size=size, o=o)
                for n in o.layers
            )
        )
    if references:
        _, theirs = tokens(references)
        for i in range(len(maps)):
            for n in o.memory_layers:
                memory = [unit(list(r)) for one in theirs[n] for r in one]
                far = [min(1 - dot(unit(list(x)), r) for r in memory) for x in patches[n][i]]
                maps[i] += slow_upsample(np.array(far).reshape(grid), size, o.aligned)
        most = [map.max() for map in maps]
        if o.image_fusion == "bound":
            brought = [m / (len(o.layers) + 2 * len(o.memory_layers)) for m in most]
        else:
            brought = [(m - min(most)) / (max(most) - min(most)) for m in most]
        if o.image_fusion != "text":
            scores = [(p + m) / 2 for p, m in zip(scores, brought, strict=True)]
    return np.array(scores), np.array(maps)


def run(clip, images, given, learned, references=()):
    state = vand.prepare(clip, "metal_nut", learned=learned, **given)
    context = vand.extract(state, references) if references else None
    return vand.score(state, vand.extract(state, images), context)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_equations(small, options):
    given = ONE | {"layers": (1, 3), "memory_layers": (2, 4)} | options
    learned, images = fitted(small, layers=(1, 2, 3, 4)), pictures()
    for references in [images[2:]] if options else [(), images[1:]]:
        out = run(small, images[:2], given, learned, references)
        score, map = slow_vand(
            small, images[:2], name="metal_nut", given=given, learned=learned.learned, references=references
        )
        np.testing.assert_allclose(out.map, map, **EXACT)
        np.testing.assert_allclose(out.score, score, **EXACT)


def test_an_image_is_no_distance_from_itself(small):
    learned, images = fitted(small), pictures()
    zero, few = (run(small, images[:1], ONE, learned, r) for r in ((), images[:1]))
    np.testing.assert_allclose(few.map, zero.map, **EXACT)
    assert run(small, images[:1], ONE, learned, images[1:2]).map.max() > zero.map.max() + 0.01


def test_features_must_have_what_is_compared(small):
    learned, images = fitted(small, layers=(1, 2)), pictures()
    few = vand.prepare(small, learned=learned, memory_layers=(4,), **ONE)
    without = vand.extract(vand.prepare(small, learned=learned, memory_layers=(1,), **ONE), images)
    assert vand.score(few, without).map.shape == (3, 40, 40)
    with pytest.raises(ValueError, match=r"features: extracted for layers \(1, 2\), not for \[4\]"):
        vand.score(few, without, vand.extract(few, images))
    with pytest.raises(ValueError, match=r"references: .* not for \[4\]"):
        vand.score(few, vand.extract(few, images), without)


def slow_loss(learned, batch, o, *, terms, form, tau):
    """Focal with gamma 2 and the program's softening, Dice on the abnormal map, each layer."""
    total = 0.0
    for n, projection in learned.projections.items():
        focal, dice, size = [], [], batch.mask.shape[1:]
        for tokens, text, mask in zip(batch.tokens[n], batch.text, batch.mask, strict=True):
            p = slow_layer(tokens, projection, text, tau=tau, grid=batch.grid, size=size, o=o)
            own = np.where(mask > 0, p, 1 - p)
            q = (1 - 1e-5) * own + 1e-5 * (1 - own) + 1e-5
            focal.append((-((1 - q) ** 2) * np.log(q)).mean())
            below = (p**2 + mask**2).sum() if form == "squared" else p.sum() + mask.sum()
            dice.append((2 * (p * mask).sum() + 1) / (below + 1))
        total += np.mean(focal) * ("focal" in terms) + (1 - np.mean(dice)) * ("dice" in terms)
    return total


def a_batch(clip, rng):
    """Two images' tokens, texts of two objects."""
    d, e = clip.vision.proj.shape
    text = rng.normal(size=(2, 2, e))
    text /= np.linalg.norm(text, axis=-1, keepdims=True)
    mask = np.zeros((2, 40, 40))
    mask[0, 5:20, 10:30] = 1
    return Batch({n: rng.normal(size=(2, 25, d)) for n in (2, 4)}, text, mask, (5, 5))


@pytest.mark.parametrize("terms", [("focal", "dice"), ("focal",), ("dice",)], ids="+".join)
@pytest.mark.parametrize("form", ["plain", "squared"])
def test_the_loss_and_its_gradient(small, terms, form):
    """Against the equations, and against central differences in random directions."""
    rng = np.random.default_rng(7)
    batch, learned, tau = a_batch(small, rng), begin(small, (2, 4), seed=5), 0.1
    o, t = settled(small, DEFAULTS), Training(terms=terms, dice=form)
    value, gradient = value_and_gradient(lambda p: loss_of(p, batch, o, t, tau), learned)
    np.testing.assert_allclose(
        value, slow_loss(learned, batch, o, terms=terms, form=form, tau=tau), rtol=1e-12
    )  # float64
    for (name, g), (_, x) in zip(saved.named(gradient), saved.named(learned), strict=True):
        u, kept = rng.normal(size=g.shape), x.copy()
        found = []
        for sign in (1, -1):
            x[:] = kept + sign * STEP * u
            found.append(float(loss_of(learned, batch, o, t, tau)))
        x[:] = kept
        numeric = (found[0] - found[1]) / (2 * STEP)
        assert abs((g * u).sum() - numeric) < SLOPE * (1 + np.linalg.norm(g) * np.linalg.norm(u)), name


QUICK = Training(epochs=2, batch=2, rate=1e-2)


def test_learning_lowers_the_loss_and_is_a_function_of_its_seed(small, tmp_path):
    fits = [vand_fit.fit(small, samples(), t, **ONE) for t in (QUICK, QUICK, QUICK._replace(seed=112))]
    for i, one in enumerate(fits):
        save(tmp_path / f"{i}", one)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()
    longer = vand_fit.fit(small, samples(), QUICK._replace(epochs=8), **ONE)
    assert longer.curve[:2] == fits[0].curve
    assert longer.curve[-1] < 0.8 * longer.curve[0]


@pytest.mark.parametrize("last", [1, 3, 4])
def test_a_run_that_was_stopped_ends_in_the_same_bytes(small, tmp_path, last):
    whole = vand_fit.fit(small, samples(), QUICK, **ONE)
    save(tmp_path / "whole", whole)

    def stop(step, value):
        if step == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vand_fit.fit(small, samples(), QUICK, checkpoint=tmp_path / "half", tell=stop, **ONE)
    told = []
    rest = vand_fit.fit(
        small, samples(), QUICK, checkpoint=tmp_path / "half", tell=lambda step, value: told.append(step), **ONE
    )
    assert told == list(range(last + 1, 7))  # 5 images in batches of 2, twice
    save(tmp_path / "rest", rest)
    assert (tmp_path / "rest").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_checkpoint_of_other_choices_is_refused(small, tmp_path):
    vand_fit.fit(small, samples(), QUICK._replace(epochs=1), checkpoint=tmp_path / "c", **ONE)
    with pytest.raises(WeightsError, match=r"training .*epochs.* 1"):
        vand_fit.fit(small, samples(), QUICK, checkpoint=tmp_path / "c", **ONE)
    with pytest.raises(WeightsError, match=r"data .*images"):
        vand_fit.fit(small, samples(4), QUICK._replace(epochs=1), checkpoint=tmp_path / "c", **ONE)


def test_a_checkpoint_of_other_masks_is_refused(small, tmp_path):
    some = samples()
    vand_fit.fit(small, some, QUICK._replace(epochs=1), checkpoint=tmp_path / "c", **ONE)
    (i,) = [i for i, one in enumerate(some) if one.sample.label][:1]
    drawn = [one._replace(mask=~one.mask) if j == i else one for j, one in enumerate(some)]
    with pytest.raises(WeightsError, match="data "):
        vand_fit.fit(small, drawn, QUICK._replace(epochs=1), checkpoint=tmp_path / "c", **ONE)


def test_a_file_brings_its_choices_and_knows_its_model(small, tmp_path):
    one = vand_fit.fit(small, samples(), QUICK, layers=(2, 3), aligned=False, size=56, **ONE)
    save(tmp_path / "v.safetensors", one)
    read = load(small, tmp_path / "v.safetensors")
    assert read.curve == one.curve
    assert read.about == one.about
    np.testing.assert_array_equal(read.learned.projections[3].weight, one.learned.projections[3].weight)
    state = vand.prepare(small, "wood", learned=str(tmp_path / "v.safetensors"))
    o = state.options
    assert (o.layers, o.aligned, o.size, o.templates) == ((2, 3), False, 56, ONE["templates"])
    assert vand.prepare(small, learned=read, aligned=True, layers=(3,)).options.aligned
    with pytest.raises(ValueError, match=r"learned for \(2, 3\), not \[1\]"):
        vand.prepare(small, learned=read, layers=(1,))
    other = refclip.load(randomclip.write(tmp_path / "other", "small", seed=2))
    with pytest.raises(WeightsError, match="learned behind other weights"):
        vand.prepare(other, learned=tmp_path / "v.safetensors")
    with pytest.raises(ValueError, match="refclip train vand"):
        vand.prepare(small)


@pytest.mark.parametrize(
    "options", [{"softmax": "never"}, {"size": 41}, {"layers": (9,)}, {"image_fusion": "max"}], ids=named
)
def test_what_cannot_be_is_refused(small, options):
    (key,) = options
    with pytest.raises(ValueError, match=key):
        vand.prepare(small, learned=fitted(small), **options)


def test_images_without_masks_are_left_out(small):
    some = samples()
    unmasked = [one._replace(mask=None) if one.sample.label else one for one in some]
    with pytest.raises(ValueError, match="no mask of a defect"):
        usable(unmasked, lambda text: None)
    told = []
    assert len(usable([*some, unmasked[1]], told.append)) == 5
    assert told == ["1 images without a mask are left out"]


def test_masks_come_down_to_the_input(small):
    """A pixel counts from the asked share of its area on."""
    mask = np.zeros((80, 80), bool)
    mask[:41, :] = True  # the 21st row of 40 is half covered
    one = Loaded(Sample(Path("a"), 1, None, "x", "hole", "test"), np.zeros((80, 80, 3), np.uint8), mask)
    _, geometry = preprocess([one.image], Preprocess((40, 40), "squash"))
    for share, rows in ((0.5, 21), (0.51, 20)):
        found = packed_masks([one], geometry, share)([0, 0])
        assert found.shape == (2, 40, 40)
        assert found[1].sum(axis=0).tolist() == [rows] * 40


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"options": None}, "make no sense"),
        ({"options": {"size": "wide"}}, "make no sense"),
        ({"options": {"states": {"normal": []}}}, "make no sense"),
        ({"options": {"layers": [1, 2, 9]}}, "make no sense"),
        ({"options": {"layers": [1]}}, r"projections\.1\.weight: found no such tensor"),
        ({"options": {"layers": [2]}}, "has no place in layers"),
        ({"curve": "rising"}, "make no sense"),
    ],
    ids=str,
)
def test_a_file_whose_metadata_lie_is_refused(small, tmp_path, wrong, match):
    one = fitted(small, layers=(2, 3))
    saved.save(tmp_path / "a", one.learned, one.about | {"options": {"layers": [2, 3]}} | wrong)
    with pytest.raises(WeightsError, match=match):
        load(small, tmp_path / "a")


def test_on_the_device(small):
    """Learning and scoring, with and without references: the same numbers as on the host."""
    answers = []
    for clip in (small, upload(small)):
        one = vand_fit.fit(clip, samples(), QUICK, **ONE)
        state = vand.prepare(clip, "wood", learned=one)
        features = vand.extract(state, pictures())
        answers.append((one, vand.score(state, features), vand.score(state, features, features)))
    (host, *scores), (device, *others) = answers
    for (name, a), (_, b) in zip(saved.named(host.learned), saved.named(device.learned), strict=True):
        assert isinstance(b, DeviceArray)
        np.testing.assert_allclose(b.get(), a, err_msg=name, **EXACT)
    np.testing.assert_allclose(device.curve, host.curve, **EXACT)
    for a, b in zip(scores, others, strict=True):
        np.testing.assert_allclose(b.map, a.map, **EXACT)
        np.testing.assert_allclose(b.score, a.score, **EXACT)
