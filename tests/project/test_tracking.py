"""The live view: what MLflow shows of a run while it happens, and that it never harms the run."""

import json
import os
import shutil
import signal
import subprocess
import sys

import mlflow
import pytest
import requests
from matplotlib.figure import Figure
from tracking_server import free_port, wait_for

from kadanoff.errors import KadanoffError
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import content_md5
from kadanoff.project.tracking import runs as tracking_runs
from kadanoff.project.tracking import serve
from kadanoff.project.tracking.runs import own
from kadanoff.project.tracking.store import open_store


@pytest.fixture
def tracked(project, live):
    source = project / "data/coarsen/coarsen16.zarr"
    source.mkdir(parents=True)
    (source / "c").write_bytes(b"spins")
    return project


def record(epochs=3):
    with recorded(
        "coarsen", "cnn", parameters={"epochs": epochs, "nested": {"rate": 0.1}}, inputs=["data/coarsen/coarsen16.zarr"]
    ) as run:
        for epoch in range(epochs):
            run.epoch(epoch, train_loss=1 / (epoch + 1))
        run.metrics({"mse": {"mean": 0.5, "error": None}, "m, n": 1, "T=2.27": {"energy": 1}})
        run.figure("history", Figure())


def runs(project, experiment="coarsen"):
    client = open_store(project)
    found = client.get_experiment_by_name(experiment)
    return client, client.search_runs([found.experiment_id]) if found else []


def test_a_training_is_shown_with_all_it_has(tracked, capfd, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "sweet-fox")
    record()
    client, [run] = runs(tracked)
    assert capfd.readouterr() == ("", "")
    assert (run.info.status, run.info.run_name) == ("FINISHED", "cnn (sweet-fox)")
    assert (own(run)["origin"], run.data.tags["study"]) == ("live", "coarsen")
    assert run.data.params == {"epochs": "3", "nested/rate": "0.1"}
    assert run.data.metrics == {"history/train_loss": 1 / 3, "mse": 0.5, "m_ n": 1, "T_2.27_energy": 1}
    history = client.get_metric_history(run.info.run_id, "history/train_loss")
    assert [(point.step, point.value) for point in history] == [(0, 1), (1, 1 / 2), (2, 1 / 3)]
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"history.csv", "history.png", "metrics.json"}
    written = json.loads((tracked / "reports/coarsen/cnn/run.json").read_text())
    assert written["mlflow_run_id"] == run.info.run_id
    [logged] = run.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == (
        "coarsen16",
        content_md5(tracked / "data/coarsen/coarsen16.zarr")[:36],
    )
    assert mlflow.data.get_source(logged.dataset).uri == "data/coarsen/coarsen16.zarr"


def test_a_training_is_shown_from_ten_seconds_on_with_its_earlier_epochs(tracked, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", 10.0)
    monkeypatch.setattr("kadanoff.project.view.time.monotonic", lambda: clock[0])
    with recorded("coarsen", "cnn", parameters={}) as run:
        for epoch in range(5):
            run.epoch(epoch, loss=epoch)
            assert bool(runs(tracked)[1]) == (epoch == 4)
            clock[0] += 3.0
    client, [run] = runs(tracked)
    history = client.get_metric_history(run.info.run_id, "history/loss")
    assert [(point.step, point.value) for point in history] == [(epoch, epoch) for epoch in range(5)]


SHORT = """
import sys
from kadanoff.project.records import recorded
with recorded("coarsen_compare", parameters={}) as run:
    run.metrics({"mse": 1})
with recorded("coarsen", "cnn", parameters={}) as run:
    run.epoch(0, loss=1)
heavy = "mlflow torch numba matplotlib PIL dvc ruamel pandas"
print([name for name in heavy.split() if name in sys.modules])
"""


def test_a_stage_without_epochs_and_a_short_training_load_no_heavy_library(project):
    done = subprocess.run([sys.executable, "-c", SHORT], cwd=project, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert runs(project)[1] == []


def fail():
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.epoch(0, train_loss=1)
        run.text("table.md", "so far")
        raise ZeroDivisionError


def test_a_failed_run_is_marked_and_keeps_its_files(tracked):
    with pytest.raises(ZeroDivisionError):
        fail()
    client, [run] = runs(tracked)
    assert (run.info.status, run.data.metrics) == ("FAILED", {"history/train_loss": 1})
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["table.md"]
    assert not (tracked / "reports").exists()


def test_a_killed_training_is_closed_when_it_runs_again(tracked, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("kadanoff.project.view.View.end", lambda *_: None)
        record()
    assert [run.info.status for run in runs(tracked)[1]] == ["RUNNING"]
    record()
    assert sorted(run.info.status for run in runs(tracked)[1]) == ["FINISHED", "KILLED"]


@pytest.mark.parametrize("moment", ["start", "log_artifact"])
def test_a_broken_store_costs_a_line_and_not_the_run(tracked, capfd, monkeypatch, moment):
    def refuse(*_):
        raise OSError("request to http://me:hush123@127.0.0.1:1/api failed\ntoday")

    if moment == "start":
        monkeypatch.setattr(tracking_runs, "open_store", refuse)
    else:
        monkeypatch.setattr(mlflow.MlflowClient, moment, refuse)
    record()
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("MLflow logging stopped (OSError: request to http://127.0.0.1:1/api failed). The record is")
    assert json.loads((tracked / "reports/coarsen/cnn/run.json").read_text())["mlflow_run_id"] is None


def test_the_store_is_where_the_environment_says(tracked, monkeypatch, tmp_path_factory):
    other = tmp_path_factory.mktemp("a place #1")
    shutil.copy("mlflow.db", other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}/mlflow.db")
    record()
    assert len(runs(tracked)[1]) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert runs(tracked)[1] == []
    monkeypatch.setenv("DVC_ROOT", str(other))  # as in `dvc exp run --temp`
    record()
    assert len(runs(other)[1]) == 2


def test_a_damaged_store_is_a_sentence(project):
    (project / "mlflow.db").write_text("no database")
    with pytest.raises(KadanoffError, match=r"mlflow\.db cannot be used \(.*makes it anew from the records"):
        open_store(project)


def test_a_server_of_its_own_is_not_served_again(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush123@127.0.0.1:1")
    with pytest.raises(KadanoffError, match=r"is http://127\.0\.0\.1:1: open it in a browser"):
        serve(project)


OWN = ("localhost:PORT", "127.0.0.1:PORT")
FOREIGN = ("10.evil.com:PORT", "192.168.evil.com:PORT", "127.0.0.1.evil.com:PORT", "evil.com:PORT", "10.0.0.7:PORT", "")


def answer(port, host, origin=None):
    """Status of the answer to a request for this host, or to one that a page of another origin sends to change it."""
    headers = {"Host": host.replace("PORT", str(port))} | ({} if origin is None else {"Origin": origin})
    address = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/search"
    return requests.post(address, json={"max_results": 1}, headers=headers, timeout=30).status_code


@pytest.mark.slow
def test_the_user_interface_shows_a_run_to_this_machine_only(tracked):
    record()
    run_id, port = runs(tracked)[1][0].info.run_id, free_port()
    script = f"from pathlib import Path; from kadanoff.project.tracking import serve; serve(Path('.'), {port})"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/get-artifact?path=history.png&run_uuid={run_id}"
        assert wait_for(address).startswith(b"\x89PNG")
        assert {host: answer(port, host) for host in OWN} == dict.fromkeys(OWN, 200)
        assert {host: answer(port, host) for host in FOREIGN} == dict.fromkeys(FOREIGN, 403)
        local = f"http://localhost:{port}"
        assert {origin: answer(port, OWN[0], origin) for origin in (None, local)} == {None: 200, local: 200}
        assert answer(port, OWN[0], "http://localhost.evil.com") == 403
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
