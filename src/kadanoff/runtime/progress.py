"""Progress with an ETA: a bar on a terminal, one plain line a minute elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from kadanoff.errors import printable

LINE_SECONDS = 60.0


class Advance(Protocol):
    """Callable that reports `amount` more units as done; thread-safe."""

    def __call__(self, amount: float = 1.0) -> None:
        """Report."""


@contextmanager
def progress(what: str, total: float) -> Iterator[Advance]:
    """Show how much of `total` units of work called `what` is done, and when it will end."""
    what = printable(what)  # it may hold the name of a file
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        label = TextColumn("{task.description}", markup=False)
        with Progress(label, *columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda amount=1.0: bar.advance(task, amount)
    else:
        yield _PlainLines(what, total)


class _PlainLines:
    def __init__(self, what: str, total: float) -> None:
        self.what, self.total, self.done = what, total, 0.0
        self.started = self.last = time.monotonic()

    def __call__(self, amount: float = 1.0) -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.last >= LINE_SECONDS:
            self.last = now
            left = (now - self.started) * (self.total / self.done - 1)
            print(f"{self.what}: {self.done / self.total:.0%}, about {left:.0f} s left", file=sys.stderr, flush=True)
