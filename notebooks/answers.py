"""open_clip's answers for notebooks 01 and 02: a very small CLIP with random weights, and what it says.

`python -m notebooks.answers` writes answers/open_clip_tiny.npz and needs torch and open_clip (`make parity` has them);
the notebooks only read the file. Weights are under open_clip's own names after "weights/". Of the 49,408 token
embeddings only those that the texts use are not zero, so that the file is small.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

PATH = Path(__file__).resolve().parent / "answers" / "open_clip_tiny.npz"
CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 40, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
TEXTS = ("a photo of a flawless hazelnut", "damaged", "", "a close-up photo of the metal nut with a scratch.")


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that depend on the name alone. Biases and gains are random too: zeros and ones hide errors."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))  # NumPy has frozen its stream
    x = rng.standard_normal(shape)
    if "ln_" in name:
        x = 0.1 * x + name.endswith("weight")
    elif name.endswith("bias"):
        x = 0.1 * x
    elif "embedding" in name:
        x = 0.5 * x
    else:
        x = x * (shape[0] if "proj" in name and len(shape) == 2 else np.prod(shape[1:])) ** -0.5
    return x.astype(np.float32)


def build() -> dict[str, np.ndarray]:
    """The content of the file, computed by open_clip in float64."""
    import open_clip
    import torch

    net = open_clip.model.CLIP(**CONFIG)
    shapes = {k: tuple(x.shape) for k, x in net.state_dict().items() if k not in ("attn_mask", "logit_scale")}
    weights = {name: weight(name, shape) for name, shape in shapes.items()}
    ids = open_clip.tokenize(list(TEXTS)).numpy()
    unused = np.setdiff1d(np.arange(CONFIG["text_cfg"]["vocab_size"]), ids)
    weights["token_embedding.weight"][unused] = 0
    net.load_state_dict({k: torch.from_numpy(x) for k, x in weights.items()}, strict=False)
    net = net.eval().double()
    pixels = np.random.RandomState(0).standard_normal((2, 3, 40, 40)).astype(np.float32)
    with torch.no_grad():
        image = net.encode_image(torch.from_numpy(pixels).double()).numpy()
        text = net.encode_text(torch.from_numpy(ids)).numpy()
    answers = {"pixels": pixels, "ids": ids, "texts": np.array(TEXTS), "image": image, "text": text}
    return answers | {f"weights/{name}": x for name, x in weights.items()}


def main() -> None:
    PATH.parent.mkdir(exist_ok=True)
    np.savez_compressed(PATH, allow_pickle=False, **build())
    print(f"{PATH}: {PATH.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
