"""open_clip on torch, eager, float32, in inference mode: what all others are held to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from safetensors.torch import load_file

from benchmarks.workers.timing import Job, batch_of, load_input, measure, memory, serve


def load(folder: str, *, mapped: bool = False) -> Any:
    """open_clip's model with these weights, without first filling it with random numbers (which takes long).

    The weights are copied to where torch wants them, or left where the file is mapped.
    """
    config = json.loads((Path(folder) / "open_clip_config.json").read_text())["model_cfg"]
    with torch.device("meta"):
        net = open_clip.model.CLIP(**config)
    state = load_file(Path(folder) / "open_clip_model.safetensors")
    net.load_state_dict(state if mapped else {k: x.clone() for k, x in state.items()}, assign=True)
    n = net.context_length
    net.attn_mask = torch.full((n, n), float("-inf")).triu_(1)  # not stored, so still without content
    empty = [name for name, x in (*net.named_parameters(), *net.named_buffers()) if x.is_meta]
    assert not empty, empty
    return net.eval()


def work(job: Job) -> dict[str, Any]:
    torch.set_num_threads(job["threads"])
    case = job["case"]
    with torch.inference_mode():
        if case == "memory":
            return encode_once(job)
        net = load(job["folder"])
        if case == "chunks":
            return choose_chunks(job, net)
        if case == "prompts":
            return measure(job, prompts(job, net))
        if case == "windows":
            pixels = torch.from_numpy(load_input(job, "pixels")[:1])
            return measure(job, lambda: windows(net, pixels, job["chunks"]).numpy())
        pixels = torch.from_numpy(load_input(job, "pixels")[: batch_of(case)])
        return measure(job, lambda: net.encode_image(pixels).numpy())


def prompts(job: Job, net: Any) -> Callable[[], np.ndarray]:
    ids = torch.from_numpy(load_input(job, "ids"))
    texts = json.loads((Path(job["inputs"]) / "prompts.json").read_text())
    assert torch.equal(ids, open_clip.tokenize(texts)), "refclip's ids are not open_clip's"
    if job["variant"] == "cut":  # nothing after the longest text's end is seen by anybody
        n = int(ids.argmax(dim=-1).max()) + 1
        ids = ids[:, :n].contiguous()
        net.attn_mask = net.attn_mask[:n, :n].contiguous()
        net.positional_embedding = torch.nn.Parameter(net.positional_embedding[:n].clone())
    return lambda: net.encode_text(ids).numpy()


def embed(v: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Tokens that enter the first block, [b, n, d]."""
    patches = v.conv1(pixels).flatten(2).transpose(1, 2)  # [b, g, d]
    start = v.class_embedding.expand(len(pixels), 1, -1)
    return v.ln_pre(torch.cat([start, patches], dim=1) + v.positional_embedding)


def leave(v: Any, tokens: torch.Tensor) -> torch.Tensor:
    return v.ln_post(v.transformer(tokens)[:, 0]) @ v.proj  # [b, e]


def window_index(side: int, k: int) -> torch.Tensor:
    """Tokens of every k x k window of the grid: the class token and k k patches, [w, 1 + k k]."""
    number = 1 + torch.arange(side * side).reshape(1, side, side)
    patches = number.unfold(1, k, 1).unfold(2, k, 1).reshape(-1, k * k)  # [w, k k]
    return torch.cat([torch.zeros(len(patches), 1, dtype=torch.long), patches], dim=1)


def windows(net: Any, pixels: torch.Tensor, chunks: dict[str, int]) -> torch.Tensor:
    """The image, all 2 x 2 and all 3 x 3 windows, [1 + w, e]. Patches and positions are computed once for all."""
    v = net.visual
    tokens = embed(v, pixels)
    out = [leave(v, tokens)]
    for k, chunk in chunks.items():
        parts = tokens[0, window_index(v.grid_size[0], int(k))]  # [w, 1 + k k, d]
        out += [leave(v, part) for part in parts.split(chunk)]
    return torch.cat(out)


def choose_chunks(job: Job, net: Any) -> dict[str, Any]:
    """Windows in one go or in chunks, whichever torch does faster here."""
    v = net.visual
    tokens = embed(v, torch.from_numpy(load_input(job, "pixels")[:1]))
    best, seen = {}, {}
    for k in (2, 3):
        parts = tokens[0, window_index(v.grid_size[0], k)]
        sizes = [len(parts), *(size for size in job["sizes"] if size < len(parts))]
        times = dict.fromkeys(sizes, float("inf"))
        for timed in (False, *[True] * job["repeats"]):
            for size in sizes:
                start = time.perf_counter()
                for part in parts.split(size):
                    leave(v, part)
                if timed:
                    times[size] = min(times[size], time.perf_counter() - start)
        best[str(k)] = min(times, key=times.__getitem__)
        seen[str(k)] = times
    return {"chunks": best, "seconds": seen}


def encode_once(job: Job) -> dict[str, Any]:
    """Peak memory of one image: loaded as open_clip's users load, or with the weights left in the mapped file."""
    pixels = torch.from_numpy(load_input(job, "pixels")[:1])
    if job["variant"] == "mapped":
        net = load(job["folder"], mapped=True)
    else:
        file = str(Path(job["folder"]) / "open_clip_model.safetensors")
        net = open_clip.create_model(job["model"], pretrained=file, precision="fp32", device="cpu").eval()
    net.encode_image(pixels)
    return memory()


if __name__ == "__main__":
    serve(work)
