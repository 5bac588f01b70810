"""Shared settings of all tabs' events, and their error boundary."""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Literal, TypedDict, TypeVar, cast, overload

import gradio as gr
from gradio.blocks import Block

from app.shared.context import AppContext
from app.shared.setting_labels import QUOTED_LABELS
from app.shared.shell import Shell
from core.errors import PrefixLabError


class Quiet(TypedDict):
    """Options of a Gradio event listener without a spinner and a public endpoint."""

    show_progress: Literal["hidden"]
    api_visibility: Literal["private"]


class EventOptions(Quiet, total=False):
    """Options of a Gradio event listener."""

    queue: bool
    trigger_mode: Literal["once", "multiple", "always_last"]
    concurrency_id: str
    concurrency_limit: int


QUEUE = 512  # events of all pages that may wait: a page that opens has up to ten, and a class opens its pages at once
SESSIONS = 100  # pages and programs whose values the server remembers; 1.5 MB each, and Gradio's own limit is 10,000
QUIET: Quiet = {"show_progress": "hidden", "api_visibility": "private"}
LATEST: EventOptions = {"queue": False, "trigger_mode": "always_last", **QUIET}  # quick answers; of a burst the last counts
EVERY: EventOptions = {**LATEST, "trigger_mode": "multiple"}  # quick answers that all count
Update = dict[Block, object]  # component -> its new value
Inputs = dict[Block, Any]  # component -> its value, of the type that the component gives
Components = dict[str, Any]  # field of a tab's dataclass of components -> its component
Handler = TypeVar("Handler", bound=Callable[..., object])
log = logging.getLogger(__name__)


class TabHandlers:
    """Base class of a tab's handlers. `activity` names the tab's work in the status line, and `tab` is the id of the tab.

    `frame` has the component `status`, which shows the status line of `context.status`.
    """

    activity = tab = ""

    def __init__(self, context: AppContext, frame: Shell) -> None:
        self.context, self.shell = context, frame

    def report(self, page: str, phase: str, sentence: str, activity: str = "") -> Update:
        """Report the progress of a page's activity (`page` is the session hash of its requests) in the status line."""
        return {self.shell.status: self.context.status.report(page, activity or self.activity, phase, sentence, self.tab)}

    def take_ticket(self, request: gr.Request) -> int:
        """Return the number of a new request of this tab, which ends the page's earlier ones."""
        page = request.session_hash or ""
        self.context.status.begin(page, self.activity)
        return self.context.tickets.take(page, self.activity)

    def no_update(self) -> Update:
        """Return an update that changes nothing; Gradio takes an empty dictionary for missing outputs."""
        return {self.shell.status: gr.skip()}

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        """Show an error. Override it if the tab also has to be cleared."""
        return self.report(page, "error", sentence, activity)


def streaming(concurrency_id: str, limit: int = 4) -> EventOptions:
    """Options of a handler that yields; up to `limit` of them run at once under one `concurrency_id`."""
    return {"concurrency_id": concurrency_id, "concurrency_limit": limit, "trigger_mode": "multiple", **QUIET}


@overload
def errors_to_status(handler: Handler) -> Handler: ...


@overload
def errors_to_status(*, activity: str) -> Callable[[Handler], Handler]: ...


def errors_to_status(handler: Handler | None = None, *, activity: str = "") -> Handler | Callable[[Handler], Handler]:
    """Decorate a method of TabHandlers that returns or yields updates: its exceptions become a sentence (see `failed`).

    The page is taken from the method's `gr.Request`; every method that can fail needs one. `activity`: whose report it is in
    the status line, if not the tab's own.
    """
    if handler is None:
        return lambda method: _guarded(method, activity)
    return _guarded(handler, activity)


def _guarded(handler: Handler, activity: str) -> Handler:
    options = {"activity": activity} if activity else {}

    def failed(self: TabHandlers, error: Exception, *args: object) -> Update:
        return self.failed(_page_of(*args), sentence_of(error), **options)

    @wraps(handler)
    def yielding(self: TabHandlers, *args: object, **kwargs: object) -> Iterator[object]:
        update = None
        try:
            for update in cast(Iterator[object], handler(self, *args, **kwargs)):
                yield update
        except Exception as error:
            update = failed(self, error, *args, *kwargs.values())
            yield update
        if update is None:  # Gradio empties all outputs of a handler that yields nothing, such as one that a newer request ends
            yield self.no_update()

    @wraps(handler)
    def returning(self: TabHandlers, *args: object, **kwargs: object) -> object:
        try:
            return handler(self, *args, **kwargs)
        except Exception as error:
            return failed(self, error, *args, *kwargs.values())

    return cast(Handler, yielding if inspect.isgeneratorfunction(handler) else returning)


def sentence_of(error: Exception, names: Mapping[str, str] = QUOTED_LABELS) -> str:
    """Return an error as a sentence for the page, whose labels `names` are. Unexpected errors are logged with their traceback."""
    if isinstance(error, PrefixLabError):
        return error.sentence(names)
    log.error("a handler failed", exc_info=error)
    return f"Something unexpected went wrong ({type(error).__name__}: {error}). The terminal has the details."


def _page_of(*args: object) -> str:
    return next((str(arg.session_hash or "") for arg in args if hasattr(arg, "session_hash")), "")
