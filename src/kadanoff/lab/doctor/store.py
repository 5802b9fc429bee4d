"""MLflow's store: readable, of this version, of this project; no dead run that says RUNNING, no experiment deleted."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from kadanoff.errors import KadanoffError
from kadanoff.lab.doctor.finding import Finding, Repair, beside, count, listing


def check(root: Path, stages: set[str]) -> Iterator[Finding]:
    """The store that MLFLOW_TRACKING_URI names, or the project's own. A store that is not there yet is well."""
    from kadanoff.lab.tracking import health
    from kadanoff.lab.tracking.store import sqlite_file, store_uri

    try:
        path = sqlite_file(store_uri(root))
        if path is not None:
            state = health.examine_file(path, root) if path.exists() else "empty"
            yield from _check_file(root, path, state)
            if state != "well":
                return
        yield from _check_runs(root, stages)
    except KadanoffError as error:  # a server that does not answer, a file that cannot be opened
        yield Finding(str(error))


def _check_file(root: Path, path: Path, state: str) -> Iterator[Finding]:
    from kadanoff.lab.tracking import health

    anew = Repair(
        f"moves it to {path.name}.broken-DATE and imports the records into a new one.",
        partial(_start_anew, root, path),
        removes=True,
    )
    if state == "broken":
        yield Finding(f"{path} is damaged: MLflow cannot read it, so no run is shown.", anew)
    elif state == "foreign":
        yield Finding(f"{path} is a database of another program: MLflow cannot keep runs in it.", anew)
    elif state == "newer":
        yield Finding(
            f"{path} was written by a newer MLflow, which this one cannot read. Install the version that "
            "constraints.txt names, or start anew.",
            anew,
        )
    elif state == "older":
        yield Finding(
            f"{path} was written by an older MLflow: this one refuses it, or changes it without a copy.",
            Repair(
                f"copies it to {path.name}.backup-DATE, then brings it to this version.",
                partial(_backed_up, path, health.upgrade),
            ),
        )
    elif state == "elsewhere":
        yield from _check_elsewhere(root, path, anew)


def _check_elsewhere(root: Path, path: Path, anew: Repair) -> Iterator[Finding]:
    """The project was copied or moved: the store still names the old folder, and new files would go there."""
    from kadanoff.lab.tracking import health

    old = health.artifact_roots(path) - {health.own_artifacts(root)}
    what = f"{path} keeps the files of its runs in {listing(sorted(old))}, outside of this project, as a copy does."
    if not health.has_artifacts(path, root):
        yield Finding(f"{what} The files are not in this project.", anew)
        return
    repair = Repair(
        f"copies it to {path.name}.backup-DATE, then points it to the files in this project.",
        partial(_backed_up, path, partial(health.relocate, root=root)),
    )
    yield Finding(what, repair)


def _check_runs(root: Path, stages: set[str]) -> Iterator[Finding]:
    from kadanoff.lab.tracking import health, sync
    from kadanoff.lab.tracking.owners import dead_runs
    from kadanoff.lab.tracking.store import open_store

    store = open_store(root)
    if names := health.deleted_experiments(store, stages):
        yield Finding(
            f"{count(len(names), 'MLflow experiment')} deleted, {listing(names)}: no run of that stage can be logged.",
            Repair(f"restores {listing(names)}.", partial(health.restore_experiments, store, names)),
        )
    if runs := dead_runs(store):
        yield Finding(
            f"{count(len(runs), 'run')} in MLflow still RUNNING, although the process is gone: "
            f"{listing([health.title(run) for run in runs])}.",
            Repair(
                "closes them by `kadanoff runs sync`, which also imports what is missing.", lambda: sync(root).show()
            ),
        )


def _backed_up(path: Path, change: Callable[[Path], None]) -> None:
    """Copy the store through SQLite, which also takes what still lies in its journal; then change it."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(beside(path, "backup"))) as target:
        source.backup(target)
    change(path)


def _start_anew(root: Path, path: Path) -> None:
    from kadanoff.lab.tracking import sync

    for suffix in ("-wal", "-shm", "-journal", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            shutil.move(part, beside(part, "broken"))
    sync(root).show()
