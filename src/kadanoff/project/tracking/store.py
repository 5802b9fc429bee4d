"""The MLflow store: where it is, how it is opened, how a run is described in it."""

import colorsys
import glob
import hashlib
import json
import logging
import os
import re
import socket
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.project.records.runinfo import Input, RunInfo, flatten
from kadanoff.project.tracking.dataset import DvcSource
from kadanoff.runtime.files import project_root

RECORDED_ID = "kadanoff.recorded_id"  # tag of an imported run: its id where it was made, which the report names
PROCESS = "kadanoff.process"  # tag of the process that writes a run
LOCK = "mlflow.db.lock"
LOCK_SECONDS = 120  # a process that hangs must not stop the others for good
METRICS_PER_BATCH = 1000  # MLflow's limits
PARAMETERS_PER_BATCH = 100
LONGEST_NAME = 250
ANSWER_SECONDS = (3, 10)  # for a server to take a connection, and to say anything at all


@dataclass(frozen=True)
class Store:
    """An open MLflow store of the project in `root`."""

    root: Path
    uri: str
    client: MlflowClient

    @property
    def shared(self) -> bool:
        """Whether it is a server, to which other machines may write at the same time; a file has a lock."""
        return self.uri.startswith(("http:", "https:"))

    def experiment(self, name: str) -> str:
        """Id of the experiment `name`, created if there is none.

        Raises
        ------
        KadanoffError
            If a user has deleted it.
        """
        with FileLock(_lock(self.root, sqlite_file(self.uri)), LOCK_SECONDS):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                return self._create_experiment(name)
        if found.lifecycle_stage == "deleted":
            raise KadanoffError(
                f"the MLflow experiment {name!r} is deleted; bring it back with `mlflow experiments restore "
                f"-x {found.experiment_id}`, or remove it for good with `mlflow gc`."
            )
        return found.experiment_id

    def _create_experiment(self, name: str) -> str:
        tags = {
            "mlflow.experimentKind": "custom_model_development",  # training runs, not traces of chat models
            "mlflow.note.content": f"Stage `{name}`: a run for each variant. `dvc repro {name}` makes what is missing.",
        }
        try:
            return self.client.create_experiment(name, self._artifacts(name), tags=tags)
        except MlflowException:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id  # another machine was faster: the lock is of this one

    def _artifacts(self, experiment: str) -> str | None:
        """A folder beside a store of files; a server knows its own place."""
        return (artifact_root(self.root) / experiment).as_uri() if self.uri.startswith("sqlite:") else None

    def create_run(self, info: RunInfo, tags: Mapping[str, str]) -> str:
        """A new run that is RUNNING since the run's start, with its parameters, inputs and tags."""
        run = self.client.create_run(
            self.experiment(info.stage),
            start_time=milliseconds(info.started.timestamp()),
            tags={**describe(info), **owner(), **tags},
            run_name=_run_name(info),
        )
        with self.all_or_nothing(run.info.run_id):
            parameters = {clean(name): value for name, value in flatten(info.parameters).items()}
            for batch in batches(list(parameters.items()), PARAMETERS_PER_BATCH):
                self.client.log_batch(run.info.run_id, params=[Param(name, _text(value)) for name, value in batch])
            if info.inputs:
                self.client.log_inputs(run.info.run_id, [_dataset(item) for item in info.inputs])
        return run.info.run_id

    @contextmanager
    def all_or_nothing(self, run_id: str) -> Iterator[None]:
        """Delete the run if the block fails."""
        try:
            yield
        except BaseException:
            self.client.delete_run(run_id)
            raise

    def log_metrics(self, run_id: str, metrics: Iterable[Metric]) -> None:
        """Append metrics, in batches of the size that MLflow takes."""
        for batch in batches(list(metrics), METRICS_PER_BATCH):
            self.client.log_batch(run_id, metrics=batch)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags in one call."""
        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def store_root() -> Path:
    """Project whose store a stage writes to: under `dvc exp run --temp` the original one, which DVC_ROOT names."""
    return Path(os.environ["DVC_ROOT"]) if "DVC_ROOT" in os.environ else project_root()


def store_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI if it is set, else a SQLite file in the project.

    Raises
    ------
    KadanoffError
        If no address can name that file, or a secret in that of a server could be taken for a part of its path.
    """
    if chosen := os.environ.get("MLFLOW_TRACKING_URI"):
        return _plain_server(chosen)
    path = root.resolve() / "mlflow.db"
    if "?" in str(path):
        raise KadanoffError(f"{path} cannot hold MLflow's store: '?' ends an address. Rename the folder.")
    return f"sqlite:///{path}"


def _plain_server(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and ("@" in parts.path or parts.query or parts.fragment):
        raise KadanoffError(
            f"MLFLOW_TRACKING_URI names {without_secret(uri)} with a query, or with '/', '?' or '#' in a password. Put "
            "user and password into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, a token into "
            "MLFLOW_TRACKING_TOKEN."
        )
    return uri


def sqlite_file(uri: str) -> Path | None:
    """File of a SQLite store; None for a server or another database."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def artifact_root(root: Path) -> Path:
    """Folder for the artifacts of a store of files."""
    return root.resolve() / "mlartifacts"


def open_store(root: Path) -> Store:
    """Open the project's store, and create it if it is not there: one process at a time, or SQLite breaks.

    Raises
    ------
    KadanoffError
        If the store is damaged, or its server does not answer.
    """
    for noisy in ("mlflow", "alembic"):  # what matters arrives as an exception
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    uri = store_uri(root)
    if uri.startswith(("http:", "https:")):
        require_answer(uri)
    file = sqlite_file(uri)
    with warnings.catch_warnings():
        # MLflow uses a loader that SQLAlchemy 2.1 deprecates
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
        try:
            with FileLock(_lock(root, file), LOCK_SECONDS):
                if file is not None and not (file.exists() and file.stat().st_size):
                    _make(file)
                client = _client(uri)
        except Exception as error:  # SQLAlchemy's, requests' and MLflow's own, by the kind of the store
            reason = without_secret(next(iter(str(error).splitlines()), ""))[:200]
            raise KadanoffError(
                f"MLflow's store {without_secret(uri)} cannot be used ({type(error).__name__}: {reason}). If it is "
                "a file of this project, `kadanoff doctor` looks into it: the records stay. If it is a server, see "
                "there what is wrong, or unset MLFLOW_TRACKING_URI."
            ) from error
        return Store(root, uri, client)


def _lock(root: Path, file: Path | None) -> Path:
    """Lock of a store: beside its file, which several projects may use."""
    return (root if file is None else file.parent) / LOCK


def _client(uri: str) -> MlflowClient:
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)  # makes or checks the tables
    return client


def _make(file: Path) -> None:
    """Make a SQLite store under another name, then rename it: a kill or a full disk leaves no half of one."""
    for left in file.parent.glob(f"{glob.escape(file.name)}.new-*"):
        left.unlink()
    new = file.with_name(f"{file.name}.new-{uuid.uuid4().hex[:8]}")  # MLflow remembers the stores that it has opened
    _client(f"sqlite:///{new}")
    with new.open("rb") as written:
        os.fsync(written.fileno())
    for name in ("journal", "wal", "shm"):  # of an earlier store: SQLite would write them into this one
        file.with_name(f"{file.name}-{name}").unlink(missing_ok=True)
    new.replace(file)


def require_answer(uri: str) -> None:
    """Ask a server once whether it is there: MLflow would repeat its questions for a minute and a half.

    Raises
    ------
    KadanoffError
        If it cannot be reached, or says nothing within seconds. Any answer will do: MLflow judges what it says.
    """
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS, allow_redirects=False)
    except requests.exceptions.SSLError:
        return  # it is there; whether its certificate will do is for MLflow's settings to say
    except (requests.RequestException, ValueError) as error:
        raise KadanoffError(
            f"the MLflow server {without_secret(uri)} does not answer ({type(error).__name__}); start it, or unset "
            "MLFLOW_TRACKING_URI to use the store in this project."
        ) from error


def describe(info: RunInfo) -> dict[str, str]:
    """Tags by which a user finds the run."""
    address = info.title.replace("/", "@")
    tags = {
        "mlflow.runColor": _color(info.title),
        "mlflow.note.content": f"Made by `dvc repro {address}` from `params.yaml`; recorded in `reports/{info.title}`.",
        "stage": info.stage,
        "variant": info.variant,
        "dataset": ", ".join(_dataset_name(item) for item in info.inputs),
        "git_commit": info.git_commit,
        "dvc_experiment": info.dvc_experiment,
        "mlflow.source.name": f"kadanoff {info.title.replace('/', ' ')}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": info.git_commit,
        RECORDED_ID: info.mlflow_run_id,
        "kadanoff.environment": json.dumps(info.environment),
    }
    return {name: value for name, value in tags.items() if value}


def _color(title: str) -> str:
    """One colour for a variant, in every store: MLflow's own few depend on the id of the run."""
    hue, lightness = divmod(int(hashlib.sha256(title.encode()).hexdigest(), 16) % 180, 3)
    parts = colorsys.hls_to_rgb(hue / 60, (0.3, 0.45, 0.6)[lightness], 0.75)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def owner() -> dict[str, str]:
    """Tag that names this process, so that a later sync can tell whether it still lives."""
    process = psutil.Process()
    return {PROCESS: json.dumps({"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()})}


def clean(name: str) -> str:
    """`name` as MLflow allows it for a parameter or metric."""
    parts = (re.sub(r"[^\w.\- :]", "_", part) for part in name.split("/"))
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)[:LONGEST_NAME]


def milliseconds(seconds: float) -> int:
    """Time as MLflow counts it."""
    return round(1000 * seconds)


def batches(items: list[Any], size: int) -> Iterable[list[Any]]:
    """Consecutive parts of `items`, each of at most `size`."""
    return (items[first : first + size] for first in range(0, len(items), size))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _run_name(info: RunInfo) -> str:
    name = info.variant or info.stage
    return f"{name} ({info.dvc_experiment})" if info.dvc_experiment else name


def _dataset_name(item: Input) -> str:
    return PurePosixPath(item.path).stem


def digest(item: Input) -> str:
    """Its md5, which dvc.lock does not have yet if the stage was run by hand on new data."""
    return item.md5 or "unversioned"


def _dataset(item: Input) -> DatasetInput:
    source = DvcSource(item.path, item.md5)
    entity = Dataset(
        name=_dataset_name(item),
        digest=digest(item),
        source_type=source._get_source_type(),
        source=source.to_json(),
        profile=json.dumps({"path": item.path, "md5": item.md5, "fetch": f"dvc pull {item.path}"}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "input")])
