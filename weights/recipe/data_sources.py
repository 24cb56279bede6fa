"""Which packages the pictures come from: pinned, each with its licence and whom to name."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """One archive of one package registry."""

    name: str
    registry: str  # npm | Debian | PyPI: which client fetches it
    version: str
    sha256: str  # of the archive
    size: int  # bytes
    keep: tuple[str, ...]  # what is unpacked: patterns of paths inside, where * also matches /
    what: str
    licence: str
    attribution: str


SOURCES = (
    Source(
        "@lobehub/fluent-emoji-3d", "npm", "1.1.0",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58", 15792027,
        ("package/assets/*.webp",),
        "rendered things", "MIT", "Fluent Emoji, Microsoft Corporation; packaged by LobeHub",
    ),
    Source(
        "emoji-datasource-twitter", "npm", "16.0.0",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877", 61683754,
        ("package/img/twitter/64/*.png",),
        "drawn things", "CC BY 4.0", "Twemoji, Twitter, Inc. and other contributors; packaged by Cal Henderson",
    ),
    Source(
        "fonts-noto-color-emoji", "Debian", "2.042-0+deb12u1",
        "a5ab0f69c7938423862320d9aca5dd187b3fd879d6a9a57dd52e17c3fa8d2751", 9893872,
        ("*/NotoColorEmoji.ttf",),
        "drawn things", "OFL 1.1", "Noto Color Emoji, Google LLC",
    ),
    Source(
        "emojibase-data", "npm", "17.0.0",
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a", 6711091,
        ("package/en/data.json",),
        "names of emoji", "MIT", "Emojibase, Miles Johnson",
    ),
    Source(
        "openclipart-png", "Debian", "1:0.18+dfsg-19",
        "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02", 130910028,
        ("usr/share/openclipart/png/*.png",),
        "clip art", "public domain", "Open Clip Art Library, its contributors",
    ),
    Source(
        "openclipart-svg", "Debian", "1:0.18+dfsg-19",
        "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5", 24919068,
        ("usr/share/openclipart/svg/*.svg",),
        "title, keywords and licence of each piece of clip art", "public domain",
        "Open Clip Art Library, its contributors",
    ),
    Source(
        "wamerican-small", "Debian", "2020.12.07-2",
        "bfebd3ce5f04a62f5fbeb6707ea1160e37d645754145138343009209f0deadb6", 114540,
        ("usr/share/dict/american-english-small",),
        "English words, to tell which titles are names", "SCOWL (permissive)", "Kevin Atkinson and others",
    ),
    Source(
        "ufoai-textures", "Debian", "2.5-2",
        "51c9c6a778249a3fa432c81c8c30ac5675ae5a1e675a33b0ce04545753d3218c", 336330508,
        ("*/0textures.pk3", "*/copyright"),
        "photographed surfaces", "public domain, MIT, CC BY 3.0, by picture",
        'UFO: Alien Invasion: yughues and Nobiax (public domain), Georges "TRaK" Grondin (MIT), Nate Wright and "bart" '
        "(CC BY 3.0), and others",
    ),
    Source(
        "mypaint-data-extras", "Debian", "2.0.1-9",
        "9d5971baa5eb411309940ea2cfe11aa7f6ec2c39e7f9ecd2bbef81fc6404b1d1", 2873864,
        ("*/backgrounds/*.png", "*/copyright"),
        "scanned papers", "CC0 1.0", "MrMamurk; Ramón Miranda",
    ),
    Source(
        "lomiri-wallpapers-16.04", "Debian", "20.04.0-2",
        "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab", 15783184,
        ("*/backgrounds/*.jpg", "*/copyright"),
        "photographs", "CC BY 4.0, CC0 1.0, by picture",
        'Aitzol Berasategi and Trevor "Freespace" (CC BY 4.0), Clemens Engelhardt (CC0 1.0)',
    ),
    Source(
        "redeclipse-data", "Debian", "1.6.0-1",
        "ada26453d3100bd61154ce20a699352f0b48bb29f8505f477ebdcb612f71ab42", 862260812,
        ("*/data/philipk/pk02/*_c.png", "*/data/trak/trak[567]/*[a-e0-9].???", "*/redeclipse-data/copyright"),
        "painted panels", "CC BY 3.0, MIT, by picture",
        "Philip Klevestav (CC BY 3.0), Georges 'TRaK' Grondin (MIT, CC BY 3.0)",
    ),
    Source(
        "scikit-image", "PyPI", "0.24.0",
        "fa27b3a0dbad807b966b8db2d78da734cb812ca4787f7fbb143764800ce2fa9c", 14861425,
        ("skimage/data/*.png", "skimage/data/*.jpg"),
        "photographs", "CC0 1.0, public domain, by picture",
        "Stefan van der Walt, NASA, SpaceX",
    ),
    Source(
        "scikit-learn", "PyPI", "1.5.2",
        "f8b0ccd4a902836493e026c03256e8b206656f91fbcc4fde28c57a5b752561f1", 13322034,
        ("sklearn/datasets/images/*.jpg",),
        "photographs", "CC BY 2.0", "danielbuechele (china.jpg), vultilion (flower.jpg)",
    ),
)  # fmt: skip
_SUFFIX = {"npm": ".tgz", "Debian": ".deb", "PyPI": ".whl"}


def key(source: Source) -> str:
    """The name of a source as a file name."""
    return source.name.replace("@", "").replace("/", "-")


def archive_name(source: Source) -> str:
    """What its archive is called on the disk: clients call them differently."""
    version = source.version.replace(":", "_")
    return f"{key(source)}-{version}{_SUFFIX[source.registry]}"


def markdown(sources: tuple[Source, ...] = SOURCES) -> str:
    """The table of sources for the model card."""
    lines = ["| Package | From | Version | What for | Licence | By |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{s.name}` | {s.registry} | {s.version} | {s.what} | {s.licence} | {s.attribution} |" for s in sources
    ]
    return "\n".join(lines) + "\n"
