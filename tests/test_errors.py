"""What a user reads of a mistake: one sentence, whatever was typed or sent."""

import copy

import pytest

from wildpdiff.errors import LONGEST, UserError, readable


@pytest.mark.parametrize(
    "quoted", ["a\nb", "\x1b[31mred", "\x00", "\u202egpj", "R10\u200b", "\ud800", "\udce9caf", "\ufffd"]
)
def test_what_a_sentence_quotes_is_on_one_line_and_can_be_sent(quoted: str) -> None:
    told = str(UserError(f"Location '{quoted}' is not known."))
    assert told.isprintable() and told.startswith("Location '") and "?" in told
    told.encode()


def test_what_can_be_read_stays_as_it_is() -> None:
    for text in ("Location 'été' is not known.", "مرحبا 🦓 名前", 'it\'s "so"'):
        assert str(UserError(text)) == readable(text) == text


def test_no_input_makes_a_page_of_a_sentence() -> None:
    told = str(UserError(f"Location '{'z' * 90_000}' is not known; choose one of: R10, R12."))
    assert told.startswith("Location 'zzz") and told.endswith("choose one of: R10, R12.")
    assert len(told) < LONGEST + 10


def test_a_mistake_is_taken_apart_and_put_together_whole() -> None:
    """As between processes, where `test_workers` sends one."""
    assert str(copy.copy(UserError("It is full."))) == "It is full."
