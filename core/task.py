"""Tasks and examples: what a model is trained on, and how its texts are laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from core.config.base import Config
from core.errors import BadInput


@dataclass(frozen=True)
class Example:
    """One input with its references.

    `targets`: what the model trains on and is scored against in the paper (tokenised, if the data set is); `originals`: the
    untokenised references, if the data set has them.
    """

    source: str
    targets: tuple[str, ...]
    group: str = ""
    seen: bool = True
    id: str = ""
    originals: tuple[str, ...] = ()


END = "<|endoftext|>"  # GPT-2's end of text; `task_for_backbone` puts the backbone's own in its place
FORMAT_KEY = "form"  # `Task.input_format` in run.json and state.json, where it keeps the name that it had first
INPUTS = {"table": "tables", "webnlg": "triples", "dart": "triples", "text": "texts", "article": "articles"}  # format -> plural
FORMATS = tuple(INPUTS)
SUMMARIZATION = "summarization"
LONGEST_NAME = 80  # characters of a task's name


def check_task_name(name: str) -> str:
    """Return the name of a task. Raises BadInput for one that is too long or has several lines."""
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise BadInput(f"{name[:90]!r} cannot be the name of a task. Give one line of up to {LONGEST_NAME} characters.")
    return name


@dataclass(frozen=True)
class Task(Config):
    """The layout of a task's texts, stored with each run: `lead source separator`, then `target_lead target end`.

    The loss includes only the target and its end. `paper`: whether this is the official code's layout. `input_format`: the kind
    of source: a "table" (`key : value | …`), triples as the paper writes them for "webnlg" or "dart", an "article" of several
    lines, or any "text". `cut`: the maximal number of tokens read from a source with its lead and separator, the rest is left
    out; 0: a source that is too long is an error. `bos`: the tokenizer's start token, which precedes everything.
    """

    name: str = "e2e"
    input_format: str = "table"
    lead: str = ""
    separator: str = "\n"
    target_lead: str = ""
    end: str = END
    cut: int = 0
    bos: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("cut", "bos"):
                self._check(isinstance(getattr(self, field.name), str), field.name, "a text")
        self._check_number("cut", 0, whole=True)
        self._check(isinstance(self.bos, bool), "bos", "true or false")
        self._check(self.input_format in FORMATS, "input_format", f"one of {', '.join(FORMATS)}")

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Build from the result of `to_dict`. Raises BadConfig for an unknown field."""
        return super().from_dict({"input_format" if name == FORMAT_KEY else name: values[name] for name in values})

    def to_dict(self) -> dict[str, object]:
        """Return plain values; `bos` only if it is set, so that older versions can read the rest."""
        values = {FORMAT_KEY if name == "input_format" else name: value for name, value in super().to_dict().items()}
        return {name: value for name, value in values.items() if name != "bos" or value}

    def prompt(self, source: str) -> str:
        """Return the text that the model reads before it generates."""
        return f"{self.lead}{source}{self.separator}"

    def answer(self, target: str) -> str:
        """Return the text that it should generate, with its end."""
        return f"{self.target_lead}{target}{self.end}"


def task(name: str, layout: str = "newline", input_format: str = "") -> Task:
    """Return a task by name, in the "newline" layout or in the paper's (`" {source} <|endoftext|> {target} <|endoftext|>"`).

    `input_format`: the kind of its sources (see Task); by default triples for "webnlg" and "dart", articles for
    "summarization", else tables.
    """
    input_format = input_format or ("article" if name == SUMMARIZATION else name if name in ("webnlg", "dart") else "table")
    if layout == "paper":
        return Task(name, input_format, lead=" ", separator=f" {END}", target_lead=" ", end=f" {END}")
    return Task(name, input_format)
