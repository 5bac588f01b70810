"""Word lists for span records: months and units, words without content, and names of fields."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"

UNITS = (
    "percent", "per cent", "km", "km²", "kilometres", "kilometers", "metres", "meters", "m", "cm", "mm", "miles", "mi", "feet",
    "ft", "inches", "acres", "hectares", "square miles", "square kilometres", "square kilometers", "square feet", "kg",
    "kilograms", "pounds", "tonnes", "tons", "grams", "litres", "mph", "km/h", "kW", "MW", "hp", "GB", "MB", "hours", "minutes",
    "seconds", "days", "weeks", "months", "years", "years old", "dollars", "euros", "degrees",
)  # fmt: skip

# Words that are no part of a value. Words before a value, and words of a key, may be among them.
FUNCTION_WORDS = _words(
    """a an the of in on at by for to from with and or nor but as than then so if because while although though unless until
    since when where who whom whose which that what why how is was are were be been being am has have had having do does did
    will would can could may might must shall should it its he his him she her hers they their them we our us you your i my me
    himself herself itself themselves this these those there here not no never also only both either neither each every all any
    some such same other another others more most much many few less least several very too quite rather even just still yet
    already again ever often once later now about around over under up down out off into onto upon through throughout during
    before after between among within without against along across behind beyond near toward towards per via despite except
    including like unlike according due based however therefore thus one two three four five six seven eight nine ten first
    second third last next former own new old outside inside alongside besides amid until almost nearly well part
    early late mid approximately roughly far long whether yet etc indeed instead maybe perhaps"""
)

# Verbs that a run of lower-case words would otherwise take for nouns.
VERBS = _words(
    """became become becomes began begin begins begun bought brought built came come comes chose contains consists comprises
    covers died drew fell felt found founded gave give gives given goes went gone grew grown held hold holds includes include
    joined keep keeps kept knew known lay led leads left lies lived lives lost made make makes meant means met moved offers owns
    paid plays played put ran reached reads remains rose runs said saw says sees seen sent serves served set shows sold sang
    spent stands stood starred stars states studied takes taken taught took told thought used uses won wrote written worked
    works lists sits features gets got provides produces lets cost costs describes appears say get go see take know think want
    find help need try call seem feel"""
)

# "born on" and the like, before a span -> names of its field, where the span is a (date, name, number or phrase).
BEFORE: dict[str, dict[str, tuple[str, ...]]] = {
    "born": {
        "date": ("born", "birth date", "date of birth", "birthDate"),
        "name": ("birth place", "place of birth", "birthPlace"),
    },
    "died": {"date": ("died", "death date", "date of death"), "name": ("death place", "place of death")},
    "located": {"name": ("location", "place", "located in", "city", "country", "region", "area"), "phrase": ("location", "area")},
    "situated": {"name": ("location", "place", "region", "area"), "phrase": ("location", "area")},
    "based": {"name": ("headquarters", "location", "based in", "city")},
    "headquartered": {"name": ("headquarters", "location")},
    "founded": {"date": ("founded", "foundation", "year of foundation", "established"), "name": ("founder", "founded by")},
    "established": {"date": ("established", "founded", "foundation"), "name": ("founder", "established by")},
    "formed": {"date": ("formed", "founded", "active since"), "name": ("origin", "formed in")},
    "opened": {"date": ("opened", "opening date", "opening")},
    "completed": {"date": ("completed", "completion date", "completionDate")},
    "built": {"date": ("built", "year built", "construction", "buildingStartDate"), "name": ("builder", "built by", "location")},
    "designed": {"name": ("designer", "architect", "designed by")},
    "released": {"date": ("released", "release date", "release", "year"), "name": ("label", "record label", "released by")},
    "published": {"date": ("published", "publication date", "year"), "name": ("publisher", "published by")},
    "written": {"name": ("author", "writer", "written by"), "date": ("written", "year")},
    "directed": {"name": ("director", "directed by")},
    "produced": {"name": ("producer", "produced by")},
    "composed": {"name": ("composer", "music")},
    "developed": {"name": ("developer", "developed by")},
    "starring": {"name": ("starring", "stars", "cast")},
    "stars": {"name": ("starring", "stars", "cast")},
    "owned": {"name": ("owner", "owned by", "parent company")},
    "operated": {"name": ("operator", "operated by")},
    "named": {"name": ("name", "called", "named after")},
    "called": {"name": ("name", "called")},
    "known": {"name": ("known as", "also known as", "alias", "nickname"), "phrase": ("known for",)},
    "married": {"name": ("spouse", "married to", "wife", "husband")},
    "educated": {"name": ("education", "school", "alma mater")},
    "graduated": {"name": ("alma mater", "university", "education"), "date": ("graduated", "graduation year")},
    "studied": {"name": ("alma mater", "studied at", "university"), "phrase": ("field of study", "studied", "subject")},
    "plays": {"name": ("team", "club", "plays for"), "phrase": ("position", "instrument", "plays")},
    "played": {"name": ("team", "club", "played for", "former team"), "phrase": ("position", "instrument")},
    "signed": {"name": ("club", "team", "label", "signed with")},
    "elected": {"name": ("constituency", "elected to"), "date": ("elected", "election year"), "phrase": ("office", "position")},
    "appointed": {"name": ("office", "position", "appointed by"), "phrase": ("office", "position"), "date": ("appointed",)},
    "served": {"phrase": ("office", "role", "served as"), "name": ("served in", "branch"), "date": ("term", "in office")},
    "serves": {"phrase": ("serves", "role", "food"), "name": ("serves", "area served", "food")},
    "won": {"name": ("award", "prize", "won", "honours"), "phrase": ("award", "achievement", "won")},
    "received": {"name": ("award", "prize", "received"), "phrase": ("award", "received")},
    "awarded": {"name": ("award", "prize", "awarded"), "date": ("award date", "year")},
    "population": {"quantity": ("population", "populationTotal", "inhabitants", "number of people")},
    "area": {"quantity": ("area", "areaTotal", "size")},
    "height": {"quantity": ("height",)},
    "length": {"quantity": ("length",)},
    "capacity": {"quantity": ("capacity", "seating capacity")},
    "price": {"quantity": ("price", "cost")},
    "costs": {"quantity": ("price", "cost")},
    "cost": {"quantity": ("cost", "price")},
    "rated": {"quantity": ("rating", "score", "customer rating")},
    "age": {"quantity": ("age",)},
    "aged": {"quantity": ("age",)},
    "near": {"name": ("near", "close to", "nearby"), "phrase": ("near",)},
    "for": {"name": ("for", "team", "client", "employer"), "phrase": ("purpose", "for", "reason")},
    "with": {"name": ("with", "partner", "together with"), "phrase": ("with", "feature", "features")},
    "by": {"name": ("by", "author", "creator", "maker"), "phrase": ("by", "means")},
    "in": {
        "name": ("place", "location", "city", "country", "region", "area", "in", "setting"),
        "date": ("year", "date", "time", "when", "in"),
        "phrase": ("field", "area", "in", "place", "location"),
    },
    "at": {"name": ("at", "venue", "location", "institution", "place"), "phrase": ("place", "location", "at")},
    "from": {
        "name": ("from", "origin", "hometown", "country", "source"),
        "date": ("from", "start", "since", "began"),
        "phrase": ("from", "source", "origin"),
    },
    "to": {"name": ("to", "destination", "recipient"), "date": ("to", "until", "end"), "phrase": ("to", "goal", "destination")},
    "until": {"date": ("until", "end", "ended")},
    "since": {"date": ("since", "start", "active since")},
    "on": {
        "date": ("date", "day", "when", "on"),
        "name": ("on", "label", "channel", "location"),
        "phrase": ("topic", "subject", "on"),
    },
    "of": {"name": ("of", "part of", "belongs to"), "phrase": ("of", "kind", "made of", "part of")},
    "as": {"phrase": ("role", "position", "known as", "as"), "name": ("role", "as", "alias")},
    "and": {},
    "is": {"phrase": ("type", "kind", "description", "is a", "category", "occupation", "what")},
    "was": {"phrase": ("type", "kind", "description", "was a", "category", "occupation", "profession")},
    "are": {"phrase": ("type", "kind", "description", "are")},
    "were": {"phrase": ("type", "kind", "description", "were")},
    "became": {"phrase": ("became", "position", "role", "occupation")},
    "has": {"phrase": ("has", "feature", "features"), "name": ("has",)},
    "had": {"phrase": ("had", "feature"), "name": ("had",)},
    "include": {"name": ("members", "examples", "includes"), "phrase": ("includes", "examples")},
    "includes": {"name": ("members", "examples", "includes"), "phrase": ("includes", "examples")},
}

# Names of fields for a span of each kind, where nothing before it says what it is.
GENERAL: dict[str, tuple[str, ...]] = {
    "name": ("person", "place", "organisation", "entity", "related to", "with", "associated with", "topic", "other"),
    "date": ("date", "year", "time", "when", "period"),
    "quantity": ("number", "amount", "quantity", "count", "value", "total"),
    "phrase": ("topic", "type", "kind", "about", "detail", "subject", "keyword", "description", "note"),
    "quote": ("title", "quote", "called", "motto", "name"),
}
SUBJECT = ("name",) * 8 + ("title", "title", "subject", "subject", "entity", "who", "topic", "Name")

# The last word of a name that says what the named is, and so may name its field.
HEADS = _words(
    """County River Lake Island Islands Mountains Mountain Valley Park Street Road Avenue Bridge Square University College School
    Academy Institute Museum Library Gallery Theatre Theater Church Cathedral Abbey Castle Palace House Hall Hospital Airport
    Station Railway Line Party Union League Club Association Society Company Corporation Group Band Orchestra Choir Award Prize
    Medal Cup Championship Championships Series Tournament Festival Army Navy Force Regiment Division Battalion Council Committee
    Parliament Congress Senate Ministry Department Agency Court Act Treaty War Battle Empire Kingdom Republic Province District
    State Region Diocese Order Temple Bay Sea Ocean Peninsula Canal Dam Hotel Restaurant Bank Foundation Magazine Times Journal
    Press Records Studios Stadium Arena"""
)

PREPOSITIONS = _words("in on at by for to from with as into onto near under over against between among through during of")

# What a noun phrase may follow.
INTRODUCERS = PREPOSITIONS | _words(
    """a an the his her its their is was are were be been being and or including called named became become like own new old
    first second third last only former another two three four five six seven eight nine ten many several most more some"""
)
