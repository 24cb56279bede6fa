# %% [markdown] tags=["goals"]
# # 02 Text: tokens, the causal tower, prompts, ensembles
#
# A zero-shot detector is told what to look for in words. This notebook follows the words: into tokens, through CLIP's
# text tower, out as one vector, and on to the two prototypes, "normal" and "abnormal", that every method of this course
# compares pictures with.
#
# **After it you can**
#
# - merge a word into CLIP's tokens by hand, and say what the tokenizer throws away;
# - write the causal mask, and say why the tower may stop at the end-of-text token;
# - compose WinCLIP's prompt ensemble and average it the two ways that published programs do;
# - measure how much of a result rests on the choice of words.
#
# **You need** attention as in [01](01_clip_from_scratch.ipynb). **Time:** an hour to work through; running all cells
# takes about half a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** text → pieces → ids `[b, 77]` → vectors `[b, n, d]` → causal blocks `[b, n, d]` → the end-of-text token
# `[b, d]` → embedding `[b, e]`; prompts `[k, e]` → mean → two prototypes `[2, e]`
#
# with `b` texts, `n` tokens of width `d`, `h` heads of width `c`, `k` prompts of a state, `e` the width that texts
# share with pictures.

# %%
import gzip
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np

import refclip
from refclip import figures, metrics, nn, prompts, toy, zeroshot
from refclip.attention import project, split_heads
from refclip.exercises import check, on
from refclip.preprocess import preprocess
from refclip.text import Text, embed_tokens, end_of_text, text_tower
from refclip.tokenizer import EOT, SOT, decode, encode, tokenize
from refclip.transformer import Block, Stack, mlp

figures.use_style()
clip = refclip.load("refclip-mini", dtype="float64")
t = clip.text
t

# %% [markdown]
# ## 1. Text becomes tokens
#
# CLIP knows 49,408 tokens: pieces of words that are frequent in English on the web. A space after a piece is part of
# it.

# %%
for text in ("a photo of a flawless hazelnut", "A PHOTO  of a metal_nut", "unblemished", "240 px", "naïve 螺母"):
    ids = encode(text)
    print(f"{text!r:38}", [decode([i]) for i in ids])

# %% [markdown]
# Look at what is lost and what is not: capitals and double spaces are gone; a name with an underscore, as folders of
# data sets have it, is three pieces; digits stand alone; a letter without a token of its own falls into bytes (the
# pieces that print as a replacement character are a part of a letter).
#
# ### How a word is merged
#
# Byte-pair encoding starts from single letters. A list of pairs, the most frequent first, says what may be joined.
# Again and again the neighbours that stand *first in the list* are joined, until no neighbours are in it. The last
# letter carries a mark for the end of the word, `</w>`.

# %%
packed = files("refclip") / "assets" / "bpe_simple_vocab_16e6.txt.gz"
lines = gzip.decompress(packed.read_bytes()).decode().split("\n")[1:48895]
rank = {tuple(line.split()): i for i, line in enumerate(lines)}  # (left, right) -> place in the list, 0 first
print("the first pairs:", list(rank)[:6])

# %% [markdown] tags=["predict"]
# **Predict.** `("i", "n")` is the first pair of the list. Which letters of "thinking" are joined first, second, third?
# Does it matter whether one goes from left to right?

# %% [markdown] tags=["exercise"]
# ### Exercise 1: byte-pair encoding
#
# *Difficulty 3 of 3, about 20 minutes.*
#
# Merge a word. If a pair occurs more than once, join all of its occurrences, from the left.


# %% tags=["exercise"]
def my_pieces(word, rank):
    """'cat' -> ('c', 'a', 't</w>') merged as far as `rank` says, a tuple of str."""
    raise NotImplementedError


# %% tags=["check"]
toy_rank = {("a", "b"): 0, ("ab", "c</w>"): 1, ("b", "c</w>"): 2, ("a", "a"): 3}


def library_pieces(word):
    """What the library makes of it, with the mark for the end of a word."""
    return tuple(decode([i]).replace(" ", "</w>") for i in encode(word))


check(
    "byte-pair encoding",
    my_pieces,
    on("abc", toy_rank, gives=("abc</w>",)),
    on("aabab", toy_rank, gives=("a", "ab", "a", "b</w>")),
    *(on(word, rank, gives=library_pieces(word)) for word in ("hazelnut", "unblemished", "thinking", "a")),
)

# %% [markdown] tags=["hint"]
# Keep a list of pieces. In each round, of all neighbours `(pieces[i], pieces[i + 1])` that are in `rank`, take the pair
# with the smallest rank: `min(pairs, key=...)`. Build a new list in which it is joined wherever it occurs. Stop when no
# neighbours are in `rank`.
#
# <details>
# <summary>Second hint</summary>
#
# The start: `[*word[:-1], word[-1] + "</w>"]`. Building the new list wants a `while` with an index that goes on by 2
# where the pair was joined, and by 1 elsewhere: with `for`, "aaa" would use its middle letter twice.
#
# </details>


# %% tags=["solution"]
def my_pieces(word, rank):
    """'cat' -> ('c', 'a', 't</w>') merged as far as `rank` says, a tuple of str."""
    pieces = [*word[:-1], word[-1] + "</w>"]
    while True:
        pairs = [pair for pair in zip(pieces, pieces[1:], strict=False) if pair in rank]
        if not pairs:
            return tuple(pieces)
        best = min(pairs, key=rank.get)  # first in the list, wherever it stands in the word
        joined, i = [], 0
        while i < len(pieces):
            if tuple(pieces[i : i + 2]) == best:
                joined.append(pieces[i] + pieces[i + 1])
                i += 2  # both letters are used up
            else:
                joined.append(pieces[i])
                i += 1
        pieces = joined


# %% [markdown]
# <details>
# <summary>How "thinking" is merged</summary>
#
# `t h i n k i n g</w>`: in (twice, in one round), th, ing, king, thin, thinking. So k joins "ing" long before "th"
# joins "in": nobody who goes from left to right would make "king" of it. The list decides, not the place.
#
# </details>
#
# ### The row that the tower reads
#
# Start of text, the pieces, end of text, then zeros up to 77. Zero is also the id of "!", but as you will see nobody
# looks there.

# %%
texts = ["damaged", "a photo of a flawless hazelnut", "a close-up photo of the metal nut with a scratch."]
ids = tokenize(texts)  # [3, 77]
print(ids.shape, "start", SOT, "end", EOT)
print(ids[:, :15])
print("end of text at", end_of_text(ids))

# %% [markdown]
# **A failure.** What is longer than 77 tokens is cut, without a word, as in open_clip. A long description of a defect
# may lose the defect. `too_long="error"` refuses instead.

# %%
long = "a photo of a hazelnut " + "which lies on a table " * 15 + "with a deep scratch"
print("the scratch is still there:", "scratch" in decode(tokenize(long)[0]))

# %% [markdown]
# ## 2. The causal tower
#
# Token embeddings plus position embeddings, then blocks as in 01, with one difference. Under the causal mask a token
# reads only itself and what stands before it:
#
# $$\mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt c} + M\right) V, \qquad
# M_{ij} = \begin{cases} 0 & j \le i \\ -\infty & j > i \end{cases}$$
#
# (Radford et al. 2021, section 2.4, keep the mask so that a language model's weights could be used.) $e^{-\infty} =
# 0$: a weight of exactly nothing.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: the mask
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_causal_mask(n):
    """[n, n] of float64: 0 where token i (row) may read token j (column), -inf elsewhere."""
    return None


# %% tags=["check"]
inf = np.inf
check(
    "causal mask",
    my_causal_mask,
    on(3, gives=np.array([[0, -inf, -inf], [0, 0, -inf], [0, 0, 0]])),
    on(1, gives=np.zeros((1, 1))),
)

# %% [markdown] tags=["hint"]
# `np.arange(n)[:, None]` is a column of row numbers, `np.arange(n)[None, :]` a row of column numbers; comparing them
# gives `[n, n]`. `np.where(condition, a, b)`. (Not `np.tril(...) * -inf`: 0 times infinity is NaN.)


# %% tags=["solution"]
def my_causal_mask(n):
    """[n, n] of float64: 0 where token i (row) may read token j (column), -inf elsewhere."""
    row, column = np.arange(n)[:, None], np.arange(n)[None, :]
    return np.where(column <= row, 0.0, -np.inf)


# %% [markdown]
# The tower, written out. Only the mask and the last line differ from 01: the answer is read off at the end-of-text
# token, the only one that has heard the whole text.


# %%
def softmax(x):
    """Over the last axis."""
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def tower(t, ids):
    """One row of ids [n] -> (embedding [e], the attention weights of each block [h, n, n])."""
    n = len(ids)
    seen = np.arange(n)[:, None] >= np.arange(n)[None, :]  # [n, n]
    x = t.token_embedding[ids] + t.positional_embedding[:n]  # [n, d]
    maps = []
    for block in t.transformer.blocks:
        qkv = project(nn.layer_norm(x, block.ln_1)[None], block.attn)
        q, k, value = (split_heads(y, t.transformer.heads)[0] for y in qkv)  # [h, n, c] each
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])  # [h, n, n]
        weights = softmax(np.where(seen, scores, -np.inf))
        heard = (weights @ value).transpose(1, 0, 2).reshape(n, -1)  # [n, d]
        x = x + heard @ block.attn.out_proj.weight.T + block.attn.out_proj.bias
        x = x + mlp(nn.layer_norm(x, block.ln_2), block, t.transformer.activation)
        maps.append(weights)
    return nn.layer_norm(x[ids.argmax()], t.ln_final) @ t.text_projection, maps


mine = np.stack([tower(t, row)[0] for row in ids])  # [3, e]
np.testing.assert_allclose(mine, refclip.encode_text(clip, texts), rtol=0, atol=1e-10)
print("the tower agrees with the library to 1e-10")

# %% tags=["figure"]
words = [decode([i]).strip() for i in ids[1, : ids[1].argmax() + 1]]
words[0], words[-1] = "start", "end"
maps = tower(t, ids[1])[1]
n = len(words)
figure, many = figures.axes(1, 3, width=13, height=4.6)
for ax, layer in zip(many, (0, len(maps) // 2, len(maps) - 1), strict=True):
    shown = maps[layer].mean(axis=0)[:n, :n]  # over heads
    shown = np.where(np.tril(np.ones((n, n))) > 0, shown, np.nan)  # hidden by the mask: left white
    figures.heat_map(ax, shown, f"block {layer + 1}", scale="weight, mean of heads", vmin=0, vmax=1, bar=ax is many[-1])
    ax.set_xticks(range(n), words, rotation=60, ha="right")
    ax.set_yticks(range(n), words if ax is many[0] else [])
plt.show()

# %% [markdown]
# A row is a token that reads, a column one that is read; white is hidden by the mask. The start can read itself alone,
# so its weight is 1 in every block. The embedding is read off the last row: which words did the end hear in the first
# block, and which in the last?

# %% [markdown] tags=["predict"]
# **Predict.** Replace everything *after* the end-of-text token by other tokens. How much does the embedding change? And
# if the first word is replaced? What does the answer mean for the cost of a prompt of 9 tokens in a tower of 77?

# %%
other = ids[1].copy()
other[ids[1].argmax() + 1 :] = 320  # "a", many times
print("after the end:", np.abs(tower(t, other)[0] - mine[1]).max())
other = ids[1].copy()
other[1] = encode("the")[0]
print("first word:", f"{np.abs(tower(t, other)[0] - mine[1]).max():.2g}")

# %% [markdown]
# Exactly nothing. So the library cuts each batch of texts behind the last end-of-text token: a WinCLIP prompt has 8
# to 16 tokens of 77, and most of the work is not done at all. ([10](10_fast_numpy.ipynb) measures it.)
#
# ### Against open_clip
#
# As in 01: the text tower of a very small CLIP with random weights, and what open_clip answers, in float64.

# %%
from refclip.attention import Attention
from refclip.nn import LayerNorm, Linear

with np.load("answers/open_clip_tiny.npz") as stored:
    theirs, their_ids, their_texts = stored["text"], stored["ids"], [str(x) for x in stored["texts"]]
    w = {
        name.removeprefix("weights/"): stored[name].astype(np.float64)
        for name in stored.files
        if name.startswith("weights/")
    }


def pair(kind, name, join="."):
    return kind(w[f"{name}{join}weight"], w[f"{name}{join}bias"])


tiny = Text(
    w["token_embedding.weight"],
    w["positional_embedding"],
    Stack(
        tuple(
            Block(
                pair(LayerNorm, f"{at}.ln_1"),
                Attention(pair(Linear, f"{at}.attn.in_proj", "_"), pair(Linear, f"{at}.attn.out_proj")),
                pair(LayerNorm, f"{at}.ln_2"),
                pair(Linear, f"{at}.mlp.c_fc"),
                pair(Linear, f"{at}.mlp.c_proj"),
            )
            for at in ("transformer.resblocks.0", "transformer.resblocks.1")
        ),
        heads=2,
        activation="gelu",
    ),
    pair(LayerNorm, "ln_final"),
    w["text_projection"],
)
np.testing.assert_array_equal(tokenize(their_texts), their_ids)  # the tokenizer first
mine = np.stack([tower(tiny, row)[0] for row in their_ids])  # [4, e]
print("largest difference from open_clip:", f"{np.abs(mine - theirs).max():.0e}")
np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10)  # float64: the order of summation is left

# %% [markdown] tags=["exercise"]
# ### Exercise 3: where to read
#
# *Difficulty 2 of 3, about 5 minutes.*
#
# The end-of-text token has the largest id of all, which is how CLIP finds it. Given the last block's output and the
# ids, take out the tokens at the end of each text. (A common slip is to take the last of the 77: it runs, and every
# prompt is then read through its padding.)


# %% tags=["exercise"]
def my_pool(x, ids):
    """[b, n, d] and [b, n] -> [b, d]."""
    raise NotImplementedError


# %% tags=["check"]
blocks_out = np.random.default_rng(1).standard_normal((3, 77, 5))
check(
    "pooling",
    my_pool,
    on(blocks_out, ids, gives=np.stack([blocks_out[i, list(ids[i]).index(EOT)] for i in range(3)])),
    atol=0,
)

# %% [markdown] tags=["hint"]
# `x[:, ends]` with `ends` of shape `[b]` gives every end of every text, `[b, b, d]`. What is wanted is for text 0 its
# own end, for text 1 its own: give both indices, `x[np.arange(b), ends]`.


# %% tags=["solution"]
def my_pool(x, ids):
    """[b, n, d] and [b, n] -> [b, d]."""
    return x[np.arange(len(ids)), ids.argmax(axis=1)]  # text 0 at its end, text 1 at its own


# %%
trace = text_tower(t, embed_tokens(t, ids), end_of_text(ids), trace=True)[1]
last = nn.normalize(nn.layer_norm(trace[-1].output[:, -1], t.ln_final) @ t.text_projection)
good = refclip.encode_text(clip, texts, normalize=True)
print("read at place 76 instead of the end: cosine to the right answer", (last * good).sum(axis=1).round(3))

# %% [markdown]
# ## 3. Words for normal and abnormal
#
# WinCLIP (section 4.1) sets state words ("flawless {}", "{} with defect") into templates for the photograph ("a blurry
# photo of the {}."). Every state in every template: the **compositional prompt ensemble**.

# %% [markdown] tags=["exercise"]
# ### Exercise 4: compose
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# Braces in a state stand for the object's name, in a template for the state. State by state.


# %% tags=["exercise"]
def my_compose(name, states, templates):
    """('cork', ['flawless {}'], ['a photo of a {}.']) -> ['a photo of a flawless cork.'], a list of str."""
    raise NotImplementedError


# %% tags=["check"]
states, templates = prompts.WINCLIP_STATES, prompts.WINCLIP_TEMPLATES_A
composed = prompts.compose("hazelnut", states, templates)
check(
    "compose",
    my_compose,
    on("hazelnut", states.normal, templates, gives=list(composed.normal)),
    on("hazelnut", states.abnormal, templates, gives=list(composed.abnormal)),
)
print("the library composes", len(composed.normal), "normal and", len(composed.abnormal), "abnormal prompts")

# %% [markdown] tags=["hint"]
# Two loops, states outside. `"{} with defect".replace("{}", "hazelnut")`.


# %% tags=["solution"]
def my_compose(name, states, templates):
    """('cork', ['flawless {}'], ['a photo of a {}.']) -> ['a photo of a flawless cork.'], a list of str."""
    return [template.replace("{}", state.replace("{}", name)) for state in states for template in templates]


# %% [markdown] tags=["predict"]
# **Predict.** Which two are nearer to each other in this space: "a flawless hazelnut" and "a damaged hazelnut", or "a
# flawless hazelnut" and "a flawless zipper"? What would be best for a detector, and what for a search engine?

# %% tags=["figure"]
names = ("hazelnut", "zipper", "cork", "leather")
phrases = [f"a photo of a {state} {name}" for name in names for state in ("flawless", "damaged")]
unit = refclip.encode_text(clip, phrases, normalize=True)  # [8, e]
cosines = unit @ unit.T  # [8, 8]
short = [p.removeprefix("a photo of a ") for p in phrases]
figure, ax = figures.axes(width=8.5, height=6.2)
figures.heat_map(ax, cosines, "cosines between prompts", scale="cosine", vmin=-1, vmax=1, signed=True)
ax.set_xticks(range(8), short, rotation=45, ha="right")
ax.set_yticks(range(8), short)
for i in range(8):
    for j in range(8):
        ax.text(
            j,
            i,
            f"{cosines[i, j]:.2f}",
            ha="center",
            va="center",
            fontsize=10,
            color="white" if abs(cosines[i, j]) > 0.6 else "black",
        )
plt.show()

# %%
state = np.mean([cosines[2 * i, 2 * i + 1] for i in range(4)])
thing = np.mean([cosines[2 * i, 2 * j] for i in range(4) for j in range(4) if i != j])
print(f"same thing, other state: {state:.2f}; same state, other thing: {thing:.2f}")

# %% [markdown]
# If the first number is the larger one, a prompt's name says more about where it lies than its state does. A search
# engine wants that: pictures of zippers together. A detector would rather have it the other way round, and lives with
# it by comparing within one name only: "flawless zipper" against "damaged zipper", for pictures of zippers. (A name
# that training never read says little: for this model hazelnut and cork are such names, and nearly one thing.)
#
# ## 4. One prototype for each state
#
# $$g_s = \frac{\bar t_s}{\lVert \bar t_s \rVert}, \qquad \bar t_s = \frac1{k}\sum_{i=1}^{k} t_{s,i}, \qquad
# p(\text{abnormal} \mid x) = \frac{e^{\langle f(x), g_a\rangle / \tau}}{e^{\langle f(x), g_n\rangle / \tau} +
# e^{\langle f(x), g_a\rangle / \tau}}$$
#
# (WinCLIP section 4.1 and equation 1.) "We compute the average of text embeddings": of embeddings as they come, or
# each scaled to length 1 first? The paper does not say; published WinCLIP code averages as they come, CLIP's own
# ensembles scale first. So it is an option here, `normalize_prompts`.

# %% [markdown] tags=["exercise"]
# ### Exercise 5: prototypes
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_prototype(embeddings, normalize_first):
    """[k, e] -> [e] of length 1."""
    return None


# %% tags=["check"]
embedded = refclip.encode_text(clip, list(composed.normal))  # [147, e]
check(
    "prototype",
    my_prototype,
    on(embedded, False, gives=zeroshot.prototypes(clip, composed)[0]),
    on(embedded, True, gives=zeroshot.prototypes(clip, composed, normalize_prompts=True)[0]),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Length: `np.linalg.norm(x, axis=-1, keepdims=True)`. A mean of unit vectors is shorter than 1, so it is scaled again
# in either case.


# %% tags=["solution"]
def my_prototype(embeddings, normalize_first):
    """[k, e] -> [e] of length 1."""
    if normalize_first:
        embeddings = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    mean = embeddings.mean(axis=0)
    return mean / np.linalg.norm(mean)


# %%
for normalize_first in (False, True):
    g = zeroshot.prototypes(clip, composed, normalize_prompts=normalize_first)
    print(f"scaled first: {normalize_first!s:5}  cosine of the two prototypes {g[0] @ g[1]:.4f}")
lengths = np.linalg.norm(embedded, axis=1)
print(f"lengths of the prompts' embeddings: {lengths.min():.2f} to {lengths.max():.2f}")

# %% [markdown] tags=["predict"]
# ## 5. How much rests on the words?
#
# Below, pictures of one thing of `refclip.toy`, ten flawless and twenty-four damaged, are scored by each pair of one
# normal and one abnormal prompt *alone*, and by the ensemble of all of them. **Predict:** how far apart will the best
# and the worst single pair be, in AUROC? Will the ensemble beat the best pair, the typical one, or neither?

# %%
washer = toy.category("washer", seed=1, train=1, good=10, each=4, size=160)
pixels, _ = preprocess([shot.image for shot in washer.test], clip.preprocess)
labels = np.array([shot.label for shot in washer.test])
features = refclip.encode_image(clip, pixels, normalize=True)  # [34, e]
composed = prompts.compose("washer", states, templates)
unique = {side: list(dict.fromkeys(getattr(composed, side))) for side in ("normal", "abnormal")}  # one stands twice
single = {side: features @ refclip.encode_text(clip, texts, normalize=True).T for side, texts in unique.items()}
pairs = np.array(
    [[metrics.auroc(a - b, labels) for b in single["normal"].T] for a in single["abnormal"].T]
)  # [abnormal, normal]; softmax of two goes with the difference of their cosines
g = zeroshot.prototypes(clip, composed)
ensemble = metrics.auroc(zeroshot.p_abnormal(features, g, 0.07), labels)

# %% tags=["figure"]
figure, ax = figures.axes(width=10.5, height=3.8)
ax.hist(pairs.ravel(), bins=40, color=figures.COLOURS["sky"])
ax.axvline(ensemble, color=figures.COLOURS["vermilion"], label=f"ensemble: {ensemble:.2f}")
ax.axvline(0.5, color="black", linestyle=":", label="chance")
ax.set(
    yscale="log",  # or the rarest values could not be seen beside the most frequent
    xlabel="image AUROC of one pair of prompts",
    ylabel="pairs (powers of ten)",
    title=f"{pairs.size:,} pairs of prompts, the same {len(labels)} pictures",
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print(f"pairs: {pairs.min():.2f} to {pairs.max():.2f}; the ensemble beats {(ensemble > pairs).mean():.0%} of them")
for which, place in (("best", pairs.argmax()), ("worst", pairs.argmin())):
    i, j = np.unravel_index(place, pairs.shape)
    print(f"{which:6} {pairs[i, j]:.2f}  {unique['normal'][j]!r} / {unique['abnormal'][i]!r}")
for said in (s.replace("{}", "washer") for s in states.abnormal):
    some = pairs[[said in text for text in unique["abnormal"]]]  # one state in every template
    print(f"{said:18} {some.min():.2f} to {some.max():.2f}, median {np.median(some):.2f}")
kept_back = np.outer(["with flaw" in text for text in unique["abnormal"]],
                     ["unblemished" in text for text in unique["normal"]])  # fmt: skip
print(f"worse than chance: {(pairs < 0.5).sum()} pairs, unblemished / with flaw: {(pairs < 0.5)[kept_back].sum()}")

# %% [markdown]
# Thousands of detectors that differ in one sentence, on the same pictures: the spread is what a choice of words is
# worth. (Heights are in powers of ten: a bar one step lower holds a tenth of the pairs.) Read the best and the worst
# pair aloud: would you have guessed which is which? The best is known only with the labels in sight; picking it is
# picking by the answer. The ensemble is what one gets without peeking. Here it does not beat the best pair, and is
# as good as the typical one. On 34 pictures the AUROC itself is uncertain by about 0.1, so do not read a ranking of
# words from this figure either.
#
# And mind whose spread it is: this small model was trained on captions in most of these words, until they meant the
# same to it. A few were kept back from it, "unblemished" and "with flaw" among them, and a word that was never learned
# may mean anything: the heap on the left is made of pairs of these two (the last line counts them), and so is the best
# pair of all; in a close-up photo they mean one thing, in a cropped photo another. A pretrained CLIP met each of the
# words in other company; its spread on photographs is yours to measure.
#
# ## What to remember
#
# - Tokens are pieces of lower-case words. Long texts are cut in silence.
# - The mask makes the end-of-text token the only one that has heard everything, and everything after it free to drop.
# - Two prototypes are means over prompts. How the mean is taken differs between programs; say which you took.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. What arrives in the tower of "Metal_Nut", and what of a description of 90 tokens? (section 1)
# 2. Why may the tower stop behind the end-of-text token, and why is its answer read there? (section 2)
# 3. Why is "flawless zipper" held against "damaged zipper", and not against "damaged cork"? (section 3)
# 4. Two programs have the same prompts and the same weights, and their prototypes differ in the third decimal. What do
#    you ask? (section 4)
# 5. A paper reports the best of a hundred prompts. What is missing? (section 5)
#
# <details>
# <summary>Answers</summary>
#
# 1. `metal`, `_`, `nut`, without the capitals; and its first 75 tokens, between start and end, in silence.
# 2. Under the mask nothing before the end can read what is behind it; and the end alone has read the whole text.
# 3. The name moves a prompt as well. Within one name the state is the only difference left.
# 4. Whether each embedding was scaled to length 1 before the mean.
# 5. Whose labels chose it. On the pictures that it was chosen on, the best of many is too good.
#
# </details>
#
# ### Further reading
#
# - Sennrich et al. 2016, "Neural machine translation of rare words with subword units", section 3.2: byte-pair
#   encoding.
# - Radford et al. 2021 (CLIP), section 2.4 for the text tower, 3.1.4 for prompts and ensembles of them.
# - Jeong et al. 2023, "WinCLIP", section 4.1: the compositional ensemble.
# - Zhou et al. 2022, "Learning to prompt for vision-language models" (CoOp): words replaced by vectors, as in
#   [06](06_anomalyclip.ipynb).
# - Yuksekgonul et al. 2023, "When and why vision-language models behave like bags-of-words, and what to do about it".
# - Here: `refclip/tokenizer.py`, `text.py`, `prompts.py`, `zeroshot.py`.
#
# Next: [03 attention variants](03_attention_variants.ipynb) brings words to patches; [09 metrics](09_metrics.ipynb)
# says what AUROC hides.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_base_patch16_plus_clip_240.laion400m_e31 open_clip_model.safetensors open_clip_config.json \
#     --local-dir plus240
# ```
#
# and `clip = refclip.load("plus240")` in the first cell (with `dtype="float64"` for the comparisons to 1e-10; float32
# agrees to about 1e-5). Its text tower has 12 blocks, width 640 and 10 heads; the 231 prompts take a few seconds.
# With `timm/vit_large_patch14_clip_336.openai`, the activation is QuickGELU: `refclip.load` takes it from the
# configuration, and `tower` above from the model. Use photographs instead of `refclip.toy`, which no pretrained CLIP
# has seen the like of.
