"""One image of a data set, what is known of it, and its pixels with their mask, never resized."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from refclip.decode import ImageError, read_image


class DataError(ValueError):
    """A data set that cannot be read; the message says what was found, what was expected, and what to do."""


class Sample(NamedTuple):
    """An image to be judged, and what is known of it."""

    path: Path
    label: int | None  # 0 normal, 1 anomalous, None unknown
    mask: Path | None  # where the anomalous pixels are; None: nobody says
    category: str
    defect: str  # the name of its kind, "good" if normal, "" if unknown
    split: str  # "train" or "test"
    part: tuple[int, int] | None = None  # (0, 2): it is the upper half of the image, (1, 2) the lower


class Problem(NamedTuple):
    """What is wrong with one file or folder, while the rest is done."""

    path: Path
    what: str  # a message that names the path too


class Loaded(NamedTuple):
    """A sample with its pixels."""

    sample: Sample
    image: np.ndarray  # uint8 [H, W, 3]
    mask: np.ndarray | None  # bool [H, W]


def load(sample: Sample, *, exif: bool = True, threshold: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a sample's image and mask; nothing is resized.

    Parameters
    ----------
    sample : Sample
    exif : bool
        Whether image and mask are turned as their EXIF orientation says, each by its own. Published code does not turn.
    threshold : int, optional
        What a mask marks lies above it; see `read_mask`.

    Returns
    -------
    image : numpy.ndarray
        uint8 RGB [H, W, 3]. Resizing it is what published code does unless the file has a palette or transparency.
    mask : numpy.ndarray or None
        bool [H, W], True where anomalous. All False for a normal image; None if nobody says.

    Raises
    ------
    ImageError
        One of the files cannot be read, or their sizes differ.
    """
    image = to_rgb(read_image(sample.path, exif=exif), sample.path)  # [H, W, 3]
    mask = None
    if sample.mask is not None:
        mask = read_mask(sample.mask, threshold=threshold, exif=exif)  # [H, W]
        if mask.shape != image.shape[:2]:
            (h, w), (mh, mw) = image.shape[:2], mask.shape
            turned = " (did EXIF turn one of them only? Then exif=False)" if (h, w) == (mw, mh) else ""
            raise ImageError(
                f"{sample.mask}: {mw} x {mh} pixels, expected {w} x {h}, the size of {sample.path}{turned}; is it the "
                "mask of another image? Masks are not resized"
            )
    elif sample.label == 0:
        mask = np.zeros(image.shape[:2], dtype=bool)  # [H, W]
    return cut(image, sample.part), None if mask is None else cut(mask, sample.part)


def load_usable(sample: Sample) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Image, mask, and what is wrong with the mask, which then is None: the image still counts.

    A mask that marks nothing is wrong on an anomalous image: it would call every pixel of the defect normal.

    Raises
    ------
    ImageError
        The image cannot be read.
    """
    try:
        image, mask = load(sample)
    except ImageError as error:
        if sample.mask is None:
            raise
        image, _ = load(sample._replace(mask=None, label=None))
        return image, None, str(error)
    if sample.label == 1 and mask is not None and not mask.any():
        return image, None, f"{sample.mask}: marks no pixel, expected some, as {sample.path} counts as anomalous"
    return image, mask, ""


def load_all(
    samples: Iterable[Sample], fail: Callable[[Problem], object], *, exif: bool = True, threshold: int | None = None
) -> Iterator[Loaded]:
    """Load samples one after the other; those that `load` refuses go to `fail`, the rest comes on.

    Parameters
    ----------
    samples : iterable of Sample
    fail : callable
        What is called with each `Problem`: `problems.append`, for one.
    exif, threshold
        As for `load`.

    Yields
    ------
    Loaded
    """
    for sample in samples:
        try:
            image, mask = load(sample, exif=exif, threshold=threshold)
        except ImageError as error:
            fail(Problem(sample.path, str(error)))
            continue
        yield Loaded(sample, image, mask)


def metrics(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Say which metrics exist for samples: "image" if some are normal and some anomalous, "pixel" if there are masks.

    Anomalous images without a mask count for "image" only: leave them out of "pixel".
    """
    samples = list(samples)
    both = {0, 1} <= {sample.label for sample in samples}
    masks = any(sample.label == 1 and sample.mask is not None for sample in samples)
    return ("image",) * both + ("pixel",) * masks


def read_mask(path: Path, *, threshold: int | None = None, exif: bool = True) -> np.ndarray:
    """Read a mask: what is above the threshold is marked.

    At 0, which is what published code does, any value but 0 counts: MVTec AD's masks hold 0 and 255, VisA's the number
    of the kind of defect. In a mask in colours one channel suffices, and transparency does not count. A JPEG has greys
    around every edge, so that at 0 its regions come out too large.

    Parameters
    ----------
    path : Path
    threshold : int, optional
        In the file's own values. By default 127 for a JPEG, and 0 for others.
    exif : bool
        Whether to turn it as its EXIF orientation says.

    Returns
    -------
    numpy.ndarray
        bool [H, W]

    Raises
    ------
    ImageError
        It cannot be read.
    """
    image = read_image(path, exif=exif, sixteen_bit="clip")  # scaled to 8 bits, a 1 of 65535 would be 0
    if image.mode == "1":
        image = image.convert("L")
    grey = image.mode in ("L", "I", "F") or image.mode.startswith("I;16")
    values = np.asarray(image) if grey else to_rgb(image, path).max(axis=2)  # [H, W]
    if threshold is None:
        threshold = 127 if path.suffix.casefold() in (".jpg", ".jpeg") else 0
    return np.greater(values, threshold)


def to_rgb(image: Image.Image, path: Path) -> np.ndarray:
    """Bring a picture to uint8 RGB [H, W, 3]; ImageError if Pillow cannot."""
    image = image.copy()
    image.info.pop("transparency", None)  # no colour depends on it; Pillow warns that RGB cannot keep it
    try:
        return np.array(image.convert("RGB"))  # [H, W, 3]
    except Exception as error:  # a ValueError, or of LAB a PyCMSError, which is of no kind
        raise ImageError(f"{path}: has mode {image.mode}; expected one that Pillow brings to RGB: {error}") from error


def cut(array: np.ndarray, part: tuple[int, int] | None) -> np.ndarray:
    """Rows of an image or a mask [H, W, ...] that belong to a part of it: (0, 2) the upper half, (1, 2) the lower."""
    if part is None:
        return array
    i, of = part
    return array[len(array) * i // of : len(array) * (i + 1) // of]
