"""The values of a page's components when texts are requested."""

from dataclasses import dataclass
from typing import TypedDict

from app.compare.comparison import ORDER
from app.compare.components import CompareComponents
from app.compare.source_editor import EditorValue
from app.shared.events import Inputs
from app.shared.numbers import typed_seed
from app.shared.shell import Shell
from core.config.decode import DecodeConfig
from core.config.decoding_defaults import default_decoding
from core.methods.loading import TEXT_RUN


class DecodingChoice(TypedDict, total=False):
    """The fields of DecodeConfig that can be chosen on the page."""

    mode: str
    seed: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class PageInputs:
    """The inputs of a comparison.

    `name`, `task`: the chosen backbone and task; `current`: those that the page shows ([] at first); `runs`: run ids by slot
    ("" for any); `decoding`: the chosen settings.
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
        """Whether another task was chosen on the same backbone."""
        return bool(self.current) and self.name == self.current[0] and self.task != (self.current[1] or "")

    def runs_for(self, name: str) -> dict[str, str]:
        """Return the runs to show on a backbone. If backbone or task change, the page's runs do not count, but a typed text
        stays."""
        if not self.current or [name, self.task or None] == self.current:
            return self.runs
        return {slot: run if run.startswith(TEXT_RUN) else "" for slot, run in self.runs.items()}


def read_inputs(inputs: Inputs, page: CompareComponents, shell: Shell, default: str) -> PageInputs:
    """Read the components; `default` is the backbone if none is chosen. Raises BadConfig or BadInput for a bad number."""
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
    """Read the decoding settings; the rest depends on the form. A cleared number gets its default.

    Raises BadInput for a seed that a link would not bring back.
    """
    choice: DecodingChoice = {"mode": inputs[page.mode]}
    if (seed := inputs[page.seed]) is not None:
        choice["seed"] = typed_seed(seed)
    if (temperature := inputs[page.temperature]) is not None:
        choice["temperature"] = temperature
    if (top_p := inputs[page.top_p]) is not None:
        choice["top_p"] = top_p
    return choice


def decode_for(form: str, choice: DecodingChoice) -> DecodeConfig:
    """Return the page's decoding of an input format, with the chosen settings. Raises BadConfig."""
    return default_decoding(form, choice["mode"]).replace(**choice)
