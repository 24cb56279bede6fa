"""What no tensor tells: the head counts, the activation, the preprocessing. From a JSON, a known tag, or an argument.

A wrong activation or head count changes every number and raises no error, so it is never guessed: each comes from

1. an argument of `refclip.load`;
2. the configuration beside the weights: open_clip's (`open_clip_config.json`, or a bare model configuration) or Hugging
   Face transformers' (`config.json`);
3. a known pretrained tag (`pretrained`), given ("ViT-B-32/openai") or read off the folder's name.

Where two of them disagree, that is an error, except that an argument wins. A key that is absent means what it means to
the library that wrote the JSON: an absent `quick_gelu` exact GELU (unless a tag says otherwise), an absent `hidden_act`
QuickGELU. A key that asks for something refclip does not do is an error, not a shrug.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from refclip.checkpoint import WeightsError, listed, read_json, shown
from refclip.preprocess import OPENAI_MEAN, OPENAI_STD, Preprocess

Triple = tuple[float, float, float]


class Config(NamedTuple):
    """One model's configuration."""

    vision_heads: int
    text_heads: int
    activation: str  # "gelu" or "quick_gelu"
    preprocess: Preprocess | None  # None: it does not say
    claims: dict[str, int]  # size (as in `layout.Sizes`) -> what the source says, to be held to the tensors
    source: str  # where it came from, for messages


# open_clip's keys: those that refclip reads, those that say nothing about what it computes, and those of which it
# implements some values only
MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
VISION = {"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size"}
TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
PREPROCESS = {"mean", "std", "interpolation", "resize_mode"}
IGNORED = {
    "model_cfg": {"init_logit_scale", "nonscalar_logit_scale", "custom_text", "output_dict"},
    "vision_cfg": {
        "patch_dropout", "attn_pooler_queries", "attn_pooler_heads", "timm_model_pretrained", "timm_pool", "timm_proj",
        "timm_proj_bias", "timm_drop", "timm_drop_path",
    },
    "text_cfg": {"hf_tokenizer_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "pad_id", "eos_id"},
    "preprocess_cfg": {"size"},  # open_clip takes the tower's
}  # fmt: skip
BLOCKS: dict[str, tuple[Any, ...]] = {
    "ls_init_value": (None,), "final_ln_after_pool": (False,), "output_tokens": (False,), "act_kwargs": (None, {}),
    "norm_kwargs": (None, {}), "block_type": (None, "default"), "qk_norm": (False,), "scaled_cosine_attn": (False,),
    "scale_heads": (False,), "scale_attn_inner": (False,), "scale_attn": (False,), "scale_fc": (False,),
}  # fmt: skip
FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "model_cfg": {},
    "vision_cfg": BLOCKS | {
        "attentional_pool": (False,), "no_ln_pre": (False,), "pos_embed_type": ("learnable",), "pool_type": ("tok",),
        "timm_model_name": (None,),
    },
    "text_cfg": BLOCKS | {
        "embed_cls": (False,), "no_causal_mask": (False,), "pool_type": ("argmax",), "proj_bias": (False,),
        "proj_type": ("linear",), "hf_model_name": (None,), "tokenizer_kwargs": (None, {}),
        "tokenizer_mode": (None, "clip"),
    },
    "preprocess_cfg": {"mode": ("RGB",), "fill_color": (0,)},
}  # fmt: skip
# what transformers takes an absent key to be (CLIPVisionConfig, CLIPTextConfig, CLIPConfig, CLIPImageProcessor)
HF_VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "num_channels": 3, "image_size": 224, "patch_size": 32,
}  # fmt: skip
HF_TEXT: dict[str, Any] = {
    "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8,
    "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "max_position_embeddings": 77, "vocab_size": 49408,
    "eos_token_id": 49407,
}  # fmt: skip
HF_PROJECTION = 512
HF_IMAGES: dict[str, Any] = {
    "do_resize": True, "do_center_crop": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255,
    "size": 224, "crop_size": 224, "resample": 3, "image_mean": OPENAI_MEAN, "image_std": OPENAI_STD,
}  # fmt: skip


def read_config(path: Path, known: Config | None = None) -> Config:
    """Read open_clip's or Hugging Face transformers' configuration.

    Parameters
    ----------
    path : path of the JSON
    known : Config, optional
        Of the pretrained tag: tells the activation where open_clip's JSON does not.

    Raises
    ------
    WeightsError
        Not JSON, not a CLIP configuration, or one that asks for what refclip does not do.
    """
    content = read_json(path)
    if "model_cfg" in content:
        _only(path, "it", content, {"model_cfg", "preprocess_cfg"})
        return _open_clip(path, _section(path, content, "model_cfg"), content.get("preprocess_cfg"), known)
    if "vision_cfg" in content:
        return _open_clip(path, content, None, known)
    if "vision_config" in content and "text_config" in content:
        return _hugging_face(path, content)
    raise WeightsError(
        f"{path}: neither open_clip's (model_cfg, vision_cfg) nor transformers' CLIP configuration (vision_config, "
        f"text_config): its keys are {listed(sorted(content))}; fetch open_clip_config.json or the right config.json"
    )


def default_preprocess(size: int = 0) -> Preprocess:
    """CLIP's own preprocessing. Size 0: to be read off the tensors."""
    return Preprocess((size, size))


def _open_clip(path: Path, model: dict[str, Any], preprocess: Any, known: Config | None) -> Config:
    vision, text = _section(path, model, "vision_cfg"), _section(path, model, "text_cfg")
    _only(path, "model_cfg", model, MODEL)
    _only(path, "vision_cfg", vision, VISION)
    _only(path, "text_cfg", text, TEXT)
    quick = model.get("quick_gelu")
    if quick is not None and not isinstance(quick, bool):
        raise WeightsError(f"{path}: quick_gelu is {shown(quick)}, expected true or false")
    if quick is None:
        activation = known.activation if known else "gelu"
    else:
        activation = "quick_gelu" if quick else "gelu"
    width, head_width = _count(path, vision, "width", 768), _count(path, vision, "head_width", 64)
    if width % head_width:
        raise WeightsError(f"{path}: vision width {width} is not a multiple of head_width {head_width}")
    text_width, image = _count(path, text, "width", 512), _side(path, vision, "image_size", 224)
    claims = {
        "embed": _count(path, model, "embed_dim", None),
        "vision_width": width,
        "vision_layers": _count(path, vision, "layers", 12),
        "vision_mlp": int(width * _number(path, vision, "mlp_ratio", 4.0)),
        "patch": _side(path, vision, "patch_size", 16),
        "image": image,
        "text_width": text_width,
        "text_layers": _count(path, text, "layers", 12),
        "text_mlp": int(text_width * _number(path, text, "mlp_ratio", 4.0)),
        "context": _count(path, text, "context_length", 77),
        "vocabulary": _count(path, text, "vocab_size", 49408),
    }
    pixels = None if preprocess is None else _open_clip_preprocess(path, preprocess, image)
    return Config(width // head_width, _count(path, text, "heads", 8), activation, pixels, claims, str(path))


def _open_clip_preprocess(path: Path, content: Any, size: int) -> Preprocess:
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: preprocess_cfg is {shown(content)}, expected an object")
    content = {key: value for key, value in content.items() if value is not None}  # as in open_clip
    _only(path, "preprocess_cfg", content, PREPROCESS)
    mean, std = _triple(path, content, "mean", OPENAI_MEAN), _triple(path, content, "std", OPENAI_STD)
    resize, interpolation = content.get("resize_mode", "shortest"), content.get("interpolation", "bicubic")
    if resize not in ("shortest", "longest", "squash"):
        raise WeightsError(f"{path}: resize_mode is {shown(resize)}, expected 'shortest', 'longest' or 'squash'")
    if interpolation not in ("bicubic", "bilinear"):
        raise WeightsError(f"{path}: interpolation is {shown(interpolation)}, expected 'bicubic' or 'bilinear'")
    return Preprocess((size, size), resize, interpolation, mean, std)


def _hugging_face(path: Path, content: dict[str, Any]) -> Config:
    if content.get("model_type") != "clip":
        raise WeightsError(f"{path}: model_type is {shown(content.get('model_type'))}, expected 'clip'; fetch a CLIP")
    vision = _hf_section(path, content, "vision_config", HF_VISION)
    text = _hf_section(path, content, "text_config", HF_TEXT)
    acts = [vision["hidden_act"], text["hidden_act"]]
    if acts not in (["gelu", "gelu"], ["quick_gelu", "quick_gelu"]):
        raise WeightsError(f"{path}: hidden_act is {shown(acts)}, expected 'gelu' or 'quick_gelu' in both towers")
    claims = {
        "embed": _count(path, content, "projection_dim", HF_PROJECTION),
        "vision_width": _count(path, vision, "hidden_size", None),
        "vision_layers": _count(path, vision, "num_hidden_layers", None),
        "vision_mlp": _count(path, vision, "intermediate_size", None),
        "patch": _side(path, vision, "patch_size", None),
        "image": _side(path, vision, "image_size", None),
        "text_width": _count(path, text, "hidden_size", None),
        "text_layers": _count(path, text, "num_hidden_layers", None),
        "text_mlp": _count(path, text, "intermediate_size", None),
        "context": _count(path, text, "max_position_embeddings", None),
        "vocabulary": _count(path, text, "vocab_size", None),
    }
    if vision["num_channels"] != 3:
        raise WeightsError(f"{path}: num_channels is {shown(vision['num_channels'])}, expected 3")
    # 2 is what old exports say, and transformers then takes the largest id, as refclip always does
    if text["eos_token_id"] not in (2, claims["vocabulary"] - 1):
        raise WeightsError(
            f"{path}: eos_token_id is {shown(text['eos_token_id'])}, expected the last of the vocabulary, "
            f"{claims['vocabulary'] - 1}: refclip pools text there"
        )
    heads = _count(path, vision, "num_attention_heads", None), _count(path, text, "num_attention_heads", None)
    return Config(*heads, acts[0], _hf_preprocess(path), claims, str(path))


def _hf_section(path: Path, content: dict[str, Any], name: str, defaults: dict[str, Any]) -> dict[str, Any]:
    """A tower's section with transformers' defaults. Old exports have a *_dict section too, which then is the one."""
    plain, section = _section(path, content, name), content.get(f"{name}_dict")
    section = plain if section is None else _section(path, content, f"{name}_dict")
    out = defaults | {key: value for key, value in section.items() if key in defaults}
    for key in defaults:
        if plain.get(key, out[key]) != out[key]:
            raise WeightsError(f"{path}: {key} is {shown(plain[key])} in {name}, {shown(out[key])} in {name}_dict")
    if abs(_number(path, out, "layer_norm_eps", None) - 1e-5) > 1e-12:
        raise WeightsError(f"{path}: layer_norm_eps of {name} is {out['layer_norm_eps']}, expected 1e-5")
    return out


def _hf_preprocess(config: Path) -> Preprocess | None:
    path = config.with_name("preprocessor_config.json")
    if os.path.lexists(path):
        content = read_json(path)
    else:  # transformers 5
        path = config.with_name("processor_config.json")
        if not os.path.lexists(path):
            return None
        content = _section(path, read_json(path), "image_processor")
    cfg = HF_IMAGES | {key: value for key, value in content.items() if key in HF_IMAGES and value is not None}
    for key in ("do_resize", "do_center_crop", "do_rescale", "do_normalize"):
        if cfg[key] is not True:
            raise WeightsError(f"{path}: {key} is {shown(cfg[key])}, expected true: refclip always does it")
    if abs(_number(path, cfg, "rescale_factor", None) - 1 / 255) > 1e-9:
        raise WeightsError(f"{path}: rescale_factor is {cfg['rescale_factor']}, expected 1/255")
    size, crop = cfg["size"], cfg["crop_size"]
    resize = "squash" if isinstance(size, dict) and "height" in size else "shortest"
    if isinstance(size, dict):
        size = [size.get("height"), size.get("width")] if "height" in size else size.get("shortest_edge")
    if isinstance(crop, dict):
        crop = [crop.get("height"), crop.get("width")]
    side = _side(path, {"crop_size": crop}, "crop_size", None)
    if _side(path, {"size": size}, "size", None) != side:
        raise WeightsError(f"{path}: size is {shown(cfg['size'])}, expected that of crop_size, {side}")
    if cfg["resample"] not in (2, 3):
        raise WeightsError(f"{path}: resample is {shown(cfg['resample'])}, expected 3 (bicubic) or 2 (bilinear)")
    mean, std = _triple(path, cfg, "image_mean", OPENAI_MEAN), _triple(path, cfg, "image_std", OPENAI_STD)
    return Preprocess((side, side), resize, "bicubic" if cfg["resample"] == 3 else "bilinear", mean, std)


def _only(path: Path, where: str, section: dict[str, Any], read: Collection[str]) -> None:
    """Refuse keys that refclip does not know, and values that it does not implement."""
    fixed = FIXED.get(where, {})
    for key, values in fixed.items():
        if section.get(key, values[0]) not in values:
            raise WeightsError(f"{path}: {key} of {where} is {shown(section[key])}; refclip implements {values[0]!r}")
    unknown = sorted(set(section) - set(read) - IGNORED.get(where, set()) - set(fixed))
    if unknown:
        raise WeightsError(f"{path}: {where} asks for {listed(unknown)}, which refclip does not know")


def _section(path: Path, content: dict[str, Any], key: str) -> dict[str, Any]:
    section = content.get(key)
    if not isinstance(section, dict):
        raise WeightsError(f"{path}: {key} is {shown(section)}, expected an object")
    return section


def _count(path: Path, section: dict[str, Any], key: str, default: int | None) -> int:
    value = section.get(key, default)
    if type(value) is not int or not 0 < value < 10**7:
        raise WeightsError(f"{path}: {key} is {shown(value)}, expected a positive whole number")
    return value


def _number(path: Path, section: dict[str, Any], key: str, default: float | None) -> float:
    value = section.get(key, default)
    if type(value) not in (int, float) or not 0 < value < 1000:  # type: ignore[operator]
        raise WeightsError(f"{path}: {key} is {shown(value)}, expected a number above 0")
    return float(value)  # type: ignore[arg-type]


def _side(path: Path, section: dict[str, Any], key: str, default: int | None) -> int:
    """The side of a square that is given as one number or as two equal ones."""
    value = section.get(key, default)
    if isinstance(value, list) and len(value) in (1, 2):
        if value[0] != value[-1]:
            raise WeightsError(f"{path}: {key} is {shown(value)}; refclip loads towers trained on squares")
        value = value[0]
    return _count(path, {key: value}, key, None)


def _triple(path: Path, section: dict[str, Any], key: str, default: Triple) -> Triple:
    value = section.get(key, default)
    numbers = isinstance(value, list | tuple) and all(type(v) in (int, float) and -10 < v < 10 for v in value)
    if not numbers or len(value) != 3 or (key.endswith("std") and min(value) <= 0):
        above = " above 0" if key.endswith("std") else ""
        raise WeightsError(f"{path}: {key} is {shown(value)}, expected three numbers{above}")
    return float(value[0]), float(value[1]), float(value[2])
