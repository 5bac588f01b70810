"""The app: build the page, serve it on this machine only."""

import sys

import gradio as gr
from starlette.middleware import Middleware

from app import api
from app.attention import tab as attention_tab
from app.compare import tab as compare_tab
from app.export import as_python, embed, framing, handout
from app.learn import tab as learn_tab
from app.mix import tab as mix_tab
from app.results import tab as results_tab
from app.shared import shell, theme
from app.shared.bad_requests import BadRequestGuard
from app.shared.browser import open_page
from app.shared.context import AppContext
from app.shared.events import QUEUE, SESSIONS
from app.shared.html import area
from app.shared.listener import listen, reason
from app.shared.streaming import WholeUpdates
from app.space import tab as space_tab
from app.train import tab as train_tab
from core import paths
from core.errors import PrefixLabError
from core.models.loading import pick_device
from core.models.locate import DEFAULT, locate

EMBEDDABLE = {
    "compare": compare_tab.EMBEDDABLE,
    "attention": attention_tab.EMBEDDABLE,
    "space": space_tab.EMBEDDABLE,
    "mix": mix_tab.EMBEDDABLE,
    "train": train_tab.EMBEDDABLE,
    "results": results_tab.EMBEDDABLE,
    "learn": learn_tab.EMBEDDABLE,
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = "0.0.0.0"


def build(context: AppContext | None = None) -> gr.Blocks:
    """The page with all its tabs."""
    context = context or AppContext()
    with WholeUpdates(title="Prefix Lab", fill_width=True, analytics_enabled=False) as page:
        frame = shell.header(context, page)
        lessons = learn_tab.strip()
        with gr.Tabs(elem_id="pl-tabs", overflow_behavior="wrap"):
            with gr.Tab("Compare", id="compare", elem_id="pl-tab-compare"):
                compare_tab.build(context, frame)
            # The scripts of a tab's widgets need them to be there; a tab not shown is otherwise not in the page.
            with gr.Tab("Attention", id="attention", elem_id="pl-tab-attention", render_children=True) as tab:
                readings = attention_tab.build(context, frame, tab)
            with gr.Tab("Prefix space", id="space", elem_id="pl-tab-space", render_children=True) as tab:
                analyses = space_tab.build(context, frame, tab)
            with gr.Tab("Mix", id="mix", elem_id="pl-tab-mix", render_children=True) as tab:
                mix_tab.build(context, frame, tab)
            with gr.Tab("Train", id="train", elem_id="pl-tab-train") as tab:
                train_page = train_tab.build(context, frame, tab)
            with gr.Tab("Results", id="results", elem_id="pl-tab-results", render_children=True) as tab:
                results_tab.build(context, frame, tab)
            with gr.Tab("Learn", id="learn", elem_id="pl-tab-learn"):
                learn_tab.build(context, frame, lessons)
        area(embed.dialog(EMBEDDABLE), js_on_load="PrefixLab.embed.ready(element)", elem_id="pl-embed-place")
        handout.build(context, readings, frame.search)
        as_python.build(context, frame, analyses, train_page)
        api.publish(context)
    return page


def serve(
    backbone: str = DEFAULT,
    device: str = "auto",
    host: str = "127.0.0.1",
    port: int = 7860,
    browser: bool = True,
    window: bool = False,
    allow_network: bool = False,
) -> None:
    """Open the app; returns when it is closed.

    A host that others can reach needs `allow_network`; a port in use, a host that is none, and an unknown model or
    device raise PrefixLabError. For a class, see `open_class`.
    """
    if host not in LOOPBACK and not allow_network:
        raise PrefixLabError(
            f"Others on the network can reach the host {host}. Add --allow-network if that is meant, or leave --host out."
        )
    _check_model(backbone, device)
    listen(host, port).close()  # Gradio only says that it cannot
    context = AppContext(backbone, device)
    page = build(context)
    try:
        _, address, _ = page.queue(max_size=QUEUE).launch(
            server_name=host,
            server_port=port,
            inbrowser=False,
            favicon_path=str(paths.ICON),
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            theme=theme.theme(),
            head=theme.head(),
            js="() => PrefixLab.start()",
            footer_links=[],
            ssr_mode=False,
            mcp_server=False,
            state_session_capacity=SESSIONS,
            app_kwargs={"middleware": [Middleware(framing.FrameGuard), Middleware(BadRequestGuard)]},
            _frontend=False,  # no look at its own page: on a busy machine Gradio gives up on that after three seconds
        )
    except OSError as error:
        raise PrefixLabError(reason(error.errno, host, port)) from error
    print(f"Prefix Lab is open at {address} (Ctrl-C closes it).", file=sys.stderr, flush=True)
    context.models.warm_up()
    if browser:
        open_page(address, window)
    page.block_thread()


def _check_model(backbone: str, device: str) -> None:
    """Raise PrefixLabError if there is no such model or device: the page would say so only when it generates."""
    locate(backbone)
    pick_device(device)


def open_class(
    name: str,
    backbone: str,
    device: str,
    host: str,
    port: int,
    browser: bool,
    window: bool,
) -> None:
    """Open the app with a class that the room reaches; returns when it is closed. `host`: by default every network of this
    machine. See app/classroom/gate.py for who may do what."""
    from app.classroom.classroom import Classroom
    from app.classroom.serving import serve_class

    _check_model(backbone, device)
    classroom = Classroom(name, host or EVERYWHERE, port, backbone, device)
    page = build(classroom.context)
    serve_class(classroom, page, host or EVERYWHERE, port, browser, window)
