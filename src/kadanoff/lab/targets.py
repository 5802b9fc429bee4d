"""What commands write for a user: never over something else, only where there is room, by one process at a time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kadanoff.errors import KadanoffError
from kadanoff.lab.files import disk_errors, exists

LOCK = "lock"


def require_new(target: Path) -> None:
    """Raise KadanoffError if there is something at `target`."""
    if exists(target):
        raise KadanoffError(f"{target} exists; nothing is overwritten. Give another name, or remove it first.")


def place_new(finished: Path, target: Path) -> None:
    """Move the folder `finished` to `target` in one rename.

    Raises
    ------
    KadanoffError
        If something has come to be at `target` meanwhile; it stays as it is.
    """
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
def alone(target: Path, doing: str, kept: str | None = None) -> Iterator[Path]:
    """The folder beside a new `target` that it is made in, out of which other processes are kept until the block ends.

    It is removed then, with all that older commands left in it; after an error it stays if it holds something that
    matches the pattern `kept`, with which a later command goes on.

    Raises
    ------
    KadanoffError
        If the target exists, another process is `doing` it, or the disk refuses.
    """
    work = target.with_name(f".{target.name}.partial")
    with disk_errors(target):
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:  # an OSError, but not the disk's
            raise KadanoffError(f"another process is {doing} {target}; wait for it.") from error
        try:
            with _cleared(work, kept):
                require_new(target)  # the process that held the lock may have made it
                yield work
        finally:
            lock.release()


@contextmanager
def _cleared(work: Path, kept: str | None) -> Iterator[None]:
    """Remove the folder in the end, unless there was an error and something is kept."""
    try:
        yield
    except BaseException:
        if kept is None or next(work.glob(kept), None) is None:
            _clear(work)
        raise
    _clear(work)


def _clear(work: Path) -> None:
    """Remove a folder whose lock this process holds: the lock last, as another process may take it from then on."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    (work / LOCK).unlink()
    with suppress(OSError):  # it is that other process's now
        work.rmdir()
