"""The MLflow store of a project: a SQLite file in it, or the server that MLFLOW_TRACKING_URI names."""

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError, without_secret
from kadanoff.runtime.files import project_root

MEMORY = "/dev/shm"  # where Linux keeps files in memory


def store_root() -> Path:
    """Project whose store a stage writes to: under `dvc exp run --temp` the original one, which DVC_ROOT names."""
    return Path(os.environ["DVC_ROOT"]) if "DVC_ROOT" in os.environ else project_root()


def store_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI if it is set, else a SQLite file in the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'mlflow.db'}"


def artifact_root(root: Path) -> Path:
    """Folder of the figures and tables of a SQLite store; a server knows its own place."""
    return root.resolve() / "mlartifacts"


def open_store(root: Path) -> MlflowClient:
    """Client of the project's store, made if it is not there; KadanoffError if it is damaged or does not answer."""
    with opened(root):
        pass
    return _client(store_uri(root))


@contextmanager
def opened(root: Path) -> Iterator[MlflowClient]:
    """The same inside a block. A new SQLite store gets its name when the block ends, with all that it then holds.

    One process at a time makes it: six at once break it for good. It is made in memory, because its tables take a
    thousand writes to disk, and each run four more.
    """
    uri = store_uri(root)
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not file.exists():
        with FileLock(f"{file}.lock"):
            if not file.exists():
                with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as scratch:
                    new = Path(scratch, file.name)
                    yield _client(f"sqlite:///{new}")
                    beside = file.with_name(f"{file.name}.new")
                    shutil.copyfile(new, beside)
                    file.with_name(f"{file.name}-journal").unlink(missing_ok=True)  # of an earlier store
                    beside.replace(file)
                return
    yield _client(uri)


def _client(uri: str) -> MlflowClient:
    for noisy in ("mlflow", "alembic"):  # what matters arrives as an exception
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)  # SQLAlchemy of MLflow
        try:
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)  # makes or checks the tables
        except Exception as error:  # SQLAlchemy's, requests' and MLflow's own, by the kind of the store
            reason = without_secret(next(iter(str(error).splitlines()), ""))[:300]
            raise KadanoffError(
                f"MLflow's store {without_secret(uri)} cannot be used ({type(error).__name__}: {reason}). Start the "
                "server, or unset MLFLOW_TRACKING_URI; a damaged mlflow.db can be deleted: `kadanoff runs sync` makes "
                "it anew from the records."
            ) from error
    return client


def experiment_id(client: MlflowClient, root: Path, stage: str) -> str:
    """Id of the experiment of a stage, created if there is none."""
    found = client.get_experiment_by_name(stage)
    if found is None:
        local = store_uri(root).startswith("sqlite:")
        place = (artifact_root(root) / stage).as_uri() if local else None
        tags = {"mlflow.experimentKind": "custom_model_development"}  # training runs, not traces of chat models
        try:
            return client.create_experiment(stage, place, tags)
        except MlflowException:
            found = client.get_experiment_by_name(stage)
            if found is None:
                raise  # else another process was faster
    return found.experiment_id
