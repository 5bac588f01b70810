"""The Prefix space tab as a person meets it, in a real browser."""

import codecs
import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
MAP = "#pl-space-map .pl-plot"
TITLE = "#pl-space-detail h3"


def open_space(page: Page, served: str, query: str = "") -> None:
    page.goto(f"{served}?tab=space{query}")
    expect(page.locator(MAP)).to_have_attribute("data-drawn", re.compile("prefix-space"))
    expect(page.locator(TITLE)).to_contain_text("P")


def place(page: Page, trace: str, index: int) -> tuple[float, float]:
    """Where a point of the map is on the screen."""
    return page.evaluate(
        """([name, index]) => {
          const node = PrefixLab.plots.get("pl-space-map");
          node.scrollIntoView({ block: "center" });
          const box = node.getBoundingClientRect();
          const trace = node.data.find((one) => one.name === name), { xaxis, yaxis } = node._fullLayout;
          return [box.x + xaxis._offset + xaxis.l2p(trace.x[index]), box.y + yaxis._offset + yaxis.l2p(trace.y[index])];
        }""",
        [trace, index],
    )


def test_a_click_on_map_or_table_shows_that_virtual_tokens_words_and_a_link_brings_it_back(page, served):
    open_space(page, served)
    expect(page.locator(".pl-warning")).to_contain_text("Khashabi et al. 2022")
    expect(page.locator("#pl-space-detail tbody tr")).to_have_count(10)
    expect(page.locator("#pl-space-verdict")).to_contain_text("than random vectors do")
    expect(page.locator(f"{MAP} .annotation-text")).to_contain_text(re.compile(r"257\s*words"))  # a line may end between them
    page.mouse.move(*place(page, "tiny-prefix", 2))
    expect(page.locator("#pl-space-all tr.lit")).to_contain_text("P3")
    page.mouse.click(*place(page, "tiny-prefix", 2))
    expect(page.locator(TITLE)).to_contain_text("P3 of 4")
    page.locator("#pl-space-all tbody tr", has_text="P4").locator("td").first.click()
    expect(page.locator(TITLE)).to_contain_text("P4")
    page.locator("#pl-space-detail tbody tr").first.hover()
    expect(page.locator(f"{MAP} .hovertext")).to_have_count(1)
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile("space-layer=1.*space-token=4"))
    page.reload()
    expect(page.locator(TITLE)).to_contain_text("P4")
    expect(page.locator("#pl-space-layer input")).to_have_value("1")


def test_the_lasso_filters_the_table(page, served):
    open_space(page, served)
    x, y = place(page, "tiny-prefix", 0)
    page.mouse.move(x - 9, y - 9)
    page.mouse.down()
    for right, down in ((9, -9), (9, 9), (-9, 9), (-9, -8)):
        page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()
    expect(page.locator("#pl-space-all .lasso")).to_contain_text("The lasso holds")
    expect(page.locator("#pl-space-all tbody tr:visible", has_text="P1")).to_have_count(1)
    assert page.locator("#pl-space-all tbody tr:visible").count() < 4
    page.locator("[data-clear]").click()
    expect(page.locator("#pl-space-all tbody tr:visible")).to_have_count(4)


def test_a_link_opens_writes_with_a_text_beside_the_run_and_umap_takes_over(page, served):
    open_space(page, served, "&space=writes&space-layer=1&space-head=2&map=umap&among=tiny-prefix,text:To%2520tell&theme=dark")
    expect(page.locator("#pl-space-note")).to_contain_text("UMAP is ready")
    expect(page.locator(MAP)).to_have_attribute("data-drawn", "prefix-space-umap")
    expect(page.locator("#pl-space-detail")).to_contain_text("pushed down")
    expect(page.locator("#pl-space-all tbody tr")).to_have_count(4 + len("To tell\n"))
    expect(page.locator(f"{MAP} .annotation-text")).to_contain_text("head 2 of 4")
    expect(page.locator(f"{MAP} .main-svg").first).to_have_css("background-color", "rgb(28, 32, 36)")


def test_a_search_and_the_table_as_a_file(page, served):
    open_space(page, served)
    page.locator("#pl-space-word input").fill("q")
    page.keyboard.press("Enter")
    expect(page.locator(TITLE)).to_contain_text("Virtual tokens near “q”")
    with page.expect_download() as download:
        page.locator("#pl-space-save").click()
    assert download.value.suggested_filename == "prefix-lab-nearest-words.csv"
    assert download.value.path().read_bytes().startswith(codecs.BOM_UTF8)  # without it, spreadsheets break umlauts
    page.locator("[data-close]").click()
    expect(page.locator(TITLE)).to_contain_text("P1")


def test_a_fine_tuned_run_is_explained(page, served):
    page.goto(f"{served}?tab=space&among=tiny-finetuned")
    expect(page.locator("#pl-space-empty")).to_contain_text("adds no virtual tokens")
    expect(page.locator("#pl-space-map .pl-plot")).to_be_hidden()


def test_a_prefix_on_its_own_writes_twenty_texts_beside_the_frozen_models(page, served):
    open_space(page, served)
    page.locator("#pl-alone-seed input").fill("5")
    button = page.locator("#pl-alone-start")
    expect(button).to_have_text("Sample 20 texts")
    button.click()
    expect(page.locator("#pl-status")).to_contain_text("40 texts: sampled")
    table = page.locator("#pl-alone-texts")
    assert table.locator("thead th").all_text_contents() == ["seed", "tiny-prefix", "frozen model"]
    assert table.locator("tbody th").all_text_contents() == [str(seed) for seed in range(5, 25)]
    ours, theirs = (table.locator(f"tbody td:nth-of-type({place})").all_text_contents() for place in (1, 2))
    assert len(ours) == len(theirs) == 20 and all(ours + theirs) and ours != theirs
    expect(page.locator("#pl-alone-verdict")).to_contain_text("of 20 texts of tiny-prefix begin with")
    expect(page.locator("#pl-alone-words .pl-plot")).to_have_attribute("data-drawn", "first-words-alone")
    for name, texts in (("tiny-prefix", ours), ("frozen model", theirs)):
        for word, share in shares(page, name).items():
            assert share == pytest.approx(100 * sum(text.split()[:1] == [word] for text in texts) / 20), f"{name}: {word}"
    expect(page).to_have_url(re.compile("alone-run=tiny-prefix.*alone-seed=5"))
    page.reload()
    expect(page.locator("#pl-alone-verdict")).to_contain_text("of 20 texts of tiny-prefix begin with")
    assert table.locator("tbody td:nth-of-type(1)").all_text_contents() == ours


def shares(page: Page, name: str) -> dict[str, float]:
    """The bars of a model's first words, % of its texts by word."""
    return page.evaluate(
        """(name) => {
          const unescape = (text) => new DOMParser().parseFromString(text, "text/html").body.textContent;
          const bars = PrefixLab.plots.get("pl-alone-words").data.find((one) => one.name === name);
          return Object.fromEntries(bars.y.map((word, index) => [unescape(word), bars.x[index]]));
        }""",
        name,
    )


def test_on_a_phone_labels_of_the_map_are_apart_and_the_words_of_every_virtual_token_are_whole(page, served):
    page.set_viewport_size({"width": 390, "height": 844})
    open_space(page, served)
    apart = """() => {
      const labels = [...document.querySelectorAll("#pl-space-map .textpoint text")];
      const shown = labels.filter((one) => one.style.visibility !== "hidden");
      const boxes = shown.map((one) => one.getBoundingClientRect());
      const over = (a, b) => a.left < b.right && a.right > b.left && a.top + 2 < b.bottom && a.bottom > b.top + 2;
      return boxes.length > 1 && !boxes.some((box, i) => boxes.slice(i + 1).some((other) => over(box, other)));
    }"""
    page.wait_for_function(apart)
    table = page.locator("#pl-space-all .pl-all")
    assert table.evaluate("(one) => one.scrollWidth <= one.clientWidth")
