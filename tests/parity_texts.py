"""Texts that the golden files and the tests share."""

TEXTS = [
    "a photo of a flawless hazelnut",
    "damaged",
    "",
    "a close-up photo of the metal nut with defect for inspection",
]
