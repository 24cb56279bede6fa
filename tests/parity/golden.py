"""The golden files: what open_clip answers on small inputs, stored so that tests need no torch.

`python -m tests.parity.golden` writes them all; `test_golden` checks that they are still what open_clip says.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent.parent / "golden"
AREAS = ("tokenizer", "preprocess", "towers", "training", "anomalyclip")


def build(area: str) -> dict[str, np.ndarray]:
    return importlib.import_module(f"tests.parity.oracle_{area}").build()


def stored(area: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{area}.npz", allow_pickle=False) as file:
        return dict(file)


def main() -> None:
    for area in AREAS:
        content = build(area)
        temporary = FOLDER / f"{area}.new.npz"
        np.savez_compressed(temporary, allow_pickle=False, **content)
        temporary.replace(FOLDER / f"{area}.npz")
        print(f"{area}: {len(content)} arrays, {(FOLDER / f'{area}.npz').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
