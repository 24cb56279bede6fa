"""WinCLIP+: WinCLIP beside a few normal images of the object (Jeong et al., CVPR 2023, section 4.3).

    R       memories of K normal images: small windows (2), mid windows (3), last patch tokens     "three memories"
    M_ij    min over r in R of 1/2 (1 - <F_ij, r>)                                                 equation 4
    M^W     (M^P + M_s + M_m) / 3, windows brought to patches by a harmonic mean                   equations 5, 3
    map     M^W with WinCLIP's map of language                                                     "fusing"
    score   1/2 (ascore_0(f(x)) + max over ij of M^W_ij)                                           equation 6

All that WinCLIP's zero-shot side can do otherwise (prompts, crops, scales, ...) it does here too; the options added
reach every row of tables 5 and 6 and every point at which published code goes its own way. K is as many references as
the context holds; `remember` takes the first k of them, and nothing is encoded again.

The paper, tables 1 and 4, on MVTec AD with ViT-B-16-plus-240, laion400m_e31, mean over 5 draws of the references:
image AUROC 93.1, 94.4, 95.2 and pixel AUROC 95.2, 96.0, 96.2 for K = 1, 2, 4. Not verified here.

Shapes: `b` batch, `K` references, `w` windows, `g` = gh gw patches, `e` embedding, `d` width.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

from refclip.backend import Array, to_numpy, xp_of
from refclip.clip import CLIP, encode_tokens, encode_windows
from refclip.methods import winclip
from refclip.methods.images import pixels_of
from refclip.methods.options import check
from refclip.nn import layer_norm, normalize
from refclip.prediction import Difference, Prediction, predict
from refclip.vit import project, sliding_windows

SIDES = {"small": 2, "mid": 3}  # of the windows in a memory, in patches (section 4.2)
MEMORIES = ("patch", *SIDES)


class FewShot(NamedTuple):
    """What can be chosen: first what WinCLIP+ adds, then WinCLIP's options, with their defaults.

    Attributes
    ----------
    memories : str or tuple of str
        Which of "patch", "mid" and "small" are asked, with a plus between (table 6: "patch", then "patch+mid").
    patch_tokens : {"raw", "ln_post", "projected"}
        What the patch memory holds: the last block's tokens as they are, after the tower's last layer norm, or in the
        joint space. Paper: "the last feature map before pooling". Codes: raw; after the norm; no such memory.
    reference_mean : {"harmonic", "arithmetic"}
        Mean over the windows that cover a patch, of equation 4. Paper: not said. Codes: harmonic, harmonic, arithmetic.
    map_fusion : {"mean", "sum", "harmonic", "references"}
        The map of language t and that of the references v: (t + v)/2; t + v, of the same ranking; 1/(1/t + 1/v);
        or v alone. Paper: not said.
    image_fusion : {"mean", "references", "text", "map-max"}
        Equation 6; max M^W alone; WinCLIP's score alone (table 5: both and each); or the maximum of the fused map.
    """

    memories: str | tuple[str, ...] = "patch+mid+small"
    patch_tokens: str = "raw"
    reference_mean: str = "harmonic"
    map_fusion: str = "mean"
    image_fusion: str = "mean"


# One flat tuple, as each method has it: WinCLIP's fields, then ours.
Options = namedtuple("Options", winclip.Options._fields + FewShot._fields, defaults=(*winclip.Options(), *FewShot()))
Options.__annotations__ = get_type_hints(winclip.Options) | get_type_hints(FewShot)
Options.__doc__ = f"{FewShot.__doc__}".rstrip() + "\n" + f"{winclip.Options.__doc__}".partition("----------\n")[2]

CHOICES: dict[str, tuple[Any, ...]] = {
    "patch_tokens": ("raw", "ln_post", "projected"),
    "reference_mean": ("harmonic", "arithmetic"),
    "map_fusion": ("mean", "sum", "harmonic", "references"),
    "image_fusion": ("mean", "references", "text", "map-max"),
}

DIFFERENCES = tuple(
    Difference("winclip+", *row)
    for row in (
        ("4.3, eq. 5", "three memories, the patch tokens' among them", "caoyunkang: the two of windows only",
         "memories='mid+small'", "'patch+mid+small', the paper's"),
        ("4.2, 4.3", "penultimate features: the last feature map before pooling, to which section 4.2 also applies "
         "ascore_0, for which it must be projected",
         "Accurate-WinCLIP: the last block's tokens as they are; anomalib: after the tower's last layer norm",
         "patch_tokens='ln_post' | 'projected'", "'raw', of the code nearest to the paper's numbers"),
        ("4.3, eq. 4", "a score for each window; how windows become pixels is said for language only (eq. 3)",
         "Accurate-WinCLIP, anomalib: the harmonic mean of eq. 3; caoyunkang: the arithmetic mean",
         "reference_mean='arithmetic'", "'harmonic', of the code nearest to the paper's numbers"),
        ("4.3", "M^W is fused with the map of language; how is not said",
         "Accurate-WinCLIP: the sum; anomalib: half of it; caoyunkang: 1/(1/t + 1/v)",
         "map_fusion='sum' | 'harmonic'", "'mean': it ranks as the sum and stays between 0 and 1"),
        ("4.3, eq. 6", "half of ascore_0 + max M^W", "caoyunkang: the maximum of the fused map",
         "image_fusion='map-max'", "'mean', the paper's"),
        ("5, table 1", "mean over 5 random seeds; how K references are drawn is not said",
         "Accurate-WinCLIP: with replacement, so K may hold one image twice; caoyunkang: stored lists for 1, 5, 10",
         "the references are the caller's", "none"),
    )
)  # fmt: skip


class State(NamedTuple):
    """The text side, done once: WinCLIP's."""

    clip: CLIP
    text: Array  # [2, e]
    temperature: float
    options: Options


class Memory(NamedTuple):
    """What equation 4 compares, of images or of references: the raw material of R_s, R_m and R^P."""

    windows: dict[int, Array]  # side -> [b, w, e]; of the memories that the options name
    patches: Array | None  # [b, g, d], as they leave the last block; None without the patch memory
    grid: tuple[int, int]
    origin: str  # the model, and how images became square: what both sides must share


class Features(NamedTuple):
    """One batch of images, or of references. What an option leaves out is not computed."""

    zero: winclip.Features
    memory: Memory


def prepare(clip: CLIP, name: str | None = None, **options: Any) -> State:
    """Embed WinCLIP's prompts; see `winclip.prepare` and `Options`.

    Raises
    ------
    ValueError
        An option has no such value; the message lists those it has.
    """
    o = Options(**options)
    check(o, CHOICES)
    side = min(clip.preprocess.size) // clip.vision.patch_size
    for memory in memory_names(o):
        if SIDES.get(memory, 1) > side:
            raise ValueError(f"memories={o.memories!r}: {memory!r} needs {SIDES[memory]} patches a side, found {side}")
    zero = winclip.prepare(clip, name, **_winclips(o)._asdict())
    return State(clip, zero.text, zero.temperature, o)


def extract(state: State, images: Sequence[Any]) -> Features:
    """WinCLIP's features and what the memories compare, for images and for references alike."""
    clip, o = state.clip, state.options
    zero = winclip.extract(_winclip(state), images)
    pixels, _ = pixels_of(clip, images, o.resize)
    kept = zero.windows if zero.made_of == "windows" else {}
    sides = [SIDES[name] for name in memory_names(o) if name in SIDES]
    windows = {
        k: kept[k] if k in kept else encode_windows(clip, pixels, sliding_windows(zero.grid, k)) for k in sides
    }  # [b, w, e] each
    patches, last = None, len(clip.vision.transformer.blocks)
    if "patch" in memory_names(o):
        patches = encode_tokens(clip, pixels, layers=[last]).taps[last][:, 1:]  # [b, g, d]
    return Features(zero, Memory(windows, patches, zero.grid, _origin(state)))


def remember(references: Features | Memory | Sequence[Features | Memory], k: int | None = None) -> Memory:
    """The memories of normal images, of one batch or several, or of the first k images: a context for `score`.

    Raises
    ------
    ValueError
        No references, fewer than k, or batches that do not belong together.
    """
    batches = [references] if isinstance(references, Features | Memory) else list(references)
    parts = [part.memory if isinstance(part, Features) else part for part in batches]
    if not parts:
        raise ValueError("no references: expected the features of at least one normal image")
    if len(kinds := {f"{part.grid} patches, {part.origin}" for part in parts}) > 1:
        raise ValueError(f"references of several kinds, expected one: {'; '.join(sorted(kinds))}")
    windows = {
        side: _first([part.windows[side] for part in parts], k)
        for side in parts[0].windows
        if all(side in part.windows for part in parts)
    }
    patches = [part.patches for part in parts if part.patches is not None]
    return parts[0]._replace(windows=windows, patches=_first(patches, k) if len(patches) == len(parts) else None)


def score(
    state: State, features: Features, context: Features | Memory | Sequence[Features | Memory] | None = None
) -> Prediction:
    """Score and map of a batch beside the K >= 1 references of the context (section 4.3).

    Raises
    ------
    TypeError
        The references are not on the device of the images.
    ValueError
        No references; or images or references lack a memory, or come from another model, size or way to resize.
    """
    if context is None:
        raise ValueError("winclip+ needs references: give it the features of at least one normal image as context")
    o, seen, memory = state.options, features.memory, remember(context)
    _check(state, seen, "the images")
    _check(state, memory, "the references")
    if seen.grid != memory.grid:
        raise ValueError(f"the references have {memory.grid} patches, the images {seen.grid}: expected as many")
    maps = []  # [b, gh, gw] each
    for name in memory_names(o):
        if name == "patch":
            own, theirs = (patch_tokens(state.clip, m.patches, o.patch_tokens) for m in (seen, memory))  # [., g, .]
            maps.append(associate(own, theirs).reshape(-1, *seen.grid))
        else:
            k = SIDES[name]
            each = associate(seen.windows[k], memory.windows[k])  # [b, w]
            maps.append(winclip.aggregate_windows(each, seen.grid, k, o.reference_mean))
    few = to_numpy(sum(maps) / len(maps))  # [b, gh, gw], M^W: equation 5
    # WinCLIP's answer at the resolution of the patches, where it is fused
    geometry = tuple(one._replace(size=seen.grid) for one in features.zero.geometry)
    zero = winclip.score(_winclip(state), features.zero._replace(geometry=geometry))
    fused, most = fuse(zero.map, few, o.map_fusion), few.max(axis=(1, 2))
    if o.image_fusion == "mean":
        answer = (zero.score + most) / 2  # equation 6
    else:
        answer = {"references": most, "text": zero.score, "map-max": fused.max(axis=(1, 2))}[o.image_fusion]
    return predict(answer, fused, features.zero.geometry)


def associate(x: Array, references: Array) -> Array:
    """1/2 (1 - cosine) to the nearest reference: [b, w, e] beside [K, w, e] -> [b, w]. Equation 4.

    Of unit vectors that is 1/4 |x - r|^2, which is 0, and not a rounding error about 0, where the two are equal.
    """
    xp, there = xp_of(x), xp_of(references)
    if xp is not there:
        raise TypeError(f"references are {there.__name__} arrays, but the images' are {xp.__name__}; use one model")
    if x.dtype == xp.float16:  # distances are small beside 1, where its steps are 5e-4
        x = x.astype(xp.float32)
    x = normalize(x)
    r = normalize(references.astype(x.dtype)).reshape(-1, x.shape[-1])  # [K w, e]
    # image by image: a product [w, K w] at a time, whatever the batch
    return xp.stack([((one - r[(one @ r.T).argmax(axis=1)]) ** 2).sum(axis=1) for one in x]) / 4  # [b, w]


def patch_tokens(clip: CLIP, tokens: Array | None, how: str) -> Array:
    """Last block's tokens [b, g, d] as the option `patch_tokens` wants them: [b, g, d], or [b, g, e] if projected."""
    if how == "projected":
        return project(clip.vision, tokens)  # [b, g, e]
    return tokens if how == "raw" else layer_norm(tokens, clip.vision.ln_post)


def fuse(text: Array, few: Array, how: str = "mean") -> Array:
    """The map of language and that of the references as one, [b, gh, gw] each; see `Options`."""
    if how == "references":
        return few
    if how == "harmonic":
        xp = xp_of(few)
        return 1 / (1 / xp.maximum(text, winclip.SMALLEST) + 1 / xp.maximum(few, winclip.SMALLEST))
    return text + few if how == "sum" else (text + few) / 2


def memory_names(options: Options) -> tuple[str, ...]:
    """The memories that options name.

    Raises
    ------
    ValueError
        None, one twice, or one that does not exist.
    """
    asked = options.memories
    names = tuple(asked.split("+")) if isinstance(asked, str) else tuple(asked)
    if not names or len(set(names)) < len(names) or not set(names) <= set(MEMORIES):
        raise ValueError(f"memories={asked!r}: expected one or more of {', '.join(MEMORIES)}, as 'patch+mid'")
    return names


def _winclips(options: Options) -> winclip.Options:
    return winclip.Options(*options[: len(winclip.Options._fields)])


def _winclip(state: State) -> winclip.State:
    return winclip.State(state.clip, state.text, state.temperature, _winclips(state.options))


def _origin(state: State) -> str:
    return f"{state.clip!r}, resize={state.options.resize!r}"


def _first(parts: Sequence[Array], k: int | None) -> Array:
    joined = parts[0] if len(parts) == 1 else xp_of(parts[0]).concatenate(parts)  # [K, w, e]
    if not 1 <= (len(joined) if k is None else k) <= len(joined):
        raise ValueError(f"k={k} of {len(joined)} references: expected at least one, and no more than there are")
    return joined[:k]


def _check(state: State, memory: Memory, whose: str) -> None:
    if memory.origin != _origin(state):
        raise ValueError(f"{whose} were extracted with {memory.origin}; expected {_origin(state)}")
    for name in memory_names(state.options):
        if (memory.patches is None) if name == "patch" else (SIDES[name] not in memory.windows):
            raise ValueError(f"memories={state.options.memories!r}: {whose} were extracted without {name!r}")
