"""The one exception that a user's mistake raises, and what text from outside must lose before it is shown."""

import re

ADDRESS = re.compile(r"(?<=://)\S+")
QUERY = re.compile(r"\?[^\s?]*=\S*")  # also of an address that has lost its beginning, as in the errors of requests


class KadanoffError(Exception):
    """A user's mistake: the message says what, which value, the rule and the remedy.

    The command line prints the message without a traceback and exits with code 1.
    """


def without_secret(text: str) -> str:
    """`text` without the user, password, query and fragment of any address in it."""
    return QUERY.sub("", ADDRESS.sub(_plain, text))


def _plain(match: re.Match[str]) -> str:
    address = match[0]
    if address.startswith("/"):  # a file, whose name may hold any of these but '?'
        return address.partition("?")[0]
    user, _, place = address.rpartition("@")
    # an '@' behind '?' or '#' may end a password or be part of a query: then nothing is sure to be no secret
    return "..." if re.search("[?#]", user) else re.split("[?#]", place, maxsplit=1)[0]


def printable(text: object) -> str:
    """`text` as one line that only shows: control characters, line ends and half surrogates are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in str(text))


def printable_lines(text: object) -> str:
    """The same of each line."""
    return "\n".join(printable(line) for line in str(text).split("\n"))
