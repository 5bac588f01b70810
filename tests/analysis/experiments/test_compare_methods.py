"""The frozen model's row is scored in the layout that suits it best on validation rows, and says which."""

import pytest

from analysis.evaluation.evaluate import outputs
from analysis.experiments.compare_methods import choose_layout, markdown, run_comparison
from analysis.experiments.learning_rates import TrainingData
from core.config.decode import DecodeConfig
from core.config.train import TrainConfig
from core.models.inputs import task_for_backbone, with_instruction
from core.models.loading import load_backbone
from core.runs.store import Store
from core.task import Example
from core.training.trainer import Trainer
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

DECODE = DecodeConfig(max_new=60, min_new=60)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return load_backbone(str(make_tiny_backbone(tmp_path_factory.mktemp("layouts") / "tiny-gpt2")), "cpu")


def rows_written_in(backbone, task):
    """Validation rows whose references are what the frozen model writes in a layout."""
    sources = [example.source for example in EXAMPLES[:4]]
    texts = outputs(backbone.model, backbone, task, None, sources, DECODE)
    return [Example(source, (text,)) for source, text in zip(sources, texts, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["on a line of its own", "with an instruction", "as the runs read it"])
def test_the_layout_with_the_best_validation_score_is_chosen(backbone, name):
    paper, plain = (task_for_backbone(backbone, "e2e", layout) for layout in ("paper", "newline"))
    task = {"on a line of its own": plain, "with an instruction": with_instruction(plain), "as the runs read it": paper}[name]
    sentence, best = choose_layout(backbone, paper, rows_written_in(backbone, task), DECODE)
    assert best == task and sentence.startswith(f"{name}, the best by BLEU on 4 validation rows (")
    assert all(f"{other} " in sentence for other in ("as the runs read it", "on a line of its own", "with an instruction"))


def test_layouts_that_are_the_same_are_tried_once_and_without_validation_rows_none_is(backbone):
    plain = task_for_backbone(backbone, "e2e")
    sentence, best = choose_layout(backbone, plain, rows_written_in(backbone, plain), DECODE)
    assert best == plain and "on a line of its own" not in sentence
    sentence, best = choose_layout(backbone, plain, [], DECODE)
    assert best == plain and "no validation rows" in sentence


@pytest.mark.slow
def test_the_table_of_results_says_which_layout_it_was(backbone, tmp_path):
    paper = task_for_backbone(backbone, "e2e", "paper")
    valid = rows_written_in(backbone, with_instruction(task_for_backbone(backbone, "e2e")))
    plan = Trainer(backbone, paper, TrainConfig(), Store(tmp_path), "mine")
    (frozen,) = run_comparison(plan, [], lambda method: plan.config, TrainingData([], valid), EXAMPLES[:1], DECODE)
    assert frozen.values()["layout"].startswith("with an instruction, the best by BLEU")
    assert "The frozen model reads its input with an instruction, the best by BLEU on 4" in markdown([frozen])
    assert frozen.result.outputs == outputs(
        backbone.model, backbone, with_instruction(task_for_backbone(backbone, "e2e")), None, [EXAMPLES[0].source], DECODE
    )
