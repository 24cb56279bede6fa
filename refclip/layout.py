"""Key names, sizes and shapes of a CLIP's tensors. The only file that knows checkpoint key names.

Two layouts are read, open_clip's and Hugging Face transformers'. transformers keeps q, k, v apart and stores the
projections transposed; both become open_clip's names first and are then held to the shapes that their own sizes imply.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from refclip.backend import Array, xp_of
from refclip.checkpoint import FETCH, WeightsError, listed, shown

# transformers' name -> open_clip's: of the towers, inside one block, and of what is there once
HF_TOWERS = {"vision_model": "visual.transformer.resblocks", "text_model": "transformer.resblocks"}
HF_BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
HF_QKV = {"self_attn.q_proj": "q", "self_attn.k_proj": "k", "self_attn.v_proj": "v"}  # rows of in_proj, in this order
HF_TOP = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # the missing 'e' is theirs
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "logit_scale": "logit_scale",
}
HF_TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
# constants of old exports that no tower reads
UNUSED = {
    "text_model.embeddings.position_ids",
    "vision_model.embeddings.position_ids",
    "attn_mask",
    "input_resolution",
    "context_length",
    "vocab_size",
}


class Sizes(NamedTuple):
    """Every size of a CLIP, read off its tensors."""

    embed: int
    vision_width: int
    vision_layers: int
    vision_mlp: int
    patch: int
    image: int
    text_width: int
    text_layers: int
    text_mlp: int
    context: int
    vocabulary: int


def is_transformers(tensors: Collection[str]) -> bool:
    """Whether these are names of transformers' layout."""
    return any(name.startswith(tuple(f"{tower}." for tower in HF_TOWERS)) for name in tensors)


def to_open_clip(path: Path, tensors: dict[str, Array]) -> dict[str, Array]:
    """Bring either layout to open_clip's key names. What has no place in a CLIP keeps its name, for `require_shapes`.

    Raises
    ------
    WeightsError
        q, k and v do not fit together, or two tensors mean the same one.
    """
    tensors = {name: x for name, x in tensors.items() if name not in UNUSED}
    if not is_transformers(tensors):
        return tensors
    out: dict[str, Array] = {}
    parts: dict[str, dict[str, Array]] = {}
    for name, x in tensors.items():
        new, letter = _rename(name)
        if letter:
            parts.setdefault(new, {})[letter] = x
        elif new in out:
            raise WeightsError(f"{path}: {shown(new)} is there in two layouts, expected one; fetch another file")
        else:
            out[new] = x.T if name in HF_TRANSPOSED else x
    for name, qkv in parts.items():
        if name in out:
            raise WeightsError(f"{path}: {shown(name)} is there in two layouts, expected one; fetch another file")
        if set(qkv) != set("qkv") or len({(x.shape, x.dtype) for x in qkv.values()}) != 1:
            found = ", ".join(f"{letter} {x.dtype} {x.shape}" for letter, x in sorted(qkv.items()))
            raise WeightsError(
                f"{path}: {in_transformers(name)}: found {found}, expected q, k and v of one type and shape; {FETCH}"
            )
        out[name] = xp_of(qkv["q"]).concatenate([qkv[letter] for letter in "qkv"])
    return out


def read_sizes(path: Path, tensors: dict[str, Array], label: Callable[[str], str] = str) -> Sizes:
    """Sizes of the towers, from the tensors that define them, in open_clip's names. `label` names them in errors.

    Raises
    ------
    WeightsError
        A defining tensor is missing or does not have the number of axes it should.
    """

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in tensors:
            raise WeightsError(
                f"{path}: no tensor {label(name)!r}; expected a CLIP with a vision transformer in open_clip's or "
                f"transformers' layout, found {len(tensors)} tensors: {listed(sorted(tensors), 3)}; fetch the file of "
                "such a model"
            )
        found = tensors[name].shape
        if len(found) != axes or 0 in found:
            raise WeightsError(
                f"{path}: {label(name)} has shape {found}, expected {axes} axes, none of them empty; {FETCH}"
            )
        return found

    def layers(prefix: str) -> int:
        numbers = {name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)}
        return max((int(n) for n in numbers if n.isdecimal() and len(n) < 4), default=-1) + 1

    width, _, patch, _ = shape("visual.conv1.weight", 4)
    tokens = shape("visual.positional_embedding", 2)[0]
    grid = math.isqrt(tokens - 1)
    if grid < 1 or grid * grid + 1 != tokens:
        raise WeightsError(
            f"{path}: {label('visual.positional_embedding')} has {tokens} rows, expected 1 + a square: a class token "
            "and a grid of patches; refclip loads no other tower"
        )
    vocabulary, text_width = shape("token_embedding.weight", 2)
    return Sizes(
        embed=shape("visual.proj", 2)[1],
        vision_width=width,
        vision_layers=layers("visual.transformer.resblocks."),
        vision_mlp=shape("visual.transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        patch=patch,
        image=grid * patch,
        text_width=text_width,
        text_layers=layers("transformer.resblocks."),
        text_mlp=shape("transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        context=shape("positional_embedding", 2)[0],
        vocabulary=vocabulary,
    )


def expected_shapes(s: Sizes) -> dict[str, tuple[int, ...]]:
    """Every tensor of a CLIP with these sizes, in open_clip's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "visual.conv1.weight": (s.vision_width, 3, s.patch, s.patch),
        "visual.class_embedding": (s.vision_width,),
        "visual.positional_embedding": ((s.image // s.patch) ** 2 + 1, s.vision_width),
        "visual.proj": (s.vision_width, s.embed),
        "token_embedding.weight": (s.vocabulary, s.text_width),
        "positional_embedding": (s.context, s.text_width),
        "text_projection": (s.text_width, s.embed),
        "logit_scale": (),
    }
    norms = [("visual.ln_pre", s.vision_width), ("visual.ln_post", s.vision_width), ("ln_final", s.text_width)]
    for prefix, layers, d, hidden in (
        ("visual.transformer.resblocks", s.vision_layers, s.vision_width, s.vision_mlp),
        ("transformer.resblocks", s.text_layers, s.text_width, s.text_mlp),
    ):
        for i in range(layers):
            b = f"{prefix}.{i}"
            norms += [(f"{b}.ln_1", d), (f"{b}.ln_2", d)]
            shapes |= {
                f"{b}.attn.in_proj_weight": (3 * d, d),
                f"{b}.attn.in_proj_bias": (3 * d,),
                f"{b}.attn.out_proj.weight": (d, d),
                f"{b}.attn.out_proj.bias": (d,),
                f"{b}.mlp.c_fc.weight": (hidden, d),
                f"{b}.mlp.c_fc.bias": (hidden,),
                f"{b}.mlp.c_proj.weight": (d, hidden),
                f"{b}.mlp.c_proj.bias": (d,),
            }
    for name, d in norms:
        shapes |= {f"{name}.weight": (d,), f"{name}.bias": (d,)}
    return shapes


def require_shapes(path: Path, tensors: dict[str, Array], sizes: Sizes, label: Callable[[str], str] = str) -> None:
    """Refuse missing, extra and misshapen tensors and those that are not floating point; `label` names them in errors.

    Raises
    ------
    WeightsError
    """
    expected = expected_shapes(sizes)
    missing = sorted(label(name) for name in set(expected) - set(tensors))
    extra = sorted(set(tensors) - set(expected))
    if missing or extra:
        faults = [f"missing: {listed(missing)}"] * bool(missing) + [f"not known: {listed(extra)}"] * bool(extra)
        read = ", ".join(f"{key} {value}" for key, value in sizes._asdict().items())
        raise WeightsError(
            f"{path}: {'; '.join(faults)}; expected the {len(expected)} tensors of a CLIP with the sizes read off the "
            f"others ({read}); {FETCH}"
        )
    for name, shape in expected.items():
        found, dtype = tensors[name].shape, tensors[name].dtype
        if found != shape and not (name == "logit_scale" and found == (1,)):
            raise WeightsError(f"{path}: {label(name)} has shape {found}, expected {shape}; {FETCH}")
        if dtype.kind != "f" and dtype != "uint16":  # uint16: the bits of bfloat16, see `checkpoint`
            raise WeightsError(f"{path}: {label(name)} has type {dtype}, expected floats; fetch unquantized weights")


def in_transformers(name: str) -> str:
    """What transformers calls open_clip's `name`, for messages."""
    for theirs, ours in HF_TOP.items():
        if ours == name:
            return theirs
    for theirs, ours in HF_TRANSPOSED.items():
        if ours == name:
            return f"{theirs} (transposed)"
    for tower, prefix in HF_TOWERS.items():
        if name.startswith(f"{prefix}."):
            number, _, inner = name.removeprefix(f"{prefix}.").partition(".")
            layer, _, kind = inner.rpartition(".")
            theirs = next((hf for hf, ours in HF_BLOCK.items() if ours == layer), None)
            if theirs is None:  # attn.in_proj_weight
                theirs, kind = "self_attn.{q,k,v}_proj", inner.removeprefix("attn.in_proj_")
            return f"{tower}.encoder.layers.{number}.{theirs}.{kind}"
    return name


def _rename(name: str) -> tuple[str, str]:
    """open_clip's name of transformers' `name`, and which of q, k, v it is a part of, if any. Unknown names stay."""
    tower, _, rest = name.partition(".encoder.layers.")
    number, _, inner = rest.partition(".")
    layer, _, kind = inner.rpartition(".")  # "self_attn.q_proj", "weight"
    if tower in HF_TOWERS and layer in HF_BLOCK:
        return f"{HF_TOWERS[tower]}.{number}.{HF_BLOCK[layer]}.{kind}", ""
    if tower in HF_TOWERS and layer in HF_QKV:
        return f"{HF_TOWERS[tower]}.{number}.attn.in_proj_{kind}", HF_QKV[layer]
    return HF_TRANSPOSED.get(name) or HF_TOP.get(name, name), ""
