"""The layers every tower is made of: linear, layer norm, softmax, GELU, QuickGELU.

Each is a `primitive`: a plain function on arrays that also records itself on a tape when given a `Var`. They are the
fast versions too. What makes them fast stays inside them: in-place arithmetic on their own temporaries (never on an
argument), chunks that stay in a core's cache, and no error function in float32.

Shapes: `b` batch, `n` tokens, `d` width; `...` means any leading axes.
"""

from __future__ import annotations

from typing import NamedTuple

from refclip.autograd import primitive
from refclip.backend import Array, erf, quiet, xp_of

CHUNK = 32 * 1024  # elements a pass works on: two float32 buffers of this size stay in a 512 KiB second-level cache

# Phi(x), the normal distribution function, as 1 / (1 + exp(-x R(x^2))): coefficients of R, low to high. A minimax fit
# on |x| <= 5.2; beyond, both tails have saturated in float32. |x Phi(x) - this| < 7e-8 on the whole line.
GELU_COEFFICIENTS = (
    1.5957684322180352,
    0.07266856707502,
    -6.626002452134991e-05,
    -0.00011048030578619995,
    7.938217407488548e-06,
    -2.6689272681285254e-07,
    3.6112308015582395e-09,
)


class Linear(NamedTuple):
    """Weights of y = x W^T + b. Stored [out, in], as checkpoints store them."""

    weight: Array  # [out, in]
    bias: Array  # [out]


class LayerNorm(NamedTuple):
    """Gain and bias of a layer norm, both [d]."""

    gain: Array  # [d]
    bias: Array  # [d]


def linear(x: Array, p: Linear) -> Array:
    """X W^T + b.

    Parameters
    ----------
    x : array [..., in]
    p : Linear

    Returns
    -------
    array [..., out]
    """
    return _linear(x, *p)


@primitive
def _linear(x: Array, weight: Array, bias: Array) -> Array:
    y = x.reshape(-1, x.shape[-1]) @ weight.T  # [rows, out]; one product, however many leading axes
    y += bias
    return y.reshape(*x.shape[:-1], -1)  # [..., out]


def layer_norm(x: Array, p: LayerNorm, eps: float = 1e-5) -> Array:
    """(x - mean) / sqrt(variance + eps) * gain + bias over the last axis, variance without Bessel's correction.

    Parameters
    ----------
    x : array [..., d]
    p : LayerNorm
    eps : float
        1e-5 in every CLIP.

    Returns
    -------
    array [..., d]

    References
    ----------
    Ba, Kiros, Hinton: Layer Normalization, 2016, equation 4.
    """
    return _layer_norm(x, *p, eps)


@primitive
def _layer_norm(x: Array, gain: Array, bias: Array, eps: float) -> Array:
    xp = xp_of(x)
    if x.dtype == xp.float16:  # its squares overflow from 256 on
        return _layer_norm(x.astype(xp.float32), gain, bias, eps).astype(xp.float16)
    y = x - x.mean(axis=-1, keepdims=True)
    variance = xp.einsum("...d,...d->...", y, y) / x.shape[-1]  # [...]; one pass and no array of squares
    y *= (1 / xp.sqrt(variance + eps))[..., None]
    y *= gain
    y += bias
    return y


@primitive
def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum exp(x) along `axis`, with the maximum subtracted first so that nothing overflows."""
    xp = xp_of(x)
    y = x - x.max(axis=axis, keepdims=True)
    xp.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y


@primitive
def gelu(x: Array) -> Array:
    """X Phi(x), the exact GELU (not its tanh approximation).

    float64 uses the error function. float32 writes Phi(x) as a logistic function of an odd polynomial, to 7e-8: below
    float32's own rounding of the result, at a fifth of the error function's time.

    References
    ----------
    Hendrycks, Gimpel: Gaussian Error Linear Units, 2016, section 2.
    """
    xp = xp_of(x)
    if x.dtype == xp.float64:
        return x * (0.5 + 0.5 * erf(x * 0.5**0.5))
    if x.dtype == xp.float16:  # the coefficients underflow in it
        return gelu(x.astype(xp.float32)).astype(xp.float16)
    y = xp.empty(x.shape, dtype=x.dtype)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    step = _chunk(x)
    square = xp.empty(min(step, flat_x.size), dtype=x.dtype)
    *middle, last = (-c for c in GELU_COEFFICIENTS)
    with quiet(xp):  # exp(-x R) overflows for x below about -6, where the answer, x / inf = -0, is right
        for start in range(0, flat_x.size, step):
            a, z = flat_x[start : start + step], flat_y[start : start + step]
            u = square[: a.size]
            xp.multiply(a, a, out=u)
            xp.multiply(u, last, out=z)
            for c in middle[:0:-1]:
                z += c
                z *= u
            z += middle[0]
            z *= a
            xp.exp(z, out=z)
            z += 1
            xp.divide(a, z, out=z)
    return y


@primitive
def quick_gelu(x: Array) -> Array:
    """X sigmoid(1.702 x), the activation of OpenAI's CLIP weights and of those trained after it.

    References
    ----------
    Hendrycks, Gimpel: Gaussian Error Linear Units, 2016, section 2.
    """
    xp = xp_of(x)
    y = xp.empty(x.shape, dtype=x.dtype)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    step = _chunk(x)
    with quiet(xp):  # as in gelu
        for start in range(0, flat_x.size, step):
            a, z = flat_x[start : start + step], flat_y[start : start + step]
            xp.multiply(a, -1.702, out=z)
            xp.exp(z, out=z)
            z += 1
            xp.divide(a, z, out=z)
    return y


ACTIVATIONS = {"gelu": gelu, "quick_gelu": quick_gelu}


@primitive
def gather(x: Array, rows: Array) -> Array:
    """For each batch item its own tokens: out[i, j] = x[i, rows[i, j]].

    Parameters
    ----------
    x : array [b, n, d]
    rows : integer array [b, r]

    Returns
    -------
    array [b, r, d]
    """
    return xp_of(x).take_along_axis(x, rows[:, :, None], axis=1)  # [b, r, d]


@primitive
def overwrite(x: Array, tokens: Array, start: int = 1) -> Array:
    """`x` with `tokens` in place of its positions start, start + 1, ...

    Parameters
    ----------
    x : array [b, n, d]
    tokens : array [m, d] or [b, m, d]
    start : int

    Returns
    -------
    array [b, n, d]

    Raises
    ------
    ValueError
        They do not fit.
    """
    end = start + tokens.shape[-2]
    if not 0 <= start <= end <= x.shape[1]:
        raise ValueError(f"tokens at positions {start} to {end - 1}: there are 0 to {x.shape[1] - 1}")
    y = x.copy()
    y[:, start:end] = tokens
    return y


@primitive
def normalize(x: Array) -> Array:
    """X / |x| over the last axis, with |x| kept above 1e-12 as torch's `F.normalize` keeps it."""
    xp = xp_of(x)
    if x.dtype == xp.float16:  # its squares overflow from 256 on
        return normalize(x.astype(xp.float32)).astype(xp.float16)
    length = xp.sqrt(xp.einsum("...d,...d->...", x, x))[..., None]  # [..., 1]
    return x / xp.maximum(length, 1e-12)


def _chunk(x: Array) -> int:
    """Elements to work on at a time: a cache-sized chunk on the host, everything on a GPU."""
    return CHUNK if x.nbytes > CHUNK * 4 and hasattr(x, "ctypes") else max(x.size, 1)
