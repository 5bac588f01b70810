"""What a stream of answers sends to the page: nothing that changes an answer still waiting there. And what the server keeps."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from types import SimpleNamespace

import gradio as gr
from gradio.state_holder import SessionState

from app.main import build
from app.shared.streaming import WholeUpdates


def test_no_answer_of_a_stream_changes_the_one_before(context):
    page, fn = build(context), SimpleNamespace(outputs=[None] * 3, api_visibility="public")
    chosen = gr.update(choices=["e2e", "news"], value="news")
    answers = [
        [chosen, {"rows": [["name", "Aldby"]], "text": ""}, "one"],
        [gr.skip(), {"rows": [["name", "Aldby"], ["area", "north"]], "text": ""}, "one two"],
        [gr.skip(), gr.skip(), "three"],
    ]
    current: list = []
    original = deepcopy(answers)
    for answer in answers:
        sent = page.handle_streaming_diffs(fn, list(answer), "page", "run", final=False)
        if not current:
            current = sent
            continue
        for place, edits in enumerate(sent):
            for action, path, value in edits:
                assert path == [], "an edit inside a value reaches the answer before it"
                current[place] = current[place] + value if action == "append" else value
        assert current == answer
    assert answers == original
    assert page.handle_streaming_diffs(fn, list(answers[-1]), "page", "run", final=True) == answers[-1]


def test_a_stream_of_the_page_does_not_show_its_last_answer_again_when_it_ends(context):
    page, fn = build(context), SimpleNamespace(outputs=[None] * 2, api_visibility="private")
    assert page.handle_streaming_diffs(fn, ["old", 1], "page", "run", final=False) == ["old", 1]
    assert page.handle_streaming_diffs(fn, [None, None], "page", "run", final=True) == [gr.skip()] * 2
    assert page.handle_streaming_diffs(fn, ["new", 2], "page", "run", final=False) == ["new", 2]  # nothing of it is kept


def test_the_server_stores_no_value_of_a_page_s_components():
    with WholeUpdates() as page:
        figure = gr.HTML()
        page.load(lambda: None, None, figure)
    draw = next(iter(page.fns.values()))
    state = SessionState(page)
    components = len(state.config_values)
    with ThreadPoolExecutor(1) as thread:  # playwright's loop runs in this one
        for number in range(5):
            for answer in (gr.update(value=f"figure {number}", visible=True), f"figure {number}, larger"):
                thread.submit(asyncio.run, page.postprocess_data(draw, answer, state)).result()
    assert len(state.config_values) == components == len(state.blocks_config.blocks)
    assert "figure" not in str(state.config_values)
    assert state[figure._id].visible is True
