"""DVC's list of the paths that its processes read and write, .dvc/tmp/rwlock.

A process killed while it writes the list leaves it empty, and every later command refuses it. DVC forgets the dead
by itself, unless their process number was given out again: then it waits for a stranger.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from kadanoff.lab.doctor.finding import Finding, Repair, beside, listing

CLOCK_SECONDS = 1.0  # file times and process times come from different clocks


def check(root: Path) -> Iterator[Finding]:
    """A list that DVC cannot read, or with entries of processes that are gone."""
    path = _path(root)
    try:
        content = _read(path)
    except ValueError:
        empty = not path.read_bytes().strip()
        yield Finding(
            f".dvc/tmp/rwlock is {'empty' if empty else 'damaged'}, as a killed process leaves it: every dvc command "
            "stops with 'Unable to read RWLock-file'.",
            Repair("moves it aside; DVC makes a new one.", lambda: _move_aside(path), removes=not empty),
        )
        return
    stale = [owner for _, _, owner in _entries(content) if not _lives(owner, path)]
    if stale:
        owners = listing(sorted({f"{owner['pid']} ({owner['cmd']})" for owner in stale}))
        yield Finding(
            f".dvc/tmp/rwlock names processes that are gone, {owners}: when their numbers are given out again, dvc "
            "says that a path 'is busy'.",
            Repair("takes their entries out of it.", lambda: _forget(path)),
        )


def busy(root: Path) -> set[Path]:
    """Paths that a living DVC process is writing now: what lies there is not finished."""
    path = _path(root)
    try:
        entries = list(_entries(_read(path)))
    except ValueError:
        return set()
    return {Path(name) for mode, name, owner in entries if mode == "write" and _lives(owner, path)}


def _path(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "rwlock"


def _read(path: Path) -> dict[str, Any]:
    """Content in DVC's own schema; a ValueError if it is not in it."""
    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    try:
        return SCHEMA(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except Invalid as error:
        raise ValueError(str(error)) from error


def _entries(content: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for mode, paths in content.items():
        for name, owners in paths.items():
            for owner in owners if isinstance(owners, list) else [owners]:
                yield mode, name, owner


def _lives(owner: dict[str, Any], path: Path) -> bool:
    """Whether the process that made an entry of the list `path` still runs."""
    try:
        process = psutil.Process(owner["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        younger = process.create_time() > path.stat().st_mtime + CLOCK_SECONDS  # than the list: a stranger,
        return not younger or owner["cmd"] in " ".join(process.cmdline())  # unless the clock was set
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return True  # of another user


def _move_aside(path: Path) -> None:
    with _guard(path):
        path.rename(beside(path, "broken"))


def _forget(path: Path) -> None:
    with _guard(path):
        content = _read(path)
        kept: dict[str, Any] = {"write": {}, "read": {}}
        for mode, name, owner in _entries(content):
            if _lives(owner, path):
                if mode == "write":
                    kept[mode][name] = owner
                else:
                    kept[mode].setdefault(name, []).append(owner)
        path.write_text(json.dumps(kept))


def _guard(path: Path) -> Any:
    """The lock under which DVC itself changes the list."""
    from dvc.lock import make_lock

    return make_lock(str(path.with_name("rwlock.lock")), tmp_dir=str(path.parent))
