"""clippie (mossblaser-clippie), CLIP in NumPy: the nearest relative.

It computes quick GELU only. It takes pictures and strings rather than pixels and ids, so its times hold its own
normalisation and tokenizing. Its weights are NamedTuples of arrays, linear weights as [in, out] and contiguous, as its
own converter leaves them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import clippie
import numpy as np
from clippie import model as theirs
from PIL import Image
from safetensors.numpy import load_file

from benchmarks.workers.timing import Job, batch_of, load_input, measure, serve


def convert(folder: str) -> theirs.Weights:
    config = json.loads((Path(folder) / "open_clip_config.json").read_text())["model_cfg"]
    assert config["quick_gelu"], "clippie computes quick GELU only"
    t = load_file(Path(folder) / "open_clip_model.safetensors")

    def norm(prefix: str) -> theirs.LayerNormalisationWeights:
        return theirs.LayerNormalisationWeights(t[f"{prefix}.weight"], t[f"{prefix}.bias"], 1e-5)

    def turned(name: str) -> np.ndarray:
        return np.ascontiguousarray(t[name].T)

    def blocks(prefix: str, layers: int, heads: int, causal: bool) -> list[theirs.ResidualAttentionBlockWeights]:
        return [
            theirs.ResidualAttentionBlockWeights(
                pre_attention_layer_norm=norm(f"{b}.ln_1"),
                n_heads=heads,
                qkv_proj_weights=turned(f"{b}.attn.in_proj_weight"),
                qkv_proj_biases=t[f"{b}.attn.in_proj_bias"],
                multi_head_output_proj_weights=turned(f"{b}.attn.out_proj.weight"),
                multi_head_output_proj_biases=t[f"{b}.attn.out_proj.bias"],
                attention_mask=causal,
                pre_mpl_layer_norm=norm(f"{b}.ln_2"),
                mlp_input_weights=turned(f"{b}.mlp.c_fc.weight"),
                mlp_input_biases=t[f"{b}.mlp.c_fc.bias"],
                mlp_output_weights=turned(f"{b}.mlp.c_proj.weight"),
                mlp_output_biases=t[f"{b}.mlp.c_proj.bias"],
            )
            for b in (f"{prefix}.{i}" for i in range(layers))
        ]

    vision, text = config["vision_cfg"], config["text_cfg"]
    heads = vision["width"] // vision.get("head_width", 64)
    return theirs.Weights(
        theirs.TextEncoderWeights(
            token_embedding_lut=t["token_embedding.weight"],
            positional_encoding=t["positional_embedding"],
            transformer=blocks("transformer.resblocks", text["layers"], text["heads"], causal=True),
            transformer_output_norm=norm("ln_final"),
            output_projection_weights=t["text_projection"],
        ),
        theirs.ImageEncoderWeights(
            convolution_weights=np.ascontiguousarray(t["visual.conv1.weight"].transpose(0, 2, 3, 1)),  # [d, p, p, 3]
            class_value=t["visual.class_embedding"],
            positional_encoding=t["visual.positional_embedding"],
            pre_transformer_layer_norm=norm("visual.ln_pre"),
            transformer=blocks("visual.transformer.resblocks", vision["layers"], heads, causal=False),
            post_transformer_layer_norm=norm("visual.ln_post"),
            output_projection_weights=t["visual.proj"],
        ),
    )


def work(job: Job) -> dict[str, Any]:
    weights = convert(job["folder"])
    if job["case"] == "prompts":
        texts = json.loads((Path(job["inputs"]) / "prompts.json").read_text())
        return measure(job, lambda: clippie.encode_text(texts, weights.text_encoder))
    pictures = [Image.fromarray(x) for x in load_input(job, "pictures")[: batch_of(job["case"])]]
    return measure(job, lambda: np.asarray(clippie.encode_image(pictures, weights.image_encoder)))


if __name__ == "__main__":
    serve(work)
