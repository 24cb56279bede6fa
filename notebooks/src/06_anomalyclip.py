# %% [markdown] tags=["goals"]
# # 06 AnomalyCLIP
#
# WinCLIP's prompts were written by hand, and they name the object. AnomalyCLIP (Zhou et al., ICLR 2024) learns two
# prompts instead, once, from pictures of *other* objects with masks. They say "object" whatever the picture shows. What
# is learned is small: a few vectors where words would stand, and a few tokens inside the text tower. The image tower is
# frozen.
#
# **After it you can**
#
# - say what of a prompt is learned, what is kept, and where learned tokens enter the text tower, in the paper and in
#   the published program;
# - write the map from patches of several layers, and the glocal loss: cross-entropy, focal, Dice;
# - train the prompts in seconds, watch the map change, and compare with the prompts' own untrained start;
# - read an ablation with the caution that its size asks for.
#
# **You need** [02](02_text.ipynb) (two prototypes), [03](03_attention_variants.ipynb) (the v-v path) and, for the
# measures, [09](09_metrics.ipynb). **Time:** an hour and a half to work through; running all cells takes about half a
# minute on two cores, training included.

# %% [markdown] tags=["shapes"]
# **The map:** vectors `[E, d]` and words → prompts `[2, n, d]` → text tower, tokens `[m, d]` added in its first blocks
# → g_n, g_a `[2, e]`; patches of M layers `[b, g, e]` × g → S_n, S_a `[b, g, 2]` each → map `[b, H, W]`; class token
# `[b, e]` × g → score `[b]`

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import refclip
from refclip import differences, figures, losses, metrics, toy
from refclip.exercises import check, on
from refclip.features_cache import geometries, keep_features, rows
from refclip.frozen import encode
from refclip.methods import anomalyclip, anomalyclip_fit
from refclip.methods.anomalyclip_learned import Fitted
from refclip.methods.anomalyclip_options import DEFAULTS, recipe_of, settled
from refclip.methods.anomalyclip_prompts import Design, begin, embed_prompts
from refclip.methods.anomalyclip_prompts import settled as settled_design
from refclip.optim import adam, adam_state
from refclip.preprocess import to_model
from refclip.samples import Loaded, Sample
from refclip.training import batch_of
from refclip.tree import value_and_gradient

figures.use_style()
BLUE, ORANGE, SKY, RED = (figures.COLOURS[c] for c in ("blue", "orange", "sky", "vermilion"))
clip = refclip.load("refclip-mini")
blocks = len(clip.text.transformer.blocks)
TEST = ("biscuit", "cork")  # never seen in training
AUXILIARY = tuple(name for name in toy.CATEGORIES if name not in TEST)


def drawn(name):
    """Pictures of one category with their masks, as the library's `fit` takes them."""
    shots = toy.category(name, seed=3, train=1, good=6, each=2, size=128).test
    return [
        Loaded(Sample(Path(f"{name}_{i}.png"), shot.label, None, name, shot.defect, "test"), shot.image, shot.mask)
        for i, shot in enumerate(shots)
    ]


auxiliary = [one for name in AUXILIARY for one in drawn(name)]
tested = [one for name in TEST for one in drawn(name)]
labels = np.array([one.sample.label for one in auxiliary])
print(f"to learn from: {len(auxiliary)} pictures of {', '.join(AUXILIARY)}; {labels.sum()} are damaged")
print(f"to be judged: {len(tested)} pictures of {', '.join(TEST)}")

# %% [markdown]
# ## 1. Prompts that name no object
#
# $$g_n = [V_1][V_2] \ldots [V_E][\text{object}] \qquad g_a = [W_1][W_2] \ldots [W_E][\text{damaged}][\text{object}]$$
#
# (section 3.2). Each $V_i$ and $W_i$ stands where the embedding of a word would stand, and is learned: E = 12 vectors
# for each prompt. "damaged" and "object" remain words. They are the anchor: before anything is learned, the abnormal
# prompt already says "damaged", between twelve vectors of noise. The program puts a full stop at the end, which the
# paper does not print.

# %% tags=["figure"]
WORD, VECTOR, TOKEN = "0.85", SKY, ORANGE


def strip(ax, row, tokens, first=0, turned=9):
    """One row of boxes, (text, colour) each, from column `first` on; long words upright, in letters of `turned`."""
    for i, (text, colour) in enumerate(tokens):
        ax.add_patch(plt.Rectangle((first + i - 0.47, row - 0.4), 0.94, 0.8, color=colour))
        long = len(text) > 5
        ax.text(first + i, row, text, ha="center", va="center", fontsize=turned if long else 10, rotation=90 * long)


def words_of(letter, states):
    """A prompt's tokens."""
    vectors = [(f"{letter}{i}", VECTOR) for i in range(1, 13)]
    return [("start", WORD), *vectors, *((word, WORD) for word in (*states, "object", ".", "end"))]


def legend(figure, **names):
    """What the colours of `strip` mean, above all axes."""
    squares = [plt.Line2D([], [], marker="s", linestyle="", markersize=12, color=c) for c in names.values()]
    words = [name.replace("_", " ") for name in names]
    figure.legend(squares, words, loc="outside upper center", ncols=len(names))


figure, ax = figures.axes(width=12, height=3.3)
strip(ax, 1, words_of("V", ()), turned=11)
strip(ax, 0, words_of("W", ("damaged",)), turned=11)
legend(figure, words_and_marks=WORD, learned_vectors=VECTOR)
ax.set(xlim=(-0.6, 16.6), ylim=(-0.6, 1.6), xticks=range(17), xlabel="position")
ax.set_yticks([0, 1], ["g_a, abnormal", "g_n, normal"])
ax.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# ## 2. Tokens inside the text tower
#
# Vectors at the input are not all. Each of the first M' blocks but one gets m = 4 learned tokens of its own, which both
# prompts share (textual prompt tuning). The paper *concatenates* (section 3.3; equation 3, in appendix D):
#
# $$[r'_{l+1},\, t_{l+1}] = T_l([t'_l,\, t_l]), \quad l = 1 \ldots M' - 1; \qquad t_{M'+1} = T_{M'}(t_{M'})$$
#
# $t'_l$ is learned, $t_l$ are the tokens of the text, and what becomes of $t'_l$ behind block l, $r'_{l+1}$, is
# thrown away: the next block gets new ones. The text has read them by then, through attention. The published program
# *overwrites*: at the input of blocks 2 to M', positions 1 to m (after the start) are replaced. No token is added. Its
# authors say that the paper's numbers are of this one. The library has both: `Design.tuning`.

# %% tags=["figure"]
DESIGN = settled_design(clip, Design())  # M' is 9 of 12 blocks in the paper, as much of this tower here
depth, m = DESIGN.depth, DESIGN.tokens
figure, many = figures.axes(2, 1, width=12, height=8.4)
for ax, tuning in zip(many, ("concatenate", "overwrite"), strict=True):
    for block in range(1, blocks + 1):
        row, text = blocks - block, words_of("W", ("damaged",))
        if block > 1:  # behind a block no token is a word any more
            text = [("", colour) for _, colour in text]
        fresh = [(f"t'{i}", TOKEN) for i in range(1, m + 1)]
        if tuning == "concatenate" and block < depth:
            strip(ax, row, fresh, -m)
        if tuning == "overwrite" and 1 < block <= depth:
            text[1 : 1 + m] = fresh
        if tuning == "overwrite" and block > depth:  # what has become of those of block `depth`
            text[1 : 1 + m] = [("", TOKEN)] * m
        strip(ax, row, text)
        count = len(text) + (m if tuning == "concatenate" and block < depth else 0)
        ax.text(17, row, f"[{count}, d]", va="center")
    ax.set(xlim=(-m - 0.6, 18.6), ylim=(-0.6, blocks - 0.4), xticks=range(17), title=tuning)
    ax.set_yticks(range(blocks), [f"into block {blocks - i}" for i in range(blocks)])
    ax.spines[:].set_visible(False)
legend(figure, words_and_what_becomes_of_them=WORD, of_the_vectors=VECTOR, of_the_learned_tokens=TOKEN)
plt.show()
print(f"depth M' = {depth}: {depth - 1} insertions either way")

# %% [markdown] tags=["exercise"]
# ### Exercise 1: how they enter
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# The input of one block, both ways. With "concatenate" the tokens stand before the start of the text (the paper leaves
# the place open; it is the library's choice).


# %% tags=["exercise"]
def my_entrance(x, tokens, tuning):
    """Text [k, n, d] and learned tokens [m, d] -> what enters the block: [k, n, d] or [k, m + n, d]."""
    raise NotImplementedError


# %% tags=["check"]
rng = np.random.default_rng(0)
x, t = rng.standard_normal((2, 7, 5)), rng.standard_normal((3, 5))
overwritten = np.stack([[row[0], *t, *row[4:]] for row in x])  # [2, 7, 5]
longer = np.stack([[*t, *row] for row in x])  # [2, 10, 5]
check(
    "entrance",
    my_entrance,
    on(x, t, "overwrite", gives=overwritten),
    on(x, t, "concatenate", gives=longer),
    atol=0,
)

# %% [markdown] tags=["hint"]
# `np.broadcast_to(tokens, (len(x), *tokens.shape))` gives each prompt its copy; `np.concatenate` along axis 1. To
# overwrite, the start stays, then come the tokens, then what the text has from position m + 1 on.


# %% tags=["solution"]
def my_entrance(x, tokens, tuning):
    """Text [k, n, d] and learned tokens [m, d] -> what enters the block: [k, n, d] or [k, m + n, d]."""
    m = len(tokens)
    copies = np.broadcast_to(tokens, (len(x), *tokens.shape))  # [k, m, d]
    if tuning == "concatenate":
        return np.concatenate([copies, x], axis=1)
    return np.concatenate([x[:, :1], copies, x[:, 1 + m :]], axis=1)


# %% [markdown] tags=["predict"]
# **Predict.** With "overwrite", positions 1 to 4 are replaced at the input of block 2. Through what can $W_1 \ldots
# W_4$ still act on g_a? Which of the twelve vectors will matter least, and will it be the same with "concatenate"? The
# figure shows how steeply the cosine between g_n and g_a depends on each vector, before any learning.

# %% tags=["figure"]
figure, ax = figures.axes(width=10, height=3.6)
for shift, colour, tuning in ((-0.2, BLUE, "overwrite"), (0.2, ORANGE, "concatenate")):
    design = DESIGN._replace(tuning=tuning)

    def cosine(learned, design=design):
        g = embed_prompts(clip, design, learned, ["object"])[0]  # [2, e]
        return (g[0] * g[1]).sum()

    slope = value_and_gradient(cosine, begin(clip, design, seed=111))[1]
    lengths = np.linalg.norm(slope.abnormal, axis=1)  # [E]
    ax.bar(np.arange(1, 13) + shift, lengths, width=0.38, color=colour, label=tuning)
ax.axvline(m + 0.5, color="black", linestyle=":")
ax.set(xlabel="vector W_i", ylabel="length of the gradient", xticks=range(1, 13))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Left of the dotted line are the vectors that the program overwrites. They are read in block 1 by what stands after
# them, and never again. So of E = 12 only 8 go all the way. That is a property of the program that no sentence of the
# paper mentions, and no error: it was trained that way.

# %%
learned = begin(clip, DESIGN, seed=111)  # every number drawn from N(0, 0.02)
count = sum(x.size for x in (learned.normal, learned.abnormal, *learned.deep))
print(f"learned here: {count:,} numbers; ViT-L's with d = 768: {2 * 12 * 768 + 8 * 4 * 768:,}")

# %% [markdown]
# ## 3. Maps of several layers
#
# Patch tokens come from the v-v path of [03](03_attention_variants.ipynb) (DPAM, section 3.3): from block 6 of 24 on,
# at blocks 6, 12, 18 and 24, and the same fractions of another tower. Appendix C writes it out:
#
# $$\mathrm{Attention}(Q, K, V)_i = \frac{\sum_j a_{ij} v_j}{\sum_j a_{ij}}, \qquad
# a_{ij} = e^{q_i k_j^\top / \sqrt D} \;\to\; a^{vv}_{ij} = e^{v_i v_j^\top / \sqrt D}$$
#
# Each patch token is compared with both prompts (equation 1), which gives $S_n$ and $S_a$ of each layer:
#
# $$P(g_c, f) = \frac{\exp(\langle g_c, f\rangle / \tau)}{\sum_{c \in \{n, a\}} \exp(\langle g_c, f\rangle / \tau)},
# \qquad S_n^{(j,k)} = P(g_n, f^{(j,k)}), \quad S_a^{(j,k)} = P(g_a, f^{(j,k)})$$
#
# and the map is their sum over the layers, enlarged and smoothed. The score of the picture is $P(g_a, f)$ of its class
# token, from the tower's own path. No maximum of the map enters it.
#
# $$\mathrm{Map} = G_\sigma\Big(\sum_{M_c} \tfrac12 (I - \mathrm{Up}(S_{n, M_c}))
# + \tfrac12 \mathrm{Up}(S_{a, M_c})\Big)$$

# %%
TAU = 0.07  # the program's; the paper gives none
OPTIONS = settled(clip, DEFAULTS)
BOTH = recipe_of(OPTIONS)._replace(paths=("v-v", "own"))  # the tower's own path too, for the ablation of section 6
seen = encode(clip, [one.image for one in tested], BOTH)  # features of the test pictures: computed once
features = anomalyclip.Features(seen.image, seen.patches, BOTH, seen.grid, seen.geometry)
print(
    f"layers {OPTIONS.layers}, {OPTIONS.attention} from block {OPTIONS.dpam_from}; patches",
    seen.patches["v-v"][6].shape,
)


def judged(learned, design=DESIGN, attention="v-v"):
    """Scores and maps of the test pictures."""
    fitted = Fitted(learned, design, {"options": OPTIONS._asdict()}, [])
    return anomalyclip.score(anomalyclip.prepare(clip, learned=fitted, attention=attention), features)


# %% [markdown] tags=["exercise"]
# ### Exercise 2: the map
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# From unit vectors, on the grid of patches, before it is enlarged. What is $(1 - S_n) / 2 + S_a / 2$ when there are
# only two classes?


# %% tags=["exercise"]
def my_map(patches, text, tau):
    """Layers' patches, a list of [b, g, e], and text [2, e] (normal, abnormal) -> [b, g]."""
    raise NotImplementedError


# %% tags=["check"]
text = embed_prompts(clip, DESIGN, learned, ["object"])[0]  # [2, e]
taken = [seen.patches["v-v"][n][:3] for n in OPTIONS.layers]  # [3, g, e] each
of_each = [anomalyclip.probabilities(x, text, TAU)[..., 1] for x in taken]
check(
    "map",
    my_map,
    on(taken, text, TAU, gives=sum(of_each)),
    on(taken[-1:], text, 1.0, gives=anomalyclip.probabilities(taken[-1], text, 1.0)[..., 1]),
    atol=1e-5,  # float32; four probabilities add up to at most 4
)

# %% [markdown] tags=["hint"]
# $S_n + S_a = 1$, so the two halves are the same number: a layer's map is $S_a$. Of two classes the softmax is a
# sigmoid of the difference of the two cosines, divided by tau. The paper's sum is not a mean: four layers reach up to
# 4.


# %% tags=["solution"]
def my_map(patches, text, tau):
    """Layers' patches, a list of [b, g, e], and text [2, e] (normal, abnormal) -> [b, g]."""
    total = 0
    for x in patches:
        cosine = x @ text.T  # [b, g, 2]
        # the softmax of two, divided by its own numerator; and (1 - S_n) / 2 + S_a / 2 is S_a
        total = total + 1 / (1 + np.exp((cosine[..., 0] - cosine[..., 1]) / tau))
    return total


# %% [markdown] tags=["predict"]
# **Predict.** Nothing has been learned. The vectors are noise, but "damaged object" and "object" are there. Will the
# maps show anything? Which layer will be sharpest, which will know most about meaning?

# %% tags=["figure"]
shown = next(i for i, one in enumerate(tested) if one.sample.defect == "hole")
start = judged(learned)
layers = {n: anomalyclip.probabilities(seen.patches["v-v"][n][shown], text, TAU)[:, 1] for n in OPTIONS.layers}
low, high = min(x.min() for x in layers.values()), max(x.max() for x in layers.values())
figure, many = figures.axes(1, 6, width=16, height=3.2)
figures.picture(many[0], tested[shown].image, f"{tested[shown].sample.category}: {tested[shown].sample.defect}")
figures.outline(many[0], tested[shown].mask)
for ax, (n, values) in zip(many[1:5], layers.items(), strict=True):
    figures.heat_map(
        ax,
        values.reshape(seen.grid),
        f"S_a, block {n}",
        scale="p(abnormal)",
        vmin=low,
        vmax=high,
        bar=n == OPTIONS.layers[-1],
    )
figures.heat_map(many[5], start.map[shown], "Map: the sum", scale="sum of p")
plt.show()

# %% [markdown]
# The words "damaged object" and "object" alone make this map, between vectors of noise. The four layers share a scale:
# a nearly even one tells little, and adds nearly the same everywhere, so that the others decide. What is bright beside
# the outline is what learning has to quiet.
#
# ## 4. The glocal loss
#
# $$L_\text{total} = L_\text{global} + \lambda \sum_{M_c \in \mathcal M} L^{M_c}_\text{local} \tag{2}$$
#
# $$L_\text{local} = \mathrm{Focal}(\mathrm{Up}([S_n, S_a]), S) + \mathrm{Dice}(\mathrm{Up}(S_n), I - S)
# + \mathrm{Dice}(\mathrm{Up}(S_a), S)$$
#
# $L_\text{global}$ is the cross-entropy of the class token with "normal" or "damaged"; S is the mask, 1 where
# anomalous, at the resolution of the input. "Glocal" is global and local in one word.
#
# ### Focal: few pixels among many
#
# With q the probability that a pixel's own class gets,
#
# $$\text{cross-entropy} = -\log q, \qquad \mathrm{Focal} = -\alpha\, (1 - q)^\gamma \log q,
# \qquad \gamma = 2,\ \alpha = 1$$
#
# (Lin et al. 2017, equation 5; the paper names the loss, the numbers are the program's).

# %% [markdown] tags=["predict"]
# **Predict.** 3 pixels in 100 are abnormal. The map gives normal pixels q around 0.85 and abnormal ones q around 0.4,
# so it misses the defect. Of the sum of cross-entropies, what share comes from the abnormal pixels? And with $\gamma =
# 2$?

# %% tags=["figure"]
q = np.linspace(0.005, 1, 400)
rng = np.random.default_rng(4)
abnormal = np.arange(14_400) < 0.03 * 14_400
own = np.where(abnormal, rng.beta(8, 12, 14_400), rng.beta(17, 3, 14_400))  # means 0.4 and 0.85
gammas = np.arange(0, 5.25, 0.25)
share = [((1 - own) ** g * np.log(own))[abnormal].sum() / ((1 - own) ** g * np.log(own)).sum() for g in gammas]
figure, (left, right) = figures.axes(1, 2, width=12, height=4.2)
for gamma, style in ((0, "-"), (1, "--"), (2, "-"), (5, ":")):
    name = "γ = 0: cross-entropy" if gamma == 0 else f"γ = {gamma}"
    left.plot(q, -((1 - q) ** gamma) * np.log(q), style, label=name)
left.set(xlabel="q, probability of the pixel's own class", ylabel="loss of the pixel", ylim=(0, 4))
left.legend()
right.plot(gammas, share, color=BLUE)
right.plot([0, 2], [share[0], share[8]], "o", color=RED)
for gamma, value in ((0, share[0]), (2, share[8])):
    right.annotate(f"{value:.0%}", (gamma, value), (8, -14), textcoords="offset points")
right.axhline(0.03, color="black", linestyle=":", label="their share of the pixels")
right.set(xlabel="γ", ylabel="share of the loss\nfrom abnormal pixels", ylim=(0, 1))
right.legend(loc="upper left")
plt.show()

# %% [markdown]
# That is why focal: what is nearly right already, which is most of a picture, is told to be quiet. Note where it does
# not help: as long as *all* probabilities are near 0.5, as in an even layer before training, $(1 - q)^2$ is nearly the
# same for all pixels, and the focal loss is the cross-entropy times a constant.

# %% [markdown] tags=["exercise"]
# ### Exercise 3: focal
#
# *Difficulty 1 of 3, about 10 minutes.*
#
# Without the constants of 1e-5 that the program adds. The checker allows for them.


# %% tags=["exercise"]
def my_focal(p, mask, gamma):
    """Probabilities [b, 2, H, W] of normal and abnormal, mask [b, H, W] of 0 and 1 -> float, the mean over pixels."""
    raise NotImplementedError


# %% tags=["check"]
rng = np.random.default_rng(5)
anomalous = rng.uniform(0.05, 0.95, (3, 6, 8))
p = np.stack([1 - anomalous, anomalous], axis=1)  # [3, 2, 6, 8]
mask = (rng.uniform(size=(3, 6, 8)) < 0.2).astype(float)
check(
    "focal",
    my_focal,
    on(p, mask, 2.0, gives=float(losses.focal(p, mask, 2.0))),
    on(p, mask, 0.0, gives=float(losses.focal(p, mask, 0.0))),
    atol=3e-4,  # q moves by at most 2e-5 through the constants, and log q by 2e-5 / 0.05
)

# %% [markdown] tags=["hint"]
# `np.where(mask > 0, p[:, 1], p[:, 0])` is q. Mind the minus.


# %% tags=["solution"]
def my_focal(p, mask, gamma):
    """Probabilities [b, 2, H, W] of normal and abnormal, mask [b, H, W] of 0 and 1 -> float, the mean over pixels."""
    q = np.where(mask > 0, p[:, 1], p[:, 0])  # [b, H, W]
    return float(-((1 - q) ** gamma * np.log(q)).mean())


# %% [markdown]
# ### Dice: one number for a region
#
# $$\mathrm{Dice}(p, t) = 1 - \frac1b \sum_{\text{pictures}} \frac{2 \sum p\, t + 1}{\sum p + \sum t + 1}$$
#
# (the program's; Li et al. 2019, whom the paper cites, have squares below: `Training.dice`). It is 0 where map and mask
# are equal. A pixel's weight depends on how large the region is, not on how large the picture is.

# %% [markdown] tags=["predict"]
# **Predict.** A flawless picture of 120 x 120 pixels: t is 0 everywhere. What is Dice(S_a, S) if the map says p = 0.5
# everywhere? And if it says p = 0.01?

# %% tags=["figure"]
p_all = np.geomspace(1e-6, 1, 300)
pixels = 120 * 120
figure, (left, right) = figures.axes(1, 2, width=12, height=4.2)
for share, style in ((0.3, "-"), (0.03, "--"), (0.0, ":")):
    t_sum = share * pixels
    name = f"{share:.0%} of the picture damaged" if share else "flawless"
    left.plot(p_all, 1 - (2 * p_all * t_sum + 1) / (p_all * pixels + t_sum + 1), style, label=name)
left.set(xlabel="p(abnormal), the same everywhere", ylabel="Dice(S_a, S)", ylim=(0, 1.05), xscale="log")
left.legend(loc="lower left", bbox_to_anchor=(0.42, 0.05))
ratio = np.linspace(0, 4, 300)  # area called abnormal / area of the defect, the smaller one inside the larger
right.plot(ratio, 1 - 2 * np.minimum(ratio, 1) / (ratio + 1), label="Dice, a defect of any size")
right.plot(ratio, 0.03 * abs(ratio - 1), "--", label="share of wrong pixels, 3% damaged")
right.set(xlabel="area marked / area of the defect", ylabel="loss", ylim=(0, 1.05))
right.legend()
plt.show()
for value in (0.5, 0.01):
    print(f"flawless, p = {value}: Dice {1 - 1 / (value * pixels + 1):.4f}")

# %% [markdown]
# Right: for Dice, marking nothing is the worst answer there is; for the share of wrong pixels it is a good one.
#
# Left, the dotted line: of a flawless picture Dice(S_a, S) is near 1 whatever the map says, unless it is almost exactly
# 0, and so it hardly pulls. **Such a picture fails to teach by Dice;** that is left to focal and to Dice(S_n, I - S).
# So the total never comes near 0, and its height says little about quality.

# %% [markdown] tags=["exercise"]
# ### Exercise 4: Dice
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# In the form above, for any shape after the first axis.


# %% tags=["exercise"]
def my_dice(p, target):
    """[b, ...] each -> float."""
    return None


# %% tags=["check"]
check(
    "Dice",
    my_dice,
    on(p[:, 1], mask, gives=float(losses.dice(p[:, 1], mask))),
    on(p[:, 1], 0 * mask, gives=float(losses.dice(p[:, 1], 0 * mask))),
    on(mask, mask, gives=0.0),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Flatten to `[b, pixels]` first, sum along axis 1, divide for each picture, and take the mean last. The mean of ratios
# is not the ratio of means.


# %% tags=["solution"]
def my_dice(p, target):
    """[b, ...] each -> float."""
    x, t = p.reshape(len(p), -1), target.reshape(len(p), -1)
    ratio = (2 * (x * t).sum(axis=1) + 1) / (x.sum(axis=1) + t.sum(axis=1) + 1)  # [b]
    return float(1 - ratio.mean())  # of the pictures; the ratio of sums over the batch would be another number


# %% [markdown] tags=["exercise"]
# ### Exercise 5: all of equation 2
#
# *Difficulty 2 of 3, about 15 minutes.*
#
# `losses.focal(p, mask)` and `losses.dice(p, target)` are there. `image` has the probabilities of the class token;
# `maps` has one array for each layer, already at the resolution of the mask.


# %% tags=["exercise"]
def my_glocal(image, labels, maps, mask, lam):
    """[b, 2], [b] of 0 and 1, a list of [b, 2, H, W], [b, H, W] -> float."""
    raise NotImplementedError


# %% tags=["check"]
some = np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]])
marks = np.array([0, 1, 1])
local = float(losses.focal(p, mask) + losses.dice(1 - anomalous, 1 - mask) + losses.dice(anomalous, mask))
inverse = float(losses.focal(p[:, ::-1], mask) + losses.dice(anomalous, 1 - mask) + losses.dice(1 - anomalous, mask))
across = float(-np.log([0.7, 0.8, 0.4]).mean())
check(
    "glocal",
    my_glocal,
    on(some, marks, [p], mask, 4.0, gives=across + 4 * local),
    on(some, marks, [p, p[:, ::-1]], mask, 1.0, gives=across + local + inverse),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# `image[np.arange(len(labels)), labels]` picks each picture's own class. $S_n$ is `p[:, 0]`; its target is `1 - mask`.


# %% tags=["solution"]
def my_glocal(image, labels, maps, mask, lam):
    """[b, 2], [b] of 0 and 1, a list of [b, 2, H, W], [b, H, W] -> float."""
    total = -np.log(image[np.arange(len(labels)), labels]).mean()
    for p in maps:
        local = losses.focal(p, mask) + losses.dice(p[:, 0], 1 - mask) + losses.dice(p[:, 1], mask)
        total = total + lam * local
    return float(total)


# %% [markdown]
# ## 5. Learning
#
# The image tower is frozen, so the features of the auxiliary pictures are computed once. A step is the text tower on
# two prompts, forward and back. $\lambda = 1$, Adam with a rate of 0.001, 8 pictures a step: appendix A.1. (The program
# has $\lambda = 4$ with one layer: as much weight as four layers with 1.)

# %%
kept = keep_features(clip, auxiliary, BOTH, tell=print)
masks = np.stack(
    [to_model(one.mask, place, "box") >= 0.5 for one, place in zip(auxiliary, geometries(kept), strict=True)]
).astype(np.float32)  # [N, H, W]
TRAINING, STEPS = anomalyclip_fit.Training(), 200


def batch(step):
    """What a step is given: features, labels, masks, and the name that the prompts say."""
    index = list(batch_of(step, len(auxiliary), TRAINING.batch, TRAINING.seed)[1])
    which = np.zeros(len(index), int)  # all say "object"
    return anomalyclip_fit.Batch(rows(kept, index, clip.vision.proj), labels[index], masks[index], ("object",), which)


def learn(terms=TRAINING.terms, attention="v-v", keep=()):
    """The prompts as they are before the steps of `keep` and at the end, and the loss of each step."""
    t, o = TRAINING._replace(terms=terms), OPTIONS._replace(attention=attention)
    p = begin(clip, DESIGN, t.seed)
    state, found, curve = adam_state(p), {}, []
    for step in range(STEPS):
        if step in keep:
            found[step] = p
        given = batch(step)

        def loss(learned, given=given):
            return anomalyclip_fit.loss_of(clip, learned, given, design=DESIGN, t=t, o=o, temperature=TAU)

        value, gradient = value_and_gradient(loss, p)
        p, state = adam(p, gradient, state, rate=t.rate, betas=t.betas)
        curve.append(float(value))
    return found | {STEPS: p}, curve


# %% [markdown] tags=["predict"]
# **Predict.** Where will the loss begin, and how far will it fall? (Four layers, each with two Dice losses of at most
# 1.) The curve on the right is of biscuits and cork, which are not learned from: will pixel AUROC and average precision
# move together, and will the score of the whole picture follow them?

# %% tags=["figure"]
AT = (0, 5, 20, 50, 100, STEPS)
glocal, curve = learn(keep=AT)


def measured(learned, **how):
    """(pixel AUROC, pixel AP, image AUROC) of the test pictures, the mean over categories."""
    found, answer = [], judged(learned, **how)
    for name in TEST:
        index = [i for i, one in enumerate(tested) if one.sample.category == name]
        maps = np.concatenate([answer.on_original(i).ravel() for i in index])
        truth = np.concatenate([tested[i].mask.ravel() for i in index])
        label = np.array([tested[i].sample.label for i in index])
        auroc, ap = metrics.auroc(maps, truth), metrics.average_precision(maps, truth)
        found.append((auroc, ap, metrics.auroc(answer.score[index], label)))
    return np.mean(found, axis=0)


path = {step: measured(glocal[step]) for step in AT}
figure, (left, right) = figures.axes(1, 2, width=12, height=4.2)
left.plot(range(1, STEPS + 1), curve, color="0.7", linewidth=1, label="each step")
smooth = np.convolve(curve, np.ones(14) / 14, "valid")
left.plot(range(14, STEPS + 1), smooth, color=BLUE, label="mean of 14 steps: an epoch")
left.set(xlabel="step", ylabel="L_total", title="on the auxiliary pictures")
left.legend()
for i, (name, marker) in enumerate((("pixel AUROC", "o-"), ("pixel AP", "s--"), ("image AUROC", "^-."))):
    right.plot(range(len(AT)), [path[step][i] for step in AT], marker, label=name)
right.set_xticks(range(len(AT)), AT)
right.set(xlabel="steps taken", ylim=(0, 1), title=f"on {' and '.join(TEST)}, never seen")
right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown] tags=["predict"]
# **Predict.** What will change in the maps: where they are high, or how far the high places stand out?

# %% tags=["figure"]
chosen = [
    next(i for i, one in enumerate(tested) if (one.sample.category, one.sample.defect) == want)
    for want in (("biscuit", "burn"), ("cork", "hole"), ("biscuit", "contamination"))
]
moments = {"before": 0, "20 steps": 20, f"{STEPS} steps": STEPS}
answers = {name: judged(glocal[step]) for name, step in moments.items()}
figure, many = figures.axes(len(chosen), 4, width=13, height=3.1 * len(chosen))
for row, i in enumerate(chosen):
    figures.picture(many[row, 0], tested[i].image, f"{tested[i].sample.category}: {tested[i].sample.defect}")
    figures.outline(many[row, 0], tested[i].mask)
    high = max(a.map[i].max() for a in answers.values())
    for ax, (name, a) in zip(many[row, 1:], answers.items(), strict=True):
        figures.heat_map(ax, a.map[i], name, scale="sum of p", vmin=0, vmax=high, bar=name == f"{STEPS} steps")
plt.show()

# %%
print("biscuit and cork         pixel AUROC  pixel AP  image AUROC")
for name, step in (("untrained start", 0), (f"after {STEPS} steps", STEPS)):
    print(f"{name:24} {path[step][0]:11.3f} {path[step][1]:9.3f} {path[step][2]:12.3f}")

# %% [markdown]
# In the maps compare the columns: where the ground went dark and the defect stayed, contrast was learned, and no new
# place. Much of the biscuits' rim stayed, too: not all that was bright beside the outline has been quieted.
#
# The start is one rival: same model, same words, same map, nothing learned; section 6 has another. Did learning win all
# three? It need not. Dice and focal care for the contrast of the damaged pixels, which is what AP asks
# ([09](09_metrics.ipynb), section 2), more than for the order of *all* pairs, which is AUROC; and the image's score is
# the class token's alone: a better map need not make it better. The paper prints, for MVTec AD, 71.7 pixel AUROC
# without learning and 91.1 with (table 5). It learned from thousands of photographs, on a tower of another size.
#
# ### The same in one call
#
# `anomalyclip_fit.fit` is this loop with checkpoints, a cache of features on disk, and a file at the end; on the
# command line, `refclip train anomalyclip FOLDER --out prompts.safetensors`. Three steps on a part of the pictures:

# %%
fitted = anomalyclip_fit.fit(
    clip, auxiliary[::5], anomalyclip_fit.Training(epochs=1), tell=lambda n, x: print(n, f"{x:.3f}")
)
print("loss of each epoch:", [round(x, 3) for x in fitted.curve])

# %% [markdown] tags=["predict"]
# ## 6. Ablations
#
# Each is an option: `Training.terms` for the loss (table 5), `attention="own"` for the tower's own q-k tokens in place
# of v-v (tables 4 and 7: "without T1"). **Predict** the order of the maps. What will prompts do that were learned with
# the global loss alone, from the class token, when patches ask them?

# %% tags=["figure"]
sentences = settled_design(clip, Design(prompts="fixed", depth=0))  # A photo of a normal / an anomalous object
results = {
    "two sentences, v-v": measured(begin(clip, sentences, 0), design=sentences),
    "start, v-v": path[0],
    "glocal, v-v": path[STEPS],
    "global alone, v-v": measured(learn(terms=("global",))[0][STEPS]),
    "local alone, v-v": measured(learn(terms=("focal", "dice"))[0][STEPS]),
    "start, q-k": measured(glocal[0], attention="own"),
    "glocal, q-k": measured(learn(attention="own")[0][STEPS], attention="own"),
}
figure, many = figures.axes(1, 3, width=15, height=4.2)
for i, (ax, title) in enumerate(zip(many, ("pixel AUROC", "pixel AP", "image AUROC"), strict=True)):
    figures.bars(ax, list(results) if i == 0 else [""] * len(results), [values[i] for values in results.values()])
    ax.set(title=title, xlim=(0, 1.15))
    if "AUROC" in title:
        ax.axvline(0.5, color="0.6", linestyle=":", zorder=0)  # chance; behind the numbers
plt.show()

# %% [markdown]
# The paper's own, MVTec AD, pixel AUROC / image AUROC:
#
# | | pixel | image | where |
# |---|---|---|---|
# | neither loss | 71.7 | 68.8 | table 5 |
# | global alone | 80.3 | 89.9 | table 5 |
# | local alone | 91.0 | 89.9 | table 5 |
# | both | 91.1 | 91.5 | table 5 |
# | both, without DPAM (q-k) | 87.9 | 80.7 | table 7 |
#
# Dotted lines are chance. What can be said of the bars above: one seed, one small model, 36 drawn pictures, 24 of them
# damaged. Differences of a few hundredths are within what another seed gives; redraw the pictures (another seed in
# `drawn`) before you believe one. Hold them against the table: which of its orders do these weights repeat, and which
# not? Where the paper's 87.9 without DPAM looks good, it says why itself: the prompts learn to make the best of bad
# tokens (appendix D, table 10).
#
# ## 7. Where it fails
#
# Chosen by code: the damaged picture whose map orders its pixels worst, and the flawless picture with the highest
# score.

# %% tags=["figure"]
last = judged(glocal[STEPS])
damaged = [i for i, one in enumerate(tested) if one.sample.label]
flawless = [i for i, one in enumerate(tested) if not one.sample.label]
order = {i: metrics.auroc(last.on_original(i).ravel(), tested[i].mask.ravel()) for i in damaged}
worst, alarm = min(order, key=order.get), max(flawless, key=lambda i: last.score[i])
figure, many = figures.axes(1, 4, width=14, height=3.4)
high = max(last.map[worst].max(), last.map[alarm].max())
for (left, right), i, title in (
    (many[:2], worst, f"{tested[worst].sample.defect}: AUROC {order[worst]:.2f}"),
    (many[2:], alarm, f"good, score {last.score[alarm]:.2f}"),
):
    figures.picture(left, tested[i].image, f"{tested[i].sample.category}, {title}")
    figures.outline(left, tested[i].mask)
    figures.heat_map(right, last.map[i], "map", scale="sum of p", vmin=0, vmax=high, bar=i == alarm)
plt.show()
above = sum(last.score[i] <= last.score[alarm] for i in damaged)
print(f"{above} of {len(damaged)} damaged pictures score no higher than this flawless one")

# %% [markdown]
# The paper shows its own failures (appendix D, figure 7): scratch-like patterns and stains in the background, normal
# regions that look like damage. Note also that the score of a picture is the class token's alone: a map can be right
# where the score is wrong, and the loss that shapes the one is not the loss that shapes the other.
#
# ## 8. Paper and program
#
# Both are called AnomalyCLIP. The library keeps a table of where they part ways, `refclip.differences`, with the option
# for each side. The first rows:

# %%
table = next(some for heading, some in differences.rows().items() if heading.startswith("AnomalyCLIP"))
for row in [row for row in table if row.method == "anomalyclip"][:5]:
    print(f"section {row.section}\n  paper    {row.paper}\n  program  {row.code}\n  here     {row.option}\n")

# %% [markdown]
# ## What to remember
#
# - What is learned are vectors in place of words, and tokens inside the text tower: thousands of numbers, no weights.
# - The words "damaged" and "object" stay. So there is a start to compare with, and it is the first thing to measure.
# - Focal quiets what is nearly right; Dice weighs a region by its own size, and is blind on flawless pictures.
# - The map is a sum over layers of p(abnormal); the score is the class token's.
# - "Concatenate" and "overwrite" have other shapes and other numbers. Say which.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. Two prompts of twelve vectors, eight insertions of four tokens, width 768: how many numbers are learned? (sections
#    1 and 2)
# 2. A text of n tokens enters block 2. What are the shapes with "overwrite" and with "concatenate"? (section 2)
# 3. Between which numbers does a map of four layers lie, and where does the score of the picture come from? (section 3)
# 4. A flawless picture, p(abnormal) = 0.5 everywhere. Which terms of the local loss pull it down, and which hardly
#    does? (section 4)
# 5. Maps got better in training. With what do you compare them, and why not with chance? (sections 3 and 5)
#
# <details>
# <summary>Answers</summary>
#
# 1. 2 x 12 x 768 + 8 x 4 x 768 = 43,008.
# 2. `[2, n, d]`, and `[2, 4 + n, d]`: four tokens more, thrown away behind the block.
# 3. Between 0 and 4. The score is p(abnormal) of the class token, from the tower's own path; the map has no part in it.
# 4. Focal and $\mathrm{Dice}(S_n, I - S)$. $\mathrm{Dice}(S_a, S)$ is near 1 for nearly every map, and flat.
# 5. With the prompts before training: "damaged" and "object" are in them, so they already make a map.
#
# </details>
#
# ### Further reading
#
# - Zhou et al. 2024, "AnomalyCLIP", sections 3.2 and 3.3 for prompts and paths, appendix A for the settings, D for what
#   fails.
# - Zhou et al. 2022, "Learning to prompt for vision-language models" (CoOp), section 3: vectors in place of words.
# - Khattak et al. 2023, "MaPLe: multi-modal prompt learning", section 3: tokens learned for several blocks.
# - Lin et al. 2017, "Focal loss for dense object detection", section 3.
# - Milletari et al. 2016, "V-Net", section 3, and Li et al. 2019, "Dice loss for data-imbalanced NLP tasks": two forms.
# - Here: `refclip/methods/anomalyclip_prompts.py`, `anomalyclip.py`, `anomalyclip_fit.py`, and `refclip/losses.py`.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_large_patch14_clip_336.openai open_clip_model.safetensors open_clip_config.json --local-dir l14
# ```
#
# and `clip = refclip.load("l14")` in the first cell. `settled` then chooses the paper's numbers: blocks 6, 12, 18 and
# 24, v-v from block 6, M' = 9, input of 518 pixels. Encoding a picture takes seconds on a CPU, so learn from folders,
# with the features kept on disk:
#
# ```
# refclip train anomalyclip visa --weights l14 --features cache --out prompts.safetensors
# refclip eval mvtec --method anomalyclip --weights l14 --option learned=prompts.safetensors
# ```
#
# or, in Python, `refclip.detector("anomalyclip", clip, learned="prompts.safetensors")`. The authors' own prompts, a
# `.pth` file, become such a file with `refclip convert`; they were learned with layer 24 alone, so score them with
# `layers=(24,)`. The paper reports 91.1 pixel AUROC, 81.4 PRO and 91.5 image AUROC on MVTec AD after learning from VisA
# (table 1).
