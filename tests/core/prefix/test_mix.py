"""Mixes: the ends are the runs to the bit, joined is concatenated, and a name reads back as the mix."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from core.config.decode import DecodeConfig
from core.errors import BadInput, WrongBackbone
from core.generation.decoding_batch import make_batch
from core.generation.generate import generate
from core.generation.types import Request
from core.models.loading import load_backbone
from core.prefix.attention import PrefixState, attach
from core.prefix.interventions import NO_INTERVENTION, Intervention
from core.prefix.mix import KINDS, Mix, MixIntervention, apply_to, concatenate, mix_prefixes, parse_mix
from core.prefix.prefix import Prefix
from tests.support.tiny_models import make_tiny_backbone, make_tiny_bart, make_tiny_llama, random_prefix


@pytest.fixture(scope="module", params=[make_tiny_backbone, make_tiny_llama, make_tiny_bart], ids=["gpt2", "llama", "bart"])
def backbone(request, tmp_path_factory):
    return load_backbone(str(request.param(tmp_path_factory.mktemp("models") / "tiny")), "cpu")


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    return load_backbone(str(make_tiny_bart(tmp_path_factory.mktemp("models") / "tiny-bart")), "cpu")


def logits(backbone, prefix, intervention=NO_INTERVENTION):
    request = Request(backbone.encode("name : Alda"), prefix, intervention=intervention)
    return make_batch(backbone.model, backbone, [request]).logits()


def equal(one, other):
    return all(kv.equal(other.past[site]) for site, kv in one.past.items()) and one.past.keys() == other.past.keys()


def weights_of(backbone, prefix, intervention, shift):
    """Each site's first layer: (heads, query, virtual + key)."""
    recorded = {}

    def record(site, layer, weights):
        if layer == 0:
            recorded[site] = weights[0]

    ids = torch.tensor([backbone.encode("name : Alda")])
    state = PrefixState.of([prefix], backbone.device, backbone.dtype, [intervention])
    inputs = {"position_ids": torch.arange(ids.shape[1])[None] + shift} if not backbone.is_encoder_decoder else {}
    inputs |= {} if not backbone.is_encoder_decoder else {"decoder_input_ids": torch.tensor([backbone.decoder_start_ids])}
    with torch.no_grad(), attach(backbone.model, state, record):
        backbone.model.base_model(input_ids=ids, use_cache=False, **inputs)
    return recorded


def test_the_ends_of_every_slider_are_the_runs_to_the_bit(backbone):
    runs = [random_prefix(backbone, 4, seed) for seed in (1, 2, 3)]
    for kind in ("fade", "average"):
        for end, run in enumerate(runs):
            weights = tuple(float(place == end) for place in range(3))
            mixed, intervention = mix_prefixes(Mix(kind, ("a", "b", "c"), weights), runs)
            assert equal(mixed, run) and logits(backbone, mixed, intervention).equal(logits(backbone, run))
    path = [(update, random_prefix(backbone, 4, update)) for update in (0, 10, 30)]
    for place, run in ((0.0, path[0][1]), (1.0, runs[0])):
        mixed, intervention = mix_prefixes(Mix("path", ("a",), (place,)), runs[:1], path)
        assert equal(mixed, run) and logits(backbone, mixed, intervention).equal(logits(backbone, run))
    mixed, intervention = mix_prefixes(Mix("swap", ("a", "a")), [runs[0], runs[0]])
    assert equal(mixed, runs[0]) and intervention == NO_INTERVENTION
    mixed, intervention = mix_prefixes(Mix("layers", ("a",), (1.0, 1.0)), runs[:1])
    assert mixed is runs[0] and logits(backbone, mixed, intervention).equal(logits(backbone, runs[0]))


def test_joined_prefixes_are_the_concatenation(backbone):
    one, other = random_prefix(backbone, 3, 1), random_prefix(backbone, 5, 2)
    mixed, intervention = mix_prefixes(Mix("join", ("a", "b")), [one, other])
    by_hand = Prefix({site: torch.cat([kv, other.past[site]], 3) for site, kv in one.past.items()}, one.backbone, one.fingerprint)
    assert mixed.length == 8 and equal(mixed, by_hand)
    assert logits(backbone, mixed, intervention).equal(logits(backbone, by_hand))


def test_a_cross_fade_multiplies_the_odds_of_each_prefix(backbone):
    """At the first layer nothing but the weights changes: those of the joined prefixes, multiplied and renormalized."""
    one, other, share = random_prefix(backbone, 3, 1), random_prefix(backbone, 5, 2), 0.3
    mixed, intervention = mix_prefixes(Mix("fade", ("a", "b"), (share, 1 - share)), [one, other])
    joined, faded = (
        weights_of(backbone, *pair, 5) for pair in ((concatenate([one, other]), NO_INTERVENTION), (mixed, intervention))
    )
    assert mixed.shift == 5  # the longer one's positions
    for site in ("encoder", "decoder") if backbone.decoder_start_ids else ("decoder",):
        factors = torch.ones(joined[site].shape[-1])
        factors[:3], factors[3:8] = share, 1 - share
        expected = joined[site] * factors
        torch.testing.assert_close(faded[site], expected / expected.sum(-1, keepdim=True), rtol=1e-4, atol=1e-6)


def test_a_prefix_cross_faded_with_itself_is_itself(backbone):
    """Half the odds, twice, and no position moved."""
    run = random_prefix(backbone, 4, 1)
    mixed, intervention = mix_prefixes(Mix("fade", ("a", "a"), (0.25, 0.75)), [run, run])
    torch.testing.assert_close(logits(backbone, mixed, intervention), logits(backbone, run), rtol=1e-4, atol=1e-4)


def test_a_cross_fade_has_no_jump_at_its_ends(backbone):
    """Once, the text began after both prefixes between the ends, and after one at either end."""
    runs = [random_prefix(backbone, 4, 1), random_prefix(backbone, 4, 2)]
    near, intervention = mix_prefixes(Mix("fade", ("a", "b"), (1 - 1e-7, 1e-7)), runs)
    assert near.length == 8 and near.shift == 4
    torch.testing.assert_close(logits(backbone, near, intervention), logits(backbone, runs[0]), rtol=1e-3, atol=1e-3)
    rows = [Request(backbone.encode("name"), near, intervention=intervention), Request(backbone.encode("name : Alda"), runs[1])]
    together = make_batch(backbone.model, backbone, rows).logits()
    for row, request in enumerate(rows):
        alone = make_batch(backbone.model, backbone, [request]).logits()[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-4)


def test_average_interpolation_and_swap_number_by_number(backbone):
    one, other = random_prefix(backbone, 4, 1), random_prefix(backbone, 4, 2)
    mixed, intervention = mix_prefixes(Mix("average", ("a", "b"), (0.25, 0.75)), [one, other])
    for site, kv in mixed.past.items():
        torch.testing.assert_close(kv, 0.25 * one.past[site] + 0.75 * other.past[site])
    assert intervention == NO_INTERVENTION
    path = [(update, random_prefix(backbone, 4, update)) for update in (30, 0, 10)]  # in any order
    mixed, _ = mix_prefixes(Mix("path", ("a",), (0.5,)), [one], path)  # update 15, a quarter of the way from 10 to the end
    for site, kv in mixed.past.items():
        torch.testing.assert_close(kv, 0.75 * path[2][1].past[site] + 0.25 * one.past[site])
    assert mix_prefixes(Mix("path", ("a",), (1 / 3,)), [one], path)[0] is path[2][1]
    mixed, _ = mix_prefixes(Mix("swap", ("a", "b")), [one, other])
    for site, kv in mixed.past.items():
        assert kv[:, 0].equal(one.past[site][:, 0]) and kv[:, 1].equal(other.past[site][:, 1])


def test_strength_by_layer_is_alpha_where_the_layer_has_it(bart, tmp_path):
    gpt2 = load_backbone(str(make_tiny_backbone(tmp_path / "gpt2")), "cpu")
    run = random_prefix(gpt2, 3, 1)
    mixed, intervention = mix_prefixes(Mix("layers", ("a",), (0.5, 0.5)), [run])
    torch.testing.assert_close(logits(gpt2, mixed, intervention), logits(gpt2, run, Intervention(0.5)))
    mixed, intervention = mix_prefixes(Mix("layers", ("a",), (0.0, 1.0)), [run])
    torch.testing.assert_close(logits(gpt2, mixed, intervention), logits(gpt2, run, Intervention().without(layer=0)))
    with pytest.raises(BadInput, match="The prefix has 3 layers; weights given: 2"):
        mix_prefixes(Mix("layers", ("a",), (1.0, 0.5)), [random_prefix(bart, 3)])


def test_strength_by_layer_covers_sites_of_different_depths(bart):
    """The encoder has three layers, the decoder two: the slider's stops are of the deeper one."""
    run = random_prefix(bart, 3)
    depths = bart.spec.depths
    assert depths == {site: kv.shape[0] for site, kv in run.past.items()} and max(depths.values()) == 3
    _, intervention = mix_prefixes(Mix("layers", ("a",), (1.0, 0.0, 0.0)), [run])
    for site, layers in depths.items():
        expected = torch.tensor([0.0] + [-torch.inf] * (layers - 1))[:, None].expand(layers, 3)
        torch.testing.assert_close(intervention.bias(site, layers, 3), expected)
    _, intervention = mix_prefixes(Mix("layers", ("a",), (1.0, 1.0, 0.0)), [run])
    assert intervention.bias("decoder", 2, 3).eq(0).all()


def test_alpha_and_knock_outs_still_work_on_a_mix(backbone):
    one, other = random_prefix(backbone, 2, 1), random_prefix(backbone, 2, 2)
    _, intervention = mix_prefixes(Mix("fade", ("a", "b"), (0.25, 0.75)), [one, other])
    turned = replace(intervention, alpha=0.5).without(token=3)
    bias = turned.bias("decoder", 2, 4)
    assert bias.exp().tolist() == [pytest.approx([0.125, 0.125, 0.375, 0.0])] * 2
    with pytest.raises(BadInput, match="no virtual token 4"):
        intervention.without(token=4).check(concatenate([one, other]))


def test_a_mix_as_one_prefix_is_the_mix_also_after_it_was_stored(backbone, tmp_path):
    one, other = random_prefix(backbone, 3, 1), random_prefix(backbone, 5, 2)
    mixed, intervention = mix_prefixes(Mix("fade", ("a", "b"), (0.3, 0.7)), [one, other])
    whole = apply_to(mixed, intervention)
    assert logits(backbone, whole).equal(logits(backbone, mixed, intervention))
    turned = replace(intervention, alpha=0.5).without(token=4)
    expected = logits(backbone, mixed, turned)
    torch.testing.assert_close(logits(backbone, whole, Intervention(0.5).without(token=4)), expected)
    whole.save(tmp_path / "mix.safetensors")
    (tmp_path / "any").touch()
    assert (tmp_path / "mix.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode
    stored = Prefix.load(tmp_path / "mix.safetensors", one.backbone, one.fingerprint)
    assert stored.shift == 5 and logits(backbone, stored).equal(logits(backbone, whole))
    faded, again = mix_prefixes(Mix("fade", ("mixed", "c"), (0.5, 0.5)), [stored, random_prefix(backbone, 4, 3)])
    weights = again.bias("decoder", 2, 12) + faded.bias["decoder"]
    assert weights.exp()[0].tolist() == pytest.approx([0.15] * 3 + [0.35] * 5 + [0.5] * 4)
    with pytest.raises(BadInput, match="is a mix itself"):
        mix_prefixes(Mix("average", ("mixed", "mixed"), (0.5, 0.5)), [stored, stored])


def test_a_stored_mix_that_is_damaged_is_refused(backbone, tmp_path):
    path, prefix = tmp_path / "mix.safetensors", random_prefix(backbone, 3)
    for name, tensor in (
        ("bias.decoder", torch.zeros(2, 7)),
        ("bias.nowhere", torch.zeros(2, 3)),
        ("positions", torch.tensor([-1])),
    ):
        save_file(prefix.past | {name: tensor}, path)
        with pytest.raises(BadInput, match=r"do not go with|how many positions"):
            Prefix.load(path)


def test_rows_of_one_batch_may_have_mixes_and_plain_prefixes(backbone):
    one, other = random_prefix(backbone, 3, 1), random_prefix(backbone, 2, 2)
    mixed, intervention = mix_prefixes(Mix("fade", ("a", "b"), (0.5, 0.5)), [one, other])
    prompt, decode = backbone.encode("name : Alda"), DecodeConfig(max_new=6, min_new=6)
    requests = [Request(prompt, mixed, intervention=intervention), Request(prompt, one), Request(prompt)]
    together = [generation.ids for generation in generate(backbone.model, backbone, requests, decode)]
    assert together == [generate(backbone.model, backbone, [request], decode)[0].ids for request in requests]


@pytest.mark.parametrize(
    "mix",
    [
        Mix("fade", ("e2e-prefix", "webnlg-prefix"), (0.3, 0.7)),
        Mix("fade", ("a", "b", "c"), (1 / 3, 1 / 3, 1 / 3)),
        Mix("average", ("a", "text:Say it, briefly: 50 % & more"), (1.0, 0.0)),
        Mix("join", ("a", "b", "mix:join::c,d")),
        Mix("path", ("a",), (0.125,)),
        Mix("swap", ("a", "b")),
        Mix("layers", ("a",), (1.0, 0.5, 1e-5)),
    ],
)
def test_a_name_reads_back_as_the_mix(mix):
    assert parse_mix(mix.name) == mix
    assert mix.name.startswith(f"mix:{mix.kind}:") and " " not in mix.name


def test_a_name_can_be_typed():
    assert Mix("fade", ("e2e-prefix", "webnlg-prefix"), (0.3, 0.7)).name == "mix:fade:0.3,0.7:e2e-prefix,webnlg-prefix"
    assert parse_mix("mix:join::a,b") == Mix("join", ("a", "b"))
    assert set(KINDS) == {"fade", "join", "average", "path", "swap", "layers"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("e2e-prefix", "does not name a mix"),
        ("mix:fade:0.5,0.5", "does not name a mix"),
        ("mix:blend:0.5,0.5:a,b", "no mix of the kind 'blend'"),
        ("mix:fade:half,0.5:a,b", "not numbers"),
        ("mix:fade:0.5,0.6:a,b", "sum to 1"),
        ("mix:fade:1:a", "takes 2 or 3 prefixes; given: 1"),
        ("mix:fade:0.5:a,b", "takes 2 weights; given: 0.5"),
        ("mix:fade:nan,1:a,b", "0 or positive numbers"),
        ("mix:fade:-1,2:a,b", "0 or positive numbers"),
        ("mix:average:0.25,0.25,0.25,0.25:a,b,c,d", "takes 2 or 3 prefixes; given: 4"),
        ("mix:path:1.5:a", "between 0, its start, and 1"),
        ("mix:join:1:a,b", "takes 0 weights; given: 1"),
        ("mix:layers::a", "takes 1 weight; given: none"),
        ("mix:swap::a,", "takes 2 prefixes"),
    ],
)
def test_a_faulty_name_says_what_is_wrong(name, says):
    with pytest.raises(BadInput, match=says):
        parse_mix(name)


def test_prefixes_that_do_not_go_together_are_refused(backbone):
    one, short = random_prefix(backbone, 4, 1), random_prefix(backbone, 3, 2)
    for mix in (Mix("average", ("a", "b"), (0.5, 0.5)), Mix("swap", ("a", "b"))):
        with pytest.raises(BadInput, match="4 and 3 virtual tokens"):
            mix_prefixes(mix, [one, short])
    with pytest.raises(BadInput, match="4, 3 and 4 virtual tokens"):
        mix_prefixes(Mix("average", ("a", "b", "c"), (0.5, 0.25, 0.25)), [one, short, one])
    with pytest.raises(BadInput, match="an infix"):
        mix_prefixes(Mix("join", ("a", "b")), [one, replace(one, infix=True)])
    with pytest.raises(WrongBackbone, match=r"a belongs to .*, and b to other"):
        mix_prefixes(Mix("join", ("a", "b")), [one, replace(one, backbone="other", fingerprint="0" * 16)])
    with pytest.raises(BadInput, match="kept no path"):
        mix_prefixes(Mix("path", ("a",), (0.5,)), [one], [(0, one)])
    with pytest.raises(BadInput, match="has 2 members; prefixes given: 1"):
        mix_prefixes(Mix("join", ("a", "b")), [one])
    assert not MixIntervention(token_alphas=(1.0, 0.5)).is_identity and MixIntervention(token_alphas=(1.0,)).is_identity
