# %% [markdown] tags=["goals"]
# # 09 Metrics: what AUROC hides
#
# Papers on anomaly detection print four numbers: AUROC, AP (or AUPR), F1-max and PRO. Each answers another question,
# and each hides something. Here they are computed one pair, one threshold and one region at a time, and then broken
# on purpose.
#
# **After it you can**
#
# - say in one sentence what each of the four asks;
# - tell which of them a rare defect, a large defect, or a peek at the labels can fool;
# - draw the PRO curve region by region, and say what "up to 30 %" means;
# - spot two numbers with one name that must not be compared.
#
# **You need** nothing of the other notebooks. The pictures are from `refclip.toy`. The detectors are *drawn*, from the
# true masks: so it is known what each does well and badly, and no model stands between you and the metric. **Time:** an
# hour to work through; running all cells takes about a quarter of a minute on two cores.

# %% [markdown] tags=["shapes"]
# **The map:** scores `[n]` and labels `[n]` → AUROC, AP, F1-max; maps `[H, W]` and masks `[H, W]`, all pixels of a
# category together → the same, and PRO over the regions of the masks

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from refclip import figures, metrics, toy
from refclip.exercises import check, on

figures.use_style()
BLUE, ORANGE, GREEN, RED = (figures.COLOURS[c] for c in ("blue", "orange", "green", "vermilion"))

# %% [markdown]
# ## 1. AUROC: a question about pairs
#
# Take one damaged and one flawless picture, blindly. How often has the damaged one the higher score? Equal scores count
# half. That share is the area under the ROC curve (Mann and Whitney's statistic):
#
# $$\mathrm{AUROC} = \frac1{N P} \sum_{i\,\text{abnormal}} \sum_{j\,\text{normal}}
# \left( [s_i > s_j] + \tfrac12 [s_i = s_j] \right)$$

# %%
scores = np.array([0.10, 0.20, 0.20, 0.30, 0.45, 0.40, 0.55, 0.60, 0.80, 0.20])
labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])

# %% [markdown] tags=["predict"]
# **Predict,** before you run on: the AUROC of these ten scores, by counting pairs. And of the same scores squared? And
# after adding 5 to all?

# %% [markdown] tags=["exercise"]
# ### Exercise 1: AUROC by pairs
#
# *Difficulty 1 of 3, about 5 minutes.*


# %% tags=["exercise"]
def my_auroc(scores, labels):
    """[n] and [n] of 0 and 1 -> float."""
    raise NotImplementedError


# %% tags=["check"]
rng = np.random.default_rng(0)
many = rng.integers(0, 20, 300) / 20  # many equal scores
which = rng.integers(0, 2, 300)
check(
    "AUROC",
    my_auroc,
    on(scores, labels, gives=metrics.auroc(scores, labels)),
    on(many, which, gives=metrics.auroc(many, which)),
    on(np.zeros(4), np.array([0, 1, 0, 1]), gives=0.5),
    atol=1e-12,
)

# %% [markdown] tags=["hint"]
# `scores[labels == 1][:, None]` against `scores[labels == 0][None, :]` compares every pair at once.


# %% tags=["solution"]
def my_auroc(scores, labels):
    """[n] and [n] of 0 and 1 -> float."""
    abnormal, normal = scores[labels == 1][:, None], scores[labels == 0][None, :]
    return ((abnormal > normal) + 0.5 * (abnormal == normal)).mean()


# %%
for name, s in (("as they are", scores), ("squared", scores**2), ("plus 5", scores + 5)):
    print(f"{name:12} AUROC {metrics.auroc(s, labels):.2f}")

# %% [markdown]
# Any stretching that keeps the order keeps the AUROC. So it says nothing about *where to put a threshold*: scores of
# 0.501 against 0.499 can have a perfect AUROC.
#
# ### As a curve
#
# At each threshold, the share of abnormal scores found (true positive rate) over the share of normal ones called
# abnormal (false positive rate). The area is the share of pairs.


# %%
def rates(scores, truth):
    """(false positive rate, true positive rate, precision) at every distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    s, true = scores[order], np.cumsum(truth[order])
    last = np.append(s[1:] != s[:-1], True)  # equal scores are called together
    true, called = true[last], np.arange(1, len(s) + 1)[last]
    return (called - true) / (len(s) - truth.sum()), true / truth.sum(), true / called


# %% [markdown]
# ## 2. What a rare defect does
#
# Pixels of a defect are rare: 1 to 5 in a hundred. Below, normal and abnormal scores are bell curves one beside the
# other, and only the share of abnormal ones changes.

# %% [markdown] tags=["predict"]
# **Predict.** The AUROC is 0.98. One pixel in a hundred belongs to a defect. At the threshold that finds 80 % of the
# defect's pixels: of the pixels called abnormal, what share is?

# %% tags=["figure"]
rng = np.random.default_rng(1)
figure, (left, right) = figures.axes(1, 2, width=12, height=4.2)
for share, colour, style in ((0.5, BLUE, "-"), (0.1, ORANGE, "--"), (0.01, RED, "-.")):
    truth = np.arange(100_000) < share * 100_000
    s = rng.standard_normal(len(truth)) + 2.9 * truth
    fpr, tpr, precision = rates(s, truth)
    name = f"{share:.0%} abnormal"
    left.plot(fpr, tpr, style, color=colour, label=f"{name}: AUROC {metrics.auroc(s, truth):.3f}")
    right.plot(tpr, precision, style, color=colour, label=f"{name}: AP {metrics.average_precision(s, truth):.3f}")
    at = np.searchsorted(tpr, 0.8)
    right.plot(tpr[at], precision[at], "o", color=colour)
    print(f"{name}: where 80% is found, {precision[at]:.0%} of what is called abnormal is")
left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC: one curve for all three")
right.set(
    xlabel="recall (true positive rate)", ylabel="precision", title="precision and recall: three curves", ylim=(0, 1.02)
)
left.legend(loc="lower right")
right.legend(loc="lower left")
plt.show()

# %% [markdown]
# The ROC curve divides by the number of normal pixels, and there are so many that a rate of 2 % looks like nothing.
# It is twice as many false pixels as there are true ones. AP sees it: the mean precision over the recalls,
#
# $$\mathrm{AP} = \sum_t (R_t - R_{t-1})\, P_t$$

# %% [markdown] tags=["exercise"]
# ### Exercise 2: average precision
#
# *Difficulty 1 of 3, about 10 minutes.*
#
# From the highest score down: each time recall grows, add the growth times the precision there. As a sum of steps:
# joining the points by straight lines (`np.trapezoid`) gives another, too friendly number, and the checker will say
# so.


# %% tags=["exercise"]
def my_average_precision(scores, truth):
    """[n] and [n] -> float. `rates` above may be used."""
    return None


# %% tags=["check"]
check(
    "average precision",
    my_average_precision,
    on(scores, labels, gives=metrics.average_precision(scores, labels)),
    on(many, which, gives=metrics.average_precision(many, which)),
    atol=1e-12,
)

# %% [markdown] tags=["hint"]
# `np.diff(recall, prepend=0)` is by how much recall grows at each threshold.


# %% tags=["solution"]
def my_average_precision(scores, truth):
    """[n] and [n] -> float. `rates` above may be used."""
    _, recall, precision = rates(scores, truth)
    return (np.diff(recall, prepend=0) * precision).sum()


# %% [markdown]
# ## 3. F1-max, and the peek
#
# F1 is one number at one threshold, $2PR / (P + R)$. F1-max takes the best threshold, *found with the labels in
# sight*. It says how well the map could be cut if somebody told where. It is no threshold for tomorrow.

# %% [markdown] tags=["exercise"]
# ### Exercise 3: F1-max
#
# *Difficulty 1 of 3, about 10 minutes.*


# %% tags=["exercise"]
def my_f1_max(scores, truth):
    """[n] and [n] -> float, the best F1 over all thresholds "score >= t"."""
    raise NotImplementedError


# %% tags=["check"]
check(
    "F1-max",
    my_f1_max,
    on(scores, labels, gives=metrics.f1_max(scores, labels).value),
    on(many, which, gives=metrics.f1_max(many, which).value),
    on(np.zeros(4), np.array([0, 1, 0, 1]), gives=2 / 3),
    atol=1e-12,
)

# %% [markdown] tags=["hint"]
# `rates` gives recall and precision at every threshold. Where nothing abnormal is found, both are 0 and the formula is
# 0 / 0: F1 is also $2\,\text{found} / (\text{called} + \text{all abnormal})$, which has no such case.


# %% tags=["solution"]
def my_f1_max(scores, truth):
    """[n] and [n] -> float, the best F1 over all thresholds "score >= t"."""
    _, recall, precision = rates(scores, truth)
    found = recall * truth.sum()
    called = found / np.where(precision > 0, precision, 1)
    return np.where(precision > 0, 2 * found / (called + truth.sum()), 0).max()


# %% [markdown] tags=["predict"]
# **Predict.** Ten flawless and ten damaged pictures, scores that hardly tell them apart (AUROC 0.7). The threshold of
# F1-max is taken to ten and ten new pictures. Does F1 stay, fall a little, or fall a lot? And what is F1-max of a
# detector that knows *nothing*?

# %% tags=["figure"]
rng = np.random.default_rng(2)
here, there, blind = [], [], []
truth = np.arange(20) >= 10
for _ in range(500):
    old, new, nothing = (rng.standard_normal(20) + shift * truth for shift in (0.74, 0.74, 0.0))
    best = metrics.f1_max(old, truth)
    called = new >= best.threshold
    here.append(best.value)
    there.append(2 * (called & truth).sum() / (called.sum() + truth.sum()))
    blind.append(metrics.f1_max(nothing, truth).value)
figure, ax = figures.axes(width=8.5, height=3.8)
for i, (values, colour) in enumerate(((here, BLUE), (there, ORANGE), (blind, RED))):
    ax.boxplot(
        values,
        positions=[i],
        widths=0.5,
        patch_artist=True,
        boxprops={"facecolor": colour, "alpha": 0.6},
        medianprops={"color": "black"},
    )
ax.set_xticks(
    range(3),
    [
        "F1-max, threshold from\nthese pictures",
        "same threshold,\nnew pictures",
        "F1-max of a detector\nthat knows nothing",
    ],
)
ax.set(ylabel="F1 (500 draws)", ylim=(0, 1))
plt.show()
print(f"medians: {np.median(here):.2f}, {np.median(there):.2f}, {np.median(blind):.2f}")

# %% [markdown]
# A detector that knows nothing has an F1-max of 0.67 or more here, by calling everything abnormal. Read F1-max beside
# the share of abnormal ones, always. A threshold that holds tomorrow comes from normal pictures alone: 11, your own
# images.
#
# ## 4. Pixels: large defects vote more
#
# Pixel AUROC, AP and F1 count pixels. A stain of 2,000 pixels has as much to say as forty specks of 50, and the
# specks may be what stops the line. Here are pictures with defects, and two drawn detectors:
#
# - **blunt** sees the largest region of each picture very well, and of the others nothing;
# - **fair** sees every region, but not as clearly.

# %%
SIZE = 160
things = [toy.category(name, seed=5, train=1, good=3, each=2, size=SIZE) for name in ("cork", "biscuit")]
shots = [
    shot for thing in things for shot in thing.test if shot.defect in ("good", "contamination", "hole", "missing_part")
]
masks = [shot.mask for shot in shots]


def regions(mask):
    """[H, W] -> one mask for each of its regions, largest first; pixels that touch at a corner are together."""
    names, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return sorted((names == i for i in range(1, count + 1)), key=lambda r: -r.sum())


def noise(rng, sigma=3):
    """Smooth noise [H, W] of mean 0 and deviation 1."""
    x = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), sigma)
    return x / x.std()


def blunt(mask, rng):
    parts = regions(mask)
    return noise(rng) + (6.0 * ndimage.gaussian_filter(parts[0].astype(float), 2) if parts else 0)


def fair(mask, rng):
    lift = np.zeros(mask.shape)
    for part in regions(mask):
        lift = np.maximum(lift, ndimage.gaussian_filter(ndimage.binary_dilation(part, iterations=3).astype(float), 1.5))
    return noise(rng) + 2.2 * lift


DETECTORS = {"blunt": blunt, "fair": fair}
maps = {}
for name, detector in DETECTORS.items():
    rng = np.random.default_rng(7)
    maps[name] = [detector(mask, rng) for mask in masks]
counts = [len(regions(mask)) for mask in masks]
print(len(shots), "pictures,", sum(counts), "regions; the picture with most has", max(counts))

# %% tags=["figure"]
most = int(np.argmax(counts))
low, high = -2, 6
figure, three = figures.axes(1, 3, width=13, height=4.2)
figures.picture(three[0], shots[most].image, f"{shots[most].defect}: {counts[most]} regions")
figures.outline(three[0], masks[most], "sky")
for ax, (name, every) in zip(three[1:], maps.items(), strict=True):
    figures.heat_map(ax, every[most], name, scale="score", vmin=low, vmax=high)
    figures.outline(ax, masks[most], "sky")
plt.show()

# %% [markdown] tags=["predict"]
# **Predict.** Which of the two has the higher pixel AUROC, which the higher AP, which the higher F1-max? Which would
# you rather have over the conveyor belt?

# %% tags=["figure"]
measured = {name: metrics.pixel_metrics(every, masks) for name, every in maps.items()}
figure, (left, right) = figures.axes(1, 2, width=12, height=3.2)
for ax, (name, m) in zip((left, right), measured.items(), strict=True):
    figures.bars(ax, ["AUROC", "AP", "F1-max", "PRO"], [m.auroc, m.ap, m.f1.value, m.aupro])
    ax.set(title=name, xlim=(0, 1.15))
plt.show()

# %% [markdown]
# ## 5. PRO, region by region
#
# Per-region overlap asks of each region what share of it is found, and averages over regions, not pixels (Bergmann et
# al. 2020):
#
# $$\mathrm{PRO}(t) = \frac1R \sum_{r=1}^{R} \frac{\lvert \{\text{pixels of region } r \text{ with score} \ge t\}\rvert}
# {\lvert\text{region } r\rvert}$$
#
# Let us do that for the picture above, at the threshold at which 10 % of all normal pixels are called abnormal.

# %% tags=["figure"]
normal = {
    name: np.concatenate([m[~mask] for m, mask in zip(every, masks, strict=True)]) for name, every in maps.items()
}
figure, two = figures.axes(1, 2, width=11, height=5)
for ax, name in zip(two, DETECTORS, strict=True):
    threshold = np.quantile(normal[name], 0.9)
    called = maps[name][most] >= threshold
    figures.picture(ax, np.where(called, 150, 235).astype(np.uint8), "")
    shares = []
    for part in regions(masks[most]):
        share = (called & part).sum() / part.sum()
        shares.append(share)
        figures.outline(ax, part, "vermilion" if share < 0.5 else "blue")
        row, column = np.argwhere(part).mean(axis=0)
        ax.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=12, weight="bold")
    ax.set_title(
        f"{name}: PRO = mean of {len(shares)} = {np.mean(shares):.2f}\ndark: called abnormal; red: under half found",
        fontsize=12,
    )
plt.show()

# %% [markdown] tags=["exercise"]
# ### Exercise 4: PRO at one threshold
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# Over all pictures together. `regions` above gives the regions of a mask; a picture without a defect has none, and
# takes part in the false positive rate alone.


# %% tags=["exercise"]
def my_pro(maps, masks, threshold):
    """Lists of [H, W] -> (false positive rate, PRO) as an array [2]."""
    return None


# %% tags=["check"]
curve = {name: metrics.pro_curve(every, masks) for name, every in maps.items()}


def library_pro(name, i):
    """A corner of the library's curve: its threshold, and (fpr, pro)."""
    c = curve[name]
    return c.threshold[i], np.array([c.fpr[i], c.pro[i]])


middle = len(curve["fair"].fpr) // 2
check(
    "PRO",
    my_pro,
    *(
        on(maps[name], masks, library_pro(name, i)[0], gives=library_pro(name, i)[1])
        for name, i in (("blunt", 40), ("fair", middle))
    ),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Collect `(map[region] >= threshold).mean()` over every region of every mask, and take the mean of that list. The rate:
# normal pixels at or above the threshold, over all normal pixels, of all pictures together.


# %% tags=["solution"]
def my_pro(maps, masks, threshold):
    """Lists of [H, W] -> (false positive rate, PRO) as an array [2]."""
    shares = [(m[part] >= threshold).mean() for m, mask in zip(maps, masks, strict=True) for part in regions(mask)]
    normal = np.concatenate([m[~mask] for m, mask in zip(maps, masks, strict=True)])
    return np.array([(normal >= threshold).mean(), np.mean(shares)])


# %% [markdown]
# ### The curve, and where it ends
#
# PRO over the false positive rate, from the strictest threshold on. Thin lines are single regions; the thick one is
# their mean. Papers take the area up to a rate of 0.3 and divide by 0.3, so that the best is 1.

# %% tags=["figure"]
figure, two = figures.axes(1, 2, width=12, height=4.4)
for ax, name in zip(two, DETECTORS, strict=True):
    grid = np.linspace(0, 0.5, 120)
    thresholds = np.quantile(normal[name], 1 - grid)
    for m, mask in zip(maps[name], masks, strict=True):
        for part in regions(mask):
            ax.plot(grid, [(m[part] >= t).mean() for t in thresholds], color="0.7", linewidth=0.8)
    c = curve[name]
    ax.plot(c.fpr, c.pro, color=BLUE, linewidth=3)
    inside = np.linspace(0, 0.3, 200)
    ax.fill_between(inside, np.interp(inside, c.fpr, c.pro), color=BLUE, alpha=0.15)
    ax.axvline(0.3, color="black", linestyle=":")
    ax.set(
        xlim=(0, 0.5),
        ylim=(0, 1.02),
        xlabel="false positive rate",
        ylabel="share found (blue: mean of regions)",
        title=f"{name}: AUPRO {measured[name].aupro:.2f}",
    )
plt.show()

# %% [markdown]
# In the left figure some regions lie near the diagonal: they are found no better than by chance, and PRO says so. The
# pixel AUROC of *blunt* is carried by the large regions.
#
# ## 6. Two numbers with one name
#
# Published code computes AUPRO at 200 evenly spaced thresholds, keeps the points strictly below 0.3, and stretches
# what is left to 0..1. The exact curve has a threshold at every score. On ordinary maps they agree to the second
# digit. But where a few pixels score very high, nearly all of the 200 thresholds lie above everything else:

# %% [markdown] tags=["predict"]
# **Predict.** One normal pixel in one flawless picture gets a score of 1,000. How does the exact AUPRO change, and
# how the one of 200 thresholds?

# %%
spiked = [m.copy() for m in maps["fair"]]
flawless = next(i for i, mask in enumerate(masks) if not mask.any())
spiked[flawless][0, 0] = 1000.0
for name, every in (("fair", maps["fair"]), ("fair, with one wild pixel", spiked)):
    exact = metrics.aupro(every, masks)
    try:
        loop = f"{metrics.aupro(every, masks, thresholds=200):.3f}"
    except ValueError as error:
        loop = f"none ({str(error).split(';')[0]})"
    print(f"{name:26} exact {exact:.3f}   200 thresholds {loop}")

# %% [markdown] tags=["exercise"]
# ### Exercise 5: the limit is a choice
#
# *Difficulty 2 of 3, about 10 minutes.*
#
# 0.3 of all normal pixels called abnormal is a lot: on a flawless picture nearly a third would be painted red.
# Compute the area up to another limit from a curve's corners, divided by the limit. The curve is straight between
# corners.


# %% tags=["exercise"]
def my_area(fpr, pro, limit):
    """Corners [t] of the curve, rising -> float."""
    raise NotImplementedError


# %% tags=["check"]
check(
    "area up to a limit",
    my_area,
    *(
        on(curve[name].fpr, curve[name].pro, limit, gives=metrics.aupro(maps[name], masks, limit))
        for name in DETECTORS
        for limit in (0.3, 0.05, 1.0)
    ),
    atol=1e-9,
)

# %% [markdown] tags=["hint"]
# Keep the corners below the limit and add one at the limit itself, whose height `np.interp(limit, fpr, pro)` gives.
# (Where the curve rises straight up, several corners share a rate: that is no trouble below the limit.) Then
# `np.trapezoid`.


# %% tags=["solution"]
def my_area(fpr, pro, limit):
    """Corners [t] of the curve, rising -> float."""
    inside = fpr < limit
    x, y = np.append(fpr[inside], limit), np.append(pro[inside], np.interp(limit, fpr, pro))
    return np.trapezoid(y, x) / limit


# %% tags=["figure"]
limits = [0.01, 0.05, 0.1, 0.3, 1.0]
figure, ax = figures.axes(width=8, height=3.8)
for (name, every), marker in zip(maps.items(), "os", strict=True):
    ax.plot(range(len(limits)), [metrics.aupro(every, masks, limit) for limit in limits], marker + "-", label=name)
ax.set_xticks(range(len(limits)), limits)
ax.set(xlabel="limit of the false positive rate", ylabel="AUPRO", ylim=(0, 1))
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# The two change places: whoever tolerates few false alarms prefers *blunt*, whoever tolerates many prefers *fair*. So a
# limit belongs to every AUPRO that is printed, and 0.3 is a habit, no law.
#
# ## 7. How sure is a number?
#
# Twenty pictures are few. Draw the pictures anew, with replacement, within flawless and damaged, and compute again: the
# spread tells how far to trust the digits (`refclip.statistics.bootstrap` does this).

# %%
rng = np.random.default_rng(3)
truth = np.arange(20) >= 10
s = rng.standard_normal(20) + 1.4 * truth
draws = []
for _ in range(2000):
    pick = np.concatenate([rng.integers(0, 10, 10), rng.integers(10, 20, 10)])
    draws.append(metrics.auroc(s[pick], truth[pick]))
low, high = np.quantile(draws, [0.025, 0.975])
print(f"AUROC {metrics.auroc(s, truth):.2f} on 10 + 10 pictures; redrawn, 95% lie between {low:.2f} and {high:.2f}")

# %% [markdown]
# Two methods that differ by less than that have not been told apart by these pictures, whatever is printed in bold.
#
# ## What to remember
#
# | | asks | is fooled by |
# |---|---|---|
# | AUROC | how often is an abnormal one above a normal one? | rarity: 0.98 can mean two false pixels for a true one |
# | AP | how pure is what is found, over all recalls? | large regions; at chance it is the share of abnormal ones |
# | F1-max | how well could it be cut, by one who knows? | the peek: the threshold is from the test labels |
# | PRO | what share of each *region* is found? | limits, thresholds and connectivity that differ between programs |
#
# ### Can you now?
#
# Without scrolling up:
#
# 1. All scores are doubled. Which of the four numbers change? (section 1)
# 2. One pixel in a hundred is abnormal, and a map knows nothing. What are its AUROC and its AP? (section 2)
# 3. Why is an F1-max no promise? (section 3)
# 4. One region of 900 pixels is found whole, nine of 10 pixels are missed. What share of the pixels is found, and what
#    is PRO? (section 5)
# 5. Two papers print AUPRO. What do you ask before you compare? (section 6)
#
# <details>
# <summary>Answers</summary>
#
# 1. None: each asks for the order alone.
# 2. 0.5 and 0.01.
# 3. Its threshold was chosen with the test labels in sight.
# 4. 900 of 990, 0.91; one of ten, 0.1.
# 5. The limit, the thresholds, and which pixels touch.
#
# </details>
#
# ### Further reading
#
# - Fawcett 2006, "An introduction to ROC analysis"; Hanley and McNeil 1982, "The meaning and use of the area under a
#   receiver operating characteristic (ROC) curve": the area as a share of pairs, and its error.
# - Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves": why points of the one may not
#   be joined by straight lines.
# - Saito and Rehmsmeier 2015, "The precision-recall plot is more informative than the ROC plot when evaluating binary
#   classifiers on imbalanced datasets".
# - Bergmann et al. 2020, "Uninformed students", and 2021, "The MVTec anomaly detection dataset": PRO, and where it is
#   used.
# - Here: `refclip/metrics.py`, `statistics.py`.
#
# Next: [01 CLIP from scratch](01_clip_from_scratch.ipynb), if you came here first.

# %% [markdown] tags=["real-weights"]
# ## With real weights
#
# The metrics do not know where maps come from. With pretrained weights and a data set on disk (README: "Real weights"):
#
# ```python
# winclip = refclip.detector("winclip", refclip.load("plus240"), "hazelnut")
# pred = winclip(images)                                        # the test pictures of the category
# maps = [pred.on_original(i) for i in range(len(images))]      # at the size of the masks
# metrics.pixel_metrics(maps, masks)                            # AUROC, AP, F1-max, AUPRO up to 0.3
# metrics.image_metrics(pred.score, labels)
# ```
#
# Papers rank all pixels of a category together, and average over the categories. Resize maps to masks or masks to
# maps, but say which: thin defects vanish when masks shrink.
