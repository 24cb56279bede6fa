"""What no tensor tells: the head counts, the activation, the preprocessing. From a JSON, a known tag, or an argument.

A wrong activation or head count changes every number and raises no error, so it is never guessed: each comes from

1. an argument of `refclip.load`;
2. the configuration beside the weights: open_clip's (`open_clip_config.json`, or a bare model configuration, in which an
   absent `quick_gelu` means exact GELU) or Hugging Face transformers' (`config.json`);
3. a known pretrained tag, given ("ViT-B-32/openai") or read off the folder's name (`vit_base_patch32_clip_224.openai`).

A key that asks for something refclip does not do is an error, not a shrug.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from refclip.checkpoint import WeightsError, listed
from refclip.preprocess import OPENAI_MEAN, OPENAI_STD, Preprocess


class Config(NamedTuple):
    """One model's configuration. Sizes are what the source claims (None: it does not say), to be held to the tensors."""

    vision_heads: int
    text_heads: int
    activation: str  # "gelu" or "quick_gelu"
    preprocess: Preprocess | None
    claims: dict[str, int]  # size name (as in `weights.Sizes`) -> value
    source: str  # where it came from, for messages


class Known(NamedTuple):
    """A model configuration of open_clip."""

    vision_heads: int  # width / 64
    text_heads: int
    quick: tuple[str, ...]  # pretrained tags that need QuickGELU
    exact: tuple[str, ...]  # pretrained tags that need exact GELU
    repository: str  # timm's on Hugging Face, before the tag


# From open_clip 3.3.0's model configurations and its table of pretrained weights (`open_clip/pretrained.py`).
KNOWN = {
    "ViT-B-32": Known(
        12, 8, ("openai", "laion400m_e31", "laion400m_e32", "metaclip_400m", "metaclip_fullcc"),
        ("laion2b_e16", "laion2b_s34b_b79k", "datacomp_xl_s13b_b90k"), "vit_base_patch32_clip_224",
    ),
    "ViT-B-16": Known(
        12, 8, ("openai", "dfn2b", "metaclip_400m", "metaclip_fullcc"),
        ("laion400m_e31", "laion400m_e32", "laion2b_s34b_b88k", "datacomp_xl_s13b_b90k"), "vit_base_patch16_clip_224",
    ),
    "ViT-B-16-plus-240": Known(14, 10, (), ("laion400m_e31", "laion400m_e32"), "vit_base_patch16_plus_clip_240"),
    "ViT-L-14": Known(
        16, 12, ("openai", "dfn2b", "metaclip_400m", "metaclip_fullcc"),
        ("laion400m_e31", "laion400m_e32", "laion2b_s32b_b82k", "datacomp_xl_s13b_b90k"), "vit_large_patch14_clip_224",
    ),
    "ViT-L-14-336": Known(16, 12, ("openai",), (), "vit_large_patch14_clip_336"),
}  # fmt: skip
# laion2b_s32b_b82k of ViT-L-14 was trained on pixels in [-1, 1]
HALF = (0.5, 0.5, 0.5)
MEAN_STD = {("ViT-L-14", "laion2b_s32b_b82k"): (HALF, HALF)}

# open_clip configuration keys that say nothing about what is computed here, and those with the only value we implement
IGNORED = {"hf_tokenizer_name", "timm_model_pretrained", "patch_dropout", "attn_pooler_queries", "attn_pooler_heads"}
FIXED: dict[str, tuple[Any, ...]] = {
    "attentional_pool": (False,), "no_ln_pre": (False,), "pos_embed_type": ("learnable",),
    "final_ln_after_pool": (False,), "ls_init_value": (None,), "output_tokens": (False,), "act_kwargs": (None, {}),
    "norm_kwargs": (None, {}), "qk_norm": (False,), "scaled_cosine_attn": (False,), "scale_heads": (False,),
    "scale_attn_inner": (False,), "scale_attn": (False,), "scale_fc": (False,), "block_type": (None, "default"),
    "timm_model_name": (None,), "embed_cls": (False,), "no_causal_mask": (False,), "proj_bias": (False,),
    "proj_type": ("linear",), "hf_model_name": (None,), "tokenizer_kwargs": (None, {}), "tokenizer_mode": (None, "clip"),
}  # fmt: skip
VISION = {"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "pool_type"}
TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pool_type", "pad_id", "eos_id"}


def from_tag(tag: str) -> Config:
    """Configuration of a known pretrained tag, "MODEL/TAG" as in open_clip: "ViT-B-16-plus-240/laion400m_e31".

    Raises
    ------
    WeightsError
        No such model or tag; the message lists those known.
    """
    model, _, name = tag.partition("/")
    model = model.removesuffix("-quickgelu")
    if model not in KNOWN:
        raise WeightsError(f"pretrained tag {tag!r}: expected MODEL/TAG with MODEL one of {', '.join(KNOWN)}")
    known = KNOWN[model]
    if name not in known.quick + known.exact:
        raise WeightsError(f"pretrained tag {tag!r}: known for {model} are {', '.join(known.quick + known.exact)}")
    mean, std = MEAN_STD.get((model, name), (OPENAI_MEAN, OPENAI_STD))
    activation = "quick_gelu" if name in known.quick else "gelu"
    return Config(known.vision_heads, known.text_heads, activation, default_preprocess(mean, std), {}, f"tag {tag}")


def tag_in_name(path: Path) -> str | None:
    """The pretrained tag that a folder of timm's Hugging Face names tells, if any: also inside the hub's own cache."""
    for part in reversed(path.absolute().parts):
        repository, dot, name = part.rpartition("--")[2].partition(".")
        for model, known in KNOWN.items():
            if dot and repository == known.repository and name in known.quick + known.exact:
                return f"{model}/{name}"
    return None


def read_config(path: Path, tag: str | None = None) -> Config:
    """Read open_clip's or Hugging Face transformers' configuration.

    Parameters
    ----------
    path : path of the JSON
    tag : str, optional
        A tag found in the folder's name: it decides the activation where the JSON does not, and must not contradict it.

    Raises
    ------
    WeightsError
        Not JSON, not a CLIP configuration, or one that asks for what refclip does not do.
    """
    content = read_json(path)
    if "model_cfg" in content or "vision_cfg" in content:
        return _open_clip(path, content, tag)
    if "vision_config" in content and "text_config" in content:
        return _hugging_face(path, content)
    raise WeightsError(
        f"{path}: neither open_clip's (model_cfg, vision_cfg) nor transformers' CLIP configuration (vision_config, "
        f"text_config); its keys are {listed(sorted(content))}"
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    WeightsError
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _open_clip(path: Path, content: dict[str, Any], tag: str | None) -> Config:
    model = content.get("model_cfg", content)
    extra = set(content) - {"model_cfg", "preprocess_cfg"} if "model_cfg" in content else set()
    if extra:
        raise WeightsError(f"{path}: unknown keys {listed(sorted(extra))}; expected model_cfg and preprocess_cfg")
    _only(
        path,
        "model_cfg",
        model,
        {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"},
        {"init_logit_scale", "custom_text"},
    )
    vision, text = _section(path, model, "vision_cfg"), _section(path, model, "text_cfg")
    _only(
        path, "vision_cfg", vision, VISION, {"timm_pool", "timm_proj", "timm_drop", "timm_proj_bias", "timm_drop_path"}
    )
    _only(path, "text_cfg", text, TEXT, {"hf_model_pretrained", "hf_proj_type", "hf_pooler_type"})
    for section, key, value in ((vision, "pool_type", "tok"), (text, "pool_type", "argmax")):
        if section.get(key, value) != value:
            raise WeightsError(f"{path}: {key} is {section[key]!r}; refclip implements {value!r}")
    width, head_width = _count(path, vision, "width", 768), _count(path, vision, "head_width", 64)
    if width % head_width:
        raise WeightsError(f"{path}: vision width {width} is not a multiple of head_width {head_width}")
    quick = model.get("quick_gelu")
    if quick is not None and not isinstance(quick, bool):
        raise WeightsError(f"{path}: quick_gelu is {quick!r}, expected true or false")
    tagged = from_tag(tag).activation if tag else None
    activation = tagged or "gelu" if quick is None else "quick_gelu" if quick else "gelu"
    if tagged and tagged != activation:
        raise WeightsError(
            f"{path}: quick_gelu is {quick}, but the weights {tag} were trained with {tagged}; "
            "say which: load(..., activation='quick_gelu' or 'gelu')"
        )
    claims = {
        "embed": _count(path, model, "embed_dim", None),
        "vision_width": width,
        "vision_layers": _count(path, vision, "layers", 12),
        "patch": _count(path, vision, "patch_size", 16),
        "image": _image_size(path, vision),
        "text_width": _count(path, text, "width", 512),
        "text_layers": _count(path, text, "layers", 12),
        "context": _count(path, text, "context_length", 77),
        "vocabulary": _count(path, text, "vocab_size", 49408),
    }
    preprocess = _open_clip_preprocess(path, content.get("preprocess_cfg") or {}, claims["image"])
    return Config(width // head_width, _count(path, text, "heads", 8), activation, preprocess, claims, str(path))


def _open_clip_preprocess(path: Path, cfg: dict[str, Any], size: int) -> Preprocess:
    if not isinstance(cfg, dict):
        raise WeightsError(f"{path}: preprocess_cfg is {type(cfg).__name__}, expected an object")
    _only(path, "preprocess_cfg", cfg, {"mean", "std", "interpolation", "resize_mode", "size", "mode", "fill_color"})
    mean, std = _triple(path, cfg, "mean", OPENAI_MEAN), _triple(path, cfg, "std", OPENAI_STD)
    resize, interpolation = cfg.get("resize_mode", "shortest"), cfg.get("interpolation", "bicubic")
    if resize not in ("shortest", "squash", "longest") or interpolation not in ("bicubic", "bilinear"):
        raise WeightsError(
            f"{path}: resize_mode {resize!r} with interpolation {interpolation!r}; refclip implements shortest and "
            "squash, bicubic and bilinear"
        )
    return default_preprocess(mean, std, size, resize, interpolation)


def _hugging_face(path: Path, content: dict[str, Any]) -> Config:
    vision, text = _section(path, content, "vision_config"), _section(path, content, "text_config")
    activations = {}
    for name, section in (("vision_config", vision), ("text_config", text)):
        missing = [key for key in ("hidden_act", "num_attention_heads") if key not in section]
        if missing:
            raise WeightsError(
                f"{path}: {name} lacks {' and '.join(missing)}; say load(..., activation=..., vision_heads=..., text_heads=...)"
            )
        if abs(float(section.get("layer_norm_eps", 1e-5)) - 1e-5) > 1e-12:
            raise WeightsError(f"{path}: layer_norm_eps of {name} is {section['layer_norm_eps']}, expected 1e-5")
        activations[name] = section["hidden_act"]
    if len(set(activations.values())) != 1 or activations["text_config"] not in ("gelu", "quick_gelu"):
        raise WeightsError(f"{path}: hidden_act is {activations}; expected one of gelu and quick_gelu in both towers")
    names = {
        "vision_width": (vision, "hidden_size"), "vision_layers": (vision, "num_hidden_layers"),
        "patch": (vision, "patch_size"), "image": (vision, "image_size"), "text_width": (text, "hidden_size"),
        "text_layers": (text, "num_hidden_layers"), "context": (text, "max_position_embeddings"),
        "vocabulary": (text, "vocab_size"), "embed": (content, "projection_dim"),
    }  # fmt: skip
    claims = {size: _count(path, section, key, None) for size, (section, key) in names.items() if key in section}
    beside = path.with_name("preprocessor_config.json")
    preprocess = _hugging_face_preprocess(beside) if beside.exists() else None
    heads = (_count(path, section, "num_attention_heads", None) for section in (vision, text))
    return Config(*heads, activations["text_config"], preprocess, claims, str(path))


def _hugging_face_preprocess(path: Path) -> Preprocess:
    cfg = read_json(path)
    crop = cfg.get("crop_size", 224)
    size = crop.get("height", 224) if isinstance(crop, dict) else crop
    if cfg.get("resample", 3) not in (2, 3):
        raise WeightsError(f"{path}: resample is {cfg['resample']}, expected 3 (bicubic) or 2 (bilinear)")
    interpolation = "bicubic" if cfg.get("resample", 3) == 3 else "bilinear"
    mean, std = _triple(path, cfg, "image_mean", OPENAI_MEAN), _triple(path, cfg, "image_std", OPENAI_STD)
    return default_preprocess(
        mean, std, _count(path, {"crop_size": size}, "crop_size", None), "shortest", interpolation
    )


def default_preprocess(
    mean: Any = OPENAI_MEAN,
    std: Any = OPENAI_STD,
    size: int = 0,
    resize: str = "shortest",
    interpolation: str = "bicubic",
) -> Preprocess:
    """CLIP's preprocessing: OpenAI's mean and standard deviation, shortest side and centre crop, bicubic."""
    return Preprocess(
        (size, size), resize, interpolation, tuple(mean), tuple(std)
    )  # size 0: to be read off the tensors


def _only(path: Path, where: str, section: dict[str, Any], known: set[str], unused: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    for key, value in section.items():
        if key in FIXED and value not in FIXED[key]:
            raise WeightsError(f"{path}: {key} of {where} is {value!r}; refclip implements {FIXED[key][0]!r}")
    unknown = sorted(set(section) - known - unused - IGNORED - set(FIXED))
    if unknown:
        raise WeightsError(f"{path}: {where} asks for {listed(unknown)}, which refclip does not know")


def _section(path: Path, content: dict[str, Any], key: str) -> dict[str, Any]:
    section = content.get(key)
    if not isinstance(section, dict):
        raise WeightsError(f"{path}: {key} is {type(section).__name__}, expected an object")
    return section


def _count(path: Path, section: dict[str, Any], key: str, default: int | None) -> int:
    value = section.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**7:
        raise WeightsError(f"{path}: {key} is {value!r}, expected a positive whole number")
    return value


def _image_size(path: Path, vision: dict[str, Any]) -> int:
    size = vision.get("image_size", 224)
    if isinstance(size, list):
        if len(size) != 2 or size[0] != size[1]:
            raise WeightsError(f"{path}: image_size is {size}; refclip loads towers trained on square images")
        size = size[0]
    return _count(path, {"image_size": size}, "image_size", None)


def _triple(path: Path, section: dict[str, Any], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    value = section.get(key, default)
    numbers = isinstance(value, list | tuple) and all(type(v) in (int, float) and -10 < v < 10 for v in value)
    if not numbers or len(value) != 3 or (key.endswith("std") and min(value) <= 0):
        raise WeightsError(f"{path}: {key} is {value!r}, expected three numbers" + (" above 0" if "std" in key else ""))
    return tuple(float(v) for v in value)
