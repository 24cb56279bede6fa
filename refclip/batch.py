"""Scoring many files: batch by batch, with a progress bar, each output written whole, no image lost to another's fault.

This is what stands behind `refclip score`.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from PIL import Image

from refclip.arguments import MAP, OVERLAY, shown
from refclip.decode import ImageError, read_image
from refclip.files import whole_file
from refclip.methods.contexts import judged_together, score_batches
from refclip.methods.features import join

FATAL = errno.ENOSPC, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", None)  # no other output could be written
BATCH = 8  # images read and scored at a time,
BATCH_PIXELS = 50_000_000  # or fewer, once they hold this many pixels


class Result(NamedTuple):
    """What is answered for one image; the names are the keys in JSON and the columns in a pipe."""

    path: str
    score: float
    map: str | None = None
    overlay: str | None = None


def score_files(
    module: Any,
    state: Any,
    stems: dict[Path, Path | None],
    limits: tuple[float, float] | None,
    show: Callable[[Result], None],
    *,
    references: Any = None,
    bar: bool,
) -> int:
    """Score every image, write what its stem names, show its result. Returns how many images could not be used.

    Without `limits` the overlays wait for the last score: the maps are written, and read again to be drawn, so that
    what is held in memory does not grow with the number of images. (The features of a set that is scored as a whole
    do: see `methods.contexts`.)
    """
    from rich.console import Console  # here: it would take a third of the time of --help
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from refclip.viz import overlay, save_png

    failed = 0
    low, high = limits or (math.inf, -math.inf)
    waiting: list[tuple[Path, Path]] = []
    scores: dict[Path, float] = {}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # redirect_stdout would send to the bar's stderr what is printed to stdout meanwhile
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, disable=not bar
    ) as progress:
        task = progress.add_task("scoring", total=len(stems))

        def fail(message: str) -> None:
            nonlocal failed
            failed += 1
            progress.console.print(f"refclip: {message}", markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)

        def draw(path: Path, image: Image.Image | None, heat: np.ndarray, stem: Path) -> None:
            try:
                image = image or read_image(path)
                drawn = save_png(overlay(image, heat, vmin=low, vmax=high), f"{stem}{OVERLAY}")
            except (ValueError, OSError) as error:  # the image has gone, or has become another, since it was scored
                Path(f"{stem}{MAP}").unlink(missing_ok=True)  # no half of an answer
                if isinstance(error, OSError):
                    unwritten(path, error)
                else:
                    fail(one_line(error))
                return
            show(Result(str(path), scores[path], f"{stem}{MAP}", str(drawn)))
            progress.advance(task)

        def unwritten(path: Path, error: OSError) -> None:
            """What concerns one image's output costs no other's; a full disk does."""
            if error.errno in FATAL:
                raise error
            fail(f"{shown(str(path))}: scored {scores[path]:.6f}, but its output cannot be written or read: {error}")

        for path, image, value, heat in _scored(module, state, list(stems), references, fail):
            stem, scores[path] = stems[path], value
            if stem is None:
                show(Result(str(path), value))
                progress.advance(task)
            else:
                try:
                    with whole_file(f"{stem}{MAP}") as file:
                        np.save(file, heat.astype(np.float32, copy=False))
                except OSError as error:
                    unwritten(path, error)
                    continue
                if limits is not None:
                    draw(path, image, heat, stem)
                else:
                    low, high = min(low, float(np.nanmin(heat))), max(high, float(np.nanmax(heat)))
                    waiting.append((path, stem))
                    progress.advance(task)
        if waiting:
            progress.remove_task(task)
            task = progress.add_task("drawing", total=len(waiting))
        for path, stem in waiting:
            try:
                heat = np.load(f"{stem}{MAP}", allow_pickle=False)
            except (OSError, ValueError) as error:  # it has gone since it was written
                fail(f"{stem}{MAP}: cannot be read again to draw it: {one_line(error)}")
                continue
            draw(path, None, heat, stem)
    if low <= high and any(stems.values()):
        click.echo(f"refclip: the colours of the heat maps go from {low:.3g} to {high:.3g}", err=True)
    return failed


def reference_features(
    module: Any, state: Any, paths: Sequence[Path], shots: int | None, fail: Callable[[str], None]
) -> Any:
    """Features of the first `shots` of normal images that can be used, or of all of them.

    Raises
    ------
    ValueError
        Fewer can be used.
    """
    parts, found = [], 0
    for path in paths:
        if found == shots:
            break
        for batch, features in _extracted(module, state, [path], fail):
            parts.append(features)
            found += len(batch)
    if not parts or (shots is not None and found < shots):
        wanted = "at least 1" if shots is None else f"{shots}, as --shots says"
        raise ValueError(f"--references: {found} of {len(paths)} images can be used, expected {wanted}")
    return join(parts)


def _scored(
    module: Any, state: Any, paths: Sequence[Path], references: Any, fail: Callable[[str], None]
) -> Iterator[tuple[Path, Image.Image | None, float, np.ndarray]]:
    """Path, image, score, and map over the image's own pixels, of all images that can be used, batch by batch.

    Where a set is scored as a whole, its images are not held until then: None stands for each.
    """
    whole = judged_together(module, state.options, references=references is not None)
    taken: list[list[tuple[Path, Image.Image | None]]] = []

    def features() -> Iterator[Any]:
        for batch, part in _extracted(module, state, paths, fail):
            taken.append([(path, None if whole else image) for path, image in batch])
            yield part

    for number, p in score_batches(module, state, features(), references=references):
        for i, (path, image) in enumerate(taken[number]):
            if math.isfinite(p.score[i]):
                yield path, image, float(p.score[i]), p.on_original(i)
            else:
                fail(f"{shown(str(path))}: the score is {p.score[i]}, expected a number; are the weights damaged?")
        taken[number] = []


def _extracted(
    module: Any, state: Any, paths: Sequence[Path], fail: Callable[[str], None]
) -> Iterator[tuple[list[tuple[Path, Image.Image]], Any]]:
    """Images that can be used, batch by batch, with their features."""

    def of(batch: list[tuple[Path, Image.Image]]) -> Iterator[tuple[list[tuple[Path, Image.Image]], Any]]:
        try:
            features = module.extract(state, [image for _, image in batch])
        except ImageError as error:  # a file that can be read and an image that the model cannot take: which one?
            if len(batch) == 1:
                fail(one_line(error).replace("images[0]", shown(str(batch[0][0]))))
            else:
                for one in batch:
                    yield from of([one])
            return
        yield batch, features

    batch: list[tuple[Path, Image.Image]] = []
    for path in paths:
        try:
            batch.append((path, read_image(path)))
        except ImageError as error:
            fail(one_line(error))
        if len(batch) == BATCH or sum(image.width * image.height for _, image in batch) >= BATCH_PIXELS:
            yield from of(batch)
            batch = []
    if batch:
        yield from of(batch)


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return shown(f"{error.filename}: {error.strerror}")
    if isinstance(error, MemoryError):
        return f"out of memory; smaller images need less ({error})"
    return shown(" ".join(str(error).splitlines())) or type(error).__name__
