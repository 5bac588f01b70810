"""One presenter and two guests, each in a browser of their own: a lesson from the code on the wall to the shift."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.shared.test_accessibility import findings

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROOT = Path(__file__).parents[3]
EVIL = "<img src=x onerror=a()>"


@pytest.fixture(scope="module")
def served_class(house, tmp_path_factory):
    """Address, room code and key of a class on the tiny backbone, served as the command line does."""
    home = tmp_path_factory.mktemp("class-home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "--class", "--host", "127.0.0.1", "--port", str(port), "--no-browser"]
    environment = os.environ | {"PREFIX_LAB_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([*command, "--backbone", house.backbone, "--device", "cpu"], cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address):
            assert process.poll() is None, "the class did not start"
            time.sleep(0.2)
        yield address, json.loads((home / "classes" / "class" / "secrets.json").read_text())
    finally:
        process.terminate()
        process.wait()


def _answers(address):
    try:
        return urllib.request.urlopen(f"{address}/class").status == 200
    except OSError:
        return False


@pytest.fixture
def device(browser):
    """A new browser of some size; what goes wrong in its scripts, and what its policy blocks, fails the test."""
    contexts, wrong = [], []

    def new(width, height, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if "Security Policy" in message.text else None)
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    yield new
    for context in contexts:
        context.close()
    assert wrong == []


def join(page: Page, served_class, name: str):
    address, secrets = served_class
    page.goto(f"{address}/class#{secrets['code']}")
    page.locator("#join [name=name]").fill(name)
    page.locator("#join button").click()
    expect(page.locator("#class")).to_be_visible()


def test_a_lesson(device, served_class, zipped):
    address, secrets = served_class
    presenter, ada, ben = device(1280, 720), device(390, 844, "dark"), device(390, 844)
    presenter.goto(f"{address}/class/present#{secrets['key']}")
    expect(presenter.locator("#code")).to_have_text(secrets["code"])
    assert secrets["key"] not in presenter.url  # nobody reads it off the projector
    expect(presenter.locator("#qr")).to_have_js_property("complete", True)
    join(ada, served_class, EVIL)
    join(ben, served_class, "Ben")
    expect(presenter.locator("#count")).to_have_text("2 guests")

    presenter.locator("#ask [name=text]").fill("What does training change?")
    presenter.locator("#ask [name=options]").fill("All weights\nNothing in the model")
    presenter.locator("#ask [name=right]").fill("2")
    presenter.locator("#ask button").click()
    expect(presenter.locator("#question h2")).to_be_in_viewport()
    ada.get_by_role("button", name="All weights").click()
    ben.get_by_role("button", name="Nothing in the model").click()
    expect(presenter.locator("#question")).to_contain_text("2 have answered")
    presenter.locator("#question button").click()

    for guest in (ada, ben):
        guest.locator("#hand-in input").set_input_files(zipped["tiny-prefix"])
        expect(guest.locator("#done")).to_contain_text("Handed in")
    expect(presenter.locator("#board tr[data-state=ready]")).to_have_count(2)
    expect(presenter.locator("#board")).to_contain_text(EVIL)

    presenter.locator("#begin [name=blind]").check()
    presenter.locator("#begin button").click()
    expect(presenter.locator("#round h2")).to_be_in_viewport()
    ada.get_by_role("button", name="Vote for A").click()
    ben.get_by_role("button", name="Vote for A").click()
    expect(presenter.locator("#round .head")).to_contain_text("2 voted")
    for page in (presenter, ada, ben):
        expect(page.locator("#round .lines")).not_to_contain_text("Ben")
    presenter.get_by_role("button", name="Show names and votes").click()
    for page in (presenter, ada, ben):
        expect(page.locator("#round .line").first).to_contain_text("2 votes")
        expect(page.locator("#round .lines")).to_contain_text("Ben")
        expect(page.locator("#round .lines")).to_contain_text(EVIL)

    presenter.get_by_role("button", name="Ask again").click()
    ada.get_by_role("button", name="Nothing in the model").click()
    ben.get_by_role("button", name="Nothing in the model").click()
    expect(presenter.locator("#question")).to_contain_text("2 have answered")
    presenter.get_by_role("button", name="Show the shift").click()
    expect(ben.locator("#question")).to_contain_text(
        "1 of the 2 who answered both times changed their answer, 1 of them to the right"
    )

    ben.locator("#picks input").first.check()
    ben.locator("#compare button").click()
    expect(ben.locator("#texts .line.written, #texts .line.frozen")).to_have_count(2)
    presenter.set_viewport_size({"width": 390, "height": 844})  # the board's rows wrap
    for page in (presenter, ada, ben):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert findings(page) == []
    presenter.set_viewport_size({"width": 1280, "height": 720})

    ben.reload()
    expect(ben.locator("#who")).to_contain_text("Ben")
    presenter.locator("#door summary").click()
    presenter.locator("#people li", has_text="Ben").get_by_role("button").click()
    expect(ben.locator("#join")).to_be_visible()
    assert findings(ben) == []
    expect(presenter.locator("#board tr[data-run]")).to_have_count(1)


def test_a_refusal_stays_while_the_board_changes(device, served_class):
    ada, ben = device(390, 844), device(390, 844)
    join(ada, served_class, "Ada")
    ada.locator("#compare [name=table]").fill("")
    ada.locator("#compare button").click()
    expect(ada.locator("#trouble")).to_contain_text("The table has 0 characters")
    expect(ada.locator("#trouble")).to_be_in_viewport()  # the form is far below the head of the page
    before = ada.locator("#who").inner_text()
    join(ben, served_class, "Bo")
    expect(ada.locator("#who")).not_to_have_text(before)
    expect(ada.locator("#trouble")).to_contain_text("The table has 0 characters")
    ada.locator("#compare [name=example]").select_option(index=0)
    ada.locator("#compare button").click()
    expect(ada.locator("#texts .line")).to_have_count(1)
    expect(ada.locator("#trouble")).to_be_empty()


def test_a_code_or_a_key_can_be_pasted_into_the_open_page(device, served_class):
    address, secrets = served_class
    page = device(390, 844)
    page.goto(f"{address}/class#50%")  # no character: it is taken as it is
    expect(page.locator("#join [name=code]")).to_have_value("50%")
    page.evaluate("code => { location.hash = code; }", secrets["code"])
    expect(page.locator("#join [name=code]")).to_have_value(secrets["code"])
    page.goto(f"{address}/class/present")
    expect(page.locator("#enter")).to_be_visible()
    expect(page.locator("nav")).to_be_hidden()
    page.evaluate("key => { location.hash = key; }", secrets["key"])
    expect(page.locator("#code")).to_have_text(secrets["code"])
    assert secrets["key"] not in page.url
    page.goto(f"{address}/class#{secrets['code']}")
    expect(page.locator("#presents")).to_contain_text("private window")


def test_a_guest_leaves_and_another_joins_on_the_same_device(device, served_class):
    page = device(390, 844)
    join(page, served_class, "Deniz")
    page.locator("#leave").click()
    expect(page.locator("#join")).to_be_visible()
    join(page, served_class, "عائشة")
    assert page.locator("#who bdi").inner_text() == "عائشة"


def test_a_guest_at_the_app_is_sent_to_the_class(device, served_class):
    page = device(390, 844)
    page.goto(served_class[0])
    expect(page.locator("#join")).to_be_visible()
    assert page.url.endswith("/class")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{served_class[0]}/config")


def test_an_entry_opens_in_the_app(device, served_class):
    address, secrets = served_class
    page = device(1280, 720)
    page.goto(f"{address}/class/present#{secrets['key']}")
    with page.context.expect_page() as opened:
        page.locator("#board").get_by_role("link", name="Attention").first.click()
    expect(opened.value.locator("#pl-tab-attention-button")).to_have_attribute("aria-selected", "true")
    expect(opened.value.locator("#pl-look-headline .pl-sentence")).not_to_be_empty()
    manifest = opened.value.context.new_cdp_session(opened.value).send("Page.getAppManifest")
    assert manifest["manifest"]["name"] == "Prefix Lab"  # with the presenter's cookie, behind the gate
    opened.value.locator("#pl-tab-compare-button").click()
    expect(opened.value.locator("#pl-tab-compare")).to_contain_text("class-img-src-x-onerror-a-1")
