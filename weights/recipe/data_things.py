"""Emoji and clip art, unpacked, as square RGBA pictures of one thing each."""

from __future__ import annotations

import json
import math
import re
import struct
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from recipe import data_titles, names

SIDE = 128
NOTO_SIZE = 109  # the one size at which the bitmaps of the font are stored
CLIPART_MOST = 3000
MOST_PIXELS = 32_000_000  # a few files are drawn at 168 million pixels, and take longer than all others together

# emojibase: animals and nature, food, travel, activities, objects; of the symbols, coloured discs and squares
GROUPS = frozenset({3, 4, 5, 6, 7})
GEOMETRIC = 96
PLACE_RELIGIOUS, TIME = 52, 58
TIME_KEPT = frozenset({"hourglass done", "hourglass not done", "watch", "alarm clock", "stopwatch", "timer clock",
                       "mantelpiece clock"})  # fmt: skip
# Left out by name, as no word of theirs tells: text on a tile, a scene of people, an offensive reading.
EMOJI_LEFT_OUT = frozenset(
    {
        "love hotel", "moai", "placard", "identification card", "mahjong red dragon", "flower playing cards", "joker",
        "nesting dolls", "map of japan", "wedding", "chart increasing", "chart decreasing", "chart increasing with yen",
        "white flower", "musical note", "musical notes", "musical score", "ballot box with ballot", "performing arts",
        "moon viewing ceremony", "one-piece swimsuit", "x-ray", "diya lamp", "spade suit", "club suit", "heart suit",
        "diamond suit", "hot springs", "elevator", "tokyo tower", "mount fuji", "link", "station", "metro", "bus stop",
        "locked with pen", "petri dish", "dna",
    }
)  # fmt: skip
CLIPART_FOLDERS = (
    "animals", "buildings", "computer/hardware", "computer/connectors", "containers", "education", "electronics",
    "food", "office", "people/clothing/hats", "people/clothing", "plants", "recreation/music", "recreation/sports",
    "recreation/toys", "recreation/party", "recreation/holiday", "recreation/games/chess", "recreation/games/dice",
    "recreation/art", "science", "tools", "transportation",
)  # fmt: skip
CLIPART_FOLDERS_LEFT_OUT = (
    "animals/fantasy", "food/beverages/alcohol", "people/clothing/pantyhose", "tools/weapons",
    "transportation/aiga-symbols", "transportation/roadsigns",
)  # fmt: skip
# Parts of file names that no word of title or keywords gives away: people at sport, monsters and characters, scenes and
# diagrams, words as part of the picture, a syringe, military cars, cigarette lighters, braces, signs.
CLIPART_LEFT_OUT = (
    "asana", "sport_stacco", "judo", "karate", "domo_kun", "evolution", "vgcats", "reunion", "fatherchristmas",
    "insecticide", "boating_rules", "capsize", "sailing_heel", "menu_", "thanksgiving_spread", "mostriciattolo",
    "simbolo", "shaezy", "skoynk", "squeek", "mhooo", "pimp", "nunchaku", "hummer", "capitol", "burner", "braces",
    "bicycle_philippe", "paesaggio", "picnic", "liberty_archi", "fall_scene", "croche", "quaver", "note_two",
    "double_note", "music_note", "sixteenth", "treble", "help-books", "midautumn", "zoom", "medicina_dottore",
    "demolizione", "airbrush", "mirjam", "mix_cucina", "turkey_platter_01_with",
)  # fmt: skip
HARDLY_TAGS = names.word_set("hash tool tools foul transport transportation recreation entertainment menu character")
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"


class Thing(NamedTuple):
    """One picture of one thing."""

    pixels: np.ndarray  # uint8 [SIDE, SIDE, 4], straight alpha
    name: str
    tags: str
    style: str  # fluent | noto | twemoji | clipart
    source: str = ""  # the file within its package


def fit(image: Image.Image, side: int = SIDE) -> np.ndarray | None:
    """The picture cropped to what is opaque and fitted, aspect kept, into the middle of a square.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode that converts to RGBA.
    side : int

    Returns
    -------
    numpy.ndarray or None
        uint8 [side, side, 4]; None where nothing is opaque.
    """
    image = image.convert("RGBA")
    box = image.getchannel("A").point([0] * 9 + [255] * 247).getbbox()
    if box is None:
        return None
    image = image.crop(box)
    scale = side / max(image.size)
    width, height = (max(1, round(scale * s)) for s in image.size)
    # Pillow resizes RGBA premultiplied: the colour of transparent pixels does not leak into the rim
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    square = np.zeros((side, side, 4), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = np.asarray(image)
    return square


def looks_like_a_thing(pixels: np.ndarray, least: float = 0.15, most: float = 0.95, parts: int = 12) -> bool:
    """Whether clip art shows one thing: it fills 15 to 95 % of its box, and is in few pieces (text is in many)."""
    opaque = pixels[..., 3] > 127
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    if not len(rows):
        return False
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    if not least <= opaque.sum() / box <= most or min(len(rows), len(columns)) < SIDE // 6:
        return False
    _, found = ndimage.label(opaque)  # pyright: ignore[reportGeneralTypeIssues]
    return found <= parts


def emoji_table(path: str | Path) -> dict[str, tuple[str, str]]:
    """Read emojibase's data.json: code points -> (name, tags), of the emoji that may be used."""
    table = {}
    for row in json.loads(Path(path).read_text("utf-8")):
        label = unicodedata.normalize("NFKD", row["label"].lower()).encode("ascii", "ignore").decode()
        name = " ".join(re.sub(r"[^a-z0-9 -]", " ", label.replace("'", "")).split())
        group, subgroup = row.get("group"), row.get("subgroup")
        if not (group in GROUPS or subgroup == GEOMETRIC) or subgroup == PLACE_RELIGIOUS:
            continue
        if (subgroup == TIME and name not in TIME_KEPT) or name in EMOJI_LEFT_OUT or not emoji_usable(name):
            continue
        table[row["hexcode"].lower()] = (name, names.clean_tags(row.get("tags", []), name))
    return table


def emoji_usable(name: str) -> bool:
    """As `names.usable`, but "dog face" is a dog, and a clock is a clock: curated names need fewer guesses."""
    name = re.sub(r"^(cat|dog|cow|pig) face$", r"\1", name)
    if names.forbidden(name, names.RESERVED):
        return False
    return name in names.ALLOWED or names.forbidden(name, names.EXCLUDED - {"clock", "map", "label", "frame"}) is None


def bare(code: str) -> str:
    """Code points in lower case without the variation selector, as file names differ in carrying it."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def emoji(fluent: Path, twemoji: Path, noto: Path, table: dict[str, tuple[str, str]]) -> list[Thing]:
    """Every emoji of the table in every style that draws it, in the order of the table.

    Parameters
    ----------
    fluent, twemoji : path
        Folders of pictures named by code points.
    noto : path
        The TrueType file with colour bitmaps.
    table : dict
        From `emoji_table`.
    """
    rendered = {bare(p.stem): p for p in fluent.glob("*.webp")}
    drawn = {bare(p.stem): p for p in twemoji.glob("*.png")}
    font = ImageFont.truetype(str(noto), NOTO_SIZE, layout_engine=ImageFont.Layout.BASIC)
    things = []
    for code, (name, tags) in sorted(table.items()):
        key = bare(code)
        pictures = [
            ("fluent", _opened(rendered.get(key))),
            ("noto", _glyph(font, key)),
            ("twemoji", _opened(drawn.get(key))),
        ]
        for style, picture in pictures:
            pixels = None if picture is None else fit(picture)
            if pixels is not None:
                things.append(Thing(pixels, name, tags, style))
    return things


def _opened(path: Path | None) -> Image.Image | None:
    return None if path is None else Image.open(path)


def _glyph(font: ImageFont.FreeTypeFont, key: str) -> Image.Image | None:
    # A sequence needs a layout engine that not every Pillow has: skipped, so that every machine has the same pictures
    if "-" in key:
        return None
    image = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(image).text((8, 8), chr(int(key, 16)), font=font, embedded_color=True)
    return image


def clipart_record(svg: Path) -> tuple[str, list[str], bool] | None:
    """Title, keywords and whether the metadata of one SVG says public domain; None where it cannot be read."""
    try:
        root = ET.parse(svg).getroot()
    except (ET.ParseError, OSError):
        return None
    title = next((e.text or "" for e in root.iter(_DC + "title")), "")
    keywords = [(e.text or "").strip() for e in root.iter(_RDF + "li")]
    licences = [
        value
        for e in root.iter()
        if isinstance(e.tag, str) and e.tag.endswith("}license")
        for key, value in e.attrib.items()
        if key.endswith("}resource")
    ]
    free = bool(licences) and all(re.search(r"public ?domain", v, re.I) for v in licences)
    return title, keywords, free


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from the header: opening a huge picture with Pillow already warns."""
    with path.open("rb") as file:
        return struct.unpack(">II", file.read(24)[16:])


def clipart(png_root: Path, svg_root: Path, vocabulary: Collection[str], most: int = CLIPART_MOST) -> list[Thing]:
    """Clip art that its own metadata puts in the public domain, and that shows one usable thing."""
    things, seen = [], set()
    for path in sorted(png_root.rglob("*.png")):
        where = path.relative_to(png_root)
        folder = where.parent.as_posix()
        if not _under(folder, CLIPART_FOLDERS) or _under(folder, CLIPART_FOLDERS_LEFT_OUT):
            continue
        record = clipart_record((svg_root / where).with_suffix(".svg"))
        if record is None or not record[2]:
            continue
        title, keywords, _ = record
        stem = re.sub(r"_0*\d+$", "", path.stem)
        if any(part in path.stem for part in CLIPART_LEFT_OUT):
            continue
        if not all(names.usable(data_titles.translated(text)) for text in (title, stem, *keywords)):
            continue
        if math.prod(png_size(path)) > MOST_PIXELS:
            continue
        try:
            with Image.open(path) as image:
                pixels = fit(image)
        except (OSError, ValueError):
            continue
        if pixels is None or not looks_like_a_thing(pixels) or pixels.tobytes() in seen:
            continue
        seen.add(pixels.tobytes())
        name = data_titles.name_of(title, stem, keywords, vocabulary)
        tags = names.clean_tags([k for k in keywords if k in vocabulary and k not in HARDLY_TAGS], name)
        things.append(Thing(pixels, name, tags, "clipart", where.as_posix()))
    return things[:most]


def _under(folder: str, roots: tuple[str, ...]) -> bool:
    return any(folder == root or folder.startswith(root + "/") for root in roots)


def read(at: dict[str, Path]) -> list[Thing]:
    """Every thing of the unpacked sources.

    Parameters
    ----------
    at : dict
        The folder of each source, by its key.
    """
    table = emoji_table(at["emojibase-data"] / "package/en/data.json")
    fluent = at["lobehub-fluent-emoji-3d"] / "package/assets"
    twemoji = at["emoji-datasource-twitter"] / "package/img/twitter/64"
    things = emoji(fluent, twemoji, next(at["fonts-noto-color-emoji"].rglob("NotoColorEmoji.ttf")), table)
    listed = (at["wamerican-small"] / "usr/share/dict/american-english-small").read_text("utf-8").split()
    words = {w for w in listed if w.isascii() and w.islower() and w.isalpha()}  # no names, no possessives
    png, svg = (at[f"openclipart-{form}"] / "usr/share/openclipart" / form for form in ("png", "svg"))
    return things + clipart(png, svg, words)


def with_splits(things: list[Thing]) -> list[str]:
    """The split of each: whole names held out, and the Noto picture of some names drawn in three styles or more."""
    styles = {}
    for t in things:
        styles.setdefault(t.name, set()).add(t.style)
    splits = []
    for t in things:
        split = names.name_split(t.name)
        if split == "train" and t.style == "noto" and len(styles[t.name]) >= 3 and names.picture_split(t.name):
            split = "held-out picture"
        splits.append(split)
    return splits
