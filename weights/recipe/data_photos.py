"""Photographs of surfaces and scenes, cut into squares: which picture, what it shows, and under which licence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from recipe import names

SIDE = 256
MOST_TILES = 6
LEAST_SIDE = 128  # smaller pictures would be mostly interpolation

# What a Debian copyright file calls a licence -> what we call it. A picture under any other is refused.
LICENCES = {
    "public-domain": "public domain",
    "Expat": "MIT",
    "CC0-1.0": "CC0 1.0",
    "CC-BY-3.0": "CC BY 3.0",
    "CC-BY-4.0": "CC BY 4.0",
    "CC-BY-SA-3.0": "CC BY-SA 3.0",
}

# package -> "folder/file: name". Looked at one by one: what is left out shows people, text, weapons, a reserved
# surface (cork, a floor like parquet), a thing already broken, next to nothing, or what another package has too. And
# scikit-image's brick, grass, gravel, coffee and coins: `make demo` shows them, so training must not see them.
SURFACES = {
    "ufoai-textures": """
        tex_buildings/floor021.png: stone tiles        tex_trak/grate1a.png: metal grate
        tex_trak/floor2a.png: metal floor              tex_trak/tile5e.png: metal tiles
        tex_trak/trak4_brick1.png: brick wall          tex_trak/trak4_brick2.png: brick wall
        tex_trak/trak4_brick2a.png: brick wall         tex_trak/trak4_brick2b.png: brick wall
        tex_trak/trak4_concrete1a.png: concrete        tex_trak/trak4_concrete1b.png: rusty concrete
        tex_trak/trak4_concrete2a.png: concrete        tex_trak/trak4_concrete3.png: dark concrete
        tex_trak/trak4_concrete4a.png: concrete wall   tex_trak/trak4_concrete5a.png: concrete
        tex_buildings/carpet010.png: carpet            tex_buildings/carpet025.png: carpet
        tex_buildings/floor005.png: asphalt            tex_buildings/metal01.png: corrugated metal
        tex_buildings/metal02.png: perforated metal    tex_buildings/paving001.png: paving stones
        tex_buildings/solar.jpg: solar panel           tex_buildings/tile01.png: stone tiles
        tex_buildings/tile02.png: stone tiles          tex_buildings/tile03.png: green tiles
        tex_doors/door009.png: painted wood            tex_material/metall006.jpg: rusty metal
        tex_material/s_wood001.png: wooden planks      tex_material/s_wood002.png: wood grain
        tex_material/s_wood003.png: wood grain         tex_material/wood001.png: wooden planks
        tex_material/wood003.png: wooden planks        tex_nature/desert009.png: sand
        tex_nature/dirt002.png: soil                   tex_nature/dirt003.png: soil
        tex_nature/ice001.jpg: ice                     tex_nature/jungle001.png: grass
        tex_nature/jungle002.png: grass                tex_nature/railway.png: gravel
        tex_nature/rock017.png: rock                   tex_nature/rock018.png: rock
        tex_nature/stone001.png: dark rock             tex_buildings/concrete024.png: concrete
        tex_buildings/concrete_slabs01.png: concrete   tex_buildings/floor_se03.png: cobblestones
        tex_buildings/floor_se04.png: cobblestones     tex_buildings/ground_dirt1.png: sand
        tex_buildings/wall_brick01.png: brick wall     tex_buildings/wall_dirt1.png: plaster wall
        tex_buildings/wall_se14.png: plaster wall      tex_buildings/wall_se15.png: plaster wall
        tex_buildings_snow/wall005.png: stone wall
    """,
    "mypaint-data-extras": """
        mrmamurk/mamurk_a_1.png: gray paper            mrmamurk/mamurk_a_2.png: green paper
        mrmamurk/mamurk_b_1.png: dark paper            mrmamurk/mamurk_c_3.png: brown paper
        mrmamurk/mamurk_e_1.png: paper                 mrmamurk/mamurk_e_2.png: white paper
        mrmamurk/mamurk_f_1.png: orange paper          ramon/HR_Canvas 01.png: canvas
        ramon/HR_Canvas 02.png: canvas                 ramon/HR_DecoPaper.png: decorated paper
        ramon/HR_PastelPaper 01.png: pastel paper      ramon/HR_PastelPaper 02.png: pastel paper
        ramon/HR_RoughPaper.png: rough paper           ramon/HR_SketchPaper.png: sketch paper
        ramon/HR_SketchPaper 02.png: black paper       ramon/HR_WaterColor.png: watercolor paper
    """,
    "redeclipse-data": """
        philipk/pk02/ceiling03_c.png: ceiling panel            philipk/pk02/door01_c.png: metal door
        philipk/pk02/door02_c.png: metal panel                 philipk/pk02/door03_c.png: painted panel
        philipk/pk02/floor01_c.png: rubber floor               philipk/pk02/floor02_c.png: inlaid floor
        philipk/pk02/floor03_c.png: metal grate                philipk/pk02/floor04_c.png: ribbed metal
        philipk/pk02/floor05_c.png: metal grate                philipk/pk02/floor06a_c.png: metal grate
        philipk/pk02/floor06b_c.png: orange grate              philipk/pk02/floor07_c.png: metal grate
        philipk/pk02/floor10_c.png: metal grate                philipk/pk02/floor11_c.png: floor tiles
        philipk/pk02/floor12a_c.png: metal floor               philipk/pk02/floor12b_c.png: orange floor
        philipk/pk02/floor13a_c.png: perforated metal          philipk/pk02/floor13b_c.png: perforated metal
        philipk/pk02/floor_cyl01_c.png: round grate            philipk/pk02/floor_cyl02_c.png: round floor
        philipk/pk02/panels01a_c.png: metal panels             philipk/pk02/panels01b_c.png: metal panels
        philipk/pk02/pipes01_c.png: metal tubes                philipk/pk02/plates01a_c.png: glass panel
        philipk/pk02/plates01b_c.png: glass panel              philipk/pk02/rock01_c.png: rock
        philipk/pk02/sand01_c.png: sand                        philipk/pk02/trim02_c.png: metal vent
        philipk/pk02/trim03_c.png: metal panel                 philipk/pk02/wall01_c.png: metal wall
        philipk/pk02/wall02a_c.png: metal wall                 philipk/pk02/wall02c_c.png: metal wall
        philipk/pk02/wall04b_c.png: wall tiles                 philipk/pk02/wall05a_c.png: metal wall
        philipk/pk02/wall05b_c.png: metal wall                 philipk/pk02/wall05c_c.png: metal wall
        philipk/pk02/wall06a_c.png: metal wall                 philipk/pk02/wall07a_c.png: metal panel
        philipk/pk02/wall08a_c.png: dark slats                 philipk/pk02/wall08b_c.png: orange slats
        philipk/pk02/wall_big01a_c.png: dark wall              philipk/pk02/wall_big02b_c.png: metal wall
        trak/trak5/ceil1a.jpg: metal fan                       trak/trak5/crate1a.jpg: metal crate
        trak/trak5/grate2a.jpg: metal grate                    trak/trak5/graypanel1.jpg: metal panel
        trak/trak5/graypanel2.jpg: metal panel                 trak/trak5/holes1a.jpg: perforated metal
        trak/trak5/panel1a.jpg: metal panel                    trak/trak5/panel2a.jpg: metal panel
        trak/trak5/pipez1a.jpg: metal tubes                    trak/trak5/pits1a.jpg: metal mesh
        trak/trak5/ribs1a.jpg: ribbed metal                    trak/trak5/thingy1a.jpg: round hatch
        trak/trak5/tile1a.jpg: metal tiles                     trak/trak5/tile1b.jpg: blue tiles
        trak/trak5/tile2d.jpg: red tiles                       trak/trak5/tile3c.jpg: green tiles
        trak/trak5/tile4a.jpg: metal tiles                     trak/trak5/tile4d.jpg: red tiles
        trak/trak5/trim6e.jpg: metal panel                     trak/trak5/trisec1d.jpg: metal panel
        trak/trak5/vertpanel2a.jpg: metal panel                trak/trak5/vertpanel2b.jpg: metal panel
        trak/trak5/wall1a.jpg: metal wall                      trak/trak5/wall1e.jpg: metal wall
        trak/trak5/wall2a.jpg: metal wall                      trak/trak5/wall2e.jpg: metal wall
        trak/trak5/wall3a.jpg: metal wall                      trak/trak5/wall3e.jpg: metal wall
        trak/trak5/wall5b.jpg: metal wall                      trak/trak5/wall5e.jpg: metal wall
        trak/trak5/wall7a.jpg: metal vent                      trak/trak6/crate1.jpg: metal crate
        trak/trak6/grate2.jpg: metal grate                     trak/trak6/tile2.jpg: floor tiles
        trak/trak6/tile3.jpg: floor tiles                      trak/trak6/wall2.jpg: metal wall
        trak/trak7/panel2.png: metal panel                     trak/trak7/tile1.jpg: metal tiles
        trak/trak7/tile1a.jpg: metal tiles                     trak/trak7/treadplate1.png: metal floor
        trak/trak7/vent1.jpg: metal vent                       trak/trak7/vpanel1.jpg: metal panel
        trak/trak7/wallplain1.png: dark wall
    """,
}
SCENES = {
    "ufoai-textures": """
        tex_buildings/carpet008.png: carpet            tex_buildings/carpet009.png: carpet
        tex_buildings/carpet011.png: carpet            tex_buildings/carpet012.png: carpet
        tex_buildings/carpet018.png: carpet            tex_buildings/carpet021.png: carpet
        tex_buildings/carpet023.png: carpet            tex_misc/barrel_top2.png: wooden barrel
        tex_misc/pipes001.png: metal tubes             tex_nature/potatoes.png: potato plants
        tex_trak/trak4_door1.png: red door             tex_trak/trak4_door1c.png: green door
        tex_trak/trak4_door1e.png: gray door           tex_trak/crate1e.png: crate
        tex_misc/boxen001.png: loudspeaker
    """,
    "lomiri-wallpapers-16.04": """
        Picture_1A_by_freespace.jpg: paint brushes     Picture_0B_by_freespace.jpg: fig in a bowl
        seeding_by_Clements_Engelhardt.jpg: dandelions  aitzgorri_by_Aitzol_Berasategi.jpg: mountains
        life_by_Aitzol_Berasategi.jpg: stream          picosdeeuropa_by_Aitzol_Berasategi.jpg: mountains
        sunset_by_Aitzol_Berasategi.jpg: sunset
    """,
    "scikit-image": """
        rocket.jpg: rocket launch     chelsea.png: cat     hubble_deep_field.jpg: galaxies
    """,
    "scikit-learn": """
        china.jpg: pagoda       flower.jpg: flower
    """,
}
# The wheels name no licence for each picture; scikit-image's docstrings and scikit-learn's README.txt do.
STATED = {
    "rocket.jpg": "public domain", "chelsea.png": "CC0 1.0", "hubble_deep_field.jpg": "public domain",
    "china.jpg": "CC BY 2.0", "flower.jpg": "CC BY 2.0",
}  # fmt: skip


class Photo(NamedTuple):
    """One square of a photograph."""

    pixels: np.ndarray  # uint8 [SIDE, SIDE, 3]
    name: str
    licence: str
    source: str  # package/file
    kind: str  # surface | scene


def listed(table: str) -> list[tuple[str, str]]:
    """The pairs (file, name) of one package's list."""
    return re.findall(r"(\S[^:\n]*\.(?:png|jpg)): ([a-z ]+?)(?= {2}|\n)", re.sub(r" {2,}", "  \n", table) + "\n")


def files(package: str) -> list[str]:
    """The listed files of a package."""
    return [file for table in (SURFACES, SCENES) for file, _ in listed(table.get(package, ""))]


def tiles(image: Image.Image, whole: bool = False, side: int = SIDE, most: int = MOST_TILES) -> list[np.ndarray]:
    """Non-overlapping squares of a picture, at a scale where its shorter side is one or two of them.

    Parameters
    ----------
    image : PIL.Image.Image
    whole : bool
        Whether the first is the centre of the whole picture: a scene is more than its parts.

    Returns
    -------
    list of numpy.ndarray
        uint8 [side, side, 3] each; empty where the picture is too small.
    """
    image = image.convert("RGB")
    short = min(image.size)
    if short < LEAST_SIDE:
        return []
    across = max(1, min(2, short // side))
    out = [_grid(image, 1, side)[0]] if whole and across > 1 else []
    out += _grid(image, across, side)
    return out[:most]


def _grid(image: Image.Image, across: int, side: int) -> list[np.ndarray]:
    scale = across * side / min(image.size)
    image = image.resize([max(side * across, round(scale * s)) for s in image.size], Image.Resampling.LANCZOS)
    width, height = image.size
    columns, rows = (width // side, height // side) if across > 1 else (1, 1)
    left, top = (width - columns * side) // 2, (height - rows * side) // 2
    pixels = np.asarray(image)
    return [
        pixels[y : y + side, x : x + side]
        for y in range(top, top + rows * side, side)
        for x in range(left, left + columns * side, side)
    ]


def debian_licences(text: str) -> list[tuple[str, str]]:
    """Read a Debian copyright file: [(pattern, licence)] in its order; of those that match, the last holds."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        files = re.search(r"^Files:(.*?)(?=^[A-Z][A-Za-z-]*:|\Z)", stanza, re.M | re.S)
        licence = re.search(r"^License:[ \t]*(\S+)", stanza, re.M)
        if files and licence:
            found += [(pattern, licence[1]) for pattern in files[1].split()]
    return found


def licence_of(file: str, stanzas: list[tuple[str, str]]) -> str:
    """The licence of the last stanza that names the file; clear about a file under a licence not accepted."""
    matches = [licence for pattern, licence in stanzas if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), file)]
    licence = matches[-1] if matches else "none"
    if licence not in LICENCES:
        raise ValueError(
            f"{file}: the package's copyright file gives the licence {licence!r}; accepted are {', '.join(LICENCES)}. "
            "Remove it from the lists in data_photos.py"
        )
    return LICENCES[licence]


def photos(package: str, folder: Path, licence: Callable[[str], str], share_alike: bool = False) -> list[Photo]:
    """Every listed picture of one package, in squares.

    Parameters
    ----------
    package : str
        A key of `SURFACES` or `SCENES`.
    folder : path
        What the listed files are relative to.
    licence : callable
        File -> licence.
    share_alike : bool
        Whether to take pictures under CC BY-SA too.
    """
    out = []
    for kind, lists in (("surface", SURFACES), ("scene", SCENES)):
        for file, name in listed(lists.get(package, "")):
            terms = licence(file)
            if "-SA" in terms and not share_alike:
                continue
            with Image.open(Path(folder) / file) as image:
                squares = tiles(image, whole=kind == "scene")
            out += [Photo(square, name, terms, f"{package}/{file}", kind) for square in squares]
    return out


def photo_split(source: str, held_out: float = 0.10) -> str:
    """All squares of a picture go the same way."""
    return "held-out picture" if names.fraction("photo:" + source) < held_out else "train"


def read(at: dict[str, Path], textures: Path, share_alike: bool = False) -> list[Photo]:
    """Every listed photograph of the unpacked sources, in squares.

    Parameters
    ----------
    at : dict
        The folder of each source, by its key.
    textures : path
        What is unpacked of the archive inside ufoai-textures.
    share_alike : bool
        Whether to take pictures under CC BY-SA too.
    """
    # package, what its list is relative to, what its copyright file puts before that
    debian = (
        ("ufoai-textures", textures, "base/textures/"),
        ("mypaint-data-extras", at["mypaint-data-extras"] / "usr/share/mypaint/backgrounds", "backgrounds/"),
        ("lomiri-wallpapers-16.04", at["lomiri-wallpapers-16.04"] / "usr/share/backgrounds", "16.04/"),
        ("redeclipse-data", at["redeclipse-data"] / "usr/share/games/redeclipse/data", "data/"),
    )
    out = []
    for package, folder, before in debian:
        stanzas = debian_licences(next(at[package].rglob("copyright")).read_text("utf-8"))
        out += photos(package, folder, lambda file, b=before, s=stanzas: licence_of(b + file, s), share_alike)
    out += photos("scikit-image", at["scikit-image"] / "skimage/data", STATED.__getitem__)
    out += photos("scikit-learn", at["scikit-learn"] / "sklearn/datasets/images", STATED.__getitem__)
    return out


def markdown(found: list[Photo]) -> str:
    """The licence of every photograph, for LICENCES.md."""
    pictures = sorted({(p.source, p.name, p.licence) for p in found})
    counts = Counter(licence for _, _, licence in pictures)
    lines = ["## Photographs", "", ", ".join(f"{n} under {name}" for name, n in sorted(counts.items())) + ".", ""]
    lines += ["| Picture | Shows | Licence |", "|---|---|---|"]
    lines += [f"| {source} | {name} | {licence} |" for source, name, licence in pictures]
    return "\n".join(lines) + "\n"
