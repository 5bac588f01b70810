"""Triples as text: the paper's linearisations read back without loss, the forms people paste, and what is refused."""

import json

import pytest

from core.errors import BadTable
from core.text.triples import dart_source, is_triples, parse_triples, table_of, webnlg_source

TRIPLES = [("Ivy_House", "locatedIn", "Leeds"), ("Leeds", "country", '"England, UK"'), ("Ivy_House", "motto", "Time : Money")]


def test_the_papers_forms():
    assert webnlg_source(TRIPLES[:2]) == ' | Ivy_House : locatedIn : Leeds | Leeds : country : "England, UK"'
    assert dart_source([("Ivy House", "LOCATED_IN", "Leeds"), ("Leeds", "COUNTRY", "UK")]) == (
        "Ivy House : located_in : Leeds | Leeds : country : UK"
    )


AWKWARD = [
    TRIPLES,
    [("[TABLECONTEXT]", "[TITLE]", "List of (old) pubs"), ("(29) Ivy", "size_(m)", "4:30")],
    [("A", "b", "c")],
    [("1634: The Inn", "isbn", '"978-1"'), ("é ü", "→", "10 - 20 %")],
    [('"quoted"', "p", "a|b")],
    [("x", "p", "(a, b, c)"), ("y", "p", "[d")],
]


@pytest.mark.parametrize("triples", AWKWARD)
def test_linearised_triples_read_back_the_same(triples):
    assert parse_triples(webnlg_source(triples)) == triples
    assert parse_triples(dart_source(triples)) == [(s, p.lower(), o) for s, p, o in triples]


@pytest.mark.parametrize(
    "text",
    [
        "[Ivy_House | locatedIn | Leeds] [Leeds | country | UK]",
        "[Ivy_House | locatedIn | Leeds],\n[Leeds | country | UK]",
        "[[Ivy_House | locatedIn | Leeds], [Leeds | country | UK]]",
        "x: [Ivy\\_House | **locatedIn** | Leeds]  \n[Leeds | country | UK]",  # pasted from Markdown slides
        "(Ivy_House, locatedIn, Leeds), (Leeds, country, UK)",
        "((Ivy_House, locatedIn, Leeds), (Leeds, country, UK))",
        "Ivy_House | locatedIn | Leeds\nLeeds | country | UK",
        "Ivy_House : locatedIn : Leeds | Leeds : country : UK",
        "| Ivy_House : locatedIn : Leeds | Leeds : country : UK",
        "- Ivy_House : locatedIn : Leeds\n- Leeds : country : UK",
        json.dumps([["Ivy_House", "locatedIn", "Leeds"], ["Leeds", "country", "UK"]]),
        json.dumps([{"subject": "Ivy_House", "property": "locatedIn", "object": "Leeds"}, ["Leeds", "country", "UK"]]),
    ],
)
def test_every_form_people_paste(text):
    assert parse_triples(text) == [("Ivy_House", "locatedIn", "Leeds"), ("Leeds", "country", "UK")]
    assert is_triples(text)


def test_commas_inside_a_part():
    quoted = ("Ivy_House", "city", '"Leeds, UK"')
    assert parse_triples('(Ivy_House, city, "Leeds, UK")') == [quoted]
    assert parse_triples("(Ivy_House,city,Leeds)") == [("Ivy_House", "city", "Leeds")]
    assert parse_triples("(Abilene,_Texas, country, US)") == [("Abilene,_Texas", "country", "US")]
    assert parse_triples('["Ivy", "city", "Leeds"]') == [("Ivy", "city", "Leeds")]
    with pytest.raises(BadTable, match=r"Triple 1 has not three parts between commas: write \[subject \| relation \| object\]"):
        parse_triples("(Ivy_House, city, Leeds, UK)")


def test_a_table_is_not_triples():
    assert not is_triples("name : Ivy House | food : Thai") and not is_triples("name[Ivy House], food[Thai]")
    assert not is_triples('{"name": "Ivy House"}') and not is_triples("Ivy House is in Leeds.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There are no triples"),
        (" \n ", "There are no triples"),
        ("[]", "has 1 part"),
        ("a : b : c | d : e", "Triple 2 has 2 parts"),
        ("a : b : c | | d : e : f", "Triple 2 has 1 part"),
        ("a : b :", "Triple 1 has no object"),
        ('[["a", "b"]]', "Triple 1 has 2 parts"),
        ('[["a", "b", ["c"]]]', "Triple 1 is not a list of three texts"),
        ("a : \x00b : c", "U\\+0000"),
        ("a : b : c | " * 100 + "a : b : c", "101 triples; at most 64"),
        ("a" * 20_000, "20,000 characters"),
        ("[" * 5000, "has 1 part"),
        ("[Ivy_House | city | Leeds", "bracket of these triples is not closed"),  # it was read as a part of the subject
        ("Ivy_House | city | Leeds]", "bracket of these triples is not closed, or not opened"),
        ("[Ivy_House | city | Leeds]\n[Leeds | country | UK", "write each as \\[subject"),
    ],
)
def test_what_is_no_triples_is_refused_in_one_sentence(text, message):
    with pytest.raises(BadTable, match=message) as caught:
        parse_triples(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("triple", "message"),
    [
        (("a", "b", ""), "has no object"),
        (("a : b", "c", "d"), "' : ' in its subject"),
        (("a", "b : e", "d"), "' : ' in its relation"),
        (("a", "b", "c | d"), "' \\| ' in its object"),
        (("a", "b\n", "c"), "control character in its relation"),
        (("a", "b", " c "), "Triple 2 has blanks around its object"),
        (("a", "b", "c |"), "' \\| ' in its object"),
    ],
)
def test_what_would_not_read_back_is_refused(triple, message):
    for write in (webnlg_source, dart_source):
        with pytest.raises(BadTable, match=message):
            write([("x", "y", "z"), triple])


def test_fields_for_a_check_of_what_a_text_covers():
    triples = [("Ivy_House", "birthPlace", '"Leeds, UK"@en'), ("Leeds,_UK", "LEADER_NAME", "Ann_Oak"), ("Ivy_House", "x", "1")]
    assert table_of(triples) == [
        ("subject", "Ivy House"), ("birth place", "Leeds, UK"), ("leader name", "Ann Oak"), ("x", "1"),
    ]  # fmt: skip
