"""What leaves this machine with a run, and what a sliding window means for a prefix."""

import json
import os
import zipfile
from dataclasses import replace

import pytest
from transformers import MistralConfig, MistralForCausalLM

from app.cli.main import main
from core.backbone_spec import window_note
from core.errors import BadInput
from core.exchange.archive import export_zip, import_zip
from core.models.loading import load_backbone, window_of
from core.runs.store import Store
from tests.support.tiny_models import make_run, make_tiny_backbone, make_tokenizer


def test_an_archive_holds_no_folder_of_this_machine_and_finds_its_backbone_by_the_weights(tmp_path):
    folder = make_tiny_backbone(tmp_path / "models" / "my-gpt2")
    make_run(folder, tmp_path / "runs", "mine", updates=1)
    store = Store(tmp_path / "runs")
    mine = store.get("mine")
    replace(mine, command=f"python launch.py train --backbone {folder} --data e2e='{tmp_path}/my data' --run mine").save()
    file = export_zip(store.get("mine"), tmp_path / "mine.zip")
    with zipfile.ZipFile(file) as archive:
        text = archive.read("mine/run.json").decode()
    values = json.loads(text)
    assert str(tmp_path) not in text and values["backbone"] == "my-gpt2" and values["fingerprint"] == mine.fingerprint
    assert values["command"] == "python launch.py train --backbone my-gpt2 --data 'e2e=my data' --run mine"

    assert import_zip(file, store, "again").backbone_path == str(folder)  # a run here was trained on these weights
    elsewhere = import_zip(file, Store(tmp_path / "other"))
    assert (elsewhere.backbone_path, elsewhere.backbone_source) == ("", "my-gpt2")


def test_a_run_on_a_hub_model_is_imported_onto_the_folder_that_has_the_same_weights(tmp_path):
    folder = make_tiny_backbone(tmp_path / "models" / "tiny")
    make_run(folder, tmp_path / "runs", "mine", updates=1)
    store = Store(tmp_path / "runs")
    replace(store.get("mine"), backbone="someone/tiny", backbone_path="someone/tiny", backbone_revision="abc123").save()
    file = export_zip(store.get("mine"), tmp_path / "mine.zip")
    replace(store.get("mine"), backbone_path=str(folder), backbone_revision="").save()
    assert import_zip(file, store, "again").backbone_source == str(folder)


@pytest.fixture(scope="module")
def windowed(tmp_path_factory):
    """A Mistral whose layers see 16 tokens back."""
    folder = tmp_path_factory.mktemp("windowed") / "tiny-mistral"
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = MistralConfig(
        vocab_size=257, max_position_embeddings=256, sliding_window=16, bos_token_id=0, eos_token_id=0, **sizes
    )
    MistralForCausalLM(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def test_export_and_import_say_that_a_prefix_is_visible_beyond_a_sliding_window(windowed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    make_run(windowed, tmp_path / "home" / "runs", "mine", updates=1)
    sentence = window_note("tiny-mistral", 16)
    assert "16 tokens back; the virtual tokens stay visible from every position" in sentence
    assert main(["export", "--run", "mine", "--to", str(tmp_path / "adapter")]) == 0
    assert sentence in capsys.readouterr().out
    command = ["import", "--from", str(tmp_path / "adapter"), "--run", "back", "--backbone", str(windowed), "--device", "cpu"]
    assert main(command) == 0
    assert sentence in capsys.readouterr().out and Store(tmp_path / "home" / "runs").get("back").notes.endswith(sentence)


def test_a_model_without_a_window_has_nothing_to_say(tmp_path):
    folder = make_tiny_backbone(tmp_path / "tiny-gpt2")
    assert window_of(str(folder)) == 0 == window_of(str(tmp_path / "no-such-folder")) == window_of("no-such/model")
    assert load_backbone(str(folder), "cpu").spec.window_note == ""


def test_an_import_goes_on_where_another_one_ends_beside_it(tmp_path):
    folder = make_tiny_backbone(tmp_path / "tiny-gpt2")
    make_run(folder, tmp_path / "runs", "mine", updates=1)
    store = Store(tmp_path / "runs")
    file = export_zip(store.get("mine"), tmp_path / "mine.zip")
    (store.folder / ".import-ended").symlink_to(tmp_path / "nowhere")  # listed, and gone when it is looked at
    assert import_zip(file, store, "again").id == "again"


def test_a_zip_is_written_of_files_of_any_age_and_touches_no_other(tmp_path):
    run = make_run(make_tiny_backbone(tmp_path / "tiny-gpt2"), tmp_path / "runs", "mine", updates=1)
    os.utime(run.weights, (0, 0))  # 1970, as tools leave it that make the same archive each time
    (tmp_path / "mine.zip.tmp").write_text("another's")
    export_zip(run, tmp_path / "mine.zip")
    assert import_zip(tmp_path / "mine.zip", Store(tmp_path / "theirs")).id == "mine"
    assert (tmp_path / "mine.zip.tmp").read_text() == "another's"
    with pytest.raises(BadInput, match=r"Cannot write .*too long\. Give a file in a folder"):
        export_zip(run, tmp_path / ("a" * 300 + ".zip"))
