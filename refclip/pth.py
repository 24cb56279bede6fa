"""A `.pth` file -> named arrays, without executing anything in it.

PyTorch saves a zip: `NAME/data.pkl`, a pickle that says what there is, and `NAME/data/0`, `NAME/data/1`, ..., the
numbers. The pickle is not run but read, by `pickled`. What a tensor claims (type, shape, strides, place) is checked
before its numbers are read.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np  # noqa: TID251  (files are the host's)

from refclip.checkpoint import WeightsError, file_size, shown, to_float
from refclip.pickled import STORAGES, Refused, Storage, Tensor, run

MAX_PICKLE = 4 << 20  # bytes; that of a CLIP of 400 tensors takes 0.1 MB
MAX_DEPTH = 8  # dicts in dicts
MAX_TENSORS = 100_000
ADVICE = "refclip reads files of torch.save that hold a state_dict, tensors by name; nothing in the file was executed"


def read_pth(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every tensor of a file that `torch.save` wrote.

    Parameters
    ----------
    path : path of the file

    Returns
    -------
    dict of str -> array
        Names of nested dicts are joined with dots: "prompt_learner.ctx_pos". bfloat16 becomes float32; other types
        stay. What is no tensor is passed over.

    Raises
    ------
    WeightsError
        Not such a file, of PyTorch's format before 1.6, a TorchScript program, damaged, or anything in its pickle but
        tensors in dicts and lists. The message says what.
    """
    path = Path(path)
    size = file_size(path)
    try:
        with path.open("rb") as file:
            first = file.read(64)
        if not first.startswith(b"PK\x03\x04"):
            _not_a_zip(first)
        with zipfile.ZipFile(path) as archive:
            records, top = _records(archive, size)
            raw = archive.read(records[f"{top}data.pkl"])
            storages: dict[Storage, np.ndarray] = {}
            found = {}
            tensors = _flat(run(raw))
            taken = sum(math.prod(t.shape) * np.dtype(STORAGES[t.storage.kind]).itemsize for t in tensors.values())
            if taken > 2 * size:  # a few may share their numbers, but not all of them again and again
                raise Refused(f"its tensors take {taken:,} bytes, in a file of {size:,}")
            for name, tensor in tensors.items():
                if tensor.storage not in storages:
                    storages[tensor.storage] = _numbers(archive, records, top, tensor.storage)
                found[name] = _view(storages[tensor.storage], tensor, name)
            return found
    except Refused as error:
        raise WeightsError(f"{path}: {error}; {ADVICE}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{path}: a damaged or foreign zip ({error}); fetch the file again") from error


def _flat(tree: Any) -> dict[str, Tensor]:
    """Tensors by name; dicts and lists are opened, the rest is passed over."""
    found: dict[str, Tensor] = {}
    seen = 0

    def walk(x: Any, name: str, depth: int) -> None:
        nonlocal seen
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_TENSORS:
            raise Refused(f"its content is nested deeper than {MAX_DEPTH}, or has more than {MAX_TENSORS:,} parts")
        if type(x) is Tensor:
            if name in found:
                raise Refused(f"two tensors are called {shown(name)}")
            found[name] = x
        elif type(x) is dict or type(x) in (list, tuple):
            for key, value in x.items() if type(x) is dict else enumerate(x):
                walk(value, f"{name}.{key}" if name else str(key), depth + 1)

    walk(tree, "", 0)
    if not found:
        raise Refused("there is no tensor in it")
    return found


def _records(archive: zipfile.ZipFile, size: int) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """The zip's entries by name, and the folder they are in, once they are as torch.save makes them."""
    records = {info.filename: info for info in archive.infolist()}
    if len(records) != len(archive.infolist()):
        raise Refused("its zip has two entries of one name")
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in records.values()):
        raise Refused("its zip is compressed or encrypted, which torch.save's is not")
    if sum(info.file_size for info in records.values()) > size:
        raise Refused("the entries of its zip are larger than the file")
    tops = [name.removesuffix("data.pkl") for name in records if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(tops) != 1:
        raise Refused("its zip has no NAME/data.pkl, or several")
    if any(name.startswith(f"{tops[0]}code/") or name == f"{tops[0]}constants.pkl" for name in records):
        raise Refused("it is a TorchScript program")
    if records[f"{tops[0]}data.pkl"].file_size > MAX_PICKLE:
        raise Refused(
            f"its pickle has {records[f'{tops[0]}data.pkl'].file_size:,} bytes, expected at most {MAX_PICKLE:,}"
        )
    order = records.get(f"{tops[0]}byteorder")
    if order is not None and (order.file_size > 16 or archive.read(order) != b"little"):
        raise Refused("its numbers are not little-endian")
    return records, tops[0]


def _numbers(archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo], top: str, storage: Storage) -> np.ndarray:
    """The numbers of a storage, in one row."""
    info, dtype = records.get(f"{top}data/{storage.key}"), np.dtype(STORAGES[storage.kind])
    need = storage.length * dtype.itemsize
    if info is None or info.file_size != need:
        there = "no such entry" if info is None else f"{info.file_size:,} bytes"
        raise Refused(
            f"storage {storage.key}, {storage.length:,} of {storage.kind}: found {there}, expected {need:,} bytes"
        )
    row = np.frombuffer(archive.read(info), np.uint8)
    return row.astype(bool) if dtype == np.bool_ else row.view(dtype)


def _view(row: np.ndarray, t: Tensor, name: str) -> np.ndarray:
    """The elements that a tensor names, as an array of its own."""
    count = math.prod(t.shape)
    last = t.offset + sum((side - 1) * stride for side, stride in zip(t.shape, t.strides, strict=True))
    if count > len(row) or (count and last >= len(row)):
        raise Refused(
            f"tensor {shown(name)} of shape {t.shape}, strides {t.strides} from {t.offset} on does not fit its "
            f"storage of {len(row):,}"
        )
    steps = [stride * row.itemsize for stride in t.strides]
    x = np.lib.stride_tricks.as_strided(row[t.offset :], t.shape, steps) if count else np.empty(t.shape, row.dtype)
    return to_float(np.array(x), np.float32) if t.storage.kind == "BFloat16Storage" else np.array(x)


def _not_a_zip(first: bytes) -> NoReturn:
    if first.startswith((b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", b"\x80")):
        raise Refused(
            "a bare pickle, as PyTorch before 1.6 saved; expected a zip: save it anew with a PyTorch of today, if you "
            "trust its source"
        )
    raise Refused(f"it starts with {first[:16]!r}, expected a zip")
