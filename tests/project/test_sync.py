"""The sync: every record in MLflow, once; nothing believed of a record but its own numbers."""

import json
import shutil

import pandas as pd
import pytest
from mlflow.entities import ViewType
from written_records import MD5, RUN, lock, write_record

from kadanoff.errors import KadanoffError
from kadanoff.estimate import Estimate
from kadanoff.project.records import recorded
from kadanoff.project.records.dvclock import folder_md5
from kadanoff.project.records.publish import publish
from kadanoff.project.tracking import sync
from kadanoff.project.tracking.runs import OWN, own, project_id
from kadanoff.project.tracking.store import experiment_id, open_store

START = 1767323045000  # 2026-01-02T03:04:05Z in ms


def runs(project, view=ViewType.ACTIVE_ONLY):
    client = open_store(project)
    return client.search_runs([experiment_id(client, project, "coarsen")], run_view_type=view)


def outcome(project):
    """Names of the report's lists that are not empty, with their content."""
    return {name: value for name, value in vars(sync(project)).items() if value}


def train(mse=1):
    """A run that is shown live."""
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.epoch(0, loss=1)
        run.metrics({"mse": mse})


def test_a_record_becomes_a_run_once(project):
    md5 = folder_md5(folder := write_record(project), folder.iterdir())
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    [run] = runs(project)
    assert (run.info.run_name, run.info.status) == ("cnn", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (START, START + 100_000)
    assert run.data.params == {"epochs": "2", "network/name": "cnn"}
    history = {"history/train_loss": 0.25, "history/lr": 0.1}
    assert run.data.metrics == history | {"mse": 0.5, "mse_error": 0.1, "n": 3, "T_2.27_e": 1}
    assert run.data.tags["study"] == "coarsen"
    assert own(run).items() >= {"record": md5, "origin": "record", "title": "coarsen/cnn"}.items()
    described = run.data.tags["mlflow.note.content"]
    assert f"`dvc repro coarsen@cnn` on commit `{'a' * 40}`" in described
    assert f"`git log -S {md5} -- dvc.lock`" in described
    for path in ("data/coarsen/coarsen16.zarr", "models/cnn.safetensors"):
        assert f"\ndvc get . {path} --rev COMMIT\n" in described
    [logged] = run.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("coarsen16", MD5)
    client = open_store(project)
    history = client.get_metric_history(run.info.run_id, "history/train_loss")
    assert [(m.step, m.value, m.timestamp - START) for m in history] == [(0, 0.5, 50_000), (1, 0.25, 100_000)]
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"history.csv", "history.png", "metrics.json"}


def compared(mse=0.5):
    """A record with a summary and rows."""
    with recorded("coarsen", "cnn", parameters={}) as run:
        run.epoch(0, loss=1)
        run.metrics({"mse": Estimate(mse, 0.1)})
        run.summary("The error is {mse}.", mse="mse")
        rows = [{"network": name, "system": "skewed", "L": 8, "mse": Estimate(0.5, 0.1)} for name in ("cnn", "mlp")]
        run.comparison(pd.DataFrame(rows), ["network", "system", "L"], ["mse"])


def test_rows_of_a_comparison_are_runs_below_it(project):
    compared()
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    found = {run.info.run_name: run for run in runs(project)}
    assert found.keys() == {"cnn", "cnn, skewed, L = 8", "mlp, skewed, L = 8"}
    parent, row = found["cnn"], found["mlp, skewed, L = 8"]
    assert parent.data.metrics == {"history/loss": 1, "mse": 0.5, "mse_stderr": 0.1}
    described = parent.data.tags["mlflow.note.content"]
    assert described.startswith("The error is 0.50(10).\n\n| | |\n|---|--:|\n| mse | 0.50(10) |")
    assert row.data.params == {"network": "mlp", "system": "skewed", "L": "8"}
    assert row.data.metrics == {"mse": 0.5, "mse_stderr": 0.1}
    tags = {"mlflow.parentRunId": parent.info.run_id, "study": "coarsen", "system": "skewed"}
    assert tags.items() <= row.data.tags.items()


def test_a_record_without_numbers_is_a_run(project):
    with recorded("coarsen", "cnn", parameters={}):
        pass
    assert sync(project).problems == []
    assert len(runs(project)) == 1


def test_a_live_run_gets_its_rows_from_its_record(project, live):
    compared()
    lock(project)
    assert outcome(project) == {"updated": ["coarsen/cnn"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    assert len(runs(project)) == 3


def test_a_live_run_is_taken_for_its_record(project, live, monkeypatch):
    with monkeypatch.context() as patch:  # it is killed after it has written the record
        patch.setattr("kadanoff.project.view.View.end", lambda *_: None)
        train()
    lock(project)
    assert outcome(project) == {"updated": ["coarsen/cnn"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    [run] = runs(project)
    assert (run.info.status, own(run)["origin"], run.data.metrics["mse"]) == ("FINISHED", "live", 1)
    assert "dvc get . models/cnn.safetensors" in run.data.tags["mlflow.note.content"]


def test_a_record_that_dvc_lock_does_not_have_is_named(project):
    write_record(project)
    assert outcome(project) == {"imported": ["coarsen/cnn"], "unpinned": ["coarsen/cnn"]}
    lock(project)
    assert outcome(project) == {"unchanged": ["coarsen/cnn"]}
    (project / "reports/coarsen/cnn/metrics.json").write_text('{"mse": 0}')
    assert outcome(project) == {"imported": ["coarsen/cnn"], "unpinned": ["coarsen/cnn"]}
    assert "not what dvc.lock says (edited, or not run by DVC): coarsen/cnn" in str(sync(project))


def test_a_run_that_was_deleted_stays_deleted(project):
    write_record(project)
    sync(project)
    open_store(project).delete_run(runs(project)[0].info.run_id)
    assert outcome(project)["unchanged"] == ["coarsen/cnn"]
    assert runs(project) == []


def test_an_import_that_failed_or_was_killed_leaves_nothing(project, monkeypatch):
    write_record(project)
    client = open_store(project)
    tags = {OWN: json.dumps({"project": project_id(), "origin": "record"})}
    client.create_run(experiment_id(client, project, "coarsen"), tags=tags)  # by a killed sync
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifact", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        assert sync(project).problems == ["reports/coarsen/cnn is not imported: disk full"]
    assert runs(project) == []
    assert sync(project).imported == ["coarsen/cnn"]


def write(name, content):
    return lambda folder: (folder / name).write_text(content)


def change(**values):
    return lambda folder: (folder / "run.json").write_text(json.dumps(RUN | {"variant": "cnn"} | values))


DAMAGE = {
    "a": (write("run.json", "{"), "run.json is not valid JSON"),
    "e": (change(variant="mlp"), "run.json is of the run coarsen/mlp; its folder must be reports/coarsen/mlp"),
    "g": (change(started="yesterday"), "run.json: started is 'yesterday'"),
    "h": (change(duration_s=-1), "run.json: duration_s is -1"),
    "j": (
        lambda folder: change(variant="j")(folder) and write("metrics.json", '{"a": {"b": "high"}}')(folder),
        "'high'",
    ),
    "k": (write("comparison.csv", "method,mse\nblocks,low\n"), "comparison.csv is not a table of numbers"),
    "l": (write("history.csv", "epoch,loss\n0,low\n"), "history.csv is not a table of numbers"),
    "m": (write("history.csv", "loss\n1\n"), "history.csv is not a table of numbers"),
}


def test_broken_records_are_named_and_the_others_are_imported(project):
    for variant, (damage, _) in DAMAGE.items():
        damage(write_record(project, variant))
    write_record(project, "good")
    report = sync(project)
    assert report.imported == ["coarsen/good"]
    assert len(report.problems) == len(DAMAGE)
    for (variant, (_, message)), problem in zip(DAMAGE.items(), report.problems, strict=True):
        assert problem.startswith(f"reports/coarsen/{variant} is not imported"), problem
        assert message in problem
    assert len(runs(project, ViewType.ALL)) == 1
    with pytest.raises(KadanoffError, match="reports/coarsen/a is not imported"):
        report.show()


def test_a_malicious_record_reaches_nothing_outside_its_folder(project):
    outside = project / "outside"
    outside.mkdir()
    (outside / "secret.png").write_text("secret")
    (outside / "run.json").write_text(json.dumps(RUN | {"variant": "link"}))
    paths = ["../outside/secret.png", "data/x.zarr; rm -rf ~", "data/`rm`", "data/../../x", "data/a\n```\n<script>"]
    folder = write_record(project, inputs=[{"path": path, "md5": None} for path in paths])
    (folder / "secret.png").symlink_to(outside / "secret.png")
    (folder / "deeper").symlink_to(outside)
    (folder / "page.html").write_text("<script>")
    (project / "reports/coarsen/link").symlink_to(outside)
    (project / "reports/stage").symlink_to(outside)
    hidden = write_record(project, "hidden")
    (hidden / "run.json").unlink()
    (hidden / "run.json").symlink_to(outside / "run.json")
    (hidden / "metrics.json").unlink()
    report = sync(project)
    assert report.imported == ["coarsen/cnn"]
    assert [problem.split(" is not imported")[0] for problem in report.problems] == ["reports/coarsen/hidden"]
    copied = {path.name for path in (project / "mlartifacts").rglob("*") if path.is_file()}
    assert copied == {"history.csv", "history.png", "metrics.json"}
    assert "dvc get" not in runs(project)[0].data.tags["mlflow.note.content"]  # no path of it is in a command


def test_a_record_cannot_take_over_another_run(project):
    """The id in a record is text from outside: it may be that of a run of a user."""
    client = open_store(project)
    other = client.create_run(experiment_id(client, project, "coarsen"), tags={"stage": "coarsen", "variant": "cnn"})
    write_record(project, mlflow_run_id=other.info.run_id)
    assert outcome(project)["imported"] == ["coarsen/cnn"]
    assert client.get_run(other.info.run_id).data.tags == other.data.tags


def test_words_of_other_alphabets_arrive_as_they_are(project, monkeypatch):
    folder = project / "Größe 磁化"
    (folder / "reports").mkdir(parents=True)
    (folder / "dvc.yaml").write_text("stages: {}")
    (project / "mlflow.db").rename(folder / "mlflow.db")
    monkeypatch.chdir(folder)
    with recorded("coarsen", "cnn", parameters={"Größe": "磁化"}, inputs=["data/Größe.zarr"]) as run:
        run.epoch(0, Verlust_ä=0.5)
        run.metrics({"⟨磁化⟩": 1})
    assert sync(folder).imported == ["coarsen/cnn"]
    [run] = runs(folder)
    assert run.data.params == {"Größe": "磁化"}
    assert run.data.metrics == {"_磁化_": 1, "history/Verlust_ä": 0.5}
    assert run.inputs.dataset_inputs[0].dataset.name == "Größe"


def test_a_broken_lock_stops_the_sync_and_that_of_a_publication_is_named(project):
    write_record(project)
    lock(project)
    publish(project, "paper")
    (project / "reports/published/paper/dvc.lock").write_text("stages: 3")
    report = sync(project)
    assert report.problems[0].startswith("reports/published/paper: ")
    assert report.unpinned == ["coarsen/cnn [paper]"]
    (project / "dvc.lock").write_text("stages: 3")
    with pytest.raises(KadanoffError, match="has no mapping `stages`"):
        sync(project)


# ---- publications ---------------------------------------------------------------------------------------------------


def forget(project):
    """The project's own results are gone, as in a clone that only has published ones."""
    shutil.rmtree(project / "reports/coarsen")
    (project / "dvc.lock").unlink()


def test_published_records_are_runs_beside_the_local_ones(project):
    write_record(project)
    lock(project)
    publish(project, "paper")
    forget(project)
    write_record(project, started="2026-02-02T00:00:00Z")
    lock(project)
    assert outcome(project) == {"imported": ["coarsen/cnn", "coarsen/cnn [paper]"]}
    assert outcome(project) == {"unchanged": ["coarsen/cnn", "coarsen/cnn [paper]"]}
    found = {run.info.run_name: run.data.tags for run in runs(project)}
    assert found.keys() == {"cnn", "cnn [paper]"}
    assert "published" not in found["cnn"]
    assert found["cnn [paper]"]["published"] == "paper"
    described = found["cnn [paper]"]["mlflow.note.content"]
    assert "\ncp reports/published/paper/dvc.lock dvc.lock\n" in described
    assert "\ndvc pull models/cnn.safetensors\n" in described


def test_a_result_that_is_there_already_only_gets_the_names(project, live):
    train()
    lock(project)
    publish(project, "paper")
    assert outcome(project) == {"updated": ["coarsen/cnn", "coarsen/cnn [paper]"]}
    publish(project, "again")
    assert outcome(project)["updated"] == ["coarsen/cnn [again]"]
    assert list(outcome(project)) == ["unchanged"]
    [run] = runs(project)
    assert (run.info.run_name, run.data.tags["published"]) == ("cnn", "again, paper")
