"""CLIP's byte-pair encoding: a text becomes the 77 integers that the text tower reads.

The scheme is that of the CLIP paper (Radford et al. 2021, section 2.4: lower-cased byte-pair encoding, 49,152
entries) as its code and open_clip practise it; the details below are theirs and change the ids of ordinary
text, so they are kept:

1. clean    mojibake repaired, HTML entities resolved twice, runs of white space to one space, lower case;
2. split    into contractions ('s, 're ...), runs of letters, *single* digits, and runs of anything else;
3. spell    each piece as UTF-8 bytes, one printable character a byte, so that no text is out of vocabulary;
4. merge    the two neighbours that the vocabulary ranks first, again and again; the last ends in ``</w>``.

A text that spells ``<start_of_text>`` or ``<end_of_text>`` gets that special id, in open_clip as here:
pooling at the end-of-text token then stops early, so do not feed prompts of unknown origin without a look at
their ids.
"""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers.models import BPE

SOT = 49406
EOT = 49407
CONTEXT_LENGTH = 77

_SPECIAL = {"<start_of_text>": SOT, "<end_of_text>": EOT}
_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 48894  # 49,408 ids - 2 special - 2 x 256 bytes; the file goes on, CLIP does not use the rest

# Bytes that Latin-1 prints stand for themselves; the other 68 move to U+0100 and up, in order.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_UNPRINTABLE = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTE_TO_CHAR = {byte: byte for byte in _PRINTABLE} | {byte: 256 + i for i, byte in enumerate(_UNPRINTABLE)}
_CHAR_TO_BYTE = {char: byte for byte, char in _BYTE_TO_CHAR.items()}

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
# On printable ASCII without "&", the repair of text and the HTML step change nothing, and the split below
# finds what the Unicode-aware one finds; nearly every prompt is such a text, and this saves the import of
# ftfy and regex (70 ms).
_PLAIN = re.compile(r"[ -%'-~]*")
_SPLIT_ASCII = re.compile(rf"{'|'.join(_SPECIAL)}|{_CONTRACTIONS}|[a-z]+|[0-9]|[^ a-z0-9]+")


def tokenize(texts: str | Sequence[str], context_length: int = CONTEXT_LENGTH, *, too_long: str = "cut") -> np.ndarray:
    """Turn texts into the rows of token ids that the text tower reads.

    Parameters
    ----------
    texts
        One text, or a sequence of ``b`` texts.
    context_length
        Number of columns; 77 for all published CLIP models. At least 2, for the start and the end.
    too_long
        What to do with a text of more than ``context_length`` ids, start and end included: ``"cut"`` keeps
        the first ones and puts end-of-text in the last column, as open_clip does; ``"error"`` refuses.

    Returns
    -------
    numpy.ndarray
        int64 ``[b, context_length]``: start-of-text, the text, end-of-text, then zeros.

    Raises
    ------
    TypeError
        If a text is not a ``str``.
    ValueError
        If a text is too long and ``too_long="error"``, or if an option has an unknown value.
    """
    if too_long not in ("cut", "error"):
        raise ValueError(f"too_long is {too_long!r}; expected 'cut' or 'error'")
    if context_length < 2:
        raise ValueError(
            f"context_length is {context_length}; expected at least 2 (start and end), 77 for CLIP's models"
        )
    texts = _as_texts(texts)
    rows = [[SOT, *encode(text), EOT] for text in texts]
    ids = np.zeros((len(rows), context_length), dtype=np.int64)  # [b, context_length]
    for i, row in enumerate(rows):
        if len(row) > context_length and too_long == "error":
            shown = texts[i] if len(texts[i]) <= 60 else texts[i][:57] + "..."
            raise ValueError(
                f"text {i} ({shown!r}) has {len(row)} tokens, start and end included; expected at most "
                f"{context_length}: shorten it, or pass too_long='cut' to drop what does not fit"
            )
        ids[i, : len(row)] = row[:context_length]
        ids[i, min(len(row), context_length) - 1] = EOT
    return ids


def encode(text: str) -> list[int]:
    """Token ids of one text, without start and end.

    Parameters
    ----------
    text
        Anything, the empty string and lone surrogates included.

    Returns
    -------
    list of int
        Ids in 0..49407; the two special ids appear only if the text spells them out.

    Raises
    ------
    TypeError
        If ``text`` is not a ``str``.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}; expected str{_hint(text)}")
    plain = _PLAIN.fullmatch(text)
    pieces = _SPLIT_ASCII.findall(text.lower()) if plain else _split_unicode()(_clean(text))
    return [i for piece in pieces for i in _piece_ids(piece)]


def decode(ids: Iterable[int]) -> str:
    """Text that a row of ids stands for: lower case, one space after each piece.

    Parameters
    ----------
    ids
        Any integers in 0..49407. Nothing is left out: padding (id 0) reads as ``!``, and the special tokens
        are spelled out. Bytes that are not UTF-8 become U+FFFD.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If an id is outside the vocabulary.
    """
    symbols = _symbols()
    ids = [int(i) for i in ids]
    for position, i in enumerate(ids):
        if not 0 <= i < len(symbols):
            raise ValueError(f"ids[{position}] is {i}; expected 0..{len(symbols) - 1}, the ids of CLIP's vocabulary")
    spelled = "".join(symbols[i] for i in ids)
    return bytes(_CHAR_TO_BYTE[ord(c)] for c in spelled).decode("utf-8", errors="replace").replace("</w>", " ")


def _as_texts(texts: str | Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"texts is {type(texts).__name__}; expected str or a sequence of str{_hint(texts)}")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] is {type(text).__name__}; expected str{_hint(text)}")
    return texts


def _hint(value: object) -> str:
    return ": decode it first, for example with .decode('utf-8')" if isinstance(value, bytes) else ""


def _clean(text: str) -> str:
    """Do step 1 in full."""
    import ftfy  # 60 ms to import, and needed only by texts that are not plain ASCII

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


@lru_cache(maxsize=1)
def _split_unicode() -> Callable[[str], list[str]]:
    """Do step 2 for any text.

    `regex` it must be. What counts as a letter or a digit depends on the edition of Unicode: the engine
    inside the `tokenizers` library disagrees with `regex` on 17,480 code points, and the tables of Python
    3.11 on more. It also ignores case as `regex` does: 's matches an apostrophe and a long s (U+017F), which
    lower() leaves alone.
    """
    import regex

    alternatives = [*_SPECIAL, _CONTRACTIONS, r"\p{L}+", r"\p{N}", r"[^\s\p{L}\p{N}]+"]
    return regex.compile("|".join(alternatives), regex.IGNORECASE).findall


def _piece_ids(piece: str) -> tuple[int, ...]:
    # Prompts share most of their words; a very long piece is not worth its place in the cache.
    return _merge_kept(piece) if len(piece) <= 64 else _merge(piece)


def _merge(piece: str) -> tuple[int, ...]:
    """Do steps 3 and 4 for one piece of text."""
    if piece in _SPECIAL:
        return (_SPECIAL[piece],)
    spelled = piece.encode("utf-8").decode("latin-1").translate(_BYTE_TO_CHAR)
    return tuple(token.id for token in _bpe().tokenize(spelled))


_merge_kept = lru_cache(maxsize=1 << 16)(_merge)


@lru_cache(maxsize=1)
def _bpe() -> BPE:
    """Build the `tokenizers` library's byte-pair encoder with CLIP's vocabulary: 0.1 s, so on first use."""
    from tokenizers.models import BPE

    vocabulary = {symbol: i for i, symbol in enumerate(_symbols()[:SOT])}
    return BPE(vocab=vocabulary, merges=_merges(), end_of_word_suffix="</w>")


@lru_cache(maxsize=1)
def _symbols() -> list[str]:
    """List the 49,408 entries of the vocabulary: their place is their id."""
    single = [chr(_BYTE_TO_CHAR[byte]) for byte in (*_PRINTABLE, *_UNPRINTABLE)]
    return [*single, *(s + "</w>" for s in single), *("".join(pair) for pair in _merges()), *_SPECIAL]


@lru_cache(maxsize=1)
def _merges() -> list[tuple[str, str]]:
    """Pairs of symbols to merge, best first."""
    path = files("refclip") / "assets" / _VOCABULARY
    _heading, *lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in lines[:_MERGES])]
    if len(pairs) != _MERGES or not all(second for _, second in pairs):
        raise ValueError(
            f"{path}: found {len(pairs)} merges, or a line that is no pair; expected {_MERGES} lines such as "
            "'i n' after the heading: reinstall refclip"
        )
    return pairs
