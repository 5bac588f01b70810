"""Which pages another site may put into a frame: those whose address asks for it with `embed=1`, and no others."""

from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER, OWN_SITE_ONLY = "Content-Security-Policy", "frame-ancestors 'self'"


class FrameGuard:
    """ASGI middleware that adds the header to every answer but those of embedded pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = OWN_SITE_ONLY
            await send(message)

        embedded = scope["type"] != "http" or parse_qs(scope["query_string"].decode("latin-1")).get("embed") == ["1"]
        await self.app(scope, receive, send if embedded else guarded)
