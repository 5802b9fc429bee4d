"""`kadanoff grow OUT.zarr`, interrupted anywhere: the same bytes, nothing beside them, no orphan, nothing replaced."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from project import copy_project
from test_large_lattices import same, save_lattices, save_network

from kadanoff.commands import grow as module
from kadanoff.commands.grow import Job, grow
from kadanoff.data import arrays, store
from kadanoff.errors import KadanoffError

SIZE = 10368  # from 128 by four levels, which have 1, 3, 8 and 8 shards
KILLS = [(1, 4), (5, 12), (14, 17)]  # shards that are there, from and to
SHARDS = "spins/c/0/0/*/0"
WAIT = 0.3  # seconds after that, at most: about what a shard takes
LIMIT = 300


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Sources that nobody edits meanwhile: work goes on under the same ones only."""
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, project):
    """A network, a seed, and what an uninterrupted command made of them."""
    folder = tmp_path_factory.mktemp("grow")
    save_network(folder / "net.safetensors")
    save_lattices(folder / "seed.zarr")
    finish(start(project, folder, "whole.zarr"))
    return folder


def start(project, folder, name):
    """`kadanoff grow NAME` in a session of its own."""
    command = ["kadanoff", "grow", name, "--size", str(SIZE), "--model", "net.safetensors", "--start", "seed.zarr"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output


def shards(folder):
    return list(folder.glob(f".out.zarr.partial/*/*.zarr/{SHARDS}"))


def wait_for(process, folder, count):
    """Wait until so many shards are there."""
    deadline = time.monotonic() + LIMIT
    while len(shards(folder)) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def session(process):
    """Processes of its session that are alive."""
    found = []
    for other in psutil.process_iter():
        try:
            if os.getsid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                found.append(other)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def beside(folder):
    return {path.name for path in folder.iterdir()} - {"net.safetensors", "seed.zarr", "whole.zarr"}


@pytest.fixture
def running(project, folder):
    """Starts the command; what a failed test leaves of it is removed."""
    processes = []

    def run():
        processes.append(start(project, folder, "out.zarr"))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
    for name in beside(folder):
        shutil.rmtree(folder / name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_command_goes_on_to_the_same_bytes(folder, running, seed):
    rng = np.random.Generator(np.random.Philox(seed))
    for least, most in KILLS:
        process = running()
        wait_for(process, folder, rng.integers(least, most, endpoint=True))
        time.sleep(rng.uniform(0, WAIT))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert session(process) == []
        assert beside(folder) == {".out.zarr.partial"}  # and no target
    made = {shard.parent.name: shard.stat().st_mtime_ns for shard in shards(folder) if f"{SIZE}.zarr" in shard.parts}
    assert made
    process = running()
    finish(process)
    assert session(process) == []
    assert beside(folder) == {"out.zarr"}
    assert same(folder / "out.zarr", folder / "whole.zarr")
    again = {shard.parent.name: shard.stat().st_mtime_ns for shard in (folder / "out.zarr").glob(SHARDS)}
    assert made.items() < again.items()  # those of the last level that were there were not made again


@pytest.mark.slow
def test_a_second_command_is_told_to_wait(folder, running):
    first = running()
    wait_for(first, folder, 1)
    first.send_signal(signal.SIGSTOP)  # so that it is not done before the second has started
    second = running()
    output, _ = second.communicate(timeout=LIMIT)
    assert second.returncode == 1
    assert output == "error: another process is growing out.zarr; wait for it.\n"
    first.send_signal(signal.SIGCONT)
    finish(first)
    assert beside(folder) == {"out.zarr"}
    assert same(folder / "out.zarr", folder / "whole.zarr")


@pytest.fixture
def job(tmp_path):
    """A lattice of 3 shards, from one of 1."""
    return Job(save_network(tmp_path / "net.safetensors"), save_lattices(tmp_path / "seed.zarr"), 0, 1152, 2, 7)


@pytest.fixture
def target(job, tmp_path):
    """Where it is grown, in a folder of its own."""
    return tmp_path / "folder" / "out.zarr"


def broken(monkeypatch, owner, name, calls, act=lambda *_: None):
    """Let a function fail after so many calls that do what they should."""
    done, function = [], getattr(owner, name)

    def failing(*arguments, **options):
        if len(done) == calls:
            act(*arguments)
            raise ZeroDivisionError
        done.append(arguments)
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)


def interrupt(monkeypatch, job, target, *where):
    with monkeypatch.context() as patch:
        broken(patch, *where)
        with pytest.raises(ZeroDivisionError):
            grow(job, target, workers=1, rows=384)


def half(path, data, *_, **__):
    with path.open("wb") as file:
        file.write((data if isinstance(data, bytes) else data.encode())[: len(data) // 2])


PLACES = {
    "between a group and its spins": (store, "spins_array", 1),
    "before a value": (store, "finish_group", 0),
    "between two values": (store, "values_array", 3),
    "after the values": (store, "consolidate", 0),
    "within the metadata": (
        arrays,
        "write_atomic",
        0,
        lambda path, data: half(path.with_name(".zarr.json.1234"), data),
    ),
    "before the end": (module, "place_new", 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_it_goes_on_from_anywhere(job, target, tmp_path, monkeypatch, place):
    grow(job, tmp_path / "whole.zarr")
    interrupt(monkeypatch, job, target, *PLACES[place])
    assert [path.name for path in target.parent.iterdir()] == [".out.zarr.partial"]
    grow(job, target)
    assert same(target, tmp_path / "whole.zarr")
    assert list(target.parent.iterdir()) == [target]


def test_metadata_are_never_cut_short(job, target, tmp_path, monkeypatch):
    grow(job, tmp_path / "whole.zarr")
    with monkeypatch.context() as patch:
        broken(patch, Path, "write_text", 0, half)
        broken(patch, Path, "write_bytes", 0, half)
        with pytest.raises(ZeroDivisionError):
            grow(job, target)
    grow(job, target)
    assert same(target, tmp_path / "whole.zarr")


def test_what_nothing_could_go_on_from_is_removed(job, target, monkeypatch):
    interrupt(monkeypatch, job, target, module, "refined", 0)
    assert list(target.parent.iterdir()) == []


def test_another_job_on_the_target_is_told_to_wait(job, target, tmp_path, monkeypatch):
    def meanwhile(*arguments):
        with pytest.raises(KadanoffError, match=r"another process is growing .*out\.zarr; wait for it"):
            grow(replace(job, seed=8), target)
        return refined(*arguments)

    grow(job, tmp_path / "whole.zarr")
    refined = module.refined
    monkeypatch.setattr(module, "refined", meanwhile)
    grow(job, target)
    assert same(target, tmp_path / "whole.zarr")


def test_another_job_on_the_target_starts_anew(job, target, tmp_path, monkeypatch):
    other = replace(job, seed=8)
    grow(other, tmp_path / "whole.zarr")
    interrupt(monkeypatch, job, target, module, "refined", 2)
    grow(other, target)
    assert same(target, tmp_path / "whole.zarr")
    assert list(target.parent.iterdir()) == [target]  # the work of the first went


def test_what_appears_meanwhile_survives(job, target, tmp_path, monkeypatch):
    def meanwhile(*arguments):
        target.mkdir(exist_ok=True)  # empty, it could be replaced by a rename
        return refined(*arguments)

    grow(job, tmp_path / "whole.zarr")
    refined = module.refined
    with monkeypatch.context() as patch:
        patch.setattr(module, "refined", meanwhile)
        with pytest.raises(KadanoffError, match=r"out\.zarr exists; nothing is overwritten"):
            grow(job, target)
    assert list(target.iterdir()) == []
    target.rmdir()
    broken(monkeypatch, module, "refined", 0)  # all shards are there
    grow(job, target)
    assert same(target, tmp_path / "whole.zarr")


def test_room_is_asked_for_what_is_left(job, target, monkeypatch):
    needed = (128**2 + 384**2 + 1152**2) / 8

    def free(size):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, size))

    interrupt(monkeypatch, job, target, module, "refined", 2)
    free(0)
    with pytest.raises(KadanoffError, match=r"take about 0\.00 GB more; free some space"):
        grow(job, target)
    free(needed - 50_000)
    with pytest.raises(KadanoffError, match=r"take about 0\.00 GB; free some space"):
        grow(job, target.with_name("other.zarr"))
    grow(job, target)
