"""A project with an MLflow store of its own, for the tests of tracking."""

import shutil

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A fresh SQLite store takes half a second to make: it is made once, and copied."""
    from kadanoff.project.tracking.store import open_store

    folder = tmp_path_factory.mktemp("store")
    open_store(folder)
    return folder / "mlflow.db"


@pytest.fixture
def tracked_project(tmp_path, monkeypatch, empty_store):
    """An empty project with an empty store, as the current folder."""
    (tmp_path / "dvc.yaml").touch()
    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def small_project_made(tmp_path_factory):
    """A DVC project with results takes seconds to make: it is made once, and copied."""
    from small_project import make_project

    folder = tmp_path_factory.mktemp("small")
    make_project(folder)
    return folder


@pytest.fixture
def small_project(small_project_made, tmp_path, monkeypatch):
    """A DVC project with results in Git, in the cache and in the remote, as the current folder."""
    folder = tmp_path / "project"
    shutil.copytree(small_project_made, folder)
    monkeypatch.chdir(folder)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return folder
