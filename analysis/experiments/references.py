"""Which references a training may leave out: those that do not state every value, and those that a trained run finds unlikely.

A prefix has few parameters, and learns more from references that agree with one another. The likelier half is what remains of
loss truncation (Kang & Hashimoto 2020) where the losses are those of a run that was trained before, for each input.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from analysis.experiments.mix_curve import total_loss
from analysis.metrics.coverage import cover
from core.data.registry import table_of_source
from core.errors import BadInput
from core.generation.types import make_request
from core.methods.loading import LoadedRun
from core.models.backbone import Backbone
from core.models.inputs import encode_answer
from core.task import Example


def complete(examples: Sequence[Example], input_format: str) -> list[Example]:
    """Return the examples, one an input, with the references that state every value of it, as coverage counts.

    Inputs without such a reference are left out. Raises BadInput for inputs without values, such as articles.
    """
    kept = []
    for example in examples:
        if not (fields := table_of_source(input_format, example.source)):
            raise BadInput("Only tables and triples have values that a text can state. Use --likeliest in place of --complete.")
        kept.append(_with_targets(example, [text for text in example.targets if not cover(fields, text).missing]))
    return [example for example in kept if example.targets]


def likeliest(
    examples: Sequence[Example],
    run: LoadedRun,
    backbone: Backbone,
    share: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Example]:
    """Return the examples, one an input, each with a share of its references, rounded up: those with the lowest loss.

    The loss is that of a text under the run, in nats.
    `progress(done, total)` is called after each example. Raises BadInput for a share that is not above 0 and below 1.
    """
    check_share(share)
    kept = []
    for done, example in enumerate(examples, 1):
        request = make_request(backbone, run.task, example.source, run.prefix)
        answers = [encode_answer(backbone, run.task, text) for text in example.targets]
        losses = [total_loss(run.model, backbone, [request], [ids]) for ids in answers] if len(answers) > 1 else [0.0]
        best = sorted(range(len(answers)), key=losses.__getitem__)[: math.ceil(share * len(answers))]
        kept.append(_with_targets(example, [example.targets[place] for place in sorted(best)]))
        progress(done, len(examples))
    return kept


def check_share(share: float) -> None:
    """Raise BadInput for a share of references that is not above 0 and below 1."""
    if not 0 < share < 1:
        raise BadInput(f"The share of references to keep is {share:g}. Give a number above 0 and below 1, such as 0.5.")


def _with_targets(example: Example, targets: list[str]) -> Example:
    return replace(example, targets=tuple(targets), originals=())
