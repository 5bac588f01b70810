"""The Compare tab as a person meets it, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
KINDS = ("base", "prefix", "finetuned")
PHASE = "#pl-status .status"


def settle(page: Page, phase: str = "done") -> None:
    expect(page.locator(PHASE)).to_have_attribute("data-phase", phase)


def open_page(page: Page, served: str, query: str = "") -> None:
    page.goto(served + query)
    settle(page)


def text_of(page: Page, kind: str) -> str:
    return page.locator(f"#pl-out-{kind} .generated:not(.raw)").inner_text()


def write(page: Page, text: str) -> None:
    """Into the text box, as a paste does: no key is pressed."""
    page.locator("#pl-source").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def test_opens_filled_and_written_by_all_three(page, served):
    open_page(page, served)
    assert page.locator(".pl-grid .row").count() >= 3
    assert page.locator("#pl-source").input_value().count(" : ") >= 3
    for kind in KINDS:
        expect(page.locator(f"#pl-out-{kind} article")).to_have_attribute("data-state", re.compile("eos|length"))
        expect(page.locator(f"#pl-out-{kind} .meta")).to_contain_text("tokens/s")
    for panel in ("The next word", "References", "What it costs"):
        expect(page.locator("#pl-panels")).to_contain_text(panel)
    expect(page.locator("#pl-panels .references")).to_contain_text("n=1: one sentence, not a system score")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_text_and_grid_follow_each_other_and_name_the_bad_field(page, served):
    open_page(page, served)
    write(page, "name[Clowns] eatType[coffee shop] priceRange[£20-25]")
    expect(page.locator(".pl-grid .row")).to_have_count(3)
    expect(page.locator(".pl-grid .value").nth(2)).to_have_value("£ 20 - 25")
    expect(page.locator("#pl-table-note")).to_contain_text("name : Clowns | Type : coffee shop | price : £ 20 - 25")
    page.locator(".pl-grid .value").nth(0).fill("The <b>Moon</b>")
    expect(page.locator("#pl-source")).to_have_value("name : The <b>Moon</b> | Type : coffee shop | price : £ 20 - 25")
    page.locator(".pl-grid .value").nth(1).fill("")
    expect(page.locator("#pl-table-note")).to_contain_text("'Type'")
    expect(page.locator(".pl-grid .row.bad")).to_have_count(1)
    page.locator("#pl-generate").click()
    settle(page, "error")
    expect(page.locator(PHASE)).to_contain_text("'Type'")
    page.locator(".pl-grid .value").nth(1).fill("pub")
    page.keyboard.press("Control+Enter")  # before the server has read the edit
    settle(page)
    expect(page.locator("#pl-glance")).to_contain_text("The <b>Moon</b>")  # escaped, so it is seen as it was typed
    expect(page.locator("#pl-panels .references")).to_contain_text("your own")


def test_a_task_on_triples_brings_its_examples_and_takes_pasted_triples(page, served):
    open_page(page, served, "?task=webnlg")
    expect(page.locator("#pl-samples")).to_contain_text("unseen")
    expect(page.locator(".pl-grid .row.of-3")).not_to_have_count(0)
    page.locator("[data-sample=artist-1]").click()
    expect(page).to_have_url(re.compile("example=artist-1"))
    settle(page)
    expect(page.locator("#pl-out-prefix .chips")).to_contain_text("left out")
    expect(page.locator("#pl-panels .references")).to_contain_text("Ilka Brandt")
    page.locator("#pl-tell-all").click()
    expect(page.locator("#pl-gallery .row")).to_have_count(18)
    expect(page.locator("#pl-gallery .gallery")).to_have_attribute("data-state", "done")
    expect(page.locator("#pl-gallery table")).to_contain_text("not seen in training, n=7")
    write(page, "(Alda_Hall, locatedIn, Oslo), (Oslo, country, Norway)")
    expect(page.locator(".pl-grid .of-3 .value").nth(1)).to_have_value("Norway")
    page.locator("#pl-generate").click()
    expect(page).to_have_url(re.compile("table=.*Alda_Hall"))
    settle(page)
    page.locator("#pl-task input").click()
    page.get_by_role("option", name="e2e", exact=True).click()
    expect(page.locator(".pl-grid .row.of-3")).to_have_count(0)
    settle(page)
    expect(page.locator("#pl-out-prefix article")).to_have_attribute("data-state", re.compile("eos|length"))


def test_streams_and_stop_keeps_what_there_is(page, served):
    open_page(page, served, "?mode=sample&seed=3")
    page.locator("#pl-generate").click()
    settle(page, "running")
    expect(page.locator("#pl-out-prefix .meta")).to_contain_text(re.compile(r"\b([5-9]|[1-7]\d) tokens"))
    page.locator("body").press("Escape")
    settle(page, "cancelled")
    for kind in KINDS:
        expect(page.locator(f"#pl-out-{kind} article")).to_have_attribute("data-state", "cancelled")
        expect(page.locator(f"#pl-out-{kind} .end")).to_contain_text("stopped")
    assert text_of(page, "finetuned")
    expect(page.locator("#pl-stop")).to_be_disabled()


def test_escape_right_after_generate_stops_it(page, served):
    open_page(page, served, "?mode=sample&seed=3")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    settle(page, "cancelled")
    expect(page.locator("#pl-out-prefix article")).to_have_attribute("data-state", "cancelled")


def test_an_example_clicked_while_another_is_written_takes_its_place(page, served):
    open_page(page, served, "?mode=sample&seed=3")
    page.locator("[data-sample]").nth(3).click()
    settle(page, "running")
    last = page.locator("[data-sample]").nth(5)
    last.click()
    expect(page).to_have_url(re.compile(f"example={last.get_attribute('data-sample')}"))
    settle(page)
    expect(last).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#pl-glance")).to_contain_text(last.inner_text())


def test_what_is_edited_while_texts_are_written_leaves_them_dimmed_until_generate_is_pressed(page, served):
    open_page(page, served, "?mode=sample&seed=3")
    page.locator("#pl-generate").click()
    settle(page, "running")
    page.locator(".pl-grid .value").nth(1).fill("changed")
    settle(page)
    expect(page.locator("body")).to_have_class(re.compile(r"\bstale\b"))
    expect(page.locator("#pl-note .note")).to_contain_text("these texts are for the previous table")
    page.locator("#pl-generate").click()
    settle(page)
    expect(page.locator("body")).not_to_have_class(re.compile(r"\bstale\b"))
    page.get_by_role("radio", name="Greedy").check()  # the texts are sampled ones
    expect(page.locator("body")).to_have_class(re.compile(r"\bstale\b"))
    page.locator("#pl-generate").click()
    settle(page)
    expect(page.locator("body")).not_to_have_class(re.compile(r"\bstale\b"))


def test_texts_of_an_earlier_table_stay_dimmed_beside_an_error(page, served):
    """Gradio writes a timer over each text while a request waits: that is no new text."""
    open_page(page, served)
    page.locator(".pl-grid .value").nth(1).fill("")
    page.locator("#pl-generate").click()
    settle(page, "error")
    expect(page.locator("#pl-out-prefix .progress-text")).to_have_count(0)  # the timers are gone
    expect(page.locator("body")).to_have_class(re.compile(r"\bstale\b"))
    page.locator(".pl-grid .value").nth(1).fill("pub")
    page.locator("#pl-generate").click()
    settle(page)
    expect(page.locator("body")).not_to_have_class(re.compile(r"\bstale\b"))


def test_the_arrow_keys_choose_among_radio_buttons(page, served):
    open_page(page, served)
    page.get_by_role("radio", name="Greedy").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Sample")).to_be_checked()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Greedy")).to_be_checked()
    expect(page.get_by_role("radio", name="Greedy")).to_be_focused()


def test_a_reload_brings_the_same_comparison_back(page, served):
    open_page(page, served, "?mode=sample&seed=11")
    write(page, "name : Zed | Type : pub")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("table=name"))
    settle(page)
    before = [text_of(page, kind) for kind in KINDS]
    page.reload()
    expect(page.locator("#pl-source")).to_have_value("name : Zed | Type : pub")
    expect(page.locator("#pl-seed input")).to_have_value("11")
    settle(page)
    assert [text_of(page, kind) for kind in KINDS] == before


def test_seed_temperature_and_top_p_are_shown_whole_however_long(page, served):
    """Top-p 0.001 was cut to 0.00 by its field, which was as wide as four characters."""
    open_page(page, served, "?mode=sample&seed=9007199254740991&temperature=0.0123456&top_p=0.001")
    for field in ("seed", "temperature", "top-p"):
        box = page.locator(f"#pl-{field} input")
        expect(box).to_be_visible()
        assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth"), field


def test_reranked_beams_are_the_default_and_another_decoding_stands_in_the_address(page, served):
    open_page(page, served)
    settle(page)
    expect(page.locator(PHASE)).to_contain_text("10 beams, reranked by the input")
    page.get_by_label("Greedy", exact=True).check(force=True)
    page.locator("#pl-generate").click()
    expect(page).to_have_url(re.compile("mode=greedy"))
    settle(page)
    expect(page.locator(PHASE)).to_contain_text("greedy decoding")
    assert text_of(page, "base")


def test_runs_of_another_backbone_are_listed_with_the_reason(page, served, house):
    open_page(page, served)
    other = page.locator("#pl-head-prefix option[value='other-prefix']")
    expect(other).to_be_disabled()
    expect(other).to_contain_text("trained on other-gpt2")
    field = page.locator("#pl-backbone input")
    field.fill(house.other)
    field.press("Enter")
    expect(page.locator("#pl-head-prefix select")).to_have_value("other-prefix")
    expect(page.locator("#pl-out-finetuned")).to_contain_text("python launch.py train")
    settle(page)
    field.fill("/no/such/folder")
    field.press("Enter")
    settle(page, "error")
    expect(page.locator(PHASE)).to_contain_text("There is no folder /no/such/folder")


def contrast(page: Page, selector: str) -> float:
    """WCAG contrast of an element's colour on the column's sheet."""
    return page.evaluate(
        """(selector) => {
          const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
          const style = (node) => getComputedStyle(node);
          const on = light(style(document.querySelector("#pl-base")).backgroundColor);
          const ink = light(style(document.querySelector(selector)).color);
          return (Math.max(on, ink) + 0.05) / (Math.min(on, ink) + 0.05);
        }""",
        selector,
    )


def test_dark_and_light_are_readable_and_remembered(page, served):
    open_page(page, served)
    for _ in ("light", "dark"):
        # The names are large and bold, for which 3 suffices; the texts take 4.5.
        assert all(contrast(page, f"#pl-head-{kind} h2") >= 3.5 for kind in KINDS)
        assert all(contrast(page, f"#pl-out-{kind} {part}") >= 4.5 for kind in KINDS for part in (".generated", ".meta"))
        page.locator("[data-act=theme]").click()
    page.locator("[data-act=theme]").click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.reload()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    assert "theme=dark" in page.url


def test_presenter_shows_two_panels_in_large_type(page, served):
    open_page(page, served, "?present=1")
    expect(page.locator("#pl-finetuned")).to_be_hidden()
    size = "(node) => parseFloat(getComputedStyle(node).fontSize)"
    assert page.locator("#pl-out-prefix .generated:not(.raw)").evaluate(size) >= 32
    assert page.locator("#pl-glance dd").first.evaluate(size) >= 24
    page.locator("[data-panel=finetuned]").click()
    columns = [kind for kind in KINDS if page.locator(f"#pl-{kind}").is_visible()]
    assert columns == ["prefix", "finetuned"]
    expect(page.locator("#pl-mode")).to_be_hidden()
    page.locator("[data-act=controls]").click()  # what large type leaves no room for comes back when it is needed
    expect(page.locator("#pl-mode")).to_be_visible()
    page.locator("[data-act=controls]").click()
    expect(page.locator("#pl-mode")).to_be_hidden()
    expect(page.locator("#pl-tab-attention-button")).to_be_in_viewport()
    before = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(before)
    settle(page)
    page.keyboard.press("p")
    expect(page.locator("#pl-left")).to_be_visible()
    assert "present" not in page.url
    write(page, "name : p")  # keys are off inside text fields
    page.locator("#pl-source").press("p")
    expect(page.locator("#pl-left")).to_be_visible()


def test_marks_and_raw_text_are_switched_in_the_page(page, served):
    open_page(page, served)
    page.locator("[data-marks=difference]:not(body)").click()
    assert "marks=difference" in page.url
    page.locator("[data-act=raw]").click()
    expect(page.locator("#pl-out-base .generated.raw")).to_be_visible()
    expect(page.locator("#pl-out-base .generated:not(.raw)")).to_be_hidden()


def visible_columns(page: Page) -> list[str]:
    """The columns from left to right."""
    places = {kind: page.locator(f"#pl-{kind}").bounding_box() for kind in (*KINDS, "other")}
    return sorted((kind for kind, box in places.items() if box), key=lambda kind: places[kind]["x"])


def test_columns_are_added_moved_and_removed_and_the_link_holds_them(page, served):
    open_page(page, served)
    assert visible_columns(page) == list(KINDS)
    page.locator("#pl-add-column").click()
    expect(page).to_have_url(re.compile("columns=base-prefix-finetuned-other"))
    settle(page)
    expect(page.locator("#pl-head-other select")).to_have_value("triples-prefix")
    expect(page.locator("#pl-head-other .pl-domain")).to_have_text("trained on WebNLG's facts")
    expect(page.locator("#pl-out-other article")).to_have_attribute("data-state", re.compile("eos|length"))
    expect(page.locator("#pl-add-column")).to_be_hidden()
    page.locator("#pl-head-other").hover()
    expect(page.locator("#pl-head-other [data-move=right]")).to_be_hidden()  # it is the last
    page.locator("#pl-head-other [data-move=left]").click()
    expect(page).to_have_url(re.compile("columns=base-prefix-other-finetuned"))
    settle(page)
    page.locator("#pl-head-base").hover()
    page.locator("#pl-head-base [data-move=remove]").click()
    expect(page).to_have_url(re.compile("columns=prefix-other-finetuned"))
    settle(page)
    assert visible_columns(page) == ["prefix", "other", "finetuned"]
    page.reload()
    settle(page)
    assert visible_columns(page) == ["prefix", "other", "finetuned"]
    expect(page.locator("#pl-panels .words h4")).to_have_text(["Prefix tiny-prefix", "Prefix triples-prefix", "Fine-tuned"])
    page.locator("#pl-head-other").hover()
    page.locator("#pl-head-other [data-move=remove]").click()
    settle(page)
    expect(page.locator("#pl-other")).to_be_hidden()
    expect(page.locator("#pl-head-prefix [data-move=remove]")).to_be_hidden()  # two are the least


def test_how_the_frozen_model_is_prompted_is_chosen_under_base_and_changes_no_other_column(page, served):
    open_page(page, served)
    before = {kind: text_of(page, kind) for kind in KINDS}
    read = page.locator("#pl-out-base .pl-read")
    expect(read.locator("mark")).to_have_text(["⏎\n"])
    page.locator("#pl-head-base select").select_option("instruction")
    expect(page).to_have_url(re.compile("base=instruction"))
    settle(page)
    read.locator("summary").click()
    expect(read).to_contain_text("Say all of this in one sentence:")
    expect(page.locator("#pl-out-base .why")).to_contain_text("The instruction says that a text is wanted")
    page.locator("#pl-head-base select").select_option("1")
    expect(page).to_have_url(re.compile("base=1"))
    settle(page)
    expect(page.locator("#pl-head-base select")).to_have_value("1")
    assert {kind: text_of(page, kind) for kind in KINDS[1:]} == {kind: before[kind] for kind in KINDS[1:]}
    page.locator("#pl-head-base select").select_option("")
    settle(page)
    expect(page.locator("#pl-out-base .generated:not(.raw)")).to_have_text(before["base"])


def test_a_link_with_unusable_columns_shows_the_usual_ones(page, served):
    """None was shown: neither texts nor the runs to choose from."""
    open_page(page, served, "?columns=base,prefix,other&mode=greedy")
    for kind in KINDS:
        expect(page.locator(f"#pl-out-{kind} article")).to_be_visible()
    expect(page.locator("#pl-other")).to_be_hidden()
