"""Muon: momentum whose update is made orthogonal, for the matrices inside the blocks.

Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the scale of J. Liu et
al., "Muon is scalable for LLM training" (2025), which lets it share AdamW's learning rate. `torch.optim.Muon` does the
same in bfloat16 always, which a CPU without instructions for it emulates: 4.7 seconds a step, against 0.1 in float32.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

# Of the quintic whose repetition takes every singular value near 1 (Jordan et al.)
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """For parameters [m, n]."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float, momentum: float = 0.95, half: bool = False
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.dtype = torch.bfloat16 if half else torch.float32  # of the iteration

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"])  # Nesterov
                p.mul_(1 - group["lr"] * group["weight_decay"])
                # q, k and v stand on one another in open_clip's in_proj_weight [3 d, d]: three matrices
                parts = update.chunk(3) if p.shape[0] == 3 * p.shape[1] else (update,)
                for part, rows in zip(parts, p.chunk(len(parts)), strict=True):
                    rows.sub_(orthogonal(part.to(self.dtype)), alpha=group["lr"] * 0.2 * max(part.shape) ** 0.5)


def orthogonal(g: Tensor, rounds: int = 5) -> Tensor:
    """The nearest matrix with singular values near 1 (0.7 to 1.2), by Newton-Schulz iteration."""
    wide = g.shape[0] <= g.shape[1]
    x = g if wide else g.T
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        a = x @ x.T
        x = _A * x + (_B * a + _C * a @ a) @ x
    return x if wide else x.T
