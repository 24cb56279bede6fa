"""What is minimised: cross-entropy, focal, Dice, binary cross-entropy, cosine, and Dual-Image's pseudo-anomaly loss.

Each is a primitive: a plain function of arrays to a single number, a mean, with its vjp in `vjps_losses`. Targets and
masks are constants.

Shapes: `b` batch, `k` classes, `n` patches; `...` any further axes.

References
----------
AnomalyCLIP, section 3.3, L_local, after equation 2; its code's constants. Dual-Image Enhanced CLIP, equations 10 and
11.
"""

from __future__ import annotations

from refclip.autograd import primitive
from refclip.backend import Array, xp_of

LEAST_LOG = -100.0  # of a probability of 0, as in torch's binary cross-entropy
FOCAL_SMOOTH = 1e-5  # of AnomalyCLIP's code: softens the one-hot target, and is added to its probability


@primitive
def cross_entropy(logits: Array, labels: Array) -> Array:
    """Mean of -log softmax(logits)[label].

    Parameters
    ----------
    logits : array [..., k]
    labels : integer array [...]

    Returns
    -------
    array of no dimensions

    Raises
    ------
    ValueError
        The shapes do not fit.
    """
    if tuple(logits.shape[:-1]) != tuple(labels.shape):
        raise ValueError(f"labels of shape {tuple(labels.shape)}: expected {tuple(logits.shape[:-1])}, one a row")
    xp = xp_of(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    chosen = xp.take_along_axis(shifted, labels[..., None], axis=-1)[..., 0]  # [...]
    return (xp.log(xp.exp(shifted).sum(axis=-1)) - chosen).mean()


@primitive
def focal(p: Array, mask: Array, gamma: float = 2.0, alpha: float = 1.0) -> Array:
    """Mean over pixels of -alpha (1 - q)^gamma log q, q the probability of the pixel's own class.

    As in AnomalyCLIP's code: with the one-hot target clamped to [1e-5, 1 - 1e-5], and 1e-5 added to the probability, q
    = (1 - 1e-5) p_own + 1e-5 p_other + 1e-5. The paper, section 3.3, names the loss only; gamma 2 and alpha 1 are the
    code's.

    Parameters
    ----------
    p : array [b, 2, ...]
        Probabilities of normal and abnormal, which sum to 1.
    mask : array [b, ...]
        Where it is not 0, the pixel is abnormal.
    gamma, alpha : float

    Returns
    -------
    array of no dimensions

    References
    ----------
    Lin et al.: Focal Loss for Dense Object Detection, 2017, equation 5.
    """
    q, left = own_probability(p, mask)
    return -alpha * (left**gamma * xp_of(p).log(q)).mean()


def own_probability(p: Array, mask: Array) -> tuple[Array, Array]:
    """The q of `focal`, and 1 - q, each [b, ...]; 1 - q at least 0, which rounding might pass."""
    if p.ndim < 2 or p.shape[1] != 2 or (p.shape[0], *p.shape[2:]) != tuple(mask.shape):
        raise ValueError(
            f"probabilities {tuple(p.shape)} and mask {tuple(mask.shape)}: expected [b, 2, ...] and [b, ...]"
        )
    xp = xp_of(p)
    own, other = xp.where(mask > 0, p[:, 1], p[:, 0]), xp.where(mask > 0, p[:, 0], p[:, 1])  # [b, ...]
    q = (1 - FOCAL_SMOOTH) * own + FOCAL_SMOOTH * other + FOCAL_SMOOTH
    return q, xp.maximum(1 - q, 0)


@primitive
def dice(p: Array, target: Array, form: str = "plain", smooth: float = 1.0) -> Array:
    """1 - mean over the batch of (2 sum p t + smooth) / (sum p + sum t + smooth).

    Parameters
    ----------
    p : array [b, ...]
        Probabilities.
    target : array [b, ...]
        0 or 1, or between.
    form : {"plain", "squared"}
        "plain", the soft Dice of AnomalyCLIP's code, as above. "squared", with sum p^2 + sum t^2 below, is the Dice
        loss of Li et al. (2019), whom the paper cites, after Milletari et al. (2016).
    smooth : float

    Returns
    -------
    array of no dimensions

    Raises
    ------
    ValueError
        Unknown form, or shapes that differ.
    """
    above, below = dice_parts(p, target, form, smooth)
    return 1 - (above / below).mean()


def dice_parts(p: Array, target: Array, form: str, smooth: float) -> tuple[Array, Array]:
    """Numerator and denominator of `dice`, each [b]."""
    same_shape("dice", p, target)
    if form not in ("plain", "squared"):
        raise ValueError(f"form={form!r}: expected 'plain' or 'squared'")
    x, t = p.reshape(len(p), -1), target.reshape(len(p), -1).astype(p.dtype)  # [b, pixels]
    above = 2 * (x * t).sum(axis=1) + smooth  # [b]
    below = (x.sum(axis=1) + t.sum(axis=1) if form == "plain" else (x * x).sum(axis=1) + (t * t).sum(axis=1)) + smooth
    return above, below


@primitive
def bce(p: Array, target: Array) -> Array:
    """Mean of -t log p - (1 - t) log(1 - p), with logarithms kept above -100.

    Parameters
    ----------
    p, target : array [...]
        Probabilities, and what they should be. From logits, `bce_with_logits` is more exact.

    Returns
    -------
    array of no dimensions
    """
    same_shape("bce", p, target)
    xp, t = xp_of(p), target.astype(p.dtype)
    tiny = xp.finfo(p.dtype).tiny  # log(0) would warn on its way to -100
    yes = xp.maximum(xp.log(xp.maximum(p, tiny)), LEAST_LOG)
    no = xp.maximum(xp.log1p(-xp.minimum(p, 1 - xp.finfo(p.dtype).epsneg)), LEAST_LOG)
    yes, no = xp.where(p > 0, yes, LEAST_LOG), xp.where(p < 1, no, LEAST_LOG)
    return -(t * yes + (1 - t) * no).mean()


@primitive
def bce_with_logits(z: Array, target: Array) -> Array:
    """`bce` of sigmoid(z), without overflow: mean of max(z, 0) - z t + log(1 + exp(-|z|))."""
    same_shape("bce_with_logits", z, target)
    xp, t = xp_of(z), target.astype(z.dtype)
    return (xp.maximum(z, 0) - z * t + xp.log1p(xp.exp(-abs(z)))).mean()


@primitive
def cosine(x: Array, y: Array) -> Array:
    """Mean of 1 - <x, y> / (|x| |y|) over all leading axes.

    Parameters
    ----------
    x, y : array [..., d]
        Lengths are kept above 1e-12.

    Returns
    -------
    array of no dimensions
    """
    same_shape("cosine", x, y)
    return 1 - (unit(x)[0] * unit(y)[0]).sum(axis=-1).mean()


def unit(x: Array) -> tuple[Array, Array]:
    """X / |x| and |x| [..., 1], kept above 1e-12."""
    length = xp_of(x).maximum(xp_of(x).sqrt((x * x).sum(axis=-1, keepdims=True)), 1e-12)
    return x / length, length


@primitive
def pseudo_anomaly(clean: Array, altered: Array, mask: Array) -> Array:
    """Mean over S_a, where the mask is not 0, of -M log(exp(A') / (exp(A) + exp(A'))) = M log(1 + exp(A - A')).

    Parameters
    ----------
    clean, altered : array [n]
        A, and A' of the image with a pseudo-anomaly; between 0 and 1.
    mask : array [n]
        M, from 0 to 1. All 0: the loss is 0.

    Returns
    -------
    array of no dimensions

    References
    ----------
    Dual-Image Enhanced CLIP, equation 10.
    """
    same_shape("pseudo_anomaly", clean, altered, mask)
    xp, m = xp_of(clean), mask.astype(clean.dtype)
    area = xp.maximum((m > 0).astype(m.dtype).sum(), 1)
    return (m * xp.log1p(xp.exp(clean - altered))).sum() / area


def same_shape(name: str, *arrays: Array) -> None:
    """Refuse arrays of several shapes, which would broadcast in silence."""
    shapes = [tuple(a.shape) for a in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"{name}: shapes {' and '.join(map(str, shapes))}: expected the same")
