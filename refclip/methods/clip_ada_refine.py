"""CLIP-ADA's pass: the prompt, the image, and the image again where the first answer points (its sections 4.1 to 4.4).

    w     = Embed(ids(template without [CLS]))                                       equation 1
    t     = T(w with p_1 ... p_m in the place of [CLS])                              equation 2
    v     = Proj_0(F_l(x)),  S_0 = sigmoid(v t^T)                                    equation 3
    L_0   = binary cross-entropy of S_0 and the mask                                 equation 4
    x_k   = x * S_(k-1),  v_k = Proj_k(F_l(x_k)),  S_k = sigmoid(v_k t^T)            equation 5
    L     = L_0 + lambda sum over k of L_k                                           equation 6

All works on arrays and on variables; on a tape the gradient of L_k reaches S_(k-1) through the image tower, which is
frozen: it is the image that is a variable there, not the weights.

Shapes: `b` batch, `g` = gh gw patches, `n` tokens, `m` learned vectors, `d` width of the image tower, `e` embedding.
"""

from __future__ import annotations

from typing import Any

from refclip import losses, parallel
from refclip.autograd import Var, constant
from refclip.backend import Array, xp_of
from refclip.clip import CLIP
from refclip.elementary import concat, sigmoid
from refclip.methods.clip_ada_learned import Learned
from refclip.methods.clip_ada_options import Options
from refclip.nn import layer_norm, linear, normalize
from refclip.preprocess import Preprocess
from refclip.resample import resize
from refclip.text import Text, text_tower
from refclip.tokenizer import EOT, SOT, encode
from refclip.transformer import stack
from refclip.vit import Vision, embed

TINY = 1e-7  # added to what is divided by, for a sigmoid can round to 0; float16 can hold it


def prompt_ids(o: Options) -> tuple[list[int], list[int]]:
    """Token ids before and after the place of what is learned: equation 1's ids of CLIP-ADA's template.

    With `words`, these are at the end of the first half. The start and the end of the text are in.
    """
    before, after = (o.template or "{}").split("{}")
    return [SOT, *encode(before), *encode(o.words or "")], [*encode(after), EOT]


def text_embedding(text: Text, o: Options, prompt: Array | None) -> Array:
    """The embedding t [1, e] of the template with the learned vectors in it: CLIP-ADA, equations 1 and 2.

    Parameters
    ----------
    text : Text
    o : Options
    prompt : array [m, width], Var, or None
        None where `words` stand in its place (table 4's fixed prompt).

    Raises
    ------
    ValueError
        More tokens than the tower has places for.
    """
    before, after = prompt_ids(o)
    xp = xp_of(text.text_projection)
    w = text.token_embedding[xp.asarray([*before, *after])]  # [n - m, width], equation 1
    split = len(before)
    x = w if prompt is None else concat(w[:split], prompt, w[split:], axis=0)  # [n, width], equation 2
    n = x.shape[0]
    if n > text.context_length:
        raise ValueError(f"{n} tokens: this tower has positions for {text.context_length}; use a shorter template")
    x = (x + text.positional_embedding[:n])[None]  # [1, n, width]
    t, _ = text_tower(text, x, xp.asarray([n - 1]))
    return normalize(t) if o.normalize else t  # [1, e]


def patch_tokens(v: Vision, pixels: Array, o: Options, *, recomputed: bool = False) -> Array:
    """F_l(x): patch tokens [b, g, d] as block l leaves them; the blocks after it are not run. Section 4.1."""
    first = v.transformer._replace(blocks=v.transformer.blocks[: o.layer])

    def run(part: Array) -> Array:
        x = stack(embed(v, part), first, recomputed=recomputed).x[:, 1:]  # [b, g, d]
        return layer_norm(x, v.ln_post) if o.ln_post else x

    if type(v.conv1) is Var:  # the tower is tuned: a tape is one computation and is not split
        return run(pixels)
    tokens = 1 + (pixels.shape[2] // v.patch_size) * (pixels.shape[3] // v.patch_size)
    size = parallel.piece(pixels.shape[0], tokens, constant(pixels), parallel.default_threads())
    return parallel.map_batch(run, pixels, size=size)


def similarity(tokens: Array, projection: Any, t: Array, scale: Array | None, o: Options) -> Array:
    """What the sigmoid of equations 3 and 5 is taken of, v t^T with v = Proj(F_l): [b, g]. CLIP-ADA, equation 3.

    Parameters
    ----------
    tokens : array [b, g, d]
    projection : Linear
        d to e.
    t : array [1, e]
    scale : array [1] or None
        The learned one.
    o : Options
    """
    v = linear(tokens, projection)  # [b, g, e]
    v = normalize(v) if o.normalize else v
    z = (v @ t.swapaxes(0, 1))[..., 0]  # [b, g]
    if o.scale == "fixed":
        return z * (o.scale_start or 1.0)
    return z if scale is None else z * scale


def attended(pixels: Array, s: Array, o: Options, config: Preprocess) -> Array:
    """x_k = x * S_(k-1), the image with what is not attended to taken back: CLIP-ADA, equation 5.

    Parameters
    ----------
    pixels : array [b, 3, H, W]
        Normalised.
    s : array [b, gh, gw] or Var
        S_(k-1).
    o : Options
        `attend`: where the two meet; `attended`: whether the normalised pixels are multiplied, or those of the picture;
        `strength`: whether by S or by S over its largest value.
    config : Preprocess
        Mean and deviation of the picture's pixels.

    Returns
    -------
    array [b, 3, H, W] or Var
    """
    size, grid = tuple(pixels.shape[2:]), tuple(s.shape[1:])
    s = s / (largest(s) + TINY) if o.strength == "relative" else s
    if o.attend == "map":
        x, s = resize(pixels, grid, "bilinear", True), s[:, None]  # [b, 3, gh, gw], [b, 1, gh, gw]
    else:
        x, s = pixels, resize(s, size, "bilinear")[:, None]  # [b, 1, H, W]
    y = x * s
    if o.attended == "raw":  # of the picture r = x std + mean: (r s - mean) / std = x s + (s - 1) mean / std
        xp = xp_of(pixels)
        black = xp.asarray([m / d for m, d in zip(config.mean, config.std, strict=True)], dtype=pixels.dtype)
        y = y + (s - 1) * black[:, None, None]
    return resize(y, size, "bilinear") if o.attend == "map" else y


def largest(s: Array) -> Array:
    """The largest value of each map [b, gh, gw], [b, 1, 1]; a gradient goes to the place that has it."""
    xp, flat = xp_of(s), s.reshape(s.shape[0], -1)  # [b, g]
    return flat[xp.arange(s.shape[0]), xp.argmax(constant(flat), axis=1)].reshape(-1, 1, 1)


def towers(clip: CLIP, learned: Learned) -> tuple[Vision, Text]:
    """The model's towers, with what of them is tuned in place of its own (table 5)."""
    return _with(clip.vision, learned.vision), _with(clip.text, learned.text)


def logits(
    clip: CLIP, learned: Learned, o: Options, pixels: Array, *, t: Array | None = None, recomputed: bool = False
) -> list[Array]:
    """What S_0, ..., S_K are sigmoids of, [b, gh, gw] each: CLIP-ADA, equations 3 and 5.

    Parameters
    ----------
    clip : CLIP
    learned : Learned
        Arrays or variables.
    o : Options
        Settled.
    pixels : array [b, 3, H, W]
    t : array [1, e], optional
        From `text_embedding`, if it is known.
    recomputed : bool
        On a tape, keep each block's input only; see `recompute`.
    """
    v, text = towers(clip, learned)
    t = text_embedding(text, o, learned.prompt) if t is None else t
    b, _, height, width = pixels.shape
    grid = height // v.patch_size, width // v.patch_size
    found: list[Array] = []
    x = pixels
    for k in range(1 + (o.refinements or 0)):
        if k:
            s = sigmoid(found[-1])  # [b, gh, gw]
            x = attended(pixels, s if o.end_to_end else constant(s), o, clip.preprocess)  # [b, 3, H, W]
        tokens = patch_tokens(v, x, o, recomputed=recomputed)  # [b, g, d]
        found.append(similarity(tokens, learned.projections[k], t, learned.scale, o).reshape(b, *grid))
    return found


def loss_of(
    clip: CLIP, learned: Learned, o: Options, pixels: Array, mask: Array, *, lam: float = 1.0, **how: Any
) -> Any:
    """The loss of a batch: CLIP-ADA, equations 4 and 6.

    Parameters
    ----------
    clip, learned, o, pixels
        As for `logits`; `how` too.
    mask : array [b, gh, gw]
        At the resolution of S, 0 to 1.
    lam : float
        lambda.

    Returns
    -------
    array of no dimensions, or Var
    """
    first, *refined = logits(clip, learned, o, pixels, **how)
    total = losses.bce_with_logits(first, mask)  # the cross-entropy of sigmoid(z), without its rounding: equation 4
    for z in refined:
        total = total + lam * losses.bce_with_logits(z, mask)  # equation 6
    return total


def _with(tower: Any, tuned: Any) -> Any:
    """A tower with the parts that `tuned` has."""
    if tuned is None:
        return tower
    parts = {key: x for key, x in tuned._asdict().items() if x is not None}
    return tower._replace(**parts)
