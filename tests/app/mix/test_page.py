"""The Mix tab as a person meets it, in a real browser."""

import re
import shutil

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
PHASE, NOW, ROWS = "#pl-status .status", "#pl-mix-stage .pl-mix-now", "#pl-mix-stage .pl-mix-rows li"


def open_tab(page: Page, served: str, query: str = "") -> None:
    page.goto(f"{served}?tab=mix{query}")
    expect(page.locator(ROWS).first).to_be_visible()
    expect(page.locator("#pl-mix-stage .caret")).to_have_count(0)
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")


def test_the_slider_shows_each_text_and_the_stop_opens_in_compare_with_the_same_text(page, served):
    open_tab(page, served, "&mix-kind=blend")
    expect(page.locator("#pl-mix-note")).to_contain_text("no usable value for: mix-kind")
    expect(page.locator(ROWS)).to_have_count(11)
    expect(page.locator(f"{NOW} h3")).to_have_text("cross-fade: 50 % tiny-prefix, 50 % triples-prefix")
    page.locator("#pl-mix-stage input[type=range]").press("ArrowRight")
    expect(page.locator(f"{NOW} h3")).to_have_text("cross-fade: 40 % tiny-prefix, 60 % triples-prefix")
    expect(page).to_have_url(re.compile("mix-stop=6"))
    page.locator("#pl-mix-bar").get_by_role("button", name="Join").click()
    expect(page.locator(ROWS)).to_have_count(3)
    expect(page.locator("#pl-mix-stage .caret")).to_have_count(0)
    text = page.locator(f"{NOW} .generated").inner_text()
    assert text == page.locator(ROWS).nth(1).locator(".generated").inner_text()
    page.locator("#pl-mix-acts [data-open=compare]").click()
    expect(page.locator("#pl-other select")).to_have_value(re.compile("mix:join::"))
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")
    expect(page.locator("#pl-out-other .generated").first).to_have_text(text, use_inner_text=True)


@pytest.fixture
def stored_run(house):
    """The name of a run that a test keeps in the shared store, where other tests count the runs."""
    yield "swapped"
    shutil.rmtree(house.store.folder / "swapped", ignore_errors=True)


def test_the_curve_is_measured_and_a_mix_is_kept(page, served, stored_run):
    open_tab(page, served, "&mix-kind=swap&mix-runs=tiny-prefix,triples-prefix")
    page.locator("#pl-mix-start").click()
    expect(page.locator("#pl-mix-curve .pl-plot")).to_have_attribute("data-drawn", "mix-curve")
    page.locator("#pl-mix-acts input[name=name]").fill(stored_run)
    page.get_by_role("button", name="Keep as a run").click()
    expect(page.locator("#pl-mix-note")).to_contain_text(f"{stored_run} is kept as a run")
    expect(page.locator("#pl-mix-run-0 option", has_text=stored_run)).to_have_count(1)


def test_the_report_of_a_finished_mix_is_not_seen_on_another_tab(page, served):
    open_tab(page, served)
    report = page.locator(f"{PHASE} > span")
    page.locator("#pl-mix-bar").get_by_role("button", name="Join").click()
    expect(report).to_be_visible()
    expect(report).to_contain_text("texts, the same input and decoding")
    page.locator("#pl-tab-train-button").click()
    expect(report).to_be_hidden()
    page.locator("#pl-tab-compare-button").click()
    expect(report).to_be_hidden()
    page.locator("#pl-generate").click()
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")
    expect(report).to_be_visible()


def test_the_report_of_the_comparison_with_which_a_page_opens_is_seen_on_compare_only(page, served):
    page.goto(f"{served}?tab=learn")
    status = page.locator(f"{PHASE}[data-tab=compare]")
    expect(status).to_have_attribute("data-phase", "done")
    expect(status.locator("span")).to_be_hidden()
    page.goto(served)
    expect(status).to_have_attribute("data-phase", "done")
    expect(status.locator("span")).to_be_visible()


def test_on_a_phone_the_words_above_the_curve_are_whole(page, served):
    page.set_viewport_size({"width": 390, "height": 844})
    open_tab(page, served)
    page.locator("#pl-mix-start").click()
    expect(page.locator("#pl-mix-curve .gtitle-subtitle")).to_contain_text("greedy decoding")
    figure, words = (page.locator(f"#pl-mix-curve {part}").bounding_box() for part in (".main-svg >> nth=0", ".gtitle-subtitle"))
    assert words["x"] + words["width"] <= figure["x"] + figure["width"]
