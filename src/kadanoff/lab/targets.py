"""What commands write for a user: never over something else, only where there is room, by one process at a time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors


def require_new(target: Path) -> None:
    """Raise KadanoffError if there is something at `target`."""
    if target.exists():
        raise KadanoffError(f"{target} exists; nothing is overwritten. Give another name, or remove it first.")


def require_room(folder: Path, needed: float, takes: str, remedy: str = "write elsewhere") -> None:
    """Raise KadanoffError if the disk of `folder` has fewer bytes free than `needed` by what `takes` them."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise KadanoffError(
            f"{folder} has {free / 1e9:.2f} GB free, but {takes} about {needed / 1e9:.2f} GB; free some space, or "
            f"{remedy}."
        )


@contextmanager
def alone(work: Path, target: Path, doing: str) -> Iterator[None]:
    """Make the folder `work`, in which `target` is made, and keep other processes out of it until the block ends.

    Raises
    ------
    KadanoffError
        If another process is `doing` the target, or the disk refuses.
    """
    with disk_errors(target):
        work.mkdir(exist_ok=True)
        lock = FileLock(work / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:  # an OSError, but not the disk's
            raise KadanoffError(f"another process is {doing} {target}; wait for it.") from error
        try:
            yield
        finally:
            lock.release()
