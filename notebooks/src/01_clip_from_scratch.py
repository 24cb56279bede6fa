# %% [markdown] tags=["goals"]
# # 01 CLIP's image tower from scratch
#
# You will build the image tower of CLIP from arrays: one step a cell, first as a loop that says what is meant, then as
# a product that is fast, and each step held against the library. At the end the whole tower, written here in forty
# lines, is held against what **open_clip** (the torch program everyone uses) answered on the same weights.
#
# **After it you can**
#
# - say what a patch, a token, a head and a block are, with their shapes;
# - write attention as a loop and as two matrix products, and show that they are one thing;
# - read an attention map, and say what the division by $\sqrt c$ is for;
# - find the two errors that raise no exception and change every number: a softmax along the wrong axis, the wrong
#   activation.
#
# **You need** NumPy's `reshape`, `transpose` and `@`. No torch, no network, no GPU. **Time:** an hour and a half to
# work through; running all cells takes well under half a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** pixels `[b, 3, H, W]` → patches `[b, g, 3pp]` → tokens `[b, n, d]` → (q, k, v) `[b, h, n, c]` → weights
# `[b, h, n, n]` → tokens `[b, n, d]` → class token `[b, d]` → embedding `[b, e]`
#
# with `b` pictures, `g` patches of side `p`, `n = 1 + g` tokens of width `d`, `h` heads of width `c = d / h`.

# %%
import matplotlib.pyplot as plt
import numpy as np

import refclip
from refclip import figures, nn, toy, vit
from refclip.attention import project, split_heads
from refclip.exercises import check, on
from refclip.preprocess import preprocess
from refclip.transformer import mlp

figures.use_style()
clip = refclip.load("refclip-mini", dtype="float64")  # float64: what differs is then wrong, not rounded
v = clip.vision
v

# %% [markdown]
# ## 1. A picture becomes patches
#
# The picture comes from `refclip.toy`, which draws small things with and without defects. `preprocess` brings it to the
# size the model was trained at and shifts each colour to mean 0 and deviation 1.

# %%
button = toy.category("button", seed=3, train=1, good=1, each=1, size=160)
shot = next(shot for shot in button.test if shot.defect == "crack")
pixels, geometry = preprocess([shot.image], clip.preprocess)  # [1, 3, H, W]
pixels = pixels.astype(np.float64)
p, grid = v.patch_size, v.grid
print("pixels", pixels.shape, "| patches of", p, "x", p, "| a grid of", grid, "x", grid)

# %% tags=["figure"]
figure, (left, right) = figures.axes(1, 2, width=9, height=4.4)
figures.picture(left, shot.image, "the picture")
shown = np.moveaxis(pixels[0], 0, -1) * clip.preprocess.std + clip.preprocess.mean  # [H, W, 3]
figures.picture(right, (255 * shown.clip(0, 1)).astype(np.uint8), f"what the tower sees: {grid} x {grid} patches")
figures.grid_lines(right, grid, grid, pixels.shape[2:])
plt.show()

# %% [markdown]
# A patch is cut out, and its $3 p p$ numbers are laid in one row: colour by colour, and within a colour row by row.
# Written as it is said:


# %%
def patches_by_loop(pixels, p):
    """[b, 3, H, W] -> [b, g, 3 p p]."""
    rows = []
    for top in range(0, pixels.shape[2], p):
        for left in range(0, pixels.shape[3], p):
            rows.append(pixels[:, :, top : top + p, left : left + p].reshape(len(pixels), -1))  # [b, 3 p p]
    return np.stack(rows, axis=1)  # [b, g, 3 p p]


patches = patches_by_loop(pixels, p)
np.testing.assert_array_equal(patches, vit.patchify(pixels, p))  # the library's, bit for bit
patches.shape

# %% [markdown] tags=["exercise"]
# ### Exercise 1: patches without a loop
#
# *Difficulty 2 of 3, about 15 minutes.*
#
# The same with `reshape` and `transpose` alone. Fill in the body; until then the checker says that it is not solved,
# and the notebook runs on.


# %% tags=["exercise"]
def my_patches(pixels, p):
    """[b, 3, H, W] -> [b, g, 3 p p], without a loop."""
    raise NotImplementedError


# %% tags=["check"]
wide = np.arange(2 * 3 * 16 * 24, dtype=float).reshape(2, 3, 16, 24)
check(
    "patches",
    my_patches,
    on(pixels, p, gives=patches_by_loop(pixels, p)),
    on(wide, 8, gives=patches_by_loop(wide, 8)),
    atol=0,  # nothing is computed, numbers only move
)

# %% [markdown] tags=["hint"]
# `reshape` can split an axis in two without moving a number: H is `gh` times `p`, W is `gw` times `p`, which gives six
# axes `[b, 3, gh, p, gw, p]`. Which order must they have before the last `reshape` joins them again?
#
# <details>
# <summary>Second hint</summary>
#
# `reshape` joins neighbours, the last axis running fastest. What becomes g has to stand together, `gh, gw`, and behind
# it what becomes one row, in the order of the loop's rows: colour, row, column.
#
# </details>


# %% tags=["solution"]
def my_patches(pixels, p):
    """[b, 3, H, W] -> [b, g, 3 p p], without a loop."""
    b, _, height, width = pixels.shape
    gh, gw = height // p, width // p
    x = pixels.reshape(b, 3, gh, p, gw, p)  # split H and W
    x = x.transpose(0, 2, 4, 1, 3, 5)  # [b, gh, gw, 3, p, p]: the grid first, then what is in a patch
    return x.reshape(b, gh * gw, 3 * p * p)


# %% [markdown]
# ## 2. A patch becomes a token
#
# $$z_0 = [x_\text{class};\; x^1 E;\; \ldots;\; x^g E] + E_\text{pos}$$
#
# (Dosovitskiy et al. 2021, equation 1.) Each patch is multiplied by one matrix $E$. Programs call it a convolution with
# stride $p$ and keep $E$ as `conv1`, `[d, 3, p, p]`; it is the same product. A learned class token goes in front, and
# every place has a learned vector of its own, added: without it the tower could not know where a patch was, as you will
# see in section 4.

# %%
E = v.conv1.reshape(len(v.conv1), -1).T  # [3 p p, d]
tokens = patches @ E  # [1, g, d]
tokens = np.concatenate([v.class_embedding[None, None], tokens], axis=1)  # [1, n, d]
tokens = tokens + v.positional_embedding  # [1, n, d]
x0 = nn.layer_norm(tokens, v.ln_pre)  # [1, n, d]; CLIP's own addition: a layer norm before the first block
np.testing.assert_allclose(x0, vit.embed(v, pixels), rtol=0, atol=1e-10)
x0.shape

# %% [markdown] tags=["predict"]
# **Predict.** Nobody told the model that its patches lie on a square. Take the position vector of the patch in the
# middle, and its cosine to those of all other places. What will the picture of these cosines look like? And for a patch
# near a corner, or near an edge?

# %% tags=["figure"]
places = nn.normalize(v.positional_embedding[1:])  # [g, d]
figure, three = figures.axes(1, 3, width=12, height=3.6)
for ax, (row, column) in zip(three, [(grid // 2, grid // 2), (1, 1), (grid // 2, grid - 2)], strict=True):
    cosine = (places @ places[row * grid + column]).reshape(grid, grid)
    last = ax is three[-1]
    figures.heat_map(ax, cosine, f"place ({row}, {column})", scale="cosine", vmin=0, vmax=1, bar=last)
    ax.plot(column, row, "x", color="black", markersize=9)  # itself: 1
plt.show()

cosines = (places @ places.T).reshape(grid, grid, grid, grid)
inner = range(1, grid - 1)
beside = np.mean(
    [cosines[i, j, i + a, j + b] for i in inner for j in inner for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))]
)
apart = (cosines.sum() - grid**2) / (grid**4 - grid**2)
print(f"mean cosine to the four neighbours {beside:.2f}, to any other place {apart:.2f}")

# %% [markdown]
# The three maps share one scale; 0 and below is black. Whatever is bright near the cross was learnt from pictures
# alone: that tokens lie on a plane, what is next to what, where the border is. In large models that were trained for
# long, the row and the column of a place stand out as well (Dosovitskiy et al. 2021, figure 7); the last cell says how
# to look.
#
# ## 3. Layer norm
#
# $$\mathrm{LN}(x) = \frac{x - \bar x}{\sqrt{\mathrm{var}(x) + \varepsilon}} \odot \gamma + \beta$$
#
# (Ba et al. 2016, equation 4), over the last axis: each token by itself, whatever the others are. Blocks add to
# a token, again and again, and its length drifts; attention and MLP read it through a layer norm, which brings it back
# to one size first.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: layer norm
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_layer_norm(x, gain, bias, eps=1e-5):
    """[..., d] -> [..., d]."""
    return None


# %% tags=["check"]
ones, zeros = np.ones(x0.shape[-1]), np.zeros(x0.shape[-1])
check(
    "layer norm",
    my_layer_norm,
    on(tokens, v.ln_pre.gain, v.ln_pre.bias, gives=x0),
    on(x0[0, 0], ones, zeros, gives=nn.layer_norm(x0[0, 0], nn.LayerNorm(ones, zeros))),
    atol=1e-10,
)

# %% [markdown] tags=["hint"]
# `mean(axis=-1, keepdims=True)` keeps the axis, so that the shapes fit. NumPy's `var` divides by d, as layer norm does;
# torch's `var` divides by d - 1 unless told otherwise.


# %% tags=["solution"]
def my_layer_norm(x, gain, bias, eps=1e-5):
    """[..., d] -> [..., d]."""
    mean = x.mean(axis=-1, keepdims=True)  # [..., 1]
    variance = x.var(axis=-1, keepdims=True)  # [..., 1]
    return (x - mean) / np.sqrt(variance + eps) * gain + bias


# %% [markdown]
# ## 4. Attention, three times
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt{c}}\right) V$$
#
# (Vaswani et al. 2017, equation 1.) Each token asks with its query; every token has a key to be found by and a value to
# be read. Here are the three for the first block and its first head, `[n, c]` each.

# %%
first = v.transformer.blocks[0]
heads = v.transformer.heads
qkv = project(nn.layer_norm(x0, first.ln_1), first.attn)  # three of [1, n, d]
q, k, value = (split_heads(x, heads)[0, 0] for x in qkv)  # of the first head: [n, c] each
n, c = q.shape
print("n =", n, "tokens, c =", c, "wide, in each of", heads, "heads")

# %% [markdown]
# **First, one token at a time**, as one would explain it at the blackboard:


# %%
def attention_by_loop(q, k, value):
    """[n, c] each -> [n, c]."""
    out = np.zeros_like(value)
    for i in range(len(q)):  # the token that asks
        scores = np.array([q[i] @ k[j] for j in range(len(k))]) / np.sqrt(q.shape[1])  # [n]
        weights = np.exp(scores - scores.max())  # the largest first taken off, so that exp cannot overflow
        weights = weights / weights.sum()  # [n], adding up to 1
        for j in range(len(k)):
            out[i] += weights[j] * value[j]  # a mean of values, more of those whose key fits
    return out


# %% [markdown]
# **Then all at once.** The scores of all pairs are one matrix product, the means of values another:


# %%
def softmax(x):
    """Over the last axis."""
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def attention_by_matmul(q, k, value):
    """[n, c] each -> [n, c]."""
    weights = softmax(q @ k.T / np.sqrt(q.shape[1]))  # [n, n]; row i: what token i reads
    return weights @ value  # [n, c]


np.testing.assert_allclose(attention_by_matmul(q, k, value), attention_by_loop(q, k, value), rtol=0, atol=1e-10)
print("loop and product agree to 1e-10")

# %% [markdown] tags=["predict"]
# Before 226 tokens, three that fit into the head:
#
# | token | asks (q) | is found by (k) | is read as (value) |
# |---|---|---|---|
# | 0 | (4, 0) | (1, 0) | 10 |
# | 1 | (0, 4) | (0, 1) | 20 |
# | 2 | (0, 0) | (1, 1) | 60 |
#
# **Predict.** Which two tokens does token 0 read, and what comes out, roughly? What does token 2 get, which asks for
# nothing?

# %%
few_q, few_k = np.array([[4.0, 0], [0, 4], [0, 0]]), np.array([[1.0, 0], [0, 1], [1, 1]])  # [3, 2] each
few_values = np.array([[10.0], [20], [60]])  # [3, 1]
print("weights (row i: what token i reads):\n", softmax(few_q @ few_k.T / np.sqrt(2)).round(2))
print("comes out:", attention_by_matmul(few_q, few_k, few_values)[:, 0].round(1))

# %% [markdown]
# Token 0 agrees equally with keys 0 and 2, and gets nearly the mean of their values, 35. A query of zeros agrees with
# all keys alike: the plain mean, 30. No token knows *where* another stands; in a tower only the vectors of section 2
# say so.

# %% [markdown] tags=["predict"]
# **Predict.** Add up the weights along a row (what one token reads) and along a column (how much one token is read).
# Which of the two sums are all 1? Could a column add up to 0? To n?

# %% tags=["figure"]
weights = softmax(q @ k.T / np.sqrt(c))  # [n, n]
figure, (left, right) = figures.axes(1, 2, width=11, height=4.2)
figures.heat_map(left, np.log10(weights), "weights of head 0", scale="log10 of the weight", ticks=True)
left.set(xlabel="token that is read", ylabel="token that reads")
right.plot(weights.sum(axis=1), label="sum of each row")
right.plot(weights.sum(axis=0), label="sum of each column")
right.set(xlabel="token (0 is the class token)", ylabel="sum", title="rows add up to 1, columns need not")
right.legend(loc="upper left")
plt.show()

# %% [markdown]
# ### What a head looks at
#
# The class token's row, without the weight it gives itself, laid out on the grid. All heads on one scale: a map
# stretched to its own range would make an indifferent head look decided. And the scale counts powers of ten, because
# softmax does: the few patches of 0.1 and more would leave everything else black.

# %% tags=["figure"]
out = refclip.encode_tokens(clip, pixels, trace=True)  # every intermediate of every block
layers = sorted({1, len(out.trace) // 2, len(out.trace)})
maps = np.array([[out.trace[i - 1].attention_map[0, h, 0, 1:] for h in range(heads)] for i in layers])  # [l, h, g]
figure, many = figures.axes(len(layers), heads + 1, width=3.1 * (heads + 1), height=3.0 * len(layers))
for row, layer in enumerate(layers):
    figures.picture(many[row, 0], shot.image, f"block {layer}")
    figures.outline(many[row, 0], shot.mask)
    for h in range(heads):
        shown = np.log10(maps[row, h].reshape(grid, grid))
        last = h == heads - 1  # which has the bar of its row
        figures.heat_map(many[row, 1 + h], shown, f"head {h}", scale="log10 of the weight", vmin=-5, vmax=0, bar=last)
plt.show()

# %% [markdown]
# Do not read too much into such maps. A weight says what was read, not what was made of it; and a token can carry what
# it read from elsewhere in a block before.
#
# ### Why divide by $\sqrt c$?
#
# If the numbers in q and k are of size 1, their product over c places has deviation $\sqrt c$. Softmax of large
# scores is nearly one-hot: each token would read a single other, and learning stops, since the derivative of a
# saturated softmax is nearly 0. Below, random q and k; "tokens read" is $\exp$ of the entropy of a row: 1 for
# one-hot, n for an even mean.

# %% tags=["figure"]
rng = np.random.default_rng(0)
widths = [4, 16, 64, 256, 1024]
read = {"divided by sqrt(c)": [], "not divided": []}
for width in widths:
    a, b = rng.standard_normal((2, 200, width))
    for name, scale in (("divided by sqrt(c)", width**0.5), ("not divided", 1.0)):
        w = softmax(a @ b.T / scale)
        read[name].append(np.exp(-(w * np.log(w + 1e-300)).sum(axis=-1)).mean())
figure, ax = figures.axes(width=7, height=3.6)
for name, values in read.items():
    ax.plot(widths, values, "o-", label=name)
ax.set(xscale="log", xlabel="width c of a head", ylabel="tokens read, of 200", ylim=(0, 200))
ax.set_xticks(widths, widths)
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# ### A failure: softmax along the wrong axis
#
# It raises nothing. The shapes are right, the sums are 1, of the columns. The only protection is a check against
# something that is known to be right, which is why this course has one at every step.

# %%
wrong = softmax((q @ k.T / np.sqrt(c)).T).T @ value  # columns add up to 1
right = attention_by_matmul(q, k, value)
print("shape", wrong.shape, "as it should be; largest difference", f"{np.abs(wrong - right).max():.2g}")
print("values are of size", f"{np.abs(right).mean():.2g}")

# %% [markdown] tags=["exercise"]
# ### Exercise 3: all heads at once
#
# *Difficulty 2 of 3, about 15 minutes.*
#
# A tower has h heads of width c = d / h, side by side in q, k and v. Attend in each, and lay the results side by side
# again. No loop over heads: `@` multiplies the last two axes and repeats over those before.


# %% tags=["exercise"]
def my_heads(q, k, value, heads):
    """[n, d] each -> [n, d], in `heads` heads."""
    raise NotImplementedError


# %% tags=["check"]
whole = [x[0] for x in qkv]  # three of [n, d]
by_head = [attention_by_matmul(*(x[:, h * c : (h + 1) * c] for x in whole)) for h in range(heads)]
check("heads", my_heads, on(*whole, heads, gives=np.concatenate(by_head, axis=1)), atol=1e-10)

# %% [markdown] tags=["hint"]
# `[n, d]` → `[n, h, c]` is a `reshape`; heads have to come first, `[h, n, c]`, before the product. On the way back the
# transpose comes before the reshape.


# %% tags=["solution"]
def my_heads(q, k, value, heads):
    """[n, d] each -> [n, d], in `heads` heads."""
    n, d = q.shape
    q, k, value = (x.reshape(n, heads, d // heads).transpose(1, 0, 2) for x in (q, k, value))  # [h, n, c]
    weights = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(d // heads))  # [h, n, n]
    return (weights @ value).transpose(1, 0, 2).reshape(n, d)  # [n, h, c] first, or heads would be shuffled


# %% [markdown]
# ## 5. A block
#
# $$z' = z + \mathrm{MSA}(\mathrm{LN}(z)), \qquad z'' = z' + \mathrm{MLP}(\mathrm{LN}(z'))$$
#
# (Dosovitskiy et al. 2021, equations 2 and 3.) In attention tokens hear each other; in the MLP each makes something of
# what it heard. Both only *add* to the stream: what a block leaves alone passes through.


# %%
def my_attention(x, attn, heads):
    """[n, d] -> [n, d]: project, attend head by head, project back."""
    qkv = x @ attn.in_proj.weight.T + attn.in_proj.bias  # [n, 3 d]
    q, k, value = np.split(qkv, 3, axis=1)  # [n, d] each
    c = q.shape[1] // heads
    parts = [slice(h * c, (h + 1) * c) for h in range(heads)]
    heard = np.concatenate([attention_by_matmul(q[:, s], k[:, s], value[:, s]) for s in parts], axis=1)  # [n, d]
    return heard @ attn.out_proj.weight.T + attn.out_proj.bias


def my_mlp(x, block, activation=nn.gelu):
    """[n, d] -> [n, 4 d] -> [n, d]."""
    wide = activation(x @ block.c_fc.weight.T + block.c_fc.bias)  # [n, 4 d]
    return wide @ block.c_proj.weight.T + block.c_proj.bias


def my_block(x, block, heads, activation=nn.gelu):
    """[n, d] -> [n, d]."""
    x = x + my_attention(nn.layer_norm(x, block.ln_1), block.attn, heads)
    return x + my_mlp(nn.layer_norm(x, block.ln_2), block, activation)


seen = out.trace[0]  # what the library's first block did
np.testing.assert_allclose(
    my_attention(nn.layer_norm(x0[0], first.ln_1), first.attn, heads), seen.attention[0], atol=1e-10
)
np.testing.assert_allclose(my_mlp(nn.layer_norm(x0 + seen.attention, first.ln_2), first)[0], seen.mlp[0], atol=1e-10)
np.testing.assert_allclose(my_block(x0[0], first, heads), seen.output[0], rtol=0, atol=1e-10)
print("attention, MLP and block agree with the library to 1e-10")

# %% [markdown] tags=["predict"]
# **Predict.** How large is what attention adds to a token, and what the MLP adds, against the token itself? Does the
# share grow or fall from the first block to the last?

# %% tags=["figure"]
length = lambda x: np.linalg.norm(x[0, 1:], axis=-1).mean()  # noqa: E731
numbers = range(1, len(out.trace) + 1)
figure, ax = figures.axes(width=10, height=3.6)
ax.plot(numbers, [length(t.input) for t in out.trace], "o-", label="token that enters")
ax.plot(numbers, [length(t.attention) for t in out.trace], "s-", label="attention adds")
ax.plot(numbers, [length(t.mlp) for t in out.trace], "^-", label="MLP adds")
ax.set(xlabel="block", ylabel="mean length of a patch's vector", ylim=(0, None), xticks=list(numbers))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
for t, number in zip(out.trace, numbers, strict=True):
    shares = (length(t.attention) / length(t.input), length(t.mlp) / length(t.input))
    print(f"block {number}: attention adds {shares[0]:.2f} of what enters, the MLP {shares[1]:.2f}")

# %% [markdown]
# Read the shares, not the heights: a vector of length 30 can turn a stream of length 15 anywhere, and hardly moves one
# of 150. Where shares fall towards the end, late blocks only adjust; where one comes near 1, the block adds as much as
# enters. (Length is no measure of importance: the last layer norm takes it away, and a short vector in the right
# direction may decide.)

# %% [markdown] tags=["exercise"]
# ### Exercise 4: the weights of a block
#
# *Difficulty 1 of 3, about 10 minutes.*
#
# How many numbers has a block of width d, with an MLP four times as wide? Give a function of d. (Which matrices are
# there, which biases, which gains?) The checker holds it against this model and against ViT-L-14's d = 1024.


# %% tags=["exercise"]
def my_count(d):
    """How many numbers the weights of one block are."""
    return None


# %% tags=["check"]
def leaves(x):
    """All arrays in a NamedTuple of NamedTuples."""
    return [x] if isinstance(x, np.ndarray) else [array for part in x for array in leaves(part)]


check(
    "weights of a block",
    my_count,
    on(x0.shape[-1], gives=sum(x.size for x in leaves(first))),
    on(1024, gives=12_596_224),
)

# %% [markdown] tags=["hint"]
# Attention: one matrix `[3 d, d]`, one `[d, d]`. MLP: `[4 d, d]` and `[d, 4 d]`. Each product has a bias; each of the
# two layer norms a gain and a bias.


# %% tags=["solution"]
def my_count(d):
    """How many numbers the weights of one block are."""
    attention = 3 * d * d + 3 * d + d * d + d
    mlp = 4 * d * d + 4 * d + 4 * d * d + d
    norms = 2 * 2 * d
    return attention + mlp + norms  # 12 d^2 + 13 d


# %% [markdown]
# ## 6. The tower
#
# $$y = \mathrm{LN}(z_L^0)\, W_\text{proj}$$
#
# (Dosovitskiy et al. 2021, equation 4, and CLIP's projection into the space that pictures share with texts.) Blocks one
# after another, then the class token alone.


# %%
def my_tower(v, pixels, heads, activation=nn.gelu):
    """[b, 3, H, W] -> [b, e]."""
    answers = []
    for one in pixels:
        patches = patches_by_loop(one[None], v.patch_size)[0]  # [g, 3 p p]
        x = patches @ v.conv1.reshape(len(v.conv1), -1).T  # [g, d]
        x = np.concatenate([v.class_embedding[None], x]) + v.positional_embedding  # [n, d]
        x = nn.layer_norm(x, v.ln_pre)
        for block in v.transformer.blocks:
            x = my_block(x, block, heads, activation)  # [n, d]
        answers.append(nn.layer_norm(x[0], v.ln_post) @ v.proj)  # [e]
    return np.stack(answers)  # [b, e]


mine = my_tower(v, pixels, heads)
np.testing.assert_allclose(mine, refclip.encode_image(clip, pixels), rtol=0, atol=1e-10)
print("the whole tower agrees with the library to 1e-10; the embedding is", mine.shape)

# %% [markdown]
# ### Against open_clip
#
# The library might share our errors. So here is another program's answer: `answers/open_clip_tiny.npz` has the random
# weights of a very small CLIP, two pictures of noise, and what open_clip says of them in float64
# (`notebooks/answers.py` made it). First its weights go where ours are kept; the names on the right are open_clip's.

# %%
from refclip.attention import Attention
from refclip.nn import LayerNorm, Linear
from refclip.transformer import Block, Stack

with np.load("answers/open_clip_tiny.npz") as stored:
    answer = {name: stored[name] for name in stored.files if not name.startswith("weights/")}
    w = {
        name.removeprefix("weights/visual."): stored[name].astype(np.float64)
        for name in stored.files
        if "/visual." in name
    }


def pair(kind, name, weight="weight", bias="bias", join="."):
    return kind(w[f"{name}{join}{weight}"], w[f"{name}{join}{bias}"])


blocks = tuple(
    Block(
        pair(LayerNorm, f"{at}.ln_1"),
        Attention(pair(Linear, f"{at}.attn.in_proj", join="_"), pair(Linear, f"{at}.attn.out_proj")),
        pair(LayerNorm, f"{at}.ln_2"),
        pair(Linear, f"{at}.mlp.c_fc"),
        pair(Linear, f"{at}.mlp.c_proj"),
    )
    for at in ("transformer.resblocks.0", "transformer.resblocks.1")
)
tiny = vit.Vision(
    w["conv1.weight"],
    w["class_embedding"],
    w["positional_embedding"],
    pair(LayerNorm, "ln_pre"),
    Stack(blocks, heads=2, activation="gelu"),
    pair(LayerNorm, "ln_post"),
    w["proj"],
)
mine = my_tower(tiny, answer["pixels"].astype(np.float64), heads=2)
print("largest difference from open_clip:", f"{np.abs(mine - answer['image']).max():.0e}")
np.testing.assert_allclose(mine, answer["image"], rtol=0, atol=1e-10)  # float64: the order of summation is left

# %% [markdown]
# ### A failure: the wrong activation
#
# OpenAI's weights were trained with $x\,\sigma(1.702\,x)$, called QuickGELU; most later ones with the exact GELU. No
# tensor tells which, and no shape differs.

# %% [markdown] tags=["predict"]
# **Predict.** The two functions differ by at most 0.02. Run a tower with the wrong one: is the cosine between the right
# and the wrong embedding above 0.999, about 0.99, or far below?

# %% tags=["figure"]
x = np.linspace(-5, 5, 401)
figure, (left, right) = figures.axes(1, 2, width=11, height=3.6)
left.plot(x, nn.gelu(x), label="GELU")
left.plot(x, nn.quick_gelu(x), "--", label="QuickGELU")
left.set(xlabel="x", title="hardly to be told apart")
left.legend(loc="upper left")
right.plot(x, nn.quick_gelu(x) - nn.gelu(x), color=figures.COLOURS["vermilion"])
right.set(xlabel="x", title="QuickGELU - GELU")
plt.show()

# %%
pictures, _ = preprocess([shot.image for shot in button.test], clip.preprocess)  # [7, 3, H, W]
right, wrong = (nn.normalize(my_tower(v, pictures.astype(np.float64), heads, f)) for f in (nn.gelu, nn.quick_gelu))
print(f"cosine of the right and the wrong embedding: {(right * wrong).sum(axis=-1).min():.5f} or more")
flawless, damaged = refclip.encode_text(clip, ["a flawless button", "a damaged button"], normalize=True)
score = right @ (damaged - flawless)  # [7], what a detector would go by
shift = wrong @ (damaged - flawless) - score
print(f"scores of {len(score)} pictures spread by {score.std():.4f}")
print(f"the wrong activation moves them by {np.abs(shift).mean():.4f}")

# %% [markdown]
# A cosine near 1 looks harmless, yet no score is what it should be, and a deeper tower adds the error of each block
# to the next. The library therefore takes the activation from the configuration, refuses a contradiction, and never
# guesses.

# %% [markdown] tags=["exercise"]
# ### Exercise 5: the last block, for the class token alone
#
# *Difficulty 3 of 3, about 20 minutes.*
#
# Only the class token leaves the tower. In the last block it must hear all tokens; but which of the block's products
# need to be computed for all n tokens, and which for one? Write the last block so that it returns the class token
# alone.


# %% tags=["exercise"]
def my_last_block(x, block, heads):
    """[n, d] -> [d]: what `my_block(x, block, heads)[0]` is, without computing the other rows."""
    raise NotImplementedError


# %% tags=["check"]
last = out.trace[-1]
check(
    "last block",
    my_last_block,
    on(last.input[0], v.transformer.blocks[-1], heads, gives=last.output[0, 0]),
    on(x0[0], first, heads, gives=seen.output[0, 0]),
    atol=1e-10,
)

# %% [markdown] tags=["hint"]
# Keys and values are needed of all tokens, the query of one. `q[:1]` keeps the axis, so that the rest of the code can
# stay as it is. After attention there is a single row left for the output projection and for the whole MLP.
#
# <details>
# <summary>Second hint</summary>
#
# Begin with `project` and `split_heads` as in section 4; then `q[:, :1]`, `[h, 1, c]`. The stream goes on, too: add to
# `x[:1]`, not to `x`. The MLP of one row is `my_mlp`.
#
# </details>


# %% tags=["solution"]
def my_last_block(x, block, heads):
    """[n, d] -> [d]: what `my_block(x, block, heads)[0]` is, without computing the other rows."""
    qkv = project(nn.layer_norm(x, block.ln_1)[None], block.attn)  # three of [1, n, d]
    q, k, value = (split_heads(y, heads)[0] for y in qkv)  # [h, n, c] each
    weights = softmax(q[:, :1] @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))  # [h, 1, n]
    heard = (weights @ value).transpose(1, 0, 2).reshape(1, -1)  # [1, d]
    # from here on one row: nothing below lets tokens meet
    middle = x[:1] + heard @ block.attn.out_proj.weight.T + block.attn.out_proj.bias  # [1, d]
    return (middle + mlp(nn.layer_norm(middle, block.ln_2), block, "gelu"))[0]


# %% [markdown]
# The library does just that (`rows` in `refclip/transformer.py`): of twelve blocks it saves most of one.
#
# ## What to remember
#
# - A tower is patches, one product, positions, and blocks that add to a stream of tokens.
# - Attention is a mean of values, with weights from queries and keys. Nothing else lets tokens meet.
# - Wrong axis, wrong activation, wrong order of axes: none raises an error. Check each step against something known.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. ViT-L-14-336 cuts 336 pixels into patches of 14, is 1024 wide and has 16 heads. What are the shapes of q and of the
#    weights, of one picture in one head? (sections 1 and 4)
# 2. Along which axis does the softmax of attention run, and what would tell you that it runs along the other?
#    (section 4)
# 3. Two pictures have the same patches in another order. Where do their embeddings begin to differ? (section 2)
# 4. Why are wide heads worse off without the division by $\sqrt c$? (section 4)
# 5. Which products of the last block are needed for all tokens, if the class token alone leaves? (section 6)
#
# <details>
# <summary>Answers</summary>
#
# 1. 24 x 24 patches and the class token: q is `[577, 64]`, the weights are `[577, 577]`.
# 2. Along the keys, so that rows add up to 1. No shape tells: only row sums, or a known answer.
# 3. At the vectors of the places, which are added to the patches. Without them the embeddings would be the same.
# 4. Their scores are larger, the softmax is nearly one-hot, and its derivative nearly 0.
# 5. Layer norm, keys and values. One query, one row of weights, one row of the MLP are enough.
#
# </details>
#
# ### Further reading
#
# - Vaswani et al. 2017, "Attention is all you need", section 3.2: scaled dot products, and several heads.
# - Dosovitskiy et al. 2021, "An image is worth 16x16 words", section 3.1 for the tower, 4.5 for looking into it.
# - Radford et al. 2021, "Learning transferable visual models from natural language supervision" (CLIP), section 2.
# - Xiong et al. 2020, "On layer normalization in the transformer architecture": why LN stands before, not behind.
# - Jain and Wallace 2019, "Attention is not explanation", and the answer: Wiegreffe and Pinter 2019, "Attention is not
#   not explanation".
# - Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2: GELU, and where the 1.702 is from.
# - Here: `refclip/attention.py`, `transformer.py`, `vit.py`, in this order.
#
# Next: [02 text](02_text.ipynb) is the other tower; [09 metrics](09_metrics.ipynb) is how maps are judged.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# All of this runs on the papers' weights. Fetch them once (about 800 MB; see the README for others):
#
# ```
# hf download timm/vit_base_patch16_plus_clip_240.laion400m_e31 open_clip_model.safetensors open_clip_config.json \
#     --local-dir plus240
# ```
#
# and say `clip = refclip.load("plus240", dtype="float64")` in the first cell. Everything else follows from the model:
# for ViT-B-16-plus-240 that is 225 patches of 16 x 16, width 896, 14 heads, 12 blocks. For
# `timm/vit_large_patch14_clip_336.openai` (ViT-L-14-336, 24 blocks) pass `nn.quick_gelu` where `nn.gelu` stands:
# OpenAI's weights. Allow ten minutes and 4 GB in float64. Expect agreement with the library to 1e-9, attention maps
# that follow the object, and position maps as smooth as above.
