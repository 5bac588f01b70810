import random
import re

import pytest

from core.errors import BadTable
from core.text.tables import MAX_CHARS, MAX_FIELDS, canonical, clean, linearise, parse

INN = [("name", "The Blue Inn"), ("Type", "coffee shop"), ("price", "£20-25")]


@pytest.mark.parametrize(
    "text",
    [
        "name : The Blue Inn | Type : coffee shop | price : £20-25",
        "name: The Blue Inn | Type: coffee shop | price: £20-25",
        "name:The Blue Inn|Type:coffee shop|price:£20-25",
        "| name : The Blue Inn | Type : coffee shop | price : £20-25 |",
        "name: The Blue Inn\nType: coffee shop\r\n\n  price : £20-25 ",
        "- name: The Blue Inn\n- Type: coffee shop\n- price: £20-25",
        "name[The Blue Inn] Type[coffee shop] price[£20-25]",
        "name[The Blue Inn], Type[coffee shop],\nprice[£20-25]",
        '{"name": "The Blue Inn", "Type": "coffee shop", "price": "£20-25"}',
        "| name | Type | price |\n|---|:-:|---|\n| The Blue Inn | coffee shop | £20-25 |",
        "name | Type | price\n--- | --- | ---\nThe Blue Inn | coffee shop | £20-25",
        "| field | value |\n|---|---|\n| name | The Blue Inn |\n| Type | coffee shop |\n| price | £20-25 |",
        "| name | The Blue Inn |\n| Type | coffee shop |\n| price | £20-25 |",
        "\ufeffname : The Blue Inn | Type : coffee shop | price : £20-25\n",
    ],
)
def test_every_notation_is_read(text: str) -> None:
    assert parse(text) == INN


def test_slides_notation_becomes_the_training_form() -> None:
    fields = canonical(parse("name[Clowns] eatType[coffee shop] priceRange[£20-25]"))
    assert linearise(fields) == "name : Clowns | Type : coffee shop | price : £ 20 - 25"


def test_what_stands_inside_a_value_stays_there() -> None:
    assert parse("open : 10:30 : daily | link : http://a.b | note : see [1], AC|DC") == [
        ("open", "10:30 : daily"), ("link", "http://a.b"), ("note", "see [1], AC|DC")]  # fmt: skip
    assert parse("opens 10:30 : yes") == [("opens 10:30", "yes")]
    assert parse("title[Part [2]: Home] by[Q]") == [("title", "Part [2]: Home"), ("by", "Q")]
    assert parse("spin[1] : up [2] | b : c") == [("spin[1]", "up [2]"), ("b", "c")]
    assert parse("| a | b |\n|--|--|\n| x \\| y | **z** |") == [("a", "x | y"), ("b", "z")]
    assert parse('{"n": 5, "price": 4.50, "open": true, "pets": false}') == [
        ("n", "5"), ("price", "4.50"), ("open", "yes"), ("pets", "no")]  # fmt: skip


def test_keys_may_repeat() -> None:
    """WebNLG's form has one subject with several predicates."""
    assert parse("| Ann : born : 1950 | Ann : job : pilot") == [("Ann", "born : 1950"), ("Ann", "job : pilot")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name : X | Type : pub | food :", "Field 3, 'food', has no value"),
        ("name : X | : pub", "Field 2 has no key"),
        ("name : X |  | food : Thai", "Field 2 is empty"),
        ("name : X | pub | food : Thai", "Field 2, 'pub', has no colon"),
        ("just a sentence", "Field 1, 'just a sentence', has no colon"),
        ("name[X] eatType[pub", "Field 2, 'eatType', is not closed"),
        ("name[X] eatType pub", "Field 2, 'eatType pub', is not of the form key[value]"),
        ("name[X] food[]", "Field 2, 'food', has no value"),
        ('{"name": "X", "food": null}', "Field 2, 'food', has no value"),
        ('{"name": "X", "tags": ["a"]}', "Field 2, 'tags', holds a list"),
        ('{"name": {"first": "X"}}', "Field 1, 'name', holds another object"),
        ('{"name": "X", "Ty', "JSON cannot be read"),
        ('{"name" "X"}', "JSON cannot be read"),
        ('{"a":' * 1500, "nested too deep"),
        ("{}", "no fields"),
        ('[{"name": "X"}]', "JSON list"),
        ("[1, 2]", "JSON list"),
        ("| a | b | c |\n|-|-|-|\n| 1 | 2 | 3 |\n| 4 | 5 | 6 |", "2 rows"),
        ("| a | b | c |\n|-|-|-|\n| 1 | 2 |", "Row 2"),
        ("", "empty"),
        ("  \n\t ", "empty"),
        (" | | ", "Field 1 is empty"),
        ("|", "no fields"),
        (" | ".join(f"k{n} : v" for n in range(500)), f"500 fields; at most {MAX_FIELDS}"),
        ("name : " + "x" * MAX_CHARS, "characters long"),
        ("name : a\0b", "U+0000"),
        ("\x89PNG\r\n\x1a\n\0\0", "U+0089"),
        ("name : \ud800", "U+D800"),
        (b"name : X", "bytes"),
        (None, "NoneType"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadTable) as caught:
        parse(text)
    message = str(caught.value)
    assert sentence in message and "\n" not in message and len(message) < 250


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([], "no fields"),
        ([("", "x")], "Field 1 has no key"),
        ([("a", "b"), ("food", " ")], "Field 2, 'food', has no value"),
        ([("a", "b | c")], "Field 1, 'a', holds ' | '"),
        ([("a", "b |")], "Field 1, 'a', holds ' | '"),
        ([("a : b", "c")], "colon in its key"),
        ([("a", "b\nc")], "a line break"),
        ([("a", " b")], "blanks around"),
        ([("{a", "b")], "Field 1, '{a', would be read back"),
        ([("k[a", "b]")], "read back"),
        ([("a", "|b")], "read back"),
        ([("k", "v")] * (MAX_FIELDS + 1), "65 fields"),
    ],
)
def test_linearise_refuses_what_would_not_come_back(fields: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(BadTable, match=re.escape(sentence)):
        linearise(fields)


AWKWARD = [
    *("10:30", "a : b", ": ", "[1]", "x [y", "]", '{"a": 1}', "}", "'", '"The Inn"', "AC|DC", "£ 20 - 25", "---", "- a", "* b"),
    *("Ünïcödé", "東京", "👩‍🚀", "a\u00a0b", "a  b", "\\|", "`c`", "**d**", "n/a", "0", "key[value]", "a,b;c", "#", "# | #"),
]


def test_what_linearise_accepts_comes_back_equal() -> None:
    """The app holds grid and text side by side: neither may change the other."""
    chance = random.Random(0)
    accepted = 0
    for _ in range(3000):
        count = 2 * chance.randint(1, 4)
        cells = ["".join(chance.choices([*AWKWARD, "word", " "], k=chance.randint(1, 3))) for _ in range(count)]
        fields = list(zip(cells[::2], cells[1::2], strict=True))
        try:
            text = linearise(fields)
        except BadTable:
            continue
        accepted += 1
        assert parse(text) == fields
    assert accepted > 300


@pytest.mark.parametrize("value", [value for value in AWKWARD if value not in ("# | #", ": ")])
def test_awkward_values_are_accepted(value: str) -> None:
    fields = [("name", value), ("Type", "pub"), ("note", value), ("area", "riverside")]
    assert parse(linearise(fields)) == fields


def test_parse_never_raises_anything_else() -> None:
    chance = random.Random(1)
    for _ in range(3000):
        text = "".join(chance.choices([*AWKWARD, ":", " : ", " | ", "\n", "\t", "\0", "[", "{", "|---|"], k=chance.randint(1, 8)))
        try:
            fields = parse(text)
        except BadTable:
            continue
        assert fields and all(key and value and key == key.strip() and value == value.strip() for key, value in fields)


def test_canonical_knows_every_alias() -> None:
    values = [("Name", "X"), ("eatType", "pub"), ("food", "Thai"), ("priceRange", "more than £30"),
             ("customerRating", "5 out of 5"), ("AREA", "riverside"), ("familyFriendly", "Yes"), ("near", "Y")]  # fmt: skip
    assert canonical(values) == [
        ("name", "X"), ("Type", "pub"), ("food", "Thai"), ("price", "more than £ 30"), ("customer rating", "5 out of 5"),
        ("area", "riverside"), ("family friendly", "yes"), ("near", "Y")]  # fmt: skip
    assert canonical([("name", "X"), ("price", "£20–£25")])[1] == ("price", "£ 20 - 25")
    assert canonical(canonical(values)) == canonical(values)


@pytest.mark.parametrize(
    "fields", [[("name", "Aero 5"), ("type", "phone"), ("screen", "6 inch")], [("type", "pub"), ("price", "£20-25")]]
)
def test_canonical_leaves_other_tables_alone(fields: list[tuple[str, str]]) -> None:
    assert canonical(fields) == fields


def test_a_grid_is_cleaned_and_its_half_rows_named() -> None:
    assert clean([["name ", " The Inn\n"], ["", ""], [None, ""], ["Type", "pub"], ["n", 5]]) == [
        ("name", "The Inn"), ("Type", "pub"), ("n", "5")]  # fmt: skip
    with pytest.raises(BadTable, match="Field 2, 'food', has no value"):
        clean([["name", "X"], ["food", ""]])
