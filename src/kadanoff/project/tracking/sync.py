"""Bring into MLflow every recorded run that it lacks, and close the runs whose process is dead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.entities import Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError, printable, without_secret
from kadanoff.project.published import Published, find_records, lock_entries, read_record
from kadanoff.project.records.dvclock import lock_key, outputs
from kadanoff.project.records.runinfo import HISTORY
from kadanoff.project.tracking import champions
from kadanoff.project.tracking.fresh import quick_if_new
from kadanoff.project.tracking.owners import dead_runs, lives
from kadanoff.project.tracking.store import Store, clean, milliseconds, open_store, store_uri
from kadanoff.project.tracking.turns import turn


@dataclass
class SyncReport:
    """What a sync did, by run; `problems` are sentences."""

    imported: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    unlocked: list[str] = field(default_factory=list)
    champions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{len(self.imported)} runs imported, {len(self.adopted)} live runs adopted, "
            f"{len(self.closed)} dead runs closed, {len(self.unchanged)} there already."
        ]
        if self.published:
            lines.append(f"{len(self.published)} runs now marked as published.")
        if self.edited:
            lines.append(f"differ from dvc.lock (edited by hand, or not committed): {', '.join(self.edited)}")
        if self.unlocked:
            lines.append(f"not in dvc.lock: {', '.join(self.unlocked)}")
        return "\n".join(map(printable, lines + self.champions))

    def show(self) -> None:
        """Print the report.

        Raises
        ------
        KadanoffError
            If some record could not be imported: one line for each. The others are in the store.
        """
        print(self)
        if self.problems:
            raise KadanoffError("\n".join(self.problems))


def sync(root: Path, source: Path | None = None) -> SyncReport:
    """Make MLflow show every record below reports/. Doing it again changes nothing.

    `source` may be a folder with the dvc.lock and reports/ of another version of the project `root`.

    A record whose folder has the md5 that dvc.lock gives it is *locked*: its key is the hash of the whole
    lock entry. Any other is imported all the same, without a key, tagged `kadanoff.locked` = `edited` or
    `no`, and named in the report. A run that the user has deleted in MLflow stays deleted.

    Records in reports/published/NAME are held against the dvc.lock beside them, and their runs have the tag
    `published` = NAME. A result that is there already, because it was made here, only gets this tag.

    Raises
    ------
    KadanoffError
        If dvc.lock is broken. A broken record or publication is only reported: the others are imported.
    """
    report = SyncReport()
    with quick_if_new(store_uri(root)), FileLock(root / "mlflow.db.sync.lock"):
        store = open_store(root)
        with turn(store):
            _sync(store, source or root, report, own=source is None)
    return report


def _sync(store: Store, source: Path, report: SyncReport, own: bool) -> None:
    records = _bring_all(store, source, report)
    try:
        if own:  # an older version names no champion of today
            report.champions = champions.update(store, records)
    except (KadanoffError, MlflowException, OSError) as error:
        report.problems.append(printable(f"no network is registered: {without_secret(str(error))}"))
    if own and not store.shared:  # others may have other publications
        _unpublish(store, records)
    _close_dead_runs(store, report)


def _bring_all(store: Store, source: Path, report: SyncReport) -> list[Published]:
    """Bring in every record that can be read, each held against the dvc.lock that is its own."""
    records = []

    @cache
    def entries(name: str | None) -> dict[str, dict[str, Any]]:
        stages = lock_entries(source if name is None else source / "reports/published" / name)
        return {path: entry for entry in stages.values() for path in outputs(entry)}

    entries(None)  # a broken dvc.lock of the project's own stops the sync
    for folder in find_records(source):
        try:
            record = read_record(source, folder)
            _bring(store, record, entries(record.publication), report)
            records.append(record)
        except (KadanoffError, MlflowException, OSError, RecursionError) as error:
            place, reason = folder.relative_to(source), without_secret(str(error))
            report.problems.append(printable(f"{place} is not imported: {reason}"))
    return records


def _bring(store: Store, record: Published, entries: Mapping[str, Any], report: SyncReport) -> None:
    """Import a record, or adopt the run that already shows it."""
    entry = entries.get(record.locked_path)
    tags = {"kadanoff.record": record.md5, "kadanoff.locked": "no"}
    if entry is None:
        report.unlocked.append(record.title)
    elif outputs(entry)[record.locked_path] != record.md5:
        report.edited.append(record.title)
        tags["kadanoff.locked"] = "edited"
    else:
        tags |= {"kadanoff.locked": "yes", "kadanoff.key": lock_key(entry)}
    run = _find(store, record, tags)
    if record.publication is not None:
        tags = _published_tags(run, record, tags)
    if run is None:
        _import(store, record, tags)
        report.imported.append(record.title)
    elif _adopt(store, run, record, tags):
        (report.adopted if record.publication is None else report.published).append(record.title)
    else:
        report.unchanged.append(record.title)


def _unpublish(store: Store, records: list[Published]) -> None:
    """Take the names of publications off the runs whose record is there no more."""
    present = {(record.publication, record.md5) for record in records}
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    for run in store.client.search_runs(experiments, "tags.published LIKE '%'", max_results=50_000):
        names = run.data.tags["published"].split(", ")
        kept = [name for name in names if (name, run.data.tags.get("kadanoff.record")) in present]
        if not kept:
            store.client.delete_tag(run.info.run_id, "published")
        elif kept != names:
            store.client.set_tag(run.info.run_id, "published", ", ".join(kept))


def _published_tags(run: Run | None, record: Published, tags: dict[str, str]) -> dict[str, str]:
    """`tags` and the names under which this result is published; the lock entry of this project has precedence."""
    known = run.data.tags if run is not None else {}
    names = {name for name in known.get("published", "").split(", ") if name} | {str(record.publication)}
    kept = known if known.get("kadanoff.locked") == "yes" else {}
    return tags | {name: kept[name] for name in tags if name in kept} | {"published": ", ".join(sorted(names))}


def _find(store: Store, record: Published, tags: Mapping[str, str]) -> Run | None:
    """The run that shows this record: by its content, which its key pins too, or by its id."""
    experiment = store.experiment(record.info.stage)
    query = f"tags.`kadanoff.record` = '{record.md5}'"
    if found := store.client.search_runs([experiment], query, ViewType.ALL, max_results=1):
        return found[0]
    if record.publication is not None and tags["kadanoff.locked"] != "yes":
        return None  # whatever run it names, these are not its numbers
    return _find_by_id(store, record, experiment)


def _find_by_id(store: Store, record: Published, experiment: str) -> Run | None:
    if record.info.mlflow_run_id is None:
        return None
    try:
        run = store.client.get_run(record.info.mlflow_run_id)
    except MlflowException:
        return None  # made on another machine
    # the id comes from a file: take it only for a run that can be this one
    same = run.info.experiment_id == experiment and run.data.tags.get("variant") == record.info.variant
    if record.publication is not None and run.data.tags.get("kadanoff.record", record.md5) != record.md5:
        return None  # that run has a record already, of this project
    return run if same and run.data.tags.get("kadanoff.origin") == "live" else None


def _adopt(store: Store, run: Run, record: Published, tags: Mapping[str, str]) -> bool:
    """Tie a run to its lock entry, and finish it if its process died after it had written the record."""
    if run.info.lifecycle_stage == "deleted":
        return False
    locked = tags["kadanoff.locked"] == "yes"  # else the run keeps what it knew: its numbers may not be the file's
    changed = {name: value for name, value in tags.items() if locked and run.data.tags.get(name) != value}
    finished = run.info.status == "RUNNING" and not lives(run.data.tags)
    if changed:
        store.set_tags(run.info.run_id, changed)
    if finished:
        store.client.set_terminated(run.info.run_id, "FINISHED", _end(record))
    return bool(changed) or finished


def _import(store: Store, record: Published, tags: Mapping[str, str]) -> None:
    """Write a record as a finished run. Its tags come last: an import that was killed is done again."""
    run_id = store.create_run(record.info, {"kadanoff.origin": "record"})
    with store.all_or_nothing(run_id):
        if record.publication is not None:
            store.client.update_run(run_id, name=f"{record.info.variant or record.info.stage} [{record.publication}]")
        store.log_metrics(run_id, _metrics(record))
        for file in record.artifacts:
            store.client.log_artifact(run_id, str(file))
        store.set_tags(run_id, tags)
        store.client.set_terminated(run_id, "FINISHED", _end(record))


def _metrics(record: Published) -> list[Metric]:
    """History and final numbers. The record has no time for each row: they are spread evenly over the run."""
    start, rows = record.info.started.timestamp(), len(record.history)
    metrics = [
        Metric(clean(HISTORY + name), value, milliseconds(start + record.info.duration_s * (index + 1) / rows), epoch)
        for index, (epoch, row) in enumerate(record.history)
        for name, value in row.items()
    ]
    last = max((epoch for epoch, _ in record.history), default=0)
    return metrics + [Metric(clean(name), value, _end(record), last) for name, value in record.metrics.items()]


def _end(record: Published) -> int:
    return milliseconds(record.info.started.timestamp() + record.info.duration_s)


def _close_dead_runs(store: Store, report: SyncReport) -> None:
    """Close them as KILLED; what remains of an import is removed, since the sync has done it again."""
    for run in dead_runs(store):
        if run.data.tags.get("kadanoff.origin") == "record":
            store.client.delete_run(run.info.run_id)
            continue
        names = run.data.metrics
        histories = (store.client.get_metric_history(run.info.run_id, name) for name in names)
        last = max((m.timestamp for history in histories for m in history), default=run.info.start_time)
        store.client.set_terminated(run.info.run_id, "KILLED", last)
        report.closed.append(f"{run.data.tags.get('stage')}/{run.info.run_name}")
