"""The layer grid as a person meets it, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
LOOK = "#pl-look-"


def test_a_cell_of_the_layer_grid_is_chosen_by_keys_and_kept_in_the_address(page, served):
    page.goto(f"{served}?tab=attention&lens-layer=x")
    expect(page.locator(f"{LOOK}lens-head")).to_contain_text("the models differ most after layer")
    expect(page.locator(f"{LOOK}aside")).to_contain_text("attends as it does without it")
    grid = page.locator(f"{LOOK}lens .pl-plot")
    expect(grid).to_have_attribute("data-drawn", "layer-by-layer")
    grid.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"{LOOK}lens-cell h3")).to_contain_text("after the last layer")
    page.keyboard.press("ArrowUp")
    expect(page).to_have_url(re.compile("lens-layer=1&lens-token=1"))
    expect(page.locator(f"{LOOK}lens-cell h4")).to_have_text(["frozen", "tiny-prefix"])
    page.reload()
    expect(page.locator(f"{LOOK}lens-cell h3")).to_contain_text("stopped after layer 1")
