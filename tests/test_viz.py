"""Pictures keep their pixels' places, colours keep the order of the scores, and files are whole or absent."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from refclip import viz
from refclip.colours import COLOURS, colour_table
from refclip.colours import paint as make_paint
from refclip.viz import PAPER, Row, overlay, panel, save_png

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp(height: int, width: int) -> np.ndarray:
    return np.linspace(0, 1, height * width).reshape(height, width)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def part(image: Image.Image, height: int, width: int) -> np.ndarray:
    return np.asarray(image)[:height, :width]


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (3, 500), (500, 3), (240, 333), (1000, 700)])
def test_the_picture_keeps_its_size_and_the_bar_stands_beside_it(size):
    h, w = size
    bare = overlay(picture(h, w), ramp(h, w), vmin=0, vmax=1, bar=False)
    assert (bare.size, bare.mode) == ((w, h), "RGB")
    both = overlay(picture(h, w), ramp(h, w), vmin=0, vmax=1)
    assert both.mode == "RGB"
    assert both.width > w
    assert both.height >= h
    np.testing.assert_array_equal(part(both, h, w), np.asarray(bare))
    np.testing.assert_array_equal(np.asarray(both)[h:, :w], np.broadcast_to(np.array(PAPER), (both.height - h, w, 3)))
    assert (np.asarray(both)[:, w:] != 255).any()  # something is drawn there


def test_the_bar_grows_with_the_picture():
    widths = []
    for side in (32, 400, 2000):
        flat = Image.new("L", (side, side), 128)
        widths.append(overlay(flat, np.zeros((side, side), np.float32), vmin=0, vmax=1).width - side)
    assert widths[0] == widths[1]  # letters are never below 12 pixels
    # above, they are 3% of the side: five times the picture, five times the bar, but for the rounding of a pixel in 24
    assert widths[2] / widths[1] == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("colours", COLOURS)
def test_the_table_is_matplotlibs_and_grows_in_luminance(colours):
    matplotlib = pytest.importorskip("matplotlib")
    table = colour_table(colours).astype(float)
    light = table @ LUMINANCE
    assert (light[5:] > light[:-5]).all()  # five steps apart: rounding to bytes can hide a single step
    original = matplotlib.colormaps[colours](np.arange(256))[:, :3] * 255
    assert np.abs(table - original).max() < 7  # the straight lines' own error, as the table's comment says


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("alpha", [0.4, 0.75, 1.0])
def test_a_higher_score_looks_lighter_on_any_grey(colours, alpha):
    scores = np.linspace(0, 1, 256)[None]
    for grey in range(0, 256, 15):
        drawn = overlay(
            np.full((1, 256), grey, np.uint8), scores, vmin=0, vmax=1, alpha=alpha, colours=colours, bar=False
        )
        light = np.asarray(drawn).astype(float)[0] @ LUMINANCE
        # every channel and the cover are rounded to 1 of 255, so a neighbour may fall back by that much, no more
        assert (light - np.maximum.accumulate(light)).min() > -1.5
        assert light[-1] > light[0] + 10


def test_alpha_zero_is_the_dimmed_picture_alone():
    image = picture(8, 9)
    drawn = np.asarray(overlay(image, ramp(8, 9), vmin=0, vmax=1, alpha=0, bar=False))
    assert (drawn == drawn[..., :1]).all()  # grey
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(float)
    black, white = viz.BACKDROP
    np.testing.assert_allclose(drawn[..., 0], black + (white - black) * grey / 255, atol=1)  # rounding to a byte


def test_one_scale_gives_one_colour_whatever_else_is_in_the_map():
    flat = np.full((4, 4), 100, np.uint8)
    low, high = np.full((4, 4), 0.2), np.full((4, 4), 0.2)
    high[0] = 0.9
    a, b = (np.asarray(overlay(flat, m, vmin=0, vmax=1, bar=False)) for m in (low, high))
    np.testing.assert_array_equal(a[1:], b[1:])
    assert (a[0] != b[0]).any()


def test_scores_beyond_the_scale_get_its_ends_and_the_bar_a_point():
    flat = np.full((60, 60), 100, np.uint8)
    inside = ramp(60, 60)
    wide = np.where(inside > 0.99, 40.0, np.where(inside < 0.01, -1e300, inside))
    clipped = np.where(inside > 0.99, 1.0, np.where(inside < 0.01, 0.0, inside))
    a, b = overlay(flat, wide, vmin=0, vmax=1), overlay(flat, clipped, vmin=0, vmax=1)
    np.testing.assert_array_equal(part(a, 60, 60), part(b, 60, 60))
    # letters, and so the bar, are 12 wide: columns 72 to 83. Halfway up the point, its corners are paper
    point, plain = (np.asarray(image)[19, 72:84].astype(int) for image in (a, b))
    assert (point[0] == 255).all() and (point[-1] == 255).all()
    assert (point[6] < 255).any()
    assert (plain < 255).any(axis=1).all()
    low = np.asarray(a)[a.height - 20, 72:84]
    assert (low[0] == 255).all() and (low[6] < 255).any()


def test_pixels_the_model_never_saw_are_striped_and_the_bar_says_so():
    image, scores = picture(60, 80), ramp(60, 80)
    holed = scores.copy()
    holed[:, :20] = np.nan
    a, b = overlay(image, scores, vmin=0, vmax=1), overlay(image, holed, vmin=0, vmax=1)
    np.testing.assert_array_equal(part(a, 60, 80)[:, 20:], part(b, 60, 80)[:, 20:])
    unseen = part(b, 60, 80)[:, :20]
    assert (unseen == unseen[..., :1]).all()  # grey: no colour claims a score
    flat = part(overlay(np.full((60, 80), 128, np.uint8), holed, vmin=0, vmax=1), 60, 80)[:, :20, 0]
    assert len(np.unique(flat)) == 2  # two greys, on a flat picture
    assert b.height > a.height  # room for the words under the bar
    everywhere = overlay(image, np.full((60, 80), np.nan), vmin=0, vmax=1, bar=False)
    np.testing.assert_array_equal(np.asarray(everywhere)[:, :20], unseen)


@pytest.mark.parametrize("value", [0.5, 0.0, -3.0, 1e-300])
def test_a_constant_map_on_a_scale_without_extent(value):
    flat, scores = np.full((40, 40), 128, np.uint8), np.full((40, 40), value)
    drawn = part(overlay(flat, scores, vmin=value, vmax=value), 40, 40)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 1
    lowest = overlay(flat, np.zeros((40, 40)), vmin=0, vmax=1)
    np.testing.assert_array_equal(drawn, part(lowest, 40, 40))
    scores[3, 4] = value + 1
    assert len(np.unique(part(overlay(flat, scores, vmin=value, vmax=value), 40, 40).reshape(-1, 3), axis=0)) == 2


@pytest.mark.parametrize(
    ("vmin", "vmax", "want"),
    [
        (0, 1, ["0", "0.5", "1"]),
        (0.5, 0.5, ["0.5"]),
        (0.1234, 0.5678, ["0.123", "0.346", "0.568"]),
        (0.50001, 0.50003, ["0.50001", "0.50002", "0.50003"]),
        (-1e308, 1e308, ["-1e+308", "0", "1e+308"]),
        (1.0, np.nextafter(1.0, 2.0), ["1", "1.0000000000000002"]),
    ],
)
def test_the_bars_numbers_tell_its_ends_apart(vmin, vmax, want):
    assert viz._numbers(vmin, vmax) == want


def test_what_a_picture_may_be():
    rgb = picture(6, 7)
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    want = np.asarray(overlay(rgb, ramp(6, 7), vmin=0, vmax=1, bar=False))
    for same in (Image.fromarray(rgb), grey, Image.fromarray(grey), Image.fromarray(rgb).convert("RGBA")):
        np.testing.assert_array_equal(np.asarray(overlay(same, ramp(6, 7), vmin=0, vmax=1, bar=False)), want)


def test_a_palette_with_transparency_is_drawn_without_a_warning(tmp_path, recwarn):
    image = Image.fromarray(picture(8, 9)).convert("P")
    image.info["transparency"] = bytes(range(256))
    overlay(image, ramp(8, 9), vmin=0, vmax=1)
    assert not recwarn.list
    assert "transparency" in image.info  # the caller's own is left as it was


def test_what_a_map_may_be():
    want = np.asarray(overlay(picture(2, 3), np.array([[0, 1, 0], [1, 0, 1]]), vmin=0, vmax=1))
    for dtype in (bool, np.uint8, np.float16, np.float32):
        scores = np.array([[0, 1, 0], [1, 0, 1]], dtype=dtype)
        np.testing.assert_array_equal(np.asarray(overlay(picture(2, 3), scores, vmin=0, vmax=1)), want)
        assert scores.dtype == dtype


def test_arguments_are_left_as_they_were():
    image, scores = picture(6, 7), ramp(6, 7)
    scores[0, 0] = np.nan
    kept = image.copy(), scores.copy()
    overlay(image, scores, vmin=0, vmax=1)
    panel([Row(image, scores, mask=scores)])
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(scores, kept[1])


GOOD = {"image": picture(6, 7), "map": ramp(6, 7), "vmin": 0.0, "vmax": 1.0}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"image": picture(6, 7).astype(np.float32)},
            TypeError,
            r"image is float32 \[6, 7, 3\]; expected a PIL image or",
        ),
        ({"image": picture(6, 7)[None]}, TypeError, r"image is uint8 \[1, 6, 7, 3\]"),
        ({"image": np.zeros((0, 7, 3), np.uint8)}, TypeError, r"image is uint8 \[0, 7, 3\]"),
        ({"image": "a.png"}, TypeError, "image is str; expected a PIL image"),
        ({"map": ramp(7, 6)}, ValueError, r"map has shape \[7, 6\], its picture \[6, 7\].*to_original"),
        ({"map": ramp(6, 7)[None]}, TypeError, r"map is float64 \[1, 6, 7\]; expected numbers \[H, W\]"),
        ({"map": ramp(6, 7) + 1j}, TypeError, "map is complex128"),
        (
            {"map": np.where(ramp(6, 7) > 0.9, np.inf, 0)},
            ValueError,
            "map holds 5 infinite scores; expected finite ones",
        ),
        ({"vmin": np.nan}, ValueError, "vmin is nan, vmax is 1.0; expected finite numbers"),
        ({"vmax": np.inf}, ValueError, "vmin is 0.0, vmax is inf; expected finite numbers"),
        ({"vmin": 2.0}, ValueError, "vmin is 2.0, vmax is 1.0; expected .* vmin not above vmax"),
        ({"alpha": 1.5}, ValueError, "alpha is 1.5; expected 0 .* to 1"),
        ({"alpha": np.nan}, ValueError, "alpha is nan"),
        ({"colours": "jet"}, ValueError, "colours is 'jet'; expected one of inferno, viridis or an array"),
        ({"colours": np.zeros((4, 4))}, ValueError, r"colours: found \[4, 4\], expected \[n, 3\]"),
        ({"colours": [[0, 0, 0], [0, 0, 256]]}, ValueError, r"colours: found \[2, 3\], expected .* values 0 to 255"),
    ],
)
def test_errors_say_what_was_found_and_expected(change, error, message):
    with pytest.raises(error, match=message):
        overlay(**GOOD | change)


def test_own_colours():
    drawn = overlay(
        np.full((1, 3), 0, np.uint8), np.array([[0, 0.5, 1]]), vmin=0, vmax=1, alpha=1, colours=[[0, 0, 0], [0, 200, 0]]
    )
    green = part(drawn, 1, 3)[0, :, 1].astype(int)
    assert green[0] < green[1] < green[2] == 200
    assert (part(drawn, 1, 3)[0, 2] == (0, 200, 0)).all()


def three() -> list[Row]:
    holed = ramp(40, 60)
    holed[:, :9] = np.nan
    return [
        Row(picture(30, 30), ramp(30, 30), "first", ramp(30, 30) > 0.5),
        Row(picture(40, 60), holed * 3, "second " * 40),
        Row(picture(90, 20), np.zeros((90, 20)), mask=np.zeros((90, 20), np.uint8)),
    ]


def test_the_panel_shows_each_picture_where_it_should():
    flat = [Row(Image.new("RGB", (50, 25), colour), np.zeros((25, 50))) for colour in ("red", "lime", "blue")]
    for across in (1, 2, 5):
        sheet = np.asarray(panel(flat, vmin=0, vmax=1, cell=100, across=across)).astype(int)
        for colour in np.eye(3, dtype=int) * 255:
            ys, xs = np.nonzero((sheet == colour).all(axis=-1))
            assert (np.ptp(ys) + 1, np.ptp(xs) + 1) == (50, 100)  # fitted into the cell, its shape kept
            assert len(ys) == 50 * 100
            # its map is as large, one gap of half a letter to the right
            beside = sheet[ys.min() : ys.max() + 1, xs.max() + 1 + 6 : xs.max() + 1 + 6 + 100]
            assert (beside.min(), beside.max()) == (beside[0, 0].min(), beside[0, 0].max())
            assert beside.max() < 255


def test_the_panel_has_a_mask_column_only_if_there_are_masks():
    with_masks = panel(three(), vmin=0, vmax=1)
    without = panel([row._replace(mask=None) for row in three()], vmin=0, vmax=1)
    assert with_masks.width == without.width + 256 + 9  # a cell and a gap
    assert with_masks.height == without.height


def test_the_panel_takes_one_scale_for_all_rows(monkeypatch):
    scales = []
    paint = make_paint
    monkeypatch.setattr(
        viz, "make_paint", lambda vmin, vmax, *rest: scales.append((vmin, vmax)) or paint(vmin, vmax, *rest)
    )
    panel(three())
    panel(three(), vmax=9)
    panel([Row(picture(4, 4), np.full((4, 4), np.nan))])
    assert scales == [(0.0, 3.0), (0.0, 9), (0.0, 0.0)]


@pytest.mark.parametrize("across", [1, 2, 3, 7])
def test_nothing_of_the_panel_is_cut_off(across):
    sheet = np.asarray(panel(three(), cell=64, across=across))
    # the captions, the titles and the bar end before the edge: the outermost pixels are paper
    for edge in (sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]):
        assert (edge == 255).all()


def test_long_captions_are_shortened_to_fit():
    assert viz._cut("short", 1000, 12) == "short"
    cut = viz._cut("a long caption that does not fit", 80, 12)
    assert cut.startswith("a long") and cut.endswith("...")
    assert viz._width(cut, 12) <= 80 < viz._width(cut.removesuffix("...") + "xx...", 12)
    assert viz._cut("anything", 0, 12) == "..."


@pytest.mark.parametrize(
    ("rows", "options", "error", "message"),
    [
        ([], {}, ValueError, "found 0 rows"),
        (three(), {"cell": 8}, ValueError, "cell 8"),
        (three(), {"across": 0}, ValueError, "across 0"),
        (three(), {"titles": ["a", "b"]}, ValueError, "2 titles; expected .* 3 titles"),
        ([Row(picture(4, 5), ramp(5, 4))], {}, ValueError, r"rows\[0\].map has shape \[5, 4\], its picture \[4, 5\]"),
        ([Row(picture(4, 5), ramp(4, 5), mask=ramp(5, 4))], {}, ValueError, r"rows\[0\].mask has shape \[5, 4\]"),
        ([*three(), Row("x", ramp(4, 5))], {}, TypeError, r"rows\[3\].image is str"),
        ([Row(picture(4, 5), np.full((4, 5), -np.inf))], {}, ValueError, r"rows\[0\].map holds \d+ infinite"),
    ],
)
def test_panel_errors_name_the_row(rows, options, error, message):
    with pytest.raises(error, match=message):
        panel(rows, **options)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5), st.sampled_from([0.0, 1.0, -2.5]), st.booleans())
def test_any_small_picture_is_drawn(height, width, seed, vmin, holes):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(height, width))
    if holes:
        scores[rng.random((height, width)) < 0.3] = np.nan
    drawn = overlay(picture(height, width, seed), scores, vmin=vmin, vmax=vmin + seed)
    assert drawn.width > width
    assert part(drawn, height, width).shape == (height, width, 3)


def test_save_png_makes_the_folder_and_keeps_the_pixels(tmp_path):
    image = Image.fromarray(picture(5, 6))
    path = save_png(image, tmp_path / "a" / "b" / "c.png")
    assert path == tmp_path / "a" / "b" / "c.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(image))
    assert names(path.parent) == ["c.png"]
    save_png(Image.fromarray(picture(5, 6, seed=1)), str(path))  # over an older one
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture(5, 6, seed=1))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_save_png_leaves_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    path = save_png(Image.new("RGB", (2, 2)), tmp_path / "a.png")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch, error):
    path = save_png(Image.new("RGB", (4, 4), "red"), tmp_path / "a.png")

    def fail(self, file, *args):
        file.write(b"half a pict")
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(type(error)):
        save_png(Image.new("RGB", (4, 4), "blue"), path)
    monkeypatch.undo()
    assert names(tmp_path) == ["a.png"]
    assert (np.asarray(Image.open(path)) == (255, 0, 0)).all()


def test_a_failed_rename_leaves_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        save_png(Image.new("RGB", (4, 4)), tmp_path / "a.png")
    assert names(tmp_path) == ["a.png"]


def test_save_png_writes_png_only(tmp_path):
    with pytest.raises(ValueError, match=r"found suffix '\.jpg', expected \.png"):
        save_png(Image.new("RGB", (4, 4)), tmp_path / "sub" / "a.jpg")
    assert names(tmp_path) == []


def test_matplotlib_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert overlay(picture(4, 4), ramp(4, 4), vmin=0, vmax=1).width > 4
