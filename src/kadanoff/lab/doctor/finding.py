"""What the doctor says and may do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Repair:
    """What would be done, as a sentence, and how. `removes`: something leaves its place, if only to lie beside it."""

    does: str
    act: Callable[[], object]
    removes: bool = False


@dataclass(frozen=True)
class Finding:
    """A trap, as a sentence: what, where, and why it matters; the remedy if there is no `repair`."""

    what: str
    repair: Repair | None = None


def beside(path: Path, label: str) -> Path:
    """A free name beside `path`: mlflow.db becomes mlflow.db.LABEL-20260131-235959."""
    stem = f"{path.name}.{label}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (stem, *(f"{stem}-{number}" for number in range(2, 100)))
    return next(place for place in map(path.with_name, names) if not place.exists())


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(names: list[str], most: int = 4) -> str:
    """The names, or the first of them and how many more there are."""
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return ", ".join(shown)
