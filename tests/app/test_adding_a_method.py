"""The method of docs/adding-a-method.md, one class and one record: trained, listed, shown and compared like any other."""

import json
import re
from pathlib import Path

import gradio as gr
import pytest
import torch
from safetensors.torch import load_file

from app.cli.main import main, parser
from app.compare import run_picker
from app.main import build
from app.shared.context import AppContext
from app.shared.method_labels import mark
from app.train.request import settings_of
from core.config.methods import METHODS, MethodInfo
from core.config.train import TrainConfig
from core.methods.parameter_counts import parameter_counts
from core.methods.registry import METHOD_CLASSES
from core.runs.store import store
from tests.support.tiny_models import EXAMPLES, make_tiny_backbone

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-method.md"
STORED = 2 * 32  # blocks, width


@pytest.fixture
def scale(monkeypatch):
    """The page's method, added for one test."""
    module, record, line = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names: dict = {"MethodInfo": MethodInfo}
    exec(module, names)
    info = eval(record, names)
    for name, method in eval(f"{{{line}}}", names).items():
        monkeypatch.setitem(METHOD_CLASSES, name, method)
    monkeypatch.setitem(METHODS, info.id, info)
    return info


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    return make_tiny_backbone(tmp_path / "tiny-gpt2")


def test_every_method_has_a_record_and_a_class_of_the_same_name():
    assert METHODS.keys() == METHOD_CLASSES.keys()
    for name, method in METHOD_CLASSES.items():
        assert method.name == METHODS[name].id == name


def test_a_new_method_trains_and_is_found_everywhere(scale, folder, tmp_path, capsys):
    for split in ("train", "dev", "test"):
        lines = [json.dumps({"table": one.source, "text": one.targets[0]}) for one in EXAMPLES[:6]]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    command = ["methods", "--method", "scale", "--run", "trial", "--data", str(tmp_path), "--backbone", str(folder)]
    assert main([*command, "--updates", "2", "--max-new", "8", "--beams", "2"]) == 0
    assert "| Scaling | 64 | 64 | 0.15 % |" in capsys.readouterr().out

    run = store().get("trial-scale")
    assert (run.status, run.updates, run.trained, run.stored) == ("done", 2, STORED, STORED)
    assert run.config["rate"] == 1e-2  # the record's, in the preset `fast`
    stored = load_file(run.weights)
    assert len(stored) == 2 and all(not torch.equal(factors, torch.ones(32)) for factors in stored.values())

    context = AppContext(str(folder), "cpu", store())
    backbone = context.models.backbone(context.models.default)
    loaded = context.models.load(run.id, backbone)
    assert loaded.prefix is None and loaded.model is not backbone.model
    counts = parameter_counts(backbone, TrainConfig.from_dict(run.config))
    assert (counts.trained, counts.stored) == (STORED, STORED)

    choices = context.catalog.choices(tuple(METHODS), backbone)
    assert run_picker.pick("finetuned", choices, "") == run.id and run_picker.pick("prefix", choices, "") == ""
    head = run_picker.run_head("finetuned", choices, run.id, run.id, backbone)
    assert "<h2>Scaled</h2>" in head and "factors, 0.15 %" in head and f'value="{run.id}"' in head
    assert mark("finetuned", run) != mark("base")


def test_a_new_method_is_in_the_help_and_on_the_train_page(scale, folder, capsys):
    for verb in ("train", "methods"):
        with pytest.raises(SystemExit):
            parser().parse_args([verb, "--help"])
        assert "scale" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        parser().parse_args(["train", "--help"])
    assert re.search(rf"scale +{re.escape(scale.description)}", capsys.readouterr().out)
    assert parser().parse_args(["train", "--run", "mine", "--method", "scale"]).method == "scale"

    page = build(AppContext(str(folder), "cpu", store()))
    (dropdown,) = [block for block in page.blocks.values() if getattr(block, "elem_id", "") == "pl-train-method"]
    assert isinstance(dropdown, gr.Dropdown) and ("Scaling", "scale") in dropdown.choices
    assert settings_of("scale") == ("rate", "updates", "batch", "warmup", "seed")
