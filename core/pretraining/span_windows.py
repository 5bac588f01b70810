"""Draw windows of span records from a prepared corpus's text while a model trains on it."""

import random
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from core.pretraining.corpus import END, Documents, usable
from core.pretraining.made_up_names import MadeUpNames
from core.pretraining.records import render
from core.pretraining.spans import records

OPENINGS = 0.5  # share of the draws that read a document's opening; the others read anywhere
READ = 320  # tokens of a document that a draw reads
SAMPLE = 1000  # passages whose names and words made-up names are put together from
MARGIN = 32  # tokens within which a title ends
TRIES = 10_000  # passages in a row without a record


class SpanWindows:
    """Windows of span-record documents, each starting with a whole document.

    Every draw has new passages, spans, keys and layouts; the same generator state gives the same ones.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.documents, self.split = Documents(folder, split), split
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        rng = np.random.default_rng(0)
        self.names = MadeUpNames(" ".join(self._passage(rng)) for _ in range(SAMPLE))

    def batch(self, rows: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return token ids (rows, length), int64, and which of them belong to or end a sentence, bool."""
        ids, scored = np.empty((rows, length), dtype=np.int64), np.zeros((rows, length), dtype=bool)
        for row in range(rows):
            place = 0
            while place < length:
                for part_ids, in_sentence in self._usable_parts(rng):
                    stop = min(length, place + len(part_ids))
                    ids[row, place:stop] = part_ids[: stop - place]
                    scored[row, place:stop] = in_sentence
                    place = stop
        return ids, scored

    def _usable_parts(self, rng: np.random.Generator) -> list[tuple[list[int], bool]]:
        """Draw passages until one has a record, and return its parts. Raises BadInput after `TRIES` passages without."""
        return usable(
            lambda: self._parts(rng) or None,
            TRIES,
            f"No span records can be made from this text: none of {TRIES:,} passages of its {self.split} part has an English "
            "sentence with names, dates or numbers. Add English text to the corpus and give another folder with --out, or "
            "pretrain from Python with span_share=0.",
        )

    def _parts(self, rng: np.random.Generator) -> list[tuple[list[int], bool]]:
        """Return the documents made from one passage as (token ids, whether a sentence); none if the passage has no record."""
        title, text = self._passage(rng)
        draw = random.Random(int(rng.integers(2**62)))
        renamed = [self.names.renamed(record, draw) for record in records(title, text, draw)]
        parts = [part for document in render(renamed, draw) for part in (*document, (END, True))]
        encodings = self.tokenizer.encode_batch_fast([text for text, _ in parts])
        return [(encoding.ids, in_sentence) for encoding, (_, in_sentence) in zip(encodings, parts, strict=True)]

    def _passage(self, rng: np.random.Generator) -> tuple[str, str]:
        """Return a document's title ("" if it has none), and a part of its text that starts with a sentence."""
        opening = rng.random() < OPENINGS
        ids = self.documents.by_document(rng) if opening else self.documents.by_token(rng)
        title, line_break, text = self.tokenizer.decode(ids[:READ].tolist()).partition("\n")
        if not line_break or len(title) > 80 or title.endswith((".", "!", "?")):
            title, text = "", f"{title}\n{text}"
        if not opening and len(ids) > READ:
            start = int(rng.integers(0, len(ids) - READ))
            if start > MARGIN:
                text = self.tokenizer.decode(ids[start : start + READ].tolist())
                text = text[text.find(". ") + 2 :]
        return title, text
