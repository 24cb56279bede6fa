"""What a measurement cannot be read without: the machine and the versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.workers.timing import Job, serve

PACKAGES = ("numpy", "torch", "open_clip_torch", "onnxruntime", "mossblaser-clippie", "safetensors", "threadpoolctl")
TELLING = ("avx", "fma", "f16c", "amx", "asimd", "sve")  # how the names of telling CPU flags begin


def work(job: Job) -> dict[str, Any]:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((8, 8)) @ np.ones((8, 8))
    blas = [x for x in threadpool_info() if x["user_api"] == "blas"]
    import refclip

    versions = {"refclip": refclip.__version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    cpu = cpu_facts()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "CPU": cpu.get("model", platform.processor() or platform.machine()),
        "CPU flags": cpu.get("flags", "unknown"),
        "processors": f"{cores} available, of {os.cpu_count()}",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **versions,
        "BLAS of NumPy": ", ".join(f"{x['internal_api']} {x['version']} ({x.get('architecture')})" for x in blas),
        "torch": f"{versions['torch']} ({torch_facts()})",
    }


def cpu_facts() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    lines = dict(part.partition(":")[::2] for part in text.split("\n\n")[0].splitlines())
    lines = {key.strip(): value.strip() for key, value in lines.items()}
    flags = lines.get("flags", lines.get("Features", "")).split()
    out = {"flags": " ".join(sorted(f for f in flags if f.startswith(TELLING)))}
    return out | ({"model": lines["model name"]} if "model name" in lines else {})


def torch_facts() -> str:
    try:
        import torch
    except ImportError:
        return "none"
    parts = [torch.backends.cpu.get_cpu_capability()]
    parts += ["MKL"] * torch.backends.mkl.is_available() + ["oneDNN"] * torch.backends.mkldnn.is_available()
    return ", ".join(parts)


if __name__ == "__main__":
    serve(work)
