"""Span records, on sentences written for these tests."""

import random

import numpy as np
import pytest

from core.errors import BadInput
from core.pretraining import span_windows
from core.pretraining.corpus import END, prepare
from core.pretraining.field_names import BEFORE, GENERAL
from core.pretraining.made_up_names import MadeUpNames
from core.pretraining.records import Record, render
from core.pretraining.span_windows import SpanWindows
from core.pretraining.spans import FIELDS, key, record_of, records, sentences, spans

FERRY = "The Lady of the Lake is a small passenger ferry built by Mortensen & Sons of Bergen in 1911."
TEXT = (
    "Nora Vik (born 3 May 1954) is a Norwegian painter. She was born in Tromsø and studied at the Oslo Academy of Art. "
    "In 1982 she won the Aurora Prize for a mural of 340 square metres."
)


def values(sentence):
    return [sentence[span.start : span.end] for span in spans(sentence)]


def drawn(title, text, count=200):
    """The records of many draws."""
    return [record for seed in range(count) for record in records(title, text, random.Random(seed))]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (FERRY, ["The Lady of the Lake", "small passenger ferry", "Mortensen & Sons of Bergen", "1911"]),
        ("On 14 March 1902 it sailed 1,250 km for $3.5 million.", ["14 March 1902", "1,250 km", "$3.5 million"]),
        ("It opened on June 4, 1988 with 12 rooms, 45% of them free.", ["June 4, 1988", "12", "45%"]),
        ('In Paris the novel "A Quiet Winter" sold 3,400 copies.', ["Paris", '"A Quiet Winter"', "3,400"]),
        ("Visiting Ada Kern, he met an American film director.", ["Ada Kern", "American film director"]),
    ],
)
def test_values_are_whole(sentence, expected):
    assert values(sentence) == expected


def test_verbs_and_adverbs_are_no_values():
    assert values("Kern quickly painted and sold them while they slowly walked home.") == ["Kern"]


def test_sentences_end_at_full_stops_but_not_at_abbreviations():
    assert sentences("He met Dr. Vik in St. Paul. It rained.") == ["He met Dr. Vik in St. Paul.", "It rained."]


@pytest.mark.parametrize(
    ("sentence", "value", "expected"),
    [
        ("Nora Vik (born 3 May 1954) paints.", "3 May 1954", {*BEFORE["born"]["date"], "born"}),
        ("The town has a population of 3,400 today.", "3,400", {*BEFORE["population"]["quantity"], "population"}),
        ("The hall was designed by Ada Kern.", "Ada Kern", {*BEFORE["designed"]["name"], "designed by"}),
        ("The club won 12 medals there.", "12", {"medals", "number of medals"}),
        ("He moved to Vestre County then.", "Vestre County", {"county"}),
        ("She lives with her brother, Ola Vik.", "Ola Vik", {"brother"}),
    ],
)
def test_keys_read_like_fields(sentence, value, expected):
    """Mostly; now and then a key is general."""
    [span] = [span for span in spans(sentence) if sentence[span.start : span.end] == value]
    keys = [key(span, value, random.Random(seed)) for seed in range(100)]
    assert expected <= set(keys) and sum(name in expected for name in keys) > 40
    others = set(keys) - expected
    general = {*GENERAL[span.kind], *(name for names in BEFORE.values() for name in names.get(span.kind, ()))}
    assert all(name in general or name in sentence for name in others)


def test_a_record_holds_what_its_sentence_says():
    result = drawn("", FERRY)
    assert len(result) > 100 and all(record.sentence == FERRY for record in result)
    for record in result:
        assert 2 <= len(record.fields) <= FIELDS and all(value in FERRY for _, value in record.fields)
        assert len({name for name, _ in record.fields}) == len(record.fields)
    assert len({record.fields for record in result}) > 50  # new keys and fields at every draw
    assert sum("1911" in dict(record.fields).values() for record in result) > 0.85 * len(result)


def test_draws_are_the_same_from_the_same_seed():
    assert records("Nora Vik", TEXT, random.Random(3)) == records("Nora Vik", TEXT, random.Random(3))


def test_the_subject_is_given_once_and_stands_for_pronouns():
    born = [record for record in drawn("Nora Vik", TEXT) if "Tromsø" in record.sentence]
    assert born and all(record.fields[0][1] == "Nora Vik" for record in born)
    openings = {record.sentence.split(" was born")[0] for record in born if record.sentence.startswith(("She", "Nora Vik was"))}
    assert openings == {"She", "Nora Vik"}
    assert not any("She" in value for record in born for _, value in record.fields)


def test_some_records_take_two_sentences():
    counts = {len(sentences(record.sentence)) for record in drawn("Nora Vik", TEXT)}
    assert counts == {1, 2}


def test_unclear_and_empty_sentences_make_no_record():
    for sentence in ("However, this was not at all what they had in mind.", "They then went there again and again.", "Yes!"):
        assert record_of("", [sentence], random.Random(0)) is None


def test_what_is_said_aside_is_about_the_name_before_it():
    text = "Nora Vik was taught by Ada Kern, a sculptor from Lisbon, in 1970."
    subjects = {
        (value, subject)
        for record in drawn("Nora Vik", text)
        for (_, value), subject in zip(record.fields, record.subjects, strict=True)
    }
    assert {("Ada Kern", "Nora Vik"), ("sculptor", "Ada Kern")} <= subjects


def test_triples_name_the_subject_of_each():
    record = Record(
        (("name", "Nora Vik"), ("teacher", "Ada Kern"), ("city", "Lisbon")), "S.", ("Nora Vik", "Nora Vik", "Ada Kern")
    )
    documents = ["".join(text for text, _ in parts) for seed in range(300) for parts in render([record], random.Random(seed))]
    assert any("Nora Vik : teacher : Ada Kern | Ada Kern : city : Lisbon" in text for text in documents)
    assert any("Nora_Vik : teacher : Ada_Kern" in text for text in documents)
    assert {"{", "|", "n", "N"} <= {text[0] for text in documents}  # JSON, Markdown and others


def test_parts_that_are_sentences_are_marked():
    for seed in range(100):
        [parts] = render([Record((("name", "Nora Vik"), ("city", "Oslo")), "Nora Vik lives in Oslo.")], random.Random(seed))
        assert [text.strip() for text, is_sentence in parts if is_sentence] == ["Nora Vik lives in Oslo."]
        assert "Oslo" in parts[0][0] and not parts[0][0].endswith(" ")


def test_made_up_names_and_numbers_are_the_same_in_record_and_sentence():
    names = MadeUpNames([TEXT, FERRY, "Marta Oliveira of Coimbra met Sven Halvorsen in a garden by the river in autumn."])
    record = Record((("name", "Nora Vik"), ("place", "Tromsø"), ("year", "1954")), "Nora Vik was born in Tromsø in 1954.")
    renamed = [names.renamed(record, random.Random(seed)) for seed in range(200)]
    for other in renamed:
        assert all(value in other.sentence for _, value in other.fields), other
        assert other.sentence.endswith(".") and " was born in " in other.sentence
    assert sum(other == record for other in renamed) > 50
    assert (
        sum("Nora" not in other.sentence for other in renamed) > 40
        and sum("1954" not in other.sentence for other in renamed) > 25
    )


def test_a_name_in_lower_case_is_made_up_as_a_whole():
    names = MadeUpNames([TEXT, FERRY, "In a garden by the river of an island in autumn"])
    record = Record((("hotel name", "red door inn"), ("area", "north")), "the red door inn is in the north .")
    renamed = [names.renamed(record, random.Random(seed)) for seed in range(100)]
    assert {other.fields[1] for other in renamed} == {("area", "north")}
    assert sum(other.fields[0][1] != "red door inn" for other in renamed) > 25
    assert all(other.sentence == f"the {other.fields[0][1]} is in the north ." for other in renamed)


def test_a_name_that_the_sentence_lacks_stays():
    names = MadeUpNames([TEXT, FERRY])
    record = Record((("name", "Nora Vik"), ("place", "Tromsø")), "She was born in Tromsø.")
    assert {names.renamed(record, random.Random(seed)).fields[0] for seed in range(60)} == {("name", "Nora Vik")}


def span_windows_of(folder, text):
    (folder / "text.txt").write_text(f"{text}\n{END}\n" * 3, encoding="utf-8")
    prepare(folder, None, folder / "corpus", 320)
    return SpanWindows(folder / "corpus", "train")


@pytest.mark.parametrize(
    "text",
    ["Нора Вик родилась в Тромсё и училась в Осло. В 1982 году она получила премию.", "诺拉出生于奥斯陆。", TEXT.lower()],
)
def test_text_that_makes_no_record_is_refused(tmp_path, monkeypatch, text):
    """It was drawn from for ever."""
    monkeypatch.setattr(span_windows, "TRIES", 50)
    with pytest.raises(BadInput, match=r"none of 50 passages of its train part has an English .* span_share=0"):
        span_windows_of(tmp_path, text).batch(1, 65, np.random.default_rng(0))


def test_text_that_seldom_makes_a_record_is_drawn_from_until_it_does(tmp_path, monkeypatch):
    windows = span_windows_of(tmp_path, TEXT)
    draws, passage = [], windows._passage

    def fifth(rng):
        draws.append(0)
        return passage(rng) if len(draws) % 5 == 0 else ("", "no.")

    monkeypatch.setattr(span_windows, "TRIES", 5)
    monkeypatch.setattr(windows, "_passage", fifth)
    assert windows.batch(2, 65, np.random.default_rng(0))[0].shape == (2, 65) and len(draws) >= 10
