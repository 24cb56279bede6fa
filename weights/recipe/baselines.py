"""What a detector must beat before it may be called one: three maps that know nothing of defects.

They answer for a benchmark as well: one that is solved by "defects are in the middle", "defects are on the object" or
"defects are where the contrast is" measures that and nothing else.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

CONTRAST = 15  # pixels: the side of the window of `local_contrast`, for images of 240


def centre(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] -> [H, W]: minus the distance to the centre, in half sides."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape[:2])
    return -np.hypot(y[:, None], x[None])


def foreground(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 -> [H, W]: how far a pixel's colour is from that of the image's rim, in greys.

    On a surface the rim looks like the rest, and the map says little.
    """
    pixels = image.astype(np.float32)
    rim = np.concatenate([pixels[:6].reshape(-1, 3), pixels[-6:].reshape(-1, 3), pixels[:, :6].reshape(-1, 3),
                          pixels[:, -6:].reshape(-1, 3)])  # fmt: skip
    return ndimage.gaussian_filter(np.abs(pixels - np.median(rim, axis=0)).max(-1), 2)


def local_contrast(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 -> [H, W]: the standard deviation of grey around each pixel."""
    grey = image.astype(np.float32).mean(-1)
    side = max(3, round(CONTRAST * image.shape[0] / 240))
    mean = ndimage.uniform_filter(grey, side)
    return np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, side) - mean**2, 0))


BASELINES = {"centre prior": centre, "foreground": foreground, "local contrast": local_contrast}
