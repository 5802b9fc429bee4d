"""The runs of a version: what its dvc.lock pins, and which runs of this store show it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError
from kadanoff.project.published import git, history
from kadanoff.project.published.lockfile import Result
from kadanoff.project.tracking.store import Store, open_store
from kadanoff.project.tracking.sync import SyncReport, sync

RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class PinnedRun:
    """A result that a commit pins, and its run if this store has it."""

    title: str
    run: Run | None

    def row(self) -> list[str]:
        """Cells of a table: title, id, status, start, duration."""
        if self.run is None:
            return [self.title, "-", "not in this store", "", ""]
        return [self.title, *summary(self.run)]


def summary(run: Run) -> list[str]:
    """Id, status, start and duration of a run."""
    info = run.info
    start = datetime.fromtimestamp(info.start_time / 1000, UTC)
    length = f"{(info.end_time - info.start_time) / 1000:.1f} s" if info.end_time else ""
    status = "deleted" if info.lifecycle_stage == "deleted" else info.status
    return [info.run_id, status, f"{start:%Y-%m-%d %H:%M}", length]


def table(rows: list[list[str]]) -> str:
    """Cells in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def runs_of(root: Path, rev: str) -> list[PinnedRun]:
    """The results that a commit, tag, branch or DVC experiment pins, with their runs; published ones last.

    Raises
    ------
    KadanoffError
        If there is no such version, it has no dvc.lock, or a broken one.
    """
    commit = git.resolve(root, rev)
    pinned = history.results_at(root, commit)
    if not pinned:
        raise KadanoffError(f"{rev} ({commit[:10]}) has no dvc.lock: no stage had run when it was committed.")
    places = {
        (name, result): (commit, f"{history.record_path(name, result.title)}/run.json")
        for name, found in pinned.items()
        for result in found
    }
    infos = git.read_files(root, places.values())
    store = open_store(root)
    return [
        PinnedRun(
            result.title if name is None else f"{result.title} [{name}]",
            _find(store, result, history.run_id_of(infos.get(place, b""))),
        )
        for (name, result), place in places.items()
    ]


def import_runs_of(root: Path, rev: str) -> SyncReport:
    """Import into this project's store the records of another version, without checking it out.

    Raises
    ------
    KadanoffError
        If there is no such version, or its dvc.lock is broken.
    """
    with git.snapshot(root, git.resolve(root, rev)) as records:
        return sync(root, records)


def listing(runs: list[PinnedRun], rev: str) -> str:
    """The runs as a table, and how to bring in those that are missing."""
    missing = sum(pinned.run is None for pinned in runs)
    lines = [table([pinned.row() for pinned in runs])] if runs else [f"{rev} pins no record."]
    if missing:
        lines.append(f"{missing} of {len(runs)} are not in this store; `kadanoff runs of {rev} --import` brings them.")
    return "\n".join(lines)


def title_of(run: Run) -> str:
    """A run as a user calls it, by its tags: `coarsen/cnn`."""
    return "/".join(filter(None, (run.data.tags.get("stage"), run.data.tags.get("variant"))))


def _find(store: Store, result: Result, run_id: str | None) -> Run | None:
    """The run of a pinned result: by its record, or (not yet synchronised) by the id in its run.json."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    query = f"tags.`kadanoff.record` = '{result.md5}'"
    if runs := store.client.search_runs(experiments, query, ViewType.ALL, max_results=1):
        return runs[0]
    if run_id is None or not RUN_ID.fullmatch(run_id):
        return None
    try:
        run = store.client.get_run(run_id)
    except MlflowException:
        return None  # made on another machine
    free = run.data.tags.get("kadanoff.record", result.md5) == result.md5
    return run if free and title_of(run) == result.title else None
