"""Errors of handlers become sentences in the status line, and Gradio still sees what the handler is."""

import inspect
from types import SimpleNamespace

import gradio as gr

from app.shared.events import TabHandlers, errors_to_status
from app.shared.status import StatusLine
from core.config.train import TrainConfig
from core.errors import BadInput


class Handlers(TabHandlers):
    activity = "test"

    @errors_to_status
    def returns(self, value: int, request: gr.Request) -> dict:
        if value < 0:
            raise BadInput("It is below 0.")
        return {"value": 1 // value, "config": TrainConfig(lora_alpha=value)}

    @errors_to_status
    def streams(self, value: int, request: gr.Request):
        yield {"value": value}
        raise BadInput("No more.")

    @errors_to_status
    def ends_early(self, ended: bool, request: gr.Request):
        if not ended:
            yield {"value": 1}


def test_errors_become_sentences_of_their_page(caplog):
    do = Handlers(SimpleNamespace(status=StatusLine()), SimpleNamespace(status="status"))
    request = SimpleNamespace(session_hash="page")
    assert do.returns(1, request)["value"] == 1
    assert "It is below 0." in do.returns(-1, request)["status"] and not caplog.records
    assert "ZeroDivisionError" in do.returns(0, request)["status"] and len(caplog.records) == 1
    assert "“LoRA alpha” must be a whole number" in do.returns(10**8, request)["status"]
    first, second = do.streams(2, request)
    assert first == {"value": 2} and "No more." in second["status"]
    assert "No more." in do.context.status.clear("page", "another")  # the page's status line knows


def test_a_handler_that_a_newer_request_ends_leaves_every_output_as_it_is():
    do = Handlers(SimpleNamespace(status=StatusLine()), SimpleNamespace(status="status"))
    assert list(do.ends_early(True, gr.Request())) == [do.no_update()]  # without it Gradio would empty all outputs
    assert list(do.ends_early(False, gr.Request())) == [{"value": 1}]


def test_gradio_sees_the_handler_through_the_decorator():
    do, request = Handlers(None, None), gr.Request()
    assert inspect.isgeneratorfunction(do.streams) and not inspect.isgeneratorfunction(do.returns)
    for handler in (do.streams, do.returns):
        inputs, *_ = gr.helpers.special_args(handler, [1], request=request)
        assert inputs == [1, request]
