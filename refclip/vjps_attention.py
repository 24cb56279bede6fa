"""The vjp of attention, for every variant and mask: they differ only in what is passed as l, r and v."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refclip import attention
from refclip.attention import softmax_scores, split_heads
from refclip.autograd import defvjp
from refclip.backend import Array, on_host, xp_of


@defvjp(attention.attend)
def attend(  # noqa: PLR0917 - the primitive's arguments
    out: Array, left: Array, right: Array, values: Array, heads: int, mask: Array | None = None
) -> Callable[[Array], tuple[Any, ...]]:
    """For y = W v, W = softmax(S) by rows, S = l r^T / sqrt(c) + mask, head by head.

    dy = dW v + W dv gives dL/dv = W^T g and dL/dW = g v^T. A row of W is w = softmax(s), so with h that row of g v^T,
    dL/ds = w (h - <h, w>); and <h, w> = <g v^T, w> = <g, w v> = <g, y> needs no pass over the scores. At last
    dS = (dl r^T + l dr^T) / sqrt(c) gives dL/dl = dL/dS r / sqrt(c) and dL/dr = (dL/dS)^T l / sqrt(c). Where the mask
    hides a token, w = 0, and nothing passes.

    With (l, r, v) = (v, v, v), as in v-v attention, the three gradients are those of one variable, and are added.

    W is computed anew, not kept: r n numbers a head, against (r + n) c.
    """
    xp = xp_of(left)
    (b, r, d), n = left.shape, right.shape[1]
    scale = (d // heads) ** -0.5
    if mask is not None:
        mask = xp.broadcast_to(mask, (b, heads, r, n))

    def together(g: Array) -> tuple[Any, ...]:
        l, k, v, gy, y = (split_heads(x, heads) for x in (left, right, values, g, out))  # [b, h, r or n, c], views
        found = [xp.empty((b, rows, heads, d // heads), dtype=left.dtype) for rows in (r, n, n)]
        to_l, to_k, to_v = (x.transpose(0, 2, 1, 3) for x in found)  # [b, h, r or n, c], views
        along = xp.einsum("bhrc,bhrc->bhr", gy, y)[..., None]  # [b, h, r, 1], <g, y>
        for part in attention._parts(b, heads, r * n, on_host(left)):
            weights = softmax_scores(l[part], k[part], None if mask is None else mask[part])  # [.., .., r, n]
            to_v[part] = weights.swapaxes(-1, -2) @ gy[part]  # [.., .., n, c]
            slope = gy[part] @ v[part].swapaxes(-1, -2)  # [.., .., r, n], dL/dW
            slope -= along[part]
            slope *= weights  # dL/dS
            to_l[part] = slope @ (k[part] * scale)  # [.., .., r, c]
            to_k[part] = slope.swapaxes(-1, -2) @ (l[part] * scale)  # [.., .., n, c]
        return (*(x.reshape(b, -1, d) for x in found), None, None)

    return together
