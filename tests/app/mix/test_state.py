"""The Mix tab's part of the address: it comes back as it was, and what cannot be read is left out and named."""

from app.mix.state import MIDDLE, MixState
from app.shared import urlstate


def test_the_address_brings_kind_runs_stop_and_example_back():
    state = MixState("average", "", 3, "cafe-001").with_member(0, "one").with_member(1, "text:Be brief, please.")
    assert state.members == ("one", "text:Be brief, please.")
    assert urlstate.read("?" + urlstate.write(state), MixState) == state


def test_what_cannot_be_read_is_left_out_and_named():
    state = urlstate.read("?mix-kind=blend&mix-stop=x&mix-runs=a,b,c,d", MixState)
    assert set(state.ignored) == {"mix-kind", "mix-stop"} and (state.kind, state.stop) == ("", MIDDLE)
    assert state.members == ("a", "b", "c")  # no more than a mix takes


def test_controls_change_what_they_name_and_nothing_else():
    state = MixState("fade", "a,b,c", 4)
    assert state.with_member(2, "").members == ("a", "b") and state.with_member(1, "d").members == ("a", "d", "c")
    assert state.changed("kind", "join") == MixState("join", "a,b,c")  # another kind has other stops
    assert state.changed("stop", "7").stop == 7
    for name, value in (("kind", "blend"), ("stop", "-1"), ("stop", None), ("nothing", "x")):
        assert state.changed(name, value) == state
