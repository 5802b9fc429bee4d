"""Progress with an ETA: a bar on a terminal, a line that is renewed in a notebook, one line a minute elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from kadanoff.errors import printable

WIDTH = 100
"""Characters of a line in a notebook, so that nothing of a longer one before it is left."""


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
    elif "ipykernel" in sys.modules:  # a bar of rich would need ipywidgets
        lines = _Lines(what, total, seconds=1.0, width=WIDTH, end="\r")
        yield lines
        if lines.last > lines.started:
            lines.show(f"done in {time.monotonic() - lines.started:.0f} s", "\n")
    else:
        yield _Lines(what, total, seconds=60.0, width=0, end="\n")


class _Lines:
    def __init__(self, what: str, total: float, seconds: float, width: int, end: str) -> None:
        self.what, self.total, self.done = what, total, 0.0
        self.seconds, self.width, self.end = seconds, width, end
        self.started = self.last = time.monotonic()

    def __call__(self, amount: float = 1.0) -> None:
        self.done += amount
        now = time.monotonic()
        if self.done and now - self.last >= self.seconds:
            self.last = now
            left = (now - self.started) * (self.total / self.done - 1)
            self.show(f"{self.done / self.total:.0%}, about {left:.0f} s left", self.end)

    def show(self, text: str, end: str) -> None:
        print(f"{self.what}: {text}".ljust(self.width), end=end, file=sys.stderr, flush=True)
