"""`evaluate`: its figures from their definitions, what is encoded and how often, what is wrong and what is stale."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score

import refclip
from refclip import data, kept, peak, results, sources
from refclip.cases import HIGHEST, LOWEST, NORMAL, figure
from refclip.datasets import DATASETS
from refclip.evaluate import Done, Request, evaluate, runs
from refclip.judge import FIGURES, frame
from refclip.methods import METHODS, winclip_plus
from refclip.papers import reported
from refclip.preprocess import Geometry, Preprocess, preprocess
from refclip.records import Record
from refclip.samples import DataError
from tests.test_detector import assert_equal
from tests.toysets import mvtec, put, shot

SHORT = {"templates": ("a photo of a {}",)}
LIGHT = {"features": "patches", "memories": "patch", **SHORT}  # winclip+ without windows
EXACT = {"rel": 1e-12, "abs": 1e-12}  # the same float64 scores; sums in another order


def run(clip, root, folder, method="clip", options=SHORT, *, keep_features=False, tell=None, **request):
    source = sources.open_source(root, folder=folder)
    more = {"tell": tell} if tell else {}
    done = evaluate(clip, source, Request(method, options, **request), folder, keep_features=keep_features, **more)
    return source, done


def best_f1(scores, truth):
    return max(
        2 * (truth & (scores >= t)).sum() / ((scores >= t).sum() + truth.sum()) for t in np.unique(scores[truth])
    )


def area_of_pro(maps, masks, limit=0.3):
    """The curve through every distinct score, by its definition; straight up to the limit."""
    structure = np.ones((3, 3))
    regions = []
    for heat, mask in zip(maps, masks, strict=True):
        labels, n = ndimage.label(mask, structure)
        regions += [np.sort(heat[labels == k + 1]) for k in range(n)]
    normal = np.sort(np.concatenate([heat[~mask] for heat, mask in zip(maps, masks, strict=True)]))
    thresholds = np.unique(np.concatenate([normal, *regions]))[::-1]

    def share(values):
        return 1 - np.searchsorted(values, thresholds, "left") / len(values)

    fpr = np.concatenate([[0], share(normal)])
    pro = np.concatenate([[0], np.mean([share(region) for region in regions], axis=0)])
    x = np.append(fpr[fpr < limit], limit)
    return np.trapezoid(np.append(pro[fpr < limit], np.interp(limit, fpr, pro)), x) / limit


def covered(mask, size):
    """Which of the model's pixels a mask covers to a half or more: every pixel cut into equal parts, and counted."""
    (h0, w0), (h, w) = mask.shape, size
    return np.kron(mask, np.ones((h, w), np.uint8)).reshape(h, h0, w, w0).mean(axis=(1, 3)) >= 0.5


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", ["model", "original"])
def test_the_figures_are_those_of_the_definitions(small, tmp_path, resolution):
    root = mvtec(tmp_path / "set", ("nut", "metal_nut"))
    _, done = run(small, root, tmp_path / "parts", resolution=resolution, batch=3)
    assert [(r.category, r.shots, r.seed) for r in done.records] == [("metal_nut", 0, 0), ("nut", 0, 0)]
    for record in done.records:
        samples = data.find(root, categories=[record.category]).samples
        out = refclip.detector("clip", small, record.category, **SHORT)([sample.path for sample in samples])
        labels = np.array([sample.label for sample in samples], bool)
        masks = []
        for sample in samples:
            mask = data.load(sample)[1]
            masks.append(covered(mask, (40, 40)) if resolution == "model" else mask)
        maps = list(out.map) if resolution == "model" else [out.on_original(i) for i in range(len(samples))]
        scores, truth = (np.concatenate([x.ravel() for x in xs]) for xs in (maps, masks))
        want = {
            "image_auroc": roc_auc_score(labels, out.score),
            "image_ap": average_precision_score(labels, out.score),
            "image_f1": best_f1(out.score, labels),
            "pixel_auroc": roc_auc_score(truth, scores),
            "pixel_ap": average_precision_score(truth, scores),
            "pixel_f1": best_f1(scores, truth),
            "pixel_aupro": area_of_pro(maps, masks),
        }
        assert set(want) == set(FIGURES)
        assert record.figures == pytest.approx(want, **EXACT)
        assert record.images == {"normal": 3, "anomalous": 4, "unlabelled": 0, "without_mask": 0}
        assert [(path, label) for path, label, _ in record.scores] == [
            (sample.path.relative_to(root).as_posix(), sample.label) for sample in samples
        ]
        assert [score for *_, score in record.scores] == pytest.approx(out.score.tolist(), **EXACT)
        assert (record.problems, record.left_out) == ((), {})
        assert record.options["paper"] == "anomalyclip"  # as `prepare` has chosen


@pytest.mark.parametrize("size", [(30, 60), (61, 40)])
def test_pixels_that_the_model_did_not_see_are_not_judged(size):
    picture, mask = shot(1, size=size, damaged=True)
    for resize in ("shortest", "longest", "squash"):
        config = Preprocess(size=(40, 40), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize=resize)
        _, (geometry,) = preprocess([picture], config)
        heat = np.arange(1600.0).reshape(40, 40)
        seen, truth = frame(heat, mask, geometry, "original")
        assert truth is not None and seen.shape == truth.shape and not np.isnan(seen).any()
        model, shrunk = frame(heat, mask, geometry, "model")
        assert shrunk is not None and model.shape == shrunk.shape
        assert frame(heat, None, geometry, "model")[1] is None
        (top, left), (h, w) = geometry.corner, geometry.resized
        if resize == "longest":  # nothing is cut, the frame is padded
            assert seen.shape == size
            assert model.shape == (h, w)
            np.testing.assert_array_equal(model, heat[-top : 40 - (40 - h + top), -left : 40 - (40 - w + left)])
        if resize == "shortest":
            assert min(seen.shape) == min(size) and max(seen.shape) < max(size)
            assert model.shape == (40, 40)
        if resize == "squash":
            np.testing.assert_array_equal(shrunk, covered(mask, (40, 40)))


def test_a_table_is_of_means_over_categories_and_seeds():
    rng = np.random.default_rng(3)
    values = rng.uniform(size=(2, 3, 2))  # category, seed, figure
    records = [
        Record(
            category, 1, seed, {"image_auroc": values[c, seed, 0]} | ({"pixel_ap": values[c, seed, 1]} if c else {}),
            {}, {}, {}, (), (), (), {}, {},
        )
        for c, category in enumerate(("a", "b"))
        for seed in range(3)
    ]  # fmt: skip
    a, b, mean = results.table(records)
    assert (a.category, b.category, mean.category, mean.shots) == ("a", "b", "mean", 1)
    means = values[:, :, 0].mean(axis=0)
    assert mean.figures["image_auroc"] == pytest.approx((means.mean(), means.std(ddof=1), 3, 2))
    assert a.figures["image_auroc"][:2] == pytest.approx((values[0, :, 0].mean(), values[0, :, 0].std(ddof=1)))
    assert mean.figures["pixel_ap"] == b.figures["pixel_ap"]  # of the one category that has it
    assert mean.figures["pixel_ap"].categories == 1
    (one,) = results.table(records[:1])[:1]
    assert one.figures["image_auroc"] == (values[0, 0, 0], None, 1, 1)
    assert results.percent(one.figures["image_auroc"]) == f"{100 * values[0, 0, 0]:.1f}"
    assert results.percent(None) == ""


# --- references, partners, seeds -------------------------------------------------------------------------------------


def test_shots_and_seeds_score_kept_features(small, tmp_path, monkeypatch):
    root = mvtec(tmp_path / "set", train=4)
    encoded = []
    extract = winclip_plus.extract
    monkeypatch.setattr(
        winclip_plus, "extract", lambda s, images: encoded.extend(x.tobytes() for x in images) or extract(s, images)
    )
    told = []
    _, done = run(
        small, root, tmp_path / "parts", "winclip+", LIGHT,
        shots=(1, 3), seeds=(0, 2), batch=4, keep_features=True, tell=lambda name, n: told.append(n),
    )  # fmt: skip
    assert len(set(encoded)) == len(encoded) == 7 + 4  # seed 0 leaves out another of the 4 than seed 2
    assert sum(told) == 7 * (1 + 4)
    monkeypatch.undo()
    tests = [sample.path for sample in data.find(root).samples]
    for record in done.records:
        drawn = [sample.path for sample in data.references(root, None, "nut", record.shots, record.seed)]
        assert list(record.references) == [path.relative_to(root).as_posix() for path in drawn]
        out = refclip.detector("winclip+", small, "nut", references=drawn, **LIGHT)(tests)
        assert [score for *_, score in record.scores] == pytest.approx(out.score.tolist(), rel=1e-9)
    assert len({record.figures["pixel_auroc"] for record in done.records}) > 1
    # one seed and one shot more: nothing is encoded again
    monkeypatch.setattr(winclip_plus, "extract", lambda *_: pytest.fail("encoded again"))
    _, more = run(small, root, tmp_path / "parts", "winclip+", LIGHT, shots=(1, 2, 3), seeds=(0, 2, 1), batch=4)
    assert len(more.records) == 9
    assert more.records[:2] == done.records[:2]
    assert not list((tmp_path / "parts").rglob("*.features.npz"))  # this time they were not to be kept


@pytest.mark.parametrize("method", ["musc", "dual-image", "dual-image+"])
def test_sets_are_scored_as_a_whole(small, tmp_path, method):
    root = mvtec(tmp_path / "set")
    options = {"layers": (2, 4)} if method == "musc" else SHORT
    _, done = run(small, root, tmp_path / "parts", method, options, seeds=(0, 1), batch=2)
    assert [record.seed for record in done.records] == ([0] if method == "musc" else [0, 1])  # musc draws nothing
    tests = [sample.path for sample in data.find(root).samples]
    for record in done.records:
        out = refclip.detector(method, small, "nut", rng=record.seed, **options)(tests)
        assert [score for *_, score in record.scores] == pytest.approx(out.score.tolist(), rel=1e-9)


def test_dual_image_beside_shots(small, tmp_path):
    root = mvtec(tmp_path / "set")
    _, done = run(small, root, tmp_path / "parts", "dual-image", SHORT, shots=(0, 2))
    assert [len(record.references) for record in done.records] == [0, 2]
    drawn = [sample.path for sample in data.references(root, None, "nut", 2, 0)]
    tests = [sample.path for sample in data.find(root).samples]
    out = refclip.detector("dual-image", small, "nut", references=drawn, **SHORT)(tests)
    assert [score for *_, score in done.records[1].scores] == pytest.approx(out.score.tolist(), rel=1e-9)


def test_runs_are_one_where_nothing_is_drawn():
    def of(method, **more):
        return runs(Request(method, more.pop("options", {}), seeds=(0, 1), **more))

    assert of("winclip") == of("musc") == of("dual-image", options={"references": 0}) == [(0, 0)]
    assert of("dual-image") == [(0, 0), (0, 1)]
    assert of("winclip+", shots=(1, 4)) == [(1, 0), (1, 1), (4, 0), (4, 1)]
    for method, more, says in (
        ("winclip+", {}, r"winclip\+ needs references, at least one normal image: give --shots K"),
        ("patchcore", {"shots": (0, 1)}, "patchcore needs references"),
        ("clip", {"shots": (1,)}, "takes no references"),
        ("clip", {"shots": ()}, "expected some of each"),
        ("clip", {"batch": 0}, "expected some of each"),
        ("clip", {"resolution": "full"}, "resolution='full': expected one of model, original"),
    ):
        with pytest.raises(ValueError, match=says):
            of(method, **more)


# --- what is missing, damaged or stale -------------------------------------------------------------------------------


def test_damaged_files_are_named_and_the_rest_is_done(small, tmp_path):
    whole = mvtec(tmp_path / "set", good=18, bad=20)
    clean = mvtec(tmp_path / "clean", good=18, bad=20)
    test = whole / "nut" / "test"
    (test / "good" / "003.png").write_bytes((test / "good" / "003.png").read_bytes()[:300])
    (test / "spot" / "007.png").write_text("no picture")
    put(whole / "nut" / "ground_truth" / "spot" / "011_mask.png", np.zeros((5, 5), np.uint8))  # of another image
    for name in ("test/good/003.png", "test/spot/007.png", "ground_truth/spot/007_mask.png"):
        (clean / "nut" / name).unlink()
    put(
        whole / "nut" / "ground_truth" / "spot" / "013_mask.png", np.zeros((48, 41 + 4 * 13), np.uint8)
    )  # marks nothing
    for name in ("011", "013"):
        (clean / "nut" / "ground_truth" / "spot" / f"{name}_mask.png").unlink()
    # one at a time, so that both have the same batches
    (_, damaged), (_, rest) = (run(small, r, tmp_path / f"parts-{r.name}", batch=1) for r in (whole, clean))
    (a,), (b,) = damaged.records, rest.records
    assert a.figures == b.figures
    assert a.images == b.images == {"normal": 17, "anomalous": 19, "unlabelled": 0, "without_mask": 2}
    assert a.scores == b.scores
    assert [Path(text.split(":")[0]).name for text in a.problems] == [
        "003.png", "007.png", "011_mask.png", "013_mask.png",
    ]  # fmt: skip
    assert all(text.endswith("the image is scored, its pixels are left out") for text in a.problems[2:])


def test_damaged_references_are_passed_over(small, tmp_path):
    root = mvtec(tmp_path / "set", train=3)
    first = data.references(root, None, "nut", 3, 0)
    first[0].path.write_text("no picture")
    _, done = run(small, root, tmp_path / "parts", "winclip+", LIGHT, shots=(2, 3))
    (record,) = done.records
    assert [Path(path).name for path in record.references] == [sample.path.name for sample in first[1:]]
    assert record.problems[0].startswith(f"reference {first[0].path}: ")
    assert len(done.failed) == 1
    assert done.failed[0].startswith("nut, shots 3, seed 0: 2 normal training images can be used, expected 3")


def test_a_category_that_cannot_be_done_costs_no_other(small, tmp_path):
    root = mvtec(tmp_path / "set", ("a", "b"))
    for path in (root / "a" / "test").rglob("*.png"):
        path.write_text("no picture")
    source, done = run(small, root, tmp_path / "parts")
    assert [record.category for record in done.records] == ["b"]
    assert len(done.failed) == 1
    assert done.failed[0].startswith("a: none of its 7 images can be used: ")
    assert results.problems(source, done)[0] == done.failed[0]
    for path in (root / "b" / "test").rglob("*.png"):
        path.write_text("no picture")
    with pytest.raises(DataError, match=r"a: none of its 7 images can be used"):
        run(small, root, tmp_path / "parts")


def test_an_image_that_the_model_cannot_take_is_found_in_its_batch(small, tmp_path):
    root = mvtec(tmp_path / "set")
    strip = put(root / "nut" / "test" / "good" / "001.png", np.zeros((1, 60000, 3), np.uint8))
    _, done = run(small, root, tmp_path / "parts", options={**SHORT, "resize": "shortest"})
    (record,) = done.records
    assert record.images["normal"] == 2
    assert len(record.problems) == 1
    assert record.problems[0].startswith(f"{strip} has 1 x 60000 pixels")


def test_figures_that_do_not_exist_are_left_out(small, tmp_path):
    paired = tmp_path / "paired"
    for i in range(3):
        picture, mask = shot(i, damaged=True)
        put(paired / "images" / f"{i}.png", picture)
        put(paired / "masks" / f"{i}.png", mask.astype(np.uint8))
    _, done = run(small, paired, tmp_path / "parts")
    (record,) = done.records
    assert set(record.figures) == set(FIGURES[3:])
    assert record.left_out == {"image": "no normal images: nothing to tell apart"}
    assert results.notes(done.records) == ["paired: no image figures: no normal images: nothing to tell apart"]

    flat = tmp_path / "flat"
    for i in range(4):
        put(flat / ("good" if i < 2 else "bad") / f"{i}.png", shot(i)[0])
    _, done = run(small, flat, tmp_path / "parts")
    (record,) = done.records
    assert set(record.figures) == set(FIGURES[:3])
    assert record.left_out == {"pixel": "no mask marks a pixel"}
    assert record.images["without_mask"] == 2

    unlabelled = put(tmp_path / "unlabelled" / "a.png", shot(1)[0]).parent
    with pytest.raises(DataError, match=r"nothing can be measured.*refclip score needs no labels"):
        run(small, unlabelled, tmp_path / "parts")


def test_nothing_stale_is_taken_up(small, tmp_path, monkeypatch):
    root, parts = mvtec(tmp_path / "set"), tmp_path / "parts"
    clip_ac = METHODS["clip"][0]
    calls = []
    extract = clip_ac.extract
    monkeypatch.setattr(clip_ac, "extract", lambda s, images: calls.append(len(images)) or extract(s, images))

    def encoded(clip=small, **more):
        calls.clear()
        run(clip, root, parts, **more)
        return sum(calls)

    assert encoded() == 7
    assert encoded() == 0
    assert encoded(options={**SHORT, "normalize_prompts": False}) == 7
    assert encoded(name="nut of metal") == 7
    assert encoded(clip=small._replace(logit_scale=small.logit_scale + 1)) == 7
    assert encoded(clip=small._replace(name="the same weights")) == 0
    image = root / "nut" / "test" / "good" / "000.png"
    os.utime(image, ns=(1, 1))
    assert encoded() == 7
    image.unlink()
    assert encoded() == 6
    assert encoded() == 0
    for record in parts.rglob("*.json"):
        record.write_text("{}")  # damaged
    assert encoded() == 6


# --- sources, papers, cases ------------------------------------------------------------------------------------------


def test_the_toy_benchmark_is_drawn_from_its_seed(small, tmp_path, monkeypatch):
    category = sources.toy.category
    monkeypatch.setattr(
        sources.toy, "category", lambda name, seed: category(name, seed, size=96, train=2, good=2, each=1)
    )
    source = sources.open_source("toy", categories=["cork"], folder=tmp_path, seed=3)
    assert (source.dataset, source.layout, [c.name for c in source.categories]) == ("toy", "toy", ["cork"])
    assert source.categories[0].root == tmp_path / f"toy-edition-{sources.toy.EDITION}-seed-3" / "cork"
    want = category("cork", 3, size=96, train=2, good=2, each=1)
    for sample in source.categories[0].samples:
        shots = [s for s in want.test if s.defect == sample.defect]
        np.testing.assert_array_equal(data.load(sample)[0], shots[int(sample.path.stem)].image)
    assert len(source.categories[0].normal(0)) == 2
    monkeypatch.setattr(sources.toy, "category", lambda *_: pytest.fail("drawn again"))
    sources.open_source("toy", categories=["cork"], folder=tmp_path, seed=3)
    done = evaluate(small, source, Request("clip", SHORT), tmp_path)
    assert set(done.records[0].figures) == set(FIGURES)
    assert results.papers("winclip", source.dataset, 0) == ()
    with pytest.raises(ValueError, match="category 'corks'"):
        sources.open_source("toy", categories=["corks"], folder=tmp_path)


def test_a_data_set_is_known_by_all_its_categories(tmp_path):
    def of(root, layout=None, names=None):
        return sources.open_source(root, layout, names, folder=tmp_path).dataset

    mpdd = ("bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes")
    root = mvtec(tmp_path / "mpdd", mpdd, train=1, good=1, bad=1)
    assert of(root) == of(root, "mvtec") == of(root, names=["tubes"]) == "mpdd"
    part = mvtec(tmp_path / "part", mpdd[:5], train=1, good=1, bad=1)
    assert of(part) == ""
    assert of(part, "mpdd") == "mpdd"  # as the reader says
    assert of(mvtec(tmp_path / "own" / "screw", train=1)) == ""


def test_a_papers_row_for_the_options_that_were_used():
    def rows(method, shots=0, **options):
        return [name for name, _ in results.paper_rows(results.papers(method, "mvtec", shots, options))]

    without, ours = "WinCLIP, table 3: (c) + Prompt ens.", "WinCLIP, table 3: (d) + Multi-crop"
    winclip = {"crops": 1, "templates": "winclip-a", "image_scale": True, "scales": [2, 3]}
    assert {without, ours} <= set(rows("winclip", **winclip))
    assert without not in rows("winclip", **winclip | {"crops": 10})
    assert "WinCLIP, table 8: w/o mid-scale" in rows("winclip", **winclip | {"scales": [2]})
    assert "WinCLIP, table 3: (b) + State ens." in rows("winclip", **winclip | {"templates": ["{}"]})
    assert not [name for name in rows("winclip", **winclip) if "w/o" in name or "specific states" in name]
    assert "WinCLIP, table 6: M^P" in rows("winclip+", 1, memories="patch")


def test_what_a_papers_row_rests_on_is_said():
    told = results.paper_notes(results.papers("winclip", "mvtec", 0))
    assert len(set(told)) == len(told)
    (crops,) = (text for text in told if "with multi-crop (table 3 d)" in text)
    assert crops.startswith("WinCLIP, table 1: ")
    (other,) = (text for text in told if "Dual-Image, table 2, prints 91.2 for WinCLIP's own 91.8" in text)
    assert other.startswith("contradicted: ", other.index(": ") + 2)
    assert other.startswith("WinCLIP, tables 1, 2, 3; AnomalyCLIP, tables 1, 17; Dual-Image, tables 1, 2: ")
    assert any("probably it is" in text for text in results.paper_notes(results.papers("anoclip", "mvtec", 0)))


def test_the_papers_numbers_stand_below_ours():
    rows = dict(results.paper_rows(results.papers("winclip", "mvtec", 0)))
    printed = {row.metric: row.value for row in reported("winclip", "mvtec") if row.paper == "WinCLIP"}
    assert rows
    assert {"image_auroc", "pixel_auroc"} <= printed.keys()
    (classified,) = (values for name, values in rows.items() if name.startswith("WinCLIP, table 1:"))
    assert float(classified["image_auroc"].split(" ")[0]) == printed["image_auroc"]
    assert results.papers("winclip", "", 0) == ()
    assert results.papers("clip-ada", "mvtec", 0) == reported("clip-ada", "mvtec", None)  # trained on all normal images
    assert not results.papers("patchcore", "mvtec", 8)
    cost = {"encode_seconds": 1.0, "score_seconds": 0.5, "feature_mib": 2.0, "peak_mib": None}
    counts = {"normal": 1, "anomalous": 1, "unlabelled": 0, "without_mask": 0}
    record = Record("tile", 0, 0, {"image_auroc": 0.5}, {}, {"pixel": "no mask"}, counts, (), (), ("a|b",), {}, cost)
    source, request = sources.Source("mvtec", "MVTec AD", "mvtec", (), ()), Request("winclip", {})
    part = results.as_markdown(source, request, Done((record,), (), ()), "plus240")  # no mean of all, no mean beside it
    assert "WinCLIP, table" not in part
    assert "- papers' numbers are means over all categories; left out, as bottle, cable, capsule, carpet, " in part
    assert results.as_json(source, request, Done((record,), (), ()), "plus240", "")["papers"] == []
    whole = (record, *(record._replace(category=c, problems=()) for c in DATASETS["mvtec"].categories if c != "tile"))
    assert len(whole) == 15
    page = results.as_markdown(source, request, Done(whole, (), ("tub: gone",)), "plus240").splitlines()
    assert "| tile | 50.0 |  |  |  |  |  |  |" in page
    line = next(line for line in page if line.startswith("| WinCLIP, table 1: "))
    assert line.split(" | ")[1].split(" ")[0] == f"{printed['image_auroc']:.1f}"
    assert page.index(line) > page.index("| mean | 50.0 |  |  |  |  |  |  |")
    assert "Of each image 1.000 s to encode, 0.500 s to score, 2.00 MiB of features." in page
    assert page[page.index("## Left out") + 2] == "- tile: no pixel figures: no mask"
    assert page[page.index("## Could not be used") + 2 :][:2] == ["- tub: gone", "- a\\|b"]


def test_a_category_by_another_name_is_another(small, tmp_path):
    """Prompts say the name, and two names may be one as a folder's."""
    mvtec(tmp_path / "set" / "metal nut", ("",))
    _, done = run(small, tmp_path / "set" / "metal nut", tmp_path / "parts")
    (tmp_path / "set" / "metal nut").rename(tmp_path / "set" / "metal-nut")
    _, again = run(small, tmp_path / "set" / "metal-nut", tmp_path / "parts")
    assert [record.category for record in (*done.records, *again.records)] == ["metal nut", "metal-nut"]
    _, fresh = run(small, tmp_path / "set" / "metal-nut", tmp_path / "others")
    assert again.records[0].scores == fresh.records[0].scores != done.records[0].scores


def test_extreme_cases(small, tmp_path):
    root = mvtec(tmp_path / "set", ("a", "b"))
    _, done = run(small, root, tmp_path / "parts", batch=2)
    drawn = []
    for record, (category, cases) in zip(done.records, done.cases, strict=True):
        by = {}
        for path, label, score in record.scores:
            by.setdefault(label, []).append((score, path))
        want = {HIGHEST: max(by[1]), LOWEST: min(by[1]), NORMAL: max(by[0])}
        assert {c.kind: (c.judged.score, category.label(category.samples[c.number])) for c in cases} == want
        drawn.append((category, cases))
    sheet = figure(drawn)
    assert sheet is not None
    assert sheet.width > sheet.height > 2 * 160 * 40 / 60  # two lines of three
    Path(root, done.records[0].scores[0][0]).unlink()
    for path in root.rglob("test/**/*.png"):
        path.unlink()
    assert figure(drawn) is None


# --- files -----------------------------------------------------------------------------------------------------------


def test_what_is_kept_comes_back(small, tmp_path, learned):
    images = [shot(i, size=(40 + i, 44))[0] for i in range(3)]
    for method, (module, preset) in METHODS.items():
        options = SHORT if "templates" in module.Options._fields else {}
        quick = {"views": 1} if "views" in module.Options._fields else {}
        state = module.prepare(small, "nut", **preset, **options, **quick, **learned(method, small))
        features = module.extract(state, images)
        kept.keep(tmp_path / "x.npz", features)
        assert_equal(kept.kept(tmp_path / "x.npz", small.vision.proj), features)
    tree = (None, True, 3, 0.1, "ä", {2: (np.float32(1.5),)}, Geometry((1, 2), (3, 4), (0, -1), (5, 6)))
    kept.keep(tmp_path / "y.npz", tree)
    assert kept.kept(tmp_path / "y.npz") == tree
    with pytest.raises(TypeError, match="found a set"):
        kept.keep(tmp_path / "y.npz", {1, 2})
    assert kept.kept(tmp_path / "y.npz") == tree  # what was there still is


def test_what_was_damaged_is_not_there(tmp_path):
    path = tmp_path / "x.npz"
    assert kept.kept(path) is None
    kept.keep(path, Geometry((1, 2), (3, 4), (0, -1), (5, 6)))
    whole = path.read_bytes()
    for broken in (b"", whole[:50], whole[:-30], b"\x80\x04N.", whole.replace(b"refclip.pre", b"refclip.prx")):
        path.write_bytes(broken)
        assert kept.kept(path) is None
    path.write_bytes(whole.replace(b"Geometry", b"Image.ob"))
    assert kept.kept(path) is None


def test_peak_memory_grows_with_what_is_taken():
    before = peak.peak_mib()
    if before is None:
        pytest.skip("this system does not say")
    size = int(before) + 64  # MiB: more than has ever been there
    block = np.ones(size << 17)  # 8 bytes each
    assert peak.peak_mib() > size
    assert block.nbytes == size << 20
