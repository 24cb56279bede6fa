# %% [markdown] tags=["goals"]
# # 08 Dual-Image Enhanced CLIP: two images that judge each other
#
# Nobody has to say which picture is flawless. Take any second picture of the same kind: a patch that has no like in it
# is suspect. Dual-Image Enhanced CLIP (Zhang et al., 2024) adds this to the judgement of language, and then bends the
# patch tokens a little, on the very picture that is being scored.
#
# **After it you can**
#
# - write all thirteen equations of the paper, and hold them against the library;
# - say what a damaged partner does to a map, and what it cannot do;
# - weigh two maps whose ranges differ, and say what the temperature has to do with it;
# - differentiate the adapter's loss by hand, and find a sign in a paper that cannot be meant;
# - find the pictures that an adaptation harms.
#
# **You need** [01](01_clip_from_scratch.ipynb), [02](02_text.ipynb), the v-v path of
# [03](03_attention_variants.ipynb), and of [09](09_metrics.ipynb) what AUROC is. **Time:** two hours to work through;
# running all cells takes about half a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** class token `[b, e]` → A_cls^L `[b]`; v-v patch tokens `[b, g, e]` → A^L `[b, g]`; with the partner's
# tokens `[g, e]` → A^V `[b, g]`; adapter (`[e, e]`, `[e]`) of each picture → A^T `[b, g]` → map `[b, H, W]`, score
# `[b]`

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import ConnectionPatch, Rectangle

import refclip
from refclip import figures, losses, metrics, nn, papers, toy, zeroshot
from refclip.exercises import check, on
from refclip.methods import dual_image, dual_image_adapt, dual_image_adapter
from refclip.methods.dual_image_settings import domain_templates
from refclip.preprocess import to_model
from refclip.resample import resize
from refclip.synth import anomaly
from refclip.tree import value_and_gradient

figures.use_style()
clip = refclip.load("refclip-mini", dtype="float64")
side, p, (H, W) = clip.vision.grid, clip.vision.patch_size, clip.preprocess.size
g = side * side
NAMES = ("cork", "biscuit")
# busy: the grain of the cork is as striking as a defect, so that language alone does not settle it
things = {name: toy.category(name, seed=8, busy=True, train=7, good=8, each=2, size=128) for name in NAMES}
states = {name: dual_image.prepare(clip, things[name].words) for name in NAMES}
features = {name: dual_image.extract(states[name], [shot.image for shot in things[name].test]) for name in NAMES}
labels = {name: np.array([shot.label for shot in things[name].test]) for name in NAMES}
for name in NAMES:
    print(f"{name}: {len(labels[name])} pictures, {labels[name].sum()} damaged, tokens {features[name].patches.shape}")


# %% [markdown]
# Maps are measured at the size of the model's input. A patch is called damaged, where one is asked, if a quarter of it
# is, or, where the defect is thin, half as much as its fullest patch.


# %%
def frames(name):
    """The masks as the tower sees the pictures: [b, H, W], the damaged share of each pixel."""
    places = features[name].geometry
    return np.stack([to_model(s.mask, place, "box") for s, place in zip(things[name].test, places, strict=True)])


def damaged_patches(frame):
    """[H, W] -> bool [g]."""
    share = frame.reshape(side, p, side, p).mean(axis=(1, 3)).reshape(g)
    return share > min(0.25, share.max() / 2)


masks = {name: frames(name) for name in NAMES}
bad = {name: np.stack([damaged_patches(frame) for frame in masks[name]]) for name in NAMES}  # [b, g]


def pixel_auroc(name, maps):
    """Maps [b, g] of all pictures of a category -> their pixel AUROC."""
    full = resize(np.asarray(maps).reshape(-1, side, side), (H, W), "bilinear")  # [b, H, W]
    return metrics.auroc(full.ravel(), (masks[name] >= 0.5).ravel())


def square(values):
    """[g] -> [side, side]."""
    return np.asarray(values).reshape(side, side)


# %% [markdown]
# ## 1. What language says
#
# $$A^L_{cls} = F(v, t_a, t_n) = \frac{\exp(\langle v, t_a\rangle/\tau)}
# {\exp(\langle v, t_n\rangle/\tau) + \exp(\langle v, t_a\rangle/\tau)} \tag{1}$$
#
# for the class token v, and the same for every patch token:
#
# $$A^L_{loc} = \{F(q_{(j,k)}, t_a, t_n)\}_{j,k} \tag{2}$$
#
# $$F(q_{(j,k)}, t_a, t_n) = \frac{\exp(\langle q_{(j,k)}, t_a\rangle/\tau)}
# {\exp(\langle q_{(j,k)}, t_n\rangle/\tau) + \exp(\langle q_{(j,k)}, t_a\rangle/\tau)} \tag{3}$$
#
# Patch tokens come from the v-v path of [03](03_attention_variants.ipynb), begun at the first block:
#
# $$V^{l} = \mathrm{Proj}^{l}\!\left(\mathrm{softmax}\!\left(\frac{V V^\top}{\sqrt c}\right) V\right) + V^{l-1}
# \tag{4}$$
#
# The words: 22 templates, each once with every *domain* of its kind of thing (an *industrial* photo of ...: two, or
# three for MVTec AD's surfaces), times 7 states, and all of a side are averaged to one prototype.

# %%
for name, kind in (("cork", "a name like any other"), ("carpet", "one of MVTec AD's five surfaces")):
    templates = domain_templates(name)
    print(f"{name}, {kind}: {len(templates)} templates, such as {templates[1]!r} and {templates[-1]!r}")
x = features["cork"]
text = states["cork"].text  # [2, e]: normal, abnormal
tau = states["cork"].temperature
logits = x.patches @ text.T / tau  # [b, g, 2]
by_hand = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))  # F, with both exponentials divided by the upper one
evidence = {name: dual_image.evidence(states[name], features[name]) for name in NAMES}
print(
    f"tau = {tau}; equations 1 to 3 by hand against the library: {abs(by_hand - evidence['cork'].language).max():.1e}"
)

# %% [markdown] tags=["predict"]
# ## 2. What another image says
#
# $$A^V_{(j,k)} = \min_{r_{(m,n)} \in \mathcal S_r} \left(1 - \mathrm{sim}(q_{(j,k)}, r_{(m,n)})\right) \tag{5}$$
#
# sim is the cosine; $\mathcal S_r$ are all patch tokens of the reference. The minimum is over all places: a patch at
# the top may find its like at the bottom. **Predict:** what is A^V of a picture beside *itself*? And can a second
# reference ever *raise* A^V of a patch?

# %% [markdown] tags=["exercise"]
# ### Exercise 1: the nearest patch
#
# *Difficulty 1 of 3, about 10 minutes.*
#
# For several references, whose tokens together are one set $\mathcal S_r$. Tokens may have any length: sim is the
# cosine.


# %% tags=["exercise"]
def my_visual(tokens, references):
    """[g, e] and a list of [n, e] -> A^V, [g]."""
    raise NotImplementedError


# %% tags=["check"]
rng = np.random.default_rng(0)
long = rng.standard_normal((7, 5))  # of any length
others = [rng.standard_normal((n, 5)) for n in (4, 9)]
q, r = x.patches[8], [x.patches[0], x.patches[11], x.patches[3]]
check(
    "nearest patch",
    my_visual,
    on(q, r[:1], gives=dual_image.visual_map(q, r[:1])),
    on(q, r, gives=dual_image.visual_map(q, r)),
    on(long, others, gives=dual_image.visual_map(nn.normalize(long), [nn.normalize(y) for y in others])),
    on(long, [3 * long], gives=np.zeros(7)),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Put the references into one array with `np.concatenate`, divide every row of both by its length
# (`np.linalg.norm(x, axis=1, keepdims=True)`), and one product gives all cosines `[g, n]`. The smallest distance is 1
# minus the largest cosine.


# %% tags=["solution"]
def my_visual(tokens, references):
    """[g, e] and a list of [n, e] -> A^V, [g]."""
    q, r = tokens, np.concatenate(references)
    q = q / np.linalg.norm(q, axis=1, keepdims=True)
    r = r / np.linalg.norm(r, axis=1, keepdims=True)
    return 1 - (q @ r.T).max(axis=1)


# %% tags=["figure"]
shots = things["cork"].test
first, second = (next(i for i, s in enumerate(shots) if s.defect == kind) for kind in ("burn", "contamination"))
visual = dual_image.visual_map(x.patches[first], [x.patches[second]])  # [g]
cosines = x.patches[first] @ x.patches[second].T  # [g, g]
strange, usual = np.argsort(-visual)[:3], np.argsort(visual)[:3]
figure, (left, middle, right) = figures.axes(1, 3, width=14, height=4.4)
figures.picture(left, shots[first].image, "query")
figures.picture(middle, shots[second].image, "reference, itself damaged")
scale = shots[first].image.shape[0] / side


def framed(ax, patch, colour):
    """A frame round a patch of a picture; where its middle is."""
    row, column = divmod(int(patch), side)
    corner = column * scale - 0.5, row * scale - 0.5
    ax.add_patch(Rectangle(corner, scale, scale, fill=False, color=colour, linewidth=2.5))
    return corner[0] + scale / 2, corner[1] + scale / 2


for patches, colour in ((strange, figures.COLOURS["vermilion"]), (usual, figures.COLOURS["sky"])):
    for i in patches:
        ends = framed(left, i, colour), framed(middle, cosines[i].argmax(), colour)
        figure.add_artist(ConnectionPatch(*ends, "data", "data", axesA=left, axesB=middle, color=colour))
figures.heat_map(right, square(visual), "A^V of the query", scale="1 - cosine of the nearest", vmin=0)
plt.show()

# %% [markdown]
# Red: the three patches with the highest A^V, each tied to the nearest that the reference has to offer; blue: the three
# with the lowest. Nearest does not mean near: a patch without a like is given the least unlike.
#
# ## 3. A pair
#
# The two need not be asked one by one: the cosines $[g, g]$ of one pair serve both, the maximum along one axis for the
# one picture and along the other axis for the other.

# %% [markdown] tags=["predict"]
# **Predict.** Both pictures are damaged, in different ways. Will each map show its own picture's damage, the partner's,
# or both?

# %% tags=["figure"]
of_both = 1 - cosines.max(axis=1), 1 - cosines.max(axis=0)  # first judged by second; second by first
top = max(v.max() for v in of_both)
figure, four = figures.axes(1, 4, width=15, height=3.8)
for k, (i, v) in enumerate(zip((first, second), of_both, strict=True)):
    figures.picture(four[2 * k], shots[i].image, shots[i].defect)
    figures.outline(four[2 * k], shots[i].mask)
    figures.heat_map(four[2 * k + 1], square(v), "judged by the other", scale="A^V", vmin=0, vmax=top)
plt.show()
for i, other, v in ((first, second, of_both[0]), (second, first, of_both[1])):
    own, partners_own = bad["cork"][i], bad["cork"][other] & ~bad["cork"][i]
    print(f"{shots[i].defect}: mean A^V in its damage {v[own].mean():.3f}, where the partner's lies "
          f"{v[partners_own].mean():.3f}, all over {v.mean():.3f}")  # fmt: skip

# %% [markdown]
# ### Damage on both sides
#
# What if the reference has the *same* damage? This can be arranged: copy the damaged pixels of the query onto a
# flawless picture. Four references for one query: flawless; with another kind of damage; with the query's damage at
# the same place; with the query's damage moved elsewhere.


# %%
def paste(picture, shot, by=(0, 0)):
    """A picture with the damaged pixels of a shot copied onto it, moved by so many rows and columns."""
    image, mask = (np.roll(a, by, axis=(0, 1)) for a in (shot.image, shot.mask))
    return np.where(mask[..., None], image, picture)


def encode(name, pictures):
    """Patch tokens [b, g, e] of the v-v path."""
    return dual_image.extract(states[name], pictures).patches


query, flawless = shots[first], things["cork"].train[0]
settings = {
    "flawless": flawless,
    "other damage": paste(flawless, shots[second]),
    "same damage, same place": paste(flawless, query),
    "same damage, elsewhere": paste(flawless, query, by=(50, 40)),
}
tokens = encode("cork", list(settings.values()))
judged = {name: dual_image.visual_map(x.patches[first], [t]) for name, t in zip(settings, tokens, strict=True)}

# %% [markdown] tags=["predict"]
# **Predict.** In which of the four will the query's damage still stand out? Does it help if the reference's damage
# lies somewhere else?

# %% tags=["figure"]
top = max(v.max() for v in judged.values())
figure, many = figures.axes(2, 4, width=15, height=7)
for (title, reference), above, below in zip(settings.items(), many[0], many[1], strict=True):
    figures.picture(above, reference, title)
    inside = judged[title][bad["cork"][first]].mean()
    figures.heat_map(below, square(judged[title]), f"in the damage {inside:.3f}", scale="A^V", vmin=0, vmax=top)
plt.show()

# %% [markdown]
# This is **symmetrical exclusion**: what both sides have is excused. The minimum in equation 5 knows no places, so
# the damage is excused from afar, too, but less, as its tokens change with their surroundings. And nothing in the map
# warns of it: it is quiet just where it should not be. Not every defect of the same *kind* excuses, only one whose
# tokens are near.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: who gives the alibi?
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# How much A^V of each query patch falls because the reference's *damaged* patches take part: A^V without them, minus
# A^V with them.


# %% tags=["exercise"]
def my_alibi(tokens, reference, damaged):
    """[g, e], [n, e] of length 1 and bool [n] -> [g], nowhere below 0."""
    return None


# %% tags=["check"]
without = dual_image.visual_map(x.patches[first], [tokens[2][~bad["cork"][first]]])
corner = np.eye(3)[[0, 1]]
check(
    "alibi",
    my_alibi,
    on(x.patches[first], tokens[2], bad["cork"][first], gives=without - judged["same damage, same place"]),
    on(corner, np.eye(3), np.array([True, False, False]), gives=np.array([1.0, 0.0])),
    on(corner, np.eye(3), np.zeros(3, bool), gives=np.zeros(2)),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Two maxima over the same cosines: `cosines[:, ~damaged].max(axis=1)` and `cosines.max(axis=1)`. Mind the sign: the
# distance is 1 minus the cosine.


# %% tags=["solution"]
def my_alibi(tokens, reference, damaged):
    """[g, e], [n, e] of length 1 and bool [n] -> [g], nowhere below 0."""
    cosines = tokens @ reference.T
    return cosines.max(axis=1) - cosines[:, ~damaged].max(axis=1)


# %% [markdown]
# ### Does the partner's damage show in the query?
#
# The paper says so (section 5.2): a damaged reference erroneously highlights "the reference image's damaged region in
# the query". By equation 5 that can happen only if a flawless patch's one likeness lay *under* the damage, as a label
# or a hole's rim might that every picture has in the same place. Measure: flawless queries beside a flawless reference,
# and beside the same with another shot's damage pasted on. How much does A^V rise, at the damage's place and elsewhere?


# %%
def all_between(queries, memory):
    """[b, g, e], [r, g, e] -> A^V of each query beside each reference alone, [b, r, g]."""
    return np.stack([[dual_image.visual_map(q, [r]) for r in memory] for q in queries])


for name in NAMES:
    base, of = things[name].train[0], np.flatnonzero(labels[name])
    covered = encode(name, [base, *(paste(base, things[name].test[i]) for i in of)])  # the first without damage
    beside = all_between(features[name].patches[labels[name] == 0], covered).mean(axis=0)  # [1 + damages, g]
    rise, at = beside[1:] - beside[0], bad[name][of]
    print(f"{name}: A^V is {beside[0].mean():.4f}; it rises by {rise[at].mean():+.4f} at the place, "
          f"{rise[~at].mean():+.4f} elsewhere")  # fmt: skip

# %% [markdown]
# Hold both against the level printed first. What rises *elsewhere* comes from the reference's other tokens: the damage
# has changed them, too, as the second path reads the first one's ([03](03_attention_variants.ipynb), section 3).
# What the place itself has on top of that is the difference of the two, and small beside the level on both of these
# things. The paper's own figure shows a bottle, whose parts occur once.
#
# ## 4. How many references, and how many of them damaged
#
# The references are other pictures of the same test set, drawn at random: nobody knows their labels
# (`dual_image.pair`). Every distance is needed often, so all are computed once: `between[i, j]` is the map of picture i
# beside picture j alone. The minimum over several j is the map of their union.

# %%
between = {name: all_between(features[name].patches, features[name].patches) for name in NAMES}  # [b, b, g]
picked = dual_image.pair(np.random.default_rng(0), len(shots), 7)
union = np.stack([between["cork"][i, list(js)].min(axis=0) for i, js in enumerate(picked)])  # [b, g]
library = dual_image.evidence(states["cork"], x, dual_image.Partners(x, picked)).visual
print(f"minimum over 7 references against the library: {abs(union - library).max():.1e}")
print(f"picture 0 has as references {picked[0]}; damaged are {[j for j in picked[0] if shots[j].label]}")

# %% [markdown] tags=["predict"]
# **Predict** the curve of pixel AUROC over 0 (A^L alone) to 7 references, for A^V alone and for the sum with A^L. Where
# is the largest step? The paper's figure 5 a has it from 0 to 1.

# %% tags=["figure"]
DRAWS, COUNTS = 5, range(1, 8)


def fused(name, visual, weight=1.5):
    """Equation 12 with the paper's weights."""
    return visual + weight * evidence[name].language


figure, two = figures.axes(1, 2, width=13, height=4.2)
for ax, name in zip(two, NAMES, strict=True):
    curves = {"A^V, union": [], "A^V, mean": [], "A^V (union) + 1.5 A^L": []}
    for draw in range(DRAWS):
        js = np.array(dual_image.pair(np.random.default_rng(draw), len(labels[name]), 7))  # [b, 7]
        some = np.take_along_axis(between[name], js[..., None], axis=1)  # [b, 7, g]
        unions = [some[:, :n].min(axis=1) for n in COUNTS]
        curves["A^V, union"].append([pixel_auroc(name, v) for v in unions])
        curves["A^V, mean"].append([pixel_auroc(name, some[:, :n].mean(axis=1)) for n in COUNTS])
        curves["A^V (union) + 1.5 A^L"].append([pixel_auroc(name, fused(name, v)) for v in unions])
    for (title, drawn), marker in zip(curves.items(), "os^", strict=True):
        ax.errorbar(COUNTS, np.mean(drawn, axis=0), np.std(drawn, axis=0), marker=marker, capsize=3, label=title)
    ax.axhline(pixel_auroc(name, evidence[name].language), color="black", linestyle=":", label="A^L alone")
    ax.set(title=name, xlabel="references", ylabel="pixel AUROC", xticks=list(COUNTS), ylim=(0.7, 1))
two[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Bars: the standard deviation over five draws of partners. Two ways of using several references: *union*, the nearest
# patch of all, and *mean*, the average of their maps; the paper does not say which, and the library's default is the
# union, as $\mathcal S_r$ is a set. Is the paper's large step there, from the dotted line to one reference? Language is
# strong with this small model, which was taught the words, so that there is less to gain. With the union a single
# accomplice excuses a defect; with the mean each has one vote, but a patch that one good reference knows is not
# acquitted.
#
# ### Pollution, counted
#
# Seven references in all. From 0 to 7 of them are damaged. In two ways: *as they come*, damaged pictures of the test
# set, drawn at random; and *twins*, flawless pictures with the query's own damage pasted on, the worst that can
# happen.

# %% [markdown] tags=["predict"]
# **Predict.** How many of seven references have to be damaged, as they come, before A^V is visibly worse? And how many
# twins? What will the language do about it?

# %%
name = "cork"
ill = np.flatnonzero(labels[name])
with_train = all_between(features[name].patches, encode(name, list(things[name].train)))  # [b, 7, g], flawless ones
with_twins = with_train.copy()  # a flawless query has no damage to paste: its twins are the flawless pictures
for i in ill:
    pasted = encode(name, [paste(picture, shots[i]) for picture in things[name].train])
    with_twins[i] = all_between(features[name].patches[[i]], pasted)[0]


def polluted(damaged, way, rng):
    """A^V [b, g] with 7 references, so many of them damaged."""
    out = []
    for i in range(len(shots)):
        order = rng.permutation(7)
        good = with_train[i, order[damaged:]]
        if way == "twins":
            worse = with_twins[i, order[:damaged]]
        else:
            worse = between[name][i, rng.choice(ill[ill != i], damaged, replace=False)]
        out.append(np.concatenate([good, worse]).min(axis=0))
    return np.stack(out)


# %% tags=["figure"]
figure, ax = figures.axes(width=9.5, height=4.4)
for way, colour in (("as they come", "blue"), ("twins", "vermilion")):
    alone, joint = [], []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        maps = [polluted(n, way, rng) for n in range(8)]
        alone.append([pixel_auroc(name, v) for v in maps])
        joint.append([pixel_auroc(name, fused(name, v)) for v in maps])
    ax.plot(range(8), np.mean(alone, axis=0), "o-", color=figures.COLOURS[colour], label=f"{way}: A^V")
    ax.plot(range(8), np.mean(joint, axis=0), "s--", color=figures.COLOURS[colour], label=f"{way}: A^V + 1.5 A^L")
ax.axhline(pixel_auroc(name, evidence[name].language), color="black", linestyle=":", label="A^L alone")
ax.set(xlabel="damaged ones among 7 references (cork)", ylabel="pixel AUROC", xticks=range(8))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# How much of the fall comes with the first twin? A minimum needs one witness. Language has no partner and cannot be
# polluted, so the sum should fall less (does it, here?). Whether pictures as they come do harm depends on how often
# they share a defect: a line whose machine scratches *every* part is the case for which no unlabelled partner helps.
#
# ## 5. Weighing two maps
#
# $$A^{VL}_{loc} = A^V + A^L_{loc} \tag{6}$$
#
# $$A_{loc} = \lambda_1 A^V + \lambda_2 A^T \tag{12}$$
#
# $$A_{cls} = \lambda_3 A^L_{cls} + \lambda_4 \max_{j,k} A^V + \lambda_5 \max_{j,k} A^T \tag{13}$$
#
# $A^T$ comes in section 6; until then $A^L_{loc}$ stands in its place, as the library has it for the paper's "Ours".
# All $\lambda$ are 1 but $\lambda_2 = 1.5$.

# %% [markdown] tags=["exercise"]
# ### Exercise 3: the score of an image
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# Equation 13, for a batch. Each map has a maximum of its own; they need not be in the same patch.


# %% tags=["exercise"]
def my_score(image, language, visual, weights):
    """A_cls^L [b], A^L or A^T [b, g], A^V [b, g], (lambda3, lambda4, lambda5) -> [b]."""
    raise NotImplementedError


# %% tags=["check"]
partners = dual_image.Partners(x, dual_image.pair(np.random.default_rng(1), len(shots)))
found = dual_image.evidence(states["cork"], x, partners)
pulled = np.array([[0.9, 0.1, 0.2], [0.3, 0.3, 0.3]]), np.array([[0.0, 0.5, 0.1], [0.2, 0.0, 0.0]])
other = states["cork"]._replace(options=states["cork"].options._replace(lambda3=0.5, lambda4=2.0, lambda5=0.25))
check(
    "score of an image",
    my_score,
    on(*found, (1, 1, 1), gives=dual_image.combine(states["cork"], x, found).score),
    on(*found, (0.5, 2.0, 0.25), gives=dual_image.combine(other, x, found).score),
    on(np.array([0.5, 0.5]), *pulled, (1, 1, 1), gives=np.array([1.9, 1.0])),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# `language.max(axis=1)` is one number for each picture. Do not add the maps before you take the maximum, and do not mix
# up which weight belongs to which: 3 the class token, 4 the other image, 5 language.


# %% tags=["solution"]
def my_score(image, language, visual, weights):
    """A_cls^L [b], A^L or A^T [b, g], A^V [b, g], (lambda3, lambda4, lambda5) -> [b]."""
    of_image, of_visual, of_language = weights
    return of_image * image + of_visual * visual.max(axis=1) + of_language * language.max(axis=1)


# %% [markdown]
# ### The range decides, too
#
# A^V is a distance of cosines, without a temperature. A^L is a probability, and $\tau$ stretches it. The paper does not
# state its $\tau$; the code that it builds on (AnoVL's) has 1, so that A^L hardly leaves 0.5, and a weight of 1.5 means
# another thing.

# %% [markdown] tags=["predict"]
# **Predict.** Pixel AUROC over $\lambda_2$, with $\lambda_1 = 1$: where do the curves of $\tau = 0.07$ and $\tau = 1$
# begin, and where do they end? Do they differ by more than a shift?

# %% tags=["figure"]
WEIGHTS = np.array([0.1, 0.3, 0.75, 1.5, 3, 6, 12, 24])
figure, two = figures.axes(1, 2, width=13, height=4.2)
for ax, name in zip(two, NAMES, strict=True):
    chosen = dual_image.pair(np.random.default_rng(0), len(labels[name]))
    visual = np.stack([between[name][i, j[0]] for i, j in enumerate(chosen)])  # [b, g]
    for tau_now, marker in ((0.07, "o-"), (1.0, "s--")):
        language = zeroshot.p_abnormal(features[name].patches, states[name].text, tau_now)
        ax.plot(WEIGHTS, [pixel_auroc(name, visual + w * language) for w in WEIGHTS], marker, label=f"tau = {tau_now}")
    ax.axhline(pixel_auroc(name, visual), color=figures.COLOURS["purple"], linestyle="-.", label="A^V alone")
    ax.axhline(pixel_auroc(name, evidence[name].language), color="black", linestyle=":", label="A^L alone")
    ax.axvline(1.5, color="0.6", linewidth=1)
    ax.set(title=name, xlabel="weight of language (lambda 2)", ylabel="pixel AUROC", xscale="log", ylim=(0.7, 1))
    ax.set_xticks(WEIGHTS, [f"{w:g}" for w in WEIGHTS])
    ax.minorticks_off()
two[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# The grey line is the paper's 1.5. The curve goes from A^V alone, on the left, to A^L alone, on the right: look whether
# a weight between them beats the better of the two by more than the last digits, and for which of the two things which
# map is the better. Near 0.5 the curve of p over its logit is straight, so a larger $\tau$ is little more than a
# smaller weight. A weight from a paper without its temperature is half a number.
#
# ## 6. Adaptation at test time
#
# One linear layer G for each picture, learned on that picture, and thrown away after it:
#
# $$q^T_{(j,k)} = \tfrac12\left(G(q_{(j,k)}) + q_{(j,k)}\right) \tag{7}$$
#
# $$q'^T_{(j,k)} = \tfrac12\left(G(q'_{(j,k)}) + q'_{(j,k)}\right) \tag{8}$$
#
# $$A^T = \{F(q^T_{(j,k)}, t_a, t_n)\}_{j,k} \tag{9}$$
#
# $q'$ are the tokens of the same picture with a *pseudo-anomaly*: DRAEM's, a texture wherever rotated Perlin noise is
# high. What is to be learned needs no labels, as we know where we put it.

# %% tags=["figure"]
pictures = [shot.image for shot in shots]
pseudo = dual_image_adapt.pseudo(states["cork"], x, pictures, np.random.default_rng(3))
rng = np.random.default_rng(3)
figure, many = figures.axes(2, 4, width=14, height=7.2)
for k in range(4):
    made, where = anomaly(rng, pictures[k], probability=1.0)
    figures.picture(many[0, k], made, f"pseudo-anomaly on picture {k}")
    shares = dual_image_adapt.patch_shares(where, x.tiles[k], x.grid, p)
    figures.heat_map(many[1, k], square(shares), "M_a: share of each patch", scale="share", vmin=0, vmax=1, bar=k == 3)
plt.show()

# %% [markdown]
# ### The loss
#
# $$L_{pseudo} = \frac1{\lvert\mathcal S_a\rvert} \sum_{(j,k)\in\mathcal S_a} -M_a
# \log\frac{\exp(A'^T)}{\exp(A^T) + \exp(A'^T)} \tag{10}$$
#
# Over the patches that have any pseudo-anomaly ($M_a \ne 0$): the altered patch should score above the same patch
# unaltered. And A^T is to keep to what language and the other image said together:
#
# $$L_{sim} = \mathrm{sim}(A^{VL}_{loc}, A^T), \qquad L = L_{pseudo} + \beta L_{sim} \tag{11, as printed}$$

# %% [markdown] tags=["predict"]
# **Predict.** L is *minimised*. sim is the cosine of two maps. What happens to A^T and $A^{VL}$ under the loss as it is
# printed? (The text wants them "consistent".)

# %% [markdown]
# The library has $L_{sim} = 1 - \mathrm{sim}$, with $A^{VL}$ a constant, and says so in `docs/differences.md`. No
# code is published that could settle it.

# %% [markdown] tags=["exercise"]
# ### Exercise 4: the loss
#
# *Difficulty 2 of 3, about 15 minutes.*
#
# Equation 10, plus beta times (1 - the cosine of the two maps).


# %% tags=["exercise"]
def my_loss(clean, altered, mask, target, beta):
    """A^T, A'^T, M_a, A^VL, each [n] -> float. With no patch in S_a, equation 10 gives 0."""
    return None


# %% tags=["check"]
state = states["cork"]
target = found.language + found.visual  # A^VL, equation 6
i = first
task = dual_image_adapter.Task(x.patches[i], pseudo.features.patches[i], pseudo.mask[i], target[i])
identity = dual_image_adapter.begin(task.tokens, "identity")
clean, altered = (zeroshot.p_abnormal(y, state.text, tau) for y in (task.tokens, task.altered))
full = dual_image_adapter.loss_and_gradient(identity, task, state.text, tau, 0.5)[0]
only = dual_image_adapter.loss_and_gradient(identity, task._replace(mask=0 * task.mask), state.text, tau, 2.0)[0]
check(
    "loss",
    my_loss,
    on(clean, altered, task.mask, task.target, 0.5, gives=float(full)),
    on(clean, altered, 0 * task.mask, task.target, 2.0, gives=float(only)),
    on(np.ones(2), np.ones(2), np.array([0.5, 0.0]), np.ones(2), 1.0, gives=0.5 * np.log(2)),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# The fraction in the logarithm is $1 / (1 + \exp(A^T - A'^T))$, so the term is `mask * np.log1p(np.exp(clean -
# altered))`. Divide its sum by the number of patches whose mask is not 0, not by n and not by the sum of the mask.


# %% tags=["solution"]
def my_loss(clean, altered, mask, target, beta):
    """A^T, A'^T, M_a, A^VL, each [n] -> float. With no patch in S_a, equation 10 gives 0."""
    area = max((mask > 0).sum(), 1)
    pseudo = (mask * np.log1p(np.exp(clean - altered))).sum() / area
    cosine = (target * clean).sum() / np.sqrt((target**2).sum() * (clean**2).sum())
    return float(pseudo + beta * (1 - cosine))


# %% [markdown]
# ### Its gradient, by hand
#
# From the loss back to G, in two stages. First to the two maps, with $\sigma(x) = 1 / (1 + e^{-x})$:
#
# $$\frac{\partial L}{\partial A'_i} = -\frac{M_i}{\lvert\mathcal S_a\rvert}\sigma(A_i - A'_i), \qquad
# \frac{\partial L}{\partial A_i} = \frac{M_i}{\lvert\mathcal S_a\rvert}\sigma(A_i - A'_i) -
# \frac{\beta}{\lVert A\rVert}\left(\frac{T_i}{\lVert T\rVert} - \mathrm{sim}\,\frac{A_i}{\lVert A\rVert}\right)$$
#
# with $T = A^{VL}$. Then from a map to G. Write $z = \frac12(Wq + b + q)$, $u = z / \lVert z\rVert$ and $d = t_a -
# t_n$, so that $A = \sigma(u\cdot d / \tau)$:
#
# $$\frac{\partial A}{\partial z} = \frac{A(1 - A)}{\tau\lVert z\rVert}\left(d - (u\cdot d)\,u\right), \qquad
# \frac{\partial z}{\partial W} = \tfrac12 q, \qquad \frac{\partial z}{\partial b} = \tfrac12$$
#
# First stage, held against the tape of [05](05_gradients_by_hand.ipynb):


# %%
def to_maps(clean, altered, mask, target, beta):
    """(dL/dA, dL/dA'), [n] each."""
    push = mask / max((mask > 0).sum(), 1) / (1 + np.exp(altered - clean))
    size, size_target = np.sqrt((clean**2).sum()), np.sqrt((target**2).sum())
    sim = (target * clean).sum() / (size * size_target)
    return push - beta / size * (target / size_target - sim * clean / size), -push


def loss_of(maps):
    return losses.pseudo_anomaly(*maps, task.mask) + 0.5 * losses.cosine(task.target, maps[0])


by_formula = to_maps(clean, altered, task.mask, task.target, 0.5)
by_tape = value_and_gradient(loss_of, (clean, altered))[1]
for map_name, a, b in zip(("A", "A'"), by_formula, by_tape, strict=True):
    print(f"dL/d{map_name}: largest number {abs(b).max():.1e}, largest difference {abs(a - b).max():.1e}")

# %% [markdown] tags=["exercise"]
# ### Exercise 5: from a map to the adapter
#
# *Difficulty 3 of 3, about 25 minutes.*
#
# `upstream` is dL/dA. Return dL/dW with dL/db as one more column. The checker's first case is by differences.


# %% tags=["exercise"]
def my_gradient(weight, bias, tokens, direction, tau, upstream):
    """[e, e], [e], q [n, e], d [e], float, [n] -> [e, e + 1]."""
    raise NotImplementedError


# %% tags=["check"]
def differences(f, x, h=1e-5):
    """df/dx of a function of one array, number by number, from both sides."""
    out = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        one = np.zeros_like(x)
        one[at] = h
        out[at] = (f(x + one) - f(x - one)) / (2 * h)
    return out


def downstream(both, tokens, direction, tau, upstream):
    """The sum of upstream times A, whose gradient with respect to (W, b) is asked for."""
    z = (tokens @ both[:, :-1].T + both[:, -1] + tokens) / 2
    logit = (z @ direction) / np.sqrt((z**2).sum(axis=1)) / tau
    return (upstream / (1 + np.exp(-logit))).sum()


rng = np.random.default_rng(4)
both, some, along, above = (rng.standard_normal(s) for s in ((4, 5), (6, 4), (4,), (6,)))
small = differences(lambda y: downstream(y, some, along, 0.7, above), both)
d = state.text[1] - state.text[0]


def of_map(adapter):
    """By the library's tape, for the real tokens."""
    return (zeroshot.p_abnormal(dual_image_adapter.apply(adapter, task.tokens), state.text, tau) * by_formula[0]).sum()


taped = value_and_gradient(of_map, identity)[1]
check(
    "gradient of the adapter",
    my_gradient,
    on(both[:, :-1], both[:, -1], some, along, 0.7, above, gives=small),
    on(*identity, task.tokens, d, tau, by_formula[0], gives=np.column_stack([taped.weight, taped.bias])),
    atol=1e-7,  # differences over 1e-5 are good to about 1e-9
)

# %% [markdown] tags=["hint"]
# Everything row by row: `z`, `length` [n, 1], `u`, then `dz` [n, e] = upstream A (1 - A) / (tau length) times
# (d - (u d) u). W's row k takes part in $z_k$ with q as its factor: `dz.T @ tokens / 2`. And b: `dz.sum(axis=0) / 2`.


# %% tags=["solution"]
def my_gradient(weight, bias, tokens, direction, tau, upstream):
    """[e, e], [e], q [n, e], d [e], float, [n] -> [e, e + 1]."""
    z = (tokens @ weight.T + bias + tokens) / 2
    length = np.sqrt((z**2).sum(axis=1, keepdims=True))
    u = z / length
    along = u @ direction  # [n]
    a = 1 / (1 + np.exp(-along / tau))
    dz = (upstream * a * (1 - a) / tau)[:, None] / length * (direction - along[:, None] * u)
    return np.column_stack([dz.T @ tokens, dz.sum(axis=0)]) / 2


# %% [markdown]
# The whole gradient is this function twice: with q and dL/dA, and with q' and dL/dA'.

# %% [markdown] tags=["predict"]
# ### The sign of equation 11
#
# Three losses, thirty steps each, far more than the paper's two, so that the eye can see: as the library has it, as
# it is printed, and equation 10 alone. **Predict:** how does the cosine of $A^{VL}$ and $A^T$ go on from its
# beginning, for each of the three?


# %%
def learn(task, loss, steps, rate=1e-3):
    """The adapters after 0, 1, .. steps of AdamW."""
    adapter, moments, out = identity, [(0.0, 0.0)] * 2, [identity]
    for step in range(1, steps + 1):
        _, slope = value_and_gradient(loss, adapter)
        moved = [
            dual_image_adapter.adamw(y, s, m, step, rate=rate, decay=0.01)
            for y, s, m in zip(adapter, slope, moments, strict=True)
        ]
        adapter, moments = dual_image_adapter.Adapter(*(y for y, _ in moved)), [m for _, m in moved]
        out.append(adapter)
    return out


def adapted_map(adapter, tokens):
    return zeroshot.p_abnormal(dual_image_adapter.apply(adapter, tokens), state.text, tau)


def with_sign(sign):
    """L_pseudo + 0.5 sign L_sim: +1 as the library has it (1 - sim), -1 as printed but for a constant, 0 without."""

    def loss(adapter):
        a, changed = (adapted_map(adapter, y) for y in (task.tokens, task.altered))
        return losses.pseudo_anomaly(a, changed, task.mask) + 0.5 * sign * losses.cosine(task.target, a)

    return loss


# %% tags=["figure"]
figure, ax = figures.axes(width=9.5, height=4)
for sign, title, style in (
    (1, "1 - sim (library)", "o-"),
    (0, "equation 10 alone", "^:"),
    (-1, "sim, as printed", "s--"),
):
    maps = [adapted_map(adapter, task.tokens) for adapter in learn(task, with_sign(sign), 30)]
    ax.plot(range(31), [1 - losses.cosine(task.target, a) for a in maps], style, markevery=5, label=title)
ax.axvline(2, color="0.6", linewidth=1)
ax.set(xlabel="steps (grey line: the paper's 2)", ylabel="cosine of A^VL and A^T")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# How far apart are the three at the grey line? After two steps of so small a rate a table may hardly show the sign.
# That is how a sign survives: look at what a loss does, not at the number in the end.
#
# ### Step by step

# %% tags=["figure"]
SHOWN = (0, 1, 2, 6)
after = []
for steps in SHOWN:
    adapters = dual_image_adapt.adapt(state, x, pseudo, partners, steps=steps)
    after.append(dual_image_adapt.adapted(state, x, found, adapters).language)  # [b, g]
high = max(a[first].max() for a in after)
change = max(abs(a[first] - after[0][first]).max() for a in after)
figure, many = figures.axes(2, 4, width=14, height=6.6)
for steps, a, (above, below) in zip(SHOWN, after, many.T, strict=True):
    figures.heat_map(above, square(a[first]), f"A^T, step {steps}", scale="A^T", vmin=0, vmax=high, bar=steps == 6)
    if steps:
        figures.heat_map(below, square(a[first] - after[0][first]), "change", scale="A^T after - before",
                         vmin=-change, vmax=change, signed=True, bar=steps == 6)  # fmt: skip
figures.picture(many[1, 0], query.image, query.defect)
figures.outline(many[1, 0], query.mask)
plt.show()
print(f"no step at all is language: {abs(after[0] - found.language).max():.1e}")

# %% [markdown]
# Does A^T sink or rise all over? It may: the cosine of two maps does not change if one of them is multiplied by a
# number, and equation 10 sees differences alone. So the level of A^T is held by nothing, while the maxima in equation
# 13 add it to those of other maps, and compare it between pictures.

# %% [markdown] tags=["predict"]
# The paper finds the best at two steps, and a decline after. **Predict** the curve here, for both categories. And would
# other pseudo-anomalies, drawn anew, give the same curve?

# %%
STEPS = (0, 1, 2, 4, 6)
curve, gains, kept = {}, {}, {}
for name in NAMES:
    images = [shot.image for shot in things[name].test]
    partners_of = dual_image.Partners(features[name], dual_image.pair(np.random.default_rng(1), len(images)))
    seen = dual_image.evidence(states[name], features[name], partners_of)
    for seed in range(3):
        drawn = dual_image_adapt.pseudo(states[name], features[name], images, np.random.default_rng(seed))
        for steps in STEPS:
            adapters = dual_image_adapt.adapt(states[name], features[name], drawn, partners_of, steps=steps)
            a = dual_image_adapt.adapted(states[name], features[name], seen, adapters).language
            curve[name, seed, steps] = pixel_auroc(name, seen.visual + 1.5 * a)
            if seed == 0 and steps == 2:  # as the paper has it: what each picture gains, patch by patch
                pairs = [
                    [metrics.auroc((seen.visual + 1.5 * m)[i], bad[name][i]) for m in (seen.language, a)]
                    for i in np.flatnonzero(labels[name])
                ]
                gains[name], kept[name] = np.diff(pairs)[:, 0], (drawn, seen.language, a)

# %% tags=["figure"]
figure, two = figures.axes(1, 2, width=12, height=4)
for ax, name in zip(two, NAMES, strict=True):
    for seed, marker in zip(range(3), "os^", strict=True):
        ax.plot(
            STEPS, [curve[name, seed, steps] for steps in STEPS], marker + "-", label=f"pseudo-anomalies {seed + 1}"
        )
    ax.axvline(2, color="0.6", linewidth=1)
    ax.set(title=name, xlabel="steps (grey: the paper's 2)", ylabel="pixel AUROC of A^V + 1.5 A^T", xticks=STEPS)
    ax.set(ylim=(0.5, 1))
two[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ### When it fails
#
# A mean hides those who pay for it. For every damaged picture: AUROC of its patches after two steps, minus before. Then
# the picture that loses most, found by code.

# %% tags=["figure"]
worst = min(NAMES, key=lambda name: gains[name].min())
place = int(np.flatnonzero(labels[worst])[gains[worst].argmin()])
shot = things[worst].test[place]
drawn, language, a = kept[worst]
figure, five = figures.axes(1, 5, width=17, height=3.6)
for i, name in enumerate(NAMES):
    five[0].plot(np.full(len(gains[name]), i), gains[name], "o", alpha=0.6)
five[0].axhline(0, color="black", linestyle=":")
five[0].set(title="gain of each picture", ylabel="AUROC after - before", xlim=(-0.5, 1.5))
five[0].set_xticks((0, 1), NAMES)
figures.picture(five[1], shot.image, f"worst: {worst}, {shot.defect}")
figures.outline(five[1], shot.mask)
figures.heat_map(five[2], square(drawn.mask[place]), "its pseudo-anomaly", scale="M_a", vmin=0, vmax=1)
low, high = (f([f(m[place]) for m in (language, a)]) for f in (np.min, np.max))
figures.heat_map(five[3], square(language[place]), "A^L, before", scale="A", vmin=low, vmax=high, bar=False)
figures.heat_map(five[4], square(a[place]), "A^T, two steps", scale="A", vmin=low, vmax=high)
plt.show()
for name in NAMES:
    print(f"{name}: {(gains[name] < 0).sum()} of {len(gains[name])} pictures lose, mean {gains[name].mean():+.3f}, "
          f"worst {gains[name].min():+.3f}")  # fmt: skip

# %% [markdown]
# Reasons to look for: the pseudo-anomaly lies *on* the real defect, and the adapter is told that this patch is
# normal; a texture is unlike any real damage; or $A^{VL}$, to which A^T is drawn, was wrong already, and where a
# polluted partner says "excused", the adapter learns to excuse.
#
# ## 7. Pictures that are not square
#
# VisA's are about 3 : 2. The supplement brings the short side to the model's size, cuts as few square tiles as cover
# the rest, evenly spread, and averages the maps where tiles overlap. A reference is the union of its tiles' tokens. The
# library does so with `resize="tiles"`; with `"squash"`, the default, everything in a wide picture is seen narrow.

# %% [markdown] tags=["exercise"]
# ### Exercise 6: where tiles begin
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# The first begins at 0, the last ends at the end, and the beginnings between are evenly spread and rounded (`round`).


# %% tags=["exercise"]
def my_starts(length, tile):
    """Two numbers of pixels, length >= tile -> list of int."""
    return None


# %% tags=["check"]
check(
    "tiles",
    my_starts,
    on(360, 240, gives=[0, 120]),
    on(240, 240, gives=[0]),
    on(600, 240, gives=[0, 180, 360]),
    on(481, 240, gives=[0, 120, 241]),
    on(480, 240, gives=[0, 240]),
)

# %% [markdown] tags=["hint"]
# The number of tiles is length / tile, rounded *up*: `-(-length // tile)`. With one tile there is nothing to spread,
# and a division by (count - 1) to avoid.


# %% tags=["solution"]
def my_starts(length, tile):
    """Two numbers of pixels, length >= tile -> list of int."""
    count = -(-length // tile)
    return [round(i * (length - tile) / max(count - 1, 1)) for i in range(count)]


# %% [markdown]
# ## 8. The paper's tables
#
# With ViT-B-16-plus-240 on MVTec AD, mean over six seeds. **Not reproduced here**: neither the weights nor the
# photographs come with the library.

# %%
COLUMNS = ("pixel_auroc", "pixel_f1", "pixel_aupro", "image_auroc", "image_f1", "image_ap")
ROWS = {
    "language alone": ("dual-image", True, "3", "base."),
    "language alone, adapted": ("dual-image+", True, "3", "base., TTA"),
    "with a reference": ("dual-image", False, "3", "base., reference"),
    "with a reference, adapted": ("dual-image+", False, "3", "base., reference, TTA"),
}
print(f"table 3, MVTec AD{'':12}" + "".join(f"{column:>13}" for column in COLUMNS))
for title, (method, ablations, table, row) in ROWS.items():
    numbers = papers.reported(method, "mvtec", ablations=ablations)
    values = {n.metric: n.value for n in numbers if (n.table, n.method) == (table, row)}
    print(f"{title:29}" + "".join(f"{values[column]:13.1f}" for column in COLUMNS))
weights = [n for n in papers.reported("dual-image+", "mvtec", ablations=True) if n.table == "supplement 1"]
print("\nsupplement, table 1, PRO:", {n.setting: n.value for n in weights if n.metric == "pixel_aupro"})

# %% [markdown]
# **Ask:** $\lambda_1 = \lambda_2 = 2$ is twice the map of $\lambda_1 = \lambda_2 = 1$. What does doubling a map do to a
# ranking metric? Compare the two rows of the supplement, and say what that tells of the digits.
#
# ## What to remember
#
# - A second picture, of unknown state, shows what is unusual. What both have is excused, wherever it lies.
# - With the union of references a single accomplice is enough; language is no one's accomplice.
# - Two maps can be added only if one knows their ranges; a weight without its temperature is half a number.
# - A loss that is minimised must fall when things get better: check the sign of each term by what it does.
# - Adaptation at test time is a bet on each picture. Report who loses, not the mean alone.

#
# ### Can you now?
#
# Without scrolling up:
#
# 1. What is A^V of a picture beside itself? And can one more reference raise A^V of a patch? (section 2)
# 2. The reference has the query's damage, at another place. Is it excused? (section 3)
# 3. One of seven references is a twin. What do union and mean make of it? (section 4)
# 4. A paper says: weight 1.5 for language. What else do you have to know? (section 5)
# 5. A map is multiplied by 2. What do its cosine with another map, and its part in equation 13, do? (section 6)
#
# <details>
# <summary>Answers</summary>
#
# 1. 0 everywhere. No: a minimum over more cannot be higher.
# 2. In part: the minimum knows no places, but tokens change with their surroundings.
# 3. With the union it excuses the defect; with the mean it has one vote in seven.
# 4. The temperature, which sets the range of A^L.
# 5. The cosine stays; the part doubles.
#
# </details>
#
# ### Further reading
#
# - Zhang et al. 2024, Dual-Image Enhanced CLIP: section 3 for the method, 5.2 for damaged references; its
#   supplement for tiles and weights.
# - Deng et al. 2023, "AnoVL": where the v-v path with its domains, and the adaptation at test time, come from.
# - Zavrtanik et al. 2021, "DRAEM", section 3.3: the pseudo-anomalies.
# - Li et al. 2024, "MuSc": all pictures of the set judge each other, not two.
# - Here: `refclip/methods/dual_image.py`, `dual_image_adapter.py`, `dual_image_adapt.py`.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_base_patch16_plus_clip_240.laion400m_e31 \
#     open_clip_model.safetensors open_clip_config.json --local-dir plus240
# ```
#
# and `clip = refclip.load("plus240")` in the first cell (the comparisons to 1e-9 need `dtype="float64"`, and patience).
# The whole method, on a folder's pictures, each judged by others that are drawn from among them:
#
# ```python
# judge = refclip.detector("dual-image+", clip, "hazelnut")        # "dual-image" is without the adaptation
# pred = judge(images)                                             # two or more: score [b], map [b, 240, 240]
# ```
#
# `resize="tiles"` is for pictures like VisA's, `temperature=1, patch_temperature=1` for the ranges of AnoVL's code.
# Expect of figure 5 a what the paper reports, a large step from 0 to 1 reference: compare with section 4's figure,
# of drawn pictures and a small model.
