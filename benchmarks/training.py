"""AnomalyCLIP's prompt learning, refclip beside torch, on one machine, in one run: `python benchmarks/training.py`.

One optimisation step, and one epoch over 200 images, against torch (a) as the published code does it, with the image
tower at every step, and (b) with the same features kept. See the README here.

As in `towers.py`, this process only schedules and prints: one process for every peer, case and round, one at a time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import training_summary  # noqa: E402
from benchmarks.summary import markdown, text  # noqa: E402
from benchmarks.towers import Failed, carried_out, environment, processors, run_process  # noqa: E402

MODEL = "ViT-L-14-336-quickgelu"  # the published code's: OpenAI's weights have that activation
# case -> who takes part, torch first: its results are what refclip's are held to
CASES = {
    "encode": ("torch", "refclip"),
    "step": ("torch-77", "refclip", "torch-cut"),
    "epoch": ("torch-77", "refclip", "torch-cut"),
}
RECIPE = ("tests/randomclip.py", "benchmarks/workers/prepare.py")  # of weights


class Bench:
    """One run: where its files are, what it was asked, what it has seen."""

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self.args = args
        self.scratch = scratch
        self.store = args.cache or scratch / "store"
        recipe = b"".join((ROOT / path).read_bytes() for path in RECIPE)  # weights have a name that changes with it
        self.folder = self.store / f"{args.model}-{zlib.crc32(recipe):08x}"
        self.results: training_summary.Results = {}
        self.memory: dict[str, dict[str, float]] = {}
        self.notes: list[str] = []
        self.facts: dict[str, Any] = {}
        self.kept = ""
        self.disagreed = False
        self.start = time.monotonic()

    def worker(self, name: str, job: dict[str, Any]) -> dict[str, Any]:
        """Run one worker to its end; its answer."""
        out = run_process(
            ["-m", f"benchmarks.workers.training_{name}", json.dumps(job)], environment(self.args.threads)
        )
        return json.loads(out.splitlines()[-1])

    def job(self, case: str, **more: Any) -> dict[str, Any]:
        return {
            "model": self.args.model,
            "case": case,
            "variant": "",
            "threads": self.args.threads,
            "folder": str(self.folder),
            "inputs": str(self.scratch / "inputs"),
            "features": str(self.scratch / "features"),
            "kept": self.kept,
            "reference": str(self.scratch / f"{case}.{'npy' if case == 'epoch' else 'npz'}"),
            "images": self.args.images,
            "batch": self.args.batch,
            "encoded": self.args.encoded,
            "repeats": self.args.repeats,
            "seconds": self.args.seconds,
            "leads": False,
        } | more

    def run(self) -> None:
        self.say(f"{self.args.model}: weights and inputs")
        self.facts = self.worker("prepare", self.job("inputs"))
        for number in range(1, self.args.long_rounds + 1):
            begun = self.scratch / f"features-{number}"  # a cache that one batch is entered into
            self.take_turns("encode", number, features=str(begun))
            if number > 1:
                shutil.rmtree(begun, ignore_errors=True)
        if "encode" not in self.results:
            return
        (self.scratch / "features-1").rename(self.scratch / "features")
        self.say(f"features of {self.args.images} images, from those of {self.args.encoded}")
        self.kept = self.worker("prepare", self.job("features"))["folder"]
        for case, rounds in (("step", self.args.rounds), ("epoch", self.args.long_rounds)):
            for number in range(1, rounds + 1):
                self.take_turns(case, number)
        if not self.args.quick:
            self.say("torch, image tower and step in one process: memory")
            self.memory["torch (a), one step"] = self.worker("torch", self.job("published", variant="77"))["memory"]

    def take_turns(self, case: str, number: int, **more: Any) -> None:
        """One round: A B C. A round in which torch or refclip fails or disagrees does not count."""
        found: dict[str, dict[str, Any]] = {}
        for name in CASES[case]:
            worker, _, variant = name.partition("-")
            try:
                answer = self.worker(worker, self.job(case, variant=variant, leads=not found, **more))
            except Failed as error:
                self.note(f"{name}: failed on {case}: {error}")
                self.disagreed |= name == "refclip"
                continue
            if "disagrees" in answer:
                told = ", ".join(f"{key} by {value:.1e}" for key, value in answer["disagrees"].items())
                self.note(f"{name}: not counted on {case}: differs from torch, {told}")
                self.disagreed = True
                continue
            self.say(f"{case}, round {number}: {name} {1000 * answer['median']:.0f} ms")
            found[name] = answer
            used = answer["memory"]
            before = self.memory.get(f"{name}, {case}", used)
            self.memory[f"{name}, {case}"] = {key: max(before[key], value) for key, value in used.items()}
        if {CASES[case][0], "refclip"} <= found.keys():
            self.results.setdefault(case, []).append(found)

    def say(self, told: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {told}", file=sys.stderr, flush=True)

    def note(self, told: str) -> None:
        if told not in self.notes:
            self.notes.append(told)
            self.say(told)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="AnomalyCLIP's prompt learning, refclip beside torch.")
    parser.add_argument("--model", default=MODEL, metavar="NAME", help=f"any that tests/randomclip has ({MODEL})")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="of an epoch (200)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="images of a step (8, the paper's)")
    parser.add_argument(
        "--encoded", type=int, metavar="N",
        help="images that a process encodes, of which the rest is extrapolated (a batch; quick: 2)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, metavar="N", help="of a step; of what is longer one less (3; quick: 2)")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="timed steps of one process, most (15)")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of them, about (2)")
    parser.add_argument("--threads", type=int, default=processors(), metavar="N", help="of every peer (all processors)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, two images encoded: under four minutes")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the weights here for the next run")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables and the machine's facts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time")
    args = parser.parse_args(argv)
    args.rounds = args.rounds if args.rounds is not None else 2 if args.quick else 3
    args.encoded = args.encoded if args.encoded is not None else 2 if args.quick else args.batch
    for name in ("images", "batch", "encoded", "rounds", "repeats", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    args.long_rounds = max(1, args.rounds - 1)
    if args.encoded > args.batch or args.images < args.batch:
        parser.error(f"--encoded {args.encoded} --batch {args.batch} --images {args.images}: none above the next")
    if importlib.util.find_spec("open_clip") is None:
        parser.error("open_clip is not installed, and torch's side is made of it: pip install -e '.[parity]'")
    for path in (args.markdown, args.json):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    if args.cache:
        args.cache = args.cache.resolve()
        args.cache.mkdir(parents=True, exist_ok=True)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 where refclip's results are not torch's or a process fails; 130 when interrupted."""
    args = arguments(argv)
    with tempfile.TemporaryDirectory(prefix="refclip-bench-") as scratch:
        bench = Bench(args, Path(scratch))
        machine, interrupted = carried_out(bench, args.threads)
    machine |= {
        "model": f"{args.model}, random weights; {bench.facts.get('side', '?')} pixels, layers "
        f"{bench.facts.get('layers', '?')}, batch {args.batch}, prompts of {bench.facts.get('tokens', '?')} tokens",
        "rounds": f"{args.rounds} of a step, {args.long_rounds} of the rest",
    }
    tables = training_summary.tables(bench.results, bench.memory, args.images, args.batch, args.encoded)
    bench.notes += training_summary.notes(bench.results, args.images, args.batch, args.encoded)
    print(text(tables, bench.notes))
    if interrupted:
        return 130
    if args.markdown:
        args.markdown.write_text(markdown(machine, tables, bench.notes))
    if args.json:
        everything = {"facts": machine, "results": bench.results, "memory": bench.memory, "notes": bench.notes}
        args.json.write_text(json.dumps(everything, indent=1) + "\n")
    return int(bench.disagreed)


if __name__ == "__main__":
    sys.exit(main())
