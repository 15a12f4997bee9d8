"""The one error that a user is meant to read."""


class UserError(ValueError):
    """Bad input: one sentence that says what is wrong and what would be right.

    The command line prints the sentence, the app shows it; neither shows a stack trace.
    """
