"""The papers' claims: what they are made of, how records become verdicts, runs that are killed, and the page."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import train_learned
from click.testing import CliRunner
from recipe.auxiliary import auxiliary
from scipy import stats

import refclip
from benchmarks import claims, claims_run, table
from benchmarks.claims_list import CLAIMS, GROUPS, WORDS
from benchmarks.claims_page import as_json, page, summary
from benchmarks.claims_run import Part, jobs, measure, requests, thinned, words_for
from benchmarks.claims_train import drawn, learned_for, normal
from benchmarks.claims_verdict import VERDICTS, Claim, by_seed, of, options_of, outcome, verdict
from refclip import answers, encode, saved, toy
from refclip import evaluate as evaluation
from refclip.evaluate import Request
from refclip.judge import FIGURES
from refclip.methods import clip_ada_options, shipped_learned, vand_fit
from refclip.papers import reported
from refclip.prompts import WINCLIP_STATES
from refclip.records import Record
from refclip.sources import Source, open_source
from refclip.statistics import Interval
from refclip.toy.benchmark import KINDS
from tests.toysets import mvtec

SHORT = {"templates": ("a photo of a {}",)}
LIGHT = {"features": "patches", "memories": "patch", **SHORT}  # winclip+ without windows
ONE, TWO = of("winclip+", 1, **LIGHT), of("winclip+", 2, **LIGHT)
PLAIN = of("clip", **SHORT)
WORDED = of("winclip", features="patches", few=1, words=True, **SHORT)
EXPECT = {"pixel_auroc": "supported", "image_auroc": "unresolved"}
TRIED = (
    Claim("shots", "Two beat one.", "P", "table 1", TWO, (ONE,), {}, EXPECT, "Because."),
    Claim("middle", "Two beat the middle | of them.", "P", "table 1", TWO, (ONE, PLAIN), {}, EXPECT, "Because."),
    Claim("words", "Words help.", "P", "table 2", WORDED, (PLAIN,), {}, EXPECT, "Because."),
)
FACTS = {
    "refclip": "0", "weights": "small", "digest": "0" * 32, "seeds": [0, 1], "data": "toys", "date": "today",
    "processors": 2,
}  # fmt: skip
SETTINGS = list(dict.fromkeys(setting for claim in CLAIMS for setting in (claim.a, *claim.b)))


def record(category, seed, **figures):
    return Record(category, 0, seed, figures, {}, {}, {}, (), (), (), {}, {})


# --- the list --------------------------------------------------------------------------------------------------------


def test_every_claim_is_complete():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) >= 35
    for claim in CLAIMS:
        assert claim.a not in claim.b and claim.b, claim.id
        assert set(claim.printed) <= set(claim.expect) <= set(FIGURES), claim.id
        assert set(claim.expect.values()) <= set(VERDICTS), claim.id
        for text in (claim.says, claim.why):
            assert text.endswith("."), claim.id


def test_printed_numbers_are_the_papers():
    """Each number of a claim stands in the table that the claim names, as `refclip.papers` has them."""
    methods = ("clip-ac", "winclip", "winclip+", "patchcore", "maskclip", "anoclip", "anomalyclip", "coop", "vand",
               "clip-ada", "dual-image", "dual-image+", "musc")  # fmt: skip
    printed = {
        (row.paper, row.table, row.dataset, row.metric, row.value)
        for method in methods
        for dataset in ("mvtec", "visa")
        for shots in (0, 1, 2, 4, None)
        for ablations in (False, True)
        for row in reported(method, dataset, shots, ablations=ablations)
    }
    checked = 0
    for claim in CLAIMS:
        places = []
        for part in claim.where.split(", and "):
            paper, _, where = part.rpartition("'s ")
            places += [(paper or claim.paper, number) for number in re.findall(r"\d+", where)]
        for figure, values in claim.printed.items():
            assert len(values) == 1 + len(claim.b), claim.id
            for value in values:
                assert any((*place, claim.dataset, figure, value) in printed for place in places), (claim.id, value)
                checked += 1
    assert checked >= 125


def test_state_words_are_of_every_kind_of_defect_of_the_toy():
    assert set(WORDS) == {*toy.KNOWN_DEFECTS, *toy.UNSEEN_DEFECTS}
    assert all(word.count("{}") == 1 for word in WORDS.values())


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_every_setting_is_a_request_that_its_method_takes(small, setting, parts, lessons, tmp_path):
    words = list(WORDS.values()) if setting.words else ()
    given = {}
    if setting.learning is not None:
        given["learned"] = str(learned_for(small, setting, 0, parts[0].source, tmp_path))
        assert lessons == [(setting.method, LESSONS[setting.method])]
    request = Request(setting.method, options_of(setting, words) | given, shots=(setting.shots,))
    module, options = evaluation.check(request)
    if "templates" in options._fields:  # the values are what is checked, not some hundred prompts
        options = options._replace(templates=("{}",))
    state = module.prepare(small, "nut", **options._asdict())
    if setting.words:
        assert state.options.states.abnormal == (*WINCLIP_STATES.abnormal, *words)


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_verdicts_are_of_the_interval_that_scipy_gives():
    rng = np.random.default_rng(5)
    claim = Claim("x", "", "", "", of("clip"), (of("clip-ac"),), {}, {"pixel_auroc": "supported"}, "")
    counts = dict.fromkeys(VERDICTS, 0)
    for _ in range(60):
        a = rng.uniform(0.5, 0.9, (5, 3))  # seed, category
        b = a - rng.normal(rng.choice([-0.02, 0, 0.02]), 0.01, (5, 3))
        records = {
            setting: [record(f"c{c}", s, pixel_auroc=x[s, c]) for c in range(3) for s in (3, 0, 4, 1, 2)]
            for setting, x in ((claim.a, a), (claim.b[0], b))
        }
        found = outcome(claim, "pixel_auroc", records)
        d = (a - b).mean(axis=1)
        low, high = stats.ttest_1samp(d, 0).confidence_interval(0.95)
        assert found is not None and found.interval is not None
        # float64 on both sides, sums in another order; t to the last bits in ours, to about 1e-12 in scipy's
        assert found.interval == pytest.approx((low, d.mean(), high), rel=0, abs=1e-11)
        assert [seed for seed, _ in found.differences] == [0, 1, 2, 3, 4]
        assert [x for _, x in found.differences] == pytest.approx(d.tolist(), rel=0, abs=1e-12)
        assert (found.a, found.b) == pytest.approx((a.mean(), b.mean()), rel=1e-12)
        assert found.verdict == ("supported" if low > 0 else "refuted" if high < 0 else "unresolved")
        counts[found.verdict] += 1
    assert min(counts.values()) > 5  # all three came up


def test_verdicts_at_the_edges():
    for low, high, says in ((0.0, 0.1, "unresolved"), (-0.1, 0.0, "unresolved"), (1e-9, 0.1, "supported"),
                            (-0.1, -1e-9, "refuted"), (-0.1, 0.1, "unresolved")):  # fmt: skip
        assert verdict(Interval(low, (low + high) / 2, high)) == says
    assert verdict(None) == "unresolved"


def test_sides_are_means_over_the_same_categories_and_seeds():
    a, b, c = of("clip"), of("clip-ac"), of("winclip")
    claim = Claim("x", "", "", "", a, (b, c), {}, {"image_auroc": "supported"}, "")
    values = {
        a: {("u", 0): 0.9, ("v", 0): 0.5, ("u", 1): 0.8, ("u", 2): 0.7},
        b: {("u", 0): 0.6, ("w", 0): 0.1, ("u", 1): 0.5, ("v", 2): 0.4},
        c: {("u", 0): 0.7, ("v", 0): 0.2, ("u", 1): 0.4, ("u", 2): 0.4},
    }
    records = {s: [record(name, seed, image_auroc=x) for (name, seed), x in of_s.items()] for s, of_s in values.items()}
    found = outcome(claim, "image_auroc", records)
    assert found is not None
    # u alone is of all three; in seed 2 there is no such category; B is the mean of 0.6 and 0.7, then of 0.5 and 0.4
    assert found.differences == (pytest.approx((0, 0.25)), pytest.approx((1, 0.35)))
    assert found.categories == 1
    assert outcome(claim, "pixel_ap", records) is None
    assert outcome(claim, "image_auroc", records | {c: []}) is None
    assert by_seed(records[b], "image_auroc")[0] == {"u": 0.6, "w": 0.1}


def test_one_set_of_images_has_spread_only_where_something_is_drawn():
    a, b = of("winclip+", 1), of("winclip")
    claim = Claim("x", "", "", "", a, (b,), {}, {"image_auroc": "supported"}, "")
    drawn = [record("u", seed, image_auroc=0.8 + 0.01 * seed) for seed in range(3)]
    fixed = [record("u", 0, image_auroc=0.7)]
    found = outcome(claim, "image_auroc", {a: drawn, b: fixed}, one_set=True)
    assert found is not None
    assert [x for _, x in found.differences] == pytest.approx([0.1, 0.11, 0.12])
    assert found.verdict == "supported"
    # of different images one seed's value says nothing of another's
    other = outcome(claim, "image_auroc", {a: drawn, b: fixed})
    assert other is not None and len(other.differences) == 1
    single = outcome(claim, "image_auroc", {a: drawn[:1], b: fixed}, one_set=True)
    assert single is not None
    assert (single.interval, single.verdict) == (None, "unresolved")


# --- what is evaluated -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Two toy benchmarks, as small as they come."""
    folder = tmp_path_factory.mktemp("toys")
    found = []
    for seed in (0, 1):
        drawn = toy.toy(seed, size=96, categories=["cork", "terrazzo"], train=2, good=2, each=2)
        root = toy.write(drawn, folder / f"{seed}")
        found.append(Part(open_source(root, folder=folder), (seed,)))
    return found


def test_nothing_is_evaluated_twice(parts):
    todo = jobs(TRIED, parts)
    assert [job.settings for job in todo] == [(ONE, TWO)] * 2 + [(PLAIN,)] * 2 + [(WORDED,)] * 2
    assert [job.part.seeds for job in todo] == [(0,), (1,)] * 3
    (both,) = requests(todo[0])
    assert both[1].shots == (1, 2) and both[1].seeds == (0,)
    all_jobs = jobs(CLAIMS, parts[:1])
    assert sorted(map(str, (s for job in all_jobs for s in job.settings))) == sorted(map(str, SETTINGS))
    encodings = [(job.settings[0].method, job.settings[0][1:2], job.settings[0][3:]) for job in all_jobs]
    assert len(set(encodings)) == len(encodings) < len(SETTINGS)


def test_words_are_each_categorys_own(parts):
    asked = requests(jobs(TRIED, parts)[-1])
    assert [[category.name for category in source.categories] for source, _ in asked] == [["cork"], ["terrazzo"]]
    for source, request in asked:
        kinds = KINDS[source.categories[0].name].defects(False)
        words = set(request.options["states"].abnormal) - set(WINCLIP_STATES.abnormal)
        assert words == {WORDS[kind] for kind in kinds}
        assert request.options["states"].normal == WINCLIP_STATES.normal
    with pytest.raises(ValueError, match="nut: no state word for spot"):
        words_for("nut", [parts[0].source.categories[0].samples[-1]._replace(defect="spot")])


def test_few_images_are_the_first_of_each_kind(parts):
    whole, few = parts[0].source, thinned(parts[0].source, 1)
    for before, after in zip(whole.categories, few.categories, strict=True):
        assert len(before.samples) == 14 and len(after.samples) == 7
        assert {sample.path.stem for sample in after.samples} == {"000"}
        assert before.digest() != after.digest()


def counted(clip, parts, folder, stop=None):
    """Evaluate `TRIED`, and count the batches that are encoded; stopped, perhaps, after so many files are written."""
    encoded, left = [], stop
    real, keep = encode._encode, answers.keep

    def encode_one(*args):
        encoded.append(1)
        return real(*args)

    def keep_one(*args):
        nonlocal left
        keep(*args)
        left = None if left is None else left - 1
        if left == 0:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "_encode", encode_one)
        for module in (answers, encode, evaluation):
            patch.setattr(module, "keep", keep_one)
        try:
            return measure(clip, TRIED, parts, folder, batch=4), len(encoded)
        except KeyboardInterrupt:
            return None, len(encoded)


@pytest.fixture(scope="module")
def whole(small, parts, tmp_path_factory):
    """What `TRIED` comes to in one go, and how many batches that encodes."""
    measured, encoded = counted(small, parts, tmp_path_factory.mktemp("whole"))
    assert measured is not None
    return measured, encoded


def test_measured_is_what_evaluate_says(small, parts, whole, tmp_path):
    measured, encoded = whole
    assert measured.failed == ()
    assert set(measured.records) == {ONE, TWO, PLAIN, WORDED}
    assert measured.images == 2 * 2 * 14
    # of each seed and category: 14 images in batches of 4, and the references; the same for clip; 7 images
    references = {(one.seed, one.category, path) for one in measured.records[TWO] for path in one.references}
    assert encoded == 2 * 2 * (4 + 4 + 2) and len(references) == 2 * 2 * 2
    for setting, request in (
        (TWO, Request("winclip+", LIGHT, shots=(2,), seeds=(1,), batch=4)),
        (PLAIN, Request("clip", SHORT, seeds=(1,), batch=4)),
    ):
        alone = evaluation.evaluate(small, parts[1].source, request, tmp_path / "alone").records
        found = [one for one in measured.records[setting] if one.seed == 1]
        assert [one.figures for one in found] == [one.figures for one in alone]
        assert [one.references for one in found] == [one.references for one in alone]
        assert {one.seed for one in measured.records[setting]} == {0, 1}
    images = [sum(one.images[kind] for kind in ("normal", "anomalous")) for one in measured.records[WORDED]]
    assert images == [7] * 4
    own = sum(
        n * (one.cost["encode_seconds"] + one.cost["score_seconds"])
        for n, one in zip(images, measured.records[WORDED], strict=True)
    )
    assert measured.seconds[WORDED] == pytest.approx(own)
    # each number of references would have to encode by itself
    assert measured.total < sum(measured.seconds.values())


def test_what_fails_costs_no_other(small, parts, tmp_path):
    many = of("winclip+", 3, **LIGHT)  # there are two
    claim = Claim("many", "Three beat one.", "P", "table 1", many, (ONE,), {}, EXPECT, "Because.")
    measured = measure(small, [claim, TRIED[0]], parts[:1], tmp_path)
    assert measured.records[many] == []
    assert len(measured.records[TWO]) == 2
    assert len(measured.failed) == 2 and "expected 3 for references" in measured.failed[0]
    result = as_json({"G": [claim, TRIED[0]]}, measured, **FACTS)
    assert result["claims"][0]["outcomes"] == []
    assert "not tried" in page(result) and "## Could not be done" in page(result)
    empty = Part(Source("", "empty", "mvtec", (), ()), (0,))
    nothing = measure(small, [TRIED[0]], [empty], tmp_path)
    assert nothing.failed and not any(nothing.records.values())


def without_seconds(result):
    text = json.loads(json.dumps(result))
    for entry in (text, *text["claims"]):
        entry.pop("seconds", None)
    return text


@pytest.mark.parametrize("files", [13, 100])  # in the first category of the first job; in the third job
def test_stopped_and_taken_up_again(small, parts, whole, tmp_path, files):
    """What is there is not computed again, and the result is the same."""
    stopped, before = counted(small, parts, tmp_path, files)
    assert stopped is None and 0 < before < whole[1]
    again, after = counted(small, parts, tmp_path)
    assert again is not None
    # one batch at most was encoded twice: its features were there, what is known of it not yet
    assert whole[1] <= before + after <= whole[1] + 1
    a, b = (without_seconds(as_json({"G": TRIED}, found, **FACTS)) for found in (whole[0], again))
    assert a == b
    assert counted(small, parts, tmp_path)[1] == 0


def test_two_runs_share_a_folder(small, parts, whole, tmp_path, monkeypatch):
    """Both come to the same jobs at the same time: each is done once, and both have the whole result."""
    at_work, together, real = set(), [], claims_run.evaluate

    def evaluate(clip, source, request, folder):
        key = source.title, str([one.name for one in source.categories]), str(request)
        together.extend(at_work & {key})
        at_work.add(key)
        try:
            return real(clip, source, request, folder)
        finally:
            at_work.discard(key)

    monkeypatch.setattr(claims_run, "evaluate", evaluate)
    encoded, encode_one = [], encode._encode
    monkeypatch.setattr(encode, "_encode", lambda *args: (encoded.append(1), encode_one(*args))[1])
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(measure, small, TRIED, parts, tmp_path, batch=4) for _ in range(2)]
        found = [run.result() for run in runs]
    assert together == [] and len(encoded) == whole[1]
    results = [without_seconds(as_json({"G": TRIED}, one, **FACTS)) for one in (whole[0], *found)]
    assert results[0] == results[1] == results[2]


# --- the page and the command ----------------------------------------------------------------------------------------


def tables_of(text):
    """The tables of a page, each a list of rows of cells."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(re.split(r"(?<!\\)\|", line)[1:-1])
        elif rows:
            found.append(rows)
            rows = []
    return found


def test_the_page_of_what_came_out(whole):
    result = json.loads(json.dumps(as_json({"First": TRIED[:2], "Second": TRIED[2:]}, whole[0], **FACTS)))
    text = page(result)
    first, second = tables_of(text)
    assert len(first) == 2 + 2 * 2 and len(second) == 2 + 2
    for rows in (*tables_of(text), *tables_of(summary(result))):
        assert len({len(row) for row in rows}) == 1
    for entry, rows in zip(result["claims"], (first[2:4], first[4:6], second[2:4]), strict=True):
        for one, row in zip(entry["outcomes"], rows, strict=True):
            low, value, high = (100 * x for x in one["interval"])
            cells = [cell.strip() for cell in row]
            assert cells[3:5] == [f"{100 * one['a']:.1f}", f"{100 * one['b']:.1f}"]
            assert cells[5] == f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
            assert cells[6:] == [f"**{one['verdict']}**", entry["expect"][one["figure"]]]
        assert f"- `{entry['id']}` ({entry['source']})" in text
        assert f"--only {entry['id']}`. {entry['seconds']:.0f} s." in text
    assert "Not run yet" not in text
    verdicts = [one["verdict"] for entry in result["claims"] for one in entry["outcomes"]]
    assert "Of 6 comparisons: " + ", ".join(f"{verdicts.count(v)} {v}" for v in VERDICTS) in text
    assert len(tables_of(summary(result))[0]) == 2 + len(TRIED)


def test_a_claim_is_tried_again_on_the_data_that_the_page_is_of(whole):
    command = "python benchmarks/claims.py --root 'my nuts' --object hazelnut --group First --out nuts.json"
    text = page(as_json({"First": TRIED[:1]}, whole[0], one_set=True, **FACTS, command=command))
    alone = f"`python benchmarks/claims.py --root 'my nuts' --object hazelnut --only {TRIED[0].id}`"
    assert f"{alone}. " in text and "--object hazelnut --only ID`" in text
    on_toys = page(as_json({"First": TRIED[:1]}, whole[0], **FACTS))
    assert f"`python benchmarks/claims.py --only {TRIED[0].id}`" in on_toys


@pytest.mark.parametrize("name", ["claims.json", "claims_hazelnut.json"])
def test_the_stored_page_is_of_the_stored_result(name):
    """And its expectations are those of the list: they are not changed after a run."""
    path = claims.RESULT.with_name(name)
    stored = path.with_suffix(".md").read_text(encoding="utf-8")
    result = claims.written(path)
    assert stored == page(result), f"run: python benchmarks/claims.py --page --out docs/{name}"
    assert ("Not run yet" in stored) == (not path.exists())
    now = {entry["id"]: entry for entry in as_json(GROUPS)["claims"]}
    for entry in result["claims"]:
        kept = {key: now[entry["id"]][key] for key in ("says", "a", "b", "printed", "expect", "why")}
        assert {key: entry[key] for key in kept} == kept
    for rows in tables_of(stored):
        assert len({len(row) for row in rows}) == 1


def test_the_command_on_a_folder(small_folder, tmp_path, monkeypatch, capsys):
    root = mvtec(tmp_path / "set", train=4)
    monkeypatch.setattr(claims, "GROUPS", {"G": TRIED})
    words = ["--root", str(root), "--weights", str(small_folder), "--seeds", "3", "--folder", str(tmp_path / "kept")]
    assert claims.main([*words, "--only", "shots", "--only", "middle"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("# The papers' claims") and "[2/2]" in said.err
    with monkeypatch.context() as patch:
        patch.setattr(encode, "_encode", lambda *_: pytest.fail("encoded again"))
        out = tmp_path / "result.json"
        assert claims.main([*words, "--only", "shots", "--out", str(out)]) == 0
        result = json.loads(out.read_text())
        assert result["seeds"] == [0, 1, 2] and len(result["claims"][0]["outcomes"][0]["differences"]) == 3
        assert out.with_suffix(".md").read_text() == page(result)
        out.with_suffix(".md").unlink()
        assert claims.main(["--page", "--out", str(out)]) == 0
        assert out.with_suffix(".md").read_text() == page(result)
    # a folder's kinds of defect have no words: told, and the rest is done
    capsys.readouterr()
    assert claims.main([*words, "--only", "words"]) == 1
    assert "nut: no state word for spot" in capsys.readouterr().err


def test_the_command_refuses_what_it_cannot_do(tmp_path, small_folder, capsys, monkeypatch):
    for words, says in (
        (["--seeds", "1"], "an interval needs a spread"),
        (["--out", "x.md"], "expected a name that ends in .json"),
    ):
        with pytest.raises(SystemExit):
            claims.main(words)
        assert says in capsys.readouterr().err
    where = ["--weights", str(small_folder), "--folder", str(tmp_path)]
    assert claims.main(["--only", "nonsense", *where]) == 2
    assert "no claim 'nonsense'; there are few-shot-1, " in capsys.readouterr().err
    assert claims.main(["--root", str(tmp_path / "nowhere"), *where]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_command_tries_one_group(monkeypatch):
    groups = {"G": TRIED[:2], "H": TRIED[2:]}
    monkeypatch.setattr(claims, "GROUPS", groups)
    assert claims.chosen([]) == groups
    assert claims.chosen([], ["H"]) == {"H": TRIED[2:]}
    assert claims.chosen(["shots", "words"], ["G"]) == {"G": TRIED[:1]}
    for only, group, says in (
        (["shots"], ["H"], "shots: in 'G', not in 'H'"),
        ([], ["I"], "no group 'I'; there are G, H"),
        (["x"], ["G"], "no claim 'x'; there are shots, middle, words"),
    ):
        with pytest.raises(ValueError, match=re.escape(says)):
            claims.chosen(only, group)


# --- what is learned for a setting -----------------------------------------------------------------------------------


LESSONS = {"anomalyclip": 8, "coop": 8, "vand": 8, "clip-ada": 4}  # images; CLIP-ADA's: two of each category


@pytest.fixture
def lessons(monkeypatch):
    """Learning from a few pictures, one epoch at most; how many of them each learning was given, in order."""
    given, real = [], train_learned.learn

    def learn(method, clip, samples, path, chosen, **told):
        given.append((method, len(samples)))
        return real(method, clip, samples, path, {"epochs": 1} | chosen, **told)

    monkeypatch.setattr(train_learned, "learn", learn)
    monkeypatch.setattr(train_learned, "COUNT", 4)
    return given


def test_each_seed_is_learned_anew_and_once(small, parts, lessons, tmp_path):
    """From its own pictures, with its own seed; and known again by what decides its content."""
    ours = of("anomalyclip", learning={"terms": ("global",)})
    paths = [learned_for(small, ours, seed, parts[seed].source, tmp_path) for seed in (0, 1)]
    files = [saved.read(path) for path in paths]
    assert [about["training"]["seed"] for _, about in files] == [0, 1]
    assert [about["training"]["terms"] for _, about in files] == [["global"]] * 2
    assert all(np.abs(files[0][0][name] - files[1][0][name]).max() > 0 for name in files[0][0])
    assert [path.name[:14] for path in paths] == ["anomalyclip-0-", "anomalyclip-1-"]
    assert len(lessons) == 2
    # the auxiliary set is of the seed: the same seed of training, other pictures
    alike = drawn(4, 0), drawn(4, 1)
    assert all((a.image != b.image).any() for a, b in zip(*alike, strict=True))
    assert learned_for(small, ours, 0, parts[0].source, tmp_path) == paths[0]
    assert learned_for(small, ours._replace(options=(("object", "name"),)), 0, parts[1].source, tmp_path) == paths[0]
    assert len(lessons) == 2
    # other choices, other weights: another file
    others = [
        learned_for(small, of("anomalyclip", learning={}), 0, parts[0].source, tmp_path),
        learned_for(small._replace(logit_scale=small.logit_scale + 1), ours, 0, parts[0].source, tmp_path),
    ]
    assert len({*paths, *others}) == 4 == len(lessons)


def test_clip_ada_learns_from_the_normal_images_of_what_it_judges(small, parts, lessons, tmp_path):
    ada = of("clip-ada", learning={"refinements": 0})
    paths = {learned_for(small, ada, 0, part.source, tmp_path) for part in parts}
    few = parts[0].source._replace(categories=parts[0].source.categories[:1])
    paths.add(learned_for(small, ada, 0, few, tmp_path))
    assert len(paths) == 3 and [count for _, count in lessons] == [4, 4, 2]
    assert all(sample.label == 0 and sample.split == "train" for sample in normal(parts[0].source))
    abouts = [saved.read(path)[1] for path in paths]
    assert all(about["options"]["refinements"] == 0 and about["training"]["seed"] == 0 for about in abouts)


def test_a_claim_of_what_is_learned(small, parts, lessons, tmp_path, monkeypatch):
    """Both sides are learned once for each seed, and judged with what that seed has; killed, it goes on."""
    a, b = of("vand", learning={}, **SHORT), of("vand", learning={"terms": ("dice",)}, **SHORT)
    claim = Claim("learned", "Both terms beat one.", "P", "table 1", a, (b,), {}, EXPECT, "Because.")
    measured = measure(small, [claim], parts, tmp_path)
    assert measured.failed == () and len(lessons) == 4
    for setting in (a, b):
        used = {(one.seed, one.options["learned"]) for one in measured.records[setting]}
        assert used == {(s, str(learned_for(small, setting, s, parts[s].source, tmp_path / "learned"))) for s in (0, 1)}
    text = page(as_json({"G": [claim]}, measured, **FACTS))
    assert "A is `vand, learned, templates=('a photo of a {}',)`, B is `vand, learned with terms=('dice',), " in text
    # on one set of images, each seed learns; nothing is learned or encoded again
    both = Part(parts[0].source, (0, 1))
    again = measure(small, [claim], [both], tmp_path)
    assert len(lessons) == 4
    values = by_seed(again.records[a], "pixel_auroc")
    assert values[0] == by_seed(measured.records[a], "pixel_auroc")[0]
    assert values[1] != values[0]
    monkeypatch.setattr(encode, "_encode", lambda *_: pytest.fail("encoded again"))
    done = measure(small, [claim], parts, tmp_path)
    first, second = (without_seconds(as_json({"G": [claim]}, found, **FACTS)) for found in (measured, done))
    assert first == second
    assert len(lessons) == 4


def test_learning_that_was_killed_goes_on(small, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(train_learned, "COUNT", 4)
    setting = of("vand", learning={"epochs": 3, "batch": 4})  # 6 steps
    whole = learned_for(small, setting, 0, parts[0].source, tmp_path / "whole")
    real, steps = vand_fit.loss_of, []

    def loss_of(*args):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(vand_fit, "loss_of", loss_of)
    with pytest.raises(KeyboardInterrupt):
        learned_for(small, setting, 0, parts[0].source, tmp_path / "killed")
    assert [path.suffix for path in (tmp_path / "killed").iterdir()] == [".checkpoint"]
    found = learned_for(small, setting, 0, parts[0].source, tmp_path / "killed")
    assert len(steps) == 4 + 3  # three were done, the fourth is taken again
    assert found.read_bytes() == whole.read_bytes()
    assert list((tmp_path / "killed").iterdir()) == [found]


def test_learning_that_fails_costs_no_other(small, parts, lessons, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise FloatingPointError("step 3: the loss is nan; use a smaller learning rate")

    claim = Claim("fails", "It.", "P", "table 1", of("vand", learning={}, **SHORT), (PLAIN,), {}, EXPECT, "Because.")
    monkeypatch.setattr(train_learned, "learn", fails)
    measured = measure(small, [claim], parts, tmp_path)
    assert len(measured.failed) == 2 and "the loss is nan" in measured.failed[0]
    assert measured.records[claim.a] == [] and len(measured.records[PLAIN]) == 4


def test_what_is_shipped_was_learned_as_train_learned_says(mini):
    """The choices of each shipped file are those that the command makes now."""
    for method in train_learned.METHODS:
        path = shipped_learned(method, mini)
        assert path is not None
        about = saved.read(path)[1]
        training, design, options = train_learned.parts(method, {})
        assert about["training"] == saved.plain(training)
        if options:  # of CLIP-ADA alone
            settled = clip_ada_options.settled(mini, clip_ada_options.DEFAULTS._replace(**options))
            assert {key: about["options"][key] for key in options} == {key: getattr(settled, key) for key in options}
        if design is not None:
            stated = {key: value for key, value in saved.plain(design).items() if value is not None}
            assert {key: about["design"][key] for key in stated} == stated


def test_the_command_that_learns_what_is_shipped(small_folder, tmp_path):
    words = ["vand", "--out", str(tmp_path), "--weights", str(small_folder), "--count", "2", "--epochs", "1"]
    ran = CliRunner().invoke(train_learned.main, words, catch_exceptions=False)
    assert ran.exit_code == 0 and "vand: 4 images, last loss " in ran.output
    same = tmp_path / "same.safetensors"
    train_learned.learn("vand", refclip.load(small_folder), auxiliary(2), same, {"epochs": 1})
    assert same.read_bytes() == (tmp_path / "vand.safetensors").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2  # no checkpoint is left


# --- the table of all methods ----------------------------------------------------------------------------------------


def test_the_table_of_methods(small_folder, tmp_path, capsys):
    root = mvtec(tmp_path / "set", ("a", "b"))
    out = tmp_path / "table.md"
    words = ["--methods", "clip", "patchcore", "--weights", str(small_folder), "--root", str(root)]
    assert table.main([*words, "--folder", str(tmp_path / "kept"), "--out", str(out)]) == 0
    text = out.read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    (rows,) = tables_of(text)
    assert {len(row) for row in rows} == {7}
    assert [[cell.strip() for cell in row][:2] for row in rows[2:]] == [["`clip`", ""], ["`patchcore`", "1 reference"]]
    for method, row in zip(("clip", "patchcore"), rows[2:], strict=True):
        result = json.loads((tmp_path / "kept" / f"{method}.json").read_text())
        for name, cell in zip(table.FIGURES, row[2:5], strict=True):
            assert float(cell) == pytest.approx(
                100 * np.mean([run["figures"][name] for run in result["runs"]]), abs=0.05
            )
        each = [run["cost"]["encode_seconds"] + run["cost"]["score_seconds"] for run in result["runs"]]
        assert float(row[5]) == pytest.approx(np.mean(each), abs=5e-4)
        peak = max(run["cost"]["peak_mib"] or 0 for run in result["runs"])
        assert row[6].strip() == (f"{peak:.0f}" if peak else "")
    assert "14 test images" in text and "minutes to encode and score them with all 2 methods, " in text


def test_every_method_has_a_line():
    for method in table.METHODS:
        _, shots = table.needs_of(method)
        options = {"learned": "file"} if table.learns(method) else {}
        evaluation.check(Request(method, options, shots=(shots,)))
