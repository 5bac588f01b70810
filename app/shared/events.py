"""What the events of all tabs share: their settings, and the error boundary."""

import inspect
import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import gradio as gr

from core.errors import PrefixLabError

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}  # plumbing: no spinner, no public endpoint
LATEST: dict[str, Any] = {"queue": False, "trigger_mode": "always_last", **QUIET}  # quick answers; of a burst the last counts
Update = dict[Any, Any]  # component -> its new value
log = logging.getLogger(__name__)


class TabHandlers:
    """Base class of the handlers of a tab. `activity` names what the tab does for the status line.

    `frame` is the shell (`app.shared.shell.Shell`), whose `status` component shows the status line of `context.status`.
    """

    activity = ""

    def __init__(self, context: Any, frame: Any) -> None:
        self.context, self.shell = context, frame

    def report(self, page: str, phase: str, sentence: str, activity: str = "") -> Update:
        """Say in the status line how an activity of a page (the session hash of its requests) is getting on."""
        return {self.shell.status: self.context.status.report(page, activity or self.activity, phase, sentence)}

    def no_update(self) -> Update:
        """An update that changes nothing; Gradio takes an empty dictionary for missing outputs."""
        return {self.shell.status: gr.skip()}

    def failed(self, page: str, sentence: str, activity: str = "") -> Update:
        """Show an error. Extend it if the tab must also be cleared."""
        return self.report(page, "error", sentence, activity)


def errors_to_status(handler: Callable | None = None, *, activity: str = "") -> Callable:
    """Decorate a method of TabHandlers that returns or yields updates: what it raises becomes a sentence (see `failed`).

    The page is taken from the method's `gr.Request`; give every method that can fail one. `activity`: whose report it is in the
    status line, where that is not the tab's own.
    """
    if handler is None:
        return partial(errors_to_status, activity=activity)
    named = {"activity": activity} if activity else {}

    def failed(self: TabHandlers, error: Exception, *args: Any) -> Update:
        return self.failed(_page_of(*args), sentence_of(error), **named)

    @wraps(handler)
    def streaming(self: TabHandlers, *args: Any, **kwargs: Any) -> Any:
        try:
            yield from handler(self, *args, **kwargs)
        except Exception as error:
            yield failed(self, error, *args, *kwargs.values())

    @wraps(handler)
    def returning(self: TabHandlers, *args: Any, **kwargs: Any) -> Any:
        try:
            return handler(self, *args, **kwargs)
        except Exception as error:
            return failed(self, error, *args, *kwargs.values())

    return streaming if inspect.isgeneratorfunction(handler) else returning


def sentence_of(error: Exception) -> str:
    """An error as a sentence for the page. Unexpected errors are logged with their traceback."""
    if isinstance(error, PrefixLabError):
        return str(error)
    log.error("a handler failed", exc_info=error)
    return f"Something unexpected went wrong ({type(error).__name__}: {error}). The terminal has the details."


def _page_of(*args: Any) -> str:
    return next((str(arg.session_hash or "") for arg in args if hasattr(arg, "session_hash")), "")
