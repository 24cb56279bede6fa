"""Weight files for tests: a CLIP small enough to write a thousand times, in every layout and type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from refclip.layout import Sizes, expected_shapes
from tests import randomclip

OPEN_CLIP, TRANSFORMERS = "open_clip", "transformers"
TYPES = ("F32", "F16", "BF16")
VOCABULARY, CONTEXT = 50, 9
MODEL: dict[str, Any] = {  # every size differs from every other
    "embed_dim": 10,
    "quick_gelu": False,
    "vision_cfg": {"image_size": 12, "layers": 2, "width": 16, "head_width": 8, "patch_size": 4},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": VOCABULARY, "width": 12, "heads": 3, "layers": 3},
}
PIXELS: dict[str, Any] = {
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.3, 0.25],
    "interpolation": "bilinear",
    "resize_mode": "longest",
}
HF_CONFIG: dict[str, Any] = {
    "model_type": "clip",
    "projection_dim": 10,
    "vision_config": {
        "hidden_act": "gelu",
        "hidden_size": 16,
        "image_size": 12,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "patch_size": 4,
    },
    "text_config": {
        "eos_token_id": VOCABULARY - 1,
        "hidden_act": "gelu",
        "hidden_size": 12,
        "intermediate_size": 48,
        "max_position_embeddings": CONTEXT,
        "num_attention_heads": 3,
        "num_hidden_layers": 3,
        "vocab_size": VOCABULARY,
    },
}
HF_PIXELS: dict[str, Any] = {
    "crop_size": {"height": 12, "width": 12},
    "do_center_crop": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.3, 0.25],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 12},
}
IDS = np.array([[3, 7, 49, 0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 49], [49, 0, 0, 0, 0, 0, 0, 0, 0]])


def sizes() -> Sizes:
    v, t = MODEL["vision_cfg"], MODEL["text_cfg"]
    return Sizes(10, v["width"], v["layers"], 64, 4, 12, t["width"], t["layers"], 48, CONTEXT, VOCABULARY)


def state(seed: int = 1) -> dict[str, np.ndarray]:
    """float32 tensors in open_clip's names."""
    return {name: randomclip.tensor(name, shape, seed) for name, shape in expected_shapes(sizes()).items()}


def to_transformers(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """open_clip's names and shapes -> transformers', written from their model code and independently of the library."""
    out = {}
    for name, x in tensors.items():
        tower, inner = (
            ("vision_model", name.removeprefix("visual.")) if name.startswith("visual.") else ("text_model", name)
        )
        if name in ("visual.proj", "text_projection"):
            out["visual_projection.weight" if tower == "vision_model" else "text_projection.weight"] = x.T
        elif inner.startswith("transformer.resblocks."):
            _, _, number, *rest = inner.split(".")
            block, part = f"{tower}.encoder.layers.{number}", ".".join(rest)
            if part.startswith("attn.in_proj_"):
                for letter, rows in zip("qkv", np.split(x, 3), strict=True):
                    out[f"{block}.self_attn.{letter}_proj.{part.removeprefix('attn.in_proj_')}"] = rows
                continue
            for ours, theirs in (
                ("ln_1", "layer_norm1"),
                ("ln_2", "layer_norm2"),
                ("attn.", "self_attn."),
                ("c_fc", "fc1"),
                ("c_proj", "fc2"),
            ):
                part = part.replace(ours, theirs)
            out[f"{block}.{part}"] = x
        else:
            out[
                {
                    "class_embedding": "vision_model.embeddings.class_embedding",
                    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
                    "ln_pre.weight": "vision_model.pre_layrnorm.weight",
                    "ln_pre.bias": "vision_model.pre_layrnorm.bias",
                    "ln_post.weight": "vision_model.post_layernorm.weight",
                    "ln_post.bias": "vision_model.post_layernorm.bias",
                    "positional_embedding": f"{tower}.embeddings.position_embedding.weight",
                    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
                    "ln_final.weight": "text_model.final_layer_norm.weight",
                    "ln_final.bias": "text_model.final_layer_norm.bias",
                    "logit_scale": "logit_scale",
                }[inner]
            ] = x
    return out


def to_bytes(x: np.ndarray, kind: str) -> bytes:
    """Little-endian numbers of a safetensors type; bfloat16 rounds to the nearest, ties to even."""
    if kind != "BF16":
        types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I8": "<i1"}
        return x.astype(types[kind]).tobytes()
    bits = np.array(x, np.float32, order="C").view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


def from_bytes(raw: bytes, kind: str) -> np.ndarray:
    if kind == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind])


def rounded(tensors: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """What is left of the numbers in a type, as float32."""
    return {k: from_bytes(to_bytes(x, kind), kind).reshape(x.shape).astype(np.float32) for k, x in tensors.items()}


def save(path: Path, tensors: dict[str, np.ndarray], kind: str = "F32") -> Path:
    """Write with the safetensors library, which has no bfloat16 for NumPy: that is written as uint16 and relabelled."""
    types = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2"}
    arrays = {k: np.frombuffer(to_bytes(x, kind), types[kind]).reshape(x.shape) for k, x in tensors.items()}
    raw = safetensors.numpy.save(arrays, {"format": "pt"})
    if kind == "BF16":
        header, data = split(raw)
        raw = join({k: entry | {"dtype": "BF16"} if "dtype" in entry else entry for k, entry in header.items()}, data)
    path.write_bytes(raw)
    return path


def folder(
    path: Path, layout: str = OPEN_CLIP, kind: str = "F32", tensors: dict[str, np.ndarray] | None = None
) -> Path:
    """A folder as Hugging Face's client leaves it: the weights of either layout and what lies beside them."""
    path.mkdir(parents=True, exist_ok=True)
    tensors = state() if tensors is None else tensors
    if layout == OPEN_CLIP:
        save(path / "open_clip_model.safetensors", tensors, kind)
        (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL, "preprocess_cfg": PIXELS}))
    else:
        save(path / "model.safetensors", to_transformers(tensors), kind)
        (path / "config.json").write_text(json.dumps(HF_CONFIG))
        (path / "preprocessor_config.json").write_text(json.dumps(HF_PIXELS))
    return path


def split(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """A file's header and data."""
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def join(header: Any, data: bytes, length: int | None = None, pad: int = 0) -> bytes:
    """A file of a header (an object, or its bytes) and data; `length`: what the first 8 bytes claim."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * pad
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def leaves(tree: Any) -> list[np.ndarray]:
    """Arrays of a CLIP or a part of it, in order."""
    if isinstance(tree, np.ndarray):
        return [tree]
    return [x for part in tree for x in leaves(part)] if isinstance(tree, tuple) else []
