"""The tokenizer against open_clip itself, on far more texts than the stored answers hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from refclip.tokenizer import decode, encode, tokenize
from tests.parity.oracle_tokenizer import TEXTS

REFERENCE = SimpleTokenizer()

# Pieces that one of the steps treats specially: entities, mojibake, specials, contractions, spaces, controls, emoji.
WORDS = """
&amp; &lt; &#39; &#x1F600; &#xD800; &copy &nbsp; & ; # ' 's 'S 'LL 're ’s 'ſ ſ <start_of_text> <end_of_text>
<END_OF_TEXT> <ſtart_of_text> < > _ Ã© â€™ â€œ Ã¶ Ð¿ ï¿½ é ﬁ ﬅ İ ı ς Σ ß ẞ ½ ² ٣ 五 界 😀 👍🏽 ❤️ ｆ １ " “ ” photo A z 0
"""
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2028", "\u3000", "\u200b"]
OTHERS = [
    "e\u0301",
    "\u200d",
    "\xad",
    "\ufeff",
    "\ufffd",
    "\ud83d",
    "\ude00",
    "\udc80",
    "\x00",
    "\x1b[0m",
    "\x7f",
    "\x9d",
]
PIECES = st.sampled_from([*WORDS.split(), *SPACES, *OTHERS])


@pytest.mark.parametrize("text", TEXTS)
def test_list(text):
    assert encode(text) == REFERENCE.encode(text)


@settings(max_examples=1500)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_awkward_pieces(text):
    assert encode(text) == REFERENCE.encode(text)


@settings(max_examples=1000)
@given(st.text(st.characters()))  # all code points, lone surrogates included
def test_any_text(text):
    assert encode(text) == REFERENCE.encode(text)


@settings(max_examples=500)
@given(st.text(st.characters(max_codepoint=0x17F), max_size=60))
def test_latin_text(text):
    assert encode(text) == REFERENCE.encode(text)


@settings(max_examples=300)
@given(st.binary(max_size=40).map(lambda b: b.decode("latin-1")))
def test_bytes_read_as_latin_1(text):
    assert encode(text) == REFERENCE.encode(text)


def test_every_code_point():
    # Planes 4 to 13 hold nothing, 15 and 16 are for private use: one look at each.
    full = [*range(0, 0x40000, 512), *range(0xE0000, 0xE1000, 512)]
    for start in [*full, *range(0x40000, 0xE0000, 0x10000), 0xF0000, 0x10FE00]:
        text = " ".join(map(chr, range(start, start + 512)))
        assert encode(text) == REFERENCE.encode(text), f"U+{start:04X} to U+{start + 511:04X}"


def test_every_word_of_the_vocabulary():
    words = [REFERENCE.decode([i]).strip() for i in range(0, 49406, 3)]
    for i in range(0, len(words), 200):
        text = " ".join(words[i : i + 200])
        assert encode(text) == REFERENCE.encode(text)


def test_long_random_words():
    rng = np.random.default_rng(0)
    for length in (63, 64, 65, 255, 256, 257, 1000):  # around the sizes up to which words are cached
        for alphabet in ("ab", "etaoinshr", "théèñ你"):
            text = "".join(rng.choice(list(alphabet), length))
            assert encode(text) == REFERENCE.encode(text)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 49407), max_size=40))
def test_decode_any_ids(ids):
    assert decode(ids) == REFERENCE.decode(ids)
    assert decode(np.array(ids, np.int64)) == REFERENCE.decode(ids)


@settings(max_examples=100)
@given(st.lists(st.lists(PIECES, max_size=30).map("".join), max_size=4), st.integers(2, 80))
def test_rows(texts, context_length):
    ours = tokenize(texts, context_length)
    np.testing.assert_array_equal(ours, REFERENCE(texts, context_length=context_length).numpy())
