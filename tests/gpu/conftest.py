"""Skips every test of this folder, and says why and how many, where CuPy or a GPU is missing."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from refclip.backend import check_device

HERE = Path(__file__).parent
COUNT = pytest.StashKey[tuple[int, str]]()


def why_not() -> str:
    """What keeps these tests from running here, or nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy's own, about its installation
        try:
            check_device("cuda")
        except RuntimeError as error:
            return str(error)
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if HERE in item.path.parents]
    reason = why_not() if here else ""
    config.stash[COUNT] = len(here), reason
    if reason:
        for item in here:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count, reason = config.stash.get(COUNT, (0, ""))
    if reason:
        terminalreporter.write_line(f"tests/gpu: none of {count} tests ran: {reason}", yellow=True)
