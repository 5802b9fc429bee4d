"""The one exception that a user's mistake raises."""


class KadanoffError(Exception):
    """A user's mistake: the message says what, which value, the rule and the remedy.

    The command line prints the message without a traceback and exits with code 1.
    """
