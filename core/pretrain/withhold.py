"""What of a corpus is not trained on, because a summarization task measures with it.

Held-out rows (valid and test) of every set given: a document that has the title, the summary or a paragraph of
one is left out whole. News streams lose their titles and opening sentences, which are the summaries of the task.
"""

import gzip
import json
import re
from pathlib import Path

from core.errors import BadData, BadInput

NEWS = ("wikinews",)
HELD_OUT = ("valid", "test")
LONG = 8  # words a paragraph needs to be told apart from a chance repetition
SENTENCE_END = re.compile(r"(?<![A-Z])(?<!\b(?:Mr|Ms|Dr|St|Jr|Sr|No|vs))(?<!\bMrs)[.!?][\"')\]]*\s+(?=[A-Z0-9\"'(])")


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


class Withheld:
    """What the rows of summarization sets forbid: `keep` gives a document as it may be trained on, or None."""

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.glob("*/*.jsonl*") if path.name.split(".")[0] in ("train", *HELD_OUT))
        if not files:
            raise BadInput(f"No rows to withhold: {folder} holds no <set>/valid.jsonl or the like. Mend --withhold.")
        self.held_out: set[str] = set()
        self.summaries: set[str] = set()
        for path in files:
            for row in _rows(path):
                self.summaries.add(_key(row["summary"]))
                if path.name.split(".")[0] in HELD_OUT:
                    self.held_out |= {_key(row["summary"]), _key(row.get("title", ""))} - {""}
                    self.held_out |= {_key(part) for part in row["article"].split("\n") if len(part.split()) >= LONG}

    def keep(self, stream: str, text: str) -> str | None:
        """The document without what is withheld; None where nothing may be kept of it."""
        paragraphs = text.split("\n")
        openings = [SENTENCE_END.split(part, maxsplit=1)[0] for part in paragraphs]
        if any(_key(part) in self.held_out for part in (*paragraphs, *openings)):
            return None
        return self._body(paragraphs[1:]) if stream in NEWS else text

    def _body(self, paragraphs: list[str]) -> str | None:
        """A news text after its opening sentence; no paragraph may begin with any summary."""
        kept = []
        for index, paragraph in enumerate(paragraphs):
            parts = SENTENCE_END.split(paragraph, maxsplit=1)
            if index == 0 or _key(parts[0]) in self.summaries:
                paragraph = parts[1] if len(parts) > 1 else ""
            if paragraph and _key(paragraph) not in self.summaries:
                kept.append(paragraph)
        return "\n".join(kept) or None


def _rows(path: Path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                yield {"summary": row["summary"], "article": row["article"], "title": row.get("title", "")}
            except (ValueError, KeyError, TypeError) as error:
                raise BadData(f"{path}, line {number}: not a row with 'article' and 'summary' ({error}). Mend it.") from error
