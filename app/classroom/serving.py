"""Serve a class: Gradio's app and the class's pages behind one gate."""

import logging
import sys
import threading

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from app.classroom.classroom import Classroom
from app.classroom.gate import Gate
from app.classroom.routes import Routes
from app.export.framing import FrameGuard
from app.shared import theme
from app.shared.bad_requests import BadRequestGuard
from app.shared.browser import open_page
from app.shared.events import QUEUE, SESSIONS
from app.shared.listener import listen
from core import paths

CONNECTIONS = 600  # open at once


def behind_the_gate(classroom: Classroom, page: gr.Blocks) -> ASGIApp:
    """Return everything that a class serves as one ASGI app. `page`: the app, for this machine only."""
    page.state_session_capacity = SESSIONS
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        outer,
        page.queue(max_size=QUEUE),
        path="/",
        footer_links=[],
        favicon_path=str(paths.ICON),
        theme=theme.theme(),
        head=theme.head(),
        js="() => PrefixLab.start()",
        ssr_mode=False,
        mcp_server=False,
        app_kwargs={"middleware": [Middleware(BadRequestGuard)]},
    )
    return Gate(FrameGuard(outer), Routes(classroom).app(), classroom.doorkeeper)


def serve_class(classroom: Classroom, page: gr.Blocks, host: str, port: int, browser: bool, window: bool) -> None:
    """Serve a class until it is closed. Raises PrefixLabError if it cannot listen there, as where the port is in use."""
    listener = listen(host, port)
    classroom.context.models.warm_up()
    config = uvicorn.Config(
        behind_the_gate(classroom, page),
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    classroom.entries.start()
    print(classroom.announcement(), file=sys.stderr, flush=True)
    if browser:
        threading.Timer(1.0, open_page, [classroom.local_address, window]).start()
    uvicorn.Server(config).run(sockets=[listener])
