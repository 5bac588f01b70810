"""A store of tiny runs, the app served on it in a process of its own, and a page in a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.shared.context import AppContext
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone, make_tiny_bart

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True)
class House:
    """Where the tiny things are."""

    home: Path
    backbone: str
    other: str
    bart: str

    @property
    def store(self) -> Store:
        return Store(self.home / "runs")


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> House:
    """Two backbones; on the first a prefix and a fine-tuned run, and both again on triples; on the other a prefix.

    Beside them one that takes articles, with no run."""
    place = tmp_path_factory.mktemp("house")
    first = make_tiny_backbone(place / "tiny-gpt2", positions=512)
    other = make_tiny_backbone(place / "other-gpt2", seed=5, positions=512)
    runs = place / "home" / "runs"
    make_run(first, runs, "triples-prefix", name="webnlg")
    make_run(first, runs, "triples-finetuned", method="finetune", name="webnlg")
    make_run(first, runs, "tiny-prefix")
    make_run(first, runs, "tiny-finetuned", method="finetune")
    make_run(other, runs, "other-prefix")
    bart = make_tiny_bart(place / "tiny-bart", positions=512)
    return House(place / "home", str(first), str(other), str(bart))


@pytest.fixture(scope="module", autouse=True)
def same_runs_for_every_file(house) -> Iterator[None]:
    """Delete the runs that the tests of a file leave: which files come before another one differs between processes."""
    before = {folder.name for folder in house.store.folder.iterdir()}
    yield
    for folder in house.store.folder.iterdir():
        if folder.name not in before and not folder.name.startswith("."):
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def context(house) -> AppContext:
    return AppContext(house.backbone, "cpu", house.store)


@pytest.fixture(scope="session")
def newsroom(tmp_path_factory) -> AppContext:
    """A context whose backbone takes articles, with a prefix on it."""
    place = tmp_path_factory.mktemp("newsroom")
    folder = make_tiny_bart(place / "tiny-bart")
    make_run(folder, place / "runs", "news-prefix", updates=2)
    return AppContext(str(folder), "cpu", Store(place / "runs"))


@pytest.fixture(scope="session")
def served(house):
    """The app's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PREFIX_LAB_HOME": str(house.home), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(ROOT / "tests" / "app" / "served.py"), house.backbone, str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}/"
    try:
        while not _answers(address):
            if process.poll() is not None:
                pytest.fail(f"The app did not start:\n{process.stdout.read() if process.stdout else ''}", pytrace=False)
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address).status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=120_000)  # a slow machine is no failure
    with sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield window
        window.close()


@pytest.fixture
def page(browser, served):
    """A page of a projector's size. Whatever it asks of another machine, and every error of its scripts, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="light")
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    asked: list[str] = []
    broken: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: broken.append(str(error)))
    yield tab
    context.close()
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []
    assert broken == []
