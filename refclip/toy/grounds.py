"""What objects lie on: paper, a ribbed mat, a plank, linen. Each function draws a piece of it."""

from __future__ import annotations

import numpy as np

from refclip.toy.camera import Layer
from refclip.toy.fields import TURN, look, noise, places, posed, rgb


def paper(rng: np.random.Generator, size: int) -> Layer:
    """Matt paper, white, grey or bluish."""
    x, y = places(size)
    colour = _jittered(rng, ((0.84, 0.82, 0.77), (0.66, 0.68, 0.70), (0.58, 0.66, 0.72)))
    fibre = look(noise(rng, 4, 110, 0.4), x, y)
    return _ground(colour * (1 + 0.02 * fibre), 0.00025 * fibre)


def mat(rng: np.random.Generator, size: int) -> Layer:
    """A dark rubber mat with ribs."""
    x, y = places(size)
    along, _ = posed(x, y, 0.5, 0.5, rng.uniform(0, TURN))
    rib = np.sin(TURN * rng.integers(22, 34) * along)
    colour = _jittered(rng, ((0.22, 0.23, 0.25), (0.17, 0.22, 0.26), (0.29, 0.27, 0.25)))
    grain = look(noise(rng, 10, 120, 0.2), x, y)
    return _ground(colour * (1 + 0.07 * grain + 0.08 * rib), 0.0022 * rib)


def plank(rng: np.random.Generator, size: int) -> Layer:
    """Wood, light or dark, its grain running one way."""
    x, y = places(size)
    along, across = posed(x, y, 0.5, 0.5, rng.uniform(0, TURN))
    fibre = look(noise(rng, 2, 100, 0.7), 0.12 * along, across)
    colour = _jittered(rng, ((0.72, 0.58, 0.42), (0.50, 0.36, 0.25), (0.62, 0.53, 0.44)))
    return _ground(colour * (1 + 0.16 * rgb((0.8, 1.0, 1.2)) * fibre), 0.0005 * fibre)


def linen(rng: np.random.Generator, size: int) -> Layer:
    """Coarse cloth, its threads crossing."""
    x, y = places(size)
    (along, across), waves = posed(x, y, 0.5, 0.5, rng.uniform(-0.3, 0.3)), rng.integers(44, 60)
    uneven = look(noise(rng, 3, 60, 0.5), x, y)
    weave = np.cos(TURN * waves * along + 0.5 * uneven) * np.cos(TURN * waves * across + 0.5 * uneven)
    colour = _jittered(rng, ((0.74, 0.69, 0.60), (0.42, 0.46, 0.50), (0.60, 0.56, 0.52)))
    return _ground(colour * (1 + 0.12 * weave + 0.06 * uneven), 0.0009 * weave)


def _jittered(rng: np.random.Generator, shades: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    return rgb(shades[rng.integers(len(shades))]) * rng.uniform(0.92, 1.08)


def _ground(colour: np.ndarray, height: np.ndarray) -> Layer:
    return Layer(colour, height, np.ones_like(height), 0.0)
