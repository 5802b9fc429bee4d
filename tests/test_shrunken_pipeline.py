"""The whole pipeline with tiny parameters, then a second clone that only looks."""

import json
import shutil

import pytest
from project import Project, copy_project, shrink

from kadanoff.project.records.dvclock import content_md5

pytestmark = pytest.mark.slow

LIST_RUNS = """
import json
from pathlib import Path
from kadanoff.project.tracking.store import open_store
client = open_store(Path.cwd())
runs = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        if "mlflow.parentRunId" in run.data.tags:
            continue  # a row of what its stage compares
        inputs = [item.dataset.digest for item in run.inputs.dataset_inputs]
        history = client.get_metric_history(run.info.run_id, "history/validation_loss")
        runs.append(
            {
                "experiment": experiment.name,
                "name": run.info.run_name,
                "status": run.info.status,
                "metrics": len(run.data.metrics),
                "params": len(run.data.params),
                "tags": dict(run.data.tags),
                "inputs": inputs,
                "epochs": len(history),
                "artifacts": [entry.path for entry in client.list_artifacts(run.info.run_id)],
            }
        )
print("RUNS" + json.dumps(runs))
"""


def runs_of(project: Project) -> list[dict]:
    output = project.run("python", "-c", LIST_RUNS)
    return json.loads(output.split("RUNS", 1)[1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("tiny"))
    project.write_params(shrink(project.params()))
    project.commit("tiny parameters")
    project.run("dvc", "repro")
    project.run("kadanoff", "runs", "sync")
    project.commit("results")
    return project


def test_every_stage_is_a_run_with_its_numbers(finished):
    runs = runs_of(finished)
    addresses = sorted(f"{run['experiment']}@{run['name']}".removesuffix(f"@{run['experiment']}") for run in runs)
    assert addresses == sorted(finished.lock())
    assert {run["status"] for run in runs} == {"FINISHED"}
    assert all(run["metrics"] and run["params"] for run in runs)
    cnn = next(run for run in runs if (run["experiment"], run["name"]) == ("coarsen", "cnn"))
    data = content_md5(finished.folder / "data/coarsen/coarsen16.zarr")
    assert cnn["inputs"] == [data[:36]]
    assert cnn["epochs"] == 2
    assert "history.png" in cnn["artifacts"]
    assert (cnn["tags"]["study"], cnn["tags"]["task"]) == ("coarsen", "threshold of 2 x 2 blocks")


def test_nothing_to_do_and_nothing_left_behind(finished):
    assert "Data and pipelines are up to date" in finished.run("dvc", "repro")
    assert "up to date" in finished.run("dvc", "status")
    leftovers = [entry for entry in (finished.folder / ".checkpoints").iterdir() if entry.is_dir()]
    assert leftovers == []
    before = len(runs_of(finished))
    finished.run("kadanoff", "runs", "sync")
    assert len(runs_of(finished)) == before


def test_a_second_clone_shows_every_run_without_running_anything(finished, tmp_path):
    finished.run("git", "clone", "-q", str(finished.folder), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("kadanoff", "runs", "sync")
    first, second = (sorted(runs_of(project), key=str) for project in (finished, clone))
    keys = ("experiment", "name", "status", "inputs", "epochs", "params")
    assert sorted([run[key] for key in keys] for run in first) == sorted([run[key] for key in keys] for run in second)
    assert not (clone.folder / "data").exists()
    assert not (clone.folder / "models").exists()


def test_metrics_and_plots_are_declared(finished):
    assert "mse" in finished.run("dvc", "metrics", "show")
    finished.run("dvc", "plots", "show", "-o", "plots")
    page = (finished.folder / "plots" / "index.html").read_text()
    assert "validation_loss" in page
    shutil.rmtree(finished.folder / "plots")
