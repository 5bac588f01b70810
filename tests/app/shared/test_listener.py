"""An address that the app cannot listen at: what is wrong with it is said."""

import socket

import pytest

from app.cli.main import main
from app.shared.listener import listen, reason
from core.errors import PrefixLabError


def test_a_free_port_is_listened_at_and_a_taken_one_is_said_to_be_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PrefixLabError, match=f"^Port {port} of 127.0.0.1 cannot be used; another program may have it"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", port) as listener:
        assert listener.getsockname()[1] == port


@pytest.mark.parametrize("host", ["nonsense.invalid", "203.0.113.7"])
def test_a_host_that_is_not_this_machine_is_not_taken_for_a_port_in_use(host):
    with pytest.raises(PrefixLabError, match=f"{host}.*Give --host"):
        listen(host, 7999)


def test_a_port_of_the_system_is_said_to_be_one():
    assert reason(13, "127.0.0.1", 80).startswith("You may not use port 80")  # EACCES, which root does not get


@pytest.mark.parametrize("words", [[], ["--class"]])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "nope"], "There is no device 'nope'. Use auto, cpu, cuda or mps."),
        (["--backbone", "/nowhere/model"], "There is no folder /nowhere/model."),
    ],
)
def test_an_unknown_model_or_device_is_reported_before_anything_opens(words, options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path))
    assert main([*words, *options, "--no-browser"]) == 1
    assert message in capsys.readouterr().err


def test_a_class_without_a_place_for_its_board_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFIX_LAB_HOME", str(tmp_path / "file"))
    assert main(["--class", "--no-browser"]) == 1
    assert "Not a directory. Choose a writable folder with PREFIX_LAB_HOME." in capsys.readouterr().err
