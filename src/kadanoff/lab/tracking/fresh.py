"""Filling a new SQLite store without waiting for the disk at every commit: it holds nothing that could be lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.pool import Pool


@contextmanager
def quick_if_new(uri: str) -> Iterator[None]:
    """A SQLite store made inside the block leaves its writes to the operating system; after it they are on the disk.

    A run takes half a dozen commits, and a busy disk some ten milliseconds for each: 100 runs took 20 s instead of 5.
    """
    name = make_url(uri).database if uri.startswith("sqlite:") else None
    if name is None or Path(name).exists():
        yield
        return
    event.listen(Pool, "checkout", _without_waiting)
    event.listen(Pool, "checkin", _with_waiting)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", _without_waiting)
        event.remove(Pool, "checkin", _with_waiting)
        if Path(name).exists():  # else an error is on its way
            with Path(name).open("rb") as file:
                os.fsync(file.fileno())


def _without_waiting(connection: Any, *_: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def _with_waiting(connection: Any, *_: Any) -> None:
    if connection is not None:  # SQLAlchemy has dropped it
        connection.execute("PRAGMA synchronous = FULL")
