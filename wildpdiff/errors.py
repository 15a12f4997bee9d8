"""The one error that a user is meant to read."""

import os


class UserError(ValueError):
    """Bad input: one sentence that says what is wrong and what would be right.

    The command line prints the sentence, the app shows it; neither shows a stack trace.
    """


def readable(text: str) -> str:
    """A file's name or a sentence with one, on one line: bytes that are no text, and what moves a terminal's cursor,
    become a question mark."""
    plain = os.fsencode(text).decode("utf-8", "replace") if any("\ud800" <= each <= "\udfff" for each in text) else text
    return "".join(each if each.isprintable() and each != "\ufffd" else "?" for each in plain)
