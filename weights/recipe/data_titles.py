"""A name for a piece of clip art, from its title, its file name and its keywords.

Titles are of any language, and some are those of the collection, not of the picture. So: the title where it is plain
English; else the first words of the file name; else a keyword that says what the thing is; else what kind of thing it
is ("bird"); else "object".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from recipe import names

_COLLECTION = re.compile(r"clip ?art|various|connectors|\bsvg\b|submission|sibmission|collection|example", re.I)
_COLOURS = names.word_set(
    "red orange yellow green blue purple pink brown black white gray grey beige tan",
)
_LEADING = names.word_set(
    "a an the my another simple cartoon contour generic stylized funny crazy happy angry bored basic large color",
    "colour cute little mad wild double fancy dual plain and with in on of one from under for or",
)
_TRAILING = names.word_set(
    "and with in on of one two three five by from under for or the a all to at illustration clothing cartoon icon",
    "simple form style color colour outline flat symbol shape drawn sketch profile rectangular modern upright scroll",
    "open curved square straight col piccolo landscape",
)
# English words, yet alone they do not say what these pictures show.
_NOT_ALONE = names.word_set(
    "general ours liberty reunion mobile video bloom march tote shape object objects clips lens lam note notes",
    "natural fall picnic island neon rpm racked sleeping straw foul tower glass five wooden drinking fifties lightly",
    "gold magnifying submarine formula sailing chemical old small soft frying half",
)
# Begins of file names whose words mislead: a fish called giraffe, a pump called donkey.
RENAMED = {
    "giraffe_cichlid": "fish", "yellow_gourami": "yellow fish", "nodding_donkey": "oil pump", "orca": "whale",
    "blacksmith_anvil": "anvil", "simple_teddy": "teddy bear", "stylized_teddy": "teddy bear", "dodge_neon": "car",
    "straw_tote": "bag", "fifties_jukebox": "jukebox", "black_and_white_bishop": "chess bishops",
    "black_and_white_pawns": "chess pawns", "sprint_cell": "mobile phone", "blue_stamper": "rubber stamp",
    "nail_puller": "pliers", "wooden_mallot": "wooden mallet", "cog": "gear", "blazer": "car", "autos": "cars",
    "beagle_copper": "dog", "black_lab": "dog", "dall_sheep": "sheep", "simple_five": "daffodil",
    "racked": "server", "plane_in_the_sky": "airplane", "the_mad_little_ship": "ship in a bottle",
    "drinking_glass": "glass of juice", "butterfly_from_star": "butterfly", "ice_cream_cone": "ice cream cone",
    "casco_con": "headset", "maracas": "maracas", "envelop": "envelope", "camcorder": "camcorder",
    "dartboard": "dartboard", "double_helix": "dna", "cd": "optical disk", "ferro_da_stiro": "clothes iron",
    "magnificator": "magnifying glass", "mazzo_di_fiori": "bouquet of flowers", "lightbulb": "light bulb",
    "bulb": "light bulb", "saku_robot": "robot", "colori": "colored pencils", "erlenmeyer": "flask",
    "croissant": "croissant", "burrito": "burrito", "fondue": "fondue", "lasagna": "lasagna",
    "perogies": "dumplings", "cayenne": "hot pepper", "habanero": "hot pepper",
    "island_palm": "palm tree on an island", "meatgrinder": "meat grinder", "kiddy_train": "toy train",
    "abc_blocks": "toy blocks", "bejewelled_crown": "crown", "simple_crown": "crown", "rondelle": "orange slice",
    "puntine": "pushpins", "note_with_pin": "note with pin", "note_with_paperclip": "note with paperclip",
    "teiera": "teapot", "ch_teau": "castle", "eiffel_tower": "tower", "flower-pot": "baby bottle",
    "clips_": "paper clips", "binoculars": "binoculars", "fall_coloured_leaf": "leaves", "zielony_kubek": "mug",
    "scolapasta": "pot", "pancakes": "pancakes", "school_hallway": "hallway", "video_lcd": "monitor",
    "lcd": "monitor", "schermo": "monitor", "laptop": "laptop", "flan": "custard", "scotch": "adhesive tape",
    "paperclip": "paperclip", "toyota": "car", "bmw": "car", "chemical_science": "flask", "office_lamp": "lamp",
    "slate-apple": "slate and apple", "sunshine": "sun", "aircraft": "airplane", "pen_pencil": "pen and pencil",
    "uccello": "bird", "jonathon_s_duck": "duck", "the_moon": "moon", "hub": "hub",
}  # fmt: skip
# Most of the files in another language are in Italian, by one author; some are in French.
TRANSLATIONS = {
    "acquila": "eagle", "aquila": "eagle", "aglio": "garlic", "antilope": "antelope", "arbre": "tree",
    "barattolo": "jar", "binocolo": "binoculars", "borsa": "bag", "bottone": "button", "bottoni": "button",
    "bullone": "bolt", "biscotto": "biscuit", "biscotti": "biscuit", "bussola": "compass", "calamita": "magnet",
    "calcolatrice": "calculator", "camicia": "shirt", "canguro": "kangaroo", "capitello": "column",
    "carta": "paper", "cartella": "folder", "casa": "house", "cassa": "cash register", "castagna": "chestnut",
    "cavalletta": "grasshopper", "cavallo": "horse", "cestino": "wastebasket", "cesto": "basket", "chiave": "key",
    "chalet": "chalet", "cigni": "swans", "cigno": "swan", "clessidra": "hourglass", "coccinella": "ladybug",
    "coccinelle": "ladybug", "coccinellona": "ladybug", "coniglio": "rabbit", "couronne": "crown",
    "dino": "dinosaur", "dinosauri": "dinosaurs", "dinosauro": "dinosaur", "elefante": "elephant",
    "engrenagem": "gear", "fabbrica": "factory", "farfalla": "butterfly", "flamand": "flamingo", "flan": "flan",
    "forbici": "scissors", "formichina": "ant", "formicona": "ant", "fuoco": "fire", "gabbiano": "gull",
    "gallo": "rooster", "gateau": "cake", "gattina": "cat", "gatto": "cat", "gauffre": "waffle",
    "gelato": "ice cream", "glace": "ice cream", "gomitolo": "yarn", "gufo": "owl", "gumnut": "nut", "kubek": "mug",
    "lampada": "lamp", "lana": "wool", "lente": "magnifying glass", "leone": "lion", "lettera": "envelope",
    "libellula": "dragonfly", "libellule": "dragonfly", "libro": "book", "livella": "spirit level",
    "lucchetto": "padlock", "lucertola": "lizard", "lucertolona": "lizard", "lucertolone": "lizard",
    "lumaca": "snail", "mattone": "brick", "microscopio": "microscope", "mondo": "globe", "moschito": "mosquito",
    "nocciola": "hazelnut", "noce": "walnut", "orso": "bear", "pacco": "wrapped gift", "pallone": "balloon",
    "pannocchia": "corn", "pasteque": "watermelon", "pansement": "bandage", "pattino": "ice skate",
    "pecora": "sheep", "peperoncino": "hot pepper", "pera": "pear", "pesca": "peach", "pescetto": "fish",
    "pillole": "pill", "pillola": "pill", "pinguino": "penguin", "pinzatrice": "stapler", "pollo": "chicken",
    "poltrona": "armchair", "pomodori": "tomatoes", "porcinet": "pig", "prugna": "plum", "prune": "plum",
    "pudim": "custard", "puntine": "pushpins", "ragnetto": "spider", "ragno": "spider", "ramarro": "lizard",
    "rana": "frog", "ravanello": "radish", "rondelle": "slice", "sangue": "blood", "schermo": "screen",
    "secchio": "bucket", "sedia": "chair", "siringa": "syringe", "stampante": "printer", "stapler": "stapler",
    "stappler": "stapler", "sughero": "cork", "tacchino": "turkey", "tavolo": "table", "tazza": "cup",
    "teiera": "teapot", "tigre": "tiger", "topo": "mouse", "torta": "cake", "trattore": "tractor",
    "uccello": "bird", "vacca": "cow", "valigie": "suitcase", "viti": "screws", "vavuum": "vacuum",
    "vtt": "bicycle", "zanzara": "mosquito", "zucca": "pumpkin", "baloon": "balloon", "cone": "ice cream cone",
    "brochette": "skewer", "teddybear": "teddy bear", "tophat": "top hat", "palmtree": "palm tree",
    "cacuts": "cactus", "handphone": "mobile phone", "laserprinter": "printer", "icecube": "ice cube",
    "champignon": "mushroom", "rubik": "puzzle cube", "funnyflower": "flower", "magnifing": "magnifying",
    "ruota": "gear", "utensile": "tool", "lcd": "monitor", "blowling": "bowling", "africandrum": "drum",
    "redcar": "red car", "pinkhome": "pink house", "sportcar": "sports car", "ombrelloni": "parasols",
    "xmas": "christmas tree", "gift": "wrapped gift", "home": "house", "paperbag": "paper bag",
    "mag": "magnifying glass", "envelop": "envelope", "bowsaw": "saw", "sledge": "sled",
}  # fmt: skip
# Kinds of things, the last resort before "object"; the more telling first.
_KINDS = {
    "dinosaur": "dinosaur", "bird": "bird", "insect": "insect", "bugs": "insect", "fish": "fish", "dog": "dog",
    "cat": "cat", "horse": "horse", "bear": "bear", "feline": "wild cat", "lizard": "lizard", "mammal": "animal",
    "animal": "animal", "dinosaurs": "dinosaur", "knot": "knot", "balloons": "balloon", "planet": "planet",
    "drum": "drum", "trumpet": "trumpet", "violin": "violin", "boat": "boat", "bicycle": "bicycle", "car": "car",
    "truck": "truck", "bus": "bus", "plane": "airplane", "fruit": "fruit", "vegetable": "vegetable",
    "dessert": "dessert", "beverage": "drink", "juice": "juice", "flower": "flower", "tree": "tree", "hat": "hat",
    "house": "house", "furniture": "furniture", "building": "building", "book": "book", "paper": "paper",
    "toy": "toy", "food": "food", "tool": "tool", "tools": "tool", "vehicle": "vehicle", "transport": "vehicle",
    "plant": "plant", "instrument": "musical instrument", "computer": "computer", "clothing": "clothing",
}  # fmt: skip


def translated(text: str) -> str:
    """The words of a text with those of the table in English."""
    return " ".join(TRANSLATIONS.get(w, w) for w in names.words_of(text))


def plain(text: str, vocabulary: Collection[str], most: int = 3) -> str:
    """The text as a name of at most `most` English words, colours first; "" where it does not make one."""
    found = list(dict.fromkeys(names.words_of(text)))
    while found and (found[0] in _LEADING or len(found[0]) == 1):
        found = found[1:]
    while found and (found[-1] in _TRAILING or len(found[-1]) == 1):
        found = found[:-1]
    things = [w for w in found if w not in _COLOURS]
    if found and found[-1] in _COLOURS and things:
        found = [w for w in found if w in _COLOURS] + things
    known = all(w in vocabulary or names.singular(w) in vocabulary for w in found)
    if not things and found != ["orange"]:
        return ""
    good = 1 <= len(found) <= most and known and len(found[-1]) > 2 and not (len(found) == 1 and found[0] in _NOT_ALONE)
    return " ".join(found) if good else ""


def english_start(stem: str, vocabulary: Collection[str]) -> str:
    """The longest start of a file name, up to three words, that is a plain name: its author comes after it."""
    found = translated(stem.replace("_bw", " ")).split()
    return next((name for n in (4, 3, 2, 1) if (name := plain(" ".join(found[:n]), vocabulary))), "")


def name_of(title: str, stem: str, keywords: Sequence[str], vocabulary: Collection[str]) -> str:
    """The best name that title, file name and keywords give.

    Parameters
    ----------
    title, stem : str
    keywords : sequence of str
    vocabulary : set of str
        Lower-case English words.
    """
    renamed = next((name for start, name in RENAMED.items() if stem.startswith(start)), "")
    title = "" if _COLLECTION.search(title) else re.sub(r"\([^)]*\)", " ", title)
    stem = re.sub(r"(?i)clip ?art", " ", stem)
    kinds = (kind for word, kind in _KINDS.items() if word in keywords)
    return renamed or plain(translated(title), vocabulary) or english_start(stem, vocabulary) or next(kinds, "object")
