"""What every detector answers: a score for the image, a map over its pixels, and the way back to the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refclip.backend import Array, to_numpy
from refclip.preprocess import Geometry, to_original
from refclip.resample import resize


class Prediction(NamedTuple):
    """Scores and maps of a batch, on the host."""

    score: np.ndarray  # [b], the higher the more anomalous; its range is the method's
    map: np.ndarray  # [b, H, W] at the resolution of the model
    geometry: tuple[Geometry, ...]  # b of them

    def on_original(self, i: int) -> np.ndarray:
        """Map of image `i` over its original pixels [H0, W0]; NaN where a crop never showed them to the model."""
        return to_original(self.map[i], self.geometry[i])


class Difference(NamedTuple):
    """One place where a paper and published code part ways, and our argument for it."""

    method: str
    section: str  # of the paper
    paper: str  # what it says
    code: str  # what published code does, and whose
    option: str  # our argument, with the value that gives the code's behaviour
    default: str  # and why


def predict(score: Array, grid_map: Array, geometry: Sequence[Geometry]) -> Prediction:
    """Bring a score [b] and a map on the patch grid [b, gh, gw] to the host and to the model's resolution, bilinear."""
    size = geometry[0].size
    return Prediction(to_numpy(score), to_numpy(resize(grid_map, size, "bilinear")), tuple(geometry))


def describe(options: Any) -> dict[str, Any]:
    """Options (a NamedTuple) as plain values that JSON can hold: what was chosen is stored with every result."""
    return {key: value if isinstance(value, bool | int | float | str | None) else list(value)
            for key, value in options._asdict().items()}  # fmt: skip
