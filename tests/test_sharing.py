"""A second person with the repository and the address of a bucket: an S3 server, clones that share nothing, DVC."""

import hashlib
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from project import Project, copy_project, shrink

from kadanoff.data.store import open_dataset

pytestmark = pytest.mark.slow

# new ones each time, so that a test can look for them in what was written
KEYS = {"AWS_ACCESS_KEY_ID": secrets.token_hex(12), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
DATASET = "data/coarsen/coarsen16.zarr"
START_S = 30


class Shared(NamedTuple):
    """The project of the person who has computed and pushed, and the folder where the server keeps DVC's objects."""

    origin: Project
    objects: Path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "store" / "group").mkdir(parents=True)
    log = folder / "log"
    command = [str(Path(sys.executable).parent / "rclone"), "serve", "s3", "--config", ""]
    command += ["--auth-key", ",".join(KEYS.values()), "--addr", "127.0.0.1:0", str(folder / "store")]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as server:
        try:
            deadline = time.monotonic() + START_S
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            origin = computed(folder / "origin")
            origin.run("dvc", "remote", "add", "-d", "storage", "s3://group/ising")  # as docs/sharing.md says
            origin.run("dvc", "remote", "modify", "storage", "endpointurl", found[0])
            origin.run("dvc", "remote", "modify", "storage", "verify", "true")
            origin.commit("where the data are")
            origin.run("dvc", "push")
            yield Shared(origin, folder / "store/group/ising/files/md5")
        finally:
            server.kill()


def computed(folder):
    """A project with one dataset."""
    project = copy_project(folder)
    params = shrink(project.params())
    params["datasets"] = {"coarsen": {"coarsen16": params["datasets"]["coarsen"]["coarsen16"]}}
    project.write_params(params)
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"simulate": pipeline["stages"]["simulate"]}}))
    project = alone(folder)
    project.run("dvc", "repro")
    project.commit("results")
    return project


def alone(folder):
    """The project in a folder, with the right keys in its environment, and none of this machine's."""
    project, nothing = Project(folder), folder.with_name(f"{folder.name}.aws")
    nothing.touch()
    elsewhere = {"AWS_CONFIG_FILE": str(nothing), "AWS_SHARED_CREDENTIALS_FILE": str(nothing)}
    elsewhere |= {"AWS_EC2_METADATA_DISABLED": "true", "DVC_SITE_CACHE_DIR": f"{folder}.site"}
    project.environment |= KEYS | elsewhere
    return project


def clone(origin, target):
    origin.run("git", "clone", "-q", str(origin.folder), str(target))
    return alone(target)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_clone_has_all_without_computing(shared, tmp_path):
    second = clone(shared.origin, tmp_path / "second")
    second.run("dvc", "pull")
    assert "up to date" in second.run("dvc", "status")
    assert "Data and pipelines are up to date" in second.run("dvc", "repro")
    assert second.run("git", "status", "--short") == ""
    assert content(second.folder / "data") == content(shared.origin.folder / "data") != {}


def test_no_key_is_written(shared):
    kept = shared.origin.run("git", "log", "-p", "--all")
    assert "verify = true" in kept
    assert not any(secret in kept for secret in KEYS.values())


def test_one_dataset_in_an_unrelated_project(shared, tmp_path):
    other = alone(tmp_path / "other")
    other.folder.mkdir()
    other.run("git", "init", "-q")
    other.run("dvc", "init", "-q")
    source = clone(shared.origin, tmp_path / "source").folder.as_uri()
    for command in ("get", "import"):
        other.run("dvc", command, source, DATASET, "-o", f"{command}.zarr")
        assert content(other.folder / f"{command}.zarr") == content(shared.origin.folder / DATASET)


def damage(path):
    path.chmod(0o644)
    body = path.read_bytes()
    path.write_bytes(bytes([*body[:-1], body[-1] ^ 1]))


def test_a_damaged_object_is_refused(shared, tmp_path):
    chunk = shared.origin.folder / DATASET / "spins/c/0/0/0/0"
    md5 = hashlib.md5(chunk.read_bytes()).hexdigest()
    damage(shared.objects / md5[:2] / md5[2:])
    second = clone(shared.origin, tmp_path / "second")
    assert "failed" in second.run("dvc", "pull", code=1)
    assert content(second.folder / "data") != content(shared.origin.folder / "data")
    trusting = clone(shared.origin, tmp_path / "trusting")
    # `dvc get` and `dvc import` compare nothing, whatever `verify` says: the checksums of Zarr find it
    for command in ("get", "import"):
        trusting.run("dvc", command, trusting.folder.as_uri(), DATASET, "-o", f"{command}.zarr")
        with pytest.raises(ValueError, match="checksum"):
            open_dataset(trusting.folder / f"{command}.zarr").spins[:].sum()
    damage(shared.objects / md5[:2] / md5[2:])  # the same bit once more: whole again
    second.run("dvc", "pull")
    assert content(second.folder / "data") == content(shared.origin.folder / "data")
