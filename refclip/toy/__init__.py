"""A small anomaly-detection benchmark that a seed builds in seconds. It is synthetic, and says so.

Four objects and four surfaces, drawn by formulas under a drawn lamp and camera: `fields` are what everything is made
of; `objects`, `surfaces` and `grounds` what lies there; `damage` and `unseen` what goes wrong; `camera` takes the
picture; `benchmark` chooses and masks; `folder` writes it down.
"""

from refclip.toy.benchmark import (
    CATEGORIES,
    EDITION,
    KNOWN_DEFECTS,
    UNSEEN_DEFECTS,
    Category,
    Shot,
    Toy,
    category,
    check,
    toy,
)
from refclip.toy.folder import require_free, write

__all__ = [
    "CATEGORIES",
    "EDITION",
    "KNOWN_DEFECTS",
    "UNSEEN_DEFECTS",
    "Category",
    "Shot",
    "Toy",
    "category",
    "check",
    "require_free",
    "toy",
    "write",
]
