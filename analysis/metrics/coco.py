"""ROUGE-L and CIDEr as the COCO captions' scripts define them, which the E2E challenge's script runs.

The tokens are `coco_tokens`, a stand-in for the Penn Treebank tokenizer (java) of the original; signatures say so.
CIDEr is the variant called CIDEr-D: clipped counts, and a penalty for a difference in length (in bigrams, as the script has it).
"""

import math
from collections import Counter
from collections.abc import Iterable

from analysis.metrics.base import Score, check, mean_score
from analysis.metrics.tokenizers import COCO, coco_tokens

_BETA = 1.2  # recall weighs more than precision
_ORDERS, _SIGMA = 4, 6.0
_TOKENS = f"case:lc|tok:{COCO}"

Ngram = tuple[str, ...]
Vector = dict[Ngram, float]


def rouge_l(hyps: list[str], refs: list[list[str]]) -> Score:
    """ROUGE-L (0 to 100): the best precision and the best recall over the references, as F with beta 1.2; mean of the examples.

    Raises BadInput where the lists do not match, are empty, or an output has no reference.
    """
    check(hyps, refs)
    each = [100 * _rouge_l(coco_tokens(hyp), [coco_tokens(ref) for ref in own]) for hyp, own in zip(hyps, refs, strict=True)]
    return mean_score("ROUGE-L", each, True, f"ROUGE-L|beta:1.2|refs:best|{_TOKENS}")


def _rouge_l(output: list[str], references: list[list[str]]) -> float:
    common = [lcs(output, words) for words in references]
    precision = max(common) / max(1, len(output))
    recall = max(same / max(1, len(words)) for same, words in zip(common, references, strict=True))
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision) if precision else 0.0


def lcs(one: list[str], other: list[str]) -> int:
    """Length of the longest common subsequence, a column of the usual table at a time as the bits of one number."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    full = column = (1 << len(one)) - 1
    for word in other:
        same = column & places.get(word, 0)
        column = (column + same | column - same) & full
    return len(one) - column.bit_count()


def cider(hyps: list[str], refs: list[list[str]]) -> Score:
    """CIDEr (0 up, a perfect output has 10 at most): likeness of n-grams weighted by how few examples' references hold them.

    Raises BadInput as `rouge_l`. With one example every weight is 0, and so is the score.
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
    """One vector an order."""
    vectors: list[Vector] = [{} for _ in range(_ORDERS)]
    for ngram, count in counts.items():
        vectors[len(ngram) - 1][ngram] = count * weight.get(ngram, rare)
    return vectors


def _alike(output: list[Vector], reference: list[Vector], longer: int) -> float:
    """Mean over the orders of the clipped cosine, times the penalty for a difference in length."""
    cosines = [_cosine(one, other) for one, other in zip(output, reference, strict=True)]
    return math.exp(-(longer**2) / (2 * _SIGMA**2)) * sum(cosines) / _ORDERS


def _cosine(output: Vector, reference: Vector) -> float:
    norms = math.hypot(*output.values()) * math.hypot(*reference.values())
    dot = sum(min(value, reference[ngram]) * reference[ngram] for ngram, value in output.items() if ngram in reference)
    return dot / norms if norms else 0.0
