"""Heat maps over the original pictures, contact sheets, and saving them whole or not at all.

Only NumPy and Pillow; all arrays are on the host. A picture keeps its size to the pixel: what explains it (the scale,
the captions) stands beside it. The scale is always given, never taken from one map: a map stretched to its own range
shows a flawless picture as bright as a broken one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from refclip.colours import Paint
from refclip.colours import paint as make_paint
from refclip.files import whole_file

BACKDROP = (30, 190)  # black and white of the picture under the colours; at full contrast, bright parts pass for scores
STRIPES = (150, 215)  # greys over pixels without a score
PAPER, INK, NO_MASK = (255, 255, 255), (25, 25, 25), (232, 232, 232)


class Row(NamedTuple):
    """One picture of a `panel`."""

    image: Any  # PIL image, or uint8 [H, W, 3] or [H, W]
    map: np.ndarray  # [H, W]; NaN where the model saw nothing
    caption: str = ""
    mask: Any = None  # [H, W], the true defect: bool, or any number above 0


def overlay(
    image: Any,
    map: np.ndarray,
    *,
    vmin: float,
    vmax: float,
    alpha: float = 0.75,
    colours: ArrayLike = "inferno",
    bar: bool = True,
) -> Image.Image:
    """Lay a map of scores over its picture.

    Parameters
    ----------
    image : PIL image or uint8 array [H, W, 3] or [H, W]
        Shown in grey, so that every colour is a score.
    map : array [H, W]
        Scores at the picture's own size (`refclip.preprocess.to_original` brings them there). NaN says that the model
        saw nothing of a pixel: striped in grey.
    vmin, vmax : float
        The scores at the two ends of the colours. Scores outside get the end's colour, and that end of the bar a point.
    alpha : float
        How much of the colour covers the picture at the top of the scale, 0 to 1. At the bottom it is 0.6 of that: the
        picture shows best where nothing is wrong. A higher score still looks lighter, on bright parts and on dark ones.
    colours : str or array [n, 3]
        A name in `COLOURS`, or colours of one's own, 0 to 255, spread evenly over the scale.
    bar : bool
        Whether to draw the scale to the right of the picture.

    Returns
    -------
    PIL.Image.Image
        RGB. The picture is its part from (0, 0) to (W, H) exactly; without the bar, all of it.

    Raises
    ------
    TypeError, ValueError
        The picture, the map or the scale cannot be drawn; the text says what was found and what was expected.
    """
    picture, scores, paint = _rgb(image, "image"), _scores(map, "map"), make_paint(vmin, vmax, alpha, colours)
    drawn = _blend(picture, scores, paint, "map")
    if not bar:
        return drawn
    font = max(12, round(0.03 * (drawn.width * drawn.height) ** 0.5))  # pixels, growing with the picture
    scale = _bar(drawn.height, font, paint, [scores])
    canvas = Image.new("RGB", (drawn.width + scale.width, max(drawn.height, scale.height)), PAPER)
    canvas.paste(drawn, (0, 0))
    canvas.paste(scale, (drawn.width, 0))
    return canvas


def panel(
    rows: Sequence[Row],
    titles: Sequence[str] = ("picture", "true defect", "anomaly map"),
    *,
    vmin: float | None = None,
    vmax: float | None = None,
    cell: int = 256,
    across: int = 1,
    alpha: float = 0.75,
    colours: ArrayLike = "inferno",
) -> Image.Image:
    """Draw a contact sheet: each picture, its mask if any row has one, and its map, all on one scale.

    Parameters
    ----------
    rows : sequence of Row
    titles : three strings
        Over the columns; the second is used only where there are masks.
    vmin, vmax : float, optional
        Ends of the scale. By default the least and the greatest score of all the rows together.
    cell : int
        Longer side of each picture, in pixels; enlarged pixels stay squares, so that the sheet invents no detail.
    across : int
        How many rows stand side by side.
    alpha, colours
        As in `overlay`.
    """
    if not rows or cell < 16 or across < 1 or len(titles) != 3:
        found = f"{len(rows)} rows, cell {cell}, across {across}, {len(titles)} titles"
        raise ValueError(f"found {found}; expected 1 row or more, cell 16 or more, across 1 or more, and 3 titles")
    maps = [_scores(row.map, f"rows[{i}].map") for i, row in enumerate(rows)]
    seen = np.concatenate([[0.0], *(m[~np.isnan(m)] for m in maps)])[1:]  # the 0 gives an empty list its type
    seen = seen if seen.size else np.zeros(1)
    vmin, vmax = float(seen.min()) if vmin is None else vmin, float(seen.max()) if vmax is None else vmax
    paint = make_paint(vmin, vmax, alpha, colours)
    masked = any(row.mask is not None for row in rows)
    heads = list(titles) if masked else [titles[0], titles[2]]
    font = max(12, cell // 14)
    gap = font // 2
    sheets = []
    for i, (row, scores) in enumerate(zip(rows, maps, strict=True)):
        picture = _rgb(row.image, f"rows[{i}].image")
        cells = [_fitted(picture, cell), _fitted(_blend(picture, scores, paint, f"rows[{i}].map"), cell)]
        sheets.append([cells[0], _mask(row, cell, font, f"rows[{i}].mask"), cells[1]] if masked else cells)

    pitch = len(heads) * (cell + gap) + 2 * font  # from a row to the one at its right
    lines = [range(i, min(i + across, len(rows))) for i in range(0, len(rows), across)]
    heights = [max(sheets[i][0].height for i in line) + 3 * font for line in lines]  # a caption under each
    scale = _bar(sum(heights), font, paint, maps)
    y = top = 2 * font + gap
    width = font + len(lines[0]) * pitch - font - gap + scale.width
    canvas = Image.new("RGB", (width, top + max(sum(heights), scale.height)), PAPER)
    canvas.paste(scale, (width - scale.width, top))
    draw = ImageDraw.Draw(canvas)
    for line, height in zip(lines, heights, strict=True):
        for i, x in zip(line, range(font, width, pitch), strict=False):
            for content, head, left in zip(sheets[i], heads, range(x, width, cell + gap), strict=False):
                canvas.paste(content, (left + (cell - content.width) // 2, y))
                if y == top:
                    draw.text((left + cell / 2, top - gap), head, INK, _font(font), "ms")
            caption = _cut(rows[i].caption, pitch - 2 * font, font)
            draw.text((x, y + sheets[i][0].height + gap), caption, INK, _font(font), "lt")
        y += height
    return canvas


def save_png(image: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write a PNG file whole or not at all, and make its folder. Returns the path.

    The file is written under another name in the same folder and then renamed, so no reader sees half of it.

    Raises
    ------
    ValueError
        The path does not end in .png.
    OSError
        The folder or the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: found suffix {path.suffix!r}, expected .png; name the file so")
    with whole_file(path) as file:
        image.save(file, "PNG")
    return path


def _blend(picture: Image.Image, scores: np.ndarray, paint: Paint, name: str) -> Image.Image:
    if scores.shape != (picture.height, picture.width):
        raise ValueError(
            f"{name} has shape {list(scores.shape)}, its picture [{picture.height}, {picture.width}] (rows, columns); "
            "expected the same: refclip.preprocess.to_original brings a map to its picture's size"
        )
    grey, unseen = picture.convert("L"), np.isnan(scores)
    black, white = BACKDROP
    dim = grey.point([black + (white - black) * v // 255 for v in range(256)]).convert("RGB")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a scale without extent; a score far outside
        levels = np.where(scores > paint.vmin, np.clip((scores - paint.vmin) / (paint.vmax - paint.vmin), 0, 1), 0)
    levels = np.round(255 * levels).astype(np.uint8)  # [H, W], row of the table; 0 for NaN, which is drawn over
    drawn = Image.composite(Image.fromarray(paint.table[levels]), dim, Image.fromarray(paint.cover[levels]))
    if unseen.any():
        striped = Image.blend(grey.convert("RGB"), _stripes(picture.size, max(6, min(picture.size) // 24)), 0.7)
        drawn.paste(striped, mask=Image.fromarray(np.where(unseen, 255, 0).astype(np.uint8)))
    return drawn


def _stripes(size: tuple[int, int], period: int) -> Image.Image:
    y, x = np.ogrid[: size[1], : size[0]]
    return Image.fromarray(np.where((x + y) % period < period / 2, *STRIPES).astype(np.uint8)).convert("RGB")


def _bar(height: int, font: int, paint: Paint, maps: Sequence[np.ndarray]) -> Image.Image:
    """Draw the scale as a column at least `height` tall: colours, numbers, and what the stripes mean."""
    below, above = any((m < paint.vmin).any() for m in maps), any((m > paint.vmax).any() for m in maps)
    unseen = any(np.isnan(m).any() for m in maps)
    numbers, label, stripes, half = _numbers(paint.vmin, paint.vmax), "anomaly score", "not seen", font // 2
    foot = 2 * font if unseen else 0
    height = max(height, _width(label, font) + 3 * font + foot)
    left, right, top, bottom = font, 2 * font, font * (1 + above), height - font * (1 + below) - foot
    beside = right + half + max(_width(number, font) for number in numbers) + half  # where the label stands
    width = max(beside + font + half, right + half + _width(stripes, font) + half if unseen else 0)
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    # as the scores look on a picture of middling brightness, so that the colours can be compared
    cover = paint.cover[:, None] / 255
    table = np.round(cover * paint.table + (1 - cover) * sum(BACKDROP) / 2).astype(np.uint8)
    ramp = np.linspace(255 * (paint.vmin < paint.vmax), 0, bottom - top).round().astype(int)  # one score: one colour
    canvas.paste(Image.fromarray(np.repeat(table[ramp][:, None], font, axis=1)), (left, top))
    for there, end, tip, colour in ((above, top, -font, table[255]), (below, bottom, font, table[0])):
        if there:
            corners = [(left, end), (right - 1, end), ((left + right - 1) / 2, end + 0.8 * tip)]
            draw.polygon(corners, tuple(int(c) for c in colour))
    for k, number in enumerate(numbers):
        share = k / (len(numbers) - 1) if len(numbers) > 1 else 0.5
        draw.text((right + half, bottom - share * (bottom - top)), number, INK, _font(font), "lm")
    if unseen:
        canvas.paste(_stripes((font, font), max(4, font // 3)), (left, height - foot))
        draw.text((right + half, height - foot + half), stripes, INK, _font(font), "lm")
    upright = Image.new("RGB", (_width(label, font), font + half), PAPER)
    ImageDraw.Draw(upright).text((0, font), label, INK, _font(font), "ls")
    canvas.paste(upright.rotate(90, expand=True), (beside, (top + bottom - upright.width) // 2))
    return canvas


def _numbers(vmin: float, vmax: float) -> list[str]:
    """Write the ends and the middle of the scale, with as many digits as tell them apart, at least three."""
    if vmin == vmax:
        return [f"{vmin:.3g}"]
    texts = ([f"{v:.{digits}g}" for v in (vmin, vmin / 2 + vmax / 2, vmax)] for digits in range(3, 18))
    return next((t for t in texts if len(set(t)) == 3), [f"{vmin:.17g}", f"{vmax:.17g}"])  # neighbours have no middle


def _fitted(content: Image.Image, cell: int) -> Image.Image:
    factor = cell / max(content.size)
    size = (max(1, round(content.width * factor)), max(1, round(content.height * factor)))
    return content.resize(size, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST)


def _mask(row: Row, cell: int, font: int, name: str) -> Image.Image:
    shape = np.shape(row.map)
    if row.mask is None:
        blank = _fitted(Image.new("RGB", shape[::-1], NO_MASK), cell)
        ImageDraw.Draw(blank).text((blank.width / 2, blank.height / 2), "no mask", INK, _font(font), "mm")
        return blank
    values = np.asarray(row.mask)
    if values.shape != shape:
        raise ValueError(
            f"{name} has shape {list(values.shape)}; expected {list(shape)}, the picture's rows and columns"
        )
    return _fitted(Image.fromarray(np.where(values > 0, 255, 0).astype(np.uint8)).convert("RGB"), cell)


def _rgb(image: Any, name: str) -> Image.Image:
    array = isinstance(image, np.ndarray)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size and image.ndim > 1:
        image = Image.fromarray(image) if image.shape[2:] in ((), (3,)) else image
    if isinstance(image, Image.Image):
        image = image.copy()
        image.info.pop("transparency", None)  # no colour depends on it; Pillow warns that RGB cannot keep it
        return image.convert("RGB")
    found = f"{image.dtype} {list(image.shape)}" if array else type(image).__name__
    raise TypeError(f"{name} is {found}; expected a PIL image or a uint8 array [H, W, 3] or [H, W]")


def _scores(map: Any, name: str) -> np.ndarray:
    scores = np.asarray(map)
    if scores.ndim != 2 or scores.dtype.kind not in "fiub":
        raise TypeError(f"{name} is {scores.dtype} {list(scores.shape)}; expected numbers [H, W], one map at a time")
    scores = scores.astype(np.float64)
    if infinite := int(np.isinf(scores).sum()):
        raise ValueError(
            f"{name} holds {infinite} infinite scores; expected finite ones, or NaN where nothing was seen"
        )
    return scores


@lru_cache(maxsize=32)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _width(text: str, font: int) -> int:
    return int(np.ceil(_font(font).getlength(text)))


def _cut(text: str, width: int, font: int) -> str:
    """Shorten a text with dots if it is wider than `width` pixels."""
    if _width(text, font) <= width:
        return text
    while text and _width(text + "...", font) > width:
        text = text[:-1]
    return text + "..."
