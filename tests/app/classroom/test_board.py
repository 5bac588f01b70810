"""The board's rules, what each page sees of it, and that it survives a restart."""

import codecs
import csv
import io
import json
import zipfile

import pytest

from app.classroom.board import ENTRIES, Board
from app.classroom.export import board_csv
from app.classroom.records import CLOSED, READY, VOTING, WRITTEN
from app.classroom.view import own_view, shared_view
from core.errors import BadInput, StoreError

SOURCE, FIELDS = "name : The Eagle | food : Chinese", [("name", "The Eagle"), ("food", "Chinese")]


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path)


def filled(board, names=("Ada", "Ben")):
    """Guests with an entry each."""
    guests = [board.join(name) for name in names]
    for number, guest in enumerate(guests):
        board.add_entry(guest, f"class-{guest.name.lower()}-1", state=READY, coverage=50.0 + number, bleu=1.0, rows=24)
    return guests


def blind_round(board):
    round_ = board.begin_round(SOURCE, FIELDS, ["class-ada-1", "class-ben-1"], True, True)
    for line in round_.lines:
        line.state, line.text, line.present = WRITTEN, f"A text by {line.letter}.", ["name"]
    board.finish_writing(round_.number)
    return round_


def test_a_round_without_prefixes_or_with_too_many_says_how_many_are_chosen(board, monkeypatch):
    filled(board, ("Ada", "Ben", "Cyd"))
    for frozen in (False, True):
        with pytest.raises(BadInput, match="prefixes, and none is chosen"):
            board.begin_round(SOURCE, FIELDS, [], True, frozen)
    monkeypatch.setattr("app.classroom.board.LINES", 3)
    with pytest.raises(BadInput, match="A round takes 1 to 2 prefixes, and 3 are chosen"):  # the frozen model has a line too
        board.begin_round(SOURCE, FIELDS, [entry.id for entry in board.entries()], True, True)


def test_a_blind_round_hides_names_until_it_is_closed(board):
    ada, ben = filled(board)
    round_ = blind_round(board)
    for presenter in (False, True):
        shown_round = shared_view(board, presenter)["round"]
        assert shown_round["state"] == VOTING and {line["letter"] for line in shown_round["lines"]} == {"A", "B", "C"}
        assert all(set(line) == {"letter", "state", "text"} for line in shown_round["lines"])
    board.vote(ada, round_.number, "A")
    board.vote(ada, round_.number, "B")
    board.vote(ben, round_.number, "B")
    assert shared_view(board, True)["round"]["voted"] == 2 and own_view(board, ada)["vote"] == "B"
    board.end_round()
    shown_round = {line["letter"]: line for line in shared_view(board, False)["round"]["lines"]}
    assert shown_round["B"]["votes"] == 2 and shown_round["A"]["votes"] == 0
    assert {line["name"] for line in shown_round.values()} == {"Ada", "Ben", "frozen model"}
    with pytest.raises(BadInput, match="not being voted"):
        board.vote(ben, round_.number, "A")


def test_an_open_round_is_ranked_by_coverage_then_by_what_is_unsupported(board):
    filled(board)
    round_ = board.begin_round(SOURCE, FIELDS, ["class-ada-1", "class-ben-1"], False, True)
    for line, (present, unsupported) in zip(
        round_.lines, [(["name"], ["x"]), (["name", "food"], []), (["name"], [])], strict=True
    ):
        line.state, line.present, line.unsupported = WRITTEN, present, unsupported
    board.finish_writing(round_.number)
    assert round_.state == CLOSED
    assert [line["name"] for line in shared_view(board, False)["round"]["lines"]] == ["Ben", "frozen model", "Ada"]


def test_prefixes_of_one_guest_have_names_of_their_own(board):
    ada = board.join("Ada")
    assert [board.add_entry(ada, f"run-{number}").name for number in range(3)] == ["Ada", "Ada (2)", "Ada (3)"]
    board.remove_entry("run-1")
    assert board.add_entry(ada, "another").name == "Ada (2)"


@pytest.mark.parametrize("letter", ["D", "", None, 1, ["A"], "a"])
def test_votes_for_nothing_are_refused(board, letter):
    ada, _ = filled(board)
    round_ = blind_round(board)
    with pytest.raises(BadInput):
        board.vote(ada, round_.number, letter)


def test_a_question_shows_the_shift_and_no_count_before(board):
    ada, ben = filled(board)
    board.ask("What changes?", ["All weights", "Nothing"], 1)
    board.answer(ada, 1, 0)
    board.answer(ben, 1, 1)
    board.go_on()
    with pytest.raises(BadInput, match="not open"):
        board.answer(ada, 1, 1)
    board.go_on()
    board.answer(ada, 1, 1)
    board.answer(ben, 1, 1)
    shown_round = shared_view(board, True)["question"]
    assert shown_round["answered"] == 2 and not {"before", "after", "right"} & set(shown_round)
    board.go_on()
    shown_round = shared_view(board, False)["question"]
    assert (shown_round["before"], shown_round["after"], shown_round["right"]) == ([1, 1], [0, 2], 1)
    assert shown_round["shift"] == {"both": 2, "moved": 1, "to": 1, "away": 0}


@pytest.mark.parametrize("right", [2, -2, True, "1", None, 1.0])
def test_a_right_answer_that_is_none_of_the_lines_is_refused(board, right):
    with pytest.raises(BadInput, match="by its line, 1 to 2"):
        board.ask("What changes?", ["All weights", "Nothing"], right)
    assert board.question is None


@pytest.mark.parametrize("option", [2, -1, True, "0", None, 1.0])
def test_answers_that_are_none_are_refused(board, option):
    ada, _ = filled(board)
    board.ask("What changes?", ["All weights", "Nothing"], 1)
    with pytest.raises(BadInput):
        board.answer(ada, 1, option)


@pytest.mark.parametrize(
    "name", ["", "   ", "\u200b\n", "\u200d", "x" * 25, None, 5, ["x"], "Frozen Model", "frozen\u200d model"]
)
def test_names_that_are_none_are_refused(board, name):
    with pytest.raises(BadInput):
        board.join(name)


@pytest.mark.parametrize("name", ["Ada 👩\u200d👧", "ශ්\u200dරී", "علی\u200cرضا"])
def test_joined_emoji_and_letters_stay_joined(board, name):
    assert board.join(f" {name}\u200b").name == name


def test_names_that_differ_by_an_invisible_joiner_are_the_same(board):
    board.join("Ada")
    with pytest.raises(BadInput, match="already"):
        board.join("A\u200dda \u200d")


def test_a_guest_has_few_entries_and_failed_ones_make_room(board):
    ada = board.join("Ada")
    for number in range(ENTRIES):
        board.add_entry(ada, f"run-{number}")
    with pytest.raises(BadInput, match="as many as are allowed"):
        board.add_entry(ada, "one-more")
    board.update_entry("run-0", state="failed")
    board.add_entry(ada, "one-more")
    assert board.entry("run-0") is None


def test_guests_do_not_see_ids_that_cookies_hold(board):
    ada, ben = filled(board)
    shown_round = json.dumps([shared_view(board, False), own_view(board, ben)])
    assert ada.id not in shown_round and ben.id not in shown_round


def test_everything_is_there_after_a_restart(board, tmp_path):
    ada, _ = filled(board)
    round_ = blind_round(board)
    board.vote(ada, round_.number, "C")
    board.ask("What changes?", ["All weights", "Nothing"], 1)
    board.answer(ada, 1, 1)
    again = Board(tmp_path)
    assert shared_view(again, True) == shared_view(board, True) and own_view(again, ada) == own_view(board, ada)
    again.end_round()
    assert again.round.votes == {ada.id: "C"} and again.round.lines == round_.lines


def test_a_change_that_cannot_be_saved_is_not_on_the_board_and_can_be_made_again(board, tmp_path, monkeypatch):
    def full(path, values):
        raise StoreError(f"Cannot write {path}: the disk is full.")

    ada, _ = filled(board)
    with monkeypatch.context() as patch:
        patch.setattr("app.classroom.board.write_json", full)
        with pytest.raises(StoreError):
            board.join("Cem")
        with pytest.raises(StoreError):
            board.add_entry(ada, "class-ada-2", state=READY)
        with pytest.raises(StoreError):
            board.begin_round(SOURCE, FIELDS, ["class-ada-1"], False, False)
        assert "the disk is full. Until then, what guests send is refused." in shared_view(board, True)["unsaved"]
        assert "unsaved" not in shared_view(board, False) and board.round is None
    cem = board.join("Cem")
    board.add_entry(cem, "class-cem-1", state=READY)
    board.begin_round(SOURCE, FIELDS, ["class-ada-1"], False, False)
    assert shared_view(board, True)["unsaved"] == "" and len(Board(tmp_path).entries()) == 3


def test_a_round_that_was_cut_off_is_over_after_a_restart(board, tmp_path):
    filled(board)
    board.begin_round(SOURCE, FIELDS, ["class-ada-1"], True, False)
    again = Board(tmp_path)
    assert again.round.state == CLOSED and "closed before" in again.round.lines[0].note
    assert "closed before" in json.dumps(shared_view(again, False))  # nothing is wrong with the guest's prefix
    again.begin_round(SOURCE, FIELDS, ["class-ada-1"], True, False)


def test_why_a_text_failed_is_for_the_presenter(board):
    filled(board)
    round_ = board.begin_round(SOURCE, FIELDS, ["class-ada-1"], False, False)
    round_.lines[0].state, round_.lines[0].note = "failed", "There is no run 'x'. Runs: my-secret-run."
    board.finish_writing(round_.number)
    assert "my-secret-run" in json.dumps(shared_view(board, True)) and "my-secret-run" not in json.dumps(
        shared_view(board, False)
    )


def test_a_half_written_file_is_never_the_board(board, tmp_path, monkeypatch):
    filled(board)
    before = board.file.read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="Free some space"):
        board.join("Cem")
    assert board.file.read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[]", "[" * 50_000, '{"guests": [1]}', '{"rounds": 3}'])
def test_a_damaged_board_says_so(tmp_path, content):
    (tmp_path / "board.json").write_text(content)
    with pytest.raises(StoreError, match="The board"):
        Board(tmp_path)


def test_the_table_counts_votes_and_holds_no_formulas(board):
    ada, ben = filled(board, ("=cmd()", "Ben"))
    round_ = board.begin_round(SOURCE, FIELDS, [entry.id for entry in board.entries()], True, False)
    board.finish_writing(round_.number)
    board.vote(ben, round_.number, next(line.letter for line in round_.lines if line.name == "Ben"))
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(board_csv(board).decode("utf-8-sig")))}
    assert set(rows) == {"'=cmd()", "Ben"} and rows["Ben"]["votes"] == "1" and ada.name == "=cmd()"


def test_the_runs_come_as_a_zip_of_zips_that_can_be_imported(room, zipped, tmp_path):
    from core.exchange.archive import import_zip
    from core.runs.store import Store

    guest, zip_bytes = room.ask("guest", "Ada"), zipped["tiny-prefix"].read_bytes()
    guest.post("/class/api/hand-in", content=zip_bytes, headers={"Content-Type": "application/zip"})
    answer = room.ask("presenter").get("/class/api/board.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as whole:
        assert set(whole.namelist()) == {"board.csv", "class-ada-1.zip"}
        whole.extract("class-ada-1.zip", tmp_path)
        table = whole.read("board.csv")
    assert table == room.ask("presenter").get("/class/api/board.csv").content and table.startswith(codecs.BOM_UTF8)
    assert import_zip(tmp_path / "class-ada-1.zip", Store(tmp_path / "mine")).id == "class-ada-1"
