"""Generated JSON to every endpoint of a class: an answer or one sentence, never a traceback, and the board stays as it is.

`PREFIX_LAB_EXAMPLES=5000` looks further than the suite does.
"""

import json
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.classroom.board import Board
from app.classroom.limits import Pace
from app.classroom.routes import ROUTES

EXAMPLES = int(os.environ.get("PREFIX_LAB_EXAMPLES", "40"))
PATHS = st.sampled_from([path for method, path, _, _ in ROUTES if method == "POST" and path != "/class/api/leave"])
FIELDS = (
    "code name key round letter question option table runs blind frozen text options right guest entry length rows updates words"
)
TYPED = ["", "A", "name : Alda", "name : ", "x" * 900, "\u202e", "<img onerror=x>", "mine", "\x00"]
TEXTS = st.sampled_from(TYPED) | st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from([0, 1, -1, 2, 8, 100, 0.5, 1e400, float("nan")]) | TEXTS
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2))
VALUES = SCALARS | NESTED
BODIES = st.dictionaries(st.sampled_from(FIELDS.split()) | TEXTS, VALUES, max_size=6).map(json.dumps) | VALUES.map(json.dumps)
RAW = st.binary(max_size=60) | BODIES.map(str.encode)


@pytest.fixture
def members(room, monkeypatch):
    """Everybody who may send something; nobody asks too often."""
    monkeypatch.setattr(Pace, "check", lambda pace, who: None)
    monkeypatch.setattr("app.classroom.roles.Bucket.wait", lambda bucket: 0)
    monkeypatch.setattr(room.classroom.entries, "train", lambda guest, choice: room.classroom.board.add_entry(guest, "trained"))
    room.classroom.board.ask("Why?", ["a", "b"], 0)
    return [room.ask(role) for role in ("stranger", "guest", "presenter")]


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(PATHS, RAW)
@example("/class/api/remove", b'{"guest": []}')
@example("/class/api/vote", b'{"round": 1, "letter": {}}')
@example("/class/api/round", b'{"table": "name : Alda", "runs": [], "frozen": true}')
def test_whatever_is_sent_to_a_class_is_answered_in_a_sentence(room, members, path, body):
    for client in members:
        response = client.post(path, content=body, headers={"content-type": "application/json"})
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            sentence = response.json()["error"]
            assert sentence and sentence.isprintable() and len(sentence) < 600 and "Traceback" not in sentence
        else:
            assert "Traceback" not in response.text
    again = Board(room.classroom.folder)  # what is on disk is what is there
    assert len(again.guests()) == len(room.classroom.board.guests()) and len(again.rounds) == len(room.classroom.board.rounds)
