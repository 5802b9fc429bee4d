"""Files half written by a process that was killed: among the weights they change the hash of the folder."""

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kadanoff.lab.doctor.finding import Finding, Repair, count, listing

FOLDERS = ("data", "models", "reports")
PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}")  # lab/files.py: write_atomic
OLD_SECONDS = 600.0  # younger ones may be about to be finished


def check(root: Path) -> Iterator[Finding]:
    """Partial files beside the finished ones; a process that lives replaces its own within seconds."""
    before = time.time() - OLD_SECONDS
    found = sorted(
        path
        for folder in FOLDERS
        for path in (root / folder).rglob(".*")
        if PARTIAL.fullmatch(path.name) and path.is_file() and path.stat().st_mtime < before
    )
    if found:
        names = listing([str(path.relative_to(root)) for path in found])
        yield Finding(
            f"{count(len(found), 'file')} half written by a process that was killed, {names}: DVC takes it for a part "
            "of the folder, and runs again what reads the folder.",
            Repair(f"removes {names}.", partial(_remove, found), removes=True),
        )


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
