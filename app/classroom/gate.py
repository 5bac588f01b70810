"""The gate in front of everything that a class serves: an ASGI app that checks each request before any other code.

Nothing of Gradio is for guests, neither page nor endpoint nor file: the app answers this machine's own browser only, and only
with the presenter's key. All others get the class's own pages; `ROUTES` in routes.py is the complete list.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.classroom.roles import Doorkeeper, Role, host_name

PREFIX = "/class"
SAFE = ("GET", "HEAD")
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
POLICY = "Content-Security-Policy"
# Of the class's pages: their own scripts, styles and pictures, and nothing else; no frames around them.
CLASS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
ASK_FOR_CODE = "This is open to the presenter's own machine only. Guests find the class at /class."


class Gate:
    """`app`: Gradio's, which decides itself who may frame it; `classroom`: the class's own pages."""

    def __init__(self, app: ASGIApp, classroom: ASGIApp, doorkeeper: Doorkeeper) -> None:
        self.app, self.classroom, self.doorkeeper = app, classroom, doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # neither the app nor the class uses web sockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        for_class = scope["path"] == PREFIX or scope["path"].startswith(PREFIX + "/")
        if refusal := self._refusal(connection, for_class):
            await refusal(scope, receive, with_headers(send, CLASS_POLICY))
        elif for_class:
            await self.classroom(scope, receive, with_headers(send, CLASS_POLICY))
        else:
            await self.app(scope, receive, with_headers(send))

    def _refusal(self, connection: HTTPConnection, for_class: bool) -> Response | None:
        if not is_known_host(connection.headers.get("host", "")):
            return _refused(421, "This address does not belong to this machine. Open the one that the presenter shows.")
        if connection.scope["method"] not in SAFE and not is_same_origin(connection):
            return _refused(403, "This request came from another site, and was refused.")
        if for_class or self.doorkeeper.visitor(connection).role is Role.LOCAL:
            return None
        if connection.scope["method"] in SAFE and connection.scope["path"] == "/":
            return RedirectResponse(PREFIX, status_code=303)
        return _refused(403, ASK_FOR_CODE)


def _refused(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


def with_headers(send: Send, policy: str = "") -> Send:
    """Add the security headers to a response. `policy`: its Content-Security-Policy; if empty, the response's own is kept."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(SECURITY)
            if policy:
                headers[POLICY] = policy
        await send(message)

    return sending


def is_known_host(host: str) -> bool:
    """Whether a Host header has an address or this machine's own name; another name may be a DNS rebinding attack."""
    name = host_name(host)
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        own = socket.gethostname().lower()
        return name in {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local"} and bool(name)


def is_same_origin(connection: HTTPConnection) -> bool:
    """Whether a request that changes something comes from this server's own pages, according to the browser."""
    headers = connection.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
