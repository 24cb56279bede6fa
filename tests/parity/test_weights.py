"""Folders that transformers and open_clip write, loaded by them and by refclip; and the tables that refclip copies."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import transformers
from open_clip.push_to_hf_hub import save_config_for_hf
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

import refclip
from refclip import config as configuration
from refclip import layout
from refclip.preprocess import preprocess
from refclip.pretrained import KNOWN, from_tag, tag_in_name
from refclip.weights import find_config
from tests import randomclip
from tests import weightfiles as files

ROOT = Path(__file__).parents[2]
EXACT = {"rtol": 0, "atol": 1e-10}  # float64 on both sides: what is left is the order of summation
TAGS = [(model, tag) for model, known in KNOWN.items() for tag in known.quick + known.exact]
QUIET = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)  # theirs


def pixels(side: int, seed: int = 3) -> np.ndarray:
    return randomclip.pixels((3, 3, side, side), seed).astype(np.float64)


# ---- transformers


def hugging_face(activation: str, **text: Any) -> CLIPModel:
    """A random CLIPModel in which every size differs; all weights are random, so that no zero bias hides an error."""
    vision = {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "num_hidden_layers": 3,
              "image_size": 30, "patch_size": 6, "hidden_act": activation}  # fmt: skip
    text = {"hidden_size": 48, "intermediate_size": 112, "num_attention_heads": 3, "num_hidden_layers": 2,
            "max_position_embeddings": 20, "vocab_size": 300, "eos_token_id": 299,
            "hidden_act": activation} | text  # fmt: skip
    net = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=40))
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, x in net.named_parameters():
            noise = torch.randn(x.shape, generator=random)
            gain = 1 if "norm" in name and name.endswith("weight") else 0
            x.copy_(gain + 0.3 * noise if name != "logit_scale" else torch.tensor(3.3))
    return net.eval()


IDS = np.zeros((4, 20), np.int64)
IDS[0, :3], IDS[1, :20], IDS[2, :1], IDS[3, :9] = [7, 8, 299], [*range(100, 119), 299], [299], [*range(8), 299]


@torch.no_grad()
def answers(net: CLIPModel, x: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def pooled(out: Any) -> np.ndarray:  # transformers 5 hands back the pooled features in an object
        return (out if isinstance(out, torch.Tensor) else out.pooler_output).numpy()

    image = net.get_image_features(pixel_values=torch.from_numpy(x))
    text = net.get_text_features(input_ids=torch.from_numpy(ids))
    return pooled(image), pooled(text)


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
@pytest.mark.parametrize("end", [299, 2])  # 2: what exports before 2023 say, and transformers pools the largest id
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_folder_that_transformers_saved(tmp_path, activation, end, dtype):
    net = hugging_face(activation, eos_token_id=end).to(dtype)
    net.save_pretrained(tmp_path)
    CLIPImageProcessor(size=30, crop_size=30, image_mean=[0.4, 0.5, 0.6], resample=2).save_pretrained(tmp_path)
    net = CLIPModel.from_pretrained(tmp_path, dtype=torch.float64)
    clip = refclip.load(tmp_path, dtype="float64")
    assert clip.vision.transformer.activation == activation
    image, text = answers(net, pixels(30), IDS)
    assert min(image.std(), text.std()) > 0.1  # something to compare
    np.testing.assert_allclose(refclip.encode_image(clip, pixels(30)), image, **EXACT)
    np.testing.assert_allclose(refclip.encode_text(clip, IDS), text, **EXACT)
    with torch.no_grad():
        both = net(input_ids=torch.from_numpy(IDS), pixel_values=torch.from_numpy(pixels(30)))
        seen = net.vision_model(pixel_values=torch.from_numpy(pixels(30)))
    np.testing.assert_allclose(refclip.encode_image(clip, pixels(30), normalize=True), both.image_embeds, **EXACT)
    np.testing.assert_allclose(refclip.encode_text(clip, IDS, normalize=True), both.text_embeds, **EXACT)
    np.testing.assert_allclose(seen.pooler_output.numpy() @ clip.vision.proj, image, **EXACT)
    logits = refclip.similarity(clip, image, text)
    np.testing.assert_allclose(logits, both.logits_per_image, rtol=1e-10)  # logits go up to 27
    assert clip.preprocess == refclip.preprocess.Preprocess(
        (30, 30), "shortest", "bilinear", (0.4, 0.5, 0.6), configuration.OPENAI_STD
    )


def test_the_activations_differ():
    """What the test above compares depends on the activation."""
    a, b = (answers(hugging_face(activation).double(), pixels(30), IDS)[0] for activation in ("gelu", "quick_gelu"))
    assert np.abs(a - b).max() > 1e-2


def test_a_whole_vocabulary_from_strings(tmp_path):
    net = hugging_face("quick_gelu", vocab_size=49408, eos_token_id=49407, max_position_embeddings=77).double()
    net.save_pretrained(tmp_path)
    clip = refclip.load(tmp_path, dtype="float64")
    texts = ["a photo of a bottle", "", "x " * 90]
    ids = open_clip.tokenize(texts).numpy()
    np.testing.assert_allclose(refclip.encode_text(clip, texts), answers(net, pixels(30), ids)[1], **EXACT)


def test_layouts_of_the_tests_are_theirs():
    """What the tests without torch write as transformers' layout is what transformers writes."""
    net = CLIPModel(CLIPConfig(**{k: v for k, v in files.HF_CONFIG.items() if k != "model_type"}))
    written = files.to_transformers(files.state())
    assert {k: tuple(x.shape) for k, x in net.state_dict().items()} == {k: x.shape for k, x in written.items()}


def test_transformers_saves_what_the_processor_tests_assume(tmp_path):
    CLIPImageProcessor(size=12, crop_size=12).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert {k: written[k] for k in ("size", "crop_size", "do_center_crop", "do_rescale", "rescale_factor")} == {
        k: files.HF_PIXELS[k] for k in ("size", "crop_size", "do_center_crop", "do_rescale", "rescale_factor")
    }


def test_defaults_of_transformers():
    """What an absent key means to refclip is what it means to them."""
    vision, text = CLIPVisionConfig(), CLIPTextConfig()
    assert {key: getattr(vision, key) for key in configuration.HF_VISION} == configuration.HF_VISION
    assert {key: getattr(text, key) for key in configuration.HF_TEXT} == configuration.HF_TEXT
    assert CLIPConfig().projection_dim == configuration.HF_PROJECTION
    images, expected = CLIPImageProcessor(), dict(configuration.HF_IMAGES)
    assert dict(images.size)["shortest_edge"] == expected.pop("size")
    assert (images.crop_size["height"], images.crop_size["width"]) == (expected.pop("crop_size"),) * 2
    for key in ("image_mean", "image_std"):
        assert tuple(getattr(images, key)) == expected.pop(key)
    assert {key: getattr(images, key) for key in expected} == expected


@pytest.mark.parametrize("sections", [{}, {"text_config_dict": {"hidden_size": 96, "num_attention_heads": 6}}])
def test_a_sparse_configuration_means_to_refclip_what_it_means_to_transformers(tmp_path, sections):
    """Keys that are not there, and the older exports' second section, which replaces the first."""
    text = {"hidden_size": 96, "intermediate_size": 2048, "num_attention_heads": 6, "num_hidden_layers": 12}
    first = {} if sections else text
    sparse = {"model_type": "clip", "projection_dim": 7, "vision_config": {"patch_size": 16}, "text_config": first}
    (tmp_path / "config.json").write_text(json.dumps(sparse | sections))
    theirs = CLIPConfig.from_pretrained(tmp_path)
    ours = configuration.read_config(tmp_path / "config.json")
    assert (ours.vision_heads, ours.text_heads) == (
        theirs.vision_config.num_attention_heads,
        theirs.text_config.num_attention_heads,
    )
    assert ours.activation == theirs.text_config.hidden_act == theirs.vision_config.hidden_act
    assert ours.claims == {
        "embed": theirs.projection_dim,
        "vision_width": theirs.vision_config.hidden_size,
        "vision_layers": theirs.vision_config.num_hidden_layers,
        "vision_mlp": theirs.vision_config.intermediate_size,
        "patch": theirs.vision_config.patch_size,
        "image": theirs.vision_config.image_size,
        "text_width": theirs.text_config.hidden_size,
        "text_layers": theirs.text_config.num_hidden_layers,
        "text_mlp": theirs.text_config.intermediate_size,
        "context": theirs.text_config.max_position_embeddings,
        "vocabulary": theirs.text_config.vocab_size,
    }


# ---- open_clip


@torch.no_grad()
def same_as_open_clip(folder: Path, texts: Any = None) -> None:
    """open_clip and refclip load one folder, and agree on images, texts and the scale."""
    net, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", precision="fp32")
    net = net.double().eval()
    clip = refclip.load(folder, dtype="float64")
    side = clip.vision.image_size
    ids = torch.from_numpy(files.IDS) if texts is None else open_clip.tokenize(texts)
    image, text = net.encode_image(torch.from_numpy(pixels(side))), net.encode_text(ids)
    assert min(image.std(), text.std()) > 0.05  # something to compare
    np.testing.assert_allclose(refclip.encode_image(clip, pixels(side)), image, **EXACT)
    np.testing.assert_allclose(refclip.encode_text(clip, files.IDS if texts is None else texts), text, **EXACT)
    np.testing.assert_allclose(clip.logit_scale, net.logit_scale.exp(), rtol=1e-14)  # one exp of float64 on both sides
    picture = np.random.default_rng(4).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    ours, _ = preprocess(picture, clip.preprocess)
    np.testing.assert_array_equal(ours[0], transform(Image.fromarray(picture)))


@QUIET
@pytest.mark.parametrize("quick", [True, False, None])
@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
def test_open_clip_loads_the_folder_that_refclip_loads(tmp_path, quick, resize):
    folder = files.folder(tmp_path)
    model = {k: v for k, v in files.MODEL.items() if k != "quick_gelu" or quick is not None}
    content = {"model_cfg": model | ({} if quick is None else {"quick_gelu": quick})}
    content["preprocess_cfg"] = files.PIXELS | {"resize_mode": resize}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    same_as_open_clip(folder)


@QUIET
@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision_files(tmp_path, kind):
    same_as_open_clip(files.folder(tmp_path, kind=kind))


@QUIET
def test_what_open_clip_saves(tmp_path):
    """Written by open_clip's own exporter."""
    net = open_clip.model.CLIP(**copy.deepcopy(files.MODEL))
    net.load_state_dict({k: torch.from_numpy(np.asarray(x)) for k, x in files.state().items()}, strict=False)
    open_clip.model.set_model_preprocess_cfg(net, {"size": 12, "mode": "RGB", "fill_color": 0} | files.PIXELS)
    path = tmp_path / "open_clip_model.safetensors"
    save_file(net.state_dict(), path)
    save_config_for_hf(net, tmp_path / "open_clip_config.json", model_config=files.MODEL)
    same_as_open_clip(tmp_path)


@QUIET
def test_the_shipped_model_in_open_clip(tmp_path):
    shutil.copy(ROOT / "weights" / "refclip-mini.safetensors", tmp_path / "open_clip_model.safetensors")
    shutil.copy(ROOT / "weights" / "refclip-mini.json", tmp_path / "open_clip_config.json")
    same_as_open_clip(tmp_path, ["a photo of a bottle", "a damaged screw", ""])
    shipped, copied = refclip.load("refclip-mini"), refclip.load(tmp_path)
    for x, y in zip(files.leaves(shipped), files.leaves(copied), strict=True):
        np.testing.assert_array_equal(x, y)
    assert shipped.preprocess == copied.preprocess


# ---- the tables


@pytest.mark.parametrize(("model", "tag"), TAGS)
def test_known_tags_are_open_clips(model, tag):
    theirs, ours = open_clip.get_pretrained_cfg(model, tag), from_tag(f"{model}/{tag}")
    assert theirs, "open_clip no longer knows this tag"
    assert ours.activation == ("quick_gelu" if theirs.get("quick_gelu", False) else "gelu")
    assert ours.preprocess is not None
    assert (ours.preprocess.mean, ours.preprocess.std) == (tuple(theirs["mean"]), tuple(theirs["std"]))
    assert (ours.preprocess.resize, ours.preprocess.interpolation) == (theirs["resize_mode"], theirs["interpolation"])
    hub = theirs["hf_hub"].rstrip("/")
    owner, _, repository = hub.partition("/")
    if owner == "timm":  # what a download of open_clip's own choice is called is recognised
        found = tag_in_name(Path("/x") / f"models--timm--{repository}" / "snapshots" / "0" / "x.safetensors")
        other = tag_in_name(Path("/x") / repository / "x.safetensors")
        assert found == other
        # both epochs of plus-240 point to the earlier one's repository
        assert found == f"{model}/{tag}" or (tag, repository.split(".")[1]) == ("laion400m_e32", "laion400m_e31")


@pytest.mark.parametrize("model", KNOWN)
def test_known_models_are_open_clips(model):
    for name in (model, f"{model}-quickgelu"):
        content = open_clip.get_model_config(name)
        if content is None:
            assert not KNOWN[model].quick
            continue
        tags = KNOWN[model].quick if name != model else KNOWN[model].quick + KNOWN[model].exact
        ours = from_tag(f"{name}/{tags[0]}")
        theirs = configuration._open_clip(Path(name), content, None, None)
        assert (theirs.vision_heads, theirs.text_heads, theirs.claims) == (
            ours.vision_heads,
            ours.text_heads,
            ours.claims,
        )
        assert theirs.activation == ("gelu" if name == model else "quick_gelu")


@pytest.mark.parametrize("model", KNOWN)
def test_no_tag_that_needs_quick_gelu_is_unknown(model):
    """A new one would be noticed here."""
    theirs = {
        tag
        for tag in open_clip.list_pretrained_tags_by_model(model)
        if open_clip.get_pretrained_cfg(model, tag).get("quick_gelu")
    }
    assert theirs == set(KNOWN[model].quick)


def test_sizes_that_expected_shapes_claims_are_open_clips():
    """The tensors of a model of these sizes, by name and shape."""
    for model in ("ViT-B-32", "ViT-B-16-plus-240"):
        with torch.device("meta"):
            net = open_clip.model.CLIP(**open_clip.get_model_config(model))
        theirs = {k: tuple(x.shape) for k, x in net.state_dict().items() if k != "attn_mask"}
        assert theirs == layout.expected_shapes(layout.Sizes(**from_tag(f"{model}/laion400m_e31").claims))


@QUIET
def test_all_of_open_clips_vision_transformers_are_read_or_refused():
    """A model's configuration either means to refclip what its tensors are, or names what refclip does not do."""
    read, refused = [], []
    for name in open_clip.list_models():
        content = open_clip.get_model_config(name)
        try:
            config = configuration._open_clip(Path(name), content, None, None)
        except refclip.WeightsError:
            refused.append(name)
            continue
        read.append(name)
        content.pop("custom_text", None)
        with torch.device("meta"):
            net = open_clip.model.CLIP(**content)
        theirs = {k: tuple(x.shape) for k, x in net.state_dict().items() if k != "attn_mask"}
        assert layout.expected_shapes(layout.Sizes(**config.claims)) == theirs, name
        heads = net.visual.transformer.resblocks[0].attn.num_heads, net.transformer.resblocks[0].attn.num_heads
        assert (config.vision_heads, config.text_heads) == heads, name
        quick = "QuickGELU" in type(net.visual.transformer.resblocks[0].mlp.gelu).__name__
        assert config.activation == ("quick_gelu" if quick else "gelu"), name
    assert {*KNOWN, "ViT-H-14", "ViT-bigG-14", "ViT-L-14-quickgelu"} <= set(read)
    assert {"RN50", "ViT-B-16-SigLIP", "coca_ViT-B-32", "roberta-ViT-B-32", "convnext_base"} <= set(refused)


def test_a_configuration_of_open_clip_beside_a_file(tmp_path):
    """One of its model configurations, as it lies in its package."""
    source = Path(open_clip.__file__).parent / "model_configs" / "ViT-L-14-quickgelu.json"
    shutil.copy(source, tmp_path / "weights.json")
    config = find_config(tmp_path / "weights.safetensors")
    assert (config.activation, config.vision_heads, config.claims) == (
        "quick_gelu",
        16,
        from_tag("ViT-L-14/openai").claims,
    )


def test_versions():
    """What the tables were copied from."""
    assert open_clip.__version__.startswith("3.")
    assert int(transformers.__version__.split(".")[0]) >= 4
