"""BLEU of the E2E challenge, through sacrebleu: lower-cased, 13a tokens, several references.

The corpus value agrees with the official script exactly. `e2e_bleu` is what the paper reports: raw output against the tokenised
references. `original_bleu` scores what a person reads, detokenised output against the untokenised references.
"""

from itertools import zip_longest

from sacrebleu.metrics.bleu import BLEU

from analysis.metrics.base import Score
from core.errors import BadInput
from core.text import DETOKENISER, detokenise


def e2e_bleu(hyps: list[str], refs: list[list[str]]) -> Score:
    """Corpus BLEU (0 to 100) of raw outputs, `refs[i]` holding the references of `hyps[i]` (as many as there are).

    `per_example` is sacrebleu's sentence BLEU with effective order: for a look at one sentence, its mean is not the corpus value.
    Raises BadInput where the lists do not match, are empty, or an output has no reference.
    """
    _check(hyps, refs)
    metric = BLEU(lowercase=True, tokenize="13a", force=True)  # force: tokenised references are meant, no warning about them
    streams = [list(stream) for stream in zip_longest(*refs)]  # (most references, n), None where an example has fewer
    value = metric.corpus_score(hyps, streams).score
    sentence = BLEU(lowercase=True, tokenize="13a", effective_order=True, force=True)
    each = tuple(sentence.sentence_score(hyp, own).score for hyp, own in zip(hyps, refs, strict=True))
    return Score("BLEU", value, True, str(metric.get_signature()), len(hyps), each)


def original_bleu(hyps: list[str], originals: list[list[str]]) -> Score:
    """`e2e_bleu` of detokenised outputs against untokenised references; the signature ends with the detokeniser's name."""
    score = e2e_bleu([detokenise(hyp) for hyp in hyps], originals)
    signature = f"{score.signature}|output:{DETOKENISER}|refs:original"
    return Score("BLEU-original", score.value, True, signature, score.n, score.per_example)


def _check(hyps: list[str], refs: list[list[str]]) -> None:
    if not hyps or len(hyps) != len(refs):
        raise BadInput(f"{len(hyps)} outputs and {len(refs)} lists of references: give one list an output.")
    bare = next((number for number, own in enumerate(refs, 1) if not own), None)
    if bare is not None:
        raise BadInput(f"Output {bare} of {len(hyps)} has no reference: leave it out, or add one.")
