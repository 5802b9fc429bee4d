"""Bring into MLflow every record that it lacks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError, printable, without_secret
from kadanoff.project.params import studies
from kadanoff.project.records.dvclock import outputs, read_lock
from kadanoff.project.records.read import Published, find_publications, find_records, read_record
from kadanoff.project.records.runinfo import HISTORY
from kadanoff.project.tracking import registry
from kadanoff.project.tracking.runs import (
    DESCRIPTION,
    OWN,
    PARENT,
    create_row,
    create_run,
    description,
    log,
    own,
    points,
    project_id,
)
from kadanoff.project.tracking.store import experiment_id, opened
from kadanoff.project.tracking.views import save_view

MOST_RUNS = 50_000  # that MLflow gives at once


@dataclass
class SyncReport:
    """What a sync did, by run; `problems` are sentences."""

    imported: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    unpinned: list[str] = field(default_factory=list)
    champions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.imported)} runs imported, {len(self.updated)} updated, {len(self.unchanged)} unchanged."]
        if self.unpinned:
            lines.append(f"not what dvc.lock says (edited, or not run by DVC): {', '.join(self.unpinned)}")
        return "\n".join(map(printable, lines + self.champions))

    def show(self) -> None:
        """Print the report; KadanoffError with a line for each record that could not be imported, if there are such."""
        print(self)
        if self.problems:
            raise KadanoffError("\n".join(self.problems))

    def failed(self, what: str, error: Exception) -> None:
        """Add a problem."""
        self.problems.append(printable(f"{what}: {without_secret(str(error))}"))


def sync(root: Path, purposes: Mapping[str, str] | None = None) -> SyncReport:
    """Make MLflow show every record below reports/, those in reports/published/NAME with the tag `published` = NAME.

    A run is identified by the md5 of its record, so that doing it again changes nothing. A run that the user has
    deleted in MLflow stays deleted. `purposes`, what each stage does, become descriptions of the experiments. A broken
    record or publication is only reported: the others are imported. KadanoffError if the store or dvc.lock is broken.
    """
    report = SyncReport()
    with FileLock(root / "mlflow.db.sync.lock"), opened(root) as client:
        importer = _Importer(client, root, report)
        records = [record for folder in find_records(root) if (record := importer.bring(folder))]
        mine = [record for record in records if record.publication is None]
        pinned = [record for record in mine if record.title not in report.unpinned]
        try:
            report.champions = registry.register(client, root, pinned, importer.shown)
        except (KadanoffError, MlflowException, OSError) as error:
            report.failed("no network is registered", error)
        for stage in {record.info.stage for record in mine}:
            experiment = experiment_id(client, root, stage)
            save_view(client, experiment, [one for one in mine if one.info.stage == stage])
            if purpose := (purposes or {}).get(stage):
                client.set_experiment_tag(experiment, DESCRIPTION, purpose)
    return report


class _Importer:
    """Brings records into a store, each as one run; `shown` are the ids of the runs by the md5 of their record."""

    def __init__(self, client: MlflowClient, root: Path, report: SyncReport) -> None:
        self._client, self._root, self._report, self._studies = client, root, report, studies(root)
        self._experiment = cache(lambda stage: experiment_id(client, root, stage))
        self._locks: dict[str | None, dict[str, Any]] = {None: read_lock(root)}
        for folder in find_publications(root):
            try:
                self._locks[folder.name] = read_lock(folder)
            except KadanoffError as error:
                report.failed(str(folder.relative_to(root)), error)
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(ids, "", ViewType.ALL, MOST_RUNS) if ids else []
        self._runs = {run.info.run_id: run for run in runs}
        known = {run_id: own(run) for run_id, run in self._runs.items()}
        self.shown = {each["record"]: run_id for run_id, each in known.items() if "record" in each}
        here = {"origin": "record", "project": project_id()}
        left = {run_id for run_id, each in known.items() if here.items() <= each.items() and "record" not in each}
        for run_id, run in self._runs.items():
            if {run_id, run.data.tags.get(PARENT)} & left:
                client.delete_run(run_id)  # of a sync that was killed

    def bring(self, folder: Path) -> Published | None:
        """Import the record in a folder, or mark the run that already shows it; None if it cannot be imported."""
        try:
            record = read_record(self._root, folder)
            lock = self._locks.get(record.publication, {})
            made = outputs(lock.get(record.info.address, {}))
            if made.get(f"reports/{record.info.title}") != record.md5:
                self._report.unpinned.append(record.title)
                made = {}
            run_id = self.shown.get(record.md5) or self._live_run(record)
            if run_id is None:
                run_id = self._import(record, list(made))
                self._report.imported.append(record.title)
            elif self._mark(run_id, record, list(made)):
                self._report.updated.append(record.title)
            else:
                self._report.unchanged.append(record.title)
        except (KadanoffError, MlflowException, OSError, RecursionError) as error:
            self._report.failed(f"{folder.relative_to(self._root)} is not imported", error)
            return None
        self.shown[record.md5] = run_id
        return record

    def _live_run(self, record: Published) -> str | None:
        """Id of the live run that left a record of the project's own."""
        run = self._runs.get(record.info.mlflow_run_id or "")
        if run is None or record.publication or "record" in own(run) or own(run).get("origin") != "live":
            return None
        return run.info.run_id

    def _mark(self, run_id: str, record: Published, made: list[str]) -> bool:
        """Tie a run to its record, and add the name of a publication; whether anything was new."""
        run = self._runs.get(run_id) or self._client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            return False
        new = "record" not in own(run)
        tags = _tags(record, made, run) if new else {}
        if record.publication is not None:
            names = {name for name in run.data.tags.get("published", "").split(", ") if name}
            tags["published"] = ", ".join(sorted(names | {record.publication}))
        if tags.items() <= run.data.tags.items():
            return False
        for row in record.comparison if new else ():
            create_row(self._client, run, record.info, row)
        log(self._client, run_id, tags=tags)
        run.data.tags.update(tags)
        if run.info.status == "RUNNING":  # it was killed after it had written the record
            self._client.set_terminated(run_id, "FINISHED", round(1000 * record.info.ended))
        return True

    def _import(self, record: Published, made: list[str]) -> str:
        """Write a record as a finished run. Its tags come last: what a killed sync left has none."""
        info, start = record.info, record.info.started.timestamp()
        # the record has no time for each row: they are spread evenly over the run
        numbers = []
        for index, (epoch, values) in enumerate(record.history):
            when = start + info.duration_s * (index + 1) / len(record.history)
            numbers += points({HISTORY + key: value for key, value in values.items()}, epoch, when)
        last = max((epoch for epoch, _ in record.history), default=0)
        numbers += points(record.summary, last, info.ended)
        place = self._experiment(info.stage), info, "record", self._studies, record.publication or ""
        run = create_run(self._client, *place)
        run_id = run.info.run_id
        try:
            for row in record.comparison:
                create_row(self._client, run, info, row)
            for file in record.artifacts:
                self._client.log_artifact(run_id, str(file))
            log(self._client, run_id, numbers, info.parameters, _tags(record, made, run))
            self._client.set_terminated(run_id, "FINISHED", round(1000 * info.ended))
        except BaseException:
            self._client.delete_run(run_id)
            raise
        return run_id


def _tags(record: Published, made: list[str], run: Run) -> dict[str, str]:
    kept = json.dumps(own(run) | {"record": record.md5})
    published = {"published": record.publication} if record.publication else {}
    return {OWN: kept, DESCRIPTION: description(record, made)} | published
