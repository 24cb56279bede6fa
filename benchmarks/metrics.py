"""refclip's metrics beside their peers, on one machine, in one run: `python benchmarks/metrics.py`.

Smooth random maps with defects drawn into some, the same for all. Peers take turns, round by round; the tables give
medians. The published loop of AUPRO is written here plainly, as `refclip.pro.stepped` describes it; it is measured as
published, which labels the regions of every mask again at every threshold, and with the labels kept.

torchmetrics and anomalib take part where they are installed (docs/published.md says how); without, a note says so. The
exit status is 1 if two that should agree do not: a faster wrong answer is none.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from refclip.metrics import aupro, auroc, average_precision, f1_max, pixel_metrics
from refclip.spool import Spool

Timed = dict[str, tuple[list[float], float]]  # name -> seconds of each round, result
ASKED = 20.0  # the published loop's time over the exact AUPRO's
OURS = ("refclip.metrics.aupro, exact", "refclip.metrics.aupro, 200 thresholds")
LOOPS = ("loop over 200 thresholds, labels kept", "loop over 200 thresholds, as published")
# How far results may be apart: float64 sums in another order, or float32 sums over up to millions of points.
APART = {"torchmetrics": 1e-4, "anomalib": 1e-4}


def example(count: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Maps float32 [n, H, W], masks bool [n, H, W]: two of three with one to three defects, found more or less."""
    rng = np.random.default_rng(seed)
    maps = np.stack([gaussian_filter(rng.normal(size=(size, size)), 4) for _ in range(count)])  # as papers smooth
    masks = np.zeros(maps.shape, bool)
    rows, columns = np.mgrid[:size, :size]
    for i in range(count):
        for _ in range(rng.integers(1, 4) if i % 3 else 0):
            y, x = rng.uniform(0, size, 2)
            a, b = rng.uniform(0.02, 0.12, 2) * size
            defect = ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1
            masks[i] |= defect
            maps[i] += gaussian_filter(defect * rng.uniform(0, 0.3), 6)
    return (1 / (1 + np.exp(-5 * maps))).astype(np.float32), masks


def published_loop(maps: np.ndarray, masks: np.ndarray, steps: int = 200, limit: float = 0.3) -> float:
    """AUPRO as the loops of AnomalyCLIP and its relatives take it."""
    step = (maps.max() - maps.min()) / steps
    rates, overlaps = [], []
    for threshold in np.arange(maps.min(), maps.max(), step):
        found = maps > threshold
        shares = []
        for one, mask in zip(found, masks, strict=True):
            for region in regionprops(label(mask)):
                shares.append(one[region.coords[:, 0], region.coords[:, 1]].sum() / region.area)
        overlaps.append(np.mean(shares))
        rates.append((found & ~masks).sum() / (~masks).sum())
    return _stretched(rates, overlaps, limit)


def careful_loop(maps: np.ndarray, masks: np.ndarray, steps: int = 200, limit: float = 0.3) -> float:
    """The same loop by someone who labels the regions once and keeps their scores."""
    regions = [
        one[region.coords[:, 0], region.coords[:, 1]]
        for one, mask in zip(maps, masks, strict=True)
        for region in regionprops(label(mask))
    ]
    normal = maps[~masks]
    rates, overlaps = [], []
    for threshold in np.arange(maps.min(), maps.max(), (maps.max() - maps.min()) / steps):
        overlaps.append(np.mean([(scores > threshold).sum() / scores.size for scores in regions]))
        rates.append((normal > threshold).sum() / normal.size)
    return _stretched(rates, overlaps, limit)


def _stretched(rates: Sequence[float], overlaps: Sequence[float], limit: float) -> float:
    fpr, pro = np.array(rates), np.array(overlaps)
    fpr, pro = fpr[fpr < limit], pro[fpr < limit]
    return float(auc((fpr - fpr.min()) / (fpr.max() - fpr.min()), pro))


def sklearn_f1(scores: np.ndarray, labels: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    both = precision + recall
    return float(np.max(np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)))


def spooled(maps: np.ndarray, masks: np.ndarray) -> float:
    with Spool() as spool:
        for one, mask in zip(maps, masks, strict=True):
            spool.add(one, mask)
        return spool.metrics().aupro


def on_torch(package: str, maps: np.ndarray, masks: np.ndarray) -> dict[str, Callable[[], float]]:
    """What a package that lives on torch has to offer: metric -> call."""
    importlib.import_module(package)  # first, so that its absence is what is reported
    torch: Any = importlib.import_module("torch")
    if package == "torchmetrics":
        peer: Any = importlib.import_module("torchmetrics.functional.classification")
        pair = torch.from_numpy(maps.ravel()), torch.from_numpy(masks.ravel()).int()
        return {
            "AUROC": lambda: float(peer.binary_auroc(*pair)),
            "AP": lambda: float(peer.binary_average_precision(*pair)),
        }
    peer = importlib.import_module("anomalib.metrics.aupro")
    metric = getattr(peer, "_AUPRO", peer.AUPRO)  # the bare one, where there is one around it
    stack = torch.from_numpy(maps), torch.from_numpy(masks).int()
    return {"AUPRO": lambda: float(metric(fpr_limit=0.3)(*stack))}


def optional(maps: np.ndarray, masks: np.ndarray, notes: list[str]) -> dict[str, dict[str, Callable[[], float]]]:
    """Those peers that are installed and work, by metric and name."""
    out: dict[str, dict[str, Callable[[], float]]] = {"AUROC": {}, "AP": {}, "AUPRO": {}}
    for package in ("torchmetrics", "anomalib"):
        try:
            for call in on_torch(package, *example(3, 64)).values():
                call()  # of a peer that fails, say so before the long run
            for metric, call in on_torch(package, maps, masks).items():
                out[metric][package] = call
        except ModuleNotFoundError as error:
            notes.append(f"{package}: " + ("not installed" if error.name == package else f"misses {error.name}"))
        except Exception as error:  # whatever another's code raises
            notes.append(f"{package}: failed: {type(error).__name__}: {error}"[:300])
    return out


def timed(functions: dict[str, Callable[[], float]], rounds: int) -> Timed:
    """All functions in turn, `rounds` times: A B C, A B C, ..."""
    out: Timed = {name: ([], 0.0) for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            value = function()
            out[name][0].append(time.perf_counter() - start)
            out[name] = out[name][0], value
    return out


def table(title: str, result: Timed) -> str:
    """Medians, and how many times as long as the first row each takes."""
    ours = statistics.median(next(iter(result.values()))[0])
    lines = [title, f"  {'':44}{'median ms':>12}{'ratio':>9}{'rounds':>8}{'result':>12}"]
    for name, (seconds, value) in result.items():
        middle = statistics.median(seconds)
        lines.append(f"  {name:44}{1000 * middle:12.1f}{middle / ours:9.1f}{len(seconds):8d}{value:12.8f}")
    return "\n".join(lines)


def disagreements(result: Timed, pairs: dict[str, str]) -> list[str]:
    """Results that are further from those they should equal than rounding explains: name -> name of the other."""
    return [
        f"{name} gives {result[name][1]!r}, but {other} {result[other][1]!r}"
        for name, other in pairs.items()
        if name in result and not abs(result[name][1] - result[other][1]) <= APART.get(name, 1e-12)
    ]


def verdict(result: Timed, ours: str, peer: str, asked: float) -> str:
    """One line: how many times as long the peer takes, beside what was asked."""
    took = statistics.median(result[peer][0]) / statistics.median(result[ours][0])
    return f"{peer}: {took:.1f} times as long as {ours} (asked: more than {asked:g})"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="refclip's metrics beside scikit-learn's and published loops.")
    parser.add_argument("--maps", type=int, default=100, metavar="N", help="how many (100)")
    parser.add_argument("--size", type=int, default=256, metavar="N", help="their side in pixels (256)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="calls of each (5)")
    parser.add_argument("--loops", type=int, default=3, metavar="N", help="calls of the slow ones (3; 0: none)")
    args = parser.parse_args(argv)
    if min(args.maps, args.rounds) < 1 or args.size < 32 or args.loops < 0:
        parser.error("--maps and --rounds must be at least 1, --size at least 32, --loops at least 0")
    maps, masks = example(args.maps, args.size)
    scores, labels = maps.ravel(), masks.ravel()
    print(f"{args.maps} maps of {args.size} x {args.size}, {maps.size:,} pixels, {masks.sum():,} anomalous; ", end="")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "scikit-learn", "scikit-image"))
    print(f"{versions}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d')}\n")
    notes: list[str] = []
    others = optional(maps, masks, notes)
    singles: dict[str, dict[str, Callable[[], float]]] = {
        "AUROC": {
            "refclip.metrics.auroc": lambda: auroc(scores, labels),
            "sklearn roc_auc_score": lambda: float(roc_auc_score(labels, scores)),
        },
        "AP": {
            "refclip.metrics.average_precision": lambda: average_precision(scores, labels),
            "sklearn average_precision_score": lambda: float(average_precision_score(labels, scores)),
        },
        "F1-max": {
            "refclip.metrics.f1_max": lambda: f1_max(scores, labels).value,
            "sklearn precision_recall_curve": lambda: sklearn_f1(scores, labels),
        },
    }
    wrong: list[str] = []
    lines: list[str] = []
    for name, functions in singles.items():
        result = timed(functions | others.get(name, {}), args.rounds)
        print(table(name, result), "\n", flush=True)
        ours, *peers = result
        wrong += disagreements(result, dict.fromkeys(peers, ours))
        lines += [f"{name}: {verdict(result, ours, peer, 1)}" for peer in others.get(name, {})]
    exact = {
        OURS[0]: lambda: aupro(maps, masks),
        OURS[1]: lambda: aupro(maps, masks, thresholds=200),
        "refclip.metrics.pixel_metrics (all four)": lambda: pixel_metrics(maps, masks).aupro,
        "refclip.spool.Spool (all four)": lambda: spooled(maps, masks),
        LOOPS[0]: lambda: careful_loop(maps, masks),
    }
    slow = others["AUPRO"] | {LOOPS[1]: lambda: published_loop(maps, masks)}
    result = timed(exact, args.rounds) | (timed(slow, args.loops) if args.loops else {})
    print(table("AUPRO up to 0.3", result), "\n")
    same = dict.fromkeys((*list(exact)[2:4], *others["AUPRO"]), OURS[0]) | dict.fromkeys(LOOPS, OURS[1])
    wrong += disagreements(result, same)
    if args.loops:
        lines += [f"AUPRO: {verdict(result, OURS[0], peer, 1)}" for peer in others["AUPRO"]]
        lines.append(f"AUPRO: {verdict(result, OURS[0], LOOPS[1], ASKED)}")
    print("\n".join([*lines, *(f"- {note}" for note in notes), *(f"WRONG: {one}" for one in wrong)]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
