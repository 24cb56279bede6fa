# %% [markdown] tags=["goals"]
# # 10 Making NumPy fast
#
# A transformer in plain NumPy need not be slow: most of its time is matrix products, and those are the same machine
# code that torch calls. The rest can be lost or won. This notebook loses it first, then wins it back, measuring each
# step.
#
# **After it you can**
#
# - measure a piece of code so that the number means something;
# - say what share of a block's time is products, and what the rest is;
# - replace a slow function by one that is as exact, and prove that it is;
# - use a cache, and threads, and not compute what nobody asks for;
# - find the two silent brakes: an accidental float64, and a product written as an `einsum`.
#
# **You need** the block of [01](01_clip_from_scratch.ipynb). Times are of the machine that ran this last; yours will
# differ, the order of things hardly. **Time:** an hour to work through; running all cells takes about half a minute
# on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** tokens `[n, d]` → q, k, v `[n, 3d]` → scores `[h, n, n]` → `[n, d]` → MLP `[n, 4d]` → `[n, d]`; here
# `n` = 197 and `d` = 768, as in ViT-B-16

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import erf
from threadpoolctl import threadpool_limits

import refclip
from refclip import figures, nn
from refclip.attention import Attention, attention, project
from refclip.exercises import check, on
from refclip.text import embed_tokens, end_of_text, text_tower
from refclip.tokenizer import tokenize
from refclip.transformer import Block

figures.use_style()
N, D, H = 197, 768, 12
rng = np.random.default_rng(0)


def random(*shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def linear(rows, columns):
    return nn.Linear(random(rows, columns, scale=columns**-0.5), random(rows, scale=0.1))


norm = nn.LayerNorm(np.ones(D, np.float32), np.zeros(D, np.float32))
block = Block(norm, Attention(linear(3 * D, D), linear(D, D)), norm, linear(4 * D, D), linear(D, 4 * D))
x = random(1, N, D)

# %% [markdown]
# ## 1. Measuring
#
# One call proves nothing: the first fills caches, and a computer does other things too, which only ever *add* time.
# So call once without looking, then several times, and take the least: that is what the code itself costs. How far
# the median lies above it tells how busy the machine is. To compare two, let them take turns, so that a busy second
# hits both.


# %%
def times(*functions, rounds=15):
    """Milliseconds of each function, called in turn: [functions, rounds], after one turn that does not count."""
    out = np.zeros((len(functions), rounds))
    for turn in range(-1, rounds):
        for i, f in enumerate(functions):
            start = time.perf_counter()
            f()
            out[i, turn] = 1000 * (time.perf_counter() - start)  # turn -1 is overwritten by the last
    return out


def least(*functions, rounds=15):
    """The least of each, a list."""
    return times(*functions, rounds=rounds).min(axis=1).tolist()


with threadpool_limits(1):  # one thread until section 6
    (once,) = times(lambda: nn.linear(x, block.c_fc), rounds=30)
print(f"one product: least {once.min():.1f} ms, median {np.median(once):.1f} ms, greatest {once.max():.1f} ms")

# %% [markdown] tags=["predict"]
# ## 2. Where the time goes
#
# A block with the obvious code: `erf` for the GELU, temporaries wherever they fall. **Predict:** which
# three parts are the most expensive, and what share have all matrix products together?


# %%
def naive_gelu(x):
    return x * (1 + erf(x / np.sqrt(np.float32(2)))) / 2


def naive_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def naive_norm(x):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + np.float32(1e-5))


def split(y):
    """[1, n, d] -> [h, n, c]."""
    return y[0].reshape(N, H, D // H).transpose(1, 0, 2)


q, k, v = (split(y) for y in project(x, block.attn))
scores = q @ k.transpose(0, 2, 1) * np.float32((D // H) ** -0.5)  # [h, n, n]
weights = naive_softmax(scores)
wide = nn.linear(x, block.c_fc)  # [1, n, 4 d]
parts = {
    "q, k, v: product": lambda: nn.linear(x, block.attn.in_proj),
    "scores: product": lambda: q @ k.transpose(0, 2, 1),
    "softmax": lambda: naive_softmax(scores),
    "weights x values: product": lambda: weights @ v,
    "back: product": lambda: nn.linear(x, block.attn.out_proj),
    "two layer norms": lambda: (naive_norm(x), naive_norm(x)),
    "MLP up: product": lambda: nn.linear(x, block.c_fc),
    "GELU": lambda: naive_gelu(wide),
    "MLP down: product": lambda: nn.linear(wide, block.c_proj),
}
with threadpool_limits(1):
    spent = dict(zip(parts, least(*parts.values()), strict=True))

# %% tags=["figure"]
figure, ax = figures.axes(width=9, height=4.2)
figures.bars(ax, list(spent), list(spent.values()), unit=" ms", digits=1)
ax.set(xlabel="milliseconds, one thread", title="one block, one picture, obvious code")
plt.show()
products = sum(t for name, t in spent.items() if "product" in name)
print(f"products {products / sum(spent.values()):.0%} of {sum(spent.values()):.0f} ms")

# %% [markdown]
# Products are what they are: $2 \cdot 12\, n d^2 + 4 n^2 d$ operations, and a good BLAS runs near what the processor
# can do. Now hold the GELU, a mere function of one number, against the products beside it.

# %% [markdown] tags=["exercise"]
# ### Exercise 1: how many operations?
#
# *Difficulty 1 of 3, about 10 minutes.*
#
# Multiplications and additions, each counted as one, of all products of a block: q, k, v and back (four matrices `[d,
# d]`), the MLP (two of `[4d, d]`), scores and weighted values. A product `[a, b] @ [b, c]` has 2abc.


# %% tags=["exercise"]
def my_operations(n, d):
    """Operations of the products of a block, a whole number."""
    return None


# %% tags=["check"]
check("operations", my_operations, on(197, 768, gives=2_907_909_120), on(9, 512, gives=56_788_992))

# %% [markdown] tags=["hint"]
# Scores: for each head `[n, c] @ [c, n]`, and h heads of width c = d / h make $2 n^2 d$ together, whatever h is.
# Weighted values: the same again.


# %% tags=["solution"]
def my_operations(n, d):
    """Operations of the products of a block, a whole number."""
    return 2 * n * d * d * (4 + 8) + 2 * (2 * n * n * d)


# %%
print(f"{(24 * N * D * D + 4 * N * N * D) / products / 1e6:.0f} GFLOP/s in the products")

# %% [markdown]
# ## 3. GELU without erf
#
# $$\mathrm{GELU}(x) = x\,\Phi(x) \approx \frac{x}{1 + e^{-x R(x^2)}}, \qquad
# R(u) = c_0 + c_1 u + c_2 u^2 + \ldots + c_6 u^6$$
#
# $\Phi$ is the normal distribution function. The logistic function has nearly its shape, and an even polynomial R in
# the exponent makes up the difference. `exp` of float32 is vectorised in NumPy; `erf` is one call for each number.
# The coefficients were fitted once, so that the largest error is as small as it can be.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: the logistic GELU
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# `nn.GELU_COEFFICIENTS` are $c_0 \ldots c_6$. Evaluate R by Horner's rule, from the last coefficient inwards: no
# powers.


# %% tags=["exercise"]
def my_gelu(x):
    """float32 [...] -> float32 [...]."""
    raise NotImplementedError


# %% tags=["check"]
ends = np.linspace(-5, 5, 1001, dtype=np.float32)
check("GELU", my_gelu, on(ends, gives=nn.gelu(ends)), on(wide, gives=nn.gelu(wide)), atol=2e-6)

# %% [markdown] tags=["hint"]
# Start with `r = c[6]`, then `r = r * u + c[5]`, and so on down to `c[0]`. Python's own numbers do not turn a float32
# array into float64; an array or a NumPy scalar of float64 does.


# %% tags=["solution"]
def my_gelu(x):
    """float32 [...] -> float32 [...]."""
    u = x * x
    r = nn.GELU_COEFFICIENTS[-1] * np.ones_like(u)
    for c in nn.GELU_COEFFICIENTS[-2::-1]:
        r = r * u + c
    return x / (1 + np.exp(-x * r))


# %% [markdown] tags=["predict"]
# **Predict.** Three candidates against the truth in float64: `erf` computed in float32, the logistic form, and the
# tanh formula that many programs use, $\tfrac{x}{2} (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3)))$. Which one is not
# a rounding of the GELU but another function?

# %% tags=["figure"]
line = np.linspace(-6, 6, 4001)
single = line.astype(np.float32)
truth = nn.gelu(line)  # float64: erf
candidates = {
    "erf in float32": naive_gelu(single),
    "logistic (library)": nn.gelu(single),
    "tanh formula": single / 2 * (1 + np.tanh(float((2 / np.pi) ** 0.5) * (single + 0.044715 * single**3))),
}
figure, (left, right) = figures.axes(1, 2, width=12.5, height=4)
for (name, y), style in zip(candidates.items(), ("-", "--", "-."), strict=True):
    left.plot(line, np.abs(y - truth) + 1e-12, style, linewidth=1.2, label=name)
left.set(yscale="log", xlabel="x", ylabel="absolute error", ylim=(1e-10, 1e-1))
left.legend(loc="upper left", fontsize=11)
with threadpool_limits(1):
    speeds = least(lambda: naive_gelu(wide), lambda: nn.gelu(wide))
figures.bars(right, list(candidates)[:2], speeds, unit=" ms", digits=1)
right.set_title(f"{wide.size:,} numbers")
plt.show()
for name, y in candidates.items():
    print(f"{name:20} largest error {np.abs(y - truth).max():.1e}")

# %% [markdown]
# The logistic form errs less than $10^{-6}$, about what rounding to float32 costs anyway at these sizes; the tanh
# formula by up to $5 \cdot 10^{-4}$, in whatever precision it is computed. A replacement is allowed when its error
# drowns in the rounding, and that has to be measured, not hoped.
#
# ## 4. Caches
#
# `my_gelu` makes a new array at each step. At 600,000 numbers each of them is 2.4 MB: too much for a core's cache, so
# every step waits for memory. The same arithmetic in place, over pieces that fit:


# %%
def chunked(x, size):
    """The GELU over pieces of `size` numbers, in two buffers."""
    flat, out = x.reshape(-1), np.empty(x.size, np.float32)
    for start in range(0, flat.size, size):
        a = flat[start : start + size]
        z = out[start : start + size]
        u = a * a
        np.multiply(u, nn.GELU_COEFFICIENTS[-1], out=z)
        for c in nn.GELU_COEFFICIENTS[-2:0:-1]:
            z += np.float32(c)
            z *= u
        z += np.float32(nn.GELU_COEFFICIENTS[0])
        z *= a
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += np.float32(1)
        np.divide(a, z, out=z)
    return out.reshape(x.shape)


np.testing.assert_allclose(chunked(wide, 4096), nn.gelu(wide), rtol=0, atol=2e-6)  # float32 rounding of values up to 5

# %% [markdown] tags=["predict"]
# **Predict.** Draw the curve of time over the size of a piece, from 100 numbers to all 600,000 at once. Where is it
# lowest, and what makes it rise to either side?

# %% tags=["figure"]
sizes = [2**i for i in range(7, 20)] + [wide.size]
with threadpool_limits(1):
    spent_on = least(*(lambda size=size: chunked(wide, size) for size in sizes), rounds=5)
figure, ax = figures.axes(width=8.5, height=3.8)
ax.plot(sizes, spent_on, "o-")
ax.axvline(nn.CHUNK, color="black", linestyle=":", label=f"the library's: {nn.CHUNK:,}")
ax.set(xscale="log", xlabel="numbers in a piece (4 bytes each)", ylabel="milliseconds", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# On the left Python itself is the cost: some twenty calls for every piece. On the right memory is, more or less, as the
# machine's caches are small or large. In between lies a wide valley, so the exact size matters little.

# %% [markdown] tags=["exercise"]
# ### Exercise 3: attention in pieces
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# The scores of 1,370 tokens (ViT-L-14 at 518 pixels) in 16 heads are 30 million numbers, 120 MB, written and read
# again by softmax. A row of scores needs no other row. Compute attention for `rows` tokens at a time.


# %% tags=["exercise"]
def my_attention(q, k, v, rows):
    """[n, c] each -> [n, c]; never more than `rows` rows of scores at once."""
    raise NotImplementedError


# %% tags=["check"]
sharp = (q[0], k[0], v[0])
answer = naive_softmax(sharp[0] @ sharp[1].T * np.float32(sharp[0].shape[1] ** -0.5)) @ sharp[2]
check("pieces", my_attention, on(*sharp, 50, gives=answer), on(*sharp, 1000, gives=answer), atol=1e-5)

# %% [markdown] tags=["hint"]
# `for start in range(0, len(q), rows)`: slice q, never k or v. `q[start : start + rows]` is shorter at the end by
# itself.


# %% tags=["solution"]
def my_attention(q, k, v, rows):
    """[n, c] each -> [n, c]; never more than `rows` rows of scores at once."""
    out = np.empty_like(q)
    for start in range(0, len(q), rows):
        some = slice(start, start + rows)
        out[some] = naive_softmax(q[some] @ k.T * np.float32(q.shape[1] ** -0.5)) @ v
    return out


# %% [markdown]
# ## 5. Two silent brakes
#
# **A failure: float64 by accident.** One array of float64 in an expression makes the result float64, and everything
# after it. Nothing fails; it is only twice the memory and half the speed.

# %%
scale = np.array([0.5])  # float64, as NumPy makes them unless told otherwise
print("float32 times this:", (x * scale).dtype, "| times Python's 0.5:", (x * 0.5).dtype)
weight, bias = (part.astype(np.float64) for part in block.c_fc)
with threadpool_limits(1):
    wide_x, wide_fc = x.astype(np.float64), nn.Linear(weight, bias)
    single_time, double_time = least(lambda: nn.linear(x, block.c_fc), lambda: nn.linear(wide_x, wide_fc))
print(f"MLP up in float32 {single_time:.1f} ms, in float64 {double_time:.1f} ms")

# %% [markdown] tags=["exercise"]
# ### Exercise 4: find the leak
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# This function is right in value and wrong in type: it makes float64 of float32. Repair it.


# %% tags=["exercise"]
def my_add_positions(x):
    """float32 [n, d] -> float32 [n, d]: a sine of the token's number added to each of its numbers."""
    n = len(x)
    wave = np.sin(np.arange(n) / n)[:, None]  # [n, 1]
    raise NotImplementedError  # take this line out, and see what the checker says of the rest
    return x + wave


# %% tags=["check"]
want = x[0] + np.sin(np.arange(N) / N).astype(np.float32)[:, None]
check("float32", my_add_positions, on(x[0], gives=want), atol=1e-6)

# %% [markdown] tags=["hint"]
# Compute as you like, and cast at the end: `.astype(x.dtype)`, before the array meets `x`.


# %% tags=["solution"]
def my_add_positions(x):
    """float32 [n, d] -> float32 [n, d]: a sine of the token's number added to each of its numbers."""
    n = len(x)
    wave = np.sin(np.arange(n) / n).astype(x.dtype)[:, None]  # [n, 1]
    return x + wave


# %% [markdown] tags=["predict"]
# **A failure: a product that is no product.** `np.einsum("nd,ed->ne", x, W)` says the same as `x @ W.T`. **Predict:**
# how much slower is it?

# %%
with threadpool_limits(1):
    one, two = x[0], block.attn.out_proj.weight
    by_matmul, by_einsum = least(lambda: one @ two.T, lambda: np.einsum("nd,ed->ne", one, two), rounds=5)
print(f"@ {by_matmul:.1f} ms; einsum {by_einsum:.0f} ms, {by_einsum / by_matmul:.0f} times as long")

# %% [markdown]
# Unless told to (`optimize=True`), `einsum` loops by itself and never calls BLAS.
#
# ## 6. Threads
#
# BLAS can split *one* product over cores. Or the pictures of a batch are split over Python threads, each with a BLAS
# of one thread: NumPy lets go of Python's lock while it computes. Then not only the products run side by side, but
# GELU and softmax too, and nobody waits at the end of every product.

# %%
clip = refclip.load("refclip-mini")
pixels = rng.standard_normal((16, 3, clip.vision.image_size, clip.vision.image_size)).astype(np.float32)
with threadpool_limits(1):
    alone, together = least(
        lambda: refclip.encode_image(clip, pixels, threads=1),
        lambda: refclip.encode_image(clip, pixels, threads=2),
        rounds=5,
    )
print(f"16 pictures: one thread {alone:.0f} ms, two {together:.0f} ms: {alone / together:.2f} times as fast")

# %% [markdown] tags=["exercise"]
# ### Exercise 5: what threads can give
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# If a share s of the work runs on one core whatever you do, t threads are at most
#
# $$\frac{1}{s + (1 - s) / t}$$
#
# times as fast (Amdahl 1967). Given a measured speed-up on t threads, what was s?


# %% tags=["exercise"]
def my_serial_share(speedup, threads):
    """The share s, a float."""
    return None


# %% tags=["check"]
check("serial share", my_serial_share, on(2.0, 2, gives=0.0), on(1.6, 2, gives=0.25), on(1.0, 8, gives=1.0), atol=1e-9)

# %% [markdown] tags=["hint"]
# Solve $1/\text{speedup} = s + (1 - s)/t$ for s.


# %% tags=["solution"]
def my_serial_share(speedup, threads):
    """The share s, a float."""
    return (1 / speedup - 1 / threads) / (1 - 1 / threads)


# %% [markdown] tags=["predict"]
# ## 7. Not computing at all
#
# A prompt has some 9 tokens of 77, and under the causal mask nothing after the end-of-text token matters
# ([02](02_text.ipynb)). **Predict:** how many times as fast is the text tower if it stops there? Is it 77 / 9?

# %%
kinds, states = ("dark", "bright", "blurry", "small"), ("good", "bad")
texts = [f"a {kind} photo of a {state} thing." for kind in kinds for state in states] * 8
ids = tokenize(texts)  # [64, 77]
embedded = embed_tokens(clip.text, ids)
stops = end_of_text(ids)
with threadpool_limits(1):
    last = np.full(len(ids), 76)
    full, short = least(
        lambda: text_tower(clip.text, embedded, last), lambda: text_tower(clip.text, embedded, stops), rounds=5
    )
print(f"{len(ids)} prompts, the longest of {stops.max() + 1} tokens")
print(f"all 77 tokens {full:.0f} ms, stopping early {short:.0f} ms: {full / short:.1f} times as fast")

# %% [markdown]
# The two brakes aside, this is the largest gain of all, and needs no cleverness with the machine: know what is asked
# for. In the same way the last block of the image tower computes the class token alone when nobody wants patches
# (exercise 5 of 01).
#
# ## 8. The sum

# %% tags=["figure"]
with threadpool_limits(1):

    def naive_block():
        y = naive_norm(x)
        q, k, v = (split(z) for z in project(y, block.attn))
        w = naive_softmax(q @ k.transpose(0, 2, 1) * np.float32((D // H) ** -0.5))
        heard = (w @ v).transpose(1, 0, 2).reshape(1, N, D)
        middle = x + nn.linear(heard, block.attn.out_proj)
        return middle + nn.linear(naive_gelu(nn.linear(naive_norm(middle), block.c_fc)), block.c_proj)

    def library_block():
        middle = x + attention(project(nn.layer_norm(x, norm), block.attn), block.attn, H)
        return middle + nn.linear(nn.gelu(nn.linear(nn.layer_norm(middle, norm), block.c_fc)), block.c_proj)

    # both round differently; values are of size 1 to 5
    np.testing.assert_allclose(naive_block(), library_block(), rtol=0, atol=1e-4)
    total = least(naive_block, library_block)
figure, ax = figures.axes(width=8.5, height=2.6)
figures.bars(ax, ["obvious code", "the library"], total, unit=" ms", digits=1)
ax.set_title("one block, one picture, one thread")
plt.show()

# %% [markdown]
# ## What to remember
#
# - Measure in turns, in the same minute, on the same machine; then change one thing.
# - Products are most of the time and are already fast. Look at what is between them.
# - In place and in pieces that fit a cache; never on an argument that belongs to somebody else.
# - The fastest step is the one that is not taken.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. Why the least of several times, and not their mean? (section 1)
# 2. When may a function be replaced by another that is not the same? (section 3)
# 3. By which of q, k and v can attention be cut up while softmax stays as it is, and why? (section 4)
# 4. `x` is float32. What are `x * 0.5` and `x * np.array([0.5])`? (section 5)
# 5. A fifth of the work runs on one core. How much faster can it be on four cores, and on any number? (section 6)
#
# <details>
# <summary>Answers</summary>
#
# 1. The rest of the computer only adds time.
# 2. When its error, measured, is no larger than what rounding costs anyway.
# 3. By rows of q: a row of scores is a softmax of its own, and needs all of k and v.
# 4. float32, and float64.
# 5. 1 / (0.2 + 0.8 / 4) = 2.5 times, and 5 times.
#
# </details>
#
# ### Further reading
#
# - Harris et al. 2020, "Array programming with NumPy".
# - Drepper 2007, "What every programmer should know about memory", section 3: caches.
# - Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication": what a BLAS does.
# - Dao et al. 2022, "FlashAttention", section 3.1: attention in tiles that need not hold a whole row.
# - Amdahl 1967, "Validity of the single processor approach to achieving large scale computing capabilities".
# - Here: `refclip/nn.py`, `attention.py`, `parallel.py`.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# With `clip = refclip.load("plus240")` (see the README, "Real weights"), section 6 takes seconds instead of
# milliseconds. The README's table has what stopping early is worth on 154 prompts (WinCLIP's 7 normal states in the 22
# templates of its other list): 8 times against a text tower that reads all 77 tokens. `make bench` measures the towers
# beside torch and onnxruntime on your machine, in alternating processes: two libraries with threads of their own in one
# process slow each other down, and the comparison would be worth nothing.
