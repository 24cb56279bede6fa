"""Features of a frozen image tower: computed once, kept on disk in half precision, read back by rows.

    images --`frozen.encode`--> class embedding [b, e], patch tokens [b, g, w] of each path and layer
           --`keep_features`--> a folder of float16 files, memory-mapped --`rows`--> those of one minibatch

What is learned behind a frozen tower sees the same features in each epoch, so an image need be encoded once only. A
folder's name is a digest of all that decides its content: weights, preprocessing, `Recipe`, images. It gets that name
when it is whole; until then it is NAME.part, from which the next attempt goes on.

Half precision: the patch tokens of the joint space are stored at length 1. Rounding each of their numbers by 2^-11 of
itself changes a cosine by less than 2^-11, and mostly cancels; `frozen.rounding` measures what it does to the logits.

Shapes: `b` batch, `N` images, `g` = gh gw patches, `d` width, `e` embedding, `w` d or e.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np  # noqa: TID251  (files are the host's)

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP
from refclip.decode import ImageError
from refclip.files import claimed, whole_file
from refclip.fingerprint import fingerprint, of_images
from refclip.frozen import Encoded, Recipe, check, encode, open_image
from refclip.parallel import map_jobs
from refclip.preprocess import Geometry
from refclip.samples import Loaded

VERSION = 1  # of what the files mean


class Kept(NamedTuple):
    """Features of N images."""

    folder: Path | None  # None: they are in memory
    recipe: Recipe
    image: np.ndarray  # [N, e]
    patches: dict[str, dict[int, np.ndarray]]  # path -> layer -> [N, g, w]
    grid: tuple[int, int]
    geometry: np.ndarray  # int64 [N, 8], the numbers of each image's Geometry
    key: str  # the digest


def needed_bytes(clip: CLIP, recipe: Recipe, count: int) -> int:
    """Bytes that the features of `count` images take on disk."""
    return sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for shape, dtype in _shapes(clip, recipe, count).values())


def keep_features(
    clip: CLIP,
    images: Sequence[Any],
    recipe: Recipe,
    folder: str | os.PathLike[str] | None = None,
    *,
    batch: int = 8,
    tell: Callable[[str], None] = lambda text: None,
    done: Callable[[int], None] = lambda count: None,
) -> Kept:
    """Features of images: from `folder` if they are there, else computed and put there.

    Parameters
    ----------
    clip : CLIP
    images : sequence of N Sample, Loaded, path, PIL image, or uint8 RGB array
    recipe : Recipe
    folder : path, optional
        Where features are kept. None keeps them in memory, in the same type.
    batch : int
        Images encoded at a time.
    tell : callable
        Told how many bytes it will be, and where, before the first image is encoded.
    done : callable
        Called with the number of images that are done, after each batch.

    Returns
    -------
    Kept

    Raises
    ------
    OSError
        The disk has less room than is needed; the message says both. Nothing is written.
    ImageError
        An image cannot be read; the message names it.
    ValueError
        A number that the type cannot hold.
    """
    check(clip, recipe)
    told = [VERSION, fingerprint(clip), recipe, clip.preprocess._replace(resize="", size=(0, 0)), of_images(images)]
    key = hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()
    shapes, need = _shapes(clip, recipe, len(images)), needed_bytes(clip, recipe, len(images))
    if folder is None:
        tell(f"features of {len(images)} images: {need:,} bytes in memory")
        arrays = {name: np.empty(shape, dtype) for name, (shape, dtype) in shapes.items()}
        _fill(clip, images, recipe, arrays, batch=batch, flush=done)
        return _kept(None, recipe, arrays, clip, key)
    whole, part = Path(folder) / key, Path(folder) / f"{key}.part"
    with claimed(folder, wait=True):  # two that fill the same files would take them for whole too early
        if not whole.exists():
            arrays, start = _begin(part, shapes, need, len(images), tell)

            def flush(count: int) -> None:
                for array in arrays.values():
                    array.flush()  # type: ignore[attr-defined]
                with whole_file(part / "done") as file:  # after the numbers it speaks of
                    file.write(str(count).encode())
                done(count)

            _fill(clip, images, recipe, arrays, start=start, batch=batch, flush=flush)
            del arrays
            with whole_file(part / "recipe.json") as file:
                file.write(json.dumps({"version": VERSION, "images": len(images)} | recipe._asdict()).encode())
            part.rename(whole)
        else:
            tell(f"features of {len(images)} images: found in {whole}")
            done(len(images))
    try:
        arrays = {name: np.load(whole / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in shapes}
    except (ValueError, EOFError) as error:
        raise OSError(f"{whole}: damaged since it was written ({error}); delete it, and it is made anew") from error
    return _kept(whole, recipe, arrays, clip, key)


def rows(kept: Kept, index: Any, like: Array) -> Encoded:
    """The features of some images, in the type and place of `like`.

    Parameters
    ----------
    kept : Kept
    index : sequence of b int
    like : array
        `clip.vision.proj`, for one.
    """
    xp, index = xp_of(like), np.asarray(index)

    def brought(x: np.ndarray) -> Array:
        return xp.asarray(np.asarray(x[index])).astype(like.dtype, copy=False)

    # 34 million numbers a step at 518 pixels, and changing their type takes longest: threads share the files
    found = iter(map_jobs(brought, [kept.image, *(x for some in kept.patches.values() for x in some.values())], like))
    image = next(found)
    patches = {path: {n: next(found) for n in some} for path, some in kept.patches.items()}
    return Encoded(image, patches, kept.grid, geometries(kept, index))


def geometries(kept: Kept, index: Any = slice(None)) -> tuple[Geometry, ...]:
    """Where the model's frame lies on each image, or on some; masks go there with it (`preprocess.to_model`)."""
    numbers = [[int(x) for x in row] for row in kept.geometry[index]]
    return tuple(Geometry((n[0], n[1]), (n[2], n[3]), (n[4], n[5]), (n[6], n[7])) for n in numbers)


def _shapes(clip: CLIP, recipe: Recipe, count: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """File -> shape and type."""
    d, e = clip.vision.proj.shape
    p = clip.vision.patch_size
    g, w = (recipe.size[0] // p) * (recipe.size[1] // p), e if recipe.space == "joint" else d
    patches = {_file(path, n): ((count, g, w), recipe.dtype) for path in recipe.paths for n in recipe.layers}
    return {"geometry": ((count, 8), "int64"), "image": ((count, e), recipe.dtype)} | patches


def _file(path: str, layer: int) -> str:
    return f"{path}.{layer:02}"


def _begin(
    part: Path, shapes: dict[str, Any], need: int, count: int, tell: Callable[[str], None]
) -> tuple[dict[str, np.ndarray], int]:
    """The files of a cache that is being made, and how many images are in them already."""
    try:
        start = int((part / "done").read_text())
        arrays: dict[str, np.ndarray] = {
            name: np.lib.format.open_memmap(part / f"{name}.npy", mode="r+") for name in shapes
        }
        if any((x.shape, str(x.dtype)) != shapes[name] for name, x in arrays.items()) or not 0 <= start <= count:
            raise ValueError("not as it was left")
        tell(f"features of {count} images: {need:,} bytes in {part.with_suffix('')}; {start} images are there")
        return arrays, start
    except (OSError, ValueError):
        shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(part.parent).free
    if need > free:
        raise OSError(
            errno.ENOSPC,
            f"features of {count} images need {need:,} bytes, {free:,} are free; choose another folder, fewer layers "
            "or a smaller size",
            str(part.parent),
        )
    tell(f"features of {count} images: {need:,} bytes in {part.with_suffix('')}, where {free:,} are free")
    part.mkdir()
    return {
        name: np.lib.format.open_memmap(part / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, (shape, dtype) in shapes.items()
    }, 0


def _fill(
    clip: CLIP,
    images: Sequence[Any],
    recipe: Recipe,
    arrays: dict[str, np.ndarray],
    *,
    start: int = 0,
    batch: int,
    flush: Callable[[int], None],
) -> None:
    for i in range(start, len(images), batch):
        some = [images[j] for j in range(i, min(i + batch, len(images)))]
        try:
            found = encode(clip, [open_image(x) for x in some], recipe)
        except (ImageError, TypeError) as error:
            raise type(error)(_named(str(error), some, i)) from error
        stop = i + len(some)
        arrays["geometry"][i:stop] = [np.ravel(np.asarray(one)) for one in found.geometry]
        parts = {_file(path, n): x for path, layers in found.patches.items() for n, x in layers.items()}
        for name, x in ({"image": found.image} | parts).items():
            host = to_numpy(x)
            if abs(host).max() > float(np.finfo(recipe.dtype).max):
                raise ValueError(
                    f"{name}: a feature of {abs(host).max():.3g} is too large for {recipe.dtype}; use float32"
                )
            arrays[name][i:stop] = host
        flush(stop)


def _named(message: str, some: Sequence[Any], start: int) -> str:
    """A message about images[i] of a batch, with its path, or its number among all."""

    def of(found: re.Match[str]) -> str:
        image = some[int(found[1])]
        one = image.sample if isinstance(image, Loaded) else image
        return str(getattr(one, "path", f"images[{start + int(found[1])}]"))

    return re.sub(r"images\[(\d+)\]", of, message)


def _kept(folder: Path | None, recipe: Recipe, arrays: dict[str, np.ndarray], clip: CLIP, key: str) -> Kept:
    patches = {path: {n: arrays[_file(path, n)] for n in recipe.layers} for path in recipe.paths}
    p = clip.vision.patch_size
    grid = recipe.size[0] // p, recipe.size[1] // p
    return Kept(folder, recipe, arrays["image"], patches, grid, arrays["geometry"], key)
