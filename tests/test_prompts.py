"""The published lists are as published, composing is exact, and files of one's own fail with a useful message."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refclip.prompts import (
    BARE,
    STATES,
    TEMPLATES,
    WINCLIP_STATES,
    WINCLIP_TEMPLATES_A,
    WINCLIP_TEMPLATES_B,
    States,
    compose,
    extend,
    read_states,
)

# words and sentences around the one placeholder, from everything but braces and lone surrogates
PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=12)
WORDS = st.lists(st.tuples(PLAIN, PLAIN).map("{}".join), min_size=1, max_size=4)
NAMES = PLAIN.filter(str.strip)


@pytest.mark.parametrize(
    ("templates", "count"), [("winclip-a", 21), ("winclip-b", 22), ("imagenet", 80), ("vand", 35), ("bare", 1)]
)
def test_template_counts(templates, count):
    assert len(TEMPLATES[templates]) == count


@pytest.mark.parametrize(
    ("states", "normal", "abnormal"),
    [("winclip", 7, 4), ("anovl", 7, 7), ("vand", 7, 5), ("clip-ac", 1, 1), ("anomalyclip-clip", 1, 1)],
)
def test_state_counts(states, normal, abnormal):
    assert (len(STATES[states].normal), len(STATES[states].abnormal)) == (normal, abnormal)


@pytest.mark.parametrize("words", [*STATES.values(), *TEMPLATES.items()], ids=str)
def test_every_published_text_has_one_placeholder_and_single_spaces(words):
    texts = [*words.normal, *words.abnormal] if isinstance(words, States) else words[1]
    for text in texts:
        assert text.count("{}") == 1
        assert text == " ".join(text.split())


def test_winclips_prompts_count_as_published():
    a = compose("bottle", WINCLIP_STATES, WINCLIP_TEMPLATES_A)
    b = compose("bottle", WINCLIP_STATES, WINCLIP_TEMPLATES_B)
    assert (len(a.normal), len(a.abnormal)) == (147, 84)
    assert (len(b.normal), len(b.abnormal)) == (154, 88)


def test_list_a_differs_from_list_b_by_the_published_slips_alone():
    stopped = [text + "." for text in WINCLIP_TEMPLATES_B]
    stopped.remove("a cropped photo of a {}.")
    stopped[stopped.index("a jpeg corrupted photo of a {}.")] = "a jpeg corrupted photo of the {}."
    assert list(WINCLIP_TEMPLATES_A) == stopped
    assert WINCLIP_TEMPLATES_A.count("a jpeg corrupted photo of the {}.") == 2
    assert len(set(WINCLIP_TEMPLATES_B)) == 22


def test_a_prompt_of_each_baseline():
    assert compose("bottle", STATES["clip-ac"], BARE) == (("normal bottle",), ("anomalous bottle",))
    assert compose("bottle", STATES["anomalyclip-clip"], BARE).abnormal == ("A photo of an anomalous bottle",)
    imagenet = compose("bottle", STATES["clip-ac"], TEMPLATES["imagenet"])
    assert imagenet.normal[0] == "a bad photo of a normal bottle."
    assert (
        compose("pcb1", STATES["vand"], TEMPLATES["vand"]).abnormal[-1] == "this is one pcb1 with damage in the scene."
    )


def test_duplicates_stay_because_they_weight_the_mean():
    prompts = compose("nut", WINCLIP_STATES, WINCLIP_TEMPLATES_A)
    assert prompts.normal.count("a jpeg corrupted photo of the flawless nut.") == 2


@given(NAMES, WORDS, WORDS, WORDS)
def test_prompt_s_t_is_state_s_in_template_t(name, normal, abnormal, templates):
    prompts = compose(name, States(tuple(normal), tuple(abnormal)), templates)
    for words, got in ((normal, prompts.normal), (abnormal, prompts.abnormal)):
        assert len(got) == len(words) * len(templates)
        for s, word in enumerate(words):
            for t, template in enumerate(templates):
                before, after = word.split("{}")
                start, end = template.split("{}")
                assert got[s * len(templates) + t] == start + before + name + after + end


def test_no_name_is_object():
    assert compose(None, STATES["clip-ac"], BARE).normal == ("normal object",)


def test_underscores_stay_unless_asked():
    assert compose("metal_nut", STATES["clip-ac"], BARE).normal == ("normal metal_nut",)
    assert compose("metal_nut", STATES["clip-ac"], BARE, underscores=False).normal == ("normal metal nut",)


@pytest.mark.parametrize("name", ["", "  ", "{}", "a{0}", "bottle}", "\udc80", 3, b"bottle"])
def test_bad_names(name):
    with pytest.raises(ValueError, match=r"object name is .*; expected a word without braces, or None for 'object'"):
        compose(name, WINCLIP_STATES, BARE)


def test_braces_are_text_and_never_formatted():
    for word in ("{0.__class__}", "{name}", "{!r}", "{:>9999999999}", "{{}}", "{} {", "}{"):
        with pytest.raises(ValueError, match=re.escape(f"templates[1]: found {word!r}")):
            compose("bottle", WINCLIP_STATES, ("{}", word))
    percent = States(("100% {} %s",), ("$x {} \\1",))
    assert compose("bottle", percent, BARE) == (("100% bottle %s",), ("$x bottle \\1",))


def test_extend_appends_and_leaves_the_original():
    got = extend(WINCLIP_STATES, abnormal=["{} with bad soldering", "burnt {}"])
    assert got.normal == WINCLIP_STATES.normal
    assert got.abnormal == (*WINCLIP_STATES.abnormal, "{} with bad soldering", "burnt {}")
    assert len(WINCLIP_STATES.abnormal) == 4
    assert extend(WINCLIP_STATES) == WINCLIP_STATES
    assert extend(WINCLIP_STATES, normal=("new {}",)).normal[-1] == "new {}"


@pytest.mark.parametrize("words", ["bad soldering", "{} burnt", ["bad soldering"], [3], None])
def test_extend_refuses_what_cannot_be_composed(words):
    with pytest.raises(ValueError, match=r"^abnormal(\[0\])?: found .*expected"):
        extend(WINCLIP_STATES, abnormal=words)


GOOD = {"normal": ["flawless {}"], "abnormal": ["{} with a dent", "{} with a dent"], "templates": ["a photo of a {}"]}
TOML = 'normal = ["flawless {}"]\nabnormal = ["{} with a dent", "{} with a dent"]\ntemplates = ["a photo of a {}"]\n'


def test_json_and_toml_read_the_same(tmp_path):
    texts = {
        "a.json": json.dumps(GOOD),
        "b.toml": TOML,
        "C.JSON": "\ufeff" + json.dumps(GOOD),
        "d.toml": "\ufeff" + TOML,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        states, templates = read_states(str(tmp_path / name))
        assert states == (("flawless {}",), ("{} with a dent", "{} with a dent"))
        assert templates == ("a photo of a {}",)


def test_templates_may_be_left_out(tmp_path):
    path = tmp_path / "words.json"
    path.write_text('{"normal": ["schönes {}"], "abnormal": ["{} 不良"]}', encoding="utf-8")
    assert read_states(path) == (States(("schönes {}",), ("{} 不良",)), None)


@given(WORDS, WORDS, st.none() | WORDS)
def test_what_is_written_is_read(tmp_path_factory, normal, abnormal, templates):
    path = tmp_path_factory.mktemp("words") / "w.json"
    table = {"normal": normal, "abnormal": abnormal} | ({"templates": templates} if templates else {})
    path.write_text(json.dumps(table), encoding="utf-8")
    want = None if templates is None else tuple(templates)
    assert read_states(path) == (States(tuple(normal), tuple(abnormal)), want)


BAD = [
    ("[]", "found a list at the top, expected an object"),
    ("null", "found null at the top, expected an object"),
    ('{"normal": ["{}"]}', "no key 'abnormal'; add it"),
    ('{"normal": ["{}"], "anomalous": ["{}"]}', "unknown key 'anomalous'; expected 'normal', 'abnormal'"),
    ('{"normal": "{}", "abnormal": ["{}"]}', "normal: found a string, expected a list of strings; put it in brackets"),
    ('{"normal": 3, "abnormal": ["{}"]}', "normal: found 3, expected a list of strings"),
    ('{"normal": {"a": 1}, "abnormal": ["{}"]}', "normal: found an object, expected a list of strings"),
    ('{"normal": [], "abnormal": ["{}"]}', "normal: found an empty list, expected at least one string"),
    ('{"normal": ["{}", 3], "abnormal": ["{}"]}', "normal[1]: found 3, expected a string"),
    ('{"normal": ["{}", ["{}"]], "abnormal": ["{}"]}', "normal[1]: found a list, expected a string"),
    ('{"normal": ["flawless"], "abnormal": ["{}"]}', "normal[0]: found 'flawless' with 0 of {}, expected exactly one"),
    (
        '{"normal": ["{}"], "abnormal": ["{} or {}"]}',
        "abnormal[0]: found '{} or {}' with 2 of {}, expected exactly one",
    ),
    ('{"normal": ["{0.__class__}"], "abnormal": ["{}"]}', "normal[0]: found '{0.__class__}' with braces other than {}"),
    ('{"normal": ["{}"], "abnormal": ["{}"], "templates": null}', "templates: found null, expected a list of strings"),
    ('{"normal": ["{}"], "abnormal": ["{}"], "templates": [""]}', "templates[0]: found '' with 0 of {}"),
    ('{"normal": ["\\ud800 {}"], "abnormal": ["{}"]}', "half of a surrogate pair"),
    ('{"normal": ["{}"], "normal": ["good {}"], "abnormal": ["{}"]}', "key 'normal' stands twice"),
    ('{"normal": ["{}"],\n "abnormal": ["{}"', "not valid JSON: Expecting ',' delimiter: line 2 column 19"),
    ("", "not valid JSON: Expecting value: line 1 column 1"),
    ("[" * 100_000, "expected"),
    ('{"normal": [' + "9" * 5000 + "]}", "not valid JSON: "),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_files_say_what_is_wrong_where(tmp_path, text, message):
    path = tmp_path / "words.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_states(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.toml", b'normal = ["{}"]\nabnormal = [', "not valid TOML: "),
        ("w.toml", b'normal = ["{}"]\nnormal = ["{}"]\n', "at line 2"),
        (
            "w.toml",
            b"normal = 2020-01-01\nabnormal = ['{}']",
            "normal: found datetime.date(2020, 1, 1), expected a list",
        ),
        ("w.json", b'{"normal": ["fl\xe4cklos {}"]}', "byte 15 is not UTF-8"),
        ("w.txt", b"flawless {}", "found suffix '.txt', expected .json or .toml"),
        ("w", b"", "found suffix '', expected .json or .toml"),
    ],
)
def test_other_bad_files(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_states(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_directories_keep_their_errors(tmp_path):
    (tmp_path / "folder.json").mkdir()
    for name, error in (("none.json", FileNotFoundError), ("folder.json", IsADirectoryError)):
        with pytest.raises(error, match="expected a JSON or TOML file with state words") as caught:
            read_states(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


# 27 characters hold no valid file: the shortest, normal=["{}"] and abnormal=["{}"] in TOML, has 28
@given(st.binary(max_size=27) | st.text(max_size=27).map(str.encode), st.sampled_from([".json", ".toml"]))
def test_any_bytes_are_read_or_refused_with_the_files_name(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("noise") / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_states(path)
