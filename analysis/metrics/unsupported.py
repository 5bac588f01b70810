"""What a text states that its table or article does not support: names, numbers and content words. A string check.

Supported words are: those of the table's keys and values or of the article, in any plain form; words that go with a key of the
table (LEXICON: "scored" with goals); and words of two closed lists, function words and verbs that only link ("is", "has",
"offers", "made"). All others count, lower-case ones too; adjacent words make one piece. The check cannot see a false statement
composed of supported words ("Leeds was born in Ann"), or a denial. It wrongly marks a paraphrase or an inference in other words
("seaside" for a beach).
"""

import re
from collections.abc import Iterator, Sequence

from analysis.metrics.normalize import NUMBER, NUMBER_WORD, ORDINAL, Word, forms_of, vocabulary
from core.text.tables import Fields

Span = tuple[int, int]  # characters [start, end)

LIMITS = (
    "A check of strings. It sees names, numbers and words that are not in the input; it cannot see a wrong claim made of the "
    "input's own words, and a paraphrase may count as left out or as unsupported."
)

FUNCTION = vocabulary(
    "a an the it its this that these those there here he she they we you i his her their our your my him them me us who whom "
    "whose which what when where why how and or but nor so yet if as than at by for from in of on to with near not no yes "
    "although though also both either neither without after before because since until while during between among through over "
    "under above below into onto about around across along off out up down again then once only just very more most less least "
    "much many few some any all each every other another such same own one m t d re ve ll itself himself herself themselves"
)
LINKING = vocabulary(
    "is are was were be been being am has have had having do does did done can could will would shall should may might must "
    "located situated found called named known titled entitled lies lie lay stands stand stood sits sit offers offer offered "
    "provides provide provided gives give features feature includes include including comes come came goes go made make makes "
    "takes take took runs run set holds hold keeps covers cover serves serve served serving costs cost costing charges charge "
    "charging open opens opened opening uses use using used gets get got says say said look looking find try place "
    "people close welcome suited written wrote own sell sells like last lasts long old rising "
    "buy name location type kind aka well now"
)
_VERBS = vocabulary("is was has serves offers provides")
# What may be said because a table has such a key: nouns for what it is about, and the verbs that go with the field.
LEXICON = {
    "customer family cuisine": "restaurant meal dish eat food cuisine",
    "food": "eat meal dish cuisine",
    "favourite favorite": "best",
    "family friendly children": "kid child children family welcome adult friendly suited",
    "price ticket cost": "price priced range pound",
    "room star spa breakfast guest pet parking": "hotel guest",
    "direct star released running genre music": "film movie",
    "sport position club number jersey": "player play shirt wear wearing",
    "goal point score run tries": "scored",
    "ranking": "number",
    "professional": "ride",
    "title award prize medal win trophy": "won winner",
    "height": "tall",
    "population": "inhabitant home live",
    "country county population founded landmark mayor nickname region": "city town",
    "river": "flow",
    "memory battery screen camera storage display maker": "device power pair",
    "author publisher page publish volume illustrator": "book work",
    "illustrator": "picture",
    "age born": "aged",
    "home habitat species": "live living stay",
    "diet eats food": "feed eat",
    "egg": "lay",
    "from to route length duration mode start speed passenger": "journey travel ride trip reach leave crossing climb walk",
    "car bicycle bike passenger": "carry",
    "establish": "founded",
    "birth": "born",
    "crew operator": "mission flew",
    "creator alternative": "comic character alias",
    "ingredient": "dish food",
    "architect floor completion": "designed building",
    "designer": "designed",
    "instrument label genre origin": "musician band singer play",
    "body discoverer": "moon planet astronomer",
    "party": "politician",
    "successor": "succeeded",
    "ground manager member": "team club player",
}
_LEXICON = [(vocabulary(keys), vocabulary(words)) for keys, words in LEXICON.items()]

_COUNT = rf"(?:{NUMBER}(?::\d\d)*|\b{NUMBER_WORD}\b)"  # 1,250, 10:30, five
_NUMBER_PHRASE = re.compile(
    rf"[£$€]?\s?{_COUNT}(?:(?:\s?[-–]\s?|\sto\s)[£$€]?\s?{_COUNT})?(?P<rating>(?:\s(?:out\s)?of\s{_COUNT}|\s?/\s?{_COUNT})(?:[\s-]+stars?\b)?|[\s-]+stars?\b)?",
    re.IGNORECASE,
)


def words_of_keys(fields: Fields) -> frozenset[str]:
    """Return the words that the table's keys allow."""
    keys = {form for key, _ in fields for form in forms_of(key)}
    return frozenset().union(
        *(supported for key_words, supported in _LEXICON if any(related(one, key) for one in key_words for key in keys))
    )


def related(one: str, other: str) -> bool:
    """Whether two words are related by a plain ending: "price" and "priced", "rating" and "rated", "director" and "directed"."""
    common = max(3, min(len(one), len(other)) - 2)
    return one == other or (min(len(one), len(other)) > 3 and one[:common] == other[:common])


def unsupported_spans(text: str, words: Sequence[Word], known: frozenset[str], covered: Sequence[Span]) -> list[Span]:
    """Return the pieces of a text that neither `known` forms nor the closed lists support, outside the `covered` characters."""
    numbers = list(_numbers(text, words, known, covered))
    opens = [_opens(words, place) for place in range(len(words))]
    places = [place for place, word in enumerate(words) if _is_strange(word, opens[place], known, covered)]
    pieces = list(_joined(text, words, places, known))
    return sorted({*(_extended(number, pieces) for number in numbers), *(span for span in pieces if not _overlap(span, numbers))})


def _is_strange(word: Word, opens: bool, known: frozenset[str], covered: Sequence[Span]) -> bool:
    """Whether a word is unsupported. `opens`: it opens a sentence, so that its capital letter means nothing."""
    ordinal = re.fullmatch(ORDINAL, word.form)
    if not (ordinal or word.form[0].isalpha()) or len(word.surface) == 1 or word.form in known | FUNCTION | LINKING:
        return False
    if _overlap((word.start, word.end), covered):
        return False
    if ordinal:
        return word.form[:-2] not in known
    return (word.surface[0].isupper() and not opens) or not any(related(word.form, one) for one in known)


def _opens(words: Sequence[Word], place: int) -> bool:
    """Whether a word starts a sentence and is not its subject alone ("Rated 5 out of 5 …", but not "Clowns is …")."""
    if place and words[place].sentence == words[place - 1].sentence:
        return False
    return place + 1 == len(words) or words[place + 1].form not in _VERBS


def _overlap(span: Span, others: Sequence[Span]) -> bool:
    return any(span[0] < end and span[1] > start for start, end in others)


def _extended(number: Span, pieces: Sequence[Span]) -> Span:
    """A number with the piece that its last word begins: "1-star Japanese restaurant"."""
    spans = [number, *(span for span in pieces if _overlap(span, [number]))]
    return min(start for start, _ in spans), max(end for _, end in spans)


def _joined(text: str, words: Sequence[Word], places: Sequence[int], known: frozenset[str]) -> Iterator[Span]:
    """Merge adjacent words into one piece, a name together with those of its words that the table has ("The Crown Inn")."""
    unsupported = set(places)
    start = 0
    while start < len(words):
        if start not in unsupported and not _opens_a_name(words, start, unsupported):
            start += 1
            continue
        end = start + 1
        while end < len(words) and _belongs(text, words, end, unsupported):
            end += 1
        yield words[start].start, words[end - 1].end
        start = end


def _opens_a_name(words: Sequence[Word], start: int, unsupported: set[int]) -> bool:
    """Whether a known capitalised word precedes a strange one of the same name."""
    word = words[start]
    if start + 1 not in unsupported or word.form in FUNCTION or not word.surface[0].isupper():
        return False
    return words[start + 1].surface[0].isupper() and words[start + 1].clause == word.clause


def _belongs(text: str, words: Sequence[Word], place: int, unsupported: set[int]) -> bool:
    gap = text[words[place - 1].end : words[place].start]
    name = words[place].surface[0].isupper() and words[place - 1].surface[0].isupper() and words[place].form not in FUNCTION
    return (place in unsupported or name) and re.fullmatch(r"[\s.'’-]*(?:s\s)?", gap) is not None


def _numbers(text: str, words: Sequence[Word], known: frozenset[str], covered: Sequence[Span]) -> Iterator[Span]:
    """Yield numbers and prices that are unsupported in part, and ratings as a whole ("5 out of 5" is not "3 out of 5")."""
    for match in _NUMBER_PHRASE.finditer(text):
        start, end = match.end() - len(match[0].lstrip()), match.end()
        numbers = [word for word in words if word.start < end and word.end > start and re.fullmatch(rf"-?{NUMBER}", word.form)]
        numbers = [word for word in numbers if word.surface.lower() != "one"]  # mostly no number
        strange = [word for word in numbers if word.form not in known and not _overlap((word.start, word.end), covered)]
        if strange if match["rating"] is None else not _overlap((start, end), covered):
            yield min([start, *(word.start for word in strange)]), end
