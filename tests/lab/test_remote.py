"""Addresses, targets and checked content, without a server; the servers are in tests/test_sharing.py."""

import errno
import os
import shutil
import subprocess
import sys
from hashlib import md5

import pytest
from dvc.repo import Repo
from small_project import forged_list

from kadanoff.errors import KadanoffError
from kadanoff.lab.remote import get, pull, push, set_remote, show_remote
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
    (tmp_path / "shared").mkdir()
    assert "is now the default remote 'storage'" in set_remote(project, "../shared")
    config = (project / ".dvc/config").read_text()
    assert "remote = storage" in config
    assert "url = ../../shared" in config  # from the folder of the file, wherever the clone is
    assert "verify = true" in config
    assert list((tmp_path / "shared").iterdir()) == []
    assert str(tmp_path / "shared") in show_remote(project)


def test_other_options_of_the_same_kind_of_remote_stay(project, tmp_path):
    (tmp_path / "shared").mkdir()
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
        ("../file", {}, ["a part of the path is a file"]),
        ("../file/below", {}, ["a part of the path is a file"]),
        ("/proc/kadanoff", {}, ["Remedy: mount or create the folder"]),
        ("ssh://user@host.invalid/path", {}, ["the name of the server is unknown"]),
    ],
)
def test_what_cannot_be_a_remote_is_refused_and_nothing_is_written(project, address, options, words):
    (project.parent / "file").touch()
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
        with pytest.raises(KadanoffError, match=r"'corsen' is no study.*mean coarsen\?.*coarsen_curve"):
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


FORGED = [
    ({"md5": "../../../../../precious", "relpath": "a"}, "which is no md5"),
    ({"md5": None, "relpath": "a"}, "which is no md5"),
    *(
        ({"md5": md5(b"x").hexdigest(), "relpath": path}, "which may lie outside of it")
        for path in ("../precious", "/precious", "a/../../precious", ".", "", "a//b", "a\\b", None)
    ),
    ({"md5": md5(b"x").hexdigest()}, "a list of its files that DVC cannot have written"),
]


@pytest.fixture
def forged(project):
    """A project whose one folder has a forged list in the cache or on the remote, where the list leads to a file."""

    def make(place, file):
        (project / "dvc.yaml").unlink()
        (project.parent / "precious").write_text("precious")
        (project / ".dvc/config").write_text(
            "[core]\n    no_scm = true\n    remote = r\n['remote \"r\"']\n    url = ../../remote\n"
        )
        stores = {"cache": project / ".dvc/cache/files/md5", "remote": project.parent / "remote/files/md5"}
        for store in stores.values():
            (store / "00").mkdir(parents=True)  # with a folder there, DVC follows the hash
            blob = store / md5(b"x").hexdigest()[:2] / md5(b"x").hexdigest()[2:]
            blob.parent.mkdir()
            blob.write_bytes(b"x")
        oid = forged_list(stores[place], [file])
        (project / "set.dvc").write_text(f"outs:\n- md5: {oid}\n  path: set\n  hash: md5\n")
        (project / "set").mkdir()
        return project

    return make


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "tmp" not in path.parts}


@pytest.mark.parametrize("place", ["cache", "remote"])
@pytest.mark.parametrize(("file", "words"), FORGED)
def test_a_forged_list_is_refused_before_dvc_follows_it(forged, tmp_path, monkeypatch, place, file, words):
    root = forged(place, file)
    before = files_of(tmp_path)
    monkeypatch.setattr("kadanoff.lab.remote.transfer.dvc", lambda *command, **_: pytest.fail(f"dvc {command}"))
    for command in (pull, push) if place == "cache" else (pull,):
        with pytest.raises(KadanoffError, match=words):
            command(root, [])
    assert {path: content for path, content in files_of(tmp_path).items() if "site" not in path.parts} == {
        path: content for path, content in before.items() if "site" not in path.parts
    }


def test_a_forged_hash_of_an_output_is_refused(forged):
    root = forged("cache", {"md5": md5(b"x").hexdigest(), "relpath": "a"})
    (root / "set.dvc").write_text("outs:\n- md5: ../../../../../precious\n  path: set\n")
    for command in (pull, push):
        with pytest.raises(KadanoffError, match=r"set has the hash '[./]*precious', which is no md5"):
            command(root, [])
    assert (root.parent / "precious").read_text() == "precious"


def test_an_honest_list_is_fetched_first(forged):
    root = forged("remote", {"md5": md5(b"x").hexdigest(), "relpath": "below/a"})
    assert "1 output in place, 2 objects" in pull(root, [])
    assert (root / "set/below/a").read_bytes() == b"x"


def test_a_forged_list_of_another_project_is_not_got(forged, monkeypatch):
    root = forged("remote", {"md5": md5(b"x").hexdigest(), "relpath": "../../precious"})
    module = sys.modules["kadanoff.lab.remote.get"]  # its name in the package is the function
    monkeypatch.setattr(module, "dvc", lambda *command, **_: pytest.fail(f"dvc {command}"))
    with pytest.raises(KadanoffError, match="which may lie outside of it"):
        get(str(root), "set", root.parent / "mine")


def test_who_lacks_the_storage_is_told_what_else_there_is(forged):
    root = forged("remote", {"md5": md5(b"x").hexdigest(), "relpath": "a"})
    shutil.rmtree(root.parent / "remote")
    with pytest.raises(KadanoffError, match=r"there is no such folder.*`kadanoff remote ADDRESS`.*`dvc repro`"):
        pull(root, [])
