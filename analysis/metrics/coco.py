"""ROUGE-L and CIDEr as defined by the COCO caption scripts, which the E2E challenge's script calls.

The tokens are `coco_tokens`, a stand-in for the original's Penn Treebank tokenizer (java); signatures say so. CIDEr is the
variant CIDEr-D: clipped counts, and a penalty for a difference in length (in bigrams, as in the script).
"""

import math
from collections import Counter
from collections.abc import Iterable

from rapidfuzz.distance.LCSseq import similarity as lcs  # the length of the longest common subsequence

from analysis.metrics.base import Score, check, mean_score
from analysis.metrics.tokenizers import COCO, coco_tokens

_BETA = 1.2  # recall weighs more than precision
_ORDERS, _SIGMA = 4, 6.0
_TOKENS = f"case:lc|tok:{COCO}"

Ngram = tuple[str, ...]
Vector = dict[Ngram, float]


def rouge_l(hyps: list[str], refs: list[list[str]]) -> Score:
    """Return ROUGE-L (0 to 100): F with beta 1.2 of the best precision and the best recall over the references; mean of the
    examples.

    Raises BadInput if the lists do not match or are empty, or if an output has no reference.
    """
    check(hyps, refs)
    each = [100 * _rouge_l(coco_tokens(hyp), [coco_tokens(ref) for ref in own]) for hyp, own in zip(hyps, refs, strict=True)]
    return mean_score("ROUGE-L", each, True, f"ROUGE-L|beta:1.2|refs:best|{_TOKENS}")


def _rouge_l(output: list[str], references: list[list[str]]) -> float:
    common = [lcs(output, words) for words in references]
    precision = max(common) / max(1, len(output))
    recall = max(same / max(1, len(words)) for same, words in zip(common, references, strict=True))
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision) if precision else 0.0


def cider(hyps: list[str], refs: list[list[str]]) -> Score:
    """Return CIDEr (from 0, a perfect output has at most 10): similarity of n-grams, weighted by their rarity in the references.

    Raises BadInput as `rouge_l` does. With a single example all weights, and so the score, are 0.
    """
    check(hyps, refs)
    outputs = [_counts(coco_tokens(hyp)) for hyp in hyps]
    references = [[_counts(coco_tokens(ref)) for ref in own] for own in refs]
    document_counts = Counter(ngram for own in references for ngram in {ngram for counts in own for ngram in counts})
    weight = {ngram: math.log(len(refs) / count) for ngram, count in document_counts.items()}
    rare = math.log(len(refs))  # an n-gram of no reference counts as one of a single example's
    each = []
    for output, own in zip(outputs, references, strict=True):
        vectors = _vectors(output, weight, rare)
        alike = [_alike(vectors, _vectors(reference, weight, rare), _length(output) - _length(reference)) for reference in own]
        each.append(10 * sum(alike) / len(alike))
    return mean_score("CIDEr", each, True, f"CIDEr-D|n:4|sigma:6|{_TOKENS}")


def _counts(words: list[str]) -> Counter[Ngram]:
    orders: Iterable[int] = range(1, _ORDERS + 1)
    return Counter(ngram for order in orders for ngram in zip(*(words[start:] for start in range(order)), strict=False))


def _length(counts: Counter[Ngram]) -> int:
    return sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _vectors(counts: Counter[Ngram], weight: Vector, rare: float) -> list[Vector]:
    """Return one vector per order."""
    vectors: list[Vector] = [{} for _ in range(_ORDERS)]
    for ngram, count in counts.items():
        vectors[len(ngram) - 1][ngram] = count * weight.get(ngram, rare)
    return vectors


def _alike(output: list[Vector], reference: list[Vector], longer: int) -> float:
    """Return the mean over the orders of the clipped cosine, times the penalty for a difference in length."""
    cosines = [_cosine(one, other) for one, other in zip(output, reference, strict=True)]
    return math.exp(-(longer**2) / (2 * _SIGMA**2)) * sum(cosines) / _ORDERS


def _cosine(output: Vector, reference: Vector) -> float:
    norms = math.hypot(*output.values()) * math.hypot(*reference.values())
    dot = sum(min(value, reference[ngram]) * reference[ngram] for ngram, value in output.items() if ngram in reference)
    return dot / norms if norms else 0.0
