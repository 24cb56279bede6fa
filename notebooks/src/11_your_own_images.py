# %% [markdown] tags=["goals"]
# # 11 Your own images
#
# A folder of photographs of good parts, a few of bad ones, and a question: which of tomorrow's are bad? A score answers
# half of it. The other half is a threshold, and what it promises. The promise needs no knowledge of defects at all: it
# comes from good pictures, counted by hand, and it can be broken in ways that this notebook shows.
#
# **After it you can**
#
# - lay out a folder so that the library takes it for what it is, and read what it says about what is wrong;
# - choose a number of references, with the spread that their choice brings;
# - take a threshold from normal images, say how many false alarms it promises, and how sure that is;
# - name three ways to break the promise: references that set the threshold, other light, rare defects.
#
# **You need** [00](00_the_whole_idea.ipynb), and of [09](09_metrics.ipynb) what AUROC is. **Time:** an hour to work
# through; running all cells takes about half a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** folder → samples → pictures `[H, W, 3]`; K references → patches `[K, g, d]`; a picture → distances `[g]`
# → score; n normal scores `[n]` → threshold → alarms

# %%
import math
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from scipy.special import betainc

import refclip
from refclip import cli_score, data, figures, metrics, toy
from refclip.exercises import check, on
from refclip.methods import patchcore, winclip_plus
from refclip.methods.features import join, piece
from refclip.methods.patches import nearest

figures.use_style()
BLUE, RED, GREEN, ORANGE = (figures.COLOURS[c] for c in ("blue", "vermilion", "green", "orange"))
clip = refclip.load("refclip-mini")
thing = toy.category("cork", seed=11, train=47, good=100, each=2, size=160)
good, tomorrow = list(thing.train), [shot.image for shot in thing.test if not shot.label]
damaged = [shot for shot in thing.test if shot.label]
print(f"{len(good)} good pictures of today, {len(tomorrow)} of tomorrow, {len(damaged)} damaged")

# %% [markdown]
# ## 1. A folder, as it lies on disk
#
# A folder of good pictures, one of damaged ones, and, apart from them, a flat one of new pictures that nobody has
# looked at. One file in it was cut off while it was copied.

# %%
root = Path(tempfile.mkdtemp())
labelled, new = root / "parts", root / "new"
for i, picture in enumerate(good):
    (labelled / "good").mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(labelled / "good" / f"{i:03}.png", compress_level=1)
for i, shot in enumerate(damaged):
    (labelled / "damaged").mkdir(exist_ok=True)
    Image.fromarray(shot.image).save(labelled / "damaged" / f"{i:03}_{shot.defect}.png", compress_level=1)
arrived = [tomorrow[0], tomorrow[1], damaged[0].image, tomorrow[2]]
new.mkdir()
for i, picture in enumerate(arrived):
    Image.fromarray(picture).save(new / f"{i:03}.png", compress_level=1)
whole = (new / "003.png").read_bytes()
(new / "003.png").write_bytes(whole[: len(whole) // 2])  # the copy that broke off


def say(text):
    """Print without the name of the temporary folder, which is another in every run."""
    print(str(text).replace(f"{root}/", ""))


# %% [markdown] tags=["predict"]
# **Predict.** The library knows the layouts of the public data sets, and plain folders. What will it take for normal,
# and what will it say of the flat folder? When will it notice the broken file: when it lists, or when it reads?

# %%
for folder in (labelled, new):
    found = data.find(folder)
    kinds = sorted({(sample.defect or "(flat)", str(sample.label)) for sample in found.samples})
    say(f"{folder}: layout {found.layout!r}, {len(found.samples)} images; kind and label: {kinds}")
problems = []
usable = list(data.load_all(data.find(new).samples, problems.append))
say(f"{len(usable)} of {len(data.find(new).samples)} can be read; the other:")
for problem in problems:
    say(problem.what)

# %% [markdown]
# A folder called good (ok, normal, no) makes its neighbours abnormal. That is a trap: lay `new/` beside `good/`, and
# each new picture counts as damaged.

# %%
beside = labelled / "new"
new.rename(beside)
found = data.find(labelled)
print({sample.defect: sample.label for sample in found.samples})
new = beside.rename(new)

# %% [markdown]
# ## 2. A few normal shots
#
# WinCLIP+ and PatchCore compare with K good pictures. PatchCore's score is the distance of the patch that is farthest
# from all patches of the references (Roth et al., equations 6 and 7; here without the weight of equation 7, and with
# every patch kept, as the references are few):
#
# $$s(x) = \max_{i} \min_{r \in R} \lVert x_i - r \rVert$$
#
# A picture is encoded once. Other references mean other comparisons, not another pass through the tower. Terrazzo
# takes the cork's place in this section: its flecks lie otherwise in every picture, so that one is not like another.

# %%
PLAIN = {"fraction": 1.0, "crowd": 0}  # every patch of the references; equation 6
flecked = toy.category("terrazzo", seed=11, train=8, good=12, each=2, size=160)
several, labels = [shot.image for shot in flecked.test], np.array([shot.label for shot in flecked.test])
systems = {
    "winclip+": (winclip_plus, winclip_plus.prepare(clip, flecked.words)),
    "patchcore": (patchcore, patchcore.prepare(clip, **PLAIN)),
}
kept = {
    name: (m.extract(state, several), m.extract(state, list(flecked.train))) for name, (m, state) in systems.items()
}

# %% [markdown] tags=["predict"]
# **Predict.** From one reference to eight: does the AUROC rise, and does it matter *which* pictures are the references?

# %% tags=["figure"]
rng = np.random.default_rng(0)
draws, lowest = [rng.permutation(8) for _ in range(4)], 1.0
figure, (left, right) = figures.axes(1, 2, width=12, height=3.6)
for ax, (name, (m, state)) in zip((left, right), systems.items(), strict=True):
    seen, references = kept[name]
    for K in (1, 2, 4, 8):
        values = []
        for draw in draws[: 1 if K == 8 else None]:  # there is one way to take all eight
            context = join([piece(references, i, i + 1) for i in draw[:K]])
            values.append(metrics.auroc(m.score(state, seen, context).score, labels))
        lowest = min(lowest, *values)
        ax.plot([K] * len(values), values, "o", color=BLUE, alpha=0.6)
        ax.plot([K / 1.15, K * 1.15], [np.mean(values)] * 2, color=RED)
        print(f"{name:10} K = {K}: mean {np.mean(values):.2f}, from {min(values):.2f} to {max(values):.2f}")
    ax.axhline(0.5, color="black", linestyle=":")
    ax.set(xscale="log", xlabel="K references", ylabel="image AUROC", title=name)
    ax.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"], minor=False)
    ax.minorticks_off()
for ax in (left, right):
    ax.set_ylim(lowest - 0.05, 1.02)
plt.show()

# %% [markdown]
# A blue point is one choice of references, a red line their mean. Where the points of one K lie far apart, the choice
# of pictures is part of the result: report several draws, and write down which ones you deploy. Mind the scale of the
# axis, too: the printed ranges say how much the choice was worth on this surface. WinCLIP+ hardly moves:
# half of its score comes from words ([04](04_winclip.ipynb)), which need no reference, and that half varies far more
# from picture to picture than the other.
#
# ## 3. A threshold, by hand
#
# The cork again. Eight good pictures are the references, the other 39 get scores. Take the k-th largest of the n = 39
# as threshold, and call an alarm what lies *above* it. A new good picture is as likely to take any place among the
# n + 1, so
#
# $$P(\text{false alarm}) = \frac{k}{n + 1}$$
#
# whatever the scores look like (less where scores are equal). It needs one thing: that the new picture could have been
# any of the n + 1, and nobody could tell which.

# %% [markdown] tags=["exercise"]
# ### Exercise 1: the threshold
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# The lowest threshold whose false alarm rate, expected, is at most `alpha`: the largest k with k / (n + 1) <= alpha. If
# not even k = 1 is allowed, there is none: infinity.


# %% tags=["exercise"]
def my_threshold(scores, alpha):
    """Scores of normal images [n] -> float; an alarm is a score above it."""
    raise NotImplementedError


# %% tags=["check"]
nineteen = np.random.default_rng(1).permutation(19) / 10  # 0, 0.1 ... 1.8, in some order
check(
    "threshold",
    my_threshold,
    on(nineteen, 0.1, gives=1.7),  # the second largest: 2 / 20
    on(nineteen, 0.26, gives=1.4),  # the fifth
    on(nineteen, 0.04, gives=np.inf),  # 19 pictures can promise no less than 1 / 20
    atol=1e-12,  # one of the scores, unchanged
)

# %% [markdown] tags=["hint"]
# `k = math.floor(alpha * (n + 1))`, and `np.sort(scores)[-k]` is the k-th largest, but not for k = 0. A share such as
# 0.29 * 100 is 28.999999999999996 in floats: add 1e-9 before `floor`.


# %% tags=["solution"]
def my_threshold(scores, alpha):
    """Scores of normal images [n] -> float; an alarm is a score above it."""
    k = math.floor(alpha * (len(scores) + 1) + 1e-9)
    return float(np.sort(scores)[-k]) if k else np.inf


# %% tags=["figure"]
detect = refclip.detector("patchcore", clip, references=good[:8], **PLAIN)
normal = detect(good[8:]).score  # [39], which set the threshold
fresh, bad = detect(tomorrow).score, detect([shot.image for shot in damaged]).score
k = 2
n, threshold = len(normal), np.sort(normal)[-k]
figure, ax = figures.axes(width=10, height=3)
rows = {f"{n} that set it": (normal, BLUE), "good, tomorrow": (fresh, GREEN), "damaged": (bad, RED)}
for row, (scores, colour) in enumerate(rows.values()):
    shift = np.random.default_rng(row).uniform(-0.2, 0.2, len(scores))  # up and down has no meaning: so that dots part
    ax.plot(scores, shift - row, "o", color=colour, alpha=0.6, markersize=5)
ax.axvline(threshold, color="black", linestyle="--")
ax.text(threshold, 0.4, " alarm →", va="bottom")
ax.set_yticks([0, -1, -2], list(rows))
ax.set(xlabel="score", ylim=(-2.5, 0.75))
plt.show()
print(f"threshold {threshold:.2f}, expected false alarms {k / (n + 1):.1%}")
print(f"false alarms: {(fresh > threshold).sum()} of {len(fresh)} good pictures of tomorrow")
print(f"found: {(bad > threshold).sum()} of {len(bad)} damaged; about these the threshold promises nothing")

# %% [markdown] tags=["predict"]
# ## 4. What k / (n + 1) promises, and what not
#
# It is a mean over all choices of the n pictures. You have *one* choice, and with it one true rate, which you do not
# see. **Predict.** With n = 39 and k = 2 (5 % expected): how likely is it that your true rate is above 10 %?

# %% [markdown]
# The true rate is distributed as Beta(k, n + 1 - k). To stay at or below r, at least k of the n scores have to lie in
# the upper share r of all good scores, and how many do is binomial:
#
# $$P(\text{rate} \le r) = 1 - \sum_{i < k} \binom{n}{i} r^i (1 - r)^{n - i}$$

# %% [markdown] tags=["exercise"]
# ### Exercise 2: how sure
#
# *Difficulty 1 of 3, about 10 minutes.*


# %% tags=["exercise"]
def my_promise(n, k, rate):
    """Probability, a float, that the k-th largest of n has a true false alarm rate of at most `rate`."""
    return None


# %% tags=["check"]
check(
    "promise",
    my_promise,
    *(
        on(*case, gives=float(betainc(case[1], case[0] + 1 - case[1], case[2])))
        for case in ((39, 2, 0.1), (59, 1, 0.05))
    ),
    on(200, 10, 0.06, gives=float(betainc(10, 191, 0.06))),
    atol=1e-9,  # 200 products in float64
)

# %% [markdown] tags=["hint"]
# `math.comb(n, i)` counts the choices; the sum runs over `range(k)`.


# %% tags=["solution"]
def my_promise(n, k, rate):
    """Probability, a float, that the k-th largest of n has a true false alarm rate of at most `rate`."""
    return 1 - sum(math.comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k))


# %% tags=["figure"]
x = np.linspace(0, 0.2, 300)
figure, ax = figures.axes(width=9.5, height=3.8)
for (many, at), style in zip(((19, 1), (39, 2), (199, 10), (999, 50)), ("-", "--", "-.", ":"), strict=True):
    ax.plot(x, 1 - betainc(at, many + 1 - at, x), style, label=f"n = {many}, k = {at}")
ax.axvline(0.05, color="0.6", linewidth=1)
ax.set(xlabel="false alarm rate (5 % is expected of each)", ylabel="chance that yours is higher", ylim=(0, 1))
ax.set_xticks([0, 0.05, 0.1, 0.15, 0.2], ["0 %", "5 %", "10 %", "15 %", "20 %"])
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print(f"n = 39, k = 2: above 10 % with a chance of {1 - betainc(2, 38, 0.1):.0%}")

# %% [markdown] tags=["exercise"]
# ### Exercise 3: how many pictures
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# The strictest threshold is the largest normal score, k = 1. How many normal pictures does it take until its true rate
# is at most `rate` with a chance of at least `confidence`?


# %% tags=["exercise"]
def my_needed(rate, confidence):
    """Two floats -> the fewest pictures, an int."""
    raise NotImplementedError


# %% tags=["check"]
check("needed", my_needed, on(0.05, 0.95, gives=59), on(0.01, 0.95, gives=299), on(0.1, 0.9, gives=22))

# %% [markdown] tags=["hint"]
# For k = 1 the sum has one term: $1 - (1 - r)^n \ge c$. Take logarithms, and mind that that of a share is negative.


# %% tags=["solution"]
def my_needed(rate, confidence):
    """Two floats -> the fewest pictures, an int."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


# %% [markdown] tags=["predict"]
# ## 5. References must not set the threshold
#
# Good pictures are scarce. Why not take all of them as references, and the threshold from their own scores?
# **Predict** the score of a reference, beside itself. And the false alarm rate that follows?

# %% [markdown] tags=["exercise"]
# ### Exercise 4: leave one out
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# A way out: judge each reference beside the *others*. `distance[i, j, p]` is that of patch p of picture i to the
# nearest patch of picture j. The score is that of the equation in section 2.


# %% tags=["exercise"]
def my_leave_one_out(distance):
    """Distances [K, K, g] -> scores [K], of each picture beside the K - 1 others."""
    raise NotImplementedError


# %% tags=["check"]
state = systems["patchcore"][1]
R, held = good[8:27], good[27:46]  # 19 and 19: 1 / (19 + 1) is 5 %
described = patchcore.described(state, patchcore.extract(state, R)).astype(np.float64)  # [K, g, d]
distance = np.stack([[nearest(a, b)[0] for b in described] for a in described])  # [K, K, g]
apart = []  # slowly, of four pictures: each beside the patches of the three others
for i in range(4):
    others = np.delete(described[:4], i, axis=0).reshape(-1, described.shape[-1])
    apart.append(nearest(described[i], others)[0].max())
check(
    "leave one out",
    my_leave_one_out,
    on(distance[:4, :4], gives=np.array(apart)),
    on(np.array([[[0.0, 0], [3, 1]], [[2, 5], [0, 0]]]), gives=np.array([3.0, 5.0])),
    atol=1e-6,  # the nearest of nearly equals may be another
)

# %% [markdown] tags=["hint"]
# Set the diagonal to infinity in a copy: `d[np.arange(K), np.arange(K)] = np.inf`. Then `min` over the pictures j, and
# `max` over the patches.


# %% tags=["solution"]
def my_leave_one_out(distance):
    """Distances [K, K, g] -> scores [K], of each picture beside the K - 1 others."""
    d, every = distance.copy(), np.arange(len(distance))
    d[every, every] = np.inf
    return d.min(axis=1).max(axis=1)


# %% tags=["figure"]
keep_all = refclip.detector("patchcore", clip, references=R, **PLAIN)
coreset = refclip.detector("patchcore", clip, references=R, fraction=0.1, crowd=0)
off = distance + np.where(np.eye(len(R)), np.inf, 0)[:, :, None]
of_all, of_coreset = keep_all(tomorrow).score, coreset(tomorrow).score
ways = {
    "references beside themselves": (keep_all(R).score, of_all),
    "the same, a tenth of the patches kept": (coreset(R).score, of_coreset),
    "each reference beside the others": (off.min(axis=1).max(axis=1), of_all),
    "19 other good pictures": (keep_all(held).score, of_all),
}
rates = [float((scores > own.max()).mean()) for own, scores in ways.values()]
low, high = np.interp([0.025, 0.975], betainc(1, 19, x := np.linspace(0, 0.5, 2000)), x)
figure, ax = figures.axes(width=11, height=3.2)
figures.bars(ax, list(ways), 100 * np.array(rates), unit=" %", digits=0)
ax.axvspan(100 * low, 100 * high, color=ORANGE, alpha=0.35, zorder=0)
ax.set(xlabel="false alarms among good pictures of tomorrow (shaded: what k = 1, n = 19 promises)", xlim=(0, 112))
plt.show()

# %% [markdown]
# The first two thresholds were set by pictures that the detector had seen. A score beside oneself is lower than a score
# among strangers, so such a threshold is too low and the alarms are too many. Leaving one out errs a little to the
# other side, as each is judged beside one picture less. Held-out pictures are what the promise speaks of. With n = 19
# it leaves room, as the shaded range shows.

# %% [markdown] tags=["predict"]
# ## 6. When tomorrow is not like today
#
# "Could have been any of the n + 1" is the whole ground under the promise. Somebody opens a blind, and the same good
# parts are brighter. **Predict.** By how many per cent may the light change before the false alarms leave the range
# that was promised?

# %% tags=["figure"]
gains, count = (0.6, 0.8, 1.0, 1.25, 1.6), len(tomorrow)


def light(picture, gain):
    """The same picture in other light: uint8, white where the sensor is full."""
    return np.clip(np.rint(picture * gain), 0, 255).astype(np.uint8)


alarms = [float((detect([light(p, gain) for p in tomorrow]).score > threshold).mean()) for gain in gains]
rng = np.random.default_rng(0)
usual = rng.binomial(count, rng.beta(k, n + 1 - k, 20_000)) / count  # what good pictures like today's would give
low, high = np.quantile(usual, [0.025, 0.975])
figure, three = figures.axes(1, 3, width=13, height=3.8)
for ax, gain in zip(three, (gains[2], gains[-1]), strict=False):
    figures.picture(ax, light(tomorrow[0], gain), f"light x {gain:g}")
three[2].axhspan(100 * low, 100 * high, color=ORANGE, alpha=0.35)
three[2].plot(gains, 100 * np.array(alarms), "o-", color=BLUE)
three[2].set(
    xlabel="light", ylabel=f"alarms, % of {count} good ones", ylim=(-2, 102), title="shaded: 95 % if nothing changed"
)
plt.show()
for gain, rate in zip(gains, alarms, strict=True):
    print(f"light x {gain:<4g}: {rate:4.0%} alarms{'' if low <= rate <= high else ', outside the promise'}")

# %% [markdown]
# Where the line leaves the shaded range, the promise is broken: a failure that no arithmetic on today's scores repairs,
# and that good pictures alone reveal. So keep counting alarms on parts that are known to be good, and stop when their
# number leaves the range. Scores that fall are a warning too: a camera out of focus hides defects and raises no alarm.
#
# ## 7. How many alarms are true?
#
# Defects are rare, and then most alarms are false, whatever the AUROC.

# %% [markdown] tags=["exercise"]
# ### Exercise 5: the share of true alarms
#
# *Difficulty 1 of 3, about 5 minutes.*
#
# Of all parts a share `rare` is damaged; of those a share `found` raises an alarm; of good parts a share `false`.


# %% tags=["exercise"]
def my_true_share(rare, found, false):
    """Three shares -> the share of alarms that are true, a float."""
    raise NotImplementedError


# %% tags=["check"]
check(
    "true alarms",
    my_true_share,
    on(0.5, 0.8, 0.05, gives=0.4 / 0.425),
    on(0.01, 0.8, 0.05, gives=8 / 57.5),  # of a thousand parts: 8 true, 49.5 false
    on(0.001, 1.0, 0.01, gives=1 / 10.99),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Count in a thousand parts: how many true alarms, how many false ones?


# %% tags=["solution"]
def my_true_share(rare, found, false):
    """Three shares -> the share of alarms that are true, a float."""
    true = rare * found
    return true / (true + (1 - rare) * false)


# %% [markdown]
# ## 8. On the command line
#
# The same without Python. The names of options are held against the program's own.

# %%
COMMANDS = """
refclip score new/ --method winclip+ --object cork --references parts/good/ --shots 4
refclip score new/ --method patchcore --references parts/good/ --shots 8 --option fraction=1 --option crowd=0
refclip score new/ --method patchcore --references parts/good/ --shots 8 --out results/ --scale 0,60
refclip score new/ --method winclip --object cork --json
"""
known = {name for option in cli_score.score.params for name in option.opts}
unknown = set(re.findall(r"--[a-z]+", COMMANDS)) - known
assert not unknown, f"refclip score has no {unknown}"
print(COMMANDS)

# %%
second = COMMANDS.split("\n")[2].split()
done = subprocess.run([sys.executable, "-m", *second], cwd=root, capture_output=True, text=True, check=False)
print(done.stdout)
print(done.stderr)
print("exit status", done.returncode, "(1: some images could not be used)")
printed = [float(line.split("\t")[1]) for line in done.stdout.splitlines()[1:]]
assert np.allclose(printed, detect(arrived[:3]).score, rtol=1e-4)  # six digits are printed; batches round otherwise

# %% [markdown]
# The folder was a temporary one; it goes.

# %%
shutil.rmtree(root, ignore_errors=True)

# %% [markdown]
# `--shots 8` takes the first eight by name: so the other good pictures are free to set the threshold, as above. Without
# it all of `good/` are references, and nothing is left to set one. The program prints scores and no verdicts: the
# threshold is yours. `--scale` fixes the colours, so that today's heat maps and tomorrow's can be compared.
#
# ## 9. What to write down before you deploy
#
# | | what | why |
# |---|---|---|
# | 1 | method, options, weights, version | another of them is another score |
# | 2 | *which* pictures are the references | "K = 4" does not say which (section 2) |
# | 3 | which n pictures set the threshold, when, in what light; none of them a reference | section 5 |
# | 4 | k, k / (n + 1), and the rate that holds with 95 % | the mean is not your case (section 4) |
# | 5 | how many damaged parts were found, of how many, of which kinds | no promise covers those (section 3) |
# | 6 | how often parts are damaged, and what share of alarms will be true | section 7 |
# | 7 | who counts alarms on good parts, how often, and at which count one stops | section 6 |
#
# ## What to remember
#
# - A false alarm rate can be promised from good pictures alone. A detection rate cannot.
# - k / (n + 1) is a mean; with few pictures your own rate may be twice that.
# - A picture that the detector has seen must not set its threshold.
# - The promise ends when the light changes. Count.
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. 39 good pictures, and the second largest score is the threshold. How many false alarms are expected? (section 3)
# 2. Is that your rate? (section 4)
# 3. You have thirty good pictures in all. What must not happen when you share them out? (section 5)
# 4. One part in a hundred is damaged, 90 % of those are found, 5 % of good parts raise an alarm. What share of alarms
#    is true? (section 7)
# 5. Nothing was changed in the program, and still the promise is broken. How do you notice? (section 6)
#
# <details>
# <summary>Answers</summary>
#
# 1. 2 / 40 = 5 % of good pictures.
# 2. It is the mean over all choices of 39 pictures. Yours may be more; it is above 10 % one time in eleven.
# 3. That one picture is a reference and sets the threshold, too.
# 4. 0.009 / (0.009 + 0.0495): 15 %.
# 5. By counting alarms on parts that are known to be good.
#
# </details>
#
# ### Further reading
#
# - Angelopoulos and Bates 2023, "Conformal prediction: a gentle introduction", sections 1 and 3: k / (n + 1), and what
#   it promises.
# - Vovk 2012, "Conditional validity of inductive conformal predictors": the Beta distribution of section 4.
# - Bates et al. 2023, "Testing for outliers with conformal p-values": the same for many new pictures at once.
# - Tibshirani et al. 2019, "Conformal prediction under covariate shift": what can be saved when the light changes.
# - Roth et al. 2022, "Towards total recall in industrial anomaly detection" (PatchCore), section 3.3: the score.
# - Here: `refclip/data.py`, `methods/patchcore.py`; what makes a threshold is in this notebook alone.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# ```
# hf download timm/vit_base_patch16_plus_clip_240.laion400m_e31 --local-dir plus240 \
#     open_clip_model.safetensors open_clip_config.json
# ```
#
# and `clip = refclip.load("plus240")` in the first cell; on the command line `--weights plus240/`. In place of `root`
# give your own folder, and read `good` and `damaged` by `data.load_all(data.find(folder).samples, problems.append)`. A
# better model finds more by the same rule. The false alarms that the rule promises stay the same, and so do the ways to
# break it.
