"""Every figure in the tables of docs/results.md is one that a JSON file holds: a run's scores, or assets/results/."""

import re
from pathlib import Path
from statistics import fmean, stdev

import pytest

from analysis.experiments.evidence import evidence_frame
from analysis.experiments.result import Result, families
from analysis.experiments.summary import summarize
from analysis.experiments.tables import all_results
from core import paths
from core.runs.store import Store

DOCS = Path(__file__).parents[3] / "docs" / "results.md"
E2E, ROUGE = ["BLEU", "BLEU-original", "NIST", "ROUGE-L", "CIDEr", "Coverage"], ["ROUGE-1", "ROUGE-2", "ROUGE-L"]
WEBNLG = ["BLEU", "BLEU-seen", "BLEU-unseen", "TER", "Coverage", "Coverage-seen", "Coverage-unseen", "Unsupported"]
TOPICS = ["BLEU", "BLEU-seen", "BLEU-unseen", "Coverage", "Coverage-seen", "Coverage-unseen", "Unsupported"]
TUNED = ["prefix", "prefix-5", "finetuned"]
SEEDS = ["prefix", "finetuned", "prefix-reranked", "finetuned-reranked"]
METHODS = ["frozen", "in_context", "embedding", "infix", "prefix", "adapter", "lora", "top_layers", "finetune"]
KINDS = ["lead", "frozen", "prefix", "finetune"]
# Section, how the table begins, the result of each row, and the metric of each column from `first` on.
RUNS = [
    "e2e-frozen",
    "run:e2e-prefix",
    "run:e2e-prefix-distilled",
    "run:e2e-prefix-5",
    "e2e-prefix-5-all-rows",
    "run:e2e-finetuned",
]
NEWS = ["wikinews-lead", "wikinews-frozen", "run:wikinews-prefix", "run:wikinews-finetuned"]
LONGER = ["wikinews-lead", *(f"wikinews-{kind}-longer" for kind in KINDS[1:])]
TABLES = [
    ("## Tables: E2E", "| | updates", RUNS, 2, E2E),
    ("## Triples: WebNLG", "| | BLEU", [f"webnlg-{kind}" for kind in ("frozen", *TUNED)], 1, WEBNLG),
    ("## Triples: WebNLG", "| two seeds |", ["webnlg-prefix-seeds", "webnlg-finetuned-seeds"], 1, WEBNLG),
    ("## Triples: WebNLG", "| reranked", ["webnlg-prefix-reranked", "webnlg-finetuned-reranked"], 1, WEBNLG),
    (
        "## Triples: WebNLG",
        "| two seeds, reranked",
        [f"webnlg-{kind}-reranked-seeds" for kind in ("prefix", "finetuned")],
        1,
        ["BLEU-unseen", "TER-unseen", "Coverage-unseen", "Unsupported-unseen"],
    ),
    ("## Any table", "| | BLEU", ["tables-frozen", *(f"tables-{kind}" for kind in TUNED)], 1, TOPICS),
    ("## Any table", "| reranked", [f"tables-{kind}-reranked" for kind in ("frozen", *TUNED)], 1, TOPICS),
    ("## Any table", "| greedy", [f"tables-{kind}-greedy" for kind in ("frozen", *TUNED)], 1, TOPICS),
    ("## Any table", "| three seeds", [f"tables-{kind}-seeds" for kind in SEEDS], 1, TOPICS),
    ("## All methods", "| method", [f"compared-{name}" for name in METHODS], 5, ["BLEU", "BLEU-seen", "BLEU-unseen", "Coverage"]),
    ("## Summaries: Wikinews", "| | ROUGE-1 | ROUGE-2 | ROUGE-L | val", NEWS, 1, ROUGE),
    ("## Summaries: Wikinews", "| | ROUGE-1 | ROUGE-2 | ROUGE-L | words", LONGER, 1, ROUGE),
]


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {result.id: result for result in all_results(Store(paths.BUNDLED_RUNS, paths.BUNDLED_RUNS).runs())}


@pytest.fixture(autouse=True)
def no_results_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))


def table(section: str, start: str) -> list[list[str]]:
    """The cells of a table of the page, without its two lines of headings."""
    text = DOCS.read_text(encoding="utf-8")
    text = text[text.index(section) :]
    lines = text[text.index(start) :].splitlines()
    rows = [[cell.strip(" *`") for cell in line.strip("|").split("|")] for line in lines[: lines.index("")]]
    return rows[2:]


def agree(cell: str, score: dict) -> bool:
    """Whether a cell says a score, to the digits that it has, with its standard deviation where there is one."""
    numbers = re.findall(r"[\d.]+", cell.replace(",", ""))
    values = [score["value"], *([score["sd"]] if "sd" in score else [])]
    return len(numbers) == len(values) and all(
        abs(float(number) - value) <= 0.500001 * 10 ** -len(number.partition(".")[2])
        for number, value in zip(numbers, values, strict=True)
    )


def mean_and_error(values: list[float]) -> dict:
    """The mean of several models, with its standard error."""
    return {"value": fmean(values), "sd": stdev(values) / len(values) ** 0.5}


def rate_of(result: Result) -> str:
    """The learning rate as the tables have it: with an arrow if it is an end of the grid."""
    mark = {"highest": " ↑", "lowest": " ↓", "": ""}[result.rate_at_end]
    return f"{result.rate:g}{mark}"


@pytest.mark.parametrize("section, start, ids, first, metrics", TABLES, ids=[f"{row[0][3:]} {row[1][-5:]}" for row in TABLES])
def test_tables_of_scores(results, section, start, ids, first, metrics):
    rows = table(section, start)
    assert len(rows) == len(ids)
    for name, row in zip(ids, rows, strict=True):
        for metric, cell in zip(metrics, row[first:], strict=False):
            assert agree(cell, results[name].scores[metric]), f"{name}, {metric}: the page has {cell}"
        assert results[name].command.startswith("python launch.py ") and results[name].n and results[name].device == "cpu"


def test_the_tables_of_decoding_and_of_unseen_topics(results):
    for row in table("## Tables: E2E", "| beam 5; never"):
        name = row[0]
        for how, cell in zip(("plain", "no-repeat-3", "no-repeat-3-longer", "reranked"), row[1:], strict=True):
            for metric, part in zip(("BLEU", "Coverage"), cell.replace("*", "").split(", "), strict=True):
                assert agree(part, results[f"{name}-{how}"].scores[metric]), f"{name}, {how}, {metric}"
    for which, row in zip(("", "-complete", "-likely"), table("## Tables: E2E", "| trained on | references"), strict=True):
        trained = results.get(f"run:e2e-prefix{which}", results[f"e2e-prefix{which}-plain"])
        assert int(row[1].replace(",", "")) == trained.rows and agree(row[2], {"value": trained.valid_loss})
        names = [f"e2e-{kind}{which}-{how}" for kind in ("prefix", "finetuned") for how in ("plain", "reranked")]
        for name, cell in zip(names, row[3:], strict=True):
            if cell == "–":
                assert name not in results
                continue
            for metric, part in zip(("BLEU", "Coverage"), cell.replace("*", "").split(", "), strict=True):
                assert agree(part, results[name].scores[metric]), f"{name}, {metric}"
    kinds = ("e2e-prefix", "e2e-prefix-distilled", "e2e-finetuned")
    for name, row in zip(kinds, table("## Tables: E2E", "| trained on | BLEU"), strict=True):
        plain, reranked = results[f"run:{name}"].scores, results[f"{name}-reranked"].scores
        scores = [plain["BLEU"], plain["Coverage"], plain["Unsupported"], reranked["BLEU"], reranked["Coverage"]]
        assert name in row[0] and all(agree(cell, score) for cell, score in zip(row[1:6], scores, strict=True)), name
    for kind, row in zip(KINDS, table("## Summaries of other topics", "| | news"), strict=True):
        for topics, cell in zip(("news-to-sports", "within-news"), row[1:], strict=False):
            for metric, part in zip(ROUGE, cell.split("/"), strict=True):
                assert agree(part, results[f"guardian-{topics}-{kind}"].scores[metric]), f"{kind}, {topics}, {metric}"


def test_the_weights_of_the_penalty_near_a_text(results):
    for row in table("## Wayward words", "| weight"):
        result = results[f"near-text-{row[0]}"]
        assert agree(row[1], {"value": result.rates["0.01"]}) if row[1] != "–" else "0.01" not in result.rates, row
        for metric, cell in zip(("loss", "distance", "own-words", "BLEU", "Coverage", "Unsupported"), row[2:], strict=False):
            assert agree(cell, result.scores[metric]) if cell != "–" else metric not in result.scores, f"{row[0]}, {metric}"
        assert row[8].strip("“”").replace("∎", "<|endoftext|>") == result.notes


def test_what_was_trained_and_how_is_the_runs_own(results):
    for name, row in zip(METHODS, table("## All methods", "| method"), strict=True):
        result = results[f"compared-{name}"]
        assert int(row[1].replace(",", "")) == result.stored
        assert {"↑": "highest", "↓": "lowest"}.get(row[3][-1], "") == result.rate_at_end
        assert result.seeds == ((0,) if name == "frozen" else (0, 1, 2))
    for run, prefix in zip(
        ("e2e-prefix", "e2e-prefix-distilled", "e2e-prefix-5"), table("## Tables: E2E", "| | updates")[1:], strict=False
    ):
        assert run in prefix[0]
        assert [int(prefix[place].replace(",", "")) for place in (1, 8, 9)] == [
            getattr(results[f"run:{run}"], name) for name in ("updates", "trained", "stored")
        ]


E2E_LITTLE = ("e2e", 100, ["BLEU", "NIST", "ROUGE-L", "Coverage", "Unsupported"])
WEBNLG_LITTLE = ("webnlg", 200, ["BLEU", "BLEU-seen", "BLEU-unseen", "TER", "Coverage", "Unsupported"])


@pytest.mark.parametrize("section, data, inputs, metrics", [("E2E", *E2E_LITTLE), ("WebNLG", *WEBNLG_LITTLE)])
def test_little_data_is_the_mean_of_its_models(results, section, data, inputs, metrics):
    cells = [result for result in results.values() if "figure3" in result.places and result.cell.data == data]
    ids = {"prefix": "prefix", "fine-tuning": "finetune"}
    for examples, method, *numbers in table(f"## Little data: {section}", "| examples"):
        group = [one for one in cells if (one.cell.method, one.cell.rows) == (ids[method], int(examples))]
        assert len(group) == 4 and {one.n for one in group} == {inputs}
        assert len({(one.cell.sample, one.cell.seed) for one in group}) == 4
        assert numbers[0] == rate_of(group[0])
        assert agree(numbers[1], {"value": fmean(one.valid_loss for one in group)})
        for metric, cell in zip(metrics, numbers[2:], strict=True):
            assert agree(cell, mean_and_error([one.scores[metric]["value"] for one in group])), f"{method}, {metric}: {cell}"


def test_where_the_vectors_are_is_the_mean_of_both_seeds(results):
    by_line = families(one for one in results.values() if "table4" in one.places and one.cell.data == "e2e")
    rows = table("## Where the vectors are: E2E", "| method, vectors")
    assert len(by_line) == len(rows)
    for name, stored, rate, loss, *numbers in rows:
        method, length = name.split(", ")
        of_row = method.removesuffix("-only"), int(stored.replace(",", ""))
        (line,) = [line for line in by_line if (line[0].cell.method, line[0].stored) == of_row]
        assert sorted(seed for one in line for seed in one.seeds) == [0, 1] and {one.n for one in line} == {100}
        assert {one.cell.config().length for one in line} == {int(length)}
        assert rate == rate_of(line[0])
        assert agree(loss, {"value": fmean(one.valid_loss for one in line)})
        summaries = summarize(line)
        for metric, cell in zip(["BLEU", "NIST", "ROUGE-L", "Coverage", "Unsupported"], numbers, strict=True):
            score = {"value": summaries[metric].value, "sd": summaries[metric].error}
            assert agree(cell, score), f"{name}, {metric}: {cell}"


def test_what_a_prefix_begins_as_is_the_mean_of_its_models(results):
    cells = [result for result in results.values() if "figure5" in result.places]
    rows = table("## What a prefix begins as: E2E", "| begins as")
    assert len(cells) == 4 * len(rows)
    for words, rate, loss, *numbers, forgotten in rows:
        group = [one for one in cells if one.places["figure5"]["label"] == words]
        assert len({(one.cell.sample, one.cell.seed) for one in group}) == 4 and {one.n for one in group} == {100}
        assert rate == rate_of(group[0])
        assert agree(loss, {"value": fmean(one.valid_loss for one in group)})
        for metric, cell in zip(["BLEU", "NIST", "ROUGE-L", "Coverage", "Unsupported"], numbers, strict=True):
            assert agree(cell, mean_and_error([one.scores[metric]["value"] for one in group])), f"{words}, {metric}: {cell}"
        assert agree(forgotten, mean_and_error([one.forgotten for one in group])), f"{words}: {forgotten}"


def test_every_length_of_a_prefix_is_there_with_both_seeds(results):
    cells = [result for result in results.values() if "figure4" in result.places]
    rows = table("## How long a prefix: E2E", "| virtual tokens")
    assert len(cells) == 2 * len(rows)
    for length, stored, share, rate, loss, *numbers in rows:
        group = sorted((one for one in cells if one.places["figure4"]["x"] == int(length)), key=lambda one: one.seeds)
        assert [one.seeds for one in group] == [(0,), (1,)] and {one.n for one in group} == {100}
        assert {one.stored for one in group} == {int(stored.replace(",", ""))}
        assert agree(share, {"value": 100 * group[0].share})
        assert rate == rate_of(group[0])
        assert agree(loss, {"value": fmean(one.valid_loss for one in group)})
        for metric, cell in zip(["BLEU", "ROUGE-L", "Coverage", "Unsupported"], numbers, strict=True):
            for part, one in zip(cell.split(", "), group, strict=True):
                assert agree(part, one.scores[metric]), f"{length}, {metric}: {cell}"


def test_the_evidence_on_the_page_is_the_tabs_and_its_figures_are_measured():
    text = DOCS.read_text(encoding="utf-8")
    for values in evidence_frame().itertuples(index=False):
        assert f"| {' | '.join(map(str, values))} |" in text
    before = text[text.index("## Tables: E2E") :]
    for here in evidence_frame()["here"]:
        for number in re.findall(r"\d+[.,]\d+", here):
            assert number in before, number
