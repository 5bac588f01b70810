"""The scores of each data set: those of its official scripts, coverage, and unsupported statements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.metrics.base import NotComputed, Progress, Score, subset
from analysis.metrics.bleu import dart_bleu, e2e_bleu, original_bleu, webnlg_bleu
from analysis.metrics.coco import cider, rouge_l
from analysis.metrics.coverage import article_scores, coverage_scores
from analysis.metrics.learned import learned
from analysis.metrics.meteor import meteor
from analysis.metrics.nist import nist
from analysis.metrics.rouge import rouge
from analysis.metrics.ter import dart_ter, first_references, webnlg_ter
from analysis.metrics.tokenizers import split_punctuation, webnlg_output, webnlg_reference
from core.data.registry import group_by_source, table_of_source
from core.errors import BadInput, BadTable
from core.task import Example, task

Result = Score | NotComputed
_SEEN = (("seen", True), ("unseen", False))
# outputs, references, whether the texts are tokenized as the official script does it, a progress callback -> scores
Metrics = Callable[[list[str], list[list[str]], bool, Progress | None], list[Result]]


@dataclass(frozen=True)
class Suite:
    """The scores of a data set. `gather`: rows of one source form one example (E2E); `blocks`: see score_files."""

    name: str
    metrics: Metrics
    gather: bool = False
    blocks: bool = False


def _e2e(hyps: list[str], refs: list[list[str]], _pretokenized: bool, progress: Progress | None) -> list[Result]:
    return [e2e_bleu(hyps, refs), nist(hyps, refs), meteor(hyps, refs, progress=progress), rouge_l(hyps, refs), cider(hyps, refs),
            nist(hyps, refs, perl=True)]  # fmt: skip


def _webnlg(hyps: list[str], refs: list[list[str]], pretokenized: bool, progress: Progress | None) -> list[Result]:
    outputs = [webnlg_output(hyp) for hyp in hyps]
    firsts = [[ref if pretokenized else webnlg_reference(ref) for ref in own] for own in first_references(refs)]
    return [webnlg_bleu(hyps, refs, pretokenized), webnlg_ter(hyps, refs, pretokenized, progress),
            meteor(outputs, firsts, str, "text:webnlg|refs:first 3", progress)]  # fmt: skip


def _dart(hyps: list[str], refs: list[list[str]], pretokenized: bool, progress: Progress | None) -> list[Result]:
    how = str if pretokenized else split_punctuation
    return [dart_bleu(hyps, refs, pretokenized), dart_ter(hyps, refs, pretokenized, progress),
            meteor(hyps, first_references(refs), how, f"text:{'as given' if pretokenized else 'dart'}|refs:first 3", progress),
            *learned(hyps, _some(refs))]  # fmt: skip


def _rouge(hyps: list[str], refs: list[list[str]], _pretokenized: bool, progress: Progress | None) -> list[Result]:
    return [*rouge(hyps, _some(refs))]


def _plain(hyps: list[str], refs: list[list[str]], _pretokenized: bool, progress: Progress | None) -> list[Result]:
    refs = _some(refs)
    return [e2e_bleu(hyps, refs), rouge_l(hyps, refs), *rouge(hyps, refs)[:2]]


def _some(refs: list[list[str]]) -> list[list[str]]:
    """Drop the empty lines that stand for missing references."""
    return [[ref for ref in own if ref.strip()] or [""] for own in refs]


SUITES = {
    suite.name: suite
    for suite in (
        Suite("e2e", _e2e, gather=True, blocks=True),
        Suite("webnlg", _webnlg),
        Suite("dart", _dart),
        Suite("rouge", _rouge),
        Suite("summarization", _rouge),
        Suite("plain", _plain, gather=True, blocks=True),
    )
}


def suite(name: str) -> Suite:
    """Return the suite of a data set or task; the plain one for any other task."""
    return SUITES.get(name, SUITES["plain"])


def named_suite(name: str) -> Suite:
    """Return the suite with exactly this name. Raises BadInput."""
    if name not in SUITES:
        raise BadInput(f"There are no scores named {name!r}: choose {', '.join(SUITES)}.")
    return SUITES[name]


def entries(name: str, examples: Sequence[Example]) -> list[Example]:
    """Return the examples in the form in which they are scored: rows of one source are merged if the data set has one per
    reference."""
    return group_by_source(list(examples)) if suite(name).gather else list(examples)


def score_examples(
    name: str,
    texts: list[str],
    examples: Sequence[Example],
    pretokenized: bool = False,
    input_format: str = "",
    progress: Progress | None = None,
) -> list[Result]:
    """Compute every score of a data set for one text per example, in the order of the paper's tables.

    `input_format`: the kind of the sources (see `core.task.Task`); by default the data set's own. If some examples are seen and
    others unseen, the official scores are also given as "BLEU-seen", "BLEU-unseen" and so on; if there are untokenised
    references, also "BLEU-original". Raises BadInput if texts and examples do not match.
    """
    refs = [list(example.targets) for example in examples]
    results = suite(name).metrics(texts, refs, pretokenized, progress)
    scores = [score for score in results if isinstance(score, Score)]
    if all(example.originals for example in examples) and any(example.originals != example.targets for example in examples):
        results.append(original_bleu(texts, [list(example.originals) for example in examples]))
    results += _of_parts(scores, examples)
    checked = _checked(input_format or task(name).input_format, texts, examples)
    return [*results, *checked, *_of_parts(checked, examples)]


def _checked(input_format: str, texts: list[str], examples: Sequence[Example]) -> list[Score]:
    """Compute coverage of tables and unsupported statements; none for sources that are lines of a file or plain texts."""
    if input_format == "article":
        return article_scores([example.source for example in examples], texts)
    try:
        tables = [table_of_source(input_format, example.source) for example in examples]
    except BadTable:
        return []
    return coverage_scores(tables, texts) if all(tables) else []


def _of_parts(scores: Sequence[Score], examples: Sequence[Example]) -> list[Score]:
    return [subset(score, places, f"{score.name}-{word}") for word, places in _parts(examples) for score in scores]


def _parts(examples: Sequence[Example]) -> list[tuple[str, list[int]]]:
    """Return the indices of the seen and of the unseen examples, if there are both."""
    parts = [(word, [place for place, one in enumerate(examples) if one.seen == seen]) for word, seen in _SEEN]
    return parts if all(places for _, places in parts) else []
