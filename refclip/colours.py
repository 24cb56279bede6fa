"""Scores -> colours: the maps of colours, and how much of a picture each hides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

# Every fifteenth of the 256 colours of matplotlib's maps (S. van der Walt, N. Smith; CC0). Both grow evenly in
# lightness, also for the colour-blind and in print; straight lines between these stay within 7 of 255 of the originals.
COLOURS = {
    "inferno": "000004 0a0722 1e0c45 380962 510e6c 69166e 801f6c 982766 b0315b "
    "c63d4d d94d3d e9612b f47918 fa9407 fcb014 f8cd37 f2ea69 fcffa4",
    "viridis": "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e "
    "1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f d8e219 fde725",
}


class Paint(NamedTuple):
    """How scores become colours."""

    vmin: float
    vmax: float
    table: np.ndarray  # uint8 [256, 3]
    cover: np.ndarray  # uint8 [256]: how much each colour hides of the picture


def colour_table(colours: ArrayLike) -> np.ndarray:
    """256 colours, uint8 [256, 3], from a name in `COLOURS` or from colours [n, 3] spread evenly."""
    if isinstance(colours, str):
        if colours not in COLOURS:
            raise ValueError(f"colours is {colours!r}; expected one of {', '.join(COLOURS)} or an array [n, 3]")
        colours = np.array([list(bytes.fromhex(word)) for word in COLOURS[colours].split()])
    anchors = np.asarray(colours, dtype=np.float64)
    if anchors.ndim != 2 or anchors.shape[1] != 3 or len(anchors) < 2 or not ((anchors >= 0) & (anchors <= 255)).all():
        raise ValueError(f"colours: found {list(anchors.shape)}, expected [n, 3], n 2 or more, and values 0 to 255")
    places = np.linspace(0, len(anchors) - 1, 256)
    table = [np.interp(places, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.round(np.stack(table, axis=1)).astype(np.uint8)  # [256, 3]


def paint(vmin: float, vmax: float, alpha: float, colours: ArrayLike) -> Paint:
    """Lay scores from `vmin` to `vmax` over the colours, the higher the more covering.

    Raises
    ------
    ValueError
        A scale that is no range, or an alpha outside 0 to 1.
    """
    if not (np.isfinite(vmin) and np.isfinite(vmax) and vmin <= vmax):
        raise ValueError(f"vmin is {vmin}, vmax is {vmax}; expected finite numbers, vmin not above vmax")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; expected 0 (the picture alone) to 1 (mostly colour)")
    cover = np.round(255 * alpha * np.linspace(0.6, 1, 256)).astype(np.uint8)
    return Paint(vmin, vmax, colour_table(colours), cover)
