"""What a bundled backbone was trained on, from its model card."""

import re
from functools import cache
from itertools import dropwhile, takewhile

from core import paths

HEADINGS = ("What it has read", "Text it was drawn from")


@cache
def card_texts(backbone: str) -> tuple[str, ...]:
    """Return the training texts that a bundled backbone's card lists, such as ("English Wikipedia", "Wikinews"); () without a
    card.

    They are in the column "text" of the first table in the section; other tables there are about details.
    """
    try:
        card = (paths.MODELS / backbone / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ()
    section = next((part for part in re.split(r"^## ", card, flags=re.MULTILINE) if part.startswith(HEADINGS)), "")
    table = takewhile(lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith("|"), section.splitlines()))
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table]
    if not rows or "text" not in rows[0]:
        return ()
    column = rows[0].index("text")
    names = [re.sub(r"\s*\([^)]*\)", "", row[column]) for row in rows[2:] if len(row) > column]
    parts = [part.strip() for name in names for part in re.split(r", (?:in proportion|below|without)", name)[0].split(", ")]
    return tuple(dict.fromkeys(part for part in parts if part))
