"""The scripts of the page, which share one object."""

import re
from collections import Counter

from app.shared.theme import APP, SCRIPTS


def test_no_two_scripts_give_one_name_to_the_page():
    """The later of two functions takes the place of the first, whose part of the page then does nothing."""
    texts = [(APP / name).read_text(encoding="utf-8") for name in SCRIPTS]
    names = Counter(name for text in texts for name in re.findall(r"^ *PrefixLab\.(\w+) = ", text, re.MULTILINE))
    assert len(names) > 10 and [name for name, count in names.items() if count > 1] == []
