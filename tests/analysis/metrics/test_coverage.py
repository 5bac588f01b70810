import pytest

from analysis.metrics.coverage import cover, error_counter
from core.errors import BadTable
from core.text.detokenize import detokenise
from core.text.tables import parse


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("price : £20-25", "It costs £ 20 - 25 a head ."),
        ("price : £ 20 - 25", "It costs between £20 and £25."),
        ("price : £ 20 - 25", "It costs 20-25 pounds."),
        ("price : less than £ 20", "All for under £20!"),
        ("price : moderate", "A moderately priced inn."),
        ("rating : 5 out of 5", "It has 5 stars."),
        ("rating : 5 out of 5", "a five - star inn"),
        ("rating : 5 out of 5", "It was rated five out of five."),
        ("customer rating : 5 out of 5", "rated 5/5"),
        ("near : Café Lumen", "It is near CAFE LUMEN."),
        ("near : the Crown", "near Crown"),
        ("released : 12 May 1999", "It came out on May 12, 1999."),
        ("birth date : 1999-05-12", "She was born on 12 May 1999."),
        ("birth date : 1999-05-03", "She was born on May 3rd, 1999."),
        ("length : 610.0", "It is 610 metres long."),
        ("leader : Ana Reis (politician)", "It is led by Ana Reis."),
        ("language : Dutch language", "Dutch is spoken there."),
        ("country : United States", "It comes from the U.S."),
        ("status : Deceased", "He died in May."),
        ("population : 1,250", "home to 1250 people"),
        ("screen : 6.1 inches", "a 6.1-inch screen"),
        ("country : Canada", "a Canadian film"),
        ("features : GPS, solar charging", "It has solar charging and a GPS."),
        ("team : Ruta Azul", "Ruta Azul 's captain"),
        ("family friendly : yes", "It is not cheap, but it is child-friendly."),
        ("family friendly : no", "It isn 't kid friendly ."),
        ("family friendly : no", "Adults only."),
        ("family friendly : no", "No families, sorry."),
        ("family friendly : no", "It is a child-free pub."),
        ("family friendly : no", "It is family unfriendly."),
        ("family friendly : yes", "Not only is it child friendly, it is cheap."),
        ("family friendly : yes", "Come with the whole family."),
        ("family friendly : yes", "It is a family pub for children and adults."),
        ("good with children : yes", "The dog is good with kids."),
        ("pets : allowed", "The inn allows pets."),
        ("waterproof : no", "The phone is not waterproof."),
        ("parking : yes", "AT&T Stadium has parking."),
        ("wifi : no", "T-Mobile Arena doesn't have wifi."),
        ("rating : ★★★★☆", "Its rating is ★★★★☆."),
        ("rating : 4/5", "It is rated 4 out of 5 stars."),
        ("temperature : -179 °C", "It is −179 °C there."),
        ("temperature : -179 °C", "It is minus 179 degrees."),
        ("price : £ 20 - 25", "The price is 20£-25."),
        ("price : 5 €", "It costs €5."),
        ("price : 5 euros", "It costs €5."),
        ("length : 5 km", "It is five kilometres long."),
        ("length : 5 kilometers", "It is 5km long."),
        ("share : 50%", "It has 50 percent."),
        ("speed : 100 km/h", "It reaches 100 kilometres per hour."),
        ("population : 1,234,567", "It has 1 234 567 inhabitants."),
        ("floor : 20", "It is on the 20th floor."),
        ("position : 2", "It is the second one."),
        ("opened : 27 February 1987", "It opened on February the 27th, 1987."),
        ("grade : A+", "It got an A+."),
        ("age : 45", "She is forty-five."),
        ("price : less than £ 20", "It costs less than twenty pounds."),
        ("name : Forty Winks", "It is Forty Winks."),
        ("city : 北京", "她住在北京。"),
        ("rating : ★★★★☆", "It is rated four out of five."),
    ],
)
def test_a_value_is_found(field: str, text: str) -> None:
    for form in (text, detokenise(text)):
        coverage = cover(parse(field), form)
        assert coverage.missing == [] and coverage.present == [field.split(" : ")[0]]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("UTC offset : -7", "It has a UTC offset of - 7."),
        ("elevation : -3.5", "It lies 3.5 below sea level."),
        ("population : 12500", "It has 12\N{NARROW NO-BREAK SPACE}500 inhabitants."),
    ],
)
def test_a_value_is_found_as_written(field: str, text: str) -> None:
    assert cover(parse(field), text).missing == []


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("price : £ 20 - 25", "It costs £20-30."),
        ("rating : 3 out of 5", "It is rated 5 out of 5."),
        ("family friendly : yes", "It is not suitable for children."),
        ("family friendly : yes", "It is run by a family of bakers."),
        ("family friendly : yes", "It is a family-owned restaurant."),
        ("family friendly : yes", "It is a child-free restaurant."),
        ("family friendly : no", "It is suitable for kids as well as adults."),
        ("good with children : yes", "The dog has a family."),
        ("child lock : no", "It is not for families."),
        ("family friendly : no", "It is family friendly."),
        ("name : Ivy House", "Ivy is a house."),
        ("country : Austria", "an Australian film"),
        ("name : Ivy House", ""),
        ("electric : no", "The Ford Model T is electric."),
        ("temperature : -179 °C", "It is 179 °C there."),
        ("temperature : 179 °C", "It is -179 °C there."),
        ("grade : A+", "It got an A-."),
        ("age : 45", "She is forty."),
        ("grade : A", "It got an A-."),
        ("score : 4/5", "It has 5/4."),
        ("population : 1,250", "It has 1 and 250 more."),
        ("language : C++", "It is written in C."),
        ("city : 上海", "她住在北京。"),
        ("century : 19th", "It is of the 20th century."),
        ("mark : ★", "no words at all"),
        ("rating : ★★★★☆", "It has 5 stars, ★★★★★."),
    ],
)
def test_a_value_is_missing(field: str, text: str) -> None:
    assert cover(parse(field), text).missing == [field.split(" : ")[0]]


def test_spans_are_the_covered_characters() -> None:
    text = "Ivy House , near Crown Inn , is a £ 20 - 25 pub ; try Ivy House ."
    coverage = cover(parse("name : Ivy House | Type : pub | price : £20-25 | food : Thai | near : Crown Inn"), text)
    assert coverage.present == ["name", "Type", "price", "near"] and coverage.missing == ["food"]
    assert [(text[start:end], key) for start, end, key in coverage.spans] == [
        ("Ivy House", "name"), ("Crown Inn", "near"), ("£ 20 - 25", "price"), ("pub", "Type"), ("Ivy House", "name")]  # fmt: skip


def test_a_value_inside_a_longer_one_covers_nothing() -> None:
    assert cover(parse("area : riverside | near : Riverside Café"), "It is near Riverside Café.").missing == ["area"]


def test_one_mention_does_not_tell_two_fields_by_chance() -> None:
    table = parse("name : Ivy | price : high | customer rating : high")
    assert cover(table, "Ivy has a high customer rating.").missing == ["price"]
    assert cover(table, "Ivy is high priced and highly rated.").missing == []
    assert cover(parse("written by : Ann Lee | directed by : Ann Lee"), "Written and directed by Ann Lee.").missing == []


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [
        ("Ivy House is a pub near the Crown Inn.", ["Crown Inn"]),
        ("Ivy House charges £20-30 and opened in 1999.", ["£20-30", "1999"]),
        ("Ivy House has 3 stars.", ["3 stars"]),
        ("Ivy House has 3 out of 5 stars.", ["3 out of 5 stars"]),
        ("Ivy House has 1 out of 5 stars.", []),
        ("Ivy House is of the 20th century, the first.", ["20th century"]),
        ("Ivy House is at -5.", ["-5"]),
        ("Ivy House is rated 5 out of 5 and sits by Mill Road.", ["5 out of 5", "Mill Road"]),
        ("Clowns is a pub.", ["Clowns"]),
        ("Ivy House is open at 11:45.", ["11:45"]),
        ("Great food at Ivy House. It is one of many. Prices are high.", ["Great food", "Prices", "high"]),
        ("The Type is pub; Ivy House is family friendly.", ["family friendly"]),
        ("", []),
    ],
)
def test_what_the_table_does_not_hold(text: str, unsupported: list[str]) -> None:
    assert cover(parse("name : Ivy House | Type : pub | rating : 1 out of 5"), text).unsupported == unsupported


def test_other_topics() -> None:
    table = parse("name : Nia Corvell | sport : football | goals : 54 | assists : 54 | number : 11")
    coverage = cover(table, "Footballer Nia Corvell, number 11, has 54 goals for Seaford United.")
    assert coverage.missing == ["assists"] and coverage.unsupported == ["Seaford United"]


@pytest.mark.parametrize(
    ("input_format", "source", "text", "errors"),
    [
        ("table", "name : Alda | food : Thai", "Alda serves Thai food.", 0),
        ("table", "name : Alda | food : Thai", "Alda is by the harbour.", 2),  # without food; harbour
        ("webnlg", " Alda : food : Thai", "Alda serves Thai food in Leeds.", 1),
        ("article", "Alda opened on Monday. It serves Thai food.", "Alda opened in Leeds.", 1),
        ("text", "Alda opened on Monday.", "Alda opened on Monday.", 0),
    ],
)
def test_errors_are_missing_values_and_unsupported_pieces(input_format: str, source: str, text: str, errors: int) -> None:
    assert error_counter(input_format, source)(text) == errors


def test_errors_of_a_bad_table_are_refused_before_any_text_is_generated() -> None:
    with pytest.raises(BadTable):
        error_counter("table", "no colon")
