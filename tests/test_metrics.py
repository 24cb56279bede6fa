"""The metrics against scikit-learn, and PRO against its definition, one threshold, one region, one pixel at a time."""

from __future__ import annotations

import gc
import itertools
import math
import tracemalloc
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label as skimage_label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from benchmarks.metrics import careful_loop, published_loop
from refclip import metrics, pro, ranking, spool
from refclip.metrics import aupro, auroc, average_precision, f1_max, image_metrics, pixel_metrics, pro_curve
from refclip.ranking import exact_sum
from refclip.regions import as_mask, region_areas
from refclip.spool import Spool

EXACT = {"rel": 0, "abs": 1e-12}  # float64 on both sides: what is left is the order in which others add up
MANY = settings(max_examples=1500, deadline=None)
SOME = settings(max_examples=400, deadline=None)


# ---- what is drawn


@st.composite
def labelled(draw, both=True):
    """Scores with many ties or with none, and labels."""
    n = draw(st.integers(2, 40))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(-levels, levels + 1, n) / 7
    labels = rng.random(n) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    assume(labels.any() and (not both or not labels.all()))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), labels


@st.composite
def category(draw):
    """A few small maps of different sizes with their masks, not all without a defect nor all of it."""
    levels = draw(st.sampled_from([1, 3, 10, 10_000]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.05, 0.2, 0.5]))
    shapes = draw(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=4))
    maps = [(rng.integers(0, levels + 1, shape) / levels).astype(np.float32) for shape in shapes]
    masks = [rng.random(shape) < share * rng.integers(0, 2) for shape in shapes]
    found = sum(mask.sum() for mask in masks)
    assume(0 < found < sum(mask.size for mask in masks))
    return maps, masks


# ---- definitions, written out


def slow_regions(mask):
    """Lists of (row, column), by flooding from each pixel that no region has yet."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    out = []
    while left:
        region, edge = [], [left.pop()]
        while edge:
            y, x = edge.pop()
            region.append((y, x))
            for near in itertools.product((y - 1, y, y + 1), (x - 1, x, x + 1)):
                if near in left:
                    left.remove(near)
                    edge.append(near)
        out.append(region)
    return out


def slow_curve(maps, masks):
    """Points (rate, overlap) as fractions, from the highest distinct threshold down, (0, 0) first."""
    regions = [[m[p] for p in region] for m, mask in zip(maps, masks, strict=True) for region in slow_regions(mask)]
    normal = [score for m, mask in zip(maps, masks, strict=True) for score in m[~mask]]
    points = [(Fraction(0), Fraction(0))]
    for t in sorted({score for m in maps for score in m.ravel()}, reverse=True):
        rate = Fraction(sum(bool(score >= t) for score in normal), len(normal))
        shares = [Fraction(sum(bool(score >= t) for score in region), len(region)) for region in regions]
        points.append((rate, sum(shares) / len(shares)))
    return points


def slow_aupro(maps, masks, limit):
    """Trapezoids up to the limit, the last one cut there by a straight line."""
    limit = Fraction(limit)
    area = Fraction(0)
    for (x0, y0), (x1, y1) in itertools.pairwise(slow_curve(maps, masks)):
        if x1 > limit:
            if x0 < limit:
                area += (limit - x0) * (y0 + y0 + (y1 - y0) * (limit - x0) / (x1 - x0)) / 2
            break
        area += (x1 - x0) * (y0 + y1) / 2
    return float(area / limit)


# ---- against them


@MANY
@given(labelled())
def test_image_metrics_are_scikit_learns(case):
    scores, labels = case
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    every = image_metrics(scores, labels)
    assert every.auroc == auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), **EXACT)
    ap = average_precision(scores, labels)
    assert every.ap == ap == pytest.approx(average_precision_score(labels, scores), **EXACT)
    best = f1_max(scores, labels)
    assert every.f1 == best
    assert best.value == pytest.approx(f1.max(), **EXACT)
    # scikit-learn's numbers at our threshold, and no better one above it
    at = int(np.flatnonzero(thresholds == best.threshold)[0])
    assert (best.precision, best.recall) == pytest.approx((precision[at], recall[at]), **EXACT)
    assert f1[at] == pytest.approx(f1.max(), **EXACT)
    assert (f1[at + 1 :] < f1[at]).all() or f1[at + 1 :].max() <= f1[at] + 1e-12
    called = scores >= best.threshold
    assert 2 * (called & labels).sum() / (called.sum() + labels.sum()) == pytest.approx(best.value, **EXACT)


@MANY
@given(category(), st.sampled_from([0.01, 0.05, 0.3, 0.5, 1.0]))
def test_aupro_is_its_definition(case, limit):
    assert aupro(*case, limit=limit) == pytest.approx(slow_aupro(*case, limit), **EXACT)


@SOME
@given(category())
def test_the_curve_is_its_definition(case):
    curve, points = pro_curve(*case), slow_curve(*case)
    assert [x[0] for x in curve] == [0, 0, np.inf]
    assert curve.fpr[-1] == curve.pro[-1] == 1
    for x in curve[:2]:
        assert (np.diff(x) >= 0).all()
    assert (np.diff(curve.threshold) < 0).all()
    assert curve.fpr.size <= 2 * sum(mask.sum() for mask in case[1]) + 2
    # the corners are among the points, and the lines between them pass through all others: the areas agree
    for rate, overlap in zip(curve.fpr, curve.pro, strict=True):
        assert any(abs(rate - x) < 1e-12 and abs(overlap - y) < 1e-12 for x, y in points)
    assert np.trapezoid(curve.pro, curve.fpr) == pytest.approx(aupro(*case, limit=1), **EXACT)
    for t, rate, overlap in list(zip(curve.threshold, curve.fpr, curve.pro, strict=True))[1:]:
        false = sum((m[~mask] >= t).sum() for m, mask in zip(*case, strict=True))
        assert rate == false / sum((~mask).sum() for mask in case[1])
        shares = [np.mean([m[p] >= t for p in r]) for m, mask in zip(*case, strict=True) for r in slow_regions(mask)]
        assert overlap == pytest.approx(np.mean(shares), **EXACT)


@SOME
@given(category())
def test_pixel_metrics_are_those_of_all_pixels(case):
    maps, masks = case
    scores, labels = (np.concatenate([x.ravel() for x in part]) for part in (maps, masks))
    every = pixel_metrics(maps, masks)
    assert every[:3] == image_metrics(scores, labels)
    assert every.aupro == aupro(maps, masks)
    assert pixel_metrics(maps, masks, limit=1).aupro == aupro(maps, masks, 1)


@MANY
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_regions(mask):
    areas, count = region_areas(mask)
    slow = slow_regions(mask)
    assert count == len(slow)
    size = {p: len(region) for region in slow for p in region}
    assert areas.tolist() == [size[y, x] for y, x in np.argwhere(mask).tolist()]
    labels, theirs = skimage_label(mask, return_num=True)  # what the published loops call
    assert count == theirs
    assert areas.tolist() == np.bincount(labels.ravel())[labels[mask]].tolist()


def test_regions_meet_at_corners():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1]], bool)
    areas, count = region_areas(mask)
    assert count == 3
    assert areas.tolist() == [3, 1, 3, 3, 1]


@settings(max_examples=60, deadline=None)
@given(category(), st.sampled_from([5, 20, 200]), st.sampled_from([0.3, 0.6, 1.0]))
def test_the_published_variant_is_the_loops(case, steps, limit):
    side = max(max(m.shape) for m in case[0])
    maps, masks = (np.stack([np.pad(x, [(0, side - n) for n in x.shape]) for x in part]) for part in case)
    curves = maps, masks
    try:
        ours = aupro(*curves, limit, thresholds=steps)
    except ValueError as error:
        assert "use thresholds=None" in str(error)
        constant = maps.min() == maps.max()
        curve = None if constant else pro_curve(*curves, thresholds=steps)
        assert constant or np.unique(curve.fpr[curve.fpr < limit]).size < 2
        return
    assert ours == pytest.approx(published_loop(*curves, steps, limit), **EXACT)
    assert ours == pytest.approx(careful_loop(*curves, steps, limit), **EXACT)
    assert pixel_metrics(*curves, limit, steps).aupro == ours


def test_by_hand():
    """Normal scores 1, 2, 3, 5; a region of 6 and 2, and one of 4."""
    maps = np.array([[6.0, 2, 1, 2, 3], [4, 5, 5, 5, 5]])
    masks = np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    maps, masks = [maps[:1], np.array([[4.0, 5]])], [masks[:1], np.array([[1, 0]])]
    # threshold 6: (0, 1/4); 5: (1/4, 1/4); 4: (1/4, 3/4); 3: (2/4, 3/4); 2: (3/4, 1); 1: (1, 1)
    curve = pro_curve(maps, masks)
    np.testing.assert_array_equal(curve.threshold, [np.inf, 6, 5, 4, 3, 2, 1])
    np.testing.assert_array_equal(curve.fpr, [0, 0, 1 / 4, 1 / 4, 2 / 4, 3 / 4, 1])
    np.testing.assert_array_equal(curve.pro, [0, 1 / 4, 1 / 4, 3 / 4, 3 / 4, 1, 1])
    assert aupro(maps, masks, 0.5) == (1 / 16 + 3 / 16) / 0.5
    assert aupro(maps, masks, 0.25) == 1 / 4
    assert aupro(maps, masks, 0.625) == pytest.approx((4 / 16 + 1 / 8 * (3 / 4 + 7 / 8) / 2) / 0.625, **EXACT)
    assert pixel_metrics(maps, masks).auroc == (4 + 3 + 1.5) / 12
    assert pixel_metrics(maps, masks).ap == pytest.approx((1 + 2 / 3 + 3 / 6) / 3, **EXACT)
    assert pixel_metrics(maps, masks).f1 == metrics.F1(2 / 3, 4.0, 2 / 3, 2 / 3)


# ---- the ends of the range


@pytest.mark.parametrize("limit", [0.05, 0.3, 1])
def test_constant_maps(limit):
    maps, masks = np.full((3, 4, 4), 0.7, np.float32), np.zeros((3, 4, 4), bool)
    masks[0, :2, :2] = masks[1, 3] = True
    every = pixel_metrics(maps, masks, limit)
    assert every.auroc == 0.5
    assert every.ap == 8 / 48
    assert every.f1 == metrics.F1(16 / 56, float(np.float32(0.7)), 8 / 48, 1.0)
    assert every.aupro == pytest.approx(limit / 2, **EXACT)
    with pytest.raises(ValueError, match=r"from 0\.[67]\d* to 0\.[67]\d* leave no room for 200 thresholds"):
        pixel_metrics(maps, masks, limit, thresholds=200)


def test_perfect_and_inverted():
    masks = np.zeros((2, 5, 5), bool)
    masks[0, 1:3, 1:3] = True
    assert pixel_metrics(masks.astype(float), masks) == (1, 1, (1, 1, 1, 1), 1)
    upside_down = pixel_metrics(-masks.astype(float), masks)
    assert (upside_down.auroc, upside_down.aupro) == (0, 0)
    assert upside_down.ap == upside_down.f1.precision == 4 / 50


def test_all_anomalous():
    assert average_precision([1, 2, 2], [1, 1, 1]) == 1
    assert f1_max([1, 2, 2], [1, 1, 1]) == (1, 1, 1, 1)
    for f in (auroc, image_metrics):
        with pytest.raises(ValueError, match="all 3 labels or pixels are anomalous, and AUROC and AUPRO compare"):
            f([1, 2, 2], [1, 1, 1])
    for f in (aupro, pixel_metrics, pro_curve):
        with pytest.raises(ValueError, match="all 4 labels or pixels are anomalous"):
            f([np.eye(2)], [np.ones((2, 2), bool)])


def test_all_normal():
    for f in (auroc, image_metrics, average_precision, f1_max):
        with pytest.raises(ValueError, match="all 3 labels or pixels are normal"):
            f([1, 2, 2], [0, 0, 0])
    for f in (aupro, pixel_metrics, pro_curve):
        for mask in (np.zeros((2, 2), bool), None):
            with pytest.raises(ValueError, match="all 4 labels or pixels are normal"):
                f([np.eye(2)], [mask])


def test_an_image_without_a_defect_needs_no_mask():
    maps = np.random.default_rng(0).normal(size=(2, 6, 6))
    masks = np.zeros((2, 6, 6), bool)
    masks[0, 2:4] = True
    assert pixel_metrics(maps, [masks[0], None]) == pixel_metrics(maps, masks)


LEVELS = {"bool": (0, 2), "int8": (-128, 128)}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int8", "int64", "bool"])
def test_types_of_scores(dtype):
    rng = np.random.default_rng(1)
    maps, masks = rng.integers(*LEVELS.get(dtype, (0, 200)), (3, 9, 9)), rng.random((3, 9, 9)) < 0.2
    want = pixel_metrics(maps.astype(float), masks)
    assert pixel_metrics(maps.astype(dtype), masks) == want
    assert pixel_metrics([maps[0].astype(dtype), *maps[1:].astype(float)], masks) == want  # mixed
    if dtype not in ("float16", "bool"):  # float16 has thresholds of its own, and two scores leave one rate
        want = aupro(maps.astype(float), masks, 0.9, thresholds=7)
        assert aupro(maps.astype(dtype), masks, 0.9, thresholds=7) == pytest.approx(want, **EXACT)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "int8"])
@pytest.mark.parametrize("top", [1, 255])
def test_types_of_masks(dtype, top):
    truth = np.random.default_rng(2).random((3, 9, 9)) < 0.2
    if dtype == "int8" and top == 255:
        return
    masks = truth if dtype == "bool" else (truth * top).astype(dtype)
    maps = np.random.default_rng(3).random((3, 9, 9))
    kept = maps.copy(), masks.copy()
    assert pixel_metrics(maps, masks) == pixel_metrics(maps, truth)
    np.testing.assert_array_equal(maps, kept[0])  # nothing is changed in place
    np.testing.assert_array_equal(masks, kept[1])
    assert auroc(maps, masks) == pixel_metrics(maps, truth).auroc  # of any shape
    assert auroc(maps.tolist(), masks.tolist()) == auroc(maps, truth)


GOOD = np.arange(12.0).reshape(3, 4)
MASK = GOOD > 8


def changed(array, value, dtype=None):
    out = array.astype(dtype or array.dtype)
    out[1, 2] = value
    return out


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        ([], [], "found 0 maps and 0 masks; expected one mask"),
        ([GOOD], [], "found 1 maps and 0 masks"),
        ([GOOD], [MASK, MASK], "found 1 maps and 2 masks"),
        ([GOOD, GOOD], [MASK, MASK.T], r"maps\[1\] is \[3, 4\] and masks\[1\] is \[4, 3\]; expected one size"),
        (GOOD, MASK, r"maps\[0\]: found shape \[4\], expected \[H, W\] with pixels; a single map goes into a list"),
        ([GOOD[:0]], [MASK[:0]], r"maps\[0\]: found shape \[0, 4\]"),
        ([GOOD[None]], [MASK[None]], r"maps\[0\]: found shape \[1, 3, 4\]"),
        ([changed(GOOD, np.nan)], [MASK], r"maps\[0\]: 1 of 12 scores are NaN or infinite, expected finite"),
        ([GOOD, changed(GOOD, -np.inf)], [MASK] * 2, r"maps\[1\]: 1 of 12 scores are NaN or infinite"),
        ([GOOD + 0j], [MASK], r"maps\[0\]: found complex128, expected real numbers"),
        ([GOOD.astype(str)], [MASK], r"maps\[0\]: found <U32, expected real numbers"),
        ([GOOD], [MASK.astype(float)], r"masks\[0\]: found float64, expected booleans or whole .* mask > 0.5"),
        ([GOOD], [MASK * 128], r"masks\[0\]: found the values 0, 128; expected 0 and 1, or 0 and 255"),
        ([GOOD], [changed(MASK, 7, np.uint8)], r"masks\[0\]: found the values 0, 1, 7; expected"),
        ([GOOD], [changed(255 * MASK, 1)], r"masks\[0\]: found the values 0, 1, 255; expected"),
        ([GOOD], [changed(MASK, -1, int)], r"masks\[0\]: found the values -1, 0, 1; expected"),
        ([GOOD], [GOOD.astype(int)], r"masks\[0\]: found the values 0, 1, 2, 3, 4, 5, \.\.\.; expected"),
    ],
)
def test_what_is_refused(maps, masks, message):
    for f in (aupro, pixel_metrics, pro_curve):
        with pytest.raises(ValueError, match=message):
            f(maps, masks)


@pytest.mark.parametrize("limit", [0, -0.1, 1.01, math.nan, 30])
def test_limits_that_are_none(limit):
    for thresholds in (None, 200):
        for f in (aupro, pixel_metrics):
            with pytest.raises(ValueError, match=r"limit is .*; expected a false positive rate above 0 and at most 1"):
                f([GOOD], [MASK], limit, thresholds)


def test_thresholds_that_are_none():
    with pytest.raises(ValueError, match="thresholds is 0; expected a number above 0"):
        aupro([GOOD], [MASK], thresholds=0)
    with pytest.raises(ValueError, match="200 evenly spaced thresholds give 1 false positive rates"):
        outlier = np.where(np.arange(12).reshape(3, 4) == 11, 1e6, GOOD)  # one high score, and the grid sees no other
        aupro([outlier], [MASK], thresholds=200)
    near = np.where(MASK, np.nextafter(1.0, 2), 1.0)
    with pytest.raises(ValueError, match="leave no room"):
        aupro([near], [MASK], thresholds=200)
    assert aupro([near], [MASK]) == 1


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], r"labels: found float64, expected booleans"),
        (np.zeros(0), np.zeros(0, bool), r"scores are \[0\] and labels \[0\]; expected one shape with something in it"),
        ([1, 2, 3], [0, 1], r"scores are \[3\] and labels \[2\]; expected one shape"),
        ([1, np.nan], [0, 1], "scores: 1 of 2 scores are NaN"),
        ([1, np.inf], [0, 1], "scores: 1 of 2 scores are NaN or infinite"),
        ([1, 2], [0, 2], "labels: found the values 0, 2; expected 0 and 1"),
        ([1, 2], [-1, 1], "labels: found the values -1, 1; expected 0 and 1"),
        ([1, 2], ["good", "bad"], "labels: found <U4, expected booleans"),
    ],
)
def test_what_is_refused_of_images(scores, labels, message):
    for f in (auroc, average_precision, f1_max, image_metrics):
        with pytest.raises(ValueError, match=message):
            f(scores, labels)


def test_a_mask_of_nothing_but_zeros_is_one():
    for dtype in (np.uint8, np.int64, bool):
        np.testing.assert_array_equal(as_mask(np.zeros((2, 2), dtype), "mask"), np.zeros((2, 2), bool))


# ---- sums and runs


@SOME
@given(st.lists(st.floats(0, 1e300), max_size=50))
@example([5e-324, 1.0, 0.0, 2.0**-1022])
def test_exact_sum(values):
    with mock.patch.object(ranking, "PIECE", 7):
        total = exact_sum(np.array(values))
    assert total == sum(map(Fraction, values))
    assert float(total) == math.fsum(values)


@SOME
@given(category(), st.integers(1, 30), st.integers(1, 30), st.sampled_from([None, 9]))
def test_the_spool_gives_what_memory_gives(case, run, piece, thresholds):
    """To the last bit, wherever runs end, and with questions asked in between."""
    with (
        mock.patch.multiple(spool, RUN=run, PIECE=piece),
        mock.patch.object(ranking, "PIECE", 1 + piece // 2),
        Spool() as spooled,
    ):
        for i, pair in enumerate(zip(*case, strict=True)):
            spooled.add(*pair)
            for steps in {None, thresholds}:
                assert answer(spooled.metrics, 0.3, steps) == answer(
                    pixel_metrics, *(x[: i + 1] for x in case), 0.3, steps
                )


def answer(f, *args):
    try:
        return f(*args)
    except ValueError as error:
        return str(error)


def test_the_spool_in_other_types():
    rng = np.random.default_rng(4)
    maps, masks = rng.random((5, 20, 20)), rng.random((5, 20, 20)) < 0.1
    results = {}
    for dtype in ("float32", "float64"):
        with Spool(dtype=dtype) as spooled:
            for pair in zip(maps, masks, strict=True):
                spooled.add(*pair)
            spooled.add(np.zeros((3, 3)), None)
            results[dtype] = spooled.metrics(0.2)
    more = [*maps, np.zeros((3, 3))], [*masks, None]
    assert results["float64"] == pixel_metrics(*more, 0.2)
    assert results["float32"] == pixel_metrics([m.astype(np.float32) for m in more[0]], more[1], 0.2)
    with pytest.raises(ValueError, match="dtype is 'float16'; expected 'float32' or 'float64'"):
        Spool(dtype="float16")  # pyright: ignore[reportArgumentType]


def test_a_refused_map_leaves_the_spool_as_it_was():
    with Spool() as spooled:
        with pytest.raises(ValueError, match="no map was added"):
            spooled.metrics()
        spooled.add(GOOD, MASK)
        with pytest.raises(ValueError, match=r"maps\[1\]: 1 of 12 scores are NaN"):
            spooled.add(changed(GOOD, np.nan), MASK)
        with pytest.raises(ValueError, match=r"maps\[1\] is \[3, 4\] and masks\[1\] is \[4, 3\]"):
            spooled.add(GOOD, MASK.T)
        with pytest.raises(ValueError, match=r"maps\[1\]: float32 cannot hold 1e\+300; rescale"):
            spooled.add(changed(GOOD, 1e300), MASK)
        with pytest.raises(ValueError, match="limit is 2"):
            spooled.metrics(2)
        assert spooled.metrics() == pixel_metrics([GOOD], [MASK])


class Stop(Exception):
    pass


def test_nothing_is_left_on_disk(tmp_path):
    with mock.patch.multiple(spool, RUN=5, PIECE=3), pytest.raises(Stop), Spool(tmp_path) as spooled:
        for _ in range(4):
            spooled.add(GOOD, MASK)
        assert spooled.normal.lengths and spooled.anomalous.lengths  # something was written
        raise Stop
    assert list(tmp_path.iterdir()) == []
    assert spooled.normal.file.closed and spooled.anomalous.file.closed
    for call in (lambda: spooled.add(GOOD, MASK), spooled.metrics):
        with pytest.raises(ValueError, match="this spool is closed"):
            call()
    with pytest.raises(FileNotFoundError):
        Spool(tmp_path / "missing")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_reported(tmp_path):
    with (
        mock.patch.multiple(spool, RUN=5, PIECE=3),
        pytest.raises(OSError, match="No space left"),
        Spool(tmp_path) as s,
    ):
        s.normal.file.close()
        s.normal.file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115, the spool closes it
        s.add(GOOD, MASK)
    assert list(tmp_path.iterdir()) == []
    assert s.anomalous.file.closed


def peak(count):
    """The most memory that Python and NumPy held at once, with `count` maps of 250,000 pixels, 3 in 10 anomalous."""
    rng = np.random.default_rng(5)
    scores, mask = rng.random((500, 500)).astype(np.float32), np.zeros((500, 500), bool)
    mask[:150] = True
    gc.collect()
    tracemalloc.start()
    try:
        with (
            mock.patch.multiple(spool, RUN=1 << 18, PIECE=1 << 16),
            mock.patch.object(ranking, "PIECE", 1 << 16),
            Spool() as spooled,
        ):
            for i in range(count):
                spooled.add(np.roll(scores, i), mask)
            spooled.metrics()
            spooled.metrics(thresholds=20)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_maps():
    peak(1)  # imports
    assert peak(12) < 1.05 * peak(4)  # the list of runs' lengths grows, by a number each


def test_pieces_change_nothing():
    rng = np.random.default_rng(6)
    maps, masks = rng.normal(size=(4, 50, 50)).round(1), rng.random((4, 50, 50)) < 0.2
    want = pixel_metrics(maps, masks), aupro(maps, masks, thresholds=200)
    with mock.patch.object(ranking, "PIECE", 13):
        assert (pixel_metrics(maps, masks), aupro(maps, masks, thresholds=200)) == want
    order = rng.permutation(4)
    assert pixel_metrics(maps[order], masks[order]) == want[0]


def test_large_counts_do_not_overflow():
    """AUROC of 2^32 x 2^31 pairs and more: the sums are Python's integers."""
    c = ranking.Counts(*(np.array([x]) for x in (0.5, 1, 3, 5, 7)))
    ranked = ranking.Ranked([], [], 1 << 62, 1 << 40, 1, 0.0, 1.0)
    wins = metrics._wins(c, ranked)
    assert wins == (1 << 63) - 8
    assert 0 < metrics._auroc(wins, ranked) < 1e-11
    assert pro.overlap(c, ranked, 1.0) == 1
