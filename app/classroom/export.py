"""The board as files: a table of all entries, and a zip of their runs."""

import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import pandas as pd

from app.classroom.board import Board
from app.shared.spreadsheet import to_csv
from core.exchange.archive import export_zip
from core.runs.store import Store

COLUMNS = ("name", "run", "about", "state", "virtual tokens", "stored numbers", "bytes", "coverage", "BLEU", "unsupported",
           "hidden rows", "votes")  # fmt: skip
TABLE = "board.csv"


def board_csv(board: Board) -> bytes:
    """Return one row per entry, the best first; `votes` are the sum over all blind rounds.

    It begins with a byte order mark, without which spreadsheets do not read it as UTF-8.
    """
    votes: Counter[str] = Counter()
    for one in board.rounds:
        runs = {line.letter: line.entry for line in one.lines}
        votes.update(runs[letter] for letter in one.votes.values() if one.blind and letter in runs)
    rows = [[entry.name, entry.id, entry.about, entry.state, entry.length, entry.stored, entry.bytes, entry.coverage, entry.bleu,
             entry.unsupported, entry.rows, votes[entry.id]] for entry in board.entries()]  # fmt: skip
    return to_csv(pd.DataFrame(rows, columns=COLUMNS, dtype=object), "\r\n").encode("utf-8-sig")


def zip_of_runs(board: Board, store: Store, file: Path) -> None:
    """Write the table, and one zip per run, each of which can be imported."""
    present = {run.id: run for run in store.runs()}
    with zipfile.ZipFile(file, "w") as out, tempfile.TemporaryDirectory() as folder:
        out.writestr(TABLE, board_csv(board))
        for entry in board.entries():
            if entry.id in present:
                out.write(export_zip(present[entry.id], Path(folder) / f"{entry.id}.zip"), f"{entry.id}.zip")
