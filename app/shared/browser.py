"""Open the page: in the usual browser, or in a window of its own."""

import os
import shutil
import subprocess
import sys
import webbrowser

from core import paths

# Browsers that show a page in a window without tabs and address: names on PATH, then the usual places on macOS and Windows.
NAMES = (
    "google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "microsoft-edge", "microsoft-edge-stable", "msedge",
)  # fmt: skip
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
)
START_SECONDS = 1.5


def open_page(address: str, window: bool = False) -> None:
    """Open an address in the usual browser. `window`: in a window of its own, where there is Chrome, Chromium or Edge."""
    if window:
        program = find_browser()
        if program is not None and open_window(program, address):
            return
        reason = f"{program} did not start" if program else "No Chrome, Chromium or Edge was found"
        print(f"The page cannot have a window of its own ({reason}): the usual browser is opened.", file=sys.stderr)
    webbrowser.open(address)


def open_window(program: str, address: str) -> bool:
    """Open an address in a window of its own, with a profile folder of its own; whether the browser goes on running or has
    handed the address to one that runs already. Takes `START_SECONDS`: a browser that cannot start ends within them."""
    profile = paths.home() / "window"
    command = [program, f"--app={address}", f"--user-data-dir={profile}", "--no-first-run", "--no-default-browser-check"]
    try:
        profile.mkdir(parents=True, exist_ok=True)
        new_session = os.name == "posix"
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=new_session)
        return browser.wait(START_SECONDS) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


def find_browser() -> str | None:
    """The path of the first Chrome, Chromium or Edge on this machine."""
    paths_of_names = (shutil.which(name) for name in NAMES)
    return next((path for path in (*paths_of_names, *filter(os.path.exists, PLACES)) if path), None)
