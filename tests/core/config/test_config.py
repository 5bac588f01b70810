"""Settings are checked, presets are combined in order, and a decoding is described."""

import pytest

from core.config.decode import DecodeConfig
from core.config.decoding_defaults import batch_decoding, default_decoding, paper_decoding
from core.config.methods import METHODS, method_info
from core.config.presets import PRESETS, preset
from core.config.train import TrainConfig
from core.errors import BadConfig


def test_plain_values_come_back_and_an_unknown_field_is_named():
    config = TrainConfig(method="lora", rank=4)
    assert TrainConfig.from_dict(config.to_dict()) == config
    with pytest.raises(BadConfig, match=r"TrainConfig has no field 'rnak'. Did you mean 'rank'\?"):
        TrainConfig.from_dict({"rnak": 4})


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "4", None])
def test_a_copy_is_checked_like_a_new_one(value):
    with pytest.raises(BadConfig, match="rank must be a whole number from 1 to 10,000,000; given: "):
        TrainConfig().replace(rank=value)


def test_a_sentence_about_a_setting_begins_with_the_name_that_the_user_knows():
    with pytest.raises(BadConfig) as refusal:
        DecodeConfig(max_new=0)
    assert str(refusal.value) == "max_new must be a whole number from 1 to 100,000; given: 0."
    assert refusal.value.sentence({"max_new": "--max-new"}) == "--max-new must be a whole number from 1 to 100,000; given: 0."
    assert refusal.value.sentence({"seed": "--seed"}) == str(refusal.value)
    with pytest.raises(BadConfig, match=r"^min_new must be at most 3, the largest number of new tokens; given: 5"):
        paper_decoding("e2e").replace(max_new=3)


def test_a_preset_is_that_of_the_task_then_that_of_the_method_then_what_is_given():
    assert preset("paper").rate == 8e-5 and preset("paper", task="summarization").rate == 5e-5
    assert preset("demo", "prefix", "summarization").rate == 1e-2 and preset("demo", "lora", "summarization").rate == 1e-2
    assert preset("demo", "finetune", "summarization").rate == METHODS["finetune"].presets["demo"]["rate"]
    assert preset("demo", "finetune", "summarization", rate=0.5, batch=None) == preset(
        "demo", "finetune", "summarization"
    ).replace(rate=0.5)
    with pytest.raises(BadConfig, match=r"There is no preset 'slow'\. Choose one of: paper"):
        preset("slow")


def test_the_settings_and_presets_of_every_record_are_those_of_trainings():
    for name, info in METHODS.items():
        assert set(info.settings) <= TrainConfig().to_dict().keys() and info.presets.keys() <= PRESETS.keys()
        assert info.id == name and info.trained == bool(info.presets or (info.virtual_tokens and info.kind != "text"))
        assert info.virtual_tokens != bool(info.own_weights)


def test_a_run_of_an_unknown_method_has_a_record_that_claims_nothing():
    info = method_info("magic")
    assert (info.title, info.short_title, info.kind) == ("magic", "magic", "unknown")
    assert not (info.trained or info.virtual_tokens or info.trajectory or info.at_input)


def test_a_decoding_is_described():
    assert paper_decoding("e2e").describe() == "beam search with 5 beams, length penalty 1"
    phrases = "length penalty 1.5; no repeated 4-token phrase"
    assert default_decoding("table").describe() == f"beam search with 10 beams, reranked by the input, {phrases}"
    assert default_decoding("table", "beam").describe() == f"beam search with 5 beams, {phrases}"
    assert batch_decoding("table").describe() == "greedy decoding; no repeated 6-token phrase"
    assert batch_decoding("table") == default_decoding("webnlg", "greedy")
    assert batch_decoding("article") == default_decoding("article", "beam")
    assert batch_decoding("article").describe().startswith("beam search with 6 beams, length penalty 1.5; no repeated 3-token")
    assert DecodeConfig("sample", seed=3).describe() == "sampled with seed 3, temperature 1, top-p 1"
