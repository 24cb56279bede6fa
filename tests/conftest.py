"""Shared by the tests: small models with random weights, the shipped one, and files for the methods that learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import refclip
from refclip import methods, saved
from tests import learnedfiles, randomclip

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
def learned(tmp_path_factory: pytest.TempPathFactory):
    """learned("vand", clip) -> {"learned": a file for these weights that nobody has learned}, {} for a method without.

    The options that a method must be given; the weights' type and place make no difference.
    """
    paths: dict[tuple[str, str], Path] = {}

    def of(method: str, clip: refclip.CLIP) -> dict[str, str]:
        if not methods.learns(method):
            return {}
        key = method, saved.mark(clip)
        if key not in paths:
            paths[key] = learnedfiles.write(tmp_path_factory.mktemp("learned"), method, clip)
        return {"learned": str(paths[key])}

    return of


@pytest.fixture(scope="session")
def golden():
    """golden("towers") -> what open_clip answered, by name."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as stored:
            return dict(stored)

    return read
