"""A second person with the repository and the address of a bucket: real servers, clones that share nothing."""

import json
import shutil
import time
from contextlib import ExitStack

import pytest
import yaml
from clones import IMPATIENT, at, clone, content, everything_intact, set_remote
from project import copy_project, shrink
from servers import KEYS, PASSWORD, s3_client, serve_s3, serve_ssh

pytestmark = pytest.mark.slow

DATASETS = ("coarsen12", "coarsen16")  # the first is in no study here
FILES, WEIGHTS = "ising/files/md5/", "models/coarsen/exact.safetensors"


def key(md5):
    return f"{FILES}{md5[:2]}/{md5[2:]}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3") / "store"
    (folder / "group").mkdir(parents=True)
    with serve_s3(folder) as server:
        yield server


@pytest.fixture(scope="module")
def origin(tmp_path_factory, server):
    """The project of the person who has computed, and pushed: a dataset with its study, and one without."""
    project = copy_project(tmp_path_factory.mktemp("sharing") / "origin")
    params = shrink(project.params())
    params["datasets"] = {name: params["datasets"][name] for name in DATASETS}
    params["coarsen"]["variants"] = {"exact": params["coarsen"]["variants"]["exact"]}
    project.write_params(params)
    pipeline = yaml.safe_load((project.folder / "dvc.yaml").read_text())
    # a fast test has the other studies
    pipeline["stages"] = {name: pipeline["stages"][name] for name in ("simulate", "coarsen")}
    del pipeline["metrics"], pipeline["plots"]
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    project.run("dvc", "repro")
    project = at(project.folder)
    set_remote(project, "s3://group/ising", "--endpoint", server.endpoint)
    project.commit("results, and the address of the data")
    project.run("kadanoff", "push")
    return project


def test_no_key_is_written_and_nothing_is_pushed_twice(origin, server):
    assert "Everything is up to date" in origin.run("dvc", "push")
    kept = origin.run("git", "grep", "-c", "", "--", ".dvc/config", "dvc.lock") + origin.run("git", "log", "-p")
    assert server.endpoint in kept
    assert "verify = true" in kept
    assert not any(secret in kept + origin.run("kadanoff", "remote") for secret in KEYS.values())
    assert origin.run("git", "status", "--short") == ""


def test_a_second_clone_has_all_without_computing(origin, tmp_path):
    second = clone(origin, tmp_path / "second")
    second.run("dvc", "pull")
    assert "up to date" in second.run("dvc", "status")
    assert "Data and pipelines are up to date" in second.run("dvc", "repro")
    assert second.run("git", "status", "--short") == ""
    assert content(second.folder / "data") == content(origin.folder / "data")
    second.run("kadanoff", "apply", WEIGHTS, "data/coarsen16.zarr", "out.zarr")  # evaluation with the pulled weights
    assert content(second.folder / "models") == content(origin.folder / "models")


def test_only_the_datasets_of_one_study(origin, tmp_path):
    second = clone(origin, tmp_path / "second")
    second.run("kadanoff", "pull", "coarsen")
    assert [path.name for path in (second.folder / "data").glob("*.zarr")] == ["coarsen16.zarr"]
    assert f"Not here, so not pushed: data/coarsen12.zarr {WEIGHTS}" in second.run("kadanoff", "push")
    assert not (second.folder / WEIGHTS).exists()
    refused = second.run("kadanoff", "pull", "corsen", code=1)
    assert "'corsen' is no study, stage or output" in refused
    assert "Did you mean coarsen?" in refused


def test_one_dataset_in_an_unrelated_project_and_its_update(origin, tmp_path):
    source = clone(origin, tmp_path / "source")
    other = at(tmp_path / "other")
    other.folder.mkdir()
    other.run("git", "init", "-q")
    other.run("dvc", "init", "-q")
    path, repository = "data/coarsen12.zarr", source.folder.as_uri()
    for command, target in (("dvc", "a.zarr"), ("kadanoff", "b.zarr")):
        option = "-o" if command == "dvc" else "--out"
        other.run(command, "get", repository, path, option, target)
        assert content(other.folder / target) == content(origin.folder / path)
    assert "b.zarr exists" in other.run("kadanoff", "get", repository, path, "--out", "b.zarr", code=1)
    assert "has no output 'data/none.zarr'" in other.run("kadanoff", "get", repository, "data/none.zarr", code=1)
    other.run("dvc", "import", repository, path, "-o", "c.zarr")
    params = source.params()
    params["datasets"]["coarsen12"]["seed"] = 1234
    source.write_params(params)
    source.run("dvc", "repro", "simulate@coarsen12")
    source.commit("other spins")
    source.run("kadanoff", "push", path)
    other.run("dvc", "update", "c.zarr.dvc")
    assert content(other.folder / "c.zarr") == content(source.folder / path) != content(origin.folder / path)
    assert content(other.folder / "b.zarr") == content(origin.folder / path)


WRONG = "y" * 24


@pytest.mark.parametrize(
    ("environment", "setting", "words"),
    [
        (
            {"AWS_SECRET_ACCESS_KEY": WRONG},
            (),
            ["the secret does not belong to the access key|refuses", "AWS_ACCESS_KEY_ID"],
        ),
        ({name: "" for name in KEYS}, (), ["no credentials", "AWS_ACCESS_KEY_ID"]),
        ({}, ("url", "s3://nobody/ising"), ["no such bucket", "create it"]),
        ({}, ("endpointurl", "http://127.0.0.1:9"), ["no server answers", "--endpoint"]),
    ],
    ids=["keys", "no keys", "bucket", "server"],
)
def test_a_remote_that_cannot_be_used_is_explained(origin, tmp_path, environment, setting, words):
    second = clone(origin, tmp_path / "second")
    if setting:
        second.run("dvc", "remote", "modify", "--local", "storage", *setting)
    good, second.environment = second.environment, second.environment | IMPATIENT | environment
    for command in (["pull", "data/coarsen12.zarr"], ["push"]):
        output = second.run("kadanoff", *command, code=1)
        message = output[output.rindex("error: ") :]
        for word in words:
            assert any(choice in message for choice in word.split("|")), message
        assert "Traceback" not in output
        assert not any(secret in output for secret in [*KEYS.values(), WRONG])
    assert second.run("git", "status", "--short") == ""
    assert not (second.folder / "data").exists()
    second.environment = good
    if setting:
        (second.folder / ".dvc/config.local").unlink()
    second.run("kadanoff", "pull", "data/coarsen12.zarr")
    assert everything_intact(second)
    assert content(second.folder / "data/coarsen12.zarr") == content(origin.folder / "data/coarsen12.zarr")


def test_a_server_that_dies_in_the_middle_of_a_push(origin, tmp_path):
    second = clone(origin, tmp_path / "second")
    second.run("dvc", "pull")
    objects, folder = everything_intact(second), tmp_path / "store"
    (folder / "group").mkdir(parents=True)

    def arrived():
        return [path for path in (folder / "group").rglob("*") if path.is_file() and len(path.name) >= 30]

    with ExitStack() as stack:
        server = stack.enter_context(serve_s3(folder))
        set_remote(second, "s3://group/ising", "--endpoint", server.endpoint)
        second.run("dvc", "config", "--local", "remote.storage.jobs", "1")
        patient, second.environment = second.environment, second.environment | IMPATIENT
        push = second.start("kadanoff", "push")
        while not arrived() and push.poll() is None:
            time.sleep(0.005)
        server.process.kill()
        output, _ = push.communicate(timeout=120)
    assert push.returncode == 1
    assert "no server answers" in output
    assert "the same command goes on where it stopped" in output
    assert 0 < len(arrived()) < objects
    assert everything_intact(second) == objects
    assert "up to date" in second.run("dvc", "status")
    second.environment = patient
    with serve_s3(folder, server.port):
        second.run("kadanoff", "push")
        third = clone(second, tmp_path / "third")
        third.run("dvc", "remote", "modify", "--local", "storage", "endpointurl", server.endpoint)
        third.run("kadanoff", "pull")
    assert everything_intact(third) == objects


def flipped(body):
    return bytes([*body[:-1], body[-1] ^ 1])


def other_list(body):
    """The list of a folder's files, still valid, with one file under another name."""
    entries = json.loads(body)
    entries[0]["relpath"] += "x"
    return json.dumps(entries).encode()


@pytest.mark.parametrize(
    ("verify", "part", "damage"),
    [
        ("true", "file", flipped),
        ("false", "file", lambda body: body[: len(body) // 2]),
        ("true", "list", other_list),
        ("false", "list", flipped),
        ("true", "file", None),
        ("false", "list", None),
    ],
    ids=["flipped", "truncated", "other list", "flipped list", "missing", "missing list"],
)
def test_what_is_damaged_or_missing_is_never_used(origin, server, tmp_path, verify, part, damage):
    path, client = "data/coarsen16.zarr", s3_client(server)
    md5 = origin.output_md5("simulate@coarsen16", path)
    entries = json.loads((origin.folder / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").read_text())
    victim = (
        md5 if part == "list" else max((entry["md5"] for entry in entries), key=lambda oid: (size(origin, oid), oid))
    )
    body = client.get_object(Bucket="group", Key=key(victim))["Body"].read()
    client.delete_object(Bucket="group", Key=key(victim))
    if damage:
        client.put_object(Bucket="group", Key=key(victim), Body=damage(body))
    second = clone(origin, tmp_path / "second")
    second.run("dvc", "remote", "modify", "--local", "storage", "verify", verify)
    output = second.run("kadanoff", "pull", path, code=1)
    message = output[output.rindex("error: ") :]
    assert (f"other bytes than the md5 says for {path}" if damage else f"the remote lacks {path}") in message
    assert f"kadanoff push {'--repair ' if damage else ''}{path}" in message
    assert not (second.folder / path).exists()
    everything_intact(second)
    if damage is flipped:
        output = second.run("kadanoff", "get", second.folder.as_uri(), path, "--out", "got.zarr", code=1)
        assert ("was thrown away" if part == "file" else "nothing was kept") in output
        assert not list(second.folder.glob("*got*"))
    origin.run("kadanoff", "push", *(["--repair"] if damage else []), path)
    second.run("kadanoff", "pull", path)
    assert content(second.folder / path) == content(origin.folder / path)


def size(project, md5):
    return (project.folder / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").stat().st_size


def test_copies_of_a_damaged_object_are_replaced(origin, server, tmp_path):
    """`dvc pull` from a remote without `verify` believes damaged bytes, in the cache and in the workspace."""
    path, client = WEIGHTS, s3_client(server)
    md5 = origin.output_md5("coarsen@exact", path)
    body = client.get_object(Bucket="group", Key=key(md5))["Body"].read()
    client.put_object(Bucket="group", Key=key(md5), Body=flipped(body))
    second = clone(origin, tmp_path / "second")
    second.run("dvc", "remote", "modify", "--local", "storage", "verify", "false")
    second.run("dvc", "pull", path)
    assert (second.folder / path).read_bytes() == flipped(body)
    assert "nothing was pushed" in second.run("kadanoff", "push", path, code=1)
    second.run("kadanoff", "pull", path, code=1)
    assert not (second.folder / path).exists()
    origin.run("kadanoff", "push", "--repair", path)
    second.run("kadanoff", "pull", path)
    assert (second.folder / path).read_bytes() == body
    for place in (second.folder / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}", second.folder / path):
        place.chmod(0o644)
        place.write_bytes(flipped(body))  # the local disk's fault: one pull is enough
    second.run("kadanoff", "pull", path)
    assert (second.folder / path).read_bytes() == body


def test_a_shared_folder(origin, tmp_path):
    first = clone(origin, tmp_path / "first")
    first.run("kadanoff", "pull", "coarsen")
    (tmp_path / "shared").mkdir()
    set_remote(first, str(tmp_path / "shared"), "--name", "group")
    first.commit("shared folder")
    first.run("kadanoff", "push", "coarsen")
    second = clone(first, tmp_path / "second")
    second.run("kadanoff", "pull", "coarsen")
    assert content(second.folder / "data") == content(first.folder / "data")
    (tmp_path / "shared").rename(tmp_path / "gone")
    shutil.rmtree(second.folder / ".dvc/cache")
    assert "there is no such folder" in second.run("kadanoff", "pull", "coarsen", code=1)


def test_ssh(origin, tmp_path):
    (tmp_path / "ssh").mkdir()
    first = clone(origin, tmp_path / "first")
    first.run("kadanoff", "pull", "coarsen")
    with serve_ssh(tmp_path / "ssh") as server:
        address = f"ssh://someone@{server.host}:{server.port}/store"
        first.run("dvc", "remote", "add", "--local", "ssh", address)
        first.run("dvc", "remote", "modify", "--local", "ssh", "password", "wrong")
        assert "SSH server" in first.run("kadanoff", "remote", address, "--name", "ssh", code=1)
        assert "ssh://" not in (first.folder / ".dvc/config").read_text()
        first.run("dvc", "remote", "modify", "--local", "ssh", "password", PASSWORD)
        set_remote(first, address, "--name", "ssh")
        first.commit("by SSH")
        first.run("kadanoff", "push", "coarsen")
        assert PASSWORD not in first.run("git", "log", "-p")
        second = clone(first, tmp_path / "second")
        shutil.copy(first.folder / ".dvc/config.local", second.folder / ".dvc/config.local")
        second.run("kadanoff", "pull", "coarsen")
    assert content(second.folder / "data") == content(first.folder / "data")
    assert "no server answers" in first.run("kadanoff", "push", code=1)
