"""Compare with an article: what is read of it, what summaries lean on, and what the page says."""

import pytest

from app.compare import article_panels, source_editor
from app.compare.columns import columns
from app.compare.comparison import CompareRequest, compare
from app.compare.panels import panels
from app.compare.run_picker import select_runs
from app.compare.state import CompareState
from app.shared import examples
from app.shared.context import AppContext
from app.shared.urlstate import read as read_address
from app.shared.urlstate import write
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.models.inputs import task_for_backbone
from core.runs.store import Store
from tests.support.tiny_models import ARTICLES, make_run, make_tiny_backbone, make_tiny_bart

LONG = "<b>Aldby</b> was flooded on Monday. " + ARTICLES[0].source * 3  # longer than the model reads
DECODE = DecodeConfig(max_new=8, min_new=3)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("articles-page")
    folder = make_tiny_bart(root / "tiny-bart")
    make_run(folder, root / "runs", "news-prefix", updates=2)
    make_run(make_tiny_backbone(root / "tiny-gpt2"), root / "runs", "table-prefix", updates=2)
    return AppContext(str(folder), "cpu", Store(root / "runs"))


@pytest.fixture(scope="module")
def comparison(context):
    *_, last = compare(
        context,
        context.models.backbone(context.models.default),
        CompareRequest(LONG, "news-prefix", decode=DECODE, form="article"),
        lambda: False,
    )
    return last


def test_the_attention_on_the_sentences_that_are_read_adds_up(comparison):
    for kind in ("base", "prefix"):
        sentences = comparison.columns[kind].sentences
        assert len(sentences.spans) == len(sentences.shares) > 2 and max(end for _, end in sentences.spans) < len(LONG)
        assert 0.5 < sum(sentences.shares) + sentences.virtual < 1.0001  # the rest is on <s> and </s>
    assert comparison.columns["base"].sentences.virtual == 0 < comparison.columns["prefix"].sentences.virtual
    assert comparison.columns["finetuned"].sentences is None


def test_the_two_counts_of_an_articles_tokens_agree(context, comparison):
    """The note said 342 tokens and the columns 344, which count <s> and </s> as well."""
    column, backbone = comparison.columns["prefix"], context.models.backbone(context.models.default)
    assert f"{column.read.used:,} are read" in article_panels.note(backbone, column.task, LONG)
    assert f"128 tokens, {column.read.used:,} of them the article's" in columns(comparison, [])["prefix"]


def test_the_panel_shows_shares_and_what_is_not_read_escaped(comparison):
    html = panels(comparison, [], None)
    assert "What each summary attends to" in html and "cut here, not read" in html and "&lt;b&gt;Aldby" in html
    assert "<b>Aldby" not in html and "no reference summary" in html
    missing = columns(comparison, [])["finetuned"]
    assert "train --task summarization --data articles-folder" in missing


def test_a_text_in_front_of_an_article_is_read_with_the_same_article(context):
    ask = CompareRequest(LONG, "text:Sum up.", decode=DECODE, form="article")
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    assert last.columns["prefix"].prompt_ids == last.columns["base"].prompt_ids and last.columns["prefix"].sentences


def test_the_note_counts_tokens_and_shows_the_cut(context):
    backbone = context.models.backbone(context.models.default)
    task = task_for_backbone(backbone, "summarization")
    assert "12 tokens, all of them read." in article_panels.note(backbone, task, "It did rain.")
    html = article_panels.note(backbone, task, LONG)
    assert f"{len(LONG)} tokens; the first 126 are read" in html and "cut here" in html
    assert "does not look like English" in article_panels.note(backbone, task, "Дождь шёл весь день и всю ночь в старом городе.")


def test_examples_come_with_a_reference_and_their_scores(context, comparison):
    sample = examples.samples("article")[0]
    assert len(examples.samples("article")) == 12 and examples.find(sample.id) is sample
    assert examples.matching([], "article", sample.text) is sample and examples.matching([], "article", LONG) is None
    html = article_panels.references(comparison, sample)
    assert html.count("R-L") == 3 and "n=1: one summary" in html  # two texts, and the note


@pytest.mark.parametrize("bad, why", [("", "empty"), ("word", "one word"), ("a\0b c", "control"), ("<p>a<p>b<br>c", "web page")])
def test_what_cannot_be_an_article_is_reported_and_kept(bad, why):
    table, note = source_editor.editor_value_of_text(bad, "article")
    assert why in note and table["text"] == bad
    with pytest.raises(BadInput, match=why):
        source_editor.parse_value(table)


def test_the_backbone_says_what_the_page_takes(context):
    bart = context.models.backbone(context.models.default)
    assert select_runs(context.catalog, bart, "e2e", {}).task == "summarization"
    gpt2 = context.models.backbone(context.models.default.replace("tiny-bart", "tiny-gpt2"))
    assert select_runs(context.catalog, gpt2, "summarization", {}).tasks == ["e2e"]


def test_an_article_pasted_for_a_table_is_taken_when_the_model_takes_articles():
    from app.compare.handlers import _pasted_article

    pasted, _ = source_editor.editor_value_of_text("Aldby was flooded.\nNobody was hurt.")
    parsed, table = _pasted_article(pasted)
    assert parsed.source == table["text"] == "Aldby was flooded.\nNobody was hurt."
    assert _pasted_article(source_editor.editor_value([("name", "Alda")])) is None


def test_the_address_keeps_an_article_that_is_not_too_long():
    address = CompareState(task="summarization", article="Aldby was flooded.\nNobody was hurt.")
    assert read_address("?" + write(address), CompareState) == address
    assert len(write(CompareState(article=LONG * 40))) < 100
