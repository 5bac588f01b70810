"""Texts of several prefixes from one batch, for rounds, scores and guests' comparisons."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analysis.attention.maps import attention_mass
from analysis.metrics.coverage import Coverage, cover
from app.compare.prompting import base_task
from app.shared.context import AppContext
from app.shared.events import sentence_of
from app.shared.highlight import unsupported_reason
from core.config.decoding_defaults import GREEDY_TABLE_DECODING
from core.data.registry import parse_input
from core.errors import BadInput, PrefixLabError
from core.generation.types import Request, make_request
from core.models.backbone import Backbone
from core.serving.engine import Stream
from core.text.detokenize import detokenise
from core.text.tables import Fields, parse

if TYPE_CHECKING:
    from transformers import PreTrainedModel


FORM = "table"
SOURCE = 800  # characters of a table
SHOW_EVERY = 0.15  # seconds between two looks at growing texts
DECODING = GREEDY_TABLE_DECODING  # greedy, so that everybody gets the same text for the same prefix


@dataclass
class Text:
    """A text as it grows. `state`: waiting, writing, written or failed, with the reason in `note`."""

    run: str  # empty: the frozen model
    source: str
    state: str = "waiting"
    text: str = ""
    note: str = ""
    ids: list[int] = field(default_factory=list)
    request: Request | None = None
    model: "PreTrainedModel | None" = None

    @property
    def open(self) -> bool:
        """Whether the text is incomplete."""
        return self.state in ("waiting", "writing")


def read_table(typed: object) -> tuple[str, Fields]:
    """Parse a typed table in any notation; returns its source and its fields. Raises BadInput or BadTable."""
    if not isinstance(typed, str) or not 0 < len(typed.strip()) <= SOURCE:
        size = len(typed) if isinstance(typed, str) else 0
        raise BadInput(f"The table has {size:,} characters: type 1 to {SOURCE}, such as name : The Eagle | food : Chinese")
    source = parse_input(FORM, typed)
    return source, parse(source)


def write_texts(
    context: AppContext,
    backbone: Backbone,
    pairs: Sequence[tuple[str, str]],
    caller: str,
    cancel: Callable[[], bool] = lambda: False,
) -> Iterator[list[Text]]:
    """Generate a text for each (run, source), all in one batch, and yield the same list as they grow.

    If a run cannot be used, its text has the reason, and the others continue. `caller`: the sender, for a fair share.
    """
    texts = [Text(run, source) for run, source in pairs]
    with ExitStack() as open_streams:
        streams: dict[int, Stream] = {}
        for place, text in enumerate(texts):
            try:
                text.model, text.request = _request(context, backbone, text)
                stream = context.models.engine.submit(text.model, backbone, text.request, DECODING, caller)
                streams[place] = open_streams.enter_context(stream)
            except PrefixLabError as error:
                text.state, text.note = "failed", str(error)
        yield texts
        while unfinished := [place for place, text in enumerate(texts) if text.open]:
            if cancel():
                return
            streams[unfinished[0]].wait(SHOW_EVERY)
            for place in unfinished:
                _grow(texts[place], streams[place])
            yield texts


def _request(context: AppContext, backbone: Backbone, text: Text) -> tuple["PreTrainedModel", Request]:
    if not text.run:
        return backbone.model, make_request(backbone, base_task(backbone, FORM, text.source), text.source)
    loaded = context.models.load(text.run, backbone)
    return loaded.model, make_request(backbone, loaded.task, text.source, loaded.prefix)


def _grow(text: Text, stream: Stream) -> None:
    for token in stream.ready():
        text.text, text.state = detokenise(token.text_so_far), "writing"
        text.ids.append(token.id)
    if not stream.open:
        try:
            result = stream.result()
            text.text, text.ids, text.state = detokenise(result.text), result.ids, "written"
        except Exception as error:
            text.state, text.note = "failed", sentence_of(error)


def attention_shares(context: AppContext, backbone: Backbone, text: Text) -> list[float]:
    """Return the mean shares of attention on the prefix, the table and the text's own words; [] without a prefix.

    The mean is over all layers and heads of the decoder; see `analysis.attention.maps`.
    """
    if not text.ids or text.request is None:
        return []
    mass = context.models.run_job(attention_mass, text.model, backbone, text.request, text.ids)
    queries = mass.step_queries
    return [round(float(share), 3) for share in mass.mass[:, :, queries.start : queries.stop].mean(dim=(0, 1, 2))]


def coverage_of(fields: Fields, text: str) -> tuple[Coverage, list[list[int | str]]]:
    """Return a text's coverage of a table, and its marks as [start, end, "v" or "u", title] for values and unsupported pieces."""
    coverage = cover(fields, text)
    spans: list[list[int | str]] = [[start, end, "v", key] for start, end, key in coverage.spans]
    spans += [[start, end, "u", unsupported_reason(text[start:end])] for start, end in coverage.unsupported_spans]
    return coverage, sorted(spans)
