"""Numba's compiler with a cache that knows all sources.

Numba looks for changes in the file of the cached function only, and would go on using it after an edit to another
file whose functions it contains. Here the cache's folder is named by a hash of all files that hold such functions.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

PACKAGE = Path(__file__).parents[1]


def cache_folder(package: Path, given: str | None) -> Path | None:
    """Where machine code is kept: `given` by NUMBA_CACHE_DIR, else in the package, else where this user alone writes.

    None if none of them can be written: all is compiled anew then.
    """
    name = f"numba-{_sources().hexdigest()}"
    wanted = _writable(Path(given) / name) if given else None
    return wanted or _writable(package / "__pycache__" / name) or _writable_own(name)


def _sources() -> Any:
    digest = hashlib.blake2b(digest_size=8)
    for room in ("spins", "montecarlo", "inverse", "phases"):
        for source in sorted((PACKAGE / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _writable_own(name: str) -> Path | None:
    """A temporary folder of this user: machine code that another can write is his to run here."""
    own = Path(tempfile.gettempdir()) / f"kadanoff-{os.getuid()}"
    try:
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return _writable(own / name) if ours else None


CACHE = cache_folder(PACKAGE, numba.config.CACHE_DIR)  # type: ignore[attr-defined]


def compiled(function: Callable[..., Any]) -> Any:
    """`numba.njit` that releases the interpreter lock, so that chains run in threads, and keeps its machine code."""
    if CACHE is None:
        return numba.njit(nogil=True)(function)
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(CACHE)
    try:
        return numba.njit(cache=True, nogil=True)(function)
    finally:
        settings.CACHE_DIR = before
