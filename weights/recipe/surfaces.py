"""Every surface of the recipe by its plain name: `SURFACES[name](rng, size)` is float32 [size, size, 3] in 0..1."""

from collections.abc import Callable

from .noise import Field, Rng, pick
from .surfaces_abstract import ABSTRACT
from .surfaces_composed import COMPOSED, random_patchwork
from .surfaces_laid import LAID
from .surfaces_made import MADE
from .surfaces_natural import NATURAL
from .surfaces_structured import STRUCTURED
from .surfaces_woven import WOVEN

SURFACES: dict[str, Callable[[Rng, int], Field]] = {
    **WOVEN, **NATURAL, **LAID, **MADE, **STRUCTURED, **ABSTRACT, **COMPOSED,
}  # fmt: skip
_WHOLE = list(SURFACES.values())
SURFACES["random patchwork"] = lambda rng, size: random_patchwork(rng, size, _WHOLE)
NAMELESS = (*ABSTRACT, *COMPOSED, "random patchwork")  # nothing in particular


def any_surface(rng: Rng, size: int) -> Field:
    """A surface of a random kind."""
    return SURFACES[pick(rng, list(SURFACES))](rng, size)
