"""CLIP weights from a seed: the same on both sides of a comparison, never stored.

A tensor's numbers depend on the seed and its open_clip name alone, so neither side's order matters. They come from
`RandomState`, whose stream NumPy has frozen. Biases, gains and projections are random too (PyTorch's initial zeros and
ones hide errors), and the scales keep attention neither flat nor one-hot.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from refclip.weights import Sizes, expected_shapes


def model_config(name: str) -> dict[str, Any]:
    """open_clip's configuration of a model, as facts."""
    width, layers, patch, image, embed, text_width, text_heads, text_layers = {
        "ViT-B-32": (768, 12, 32, 224, 512, 512, 8, 12),
        "ViT-B-16": (768, 12, 16, 224, 512, 512, 8, 12),
        "ViT-B-16-plus-240": (896, 12, 16, 240, 640, 640, 10, 12),
        "ViT-L-14": (1024, 24, 14, 224, 768, 768, 12, 12),
        "ViT-L-14-336": (1024, 24, 14, 336, 768, 768, 12, 12),
        "small": (128, 4, 8, 40, 48, 96, 3, 3),  # ours: every shape differs from every other
        "small-windows": (128, 3, 8, 56, 32, 64, 2, 2),
    }[name.removesuffix("-quickgelu")]
    return {
        "embed_dim": embed,
        "quick_gelu": name.endswith("-quickgelu"),
        "vision_cfg": {"image_size": image, "layers": layers, "width": width, "patch_size": patch},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": text_width,
            "heads": text_heads,
            "layers": text_layers,
        },
    }


def sizes_of(config: dict[str, Any]) -> Sizes:
    v, t = config["vision_cfg"], config["text_cfg"]
    return Sizes(
        embed=config["embed_dim"],
        vision_width=v["width"],
        vision_layers=v["layers"],
        vision_mlp=4 * v["width"],
        patch=v["patch_size"],
        image=v["image_size"],
        text_width=t["width"],
        text_layers=t["layers"],
        text_mlp=4 * t["width"],
        context=t["context_length"],
        vocabulary=t["vocab_size"],
    )


def tensor(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The float32 tensor of this open_clip name."""
    rng = np.random.RandomState((seed * 1_000_003 + zlib.crc32(name.encode())) % 2**32)
    x = rng.standard_normal(shape)
    if name == "logit_scale":
        return np.float32(np.log(40.0) + 0.1 * x)
    if ".ln_" in f".{name}":
        return np.float32(1 + 0.2 * x if name.endswith("weight") else 0.1 * x)
    if name.endswith("bias"):
        return np.float32(0.1 * x)
    if "embedding" in name:
        return np.float32(0.5 * x)
    fan_in = (
        shape[0] if name in ("visual.proj", "text_projection") else int(np.prod(shape[1:]))
    )  # projections are stored [in, out]
    gain = 1.4 if "in_proj" in name else 0.6 if "out_proj" in name or "c_proj" in name else 1.0
    return np.float32(gain * fan_in**-0.5 * x)


def state(config: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    return {name: tensor(name, shape, seed) for name, shape in expected_shapes(sizes_of(config)).items()}


def write(folder: Path, name: str, seed: int, dtype: Any = np.float32) -> Path:
    """A folder that `refclip.load` takes: the weights and open_clip's configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model_config(name)
    tensors = {key: np.asarray(x, dtype) for key, x in state(config, seed).items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return folder


def pixels(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Normalised pixels with some structure: noise over a smooth ramp."""
    rng = np.random.RandomState(seed)
    noise = rng.standard_normal(shape)
    ramp = np.linspace(-1, 1, shape[-1]) * np.linspace(1, -1, shape[-2])[:, None]
    return np.float32(0.7 * noise + ramp)
