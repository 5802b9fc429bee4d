"""Trained networks as MLflow models: safetensors beside a description, never a pickle.

`mlflow.pyfunc.load_model` loads them through `kadanoff.models`; no code comes from the artifact.
"""

import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric

from kadanoff.errors import KadanoffError
from kadanoff.project.records.dvclock import file_md5
from kadanoff.project.records.runinfo import ModelInfo, RunInfo
from kadanoff.project.tracking.store import Store, clean, digest

LOADER = "kadanoff.models"
WEIGHTS = "kadanoff.weights"  # tag: whether the file is in the artifacts, `here` or `missing`


def log_model(store: Store, run_id: str, info: RunInfo, weights: Path | None) -> LoggedModel:
    """The network of a run as an MLflow model; without `weights` only what is known of it, for them to come later."""
    model = _of(info)
    name = (info.variant or info.stage).replace(".", "-").replace("=", "-")
    logged = store.client.create_logged_model(
        store.experiment(info.stage), name, run_id, tags=describe(info), model_type="pyfunc"
    )
    try:
        _log_artifacts(store, logged, model, weights)
        _log_score(store, logged, info)
    except BaseException:
        store.client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    store.client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    store.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return store.client.get_logged_model(logged.model_id)


def bring_model(store: Store, run_id: str, info: RunInfo, known: LoggedModel | None) -> LoggedModel:
    """The MLflow model of a recorded run: logged if it is not there, completed if its weights have arrived."""
    model = _of(info)
    weights = local_weights(store.root, model.weights, model.md5)
    if known is None:
        return log_model(store, run_id, info, weights)
    if known.tags.get(WEIGHTS) == "missing" and weights is not None:
        _log_artifacts(store, known, model, weights)
        return store.client.get_logged_model(known.model_id)
    return known


def logged_models(store: Store, experiment: str) -> dict[str, LoggedModel]:
    """Complete models of an experiment by the run that made them."""
    found: dict[str, LoggedModel] = {}
    token = None
    while token != "":
        page = store.client.search_logged_models([experiment], page_token=token)
        found |= {str(item.source_run_id): item for item in page if item.status == LoggedModelStatus.READY}
        token = page.token or ""
    return found


def local_weights(root: Path, path: str, md5: str) -> Path | None:
    """The file `path` of the project if it is there with this content."""
    file = root / path
    return file if file.is_file() and file_md5(file) == md5 else None


def describe(info: RunInfo) -> dict[str, str]:
    """Tags that say what the model is, and what it can be compared with."""
    model = _of(info)
    return {
        "stage": info.stage,
        "variant": info.variant or "",
        "weights": model.weights,
        "md5": model.md5,
        "metric": clean(model.metric),
        "greater_is_better": str(model.greater_is_better).lower(),
        "task": model.task,
        "contender": str(model.contender).lower(),
        "data": ", ".join(f"{PurePosixPath(item.path).stem} {item.md5}" for item in info.inputs),
        WEIGHTS: "missing",
    }


def _of(info: RunInfo) -> ModelInfo:
    if info.model is None:
        raise KadanoffError(f"the run {info.title} has left no trained network.")
    return info.model


def _log_artifacts(store: Store, logged: LoggedModel, model: ModelInfo, weights: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        _save(folder, logged, model, weights)
        store.client.log_model_artifacts(logged.model_id, str(folder))
    store.client.set_logged_model_tags(logged.model_id, {WEIGHTS: "missing" if weights is None else "here"})


def _save(folder: Path, logged: LoggedModel, model: ModelInfo, weights: Path | None) -> None:
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    with warnings.catch_warnings():
        # of MLflow about its own type hints
        warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
        import mlflow.pyfunc

    def schema(kind: str, shape: list[int]) -> Any:
        return Schema([TensorSpec(np.dtype(kind), tuple(shape))])

    described = Model(logged.artifact_location, logged.source_run_id, model_id=logged.model_id)
    described.signature = ModelSignature(inputs=schema("int8", model.takes), outputs=schema("float32", model.gives))
    data = PurePosixPath("data", PurePosixPath(model.weights).name)
    mlflow.pyfunc.add_to_model(described, loader_module=LOADER, data=str(data))
    (folder / "data").mkdir(parents=True)
    described.save(folder / "MLmodel")
    needed = [f"{package}=={version(package)}\n" for package in ("kadanoff", "numpy", "safetensors", "torch")]
    (folder / "requirements.txt").write_text("".join(needed), encoding="utf-8")
    if weights is not None:
        (folder / data).write_bytes(weights.read_bytes())


def _log_score(store: Store, logged: LoggedModel, info: RunInfo) -> None:
    """Tie the run's held-out metric, and its error, to the model and its data."""
    assert logged.source_run_id is not None
    name = clean(_of(info).metric)
    data = info.inputs[0] if len(info.inputs) == 1 else None
    points = [
        Metric(
            point.key,
            point.value,
            point.timestamp,  # the same point of the run, so that it is not there twice
            point.step,
            model_id=logged.model_id,
            dataset_name=PurePosixPath(data.path).stem if data else None,
            dataset_digest=digest(data) if data else None,
            run_id=logged.source_run_id,
        )
        for key in (name, f"{name}_error")
        for point in store.client.get_metric_history(logged.source_run_id, key)[-1:]
    ]
    store.log_metrics(logged.source_run_id, points)
