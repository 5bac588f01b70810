"""TER: the edits (insertions, deletions, substitutions, shifts of words) from an output to a reference, per reference word.

Counted as in sacrebleu, which follows tercom. In percent, lower is better; the official scripts print a fraction. Of several
references the one with the fewest edits counts, over the mean length of all.
"""

import numpy as np
from sacrebleu.metrics.ter import TER
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

from analysis.metrics.base import Progress, Score, check, ratio, tracked
from analysis.metrics.ter_edits import edit_count
from analysis.metrics.tokenizers import split_punctuation, webnlg_output, webnlg_reference

_tercom = TercomTokenizer()


def webnlg_ter(hyps: list[str], refs: list[list[str]], normalised: bool = False, progress: Progress | None = None) -> Score:
    """Return WebNLG's TER: texts as for `webnlg_bleu`, up to three references, empty ones left out. Raises BadInput."""
    check(hyps, refs)
    references = first_references(refs)
    references = references if normalised else [[webnlg_reference(ref) for ref in own] for own in references]
    return _ter([webnlg_output(hyp) for hyp in hyps], references, "text:webnlg|refs:first 3", progress)


def dart_ter(hyps: list[str], refs: list[list[str]], tokenised: bool = False, progress: Progress | None = None) -> Score:
    """Return DART's TER: up to three references, empty ones left out, as in its script. Raises BadInput. `tokenised`: see
    `dart_bleu`."""
    check(hyps, refs)
    references = first_references(refs)
    if not tokenised:
        hyps, references = (
            [split_punctuation(hyp) for hyp in hyps],
            [[split_punctuation(ref) for ref in own] for own in references],
        )
    return _ter(hyps, references, f"text:{'as given' if tokenised else 'dart'}|refs:first 3", progress)


def first_references(refs: list[list[str]]) -> list[list[str]]:
    """Return the non-empty ones of the first three references, which the scripts of WebNLG and DART use."""
    return [[ref for ref in own[:3] if ref.strip()] or [""] for own in refs]


def _ter(hyps: list[str], refs: list[list[str]], note: str, progress: Progress | None) -> Score:
    pairs = list(zip(hyps, refs, strict=True))
    sums = np.array([_edits_and_length(hyp, own) for hyp, own in tracked(pairs, "TER", progress)], dtype=float)
    each = tuple(100.0 * bool(edits) if not length else edits / length for edits, length in sums)
    metric = TER()
    metric.sentence_score("", refs[-1])  # sacrebleu's signature needs a score
    return Score("TER", ratio(sums.sum(axis=0)), False, f"{metric.get_signature()}|{note}", len(hyps), each, sums, ratio)


def _edits_and_length(hyp: str, refs: list[str]) -> tuple[float, float]:
    """Return the edits to the nearest reference in percent, and the mean number of words of the references."""
    output, *references = (_tercom(text.rstrip()).split() for text in (hyp, *refs))
    edits = min(edit_count(output, reference) for reference in references)
    return 100 * edits, sum(map(len, references)) / len(references)
