"""The text tower: a causal transformer that reads token embeddings and answers at the end-of-text token.

    ids -> embeddings + positions -> causal blocks -> layer norm at the end-of-text token -> projection

Under the causal mask no token sees what follows it, so nothing after the end-of-text token matters: the tower stops
there, which is most of its speed (prompts have 7 to 16 tokens of 77). `embed_tokens` and `text_tower` are apart because
that is where learned prompts enter: as embeddings in place of a token's (CoOp section 3.2; AnomalyCLIP section 3.2).

Shapes: `b` batch, `n` tokens, `d` width, `e` embedding.

References
----------
Radford et al.: Learning Transferable Visual Models From Natural Language Supervision (CLIP), 2021, section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from refclip.attention import causal_mask
from refclip.backend import Array, xp_of
from refclip.nn import LayerNorm, layer_norm, overwrite
from refclip.transformer import Stack, Trace, stack


class Text(NamedTuple):
    """Weights of a text tower."""

    token_embedding: Array  # [vocabulary, d]
    positional_embedding: Array  # [context length, d]
    transformer: Stack
    ln_final: LayerNorm
    text_projection: Array  # [d, e]

    @property
    def context_length(self) -> int:
        return len(self.positional_embedding)

    def __repr__(self) -> str:
        d, e = self.text_projection.shape
        return (
            f"Text({self.context_length} of {len(self.token_embedding)} tokens, width {d}, "
            f"{len(self.transformer.blocks)} blocks, {self.transformer.heads} heads, "
            f"{self.transformer.activation}, embedding {e})"
        )


def end_of_text(ids: Array) -> Array:
    """Place [b] of the end-of-text token in ids [b, n]: the largest id, which CLIP's vocabulary puts last."""
    return ids.argmax(axis=-1)


def embed_tokens(t: Text, ids: Array) -> Array:
    """Token embeddings plus position embeddings: ids [b, n] -> [b, n, d].

    Raises
    ------
    ValueError
        More tokens than positions, or an id outside the vocabulary.
    """
    n = ids.shape[-1]
    if n > t.context_length:
        raise ValueError(f"{n} tokens: this tower has positions for {t.context_length}")
    if int(ids.max()) >= len(t.token_embedding) or int(ids.min()) < 0:
        last = len(t.token_embedding) - 1
        raise ValueError(f"token ids from {int(ids.min())} to {int(ids.max())}: this vocabulary has 0 to {last}")
    return t.token_embedding[ids] + t.positional_embedding[:n]  # [b, n, d]


def text_tower(
    t: Text, x: Array, eot: Array, *, deep: Sequence[Array] = (), start: int = 1, trace: bool = False
) -> tuple[Array, tuple[Trace, ...]]:
    """Run the text tower on embeddings.

    Parameters
    ----------
    t : Text
    x : array [b, n, d]
        From `embed_tokens`, or with learned vectors in place of some of them.
    eot : integer array [b]
        Where each text ends; read off there.
    deep : sequence of arrays [m, d] or [b, m, d]
        Learned tokens (AnomalyCLIP's textual prompt tuning, as its code does it): deep[i] overwrites positions start,
        ..., start + m - 1 at the input of block i + 1, counted from 0. Block 0 has `x` as it is.
    start : int
        1: after the start-of-text token.
    trace : bool
        Record every block, for all n tokens.

    Returns
    -------
    embedding : array [b, e]
    trace : tuple of Trace

    Raises
    ------
    ValueError
        More `deep` tokens than blocks that could take them.
    """
    if len(deep) >= len(t.transformer.blocks):
        raise ValueError(
            f"deep tokens for {len(deep)} blocks: this tower has {len(t.transformer.blocks)}, and the first takes none"
        )
    xp = xp_of(x)
    rows = eot[:, None]  # [b, 1]
    if not trace:
        x = x[:, : int(eot.max()) + 1]  # [b, n', d]; what follows the last end-of-text token is seen by nobody
    mask = causal_mask(x.shape[1], xp.zeros(0, dtype=x.dtype))

    def enter(i: int, x: Array) -> Array:
        return overwrite(x, deep[i - 1], start) if 1 <= i <= len(deep) else x

    out = stack(x, t.transformer, mask=mask, rows=None if trace else rows, trace=trace, enter=enter)
    ends = out.x[xp.arange(len(rows)), eot] if trace else out.x[:, 0]  # [b, d]
    return layer_norm(ends, t.ln_final) @ t.text_projection, out.trace  # [b, e]
