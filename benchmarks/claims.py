"""The papers' claims, put to the test: `python benchmarks/claims.py`, or `make claims`.

Each claim of `claims_list` is two settings of methods, evaluated by `refclip.evaluate` on the toy benchmark of seeds 0
to 4 (or on a folder in MVTec AD's layout, with five draws of references), and a paired interval of their difference.
What methods learn is learned for each seed. Everything done is kept in --folder: after a kill, the same command goes on
where it was. The result is docs/claims.json and, made from it, docs/claims.md; with --only, --group, --categories or
--root it is printed, unless --out says where it goes.

    python benchmarks/claims.py                                     all claims on the toy benchmark: two hours or three
    python benchmarks/claims.py --only vv-qk --only few-shot-1      these alone
    python benchmarks/claims.py --group Learned                     one group of them
    python benchmarks/claims.py --root hazelnut_toy --object hazelnut --out hazelnut.json
    python benchmarks/claims.py --page                              write the pages anew; runs nothing

Exit status: 0 all done, 1 something could not be done, 2 nothing could be, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = str(ROOT), str(ROOT / "weights")

from benchmarks.claims_list import GROUPS  # noqa: E402
from benchmarks.claims_page import as_json, page, summary  # noqa: E402
from benchmarks.claims_run import Job, Part, measure  # noqa: E402
from benchmarks.claims_verdict import Claim  # noqa: E402
from refclip import __version__, weights  # noqa: E402
from refclip.files import whole_file  # noqa: E402
from refclip.fingerprint import fingerprint  # noqa: E402
from refclip.sources import TOY, open_source  # noqa: E402
from refclip.toy import EDITION  # noqa: E402

RESULT = ROOT / "docs" / "claims.json"


def chosen(only: Sequence[str], groups: Sequence[str] = ()) -> dict[str, tuple[Claim, ...]]:
    """The claims asked for, by group: those of these names in these groups; without any, all.

    Raises
    ------
    ValueError
        No claim, or no group, of that name.
    """
    named = {claim.id: group for group, some in GROUPS.items() for claim in some}
    for what, given, known in (("claim", only, list(named)), ("group", groups, list(GROUPS))):
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"no {what} {unknown[0]!r}; there are {', '.join(known)}")
    wanted = {
        group: tuple(claim for claim in some if not only or claim.id in only)
        for group, some in GROUPS.items()
        if not groups or group in groups
    }
    if not any(wanted.values()):
        raise ValueError(f"{', '.join(only)}: in {named[only[0]]!r}, not in {' or '.join(map(repr, groups))}")
    return {group: some for group, some in wanted.items() if some}


def parts_of(root: str, seeds: int, folder: Path, categories: Sequence[str] | None) -> list[Part]:
    """The toy benchmark of each seed, drawn into the folder if it is not there yet; or one data set with all seeds."""
    if root == TOY:
        return [Part(open_source(TOY, None, categories, folder=folder, seed=i), (i,)) for i in range(seeds)]
    return [Part(open_source(root, "mvtec", categories, folder=folder), tuple(range(seeds)))]


def progress() -> tuple[Callable[[int, int, Job], None], Callable[[float], None]]:
    """What `measure` tells before and after each job, as lines on standard error."""
    began, left = time.perf_counter(), [0, 1]  # jobs done with the one at work, jobs in all

    def started(done: int, total: int, job: Job) -> None:
        left[:] = done + 1, total
        print(f"[{done + 1}/{total}] {job}", end="", file=sys.stderr, flush=True)

    def ended(seconds: float) -> None:
        done, total = left
        passed = (time.perf_counter() - began) / 60
        rest = passed / done * (total - done)
        print(f": {seconds:.0f} s; {passed:.0f} min so far, about {rest:.0f} to come", file=sys.stderr)

    return started, ended


def write(result: dict[str, Any], target: Path) -> None:
    """The data, and the page beside it."""
    for path, text in ((target.with_suffix(".md"), page(result)), (target, json.dumps(result, indent=1) + "\n")):
        with whole_file(path) as file:
            file.write(text.encode())


def written(target: Path = RESULT) -> dict[str, Any]:
    """What a run came to; without one, the claims and what is expected of them."""
    return json.loads(target.read_text(encoding="utf-8")) if target.exists() else as_json(GROUPS)


def main(argv: Sequence[str] | None = None) -> int:
    told = __doc__ or ""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="this claim; may be repeated")
    parser.add_argument(
        "--group", action="append", default=[], metavar="NAME", help=f"these alone: {', '.join(GROUPS)}"
    )
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1, two at least (5)")
    parser.add_argument("--weights", default="refclip-mini", metavar="W", help="as of refclip eval (refclip-mini)")
    parser.add_argument("--root", default=TOY, metavar="FOLDER", help="a data set in MVTec AD's layout (the toy's)")
    parser.add_argument("--object", metavar="NAME", help="what all images show (their category)")
    parser.add_argument("--categories", metavar="NAME[,NAME...]", help="only these (all)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="images encoded at a time (8)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "claims", help="for what is kept (build/claims)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="the data; FILE.md stands beside it")
    parser.add_argument("--page", action="store_true", help="write the page of --out, or of docs/claims.json, anew")
    parser.add_argument("--summary", action="store_true", help="print its table for the README; runs nothing")
    args = parser.parse_args(argv)
    if args.seeds < 2 or args.batch < 1:
        parser.error("--seeds must be 2 or more, as an interval needs a spread; --batch 1 or more")
    if args.out is not None and args.out.suffix != ".json":
        parser.error(f"--out {args.out}: expected a name that ends in .json")
    target = args.out or RESULT
    if args.summary:
        print(summary(written(target)))
        return 0
    if args.page:
        with whole_file(target.with_suffix(".md")) as file:
            file.write(page(written(target)).encode())
        return 0
    try:
        groups = chosen(args.only, args.group)
        clip = weights.load(args.weights)
        wanted = args.categories.split(",") if args.categories else None
        parts = parts_of(args.root, args.seeds, args.folder, wanted)
    except (ValueError, OSError) as error:
        print(f"claims: {error}", file=sys.stderr)
        return 2
    started, ended = progress()
    claims = [claim for some in groups.values() for claim in some]
    try:
        measured = measure(
            clip, claims, parts, args.folder, name=args.object, batch=args.batch, started=started, ended=ended
        )
    except OSError as error:
        print(f"\nclaims: {error}; what is done is kept", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nclaims: stopped; the same command goes on here", file=sys.stderr)
        return 130
    toys = args.root == TOY
    given = shlex.join(["python", "benchmarks/claims.py", *(sys.argv[1:] if argv is None else argv)])
    result = as_json(
        groups, measured, one_set=not toys,
        refclip=__version__, weights=args.weights, digest=fingerprint(clip), seeds=list(range(args.seeds)),
        data=f"refclip's toy benchmark (edition {EDITION})" if toys else parts[0].source.title,
        date=time.strftime("%d %B %Y"), command=given, processors=os.cpu_count(),
    )  # fmt: skip
    if args.out is None and (
        args.only or args.group or args.categories or not toys
    ):  # docs/claims.json is of all there is
        print(page(result))
    else:
        write(result, target)
        print(summary(result))
    for text in measured.failed:
        print(f"claims: {text}", file=sys.stderr)
    return 0 if not measured.failed else 1 if any(measured.records.values()) else 2


if __name__ == "__main__":
    sys.exit(main())
