"""The Attention tab as a person meets it, in a real browser."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
PHASE = "#pl-status .status"
LOOK = "#pl-look-"


def open_tab(page: Page, served: str, query: str = "") -> None:
    page.goto(f"{served}?tab=attention{query}")
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")
    expect(page.locator(f"{LOOK}heads .pl-plot")).to_have_attribute("data-drawn", "attention-by-head")


def tile(page: Page, row: int, column: int) -> None:
    """Click the middle of a head's tile; two layers of four heads."""
    box = page.locator(f"{LOOK}heads .heatmaplayer").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * (column + 0.5) / 4, box["y"] + box["height"] * (1 - (row + 0.5) / 2))


def test_a_text_fills_the_tab_and_a_tile_opens_its_tokens(page, served):
    page.goto(f"{served}?example=cafe-019")
    page.locator("#pl-tab-attention-button").click()
    expect(page.locator(f"{LOOK}headline .pl-sentence")).to_contain_text("the prefix drew")
    assert "tab=attention" in page.url
    expect(page.locator(f"{LOOK}influence .pl-plot")).to_have_attribute("data-drawn", "influence")
    expect(page.locator(f"{LOOK}reads .attended").first).to_have_attribute("title", re.compile("% on the prefix"))
    tile(page, 1, 2)
    expect(page.locator(f"{LOOK}tokens h3")).to_have_text("Layer 2, head 3")
    expect(page.locator(f"{LOOK}tokens .p")).to_have_text(["P1", "P2", "P3", "P4"])
    expect(page).to_have_url(re.compile("layer=2&head=3"))

    tokens, sums = page.locator(f"{LOOK}tokens .own"), page.locator(f"{LOOK}tokens .sum")
    expect(sums).to_contain_text("On average")
    tokens.nth(4).hover()
    expect(sums).to_contain_text("came next")
    light = "(node) => getComputedStyle(node).getPropertyValue('--w')"
    before = page.locator(f"{LOOK}tokens .p").first.evaluate(light)
    tokens.nth(4).click()
    tokens.nth(9).hover()
    assert page.locator(f"{LOOK}tokens .p").first.evaluate(light) != before
    page.locator(f"{LOOK}tokens h3").hover()
    expect(tokens.nth(4)).to_have_class(re.compile("pinned"))  # what was clicked stays, and is in the address
    assert re.search(r"token=\d+", page.url)
    page.keyboard.press("[")
    expect(page.locator(f"{LOOK}tokens h3")).to_have_text("Layer 1, head 3")
    page.locator(f"{LOOK}heads .pl-plot").focus()  # tiles without a mouse
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"{LOOK}tokens h3")).to_have_text("Layer 1, head 4")
    tiles, detail = (page.locator(f"{LOOK}{part}").bounding_box() for part in ("heads", "tokens"))
    assert tiles is not None and detail is not None
    assert detail["x"] > tiles["x"] + 100 and abs(detail["y"] - tiles["y"]) < 40  # beside the grid
    expect(page.locator(f"{LOOK}reads .pl-scale")).to_contain_text("attention on the prefix")


def test_the_prefix_is_turned_down_and_a_link_brings_it_all_back(page, served):
    open_tab(page, served, "&layer=1&head=2&out=P9.P2&seed=x&weigh=loud&token=999&prefix=ghost")
    expect(page.locator(f"{LOOK}reads")).to_contain_text("Not knocked out, as this prefix has none of that name: P9")
    expect(page.locator(f"{LOOK}reads")).to_contain_text("no usable value for: weigh, prefix.")
    expect(page.locator(f"{LOOK}tokens header")).to_contain_text("Token “999” of the address cannot be chosen here")
    page.locator("[data-set=alpha][data-value='0']").click()
    expect(page.locator(f"{LOOK}reads")).not_to_contain_text("no usable value")
    turned = page.locator(f"{LOOK}reads .turned")
    expect(turned.locator("h3")).to_have_text("Frozen model, positions shifted")
    expect(page.locator(f"{LOOK}headline .pl-sentence")).to_contain_text("the prefix is hidden")
    expect(page.locator(f"{LOOK}effect h4")).to_have_text(["as it was written", "frozen model, positions shifted"])
    expect(turned.locator(".caret")).to_have_count(0)
    page.locator("select[data-set=beside]").select_option("same")
    expect(page.locator(f"{LOOK}tokens .side")).to_have_count(2)
    expect(page).to_have_url(re.compile("beside=same"))
    text = turned.locator(".generated").inner_text()
    page.reload()
    expect(turned.locator("h3")).to_have_text("Frozen model, positions shifted")
    expect(turned.locator(".generated")).to_have_text(text, use_inner_text=True)
    expect(page.locator(f"{LOOK}tokens .side")).to_have_count(2)
    expect(page.locator("[data-value=P2]")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Reset").click()
    expect(turned).to_have_count(0)
    expect(page).not_to_have_url(re.compile("alpha|out="))


def test_no_control_moves_from_under_the_mouse_when_one_is_used(page, served):
    open_tab(page, served)
    controls = [page.locator(f"{LOOK}bar [data-value='{value}']") for value in ("P2", "0.25", "written")]
    before = [control.bounding_box() for control in controls]
    page.locator(f"{LOOK}bar [data-value=P1]").click()
    expect(page.locator("select[data-set=beside] option[value=same]")).to_have_count(1)
    expect(page.get_by_role("button", name="Reset")).to_be_enabled()
    assert [control.bounding_box() for control in controls] == before


def test_what_a_fine_tuned_run_has_not_is_reported_and_a_text_stands_beside_it(page, served):
    open_tab(page, served, "&text=finetuned")
    expect(page.locator(f"{LOOK}bar")).to_contain_text("A fine-tuned run has no prefix")
    expect(page.locator(f"{LOOK}influence .pl-plot")).to_be_hidden()
    page.locator("select[data-set=beside]").select_option("text:")
    field = page.locator(f"{LOOK}bar .pl-text")
    field.fill("Hello <b>you</b>")
    field.press("Enter")
    expect(page.locator(f"{LOOK}layers .annotation-text").nth(1)).to_contain_text("Hello <b>you</b>")
    expect(page).to_have_url(re.compile("beside=text%3AHello"))


def test_a_new_text_takes_the_place_of_the_old_one(page, served):
    open_tab(page, served)
    before = page.locator(f"{LOOK}reads .generated").inner_text()
    page.locator("#pl-tab-compare-button").click()
    sample = page.locator("[data-sample]").nth(1)  # not the one that the page opens with
    sample.click()
    expect(page).to_have_url(re.compile(f"example={sample.get_attribute('data-sample')}"))
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")
    new = page.locator("#pl-out-prefix .generated.raw").text_content() or ""
    page.locator("#pl-tab-attention-button").click()
    expect(page.locator(f"{LOOK}reads .generated")).not_to_have_text(before, use_inner_text=True)
    text = page.locator(f"{LOOK}reads .generated").text_content() or ""
    assert new[:10] in text


def test_figures_are_saved_in_the_page_and_open_offline(page, served, browser, tmp_path):
    open_tab(page, served, "&theme=dark")
    paper = "(node) => getComputedStyle(node.querySelector('.main-svg')).backgroundColor"
    plot = page.locator(f"{LOOK}layers .pl-plot")
    assert plot.evaluate(paper) == "rgb(28, 32, 36)"
    page.locator("[data-act=theme]").click()
    expect(page.locator(f"{LOOK}layers .main-svg").first).to_have_css("background-color", "rgb(255, 255, 255)")
    assert page.locator("[data-title*='loud']").count() == 0  # plotly's own bar offers an upload
    files: dict[str, Path] = {}
    for form in ("png", "svg", "html", "csv"):
        page.locator(f"{LOOK}layers .pl-save summary").click()
        with page.expect_download() as waiting:
            page.locator(f"{LOOK}layers [data-save={form}]").click()
        files[form] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[form])
    png = files["png"].read_bytes()
    assert int.from_bytes(png[16:20], "big") == 2 * plot.evaluate("(node) => node.clientWidth")
    assert "<svg" in files["svg"].read_text(encoding="utf-8") and files["csv"].name == "prefix-lab-attention-by-layer.csv"
    rows = list(csv.reader(files["csv"].open(encoding="utf-8-sig")))
    assert rows[0][:2] == ["series", "layer"] and {row[0] for row in rows[1:]} == {"prefix", "the input", "written so far"}
    offline = browser.new_context(offline=True)
    other, asked = offline.new_page(), []
    other.on("request", lambda request: asked.append(request.url))
    other.goto(files["html"].as_uri(), wait_until="commit")  # it holds all of plotly, which a busy machine reads slowly
    expect(other.locator("#figure .main-svg").first).to_be_visible(timeout=180_000)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert other.locator("[data-title*='loud']").count() == 0
    for width in (1280, 390):  # laid out for the window, as in the app
        other.set_viewport_size({"width": width, "height": 844})
        expect(other.locator("#figure .main-svg").first).to_have_attribute("width", str(width), timeout=180_000)
        for words in other.locator("#figure text").all():
            box = words.bounding_box()
            assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= width), words.text_content()
    offline.close()


def test_patterns_and_clips_of_figures_do_not_depend_on_the_address(page, served):
    open_tab(page, served)
    page.locator("[data-set=weigh][data-value=values]").click()
    expect(page).to_have_url(re.compile("weigh=values"))
    references = page.locator(f"{LOOK}layers .pl-plot").evaluate(
        "(plot) => [...plot.querySelectorAll('*')].flatMap((node) => ['style', 'fill', 'clip-path'].map((name) =>"
        " node.getAttribute(name) || '')).filter((value) => value.includes('url('))"
    )
    assert references and not [one for one in references if "http" in one]
