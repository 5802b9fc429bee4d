"""A run as MLflow shows it while it happens."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlflow.entities import Metric

from kadanoff.project.records.runinfo import RunInfo
from kadanoff.project.tracking.runs import ORIGIN, PROJECT, create_run, log, milliseconds, points, project_id
from kadanoff.project.tracking.store import experiment_id, open_store, store_root

FLUSH_SECONDS = 2.0  # an epoch may take milliseconds, and one call to the store takes some


class LiveRun:
    """One MLflow run, from its start to `end`. Experiment = stage, run name = variant."""

    def __init__(self, info: RunInfo) -> None:
        root = store_root()
        self._client = open_store(root)
        experiment = experiment_id(self._client, root, info.stage)
        self._close_killed(experiment, info)
        self.run_id = create_run(self._client, experiment, info, "live")
        log(self._client, self.run_id, parameters=info.parameters)
        self._waiting: list[Metric] = []
        self._flushed = 0.0

    def _close_killed(self, experiment: str, info: RunInfo) -> None:
        """End what a killed process left RUNNING: only one process at a time records a run of this name here."""
        for run in self._client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            tags = {PROJECT: project_id(), ORIGIN: "live", "stage": info.stage, "variant": info.variant}
            if all(run.data.tags.get(name) == value for name, value in tags.items()):
                self._client.set_terminated(run.info.run_id, "KILLED")

    def metrics(self, values: Mapping[str, float], step: int, seconds: float | None = None) -> None:
        """Log numbers at a step and a time (now); they reach the store at a call some seconds later, or at the end."""
        self._waiting += points(values, step, milliseconds(seconds or time.time()))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def artifacts(self, files: Iterable[Path]) -> None:
        """Log copies of these files."""
        for file in files:
            self._client.log_artifact(self.run_id, str(file))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        self._flush()
        self._client.set_terminated(self.run_id, status)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        log(self._client, self.run_id, waiting)
        self._flushed = time.monotonic()
