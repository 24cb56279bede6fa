"""The residual block, the stack of blocks, and the dual path beside it. Both towers are made of these.

    x = x + attention(layer_norm(x));  x = x + mlp(layer_norm(x))                                    one block

The dual path (AnomalyCLIP section 3.3, "DPAM"; Dual-Image Enhanced CLIP section 3.1) leaves that path as it is, and
runs beside it, from some block on, the attention of another variant on the same projections:

    dual = dual + attention_vv(layer_norm(x))                               x: the original path's input to the block

without an MLP, starting from dual = x. The original path never sees it.

Shapes: `b` batch, `n` tokens, `d` width, `h` heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refclip.attention import QKV, Attention, attention, attention_map, operands, project
from refclip.autograd import Var
from refclip.backend import Array, xp_of
from refclip.elementary import concat
from refclip.nn import ACTIVATIONS, LayerNorm, Linear, gather, layer_norm, linear
from refclip.parallel import whole
from refclip.recompute import recompute

Enter = Callable[[int, Any], Any]  # (block number from 0, its input) -> what is to enter it instead
Split = Callable[[Callable[[Any], Any], Any], Any]  # (f, x) -> f(x), perhaps in parts along the tokens


class Block(NamedTuple):
    """Weights of one residual block, named as in open_clip."""

    ln_1: LayerNorm
    attn: Attention
    ln_2: LayerNorm
    c_fc: Linear  # [4 d, d]
    c_proj: Linear  # [d, 4 d]


class Stack(NamedTuple):
    """A transformer: its blocks, and what no tensor tells."""

    blocks: tuple[Block, ...]
    heads: int
    activation: str  # "gelu" (exact) or "quick_gelu"


class Dual(NamedTuple):
    """The dual path: which attention, and the first block (counted from 0) that has it."""

    variant: str = "v-v"
    start: int = 0


class Trace(NamedTuple):
    """Everything that happened in one block, in order. What the last block was not asked for is not in it."""

    input: Array  # [b, n, d]
    attention_map: Array  # [b, h, n, n]
    attention: Array  # [b, n, d], before it is added
    mlp: Array  # [b, n, d], before it is added
    output: Array  # [b, n, d]
    dual: Array | None  # [b, n, d], the dual path after this block


class Result(NamedTuple):
    """What a stack hands back."""

    x: Array  # [b, n, d], or [b, r, d] if only some rows were asked for
    taps: dict[int, Array]  # block number, counted from 1 as in the papers -> [b, n, d]
    trace: tuple[Trace, ...]  # a block each, only if asked for


def mlp(x: Array, p: Block, activation: str) -> Array:
    """Two linear layers with the activation between them: [b, n, d] -> [b, n, 4 d] -> [b, n, d]."""
    return linear(ACTIVATIONS[activation](linear(x, p.c_fc)), p.c_proj)


def block(
    x: Array,
    p: Block,
    heads: int,
    activation: str,
    *,
    variant: str = "q-k",
    mask: Array | None = None,
    rows: Array | None = None,
    dual: Array | None = None,
    dual_variant: str = "v-v",
    trace: bool = False,
    split: Split = whole,
) -> tuple[Array, Array | None, Trace | None]:
    """One residual block.

    Parameters
    ----------
    x : array [b, n, d]
    p : Block
    heads : int
    activation : {"gelu", "quick_gelu"}
    variant : str
        Attention of the original path; a key of `attention.VARIANTS`.
    mask : array broadcastable to [b, h, n, n], optional
    rows : integer array [b, r], optional
        Compute the output of these tokens only.
    dual : array [b, n, d], optional
        The dual path so far; given, it goes through this block's attention in `dual_variant`.
    dual_variant : str
    trace : bool
        Record every intermediate. The attention map is computed for the record alone.
    split : callable
        How work over tokens is shared out over threads; see `parallel.token_threads`.

    Returns
    -------
    x : array [b, n, d] or [b, r, d]
    dual : array [b, n, d] or None
    trace : Trace or None
    """
    # Tokens meet in attention alone. What each says, and what each makes of what it hears, is a token's own matter.
    qkv = QKV(*split(lambda part: project(layer_norm(part, p.ln_1), p.attn), x))  # three of [b, n, d]

    def hear(rows: Array | None) -> tuple[Array, Array, Array]:
        attended = attention(qkv, p.attn, heads, variant=variant, mask=mask, rows=rows)  # [b, n or r, d]
        middle = (x if rows is None else gather(x, rows)) + attended  # [b, n or r, d]
        after = mlp(layer_norm(middle, p.ln_2), p, activation)  # [b, n or r, d]
        return middle + after, attended, after

    def hear_beside(rows: Array | None) -> Array:
        attended = attention(qkv, p.attn, heads, variant=dual_variant, mask=mask, rows=rows)  # [b, n or r, d]
        return (dual if rows is None else gather(dual, rows)) + attended

    every = None if split is whole else _all_rows(x)  # [b, n]
    y, attended, after = hear(rows) if rows is not None else split(hear, every)
    if dual is not None:
        dual = split(hear_beside, every)  # [b, n, d]
    if not trace:
        return y, dual, None
    weights = attention_map(*operands(qkv, variant), heads, mask)  # [b, h, n, n]
    return y, dual, Trace(x, weights, attended, after, y, dual)


def stack(
    x: Array,
    p: Stack,
    *,
    variant: str = "q-k",
    mask: Array | None = None,
    rows: Array | None = None,
    dual: Dual | None = None,
    taps: Sequence[int] = (),
    trace: bool = False,
    split: Split = whole,
    enter: Enter | None = None,
    recomputed: bool = False,
) -> Result:
    """All blocks, one after another.

    Parameters
    ----------
    x : array [b, n, d]
    p : Stack
    variant, mask
        As in `block`.
    rows : integer array [b, r], optional
        Tokens wanted of the last block; the blocks before it need all of theirs.
    dual : Dual, optional
        Run the dual path.
    taps : sequence of int
        Blocks whose tokens are wanted, counted from 1: the dual path's where it runs, else the original path's.
    trace : bool
        Record every block.
    split : callable
        As in `block`.
    enter : callable, optional
        Called before each block with its number, counted from 0, and its input x; what it returns enters instead, the
        dual path's beginning included. Learned tokens come in here.
    recomputed : bool
        On a tape, keep each block's input only and compute the block again on the way back; see `recompute`.

    Raises
    ------
    ValueError
        A tap or the start of the dual path lies outside the stack; or a tap of the last block, which needs all of its
        tokens, together with `rows`; or `trace` together with `recomputed`.
    """
    depth = len(p.blocks)
    start = depth if dual is None else dual.start
    if dual is not None and not 0 <= start < depth:
        raise ValueError(f"dual path from block {start} (counted from 0): this tower has blocks 0 to {depth - 1}")
    wrong = [t for t in taps if not 1 <= t <= depth]
    if wrong:
        raise ValueError(f"layers {wrong}: expected block numbers from 1 to {depth}")
    if rows is not None and (depth in taps or trace):
        raise ValueError("`rows` leaves the last block without its other tokens; ask for either rows or all tokens")
    beside: Array | None = None
    kept: dict[int, Array] = {}
    record = []
    if trace and recomputed:
        raise ValueError("a trace records what `recomputed` forgets; ask for one of them")
    for i, weights in enumerate(p.blocks):
        x = x if enter is None else enter(i, x)
        if i == start:
            beside = x
        run = _recomputed_block if recomputed and type(x) is Var else block
        x, beside, seen = run(
            x,
            weights,
            p.heads,
            p.activation,
            variant=variant,
            mask=mask,
            rows=rows if i == depth - 1 else None,
            dual=beside,
            dual_variant="v-v" if dual is None else dual.variant,
            trace=trace,
            split=split,
        )
        if i + 1 in taps:
            kept[i + 1] = x if beside is None else beside
        if seen is not None:
            record.append(seen)
    return Result(x, kept, tuple(record))


def _recomputed_block(x: Array, *args: Any, dual: Array | None = None, **kwargs: Any) -> tuple[Any, Any, None]:
    """`block`, of which a tape keeps the inputs only."""
    if dual is None:
        return recompute(lambda x: block(x, *args, **kwargs)[0], x), None, None

    def both(x: Array, dual: Array) -> Array:
        y, beside, _ = block(x, *args, dual=dual, **kwargs)
        return concat(y, beside, axis=1)  # [b, n or r + n, d]; one array, as `recompute` wants

    together = recompute(both, x, dual)
    n = dual.shape[1]
    return together[:, : together.shape[1] - n], together[:, together.shape[1] - n :], None


def _all_rows(x: Array) -> Array:
    xp = xp_of(x)
    return xp.broadcast_to(xp.arange(x.shape[1]), x.shape[:2])  # [b, n]
