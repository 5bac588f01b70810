"""What the Attention tab keeps in the address, and what a control changes."""

import pytest

from app.attention.state import ALPHAS, AttentionState, places
from app.shared import urlstate
from app.shared.urlstate import State, keys
from core.prefix.interventions import Intervention


def test_no_two_tabs_use_one_name_in_the_address():
    names = [name for kind in State.__subclasses__() for name in keys(kind).values()]
    page = ["theme", "present", "panels", "marks", "tab", "token"]  # what the page's own scripts keep there
    assert len(set(names + page)) == len(names + page)


def test_a_link_comes_back_and_bad_values_are_named():
    state = AttentionState(
        column="finetuned", beside="text:Hello & <b>", layer=2, head=3, alpha=0.25, out="P3.L2.P1L4.cross-P2", weigh="values",
        site="cross", encoder=2.0, cross=0.0, unit="tokens", sentence=3,
    )  # fmt: skip
    assert urlstate.read("?" + urlstate.write(state), AttentionState) == state
    bad = urlstate.read("?text=loud&layer=x&head=-1&alpha=3&out=P0&on=me&weigh=1&beside=a&site=middle&unit=x", AttentionState)
    assert bad == AttentionState(beside="a")
    assert set(bad.ignored) == {"text", "layer", "head", "alpha", "out", "on", "weigh", "site", "unit"}


@pytest.mark.parametrize("alpha", ALPHAS)
def test_alpha_and_knock_outs_become_an_intervention(alpha):
    state = AttentionState(alpha=alpha, out="P3.L2.P1L4")
    plain = Intervention(alpha).without(token=2).without(layer=1).without(0, 3)
    assert state.intervention(5, {"decoder": 6}) == plain
    assert state.intervention(2, {"decoder": 3}) == Intervention(alpha).without(layer=1)
    assert state.missing(2, {"decoder": 3}) == ["P3", "P1L4"]


def test_each_site_has_an_alpha_and_knock_outs_of_its_own():
    depths = {"encoder": 4, "decoder": 3, "cross": 3}
    state = AttentionState(cross=0.0).turned("out", "encoder-P2L4").turned("out", "cross-L4").turned("encoder", "0.5")
    done = state.intervention(2, depths)
    assert done == Intervention(1, site_alphas=frozenset({("encoder", 0.5), ("cross", 0.0)})).without(1, 3, "encoder")
    assert state.missing(2, depths) == ["cross-L4"] and state.missing(2, {"decoder": 9}) == ["encoder-P2L4", "cross-L4"]
    assert state.intervention(2, {"decoder": 3}).is_identity  # of a model with one site its own counts
    assert state.turned("everywhere", "encoder").intervention(2, {"encoder": 1, "decoder": 1}).alpha == 0.5
    assert state.turned("reset", "") == AttentionState()
    assert AttentionState(out="P1").turned("out", "cross-P1").out == ""  # one that is out everywhere comes back


def test_controls_change_one_thing_and_nonsense_changes_nothing():
    state = AttentionState().turned("out", "P2").turned("out", "L1").turned("alpha", "0.5").turned("step", 1)
    assert (state.out, state.alpha, state.layer, state.head) == ("P2.L1", 0.5, 1, 1)
    assert state.turned("out", "P2").out == "L1" and state.turned("reset", "") == AttentionState(layer=1, head=1)
    for name, value in [
        ("out", "P0"),
        ("out", "<b>"),
        ("alpha", "9"),
        ("alpha", None),
        ("nothing", 1),
        ("ignored", "x"),
        ("step", "x"),
        ("site", "middle"),
        ("unit", 3),
    ]:
        assert state.turned(name, value) == state


def test_places_are_read_or_refused():
    assert places("P3.L2.P1L4") == [(None, None, 2), (None, 1, None), (None, 3, 0)] and places("") == []
    assert places("cross-P3") == [("cross", None, 2)]
    for bad in ("P1.Q", "cross-", "middle-P1", "P0"):
        with pytest.raises(ValueError, match=bad[-1]):
            places(bad)


def test_the_arrow_keys_move_from_tile_to_tile():
    state = AttentionState().turned("head-step", 1)
    assert (state.layer, state.head) == (1, 1)
    assert state.turned("head-step", 1).head == 2 and state.turned("head-step", -1).head == 1
    assert state.turned("step", 1).layer == 2
