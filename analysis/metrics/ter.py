"""TER: the edits (insertions, deletions, substitutions, shifts of words) that make an output a reference, over its words.

Through sacrebleu, which does what tercom does. In percent, and lower is better; the official scripts print it as a fraction.
"""

import numpy as np
from sacrebleu.metrics.ter import TER

from analysis.metrics.base import Score, check, ratio
from analysis.metrics.tokenizers import split_punctuation, webnlg_output, webnlg_reference


def webnlg_ter(hyps: list[str], refs: list[list[str]], normalised: bool = False) -> Score:
    """WebNLG's TER: texts as for `webnlg_bleu`, up to three references, empty ones left out. Raises BadInput."""
    check(hyps, refs)
    kept = [[ref for ref in own[:3] if ref.strip()] or [""] for own in refs]
    kept = kept if normalised else [[webnlg_reference(ref) for ref in own] for own in kept]
    return _ter([webnlg_output(hyp) for hyp in hyps], kept, "text:webnlg|refs:first 3")


def dart_ter(hyps: list[str], refs: list[list[str]], tokenised: bool = False) -> Score:
    """DART's TER: against the first reference only, as its script does. Raises BadInput; `tokenised` as for `dart_bleu`."""
    check(hyps, refs)
    firsts = [own[0] for own in refs]
    if not tokenised:
        hyps, firsts = [split_punctuation(hyp) for hyp in hyps], [split_punctuation(ref) for ref in firsts]
    return _ter(hyps, [[first] for first in firsts], f"text:{'as given' if tokenised else 'dart'}|refs:first")


def _ter(hyps: list[str], refs: list[list[str]], note: str) -> Score:
    metric = TER()
    found = [metric.sentence_score(hyp, own) for hyp, own in zip(hyps, refs, strict=True)]
    sums = np.array([[100 * one.num_edits, one.ref_length] for one in found], dtype=float)
    each = tuple(one.score for one in found)
    return Score("TER", ratio(sums.sum(axis=0)), False, f"{metric.get_signature()}|{note}", len(hyps), each, sums, ratio)
