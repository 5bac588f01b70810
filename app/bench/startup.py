"""The row `app` of `bench`: start the app as a user does, and time its first words through its public endpoint."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.benchmark.measure import Timing, summarize_times
from analysis.benchmark.rows import Settings
from app.bench.tabs import empty_home, model_name, run_of, source_of
from core.errors import NotSupported
from core.models.backbone import Backbone
from core.runs.layout import JsonObject

ROOT = Path(__file__).resolve().parents[2]
OPEN, FIRST = 6.0, 0.3  # seconds that are allowed
PATIENCE = 300.0  # seconds to wait for the app
PAUSE = 0.02  # seconds between two tries whether it answers


def app(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """From `python launch.py` to the whole page; then from a table to the first word of its text."""
    name = model_name(settings)
    with empty_home() as folder, _opened(name, settings.device, Path(folder)) as (address, opened):
        yield summarize_times("app", "from launch.py to the whole answer of the page", [opened], OPEN)
        run = "" if backbone.is_encoder_decoder else run_of(backbone)
        arguments = source_of(backbone), run, "", name, "greedy", 0
        yield summarize_times("app", "the first word, the model still to be loaded", [_first_word(address, arguments)])
        times = [_first_word(address, arguments) for _ in range(settings.repeats)]
        yield summarize_times("app", "the first word of a text", times, FIRST)


@contextmanager
def _opened(name: str, device: str, folder: Path) -> Iterator[tuple[str, float]]:
    """The app in a process of its own: its address, and the seconds until it had sent its page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--backbone", name, "--device", device]
    command = [sys.executable, str(ROOT / "launch.py"), "--no-browser", *options]
    address, output = f"http://127.0.0.1:{port}/", folder / "output.txt"
    with output.open("w", encoding="utf-8") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        try:
            while not _answers(address):
                _check(process, began, output)
                time.sleep(PAUSE)
            yield address, time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()


def _check(process: subprocess.Popen, began: float, output: Path) -> None:
    """NotSupported where the app has ended, or has not answered for too long."""
    if process.poll() is not None:
        last = (output.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
        raise NotSupported(f"The app did not open: {last}")
    if time.perf_counter() - began > PATIENCE:
        raise NotSupported(f"The app did not answer within {PATIENCE:.0f} s. Try again when the machine is less busy.")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return bool(answer.read())
    except OSError:
        return False


def _first_word(address: str, arguments: tuple) -> float:
    """Seconds from the question to the first text that holds something; the rest is read, so that nothing is left going."""
    place = f"{address}gradio_api/call/compare"
    began, seconds = time.perf_counter(), 0.0
    body = json.dumps({"data": arguments}).encode()
    question = urllib.request.Request(place, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(question, timeout=PATIENCE) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{place}/{event}", timeout=PATIENCE) as lines:
        for message in _messages(lines):
            if not seconds and any(message["texts"].values()):
                seconds = time.perf_counter() - began
    if not seconds:
        raise NotSupported("The app wrote nothing for its first example. Open it and see what it says there.")
    return seconds


def _messages(lines: Iterable[bytes]) -> Iterator[JsonObject]:
    """What the endpoint streams: pairs of lines, `event: …` and `data: …`. NotSupported where the event is an error."""
    event = ""
    for line in lines:
        name, _, rest = line.decode().strip().partition(": ")
        if name == "event":
            event = rest
        elif name == "data" and event == "error":
            raise NotSupported(f"The app could not write about its first example: {rest}")
        elif name == "data" and event in ("generating", "complete"):
            yield json.loads(rest)[0]
