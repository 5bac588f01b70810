"""What texts say without support: written sentences, 150 texts of the bundled runs that the rules were tuned on, and 40 others.

Both sets are labelled by hand; the 40 were written and labelled before the check was run on them, and no rule was tuned on them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.metrics.coverage import Coverage, article_scores, cover, cover_article
from analysis.metrics.normalize import words_of
from analysis.metrics.unsupported import FUNCTION
from core import paths
from core.text.tables import parse
from core.text.triples import table_of

LABELS = Path(__file__).with_name("labels.jsonl")
FRESH = Path(__file__).with_name("labels_fresh.jsonl")  # {"table" or "article", "text", "unsupported": pieces of the text}
FOOTBALLER = "name : Nia Corvell | sport : football | country : Japan | goals : 54 | titles : 2"
ARTICLE = "The Corrow Line will end its night ferries to Brannoch on 4 October. None of the 84 crew members will lose their jobs."


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [
        ("Nia Corvell is a Japanese footballer who has scored 54 goals.", []),
        ("Nia offers a high priced restaurant in the city centre.", ["high priced restaurant", "centre"]),
        ("Nia Corvell has won two titles for the Harbour Club.", ["Harbour Club"]),
        ("Nia Corvell is a child friendly pub.", ["child friendly pub"]),
        ("She scored 55 goals and was born in Leeds.", ["55", "born", "Leeds"]),
    ],
)
def test_lower_case_claims_count(text: str, unsupported: list[str]) -> None:
    assert cover(parse(FOOTBALLER), text).unsupported == unsupported


@pytest.mark.parametrize(
    ("field", "text", "present"),
    [
        ("volume : 1", "The Clunter is a 1-star restaurant.", False),
        ("volume : 1", "It is volume 1 of the series.", True),
        ("titles : 9", "Anselm has won nine titles.", True),
        ("number : 11", "It is an 11-seat bus.", False),
        ("country : Japan", "It is a Japanese restaurant.", False),
        ("country : Japan", "It is a Japanese film.", True),
        ("food : Japan", "It serves Japanese food.", True),
    ],
)
def test_a_value_stands_by_its_fields_own_words(field: str, text: str, present: bool) -> None:
    assert bool(cover(parse(field), text).present) == present


def test_a_sound_mark_on_its_own_is_a_word_like_others() -> None:
    """Half-width marks consist of nothing but a combining character, and were left without a form."""
    coverage = cover([("name", "Alda"), ("mark", "ﾞ")], "Alda is ﾟ pub ﾞ ﾟﾟ")
    assert coverage.present == ["name", "mark"] and coverage.unsupported == ["pub", "ﾟﾟ"]
    assert coverage.unsupported_spans == ((10, 13), (16, 18)) and words_of("ｶﾞ")[0].form == words_of("ガ")[0].form


def test_the_places_of_what_is_unsupported_can_be_marked() -> None:
    text = "Nia is a pub; Nia is a pub."
    coverage = cover(parse(FOOTBALLER), text)
    assert coverage.unsupported == ["pub"] and [text[start:end] for start, end in coverage.unsupported_spans] == ["pub", "pub"]


@pytest.mark.parametrize(
    ("text", "missing", "unsupported"),
    [
        ("Feather Inn is a 1-star Japanese restaurant.", ["country"], ["Japanese restaurant"]),
        ("The 5-star hotel Feather Inn is in Japan.", ["rating"], ["5-star hotel"]),
        ("Feather Inn, in Japan, is a 2 star inn or a 3 star pub.", ["rating"], ["2 star", "3 star pub"]),
        ("Feather Inn has 4.5 stars in Japan.", ["rating"], ["4.5 stars"]),
        ("A 4 out of 5 bistro, Feather Inn.", ["country", "rating"], ["4 out of 5", "bistro"]),
    ],
)
def test_what_follows_a_number_of_stars_is_marked_too(text: str, missing: list[str], unsupported: list[str]) -> None:
    coverage = cover([("name", "Feather Inn"), ("country", "Japan"), ("rating", "1")], text)
    assert (coverage.missing, coverage.unsupported) == (missing, unsupported)


def test_a_summary_is_held_to_its_article() -> None:
    assert cover_article(ARTICLE, "Corrow Line ends night ferries to Brannoch in October.").unsupported == []
    coverage = cover_article(ARTICLE, "Corrow Line sacks 85 crew in the United States.")
    assert coverage.unsupported == ["sacks", "85", "United States"]
    (score,) = article_scores([ARTICLE, ARTICLE], ["Ferries end.", "Corrow Line sacks 85 crew."])
    assert (score.name, score.value, score.higher_is_better) == ("Unsupported", 1.0, False)


def _sources() -> dict[str, list | str]:
    rows = {name: (paths.DATA / f"{name}.jsonl").read_text(encoding="utf-8") for name in ("records", "triples", "articles")}
    parsed = {name: [json.loads(line) for line in text.splitlines()] for name, text in rows.items()}
    tables = {row["id"]: [(key, value) for key, value in row["fields"]] for row in parsed["records"]}
    tables |= {row["id"]: table_of([(s, p, o) for s, p, o in row["triples"]]) for row in parsed["triples"]}
    return tables | {row["id"]: row["article"] for row in parsed["articles"]}


def _outcomes(coverage: Coverage, row: dict) -> Iterator[tuple[bool, bool]]:
    """(labelled, marked) of each content word of a text."""
    text = row["text"]
    labels = [match.span() for piece in row["unsupported"] for match in re.finditer(rf"(?<!\w){re.escape(piece)}(?!\w)", text)]
    for word in words_of(text):
        if word.form in FUNCTION or (len(word.form) == 1 and not word.form.isdigit()):
            continue
        inside = [
            any(start < word.end and end > word.start for start, end in spans) for spans in (labels, coverage.unsupported_spans)
        ]
        yield inside[0], inside[1]


def test_precision_and_recall_on_labelled_texts(capsys: pytest.CaptureFixture[str]) -> None:
    """`pytest -s` prints both. The runs: base, prefix and fine-tuned, on bundled tables, triples and articles."""
    sources, counts = _sources(), {"tables": Counter(), "articles": Counter()}
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        source = sources[row["id"]]
        coverage = cover_article(source, row["text"]) if isinstance(source, str) else cover(source, row["text"])
        counts["articles" if isinstance(source, str) else "tables"].update(_outcomes(coverage, row))
    assert len(rows) == 150
    for kind, count in counts.items():
        both = count[True, True]
        precision, recall = both / (both + count[False, True]), both / (both + count[True, False])
        with capsys.disabled():
            print(
                f"\nunsupported words, {kind}: precision {precision:.3f}, recall {recall:.3f} (n = {both + count[True, False]})"
            )
        assert precision > 0.93 and recall > 0.91


def test_precision_and_recall_on_texts_that_no_rule_was_tuned_on(capsys: pytest.CaptureFixture[str]) -> None:
    """The honest number, which docs/results.md reports; `pytest -s` prints it. Topics and articles are not the bundled ones."""
    counts = {"table": Counter(), "article": Counter()}
    rows = [json.loads(line) for line in FRESH.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        kind = "table" if "table" in row else "article"
        assert all(piece in row["text"] for piece in row["unsupported"])
        coverage = cover(parse(row["table"]), row["text"]) if kind == "table" else cover_article(row["article"], row["text"])
        counts[kind].update(_outcomes(coverage, row))
    assert len(rows) == 40
    for kind, count in (counts | {"all": counts["table"] + counts["article"]}).items():
        both = count[True, True]
        precision, recall = both / (both + count[False, True]), both / (both + count[True, False])
        with capsys.disabled():
            print(f"\nfresh texts, {kind}: precision {precision:.3f}, recall {recall:.3f} (n = {both + count[True, False]})")
    assert precision > 0.74 and recall > 0.80
