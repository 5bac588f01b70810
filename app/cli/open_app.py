"""Without a verb: open the app in the browser."""

import argparse

from core.errors import BadInput


def add_options(top: argparse.ArgumentParser) -> None:
    """The options of `python launch.py` itself."""
    top.add_argument(
        "--host", help="address to serve on (default: this machine only; with --class every network of this machine)"
    )
    top.add_argument("--port", type=int, default=7860, help="port to serve on (default 7860)")
    top.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    top.add_argument("--backbone", default="mini-gpt2", help="a bundled model, a folder, or a name on the model hub")
    top.add_argument("--no-browser", action="store_true", help="do not open a browser")
    top.add_argument(
        "--window", action="store_true", help="open the page in a window of its own, where Chrome, Chromium or Edge is installed"
    )
    top.add_argument("--allow-network", action="store_true", help="allow a --host that others on the network can reach")
    top.add_argument(
        "--class",
        dest="class_name",
        nargs="?",
        const="class",
        metavar="NAME",
        help="open the app with a class: guests on the network join with a room code, hand in prefixes and vote; a NAME keeps "
        "several classes apart (see docs/class.md)",
    )
    top.set_defaults(job=open_app)


def open_app(args: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C."""
    if not 1 <= args.port <= 65535:
        raise BadInput(f"--port is {args.port}: give a number from 1 to 65535.")
    from app.shared.gradio_import import without_stubs

    with without_stubs():
        from app.main import open_class, serve

    if args.class_name:
        open_class(args.class_name, args.backbone, args.device, args.host or "", args.port, not args.no_browser, args.window)
        return 0
    serve(
        backbone=args.backbone,
        device=args.device,
        host=args.host or "127.0.0.1",
        port=args.port,
        browser=not args.no_browser,
        window=args.window,
        allow_network=args.allow_network,
    )
    return 0
