"""Every key of the table of keys does what the table says, in a real browser."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.shared.keys import KEYS

pytestmark = pytest.mark.browser
STATUS = "#pl-status .status"
HEAD = "#pl-look-tokens h3"
LESSON = "en/08-what-the-vectors-are-near"


def generate_and_stop(page: Page, served: str) -> None:
    page.goto(f"{served}?mode=sample&seed=3")  # slow: see tests/app/served.py
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "done")
    page.keyboard.press("Control+Enter")
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "running")
    expect(page.locator("#pl-out-prefix .meta")).to_contain_text(re.compile(r"\b([5-9]|[1-7]\d) tokens"))
    page.keyboard.press("Escape")
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "cancelled")


def examples(page: Page, served: str) -> None:
    page.goto(served)
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "done")
    pressed = page.locator("[data-sample][aria-pressed=true]")
    first = pressed.get_attribute("data-sample") or ""
    page.keyboard.press("ArrowRight")
    expect(pressed).not_to_have_attribute("data-sample", first)
    page.keyboard.press("ArrowLeft")
    expect(pressed).to_have_attribute("data-sample", first)


def present(page: Page, served: str) -> None:
    page.keyboard.press("p")
    expect(page.locator("body")).to_have_class(re.compile(r"\bpresent\b"))
    page.keyboard.press("P")
    expect(page.locator("body")).not_to_have_class(re.compile(r"\bpresent\b"))


def table(page: Page, served: str) -> None:
    page.keyboard.press("?")
    expect(page.locator("#pl-keys tbody tr")).to_have_count(len(KEYS))
    expect(page.locator("#pl-keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#pl-keys")).to_be_hidden()


def tabs(page: Page, served: str) -> None:
    page.locator("#pl-tab-compare-button").focus()
    for key, tab in (("ArrowRight", "attention"), ("End", "learn"), ("Home", "compare"), ("ArrowLeft", "learn")):
        page.keyboard.press(key)
        button = page.locator("#pl-tabs [role=tab][aria-selected=true]")
        if tab == "learn":  # the last
            expect(button).to_have_attribute("id", page.locator("#pl-tabs [role=tab]").last.get_attribute("id") or "")
        else:
            expect(button).to_have_attribute("id", f"pl-tab-{tab}-button")


def layers(page: Page, served: str) -> None:
    page.goto(f"{served}?tab=attention&layer=1&head=2")
    expect(page.locator(HEAD)).to_have_text("Layer 1, head 2")
    page.keyboard.press("]")
    expect(page.locator(HEAD)).to_have_text("Layer 2, head 2")
    page.keyboard.press("[")
    expect(page.locator(HEAD)).to_have_text("Layer 1, head 2")
    page.locator("#pl-tab-space-button").click()
    expect(page.locator("#pl-space-layer input")).to_have_value("2")
    page.keyboard.press("[")
    expect(page.locator("#pl-space-layer input")).to_have_value("1")
    page.keyboard.press("]")
    expect(page.locator("#pl-space-layer input")).to_have_value("2")


def heads(page: Page, served: str) -> None:
    page.goto(f"{served}?tab=attention&layer=1&head=2")
    expect(page.locator(HEAD)).to_have_text("Layer 1, head 2")
    example = page.url.partition("example=")[2]
    page.locator("#pl-look-heads .pl-plot").focus()
    for key, place in (
        ("ArrowRight", "Layer 1, head 3"),
        ("ArrowUp", "Layer 2, head 3"),
        ("ArrowLeft", "Layer 2, head 2"),
        ("ArrowDown", "Layer 1, head 2"),
    ):
        page.keyboard.press(key)
        expect(page.locator(HEAD)).to_have_text(place)
    assert page.url.partition("example=")[2] == example  # the arrows moved nothing else


def token(page: Page, served: str) -> None:
    page.locator("#pl-look-tokens .own").nth(3).focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"token=\d"))


def lesson(page: Page, served: str) -> None:
    strip = page.locator("#pl-lesson")
    page.goto(f"{served}?lesson={LESSON}.1")
    expect(strip).to_contain_text("1 of 4")
    page.keyboard.press("PageDown")
    expect(strip).to_contain_text("2 of 4")
    page.keyboard.press("PageUp")
    expect(strip).to_contain_text("1 of 4")
    page.keyboard.press("PageDown")
    page.keyboard.press("1")
    expect(strip.locator(".answer.right")).to_be_visible()
    page.keyboard.press("Escape")
    expect(strip).to_be_hidden()


def menus(page: Page, served: str) -> None:
    page.goto(f"{served}?lesson=en/09-little-data-new-topics.3")
    expect(page.locator("#pl-results-plot .pl-plot")).to_have_attribute("data-drawn", "figure3-e2e")
    for menu in (page.locator(".pl-share"), page.locator("#pl-results-plot .pl-save")):
        menu.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(menu).to_have_attribute("open", "")
        page.keyboard.press("Escape")
        expect(menu).not_to_have_attribute("open", "")
        expect(menu.locator("summary")).to_be_focused()
    expect(page.locator("#pl-lesson")).to_be_visible()


CHECKS: dict[tuple[str, str], Callable[[Page, str], None]] = {
    ("Ctrl+Enter", "anywhere"): generate_and_stop,
    ("Esc", "anywhere"): generate_and_stop,
    ("← →", "anywhere"): examples,
    ("P", "anywhere"): present,
    ("?", "anywhere"): table,
    ("← → Home End", "a tab in focus"): tabs,
    ("[ ]", "Attention, Prefix space"): layers,
    ("← → ↑ ↓", "Attention, a grid in focus"): heads,
    ("Enter", "Attention, a token in focus"): token,
    ("PageUp PageDown", "a lesson"): lesson,
    ("1 2 3 4", "a lesson"): lesson,
    ("Esc", "a lesson"): lesson,
    ("Esc", "a menu"): menus,
}


def test_each_key_of_the_table_does_what_the_table_says(page, served):
    assert set(CHECKS) == {(binding.keys, binding.where) for binding in KEYS}
    for check in dict.fromkeys(CHECKS.values()):
        check(page, served)


def test_the_first_tab_stop_leads_to_generate_from_any_tab_and_keeps_the_page(page, served):
    page.goto(f"{served}?tab=train")
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "done")
    page.evaluate("document.documentElement.dataset.same = 'yes'")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to Generate")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pl-generate")).to_be_focused()
    expect(page.locator("html")).to_have_attribute("data-same", "yes")


def test_back_returns_to_the_tab_before_and_changes_nothing_else(page, served):
    page.goto(f"{served}?mode=greedy")
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "done")
    tab = {name: page.get_by_role("tab", name=name, exact=True) for name in ("Compare", "Results", "Learn")}
    tab["Results"].click()
    expect(page).to_have_url(re.compile("tab=results"))
    tab["Learn"].click()
    expect(page).to_have_url(re.compile("tab=learn"))
    page.locator("[data-act=theme]").click()
    expect(page).to_have_url(re.compile("theme=dark"))
    for step, name in ((page.go_back, "Results"), (page.go_back, "Compare"), (page.go_forward, "Results")):
        step()
        expect(tab[name]).to_have_attribute("aria-selected", "true")
        expect(page).to_have_url(re.compile(r"\?(?=.*mode=greedy)(?=.*theme=dark)"))
