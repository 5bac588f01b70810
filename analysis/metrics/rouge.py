"""ROUGE-1, ROUGE-2 and ROUGE-L as summarization papers report them: the rules of the rouge-score package, with stemming.

Only the letters a-z and digits, lower-cased; words of more than three letters are stemmed (NLTK's Porter stemmer). An example's
value is an F measure (0 to 100), the best over its references; the corpus value is their mean.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version

from rapidfuzz.distance.LCSseq import similarity as lcs

from analysis.metrics.base import Score, check, mean_score


def rouge(hyps: list[str], refs: list[list[str]]) -> list[Score]:
    """Return ROUGE-1, ROUGE-2 and ROUGE-L (over the whole text, "rougeL" in that package). Raises BadInput if the lists do
    not match."""
    check(hyps, refs)
    outputs = [rouge_words(hyp) for hyp in hyps]
    references = [[rouge_words(ref) for ref in own] for own in refs]
    scores = []
    for kind in ("1", "2", "L"):
        each = [100 * max(_f(kind, output, words) for words in own) for output, own in zip(outputs, references, strict=True)]
        signature = f"ROUGE-{kind}|F1|refs:best|stemmer:nltk-{version('nltk')}|rules:rouge-score-0.1.2"
        scores.append(mean_score(f"ROUGE-{kind}", each, True, signature))
    return scores


def rouge_words(text: str) -> list[str]:
    """Return the words that are compared."""
    return [_stem(word) if len(word) > 3 else word for word in re.sub(r"[^a-z0-9]+", " ", text.lower()).split()]


def _f(kind: str, output: list[str], reference: list[str]) -> float:
    if kind == "L":
        same, size, reference_size = lcs(output, reference), len(output), len(reference)
    else:
        one, other = (Counter(zip(*(words[start:] for start in range(int(kind))), strict=False)) for words in (output, reference))
        same, size, reference_size = (one & other).total(), one.total(), other.total()
    return 2 * same / (size + reference_size) if same else 0.0


@lru_cache(maxsize=2**16)
def _stem(word: str) -> str:
    return _stemmer()(word)


@lru_cache(maxsize=1)
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer  # late: nltk takes a second to import

    return PorterStemmer().stem
