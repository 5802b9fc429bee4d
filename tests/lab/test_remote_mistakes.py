"""What people get wrong with the storage commands: each is refused with its remedy, and nothing is changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError, SSLError
from dvc.repo import Repo
from typer.testing import CliRunner

from kadanoff.cli import app
from kadanoff.errors import KadanoffError
from kadanoff.lab.remote import get, pull, push, set_remote, show_remote
from kadanoff.lab.remote.probe import explain
from kadanoff.lab.remote.targets import resolve

# a library of DVC's
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*_NoneStep:DeprecationWarning")

PIPELINE = """
stages:
  simulate:
    cmd: kadanoff simulate a
    outs: [data/a.zarr]
  coarsen:
    foreach: [cnn]
    do:
      cmd: kadanoff coarsen ${item}
      deps: [data/a.zarr]
      outs: ["models/coarsen/${item}.safetensors"]
  coarsen_curve:
    cmd: kadanoff coarsen_curve
    deps: [data/a.zarr]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a tracked folder and a default remote inside it, which is not there yet."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    root = tmp_path / "project"
    (root / "set").mkdir(parents=True)
    (root / "set/file").write_text("spins")
    monkeypatch.chdir(root)
    with Repo.init(str(root), no_scm=True) as repo:
        repo.add("set")
    subprocess.run(["dvc", "remote", "add", "--default", "local", "remote"], check=True)
    return root


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "tmp" not in path.parts}


def refuse_dvc(monkeypatch):
    monkeypatch.setattr("kadanoff.lab.remote.transfer.dvc", lambda *command, **_: pytest.fail(f"dvc {command}"))


def test_a_shared_folder_that_is_gone_is_not_made_by_a_push(project, tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    set_remote(project, "../shared")
    push(project, [])
    (tmp_path / "shared").rename(tmp_path / "elsewhere")
    refuse_dvc(monkeypatch)
    for command in (lambda: push(project, []), lambda: show_remote(project)):
        with pytest.raises(KadanoffError, match=r"there is no such folder.*mount or create the folder"):
            command()
    assert not (tmp_path / "shared").exists()


def test_the_first_push_makes_a_remote_inside_the_project_and_a_check_does_not(project):
    assert "not there yet" in show_remote(project)
    assert not (project / "remote").exists()
    assert "1 output of this clone" in push(project, [])
    assert "written, read back and deleted" in show_remote(project)


@pytest.mark.parametrize(
    ("address", "endpoint", "words"),
    [
        ("s3:/bucket/x", None, "write s3://bucket/x"),
        ("s3:bucket/x", None, "write s3://bucket/x"),
        ("somebody@host:/data", None, "ssh://USER@HOST/PATH"),
        ("foo", None, "inside this clone"),
        (".", None, "inside this clone"),
        ("../gone/deep/er", None, "mkdir -p"),
        ("~nosuchuser/x", None, "no such user"),
        ("s3://My_Bucket/x", None, "'My_Bucket' is no name of an S3 bucket"),
        ("s3://bucket/x", "127.0.0.1:9123", "write http://127.0.0.1:9123"),
        ("s3://bucket/x", "key:hidden@host:9123", "was given with a key or password"),
    ],
)
def test_an_address_that_nobody_could_share(project, tmp_path, address, endpoint, words):
    before = everything(tmp_path)
    with pytest.raises(KadanoffError) as refused:
        set_remote(project, address, endpoint)
    assert words in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert everything(tmp_path) == before
    assert not (tmp_path / "gone").exists()


def test_a_home_is_written_out(project, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shared").mkdir()
    set_remote(project, "~/shared")
    assert str(tmp_path / "shared") in show_remote(project)


def test_the_first_remedy_for_missing_keys_works_before_the_remote_is_there():
    sentence = explain(NoCredentialsError(), "s3://bucket/x", "storage")
    assert sentence.index("AWS_PROFILE") < sentence.index("once .dvc/config has the remote") < sentence.index("modify")


def test_https_to_a_server_without_it():
    error = SSLError(endpoint_url="https://127.0.0.1:9123", error="WRONG_VERSION_NUMBER")
    assert "write http:// in --endpoint" in explain(error, "s3://bucket/x", "storage")


def test_where_nothing_can_be_got(project, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(KadanoffError, match="there is no folder nodir; create it first"):
        get(str(project), "set", Path("nodir/set"))
    with pytest.raises(KadanoffError, match=r"no such folder: .*nosuch"):
        get(str(tmp_path / "nosuch"), "other")
    with pytest.raises(KadanoffError, match="is no Git repository with DVC data"):
        get(str(tmp_path / "empty"), "other")
    assert not (project / "nodir").exists()


def test_a_folder_of_another_project_is_got_from_anywhere(project, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert get(str(project), "set", Path("mine")) == Path("mine")
    assert Path("mine/file").read_text() == "spins"


def test_a_misspelt_target_has_its_nearest_name(project):
    (project / "dvc.yaml").write_text(PIPELINE)
    with Repo(str(project)) as repo:
        for wrong, right in {"coarsen/cnn": "models/coarsen/cnn.safetensors", "data/b.zarr": "data/a.zarr"}.items():
            with pytest.raises(KadanoffError) as refused:
                resolve(repo, [wrong])
            assert f"Did you mean {right}?" in str(refused.value)
            assert "studies are coarsen, coarsen_curve;" in str(refused.value)
            assert str(refused.value).count("data/a.zarr") == (right == "data/a.zarr")


def test_a_push_of_nothing(project, monkeypatch):
    shutil.rmtree(project / ".dvc/cache")
    refuse_dvc(monkeypatch)
    with pytest.raises(KadanoffError, match=r"nothing of the data is here to push; `kadanoff pull` or `dvc repro`"):
        push(project, [])


def test_a_stray_file_in_an_output_stays(project, capfd):
    push(project, [])
    (project / "set/stray").write_text("mine")
    with pytest.raises(KadanoffError, match=r"set: there are changes of yours.*`dvc checkout --force set`"):
        pull(project, [])
    assert (project / "set/stray").read_text() == "mine"
    assert (project / "set/file").read_text() == "spins"
    (project / "set/stray").unlink()
    assert "1 output in place" in pull(project, [])


@pytest.mark.parametrize("command", ["push", "pull", "remote"])
def test_outside_of_any_project(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [command])
    assert isinstance(result.exception, KadanoffError)
    assert f"there is no .dvc folder in {tmp_path} or above it; run this in a folder" in str(result.exception)
