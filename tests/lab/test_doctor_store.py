"""The doctor on MLflow's store: damaged, foreign, of another version or another folder; dead runs."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from kadanoff.lab.doctor import store as checks
from kadanoff.lab.doctor import treat
from kadanoff.lab.tracking import health, sync
from kadanoff.lab.tracking.store import open_store, owner


@pytest.fixture
def project(tracked_project):
    return tracked_project


def findings(project):
    return list(checks.check(project, {"simulate"}))


def cure(project):
    """Repair the one finding, after which nothing may be left."""
    [finding] = findings(project)
    assert treat(lambda: findings(project), lambda _: True, print) == []
    return finding


def record(project, variant="a"):
    """A record by hand, which a new store imports."""
    path = project / "reports/simulate" / variant
    path.mkdir(parents=True)
    run = {"stage": "simulate", "variant": variant, "parameters": {}, "inputs": [], "environment": {}}
    (path / "run.json").write_text(json.dumps(run | {"started": "2026-01-02T03:04:05Z"}))
    (path / "table.md").write_text("| a |")


def stored_runs(project):
    store = open_store(project)
    return store, store.client.search_runs([store.experiment("simulate")])


def text(path):
    path.write_text("no database, but longer than the header of one, which has a hundred bytes: " * 3)


def truncated(path):
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path):
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * 32768
    path.write_bytes(content)


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")


def newer(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'from_the_future'")


def half_made(path):
    """As several processes leave a store that they all make at once."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE _alembic_tmp_metrics (key TEXT)")


def without_version(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM alembic_version")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (text, "is damaged"),
        (truncated, "is damaged"),
        (overwritten, "is damaged"),
        (half_made, "is damaged"),
        (without_version, "is damaged"),
        (foreign, "is a database of another program"),
        (newer, "was written by a newer MLflow"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_and_not_touched(project, damage, words):
    damage(project / "mlflow.db")
    content = (project / "mlflow.db").read_bytes()
    [finding] = findings(project)
    assert words in finding.what
    assert finding.repair.removes
    assert finding.repair.does.startswith("moves it to mlflow.db.broken-DATE")
    assert (project / "mlflow.db").read_bytes() == content


@pytest.mark.slow
def test_it_is_moved_aside_and_made_anew_from_the_records(project):
    record(project)
    text(project / "mlflow.db")
    content = (project / "mlflow.db").read_bytes()
    (project / "mlflow.db-shm").write_bytes(b"half")
    cure(project)
    [aside] = project.glob("mlflow.db.broken-*")
    assert aside.read_bytes() == content
    assert [path.read_bytes() for path in project.glob("mlflow.db-shm.broken-*")] == [b"half"]
    assert [run.info.run_name for run in stored_runs(project)[1]] == ["a"]


@pytest.mark.parametrize("content", [None, b""])
def test_a_store_that_is_not_there_yet_is_well(project, content):
    (project / "mlflow.db").unlink()
    if content is not None:
        (project / "mlflow.db").write_bytes(content)
    assert findings(project) == []
    assert [path.read_bytes() for path in project.glob("mlflow.db")] == ([] if content is None else [content])


def test_a_store_that_another_process_holds_is_not_called_damaged(project, monkeypatch):
    monkeypatch.setattr(health, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(project / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        [finding] = findings(project)
    assert "mlflow.db cannot be read (database is locked); end the processes" in finding.what
    assert finding.repair is None


@pytest.mark.slow
def test_a_store_of_an_older_version_is_copied_and_upgraded(project):
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    path = project / "mlflow.db"
    path.unlink()
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{path}")
    config = utils._get_alembic_config(str(engine.url))
    earlier = list(ScriptDirectory.from_config(config).walk_revisions())[3].revision
    utils.InitialBase.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, earlier)
    engine.dispose()
    finding = cure(project)
    assert "was written by an older MLflow" in finding.what
    [backup] = project.glob("mlflow.db.backup-*")
    with closing(sqlite3.connect(backup)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(earlier,)]


def test_an_upgrade_that_fails_is_told_and_the_copy_stays(project, monkeypatch):
    content, revisions = (project / "mlflow.db").read_bytes(), health._revisions()

    def refuse(engine):
        raise RuntimeError("no such column\n...")

    monkeypatch.setattr(health, "_revisions", lambda: ["later", *revisions])
    monkeypatch.setattr(health.mlflow_schema, "_upgrade_db", refuse)
    lines = []
    [left] = treat(lambda: findings(project), lambda _: True, lines.append)
    assert "was written by an older MLflow" in left.what
    assert lines[1] == f"  not repaired: {project}/mlflow.db cannot be upgraded (RuntimeError: no such column)."
    assert len(list(project.glob("mlflow.db.backup-*"))) == 1
    assert (project / "mlflow.db").read_bytes() == content


def copied(project, to, ignore=None):
    record(project)
    sync(project)
    shutil.copytree(project, to, ignore=ignore)
    return to


@pytest.mark.slow
def test_a_project_that_was_copied_gets_a_store_of_its_own(project, tmp_path_factory):
    copy = copied(project, tmp_path_factory.mktemp("a copy #2") / "of % it")
    finding = cure(copy)
    assert f"keeps the files of its runs in {project.as_uri()}/mlartifacts, outside of this project" in finding.what
    assert not finding.repair.removes
    store, [run] = stored_runs(copy)
    assert run.info.artifact_uri.startswith(f"{copy.as_uri()}/mlartifacts/simulate/")
    assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["table.md"]
    assert store.client.get_experiment_by_name("simulate").artifact_location == f"{copy.as_uri()}/mlartifacts/simulate"
    [backup] = copy.glob("mlflow.db.backup-*")
    assert health.artifact_roots(backup) == {f"{project.as_uri()}/mlartifacts"}
    assert findings(project) == []


@pytest.mark.slow
def test_a_store_without_its_files_is_made_anew(project, tmp_path_factory):
    copy = copied(project, tmp_path_factory.mktemp("copy") / "bare", shutil.ignore_patterns("mlartifacts"))
    [finding] = findings(copy)
    assert "The files are not in this project" in finding.what
    assert finding.repair.removes


def test_deleted_experiments_of_the_stages_are_restored(project):
    store = open_store(project)
    for name in ("simulate", "of somebody"):
        store.client.delete_experiment(store.experiment(name))
    finding = cure(project)
    assert "1 MLflow experiment deleted, simulate" in finding.what
    assert store.client.get_experiment_by_name("simulate").lifecycle_stage == "active"
    assert store.client.get_experiment_by_name("of somebody").lifecycle_stage == "deleted"


def test_runs_of_dead_processes_are_closed(project):
    store, _ = stored_runs(project)
    dead = json.loads(owner()["kadanoff.process"]) | {"started": 0}
    tags = {"stage": "simulate", "kadanoff.process": json.dumps(dead)}
    run = store.client.create_run(store.experiment("simulate"), tags=tags, run_name="a")
    living = store.client.create_run(store.experiment("simulate"), tags=owner())
    finding = cure(project)
    assert "1 run in MLflow still RUNNING, although the process is gone: simulate/a" in finding.what
    assert store.client.get_run(run.info.run_id).info.status == "KILLED"
    assert store.client.get_run(living.info.run_id).info.status == "RUNNING"


def test_a_server_that_does_not_answer_is_one_finding(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    [finding] = findings(project)
    assert "http://127.0.0.1:1" in finding.what
    assert finding.repair is None


def test_a_store_that_projects_share_is_well(project, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
    stored_runs(project)
    assert findings(tmp_path_factory.mktemp("another project")) == []


def test_a_store_elsewhere_is_examined_there(project, monkeypatch, tmp_path_factory):
    place = tmp_path_factory.mktemp("a place #1") / "runs.db"
    text(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
    [finding] = findings(project)
    assert finding.what.startswith(f"{place} is damaged")
