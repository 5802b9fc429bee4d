"""Addresses, targets and checked content, without a server; the servers are in tests/test_sharing.py."""

import errno
import os
import subprocess
import sys
from hashlib import md5

import pytest
from dvc.repo import Repo

from kadanoff.errors import KadanoffError
from kadanoff.lab.remote import set_remote, show_remote
from kadanoff.lab.remote.content import damaged, discard, items
from kadanoff.lab.remote.probe import explain
from kadanoff.lab.remote.targets import resolve, studies

# a library of DVC's
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*_NoneStep:DeprecationWarning")

PIPELINE = """
stages:
  simulate:
    foreach: [a, b, c]
    do:
      cmd: kadanoff simulate ${item}
      outs:
        - data/${item}.zarr
  coarsen:
    foreach: [x]
    do:
      cmd: kadanoff coarsen ${item}
      deps: [data/a.zarr, code.py]
      outs: [models/coarsen/x.safetensors]
  coarsen_curve:
    cmd: kadanoff coarsen_curve
    deps: [data/b.zarr, models/coarsen]
  coarsener:
    cmd: kadanoff coarsener
    deps: [data/c.zarr]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    Repo.init(str(root), no_scm=True).close()
    (root / "dvc.yaml").write_text(PIPELINE)
    return root


def test_a_folder_becomes_the_default_remote(project, tmp_path):
    assert "is now the default remote 'storage'" in set_remote(project, "../shared")
    config = (project / ".dvc/config").read_text()
    assert "remote = storage" in config
    assert "url = ../../shared" in config  # from the folder of the file, wherever the clone is
    assert "verify = true" in config
    assert list((tmp_path / "shared").iterdir()) == []
    assert str(tmp_path / "shared") in show_remote(project)


def test_other_options_of_the_same_kind_of_remote_stay(project):
    subprocess.run(["dvc", "remote", "add", "storage", "/elsewhere"], check=True, env=os.environ | path())
    subprocess.run(["dvc", "remote", "modify", "storage", "jobs", "3"], check=True, env=os.environ | path())
    set_remote(project, "../shared")
    config = (project / ".dvc/config").read_text()
    assert "jobs = 3" in config
    assert "elsewhere" not in config


def path():
    return {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("address", "options", "words"),
    [
        ("s3://key:hidden@bucket/path", {}, ["config.local", "AWS_ACCESS_KEY_ID"]),
        ("s3://hidden@bucket/path", {}, ["config.local"]),
        ("ssh://user:hidden@host/path", {}, ["config.local"]),
        ("s3://bucket/path", {"endpoint": "https://key:hidden@host"}, ["config.local"]),
        ("s3://", {}, ["names no bucket"]),
        ("../shared", {"endpoint": "http://127.0.0.1:9"}, ["--endpoint is for S3"]),
        ("../shared", {"name": "a b"}, ["--name 'a b'"]),
        ("nonsense://x/y", {}, ["not an address", "s3://BUCKET/PATH"]),
        ("gs://bucket/path", {}, ["package is missing", "pip install 'dvc[gs]'"]),
        ("file", {}, ["a part of the path is a file"]),
        ("file/below", {}, ["a part of the path is a file"]),
        ("/proc/kadanoff", {}, ["Remedy: mount or create the folder"]),
        ("ssh://user@host.invalid/path", {}, ["the name of the server is unknown"]),
    ],
)
def test_what_cannot_be_a_remote_is_refused_and_nothing_is_written(project, address, options, words):
    (project / "file").touch()
    before = (project / ".dvc/config").read_text()
    with pytest.raises(KadanoffError) as refused:
        set_remote(project, address, **options)
    for word in words:
        assert word in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert (project / ".dvc/config").read_text() == before


def test_credentials_in_the_shared_file_are_pointed_at(project):
    with (project / ".dvc/config").open("a") as file:
        file.write("['remote \"storage\"']\n    url = s3://bucket\n    secret_access_key = hidden\n")
    with pytest.raises(KadanoffError, match="secret_access_key") as refused:
        set_remote(project, "../shared")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "local", ["['remote \"storage\"']\n    url = /elsewhere\n", "[core]\n    remote = other\n"], ids=["url", "default"]
)
def test_a_local_setting_that_hides_the_address_is_named(project, local):
    (project / ".dvc/config.local").write_text(local)
    with pytest.raises(KadanoffError, match=r"config\.local has|config\.local gives"):
        set_remote(project, "../shared")


def test_without_a_remote_the_command_is_named(project):
    with pytest.raises(KadanoffError, match="kadanoff remote ADDRESS"):
        show_remote(project)


class FromServer(Exception):
    def __init__(self, code):
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FromServer("AccessDenied"), "ask the owner of the bucket"),
        (FromServer("NoSuchBucket"), "there is no such bucket"),
        (FromServer("InvalidAccessKeyId"), "does not know this access key"),
        (OSError(errno.ENOSPC, "No space left"), "free some space"),
        (OSError(errno.EROFS, "Read-only"), "it is read-only"),
        (RuntimeError("{odd}"), "RuntimeError: {odd}"),
    ],
)
def test_an_error_has_a_remedy_and_no_password(error, words):
    wrapped = PermissionError("wrapped")
    wrapped.__cause__ = error
    for given in (error, wrapped) if hasattr(error, "response") else (error,):
        sentence = explain(given, "ssh://user:hidden@host:22/path", "storage")
        assert words in sentence
        assert "ssh://user@host:22/path" in sentence
        assert "hidden" not in sentence


def test_a_study_is_its_stages_and_reads_their_datasets(project):
    with Repo(str(project)) as repo:
        assert studies(repo) == {
            "coarsen": ["data/a.zarr", "data/b.zarr"],
            "coarsen_curve": ["data/b.zarr"],
            "coarsener": ["data/c.zarr"],
        }
        assert resolve(repo, ["coarsen", "data/c.zarr", "simulate@c", "data/a.zarr"]) == [
            "data/a.zarr",
            "data/b.zarr",
            "data/c.zarr",
            "simulate@c",
        ]
        with pytest.raises(KadanoffError, match=r"'corsen' is no study.*coarsen_curve.*data/a\.zarr"):
            resolve(repo, ["corsen"])


@pytest.fixture
def dataset(project):
    """A tracked folder of two files."""
    (project / "dvc.yaml").unlink()
    folder = project / "set"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(name * 10)
    with Repo(str(project)) as repo:
        repo.add(str(folder))
    return folder


def test_items_are_the_objects_of_what_is_named(dataset):
    with Repo(str(dataset.parent)) as repo:
        hashes = {name: md5(name.encode() * 10).hexdigest() for name in "ab"}
        everything = items(repo, [])
        assert {item.oid for item in everything if not item.oid.endswith(".dir")} == set(hashes.values())
        assert {item.output for item in everything} == {"set"}
        assert hashes["a"] not in {item.oid for item in items(repo, ["set/b"])}
        assert hashes["b"] in {item.oid for item in items(repo, ["set/b"])}
        assert damaged(repo.cache.local, everything) == []


def test_damaged_objects_go_with_their_copies_and_nothing_else(dataset):
    with Repo(str(dataset.parent)) as repo:
        oid, cache = md5(b"a" * 10).hexdigest(), repo.cache.local
        for place in (cache.oid_to_path(oid), dataset / "a"):
            os.chmod(place, 0o644)
            with open(place, "w") as file:
                file.write("damaged")
        (dataset / "b").chmod(0o644)
        (dataset / "b").write_text("a user's own change")
        [bad] = damaged(cache, items(repo, []))
        assert (bad.oid, bad.file) == (oid, dataset / "a")
        discard(cache, [bad])
        assert not cache.exists(oid)
        assert not (dataset / "a").exists()
        assert (dataset / "b").read_text() == "a user's own change"
