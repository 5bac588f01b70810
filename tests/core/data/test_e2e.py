import gzip
import json
from pathlib import Path

import pytest

from core.data.e2e import read_bundled, read_e2e
from core.data.registry import group_by_source
from core.errors import BadData
from core.task import Example

ROW = {"table": "name : Ivy House | price : £ 20 - 25", "mr": "name[Ivy House], priceRange[£20-25]",
       "text": "Ivy House costs £ 20 - 25 .", "text_orig": "Ivy House costs £20-25."}  # fmt: skip
READ = Example(ROW["table"], (ROW["text"],), id="dev-1", originals=(ROW["text_orig"],))


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_jsonl_plain_and_gzipped_by_folder_and_split(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(jsonl(ROW) + "\n", encoding="utf-8")
    with gzip.open(tmp_path / "train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(jsonl({key: ROW[key] for key in ("mr", "text")}, ROW))
    assert read_e2e(tmp_path, "dev") == read_e2e(tmp_path, "valid") == read_e2e(tmp_path / "dev.jsonl") == [READ]
    first, second = read_e2e(tmp_path, "train")
    assert (first.source, first.targets, first.originals) == (READ.source, READ.targets, ())  # the table made from the mr
    assert second.originals == READ.originals


def test_official_csv_is_tokenised_like_the_training_text(tmp_path: Path) -> None:
    text = '\ufeffmr,ref\n"name[Ivy House], priceRange[£20-25]","Ivy House costs £20-25."\n"name[A, B]","It\'s A,\nB."\n'
    (tmp_path / "devset.csv").write_text(text, encoding="utf-8")
    first, second = read_e2e(tmp_path, "dev")
    assert (first.source, first.targets, first.originals) == (READ.source, READ.targets, READ.originals)
    assert (second.source, second.targets) == ("name : A, B", ("It 's A , B .",))


def test_grouped_gathers_references_in_order() -> None:
    other = Example("b", ("2",))
    rows = [Example("a", ("1",), originals=("I",), id="x-1"), other, Example("a", ("3",), originals=("III",), id="x-3")]
    assert group_by_source(rows) == [Example("a", ("1", "3"), originals=("I", "III"), id="x-1"), other]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("dev.jsonl", jsonl(ROW, {"table": "name : X"}), 'dev.jsonl, line 2: "text" is missing'),
        ("dev.jsonl", jsonl({**ROW, "text": " "}), 'line 1: "text" is empty'),
        ("dev.jsonl", jsonl({**ROW, "text": 5}), 'line 1: "text" is not a text'),
        ("dev.jsonl", jsonl({"mr": "name[X] food[", "text": "X."}), "line 1: Field 2, 'food', is not closed"),
        ("dev.jsonl", jsonl(ROW) + '{"table": ', "line 2: not a JSON object"),
        ("dev.jsonl", jsonl(ROW, [1]), "line 2: not a JSON object"),
        ("dev.jsonl", "", "has no rows"),
        ("dev.jsonl", jsonl(ROW).encode() + b"\xff\xfe\n", "line 2: not UTF-8"),
        ("dev.jsonl.gz", b"no gzip", "cannot be read"),
        ("dev.jsonl.gz", gzip.compress(jsonl(ROW).encode() * 50, mtime=0)[:-20], "cannot be read"),
        ("dev.csv", "MR\nname[X]\n", "line 1: the columns are mr, and mr and ref are needed"),
        ("dev.csv", "mr,ref\nname[X],X.\nname[X],X,Y\n", "line 3: 3 cells under 2 columns"),
        ("dev.csv", "mr,ref\nname[X],\n", 'line 2: "ref" is empty'),
        ("dev.csv", "mr,ref\n", "has no rows"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_reason(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadData) as caught:
        read_e2e(tmp_path / name)
    assert message in str(caught.value) and name in str(caught.value)


def test_missing_files_and_splits_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="choose train, dev or test"):
        read_e2e(tmp_path)
    with pytest.raises(BadData, match=r"looked for test\b.*, ending in \.jsonl\.gz, \.jsonl or \.csv"):
        read_e2e(tmp_path, "test")
    with pytest.raises(BadData, match=r"nowhere\.jsonl cannot be read"):
        read_e2e(tmp_path / "nowhere.jsonl")


def test_bundled_rows(tmp_path: Path) -> None:
    row = {"id": "film-001", "topic": "films", "held_out": True, "split": "test", "fields": [["name", "Q"], ["year", "1999"]],
           "targets": ["Q is from 1999.", "Q came out in 1999."]}  # fmt: skip
    file = tmp_path / "records.jsonl"
    file.write_text(jsonl(row, {**row, "id": "film-002", "split": "example", "held_out": False}), encoding="utf-8")
    first, second = read_bundled(file)
    texts = ("Q is from 1999.", "Q came out in 1999.")
    assert first == Example("name : Q | year : 1999", texts, "films", False, "film-001", texts)
    assert second.seen and read_bundled(file, "example") == [second]
    file.write_text(jsonl({**row, "fields": [["name"]]}), encoding="utf-8")
    with pytest.raises(BadData, match='line 1: "fields" is not a list'):
        read_bundled(file)
