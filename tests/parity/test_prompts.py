"""The 80 ImageNet templates are those that open_clip ships."""

from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

from refclip.prompts import IMAGENET_TEMPLATES, States, compose


def test_imagenet_templates_are_open_clips_in_its_order():
    assert [template("{}") for template in OPENAI_IMAGENET_TEMPLATES] == list(IMAGENET_TEMPLATES)


def test_composing_gives_open_clips_zero_shot_prompts():
    ours = compose("great white shark", States(("{}",), ("{}",)), IMAGENET_TEMPLATES)
    assert [template("great white shark") for template in OPENAI_IMAGENET_TEMPLATES] == list(ours.normal)
