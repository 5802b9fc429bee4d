"""The same behaviour over a SQLite file and over a tracking server, also when the server is not there."""

import multiprocessing
import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from tracking_server import POINTS, free_port, log_much, tracking_server
from written_records import lock

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.project.records import recorded
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.runs import own
from kadanoff.project.tracking.store import experiment_id, open_store

pytestmark = pytest.mark.slow
STAGES = (f"coarsen{number}" for number in count())  # the tests share the server, so each has a stage of its own


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with tracking_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@dataclass
class Place:
    """A project, and the stage that this test may use."""

    root: Path
    stage: str

    def record(self):
        """A run with a network."""
        weights = self.root / "models" / self.stage / "cnn.safetensors"
        save_model(weights, build("exact", block=2, size=8), Recipe("exact", {"block": 2, "size": 8}))
        with recorded(self.stage, "cnn", parameters={"rate": 0.1}) as run:
            for epoch in range(3):
                run.epoch(epoch, loss=1 / (epoch + 1))
            run.metrics({"test": {"mse": {"mean": 0.5, "error": 0.1}}})
            run.figure("history", Figure())
            shapes = {"takes": [-1, -1, -1], "gives": [-1, -1, -1]}
            run.model(weights, metric="test/mse", task="average", contender=True, **shapes)
        lock(self.root)

    def runs(self):
        client = open_store(self.root)
        return client, client.search_runs([experiment_id(client, self.root, self.stage)])

    def sync(self):
        """Names of the report's lists that are not empty, with their content."""
        return {name: value for name, value in vars(sync(self.root)).items() if value}


@pytest.fixture(params=["file", "server"])
def place(request, project, monkeypatch):
    (project / "mlflow.db").unlink()  # the first process has to make it
    if request.param == "server":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("server"))
    return Place(project, next(STAGES))


def test_eight_processes_at_once_lose_nothing(place):
    context = multiprocessing.get_context("forkserver")  # forks a process that has imported MLflow: all start together
    context.set_forkserver_preload(["kadanoff.project.records", "kadanoff.project.tracking"])
    environment = {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")}
    start = context.Barrier(8)
    tasks = [(place.root, environment, place.stage, str(number), start) for number in range(8)]
    processes = [context.Process(target=log_much, args=task) for task in tasks]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    client, found = place.runs()
    assert sorted(run.info.run_name for run in found) == [str(number) for number in range(8)]
    for run in found:
        assert run.info.status == "FINISHED"
        assert run.data.params == {f"p{number}": str(number) for number in range(150)}
        expected = {"loss": [epoch / 8 for epoch in range(POINTS)], "rate": [float(run.info.run_name)] * POINTS}
        for name, values in expected.items():
            history = client.get_metric_history(run.info.run_id, f"history/{name}")
            assert sorted((point.step, point.value) for point in history) == list(enumerate(values))
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"history.csv", "table.md"}


@pytest.mark.parametrize("origin", ["record", "live"])
def test_a_run_is_there_once_with_all_it_has_and_its_network_is_loaded_by_name(place, monkeypatch, capfd, origin):
    if origin == "live":
        monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", -1.0)
    place.record()
    assert capfd.readouterr() == ("", "")
    title = f"{place.stage}/cnn"
    champion = f"champion of {place.stage}: {title} (test/mse 0.50(10))"
    assert place.sync() == {"updated" if origin == "live" else "imported": [title], "champions": [champion]}
    assert place.sync() == {"unchanged": [title]}
    client, [run] = place.runs()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "cnn")
    assert (run.data.params, own(run)["origin"]) == ({"rate": "0.1"}, origin)
    assert (run.data.metrics["test_mse"], run.data.metrics["test_mse_error"]) == (0.5, 0.1)
    assert [point.value for point in client.get_metric_history(run.info.run_id, "history/loss")] == [1, 1 / 2, 1 / 3]
    assert Path(client.download_artifacts(run.info.run_id, "history.png")).read_bytes().startswith(b"\x89PNG")
    expected = kadanoff.load_model(f"models/{title}.safetensors").state_dict()
    shutil.rmtree(place.root / "models")
    found = kadanoff.load_model(f"models:/{place.stage}@champion").state_dict()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_server_that_is_not_there_is_a_sentence(project, monkeypatch):
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hush123@{address}")
    with pytest.raises(KadanoffError, match=f"MLflow's store http://{address} cannot be used") as caught:
        sync(project)
    assert "hush123" not in str(caught.value)
