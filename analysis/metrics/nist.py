"""NIST as the E2E challenge's script computes it: informative n-grams weigh more (Doddington 2002).

An n-gram w1 … wn weighs log2(count(w1 … wn-1) / count(w1 … wn)), counted over all references of all examples. The score is the
sum over n = 1 to 5 of the weight of the matched n-grams over the number of the output's n-grams, times a penalty for outputs
shorter than the references. The script has two versions, with different reference lengths:

    Python (`measure_scores.py -p`)   the mean length of the example's references
    mteval in Perl (the default)      all words of all references over the largest number of references of an example;
                                      if these numbers differ, this is far below the mean, so there is hardly ever a penalty
"""

import math
from collections import Counter

import numpy as np

from analysis.metrics.base import Score, check
from analysis.metrics.tokenizers import mteval_tokens

ORDERS = 5
_BETA = -math.log(0.5) / math.log(1.5) ** 2  # a ratio of 2/3 halves the score

Ngram = tuple[str, ...]


def nist(hyps: list[str], refs: list[list[str]], perl: bool = False) -> Score:
    """Return corpus NIST (from 0 up) of outputs against their references; `perl`: with mteval's length penalty (see above).

    `per_example` weighs n-grams by the whole set of references. Raises BadInput if the lists do not match.
    """
    check(hyps, refs)
    outputs = [mteval_tokens(hyp) for hyp in hyps]
    references = [[mteval_tokens(ref) for ref in own] for own in refs]
    weight = _weights(references)
    most = max(len(own) for own in references)
    pairs = zip(outputs, references, strict=True)
    sums = np.array([_row(output, own, weight, most if perl else len(own), perl) for output, own in pairs])
    length = "all references over the most" if perl else "mean reference"
    signature = f"NIST-5|case:lc|tok:13a|length:{length}|e2e-metrics:{'mteval' if perl else '-p'}"
    name = "NIST-mteval" if perl else "NIST"
    return Score(name, _of_sums(sums.sum(axis=0)), True, signature, len(hyps), tuple(map(_of_sums, sums)), sums, _of_sums)


def _ngrams(words: list[str], order: int) -> Counter[Ngram]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _weights(references: list[list[list[str]]]) -> dict[Ngram, float]:
    counts: Counter[Ngram] = Counter()
    for words in (words for own in references for words in own):
        counts[()] += len(words)
        for order in range(1, ORDERS + 1):
            counts.update(_ngrams(words, order))
    return {ngram: math.log2(counts[ngram[:-1]] / count) for ngram, count in counts.items() if ngram}


def _row(output: list[str], references: list[list[str]], weight: dict[Ngram, float], over: int, perl: bool) -> list[float]:
    """Return matched weight and number of n-grams by order, then the length of the output and the reference length."""
    matched = []
    for order in range(1, ORDERS + 1):
        known: Counter[Ngram] = Counter()
        for words in references:
            known |= _ngrams(words, order)  # the most that any one reference has
        matched.append(sum(weight[ngram] * count for ngram, count in (_ngrams(output, order) & known).items()))
    totals = [len(output) - order for order in range(ORDERS)]  # below 0 for outputs of under 5 words, in the Python version
    totals = [max(0, total) for total in totals] if perl else totals
    return [*matched, *totals, len(output), sum(map(len, references)) / over]


def _of_sums(sums: np.ndarray) -> float:
    matched, totals, (length, reference) = sums[:ORDERS], sums[ORDERS : 2 * ORDERS], sums[2 * ORDERS :]
    return float((matched / np.maximum(totals, 1)).sum()) * _penalty(length / reference if reference else 1.0)


def _penalty(ratio: float) -> float:
    if ratio >= 1:
        return 1.0
    return math.exp(-_BETA * math.log(ratio) ** 2) if ratio > 0 else 0.0
