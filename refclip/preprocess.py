"""From a picture to the pixels that the image tower reads, and from a map back to the picture.

The steps are open_clip's, and a PIL image gives its pixels bit for bit: resize in the picture's own mode with
Pillow (antialiased), crop the centre, *then* convert to RGB, scale to 0..1, normalise by mean and deviation.

Coordinates are continuous: pixel ``i`` covers ``[i, i + 1)``, its centre is ``i + 0.5``
(``align_corners=False``). So one factor and one offset a side lead from the picture to the model's frame, at
any resolution of a map on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from refclip.decode import ImageError

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

# A strip of 1 x 100,000 with its short side brought to 224 has 5 billion pixels, of which the crop keeps 50,000. The
# limit is where Pillow by default takes a picture for a decompression bomb: 360 MB, or 1:1,780 at 224 pixels.
MAX_RESIZED_PIXELS = 89_478_485

_RESIZES = ("shortest", "longest", "squash")
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class Preprocess(NamedTuple):
    """What a model wants done to a picture.

    ``resize`` is open_clip's ``resize_mode``: ``"shortest"`` brings the short side to size and crops the
    centre, ``"squash"`` gives up the aspect ratio, ``"longest"`` brings the long side to size and pads with
    zeros. One difference: for a size that is not square, open_clip's "shortest" is bicubic whatever
    ``interpolation`` says.
    """

    size: tuple[int, int]  # (H, W)
    resize: str = "shortest"
    interpolation: str = "bicubic"  # or "bilinear"; Pillow's, which antialias
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD


class Geometry(NamedTuple):
    """Where the model's frame lies on a picture: what leads a map back, and a mask there."""

    original: tuple[int, int]  # (H0, W0) of the picture given to `preprocess`
    resized: tuple[int, int]  # (H1, W1) after the resize
    corner: tuple[int, int]  # (top, left) of the frame in the resized picture; negative where it was padded
    size: tuple[int, int]  # (H, W) of the frame


def preprocess(
    images: Image.Image | np.ndarray | Sequence[Image.Image | np.ndarray], config: Preprocess
) -> tuple[np.ndarray, tuple[Geometry, ...]]:
    """Resize, crop and normalise pictures.

    Parameters
    ----------
    images
        One picture or a sequence of ``b``, sizes may differ: PIL images of any mode that Pillow brings to
        RGB, or uint8 arrays ``[H0, W0, 3]`` (RGB) or ``[H0, W0]`` (grey). An array ``[b, H0, W0, 3]`` is a
        sequence.
    config
        What the model wants.

    Returns
    -------
    pixels : numpy.ndarray
        float32 ``[b, 3, H, W]``, C-contiguous.
    geometries : tuple of Geometry
        One a picture.

    Raises
    ------
    ImageError
        A picture is empty, cannot be decoded or converted, or is too elongated (``MAX_RESIZED_PIXELS``).
    TypeError
        A picture is neither a PIL image nor a uint8 array of a known shape.
    ValueError
        ``config`` holds an unknown value.
    """
    levels = _normalised_levels(config)
    if isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
        images = [images]
    if isinstance(images, str | bytes) or not isinstance(images, Sequence | np.ndarray):
        raise TypeError(f"images is {type(images).__name__}; expected PIL images or arrays: files need read_image")
    pixels = np.empty((len(images), 3, *config.size), dtype=np.float32)  # [b, 3, H, W]
    geometries = []
    for i, given in enumerate(images):
        name = f"images[{i}]"
        image = _as_pil(given, name)
        geometry = _place((image.height, image.width), config, name)
        rgb = _frame(image, geometry, config, name)  # [H, W, 3]
        for channel in range(3):
            pixels[i, channel] = levels[channel][rgb[:, :, channel]]
        geometries.append(geometry)
    return pixels, tuple(geometries)


def to_original(map: np.ndarray, geometry: Geometry, fill: float = np.nan) -> np.ndarray:
    """Lay a map over the original picture: at each of its pixels, the map's value at the pixel's centre.

    Between the centres of its cells the map is bilinear, beyond the outermost it is held. Shrinking does not
    average: a score belongs to a place, and the answer to "what did the model say here" must not sink because
    the picture is small. (So does PyTorch's ``interpolate``; Pillow's bilinear resize averages when it
    shrinks.)

    Parameters
    ----------
    map
        ``[h, w]`` of any resolution (the patch grid, the model's pixels ...), covering the model's whole
        frame.
    geometry
        From :func:`preprocess`.
    fill
        Value of the pixels that the crop left out: the model never saw them.

    Returns
    -------
    numpy.ndarray
        ``[H0, W0]``, float32 (float64 if ``map`` is).
    """
    map = np.asarray(map)
    if map.ndim != 2 or map.size == 0:
        raise ValueError(f"map has shape {list(map.shape)}; expected [h, w], one map at a time")
    map = map.astype(np.float64 if map.dtype == np.float64 else np.float32, copy=False)
    y_seen, y0, y1, wy = _neighbours(map.shape[0], geometry, axis=0)
    x_seen, x0, x1, wx = _neighbours(map.shape[1], geometry, axis=1)
    wy, wx = wy[:, None].astype(map.dtype), wx.astype(map.dtype)
    rows = map[y0] * (1 - wy) + map[y1] * wy  # [rows seen, w]
    values = rows[:, x0] * (1 - wx) + rows[:, x1] * wx  # [rows seen, columns seen]
    out = np.full(geometry.original, fill, dtype=map.dtype)  # [H0, W0]
    out[y_seen, x_seen] = values
    return out


def to_model(mask: np.ndarray, geometry: Geometry, how: str = "nearest") -> np.ndarray:
    """Bring a ground-truth mask into the model's frame, to evaluate at the model's resolution.

    Parameters
    ----------
    mask
        ``[H0, W0]``, bool or numbers, of the picture's own size.
    geometry
        From :func:`preprocess`.
    how
        ``"nearest"``: the mask at the centre of each pixel of the frame, in the mask's type; thin defects may
        vanish. ``"box"``: float32, the mask's mean over each pixel: ``> 0`` keeps every defect, ``>= 0.5``
        its area.

    Returns
    -------
    numpy.ndarray
        ``[H, W]``; zero where the frame was padded.
    """
    mask = np.asarray(mask)
    if mask.shape != geometry.original:
        raise ValueError(
            f"mask has shape {list(mask.shape)}; expected {list(geometry.original)}, the picture's: was the "
            "picture turned by EXIF (see read_image) and the mask not?"
        )
    if how not in ("nearest", "box"):
        raise ValueError(f"how is {how!r}; expected 'nearest' or 'box'")
    if how == "box":
        rows, columns = _overlaps(geometry, axis=0), _overlaps(geometry, axis=1)
        return (rows @ mask.astype(np.float64) @ columns.T).astype(np.float32)  # [H, W]
    for axis in (0, 1):
        size, original = geometry.size[axis], geometry.original[axis]
        at = (np.arange(size) + 0.5 + geometry.corner[axis]) * original / geometry.resized[axis]
        inside = np.expand_dims((at >= 0) & (at < original), 1 - axis).astype(mask.dtype)
        mask = mask.take(np.clip(at, 0, original - 1).astype(int), axis) * inside  # [H, W0], then [H, W]
    return mask


def _normalised_levels(config: Preprocess) -> np.ndarray:
    """List the 256 float32 values that each channel can take: normalising is a look-up.

    The operations and their order are open_clip's (divide by 255, subtract, divide), so are the roundings.
    """
    if len(config.size) != 2 or min(config.size) < 1:
        raise ValueError(f"size is {config.size}; expected (H, W), both at least 1")
    if config.resize not in _RESIZES:
        raise ValueError(f"resize is {config.resize!r}; expected one of {', '.join(_RESIZES)}")
    if config.interpolation not in _FILTERS:
        raise ValueError(f"interpolation is {config.interpolation!r}; expected one of {', '.join(_FILTERS)}")
    mean, std = np.asarray(config.mean, np.float32), np.asarray(config.std, np.float32)
    if mean.shape != (3,) or std.shape != (3,) or not (std > 0).all():
        raise ValueError(f"mean {config.mean} and std {config.std}; expected three numbers each, std above 0")
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    return (levels - mean[:, None]) / std[:, None]  # [3, 256]


def _as_pil(image: Any, name: str) -> Image.Image:
    if isinstance(image, Image.Image):
        try:
            image.load()  # decodes what Image.open left undecoded; some formats know their size only then
        except Exception as error:  # on damage decoders raise nearly any type: OSError, SyntaxError ...
            raise ImageError(f"{name} cannot be decoded: {error}; expected a whole picture: see read_image") from error
        return image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = f"a {image.dtype} array" if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f"{name} is {found}; expected a PIL image or a uint8 array, values 0..255")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise TypeError(f"{name} has shape {list(image.shape)}; expected [H, W, 3] (RGB) or [H, W] (grey)")
    if image.size == 0:
        raise ImageError(f"{name} has shape {list(image.shape)}; expected at least one pixel")
    return Image.fromarray(image)


def _place(original: tuple[int, int], config: Preprocess, name: str) -> Geometry:
    """Size after the resize and place of the frame, rounded as open_clip rounds them."""
    (h, w), (th, tw) = original, config.size
    if min(h, w) < 1:
        raise ImageError(f"{name} has {h} x {w} pixels; expected at least one")
    if config.resize == "squash":
        resized = (th, tw)
    elif config.resize == "shortest" and th == tw:
        resized = (th, int(th * w / h)) if h < w else (int(th * h / w), th)
    else:
        ratio = (min if config.resize == "shortest" else max)(h / th, w / tw)
        resized = (round(h / ratio), round(w / ratio))
    if not 0 < resized[0] * resized[1] <= MAX_RESIZED_PIXELS:
        raise ImageError(
            f"{name} has {h} x {w} pixels and after the resize {resized[0]} x {resized[1]}; expected 1 to "
            f"{MAX_RESIZED_PIXELS}: too elongated for resize={config.resize!r}, cut it into tiles or squash"
        )
    # The odd pixel goes to the right and the bottom when padding; a crop starts at its half, rounded to even.
    top, left = (-((t - r) // 2) if t > r else round((r - t) / 2) for r, t in zip(resized, config.size, strict=True))
    return Geometry(original, resized, (top, left), (th, tw))


def _frame(image: Image.Image, geometry: Geometry, config: Preprocess, name: str) -> np.ndarray:
    """Cut the model's frame out of a picture: uint8 RGB [H, W, 3]."""
    (h1, w1), (top, left), (h, w) = geometry.resized, geometry.corner, geometry.size
    try:
        image = image.resize((w1, h1), _FILTERS[config.interpolation])
        if top < 0 or left < 0:
            # Zero in the picture's own mode, as in open_clip: black in RGB, white in CMYK, colour 0 in P.
            border = (max(-left, 0), max(-top, 0), max(w - w1 + left, 0), max(h - h1 + top, 0))
            bands = len(image.getbands())
            padded = ImageOps.expand(image, border, (0,) * bands if bands > 1 else 0)
            if image.mode == "P":
                padded.putpalette(image.getpalette() or [])
            image, top, left = padded, max(top, 0), max(left, 0)
        image = image.crop((left, top, left + w, top + h))
        image.info.pop("transparency", None)  # no colour depends on it; Pillow warns that RGB cannot keep it
        return np.asarray(image.convert("RGB"))  # [H, W, 3]
    except Exception as error:  # a ValueError, or of LAB a PyCMSError, which is of no kind
        raise ImageError(f"{name} has mode {image.mode}; expected one that Pillow brings to RGB: {error}") from error


def _neighbours(cells: int, geometry: Geometry, axis: int) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray]:
    """Along one side: the original pixels seen, the map's two cells around each, the weight of the second."""
    size, original = geometry.size[axis], geometry.original[axis]
    at = (np.arange(original) + 0.5) * geometry.resized[axis] / original - geometry.corner[axis]
    inside = np.flatnonzero((at >= 0) & (at < size))
    seen = slice(inside[0], inside[-1] + 1) if len(inside) else slice(0, 0)
    at = np.clip(at[seen] * cells / size - 0.5, 0, cells - 1)
    lower = at.astype(int)
    return seen, lower, np.minimum(lower + 1, cells - 1), at - lower


def _overlaps(geometry: Geometry, axis: int) -> np.ndarray:
    """Share of each pixel of the frame that each original pixel covers along one side, [H, H0]."""
    original, step = geometry.original[axis], geometry.original[axis] / geometry.resized[axis]
    start = (np.arange(geometry.size[axis])[:, None] + geometry.corner[axis]) * step
    pixel = np.arange(original)
    return np.clip(np.minimum(start + step, pixel + 1) - np.maximum(start, pixel), 0, None) / step
