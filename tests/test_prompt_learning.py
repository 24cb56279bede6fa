"""Layouts of learnable prompts, and the text tower with learned tokens, against versions written out token by token."""

from __future__ import annotations

import math

import numpy as np
import pytest

import refclip
from refclip.autograd import Tape
from refclip.methods.anomalyclip_prompts import Design, Learned, begin, embed_prompts, settled
from refclip.prompt_learning import (
    SPREAD,
    VECTOR,
    Layout,
    deep_tokens,
    first_vectors,
    prompt_embeddings,
    prompt_ids,
)
from refclip.tokenizer import EOT, SOT, tokenize
from tests.test_device import assert_same, upload

EXACT = {"rtol": 0, "atol": 1e-11}  # float64 on both sides: the order of sums is all that differs


def words(text):
    """Ids between start and end."""
    row = tokenize(text)[0].tolist()
    return row[1 : row.index(EOT)]


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_the_programs_tokens():
    """12 "X", "object." and "damaged object.": places of words and end as in AnomalyCLIP's program."""
    normal, abnormal = prompt_ids(Layout(), ["object"])
    for ids, text, end in ((normal, "object.", 15), (abnormal, "damaged object.", 16)):
        with_x = tokenize(" ".join(["X"] * 12) + f" {text}")[0]
        assert ids.index(EOT) == end == with_x.argmax()
        assert [x for x in ids if x != VECTOR] == [x for i, x in enumerate(with_x[: end + 1]) if not 1 <= i <= 12]
        assert ids[1:13] == [VECTOR] * 12


def test_positions():
    name, stop = words("metal nut"), words(".")
    for position, want in {
        "end": [VECTOR] * 5 + name + stop,
        "middle": [VECTOR] * 2 + name + [VECTOR] * 3 + stop,
        "front": name + [VECTOR] * 5 + stop,
    }.items():
        normal, abnormal = prompt_ids(Layout(5, "", "", position), ["metal nut"])
        assert normal == abnormal == [SOT, *want, EOT]
    assert prompt_ids(Layout(1, "", "flawed", stop=False), ["nut"])[1] == [SOT, VECTOR, *words("flawed nut"), EOT]
    assert prompt_ids(Layout(0, "A photo of a", "x", stop=False), ["nut"])[0] == [SOT, *words("a photo of a nut"), EOT]


def test_two_prompts_for_each_name():
    every = prompt_ids(Layout(2), ["nut", "metal bolt"])
    texts = ["nut.", "damaged nut.", "metal bolt.", "damaged metal bolt."]
    assert [[x for x in ids if x != VECTOR] for ids in every] == [[SOT, *words(text), EOT] for text in texts]


def test_embeddings_token_by_token(small):
    rng = np.random.default_rng(0)
    normal, abnormal = rng.normal(size=(2, 5, 96))
    for position in ("end", "middle", "front"):
        layout = Layout(5, "fine", "damaged", position)
        for other in (abnormal, None):
            x, ends = prompt_embeddings(small.text, layout, ["nut", "metal bolt"], normal, other)
            every = prompt_ids(layout, ["nut", "metal bolt"])
            assert x.shape == (4, max(map(len, every)), 96)
            for k, ids in enumerate(every):
                vectors = iter(abnormal if k % 2 and other is not None else normal)
                assert ends[k] == len(ids) - 1
                for place in range(x.shape[1]):
                    i = ids[place] if place < len(ids) else 0
                    want = next(vectors) if i == VECTOR else small.text.token_embedding[i]
                    np.testing.assert_array_equal(x[k, place], want + small.text.positional_embedding[place])


def test_what_does_not_fit_is_refused(small):
    with pytest.raises(ValueError, match=r"has 79 tokens.*at most 77"):
        prompt_ids(Layout(75), ["object"])
    with pytest.raises(ValueError, match="expected one of 'end'"):
        prompt_ids(Layout(position="left"), ["object"])
    with pytest.raises(ValueError, match="length=-1"):
        prompt_ids(Layout(-1), ["object"])
    with pytest.raises(ValueError, match="3 vectors, but the layout has 12"):
        prompt_embeddings(small.text, Layout(), ["object"], np.zeros((3, 96)))
    with pytest.raises(ValueError, match="0 vectors"):
        prompt_embeddings(small.text, Layout(), ["object"])


def test_the_beginning(small):
    drawn = first_vectors(small.text, 4000, np.random.default_rng(1))
    assert drawn.shape == (4000, 96)
    # 384,000 draws: mean and deviation within five of their standard errors
    assert abs(drawn.mean()) < 5 * SPREAD / math.sqrt(drawn.size)
    assert abs(drawn.std() / SPREAD - 1) < 5 / math.sqrt(2 * drawn.size)
    said = first_vectors(small.text, 4, np.random.default_rng(1), "a photo of a")
    np.testing.assert_array_equal(said, small.text.token_embedding[words("a photo of a")])
    said[:] = 0  # its own array: the model is not touched
    assert small.text.token_embedding[words("photo")].any()
    with pytest.raises(ValueError, match="4 tokens, expected 12: set length=4"):
        first_vectors(small.text, 12, np.random.default_rng(1), "a photo of a")
    assert [len(x) for x in deep_tokens(small.text, 3, 4, np.random.default_rng(0))] == [4, 4]
    assert deep_tokens(small.text, 1, 4, np.random.default_rng(0)) == ()
    assert deep_tokens(small.text, 0, 4, np.random.default_rng(0)) == ()
    with pytest.raises(ValueError, match="has 3 blocks"):
        deep_tokens(small.text, 4, 4, np.random.default_rng(0))


# --- the text tower, slow: one prompt, one head and one token at a time ----------------------------------------------


def norm(x, p):
    mean = math.fsum(x) / len(x)
    variance = math.fsum((a - mean) ** 2 for a in x) / len(x)
    return np.array([(a - mean) / math.sqrt(variance + 1e-5) for a in x]) * p.gain + p.bias


def slow_block(rows, p, heads, activation):
    """Rows [n][d] through one block under the causal mask."""
    n, d = len(rows), len(rows[0])
    c = d // heads
    qkv = [p.attn.in_proj.weight @ norm(x, p.ln_1) + p.attn.in_proj.bias for x in rows]
    middle = []
    for i in range(n):
        heard = np.zeros(d)
        for h in range(heads):
            part = slice(h * c, (h + 1) * c)
            scores = [qkv[i][:d][part] @ qkv[j][d : 2 * d][part] / math.sqrt(c) for j in range(i + 1)]
            most = max(scores)
            weights = [math.exp(s - most) for s in scores]
            for j, w in enumerate(weights):
                heard[part] += w / math.fsum(weights) * qkv[j][2 * d :][part]
        middle.append(rows[i] + p.attn.out_proj.weight @ heard + p.attn.out_proj.bias)
    out = []
    for x in middle:
        z = p.c_fc.weight @ norm(x, p.ln_2) + p.c_fc.bias
        assert activation == "gelu"
        act = [a * (1 + math.erf(a / math.sqrt(2))) / 2 for a in z]
        out.append(x + p.c_proj.weight @ np.array(act) + p.c_proj.bias)
    return out


def slow_text(clip, ids, vectors, deep, tuning):
    """g of one prompt: AnomalyCLIP's equation 3, or its program's way."""
    t, place = clip.text, iter(vectors)
    rows = [next(place) if i == VECTOR else t.token_embedding[i] for i in ids]
    rows = [x + t.positional_embedding[i] for i, x in enumerate(rows)]
    for m, p in enumerate(t.transformer.blocks):
        if tuning == "concatenate" and m < len(deep):
            rows = slow_block([*deep[m], *rows], p, t.transformer.heads, t.transformer.activation)[len(deep[m]) :]
            continue
        if tuning == "overwrite" and 1 <= m <= len(deep):
            rows = [rows[0], *deep[m - 1], *rows[1 + len(deep[m - 1]) :]]
        rows = slow_block(rows, p, t.transformer.heads, t.transformer.activation)
    g = norm(rows[-1], t.ln_final) @ t.text_projection
    return g / math.sqrt(math.fsum(g * g))


def slow_prompts(clip, design, learned, names):
    ids = prompt_ids(Layout(design.length, design.normal, design.abnormal, design.position, design.stop), names)
    sides = learned.normal, learned.normal if learned.abnormal is None else learned.abnormal
    every = [slow_text(clip, row, sides[k % 2], learned.deep, design.tuning) for k, row in enumerate(ids)]
    return np.array(every).reshape(len(names), 2, -1)


DESIGNS = [
    {},
    {"tuning": "concatenate"},
    {"tuning": "concatenate", "depth": 2, "tokens": 1},
    {"depth": 1},
    {"depth": 0, "shared": True, "normal": "normal", "abnormal": "anomalous", "length": 6, "position": "middle"},
    {"shared": True, "position": "front", "abnormal": "flawed", "stop": False},
    {"tokens": 2, "length": 2},
]


def random_learned(clip, design, seed=3):
    """Far from where learning begins, so that every number has its effect."""
    rng = np.random.default_rng(seed)
    start = begin(clip, design, seed)
    return Learned(*([rng.normal(0, 0.5, x.shape) for x in part] if isinstance(part, tuple) else
                     None if part is None else rng.normal(0, 0.5, part.shape) for part in start))  # fmt: skip


@pytest.mark.parametrize("options", DESIGNS, ids=str)
def test_embeddings_of_prompts_against_the_equations(small, options):
    design = settled(small, Design(**({"length": 4, "depth": 3, "tokens": 3} | options)))
    learned = random_learned(small, design)
    found = embed_prompts(small, design, learned, ["object", "metal nut"])
    np.testing.assert_allclose(found, slow_prompts(small, design, learned, ["object", "metal nut"]), **EXACT)


def test_fixed_sentences(small):
    """Appendix A.2's CLIP: no vectors; learned tokens may still be there."""
    design = settled(small, Design(prompts="fixed", depth=1))
    texts = ["A photo of a normal nut", "A photo of an anomalous nut"]
    want = refclip.encode_text(small, texts, normalize=True)
    assert begin(small, design, 0) == Learned(None, None, ())
    np.testing.assert_allclose(embed_prompts(small, design, begin(small, design, 0), ["nut"])[0], want, **EXACT)
    deeper = design._replace(depth=3)
    found = embed_prompts(small, deeper, random_learned(small, deeper), ["nut"])[0]
    assert abs(found - want).max() > 0.01


def test_the_depth_of_another_tower(small, mini):
    assert settled(mini, Design()).depth == 3  # of 4 text blocks, as 9 of 12
    assert settled(small, Design()).depth == 2  # of 3
    assert settled(small, Design(depth=0)).depth == 0


def test_no_two_designs_say_the_same(small):
    found = []
    for options in ({}, {"tuning": "concatenate"}, {"depth": 1}, {"shared": True}, {"abnormal": "flawed"},
                    {"normal": "fine"}, {"position": "front"}, {"stop": False}, {"prompts": "fixed"}):  # fmt: skip
        design = settled(small, Design(**({"length": 4, "depth": 3, "tokens": 3} | options)))
        found.append(embed_prompts(small, design, random_learned(small, design), ["object"]))
    for i, x in enumerate(found):
        assert all(abs(x - y).max() > 1e-3 for y in found[:i])


def test_tokens_that_would_overwrite_the_end(small):
    design = settled(small, Design(length=1, depth=2, tokens=4))
    with pytest.raises(ValueError, match="would overwrite the end of a prompt of 5 tokens"):
        embed_prompts(small, design, begin(small, design, 0), ["object"])
    embed_prompts(small, design._replace(tuning="concatenate"), begin(small, design, 0), ["object"])
    with pytest.raises(ValueError, match="overwrite or concatenate"):
        settled(small, Design(tuning="add"))
    with pytest.raises(ValueError, match="learned or fixed"):
        settled(small, Design(prompts="none"))


@pytest.mark.parametrize("tuning", ["overwrite", "concatenate"])
def test_gradients_against_central_differences(small, tuning):
    design = settled(small, Design(length=3, depth=3, tokens=2, tuning=tuning))
    learned = random_learned(small, design)
    rng = np.random.default_rng(5)
    w = rng.normal(size=(2, 2, 48))
    arrays = [learned.normal, learned.abnormal, *learned.deep]

    def value(xs):
        return embed_prompts(small, design, Learned(xs[0], xs[1], tuple(xs[2:])), ["object", "nut"])

    tape = Tape()
    variables = [tape.var(x) for x in arrays]
    gradients = tape.backward(value(variables), variables, w)
    step = 1e-5
    for i, g in enumerate(gradients):
        assert np.linalg.norm(g) > 1e-3  # something to be wrong about
        for _ in range(2):
            u = rng.normal(size=g.shape)
            u /= np.linalg.norm(u)
            up, down = (value([x + s * step * u if i == j else x for j, x in enumerate(arrays)]) for s in (1, -1))
            numeric = ((up - down) * w).sum() / (2 * step)
            # step^2 times a third derivative of order 10, and 1e-16 / step of rounding on sums of order 10
            assert abs((g * u).sum() - numeric) < 1e-8 * max(1, np.linalg.norm(g)), i


def test_on_the_device(small):
    device = upload(small)
    for options in DESIGNS:
        design = settled(small, Design(**({"length": 4, "depth": 3, "tokens": 3} | options)))
        start = begin(small, design, 7)
        there = begin(device, design, 7)
        assert_same([x for x in (there.normal, there.abnormal, *there.deep) if x is not None],
                    [x for x in (start.normal, start.abnormal, *start.deep) if x is not None])  # fmt: skip
        assert_same([embed_prompts(device, design, there, ["nut"])], [embed_prompts(small, design, start, ["nut"])])
