"""onnxruntime on the image tower that torch.onnx exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.workers.timing import Job, batch_of, load_input, measure, serve


def work(job: Job) -> dict[str, Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    file = str(Path(job["onnx"]) / "model.onnx")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {"pixels": load_input(job, "pixels")[: batch_of(job["case"])]}
    return measure(job, lambda: session.run(None, feed)[0])


if __name__ == "__main__":
    serve(work)
