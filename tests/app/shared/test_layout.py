"""No tab is cut off, and neither controls nor words of figures overlap: on projectors, with large type, and on a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
SIZES = {"projector": (1280, 720, 1), "old projector": (1024, 768, 1), "150 %": (853, 480, 1.5), "phone": (390, 844, 1)}
FAULTS = Path(__file__).with_name("layout_faults.js").read_text(encoding="utf-8")
DRAWN_TO_SIZE = """() => [...document.querySelectorAll(".js-plotly-plot")].every((plot) => !plot.clientWidth ||
    Math.abs(plot._fullLayout.width - plot.clientWidth) < 1 && Math.abs(plot._fullLayout.height - plot.clientHeight) < 1)"""
READY = {
    "compare": "#pl-status [data-phase=done]",
    "attention": "#pl-look-headline .pl-sentence",
    "space": "#pl-space-detail h3, #pl-space-empty h3",
    "train": "#pl-train-facts :is(dl, p)",
}


def open_tab(page: Page, button: str) -> str:
    """Show the tab of a button, wait until it is filled, and return its name."""
    tab = button.removeprefix("pl-tab-").removesuffix("-button")
    page.locator(f"#{button}").click()
    expect(page.locator(f"#{button}")).to_have_attribute("aria-selected", "true")
    if tab in READY:
        page.locator(READY[tab]).first.wait_for(state="attached")
    if tab == "attention":
        page.locator("#pl-look-influence [data-drawn], #pl-look-lens [data-drawn]").first.wait_for(state="attached")
    page.wait_for_timeout(500)  # what is opened last is laid out
    page.wait_for_function(DRAWN_TO_SIZE)
    return tab


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_and_no_control_lies_over_another(browser, served, size):
    width, height, scale = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(served)
    expect(page.locator("#pl-status .status")).to_have_attribute("data-phase", "done")
    buttons = [tab.get_attribute("id") for tab in page.locator("#pl-tabs [role=tab]").all()]
    assert "pl-tab-learn-button" in buttons
    faults = []
    for view in ("", "presenter's view, "):
        for button in buttons:
            tab = open_tab(page, button)
            faults += [f"{view}{tab}: {fault}" for fault in page.evaluate(FAULTS)]
        page.keyboard.press("p")
    context.close()
    assert faults == []
