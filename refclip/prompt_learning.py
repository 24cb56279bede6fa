"""Layouts of learnable prompts: which tokens are vectors to be learned, and which are words.

    position "end"       [start] [V_1] ... [V_E] [state] [object] [.] [end]            AnomalyCLIP section 3.2, CoOp 3.2
    position "middle"    [start] [V_1] ... [V_h] [state] [object] [V_h+1] ... [V_E] [.] [end]      h = E // 2
    position "front"     [start] [state] [object] [V_1] ... [V_E] [.] [end]

Two prompts to an object, one for each state. AnomalyCLIP's normal prompt has no state word, its abnormal one
"damaged"; as object-agnostic prompts both say "object" whatever the image shows, as object-aware ones its name. CoOp,
as AnomalyCLIP's appendix A.2 adapts it, says "normal" and "anomalous", and the name.

A vector stands in place of a token's embedding, before position embeddings are added: the seam is `text.text_tower`.

Shapes: `k` prompts, `n` tokens, `E` vectors, `d` width.

References
----------
Zhou et al.: Learning to Prompt for Vision-Language Models (CoOp), 2022, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.backend import Array, xp_of
from refclip.elementary import concat, stack
from refclip.text import Text
from refclip.tokenizer import EOT, SOT, encode

POSITIONS = ("end", "middle", "front")
VECTOR = -1  # in place of a token's id
SPREAD = 0.02  # standard deviation of a vector's numbers before learning, in both programs


class Layout(NamedTuple):
    """What stands around the vectors.

    Attributes
    ----------
    length : int
        E, the number of vectors. 0: nothing but words.
    normal, abnormal : str
        The state words, of each prompt.
    position : {"end", "middle", "front"}
        Where the words stand.
    stop : bool
        End the prompt with a full stop, as both programs do.
    """

    length: int = 12
    normal: str = ""
    abnormal: str = "damaged"
    position: str = "end"
    stop: bool = True


def check(layout: Layout) -> None:
    """Refuse a layout that makes no sense.

    Raises
    ------
    ValueError
    """
    if layout.position not in POSITIONS:
        raise ValueError(f"position={layout.position!r}: expected one of {', '.join(map(repr, POSITIONS))}")
    if layout.length < 0:
        raise ValueError(f"length={layout.length}: expected a number of vectors, 0 for none")


def prompt_ids(layout: Layout, names: Sequence[str], context_length: int = 77) -> list[list[int]]:
    """Token ids of two prompts for each name, the normal one first; `VECTOR` where a vector stands.

    Raises
    ------
    ValueError
        A prompt is longer than the tower's context.

    Examples
    --------
    >>> prompt_ids(Layout(length=2), ["object"])
    [[49406, -1, -1, 14115, 269, 49407], [49406, -1, -1, 13568, 14115, 269, 49407]]
    """
    check(layout)
    found = []
    for name in names:
        for state in (layout.normal, layout.abnormal):
            words = encode(f"{state} {name}")
            before = {"end": layout.length, "middle": layout.length // 2, "front": 0}[layout.position]
            vectors = [VECTOR] * before, [VECTOR] * (layout.length - before)
            ids = [SOT, *vectors[0], *words, *vectors[1], *(encode(".") if layout.stop else ()), EOT]
            if len(ids) > context_length:
                raise ValueError(
                    f"the prompt of {state!r} {name!r} has {len(ids)} tokens, {layout.length} of them vectors; "
                    f"expected at most {context_length}: take fewer"
                )
            found.append(ids)
    return found


def prompt_embeddings(
    text: Text, layout: Layout, names: Sequence[str], normal: Any = None, abnormal: Any = None
) -> tuple[Any, Array]:
    """What enters the first block of the text tower.

    Parameters
    ----------
    text : Text
    layout : Layout
    names : sequence of str
        Of objects.
    normal, abnormal : array [E, d] or Var
        The vectors of each state. `abnormal` None: both share `normal`. Both None: there are none, E is 0.

    Returns
    -------
    x : array [2 names, n, d] or Var
        Positions added; the normal prompt of the first name, its abnormal one, those of the second, ... Shorter ones
        are filled up with token 0, which under the causal mask nobody sees.
    ends : integer array [2 names]
        Where each prompt ends.

    Raises
    ------
    ValueError
        A prompt is too long, or the vectors are not E.
    """
    xp = xp_of(text.token_embedding)
    every = prompt_ids(layout, names, text.context_length)
    longest = max(map(len, every))
    sides = (normal, normal if abnormal is None else abnormal)
    for side in sides:
        count = 0 if side is None else len(side)
        if count != layout.length:
            raise ValueError(f"{count} vectors, but the layout has {layout.length}; were they learned with another?")
    rows = [_row(text, ids + [0] * (longest - len(ids)), sides[i % 2]) for i, ids in enumerate(every)]  # [n, d] each
    x = stack(*rows) + text.positional_embedding[:longest]  # [k, n, d]
    return x, xp.asarray([len(ids) - 1 for ids in every])


def _row(text: Text, ids: list[int], vectors: Any) -> Any:
    """One prompt [n, d]: runs of words looked up, runs of vectors taken in order."""
    xp, parts, start, used = xp_of(text.token_embedding), [], 0, 0
    while start < len(ids):
        stop = start
        while stop < len(ids) and (ids[stop] == VECTOR) == (ids[start] == VECTOR):
            stop += 1
        if ids[start] == VECTOR:
            parts.append(vectors[used : used + stop - start])
            used += stop - start
        else:
            parts.append(text.token_embedding[xp.asarray(ids[start:stop])])
        start = stop
    return concat(*parts, axis=0)  # [n, d]


def first_vectors(text: Text, length: int, rng: Any, words: str = "") -> Array:
    """Vectors [E, d] before learning: drawn from N(0, 0.02), or the embeddings of words, as CoOp's `ctx_init`.

    Parameters
    ----------
    text : Text
    length : int
        E.
    rng : numpy.random.Generator
    words : str
        "a photo of a": 4 vectors.

    Raises
    ------
    ValueError
        The words are not `length` tokens.
    """
    like = text.token_embedding
    xp = xp_of(like)
    if not words:
        drawn = rng.normal(0, SPREAD, (length, like.shape[1]))
        return xp.asarray(drawn.astype(like.dtype))
    ids = encode(words)
    if len(ids) != length:
        raise ValueError(f"words={words!r} are {len(ids)} tokens, expected {length}: set length={len(ids)}")
    return like[xp.asarray(ids)] + 0  # a copy: it is about to be learned


def deep_tokens(text: Text, depth: int, tokens: int, rng: Any) -> tuple[Array, ...]:
    """Learnable tokens [m, d] for each of the first `depth` layers but one, drawn from N(0, 0.02).

    Raises
    ------
    ValueError
        The tower is not that deep.
    """
    blocks = len(text.transformer.blocks)
    if not 0 <= depth <= blocks or tokens < 0:
        raise ValueError(f"depth={depth}, tokens={tokens}: this text tower has {blocks} blocks")
    if not tokens:
        return ()
    return tuple(first_vectors(text, tokens, rng) for _ in range(depth - 1))
