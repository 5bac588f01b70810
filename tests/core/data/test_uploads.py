"""A file of one's own on its way to a training."""

import gzip
import json

import pytest

from core.data.columns import read_columns
from core.data.source import DataSource
from core.data.uploads import SOURCE, TARGET, preview_file, save_split, write_pasted
from core.errors import BadData, BadInput
from tests.support.tiny_models import EXAMPLES

CSV = 'name;food;text\nAlda;fish;"Alda, by the sea; serves fish."\nBrio;;Brio is open.\n'


def test_columns_and_first_rows_are_shown_whatever_parts_them(tmp_path):
    for mark in ",;\t":
        (tmp_path / "own.csv").write_text(f"name{mark}food{mark}text\nAlda{mark}fish{mark}Alda serves fish.\n")
        assert preview_file(tmp_path / "own.csv").columns == ("name", "food", "text")
    (tmp_path / "semi.csv").write_text(CSV)
    assert preview_file(tmp_path / "semi.csv").rows[0] == ("Alda", "fish", "Alda, by the sea; serves fish.")
    lines = [{"mr": "name[Alda]", "ref": ["One.", "Two."]}, {"mr": "name[B]", "ref": "B.", "more": 1}]
    (tmp_path / "own.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    preview = preview_file(tmp_path / "own.jsonl.gz")
    assert preview.columns == ("mr", "ref", "more") and preview.rows[0] == ("name[Alda]", '["One.", "Two."]', "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own.csv", b"", "own.csv is empty: give a file with a header and rows"),
        ("own.csv", b"name,text\n", "no rows"),
        ("own.csv", bytes(range(256)), "not the header"),
        (
            "own.csv",
            "name,text\nZoë,Zoë is here.\n".encode("latin-1"),
            r"own\.csv, line 2: not UTF-8 text: save the file as UTF-8\.",
        ),
        ("own.csv", "name,text\nAlda,ok\n".encode("utf-16"), "UTF-16"),
        ("own.jsonl", b"\x89PNG\r\n", "no rows"),
        ("own.xlsx", b"PK\x03\x04", "not a file type"),
        ("own.csv.gz", b"no gzip", "cannot be read"),
        ("own.csv", b"x" * 200_000, "not CSV|no rows"),
        ("own.csv", b"na\rme,text\nAlda,ok\n", r"line 1: not CSV \(a line break inside a cell\)"),
        ("own.csv", b"x" * 2_000_001 + b"\ny\n", r"line 1: not CSV \(a cell of more than 2,000,000 characters\)"),
    ],
)
def test_a_bad_upload_is_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=message):
        preview_file(tmp_path / name)


def test_pasted_rows_are_read_as_what_they_are(tmp_path):
    assert write_pasted('{"a": "b"}', tmp_path).name == "pasted.jsonl"
    assert preview_file(write_pasted("name,text\nAlda,Alda is here.", tmp_path)).rows == (("Alda", "Alda is here."),)
    with pytest.raises(BadInput, match="Paste a header"):
        write_pasted("only one line", tmp_path)


def test_kept_rows_train_and_validate_on_different_tables_and_read_the_same(tmp_path):
    examples = [*EXAMPLES, *EXAMPLES]
    folder = save_split(examples, "../Mine & more", tmp_path)
    assert folder.parent == tmp_path and save_split(examples, "../Mine & more", tmp_path) == folder
    source = DataSource(set="columns", data=str(folder), source=(SOURCE,), target=(TARGET,))
    train, valid = source.load_train_valid([])
    assert len(train) + len(valid) == len(examples)
    assert valid and not {one.source for one in train} & {one.source for one in valid}
    assert {one.source for one in [*train, *valid]} == {one.source for one in EXAMPLES}


def test_too_few_tables_to_keep_any_back(tmp_path):
    source = DataSource(set="columns", data=str(save_split(EXAMPLES[:3], "few", tmp_path)), source=(SOURCE,), target=(TARGET,))
    train, valid = source.load_train_valid([])
    assert len(train) == 3 and valid == []


def test_rows_that_cannot_be_used_are_left_out_of_what_is_kept(tmp_path):
    (tmp_path / "semi.csv").write_text(CSV + "Cato;bread\n")
    skipped: list[str] = []
    examples = read_columns(tmp_path / "semi.csv", ["name", "food"], ["text"], skipped=skipped)
    assert [one.source for one in examples] == ["name : Alda | food : fish", "name : Brio"] and "line 4" in skipped[0]


def test_a_pasted_list_of_json_is_read_as_its_objects(tmp_path):
    """On one line it was "nothing", on several a CSV with a strange header."""
    objects = [
        '{"name": "Alda", "stars": 1.50, "text": "Alda, \u2028by the sea."}',
        '{"name": "[B]",\n "stars": 2, "text": "B."}',
    ]
    for text in (f"[{', '.join(objects)}]", "[\n" + ",\n".join(objects) + "\n]\n"):
        file = write_pasted(text, tmp_path)
        assert preview_file(file).columns == ("name", "stars", "text")
        rows = read_columns(file, ["name", "stars"], ["text"])
        assert [one.source for one in rows] == ["name : Alda | stars : 1.50", "name : [B] | stars : 2"]
    broken = write_pasted("[" + objects[0] + ",\n" + '{"name": }]', tmp_path)
    skipped: list[str] = []
    assert len(read_columns(broken, ["name", "stars"], ["text"], skipped=skipped)) == 1 and "line 2" in skipped[0]
