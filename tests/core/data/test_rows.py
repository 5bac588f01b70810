"""CSV as people really save it: no row disappears unsaid."""

import gzip
import logging
import re
from itertools import product
from pathlib import Path

import pytest

from core.data.columns import read_columns
from core.data.lines import collect_warnings
from core.data.rows import BadRow, json_list_rows, json_rows
from core.errors import BadData


def read(folder: Path, text: str, ending: str = "csv") -> list[str]:
    (folder / f"own.{ending}").write_text(text, encoding="utf-8")
    return [one.targets[0] for one in read_columns(folder / f"own.{ending}", ["in"], ["out"], form="text")]


def test_a_quote_that_is_never_closed_is_a_character(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = ['a\t"Lovely place, A', "b\tB is a pub.", 'c\tcalled lovely"', "d\tD."]
    expected = [row.split("\t")[1] for row in rows]
    assert read(tmp_path, "in\tout\n" + "\n".join(rows), "tsv") == expected
    rows[2], expected[2] = 'c\tC is "so good" for all', 'C is "so good" for all'
    assert read(tmp_path, "in\tout\n" + "\n".join(rows), "tsv") == expected
    assert read(tmp_path, 'in\tout\na\t"only\n', "tsv") == ['"only']
    assert read(tmp_path, 'in,out\na,"lovely\nb,B.\nc,called lovely"\n') == ['"lovely', "B.", 'called lovely"']
    assert "own.tsv: 1 row with a quote that is never closed" in caplog.text


@pytest.mark.parametrize("last", ["z,Z.", 'z,"Z is quoted, and fine"'])
def test_a_quote_that_is_never_closed_takes_no_other_row_with_it(tmp_path: Path, last: str) -> None:
    rows = "".join(f"n{number},N is {number}.\n" for number in range(30))
    (tmp_path / "own.csv").write_text(f'in,out\na,A.\nb,"unclosed, comma\n{rows}{last}\n')
    skipped: list[str] = []
    examples = read_columns(tmp_path / "own.csv", ["in"], ["out"], form="text", skipped=skipped)
    assert len(examples) == 32 and [example.source for example in (examples[0], examples[-1])] == ["a", "z"]
    assert len(skipped) == 1 and skipped[0].startswith("own.csv, line 3: not CSV")


def test_a_file_whose_name_does_not_say_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"own.txt does not begin with a JSON object.*end the name in .jsonl, .json, .csv"):
        read(tmp_path, "in,out\na,A.\n", "txt")
    assert read(tmp_path, '{"in": "a", "out": "A."}', "rows") == ["A."]


def test_a_character_nul_is_not_called_an_encoding(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"line 2: it contains the NUL character U\+0000"):
        read(tmp_path, "in,out\na,A \0 b.\n")


def test_a_cell_over_several_lines_is_one_cell_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, 'in,out\na,"one\nand, of course, two"\nb,B.\n') == ["one and, of course, two", "B."]
    assert read(tmp_path, 'in\tout\na\t"one\ntwo"\nb\tB.\n', "tsv") == ["one two", "B."]
    assert read(tmp_path, 'in,out\n"x","y"\na,"one\nb,two"\n') == ["y", "one b,two"]  # quotes are in use here
    assert caplog.text.count("1 row with a quoted cell over several lines") == 3


def test_a_comma_without_a_space_in_a_cell_over_several_lines_begins_no_row(tmp_path: Path) -> None:
    def texts(rows: str) -> list[str]:
        return read(tmp_path, f"in,out\n{rows}")

    pub, inn = 'Eagle,"A pub.\nIt costs 1,000 pounds."\n', 'Swan,"An inn.\nIt has 2,500 rooms."\n'
    assert texts(pub + inn) == ["A pub. It costs 1,000 pounds.", "An inn. It has 2,500 rooms."]
    assert texts(pub) == ["A pub. It costs 1,000 pounds."]
    assert texts('a,"It offers\nfood,\ndrinks,\nand rooms, too."\n') == ["It offers food, drinks, and rooms, too."]
    assert texts('a,"one\nb,two"\nc,plain\nd,"three\ne,four"\nf,"five"\n') == ["one b,two", "plain", "three e,four", "five"]
    assert texts('a,"one\nb,two"\nc,"three\nd,four"\n') == ["one b,two", "three d,four"]  # no quote follows the last


def test_a_blank_before_a_quote_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, 'in, "out"\na, "A, b and ""c""."\n') == ['A, b and "c".']


def test_what_follows_a_closing_quote_loses_no_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, 'in,out\na,"A, b" \n"b" ,"B" \n') == ["A, b", "B"] and not caplog.text
    rows = 'a\t"Ulysses" is a book.\nb\tthe "Iliad"\nc\t"she said "no" twice"\n'
    expected = ['"Ulysses" is a book.', 'the "Iliad"', '"she said "no" twice"']
    assert read(tmp_path, "in\tout\n" + rows, "tsv") == read(tmp_path, "in,out\n" + rows.replace("\t", ",")) == expected
    assert caplog.text.count("2 rows with text after a closing quote; the quotes were read as characters") == 2
    for row in ('"a, b" c,d', '"a,"b",c'):  # which of the commas ends a cell is anyone's guess
        with pytest.raises(BadData, match="line 2: not CSV"):
            read(tmp_path, f"in,note,out\n{row}\n")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="line 1: 2 columns are called 'out'"):
        read(tmp_path, "in,out,out\na,b,c\n")
    with pytest.raises(BadData, match="line 1: 2 columns are called 'out'"):
        read(tmp_path, "in,Out,OUT\na,b,c\n")
    assert read(tmp_path, "in,OUT,out\na,b,c\n") == ["c"]


@pytest.mark.parametrize("before", ["\n\r\n", "sep=,\r\n"])
def test_a_header_may_have_blank_lines_or_excels_line_above_it(tmp_path: Path, before: str) -> None:
    assert read(tmp_path, before + "in,out\na,b\n") == ["b"]
    with pytest.raises(BadData, match=rf"line {before.count(chr(10)) + 2}: 1 cell under 2 columns"):
        read(tmp_path, before + "in,out\na\n")


def test_carriage_returns_alone_end_lines(tmp_path: Path) -> None:
    assert read(tmp_path, "in,out\ra,b\rc,d\r") == ["b", "d"]


def test_a_name_in_capitals_is_the_same_kind_of_file(tmp_path: Path) -> None:
    assert read(tmp_path, "in,out\na,b\n", "CSV") == read(tmp_path, "in\tout\na\tb\n", "Tsv") == ["b"]


def test_a_cell_may_be_as_long_as_an_article(tmp_path: Path) -> None:
    text = "word " * 30_000 + "end"
    assert read(tmp_path, f'in,out\na,{text}\nb,"{text}"\n') == [text, text]
    with pytest.raises(BadData, match="line 2: a cell of more than 2,000,000 characters"):
        read(tmp_path, f"in,out\na,{'x' * 2_000_001}\n")


def test_other_encodings_get_a_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert len(read(tmp_path, "in,out\na,café £5 – naïve “Ångström”\n")) == 1 and not caplog.text
    assert read(tmp_path, "in,out\na,costs Â£5\nb,itâ€™s\n") == ["costs Â£5", "itâ€™s"]
    assert "2 lines hold text such as 'Â£' (line 2)" in caplog.text
    latin, chinese = "in,out\na,b\n", "入,出\n一,二\n"
    for encoding, text in [*product(("utf-16", "utf-16-le", "utf-32"), (latin,)), *product(("utf-16", "utf-32-be"), (chinese,))]:
        (tmp_path / "wide.csv").write_bytes(text.encode(encoding))
        with pytest.raises(BadData, match=rf"wide\.csv is {encoding[:6].upper()} text"):
            read_columns(tmp_path / "wide.csv", ["in"], ["out"])


def test_what_is_odd_can_be_collected_for_a_page(tmp_path: Path) -> None:
    with collect_warnings() as odd:
        read(tmp_path, 'in\tout\na\t"Lovely place, A\nb\tB is a pub.\n', "tsv")
        read(tmp_path, "in,out\na,costs Â£5\n")
        read(tmp_path, "in,out\na,costs Â£5\n")
    assert len(odd) == 2 and "own.tsv: 1 row with a quote that is never closed" in odd[0] and "'Â£' (line 2)" in odd[1]
    read(tmp_path, "in,out\na,costs Â£5\n")
    assert len(odd) == 2


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (gzip.compress(b"in,out", mtime=0), "is compressed with gzip: let its name end in .gz"),
        (b"PK\x03\x04 xl", "is a zip file, as Excel's are: export the rows as CSV"),
        (b"PAR1", "is a Parquet file: export its rows"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, start: bytes, sentence: str) -> None:
    (tmp_path / "own.csv").write_bytes(start)
    with pytest.raises(BadData, match=re.escape(f"own.csv {sentence}")):
        read_columns(tmp_path / "own.csv", ["in"], ["out"], form="text")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"in": NaN, "out": "A."}', "NaN is not a value in JSON"),
        (r'{"in": "a\u0000", "out": "A."}', "it contains the NUL character U+0000: remove it"),
        (r'{"in": "a\ud83d", "out": "A."}', r"it contains an unpaired surrogate (\ud83d), as when a text is cut inside an emoji"),
        ('{"in": "a", "in": "b", "out": "A."}', "'in' appears twice in an object"),
        ('[{"in": "a", "out": "A."}]', 'not a JSON object: write {"in": "…", "out": "…"}, one per line'),
    ],
)
def test_json_that_says_two_things_or_nothing_is_refused(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(BadData, match=re.escape(f"own.jsonl, line 1: {sentence}")):
        read(tmp_path, row, "jsonl")


def test_an_emoji_in_two_halves_is_whole(tmp_path: Path) -> None:
    assert read(tmp_path, r'{"in": "a", "out": "A \ud83d\ude00."}', "jsonl") == ["A 😀."]


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        ('\n[{"in": "b", "out": "B."}]', "line 3: there is more after the JSON list: put all rows into one list"),
        (",\n", "line 2: there is more after the JSON list"),
        ("\n\nthe end", "line 4: there is more after the JSON list"),
    ],
)
def test_what_follows_a_json_list_is_not_lost(tmp_path: Path, after: str, sentence: str) -> None:
    rows = '[{"in": "a", "out": "A."}\n]'
    assert read(tmp_path, rows + "\n \n", "json") == ["A."]
    with pytest.raises(BadData, match=re.escape(f"own.json, {sentence}")):
        read(tmp_path, rows + after, "json")


def test_what_follows_the_object_around_a_json_list_is_not_lost(tmp_path: Path) -> None:
    def rows(text: str) -> list[object]:
        (tmp_path / "own.json").write_text(text)
        return [(line, str(row) if isinstance(row, BadRow) else row) for line, row in json_list_rows(tmp_path / "own.json")]

    assert rows('{"benchmark": {"entries": [{"a": 1}]}}\n') == rows('{"entries": [{"a": 1}], "version": 3}') == [(1, {"a": 1})]
    assert rows('{"entries": [{"a": 1}]}\n{"entries": []}')[1][1].startswith("there is more after the JSON list")
    assert rows('{"entries": [{"a": 1}],\n"entries": []}')[1][1].startswith("'entries' appears twice in an object")
    assert rows('{"entries": [{"a": 1}]\n')[1][1].startswith("not JSON after the list (Expecting ',' delimiter)")


def test_a_table_of_columns_in_place_of_json_is_told_how_it_is_read(tmp_path: Path) -> None:
    """It was told to end its name in .csv, as it did."""
    (tmp_path / "own.csv").write_text("place,told\nAlda,A pub.\n")
    with pytest.raises(BadData, match=r"own.csv is a table of columns.* or name the columns: --set columns --source COLUMN"):
        list(json_rows(tmp_path / "own.csv"))
    (tmp_path / "own.csv").write_text('{"place": "Alda"}\nAlda,A pub.\n')  # JSON lines, whatever their name
    (_, first), (_, second) = json_rows(tmp_path / "own.csv")
    assert first == {"place": "Alda"} and isinstance(second, BadRow)
