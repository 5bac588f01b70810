"""What a visitor of the app does under load: each task sends what a browser sends, and returns the answer to be checked."""

import asyncio
import io
import json
import re
import time
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from app.bench.page import API, Layout, Page, Refused, Script
from app.shared import examples
from core import paths
from core.config.decoding_defaults import DEFAULT_MODE
from core.exchange.archive import FILES
from core.runs.layout import RUN_JSON, JsonObject
from core.text.tables import linearise

TABLES, ARTICLES, SHEETS = 6, 3, 4  # different inputs of each kind
PREFIX, FINETUNED = "e2e-prefix", "e2e-finetuned"
ARTICLE_ARGUMENTS = ("wikinews-prefix", "", "mini-bart", "greedy", 0)
TABLE_ARGUMENTS = (PREFIX, FINETUNED, "mini-gpt2", "greedy", 0)
SLOTS = ("base", "prefix", "finetuned")
_TEXT = re.compile(r'<div class="generated raw">(.*?)</div>', re.DOTALL)
_STATE = re.compile(r'data-state="(\w+)"')
_SENTENCE = re.compile(r"<[^>]+>")


@dataclass
class Answer:
    """One answer. `value`: what is checked; `first`: seconds to the first word of a text, None where none is written."""

    task: str
    variant: int
    value: object
    seconds: float
    first: float | None = None


@dataclass
class Visitor:
    """One client: a page of its own, and its requests to the public endpoint."""

    http: httpx.AsyncClient
    layout: Layout
    name: str
    mode: str = DEFAULT_MODE
    page: Page = field(init=False)
    table_on_page: int = -1  # the table on the page, and whose text Attention reads
    imports: int = 0
    background: "set[asyncio.Task[None]]" = field(default_factory=set)  # what goes on behind the answer

    async def enter(self) -> None:
        """Open a page."""
        self.page = Page(self.http, self.layout)
        self.table_on_page = -1
        await self.page.open()

    async def leave(self) -> None:
        """Close the page, and end what it still waits for."""
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)
        self.background.clear()
        await self.page.close()

    async def do(self, task: str, variant: int) -> Answer:
        """Carry out a task; Refused with the app's sentence where it reports an error."""
        began = time.monotonic()
        first: list[float] = []

        def word() -> None:
            if not first:
                first.append(time.monotonic() - began)

        value = await TASKS[task](self, variant, word)
        return Answer(task, variant, value, time.monotonic() - began, first[0] if first else None)

    # ---- texts

    async def table(self, variant: int, word: Callable[[], None]) -> object:
        """Generate from a table on Compare."""
        page, sample = self.page, examples.samples("table")[variant]
        rows = [list(row) for row in sample.rows]
        page["pl-mode"] = self.mode
        page["pl-table"] = {"form": "table", "rows": rows, "text": "", "newer": "rows", "bad": 0, "version": 1}
        for slot in SLOTS:
            page[f"pl-out-{slot}"] = ""

        def watch() -> None:
            if any(_text(page[f"pl-out-{slot}"]) for slot in SLOTS):
                word()

        await page.trigger("pl-generate", "click", watch=watch)
        self._check_status()
        self.table_on_page = variant
        await page.trigger_alone("pl-subject", "change", lambda _: ["compare"])  # Attention reads ahead; the rest does nothing
        return {slot: _text(page[f"pl-out-{slot}"]) for slot in SLOTS}

    async def public_table(self, variant: int, word: Callable[[], None]) -> object:
        """Generate from a table through the public endpoint."""
        sample = examples.samples("table")[variant]
        return await self._compare(linearise(sample.fields), TABLE_ARGUMENTS, word)

    async def public_article(self, variant: int, word: Callable[[], None]) -> object:
        """Summarize an article through the public endpoint."""
        return await self._compare(examples.samples("article")[variant].text, ARTICLE_ARGUMENTS, word)

    async def _compare(self, source: str, arguments: tuple[object, ...], word: Callable[[], None]) -> object:
        place, last = API + "call/compare", None
        response = await self.http.post(place, json={"data": [source, *arguments]})
        if not response.is_success:
            raise Refused(str(response.json().get("detail")))
        async with self.http.stream("GET", f"{place}/{response.json()['event_id']}") as lines:
            event = ""
            async for line in lines.aiter_lines():
                name, _, rest = line.partition(": ")
                if name == "event":
                    event = rest
                elif name == "data" and event == "error":
                    error = json.loads(rest)
                    raise Refused(str(error.get("error") if isinstance(error, dict) else error))
                elif name == "data" and event in ("generating", "complete"):
                    last = json.loads(rest)[0]
                    if any(last["texts"].values()):
                        word()
        return last and last["texts"]

    # ---- what looks inside

    async def attention(self, variant: int, word: Callable[[], None]) -> object:
        """Open Attention on the text of the page. The map of knock-outs goes on filling behind it, as in a browser."""
        if self.table_on_page != variant:
            await self.table(variant, word)
        parts = ("pl-look-heads", "pl-look-layers", "pl-look-steps", "pl-look-reads")
        return await self._until_drawn("pl-tab-attention", lambda _: ["attention"], parts)

    async def space(self, variant: int, word: Callable[[], None]) -> object:
        """Show the prefix at a layer on Prefix space."""
        self.page["pl-space-runs"], self.page["pl-space-layer"] = [PREFIX], variant + 1
        parts = ("pl-space-map", "pl-space-first", "pl-space-all")
        return await self._until_drawn("pl-tab-space", lambda values: [*values[:-1], "space"], parts)

    async def _until_drawn(self, tab: str, script: Script, parts: Sequence[str]) -> dict[str, Any]:
        """Select a tab, and return its parts once all are drawn, while what follows goes on. `script`: see Page.trigger.

        Raises Refused where the tab ends before that with a problem in the status line.
        """
        page, complete = self.page, asyncio.Event()
        for part in parts:
            page[part] = ""

        def watch() -> None:
            if all(page[part] for part in parts):
                complete.set()

        refresh = self._go_on(page.trigger(tab, "select", script, watch=watch))
        waiting = asyncio.create_task(complete.wait())
        await asyncio.wait([refresh, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not complete.is_set():
            await refresh
            self._check_status()
        return {part: page[part] for part in parts}

    # ---- uploads

    async def upload(self, variant: int, word: Callable[[], None]) -> object:
        """Upload a table of rows on Train, and read its preview."""
        page = self.page
        page["pl-train-where"] = "file"
        page["pl-train-file"] = await page.upload(f"rows-{variant}.csv", sheet(variant))
        await page.trigger("pl-train-file", "change")
        self._check_status()
        return page["pl-train-preview"]

    async def hand_in(self, variant: int, word: Callable[[], None]) -> object:
        """Import a run's zip on Train, and move it to the trash."""
        page, self.imports = self.page, self.imports + 1
        run_id = f"{self.name}-{self.imports}"
        page["pl-train-import"] = await page.upload(f"{run_id}.zip", zip_of(run_id))
        await page.trigger("pl-train-import", "upload")
        self._check_status()
        listed = [run_id in str(page[part]) for part in ("pl-train-runs", "pl-train-bin")]
        await page.trigger("pl-train-runs", "select", event_data={"do": "delete", "run": run_id})
        self._check_status()
        return listed + [run_id in str(page[part]) for part in ("pl-train-runs", "pl-train-bin")]

    # ---- below

    def _go_on(self, work: Any) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    def _check_status(self) -> str:
        """The sentence of the status line; Refused where it is a problem."""
        status = str(self.page["pl-status"])
        sentence = unescape(_SENTENCE.sub("", status.partition("</b>")[2]))
        if 'data-phase="error"' in status:
            raise Refused(sentence)
        return sentence


Task = Callable[[Visitor, int, Callable[[], None]], Awaitable[object]]
TASKS: dict[str, Task] = {
    "table": Visitor.table,
    "attention": Visitor.attention,
    "table, public endpoint": Visitor.public_table,
    "space": Visitor.space,
    "article, public endpoint": Visitor.public_article,
    "upload of rows": Visitor.upload,
    "import of a zip": Visitor.hand_in,
}
VARIANTS = {"space": 4, "article, public endpoint": ARTICLES, "upload of rows": SHEETS, "import of a zip": 1}


def variants(task: str) -> int:
    """How many different inputs a task has."""
    return VARIANTS.get(task, TABLES)


def sheet(variant: int) -> bytes:
    """A small CSV file of rows to train on."""
    rows = [sample for sample in examples.samples("table")[variant :: SHEETS + variant] if sample.references][:20]
    lines = ["table,text"] + [f'"{linearise(row.fields)}","{row.references[0]}"' for row in rows]
    return ("\n".join(line.replace('""', "'") for line in lines) + "\n").encode()


def zip_of(run_id: str) -> bytes:
    """The bundled prefix as an exported run of another name."""
    folder, out = Path(paths.BUNDLED_RUNS) / PREFIX, io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in FILES:
            if (folder / name).is_file() and name != RUN_JSON:
                archive.write(folder / name, f"{run_id}/{name}")
        run: JsonObject = json.loads((folder / RUN_JSON).read_text(encoding="utf-8"))
        archive.writestr(f"{run_id}/{RUN_JSON}", json.dumps(run | {"id": run_id}))
    return out.getvalue()


def _text(column: object) -> str:
    """The text of a column, as the model wrote it; an error for one that has none."""
    match = _TEXT.search(str(column))
    return unescape(_SENTENCE.sub("", match[1])) if match else ""
