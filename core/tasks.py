"""What is trained on and asked for: examples, and the text form of a task."""

from dataclasses import dataclass, fields

from core.config import Config


@dataclass(frozen=True)
class Example:
    """One input with its references.

    `targets` are what the model trains on and is scored against as the paper does (tokenised, where
    the set is); `originals` the untokenised references, where the set has them.
    """

    source: str
    targets: tuple[str, ...]
    group: str = ""
    seen: bool = True
    id: str = ""
    originals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task(Config):
    """The text form of a task, stored with each run: `lead source separator` then `target_lead target end`.

    The loss counts the target and its end only. `paper` is the official code's form. `cut`: most tokens that are read
    of a source with its lead and separator, the rest is left out; 0 for no cut, where a source that is too long is refused.
    """

    name: str = "e2e"
    lead: str = ""
    separator: str = "\n"
    target_lead: str = ""
    end: str = "<|endoftext|>"
    cut: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "cut":
                self._check(isinstance(getattr(self, field.name), str), field.name, "a text")
        self._check_number("cut", 0, whole=True)

    def prompt(self, source: str) -> str:
        """What the model reads before it writes."""
        return f"{self.lead}{source}{self.separator}"

    def answer(self, target: str) -> str:
        """What it is to write, its end included."""
        return f"{self.target_lead}{target}{self.end}"


def task(name: str, form: str = "newline") -> Task:
    """A task by name in the "newline" form or in the paper's (`" {source} <|endoftext|> {target} <|endoftext|>"`)."""
    if form == "paper":
        return Task(name, lead=" ", separator=" <|endoftext|>", target_lead=" ", end=" <|endoftext|>")
    return Task(name)
