"""What open_clip's transform makes of small pictures of every mode: the content of tests/golden/preprocess.npz."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
from open_clip.transform import image_transform
from PIL import Image

# name, mode, (H0, W0): noise is the hardest input for a resampler, and two sizes cover growing and shrinking.
SOURCES = [
    ("bits", "1", (21, 30)),
    ("grey", "L", (30, 21)),
    ("grey_alpha", "LA", (19, 26)),
    ("palette", "P", (26, 19)),
    ("palette_one_transparent", "P", (26, 19)),
    ("palette_transparent", "P", (26, 19)),
    ("colour", "RGB", (25, 33)),
    ("colour_alpha", "RGBA", (24, 17)),
    ("ink", "CMYK", (17, 24)),
    ("luma", "YCbCr", (18, 22)),
    ("grey_16", "I;16", (22, 18)),
    ("grey_32", "I", (22, 18)),
    ("grey_float", "F", (18, 22)),
    ("one_pixel", "RGB", (1, 1)),
    ("row", "RGB", (1, 9)),
    ("column", "RGBA", (9, 1)),
    ("strip", "RGB", (3, 70)),
    ("same_size", "RGB", (16, 16)),
    ("large", "RGB", (60, 45)),
]
# (H, W), resize_mode, interpolation. The last is not square: there open_clip is bicubic whatever it is asked.
CONFIGS = [
    ((16, 16), "shortest", "bicubic"),
    ((16, 16), "shortest", "bilinear"),
    ((16, 16), "squash", "bicubic"),
    ((11, 16), "squash", "bilinear"),
    ((12, 17), "longest", "bicubic"),
    ((11, 16), "shortest", "bicubic"),
]


def build() -> dict[str, np.ndarray]:
    """Sources as raw bytes with their palette and transparency, and float32 pixels [source, config] one by one."""
    rng = np.random.default_rng(20240229)
    golden: dict[str, np.ndarray] = {"configs": _text(CONFIGS)}
    described = []
    for name, mode, (h, w) in SOURCES:
        image = noise(rng, mode, h, w)
        if name == "palette_one_transparent":
            image.info["transparency"] = 3
        if name == "palette_transparent":
            image.info["transparency"] = bytes(range(0, 255, 16))
        transparency = image.info.get("transparency")
        described.append([name, mode, [h, w], list(transparency) if isinstance(transparency, bytes) else transparency])
        golden[f"{name}/source"] = np.frombuffer(image.tobytes(), np.uint8)
        if mode == "P":
            golden[f"{name}/palette"] = np.asarray(image.getpalette(), np.uint8)
        for i, (size, resize, interpolation) in enumerate(CONFIGS):
            golden[f"{name}/{i}"] = reference(image, size, resize, interpolation)
    golden["sources"] = _text(described)
    return golden


def reference(image: Image.Image, size: tuple[int, int], resize: str, interpolation: str) -> np.ndarray:
    """open_clip's float32 pixels [3, H, W]."""
    given = size[0] if size[0] == size[1] else size
    transform: Any = image_transform(given, is_train=False, resize_mode=resize, interpolation=interpolation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about transparency that RGB cannot keep
        return transform(image).numpy()


def noise(rng: np.random.Generator, mode: str, h: int, w: int) -> Image.Image:
    """A picture of noise of a mode, out-of-range values included where the mode allows them."""
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 600, (h, w), dtype=np.uint16))
    if mode == "I":
        return Image.fromarray(rng.integers(-100, 400, (h, w), dtype=np.int32))
    if mode == "F":
        return Image.fromarray(rng.uniform(-100, 400, (h, w)).astype(np.float32))
    if mode == "P":
        image = Image.frombytes("P", (w, h), rng.integers(0, 16, h * w, dtype=np.uint8).tobytes())
        image.putpalette(rng.integers(0, 256, 48, dtype=np.uint8).tobytes())
        return image
    if mode == "1":
        return Image.fromarray(rng.integers(0, 2, (h, w)).astype(bool))
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (w, h), rng.integers(0, 256, h * w * bands, dtype=np.uint8).tobytes())


def _text(value: list) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode("ascii"), np.uint8)
