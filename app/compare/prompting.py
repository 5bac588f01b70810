"""How the frozen model is prompted: as a user would do it, in one layout whatever runs are beside it."""

from functools import cache

from analysis.named_runs import frozen_task
from app.compare.source_editor import parse_rows
from app.shared.examples import Sample, samples, training_samples
from core.errors import BadConfig
from core.models.backbone import Backbone
from core.models.inputs import with_instruction
from core.task import Task
from core.text.triples import SOURCES

INSTRUCTION = "instruction"
PROMPTS = {"": "as it is", INSTRUCTION: "with an instruction", "1": "with 1 example", "3": "with 3 examples"}
BETWEEN_EXAMPLES = "\n\n"
CONTEXT_SHARE = 0.5  # of the model's positions is the most that examples take


def prompts_for(backbone: Backbone, form: str) -> dict[str, str]:
    """Return the ways to prompt a backbone for an input format, as value -> label.

    Examples need inputs that have some, and a decoder-only model: an encoder would read them as part of the input.
    """
    few_shot = not backbone.is_encoder_decoder and bool(_pool(form))
    return {value: label for value, label in PROMPTS.items() if few_shot or not value.isdigit()}


def base_task(backbone: Backbone, form: str, source: str, prompt: str = "") -> Task:
    """Return the frozen model's layout: `source` on a line of its own, optionally after an instruction or examples.

    Raises BadConfig for a prompt that this backbone or form does not have.
    """
    task = frozen_task(backbone, form)
    if prompt not in prompts_for(backbone, form):
        name = PROMPTS.get(prompt, prompt)
        raise BadConfig(f"The frozen model cannot be prompted {name!r} for this input. Choose another way in its column.")
    if prompt == INSTRUCTION:
        return with_instruction(task)
    return task.replace(lead=task.lead + _examples(backbone, task, source, int(prompt))) if prompt else task


def _examples(backbone: Backbone, task: Task, source: str, shots: int) -> str:
    """Return examples in the task's layout; those that share most keys with `source` come last, next to it."""
    nearest = sorted(_pool(task.input_format), key=lambda pair: -len(_keys(pair[0]) & _keys(source)))
    room, context, count = int(CONTEXT_SHARE * backbone.spec.positions), "", 0
    for example, text in nearest:
        longer = f"{example}{task.separator}{text}{BETWEEN_EXAMPLES}" + context
        if count < shots and example != source.strip() and len(backbone.encode(longer)) <= room:
            context, count = longer, count + 1
    return context


@cache
def _pool(form: str) -> tuple[tuple[str, str], ...]:
    """Return (linearised input, text) of the bundled rows from which examples are taken."""
    rows: tuple[Sample, ...] = training_samples() if form == "table" else samples(form) if form in SOURCES else ()
    return tuple((parse_rows(form, row.rows).source.strip(), row.references[0]) for row in rows)


def _keys(source: str) -> set[str]:
    """Return the keys of a linearised table, or the relations of triples."""
    return {part.split(" : ")[-2].strip() for part in source.split("|") if " : " in part}
