"""Tables as CSV for spreadsheets."""

import pandas as pd


def to_csv(frame: pd.DataFrame, line_end: str = "\n") -> str:
    """Return a table as CSV with all digits, in which no text is a formula that a spreadsheet would run."""
    return str(frame.astype(object).map(_plain).to_csv(index=False, lineterminator=line_end))


def _plain(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
