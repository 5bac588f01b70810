"""The demonstrations' pictures: numbers of a run, curves that a page can show, and what is typed stays text."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from analysis.experiments.prompt_rows import START, check_words, other_rows, training_rows
from analysis.next_words import ContextEffect, WordChange
from app.learn.demos import context as context_demo
from app.learn.demos.batch import BatchHandlers
from app.learn.demos.chart import Curve, line_chart
from app.learn.demos.context import ContextHandlers
from app.learn.demos.figure1 import FigureHandlers
from app.learn.demos.figure1_view import STEPS, drawing, numbers_of
from app.learn.state import ContextState
from app.learn.tab import DEMOS
from app.shared import urlstate
from core.errors import BadInput
from core.models.loading import load_backbone
from core.runs.store import store

REQUEST = SimpleNamespace(session_hash="demos")


def test_the_drawing_has_the_numbers_of_the_run():
    prefix, tuned, backbone = store().get("e2e-prefix"), store().get("e2e-finetuned"), load_backbone("mini-gpt2", "cpu")
    direct = drawing(numbers_of(prefix, tuned, backbone.spec), 4)
    assert (
        f"trained its {prefix.trained:,} parameters directly" in direct
        and "not in this run" in direct
        and prefix.trained == prefix.stored
    )
    prefix = replace(prefix, config=prefix.config | {"mlp": 512}, trained=2_572_544)
    pages = [drawing(numbers_of(prefix, tuned, backbone.spec), step) for step in range(1, len(STEPS) + 1)]
    assert f"{backbone.spec.parameters:,} parameters" in pages[0]
    assert f"{tuned.stored:,}, 28 MB" in pages[1] and "finetuned" in pages[1]
    assert f"30 virtual tokens × 4,608 parameters = {prefix.stored:,}" in pages[2]
    assert f"{prefix.trained:,} parameters were trained" in pages[3] and "dropped" not in pages[3]
    assert "not in this run" not in pages[3] + pages[4]
    assert f"{prefix.stored:,} parameters, 277 kB, 0.99 %" in pages[4] and "The MLP is dropped" in pages[4]
    assert "2.8 GB as fine-tuned copies; 56 MB as one model" in pages[5]


def test_the_drawing_of_an_encoder_decoder_counts_all_of_its_layers():
    prefix, backbone = store().get("wikinews-prefix"), load_backbone("mini-bart", "cpu")
    pages = [drawing(numbers_of(prefix, None, backbone.spec), step) for step in (1, 3)]
    assert "an encoder of 4 layers and a decoder of 3" in pages[0] and pages[0].count(">layer ") == 3
    assert "the 4 layers of the encoder, the 3 of the decoder, and the 3 at which" in pages[1]
    assert f"20 virtual tokens × {(4 + 3 + 3) * 2 * backbone.spec.width:,} parameters = {prefix.stored:,}" in pages[1]


def test_a_chart_shows_every_curve_at_its_place():
    svg = line_chart([Curve("a", "base", [(0, 1.0), (10, 0.5)]), Curve("none", "other", [])], (0, 10), (0.0, 1.0), "x", "y<")
    (path,) = re.findall(r'<path d="M(\S+) (\S+?)L(\S+) (\S+)"', svg)
    left, top, right, middle = map(float, path)
    assert left < right and top < middle and "y&lt;" in svg and "a 0.50" in svg and "none" not in svg


@pytest.mark.parametrize(
    ("up", "ticks"),
    [((1.62, 1.9), ["1.65", "1.70", "1.75", "1.80", "1.85", "1.90"]), ((0, 100), ["0", "20", "40", "60", "80", "100"])],
)
def test_the_axis_has_round_numbers(up, ticks):
    svg = line_chart([Curve("a", "base", [(0, 1.7)])], (0, 10), up, "x", "y")
    assert re.findall(r'class="tick end">([^<]+)<', svg) == ticks


def test_a_text_without_words_in_front_has_one_bar_a_word():
    same, other = WordChange("novel", 0.1, 0.1), WordChange("novel", 0.1, 0.2)
    alone, both = (context_demo.bars(ContextEffect((change,), change), "She") for change in (same, other))
    assert "with the words in front" not in alone and alone.count("<small>") == 1
    assert "with the words in front" in both and both.count("<small>") == 2


def test_what_is_typed_is_shown_as_text():
    evil = WordChange("<img src=x>", 0.1, 0.2)
    page = context_demo.bars(ContextEffect((evil,), evil), "<script>")
    assert "<img" not in page and "<script" not in page and "2.0 times as likely" in page


def test_the_demonstrations_train_on_other_tables_than_they_are_checked_on():
    backbone = load_backbone("mini-gpt2", "cpu")
    trained, others = ({row.prompt for row in rows(backbone, 4)} for rows in (training_rows, other_rows))
    assert len(trained) == 5 and len(others) == 4 and not trained & others
    assert check_words(backbone, START) == f" {START}"
    for words, advice in (("", "Type some"), ("word " * 30, "Shorten")):
        with pytest.raises(BadInput, match=advice):
            check_words(backbone, words)


def test_every_demonstration_has_a_name_of_its_own():
    assert len({demo.name for demo in DEMOS}) == len(DEMOS) == 6


def test_what_the_address_of_the_drawing_does_not_bring_back_is_named_until_another_one_is_chosen(context):
    do = FigureHandlers(context, SimpleNamespace(status="status"), "state", "run", "picture", "address")
    update = do.restore("?figure=99&drawn=ghost", "", REQUEST)
    assert "no usable value for: figure, drawn." in update["picture"] and "drawn" not in update["address"]
    assert "no usable value" not in do.step(update["state"], "", REQUEST, SimpleNamespace(run="3"))["picture"]
    assert "no usable value" not in do.restore("?figure=3&drawn=tiny-prefix", "", REQUEST)["picture"]


def test_a_link_brings_back_every_text_that_was_typed_or_names_it(context):
    do = ContextHandlers(context, SimpleNamespace(status="status"), ["front", "words", "watch"], "bars", "note", "address")
    long = " ".join(["She is a novelist."] * 23)
    shown = do.show(long, "She released", "novel", "", REQUEST)
    assert urlstate.read(shown["address"], ContextState).front == long
    restored = do.restore("?" + shown["address"], "", REQUEST)
    assert restored["front"] == long and restored["note"] == "" and restored["bars"] == shown["bars"]
    too_long = urlstate.write(ContextState(front="x" * 10_000))
    assert "does not contain the front: too long for a link" in do.restore("?" + too_long, "", REQUEST)["note"]


def test_no_batch_of_another_backbone_stays_where_the_pages_own_reads_articles(newsroom):
    do = BatchHandlers(newsroom, SimpleNamespace(status="status"), "users", "picture")
    assert "reads articles" in do.show(4, "", REQUEST)["picture"]
