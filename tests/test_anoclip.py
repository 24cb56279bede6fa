"""AnoCLIP and AnoVL against their definitions, one pixel, one patch and one weight at a time.

The slow version takes from the library what other tests hold: the towers with the v-v path beside them, the texts'
embeddings, state words, `preprocess`. Views, prompts, means, maps and the adaptation are written out again, in
float64; the adaptation's gradient is the complex step's, which needs no calculus and loses no digits.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from PIL import Image

import refclip
from refclip.methods import anoclip, anoclip_adapt, augment
from refclip.nn import Linear
from refclip.preprocess import Preprocess, preprocess
from refclip.prompts import ANOVL_STATES, STATES, TEMPLATES, States
from refclip.prompts_anovl import DOMAINS, domain_templates
from refclip.transformer import Dual
from refclip.zeroshot import prototypes
from tests.devicearray import DeviceArray, devicexp, upload
from tests.test_winclip import EXACT, NAME, SINGLE, dot, named, pictures, unit

# The adaptation's gradient is exact on both sides, but AdamW divides it by its own size: where it is small, what
# rounding leaves of it (1e-16) grows by up to 1 / epsilon = 1e8, times the step of 1e-3
ADAPTED = {"rtol": 0, "atol": 1e-8}
FEW = ("a photo of a {}.", "{}")  # 2 templates x 7 states: 28 prompts, so that 5 steps are quick to take slowly
SHORT = {"templates": FEW, "views": 1}


def run(clip, images, name=NAME, **options):
    state = anoclip.prepare(clip, name, **options)
    return anoclip.score(state, anoclip.extract(state, images))


# --- the slow version ------------------------------------------------------------------------------------------------


def slow_templates(name):
    """List B of the facts, a sentence at a time, in the words of the domain."""
    surfaces = name in ("carpet", "leather", "grid", "tile", "wood")
    own = ("textural photo", "surface picture") if surfaces else ("industrial image", "manufacturing image")
    for phrase in ("industrial photo", *own):
        article = "an" if phrase[0] in "aeiou" else "a"
        for kind in ("cropped", "close-up", "bright", "dark", "jpeg corrupted", "blurry"):
            yield from (f"a {kind} {phrase} of {which} {{}}" for which in ("a", "the"))
        for which in ("a", "the"):
            yield f"{article} {phrase} of {which} {{}}"
            yield from (f"{article} {phrase} of {which} {size} {{}}" for size in ("small", "large"))
            yield from (
                f"{article} {phrase} of {which} {{}} for {aim}" for aim in ("visual inspection", "anomaly detection")
            )


def slow_text(clip, name, o):
    """The two prototypes, and every prompt at length 1."""
    states = STATES[o.states] if isinstance(o.states, str) else o.states
    templates = list(slow_templates(name)) if o.templates == "anovl" else o.templates
    name = {"macaroni1": "macaroni", "macaroni2": "macaroni"}.get(name, name)
    name = name if o.underscores else name.replace("_", " ")
    text, each = [], []
    for words in states:
        prompts = [t.replace("{}", w.replace("{}", name)) for w in words for t in templates]
        embedded = refclip.encode_text(clip, prompts).tolist()
        units = [unit(x) for x in embedded]
        each += units
        some = units if o.normalize_prompts else embedded
        text.append(unit([math.fsum(column) / len(some) for column in zip(*some, strict=True)]))
    return text, each


def slow_p(x, text, tau):
    normal, abnormal = (math.exp(dot(unit(x), g) / tau) for g in text)
    return abnormal / (normal + abnormal)


def slow_look(x, place):
    """The view of an image [3, H, W] that shows at (x, y) what the image has at place(x, y), both from -1 to 1."""
    _, height, width = x.shape
    out = np.zeros_like(x)
    for i, j in itertools.product(range(height), range(width)):
        u, v = place(2 * j / (width - 1) - 1, 2 * i / (height - 1) - 1)
        at = []
        for share, n in ((v, height), (u, width)):
            place_on = (share + 1) / 2 * (n - 1)
            while not -1e-9 <= place_on <= n - 1 + 1e-9:  # bounced off the edges until it is inside
                place_on = -place_on if place_on < 0 else 2 * (n - 1) - place_on
            at.append(min(max(place_on, 0.0), n - 1.0))
        (y0, x0), (dy, dx) = (int(a) for a in at), (a % 1 for a in at)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        above = x[:, y0, x0] * (1 - dx) + x[:, y0, x1] * dx
        below = x[:, y1, x0] * (1 - dx) + x[:, y1, x1] * dx
        out[:, i, j] = above * (1 - dy) + below * dy
    return out


def slow_views(x):
    """22 of them, of one square image."""
    yield x
    for degrees in (-45, -33.75, -22.5, -11.25, 11.25, 22.5, 33.75, 45):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        yield slow_look(x, lambda u, v, c=c, s=s: (c * u - s * v, s * u + c * v))
    for far in (0.2, 0.1):
        for a, b in ((far, far), (-far, far), (-far, -far), (far, -far)):
            yield slow_look(x, lambda u, v, a=a, b=b: (u + a, v + b))
    yield x[:, :, ::-1]
    yield np.stack([0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]] * 3)
    yield from (np.rot90(x, k, axes=(1, 2)) for k in (1, 2, 3))


def slow_loss(clean, noisy, p, each, text, *, tau):
    """The loss of one layer, its weights real or complex, from its definition."""
    weight, bias = p

    def probabilities(x):
        length = np.sqrt((x * x).sum(axis=1))
        h = np.einsum("oi,gi->go", weight, x / length[:, None]) + bias
        z = x / 2 + (h if each is None else np.tanh(h) @ each) / 2
        cosines = np.einsum("ge,ce->gc", z, text) / np.sqrt((z * z).sum(axis=1))[:, None]  # no conjugates: analytic
        e = np.exp(cosines / tau)
        return e[:, 0] / (e[:, 0] + e[:, 1]), e[:, 1] / (e[:, 0] + e[:, 1])

    (normal, abnormal), (_, fooled) = probabilities(clean), probabilities(noisy)
    entropy = -(normal * np.log(normal) + abnormal * np.log(abnormal))
    return (entropy + 0.5 * (-np.log(fooled) - np.log(normal))).sum() / len(clean)


def slow_gradient(clean, noisy, p, each, text, *, tau):
    """df/dw = Im f(w + i h) / h, for each weight and bias."""
    out = []
    for i, which in enumerate(p):
        gradient = np.zeros(which.shape)
        for place in np.ndindex(which.shape):
            moved = [x.astype(complex) for x in p]
            moved[i][place] += 1e-30j
            gradient[place] = slow_loss(clean, noisy, moved, each, text, tau=tau).imag / 1e-30
        out.append(gradient)
    return out


def slow_adapt(x, each, text, o, tau):
    """AdamW as in its paper's algorithm 2, on a layer begun as torch begins one."""
    x, text = np.asarray(x), np.asarray(text)
    each = np.asarray(each) if o.adapter == "prompts" else None
    rng, e = np.random.default_rng(o.seed), x.shape[1]
    k = e if each is None else len(each)
    theta = [rng.uniform(-1 / math.sqrt(e), 1 / math.sqrt(e), shape) for shape in ((k, e), (k,))]
    m, v = ([np.zeros(t.shape) for t in theta] for _ in range(2))
    for t in range(1, o.steps + 1):
        gradient = slow_gradient(x, x + rng.normal(0, o.noise, x.shape), theta, each, text, tau=tau)
        for i, g in enumerate(gradient):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            m_hat, v_hat = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            theta[i] = theta[i] - o.learning_rate * (m_hat / (np.sqrt(v_hat) + 1e-8) + 0.01 * theta[i])
    h = [theta[0] @ np.asarray(unit(one)) + theta[1] for one in x]
    return [one / 2 + (a if each is None else np.tanh(a) @ each) / 2 for one, a in zip(x, h, strict=True)]


def slow_smooth(grid, side):
    out = np.zeros_like(grid)
    for i, j in np.ndindex(grid.shape):
        near = range(-(side // 2), side // 2 + 1)
        inside = [[min(max(a + d, 0), n - 1) for d in near] for a, n in zip((i, j), grid.shape, strict=True)]
        out[i, j] = sum(grid[y, x] for y in inside[0] for x in inside[1]) / side**2
    return out


def slow_enlarge(grid, size, align_corners):
    out = np.zeros(size)
    for place in np.ndindex(size):
        at = []
        for a, n, m in zip(place, grid.shape, size, strict=True):
            at.append(a * (n - 1) / (m - 1) if align_corners else min(max((a + 0.5) * n / m - 0.5, 0.0), n - 1.0))
        (y0, x0), (dy, dx) = (int(a) for a in at), (a % 1 for a in at)
        y1, x1 = min(y0 + 1, grid.shape[0] - 1), min(x0 + 1, grid.shape[1] - 1)
        above = grid[y0, x0] * (1 - dx) + grid[y0, x1] * dx
        below = grid[y1, x0] * (1 - dx) + grid[y1, x1] * dx
        out[place] = above * (1 - dy) + below * dy
    return out


def slow_anoclip(clip, images, name, options):
    o = anoclip.Options(**options)
    text, each = slow_text(clip, name, o)
    tau = 1 / clip.logit_scale if o.temperature == "clip" else o.temperature
    scores, maps = [], []
    for image in images:
        config = Preprocess(clip.preprocess.size, o.resize, o.interpolation)
        x = preprocess(image, config)[0][0].astype(np.float64)
        grid = x.shape[1] // clip.vision.patch_size, x.shape[2] // clip.vision.patch_size
        views = list(slow_views(x)) if o.views == 22 else [x]
        scores.append(sum(slow_p(refclip.encode_image(clip, v[None])[0], text, tau) for v in views) / len(views))
        depth = len(clip.vision.transformer.blocks)
        dual = None if o.attention is None else Dual(o.attention, o.first_block)
        patches = refclip.encode_tokens(clip, x[None], layers=[depth], dual=dual).patches[depth][0]
        if o.adapt:
            patches = slow_adapt(patches, each, text, o, tau)
        p = np.array([slow_p(token, text, tau) for token in patches]).reshape(grid)
        maps.append(slow_enlarge(slow_smooth(p, o.smooth), x.shape[1:], o.align_corners))
    return np.array(scores), np.array(maps)


# --- the method as a whole -------------------------------------------------------------------------------------------

# Every option with every kind of value. Used on the device too
OPTIONS = [
    SHORT,
    {"templates": FEW},
    SHORT | {"states": "winclip"},
    SHORT | {"states": States(("fine {}",), ("{} with a dent",))},
    SHORT | {"normalize_prompts": True},
    SHORT | {"temperature": 0.07},
    SHORT | {"temperature": "clip"},
    SHORT | {"attention": "q-q"},
    SHORT | {"attention": None},
    SHORT | {"first_block": 2},
    SHORT | {"smooth": 1},
    SHORT | {"smooth": 5},
    SHORT | {"align_corners": False},
    SHORT | {"underscores": False},
    SHORT | {"resize": "shortest"},
    SHORT | {"resize": "longest"},
    SHORT | {"interpolation": "bicubic"},
]
ADAPTING = [
    SHORT | {"adapt": True, "templates": ("{}",)},
    SHORT | {"adapt": True, "templates": ("{}",), "adapter": "linear", "steps": 2},
    SHORT | {"adapt": True, "states": "clip-ac", "steps": 3, "temperature": 0.07, "noise": 0.5},
    SHORT | {"adapt": True, "states": "clip-ac", "steps": 1, "learning_rate": 0.1, "seed": 5},
]


@pytest.fixture(scope="module")
def images():
    return pictures()


@pytest.fixture(scope="module")
def default(small, images):
    """With short templates and all the views."""
    state = anoclip.prepare(small, NAME, templates=FEW)
    features = anoclip.extract(state, images)
    return state, features, anoclip.score(state, features)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_definitions(small, images, options):
    out = run(small, images[:2], **options)
    score, map = slow_anoclip(small, images[:2], NAME, options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


@pytest.mark.parametrize("options", ADAPTING, ids=named)
def test_adaptation_against_its_definition(small, images, options):
    out = run(small, images[:1], **options)
    score, map = slow_anoclip(small, images[:1], NAME, options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **ADAPTED)
    without = run(small, images[:1], **options | {"adapt": False})
    assert np.abs(out.map - without.map).max() > 1e-5
    np.testing.assert_array_equal(out.score, without.score)


def test_the_published_prompts(small, images):
    """All 924, for a texture whose list is not the objects'."""
    options = {"views": 1}
    out = run(small, images[:1], "wood", **options)
    score, map = slow_anoclip(small, images[:1], "wood", options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


@pytest.mark.parametrize("size", [(24, 56), (16, 8), (43, 37)])
def test_grids_of_other_sizes(small, images, size):
    clip = small._replace(preprocess=small.preprocess._replace(size=size))
    out = run(clip, images[:1], **SHORT)
    score, map = slow_anoclip(clip, images[:1], NAME, SHORT)
    assert out.map.shape == (1, *size)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)
    assert run(clip, images[:1], templates=FEW, adapt=True, steps=1).map.shape == (1, *size)


# option -> what it is there to move; all else stays as it is
EFFECTS = {
    "states": ("winclip", {"score", "map"}),
    "templates": (("{}",), {"score", "map"}),
    "normalize_prompts": (True, {"score", "map"}),
    "temperature": (0.5, {"score", "map"}),
    "views": (1, {"score"}),
    "attention": ("q-k", {"map"}),
    "first_block": (1, {"map"}),
    "smooth": (1, {"map"}),
    "align_corners": (False, {"map"}),
    "adapt": (True, {"map"}),
    "underscores": (False, {"score", "map"}),
    "resize": ("shortest", {"score", "map"}),
    "interpolation": ("bicubic", {"score", "map"}),
}
OF_ADAPTATION = {"adapter": "linear", "steps": 4, "learning_rate": 0.01, "noise": 0.5, "seed": 1}


def moved(a, b):
    return {key for key in ("score", "map") if np.abs(getattr(a, key) - getattr(b, key)).max() > 1e-7}


@pytest.mark.parametrize("option", EFFECTS)
def test_every_option_moves_what_it_should_and_nothing_else(small, images, default, option):
    value, what = EFFECTS[option]
    out = run(small, images, **{"templates": FEW, option: value})
    assert moved(out, default[2]) == what


def test_options_of_the_adaptation_need_it(small, default):
    assert set(EFFECTS) | set(OF_ADAPTATION) == set(anoclip.Options._fields)
    base = anoclip.score(anoclip.prepare(small, NAME, templates=FEW, adapt=True), default[1])
    for option, value in OF_ADAPTATION.items():
        options = {"templates": FEW, option: value}
        assert moved(anoclip.score(anoclip.prepare(small, NAME, adapt=True, **options), default[1]), base) == {"map"}
        assert not moved(anoclip.score(anoclip.prepare(small, NAME, **options), default[1]), default[2])


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_domain_prompts():
    for name in ("wood", "metal_nut", None):
        templates = domain_templates("anovl", name)
        assert len(templates) == len(set(templates)) == 66
        assert sorted(templates) == sorted(slow_templates(name))
    assert domain_templates("anovl", "grid") == DOMAINS["anovl-textures"] == domain_templates("anovl-textures", "pcb1")
    assert domain_templates("vand", "grid") == TEMPLATES["vand"]
    # 22 base templates, 7 pairs of states (Dual-Image, section 4.1); 924 prompts in all
    assert 66 * sum(map(len, ANOVL_STATES)) == 924
    assert "an industrial photo of the small {}" in DOMAINS["anovl-objects"]
    assert "a manufacturing image of a {} for visual inspection" in DOMAINS["anovl-objects"]
    assert "a jpeg corrupted surface picture of a {}" in DOMAINS["anovl-textures"]


def test_prototypes_are_zeroshots(small):
    for normalize_prompts in (False, True):
        state = anoclip.prepare(small, "pill", templates=FEW, normalize_prompts=normalize_prompts)
        prompts = refclip.prompts.compose("pill", ANOVL_STATES, FEW)
        np.testing.assert_allclose(state.text, prototypes(small, prompts, normalize_prompts=normalize_prompts), **EXACT)
        np.testing.assert_allclose(np.linalg.norm(state.prompts, axis=1), 1, **EXACT)
        assert len(state.prompts) == 28


def test_names(small):
    texts = [anoclip.prepare(small, name, templates=("{}",)).text for name in ("macaroni1", "macaroni2", "macaroni")]
    np.testing.assert_array_equal(texts[0], texts[2])
    np.testing.assert_array_equal(texts[1], texts[2])
    unnamed, thing = (anoclip.prepare(small, name, templates=("{}",)).text for name in (None, "object"))
    np.testing.assert_array_equal(unnamed, thing)


# --- views -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(9, 9), (12, 12), (1, 1)])
def test_views_of_a_square(size):
    x = np.random.default_rng(3).normal(size=(2, 3, *size))
    kept = x.copy()
    views = [augment.grey(x) if v is None else augment.warp(x, v) for v in augment.VIEWS]
    np.testing.assert_array_equal(x, kept)
    assert len(views) == 21
    if size == (1, 1):
        assert all(np.array_equal(v, x) for v, m in zip(views, augment.VIEWS, strict=True) if m)
        return
    for i in range(2):
        for k, want in enumerate(itertools.islice(slow_views(x[i]), 1, None)):
            np.testing.assert_allclose(views[k][i], want, err_msg=str(k), **EXACT)
    for k in (16, 18, 19, 20):  # mirrored and quarter turns: pixels on pixels, to the last bit
        np.testing.assert_array_equal(np.sort(views[k].ravel()), np.sort(x.ravel()))


@pytest.mark.parametrize("size", [(7, 12), (16, 5)])
def test_views_of_a_rectangle(size):
    x = np.random.default_rng(4).normal(size=(1, 3, *size))
    for angle in (0.3, -2.0):
        c, s = math.cos(angle), math.sin(angle)
        want = slow_look(x[0], lambda u, v, c=c, s=s: (c * u - s * v, s * u + c * v))
        np.testing.assert_allclose(augment.warp(x, augment.turn(angle))[0], want, **EXACT)
    for far in (0.2, -1.3, 4.5):  # beyond one whole side it is reflected again
        want = slow_look(x[0], lambda u, v, far=far: (u + far, v - far))
        np.testing.assert_allclose(augment.warp(x, augment.move(far, -far))[0], want, **EXACT)
    np.testing.assert_array_equal(augment.warp(x, augment.MIRROR), x[:, :, :, ::-1])


def test_views_are_encoded_in_their_order(small, images, default):
    pixels = anoclip.pixels_of(default[0].clip, images[:2], "squash")[0]
    views = np.stack([next(itertools.islice(slow_views(pixels[1]), k, None)) for k in (0, 3, 12, 18, 21)])
    np.testing.assert_allclose(default[1].image[1, [0, 3, 12, 18, 21]], refclip.encode_image(small, views), **EXACT)


# --- adaptation ------------------------------------------------------------------------------------------------------


def problem(adapter, seed=0, g=5, e=6, k=4):
    rng = np.random.default_rng(seed)
    clean, noisy = rng.normal(size=(2, g, e)) * 3
    each, text = (np.array([unit(row) for row in rng.normal(size=(n, e))]) for n in (k, 2))
    each = each if adapter == "prompts" else None
    p = Linear(rng.normal(size=(e if each is None else k, e)), rng.normal(size=e if each is None else k))
    return clean, noisy, p, each, text


@pytest.mark.parametrize("temperature", [1.0, 0.07])
@pytest.mark.parametrize("adapter", ["prompts", "linear"])
def test_gradient(adapter, temperature):
    clean, noisy, p, each, text = problem(adapter)

    def both(p):
        return anoclip_adapt.loss_and_gradient(clean, noisy, p, each, text, temperature=temperature)

    loss, gradient = both(p)
    np.testing.assert_allclose(loss, slow_loss(clean, noisy, p, each, text, tau=temperature), rtol=1e-12)
    exact = slow_gradient(clean, noisy, p, each, text, tau=temperature)
    h = 1e-5
    for i, (given, want) in enumerate(zip(gradient, exact, strict=True)):
        assert np.abs(want).max() > 1e-3
        np.testing.assert_allclose(given, want, rtol=1e-10, atol=1e-13)  # rounding
        for place in np.ndindex(given.shape):
            sides = []
            for sign in (1, -1):
                parts = [x.copy() for x in p]
                parts[i][place] += sign * h
                sides.append(both(Linear(*parts))[0])
            # third derivatives times h^2, at tau = 0.07 up to 1e3 of them; and rounding over h, 1e-16 / 1e-5
            np.testing.assert_allclose((sides[0] - sides[1]) / (2 * h), given[place], rtol=1e-5, atol=1e-6)


def test_adamw_is_torchs():
    """Two steps by hand, of one weight and one bias: torch.optim.AdamW(lr=0.1) from 1 and -2, gradients 3 and 0."""
    p, none = Linear(np.ones((1, 1)), np.full(1, -2.0)), Linear(np.zeros((1, 1)), np.zeros(1))
    moments = anoclip_adapt.Moments(none, none)
    for step, slope in ((1, 3.0), (2, -1.0)):
        gradient = Linear(np.full((1, 1), slope), np.zeros(1))
        p, moments = anoclip_adapt.adamw(p, gradient, moments, step, 0.1)
    first = 1 * (1 - 0.1 * 0.01) - 0.1 * 3 / (3 + 1e-8)
    m, v = (0.9 * 0.3 - 0.1) / (1 - 0.81), (0.999 * 0.009 + 0.001) / (1 - 0.998001)
    np.testing.assert_allclose(p.weight[0, 0], first * (1 - 0.1 * 0.01) - 0.1 * m / (math.sqrt(v) + 1e-8), rtol=1e-12)
    np.testing.assert_allclose(p.bias[0], -2 * (1 - 0.001) ** 2, rtol=1e-12)  # no gradient: decay alone


def test_a_layer_begins_within_its_bound():
    p = anoclip_adapt.initial(50, 16, np.random.default_rng(0), np.zeros(1))
    assert p.weight.shape == (50, 16)
    assert p.bias.shape == (50,)
    for x in p:
        assert 0.2 < np.abs(x).max() <= 0.25  # 1 / sqrt(16)
    assert abs(p.weight.std() - 0.25 / math.sqrt(3)) < 0.01  # a uniform distribution's; 800 draws


@pytest.mark.parametrize("adapter", ["prompts", "linear"])
def test_adaptation_lowers_its_loss(adapter):
    clean, noisy, p, each, text = problem(adapter, seed=2)
    rates, losses = anoclip_adapt.Moments(*[Linear(np.zeros(p.weight.shape), np.zeros(p.bias.shape))] * 2), []
    for step in range(1, 40):
        loss, gradient = anoclip_adapt.loss_and_gradient(clean, noisy, p, each, text, temperature=1.0)
        losses.append(loss)
        p, rates = anoclip_adapt.adamw(p, gradient, rates, step, 0.02)
    assert losses[-1] < losses[0] - 0.02  # of 1.4; along the gradient it would rise


def test_adaptation_is_the_same_each_time_and_of_each_image_alone(small, images, default):
    state = anoclip.prepare(small, NAME, templates=FEW, adapt=True)
    together, again = (anoclip.score(state, default[1]).map for _ in range(2))
    np.testing.assert_array_equal(together, again)
    for i in (2, 0):
        alone = anoclip.score(state, anoclip.extract(state, images[i : i + 1]))
        np.testing.assert_allclose(alone.map[0], together[i], **ADAPTED)


# --- invariants, features kept ---------------------------------------------------------------------------------------


def test_map_lies_within_the_patch_scores(default):
    state, features, out = default
    p = np.array([[slow_p(token, state.text, 1.0) for token in image] for image in features.patches])
    assert (out.map >= p.min(axis=1)[:, None, None] - 1e-12).all()  # rounding of the means
    assert (out.map <= p.max(axis=1)[:, None, None] + 1e-12).all()
    # corners lie on corners
    smooth = slow_smooth(p[0].reshape(5, 5), 3)
    np.testing.assert_allclose(out.map[0][[0, 0, -1], [0, -1, -1]], smooth[[0, 0, -1], [0, -1, -1]], **EXACT)


def test_kept_features_are_scored_again(small, images, default, monkeypatch):
    """Fewer views, other prompts and means, adaptation: the towers stay out of reach."""

    def refuse(*_, **__):
        raise AssertionError("an image was encoded again")

    for options in (SHORT, {"templates": ("{}",)}, {"smooth": 1, "templates": FEW}, {"adapt": True, "templates": FEW}):
        fresh = run(small, images, **options)
        state = anoclip.prepare(small, NAME, **options)
        with monkeypatch.context() as patch:
            for name in ("encode_tokens", "encode_views", "pixels_of"):
                patch.setattr(anoclip, name, refuse)
            out = anoclip.score(state, default[1])
        np.testing.assert_allclose(out.score, fresh.score, **EXACT)
        np.testing.assert_allclose(out.map, fresh.map, **ADAPTED)


def test_features_without_what_the_options_need_are_refused(small, images, default):
    few = anoclip.extract(anoclip.prepare(small, NAME, **SHORT), images[:1])
    with pytest.raises(ValueError, match="views=22: these features were extracted with views=1"):
        anoclip.score(default[0], few)
    for options in ({"attention": "k-k"}, {"first_block": 1}, {"attention": None}):
        with pytest.raises(ValueError, match="these features were extracted with 'v-v', 0"):
            anoclip.score(anoclip.prepare(small, NAME, **SHORT, **options), few)


def test_scoring_changes_nothing(default):
    state, features, first = default
    kept = features.image.copy(), features.patches.copy()
    state = state._replace(options=state.options._replace(adapt=True, steps=1))
    anoclip.score(state, features)
    np.testing.assert_array_equal(features.image, kept[0])
    np.testing.assert_array_equal(features.patches, kept[1])
    np.testing.assert_array_equal(anoclip.score(default[0], features).map, first.map)


# --- the device ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS + ADAPTING, ids=named)
def test_on_the_device(small, images, options):
    there = upload(small)
    state = anoclip.prepare(there, NAME, **options)
    features = anoclip.extract(state, images[:2])
    assert isinstance(state.text, DeviceArray)
    assert isinstance(features.image, DeviceArray)
    assert isinstance(features.patches, DeviceArray)
    out, want = anoclip.score(state, features), run(small, images[:2], **options)
    assert type(out.score) is type(out.map) is np.ndarray
    np.testing.assert_allclose(out.score, want.score, **EXACT)
    np.testing.assert_allclose(out.map, want.map, **(ADAPTED if "adapt" in options else EXACT))
    assert out.geometry == want.geometry


def test_views_on_the_device():
    x = np.random.default_rng(5).normal(size=(2, 3, 8, 8)).astype(np.float32)
    for view in augment.VIEWS:
        look = augment.grey if view is None else lambda pixels, view=view: augment.warp(pixels, view)
        assert look(x).dtype == np.float32
        np.testing.assert_array_equal(look(devicexp.asarray(x)).get(), look(x))


def test_in_float32(small_folder, small, images):
    """Within float32's rounding of the double answer, adaptation included: it is computed in float64."""
    single = refclip.load(small_folder)
    for options in ({"templates": FEW}, SHORT | {"adapt": True}):
        out, want = run(single, images[:2], **options), run(small, images[:2], **options)
        assert out.score.dtype == out.map.dtype == np.float32
        np.testing.assert_allclose(out.score, want.score, **SINGLE)
        np.testing.assert_allclose(out.map, want.map, **SINGLE)


# --- the way in ------------------------------------------------------------------------------------------------------


def test_paths_back_to_the_pictures(small, images):
    out = run(small, [Image.fromarray(images[0])], **SHORT)
    np.testing.assert_array_equal(out.map, run(small, images[:1], **SHORT).map)
    assert out.on_original(0).shape == images[0].shape[:2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"views": 10}, "views=10: expected one of 1, 22"),
        ({"attention": "v-q"}, "attention='v-q': expected one of 'q-k', 'q-q', 'k-k', 'v-v', None"),
        ({"adapter": "text"}, "adapter='text': expected one of 'prompts', 'linear'"),
        ({"resize": "crop"}, "resize='crop': expected one of"),
        ({"interpolation": "nearest"}, "interpolation='nearest': expected one of 'bilinear', 'bicubic'"),
        ({"first_block": 4}, "first_block=4: this tower has blocks 0 to 3"),
        ({"first_block": -1}, "first_block=-1: this tower has blocks 0 to 3"),
        ({"smooth": 2}, "smooth=2: expected an odd number"),
        ({"smooth": -1}, "smooth=-1: expected an odd number"),
        ({"steps": 0}, "steps=0: expected no less than 1"),
        ({"learning_rate": -1.0}, r"learning_rate=-1.0: expected no less than 0"),
        ({"noise": float("nan")}, "noise=nan: expected no less than 0"),
        ({"seed": -1}, "seed=-1: expected no less than 0"),
        ({"states": "unknown"}, "states 'unknown': expected one of winclip, anovl"),
        (
            {"templates": "unknown"},
            "templates 'unknown': expected one of anovl, anovl-textures, anovl-objects, winclip",
        ),
        ({"templates": ()}, "templates: found an empty list"),
        ({"temperature": 0}, "temperature 0: expected a number above 0"),
    ],
)
def test_wrong_options_are_named(small, options, says):
    with pytest.raises(ValueError, match=says):
        anoclip.prepare(small, NAME, **options)


def test_wrong_names_are_named(small):
    for name in ("", "a {}", 3, ["wood"]):
        with pytest.raises(ValueError, match="object name is"):
            anoclip.prepare(small, name)  # type: ignore[arg-type]
