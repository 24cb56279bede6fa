# %% [markdown] tags=["goals"]
# # 03 Attention variants: q-k, q-q, k-k, v-v
#
# CLIP was trained to describe whole pictures. Ask one of its patch tokens about its own place, and it answers for the
# whole picture: by the last block it has read everything. The papers' remedy needs no training. Beside the tower runs
# a second path, in which each token attends to itself and its like.
#
# **After it you can**
#
# - write the four variants, and say why q-q, k-k and v-v favour the diagonal;
# - measure how far a token reads, and how far a change spreads;
# - write the dual path, and hold it against the library;
# - compare maps honestly: one scale, one measure, several pictures.
#
# **You need** [01](01_clip_from_scratch.ipynb), and of [02](02_text.ipynb) that two prototypes stand for "normal" and
# "abnormal". **Time:** an hour to work through; running all cells takes about half a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** tokens `[b, n, d]` → (q, k, v) `[b, h, n, c]` → weights `[b, h, n, n]` of a pair (l, r) out of q, k, v
# → dual path `[b, n, d]` → patches `[b, g, e]` → p(abnormal) `[b, g]` → map `[b, H, W]`

# %%
import matplotlib.pyplot as plt
import numpy as np

import refclip
from refclip import figures, metrics, nn, prompts, toy, vit, zeroshot
from refclip.attention import VARIANTS, attention, attention_map, operands, project
from refclip.exercises import check, on
from refclip.preprocess import preprocess, to_model
from refclip.transformer import Dual
from refclip.transformer import block as run_block

figures.use_style()
clip = refclip.load("refclip-mini", dtype="float64")
v = clip.vision
depth, heads, grid = len(v.transformer.blocks), v.transformer.heads, v.grid
NAMES = ("biscuit", "terrazzo")
shots = {name: toy.category(name, seed=2, train=1, good=1, each=1, size=160).test for name in NAMES}
pictures = [
    shot for some in shots.values() for shot in some if shot.label
]  # damaged ones: a map's pixels have two classes
pixels, geometry = preprocess([shot.image for shot in pictures], clip.preprocess)
pixels = pixels.astype(np.float64)  # [b, 3, H, W]
print(len(pictures), "pictures:", [shot.defect for shot in pictures])

# %% [markdown]
# ## 1. Which two meet
#
# $$\mathrm{Attention}(l, r, v) = \mathrm{softmax}\!\left(\frac{l\, r^\top}{\sqrt c}\right) v, \qquad
# (l, r) \in \{(q, k), (q, q), (k, k), (v, v)\}$$
#
# The weights of the model stay what they are; what is read is always v. CLIP was trained with (q, k). AnoVL and
# Dual-Image Enhanced CLIP take (v, v); AnomalyCLIP studies (q, q), (k, k) and (v, v) and takes the last (its section
# 3.3).

# %% [markdown] tags=["exercise"]
# ### Exercise 1: the weights of a variant
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# For one head. `variant` is a name such as "v-v".


# %% tags=["exercise"]
def my_weights(q, k, v, variant):
    """[n, c] each -> [n, n], rows adding up to 1."""
    raise NotImplementedError


# %% tags=["check"]
x = vit.embed(v, pixels[:1])  # [1, n, d]
first = v.transformer.blocks[0]
qkv = project(nn.layer_norm(x, first.ln_1), first.attn)
c = x.shape[-1] // heads
head = [y[0, :, :c] for y in qkv]  # the first head: [n, c] each
check(
    "variants",
    my_weights,
    *(on(*head, name, gives=attention_map(*operands(qkv, name), heads)[0, 0]) for name in VARIANTS),
    atol=1e-10,
)

# %% [markdown] tags=["hint"]
# A dictionary `{"q": q, "k": k, "v": v}` and `variant.split("-")` give the two operands. The scale is $1/\sqrt c$ for
# each.


# %% tags=["solution"]
def my_weights(q, k, v, variant):
    """[n, c] each -> [n, n], rows adding up to 1."""
    left, right = ({"q": q, "k": k, "v": v}[name] for name in variant.split("-"))
    scores = left @ right.T / np.sqrt(left.shape[1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


# %% [markdown] tags=["predict"]
# ## 2. The diagonal
#
# With l = r, the score of a token with itself is $\lVert l_i \rVert^2 / \sqrt c$. By Cauchy and Schwarz no other
# token *of the same length* can score higher. **Predict:** will the weight that a token gives itself be near 1,
# somewhere, or near 1/n, for q-k and for the three others? Does being on top of a row mean having most of it?

# %% tags=["figure"]
out = refclip.encode_tokens(clip, pixels, trace=True)
own = {name: [] for name in VARIANTS}
for weights, trace in zip(v.transformer.blocks, out.trace, strict=True):
    projected = project(nn.layer_norm(trace.input, weights.ln_1), weights.attn)
    for name in VARIANTS:
        maps = attention_map(*operands(projected, name), heads)[:, :, 1:, 1:]  # [b, h, g, g]: patches only
        own[name].append(np.einsum("bhii->bhi", maps).mean())
figure, ax = figures.axes(width=8, height=3.8)
for (name, values), marker in zip(own.items(), "os^D", strict=True):
    ax.plot(range(1, depth + 1), values, marker + "-", label=name)
ax.axhline(1 / grid**2, color="black", linestyle=":", label="1 / g")
ax.set(xlabel="block", ylabel="weight of a patch on itself", yscale="log", ylim=(None, 1.5), xticks=range(1, depth + 1))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# How strongly the diagonal stands out depends on lengths as well: if q, k or v are long, softmax is sharp; if they
# are short, even the best score is one among many. "Diagonally prominent", AnomalyCLIP's word, does not say dominant.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: how far does a token read?
#
# *Difficulty 2 of 3, about 15 minutes.*
#
# For each patch, the mean distance (in patches, on the grid) to the patches that it reads, weighted by its weights: 0
# if it reads itself alone.


# %% tags=["exercise"]
def my_distance(weights, side):
    """Weights [g, g] of a square grid of `side`, rows adding up to 1 -> [g], in patches."""
    return None


# %% tags=["check"]
even = np.full((9, 9), 1 / 9)  # every patch reads all nine alike
corner, side, centre = 2 + 4 + 2**0.5 + 2 * 5**0.5 + 8**0.5, 5 + 2 * 2**0.5 + 2 * 5**0.5, 4 + 4 * 2**0.5
of_even = np.array([corner, side, corner, side, centre, side, corner, side, corner]) / 9
first_alone = np.eye(16)[np.zeros(16, int)]  # every patch reads the first
from_first = np.hypot(*np.divmod(np.arange(16), 4))
check(
    "distance",
    my_distance,
    on(even, 3, gives=of_even),
    on(np.eye(16), 4, gives=np.zeros(16)),
    on(first_alone, 4, gives=from_first),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# `np.divmod(np.arange(side * side), side)` gives each patch's row and column. Distances of all pairs by broadcasting:
# `row[:, None] - row[None, :]`. Then a sum over the patches that are read.


# %% tags=["solution"]
def my_distance(weights, side):
    """Weights [g, g] of a square grid of `side`, rows adding up to 1 -> [g], in patches."""
    row, column = np.divmod(np.arange(side * side), side)
    apart = np.hypot(row[:, None] - row[None, :], column[:, None] - column[None, :])  # [g, g]
    return (weights * apart).sum(axis=1)


# %% [markdown] tags=["predict"]
# ## 3. How far a change spreads
#
# Weights are one thing; what counts is what reaches a token by the end. So: paint *one* patch of a picture grey, and
# see which patch tokens change at the last block. **Predict** the picture for the original tower. Which tokens change
# most?


# %%
def last_patches(pixels, variant):
    """Patch tokens of the last block, of length 1, [b, g, e]. Variants other than q-k are a dual path from block 0."""
    dual = None if variant == "q-k" else Dual(variant, start=0)
    return refclip.encode_tokens(clip, pixels, layers=[depth], dual=dual, normalize=True).patches[depth]


p, at = v.patch_size, (grid // 2, grid // 2 + 3)
touched = pixels[:1].copy()
touched[:, :, at[0] * p : (at[0] + 1) * p, at[1] * p : (at[1] + 1) * p] = 0  # 0 is the mean of all colours

# %% tags=["figure"]
changes = {}
for name in ("q-k", "v-v"):
    before, after = last_patches(pixels[:1], name)[0], last_patches(touched, name)[0]  # [g, e]
    changes[name] = 1 - (before * after).sum(axis=-1).reshape(grid, grid)
figure, many = figures.axes(1, 3, width=13, height=3.9)
shown = np.moveaxis(touched[0], 0, -1) * clip.preprocess.std + clip.preprocess.mean
figures.picture(many[0], (255 * shown.clip(0, 1)).astype(np.uint8), "one patch is grey")
for ax, (name, change) in zip(many[1:], changes.items(), strict=True):
    title = f"{name}: {change[at] / change.sum():.0%} of the change is here"
    figures.heat_map(ax, np.log10(change.clip(1e-6)), title, scale="log10(1 - cosine)", vmin=-5, vmax=0)
    ax.plot(at[1], at[0], "+", color="white", markersize=10)
plt.show()

# %% [markdown]
# The scale is logarithmic: five colour steps are five powers of ten, as all but the patch itself would be black
# otherwise. Compare the shares in the titles. This is what "q-k smears" means: after a stack of blocks, whatever
# changes in one place is known in many. That is right for a caption and wrong for a map. Note that the second path is
# no clean cut either: it reads the *original* path's tokens, which have heard of everything, only more of its own than
# of others'.
#
# ## 4. The dual path
#
# $$x^{l} = \mathrm{Block}^{l}(x^{l-1}), \qquad
# y^{l} = y^{l-1} + \mathrm{Attention}_{vv}(\mathrm{LN}(x^{l-1})), \qquad y^{s} = x^{s}$$
#
# (Dual-Image Enhanced CLIP section 3.1, equation 4; AnomalyCLIP's DPAM.) The original path x is not touched: the
# class token and the image's score stay CLIP's. The second path y starts at some block s, takes attention only, no
# MLP, and is projected like any other tokens.

# %% [markdown] tags=["exercise"]
# ### Exercise 3: the dual path
#
# *Difficulty 3 of 3, about 20 minutes.*
#
# `run_block(x, weights, heads, activation)[0]` is one block of the original path, and
# `attention(qkv, weights.attn, heads, variant=...)` one attention. Put them together.


# %% tags=["exercise"]
def my_dual(x, blocks, heads, activation, variant, start):
    """Tokens [b, n, d] that enter the first block -> the dual path after the last, [b, n, d]. `start` counts from 0."""
    raise NotImplementedError


# %% tags=["check"]
x = vit.embed(v, pixels[:2])
arguments = (x, v.transformer.blocks, heads, v.transformer.activation)
check(
    "dual path",
    my_dual,
    *(
        on(
            *arguments,
            name,
            start,
            gives=refclip.encode_tokens(clip, pixels[:2], layers=[depth], dual=Dual(name, start)).taps[depth],
        )
        for name, start in (("v-v", 0), ("q-q", depth - 1), ("k-k", 2))
    ),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# In each block i, in this order: if `i == start`, the dual path begins as a copy of x. If it has begun, add attention
# on `project(nn.layer_norm(x, weights.ln_1), weights.attn)`, with x as it *enters* the block. Then let x go through
# the block.


# %% tags=["solution"]
def my_dual(x, blocks, heads, activation, variant, start):
    """Tokens [b, n, d] that enter the first block -> the dual path after the last, [b, n, d]. `start` counts from 0."""
    y = None
    for i, weights in enumerate(blocks):
        if i == start:
            y = x
        if y is not None:
            qkv = project(nn.layer_norm(x, weights.ln_1), weights.attn)
            y = y + attention(qkv, weights.attn, heads, variant=variant)
        x = run_block(x, weights, heads, activation)[0]
    return y


# %% [markdown]
# ## 5. Maps side by side
#
# Each patch token is compared with the two prototypes of [02](02_text.ipynb), which gives p(abnormal) for every patch.

# %%
words = {
    name: zeroshot.prototypes(clip, prompts.compose(name, prompts.WINCLIP_STATES, prompts.WINCLIP_TEMPLATES_A))
    for name in NAMES
}
text = np.stack([words[name] for name in NAMES for shot in shots[name] if shot.label])  # [b, 2, e]
patches = {name: last_patches(pixels, name) for name in VARIANTS}
probability = {
    name: np.stack([zeroshot.p_abnormal(x, t, 0.07) for x, t in zip(every, text, strict=True)]).reshape(-1, grid, grid)
    for name, every in patches.items()
}  # [b, grid, grid] each

# %% [markdown] tags=["predict"]
# **Predict.** Which of the four maps will follow the outline of the defect best? All of one picture are on one scale.

# %% tags=["figure"]
some = (0, len(pictures) // 2, len(pictures) - 1)
figure, many = figures.axes(len(some), 5, width=15, height=3 * len(some))
for row, i in enumerate(some):
    figures.picture(many[row, 0], pictures[i].image, f"{pictures[i].defect}")
    figures.outline(many[row, 0], pictures[i].mask)
    low = min(m[i].min() for m in probability.values())
    high = max(m[i].max() for m in probability.values())
    for ax, (name, m) in zip(many[row, 1:], probability.items(), strict=True):
        figures.heat_map(ax, m[i], name, scale="p(abnormal)", vmin=low, vmax=high, bar=name == "v-v")
plt.show()

# %% [markdown]
# Three pictures prove nothing, and the eye is easily pleased. So, for every picture, the share of pairs of a damaged
# and a flawless patch that are in the right order (AUROC, see [09](09_metrics.ipynb)); a patch is damaged if a
# quarter of it is, or, where the defect is thin, half as much as its fullest patch.

# %% tags=["figure"]
truth = []
for shot, place in zip(pictures, geometry, strict=True):
    mask = to_model(shot.mask, place, "box")  # [H, W], as the tower sees the picture
    share = mask.reshape(grid, v.patch_size, grid, v.patch_size).mean(axis=(1, 3))  # [grid, grid], of each patch
    truth.append(share > min(0.25, share.max() / 2))
each = {name: [metrics.auroc(m[i], truth[i]) for i in range(len(pictures))] for name, m in probability.items()}
figure, ax = figures.axes(width=8.5, height=3.8)
for i, values in enumerate(each.values()):
    ax.plot([i] * len(values), values, "o", color=figures.COLOURS["blue"], alpha=0.5)
    ax.plot([i - 0.2, i + 0.2], [np.mean(values)] * 2, color=figures.COLOURS["vermilion"])
    ax.text(i + 0.25, np.mean(values), f"{np.mean(values):.2f}", va="center", backgroundcolor="white")
ax.axhline(0.5, color="black", linestyle=":")
ax.set(ylabel="AUROC of a picture's patches", ylim=(0, 1.02), xlim=(-0.5, 3.7))
ax.set_xticks(range(4), list(each))
plt.show()
best = max(each, key=lambda name: np.mean(each[name]))
print(f"{len(pictures)} pictures; best mean: {best}")

# %% [markdown]
# Blue points are pictures, red lines their means, the dotted line is chance. The three variants with l = r are far
# above q-k, as the papers found of CLIP. Their own means lie close together, the pictures half the scale apart: a dozen
# does not order the three, and another draw (`seed=3` in the first cell) may print another name as best. Compare with
# your prediction, and mind that a mean over a dozen drawn pictures says little about photographs.
#
# **A failure, that depends on the model.** Below 0.5 a map is worse than a coin: damaged pixels score *lower*.
# AnomalyCLIP's appendix prints a pixel AUROC of 38.4 % for plain CLIP on MVTec AD. Count such pictures here:

# %%
for name, values in each.items():
    print(f"{name}: {sum(x < 0.5 for x in values)} of {len(values)} pictures below 0.5")

# %% [markdown] tags=["exercise"]
# ### Exercise 4: where to start
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# AnomalyCLIP replaces attention from the 6th of 24 blocks on. `Dual(start=...)` counts from 0. For a tower of another
# depth the same *fraction* of the blocks keeps its plain attention, rounded to the nearest whole number, and at least
# the last block is replaced.


# %% tags=["exercise"]
def my_start(depth):
    """Number of blocks -> the first that has the dual path, counted from 0."""
    raise NotImplementedError


# %% tags=["check"]
check("start", my_start, on(24, gives=5), on(12, gives=2), on(6, gives=1), on(48, gives=10), on(1, gives=0))

# %% [markdown] tags=["hint"]
# The 6th block is number 5 counted from 0, so 5 of 24 blocks stay plain: `round(depth * 5 / 24)`. (Python rounds a
# half to the even neighbour: 12 * 5 / 24 = 2.5 gives 2.)


# %% tags=["solution"]
def my_start(depth):
    """Number of blocks -> the first that has the dual path, counted from 0."""
    return min(round(depth * 5 / 24), depth - 1)


# %% tags=["figure"]
scores = []
for start in range(depth):
    x = refclip.encode_tokens(clip, pixels, layers=[depth], dual=Dual("v-v", start), normalize=True).patches[depth]
    m = np.stack([zeroshot.p_abnormal(y, t, 0.07) for y, t in zip(x, text, strict=True)]).reshape(-1, grid, grid)
    scores.append(np.mean([metrics.auroc(m[i], truth[i]) for i in range(len(pictures))]))
figure, ax = figures.axes(width=8, height=3.4)
ax.plot(range(1, depth + 1), scores, "o-", label="v-v")
ax.axhline(np.mean(each["q-k"]), color=figures.COLOURS["orange"], linestyle="--", label="q-k, no dual path")
ax.set(xlabel="first block (from 1) with the dual path", ylabel="mean AUROC of patches", xticks=range(1, depth + 1))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## What to remember
#
# - A variant is a choice of which two of q, k, v meet. What is read is always v, and nothing is trained.
# - l = r puts each token on top of its own row. How far on top, lengths decide.
# - The dual path leaves the class token alone; maps come from y, scores of images from x.
# - Where it starts is a choice: papers differ, the last block alone gave least here, and a fraction of the depth is how
#   the choice carries over to another tower.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. In the v-v variant: which two make the scores, which one is read, and what had to be trained for it? (section 1)
# 2. "With v-v every token reads itself most." When is that false? (section 2)
# 3. Which of the two paths has an MLP, and which one gives the picture's score? (section 4)
# 4. The AUROC of a map is 0.3. Why may you not just turn it round? (section 5)
#
# <details>
# <summary>Answers</summary>
#
# 1. v and v; v; nothing.
# 2. When another token's v is longer and points nearly the same way: then $v_i \cdot v_j > \lVert v_i \rVert^2$.
# 3. The original path, for both. The second takes attention only, and gives the patches of the map.
# 4. That it has to be turned was learned from the masks. On the next category it may be the other way round.
#
# </details>
#
# ### Further reading
#
# - Zhou, Loy and Dai 2022, "Extract free dense labels from CLIP" (MaskCLIP), section 3: the last block without queries
#   and keys.
# - Li et al. 2023, "A closer look at the explainability of contrastive language-image pre-training" (CLIP Surgery):
#   v-v, and the second path.
# - Zhou et al. 2024, "AnomalyCLIP", section 3.3 and appendix C: the variants compared.
# - Zhang et al. 2024, "Dual-Image Enhanced CLIP", section 3.1: equation 4.
# - Here: `refclip/attention.py` and the `Dual` of `transformer.py`.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_large_patch14_clip_336.openai open_clip_model.safetensors open_clip_config.json --local-dir l14
# ```
#
# and `clip = refclip.load("l14")` in the first cell (the comparisons to 1e-9 need `dtype="float64"`, and patience).
# AnomalyCLIP runs it at 518 pixels: `clip = clip._replace(preprocess=clip.preprocess._replace(size=(518, 518)))`, a
# grid of 37, with `interpolation="bilinear", antialias=False` in `encode_tokens` as its code has it. Use photographs
# with masks in place of `refclip.toy`. Expect q-k maps near or below chance and v-v maps clearly above, as the papers
# report and as the small model shows too.
