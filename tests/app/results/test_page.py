"""The Results tab in a real browser: both themes, a link that holds the state, and what can be clicked."""

import codecs
import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_tab_in_both_themes(page, served):
    from playwright.sync_api import expect

    main = page.locator("#pl-results-main")
    page.goto(f"{served}?tab=results&theme=dark&set=webnlg")
    expect(main.locator("h2")).to_have_text("Table 1: Table-to-text: all methods, WebNLG")
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    expect(main.locator(".pl-badge.class").first).to_have_text("Class project")
    assert main.locator("tr", has_text="Class project").last.locator("td").nth(1).inner_text() == "62.77"

    page.locator("[data-act=theme]").click()
    page.get_by_role("button", name="Figure 4").click()
    expect(main).to_contain_text("up to a threshold (200 for summarization, 10 for table-to-text)")
    expect(page.locator("#pl-results-plot .pl-plot")).to_have_attribute("data-drawn", "figure4-e2e")
    page.get_by_role("button", name="Figure 5").click()
    expect(page.locator("#pl-results-plot .pl-plot")).to_have_attribute("data-drawn", "figure5-e2e")
    expect(page).to_have_url(re.compile("results=figure5"))
    page.get_by_role("button", name="Table 1").click()
    expect(main.locator(".pl-missing code").first).to_contain_text("python launch.py experiments table1 --only ")

    page.get_by_role("button", name="Runs", exact=True).click()
    expect(main.locator("tbody tr").first).to_be_visible()
    page.locator("#pl-results-bar [data-text=words]").fill("tiny- e2e")
    page.locator("#pl-results-bar [data-text=words]").press("Enter")
    expect(main.locator(".desk tbody tr")).to_have_count(2)
    for name in ("tiny-prefix", "tiny-finetuned"):
        main.get_by_role("checkbox", name=f"Losses of {name}").click()
        expect(main.get_by_role("checkbox", name=f"Losses of {name}")).to_be_checked()
    expect(page.locator("#pl-results-plot .pl-plot")).to_have_attribute("data-drawn", "losses")
    expect(main).to_contain_text("Settings that differ")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert saved.value.suggested_filename == "prefix-lab-runs.csv"
    assert saved.value.path().read_bytes().startswith(codecs.BOM_UTF8)  # without it, spreadsheets break umlauts

    address = page.url  # a link holds the state
    page.goto(address)
    expect(main.locator(".desk tbody tr")).to_have_count(2)
    expect(main.get_by_role("checkbox", name="Losses of tiny-prefix")).to_be_checked()


def test_on_a_phone_a_link_opens_a_tab_that_the_menu_holds(page, served):
    from playwright.sync_api import expect

    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{served}?tab=results&metric=BLEU")
    expect(page.locator("#pl-tab-results-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#pl-results-main h2")).to_be_visible()
    expect(page.locator("#pl-results-main thead .pl-badge")).to_contain_text(["Paper", "Paper", "Re-implementation"])
    expect(page).to_have_url(re.compile("tab=results"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_in_a_narrow_window_no_label_of_the_scatter_lies_over_a_point(page, served):
    page.set_viewport_size({"width": 640, "height": 720})
    page.goto(f"{served}?tab=results&results=scatter&set=e2e")
    page.wait_for_function("""() => document.querySelectorAll(".textpoint text").length > 5""")
    clear = """() => {
      const traces = [...document.querySelectorAll(".trace.scatter")].filter((one) => one.querySelector(".textpoint text"));
      const centers = traces.flatMap((one) => [...one.querySelectorAll(".point")]).map((one) => one.getBoundingClientRect())
        .map((box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2]);
      const labels = [...document.querySelectorAll(".textpoint text")].filter((one) => one.style.visibility !== "hidden");
      const covers = (box) => centers.some(([x, y]) => box.left < x && x < box.right && box.top < y && y < box.bottom);
      return centers.length > 20 && labels.length > 3 && !labels.some((one) => covers(one.getBoundingClientRect()));
    }"""
    page.wait_for_function(clear)
