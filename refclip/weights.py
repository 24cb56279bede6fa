"""Weights in: a name, a file or a folder -> `CLIP`.

The steps, each in its own file: `checkpoint` maps the tensors, `layout` brings them to open_clip's names and holds them
to the shapes that their own sizes imply, `config` and `pretrained` tell what no tensor tells, and here the arrays fill
the NamedTuples of the towers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from refclip.attention import Attention
from refclip.backend import check_device, to_device
from refclip.checkpoint import WeightsError, file_size, listed, read_tensors, require_finite, shown, to_float
from refclip.clip import CLIP
from refclip.config import Config, default_preprocess, read_config
from refclip.layout import (
    UNUSED,
    Sizes,
    expected_shapes,
    in_transformers,
    is_transformers,
    read_sizes,
    require_shapes,
    to_open_clip,
)
from refclip.nn import ACTIVATIONS, LayerNorm, Linear
from refclip.pretrained import from_tag, tag_in_name
from refclip.text import Text
from refclip.transformer import Block, Stack
from refclip.vit import Vision

__all__ = ["Sizes", "expected_shapes", "find", "find_config", "load", "read_sizes", "require_shapes", "to_open_clip"]

SHIPPED = {"refclip-mini": "refclip-mini.safetensors"}
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16}
# inside a folder, the first of these that is there (then any single other .safetensors)
FILES = ("open_clip_model.safetensors", "model.safetensors")
MAX_LOG_SCALE = 10.0  # CLIP keeps the logarithm below 4.61


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
        A safetensors file, a folder with one (as Hugging Face's client downloads it, or one model of its cache), or
        "refclip-mini".
    pretrained : str, optional
        A known pretrained tag, "ViT-B-16-plus-240/laion400m_e31", where no configuration lies beside the weights. One
        that does must not contradict it.
    activation : {"gelu", "quick_gelu"}, optional
        Overrides the configuration.
    vision_heads, text_heads : int, optional
        Override the configuration.
    dtype : {"float32", "float64", "float16"}
        To compute in; float16 on a GPU only. float32 weights on disk stay memory-mapped when computing in float32, but
        for q, k and v of transformers' layout, which have to be joined.
    device : str
        "cpu", or "cuda" with CuPy.
    check_finite : bool
        Refuse NaN and infinity. This reads every weight once.

    Returns
    -------
    CLIP
        Its preprocessing is the configuration's, or else that of the original CLIP at the tower's image size.

    Raises
    ------
    WeightsError
        A `ValueError` that names the file, what was found, what was expected and what to do.
    ValueError
        An argument that is not one of those above.
    RuntimeError
        A device that is not there.
    """
    _check_arguments(activation, vision_heads, text_heads, dtype, device)
    path = find(path_or_name)
    stored = read_tensors(path)
    tensors = to_open_clip(path, stored)
    label = in_transformers if is_transformers(stored) else str
    sizes = read_sizes(path, tensors, label)
    require_shapes(path, tensors, sizes, label)
    config = find_config(path, pretrained, activation, vision_heads, text_heads)
    require_agreement(path, config, sizes)
    if check_finite:
        require_finite(path, {name: x for name, x in stored.items() if name not in UNUSED})
    arrays = {name: to_float(x, DTYPES[dtype]) for name, x in tensors.items()}
    if check_finite:
        narrowed = {name: x for name, x in arrays.items() if not np.can_cast(tensors[name].dtype, x.dtype)}
        require_finite(path, narrowed, f"its numbers are too large for {dtype}: load it with a wider dtype")
    scale = to_float(tensors["logit_scale"], np.float64).item()
    if not -MAX_LOG_SCALE < scale < MAX_LOG_SCALE:
        raise WeightsError(
            f"{path}: logit_scale is {scale:g}, expected the logarithm of 1 / temperature, about 4.6; fetch it again"
        )
    arrays = {name: to_device(x, device) for name, x in arrays.items()}
    return assemble(arrays, sizes, config, math.exp(scale), str(path_or_name))


def find(path_or_name: str | os.PathLike[str]) -> Path:
    """The weight file that a name, a file or a folder means.

    Raises
    ------
    WeightsError
    """
    if isinstance(path_or_name, str) and path_or_name in SHIPPED:
        name = SHIPPED[path_or_name]
        places = [Path(__file__).parent / "weights" / name, Path(__file__).parent.parent / "weights" / name]
        for place in places:  # inside an installed wheel; in a checkout
            if place.exists():
                return place
        raise WeightsError(f"{path_or_name}: not in this installation (looked for {places[0]}); reinstall refclip")
    path = Path(path_or_name)
    try:
        path = path.expanduser()
        return _find_in_folder(path) if path.is_dir() else _existing(path)
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no such user, not permitted
        if isinstance(error, WeightsError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{shown(str(path))}: cannot be read ({reason})") from error


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
        Nothing tells the head counts and the activation, or two sources tell different ones.
    """
    arguments = {"activation": activation, "vision_heads": vision_heads, "text_heads": text_heads}
    given = {key: value for key, value in arguments.items() if value is not None}
    tag = pretrained or tag_in_name(path)
    known = from_tag(tag) if tag else None
    beside = [path.with_suffix(".json"), path.with_name("open_clip_config.json"), path.with_name("config.json")]
    found = next((p for p in beside if os.path.lexists(p)), None)  # a broken link too: to say so
    if found:
        base = read_config(found, known)
    elif known:
        base = known
    elif len(given) == len(arguments):
        base = Config(preprocess=None, claims={}, source="the arguments", **given)
    else:
        raise WeightsError(
            f"{path}: no configuration beside it ({', '.join(p.name for p in beside)}), and head counts and activation "
            "cannot be read off tensors. Give pretrained='ViT-B-32/openai' (a known tag), or all of activation=, "
            "vision_heads=, text_heads="
        )
    if known and base is not known:
        says, expected = base._asdict() | base.claims, known._asdict() | known.claims
        for key in (*arguments, *known.claims):
            if key not in given and says[key] != expected[key]:
                advice = f"say which: load(..., {key}=...)" if key in arguments else "one is of other weights"
                raise WeightsError(
                    f"{base.source}: {key} is {says[key]!r}, but {known.source} means {expected[key]!r}; {advice}"
                )
        base = base._replace(preprocess=base.preprocess or known.preprocess)
    if given and base.source != "the arguments":
        base = base._replace(source=f"{base.source} with {', '.join(f'{k}={v!r}' for k, v in given.items())}")
    return base._replace(**given)


def require_agreement(path: Path, config: Config, sizes: Sizes) -> None:
    """Refuse a configuration that describes another model than the tensors.

    Raises
    ------
    WeightsError
    """
    belongs = "it belongs to other weights: fetch both from one place"
    for name, claimed in config.claims.items():
        found = getattr(sizes, name)
        if claimed != found:
            raise WeightsError(f"{path}: {name} is {found} in the tensors, {claimed} in {config.source}; {belongs}")
    if config.preprocess and config.preprocess.size not in ((0, 0), (sizes.image, sizes.image)):
        raise WeightsError(
            f"{path}: image is {sizes.image} in the tensors, but what {config.source} prepares is "
            f"{config.preprocess.size[0]}; {belongs}"
        )
    for name, width, heads in (
        ("vision", sizes.vision_width, config.vision_heads),
        ("text", sizes.text_width, config.text_heads),
    ):
        if heads < 1 or width % heads:
            raise WeightsError(f"{path}: {name} width {width} does not divide into {heads} heads ({config.source})")


def assemble(t: dict[str, Any], sizes: Sizes, config: Config, logit_scale: float, name: str) -> CLIP:
    """Arrays by open_clip's names -> the towers."""

    def norm(prefix: str) -> LayerNorm:
        return LayerNorm(t[f"{prefix}.weight"], t[f"{prefix}.bias"])

    def linear(prefix: str, joint: str = ".") -> Linear:
        return Linear(t[f"{prefix}{joint}weight"], t[f"{prefix}{joint}bias"])

    def blocks(prefix: str, layers: int) -> Iterable[Block]:
        for b in (f"{prefix}.{i}" for i in range(layers)):
            attention = Attention(linear(f"{b}.attn.in_proj", "_"), linear(f"{b}.attn.out_proj"))
            up, down = linear(f"{b}.mlp.c_fc"), linear(f"{b}.mlp.c_proj")
            yield Block(norm(f"{b}.ln_1"), attention, norm(f"{b}.ln_2"), up, down)

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
    preprocess = (config.preprocess or default_preprocess())._replace(size=(sizes.image, sizes.image))
    return CLIP(vision, text, logit_scale, preprocess, name)


def _check_arguments(activation: Any, vision_heads: Any, text_heads: Any, dtype: Any, device: str) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    if dtype == "float16" and device == "cpu":
        raise ValueError("dtype 'float16' on a CPU would be slow and inexact; use 'float32'")
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r}: expected one of {', '.join(ACTIVATIONS)}")
    for name, heads in (("vision_heads", vision_heads), ("text_heads", text_heads)):
        if heads is not None and (type(heads) is not int or heads < 1):
            raise ValueError(f"{name} {heads!r}: expected a whole number above 0")
    check_device(device)


def _find_in_folder(path: Path) -> Path:
    """The weight file of a folder: of a download, or of a model in Hugging Face's cache that has one snapshot."""
    for name in FILES:
        if os.path.lexists(path / name):
            return path / name
    names = sorted(p.name for p in path.iterdir())
    others = [name for name in names if name.endswith(".safetensors")]
    if len(others) == 1:
        return path / others[0]
    snapshots = sorted((path / "snapshots").iterdir()) if "snapshots" in names else []
    if len(snapshots) == 1:
        return _find_in_folder(snapshots[0])
    found = listed(others or [f"snapshots/{p.name}" for p in snapshots]) or "none"
    pickles = [name for name in names if name.endswith((".bin", ".pt", ".pth"))]
    hint = f"; {listed(pickles)} are pickles, which refclip never executes" if pickles else ""
    raise WeightsError(
        f"{path}: expected {FILES[0]} or one .safetensors file in this folder, found {found}{hint}; fetch that "
        "file, or say which"
    )


def _existing(path: Path) -> Path:
    if not os.path.lexists(path):
        raise WeightsError(
            f"{path}: no such file or folder, and not a shipped model ({', '.join(SHIPPED)}). refclip does not "
            "download by itself; the README tells how to fetch real weights"
        )
    file_size(path)
    return path
