"""Checkpoints of chains: the spins of a task after some sweeps, and numbers that need not be computed again."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kadanoff.runtime.files import disk_errors, write_atomic


def save(path: Path, sweeps: int, spins: NDArray[np.int8]) -> None:
    """Keep the spins of a task, one bit each, after so many sweeps."""
    buffer = io.BytesIO()
    np.savez(buffer, sweeps=np.int64(sweeps), bits=np.packbits(spins > 0))
    with disk_errors(path):
        write_atomic(path, buffer.getvalue())


def load(path: Path, shape: tuple[int, ...]) -> tuple[int, NDArray[np.int8]] | None:
    """(sweeps done, spins) of a task, or None if the file was cut short by a power failure: the chains begin again."""
    try:
        with np.load(path, allow_pickle=False) as state:
            up = np.unpackbits(state["bits"], count=math.prod(shape)).reshape(shape)
            return int(state["sweeps"]), 2 * up.astype(np.int8) - 1
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def cached(folder: Path | None, name: str, compute: Callable[[], Any]) -> Any:
    """The JSON value called `name` in the folder, computed and kept if it is not there, or was cut short."""
    if folder is None:
        return compute()
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        found = compute()
        with disk_errors(folder):
            write_atomic(path, json.dumps(found))
        return found
