"""Nothing of Gradio answers anyone but this machine's own browser with the key: every route, endpoint and file is tried."""

import re

import pytest
from starlette.routing import Mount

from app.classroom.gate import is_known_host
from app.classroom.serving import behind_the_gate
from app.main import build
from app.shared.events import SESSIONS

OUTSIDE = ["stranger", "guest", "presenter"]
FILES = [
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=../../etc/passwd",
    "/gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
    "/file=/etc/passwd",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/proxy=http://127.0.0.1:7860/config",
    "/static/../../etc/passwd",
    "/assets/%2e%2e/main.py",
    "/svelte/../x",
    "//class",
    "//gradio_api/info",
    "/Class",
    "/classes",
    "/class/../config",
    "/class/%2e%2e/gradio_api/info",
    "/class/static/../routes.py",
    "/class/static/%2e%2e%2froutes.py",
    "/class/static/routes.py",
    "/class/static//etc/passwd",
]


def paths_of(app):
    """Every (path, method) of an app and of what is mounted in it, parameters filled in."""
    for route in app.routes:
        if isinstance(route, Mount):
            yield from paths_of(route.app)
        elif hasattr(route, "original_router"):  # FastAPI's wrapper of a router that was included
            yield from paths_of(route.original_router)
        else:
            path = re.sub(r"{(\w+)(:\w+)?}", "compare", route.path)
            yield from ((path, method) for method in getattr(route, "methods", None) or ["GET"])


@pytest.fixture(scope="module")
def page(house):
    from app.shared.context import AppContext

    return build(AppContext(house.backbone, "cpu", house.store))


@pytest.fixture
def app(room, page):
    """The gate of a class around the real app, and the room's cookies for it."""
    return behind_the_gate(room.classroom, page)


@pytest.mark.parametrize("role", OUTSIDE)
def test_no_route_of_gradio_answers(room, app, role):
    client, tried = room.ask(role, app=app), list(paths_of(app.app.app))
    assert len(tried) > 60 and {"/config", "/gradio_api/upload", "/gradio_api/queue/join"} <= {path for path, _ in tried}
    answers = {(path, method): client.request(method, path).status_code for path, method in tried}
    assert {key: code for key, code in answers.items() if code not in (403, 303)} == {}
    assert {path for (path, _), code in answers.items() if code == 303} == {"/"}


@pytest.mark.parametrize("role", OUTSIDE)
def test_no_function_of_the_page_can_be_called(room, app, page, role):
    client = room.ask(role, app=app)
    assert len(page.fns) > 80
    for index, function in page.fns.items():
        call = {"data": [], "fn_index": index, "session_hash": "x", "trigger_id": 1}
        for path in ("/gradio_api/queue/join", f"/gradio_api/run/{function.api_name}", f"/gradio_api/call/{function.api_name}"):
            assert client.post(path, json=call).status_code == 403


@pytest.mark.parametrize("role", OUTSIDE)
@pytest.mark.parametrize("path", FILES)
def test_no_file_is_read(room, role, path):
    client = room.ask(role)
    answer = client.get(f"{client.base_url}{path}")  # as it stands: "//class" alone would name a host
    assert answer.status_code in (403, 404, 421) and "root:" not in answer.text and "import" not in answer.text
    assert room.reached.paths == []


def test_this_machine_with_the_key_has_the_whole_app(room, app):
    answer = room.ask("local", app=app).get("/config")
    assert answer.status_code == 200 and answer.json()["dependencies"]
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "10.0.0.9"}, {"Forwarded": "for=10.0.0.9"}, {"Host": "192.168.1.5:7860"}]
)
def test_a_proxy_on_this_machine_is_not_this_machine(room, headers):
    assert room.ask("local").get("/config", headers=headers).status_code == 403


def test_the_server_forgets_old_pages(app, page):
    assert page.state_holder.capacity == SESSIONS  # each takes megabytes, and Gradio would keep 10,000


def test_the_loopback_address_alone_opens_nothing(room):
    client = room.client("127.0.0.1", "http://127.0.0.1:7860")
    assert client.get("/config").status_code == 403 and client.get("/").headers["location"] == "/class"
    assert room.reached.paths == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[evil]", "localhost.evil.example:7860"])
def test_a_strange_host_name_is_refused_for_every_role(room, host):
    for role in (*OUTSIDE, "local"):
        assert room.ask(role).get("/class", headers={"Host": host}).status_code == 421
    assert room.reached.paths == []


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:7860", "[::1]:7860", "10.0.0.4"])
def test_addresses_and_own_names_are_known(host):
    assert is_known_host(host)


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_site_changes_nothing(room, headers):
    client = room.ask("local")
    assert client.post("/class/api/code", json={}, headers=headers).status_code == 403
    assert client.post("/gradio_api/queue/join", json={}, headers=headers).status_code == 403
    assert room.reached.paths == []


def test_frames_are_allowed_where_the_address_asks_and_never_around_the_class(room):
    client = room.ask("local")
    assert "content-security-policy" not in client.get("/?embed=1").headers
    assert "frame-ancestors 'self'" in client.get("/?embed=2").headers["content-security-policy"]
    for path in ("/class?embed=1", "/class/present", "/class/static/guest.js"):
        assert "frame-ancestors 'none'" in client.get(path).headers["content-security-policy"]


def test_web_sockets_are_closed(room):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), room.ask("local").websocket_connect("/gradio_api/x"):
        pass


def test_the_pages_scripts_write_no_html():
    from app.classroom.routes import FILES as SERVED

    for name, (path, _) in SERVED.items():
        if name.endswith(".js"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text(encoding="utf-8")
            )
