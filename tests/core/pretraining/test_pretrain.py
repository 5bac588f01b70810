"""The pre-training recipe: what text is made of the corpora, and what is never read."""

import gzip
import json
import random

import numpy as np
import pytest
import torch

from core.errors import BadData, BadInput, StoreError
from core.pretraining import loop
from core.pretraining.corpus import END, Windows, prepare, record_documents, text_documents
from core.pretraining.loop import rate_factor
from core.pretraining.made_up_names import MadeUpNames
from core.pretraining.pack import join_pieces, pack_corpus, write_pieces
from core.pretraining.records import LAYOUTS, RECORD_SETS, Record, documents, read_set
from core.pretraining.withheld import Withheld

FIELDS = (("name", "Ada"), ("price range", "low"), ("area", "old town"))


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_what_the_project_measures_on_is_never_read():
    assert not any(name in entry for entry in RECORD_SETS for name in ("e2e", "webnlg", "dart", "restaurant"))


def test_system_turns_that_state_something_are_kept(tmp_path):
    actions = [["Hotels_1", "INFORM", "area", ["west"]], ["Hotels_1", "OFFER", "name", ["Ada", "Bob"]]]
    rows = [
        {"speaker": "USER", "actions": actions, "table": "t", "text": "user"},
        {"speaker": "SYSTEM", "actions": [["Hotels_1", "REQUEST", "city", []]], "table": "t", "text": "which city?"},
        {"speaker": "SYSTEM", "actions": actions, "table": "t", "text": "Ada is in the west."},
    ]
    assert list(read_set(write(tmp_path / "a.jsonl", rows))) == [
        Record((("area", "west"), ("name", "Ada, Bob")), "Ada is in the west.")
    ]


def test_requests_are_left_out_and_word_endings_joined(tmp_path):
    rows = [
        {"table": "act : ?confirm | type : hotel | price : low", "text": "low ?"},
        {"table": "act : inform | type : hotel | price : low | area : ?", "text": "cheap hotel -s here"},
    ]
    records = list(read_set(write(tmp_path / "a.jsonl", rows)))
    assert records == [Record((("type", "hotel"), ("price", "low")), "cheap hotels here")]


def test_a_broken_row_names_file_and_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"table": "a : b", "text": "c"}\n{"table"\n')
    with pytest.raises(BadData, match=r"a\.jsonl, line 2"):
        list(read_set(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"table": "a : \xff"}\n', r"a\.jsonl, line 1: not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"rows": [["a"]]}\n' * 9, mtime=0)[:30], r"a\.jsonl\.gz cannot be read"),
        ("a.jsonl", b'{"rows": []}\n', r"a\.jsonl, line 1: not a record"),
        ("a.jsonl", b'{"table": 5, "text": "a"}\n', r"a\.jsonl, line 1: not a record"),
    ],
)
def test_records_that_cannot_be_read_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=message):
        list(read_set(tmp_path / name))


def test_withheld_rows_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "set").mkdir()
    file = tmp_path / "set" / "train.jsonl"
    for content, message in (
        (b'{"article": "\xff"}\n', "line 1: not UTF-8"),
        (b'{"article": 5, "summary": "a"}', "line 1: 'article'"),
    ):
        file.write_bytes(content)
        with pytest.raises(BadData, match=message):
            Withheld(tmp_path)


def test_a_corpus_that_was_prepared_otherwise_is_not_taken_for_the_one_asked_for(tmp_path):
    """Another preset or corpus, or --records or --withhold given later, was left unread: mini-bart had the wrong words."""
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    (corpus / "a.txt").write_text("some words\n<|endoftext|>\n" * 20)
    write(tmp_path / "withhold" / "set" / "test.jsonl", [{"article": "a b", "summary": "c d"}])
    first = prepare(corpus, None, out, 300)
    assert prepare(corpus, None, out, 300) == first
    with pytest.raises(BadInput, match="with a vocabulary of 300, and the preset has 8,192"):
        prepare(corpus, None, out, 8192)
    with pytest.raises(BadInput, match="with other words than those of mini-gpt2"):
        prepare(corpus, None, out, 300, start="mini-gpt2")
    with pytest.raises(BadInput, match="without --records"):
        prepare(corpus, tmp_path, out, 300)
    with pytest.raises(BadInput, match="without --withhold"):
        prepare(corpus, None, out, 300, withheld=Withheld(tmp_path / "withhold"))
    (corpus / "b.txt").write_text("other words\n<|endoftext|>\n" * 20)
    with pytest.raises(BadInput, match="from other files than those of --corpus"):
        prepare(corpus, None, out, 300)
    with pytest.raises(BadInput, match="There is no folder"):
        prepare(tmp_path / "gone", None, out, 300)
    assert prepare(None, None, out, 300) == first
    second = prepare(corpus, None, tmp_path / "like", 300, start="mini-gpt2")
    assert prepare(corpus, None, tmp_path / "like", 300, start="mini-gpt2") == second


def test_places_that_cannot_be_written_or_joined_are_named(tmp_path):
    """Each of these ended in a traceback, the last ones after hours of training."""
    corpus, file = tmp_path / "corpus", tmp_path / "a-file"
    corpus.mkdir()
    (corpus / "a.txt").write_text("some words\n<|endoftext|>\n" * 20)
    file.write_text("x")
    with pytest.raises(StoreError, match=r"Cannot write .*a-file.*give another folder with --out"):
        prepare(corpus, None, file / "out", 300)
    prepare(corpus, None, tmp_path / "out", 300)
    with pytest.raises(StoreError, match=r"Cannot write .*Give --pack a file"):
        pack_corpus(tmp_path / "out", file / "corpus.tar")
    with pytest.raises(StoreError, match=r"Cannot write .*give --pieces another folder"):
        write_pieces(tmp_path / "out", file)
    (tmp_path / "notes.piece").write_text("x")
    with pytest.raises(BadInput, match=r"no pieces of a model"):
        join_pieces(tmp_path, tmp_path / "model")
    with pytest.raises(StoreError, match=r"Cannot write .*checkpoint.pt.*goes on from the last checkpoint"):
        loop._save(file, torch.nn.Linear(1, 1), [], {})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_every_value(layout):
    text = layout(FIELDS)
    assert all(value in text for _, value in FIELDS) and all(key in text for key, _ in FIELDS[1:])


def test_a_third_of_the_records_is_packed_with_others():
    records = [Record(FIELDS, f"sentence-{n}.") for n in range(6000)]
    texts = list(documents(records, random.Random(0)))
    counts = [text.count("sentence-") for text in texts]
    packed = sum(count for count in counts if count > 1) / sum(counts)
    assert sum(counts) == 6000 and max(counts) == 6 and 0.28 < packed < 0.39


def test_a_corpus_becomes_tokens_with_held_out_documents(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    texts = [f"Document {n}\nA line about {n}." for n in range(450)]
    (folder / "a.txt").write_text("".join(f"{text}\n{END}\n" for text in texts))
    assert list(text_documents(folder / "a.txt")) == texts
    games = [{"table": f"name : G{n} | genre : puzzle", "text": f"G{n}."} for n in range(300)]
    write(tmp_path / "records" / "viggo" / "train.jsonl", games)
    report = prepare(folder, tmp_path / "records", tmp_path / "out", 320)
    assert report["streams"]["a"]["documents"] == 450 and report["streams"]["a"]["valid_tokens"] > 0
    assert prepare(folder, None, tmp_path / "out", 320) == report  # made once
    windows = Windows(tmp_path / "out", "train", 0.25, 17)
    assert dict(zip(windows.names, windows.weights, strict=True)) == {"a": 0.75, "records": 0.25}
    batch = windows.batch(3, 17, np.random.default_rng(0))
    assert batch.shape == (3, 17) and batch.min() >= 0 and batch.max() < 320


def documents_in(path, count, words=40):
    path.parent.mkdir(exist_ok=True)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt") as file:
        file.write(f"{'word ' * words}\n{END}\n" * count)


def test_files_that_share_the_beginning_of_their_name_are_streams_of_their_own(tmp_path):
    """Only the last of them was read."""
    documents_in(tmp_path / "news.2020.txt", 3)
    documents_in(tmp_path / "news.2021.txt.gz", 4)
    streams = prepare(tmp_path, None, tmp_path / "out", 300)["streams"]
    assert {name: counts["documents"] for name, counts in streams.items()} == {"news.2020": 3, "news.2021": 4}
    assert (tmp_path / "out" / "news.2020.train.bin").stat().st_size > 0


def test_two_files_of_one_name_and_one_named_like_the_records_are_refused(tmp_path):
    documents_in(tmp_path / "twice" / "a.txt", 3)
    documents_in(tmp_path / "twice" / "a.txt.gz", 3)
    with pytest.raises(BadInput, match=r"a\.txt and a\.txt\.gz in .*twice have the same name"):
        prepare(tmp_path / "twice", None, tmp_path / "out", 300)
    documents_in(tmp_path / "named" / "records.txt", 3)
    with pytest.raises(BadInput, match=r"records\.txt has the name under which the corpus keeps its records"):
        prepare(tmp_path / "named", None, tmp_path / "out", 300)
    assert not (tmp_path / "out").exists()


def test_a_stream_that_is_shorter_than_a_window_is_named(tmp_path):
    """It ended the training with an error of NumPy at some update."""
    documents_in(tmp_path / "long.txt", 300)
    documents_in(tmp_path / "short.txt", 2, words=9)
    streams = prepare(tmp_path, None, tmp_path / "out", 300)["streams"]
    size = streams["short"]["train_tokens"]
    assert 0 < size < 65
    with pytest.raises(BadInput, match=f"train part .* windows of 65 tokens: short has {size}\\. "):
        Windows(tmp_path / "out", "train", 0.25, 65)
    most = streams["long"]["valid_tokens"]
    held_out = Windows(tmp_path / "out", "valid", 0.0, most)
    assert held_out.names == ["long"] and held_out.batch(4, most, np.random.default_rng(0)).shape == (4, most)
    with pytest.raises(BadInput, match=f"valid part .*: long has {most}, short has "):
        Windows(tmp_path / "out", "valid", 0.0, most + 1)


def test_a_text_of_one_document_has_nothing_to_train_on(tmp_path):
    documents_in(tmp_path / "one.txt", 1)
    prepare(tmp_path, None, tmp_path / "out", 300)
    with pytest.raises(BadInput, match=r"train part .* it is empty"):
        Windows(tmp_path / "out", "train", 0.0, 65)


def test_an_empty_corpus_says_so(tmp_path):
    with pytest.raises(BadInput, match=r"no \.txt"):
        prepare(tmp_path, None, tmp_path / "out", 300)
    with pytest.raises(BadInput, match="No records"):
        list(record_documents(tmp_path, random.Random(0)))


def test_the_rate_is_constant_and_then_falls_to_two_percent():
    assert [rate_factor(done, 0.5) for done in (0.0, 0.49)] == [1.0, 1.0]
    assert rate_factor(0.75, 0.5) == pytest.approx(0.51) and rate_factor(1.0, 0.5) == pytest.approx(0.02)


def test_records_with_sentences_come_again_with_made_up_names(tmp_path):
    rows = [{"table": "name : Zorba Inn | area : north", "text": "Zorba Inn is in the north."} for _ in range(40)]
    write(tmp_path / "viggo" / "train.jsonl", rows)
    names = MadeUpNames(["Marta Oliveira met Sven Halvorsen in a garden by the river in autumn."])
    once = "".join(record_documents(tmp_path, random.Random(0)))
    twice = "".join(record_documents(tmp_path, random.Random(0), names))
    assert once.count(" is in the north.") == 40 == once.count("Zorba Inn is") and twice.count(" is in the north.") == 80
    assert 40 < twice.count("Zorba Inn is") < 75
