"""CLIP and CLIP-AC against each paper's own words, and equation 1 on one token at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import refclip
from refclip.methods import clip_ac
from refclip.prompts import IMAGENET_TEMPLATES, States
from tests.test_winclip import (
    EXACT,
    NAME,
    SINGLE,
    dot,
    named,
    pictures,
    refuse,
    slow_ascore,
    slow_pixels,
    slow_upsample,
    unit,
)

# (method, options) -> the prompts, typed from the papers: WinCLIP table 1 and section 5.1; AnomalyCLIP appendix A.2
NORMAL, ANOMALOUS = f"normal {NAME}", f"anomalous {NAME}"
SENTENCES = [f"A photo of a normal {NAME}"], [f"A photo of an anomalous {NAME}"]
ENSEMBLE = [[t.replace("{}", words) for t in IMAGENET_TEMPLATES] for words in (NORMAL, ANOMALOUS)]
ALONE = [NORMAL], [ANOMALOUS]
SCRATCHED = States(("{}", "new {}"), ("scratched {}",))
OPTIONS = [
    ("clip", {}, SENTENCES),
    ("clip-ac", {}, ALONE),
    ("clip", {"paper": "anomalyclip"}, SENTENCES),
    ("clip", {"paper": "dual-image"}, ALONE),
    ("clip-ac", {"paper": "winclip"}, ALONE),
    ("clip-ac", {"paper": "anomalyclip"}, ENSEMBLE),
    ("clip-ac", {"templates": "imagenet"}, ENSEMBLE),
    ("clip-ac", {"paper": "anomalyclip", "normalize_prompts": False}, ENSEMBLE),
    ("clip-ac", {"paper": "anomalyclip", "templates": "bare"}, ALONE),
    ("clip", {"states": SCRATCHED}, ([NAME, f"new {NAME}"], [f"scratched {NAME}"])),
    ("clip", {"templates": ("<{}>", "{}!")}, [[f"<{s[0]}>", f"{s[0]}!"] for s in SENTENCES]),
    ("clip-ac", {"one_class": True}, ALONE),
    ("clip", {"one_class": True, "paper": "anomalyclip", "resize": "shortest"}, SENTENCES),
    ("clip-ac", {"temperature": 0.5}, ALONE),
    ("clip", {"temperature": "clip"}, SENTENCES),
    ("clip-ac", {"underscores": False}, (["normal metal nut"], ["anomalous metal nut"])),
    ("clip-ac", {"resize": "shortest"}, ALONE),
    ("clip-ac", {"resize": "longest"}, ALONE),
    ("clip", {"size": 56}, SENTENCES),
]


def slow_clip_ac(clip, images, prompts, options):
    """Score [b] and map [b, H, W], token by token."""
    o = clip_ac.Options(**options)
    text = []
    for side in prompts:
        total = [0.0] * clip.text.text_projection.shape[1]
        for prompt in side:
            one = refclip.encode_text(clip, prompt)[0].tolist()
            total = [a + b for a, b in zip(total, unit(one) if o.normalize_prompts else one, strict=True)]
        text.append(unit([a / len(side) for a in total]))
    tau = 1 / clip.logit_scale if o.temperature == "clip" else o.temperature

    def ascore(token):
        return -dot(unit(token), text[0]) if o.one_class else slow_ascore(token, text, tau)

    scores, maps = [], []
    for image in images:
        size = (o.size, o.size) if o.size else clip.preprocess.size
        x = slow_pixels(clip, image, o.resize, size)
        grid = x.shape[1] // clip.vision.patch_size, x.shape[2] // clip.vision.patch_size
        depth = len(clip.vision.transformer.blocks)
        patches = refclip.encode_tokens(clip, x[None], layers=[depth]).patches[depth][0].tolist()
        scores.append(ascore(refclip.encode_image(clip, x[None])[0].tolist()))
        answer = np.zeros(grid)
        for i, j in itertools.product(*map(range, grid)):
            answer[i, j] = ascore(patches[i * grid[1] + j])
        maps.append(slow_upsample(answer, size))
    return np.array(scores), np.array(maps)


@pytest.fixture(scope="module")
def images():
    return pictures()


@pytest.mark.parametrize(("method", "options", "prompts"), OPTIONS, ids=lambda v: named(v) if type(v) is dict else "")
def test_against_the_definitions(small, images, method, options, prompts):
    out = refclip.detector(method, small, NAME, **options)(images[:2])
    score, map = slow_clip_ac(small, images[:2], prompts, options)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


@pytest.mark.parametrize("size", [(24, 56), (8, 8), (43, 37)])
def test_grids_of_other_sizes(small, images, size):
    clip = small._replace(preprocess=small.preprocess._replace(size=size))
    out = refclip.detector("clip", clip, NAME)(images[:2])
    score, map = slow_clip_ac(clip, images[:2], SENTENCES, {})
    assert out.map.shape == (2, *size)
    np.testing.assert_allclose(out.score, score, **EXACT)
    np.testing.assert_allclose(out.map, map, **EXACT)


def test_an_object_without_a_name(small, images):
    out = refclip.detector("clip-ac", small)(images[:1])
    score, _ = slow_clip_ac(small, images[:1], (["normal object"], ["anomalous object"]), {})
    np.testing.assert_allclose(out.score, score, **EXACT)


def test_the_shipped_model(mini, images):
    for method, prompts in (("clip", SENTENCES), ("clip-ac", ALONE)):
        out = refclip.detector(method, mini, NAME)(images)
        score, map = slow_clip_ac(mini, images, prompts, {})
        assert out.score.dtype == out.map.dtype == np.float32
        np.testing.assert_allclose(out.score, score, **SINGLE)
        np.testing.assert_allclose(out.map, map, **SINGLE)


# option -> whether it moves score and map of "clip-ac"
EFFECTS = {
    "paper": {"paper": "anomalyclip"},
    "states": {"states": SCRATCHED},
    "templates": {"templates": "imagenet"},
    "normalize_prompts": {"templates": "imagenet", "normalize_prompts": False},
    "one_class": {"one_class": True},
    "temperature": {"temperature": 1},
    "underscores": {"underscores": False},
    "size": {"size": 56},
    "resize": {"resize": "shortest"},
}


@pytest.mark.parametrize("option", clip_ac.Options._fields)
def test_every_option_moves_score_and_map(small, images, option):
    if option == "baseline":
        a, b = (refclip.detector(method, small, NAME)(images) for method in ("clip-ac", "clip"))
    else:
        without = {k: v for k, v in EFFECTS[option].items() if k != option}
        a, b = (refclip.detector("clip-ac", small, NAME, **o)(images) for o in (without, EFFECTS[option]))
    assert np.abs(a.score - b.score).max() > 1e-4
    assert a.map.shape != b.map.shape or np.abs(a.map - b.map).max() > 1e-4


def test_names_for_the_same_thing(small, images):
    def run(method, **options):
        return refclip.detector(method, small, NAME, **options)(images)

    for a, b in (
        (run("clip", paper="dual-image"), run("clip-ac")),  # Dual-Image prints WinCLIP's CLIP-AC as "CLIP"
        (run("clip-ac", paper="anomalyclip"), run("clip-ac", templates="imagenet")),  # WinCLIP's "+ Prompt ens."
        (run("clip"), run("clip", paper="anomalyclip")),
    ):
        np.testing.assert_array_equal(a.score, b.score)
        np.testing.assert_array_equal(a.map, b.map)


def test_the_patch_map_is_winclips_with_patch_tokens(small, images):
    """Table 8's "Patch-token" is the same map, with other prompts."""
    same = {"states": States(("flawless {}",), ("broken {}",)), "templates": "bare"}
    a = refclip.detector("clip-ac", small, NAME, **same)(images)
    b = refclip.detector("winclip", small, NAME, features="patches", **same)(images)
    np.testing.assert_allclose(a.map, b.map, **EXACT)
    np.testing.assert_allclose(a.score, b.score, **EXACT)


@pytest.mark.parametrize("temperature", [0.02, 0.5, "clip", 10])
def test_temperature_moves_no_ranking_of_images_or_patches(small, images, temperature):
    base = clip_ac.prepare(small, NAME)
    features = clip_ac.extract(base, images)
    direction = base.text[1] - base.text[0]

    def rank(x):
        return np.argsort(x @ direction / np.linalg.norm(x, axis=-1), axis=-1)

    clip = small._replace(preprocess=small.preprocess._replace(size=(5, 5)))  # a pixel a patch: nothing is interpolated
    features = features._replace(geometry=tuple(g._replace(size=(5, 5)) for g in features.geometry))
    out = clip_ac.score(clip_ac.prepare(clip, NAME, temperature=temperature), features)
    np.testing.assert_array_equal(np.argsort(out.score), rank(features.image))
    np.testing.assert_array_equal(np.argsort(out.map.reshape(3, 25), axis=1), rank(features.patches))
    assert ((out.map > 0) & (out.map < 1)).all()


@pytest.mark.parametrize("one_class", [False, True])
def test_map_lies_within_the_patch_scores(small, images, one_class):
    state = clip_ac.prepare(small, NAME, one_class=one_class)
    features = clip_ac.extract(state, images)
    out = clip_ac.score(state, features)
    for i in range(3):
        parts = [
            -dot(unit(t), state.text[0]) if one_class else slow_ascore(t, state.text, state.temperature)
            for t in features.patches[i].tolist()
        ]
        assert out.map[i].min() >= min(parts) - 1e-12  # float64 rounding of the interpolation
        assert out.map[i].max() <= max(parts) + 1e-12
        assert np.ptp(out.map[i]) > 0.5 * np.ptp(parts)  # 8 pixels a patch: their centres are nearly met


def test_batch_order_and_company_do_not_matter(small, images):
    run = refclip.detector("clip", small, NAME)
    together, order = run(images), [1, 2, 0]
    permuted = run([images[i] for i in order])
    np.testing.assert_allclose(permuted.score, together.score[order], **EXACT)
    np.testing.assert_allclose(permuted.map, together.map[order], **EXACT)
    for i, image in enumerate(images):
        np.testing.assert_allclose(run([image]).map, together.map[i : i + 1], **EXACT)


@pytest.mark.parametrize("options", [EFFECTS[k] for k in EFFECTS if k not in ("size", "resize")], ids=named)
def test_kept_features_are_scored_again_without_the_tower(small, images, monkeypatch, options):
    features = clip_ac.extract(clip_ac.prepare(small, NAME), images)
    kept = features.image.copy(), features.patches.copy()
    state = clip_ac.prepare(small, NAME, **options)
    with monkeypatch.context() as patch:
        for name in ("encode_tokens", "pixels_of"):
            patch.setattr(clip_ac, name, refuse)
        out = clip_ac.score(state, features)
    fresh = refclip.detector("clip-ac", small, NAME, **options)(images)
    np.testing.assert_array_equal(out.score, fresh.score)
    np.testing.assert_array_equal(out.map, fresh.map)
    np.testing.assert_array_equal(features.image, kept[0])
    np.testing.assert_array_equal(features.patches, kept[1])


def test_anomalyclips_baselines_see_what_anomalyclip_sees(small, monkeypatch):
    """Its appendix B: 518 pixels, for ViT-L-14-336."""
    seen = []
    monkeypatch.setattr(clip_ac, "sides_of", lambda clip, size, *, enlarged: seen.append(enlarged) or (40, 40))
    for options in ({"baseline": "clip"}, {}, {"paper": "anomalyclip"}, {"baseline": "clip", "paper": "dual-image"}):
        clip_ac.extract(clip_ac.prepare(small, NAME, **options), pictures()[:1])
    assert seen == [True, True, False, False, True, True, False, False]  # checked in prepare, used in extract


def test_the_state_says_whose_paper_it_is(small):
    assert clip_ac.prepare(small, NAME).options.paper == "winclip"
    assert clip_ac.prepare(small, NAME, baseline="clip").options.paper == "anomalyclip"


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("clip", {"paper": "winclip"}, r"baseline 'clip' of paper 'winclip': expected one of clip-ac \(winclip\)"),
        ("clip-ac", {"paper": "dual-image"}, "baseline 'clip-ac' of paper 'dual-image'"),
        ("clip-ac", {"templates": "unknown"}, "templates 'unknown': expected one of winclip-a"),
        ("clip-ac", {"temperature": -1}, "temperature -1: expected a number above 0"),
        ("clip-ac", {"baseline": "clip"}, "clip-ac has no option 'baseline'; it has paper, states"),
        ("clip", {"crops": 10}, "clip has no option 'crops'"),
        ("clip", {"resize": "crop"}, "resize"),
        ("clip", {"states": "unknown"}, "states 'unknown'"),
    ],
)
def test_wrong_options_are_named(small, method, options, says):
    with pytest.raises(ValueError, match=says):
        refclip.detector(method, small, NAME, **options)


def test_states_by_their_published_name(small, images):
    """As winclip takes them, and the command line will."""
    a = refclip.detector("clip-ac", small, NAME, states="clip-ac")(images[:1])
    b = refclip.detector("clip-ac", small, NAME)(images[:1])
    np.testing.assert_array_equal(a.score, b.score)
