"""A round: one table, described by several prefixes in one batch while everybody watches."""

import threading
from contextlib import suppress

from app.classroom.board import Board
from app.classroom.entries import Entries
from app.classroom.records import ENDED_EARLY, FAILED, WRITING, WRITTEN, Line, Round
from app.classroom.texts import Text, attention_shares, coverage_of, write_texts
from app.shared.context import AppContext
from app.shared.events import sentence_of
from core.errors import StoreError


class Rounds:
    """Generates the texts of a board's rounds, in a thread of its own."""

    def __init__(self, context: AppContext, board: Board, entries: Entries) -> None:
        self.context, self.board, self.entries = context, board, entries

    def start(self, round_: Round) -> threading.Thread:
        """Generate the texts of a round in the background."""
        thread = threading.Thread(target=self._run, args=(round_,), name="round", daemon=True)
        thread.start()
        return thread

    def _run(self, round_: Round) -> None:
        try:
            self.write(round_)
        except Exception as error:
            with self.board.change():
                for line in round_.lines:
                    if line.state != WRITTEN:
                        line.state, line.note = FAILED, sentence_of(error)
        finally:
            with suppress(StoreError):  # the presenter's page says that the board is not saved
                self.board.finish_writing(round_.number)

    def write(self, round_: Round) -> None:
        """Generate the texts of a round; ends early if the presenter ends it."""
        backbone, fields = self.entries.backbone, [(key, value) for key, value in round_.fields]
        pairs = [(line.entry, round_.source) for line in round_.lines]
        texts: list[Text] = []
        for texts in write_texts(self.context, backbone, pairs, "round", lambda: round_.state != WRITING):
            with self.board.change(save=False):
                for line, text in zip(round_.lines, texts, strict=True):
                    line.text, line.state, line.note = text.text, text.state, text.note
        for line, text in zip(round_.lines, texts, strict=True):
            if text.state == WRITTEN:
                shares = attention_shares(self.context, backbone, text)
                with self.board.change(save=False):
                    line.shares = shares
                    _mark(line, fields)
            elif text.open:
                line.state, line.note = FAILED, ENDED_EARLY


def _mark(line: Line, fields: list[tuple[str, str]]) -> None:
    coverage, line.spans = coverage_of(fields, line.text)
    line.present, line.missing, line.unsupported = coverage.present, coverage.missing, coverage.unsupported
