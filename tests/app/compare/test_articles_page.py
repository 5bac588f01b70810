"""An article on the Compare tab, in a real browser."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
PHASE = "#pl-status .status"


def test_a_backbone_for_articles_turns_the_page_to_articles_and_back(page, served, house):
    page.goto(served)
    expect(page.locator(PHASE)).to_have_attribute("data-phase", "done")
    field = page.locator("#pl-backbone input")
    field.fill(house.bart)
    field.press("Enter")
    expect(page.locator("#pl-panels .attended")).to_contain_text("What each summary attends to")
    expect(page.locator("#pl-task input")).to_have_value("summarization")
    expect(page.locator(".pl-grid")).to_be_hidden()
    expect(page.locator("#pl-table-note")).to_contain_text("cut here")
    expect(page.locator("#pl-out-prefix")).to_contain_text("--task summarization")
    page.locator("[data-sample=sport-1]").click()
    expect(page).to_have_url(re.compile("example=sport-1"))
    expect(page.locator("#pl-panels .references")).to_contain_text("R-L")

    page.locator("#pl-source").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("The bridge of Aldby is closed. <i>Nobody</i> knows why.")
    expect(page.locator("#pl-table-note")).to_contain_text("all of them read")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("article=The"))
    expect(page.locator("#pl-panels .sentences")).to_contain_text("<i>Nobody</i> knows why.")  # escaped: seen as it was typed
    page.reload()
    expect(page.locator("#pl-source")).to_have_value("The bridge of Aldby is closed. <i>Nobody</i> knows why.")
    expect(page.locator("#pl-panels .sentences")).to_contain_text("<i>Nobody</i> knows why.")

    page.keyboard.press("Control+a")
    page.locator("#pl-source").fill("word")
    expect(page.locator("#pl-table-note")).to_contain_text("one word")
    field.fill(house.backbone)
    field.press("Enter")
    expect(page.locator(".pl-grid .row")).not_to_have_count(0)
    expect(page.locator("#pl-out-prefix article")).to_have_attribute("data-state", re.compile("eos|length"))
    expect(page.locator("#pl-panels .references")).to_contain_text("BLEU")


def test_attention_shows_a_site_at_a_time_and_an_article_by_its_sentences(page, served, house):
    look = "#pl-look-"
    page.goto(f"{served}?backbone={quote(house.bart)}&example=sport-1&prefix=text:Short.&tab=attention")
    expect(page.locator(f"{look}headline .pl-sentence")).to_contain_text("In the cross-attention, while these")
    rows = page.locator(f"{look}tokens .row")
    expect(rows.nth(0).locator("b")).to_have_text("1")
    expect(rows.last).to_contain_text("around the article")
    share = rows.nth(0).locator(".share")
    before = share.inner_text()
    page.locator(f"{look}tokens .queries .key").nth(3).hover()
    expect(share).not_to_have_text(before)
    page.locator("[data-set=site][data-value=encoder]").click()
    expect(page.locator(f"{look}headline .pl-sentence")).to_contain_text("In the encoder, while these")
    expect(page.locator(f"{look}tokens .sum")).to_contain_text("the article")
    page.locator(f"{look}tokens .row .key").nth(1).click()
    page.locator("[data-set=encoder][data-value='0']").click()
    expect(page.locator(f"{look}reads .turned h3")).to_have_text("α = 0 at the encoder")
    expect(page).to_have_url(re.compile("site=encoder.*alpha-encoder=0"))
    page.reload()
    expect(page.locator(f"{look}reads .turned h3")).to_have_text("α = 0 at the encoder")
    expect(rows.nth(1).locator(".key")).to_have_class(re.compile("pinned"))
