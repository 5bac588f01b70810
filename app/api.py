"""The public endpoint: a comparison for programs, `client.submit(table, api_name="/compare")`."""

from collections.abc import Iterator, Mapping

import gradio as gr

from app.compare.comparison import CompareRequest
from app.compare.comparison import compare as stream_comparison
from app.shared.context import AppContext
from app.shared.events import sentence_of
from app.shared.model_pool import MODEL, PAGES
from core.config.decoding_defaults import DEFAULT_MODE, default_decoding
from core.data.registry import parse_input
from core.errors import BadInput
from core.models.unknown_words import describe_unknown
from core.runs.layout import JsonObject
from core.text.detokenize import readable


def publish(context: AppContext) -> None:
    """Add the endpoint; call inside gr.Blocks."""

    def compare(
        table: str,
        prefix_run: str = "",
        finetuned_run: str = "",
        backbone: str = "",
        mode: str = DEFAULT_MODE,
        seed: int = 0,
        request: gr.Request | None = None,
    ) -> Iterator[JsonObject]:
        """Generate a text from a table (any notation; triples or an article for a run on these) with the frozen model, a prefix
        run and a fine-tuned run.

        Streams the text so far.
        """
        try:
            others = {"prefix_run": prefix_run, "finetuned_run": finetuned_run, "backbone": backbone, "mode": mode}
            _check_types({"table": table} | others, seed)
            name, used = backbone or context.models.default, (prefix_run, finetuned_run)
            form = next((run.task.input_format for run in context.store.runs() if run.id in used), "table")
            decode = default_decoding(form, mode).replace(seed=seed)
            comparison_request = CompareRequest(parse_input(form, table), prefix_run, finetuned_run, name, decode, form)
            model = context.models.backbone(name)
            unknown = describe_unknown(model, comparison_request.source)
            notes = {"notes": [unknown]} if unknown else {}
            for comparison in stream_comparison(
                context, model, comparison_request, lambda: False, str(request and request.session_hash)
            ):
                texts = {kind: readable(column.text, form) for kind, column in comparison.columns.items()}
                states = {kind: column.note or column.state for kind, column in comparison.columns.items()}
                yield {"phase": comparison.phase, "texts": texts, "states": states} | notes
        except Exception as error:
            raise gr.Error(sentence_of(error, {}), print_exception=False) from error

    gr.api(compare, api_name="compare", concurrency_id=MODEL, concurrency_limit=PAGES)


def _check_types(texts: Mapping[str, object], seed: object) -> None:
    """BadInput where a program sent a value of another type."""
    for name, value in texts.items():
        if not isinstance(value, str):
            raise BadInput(f"{name} must be a text; given: {str(value)[:80]}. See the API description for the six values.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise BadInput(f"seed must be a whole number; given: {str(seed)[:80]}.")
