"""The models and runs that come with the project: each run stands on its model, and beats it at what it was trained for."""

from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
import torch

from analysis.metrics.coverage import cover
from analysis.named_runs import load_named_run, write
from app.compare import source_editor
from app.learn.lesson import read_lessons
from app.learn.tab import address_keys
from app.shared.examples import Sample, opening, samples
from core.config.train import TrainConfig
from core.methods.loading import load_run
from core.models.loading import load_backbone
from core.models.locate import bundled
from core.paths import LESSONS
from core.prefix.attention import PrefixState, attach
from core.runs.store import store
from core.task import Example, Task
from core.text.detokenize import detokenise
from core.text.tables import linearise
from core.training.batches import collate, encode_rows
from core.training.loop import batch_loss

RUNS = [run for run in store().runs() if run.bundled]
WRITTEN_BY = {"e2e-prefix-distilled": "e2e-finetuned"}  # distilled run -> the run whose texts it was trained on


@pytest.fixture(scope="module")
def models():
    return {name: load_backbone(name, "cpu") for name in bundled()}


def fitting(form: str) -> list[Sample]:
    """Samples like those of the data: restaurants, categories that were seen, any article."""
    examples = samples(form)
    return [
        sample for sample in examples if sample.seen or sample.text or (sample.seen is None and sample.topic == examples[0].topic)
    ]


def examples_of(sample: Sample, task: Task) -> list[Example]:
    """An example for each reference of the sample."""
    source = sample.text or source_editor.parse_rows(task.input_format, sample.rows).source
    return [Example(source, (reference,)) for reference in sample.references]


@torch.no_grad()
def loss(backbone, task, examples, model, prefix):
    """Nats a token of the references."""
    length = prefix.length if prefix else 0
    batch = collate(encode_rows(backbone, task, examples, length), backbone.device)
    with attach(model, PrefixState.of([prefix] * len(examples), backbone.device, backbone.dtype)):
        summed = batch_loss(SimpleNamespace(model=model, length=length), batch, TrainConfig(autocast="off"))
    return summed.item() / batch.targets


def test_every_bundled_run_has_its_model():
    assert RUNS and {run.backbone for run in RUNS} == set(bundled())


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.id)
def test_a_bundled_run_expects_the_references_more_than_its_model_does(run, models):
    """The texts were written for the project: no run was trained on them. A distilled run expects those of the run that wrote
    what it was trained on."""
    backbone, task = models[run.backbone], run.task
    loaded = load_run(run, backbone)
    examples = [example for sample in fitting(task.input_format)[:8] for example in examples_of(sample, task)]
    if run.id in WRITTEN_BY:
        writer = load_named_run(WRITTEN_BY[run.id], backbone)
        sources = list(dict.fromkeys(example.source for example in examples))[:3]
        examples = [Example(source, (write(backbone, source, writer).text,)) for source in sources]
    assert len(examples) >= 2
    assert loss(backbone, task, examples, loaded.model, loaded.prefix) < loss(backbone, task, examples, backbone.model, None)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["e2e", "tables"])
def test_the_prefix_covers_every_value_of_the_table_with_which_its_task_opens(task, models):
    backbone, fields = models["mini-gpt2"], opening("table", task).fields
    text = write(backbone, linearise(fields), load_named_run(f"{task}-prefix", backbone)).text
    coverage = cover(fields, detokenise(text))
    assert len(coverage.present) == len(fields) and not coverage.unsupported, text


@pytest.mark.slow
def test_in_the_lesson_on_new_topics_the_prefix_keeps_the_name_and_fine_tuning_does_not(models):
    (lesson,) = (one for one in read_lessons([LESSONS], address_keys())[0] if one.name.endswith("new-topics"))
    query = dict(parse_qsl(next(step.open for step in lesson.steps if "keeps the name" in step.text)))
    (sample,) = (sample for sample in samples() if sample.id == query["example"])
    backbone, (_, name) = models["mini-gpt2"], sample.fields[0]
    runs = {
        run: name in write(backbone, linearise(sample.fields), load_named_run(run, backbone)).text
        for run in ("e2e-prefix", "e2e-finetuned")
    }
    assert runs == {"e2e-prefix": True, "e2e-finetuned": False}
