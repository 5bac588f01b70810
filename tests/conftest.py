"""What every test shares: `--no-browser`, and what becomes of browser tests where there is no browser.

A test marked `browser` asks for the `chromium` fixture, the path of a browser for playwright's `executable_path`.
"""

import os
import shutil

import pytest

from core.process_settings import apply_process_settings

apply_process_settings()  # also where pytest is started without launch.py

# Names on PATH in order of preference, then the usual places on macOS and Windows.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
)
NO_CHROMIUM = (
    "The browser tests need Chromium or Chrome and none was found: install it (Debian, Ubuntu: apt install chromium), "
    "or leave them out with: python launch.py test --no-browser"
)


def find_chromium() -> str | None:
    """Path of the first Chromium or Chrome on this machine."""
    for path in [shutil.which(name) for name in NAMES] + [place for place in PLACES if os.path.exists(place)]:
        if path:
            return path
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-browser", action="store_true", help="skip the tests that drive a real browser")
    parser.addoption("--fast", action="store_true", help="skip the tests marked slow, and those that drive a real browser")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture starts a server: skip what the options leave out; a browser test insists on a browser."""
    if item.config.getoption("--fast") and item.get_closest_marker("slow") is not None:
        pytest.skip("left out with --fast")
    if item.get_closest_marker("browser") is None:
        return
    if item.config.getoption("--no-browser") or item.config.getoption("--fast"):
        pytest.skip("left out with --no-browser or --fast")
    if find_chromium() is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser that playwright is to start."""
    path = find_chromium()
    if path is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)
    return path
