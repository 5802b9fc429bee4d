"""What commands write for a user: never over something else, only where there is room, by one process at a time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kadanoff.errors import KadanoffError, shown
from kadanoff.runtime.files import alone


def require_new(target: Path) -> None:
    """Raise KadanoffError if there is something at `target`, or there can be nothing, as where a name is too long."""
    try:
        there = target.exists()
    except OSError as error:
        raise KadanoffError(f"{shown(str(target))} cannot be made: {error.strerror}; give another path.") from error
    if there:
        raise KadanoffError(f"{target} exists; nothing is overwritten. Give another name, or remove it first.")


def place_new(finished: Path, target: Path) -> None:
    """Move the folder `finished` to `target` in one rename; KadanoffError if there is something by now."""
    require_new(target)
    finished.rename(target)


def require_room(folder: Path, needed: float, takes: str, remedy: str = "write elsewhere", written: int = 0) -> None:
    """Raise KadanoffError if the disk of `folder` has fewer bytes free than `needed` by what `takes` them.

    As many as are `written` already are not needed again.
    """
    free, left = shutil.disk_usage(folder).free, needed - written
    if free < left:
        more = " more" if written else ""
        raise KadanoffError(
            f"{folder} has {free / 1e9:.2f} GB free, but {takes} about {left / 1e9:.2f} GB{more}; free some space, or "
            f"{remedy}."
        )


@contextmanager
def alone_on_new(target: Path, doing: str, kept: str | None = None) -> Iterator[Path]:
    """`alone`, for a `target` that must not exist: KadanoffError if the process that worked on it before made it."""
    with alone(target, doing, kept) as work:
        require_new(target)
        yield work
