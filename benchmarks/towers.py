"""refclip's towers beside its peers', on one machine, in one run: `python benchmarks/towers.py`. See the README here.

This process only schedules and prints. Everything measured happens in workers, one process for every peer, case and
round, one at a time: torch's and OpenBLAS's threads spin while they wait, and would take the processor from each other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import summary  # noqa: E402

MODELS = ("ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16-plus-240", "ViT-L-14-336")
QUICK_MODELS = ("ViT-B-32", "ViT-B-16-plus-240")
CASES = ("image-1", "image-8", "prompts", "windows")
WINCLIP_MODEL = "ViT-B-16-plus-240"  # the one whose windows are measured by default
CHUNKS = (98, 64, 32)  # of windows, tried for torch beside all at once
IMPORTS = ("refclip", "open_clip", "torch")
LONG = 8.0  # seconds: where one call of open_clip takes longer, one round less is run
PATIENCE = 1800  # seconds until a worker is given up


class Peer(NamedTuple):
    """Who is measured, and by which worker."""

    worker: str
    package: str
    variant: str = ""


PEERS = {
    "open_clip": Peer("on_torch", "open_clip"),
    "refclip": Peer("on_refclip", "refclip"),
    "open_clip-cut": Peer("on_torch", "open_clip", "cut"),
    "onnxruntime": Peer("on_onnxruntime", "onnxruntime"),
    "clippie": Peer("on_clippie", "clippie"),
}


class Failed(Exception):
    """A worker ended without an answer; the text is its last word."""


class Bench:
    """One run: where its files are, what it was asked, what it has seen."""

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self.args = args
        self.scratch = scratch
        self.store = args.cache or scratch / "store"
        self.results: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {}  # model -> case -> peer -> rounds
        self.notes: list[str] = []
        self.chunks: dict[str, dict[str, int]] = {}
        self.memory: dict[str, dict[str, float]] = {}
        self.memory_model = ""
        self.imports: dict[str, list[float]] = {}
        self.disagreed = False
        self.start = time.monotonic()

    # ---- workers

    def worker(self, name: str, job: dict[str, Any]) -> dict[str, Any]:
        """Run one worker to its end; its answer."""
        out = run_process(["-m", f"benchmarks.workers.{name}", json.dumps(job)], environment(self.args.threads))
        return json.loads(out.splitlines()[-1])

    def job(self, model: str, case: str, **more: Any) -> dict[str, Any]:
        return {
            "model": model,
            "case": case,
            "variant": "",
            "threads": self.args.threads,
            "folder": str(self.folder(model)),
            "inputs": str(self.scratch / "inputs" / model),
            "reference": str(self.scratch / f"{model}.{case}.npy"),
            "onnx": str(self.onnx(model, case)),
            "chunks": self.chunks.get(model, {}),
            "repeats": self.args.repeats,
            "seconds": self.args.seconds,
            "slow": 1.0 if self.args.quick else 4.0,
            "leads": False,
        } | more

    def folder(self, model: str) -> Path:
        """Where this model's weights are kept: under a name that changes with the recipe that makes them."""
        recipe = b"".join(
            (ROOT / path).read_bytes() for path in ("tests/randomclip.py", "benchmarks/workers/prepare.py")
        )
        return self.store / f"{model}-{zlib.crc32(recipe):08x}"

    def onnx(self, model: str, case: str) -> Path:
        torch = version("torch").replace("+", "-")
        return self.folder(model).with_name(f"{self.folder(model).name}-{case}-torch-{torch}.onnx")

    # ---- the plan

    def cases(self, model: str) -> list[str]:
        if self.args.cases:
            return list(self.args.cases)
        if model == WINCLIP_MODEL:
            return list(CASES)
        return [case for case in CASES if case.startswith("image") or (case == "prompts" and not self.args.quick)]

    def who(self, model: str, case: str) -> list[str]:
        """The peers that can do this, after making what they need."""
        out = []
        for name in self.args.peers:
            peer = PEERS[name]
            if importlib.util.find_spec(peer.package) is None:
                self.note(f"{name}: {peer.package} is not installed")
            elif name == "open_clip-cut" and case != "prompts":
                continue  # there is nothing to cut
            elif name == "onnxruntime" and not case.startswith("image"):
                continue  # only the image tower is exported
            elif name in ("open_clip-cut", "onnxruntime") and model.endswith("-quickgelu") and not self.args.all:
                continue  # this model is here for clippie
            elif name == "clippie" and case == "windows":
                self.note("clippie: has no windows of patches")
            elif name == "clippie" and not model.endswith("-quickgelu"):
                self.note(
                    f"clippie: {model} has exact GELU and clippie computes quick GELU only; see {model}-quickgelu"
                )
            elif name == "onnxruntime" and not self.export(model, case):
                continue
            else:
                out.append(name)
        return out

    def export(self, model: str, case: str) -> bool:
        if self.onnx(model, case).exists():
            return True
        self.say(f"{model}, {case}: exporting to ONNX")
        try:
            self.worker("export_onnx", self.job(model, case))
        except Failed as error:
            self.note(f"onnxruntime: torch.onnx cannot export {model}, {case}: {error}")
            return False
        return True

    # ---- measuring

    def run(self) -> None:
        self.time_imports()
        memory_model = "ViT-L-14-336" if "ViT-L-14-336" in self.args.models else self.args.models[-1]
        for model in self.args.models:
            self.say(f"{model}: weights and inputs")
            try:
                self.worker("prepare", self.job(model, ""))
            except Failed as error:
                self.note(f"{model}: left out, its weights and inputs cannot be made: {error}")
                self.disagreed = True
                continue
            for case in self.cases(model):
                self.time_case(model, case)
            if model == memory_model and not self.args.quick:
                self.measure_memory(model)
            if not self.args.cache:  # gigabytes: make room for the next
                shutil.rmtree(self.store, ignore_errors=True)

    def time_case(self, model: str, case: str) -> None:
        """Rounds of all peers in turn: A B C, A B C, ..."""
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in self.who(model, case)}
        self.results.setdefault(model, {})[case] = rounds
        if case == "windows":
            self.choose_chunks(model)
        number, last = 0, self.args.rounds
        while number < last:
            number += 1
            for name in list(rounds):
                answer = self.measure(model, case, name)
                if answer is not None:
                    rounds[name].append(answer)
                    self.say(f"{model}, {case}, round {number}: {name} {1000 * answer['median']:.1f} ms")
                    continue
                del rounds[name]
                if name in ("open_clip", "refclip"):
                    return  # there is nothing left to compare
            long = LONG / 2 if self.args.quick else LONG
            if number == 1 and last > 1 and rounds["open_clip"][0]["median"] > long:
                last -= 1

    def measure(self, model: str, case: str, name: str) -> dict[str, Any] | None:
        """One process of one peer; None if it fails or its results are not open_clip's."""
        peer = PEERS[name]
        try:
            answer = self.worker(peer.worker, self.job(model, case, variant=peer.variant, leads=name == "open_clip"))
        except Failed as error:
            self.note(f"{name}: failed on {model}, {case}: {error}")
            self.disagreed |= name == "refclip"
            return None
        if "disagrees" in answer:
            self.note(f"{name}: not timed on {model}, {case}: differs from open_clip by {answer['disagrees']:.1e}")
            self.disagreed = True
            return None
        return answer

    def choose_chunks(self, model: str) -> None:
        """Whether torch is faster with all windows at once or in chunks, found out beforehand."""
        self.say(f"{model}, windows: open_clip with all at once, or in chunks")
        sizes, repeats = (CHUNKS[1:2], 1) if self.args.quick else (CHUNKS, 2)
        answer = self.worker("on_torch", self.job(model, "chunks", sizes=sizes, repeats=repeats))
        self.chunks[model] = answer["chunks"]
        for k, times in answer["seconds"].items():
            seen = ", ".join(f"{size} {1000 * t:.0f} ms" for size, t in times.items())
            chosen = answer["chunks"][k]
            self.note(f"open_clip, {model}: {k} x {k} windows fed {chosen} at a time, the fastest for torch of {seen}")

    def time_imports(self) -> None:
        times: dict[str, list[float]] = {name: [] for name in IMPORTS if importlib.util.find_spec(name)}
        for number in range(self.args.imports + 1):  # the first fills the file cache and writes the .pyc files
            for name in times:
                code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
                seconds = float(run_process(["-c", code], environment(self.args.threads)).splitlines()[-1])
                times[name] += [seconds] * (number > 0)
        self.imports = times
        self.say("import " + ", ".join(f"{name} {statistics.median(t):.2f} s" for name, t in times.items() if t))

    def measure_memory(self, model: str) -> None:
        self.memory_model = model
        for name, worker, variant in (
            ("refclip", "on_refclip", ""),
            ("open_clip (create_model)", "on_torch", ""),
            ("open_clip (weights left in the mapped file)", "on_torch", "mapped"),
        ):
            try:
                self.memory[name] = self.worker(worker, self.job(model, "memory", variant=variant))
                self.say(f"{model}, memory: {name} {self.memory[name]['peak']:.0f} MiB")
            except Failed as error:
                self.note(f"memory of {name}: failed: {error}")

    # ---- talking

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            self.say(text)


def environment(threads: int) -> dict[str, str]:
    """Of a worker: threads for OpenBLAS, MKL and OpenMP."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": str(ROOT)}


def run_process(arguments: list[str], own: dict[str, str]) -> str:
    """Standard output of one Python process.

    Raises
    ------
    Failed
        With the last line of its standard error.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failed(f"no answer within {PATIENCE} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode or not out.strip():
        words = [line.strip() for line in err.splitlines() if line.strip()]
        raise Failed((words or [f"ended with status {process.returncode}"])[-1][:300])
    return out


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="refclip's towers beside open_clip, onnxruntime and clippie.")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help=f"of {', '.join(MODELS)}, or any tests/randomclip has"
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, help="all by default; windows with WinCLIP's model only")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="open_clip is always among them")
    parser.add_argument("--all", action="store_true", help="all peers on -quickgelu models too")
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="processes of each peer and case (3; quick: 2); one less where a call is long",
    )
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="timed calls of one process, at most (15)")
    parser.add_argument("--seconds", type=float, metavar="S", help="timed calls of one process, about (2; quick: 1)")
    parser.add_argument("--imports", type=int, metavar="N", help="timed imports of each package (5; quick: 2)")
    parser.add_argument("--threads", type=int, default=processors(), metavar="N", help="of every peer (all processors)")
    parser.add_argument("--quick", action="store_true", help="two models, fewer rounds: under five minutes")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep weights and ONNX files here for the next run")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables and the machine's facts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time")
    args = parser.parse_args(argv)
    args.models = list(dict.fromkeys(args.models or (QUICK_MODELS if args.quick else MODELS)))
    args.peers = [name for name in PEERS if name in {*args.peers, "open_clip", "refclip"}]
    for name, usual, quick in (("rounds", 3, 2), ("seconds", 2.0, 1.0), ("imports", 5, 2)):
        if getattr(args, name) is None:
            setattr(args, name, quick if args.quick else usual)
    for name in ("rounds", "repeats", "threads", "imports"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if importlib.util.find_spec("open_clip") is None:
        parser.error(
            "open_clip is not installed, and everything here is measured against it: pip install -e '.[parity]'"
        )
    for path in (args.markdown, args.json):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    if args.cache:
        args.cache = args.cache.resolve()
        args.cache.mkdir(parents=True, exist_ok=True)
    return args


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def carried_out(bench: Any, threads: int) -> tuple[dict[str, str], bool]:
    """Run a `Bench` of this file or of `training.py` to its end, and leave no half of a file.

    Returns
    -------
    dict
        What the machine is, how busy it was, and how long it took.
    bool
        Whether it was interrupted; what was measured until then counts.
    """
    signal.signal(signal.SIGTERM, stop)
    interrupted, load = False, load_average()
    if load > 0.3:
        bench.note(f"load average {load:.1f} before the first measurement: others are at work on this machine")
    facts: dict[str, str] = {}
    try:
        out = run_process(["-m", "benchmarks.workers.facts", "{}"], environment(threads))
        facts = json.loads(out.splitlines()[-1])
        bench.run()
    except KeyboardInterrupt:
        interrupted = True
        bench.note("interrupted: the tables are not whole")
    except Failed as error:
        bench.note(f"ended early: {error}")
        bench.disagreed = True
    finally:
        for partial in bench.store.glob("*.partial"):
            shutil.rmtree(partial, ignore_errors=True)
    return facts | {
        "threads": str(threads),
        "load average": f"{load:.2f} before the first measurement",
        "date": time.strftime("%Y-%m-%d"),
        "duration": f"{(time.monotonic() - bench.start) / 60:.1f} minutes",
    }, interrupted


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 where results disagree with open_clip's or refclip fails; 130 when interrupted."""
    args = arguments(argv)
    with tempfile.TemporaryDirectory(prefix="refclip-bench-") as scratch:
        bench = Bench(args, Path(scratch))
        facts, interrupted = carried_out(bench, args.threads)
    facts |= {
        "rounds": f"{args.rounds} (one less for long calls), at most {args.repeats} calls or {args.seconds:g} s",
    }
    tables = summary.tables(bench.results, bench.imports, bench.memory_model, bench.memory)
    print(summary.text(tables, bench.notes))
    if interrupted:
        return 130
    if args.markdown:
        args.markdown.write_text(summary.markdown(facts, tables, bench.notes))
    if args.json:
        everything = {
            "facts": facts,
            "results": bench.results,
            "chunks": bench.chunks,
            "imports": bench.imports,
            "memory": {"model": bench.memory_model, "MiB": bench.memory},
            "notes": bench.notes,
        }
        args.json.write_text(json.dumps(everything, indent=1) + "\n")
    return int(bench.disagreed)


if __name__ == "__main__":
    sys.exit(main())
