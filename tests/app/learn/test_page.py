"""Lessons in a real browser: every step opens, what it rings is there, and the keyboard alone leads through."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DRAWN_BY_TRAINING = {"#pl-train-loss"}
RING_IN_VIEW = """() => {
  const [ring, strip] = ["#pl-ring", "#pl-lesson"].map((name) => document.querySelector(name).getBoundingClientRect());
  return ring.height && ring.top >= 0 && Math.min(ring.bottom, ring.top + 100) <= strip.top;
}"""


def open_step(page, served, step):
    page.goto(f"{served}?lesson={step}")
    page.locator("#pl-lesson").wait_for(state="visible")


def test_every_step_opens_and_its_ringed_element_exists(page, served):
    from playwright.sync_api import expect

    from app.learn.lesson import read_lessons
    from app.learn.tab import address_keys
    from core import paths

    opened = None
    for lesson in read_lessons([paths.LESSONS], address_keys())[0]:
        for number, step in enumerate(lesson.steps, 1):
            if (lesson.name, step.open) != opened:
                open_step(page, served, f"{lesson.name}.{number}")
                opened = (lesson.name, step.open)
                if step.ring and step.ring not in DRAWN_BY_TRAINING:
                    page.wait_for_function(RING_IN_VIEW)
            if step.ring:
                expect(page.locator(step.ring)).to_have_count(1)
                if step.ring not in DRAWN_BY_TRAINING:
                    expect(page.locator(step.ring)).to_be_visible()


def test_the_keyboard_leads_through_a_lesson(page, served):
    from playwright.sync_api import expect

    strip = page.locator("#pl-lesson")
    open_step(page, served, "en/08-what-the-vectors-are-near.1")
    expect(page.locator("#pl-tab-space-button")).to_have_attribute("aria-selected", "true")
    expect(strip).to_contain_text("1 of 4")
    page.keyboard.press("PageDown")
    expect(strip).to_contain_text("2 of 4")
    expect(page).to_have_url(re.compile(r"lesson=en%2F08-what-the-vectors-are-near\.2(&|$)"))
    page.keyboard.press("1")
    expect(strip.locator(".because")).to_contain_text("Khashabi")
    expect(strip.locator(".answer.right")).to_contain_text("Not necessarily ✓")
    page.keyboard.press("ArrowRight")
    expect(strip).to_contain_text("3 of 4")
    expect(page.locator("#pl-ring")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(strip).to_contain_text("2 of 4")
    page.keyboard.press("PageDown")  # a clicker cannot answer: the first press shows the answer
    expect(strip).to_contain_text("2 of 4")
    expect(strip.locator(".answer.right")).to_be_visible()
    page.keyboard.press("Escape")
    expect(strip).to_be_hidden()
    expect(page.locator("#pl-ring")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("lesson="))
    page.locator("#pl-tab-learn-button").click()
    expect(page.locator(".pl-lessons li", has_text="What the vectors are near")).to_contain_text("go on at step 2")


def test_back_and_forward_go_through_the_steps_of_a_lesson(page, served):
    from playwright.sync_api import expect

    strip = page.locator("#pl-lesson")
    page.goto(f"{served}?tab=learn")
    open_step(page, served, "en/08-what-the-vectors-are-near.1")
    for step in (2, 3):
        page.keyboard.press("PageDown")
        if step == 3:
            page.keyboard.press("PageDown")  # step 2 asks
        expect(strip).to_contain_text(f"{step} of 4")
    page.go_back()
    expect(strip).to_contain_text("2 of 4")
    page.go_back()
    expect(strip).to_contain_text("1 of 4")
    page.go_forward()
    expect(strip).to_contain_text("2 of 4")
    expect(page.locator("#pl-tab-space-button")).to_have_attribute("aria-selected", "true")
    page.go_back()
    page.go_back()
    expect(strip).to_be_hidden()
    expect(page.locator("#pl-tab-learn-button")).to_have_attribute("aria-selected", "true")


def test_a_text_stands_alone_before_words_are_put_in_front(page, served):
    from playwright.sync_api import expect

    front = page.locator("#pl-context-front input, #pl-context-front textarea")
    open_step(page, served, "en/02-context-steers.1")
    expect(page.locator("#pl-context-bars")).to_contain_text("Now put words in front.")
    expect(front).to_have_value("")
    page.keyboard.press("PageDown")
    expect(page.locator("#pl-lesson")).to_contain_text("2 of 6")
    expect(front).to_have_value("She is a novelist.")


def test_a_clicker_leads_on_from_a_field(page, served):
    from playwright.sync_api import expect

    open_step(page, served, "en/02-context-steers.3")
    page.locator("#pl-context-front input, #pl-context-front textarea").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#pl-lesson")).to_contain_text("3 of 6")
    page.keyboard.press("PageDown")
    expect(page.locator("#pl-lesson")).to_contain_text("4 of 6")


def test_a_step_leaves_nothing_of_the_one_before_behind(page, served):
    from playwright.sync_api import expect

    open_step(page, served, "en/07-where-it-looks.4")
    expect(page).to_have_url(re.compile("out=P1"))
    page.keyboard.press("PageDown")
    expect(page.locator("#pl-lesson")).to_contain_text("5 of 6")
    expect(page).not_to_have_url(re.compile("out=P1"))


def test_a_demonstration_opens_by_its_address_and_answers_what_is_typed(page, served):
    from playwright.sync_api import expect

    page.goto(f"{served}?tab=learn&demo=context&words=The+pub&watch=is")
    bars = page.locator("#pl-context-bars")
    expect(bars).to_contain_text("P(is | … The pub)")
    page.locator("#pl-context-front textarea, #pl-context-front input").fill("")
    expect(bars).to_contain_text("P(is | The pub)")
    expect(page).to_have_url(re.compile("front=(&|$)"))
    expect(page.locator("#pl-status .status")).to_have_attribute("data-phase", "done")  # of the first comparison
    page.get_by_role("button", name="Word search").click()
    expect(bars).to_be_hidden()
    page.locator("#pl-search-start").click()
    expect(page.locator("#pl-search-picture svg")).to_be_visible()
    page.locator("#pl-search-stop").click()
    expect(page.locator("#pl-status")).to_contain_text("prompts tried")
    page.get_by_role("button", name="The method").click()
    page.get_by_role("button", name="5 What is stored").click()
    expect(page.locator("#pl-figure1-drawing")).to_contain_text("tiny-prefix")
    expect(page).to_have_url(re.compile("demo=figure1.*figure=5"))


@pytest.mark.parametrize("query", ["tab=learn&demo=ghost", "tab=ghost"])
def test_a_tab_or_a_demonstration_that_does_not_exist_is_named_until_the_reader_goes_on(page, served, query):
    from playwright.sync_api import expect

    page.goto(f"{served}?{query}")
    expect(page.locator("#pl-status .status")).to_have_attribute("data-phase", "done")  # which ends other notes
    expect(page.locator("#pl-note")).to_contain_text('"ghost"')
    page.keyboard.press("Tab")
    expect(page.locator("#pl-note")).not_to_contain_text("ghost")


def test_a_step_that_does_not_exist_is_named(page, served):
    from playwright.sync_api import expect

    page.goto(f"{served}?lesson=en/nothing.1")
    strip = page.locator("#pl-lesson")
    expect(strip).to_contain_text('no lesson step "en/nothing.1"')
    strip.get_by_role("button", name="Close").click()
    expect(strip).to_be_hidden()


def test_a_batch_is_shown_and_written_together_and_one_by_one(page, served):
    from playwright.sync_api import expect

    page.goto(f"{served}?tab=learn&demo=batch")
    rows = page.locator("#pl-batch-picture tbody tr")
    expect(rows).to_have_count(8)
    expect(rows.first.locator("i.prefix")).to_have_text("4")
    page.locator("#pl-batch-users label", has_text="4").click()
    expect(rows).to_have_count(4)
    page.locator("#pl-batch-start").click()
    expect(page.locator("#pl-batch-picture .watched")).to_contain_text("4 of 4 texts are the same")
    assert page.locator("#pl-batch-picture .mark").all_text_contents() == ["the same ✓"] * 4
    texts = page.locator("#pl-batch-picture td.text").all_text_contents()
    assert len(set(texts)) > 1 and any(texts)


def test_a_demonstration_shows_the_backbone_of_the_page(page, served, house):
    from playwright.sync_api import expect

    page.goto(f"{served}?tab=learn&demo=figure1&figure=3")
    drawing, field = page.locator("#pl-figure1-drawing"), page.locator("#pl-backbone input")
    expect(page.locator("#pl-figure1-run input")).to_have_value("tiny-prefix")
    expect(page.locator("#pl-status .status")).to_have_attribute("data-phase", "done")
    field.fill(house.other)
    field.press("Enter")
    expect(page.locator("#pl-figure1-run input")).to_have_value("other-prefix")
    expect(drawing).to_contain_text("A prefix.")  # the step that was open
    page.get_by_role("button", name="One batch").click()  # opened first on the other backbone
    expect(page.locator("#pl-batch-picture td.who").first).to_have_text("other-prefix")
