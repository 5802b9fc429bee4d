"""A project with an MLflow store of its own, for the tests of tracking."""

import shutil

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A fresh SQLite store takes a second to make: it is made once, here beside an unfinished one, and copied."""
    from kadanoff.project.tracking.store import open_store

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (folder / "mlflow.db.new").write_text("half of one")
        open_store(folder)
    assert not (folder / "mlflow.db.new").exists()
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path, monkeypatch, empty_store):
    """An empty project with an empty store, as the current folder."""
    (tmp_path / "dvc.yaml").write_text("stages: {coarsen: {cmd: src/kadanoff/studies/coarsen/coarsen.py}}")
    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def live(monkeypatch):
    """Every training is shown from its first epoch on."""
    monkeypatch.setattr("kadanoff.project.view.LIVE_AFTER_SECONDS", -1.0)
