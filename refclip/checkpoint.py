"""A safetensors file -> named arrays, memory-mapped. Anything else -> one clear error, before anything is allocated.

The `safetensors` library checks the header (its size against the file's, every offset against its shape); the arrays are
then views of the mapped file, read from disk as they are used. bfloat16, which NumPy lacks, is widened to float32.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

# float types of the format -> NumPy's; integer types may only be metadata of the model (position ids)
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}


class WeightsError(ValueError):
    """A weight file, or the configuration beside it, that cannot be used. The message names the file."""


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every floating-point tensor of a safetensors file.

    Parameters
    ----------
    path : path of the file

    Returns
    -------
    dict of str -> array
        float16, float32 and float64 tensors as read-only views of the mapped file, bfloat16 as float32 copies. Integer
        and boolean tensors are left out: no CLIP computes with one.

    Raises
    ------
    WeightsError
        Not there, not a safetensors file (the message says what it looks like: a pickle, text, a Git LFS pointer, an
        unfinished download), a header that does not fit the file, or float16 and bfloat16 mixed in one file.
    """
    path = Path(path)
    header, start = read_header(path)
    types = {entry["dtype"] for entry in header.values()}
    if {"F16", "BF16"} <= types:
        raise WeightsError(f"{path}: float16 and bfloat16 tensors in one file; no tool writes that, so it is damaged")
    try:
        mapped = np.memmap(path, mode="r", dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be mapped into memory ({error})") from error
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in FLOATS:
            if entry["dtype"] in ("I64", "I32", "BOOL", "U8", "I8", "I16", "U16", "U32", "U64"):
                continue
            raise WeightsError(
                f"{path}: tensor {name!r} has type {entry['dtype']}, expected one of {', '.join(FLOATS)}; "
                "convert the weights to float16 or float32"
            )
        begin, end = entry["data_offsets"]
        flat = mapped[start + begin : start + end].view(FLOATS[entry["dtype"]])
        if entry["dtype"] == "BF16":  # the upper half of a float32
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        elif not flat.flags.aligned:  # BLAS would copy it at every product; copy it once
            flat = flat.copy()
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Checked header of a safetensors file, and the offset at which its tensors start.

    Returns
    -------
    header : dict of tensor name -> {"dtype", "shape", "data_offsets"}
    start : int
    """
    size = _size(path)
    with open(path, "rb") as file:
        first = file.read(min(size, 64))
    _refuse_other_formats(path, first, size)
    length = int.from_bytes(first[:8], "little")
    if length > size - 8:
        raise WeightsError(
            f"{path}: its first 8 bytes announce a header of {length:,} bytes, but the file has {size:,}; "
            "it is truncated or not a safetensors file: fetch it again"
        )
    from safetensors import SafetensorError, safe_open  # here: importing refclip should not wait for it

    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"{path}: not a valid safetensors file of {size:,} bytes ({error}); it is truncated or damaged: fetch it again"
        ) from error
    with open(path, "rb") as file:
        file.seek(8)
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its header is not valid JSON ({error}); fetch it again") from error
    header.pop("__metadata__", None)
    return header, 8 + length


def require_finite(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Refuse NaN and infinity, naming the tensors.

    Raises
    ------
    WeightsError
    """
    broken = []
    for name, x in tensors.items():
        with np.errstate(over="ignore", invalid="ignore"):  # an overflowing sum only means: look closer
            total = x.sum(dtype=np.float32) if x.dtype == np.float16 else x.sum()
        if not np.isfinite(total) and not np.isfinite(x).all():
            broken.append(name)
    if broken:
        raise WeightsError(
            f"{path}: not finite (NaN or infinity) in {listed(broken)}; the file is damaged: fetch it again"
        )


def listed(names: list[str], most: int = 5) -> str:
    """A readable list of at most `most` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _size(path: Path) -> int:
    if path.is_dir():
        raise WeightsError(f"{path}: a folder, where a .safetensors file was expected")
    try:
        return path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def _refuse_other_formats(path: Path, first: bytes, size: int) -> None:
    if size < 8:
        raise WeightsError(f"{path}: {size} bytes, too short for a safetensors file; fetch it again")
    if first.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise WeightsError(
            f"{path}: a PyTorch pickle (.pt, .pth, .bin). refclip never executes a pickle; fetch the .safetensors file "
            "of the same model"
        )
    if first.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path}: a Git LFS pointer, not the weights; fetch the real file (`git lfs pull`)")
    if first.startswith(b"\x89HDF") or first.startswith(b"\x93NUMPY") or first.startswith(b"GGUF"):
        raise WeightsError(f"{path}: an HDF5, NumPy or GGUF file, where safetensors was expected")
    # a safetensors file has '{' at byte 8; a text file is printable from its first byte on
    if first[8:9] != b"{" or all(c in b"\t\n\r" or 32 <= c < 127 for c in first[:8]):
        kind = "a text file" if all(c in b"\t\n\r" or c >= 32 for c in first) else "not a safetensors file"
        raise WeightsError(
            f"{path}: {kind} (it starts with {first[:16]!r}); expected safetensors: fetch the right file"
        )


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice")
    return dict(pairs)
