"""AnomalyCLIP's prompts: what is learned, and how it becomes the two text embeddings g_n and g_a.

    vectors    in place of words at the input of the text tower                          section 3.2; `prompt_learning`
    tokens     m more to be learned in each of the first M' layers but one              section 3.3, "Refinement of the
               ("textual prompt tuning")                                                textual space"; appendix D

Two readings of the second. The paper concatenates, equation 3:

    [r'_{m+1}, t_{m+1}] = T_m([t'_m, t_m]),  m = 1 ... M' - 1;   t_{M'+1} = T_{M'}(t_{M'})

r' is dropped after each layer. It leaves open where t' stands, which mask and which positions it gets, and where the
text ends; our rule ("concatenate"): t' stands before the start-of-text token; it has no position embedding; the mask is
causal over all m + n tokens, so that each token of the text sees all of t'; the text's own tokens keep their positions,
and the end is read off at the end-of-text token of t. T_1 is the first block.

The program overwrites ("overwrite"): at the input of blocks 2 ... M' the tokens after the start-of-text token are
replaced by t', so that the first m vectors of the prompt act through the first block alone. The paper's numbers are
of this one (its authors, issue 75). Both make M' - 1 insertions: depth 9 is 8.

Shapes: `c` objects, `k` = 2 c prompts, `n` tokens, `m` tokens a layer, `d` width, `e` embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refclip.attention import causal_mask
from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP
from refclip.elementary import broadcast_to, concat
from refclip.nn import layer_norm, normalize
from refclip.prompt_learning import Layout, deep_tokens, first_vectors, prompt_embeddings
from refclip.prompts import ANOMALYCLIP_CLIP_STATES
from refclip.text import Text, text_tower
from refclip.transformer import block

TUNINGS = ("overwrite", "concatenate")
DEPTH = 9 / 12  # M' = 9 of ViT-L's 12 text blocks (section 4.1)


class Design(NamedTuple):
    """What is learned. Each default is AnomalyCLIP's (section 4.1).

    Attributes
    ----------
    prompts : {"learned", "fixed"}
        Vectors and words; or the sentences of appendix A.2's CLIP, "A photo of a normal [cls]", in which no vector is
        learned (tables 4 and 7, without T2). Then all options below up to `stop` have no part in it.
    length : int
        E, the number of vectors (figure 8 a).
    shared : bool
        One set of vectors for both states (table 9).
    abnormal : str
        The state word of the abnormal prompt (tables 13 and 14: anomalous, flawed, defective, blemished).
    normal : str
        Of the normal one.
    position : {"end", "middle", "front"}
        Where the words stand; see `prompt_learning`.
    words : str
        The vectors begin as the embeddings of these words, of which there must be `length` tokens; "": at random.
    stop : bool
        A full stop after the object, as the program has it; the paper prints none.
    depth : int, optional
        M', the layers of the text tower with learned tokens, of which the last gets none (figure 8 b; 0 or 1: tables 4
        and 7, without T3). By default 9 of 12, and as much of another tower.
    tokens : int
        m, learned tokens in each of these layers (figure 8 c).
    tuning : {"overwrite", "concatenate"}
        How they enter: as the program has it, or as equation 3 has it. See the head of this file.
    """

    prompts: str = "learned"
    length: int = 12
    shared: bool = False
    abnormal: str = "damaged"
    normal: str = ""
    position: str = "end"
    words: str = ""
    stop: bool = True
    depth: int | None = None
    tokens: int = 4
    tuning: str = "overwrite"


class Learned(NamedTuple):
    """The vectors and tokens."""

    normal: Array | None  # [E, d]; None if E is 0
    abnormal: Array | None  # [E, d]; None where `normal` serves both
    deep: tuple[Array, ...]  # [m, d] each


def settled(clip: CLIP, design: Design) -> Design:
    """The design with its depth chosen for a model.

    Raises
    ------
    ValueError
        An option has no such value.
    """
    blocks = len(clip.text.transformer.blocks)
    if design.tuning not in TUNINGS or design.prompts not in ("learned", "fixed"):
        raise ValueError(
            f"tuning={design.tuning!r}, prompts={design.prompts!r}: expected {' or '.join(TUNINGS)}; learned or fixed"
        )
    return design._replace(depth=int(DEPTH * blocks + 0.5) if design.depth is None else design.depth)


def layout_of(design: Design) -> Layout:
    """The words and vectors of a design."""
    if design.prompts == "fixed":
        normal, abnormal = (words[0].replace("{}", "").strip() for words in ANOMALYCLIP_CLIP_STATES)
        return Layout(0, normal, abnormal, stop=False)
    return Layout(design.length, design.normal, design.abnormal, design.position, design.stop)


def begin(clip: CLIP, design: Design, seed: int) -> Learned:
    """Before learning: every number from N(0, 0.02), or the embeddings of `words`.

    Raises
    ------
    ValueError
        The text tower is not that deep; the words are not that many tokens.
    """
    rng = xp_of(to_numpy(clip.text.ln_final.bias)).random.default_rng(seed)  # of the host, wherever the model is
    length = layout_of(design).length
    words = design.words if length else ""
    vectors = [first_vectors(clip.text, length, rng, words) for _ in range(1 if design.shared else 2)]
    deep = deep_tokens(clip.text, design.depth or 0, design.tokens, rng)
    if not length:
        return Learned(None, None, deep)
    return Learned(vectors[0], None if design.shared else vectors[1], deep)


def embed_prompts(clip: CLIP, design: Design, learned: Learned, names: Sequence[str]) -> Any:
    """The unit vectors g_n and g_a of each object.

    Parameters
    ----------
    clip : CLIP
    design : Design
        Settled.
    learned : Learned
        Arrays or variables.
    names : sequence of c str
        "object" for object-agnostic prompts.

    Returns
    -------
    array [c, 2, e] or Var
        Normal first.

    Raises
    ------
    ValueError
        What was learned does not fit the design; learned tokens would overwrite a prompt's end.
    """
    x, ends = prompt_embeddings(clip.text, layout_of(design), names, learned.normal, learned.abnormal)
    if design.tuning == "concatenate":
        out = concatenated(clip.text, x, ends, learned.deep)  # [k, e]
    else:
        m = max((len(tokens) for tokens in learned.deep), default=0)
        if m >= int(ends.min()):
            raise ValueError(
                f"{m} tokens would overwrite the end of a prompt of {int(ends.min()) + 1} tokens; take fewer tokens, a "
                "greater length, or tuning='concatenate'"
            )
        out, _ = text_tower(clip.text, x, ends, deep=learned.deep, start=1)  # [k, e]
    return normalize(out).reshape(len(names), 2, -1)  # [c, 2, e]


def concatenated(text: Text, x: Any, ends: Array, deep: Sequence[Any]) -> Any:
    """The text tower with tokens concatenated before the text in its first blocks: AnomalyCLIP's equation 3.

    Parameters
    ----------
    text : Text
    x : array [k, n, d]
        Positions added.
    ends : integer array [k]
    deep : sequence of arrays [m, d]
        deep[i] stands before the text at the input of block i, counted from 0, and is dropped behind it.

    Returns
    -------
    array [k, e]

    Raises
    ------
    ValueError
        As many `deep` as blocks: the last takes none.
    """
    blocks = text.transformer.blocks
    if len(deep) >= len(blocks):
        raise ValueError(f"tokens for {len(deep)} blocks: this tower has {len(blocks)}, and the last takes none")
    xp = xp_of(ends)
    x = x[:, : int(ends.max()) + 1]  # [k, n', d]; nobody sees what follows
    k, n, d = x.shape
    like = text.positional_embedding
    for i, weights in enumerate(blocks):
        m = len(deep[i]) if i < len(deep) else 0
        if m:
            x = concat(broadcast_to(deep[i], (k, m, d)), x)  # [k, m + n', d]
        mask = causal_mask(m + n, like)
        if i == len(blocks) - 1:
            rows = ends[:, None]  # [k, 1]
        else:
            rows = xp.broadcast_to(xp.arange(m, m + n), (k, n)) if m else None  # r' is not even computed
        x, _, _ = block(x, weights, text.transformer.heads, text.transformer.activation, mask=mask, rows=rows)
    return layer_norm(x[:, 0], text.ln_final) @ text.text_projection  # [k, e]
