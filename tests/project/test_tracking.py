"""The live view: what MLflow shows of a run while it happens, and that it never harms the run."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import mlflow
import psutil
import pytest
import requests
from matplotlib.figure import Figure
from sqlalchemy import Engine, event
from tracking_server import free_port, wait_for

from kadanoff.errors import KadanoffError
from kadanoff.project.records import recorded
from kadanoff.project.tracking import live, serve
from kadanoff.project.tracking.dataset import DvcSource
from kadanoff.project.tracking.store import open_store

MD5 = "0123456789abcdef0123456789abcdef.dir"
LOCK = f"stages:\n  simulate@coarsen16:\n    outs:\n    - path: data/coarsen16.zarr\n      md5: {MD5}\n"


@pytest.fixture
def project(tracked_project):
    (tracked_project / "dvc.lock").write_text(LOCK)
    return tracked_project


def record(epochs=3):
    with recorded(
        "coarsen", "cnn", parameters={"epochs": epochs, "nested": {"rate": 0.1}}, inputs=["data/coarsen16.zarr"]
    ) as run:
        for epoch in range(epochs):
            run.epoch(epoch, train_loss=1 / (epoch + 1))
        run.metrics({"mse": {"mean": 0.5, "error": None}, "T = 2,27": 1})
        run.figure("history", Figure())


def fail():
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.epoch(0, train_loss=1)
        run.text("table.md", "so far")
        raise ZeroDivisionError


def runs(project, experiment="coarsen"):
    client = open_store(project).client
    return client, client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_a_run_is_shown_with_all_it_has(project, capfd, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "sweet-fox")
    record()
    client, [run] = runs(project)
    assert capfd.readouterr() == ("", "")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "cnn (sweet-fox)"
    tags = {"stage": "coarsen", "variant": "cnn", "dataset": "coarsen16", "kadanoff.origin": "live"}
    assert tags.items() <= run.data.tags.items()
    assert run.data.params == {"epochs": "3", "nested/rate": "0.1"}
    history = client.get_metric_history(run.info.run_id, "history/train_loss")
    assert [(point.step, point.value) for point in history] == [(0, 1), (1, 1 / 2), (2, 1 / 3)]
    assert run.data.metrics["mse"] == 0.5
    assert run.data.metrics["T _ 2_27"] == 1
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"history.csv", "history.png", "metrics.json"}
    assert (project / "mlartifacts/coarsen" / run.info.run_id / "artifacts/history.png").exists()
    written = json.loads((project / "reports/coarsen/cnn/run.json").read_text())
    assert written["mlflow_run_id"] == run.info.run_id


def test_the_input_dataset_is_named_by_its_dvc_md5(project):
    record()
    [logged] = runs(project)[1][0].inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("coarsen16", MD5)
    source = mlflow.data.get_source(logged.dataset)
    assert isinstance(source, DvcSource)
    assert source.load() == project / "data/coarsen16.zarr"
    (project / "dvc.lock").write_text(LOCK.replace("0123", "3210"))
    with pytest.raises(KadanoffError, match=r"data/coarsen16\.zarr has md5 3210"):
        source.load()


def test_a_failed_run_is_marked_and_keeps_its_files(project):
    with pytest.raises(ZeroDivisionError):
        fail()
    client, [run] = runs(project)
    assert run.info.status == "FAILED"
    assert run.data.metrics == {"history/train_loss": 1}
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["table.md"]
    assert not (project / "reports").exists()


@pytest.mark.parametrize("moment", ["start", "artifacts"])
def test_a_broken_store_costs_a_line_and_not_the_run(project, capfd, monkeypatch, moment):
    def refuse(*_):
        raise OSError("no store\ntoday")

    if moment == "start":
        monkeypatch.setattr(live, "open_store", refuse)
    else:
        monkeypatch.setattr(live.LiveRun, moment, refuse)
    record()
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("MLflow logging stopped (OSError: no store). The record is written all the same")
    assert json.loads((project / "reports/coarsen/cnn/run.json").read_text())["mlflow_run_id"] is None


def test_the_store_is_where_the_environment_says(project, monkeypatch, empty_store, tmp_path_factory):
    other = tmp_path_factory.mktemp("a place #1")
    shutil.copy(empty_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}/mlflow.db")
    record()
    assert len(runs(project)[1]) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert open_store(project).client.get_experiment_by_name("coarsen") is None
    monkeypatch.setenv("DVC_ROOT", str(other))  # as in `dvc exp run --temp`
    record()
    assert len(runs(other)[1]) == 2


def test_only_a_long_run_has_system_metrics(project, monkeypatch):
    record()
    monkeypatch.setattr(live, "SYSTEM_METRICS_SECONDS", 0.0)
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with recorded("coarsen", "cnn", parameters={}):
        time.sleep(0.5)
    long, short = runs(project)[1]
    assert "system/cpu_utilization_percentage" in long.data.metrics
    assert not any(name.startswith("system/") for name in short.data.metrics)


def test_a_deleted_experiment_is_a_sentence(project):
    store = open_store(project)
    store.client.delete_experiment(store.experiment("coarsen"))
    with pytest.raises(KadanoffError, match="experiment 'coarsen' is deleted; bring it back with"):
        store.experiment("coarsen")


def test_a_taken_port_is_a_sentence(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(KadanoffError, match=f"port {port} on 127.0.0.1 is not free"):
            serve(project, port)


def test_a_server_of_its_own_is_not_served_again(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush123@127.0.0.1:1")
    with pytest.raises(KadanoffError, match=r"is http://127\.0\.0\.1:1: open it in a browser"):
        serve(project)


@pytest.mark.parametrize(
    "address",
    ["http://me:a/hush123@host", "http://me:a?hush123@host", "http://me:a#hush123@host", "https://host/?token=hush123"],
)
def test_an_address_whose_secret_may_be_taken_for_a_path_is_refused_without_it(project, monkeypatch, capfd, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(KadanoffError, match="MLFLOW_TRACKING_USERNAME") as caught:
        open_store(project)
    assert "hush123" not in str(caught.value)
    record()
    assert "hush123" not in capfd.readouterr().err


def test_no_secret_of_an_address_is_recorded(project):
    with recorded("coarsen", "cnn", parameters={"weights": "https://me:hush123@hub/w?token=hush123"}):
        pass
    written = json.loads((project / "reports/coarsen/cnn/run.json").read_text())
    assert written["parameters"] == {"weights": "https://hub/w"}
    assert runs(project)[1][0].data.params == {"weights": "https://hub/w"}


def test_no_password_is_printed_when_logging_stops(project, capfd, monkeypatch):
    def refuse(*_):
        raise OSError("request to http://me:hush123@127.0.0.1:1/api failed")

    monkeypatch.setattr(live, "open_store", refuse)
    record()
    printed = capfd.readouterr().err
    assert "request to http://127.0.0.1:1/api failed" in printed
    assert "hush123" not in printed


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from kadanoff.project.tracking import store

statements = 0

def count(*_):
    global statements
    statements += 1
    if statements == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "after_cursor_execute", count)
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.open_store(Path("."))
"""


@pytest.mark.parametrize("statement", [40, 400, 0])  # 0: all are done, and the store is about to get its name
def test_a_kill_while_the_store_is_made_costs_nothing(project, statement):
    (project / "mlflow.db").unlink()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(statement)], cwd=project)
    assert killed.returncode == -signal.SIGKILL
    assert not (project / "mlflow.db").exists()
    assert list(project.glob("mlflow.db.new-*"))
    record()
    assert [run.info.status for run in runs(project)[1]] == ["FINISHED"]
    assert not list(project.glob("mlflow.db.new-*"))


def test_a_full_disk_while_the_store_is_made_costs_nothing(project):
    (project / "mlflow.db").unlink()

    def refuse(*_):
        raise sqlite3.OperationalError("database or disk is full")

    event.listen(Engine, "after_cursor_execute", refuse)
    try:
        with pytest.raises(KadanoffError, match=r"cannot be used .*database or disk is full"):
            open_store(project)
    finally:
        event.remove(Engine, "after_cursor_execute", refuse)
    assert not (project / "mlflow.db").exists()
    record()
    assert [run.info.status for run in runs(project)[1]] == ["FINISHED"]


def test_a_journal_of_an_earlier_store_is_not_written_into_the_new_one(project):
    """A process is killed in a transaction, and its user removes the store but not the journal beside it."""
    (project / "mlflow.db").unlink()
    with closing(sqlite3.connect(project / "mlflow.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE runs (name)")
        database.executemany("INSERT INTO runs VALUES (?)", [("x" * 1000,)] * 100)
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("UPDATE runs SET name = hex(randomblob(500))")
        journal = (project / "mlflow.db-journal").read_bytes()
    (project / "mlflow.db").unlink()
    (project / "mlflow.db-journal").write_bytes(journal)
    record()
    assert [run.info.status for run in runs(project)[1]] == ["FINISHED"]
    assert not (project / "mlflow.db-journal").exists()


OWN = ("localhost:PORT", "127.0.0.1:PORT", "[::1]:PORT")
FOREIGN = (
    *("10.evil.com:PORT", "10.evil.com", "192.168.evil.com:PORT", "172.16.evil.com:PORT", "fc00:PORT"),
    *("localhost.evil.com:PORT", "127.0.0.1.evil.com:PORT", "127.0.0.1.evil.com", "evil.com:PORT", "10.0.0.7:PORT", ""),
)


def answer(port, host, origin=None):
    """Status of the answer to a request for this host, or to one that a page of another origin sends to change it."""
    headers = {"Host": host.replace("PORT", str(port))} | ({} if origin is None else {"Origin": origin})
    address = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/search"
    return requests.post(address, json={"max_results": 1}, headers=headers, timeout=30).status_code


@pytest.mark.slow
def test_the_user_interface_shows_a_run_to_this_machine_only_and_dies_at_once(project):
    record()
    run_id = runs(project)[1][0].info.run_id
    port = free_port()
    script = f"from pathlib import Path; from kadanoff.project.tracking import serve; serve(Path('.'), {port})"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=project, stdout=subprocess.PIPE)
    try:
        address = f"http://127.0.0.1:{port}/get-artifact?path=history.png&run_uuid={run_id}"
        assert wait_for(address).startswith(b"\x89PNG")
        assert {host: answer(port, host) for host in OWN} == dict.fromkeys(OWN, 200)
        assert {host: answer(port, host) for host in FOREIGN} == dict.fromkeys(FOREIGN, 403)
        local = f"http://localhost:{port}"
        assert {origin: answer(port, OWN[0], origin) for origin in (None, local)} == {None: 200, local: 200}
        assert answer(port, OWN[0], "http://localhost.evil.com") == 403
        server = psutil.Process(process.pid)
        assert {one.laddr.ip for one in server.net_connections() if one.status == "LISTEN"} == {"127.0.0.1"}
        assert server.children() == []
    finally:
        process.kill()
        process.communicate()
    with socket.create_server(("127.0.0.1", port)):
        pass  # nothing outlived it
