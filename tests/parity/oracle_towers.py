"""What open_clip's towers answer, with torch: the other side of every comparison of towers.

Attention variants, the dual path and windows do not exist in open_clip; here they are written with torch on open_clip's
own modules, straight from the papers' text and independently of the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F

from tests import randomclip
from tests.parity_texts import TEXTS

VARIANTS = {"q-k": (0, 1), "q-q": (0, 0), "k-k": (1, 1), "v-v": (2, 2)}


def model(name: str, seed: int, dtype: torch.dtype = torch.float64) -> Any:
    """open_clip's model with the weights of this seed."""
    config = randomclip.model_config(name)
    net = open_clip.model.CLIP(**config)
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if k != "attn_mask"}
    weights = {k: torch.from_numpy(np.asarray(randomclip.tensor(k, shape, seed))) for k, shape in shapes.items()}
    net.load_state_dict(weights, strict=False)
    missing = set(net.state_dict()) - set(weights) - {"attn_mask"}
    assert not missing, missing
    return net.eval().to(dtype)


@torch.no_grad()
def image_trace(
    net: Any, pixels: torch.Tensor, *, interpolation: tuple[str, bool] = ("bicubic", True)
) -> dict[str, Any]:
    """Every intermediate of the image tower, through open_clip's own modules, of any input size."""
    v = net.visual
    x = tokens(net, pixels, interpolation)
    out: dict[str, Any] = {"input": x}
    for i, block in enumerate(v.transformer.resblocks):
        h = block.ln_1(x)
        attended, weights = block.attn(h, h, h, need_weights=True, average_attn_weights=False)
        middle = x + attended
        after = block.mlp(block.ln_2(middle))
        y = middle + after
        torch.testing.assert_close(y, block(x))  # the pieces above are the block
        out |= {f"map{i}": weights, f"attention{i}": attended, f"mlp{i}": after, f"output{i}": y}
        x = y
    out["patches"] = v.ln_post(x)[:, 1:] @ v.proj
    out["embedding"] = v.ln_post(x[:, 0]) @ v.proj
    return out


@torch.no_grad()
def tokens(net: Any, pixels: torch.Tensor, interpolation: tuple[str, bool] = ("bicubic", True)) -> torch.Tensor:
    v = net.visual
    grid = tuple(n // v.conv1.kernel_size[0] for n in pixels.shape[-2:])
    position = v.positional_embedding
    if grid != tuple(v.grid_size):
        square = position[1:].reshape(1, *v.grid_size, -1).permute(0, 3, 1, 2)
        mode, antialias = interpolation
        square = F.interpolate(square, size=grid, mode=mode, antialias=antialias, align_corners=False)
        position = torch.cat([position[:1], square.permute(0, 2, 3, 1).reshape(grid[0] * grid[1], -1)])
    patches = v.conv1(pixels).flatten(2).transpose(1, 2)
    start = v.class_embedding.expand(len(pixels), 1, -1)
    return v.ln_pre(torch.cat([start, patches], dim=1) + position)


@torch.no_grad()
def variant_attention(block: Any, x: torch.Tensor, variant: str) -> torch.Tensor:
    """out_proj(softmax(l r^T / sqrt(c)) v) on the block's own weights, one head at a time."""
    attn = block.attn
    qkv = F.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    left, right = (qkv[i] for i in VARIANTS[variant])
    c = attn.head_dim
    heads = []
    for h in range(attn.num_heads):
        s = slice(h * c, (h + 1) * c)
        weights = torch.softmax(left[..., s] @ right[..., s].transpose(-1, -2) * c**-0.5, dim=-1)
        heads.append(weights @ qkv[2][..., s])
    return attn.out_proj(torch.cat(heads, dim=-1))


@torch.no_grad()
def dual_path(net: Any, x: torch.Tensor, variant: str, start: int) -> dict[str, Any]:
    """AnomalyCLIP's DPAM: beside the original path, attention of another variant on the original path's tokens."""
    dual, out = None, {}
    for i, block in enumerate(net.visual.transformer.resblocks):
        if i >= start:
            dual = (x if dual is None else dual) + variant_attention(block, block.ln_1(x), variant)
            out[f"dual{i}"] = dual
        x = block(x)
    out["original"] = x
    out["patches"] = net.visual.ln_post(dual)[:, 1:] @ net.visual.proj
    return out


@torch.no_grad()
def windows(net: Any, pixels: torch.Tensor, k: int) -> torch.Tensor:
    """Class-token embedding of every k x k window, one at a time: positions added, other patches removed."""
    v = net.visual
    x = tokens(net, pixels)
    gh, gw = v.grid_size
    out = []
    for top in range(gh - k + 1):
        for left in range(gw - k + 1):
            keep = [0] + [1 + (top + i) * gw + left + j for i in range(k) for j in range(k)]
            out.append(v.ln_post(v.transformer(x[:, keep])[:, 0]) @ v.proj)
    return torch.stack(out, dim=1)


@torch.no_grad()
def text_trace(net: Any, ids: torch.Tensor) -> dict[str, Any]:
    x = net.token_embedding(ids) + net.positional_embedding
    out = {}
    mask = net.attn_mask.to(x.dtype)
    for i, block in enumerate(net.transformer.resblocks):
        h = block.ln_1(x)
        _, weights = block.attn(h, h, h, attn_mask=mask, need_weights=True, average_attn_weights=False)
        x = block(x, attn_mask=mask)
        out |= {f"text_map{i}": weights, f"text_output{i}": x}
    out["text_embedding"] = net.encode_text(ids)
    return out


def build() -> dict[str, np.ndarray]:
    """The golden content: small towers in float64."""
    out: dict[str, np.ndarray] = {}
    for name in ("small", "small-quickgelu"):
        net = model(name, seed=1)
        pixels = torch.from_numpy(randomclip.pixels((2, 3, 40, 40), seed=2)).double()
        prefix = name.removeprefix("small").strip("-") or "gelu"
        seen = image_trace(net, pixels)
        np.testing.assert_allclose(seen["embedding"], net.encode_image(pixels).detach(), rtol=1e-10, atol=1e-11)
        ids = open_clip.tokenize(TEXTS)
        text = text_trace(net, ids)
        if name == "small":
            keep = {k: x for k, x in seen.items() if k[-1] in "03" or k in ("input", "patches", "embedding")}
            out |= {f"gelu.{k}": x.numpy() for k, x in keep.items()}
            for variant in VARIANTS:
                dual = dual_path(net, seen["input"], variant, start=1)
                out |= {f"{variant}.{k}": dual[k].numpy() for k in ("dual3", "patches")}
            for mode, antialias in (("bilinear", False), ("bilinear", True), ("bicubic", False), ("bicubic", True)):
                for size in ((24, 72), (56, 32)):
                    other = torch.from_numpy(randomclip.pixels((1, 3, *size), seed=3)).double()
                    x = tokens(net, other, (mode, antialias))
                    out[f"tokens.{mode}.{antialias}.{size[0]}x{size[1]}"] = x.numpy()
            for k in (1, 2, 3, 5):
                out[f"windows{k}"] = windows(net, pixels[:1], k).numpy()
            out["text_map2"] = text["text_map2"][:, :, :12, :12].numpy()
        out[f"{prefix}.embedding"] = seen["embedding"].numpy()
        out[f"{prefix}.text_embedding"] = text["text_embedding"].detach().numpy()
    return {k: np.asarray(x) for k, x in out.items()}
