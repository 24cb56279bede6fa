"""What refclip-mini can do, and cannot: the figures of the model card, from one command.

    python weights/evaluate_mini.py [--weights W] [--data DIR] [--real NAME=FOLDER ...]

Through the library alone, as a user would: no torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import refclip
from recipe import baselines, captions, state_words
from refclip import metrics, toy
from refclip.clip import CLIP, encode_image, encode_text, encode_tokens
from refclip.methods import winclip
from refclip.nn import normalize, softmax
from refclip.prediction import predict
from refclip.preprocess import preprocess, to_original
from refclip.prompts import WINCLIP_STATES, WINCLIP_TEMPLATES_A, States, compose
from refclip.statistics import bootstrap, paired_interval
from refclip.transformer import Dual
from refclip.zeroshot import prototypes

SEEDS = 5


class Figures(NamedTuple):
    """Of one category, or the mean over several."""

    image_auroc: float
    pixel_auroc: float
    aupro: float


class Maps(NamedTuple):
    """What a detector says of a test split, with the truth."""

    score: np.ndarray  # [b]
    maps: list[np.ndarray]  # b of [H, W], over the original pixels
    labels: np.ndarray  # [b] bool
    masks: list[np.ndarray]  # b of [H, W] bool


def figures(found: Maps) -> Figures:
    """Image AUROC, pixel AUROC, and AUPRO up to 0.3, of one category."""
    pixels = metrics.pixel_metrics(found.maps, found.masks)
    return Figures(metrics.auroc(found.score, found.labels), pixels.auroc, pixels.aupro)


def mean(rows: Sequence[Figures]) -> Figures:
    """Mean over categories, as the papers' tables give it."""
    return Figures(*np.mean(rows, axis=0).tolist())


def run(clip: CLIP, name: str, shots: Sequence[toy.Shot], **options: Any) -> Maps:
    """WinCLIP, zero-shot, on a test split."""
    state = winclip.prepare(clip, name, **options)
    answer = winclip.score(state, winclip.extract(state, [shot.image for shot in shots]))
    maps = [answer.on_original(i) for i in range(len(shots))]
    return Maps(answer.score, maps, np.array([s.label for s in shots], bool), [s.mask for s in shots])


def baseline(of: Callable[[np.ndarray], np.ndarray], shots: Sequence[toy.Shot]) -> Maps:
    """One of `baselines`; its score for the image is its map's mean, for want of a better one."""
    maps = [of(shot.image) for shot in shots]
    score = np.array([m.mean() for m in maps])
    return Maps(score, maps, np.array([s.label for s in shots], bool), [s.mask for s in shots])


def only(found: Maps, keep: np.ndarray) -> Maps:
    """Part of the images."""
    ids = np.flatnonzero(keep)
    return Maps(found.score[ids], [found.maps[i] for i in ids], found.labels[ids], [found.masks[i] for i in ids])


class Test(NamedTuple):
    """A test split, and what it shows."""

    name: str  # as a folder: "metal_nut"
    words: str  # in a prompt: "metal nut"
    shots: Sequence[toy.Shot]


def on_toy(clip: CLIP, seed: int = 0, busy: bool = False) -> dict[str, Any]:
    """WinCLIP beside the baselines, per category and mean, and for the kinds of defect that training never drew."""
    tests = [Test(c.name, c.words, c.test) for c in toy.toy(seed, busy=busy).categories]
    return beside_baselines(clip, tests, {"unseen defects": True, "known defects": False})


def on_folder(clip: CLIP, root: Path) -> dict[str, Any]:
    """The same of a benchmark on disk: a folder in MVTec AD's layout for each category, named as prompts call it."""
    tests = []
    for folder in sorted(p for p in root.iterdir() if (p / "test").is_dir()):
        shots, masked = _shots(folder, ("test",))
        if not masked:
            raise ValueError(f"{folder}: has no ground_truth/; expected masks, from which the pixel figures come")
        tests.append(Test(folder.name, folder.name.replace("_", " "), shots))
    if not tests:
        raise ValueError(f"{root}: found no CATEGORY/test/; expected a folder in MVTec AD's layout for each category")
    return beside_baselines(clip, tests, {})


def beside_baselines(clip: CLIP, tests: Sequence[Test], parts: dict[str, bool]) -> dict[str, Any]:
    """WinCLIP and each baseline, by category and mean; WinCLIP by kind of defect, and on parts of the defects.

    `parts` names a part and says whether it holds the kinds of `toy.UNSEEN_DEFECTS` or the others.
    """
    rows: dict[str, dict[str, Figures]] = {name: {} for name in ("winclip", *parts, *baselines.BASELINES)}
    kinds: dict[str, list[Figures]] = {}
    for test in tests:
        found = run(clip, test.words, test.shots)
        kind = np.array([shot.defect for shot in test.shots])
        good, unseen = kind == "good", np.isin(kind, toy.UNSEEN_DEFECTS)
        rows["winclip"][test.name] = figures(found)
        for part, holds in parts.items():
            rows[part][test.name] = figures(only(found, good | (unseen == holds)))
        for one in dict.fromkeys(kind[~good].tolist()):
            kinds.setdefault(one, []).append(figures(only(found, good | (kind == one))))
        for name, of in baselines.BASELINES.items():
            rows[name][test.name] = figures(baseline(of, test.shots))
    return {
        "rows": {name: {c: f._asdict() for c, f in by.items()} | {"mean": mean(list(by.values()))._asdict()}
                 for name, by in rows.items()},
        "kinds": {kind: mean(by)._asdict() for kind, by in sorted(kinds.items())},
    }  # fmt: skip


VARIANTS = ("q-k", "q-q", "k-k", "v-v")


def patch_maps(clip: CLIP, name: str, images: Sequence[np.ndarray], variant: str) -> list[np.ndarray]:
    """The map of the last block's patch tokens under another attention, over the original pixels.

    q-k is the tower as it is; the others run AnomalyCLIP's dual path from the first block (its section 3.3), as
    Dual-Image Enhanced CLIP's and AnoCLIP's figures do.
    """
    state = winclip.prepare(clip, name)
    pixels, geometry = preprocess(list(images), clip.preprocess)
    last = len(clip.vision.transformer.blocks)
    dual = None if variant == "q-k" else Dual(variant, 0)
    tokens = encode_tokens(clip, pixels, layers=[last], dual=dual, normalize=True).patches[last]  # [b, g, e]
    p = softmax(tokens @ normalize(state.text).T / 0.07)[..., 1]  # [b, g]
    side = clip.vision.image_size // clip.vision.patch_size
    answer = predict(p.max(1), p.reshape(len(p), side, side), geometry)
    return [to_original(answer.map[i], answer.geometry[i]) for i in range(len(images))]


def attention_variants(clip: CLIP, seeds: int = SEEDS) -> dict[str, Any]:
    """Pixel AUROC and AUPRO of patch maps on `toy()`, each attention on the same seeds, and v-v minus q-k."""
    values: dict[str, list[tuple[float, float]]] = {variant: [] for variant in VARIANTS}
    for seed in range(seeds):
        categories = toy.toy(seed).categories
        for variant in VARIANTS:
            each = []
            for c in categories:
                maps = patch_maps(clip, c.words, [s.image for s in c.test], variant)
                found = metrics.pixel_metrics(maps, [s.mask for s in c.test])
                each.append((found.auroc, found.aupro))
            values[variant].append(tuple(np.mean(each, axis=0).tolist()))
    difference = np.array(values["v-v"]) - np.array(values["q-k"])
    return {
        "values": values,
        "v-v minus q-k, pixel AUROC": paired_interval(difference[:, 0])._asdict(),
        "v-v minus q-k, AUPRO": paired_interval(difference[:, 1])._asdict(),
    }


def real(clip: CLIP, folder: Path, name: str) -> dict[str, Any]:
    """A folder in MVTec AD's layout, train/good among the good ones: image AUROC with its bootstrap interval.

    A set without ground_truth has labels of images only; its pixel figures are None.
    """
    shots, masked = _shots(folder)
    found = run(clip, name, shots)
    interval = bootstrap(
        lambda i: metrics.auroc(found.score[i], found.labels[i]), found.labels, np.random.default_rng(0)
    )
    rows = {of: _real_figures(baseline(fn, shots), masked) for of, fn in baselines.BASELINES.items()}
    return {"good": int((~found.labels).sum()), "damaged": int(found.labels.sum()),
            "winclip": _real_figures(found, masked), "image AUROC": interval._asdict(), "baselines": rows}  # fmt: skip


def _real_figures(found: Maps, masked: bool) -> dict[str, float | None]:
    if masked:
        return figures(found)._asdict()
    return {"image_auroc": metrics.auroc(found.score, found.labels), "pixel_auroc": None, "aupro": None}


def _shots(folder: Path, splits: Sequence[str] = ("train", "test")) -> tuple[list[toy.Shot], bool]:
    """Every picture of some splits of a set, and whether the set has masks; where it has none, those here are empty."""
    masked = (folder / "ground_truth").is_dir()
    shots = []
    for split in splits:
        for path in sorted((folder / split).glob("*/*.*")):
            image = np.asarray(refclip.read_image(path).convert("RGB"))
            defect = path.parent.name
            mask = np.zeros(image.shape[:2], bool)
            if masked and defect != "good":
                of = folder / "ground_truth" / defect / f"{path.stem}_mask.png"
                mask = np.asarray(refclip.read_image(of).convert("L")) > 127
            shots.append(toy.Shot(image, int(defect != "good"), defect, mask))
    if not shots:
        raise ValueError(
            f"{folder}: found no images in {' or '.join(f'{s}/*/' for s in splits)}; expected MVTec AD's layout"
        )
    return shots, masked


def held_out_pictures(clip: CLIP, data: Path, names: int = 100, seed: int = 0) -> dict[str, Any]:
    """Which of 100 names a picture is of: names seen in training, in an art style whose picture was not."""
    rng = np.random.default_rng(seed)
    with np.load(data / "things.npz", allow_pickle=False) as file:
        split, name, pixels = file["split"], file["name"], file["pixels"]
    out = {}
    for which in ("held-out picture", "held-out name"):
        ids = np.flatnonzero(split == which)
        _, first = np.unique(name[ids], return_index=True)
        ids = rng.permutation(ids[np.sort(first)])[:names]
        images = [_on_grey(pixels[i]) for i in ids]
        x = encode_image(clip, preprocess(images, clip.preprocess)[0], normalize=True)
        texts = [normalize(encode_text(clip, [t.replace("{}", str(name[i])) for t in _TEMPLATES], normalize=True)
                           .mean(0)) for i in ids]  # fmt: skip
        ranks = (np.argsort(-(x @ np.stack(texts).T), axis=1) == np.arange(len(ids))[:, None]).argmax(1)
        out[which] = {"names": len(ids), "top-1": float((ranks < 1).mean()), "top-5": float((ranks < 5).mean()),
                      "chance of top-5": 5 / len(ids)}  # fmt: skip
    return out


_TEMPLATES = ("a photo of a {}.", "a rendering of a {}.", "a drawing of the {}.", "a {}")


def _on_grey(cut: np.ndarray) -> np.ndarray:
    alpha = cut[..., 3:] / np.float32(255)
    return np.pad((cut[..., :3] * alpha + 190 * (1 - alpha)).astype(np.uint8), ((10, 10), (10, 10), (0, 0)),
                  constant_values=190)  # fmt: skip


def held_out_words(clip: CLIP, seed: int = 0) -> dict[str, Any]:
    """WinCLIP on `toy()` with state words and templates that training never saw."""
    rows = [
        figures(run(clip, c.words, c.test, states=captions.HELD_STATES, templates=captions.HELD_TEMPLATES))
        for c in toy.toy(seed).categories
    ]
    return mean(rows)._asdict()


# Words of the recipe's kinds of defect; words that it asks for; words that say nothing of a state
TRIED = ("cracked {}", "stained {}", "{} with a hole", "bent {}", "ruined {}", "{} that is not intact", "violet {}")


def wordings(clip: CLIP, words: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Where wordings lie from WinCLIP's prototype of the flawless, -1, to that of the damaged, +1.

    The mean over the names of `toy(seed)`. A wording beside the line between the two lies where its foot does.
    """
    found: dict[str, list[float]] = {word: [] for word in words}
    for category in toy.toy(seed).categories:
        flawless, damaged = prototypes(clip, compose(category.words, WINCLIP_STATES, WINCLIP_TEMPLATES_A))
        middle, half = (flawless + damaged) / 2, (damaged - flawless) / 2
        for word in words:
            own = prototypes(clip, compose(category.words, States((word,), (word,)), WINCLIP_TEMPLATES_A))[0]
            found[word].append(float((own - middle) @ half / (half @ half)))
    return {word: float(np.mean(places)) for word, places in found.items()}


def report(
    weights: Path,
    data: Path | None,
    folders: dict[str, Path] | None = None,
    benchmarks: Sequence[Path] = (),
) -> dict[str, Any]:
    """What the model card tells, but for what it says is from elsewhere.

    Parameters
    ----------
    weights : Path
        A .safetensors file with its .json beside it.
    data : Path or None
        The folder of `fetch.prepare`, for the held-out pictures; None leaves these out.
    folders : dict of str to Path
        Name of the thing, as prompts call it, to a folder in MVTec AD's layout.
    benchmarks : sequence of Path
        Folders that hold such a folder for each category, with masks, for `on_folder`.
    """
    clip = refclip.load(weights)
    out: dict[str, Any] = {"logit scale": float(clip.logit_scale)}
    out |= {"toy": on_toy(clip), "busy toy": on_toy(clip, busy=True)}
    out["held-out words"] = held_out_words(clip)
    held = (f"{word} {{}}" for words in state_words.HELD.values() for word in words)
    papers = (*captions.HELD_STATES.normal, *captions.HELD_STATES.abnormal)
    out["wordings"] = wordings(clip, (*TRIED, *papers, *held))
    out["attention"] = attention_variants(clip)
    if data is not None:
        out["pictures"] = held_out_pictures(clip, data)
    out["real"] = {name: real(clip, folder, name) for name, folder in (folders or {}).items()}
    out["benchmarks"] = {str(root): on_folder(clip, root) for root in benchmarks}
    return out


def table(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = []
    for which, call in (("toy", "toy()"), ("busy toy", "toy(busy=True)")):
        lines += [*_table_beside_baselines(found[which], call), ""]
        if which == "toy":
            lines.insert(-1, _row("winclip, held-out wordings", found["held-out words"]))
    lines += ["| wording | flawless -1, damaged +1 |", "|---|---|"]
    lines += [f"| {word.replace('{}', '...')} | {place:+.2f} |" for word, place in found["wordings"].items()]
    lines += ["", "| patch maps on toy(), 5 seeds | pixel AUROC | AUPRO |", "|---|---|---|"]
    for name, values in found["attention"]["values"].items():
        auroc, pro = np.mean(values, axis=0)
        lines.append(f"| {name} | {auroc:.3f} | {pro:.3f} |")
    for what in ("pixel AUROC", "AUPRO"):
        i = found["attention"][f"v-v minus q-k, {what}"]
        lines.append(f"| v-v minus q-k, {what} | {i['value']:+.3f} ({i['low']:+.3f} to {i['high']:+.3f}) | |")
    if "pictures" in found:
        lines += ["", "| pictures | names | top-1 | top-5 | chance |", "|---|---|---|---|---|"]
        lines += [f"| {k} | {v['names']} | {v['top-1']:.2f} | {v['top-5']:.2f} | {v['chance of top-5']:.2f} |"
                  for k, v in found["pictures"].items()]  # fmt: skip
    for name, benchmark in found["benchmarks"].items():
        lines += ["", *_table_beside_baselines(benchmark, name)]
    return "\n".join(lines + _real_table(found["real"]))


def _table_beside_baselines(found: dict[str, Any], where: str) -> list[str]:
    """Lines on one benchmark, from `beside_baselines`: means first, then WinCLIP by category and by kind of defect."""
    rows = found["rows"]
    lines = [f"| zero-shot on {where} | image AUROC | pixel AUROC | AUPRO |", "|---|---|---|---|"]
    lines += [_row(f"**{name}**, mean", by["mean"]) for name, by in rows.items()]
    lines += [_row(f"winclip: {name}", f) for name, f in rows["winclip"].items() if name != "mean"]
    return lines + [_row(f"winclip: {kind}", f) for kind, f in found["kinds"].items()]


def _row(name: str, f: dict[str, float]) -> str:
    return f"| {name} | {f['image_auroc']:.3f} | {f['pixel_auroc']:.3f} | {f['aupro']:.3f} |"


def _real_table(found: dict[str, Any]) -> list[str]:
    """Lines on the real sets: WinCLIP beside the best of the baselines, image by image and pixel by pixel."""
    if not found:
        return []
    lines = ["", "| real photographs | good / damaged | image AUROC (95%) | best baseline | pixel AUROC | AUPRO "
             "| best baseline |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, r in found.items():
        i, f = r["image AUROC"], r["winclip"]
        best = [_best([b[what] for b in r["baselines"].values()]) for what in ("image_auroc", "pixel_auroc")]
        interval = f"{i['value']:.3f} ({i['low']:.3f} to {i['high']:.3f})"
        pixels = f"{_shown(f['pixel_auroc'])} | {_shown(f['aupro'])} | {_shown(best[1])}"
        lines.append(f"| {name} | {r['good']} / {r['damaged']} | {interval} | {_shown(best[0])} | {pixels} |")
    return lines


def _best(values: Sequence[float | None]) -> float | None:
    """The largest, or None where the set has no masks."""
    return max((v for v in values if v is not None), default=None)


def _shown(value: float | None) -> str:
    return "no masks" if value is None else f"{value:.3f}"
