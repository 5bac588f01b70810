"""A pre-training carried to another machine and back, at a tiny size."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.errors import BadData, BadInput
from core.pretraining import pack
from core.pretraining.config import PretrainConfig
from core.pretraining.corpus import END, prepare
from core.pretraining.export import export
from core.pretraining.loop import pretrain
from core.pretraining.next_token import NextToken
from core.pretraining.pack import join_pieces, pack_corpus, unpack_corpus, write_pieces
from core.pretraining.prefetch import Batches, update_rng

CPU = torch.device("cpu")
CONFIG = PretrainConfig(
    tokens=6_000, layers=1, width=32, heads=2, positions=64, vocabulary=330, batch_tokens=512, pass_tokens=256, span_share=0.5,
    record_share=0.0, save_every=4, validate_every=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A prepared corpus of made-up places."""
    folder = tmp_path_factory.mktemp("text")
    texts = [
        f"Vik {n}\nVik {n} is a small village in Northern Norway. It has a population of {n + 10} people." for n in range(450)
    ]
    for name in ("towns", "others"):
        (folder / f"{name}.txt").write_text("".join(f"{text}\n{END}\n" for text in texts))
    prepare(folder, None, folder / "corpus", CONFIG.vocabulary)
    return folder / "corpus"


def test_a_packed_corpus_comes_back_without_what_was_left_out(corpus, tmp_path):
    assert pack_corpus(corpus, tmp_path / "small.tar", ["others"]) == (tmp_path / "small.tar").stat().st_size
    unpack_corpus(tmp_path / "small.tar", tmp_path / "corpus", CONFIG.vocabulary)
    assert list(json.loads((tmp_path / "corpus" / "corpus.json").read_text())["streams"]) == ["towns"]
    for name in ("tokenizer.json", "towns.train.bin", "towns.valid.bin"):
        assert (tmp_path / "corpus" / name).read_bytes() == (corpus / name).read_bytes()
    assert not (tmp_path / "corpus" / "others.train.bin").exists()


def test_what_cannot_be_packed_or_unpacked_is_named(corpus, tmp_path):
    with pytest.raises(BadInput, match="no stream cities"):
        pack_corpus(corpus, tmp_path / "x.tar", ["cities"])
    (tmp_path / "y.tar").write_bytes(b"no tar at all")
    with pytest.raises(BadData, match=r"y\.tar is not a packed corpus \(truncated header\)"):
        unpack_corpus(tmp_path / "y.tar", tmp_path / "y", CONFIG.vocabulary)
    with pytest.raises(BadData, match=r"z\.tar cannot be read: No such file or directory\. Give --packed a file"):
        unpack_corpus(tmp_path / "z.tar", tmp_path / "y", CONFIG.vocabulary)


def test_a_packed_corpus_of_another_preset_or_text_is_not_taken_for_the_one_asked_for(corpus, tmp_path):
    """The words of another preset, and a folder with another text in it, were not looked at."""
    pack_corpus(corpus, tmp_path / "small.tar", ["others"])
    for vocabulary, start, message in ((8192, "", "a vocabulary of 330, and"), (330, "mini-gpt2", "other words than those of")):
        with pytest.raises(BadInput, match=rf"{message}.*another file with --packed"):
            unpack_corpus(tmp_path / "small.tar", tmp_path / "out", vocabulary, start)
    pack_corpus(corpus, tmp_path / "whole.tar")
    for _ in range(2):
        unpack_corpus(tmp_path / "whole.tar", tmp_path / "out", 330)
    with pytest.raises(BadInput, match="has another corpus than"):
        unpack_corpus(tmp_path / "small.tar", tmp_path / "out", 330)


@pytest.mark.slow
def test_a_model_comes_back_from_its_pieces(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "PIECE", 20_000)
    out = tmp_path / "out"
    unpack_corpus_of(corpus, out)
    steps = list(pretrain(CONFIG, out / "corpus", out, CPU))
    assert [step.index for step in steps if step.saved] == [*range(4, len(steps), 4), len(steps)]
    folder = export(out, out / "tiny", "a CPU")
    paths = write_pieces(folder, tmp_path / "pieces")
    assert len(paths) > 2 and all(path.stat().st_size <= 20_000 for path in paths)
    assert sorted((tmp_path / "pieces").iterdir()) == sorted(paths)
    join_pieces(tmp_path / "pieces", tmp_path / "joined")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "joined", local_files_only=True)
    state = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    assert torch.equal(model.transformer.wte.weight.half(), state["transformer.wte.weight"].half())
    assert "50% are span records" in (tmp_path / "joined" / "README.md").read_text()
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    with pytest.raises(BadData, match="missing or damaged"):
        join_pieces(tmp_path / "pieces", tmp_path / "again")


def unpack_corpus_of(corpus, out):
    out.mkdir()
    pack_corpus(corpus, out / "corpus.tar")
    unpack_corpus(out / "corpus.tar", out / "corpus", CONFIG.vocabulary)


@pytest.mark.slow
def test_a_resumed_run_reads_what_it_would_have_read(corpus, tmp_path):
    out = tmp_path / "out"
    unpack_corpus_of(corpus, out)
    whole = [step.loss for step in pretrain(CONFIG, out / "corpus", out / "whole", CPU)]
    first = list(pretrain(replace(CONFIG, decay_share=0.0, tokens=2_000), out / "corpus", out / "two", CPU))
    assert len(first) < len(whole)
    state = torch.load(out / "two" / "checkpoint.pt", weights_only=True)
    assert state["step"] == len(first) and "rng" not in state
    rest = list(pretrain(CONFIG, out / "corpus", out / "two", CPU))
    assert first[0].loss == whole[0] and len(first) + len(rest) == len(whole)


def test_a_resumed_run_has_each_update_once_in_its_log(corpus, tmp_path):
    """A run killed after its checkpoint has lines of updates that are made again, the last of them half a line."""
    out, log = tmp_path / "out", tmp_path / "out" / "loss.csv"
    list(pretrain(replace(CONFIG, tokens=4_000), corpus, out, CPU))
    step = torch.load(out / "checkpoint.pt", weights_only=True)["step"]
    with open(log, "a", newline="") as handle:
        handle.write(f"{step + 1},9,9.9,1.0,0.1,,,,\r\n{step}")
    before = log.read_text().splitlines()[:-2]
    list(pretrain(CONFIG, corpus, out, CPU))
    lines = log.read_text().splitlines()
    steps = [int(line.split(",")[0]) for line in lines[1:]]
    assert lines[: len(before)] == before and lines[0].startswith("step,tokens,loss")
    assert len(before) > 1 and steps == sorted(set(steps)) and steps[-1] > step and "9.9" not in "".join(lines)


def test_a_run_does_not_go_on_with_another_corpus(corpus, tmp_path):
    """After out/corpus was deleted and made of other texts, the weights of the first words went on with the new ones."""
    other, out = tmp_path / "other", tmp_path / "out"
    other.mkdir()
    (other / "towns.txt").write_text("".join(f"Lake {n} lies {n + 3} miles south of the old mill.\n{END}\n" for n in range(450)))
    prepare(other, None, other / "corpus", CONFIG.vocabulary)
    list(pretrain(replace(CONFIG, tokens=1_000), corpus, out, CPU))
    with pytest.raises(BadInput, match=r"was trained on another corpus .*--out, or delete .*checkpoint\.pt to begin again"):
        list(pretrain(CONFIG, other / "corpus", out, CPU))
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save({name: value for name, value in state.items() if name != "corpus"}, out / "checkpoint.pt")  # of an earlier version
    assert list(pretrain(replace(CONFIG, tokens=2_000), corpus, out, CPU))


def test_a_run_can_go_on_from_a_model_of_its_shape(corpus, tmp_path):
    out = tmp_path / "out"
    unpack_corpus_of(corpus, out)
    list(pretrain(replace(CONFIG, tokens=1_000), out / "corpus", out, CPU))
    folder = export(out, tmp_path / "first", "a CPU")
    recipe = NextToken(replace(CONFIG, continue_from=str(folder)), out / "corpus")
    model = recipe.new_model(CPU)
    recipe.initialise(model)
    saved = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(value.half(), saved[name].half()) for name, value in model.state_dict().items())


def test_a_run_that_goes_on_from_a_model_reads_other_text_than_the_model_did(corpus, tmp_path):
    out, more = tmp_path / "out", tmp_path / "more"
    unpack_corpus_of(corpus, out)
    list(pretrain(replace(CONFIG, tokens=1_000), out / "corpus", out, CPU))
    folder = export(out, tmp_path / "first", "a CPU")
    config = replace(CONFIG, tokens=1_000, continue_from=str(folder))
    list(pretrain(config, out / "corpus", more, CPU))
    recipe = NextToken(config, out / "corpus")
    recipe.open()
    seeds = [torch.load(run / "checkpoint.pt", weights_only=True)["config"]["seed"] for run in (out, more)]
    first, again, other = (recipe.batches(0, 0.0, update_rng(seed, 0))[0].ids for seed in (CONFIG.seed, *seeds))
    assert torch.equal(first, again) and not torch.equal(first, other)
    shutil.rmtree(folder)
    list(pretrain(replace(config, tokens=2_000), out / "corpus", more, CPU))
    assert torch.load(more / "checkpoint.pt", weights_only=True)["config"]["seed"] == seeds[1]


@pytest.mark.slow
def test_batches_drawn_ahead_are_those_drawn_here(corpus):
    recipe = NextToken(CONFIG, corpus)
    recipe.open()
    ahead = Batches(recipe, workers=1)
    try:
        for step in (0, 1):
            here, there = recipe.batches(step, 0.0, update_rng(CONFIG.seed, step)), ahead(step, 0.0)
            assert len(here) == len(there) == 2
            assert all(
                np.array_equal(one.ids, other.ids) and one.offset == other.offset for one, other in zip(here, there, strict=True)
            )
            assert all(one.scored.sum() == other.targets for one, other in zip(here, there, strict=True))
    finally:
        ahead.close()
