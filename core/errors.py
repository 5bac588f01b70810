"""Every error a user can meet, in one tree.

PrefixLabError
├── BadInput            something the user typed, pasted or pointed at is not usable
│   ├── BadTable        a linearised table cannot be read; names the field
│   ├── BadData         a row of a data file cannot be read; names file and line
│   └── TooLong         more tokens than the model has positions for
├── BadConfig           an unknown field, or a value out of range
├── BackboneNotFound    no such model here, and (where tried) no network to fetch it
├── WrongBackbone       a run belongs to another backbone (names both)
├── StoreError          the run store cannot be read or written
│   └── RunNotFound     no run of that id
├── Busy                more is asked of the model at once than may wait
├── TrainingFailed      the loss diverged or became NaN; the last good state is kept
└── NotSupported        a method or model family that does not fit, by name

A message says what was wrong, what was given and what to do. The edges (CLI, app) print it as
it is, but for the name of a setting (`PrefixLabError.sentence`); anything else that escapes is a bug.
"""

from collections.abc import Mapping


class PrefixLabError(Exception):
    """Root of every error meant for a user. Its text is one line: of what was given, signs that cannot be printed are escaped.

    `setting`: the field of a settings class that the text begins with, if it is about one. See `sentence`.
    """

    def __init__(self, text: str = "", setting: str = "") -> None:
        super().__init__(text)
        self.setting = setting

    def sentence(self, names: Mapping[str, str]) -> str:
        """Return the text with the name that a user knows its setting by, such as an option or a label."""
        name = names.get(self.setting)
        return name + str(self).removeprefix(self.setting) if name else str(self)

    def __str__(self) -> str:
        return "".join(sign if sign.isprintable() else _escaped(sign) for sign in super().__str__())


def _escaped(sign: str) -> str:
    return " " if sign.isspace() else sign.encode("unicode_escape").decode()


class BadInput(PrefixLabError):
    """Something typed, pasted or pointed at is not usable."""


class BadTable(BadInput):
    """A linearised table cannot be read."""


class BadData(BadInput):
    """A row of a data file cannot be read."""


class TooLong(BadInput):
    """More tokens than the model has positions for."""


class BadConfig(PrefixLabError):
    """An unknown configuration field, or a value out of range."""


class BackboneNotFound(PrefixLabError):
    """No such model here."""


class WrongBackbone(PrefixLabError):
    """A run belongs to another backbone."""


class StoreError(PrefixLabError):
    """The run store cannot be read or written."""


class RunNotFound(StoreError):
    """No run of that id."""


class Busy(PrefixLabError):
    """More is asked of the model at once than may wait."""


class TrainingFailed(PrefixLabError):
    """The loss diverged; the last good state is kept."""


class NotSupported(PrefixLabError):
    """A method or model family that does not fit."""
