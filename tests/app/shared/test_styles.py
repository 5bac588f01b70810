"""The style sheets: what would make drawing a figure slow."""

import re

import pytest

from app.shared.theme import APP, STYLES


@pytest.mark.parametrize("name", STYLES)
def test_no_change_of_the_page_makes_the_browser_style_all_of_it_anew(name):
    """Seen on the Attention tab: each label that plotly measured had 880 elements styled anew, most of a first look.

    With :has() on the body, or in front of an element of any kind, whatever comes into the page may change anything in it.
    """
    text = re.sub(r"/\*.*?\*/", "", (APP / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    for selector in re.findall(r"([^{}]+)\{", text):
        assert not re.search(r"(body|:root|html|\.gradio-container)[^\s,>]*:has\(", selector), selector
        assert not re.search(r":has\([^{]*\)\s*[ >+~]\s*\*", selector), selector
