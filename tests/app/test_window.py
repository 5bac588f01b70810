"""The page as an app of the desktop: installable, and in a window of its own."""

import subprocess

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


def test_a_window_has_the_address_and_a_profile_of_its_own(monkeypatch, tmp_path):
    started = []
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    monkeypatch.setattr(browsers, "find_browser", lambda: "/usr/bin/chromium")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: started.append(command))
    browsers.open_page("http://127.0.0.1:7860/", window=True)
    assert started[0][:2] == ["/usr/bin/chromium", "--app=http://127.0.0.1:7860/"]
    assert f"--user-data-dir={tmp_path / 'window'}" in started[0]


def test_without_such_a_browser_the_usual_one_is_opened(monkeypatch, tmp_path, capsys):
    opened = []
    monkeypatch.setattr(browsers, "find_browser", lambda: None)
    monkeypatch.setattr(browsers.webbrowser, "open", opened.append)
    browsers.open_page("http://127.0.0.1:7860/", window=True)
    assert opened == ["http://127.0.0.1:7860/"] and "the usual browser is opened" in capsys.readouterr().err
