"""Dual-Image Enhanced CLIP with its test-time adaptation, the paper's "Ours+", in the three steps of every method.

`dual_image_adapt` has the adaptation and its equations; here it is given the order that scoring a set needs. The images
with pseudo-anomalies are made and encoded by `extract`, as only that sees images; G is learned by `score`, as only that
knows the references. What is drawn for an image depends on the option `seed` and on the image alone: neither on its
batch, nor on the order of images, nor on its references.

The paper's numbers are in `dual_image`.
"""

from __future__ import annotations

import hashlib
from collections import namedtuple
from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP
from refclip.methods import dual_image, dual_image_adapt
from refclip.methods.dual_image_adapt import DIFFERENCES, Pseudo
from refclip.methods.features import join, piece
from refclip.prediction import Prediction
from refclip.synth import rgb_of

__all__ = ["DIFFERENCES", "Features", "Options", "State", "extract", "prepare", "score"]


class Drawn(NamedTuple):
    """What can be chosen: first Dual-Image's options, then the adaptation's, with their defaults, then this one.

    Attributes
    ----------
    seed : int
        Of the pseudo-anomalies, and of a random beginning of G.
    """

    seed: int = 0


_PARTS = (dual_image.Options, dual_image_adapt.Options, Drawn)
# One flat tuple, as each method has it.
Options = namedtuple(
    "Options",
    [field for part in _PARTS for field in part._fields],
    defaults=[value for part in _PARTS for value in part._field_defaults.values()],
)
Options.__annotations__ = {key: hint for part in _PARTS for key, hint in get_type_hints(part).items()}
Options.__doc__ = f"{Drawn.__doc__}".rstrip() + "".join(
    "\n" + f"{part.__doc__}".partition("----------\n")[2].rstrip() for part in _PARTS[:2]
)


class State(NamedTuple):
    """The text side, done once: Dual-Image's."""

    clip: CLIP
    text: Array  # [2, e]
    plain: dual_image.State
    adaptation: dict[str, Any]  # options of `dual_image_adapt`
    options: Options


class Features(NamedTuple):
    """One batch of images, or of references, and the same images with pseudo-anomalies."""

    plain: dual_image.Features
    pseudo: Pseudo
    keys: tuple[str, ...]  # a digest of each image, from which its random numbers come


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed the prompts; see `dual_image.prepare` and `Options`.

    Raises
    ------
    ValueError
        An option has no such value.
    """
    o = Options(**options)
    values = o._asdict()
    plain = dual_image.prepare(clip, name, **{key: values[key] for key in dual_image.Options._fields})
    adaptation = {key: values[key] for key in dual_image_adapt.Options._fields}
    dual_image_adapt.checked(adaptation)
    if o.seed < 0:
        raise ValueError(f"seed={o.seed}: expected 0 or more")
    return State(clip, plain.text, plain, adaptation, o)


def extract(state: State, images: Sequence[Any]) -> Features:
    """What `dual_image.extract` keeps, of the images and of the same with pseudo-anomalies."""
    plain = dual_image.extract(state.plain, images)
    keys = tuple(_digest(rgb_of(image, "image")) for image in images)
    made = [
        dual_image_adapt.pseudo(state.plain, piece(plain, i, i + 1), [image], _rng(state, key), **state.adaptation)
        for i, (image, key) in enumerate(zip(images, keys, strict=True))
    ]
    return Features(plain, join(made), keys)


def score(state: State, features: Features, context: Any = None) -> Prediction:
    """Score and map of a batch, each image adapted to by itself (equations 7 to 13).

    Parameters
    ----------
    state : State
    features : Features
    context : Features, dual_image.Features, dual_image.Partners or None
        As in `dual_image.score`.

    Raises
    ------
    ValueError
        As in `dual_image.score`.
    """
    context = _plain(context)
    adapters = []
    for i, key in enumerate(features.keys):
        one, made, beside = piece(features.plain, i, i + 1), piece(features.pseudo, i, i + 1), context
        if isinstance(context, dual_image.Partners):
            beside = context._replace(chosen=context.chosen[i : i + 1])
        adapters += dual_image_adapt.adapt(state.plain, one, made, beside, _rng(state, key), **state.adaptation)
    return dual_image_adapt.score(state.plain, features.plain, context, adapters=adapters)


def _plain(context: Any) -> Any:
    if isinstance(context, dual_image.Partners):
        return context._replace(features=_plain(context.features))
    return context.plain if isinstance(context, Features) else context


def _digest(rgb: Any) -> str:
    return hashlib.blake2b(rgb.tobytes() + str(rgb.shape).encode(), digest_size=16).hexdigest()


def _rng(state: State, key: str) -> Any:
    """Random numbers of one image, the host's, wherever the model is."""
    return xp_of(to_numpy(state.text)).random.default_rng([state.options.seed, int(key, 16)])
