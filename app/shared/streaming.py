"""What the server sends to the page, and what it remembers of it: updates that cannot get lost in a busy browser."""

from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.state_holder import SessionState

Edit = tuple[str, list[str | int], object]  # what is done, where inside the value, with what


class WholeUpdates(gr.Blocks):
    """Blocks whose streams send changed dictionaries and lists in full.

    Gradio sends the difference to the answer before, and its browser side edits that answer in place: one that was
    still waiting to be shown loses what it brought. A chooser would keep its old value whenever the page is busy and
    the next answer says nothing about it. Text, which is replaced or added to but never edited, may go on as it is.

    Gradio also sends a stream's last answer a second time when the stream ends. A page that has asked for something newer
    meanwhile would show the old answer again, so a page's stream ends without one; programs get theirs.

    And Gradio stores what each page shows, for links to a page's state, which the app makes in its own way: every figure, and
    after an update, which makes a new component with an id of its own, the figures before it as well. Here nothing is stored.
    """

    async def postprocess_data(self, block_fn: BlockFunction, predictions: Any, state: SessionState | None) -> list[Any]:
        """As gr.Blocks does; the values of a page's components are sent and forgotten, those of gr.State are kept."""
        data = await super().postprocess_data(block_fn, predictions, state)
        for output in block_fn.outputs:
            if state is not None and not output.stateful and output._id in state:
                state[output._id]._id = output._id
                state._update_value_in_config(output._id, None)
        return data

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """As gr.Blocks does, with a sentence that reaches whoever sent too few values."""
        if len(inputs) < len(block_fn.inputs):
            sentence = f"{block_fn.name} takes {len(block_fn.inputs)} values; given: {len(inputs)}. Send all of them."
            raise gr.Error(sentence, print_exception=False)

    def handle_streaming_diffs(
        self,
        block_fn: BlockFunction,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """Replace edits inside a value by the whole value.

        `data`: per output, its value in the first and the last message of a run, otherwise the edits that lead to it.
        """
        if final and block_fn.api_visibility == "private":
            super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
            return [gr.skip() for _ in data]
        streams = self.pending_diff_streams[session_hash] if session_hash is not None else {}
        edited = run in streams and not final and not simple_format
        data = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        return [_whole(edits, value) for edits, value in zip(data, streams[run], strict=True)] if edited else data


def _whole(edits: list[Edit], value: object) -> list[Edit]:
    return [("replace", [], value)] if any(path for _, path, _ in edits) else edits
