"""`refclip eval` killed in the middle, and started again: nothing lost, nothing computed twice, the same results."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from refclip import answers, cli, encode, evaluate
from tests.toysets import mvtec

# The command line in a process that kills itself, without warning, right after it has written so many files.
CHILD = """
import os, signal, sys
from refclip import answers, cli, encode, evaluate
left = int(sys.argv.pop(1))
def counted(write):
    def then_die(*args):
        global left
        write(*args)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return then_die
for module in (answers, encode, evaluate):
    module.keep = counted(module.keep)
evaluate.write_record = counted(evaluate.write_record)
cli.main()
"""
LIGHT = ("--option", "features=patches", "--option", "memories=patch", "--templates", "vand")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A data set, the words that evaluate a method on it, and what an evaluation without interruption comes to."""
    folder = tmp_path_factory.mktemp("resume")
    root = mvtec(folder / "set", ("a", "b"))
    return folder, root


def words(root, small_folder, out, method):
    drawn = ("--shots", "1,2", *LIGHT) if method == "winclip+" else ("--templates", "vand")
    return ["eval", str(root), "--method", method, "--weights", str(small_folder), "--seeds", "2", "--batch", "2",
            "--out", str(out), *drawn]  # fmt: skip


def call(monkeypatch, args):
    """Run the command line here; the files written, by what wrote them."""
    written = []
    with monkeypatch.context() as patch:
        for module in (answers, encode, evaluate):
            keep = module.keep
            patch.setattr(module, "keep", lambda path, tree, keep=keep: written.append(str(path)) or keep(path, tree))
        record = evaluate.write_record
        patch.setattr(evaluate, "write_record", lambda path, r: written.append(str(path)) or record(path, r))
        with pytest.raises(SystemExit) as stop:
            cli.main(args)
    assert stop.value.code == 0
    return written


def result(out):
    """What an evaluation came to, but for seconds and memory."""
    values = json.loads(out.read_text())
    for one in values["runs"]:
        cost = one.pop("cost")
        assert cost["encode_seconds"] > 0 and cost["score_seconds"] > 0
    return values


# 7 images in batches of 2 are 4 batches; each category of winclip+ has 4 x 2 files of features, then in each of its 4
# runs the references not seen yet, 4 answers, the cases and the record.
@pytest.mark.parametrize(
    ("method", "after"),
    [
        ("winclip+", 3),  # features of batch 1, but not yet what is known of it
        ("winclip+", 11),  # in the answers of the first run
        ("winclip+", 17),  # in the second run of the first category: a record is there
        ("winclip+", 46),  # in the second category
        ("dual-image", 10),  # in the answers of a set that is scored as a whole
    ],
)
def test_killed_and_resumed(work, small_folder, monkeypatch, method, after):
    folder, root = work
    plain = folder / f"{method}.json"
    whole = call(monkeypatch, words(root, small_folder, plain, method))  # if a test before has not done so
    if whole:
        (folder / f"{method}.count").write_text("\n".join(whole))
    expected = (folder / f"{method}.count").read_text().splitlines()

    out = folder / f"{method}-{after}.json"
    args = words(root, small_folder, out, method)
    child = subprocess.run([sys.executable, "-c", CHILD, str(after), *args], capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert not out.exists()
    parts = out.with_suffix(".parts")
    survived = {path: path.stat().st_mtime_ns for path in parts.rglob("*.json")}
    assert bool(survived) == (after >= 17)

    written = call(monkeypatch, args)
    again = 1 if expected[after - 1].endswith(".features.npz") else 0  # features whose facts were not written yet
    assert len(written) == len(expected) - after + again
    assert [str(path) for path in survived if str(path) in written] == []
    for path, time in survived.items():
        assert path.stat().st_mtime_ns == time
    assert result(out) == result(plain)
    assert (
        out.with_suffix(".md").exists()
        and out.with_suffix(".png").read_bytes() == plain.with_suffix(".png").read_bytes()
    )
    assert call(monkeypatch, args) == []  # all is there
