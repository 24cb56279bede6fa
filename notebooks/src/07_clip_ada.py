# %% [markdown] tags=["goals"]
# # 07 CLIP-ADA
#
# AnomalyCLIP learns from real defects of other objects. CLIP-ADA (Cai et al. 2024) has only *normal* pictures, of the
# very things that it is to judge, and paints the defects itself. One prompt for "defect" is learned, and one linear
# layer on the patches; then the picture is looked at again where the first answer points. The towers are frozen. It is
# not zero-shot: one model for all categories, learned on their normal pictures.
#
# **After it you can**
#
# - make a pseudo-anomaly step by step, and say what kinds of defect it cannot imitate;
# - write the method's six equations, and say which of its choices the paper leaves open;
# - explain how the gradient of the second look reaches the first, through a tower that does not learn;
# - measure what each refinement changes, and how a map becomes one score.
#
# **You need** [06](06_anomalyclip.ipynb) (learned vectors in a prompt) and [09](09_metrics.ipynb) (AUROC, AP).
# **Time:** an hour and a half to work through; running all cells takes less than a minute on two cores, training
# included.

# %% [markdown] tags=["shapes"]
# **The map:** picture `[b, 3, H, W]` → patches of block l `[b, g, d]` → Proj_0 → v `[b, g, e]` × t `[1, e]` → S_0
# `[b, gh, gw]` → x_1 = x ⊙ S_0 `[b, 3, H, W]` → the same tower, Proj_1 → S_1 → … → S_K → map `[b, H, W]` → score `[b]`

# %%
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import refclip
from refclip import differences, figures, losses, metrics, synth, toy
from refclip.elementary import sigmoid
from refclip.exercises import check, on
from refclip.methods import clip_ada, clip_ada_fit
from refclip.methods.clip_ada_learned import Fitted, begin
from refclip.methods.clip_ada_options import DEFAULTS, settled
from refclip.methods.clip_ada_refine import attended, logits, loss_of, prompt_ids, text_embedding
from refclip.optim import adam_state, adamw, step_rate
from refclip.preprocess import preprocess
from refclip.resample import resize
from refclip.tokenizer import decode
from refclip.training import batch_of
from refclip.tree import value_and_gradient

figures.use_style()
BLUE, ORANGE, RED = (figures.COLOURS[c] for c in ("blue", "orange", "vermilion"))
clip = refclip.load("refclip-mini")
side, p = clip.vision.image_size, clip.vision.patch_size
NAMES = ("biscuit", "cork")
things = {name: toy.category(name, seed=4, train=12, good=6, each=2, size=side) for name in NAMES}
normal = [image for thing in things.values() for image in thing.train]  # all that is learned from
shots = [shot for thing in things.values() for shot in thing.test]
of = [name for name, thing in things.items() for _ in thing.test]
pixels = preprocess([shot.image for shot in shots], clip.preprocess)[0]  # [b, 3, H, W]
masks, labels = np.stack([shot.mask for shot in shots]), np.array([shot.label for shot in shots])
print(f"to learn from: {len(normal)} normal pictures; to be judged: {len(shots)}, of which {labels.sum()} are damaged")


def picture_of(x):
    """Pixels as the tower takes them, [3, H, W] -> uint8 [H, W, 3]."""
    shown = np.moveaxis(x, 0, -1) * clip.preprocess.std + clip.preprocess.mean
    return (255 * shown.clip(0, 1)).round().astype(np.uint8)


# %% [markdown]
# ## 1. Painting a defect
#
# CLIP-ADA takes DRAEM's recipe (Zavrtanik et al. 2021, section 3.3). Noise decides *where*, a picture of something else
# decides *what*:
#
# $$I' = (1 - M) \odot I + M \odot \big((1 - \beta) A + \beta I\big), \qquad \beta \sim U(0, 0.8)$$
#
# M is Perlin noise, turned by a random angle, above a threshold; A is a texture after three random changes of colour,
# tone or angle. DRAEM's textures are photographs (DTD); the library draws its own, because theirs may not be handed on.

# %% tags=["figure"]
rng = np.random.default_rng(8)
source = normal[0]
noise = synth.perlin(rng, (side, side), (4, 4))  # 4 x 4 cells; in training 1 to 32 each way
angle = rng.uniform(-90, 90)
turned = np.asarray(Image.fromarray(noise.astype(np.float32)).rotate(angle, Image.Resampling.BILINEAR))
where = turned > 0.5
texture = Image.fromarray(synth.procedural(rng)).resize((side, side))
for name in ("gamma", "posterize", "rotate"):
    texture = synth.CHANGES[name](rng, texture)
texture, beta = np.asarray(texture), 0.3
blended = np.where(where[..., None], np.rint((1 - beta) * texture + beta * source), source).astype(np.uint8)
figure, many = figures.axes(1, 6, width=16, height=3)
figures.picture(many[0], source, "I, normal")
figures.heat_map(many[1], noise, "Perlin noise", scale="height", vmin=-1, vmax=1, bar=False)
figures.heat_map(many[2], turned, f"turned by {angle:.0f}°", scale="height", vmin=-1, vmax=1)
figures.picture(many[3], 255 * where, "M: above 0.5")
figures.picture(many[4], texture, "A, texture")
figures.picture(many[5], blended, f"I', β = {beta}")
plt.show()

# %% [markdown] tags=["exercise"]
# ### Exercise 1: the blend
#
# *Difficulty 2 of 3, about 10 minutes.*


# %% tags=["exercise"]
def my_blend(image, texture, mask, beta):
    """uint8 [H, W, 3] twice, bool [H, W], a number -> uint8 [H, W, 3], rounded to the nearest."""
    raise NotImplementedError


# %% tags=["check"]
check(
    "blend",
    my_blend,
    on(source, texture, where, beta, gives=blended),
    on(source, texture, where, 1.0, gives=source),
    on(source, texture, ~where, 0.0, gives=np.where(where[..., None], source, texture)),
    atol=0,
)

# %% [markdown] tags=["hint"]
# `mask[..., None]` has the axis that the colours need. uint8 arithmetic wraps round at 256: a product with a Python
# float is a float, which has to be rounded before it is made uint8 again.


# %% tags=["solution"]
def my_blend(image, texture, mask, beta):
    """uint8 [H, W, 3] twice, bool [H, W], a number -> uint8 [H, W, 3], rounded to the nearest."""
    inside = np.rint((1 - beta) * texture + beta * image)
    return np.where(mask[..., None], inside, image).astype(np.uint8)


# %% [markdown] tags=["predict"]
# In DRAEM's recipe half of the pictures get such a defect, and 3 in 10 are turned first; each epoch draws anew. Here,
# with two dozen pictures and seconds to learn in, all of them get one. **Predict.** What could a detector learn from
# these that real defects do not have? Which real defects look like none of them?

# %% tags=["figure"]
TRAINING = clip_ada_fit.Training(batch=8, probability=1.0, mask="any")
some = [0, 3, 6, 9, 13, 16, 19, 22]
x, target = clip_ada_fit.drawn(clip, normal, some, 0, TRAINING)  # [8, 3, H, W], [8, gh, gw]
figure, many = figures.axes(2, 8, width=16, height=4.4)
for i in range(8):
    figures.picture(many[0, i], picture_of(x[i]), "as drawn" if i == 0 else "")
    figures.heat_map(
        many[1, i], target[i], "label" if i == 0 else "", scale="label of a patch", vmin=0, vmax=1, bar=i == 7
    )
plt.show()

# %% [markdown]
# The labels are on the grid of the patches, because $S$ is. The paper does not say how the mask comes down to it. The
# library takes the share of the patch that is covered; here it is 1 where any pixel is (`mask="any"`), so that S has
# something to reach for. The picture is multiplied by S later: a small S would leave nothing to see.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: labels of patches
#
# *Difficulty 2 of 3, about 10 minutes.*


# %% tags=["exercise"]
def my_labels(mask, p):
    """A mask [H, W] and the side of a patch -> the share of each patch that is covered, [H / p, W / p]."""
    return None


# %% tags=["check"]
one = np.zeros((2 * p, 3 * p), bool)
one[: p // 2, : 2 * p] = True
check(
    "labels",
    my_labels,
    on(one, p, gives=np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])),
    on(where, p, gives=clip_ada_fit.label(where, p, "share")),
    atol=1e-12,
)

# %% [markdown] tags=["hint"]
# `mask.reshape(gh, p, gw, p)`: rows of patches, rows in a patch, columns of patches, columns in a patch. Mean over two
# of the four.


# %% tags=["solution"]
def my_labels(mask, p):
    """A mask [H, W] and the side of a patch -> the share of each patch that is covered, [H / p, W / p]."""
    height, width = mask.shape
    return mask.reshape(height // p, p, width // p, p).mean(axis=(1, 3))


# %% [markdown]
# ## 2. One prompt
#
# $$w = \mathrm{Embed}(\mathrm{ids}(\text{template without [CLS]})) \tag{1}$$
# $$t = T(w \text{ with } p_1 \ldots p_m \text{ in the place of [CLS]}) \tag{2}$$
#
# m = 4 vectors are learned. There is no second prompt for "normal": the answer will be a sigmoid, not a softmax. (Our
# text of the paper has lost its formulas; what is written here is how we read the words around them.
# `refclip.differences` lists each reading.)

# %%
# l is lost from our text of the paper; the library takes the middle block, this notebook one two thirds of the way up
LAYER = round(2 / 3 * len(clip.vision.transformer.blocks))
OPTIONS = settled(clip, DEFAULTS._replace(layer=LAYER, refinements=2, normalize=True, scale="learned"))
BEGIN = 10  # what the learned scale starts at; see section 3
before, after = prompt_ids(OPTIONS)
print([decode([i]) for i in before], "+ p1 p2 p3 p4 +", [decode([i]) for i in after])
learned = begin(clip, OPTIONS, seed=0)
t = text_embedding(clip.text, OPTIONS, learned.prompt)
count = sum(q.weight.size + q.bias.size for q in learned.projections) + learned.prompt.size
print("t", t.shape, f"learned here, with K = {OPTIONS.refinements}: {count:,} numbers")

# %% [markdown]
# ## 3. The first answer
#
# $$v = \mathrm{Proj}_0(F_l(x)), \qquad S_0 = \sigma(v\, t^\top) \tag{3}$$
# $$L_0 = \mathrm{BCE}(S_0, Y) = -\frac1g \sum_i Y_i \log S_{0,i} + (1 - Y_i) \log(1 - S_{0,i}) \tag{4}$$
#
# $F_l$ are the patch tokens of one block, number l; the blocks after it are not even run. Are v and t brought to
# length 1 first? The paper does not say, and much depends on it.

# %% [markdown] tags=["predict"]
# **Predict.** Cosines lie between -1 and 1. Between which two numbers must their sigmoid lie? Could such an S ever say
# "surely normal"? And products of vectors as long as they come: where will the sigmoid start?

# %% tags=["figure"]
kinds = {
    "v tᵀ, as long as they are": {"normalize": False, "scale": "one"},
    "cosine": {"normalize": True, "scale": "one"},
    f"cosine times {BEGIN}": {"normalize": True, "scale": "learned"},
}
figure, many = figures.axes(1, 3, width=13, height=3.4)
for ax, (name, change) in zip(many, kinds.items(), strict=True):
    o = OPTIONS._replace(refinements=0, **change)
    new = begin(clip, o, seed=0)
    if new.scale is not None:
        new = new._replace(scale=BEGIN * new.scale)
    z = logits(clip, new, o, pixels[::4])[0]
    ax.hist(sigmoid(z).ravel(), bins=40, range=(0, 1), color=BLUE)
    ax.axvspan(1 / (1 + np.e), np.e / (1 + np.e), color=ORANGE, alpha=0.25)
    loss = float(losses.bce_with_logits(z, np.zeros_like(z)))
    ax.set(title=f"{name}\nBCE with 'normal': {loss:.2f}", xlabel="S_0 before learning", yticks=[])
plt.show()
print(f"orange: from sigmoid(-1) = {1 / (1 + np.e):.2f} to sigmoid(1) = {np.e / (1 + np.e):.2f}")

# %% [markdown]
# With long vectors the sigmoid can start at its two ends, where it hardly slopes, and much of the learning is spent on
# coming back (the library's default, `normalize=False`, is the plain reading of equation 3). Cosines alone can never
# leave the orange band. Here: cosines, times a number that is learned too and starts at 10. That is our choice for a
# training of seconds, not the paper's.

# %% [markdown] tags=["exercise"]
# ### Exercise 3: binary cross-entropy from z
#
# *Difficulty 3 of 3, about 15 minutes.*
#
# From z, not from S: log(sigmoid(z)) is log(0) for z = -800. Write the mean without overflow.


# %% tags=["exercise"]
def my_bce(z, target):
    """[...] each -> float: the mean of -Y log sigmoid(z) - (1 - Y) log(1 - sigmoid(z))."""
    raise NotImplementedError


# %% tags=["check"]
rng = np.random.default_rng(1)
z, y = 3 * rng.standard_normal((2, 5, 5)), rng.uniform(size=(2, 5, 5))
check(
    "BCE",
    my_bce,
    on(z, y, gives=float(losses.bce_with_logits(z, y))),
    on(np.array([-800.0, 800.0]), np.array([0.0, 0.5]), gives=200.0),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# $-\log \sigma(z) = \log(1 + e^{-z})$ and $-\log(1 - \sigma(z)) = z + \log(1 + e^{-z})$, so the sum is $(1 - Y) z +
# \log(1 + e^{-z})$. For negative z, $\log(1 + e^{-z}) = -z + \log(1 + e^{z})$. Together: $\max(z, 0) - Y z + \log(1 +
# e^{-|z|})$.


# %% tags=["solution"]
def my_bce(z, target):
    """[...] each -> float: the mean of -Y log sigmoid(z) - (1 - Y) log(1 - sigmoid(z))."""
    return float((np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))).mean())


# %% [markdown]
# ## 4. The second look
#
# $$x_k = x \odot S_{k-1}, \qquad v_k = \mathrm{Proj}_k(F_l(x_k)), \qquad S_k = \sigma(v_k\, t^\top),
# \quad k = 1 \ldots K \tag{5}$$
# $$L = L_0 + \lambda \sum_{k=1}^{K} L_k, \qquad \lambda = 1 \tag{6}$$
#
# $S_{k-1}$, enlarged to the size of the picture, multiplies the *pixels*. Where the first answer says "normal", the
# picture fades to the mean colour (the pixels are normalised, so 0 is the mean of all colours); where it says "defect",
# it stays. Then the same frozen tower looks again. Tower and prompt are shared by all looks, projections are not.

# %% [markdown] tags=["exercise"]
# ### Exercise 4: what the tower is shown
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# `resize(s, (H, W), "bilinear")` enlarges the last two axes.


# %% tags=["exercise"]
def my_attended(x, s):
    """Pixels [b, 3, H, W] and S [b, gh, gw] -> x_k [b, 3, H, W]."""
    return None


# %% tags=["check"]
s = np.random.default_rng(2).uniform(size=(2, 15, 15)).astype(np.float32)
halves = np.repeat([[[0.0, 1.0]]], 2, axis=1).astype(np.float32)  # [1, 2, 2]: left 0, right 1
sides = np.clip(np.arange(8) / 4 - 0.375, 0, 1).astype(np.float32)  # from one centre to the other in four pixels
check(
    "attended",
    my_attended,
    on(pixels[:2], s, gives=attended(pixels[:2], s, OPTIONS, clip.preprocess)),
    on(np.ones((1, 3, 8, 8), np.float32), halves, gives=np.broadcast_to(sides, (1, 3, 8, 8)).copy()),
    atol=1e-5,  # float32, of pixels up to about 3
)

# %% [markdown] tags=["hint"]
# `resize(s, x.shape[2:], "bilinear")` is `[b, H, W]`; `[:, None]` puts the axis of the colours in.


# %% tags=["solution"]
def my_attended(x, s):
    """Pixels [b, 3, H, W] and S [b, gh, gw] -> x_k [b, 3, H, W]."""
    return x * resize(s, x.shape[2:], "bilinear")[:, None]


# %% [markdown] tags=["predict"]
# ### Through the tower
#
# "Trained end-to-end" (section 4.4.1): $L_1$ depends on $S_0$ through the pixels $x_1$, hence on Proj_0. The tower's
# weights are frozen, but a gradient can pass *through* them, to the picture. **Predict:** of $L_1$ alone, is the
# gradient with respect to Proj_0 zero if the tower is frozen? And if $S_0$ is taken as a constant (`end_to_end=False`)?

# %%
begun = learned._replace(scale=BEGIN * learned.scale)
for end_to_end in (True, False):
    o = OPTIONS._replace(refinements=1, end_to_end=end_to_end)

    def second(parameters, o=o):
        return losses.bce_with_logits(logits(clip, parameters, o, x[:2])[1], target[:2])

    slope = value_and_gradient(second, begun._replace(projections=begun.projections[:2]))[1]
    lengths = [float(np.linalg.norm(q.weight)) for q in slope.projections]
    print(f"end_to_end={end_to_end!s:5}  |dL_1/dProj_0| = {lengths[0]:.2e}   |dL_1/dProj_1| = {lengths[1]:.2e}")

# %% [markdown]
# Frozen means that the weights do not move, not that nothing passes. The price: for each look after the first, the way
# back through the blocks of the image tower, for every picture of every step. So nothing can be computed once and kept,
# as 06 did.
#
# ## 5. Learning
#
# AdamW, and a rate that is multiplied by 0.2 twice (section 5.1.3). The paper takes 800 epochs in batches of 16. Here
# it is 15 in batches of 8, with a higher rate.

# %%
EPOCHS, RATE = 15, 5e-3
each = -(-len(normal) // TRAINING.batch)
STEPS = EPOCHS * each
drops = [round(part * EPOCHS) for part in TRAINING.drops]
held_x, held_y = clip_ada_fit.drawn(clip, normal, range(0, len(normal), 2), 999, TRAINING)  # draws of an epoch not seen
AT = sorted({0, 3, 6, 12, 24, 36, STEPS})


def parts(parameters):
    """L_0, ..., L_K on anomalies that are not drawn in learning."""
    return [float(losses.bce_with_logits(z, held_y)) for z in logits(clip, parameters, OPTIONS, held_x)]


now, state, moments, curve = begun, adam_state(begun), {}, []
for step in range(STEPS):
    if step in AT:
        moments[step] = now
    epoch, index = batch_of(step, len(normal), TRAINING.batch, TRAINING.seed)
    given = clip_ada_fit.drawn(clip, normal, index, epoch, TRAINING)

    def loss(parameters, given=given):
        return loss_of(clip, parameters, OPTIONS, *given, lam=TRAINING.lam)

    value, gradient = value_and_gradient(loss, now)
    now, state = adamw(now, gradient, state, rate=step_rate(epoch, RATE, drops, TRAINING.factor), decay=TRAINING.decay)
    curve.append(float(value))
moments[STEPS] = now
print(f"{STEPS} steps; the scale went from {BEGIN} to {float(now.scale[0]):.2f}")

# %% [markdown] tags=["predict"]
# **Predict.** Which of the looks will have the lowest loss in the end? Each sees less of the picture than the one
# before.

# %% tags=["figure"]
held = {step: parts(moments[step]) for step in AT}
base = float(held_y.mean())
constant = -(base * np.log(base) + (1 - base) * np.log(1 - base))
figure, (left, right) = figures.axes(1, 2, width=12, height=4)
left.plot(range(1, STEPS + 1), curve, color=BLUE)
left.set(xlabel="step", ylabel="L = L_0 + L_1 + L_2", title="each step, on new draws", ylim=(0, None))
for k, marker in enumerate(("o-", "s--", "^-.")):
    right.plot(AT, [held[step][k] for step in AT], marker, label=f"L_{k}")
right.axhline(constant, color="black", linestyle=":", label="best constant")
right.set(xlabel="steps taken", title="the same pictures, new anomalies", ylim=(0, None))
right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# The dotted line is the loss of one who has not looked: the same S everywhere, the mean of the labels. Being below it
# is the least that a look must do.
#
# ## 6. What refinement changes
#
# Now the real test pictures. `clip_ada.score` enlarges S_K, smooths it, and gives the score; `refinements=k` stops
# earlier.

# %%
fitted = Fitted(now, {"options": OPTIONS._asdict()}, curve)
state = {k: clip_ada.prepare(clip, learned=fitted, refinements=k) for k in range(1 + OPTIONS.refinements)}
features = clip_ada.extract(state[OPTIONS.refinements], [shot.image for shot in shots])  # all S_k at once
answers = {k: clip_ada.score(one, features) for k, one in state.items()}
start = clip_ada.prepare(clip, learned=fitted._replace(learned=begun))
untrained = clip_ada.score(start, clip_ada.extract(start, [shot.image for shot in shots]))


def measured(answer):
    """(pixel AUROC, pixel AP, image AUROC), the mean over categories."""
    found = []
    for name in NAMES:
        i = [j for j, called in enumerate(of) if called == name]
        maps, truth = answer.map[i].ravel(), masks[i].ravel()
        image = metrics.auroc(answer.score[i], labels[i])
        found.append((metrics.auroc(maps, truth), metrics.average_precision(maps, truth), image))
    return np.mean(found, axis=0)


# %% [markdown] tags=["predict"]
# **Predict.** The second look sees the picture faded wherever the first look saw nothing. Can it find a defect that the
# first one missed? Can it take back a false alarm? Which of the two is refinement good for?

# %% tags=["figure"]
chosen = [
    next(i for i, shot in enumerate(shots) if (of[i], shot.defect) == want)
    for want in (("biscuit", "burn"), ("cork", "contamination"), ("cork", "hole"))
]
figure, many = figures.axes(len(chosen), 6, width=17, height=2.9 * len(chosen))
top = max(answers[k].map[i].max() for k in answers for i in chosen)
for row, i in enumerate(chosen):
    figures.picture(many[row, 0], shots[i].image, f"{of[i]}: {shots[i].defect}")
    figures.outline(many[row, 0], shots[i].mask)
    for k in answers:
        figures.heat_map(
            many[row, 1 + 2 * k], features.maps[k][i], f"S_{k}", scale="S", vmin=0, vmax=top, bar=k == len(answers) - 1
        )
        if k + 1 < len(answers):
            again = attended(pixels[i : i + 1], features.maps[k][i : i + 1], OPTIONS, clip.preprocess)[0]
            figures.picture(many[row, 2 + 2 * k], picture_of(again), f"x_{k + 1} = x ⊙ S_{k}")
plt.show()

# %% tags=["figure"]
table = {"untrained, k = 2": measured(untrained)} | {f"k = {k}": measured(answer) for k, answer in answers.items()}
figure, many = figures.axes(1, 3, width=14, height=2.9)
for i, (ax, title) in enumerate(zip(many, ("pixel AUROC", "pixel AP", "image AUROC"), strict=True)):
    figures.bars(ax, list(table) if i == 0 else [""] * len(table), [values[i] for values in table.values()])
    ax.set(title=title, xlim=(0, 1.15))
plt.show()

# %% [markdown]
# The paper's table 4, MVTec AD, learned prompt: pixel AP 54.3 without refinement, 55.6 with one, 55.7 with two; pixel
# AUROC 96.4, 96.7, 96.7. So the gain that it reports for the second look is about one point, after 800 epochs, and
# there is next to none for the third. Do the bars above show a gain? Look for reasons in the pictures x_1. The hole in
# the cork, of which S_0 marked a part, is let through, and S_1 and S_2 mark all of it. Where S_0 is small everything
# fades, and the second look has little to see: the burn that S_0 missed stays missed. And the spots of S_0 on the
# biscuit's ground are let through as well, and come back brighter. Each look also has a projection of its own to learn,
# behind a first look that keeps changing; what it learns on painted anomalies need not hold for others. One seed and 36
# drawn pictures: a hundredth is noise, and `BEGIN` and the `seed` of `begin` are there to try another start. Look at
# the three measures one by one, and at the bar of the untrained start: a look can gain in one and lose in another. The
# claims that `docs/claims.md` tries have five seeds, and all eight things.
#
# ## 7. From a map to one score
#
# Section 4.4.2: the mean of the 500 highest pixels of the map. Of how many is lost from our text; of 224 x 224 it is 1
# %, which is what the library takes.

# %% [markdown] tags=["exercise"]
# ### Exercise 5: the highest pixels
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_score(map, fraction):
    """Maps [b, H, W] -> [b]: the mean of this fraction of each map's pixels, the highest; of one pixel at least."""
    raise NotImplementedError


# %% tags=["check"]
maps = np.random.default_rng(3).uniform(size=(3, 20, 30))
check(
    "score",
    my_score,
    on(maps, 0.01, gives=clip_ada.highest(maps, 0.01)),
    on(maps, 1.0, gives=maps.mean(axis=(1, 2))),
    on(maps, 1e-9, gives=maps.max(axis=(1, 2))),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Flatten each map, `np.sort` along the last axis, and take the last `max(1, round(fraction * pixels))`.


# %% tags=["solution"]
def my_score(map, fraction):
    """Maps [b, H, W] -> [b]: the mean of this fraction of each map's pixels, the highest; of one pixel at least."""
    flat = np.sort(map.reshape(len(map), -1), axis=1)  # [b, H W]
    count = max(1, round(fraction * flat.shape[1]))
    return flat[:, -count:].mean(axis=1)


# %% [markdown] tags=["predict"]
# **Predict** the image AUROC as the fraction grows from one pixel (the maximum) to all (the mean). Where do you expect
# the best place, and what has it to do with how large defects are?

# %% tags=["figure"]
fractions = np.geomspace(1 / side**2, 1, 25)
figure, ax = figures.axes(width=9, height=3.8)
for (k, answer), marker in zip(answers.items(), "os^", strict=True):
    areas = [
        np.mean([
            metrics.auroc(clip_ada.highest(answer.map[i], f), labels[i])
            for i in ([j for j, called in enumerate(of) if called == name] for name in NAMES)
        ])
        for f in fractions
    ]  # fmt: skip
    ax.plot(100 * fractions, areas, marker + "-", markersize=5, label=f"k = {k}")
size = masks[labels == 1].mean(axis=(1, 2))
ax.axvspan(100 * size.min(), 100 * size.max(), color=ORANGE, alpha=0.2, label="size of the defects")
ax.axvline(100 * OPTIONS.top, color="black", linestyle=":", label="the library's 1 %")
ax.axhline(0.5, color="black", linewidth=1)
ax.set(xscale="log", xlabel="highest pixels that are averaged, percent", ylabel="image AUROC", ylim=(0, 1.02))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# A fraction up to the size of the smallest defects keeps what is damaged among the pixels that are averaged; beyond the
# size of the largest, flawless pixels outvote them.
#
# ## 8. Where it fails
#
# A pseudo-anomaly adds something that was not there. What of defects that take away? Below, for each kind, the mean
# over its pictures of the AUROC of a picture's pixels; then the worst picture, chosen by code.

# %% tags=["figure"]
best = answers[0]
each_picture = {i: metrics.auroc(best.map[i].ravel(), masks[i].ravel()) for i in np.flatnonzero(labels)}
defects = sorted({shots[i].defect for i in each_picture})
by_kind = {d: np.mean([a for i, a in each_picture.items() if shots[i].defect == d]) for d in defects}
worst = min(each_picture, key=each_picture.get)
alarm = max(np.flatnonzero(labels == 0), key=lambda i: best.score[i])
figure, many = figures.axes(1, 5, width=18, height=3.4)
figures.bars(many[0], list(by_kind), list(by_kind.values()))
many[0].set(title="pixel AUROC, k = 0", xlim=(0, 1.25), xticks=[0, 0.5, 1])
high = max(best.map[worst].max(), best.map[alarm].max())
for (left, right), i, name in (
    (many[1:3], worst, f"{shots[worst].defect}: AUROC {each_picture[worst]:.2f}"),
    (many[3:], alarm, f"good, score {best.score[alarm]:.2f}"),
):
    figures.picture(left, shots[i].image, f"{of[i]}, {name}")
    figures.outline(left, shots[i].mask)
    figures.heat_map(right, best.map[i], "map", scale="S", vmin=0, vmax=high, bar=i == alarm)
plt.show()

# %% [markdown]
# Is a missing part found? The recipe cannot paint one, but its edge and its shadow are new to the patches: that a kind
# cannot be painted does not mean that it cannot be seen. And the other way round: a burn adds something, brown on
# brown, and is unlike the gaudy textures that the recipe paints. Which of the two has the longer bar? A part that has
# slipped is not among these two things' defects.
#
# The paper's own limits (sections 5.2 and 6): screws, macaroni and candles, whose place changes from picture to
# picture. The detector also learns "what is painted", so a normal picture that looks painted, by its grain, its rim or
# a mark that belongs there, is called damaged.
#
# ## 9. What is read into the paper
#
# No program is public. These are the places where the paper, or our text of it, leaves open what must be known, with
# the option for another reading:

# %%
table = next(some for heading, some in differences.rows().items() if heading == "CLIP-ADA")
for row in table[:8]:
    print(f"section {row.section}\n  paper   {row.paper}\n  here    {row.default}\n  option  {row.option}\n")

# %% [markdown]
# ## What to remember
#
# - Pseudo-anomalies turn normal pictures into labelled ones. The detector learns to find what the recipe can paint.
# - One prompt and a sigmoid, not two and a softmax. Then lengths decide whether the sigmoid has room.
# - A frozen tower still passes gradients on, to what it is shown.
# - A second look can only see what the first one let through.
# - One number for a picture is the mean of its highest pixels: a fraction, which belongs to the result.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. Name two kinds of defect that the recipe cannot paint. (sections 1 and 8)
# 2. Between which two numbers does the sigmoid of a cosine lie? (section 3)
# 3. The tower is frozen. Is the gradient of $L_1$ with respect to Proj_0 zero? (section 4)
# 4. What can a second look not do, whatever it learns? (section 6)
# 5. What has to be printed beside an image AUROC whose score is a mean of the highest pixels? (section 7)
#
# <details>
# <summary>Answers</summary>
#
# 1. What is missing, and what is in the wrong place: both add nothing to the picture.
# 2. 0.27 and 0.73.
# 3. No: it passes through the tower to the pixels, and those depend on $S_0$. It is zero where $S_0$ is taken as a
#    constant.
# 4. Find a defect that the first look has faded to the mean colour.
# 5. The fraction of the pixels.
#
# </details>
#
# ### Further reading
#
# - Cai et al. 2024, CLIP-ADA: section 4 for the method, table 4 for what looking again is worth.
# - Zavrtanik et al. 2021, "DRAEM", section 3.3: how anomalies are simulated.
# - Li et al. 2021, "CutPaste": another recipe, without a second data set.
# - Cimpoi et al. 2014, "Describing textures in the wild" (DTD): what DRAEM pastes.
# - Here: `refclip/synth.py` and `methods/clip_ada.py`.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_base_patch16_clip_224.openai open_clip_model.safetensors open_clip_config.json --local-dir b16
# ```
#
# and `clip = refclip.load("b16")` in the first cell: ViT-B/16, the paper's model. `LAYER` is then block 8 of 12 (the
# library's own choice is 6), at 224 pixels; 393,728 numbers are learned for each look (table 6 prints 0.4 million), and
# 4 x 512 for the prompt. A step in a batch of 16 takes many seconds on a CPU, so the paper's 800 epochs are work for a
# GPU:
#
# ```
# refclip train clip-ada mvtec --weights b16 --device cuda --out ada.safetensors
# refclip eval mvtec --method clip-ada --weights b16 --option learned=ada.safetensors
# ```
#
# or, in Python, `refclip.detector("clip-ada", clip, learned="ada.safetensors")`. The paper reports, on MVTec AD with K
# = 1, image AUROC 97.5, pixel AUROC 96.7 and pixel AP 55.6 (tables 1 and 2).
