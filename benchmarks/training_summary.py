"""The tables of `training.py`: medians, ratios, their spread, what was asked for, and what was extrapolated."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.summary import Table

Round = dict[str, dict[str, Any]]  # peer -> its answer
Results = dict[str, list[Round]]  # case -> rounds
EPOCHS = 15  # the paper's


class Line(NamedTuple):
    """One comparison: seconds of both sides in each round."""

    case: str
    peer: str
    theirs: list[float]
    ours: list[float]
    asked: float | None
    apart: str  # how far refclip's results are from those of torch's first process, relative


def lines(results: Results, images: int, batch: int, encoded: int) -> list[Line]:
    """All comparisons that were measured."""
    steps, out = -(-images // batch), []
    encode, step, epoch = (results.get(case, []) for case in ("encode", "step", "epoch"))
    cut = "torch, cut at the same length"
    for name, peer, asked in (("torch-cut", cut, 1.5), ("torch-77", "torch, 77 tokens", 2.5)):
        out += _line("one step", peer, step, name, asked)
    for name, peer, asked in (("torch-cut", f"(b) {cut}", 1.2), ("torch-77", "(b) torch, 77 tokens", None)):
        out += _line(f"epoch of {images}, features kept", peer, epoch, name, asked)
    each = _pairs(encode, "torch", lambda seconds: seconds * images / encoded)  # all images
    if each:
        out.append(Line(f"features of {images}, once", "torch's image tower", *each, None, apart(encode, "refclip")))
    taken, kept = _seconds(step, "torch-77"), _seconds(epoch, "refclip")
    if each and taken and kept:
        # as many rounds as all have; each is its own sum
        theirs = [a + steps * b for a, b in zip(each[0], taken, strict=False)]
        made = [a + b for a, b in zip(each[1], kept, strict=False)]
        peer = "(a) torch, image tower at every step, 77 tokens"
        n = min(len(theirs), len(kept))
        out.append(Line(f"epoch of {images}, features kept", peer, theirs[:n], kept[:n], 20.0, ""))
        out.append(Line("the first epoch, features made in it", "(a)", theirs[: len(made)], made, None, ""))
        whole = [a + EPOCHS * b for a, b in zip(each[1], kept, strict=False)]
        many = [EPOCHS * x for x in theirs[: len(whole)]]
        out.append(Line(f"{EPOCHS} epochs, features made in the first", "(a)", many, whole, None, ""))
    return out


def tables(results: Results, memory: dict[str, dict[str, float]], images: int, batch: int, encoded: int) -> list[Table]:
    """Everything measured so far."""
    rows = []
    for line in lines(results, images, batch, encoded):
        pairs = [a / b for a, b in zip(line.theirs, line.ours, strict=False)]
        rows.append(
            (
                line.case,
                line.peer,
                spelled(statistics.median(line.theirs)),
                spelled(statistics.median(line.ours)),
                f"{statistics.median(line.theirs) / statistics.median(line.ours):.2f}",
                f"{min(pairs):.2f} to {max(pairs):.2f}",
                "" if line.asked is None else f">= {line.asked:g}",
                line.apart,
            )
        )
    head = ("case", "peer", "its time", "refclip's", "ratio", "over the rounds", "asked", "refclip's error")
    return [
        Table("Time (ratio: peer / refclip; above 1 refclip is faster)", head, rows, left=2),
        Table(
            "Memory of a fresh process, MiB, weights included (ratio: to refclip's of the same case; (a): of an epoch)",
            ("process", "peak", "ratio", "peak after loading", "ratio", "its own at the end"),
            [_memory(name, memory) for name in memory],
            left=1,
        ),
    ]


def notes(results: Results, images: int, batch: int, encoded: int) -> list[str]:
    """What a reader must know of the numbers above."""
    out, steps = [], -(-images // batch)
    if results.get("encode"):
        count = len(results["encode"])
        out.append(
            f"the image tower was measured on {_many(encoded, 'image')} a round, {_many(count, 'round')}, and "
            f"extrapolated linearly to {images}; (a) is that and {_many(steps, 'step')} at 77 tokens, measured apart"
        )
        out.append("(a) and torch's features are without decoding and resizing images; refclip's are without decoding")
    before = [found["refclip"]["before"] for found in results.get("epoch", [])]
    if before:
        out.append(
            f"refclip's fit takes {spelled(statistics.median(before))} before and with its first step (digests of "
            "weights and images, masks), once a training and not in an epoch"
        )
    return out


def apart(rounds: list[Round], peer: str) -> str:
    """The largest distance from torch's first results, of each kind."""
    worst: dict[str, float] = {}
    for found in rounds:
        for key, value in found.get(peer, {}).get("apart", {}).items():
            worst[key] = max(worst.get(key, 0.0), value)
    return ", ".join(f"{key} {value:.0e}" for key, value in worst.items())


def spelled(seconds: float) -> str:
    """In the unit that fits: ms below ten seconds, s below ten minutes."""
    if seconds < 10:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _memory(name: str, memory: dict[str, dict[str, float]]) -> tuple[str, ...]:
    peer, _, case = name.partition(", ")
    ours = memory.get(f"refclip, {case}", memory.get("refclip, epoch"))

    def ratio(key: str) -> str:
        return f"{memory[name][key] / ours[key]:.2f}" if ours and peer != "refclip" else ""

    peak, after, own = (f"{memory[name][key]:.0f}" for key in ("peak", "after", "own"))
    return (name, peak, ratio("peak"), after, ratio("after"), own)


def _line(case: str, peer: str, rounds: list[Round], name: str, asked: float | None) -> list[Line]:
    pairs = _pairs(rounds, name)
    return [Line(case, peer, *pairs, asked, apart(rounds, "refclip"))] if pairs else []


def _pairs(
    rounds: list[Round], name: str, of: Callable[[float], float] = lambda seconds: seconds
) -> tuple[list[float], list[float]] | None:
    """Seconds of a peer and of refclip, of the rounds that both were in."""
    both = [(of(x[name]["median"]), of(x["refclip"]["median"])) for x in rounds if {name, "refclip"} <= x.keys()]
    return ([a for a, _ in both], [b for _, b in both]) if both else None


def _seconds(rounds: list[Round], name: str) -> list[float]:
    return [found[name]["median"] for found in rounds if name in found]
