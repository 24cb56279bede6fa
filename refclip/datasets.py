"""The data sets of the papers as facts: where to get each, under which licence, how it lies on disk, what it measures.

Nothing is downloaded. Counts are of the test images and are those of table 6 of the AnomalyCLIP paper, whose 17 data
sets these are; the addresses are those that its authors' repository gives. A licence is what the authors of the data
state; "not stated" means that we have not seen them state one, which is no permission: ask them.
"""

from __future__ import annotations

from typing import NamedTuple


class DataSet(NamedTuple):
    """A published data set.

    `metrics` says what can be measured: without normal images there is nothing to tell anomalous ones from, without
    masks there are no pixels to judge.
    """

    title: str
    layout: str  # how it lies on disk: a key of `refclip.folders.LAYOUTS`
    categories: tuple[str, ...]  # by the names of their folders, or, where there is one, by what AnomalyCLIP calls it
    normal: int  # images in the test set, table 6
    anomalous: int
    masks: bool
    where: str
    licence: str
    note: str = ""  # what to know or to do before it can be read

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of "image" and "pixel" those that exist."""
        return ("image",) * bool(self.normal and self.anomalous) + ("pixel",) * self.masks


_MVTEC = (
    "bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile",
    "toothbrush", "transistor", "wood", "zipper",
)  # fmt: skip
_VISA = (
    "candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2", "pcb1", "pcb2", "pcb3",
    "pcb4", "pipe_fryum",
)  # fmt: skip
_MPDD = ("bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes")
_DTD = (
    "Blotchy_099", "Fibrous_183", "Marbled_078", "Matted_069", "Mesh_114", "Perforated_037", "Stratified_154",
    "Woven_001", "Woven_068", "Woven_104", "Woven_125", "Woven_127",
)  # fmt: skip
_NC = "CC BY-NC-SA 4.0"
_UNSTATED = "not stated"
_KAGGLE = "https://www.kaggle.com/datasets"
_POLYPS = "https://figshare.com/articles/figure/Polyp_DataSet_zip/21221579"
_PAIRED = "images/ and masks/ side by side"

DATASETS: dict[str, DataSet] = {
    "mvtec": DataSet(
        "MVTec AD", "mvtec", _MVTEC, 467, 1258, True, "https://www.mvtec.com/company/research/datasets/mvtec-ad", _NC
    ),
    "visa": DataSet(
        "VisA", "visa", _VISA, 962, 1200, True, "https://github.com/amazon-science/spot-diff", "CC BY 4.0",
        "as it is unpacked, with split_csv/1cls.csv; what its prepare_data.py makes of it is read as mvtec",
    ),
    "mpdd": DataSet("MPDD", "mvtec", _MPDD, 176, 282, True, "https://github.com/stepanje/MPDD", _UNSTATED),
    "btad": DataSet(
        "BTAD", "mvtec", ("01", "02", "03"), 451, 290, True, "http://avires.dimi.uniud.it/papers/btad/btad.zip",
        _UNSTATED, "anomalib's documentation says CC BY-NC-SA 4.0",
    ),
    "sdd": DataSet(
        "KolektorSDD", "sdd", ("electrical commutators",), 181, 74, True, "https://www.vicos.si/resources/kolektorsdd/",
        _NC, "each image is two samples (appendix B); which of them the paper tested on is not published, here all are",
    ),
    "dagm": DataSet(
        "DAGM 2007", "dagm", tuple(f"Class{i}" for i in range(1, 11)), 6996, 1054, True,
        f"{_KAGGLE}/mhskjelvareid/dagm-2007-competition-dataset-optical-inspection", _UNSTATED,
        "masks are ellipses around the defects",
    ),
    "dtd": DataSet(
        "DTD-Synthetic", "mvtec", _DTD, 357, 947, True,
        "https://drive.google.com/drive/folders/10OyPzvI3H6llCZBxKxFlKWt1Pw1tkMK1", _UNSTATED,
    ),
    "isic": DataSet(
        "ISIC 2016", "pairs", ("skin",), 0, 379, True,
        "https://isic-challenge-data.s3.amazonaws.com/2016/ISBI2016_ISIC_Part1_Test_Data.zip", "CC0 1.0",
        "unpack ISBI2016_ISIC_Part1_Test_Data and ..._Test_GroundTruth side by side",
    ),
    "clinicdb": DataSet("CVC-ClinicDB", "pairs", ("colon",), 0, 612, True, _POLYPS, _UNSTATED, _PAIRED),
    "colondb": DataSet("CVC-ColonDB", "pairs", ("colon",), 0, 380, True, _POLYPS, _UNSTATED, _PAIRED),
    "kvasir": DataSet(
        "Kvasir-SEG", "pairs", ("colon",), 0, 1000, True, _POLYPS, "research and education only",
        f"{_PAIRED}; the masks of its own site are JPEG, and grey at their edges: what is above 127 counts",
    ),
    "endo": DataSet(
        "EndoTect 2020", "pairs", ("colon",), 0, 200, True,
        "https://drive.google.com/file/d/1LNpLkv5ZlEUzr_RPN5rdOHaqk0SkZa3m/view", _UNSTATED, _PAIRED,
    ),
    "tn3k": DataSet(
        "TN3K", "pairs", ("thyroid",), 0, 614, True,
        "https://github.com/haifangong/TRFE-Net-for-thyroid-nodule-segmentation", _UNSTATED,
        "test-image/ and test-mask/ side by side",
    ),
    "headct": DataSet(
        "HeadCT", "folder", ("brain",), 100, 100, False, f"{_KAGGLE}/felipekitamura/head-ct-hemorrhage", _UNSTATED,
        "sort the images by its labels.csv into good/ and hemorrhage/",
    ),
    "brainmri": DataSet(
        "BrainMRI", "folder", ("brain",), 98, 155, False,
        f"{_KAGGLE}/navoneel/brain-mri-images-for-brain-tumor-detection", _UNSTATED,
        "the folder that holds yes/ and no/",
    ),
    "br35h": DataSet(
        "Br35H", "folder", ("brain",), 1500, 1500, False, f"{_KAGGLE}/ahmedhamada0/brain-tumor-detection", _UNSTATED,
        "the folder that holds yes/ and no/; take pred/, whose images have no label, out of it",
    ),
    "covid": DataSet(
        "COVID-19", "folder", ("chest",), 1341, 219, False, f"{_KAGGLE}/tawsifurrahman/covid19-radiography-database",
        _UNSTATED, "its first version, and of that COVID/ and NORMAL/ only; the masks of later ones are of the lungs",
    ),
}  # fmt: skip
