"""Without a verb: open the app in the browser."""

import argparse


def add_options(top: argparse.ArgumentParser) -> None:
    """The options of `python launch.py` itself."""
    top.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
    top.add_argument("--port", type=int, default=7860, help="port to serve on (default 7860)")
    top.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    top.add_argument("--backbone", default="mini-gpt2", help="a bundled model, a folder, or a name on the model hub")
    top.add_argument("--no-browser", action="store_true", help="do not open a browser")
    top.add_argument("--allow-network", action="store_true", help="allow a --host that others on the network can reach")
    top.set_defaults(job=open_app)


def open_app(args: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C."""
    from app.main import serve

    serve(
        backbone=args.backbone,
        device=args.device,
        host=args.host,
        port=args.port,
        browser=not args.no_browser,
        allow_network=args.allow_network,
    )
    return 0
