"""Tasks on lists of digits: those the toy model is trained on, and a new one.

A row is `DIGITS = ANSWER`. It does not say which task is meant: a model trained on all tasks in equal parts can do each, and
cannot know which one is asked for. The setting follows Petrov et al. (2024).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.models.backbone import Backbone
from core.training.batches import Row

DIGITS = 5  # in a list
EQUALS = "="


@dataclass(frozen=True)
class DigitTask:
    """A task. `solve` returns the answer for a list of digits; `seen`: whether the toy model was trained on the task."""

    name: str
    title: str
    solve: Callable[[Sequence[int]], list[int]]
    pretrained: bool = True

    def example(self, digits: Sequence[int]) -> str:
        """Return the digits and their answer as text: "3 1 2 = 1 2 3"."""
        return " ".join([*map(str, digits), EQUALS, *map(str, self.solve(digits))])


TASKS = {
    task.name: task
    for task in (
        DigitTask("copy", "Copy", list),
        DigitTask("reverse", "Reverse", lambda digits: list(digits)[::-1]),
        DigitTask("sort", "Sort upwards", sorted),
        DigitTask("next", "Add one to each", lambda digits: [(digit + 1) % 10 for digit in digits]),
        DigitTask(
            "triple", "Three times each, plus one", lambda digits: [(3 * digit + 1) % 10 for digit in digits], pretrained=False
        ),
    )
}
PRETRAINED = tuple(name for name, task in TASKS.items() if task.pretrained)


def rows(backbone: Backbone, names: Sequence[str], count: int, seed: int) -> list[Row]:
    """Return `count` random rows, cycling through the tasks. Answers end with the model's end of text."""
    rng = random.Random(seed)
    words = {str(digit): backbone.encode(str(digit))[0] for digit in range(10)}
    equals = backbone.encode(EQUALS)[0]
    result = []
    for place in range(count):
        digits = [rng.randrange(10) for _ in range(DIGITS)]
        answer = TASKS[names[place % len(names)]].solve(digits)
        prompt = (*(words[str(digit)] for digit in digits), equals)
        result.append(Row(prompt, (*(words[str(digit)] for digit in answer), backbone.eos_id)))
    return result
