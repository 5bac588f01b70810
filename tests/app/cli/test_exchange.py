"""`import` and `export` on the command line."""

import json

import pytest

from app.cli.main import main
from tests.support.tiny_models import make_run, make_tiny_backbone, make_tiny_llama, with_start_token

TABLE = "name[Alda] eatType[pub] area[north]"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    return make_tiny_backbone(tmp_path / "tiny-gpt2")


def output(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_out_and_in_again_writes_the_same_text(folder, tmp_path, capsys):
    make_run(folder, tmp_path / "home" / "runs", "mine")
    exported = output(capsys, "export", "--run", "mine", "--to", tmp_path / "adapter", "--base", "gpt2")
    assert exported["files"] == ["adapter_config.json", "adapter_model.safetensors", "prefix_lab.json"]
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "gpt2"
    imported = output(capsys, "import", "--from", tmp_path / "adapter", "--run", "again", "--backbone", folder)
    assert imported["notes"].startswith("Imported from a checkpoint of PEFT, trained on gpt2")
    assert imported["command"].startswith("python launch.py import --from ")
    texts = [output(capsys, "generate", "--run", run, "--backbone", folder, "--max-new", "9", TABLE) for run in ("mine", "again")]
    assert texts[0]["raw"] == texts[1]["raw"]


def test_the_form_and_the_task_can_be_named(folder, tmp_path, capsys):
    make_run(folder, tmp_path / "home" / "runs", "mine")
    main(["export", "--run", "mine", "--to", str(tmp_path / "adapter")])
    capsys.readouterr()
    arguments = ["import", "--from", tmp_path / "adapter", "--run", "again", "--backbone", folder]
    run = output(capsys, *arguments, "--layout", "paper", "--task", "webnlg")
    assert run["task"]["separator"] == " <|endoftext|>" and run["task"]["name"] == "webnlg"
    assert main([*map(str, [*arguments, "--run", "other"]), "--task", "two\nlines", "--json"]) == 1
    assert "cannot be the name of a task" in json.loads(capsys.readouterr().out)["error"]
    assert main(list(map(str, arguments))) == 1
    assert "There is a run 'again' already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [[], ["--layout", "paper"], ["--task", "webnlg"], ["--task", "webnlg", "--layout", "newline"]]
)
def test_a_prefix_of_a_llama_keeps_its_start_token(folder, tmp_path, capsys, options):
    llama = with_start_token(make_tiny_llama(tmp_path / "llama"))
    make_run(llama, tmp_path / "home" / "runs", "mine")
    for noted in (True, False):
        adapter = tmp_path / f"adapter-{noted}"
        output(capsys, "export", "--run", "mine", "--to", adapter)
        if not noted:
            (adapter / "prefix_lab.json").unlink()
        run = output(capsys, "import", "--from", adapter, "--run", f"again-{noted}", "--backbone", llama, *options)
        assert run["task"]["bos"] is True


def test_a_zip_is_not_called_a_folder_that_is_not_there(folder, tmp_path, capsys):
    (tmp_path / "run.zip").write_bytes(b"PK")
    assert main(["import", "--from", str(tmp_path / "run.zip"), "--run", "x", "--backbone", str(folder)]) == 1
    assert "run.zip is a file." in (error := capsys.readouterr().err) and "given with --zip" in error
