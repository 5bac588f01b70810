"""Answers requests that Gradio cannot read with one sentence, where Gradio itself answers 500 and prints a traceback.

What a handler of the app raises does not come here: `app/shared/events.py` turns it into a sentence.
"""

import errno
import logging

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger(__name__)
UNREADABLE = (
    "This request could not be read: a value is missing, or is not what was expected. "
    "/gradio_api/openapi.json describes what programs may send."
)
FULL = "The disk is full, so the file was not stored. Free some space and send it again."


class BadRequestGuard:
    """ASGI middleware: 400 for a request that cannot be read, 422 where an endpoint refuses its values, 507 for a full disk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] == 500:  # from `/run/…`, which answers so whatever was wrong with the values
                    message["status"] = 422
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            LOG.debug("request refused", exc_info=True)
            if not started:
                full = isinstance(error, OSError) and error.errno == errno.ENOSPC
                await JSONResponse({"error": FULL if full else UNREADABLE}, 507 if full else 400)(scope, receive, send)
            elif isinstance(error.__cause__, HTTPException):  # an unknown event, of which the stream has already said so
                await send({"type": "http.response.body"})
            else:
                raise
