"""The start of a pre-training run: models that copy before they have learned anything."""

from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file

from core import paths
from core.errors import BadInput
from core.pretraining.config import PRESETS, PretrainConfig
from core.pretraining.corpus import END_ID, tokenizer_of
from core.pretraining.denoising import Denoising
from core.pretraining.export import export
from core.pretraining.next_token import NextToken

CPU = torch.device("cpu")
TEXT = "The old ferry left the harbour of a small town at seven with sheep, two doctors and a brass band on board. It sank."


@pytest.fixture(scope="module")
def ids():
    return tokenizer_of("mini-gpt2").encode(TEXT).ids


def begun(recipe):
    """A recipe's model as its pre-training begins."""
    model = recipe.new_model(CPU).eval()
    recipe.initialise(model)
    return model


@pytest.fixture(scope="module")
def mini_bart(tmp_path_factory):
    """mini-bart as its pre-training begins, with mini-gpt2's words."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "tokenizer.json").write_bytes((paths.MODELS / "mini-gpt2" / "tokenizer.json").read_bytes())
    return begun(Denoising(PRESETS["mini-bart"], folder))


def test_mini_bart_starts_with_the_words_of_mini_gpt2(mini_bart):
    weights = load_file(paths.MODELS / "mini-gpt2" / "model.safetensors")["transformer.wte.weight"].float()
    assert torch.equal(mini_bart.model.shared.weight[:8192], weights)
    assert 16e6 <= sum(parameter.numel() for parameter in mini_bart.parameters()) <= 20e6
    assert tokenizer_of("mini-gpt2").get_vocab_size() + 3 <= PRESETS["mini-bart"].vocabulary


def test_mini_bart_starts_able_to_copy(mini_bart, ids):
    source, target = torch.tensor([[8192, *ids, END_ID]]), torch.tensor([[END_ID, 8192, *ids]])
    with torch.no_grad():
        output = mini_bart(input_ids=source, decoder_input_ids=target, output_attentions=True)
    looked_up = output.cross_attentions[1][0, 0].argmax(-1)  # by the decoder's second layer, for each word given
    right = (source[0][looked_up] == source[0][torch.arange(len(looked_up))]).float()[2:]  # the word that follows
    assert right.mean() > 0.9
    predicted = output.logits[0].argmax(-1)[1:]
    assert (predicted[:-1] == torch.tensor(ids)).float().mean() > 0.9
    places = output.encoder_attentions[0][0, 0].argmax(-1)  # the encoder's first head looks one token back
    assert (places[1:] == torch.arange(len(places) - 1)).float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "width", "message"),
    [
        ("nowhere", 384, r"No model could be opened in .*nowhere"),
        ("mini-bart", 384, "begins with the words of a GPT-2 of that width; mini-bart is a bart of width 384"),
        ("mini-gpt2", 768, "A run of width 768 begins with the words of a GPT-2 of that width; mini-gpt2 is a gpt2 of width 384"),
    ],
)
def test_a_run_cannot_begin_with_what_does_not_fit(start, width, message, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((paths.MODELS / "mini-gpt2" / "tokenizer.json").read_bytes())
    with pytest.raises(BadInput, match=message):
        begun(Denoising(replace(PRESETS["mini-bart"], start=start, width=width), tmp_path))


def test_a_finished_run_is_exported_when_what_it_began_with_is_gone(tmp_path):
    config = PretrainConfig(tokens=1, layers=1, width=16, heads=2, positions=32, vocabulary=300, start=str(tmp_path / "gone"))
    trained = NextToken(config, tmp_path).new_model(CPU)
    state = {"model": trained.state_dict(), "step": 1, "tokens": 64, "seconds": 1.0, "config": asdict(config)}
    torch.save(state, tmp_path / "checkpoint.pt")
    (tmp_path / "loss.csv").write_text("step,valid_mix\n1,2.5\n")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.json").write_text('{"streams": {}}')
    (tmp_path / "corpus" / "tokenizer.json").write_bytes((paths.MODELS / "mini-gpt2" / "tokenizer.json").read_bytes())
    folder = export(tmp_path, tmp_path / "made", "a CPU")
    weights = load_file(folder / "model.safetensors")["transformer.wte.weight"]
    assert torch.equal(weights, trained.transformer.wte.weight.half())
    assert "word embeddings of gone, heads that copy" in (folder / "README.md").read_text()
