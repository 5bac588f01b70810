import pytest

from core.text.detokenize import detokenise, tokenise_like_e2e

PAIRS = [
    ("Ivy House costs £ 20 - 25 , and it 's family - friendly .", "Ivy House costs £20-25, and it's family-friendly."),
    ("They do n't mind ; we 're near St. John 's Inn !", "They don't mind; we're near St. John's Inn!"),
    ("It isn 't cheap : £ 10.50 .", "It isn't cheap: £10.50."),
    ("A pub called ' Ivy House ' , by the river .", "A pub called 'Ivy House', by the river."),
    ("Rated 1 out of 5 .", "Rated 1 out of 5."),
    ("between £ 20- £ 25 ( tax paid ) , 10 % off", "between £20-£25 (tax paid), 10% off"),
    ("Ivy House - a pub - serves tea .", "Ivy House - a pub - serves tea."),
]


@pytest.mark.parametrize(("tokenised", "written"), PAIRS)
def test_detokenise(tokenised: str, written: str) -> None:
    assert detokenise(tokenised) == written


@pytest.mark.parametrize("written", [written for _, written in PAIRS])
def test_written_text_is_left_alone(written: str) -> None:
    """Reference rows of the bundled data are natural text and go through the same function."""
    assert detokenise(written) == written


@pytest.mark.parametrize("text", ["", " ", "Ärzte – ‘so’ … 5/5", "a\tb\n\nc", "' ' ' (", ". . ."])
def test_odd_text_does_no_harm(text: str) -> None:
    assert detokenise(detokenise(text)) == detokenise(text)
    assert detokenise(text).strip() == detokenise(text)


def test_tokenised_like_the_training_text() -> None:
    written = "It isn't cheap: £20-25, but it's kid-friendly; ask 'Ivy House'."
    assert tokenise_like_e2e(written) == "It isn 't cheap : £ 20 - 25 , but it 's kid - friendly ; ask ' Ivy House ' ."
    assert detokenise(tokenise_like_e2e(written)) == written
