"""Dual-Image Enhanced CLIP against the paper's equations, written out one patch at a time in float64.

The slow version takes from the library what is held elsewhere: the towers with their v-v path, `preprocess`, and the
lists of words. All else it does with plain loops; gradients it has from differences.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from PIL import Image

import refclip
from refclip.methods import dual_image, dual_image_adapt, dual_image_adapter
from refclip.methods.dual_image import Features, Partners, State, pair
from refclip.methods.dual_image_adapter import Adapter, Task, adamw, loss_and_gradient
from refclip.methods.dual_image_settings import Options, domain_templates
from refclip.preprocess import Geometry, Preprocess, preprocess
from refclip.prompts import STATES, TEMPLATES, WINCLIP_TEMPLATES_B
from refclip.synth import anomaly
from refclip.transformer import Dual
from tests.devicearray import DeviceArray, devicexp, upload
from tests.test_winclip import dot, named, pictures, refuse, slow_ascore, slow_upsample, unit

EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
NAME = "metal_nut"
OWN = ("a photo of a {}.", "{}")

# Every option with every kind of value. All but the first with two templates, for speed.
OPTIONS = [
    {"templates": "dual-image"},
    {},
    {"states": "winclip"},
    {"templates": "winclip-b"},
    {"templates": "dual-image", "domains": ("wet",), "an": False},
    {"normalize_prompts": True},
    {"temperature": 0.5},
    {"temperature": "clip"},
    {"patch_temperature": 1.0},
    {"patch_temperature": "clip", "temperature": 0.2},
    {"variant": "q-q"},
    {"first_block": 2},
    {"references": 0},
    {"references": 1},
    {"join": "mean"},
    {"join": "mean", "references": 2},
    {"lambda1": 0.5, "lambda2": 2.0, "lambda3": 3.0, "lambda4": 0.25, "lambda5": 4.0},
    {"lambda2": 0.0, "lambda3": 0.0, "lambda5": 0.0},  # figure 3: vision alone
    {"lambda2": 1.0},  # equation 6
    {"pool": 3},
    {"pool": 5, "align_corners": True},
    {"align_corners": True},
    {"resize": "shortest"},
    {"resize": "longest"},
    {"resize": "tiles"},
    {"resize": "tiles", "tile_score": "max", "join": "mean", "pool": 3},
    {"interpolation": "bicubic"},
    {"underscores": False},
    # AnoVL's settings
    {"temperature": 1.0, "pool": 3, "align_corners": True, "references": 0},
]


def with_own(options):
    return {"templates": OWN} | options


# --- the slow version ------------------------------------------------------------------------------------------------


def slow_templates(name, domains, an):
    """The supplement's list as it is printed, [d] before "photo" or the word that goes with it."""
    printed = """a [d] cropped photo of the|a [d] cropped photo of a|a [d] close-up photo of a
    |a [d] close-up photo of the|a bright [d] photo of a|a bright [d] photo of the|a dark [d] photo of the
    |a dark [d] photo of a
    |a jpeg corrupted [d] photo of a|a jpeg corrupted [d] photo of the|a blurry [d] photo of the|a blurry [d] photo of a
    |a [d] photo of a|a [d] photo of the|a [d] photo of a small|a [d] photo of the small|a [d] photo of a large
    |a [d] photo of the large|a [d] photo of the {} for visual inspection|a [d] photo of a {} for visual inspection
    |a [d] photo of the {} for anomaly detection|a [d] photo of a {} for anomaly detection"""
    surface = name in ("carpet", "leather", "grid", "tile", "wood")
    if domains == "auto":
        domains = ["industrial", "textural", "surface"] if surface else ["industrial", "manufacturing"]
    out = []
    for domain in domains:
        for entry in printed.split("|"):
            line = entry.strip() if "{}" in entry else entry.strip() + " {}"
            article = "an [d]" if an and domain[0] in "aeiou" else "a [d]"
            out.append(line.replace("a [d]", article).replace("[d]", domain))
    return out


def slow_text(clip, name, o):
    states = STATES[o.states]
    own = TEMPLATES.get(o.templates, o.templates)
    own = slow_templates(name, o.domains, o.an) if own == "dual-image" else own
    name = name if o.underscores else name.replace("_", " ")
    prototypes = []
    for words in states:
        prompts = [t.replace("{}", w.replace("{}", name)) for w in words for t in own]
        embedded = refclip.encode_text(clip, prompts).tolist()
        embedded = [unit(x) for x in embedded] if o.normalize_prompts else embedded
        prototypes.append(unit([math.fsum(column) / len(prompts) for column in zip(*embedded, strict=True)]))
    return prototypes


def slow_tiles(clip, image, o):
    """Pixels, top and left of each tile, and the size of what they were cut from."""
    side = clip.preprocess.size
    how = "squash" if o.resize == "tiles" else o.resize
    size = side
    if o.resize == "tiles":
        height, width = image.shape[:2]
        short = min(height, width)
        size = (side[0] * height // short, side[1] * width // short)
    config = Preprocess(size, how, o.interpolation, clip.preprocess.mean, clip.preprocess.std)
    pixels = preprocess(image, config)[0][0].astype(np.float64)
    rows, columns = (
        [0] if n == m else [round(i * (n - m) / (math.ceil(n / m) - 1)) for i in range(math.ceil(n / m))]
        for n, m in zip(size, side, strict=True)
    )
    return [(pixels[:, y : y + side[0], x : x + side[1]], y, x) for y in rows for x in columns], size


def slow_tokens(clip, image, o):
    """Class token, patch tokens, top, left of each tile; and the size they lie in."""
    tiles, size = slow_tiles(clip, image, o)
    depth, out = len(clip.vision.transformer.blocks), []
    for pixels, y, x in tiles:
        found = refclip.encode_tokens(clip, pixels[None], layers=[depth], dual=Dual(o.variant, o.first_block))
        out.append((found.embedding[0].tolist(), [unit(t) for t in found.patches[depth][0].tolist()], y, x))
    return out, size


def slow_visual(tokens, references, join):
    """Equation 5, for references that are lists of tokens."""
    if join == "union":
        return [min(1 - dot(q, r) for reference in references for r in reference) for q in tokens]
    return [sum(min(1 - dot(q, r) for r in reference) for reference in references) / len(references) for q in tokens]


def slow_enlarge(grid, size, align_corners):
    if not align_corners:
        return slow_upsample(grid, size)
    out = np.zeros(size)
    for y, x in itertools.product(*map(range, size)):
        at = [place * (n - 1) / (m - 1) for place, n, m in zip((y, x), grid.shape, size, strict=True)]
        (y0, x0), (dy, dx) = (min(int(a), n - 2) for a, n in zip(at, grid.shape, strict=True)), (0, 0)
        dy, dx = at[0] - y0, at[1] - x0
        out[y, x] = (1 - dy) * ((1 - dx) * grid[y0, x0] + dx * grid[y0, x0 + 1]) + dy * (
            (1 - dx) * grid[y0 + 1, x0] + dx * grid[y0 + 1, x0 + 1]
        )
    return out


def slow_pool(grid, side):
    out = np.zeros_like(grid)
    for i, j in np.ndindex(grid.shape):
        near = [
            grid[min(max(i + a, 0), grid.shape[0] - 1), min(max(j + b, 0), grid.shape[1] - 1)]
            for a, b in itertools.product(range(-(side // 2), side // 2 + 1), repeat=2)
        ]
        out[i, j] = sum(near) / side**2
    return out


def slow_dual(clip, images, partners, options, *, adapters=None):
    """Score [b] and map [b, H, W]; `partners` are the reference images of each image."""
    o = Options(**options)
    text = slow_text(clip, NAME, o)
    taus = [1 / clip.logit_scale if t == "clip" else t for t in (o.temperature, o.patch_temperature or o.temperature)]
    side, p = clip.preprocess.size, clip.vision.patch_size
    grid = side[0] // p, side[1] // p
    scores, maps = [], []
    for i, image in enumerate(images):
        chosen = partners[i] if o.references is None else partners[i][: o.references]
        references = [[t for tile in slow_tokens(clip, reference, o)[0] for t in tile[1]] for reference in chosen]
        tiles, size = slow_tokens(clip, image, o)
        classes, peaks_v, peaks_l = [], [], []
        total, count = np.zeros(size), np.zeros(size)
        for embedding, tokens, y, x in tiles:
            classes.append(slow_ascore(embedding, text, taus[0]))
            seen = tokens if adapters is None else [slow_apply(adapters[i], t) for t in tokens]
            language = [slow_ascore(t, text, taus[1]) for t in seen]
            visual = slow_visual(tokens, references, o.join) if references else [0.0] * len(tokens)
            peaks_l.append(max(language))
            peaks_v.append(max(visual))
            both = [o.lambda1 * v + o.lambda2 * l for v, l in zip(visual, language, strict=True)]
            part = slow_enlarge(slow_pool(np.array(both).reshape(grid), o.pool), side, o.align_corners)
            total[y : y + side[0], x : x + side[1]] += part if o.resize == "tiles" else 0
            count[y : y + side[0], x : x + side[1]] += 1
        whole = sum(classes) / len(classes) if o.tile_score == "mean" else max(classes)
        scores.append(o.lambda3 * whole + o.lambda4 * max(peaks_v) + o.lambda5 * max(peaks_l))
        maps.append(slow_upsample(total / count, side) if o.resize == "tiles" else part)
    return np.array(scores), np.array(maps)


def slow_apply(adapter, q):
    """Equation 7."""
    weight, bias = np.asarray(adapter.weight).tolist(), np.asarray(adapter.bias).tolist()
    return [(dot(row, q) + b + x) / 2 for row, b, x in zip(weight, bias, q, strict=True)]


def slow_loss(adapter, task, text, tau, beta):
    """Equations 7 to 11, with 1 - sim."""
    a, a2 = ([slow_ascore(slow_apply(adapter, q), text, tau) for q in x.tolist()] for x in (task.tokens, task.altered))
    places = [i for i, m in enumerate(task.mask.tolist()) if m != 0]
    pseudo = sum(-task.mask[i] * math.log(math.exp(a2[i]) / (math.exp(a[i]) + math.exp(a2[i]))) for i in places)
    c = task.target.tolist()
    sim = dot(a, c) / math.sqrt(dot(a, a) * dot(c, c))
    return (pseudo / len(places) if places else 0.0) + beta * (1 - sim)


def slow_gradient(adapter, *rest):
    """Central differences. With a step h the error is of h^2 from the curvature and of 1e-16 / h from rounding."""
    out = Adapter(np.zeros_like(adapter.weight), np.zeros_like(adapter.bias))
    for x, g in zip(adapter, out, strict=True):
        for place in np.ndindex(x.shape):
            ends = []
            for h in (1e-5, -1e-5):
                moved = [y.copy() for y in adapter]
                moved[0 if x is adapter.weight else 1][place] += h
                ends.append(slow_loss(Adapter(*moved), *rest))
            g[place] = (ends[0] - ends[1]) / 2e-5
    return out


# --- the method as a whole -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    return pictures()


@pytest.fixture(scope="module")
def default(small, images):
    state = dual_image.prepare(small, NAME, templates=OWN)
    return state, dual_image.extract(state, images)


OTHERS = ((1, 2), (2, 0), (0, 1))


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_against_the_equations(small, images, options):
    options = with_own(options)
    state = dual_image.prepare(small, NAME, **options)
    features = dual_image.extract(state, images)
    out = dual_image.score(state, features, Partners(features, OTHERS))
    score, map = slow_dual(small, images, [[images[j] for j in chosen] for chosen in OTHERS], options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


@pytest.mark.parametrize("size", [(24, 56), (43, 37)])
@pytest.mark.parametrize("resize", ["squash", "shortest"])
def test_grids_of_other_sizes(small, images, size, resize):
    clip = small._replace(preprocess=small.preprocess._replace(size=size))
    options = {"templates": OWN, "resize": resize, "pool": 3}
    state = dual_image.prepare(clip, NAME, **options)
    features = dual_image.extract(state, images[:2])
    out = dual_image.score(state, features, Partners(features, ((1,), (0,))))
    score, map = slow_dual(clip, images[:2], [[images[1]], [images[0]]], options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_features_serve_every_image_alike(small, images, default):
    state, features = default
    references = dual_image.extract(state, images[1:])
    query = dual_image.extract(state, images[:1])
    out = dual_image.score(state, query, references)
    want = dual_image.score(state, features, Partners(features, OTHERS))
    np.testing.assert_allclose(out.score, want.score[:1], **EXACT)
    np.testing.assert_allclose(out.map, want.map[:1], **EXACT)


def test_the_detector_without_a_context_is_language_alone(small, images):
    """Row 1 of table 3, by equations 12 and 13 without A^V."""
    state = dual_image.prepare(small, NAME, templates=OWN)
    out = dual_image.score(state, dual_image.extract(state, images[:1]))
    score, map = slow_dual(small, images[:1], [[]], {"templates": OWN})
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_prompts_are_the_supplements():
    for name in ("bottle", "carpet", "wood", None):
        for an in (True, False):
            assert list(domain_templates(name, an=an)) == slow_templates(name, "auto", an)
    assert len(domain_templates("leather")) == 3 * len(WINCLIP_TEMPLATES_B) == 66
    assert domain_templates("bottle", "surface") == domain_templates("tile")
    assert domain_templates("tile", "object") == domain_templates("bottle")
    assert "a dark wet photo of a {}" in domain_templates("bottle", ("wet", "old"))
    assert "an old photo of a {}" in domain_templates("bottle", ("wet", "old"))
    assert len(STATES["anovl"].normal) == len(STATES["anovl"].abnormal) == 7


# --- what the paper says of it ---------------------------------------------------------------------------------------


def test_a_twin_excuses_everything_and_more_references_no_less(small, images, default):
    """A^V is 0 beside the image itself; the union of references is never further away than one of them."""
    state, features = default
    twin = dual_image.evidence(state, features, Partners(dual_image.extract(state, images), ((0,), (1,), (2,)))).visual
    np.testing.assert_allclose(twin, 0, **EXACT)
    maps = [
        dual_image.evidence(
            state._replace(options=state.options._replace(references=r)), features, Partners(features, OTHERS)
        )
        for r in (1, 2)
    ]
    assert (maps[1].visual <= maps[0].visual + 1e-12).all()
    assert (maps[1].visual < maps[0].visual - 1e-6).any()


def test_pollution_is_local(small):
    """Section 5.2: a defect in the reference excuses the same defect in the query."""
    clean = np.full((40, 40, 3), 120, np.uint8)
    broken = clean.copy()
    broken[8:16, 8:16] = [250, 10, 10]
    state = dual_image.prepare(small, NAME, templates=OWN, lambda2=0.0, lambda3=0.0, lambda5=0.0)
    features = dual_image.extract(state, [clean, broken, broken])
    seen = dual_image.score(state, features, Partners(features, ((1,), (0,), (1,))))
    assert seen.score[1] > 0.01
    np.testing.assert_allclose(seen.score[2], 0, **EXACT)  # its twin hides it


def test_pairs_are_of_different_images():
    rng = np.random.default_rng(0)
    for n, r in ((2, 1), (9, 7), (5, 0), (1, 0)):
        for _ in range(20):
            chosen = pair(rng, n, r)
            assert len(chosen) == n
            for i, others in enumerate(chosen):
                assert len(set(others)) == r
                assert i not in others
                assert all(0 <= j < n for j in others)
    counts = np.zeros((4, 4), int)
    for _ in range(600):
        for i, (j,) in enumerate(pair(rng, 4)):
            counts[i, j] += 1
    # 600 draws among three: 200, give or take 4 standard deviations of 11.5
    assert all(abs(counts[i, j] - 200) < 47 for i in range(4) for j in range(4) if i != j)
    assert pair(np.random.default_rng(1), 6, 3) == pair(np.random.default_rng(1), 6, 3)
    for n, r in ((3, 3), (1, 1), (3, -1)):
        with pytest.raises(ValueError, match="references for each of"):
            pair(rng, n, r)


# --- kept features ---------------------------------------------------------------------------------------------------

RESCORED = [
    {"references": 0},
    {"references": 1},
    {"join": "mean"},
    {"lambda1": 3.0},
    {"temperature": 0.5},
    {"pool": 3},
    {"states": "winclip"},
]


@pytest.mark.parametrize("options", RESCORED, ids=named)
def test_kept_features_are_scored_again_without_the_tower(small, images, default, monkeypatch, options):
    options = with_own(options)
    state = dual_image.prepare(small, NAME, **options)
    with monkeypatch.context() as patch:
        for name in ("encode_tokens", "pixels_of", "cut_tiles"):
            patch.setattr(dual_image, name, refuse)
        out = dual_image.score(state, default[1], Partners(default[1], OTHERS))
    fewer = options.get("references", 2)
    fresh = dual_image.extract(state, images)
    want = dual_image.score(
        state._replace(options=state.options._replace(references=None)),
        fresh,
        Partners(fresh, tuple(chosen[:fewer] for chosen in OTHERS)),
    )
    np.testing.assert_array_equal(out.score, want.score)
    np.testing.assert_array_equal(out.map, want.map)


@pytest.mark.parametrize(
    "options", [{"variant": "q-q"}, {"first_block": 1}, {"resize": "tiles"}, {"interpolation": "bicubic"}], ids=named
)
def test_features_from_other_options_are_refused(small, default, options):
    state = dual_image.prepare(small, NAME, **with_own(options))
    with pytest.raises(ValueError, match="these features have"):
        dual_image.score(state, default[1])


def test_scoring_changes_nothing(default):
    state, features = default
    kept = features.image.copy(), features.patches.copy()
    first = dual_image.score(state, features, Partners(features, OTHERS))
    again = dual_image.score(state, features, Partners(features, OTHERS))
    np.testing.assert_array_equal(first.map, again.map)
    np.testing.assert_array_equal(features.image, kept[0])
    np.testing.assert_array_equal(features.patches, kept[1])


# --- tiles -----------------------------------------------------------------------------------------------------------


def test_tiles_lie_where_they_should(small):
    """VisA's 3 : 2 becomes two tiles of 40 in 40 x 60; a square one; a strip as many as it takes."""
    state = dual_image.prepare(small, NAME, templates=OWN, resize="tiles")
    shapes = {(80, 120): [0, 20], (64, 64): [0], (40, 81): [0, 20, 41], (20, 60): [0, 40, 80]}
    images = [np.full((*shape, 3), 9 * i, np.uint8) for i, shape in enumerate(shapes)]
    features = dual_image.extract(state, images)
    for (a, z), shape, lefts in zip(features.spans, shapes, shapes.values(), strict=True):
        tiles = features.tiles[a:z]
        assert [t.corner for t in tiles] == [(0, left) for left in lefts]
        assert {t.original for t in tiles} == {shape}
        assert {t.resized for t in tiles} == {(40, 40 * shape[1] // shape[0])}
    out = dual_image.score(state, features)
    assert out.map.shape == (4, 40, 40)
    for i, shape in enumerate(shapes):
        over = out.on_original(i)
        assert over.shape == shape
        assert np.isfinite(over).all()


# --- adaptation ------------------------------------------------------------------------------------------------------


def problem(seed, n=6, e=4, masked=3):
    rng = np.random.default_rng(seed)
    tokens, altered = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.normal(size=(2, n, e)))
    text = rng.normal(size=(2, e))
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    mask = np.where(np.arange(n) < masked, rng.uniform(0.1, 1, n), 0)
    task = Task(tokens, altered, mask, rng.uniform(0.2, 1.5, n))
    return Adapter(np.eye(e) + 0.3 * rng.normal(size=(e, e)), 0.2 * rng.normal(size=e)), task, text


@pytest.mark.parametrize("beta", [0, 0.5, 20.0])
@pytest.mark.parametrize("masked", [0, 1, 4, 6])
def test_the_gradient_is_that_of_differences(beta, masked):
    for seed, tau in ((0, 0.3), (1, 0.07), (2, 1.0)):
        adapter, task, text = problem(seed, masked=masked)
        loss, gradient = loss_and_gradient(adapter, task, text, tau, beta)
        np.testing.assert_allclose(loss, slow_loss(adapter, task, text, tau, beta), rtol=1e-12)
        want = slow_gradient(adapter, task, text, tau, beta)
        for g, w in zip(gradient, want, strict=True):
            # differences err by 1e-11 / 1e-5 of the loss, and by (1e-5 / tau)^2
            np.testing.assert_allclose(g, w, rtol=2e-6, atol=1e-8 * max(1, beta))
        assert beta == masked == 0 or max(np.abs(w).max() for w in want) > 1e-5


def test_adamw_is_its_definition():
    rng = np.random.default_rng(3)
    x, gradients = rng.normal(size=(2, 3)), rng.normal(size=(4, 2, 3))
    for decay in (0.0, 0.1):
        fast, moments = x, (0.0, 0.0)
        slow, m, v = x.tolist(), np.zeros((2, 3)).tolist(), np.zeros((2, 3)).tolist()
        for t, g in enumerate(gradients, 1):
            fast, moments = adamw(fast, g, moments, t, rate=0.01, decay=decay)
            for i, j in np.ndindex(2, 3):
                m[i][j] = 0.9 * m[i][j] + 0.1 * g[i, j]
                v[i][j] = 0.999 * v[i][j] + 0.001 * g[i, j] ** 2
                move = (m[i][j] / (1 - 0.9**t)) / (math.sqrt(v[i][j] / (1 - 0.999**t)) + 1e-8)
                slow[i][j] += -0.01 * move - 0.01 * decay * slow[i][j]
        np.testing.assert_allclose(fast, slow, **EXACT)


def tiny(spans=((0, 1), (1, 3))):
    """Two images of 2 x 3 patches, the second in two tiles; their pseudo-anomalies; no tower."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, 3, 6, 4))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    text = rng.normal(size=(2, 4))
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    where = Geometry((8, 8), (8, 8), (0, 0), (8, 8))
    features, altered, references = (
        Features(
            rng.normal(size=(3, 4)), p, (2, 3), (where,) * 3, spans, (where,) * 2, ("v-v", 0, "squash", "bilinear")
        )
        for p in x[:3]
    )
    mask = rng.uniform(0, 1, (3, 6)) * (rng.uniform(0, 1, (3, 6)) > 0.5)
    clip: refclip.CLIP = None  # type: ignore[assignment]
    return State(clip, text, 0.07, 0.3, Options()), features, dual_image_adapt.Pseudo(altered, mask), references


@pytest.mark.parametrize(("steps", "init"), [*itertools.product((0, 1, 2), ("identity", "uniform")), (6, "identity")])
@pytest.mark.parametrize("paired", [False, True])
def test_adaptation_against_the_equations(steps, init, paired):
    """Gradients by differences, AdamW in its plain form, each image by itself; with and without a reference."""
    state, features, pseudo, references = tiny()
    context = Partners(references, ((1,), (0,))) if paired else None
    options = {"steps": steps, "init": init, "learning_rate": 0.01, "beta": 0.7, "weight_decay": 0.05}
    adapters = dual_image_adapt.adapt(state, features, pseudo, context, np.random.default_rng(9), **options)
    rng = np.random.default_rng(9)
    for i, (a, z) in enumerate(features.spans):
        q, altered = (x[a:z].reshape(-1, 4) for x in (features.patches, pseudo.features.patches))
        target = [slow_ascore(t, state.text, 0.3) for t in q.tolist()]
        if paired:
            b, y = references.spans[1 - i]
            memory = references.patches[b:y].reshape(-1, 4).tolist()
            target = np.add(target, slow_visual(q.tolist(), [memory], "union"))
        task = Task(q, altered, pseudo.mask[a:z].reshape(-1), np.array(target))
        if init == "identity":
            g = Adapter(np.eye(4), np.zeros(4))
        else:
            g = Adapter(rng.uniform(-0.5, 0.5, (4, 4)), rng.uniform(-0.5, 0.5, 4))  # 1 / sqrt(4)
        moments = [(0.0, 0.0)] * 2
        for step in range(1, steps + 1):
            slope = slow_gradient(g, task, state.text, 0.3, 0.7)
            pairs = [adamw(x, d, m, step, rate=0.01, decay=0.05) for x, d, m in zip(g, slope, moments, strict=True)]
            g, moments = Adapter(*(x for x, _ in pairs)), [m for _, m in pairs]
        for found, want in zip(adapters[i], g, strict=True):
            np.testing.assert_allclose(found, want, rtol=0, atol=1e-6)  # of the differences, through g / |g|


def test_learning_lowers_the_loss_and_keeps_near_the_joint_map():
    state, features, pseudo, references = tiny()
    context = Partners(references, ((1,), (0,)))
    found = dual_image.evidence(state, features, context)

    def run(steps, beta):
        options = {"steps": steps, "beta": beta, "learning_rate": 1e-3}
        return dual_image_adapt.adapt(state, features, pseudo, context, **options)

    def alike(adapters):
        mapped = dual_image_adapt.adapted(state, features, found, adapters).language
        target = found.language + found.visual
        return [
            np.vdot(mapped[a:z], target[a:z]) / np.linalg.norm(mapped[a:z]) / np.linalg.norm(target[a:z])
            for a, z in features.spans
        ]

    for i, (a, z) in enumerate(features.spans):
        flat = [x[a:z].reshape(-1, 4) for x in (features.patches, pseudo.features.patches)]
        target = (found.language + found.visual)[a:z].reshape(-1)
        task = Task(*flat, pseudo.mask[a:z].reshape(-1), target)
        losses = [float(loss_and_gradient(run(s, 0.5)[i], task, state.text, 0.3, 0.5)[0]) for s in (0, 1, 2, 6, 30)]
        assert losses == sorted(losses, reverse=True)
    # equation 11's sign: the more it weighs, the nearer A^T keeps to A^VL
    for near, far, start in zip(alike(run(30, 1e4)), alike(run(30, 0)), alike(run(0, 0)), strict=True):
        assert near > start
        assert near > far


@pytest.mark.parametrize("references", [0, 1])
@pytest.mark.parametrize("resize", ["squash", "tiles"])
def test_adapted_scores_against_the_equations(small, images, references, resize):
    options = {"templates": OWN, "resize": resize, "references": references}
    state = dual_image.prepare(small, NAME, **options)
    features = dual_image.extract(state, images)
    context = Partners(features, OTHERS)
    pseudo = dual_image_adapt.pseudo(state, features, images, np.random.default_rng(0))
    adapters = dual_image_adapt.adapt(state, features, pseudo, context)
    out = dual_image_adapt.score(state, features, context, adapters=adapters)
    partners = [[images[j] for j in chosen] for chosen in OTHERS]
    score, map = slow_dual(small, images, partners, options, adapters=adapters)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)
    plain = dual_image.score(state, features, context)
    assert np.abs(out.map - plain.map).max() > 1e-4
    still = dual_image_adapt.adapt(state, features, pseudo, context, steps=0)
    same = dual_image_adapt.score(state, features, context, adapters=still)
    np.testing.assert_allclose(same.map, plain.map, **EXACT)  # no step, no change
    np.testing.assert_allclose(same.score, plain.score, **EXACT)


def test_pseudo_anomalies_are_draems_and_their_masks_at_patches(small):
    rng = np.random.default_rng(6)
    images = [rng.integers(0, 256, (80, 120, 3), dtype=np.uint8) for _ in range(2)]
    for how in ("share", "any"):
        state = dual_image.prepare(small, NAME, templates=OWN)
        features = dual_image.extract(state, images)
        out = dual_image_adapt.pseudo(state, features, images, np.random.default_rng(1), mask=how)
        draw, made = np.random.default_rng(1), []
        for i, image in enumerate(images):
            where = np.zeros(1)
            while not where.any():
                picture, where = anomaly(draw, image, probability=1)
            made.append(picture)
            share = where.reshape(5, 16, 5, 24).mean(axis=(1, 3)).ravel()  # 5 x 5 patches over 80 x 120 pixels
            want = share if how == "share" else share > 0
            np.testing.assert_allclose(out.mask[i], want, rtol=0, atol=1e-6)  # masks are resized in float32
        np.testing.assert_allclose(out.features.patches, dual_image.extract(state, made).patches, **EXACT)
    none = dual_image_adapt.pseudo(state, features, images, np.random.default_rng(1), probability=0.0)
    assert not none.mask.any()
    np.testing.assert_allclose(none.features.patches, features.patches, **EXACT)


def test_masks_of_tiles_and_crops_lie_where_the_tiles_do():
    where = np.zeros((40, 60), bool)
    where[:, 20:36] = True
    for left, columns in ((0, [0, 0, 0.5, 1, 0.5]), (20, [1, 1, 0, 0, 0])):
        tile = Geometry((40, 60), (40, 60), (0, left), (40, 40))
        share = dual_image_adapt.patch_shares(where, tile, (5, 5), 8)
        np.testing.assert_allclose(share.reshape(5, 5), np.tile(columns, (5, 1)), rtol=0, atol=1e-6)
        some = dual_image_adapt.patch_shares(where, tile, (5, 5), 8, "any")
        np.testing.assert_array_equal(some.reshape(5, 5), np.tile(np.array(columns) > 0, (5, 1)))


def test_adaptation_is_the_seeds(small, images, default):
    state, features = default
    runs = []
    for seed in (1, 1, 2):
        rng = np.random.default_rng(seed)
        pseudo = dual_image_adapt.pseudo(state, features, [Image.fromarray(i) for i in images], rng)
        runs.append(dual_image_adapt.adapt(state, features, pseudo, rng=rng, init="uniform"))
    for a, b, c in zip(*runs, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
        assert (a.weight != c.weight).any()


def test_empty_masks_are_drawn_again_and_given_up(small, images, default, monkeypatch):
    state, features = default
    drawn = []

    def nothing(rng, image, texture, probability):
        drawn.append(1)
        return image, np.zeros(image.shape[:2], bool)

    monkeypatch.setattr(dual_image_adapt, "anomaly", nothing)
    pseudo = dual_image_adapt.pseudo(state, features, images, np.random.default_rng(0))
    assert len(drawn) == 3 * dual_image_adapt.TRIES
    adapters = dual_image_adapt.adapt(state, features, pseudo)  # L_pseudo is 0, and nothing divides by it
    assert all(np.isfinite(x).all() for adapter in adapters for x in adapter)


# --- on a device, and in other types ---------------------------------------------------------------------------------

ON_DEVICE = [
    {},
    {"references": 0},
    {"join": "mean", "pool": 3, "align_corners": True},
    {"resize": "tiles", "tile_score": "max", "variant": "k-k"},
]


@pytest.mark.parametrize("options", ON_DEVICE, ids=named)
def test_on_a_device(small, images, options):
    answers = []
    for clip in (small, upload(small)):
        state = dual_image.prepare(clip, NAME, **with_own(options))
        features = dual_image.extract(state, images)
        context = Partners(features, OTHERS)
        pseudo = dual_image_adapt.pseudo(state, features, images, np.random.default_rng(0))
        rng = np.random.default_rng(1)
        adapters = dual_image_adapt.adapt(state, features, pseudo, context, rng, init="uniform")
        plain = dual_image.score(state, features, context)
        adapted = dual_image_adapt.score(state, features, context, adapters=adapters)
        kept = (features.image, features.patches, pseudo.mask, *adapters[0])
        assert all(isinstance(x, np.ndarray if clip is small else DeviceArray) for x in kept)
        assert all(type(x) is np.ndarray for x in (plain.score, plain.map, adapted.score, adapted.map))
        answers.append((plain.score, plain.map, adapted.score, adapted.map))
    for host, there in zip(*answers, strict=True):
        np.testing.assert_allclose(there, host, rtol=0, atol=1e-8)  # AdamW divides by |g|, which may be small


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_smaller_types(dtype):
    """Of one type in and out; float16 learns in float32."""
    state, features, pseudo, references = tiny()

    def cast(f):
        return f._replace(image=f.image.astype(dtype), patches=f.patches.astype(dtype))

    context = Partners(references, ((1,), (0,)))
    want = dual_image_adapt.score(
        state, features, context, adapters=dual_image_adapt.adapt(state, features, pseudo, context)
    )
    less = state._replace(text=state.text.astype(dtype))
    context = Partners(cast(references), ((1,), (0,)))
    altered = dual_image_adapt.Pseudo(cast(pseudo.features), pseudo.mask.astype(dtype))
    adapters = dual_image_adapt.adapt(less, cast(features), altered, context)
    assert adapters[0].weight.dtype == np.float32
    out = dual_image_adapt.score(less, cast(features), context, adapters=adapters)
    # a cosine's rounding, 6e-8 or 5e-4, over tau = 0.07 for class tokens, a few of them
    tolerance = 1e-5 if dtype is np.float32 else 5e-2
    np.testing.assert_allclose(out.map, want.map, rtol=0, atol=tolerance)
    np.testing.assert_allclose(out.score, want.score, rtol=0, atol=tolerance)
    assert out.map.dtype == out.score.dtype == dtype


def test_arrays_elsewhere_are_refused(small, images, default):
    state, features = default
    there = features._replace(image=devicexp.asarray(features.image), patches=devicexp.asarray(features.patches))
    with pytest.raises(TypeError):
        dual_image.score(state, there)


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"variant": "q-k"}, "variant='q-k': expected one of 'v-v'"),
        ({"join": "max"}, "join='max': expected one of 'union', 'mean'"),
        ({"resize": "crop"}, "resize='crop': expected one of"),
        ({"interpolation": "nearest"}, "interpolation='nearest': expected one of"),
        ({"tile_score": "sum"}, "tile_score='sum': expected one of"),
        ({"references": -1}, "references=-1: expected 0"),
        ({"pool": 2}, "pool=2: expected an odd number"),
        ({"first_block": 4}, "first_block=4: this tower has blocks 0 to 3"),
        ({"domains": "wood", "templates": "dual-image"}, "domains='wood': expected 'auto'"),
        ({"templates": "unknown"}, "templates 'unknown': expected one of"),
        ({"states": "unknown"}, "states 'unknown': expected one of"),
        ({"temperature": 0}, "temperature 0: expected a number above 0"),
        ({"patch_temperature": -1.0}, "temperature -1.0: expected a number above 0"),
    ],
)
def test_wrong_options_are_named(small, options, says):
    with pytest.raises(ValueError, match=says):
        dual_image.prepare(small, NAME, **with_own(options))


@pytest.mark.parametrize(
    ("context", "references", "says"),
    [
        (lambda f: f, None, r"an image is its own reference.*Partners\(features, pair"),
        (lambda f: Partners(f, ((1,), (1,), (0,))), None, "an image is its own reference"),
        (lambda f: Partners(f, ((1,), (0,))), None, "expected as many for each of 3"),
        (lambda f: Partners(f, ((1,), (0, 2), (0,))), None, "expected as many for each of 3"),
        (lambda f: Partners(f, ((1,), (0,), (3,))), None, "expected numbers from 0 to 2"),
        (lambda f: Partners(f, OTHERS), 3, "references=3: this context has 2 for an image"),
        (lambda f: None, 1, "references=1: this context has 0"),
    ],
)
def test_wrong_contexts_are_named(default, context, references, says):
    state, features = default
    state = state._replace(options=state.options._replace(references=references))
    with pytest.raises(ValueError, match=says):
        dual_image.score(state, features, context(features))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"step": 3}, "no option 'step'; it has steps, learning_rate"),
        ({"init": "zero"}, "init='zero': expected one of 'identity', 'uniform'"),
        ({"mask": "half"}, "mask='half': expected one of"),
        ({"steps": -1}, "expected steps and learning_rate of at least 0"),
        ({"probability": 1.5}, "and a probability"),
        ({"init": "uniform"}, "give rng"),
    ],
)
def test_wrong_options_of_the_adaptation_are_named(options, says):
    state, features, pseudo, _ = tiny()
    with pytest.raises(ValueError, match=says):
        dual_image_adapt.adapt(state, features, pseudo, **options)


def test_what_does_not_belong_together_is_refused(images, default):
    state, features = default
    with pytest.raises(ValueError, match="2 images, features of 3"):
        dual_image_adapt.pseudo(state, features, images[:2], np.random.default_rng(0))
    with pytest.raises(ValueError, match="pseudo-anomalies of other images"):
        dual_image_adapt.adapt(state, features, dual_image_adapt.Pseudo(tiny()[1], np.zeros((3, 6))))
    with pytest.raises(ValueError, match="1 adapters for 3 images"):
        dual_image_adapt.score(state, features, adapters=[dual_image_adapter.begin(features.patches[0], "identity")])
    with pytest.raises(ValueError, match="no images"):
        dual_image.extract(state, [])
