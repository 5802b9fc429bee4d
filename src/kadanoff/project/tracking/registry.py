"""From the name of a registered model to its weights."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError
from kadanoff.project.records.dvclock import file_md5
from kadanoff.project.tracking.champions import MODEL
from kadanoff.project.tracking.models import local_weights
from kadanoff.project.tracking.store import Store, open_store, sqlite_file, store_uri
from kadanoff.runtime.files import project_root

NAME = re.compile(r"models:/(?P<study>[^/@]+)(@(?P<alias>[\w-]+)|/(?P<version>\d+))")


@contextmanager
def registered_weights(name: str) -> Iterator[Path]:
    """The safetensors file of `models:/STUDY@ALIAS` or `models:/STUDY/VERSION`, inside the block.

    It is the project's own file if that has the right content, else the copy in MLflow. Of MLflow's artifacts only this
    file is taken, and no code.

    Raises
    ------
    KadanoffError
        If the name is none of these, nothing is registered under it, or its weights are not at hand.
    """
    root = project_root()
    store = _existing_store(root)
    logged = _logged_model(store, name)
    try:
        path, md5 = logged.tags["weights"], logged.tags["md5"]
    except KeyError as error:
        raise KadanoffError(f"{name} is not a network of a study: it has no tag {error}.") from error
    if path.startswith("models/") and ".." not in path and (here := local_weights(root, path, md5)):
        yield here
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield _download(store, logged, PurePosixPath(path).name, md5, Path(scratch), name)


def _existing_store(root: Path) -> Store:
    file = sqlite_file(store_uri(root))
    if file is not None and not file.exists():
        raise KadanoffError(
            f"there is no MLflow store in {root}; run `kadanoff runs sync` in the project, or set MLFLOW_TRACKING_URI."
        )
    return open_store(root)


def _logged_model(store: Store, name: str) -> LoggedModel:
    match = NAME.fullmatch(name)
    if match is None:
        raise KadanoffError(
            f"{name!r} names no registered model; write models:/STUDY@champion or models:/STUDY/VERSION."
        )
    client = store.client
    try:
        if match["alias"]:
            version = client.get_model_version_by_alias(match["study"], match["alias"])
        else:
            version = client.get_model_version(match["study"], match["version"])
        return client.get_logged_model(version.tags.get(MODEL, ""))
    except MlflowException:
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise KadanoffError(
            f"there is no {name} in MLflow; its registered models are: {known}. `kadanoff runs sync` registers those "
            "of the records."
        ) from None


def _download(store: Store, logged: LoggedModel, file: str, md5: str, scratch: Path, name: str) -> Path:
    try:
        address = f"{logged.artifact_location}/data/{file}"
        found = Path(download_artifacts(address, dst_path=str(scratch), tracking_uri=store.uri))
    except (MlflowException, OSError) as error:
        raise KadanoffError(
            f"the weights of {name} ({logged.tags['weights']}, md5 {md5}) are not here. `kadanoff pull "
            f"{logged.tags['weights']}` fetches them; if this checkout has other ones, `kadanoff runs where "
            f"{logged.source_run_id}` says which commit has these."
        ) from error
    if file_md5(found) != md5:
        raise KadanoffError(
            f"MLflow's copy of {name} has md5 {file_md5(found)}, and {md5} was logged; it is not used. Pull "
            f"{logged.tags['weights']} with DVC, then repeat."
        )
    return found
