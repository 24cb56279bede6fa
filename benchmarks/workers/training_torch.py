"""torch's side of `training.py`: AnomalyCLIP's step through open_clip's modules and torch's autograd, float32, eager.

Written as a careful user of torch would: no gradient for frozen weights, fused attention in the image tower, a block's
projections used for both paths, and each pixel's own probability picked for the focal loss, where the published code
multiplies with one-hot masks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F

from benchmarks.workers.on_torch import load
from benchmarks.workers.timing import Job, memory, serve
from benchmarks.workers.training_case import (
    Facts,
    after_loading,
    answer,
    array,
    compared_curve,
    compared_step,
    facts_of,
    order,
    timed_steps,
)

Tensors = Sequence[torch.Tensor]


# --- the image tower -------------------------------------------------------------------------------------------------


def enter(v: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Tokens of the first block, [b, n, d]; position embeddings resized as the published code does."""
    x = v.conv1(pixels)  # [b, d, gh, gw]
    old = v.positional_embedding[1:].reshape(1, *v.grid_size, -1).permute(0, 3, 1, 2)  # [1, d, grid, grid]
    new = F.interpolate(old, x.shape[2:], mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)
    positions = torch.cat([v.positional_embedding[None, :1], new], dim=1)  # [1, n, d]
    start = v.class_embedding.expand(len(x), 1, -1)
    return v.ln_pre(torch.cat([start, x.flatten(2).transpose(1, 2)], dim=1) + positions)


def two_paths(block: Any, x: torch.Tensor, dual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A block with v-v attention beside its own."""
    attn, (b, n, _) = block.attn, x.shape
    qkv = F.linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (t.reshape(b, n, attn.num_heads, -1).transpose(1, 2) for t in qkv)  # [b, h, n, c]

    def attended(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return attn.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, -1))

    dual = dual + attended(v, v)
    x = x + attended(q, k)
    return x + block.mlp(block.ln_2(x)), dual


@torch.inference_mode()
def encode(net: Any, pixels: torch.Tensor, facts: Facts) -> list[torch.Tensor]:
    """Class embedding [b, 1, e], and the patch tokens [b, g, e] of each layer, at length 1."""
    v = net.visual
    x, found = enter(v, pixels), []
    dual: torch.Tensor | None = None
    for i, block in enumerate(v.transformer.resblocks):
        if i < facts.start:
            x = block(x)
        else:
            x, dual = two_paths(block, x, x if dual is None else dual)
        if i + 1 in facts.layers:
            found.append(F.normalize(v.ln_post(x if dual is None else dual)[:, 1:] @ v.proj, dim=-1))
    return [F.normalize(v.ln_post(x[:, :1]) @ v.proj, dim=-1), *found]


# --- the step --------------------------------------------------------------------------------------------------------


class Learner:
    """The prompts, and the way from them to the loss."""

    def __init__(self, job: Job, net: Any) -> None:
        self.facts, self.net = facts_of(job), net
        start = [array(job, "normal"), array(job, "abnormal"), *array(job, "deep")]
        self.learned = [torch.from_numpy(x.copy()).requires_grad_() for x in start]
        self.adam = torch.optim.Adam(self.learned, lr=1e-3, betas=(0.5, 0.999))
        said = (" ".join(["X"] * self.facts.length) + f" {words}." for words in ("object", "damaged object"))
        ids = open_clip.tokenize(list(said))  # [2, 77]
        self.ends = ids.argmax(dim=-1)
        self.n = self.facts.tokens if job["variant"] == "cut" else self.facts.context
        assert int(self.ends.max()) + 1 == self.facts.tokens, "refclip's prompts are not open_clip's"
        with torch.no_grad():
            self.words = net.token_embedding(ids[:, : self.n])  # [2, n, d]; the places of X are overwritten
        self.positions = net.positional_embedding[: self.n]
        self.mask = net.attn_mask[: self.n, : self.n].contiguous()

    def text(self) -> torch.Tensor:
        """The unit vectors of both prompts, [2, e]."""
        normal, abnormal, *deep = self.learned
        vectors, after = torch.stack([normal, abnormal]), 1 + self.facts.length
        x = torch.cat([self.words[:, :1], vectors, self.words[:, after:]], dim=1) + self.positions  # [2, n, d]
        for i, block in enumerate(self.net.transformer.resblocks):
            if 1 <= i <= len(deep):
                tokens = deep[i - 1].expand(2, -1, -1)
                x = torch.cat([x[:, :1], tokens, x[:, 1 + tokens.shape[1] :]], dim=1)
            x = block(x, attn_mask=self.mask)
        ends = self.net.ln_final(x[torch.arange(2), self.ends])
        return F.normalize(ends @ self.net.text_projection, dim=-1)

    def loss(self, features: Tensors, labels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Equation 2 of AnomalyCLIP: cross-entropy, and of each layer the focal and both Dice losses."""
        text, (image, *layers) = self.text(), features
        total = F.cross_entropy(image[:, 0] @ text.T / self.facts.tau, labels)
        for patches in layers:
            side = int(patches.shape[1] ** 0.5)
            s = (patches @ text.T / self.facts.tau).softmax(dim=-1).transpose(1, 2).unflatten(2, (side, side))
            p = F.interpolate(s.contiguous(), masks.shape[1:], mode="bilinear", align_corners=False)  # [b, 2, H, W]
            total = total + focal(p, masks) + dice(p[:, 0], 1 - masks) + dice(p[:, 1], masks)
        return total

    def step(self, features: Tensors, labels: torch.Tensor, masks: torch.Tensor) -> float:
        self.adam.zero_grad()
        value = self.loss(features, labels, masks)
        value.backward()
        self.adam.step()
        return float(value.detach())


def focal(p: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of -(1 - q)^2 log q, q = (1 - e) p_own + e p_other + e, e = 1e-5, where p_own + p_other = 1."""
    q = (1 - 2e-5) * torch.where(mask > 0, p[:, 1], p[:, 0]) + 2e-5
    return -((1 - q).square() * q.log()).mean()


def dice(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    p, t = p.flatten(1), t.flatten(1)
    return 1 - ((2 * (p * t).sum(dim=1) + 1) / (p.sum(dim=1) + t.sum(dim=1) + 1)).mean()


# --- the cases -------------------------------------------------------------------------------------------------------


class Cache:
    """The features that refclip keeps, mapped; masks in memory, a byte a pixel."""

    def __init__(self, job: Job, facts: Facts) -> None:
        folder = Path(job["kept"])
        names = ["image", *(f"v-v.{layer:02}" for layer in facts.layers)]
        # copy on write, since torch wants arrays that could be written to
        self.features = [torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in names]
        self.masks = torch.from_numpy(array(job, "masks"))
        self.labels = self.masks.flatten(1).any(dim=1).long()

    def batch(self, index: Sequence[int]) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        which = torch.tensor(index)
        image, *layers = (x[which].float() for x in self.features)
        return [image[:, None], *layers], self.labels[which], self.masks[which].float()


def encode_batch(job: Job, net: Any) -> dict[str, Any]:
    """Pixels in, features out; the first call, of one image, is not timed."""
    facts, pixels = facts_of(job), torch.from_numpy(array(job, "pixels")[: job["encoded"]])
    encode(net, pixels[:1], facts)
    start = time.perf_counter()
    found = encode(net, pixels, facts)
    seconds, used = time.perf_counter() - start, memory()
    if not Path(job["reference"]).exists():
        np.savez(job["reference"], *(x.numpy() for x in found))
    return answer([seconds], {}, used)


def one_step(job: Job, net: Any) -> dict[str, Any]:
    learner = Learner(job, net)
    batch = Cache(job, learner.facts).batch(order(job)[0])
    value = learner.step(*batch)
    gradient = [x.grad.numpy() for x in learner.learned if x.grad is not None]
    apart = compared_step(job, value, gradient)
    return answer(timed_steps(job, lambda: learner.step(*batch)), apart, memory())


def one_epoch(job: Job, net: Any) -> dict[str, Any]:
    """The second of two: features from the mapped files, step by step."""
    learner = Learner(job, net)
    cache, losses, each = Cache(job, learner.facts), [], learner.facts.steps
    start = 0.0
    for number, index in enumerate(order(job)):
        if number == each:
            start = time.perf_counter()
        losses.append(learner.step(*cache.batch(index)))
    seconds = time.perf_counter() - start
    return answer([seconds], compared_curve(job, losses[:each]), memory())


def published(job: Job, net: Any) -> dict[str, Any]:
    """Memory of the image tower at every step: one step of it."""
    learner = Learner(job, net)
    masks = torch.from_numpy(array(job, "masks")[: job["encoded"]])
    features = [x.clone() for x in encode(net, torch.from_numpy(array(job, "pixels")[: job["encoded"]]), learner.facts)]
    learner.step(features, masks.flatten(1).any(dim=1).long(), masks.float())
    return {"memory": memory()}


def work(job: Job) -> dict[str, Any]:
    torch.set_num_threads(job["threads"])
    net = load(job["folder"]).requires_grad_(False)
    cases: dict[str, Callable[[Job, Any], dict[str, Any]]] = {
        "encode": encode_batch, "step": one_step, "epoch": one_epoch, "published": published,
    }  # fmt: skip
    return after_loading(lambda: cases[job["case"]](job, net))


if __name__ == "__main__":
    serve(work)
