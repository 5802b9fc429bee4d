"""The one exception that a user's mistake raises, checks that public functions share, and text that is safe to show."""

import re
import reprlib
from typing import Any

ADDRESS = re.compile(r"(?<=://)\S+")
QUERY = re.compile(r"\?[^\s?]*=\S*")  # also of an address that has lost its beginning, as in the errors of requests


class KadanoffError(Exception):
    """A user's mistake: the message says what, which value, the rule and the remedy.

    The command line prints the message without a traceback and exits with code 1.
    """


def missing(error: ModuleNotFoundError) -> KadanoffError | ModuleNotFoundError:
    """What to install, if a library is missing that an extra of the package has; else the error itself."""
    library = (error.name or "").partition(".")[0]
    if library == "kadanoff":
        return error
    pipeline = dict.fromkeys(("dvc", "markdown_it", "mlflow", "ruamel", "yaml"), "pipeline")
    extra = (pipeline | {"dask": "cluster", "distributed": "cluster"}).get(library, "networks")
    return KadanoffError(f"{library} is not installed, which this needs: pip install 'kadanoff[{extra}]'.")


LONGEST = 100  # characters of a value that a message repeats
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, LONGEST, LONGEST


def shown(value: Any) -> str:
    """A user's value as a message repeats it: as it is written if that is short, else its beginning.

    >>> shown([1.0, 1.5] * 100)
    '[1.0, 1.5, 1.0, 1.5, 1.0, 1.5, ...]'
    """
    try:
        text = " ".join(_SHORT.repr(plain(value)).split())
    except ValueError:  # Python refuses to write out an integer of thousands of digits
        return f"a number of {value.bit_length()} bits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def whole(value: Any, name: str, least: int, most: int) -> int:
    """An integer of any kind (Python's, NumPy's) as Python's own.

    Raises
    ------
    KadanoffError
        If it is no integer (True, 1.0 and "1" are none), or does not lie between `least` and `most`.
    """
    number = plain(value)
    if type(number) is not int or not least <= number <= most:
        raise KadanoffError(f"{name} is {shown(value)}; it must be a whole number from {least} to {most}.")
    return number


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of any kind; True, 1.0 and "1" are none."""
    return type(plain(value)) is int


def real(value: Any, name: str, least: float, most: float) -> float:
    """A real number of any kind as Python's own.

    Raises
    ------
    KadanoffError
        If it is no number (True and "1" are none), or does not lie between `least` and `most`.
    """
    number = plain(value)
    if type(number) not in (int, float) or not least <= number <= most:
        raise KadanoffError(f"{name} is {shown(value)}; it must be a number from {least:g} to {most:g}.")
    return float(number)


def plain(value: Any) -> Any:
    """NumPy's scalars, and arrays of no dimension, as Python's own; all else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def numbers(values: Any, name: str) -> Any:
    """Real numbers, or truths, as a NumPy array in their own type.

    Raises
    ------
    KadanoffError
        If they are something else, or lists of several lengths.
    """
    import numpy as np  # `import kadanoff` stays light

    try:
        array = np.asarray(values)
    except ValueError as error:
        raise KadanoffError(f"{name}: the lists in {shown(values)} have several lengths; give an array.") from error
    if array.dtype.kind not in "biuf":
        raise KadanoffError(f"{name} is {shown(values)}, of type {array.dtype}; give real numbers.")
    return array


MOST_WORKERS = 1024
MOST_SEED = 2**64 - 1


def seed_of(value: Any, name: str = "seed") -> int:
    """A seed as Python's integer; KadanoffError if it is none from 0 to 2^64 - 1."""
    return whole(value, name, 0, MOST_SEED)


def without_secret(text: str) -> str:
    """`text` without the user, password, query and fragment of any address in it."""
    return QUERY.sub("", ADDRESS.sub(_without, text))


def _without(match: re.Match[str]) -> str:
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
