"""BART's noise on token ids (Lewis et al. 2020): shuffle sentences, and replace spans by one mask each."""

import re
from collections.abc import Mapping

import numpy as np

ABBREVIATIONS = "Mr|Mrs|Ms|Dr|St|Jr|Sr|No|vs|Gen|Col|Lt|Sgt|Rev|Prof|Inc|Ltd|Co|Corp|Mt|Gov|Sen|Rep|Capt|Adm|ca"


class Sentences:
    """Finds sentence starts in token ids, from the first and last characters of the vocabulary's entries.

    A sentence ends at a line break, or at a full stop, question mark or exclamation mark before a capital letter, a digit or a
    quotation mark, unless a single capital letter or a common abbreviation precedes the full stop.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        size = max(vocabulary.values()) + 1
        self.ends, self.breaks, self.opens, self.short = (np.zeros(size, dtype=bool) for _ in range(4))
        short = re.compile(rf"Ġ?([A-Z]|{ABBREVIATIONS})")
        for entry, index in vocabulary.items():  # entries in byte-level BPE's spelling: Ġ is a space, Ċ a line break
            self.ends[index] = re.fullmatch(r"[^\w<]*[.!?][\"')\]]*", entry) is not None
            self.breaks[index] = "Ċ" in entry
            self.opens[index] = re.match(r"Ġ[A-Z0-9\"'(]", entry) is not None
            self.short[index] = short.fullmatch(entry) is not None

    def starts(self, ids: np.ndarray) -> np.ndarray:
        """Return the positions (S,) in `ids` (T,) at which sentences start; the first is 0."""
        last, this = ids[:-1], ids[1:]
        begins = self.breaks[last] & ~self.breaks[this]
        stop = self.ends[last] & self.opens[this]
        stop[1:] &= ~self.short[ids[:-2]]
        return np.concatenate([[0], np.flatnonzero(begins | stop) + 1])


def permute(ids: np.ndarray, starts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the tokens (T,) with their sentences in random order."""
    parts = np.split(ids, starts[1:])
    return np.concatenate([parts[index] for index in rng.permutation(len(parts))])


def infill(ids: np.ndarray, mask: int, rng: np.random.Generator) -> np.ndarray:
    """Hide 30 % of the tokens of `ids` (T,): spans of Poisson(3) tokens, each replaced by one `mask`.

    A span without tokens inserts a mask. Spans never touch, so each mask stands for one span.
    """
    budget = round(len(ids) * 0.3)
    lengths = _span_lengths(budget, rng)
    visible = len(ids) - budget
    lengths = lengths[: visible + 1]  # more spans than gaps: only in texts of a few tokens
    gaps = np.sort(rng.choice(visible + 1, size=len(lengths), replace=False))  # span i follows this many kept tokens
    before = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)
    hidden = np.zeros(len(ids), dtype=bool)
    for start, length in zip(gaps + before, lengths, strict=True):
        hidden[start : start + length] = True
    return np.insert(ids[~hidden], gaps, mask)


def _span_lengths(budget: int, rng: np.random.Generator) -> np.ndarray:
    """Draw Poisson(3) lengths that sum to `budget` exactly; the last is cut."""
    lengths: list[int] = []
    while budget > 0:
        lengths.append(min(int(rng.poisson(3.0)), budget))
        budget -= lengths[-1]
    return np.array(lengths, dtype=int)
