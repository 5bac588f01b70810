"""What is drawn: escaped, marked, and in numbers that a person reads."""

from dataclasses import replace

import pytest

from app.compare.comparison import CompareRequest, Comparison
from app.compare.example_buttons import NOT_TRAINED_ON, sample_buttons
from app.compare.panels import cost, references
from app.compare.source_editor import editor_value, editor_value_of_text, normalize_text, parse_rows, parse_value, read
from app.compare.state import CompareState
from app.shared.examples import Sample, find, in_domain, matching, samples
from app.shared.highlight import render, word_diff
from app.shared.html import count, size, tag, text
from app.shared.urlstate import read as read_address
from app.shared.urlstate import write as write_address
from core.text.checks import percent
from core.text.triples import SOURCES

EVIL = '<img src=x onerror="alert(1)">'


def test_text_of_models_and_people_is_escaped_everywhere():
    assert "<img" not in text(EVIL) and "<img" not in tag("p", text(EVIL), title=EVIL)
    assert "<img" not in render(EVIL, [(0, 5)], [(2, 9, EVIL)])
    assert "<img" not in editor_value_of_text(f"name : {EVIL}")[1]


def test_numbers_for_people():
    assert [count(n) for n in (92_160, 13_981_440, 512)] == ["92 k", "14.0 M", "512"]
    assert [size(n) for n in (184_408, 27_987_256, 1_500_000)] == ["184 kB", "28 MB", "1.5 MB"]
    assert [percent(s) for s in (0.0033, 0.0996, 1.0, 0)] == ["0.33 %", "10 %", "100 %", "0 %"]


def test_word_diff_marks_whole_words_and_ignores_case():
    left, right = "The Eagle is a cheap pub .", "the Eagle is a very dear pub ."
    marks = word_diff(left, right)
    assert [left[a:b] for a, b in marks[0]] == ["cheap"]
    assert [right[a:b] for a, b in marks[1]] == ["very dear"]


def test_marks_of_both_kinds_overlap():
    html = render("a cheap pub", [(2, 7)], [(2, 11, "Type")])
    assert '<span class="d v" title="Type">cheap</span>' in html and '<span class="v" title="Type"> pub</span>' in html


def test_grid_and_text_follow_the_newer_one():
    table = editor_value([("name", "Alda"), ("Type", "pub")])
    grid = table | {"rows": [["name", "Brio"], ["", ""], ["Type", "inn"]], "newer": "rows", "version": 4}
    answer, note = read(grid)
    assert (answer["text"], answer["version"], note) == ("name : Brio | Type : inn", 4, "")
    written, note = read(grid | {"text": "name[Cato] priceRange[£20-25]", "newer": "text"})
    assert written["rows"] == [["name", "Cato"], ["price", "£ 20 - 25"]] and "price : £ 20 - 25" in note
    assert normalize_text(written)["text"] == "name : Cato | price : £ 20 - 25"
    early = normalize_text(grid | {"text": "name : Dora | area : riverside", "newer": "text"})  # before the answer to the edit
    assert early["rows"] == [["name", "Dora"], ["area", "riverside"]]


def test_a_bad_field_is_named_and_the_other_view_kept():
    table = editor_value([("name", "Alda"), ("Type", "pub")])
    answer, note = read(table | {"rows": [["name", "Alda"], ["Type", ""]], "newer": "rows"})
    assert answer["bad"] == 2 and "Type" in note and answer["text"] == table["text"]
    answer, note = read(table | {"text": "name : Alda | Type :"})
    assert answer["rows"] == table["rows"] and "Type" in note
    assert normalize_text(table | {"text": "nonsense"})["text"] == "nonsense"
    assert read(table | {"text": " "})[0]["rows"] == []
    assert parse_value(table).fields == [("name", "Alda"), ("Type", "pub")]


def test_triples_in_grid_and_text_follow_each_other_in_the_form_of_the_task():
    table = editor_value([("Ivy_House", "locatedIn", "Leeds")], "webnlg")
    assert table["text"] == "| Ivy_House : locatedIn : Leeds"
    written, note = read(table | {"text": "[Ivy_House | locatedIn | Leeds] [Leeds | country | England]"})
    assert written["rows"][1] == ["Leeds", "country", "England"] and "Leeds : country : England" in note
    parsed = parse_value(written | {"rows": [["Ivy", "in", "York"], ["", "", ""]], "newer": "rows"})
    assert parsed.source == " | Ivy : in : York" and parsed.fields == [("subject", "Ivy"), ("in", "York")]
    answer, note = read(table | {"rows": [["Ivy", "in", "York"], ["Ivy", "in", ""]], "newer": "rows"})
    assert answer["bad"] == 2 and "object" in note
    assert parse_value(editor_value([("Ivy", "locatedIn", "Leeds")], "dart")).source == "Ivy : locatedin : Leeds"


def test_what_belongs_to_another_task_is_reported():
    assert "such as webnlg" in editor_value_of_text("[Ivy_House | locatedIn | Leeds]")[1]
    assert "such as e2e" in editor_value_of_text("name : Alda | Type : pub", "webnlg")[1]
    assert parse_value(editor_value_of_text("An  article.", "text")[0]).source == "An article."


def test_examples_of_triples_stand_by_category_seen_and_unseen():
    html = sample_buttons("artist-1", "webnlg")
    assert "Comics character" in html and html.count("unseen</small>") == 5 and "Ilka Brandt" in html
    assert 'data-sample="artist-1" aria-pressed="true"' in html and "cafe" not in html
    assert samples("text") == ()


@pytest.mark.parametrize("form", SOURCES)
def test_edited_triples_are_no_example_even_where_their_fields_are_the_same(form):
    for sample in samples(form):
        parsed = parse_rows(form, sample.rows)
        assert matching(parsed.fields, form, parsed.source) is sample
    first, *others = next(one for one in samples(form) if len({row[0] for row in one.rows}) > 1).rows
    edited = parse_rows(form, [first, *((first[0], relation, value) for _, relation, value in others)])
    quoted = parse_rows(form, [(*row[:2], f'"{row[2]}"') for row in (first, *others)])
    assert matching(edited.fields, form, edited.source) is None and matching(quoted.fields, form, quoted.source) is None


def test_examples_of_tables_stand_apart_by_the_topics_of_the_task():
    html = sample_buttons("museum-018", "table", "tables")
    trained, others = html.split(NOT_TRAINED_ON)
    assert "36 more topics" in trained and ">museums<" in trained and "chess players" in others and "held out" in others
    assert '<details open="open"' in trained and 'data-sample="museum-018" aria-pressed="true"' in trained
    assert "<details class" in sample_buttons("cafe-021", "table", "e2e").split("Topics that E2E does not have")[1]
    assert [
        in_domain(find(one), task) for one in ("cafe-021", "museum-018", "chess-007") for task in ("e2e", "records", "tables")
    ] == [
        *(True, True, True),
        *(False, False, True),
        *(False, False, False),
    ]


def test_address_comes_back_and_bad_values_are_named():
    address = CompareState(
        backbone="gpt2", prefix="a", source="name : Alda | price : £ 20 - 25", mode="sample", seed=7, top_p=0.9
    )
    assert read_address("?" + write_address(address), CompareState) == address
    assert write_address(CompareState()) == ""
    bad = read_address("?seed=x&mode=loud&top_p=3&example=cafe-019&unknown=1", CompareState)
    assert bad == CompareState(example="cafe-019") and set(bad.ignored) == {"seed", "mode", "top_p"}
    assert read_address("?table=" + "x" * 30_000, CompareState) == CompareState()


@pytest.mark.parametrize("article", ["北京天气晴朗。" * 330, "Привет, мир. " * 300])
def test_a_long_text_in_another_script_leaves_the_rest_of_the_address(article):
    address = CompareState(article=article, seed=7, mode="sample", prefix="my-run", columns="base-prefix")
    assert read_address("?" + write_address(address), CompareState) == replace(address, article="")
    short = replace(address, article=article[:500], other="text:" + "Кратко. " * 60)
    assert read_address("?" + write_address(replace(short, finetuned=article)), CompareState) == replace(short, finetuned="")
    plain = replace(address, article="An article of plain words. " * 145)
    assert read_address("?" + write_address(plain), CompareState) == plain


def test_cost_card_gives_sizes_and_the_score_of_the_whole_set(context):
    backbone = context.models.backbone(context.models.default)
    comparison = Comparison(CompareRequest("name : Alda"), backbone)
    run = context.models.load("tiny-prefix", backbone).run
    score = {"value": 61.27, "n": 630, "signature": "tok:13a", "decoding": {"mode": "beam"}}
    comparison.columns["prefix"].run = replace(run, scores={"test": {"BLEU": score}})
    html = cost(comparison)
    assert "BLEU, test, n=630" in html and "61.3" in html and size(run.bytes) in html
    assert percent(run.stored / backbone.spec.parameters) in html and "No run." in html


def test_references_only_for_a_table_that_was_not_edited(context):
    sample = samples()[0]
    fields = list(sample.fields)
    comparison = Comparison(CompareRequest("x"), context.models.backbone(context.models.default))
    comparison.columns["base"].text = sample.references[0]
    assert matching(fields, "table", "") is sample and matching(fields[1:], "table", "") is None
    html = references(comparison, fields, sample)
    assert "<b>100.0</b>" in html and "n=1: one sentence, not a system score" in html and "tok:13a" in html
    assert "your own" in references(comparison, fields, None)


def test_a_button_has_the_name_that_the_table_gives_and_not_its_first_number():
    def title(*fields):
        return Sample("x", "minerals", (), fields, ()).title

    assert title(("age when first champion", "12"), ("Name", "Aravindhan"), ("nationality", "Indian")) == "Aravindhan"
    assert title(("score", "0-5"), ("host", "Saigon Ferrymen")) == "Saigon Ferrymen"
    assert title(("price per carat", "$ 310"), ("cut", "cushion")) == "minerals: $ 310"
