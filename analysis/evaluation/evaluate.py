"""Score a run, or the frozen model, on a test set."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from analysis.evaluation.suites import entries, score_examples
from analysis.metrics.base import NotComputed, Progress, Score
from analysis.metrics.coverage import error_counter
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import PAPER_DECODING
from core.errors import BadConfig
from core.generation.generate import generate
from core.generation.types import Request, make_request
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.runs.run import Scores
from core.task import Example, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Evaluation:
    """Outputs in the order of `sources`, the scores by name, and the reasons for scores that could not be computed."""

    sources: list[str]
    outputs: list[str]
    scores: dict[str, Score]
    decoding: DecodeConfig | None  # None: nothing was generated
    seconds: float
    not_computed: dict[str, str] = field(default_factory=dict)

    def records(self) -> Scores:
        """Return the scores as stored in run.json: value, direction, signature, n, decoding."""
        records: Scores = {}
        for name, score in self.scores.items():
            records[name] = {
                "value": round(score.value, 2),
                "higher_is_better": score.higher_is_better,
                "signature": score.signature,
                "n": score.n,
            }
            if self.decoding:
                records[name]["decoding"] = asdict(self.decoding)
        return records


def batches(requests: Sequence[tuple[int, Request]], size: int) -> Iterator[list[tuple[int, Request]]]:
    """Group (index, request) pairs into batches of similar length."""
    ordered = sorted(requests, key=lambda item: len(item[1].prompt_ids))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def outputs(
    model: "PreTrainedModel",
    backbone: Backbone,
    task: Task,
    prefix: Prefix | None,
    sources: Sequence[str],
    decode: DecodeConfig,
    batch: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Generate one text per source, in order, `batch` of them at once. `progress(done, total)` is called after each batch.

    Raises BadConfig if `batch` is below 1, and the errors of `generate`.
    """
    if batch < 1:
        raise BadConfig(f"batch must be at least 1; given: {batch}.", "batch")
    requests = [make_request(backbone, task, source, prefix, decode.seed + place) for place, source in enumerate(sources)]
    if decode.mode == "rerank":
        counters = [error_counter(task.input_format, source) for source in sources]
        requests = [replace(request, errors=counter) for request, counter in zip(requests, counters, strict=True)]
    texts, done = [""] * len(sources), 0
    for part in batches(list(enumerate(requests)), batch):
        generations = generate(model, backbone, [request for _, request in part], decode)
        for (place, _), generation in zip(part, generations, strict=True):
            texts[place] = generation.text
        done += len(part)
        if progress is not None:
            progress(done, len(sources))
    return texts


def evaluate(
    model: "PreTrainedModel",
    backbone: Backbone,
    task: Task,
    prefix: Prefix | None,
    examples: Sequence[Example],
    decode: DecodeConfig = PAPER_DECODING,
    batch: int = 32,
    progress: Callable[[int, int], None] | None = None,
    suite: str = "",
    input_format: str = "",
    scoring: Progress | None = None,
) -> Evaluation:
    """Generate a text for every distinct source, and compute the scores of the task's data set (`analysis.evaluation.suites`).

    Raw output is scored against the references of the training data, and detokenised output against the original references if
    there are any. `suite`, `input_format`: the data set of the examples and their input format, if they differ from the task's.
    `scoring`: called as slow scores progress (see `Progress`).
    """
    began, suite = time.monotonic(), suite or task.name
    gathered = entries(suite, examples)
    sources = [example.source for example in gathered]
    distinct = list(dict.fromkeys(sources))
    texts = dict(zip(distinct, outputs(model, backbone, task, prefix, distinct, decode, batch, progress), strict=True))
    evaluation = scored(suite, [texts[source] for source in sources], gathered, input_format or task.input_format, scoring)
    return replace(evaluation, decoding=decode, seconds=time.monotonic() - began)


def scored(
    suite: str, texts: Sequence[str], examples: Sequence[Example], input_format: str = "", progress: Progress | None = None
) -> Evaluation:
    """Compute the scores of given texts, one per example. Raises BadInput if texts and examples do not match."""
    results = score_examples(suite, list(texts), examples, input_format=input_format, progress=progress)
    scores = {one.name: one for one in results if isinstance(one, Score)}
    missing = {one.name: one.reason for one in results if isinstance(one, NotComputed)}
    return Evaluation([example.source for example in examples], list(texts), scores, None, 0.0, missing)
