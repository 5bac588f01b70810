"""The text of a column: what the input supports and what it does not is marked where it stands."""

import pytest

from analysis.metrics.coverage import cover
from app.compare.columns import columns, legend, mark_texts
from app.compare.comparison import CompareRequest, Comparison
from app.compare.gallery import Gallery, GalleryText
from app.compare.gallery_view import gallery
from app.shared.examples import samples
from app.shared.highlight import render, unsupported_reason
from core.config.decode import DecodeConfig

FIELDS = [("name", "Alda"), ("Type", "pub"), ("area", "riverside")]
ARTICLE = "The Corrow Line will end its night ferries to Brannoch on 4 October. None of the 84 crew members will lose their jobs."


def comparison(context, text, **request):
    result = Comparison(CompareRequest(order=("base", "prefix"), **request), context.models.backbone(context.models.default))
    for column in result.columns.values():
        column.text, column.state, column.tokens = text, "eos", 9
    return result


def test_unsupported_pieces_are_marked_with_the_reason_as_title():
    html = render("Alda, a cinema in Leeds, has 5 rooms.", values=[(0, 4, "name")], unsupported=[(8, 14), (18, 23), (29, 30)])
    assert '<span class="v" title="name">Alda</span>' in html
    for piece, kind in (("cinema", "word"), ("Leeds", "name"), ("5", "number")):
        assert f'<span class="u" title="Unsupported: no such {kind} in the input">{piece}</span>' in html
    assert "<b" not in render("<b>5", unsupported=[(0, 4)]) and unsupported_reason("£20-25") == unsupported_reason("5")


def test_a_table_is_held_against_its_texts(context):
    result = comparison(context, "Alda is a cinema by the riverside .", source="x")
    html = columns(result, FIELDS)["prefix"]
    assert '<span class="u" title="Unsupported: no such word in the input">cinema</span>' in html
    assert '<span class="v" title="area">riverside</span>' in html
    assert '<span class="chip beyond">cinema</span>' in html and "covered, 2 of 3" in html


def test_an_article_is_held_against_its_summaries(context):
    text = "Corrow Line sacks 85 crew."
    result = comparison(context, text, source=ARTICLE, form="article")
    html = columns(result, [])["base"]
    for piece in ("sacks", "85"):
        assert f'in the input">{piece}</span>' in html and f'<span class="chip beyond">{piece}</span>' in html
    assert '<span class="lead">covered' not in html and '<span class="lead">left out' not in html


def test_a_text_that_still_grows_is_not_judged(context):
    result = comparison(context, "Alda is a cin", source="x")
    result.columns["base"].state = "streaming"
    marks = mark_texts(result, FIELDS)
    assert marks["base"].coverage is None and marks["prefix"].coverage is not None
    assert 'class="u"' not in columns(result, FIELDS)["base"]


def test_the_gallery_marks_them_too(context):
    backbone = context.models.backbone(context.models.default)
    run = context.models.load("tiny-prefix", backbone).run
    result = Gallery("table", {"prefix": run}, DecodeConfig(), open=False)
    result.texts = {(sample.id, "prefix"): GalleryText() for sample in samples("table")}
    first = samples("table")[0]
    result.texts[first.id, "prefix"] = GalleryText("A zeppelin.", cover(list(first.fields), "A zeppelin."))
    assert 'in the input">zeppelin</span>' in gallery(result)


def test_the_legend_says_what_the_check_sees_and_what_it_cannot_see():
    html = legend()
    assert "cannot see" in html and html.count('class="u"') == html.count('class="v"') == html.count('class="d"') == 1


@pytest.mark.parametrize("form", ["table", "article"])
def test_differences_are_marked_between_the_first_two_runs(context, form):
    request = CompareRequest(ARTICLE, form=form, order=("prefix", "base", "other"))
    result = Comparison(request, context.models.backbone(context.models.default))
    for slot, text in (("prefix", "a cheap pub"), ("base", "x"), ("other", "a dear pub")):
        result.columns[slot].text, result.columns[slot].state = text, "eos"
    html = columns(result, [])
    assert 'class="d' in html["prefix"] and 'class="d' in html["other"] and 'class="d' not in html["base"]
