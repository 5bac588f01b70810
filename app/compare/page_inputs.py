"""What a page's components hold when texts are asked for, as plain values."""

from dataclasses import dataclass
from typing import TypedDict

from app.compare.comparison import ORDER
from app.compare.components import CompareComponents
from app.compare.source_editor import EditorValue
from app.shared.events import Inputs
from app.shared.shell import Shell
from core.config.decode import DecodeConfig
from core.methods.loading import TEXT_RUN


class DecodingChoice(TypedDict, total=False):
    """The fields of DecodeConfig that the page lets a person choose."""

    mode: str
    seed: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class PageInputs:
    """What a comparison is made of, as the page has it.

    `name`, `task`: the backbone and the task chosen; `current`: those of what stands on the page ([] at first); `runs`: run
    ids by slot ("" for any); `decoding`: what was chosen of it.
    """

    table: EditorValue
    name: str
    task: str
    current: list[str | None]
    runs: dict[str, str]
    order: str
    prompt: str
    decoding: DecodingChoice

    @property
    def is_other_task(self) -> bool:
        """Whether another task was chosen than stands on the page, on the same backbone."""
        return bool(self.current) and self.name == self.current[0] and self.task != (self.current[1] or "")

    def runs_for(self, name: str) -> dict[str, str]:
        """The runs to show on a backbone. With another backbone or task the page's runs do not count, but a typed text stays."""
        if not self.current or [name, self.task or None] == self.current:
            return self.runs
        return {slot: run if run.startswith(TEXT_RUN) else "" for slot, run in self.runs.items()}


def read_inputs(inputs: Inputs, page: CompareComponents, shell: Shell, default: str) -> PageInputs:
    """The values of the components; `default` is the backbone where none is chosen. Raises BadConfig for a bad number."""
    decoding = read_decoding(inputs, page)
    DecodeConfig(**decoding)
    return PageInputs(
        table=inputs[page.table],
        name=inputs[shell.backbone] or default,
        task=inputs[shell.task] or "",
        current=inputs[page.current],
        runs={slot: inputs[state] for slot, state in page.runs.items()},
        order=inputs[page.order] or "-".join(ORDER),
        prompt=inputs[page.prompt],
        decoding=decoding,
    )


def read_decoding(inputs: Inputs, page: CompareComponents) -> DecodingChoice:
    """The settings of the decoding that a person chooses; the rest goes by the form. A number that was emptied is its default."""
    choice: DecodingChoice = {"mode": inputs[page.mode]}
    if (seed := inputs[page.seed]) is not None:
        choice["seed"] = int(seed)
    if (temperature := inputs[page.temperature]) is not None:
        choice["temperature"] = temperature
    if (top_p := inputs[page.top_p]) is not None:
        choice["top_p"] = top_p
    return choice
