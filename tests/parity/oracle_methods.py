"""WinCLIP and CLIP-AC through torch and open_clip, as Accurate-WinCLIP and anomalib publish them: the other side.

Nothing of the library is used: the prompts are written out, pixels come from open_clip's own transform, windows are the
tokens left after `ln_pre` has seen each patch at its own position.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.transform import image_transform
from PIL import Image

from tests.parity.oracle_towers import tokens

NORMAL = [
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
]
ABNORMAL = ["damaged {}", "{} with flaw", "{} with defect", "{} with damage"]
TEMPLATES = [  # 21, the fifth pair's slip included
    "a cropped photo of the {}.",
    "a close-up photo of a {}.",
    "a close-up photo of the {}.",
    "a bright photo of a {}.",
    "a bright photo of the {}.",
    "a dark photo of the {}.",
    "a dark photo of a {}.",
    "a jpeg corrupted photo of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a blurry photo of the {}.",
    "a blurry photo of a {}.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of a small {}.",
    "a photo of the small {}.",
    "a photo of a large {}.",
    "a photo of the large {}.",
    "a photo of the {} for visual inspection.",
    "a photo of a {} for visual inspection.",
    "a photo of the {} for anomaly detection.",
    "a photo of a {} for anomaly detection.",
]
TEMPERATURE = 0.07

Answer = tuple[np.ndarray, np.ndarray]  # score [b], map [b, size, size]


def pixels(images: list[np.ndarray], size: int, dtype: torch.dtype) -> torch.Tensor:
    """[b, 3, size, size], squashed with Pillow, bicubic."""
    transform = image_transform(size, is_train=False, resize_mode="squash", interpolation="bicubic")
    return torch.stack([transform(Image.fromarray(image)) for image in images]).to(dtype)


@torch.no_grad()
def text(net: Any, name: str, dtype: torch.dtype) -> torch.Tensor:
    """[2, e]: the mean of embeddings of any length, then scaled to 1."""
    rows = []
    for words in (NORMAL, ABNORMAL):
        prompts = [template.format(word.format(name)) for word in words for template in TEMPLATES]
        unique = list(dict.fromkeys(prompts))
        at = [unique.index(prompt) for prompt in prompts]
        embedded = torch.cat([encode_text(net, unique[i : i + 32]) for i in range(0, len(unique), 32)])  # [prompts, e]
        rows.append(F.normalize(embedded.to(dtype)[at].mean(dim=0), dim=0))
    return torch.stack(rows)


def encode_text(net: Any, prompts: list[str]) -> torch.Tensor:
    """[b, e] by open_clip's modules, without the padding that `net.encode_text` computes to no effect."""
    ids = open_clip.tokenize(prompts)
    ends = ids.argmax(dim=-1)
    n = int(ends.max()) + 1
    x = net.token_embedding(ids[:, :n]) + net.positional_embedding[:n]
    x = net.ln_final(net.transformer(x, attn_mask=net.attn_mask[:n, :n].to(x.dtype)))
    out = x[torch.arange(len(ids)), ends] @ net.text_projection
    torch.testing.assert_close(out[:1], net.encode_text(ids[:1]))  # to no effect, indeed
    return out


@torch.no_grad()
def clip_ac_text(net: Any, name: str, dtype: torch.dtype) -> torch.Tensor:
    """[2, e] of WinCLIP's CLIP-AC."""
    return F.normalize(net.encode_text(open_clip.tokenize([f"normal {name}", f"anomalous {name}"])).to(dtype), dim=-1)


def p_abnormal(features: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    return (F.normalize(features, dim=-1) @ prototypes.T / TEMPERATURE).softmax(dim=-1)[..., 1]


@torch.no_grad()
def window_embeddings(net: Any, x: torch.Tensor, k: int) -> torch.Tensor:
    """[b, w, e], a row of windows at a time."""
    v = net.visual
    seen = tokens(net, x)  # [b, n, d]
    gh, gw = (n // v.conv1.kernel_size[0] for n in x.shape[-2:])
    out = []
    for top in range(gh - k + 1):
        row = [
            seen[:, [0] + [1 + (top + i) * gw + left + j for i in range(k) for j in range(k)]]
            for left in range(gw - k + 1)
        ]
        through = v.transformer(torch.cat(row))  # [windows b, 1 + k k, d], window by window
        out += (v.ln_post(through[:, 0]) @ v.proj).reshape(len(row), len(x), -1)  # [b, e] each
    return torch.stack(out, dim=1)


def harmonic(p: torch.Tensor, side: int, k: int) -> torch.Tensor:
    """[b, w] -> [b, side, side]: of every patch, the count of its windows over the sum of their inverse scores."""
    inverse, count = torch.zeros(len(p), side, side, dtype=p.dtype), torch.zeros(side, side, dtype=p.dtype)
    across = side - k + 1
    for w in range(p.shape[1]):
        rows, columns = slice(w // across, w // across + k), slice(w % across, w % across + k)
        inverse[:, rows, columns] += 1 / p[:, w, None, None]
        count[rows, columns] += 1
    return count / inverse


@torch.no_grad()
def winclip(net: Any, images: list[np.ndarray], name: str, size: int, dtype: torch.dtype) -> Answer:
    """Score of the class token, and map 3 / (1/small + 1/mid + 1/image), bilinear."""
    x, prototypes = pixels(images, size, dtype), text(net, name, dtype)
    side = size // net.visual.conv1.kernel_size[0]
    score = p_abnormal(net.encode_image(x), prototypes)  # [b]
    small, mid = (harmonic(p_abnormal(window_embeddings(net, x, k), prototypes), side, k) for k in (2, 3))
    answer = 3 / (1 / small + 1 / mid + 1 / score[:, None, None])  # [b, side, side]
    return score.numpy(), upsample(answer, size).numpy()


@torch.no_grad()
def clip_ac(net: Any, images: list[np.ndarray], name: str, size: int, dtype: torch.dtype) -> Answer:
    """Score of the class token, and map of the last block's tokens through ln_post and proj."""
    x, prototypes = pixels(images, size, dtype), clip_ac_text(net, name, dtype)
    v = net.visual
    side = size // v.conv1.kernel_size[0]
    last = v.ln_post(v.transformer(tokens(net, x)))
    patches = p_abnormal(last[:, 1:] @ v.proj, prototypes).reshape(len(x), side, side)
    return p_abnormal(net.encode_image(x), prototypes).numpy(), upsample(patches, size).numpy()


def upsample(answer: torch.Tensor, size: int) -> torch.Tensor:
    return F.interpolate(answer[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
