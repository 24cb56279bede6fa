"""Score real photographs, flawless and damaged, and draw where the model sees the damage.

    python examples/demo.py --out demo-output

The photographs lie inside the scikit-image package; nothing is downloaded. How they were chosen: of its pictures,
those that show one surface or one kind of thing, as a camera over a production line would. Scenes (a motorcycle in a
garage, a rocket) were tried with plain discs for defects and left out: neither score nor map of the small model
answered to the discs.

Each gets two defects, one plain to see and one faint, drawn here from a seed into copies. They were chosen for how they
look, not for how they score: what the model misses is shown beside what it finds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont
from rich import box
from rich.console import Console
from rich.table import Table

import refclip
from refclip import viz

SEED = 7
NOTE = (
    "WinCLIP, zero-shot, with refclip-mini: a small model of our own, trained from scratch so that this runs offline, "
    "not the pretrained CLIP of the papers. The first of its six trainings had all of these photographs but the page, "
    "with other defects: judge it by the page, and by its card. The defects were drawn into copies of the photographs "
    "and are outlined; they were chosen for how they look, not for how they score. Noticed: the image's score rose by "
    "0.05 or more. Located: the map's pixel AUROC is 0.8 or more, and at least 0.05 above that of the clean "
    "photograph's map for the same outline, since some places score high without any defect."
)


class Damage(NamedTuple):
    """A damaged copy."""

    image: np.ndarray  # uint8 [H, W, 3]
    mask: np.ndarray  # bool [H, W], where the copy was damaged


# ---------------------------------------------------------------------------------------------------------------------
# Drawing defects: each makes an opacity [H, W] with soft edges and light, and lays it over the photograph
# ---------------------------------------------------------------------------------------------------------------------


def blurred(field: np.ndarray, radius: float) -> np.ndarray:
    """A field [H, W] of numbers 0 to 1, smoothed."""
    image = Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float64) / 255


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Fractal noise [H, W] around 0: four octaves, the coarsest with `cells` cells a side."""
    total = np.zeros(shape)
    for octave in range(4):
        coarse = rng.standard_normal((cells * 2**octave + 1,) * 2).astype(np.float32)
        fine = Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC)
        total += np.asarray(fine) / 2**octave
    return total


def blob(
    rng: np.random.Generator, shape: tuple[int, int], at: tuple[float, float], size: float, rough: float
) -> np.ndarray:
    """Opacity of a ragged spot at (y, x), shares of the picture; `size` is its radius, a share of the short side."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y - at[0] * shape[0], x - at[1] * shape[1]) / (size * min(shape))
    return blurred(np.clip((1 - distance + rough * noise(rng, shape, 5)) * 12, 0, 1), 1.2)


def path(points: np.ndarray, shape: tuple[int, int], width: float) -> np.ndarray:
    """Opacity of a line through points [n, 2] = (y, x) in pixels, smooth at the edges."""
    fine = 4
    canvas = Image.new("L", (shape[1] * fine, shape[0] * fine))
    ends = [(float(x) * fine, float(y) * fine) for y, x in points]
    ImageDraw.Draw(canvas).line(ends, fill=255, width=max(1, round(width * fine)), joint="curve")
    small = canvas.resize(shape[::-1], Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.6))
    return np.asarray(small, np.float64) / 255


def walk(rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float], shape: tuple[int, int],
         wander: float) -> np.ndarray:  # fmt: skip
    """Points [n, 2] of a wandering line between two places given as shares of the picture."""
    n = 40
    ends = np.array([start, end]) * shape
    along = np.linspace(ends[0], ends[1], n)  # [n, 2]
    steps = rng.standard_normal((n, 2)).cumsum(axis=0)
    bridge = steps - np.linspace(steps[0], steps[-1], n)  # both ends stay where they are
    return along + wander * min(shape) * bridge


def lay(photo: np.ndarray, opacity: np.ndarray, colour: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """A colour, or a picture [H, W, 3], over the photograph."""
    return photo + opacity[:, :, None] * (np.asarray(colour, np.float64) - photo)


def relief(height: np.ndarray) -> np.ndarray:
    """Light from the upper left on a surface of this height: -1 to 1."""
    gy, gx = np.gradient(height)
    light = gy + gx
    return light / max(np.abs(light).max(), 1e-9)


def paint(colour: tuple[int, int, int]) -> Callable[..., Damage]:
    """A splash of glossy paint, with drops around it."""

    def draw(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
        shape = photo.shape[:2]
        opacity = blob(rng, shape, at, size, 0.22)
        for _ in range(7):
            turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(1.3, 1.9) * size
            place = (
                at[0] + far * np.sin(turn) * min(shape) / shape[0],
                at[1] + far * np.cos(turn) * min(shape) / shape[1],
            )
            opacity = np.maximum(opacity, blob(rng, shape, place, size * rng.uniform(0.08, 0.2), 0.1))
        gloss = relief(blurred(opacity, 5))
        coat = (
            np.array(colour, np.float64) * (1 + 0.35 * gloss[:, :, None])
            + 90 * np.clip(gloss, 0.45, 1)[:, :, None]
            - 40
        )
        return finished(lay(photo, 0.96 * opacity, coat), opacity)

    return draw


def hole(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
    """A piece broken out: dark and rough inside, a lit edge at the lower right."""
    shape = photo.shape[:2]
    opacity = blob(rng, shape, at, size, 0.3)
    inside = 34 + 14 * noise(rng, shape, 24)
    edge = relief(blurred(opacity, 2))
    out = lay(photo, opacity, np.repeat(inside[:, :, None], 3, axis=2))
    return finished(out - 75 * np.clip(edge, 0, 1)[:, :, None] + 55 * np.clip(-edge, 0, 1)[:, :, None], opacity)


def chip(shift: tuple[int, int]) -> Callable[..., Damage]:
    """A piece of something white broken off: one sees what lies beside it, moved by `shift` pixels (y, x)."""

    def draw(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
        white = np.clip(2 * blurred(photo.min(axis=2) > 90, 1.5), 0, 1)
        opacity = blob(rng, photo.shape[:2], at, size, 0.3) * white
        edge = relief(blurred(opacity, 2)) * white
        out = lay(photo, opacity, np.roll(photo, shift, (0, 1)))
        return finished(out - 60 * np.clip(edge, 0, 1)[:, :, None] + 30 * np.clip(-edge, 0, 1)[:, :, None], opacity)

    return draw


def worn(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
    """A patch where the texture has faded: less contrast, a little lighter."""
    opacity = blob(rng, photo.shape[:2], at, size, 0.3)
    mean = photo.mean(axis=(0, 1))
    return finished(lay(photo, 0.55 * opacity, mean + 28), opacity)


def stain(colour: tuple[int, int, int], strength: float) -> Callable[..., Damage]:
    """A liquid soaked in: the photograph shines through, the rim is darker."""

    def draw(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
        opacity = blob(rng, photo.shape[:2], at, size, 0.25)
        rim = np.clip(opacity - blurred(opacity, 0.05 * size * min(photo.shape[:2]) + 2), 0, 1)
        soaked = photo * (np.array(colour) / 255)
        return finished(lay(photo, np.clip(strength * opacity + 0.5 * strength * rim, 0, 1), soaked), opacity)

    return draw


def crack(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
    """A thin dark line with two branches and a lit lip."""
    shape = photo.shape[:2]
    start, end = (at[0] - size, at[1] - 0.6 * size), (at[0] + size, at[1] + 0.6 * size)
    trunk = walk(rng, start, end, shape, 0.006)
    opacity = path(trunk, shape, 2.2)
    for i in (14, 25):
        root = tuple(trunk[i] / shape)
        tip = root[0] + 0.5 * size * rng.uniform(0.5, 1), root[1] + size * rng.uniform(-0.6, 0.6)
        opacity = np.maximum(opacity, path(walk(rng, root, tip, shape, 0.005), shape, 1.4))
    lip = np.roll(opacity, (1, 1), (0, 1)) * (1 - opacity)
    return finished(
        lay(lay(photo, 0.25 * lip, (235, 235, 235)), 0.8 * opacity, (25, 22, 20)), blurred(opacity, 1.5) * 2
    )


def scratch(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
    """A few thin bright strokes side by side."""
    shape = photo.shape[:2]
    opacity = np.zeros(shape)
    for k in range(3):
        start = at[0] - 0.7 * size + 0.012 * k, at[1] - size + 0.02 * k
        end = at[0] + 0.7 * size * rng.uniform(0.7, 1) + 0.012 * k, at[1] + size * rng.uniform(0.7, 1)
        fade = 0.55 + 0.45 * blurred(np.clip(0.5 + noise(rng, shape, 6), 0, 1), 3)
        opacity = np.maximum(opacity, path(walk(rng, start, end, shape, 0.001), shape, 1.1) * fade)
    return finished(lay(photo, 0.55 * opacity, (240, 240, 238)), blurred(opacity, 1.5) * 2)


def crease(photo: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float) -> Damage:
    """A fold: bright on one side, in shade on the other."""
    shape = photo.shape[:2]
    line = walk(rng, (at[0] - size, at[1] - 0.35), (at[0] + size, at[1] + 0.35), shape, 0.003)
    opacity = path(line, shape, 5)
    light = relief(blurred(opacity, 2))
    return finished(photo - 38 * light[:, :, None], blurred(opacity, 1) * 2)


def finished(out: np.ndarray, opacity: np.ndarray) -> Damage:
    """Back to bytes; what is at least 30% opaque counts as defect."""
    return Damage(np.clip(np.round(out), 0, 255).astype(np.uint8), opacity >= 0.3)


# ---------------------------------------------------------------------------------------------------------------------
# What is shown
# ---------------------------------------------------------------------------------------------------------------------


class Defect(NamedTuple):
    """One defect of an object, where, and how large, as shares of the picture."""

    name: str
    draw: Callable[..., Damage]
    at: tuple[float, float]  # (y, x)
    size: float


class Thing(NamedTuple):
    """A photograph and the two defects of its copies."""

    file: str
    name: str  # what the model is told it is
    plain: Defect
    faint: Defect


THINGS = (
    Thing("brick.png", "brick wall", Defect("hole", hole, (0.45, 0.6), 0.13), Defect("crack", crack, (0.5, 0.4), 0.22)),
    Thing("grass.png", "grass", Defect("paint", paint((225, 225, 218)), (0.4, 0.42), 0.14),
          Defect("worn patch", worn, (0.6, 0.6), 0.2)),
    Thing("gravel.png", "gravel", Defect("oil stain", stain((52, 48, 44), 0.92), (0.58, 0.4), 0.18),
          Defect("damp patch", stain((175, 178, 185), 0.8), (0.4, 0.62), 0.18)),
    Thing("coffee.png", "coffee cup", Defect("broken rim", chip((-15, -150)), (0.17, 0.61), 0.21),
          Defect("scratch", scratch, (0.75, 0.35), 0.13)),
    Thing("coins.png", "coins", Defect("paint", paint((196, 38, 34)), (0.55, 0.55), 0.15),
          Defect("scratch", scratch, (0.45, 0.5), 0.25)),
    Thing("page.png", "page", Defect("ink", stain((28, 30, 66), 0.95), (0.5, 0.62), 0.2),
          Defect("crease", crease, (0.5, 0.5), 0.06)),
)  # fmt: skip


def photograph(file: str) -> np.ndarray:
    """One of the photographs inside the scikit-image package, uint8 RGB [H, W, 3]."""
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("the photographs come with scikit-image: pip install 'refclip[demo]'")
    return np.asarray(refclip.read_image(Path(found.origin).parent / "data" / file).convert("RGB"))


def auroc(score: np.ndarray, defect: np.ndarray) -> float:
    """Chance that a pixel of the defect scores higher than one outside, ties counting half (Mann-Whitney)."""
    values, place, count = np.unique(score.ravel(), return_inverse=True, return_counts=True)
    del values
    rank = (np.cumsum(count) - (count - 1) / 2)[place]  # from 1, ties sharing their mean rank
    inside = defect.ravel()
    n = int(inside.sum())
    return float((rank[inside].sum() - n * (n + 1) / 2) / (n * (inside.size - n)))


def outlined(image: np.ndarray, mask: np.ndarray) -> Image.Image:
    """The photograph with a line around its defect."""
    shape = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
    step = max(3, round(min(mask.shape) / 90) | 1)
    wide = shape.filter(ImageFilter.MaxFilter(2 * step + 1))
    line = ImageChops.subtract(wide.filter(ImageFilter.MaxFilter(step)), wide)
    picture = Image.fromarray(image)
    picture.paste((0, 220, 255), mask=line)
    return picture


class Shown(NamedTuple):
    """One line of the table."""

    thing: Thing
    variant: str
    image: np.ndarray  # uint8 [H, W, 3]
    mask: np.ndarray | None  # bool [H, W]; None for the clean photograph
    heat: np.ndarray  # [H, W]
    score: float
    gain: float  # against the clean photograph's score
    auroc: float  # of the map's pixels against the mask; NaN for the clean photograph
    luck: float  # the same of the clean photograph's map: what the place alone gives
    seconds: float


def verdict(shown: Shown) -> str:
    """What the numbers say: noticed, if the score rises; located, if the map marks the place and did not before."""
    if shown.mask is None:
        return ""
    noticed = shown.gain >= 0.05
    located = shown.auroc >= 0.8 and shown.auroc - shown.luck >= 0.05
    return {(True, True): "noticed, located", (True, False): "noticed", (False, True): "located"}.get(
        (noticed, located), "missed"
    )


def run() -> list[Shown]:
    """Score every photograph and its two damaged copies."""
    clip = refclip.load("refclip-mini")
    results: list[Shown] = []
    for number, thing in enumerate(THINGS):
        detect = refclip.detector("winclip", clip, thing.name)
        photo = photograph(thing.file)
        variants: list[tuple[str, np.ndarray, np.ndarray | None]] = [("clean", photo, None)]
        for k, defect in enumerate((thing.plain, thing.faint)):
            rng = np.random.default_rng([SEED, number, k])
            variants.append((defect.name, *defect.draw(photo.astype(np.float64), rng, defect.at, defect.size)))
        clean_score, clean_heat = 0.0, np.zeros(0)
        for variant, image, mask in variants:
            start = time.perf_counter()
            prediction = detect([image])
            seconds = time.perf_counter() - start
            score, heat = float(prediction.score[0]), prediction.on_original(0)
            if mask is None:
                clean_score, clean_heat = score, heat
                found = luck = float("nan")
            else:
                found, luck = auroc(heat, mask), auroc(clean_heat, mask)
            results.append(Shown(thing, variant, image, mask, heat, score, score - clean_score, found, luck, seconds))
    return results


def contact_sheet(results: list[Shown], low: float, high: float) -> Image.Image:
    """A row for each object: the clean photograph, the plain defect, the faint one, each beside its map."""
    rows = []
    for r in results:
        picture, caption = Image.fromarray(r.image), f"{r.thing.name}, clean: score {r.score:.2f}"
        if r.mask is not None:
            picture = outlined(r.image, r.mask)
            caption = f"{r.variant}: {r.score:.2f}, AUROC {r.auroc:.2f} (clean {r.luck:.2f}): {verdict(r)}"
        rows.append(viz.Row(picture, r.heat, caption))
    sheet = viz.panel(rows, ("photograph", "", "anomaly map"), vmin=low, vmax=high, cell=250, across=3)
    font = ImageFont.load_default(20)
    lines = textwrap.wrap(NOTE, round(sheet.width / font.getlength("n" * 100) * 108))
    canvas = Image.new("RGB", (sheet.width, sheet.height + 28 * len(lines) + 24), viz.PAPER)
    canvas.paste(sheet, (0, 0))
    for i, line in enumerate(lines):
        ImageDraw.Draw(canvas).text((17, sheet.height + 8 + 28 * i), line, viz.INK, font)
    return canvas


def print_table(results: list[Shown], console: Console) -> None:
    """The same in numbers."""
    table = Table(box=box.SIMPLE)
    for head in ("object", "variant", "image\nscore", "pixel\nAUROC", "clean\nmap's", "verdict", "seconds"):
        side = "left" if head in ("object", "variant", "verdict") else "right"
        table.add_column(head, justify=side, no_wrap=True)
    for r in results:
        areas = ["", ""] if r.mask is None else [f"{r.auroc:.2f}", f"{r.luck:.2f}"]
        name = r.thing.name if r.mask is None else ""
        last = r.variant == r.thing.faint.name
        table.add_row(name, r.variant, f"{r.score:.3f}", *areas, verdict(r), f"{r.seconds:.2f}", end_section=last)
    console.print(table)


def main() -> None:
    """Score, write the pictures, print the table."""
    parser = argparse.ArgumentParser(description="Score real photographs, flawless and damaged; draw heat maps.")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for the pictures")
    out: Path = parser.parse_args().out
    console = Console(highlight=False)
    results = run()
    low, high = min(float(r.heat.min()) for r in results), max(float(r.heat.max()) for r in results)
    for r in results:
        name = f"{Path(r.thing.file).stem}-{r.variant.replace(' ', '-')}.png"
        viz.save_png(Image.fromarray(r.image), out / "photos" / name)
        viz.save_png(viz.overlay(r.image, r.heat, vmin=low, vmax=high), out / "maps" / name)
    viz.save_png(contact_sheet(results, low, high), out / "demo.png")

    print_table(results, console)
    damaged = [r for r in results if r.mask is not None]
    missed = [f"{r.thing.name}, {r.variant}" for r in damaged if verdict(r) == "missed"]
    console.print(f"\n{NOTE}\n")
    console.print(f"Missed here: {'; '.join(missed) or 'nothing'}.")
    console.print(f"Look at {out / 'demo.png'}, then try it yourself:", soft_wrap=True, markup=False)
    beside = Path(sys.executable).with_name("refclip")  # inside the environment that `make demo` built
    command = os.path.relpath(beside) if beside.exists() and not shutil.which("refclip") else "refclip"
    hint = f"  {command} score '{out}/photos/gravel*' --object gravel --out '{out}/mine'"
    console.print(hint, soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
