"""The Attention tab on an encoder-decoder model: a site at a time, an article by sentences, and what is done at one site only."""

import json
from types import SimpleNamespace

import pytest

from app.attention.components import AttentionPage
from app.attention.handlers import AttentionHandlers
from app.attention.state import AttentionState
from app.compare.comparison import CompareRequest, compare, record_of
from core.config.decode import DecodeConfig
from tests.support.tiny_models import ARTICLES

SENTENCES = 2
COMPONENTS = AttentionPage(**{name: name for name in AttentionPage.__dataclass_fields__})  # names in place of components
DECODE = DecodeConfig(max_new=6, min_new=6)
REQUEST = SimpleNamespace(session_hash="a")


@pytest.fixture(scope="module")
def do(newsroom):
    """The tab's handlers, with names in place of components, on a page that has summarized an article."""
    context = newsroom
    ask = CompareRequest(ARTICLES[0].source, "news-prefix", decode=DECODE, form="article")
    *_, last = compare(context, context.models.backbone(context.models.default), ask, lambda: False)
    context.comparisons.put("a", record_of(last))
    return AttentionHandlers(context, SimpleNamespace(status="status"), COMPONENTS)


def outputs_of(do, **state):
    """All that one refresh wrote, by name."""
    outputs: dict = {}
    for update in do.refresh(do.take_ticket(REQUEST), AttentionState(**state), REQUEST):
        outputs |= update
    return outputs


def test_each_site_has_its_own_pictures_and_sentence(do):
    for site, where in [("encoder", "the encoder"), ("decoder", "the decoder's own attention"), ("cross", "the cross-attention")]:
        update = outputs_of(do, site=site)
        assert f"In {where.replace(chr(39), '&#x27;')}, " in update["headline"] and "the prefix drew" in update["headline"]
        assert f"Where each layer of {where} looked" in update["layers"] and f"site={site}" in update["address"]
        assert f'data-value="{site}-P4"' in update["bar"] and 'data-value="P4"' not in update["bar"]
        depth = 3 if site == "encoder" else 2  # layers
        assert (f'data-value="{site}-L{depth}"' in update["bar"]) and (f'data-value="{site}-L{depth + 1}"' not in update["bar"])
    assert 'data-value="cross" aria-pressed="true"' in outputs_of(do)["bar"]  # where nothing is asked for


def test_an_article_is_shown_by_sentences_first_and_by_tokens_on_demand(do):
    cross = json.loads(outputs_of(do)["tokens"])
    assert cross["unit"] == "sentences" and len(cross["keys"]) == SENTENCES + 1 and "All layers and heads" in cross["title"]
    assert cross["keys"][0] == "Aldby was flooded on Monday." and len(cross["readers"][0]["rows"]) == len(cross["queries"])
    encoder = json.loads(outputs_of(do, site="encoder", layer=3, head=2)["tokens"])
    assert encoder["queries"] is None and len(encoder["readers"][0]["rows"]) == SENTENCES
    assert encoder["title"].startswith("Layer 3, head 2")
    tokens = json.loads(outputs_of(do, unit="tokens", layer=1, head=1)["tokens"])
    assert "".join(tokens["keys"]) == f"<s>{ARTICLES[0].source}</s>" and tokens["whole"]
    assert all(99 <= sum(parts) <= 101 for parts in tokens["readers"][0]["sums"])
    assert [sum(row) for row in tokens["readers"][0]["rows"]] == pytest.approx([1000] * len(tokens["queries"]), abs=60)
    assert json.loads(outputs_of(do, site="decoder", layer=1, head=1)["tokens"])["unit"] == "tokens"
    assert outputs_of(do, unit="tokens")["tokens"] == ""  # of no head


def test_of_a_long_article_the_tokens_of_one_sentence_can_be_chosen(do, monkeypatch):
    monkeypatch.setattr("app.attention.token_view.CELLS", 100)
    view = json.loads(outputs_of(do, site="encoder", unit="tokens", layer=1, head=1, sentence=2)["tokens"])
    rows = range(view["first"], view["first"] + len(view["readers"][0]["rows"]))
    assert "".join(view["keys"][place] for place in rows).strip() == "People there left by boat, and nobody was hurt."
    assert not view["whole"] and len(view["starts"]) == SENTENCES and view["starts"][1] == rows.start


def test_a_prefix_is_turned_down_at_one_site_only(do):
    update = outputs_of(do, cross=0.0)
    assert "α = 0 at the cross-attention" in update["reads"] and "the prefix is hidden and drew none" in update["headline"]
    other = outputs_of(do, site="encoder", cross=0.0)
    assert "the prefix drew" in other["headline"] and "0 at every site" not in other["bar"]
    assert "1 at every site" in other["bar"]
    base = outputs_of(do, cross=0.0, encoder=0.0, alpha=0.0)
    assert "Frozen model" in base["reads"] and "the prefix is hidden" in base["reads"] and "positions" not in base["reads"]
    texts = {column: one.text for column, one in do.context.comparisons.get("a").columns.items()}
    again = base["reads"].split('cls="told marked"')[-1]
    assert texts["base"].strip()[:3] in again or "Word for word" in again


def test_knock_outs_are_the_sites_own_and_what_is_not_there_is_said(do):
    update = outputs_of(do, site="encoder", out="encoder-P2.cross-L3.P9")
    assert "without P2 in the encoder<" in update["reads"]
    assert "Not knocked out, as this prefix has none of that name: cross-L3, P9." in update["reads"]
    assert 'data-value="encoder-P2" aria-pressed="true"' in update["bar"]


def test_the_map_of_knock_outs_is_the_sites(do):
    for site, layers in (("encoder", 3), ("cross", 2)):
        *_, update = do.fill(do.take_ticket(REQUEST), AttentionState(site=site), REQUEST)
        drawn = json.loads(update["influence"])
        assert len(drawn["data"][1]["z"]) == layers and len(drawn["data"][1]["x"]) == 4
        assert site in str(drawn["layout"]["title"])
