"""Synthetic defects on a flawless picture, to teach a small CLIP what damage looks like.

`draw` picks a kind, draws it somewhere on the thing, and reports where the picture has visibly changed. Left out on
purpose, for they are the kinds a benchmark asks about unseen: threads and hairs, scorch marks, melting and warping, and
a patch turned in place or printed twice.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recipe import defects_areas as areas
from recipe import defects_lines as lines
from recipe import defects_lying as lying
from recipe import defects_structure as structure
from recipe.defect_tools import Damaged, Rng, Scene, blur, dilate, pick, three

__all__ = ["DEFECTS", "WEIGHTS", "WORDS", "Damage", "Scene", "draw"]


class Damage(NamedTuple):
    """A damaged picture."""

    image: np.ndarray  # [s, s, 3] float32, 0..1
    mask: np.ndarray  # [s, s] bool: where it differs visibly from the flawless one
    kind: str


DEFECTS: dict[str, Callable[[Rng, Scene], Damaged]] = {
    "scratch": lines.scratch,
    "scuff": lines.scuff,
    "crack": lines.crack,
    "cut": lines.cut,
    "scar": lines.scar,
    "crease": lines.crease,
    "pen": lines.pen,
    "stripe": lines.stripe,
    "gap": structure.gap,
    "stain": areas.stain,
    "dent": lying.dent,
    "bump": lying.bump,
    "discoloration": areas.discoloration,
    "rust": areas.rust,
    "contamination": lying.contamination,
    "specks": lying.specks,
    "splash": lying.splash,
    "drop": lying.drop,
    "smudge": areas.smudge,
    "wear": areas.wear,
    "peel": areas.peel,
    "blotch": areas.blotch,
    "scale": areas.scale,
    "texture": areas.texture,
    "hole": structure.hole,
    "pinholes": structure.pinholes,
    "missing": structure.missing,
    "patch": structure.patch,
    "misplaced": structure.misplaced,
    "mirrored": structure.mirrored,
    "shifted": structure.shifted,
    "wrong colour": structure.wrong_colour,
    "missing pattern": structure.missing_pattern,
    "foreign": lying.foreign,
}

# How often; 1 unless named. The broad families teach most, the narrow or synthetic-looking ones least.
_OFTEN = {
    "scratch": 3,
    "crack": 2.5,
    "cut": 1.5,
    "hole": 1.5,
    "stain": 1.5,
    "splash": 1.5,
    "missing": 2,
    "contamination": 1.5,
    "dent": 1.5,
    "texture": 1.5,
}
_SELDOM = {"mirrored": 0.3, "shifted": 0.4, "patch": 0.4, "misplaced": 0.5, "scar": 0.7, "blotch": 0.6, "gap": 0.4,
           "missing pattern": 0.5}  # fmt: skip
WEIGHTS: dict[str, float] = {kind: {**_OFTEN, **_SELDOM}.get(kind, 1.0) for kind in DEFECTS}

# For captions: "a scratched bottle", "a bottle with a scratch".
WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "scratch": (("scratched", "a scratch"), ("scratched", "scratches"), ("marred", "a scrape")),
    "scuff": (("scuffed", "scuff marks"), ("scraped", "a scraped area"), ("abraded", "many fine scratches")),
    "crack": (("cracked", "a crack"), ("fractured", "a fracture"), ("split", "cracks")),
    "cut": (("cut", "a cut"), ("slit", "a slit"), ("torn", "a tear")),
    "scar": (("scarred", "a scar"), ("defaced", "a strip of something else"), ("marked", "a mark")),
    "crease": (("creased", "a crease"), ("folded", "a fold"), ("wrinkled", "a wrinkle")),
    "pen": (("scribbled", "a pen mark"), ("marked", "an ink mark"), ("defaced", "a scribble")),
    "stripe": (("misprinted", "a print error"), ("streaked", "a stripe"), ("striped", "a colour band")),
    "gap": (("broken", "a gap"), ("interrupted", "a broken line"), ("incomplete", "a break")),
    "stain": (("stained", "a stain"), ("soiled", "a spot"), ("dirty", "a dirty patch")),
    "dent": (("dented", "a dent"), ("deformed", "a dent"), ("indented", "an indentation")),
    "bump": (("blistered", "a blister"), ("bumpy", "a bump"), ("swollen", "bubbles")),
    "discoloration": (("discolored", "a discoloration"), ("faded", "a faded area"), ("off-colour", "a colour flaw")),
    "rust": (("rusty", "rust"), ("corroded", "corrosion"), ("mouldy", "mould")),
    "contamination": (("contaminated", "contamination"), ("dirty", "dirt"), ("contaminated", "a foreign substance")),
    "specks": (("specked", "specks"), ("dusty", "dust"), ("contaminated", "particles")),
    "splash": (("paint-stained", "a paint splash"), ("smeared", "a smear of paint"), ("splashed", "spilled paint")),
    "drop": (("wet", "a drop of liquid"), ("oily", "an oil spot"), ("spotted", "drops")),
    "smudge": (("smudged", "a smudge"), ("smeared", "a smear"), ("greasy", "glue residue")),
    "wear": (("worn", "a worn spot"), ("rubbed", "wear"), ("abraded", "an abrasion")),
    "peel": (("peeling", "a peeled area"), ("flaking", "flaking paint"), ("chipped", "a missing coat")),
    "blotch": (("blotchy", "a blotch"), ("noisy", "a rough patch"), ("rough", "a rough spot")),
    "scale": (("scaled", "rolled-in scale"), ("flecked", "flecks"), ("uneven", "an uneven patch")),
    "texture": (("damaged", "an abnormal texture"), ("anomalous", "an anomaly"), ("abnormal", "an abnormal area")),
    "hole": (("punctured", "a hole"), ("perforated", "a hole"), ("torn", "a puncture")),
    "pinholes": (("pitted", "pits"), ("porous", "pinholes"), ("pitted", "small holes")),
    "missing": (("broken", "a missing part"), ("chipped", "a chip"), ("incomplete", "a broken edge")),
    "patch": (("defective", "a patch"), ("flawed", "a wrong patch"), ("damaged", "a defect")),
    "misplaced": (("misassembled", "a misplaced part"), ("disordered", "a part out of place"), ("faulty", "a fault")),
    "mirrored": (("misassembled", "a reversed part"), ("flawed", "a flipped part"), ("defective", "a flaw")),
    "shifted": (("misaligned", "a shifted part"), ("misaligned", "a misaligned strip"), ("faulty", "an offset")),
    "wrong colour": (("miscoloured", "a part of the wrong colour"), ("misprinted", "a colour error"),
                     ("discoloured", "a wrong colour")),
    "missing pattern": (("incomplete", "a missing detail"), ("blank", "a blank spot"),
                        ("misprinted", "a missing print")),
    "foreign": (("contaminated", "a foreign object"), ("contaminated", "an object on it"), ("littered", "debris")),
}  # fmt: skip

VISIBLE = 6 / 255  # less is not seen in one pixel
FAINTEST = 14 / 255  # the mean change within a mask that a careful person finds
SHUFFLED = {"patch", "misplaced", "mirrored", "shifted"}  # texture for texture: its own variation is not enough
OPPONENT = np.array([[1 / 3, 1, 0.5], [1 / 3, -1, 0.5], [1 / 3, 0, -1]], np.float32)  # grey, red-green, yellow-blue
LEAST, MOST = 0.003, 0.20  # of the picture, or of the thing if it is smaller
SMALLEST = 0.0008  # of the picture, however small the thing: 12 pixels of 120 x 120


def _changed(scene: Scene, damaged: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The damage confined to where it was meant [s, s, 3], where it shows [s, s], and the change there [n]."""
    s = strength.shape[0]
    meant = dilate(strength > 0.02, max(1, round(s / 60)))
    image = np.where(three(meant) > 0, damaged, scene.image)
    change = np.abs(image - scene.image)
    most = np.maximum(np.maximum(change[..., 0], change[..., 1]), change[..., 2])
    mask = (blur(most, 0.75 * s / 120) > VISIBLE) & meant
    return image, mask, most[mask]


def _stands_out(scene: Scene, image: np.ndarray, mask: np.ndarray, need: float) -> bool:
    """Whether a person would find it: a change of tone or colour above that of the texture, or of the texture's grain.

    On grass a grey scratch is one blade more. What counts is the change after a slight blur, against how much the
    picture itself varies at that size nearby; or that there is far more or far less fine detail than there was.
    """
    s = mask.shape[0]
    unit, margin = s / 120, s // 10
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    # Rounded to eights, so that few different blurs are needed.
    top, left = max(0, rows[0] - margin) // 8 * 8, max(0, cols[0] - margin) // 8 * 8
    near = slice(top, min(s, -(-(rows[-1] + margin) // 8) * 8)), slice(left, min(s, -(-(cols[-1] + margin) // 8) * 8))
    before, after = scene.image[near] @ OPPONENT, image[near] @ OPPONENT
    where = mask[near].ravel().astype(np.float32)
    where /= where.sum()
    smooth, solid = blur(before, 1.5 * unit), scene.inside[near] > 0.5
    coarse, solid = smooth[::2, ::2], solid[::2, ::2]
    busy = np.abs(coarse - blur(coarse, 2.5 * unit)).reshape(-1, 3)  # [n, 3]
    busy = busy if solid.all() or not solid.any() else busy[solid.ravel()]
    change = where @ np.abs(blur(after, 1.5 * unit) - smooth).reshape(-1, 3)  # [3]
    if (change > need * np.median(busy, 0) + np.array([0.5, 4, 4]) / 255).any():
        return True
    fine = [x[..., 0] - blur(x[..., 0], 1.2 * unit) for x in (before, after)]
    was, now = (where @ (x * x).ravel() + (3 / 255) ** 2 for x in fine)
    return max(was / now, now / was) > 2.2


def draw(rng: Rng, scene: Scene, kind: str | None = None) -> Damage | None:
    """A defect of some kind (or of this kind) that shows, lies on the thing and leaves most of it whole; or None."""
    solid = scene.inside > 0.5
    whole = solid.sum()
    for _ in range(6):
        name = kind or pick(rng, WEIGHTS)
        image, mask, change = _changed(scene, *DEFECTS[name](rng, scene))
        area = mask.sum()
        if not max(LEAST * whole, SMALLEST * mask.size) <= area <= MOST * whole:
            continue
        if change.mean() < FAINTEST or (mask & solid).sum() < 0.6 * area:
            continue
        if _stands_out(scene, image, mask, 2.8 if name in SHUFFLED else 1.6):
            return Damage(image, mask, name)
    return None
