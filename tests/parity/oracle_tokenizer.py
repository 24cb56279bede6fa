"""What open_clip's tokenizer answers for ordinary and awkward texts: the content of tests/golden/tokenizer.npz."""

from __future__ import annotations

import json

import numpy as np
from open_clip.tokenizer import SimpleTokenizer

# Only characters that have long been in Unicode: newer ones change class with the versions of Python and `regex`.
TEXTS = [
    "",
    " ",
    "a",
    "!",
    "a photo of a damaged metal_nut for visual inspection.",
    "A Cropped Photo Of THE Carpet",
    "object.",
    "damaged object.",
    "flawless",
    "X X X X X X X X X X X X object.",
    "x" * 300,
    "photo " * 100,
    "12345 3.14159 1e-5 007",
    "it's they're we've i'm you'll he'd don't rock'n'roll 's'S 'LL",
    "don’t “quoted” it‘s — dash – and … dots",
    "O'KEEFE'D'VE",
    "'",
    "''''s",
    "a-b_c+d=e/f\\g|h~i`j@k#l$m%n^o&p*q(r)s[t]u{v}w<x>y?z",
    "tabs\tand\nnew\r\nlines\x0band\x0cfeeds\x85and\u2028seps\u2029end",
    "  lots   of    space  ",
    "no\u00a0break\u202fthin\u3000wide\u200bzero\ufeffbom",
    "nul\x00 bell\x07 escape\x1b[31mred\x1b[0m del\x7f unit\x1fsep\x1cfile",
    "héllo wörld ñandú façade Straße ŒUVRE İstanbul ıI",
    "he\u0301llo combining n\u0303",
    "ﬁne ﬂow ﬀ ﬃ ﬄ ﬅ ﬆ ĳ ǆ",
    "it'ſ a 'ſ contraction and <ſtart_of_text> <end_of_text>",
    "<start_of_text>hello<end_of_text>",
    "<START_OF_TEXT> <End_Of_Text>",
    "!<end_of_text> a<end_of_text>b <end_of_text",
    "<end_of_text>" * 90,
    "<|endoftext|> <pad> </w> a</w>",
    "&lt;b&gt; &amp;amp;lt; &quot;x&quot; &#39;s &#x27;s &copy &notit; &#0; &#xD800; &#128; &eacute;",
    "<a href='x'>&amp;</a> &lt;",
    "&amp;#115; &amp;amp;amp;",
    "<i> &amp;amp;lt;b&amp;gt;",  # a "<" keeps ftfy from resolving entities: two rounds are left
    "&nbsp;&nbsp;x&ensp;y&zwj;z",
    "schÃ¶n cafÃ© â€œquotesâ€\x9d â€™s naÃ¯ve",
    "âœ” No problems Ã\xa0 la carte",
    "ÐŸÑ€Ð¸Ð²ÐµÑ‚",
    "l’humanitÃ©",
    "Привет, мир! ЁЛКА",
    "Ελληνικά ΣΊΣΥΦΟΣ ς",
    "你好，世界。 这是一个测试",
    "日本語のテキスト ｶﾀｶﾅ ＦＵＬＬ　ＷＩＤＴＨ １２３",
    "한국어 텍스트",
    "مرحبا بالعالم ١٢٣",
    "שלום עולם",
    "नमस्ते दुनिया १२३",
    "สวัสดีชาวโลก",
    "½ ² ③ Ⅷ ⅷ 〇 ௧",
    "😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ ☃",
    "a😀b 😀😀😀!?",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚 𐍈",
    "\ufffd \uffff \U0010ffff \ue000",
    "\ud83d\ude00 paired surrogates",
    "lone \ud800 high \udfff low",
    "soft\u00adhyphen left\u200eto\u200fright",
    "€100 £5 ¥7 ¢ § ¶ © ® ™ ° ± × ÷ µ",
    "ZALGO H̷̛e̸l̴p",
    "photo of a 瓶子 with défaut №5",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaa bbbbbbb ababababab thththth ininin",
    "http://example.com/a?b=c&d=e#f user@example.org",
    "1,000.50$ -5°C 100% 3/4 10:30",
    "..... ?!?!?! ---- ,,,, ((()))",
    "word " * 74 + "word",
    "word " * 75 + "word",
    "ÿþ ü",
]


def build() -> dict[str, np.ndarray]:
    """Texts as JSON bytes (NumPy would strip a trailing NUL), their ids in full, as rows of 77 and 16, and decoded."""
    tokenizer = SimpleTokenizer()
    ids = [tokenizer.encode(text) for text in TEXTS]
    decoded = [tokenizer.decode(row) for row in ids]
    return {
        "texts": _bytes(TEXTS),
        "ids": np.concatenate([np.asarray(row, np.int32) for row in ids]),
        "lengths": np.asarray([len(row) for row in ids], np.int32),
        "rows77": tokenizer(TEXTS).numpy().astype(np.int32),
        "rows16": tokenizer(TEXTS, context_length=16).numpy().astype(np.int32),
        "decoded": _bytes(decoded),
        # Cut in the middle of a character: what is left is not UTF-8.
        "decoded_cut": _bytes([tokenizer.decode(row[: len(row) // 2]) for row in ids]),
    }


def _bytes(texts: list[str]) -> np.ndarray:
    return np.frombuffer(json.dumps(texts).encode("ascii"), np.uint8)
