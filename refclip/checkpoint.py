"""A safetensors file -> named arrays, memory-mapped. Anything else -> one clear error, before anything is allocated.

The format is 8 bytes that hold the length of a JSON header (little-endian), the header (tensor name -> type, shape,
place), and the tensors one after another. Whatever the header claims is first held against the size of the file; the
arrays are then views of the mapped file, read from disk as they are used.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

# The format's float types -> NumPy's. NumPy lacks bfloat16: its bits are kept as uint16, which nothing else here is.
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
# types that no weight has, but position ids and masks do
OTHERS = {"BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}
TYPES = FLOATS | OTHERS
MAX_HEADER = 4 << 20  # bytes; that of the largest CLIP, ViT-bigG-14, takes 0.2 MB
MAX_AXES = 8
MAX_JSON = 1 << 20  # bytes of a configuration
FETCH = "fetch the file again"


class WeightsError(ValueError):
    """A weight file, or the configuration beside it, that cannot be used. The message names the file."""


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Map the tensors of a safetensors file.

    Parameters
    ----------
    path : path of the file

    Returns
    -------
    dict of str -> array
        Read-only views of the mapped file; bfloat16 as the uint16 of its bits. `to_float` makes numbers of them.

    Raises
    ------
    WeightsError
        Not there, not a safetensors file (the message says what it looks like: a pickle, text, a Git LFS pointer, an
        unfinished download), a header that does not fit the file, a type that NumPy lacks, or float16 and bfloat16 in
        one file.
    """
    path = Path(path)
    mapped = _map(path)
    header, start = read_header(path, mapped)
    if {"F16", "BF16"} <= {entry["dtype"] for entry in header.values()}:
        raise WeightsError(
            f"{path}: float16 and bfloat16 tensors in one file, expected one of them; a type is mislabelled: {FETCH}"
        )
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = mapped[start + begin : start + end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a safetensors file carries beside its tensors; its header checked as by `read_header`.

    Raises
    ------
    WeightsError
    """
    mapped = _map(path)
    _, start = read_header(path, mapped)
    return parse_json(path, mapped[8:start].tobytes(), "the header").get("__metadata__", {})


def to_float(x: np.ndarray, dtype: Any) -> np.ndarray:
    """What `read_tensors` gave, as numbers of `dtype`: a view where it already is, a copy where not."""
    if not x.flags.aligned:  # BLAS would copy it at every product; copy it once
        x = x.copy()
    if x.dtype == np.uint16:  # bfloat16 is the upper half of a float32
        x = np.asarray(x.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # `require_finite` names what overflowed
        return np.asarray(x).astype(dtype, copy=False)


def require_finite(path: Path, tensors: dict[str, np.ndarray], advice: str = FETCH) -> None:
    """Refuse NaN and infinity, naming the tensors. Reads every number once.

    Raises
    ------
    WeightsError
    """
    broken = []
    for name, x in tensors.items():
        numbers = to_float(x, np.float32 if x.dtype.itemsize == 2 else x.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # an overflowing sum only means: look closer
            total = numbers.sum()
        if not np.isfinite(total) and not np.isfinite(numbers).all():
            broken.append(name)
    if broken:
        raise WeightsError(f"{path}: NaN or infinity in {listed(broken)}, expected finite numbers; {advice}")


def read_header(path: Path, mapped: np.ndarray | None = None) -> tuple[dict[str, Any], int]:
    """Header of a safetensors file, held against the file's size, and the offset at which its tensors start.

    Parameters
    ----------
    path : path of the file
    mapped : array of uint8, optional
        The file, where it is mapped already.

    Returns
    -------
    header : dict of tensor name -> {"dtype": str, "shape": list, "data_offsets": [begin, end]}
    start : int

    Raises
    ------
    WeightsError
    """
    mapped = _map(path) if mapped is None else mapped
    size, first = len(mapped), mapped[:64].tobytes()
    length = int.from_bytes(first[:8], "little")
    if first[8:9] != b"{" or length > min(size - 8, MAX_HEADER):
        _refuse(path, first, length, size)
    header = parse_json(path, mapped[8 : 8 + length].tobytes(), "the header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError(f"{path}: __metadata__ of the header is {shown(metadata)}, expected texts by name; {FETCH}")
    for name, entry in header.items():
        _check_entry(path, name, entry)
    space, reached = size - 8 - length, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        if begin != reached:
            raise WeightsError(f"{path}: tensor {shown(name)} starts at byte {begin:,}, expected {reached:,}; {FETCH}")
        reached = end
    if reached != space:
        fault = "the download is unfinished" if reached > space else "something was appended"
        raise WeightsError(f"{path}: its tensors take {reached:,} bytes, but {space:,} are there; {fault}: {FETCH}")
    return header, 8 + length


def parse_json(path: Path, raw: bytes, what: str) -> dict[str, Any]:
    """A JSON object from UTF-8 bytes; stricter than Python: no name twice, no NaN.

    Raises
    ------
    WeightsError
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            raise ValueError("a name occurs twice in one object")
        return out

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a JSON number")

    try:
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: {what} is not valid JSON ({error}); {FETCH}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: {what} is {shown(content)}, expected a JSON object; {FETCH}")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of at most `MAX_JSON` bytes.

    Raises
    ------
    WeightsError
    """
    size = file_size(path)
    if size > MAX_JSON:
        raise WeightsError(f"{path}: {size:,} bytes, expected a configuration of at most {MAX_JSON:,}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parse_json(path, raw, "the configuration")


def file_size(path: Path) -> int:
    """Bytes of a regular file.

    Raises
    ------
    WeightsError
        Not there, a broken link, a folder, a pipe, a device, or not permitted.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        if path.is_symlink():
            raise WeightsError(f"{path}: a link to {path.readlink()}, which is not there; {FETCH}") from error
        raise WeightsError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise WeightsError(f"{path}: {kind}, where a file was expected")
    return found.st_size


def shown(value: Any) -> str:
    """A value for a message: at most 80 characters, none of them unprintable."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def listed(names: list[str], most: int = 5) -> str:
    """A readable list of at most `most` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(n if n.isprintable() and len(n) < 80 else shown(n) for n in names[:most]) + more


def _map(path: Path) -> np.ndarray:
    size = file_size(path)
    if size < 8:
        raise WeightsError(f"{path}: {size} bytes, too short for a safetensors file; {FETCH}")
    try:
        return np.asarray(np.memmap(path, mode="r", dtype=np.uint8))  # a plain view: a memmap's slices are slower
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _check_entry(path: Path, name: str, entry: Any) -> None:
    """Refuse a tensor's entry in the header unless it is well-formed and its type, shape and place agree."""
    tensor = f"{path}: tensor {shown(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"{tensor} is {shown(entry)}, expected dtype, shape and data_offsets; {FETCH}")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in TYPES:
        raise WeightsError(
            f"{tensor} has type {shown(dtype)}, expected one of {', '.join(FLOATS)}; convert the weights to float16 or "
            "float32"
        )
    if not _counts(shape) or len(shape) > MAX_AXES or not _counts(place) or len(place) != 2:
        raise WeightsError(
            f"{tensor} has shape {shown(shape)} at bytes {shown(place)}, expected at most {MAX_AXES} whole numbers and "
            f"two; {FETCH}"
        )
    needed, span = math.prod(shape) * np.dtype(TYPES[dtype]).itemsize, place[1] - place[0]
    if needed != span:
        raise WeightsError(
            f"{tensor}, {dtype} {shown(shape)}, takes {shown(needed)} bytes, but its place has {span:,}; {FETCH}"
        )


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _refuse(path: Path, first: bytes, length: int, size: int) -> NoReturn:
    """Say what a file that is not safetensors looks like."""
    if first.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise WeightsError(
            f"{path}: a PyTorch pickle (.pt, .pth, .bin), expected safetensors. refclip never executes a pickle; fetch "
            "the .safetensors file of the same model"
        )
    if first.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path}: a Git LFS pointer, not the weights; fetch the real file (`git lfs pull`)")
    if first.startswith((b"\x89HDF", b"\x93NUMPY", b"GGUF")):
        raise WeightsError(f"{path}: an HDF5, NumPy or GGUF file, expected safetensors; fetch the .safetensors file")
    if all(c in b"\t\n\r" or 32 <= c < 127 for c in first):
        kind = "a web page" if first.lstrip().startswith(b"<") else "a text file"
        raise WeightsError(f"{path}: {kind} (it starts with {first[:16]!r}), expected safetensors; {FETCH}")
    if first[8:9] == b"{":
        raise WeightsError(
            f"{path}: its first 8 bytes announce a header of {length:,} bytes, but the file has {size:,} and a header "
            f"at most {MAX_HEADER:,}; it is truncated or damaged: {FETCH}"
        )
    raise WeightsError(
        f"{path}: not a safetensors file, or cut off: it starts with {first[:16]!r}, expected 8 bytes of length and a "
        f"JSON header; {FETCH}"
    )
