"""AnomalyCLIP's loss with torch, through open_clip's text tower: the other side of every comparison of its steps.

Prompts, learned tokens (overwriting and concatenating), logits, softmax, upsampling and all terms of the loss are
written here from the paper's text and the facts known of its program, independently of the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import refclip
from tests.anomalyclip_cases import LAM, TAU, TUNINGS, Step, step
from tests.parity.oracle_towers import model
from tests.parity.oracle_training import dice, focal, leaf, text_embedding


def prompt(net: Any, vectors: torch.Tensor, said: str) -> tuple[torch.Tensor, int]:
    """Vectors in place of "X X ... X" in the program's sentence, positions added; and where it ends."""
    n = len(vectors)
    ids = torch.from_numpy(refclip.tokenize(" ".join(["X"] * n) + f" {said}.")[0])
    x = net.token_embedding(ids)
    return torch.cat([x[:1], vectors, x[1 + n :]]) + net.positional_embedding, int(ids.argmax())


def concatenating(net: Any, x: torch.Tensor, ends: torch.Tensor, deep: list[torch.Tensor]) -> torch.Tensor:
    """Equation 3: [r', t] = T_m([t', t]), r' dropped; t' first, without positions, under a causal mask over all."""
    for i, block in enumerate(net.transformer.resblocks):
        new = deep[i].expand(len(x), -1, -1) if i < len(deep) else x[:, :0]
        x = torch.cat([new, x], dim=1)
        mask = torch.full((x.shape[1], x.shape[1]), -torch.inf, dtype=x.dtype).triu(1)
        x = block(x, attn_mask=mask)[:, new.shape[1] :]
    return net.ln_final(x)[torch.arange(len(x)), ends] @ net.text_projection


def loss(net: Any, learned: list[torch.Tensor], case: Any, tuning: str, lam: float) -> torch.Tensor:
    """Equation 2. learned: [normal, abnormal, *deep]; case: a `Step` of tensors."""
    pairs = [prompt(net, learned[0], "object"), prompt(net, learned[1], "damaged object")]
    x, ends = torch.stack([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])
    run = text_embedding if tuning == "overwrite" else concatenating
    text = F.normalize(run(net, x, ends, learned[2:]), dim=-1)
    total = F.cross_entropy(case.image @ text.T / TAU, case.labels)
    for patches in case.patches.values():
        side = int(patches.shape[1] ** 0.5)
        s = (patches @ text.T / TAU).softmax(-1).permute(0, 2, 1).reshape(len(patches), 2, side, side)
        p = F.interpolate(s, size=case.masks.shape[1:], mode="bilinear", align_corners=False)
        dices = dice(p[:, 1], case.masks, squared=False) + dice(p[:, 0], 1 - case.masks, squared=False)
        total = total + lam * (focal(p, case.masks) + dices)
    return total


def tensors(case: Step, dtype: torch.dtype) -> Step:
    """The batch of a step, for torch."""
    image, masks = (torch.from_numpy(x).to(dtype) for x in (case.image, case.masks))
    patches = {n: torch.from_numpy(x).to(dtype) for n, x in case.patches.items()}
    return case._replace(image=image, masks=masks, patches=patches, labels=torch.from_numpy(case.labels))


def gradients(net: Any, case: Step, tuning: str, dtype: torch.dtype) -> tuple[float, list[np.ndarray]]:
    """The loss of a step, and its gradient by [normal, abnormal, *deep]."""
    learned = [leaf(x, dtype) for x in (case.normal, case.abnormal, *case.deep)]
    value = loss(net, learned, tensors(case, dtype), tuning, LAM)
    value.backward()
    return float(value.detach()), [x.grad.numpy() for x in learned]


def build() -> dict[str, np.ndarray]:
    """The golden content: a step of the small model, each way."""
    out: dict[str, np.ndarray] = {}
    net, case = model("small", seed=1).requires_grad_(False), step(41, width=96, embed=48)
    for tuning in TUNINGS:
        value, found = gradients(net, case, tuning, torch.float64)
        out[f"{tuning}.loss"] = np.array(value)
        out |= {f"{tuning}.{i}": g for i, g in enumerate(found)}
    return out
