"""Names that no text holds, and whether a run copies them."""

import json

import pytest

from analysis.evaluation.made_up_names import NameCopying, restaurants
from app.cli.main import main
from core.text.tables import parse
from tests.support.tiny_models import make_run, make_tiny_backbone


def test_names_differ_and_stand_in_tables_of_e2es_form():
    tables = restaurants(60)
    assert len({table.name for table in tables}) > 55 and tables == restaurants(60) != restaurants(60, seed=1)
    for table in tables:
        fields = dict(parse(table.source))
        assert (
            fields.pop("name") == table.name
            and 2 <= len(fields) <= 5
            and fields.keys() <= {*("Type", "food", "price", "customer rating", "area", "family friendly")}
        )


def test_a_name_counts_whatever_its_case_and_not_in_part():
    tables = restaurants(3)
    first, second, _ = (table.name for table in tables)
    texts = [f"You like {first.upper()}?", second[:-2], "A pub."]
    assert NameCopying(tables, texts).copied == [True, False, False]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    backbone = make_tiny_backbone(place / "tiny", positions=512)
    make_run(backbone, place / "runs", "one")
    return place


def names(home, monkeypatch, capsys, *words):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(home))
    code = main(["names", "--backbone", str(home / "tiny"), "--device", "cpu", "--run", "one", *words])
    return code, capsys.readouterr()


def test_the_verb_counts_what_it_prints(home, monkeypatch, capsys):
    code, printed = names(home, monkeypatch, capsys, "--tables", "3", "--json")
    record = json.loads(printed.out)
    assert code == 0 and record["tables"] == len(record["texts"]) == 3
    assert record["copied"] == sum(row["name"].lower() in row["text"].lower() for row in record["texts"])
    code, printed = names(home, monkeypatch, capsys, "--tables", "3")
    assert code == 0 and printed.out.startswith(f"one: {record['copied']} of 3 names")


def test_no_tables_are_a_mistake_that_is_named(home, monkeypatch, capsys):
    code, printed = names(home, monkeypatch, capsys, "--tables", "0")
    assert code == 1 and "give 1 or more" in printed.err
