"""Codes, keys and cookies: who gets in, how often one may try, and what a forged cookie is worth."""

import pytest
from itsdangerous import URLSafeTimedSerializer

from app.classroom import limits, roles
from app.classroom.classroom import Classroom
from app.classroom.roles import COOKIE, SALT, TryLimit
from app.classroom.routes import ROUTES

FOR_PRESENTERS = [
    ("POST", "/class/api/round"),
    ("POST", "/class/api/round/end"),
    ("POST", "/class/api/question"),
    ("POST", "/class/api/question/next"),
    ("POST", "/class/api/remove"),
    ("POST", "/class/api/code"),
    ("GET", "/class/api/board.csv"),
    ("GET", "/class/api/board.zip"),
    ("GET", "/class/api/qr.svg"),
]
FOR_GUESTS = [("POST", f"/class/api/{name}") for name in ("hand-in", "train", "vote", "answer")]
FOR_MEMBERS = [("GET", "/class/api/events"), ("POST", "/class/api/compare")]
FOR_ALL = [("GET", "/class"), ("GET", "/class/present"), ("GET", "/class/static/guest.js"), ("GET", "/class/api/me")]
FOR_ALL += [("POST", f"/class/api/{name}") for name in ("join", "present", "leave")]


def test_the_list_of_routes_is_the_one_that_is_tested():
    tested = {*FOR_PRESENTERS, *FOR_GUESTS, *FOR_MEMBERS, *FOR_ALL}
    assert {(method, path.replace("{name}", "guest.js")) for method, path, *_ in ROUTES} == tested


@pytest.mark.parametrize("route", FOR_PRESENTERS)
@pytest.mark.parametrize("role", ["stranger", "guest"])
def test_the_presenters_routes_refuse_others(room, role, route):
    code = room.classroom.doorkeeper.secrets.code
    answer = room.ask(role).request(*route, json={"guest": "x"} if route[0] == "POST" else None)
    assert answer.status_code == 403 and answer.json()["error"]
    assert room.classroom.doorkeeper.secrets.code == code


@pytest.mark.parametrize("route", [*FOR_GUESTS, *FOR_MEMBERS])
def test_a_stranger_is_asked_for_the_code(room, route):
    answer = room.ask("stranger").request(*route, json={} if route[0] == "POST" else None)
    assert answer.status_code == 403 and "code" in answer.json()["error"]


def test_a_guest_joins_with_code_and_name(room):
    client = room.client()
    code = room.classroom.doorkeeper.secrets.code
    assert client.post("/class/api/join", json={"code": "AAAAAA", "name": "Ada"}).status_code == 403
    answer = client.post("/class/api/join", json={"code": f" {code.lower()} ", "name": "  Ada\u202e \n Byron "})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    me = client.get("/class/api/me").json()
    assert me["role"] == "guest" and me["name"] == "Ada Byron" and "code" not in me
    again = client.post("/class/api/join", json={"code": code, "name": "ada byron"})
    assert again.status_code == 400 and "already" in again.json()["error"]


def test_the_key_makes_a_presenter_elsewhere_and_everything_here(room):
    key = room.classroom.doorkeeper.secrets.key
    away, here = room.client(), room.client("127.0.0.1", "http://127.0.0.1:7860")
    for client, role in ((away, "presenter"), (here, "local")):
        assert client.post("/class/api/present", json={"key": "x" * len(key)}).status_code == 403
        assert client.post("/class/api/present", json={"key": key}).status_code == 200
        assert client.get("/class/api/me").json()["role"] == role


@pytest.mark.parametrize("role", ["presenter", "local"])
def test_a_browser_that_presents_stays_the_presenters(room, role):
    """A presenter who tried to join in a second tab lost the class, without a word why."""
    client, code = room.ask(role), room.classroom.doorkeeper.secrets.code
    answer = client.post("/class/api/join", json={"code": code, "name": "Ada"})
    assert answer.status_code == 400 and "Join in another browser" in answer.json()["error"]
    assert client.get("/class/api/me").json()["role"] == role and room.classroom.board.guests() == []


def test_wrong_codes_are_slowed_down_and_then_the_right_one_waits_too(room, monkeypatch):
    monkeypatch.setattr(roles, "PER_SECOND", 1e-4)  # a slow machine must not earn another try
    client, code = room.client(), room.classroom.doorkeeper.secrets.code
    answers = [client.post("/class/api/join", json={"code": "WRONG1", "name": "x"}).status_code for _ in range(roles.TRIES + 3)]
    assert answers == [403] * roles.TRIES + [429] * 3
    late = client.post("/class/api/join", json={"code": code, "name": "late"})
    assert late.status_code == 429 and int(late.headers["retry-after"]) > 0
    assert client.post("/class/api/present", json={"key": "k"}).status_code == 429
    other = room.client("192.168.1.21").post("/class/api/join", json={"code": code, "name": "other"})
    assert other.status_code == 200


def test_a_machine_with_many_ipv6_addresses_is_one_machine():
    limit = TryLimit()
    for number in range(roles.TRIES):
        limit.count(f"2001:db8::{number:x}")
    with pytest.raises(roles.TooManyTries):
        limit.check("2001:db8::ffff%eth0")
    limit.check("2001:db8:0:1::1")


def test_forged_cookies_are_strangers(room):
    keeper, guest = room.classroom.doorkeeper, room.ask("guest").guest
    forged = [
        URLSafeTimedSerializer("another signature", salt=SALT).dumps({"key": keeper.secrets.key}),
        keeper.guest_cookie(guest)[:-2] + "xx",
        keeper._signer().dumps({"key": "wrong"}),
        keeper._signer().dumps({"guest": "nobody"}),
        keeper._signer().dumps(["key"]),
        "",
        "é",
        "a.b.c",
    ]
    for value in forged:
        client = room.client()
        answer = client.get("/class/api/me", headers={"Cookie": f"{COOKIE}={value}".encode()})
        assert answer.json()["role"] == "stranger", value


def test_a_removed_guest_is_a_stranger_and_may_not_act(room):
    client, presenter = room.ask("guest"), room.ask("presenter")
    assert client.get("/class/api/me").json()["role"] == "guest"
    presenter.post("/class/api/remove", json={"guest": client.guest.id})
    assert client.get("/class/api/me").json()["role"] == "stranger"
    assert client.post("/class/api/vote", json={}).status_code == 403


def test_a_new_code_keeps_out_who_has_the_old_one_and_keeps_guests(room):
    client, old = room.ask("guest"), room.classroom.doorkeeper.secrets.code
    new = room.ask("presenter").post("/class/api/code", json={}).json()["code"]
    assert new != old and client.get("/class/api/me").json()["role"] == "guest"
    assert room.client().post("/class/api/join", json={"code": old, "name": "x"}).status_code == 403


def test_secrets_stay_with_their_owner_and_across_restarts(room, house, tmp_path):
    file = room.classroom.folder / "secrets.json"
    assert file.stat().st_mode & 0o077 == 0
    client = room.ask("guest", "Ada")
    again = Classroom("room", "192.168.1.5", 7860, house.backbone, "cpu", tmp_path)
    again.context.models.engine.close()
    assert again.doorkeeper.secrets == room.classroom.doorkeeper.secrets
    assert again.board.guest(client.guest.id).name == "Ada"


def test_who_asks_too_often_waits(room, monkeypatch):
    monkeypatch.setattr(limits, "PER_SECOND", 1e-4)
    client = room.ask("guest")
    codes = [client.post("/class/api/vote", json={"round": 1}).status_code for _ in range(60)]
    assert codes[0] == 400 and codes[-1] == 429


@pytest.mark.parametrize("body", [b"[]", b"{", b"[" * 9000, b'"x"', b"\xff", b"{}" * 10])
def test_what_is_no_json_object_is_refused(room, body):
    answer = room.ask("guest").post("/class/api/train", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]


def test_a_form_of_another_site_is_no_json(room):
    answer = room.ask("guest").post("/class/api/vote", data={"round": 1})
    assert answer.status_code == 400


def test_a_body_without_end_is_cut_off(room):
    def endless():
        for _ in range(1000):
            yield b"x" * 10_000

    client = room.ask("guest")
    assert client.post("/class/api/vote", content=endless(), headers={"Content-Type": "application/json"}).status_code == 413
    big = {"Content-Type": "application/json", "Content-Length": "99999999999"}
    assert client.post("/class/api/vote", content=b"{}", headers=big).status_code == 413
