"""The vjp of the focal loss of an enlarged map. That of its Dice loss is made of `elementary`'s."""

from __future__ import annotations

from refclip import enlarged
from refclip.autograd import defvjp
from refclip.backend import Array
from refclip.vjps import Vjps


@defvjp(enlarged.enlarged_focal)
def enlarged_focal(out: Array, s: Array, mask: Array, gamma: float = 2.0, alpha: float = 1.0) -> Vjps:
    """For a sum of f over the pixels of A s B^T, <f', A ds B^T> = <A^T f' B, ds>; see `enlarged.focal_slope`."""
    return (lambda g: enlarged.focal_slope(s, mask, gamma, alpha) * g,)
