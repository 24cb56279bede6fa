"""WinCLIP's claims: references, prompts, windows. What the expectations rest on stands in `claims_list`."""

from __future__ import annotations

from benchmarks.claims_verdict import SUPPORTED, UNRESOLVED, Claim, of

IMAGE, PIXEL, PRO = "image_auroc", "pixel_auroc", "pixel_aupro"
YES, OPEN = SUPPORTED, UNRESOLVED

WINCLIP = of("winclip")
ENSEMBLE = of("winclip", features="patches")  # for image scores alone: the same class token, without the windows' cost
ONE, TWO, FOUR = (of("winclip+", k) for k in (1, 2, 4))
CLIP_AC = of("clip-ac")

REFERENCES = (
    Claim(
        "few-shot-1", "One normal reference beats none: WinCLIP+ against WinCLIP.", "WinCLIP", "tables 1 and 4",
        ONE, (WINCLIP,), {IMAGE: (93.1, 91.8), PIXEL: (95.2, 85.1), PRO: (87.1, 64.6)},
        {IMAGE: YES, PIXEL: YES, PRO: YES},
        "Good pictures of a toy category are alike but for pose, light and grain, so that what no patch of one of them "
        "resembles is mostly a defect.",
    ),
    Claim(
        "few-shot-4", "Four normal references beat none: WinCLIP+ against WinCLIP.", "WinCLIP", "tables 1 and 4",
        FOUR, (WINCLIP,), {IMAGE: (95.2, 91.8), PIXEL: (96.2, 85.1), PRO: (89.0, 64.6)},
        {IMAGE: YES, PIXEL: YES, PRO: YES},
        "As with one, and four cover more of the poses and of the pieces that surfaces are laid from.",
    ),
    Claim(
        "references-2", "Two references beat one.", "WinCLIP", "tables 1 and 4",
        TWO, (ONE,), {IMAGE: (94.4, 93.1), PIXEL: (96.0, 95.2), PRO: (88.4, 87.1)},
        {IMAGE: YES, PIXEL: YES, PRO: YES},
        "The two hold the one, so its luck cancels; a second picture shows colours and pieces that the first lacks.",
    ),
    Claim(
        "references-4", "Four references beat two.", "WinCLIP", "tables 1 and 4",
        FOUR, (TWO,), {IMAGE: (95.2, 94.4), PIXEL: (96.2, 96.0), PRO: (89.0, 88.4)},
        {IMAGE: OPEN, PIXEL: YES, PRO: YES},
        "The map gains a little on every seed; the image score, half of it language, by less than five seeds resolve.",
    ),
    Claim(
        "references-less", "Doubling the references once more gains less: two lie above the mean of one and four.",
        "WinCLIP", "tables 1 and 4",
        TWO, (ONE, FOUR), {IMAGE: (94.4, 93.1, 95.2), PIXEL: (96.0, 95.2, 96.2), PRO: (88.4, 87.1, 89.0)},
        {IMAGE: OPEN, PIXEL: YES, PRO: OPEN},
        "The nearest of n patches comes closer ever more slowly; half of a difference of gains is small, though.",
    ),
    Claim(
        "memories", "Three memories beat that of patch tokens alone, with one reference.", "WinCLIP", "table 6",
        ONE, (of("winclip+", 1, memories="patch"),), {PIXEL: (95.2, 94.5)},
        {PIXEL: YES, PRO: YES},
        "Windows are embedded as whole pictures are, which is all that refclip-mini was trained for.",
    ),
    Claim(
        "fusion", "Language and reference beat the reference alone in the image score.", "WinCLIP", "table 5",
        ONE, (of("winclip+", 1, image_fusion="references"),), {},
        {IMAGE: YES},
        "The largest distance of any patch is easily that of a rare but good piece of a surface; the class token is "
        "not misled by it.",
    ),
    Claim(
        "patchcore-1", "WinCLIP+ beats PatchCore, each with the same reference.", "WinCLIP", "tables 1 and 4",
        ONE, (of("patchcore", 1, fraction=1.0),), {IMAGE: (93.1, 83.4), PIXEL: (95.2, 92.0), PRO: (87.1, 79.7)},
        {IMAGE: YES, PIXEL: OPEN, PRO: OPEN},
        "WinCLIP+ has language besides, which decides the image score; PatchCore, here on the same tower and with all "
        "patches in memory, has the middle layers, which see detail.",
    ),
    Claim(
        "patchcore-4", "WinCLIP+ beats PatchCore, each with the same four references.", "WinCLIP", "tables 1 and 4",
        FOUR, (of("patchcore", 4, fraction=1.0),), {IMAGE: (95.2, 88.8), PIXEL: (96.2, 94.3), PRO: (89.0, 84.3)},
        {IMAGE: YES, PIXEL: OPEN, PRO: OPEN},
        "As with one; PatchCore gains more from references than WinCLIP+, half of which is language.",
    ),
)  # fmt: skip

PROMPTS = (
    Claim(
        "two-class", "\"Normal\" against \"anomalous\" beats \"normal\" alone.", "WinCLIP", "table 3",
        CLIP_AC, (of("clip-ac", one_class=True),), {IMAGE: (74.0, 34.2)},
        {IMAGE: YES},
        "The distance to \"normal [o]\" is above all one to the object's name, and says little of its state.",
    ),
    Claim(
        "ensemble", "The compositional ensemble beats CLIP-AC's two prompts.", "WinCLIP", "table 3",
        ENSEMBLE, (CLIP_AC,), {IMAGE: (90.8, 74.0)},
        {IMAGE: YES},
        "The mean of many wordings is steadier, though refclip-mini has met CLIP-AC's words in training, where CLIP "
        "hardly has: less than the paper's gain.",
    ),
    Claim(
        "ensemble-imagenet", "It beats the same two prompts in ImageNet's 80 templates.", "WinCLIP", "tables 1 and 3",
        ENSEMBLE, (of("clip-ac", templates="imagenet"),), {IMAGE: (90.8, 74.1)},
        {IMAGE: YES},
        "Templates alone add no word for damage; but these too were met in training, so the gain is small.",
    ),
    Claim(
        "templates", "States in templates beat the states alone.", "WinCLIP", "table 3",
        ENSEMBLE, (of("winclip", features="patches", templates=("{}",)),), {IMAGE: (90.8, 89.8)},
        {IMAGE: OPEN},
        "One point in the paper; refclip-mini was trained on bare states as well, so templates have little to mend.",
    ),
    Claim(
        "multi-crop", "The mean over ten crops beats the image alone.", "WinCLIP", "table 3",
        of("winclip", features="patches", crops=10), (ENSEMBLE,), {IMAGE: (91.8, 90.8)},
        {IMAGE: YES},
        "A mean over views takes noise away, and a tower this small is noisy; crops lose little of a toy picture.",
    ),
    Claim(
        "state-words", "State words for the defects that an object may have beat general ones.", "WinCLIP", "table 7",
        of("winclip", features="patches", words=True), (ENSEMBLE,), {IMAGE: (78.9, 78.1)},
        {IMAGE: YES},
        "Captions in training name the kind of many a defect; 7 of the 11 words are of kinds that were drawn there.",
        "visa",
    ),
)  # fmt: skip

WINDOWS = (
    Claim(
        "windows-patches", "Windows beat patch tokens.", "WinCLIP", "table 8",
        WINCLIP, (ENSEMBLE,), {PIXEL: (85.1, 22.4), PRO: (64.6, 2.3)},
        {PIXEL: YES, PRO: YES},
        "A window's class token was trained to agree with text, a patch token never; the earlier refclip-mini gave "
        "0.96 against 0.63 on photographs of hazelnuts.",
    ),
    Claim(
        "windows-tiles", "Windows beat tiles of the image, each enlarged (3 x 3 of both).", "WinCLIP", "table 8",
        of("winclip", scales=(3,), few=1), (of("winclip", scales=(3,), features="tiles", few=1),),
        {PIXEL: (85.1, 77.9), PRO: (64.6, 57.5)},
        {PIXEL: YES, PRO: YES},
        "Tiles of 24 pixels enlarged fivefold are blurred as no picture in training was, and windows keep their place.",
    ),
    Claim(
        "windows-maskclip", "WinCLIP's map beats MaskCLIP's.", "WinCLIP", "table 4",
        WINCLIP, (of("maskclip"),), {PIXEL: (85.1, 63.7), PRO: (64.6, 40.5)},
        {PIXEL: YES, PRO: YES},
        "MaskCLIP changes the last block alone, and what enters that has been mixed by five others.",
    ),
    Claim(
        "image-scale", "The score of the whole image helps the map.", "WinCLIP", "table 8",
        WINCLIP, (of("winclip", image_scale=False),), {PIXEL: (85.1, 82.0), PRO: (64.6, 63.0)},
        {PIXEL: OPEN, PRO: OPEN},
        "It tells good pictures' pixels from damaged ones, but 24 of 34 toy pictures are damaged, and most normal "
        "pixels lie in those.",
    ),
    Claim(
        "mid-scale", "Small and mid windows beat small ones.", "WinCLIP", "table 8",
        WINCLIP, (of("winclip", scales=(2,)),), {PIXEL: (85.1, 84.0), PRO: (64.6, 61.6)},
        {PIXEL: YES, PRO: YES},
        "A small window shows 16 of 120 pixels, often too little to tell a defect from a pattern.",
    ),
    Claim(
        "small-scale", "Small and mid windows beat mid ones.", "WinCLIP", "table 8",
        WINCLIP, (of("winclip", scales=(3,)),), {PIXEL: (85.1, 84.7), PRO: (64.6, 63.6)},
        {PIXEL: OPEN, PRO: OPEN},
        "Small windows place a defect better and are noisier; the paper's gain is the smallest of its table.",
    ),
    Claim(
        "harmonic", "Harmonic means over windows and scales beat arithmetic ones.", "WinCLIP", "table 8",
        WINCLIP, (of("winclip", aggregation="arithmetic"),), {PIXEL: (85.1, 81.5), PRO: (64.6, 60.5)},
        {PIXEL: YES, PRO: YES},
        "A patch counts as damaged only where no window over it says otherwise, which takes halos and false alarms "
        "away.",
    ),
)  # fmt: skip
