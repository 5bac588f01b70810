"""Score a run (or the frozen model) on a test set."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from torch import nn

from analysis.evaluation.suites import entries, score_examples
from analysis.metrics.base import NotComputed, Score
from core.config.base import DecodeConfig
from core.generation.generate import Request, generate, request_of
from core.models.backbone import Backbone
from core.prefix.prefix import Prefix
from core.task import SUMMARIZATION, Example, Task

# Table-to-text as the official code decodes it: beam 5, at least 5 tokens, length penalty 1.
PAPER_DECODING = DecodeConfig(mode="beam", beams=5, min_new=5, max_new=100, length_penalty=1.0)
# Summaries: beam 6, 11 to 62 tokens, length penalty 0.8, no three tokens twice (as BART is decoded).
SUMMARY_DECODING = DecodeConfig(mode="beam", beams=6, min_new=11, max_new=62, length_penalty=0.8, no_repeat=3)

# What a person reads. A frozen model that has learned to copy is prone to say a phrase again, and a prefix does not cure it of
# that; a name of five tokens may be said twice. A small model's beams end too early: this length penalty, chosen on validation,
# makes its texts about as long as the references. (Of triples they grow too long with it.)
LONGER = 1.5
TRIPLES_DECODING = DecodeConfig(no_repeat=6)
TABLE_DECODING = TRIPLES_DECODING.but(length_penalty=LONGER)
ARTICLE_DECODING = SUMMARY_DECODING.but(length_penalty=LONGER)


def paper_decoding(task: str) -> DecodeConfig:
    """How the paper decodes a task."""
    return SUMMARY_DECODING if task == SUMMARIZATION else PAPER_DECODING


def usual_decoding(form: str) -> DecodeConfig:
    """How a text that a person reads is written unless told otherwise: summaries by beam search, tables in a stream."""
    return {"article": ARTICLE_DECODING, "table": TABLE_DECODING}.get(form, TRIPLES_DECODING)


@dataclass(frozen=True)
class Evaluation:
    """Outputs in the order of `sources`, the scores by name, and why others could not be had."""

    sources: list[str]
    outputs: list[str]
    scores: dict[str, Score]
    decoding: DecodeConfig | None  # None: nothing was generated
    seconds: float
    not_computed: dict[str, str] = field(default_factory=dict)

    def records(self) -> dict[str, dict]:
        """The scores as run.json keeps them: value, direction, signature, n, decoding."""
        return {
            name: {
                "value": round(score.value, 2),
                "higher_is_better": score.higher_is_better,
                "signature": score.signature,
                "n": score.n,
            }
            | ({"decoding": asdict(self.decoding)} if self.decoding else {})
            for name, score in self.scores.items()
        }


def batches(asked: Sequence[tuple[int, Request]], size: int) -> Iterator[list[tuple[int, Request]]]:
    """(place, request) of like length together."""
    ordered = sorted(asked, key=lambda item: len(item[1].prompt_ids))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def outputs(
    model: nn.Module,
    backbone: Backbone,
    task: Task,
    prefix: Prefix | None,
    sources: Sequence[str],
    decode: DecodeConfig,
    batch: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """One text a source, in order. `progress(done, total)` is called after each batch."""
    asked = [(place, request_of(backbone, task, source, prefix, decode.seed + place)) for place, source in enumerate(sources)]
    texts, done = [""] * len(sources), 0
    for part in batches(asked, batch):
        requests = [request for _, request in part]
        for (place, _), made in zip(part, generate(model, backbone, requests, decode), strict=True):
            texts[place] = made.text
        done += len(part)
        if progress is not None:
            progress(done, len(sources))
    return texts


def evaluate(
    model: nn.Module,
    backbone: Backbone,
    task: Task,
    prefix: Prefix | None,
    examples: Sequence[Example],
    decode: DecodeConfig = PAPER_DECODING,
    batch: int = 32,
    progress: Callable[[int, int], None] | None = None,
    suite: str = "",
    form: str = "",
) -> Evaluation:
    """Generate for every distinct source and score as the task's set is scored (`analysis.suites`): raw output against the
    references as they were trained on, and detokenised output against the originals where there are any.

    suite, form: the set that the examples are of, and what its sources are, where that is another than the task's.
    """
    began, suite = time.monotonic(), suite or task.name
    gathered = entries(suite, examples)
    sources = [example.source for example in gathered]
    distinct = list(dict.fromkeys(sources))
    told = dict(zip(distinct, outputs(model, backbone, task, prefix, distinct, decode, batch, progress), strict=True))
    found = scored(suite, [told[source] for source in sources], gathered, form or task.form)
    return replace(found, decoding=decode, seconds=time.monotonic() - began)


def scored(suite: str, texts: Sequence[str], examples: Sequence[Example], form: str = "") -> Evaluation:
    """The scores of one text an example, wherever the texts come from. Raises BadInput where texts and examples do not match."""
    found = score_examples(suite, list(texts), examples, form=form)
    scores = {one.name: one for one in found if isinstance(one, Score)}
    missing = {one.name: one.reason for one in found if isinstance(one, NotComputed)}
    return Evaluation([example.source for example in examples], list(texts), scores, None, 0.0, missing)
