"""Numba's compiler with a cache that knows all sources.

Numba looks for changes in the file of the cached function only, and would go on using it after an edit to another
file whose functions it contains. Here the cache's folder is named by a hash of all files that hold such functions.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba

PACKAGE = Path(__file__).parents[1]


def cache_folder(package: Path, given: str | None) -> Path | None:
    """Where machine code is kept: `given` by NUMBA_CACHE_DIR, else in the package, else where this user keeps caches.

    None if none of them can be written: all is compiled anew then.
    """
    digest = hashlib.blake2b(digest_size=8)
    for room in ("spins", "montecarlo", "inverse", "phases", "renormalization"):
        for source in sorted((PACKAGE / room).rglob("*.py")):
            digest.update(source.read_bytes())
    own: list[Any] = [package / "__pycache__", "~/.cache/kadanoff"]
    for place in [given, *own] if given else own:
        with suppress(OSError, RuntimeError):  # the last one of a user who has no home
            folder = Path(place).expanduser() / f"numba-{digest.hexdigest()}"
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    return None


CACHE = cache_folder(PACKAGE, numba.config.CACHE_DIR)  # type: ignore[attr-defined]


def announce() -> None:
    """Say on stderr that the first call compiles, if no machine code is kept yet."""
    if CACHE is None or not any(CACHE.iterdir()):
        print("compiling machine code for the first call, which takes some seconds", file=sys.stderr, flush=True)


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
