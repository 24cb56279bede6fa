"""Claims of AnomalyCLIP and Dual-Image about attention, views, and other images of the set.

What the expectations rest on stands in `claims_list`.
"""

from __future__ import annotations

from benchmarks.claims_verdict import SUPPORTED, UNRESOLVED, Claim, of
from benchmarks.claims_winclip import WINCLIP

IMAGE, PIXEL, PRO = "image_auroc", "pixel_auroc", "pixel_aupro"
YES, OPEN = SUPPORTED, UNRESOLVED

VV, QK, QK_BESIDE, QQ, KK = (of("anoclip", views=1, attention=a) for a in ("v-v", None, "q-k", "q-q", "k-k"))
DUAL, DUAL_ALONE = of("dual-image", references=1), of("dual-image", references=0)
DUAL_2, DUAL_4 = of("dual-image", references=2), of("dual-image", references=4)
PLUS, PLUS_ALONE = of("dual-image+", references=1), of("dual-image+", references=0)

ATTENTION = (
    Claim(
        "vv-qk", "Patch tokens of a v-v path beat those of the tower as it is.", "AnomalyCLIP", "table 4",
        VV, (QK,), {PIXEL: (68.4, 46.8), PRO: (47.4, 15.4)},
        {PIXEL: YES, PRO: YES},
        "The earlier refclip-mini showed it on drawn and on photographed defects, by 0.15 to 0.33 of pixel AUROC.",
    ),
    Claim(
        "vv-qk-beside", "It is the attention: v-v beats q-k in a path built alike.", "AnomalyCLIP", "figure 3",
        VV, (QK_BESIDE,), {},
        {PIXEL: YES, PRO: YES},
        "Without its MLP the path under q-k still mixes all places; v-v keeps to its own.",
    ),
    Claim(
        "qq-qk", "Patch tokens of a q-q path beat those of the tower as it is.", "AnomalyCLIP", "figure 3",
        QQ, (QK,), {},
        {PIXEL: YES, PRO: YES},
        "As v-v, by less: 0.06 to 0.19 on drawn defects with the earlier refclip-mini.",
    ),
    Claim(
        "kk-qk", "Patch tokens of a k-k path beat those of the tower as it is.", "AnomalyCLIP", "figure 3",
        KK, (QK,), {},
        {PIXEL: YES, PRO: YES},
        "As q-q.",
    ),
    Claim(
        "vv-qq", "v-v is the best choice: it beats q-q.", "AnomalyCLIP", "figure 6",
        VV, (QQ,), {},
        {PIXEL: YES, PRO: YES},
        "The paper calls the two alike in maps; the earlier refclip-mini had v-v ahead, by 0.01 and 0.13 on drawings.",
    ),
    Claim(
        "vv-kk", "v-v is the best choice: it beats k-k.", "AnomalyCLIP", "figure 6",
        VV, (KK,), {},
        {PIXEL: YES, PRO: YES},
        "With the earlier refclip-mini k-k was level on photographs, and 0.06 to 0.12 behind on drawn defects.",
    ),
    Claim(
        "vv-maskclip", "v-v in all blocks beats the last block's values (MaskCLIP).", "Dual-Image",
        "table 1, and WinCLIP's table 4",
        VV, (of("maskclip"),), {PIXEL: (90.6, 63.7), PRO: (77.8, 40.5)},
        {PIXEL: YES, PRO: YES},
        "One block of values cannot undo what five blocks of q-k attention have mixed.",
    ),
    Claim(
        "views", "The mean over 22 views beats one view in the image score.", "Dual-Image", "tables 1 and 3",
        of("anoclip", views=22), (VV,), {IMAGE: (92.5, 91.6)},
        {IMAGE: YES},
        "A mean over views takes noise away, and things were turned and mirrored in training too.",
    ),
)  # fmt: skip

SETS = (
    Claim(
        "dual-anoclip", "Dual-Image's map beats AnoCLIP's.", "Dual-Image", "table 1",
        DUAL, (VV,), {PIXEL: (92.6, 90.6), PRO: (82.6, 77.8)},
        {PIXEL: YES, PRO: YES},
        "The other picture shows what the thing looks like, and two damaged pictures seldom share a defect in kind.",
    ),
    Claim(
        "dual-reference", "Dual-Image with a random other image beats language alone.", "Dual-Image", "table 3",
        DUAL, (DUAL_ALONE,), {IMAGE: (93.1, 91.6), PIXEL: (92.6, 85.3), PRO: (82.6, 71.8)},
        {IMAGE: OPEN, PIXEL: YES, PRO: YES},
        "As above; the image score takes a maximum, which a rare good patch may hold as well as a defect.",
    ),
    Claim(
        "dual-adapted", "With adaptation Dual-Image beats itself without.", "Dual-Image", "table 3",
        PLUS, (DUAL,), {IMAGE: (93.2, 93.1), PIXEL: (92.8, 92.6), PRO: (84.0, 82.6)},
        {IMAGE: OPEN, PIXEL: OPEN, PRO: OPEN},
        "The paper's gain is a fifth of a point in the first two; two small steps move a map beside A^V hardly.",
    ),
    Claim(
        "dual-adapted-alone", "With adaptation language alone beats itself without.", "Dual-Image", "table 3",
        PLUS_ALONE, (DUAL_ALONE,), {IMAGE: (92.1, 91.6), PIXEL: (88.7, 85.3), PRO: (80.1, 71.8)},
        {IMAGE: OPEN, PIXEL: YES, PRO: YES},
        "Where language stands alone it has the more to gain, and pseudo-anomalies resemble the toy's defects; the "
        "class token is not adapted.",
    ),
    Claim(
        "dual-references-2", "Two other images beat one.", "Dual-Image", "figure 5 a",
        DUAL_2, (DUAL,), {},
        {IMAGE: OPEN, PIXEL: YES, PRO: YES},
        "A patch that lacks a like in one picture may have one in two; their defects seldom excuse the image's own.",
    ),
    Claim(
        "dual-references-4", "Four other images beat two.", "Dual-Image", "figure 5 a",
        DUAL_4, (DUAL_2,), {},
        {IMAGE: OPEN, PIXEL: YES, PRO: YES},
        "As above, by less: with four there is more often the same kind of defect among them.",
    ),
    Claim(
        "dual-references-less", "Doubling them once more gains less: two lie above the mean of one and four.",
        "Dual-Image", "figure 5 a",
        DUAL_2, (DUAL, DUAL_4), {},
        {IMAGE: OPEN, PIXEL: YES, PRO: OPEN},
        "As with WinCLIP+, but each number draws its own images, which adds spread.",
    ),
    Claim(
        "musc", "The unlabeled set beats language: MuSc against WinCLIP.", "Dual-Image", "table 2",
        of("musc"), (WINCLIP,), {IMAGE: (97.8, 91.2), PIXEL: (97.3, 85.1)},
        {IMAGE: OPEN, PIXEL: YES, PRO: YES},
        "It works as long as a defect is rarer than good patches, which holds even with 24 of 34 pictures damaged; but "
        "surfaces have rare good patches, which a maximum takes for defects.",
    ),
)  # fmt: skip
