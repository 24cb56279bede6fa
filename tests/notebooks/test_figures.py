"""The look of the course's figures."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from refclip import figures


@pytest.fixture(autouse=True)
def _style():
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        figures.use_style()
        yield
        plt.close("all")


def test_a_heat_map_has_its_scale_and_a_signed_one_is_even():
    figure, ax = figures.axes()
    shown = figures.heat_map(ax, [[-1.0, 0.0], [0.5, 3.0]], "title", scale="cosine", signed=True)
    assert shown.get_clim() == (-3, 3)
    assert [a.get_ylabel() for a in figure.axes] == ["", "cosine"]
    shown = figures.heat_map(ax, [[0.0, 1.0]], scale="weight", vmin=0, vmax=2, bar=False)
    assert shown.get_clim() == (0, 2)
    assert len(figure.axes) == 2


def test_a_heat_map_without_a_scale_is_refused():
    _, ax = figures.axes()
    with pytest.raises(TypeError, match="scale"):
        figures.heat_map(ax, [[1.0]])  # type: ignore[call-arg]


def test_a_constant_signed_map_draws():
    figure, ax = figures.axes()
    figures.heat_map(ax, np.zeros((2, 2)), scale="cosine", signed=True)
    figure.canvas.draw()


def test_pictures_outlines_grids_and_bars_draw():
    figure, (a, b) = figures.axes(1, 2)
    figures.picture(a, np.zeros((8, 8, 3), np.uint8), "picture")
    mask = np.zeros((8, 8), bool)
    figures.outline(a, mask)  # empty: nothing, and no warning
    assert not a.collections
    mask[2:4, 2:5] = True
    figures.outline(a, mask)
    assert a.collections
    figures.grid_lines(a, 4, 2, (8, 8))
    assert len(a.lines) == 3 + 1
    figures.bars(b, ["x", "y"], [0.25, 0.5])
    assert [t.get_text() for t in b.texts] == [" 0.25", " 0.50"]
    figure.canvas.draw()


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    channel = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_neighbouring_colours_differ_in_lightness():
    """In print and to the colour-blind lightness is what is left."""
    values = [luminance(c) for c in figures.COLOURS.values()]
    assert min(abs(a - b) for a, b in itertools.pairwise(values)) > 0.05  # a step that print shows
