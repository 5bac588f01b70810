"""Readers of WebNLG, DART and own data: both official forms and ours agree, and a bad row is named or passed over."""

import gzip
import json
from pathlib import Path

import pytest

from core.data.columns import read_columns
from core.data.e2e import read_e2e
from core.data.registry import evenly_spaced, group_by_source, parse_input, read_set, sample_evenly, table_of_source
from core.data.source import DataSource
from core.data.summarization import read_articles
from core.data.webnlg_dart import read_dart, read_webnlg
from core.data.webnlg_files import SEEN_CATEGORIES
from core.errors import BadData, BadInput, BadTable
from core.task import Example

ENTRY = """<entry category="{category}" eid="Id1" size="2">
      <originaltripleset><otriple>Ivy | in | Leeds@en</otriple></originaltripleset>
      <modifiedtripleset>
        <mtriple>Ivy_House | locatedIn | Leeds</mtriple><mtriple>Leeds | leader | "Ann &amp; Co"</mtriple>
      </modifiedtripleset>
      <lex comment="good" lid="Id1">Ann &amp; Co lead Leeds,
        where Ivy House is.</lex>
      <lex comment="toFix" lid="Id2">Ivy House it Leeds.</lex>
    </entry>"""
SOURCE = ' | Ivy_House : locatedIn : Leeds | Leeds : leader : "Ann & Co"'
TEXTS = ("Ann & Co lead Leeds, where Ivy House is.", "Ivy House it Leeds.")
TRIPLES = [["Ivy_House", "locatedIn", "Leeds"], ["Leeds", "leader", '"Ann & Co"']]
ROW = {"category": "Building", "triples": TRIPLES, "texts": list(TEXTS), "lex_comments": ["good", "toFix"]}


def xml(*entries: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<benchmark>\n  <entries>\n    '
    return head + "\n".join(entries) + "</entries></benchmark>"


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def webnlg(tmp_path: Path) -> Path:
    """The official folder in small."""
    for name, content in {
        "train/1triples/Building_train.xml": xml(ENTRY.format(category="Building")),
        "train/2triples/Food_train.xml": xml(
            ENTRY.format(category="Food"), ENTRY.format(category="Food").replace('"good"', '"toFix"')
        ),
        "dev/1triples/Building_dev.xml": xml(ENTRY.format(category="Building")),
        "test/testdata_with_lex.xml": xml(ENTRY.format(category="Artist"), ENTRY.format(category="City")),
        "test/testdata_unseen_with_lex.xml": xml(ENTRY.format(category="Artist")),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def test_webnlg_folder_training_keeps_good_references(webnlg: Path) -> None:
    train = read_webnlg(webnlg, "train")
    assert train == [
        Example(SOURCE, TEXTS[:1], "Building", id="train-1"),
        Example(SOURCE, TEXTS[:1], "Food", id="train-2"),  # train-3 has no good reference
    ]
    assert len(read_webnlg(webnlg / "train")) == 2  # the folder of one split, told by its name
    assert len(read_webnlg(webnlg, "train", good_only=False)) == 3
    assert [example.targets for example in read_webnlg(webnlg, "valid")] == [TEXTS]  # scored against all


def test_webnlg_test_folder_is_read_once_and_separates_seen_from_unseen(webnlg: Path) -> None:
    assert [(one.group, one.seen) for one in read_webnlg(webnlg, "test")] == [("Artist", False), ("City", True)]
    assert [one.group for one in read_webnlg(webnlg, "test_unseen")] == ["Artist"]
    assert len(SEEN_CATEGORIES) == 10 and "Building" in SEEN_CATEGORIES and "Athlete" not in SEEN_CATEGORIES


def test_webnlg_json_lines_give_the_same(webnlg: Path, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(jsonl(ROW))
    (tmp_path / "test.jsonl").write_text(jsonl({**ROW, "category": "Artist", "seen": False}, ROW), encoding="utf-8")
    assert read_webnlg(tmp_path / "train.jsonl.gz")[0] == read_webnlg(webnlg, "train")[0]
    assert [one.seen for one in read_webnlg(tmp_path / "test.jsonl")] == [False, True]


def test_dart_in_all_its_forms(tmp_path: Path) -> None:
    """The official JSON, the XML and our lines; relations in lower case, empty references left out."""
    triples, source = [["Ivy House", "LOCATED_IN", "Leeds"]], "Ivy House : located_in : Leeds"
    annotations = [{"source": "WikiSQL_lily", "text": "It is in Leeds."}, {"source": "e2e", "text": ""}]
    official = [{"tripleset": triples, "subtree_was_extended": False, "annotations": annotations}]
    entry = '<entry category="MISC" eid="Id1" size="1"><modifiedtripleset><mtriple>Ivy House | LOCATED_IN | Leeds</mtriple>'
    entry += "</modifiedtripleset>"
    lexes = '<lex comment="WikiSQL_lily" lid="Id1">It is in Leeds.</lex><lex comment="e2e" lid="Id2"/></entry>'
    (tmp_path / "dart-v1.1.1-full-dev.json").write_text(json.dumps(official, indent=2), encoding="utf-8")
    (tmp_path / "dart-v1.1.1-full-test.xml").write_text(xml(entry + lexes), encoding="utf-8")
    rows = {"triples": triples, "texts": ["It is in Leeds.", ""], "source": ["WikiSQL_lily", "e2e"]}
    (tmp_path / "train.jsonl").write_text(jsonl(rows), encoding="utf-8")
    for split in ("dev", "test", "train"):
        assert read_dart(tmp_path, split) == [Example(source, ("It is in Leeds.",), "WikiSQL_lily", id=f"{split}-1")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml", xml(ENTRY)[:-80], "line 11: not XML from here on"),
        ("a.xml", xml("<entry><modifiedtripleset><mtriple>a | b</mtriple></modifiedtripleset><lex>A.</lex></entry>"),
         "line 4: triple 1 is not three texts"),
        ("a.xml", xml("\n<entry><lex>A.</lex></entry>"), "line 5: there are no triples"),
        ("a.xml", xml(ENTRY).replace("comment", "x").replace("lex", "lax"), "line 4: there is no reference"),
        ("a.xml", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><entries><entry>&e;</entry></entries>", "no triples"),
        ("a.xml", "", "line 1: not XML"),
        ("a.jsonl", jsonl(ROW, {**ROW, "triples": [["a", "b"]]}), "line 2: triple 1 is not three texts"),
        ("a.jsonl", jsonl({**ROW, "triples": [["a", " : ", "b"]]}), "line 1: Triple 1 holds ' : ' in its relation"),
        ("a.jsonl", jsonl({**ROW, "texts": "one"}), "line 1: there is no list of reference texts"),
        ("a.jsonl", jsonl({**ROW, "texts": []}), "line 1: there is no reference"),
        ("a.json", '[\n{"tripleset": [],\n "annotations": []},\n 5]', "line 2: there are no triples"),
        ("a.json", '[{"tripleset": [["a", "b", "c"]], "annotations": [{"text": "A."}]},\n {"half": ', "line 2: not JSON from"),
        ("a.json", '{"tripleset": []}', "line 1: not a JSON list"),
        ("a.json", "[\n", "line 2: the JSON list is not closed"),
    ],
)  # fmt: skip
def test_a_bad_entry_is_named_by_file_line_and_reason(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadData) as caught:
        (read_dart if name.endswith("json") else read_webnlg)(tmp_path / name)
    assert message in str(caught.value) and str(caught.value).startswith(name)


def test_bad_rows_are_passed_over_and_counted(tmp_path: Path) -> None:
    bad = jsonl(ROW) + '{"half": \n' + jsonl({**ROW, "texts": [""]}, ROW)
    (tmp_path / "a.jsonl").write_bytes(bad.encode() + b'{"\xff": 1}\n')
    skipped: list[str] = []
    assert [one.id for one in read_webnlg(tmp_path / "a.jsonl", skipped=skipped)] == ["a-1", "a-4"]
    assert len(skipped) == 3 and "a.jsonl, line 2: not a JSON object" in skipped[0] and "line 5: not UTF-8" in skipped[2]
    (tmp_path / "b.csv").write_bytes(b'mr,ref\nname[A],A.\nname[B],"B, b" c, d.\nname[C],\xff.\nname[D],D.\n')
    skipped.clear()
    assert [one.targets for one in read_e2e(tmp_path / "b.csv", skipped=skipped)] == [("A .",), ("D .",)]
    assert [message[:16] for message in skipped] == ["b.csv, line 3: n", "b.csv, line 4: n"]


def test_an_xml_file_that_breaks_off_costs_its_end_only(webnlg: Path) -> None:
    broken = webnlg / "train" / "1triples" / "Building_train.xml"
    broken.write_text(xml(ENTRY.format(category="Building"), ENTRY)[:-300], encoding="utf-8")
    skipped: list[str] = []
    assert [one.group for one in read_webnlg(webnlg, "train", skipped)] == ["Building", "Food"] and len(skipped) == 1


def test_nothing_usable_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"half": \n[1]\n', encoding="utf-8")
    with pytest.raises(BadData, match=r"None of 2 rows can be used; the first: a\.jsonl, line 1"):
        read_webnlg(tmp_path / "a.jsonl", skipped=[])
    with pytest.raises(BadData, match="No XML file"):
        read_webnlg(tmp_path)
    with pytest.raises(BadData, match="No test file"):
        read_dart(tmp_path, "test")


# --- own data ----------------------------------------------------------------------------------------------------------------


def test_own_csv_with_a_table_and_two_references(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    rows = ["Table,Text,Text2,topic", '"name: Ivy, inn","It is Ivy.",,pubs', '"name[Elm]",Elm.,"So: Elm.",']
    file.write_text("\n".join(rows), encoding="utf-8")
    assert read_columns(file, ["table"], ["Text", "Text2"]) == [
        Example("name : Ivy, inn", ("It is Ivy.",), id="mine-1"),
        Example("name : Elm", ("Elm.", "So: Elm."), id="mine-2"),
    ]


@pytest.mark.parametrize(("ending", "mark"), [(".csv", ";"), (".tsv", "\t"), (".csv", ",")])
def test_several_source_columns_are_the_fields_of_a_table(tmp_path: Path, ending: str, mark: str) -> None:
    rows = [["name", "size", "text"], ["Ivy", "", "Ivy."], ["Elm", "10", "Elm has 10."]]
    (tmp_path / f"train{ending}").write_text("\n".join(mark.join(row) for row in rows), encoding="utf-8")
    examples = read_columns(tmp_path, ["name", "size"], ["text"], "train")
    assert [one.source for one in examples] == ["name : Ivy", "name : Elm | size : 10"]


def test_own_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    table = {"name": "Ivy", "open": True}
    file.write_text(jsonl({"in": table, "out": ["It is Ivy.", "Ivy."]}, {"in": table, "out": "Ivy!"}), encoding="utf-8")
    examples = read_columns(file, ["in"], ["out"])
    assert group_by_source(examples) == [Example("name : Ivy | open : yes", ("It is Ivy.", "Ivy.", "Ivy!"), id="mine-1")]
    rows = [{"in": [["Ivy", "IN", "Leeds"]], "out": "Ivy."}, {"in": "[Elm | IN | Leeds]", "out": "Elm."}]
    file.write_text(jsonl(*rows), encoding="utf-8")
    assert [one.source for one in read_columns(file, ["in"], ["out"], form="dart")] == ["Ivy : in : Leeds", "Elm : in : Leeds"]
    file.write_text('{"in": {"name": "Ivy", "price": 1.50, "mass": 1e400}, "out": "Ivy."}\n', encoding="utf-8")
    assert read_columns(file, ["in"], ["out"])[0].source == "name : Ivy | price : 1.50 | mass : 1e400"
    file.write_text(jsonl({"in": "A long\n article: all of it.", "out": "Short."}), encoding="utf-8")
    assert read_columns(file, ["in"], ["out"], form="text")[0].source == "A long article: all of it."


@pytest.mark.parametrize(
    ("source", "target", "form", "message"),
    [
        ([], ["b"], "table", "at least one source and one target"),
        (["a"], ["a"], "table", "named as source and as target"),
        (["a"], ["b"], "xml", "choose table, text, webnlg or dart"),
        (["a", "c"], ["b"], "text", "2 source columns make a table"),
    ],
)
def test_columns_that_make_no_sense(tmp_path: Path, source, target, form, message) -> None:
    with pytest.raises(BadInput, match=message):
        read_columns(tmp_path / "x.csv", source, target, form=form)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x;y\n1;2\n", "line 1: the columns are x, y, and in and out are needed"),
        ("a.csv", "", "a.csv is empty: give a file with a header"),
        ("a.csv", 'in,out\nname : A,A.\n"name : B\nC,"B".\n', "line 3: not CSV"),
        ("a.csv", "in,out\nname : A,\n", "line 2: there is no text under out"),
        ("a.csv", "in,out\nplain words,A.\n", 'line 2: "in" has no colon: write key : value fields, or'),
        ("a.jsonl", '{"in": "name : A"}\n', "line 1: there is no text under out"),
        ("a.jsonl", '{"out": "A."}\n', 'line 1: "in" is missing'),
        ("a.jsonl", '{"in": 5, "out": "A."}\n', 'line 1: "in" is not a text'),
        ("a.jsonl", '{"in": "name : A", "out": [true]}\n', 'line 1: "out" is not a text or a list of texts'),
    ],
)
def test_a_bad_row_of_own_data(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadData) as caught:
        read_columns(tmp_path / name, ["in"], ["out"])
    assert message in str(caught.value)


def test_numbers_are_texts_in_json_as_they_are_in_csv(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"in": "name : A", "out": [4, 2.5, null]}\n', encoding="utf-8")
    assert read_columns(tmp_path / "a.jsonl", ["in"], ["out"])[0].targets == ("4", "2.5")


def test_a_folder_may_hold_a_json_list_for_each_split(tmp_path: Path) -> None:
    """A .json file was read when it was named, and not found in its folder."""
    rows = [{"in": "name : A", "article": "A long text of many words.", "out": "A.", "summary": "A text."}]
    (tmp_path / "train.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    assert read_columns(tmp_path, ["in"], ["out"], "train")[0].targets == ("A.",)
    assert read_articles(tmp_path, "train")[0].targets == ("A text.",)


def test_sets_by_name(tmp_path: Path, webnlg: Path) -> None:
    assert read_set("webnlg", webnlg, "dev") == read_webnlg(webnlg, "dev")
    with pytest.raises(BadInput, match="choose e2e, webnlg, dart, records, tables or summarization"):
        read_set("xsum", tmp_path)
    assert parse_input("webnlg", "[Ivy | in | Leeds]") == " | Ivy : in : Leeds"
    assert parse_input("e2e", "name[Ivy] eatType[pub]") == "name : Ivy | Type : pub"
    assert table_of_source("webnlg", " | Ivy : in : Leeds") == [("subject", "Ivy"), ("in", "Leeds")]
    with pytest.raises(BadTable):
        parse_input("dart", "name : Ivy")


def test_a_sample_is_spread_over_the_set_and_over_seen_and_unseen() -> None:
    rows = [Example(str(n), ("t",), seen=n % 3 > 0) for n in range(30) for _ in range(2)]
    sample = sample_evenly(rows, 6)
    assert [row.source for row in sample[::2]] == sorted({row.source for row in sample}, key=int) and len(sample) == 12
    assert sum(row.seen for row in sample) == 8 and int(sample[-1].source) > 20
    assert sample_evenly(rows, 99) == rows
    with pytest.raises(BadInput, match="at least 1"):
        sample_evenly(rows, 0)


def test_evenly_spaced_items_reach_to_the_end() -> None:
    assert evenly_spaced(range(7), 4) == [0, 1, 3, 5] and evenly_spaced(range(8), 4) == [0, 2, 4, 6]
    assert evenly_spaced(range(3), 4) == [0, 1, 2] and evenly_spaced(range(3), 0) == evenly_spaced([], 4) == []


def test_a_source_of_data_comes_back_from_plain_values(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(jsonl(*[ROW | {"triples": [[str(n), "is", "x"]]} for n in range(9)], {"triples": []}))
    (tmp_path / "dev.jsonl").write_text(jsonl(ROW))
    values = DataSource("webnlg", str(tmp_path), rows=3, skip_bad=True)
    again = DataSource.from_dict(json.loads(json.dumps(values.to_dict())))
    skipped: list[str] = []
    examples, valid = again.load_train_valid(skipped)
    assert again == values and again.task_form == "webnlg"
    assert [row.source for row in examples] == [f" | {n} : is : x" for n in (0, 3, 6)]
    assert valid[0].targets == TEXTS and len(skipped) == 1 and "line 10" in skipped[0]
    bundled = DataSource.from_dict({"data": "", "rows": 0})  # as runs that were begun before sets had names
    assert bundled.name == "records" and all(bundled.load_train_valid([]))
    many = DataSource("tables").load_train_valid([])
    with pytest.raises(BadInput, match="no split 'tset': choose train, dev or test"):
        DataSource("tables").load_split("tset", [])
    assert [len(rows) for rows in many] == [86 + 468 + 2660, 14 + 72 + 140] and many[0][:86] == bundled.load_train_valid([])[0]
    with pytest.raises(BadInput, match="no data for the set 'e2e'"):
        DataSource("e2e")
