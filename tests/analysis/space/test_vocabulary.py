"""The words of a backbone."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from analysis.space.vocabulary import Vocabulary, vocabulary
from core.errors import BadInput
from core.models.loading import load_backbone
from tests.support.tiny_models import END, make_tiny_backbone

WORDS = Vocabulary((END, " pub", "pub", " Pub", "s", " 20", " don't", " "), "tiny")


def test_whole_words_are_a_space_and_letters():
    assert [WORDS.texts[token] for token in WORDS.whole_ids] == [" pub", " Pub"]


def test_a_word_is_found_in_all_its_forms_whole_ones_first():
    assert WORDS.find(" pub") == WORDS.find("PUB") == [1, 3, 2]
    with pytest.raises(BadInput, match=r"'bistro' is not a single token of tiny"):
        WORDS.find("bistro")
    with pytest.raises(BadInput, match="No word"):
        WORDS.find("  ")


def test_texts_keep_their_spaces_and_padding_is_left_out(tmp_path):
    backbone = load_backbone(str(make_tiny_backbone(tmp_path)), "cpu")
    tokens = {END: 0, "Ġ": 1, "a": 2, "b": 3, "Ġa": 4}  # 5 of the model's 257 rows
    tokenizer = Tokenizer(models.BPE(tokens, [("Ġ", "a")]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backbone.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)
    assert vocabulary(backbone).texts == (END, " ", "a", "b", " a")


def test_metaspace_tokens_keep_their_leading_space(tmp_path):
    """Llama's tokenizer: decoded alone, a token at the start of a text loses its space."""
    backbone = load_backbone(str(make_tiny_backbone(tmp_path)), "cpu")
    tokenizer = Tokenizer(models.BPE({END: 0, "▁": 1, "a": 2, "b": 3, "▁a": 4}, [("▁", "a")]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    backbone.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)
    assert vocabulary(backbone).texts == (END, " ", "a", "b", " a")
