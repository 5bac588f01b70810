"""Hostile input that is typed, set or read as data."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.config.decode import DecodeConfig
from core.config.presets import preset
from core.config.train import TrainConfig
from core.data.columns import read_columns
from core.data.hub import hub_rows
from core.data.source import DataSource
from core.data.webnlg_dart import read_dart, read_webnlg
from core.methods.registry import new_method
from core.models.loading import load_backbone
from core.task import Task
from core.text.triples import parse_triples
from tests.hostile.place import Command, Place, cases

# --- tables ------------------------------------------------------------------------------------------------------------------


def typed(name: str, message: str, table: str) -> tuple[str, str, Callable[[Place], Command]]:
    return name, message, lambda place: place.generate(None, table=table)


def piped(content: bytes) -> Callable[[Place], Command]:
    """A table on standard input, as bytes."""

    def case(place: Place) -> Command:
        place.patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        return place.generate(None, table="-")

    return case


TABLES = cases(
    typed("empty", "is empty", ""),
    typed("only blanks", "is empty", " \t\r\n "),
    typed("huge", "20,014 characters", "name : " + "x" * 20_000 + " | a : b"[:7]),
    typed("500 fields", "500 fields", " | ".join(f"k{n} : v" for n in range(500))),
    typed("a null character", "U+0000", "name : A\x00B"),
    typed("terminal escapes", "U+001B", "\x1b[31mname : A"),
    typed("half a character", "U+DCE9", "name : caf\udce9"),
    typed("half a JSON object", "JSON cannot be read", '{"name": "The Ea'),
    typed("nested quotes", "JSON cannot be read", '{"name": "The "Old" Inn"}'),
    typed("a JSON list", "JSON list", '["name", "Alda"]'),
    typed("an object in a field", "another object", '{"name": {"first": "Alda"}}'),
    typed("JSON nested 2,000 deep", "nested too deep", '{"a":' * 1999),
    typed("an open bracket", "is not closed", "name[Alda], eatType[pub"),
    typed("no colon", "has no colon", "Alda | a pub"),
    typed("an empty key", "no key", " : Alda | Type : pub"),
    typed("an empty value", "'Type'", "name : Alda | Type : "),
    typed("two pipes", "Field 2 is empty", "name : Alda |  | Type : pub"),
    typed("a ragged Markdown table", "Row 2", "| name | Type |\n|---|---|\n| Alda |"),
    typed("too long for the model", "256 positions", f"name : {'x' * 400}"),
    ("binary on standard input", "not UTF-8", piped(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")),
    ("nothing on standard input", "is empty", piped(b"")),
    ("triples with a control character", "U+0007", lambda place: lambda: parse_triples("Ivy : city\x07 : Leeds")),
    ("triples without an object", "Triple 1", lambda place: lambda: parse_triples("Ivy : city")),
)

# --- settings ----------------------------------------------------------------------------------------------------------------

SETTINGS = cases(
    ("alpha without a prefix", "needs a prefix", lambda place: place.generate(None, "--alpha", "0.5")),
    ("alpha on a fine-tuned run", "needs a prefix", lambda place: place.generate("tuned", "--alpha", "0")),
    ("a negative alpha", "-1", lambda place: place.generate("mine", "--alpha", "-1")),
    ("an alpha that is no number", "nan", lambda place: place.generate("mine", "--alpha", "nan")),
    ("a run and a text prefix", "--text-prefix", lambda place: place.generate("mine", "--text-prefix", "Tell it.")),
    ("an empty text prefix", "empty", lambda place: place.generate(None, "--text-prefix", " ")),
    ("a text prefix longer than the model", "256 positions", lambda place: place.generate(None, "--text-prefix", "x" * 400)),
    ("columns that are not named", "--source COLUMN", lambda place: place.train(None, "--set", "columns")),
    ("columns of a set that has its own", "'webnlg'", lambda place: place.train(None, "--set", "webnlg", "--source", "a")),
    ("a table for a task on triples", "Triple 1", lambda place: place.generate(None, "--form", "webnlg")),
    ("fewer than no tables", "at least 1", lambda place: [*scored(place, "out.txt"), "--tables", "-3"]),
    ("a hub set without a name", "no data set", lambda place: lambda: list(hub_rows("hub:", "train"))),
    ("a hub set read as WebNLG", "its columns", lambda place: lambda: DataSource("webnlg", "hub:web_nlg")),
    ("a data source of another kind", "'rows'", lambda place: lambda: DataSource.from_dict({"row": 5})),
    ("an unknown field", "'lenght'", lambda place: lambda: TrainConfig.from_dict({"lenght": 5})),
    ("a number as text", "'5'", lambda place: lambda: TrainConfig.from_dict({"length": "5"})),
    ("a field of another class", "'beams'", lambda place: lambda: Task.from_dict({"beams": 5})),
    ("an unknown decoding field", "'__class__'", lambda place: lambda: DecodeConfig.from_dict({"__class__": "os.system"})),
    ("a list for a text", "lead", lambda place: lambda: Task.from_dict({"lead": ["x"]})),
    ("an unknown preset", "'huge'", lambda place: lambda: preset("huge")),
    ("a temperature that is no number", "temperature", lambda place: place.generate(None, "--temperature", "nan")),
    ("a million beams", "beams", lambda place: place.generate(None, "--mode", "beam", "--beams", "1000000")),
    ("more tokens than positions", "positions", lambda place: place.generate(None, "--max-new", "5000")),
    ("an infinite rate", "rate", lambda place: place.train(None, "--rate", "inf")),
    ("a prefix longer than the model", "256 positions", lambda place: place.train(None, "--length", "300")),
    ("words that are none", "--init-words", lambda place: place.train(None, "--init", "words", "--mlp", "0", "--init-words", "")),
    ("an unknown method", "'magic'", lambda place: lambda: _new_method(place)),
    ("no such device", "'abacus'", lambda place: [*place.generate(), "--device", "abacus"]),
)


def _new_method(place: Place) -> None:
    new_method(load_backbone(str(place.root / "model"), "cpu"), TrainConfig(method="magic"))


# --- data --------------------------------------------------------------------------------------------------------------------

ROW = '{"mr": "name[Alda], eatType[pub]", "text": "Alda is a pub ."}\n'


def rows(name: str, message: str, content: str | bytes, file: str = "mine.jsonl") -> tuple[str, str, Callable[[Place], Command]]:
    return name, message, lambda place: place.train(place.put(file, content))


def read(call: Callable[[Path], Any], file: str, content: str | bytes) -> Callable[[Place], Command]:
    def case(place: Place) -> Command:
        path = place.put(file, content)
        return lambda: call(path)

    return case


BOMB = '<!DOCTYPE l [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)) + "]>"
ENTRY = '<entry category="Food" eid="1"><modifiedtripleset><mtriple>a | b | c</mtriple></modifiedtripleset><lex>{}</lex></entry>'


def scored(place: Place, hyps: str) -> Command:
    words = ["evaluate", "--run", "mine", "--data", str(place.root / "data"), "--backbone", str(place.root / "model")]
    return [*words, "--device", "cpu", "--tables", "1", "--beams", "1", "--max-new", "5", "--hyps", str(place.root / hyps)]


def pretrained(place: Place, corpus: str) -> Command:
    return ["pretrain", "--corpus", str(place.root / corpus), "--out", str(place.root / "out")]


DATA = cases(
    ("no such data", "nowhere", lambda place: place.train(place.root / "nowhere.jsonl")),
    ("a folder without data", "empty", lambda place: place.train(place.put("empty/readme.txt", "nothing").parent)),
    rows("an empty file", "mine.jsonl", b""),
    rows("an empty CSV file", "mine.csv", b"", "mine.csv"),
    rows("a binary file", "line 1", bytes(range(256)) * 20),
    rows("a binary CSV file", "mine.csv", b"mr,ref\x00\n" + bytes(range(128)), "mine.csv"),
    rows("UTF-16", "UTF-16 text", (ROW * 3).encode("utf-16")),
    rows("Latin-1 in the second line", "line 2", ROW.encode() + '{"mr": "name[Café]", "text": "Café ."}'.encode("latin-1")),
    rows("half a JSON line", "line 3", ROW * 2 + ROW[:40]),
    rows("a JSON line that is a list", "line 2", ROW + "[1, 2]\n"),
    rows("JSON nested 100,000 deep", "line 2", ROW + '{"mr": ' + "[" * 100_000 + "\n"),
    rows("a number of 10,000 digits", "line 2", ROW + '{"mr": ' + "9" * 10_000 + "}\n"),
    rows("a row without its text", '"text" is missing', ROW + '{"mr": "name[Alda]"}\n'),
    rows("a row whose text is a number", '"text" is not a text', ROW + '{"mr": "name[Alda]", "text": 5}\n'),
    rows("a row of 500 fields", "500 fields", json.dumps({"mr": ", ".join(f"k{n}[v]" for n in range(500)), "text": "."})),
    rows("a control character in a table", "U+0007", '{"mr": "name[Al\\u0007da]", "text": "Alda ."}'),
    rows("a row longer than the model", "256 positions", json.dumps({"mr": "name[Alda]", "text": "x" * 300_000})),
    rows("missing columns", "mr and ref", "table,text\na,b\n", "mine.csv"),
    rows("nested quotes in CSV", "line 2", 'mr,ref\n"name[The "Old" Inn]","It is."\n', "mine.csv"),
    rows("a quote that never closes", "line 2", 'mr,ref\n"name[Alda],"Alda."\nname[Brio],Brio.\n', "mine.csv"),
    rows("more cells than columns", "line 2", "mr,ref\nname[Alda],Alda, a pub.\n", "mine.csv"),
    rows("a CSV header of 200,000 characters", "mine.csv", "x" * 200_000 + "\n", "mine.csv"),
    rows("half a gzip file", "mine.jsonl.gz", gzip.compress((ROW * 999).encode(), mtime=0)[:60], "mine.jsonl.gz"),
    rows("gzip by name only", "mine.jsonl.gz", ROW, "mine.jsonl.gz"),
    ("two columns of one name", "'a'", read(lambda file: read_columns(file, ["a"], ["a"]), "own.csv", "a,b\n1,2\n")),
    ("a column that is not there", "ref", read(lambda file: read_columns(file, ["a"], ["ref"]), "own.csv", "a,b\n1,2\n")),
    ("half an XML file", "line 1", read(read_webnlg, "w.xml", "<benchmark><entries>" + ENTRY.format("A.")[:99])),
    ("an XML bomb", "line 1", read(read_webnlg, "w.xml", BOMB + "<b>" + ENTRY.format("&a11;") + "</b>")),
    ("half a JSON list", "not closed", read(read_dart, "d.json", '[{"tripleset": [["a", "b", "c"]], "texts": ["A."]}')),
    ("a triple of two", "triple 1", read(read_dart, "d.json", '[{"tripleset": [["a", "b"]], "texts": ["A."]}]')),
    ("no test data to score on", "nowhere", lambda place: ["evaluate", "--data", str(place.root / "nowhere")]),
    ("outputs to a folder that is not there", "nowhere", lambda place: scored(place, "nowhere/out.txt")),
    ("outputs to a folder", "Cannot write", lambda place: scored(place, "data")),
    ("no corpus", "nowhere", lambda place: pretrained(place, "nowhere")),
    ("a binary corpus", "a.txt", lambda place: place.put("texts/a.txt", bytes(range(256))) and pretrained(place, "texts")),
)
