"""The page as an app of the desktop: installable, and in a window of its own."""

import os

import pytest

from app.shared import browser as browsers


@pytest.mark.browser
def test_a_browser_offers_to_install_the_page(page, served):
    page.goto(served)
    tools = page.context.new_cdp_session(page)
    errors = {error["errorId"] for error in tools.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert errors <= {"in-incognito"}  # as every page of a test is
    assert tools.send("Page.getAppManifest")["manifest"]["name"] == "Prefix Lab"
    for size in (192, 512):
        icon = page.request.get(f"{served}pwa_icon/{size}")
        assert icon.ok and icon.headers["content-type"] == "image/png"


@pytest.fixture
def browser_script(monkeypatch, tmp_path):
    """Put a shell script in the place of Chrome, and note what the usual browser opens."""
    opened = []
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    monkeypatch.setattr(browsers.webbrowser, "open", opened.append)

    def script(body):
        program = tmp_path / "chrome"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setattr(browsers, "find_browser", lambda: str(program))
        return opened

    return script


@pytest.mark.skipif(os.name != "posix", reason="the browser is a shell script")
@pytest.mark.parametrize("end", ["exec sleep 5", "exit 0"])  # a new browser; one that runs already took the address
def test_a_window_has_the_address_and_a_profile_of_its_own(browser_script, tmp_path, end):
    opened = browser_script(f'echo "$@" > {tmp_path}/arguments; {end}')
    browsers.open_page("http://127.0.0.1:7860/", window=True)
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[0] == "--app=http://127.0.0.1:7860/" and f"--user-data-dir={tmp_path / 'window'}" in arguments
    assert opened == []


@pytest.mark.skipif(os.name != "posix", reason="the browser is a shell script")
def test_a_browser_that_does_not_start_gives_way_to_the_usual_one(browser_script, capsys):
    opened = browser_script("exit 1")  # as Chromium does for the root user
    browsers.open_page("http://127.0.0.1:7860/", window=True)
    assert opened == ["http://127.0.0.1:7860/"] and "chrome did not start" in capsys.readouterr().err


def test_without_such_a_browser_the_usual_one_is_opened(monkeypatch, tmp_path, capsys):
    opened = []
    monkeypatch.setattr(browsers, "find_browser", lambda: None)
    monkeypatch.setattr(browsers.webbrowser, "open", opened.append)
    browsers.open_page("http://127.0.0.1:7860/", window=True)
    assert opened == ["http://127.0.0.1:7860/"] and "the usual browser is opened" in capsys.readouterr().err
