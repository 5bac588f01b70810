"""The promises that assets/data/README.md makes about the bundled records."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from analysis.metrics.coverage import cover
from core.data.webnlg_files import SEEN_CATEGORIES
from core.text.articles import article, sentences
from core.text.triples import dart_source, parse_triples, table_of, webnlg_source

UNSEEN = ("Artist", "Athlete", "CelestialBody", "MeanOfTransportation", "Politician")

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "data"
SPLITS = {"train", "valid", "test", "example"}
KEYS = {"id", "topic", "held_out", "split", "fields", "targets"}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    text = (FOLDER / "records.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def tables() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / "tables.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def training() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / "training_tables.jsonl").read_text(encoding="utf-8").splitlines()]


def test_there_are_enough_rows_and_topics(rows: list[dict]) -> None:
    assert len(rows) >= 140
    assert len({row["topic"] for row in rows}) >= 6


def test_every_row_has_the_documented_keys_and_a_unique_id(rows: list[dict], tables: list[dict], training: list[dict]) -> None:
    assert all(set(row) == KEYS for row in rows + tables + training)
    assert [identity for identity, n in Counter(row["id"] for row in rows + tables + training).items() if n > 1] == []


def test_no_table_and_no_sentence_stands_twice(rows: list[dict], tables: list[dict], training: list[dict]) -> None:
    # A table in two splits would let training see what is scored.
    sources = Counter(json.dumps(row["fields"]) for row in rows + tables + training)
    sentences = Counter(target for row in rows + tables + training for target in row["targets"])
    assert [item for item, n in (sources + sentences).items() if n > 1] == []


def test_fields_can_be_written_as_one_line(rows: list[dict], tables: list[dict], training: list[dict]) -> None:
    for row in rows + tables + training:
        keys = [key for key, _ in row["fields"]]
        assert 2 + (row in rows) <= len(keys) <= 8 and len(set(keys)) == len(keys), row["id"]
        for part in (part for field in row["fields"] for part in field):
            assert part and part == part.strip(), row["id"]
            assert not any(mark in part for mark in (" | ", " : ", "\n")), row["id"]


def test_targets_are_plain_sentences(rows: list[dict], tables: list[dict], training: list[dict]) -> None:
    for row in rows + tables + training:
        assert 1 <= len(row["targets"]) <= 3, row["id"]
        for target in row["targets"]:
            assert target == target.strip() and target.endswith(".") and "  " not in target, row["id"]
            assert not re.search(r" ,| \.(?!\w)|£ |\$ ", target), row["id"]  # as a tokenizer would leave it; " .bfl" is a value
        for target in row["targets"] if row in rows else ():
            # The first field names what the table is about: a reference that leaves its value out tells another table.
            assert row["fields"][0][1].casefold() in target.casefold() or row["topic"] == "journeys", row["id"]


def test_at_least_a_third_of_the_rows_have_several_references(rows: list[dict]) -> None:
    assert sum(len(row["targets"]) > 1 for row in rows) * 3 >= len(rows)


def test_held_out_topics_are_not_for_training(rows: list[dict]) -> None:
    flags = {topic: {row["held_out"] for row in rows if row["topic"] == topic} for topic in {row["topic"] for row in rows}}
    assert all(len(values) == 1 for values in flags.values())
    assert sum(values == {True} for values in flags.values()) == 2
    for topic, values in flags.items():
        splits = {row["split"] for row in rows if row["topic"] == topic}
        assert splits == ({"test", "example"} if values == {True} else SPLITS), topic


def test_the_card_states_the_true_counts(rows: list[dict]) -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for topic in {row["topic"] for row in rows}:
        mine = [row for row in rows if row["topic"] == topic]
        by_split = Counter(row["split"] for row in mine)
        counts = [by_split[split] for split in ("train", "valid", "test", "example")]
        cells = [topic, *counts, len(mine), sum(len(row["targets"]) for row in mine), "yes" if mine[0]["held_out"] else "no"]
        assert "| " + " | ".join(map(str, cells)) + " |" in card, topic


def test_the_many_topics_are_as_their_card_says(tables: list[dict]) -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    held_out = {row["topic"] for row in tables if row["held_out"]}
    others = {row["topic"] for row in tables} - held_out
    assert (len(held_out), len(others), len(tables)) == (8, 36, 712)
    assert all(f"{topic}," in card or f"{topic}." in card for topic in held_out | others)
    for topic in held_out | others:
        splits = Counter(row["split"] for row in tables if row["topic"] == topic)
        expected = {"test": 6, "example": 2} if topic in held_out else {"train": 13, "valid": 2, "test": 2, "example": 1}
        assert splits == expected, topic


def test_sentences_of_the_many_topics_state_what_their_tables_say(tables: list[dict]) -> None:
    shares = [cover([(key, value) for key, value in row["fields"]], text) for row in tables for text in row["targets"]]
    fields = sum(len(row["fields"]) for row in tables for _ in row["targets"])
    assert sum(len(share.missing) for share in shares) <= fields // 10  # "yes" and "Sweden" become other words in a sentence


def test_the_training_tables_are_as_their_card_says(rows: list[dict], tables: list[dict], training: list[dict]) -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    topics = {row["topic"] for row in training}
    assert (len(topics), len(training), sum(len(row["targets"]) for row in training)) == (140, 2800, 3951)
    assert all(f" {topic}," in card or f" {topic}." in card for topic in topics)
    assert not topics & {row["topic"] for row in rows + tables if row["held_out"]}
    splits = {topic: Counter(row["split"] for row in training if row["topic"] == topic) for topic in topics}
    assert all(split == {"train": 19, "valid": 1} for split in splits.values())
    trained = [row for row in rows + tables + training if row["split"] == "train"]
    assert f"{len(trained):,} tables of {len({row['topic'] for row in trained})} topics" in card


def test_the_training_tables_texts_state_every_value_and_nothing_else(training: list[dict]) -> None:
    for row in training:
        for text in row["targets"]:
            coverage = cover([(key, value) for key, value in row["fields"]], text)
            assert (coverage.missing, coverage.unsupported) == ([], []), text


def test_no_name_of_the_held_out_topics_is_trained_on(rows: list[dict], tables: list[dict], training: list[dict]) -> None:
    learned = [row for row in rows + tables + training if row["split"] in ("train", "valid")]
    trained = " ".join(target for row in learned for target in row["targets"])
    held_out = [row for row in tables if row["held_out"]]
    names = {value for row in held_out for key, value in row["fields"] if key in ("name", "title", "player", "language", "dance")}
    assert len(names) > 10 and [name for name in names if name in trained] == []


@pytest.fixture(scope="module")
def triples() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / "triples.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_triples_are_as_their_card_says(triples: list[dict]) -> None:
    assert all(set(row) == {"id", "category", "seen", "triples", "texts"} for row in triples)
    assert len({row["id"] for row in triples}) == len(triples) == 18
    assert {row["category"] for row in triples if row["seen"]} == SEEN_CATEGORIES
    assert {row["category"] for row in triples if not row["seen"]} == set(UNSEEN)
    assert all(row["seen"] == (row["category"] in SEEN_CATEGORIES) for row in triples)
    assert Counter(row["seen"] for row in triples) == {True: 11, False: 7}


def test_the_texts_of_triples_tell_all_of_them_and_nothing_else(triples: list[dict]) -> None:
    for row in triples:
        parts = [tuple(triple) for triple in row["triples"]]
        assert 1 <= len(parts) <= 4 and parse_triples(webnlg_source(parts)) == parts and dart_source(parts)
        for text in row["texts"]:
            coverage = cover(table_of(parts), text)
            assert (coverage.missing, coverage.unsupported) == ([], []), text


@pytest.fixture(scope="module")
def articles() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / "articles.jsonl").read_text(encoding="utf-8").splitlines()]


def test_articles_are_what_their_card_says(articles: list[dict]) -> None:
    assert Counter(row["topic"] for row in articles) == dict.fromkeys(("news", "sport", "science", "local"), 3)
    assert len({row["id"] for row in articles}) == len({row["title"] for row in articles}) == 12
    for row in articles:
        assert set(row) == {"id", "topic", "held_out", "title", "article", "summary"}, row["id"]
        assert row["held_out"] == (row["topic"] == "sport"), row["id"]
        assert 120 <= len(row["article"].split()) <= 400 and row["article"].count("\n") == 3, row["id"]
        assert 20 <= len(row["summary"].split()) <= 30, row["id"]


def test_articles_pass_as_they_stand_and_summaries_are_one_sentence(articles: list[dict]) -> None:
    # Text that the reader would tidy shows differently after a click than in the file.
    for row in articles:
        assert article(row["article"]) == row["article"], row["id"]
        assert len(sentences(row["summary"])) == 1 and row["summary"].endswith("."), row["id"]


def test_every_name_in_a_summary_stands_in_its_article(articles: list[dict]) -> None:
    for row in articles:
        names = re.findall(r"(?<=\s)[A-Z][\w-]+", row["summary"])  # a summary's first word may be no name
        assert [name for name in names if name not in row["article"]] == [], row["id"]
