"""The metrics of a category that does not fit in memory: its pixels wait on disk, in sorted runs.

    with Spool() as spool:
        for map, mask in ...:
            spool.add(map, mask)
        result = spool.metrics()

Runs are sorted when they are full and never merged: counts add up over runs (`ranking`), so the result is that of
`metrics.pixel_metrics` to the last bit. Files hold bare numbers; nothing in them is ever executed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from refclip.metrics import LIMIT, PixelMetrics, measure
from refclip.ranking import PIECE, Ranked, Run
from refclip.regions import as_scores, split

RUN = 1 << 23  # normal pixels sorted at a time; anomalous ones, of which more is kept, by the `PIECE`


class Spool:
    """Pixels of a category, added map by map. At the end of its `with` block, however it comes, the files are gone.

    Memory stays below 250 MB, or 350 MB with float64, whatever is added, besides the one map at hand. A normal pixel
    takes 4 bytes of disk and an anomalous one 8, or 4 more each. `metrics` reads all of it once for each million of
    anomalous pixels.

    Parameters
    ----------
    folder : path, optional
        Where the files are, the system's folder for temporary files unless given. They have no names there, and go
        with the process even if it is killed (not on Windows).
    dtype : {"float32", "float64"}
        Scores are rounded to it. The result is exactly the one in memory for scores that it holds exactly.

    Raises
    ------
    ValueError
        Another dtype.
    OSError
        The folder cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, dtype: Literal["float32", "float64"] = "float32"
    ) -> None:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype is {dtype!r}; expected 'float32' or 'float64'")
        self.dtype = np.dtype(dtype)
        self.maps = self.regions = 0
        self.low, self.high = self.dtype.type(np.inf), self.dtype.type(-np.inf)
        self.normal = _Runs(folder, RUN, self.dtype)
        try:
            self.anomalous = _Runs(folder, PIECE, self.dtype, np.dtype(np.uint32))
        except BaseException:
            self.normal.file.close()
            raise

    def add(self, scores: ArrayLike, mask: ArrayLike | None) -> None:
        """Append the pixels of one map.

        Parameters
        ----------
        scores, mask : arrays [H, W]
            As in `metrics.aupro`; None for an image without a defect.

        Raises
        ------
        ValueError
            As in `metrics.aupro`, or a score that the dtype cannot hold; nothing was added.
        OSError
            The disk is full: the spool is of no more use.
        """
        self.normal.check_open()
        name = f"maps[{self.maps}]"
        scores = as_scores(scores, name)
        with np.errstate(over="ignore"):  # said better below
            values = scores.astype(self.dtype, copy=False)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name}: {self.dtype} cannot hold {np.abs(scores).max()}; rescale the scores, or use dtype='float64'"
            )
        pixels = split(values, mask, self.maps)
        self.maps += 1
        self.regions += pixels.regions
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self.normal.append(pixels.normal)
        self.anomalous.append(pixels.anomalous, pixels.areas)

    def metrics(self, limit: float = LIMIT, thresholds: int | None = None) -> PixelMetrics:
        """The metrics of all pixels so far; more may be added afterwards.

        Parameters
        ----------
        limit, thresholds
            As in `metrics.aupro`.

        Raises
        ------
        ValueError
            Nothing was added, or as in `metrics.pixel_metrics`.
        OSError
            The disk is full.
        """
        if not self.maps:
            raise ValueError("no map was added; expected one at least: add(map, mask)")
        for runs in (self.normal, self.anomalous):
            runs.flush()
        counted = self.normal.written, self.anomalous.written, self.regions
        return measure(Ranked(self.normal, self.anomalous, *counted, self.low, self.high), limit, thresholds)

    def close(self) -> None:
        """Remove the files. The end of a `with` block does it."""
        self.normal.close()
        self.anomalous.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Runs:
    """A file of sorted runs, each one column after another; and the run that is being filled."""

    def __init__(self, folder: str | os.PathLike[str] | None, length: int, *dtypes: np.dtype) -> None:
        self.filling = [np.empty(length, dtype) for dtype in dtypes]  # [length]; costs memory as it is filled
        self.filled = self.written = 0
        self.lengths: list[int] = []
        self.file = tempfile.TemporaryFile(prefix="refclip-", dir=folder)  # noqa: SIM115, the spool closes it

    def append(self, *columns: np.ndarray) -> None:
        """Add values; each run that gets full is sorted and written."""
        self.check_open()
        start, length = 0, self.filling[0].size
        while start < columns[0].size:
            stop = min(start + length - self.filled, columns[0].size)
            for kept, column in zip(self.filling, columns, strict=True):
                kept[self.filled : self.filled + stop - start] = column[start:stop]
            self.filled += stop - start
            start = stop
            if self.filled == length:
                self.flush()

    def flush(self) -> None:
        """Sort and write what there is, as a run."""
        self.check_open()
        if not self.filled:
            return
        columns = [column[: self.filled] for column in self.filling]
        if len(columns) == 1:
            columns[0].sort()  # in place: no order to be kept for another column, and several times as fast
        else:
            order = np.argsort(columns[0])
            columns = [column[order] for column in columns]
        self.file.seek(0, os.SEEK_END)
        for column in columns:
            self.file.write(column.data)
        self.lengths.append(self.filled)
        self.written += self.filled
        self.filled = 0

    def __iter__(self) -> Iterator[Run]:
        offset = 0
        for length in self.lengths:
            columns = tuple(np.empty(length, column.dtype) for column in self.filling)
            self.file.seek(offset)  # another iterator may have been here
            for column in columns:
                if self.file.readinto(column.data) != column.nbytes:
                    raise OSError("a temporary file has become shorter: was it cut by something else?")
                offset += column.nbytes
            yield columns

    def close(self) -> None:
        self.filling = [column[:0] for column in self.filling]
        self.file.close()

    def check_open(self) -> None:
        if self.file.closed:
            raise ValueError("this spool is closed; add and measure inside its `with` block")
