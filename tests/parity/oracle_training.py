"""What torch's autograd and optimisers answer: the other side of every comparison of gradients, losses and steps.

The towers are open_clip's own modules; what open_clip lacks (overwritten prompt slots, variants, the dual path, the
losses of published code) is written with torch from the papers' text, independently of the library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from tests import randomclip
from tests.parity.oracle_towers import VARIANTS, model
from tests.training_cases import LOSSES, OPTIMISERS, SCHEDULES, STEPS, loss_inputs, optimiser_inputs, prompts, weight_of


def built(config: dict[str, Any], weights: dict[str, np.ndarray], dtype: torch.dtype) -> Any:
    """open_clip's model of any configuration, with weights from `randomclip.state`."""
    net = open_clip.model.CLIP(**config)
    found = net.load_state_dict({k: torch.from_numpy(np.asarray(x)) for k, x in weights.items()}, strict=False)
    assert not found.unexpected_keys
    assert set(found.missing_keys) <= {"attn_mask"}
    return net.eval().requires_grad_(False).to(dtype)


def write(folder: Path, config: dict[str, Any], weights: dict[str, np.ndarray]) -> Path:
    """The same, as a folder that `refclip.load` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: np.asarray(x) for k, x in weights.items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return folder


def gradients(out: torch.Tensor, weight: np.ndarray, *leaves: torch.Tensor) -> list[np.ndarray]:
    """Of <weight, out>."""
    (out * torch.from_numpy(weight).to(out.dtype)).sum().backward()
    return [leaf.grad.numpy() for leaf in leaves]


def leaf(x: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(x).to(dtype).requires_grad_()


def text_embedding(net: Any, x: torch.Tensor, ends: torch.Tensor, deep: list[torch.Tensor]) -> torch.Tensor:
    """Embeddings of prompts [b, n, d], positions added; deep[i] takes places 1.. at the input of block i + 1."""
    n = x.shape[1]
    mask = net.attn_mask[:n, :n].to(x.dtype)
    for i, block in enumerate(net.transformer.resblocks):
        if 1 <= i <= len(deep):
            new = deep[i - 1].expand(len(x), -1, -1)
            x = torch.cat([x[:, :1], new, x[:, 1 + new.shape[1] :]], dim=1)
        x = block(x, attn_mask=mask)
    return net.ln_final(x)[torch.arange(len(x)), ends] @ net.text_projection


def text_gradients(net: Any, case: Any, dtype: torch.dtype) -> dict[str, np.ndarray]:
    x, deep = leaf(case.x, dtype), [leaf(t, dtype) for t in case.deep]
    out = text_embedding(net, x, torch.from_numpy(case.ends), deep)
    found = gradients(out, weight_of(tuple(out.shape)), x, *deep)
    return {"embedding": out.detach().numpy(), "x": found[0]} | {f"deep{i}": g for i, g in enumerate(found[1:])}


def tokens(net: Any, pixels: torch.Tensor) -> torch.Tensor:
    v = net.visual
    patches = v.conv1(pixels).flatten(2).transpose(1, 2)
    start = v.class_embedding.expand(len(pixels), 1, -1)
    return v.ln_pre(torch.cat([start, patches], dim=1) + v.positional_embedding)


def attend(block: Any, x: torch.Tensor, variant: str) -> torch.Tensor:
    """Attention of a variant, all heads at once, then the output projection."""
    attn, (b, n, d) = block.attn, x.shape
    qkv = F.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (t.reshape(b, n, attn.num_heads, -1).transpose(1, 2) for t in qkv)
    left, right = ((q, k, v)[i] for i in VARIANTS[variant])
    mixed = torch.softmax(left @ right.transpose(-1, -2) * attn.head_dim**-0.5, dim=-1) @ v
    return attn.out_proj(mixed.transpose(1, 2).reshape(b, n, d))


def patch_features(net: Any, pixels: torch.Tensor, layer: int, variant: str | None, start: int) -> torch.Tensor:
    """Projected patch tokens after `layer` blocks, of the path itself or of the dual path from block `start` on."""
    x, dual = tokens(net, pixels), None
    for i, block in enumerate(net.visual.transformer.resblocks[:layer]):
        if variant is not None and i >= start:
            dual = (x if dual is None else dual) + attend(block, block.ln_1(x), variant)
        x = block(x)
    return net.visual.ln_post(x if dual is None else dual)[:, 1:] @ net.visual.proj


def pixel_gradient(net: Any, pixels: np.ndarray, layer: int, variant: str | None, dtype: torch.dtype) -> np.ndarray:
    x = leaf(pixels, dtype)
    out = patch_features(net, x, layer, variant, start=1)
    return gradients(out, weight_of(tuple(out.shape)), x)[0]


def focal(p: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Lin et al. with gamma 2, as published code softens it: one-hot clamped, 1e-5 added."""
    hot = F.one_hot(mask.long(), 2).movedim(-1, 1).to(p.dtype).clamp(1e-5, 1 - 1e-5)
    q = (hot * p).sum(dim=1) + 1e-5
    return (-((1 - q) ** 2) * q.log()).mean()


def dice(p: torch.Tensor, t: torch.Tensor, squared: bool) -> torch.Tensor:
    p, t = p.flatten(1), t.flatten(1)
    below = (p.square() + t.square()).sum(1) if squared else p.sum(1) + t.sum(1)
    return (1 - (2 * (p * t).sum(1) + 1) / (below + 1)).mean()


def pseudo(clean: torch.Tensor, altered: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    ratio = altered.exp() / (clean.exp() + altered.exp())
    return (-mask * ratio.log()).sum() / (mask > 0).sum()


TORCH_LOSSES = {
    "cross_entropy": F.cross_entropy,
    "focal": focal,
    "dice": lambda p, t: dice(p, t, squared=False),
    "dice_squared": lambda p, t: dice(p, t, squared=True),
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "cosine": lambda x, y: 1 - F.cosine_similarity(x, y, dim=-1).mean(),
    "pseudo_anomaly": pseudo,
}


def loss_answers() -> dict[str, np.ndarray]:
    out = {}
    for name in LOSSES:
        variables, constants = loss_inputs(name)
        leaves = [leaf(x, torch.float64) for x in variables]
        value = TORCH_LOSSES[name](*leaves, *map(torch.from_numpy, constants))
        value.backward()
        out[f"loss.{name}"] = value.detach().numpy()
        out |= {f"loss.{name}.{i}": x.grad.numpy() for i, x in enumerate(leaves)}
    return out


def optimiser_answers(dtype: torch.dtype = torch.float64) -> dict[str, np.ndarray]:
    """Parameters after 50 steps on gradients from a seed. Stored in float64 only: float32's last bit may move."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    words = {"decay": "weight_decay", "betas": "betas", "eps": "eps", "momentum": "momentum"}
    out = {}
    for name, (kind, options) in OPTIMISERS.items():
        start, steps = optimiser_inputs()
        x = torch.nn.Parameter(torch.from_numpy(start).to(dtype))
        optimiser = kinds[kind]([x], lr=options["rate"], **{words[k]: v for k, v in options.items() if k != "rate"})
        for g in steps:
            x.grad = torch.from_numpy(g).to(dtype)
            optimiser.step()
        out[f"optimiser.{name}"] = x.detach().numpy()
    return out


def schedule_answers() -> dict[str, np.ndarray]:
    """The rate at each of 50 steps, from torch's schedulers. CoOp's constant warm-up is a scheduler before another."""
    s = torch.optim.lr_scheduler

    def run(rate: float, make: Any) -> np.ndarray:
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
        scheduler, rates = make(optimiser), []
        for _ in range(STEPS):
            rates.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step()
        return np.array(rates)

    cosine, warm = SCHEDULES["cosine"], SCHEDULES["warm"]
    steps = SCHEDULES["steps"]
    return {
        "schedule.cosine": run(cosine["rate"], lambda o: s.CosineAnnealingLR(o, cosine["steps"])),
        "schedule.warm": run(
            warm["rate"],
            lambda o: s.SequentialLR(
                o,
                [
                    s.ConstantLR(o, warm["warmup_rate"] / warm["rate"], total_iters=warm["warmup"]),
                    s.CosineAnnealingLR(o, warm["steps"]),
                ],
                milestones=[warm["warmup"]],
            ),
        ),
        "schedule.steps": run(steps["rate"], lambda o: s.MultiStepLR(o, list(steps["milestones"]), steps["factor"])),
    }


def build() -> dict[str, np.ndarray]:
    """The golden content: small towers in float64, losses, optimisers, schedules."""
    out: dict[str, np.ndarray] = {}
    case = prompts(seed=31, width=96, n=11, blocks=3)
    pixels = randomclip.pixels((2, 3, 40, 40), seed=32).astype(np.float64)
    for name in ("small", "small-quickgelu"):
        net = model(name, seed=1).requires_grad_(False)
        out |= {f"{name}.{k}": x for k, x in text_gradients(net, case, torch.float64).items()}
        for variant in (None, *VARIANTS) if name == "small" else (None,):
            key = f"{name}.pixels.{variant or 'plain'}"
            out[key] = pixel_gradient(net, pixels, 4, variant, torch.float64)
    return out | loss_answers() | optimiser_answers() | schedule_answers()
