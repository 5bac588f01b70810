"""Data sets of the Hugging Face hub by name, read with the package `datasets`.

The package is not a requirement, since it brings Arrow and a network client. If it is installed and the data set can be
downloaded or is cached, `hub:NAME` or `hub:NAME:CONFIGURATION` can be used wherever a file can.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TypeVar

from core.data.rows import BadRow, Row, Rows
from core.errors import BadData, BadInput

HUB = "hub:"
_SPLITS = {"dev": ("validation", "dev", "valid")}
Answer = TypeVar("Answer")


def is_hub(data: str) -> bool:
    """Whether `data` is the name of a hub data set (not a path)."""
    return data.startswith(HUB)


def hub_rows(data: str, split: str) -> Rows:
    """Yield the rows of a split, numbered from 1. Raises BadInput without the package, BadData if set or split are not
    available."""
    (name, configuration), package = _parse_name(data), _package()
    splits = _query(data, lambda: package.get_dataset_split_names(name, configuration))
    own_name = next((one for one in _SPLITS.get(split, (split,)) if one in splits), None)
    if own_name is None:
        raise BadData(f"{data} has no split {split!r}, only {', '.join(map(str, splits))}: choose one of these, or give a file.")
    return _numbered(_query(data, lambda: package.load_dataset(name, configuration, split=own_name)))


def has_split(data: str, split: str) -> bool:
    """Whether a data set has a split. Raises the errors of `hub_rows`."""
    name, configuration = _parse_name(data)
    splits = _query(data, lambda: _package().get_dataset_split_names(name, configuration))
    return any(one in splits for one in _SPLITS.get(split, (split,)))


def _package() -> ModuleType:
    if importlib.util.find_spec("datasets") is None:
        raise BadInput(
            "Data sets of the hub are read with the package datasets, which is not installed: "
            f"{sys.executable} -m pip install datasets. Or download the set and give its file with --data."
        )
    return importlib.import_module("datasets")


def _parse_name(data: str) -> tuple[str, str | None]:
    name, _, configuration = data.removeprefix(HUB).partition(":")
    if not name.strip():
        raise BadInput(f"{data!r} names no data set: write hub:NAME or hub:NAME:CONFIGURATION.")
    return name, configuration or None


def _query(data: str, ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except BadInput:
        raise
    except Exception as error:  # the package raises its own classes, and those of its network client
        message = " ".join(str(error).split())[:200]
        raise BadData(
            f"{data} is not available ({type(error).__name__}: {message}). "
            "Check the name and the network, or give a file with --data."
        ) from error


def _numbered(rows: Iterable[Mapping[str, object]]) -> Iterator[tuple[int, Row | BadRow]]:
    for number, row in enumerate(rows, 1):
        yield number, dict(row)
