"""Shared by the tests: small models with random weights, and the shipped one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import refclip
from tests import randomclip

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return randomclip.write(tmp_path_factory.mktemp("small"), "small", seed=1)


@pytest.fixture(scope="session")
def small(small_folder: Path) -> refclip.CLIP:
    """Random weights, every size different, float64."""
    return refclip.load(small_folder, dtype="float64")


@pytest.fixture(scope="session")
def mini() -> refclip.CLIP:
    return refclip.load("refclip-mini")


@pytest.fixture(scope="session")
def golden():
    """golden("towers") -> what open_clip answered, by name."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as stored:
            return dict(stored)

    return read
