"""`kill -9` of `kadanoff grow OUT.zarr` between levels and within: the same bytes, nothing beside them, no orphan."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest
from project import copy_project
from test_large_lattices import same, save_lattices, save_network

pytestmark = pytest.mark.slow

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
    return list(folder.glob(f".out.zarr.*/*.zarr/{SHARDS}"))


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
        [work] = beside(folder)  # and no target
        assert work.startswith(".out.zarr.")
    made = {shard.parent.name: shard.stat().st_mtime_ns for shard in (folder / work).glob(f"{SIZE}.zarr/{SHARDS}")}
    assert made
    process = running()
    finish(process)
    assert session(process) == []
    assert beside(folder) == {"out.zarr"}
    assert same(folder / "out.zarr", folder / "whole.zarr")
    again = {shard.parent.name: shard.stat().st_mtime_ns for shard in (folder / "out.zarr").glob(SHARDS)}
    assert made.items() < again.items()  # those of the last level that were there were not made again


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
