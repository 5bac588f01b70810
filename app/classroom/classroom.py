"""A class: its board, its runs, its secrets, and the address for guests."""

import io
import re
import socket
from pathlib import Path

import psutil
import segno

from app.classroom.board import Board
from app.classroom.entries import Entries
from app.classroom.roles import Doorkeeper
from app.classroom.rounds import Rounds
from app.shared.context import AppContext
from core import paths
from core.errors import BadInput
from core.runs.layout import disk_errors
from core.runs.store import Store

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
FOLDER, RUNS, SECRETS = "classes", "runs", "secrets.json"
ROWS = 40  # sequences of a batch, so that a whole class is one batch


class Classroom:
    """The class `name`. Its data is in a folder of its own, and a restart continues where it was."""

    def __init__(self, name: str, host: str, port: int, default: str, device: str = "auto", home: Path | None = None) -> None:
        if not NAME.fullmatch(name):
            raise BadInput(f"{name[:60]!r} cannot name a class. Use letters, digits, '-' and '_', up to 40 of them.")
        home = home or paths.home()
        self.name, self.folder = name, home / FOLDER / name
        with disk_errors(f"make {self.folder}", "Choose a writable folder with PREFIX_LAB_HOME."):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.folder / RUNS)
        self.context = AppContext(default, device, Store(home / "runs", paths.BUNDLED_RUNS, [self.store.folder]))
        self.context.models.engine.rows = ROWS
        self.board = Board(self.folder)
        self.doorkeeper = Doorkeeper(self.folder / SECRETS, self.board)
        self.entries = Entries(self.context, self.board, self.store)
        self.rounds = Rounds(self.context, self.board, self.entries)
        self.addresses = [f"http://{address}:{port}/class" for address in reachable(host)]
        self.local_address = f"http://127.0.0.1:{port}/class/present#{self.doorkeeper.secrets.key}"

    @property
    def upload_limit(self) -> int:
        """The maximal size of a guest's zip, in bytes."""
        return self.entries.upload_limit()

    @property
    def join_link(self) -> str:
        """The first address with the room code; the part after the # never leaves the browser."""
        return f"{self.addresses[0]}#{self.doorkeeper.secrets.code}"

    def qr_svg(self) -> bytes:
        """The join link as a QR code."""
        out = io.BytesIO()
        segno.make(self.join_link, micro=False).save(out, kind="svg", border=2, scale=8, light="#ffffff")
        return out.getvalue()

    def announcement(self) -> str:
        """Return what the terminal prints when the class is open."""
        code = self.doorkeeper.secrets.code
        drawing = io.StringIO()
        segno.make(self.join_link, micro=False).terminal(drawing, border=1, compact=True)
        others = f" (or {', '.join(self.addresses[1:])})" if self.addresses[1:] else ""
        return (
            f"The class {self.name!r} is open.\n\n{drawing.getvalue()}\n"
            f"  Guests:     {self.addresses[0]}{others}\n"
            f"  Room code:  {code}\n"
            f"  Presenter:  {self.local_address}\n"
            f"  Key:        {self.doorkeeper.secrets.key}\n\n"
            "Whoever is on this network can open the guests' page; with the room code they can compare, hand in prefixes, train\n"
            "short ones and vote. The app itself answers only this machine's browser, once it has the key. Nothing is encrypted\n"
            "on the way: use a network that you trust. Ctrl-C closes the class; what is on the board stays."
        )


def reachable(host: str) -> list[str]:
    """Return the addresses at which others reach a server on `host`, the likeliest first; this machine's own if there are
    none."""
    if host not in ("0.0.0.0", "::", ""):
        return [f"[{host}]" if ":" in host else host]
    addresses = [
        each.address
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family is socket.AF_INET and not each.address.startswith(("127.", "169.254."))
    ]
    first = _outgoing()
    return sorted(dict.fromkeys(addresses), key=lambda address: address != first) or ["127.0.0.1"]


def _outgoing() -> str:
    """Return the address that this machine uses towards others, without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return ""
