"""Words that a tokenizer does not know are counted and named, where it reads them as <unk> and where it drops letters."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from app.cli.main import main
from core.errors import BadInput
from core.models.loading import load_backbone
from core.models.unknown_words import describe_unknown, describe_unknown_in, unknown_words
from core.task import Example
from tests.support.tiny_models import make_tiny_backbone

KNOWN = ["</s>", "name", ":", "|", "food", "a", "b", "pub", "is", "x"]


def with_tokenizer(folder: Path, model: models.Model, **special: str) -> Path:
    """A tiny GPT-2 with another tokenizer."""
    make_tiny_backbone(folder)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", **special).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """Only the tokenizer's own model names its unknown token, and not the files of transformers."""
    vocabulary = {word: i for i, word in enumerate([*KNOWN, "<unk>"])}
    return with_tokenizer(tmp_path_factory.mktemp("words") / "wordy", models.WordLevel(vocabulary, unk_token="<unk>"))


def test_unknown_words_of_an_input_are_named_once_each(words, tiny_folder):
    backbone, source = load_backbone(str(words), "cpu"), "name : Zorbas | food : Greek Greek | <unk>"
    assert unknown_words(backbone, source) == ["Zorbas", "Greek", "<unk>"]
    assert describe_unknown(backbone, "name : Zorbas") == (
        "1 word of the input is not in the vocabulary of wordy, which reads them as <unk>: “Zorbas”."
    )
    many = " ".join(f"w{i}" for i in range(1, 10))
    assert describe_unknown(backbone, many).endswith("“w5”, “w6” and 3 more.")
    assert describe_unknown(load_backbone(str(tiny_folder), "cpu"), "name : Žofín | 日本 😀") == ""  # bytes know everything


def test_letters_that_are_dropped_are_reported(tmp_path):
    letters = {letter: i + 1 for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz:|")}
    backbone = load_backbone(str(with_tokenizer(tmp_path / "letters", models.BPE({"</s>": 0} | letters, []))), "cpu")
    assert backbone.decode(backbone.encode("zürich")).replace(" ", "") == "zrich"
    assert describe_unknown(backbone, "name : zürich") == (
        "1 word of the input is not in the vocabulary of letters, which drops letters of them: “zürich”."
    )


def test_a_vocabulary_without_an_unknown_token_refuses_what_it_lacks(tmp_path):
    vocabulary = {word: i for i, word in enumerate(KNOWN)}
    backbone = load_backbone(str(with_tokenizer(tmp_path / "strict", models.WordLevel(vocabulary, unk_token="[UNK]"))), "cpu")
    with pytest.raises(BadInput, match=r"tokenizer of strict cannot read 'name : Zorbas': WordLevel error: Missing \[UNK\]"):
        backbone.encode("name : Zorbas")


def test_the_command_line_warns_before_it_generates_and_trains(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "home"))
    assert main(["generate", "name : Zorbas | food : pub", "--backbone", str(words), "--max-new", "2"]) == 0
    assert "not in the vocabulary of wordy, which reads them as <unk>: “Zorbas”." in capsys.readouterr().err
    assert main(["generate", "name : Zorbas", "--backbone", str(words), "--max-new", "2", "--json"]) == 0
    assert "“Zorbas”" in json.loads(capsys.readouterr().out)["notes"][0]
    rows = tmp_path / "rows.csv"
    rows.write_text("source,text\nname : Zorbas,Zorbas is a pub\nname : b,b is a pub\n", encoding="utf-8")
    data = ["--set", "columns", "--data", str(rows), "--source", "source", "--target", "text", "--source-form", "text"]
    settings = ["--backbone", str(words), "--updates", "1", "--length", "2", "--init-words", "name"]
    assert main(["train", "--run", "wordy", *data, *settings]) == 0
    assert "14 % of the words in these rows are not in the vocabulary of wordy" in capsys.readouterr().err


def test_the_most_frequent_unknown_words_of_rows_come_first(words):
    backbone = load_backbone(str(words), "cpu")
    rows = [Example("name : b", ("rare is often",)), Example("food : a", ("often",))]
    sentence = describe_unknown_in(backbone, rows)
    assert sentence.startswith("30 % of the words in these rows") and "“often”, “rare”." in sentence
    assert describe_unknown_in(backbone, [Example("name : b", ("b is a pub",))]) == ""
