"""The Train tab as people meet it: in two browsers at once, with rows of their own, in both themes."""

import json
import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from tests.support.tiny_models import EXAMPLES

pytestmark = pytest.mark.browser
ROWS = "table,text\n" + "".join(f"{one.source},{one.targets[0]}\n" for one in EXAMPLES) + "no table,<b>Bad</b>\n"
STATE = "#pl-train-head .pl-state"


@pytest.fixture
def other(browser, served):
    """Another person's browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="dark")
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    yield tab
    context.close()


def open_tab(page: Page, served: str, query: str = "") -> None:
    page.goto(f"{served}?tab=train{query}")
    expect(page.locator("#pl-train-name input, #pl-train-name textarea")).not_to_have_value("")


def paste(page: Page) -> None:
    """Rows of one's own, and settings of one's own."""
    page.locator("#pl-train-preset label", has_text="Own").click()
    page.locator("#pl-own-length input").fill("3")
    page.locator("#pl-own-updates input").fill("50000")
    page.locator("#pl-own-batch input").fill("2")
    page.locator("#pl-train-where label", has_text="Pasted rows").click()
    page.locator("#pl-train-paste textarea").fill(ROWS)


def name(page: Page, run: str) -> None:
    field = page.locator("#pl-train-name input, #pl-train-name textarea")
    field.fill(run)
    field.blur()


def test_a_training_is_seen_and_stopped_from_any_browser_and_comes_back_from_the_trash(page, other, served):
    open_tab(page, served)
    paste(page)
    expect(page.locator("#pl-train-preview")).to_contain_text("10 rows can be used, 1 cannot")
    expect(page.locator("#pl-train-preview")).to_contain_text("line 12")
    expect(page.locator("#pl-train-preview")).to_contain_text("name : Alda")
    name(page, "../evil")
    expect(page.locator("#pl-train-facts .pl-problem")).to_contain_text("cannot be the name of a run")
    page.locator("#pl-train-start").click()
    expect(page.locator("#pl-status")).to_contain_text("cannot be the name of a run")
    name(page, "seen")
    expect(page.locator("#pl-train-facts")).to_contain_text("384 parameters")  # 2 layers x 2 x 4 heads x 3 x 8
    expect(page.locator("#pl-train-command code")).to_contain_text("--run seen --preset fast")
    name(page, "../evil")
    expect(page.locator("#pl-train-facts .pl-problem")).to_be_visible()
    page.locator("#pl-train-name :is(input, textarea)").fill("seen")
    page.locator("#pl-train-start").click()  # the field is left by this click
    expect(page.locator(STATE)).to_have_attribute("data-state", "running")
    expect(page.locator("#pl-train-watch .latest")).to_contain_text("Update")
    expect(page.locator("#pl-train-loss .js-plotly-plot")).to_be_visible()

    open_tab(other, served)  # another browser finds it
    expect(other.locator("#pl-train-head h2")).to_have_text("seen")
    expect(other.locator(STATE)).to_have_attribute("data-state", "running")
    expect(other.locator(".pl-run-status")).to_contain_text(re.compile(r"Update \d"))

    name(page, "second")  # it waits
    expect(page.locator("#pl-train-command code")).to_contain_text("--run second")
    page.locator("#pl-train-start").click()
    expect(page.locator(".pl-run-status")).to_have_text("Waits behind seen.")
    page.locator("[data-do=stop][data-run=second]").click()
    expect(page.locator("#pl-train-runs")).not_to_contain_text("second")

    page.locator("[data-do=open][data-run=seen]").click()
    other.locator("[data-do=stop][data-run=seen]").click()
    for browser in (page, other):
        expect(browser.locator(STATE)).to_have_attribute("data-state", "cancelled")
        expect(browser.locator("[data-do=go]")).to_be_visible()
    link = page.locator(".pl-links a").first
    assert "prefix=seen" in (link.get_attribute("href") or "")

    page.locator("[data-do=delete]").click()
    expect(page.locator("#pl-train-bin")).to_contain_text("seen")
    expect(page.locator("#pl-train-bin [data-do=restore]")).to_be_visible()
    page.locator("#pl-train-head [data-do=restore]").click()  # Undo
    expect(page.locator(STATE)).to_have_attribute("data-state", "cancelled")
    page.locator("#pl-train-details input[name=name]").fill("tiny-prefix")
    page.locator("[data-do=save]").click()
    expect(page.locator("#pl-status .status")).to_contain_text("There is a run 'tiny-prefix' already")
    page.locator(".pl-links a").first.click()
    expect(page.locator("#pl-head-prefix select")).to_have_value("seen")


def test_a_bad_upload_and_a_hostile_zip_are_reported(page, served, tmp_path):
    open_tab(page, served)
    page.locator("#pl-train-where label", has_text="A file").click()
    (tmp_path / "own.csv").write_bytes(bytes(range(256)))
    page.locator("#pl-train-file input[type=file]").set_input_files(str(tmp_path / "own.csv"))
    expect(page.locator("#pl-train-preview .pl-problem")).to_contain_text("not the header of a table")
    (tmp_path / "run.zip").write_bytes(b"PK not a zip")
    page.locator("#pl-train-import ~ input[type=file], #pl-train-runs-head input[type=file]").first.set_input_files(
        str(tmp_path / "run.zip")
    )
    expect(page.locator("#pl-status .status")).to_contain_text("is not a zip file")


def test_what_was_interrupted_is_offered_on_every_tab_and_a_text_is_a_run_at_one_click(page, served, house):
    folder = house.store.folder / "broke-off"
    folder.mkdir()
    (folder / "state.json").write_text('{"pid": null, "update": 3, "total": 9}')
    (folder / "resume.safetensors").touch()
    page.goto(served)
    expect(page.locator("#pl-offer")).to_contain_text("broke-off was interrupted at update 3 of 9")
    page.locator("#pl-offer [data-do=open]").click()
    expect(page.locator("#pl-train-head h2")).to_have_text("broke-off")
    expect(page.locator("#pl-train-head [data-do=go]")).to_be_visible()
    page.locator("#pl-train-head [data-do=delete]").click()
    expect(page.locator("#pl-offer [data-do=go]")).to_have_count(0)

    page.locator("#pl-train-method input").click()
    page.get_by_role("option", name="In-context").click()
    expect(page.locator("#pl-train-facts")).to_contain_text("nothing: examples stand as text")
    name(page, "told-before")
    expect(page.locator("#pl-train-command code")).to_contain_text("--run told-before")
    page.locator("#pl-train-start").click()
    expect(page.locator(STATE)).to_have_attribute("data-state", "done")
    expect(page.locator("#pl-train-watch pre")).to_contain_text("name :")


def test_a_name_of_80_letters_keeps_its_place_on_a_small_screen(page, served, house):
    """The title of the chart ran under its menu and out of it, and the list of runs had a column of a few letters."""
    run = "a-training-whose-name-is-eighty-letters-long-as-a-careful-student-might-write-it"
    folder = house.store.folder / run
    folder.mkdir()
    (folder / "state.json").write_text('{"pid": null, "update": 3, "total": 9}')
    (folder / "steps.csv").write_text("".join(f"{n},{3 - n / 5},{2.5 - n / 5},0.01,8,{n}\n" for n in (1, 2, 3)))
    page.set_viewport_size({"width": 1024, "height": 768})
    open_tab(page, served, f"&job={run}")
    expect(page.locator("#pl-train-loss [data-drawn] .gtitle")).to_contain_text("Loss of a-training")
    sheet, menu = (page.locator(f"#pl-train-loss {part}").bounding_box() for part in (".pl-plot", ".pl-save"))
    for line in page.locator("#pl-train-loss :is(.gtitle, .annotation-text)").all():
        box = line.bounding_box()
        assert box["x"] + box["width"] <= sheet["x"] + sheet["width"]
        assert box["x"] + box["width"] <= menu["x"] or box["y"] >= menu["y"] + menu["height"]
    cell = page.locator(f"#pl-train-runs [data-run={run}]").bounding_box()
    assert cell["height"] < 180
    page.locator("#pl-train-head [data-do=delete]").click()
    expect(page.locator("#pl-train-bin")).to_contain_text(run)


def test_what_is_read_of_a_training_stays_when_its_next_sample_comes(page, served, house):
    """The list of earlier texts closed, and the slider went back to the latest text, whenever the training wrote another one."""
    folder = house.store.folder / "being-read"
    folder.mkdir()
    (folder / "state.json").write_text('{"pid": null, "update": 3, "total": 9}')
    samples = [json.dumps({"update": update, "text": f"text {update}"}) + "\n" for update in range(4)]
    (folder / "watch.jsonl").write_text("".join(samples[:3]))
    open_tab(page, served, "&job=being-read")
    latest, slider = page.locator("#pl-train-watch li.latest"), page.locator("#pl-train-watch .pl-timeline input")
    expect(latest).to_contain_text("text 2")
    page.locator("#pl-train-watch summary").click()
    slider.fill("1")
    expect(latest).to_contain_text("text 1")
    (folder / "watch.jsonl").write_text("".join(samples))
    expect(slider).to_have_attribute("max", "3")
    expect(slider).to_have_value("1")
    expect(latest).to_contain_text("text 1")
    expect(page.locator("#pl-train-watch details li").first).to_be_visible()
    slider.fill("3")
    expect(latest).to_contain_text("text 3")
    page.locator("#pl-train-runs [data-run=tiny-prefix]").click()
    expect(page.locator("#pl-train-head h2")).to_have_text("tiny-prefix")
    page.locator("#pl-train-runs [data-run=being-read]").click()
    expect(page.locator("#pl-train-watch summary")).to_be_visible()
    expect(page.locator("#pl-train-watch details li").first).to_be_hidden()  # another run's view begins anew
    page.locator("#pl-train-head [data-do=delete]").click()
    expect(page.locator("#pl-train-bin")).to_contain_text("being-read")


def test_the_runs_are_shown_where_nothing_can_be_written(page, served, house):
    """Every part of the tab said “Error”: the queue's lock could not be opened."""
    lock = house.store.folder / ".jobs" / ".lock"
    lock.parent.mkdir(exist_ok=True)
    lock.unlink(missing_ok=True)
    lock.mkdir()  # opening it fails, as where nothing can be written
    try:
        open_tab(page, served)
        page.locator("#pl-train-runs [data-run=tiny-prefix]").click()
        expect(page.locator("#pl-train-head h2")).to_have_text("tiny-prefix")
        page.locator("#pl-train-start").click()
        expect(page.locator("#pl-status .status")).to_contain_text("Choose a writable folder with PREFIX_LAB_HOME")
    finally:
        lock.rmdir()


def test_a_deleted_run_can_be_restored_from_its_place_while_other_runs_change(page, served, house):
    """Its Undo vanished with the next change of the list, which is seconds away while another run is trained."""
    for run in ("to-delete", "comes-later"):
        (house.store.folder / run).mkdir()
    state = '{"pid": null, "update": 3, "total": 9}'
    (house.store.folder / "to-delete" / "state.json").write_text(state)
    open_tab(page, served, "&job=to-delete")
    page.locator("#pl-train-head [data-do=delete]").click()
    expect(page.locator("#pl-train-head")).to_contain_text("was moved to the trash")
    (house.store.folder / "comes-later" / "state.json").write_text(state)
    (house.store.folder / "another").mkdir()  # the list is drawn again
    expect(page.locator("#pl-train-runs")).to_contain_text("comes-later")
    expect(page.locator("#pl-train-head")).to_contain_text("was moved to the trash")
    page.locator("#pl-train-head [data-do=restore]").click()
    expect(page.locator("#pl-train-head h2")).to_have_text("to-delete")
    for run in ("to-delete", "comes-later", "another"):
        shutil.rmtree(house.store.folder / run)
