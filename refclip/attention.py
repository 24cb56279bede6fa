"""Attention and its variants: q-k, and the diagonally prominent q-q, k-k, v-v.

    Attention(l, r, v) = softmax(l r^T / sqrt(c) + mask) v                                  for each head of width c

with (l, r) = (q, k) in CLIP. "Dual-Image Enhanced CLIP" (section 3.1, equation 4, after AnoVL) takes (v, v);
AnomalyCLIP (section 3.3, its DPAM) studies (q, q), (k, k) and (v, v): each token then attends to itself and to its
like.

A new variant is one line in `VARIANTS`.

Shapes: `b` batch, `n` tokens attended to, `r` tokens that ask, `h` heads, `c` = d / h head width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from refclip.autograd import constant, primitive
from refclip.backend import Array, on_host, xp_of
from refclip.nn import Linear, gather, linear

# variant -> which two of the projections meet in the score: (what asks, what is asked)
VARIANTS = {
    "q-k": ("q", "k"),
    "q-q": ("q", "q"),
    "k-k": ("k", "k"),
    "v-v": ("v", "v"),
}

SCORES = 512 * 1024  # scores held at a time on the host: 2 MiB in float32, so that softmax finds them in cache


class Attention(NamedTuple):
    """Weights of one attention layer."""

    in_proj: Linear  # [3 d, d]: the rows of q, then k, then v
    out_proj: Linear  # [d, d]


class QKV(NamedTuple):
    """The three projections of the same tokens, each [b, n, d]."""

    q: Array
    k: Array
    v: Array


def project(x: Array, p: Attention) -> QKV:
    """Queries, keys and values of tokens `x` [b, n, d], in one product."""
    d = x.shape[-1]
    qkv = linear(x, p.in_proj)  # [b, n, 3 d]
    return QKV(qkv[..., :d], qkv[..., d : 2 * d], qkv[..., 2 * d :])  # views [b, n, d]


def attention(
    qkv: QKV, p: Attention, heads: int, *, variant: str = "q-k", mask: Array | None = None, rows: Array | None = None
) -> Array:
    """Attend and project back.

    Parameters
    ----------
    qkv : QKV
        From `project`. The same projections can serve several variants.
    p : Attention
    heads : int
        d must divide by it.
    variant : {"q-k", "q-q", "k-k", "v-v"}
    mask : array broadcastable to [b, h, n, n], optional
        Added to the scores: 0 lets a token see another, -inf hides it. See `causal_mask`, `visible`.
    rows : integer array [b, r], optional
        The tokens to compute; all by default. All tokens are attended to in any case.

    Returns
    -------
    array [b, r, d]
    """
    left, right = operands(qkv, variant)
    if rows is not None:
        left = gather(left, rows)  # [b, r, d]
        mask = None if mask is None else mask_rows(mask, rows)
    return linear(attend(left, right, qkv.v, heads, mask), p.out_proj)  # [b, r, d]


def operands(qkv: QKV, variant: str) -> tuple[Array, Array]:
    """The pair (l, r) of `variant`.

    Raises
    ------
    ValueError
        No such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"attention variant {variant!r}: expected one of {', '.join(map(repr, VARIANTS))}")
    left, right = VARIANTS[variant]
    return getattr(qkv, left), getattr(qkv, right)


@primitive
def attend(left: Array, right: Array, values: Array, heads: int, mask: Array | None = None) -> Array:
    """softmax(l r^T / sqrt(c) + mask) v, head by head.

    Parameters
    ----------
    left : array [b, r, d]
    right, values : array [b, n, d]
    heads : int
    mask : array broadcastable to [b, h, r, n], optional

    Returns
    -------
    array [b, r, d]

    Notes
    -----
    The division by the softmax's sum comes after the product with the values: r c divisions instead of r n.
    """
    xp = xp_of(left)
    b, r, d = left.shape
    l, k, v = (split_heads(x, heads) for x in (left, right, values))  # [b, h, r or n, c], views
    out = xp.empty((b, r, heads, d // heads), dtype=left.dtype)  # heads last, so that [b, r, d] is a view of it
    heads_first = out.transpose(0, 2, 1, 3)  # [b, h, r, c]
    if mask is not None:
        mask = xp.broadcast_to(mask, (b, heads, r, k.shape[2]))
    for part in _parts(b, heads, r * k.shape[2], on_host(left)):
        weights = _scores(l[part], k[part], None if mask is None else mask[part])  # [.., .., r, n]
        weights -= weights.max(axis=-1, keepdims=True)
        xp.exp(weights, out=weights)
        mixed = weights @ v[part]  # [.., .., r, c]
        mixed /= weights.sum(axis=-1, keepdims=True)
        heads_first[part] = mixed
    return out.reshape(b, r, d)


def attention_map(left: Array, right: Array, heads: int, mask: Array | None = None) -> Array:
    """The weights themselves, softmax(l r^T / sqrt(c) + mask): [b, h, r, n], rows summing to 1."""
    left, right = constant(left), constant(right)  # to be looked at
    return softmax_scores(split_heads(left, heads), split_heads(right, heads), mask)


def softmax_scores(left: Array, right: Array, mask: Array | None) -> Array:
    """Weights [b, h, r, n] of operands whose heads are split, [b, h, r, c] and [b, h, n, c]."""
    weights = _scores(left, right, mask)  # [b, h, r, n]
    weights -= weights.max(axis=-1, keepdims=True)
    xp_of(left).exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def split_heads(x: Array, heads: int) -> Array:
    """[b, n, d] -> [b, h, n, c], a view."""
    b, n, d = x.shape
    return x.reshape(b, n, heads, d // heads).transpose(0, 2, 1, 3)  # [b, h, n, c]


def causal_mask(n: int, like: Array) -> Array:
    """[n, n] mask under which token i sees tokens 0..i, as CLIP's text tower has it."""
    xp = xp_of(like)
    token = xp.arange(n)
    return visible(token[:, None] >= token[None, :], like)


def visible(seen: Array, like: Array) -> Array:
    """Boolean array (True: may be attended to) -> the mask that `attention` adds, in the type of `like`."""
    xp = xp_of(like)
    return xp.where(seen, xp.asarray(0, dtype=like.dtype), xp.asarray(-math.inf, dtype=like.dtype))


def mask_rows(mask: Array, rows: Array) -> Array:
    """The rows of `mask` that belong to the tokens `rows` [b, r]: [b, h or 1, r, n]."""
    xp = xp_of(mask)
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)  # [b or 1, h or 1, n, n]
    mask = xp.broadcast_to(mask, (len(rows), *mask.shape[1:]))
    return xp.take_along_axis(mask, rows[:, None, :, None], axis=2)  # [b, h or 1, r, n]


def _scores(left: Array, right: Array, mask: Array | None) -> Array:
    # scaling l, which is r x c, is cheaper than scaling the r x n scores
    scores = (left * left.shape[-1] ** -0.5) @ right.swapaxes(-1, -2)  # [b, h, r, n]
    if mask is not None:
        scores += mask
    return scores


def _parts(b: int, heads: int, scores: int, host: bool) -> Iterator[tuple[slice, slice]]:
    """Slices over (batch, heads) whose scores fit `SCORES`: whole images if they are small, else some heads of one."""
    if not host:
        yield slice(None), slice(None)
        return
    images = max(1, SCORES // (heads * scores))
    some = max(1, min(heads, SCORES // scores))
    for i in range(0, b, images):
        for j in range(0, heads, some):
            yield slice(i, i + images), slice(j, j + some)
