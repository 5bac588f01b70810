"""What the page's address says: enough to find the same comparison again. Bad values are left out, never fatal."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

MODES = ("greedy", "sample", "beam")
LIMIT = 4000  # characters of a table kept in the address


@dataclass(frozen=True)
class Address:
    """`example` is the id of a bundled table; `source` a table of one's own, and then `example` is empty."""

    backbone: str = ""
    task: str = ""
    prefix: str = ""
    finetuned: str = ""
    example: str = ""
    source: str = ""
    mode: str = "greedy"
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    ignored: tuple[str, ...] = field(default=(), compare=False)  # names of values that could not be read


NAMES = {
    "backbone": "backbone",
    "task": "task",
    "prefix": "prefix",
    "finetuned": "finetuned",
    "example": "example",
    "source": "table",
    "mode": "mode",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
}
CHECKS = {
    "mode": lambda value: value in MODES,
    "seed": lambda value: 0 <= value < 2**53,
    "temperature": lambda value: 0.01 <= value <= 100,
    "top_p": lambda value: 0.001 <= value <= 1,
}


def read(query: str) -> Address:
    """The state in an address's query string ("?seed=1&…")."""
    try:
        given = parse_qs(query.lstrip("?"), max_num_fields=50) if len(query) < 20_000 else {}
    except ValueError:  # more fields than any address of ours has
        given = {}
    values, ignored = {}, []
    for name, shown in NAMES.items():
        if shown not in given:
            continue
        try:
            value = type(getattr(Address(), name))(given[shown][0])
            if not CHECKS.get(name, lambda _: True)(value):
                raise ValueError
            values[name] = value
        except ValueError:
            ignored.append(shown)
    return Address(**values, ignored=tuple(ignored))


def write(address: Address) -> str:
    """The query string of a state, defaults left out: "seed=1&example=cafe-001"."""
    plain = Address()
    changed = {shown: getattr(address, name) for name, shown in NAMES.items() if getattr(address, name) != getattr(plain, name)}
    if len(str(changed.get("table", ""))) > LIMIT:
        del changed["table"]
    return urlencode(changed)
