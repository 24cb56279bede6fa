"""The model that is trained: open_clip's own CLIP class, and its losses.

Torch and open_clip are here and nowhere in the library. The image tower is run on views: the class token with the
patches of one window, as WinCLIP's windows are run (Jeong et al., CVPR 2023, section 4.2), the whole grid being the
largest. That is cheap, five tokens for the smallest, and teaches windows what they will be asked.
"""

from __future__ import annotations

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from recipe.pairs import CELL, GRID, KINDS, PART, PATCH, PROMPTS, Batch

CONFIG = {
    "embed_dim": 256,
    "vision_cfg": {"image_size": GRID * PATCH, "layers": 6, "width": 192, "head_width": 64, "patch_size": PATCH},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 4},
}
PREPROCESS = {
    "mean": list(open_clip.OPENAI_DATASET_MEAN),
    "std": list(open_clip.OPENAI_DATASET_STD),
    "interpolation": "bicubic",
    "resize_mode": "squash",
}
POSITION = 0.5  # size of the positions that training starts with; a whitened patch is about 1
MIDDLE = 4  # block behind which a probe looks for damaged patches
FEW = 6  # damaged pixels of the 64 of a patch
RARE = 4.0  # weight of a damaged cell, of which there are few
THING, KIND = 0.5, 0.15  # weights of the probe's other two answers
PROBED = 2 * (PATCH // CELL) ** 2 + len(KINDS)
# Products of the blocks in bfloat16 where the processor has instructions for it (twice the speed); float32 elsewhere,
# where they would be emulated (a tenth of the speed)
HALF = torch.cpu._is_avx512_bf16_supported()
ORDER = 0.5  # weight of the order of one thing's whole views, beside 1 for each kind of view
WINDOW_ORDER = 1.0  # and of its windows, of which a map is made: pixels are judged by their order within one category
CONTRAST = 1.0  # weight of the contrast with captions, beside 1 for each kind of view


def build(seed: int) -> CLIP:
    """Make the model: open_clip's initial weights, but patches know from the start what they lie beside."""
    torch.manual_seed(seed)
    model = CLIP(**CONFIG)
    with torch.no_grad():
        model.visual.positional_embedding[1:] = POSITION * waves(GRID, CONFIG["vision_cfg"]["width"])
    return model


def waves(side: int, width: int, longest: float = 60.0) -> Tensor:
    """Sines and cosines of row and column [side^2, width], wavelengths of 2 pi to `longest` pi patches.

    Learned from random numbers, as CLIP's are, positions take thousands of steps to say which patches are neighbours.
    They are trained on from here. L. Beyer et al., "Better plain ViT baselines for ImageNet-1k" (2022).
    """
    omega = (2 / longest) ** torch.linspace(0, 1, width // 4)
    angle = torch.arange(side)[:, None] * omega  # [side, width / 4]
    one = torch.cat([angle.sin(), angle.cos()], 1)  # [side, width / 2]
    rows, columns = one[:, None].expand(-1, side, -1), one[None].expand(side, -1, -1)
    return torch.cat([rows, columns], 2).flatten(0, 1)


def whiten(model: CLIP, images: np.ndarray, floor: float = 0.01) -> None:
    """Start the patch embedding as the whitening of 8 x 8 patches, and train it from there.

    Neighbouring pixels are nearly equal: in a random projection a patch is its mean colour, and what a scratch changes
    is lost in it for thousands of steps. The principal components of patches (192 of them, as many as the width), each
    divided by its standard deviation, show all of it from the first step. Whitening the first layer: A. Coates and
    A. Ng (2011); K. Jordan, "94% on CIFAR-10 in 3.29 seconds" (2024).

    Parameters
    ----------
    images : array [b, 120, 120, 3], uint8
    floor : float
        Added to the variances: below it lies the camera's noise, which nobody wants louder.
    """
    x = F.unfold(normalise(images), PATCH, stride=PATCH).transpose(1, 2).flatten(0, 1)  # [b 225, 3 p p]
    x = x.double()  # variances span four decades
    variance, components = torch.linalg.eigh(x.T @ x / len(x))  # about 0, the mean of normalised pixels
    filters = (components / (variance + floor).sqrt()).T  # [3 p p, 3 p p]
    with torch.no_grad():
        first = model.visual.conv1.weight  # [d, 3, p, p]; where d > 3 p p, the rest stays random
        first[: len(filters)] = filters.flip(0)[: len(first)].view(-1, 3, PATCH, PATCH).float()


def normalise(images: np.ndarray) -> Tensor:
    """[b, 120, 120, 3] uint8 -> [b, 3, 120, 120] float32, as open_clip's preprocessing ends."""
    mean, std = (torch.tensor(PREPROCESS[key]) for key in ("mean", "std"))
    return ((torch.from_numpy(images).float() / 255 - mean) / std).permute(0, 3, 1, 2)


def patches(model: CLIP, images: Tensor) -> Tensor:
    """[b, 3, 120, 120] -> [b, 225, d]: embedded patches with their positions."""
    x = model.visual.conv1(images).flatten(2).transpose(1, 2)
    return x + model.visual.positional_embedding[1:]


def view(model: CLIP, x: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The class token over some patches of each picture.

    Parameters
    ----------
    x : Tensor [b, 225, d]
    ids : Tensor [b, m, n], int64
        The `n` patches of each of `m` views.

    Returns
    -------
    Tensor [b, m, e]
        The embedding, of length 1.
    Tensor [b m, n, d]
        The patches behind block `MIDDLE`.
    """
    visual = model.visual
    b, m, n = ids.shape
    d = x.shape[2]
    seen = x.gather(1, ids.view(b, m * n, 1).expand(-1, -1, d)).view(b * m, n, d)
    first = visual.class_embedding + visual.positional_embedding[0]
    h = visual.ln_pre(torch.cat([first.expand(b * m, 1, d), seen], 1))
    middle = _stack(visual.transformer.resblocks[:MIDDLE], h, None)
    last = _stack(visual.transformer.resblocks[MIDDLE:], middle, None)[:, 0]
    return F.normalize(visual.ln_post(last) @ visual.proj, dim=-1).view(b, m, -1), middle[:, 1:]


def window_ids(corners: np.ndarray, side: int) -> Tensor:
    """[b, m, 2] first row and column -> [b, m, side^2] patches, row by row."""
    steps = np.arange(side)
    ids = (corners[..., 0, None, None] + steps[:, None]) * GRID + corners[..., 1, None, None] + steps
    return torch.from_numpy(ids.reshape(*corners.shape[:2], side * side))


def texts(model: CLIP, ids: np.ndarray) -> Tensor:
    """[k, 77] ids -> [k, e], of length 1. Cut behind the last end-of-text token: the tower is causal."""
    ends = torch.from_numpy(ids.argmax(1))
    ids = ids[:, : int(ends.max()) + 1]
    x = model.token_embedding(torch.from_numpy(ids)) + model.positional_embedding[: ids.shape[1]]
    x = model.ln_final(_stack(model.transformer.resblocks, x, model.attn_mask))
    return F.normalize(x[torch.arange(len(x)), ends] @ model.text_projection, dim=-1)


def _stack(blocks: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
    """open_clip's blocks, written out: its MultiheadAttention is slower on a CPU.

    So is the fused kernel: for 5 to 226 tokens in bfloat16, its gradient takes 2 to 15 times as long as this one's.
    """
    b, n, d = x.shape
    with torch.autocast("cpu", torch.bfloat16, enabled=HALF):  # what is not a product stays float32
        for block in blocks:
            attn = block.attn
            qkv = F.linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
            q, k, v = qkv.view(b, n, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)  # [b, h, n, d / h]
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # [b, h, n, n]
            scores = scores if mask is None else scores + mask[:n, :n].to(scores.dtype)
            mixed = scores.softmax(-1).to(v.dtype) @ v  # [b, h, n, d / h]
            x = x + attn.out_proj(mixed.transpose(1, 2).reshape(b, n, d))
            x = x + block.mlp(block.ln_2(x))
    return x


class Losses(dict[str, Tensor]):
    """Each term, by name; `total` is what is minimised."""

    @property
    def total(self) -> Tensor:
        return torch.stack(list(self.values())).sum()


def losses(model: CLIP, probe: nn.Linear, batch: Batch, whole: bool) -> Losses:
    """Contrast pictures with captions, and every view with the two prompts of its thing.

    The largest view is the whole grid, or for less than half the work a part of it of 10 x 10 patches that shows the
    damage. A part, not patches at random: what a crack or a weave is shows in neighbours.

    `contrast` is CLIP's loss (Radford et al., 2021), both ways; a caption that is true of two pictures is no negative.
    `state_*` is the cross-entropy of one view between the flawless and the damaged prototype: what CLIP's loss would
    be with these two captions alone, and what every method here asks (WinCLIP, equation 1).
    `order_*` asks of the views of one thing that the damaged ones come before the flawless ones, see `_order`.
    `where`, `thing` and `kind` are the cross-entropies of a linear probe behind block `MIDDLE`, see `_probed`. They say
    nothing to the text tower and nothing to the last blocks; they are there because one answer for 225 patches teaches
    slowly. The probe is thrown away.
    """
    scale = model.logit_scale.exp()
    x = patches(model, normalise(batch.images))
    b = len(x)
    said = texts(model, np.concatenate([batch.captions, batch.prompts]))
    said, prompts = said[: len(batch.captions)], said[len(batch.captions) :]
    prototypes = F.normalize(prompts.view(-1, 2, PROMPTS, said.shape[1]).mean(2), dim=-1)  # [p + 1, 2, e]
    direction = prototypes[:, 1] - prototypes[:, 0]  # [p + 1, e], from flawless to damaged
    own = direction[:-1].repeat(2, 1)  # [b, e]
    out = Losses()
    largest = GRID if whole else PART
    for side, corners in batch.corners.items():
        if side > largest or PART <= side < largest:
            continue
        ids = window_ids(corners, side)
        f, middle = view(model, x, ids)  # [b, m, e], [b m, n, d]
        if side == largest:
            out["contrast"] = CONTRAST * _contrast(scale * f[:, 0] @ said.T, torch.from_numpy(batch.same))
            out |= _probed(probe(middle), batch, ids[:, 0])
        general = (torch.rand(b // 2, 1) < 0.25).float().repeat(2, 1)  # sometimes the thing is called "object"
        asked = general * direction[-1] + (1 - general) * own
        logits = scale * (f * asked[:, None]).sum(-1)  # [b, m]
        truth = torch.from_numpy(batch.truth[side]).float()
        known = truth >= 0
        which = "whole" if side == largest else side
        out[f"state_{which}"] = F.binary_cross_entropy_with_logits(logits[known], truth[known])
        out[f"order_{which}"] = (ORDER if side == largest else WINDOW_ORDER) * _order(logits, truth)
    return out


def _order(logits: Tensor, truth: Tensor) -> Tensor:
    """How far the damaged views of a thing are from lying above its flawless views, in both of its pictures.

    log(1 + exp(flawless - damaged)) over all such couples of one thing, then over things (Burges et al., "Learning to
    rank using gradient descent", 2005). An AUROC is the share of couples in order, within one category: the teeth of a
    gear must lie below the crack in that gear, and need not lie below a crack in glass. The cross-entropy alone is
    content with what is easy to tell apart, damage of one thing from another thing.

    Parameters
    ----------
    logits, truth : Tensor [2 p, m]
        The flawless copies of `p` things, then the damaged ones; truth 1 damaged, 0 flawless, -1 not asked.
    """
    logits, truth = (torch.cat(x.chunk(2), 1) for x in (logits, truth))  # [p, 2 m]: all views of one thing
    couples = ((truth == 1)[:, :, None] & (truth == 0)[:, None, :]).float()  # [p, 2 m, 2 m]
    wrong = F.softplus(logits[:, None, :] - logits[:, :, None]) * couples
    count = couples.sum((1, 2))
    return (wrong.sum((1, 2)) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


def _probed(logits: Tensor, batch: Batch, ids: Tensor) -> dict[str, Tensor]:
    """What a probe tells of the patches `ids` [b, n]: logits [b, n, 2 cells + kinds].

    `where` is damaged, cell by cell; `thing`: where the thing is, and where the ground; `kind`: which kind of defect
    a damaged patch shows.
    """
    cells = (PATCH // CELL) ** 2
    row = torch.arange(len(ids))[:, None]
    damaged = torch.from_numpy(batch.fine)[row, ids].float()  # [b, n, cells]
    known = damaged >= 0
    where, thing, kind = logits.float().split([cells, cells, len(KINDS)], -1)
    rare = torch.tensor(RARE)
    of = torch.from_numpy(batch.kind)[:, None].expand_as(ids)
    seen = (torch.from_numpy(batch.cover).flatten(1)[row, ids] >= FEW) & (of >= 0)  # [b, n]
    return {
        "where": F.binary_cross_entropy_with_logits(where[known], damaged[known], pos_weight=rare),
        "thing": THING * F.binary_cross_entropy_with_logits(thing, torch.from_numpy(batch.thing)[row, ids]),
        "kind": KIND * F.cross_entropy(kind[seen], of[seen]),
    }


def _contrast(logits: Tensor, same: Tensor) -> Tensor:
    b = len(logits)
    own = torch.eye(b, logits.shape[1], dtype=torch.bool)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(b)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits[:, :b].T, target)) / 2
