"""From a picture file to a decoded picture, whole or not at all.

Pillow decodes; this file decides what a damaged, rotated, 16-bit or hostile file means, and says so. The way on, from a
picture to pixels, is `preprocess`.
"""

from __future__ import annotations

import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

# Endings of files that a folder is searched for; a file that is named by itself may have any
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2",
            ".avif")  # fmt: skip

_UPRIGHT = {  # EXIF orientation -> what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """A picture that cannot be used; the message says which, what was found and expected, and what to do."""


def read_image(path: str | PathLike[str], *, exif: bool = True, sixteen_bit: str = "scale") -> Image.Image:
    """Read the first frame of a picture file, whole or not at all.

    ======================  ===========================================  ====================================
    file                    by default                                   ``exif=False, sixteen_bit="clip"``
    ======================  ===========================================  ====================================
    8 bits a channel        what ``PIL.Image.open`` gives, mode kept     the same
    EXIF orientation        applied, and the metadata for it dropped     not applied (Pillow turns TIFF still)
    grey, 16 bits           ``L``: value / 257, rounded                  mode kept; RGB will clip at 255
    grey, 32-bit integers   the same if within 0..65535, else an error   mode kept; RGB will clip at 255
    grey, floats            ``L``: value x 255 in 0..1, else an error    mode kept; RGB will clip at 255
    colour, 16 bits         what Pillow gives: the upper 8 bits          the same
    GIF, TIFF, WebP ...     the first frame                              the same
    ======================  ===========================================  ====================================

    The right column is what open_clip's users get. Clipping turns nearly every 16-bit picture white without a
    word, so it has to be asked for. The scale is the file type's range and not the picture's content, so that
    the pictures of a series stay comparable; a 12-bit camera's values in 16-bit files come out dark: scale
    such data yourself and pass arrays. Damage that a format cannot detect (a flipped bit in JPEG data) stays
    undetected, and EXIF data that cannot be read count as none.

    Parameters
    ----------
    path
        A regular file.
    exif
        Whether to turn the picture as its EXIF orientation says.
    sixteen_bit
        ``"scale"`` or ``"clip"``: what becomes of more than 8 bits of grey.

    Returns
    -------
    PIL.Image.Image
        Decoded, and independent of the file.

    Raises
    ------
    ImageError
        The file is missing, empty, no picture, truncated, damaged or too large (Pillow's
        ``MAX_IMAGE_PIXELS``).
    """
    if sixteen_bit not in ("scale", "clip"):
        raise ValueError(f"sixteen_bit is {sixteen_bit!r}; expected 'scale' or 'clip'")
    path = Path(path)
    name = str(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would block on opening
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise ImageError(f"{name}: is {kind}; expected a picture file: pass the path of one")
        if found.st_size == 0:
            raise ImageError(f"{name}: is empty (0 bytes); expected a picture: copy or download it again")
        # Not by name: Pillow would map plain pixels into memory, tied to the file, and scrambled in a turned TIFF.
        with path.open("rb") as file:
            image = _decode(file, name)
    except OSError as error:
        raise ImageError(f"{name}: cannot be opened ({error.strerror}); expected a readable file") from error
    if sixteen_bit == "scale" and (image.mode in ("I", "F") or image.mode.startswith("I;16")):
        image = _to_eight_bits(image, name)
    turn = _UPRIGHT.get(_orientation(image)) if exif else None
    if turn is not None:
        image = image.transpose(turn)
        for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"):
            image.info.pop(key, None)  # the next reader of this metadata would turn the picture again
    return image


def _decode(file: BinaryIO, name: str) -> Image.Image:
    with _strict_pillow():
        try:
            with Image.open(file) as image:
                if image.format == "EPS":  # Pillow would hand it to an interpreter outside
                    raise ImageError(f"{name}: is PostScript, a program; expected a picture: convert it to PNG")
                image.load()
                if image.format == "JPEG2000":  # cut right after its header it decodes, to black
                    file.seek(0)
                    if b"\xff\xd9" not in file.read():
                        raise OSError("image file is truncated: no end marker")
                return image.copy()
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            raise ImageError(
                f"{name}: is not a picture that Pillow knows, or its header is damaged; expected PNG, JPEG, "
                "TIFF, BMP, WebP ...: open it in a viewer to see what it is"
            ) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ImageError(
                f"{name}: is too large: {error} Expected at most {Image.MAX_IMAGE_PIXELS} pixels: shrink it, "
                "cut it into tiles, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
            ) from error
        except Exception as error:  # on damage decoders raise nearly any type: OSError, SyntaxError ...
            raise ImageError(
                f"{name}: cannot be decoded ({type(error).__name__}: {error}); expected a whole picture: "
                "it is truncated or damaged, copy or download it again"
            ) from error


_lock = threading.Lock()
_reading: set[int] = set()  # threads
_undo = ExitStack()


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Make Pillow refuse truncated and huge files, and keep its other warnings to itself.

    These settings are the whole process's. So the first thread to enter makes them and the last to leave
    undoes them: if each saved and restored them on its own, interleaved, they could stay changed for good.
    """
    with _lock:
        if not _reading:
            _undo.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
            _undo.callback(setattr, ImageFile, "LOAD_TRUNCATED_IMAGES", ImageFile.LOAD_TRUNCATED_IMAGES)
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _reading.add(threading.get_ident())
    try:
        yield
    finally:
        with _lock:
            _reading.discard(threading.get_ident())
            if not _reading:
                _undo.close()


def _orientation(image: Image.Image) -> int:
    with _strict_pillow(), suppress(Exception):  # damaged EXIF raises nearly any type; viewers ignore it
        return int(image.getexif().get(0x0112, 1))
    return 1


def _to_eight_bits(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    top = 1 if image.mode == "F" else 65535
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # NaN fails too
        raise ImageError(
            f"{name}: holds values from {low} to {high} (mode {image.mode}); expected 0 to {top}, which "
            "read_image can scale: scale it to uint8 yourself and pass the array, or, if it holds 0 to 255, "
            "use sixteen_bit='clip'"
        )
    grey = Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))
    grey.info = {key: value for key, value in image.info.items() if key != "transparency"}  # a 16-bit level
    return grey
