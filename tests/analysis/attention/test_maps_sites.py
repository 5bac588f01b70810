"""Attention and influence of an encoder-decoder model, site by site, against transformers' own and plain loops."""

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from analysis.attention import sentences
from analysis.attention.ablation import ablation_effect, kl_divergence
from analysis.attention.maps import attention_labels, attention_map, attention_mass, token_texts
from analysis.attention.shares import by_layer, describe_mass
from core.config.decode import DecodeConfig
from core.errors import BadInput
from core.generation.generate import generate
from core.generation.types import Request
from core.models.inputs import encode_input, task_for_backbone
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import Intervention
from tests.support.tiny_models import make_tiny_bart, random_prefix

P, WRITTEN = 4, 6
TEXT = "Aldby was flooded. Mr. Ash left by boat!\nNobody was hurt."
SITES = ("encoder", "decoder", "cross")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_bart(tmp_path_factory.mktemp("models") / "tiny-bart")


@pytest.fixture(scope="module")
def bart(folder):
    return load_backbone(str(folder), "cpu")


def written(bart, prefixed=True):
    read = encode_input(bart, task_for_backbone(bart, "summarization"), TEXT)
    request = Request(read.ids, random_prefix(bart, P) if prefixed else None)
    generation = generate(bart.model, bart, [request], DecodeConfig(max_new=WRITTEN, min_new=WRITTEN))[0]
    return request, generation.ids, read


def test_the_map_is_what_eager_attention_says(bart, folder):
    request, ids, _ = written(bart, prefixed=False)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        text = torch.tensor([[*bart.decoder_start_ids, *ids]])
        out = model(input_ids=torch.tensor([request.prompt_ids]), decoder_input_ids=text, output_attentions=True)
    eager = {"encoder": out.encoder_attentions, "decoder": out.decoder_attentions, "cross": out.cross_attentions}
    for site in SITES:
        attention = attention_map(bart.model, bart, request, ids, site=site)
        torch.testing.assert_close(attention.weights, torch.cat(eager[site]), rtol=1e-4, atol=1e-6)
        assert attention.weights.shape[-2:] == (len(attention.tokens), len(attention.key_tokens))


@pytest.mark.parametrize("site", SITES)
def test_each_site_has_its_own_tokens_and_virtual_ones(bart, site):
    request, ids, _ = written(bart)
    attention, mass = (make(bart.model, bart, request, ids, site=site) for make in (attention_map, attention_mass))
    source, target = f"<s>{TEXT}</s>", "</s><s>"
    queries, keys = "".join(attention.tokens), "".join(attention.key_tokens[P:])
    assert queries.startswith(source if site == "encoder" else target) and attention.key_tokens[:P] == ("P1", "P2", "P3", "P4")
    assert keys.startswith(target if site == "decoder" else source)
    assert attention.weights.shape[-2:] == (len(attention.tokens), len(attention.key_tokens))
    torch.testing.assert_close(attention.weights.sum(-1), torch.ones(attention.weights.shape[:-1]), rtol=0, atol=1e-5)
    assert len(attention.generated_tokens) == (0 if site == "encoder" else WRITTEN)
    torch.testing.assert_close(mass.mass[..., 0], attention.weights[..., :P].sum(-1))
    torch.testing.assert_close(attention.mass().weighted, mass.weighted)
    assert (mass.mass[..., 2] == 0).all() == (site != "decoder")
    assert by_layer(mass)[:, 0].min() > 0
    assert ("read" if site == "encoder" else "written") in describe_mass(mass, "the article")
    assert ("written so far" in describe_mass(mass, "the article")) == (site == "decoder")


def test_a_site_that_a_model_does_not_have_is_refused(bart):
    with pytest.raises(BadInput, match="no attention of the site 'middle'"):
        attention_mass(bart.model, bart, Request([5]), [6], site="middle")


@pytest.mark.parametrize("site", SITES)
def test_influence_is_the_divergence_when_one_virtual_token_is_hidden(bart, site):
    request, ids, _ = written(bart)
    effect = ablation_effect(bart.model, bart, request, ids, site=site)
    assert effect.kl.shape == (P, bart.spec.depth(site), WRITTEN) and "".join(effect.tokens) == "".join(token_texts(bart, ids))
    values = {
        "input_ids": torch.tensor([request.prompt_ids]),
        "decoder_input_ids": torch.tensor([[*bart.decoder_start_ids, *ids]]),
    }
    logits = []
    for done in (Intervention(), Intervention().without(2, 1, site)):
        with torch.no_grad(), attach(bart.model, PrefixState.of([request.prefix], bart.device, bart.dtype, [done])):
            logits.append(bart.model(**values, use_cache=False).logits[0, 1:-1])
    torch.testing.assert_close(effect.kl[2, 1], kl_divergence(*logits), rtol=1e-3, atol=1e-5)
    assert effect.kl.max() > 1e-4


def test_sentences_take_the_attention_of_their_tokens(bart):
    request, ids, read = written(bart)
    split = sentences.split_article(bart, TEXT, request.prompt_ids, read.lead)
    assert [TEXT[start:end] for start, end in split.spans] == ["Aldby was flooded.", "Mr. Ash left by boat!", "Nobody was hurt."]
    assert split.sentence_of_token[0] == split.sentence_of_token[-1] == -1  # <s> and </s>
    texts = [
        "".join(TEXT[place - 1] for place, part in enumerate(split.sentence_of_token) if part == number) for number in range(3)
    ]
    assert texts == ["Aldby was flooded. ", "Mr. Ash left by boat!\n", "Nobody was hurt."]  # one token a byte here
    mass = attention_mass(bart.model, bart, request, ids, "cross", split.sentence_of_token)
    weights = attention_map(bart.model, bart, request, ids, site="cross").weights[..., P:]
    for number in range(3):
        own = [place for place, part in enumerate(split.sentence_of_token) if part == number]
        torch.testing.assert_close(mass.parts[..., number], weights[..., own].sum(-1), rtol=1e-4, atol=1e-6)
    shares = sentences.by_sentence(mass)
    torch.testing.assert_close(shares, sentences.by_step(mass).mean(0))
    rest = weights[:, :, list(mass.step_queries)][..., [0, -1]].sum(-1).mean() + by_layer(mass)[:, 0].mean()
    assert shares.sum().item() + rest.item() == pytest.approx(1, abs=1e-5)
    most = int(shares.argmax())
    assert TEXT[slice(*split.spans[most])] in sentences.describe_sentences(split.spans, TEXT, shares)


def test_sentences_that_are_cut_off_are_left_out(bart):
    read = encode_input(bart, task_for_backbone(bart, "summarization", cut=24), TEXT)
    split = sentences.split_article(bart, TEXT, read.ids, read.lead)
    assert len(split.spans) == 2 and len(split.sentence_of_token) == 24 and set(split.sentence_of_token) == {-1, 0, 1}


def test_parts_must_be_of_every_token(bart):
    with pytest.raises(BadInput, match="2 parts were given for 1 token"):
        attention_mass(bart.model, bart, Request([5]), [6], "cross", [0, 1])


@pytest.mark.parametrize("site", ["encoder", "cross"])
def test_the_map_by_sentence_is_the_map_of_tokens_put_together(bart, site):
    request, ids, read = written(bart)
    split = sentences.split_article(bart, TEXT, request.prompt_ids, read.lead)
    by_sentence = sentences.sentence_map(bart.model, bart, request, ids, split, TEXT, site)
    whole = attention_map(bart.model, bart, request, ids, site=site).weights
    assert by_sentence.keys == ("Aldby was flooded.", "Mr. Ash left by boat!", "Nobody was hurt.", sentences.AROUND)
    own = [[place for place, part in enumerate(split.sentence_of_token) if part == number] for number in (0, 1, 2, -1)]
    summed = torch.cat([whole[..., :P], torch.stack([whole[..., P:][..., places].sum(-1) for places in own], -1)], -1)
    expected = summed if site == "cross" else torch.stack([summed[:, :, places].mean(2) for places in own[:3]], 2)
    torch.testing.assert_close(by_sentence.weights, expected, rtol=1e-4, atol=1e-6)
    assert len(by_sentence.tokens) == by_sentence.weights.shape[2] and len(by_sentence.key_tokens) == by_sentence.weights.shape[3]
    with pytest.raises(BadInput, match="does not read the article"):
        sentences.sentence_map(bart.model, bart, request, ids, split, TEXT, "decoder")


def test_a_sentence_says_which_site_it_reads_out(bart):
    request, ids, _ = written(bart)
    for site, begin, of in [
        ("encoder", "In the encoder, while these 59 tokens were read, the prefix drew", "and the article"),
        ("decoder", "In the decoder's own attention, while these 6 tokens were written, the prefix drew", "the start tokens"),
        ("cross", "In the cross-attention, while these 6 tokens were written, the prefix drew", "and the article"),
    ]:
        named = attention_labels(bart, site, "the article")
        sentence = describe_mass(attention_mass(bart.model, bart, request, ids, site), named.groups[1], where=named.site_name)
        assert sentence.startswith(begin) and of in sentence


def test_a_short_article_is_not_said_to_have_all_its_sentences_drawing_most():
    text, spans = "One here. Two there. Three.", ((0, 9), (10, 20), (21, 27))
    describe = sentences.describe_sentences
    assert describe(spans[:1], text, torch.tensor([0.8])) == ""
    two = describe(spans[:2], text, torch.tensor([0.2, 0.6]))
    assert two == "Of the attention on the article, sentence 2 (75 %) drew most. It reads: “Two there.”"
    three = describe(spans, text, torch.tensor([0.2, 0.5, 0.3]))
    assert "sentence 2 (50 %) and sentence 3 (30 %) drew most. The one that drew most reads: “Two there.”" in three
