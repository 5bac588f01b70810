"""The Results tab without a browser: what controls do, what the page shows, and the texts behind a number."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.experiments.desk import RUN_COLUMNS, points_frame
from analysis.experiments.evidence import HOLDS, evidence_frame
from analysis.experiments.grid import Cell
from analysis.experiments.result import Result
from analysis.experiments.tables import all_results, result_table
from app.results import view
from app.results.handlers import ResultsHandlers, _texts_of
from app.results.state import ResultsState
from app.results.texts import text_rows
from app.shared import urlstate
from core import paths
from core.errors import StoreError
from core.runs.store import Store


def result(method="prefix", label="Prefix-tuning"):
    cell = Cell("e2e", method)
    return Result(cell.id, cell, "mini", "abc", "done", {"table1": {"label": label, "x": None}}, {}, (0,), 2, command="run it")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with the texts of two lines."""
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    folder = tmp_path / "experiments" / "mini-abc" / "texts"
    folder.mkdir(parents=True)
    for one, second in (
        (result(), "Brio is in the north of <b>Rome</b> ."),
        (result("finetune", "Fine-tuning"), "Brio is an inn ."),
    ):
        rows = [("name : Alda | Type : pub", "Alda is a pub .", 90.0), ("name : Brio | Type : inn", second, 10.0)]
        lines = [
            json.dumps({"source": source, "text": text, "references": [text], "seen": True, "scores": {"BLEU": score}})
            for source, text, score in rows
        ]
        (folder / f"{one.id}.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_texts_come_worst_first_with_what_is_wrong_and_the_other_lines(home):
    both = [result(), result("finetune", "Fine-tuning")]
    first, second = text_rows(both[0], both, "BLEU", _texts_of)
    assert (first.score, second.score) == (10.0, 90.0)
    assert first.missing == ["Type"] and "Rome" in " ".join(first.unsupported) and second.missing == []
    assert first.others == [("Fine-tuning", "Brio is an inn .")]
    html = view.texts(both[0], [first, second])
    assert "missing: Type" in html and "&lt;b&gt;Rome" in html and "<b>Rome" not in html
    with pytest.raises(StoreError, match="not on this machine"):
        text_rows(result("lora"), both, "BLEU", _texts_of)


@pytest.mark.parametrize(
    ("metric", "shown_metric", "shown"),
    [
        ("BLEU", "BLEU", ["c", "b", "a", "d"]),
        ("ROUGE-L", "ROUGE-L", ["a", "b", "c", "d"]),
        ("ROUGE-L-unseen", "ROUGE-L", ["b", "d"]),
        ("BLEU-seen", "BLEU", ["c", "a"]),
        ("Unsupported-unseen", "Unsupported", ["d", "b"]),
        ("BLEU-original", "BLEU", ["c", "b", "a", "d"]),
        ("ROUGE-2", "BLEU", ["c", "b", "a", "d"]),  # no score of each text, as with those below: the first that there is
        ("NIST-mteval", "BLEU", ["c", "b", "a", "d"]),
        ("", "BLEU", ["c", "b", "a", "d"]),
    ],
)
def test_texts_are_those_of_the_numbers_part_in_the_order_of_its_metric(metric, shown_metric, shown):
    values = {"a": (30.0, 1.0, 0.0), "b": (20.0, 2.0, 1.0), "c": (10.0, 3.0, 2.0), "d": (40.0, 4.0, 3.0)}
    lines = [
        {"source": "name : Alda", "text": text, "references": ["Alda ."], "seen": text in "ac",
         "scores": dict(zip(("BLEU", "ROUGE-L", "Unsupported"), scores, strict=True))}
        for text, scores in values.items()
    ]  # fmt: skip
    rows = text_rows(result(), [], metric, lambda _: list(lines))
    assert [row.text for row in rows] == shown and {row.metric for row in rows} == {shown_metric}
    assert ("the 2 unseen ones with the" in view.texts(result(), rows)) == metric.endswith("-unseen")


def test_files_of_an_earlier_version_show_the_names_of_today(home):
    values = result().to_json() | {"scores": {"Told-seen": {"value": 90.0}, "Beyond": {"value": 0.2}}}
    assert list(Result.from_json(values).scores) == ["Coverage-seen", "Unsupported"]
    (file,) = home.glob("experiments/*/texts/*-prefix-*.jsonl")
    file.write_text(file.read_text().replace('"BLEU": 90.0', '"Beyond": 2.0').replace('"BLEU": 10.0', '"Beyond": 3.0'))
    rows = text_rows(result(), [result()], "Unsupported", _texts_of)
    assert [row.score for row in rows] == [3.0, 2.0]  # the most first
    html = view.texts(result(), rows)
    assert "the 2 with the most unsupported pieces first" in html and "Unsupported 3.0" in html


def test_controls_change_the_state_and_the_address_keeps_it():
    state = ResultsState().after("view", "figure4").after("data", "records").after("metric", "BLEU")
    assert (state.view, state.data, state.metric) == ("figure4", "records", "BLEU")
    assert state.after("view", "table2").metric == ""
    assert state.after("view", "table9") == state and state.after("nonsense", "x") == state and state.after("sort", 3) == state
    assert urlstate.read(urlstate.write(state), ResultsState) == state
    ticked = state.after("tick", "a").after("tick", "b")
    assert ticked.runs == ["a", "b"] and ticked.after("tick", "a").runs == ["b"]
    assert state.after("sort", "BLEU").after("sort", "BLEU").sort == "-BLEU"
    opened = state.after("number", "cell-1")
    assert opened.number == "cell-1" and opened.after("number", "cell-1").number == ""
    assert urlstate.read("results=nowhere&set=e2e", ResultsState).ignored == ("results",)


def test_evidence_has_a_line_for_each_claim_of_the_abstract():
    frame = evidence_frame()
    assert len(frame) >= 4 and frame.notna().all().all()
    assert set(frame["holds"]) <= set(HOLDS.values())
    html = view.evidence()
    assert all(view.text(claim) in html for claim in frame["claim"])


@pytest.mark.parametrize("form, sign", [("csv", "method,"), ("latex", r"\begin{tabular}"), ("markdown", "| method")])
def test_tables_are_saved_in_three_forms(form, sign):
    written = view.format_table(result_table("table1", "e2e", []).frame(), form)
    assert sign in written and "69.7" in written and "8.80" in written


def test_runs_of_one_method_are_told_apart_by_their_names():
    runs = Store(paths.BUNDLED_RUNS, paths.BUNDLED_RUNS).runs()
    one = result_table("table1", "e2e", all_results(runs))
    names = {run.id for run in runs if run.task.name == "e2e"}
    for html in (view.table(one, "", ""), view.table(one, "BLEU", "")):
        assert all(f"{name}<" in html or f"{name}, 4,207 updates" in html for name in names)
    assert {f"Ours (mini-gpt2, {name})" for name in names} <= set(one.frame()["source"])


def test_numbers_of_the_runs_have_their_thousands_separated():
    frame = pd.DataFrame([dict.fromkeys(RUN_COLUMNS) | {"run": "a1000", "updates": 4207, "stored": 184_320, "seconds": 1234.0}])
    shown = view.desk(frame, ResultsState())
    assert ">4,207<" in shown and ">1,234<" in shown and ">a1000<" in shown


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?metric=ghost", "metric"),
        ("?metric=all", ""),
        ("?metric=BLEU", ""),
        ("?set=news", "set"),
        ("?set=webnlg", ""),
        ("?results=scatter&set=dart", "set"),
        ("?results=evidence&sort=ghost", "sort"),
        ("?results=runs&ticked=ghost", "ticked"),
    ],
)
def test_a_value_of_the_address_that_the_view_does_not_have_is_named(home, query, named):
    class Named:
        def __getattr__(self, name):
            return name

    context = SimpleNamespace(store=Store(home / "runs", bundled=None))
    do = ResultsHandlers(context, Named(), Named())
    update = do.refresh(do.restore(query), SimpleNamespace(session_hash="page"))
    problems = re.findall(r"no usable value for: (.*?)\.<", str(update["main"]))
    assert problems == ([named] if named else [])


def test_of_the_ticked_runs_in_the_address_those_that_exist_stay_ticked(monkeypatch, home):
    do = ResultsHandlers(SimpleNamespace(store=None), SimpleNamespace(status="status"), None)
    monkeypatch.setattr(do, "runs", lambda: [SimpleNamespace(id=name) for name in "abc"])
    state = do.restore("?results=runs&ticked=a,ghost,b")
    assert state.runs == ["a", "b"] and state.ignored == ("ticked",)
    assert state.after("tick", "c").runs == ["a", "b", "c"] and not state.after("tick", "c").ignored
    assert not do.restore("?results=runs&ticked=a,b").ignored


def test_saved_numbers_are_rounded_for_reading_and_whole_where_they_count():
    frame = pd.DataFrame(
        {"run": ["a_1", "b"], "stored": [138_240, 0], "loss ↓": [0.8818973833614638, None], "seconds": [14593.2, 0.5]}
    )
    latex, markdown, csv = (view.format_table(frame, form) for form in ("latex", "markdown", "csv"))
    assert r"a\_1 & 138240 & 0.8819 & 14593 \\" in latex and r"b & 0 & – & 0.5 \\" in latex
    assert r"loss $\downarrow$" in latex and "↓" not in latex  # pdflatex stops at an arrow
    assert re.search(r"\| a_1 +\| 138240 +\| 0.8819 +\| 14593 ", markdown) and re.search(r"\| b +\| 0 +\| – +\| 0.5 ", markdown)
    assert "0.8818973833614638,14593.2" in csv


def test_a_saved_table_of_a_run_from_elsewhere_runs_no_formula_and_keeps_its_columns():
    frame = pd.DataFrame({"run": ["theirs"], "task": ['=HYPERLINK("http://x") | a\nb'], "BLEU": [-1.5]})
    assert view.format_table(frame, "csv").startswith('run,task,BLEU\ntheirs,"\'=HYPERLINK(""http://x"")') and ",-1.5\n" in (
        view.format_table(frame, "csv")
    )
    assert r'| theirs | =HYPERLINK("http://x") \| a b |' in view.format_table(frame, "markdown")


def test_a_saved_scatter_has_whole_numbers_of_parameters():
    scored = replace(result(), scores={"BLEU": {"value": 60.89}}, stored=138_240)
    for form in view.FORMS:
        assert re.search(r"138240\b(?!\.)", view.format_table(points_frame([scored], "stored", "BLEU"), form))


@pytest.mark.parametrize(("data", "is_of_others"), [("webnlg", True), ("records", False), ("tables", False)])
def test_missing_texts_of_the_projects_own_tables_are_not_called_other_peoples(home, data, is_of_others):
    one = result("lora")
    one = replace(one, cell=replace(one.cell, data=data))
    do = ResultsHandlers(SimpleNamespace(store=None), SimpleNamespace(status="status"), None)
    page = do._texts(ResultsState(number=one.id), [one])
    assert "not on this machine" in page and "run it" in page and ("other people" in page) is is_of_others
