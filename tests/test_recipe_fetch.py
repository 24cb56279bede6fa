"""The pure part of fetching the pictures: names, splits, licences, hashes, paths. Nothing here uses a network."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recipe import data_photos, data_sources, data_things, data_titles, fetch, names

SOURCE = data_sources.Source("thing", "npm", "1.0", "", 0, ("package/*.txt",), "things", "MIT", "somebody")
WORDS = {"candied", "apple", "blue", "balloon", "lemon", "half", "moon", "the", "of", "bouquet", "flower", "pin"}


def tar(path: Path, files: dict[str, bytes], link: str | None = None) -> str:
    """Write a .tgz, and return its hash."""
    with tarfile.open(path, "w:gz") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo("package/link.txt")
            info.type, info.linkname = tarfile.SYMTYPE, link
            file.addfile(info)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def client(files: dict[str, bytes]):
    """A client that brings an archive of these files, and counts its calls."""
    calls: list[list[str]] = []

    def run(words: list[str], folder: Path) -> None:
        calls.append(words)
        tar(folder / "some-name-of-its-own.tgz", files)

    return run, calls


@pytest.mark.parametrize(
    "name", ["red apple", "gear", "doughnut", "coconut", "eggplant", "peach", "alarm clock", "knot"]
)
def test_usable_names(name):
    assert names.usable(name)


@pytest.mark.parametrize(
    "name",
    [
        "water pistol",
        "kitchen knife",
        "wine glass",
        "old man",
        "woman's hat",
        "church",
        "france flag",
        "cigarette",
        "fortune cookie",
        "radio button",
        "button",
        "nut and bolt",
        "chestnuts",
        "washers",
        "pill",
        "yarn",
        "Crackers",
    ],
)
def test_names_left_out(name):
    assert not names.usable(name)


def test_every_reserved_word_is_refused_in_the_plural_too():
    plurals = [word + ("es" if word.endswith("sh") else "s") for word in sorted(names.RESERVED)]
    assert [word for word in [*sorted(names.RESERVED), *plurals] if names.usable(f"small {word}")] == []


def test_tags_lose_what_a_name_may_not_have():
    assert (
        names.clean_tags(["fruit", "red", "Red", "beer", "nut", "two words", "an", "tree"], "red apple") == "fruit tree"
    )


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("red apple", "apple"),
        ("apples", "apple"),
        ("slice of cake", "slice"),
        ("leaves", "leaf"),
        ("cherries", "cherry"),
        ("bus", "bus"),
        ("magnifying glass tilted right", "glass"),
        ("glass", "glass"),
        ("potato", "potato"),
        ("tomatoes", "tomato"),
        ("box with folders", "box"),
    ],
)
def test_head_noun(name, noun):
    assert names.head_noun(name) == noun


def test_splits_depend_on_the_text_alone():
    # numbers of another implementation: echo -n 'name:apple' | sha256sum, its first 16 digits / 2^64
    assert names.fraction("name:apple") == int(hashlib.sha256(b"name:apple").hexdigest()[:16], 16) / 2**64
    held = [f"thing{chr(97 + i)}{chr(97 + j)}{chr(97 + k)}" for i in range(20) for j in range(20) for k in range(10)]
    share = np.mean([names.name_split(name) == "held-out name" for name in held])
    assert abs(share - 0.10) < 0.02  # 4000 draws: the standard deviation is 0.005


def test_a_name_is_held_out_with_all_that_share_its_noun():
    for noun in ("apple", "balloon", "tree", "train", "chair", "lemon", "fish", "car", "house", "pen"):
        assert len({names.name_split(name) for name in (noun, f"red {noun}", f"small old {noun}")}) == 1
    assert names.name_split("object") == "train"


def things(*pairs: tuple[str, str]) -> list[data_things.Thing]:
    """Things of these names and styles without a picture."""
    return [data_things.Thing(np.zeros((1, 1, 4), np.uint8), name, "", style) for name, style in pairs]


def test_only_the_noto_picture_of_a_name_in_three_styles_is_held_out():
    candidates = [f"thing{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    name = next(n for n in candidates if names.name_split(n) == "train" and names.picture_split(n))
    three = things((name, "fluent"), (name, "noto"), (name, "twemoji"))
    assert data_things.with_splits(three) == ["train", "held-out picture", "train"]
    assert data_things.with_splits(three[:2]) == ["train", "train"]
    away = next(n for n in candidates if names.name_split(n) != "train")
    assert set(data_things.with_splits(things((away, "fluent"), (away, "noto"), (away, "clipart")))) == {
        "held-out name"
    }


@pytest.mark.parametrize(
    ("title", "stem", "keywords", "name"),
    [
        ("Candied Apples (B and W)", "x", [], "candied apples"),
        ("The Moon", "x", [], "moon"),
        ("Clipart by somebody - pear", "lemon_half_ganson", [], "lemon half"),  # the title is another picture's
        ("Leone", "leone_01_architetto_fran", ["animal"], "animal"),  # lion is not in the vocabulary here
        ("Pin - Blue", "x", [], "blue pin"),
        ("Bouquet of flowers", "x", [], "bouquet of flowers"),
        ("Coccinellona", "qqq", ["insect"], "insect"),
        ("Qwertz", "qqq", [], "object"),
    ],
)
def test_name_of_clip_art(title, stem, keywords, name):
    assert data_titles.name_of(title, stem, keywords, WORDS) == name


def test_italian_titles_are_translated_before_they_are_judged():
    assert names.usable("gomitolo di lana")
    assert not names.usable(data_titles.translated("gomitolo_di_lana"))


def test_no_listed_photograph_shows_what_is_reserved():
    pairs = [
        pair
        for lists in (data_photos.SURFACES, data_photos.SCENES)
        for t in lists.values()
        for pair in data_photos.listed(t)
    ]
    assert (
        len(pairs)
        == len(set(pairs))
        == sum(t.count(": ") for d in (data_photos.SURFACES, data_photos.SCENES) for t in d.values())
    )
    assert [pair for pair in pairs if not names.usable(pair[1])] == []
    assert [pair for pair in pairs if names.forbidden(pair[0].replace("_", " "), names.RESERVED)] == []


COPYRIGHT = """Format: x

Files: *
Copyright: A
License: GPL-2+

Files:
 base/a.png
 base/b c.png
Copyright:
 B
License: CC-BY-SA-3.0

Files: more/*
Copyright: C
License: CC0-1.0

License: CC0-1.0
 Text.
"""


def test_licences_of_a_debian_copyright_file():
    stanzas = data_photos.debian_licences(COPYRIGHT)
    assert data_photos.licence_of("base/a.png", stanzas) == "CC BY-SA 3.0"
    assert data_photos.licence_of("more/deep/x.png", stanzas) == "CC0 1.0"
    with pytest.raises(ValueError, match=r"other\.png: .*'GPL-2\+'.*Remove it"):
        data_photos.licence_of("other.png", stanzas)


def test_share_alike_only_when_asked(tmp_path, monkeypatch):
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    monkeypatch.setattr(data_photos, "SURFACES", {"p": "a.png: sand\n"})
    monkeypatch.setattr(data_photos, "SCENES", {})
    assert data_photos.photos("p", tmp_path, lambda _: "CC BY-SA 3.0") == []
    (found,) = data_photos.photos("p", tmp_path, lambda _: "CC BY-SA 3.0", share_alike=True)
    assert found[1:] == ("sand", "CC BY-SA 3.0", "p/a.png", "surface")


@pytest.mark.parametrize(
    ("size", "whole", "count"),
    [
        ((100, 400), False, 0),
        ((200, 200), False, 1),
        ((512, 512), False, 4),
        ((900, 512), False, 6),
        ((2000, 500), True, 1),
        ((1024, 1024), True, 5),
        ((4000, 3000), False, 4),
    ],
)
def test_tiles(size, whole, count):
    found = data_photos.tiles(Image.new("RGB", size), whole)
    assert len(found) == count
    assert all(t.shape == (256, 256, 3) for t in found)


def test_tiles_do_not_overlap():
    y, x = np.mgrid[:512, :512]
    found = data_photos.tiles(Image.fromarray(np.stack([x // 256 * 200, y // 256 * 200, 0 * x], -1).astype(np.uint8)))
    assert {tuple(t.reshape(-1, 3).min(0)) for t in found} == {(0, 0, 0), (200, 0, 0), (0, 200, 0), (200, 200, 0)}
    assert all((t == t[0, 0]).all() for t in found)


def test_fit_crops_to_what_is_opaque_and_keeps_the_aspect():
    pixels = np.zeros((60, 80, 4), np.uint8)
    pixels[..., :3] = 255, 0, 0  # the colour of the transparent part must not leak in
    pixels[20:30, 10:30] = 0, 0, 255, 255
    out = data_things.fit(Image.fromarray(pixels))
    assert out is not None
    assert out.shape == (128, 128, 4)
    assert (out[32:96, :, 3] == 255).all()
    assert (out[:32, :, 3] == 0).all()
    assert (out[34:94, 2:-2, :3] == (0, 0, 255)).all()
    assert data_things.fit(Image.new("RGBA", (9, 9))) is None


def test_what_looks_like_a_thing():
    pixels = np.zeros((128, 128, 4), np.uint8)
    assert not data_things.looks_like_a_thing(pixels)
    y, x = np.mgrid[:128, :128]
    pixels[..., 3] = 255 * ((y - 64) ** 2 + (x - 64) ** 2 < 60**2)
    assert data_things.looks_like_a_thing(pixels)
    pixels[..., 3] = 255 * ((y % 32 < 20) & (x % 32 < 20))  # sixteen pieces: text
    assert not data_things.looks_like_a_thing(pixels)
    pixels[..., 3] = 255  # nothing cut out
    assert not data_things.looks_like_a_thing(pixels)


@pytest.mark.parametrize(("registry", "word"), [("npm", "npm"), ("Debian", "apt-get")])
def test_a_missing_client_says_what_to_install(tmp_path, monkeypatch, registry, word):
    monkeypatch.setattr(fetch.shutil, "which", lambda _: None)
    with pytest.raises(fetch.FetchError, match=rf"^{word}: not found on this machine; .*(install|Debian 12)"):
        fetch.fetch(tmp_path, (SOURCE._replace(registry=registry),))


def test_a_failing_client_is_quoted(tmp_path):
    words = [sys.executable, "-c", "import sys; sys.exit('no such version')"]
    with pytest.raises(fetch.FetchError, match="no such version"):
        fetch.run_client(words, tmp_path)


def test_fetched_once_then_taken_from_the_disk(tmp_path, monkeypatch, capsys):
    sha = tar(tmp_path / "same.tgz", {"package/a.txt": b"a", "package/b.bin": b"b"})
    source = SOURCE._replace(sha256=sha)
    run, calls = client({"package/a.txt": b"a", "package/b.bin": b"b"})
    monkeypatch.setattr(fetch, "run_client", run)
    monkeypatch.setattr(fetch, "sha256", lambda _: sha)  # gzip writes the time into its header
    fetch.fetch(tmp_path, (source,))
    fetch.fetch(tmp_path, (source,))
    assert calls == [["npm", "pack", "--silent", "thing@1.0"]]
    assert "already there" in capsys.readouterr().out
    unpacked = tmp_path / "unpacked" / "thing"
    assert [p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*.*")] == ["package/a.txt"]
    assert sorted(p.name for p in (tmp_path / "archives").iterdir()) == ["thing-1.0.tgz"]


def test_another_archive_than_the_pinned_one_is_refused_and_removed(tmp_path, monkeypatch):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "thing-1.0.tgz").write_bytes(b"half of it")
    run, calls = client({"package/a.txt": b"evil"})
    monkeypatch.setattr(fetch, "run_client", run)
    with pytest.raises(fetch.FetchError, match=r"has sha256 .* expected 00ff; it was removed"):
        fetch.fetch(tmp_path, (SOURCE._replace(sha256="00ff"),))
    assert len(calls) == 1
    assert list((tmp_path / "archives").iterdir()) == []
    assert not (tmp_path / "unpacked").exists()


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/evil.txt", "package/../../evil.txt", "package\\..\\evil.txt", "C:/evil.txt"]
)
@pytest.mark.parametrize("registry", ["npm", "PyPI"])
def test_a_path_outside_the_folder_is_refused(tmp_path, name, registry):
    archive = tmp_path / "in" / "thing"
    archive.parent.mkdir()
    if registry == "npm":
        tar(archive, {"package/a.txt": b"a", name: b"evil"})
    else:
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("package/a.txt", "a")
            file.writestr(name, "evil")
    with pytest.raises(fetch.FetchError, match="outside its folder"):
        fetch.unpack(SOURCE._replace(registry=registry, keep=("*",)), archive, tmp_path / "out" / "thing")
    assert list((tmp_path / "out").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_links_are_never_made(tmp_path):
    tar(tmp_path / "a.tgz", {"package/a.txt": b"a"}, link="/etc/passwd")
    fetch.unpack(SOURCE, tmp_path / "a.tgz", tmp_path / "out" / "thing")
    assert [p.name for p in (tmp_path / "out" / "thing" / "package").iterdir()] == ["a.txt"]


def test_saved_arrays_need_no_pickle_and_are_the_same_bytes(tmp_path):
    arrays = {"name": np.array(["red apple", "gear"]), "pixels": np.arange(6, dtype=np.uint8)}
    fetch.save(tmp_path / "a.npz", **arrays)
    fetch.save(tmp_path / "b.npz", **arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["name"].tolist() == ["red apple", "gear"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    with pytest.raises(ValueError, match="allow_pickle"):
        fetch.save(tmp_path / "c.npz", bad=np.array([{}], dtype=object))


def test_prepare_without_fetch_says_so(tmp_path):
    with pytest.raises(fetch.FetchError, match=r"openclipart-png.* call fetch first"):
        fetch.prepare(tmp_path)


def test_sources_are_pinned_and_named():
    for source in data_sources.SOURCES:
        assert len(source.sha256) == 64
        assert source.version[0].isdigit()
        assert all((source.licence, source.attribution, source.keep))
        assert "GPL" not in source.licence
        assert f"`{source.name}`" in data_sources.markdown()
    assert len({data_sources.archive_name(s) for s in data_sources.SOURCES}) == len(data_sources.SOURCES)
    assert data_sources.archive_name(data_sources.SOURCES[4]) == "openclipart-png-1_0.18+dfsg-19.deb"
