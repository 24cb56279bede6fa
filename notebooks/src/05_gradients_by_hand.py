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
# - train a prompt vector.
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
from refclip import figures, losses, nn, toy, vit
from refclip.autograd import Tape
from refclip.exercises import check, on
from refclip.optim import adam, adam_state
from refclip.preprocess import preprocess, to_model
from refclip.text import embed_tokens, end_of_text, text_tower
from refclip.tokenizer import tokenize
from refclip.transformer import stack
from refclip.tree import value_and_gradient

figures.use_style()
rng = np.random.default_rng(5)

# %% [markdown]
# ## 1. A tape from nothing
#
# $$\bar x = J^\top \bar y, \qquad J = \frac{\partial y}{\partial x}, \qquad \bar y = \frac{\partial L}{\partial y}$$
#
# A *vjp* (vector-Jacobian product) is a function from $\bar y$ to $\bar x$. Three things make a tape: **record** each
# operation with its vjp, **walk back**, and **accumulate**, because a variable that is used twice gets two parts.


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
print("the tape agrees with 2 x W W^T; gradient of x:", gradients[x].shape)

# %% [markdown] tags=["predict"]
# No J is ever built. **Predict:** for one linear layer of ViT-L/14 at 336 pixels, from 577 tokens of width 1024 to
# the same, how large would J be in float32? The vjp needs W alone.

# %%
size = (577 * 1024) ** 2 * 4
print(f"J: {size / 1e12:.2f} TB; W: {1024 * 1024 * 4 / 1e6:.1f} MB; ratio {size / (1024 * 1024 * 4):,.0f}")

# %% [markdown] tags=["exercise"]
# ### Exercise 1: the vjp of a linear layer
#
# $y = x W^\top + b$. From g return the three gradients side by side, raveled in the order x, W, b.


# %% tags=["exercise"]
def my_linear(g, x, weight):
    """g [n, k], x [n, d], weight [k, d] -> [n d + k d + k]."""
    raise NotImplementedError


# %% tags=["check"]
def from_library(f, g, *arrays):
    """The gradients <g, f(*arrays)> by the library's tape."""
    tape = Tape()
    variables = [tape.var(a) for a in arrays]
    return tape.backward(f(*variables), variables, g)


arrays = rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)
g = rng.normal(size=(5, 2))
expected = np.concatenate([a.ravel() for a in from_library(lambda x, w, b: nn.linear(x, nn.Linear(w, b)), g, *arrays)])
check("linear", my_linear, on(g, *arrays[:2], gives=expected), atol=1e-10)

# %% [markdown] tags=["hint"]
# Write $\langle g, dy \rangle$ with $dy = dx\, W^\top + x\, dW^\top + db$. Or let the shapes decide: each gradient has
# the shape of its variable. b was broadcast over the rows.


# %% tags=["solution"]
def my_linear(g, x, weight):
    """g [n, k], x [n, d], weight [k, d] -> [n d + k d + k]."""
    return np.concatenate([(g @ weight).ravel(), (g.T @ x).ravel(), g.sum(axis=0)])


# %% [markdown]
# ## 2. Softmax on paper
#
# $y_i = e^{x_i} / \sum_j e^{x_j}$, so $dy = y \odot (dx - \langle y, dx \rangle)$. Then
# $\langle g, dy \rangle = \langle g \odot y, dx \rangle - \langle g, y \rangle \langle y, dx \rangle$, and
#
# $$\bar x = y \odot (g - \langle g, y \rangle).$$

# %% [markdown] tags=["exercise"]
# ### Exercise 2: the vjp of softmax, over the last axis


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
# $y = x\,\Phi(x)$, with $\Phi$ the standard normal's distribution function (`phi` below computes it).


# %% tags=["exercise"]
def my_gelu(g, x):
    """g, x [n] -> dL/dx [n]."""
    return None


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
# orthogonal to the error. Central differences err by $O(h^2)$ (truncation) and by about $\varepsilon / h$ (rounding).

# %% [markdown] tags=["exercise"]
# ### Exercise 4: the directional check


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
ax.text(1e-13, 1e-7, "rounding\n(slope -1)")
ax.text(1e-3, 1e-10, "truncation\n(slope 2)")
ax.set(xlabel="step h", ylabel="absolute error", ylim=(1e-12, 10))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# To the right truncation: slope 2 for central, 1 for one-sided differences. To the left rounding: slope -1. The floor
# lies near $h \approx \varepsilon^{1/3}$: about 1e-5 in float64. In float32 even the best step, a much larger
# one, leaves an error thousands of times as large, and a step of 1e-5 is useless there. So derivatives are checked in
# float64, also those that will run in float32.
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
# row's gradient at the place where it came from. One learned prompt vector that stands in four slots gets four parts.

# %% [markdown] tags=["exercise"]
# ### Exercise 5: unbroadcast


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
damaged = [s for s in toy.category("biscuit", seed=4, train=1, good=1, each=1, size=160).test if s.label]
EASY = ("burn", "contamination", "hole", "stain")  # large or strong: two pictures are little to learn from
picked = sorted(damaged, key=lambda s: s.defect not in EASY)[:2]
print([s.defect for s in picked])
pixels, geometry = preprocess([s.image for s in picked], clip.preprocess)
tokens, results = vit.embed(v, pixels), []
for recomputed in (False, True):
    tape, start = Tape(), time.process_time()
    x = tape.var(tokens)
    out = stack(x, v.transformer, recomputed=recomputed).x
    results.append(tape.backward((out * out).mean(), [x])[0])
    seconds = time.process_time() - start
    print(f"recomputed={recomputed!s:5} {len(tape):4} records, {tape.nbytes / 1e6:7.2f} MB, {seconds:.2f} CPU s")
np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6 * np.abs(results[0]).max())  # float32, perhaps another order

# %% [markdown] tags=["predict"]
# ## 8. A prompt vector is trained
#
# One vector for each class, normal and abnormal, stands where "x" stands in "x a photo of an object". The towers are
# frozen. The loss is the cross-entropy of each patch of two pictures. **Predict:** will it fall on so few? Would
# that say anything about a third picture?

# %%
patches = refclip.encode_tokens(clip, pixels, layers=[depth], normalize=True).patches[depth]  # [2, g, e]
shares = []
for shot, place in zip(picked, geometry, strict=True):
    mask = to_model(shot.mask, place, "box")
    shares.append(mask.reshape(v.grid, v.patch_size, v.grid, v.patch_size).mean(axis=(1, 3)).ravel())
labels = np.array([s > min(0.25, s.max() / 2) for s in shares]).astype(int)  # [2, g]
ids = tokenize(["x a photo of an object"] * 2)
embedded, ends = embed_tokens(clip.text, ids), end_of_text(ids)


def prompt_loss(p):
    text, _ = text_tower(clip.text, nn.overwrite(embedded, p["prompt"], 1), ends)
    return losses.cross_entropy(patches @ nn.normalize(text).T / 0.07, labels)


p = {"prompt": (0.02 * rng.normal(size=(2, 1, embedded.shape[-1]))).astype(np.float32)}  # [classes, 1, d]
state, curve = adam_state(p), []
for _ in range(30):
    value, gradient = value_and_gradient(prompt_loss, p)
    p, state = adam(p, gradient, state, rate=0.003)
    curve.append(float(value))

# %% tags=["figure"]
figure, ax = figures.axes(width=8, height=3.6)
ax.plot(curve, "o-", label="learned prompt")
share = labels.mean()
blind = -share * np.log(share) - (1 - share) * np.log(1 - share)
ax.axhline(blind, color="black", linestyle=":", label="same p for all patches")
ax.set(xlabel="step", ylabel="cross-entropy", ylim=(0, None), xticks=range(0, 30, 5))
ax.legend()
plt.show()
print(
    f"loss {curve[0]:.3f} -> {curve[-1]:.3f}; blind to the picture {blind:.3f}; {p['prompt'].size} numbers were learned"
)

# %% [markdown]
# The dotted line is what the damaged share alone gives, without a look at any patch. Only below it has the prompt
# learned something of the pictures. Did it get there, on these weights?
#
# ## 9. Beside micrograd and HIPS autograd
#
# micrograd records scalars: each number is a node with a closure, and a topological sort finds the order. It is the
# clearest account of the chain rule, and too slow for a tower. HIPS autograd records arrays, wraps nearly all of NumPy,
# and can differentiate its own derivatives. This tape records arrays too, only for the functions that the towers
# need; the order is that of the list, so nothing is sorted; there are no second derivatives. It counts its bytes,
# since memory is what ends a training run.
#
# ## What to remember
#
# - A vjp takes a gradient to a gradient. J is never built.
# - Copy forwards, sum backwards.
# - Check along random directions, in float64, with h near 1e-5 and a tolerance that has a reason.
# - What the tape keeps is what the vjps of *variables* need. Frozen weights cost nothing.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_large_patch14_clip_336.openai open_clip_model.safetensors open_clip_config.json --local-dir l14
# ```
#
# and `clip = refclip.load("l14")` in section 7. Print both rows there, and compare the megabytes with your machine's
# memory before you raise the batch. The prompt's loss need not start or end where the small model's does.
