"""A run as MLflow shows it while it happens."""

import copy
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

from kadanoff.lab.records.runinfo import RunInfo
from kadanoff.lab.tracking.store import clean, milliseconds, open_store, store_root

FLUSH_SECONDS = 2.0  # an epoch may take milliseconds, and one call to the store takes three
SYSTEM_METRICS_SECONDS = 50.0  # the first sample follows ten seconds later: short runs have none


class LiveRun:
    """One MLflow run, from its start to `end`. Experiment = stage, run name = variant."""

    def __init__(self, info: RunInfo) -> None:
        self._store = open_store(store_root())
        self.run_id = self._store.create_run(info, {"kadanoff.origin": "live"})
        self._stage = info.stage
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
        self._timer.cancel()
        if self._monitor is not None:
            self._monitor.finish()
        self._flush()
        self._store.client.set_terminated(self.run_id, status)

    def model(self, weights: str, module: Any, example: Any) -> None:
        """Log a torch network with a signature: float32 spins (any number, 1, y, x) to its float32 output.

        It is stored as an exported graph, not as a pickle: loading it runs no code of its own.
        """
        client = self._store.client
        name = PurePosixPath(weights).stem.replace(".", "-")
        logged = client.create_logged_model(
            self._store.experiment(self._stage), name, self.run_id, tags={"weights": weights}
        )
        with tempfile.TemporaryDirectory() as scratch:
            _save_model(Path(scratch) / "model", module, example, logged)
            client.log_model_artifacts(logged.model_id, str(Path(scratch) / "model"))
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, step=0)])

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._store.log_metrics(self.run_id, waiting)
        self._flushed = time.monotonic()

    def _watch_system(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(self.run_id, tracking_uri=self._store.uri)
        self._monitor.start()


def _save_model(folder: Path, module: Any, example: Any, logged: Any) -> None:
    import numpy as np
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    with warnings.catch_warnings():
        # of MLflow about its own type hints
        warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
        import mlflow.pyfunc
        import mlflow.pytorch

    spins = torch.as_tensor(example, dtype=torch.float32, device="cpu").detach()[:2]
    spins = spins.expand(2, *spins.shape[1:]).contiguous()  # exporting would fix a batch of one for good
    network = copy.deepcopy(module).to("cpu").eval()
    with torch.no_grad():
        output = network(spins)
    shapes = [(-1, *tensor.shape[1:]) for tensor in (spins, output)]
    schemas = [Schema([TensorSpec(np.dtype("float32"), shape)]) for shape in shapes]
    mlflow.pytorch.save_model(
        network,
        folder,
        mlflow_model=Model(logged.artifact_location, logged.source_run_id, model_id=logged.model_id),
        signature=ModelSignature(inputs=schemas[0], outputs=schemas[1]),
        input_example=spins.numpy(),
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"],
        serialization_format="pt2",
    )
