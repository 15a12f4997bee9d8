"""The one error that a user is meant to read."""

import os

#: Letters of a sentence.
LONGEST = 600


class UserError(ValueError):
    """Bad input: one sentence that says what is wrong and what would be right.

    The command line prints the sentence, the app shows it; neither shows a stack trace. What it quotes of the input is
    `readable`, and it has at most `LONGEST` letters, so that no input makes two sentences or a page of one.
    """

    def __init__(self, sentence: str) -> None:
        plain = readable(sentence)
        half = LONGEST // 2
        super().__init__(plain if len(plain) <= LONGEST else f"{plain[:half]} \u2026 {plain[-half:]}")


def readable(text: str) -> str:
    """A file's name or a sentence with one, on one line: bytes that are no text, and what moves a terminal's cursor,
    become a question mark."""
    try:
        plain = os.fsencode(text).decode("utf-8", "replace")
    except UnicodeEncodeError:  # half a letter, as JSON can hold it
        plain = text
    return "".join(each if each.isprintable() and each != "\ufffd" else "?" for each in plain)
