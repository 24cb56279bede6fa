"""AnoVL's test-time adaptation: a linear layer trained for a few steps on the patches of the one image it will score.

    u = x / |x|,  a = W u + c,  h = tanh(a),  z = x / 2 + h T / 2        adapter="prompts" (the program, for MVTec AD)
                                h = a,        z = x / 2 + h / 2          adapter="linear"  (the program, for VisA)
    s = (z / |z|) G^T / tau,    p = softmax(s)

x is a patch token, T the k prompt embeddings and G the two prototypes, all but x of length 1. W and c start at random.
There are no labels: the layer is to make the image's patches certain and normal, and the same patches with noise
abnormal,

    L = 1/N sum_i [ H(p_i) - 1/2 log p_i(normal) - 1/2 log p'_i(abnormal) ],   H(p) = -sum_c p(c) log p(c)

over the N patches, p'_i from x_i + noise, drawn anew in each step. Then AdamW moves W and c.

The gradient, by hand. For one patch, with d the Kronecker delta and class 0 normal, 1 abnormal:

    d p(c) / d s_j = p(c) (d_cj - p(j))                                                                  softmax
    d H / d s_j    = -sum_c (log p(c) + 1) p(c) (d_cj - p(j))
                   = -p(j) (log p(j) + 1) + p(j) sum_c p(c) (log p(c) + 1) = -p(j) (log p(j) + H)
    d [-log p(c)] / d s_j = p(j) - d_cj

so that, for a patch as it is and for the same with noise,

    N dL/ds_j  = -p(j) (log p(j) + H) + (p(j) - d_0j) / 2
    N dL/ds'_j = (p'(j) - d_1j) / 2

and back through the rest, for both alike:

    q = dL/d(z/|z|) = (dL/ds) G / tau
    dL/dz = (q - (q . z/|z|) z/|z|) / |z|           only what is across z turns it
    dL/dh = dL/dz T^T / 2                           or dL/dz / 2 for "linear"
    dL/da = dL/dh (1 - h^2)                         or dL/dh
    dL/dW = sum of dL/da u^T,  dL/dc = sum of dL/da          over all patches, without and with noise

All in float64, whatever the model's type: AdamW's first step is nearly the sign of the gradient, which rounding in
float32 would turn where the gradient is small.

Shapes: `g` patches, `e` embedding, `k` prompts, `o` = k or e outputs of the layer, `m` = 2 g patches with and without
noise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.nn import Linear, linear, normalize

BETAS, EPSILON, WEIGHT_DECAY = (0.9, 0.999), 1e-8, 0.01  # torch's defaults, which the program leaves as they are


class Moments(NamedTuple):
    """What AdamW remembers of earlier gradients."""

    first: Linear
    second: Linear


def initial(outputs: int, inputs: int, rng: Any, like: Array) -> Linear:
    """A layer as torch begins one: uniform on +-1/sqrt(inputs), weights and biases.

    (Kaiming's uniform initialisation with a = sqrt(5): a bound of sqrt(6 / ((1 + a^2) inputs)).)
    """
    xp, bound = xp_of(like), inputs**-0.5
    weight, bias = rng.uniform(-bound, bound, (outputs, inputs)), rng.uniform(-bound, bound, outputs)
    return Linear(xp.asarray(weight), xp.asarray(bias))  # [o, e], [o]


def adapted(x: Array, p: Linear, prompts: Array | None) -> Array:
    """Tokens through the adapter: z of the head of this file.

    Parameters
    ----------
    x : array [..., e]
    p : Linear
        [k, e] and [k]; or [e, e] and [e] without prompts.
    prompts : array [k, e] or None
        T; None for the linear adapter.

    Returns
    -------
    array [..., e]
    """
    a = linear(normalize(x), p)  # [..., o]
    return x / 2 + (a if prompts is None else xp_of(x).tanh(a) @ prompts) / 2  # [..., e]


def loss_and_gradient(
    clean: Array, noisy: Array, p: Linear, prompts: Array | None, text: Array, *, temperature: float
) -> tuple[Array, Linear]:
    """L of the head of this file, and its gradient.

    Parameters
    ----------
    clean, noisy : array [g, e]
        The image's patch tokens, without and with noise.
    p : Linear
    prompts : array [k, e] or None
    text : array [2, e]
        Prototypes, normal first.
    temperature : float
        tau.

    Returns
    -------
    loss : array []
    gradient : Linear
        By the layer's weight and bias.
    """
    xp = xp_of(clean)
    g = len(clean)
    x = xp.concatenate([clean, noisy])  # [m, e]
    u = normalize(x)
    a = linear(u, p)  # [m, o]
    h = a if prompts is None else xp.tanh(a)
    z = x / 2 + (h if prompts is None else h @ prompts) / 2  # [m, e]
    length = xp.maximum(xp.sqrt((z * z).sum(axis=1, keepdims=True)), 1e-12)  # [m, 1]
    direction = z / length
    s = direction @ text.T / temperature  # [m, 2]
    s = s - s.max(axis=1, keepdims=True)
    log_p = s - xp.log(xp.exp(s).sum(axis=1, keepdims=True))
    prob = xp.exp(log_p)
    entropy = -(prob * log_p)[:g].sum(axis=1, keepdims=True)  # [g, 1]
    loss = (entropy[:, 0] - log_p[:g, 0] / 2 - log_p[g:, 1] / 2).mean()

    normal, abnormal = xp.asarray([1.0, 0.0]), xp.asarray([0.0, 1.0])
    by_clean = -prob[:g] * (log_p[:g] + entropy) + (prob[:g] - normal) / 2
    by_s = xp.concatenate([by_clean, (prob[g:] - abnormal) / 2]) / g  # [m, 2]
    q = by_s @ text / temperature  # [m, e]
    by_z = (q - (q * direction).sum(axis=1, keepdims=True) * direction) / length
    by_a = by_z / 2 if prompts is None else by_z @ prompts.T / 2 * (1 - h * h)  # [m, o]
    return loss, Linear(by_a.T @ u, by_a.sum(axis=0))


def adamw(p: Linear, gradient: Linear, moments: Moments, step: int, rate: float) -> tuple[Linear, Moments]:
    """One step of AdamW, counted from 1: the layer and the moments after it.

    References
    ----------
    Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019, algorithm 2.
    """
    xp = xp_of(p.weight)
    b1, b2 = BETAS
    first = Linear(*(b1 * m + (1 - b1) * d for m, d in zip(moments.first, gradient, strict=True)))
    second = Linear(*(b2 * v + (1 - b2) * d * d for v, d in zip(moments.second, gradient, strict=True)))
    ways = ((m / (1 - b1**step)) / (xp.sqrt(v / (1 - b2**step)) + EPSILON) for m, v in zip(first, second, strict=True))
    decayed = (x * (1 - rate * WEIGHT_DECAY) for x in p)
    return Linear(*(x - rate * way for x, way in zip(decayed, ways, strict=True))), Moments(first, second)


def adapt(
    patches: Array,
    prompts: Array | None,
    text: Array,
    rng: Any,
    *,
    temperature: float = 1.0,
    steps: int = 5,
    rate: float = 1e-3,
    noise: float = 0.055,
) -> Array:
    """Adapt to one image, and pass its tokens through.

    Parameters
    ----------
    patches : array [g, e]
        As projected, of any length: the noise is on their scale.
    prompts : array [k, e] or None
        Embeddings of all prompts, each of length 1, for adapter="prompts"; None for "linear".
    text : array [2, e]
    rng : numpy.random.Generator
        Draws the layer, then the noise of each step, on the host: a GPU gets the same numbers.
    temperature : float
    steps : int
    rate : float
    noise : float
        Standard deviation.

    Returns
    -------
    array [g, e], in the type of `patches`
    """
    xp = xp_of(patches)
    x, text = patches.astype(xp.float64), text.astype(xp.float64)
    prompts = None if prompts is None else prompts.astype(xp.float64)
    e = x.shape[1]
    p = initial(e if prompts is None else len(prompts), e, rng, x)
    none = Linear(xp.zeros(p.weight.shape), xp.zeros(p.bias.shape))
    moments = Moments(none, none)
    for step in range(1, steps + 1):
        noisy = x + xp.asarray(noise * rng.standard_normal(x.shape))
        _, gradient = loss_and_gradient(x, noisy, p, prompts, text, temperature=temperature)
        p, moments = adamw(p, gradient, moments, step, rate)
    return adapted(x, p, prompts).astype(patches.dtype)
