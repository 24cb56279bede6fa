# %% [markdown] tags=["goals"]
# # 05 Gradients by hand
#
# Learned prompts and adapters need the gradient of a loss. No framework is needed for that: a list of what was
# computed, one rule for each operation, and a walk from the end to the beginning. Here you write all three.
#
# **After it you can**
#
# - write a tape in some thirty lines, and say what a vjp is and what it is not;
# - derive a vjp on paper, and check it so that a mistake cannot hide;
# - choose the step of a numerical check, and say why both a larger and a smaller one are worse;
# - read the library's tape, and predict what it keeps in memory;
# - train two prompts, and tell whether they learned anything.
#
# **You need** [01](01_clip_from_scratch.ipynb) and [02](02_text.ipynb). **Time:** an hour and a half to work through;
# running all cells takes well under a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** x `[n, d]` → y = f(x) `[n, k]` → L `[]`; back: 1 `[]` → g = dL/dy `[n, k]` → dL/dx `[n, d]`. Every
# gradient has the shape of its variable.

# %%
import math
import time
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import refclip
from refclip import figures, losses, metrics, nn, toy, vit
from refclip.autograd import Tape, defvjp, primitive
from refclip.exercises import check, on
from refclip.optim import adam, adam_state
from refclip.preprocess import preprocess, to_model
from refclip.text import embed_tokens, end_of_text, text_tower
from refclip.tokenizer import tokenize
from refclip.transformer import Dual, stack
from refclip.tree import value_and_gradient

figures.use_style()
rng = np.random.default_rng(5)

# %% [markdown]
# ## 1. A tape from nothing
#
# $$\bar x = J^\top \bar y, \qquad J = \frac{\partial y}{\partial x}, \qquad \bar y = \frac{\partial L}{\partial y}$$
#
# L is the loss, one number; a bar means "the gradient of L with respect to", and $\bar y$ is called g in code. A *vjp*
# (vector-Jacobian product) is a function from $\bar y$ to $\bar x$. Three things make a tape: **record** each operation
# with its vjp, **walk back**, and **accumulate**, because a variable that is used twice gets two parts.


# %%
class Step(NamedTuple):
    out: int
    parents: tuple[int, ...]
    vjps: tuple  # one for each parent


class Mine:
    """Values by number, and the steps in the order in which they were taken."""

    def __init__(self):
        self.values, self.steps = [], []

    def put(self, value):
        self.values.append(value)
        return len(self.values) - 1

    def call(self, value, parents, *vjps):
        self.steps.append(Step(self.put(value), parents, vjps))
        return self.steps[-1].out

    def multiply(self, a, b):
        x, y = self.values[a], self.values[b]
        return self.call(x * y, (a, b), lambda g: g * y, lambda g: g * x)

    def matmul(self, a, b):
        x, y = self.values[a], self.values[b]
        return self.call(x @ y, (a, b), lambda g: g @ y.T, lambda g: x.T @ g)

    def total(self, a):
        x = self.values[a]
        return self.call(x.sum(), (a,), lambda g: np.full_like(x, g))

    def backward(self, out):
        found = {out: 1.0}
        for step in reversed(self.steps):
            if step.out in found:
                for parent, vjp in zip(step.parents, step.vjps, strict=True):
                    found[parent] = found.get(parent, 0) + vjp(found[step.out])  # accumulate
        return found


tape, x_value, w_value = Mine(), rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
x, w = tape.put(x_value), tape.put(w_value)
y = tape.matmul(x, w)
gradients = tape.backward(tape.total(tape.multiply(y, y)))  # L = sum of y^2; y is used twice
np.testing.assert_allclose(gradients[x], 2 * x_value @ w_value @ w_value.T, rtol=1e-12)  # float64, the same sums
print("the tape agrees with 2 x W W^T. The walk back:")
for step in reversed(tape.steps):
    print(f"  from {step.out} to {step.parents}, gradient of {step.out}: {np.shape(gradients[step.out])}")

# %% [markdown]
# The product has y twice among its parents, (2, 2), and y gets two equal parts. With `found[parent] = ...` in place of
# the sum, the second would overwrite the first, and the gradient would be half of what it should be.

# %% [markdown] tags=["predict"]
# No J is ever built. **Predict:** for one linear layer of ViT-L/14 at 336 pixels, from 577 tokens of width 1024 to
# the same, how large would J be in float32? The vjp needs W alone.

# %%
size = (577 * 1024) ** 2 * 4
print(f"J: {size / 1e12:.2f} TB; W: {1024 * 1024 * 4 / 1e6:.1f} MB; ratio {size / (1024 * 1024 * 4):,.0f}")

# %% [markdown] tags=["exercise"]
# ### Exercise 1: the weight of a linear layer
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# $y = x W^\top + b$, so $dy = dx\,W^\top + x\,dW^\top + db$. Write $\langle a, b \rangle$ for the sum of all products
# $a_i b_i$. For any small change, $dL = \langle g, dy \rangle$; bring it to the form $\langle \ldots, dx \rangle$, and
# what stands in the place of the dots is the gradient. For x:
# $\langle g, dx\,W^\top \rangle = \langle g W, dx \rangle$.
#
# Do the same for W. One weight serves every token of every picture: x may have a batch axis before its rows.


# %% tags=["exercise"]
def my_weight(g, x):
    """g [.., n, k], x [.., n, d] -> dL/dW [k, d]."""
    raise NotImplementedError


# %% tags=["check"]
def from_library(f, g, *arrays):
    """The gradients of <g, f(*arrays)> by the library's tape."""
    tape = Tape()
    variables = [tape.var(a) for a in arrays]
    return tape.backward(f(*variables), variables, g)


def weight_gradient(g, x):
    k, d = g.shape[-1], x.shape[-1]
    return from_library(lambda w: nn.linear(x, nn.Linear(w, np.zeros(k))), g, np.zeros((k, d)))[0]


one = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
batch = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 3))
check("weight", my_weight, on(*one, gives=weight_gradient(*one)), on(*batch, gives=weight_gradient(*batch)), atol=1e-10)

# %% [markdown] tags=["hint"]
# For one picture, $\langle g, x\,dW^\top \rangle = \langle g^\top x, dW \rangle$; the shapes `[k, n] [n, d]` leave no
# other way. For a batch, all rows count alike: `reshape(-1, d)` puts them under one another.


# %% tags=["solution"]
def my_weight(g, x):
    """g [.., n, k], x [.., n, d] -> dL/dW [k, d]."""
    g_rows, x_rows = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    return g_rows.T @ x_rows


# %% [markdown]
# ## 2. Softmax on paper
#
# $y_i = e^{x_i} / \sum_j e^{x_j}$, so $dy = y \odot (dx - \langle y, dx \rangle)$. Then
# $\langle g, dy \rangle = \langle g \odot y, dx \rangle - \langle g, y \rangle \langle y, dx \rangle$, and
#
# $$\bar x = y \odot (g - \langle g, y \rangle).$$

# %% [markdown] tags=["exercise"]
# ### Exercise 2: the vjp of softmax, over the last axis
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_softmax(g, y):
    """g and y = softmax(x), [n, d] both -> dL/dx [n, d]."""
    raise NotImplementedError


# %% tags=["check"]
x = 2 * rng.normal(size=(4, 6))
g = rng.normal(size=x.shape)
check("softmax", my_softmax, on(g, nn.softmax(x), gives=from_library(nn.softmax, g, x)[0]), atol=1e-10)

# %% [markdown] tags=["hint"]
# The sum $\langle g, y \rangle$ is one number for each row: `sum(axis=-1, keepdims=True)`.


# %% tags=["solution"]
def my_softmax(g, y):
    """g and y = softmax(x), [n, d] both -> dL/dx [n, d]."""
    return y * (g - (g * y).sum(axis=-1, keepdims=True))


# %% [markdown]
# For one row the Jacobian is small enough to be looked at: $J_{ij} = y_i (\delta_{ij} - y_j)$. What one output gains
# the others lose, so every row adds up to 0: a gradient that is the same everywhere moves nothing.

# %% tags=["figure"]
row = np.exp(np.array([0.0, 0.5, 1.0, 2.0, 3.0, 1.5]))
row = row / row.sum()
figure, (left, right) = figures.axes(1, 2, width=10, height=3.8)
figures.bars(left, [f"y_{i}" for i in range(len(row))], row)
figures.heat_map(right, np.diag(row) - np.outer(row, row), "its Jacobian", scale="dy_i / dx_j", signed=True, ticks=True)
plt.show()

# %% [markdown] tags=["exercise"]
# ### Exercise 3: the vjp of GELU
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# $y = x\,\Phi(x)$, with $\Phi$ the standard normal's distribution function (`phi` below computes it).


# %% tags=["exercise"]
def my_gelu(g, x):
    """g, x [n] -> dL/dx [n]."""
    raise NotImplementedError


# %% tags=["check"]
def phi(x):
    return np.array([0.5 * (1 + math.erf(t / math.sqrt(2))) for t in x])


x, g = np.linspace(-3, 3, 13), rng.normal(size=13)
check("GELU", my_gelu, on(g, x, gives=from_library(nn.gelu, g, x)[0]), atol=1e-5)  # the library's erf is fitted

# %% [markdown] tags=["hint"]
# The product rule. $\Phi'(x) = e^{-x^2/2} / \sqrt{2\pi}$. GELU is elementwise: its J is diagonal, so the vjp is g times
# the derivative.


# %% tags=["solution"]
def my_gelu(g, x):
    """g, x [n] -> dL/dx [n]."""
    return g * (phi(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


# %% [markdown]
# ## 3. A check that can fail
#
# $$\langle \bar x, u \rangle \approx \frac{L(x + h u) - L(x - h u)}{2h}, \qquad L(x) = \langle w, f(x) \rangle$$
#
# with random w and u: one number tests all entries at once, since a wrong entry is missed only if u happens to be
# orthogonal to the error. Central differences err by $O(h^2)$ (truncation) and by about $\varepsilon / h$ (rounding),
# $\varepsilon$ the distance from 1 to the next number: 2e-16 in float64, 1e-7 in float32.

# %% [markdown] tags=["exercise"]
# ### Exercise 4: the directional check
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_difference(f, x, w, u, h):
    """The central difference of <w, f(x)> along u, a float."""
    raise NotImplementedError


# %% tags=["check"]
x, w, u = (rng.normal(size=(3, 5)) for _ in range(3))
check(
    "difference",
    my_difference,
    on(lambda x: x**3, x, w, u, 0.1, gives=float((w * (3 * x * x * u + 0.01 * u**3)).sum())),
    on(np.sin, x, w, u, 0.5, gives=float((w * np.cos(x) * np.sin(0.5 * u)).sum() / 0.5)),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Two calls of f, one multiplication by w, one sum, one division by 2 h.


# %% tags=["solution"]
def my_difference(f, x, w, u, h):
    """The central difference of <w, f(x)> along u, a float."""
    return float((w * (f(x + h * u) - f(x - h * u))).sum() / (2 * h))


# %% [markdown] tags=["predict"]
# **Predict** the error against h, both axes logarithmic, from h = 1 to 1e-14. Where is it smallest, in float64 and in
# float32? Which slopes have its two branches?


# %%
def difference(f, x, w, u, h):
    return float((w * (f(x + h * u) - f(x - h * u))).astype(np.float64).sum() / (2 * h))


# %% tags=["figure"]
x, w, u = (rng.normal(size=(8, 16)) for _ in range(3))
exact = float((from_library(nn.softmax, w, x)[0] * u).sum())
steps = 10.0 ** np.arange(0, -14.1, -0.5)
figure, ax = figures.axes(width=9.5, height=4.4)
for (label, dtype), marker in zip((("float64", np.float64), ("float32", np.float32)), "os", strict=True):
    a, b, c = (t.astype(dtype) for t in (x, w, u))
    errors = [abs(difference(nn.softmax, a, b, c, dtype(h)) - exact) for h in steps]
    ax.loglog(steps, np.maximum(errors, 1e-17), marker + "-", label=f"central, {label}", markersize=5)
    print(f"{label}: least error {min(errors):.1e} at h = {steps[int(np.argmin(errors))]:.0e}")
forward = [abs(float((w * (nn.softmax(x + h * u) - nn.softmax(x))).sum() / h) - exact) for h in steps]
ax.loglog(steps, forward, "^-", label="one-sided, float64", markersize=5)
ax.text(1e-13, 1e-9, "rounding\n(slope -1)")
ax.text(3e-4, 1e-10, "truncation\n(slope 2)")
ax.text(2e-7, 3e-5, "one-sided\n(slope 1)", ha="center")
ax.set(xlabel="step h", ylabel="absolute error", ylim=(1e-12, 10))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# To the right truncation: slope 2 for central, 1 for one-sided differences. To the left rounding: slope -1. The floor
# lies near $h \approx \varepsilon^{1/3}$: about 1e-5 in float64. In float32 even the best step, a much larger one,
# leaves an error a hundred thousand times as large and more, and a step of 1e-5 is far too small there. Where its curve
# is flat, x + h u has been rounded to x. So derivatives are checked in float64, also those that will run in float32.
#
# ## 4. A wrong vjp that looks right
#
# Layer norm (without gain): $z = (x - \mathrm{mean}\,x) / s$. On paper
# $\bar x = (g - \mathrm{mean}\,g - z\,\mathrm{mean}(z g)) / s$. Somebody forgets that the mean depends on x, and
# leaves out $\mathrm{mean}\,g$.


# %%
def standard(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)


def norm_vjp(g, x, forgets):
    z = standard(x)
    s = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    mean = 0 if forgets else g.mean(axis=-1, keepdims=True)
    return (g - mean - z * (z * g).mean(axis=-1, keepdims=True)) / s


x, w, u = (rng.normal(size=(6, 256)) for _ in range(3))
numeric = difference(standard, x, w, u, 1e-5)
for forgets in (False, True):
    found = norm_vjp(w, x, forgets)
    right = norm_vjp(w, x, False)
    cosine = (found * right).sum() / np.linalg.norm(found) / np.linalg.norm(right)
    error = abs((found * u).sum() - numeric)
    print(f"mean forgotten: {forgets!s:5}  cosine with the right one {cosine:.4f}, directional error {error:.1e}")
    print(f"{'':23}allclose with atol=0.3 passes: {np.allclose(found, right, atol=0.3)}")
assert abs((norm_vjp(w, x, False) * u).sum() - numeric) < 1e-6  # truncation and rounding, times |g| |u|
assert abs((norm_vjp(w, x, True) * u).sum() - numeric) > 1e-3  # the mistake is no rounding

# %% [markdown]
# The wrong gradient points almost the right way. A step along it would still lower the loss, and a loose tolerance
# passes it. The check of section 3, with a tolerance that has a reason, refuses it. The wider the layer, the smaller
# $\mathrm{mean}\,g$, the better it hides.
#
# ## 5. Adjoints: a copy becomes a sum
#
# Broadcasting copies a value; its adjoint adds up the copies' gradients. Gather copies rows; its adjoint adds each
# row's gradient at the place where it came from. The bias of section 1 was copied to every row, so its gradient is the
# sum of g over the rows; one learned prompt vector that stands in four slots gets four parts.

# %% [markdown] tags=["exercise"]
# ### Exercise 5: unbroadcast
#
# *Difficulty 2 of 3, about 10 minutes.*


# %% tags=["exercise"]
def my_unbroadcast(g, shape):
    """g, in the shape that `shape` was broadcast to -> the gradient, of `shape`."""
    raise NotImplementedError


# %% tags=["check"]
g = rng.normal(size=(4, 3, 5))
check(
    "unbroadcast",
    my_unbroadcast,
    on(g, (5,), gives=g.sum(axis=(0, 1))),
    on(g, (3, 1), gives=g.sum(axis=(0, 2))[:, None]),
    on(g, (4, 3, 5), gives=g),
    atol=1e-10,
)

# %% [markdown] tags=["hint"]
# First sum over the leading axes that `shape` lacks, then, with `keepdims=True`, over each axis that has 1 in `shape`.


# %% tags=["solution"]
def my_unbroadcast(g, shape):
    """g, in the shape that `shape` was broadcast to -> the gradient, of `shape`."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


# %% [markdown] tags=["exercise"]
# ### Exercise 6: the adjoint of a gather
#
# *Difficulty 2 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_scatter(g, slots, rows):
    """y = x[slots], x [rows, d]; g [m, d], slots [m] -> dL/dx [rows, d]."""
    raise NotImplementedError


# %% tags=["check"]
g, slots = rng.normal(size=(5, 3)), np.array([1, 1, 3, 1, 0])
placed = (np.arange(4)[:, None] == slots).astype(np.float64)  # [rows, m], gather as a matrix, transposed
check("gather", my_scatter, on(g, slots, 4, gives=placed @ g), atol=1e-10)

# %% [markdown] tags=["hint"]
# `x[slots] += g` takes a slot that is named twice once only. `np.add.at` takes it each time.


# %% tags=["solution"]
def my_scatter(g, slots, rows):
    """y = x[slots], x [rows, d]; g [m, d], slots [m] -> dL/dx [rows, d]."""
    found = np.zeros((rows, g.shape[1]))
    np.add.at(found, slots, g)
    return found


# %% [markdown]
# ### In-place changes
#
# A vjp holds the arrays that it needs, and not copies of them. Change one between the two walks, and the gradient is
# that of another computation. Nobody complains.

# %%
tape, values = Tape(), np.array([1.0, 2.0])
x = tape.var(values)
loss = (x * x).sum()
before = tape.backward(loss, [x])[0]
values[0] = 100
print("before:", before, " after values[0] = 100:", tape.backward(loss, [x])[0])

# %% [markdown]
# ## 6. The library's tape
#
# The same ideas: a `Var` passes through the towers' own functions, and each appends a record. Here is a linear layer
# with softmax, first with frozen weights and then with learned ones. **Predict** the bytes of `linear` in both.

# %%
x, w, b = rng.normal(size=(64, 32)), rng.normal(size=(8, 32)), np.zeros(8)
for learned in (False, True):
    tape = Tape()
    weights = nn.Linear(tape.var(w), tape.var(b)) if learned else nn.Linear(w, b)
    nn.softmax(nn.linear(tape.var(x), weights)).sum()
    print("learned weights" if learned else "frozen weights", tape, sep="\n", end="\n\n")

# %% [markdown]
# With frozen weights only W is needed for the way back, and it was there before: 0 bytes. With learned ones x must be
# kept for $\bar W = g^\top x$, and W, now a variable, is counted.
#
# ## 7. Memory for time
#
# A recomputed block keeps its input and runs again on the way back. The numbers are the same.

# %%
clip = refclip.load("refclip-mini")
v, depth = clip.vision, len(clip.vision.transformer.blocks)


def shots(seed, each, kind=None):
    """Pictures of biscuits whose damage is of one kind, or of any."""
    every = toy.category("biscuit", seed=seed, train=1, good=1, each=each, size=160).test
    return [s for s in every if s.label and kind in (None, s.defect)]


train, others = shots(4, 2, "contamination"), shots(5, 3)  # two to learn from; two seeds, so no picture is in both
tokens, results = vit.embed(v, preprocess([s.image for s in train], clip.preprocess)[0]), []
for recomputed in (False, True):
    tape, start = Tape(), time.process_time()
    x = tape.var(tokens)
    out = stack(x, v.transformer, recomputed=recomputed).x
    results.append(tape.backward((out * out).mean(), [x])[0])
    seconds = time.process_time() - start
    print(f"recomputed={recomputed!s:5} {len(tape):4} records, {tape.nbytes / 1e6:7.2f} MB, {seconds:.2f} CPU s")
np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6 * np.abs(results[0]).max())  # float32, perhaps another order

# %% [markdown]
# ## 8. Two prompts are trained
#
# Both classes, normal and abnormal, have the same sentence: "x x x x a photo of an object". Only what stands in the
# places of "x" differs, four learned vectors each, and they begin as noise. Both towers are frozen; the patch tokens
# are those of the v-v path, in which each patch speaks for itself more than for the whole picture; how is told in
# [03](03_attention_variants.ipynb), and not needed here. The loss is the cross-entropy of each patch of two pictures of
# dirty biscuits, at a temperature of 0.07.


# %%
def patches_and_labels(pictures):
    """Patch tokens of length 1 [b, g, e], and which patches are damaged, [b, g] of 0 and 1."""
    pixels, places = preprocess([s.image for s in pictures], clip.preprocess)
    found = refclip.encode_tokens(clip, pixels, layers=[depth], dual=Dual("v-v", 1), normalize=True).patches[depth]
    masks = np.stack([to_model(s.mask, place, "box") for s, place in zip(pictures, places, strict=True)])  # [b, H, W]
    blocks = masks.reshape(len(masks), v.grid, v.patch_size, v.grid, v.patch_size)
    share = blocks.mean(axis=(2, 4)).reshape(len(masks), -1)  # [b, g]
    return found, (share > np.minimum(0.25, share.max(axis=1, keepdims=True) / 2)).astype(int)


TOKENS = 4
ids = tokenize(["x " * TOKENS + "a photo of an object"] * 2)
embedded, ends = embed_tokens(clip.text, ids), end_of_text(ids)


def logits(p, patches):
    text, _ = text_tower(clip.text, nn.overwrite(embedded, p["prompt"], 1), ends)  # [2, e]
    return patches @ nn.normalize(text).T / 0.07  # [b, g, 2]


patches, labels = patches_and_labels(train)
others_patches, others_labels = patches_and_labels(others)
kinds = np.array([s.defect for s in others])
same = kinds == "contamination"  # new pictures of the kind that is learned

# %% [markdown] tags=["predict"]
# A constant is the rival: if every patch is given the same p, the damaged share of all patches, the loss is the entropy
# of that share. **Predict:** from two pictures, will the loss fall below that? On *other* pictures with the same kind
# of damage, too? And on kinds of damage that were never shown?

# %%
start = {"prompt": (0.02 * rng.normal(size=(2, TOKENS, embedded.shape[-1]))).astype(np.float32)}  # [2, 4, d]
p, state, curves = start, adam_state(start), []
for _ in range(41):
    value, gradient = value_and_gradient(lambda p: losses.cross_entropy(logits(p, patches), labels), p)
    held_out = losses.cross_entropy(logits(p, others_patches[same]), others_labels[same])
    curves.append((float(value), float(held_out)))
    p, state = adam(p, gradient, state, rate=0.01)

share = others_labels[same].mean()
blind = -share * np.log(share) - (1 - share) * np.log(1 - share)
maps = [nn.softmax(logits(q, others_patches))[..., 1] for q in (start, p)]  # [b, g], before and after
print(f"{p['prompt'].size} numbers were learned from {labels.size} patches, {labels.sum()} of them damaged")
print(f"loss: trained on {curves[0][0]:.3f} -> {curves[-1][0]:.3f}; "
      f"held out {curves[0][1]:.3f} -> {curves[-1][1]:.3f}; constant {blind:.3f}")  # fmt: skip
for kind in sorted(set(kinds)):
    truth = others_labels[kinds == kind].ravel()
    before, after = (metrics.auroc(m[kinds == kind].ravel(), truth) for m in maps)
    seen = "seen" if kind == "contamination" else "never seen"
    print(f"patch AUROC, {kind:14} ({seen:10}): {before:.2f} -> {after:.2f}")

# %% tags=["figure"]
figure, ax = figures.axes(width=9.5, height=3.8)
for curve, style, label in zip(np.transpose(curves), ("-", "--"), ("the two it learns from", "held out"), strict=True):
    ax.plot(curve, style, label=label)
ax.axhline(blind, color="black", linestyle=":", label="a constant, held out")
ax.set(xlabel="step", ylabel="cross-entropy", ylim=(0, None))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Maps of held-out pictures: the first with the learned kind of damage, and of the others the one that gained most and
# the one that gained least, found by code.

# %% tags=["figure"]
gains = [metrics.auroc(b, t) - metrics.auroc(a, t) for a, b, t in zip(*maps, others_labels, strict=True)]
unseen = np.flatnonzero(~same)
order = unseen[np.argsort(np.array(gains)[unseen])]
figure, rows = figures.axes(3, 3, width=10.5, height=9.2)
for (left, middle, right), i in zip(rows, (int(np.flatnonzero(same)[0]), order[-1], order[0]), strict=True):
    figures.picture(left, others[i].image, kinds[i])
    figures.outline(left, others[i].mask)
    for ax, m, title in zip((middle, right), maps, ("before", "after"), strict=True):
        figures.heat_map(ax, m[i].reshape(v.grid, v.grid), title, scale="p(abnormal)", vmin=0, vmax=1, bar=ax is right)
plt.show()

# %% [markdown]
# Before, the two sentences differ by noise alone: most patches lean to one side, and which side is chance. Their AUROC
# may be far from 0.5, since damage is far from the rest along almost any direction; below 0.5 it is on the wrong side.
# After, compare the dashed curve with the dotted line: only below it do the vectors know something of pictures that
# they have not seen. And compare the kinds: what was learned is "unlike a biscuit's surface, as this was", which some
# kinds of damage share and others do not. [06](06_anomalyclip.ipynb) does this with more tokens, other losses and other
# objects.
#
# ## 9. Beside micrograd and HIPS autograd
#
# | | micrograd | HIPS autograd | this tape |
# |---|---|---|---|
# | a node is | one number | an array | an array |
# | the way back is | a closure that adds to `grad` | a vjp that returns | a vjp that returns |
# | the order | sorted, from the graph | sorted, from the graph | that of the list |
# | gradients live | in the nodes, until reset | in the walk | in the walk |
# | second derivatives | no | yes | no |
# | it covers | six operations | most of NumPy | what the towers need |
#
# micrograd is the shortest account of the chain rule, and too slow for a tower. Where its `grad` is not reset, a second
# walk adds to the first; a walk that returns its gradients has nothing to reset. HIPS autograd gives each array a space
# and asserts that a vjp's answer lies in it; this tape compares the shape. It also counts its bytes, since memory is
# what ends a training run.
#
# A function of your own joins the tape in two steps: `primitive` makes it record, and `defvjp` gives its derivative, as
# a function of the output and the arguments that returns one vjp for each argument. Here with a mistake:


# %%
@primitive
def twice(x):
    return 2 * x


defvjp(twice)(lambda out, x: (lambda g: 2 * g.sum(axis=0),))  # the shape is wrong; added, it would broadcast
tape = Tape()
x = tape.var(np.ones((3, 2)))
try:
    tape.backward(twice(x).sum(), [x])
except ValueError as error:
    print(error)

# %% [markdown]
# ## What to remember
#
# - A vjp takes a gradient to a gradient. J is never built.
# - Copy forwards, sum backwards.
# - Check along random directions, in float64, with h near 1e-5 and a tolerance that has a reason.
# - What the tape keeps is what the vjps of *variables* need. Frozen weights cost nothing.

#
# ### Can you now?
#
# Without scrolling up:
#
# 1. A variable enters three operations. What happens to the three gradients? (section 1)
# 2. All six entries of a row of g are 7. What is the gradient through softmax? (section 2)
# 3. Why is a step of 1e-12 worse than one of 1e-5, in float64? (section 3)
# 4. A bias `[d]` is added to tokens `[b, n, d]`. Of what shape is its gradient, and how is it found? (section 5)
# 5. A loss falls from 1.7 to 0.2. Did the prompt learn anything of the pictures? (section 8)
#
# <details>
# <summary>Answers</summary>
#
# 1. They are added.
# 2. 0: the entries of y add up to 1, whatever x is.
# 3. The difference of two nearly equal numbers is their rounding, and it is divided by a smaller number.
# 4. `[d]`; the sum over pictures and tokens.
# 5. Nobody can say before the loss of a constant is known, and that on pictures that were held out.
#
# </details>
#
# ### Further reading
#
# - Baydin et al. 2018, "Automatic differentiation in machine learning: a survey", section 3: forward, reverse, and what
#   each costs.
# - Chen et al. 2016, "Training deep nets with sublinear memory cost": recomputing, as in section 7.
# - Zhou et al. 2022, "Learning to prompt for vision-language models" (CoOp): section 8, with more tokens.
# - Here: `refclip/autograd.py`, then `vjps.py`, `vjps_elementary.py` and `tests/test_vjps.py`.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_large_patch14_clip_336.openai open_clip_model.safetensors open_clip_config.json --local-dir l14
# ```
#
# and `clip = refclip.load("l14")` in section 7. Print both rows there, and compare the megabytes with your machine's
# memory before you raise the batch. The loss of section 8 need not start or end where the small model's does; hold its
# end against the constant's, as there.
