"""The class's own pages, and the complete list of endpoints for guests: everything outside `ROUTES` does not exist.

Each route names the roles that it answers; this is checked here, before its handler runs, and nowhere else.
"""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.classroom import view
from app.classroom.classroom import Classroom
from app.classroom.entries import TrainingChoice
from app.classroom.export import board_csv, zip_of_runs
from app.classroom.limits import COMPARISONS, STREAMS, Pace, Slots, receive
from app.classroom.records import Guest
from app.classroom.responses import cookie_response, error_response, json_body, response_to
from app.classroom.roles import COOKIE, Role, Visitor
from app.classroom.texts import Text, coverage_of, read_table, write_texts
from app.shared.events import sentence_of
from core.errors import BadInput
from core.runs.layout import JsonObject
from core.text.tables import Fields

ALL = frozenset(Role)
PRESENTERS = frozenset(role for role in Role if role.presents)
GUESTS = frozenset({Role.GUEST})
MEMBERS = PRESENTERS | GUESTS
PAGE_EVERY = 0.4  # seconds between two pictures of the board
ALIVE_EVERY = 15.0  # seconds after which a quiet stream says that it is alive
MOST_COLUMNS = 3  # prefixes of a guest's comparison
REFUSED = {Role.STRANGER: "Enter the room code first.", Role.GUEST: "The presenter does that."}
ZIP_TYPES = ("application/zip", "application/x-zip-compressed", "application/octet-stream")
HERE = Path(__file__).parent
FILES = {
    "class.css": (HERE / "class.css", "text/css"),
    "app.css": (HERE.parent / "shared" / "app.css", "text/css"),
    "board.js": (HERE / "board.js", "text/javascript"),
    "guest.js": (HERE / "guest.js", "text/javascript"),
    "present.js": (HERE / "present.js", "text/javascript"),
}

Handler = Callable[["Routes", Request, Visitor], Awaitable[Response]]


class Routes:
    """The handlers of a `classroom`."""

    def __init__(self, classroom: Classroom) -> None:
        self.classroom, self.board = classroom, classroom.board
        self._streams, self._comparisons, self._pace = Slots(STREAMS, 400), Slots(1, COMPARISONS), Pace()
        self._uploads = Slots(1, 4)
        self._shared: dict[bool, tuple[int, str]] = {}

    def app(self) -> Starlette:
        """Return the ASGI app of the class's pages."""
        return Starlette(routes=[self._route(*each) for each in ROUTES])

    def _route(self, method: str, path: str, roles: frozenset[Role], handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            try:
                visitor = self.classroom.doorkeeper.visitor(request)
                if visitor.role not in roles:
                    return error_response(
                        403, REFUSED.get(visitor.role, "Only guests do that, on the page that the room code opens.")
                    )
                if visitor.guest and method == "POST":
                    self._pace.check(visitor.guest.id)
                return await handler(self, request, visitor)
            except Exception as error:
                return response_to(error)

        return Route(path, answer, methods=[method], name=f"{method} {path}")

    # ---- pages

    async def guest_page(self, request: Request, visitor: Visitor) -> Response:
        return HTMLResponse(_page("guest.html"))

    async def presenter_page(self, request: Request, visitor: Visitor) -> Response:
        return HTMLResponse(_page("present.html"))

    async def static(self, request: Request, visitor: Visitor) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return error_response(404, "There is no such file.")
        return FileResponse(FILES[name][0], media_type=FILES[name][1], headers={"Cache-Control": "no-cache"})

    async def qr_code(self, request: Request, visitor: Visitor) -> Response:
        return Response(self.classroom.qr_svg(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})

    # ---- coming in

    async def me(self, request: Request, visitor: Visitor) -> Response:
        values: JsonObject = {"role": visitor.role.value, "class": self.classroom.name}
        if visitor.guest:
            values["name"] = visitor.guest.name
        if visitor.role.presents:
            values |= {"code": self.classroom.doorkeeper.secrets.code, "addresses": self.classroom.addresses}
        if visitor.role is not Role.STRANGER:
            values |= view.choices() | {"upload": self.classroom.upload_limit}
        return JSONResponse(values)

    async def join(self, request: Request, visitor: Visitor) -> Response:
        values = await json_body(request)
        if visitor.role.presents:  # one cookie is for either role
            raise BadInput("This browser presents the class. Join in another browser, or in a private window.")
        if not self.classroom.doorkeeper.check_code(values.get("code", ""), _address(request)):
            return error_response(403, "This is not the room code. It is shown on the presenter's screen.")
        guest = await run_in_threadpool(self.board.join, values.get("name"))
        return cookie_response(self.classroom.doorkeeper.guest_cookie(guest))

    async def present(self, request: Request, visitor: Visitor) -> Response:
        values = await json_body(request)
        if not self.classroom.doorkeeper.check_key(values.get("key", ""), _address(request)):
            return error_response(403, "This is not the presenter's key. It was printed in the terminal.")
        return cookie_response(self.classroom.doorkeeper.presenter_cookie())

    async def leave(self, request: Request, visitor: Visitor) -> Response:
        response = JSONResponse({})
        response.delete_cookie(COOKIE)
        return response

    # ---- what everybody sees

    async def events(self, request: Request, visitor: Visitor) -> Response:
        """Send the board as server-sent events whenever it changes."""
        self._streams.check(_who(visitor))
        pictures = self._pictures(visitor)
        return StreamingResponse(pictures, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _pictures(self, visitor: Visitor) -> AsyncIterator[str]:
        last_version, quiet = -1, 0.0
        with self._streams.take(_who(visitor)):
            while visitor.guest is None or self.board.guest(visitor.guest.id):
                if (version := self.board.version) != last_version:
                    last_version, quiet = version, 0.0
                    own = json.dumps(view.own_view(self.board, visitor.guest))
                    yield f'data: {{"board": {self._shared_json(visitor.role.presents)}, "own": {own}}}\n\n'
                elif quiet >= ALIVE_EVERY:
                    quiet = 0.0
                    yield ": alive\n\n"
                await asyncio.sleep(PAGE_EVERY)
                quiet += PAGE_EVERY
            yield "event: removed\ndata: {}\n\n"

    def _shared_json(self, presenter: bool) -> str:
        """Return the JSON that all pages get, written once per change."""
        version, payload = self._shared.get(presenter, (-1, ""))
        if version != self.board.version:
            version = self.board.version
            payload = json.dumps(view.shared_view(self.board, presenter))
            self._shared[presenter] = version, payload
        return payload

    # ---- guests

    async def hand_in(self, request: Request, visitor: Visitor) -> Response:
        guest = _guest(visitor)
        if request.headers.get("content-type", "").partition(";")[0] not in ZIP_TYPES:
            raise BadInput("Hand in the zip of a run, as `launch.py export --zip` or Export on the Train tab writes it.")
        with self._uploads.take(guest.id):
            file = await run_in_threadpool(self.classroom.entries.new_upload)
            try:
                with open(file, "wb") as out:
                    await receive(request, self.classroom.upload_limit, out.write)
                entry = await run_in_threadpool(self.classroom.entries.take_zip, guest, file)
            finally:
                shutil.rmtree(file.parent, ignore_errors=True)
        return JSONResponse({"run": entry.id})

    async def train(self, request: Request, visitor: Visitor) -> Response:
        choice = TrainingChoice.from_json(await json_body(request))
        entry = await run_in_threadpool(self.classroom.entries.train, _guest(visitor), choice)
        return JSONResponse({"run": entry.id})

    async def vote(self, request: Request, visitor: Visitor) -> Response:
        values = await json_body(request)
        self.board.vote(_guest(visitor), values.get("round"), values.get("letter"))
        return JSONResponse({})

    async def answer(self, request: Request, visitor: Visitor) -> Response:
        values = await json_body(request)
        self.board.answer(_guest(visitor), values.get("question"), values.get("option"))
        return JSONResponse({})

    async def compare(self, request: Request, visitor: Visitor) -> Response:
        """Stream the texts of the frozen model and up to three prefixes of the board for a table, as JSON lines."""
        values = await json_body(request)
        source, fields = read_table(values.get("table"))
        runs = values.get("runs")
        if not isinstance(runs, list) or len(runs) > MOST_COLUMNS or not all(isinstance(run, str) for run in runs):
            raise BadInput(f"Choose up to {MOST_COLUMNS} prefixes of the board.")
        if unknown := [run for run in runs if self.board.entry(run) is None]:
            raise BadInput(f"{unknown[0][:80]!r} is not on the board. Choose another prefix.")
        self._comparisons.check(_who(visitor))
        pairs = [("", source), *((run, source) for run in dict.fromkeys(runs))]
        lines = self._compared(visitor, pairs, fields)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    async def _compared(self, visitor: Visitor, pairs: list[tuple[str, str]], fields: Fields) -> AsyncIterator[str]:
        cancelled, who = threading.Event(), _who(visitor)
        try:
            with self._comparisons.take(who):
                backbone = await run_in_threadpool(lambda: self.classroom.entries.backbone)
                growing = write_texts(self.classroom.context, backbone, pairs, who, cancelled.is_set)
                async for texts in iterate_in_threadpool(growing):
                    columns = [_column(text, fields, visitor.role.presents) for text in texts]
                    yield json.dumps({"columns": columns}) + "\n"
        except Exception as error:
            yield json.dumps({"error": sentence_of(error)}) + "\n"
        finally:
            cancelled.set()

    # ---- the presenter

    async def begin_round(self, request: Request, visitor: Visitor) -> Response:
        values = await json_body(request)
        source, fields = read_table(values.get("table"))
        runs = values.get("runs")
        if not isinstance(runs, list) or not all(isinstance(run, str) for run in runs):
            raise BadInput("Choose the prefixes of the round.")
        blind, frozen = bool(values.get("blind")), bool(values.get("frozen"))
        round_ = await run_in_threadpool(self.board.begin_round, source, fields, runs, blind, frozen)
        self.classroom.rounds.start(round_)
        return JSONResponse({"round": round_.number})

    async def end_round(self, request: Request, visitor: Visitor) -> Response:
        await run_in_threadpool(self.board.end_round)
        return JSONResponse({})

    async def ask(self, request: Request, visitor: Visitor) -> Response:
        values = await json_body(request)
        await run_in_threadpool(self.board.ask, values.get("text"), values.get("options"), values.get("right", -1))
        return JSONResponse({})

    async def go_on(self, request: Request, visitor: Visitor) -> Response:
        await run_in_threadpool(self.board.go_on)
        return JSONResponse({})

    async def remove(self, request: Request, visitor: Visitor) -> Response:
        """Remove a guest with all entries, or one entry."""
        values = await json_body(request)
        if guest := values.get("guest"):
            for run in await run_in_threadpool(self.board.remove_guest, str(guest)):
                await run_in_threadpool(self.classroom.entries.discard, run)
        elif self.board.entry(str(values.get("entry"))):
            await run_in_threadpool(self.classroom.entries.remove, str(values["entry"]))
        return JSONResponse({})

    async def new_code(self, request: Request, visitor: Visitor) -> Response:
        await run_in_threadpool(self.classroom.doorkeeper.change_code)
        return JSONResponse({"code": self.classroom.doorkeeper.secrets.code})

    async def table(self, request: Request, visitor: Visitor) -> Response:
        headers = {"Content-Disposition": 'attachment; filename="board.csv"'}
        return Response(board_csv(self.board), media_type="text/csv", headers=headers)

    async def runs(self, request: Request, visitor: Visitor) -> Response:
        file = self.classroom.entries.new_upload()
        try:
            await run_in_threadpool(zip_of_runs, self.board, self.classroom.store, file)
        except BaseException:
            shutil.rmtree(file.parent, ignore_errors=True)
            raise
        remove = BackgroundTask(shutil.rmtree, file.parent, ignore_errors=True)
        return FileResponse(file, filename="board.zip", media_type="application/zip", background=remove)


ROUTES: list[tuple[str, str, frozenset[Role], Handler]] = [
    ("GET", "/class", ALL, Routes.guest_page),
    ("GET", "/class/present", ALL, Routes.presenter_page),
    ("GET", "/class/static/{name}", ALL, Routes.static),
    ("GET", "/class/api/me", ALL, Routes.me),
    ("POST", "/class/api/join", ALL, Routes.join),
    ("POST", "/class/api/present", ALL, Routes.present),
    ("POST", "/class/api/leave", ALL, Routes.leave),
    ("GET", "/class/api/events", MEMBERS, Routes.events),
    ("POST", "/class/api/compare", MEMBERS, Routes.compare),
    ("POST", "/class/api/hand-in", GUESTS, Routes.hand_in),
    ("POST", "/class/api/train", GUESTS, Routes.train),
    ("POST", "/class/api/vote", GUESTS, Routes.vote),
    ("POST", "/class/api/answer", GUESTS, Routes.answer),
    ("GET", "/class/api/qr.svg", PRESENTERS, Routes.qr_code),
    ("POST", "/class/api/round", PRESENTERS, Routes.begin_round),
    ("POST", "/class/api/round/end", PRESENTERS, Routes.end_round),
    ("POST", "/class/api/question", PRESENTERS, Routes.ask),
    ("POST", "/class/api/question/next", PRESENTERS, Routes.go_on),
    ("POST", "/class/api/remove", PRESENTERS, Routes.remove),
    ("POST", "/class/api/code", PRESENTERS, Routes.new_code),
    ("GET", "/class/api/board.csv", PRESENTERS, Routes.table),
    ("GET", "/class/api/board.zip", PRESENTERS, Routes.runs),
]


@cache
def _page(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _column(text: Text, fields: Fields, presenter: bool) -> JsonObject:
    coverage, spans = coverage_of(fields, text.text) if text.state == "written" else (None, [])
    note = text.note if presenter or not text.note else view.NO_TEXT
    missing = coverage.missing if coverage else []
    return {"run": text.run, "text": text.text, "state": text.state, "note": note, "spans": spans, "missing": missing}


def _who(visitor: Visitor) -> str:
    """Return whose share of the model and the server a request uses."""
    return visitor.guest.id if visitor.guest else "presenter"


def _guest(visitor: Visitor) -> Guest:
    assert visitor.guest is not None
    return visitor.guest


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
