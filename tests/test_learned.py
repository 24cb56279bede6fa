"""What a method has learned: given, shipped or missing, and known again by its content whatever its file is called."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import refclip
from benchmarks import table
from refclip import WeightsError, evaluate, sources
from refclip.evaluate import Request
from refclip.methods import METHODS, anomalyclip_learned, clip_ada_learned, learns, shipped_learned, vand_learned
from refclip.methods import learned as learning
from tests import learnedfiles
from tests.test_detector import LEARNED, SHORT
from tests.toysets import mvtec, shot


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder in the place of the one whose files are shipped; empty."""
    monkeypatch.setattr(learning, "folder", lambda: tmp_path / "shelf")
    return tmp_path / "shelf"


def short(method):
    return SHORT if "templates" in METHODS[method][0].Options._fields else {}


def loaded(method, clip, path):
    if method in ("anomalyclip", "coop"):
        return anomalyclip_learned.load(clip, path, method)
    return (vand_learned if method == "vand" else clip_ada_learned).load(clip, path)


def test_which_methods_learn():
    assert tuple(method for method in METHODS if learns(method)) == LEARNED
    with pytest.raises(ValueError, match="method 'vant': expected one of"):
        learns("vant")


def test_shipped_files_lie_beside_the_weights():
    assert learning.folder() == refclip.weights.find("refclip-mini").parent / "learned"


def test_what_is_shipped_is_found_for_its_model_alone(mini, small, shelf):
    assert [shipped_learned(method, mini) for method in METHODS] == [None] * len(METHODS)
    for method in LEARNED:
        learnedfiles.write(shelf, method, mini)
    shutil.copy(shelf / "coop.safetensors", shelf / "winclip.safetensors")  # which takes none
    found = {method: path for method in METHODS if (path := shipped_learned(method, mini))}
    assert found == {method: shelf / f"{method}.safetensors" for method in LEARNED}
    assert [shipped_learned(method, small) for method in METHODS] == [None] * len(METHODS)
    with pytest.raises(ValueError, match="method 'vant': expected one of"):
        shipped_learned("vant", mini)


@pytest.mark.parametrize("method", LEARNED)
def test_what_is_shipped_is_taken_and_what_is_given_before_it(mini, shelf, tmp_path, method):
    images, module = [shot(1)[0]], METHODS[method][0]
    shipped = learnedfiles.write(shelf, method, mini)
    other = learnedfiles.write(tmp_path / "other", method, mini, seed=1)
    given = [{}, {"learned": shipped}, {"learned": loaded(method, mini, shipped)}, {"learned": str(other)}]
    maps = [refclip.detector(method, mini, "nut", **short(method), **one)(images).map for one in given]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])
    assert np.abs(maps[0] - maps[3]).max() > 1e-4  # parameters of another seed
    said = [module.prepare(mini, **short(method), **one).options.learned for one in given]
    assert said == ["shipped", str(shipped), "given", str(other)]


@pytest.mark.parametrize("method", LEARNED)
def test_what_is_shipped_must_belong_to_the_weights(mini, small, shelf, method):
    learnedfiles.write(shelf, method, small)
    with pytest.raises(WeightsError, match=rf"shelf/{method}\.safetensors: learned behind other weights"):
        refclip.detector(method, mini, **short(method))


@pytest.mark.parametrize("method", LEARNED)
def test_nothing_learned_says_what_to_do(mini, shelf, method):
    says = (
        rf"learned=FILE \(--learned FILE\), which `refclip train {method} DATA --out FILE` writes; nothing is shipped"
    )
    with pytest.raises(ValueError, match=says):
        refclip.detector(method, mini, **short(method))


@pytest.mark.parametrize("method", LEARNED)
def test_a_digest_is_of_the_content(small, tmp_path, method):
    paths = [learnedfiles.write(tmp_path / str(seed), method, small, seed) for seed in (0, 1)]
    copy = shutil.copy(paths[0], tmp_path / "renamed.safetensors")
    assert learning.digest(copy) == learning.digest(str(paths[0])) != learning.digest(paths[1])
    a, b, other = (loaded(method, small, path) for path in (copy, *paths))
    assert learning.digest(a) == learning.digest(b) != learning.digest(other)
    told = a._replace(about=a.about | {"options": a.about["options"] | {"sigma": 0.5}})
    assert learning.digest(told) != learning.digest(a)
    with pytest.raises(WeightsError, match=r"nowhere: cannot be read \(No such file or directory\)"):
        learning.digest(tmp_path / "nowhere")


@pytest.mark.parametrize("method", ["coop", "clip-ada"])
def test_an_evaluation_knows_other_parameters_under_the_same_name(small, tmp_path, monkeypatch, method):
    root, parts = mvtec(tmp_path / "set", good=2, bad=2), tmp_path / "parts"
    module, extracted = METHODS[method][0], []
    extract = module.extract
    monkeypatch.setattr(module, "extract", lambda s, images: extracted.append(len(images)) or extract(s, images))

    def encoded(given):
        extracted.clear()
        request = Request(method, {} if given is None else {"learned": given})
        done = evaluate.evaluate(small, sources.open_source(root, folder=parts), request, parts)
        (record,) = done.records
        assert record.options["learned"] == ("given" if hasattr(given, "_fields") else str(given))
        return sum(extracted), record.scores

    path = learnedfiles.write(tmp_path / "a", method, small)
    count, scores = encoded(path)
    assert count == 4
    assert encoded(path) == (0, scores)
    learnedfiles.write(tmp_path / "a", method, small, seed=1)  # the same name
    count, others = encoded(path)
    assert count == 4
    assert others != scores
    first = learnedfiles.write(tmp_path / "b", method, small)
    fitted = loaded(method, small, first)
    assert encoded(fitted) == (4, scores)  # in memory: the same numbers, under a digest of its own
    monkeypatch.undo()
    assert evaluate.learned_digest(small, Request("clip", {})) == ()
    with pytest.raises(ValueError, match=f"{method} needs what it has learned"):
        evaluate.evaluate(small, sources.open_source(root, folder=parts), Request(method, {}), parts)


def test_the_same_parameters_elsewhere_are_not_computed_again(small, tmp_path, monkeypatch):
    root, parts = mvtec(tmp_path / "set", good=2, bad=2), tmp_path / "parts"
    path = learnedfiles.write(tmp_path / "a", "coop", small)
    moved = shutil.copy(path, tmp_path / "moved.safetensors")
    for one in (path, moved):
        request = Request("coop", {"learned": str(one)})
        done = evaluate.evaluate(small, sources.open_source(root, folder=parts), request, parts)
        assert done.records[0].options["learned"] == str(path)  # as it was called when it was computed
        monkeypatch.setattr(METHODS["coop"][0], "extract", lambda *_: pytest.fail("encoded again"))


def test_the_table_of_methods_takes_what_was_learned(small_folder, small, tmp_path, capsys):
    root, path = mvtec(tmp_path / "set", good=2, bad=2), learnedfiles.write(tmp_path, "coop", small)
    words = ["--methods", "coop", "clip-ada", "--weights", str(small_folder), "--root", str(root)]
    assert table.main([*words, "--learned", f"coop={path}", "--folder", str(tmp_path / "kept")]) == 0
    text = capsys.readouterr().out
    assert "| `coop` |  | " in text
    assert "Without learned parameters, so left out: clip-ada." in text
    assert json.loads((tmp_path / "kept" / "coop.json").read_text())["options"]["learned"] == str(path)


def test_the_table_of_methods_takes_what_is_shipped(mini, shelf, tmp_path, monkeypatch):
    asked = []

    def stopped(words, **_):
        asked.append(words)
        raise KeyboardInterrupt

    path = learnedfiles.write(shelf, "vand", mini)
    monkeypatch.setattr(table.subprocess, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        table.main(["--methods", "coop", "vand", "--root", str(tmp_path), "--folder", str(tmp_path / "kept")])
    (words,) = asked  # coop, of which nothing is shipped, was left out
    assert words[words.index("--method") + 1] == "vand"
    assert words[words.index("--learned") + 1] == str(path)
