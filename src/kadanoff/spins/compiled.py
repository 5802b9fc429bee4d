"""Numba's compiler with a cache that knows all sources.

Numba looks for changes in the file of the cached function only, and would go on using it after an edit to another
file whose functions it contains. Here the cache's folder is named by a hash of all files that hold such functions.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

PACKAGE = Path(__file__).parents[1]


def _cache_folder() -> Path:
    digest = hashlib.blake2b(digest_size=8)
    for room in ("spins", "montecarlo", "inverse", "phases"):
        for source in sorted((PACKAGE / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return PACKAGE / "__pycache__" / f"numba-{digest.hexdigest()}"


CACHE = str(_cache_folder())


def compiled(function: Callable[..., Any]) -> Any:
    """`numba.njit` that releases the interpreter lock, so that chains run in threads, and keeps its machine code."""
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, CACHE
    try:
        return numba.njit(cache=True, nogil=True)(function)
    finally:
        settings.CACHE_DIR = before
