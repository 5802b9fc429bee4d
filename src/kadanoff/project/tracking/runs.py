"""A run as MLflow describes it: parameters, inputs, tags, and how its data and weights are restored."""

import colorsys
import hashlib
import json
import math
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from kadanoff.project.params import studies
from kadanoff.project.records.read import Published
from kadanoff.project.records.runinfo import Input, RunInfo, flatten
from kadanoff.project.tables import cells
from kadanoff.project.tracking.store import experiment_id, open_store, store_root
from kadanoff.runtime.files import project_root

# tags
OWN = "kadanoff"  # what a sync keeps of a run, as JSON: see `own`
PARENT = "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"

METRICS_PER_BATCH, PARAMETERS_PER_BATCH = 1000, 100  # MLflow's limits
LONGEST_NAME = 250
FILTERS = ("system", "published")  # of a row's parameters: tags as well
PATH = re.compile(r"(data|models)(/[A-Za-z0-9][\w.=-]*)+", re.ASCII)  # safe in a command to be copied


def open_live_run(info: RunInfo) -> tuple[MlflowClient, str]:
    """A client, and the id of a new run that it shows while it happens. One that a killed process left is ended."""
    root = store_root()
    client = open_store(root)
    experiment = experiment_id(client, root, info.stage)
    same = {"project": project_id(), "origin": "live", "title": info.title}
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if same.items() <= own(run).items():  # one process at a time records it
            client.set_terminated(run.info.run_id, "KILLED")
    run_id = create_run(client, experiment, info, "live", studies(project_root())).info.run_id
    log(client, run_id, parameters=info.parameters)
    return client, run_id


def own(run: Run) -> dict[str, Any]:
    """What a sync keeps of a run.

    `record`: md5 of the record that it shows, which identifies it; `origin`: `live`, or `record` of an imported one;
    `project`: machine and folder where it was logged; `title`: as a user calls it.
    """
    with suppress(ValueError):
        found = json.loads(run.data.tags.get(OWN, ""))
        return found if isinstance(found, dict) else {}
    return {}


def create_run(
    client: MlflowClient, experiment: str, info: RunInfo, origin: str, study: Mapping[str, str], publication: str = ""
) -> Run:
    """A new run that is RUNNING since `info.started`, with its inputs and tags; `study` is that of each stage."""
    known = {"origin": origin, "project": project_id(), "title": info.title}
    tags = _tags(info) | {OWN: json.dumps(known), "study": study.get(info.stage, info.stage)}
    name = info.variant or info.stage
    name += f" [{publication}]" if publication else f" ({info.dvc_experiment})" if info.dvc_experiment else ""
    run = client.create_run(experiment, round(1000 * info.started.timestamp()), tags, name)
    if info.inputs:
        client.log_inputs(run.info.run_id, [_dataset(item) for item in info.inputs])
    return run


def create_row(client: MlflowClient, parent: Run, info: RunInfo, row: Mapping[str, str]) -> None:
    """A run below `parent`: one row of what its stage compares, with the columns `info.compared_by` as parameters."""
    values = {name: value for name, value in row.items() if value}
    known = {name: values.pop(name) for name in info.compared_by if name in values}
    end = round(1000 * info.ended)
    numbers = points({name: float(value) for name, value in values.items()}, 0, info.ended)
    names = [value if re.search("[A-Za-z]", value) else f"{name} = {value}" for name, value in known.items()]
    tags = {PARENT: parent.info.run_id, "study": parent.data.tags["study"]}
    tags |= {name: known[name] for name in FILTERS if name in known}
    run = client.create_run(parent.info.experiment_id, round(1000 * info.started.timestamp()), tags, ", ".join(names))
    log(client, run.info.run_id, numbers, known)
    client.set_terminated(run.info.run_id, "FINISHED", end)


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
    """Numbers as MLflow's metrics."""
    return [Metric(clean(name), value, round(1000 * when), step) for name, value in values.items()]


def description(record: Published, outputs: Iterable[str]) -> str:
    """What a run found, what made it, and the commands that restore its data and weights, in Markdown.

    `outputs` are those of the stage in dvc.lock.
    """
    info, publication = record.info, record.publication
    numbers = cells(record.summary)
    table = "\n".join(["| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in numbers.items())])
    paths = [path for path in dict.fromkeys([*(item.path for item in info.inputs), *outputs]) if PATH.fullmatch(path)]
    made = f"Made by `dvc repro {info.address}`" + (f" on commit `{info.git_commit}`." if info.git_commit else ".")
    if publication:
        lock = f"reports/published/{publication}/dvc.lock"
        commands = [f"cp {lock} dvc.lock", *(f"dvc pull {path}" for path in paths), "git checkout dvc.lock"]
        find = f"Pinned by `{lock}`."
    else:
        commands = [f"dvc get . {path} --rev COMMIT" for path in paths]
        find = f"`git log -S {record.md5} -- dvc.lock` finds the commits that added or replaced this result."
    restore = ["Its data and weights:", "```", *commands, "```"] if paths else []
    found = [info.result or "", table if numbers else "", made, find, "\n".join(restore)]
    return "\n\n".join(filter(None, found))


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
    systems = info.parameters.get("system", info.parameters.get("systems"))
    tags = {
        "mlflow.runColor": f"#{colour}",
        "mlflow.source.name": f"kadanoff run {info.address}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": info.git_commit,
        "task": info.model and info.model.task,
        "system": ", ".join(map(str, systems)) if isinstance(systems, dict | list) else systems,
    }
    return {name: str(value) for name, value in tags.items() if value}


def _dataset(item: Input) -> DatasetInput:
    profile, source = json.dumps({"md5": item.md5}), json.dumps({"uri": item.path})
    # a record from elsewhere may name data without a hash
    data = Dataset(PurePosixPath(item.path).stem, item.md5 or "unversioned", "local", source, profile=profile)
    return DatasetInput(data, [InputTag("mlflow.data.context", "input")])
