"""The row `app` of `bench`: start the app as a user does, and time its first words through its public endpoint."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx

from analysis.benchmark.measure import Timing, summarize_times
from analysis.benchmark.rows import Settings
from app.bench.process import PATIENCE, ROOT, opened
from app.bench.tabs import empty_home, model_name, run_of, source_of
from core.config.decoding_defaults import default_decoding
from core.errors import NotSupported
from core.models.backbone import Backbone
from core.runs.layout import JsonObject

OPEN, FIRST = 6.0, 0.3  # seconds that are allowed


def app(backbone: Backbone, settings: Settings) -> Iterator[Timing]:
    """From `python launch.py` to the whole page; then from a table to the first word of its text."""
    name = model_name(settings)
    program = [str(ROOT / "launch.py"), "--backbone", name, "--device", settings.device]
    with empty_home() as folder, opened(program, Path(folder)) as (address, _, seconds):
        yield summarize_times("app", "from launch.py to the whole answer of the page", [seconds], OPEN)
        run = "" if backbone.is_encoder_decoder else run_of(backbone)
        arguments = source_of(backbone), run, "", name, default_decoding("table").mode, 0
        yield summarize_times("app", "the first word, the model still to be loaded", [_first_word(address, arguments)])
        times = [_first_word(address, arguments) for _ in range(settings.repeats)]
        yield summarize_times("app", "the first word of a text", times, FIRST)


def _first_word(address: str, arguments: tuple) -> float:
    """Seconds from the question to the first text that holds something; the rest is read, so that nothing is left going."""
    place = f"{address}gradio_api/call/compare"
    began, seconds = time.perf_counter(), 0.0
    with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
        event = http.post(place, json={"data": arguments}).json()["event_id"]
        with http.stream("GET", f"{place}/{event}") as answer:
            for message in _messages(answer.iter_lines()):
                if not seconds and any(message["texts"].values()):
                    seconds = time.perf_counter() - began
    if not seconds:
        raise NotSupported("The app wrote nothing for its first example. Open it and see what it says there.")
    return seconds


def _messages(lines: Iterable[str]) -> Iterator[JsonObject]:
    """What the endpoint streams: pairs of lines, `event: …` and `data: …`. NotSupported where the event is an error."""
    event = ""
    for line in lines:
        name, _, rest = line.strip().partition(": ")
        if name == "event":
            event = rest
        elif name == "data" and event == "error":
            raise NotSupported(f"The app could not write about its first example: {rest}")
        elif name == "data" and event in ("generating", "complete"):
            yield json.loads(rest)[0]
