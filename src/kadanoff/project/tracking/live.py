"""A run as MLflow shows it while it happens."""

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric

from kadanoff.project.records.runinfo import ModelInfo, RunInfo
from kadanoff.project.tracking.models import log_model
from kadanoff.project.tracking.store import clean, milliseconds, open_store, store_root

FLUSH_SECONDS = 2.0  # an epoch may take milliseconds, and one call to the store takes three
SYSTEM_METRICS_SECONDS = 50.0  # the first sample follows ten seconds later: short runs have none


class LiveRun:
    """One MLflow run, from its start to `end`. Experiment = stage, run name = variant."""

    def __init__(self, info: RunInfo) -> None:
        self._store = open_store(store_root())
        self.run_id = self._store.create_run(info, {"kadanoff.origin": "live"})
        self._info = info
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()
        self._monitor: Any = None
        self._timer = threading.Timer(SYSTEM_METRICS_SECONDS, self._watch_system)
        self._timer.daemon = True
        self._timer.start()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at a step; they reach the store at a call some seconds later, or at the end."""
        now = milliseconds(time.time())
        self._waiting += [Metric(clean(name), value, now, step) for name, value in values.items()]
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def artifacts(self, files: Iterable[Path]) -> None:
        """Log what waits, and copies of these files."""
        self._flush()
        for file in files:
            self._store.client.log_artifact(self.run_id, str(file))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        self.stop_watching()
        self._flush()
        self._store.client.set_terminated(self.run_id, status)

    def stop_watching(self) -> None:
        """No more system metrics."""
        self._timer.cancel()
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.finish()

    def model(self, model: ModelInfo, weights: Path) -> None:
        """Log the network in the file `weights` as an MLflow model of this run."""
        self._flush()  # its held-out metric is read from the run
        log_model(self._store, self.run_id, self._info.model_copy(update={"model": model}), weights)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._store.log_metrics(self.run_id, waiting)
        self._flushed = time.monotonic()

    def _watch_system(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(self.run_id, tracking_uri=self._store.uri)
        self._monitor.start()
