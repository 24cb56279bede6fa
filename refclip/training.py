"""A loop of optimisation steps that can be killed and goes on as if nothing had happened.

What a step does may depend on its number and on the parameters, and on nothing else: whatever is drawn is drawn from a
seed and the number. Then parameters, the optimiser's state and the number of steps are all there is to keep, and a run
that was resumed ends in the same bytes as one that was not (on the same machine with as many threads).
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np  # noqa: TID251  (files are the host's)

from refclip.checkpoint import WeightsError
from refclip.optim import Moments
from refclip.saved import filled, plain, read, save
from refclip.tree import value_and_gradient

Update = Callable[..., tuple[Any, Any]]  # (parameters, gradient, state, rate=) -> (parameters, state)


SHARES = ("betas", "drops", "fraction", "mask_share", "probability", "turned")  # numbers that do not pass 1


class Progress(NamedTuple):
    """How far a run is."""

    parameters: Any
    state: Any  # of the optimiser
    steps: int  # taken


def learn(
    loss: Callable[[Any, int], Any],
    parameters: Any,
    state: Moments,
    *,
    update: Update,
    rate: Callable[[int], float],
    steps: int,
    checkpoint: str | os.PathLike[str] | None = None,
    about: Mapping[str, Any] | None = None,
    every: int = 100,
    limit: int | None = None,
    tell: Callable[[int, float], None] = lambda step, value: None,
) -> tuple[Progress, list[float]]:
    """Take `steps` steps, those of an earlier run in `checkpoint` included.

    Parameters
    ----------
    loss : callable
        (parameters, step) -> a number. Steps count from 0.
    parameters : nest of arrays
        Where a new run begins.
    state : NamedTuple
        Of the optimiser at its beginning, `optim.adam_state(parameters)`.
    update : callable
        (parameters, gradient, state, rate=) -> (parameters, state): `optim.adam` with its options bound.
    rate : callable
        step -> learning rate.
    steps : int
    checkpoint : path, optional
        Written every so many steps, when the run is interrupted and when it ends; taken up if it is there.
    about : mapping, optional
        All that decides what is learned: a checkpoint made with other choices is refused.
    every : int
    limit : int, optional
        Bytes that the tape may keep; see `autograd.Tape`.
    tell : callable
        Called with (steps taken, loss) after each.

    Returns
    -------
    Progress
    list of float
        The loss at each step.

    Raises
    ------
    ValueError
        Fewer than no steps, or a learning rate below 0.
    WeightsError
        The checkpoint cannot be used; the message says what differs.
    FloatingPointError
        The loss is no longer a finite number.
    """
    if steps < 0 or (steps and not rate(0) >= 0):
        raise ValueError(f"{steps} steps at a rate of {rate(0)}: expected neither below 0")
    told, losses = plain(about or {}), []
    now = Progress(parameters, state, 0)
    if checkpoint is not None and Path(checkpoint).exists():
        now, losses = _resumed(checkpoint, now, told, steps)

    def keep() -> None:
        if checkpoint is not None and now.steps:
            so_far = np.asarray(losses[: now.steps])  # [steps]
            save(checkpoint, now._asdict() | {"losses": so_far}, {"about": told})

    try:
        while now.steps < steps:
            step = now.steps
            value, gradient = value_and_gradient(functools.partial(_at, loss, step), now.parameters, limit=limit)
            number = float(value)
            if not abs(number) < float("inf"):  # false for NaN, too
                raise FloatingPointError(f"step {step}: the loss is {number}; use a smaller learning rate")
            moved = update(now.parameters, gradient, now.state, rate=rate(step))
            losses.append(number)
            now = Progress(*moved, step + 1)  # all at once: an interrupt finds the step taken or not taken
            tell(step + 1, number)
            if (step + 1) % every == 0:
                keep()
    finally:
        keep()
    return now, losses


def check(training: NamedTuple) -> None:
    """Refuse numbers that no run can mean, before hours go into it.

    Raises
    ------
    ValueError
        One is below 0, a share above 1, a batch of none, or a beta with which a mean never begins.
    """
    for key, value in training._asdict().items():
        numbers = [x for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, int | float)]
        least, most = int(key == "batch"), 1 if key in SHARES else float("inf")
        if not all(least <= x <= most and (key != "betas" or x < 1) for x in numbers):
            limits = f"{least} or more" if key not in SHARES else "0 to 1" + ", without 1" * (key == "betas")
            raise ValueError(f"{key}={value!r}: expected {limits}")


def _at(loss: Callable[[Any, int], Any], step: int, parameters: Any) -> Any:
    return loss(parameters, step)


@functools.lru_cache(maxsize=2)
def shuffled(count: int, *seed: int | str) -> tuple[int, ...]:
    """The numbers below `count` in an order that the seed decides, the same everywhere."""
    order = list(range(count))
    random.Random(repr(seed)).shuffle(order)
    return tuple(order)


def batch_of(step: int, count: int, size: int, seed: int) -> tuple[int, tuple[int, ...]]:
    """Which epoch a step belongs to, and the items it sees: every item once an epoch, in a new order each time."""
    each = steps_per_epoch(count, size)
    epoch, i = divmod(step, each)
    return epoch, shuffled(count, seed, epoch)[i * size : (i + 1) * size]


def steps_per_epoch(count: int, size: int) -> int:
    """The last batch of an epoch may be smaller."""
    if count < 1 or size < 1:
        raise ValueError(f"{count} images in batches of {size}: expected at least one of each")
    return -(-count // size)


def means_of_epochs(losses: Sequence[float], each: int) -> list[float]:
    """The loss curve: the mean over the steps of each epoch, the last perhaps not whole."""
    parts = [losses[i : i + each] for i in range(0, len(losses), each)]
    return [sum(part) / len(part) for part in parts]


def _resumed(
    checkpoint: str | os.PathLike[str], start: Progress, told: dict[str, Any], steps: int
) -> tuple[Progress, list[float]]:
    try:
        tensors, kept = read(checkpoint)
    except WeightsError as error:
        raise WeightsError(f"{error}; or remove it, and the run begins anew") from error
    where, before = str(checkpoint), kept.get("about", {})
    differ = [key for key in sorted({*told, *before}) if told.get(key) != before.get(key)]
    if differ:
        was = ", ".join(f"{key} {before.get(key)!r} and not {told.get(key)!r}" for key in differ)
        raise WeightsError(f"{where}: this run was begun with {was}; go on with the same, or remove the file")
    losses = [float(x) for x in tensors.get("losses", ())]
    if not 0 < len(losses) <= steps:
        raise WeightsError(f"{where}: {len(losses)} steps of {steps} are done; remove the file")
    found = filled(start, tensors, where)
    return Progress(found.parameters, found.state._replace(step=len(losses)), len(losses)), losses
