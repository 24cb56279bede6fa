# %% [markdown] tags=["goals"]
# # 00 The whole idea in ten minutes
#
# A CLIP turns pictures and sentences into vectors of one space. A picture lies near a sentence that describes it. So
# anomaly detection can be asked in words: is this picture nearer to "a flawless biscuit" or to "a damaged biscuit"?
# The rest of this course asks that better, and of every place of the picture.
#
# **After it you can**
#
# - score a picture with two sentences, and say what the temperature does and what it cannot do;
# - make a heat map out of the answers of single patches;
# - run every method of the library on one picture, and say what each needs beside it;
# - look for where a method fails before believing where it works.
#
# **You need** nothing of the other notebooks. **Time:** ten minutes to read, half an hour with the exercises; running
# all cells takes about half a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** picture `[H, W, 3]` → pixels `[b, 3, H, W]` → image `[b, e]`; sentences `[k]` → text `[k, e]` → cosines
# `[b, 2]` → p(abnormal) `[b]`; the same for patches: `[b, g, e]` → `[b, g]` → map `[b, H, W]`

# %%
import matplotlib.pyplot as plt
import numpy as np

import refclip
from refclip import figures, metrics, nn, prompts, toy, zeroshot
from refclip.exercises import check, on
from refclip.methods import contexts, learns, shipped_learned
from refclip.preprocess import preprocess, to_model
from refclip.resample import resize

figures.use_style()
clip = refclip.load("refclip-mini")  # the small model that comes with the library
thing = toy.category("biscuit", seed=2, train=4, good=5, each=1, size=160)  # drawn pictures, from a seed
flawless = [shot for shot in thing.test if not shot.label]
damaged = [shot for shot in thing.test if shot.label]
holed = next(shot for shot in damaged if shot.defect == "hole")
print(f"{len(flawless)} flawless pictures; damaged ones: {', '.join(shot.defect for shot in damaged)}")

# %% [markdown]
# ## 1. One picture, two sentences
#
# A damaged biscuit and five flawless ones go through the image tower, two sentences through the text tower. Both come
# out as vectors of length 1, and the cosine says how near two of them are. The numbers below are of the damaged one.

# %%
pictures = [holed, *flawless]
pixels, geometry = preprocess([shot.image for shot in pictures], clip.preprocess)  # [b, 3, H, W]
image = refclip.encode_image(clip, pixels, normalize=True)  # [b, e], of length 1
sentences = ["a photo of a flawless biscuit.", "a photo of a damaged biscuit."]
text = refclip.encode_text(clip, sentences, normalize=True)  # [2, e]
cosines = image @ text.T  # [b, 2]
print("shapes:", image.shape, text.shape, cosines.shape)
for sentence, cosine in zip(sentences, cosines[0], strict=True):
    print(f"{cosine:+.3f}  {sentence}")

# %% [markdown]
# Two cosines become a probability by a softmax with a temperature (WinCLIP, equation 1):
#
# $$p(\text{abnormal} \mid x) = \frac{\exp(\langle f(x), g_a \rangle / \tau)}
# {\exp(\langle f(x), g_n \rangle / \tau) + \exp(\langle f(x), g_a \rangle / \tau)}$$

# %% [markdown] tags=["exercise"]
# ### Exercise 1: from two cosines to a probability
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_p_abnormal(cosines, temperature):
    """Cosines [b, 2], normal first -> p(abnormal) [b]."""
    raise NotImplementedError


# %% tags=["check"]
some = np.array([[0.31, 0.35], [0.2, -0.4], [0.9, 0.1]])
check(
    "p(abnormal)",
    my_p_abnormal,
    *(on(some, t, gives=nn.softmax(some / t)[:, 1]) for t in (1.0, 0.07, 0.01)),
    atol=1e-9,  # float64; one exponential is good to 1e-16
)

# %% [markdown] tags=["hint"]
# Divide by the temperature, take `np.exp`, and divide the second column by the sum of the two.


# %% tags=["solution"]
def my_p_abnormal(cosines, temperature):
    """Cosines [b, 2], normal first -> p(abnormal) [b]."""
    weights = np.exp(cosines / temperature)
    return weights[:, 1] / weights.sum(axis=1)


# %% [markdown] tags=["predict"]
# **Predict.** The temperature goes from 1 down to 0.01. What happens to the probabilities? Can a picture that scored
# lower than another overtake it?

# %% tags=["figure"]
temperatures = np.geomspace(0.01, 1, 60)
figure, (left, right) = figures.axes(1, 2, width=12, height=3.9)
figures.picture(left, holed.image, "the picture (outlined: the defect)")
figures.outline(left, holed.mask)
for i, shot in enumerate(pictures):
    curve = [nn.softmax(cosines[i] / t)[1] for t in temperatures]
    of = figures.COLOURS["vermilion" if shot.label else "blue"]
    name = {0: "with a hole", 1: "flawless"}.get(i)  # one entry for all the flawless ones
    right.plot(temperatures, curve, "-" if shot.label else "--", color=of, label=name)
right.axhline(0.5, color="black", linestyle=":", linewidth=1)
right.set(xscale="log", xlabel="temperature", ylabel="p(abnormal)", ylim=(0, 1))
right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# The curves never cross: who is first at one temperature is first at every other. p(abnormal) grows with the
# *difference* of the two cosines; the temperature spreads the scores, or crowds them around 0.5 (dotted), and does no
# more. So a threshold of 0.5 has no meaning of its own, and a measure of order (AUROC, notebook
# [09](09_metrics.ipynb)) does not see the temperature.
#
# ## 2. More than one way to say it
#
# One sentence is one person's choice of words. WinCLIP averages the vectors of many, and scales the mean to length 1.

# %% [markdown] tags=["exercise"]
# ### Exercise 2: a prototype
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# The mean of the vectors as they come, and then length 1.


# %% tags=["exercise"]
def my_prototype(vectors):
    """Vectors of sentences [k, e] -> one of length 1, [e]."""
    raise NotImplementedError


# %% tags=["check"]
ensemble = prompts.compose("biscuit", prompts.WINCLIP_STATES, prompts.WINCLIP_TEMPLATES_A)
both = zeroshot.prototypes(clip, ensemble)  # [2, e]: the library's answer
check(
    "prototype",
    my_prototype,
    *(
        on(refclip.encode_text(clip, words).astype(np.float64), gives=prototype.astype(np.float64))
        for words, prototype in zip((ensemble.normal, ensemble.abnormal), both, strict=True)
    ),
    atol=1e-5,  # the vectors come out of towers in float32, sorted into other batches
)

# %% [markdown] tags=["hint"]
# `vectors.mean(axis=0)`, and divide by its length, `np.linalg.norm`. A mean of vectors that do not agree is shorter
# than they are.


# %% tags=["solution"]
def my_prototype(vectors):
    """Vectors of sentences [k, e] -> one of length 1, [e]."""
    mean = vectors.mean(axis=0)
    return mean / np.linalg.norm(mean)


# %% [markdown] tags=["predict"]
# **Predict.** Below, each row is another way to say "flawless" and "damaged". A dot is a picture: how much nearer it is
# to "damaged" than to "flawless". Will 0 lie between the flawless and the damaged pictures in every row? In any?

# %% tags=["figure"]
pairs = {
    "flawless / damaged": text,
    "good / bad": refclip.encode_text(clip, ["a good biscuit", "a bad biscuit"], normalize=True),
    "normal / anomalous": refclip.encode_text(clip, ["a normal biscuit", "an anomalous biscuit"], normalize=True),
    f"mean of {len(ensemble.normal)} / {len(ensemble.abnormal)}": both,
}
everything = [*flawless, *damaged]
vectors = refclip.encode_image(
    clip, preprocess([shot.image for shot in everything], clip.preprocess)[0], normalize=True
)  # [b, e]
labels = np.array([shot.label for shot in everything])
figure, ax = figures.axes(width=9, height=3.6)
for row, prototypes in enumerate(pairs.values()):
    difference = vectors @ (prototypes[1] - prototypes[0])  # [b]
    ax.plot(difference[labels == 0], np.full(len(flawless), -row + 0.1), "o", color=figures.COLOURS["blue"])
    ax.plot(difference[labels == 1], np.full(len(damaged), -row - 0.1), "D", color=figures.COLOURS["vermilion"])
ax.plot([], [], "o", color=figures.COLOURS["blue"], label="flawless")
ax.plot([], [], "D", color=figures.COLOURS["vermilion"], label="damaged")
ax.axvline(0, color="black", linestyle=":")
ax.set_yticks([-row for row in range(len(pairs))], list(pairs))
ax.set(xlabel="cosine to damaged minus cosine to flawless", ylim=(0.5 - len(pairs), 0.5))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# 0 parts the two kinds in no row, and no other border can: one flawless picture lies to the right of most damaged ones.
# And a word need not mean to a model what it means to us. "A bad biscuit", said like this, is to this one nearly "a
# good biscuit", perhaps because many captions that it read begin "a bad photo of", which says nothing of the thing.
# What words are worth is measured in [02](02_text.ipynb).
#
# ## 3. Where?
#
# The tower cuts a picture into patches. Each patch has a vector too, and can be asked the same question. (Which kind of
# attention lets a patch speak for itself is [03](03_attention_variants.ipynb); here it is the v-v path.)

# %%
depth, side, patch = len(clip.vision.transformer.blocks), clip.vision.grid, clip.vision.patch_size
tokens = refclip.encode_tokens(clip, pixels[:1], layers=[depth], dual=refclip.Dual("v-v", start=0))
p = zeroshot.p_abnormal(tokens.patches[depth][0], both, 0.07)  # [g]
print(f"{p.size} patches, a grid of {side} x {side}; the picture is {side * patch} x {side * patch} for the model")

# %% [markdown] tags=["exercise"]
# ### Exercise 3: from patches to a map
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# Patches are numbered row by row. Every pixel gets the value of the patch in which it lies.


# %% tags=["exercise"]
def my_map(p, side, patch):
    """Values of patches [side * side] -> map [side * patch, side * patch]."""
    raise NotImplementedError


# %% tags=["check"]
tiny = np.arange(6.0)[:4]  # 0 1 / 2 3
check(
    "map",
    my_map,
    on(tiny, 2, 3, gives=np.kron(tiny.reshape(2, 2), np.ones((3, 3)))),
    on(
        p.astype(np.float64), side, patch, gives=np.kron(p.reshape(side, side).astype(np.float64), np.ones([patch] * 2))
    ),
    atol=1e-12,  # nothing is computed, only copied
)

# %% [markdown] tags=["hint"]
# `reshape` to a grid first. `np.repeat(..., axis=0)` repeats each row; `np.tile` would put whole copies side by side.


# %% tags=["solution"]
def my_map(p, side, patch):
    """Values of patches [side * side] -> map [side * patch, side * patch]."""
    return p.reshape(side, side).repeat(patch, axis=0).repeat(patch, axis=1)


# %% tags=["figure"]
grid = p.reshape(side, side)
smooth = resize(grid, (side * patch, side * patch), "bilinear")  # what the methods do
where = to_model(holed.mask, geometry[0], "box") > 0.5  # the mask as the model sees the picture
figure, three = figures.axes(1, 3, width=13, height=4)
figures.picture(three[0], holed.image, "the picture")
figures.outline(three[0], holed.mask)
figures.heat_map(three[1], grid, "a value for each patch", scale="", vmin=p.min(), vmax=p.max(), bar=False)
figures.heat_map(three[2], smooth, "enlarged, bilinear", scale="p(abnormal)", vmin=p.min(), vmax=p.max())
figures.outline(three[2], where)
plt.show()
print(f"the map's largest value, one way to score the picture: {smooth.max():.2f}")
print(f"share of pairs of a damaged and a flawless pixel in the right order: {metrics.auroc(smooth, where):.2f}")

# %% [markdown]
# The share on the last line is the AUROC of the pixels: 1 if every damaged one is above every flawless one, 0.5 for a
# map that knows nothing. A map is no finer than its patches, however smoothly it is enlarged. And it is seldom bright
# at the defect alone: an edge or a shadow can be as far from "flawless" as a hole.
#
# ## 4. Every method, side by side
#
# The library has fifteen. None has to be understood yet; this is the map of the course:
#
# | what is compared with the picture | methods | notebook |
# |---|---|---|
# | words, with the whole picture or with plain patches | `clip`, `clip-ac` | 01, 02 |
# | words, window by window; with references, too | `winclip`; `winclip+` | 04 |
# | words, by the v-v path | `anoclip`, `anovl` | 03 |
# | words and other pictures | `dual-image`, `dual-image+` | 08 |
# | learned prompts | `anomalyclip`; `clip-ada` | 06; 07 |
# | other pictures alone, no words | `patchcore` | 11 |
# | values alone; learned prompts or projections; the set | `maskclip`; `coop`, `vand`; `musc` | `refclip/methods` |
#
# Of the last row each has a file in `refclip/methods`, which begins with what it does. They differ in what they need
# beside the picture: nothing, a few flawless pictures of the same kind ("references"), other pictures of the set
# ("partners"), or the whole set. Where a method has to learn and no file of what it learned comes with the model, the
# cell passes it over. All get the picture with the hole and the flawless ones.

# %%
needed = {
    "nothing": "itself alone",
    "either": "references",
    "references": "references",
    "partners": "partners of the set",
    "set": "the whole set",
}
answers = {}
for method, (module, _) in refclip.METHODS.items():
    need = contexts.needs(module)
    if learns(method) and shipped_learned(method, clip) is None:
        print(f"{method:12} passed over: no learned parameters are shipped for {clip.name}; `refclip train` makes them")
        continue
    beside = {"references": list(thing.train)} if needed[need] == "references" else {}
    answers[method] = refclip.detector(method, clip, thing.words, **beside)([shot.image for shot in pictures])
print(f"\n{'method':12} {'looks at':20} {'hole':>7}   flawless from .. to   map: AUROC")
for method, answer in answers.items():
    others, truth = answer.score[1:], to_model(holed.mask, answer.geometry[0], "box") > 0.5
    print(
        f"{method:12} {needed[contexts.needs(refclip.METHODS[method][0])]:20} {answer.score[0]:7.2f}   "
        f"{others.min():7.2f} .. {others.max():<7.2f}    {metrics.auroc(answer.map[0], truth):.2f}"
    )

# %% [markdown] tags=["predict"]
# Scores of two methods are not in one unit: a probability is no distance. To put the maps on *one* scale, each value is
# replaced by a share: how many of the method's own values, on the flawless pictures, are lower? **Predict.** Which maps
# will be sharpest: those that compare with words, or those that compare with flawless pictures?

# %% tags=["figure"]
columns = 4
rows = -(-(len(answers) + 1) // columns)
figure, many = figures.axes(rows, columns, width=13, height=3.2 * rows)
places = list(many.flat)
figures.picture(places[0], holed.image, "the picture")
figures.outline(places[0], holed.mask)
for i, (method, answer) in enumerate(answers.items(), start=1):
    usual = np.sort(answer.map[1:].ravel())
    share = np.searchsorted(usual, answer.map[0]) / usual.size
    title = f"{method}\n({needed[contexts.needs(refclip.METHODS[method][0])]})"
    last = i % columns == columns - 1 or i == len(answers)
    figures.heat_map(places[i], share, title, scale="share lower", vmin=0.5, vmax=1, bar=last)
    figures.outline(places[i], to_model(holed.mask, answer.geometry[0], "box") > 0.5)
for ax in places[len(answers) + 1 :]:
    ax.axis("off")
plt.show()

# %% [markdown]
# Dark is usual, bright is rare on the flawless pictures. A map that is bright all over says that the whole picture is
# unusual, and not where. It may be the ground: biscuits lie on wood or on linen, and a method may find the rarer one
# worth a remark. Or the patches do not speak for their own place: those of `clip` are the tower's own, and each has
# read the whole picture, the hole with it. Look at `clip`, and then at the methods of the v-v path, which are bright at
# the hole and along the edges. [03](03_attention_variants.ipynb) says why.
#
# ## 5. Where it fails
#
# So far you have seen one picture, and a hole is an easy defect. Here are all damaged pictures, by one method: the code
# chooses the best map and the worst.

# %% tags=["figure"]
answer = refclip.detector("winclip+", clip, thing.words, references=list(thing.train))([s.image for s in damaged])
truths = [to_model(shot.mask, place, "box") for shot, place in zip(damaged, answer.geometry, strict=True)]
truths = [mask > min(0.5, mask.max() / 2) for mask in truths]  # thin defects cover no pixel of the model by half
auroc = [metrics.auroc(m, mask) for m, mask in zip(answer.map, truths, strict=True)]
chosen = {"best": int(np.argmax(auroc)), "worst": int(np.argmin(auroc))}
figure, many = figures.axes(1, 4, width=14, height=3.7)
for column, (which, i) in enumerate(chosen.items()):
    figures.picture(many[2 * column], damaged[i].image, f"{which}: {damaged[i].defect}")
    figures.outline(many[2 * column], damaged[i].mask)
    figures.heat_map(
        many[2 * column + 1],
        answer.map[i],
        f"AUROC {auroc[i]:.2f}",
        scale="winclip+",
        vmin=answer.map.min(),
        vmax=answer.map.max(),
        bar=which == "worst",
    )
    figures.outline(many[2 * column + 1], truths[i])
plt.show()

# %% [markdown]
# ## What to remember
#
# - A picture, a patch and a sentence are vectors of one space. Nearer to "damaged" than to "flawless" is the score.
# - The temperature stretches scores and keeps their order. Words shift all of them.
# - A map is the same question, asked of every patch.
# - Methods differ in what they need beside the picture. Compare orders, not scores, and show the worst case too.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. A picture has p(abnormal) = 0.52. Is it damaged? (section 1)
# 2. Somebody lowers the temperature from 0.07 to 0.01. What becomes of the scores, and of the AUROC? (section 1)
# 3. Patches of 8 x 8 pixels, a grid of 15 x 15, counted from 0. Which patch covers the pixel in row 20, column 100?
#    (section 3)
# 4. You have thirty flawless pictures and no name for the thing. Which methods are left? (section 4)
#
# <details>
# <summary>Answers</summary>
#
# 1. That cannot be said. Words and temperature move the number; compare it with those of flawless pictures.
# 2. The scores spread. Their order stays, and with it the AUROC.
# 3. Row 2, column 12 of the grid: number 2 * 15 + 12 = 42.
# 4. `patchcore`, which takes the flawless ones as references; `musc`, which needs other pictures of the set; and
#    those whose prompts say "object", such as `anomalyclip`.
#
# </details>
#
# ### Further reading
#
# - Radford et al. 2021, "Learning transferable visual models from natural language supervision" (CLIP), sections 2 and
#   3.1: one space for pictures and sentences, and classes asked for in words.
# - Jeong et al. 2023, "WinCLIP", sections 1 and 4: the question of this notebook, first asked there.
# - Bergmann et al. 2021, "The MVTec anomaly detection dataset": what the papers' numbers are measured on.
# - Here: `refclip/zeroshot.py` has sections 1 to 3; `docs/differences.md` says where papers and programs part ways.
#
# Next: [01 CLIP from scratch](01_clip_from_scratch.ipynb), or [11 Your own images](11_your_own_images.ipynb).

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_base_patch16_plus_clip_240.laion400m_e31 --local-dir plus240 \
#     open_clip_model.safetensors open_clip_config.json
# ```
#
# and `clip = refclip.load("plus240")` in the first cell: the backbone of WinCLIP's paper. Take photographs, by path, in
# place of `refclip.toy`. Learned methods then need files from `refclip train`; section 4 takes minutes.
