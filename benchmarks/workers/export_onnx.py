"""open_clip's image tower as an ONNX file of one fixed batch size, written by torch.onnx."""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.workers.on_torch import load
from benchmarks.workers.timing import Job, batch_of, load_input, serve


def work(job: Job) -> dict[str, Any]:
    target = Path(job["onnx"])
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pixels = torch.from_numpy(load_input(job, "pixels")[: batch_of(job["case"])])
    tower = load(job["folder"]).visual
    # the exporter talks on standard output, which carries our answer
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            tower, (pixels,), dynamo=True, input_names=["pixels"], output_names=["embedding"], verbose=False
        )
        assert program is not None
        program.save(str(partial / "model.onnx"), external_data=True)
    partial.replace(target)
    return {"bytes": sum(file.stat().st_size for file in target.iterdir())}


if __name__ == "__main__":
    serve(work)
