"""`refclip train` and `refclip convert`: what they write, what they say, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import refclip
from refclip import cli_train
from refclip.cli_train import convert, learners, read, train
from refclip.methods import anomalyclip
from refclip.methods.anomalyclip_learned import load
from tests import torchfiles
from tests.test_anomalyclip import official
from tests.toysets import put, shot

QUICK = ["--option", "epochs=2", "--option", "length=4", "--option", "batch=3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """MVTec AD's folders, one category: two good pictures, three damaged ones with masks."""
    root = tmp_path_factory.mktemp("data")
    for i in range(2):
        put(root / "nut" / "train" / "good" / f"{i}.png", shot(20 + i)[0])
        put(root / "nut" / "test" / "good" / f"{i}.png", shot(i)[0])
    for i in range(3):
        picture, mask = shot(10 + i, damaged=True)
        put(root / "nut" / "test" / "bad" / f"{i}.png", picture)
        put(root / "nut" / "ground_truth" / "bad" / f"{i}_mask.png", np.uint8(mask) * 255)
    return root


def run(command, *words):
    return CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)  # as `cli.main` does


@pytest.mark.parametrize("method", ["anomalyclip", "coop"])
def test_train_writes_what_the_method_takes(data, small_folder, tmp_path, method):
    out = tmp_path / "prompts.safetensors"
    said = run(train, method, data, "--out", out, "--weights", small_folder, *QUICK)
    assert said.exception is None, said.output
    clip = refclip.load(small_folder)
    fitted = load(clip, out, method)
    assert fitted.design.length == 4
    assert fitted.about["training"]["epochs"] == 2
    lines = (tmp_path / "prompts.curve.tsv").read_text().splitlines()
    assert lines[0] == "epoch\tloss"
    assert [float(line.split("\t")[1]) for line in lines[1:]] == pytest.approx(fitted.curve, rel=1e-5)
    assert said.stdout.splitlines()[1].split("\t")[:2] == [str(out), "2"]
    assert "layers" in said.stderr  # what was chosen is printed
    assert "bytes in memory" in said.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prompts.curve.tsv", "prompts.safetensors"]
    images = [shot(1)[0]]
    module = {"anomalyclip": anomalyclip, "coop": refclip.methods.coop}[method]
    state = module.prepare(clip, "nut", learned=out)
    assert module.score(state, module.extract(state, images)).map.shape == (1, 40, 40)


def test_the_same_command_goes_on_after_a_kill(data, small_folder, tmp_path, monkeypatch):
    words = [
        "anomalyclip",
        data,
        "--weights",
        small_folder,
        "--every",
        "1",
        "--features",
        tmp_path / "features",
        *QUICK,
    ]
    assert run(train, *words, "--out", tmp_path / "whole.safetensors").exception is None
    learned = cli_train.learners()["anomalyclip"].fit.fit

    def killed(*args, **kwargs):
        def tell(step, loss):
            if step == 3:
                raise KeyboardInterrupt

        return learned(*args, **(kwargs | {"tell": tell}))

    monkeypatch.setattr(refclip.methods.anomalyclip_fit, "fit", killed)
    said = run(train, *words, "--out", tmp_path / "a.safetensors")
    assert said.exit_code != 0
    assert (tmp_path / "a.checkpoint").exists()
    monkeypatch.setattr(refclip.methods.anomalyclip_fit, "fit", learned)
    assert run(train, *words, "--out", tmp_path / "a.safetensors").exception is None
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert not (tmp_path / "a.checkpoint").exists()


def test_options_go_where_they_belong():
    found = read(
        "anomalyclip",
        learners()["anomalyclip"],
        ["epochs=3", "terms=global,dice", "length=16", "betas=0.9,0.99", "layers=2,4", "object=name", "shared=yes"],
    )
    assert found["training"].epochs == 3
    assert found["training"].terms == ("global", "dice")
    assert found["training"].betas == (0.9, 0.99)
    assert (found["design"].length, found["design"].shared) == (16, True)
    assert {key: found[key] for key in found if key not in ("training", "design")} == {
        "layers": (2, 4),
        "object": "name",
    }
    assert read("coop", learners()["coop"], [])["design"].abnormal == "anomalous"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--option", "speed=3"], "has no option 'speed' to learn with.*length=12"),
        (["--option", "learned=x"], "has no option 'learned'"),
        (["--option", "epochs"], "has no '='"),
        (["--option", "epochs=many"], "expected a whole number"),
        (["--option", "epochs=1", "--option", "epochs=2"], "given twice"),
        (["--out", "prompts.pt"], "ends in .safetensors"),
        (["--split", "train"], "no mask of a defect"),
        (["--categories", "bolt"], "no category bolt"),
        (["--categories", ","], "--categories: no name in it"),
        (["--option", "epochs=-1"], "epochs=-1: expected 0 or more"),
        (["--option", "batch=0"], "batch=0: expected 1 or more"),
        (["--option", "seed=-1"], "seed=-1: expected 0 or more"),
        (["--option", "rate=-1"], "rate=-1.0: expected 0 or more"),
        (["--option", "betas=0.5,1"], r"betas=\(0.5, 1.0\): expected 0 to 1, without 1"),
        (["--option", "mask_share=7"], "mask_share=7.0: expected 0 to 1"),
    ],
)
def test_what_is_refused(data, small_folder, tmp_path, words, message):
    said = run(train, "anomalyclip", data, "--out", tmp_path / "a.safetensors", "--weights", small_folder, *words)
    assert isinstance(said.exception, ValueError)
    with pytest.raises(ValueError, match=message):
        raise said.exception
    assert not (tmp_path / "a.safetensors").exists()


def test_damaged_files_are_named_and_left_out(data, small_folder, tmp_path):
    """What is learned is what is learned without them; what is no longer known of an image is not guessed."""
    damaged, clean = (Path(shutil.copytree(data, tmp_path / name)) / "nut" for name in ("damaged", "clean"))
    (damaged / "test" / "bad" / "0.png").write_bytes(b"no picture")
    (damaged / "ground_truth" / "bad" / "1_mask.png").write_bytes(b"no picture")
    for name in ("test/bad/0.png", "ground_truth/bad/0_mask.png", "ground_truth/bad/1_mask.png"):
        (clean / name).unlink()
    said = {}
    for root in (damaged, clean):
        out = tmp_path / root.parent.name / "a.safetensors"
        said[root] = run(train, "anomalyclip", root.parent, "--out", out, "--weights", small_folder, *QUICK)
        assert said[root].return_value == 1, said[root].output
    lines = said[damaged].stderr.splitlines()
    assert lines[0].startswith(f"refclip: {damaged / 'test' / 'bad' / '0.png'}: is not a picture")
    assert lines[0].endswith("; left out")
    assert lines[1].startswith(f"refclip: {damaged / 'ground_truth' / 'bad' / '1_mask.png'}: is not a picture")
    assert lines[1].endswith("; taken as an image without a mask")
    assert lines[-1] == "refclip: 2 problems; learned from what could be used"
    assert "refclip: 1 images without a mask are left out" in lines
    one, other = (load(refclip.load(small_folder), tmp_path / root.parent.name / "a.safetensors") for root in said)
    np.testing.assert_array_equal(one.learned.normal, other.learned.normal)
    assert one.about["images"] == other.about["images"] == 3
    for path in (damaged / "test").rglob("*.png"):
        path.write_bytes(b"no picture")
    said = run(train, "coop", damaged.parent, "--out", tmp_path / "b.safetensors", "--weights", small_folder)
    assert isinstance(said.exception, ValueError) and "none of the images can be read" in str(said.exception)
    assert not list(tmp_path.glob("b.*"))


def test_where_features_cannot_be_kept_is_said_first(data, small_folder, tmp_path):
    (tmp_path / "taken").write_text("a file")
    words = ("coop", data, "--out", tmp_path / "a.safetensors", "--weights", small_folder, "--features")
    said = run(train, *words, tmp_path / "taken")
    assert isinstance(said.exception, OSError)
    assert str(said.exception).startswith(f"--features {tmp_path / 'taken'}: cannot write there (a file of that name")


def test_convert(small_folder, tmp_path):
    torchfiles.write(tmp_path / "epoch_15.pth", official(), "prompt_learner")
    said = run(convert, tmp_path / "epoch_15.pth", "--out", tmp_path / "a.safetensors", "--weights", small_folder)
    assert said.exception is None, said.output
    fitted = load(refclip.load(small_folder), tmp_path / "a.safetensors")
    np.testing.assert_array_equal(fitted.learned.normal, official()["ctx_pos"][0, 0])
