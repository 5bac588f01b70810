"""A page of the app without a browser: it keeps the components' values and sends events as Gradio's own script does."""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import httpx
from gradio_client.utils import apply_diff

from core.runs.layout import JsonObject

API = "gradio_api/"
Values = list[object]
Script = Callable[[Values], Values]  # what an event's own JavaScript makes of its inputs
Watch = Callable[[], object]  # called after each part of an answer


class Refused(Exception):
    """The app answered with an error; its sentence."""


@dataclass(frozen=True)
class Layout:
    """The components and events of the page, as the app's /config describes them."""

    config: JsonObject

    @cached_property
    def values(self) -> dict[int, object]:
        """The value that each component begins with."""
        return {part["id"]: part["props"].get("value") for part in self.config["components"]}

    @cached_property
    def ids(self) -> dict[str, int]:
        """Component ids by elem_id."""
        return {part["props"]["elem_id"]: part["id"] for part in self.config["components"] if part["props"].get("elem_id")}

    @cached_property
    def events(self) -> dict[tuple[int, str], list[JsonObject]]:
        """Events by component and name."""
        events = defaultdict(list)
        for event in self.config["dependencies"]:
            for component, name in event["targets"]:
                events[component, name].append(event)
        return events

    @cached_property
    def after(self) -> dict[int, list[JsonObject]]:
        """The events that follow another one."""
        events = defaultdict(list)
        for event in self.config["dependencies"]:
            if event["trigger_after"] is not None:
                events[event["trigger_after"]].append(event)
        return events

    @cached_property
    def opening(self) -> list[JsonObject]:
        """The events of opening the page."""
        return [event for event in self.config["dependencies"] if any(name == "load" for _, name in event["targets"])]


class Page:
    """One page, a session of its own. `http` has the app's address as its base."""

    def __init__(self, http: httpx.AsyncClient, layout: Layout) -> None:
        self.http, self.layout, self.session = http, layout, secrets.token_hex(6)
        self.values = dict(layout.values)
        self._messages: defaultdict[str, asyncio.Queue[JsonObject]] = defaultdict(asyncio.Queue)
        self._running = 0  # events of the queue that have not ended
        self._tasks: dict[str, asyncio.Task] = {}

    def __getitem__(self, elem_id: str) -> object:
        """The value of a component."""
        return self.values[self.layout.ids[elem_id]]

    def __setitem__(self, elem_id: str, value: object) -> None:
        self.values[self.layout.ids[elem_id]] = value

    async def open(self) -> None:
        """Load the page, as a browser does; Compare is then filled."""
        (await self.http.get("")).raise_for_status()
        self._tasks["heartbeat"] = asyncio.create_task(self._heartbeat())
        await asyncio.gather(*(self._chain(event) for event in self.layout.opening))

    async def close(self) -> None:
        """Leave the page."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def trigger(
        self, elem_id: str, name: str, script: Script = list, event_data: object = None, watch: Watch = lambda: None
    ) -> None:
        """Send a component's event, then those that follow it. `script` stands for the event's JavaScript. Raises Refused."""
        events = self.layout.events[self.layout.ids[elem_id], name]
        await asyncio.gather(*(self._chain(event, script, event_data, watch) for event in events))

    async def trigger_alone(self, elem_id: str, name: str, script: Script) -> None:
        """Send a component's event, and none that follow it."""
        for event in self.layout.events[self.layout.ids[elem_id], name]:
            await self._send(event, script, None, lambda: None)

    async def _chain(
        self, event: JsonObject, script: Script = list, event_data: object = None, watch: Watch = lambda: None
    ) -> None:
        if event["backend_fn"]:
            await self._send(event, script, event_data, watch)
        await asyncio.gather(*(self._chain(following, watch=watch) for following in self.layout.after[event["id"]]))

    async def _send(self, event: JsonObject, script: Script, event_data: object, watch: Watch) -> None:
        data = script([self.values[component] for component in event["inputs"]])
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session, "event_data": event_data}
        if not event["queue"]:
            answer = await self.http.post(API + "run/predict", json=body)
            self._take(event, _content(answer)["data"])
            watch()
            return
        self._running += 1
        try:
            event_id = _content(await self.http.post(API + "queue/join", json=body))["event_id"]
            if "stream" not in self._tasks or self._tasks["stream"].done():
                self._tasks["stream"] = asyncio.create_task(self._listen())
            await self._follow(event, event_id, watch)
        finally:
            self._running -= 1

    async def _follow(self, event: JsonObject, event_id: str, watch: Watch) -> None:
        """Take an event's answers until its last. The first is whole, the others are differences to the one before."""
        data: Values = []
        while True:
            message = await self._messages[event_id].get()
            output = message.get("output") or {}
            if not message.get("success", True):
                raise Refused(str(output.get("error") or message.get("message") or "The answer has no sentence."))
            if message["msg"] == "process_generating" and data:
                data = [apply_diff(old, edits) for old, edits in zip(data, output["data"], strict=True)]
            elif message["msg"] in ("process_generating", "process_completed"):
                data = output.get("data") or data
            else:
                continue
            self._take(event, data)
            watch()
            if message["msg"] == "process_completed":
                del self._messages[event_id]
                return

    async def _listen(self) -> None:
        """Read the session's stream for as long as an event runs."""
        while self._running:
            try:
                async with self.http.stream("GET", API + "queue/data", params={"session_hash": self.session}) as answer:
                    async for line in answer.aiter_lines():
                        message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                        if message.get("event_id"):
                            self._messages[message["event_id"]].put_nowait(message)
                        elif message.get("msg") == "unexpected_error":
                            self._end_all(message["message"])
            except httpx.HTTPError as error:
                self._end_all(f"The connection broke: {error!r}")
                return

    def _end_all(self, sentence: str) -> None:
        for messages in self._messages.values():
            messages.put_nowait({"msg": "unexpected_error", "success": False, "message": sentence})

    async def _heartbeat(self) -> None:
        """Stay connected: the app takes a page for left when this ends."""
        with suppress(httpx.HTTPError):
            async with self.http.stream("GET", API + f"heartbeat/{self.session}") as answer:
                async for _ in answer.aiter_lines():
                    pass

    def _take(self, event: JsonObject, data: Values) -> None:
        for component, value in zip(event["outputs"], data, strict=False):
            if not (isinstance(value, dict) and value.get("__type__") == "update"):
                self.values[component] = value
            elif "value" in value:
                self.values[component] = value["value"]

    async def upload(self, name: str, content: bytes) -> JsonObject:
        """Upload a file; the value for a component that takes one."""
        answer = await self.http.post(API + "upload", files={"files": (name, content)})
        (path,) = _content(answer)
        return {"path": path, "orig_name": name, "size": len(content), "meta": {"_type": "gradio.FileData"}}


def _content(answer: httpx.Response) -> JsonObject:
    """An answer's JSON; Refused where it is an error."""
    try:
        content = answer.json()
    except ValueError:
        content = {}
    if answer.is_success:
        return content
    raise Refused(str(content.get("error") or content.get("detail") or f"HTTP {answer.status_code} without a sentence."))
