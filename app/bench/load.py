"""`bench load`: many clients at once on an app of its own, every answer checked against the one written alone beforehand.

The app runs in a process of its own on a free port of this machine, with an empty, temporary user folder.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import psutil

from app.bench.page import Layout, Refused
from app.bench.process import HOST, PATIENCE, opened
from app.bench.visitors import TABLES, TASKS, Answer, Visitor, variants
from core.config.decoding_defaults import DEFAULT_MODE
from core.errors import BadInput

MOST_CLIENTS, MOST_SECONDS, MOST_COMPARISONS = 200, 3600, 100_000
WARM_UP = 0.25  # part of the work after which memory must be level
FAIR, LEVEL = 1 / 3, 0.05  # aims: the slowest client to the fastest; growth of memory after the warm-up
PAGE_LIFE = 10  # comparisons of a soak before its page is closed and another one opened
BUSY = ("busy", "queue is full", "wait a moment")


@dataclass(frozen=True)
class LoadSettings:
    """`soak`: so many comparisons instead of `seconds` of all tasks. `mode`: the decoding of tables on pages."""

    clients: int = 40
    seconds: float = 120
    soak: int = 0
    device: str = "auto"
    host: str = HOST
    mode: str = DEFAULT_MODE

    def __post_init__(self) -> None:
        if self.host != HOST:
            raise BadInput(f"bench load asks the app of this machine only, at {HOST}; given: {self.host}. Leave --host out.")
        for name, lowest, most in (("clients", 1, MOST_CLIENTS), ("seconds", 1, MOST_SECONDS), ("soak", 0, MOST_COMPARISONS)):
            if not lowest <= getattr(self, name) <= most:
                raise BadInput(f"{name} must be between {lowest} and {most:,}; given: {getattr(self, name)}.", name)


@dataclass(frozen=True)
class Sample:
    """The server's process at a moment: how many answers there were, resident bytes, open files."""

    answers: int
    resident: int
    files: int


@dataclass
class LoadReport:
    """What was measured. `wrong`, `errors`: each as a sentence; `busy`: refusals for want of room, by task."""

    settings: LoadSettings
    answers: list[Answer] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    busy: Counter[str] = field(default_factory=Counter)
    per_client: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def fairness(self) -> float:
        """Answers of the slowest client over those of the fastest."""
        return min(self.per_client.values()) / max(1, max(self.per_client.values()))

    def level(self, name: str) -> tuple[float, float]:
        """A quantity of the server after the warm-up and at the end, each the median of a stretch of samples."""
        values = [getattr(sample, name) for sample in self.samples]
        first, stretch = int(len(values) * WARM_UP), max(1, len(values) // 10)
        return statistics.median(values[first : first + stretch]), statistics.median(values[-stretch:])

    def growth(self, name: str) -> float:
        """Growth of a quantity of the server after the warm-up, as a share."""
        before, after = self.level(name)
        return after / before - 1

    def promises(self) -> dict[str, bool]:
        """Each promise, and whether it is kept."""
        checks = {"no wrong answer": not self.wrong, "no error but busy": not self.errors}
        if self.settings.clients > 1:
            checks["slowest client at least a third of the fastest"] = self.fairness >= FAIR
        checks["memory level within 5 %"] = abs(self.growth("resident")) <= LEVEL
        if self.settings.soak:
            checks["open files level"] = self.growth("files") <= LEVEL
        return checks

    def rows(self) -> dict[str, list[Answer]]:
        """The answers by task."""
        rows = defaultdict(list)
        for answer in self.answers:
            rows[answer.task].append(answer)
        return dict(rows)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        rows = {task: {"answers": len(row), "busy": self.busy[task]} | _times(row) for task, row in self.rows().items()}
        memory = {name: self.level(name) for name in ("resident", "files")}
        return {
            "settings": asdict(self.settings),
            "tasks": rows,
            "seconds": self.seconds,
            "wrong": self.wrong,
            "errors": self.errors,
            "per_client": dict(self.per_client),
            "fairness": self.fairness,
            **{name: {"after_warm_up": before, "end": after} for name, (before, after) in memory.items()},
            "promises": self.promises(),
        }


def _times(answers: list[Answer]) -> dict[str, float]:
    firsts, whole = [answer.first for answer in answers if answer.first is not None], [answer.seconds for answer in answers]
    times = {"first_word_p50": quantile(firsts, 0.5), "first_word_p95": quantile(firsts, 0.95)} if firsts else {}
    return times | {"whole_p50": quantile(whole, 0.5), "whole_p95": quantile(whole, 0.95)}


def quantile(values: list[float], part: float) -> float:
    """The value that a part of the sorted values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def run_load(settings: LoadSettings, folder: Path) -> LoadReport:
    """Open the app with `folder` as the user's, and put it under load. NotSupported where it does not open."""
    program = ["-m", "app.cli", "--device", settings.device]
    with opened(program, folder, PREFIX_LAB_HOME=str(folder), HF_HUB_OFFLINE="1") as (address, process, _):
        return asyncio.run(_load(settings, address, psutil.Process(process)))


async def _load(settings: LoadSettings, address: str, process: psutil.Process) -> LoadReport:
    async with _http(address) as http:
        layout = Layout((await http.get("config")).json())
        tasks = ["table"] if settings.soak else list(TASKS)
        right = await _alone(Visitor(http, layout, "alone", settings.mode), tasks)
    report = LoadReport(settings)
    async with AsyncExitStack() as open_clients:
        visitors = [
            Visitor(await open_clients.enter_async_context(_http(address)), layout, f"client-{number + 1}", settings.mode)
            for number in range(settings.clients)
        ]
        report.per_client.update({visitor.name: 0 for visitor in visitors})
        await asyncio.gather(*(_enter(report, visitor) for visitor in visitors))
        began, ended = time.monotonic(), asyncio.Event()
        sampling, work = asyncio.create_task(_sample(report, process, ended)), iter(range(settings.soak))
        await asyncio.gather(
            *(
                _soak(report, visitor, work, right) if settings.soak else _mixed(report, visitor, number, began, right)
                for number, visitor in enumerate(visitors)
            )
        )
        ended.set()
        await sampling
        report.seconds = time.monotonic() - began
        await asyncio.gather(*(visitor.leave() for visitor in visitors))
    return report


@asynccontextmanager
async def _http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, limits=limits, trust_env=False) as http:
        yield http


Right = dict[tuple[str, int], object]


async def _alone(visitor: Visitor, tasks: list[str]) -> Right:
    """Every answer, written while nobody else asks."""
    await visitor.enter()
    right = {(task, variant): (await visitor.do(task, variant)).value for task in tasks for variant in range(variants(task))}
    await visitor.leave()
    return right


async def _mixed(report: LoadReport, visitor: Visitor, number: int, began: float, right: Right) -> None:
    """One client: all tasks in turn, begun at another one than its neighbor's."""
    turn, until = number, began + report.settings.seconds
    while time.monotonic() < until:
        task = list(TASKS)[turn % len(TASKS)]
        await _one(report, visitor, task, (turn // len(TASKS) + number) % variants(task), right)
        turn += 1


async def _soak(report: LoadReport, visitor: Visitor, work: Iterator[int], right: Right) -> None:
    """One client: comparisons on one page after another."""
    for done, number in enumerate(work, 1):
        await _one(report, visitor, "table", number % TABLES, right)
        if done % PAGE_LIFE == 0:
            await visitor.leave()
            await _enter(report, visitor)


async def _enter(report: LoadReport, visitor: Visitor) -> None:
    """Open a page. A refusal is noted, and the page used nevertheless."""
    try:
        await visitor.enter()
    except Refused as error:
        _note(report, f"{visitor.name}, opening a page", str(error), "opening a page")


def _note(report: LoadReport, where: str, sentence: str, task: str) -> None:
    if any(word in sentence.casefold() for word in BUSY):
        report.busy[task] += 1
    else:
        report.errors.append(f"{where}: {sentence}")


async def _one(report: LoadReport, visitor: Visitor, task: str, variant: int, right: Right) -> None:
    """One task of one client, checked and counted."""
    try:
        answer = await visitor.do(task, variant)
    except Refused as error:
        _note(report, f"{visitor.name}, {task}", str(error), task)
        await asyncio.sleep(1)  # as a person would before another try
        return
    except Exception as error:
        report.errors.append(f"{visitor.name}, {task}: {error!r}")
        return
    if answer.value != right[task, variant]:
        report.wrong.append(f"{visitor.name}, {task} {variant}: {difference(right[task, variant], answer.value)}")
    report.answers.append(answer)
    report.per_client[visitor.name] += 1


def difference(right: object, answer: object) -> str:
    """Where two answers differ, in a few words."""
    if isinstance(right, dict) and isinstance(answer, dict):
        parts = [key for key in right if right[key] != answer.get(key)]
        return "; ".join(f"{part}: {difference(right[part], answer.get(part))}" for part in parts)
    one, other = str(right), str(answer)
    start = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return f"…{one[max(0, start - 20) : start + 40]!r} became …{other[max(0, start - 20) : start + 40]!r}"


async def _sample(report: LoadReport, process: psutil.Process, ended: asyncio.Event) -> None:
    """Look at the server's process every second."""
    while not ended.is_set():
        resident = sum(_resident(each) for each in [process, *process.children(recursive=True)])
        report.samples.append(Sample(len(report.answers), resident, _open_files(process)))
        try:
            await asyncio.wait_for(ended.wait(), 1)
        except TimeoutError:
            pass


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # a child that has just ended
        return 0


def _open_files(process: psutil.Process) -> int:
    return int(process.num_handles() if sys.platform == "win32" else process.num_fds())
