"""The state of unfinished work on disk: one small file a task, written in one rename."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kadanoff.runtime.files import disk_errors, write_atomic


class Task(NamedTuple):
    """Some neighbouring chains at one temperature (an index)."""

    temperature: int
    first_chain: int
    chains: int


def _path(folder: Path, task: Task) -> Path:
    return folder / f"chains-{task.temperature}-{task.first_chain}.npz"


def save(folder: Path | None, task: Task, sweeps: int, spins: NDArray[np.int8]) -> None:
    """Keep the spins (chain, height, width) of a task, one bit each, after `sweeps` sweeps."""
    if folder is None:
        return
    buffer = io.BytesIO()
    np.savez(buffer, sweeps=np.int64(sweeps), bits=np.packbits(spins > 0))
    with disk_errors(folder):
        write_atomic(_path(folder, task), buffer.getvalue())


def load(folder: Path | None, task: Task, shape: tuple[int, int]) -> tuple[int, NDArray[np.int8]] | None:
    """(sweeps done, spins (chain, height, width)) of a task, or None if it has not begun."""
    if folder is None or not _path(folder, task).exists():
        return None
    try:
        with np.load(_path(folder, task), allow_pickle=False) as state:
            size = task.chains * shape[0] * shape[1]
            up = np.unpackbits(state["bits"], count=size).reshape(task.chains, *shape)
            return int(state["sweeps"]), 2 * up.astype(np.int8) - 1
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # cut short by a power failure: the chains begin again


def cached(folder: Path | None, name: str, compute: Callable[[], Any]) -> Any:
    """The JSON value called `name` in the folder, computed and kept if it is not there yet."""
    if folder is None:
        return compute()
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there yet, or cut short by a power failure
        with disk_errors(folder):
            write_atomic(path, json.dumps(compute()))
    return json.loads(path.read_text(encoding="utf-8"))
