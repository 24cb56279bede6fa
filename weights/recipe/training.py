"""The training loop: two optimisers, one schedule, an average of the weights, a checkpoint that a later run takes up.

Matrices inside the blocks are stepped by Muon (Jordan et al., 2024: momentum, made orthogonal), everything else by
AdamW. Every batch is drawn from (seed, its number), so it does not matter which process renders it or when the run
stopped.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from open_clip.model import CLIP
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recipe import model as towers
from recipe import pairs, scenes
from recipe.muon import Muon

STEPS = 5124  # what 117 minutes gave in the first of refclip-mini's six trainings, on two cores of 2025
PAIRS = 32  # in a batch
PEAK = {"muon": 3e-3, "adam": 1.5e-3}  # learning rates
WARM_UP = 30  # steps
DECAY = 0.8  # last part of the training, in which the rates fall to nothing
WHOLE = 0.6  # last part of the training, which sees the whole grid
AHEAD = 16  # batches that are rendered before they are needed
PLAIN = 0.9, 0.8  # part of the defects that are plain, at the beginning and at the end of the training
AVERAGE = 0.998  # the weights that are exported are averaged over the last few hundred steps
WHITENED = 8  # batches that the first patch embedding is computed from
CHECKPOINT = 5 * 60  # seconds
BEFORE_DECAY = "before-decay"  # the checkpoint that is kept from the moment when the rates begin to fall

_console = Console(highlight=False)


class Run(NamedTuple):
    """What is trained and what it takes to go on."""

    model: CLIP
    average: CLIP
    probe: nn.Linear  # see model.losses; not exported
    optimisers: tuple[torch.optim.Optimizer, ...]


def begin(seed: int, images: np.ndarray | None = None) -> Run:
    """Start from open_clip's initial weights, the patch embedding from `images` [b, 120, 120, 3] uint8 if given."""
    model = towers.build(seed)
    if images is not None:
        towers.whiten(model, images)
    average = copy.deepcopy(model)
    probe = nn.Linear(towers.CONFIG["vision_cfg"]["width"], towers.PROBED)
    blocks = [p for n, p in model.named_parameters() if "resblocks" in n and p.ndim == 2]
    known = {id(p) for p in blocks}
    rest = [p for p in (*model.parameters(), *probe.parameters()) if id(p) not in known]
    matrices, vectors = [p for p in rest if p.ndim >= 2], [p for p in rest if p.ndim < 2]
    muon = Muon(blocks, lr=PEAK["muon"], weight_decay=0.05, half=towers.HALF)
    adam = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=PEAK["adam"],
        betas=(0.9, 0.98),
        fused=True,  # a third of the time
    )
    return Run(model, average, probe, (muon, adam))


@contextmanager
def _flushing() -> Iterator[None]:
    """Subnormal numbers are zero meanwhile: a fifth of a step went to them. Threads that start here keep it."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@_flushing()
def train(
    data: Path,
    out: Path,
    *,
    steps: int = STEPS,
    minutes: float | None = None,
    stop_after: float | None = None,
    seed: int = 0,
    workers: int = 1,
    count: int = PAIRS,
    start: Path | None = None,
    rate: float = 1.0,
) -> bool:
    """Train, from the checkpoint in `out` if there is one.

    Parameters
    ----------
    data, out : Path
        What `fetch.prepare` wrote; where checkpoint and log go.
    steps : int
        Of the whole training.
    minutes : float, optional
        The whole training's time instead, over all runs; the schedule is stretched to it.
    stop_after : float, optional
        Minutes, of this run.
    seed : int
    workers : int
        Processes that render.
    count : int
        Pairs in a batch.
    start : Path, optional
        A checkpoint of another training, or the weights that one exported: what this one begins with.
    rate : float
        Part of the learning rates in PEAK, for a training that goes on from another.

    Returns
    -------
    bool
        Whether the training came to its end; False where `stop_after` minutes ended it.
    """
    out.mkdir(parents=True, exist_ok=True)
    first = [pairs.batch(np.random.default_rng([seed, i]), scenes.load(data), count) for i in range(WHITENED)]
    run = begin(seed, np.concatenate([batch.images for batch in first]))
    step, spent = resume(run, out, seed)
    if start is not None and not step:
        adopt(run, start)
    if step:
        _console.print(f"going on from step {step}, {spent / 60:.0f} minutes in")
    began = saved = time.monotonic()
    smooth: dict[str, float] = {}
    decays = (out / f"{BEFORE_DECAY}.safetensors").exists()
    for batch in _batches(data, seed, step, workers=workers, count=count, steps=steps):
        now = time.monotonic()
        passed = spent + now - began
        part = passed / (60 * minutes) if minutes else step / steps
        stopped = stop_after is not None and now - began > 60 * stop_after
        if part >= 1 or stopped or now - saved > CHECKPOINT:
            save(run, out, step=step, spent=passed, seed=seed, finished=part >= 1)
            saved = now
        if part >= 1 or stopped:
            return part >= 1
        if part > 1 - DECAY and not decays:  # a longer training can go on from here; from the end, it could not
            decays = True
            save(run, out, step=step, spent=passed, seed=seed, finished=False, file=BEFORE_DECAY)
        terms = _step(run, batch, step, part, rate)
        for key, value in terms.items():
            smooth[key] = value if step == 0 or key not in smooth else 0.97 * smooth[key] + 0.03 * value
        step += 1
        if step % 25 == 0 or step == 1:
            line = {"step": step, "minutes": round(passed / 60, 2), **{k: round(v, 4) for k, v in smooth.items()}}
            with (out / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            _console.print(f"{part:5.1%} " + " ".join(f"{key} {value}" for key, value in line.items()))
    return False


def _step(run: Run, batch: pairs.Batch, step: int, part: float, rate: float) -> dict[str, float]:
    factor = rate * min(1.0, (step + 1) / WARM_UP)
    if part > 1 - DECAY:
        factor *= max(0.0, (1 - part) / DECAY)
    for optimiser, peak in zip(run.optimisers, PEAK.values(), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = peak * factor
    torch.manual_seed(step)  # which views are asked about an "object"
    terms = towers.losses(run.model, run.probe, batch, part > 1 - WHOLE)
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    with torch.no_grad():
        run.model.logit_scale.clamp_(0, math.log(100))  # as CLIP's training does
        keep = min(AVERAGE, 1 - 1 / (step + 2))
        for a, p in zip(run.average.parameters(), run.model.parameters(), strict=True):
            a.lerp_(p, 1 - keep)
    terms["scale"] = run.model.logit_scale.exp()
    return {key: float(value.detach()) for key, value in terms.items()}


def _batches(data: Path, seed: int, first: int, *, workers: int, count: int, steps: int) -> Iterator[pairs.Batch]:
    """Render ahead in other processes; what step `i` sees depends on (seed, i) and on how long the training is.

    Every batch is seen once. Used four times, turned and mirrored, batches cost a fifth less; but the whole view knew
    them after the second time: its loss was 0.29 on them and 0.44 on new ones.
    """
    for library in ("OPENBLAS", "OMP", "MKL"):  # read when a child imports NumPy: the products there are small
        os.environ[f"{library}_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_ready, initargs=(data,)) as pool:
        waiting: deque[Future[pairs.Batch]] = deque()
        ahead = first
        try:
            for step in itertools.count(first):
                while ahead < step + AHEAD:
                    waiting.append(pool.submit(_render, seed, ahead, count, _plain(ahead / steps)))
                    ahead += 1
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _plain(part: float) -> float:
    """How many of the defects are plain ones: nearly all in the beginning, fewer and fewer of them later."""
    first, last = PLAIN
    return first + (last - first) * min(1.0, part)


_pictures: scenes.Pictures | None = None  # of a rendering process: read once, not once a batch


def _ready(data: Path) -> None:
    global _pictures  # noqa: PLW0603
    os.nice(5)  # training comes first
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # of NumPy in this thread too
    _pictures = scenes.load(data)


def _render(seed: int, number: int, count: int, plain: float) -> pairs.Batch:
    assert _pictures is not None
    return pairs.batch(np.random.default_rng([seed, number]), _pictures, count, plain=plain)


def save(run: Run, out: Path, *, step: int, spent: float, seed: int, finished: bool, file: str = "checkpoint") -> None:
    """Write the checkpoint under a temporary name, then rename: a kill leaves the one before."""
    tensors: dict[str, Tensor] = {}
    for name, part in (("model", run.model), ("average", run.average), ("probe", run.probe)):
        tensors |= {f"{name}/{key}": value.detach().contiguous() for key, value in part.named_parameters()}
    for i, optimiser in enumerate(run.optimisers):
        for j, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{i}/{j}/{key}": value.contiguous() for key, value in state.items()}
    about = {"step": str(step), "spent": repr(spent), "seed": str(seed), "finished": str(finished)}
    temporary = out / f"{file}.tmp"
    save_file(tensors, temporary, metadata=about)
    temporary.replace(out / f"{file}.safetensors")


def resume(run: Run, out: Path, seed: int) -> tuple[int, float]:
    """Take up the checkpoint in `out`. Returns the step and the seconds spent; (0, 0.0) where there is none."""
    path = out / "checkpoint.safetensors"
    if not path.exists():
        return 0, 0.0
    about = metadata(path)
    if int(about["seed"]) != seed:
        raise ValueError(f"{path}: was trained with seed {about['seed']}, asked for {seed}; choose another --out")
    restore(run, path)
    return int(about["step"]), float(about["spent"])


def restore(run: Run, path: Path) -> None:
    """Put the weights and the optimisers' state of a checkpoint into `run`."""
    tensors = load_file(path)
    with torch.no_grad():
        for name, part in (("model", run.model), ("average", run.average), ("probe", run.probe)):
            for key, value in part.named_parameters():
                value.copy_(tensors[f"{name}/{key}"])
    for i, optimiser in enumerate(run.optimisers):
        state: dict[int, dict[str, Any]] = {}
        for key in tensors:
            if key.startswith(f"optimiser/{i}/"):
                _, _, j, what = key.split("/")
                state.setdefault(int(j), {})[what] = tensors[key]
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def adopt(run: Run, path: Path) -> None:
    """Begin with another training: with all of its checkpoint, or with the weights alone that it exported.

    From exported weights, the optimisers' state and the probe begin anew; they catch up within some hundred steps.

    Raises
    ------
    ValueError
        Where the file is neither.
    """
    with safe_open(path, "pt") as file:
        names = set(file.keys())
    if any(name.startswith("model/") for name in names):
        restore(run, path)
        return
    own = {name for name, _ in run.model.named_parameters()}
    if names != own:
        differ = ", ".join(sorted(names ^ own)[:3])
        raise ValueError(
            f"{path}: neither a checkpoint of this training nor weights of this model: {len(names ^ own)} names "
            f"differ ({differ}); give checkpoint.safetensors or refclip-mini.safetensors"
        )
    tensors = load_file(path)
    with torch.no_grad():
        for part in (run.model, run.average):
            for key, value in part.named_parameters():
                value.copy_(tensors[key])


def metadata(path: Path) -> dict[str, str]:
    """The checkpoint's own words about itself."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return header["__metadata__"]


def export(out: Path, folder: Path | None = None) -> Path:
    """Write the averaged weights in float16 under open_clip's names, with open_clip's configuration beside them."""
    folder = out if folder is None else folder
    tensors = load_file(out / "checkpoint.safetensors")
    average = {k.removeprefix("average/"): v.half() for k, v in tensors.items() if k.startswith("average/")}
    for name, value in average.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{out}: {name} does not fit float16; the training has diverged")
    weights = folder / "refclip-mini.safetensors"
    config = {"model_cfg": towers.CONFIG, "preprocess_cfg": towers.PREPROCESS}
    (folder / "refclip-mini.json").write_text(json.dumps(config, indent=1) + "\n")
    temporary = weights.with_suffix(".tmp")
    save_file(average, temporary, metadata={"format": "pt"})
    temporary.replace(weights)
    return weights
