"""Every source's numbers side by side, none in another's place; all runs in one table; the Pareto front."""

from dataclasses import replace

import pytest

from analysis.experiments.desk import Point, differing_settings, runs_frame, scatter_points, select_rows
from analysis.experiments.grid import FROZEN, Cell
from analysis.experiments.papers import scale
from analysis.experiments.result import Result
from analysis.experiments.summary import Summary
from analysis.experiments.tables import (
    OURS,
    all_results,
    data_of,
    grid_names,
    own_number,
    printed,
    result_table,
    results_of_run,
)
from analysis.figures import results as figures
from analysis.figures.style import csv_text
from core import paths
from core.runs.status import TrainingLog
from core.runs.store import Store

BUNDLED = Store(paths.BUNDLED_RUNS, paths.BUNDLED_RUNS)


def measured(method="prefix", bleu=50.0, seed=0, stored=100, places=None, **changes):
    cell = Cell("e2e", method, seed=seed, settings=tuple(changes.items()))
    score = {"value": bleu, "n": 9, "signature": "s", "higher_is_better": True, "low": bleu - 1, "high": bleu + 1}
    places = places or {"table1": {"label": "Prefix-tuning", "x": None}}
    return Result(
        cell.id, cell, "mini", "abc", "done", places, {"BLEU": score}, (seed,), 9, stored=stored, command=f"run {cell.id}"
    )


@pytest.mark.parametrize("grid, data, label, source, metric, value", [
    ("table1", "e2e", "Prefix-tuning", "paper", "BLEU", "69.7"),
    ("table1", "e2e", "Prefix-tuning", "reimplementation", "NIST", "8.80"),
    ("table1", "webnlg", "Adapter, 3 %", "paper", "BLEU-unseen", "48.3"),
    ("table1", "webnlg", "Prefix-tuning", "class", "TER-unseen", "0.50"),
    ("table1", "dart", "Fine-tuning", "paper-large", "MoverScore", "0.51"),
    ("table2", "news", "Prefix-tuning, 0.1 %", "paper", "ROUGE-L", "35.05"),
    ("table3", "topics", "Prefix-tuning, within-news", "paper", "ROUGE-2", "16.87"),
    ("table4", "e2e", "Embedding-only, 20", "paper", "CIDEr", "1.85"),
])  # fmt: skip
def test_printed_numbers_are_as_printed_and_say_where(grid, data, label, source, metric, value):
    """Read by hand from the paper (arXiv 2101.00190v1), the re-implementation's report and the class project's slides."""
    (row,) = [row for row in result_table(grid, data, []).rows if (row.label, row.source) == (label, source)]
    number = row.numbers[metric]
    assert number.text == value and number.results == ()
    assert printed()["sources"][source]["detail"] in number.where and ("Table" in number.where or "slide" in number.where)


def test_ours_stand_in_rows_of_their_own_and_what_is_missing_has_its_command():
    results = [
        measured(seed=0, bleu=50),
        measured(seed=1, bleu=54),
        measured("finetune", 60, places={"table1": {"label": "Fine-tuning"}}),
    ]
    table = result_table("table1", "e2e", results)
    ours = {row.label: row for row in table.rows if row.source == OURS and row.numbers}
    assert set(ours) == {"Prefix-tuning", "Fine-tuning"} and {row.model for row in ours.values()} == {"mini"}
    number = ours["Prefix-tuning"].numbers["BLEU"]
    assert number.text == "52.0 ± 2.0" and len(number.results) == 2 and "2 seeds" in number.where
    assert (
        ours["Fine-tuning"].numbers["BLEU"].text == "60.0"
        and "95 % interval over rows 59.0 to 61.0" in ours["Fine-tuning"].numbers["BLEU"].where
    )
    missing = {row.label: row.command for row in table.rows if row.command and not row.numbers}
    assert missing["Top 2 layers"] == "python launch.py experiments table1 --only e2e-top_layers-s --data e2e=path/to/e2e"
    assert "Prefix-tuning" not in missing and "Frozen model" in missing
    wide = table.frame("BLEU")
    assert list(wide.columns) == [
        "method",
        "Paper (GPT-2-medium)",
        "Paper (GPT-2-large)",
        "Re-implementation (GPT-2-medium)",
        "Ours (mini)",
    ]
    assert wide.set_index("method").loc["Prefix-tuning"].tolist() == ["69.7", "70.3", "68.8", "52.0 ± 2.0"]
    assert len(table.frame()) == 9 + 2  # printed: five methods, two of them also of the larger model and of the re-implementation


def test_what_was_forgotten_is_a_column_where_it_was_measured():
    results = [replace(measured(seed=seed), forgetting={"frozen": 3.0, "on": 3.1 + seed / 10, "tokens": 64}) for seed in (0, 1)]
    table = result_table("table1", "e2e", [*results, measured("finetune", 60, places={"table1": {"label": "Fine-tuning"}})])
    ours = {row.label: row.numbers for row in table.rows if row.source == OURS and row.numbers}
    assert ours["Prefix-tuning"]["Forgetting"].text == "0.15 ± 0.05" and "Forgetting" not in ours["Fine-tuning"]
    assert "n = 64 tokens, mean" in ours["Prefix-tuning"]["Forgetting"].where
    assert "Forgetting ↓" in table.frame().columns and "Forgetting ↓" not in result_table("table1", "e2e", []).frame().columns
    assert scatter_points(results, "forgetting", "BLEU")[0].x == pytest.approx(0.15)


def test_other_weights_and_other_settings_are_not_averaged_together():
    results = [measured(), replace(measured(seed=1), fingerprint="other", backbone="larger"), measured(seed=2, length=3)]
    rows = [row for row in result_table("table1", "e2e", results).rows if row.source == OURS and row.numbers]
    assert len(rows) == 3 and sorted(row.model for row in rows) == ["larger", "mini", "mini"]


def test_every_view_has_a_table_and_a_figure_needs_points():
    results = all_results(BUNDLED.runs())
    for grid in grid_names():
        for data in data_of(grid, results):
            table = result_table(grid, data, results)
            assert table.rows and set(table.frame().columns) >= {"method", "source"}
    assert figures.curves(result_table("figure4", "e2e", []), "BLEU") is None
    points = [
        measured(places={"figure4": {"label": "Prefix-tuning", "x": length}}, bleu=40 + length, length=length)
        for length in (1, 5)
    ]
    (drawn,) = figures.curves(result_table("figure4", "e2e", points), "BLEU").data
    assert list(drawn.x) == [1, 5] and list(drawn.y) == [41, 45] and "Ours (mini)" in drawn.name
    assert drawn.error_y.array is None, "one seed has no standard error"
    more = [measured(places={"figure4": {"label": "Prefix-tuning", "x": 1}}, seed=seed, bleu=40 + 2 * seed) for seed in (0, 1)]
    (drawn,) = figures.curves(result_table("figure4", "e2e", more), "BLEU").data
    assert list(drawn.y) == [41] and list(drawn.error_y.array) == [pytest.approx(1.0)]
    assert [row.x for row in result_table("figure4", "e2e", points).rows if not row.numbers] == [
        x for x in scale("small").lengths if x not in (1, 5)
    ]


def test_the_scores_of_a_run_are_results_of_its_own_data():
    results = {one.id: one for run in BUNDLED.runs() for one in results_of_run(run)}
    assert results["run:e2e-prefix"].scores["BLEU"]["value"] == BUNDLED.get("e2e-prefix").scores["test"]["BLEU"]["value"]
    assert results["run:e2e-prefix"].cell.data == "e2e" and results["run:wikinews-prefix"].cell.data == "news"


def test_points_of_one_label_are_told_apart_by_their_table():
    again = measured(bleu=40, stored=100, preset="paper", places={"table4": {"label": "Prefix-tuning"}})
    points = scatter_points([measured(stored=100, bleu=50), again], "stored", "BLEU")
    assert [point.label for point in points] == ["Prefix-tuning (Table 1)", "Prefix-tuning (Table 4)"]


def test_the_front_has_the_lines_that_no_other_beats():
    frozen = measured(FROZEN, 10, stored=0, places={"table1": {"label": "Frozen"}})
    small, large = (
        measured(stored=100, bleu=50),
        measured("finetune", 60, stored=900, places={"table1": {"label": "Fine-tuning"}}),
    )
    worse = measured("lora", 40, stored=500, places={"table1": {"label": "LoRA"}})
    points = {point.label: point for point in scatter_points([frozen, small, large, worse], "stored", "BLEU")}
    assert {label for label, point in points.items() if point.best} == {"Frozen", "Prefix-tuning", "Fine-tuning"}
    assert (points["LoRA"].x, points["LoRA"].y) == (500, 40)
    assert scatter_points([small], "forgetting", "BLEU") == []
    drawn = figures.scatter(list(points.values()), "stored", "BLEU", "E2E")
    assert {trace.name: list(trace.x) for trace in drawn.data} == {
        "Pareto front": [100, 900], "virtual tokens": [100], "weights": [900, 500],
    }  # fmt: skip
    assert [note.text for note in drawn.layout.annotations] == ["Frozen: nothing stored"]  # a line across the logarithmic axis
    assert figures.scatter([], "stored", "BLEU", "E2E") is None


def test_lines_across_that_nearly_coincide_have_one_label():
    points = [Point(label, 0.0, y, FROZEN, (label,)) for label, y in (("low", 5), ("as it is", 16.7), ("reranked", 16.8))]
    drawn = figures.scatter([*points, Point("Prefix-tuning", 100.0, 34.0, "prefix", ("p",))], "stored", "BLEU", "Tables")
    labels = {note.text: note.y for note in drawn.layout.annotations}
    assert labels == {"reranked; as it is: nothing stored": 16.8, "low: nothing stored": 5}
    assert len(drawn.layout.shapes) == 3


def test_a_size_that_was_not_recorded_is_not_nothing_stored():
    unknown = measured(stored=0, places={"table1": {"label": "Unknown"}})
    in_context = measured("in_context", 30, stored=0, places={"table1": {"label": "In-context"}})
    assert [(point.label, point.x) for point in scatter_points([unknown, in_context], "stored", "BLEU")] == [("In-context", 0)]
    bundled = [point for point in scatter_points(all_results(BUNDLED.runs()), "stored", "BLEU") if not point.x]
    assert {point.method for point in bundled} <= {FROZEN, "in_context"}


def test_labels_of_points_that_are_close_do_not_meet_and_all_are_in_the_csv():
    points = [Point(f"a line {i}", 1000.0, 60 + 0.1 * i, "prefix", (str(i),)) for i in range(9)] + [
        Point("far", 9e6, 20, "finetune", ("9",))
    ]
    drawn = figures.scatter(points, "stored", "BLEU", "E2E")
    near, far = (next(trace for trace in drawn.data if trace.name == name) for name in ("virtual tokens", "weights"))
    assert near.text[0] == "a line 0" and list(near.text).count("") >= 4 and list(far.text) == ["far"]
    places = [place for text, place in zip(near.text, near.textposition, strict=True) if text]
    assert len(places) == len(set(places))
    assert all(f"a line {i}" in csv_text(drawn) for i in range(9))


def test_runs_are_filtered_sorted_and_their_differences_named():
    runs = BUNDLED.runs()
    frame = runs_frame(runs)
    assert set(select_rows(frame, "prefix E2E")["run"]) == {"e2e-prefix", "e2e-prefix-5", "e2e-prefix-distilled"}
    assert set(select_rows(frame, "", "-updates")["run"].iloc[:4]) == {*select_rows(frame, "prefix E2E")["run"], "e2e-finetuned"}
    assert select_rows(frame, "", "BLEU")["run"].iloc[0] == "tables-prefix"  # those without a score come last
    assert len(select_rows(frame, "", "nonsense")) == len(runs) and select_rows(frame, "zzz").empty
    two = [BUNDLED.get(name) for name in ("e2e-prefix", "e2e-finetuned")]
    settings = differing_settings(two).set_index("setting")
    assert settings.loc["rate"].tolist() == [0.2, 0.001] and "rank" not in settings.index and "batch" not in settings.index


def test_losses_are_drawn_by_update_or_by_seconds():
    log = TrainingLog([1, 2, 3], [3.0, 2.0, 1.0], [1e-3] * 3, [5] * 3, [0.5, 1.0, 1.5], [(3, 1.2)])
    plain = TrainingLog([1, 2], [3.0, 2.0], [1e-3] * 2, [5] * 2, [0.5, 1.0])
    by_seconds = figures.loss_overlay({"a": log, "b": plain}, "seconds")
    assert [list(trace.x) for trace in by_seconds.data] == [[1.5], [0.5, 1.0]]
    assert [trace.name for trace in by_seconds.data] == ["a, validation", "b, training"]
    assert figures.loss_overlay({"c": TrainingLog()}) is None


@pytest.mark.parametrize("name, data, text", [
    ("TER", "webnlg", "0.59"), ("TER-unseen", "dart", "0.59"), ("METEOR", "webnlg", "0.59"), ("BLEU", "webnlg", "58.8"),
])  # fmt: skip
def test_our_scores_are_in_the_unit_of_the_papers_table(name, data, text):
    assert own_number(name, Summary(58.76, None, 1, 9), data, ()).text == text
