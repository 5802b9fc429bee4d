"""The sync: every published run in MLflow, once; nothing believed of a record but its own numbers."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest
import yaml
from mlflow.entities import ViewType
from sqlalchemy import create_engine

from kadanoff.errors import KadanoffError
from kadanoff.project.published import publish as publish_as
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import folder_md5
from kadanoff.project.report import write_report
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.fresh import quick_if_new
from kadanoff.project.tracking.store import open_store
from kadanoff.project.tracking.where import named_run

MD5 = "0123456789abcdef0123456789abcdef.dir"
RUN = {
    "stage": "coarsen",
    "variant": "cnn",
    "parameters": {"epochs": 2, "network": {"name": "cnn"}},
    "inputs": [{"path": "data/coarsen16.zarr", "md5": MD5}],
    "weights": ["models/coarsen/cnn.safetensors"],
    "environment": {"python": "3.11"},
    "started": "2026-01-02T03:04:05Z",
    "duration_s": 100.0,
    "git_commit": "a" * 40,
    "dvc_experiment": None,
    "mlflow_run_id": None,
}
START = 1767323045000  # that moment, in ms


@pytest.fixture
def project(tracked_project):
    return tracked_project


def publish(project, variant="cnn", **changes):
    """Write a record by hand, as another machine would have."""
    folder = project / "reports/coarsen" / variant
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(RUN | {"variant": variant} | changes))
    (folder / "metrics.json").write_text('{"mse": {"mean": 0.5, "error": null}, "n": 3}')
    (folder / "history.csv").write_text("epoch,train_loss,lr\n0,0.5,0.1\n1,0.25,\n")
    (folder / "history.png").write_bytes(b"\x89PNG")
    return folder


def lock(project, cmd="kadanoff coarsen"):
    """Write the dvc.lock of all records that there are."""
    stages = {
        f"coarsen@{folder.name}": {
            "cmd": cmd,
            "outs": [{"path": f"reports/coarsen/{folder.name}", "md5": folder_md5(folder, folder.iterdir())}],
        }
        for folder in (project / "reports/coarsen").iterdir()
    }
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def runs(project, view=ViewType.ACTIVE_ONLY):
    store = open_store(project)
    return store.client.search_runs([store.experiment("coarsen")], run_view_type=view)


def outcome(project):
    """Names of the report's lists that are not empty, with their content."""
    report = sync(project)
    return {name: value for name, value in vars(report).items() if value}


def test_a_record_becomes_a_run_once(project):
    publish(project)
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    [run] = runs(project)
    assert (run.info.run_name, run.info.status) == ("cnn", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (START, START + 100_000)
    assert run.data.params == {"epochs": "2", "network/name": "cnn"}
    assert run.data.metrics == {"history/train_loss": 0.25, "history/lr": 0.1, "mse": 0.5, "n": 3}
    tags = {"stage": "coarsen", "dataset": "coarsen16", "git_commit": "a" * 40, "kadanoff.locked": "yes"}
    assert tags.items() <= run.data.tags.items()
    assert len(run.data.tags["kadanoff.key"]) == 64
    [logged] = run.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("coarsen16", MD5)
    client = open_store(project).client
    history = client.get_metric_history(run.info.run_id, "history/train_loss")
    assert [(m.step, m.value, m.timestamp - START) for m in history] == [(0, 0.5, 50_000), (1, 0.25, 100_000)]
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"history.csv", "history.png", "metrics.json"}


def test_a_live_run_is_adopted(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 1})
    lock(project)
    assert outcome(project) == {"adopted": ["coarsen/cnn"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    [run] = runs(project)
    assert (run.data.tags["kadanoff.origin"], run.data.tags["kadanoff.locked"]) == ("live", "yes")


def test_a_new_lock_entry_of_the_same_record_is_the_same_run(project):
    publish(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"], "unlocked": ["coarsen/cnn"]}
    lock(project)
    assert outcome(project) == {"adopted": ["coarsen/cnn"]}
    lock(project, cmd="kadanoff coarsen --renamed")
    assert outcome(project) == {"adopted": ["coarsen/cnn"]}
    assert len(runs(project)) == 1


def test_a_record_edited_by_hand_is_told(project):
    with recorded("coarsen", "live", parameters={}) as run:
        run.metrics({"mse": 1})
    publish(project)
    lock(project)
    for variant in ("cnn", "live"):
        (project / "reports/coarsen" / variant / "metrics.json").write_text('{"mse": 0}')
    assert outcome(project) == {
        "imported": ["coarsen/cnn"],
        "unchanged": ["coarsen/live"],  # MLflow has what was measured
        "edited": ["coarsen/cnn", "coarsen/live"],
    }
    assert outcome(project)["unchanged"] == ["coarsen/cnn", "coarsen/live"]
    found = {run.info.run_name: run for run in runs(project)}
    assert (found["cnn"].data.tags["kadanoff.locked"], found["live"].data.metrics["mse"]) == ("edited", 1)
    assert "differ from dvc.lock (edited by hand, or not committed): coarsen/cnn, coarsen/live" in str(sync(project))


def test_a_run_that_was_deleted_stays_deleted(project):
    publish(project)
    lock(project)
    sync(project)
    open_store(project).client.delete_run(runs(project)[0].info.run_id)
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    assert runs(project) == []


SCRIPT = """
import sys
from kadanoff.project.records import recorded
from kadanoff.project.view import View
call = View.call
def stop(self, action, *arguments):
    if action == sys.argv[1]:
        print("ready", flush=True)
        sys.stdin.read()
    call(self, action, *arguments)
View.call = stop
with recorded("coarsen", "cnn", parameters={}) as run:
    run.epoch(0, loss=1)
"""


@pytest.mark.parametrize(
    ("moment", "alive", "dead", "status"),
    [
        ("artifacts", {}, {"closed": ["coarsen/cnn"]}, "KILLED"),
        # killed after its record was in place: nothing is missing
        ("end", {"unchanged": ["coarsen/cnn"]}, {"adopted": ["coarsen/cnn"]}, "FINISHED"),
    ],
)
def test_a_killed_run_is_closed_and_a_living_one_left_alone(project, moment, alive, dead, status):
    unlocked = {"unlocked": ["coarsen/cnn"]} if moment == "end" else {}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", SCRIPT, moment], cwd=project, **pipes) as process:
        assert process.stdout.readline() == b"ready\n"
        assert outcome(project) == alive | unlocked
        assert runs(project)[0].info.status == "RUNNING"
        process.kill()
    assert outcome(project) == dead | unlocked
    assert [run.info.status for run in runs(project)] == [status]
    assert outcome(project) == ({"unchanged": ["coarsen/cnn"]} if unlocked else {}) | unlocked


def test_an_imported_run_is_found_by_the_id_that_its_record_names(project):
    publish(project, mlflow_run_id="0123456789abcdef" * 2)
    lock(project)
    sync(project)
    [run] = runs(project)
    assert named_run(open_store(project), "0123456789").info.run_id == run.info.run_id


def test_what_a_killed_import_left_is_removed(project):
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    store = open_store(project)
    process = json.dumps({"host": socket.gethostname(), "pid": dead.pid, "started": 0})
    store.client.create_run(
        store.experiment("coarsen"), tags={"kadanoff.process": process, "kadanoff.origin": "record", "variant": "cnn"}
    )
    publish(project)
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"]}
    assert [run.info.status for run in runs(project)] == ["FINISHED"]


def test_a_run_of_another_machine_is_left_alone(project):
    store = open_store(project)
    owner = json.dumps({"host": "elsewhere", "pid": 1, "started": 0})
    run = store.client.create_run(store.experiment("coarsen"), tags={"kadanoff.process": owner})
    foreign = store.client.create_run(store.experiment("coarsen"))
    sync(project)
    for run_id in (run.info.run_id, foreign.info.run_id):
        assert store.client.get_run(run_id).info.status == "RUNNING"


def test_an_import_that_fails_leaves_nothing_behind(project, monkeypatch):
    publish(project)

    def refuse(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifact", refuse)
        assert sync(project).problems == ["reports/coarsen/cnn is not imported: disk full"]
    assert runs(project) == []
    assert sync(project).imported == ["coarsen/cnn"]


def write(name, content):
    return lambda folder: (folder / name).write_text(content)


def change(**values):
    return lambda folder: (folder / "run.json").write_text(json.dumps(RUN | values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (write("run.json", "{"), "run.json is not valid JSON"),
        (write("run.json", "[" * 100_000), "run.json is not valid JSON"),
        (write("run.json", "[]"), "run.json must be a JSON object, not list"),
        (write("run.json", "{}"), "run.json: stage is"),
        (change(variant="mlp"), "run.json is of the run coarsen/mlp; its folder must be reports/coarsen/mlp"),
        (change(stage="../coarsen"), "run.json: stage is '../coarsen'"),
        (change(started="yesterday"), "run.json: started is 'yesterday'"),
        (change(started="9999-12-31T23:59:59Z"), "run.json: started is '9999"),
        (change(duration_s=-1), "run.json: duration_s is '-1'"),
        (change(mlflow_run_id="' or 1=1"), "run.json: mlflow_run_id is"),
        (write("metrics.json", '{"a": {"b": "high"}}'), "metrics.json: a/b is 'high'"),
        (write("metrics.json", '{"a": 1' + "0" * 400 + "}"), "metrics.json: a is 'inf'"),
        (write("history.csv", "epoch,loss\n0,low\n"), "history.csv is not a table of numbers"),
        (write("history.csv", "loss\n1\n"), "history.csv is not a table of numbers"),
        (write("history.csv", "epoch,loss\n1,1,1\n"), "history.csv is not a table of numbers"),
        (write("history.csv", "epoch,loss\n" + "9" * 30 + ",1\n"), "history.csv is not a table of numbers"),
        (write("big.png", "x" * (17 * 2**20)), "big.png has 17 MB; a file of a record has at most 16 MB"),
    ],
)
def test_a_broken_record_is_named_and_the_others_are_imported(project, damage, message):
    damage(publish(project))
    publish(project, "mlp")
    report = sync(project)
    assert report.imported == ["coarsen/mlp"]
    assert len(report.problems) == 1
    assert message in report.problems[0]
    assert len(runs(project, ViewType.ALL)) == 1
    with pytest.raises(KadanoffError, match="reports/coarsen/cnn is not imported"):
        report.show()


def test_a_malicious_record_reaches_nothing_outside_its_folder(project):
    outside = project / "outside"
    outside.mkdir()
    (outside / "secret.png").write_text("secret")
    (outside / "run.json").write_text(json.dumps(RUN | {"variant": "link"}))
    folder = publish(project, inputs=[{"path": "../outside/secret.png", "md5": None}], weights=["/etc/passwd"])
    (folder / "secret.png").symlink_to(outside / "secret.png")
    (folder / "deeper").symlink_to(outside)
    (folder / "page.html").write_text("<script>")
    (project / "reports/coarsen/link").symlink_to(outside)
    (project / "reports/stage").symlink_to(outside)
    hidden = publish(project, "hidden")
    (hidden / "run.json").unlink()
    (hidden / "run.json").symlink_to(outside / "run.json")
    (hidden / "metrics.json").unlink()
    report = sync(project)
    assert report.imported == ["coarsen/cnn"]
    assert [problem.split(" is not imported")[0] for problem in report.problems] == ["reports/coarsen/hidden"]
    copied = {path.name for path in (project / "mlartifacts").rglob("*") if path.is_file()}
    assert copied == {"history.csv", "history.png", "metrics.json"}


def test_a_record_cannot_take_over_a_foreign_run(project):
    store = open_store(project)
    foreign = store.client.create_run(store.experiment("coarsen"), tags={"variant": "cnn"})
    publish(project, mlflow_run_id=foreign.info.run_id)
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"]}
    assert "kadanoff.key" not in store.client.get_run(foreign.info.run_id).data.tags


@pytest.mark.parametrize(("stage", "variant"), [("coarsen", "mlp"), ("superres", "cnn")])
def test_a_record_cannot_take_over_a_live_run_of_another_name(project, stage, variant):
    """The id in a record is text from outside: it may be that of a run of another variant or stage."""
    with recorded(stage, variant, parameters={}) as run:
        run.metrics({"mse": 1})
    store = open_store(project)
    [live] = store.client.search_runs([store.experiment(stage)])
    shutil.rmtree(project / "reports")
    publish(project, mlflow_run_id=live.info.run_id)
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"]}
    assert store.client.get_run(live.info.run_id).data.tags == live.data.tags


def test_the_best_epoch_of_a_record_is_a_number_of_its_run(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 1, "best_epoch": 188})
    shutil.copytree(project / "reports/coarsen/cnn", project / "reports/coarsen/mlp")
    told = json.loads((project / "reports/coarsen/cnn/run.json").read_text())
    (project / "reports/coarsen/mlp/run.json").write_text(json.dumps(told | {"variant": "mlp", "mlflow_run_id": None}))
    assert outcome(project)["imported"] == ["coarsen/mlp"]
    assert [run.data.metrics["best_epoch"] for run in runs(project)] == [188, 188]


def test_words_of_other_alphabets_arrive_as_they_are(project, monkeypatch):
    folder = project / "Größe 磁化"
    (folder / "reports").mkdir(parents=True)
    (folder / "dvc.yaml").write_text("stages: {}")
    (folder / "params.yaml").write_text("{}")
    monkeypatch.chdir(folder)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mlflow", None)
        for name in [name for name in sys.modules if name.startswith("kadanoff.project.tracking")]:
            patch.delitem(sys.modules, name)
        with recorded("coarsen", "cnn", parameters={"Größe": "磁化"}, inputs=["data/Größe.zarr"]) as run:
            run.epoch(0, Verlust_ä=0.5)
            run.metrics({"⟨磁化⟩": 1})
            run.text("table.md", "| Größe |\n")
    lock(folder)
    assert outcome(folder) == {"imported": ["coarsen/cnn"]}
    [run] = runs(folder)
    assert run.data.params == {"Größe": "磁化"}
    assert run.data.metrics == {"_磁化_": 1, "history/Verlust_ä": 0.5}
    assert run.inputs.dataset_inputs[0].dataset.name == "Größe"
    assert "Größe" in write_report(folder)
    page = (folder / "reports/index.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("⟨磁化⟩", "data/Größe.zarr"))


def test_names_that_would_steer_a_terminal_are_escaped(project, capsys):
    (project / "dvc.yaml").write_text("stages: {}")
    (project / "params.yaml").write_text("{}")
    publish(project, "\x1b[2J\nerror: run rm")
    report = sync(project)
    with pytest.raises(KadanoffError) as caught:
        report.show()
    assert "\x1b" not in capsys.readouterr().out + str(caught.value)
    assert str(caught.value).startswith(r"reports/coarsen/\x1b[2J\nerror: run rm is not imported")
    with pytest.raises(KadanoffError, match=r"reports/coarsen/\\x1b\[2J\\nerror: run rm is left out"):
        write_report(project)


def test_only_a_new_store_is_filled_without_waiting_for_the_disk(project):
    uri = f"sqlite:///{project}/new.db"
    engine = create_engine(uri)

    def waits():
        with engine.connect() as connection:
            return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    with quick_if_new(uri):
        assert waits() == 0
    assert waits() == 2
    with quick_if_new(uri):
        assert waits() == 2
    with pytest.raises(ZeroDivisionError), quick_if_new(f"{uri}.none"):
        raise ZeroDivisionError
    engine.dispose()


def test_a_damaged_lock_stops_the_sync(project):
    Path("dvc.lock").write_text("stages: 3")
    with pytest.raises(KadanoffError, match=r"dvc\.lock has no mapping"):
        sync(project)


def forget(project):
    """The project's own results are gone, as in a clone that only has published ones."""
    shutil.rmtree(project / "reports/coarsen")
    (project / "dvc.lock").unlink()


def test_published_records_are_runs_beside_the_local_ones(project):
    publish(project)
    lock(project)
    publish_as(project, "paper")
    forget(project)
    publish(project, started="2026-02-02T00:00:00Z")
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn", "coarsen/cnn [paper]"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn", "coarsen/cnn [paper]"]}
    found = {run.info.run_name: run.data.tags for run in runs(project)}
    assert found.keys() == {"cnn", "cnn [paper]"}
    assert "published" not in found["cnn"]
    tags = {"published": "paper", "kadanoff.locked": "yes", "variant": "cnn", "kadanoff.origin": "record"}
    assert tags.items() <= found["cnn [paper]"].items()
    assert len({tags["kadanoff.key"] for tags in found.values()}) == 2


def test_a_result_that_is_there_already_only_gets_the_names(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 1})
    lock(project)
    publish_as(project, "paper")
    assert outcome(project) == {"adopted": ["coarsen/cnn"], "published": ["coarsen/cnn [paper]"]}
    lock(project, cmd="kadanoff renamed")
    publish_as(project, "again")
    assert outcome(project) == {"adopted": ["coarsen/cnn"], "published": ["coarsen/cnn [again]"], "unchanged": ANY}
    assert list(outcome(project)) == ["unchanged"]
    [run] = runs(project)
    assert (run.info.run_name, run.data.tags["published"]) == ("cnn", "again, paper")
    assert run.data.tags["kadanoff.origin"] == "live"


def test_a_name_is_taken_off_when_its_publication_has_another_record(project):
    publish(project)
    lock(project)
    for name in ("paper", "talk"):
        publish_as(project, name)
    sync(project)
    [run] = runs(project)
    assert run.data.tags["published"] == "paper, talk"
    shutil.rmtree(project / "reports/published/paper")
    sync(project)
    assert runs(project)[0].data.tags["published"] == "talk"
    shutil.rmtree(project / "reports/published/talk")
    sync(project)
    assert "published" not in runs(project)[0].data.tags


def test_a_live_run_that_was_published_before_any_sync_is_found(project):
    with recorded("coarsen", "cnn", parameters={}):
        pass
    lock(project)
    publish_as(project, "paper")
    forget(project)
    assert outcome(project) == {"published": ["coarsen/cnn [paper]"]}
    assert len(runs(project)) == 1


def test_a_tampered_publication_of_a_run_that_was_made_here_is_not_that_run(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 1})
    lock(project)
    publish_as(project, "paper")
    forget(project)
    (project / "reports/published/paper/coarsen/cnn/metrics.json").write_text('{"mse": 0}')
    assert outcome(project) == {"imported": ["coarsen/cnn [paper]"], "edited": ["coarsen/cnn [paper]"]}
    assert sorted(run.data.metrics["mse"] for run in runs(project)) == [0, 1]


def test_a_published_record_that_was_tampered_with_is_told(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 1})
    lock(project)
    publish_as(project, "paper")
    (project / "reports/published/paper/coarsen/cnn/metrics.json").write_text('{"mse": 0}')
    both = {"adopted": ["coarsen/cnn"], "imported": ["coarsen/cnn [paper]"], "edited": ["coarsen/cnn [paper]"]}
    assert outcome(project) == both
    assert outcome(project)["unchanged"] == ["coarsen/cnn", "coarsen/cnn [paper]"]
    found = {run.info.run_name: run for run in runs(project)}
    assert found["cnn [paper]"].data.tags["kadanoff.locked"] == "edited"
    assert (found["cnn"].data.metrics["mse"], found["cnn [paper]"].data.metrics["mse"]) == (1, 0)
    assert "published" not in found["cnn"].data.tags


def test_a_publication_cannot_take_over_a_run_of_this_project(project):
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.metrics({"mse": 1})
    [live] = runs(project)
    lock(project)
    sync(project)
    forget(project)
    publish(project, mlflow_run_id=live.info.run_id)
    lock(project)
    publish_as(project, "false")
    forget(project)
    assert outcome(project) == {"imported": ["coarsen/cnn [false]"]}
    assert store_tags(project, live) == store_tags(project, live) | live.data.tags
    assert "published" not in store_tags(project, live)


def store_tags(project, run):
    return open_store(project).client.get_run(run.info.run_id).data.tags


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("paper", write("dvc.lock", "stages: ["), "not valid YAML"),
        ("paper", write("dvc.lock", "stages:\n  a: &a {b: 1}\n  c: *a\n"), "has YAML aliases"),
        ("a b", lambda _: None, "'a b' cannot name published results"),
    ],
)
def test_a_broken_publication_is_named_and_the_rest_is_imported(project, name, damage, message):
    publish(project)
    lock(project)
    publish_as(project, "paper")
    folder = (project / "reports/published/paper").rename(project / "reports/published" / name)
    damage(folder)
    report = sync(project)
    assert report.imported == ["coarsen/cnn"]
    [problem] = report.problems
    assert problem.startswith(f"reports/published/{name}/coarsen/cnn is not imported: ")
    assert message in problem
