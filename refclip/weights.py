"""Weights in: a name, a file or a folder -> `CLIP`. The only file that knows checkpoint key names.

Two layouts are read, open_clip's and Hugging Face transformers'. Both become open_clip's names first (transformers keeps
q, k, v apart and the projections transposed), are held to the shapes that their own sizes imply, and then fill the
NamedTuples of the towers. Every size is read off the tensors; what no tensor tells comes from `config`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refclip import config as configuration
from refclip.attention import Attention
from refclip.backend import check_device, to_device
from refclip.checkpoint import WeightsError, listed, read_tensors, require_finite
from refclip.clip import CLIP
from refclip.config import Config
from refclip.nn import ACTIVATIONS, LayerNorm, Linear
from refclip.text import Text
from refclip.transformer import Block, Stack
from refclip.vit import Vision

SHIPPED = {"refclip-mini": "refclip-mini.safetensors"}
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16}
# inside a folder, the first of these that is there (then any single other .safetensors)
FILES = ("open_clip_model.safetensors", "model.safetensors")

# transformers' name -> open_clip's, inside one block; q, k, v are joined separately
HF_BLOCK = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj"}  # fmt: skip
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
UNUSED = {"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids", "attn_mask", "input_resolution",
          "context_length", "vocab_size"}  # fmt: skip


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


def load(
    path_or_name: str | os.PathLike[str],
    *,
    pretrained: str | None = None,
    activation: str | None = None,
    vision_heads: int | None = None,
    text_heads: int | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    check_finite: bool = True,
) -> CLIP:
    """Load a CLIP.

    Parameters
    ----------
    path_or_name : str or path
        A safetensors file, a folder with one (as Hugging Face's client downloads it), or "refclip-mini".
    pretrained : str, optional
        A known pretrained tag, "ViT-B-16-plus-240/laion400m_e31", where no configuration lies beside the weights.
    activation : {"gelu", "quick_gelu"}, optional
        Overrides the configuration.
    vision_heads, text_heads : int, optional
        Override the configuration.
    dtype : {"float32", "float64", "float16"}
        To compute in. float32 weights on disk stay memory-mapped when computing in float32.
    device : str
        "cpu", or "cuda" with CuPy.
    check_finite : bool
        Refuse NaN and infinity. This reads every weight once.

    Returns
    -------
    CLIP

    Raises
    ------
    WeightsError
        A `ValueError` that names the file, what was found, what was expected and what to do.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r}: expected one of {', '.join(ACTIVATIONS)}")
    check_device(device)
    path = find(path_or_name)
    tensors = to_open_clip(path, read_tensors(path))
    sizes = read_sizes(path, tensors)
    require_shapes(path, tensors, sizes)
    if check_finite:
        require_finite(path, tensors)
    config = find_config(path, pretrained, activation, vision_heads, text_heads)
    require_agreement(path, config, sizes)
    if dtype == "float16" and device == "cpu":
        raise ValueError("dtype 'float16' on a CPU would be slow and inexact; use 'float32'")
    arrays = {name: to_device(np.asarray(x).astype(DTYPES[dtype], copy=False), device) for name, x in tensors.items()}
    return assemble(arrays, sizes, config, str(path_or_name))


def find(path_or_name: str | os.PathLike[str]) -> Path:
    """The weight file that a name, a file or a folder means.

    Raises
    ------
    WeightsError
    """
    if str(path_or_name) in SHIPPED:
        name = SHIPPED[str(path_or_name)]
        places = [Path(__file__).parent / "weights" / name, Path(__file__).parent.parent / "weights" / name]
        for place in places:  # inside an installed wheel; in a checkout
            if place.exists():
                return place
        raise WeightsError(f"{path_or_name}: not in this installation (looked for {places[0]}); reinstall refclip")
    path = Path(path_or_name).expanduser()
    if path.is_dir():
        for name in FILES:
            if (path / name).is_file():
                return path / name
        others = sorted(path.glob("*.safetensors"))
        if len(others) == 1:
            return others[0]
        found = listed([p.name for p in others]) if others else "none"
        pickles = [p.name for p in sorted(path.iterdir()) if p.suffix in (".bin", ".pt", ".pth")]
        hint = f"; {listed(pickles)} are pickles, which refclip never executes" if pickles else ""
        raise WeightsError(f"{path}: expected {FILES[0]} or one .safetensors file in this folder, found {found}{hint}")
    if not path.exists():
        raise WeightsError(
            f"{path}: no such file or folder, and not a shipped model ({', '.join(SHIPPED)}). refclip does not download "
            "by itself; the README tells how to fetch real weights"
        )
    return path


def find_config(
    path: Path,
    pretrained: str | None = None,
    activation: str | None = None,
    vision_heads: int | None = None,
    text_heads: int | None = None,
) -> Config:
    """The configuration of the weights at `path`: arguments, then the JSON beside them, then a known tag.

    Raises
    ------
    WeightsError
        Nothing tells the head counts and the activation.
    """
    tag = pretrained or configuration.tag_in_name(path)
    beside = [path.with_suffix(".json"), path.with_name("open_clip_config.json"), path.with_name("config.json")]
    found = next((p for p in beside if p.is_file()), None)
    if pretrained:
        base = configuration.from_tag(pretrained)
    elif found is not None:
        base = configuration.read_config(found, None if activation else tag)
    elif tag:
        base = configuration.from_tag(tag)
    elif activation and vision_heads and text_heads:
        base = Config(vision_heads, text_heads, activation, None, {}, "arguments")
    else:
        raise WeightsError(
            f"{path}: no configuration beside it ({', '.join(p.name for p in beside)}), and head counts and activation "
            "cannot be read off tensors. Give pretrained='ViT-B-32/openai' (a known tag), or all of activation=, "
            "vision_heads=, text_heads="
        )
    return base._replace(
        vision_heads=vision_heads or base.vision_heads,
        text_heads=text_heads or base.text_heads,
        activation=activation or base.activation,
    )


def to_open_clip(path: Path, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring either layout to open_clip's key names."""
    tensors = {name: x for name, x in tensors.items() if name not in UNUSED}
    if "visual.conv1.weight" in tensors or not any(name.startswith("vision_model.") for name in tensors):
        return tensors
    out: dict[str, np.ndarray] = {}
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, x in tensors.items():
        tower, _, rest = name.partition(".encoder.layers.")
        if name in HF_TOP:
            out[HF_TOP[name]] = x
        elif name in HF_TRANSPOSED:
            out[HF_TRANSPOSED[name]] = x.T
        elif rest:
            prefix = "visual.transformer.resblocks" if tower == "vision_model" else "transformer.resblocks"
            number, _, inner = rest.partition(".")
            layer, _, kind = inner.rpartition(".")  # "self_attn.q_proj", "weight"
            if layer in HF_BLOCK:
                out[f"{prefix}.{number}.{HF_BLOCK[layer]}.{kind}"] = x
            elif layer in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                parts.setdefault(f"{prefix}.{number}.attn.in_proj_{kind}", {})[layer[-6]] = x
            else:
                out[name] = x  # unknown: named as extra below
        else:
            out[name] = x
    for name, qkv in parts.items():
        if set(qkv) != set("qkv") or len({x.shape for x in qkv.values()}) != 1:
            shapes = ", ".join(f"{k} {v.shape}" for k, v in sorted(qkv.items()))
            raise WeightsError(f"{path}: q, k and v of {name} must all be there with one shape; found {shapes}")
        out[name] = np.concatenate([qkv[letter] for letter in "qkv"])
    return out


def read_sizes(path: Path, tensors: dict[str, np.ndarray]) -> Sizes:
    """Sizes of the towers, from the tensors that define them.

    Raises
    ------
    WeightsError
        A defining tensor is missing or does not have the number of axes it should.
    """

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in tensors:
            raise WeightsError(
                f"{path}: no tensor {name!r}; expected a CLIP with a vision transformer in open_clip's or transformers' "
                f"layout, found {len(tensors)} tensors: {listed(sorted(tensors), 3)}"
            )
        found = tensors[name].shape
        if len(found) != axes or 0 in found:
            raise WeightsError(f"{path}: {name} has shape {found}, expected {axes} axes, none of them empty")
        return found

    def layers(prefix: str) -> int:
        numbers = {name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)}
        return max((int(n) for n in numbers if n.isdecimal() and len(n) < 4), default=-1) + 1

    width, _, patch, _ = shape("visual.conv1.weight", 4)
    tokens = shape("visual.positional_embedding", 2)[0]
    grid = round((tokens - 1) ** 0.5)
    if grid < 1 or grid * grid + 1 != tokens:
        raise WeightsError(
            f"{path}: visual.positional_embedding has {tokens} rows, expected a class token and a square grid"
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


def require_shapes(path: Path, tensors: dict[str, np.ndarray], sizes: Sizes) -> None:
    """Refuse missing, extra and misshapen tensors, naming them.

    Raises
    ------
    WeightsError
    """
    expected = expected_shapes(sizes)
    missing = sorted(set(expected) - set(tensors))
    extra = sorted(set(tensors) - set(expected))
    if missing or extra:
        faults = [f"missing: {listed(missing)}"] * bool(missing) + [f"not known: {listed(extra)}"] * bool(extra)
        raise WeightsError(f"{path}: not the tensors of a CLIP of these sizes ({sizes}); {'; '.join(faults)}")
    for name, shape in expected.items():
        found = tensors[name].shape
        if found != shape and not (name == "logit_scale" and found == (1,)):
            raise WeightsError(f"{path}: {name} has shape {found}, expected {shape}")


def require_agreement(path: Path, config: Config, sizes: Sizes) -> None:
    """Refuse a configuration that describes another model than the tensors.

    Raises
    ------
    WeightsError
    """
    for name, claimed in config.claims.items():
        if claimed != getattr(sizes, name):
            raise WeightsError(
                f"{config.source}: says {name} is {claimed}, but the tensors of {path} say {getattr(sizes, name)}; "
                "this configuration belongs to other weights"
            )
    for name, width, heads in (
        ("vision", sizes.vision_width, config.vision_heads),
        ("text", sizes.text_width, config.text_heads),
    ):
        if heads < 1 or width % heads:
            raise WeightsError(f"{config.source}: {heads} heads do not divide the {name} width {width} of {path}")


def assemble(t: dict[str, Any], sizes: Sizes, config: Config, name: str) -> CLIP:
    """Arrays by open_clip's names -> the towers."""

    def norm(prefix: str) -> LayerNorm:
        return LayerNorm(t[f"{prefix}.weight"], t[f"{prefix}.bias"])

    def linear(prefix: str, joint: str = ".") -> Linear:
        return Linear(t[f"{prefix}{joint}weight"], t[f"{prefix}{joint}bias"])

    def blocks(prefix: str, layers: int) -> Iterable[Block]:
        for b in (f"{prefix}.{i}" for i in range(layers)):
            attention = Attention(linear(f"{b}.attn.in_proj", "_"), linear(f"{b}.attn.out_proj"))
            yield Block(
                norm(f"{b}.ln_1"), attention, norm(f"{b}.ln_2"), linear(f"{b}.mlp.c_fc"), linear(f"{b}.mlp.c_proj")
            )

    vision = Vision(
        conv1=t["visual.conv1.weight"],
        class_embedding=t["visual.class_embedding"],
        positional_embedding=t["visual.positional_embedding"],
        ln_pre=norm("visual.ln_pre"),
        transformer=Stack(
            tuple(blocks("visual.transformer.resblocks", sizes.vision_layers)), config.vision_heads, config.activation
        ),
        ln_post=norm("visual.ln_post"),
        proj=t["visual.proj"],
    )
    text = Text(
        token_embedding=t["token_embedding.weight"],
        positional_embedding=t["positional_embedding"],
        transformer=Stack(
            tuple(blocks("transformer.resblocks", sizes.text_layers)), config.text_heads, config.activation
        ),
        ln_final=norm("ln_final"),
        text_projection=t["text_projection"],
    )
    preprocess = config.preprocess or configuration.default_preprocess()
    if preprocess.size == (0, 0):
        preprocess = preprocess._replace(size=(sizes.image, sizes.image))
    return CLIP(vision, text, float(np.exp(float(t["logit_scale"].reshape(())))), preprocess, name)
