"""The public endpoint, through Gradio's own client, and with whatever JSON a program may send."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.compare.comparison import CompareRequest, compare
from core.config.decoding_defaults import default_decoding
from core.text.detokenize import detokenise
from core.text.tables import canonical, linearise, parse

gradio_client = pytest.importorskip("gradio_client")
TABLE = "name[Alda] eatType[pub] area[north]"


@pytest.fixture(scope="module")
def client(served):
    return gradio_client.Client(served, verbose=False)


@pytest.mark.slow
def test_streams_partial_texts_then_the_end(client):
    job = client.submit(TABLE, "tiny-prefix", "tiny-finetuned", "", "sample", 4, api_name="/compare")
    last = job.result()
    assert last["phase"] == "done" and set(last["texts"]) == {"base", "prefix", "finetuned"}
    assert len(job.outputs()) > 3
    assert last == client.predict(TABLE, "tiny-prefix", "tiny-finetuned", "", "sample", 4, api_name="/compare")


@pytest.mark.slow
def test_clients_at_once_get_their_own_answers(served, context):
    tables = [f"name[Alda {index}] eatType[{kind}]" for index, kind in enumerate(["pub", "inn", "bar", "cafe", "den"])]
    clients = [gradio_client.Client(served, verbose=False) for _ in range(2)]
    jobs = [
        clients[index % 2].submit(table, "tiny-prefix" if index % 3 else "", api_name="/compare")
        for index, table in enumerate(tables)
    ]
    for index, (table, job) in enumerate(zip(tables, jobs, strict=True)):
        ask = CompareRequest(
            linearise(canonical(parse(table))), "tiny-prefix" if index % 3 else "", decode=default_decoding("table")
        )
        *_, alone = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
        assert job.result()["texts"] == {kind: detokenise(column.text) for kind, column in alone.columns.items()}


def test_says_what_was_wrong(client):
    with pytest.raises(gradio_client.exceptions.AppError, match="'Type', has no value"):
        client.predict("name : X | Type : ", api_name="/compare")
    sentence = client.predict(TABLE, "no-such-run", api_name="/compare")
    assert "no-such-run" in sentence["states"]["prefix"] and sentence["states"]["finetuned"] == "missing"


def test_nothing_else_is_public(client):
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/compare"]


JUNK = st.none() | st.booleans() | st.integers() | st.lists(st.integers(), max_size=2) | st.text(max_size=10) | st.just("mix:x:1")
VALUES = st.lists(JUNK | st.just(TABLE) | st.sampled_from(["", "tiny-prefix", "sample", "../x", "\x00"]), max_size=8)


@pytest.mark.slow
@settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(VALUES)
@example([TABLE])
@example([5, "", "", "", "greedy", 0])
@example([TABLE, "", "", "", "greedy", "many"])
@example([TABLE, [], {}, "", "greedy", 0])
@example([TABLE, "", "", "no/such/model", "greedy", 0])
def test_any_values_get_texts_or_one_sentence(served, values):
    place = f"{served}gradio_api/call/compare"
    asked = httpx.post(place, json={"data": values}, timeout=120)
    assert asked.status_code == 200
    with httpx.stream("GET", f"{place}/{asked.json()['event_id']}", timeout=120) as lines:
        *_, event, data, _ = ["", "", *lines.iter_lines()]
    answer = json.loads(data.removeprefix("data: "))
    if event == "event: complete":
        assert set(answer[0]["texts"]) == {"base", "prefix", "finetuned"}
        return
    sentence = answer["error"]
    assert event == "event: error" and sentence.isprintable() and "\n" not in sentence and len(sentence) < 600
    assert "Traceback" not in sentence and "unexpected" not in sentence


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("call/v2/compare", {"json": {}}, 400),
        ("call/v2/no-such-endpoint", {"json": {}}, 400),
        ("run/no-such-endpoint", {"json": {"data": []}}, 400),
        ("upload", {"data": {"files": "text"}, "files": {"other": b""}}, 400),
        ("run/compare", {"json": {"data": ["name : X | Type : ", "", "", "", "greedy", 4]}}, 422),
    ],
)
def test_a_request_that_cannot_be_read_gets_one_sentence(served, path, sent, status):
    answer = httpx.post(f"{served}gradio_api/{path}", timeout=120, **sent)
    assert answer.status_code == status
    assert "Traceback" not in answer.text and len(answer.json()["error"]) > 20


def test_a_stream_of_an_unknown_event_ends_with_an_error(served):
    answer = httpx.get(f"{served}gradio_api/call/compare/no-such-event", timeout=120)
    assert answer.text.startswith("event: error") and "Not Found" in answer.text
