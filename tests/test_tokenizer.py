"""The tokenizer against stored answers of open_clip, and the promises that need no oracle."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refclip import tokenizer
from refclip.tokenizer import EOT, SOT, decode, encode, tokenize


def strings(packed: np.ndarray) -> list[str]:
    return json.loads(packed.tobytes())


def test_ids_equal_open_clip(golden):
    stored = golden("tokenizer")
    ends = np.cumsum(stored["lengths"])
    for text, row in zip(strings(stored["texts"]), np.split(stored["ids"], ends[:-1]), strict=True):
        assert encode(text) == row.tolist(), repr(text)


@pytest.mark.parametrize("context_length", [77, 16])
def test_rows_equal_open_clip(golden, context_length):
    stored = golden("tokenizer")
    rows = tokenize(strings(stored["texts"]), context_length)
    assert rows.dtype == np.int64 and rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, stored[f"rows{context_length}"])


def test_decode_equals_open_clip(golden):
    stored = golden("tokenizer")
    ends = np.cumsum(stored["lengths"])
    rows = np.split(stored["ids"], ends[:-1])
    assert [decode(row) for row in rows] == strings(stored["decoded"])
    assert [decode(row[: len(row) // 2]) for row in rows] == strings(stored["decoded_cut"])


def test_known_ids():
    assert tokenize("a photo of a cat")[0, :8].tolist() == [SOT, 320, 1125, 539, 320, 2368, EOT, 0]


def test_vocabulary_is_the_one_described():
    data = (files("refclip") / "assets" / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert digest in (files("refclip") / "assets" / "README.md").read_text(encoding="utf-8")
    symbols = tokenizer._symbols()
    assert len(symbols) == len(set(symbols)) == 49408  # no symbol twice: a merge has one result
    assert symbols[SOT] == "<start_of_text>" and symbols[EOT] == "<end_of_text>"


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="&")))
def test_short_way_finds_the_pieces_of_the_long_way(text):
    long_way = tokenizer._split_unicode()(tokenizer._clean(text))
    assert tokenizer._PLAIN.fullmatch(text) and tokenizer._SPLIT_ASCII.findall(text.lower()) == long_way


@given(st.text())
def test_decode_gives_back_the_pieces(text):
    # Lower-casing may leave a letter that encodes differently the second time, hence pieces and not ids.
    pieces = tokenizer._split_unicode()(tokenizer._clean(text))
    special = {"<start_of_text>": "<start_of_text>", "<end_of_text>": "<end_of_text>"}
    assert decode(encode(text)) == "".join(special.get(piece, piece + " ") for piece in pieces)


@given(st.lists(st.text(max_size=30), max_size=5), st.integers(2, 20))
def test_rows_are_the_ids_between_start_and_end(texts, context_length):
    rows = tokenize(texts, context_length)
    assert rows.shape == (len(texts), context_length)
    for text, row in zip(texts, rows, strict=True):
        whole = [SOT, *encode(text), EOT]
        kept = whole if len(whole) <= context_length else [*whole[: context_length - 1], EOT]
        assert row.tolist() == kept + [0] * (context_length - len(kept))


def test_very_long_words_and_texts():
    assert len(encode("ab" * 50_000)) <= 100_000
    assert encode("word " * 20_000) == encode("word") * 20_000
    assert tokenize("word " * 20_000)[0].tolist() == [SOT, *encode("word") * 75, EOT]


def test_one_text_no_text_and_any_sequence():
    assert tokenize("a").shape == (1, 77) and tokenize([]).shape == (0, 77)
    expected = tokenize(["a cat", "b"])
    np.testing.assert_array_equal(tokenize(("a cat", "b")), expected)
    np.testing.assert_array_equal(tokenize(np.array(["a cat", "b"]).tolist()), expected)


def test_too_long_is_refused_when_asked():
    assert tokenize("word " * 75, too_long="error")[0, -1] == EOT  # 75 + start + end fit exactly
    with pytest.raises(ValueError, match=r"text 1 \('word word .*\.\.\.'\) has 78 tokens.* at most 77"):
        tokenize(["ok", "word " * 76], too_long="error")


def test_errors_say_what_was_found():
    with pytest.raises(TypeError, match=r"texts\[1\] is int; expected str"):
        tokenize(["a", 1])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"texts is bytes.*decode"):
        tokenize(b"a")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"texts\[0\] is bytes.*decode"):
        tokenize([b"a"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="texts is NoneType"):
        tokenize(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="text is list; expected str"):
        encode(["a"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="too_long is 'chop'; expected 'cut' or 'error'"):
        tokenize("a", too_long="chop")
    with pytest.raises(ValueError, match="context_length is 1; expected at least 2"):
        tokenize("a", 1)
    for wrong in (-1, 49408):
        with pytest.raises(ValueError, match=rf"ids\[1\] is {wrong}; expected 0\.\.49407"):
            decode([0, wrong])


def test_heavy_imports_wait_until_needed():
    code = (
        "import sys; from refclip.tokenizer import encode\n"
        "def loaded(): return sorted({'ftfy', 'regex', 'tokenizers'} & set(sys.modules))\n"
        "before = loaded(); encode('a photo'); plain = loaded(); encode('caf\\u00e9'); print(before, plain, loaded())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[] ['tokenizers'] ['ftfy', 'regex', 'tokenizers']"


def test_a_method_s_prompts_take_milliseconds():
    states = ["{}", "flawless {}", "perfect {}", "unblemished {}", "{} without flaw", "{} without defect", "damaged {}"]
    templates = [f"a {kind} photo of a {{}} for inspection" for kind in "abcdefghijklmnopqrstuv"]
    prompts = [template.format(state.format("metal_nut")) for template in templates for state in states]
    assert len(prompts) == 154
    tokenize(prompts)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        tokenize(prompts)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.02  # about 1 ms on a slow core; the bound leaves room for a busy machine
