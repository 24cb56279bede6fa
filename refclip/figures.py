"""Figures for explaining: one look, safe for the colour-blind, readable from the back of a room.

`viz` lays a method's map over its picture with Pillow alone; this is for what a lecture draws beside that: matrices of
attention, curves, small grids of pictures. Matplotlib is imported here only. Every heat map comes with its scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's, "Color Universal Design" (2008), in an order whose neighbours also differ in lightness
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "sky": "#56B4E9",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "black": "#000000",
}
SCORES, SIGNED = "inferno", "PuOr"  # even in lightness; two ends that no colour-blindness confuses


def use_style() -> None:
    """Set matplotlib's defaults, for the whole process: letters of 13 points, few lines, these colours."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "font.size": 13,
            "axes.titlesize": 13,
            "axes.labelsize": 13,
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
            "legend.fontsize": 12,
            "legend.frameon": False,
            "legend.loc": "upper right",  # "best" is searched for, slowly, and moves when the data do
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=list(COLOURS.values())),
            "lines.linewidth": 2.2,
            "figure.constrained_layout.use": True,
            "figure.dpi": 80,
            "image.interpolation": "nearest",  # an enlarged patch stays a square: nothing is invented
            "image.cmap": SCORES,
            "savefig.facecolor": "white",
        }
    )


def axes(rows: int = 1, columns: int = 1, *, width: float = 12, height: float = 4) -> tuple[Figure, Any]:
    """A figure in inches, and its axes: one, or an array [columns] or [rows, columns]."""
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height))


def picture(ax: Axes, image: ArrayLike, title: str = "") -> None:
    """Show an image, uint8 [H, W, 3] or grey [H, W], without ticks."""
    ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def heat_map(
    ax: Axes,
    values: ArrayLike,
    title: str = "",
    *,
    scale: str,
    vmin: float | None = None,
    vmax: float | None = None,
    signed: bool = False,
    ticks: bool = False,
    bar: bool = True,
) -> Any:
    """Show a matrix or a map with its scale.

    Parameters
    ----------
    ax : matplotlib axes
    values : array [rows, columns]
    title : str
    scale : str
        What the colours mean; stands at the bar.
    vmin, vmax : float, optional
        The ends of the colours; the values' own by default, and symmetric around 0 where `signed`.
    signed : bool
        Two colours around 0, for values of both signs.
    ticks : bool
        Number rows and columns.
    bar : bool
        Whether to draw the bar; False where a neighbour with the same `vmin` and `vmax` has it.

    Returns
    -------
    The matplotlib image.
    """
    values = np.asarray(values, dtype=np.float64)
    if signed and vmin is None and vmax is None:
        vmax = float(np.nanmax(np.abs(values))) or 1.0
        vmin = -vmax
    shown = ax.imshow(values, cmap=SIGNED if signed else SCORES, vmin=vmin, vmax=vmax)
    ax.set_title(title)
    ax.spines[:].set_visible(False)
    if not ticks:
        ax.set(xticks=[], yticks=[])
    if bar:
        ax.figure.colorbar(shown, ax=ax, label=scale, fraction=0.046, pad=0.03)
    return shown


def outline(ax: Axes, mask: ArrayLike, colour: str = "sky") -> None:
    """Draw the border of a mask [H, W] over what the axes show."""
    mask = np.asarray(mask, dtype=float)
    if mask.any():
        ax.contour(mask, levels=[0.5], colors=[COLOURS[colour]], linewidths=2)


def grid_lines(ax: Axes, rows: int, columns: int, size: tuple[int, int], colour: str = "white") -> None:
    """Draw the borders of a grid of patches over an image of `size` = (height, width) in pixels."""
    height, width = size
    for i in range(1, rows):
        ax.axhline(i * height / rows - 0.5, color=colour, linewidth=0.8)
    for j in range(1, columns):
        ax.axvline(j * width / columns - 0.5, color=colour, linewidth=0.8)


def bars(ax: Axes, labels: Sequence[str], values: ArrayLike, *, unit: str = "", digits: int = 2) -> None:
    """Horizontal bars, each with its number at its end, so that none has to be read off an axis."""
    values = np.asarray(values, dtype=np.float64)
    places = np.arange(len(values))[::-1]
    ax.barh(places, values, color=COLOURS["blue"], height=0.6)
    for place, value in zip(places, values, strict=True):
        ax.text(max(value, 0), place, f" {value:.{digits}f}{unit}", va="center")
    ax.set_yticks(places, labels)
    ax.set_xlim(min(0, float(values.min())), float(values.max()) * 1.2 or 1)
