"""What was learned, as a file: a nest of arrays in safetensors, and in its metadata the choices it was learned with.

An array is stored under its path in the nest: that of field `weight` of projection 6 as "projections.6.weight". The
same nest and the same choices make the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from refclip.backend import Array, to_numpy, xp_of
from refclip.checkpoint import WeightsError, read_metadata, read_tensors, require_finite
from refclip.clip import CLIP
from refclip.files import whole_file

KEY = "refclip"  # of the metadata: one entry, since the format does not keep several in order


def named(tree: Any, prefix: str = "") -> Iterator[tuple[str, Array]]:
    """Every array of a nest with its path; what is no array is passed over."""
    if hasattr(tree, "_asdict"):
        tree = tree._asdict()
    elif isinstance(tree, list | tuple):
        tree = dict(enumerate(tree))
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from named(value, f"{prefix}{key}.")
    elif hasattr(tree, "dtype"):
        yield prefix[:-1], tree


def filled(tree: Any, tensors: Mapping[str, Array], where: str, prefix: str = "") -> Any:
    """The same nest with the arrays stored under its paths, in the type and on the device of those that it has.

    Raises
    ------
    WeightsError
        One is not there, or has another shape; the message names `where`.
    """
    if hasattr(tree, "_fields"):
        return type(tree)(*(filled(x, tensors, where, f"{prefix}{key}.") for key, x in tree._asdict().items()))
    if isinstance(tree, list | tuple):
        return type(tree)(filled(x, tensors, where, f"{prefix}{i}.") for i, x in enumerate(tree))
    if isinstance(tree, dict):
        return {key: filled(x, tensors, where, f"{prefix}{key}.") for key, x in tree.items()}
    if not hasattr(tree, "dtype"):
        return tree
    name, shape = prefix[:-1], tuple(tree.shape)
    if name not in tensors or tuple(tensors[name].shape) != shape:
        found = f"shape {tuple(tensors[name].shape)}" if name in tensors else "no such tensor"
        raise WeightsError(f"{where}: {name}: found {found}, expected shape {shape}")
    return xp_of(tree).asarray(tensors[name]).astype(tree.dtype)  # a copy: the file may go


def save(path: str | os.PathLike[str], tree: Any, about: Mapping[str, Any]) -> None:
    """Write a nest of arrays, and what JSON can hold about it.

    Raises
    ------
    OSError
        The file cannot be written; nothing is left behind.
    """
    from safetensors.numpy import save as to_bytes

    told = {KEY: json.dumps(plain(about), sort_keys=True, allow_nan=False)}
    content = to_bytes({name: to_numpy(x) for name, x in named(tree)}, metadata=told)
    with whole_file(path) as file:
        file.write(content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What `save` wrote: path in the nest -> array, and what it says about them.

    Raises
    ------
    WeightsError
        No safetensors file, or not one of ours; or a number in it is not finite.
    """
    path = Path(path)
    tensors = read_tensors(path)
    require_finite(path, tensors)
    told = read_metadata(path).get(KEY)
    if told is None:
        raise WeightsError(f"{path}: its metadata has no {KEY!r}; expected a file that refclip train wrote")
    try:
        about = json.loads(told)
    except ValueError as error:
        raise WeightsError(f"{path}: its metadata is not valid JSON ({error}); train again") from error
    if not isinstance(about, dict):
        raise WeightsError(f"{path}: its metadata is {type(about).__name__}, expected an object; train again")
    return tensors, about


def plain(value: Any) -> Any:
    """Options and the like as JSON has them: NamedTuples as objects, tuples as lists."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): plain(x) for key, x in value.items()}
    return [plain(x) for x in value] if isinstance(value, list | tuple) else value


def mark(clip: CLIP) -> str:
    """By what a model is known again, in whichever floating type it was loaded.

    A digest of a few of its numbers in half precision: what was learned behind other weights means nothing here, but
    has the right shapes.
    """
    told = hashlib.blake2b(digest_size=8)
    for part in (clip.vision.class_embedding, clip.text.positional_embedding):
        told.update(to_numpy(part).astype("float16").tobytes())
    return told.hexdigest()


def about_model(clip: CLIP, method: str) -> dict[str, Any]:
    """What every file says first: which method learned it, behind which model."""
    return {"method": method, "model": mark(clip), "model name": Path(clip.name).name}


def check_model(clip: CLIP, about: Mapping[str, Any], method: str, where: str) -> None:
    """Refuse what another method learned, or this one behind another model.

    Raises
    ------
    WeightsError
    """
    if about.get("method") != method:
        raise WeightsError(f"{where}: learned by {about.get('method')!r}, expected {method!r}")
    if about.get("model") != mark(clip):
        raise WeightsError(
            f"{where}: learned behind other weights ({about.get('model name')!r}), not those of {clip.name!r}; "
            "load these, or train again"
        )
