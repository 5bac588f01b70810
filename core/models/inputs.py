"""Turn a source into token ids: with the task's layout, and cut if the task says so."""

from dataclasses import dataclass

from core.models.architectures import special_form
from core.models.backbone import Backbone
from core.task import END, Task, task

CUT = 512  # tokens of an article that are read, as in the official code
# What a person would ask of a model that was not trained for a task, by what the source is.
INSTRUCTIONS = {
    "table": "Say all of this in one sentence:",
    "webnlg": "Say all of these facts in a short text:",
    "dart": "Say all of these facts in a short text:",
    "article": "Summarize this article:",
    "text": "Answer:",
}


@dataclass(frozen=True)
class EncodedInput:
    """The token ids that the model reads. `tokens`: the length of the whole source; `used`: how many of its tokens are read.

    `end`: how many characters of the source are read, at least in part; `split`: the number of ids before an infix; `lead`: the
    number of ids before the source.
    """

    ids: list[int]
    tokens: int
    used: int
    end: int
    split: int = 0
    lead: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether the end of the source is left out."""
        return self.used < self.tokens


def task_for_backbone(
    backbone: Backbone, name: str, layout: str = "newline", input_format: str = "", cut: int | None = None
) -> Task:
    """Return a task for a backbone: in an encoder-decoder model's own layout, otherwise in the requested one (see
    `core.task.task`).

    `cut`: see Task; by default articles are cut at 512 tokens, and nothing else is.
    """
    plain = task(name, layout, input_format)
    plain = plain.replace(cut=cut if cut is not None else CUT if plain.input_format == "article" else 0)
    if not backbone.is_encoder_decoder:
        own = {name: getattr(plain, name).replace(END, backbone.eos_text) for name in ("separator", "end")}
        return plain.replace(**own, bos=bool(backbone.bos_ids))
    before, after = (backbone.decode(ids, special=True) for ids in special_form(backbone.tokenizer))
    return plain.replace(lead=before, separator=after, target_lead="", end=backbone.eos_text)


def with_instruction(task: Task) -> Task:
    """Return the task with an instruction on a line of its own before the source."""
    return task.replace(lead=f"{task.lead}{INSTRUCTIONS[task.input_format]}\n")


def encode_input(backbone: Backbone, task: Task, source: str, infix: bool = False) -> EncodedInput:
    """Encode a source as the model reads it. If the task cuts, the result has at most `task.cut` tokens and fits the model.

    `infix`: compute `split`; no token may then span the boundary between the source and its separator.
    """
    bos = backbone.bos_ids if task.bos else []
    if infix and not task.cut:
        before, after = [*bos, *backbone.encode(task.lead + source)], backbone.encode(task.separator)
        return EncodedInput([*before, *after], len(before), len(before), len(source), len(before))
    if not task.cut and not backbone.is_encoder_decoder:
        ids = [*bos, *backbone.encode(task.prompt(source))]
        return EncodedInput(ids, len(ids), len(ids), len(source))
    before, after = [*bos, *backbone.encode(task.lead)], backbone.encode(task.separator)
    ids = backbone.encode(source, literal=True)
    most = min(task.cut, backbone.spec.positions) - len(before) - len(after) if task.cut else len(ids)
    used = ids[: max(1, most)]
    end = len(source) if len(used) == len(ids) else min(len(source), len(backbone.decode(used)))
    return EncodedInput([*before, *used, *after], len(ids), len(used), end, len(before) + len(used) if infix else 0, len(before))


def encode_answer(backbone: Backbone, task: Task, target: str) -> list[int]:
    """Encode a target as the model should generate it. The last id ends the text, whatever its tokenizer calls it; what looks
    like an end inside the target is read as characters."""
    text = task.answer(target)
    if text.endswith(backbone.eos_text):
        return [*backbone.encode(text.removesuffix(backbone.eos_text), literal=True), backbone.eos_id]
    ids = backbone.encode(text)
    return ids if ids and ids[-1] in backbone.eos else [*ids, backbone.eos_id]
