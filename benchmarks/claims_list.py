"""The papers' claims, and what we expect of them on the toy benchmark with refclip-mini.

The expectations were written before any of it was run, from the papers and from what was known of an earlier
refclip-mini. They are not changed afterwards: a wrong expectation is a result. A change of mind is a new claim with a
new id.

What they rest on. refclip-mini was trained on pairs of the same thing, flawless and with a drawn defect, with captions
in the papers' own state words and templates; so its language knows drawn defects, better than CLIP's would. The earlier
one, of 14 million parameters, was measured twice, after 45 and after 69 minutes of training. Pixel AUROC, zero-shot:

    patch tokens of                q-k          q-q          k-k          v-v          windows
    photographs of hazelnuts       0.77, 0.63   0.90, 0.94   0.92, 0.95   0.92, 0.97   0.98, 0.96
    drawings of things unseen      0.46, 0.52   0.65, 0.59   0.61, 0.61   0.67, 0.72   0.86, 0.84

Its image AUROC on such drawings was 0.72 and 0.75. The toy has 8 things, each with 10 good test pictures and 4 of each
of 6 kinds of defect, most of them clear, of 1 to 8 percent of the picture; training knew 7 of the 11 kinds. We take it
that five seeds resolve a mean difference of about one point.
"""

from __future__ import annotations

from benchmarks.claims_learned import LEARNED
from benchmarks.claims_others import ATTENTION, SETS
from benchmarks.claims_winclip import PROMPTS, REFERENCES, WINDOWS

# What a task-specific state word says of each kind of defect of the toy benchmark, as MVTec AD and VisA name theirs.
WORDS = {
    "scratch": "{} with a scratch",
    "crack": "cracked {}",
    "hole": "{} with a hole",
    "stain": "stained {}",
    "dent": "dented {}",
    "missing_part": "{} with a missing part",
    "contamination": "contaminated {}",
    "thread": "{} with a thread on it",
    "burn": "burnt {}",
    "melt": "melted {}",
    "misaligned": "misaligned {}",
}

GROUPS = {
    "References": REFERENCES,
    "Prompts": PROMPTS,
    "Windows": WINDOWS,
    "Attention and views": ATTENTION,
    "Other images of the set": SETS,
    "Learned": LEARNED,
}
CLAIMS = tuple(claim for group in GROUPS.values() for claim in group)
