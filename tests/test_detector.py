"""`detector` over all methods: what each needs beside the image, batches, and features joined and cut again."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

import refclip
from refclip.decode import ImageError
from refclip.methods import (
    METHODS,
    contexts,
    dual_image,
    dual_image_adapt,
    dual_image_plus,
    musc,
    patchcore,
    vand,
    winclip_plus,
)
from refclip.methods.features import count, join, piece
from tests.devicearray import upload
from tests.test_cli import picture

NAME = "metal_nut"
QUICK = {"anoclip": {"views": 1}, "anovl": {"views": 1, "steps": 2}}  # 22 views take 22 times as long
SHORT = {"templates": ("a photo of a {}",)}  # one template; methods without text take none
COMPARING = ("winclip+", "patchcore", "dual-image", "dual-image+", "vand")
LEARNED = ("anomalyclip", "coop", "vand", "clip-ada")
# batches differ in the order of sums, in float64
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def options_of(method):
    text = SHORT if "templates" in METHODS[method][0].Options._fields else {}
    return text | QUICK.get(method, {})


def needed(method, images):
    return {"references": images[-2:]} if contexts.needs(METHODS[method][0]) in ("references", "either") else {}


@pytest.fixture(scope="module")
def images():
    """Seven pictures of noise over a ramp, of different sizes."""
    rng = np.random.default_rng(5)
    sizes = [(40, 40), (50, 70), (44, 41), (61, 40), (40, 80), (56, 56), (43, 47)]
    ramps = [np.linspace(60, 180, w)[None, :, None] + np.linspace(-40, 40, h)[:, None, None] for h, w in sizes]
    return [np.clip(r + rng.normal(0, 40, (*r.shape[:2], 3)), 0, 255).astype(np.uint8) for r in ramps]


def test_every_method_is_there():
    assert set(METHODS) == {
        "clip", "clip-ac", "maskclip", "winclip", "winclip+", "anoclip", "anovl", "dual-image", "dual-image+", "musc",
        "patchcore", *LEARNED,
    }  # fmt: skip
    assert {method for method in METHODS if contexts.needs(METHODS[method][0]) != "nothing"} == {*COMPARING, "musc"}


@pytest.mark.parametrize("method", METHODS)
def test_the_batch_changes_nothing(small, images, learned, method):
    some, options = images[:5], needed(method, images) | options_of(method) | learned(method, small)
    detectors = [refclip.detector(method, small, NAME, batch=n, **options) for n in (2, 5)]
    two, five = (detector(some) for detector in detectors)
    np.testing.assert_allclose(two.score, five.score, **CLOSE)
    np.testing.assert_allclose(two.map, five.map, **CLOSE)
    assert two.geometry == five.geometry
    assert len(set(two.score.tolist())) == 5
    assert two.on_original(1).shape == (50, 70)


def test_references_are_the_context(small, images):
    state = winclip_plus.prepare(small, NAME, **SHORT)
    memory = winclip_plus.remember(winclip_plus.extract(state, images[4:]))
    want = winclip_plus.score(state, winclip_plus.extract(state, images[:4]), memory)
    out = refclip.detector("winclip+", small, NAME, references=images[4:], batch=2, **SHORT)(images[:4])
    np.testing.assert_allclose(out.score, want.score, **CLOSE)
    np.testing.assert_allclose(out.map, want.map, **CLOSE)

    state = patchcore.prepare(small, fraction=0.5)
    memory = patchcore.remember(state, patchcore.extract(state, images[4:]))
    want = patchcore.score(state, patchcore.extract(state, images[:4]), memory)
    out = refclip.detector("patchcore", small, references=images[4:], batch=2, fraction=0.5)(images[:4])
    np.testing.assert_allclose(out.map, want.map, **CLOSE)


def test_references_are_images_of_any_kind(small, images, tmp_path):
    path = picture(tmp_path / "normal.png")
    with Image.open(path) as image:
        image.load()
    outs = [
        refclip.detector("winclip+", small, references=[one], **SHORT)(images[:2])
        for one in (path, str(path), image, np.asarray(image))
    ]
    for out in outs[1:]:
        np.testing.assert_array_equal(out.map, outs[0].map)


def test_a_reference_is_flawless_beside_itself(small, images):
    detector = refclip.detector("patchcore", small, references=images[:3], fraction=1.0, crowd=0)
    beside = detector(images)
    assert np.abs(beside.score[:3]).max() < 1e-6  # of distances of about 10
    assert beside.score[3:].min() > 0.1


def test_musc_scores_the_set_it_is_given(small, images):
    state = musc.prepare(small)
    want = musc.score(state, musc.extract(state, images))
    out = refclip.detector("musc", small, batch=3)(images)
    np.testing.assert_allclose(out.score, want.score, **CLOSE)
    np.testing.assert_allclose(out.map, want.map, **CLOSE)
    assert np.abs(refclip.detector("musc", small)(images[:4]).score - want.score[:4]).max() > 1e-3
    with pytest.raises(ValueError, match="expected at least 2 images, found 1"):
        refclip.detector("musc", small)(images[:1])


@pytest.mark.parametrize("others", [1, 3])
def test_dual_image_compares_with_others_of_the_set(small, images, others):
    state = dual_image.prepare(small, NAME, references=others, **SHORT)
    features = dual_image.extract(state, images)
    chosen = dual_image.pair(np.random.default_rng(4), len(images), others)
    want = dual_image.score(state, features, dual_image.Partners(features, chosen))
    out = refclip.detector("dual-image", small, NAME, references=others, rng=4, batch=3, **SHORT)(images)
    np.testing.assert_allclose(out.score, want.score, **CLOSE)
    np.testing.assert_allclose(out.map, want.map, **CLOSE)
    other = refclip.detector("dual-image", small, NAME, references=others, rng=5, **SHORT)(images)
    assert np.abs(other.map - out.map).max() > 1e-3


def test_dual_image_beside_references_or_alone(small, images):
    state = dual_image.prepare(small, NAME, **SHORT)
    features, beside = (dual_image.extract(state, some) for some in (images[:4], images[4:]))
    for references, context in ((images[4:], beside), (0, None)):
        want = dual_image.score(state, features, context)
        out = refclip.detector("dual-image", small, NAME, references=references, batch=3, **SHORT)(images[:4])
        np.testing.assert_allclose(out.map, want.map, **CLOSE)
    assert len(refclip.detector("dual-image", small, NAME, references=0, **SHORT)(images[:1]).score) == 1


@pytest.mark.parametrize("options", [{}, {"init": "uniform", "steps": 1}, {"resize": "tiles"}])
def test_adapted_dual_image_is_the_adaptation_image_by_image(small, images, options):
    """Written from `dual_image_adapt`'s parts: one image after another, its random numbers from its own pixels."""
    some = images[:3]
    own = {key: value for key, value in options.items() if key in dual_image.Options._fields}
    rest = {key: value for key, value in options.items() if key not in own}
    plain = dual_image.prepare(small, NAME, **own, **SHORT)
    out = refclip.detector("dual-image+", small, NAME, references=images[3:5], **options, **SHORT)(some)
    beside = dual_image.extract(plain, images[3:5])
    whole = dual_image_plus.prepare(small, NAME, **options, **SHORT)
    for i, image in enumerate(some):
        key = dual_image_plus.extract(whole, [image]).keys[0]
        rngs = [np.random.default_rng([0, int(key, 16)]) for _ in range(2)]
        features = dual_image.extract(plain, [image])
        made = dual_image_adapt.pseudo(plain, features, [image], rngs[0], **rest)
        adapters = dual_image_adapt.adapt(plain, features, made, beside, rngs[1], **rest)
        want = dual_image_adapt.score(plain, features, beside, adapters=adapters)
        np.testing.assert_allclose(out.score[i], want.score[0], **CLOSE)
        np.testing.assert_allclose(out.map[i], want.map[0], **CLOSE)
    again = refclip.detector("dual-image+", small, NAME, references=images[3:5], seed=1, **options, **SHORT)(some)
    assert np.abs(again.score - out.score).max() > 1e-9  # other pseudo-anomalies


def test_adapted_dual_image_without_a_step_is_dual_image(small, images):
    plain, plus = (
        refclip.detector(method, small, NAME, references=2, **SHORT, **steps)(images)
        for method, steps in (("dual-image", {}), ("dual-image+", {"steps": 0}))
    )
    np.testing.assert_allclose(plus.score, plain.score, **CLOSE)
    np.testing.assert_allclose(plus.map, plain.map, **CLOSE)


@pytest.mark.parametrize(
    ("method", "resize"), [(m, "squash") for m in METHODS] + [("dual-image", "tiles"), ("dual-image+", "tiles")]
)
def test_features_of_batches_are_those_of_all(small, images, learned, method, resize):
    module, preset = METHODS[method]
    options = options_of(method) | learned(method, small)
    if "resize" in module.Options._fields:  # clip-ada has one way
        options["resize"] = resize
    state = module.prepare(small, NAME, **preset, **options)
    whole = module.extract(state, images)
    assert count(whole) == 7
    parts = [piece(whole, a, z) for a, z in ((0, 1), (1, 5), (5, 7))]
    assert [count(part) for part in parts] == [1, 4, 2]
    assert_equal(join(parts), whole)
    assert_equal(piece(join(parts), 1, 5), parts[1])
    if contexts.needs(module) in ("nothing", "either"):
        want, out = module.score(state, whole), module.score(state, parts[1])
        np.testing.assert_allclose(out.map, want.map[1:5], **CLOSE)


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif hasattr(a, "_fields"):
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b


def test_features_that_do_not_belong_together(small, images):
    parts = []
    for features in ("value", "block"):
        module = METHODS["maskclip"][0]
        parts.append(module.extract(module.prepare(small, features=features, **SHORT), images[:1]))
    with pytest.raises(ValueError, match=r"made_of: found 'block', 'value'; expected the same for all"):
        join(parts)
    with pytest.raises(ValueError, match="no features"):
        join([])
    with pytest.raises(ValueError, match="images 0 to 2 of 1"):
        piece(parts[0], 0, 2)


@pytest.mark.parametrize("method", dict.fromkeys([*COMPARING, "musc", *LEARNED]))
def test_on_the_device(small, images, learned, method):
    """Methods that compare, and those that learn; the others are in `test_device`."""
    options = needed(method, images) | options_of(method) | learned(method, small)
    out, want = (
        refclip.detector(method, clip, NAME, batch=2, **options)(images[:4]) for clip in (upload(small), small)
    )
    assert type(out.score) is type(out.map) is np.ndarray
    np.testing.assert_allclose(out.score, want.score, **CLOSE)
    np.testing.assert_allclose(out.map, want.map, **CLOSE)


@pytest.mark.parametrize(
    ("method", "options", "error", "says"),
    [
        ("winclip+", {}, ValueError, r"winclip\+ needs references, at least one normal image: give references="),
        ("patchcore", {"references": []}, ValueError, "patchcore needs references"),
        ("winclip", {"references": [1]}, ValueError, "winclip judges each image by itself and takes no references"),
        ("musc", {"references": [1]}, ValueError, "musc judges the images of a set by each other and takes no ref"),
        ("winclip", {"references": 2}, TypeError, "references: expected a sequence"),
        ("winclip+", {"references": "a.png"}, TypeError, "references: expected a sequence of images"),
        ("winclip+", {"references": np.zeros((9, 9, 3), np.uint8)}, TypeError, r"references: an array of shape \[9, 9"),
        ("anoclip", {"adapt": True}, ValueError, "anoclip has no option 'adapt'"),
        ("musc", {"templates": "vand"}, ValueError, "musc has no option 'templates'; it has layers"),
        ("coop", {"references": [1]}, ValueError, "coop judges each image by itself and takes no references"),
        ("vand", {}, ValueError, r"vand needs what it has learned: learned=FILE .*`refclip train vand DATA"),
        ("clip-ada", {"learned": "nowhere"}, refclip.WeightsError, "nowhere: cannot be read"),
        ("winclip++", {}, ValueError, r"method 'winclip\+\+': expected one of clip, clip-ac"),
        ("clip", {"batch": 0}, ValueError, "batch=0"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_at_once(small, method, options, error, says):
    with pytest.raises(error, match=says):
        refclip.detector(method, small, **options)


def test_vand_with_references_or_without(small, images, learned):
    given = SHORT | learned("vand", small)
    for fusion, references in (("bound", images[4:]), ("set", images[4:]), ("set", None)):
        state = vand.prepare(small, NAME, image_fusion=fusion, **given)
        beside = None if references is None else vand.extract(state, references)
        want = vand.score(state, vand.extract(state, images[:4]), beside)
        detector = refclip.detector("vand", small, NAME, references=references, batch=3, image_fusion=fusion, **given)
        out = detector(images[:4])
        np.testing.assert_allclose(out.score, want.score, **CLOSE)
        np.testing.assert_allclose(out.map, want.map, **CLOSE)
        alone = detector(images[1:3]).score
        # brought to one range by the others of the call: with two images one is 0 and the other 1
        assert (np.abs(alone - out.score[1:3]).max() > 1e-3) == (fusion == "set" and references is not None)


def test_sets_that_are_too_small(small, images):
    with pytest.raises(ValueError, match=r"compared with 1 other of its set, which has 1: give more images, or ref"):
        refclip.detector("dual-image", small, **SHORT)(images[:1])
    with pytest.raises(ValueError, match=r"compared with 3 others of its set, which has 3"):
        refclip.detector("dual-image+", small, references=3, **SHORT)(images[:3])
    with pytest.raises(ValueError, match="no images: expected at least one"):
        refclip.detector("clip", small)([])


def test_errors_name_the_image_that_was_given(small, tmp_path):
    fine = [np.full((40, 40, 3), 90, np.uint8)] * 11
    detect = refclip.detector("clip", small, NAME, batch=8, **SHORT)
    with pytest.raises(TypeError, match=r"^images\[11\] is a float32 array"):
        detect([*fine, np.zeros((40, 40, 3), np.float32)])
    with pytest.raises(TypeError, match=r"^references\[9\] is a float32 array"):
        refclip.detector("patchcore", small, references=[*fine[:9], np.zeros((40, 40, 3), np.float32)])
    thin = picture(tmp_path / "thin.png", (1, 60000))
    detect = refclip.detector("clip", small, NAME, resize="shortest", batch=8, **SHORT)
    with pytest.raises(ImageError, match=f"^{re.escape(str(thin))} has 60000 x 1 pixels"):
        detect([*fine, thin])
