"""Checkpoints that nothing goes on from: of parameters, code or variants that are there no more."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor.finding import Finding, Repair
from kadanoff.lab.doctor.pipeline import Pipeline

WORKING = re.compile(r"(?P<title>(?P<stage>[^-]+)-.+)-[0-9a-f]{16}")  # lab/files.py: working_folder
RECORD = re.compile(r"(?P<title>record-.+?)(\.old-[0-9a-f]{8})?")  # lab/records/recorder.py


def check(root: Path, pipeline: Pipeline, resumable: Callable[[Path], Mapping[str, str | None]]) -> Iterator[Finding]:
    """Folders in .checkpoints that no running stage holds and that no stage would go on from.

    `resumable` gives, by STAGE-VARIANT, the folder that each stage with checkpoints would use now; None if its
    parameters do not say.
    """
    base = root / ".checkpoints"
    folders = sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    if not folders:
        return
    live = resumable(root)  # loads torch
    for folder in folders:
        if record := RECORD.fullmatch(folder.name):
            reason, title = "the unfinished record of a run that was killed", record["title"]
        elif (work := WORKING.fullmatch(folder.name)) and _is_dead(work, live, pipeline.addresses):
            reason, title = "a checkpoint that neither the present parameters nor code go on from", work["title"]
        else:
            continue
        lock = base / f"{title}.lock"
        if not _held(lock):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            yield Finding(
                f".checkpoints/{folder.name} is {reason} ({size / 1e6:.1f} MB).",
                Repair(f"removes .checkpoints/{folder.name}.", partial(_remove, folder, lock), removes=True),
            )


def _is_dead(work: re.Match[str], live: Mapping[str, str | None], addresses: set[str]) -> bool:
    if work["title"] in live:
        return live[work["title"]] not in (None, work.group())
    stages = {address.partition("@")[0] for address in addresses}
    # of a stage that has checkpoints this variant is gone; of another stage nothing is known
    return work["stage"] not in stages or work["stage"] in {title.partition("-")[0] for title in live}


def _held(lock: Path) -> bool:
    if not lock.exists():
        return False  # asking would make the file
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _remove(folder: Path, lock: Path) -> None:
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(folder)
    except Timeout as error:
        raise KadanoffError(f"{folder} is in use now: a stage has started on it.") from error
