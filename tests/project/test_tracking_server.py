"""The same behaviour over a SQLite file and over a tracking server, also when the server goes away."""

import json
import multiprocessing
import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from tracking_server import POINTS, Line, log_much, sync_at_once, tracking_server

import kadanoff
from kadanoff.errors import KadanoffError
from kadanoff.learning.checkpoints import Recipe, save_model
from kadanoff.networks.registry import build
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import folder_md5
from kadanoff.project.tracking import store as store_module
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.promotion import promote_run
from kadanoff.project.tracking.store import open_store, owner

pytestmark = pytest.mark.slow

MD5 = "0123456789abcdef0123456789abcdef.dir"
DATASET = {"outs": [{"path": "data/coarsen16.zarr", "md5": MD5}]}
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

    def record(self, variant="cnn", points=3, parameters=None):
        with recorded(
            self.stage, variant, parameters=parameters or {"rate": 0.1}, inputs=["data/coarsen16.zarr"]
        ) as run:
            for epoch in range(points):
                run.epoch(epoch, loss=1 / (epoch + 1))
            run.metrics({"test": {"mse": {"mean": 0.5, "error": 0.1}}})
            run.figure("history", Figure())

    def lock(self):
        """Write the dvc.lock of the dataset and of all records that there are."""
        entries = {"simulate@coarsen16": DATASET}
        for folder in (self.root / "reports" / self.stage).iterdir():
            out = {"path": f"reports/{self.stage}/{folder.name}", "md5": folder_md5(folder, folder.iterdir())}
            entries[f"{self.stage}@{folder.name}"] = {"cmd": "kadanoff", "outs": [out]}
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": entries}))

    def runs(self):
        store = open_store(self.root)
        return store.client, store.client.search_runs([store.experiment(self.stage)])

    def sync(self):
        """Names of the report's lists that are not empty, with their content."""
        return {name: value for name, value in vars(sync(self.root)).items() if value}


@pytest.fixture(params=["file", "server"])
def place(request, tracked_project, monkeypatch):
    (tracked_project / "mlflow.db").unlink()  # the first process has to make it
    (tracked_project / "dvc.lock").write_text(yaml.safe_dump({"stages": {"simulate@coarsen16": DATASET}}))
    if request.param == "server":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("server"))
    return Place(tracked_project, next(STAGES))


def test_eight_processes_at_once_lose_nothing(place):
    context = multiprocessing.get_context("forkserver")  # forks a process that has imported MLflow: all start together
    context.set_forkserver_preload(["kadanoff.project.records", "kadanoff.project.tracking.live"])
    environment, start = (
        {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")},
        context.Barrier(8),
    )
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


def test_a_run_is_shown_with_all_it_has(place):
    place.record()
    client, [run] = place.runs()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "cnn")
    assert run.data.params == {"rate": "0.1"}
    assert (run.data.metrics["test/mse"], run.data.metrics["test/mse_error"]) == (0.5, 0.1)
    assert [point.value for point in client.get_metric_history(run.info.run_id, "history/loss")] == [1, 1 / 2, 1 / 3]
    [logged] = run.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("coarsen16", MD5)
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"history.csv", "history.png", "metrics.json"}
    assert Path(client.download_artifacts(run.info.run_id, "history.png")).read_bytes().startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_the_network_of_a_run_is_loaded_from_there(place, capfd):
    torch.manual_seed(0)
    arguments = {"block": 2, "size": 8}
    network, weights = build("cnn", **arguments), place.root / "models" / place.stage / "cnn.safetensors"
    save_model(weights, network, Recipe("cnn", arguments))
    with recorded(place.stage, "cnn", parameters={}, inputs=["data/coarsen16.zarr"]) as run:
        run.metrics({"mse": 0.5})
        shapes = {"takes": [-1, -1, -1], "gives": [-1, -1, -1]}
        run.model(weights, metric="mse", task="threshold", contender=True, **shapes)
    assert capfd.readouterr() == ("", "")
    [run] = place.runs()[1]
    [output] = run.outputs.model_outputs
    mlflow.set_tracking_uri(open_store(place.root).uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    spins = np.sign(np.random.default_rng(1).normal(size=(3, 12, 12))).astype("int8")
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(spins)[:, None].float())[:, 0].numpy()
    np.testing.assert_allclose(loaded.predict(spins), expected, rtol=1e-5)


def test_a_record_is_imported_once(place, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("kadanoff.project.tracking.live.open_store", refuse)
        place.record()
    place.lock()
    title = f"{place.stage}/cnn"
    assert place.sync() == {"imported": [title]}
    assert place.sync() == {"unchanged": [title]}
    client, [run] = place.runs()
    assert (run.info.status, run.data.tags["kadanoff.origin"]) == ("FINISHED", "record")
    assert [point.value for point in client.get_metric_history(run.info.run_id, "history/loss")] == [1, 1 / 2, 1 / 3]
    assert "history.png" in {file.path for file in client.list_artifacts(run.info.run_id)}


def refuse(*_):
    raise OSError("no store today")


def networks(place, **scores):
    """Recorded runs that no store has yet, each with a network and its error."""
    for variant, mse in scores.items():
        weights = place.root / "models" / place.stage / f"{variant}.safetensors"
        save_model(weights, build("exact", block=2, size=8), Recipe("exact", {"block": 2, "size": 8}))
        with recorded(place.stage, variant, parameters={}, inputs=["data/coarsen16.zarr"]) as run:
            run.metrics({"mse": mse})
            shapes = {"takes": [-1, -1, -1], "gives": [-1, -1, -1]}
            run.model(weights, metric="mse", task="average", contender=True, **shapes)
    place.lock()


def test_a_champion_is_crowned_promoted_and_loaded(place):
    networks(place, good=0.1, bad=0.2)
    assert place.sync()["champions"] == [f"champion of {place.stage}: {place.stage}/good (mse 0.1), version 1"]
    assert list(place.sync()) == ["unchanged"]
    with pytest.raises(KadanoffError, match="is not better than the champion"):
        promote_run(place.root, f"{place.stage}/bad")
    assert f"{place.stage}/bad" in promote_run(place.root, f"{place.stage}/bad", force=True)
    expected = kadanoff.load_model(f"models/{place.stage}/bad.safetensors").state_dict()
    shutil.rmtree(place.root / "models")
    found = kadanoff.load_model(f"models:/{place.stage}@champion").state_dict()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_clones_that_sync_to_a_server_at_once_make_one_run_of_each_record(tracked_project, server, monkeypatch):
    stage = next(STAGES)
    place = Place(tracked_project, stage)
    (tracked_project / "dvc.lock").write_text(yaml.safe_dump({"stages": {"simulate@coarsen16": DATASET}}))
    with monkeypatch.context() as patch:
        patch.setattr("kadanoff.project.tracking.live.open_store", refuse)
        networks(place, **{f"v{number}": 0.1 + number for number in range(5)})
    clones = [tracked_project.with_name(f"{tracked_project.name}-{number}") for number in range(3)]
    for clone in clones:
        shutil.copytree(tracked_project, clone)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    open_store(tracked_project).experiment(stage)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kadanoff.project.records", "kadanoff.project.tracking.live"])
    start = context.Barrier(len(clones))
    tasks = [(clone, {"MLFLOW_TRACKING_URI": server}, start) for clone in clones]
    processes = [context.Process(target=sync_at_once, args=task) for task in tasks]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(clones)
    client, found = place.runs()
    assert sorted(run.data.tags["variant"] for run in found) == [f"v{number}" for number in range(5)]
    models = client.search_logged_models([client.get_experiment_by_name(stage).experiment_id])
    assert sorted(model.tags["variant"] for model in models) == [f"v{number}" for number in range(5)]
    assert len(client.search_model_versions(f"name = '{stage}'")) == 1


def test_a_live_run_is_adopted_and_a_dead_one_closed(place):
    place.record()
    place.lock()
    store = open_store(place.root)
    dead = json.loads(owner()["kadanoff.process"]) | {"started": 0}
    tags = {"stage": place.stage, "kadanoff.process": json.dumps(dead)}
    killed = store.client.create_run(store.experiment(place.stage), tags=tags, run_name="mlp")
    living = store.client.create_run(store.experiment(place.stage), tags=owner())
    assert place.sync() == {"adopted": [f"{place.stage}/cnn"], "closed": [f"{place.stage}/mlp"]}
    assert place.sync() == {"unchanged": [f"{place.stage}/cnn"]}
    status = {run.info.run_id: run.info.status for run in place.runs()[1]}
    assert (status[killed.info.run_id], status[living.info.run_id]) == ("KILLED", "RUNNING")


def test_another_machine_that_makes_the_experiment_first_is_no_error(place, monkeypatch):
    store = open_store(place.root)
    made, look, answers = store.experiment(place.stage), store.client.get_experiment_by_name, [None]
    # first it was not there yet
    monkeypatch.setattr(store.client, "get_experiment_by_name", lambda name: answers.pop() if answers else look(name))
    assert store.experiment(place.stage) == made


# ---- a server that goes away ---------------------------------------------------------------------------------------


@pytest.fixture
def line(server, tracked_project, monkeypatch):
    (tracked_project / "dvc.lock").write_text(yaml.safe_dump({"stages": {"simulate@coarsen16": DATASET}}))
    line = Line(server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", line.uri)
    yield line
    line.cut()


@pytest.mark.parametrize("fault", ["cut", "hush"])
def test_a_server_that_goes_away_costs_a_line_and_not_the_run(line, server, tracked_project, capfd, monkeypatch, fault):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    stage = next(STAGES)
    with recorded(stage, "cnn", parameters={}, inputs=["data/coarsen16.zarr"]) as run:
        run.epoch(0, loss=1)
        getattr(line, fault)()
        run.epoch(1, loss=0.5)
        run.metrics({"mse": 1})
    [said] = capfd.readouterr().err.splitlines()
    assert said.startswith("MLflow logging stopped (MlflowException")
    assert (tracked_project / f"reports/{stage}/cnn/history.csv").read_text() == "epoch,loss\n0,1.0\n1,0.5\n"
    # the server is back: the record is imported beside what the server had got
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    place = Place(tracked_project, stage)
    place.lock()
    assert place.sync() == {"imported": [f"{stage}/cnn"]}


@pytest.mark.parametrize("fault", ["cut", "hush"])
def test_a_server_that_is_not_there_is_a_sentence_at_once(line, tracked_project, monkeypatch, fault):
    monkeypatch.setattr(store_module, "ANSWER_SECONDS", (1, 0.3))
    monkeypatch.setattr(
        store_module, "MlflowClient", lambda uri: pytest.fail("MLflow was asked, with its many retries")
    )
    getattr(line, fault)()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", line.uri.replace("//", "//me:secret@"))
    with pytest.raises(KadanoffError, match=f"the MLflow server {line.uri} does not answer") as caught:
        sync(tracked_project)
    assert "secret" not in str(caught.value)
