"""The best network of each study: a registered model named after it, each network a version, `champion` the best one.

Weights stay where DVC keeps them; a version has a copy, loaded by `mlflow.pyfunc`, as soon as a sync finds them.
"""

import math
import re
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from kadanoff.errors import KadanoffError, shown
from kadanoff.estimate import Estimate
from kadanoff.project.records.dvclock import file_md5
from kadanoff.project.records.read import Published
from kadanoff.project.records.runinfo import ModelInfo
from kadanoff.project.tables import cell
from kadanoff.project.tracking.runs import clean
from kadanoff.project.tracking.store import open_store, store_uri
from kadanoff.runtime.files import project_root

ALIAS = "champion"
WEIGHTS_COPIED = "weights_copied"  # tag of a version
CARD = """**{title}**. {result}

| | |
|---|---|
| task | {task} |
| takes | spins -1 and 1, int8 {takes} (-1: any) |
| gives | float32 {gives} |
| trained on | {data} |
| weights | `{weights}`, md5 {md5} |

`kadanoff.load_model("{weights}")`, or with MLflow alone `mlflow.pyfunc.load_model("models:/...").predict(spins)`.
"""
NAME = re.compile(r"models:/(?P<study>[^/@]+)(@(?P<alias>[\w-]+)|/(?P<version>\d+))")


def champion(records: Sequence[Published]) -> Published | None:
    """The network of one study with the smallest held-out error; None if no record has one.

    Two compete if metric, task and datasets are the same, whatever they were pre-trained on. If there are several such
    groups, the champion is that of the largest.
    """
    groups: dict[Any, list[tuple[float, Published]]] = defaultdict(list)
    for record in records:
        model = record.info.model
        if model is not None and model.contender and model.metric in record.metrics:
            data = frozenset(item.md5 for item in record.info.inputs if item.path.startswith("data/"))
            groups[model.metric, model.task, data].append((record.metrics[model.metric], record))
    largest = max(groups.values(), key=len, default=[])
    return min(largest, key=lambda item: item[0])[1] if largest else None


def register(client: MlflowClient, root: Path, records: Sequence[Published], runs: Mapping[str, str]) -> list[str]:
    """Register the networks of these records, whose `runs` are given by the md5 of a record; returns new champions."""
    studies: dict[str, list[tuple[Published, ModelInfo]]] = defaultdict(list)
    for record in records:
        if record.info.model is not None:
            studies[record.info.stage].append((record, record.info.model))
    changes = []
    for study, group in studies.items():
        if not client.search_registered_models(f"name = '{study}'"):
            client.create_registered_model(study, description=f"Networks of the study {study}; `{ALIAS}` is the best.")
        known = client.search_model_versions(f"name = '{study}'", max_results=10_000)
        versions = {version.tags.get("record"): version for version in known}
        for record, model in group:
            version = versions.get(record.md5) or _create_version(client, record, model, runs[record.md5])
            versions[record.md5] = version
            weights = root / model.weights
            if WEIGHTS_COPIED not in version.tags and weights.is_file() and file_md5(weights) == model.md5:
                _copy_weights(client, version, model, weights)
        best = champion([record for record, _ in group])
        if (
            best is not None
            and best.info.model is not None
            and client.get_registered_model(study).aliases.get(ALIAS) != versions[best.md5].version
        ):
            client.set_registered_model_alias(study, ALIAS, versions[best.md5].version)
            changes.append(f"champion of {study}: {best.title} ({_score(best, best.info.model)})")
    return changes


def _create_version(client: MlflowClient, record: Published, model: ModelInfo, run_id: str) -> ModelVersion:
    data = ", ".join(f"{PurePosixPath(item.path).stem} {item.md5}" for item in record.info.inputs)
    tags = {
        "record": record.md5,
        "variant": record.info.variant or record.info.stage,
        "task": model.task,
        "data": data,
        clean(model.metric): _score(record, model).split()[-1],
        "weights": model.weights,
        "md5": model.md5,
    }
    return client.create_model_version(
        record.info.stage,
        f"{client.get_run(run_id).info.artifact_uri}/model",
        run_id,
        tags=tags,
        description=CARD.format(
            title=record.title,
            result=record.info.result or _score(record, model),
            data=data or "lattices that are simulated while it trains",
            **model.model_dump(),
        ),
        await_creation_for=0,
    )


def _score(record: Published, model: ModelInfo) -> str:
    """The held-out number of a network and its name, with its error."""
    score, error = (record.metrics.get(f"{model.metric}{ending}", math.nan) for ending in ("", "_error"))
    return f"{model.metric} {cell(Estimate(score, error) if math.isfinite(error) else score)}"


def _copy_weights(client: MlflowClient, version: ModelVersion, model: ModelInfo, weights: Path) -> None:
    """Log the network for `mlflow.pyfunc.load_model`: safetensors beside a description, never a pickle."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    takes, gives = TensorSpec(np.dtype("int8"), tuple(model.takes)), TensorSpec(np.dtype("float32"), tuple(model.gives))
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own type hints
        from mlflow import pyfunc

        pyfunc.save_model(
            f"{scratch}/model",
            loader_module="kadanoff.models",
            data_path=str(weights),
            signature=ModelSignature(Schema([takes]), Schema([gives])),
            pip_requirements=[f"{name}=={installed(name)}" for name in ("kadanoff", "numpy", "safetensors", "torch")],
        )
        client.log_artifacts(str(version.run_id), f"{scratch}/model", "model")
    client.set_model_version_tag(version.name, version.version, WEIGHTS_COPIED, "yes")


@contextmanager
def registered_weights(name: str) -> Iterator[Path]:
    """The safetensors file of `models:/STUDY@ALIAS` or `models:/STUDY/VERSION`, inside the block: MLflow's copy.

    Of MLflow's artifacts only this file is taken, and no code. KadanoffError if nothing is registered under the name,
    or its weights are not in MLflow.
    """
    root = project_root()
    uri = store_uri(root)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise KadanoffError(
            f"there is no MLflow store in {root}; run `kadanoff runs sync` in the project, or set MLFLOW_TRACKING_URI."
        )
    version = _find_version(open_store(root), name)
    weights = version.tags.get("weights", "")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            address = f"{version.source}/data/{PurePosixPath(weights).name}"
            found = download_artifacts(address, dst_path=scratch, tracking_uri=uri)
        except (MlflowException, OSError) as error:
            md5 = version.tags.get("md5")
            raise KadanoffError(
                f"the weights of {name} are not in MLflow; `dvc pull {weights}`, then `kadanoff runs sync`; or "
                f"`dvc get . {weights} --rev COMMIT` of the commit that `git log -S {md5} -- dvc.lock` finds."
            ) from error
        if file_md5(Path(found)) != version.tags.get("md5"):
            raise KadanoffError(f"MLflow's copy of {name} is not the network registered; run `kadanoff runs sync`.")
        yield Path(found)


def _find_version(client: MlflowClient, name: str) -> ModelVersion:
    match = NAME.fullmatch(name)
    if match is None:
        raise KadanoffError(f"{shown(name)} is no registered model; write models:/STUDY@champion or models:/STUDY/1.")
    try:
        if match["alias"]:
            return client.get_model_version_by_alias(match["study"], match["alias"])
        return client.get_model_version(match["study"], match["version"])
    except MlflowException:
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise KadanoffError(
            f"there is no {name} in MLflow; its registered models are: {known}. `kadanoff runs sync` registers those "
            "of the records."
        ) from None
