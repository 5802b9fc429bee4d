"""A run as MLflow describes it: parameters, inputs, tags, and how its data and weights are restored."""

import colorsys
import hashlib
import json
import math
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from kadanoff.project.records.runinfo import Input, RunInfo, flatten
from kadanoff.project.tracking.store import experiment_id, open_store, store_root
from kadanoff.runtime.files import project_root

# tags
RECORD = "kadanoff.record"  # md5 of the record that the run shows, which identifies it
ORIGIN = "kadanoff.origin"  # `live`, or `record` of an imported run
PROJECT = "kadanoff.project"  # machine and folder where the run was logged
DESCRIPTION = "mlflow.note.content"

METRICS_PER_BATCH, PARAMETERS_PER_BATCH = 1000, 100  # MLflow's limits
LONGEST_NAME = 250
PATH = re.compile(r"(data|models)(/[A-Za-z0-9][\w.=-]*)+", re.ASCII)  # safe in a command to be copied


def open_live_run(info: RunInfo) -> tuple[MlflowClient, str]:
    """A client, and the id of a new run that it shows while it happens. One that a killed process left is ended."""
    root = store_root()
    client = open_store(root)
    experiment = experiment_id(client, root, info.stage)
    same = {PROJECT: project_id(), ORIGIN: "live", "stage": info.stage, "variant": info.variant}
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if all(run.data.tags.get(name) == value for name, value in same.items()):  # one process at a time records it
            client.set_terminated(run.info.run_id, "KILLED")
    run_id = create_run(client, experiment, info, "live")
    log(client, run_id, parameters=info.parameters)
    return client, run_id


def create_run(client: MlflowClient, experiment: str, info: RunInfo, origin: str, name: str = "") -> str:
    """Id of a new run that is RUNNING since `info.started`, with its inputs and tags."""
    variant = name or info.variant or info.stage
    run = client.create_run(
        experiment,
        start_time=round(1000 * info.started.timestamp()),
        tags=_tags(info) | {ORIGIN: origin, PROJECT: project_id()},
        run_name=f"{variant} ({info.dvc_experiment})" if info.dvc_experiment else variant,
    )
    if info.inputs:
        client.log_inputs(run.info.run_id, [_dataset(item) for item in info.inputs])
    return run.info.run_id


def log(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[Metric] = (),
    parameters: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log in as few calls as MLflow allows, the tags in the last one."""
    known = flatten(parameters or {}).items()
    params = [Param(clean(key), value if isinstance(value, str) else json.dumps(value)) for key, value in known]
    batches = max(1, math.ceil(len(metrics) / METRICS_PER_BATCH), math.ceil(len(params) / PARAMETERS_PER_BATCH))
    for number in range(batches):
        client.log_batch(
            run_id,
            metrics[number * METRICS_PER_BATCH : (number + 1) * METRICS_PER_BATCH],
            params[number * PARAMETERS_PER_BATCH : (number + 1) * PARAMETERS_PER_BATCH],
            [RunTag(key, value) for key, value in (tags or {}).items()] if number == batches - 1 else [],
        )


def points(values: Mapping[str, float], step: int, when: float) -> list[Metric]:
    """Numbers as MLflow's metrics. Where there are others, those of tables (`T=2.27/energy`) stay in metrics.json."""
    shown = [name for name in values if "=" not in name] or list(values)
    return [Metric(clean(name), values[name], round(1000 * when), step) for name in shown]


def description(info: RunInfo, md5: str, outputs: Iterable[str], publication: str | None = None) -> str:
    """What made a run, and the commands that restore its data and weights, in Markdown.

    `md5` is that of the record, `outputs` are those of the stage in dvc.lock.
    """
    paths = [path for path in dict.fromkeys([*(item.path for item in info.inputs), *outputs]) if PATH.fullmatch(path)]
    made = f"Made by `dvc repro {info.address}`" + (f" on commit `{info.git_commit}`." if info.git_commit else ".")
    if publication:
        lock = f"reports/published/{publication}/dvc.lock"
        commands = [f"cp {lock} dvc.lock", *(f"dvc pull {path}" for path in paths), "git checkout dvc.lock"]
        find = f"Pinned by `{lock}`."
    else:
        commands = [f"dvc get . {path} --rev COMMIT" for path in paths]
        find = f"`git log -S {md5} -- dvc.lock` finds the commits that added or replaced this result."
    restore = ["Its data and weights:", "```", *commands, "```"] if paths else []
    return "\n\n".join([made, find, "\n".join(restore)]).strip()


def project_id() -> str:
    """Machine and folder of the project."""
    return f"{socket.gethostname()}:{project_root().resolve()}"


def clean(name: str) -> str:
    """`name` as MLflow allows it for a parameter or metric."""
    parts = (re.sub(r"[^\w.\- :]", "_", part) for part in name.split("/"))
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)[:LONGEST_NAME]


def _tags(info: RunInfo) -> dict[str, str]:
    # one colour for a variant, in every store; of MLflow's own few, several runs of a chart have the same one
    hue = int(hashlib.sha256(info.title.encode()).hexdigest()[:4], 16) / 65536
    colour = bytes(round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.45, 0.75)).hex()
    tags = {
        "mlflow.runColor": f"#{colour}",
        "mlflow.source.name": f"kadanoff run {info.address}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": info.git_commit,
        "stage": info.stage,
        "variant": info.variant,
        "dataset": ", ".join(PurePosixPath(item.path).stem for item in info.inputs),
        "git_commit": info.git_commit,
        "dvc_experiment": info.dvc_experiment,
        "environment": json.dumps(info.environment),
    }
    return {name: value for name, value in tags.items() if value}


def _dataset(item: Input) -> DatasetInput:
    profile, source = json.dumps({"md5": item.md5}), json.dumps({"uri": item.path})
    # a record from elsewhere may name data without a hash
    data = Dataset(PurePosixPath(item.path).stem, item.md5 or "unversioned", "local", source, profile=profile)
    return DatasetInput(data, [InputTag("mlflow.data.context", "input")])
