"""Writing that survives: atomic files and folders, a locked working folder for each stage, the project's root."""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kadanoff.errors import KadanoffError

LOCK = "lock"
# those whose code decides results; `project` and `runtime` cannot change one
PACKAGES = ("spins", "data", "networks", "montecarlo", "learning", "inverse", "phases", "renormalization", "studies")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def project_root() -> Path:
    """Nearest parent of this folder with a dvc.yaml, else this folder.

    Under `dvc exp run --temp` it is the temporary copy, while DVC_ROOT names the project that was copied.
    """
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into a KadanoffError with the target, the system's words, the remedy."""
    try:
        yield
    except OSError as error:
        place = error.filename or target
        raise KadanoffError(
            f"cannot write {place}: {error.strerror or error}. Earlier outputs are untouched; free some space or "
            "make the folder writable, then repeat the command: it resumes from its last checkpoint."
        ) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def replace_folder(finished: Path, target: Path) -> None:
    """Put the folder `finished` in place of `target`, which may be on another file system, in one rename beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(target)
    new, old = _beside(target)
    try:
        shutil.move(finished, new)  # a copy where no rename leads
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        recover_folder(target)


def recover_folder(target: Path) -> None:
    """Clear what `replace_folder` left of `target` when it was killed; an earlier version that it put aside comes back.

    The caller keeps other processes out.
    """
    new, old = _beside(target)
    _remove(new)
    if old.exists():
        old.rename(new if target.exists() else target)  # nothing is removed under the name of a whole folder
        _remove(new)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _beside(target: Path) -> tuple[Path, Path]:
    """Where a folder that is about to become `target` lies, and the whole one that it replaces."""
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")


@contextmanager
def alone(target: Path, doing: str, kept: str | None = None) -> Iterator[Path]:
    """The folder beside `target` that it is made in, out of which other processes are kept until the block ends.

    It begins empty, whatever a process that was killed left there, and is removed in the end. With a pattern `kept`, it
    begins as it was left, and stays after an error if it holds something that matches: a later command resumes it.
    KadanoffError if another process is `doing` it, or the disk refuses.
    """
    work = target.with_name(f".{target.name}.partial")
    with disk_errors(target):
        work.mkdir(parents=True, exist_ok=True)
        with _locked(work / LOCK, f"another process is {doing} {target}; wait for it."):
            if kept is None:
                _empty(work)
            try:
                yield work
            except BaseException:
                if kept is None or next(work.glob(kept), None) is None:
                    _clear(work)
                raise
            _clear(work)


@contextmanager
def _locked(path: Path, refusal: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:  # an OSError, but not the disk's
        raise KadanoffError(refusal) from error
    try:
        yield
    finally:
        lock.release()


def _empty(work: Path) -> None:
    for path in work.iterdir():
        if path.name != LOCK:
            _remove(path)


def _clear(work: Path) -> None:
    """Remove a folder whose lock this process holds: the lock last, as another process may take it from then on."""
    _empty(work)
    (work / LOCK).unlink()
    with suppress(OSError):  # it is that other process's now
        work.rmdir()


def fingerprint(*parts: Any, packages: Sequence[str] = PACKAGES) -> str:
    """Hash of the parameters given and of the source of these packages: names a checkpoint that is safe to resume."""
    digest = hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=8)
    for package in packages:
        for source in sorted((Path(__file__).parents[1] / package).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


@contextmanager
def working_folder(stage: str, variant: str, *parts: Any) -> Iterator[Path]:
    """Folder for the checkpoints of one stage, under a lock; removed when the block ends well.

    KadanoffError if the variant's name cannot name files, the stage already runs, or the disk refuses a write.
    """
    if not NAME.fullmatch(variant):
        raise KadanoffError(
            f"{stage} {variant!r}: a name has letters, digits, '_', '-' and '.' only; rename the entry."
        )
    base = project_root() / ".checkpoints"
    folder = base / f"{stage}-{variant}-{fingerprint(*parts)}"
    with disk_errors(base):
        base.mkdir(exist_ok=True)
        busy = f"{stage} {variant} is already running in {base.parent}. Wait for it, or stop it: its work is kept."
        parts_share = "KADANOFF_PART" in os.environ  # none of them writes what another one does
        with nullcontext() if parts_share else _locked(base / f"{stage}-{variant}.lock", busy):
            folder.mkdir(exist_ok=True)
            yield folder
            # with it the checkpoints of other parameters or older code: nothing can go on from them
            for done in base.iterdir():
                if re.fullmatch(re.escape(f"{stage}-{variant}-") + "[0-9a-f]{16}", done.name):
                    shutil.rmtree(done)
