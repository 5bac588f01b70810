"""Evaluation: texts go back to their tables, references are grouped, both BLEUs are kept apart."""

import pytest

from analysis.evaluation.evaluate import evaluate, outputs
from analysis.evaluation.suites import score_examples
from analysis.metrics.coverage import error_counter
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding, paper_decoding
from core.generation.generate import generate
from core.generation.types import Request
from core.methods.loading import load_run
from core.models.loading import load_backbone
from core.runs.store import store
from core.task import Example, task
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone, random_prefix

DECODE = DecodeConfig(max_new=6, min_new=6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("m") / "tiny-gpt2")), "cpu")


def score_texts(texts, examples):
    return {one.name: one for one in score_examples("e2e", texts, examples)}


def test_texts_come_back_in_the_order_of_their_sources(tiny):
    form, prefix = task("e2e"), random_prefix(tiny, 3)
    sources = [example.source for example in EXAMPLES]
    sizes = []
    together = outputs(tiny.model, tiny, form, prefix, sources, DECODE, 4, lambda done, total: sizes.append((done, total)))
    alone = [generate(tiny.model, tiny, [Request(tiny.encode(form.prompt(s)), prefix)], DECODE)[0].text for s in sources]
    assert together == alone and sizes == [(4, 10), (8, 10), (10, 10)]


def test_one_text_a_table_whatever_the_number_of_references(tiny):
    rows = [Example("a : b", ("one",)), Example("c : d", ("two",)), Example("a : b", ("three",))]
    result = evaluate(tiny.model, tiny, task("e2e"), None, rows, DECODE)
    assert result.sources == ["a : b", "c : d"] and result.records()["BLEU"]["n"] == 2
    assert result.records()["BLEU"]["decoding"]["mode"] == "greedy"


def test_the_tokenised_text_scores_fully_both_ways():
    example = Example("a : b", ("It costs £ 20 - 25 .",), originals=("It costs £20-25.",))
    scores = score_texts(["It costs £ 20 - 25 ."], [example])
    assert scores["BLEU"].value == pytest.approx(100) and scores["BLEU-original"].value == pytest.approx(100)
    assert "original" in scores["BLEU-original"].signature and "original" not in scores["BLEU"].signature
    assert "BLEU-original" not in score_texts(["x"], [Example("a : b", ("y",))])


def test_the_default_decoding_is_the_papers():
    decode = paper_decoding("e2e")
    assert (decode.mode, decode.beams, decode.min_new, decode.length_penalty, decode.no_repeat) == ("beam", 5, 5, 1.0, 0)


@pytest.mark.slow
def test_a_person_reads_a_table_written_without_a_phrase_twice():
    small = load_backbone("mini-gpt2", "cpu")
    request = Request(small.encode("name : The Eagle | near : The Mill\n"))

    def repetitions(decode: DecodeConfig) -> int:
        ids = generate(small.model, small, [request], decode.replace(max_new=60, min_new=60))[0].ids
        phrases = [tuple(ids[start : start + 6]) for start in range(len(ids) - 5)]
        return len(phrases) - len(set(phrases))

    beams = [repetitions(default_decoding(input_format, "beam")) for input_format in ("table", "webnlg")]
    assert repetitions(DecodeConfig()) > 0 and beams == [0, 0]


@pytest.mark.slow
def test_beams_for_a_person_do_not_end_early():
    small = load_backbone("mini-gpt2", "cpu")
    run = load_run(store().get("e2e-prefix"), small)
    names = ["The Eagle", "Blue Spice", "The Mill"]
    tables = [f"name : {name} | Type : pub | food : Indian | price : cheap | area : riverside | near : Cotto" for name in names]

    def written(decode: DecodeConfig) -> int:
        return sum(map(len, outputs(run.model, small, run.task, run.prefix, tables, decode)))

    usual = default_decoding("table", "beam")
    assert written(usual) > written(usual.replace(length_penalty=1.0))


@pytest.mark.slow
def test_reranked_texts_lack_fewer_values_and_no_more_are_unsupported():
    small = load_backbone("mini-gpt2", "cpu")
    run = load_run(store().get("tables-prefix"), small)
    tables = [
        "name : Mount Aldery | country : Norway | height : 1,204 metres | first climbed : 1911 "
        "| climbers : Ida Wolden and Per Sande | rock : granite | hut : Aldery Cabin",
        "name : The Tin Lantern | type : bakery | city : Leeds | opened : 1987 | known for : rye bread "
        "| owner : Maud Pickering | seats : 24",
        "name : Ola Brandt | profession : cellist | born : 1952 | birthplace : Bergen | teacher : Mira Holm "
        "| orchestra : Bergen Philharmonic | instrument : a cello of 1743",
    ]

    def errors(decode: DecodeConfig) -> list[int]:
        texts = outputs(run.model, small, run.task, run.prefix, tables, decode)
        return [error_counter("table", table)(text) for table, text in zip(tables, texts, strict=True)]

    reranked = default_decoding("table")
    most_likely, fewest = errors(reranked.replace(mode="beam")), errors(reranked)
    assert sum(fewest) < sum(most_likely) and all(few <= most for few, most in zip(fewest, most_likely, strict=True))
