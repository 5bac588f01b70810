"""A cell is trained once, scored once and goes on after a stop; results of other weights are not taken."""

import json
import math
from dataclasses import replace
from itertools import count

import pytest

from analysis.evaluation.significance import interval
from analysis.experiments.cell import Workplace, draw, read_texts
from analysis.experiments.grid import FROZEN, Cell, Grid, Line, expand
from analysis.experiments.result import Result, own_files, read_results
from analysis.experiments.run_grid import Estimate, estimate_cells, run_cells, unfinished
from analysis.experiments.summary import comparisons, grid_frame, summarize
from analysis.metrics.bleu import e2e_bleu
from core.config.decode import DecodeConfig
from core.data.source import DataSource
from core.errors import BadInput, StoreError
from core.models.loading import load_backbone
from tests.support.tiny_models import ARTICLES, EXAMPLES, make_tiny_backbone, make_tiny_bart

SETTINGS = (("batch", 3), ("init_words", "table"), ("length", 2), ("save_every", 2), ("updates", 4))
CELL = Cell("e2e", settings=SETTINGS, rates=(1e-4, 3e-2))


@pytest.fixture(autouse=True)
def short_texts(monkeypatch):
    monkeypatch.setattr("analysis.experiments.cell.paper_decoding", lambda name: DecodeConfig(max_new=6))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("models") / "tiny-gpt2")), "cpu")


@pytest.fixture
def place(tmp_path, backbone):
    for split, rows in (("train", EXAMPLES), ("dev", EXAMPLES[:2]), ("test", EXAMPLES[:4])):
        lines = [json.dumps({"table": one.source, "text": one.targets[0]}) for one in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    neutral = tmp_path / "neutral.txt"
    neutral.write_text("a table is a text\n" * 20)
    source = DataSource(set="e2e", data=str(tmp_path))
    return Workplace(backbone, tmp_path / "experiments", {"e2e": source}, lambda cell: f"run {cell.id}", neutral=neutral)


@pytest.mark.slow
def test_a_cell_says_what_was_measured_and_how(place):
    cell = replace(CELL, seed=1)
    (result,) = run_cells([cell], lambda _: place)
    assert Result.from_json(json.loads(place.result_file(cell).read_text())) == result
    assert result.status == "done" and result.seeds == (1,) and result.n == 4 and result.updates == 4
    assert set(result.rates) == {"0.0001", "0.03"} and result.rate in (1e-4, 3e-2)
    assert result.rate_at_end in ("lowest", "highest")
    score = result.scores["BLEU"]
    assert score["low"] <= score["value"] <= score["high"] and score["signature"] and score["n"] == 4
    assert result.command == f"run {cell.id}" and result.versions["torch"] and result.device == "cpu"
    frozen, on, off = (result.forgetting[name] for name in ("frozen", "on", "off"))
    assert off == frozen != on and 0 < on < math.inf and result.forgetting["text"] == "neutral.txt"
    texts = read_texts(place.texts_file(cell))
    assert len(texts) == 4 and texts[0]["references"] and "BLEU" in texts[0]["scores"]
    # The seed that chose the rate is a run of its own, and its cell takes it as it is.
    assert {run.id for run in place.store.runs()} == {cell.id, CELL.id}
    created = place.store.get(CELL.id).created
    (first,) = run_cells([CELL], lambda _: place)
    assert first.rate == result.rate and place.store.get(CELL.id).created == created


@pytest.mark.slow
def test_a_stopped_cell_goes_on_and_ends_as_if_it_had_not_been_stopped(place, tmp_path):
    (whole,) = run_cells([CELL], lambda _: replace(place, root=tmp_path / "whole"))
    asked = count()
    stopped = replace(place, cancel=lambda: next(asked) > 6)
    assert list(run_cells([CELL], lambda _: stopped)) == [] and unfinished([CELL], lambda _: place) == [CELL]
    (result,) = run_cells([CELL], lambda _: place)
    assert result.scores == whole.scores and result.rates == whole.rates and result.forgetting == whole.forgetting


def test_a_result_of_other_weights_or_of_another_program_is_not_taken(place, tmp_path):
    frozen = Cell("e2e", FROZEN, tables=2)
    (result,) = run_cells([frozen], lambda _: place)
    assert result.notes.startswith("It reads its input ") and "the best by BLEU on 2 validation rows" in result.notes
    assert result.n == 2 and result.trained == 0 and unfinished([frozen], lambda _: place) == []
    other = load_backbone(str(make_tiny_backbone(tmp_path / "other" / "tiny-gpt2", seed=5)), "cpu")
    assert unfinished([frozen], lambda _: replace(place, backbone=other)) == [frozen]
    file = place.result_file(frozen)
    replace(result, fingerprint="another").save(file)
    assert unfinished([frozen], lambda _: place) == [frozen]
    faults: list[str] = []
    for content in ("[1, 2]", '{"format": 7}', "not JSON", '{"format": 1, "id": "x"}'):
        file.write_text(content)
        assert read_results(own_files(place.root), faults) == [] and unfinished([frozen], lambda _: place) == [frozen]
    assert len(faults) == 4 and all(fault.startswith(f"{file.name} is left out: ") for fault in faults)


def test_what_another_process_has_in_hand_is_passed_over(place):
    with place.lock(CELL) as mine:
        assert mine
        assert place.try_run(CELL) is None
        assert place.try_run(replace(CELL, seed=1)) is None  # it needs the rate that the first seed chooses
        assert list(run_cells([CELL], lambda _: place, wait=False)) == []
    assert place.try_run(CELL) is not None


def test_a_full_disk_and_a_data_set_that_is_not_given_are_one_sentence(place, monkeypatch):
    with pytest.raises(BadInput, match="The data set dart is not given: add --data dart=FOLDER"):
        place.try_run(replace(CELL, data="dart"))

    def full(path, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(StoreError, match="No space left on device"):
        place.try_run(Cell("e2e", FROZEN))


@pytest.mark.slow
def test_lines_are_summed_up_over_seeds_and_compared_on_the_same_rows(place):
    prefix = Line("Prefix", expand(CELL, 2))
    frozen = Line("Frozen", (Cell("e2e", FROZEN),))
    grid = Grid("table1", "all methods", (frozen, prefix))
    assert estimate_cells(grid.cells, lambda _: place).total > 0
    results = list(run_cells(grid.cells, lambda _: place))
    summary = summarize(results[1:])["BLEU"]
    values = [result.scores["BLEU"]["value"] for result in results[1:]]
    assert summary.seeds == 2 and summary.value == pytest.approx(sum(values) / 2)
    assert summary.error == pytest.approx(abs(values[0] - values[1]) / 2)  # sd / sqrt(2)
    frame = grid_frame(grid, place)
    assert list(frame["line"]) == ["Frozen", "Prefix"] and list(frame["seeds"]) == [1, 2] and "±" in frame["BLEU"][1]
    ((first, second, difference),) = comparisons(grid, place)
    assert (first.label, second.label) == ("Prefix", "Frozen") and difference.n == 4
    assert difference.low <= difference.difference <= difference.high


def test_failed_seeds_are_no_part_of_a_table(place):
    seeds, broken = expand(CELL, 3), expand(replace(CELL, method="lora"), 2)
    place.result_file(CELL).parent.mkdir(parents=True)
    for cell in (*seeds, *broken):
        place._failed(cell).save(place.result_file(cell))
    for cell, bleu in zip(seeds[1:], (50.0, 54.0), strict=True):
        scores = {"BLEU": {"value": bleu, "n": 4}}
        done = replace(place._bare(cell, "done"), scores=scores, n=4, rate=0.2, share=1.0)
        done.save(place.result_file(cell))
    waiting = Line("Not run yet", (Cell("e2e", FROZEN),))
    grid = Grid("table1", "all methods", (Line("Prefix", seeds), Line("LoRA", broken), waiting))
    rows = grid_frame(grid, place).set_index("line").T.to_dict()
    assert rows["Prefix"] == {"data": "e2e", "seeds": 2, "n": 4, "rate": "0.2", "share": "100 %", "BLEU": "52.0 ± 2.0"}
    assert rows["LoRA"] == {"data": "e2e", "seeds": 0, "n": "–", "rate": "–", "share": "–", "BLEU": "–"}
    assert "Not run yet" not in rows


def test_what_is_left_is_corrected_by_the_time_that_was_taken(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    cells = expand(CELL, 4)
    estimate = Estimate({cell.id: 10.0 for cell in cells}, jobs=2, began=100.0)
    assert estimate.total == 20 and estimate.remaining() == 20
    now[0] += 15  # two cells at a time, each 15 s instead of 10
    assert estimate.remaining(cells[0]) == pytest.approx(45) and estimate.remaining(cells[1]) == pytest.approx(15)


@pytest.mark.slow
def test_weights_are_dropped_and_a_lost_result_is_made_again(place):
    light, second = replace(place, keep_weights=False), replace(CELL, seed=1)
    before = list(run_cells([CELL, second], lambda _: light))
    for result in before:
        run = place.store.get(result.id)
        assert not run.weights.exists() and not run.files.history.exists() and run.files.steps.exists()
        assert len(read_texts(place.texts_file(result.cell))) == 4 and place.result(result.cell) == result
    place.result_file(second).unlink()
    (again,) = run_cells([second], lambda _: place)
    assert again.scores == before[1].scores and place.store.get(second.id).weights.exists()
    assert not place.store.get(CELL.id).weights.exists()  # of the line's first cell the rate is enough
    place.drop_weights(second)
    assert not place.store.get(second.id).weights.exists()


def test_texts_with_other_line_ends_inside_are_read_back(tmp_path):
    """A reference from the web may hold U+2028, of which JSON takes no notice: all texts were said to be on another machine."""
    rows = [{"text": "one\u2028two\x85", "scores": {}}, {"text": "three", "scores": {}}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert read_texts(tmp_path / "a.jsonl") == rows


def test_a_small_training_set_is_a_random_sample(place):
    small = replace(CELL, rows=6, sample=3, preset="low")
    rows = place.rows(small)
    assert len(rows.examples) == 6 and len(rows.valid) == 2  # 30 % of six
    assert draw(EXAMPLES, 6, 3) == draw(EXAMPLES, 6, 3) != draw(EXAMPLES, 6, 4)
    assert "rows6" in small.id and "d3" in small.id


def test_the_interval_of_a_score_that_does_not_vary_is_its_value():
    score = e2e_bleu(["a b c d e"] * 5, [["a b c d e"]] * 5)
    assert interval(score, 20) == pytest.approx((100, 100))


def test_articles_are_summed_up_on_a_backbone_of_their_own_and_tested_on_other_topics(tmp_path):
    backbone = load_backbone(str(make_tiny_bart(tmp_path / "tiny-bart")), "cpu")
    for split in ("train", "valid", "test"):
        rows = [{"article": one.source, "summary": one.targets[0], "topic": one.group} for one in ARTICLES]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    source = DataSource(set="summarization", data=str(tmp_path))
    place = Workplace(backbone, tmp_path / "experiments", {"news": source, "topics": source})
    settings = (("batch", 2), ("init_words", "flooded"), ("length", 2), ("updates", 2))
    cells = [Cell("news", settings=settings, tables=2), Cell("topics", FROZEN, topics="news-to-sports")]
    news, sport = run_cells(cells, lambda _: place)
    assert set(news.scores) == {"ROUGE-1", "ROUGE-2", "ROUGE-L", "Unsupported"}
    assert news.n == 2 and news.updates == 2
    frozen, on, off = (news.forgetting[name] for name in ("frozen", "on", "off"))  # nats of text that is read with masks
    assert off == frozen != on and 0 < on < math.inf and sport.forgetting["on"] == sport.forgetting["frozen"] == frozen
    assert sport.n == 9 and sport.notes == ""  # three articles on sport, in each of the three splits
