"""Any method in either column of runs: selected, named by its method, with what it costs."""

import pytest

from app.compare import run_picker
from app.compare.comparison import CompareRequest, compare
from app.compare.panels import cost
from app.shared.context import AppContext
from app.shared.method_labels import column_braces, mark, title, train_command, trained
from core.config.decode import DecodeConfig
from core.generation.generate import generate
from core.generation.types import make_request
from core.methods.registry import METHOD_CLASSES
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone

SOURCE = "name : Alda | Type : pub | area : north"
DECODE = DecodeConfig(max_new=8)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> AppContext:
    """A run of every method, called by its name."""
    place = tmp_path_factory.mktemp("many")
    folder = make_tiny_backbone(place / "tiny-gpt2")
    for method in METHOD_CLASSES:
        make_run(folder, place / "runs", method, method, updates=2, layers=1, rank=2, shots=1, rate=1e-2)
    return AppContext(str(folder), "cpu", Store(place / "runs"))


def finished(context: AppContext, ask: CompareRequest):
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    return last


@pytest.mark.parametrize(("first", "second"), [("adapter", "infix"), ("in_context", "lora"), ("embedding", "top_layers")])
def test_two_methods_are_shown_side_by_side_as_each_alone(many, first, second):
    backbone = many.models.backbone(many.models.default)
    comparison = finished(many, CompareRequest(SOURCE, first, second, decode=DECODE))
    for kind, run_id in (("prefix", first), ("finetuned", second)):
        loaded = many.models.load(run_id, backbone)
        alone = generate(loaded.model, backbone, [make_request(backbone, loaded.task, SOURCE, loaded.prefix)], DECODE)[0]
        assert comparison.columns[kind].text == alone.text and len(comparison.columns[kind].words) == 5
    panel = cost(comparison)
    for kind in ("prefix", "finetuned"):
        assert f"<h4>{title(kind, comparison.columns[kind].run)}</h4>" in panel


def test_a_column_begins_with_the_method_it_is_named_after_and_lists_the_others(many):
    backbone = many.models.backbone(many.models.default)
    listed = many.catalog.choices(tuple(METHOD_CLASSES), backbone)
    assert [run_picker.pick(kind, listed, "") for kind in ("prefix", "finetuned")] == ["prefix", "finetune"]
    assert run_picker.pick("prefix", listed, "lora") == "lora"
    head = run_picker.run_head("prefix", listed, "lora", "lora", backbone)
    assert "<h2>LoRA</h2>" in head and "updates of rank 2, 1.2 %" in head
    near, others = head.split("<optgroup")
    assert 'value="infix"' in near and 'value="adapter"' in others and "adapter, Adapter, " in others
    for method in METHOD_CLASSES:
        assert f'value="{method}"' in head


def test_without_a_prefix_the_column_stays_empty_rather_than_show_another_kind(many):
    listed = [
        choice
        for choice in many.catalog.choices(tuple(METHOD_CLASSES), many.models.backbone(many.models.default))
        if choice.run.method == "adapter"
    ]
    assert run_picker.pick("prefix", listed, "") == "" and run_picker.pick("finetuned", listed, "") == "adapter"


def test_what_was_trained_is_reported_with_the_measured_share(many):
    backbone = many.models.backbone(many.models.default)
    labels = {run.id: trained(run, backbone) for run in many.store.runs()}
    assert labels["prefix"] == "4 virtual tokens, 1.2 %"  # 512 of 41,888
    assert labels["embedding"] == "4 input vectors, 0.31 %"
    assert labels["in_context"] == "text in front, nothing trained"
    assert labels["top_layers"] == "the last 1 layers, 50 %"
    assert labels["finetune"] == "42 k weights of its own"
    assert len({mark("prefix", run) for run in many.store.runs()}) == len(METHOD_CLASSES)


def test_the_braces_say_what_is_shared():
    def braces(*methods):
        return column_braces(["", *methods])

    assert braces("prefix", "finetune").count("<span") == 2 and "only the prefix differs" in braces("prefix", "finetune")
    assert braces("prefix", "infix").count("<span") == 1 and "span 3" in braces("prefix", "infix")
    assert braces("lora", "adapter").count("brace own") == 2 and braces("lora", "prefix").count("brace own") == 1
    assert "the first column" in braces("lora", "prefix") and braces("prefix", "lora", "infix").count("brace shared") == 2


def test_the_command_that_trains_has_the_rates_of_its_backbone():
    """The default preset's rate is far too high for a backbone that is not bundled."""
    assert train_command("prefix", "mini-gpt2") == ("python launch.py train --run my-prefix --method prefix --backbone mini-gpt2")
    command = train_command("finetune", "my models/gpt2", "--set webnlg --data webnlg-folder")
    assert command.endswith("--backbone 'my models/gpt2' --preset fast")
    assert command.startswith("python launch.py train --set webnlg --data webnlg-folder --run my-finetune")
