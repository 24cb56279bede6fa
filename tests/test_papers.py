"""The papers' numbers: structure, ranges, means against their categories, and values typed anew from the papers."""

import re
from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest

from refclip import metrics, papers
from refclip.datasets import DATASETS
from refclip.methods import METHODS
from refclip.papers import contradictions, left_out, references, reported, unequal_means

ALL = papers._all()
METRICS = {f"image_{f}" for f in metrics.ImageMetrics._fields} | {f"pixel_{f}" for f in metrics.PixelMetrics._fields}


# --- structure --------------------------------------------------------------------------------------------------------


def test_every_number_has_its_place():
    assert len(ALL) > 2000
    for _, r in ALL:
        assert r.paper in references(), r
        assert r.table.removeprefix("supplement ").isdigit(), r
        assert r.metric in METRICS, r
        assert r.dataset in DATASETS, r
        assert r.category is None or r.category in DATASETS[r.dataset].categories, r
        assert 0 <= r.value <= 100, r
        assert r.spread is None or 0 <= r.spread <= 10, r  # the largest printed is 4.0
        assert r.shots in (0, 1, 2, 4, 8, None), r
        assert r.shots is None or r.paper != "CLIP-ADA", r  # it trains on all normal images of the target


def test_metrics_that_a_data_set_cannot_have_are_not_reported():
    for _, r in ALL:
        assert r.metric.split("_")[0] in DATASETS[r.dataset].metrics, r


def test_no_number_stands_twice_in_one_row():
    """A row is what a table prints in one line: one value for each data set, category and metric."""
    seen = set()
    for method, r in ALL:
        place = (method, r.paper, r.table, r.method, r.setting, r.dataset, r.category, r.shots, r.metric)
        assert place not in seen, place
        seen.add(place)


def test_tables_with_categories_have_all_of_them():
    """But for WinCLIP's table 7, which prints three of VisA's."""
    found = defaultdict(set)
    for method, r in ALL:
        found[method, r.paper, r.table, r.method, r.setting, r.dataset, r.metric].add(r.category)
    for place, categories in found.items():
        if place[1:3] != ("WinCLIP", "7") and categories != {None}:
            assert categories == {None, *DATASETS[place[5]].categories}, place


def test_every_method_of_the_registry_has_numbers():
    assert set(METHODS) <= set(papers.methods())


def test_numbers_are_as_printed():
    """One digit after the point, or none; a spread beside it or not; "-" where the paper has "-"."""
    for table in papers._data()["tables"]:
        for row in table["rows"]:
            for printed in row["values"].split():
                assert re.fullmatch(r"-|\d{1,3}(\.\d)?(±\d\.\d)?", printed), (table["table"], row["printed"], printed)


# --- means ------------------------------------------------------------------------------------------------------------


def rows_with_categories():
    rows = defaultdict(dict)
    for method, r in ALL:
        rows[method, r.paper, r.table, r.method, r.setting, r.dataset, r.metric][r.category] = Decimal(str(r.value))
    return {
        place: row for place, row in rows.items() if len(row) > 1 and place[1:3] != ("WinCLIP", "7")
    }  # table 7 has three categories of twelve


def test_means_are_those_of_the_categories():
    """The mean of the categories, rounded either way to the paper's one digit, is the printed one, or is a finding."""
    rows, wrong = rows_with_categories(), set()
    assert len(rows) == 6 * 12 + 1 + 2 + 3 + 12  # AnomalyCLIP's 12 tables of 6 methods; CLIP-ADA's 1, 2, 3, 4
    for place, row in rows.items():
        mean = sum(v for c, v in row.items() if c is not None) / (len(row) - 1)
        if abs(mean - row[None]) > Decimal("0.05"):  # half of the last digit printed
            wrong.add((place[0], place[1], place[2], place[5], place[6]))
    listed = {
        (u.method, u.printed.paper, u.printed.table, u.printed.dataset, u.printed.metric) for u in unequal_means()
    }
    assert wrong == listed


def test_notes_on_means_say_whether_rounding_can_explain_them():
    """Each category may be off by 0.05 and the mean by another 0.05; beyond that no rounding explains it."""
    for u in unequal_means():
        mean = sum(Decimal(str(r.value)) for r in u.categories) / len(u.categories)
        beyond = abs(mean - Decimal(str(u.printed.value))) > Decimal("0.1")
        assert beyond == ("no rounding" in u.note), u
        lowest, highest = mean - Decimal("0.05"), mean + Decimal("0.05")
        digit = Decimal("0.1")
        possible = lowest.quantize(digit, ROUND_FLOOR), highest.quantize(digit, ROUND_CEILING)
        assert beyond == (not possible[0] <= Decimal(str(u.printed.value)) <= possible[1]), u


# --- contradictions ---------------------------------------------------------------------------------------------------


def test_contradictions_are_all_that_there_are():
    values = defaultdict(set)
    for method, r in ALL:
        if not r.setting:
            values[method, r.dataset, r.category, r.shots, r.metric].add(r.value)
    differ = {place for place, several in values.items() if len(several) > 1}
    listed = [(c.method, c.values[0].dataset, None, c.values[0].shots, c.values[0].metric) for c in contradictions()]
    assert len(listed) == len(set(listed))
    assert set(listed) == differ


def test_contradicted_numbers_are_marked_and_all_stand():
    for c in contradictions():
        assert len({r.value for r in c.values}) > 1, c
        for r in c.values:
            assert f"contradicted: {c.note}" in r.note, r
    marked = sum("contradicted" in r.note for _, r in ALL)
    assert marked == sum(len(c.values) for c in contradictions())


@pytest.mark.parametrize(
    ("method", "dataset", "metric", "values"),
    [
        # Dual-Image's citations of WinCLIP beside WinCLIP's own
        ("winclip", "mvtec", "image_f1", {("WinCLIP", 92.9), ("Dual-Image", 91.9)}),
        ("winclip", "visa", "pixel_aupro", {("WinCLIP", 56.8), ("AnomalyCLIP", 56.8), ("Dual-Image", 59.8)}),
        ("winclip", "mvtec", "image_auroc",
         {("WinCLIP", 91.8), ("AnomalyCLIP", 91.8), ("Dual-Image", 91.8), ("Dual-Image", 91.2)}),
        ("vand", "mvtec", "image_auroc", {("AnomalyCLIP", 86.1), ("Dual-Image", 87.6)}),
        ("vand", "mvtec", "pixel_auroc", {("AnomalyCLIP", 87.6), ("Dual-Image", 86.1)}),
        # one name, two baselines
        ("clip", "mvtec", "pixel_auroc", {("AnomalyCLIP", 38.4), ("Dual-Image", 19.5)}),
    ],
)  # fmt: skip
def test_known_contradictions(method, dataset, metric, values):
    (found,) = (
        c for c in contradictions() if (c.method, c.values[0].dataset, c.values[0].metric) == (method, dataset, metric)
    )
    assert {(r.paper, r.value) for r in found.values} == values


# --- values typed from the papers -------------------------------------------------------------------------------------

# method, data set, shots, category, paper, table, metric -> value, spread
TYPED = [
    ("winclip", "mvtec", 0, None, "WinCLIP", "1", "image_ap", 96.5, 0.0),
    ("winclip", "visa", 0, None, "WinCLIP", "4", "pixel_f1", 14.8, 0.0),
    ("winclip+", "mvtec", 1, None, "WinCLIP", "1", "image_auroc", 93.1, 2.0),
    ("winclip+", "visa", 4, None, "WinCLIP", "4", "pixel_auroc", 97.2, 0.2),
    ("winclip+", "visa", 2, None, "WinCLIP", "1", "image_f1", 83.0, 1.4),
    ("winclip+", "mvtec", 8, None, "WinCLIP", "5", "image_auroc", 96.3, None),
    ("winclip", "visa", 0, "pcb2", "WinCLIP", "7", "image_auroc", 51.2, None),
    ("maskclip", "mvtec", 0, None, "WinCLIP", "4", "pixel_aupro", 40.5, 0.0),
    ("patchcore", "visa", 4, None, "WinCLIP", "4", "pixel_f1", 43.9, 3.1),
    ("patchcore", "sdd", None, None, "AnomalyCLIP", "12", "image_auroc", 64.9, None),
    ("clip-ac", "visa", 0, None, "WinCLIP", "1", "image_f1", 74.4, 0.0),
    ("clip", "btad", 0, None, "AnomalyCLIP", "1", "image_auroc", 34.5, None),
    ("clip-ac", "kvasir", 0, None, "AnomalyCLIP", "2", "pixel_aupro", 16.8, None),
    ("winclip", "colondb", 0, None, "AnomalyCLIP", "2", "pixel_auroc", 70.3, None),
    ("vand", "covid", 0, None, "AnomalyCLIP", "2", "image_auroc", 15.5, None),
    ("coop", "visa", 0, "pcb3", "AnomalyCLIP", "20", "pixel_aupro", 0.0, None),
    ("anomalyclip", "dtd", 0, None, "AnomalyCLIP", "1", "pixel_auroc", 97.9, None),
    ("anomalyclip", "mvtec", 0, "transistor", "AnomalyCLIP", "15", "pixel_auroc", 71.0, None),
    ("anomalyclip", "visa", 0, "pipe_fryum", "AnomalyCLIP", "22", "image_ap", 96.3, None),
    ("anomalyclip", "mpdd", 0, "metal_plate", "AnomalyCLIP", "26", "image_ap", 94.7, None),
    ("winclip", "visa", 0, "candle", "AnomalyCLIP", "21", "image_auroc", 95.4, None),
    ("winclip", "mvtec", 0, "wood", "AnomalyCLIP", "17", "image_auroc", 99.4, None),
    ("clip-ada", "mvtec", None, None, "CLIP-ADA", "2", "pixel_ap", 55.6, None),
    ("clip-ada", "mvtec", None, "screw", "CLIP-ADA", "2", "pixel_ap", 9.2, None),
    ("clip-ada", "mvtec", None, "tile", "CLIP-ADA", "1", "image_auroc", 100.0, None),
    ("clip-ada", "visa", None, "candle", "CLIP-ADA", "3", "pixel_auroc", 91.5, None),
    ("clip-ada", "visa", None, None, "CLIP-ADA", "3", "image_auroc", 89.3, None),
    ("dual-image", "visa", 0, None, "Dual-Image", "1", "pixel_auroc", 94.8, None),
    ("dual-image+", "mvtec", 0, None, "Dual-Image", "3", "image_auroc", 93.2, 0.8),
    ("dual-image+", "visa", 0, None, "Dual-Image", "1", "image_ap", 84.7, None),
    ("anovl", "visa", 0, None, "Dual-Image", "1", "pixel_f1", 17.4, None),
    ("musc-2", "visa", 0, None, "Dual-Image", "1", "pixel_aupro", 63.2, None),
    ("musc", "mvtec", 0, None, "Dual-Image", "2", "pixel_auroc", 97.3, None),
]  # fmt: skip


@pytest.mark.parametrize("typed", TYPED, ids=lambda t: f"{t[0]}-{t[1]}-{t[5]}-{t[6]}")
def test_values_typed_from_the_papers(typed):
    method, dataset, shots, category, paper, table, metric, value, spread = typed
    found = [
        r for r in reported(method, dataset, shots, category) if (r.paper, r.table, r.metric) == (paper, table, metric)
    ]
    assert [(r.value, r.spread) for r in found] == [(value, spread)]


# method, data set, shots, table, setting, metric -> value
ABLATIONS = [
    ("winclip", "mvtec", 0, "8", "aggregation='arithmetic'", "pixel_auroc", 81.5),
    ("winclip", "mvtec", 0, "3", "crops=1", "image_auroc", 90.8),
    ("clip-ac", "mvtec", 0, "3", "one_class=True", "image_auroc", 34.2),
    ("winclip+", "mvtec", 4, "6", "memories='patch+mid'", "pixel_auroc", 96.3),
    ("anomalyclip", "visa", 0, "7", "without object-agnostic prompts", "image_auroc", 68.1),
    ("anomalyclip", "mvtec", 0, "11", "local loss: Dice alone", "pixel_auroc", 87.2),
    ("anomalyclip", "btad", 0, "13", '"blemished" for "damaged"', "image_ap", 67.1),
    ("anomalyclip", "covid", 0, "3", "trained on ColonDB and Endo", "image_auroc", 70.9),
    ("clip-ada", "mvtec", None, "4", "0 refinements, prompt fixed", "pixel_ap", 54.2),
    ("dual-image", "mvtec", 0, "3", "references=0: language alone", "pixel_aupro", 71.8),
    ("dual-image+", "mvtec", 0, "supplement 2", "lambda4=2", "image_auroc", 91.9),
]


@pytest.mark.parametrize("typed", ABLATIONS, ids=lambda t: f"{t[0]}-{t[3]}-{t[4]}")
def test_ablations_typed_from_the_papers(typed):
    method, dataset, shots, table, setting, metric, value = typed
    rows = reported(method, dataset, shots, ablations=True)
    assert [r.value for r in rows if (r.table, r.setting, r.metric) == (table, setting, metric)] == [value]
    assert all(r.setting for r in rows)
    assert not any(r.setting for r in reported(method, dataset, shots))


# --- the functions ----------------------------------------------------------------------------------------------------


def test_what_no_paper_prints_is_empty():
    assert reported("winclip", "mvtec", shots=3) == ()
    assert reported("winclip", "toy") == ()
    assert reported("coop", "dtd") == ()  # printed "-"


def test_the_mean_is_not_a_category():
    assert {r.category for r in reported("anomalyclip", "visa")} == {None}
    assert {r.category for r in reported("anomalyclip", "visa", category="pcb1")} == {"pcb1"}


def test_what_is_left_out_is_said():
    assert any("max M^W" in line for line in left_out())
    assert all(line.startswith(tuple(references())) for line in left_out())
