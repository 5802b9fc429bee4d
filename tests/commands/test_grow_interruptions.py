"""`kadanoff grow OUT.zarr`, interrupted anywhere: the same bytes, nothing beside them, nothing replaced."""

import shutil
import subprocess
import time
from dataclasses import replace

import pytest
from project import copy_project
from test_large_lattices import same, save_lattices, save_network

from kadanoff.commands import grow as module
from kadanoff.commands.grow import Job, grow
from kadanoff.data import store
from kadanoff.errors import KadanoffError

SIZE = 10368  # from 128 by four levels, which have 1, 3, 8 and 8 shards
KILLS = (2, 8, 15)  # shards that are there
SHARDS = "spins/c/0/0/*/0"
LIMIT = 300  # seconds


@pytest.mark.slow
def test_a_killed_command_resumes_to_the_same_bytes(tmp_path):
    project, folder = copy_project(tmp_path / "project"), tmp_path / "grow"  # sources that nobody edits meanwhile
    folder.mkdir()
    save_network(folder / "net.safetensors")
    save_lattices(folder / "seed.zarr")
    options = ["--size", str(SIZE), "--model", "net.safetensors", "--start", "seed.zarr"]

    def start(name):
        return subprocess.Popen(["kadanoff", "grow", name, *options], cwd=folder, env=project.environment)

    def shards(pattern):
        return {shard.parts[-7:-1]: shard.stat().st_mtime_ns for shard in folder.glob(f"{pattern}/{SHARDS}")}

    assert start("whole.zarr").wait(LIMIT) == 0
    for count in KILLS:
        process, deadline = start("out.zarr"), time.monotonic() + LIMIT
        while len(shards(".out.zarr.partial/*/*.zarr")) < count:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        process.wait()
        assert not (folder / "out.zarr").exists()
    made = {place[1:]: when for place, when in shards(f".out.zarr.partial/*/{SIZE}.zarr").items()}
    assert start("out.zarr").wait(LIMIT) == 0
    assert same(folder / "out.zarr", folder / "whole.zarr")
    assert made
    assert made.items() < {place[1:]: when for place, when in shards("out.zarr").items()}.items()  # not made again
    assert {path.name for path in folder.iterdir()} == {"net.safetensors", "seed.zarr", "whole.zarr", "out.zarr"}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A lattice of 3 shards, from one of 1."""
    folder = tmp_path_factory.mktemp("job")
    return Job(save_network(folder / "net.safetensors"), save_lattices(folder / "seed.zarr"), 0, 1152, 2, 7)


@pytest.fixture(scope="module")
def whole(job, tmp_path_factory):
    """What an uninterrupted command makes of it."""
    path = tmp_path_factory.mktemp("whole") / "out.zarr"
    grow(job, path)
    return path


@pytest.fixture
def target(tmp_path):
    """Where it is grown, in a folder of its own."""
    return tmp_path / "folder" / "out.zarr"


def broken(monkeypatch, owner, name, calls):
    """Let a function fail after so many calls that do what they should."""
    done, function = [], getattr(owner, name)

    def failing(*arguments, **options):
        if len(done) == calls:
            raise ZeroDivisionError
        done.append(arguments)
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)


def interrupt(monkeypatch, job, target, *where):
    with monkeypatch.context() as patch:
        broken(patch, *where)
        with pytest.raises(ZeroDivisionError):
            grow(job, target, workers=1, rows=384)


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [(store, "spins_array", 1), (module, "refined", 2), (store, "values_array", 3), (module, "place_new", 0)],
)
def test_it_resumes_from_anywhere(job, whole, target, monkeypatch, owner, name, calls):
    interrupt(monkeypatch, job, target, owner, name, calls)
    assert [path.name for path in target.parent.iterdir()] == [".out.zarr.partial"]
    grow(job, target)
    assert same(target, whole)
    assert list(target.parent.iterdir()) == [target]


def test_a_shard_that_is_not_what_its_worker_wrote_is_refused(job, target, monkeypatch):
    def altered(what, *rest):
        found = in_threads(what, *rest)
        return [dict.fromkeys(band, "0") for band in found] if what == "grow 1152" else found

    in_threads = module.in_threads
    with monkeypatch.context() as patch:
        patch.setattr(module, "in_threads", altered)
        with pytest.raises(KadanoffError, match=r"c/0/0/0/0 does not hold what was written; remove it"):
            grow(job, target)
    grow(job, target)  # measures what is there


def test_another_model_under_the_same_path_is_refused(job):
    with pytest.raises(KadanoffError, match=r"net\.safetensors is not the file that this lattice grows by"):
        module._enlargement(job, "0")


def test_another_job_on_the_target_is_told_to_wait(job, whole, target, monkeypatch):
    def meanwhile(*arguments):
        with pytest.raises(KadanoffError, match=r"another process is growing .*out\.zarr; wait for it"):
            grow(replace(job, seed=8), target)
        return refined(*arguments)

    refined = module.refined
    monkeypatch.setattr(module, "refined", meanwhile)
    grow(job, target)
    assert same(target, whole)


def test_another_job_on_the_target_starts_anew(job, target, tmp_path, monkeypatch):
    other = replace(job, seed=8)
    grow(other, tmp_path / "other.zarr")
    interrupt(monkeypatch, job, target, module, "refined", 2)
    grow(other, target)
    assert same(target, tmp_path / "other.zarr")
    assert list(target.parent.iterdir()) == [target]  # the work of the first went


def test_what_appears_meanwhile_survives(job, whole, target, monkeypatch):
    def meanwhile(*arguments):
        target.mkdir(exist_ok=True)  # empty, it could be replaced by a rename
        return refined(*arguments)

    refined = module.refined
    with monkeypatch.context() as patch:
        patch.setattr(module, "refined", meanwhile)
        with pytest.raises(KadanoffError, match=r"out\.zarr exists; nothing is overwritten"):
            grow(job, target)
    assert list(target.iterdir()) == []
    target.rmdir()
    broken(monkeypatch, module, "refined", 0)  # all shards are there
    grow(job, target)
    assert same(target, whole)


def test_room_is_asked_for_what_is_left(job, target, monkeypatch):
    interrupt(monkeypatch, job, target, module, "refined", 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(KadanoffError, match=r"take about 0\.00 GB more; free some space"):
        grow(job, target)
    needed = (128**2 + 384**2 + 1152**2) // 8
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, needed - 50_000))
    with pytest.raises(KadanoffError, match=r"take about 0\.00 GB; free some space"):
        grow(job, target.with_name("other.zarr"))
    grow(job, target)
