"""BLEU as the official script of each data set computes it, through sacrebleu.

E2E challenge: lower-cased, 13a tokens, several references. `e2e_bleu` is what the paper reports: raw output against the
tokenised references. `original_bleu` scores what people read: detokenised output against the untokenised references. WebNLG and
DART: Moses' multi-bleu on three references, where a missing reference is an empty line.
"""

import threading
from functools import cache, partial
from itertools import zip_longest

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from analysis.metrics.base import Score, check
from analysis.metrics.tokenizers import split_punctuation, webnlg_output, webnlg_reference
from core.text.detokenize import DETOKENISER, detokenise

ORDERS = 4
_LOCK = threading.Lock()  # a metric notes the number of references of its last call


def e2e_bleu(hyps: list[str], refs: list[list[str]]) -> Score:
    """Return corpus BLEU (0 to 100) of raw outputs; `refs[i]` has any number of references of `hyps[i]`.

    `per_example` is sacrebleu's sentence BLEU with effective order; its mean is not the corpus value. Raises BadInput if the
    lists do not match or are empty, or if an output has no reference.
    """
    return _bleu("BLEU", hyps, refs, "", lowercase=True, tokenize="13a", smooth="exp")


def original_bleu(hyps: list[str], originals: list[list[str]]) -> Score:
    """Return `e2e_bleu` of detokenised outputs against untokenised references; the signature ends with the detokeniser's name."""
    note = f"|output:{DETOKENISER}|refs:original"
    hyps = [detokenise(hyp) for hyp in hyps]
    return _bleu("BLEU-original", hyps, originals, note, lowercase=True, tokenize="13a", smooth="exp")


def webnlg_bleu(hyps: list[str], refs: list[list[str]], normalised: bool = False) -> Score:
    """Return WebNLG's BLEU: ASCII, lower-cased, punctuation separated, the first three references. Raises BadInput.

    `normalised`: the references went through the script already (its gold-*.lex files).
    """
    hyps = [webnlg_output(hyp) for hyp in hyps]
    return _multi_bleu("BLEU", hyps, refs if normalised else [[webnlg_reference(ref) for ref in own] for own in refs], "webnlg")


def dart_bleu(hyps: list[str], refs: list[list[str]], tokenised: bool = False) -> Score:
    """Return DART's BLEU: cased, punctuation separated, the first three references. Raises BadInput.

    `tokenised`: outputs and references are tokenised already (the script's own files), so words are separated by spaces.
    """
    if not tokenised:
        hyps, refs = [split_punctuation(hyp) for hyp in hyps], [[split_punctuation(ref) for ref in own] for own in refs]
    return _multi_bleu("BLEU", hyps, refs, "as given" if tokenised else "dart")


def _multi_bleu(name: str, hyps: list[str], refs: list[list[str]], how: str) -> Score:
    check(hyps, refs)
    most = min(3, max(len(own) for own in refs))
    refs = [own[:most] + [""] * (most - len(own)) for own in refs]
    note = f"|text:{how}|refs:first {most}, missing as empty"
    return _bleu(name, hyps, refs, note, lowercase=False, tokenize="none", smooth="none")


def _bleu(name: str, hyps: list[str], refs: list[list[str]], note: str, lowercase: bool, tokenize: str, smooth: str) -> Score:
    check(hyps, refs)
    streams = [list(stream) for stream in zip_longest(*refs)]  # (most references, n), None where an example has fewer
    with _LOCK:
        metric = _metric(lowercase, tokenize, smooth, False)
        value = metric.corpus_score(hyps, streams).score
        signature = str(metric.get_signature()) + note
        sentence = _metric(lowercase, tokenize, smooth, True)
        scores = [sentence.sentence_score(hyp, own) for hyp, own in zip(hyps, refs, strict=True)]
    sums = np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in scores], dtype=float)
    value_of = partial(_of_counts, smooth=smooth)
    return Score(name, value, True, signature, len(hyps), tuple(one.score for one in scores), sums, value_of)


@cache
def _metric(lowercase: bool, tokenize: str, smooth: str, effective_order: bool) -> BLEU:
    """Return sacrebleu's metric, one for all calls: its tokenisers remember 65,536 lines, and with each line themselves."""
    # force: tokenised references are meant, so no warning about them
    return BLEU(lowercase, True, tokenize, smooth_method=smooth, effective_order=effective_order)


def _of_counts(sums: np.ndarray, smooth: str) -> float:
    """Compute BLEU from summed counts: matches and n-grams of each order, then the lengths of outputs and closest references."""
    counts = [int(number) for number in sums]
    matches, totals, (outputs, references) = counts[:ORDERS], counts[ORDERS : 2 * ORDERS], counts[2 * ORDERS :]
    return BLEU.compute_bleu(matches, totals, outputs, references, smooth_method=smooth).score
