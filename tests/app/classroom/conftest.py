"""A class on the tiny backbone, and clients that ask from somewhere as someone."""

import pytest
from starlette.testclient import TestClient

from app.classroom.classroom import Classroom
from app.classroom.gate import Gate
from app.classroom.roles import COOKIE
from app.classroom.routes import Routes
from app.export.framing import FrameGuard
from core.exchange.archive import export_zip

LAN, PHONE, HERE = "http://192.168.1.5:7860", "192.168.1.20", "127.0.0.1"


class Reached:
    """Stands where Gradio's app is, and notes every request that the gate lets through."""

    def __init__(self):
        self.paths = []

    async def __call__(self, scope, receive, send):
        self.paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"reached"})


class Room:
    """A class behind its gate. `ask(role)` is a client: stranger, guest, presenter or local."""

    def __init__(self, classroom: Classroom):
        self.classroom, self.reached, self.number = classroom, Reached(), 0
        self.gate = Gate(FrameGuard(self.reached), Routes(classroom).app(), classroom.doorkeeper)

    def client(self, address=PHONE, base=LAN, app=None, **options):
        return TestClient(app or self.gate, base_url=base, client=(address, 5000), follow_redirects=False, **options)

    def ask(self, role, name="", app=None):
        client = self.client(HERE, f"http://{HERE}:7860", app) if role == "local" else self.client(app=app)
        if role == "guest":
            self.number += 1
            guest = self.classroom.board.join(name or f"guest {self.number}")
            client.cookies.set(COOKIE, self.classroom.doorkeeper.guest_cookie(guest))
            client.guest = guest
        elif role != "stranger":
            client.cookies.set(COOKIE, self.classroom.doorkeeper.presenter_cookie())
        return client


@pytest.fixture
def classroom(house, tmp_path):
    """A class with nothing in it, in a home of its own."""
    new = Classroom("room", "192.168.1.5", 7860, house.backbone, "cpu", tmp_path)
    yield new
    new.context.models.engine.close()


@pytest.fixture
def room(classroom):
    return Room(classroom)


@pytest.fixture(scope="session")
def zipped(house, tmp_path_factory):
    """The zips of a prefix, and of a fine-tuned run."""
    place = tmp_path_factory.mktemp("zips")
    return {
        name: export_zip(house.store.get(name), place / f"{name}.zip")
        for name in ("tiny-prefix", "tiny-finetuned", "other-prefix", "triples-prefix")
    }
