"""Head counts, activation and preprocessing: from which source they come, and that none is made up."""

from __future__ import annotations

import copy
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

import refclip
from refclip import layout, weights
from refclip.config import read_config
from refclip.preprocess import OPENAI_MEAN, OPENAI_STD, Preprocess
from refclip.pretrained import KNOWN, from_tag, tag_in_name
from refclip.weights import find_config, load
from tests import randomclip
from tests import weightfiles as files

TAGS = [(model, tag) for model, known in KNOWN.items() for tag in known.quick + known.exact]
BOTH = pytest.mark.parametrize("name", [files.OPEN_CLIP, files.TRANSFORMERS])
B32 = randomclip.model_config("ViT-B-32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return files.folder(tmp_path / "model")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return files.folder(tmp_path / "model", files.TRANSFORMERS)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def changed(content: dict[str, Any], *path: str, **values: Any) -> dict[str, Any]:
    """A copy with some keys of a section set; `...` removes one."""
    out = copy.deepcopy(content)
    section = out
    for key in path:
        section = section[key]
    for key, value in values.items():
        section.pop(key, None)
        if value is not ...:
            section[key] = value
    return out


def refused(path: Path, *words: str, **options: Any) -> None:
    with pytest.raises(refclip.WeightsError) as caught:
        load(path, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def open_clip(folder: Path, *path: str, **values: Any) -> Path:
    """Write open_clip's configuration with some keys of `model_cfg` changed."""
    write(folder / "open_clip_config.json", {"model_cfg": changed(files.MODEL, *path, **values)})
    return folder


def transformers(folder: Path, *path: str, **values: Any) -> Path:
    write(folder / "config.json", changed(files.HF_CONFIG, *path, **values))
    return folder


# ---- open_clip's


def test_what_open_clips_configuration_says(folder):
    clip = load(folder)
    assert (clip.vision.transformer.heads, clip.text.transformer.heads) == (2, 3)
    assert clip.vision.transformer.activation == clip.text.transformer.activation == "gelu"
    assert clip.preprocess == Preprocess((12, 12), "longest", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


@pytest.mark.parametrize(
    ("quick", "activation"), [(True, "quick_gelu"), (False, "gelu"), (None, "gelu"), (..., "gelu")]
)
def test_quick_gelu_absent_means_exact(folder, quick, activation):
    """As in open_clip: the key's default is false."""
    clip = load(open_clip(folder, quick_gelu=quick))
    assert clip.vision.transformer.activation == clip.text.transformer.activation == activation


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_preprocessing_of_open_clip(folder, resize, interpolation):
    pixels = {"resize_mode": resize, "interpolation": interpolation, "size": 99, "mode": "RGB", "fill_color": 0}
    write(folder / "open_clip_config.json", {"model_cfg": files.MODEL, "preprocess_cfg": pixels})
    assert load(folder).preprocess == Preprocess((12, 12), resize, interpolation, OPENAI_MEAN, OPENAI_STD)


def test_preprocessing_that_is_not_told_is_that_of_clip(folder):
    for content in (
        {"model_cfg": files.MODEL},
        {"model_cfg": files.MODEL, "preprocess_cfg": {"mean": None}},
        files.MODEL,
    ):
        write(folder / "open_clip_config.json", content)
        assert load(folder).preprocess == Preprocess((12, 12), "shortest", "bicubic", OPENAI_MEAN, OPENAI_STD)


def test_a_configuration_named_like_the_file_comes_first(folder):
    write(folder / "open_clip_model.json", changed(files.MODEL, quick_gelu=True))
    write(folder / "config.json", {"architecture": "what timm puts there"})
    assert load(folder).vision.transformer.activation == "quick_gelu"
    (folder / "open_clip_model.json").unlink()
    assert load(folder).vision.transformer.activation == "gelu"


def test_keys_at_the_values_that_refclip_implements(folder):
    model = changed(files.MODEL, "vision_cfg", ls_init_value=None, no_ln_pre=False, pool_type="tok", mlp_ratio=4,
                    patch_dropout=0.5, block_type="default", image_size=[12, 12], patch_size=[4, 4])  # fmt: skip
    model = changed(model, "text_cfg", act_kwargs={}, proj_type="linear", hf_tokenizer_name="openai/clip", pad_id=1)
    write(folder / "open_clip_config.json", {"model_cfg": changed(model, custom_text=False, init_logit_scale=2.6)})
    assert load(folder).vision.transformer.heads == 2


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        ((), {"quick_gelu": "yes"}, ["quick_gelu is 'yes'", "true or false"]),
        ((), {"quick_gelu": 1}, ["quick_gelu is 1"]),
        ((), {"quik_gelu": True}, ["model_cfg asks for quik_gelu"]),
        ((), {"init_logit_bias": -10}, ["model_cfg asks for init_logit_bias"]),
        ((), {"multimodal_cfg": {}}, ["multimodal_cfg"]),
        ((), {"vision_cfg": None}, ["vision_cfg is None, expected an object"]),
        ((), {"text_cfg": ...}, ["text_cfg is None, expected an object"]),
        ((), {"text_cfg": [1]}, ["text_cfg is [1]"]),
        ((), {"embed_dim": ...}, ["embed_dim is None, expected a positive whole number"]),
        ((), {"embed_dim": 10.5}, ["embed_dim is 10.5"]),
        ((), {"embed_dim": True}, ["embed_dim is True"]),
        ((), {"embed_dim": 10**300}, ["embed_dim is 1000"]),
        (("vision_cfg",), {"layers": [3, 4, 6, 3]}, ["layers is [3, 4, 6, 3]"]),
        (("vision_cfg",), {"timm_model_name": "vit_base_patch16_224"}, ["timm_model_name of vision_cfg is 'vit_base"]),
        (("vision_cfg",), {"pool_type": "avg"}, ["pool_type of vision_cfg is 'avg'; refclip implements 'tok'"]),
        (("vision_cfg",), {"no_ln_pre": True}, ["no_ln_pre"]),
        (("vision_cfg",), {"pos_embed_type": "sin_cos_2d"}, ["pos_embed_type"]),
        (("vision_cfg",), {"norm_kwargs": {"eps": 1e-6}}, ["norm_kwargs"]),
        (("vision_cfg",), {"attentional_pool": "parallel"}, ["attentional_pool"]),
        (("vision_cfg",), {"image_size": [12, 16]}, ["image_size is [12, 16]", "squares"]),
        (("vision_cfg",), {"image_size": []}, ["image_size is []"]),
        (("vision_cfg",), {"head_width": 5}, ["not a multiple of head_width 5"]),
        (("vision_cfg",), {"mlp_ratio": -4}, ["mlp_ratio is -4"]),
        (("vision_cfg",), {"mlp_ratio": "4"}, ["mlp_ratio is '4'"]),
        (("vision_cfg",), {"eos_id": 2}, ["vision_cfg asks for eos_id"]),
        (("text_cfg",), {"pool_type": "eos"}, ["pool_type of text_cfg is 'eos'; refclip implements 'argmax'"]),
        (("text_cfg",), {"no_causal_mask": True}, ["no_causal_mask"]),
        (("text_cfg",), {"proj_type": "none"}, ["proj_type"]),
        (("text_cfg",), {"hf_model_name": "roberta-base"}, ["hf_model_name"]),
        (("text_cfg",), {"act_kwargs": {"approximate": "tanh"}}, ["act_kwargs"]),
        (("text_cfg",), {"tokenizer_kwargs": {"strip_sep_token": True}}, ["tokenizer_kwargs"]),
        (("text_cfg",), {"heads": 0}, ["heads is 0"]),
        (("text_cfg",), {"heads": ...}, ["text width 12 does not divide into 8 heads"]),  # open_clip's default
    ],
)
def test_what_refclip_does_not_do_is_an_error(folder, path, values, words):
    refused(open_clip(folder, *path, **values), "open_clip_config.json", *words)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (0, ["preprocess_cfg is 0"]),
        ([], ["preprocess_cfg is []"]),
        ({"resize_mode": "pad"}, ["resize_mode is 'pad'", "'longest'"]),
        ({"resize_mode": []}, ["resize_mode is []"]),
        ({"interpolation": "random"}, ["interpolation is 'random'"]),
        ({"mode": "L"}, ["mode of preprocess_cfg is 'L'"]),
        ({"fill_color": 255}, ["fill_color"]),
        ({"crop": 1}, ["preprocess_cfg asks for crop"]),
        ({"mean": [0.5, 0.5]}, ["mean is [0.5, 0.5], expected three numbers"]),
        ({"mean": 0.5}, ["mean is 0.5"]),
        ({"mean": [0.5, 0.5, "0.5"]}, ["mean is"]),
        ({"mean": [123.7, 116.3, 103.5]}, ["mean is"]),  # of pixels in 0..255
        ({"std": [0.2, 0, 0.2]}, ["std is [0.2, 0, 0.2]", "above 0"]),
        ({"std": [0.2, True, 0.2]}, ["std is"]),
    ],
)
def test_preprocessing_that_is_wrong(folder, pixels, words):
    write(folder / "open_clip_config.json", {"model_cfg": files.MODEL, "preprocess_cfg": pixels})
    refused(folder, "open_clip_config.json", *words)


@BOTH
def test_a_configuration_of_other_weights(tmp_path, name):
    """Every size that a configuration tells is held to the tensors."""
    folder = files.folder(tmp_path, name)
    if name == files.OPEN_CLIP:
        path, content = folder / "open_clip_config.json", {"model_cfg": files.MODEL}
        sections = {
            ("model_cfg",): {"embed_dim": "embed"},
            ("model_cfg", "vision_cfg"): {"layers": "vision_layers", "width": "vision_width", "mlp_ratio": "vision_mlp",
                                          "patch_size": "patch", "image_size": "image"},
            ("model_cfg", "text_cfg"): {"context_length": "context", "vocab_size": "vocabulary", "width": "text_width",
                                        "layers": "text_layers", "mlp_ratio": "text_mlp"},
        }  # fmt: skip
    else:
        path, content = folder / "config.json", files.HF_CONFIG
        sections = {
            (): {"projection_dim": "embed"},
            ("vision_config",): {"num_hidden_layers": "vision_layers", "hidden_size": "vision_width",
                                 "intermediate_size": "vision_mlp", "patch_size": "patch", "image_size": "image"},
            ("text_config",): {"max_position_embeddings": "context", "vocab_size": "vocabulary",
                               "hidden_size": "text_width", "num_hidden_layers": "text_layers",
                               "intermediate_size": "text_mlp"},
        }  # fmt: skip
    told = {size for keys in sections.values() for size in keys.values()}
    assert told == set(layout.Sizes._fields)
    for section, keys in sections.items():
        for key, size in keys.items():
            more = {"eos_token_id": 2} if key == "vocab_size" and name == files.TRANSFORMERS else {}
            for value in (8, 24):  # none is any of the sizes, and all widths are multiples of the heads' width
                write(path, changed(content, *section, **{key: value}, **more))
                refused(folder, path.name, f"{size} is {getattr(files.sizes(), size)} in the tensors", "other weights")
            write(path, changed(content, *section, **{key: ...}))  # the default is another size
            if key != "mlp_ratio":  # the default is right
                refused(folder, path.name)


# ---- transformers'


def test_what_transformers_configuration_says(theirs):
    clip = load(theirs)
    assert (clip.vision.transformer.heads, clip.text.transformer.heads) == (2, 3)
    assert clip.vision.transformer.activation == clip.text.transformer.activation == "gelu"
    assert clip.preprocess == Preprocess((12, 12), "shortest", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


def test_transformers_defaults(theirs):
    """An absent hidden_act is QuickGELU, absent heads are 12 and 8: not refclip's choice but transformers'."""
    content = changed(files.HF_CONFIG, "vision_config", hidden_act=..., num_attention_heads=...)
    content = changed(content, "text_config", hidden_act=..., num_attention_heads=...)
    config = read_config(write(theirs / "config.json", content))
    assert (config.vision_heads, config.text_heads, config.activation) == (12, 8, "quick_gelu")
    bare = {"model_type": "clip", "vision_config": {}, "text_config": {}}
    claims = read_config(write(theirs / "config.json", bare)).claims
    sizes = {"embed": 512, "vision_width": 768, "patch": 32, "image": 224, "text_width": 512, "vocabulary": 49408}
    assert {key: claims[key] for key in sizes} == sizes
    transformers(theirs, "text_config", hidden_act=...)  # one tower only
    refused(theirs, "hidden_act is ['gelu', 'quick_gelu']", "both towers")


def test_old_exports_say_everything_twice(theirs):
    """text_config_dict overrides text_config in transformers; refclip wants them to agree."""
    text = files.HF_CONFIG["text_config"]
    load(transformers(theirs, text_config_dict=text, vision_config_dict=None))
    transformers(theirs, text_config_dict=changed(text, hidden_act="quick_gelu"))
    refused(theirs, "hidden_act is 'gelu' in text_config, 'quick_gelu' in text_config_dict")
    transformers(theirs, text_config_dict=changed(text, num_attention_heads=...))  # means 8
    refused(theirs, "num_attention_heads is 3 in text_config, 8 in text_config_dict")
    bare = changed(files.HF_CONFIG, text_config={"model_type": "clip_text_model"}, text_config_dict=text)
    write(theirs / "config.json", bare)
    assert load(theirs).text.transformer.heads == 3


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        ((), {"model_type": "siglip"}, ["model_type is 'siglip', expected 'clip'"]),
        ((), {"model_type": ...}, ["model_type is None"]),
        ((), {"vision_config": 1}, ["vision_config is 1, expected an object"]),
        ((), {"text_config_dict": 1}, ["text_config_dict is 1, expected an object"]),
        ((), {"projection_dim": None}, ["projection_dim is None"]),
        (("vision_config",), {"hidden_act": "gelu_new"}, ["hidden_act is ['gelu_new', 'gelu']"]),
        (("vision_config",), {"hidden_act": ["gelu"]}, ["hidden_act is"]),
        (("vision_config",), {"hidden_act": "quick_gelu"}, ["both towers"]),
        (("vision_config",), {"layer_norm_eps": 1e-6}, ["layer_norm_eps of vision_config is 1e-06, expected 1e-5"]),
        (("text_config",), {"layer_norm_eps": "1e-5"}, ["layer_norm_eps is '1e-5'"]),
        (("text_config",), {"layer_norm_eps": None}, ["layer_norm_eps is None"]),
        (("vision_config",), {"num_channels": 4}, ["num_channels is 4, expected 3"]),
        (("vision_config",), {"patch_size": [4, 8]}, ["patch_size is [4, 8]"]),
        (("vision_config",), {"num_attention_heads": 5}, ["vision width 16 does not divide into 5 heads"]),
        (("text_config",), {"num_attention_heads": 0}, ["num_attention_heads is 0"]),
        (("text_config",), {"eos_token_id": 7}, ["eos_token_id is 7", "49"]),
        (("text_config",), {"eos_token_id": [49]}, ["eos_token_id is [49]"]),
    ],
)
def test_what_transformers_could_ask_for(theirs, path, values, words):
    refused(transformers(theirs, *path, **values), "config.json", *words)


def test_the_old_end_of_text(theirs):
    """2 is what exports before 2023 say; transformers then pools at the largest id."""
    assert load(transformers(theirs, "text_config", eos_token_id=2)).text.transformer.heads == 3


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_preprocessing_of_transformers(theirs, name):
    (theirs / "preprocessor_config.json").unlink()
    for values, expected in (
        ({}, Preprocess((12, 12), "shortest", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))),
        ({"size": 12, "crop_size": 12, "resample": 3, "image_mean": ...},
         Preprocess((12, 12), "shortest", "bicubic", OPENAI_MEAN, (0.2, 0.3, 0.25))),
        ({"size": {"height": 12, "width": 12}},
         Preprocess((12, 12), "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))),
    ):  # fmt: skip
        content = changed(files.HF_PIXELS, **values)
        write(theirs / name, content if name.startswith("pre") else {"image_processor": content})
        assert load(theirs).preprocess == expected
    for values, words in (
        ({"crop_size": 224, "size": 224}, "image is 12 in the tensors, but what"),
        ({"crop_size": ..., "size": ...}, "image is 12 in the tensors, but what"),  # their default, 224
        ({"size": 14}, "size is 14, expected that of crop_size, 12"),
        ({"size": {"longest_edge": 12}}, "size is None"),
        ({"crop_size": {"height": 12, "width": 14}}, "crop_size is [12, 14]"),
        ({"crop_size": {}}, "crop_size is"),
        ({"do_center_crop": False}, "do_center_crop is False, expected true"),
        ({"do_normalize": 1}, "do_normalize is 1"),
        ({"rescale_factor": 1}, "rescale_factor is 1"),
        ({"rescale_factor": "a"}, "rescale_factor is 'a'"),
        ({"resample": 1}, "resample is 1, expected 3 (bicubic) or 2 (bilinear)"),
        ({"image_std": [1, 1]}, "image_std is [1, 1]"),
    ):
        content = changed(files.HF_PIXELS, **values)
        write(theirs / name, content if name.startswith("pre") else {"image_processor": content})
        refused(theirs, words)
    if name == "processor_config.json":
        write(theirs / name, {"processor_class": "CLIPProcessor"})
        refused(theirs, "image_processor is None")


# ---- files that are no configuration


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["not valid JSON"]),
        ("not json", ["not valid JSON"]),
        ("{", ["not valid JSON"]),
        ("[]", ["is [], expected a JSON object"]),
        ("null", ["is None, expected a JSON object"]),
        ('"model_cfg"', ["expected a JSON object"]),
        ("{}", ["neither open_clip's", "nor transformers'"]),
        ('{"architecture": "vit_base_patch32_clip_224"}', ["its keys are architecture"]),
        ('{"model_cfg": 1}', ["model_cfg is 1, expected an object"]),
        ('{"model_cfg": null, "preprocess_cfg": {}}', ["model_cfg is None"]),
        ('{"model_cfg": {}, "other": 1}', ["asks for other"]),
        ('{"vision_config": {}}', ["its keys are vision_config"]),
        ('{"a": NaN}', ["NaN is not a JSON number"]),
        ('{"a": 1, "a": 1}', ["a name occurs twice"]),
        ('{"model_cfg": {"vision_cfg": {"heads": 1, "heads": 2}}}', ["a name occurs twice"]),
        ("[" * 100_000, ["not valid JSON"]),
        ("9" * 10_000, ["not valid JSON"]),
        ("\ufeff{}", ["not valid JSON"]),
        ("<html></html>", ["not valid JSON"]),
        ('{"\\ud800\\u001b": 1}', ["\\ud800\\x1b"]),
    ],
)
def test_json_that_is_no_configuration(folder, content, words):
    write(folder / "open_clip_config.json", content)
    refused(folder, "open_clip_config.json", *words)


def test_bytes_that_are_no_text(folder):
    (folder / "open_clip_config.json").write_bytes(json.dumps({"model_cfg": files.MODEL}).encode("utf-16"))
    refused(folder, "not valid JSON")
    os.truncate(folder / "open_clip_config.json", 1 << 40)  # a hole of a terabyte
    refused(folder, "1,099,511,627,776 bytes, expected a configuration of at most")
    (folder / "open_clip_config.json").unlink()
    (folder / "open_clip_config.json").mkdir()
    refused(folder, "open_clip_config.json: a folder, where a file was expected")


# ---- tags


@pytest.mark.parametrize(("model", "tag"), TAGS)
def test_known_tags(model, tag):
    config, expected = from_tag(f"{model}/{tag}"), randomclip.model_config(model)
    vision, text = expected["vision_cfg"], expected["text_cfg"]
    assert config.claims == randomclip.sizes_of(expected)._asdict()
    assert config.vision_heads == vision["width"] // 64
    assert config.text_heads == text["heads"]
    assert config.preprocess is not None
    assert config.preprocess.size == (vision["image_size"],) * 2
    quick = tag in ("openai", "dfn2b") or tag.startswith("metaclip") or (model, tag[:8]) == ("ViT-B-32", "laion400")
    assert config.activation == ("quick_gelu" if quick else "gelu")
    half = (model, tag) == ("ViT-L-14", "laion2b_s32b_b82k")
    assert config.preprocess.mean == ((0.5, 0.5, 0.5) if half else OPENAI_MEAN)
    assert tag in str(config.source)
    if quick:
        assert from_tag(f"{model}-quickgelu/{tag}")._replace(source="") == config._replace(source="")
    else:
        with pytest.raises(refclip.WeightsError, match=f"for {model}-quickgelu"):
            from_tag(f"{model}-quickgelu/{tag}")


@pytest.mark.parametrize(
    "tag", ["openai", "ViT-B-32", "ViT-B-32/", "/openai", "ViT-B-32/none", "RN50/openai", "a/b/c", "", "x" * 999]
)
def test_unknown_tags(tag):
    with pytest.raises(refclip.WeightsError, match=r"pretrained tag '.*expected") as caught:
        from_tag(tag)
    assert ("laion2b_e16" if tag.startswith("ViT-B-32/") else "ViT-L-14-336") in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("model", "tag"), TAGS)
def test_tags_in_folder_names(tmp_path, model, tag):
    repository = f"{KNOWN[model].repository}.{tag.replace('metaclip_fullcc', 'metaclip_2pt5b')}"
    local = tmp_path / repository / "open_clip_model.safetensors"
    cache = tmp_path / f"models--timm--{repository}" / "snapshots" / ("0" * 40) / "open_clip_model.safetensors"
    for file in (local, cache):
        assert tag_in_name(file) == f"{model}/{tag}"
        assert find_config(file)._replace(source="") == from_tag(f"{model}/{tag}")._replace(source="")
    # not ours to name: a fine-tuned copy, a folder further up, the name of a file
    for file in (
        tmp_path / f"models--someone--{repository}" / "snapshots" / ("0" * 40) / "x.safetensors",
        tmp_path / repository / "finetuned" / "x.safetensors",
        tmp_path / f"my-{repository}" / "x.safetensors",
        tmp_path / f"{repository}.finetuned" / "x.safetensors",
        tmp_path / f"{repository}.safetensors",
    ):
        assert tag_in_name(file) is None
        with pytest.raises(refclip.WeightsError, match="no configuration beside it"):
            find_config(file)


def test_tags_in_relative_names(tmp_path, monkeypatch):
    (tmp_path / "vit_base_patch32_clip_224.openai").mkdir()
    monkeypatch.chdir(tmp_path / "vit_base_patch32_clip_224.openai")
    assert tag_in_name(Path("x.safetensors")) == "ViT-B-32/openai"


def b32(folder: Path, **model: Any) -> Path:
    """The file beside a ViT-B-32's configuration (which is what `find_config` is asked about)."""
    write(folder / "open_clip_config.json", {"model_cfg": changed(B32, **model)})
    return folder / "open_clip_model.safetensors"


def test_a_tag_tells_what_the_configuration_does_not(tmp_path):
    for name, absent in (("openai", "quick_gelu"), ("laion2b_e16", "gelu"), ("laion400m_e31", "quick_gelu")):
        file = b32(tmp_path / f"vit_base_patch32_clip_224.{name}", quick_gelu=...)
        assert find_config(file).activation == absent
    assert find_config(b32(tmp_path / "any", quick_gelu=...)).activation == "gelu"
    assert find_config(tmp_path / "any" / "x.safetensors", "ViT-B-32/openai").activation == "quick_gelu"


def test_preprocessing_of_a_tag(tmp_path):
    file = tmp_path / "open_clip_model.safetensors"
    write(tmp_path / "open_clip_config.json", {"model_cfg": randomclip.model_config("ViT-L-14")})
    tag, half = "ViT-L-14/laion2b_s32b_b82k", (0.5, 0.5, 0.5)
    assert find_config(file).preprocess is None
    assert find_config(file, tag).preprocess == Preprocess((224, 224), mean=half, std=half)
    own = {"model_cfg": randomclip.model_config("ViT-L-14"), "preprocess_cfg": {}}
    write(tmp_path / "open_clip_config.json", own)
    assert find_config(file, tag).preprocess == Preprocess((224, 224))


@pytest.mark.parametrize(("tag", "quick"), [("openai", False), ("metaclip_400m", False), ("laion2b_e16", True)])
def test_a_tag_and_a_configuration_that_contradict(tmp_path, tag, quick):
    """In the folder's name or given, it is an error; an activation that is said outright wins."""
    means = "gelu" if quick else "quick_gelu"
    says = "quick_gelu" if quick else "gelu"
    cache = tmp_path / f"models--timm--vit_base_patch32_clip_224.{tag}" / "snapshots" / ("a" * 40)
    words = (
        f"activation is '{says}', but the tag ViT-B-32/{tag} means '{means}'; say which: load\\(..., activation=...\\)"
    )
    for file, pretrained in (
        (b32(tmp_path / f"vit_base_patch32_clip_224.{tag}", quick_gelu=quick), None),
        (b32(cache, quick_gelu=quick), None),
        (b32(tmp_path / "any", quick_gelu=quick), f"ViT-B-32/{tag}"),
    ):
        with pytest.raises(refclip.WeightsError, match=words):
            find_config(file, pretrained)
        for activation in ("gelu", "quick_gelu"):
            config = find_config(file, pretrained, activation=activation)
            assert config.activation == activation
            assert config.source.endswith(f"open_clip_config.json with activation='{activation}'")
        b32(file.parent, quick_gelu=not quick)
        assert find_config(file, pretrained).activation == means


def test_a_given_tag_goes_before_the_folders_name(tmp_path):
    file = b32(tmp_path / "vit_base_patch32_clip_224.openai", quick_gelu=False)
    assert find_config(file, "ViT-B-32/laion2b_e16").activation == "gelu"


def test_a_tag_of_another_model(tmp_path):
    file = b32(tmp_path / "vit_base_patch16_clip_224.openai", quick_gelu=True)
    with pytest.raises(refclip.WeightsError, match=r"patch is 32, but the tag ViT-B-16/openai means 16"):
        find_config(file)
    with pytest.raises(refclip.WeightsError, match=r"vision_heads is 12, but the tag ViT-L-14/openai means 16"):
        find_config(file, "ViT-L-14/openai")
    content = changed(B32, "text_cfg", heads=4)
    write(tmp_path / "x" / "config.json", {"model_cfg": changed(content, quick_gelu=True)})
    with pytest.raises(refclip.WeightsError, match=r"text_heads is 4, but .* means 8; say which: load"):
        find_config(tmp_path / "x" / "x.safetensors", "ViT-B-32/openai")


def test_a_tag_contradicts_transformers_configuration_too(theirs):
    content = {"model_type": "clip", "vision_config": {"hidden_act": "gelu"}, "text_config": {"hidden_act": "gelu"}}
    write(theirs / "config.json", content)
    (theirs / "preprocessor_config.json").unlink()
    with pytest.raises(refclip.WeightsError, match=r"config.json: activation is 'gelu', but the tag ViT-B-32/openai"):
        find_config(theirs / "model.safetensors", "ViT-B-32/openai")
    config = find_config(theirs / "model.safetensors", "ViT-B-32/laion2b_e16")
    assert config.preprocess == Preprocess((224, 224))


def hole(folder: Path, name: str) -> Path:
    """A file as large as the real weights, all zeros, that takes no room."""
    folder.mkdir(parents=True)
    header, reached = {}, 0
    for key, shape in layout.expected_shapes(randomclip.sizes_of(randomclip.model_config(name))).items():
        size = 4 * math.prod(shape)
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [reached, reached + size]}
        reached += size
    start = files.join(header, b"", pad=-len(json.dumps(header)) % 8)
    (folder / "open_clip_model.safetensors").write_bytes(start)
    os.truncate(folder / "open_clip_model.safetensors", len(start) + reached)
    return folder


def test_weights_of_real_size_by_their_tag(tmp_path):
    bare = hole(tmp_path / "bare", "ViT-L-14-336")
    refused(bare, "no configuration beside it", "head counts and activation cannot be read off tensors", "pretrained=")
    clip = load(bare, pretrained="ViT-L-14-336/openai", check_finite=False)
    assert (clip.vision.image_size, clip.vision.transformer.heads, clip.text.transformer.heads) == (336, 16, 12)
    assert clip.vision.transformer.activation == "quick_gelu"
    assert clip.preprocess == Preprocess((336, 336))
    refused(bare, "image is 336 in the tensors, 224 in the tag ViT-L-14/openai", pretrained="ViT-L-14/openai")
    refused(bare, "pretrained tag 'ViT-L-14-336/laion2b'", pretrained="ViT-L-14-336/laion2b")
    tagged = hole(
        tmp_path / "models--timm--vit_base_patch16_plus_clip_240.laion400m_e31" / "snapshots" / "0", "ViT-B-16-plus-240"
    )
    for place in (tagged, tagged.parent.parent):
        clip = load(place, check_finite=False)
        assert clip.vision.transformer.activation == "gelu"
        assert (clip.preprocess.size, clip.vision.transformer.heads) == ((240, 240), 14)


# ---- arguments


def test_without_any_source_nothing_is_guessed(folder):
    (folder / "open_clip_config.json").unlink()
    whole = {"activation": "quick_gelu", "vision_heads": 4, "text_heads": 2}
    for missing in whole:
        refused(folder, "cannot be read off tensors", **{k: v for k, v in whole.items() if k != missing})
    clip = load(folder, **whole)
    assert (clip.vision.transformer.heads, clip.text.transformer.heads) == (4, 2)
    assert clip.text.transformer.activation == "quick_gelu"
    assert clip.preprocess == Preprocess((12, 12))


@BOTH
def test_arguments_win(tmp_path, name):
    folder = files.folder(tmp_path, name)
    clip = load(folder, activation="quick_gelu", vision_heads=8, text_heads=1)
    assert (clip.vision.transformer.heads, clip.text.transformer.heads) == (8, 1)
    assert clip.vision.transformer.activation == clip.text.transformer.activation == "quick_gelu"
    assert clip.preprocess == load(folder).preprocess


def test_the_source_is_told(folder):
    file = weights.find(folder)
    assert find_config(file).source == str(folder / "open_clip_config.json")
    assert find_config(file, vision_heads=4).source == f"{folder / 'open_clip_config.json'} with vision_heads=4"
    assert find_config(Path("x/y.safetensors"), "ViT-B-32/openai").source == "the tag ViT-B-32/openai"
