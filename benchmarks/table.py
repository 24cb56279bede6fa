"""Every method on the toy benchmark, one line each, for the README: `python benchmarks/table.py`, or `make table`.

For each method `refclip eval` runs in a process of its own, so that its peak of memory is its own: on the toy benchmark
of seed 0, zero-shot, or with one reference where a method needs some. What is done is kept in --folder; the same
command goes on after a kill. A method that learns takes part with --learned METHOD=FILE, or with what is shipped for
the weights, and is named below the table without.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from refclip import METHODS, load, toy  # noqa: E402
from refclip.files import whole_file  # noqa: E402
from refclip.methods import contexts, learns, shipped_learned  # noqa: E402
from refclip.results import MEAN, TITLES  # noqa: E402

SHOTS = 1  # for methods that cannot do without
FIGURES = ("image_auroc", "pixel_auroc", "pixel_aupro")


class Line(NamedTuple):
    """One method's results."""

    method: str
    needs: str
    figures: dict[str, float]
    seconds: float  # of an image, to encode and to score
    peak: float | None  # MiB
    images: int


def needs_of(method: str) -> tuple[str, int]:
    """What a method is given beside the image, in words, and how many references."""
    need = contexts.needs(METHODS[method][0])
    if need == "references":
        return f"{SHOTS} reference{'s' * (SHOTS != 1)}", SHOTS
    return {"partners": "another image of the set", "set": "the set"}.get(need, ""), 0


def command(method: str, root: Path, out: Path, weights: str, learned: str | None) -> list[str]:
    """The words of `refclip eval` for a method."""
    words = [sys.executable, "-m", "refclip", "eval", str(root), "--layout", "mvtec", "--method", method]
    words += ["--weights", weights, "--shots", str(needs_of(method)[1]), "--out", str(out)]
    return words + (["--learned", learned] if learned else [])


def line(method: str, result: dict[str, Any]) -> Line:
    """What `refclip eval --out` wrote, as a line of the table."""
    (mean,) = (row for row in result["table"] if row["category"] == MEAN)
    figures = {name: mean[name]["value"] for name in FIGURES if name in mean}
    runs = result["runs"]
    each = [sum(run["images"][kind] for kind in ("normal", "anomalous", "unlabelled")) for run in runs]
    costs = [run["cost"] for run in runs]
    took = sum(n * (cost["encode_seconds"] + cost["score_seconds"]) for n, cost in zip(each, costs, strict=True))
    peaks = [cost["peak_mib"] for cost in costs if cost["peak_mib"] is not None]
    return Line(method, needs_of(method)[0], figures, took / sum(each), max(peaks, default=None), sum(each))


def markdown(lines: Sequence[Line], weights: str, wall: float | None, left_out: Sequence[str]) -> str:
    """The table, and below it what it is of and what it took."""
    rows = [["method", "beside the image", *(TITLES[name] for name in FIGURES), "s an image", "peak MiB"]]
    rows.append(["---", "---", *["---:"] * (len(FIGURES) + 2)])
    for one in lines:
        figures = [f"{100 * one.figures[name]:.1f}" if name in one.figures else "" for name in FIGURES]
        peak = "" if one.peak is None else f"{one.peak:.0f}"
        rows.append([f"`{one.method}`", one.needs, *figures, f"{one.seconds:.3f}", peak])
    told = (
        f"{weights} on refclip's toy benchmark, seed 0: {max((one.images for one in lines), default=0)} test images, "
        "means over the categories, in percent, pixels at the model's resolution. "
        f"{sum(one.seconds * one.images for one in lines) / 60:.1f} minutes to encode and score them with all "
        f"{len(lines)} methods"
    )
    told += f", {wall / 60:.1f} with all else" if wall is not None else ""
    told += f"; {os.cpu_count()} processors, {time.strftime('%d %B %Y')}. `make table` repeats it."
    told += f" Without learned parameters, so left out: {', '.join(left_out)}." if left_out else ""
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + ["", told, ""])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="refclip-mini", metavar="W", help="as of refclip eval (refclip-mini)")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="M", help="(all)")
    parser.add_argument("--learned", action="append", default=[], metavar="METHOD=FILE", help="may be repeated")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="in MVTec AD's layout, instead of the toy's")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "table", help="for what is kept (build/table)")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the table there, too")
    args = parser.parse_args(argv)
    learned = dict(pair.partition("=")[::2] for pair in args.learned)
    if unknown := [name for name in learned if name not in METHODS or not learns(name)]:
        parser.error(f"--learned {unknown[0]!r}: no method that learns")
    clip = load(args.weights)
    shipped = {method: shipped_learned(method, clip) for method in args.methods}
    learned = {method: str(path) for method, path in shipped.items() if path} | learned
    began, fresh = time.perf_counter(), not args.folder.exists()
    root = args.root or args.folder / "toy-0"
    if args.root is None and not root.exists():
        print("table: drawing the toy benchmark", file=sys.stderr)
        toy.write(toy.toy(0), root)
    lines, left_out, failed = [], [], []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    for method in args.methods:
        if learns(method) and method not in learned:
            left_out.append(method)
            continue
        out = args.folder / f"{method}.json"
        print(f"table: {method}", file=sys.stderr)
        words = command(method, root, out, args.weights, learned.get(method))
        status = subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
        if status:
            failed.append(f"{method}: refclip eval ended with {status}; see above")
        if status in (0, 1):  # 1: of what could be used
            lines.append(line(method, json.loads(out.read_text(encoding="utf-8"))))
    # a run that was taken up again has not seen all of its time
    text = markdown(lines, args.weights, time.perf_counter() - began if fresh else None, left_out)
    print(text)
    if args.out is not None:
        with whole_file(args.out) as file:
            file.write(text.encode())
    for problem in failed:
        print(f"table: {problem}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
